// SPDX-License-Identifier: BSD-2-Clause
/*
 * What names of disks stand for, in a sysfs of the test's own: a disk sdb with two partitions, LVs on the
 * second one, a md device, loop devices on a file, their partitions.
 * Owns the cases of one set of bytes under two names.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "sharing.h"

static char root[1024]; /* the machine: SHARING_ROOT, below the directory of this program */

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void sh(const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	int n = snprintf(line, sizeof(line), "set -e; cd '%s'; ", root);

	va_start(ap, fmt);
	vsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	assert_int_equal(system(line), 0);
}

/* A block device as sysfs shows it; @in: the disk's name, for a partition. */
static void device(const char *name, const char *number, const char *in)
{
	sh("mkdir -p sys/devices/%s%s%s; echo %s > sys/devices/%s%s%s/dev", in, *in ? "/" : "",
	   name, number, in, *in ? "/" : "", name);
	if (*in)
		sh("echo 1 > sys/devices/%s/%s/partition", in, name);
	sh("mkdir -p sys/dev/block sys/class/block; "
	   "ln -s ../../devices/%s%s%s sys/dev/block/%s; ln -s ../../devices/%s%s%s sys/class/block/%s",
	   in, *in ? "/" : "", name, number, in, *in ? "/" : "", name, name);
}

static void member(const char *holder, const char *slave)
{
	sh("mkdir -p sys/devices/%s/slaves; ln -s ../../../class/block/%s sys/devices/%s/slaves/%s",
	   holder, slave, holder, slave);
}

/* A descriptor of qemu-nbd's, as /proc shows it. */
static void opened(int pid, int fd, const char *file, const char *flags)
{
	sh("mkdir -p proc/%d/fd proc/%d/fdinfo; ln -s '%s/%s' proc/%d/fd/%d; "
	   "printf 'pos:\\t0\\nflags:\\t%s\\nmnt_id:\\t20\\n' > proc/%d/fdinfo/%d",
	   pid, pid, root, file, pid, fd, flags, pid, fd);
}

/* Network block devices: a1 and a2 are written, both based on base, a1 also by a second server; r1 reads a1. */
static void network_devices(void)
{
	static const struct {
		const char *name, *number;
		int pid;
		const char *image, *flags;
	} nbd[] = {
		{ "nbd0", "43:0", 100, "images/a1", "02100002" },
		{ "nbd1", "43:32", 101, "images/a2", "02100002" },
		{ "nbd2", "43:64", 102, "images/a1", "02100002" },
		{ "nbd3", "43:96", 103, "images/a1", "02100000" },
	};
	unsigned int i;

	sh("for f in a1 a2; do printf %%100000s x > images/$f; done; printf %%200000s x > images/base; "
	   "printf %%300000s x > images/log; echo 100 > images/pid");
	for (i = 0; i < count_of(nbd); i++) {
		device(nbd[i].name, nbd[i].number, "");
		sh("echo %d > sys/devices/%s/pid", nbd[i].pid, nbd[i].name);
		opened(nbd[i].pid, 2, "images/log", "0102001");
		opened(nbd[i].pid, 9, "images/pid", "0100002");
		opened(nbd[i].pid, 10, nbd[i].image, nbd[i].flags);
		opened(nbd[i].pid, 11, "images/base", "02100000");
	}
	/* As root: it has the device itself open, too. */
	sh("mkdir dev; mknod dev/nbd1 b 43 32 2>/dev/null || true");
	opened(101, 5, "dev/nbd1", "02100002");
	device("nbd4", "43:128", "");
	sh("echo ../../etc > sys/devices/nbd4/pid");
	device("nbd5", "43:160", "");
	device("nbd6", "43:192", "");
}

static int setup(void **state)
{
	char line[4096];

	(void)state;
	snprintf(root, sizeof(root), "%s", SHARING_ROOT);
	assert_true(strlen(root) > 10);
	snprintf(line, sizeof(line), "rm -rf '%s' && mkdir -p '%s/proc/self' '%s/images'", root,
		 root, root);
	assert_int_equal(system(line), 0);
	device("sdb", "8:16", "");
	device("sdb1", "8:17", "sdb");
	device("sdb2", "8:18", "sdb");
	device("sdc", "8:32", "");
	device("sdd", "8:48", "");
	device("dm-0", "253:0", "");
	device("dm-1", "253:1", "");
	device("md0", "9:0", "");
	device("loop0", "7:0", "");
	device("loop0p1", "259:0", "loop0");
	device("loop1", "7:1", "");
	device("loop9", "7:9", "");
	member("dm-0", "sdb2");
	member("dm-1", "sdb2");
	member("md0", "sdc");
	sh("echo x > images/a; ln images/a images/hard; ln -s a images/soft; echo y > images/b");
	sh("mkdir sys/devices/loop0/loop sys/devices/loop1/loop; "
	   "echo '%s/images/a' > sys/devices/loop0/loop/backing_file; "
	   "echo '%s/images/hard' > sys/devices/loop1/loop/backing_file",
	   root, root);
	sh(": > proc/self/mountinfo; : > proc/swaps");
	network_devices();
	return 0;
}

/* "8:17" or the name of a file */
static struct sharing of(const char *what)
{
	struct sharing s;
	unsigned int maj, min;
	char path[2048];

	if (sscanf(what, "%u:%u", &maj, &min) == 2) {
		assert_int_equal(sharing_of_device(makedev(maj, min), &s), 0);
	} else {
		snprintf(path, sizeof(path), "%s/%s", root, what);
		assert_int_equal(sharing_of_path(path, &s), 0);
	}
	return s;
}

/* Both orders: one has it, the other wants it. */
static void expect(const char *a, const char *b, bool same)
{
	struct sharing one = of(a), two = of(b);
	char *first = sharing_key(&one), *second = sharing_key(&two);

	if (sharing_clash(&one, false, second, true) != same ||
	    sharing_clash(&two, true, first, false) != same ||
	    sharing_clash(&one, true, second, true))
		fail_msg("%s is %s, %s is %s: expected %s", a, first, b, second,
			 same ? "the same bytes" : "different ones");
	free(first);
	free(second);
	sharing_free(&one);
	sharing_free(&two);
}

static void test_same_bytes(void **state)
{
	(void)state;
	expect("images/a", "images/hard", true);
	expect("images/a", "images/soft", true);
	expect("images/a", "7:0", true);
	expect("7:0", "7:1", true); /* two loop devices, two names, one file */
	expect("images/hard", "259:0", true); /* a partition of a loop device */
	expect("7:1", "259:0", true);
	expect("8:16", "8:17", true);
	expect("8:16", "253:0", true); /* an LV on a partition of the disk */
	expect("8:18", "253:1", true);
	expect("8:32", "9:0", true);
	expect("8:16", "8:16", true);
}

static void test_network_block_devices(void **state)
{
	(void)state;
	expect("43:0", "images/a1", true);
	expect("43:32", "images/a2", true);
	expect("43:0", "43:0", true);
	expect("43:0", "43:64", true); /* two servers of one image */
	expect("43:0", "43:96", true); /* one of them reads only */
	expect("43:0", "images/base", true); /* what it is based on must not change under it */
	expect("43:32", "images/base", true);
	expect("43:0", "43:32", false); /* two images may be based on one */
	expect("43:0", "images/log", false);
	expect("43:0", "images/a2", false);
	expect("43:128", "43:0", false); /* no server: a device like any other */
	expect("43:128", "43:128", true);
}

/* xl's own, whose name has the files: nobody looks for a process. */
static void test_own_devices(void **state)
{
	struct sharing base = of("images/base"), own, other;
	char *key, *base_key = sharing_key(&base);
	struct stat st[3];
	char path[2048];
	unsigned int i;

	(void)state;
	static const char *const files[] = { "images/a1", "images/a2", "images/base" };

	for (i = 0; i < count_of(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, files[i]);
		assert_int_equal(stat(path, &st[i]), 0);
	}
	for (i = 0; i < 2; i++)
		sh("echo 'pavise /local/domain/0/backend/vbd/1/%u f:%lu:%lu f:%lu:%lu' > sys/devices/nbd%u/backend; "
		   "echo 999999 > sys/devices/nbd%u/pid",
		   i, (unsigned long)st[i].st_dev, (unsigned long)st[i].st_ino,
		   (unsigned long)st[2].st_dev, (unsigned long)st[2].st_ino, i + 5, i + 5);
	expect("43:160", "images/a1", true);
	expect("43:160", "43:160", true);
	expect("43:160", "43:0", true); /* somebody else's server has the image, too */
	expect("43:160", "images/a2", false);
	expect("43:160", "43:192", false); /* two images may be based on one */
	own = of("43:160");
	key = sharing_key(&own);
	/* What it is based on may be read, by many, and not written. */
	assert_false(sharing_clash(&base, true, key, false));
	assert_false(sharing_clash(&own, false, base_key, true));
	assert_true(sharing_clash(&base, false, key, false));
	assert_true(sharing_clash(&base, false, key, true));
	assert_true(sharing_clash(&own, true, base_key, false));
	free(key);
	/* The same from the files themselves, as xl knows it before there is a device. */
	other = of("images/a2");
	sharing_add_base(&other, &st[2]);
	key = sharing_key(&other);
	assert_false(sharing_clash(&own, false, key, false));
	assert_true(sharing_clash(&base, false, key, true));
	assert_false(sharing_clash(&base, true, key, false));
	assert_non_null(strstr(key, " r:f:"));
	free(key);
	free(base_key);
	sharing_free(&own);
	sharing_free(&other);
	sharing_free(&base);
}

static void test_different_bytes(void **state)
{
	(void)state;
	expect("images/a", "images/b", false);
	expect("images/b", "7:0", false);
	expect("8:17", "8:18", false);
	expect("8:17", "253:0", false);
	expect("253:0", "253:1", false); /* two LVs of one group */
	expect("8:16", "8:32", false);
	expect("7:9", "7:0", false);
	expect("8:1", "8:17", false); /* ids are compared whole */
}

/* Who has the device of a file system has the files in it; two files of one have nothing in common. */
static void test_file_system(void **state)
{
	struct stat st;
	char path[2048], number[32];

	(void)state;
	snprintf(path, sizeof(path), "%s/images/a", root);
	assert_int_equal(stat(path, &st), 0);
	snprintf(number, sizeof(number), "%u:%u", major(st.st_dev), minor(st.st_dev));
	expect("images/a", number, false);
	device("root", number, "");
	expect("images/a", number, true);
	expect("images/a", "images/b", false);
	/* It is mounted, of course: that is no use of the file. */
	sh("echo '1 0 %s / / rw - ext4 /dev/root rw' > proc/self/mountinfo", number);
	struct sharing s = of("images/a"), disk = of(number);
	char *text;

	assert_null(sharing_dom0_use(&s, false));
	text = sharing_dom0_use(&disk, false);
	assert_string_equal(text, "is mounted in dom0 at /");
	free(text);
	sharing_free(&s);
	sharing_free(&disk);
	sh("rm sys/dev/block/%s sys/class/block/root; : > proc/self/mountinfo", number);
}

static void used(const char *what, bool readonly, const char *how)
{
	struct sharing s = of(what);
	char *text = sharing_dom0_use(&s, readonly);

	if (!text != !how || (text && !strstr(text, how)))
		fail_msg("%s: '%s', expected '%s'", what, text ? text : "free", how ? how : "free");
	free(text);
	sharing_free(&s);
}

static void mounted(const char *number, const char *options)
{
	sh("printf '%%s\\n' '30 1 %s / /mnt\\040x rw,noatime shared:1 - ext4 /dev/x %s' > proc/self/mountinfo",
	   number, options);
}

static void test_mounts(void **state)
{
	(void)state;
	used("8:17", false, NULL);
	mounted("8:17", "rw,errors=continue");
	used("8:17", false, "is mounted in dom0 at /mnt x");
	used("8:17", true, "is mounted in dom0 at /mnt x");
	used("8:16", false, "is mounted in dom0 at /mnt x"); /* a partition of the disk */
	used("8:18", true, NULL); /* another partition */
	mounted("8:16", "rw");
	used("8:17", false, "is mounted"); /* the disk of the partition */
	mounted("8:17", "ro");
	used("8:17", false, "is mounted");
	used("8:17", true, NULL);
	used("8:16", true, NULL);
	mounted("7:0", "rw"); /* a loop device; it is the file that counts, by any name */
	used("images/a", false, "is mounted");
	used("images/hard", false, "is mounted");
	used("7:1", false, "is mounted");
	used("259:0", false, "is mounted");
	used("images/b", false, NULL);
	mounted("259:0", "rw"); /* its partition */
	used("images/soft", false, "is mounted");
	mounted("253:0", "rw"); /* an LV */
	used("8:18", true, "is mounted");
	used("8:16", true, "is mounted");
	used("253:1", false, NULL);
	sh(": > proc/self/mountinfo");
}

static void test_swap(void **state)
{
	(void)state;
	sh("printf 'Filename\\tType\\n%%s/images/a\\tfile 1 0\\n' '%s' > proc/swaps", root);
	used("images/hard", false, "is dom0's swap");
	used("7:0", true, "is dom0's swap");
	used("images/b", false, NULL);
	sh(": > proc/swaps");
}

static void test_holders(void **state)
{
	(void)state;
	used("8:18", false, "is part of dm-");
	used("8:16", false, "is part of dm-");
	used("8:32", false, "is part of md0");
	used("8:32", true, NULL); /* a reader does no harm */
	used("8:17", false, NULL);
	used("253:0", false, NULL);
	used("9:0", false, NULL);
	used("images/a", false, NULL); /* a loop device alone writes nothing */
	used("7:0", false, NULL);
	used("8:48", false, NULL);
}

static void test_bad(void **state)
{
	struct sharing s;

	(void)state;
	assert_int_equal(sharing_of_path("/nowhere/at/all", &s), -ENOENT);
	sharing_free(&s);
	assert_int_equal(sharing_of_path("/", &s), -EINVAL);
	assert_false(sharing_clash(&s, false, "b:8:1", false));
	sharing_free(&s);
	/* A device made of itself, by some broken driver */
	member("sdd", "sdd");
	used("8:48", false, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes),  cmocka_unit_test(test_different_bytes),
		cmocka_unit_test(test_file_system), cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_swap),	    cmocka_unit_test(test_holders),
		cmocka_unit_test(test_bad),	    cmocka_unit_test(test_network_block_devices),
		cmocka_unit_test(test_own_devices),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
