// SPDX-License-Identifier: BSD-2-Clause
/* What neighbours are sent of a guest that has come: byte for byte. Whether they take it is tests/system/test_migrate.py's. */
#include "test.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "announce.h"

static const uint8_t mac[6] = { 0x00, 0x16, 0x3e, 0x01, 0x02, 0xfe };

/* RFC 903 in an Ethernet frame */
static void test_frame(void **state)
{
	static const uint8_t wanted[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x16, 0x3e, 0x01, 0x02, 0xfe, 0x80, 0x35,
		0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x03, 0x00, 0x16, 0x3e, 0x01, 0x02, 0xfe,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x16, 0x3e, 0x01, 0x02, 0xfe, 0x00, 0x00, 0x00, 0x00,
	};
	static const uint8_t zeros[ANNOUNCE_FRAME - sizeof(wanted)];
	uint8_t frame[ANNOUNCE_FRAME];

	(void)state;
	memset(frame, 0xa5, sizeof(frame));
	announce_frame(mac, frame);
	assert_memory_equal(frame, wanted, sizeof(wanted));
	assert_memory_equal(frame + sizeof(wanted), zeros, sizeof(zeros));
}

static void test_fdb(void **state)
{
	_Alignas(8) uint8_t message[ANNOUNCE_FDB];
	struct nlmsghdr h;
	struct ndmsg nd;
	struct nlattr a;
	size_t n;

	(void)state;
	n = announce_fdb(mac, 77, message);
	memcpy(&h, message, sizeof(h));
	memcpy(&nd, message + NLMSG_HDRLEN, sizeof(nd));
	memcpy(&a, message + NLMSG_LENGTH(sizeof(nd)), sizeof(a));
	assert_int_equal(h.nlmsg_len, n);
	assert_int_equal(n, 16 + 12 + 12);
	assert_int_equal(h.nlmsg_type, RTM_NEWNEIGH);
	assert_true(h.nlmsg_flags & NLM_F_REPLACE);
	assert_int_equal(nd.ndm_family, 7);
	assert_int_equal(nd.ndm_ifindex, 77);
	assert_int_equal(nd.ndm_state, 0x02);
	assert_int_equal(nd.ndm_flags, 0x04);
	assert_int_equal(a.nla_type, 2);
	assert_int_equal(a.nla_len, 10);
	assert_memory_equal(message + n - 8, mac, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_fdb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
