// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network interface specifications: what is taken, what the defaults are, and the message for each
 * mistake. Owns the arithmetic of rates.
 */
#include "test.h"

#include "nic.h"

static void test_defaults(void **state)
{
	struct xl_nic n;
	char msg[256];

	(void)state;
	assert_int_equal(nic_parse("", &n, msg, sizeof(msg)), 0);
	assert_string_equal(n.bridge, "xenbr0");
	assert_string_equal(n.script, "vif-bridge");
	assert_string_equal(n.vifname, "");
	assert_false(n.have_mac);
	assert_null(n.ip);
	assert_int_equal(n.rate_bytes, 0);
	nic_free(&n);
}

static void test_all(void **state)
{
	struct xl_nic n;
	char msg[256], mac[NIC_MAC_LEN];

	(void)state;
	assert_int_equal(nic_parse(" mac = 00:16:3E:0a:0B:0c , bridge=br-lan,script=/x/y, "
				   "vifname=wan0,ip=10.0.0.1 fe80::1/64,rate=1MB/s@20ms,type=vif,"
				   "model=e1000,backend=0,",
				   &n, msg, sizeof(msg)),
			 0);
	nic_mac_format(n.mac, mac);
	assert_string_equal(mac, "00:16:3e:0a:0b:0c");
	assert_true(n.have_mac);
	assert_string_equal(n.bridge, "br-lan");
	assert_string_equal(n.script, "/x/y");
	assert_string_equal(n.vifname, "wan0");
	assert_string_equal(n.ip, "10.0.0.1 fe80::1/64");
	assert_int_equal(n.rate_bytes, 20000);
	assert_int_equal(n.rate_usec, 20000);
	nic_free(&n);
}

static void test_words(void **state)
{
	struct xl_nic n;
	char msg[256];

	(void)state;
	assert_int_equal(nic_parse("mtu=68,netdev=eth0,untrusted,script=/y/vif-bridge", &n, msg,
				   sizeof(msg)),
			 0);
	assert_int_equal(n.mtu, 68);
	assert_string_equal(n.gatewaydev, "eth0");
	assert_true(n.untrusted);
	nic_free(&n);
	assert_int_equal(nic_parse("mtu=65517, gatewaydev=xenbr0, trusted, ip=10.0.0.1,"
				   "script=/y/vif-bridge",
				   &n, msg, sizeof(msg)),
			 0);
	assert_int_equal(n.mtu, 65517);
	assert_string_equal(n.gatewaydev, "xenbr0");
	assert_false(n.untrusted);
	assert_string_equal(n.ip, "10.0.0.1");
	nic_free(&n);
	assert_int_equal(nic_parse("ip=10.0.0.1,trusted=0,script=vif-route", &n, msg, sizeof(msg)),
			 0);
	assert_int_equal(n.mtu, 0);
	assert_string_equal(n.gatewaydev, "");
	assert_true(n.untrusted);
	nic_free(&n);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *spec, *msg;
	} cases[] = {
		{ "xenbr0", "'xenbr0' is not of the form key=value" },
		{ "=x", "unknown key ''" },
		{ "colour=blue", "unknown key 'colour'" },
		{ "brigde=xenbr0", "unknown key 'brigde'; did you mean 'bridge'?" },
		{ "devid=3", "devid is Xen's and not supported here" },
		{ "mtu=67", "mtu '67' is not between 68 and 65517" },
		{ "mtu=65518", "mtu '65518' is not between 68 and 65517" },
		{ "mtu=1500x", "mtu '1500x' is not between 68 and 65517" },
		{ "mtu=", "mtu '' is not between 68 and 65517" },
		{ "gatewaydev=", "gatewaydev '' cannot be the name of an interface" },
		{ "gatewaydev=a,netdev=b", "gatewaydev given twice" },
		{ "netdev", "'netdev' is not of the form key=value" },
		{ "trusted=maybe", "trusted 'maybe' is neither 0 nor 1" },
		{ "trusted,untrusted", "trusted given twice" },
		{ "untrusted=1", "unknown key 'untrusted'; did you mean 'trusted'?" },
		{ "bridge=a,bridge=b", "bridge given twice" },
		{ "mac=", "mac '' is no address (such as 00:16:3e:01:02:03)" },
		{ "mac=00:16:3e:01:02",
		  "mac '00:16:3e:01:02' is no address (such as 00:16:3e:01:02:03)" },
		{ "mac=00:16:3e:01:02:03:04",
		  "mac '00:16:3e:01:02:03:04' is no address (such as 00:16:3e:01:02:03)" },
		{ "mac=00:16:3e:01:02:0g",
		  "mac '00:16:3e:01:02:0g' is no address (such as 00:16:3e:01:02:03)" },
		{ "mac=00163e010203",
		  "mac '00163e010203' is no address (such as 00:16:3e:01:02:03)" },
		{ "mac=01:16:3e:01:02:03",
		  "mac '01:16:3e:01:02:03' is a group's address, not an interface's" },
		{ "mac=ff:ff:ff:ff:ff:ff",
		  "mac 'ff:ff:ff:ff:ff:ff' is a group's address, not an interface's" },
		{ "mac=00:00:00:00:00:00",
		  "mac '00:00:00:00:00:00' is nobody's address; leave mac out for a random one" },
		{ "bridge=", "bridge '' cannot be the name of an interface" },
		{ "bridge=a/b", "bridge 'a/b' cannot be the name of an interface" },
		{ "bridge=..", "bridge '..' cannot be the name of an interface" },
		{ "bridge=a b", "bridge 'a b' cannot be the name of an interface" },
		{ "bridge=abcdefghijklmnop",
		  "bridge 'abcdefghijklmnop' cannot be the name of an interface" },
		{ "vifname=-x", "vifname '-x' cannot be the name of an interface" },
		{ "vifname=vif1.0",
		  "vifname 'vif1.0' looks like a name that the back end gives itself" },
		{ "script=", "script is empty" },
		{ "ip=10.0.0", "ip '10.0.0' is no address" },
		{ "ip=10.0.0.1/33", "ip '10.0.0.1/33' is no address" },
		{ "ip=10.0.0.1/", "ip '10.0.0.1/' is no address" },
		{ "ip=10.0.0.1 x", "ip 'x' is no address" },
		{ "ip=", "ip is empty" },
		{ "rate=fast", "rate 'fast' is no usable rate (such as 10Mb/s or 1MB/s@20ms)" },
		{ "type=ioemu", "type 'ioemu' is not supported, only vif" },
		{ "backend=", "backend is empty" },
	};
	struct xl_nic n;
	unsigned int i;
	char msg[256];

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		if (nic_parse(cases[i].spec, &n, msg, sizeof(msg)) != -1)
			fail_msg("'%s' is taken", cases[i].spec);
		assert_string_equal(msg, cases[i].msg);
	}
}

static void test_rates(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* 0: refused */
		uint32_t usec;
	} cases[] = {
		{ "10Mb/s", 62500, 50000 },
		{ "250KB/s", 12500, 50000 },
		{ "1MB/s@20ms", 20000, 20000 },
		{ "1GB/s@1s", 1000000000, 1000000 },
		{ "8000b/s@1s", 1000, 1000000 },
		{ "1000B/s@1000us", 1, 1000 },
		{ "999999999GB/s", 0, 0 },
		{ "1GB/s@10s", 0, 0 }, /* more than 32 bits in an interval */
		{ "1MB/s@999us", 0, 0 }, /* below a millisecond */
		{ "1B/s@1ms", 0, 0 }, /* not even a byte */
		{ "0MB/s", 0, 0 },
		{ "1MB/s@0s", 0, 0 },
		{ "1MB/s@5000s", 0, 0 },
		{ "1MB/s@99999999999999999999s", 0, 0 },
		{ "99999999999999999999B/s", 0, 0 },
		{ "1MB", 0, 0 },
		{ "1M/s", 0, 0 },
		{ "1TB/s", 0, 0 },
		{ "MB/s", 0, 0 },
		{ "-1MB/s", 0, 0 },
		{ "1MB/s@", 0, 0 },
		{ "1MB/s@5", 0, 0 },
		{ "1MB/s@5ms ", 0, 0 },
		{ "1MB/s ", 0, 0 },
		{ "1", 0, 0 },
		{ "", 0, 0 },
	};
	unsigned int i;
	uint64_t bytes;
	uint32_t usec;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		int rc = nic_rate_parse(cases[i].text, &bytes, &usec);

		if (rc != (cases[i].bytes ? 0 : -1))
			fail_msg("'%s': %d", cases[i].text, rc);
		if (rc)
			continue;
		assert_int_equal(bytes, cases[i].bytes);
		assert_int_equal(usec, cases[i].usec);
	}
}

static void test_random(void **state)
{
	uint8_t a[6], b[6];
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		assert_int_equal(nic_random_mac(a), 0);
		assert_int_equal(nic_random_mac(b), 0);
		assert_memory_equal(a, "\0\x16\x3e", 3);
		assert_false(a[3] & 0x80);
		if (memcmp(a, b, 6))
			return;
	}
	fail_msg("always the same address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),
		cmocka_unit_test(test_mistakes), cmocka_unit_test(test_rates),
		cmocka_unit_test(test_random),	 cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
