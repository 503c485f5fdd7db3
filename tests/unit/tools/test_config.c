// SPDX-License-Identifier: BSD-2-Clause
/*
 * The meaning of xl.cfg's keys: defaults, limits, and the exact message for each mistake.
 * Owns the promise "a wrong config names file, line and key".
 */
#include "test.h"

#include "config.h"

static char *messages;

static int read_text(struct xl_config *c, const char *text, char *const *args, int nr)
{
	FILE *f = fopen("t.cfg", "w"), *log;
	size_t size;
	int rc;

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(messages);
	messages = NULL;
	log = open_memstream(&messages, &size);
	rc = config_read(c, "t.cfg", args, nr, log);
	fclose(log);
	c->tree.log = NULL;
	unlink("t.cfg");
	return rc;
}

#define MINIMAL "name = 'g'\nkernel = '/k'\n"

static void test_defaults(void **state)
{
	struct xl_config c;

	(void)state;
	assert_int_equal(read_text(&c, MINIMAL, NULL, 0), 0);
	assert_string_equal(messages, "");
	assert_string_equal(c.name, "g");
	assert_string_equal(c.kernel, "/k");
	assert_null(c.ramdisk);
	assert_string_equal(c.cmdline, "");
	assert_int_equal(c.memory, 32);
	assert_int_equal(c.maxmem, 32);
	assert_int_equal(c.vcpus, 1);
	assert_int_equal(c.maxvcpus, 1);
	assert_int_equal(c.max_event_channels, 1023);
	assert_int_equal(c.max_grant_frames, -1);
	assert_int_equal(c.max_maptrack_frames, -1);
	assert_int_equal(c.nr_disks, 0);
	assert_false(c.have_uuid);
	assert_int_equal(c.on_poweroff, ACTION_DESTROY);
	assert_int_equal(c.on_reboot, ACTION_RESTART);
	assert_int_equal(c.on_crash, ACTION_DESTROY);
	config_free(&c);
}

static void test_all_keys(void **state)
{
	struct xl_config c;
	char text[37];

	(void)state;
	assert_int_equal(
		read_text(
			&c,
			MINIMAL
			"ramdisk = '/r'\nroot = '/dev/xvda ro'\nextra = 'quiet'\nmemory = \"256\"\n"
			"maxmem = 512\nvcpus = 2\nmaxvcpus = 4\nmax_event_channels = 131071\nmax_grant_frames = 1024\n"
			"max_maptrack_frames = 0\nmax_grant_version = 1\nvif = [ ]\ntype = 'pvh'\n"
			"uuid = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'\n"
			"disk = [ 'vdev=xvda,target=/a', '/b,raw,xvdb,ro' ]\n"
			"on_poweroff = 'preserve'\non_reboot = 'destroy'\non_crash = 'rename-restart'\n",
			NULL, 0),
		0);
	assert_string_equal(messages, "");
	assert_string_equal(c.cmdline, "root=/dev/xvda ro quiet");
	assert_int_equal(c.memory, 256);
	assert_int_equal(c.maxmem, 512);
	assert_int_equal(c.maxvcpus, 4);
	assert_int_equal(c.max_event_channels, 131071);
	assert_int_equal(c.max_grant_frames, 1024);
	assert_int_equal(c.max_maptrack_frames, 0);
	assert_int_equal(c.nr_disks, 2);
	assert_string_equal(c.disk[1].target, "/b");
	assert_true(c.disk[1].readonly);
	uuid_format(c.uuid, text);
	assert_string_equal(text, "6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	assert_int_equal(c.on_poweroff, ACTION_PRESERVE);
	assert_int_equal(c.on_reboot, ACTION_DESTROY);
	assert_int_equal(c.on_crash, ACTION_RENAME_RESTART);
	config_free(&c);
}

static void test_cpus(void **state)
{
	struct xl_config c;

	(void)state;
	assert_int_equal(read_text(&c, MINIMAL, NULL, 0), 0);
	assert_true(!c.cpu_weight && !c.cap && !c.cpus && !c.cpus_soft);
	config_free(&c);
	assert_int_equal(read_text(&c,
				   MINIMAL "vcpus = 3\ncpu_weight = 65535\ncap = 300\n"
					   "cpus = '0-3, 5 ,^1'\ncpus_soft = [ '2', 'all,^0' ]\n",
				   NULL, 0),
			 0);
	assert_string_equal(messages, "");
	assert_int_equal(c.cpu_weight, 65535);
	assert_int_equal(c.cap, 300);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(c.cpus[i].mask, 0x2d);
		assert_int_equal(c.cpus[i].highest, 5);
	}
	assert_int_equal(c.cpus_soft[0].mask, 4);
	assert_true(c.cpus_soft[1].mask == ~1ULL);
	assert_int_equal(c.cpus_soft[2].mask, 0); /* nothing is said of it */
	config_free(&c);
	assert_int_equal(read_text(&c, MINIMAL "cpus = 'nodes:0,^3-62'\ncpus_soft='63'\n", NULL, 0),
			 0);
	assert_true(c.cpus[0].mask == (7 | 1ULL << 63) && c.cpus_soft[0].mask == 1ULL << 63);
	config_free(&c);
	/* The last one counts, and nothing leaks. */
	assert_int_equal(read_text(&c, MINIMAL "cpus = '1'\ncpus = '0'\n", NULL, 0), 0);
	assert_int_equal(c.cpus[0].mask, 1);
	config_free(&c);
}

static void test_nics(void **state)
{
	struct xl_config c;

	(void)state;
	assert_int_equal(read_text(&c,
				   MINIMAL "vif = [ '', 'bridge=br1,mac=00:16:3e:00:00:0a',\n"
					   "'' ]\n",
				   NULL, 0),
			 0);
	assert_string_equal(messages, "");
	assert_int_equal(c.nr_nics, 3);
	assert_int_equal(c.nic[2].devid, 2);
	assert_int_equal(c.nic[2].line, 4);
	assert_string_equal(c.nic[0].bridge, "xenbr0");
	assert_string_equal(c.nic[1].bridge, "br1");
	assert_int_equal(c.nic[1].mac[5], 10);
	/* Those without an address have got one each, of Xen's. */
	assert_false(c.nic[0].have_mac);
	assert_memory_equal(c.nic[0].mac, "\0\x16\x3e", 3);
	assert_memory_not_equal(c.nic[0].mac, c.nic[2].mac, 6);
	config_free(&c);

	assert_int_equal(config_read_nic(&c, "mac=00:16:3e:00:00:0a,bridge=a\"b'", NULL), 0);
	assert_int_equal(c.nr_nics, 1);
	assert_string_equal(c.nic[0].bridge, "a\"b'");
	config_free(&c);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *messages;
	} cases[] = {
		{ "memory = 'abc'", "t.cfg:3: memory: 'abc' is not a number\n" },
		{ "memory = -5", "t.cfg:3: memory: '-5' is not a number\n" },
		{ "memory = 0", "t.cfg:3: memory: 0 is not between 1 and 1073741824\n" },
		{ "memory = 99999999999999999999",
		  "t.cfg:3: memory: 99999999999999999999 is not between 1 and 1073741824\n" },
		{ "memory = [ 1 ]", "t.cfg:3: memory: expected a number, found a list\n" },
		{ "vcpus = 65", "t.cfg:3: vcpus: 65 is not between 1 and 64\n" },
		{ "vcpus = 2\nmaxvcpus = 1",
		  "t.cfg:4: maxvcpus: 1 is less than vcpus, which is 2\n" },
		{ "cpu_weight = 0", "t.cfg:3: cpu_weight: 0 is not between 1 and 65535\n" },
		{ "cpu_weight = 65536", "t.cfg:3: cpu_weight: 65536 is not between 1 and 65535\n" },
		{ "maxvcpus = 2\ncap = 201",
		  "t.cfg:4: cap: 201 is more than 2 vCPUs can use, which is 200\n" },
		{ "cpus = ''", "t.cfg:3: cpus: '' is no list of CPUs, such as 0-3,5,^1\n" },
		{ "cpus = '1,x'", "t.cfg:3: cpus: '1,x' is no list of CPUs, such as 0-3,5,^1\n" },
		{ "cpus = '1-'", "t.cfg:3: cpus: '1-' is no list of CPUs, such as 0-3,5,^1\n" },
		{ "cpus = '1 2'", "t.cfg:3: cpus: '1 2' is no list of CPUs, such as 0-3,5,^1\n" },
		{ "cpus = '3-1'", "t.cfg:3: cpus: '3-1' has a range that ends before it begins\n" },
		{ "cpus = '64'", "t.cfg:3: cpus: '64' has a CPU above 63\n" },
		{ "cpus = '99999999999999999999'",
		  "t.cfg:3: cpus: '99999999999999999999' has a CPU above 63\n" },
		{ "cpus = '1,^0-63'", "t.cfg:3: cpus: '1,^0-63' leaves no CPU\n" },
		{ "cpus = '^all'", "t.cfg:3: cpus: '^all' has ^all, which leaves none\n" },
		{ "cpus_soft = [ 'all',\n'node:1' ]",
		  "t.cfg:4: cpus_soft: 'node:1' has a node that is not there: there is one, 0\n" },
		{ "memory = 64\n\nmaxmem = 32",
		  "t.cfg:5: maxmem: 32 is less than memory, which is 64\n" },
		{ "ramdisk = ''", "t.cfg:3: ramdisk: the path is empty\n" },
		{ "ramdisk = ['x']", "t.cfg:3: ramdisk: expected a string, found a list\n" },
		{ "uuid = '12'", "t.cfg:3: uuid: '12' is not a UUID\n" },
		{ "disk = '/a,raw,xvda,w'",
		  "t.cfg:3: disk: expected a list of strings: disk = [ '...' ]\n" },
		{ "disk = [\n '/a,raw,xvda,w',\n '/b,qcow3,xvdb,w' ]",
		  "t.cfg:5: disk: format 'qcow3' is not supported, only raw, qcow2, qed, vmdk, "
		  "vdi or vhd in "
		  "'/b,qcow3,xvdb,w'\n" },
		{ "disk = [ '/a,raw,xvda,w',\n '/b,raw,xvda,w' ]",
		  "t.cfg:4: disk: vdev xvda is given twice\n" },
		{ "vif = 'bridge=xenbr0'",
		  "t.cfg:3: vif: expected a list of strings: vif = [ '...' ]\n" },
		{ "vif = [ '',\n 'mac=12' ]",
		  "t.cfg:4: vif: mac '12' is no address (such as 00:16:3e:01:02:03) in 'mac=12'\n" },
		{ "vif = [ 'mac=00:16:3e:00:00:01', '',\n 'mac=00:16:3E:00:00:01' ]",
		  "t.cfg:4: vif: mac 00:16:3e:00:00:01 is given twice\n" },
		{ "vif = [ 'vifname=a', 'vifname=a' ]",
		  "t.cfg:3: vif: vifname a is given twice\n" },
		{ "on_crash = 'soft-reset'", "t.cfg:3: on_crash: 'soft-reset' is not supported\n" },
		{ "on_poweroff = 'explode'",
		  "t.cfg:3: on_poweroff: 'explode' is none of destroy, restart, preserve, "
		  "rename-restart, coredump-destroy, coredump-restart\n" },
		{ "max_event_channels = 131072",
		  "t.cfg:3: max_event_channels: 131072 is not between 2 and 131071\n" },
		{ "max_grant_frames = 0",
		  "t.cfg:3: max_grant_frames: 0 is not between 1 and 1024\n" },
		{ "max_maptrack_frames = 4097",
		  "t.cfg:3: max_maptrack_frames: 4097 is not between 0 and 4096\n" },
		{ "max_grant_version = 0",
		  "t.cfg:3: max_grant_version: 0 is not between 1 and 2\n" },
		{ "type = 'hvm'", "t.cfg:3: type: type 'hvm' is not supported, only pv and pvh\n" },
		{ "name = '17'",
		  "t.cfg:3: warning: name: given again; the value of line 1 is ignored\n"
		  "t.cfg:3: name: a domain's name cannot be a number: it would be taken for a "
		  "domid\n" },
	};
	struct xl_config c;
	unsigned int i;
	char text[512];

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		snprintf(text, sizeof(text), MINIMAL "%s\n", cases[i].text);
		assert_int_equal(read_text(&c, text, NULL, 0), -1);
		assert_string_equal(messages, cases[i].messages);
		config_free(&c);
	}
}

static void test_warnings(void **state)
{
	struct xl_config c;

	(void)state;
	assert_int_equal(read_text(&c, MINIMAL "vnuma = 256\n", NULL, 0), 0);
	assert_string_equal(messages, "t.cfg:3: warning: vnuma: Xen's, without effect here\n");
	config_free(&c);
	assert_int_equal(read_text(&c, MINIMAL "colour = 'blue'\nnames = 'x'\nvcp = 3\n", NULL, 0),
			 -1);
	assert_string_equal(messages, "t.cfg:3: warning: colour: unknown key, ignored\n"
				      "t.cfg:4: names: unknown key; did you mean 'name'?\n"
				      "t.cfg:5: warning: vcp: unknown key, ignored\n");
	config_free(&c);
	/* On the command line, too */
	assert_int_equal(read_text(&c, MINIMAL, (char *const[]){ "memroy=256" }, 1), -1);
	assert_non_null(strstr(messages, "memroy: unknown key; did you mean 'memory'?\n"));
	config_free(&c);
	/* What is Xen's is known, however near. */
	assert_int_equal(read_text(&c, MINIMAL "vnuma = 'all'\ncolours = 1\n", NULL, 0), 0);
	config_free(&c);
	/* Nothing of it is what there is here, too. */
	assert_int_equal(read_text(&c,
				   MINIMAL
				   "pci = [ ]\nvfb = []\nbootloader = ''\ndriver_domain = 0\n"
				   "builder = 'generic'\ntee = 'none'\n",
				   NULL, 0),
			 0);
	assert_string_equal(messages, "");
	config_free(&c);
	assert_int_equal(read_text(&c, MINIMAL "cmdline = 'a'\nroot = 'b'\n", NULL, 0), 0);
	assert_string_equal(messages, "t.cfg:3: warning: cmdline: root and extra are ignored when "
				      "cmdline is given\n");
	assert_string_equal(c.cmdline, "a");
	config_free(&c);
}

/* Keys of Xen's that would make the guest another one */
static void test_refused(void **state)
{
	static const struct {
		const char *text, *messages;
	} cases[] = {
		{ "builder = 'hvm'",
		  "t.cfg:3: builder: builder 'hvm' is not supported, only generic and linux\n" },
		{ "pci = [ '00:01.0' ]",
		  "t.cfg:3: pci: not supported: no device can be given to a guest\n" },
		{ "vfb = [ 'vnc=1' ]",
		  "t.cfg:3: vfb: not supported: there are no frame buffers, the console is text\n" },
		{ "bootloader = 'pygrub'",
		  "t.cfg:3: bootloader: kernel is given as well; the kernel comes from one of the "
		  "two\nt.cfg:3: bootloader: there is no disk to boot from\n" },
		{ "bootloader = 'pypxeboot'",
		  "t.cfg:3: bootloader: 'pypxeboot' is not supported, only pygrub: the boot menu on "
		  "the guest's disk\n" },
		{ "bootargs = '--entry=1'",
		  "t.cfg:3: bootargs: not supported: Xen's xl calls it bootloader_args\n" },
		{ "channel = [ 'name=a,connection=pty',\n'name=b,connection=tty' ]",
		  "t.cfg:4: channel: connection 'tty' is neither pty nor socket in "
		  "'name=b,connection=tty'\n" },
		{ "iomem = [ 'f000,1' ]",
		  "t.cfg:3: iomem: not supported: no device can be given to a guest\n" },
	};
	struct xl_config c;
	unsigned int i;
	char text[200];

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		snprintf(text, sizeof(text), MINIMAL "%s\n", cases[i].text);
		assert_int_equal(read_text(&c, text, NULL, 0), -1);
		assert_string_equal(messages, cases[i].messages);
		config_free(&c);
	}
}

static void test_missing(void **state)
{
	struct xl_config c;

	(void)state;
	assert_int_equal(read_text(&c, "memory = 64\n", NULL, 0), -1);
	assert_string_equal(messages, "t.cfg: name: missing, and it has no default\n"
				      "t.cfg: kernel: missing, and it has no default\n");
	config_free(&c);
	messages[0] = '\0';
	assert_int_equal(config_read(&c, "/does/not/exist", NULL, 0, NULL), -1);
	config_free(&c);
}

static void test_overrides(void **state)
{
	char *args[] = { "memory=512", "extra=a b", "name=other" };
	struct xl_config c;

	(void)state;
	assert_int_equal(read_text(&c, MINIMAL "memory = 64\n", args, 3), 0);
	assert_string_equal(messages, "");
	assert_int_equal(c.memory, 512);
	assert_string_equal(c.cmdline, "a b");
	assert_string_equal(c.name, "other");
	config_free(&c);
	args[0] = "vcpus=many";
	assert_int_equal(read_text(&c, MINIMAL, args, 1), -1);
	assert_string_equal(messages, "command line:1: vcpus: 'many' is not a number\n");
	config_free(&c);
}

static void test_names(void **state)
{
	char longest[66];

	(void)state;
	memset(longest, 'a', 65);
	longest[65] = '\0';
	assert_null(config_bad_name("demo-1.2_x+y"));
	assert_non_null(config_bad_name(""));
	assert_non_null(config_bad_name("a/b"));
	assert_non_null(config_bad_name("a b"));
	assert_non_null(config_bad_name(".."));
	assert_non_null(config_bad_name("-p"));
	assert_non_null(config_bad_name("12"));
	assert_non_null(config_bad_name(longest));
	assert_null(config_bad_name(longest + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),  cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_mistakes),  cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_missing),
		cmocka_unit_test(test_overrides), cmocka_unit_test(test_names),
		cmocka_unit_test(test_cpus),	  cmocka_unit_test(test_nics),
	};
	char dir[] = "/tmp/test_config.XXXXXX";
	int rc;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(messages);
	rmdir(dir);
	return rc;
}
