// SPDX-License-Identifier: BSD-2-Clause
/*
 * Headers of disk images, good and hostile ones: what names another file is refused unless the configuration names that file, and
 * nothing else of a header counts. The headers are made here, byte by byte, as the formats' descriptions have them.
 */
#define _GNU_SOURCE
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "disk_image.h"

#define BYTES (128 << 10)

static char dir[] = "/tmp/test_disk_image.XXXXXX";
static uint8_t image[BYTES];
static char msg[512];

static void big(int at, int bytes, uint64_t n)
{
	while (bytes--) {
		image[at + bytes] = n;
		n >>= 8;
	}
}

static void little(int at, int bytes, uint64_t n)
{
	for (; bytes--; n >>= 8)
		image[at++] = n;
}

static void text(int at, const char *s)
{
	memcpy(image + at, s, strlen(s));
}

static char *path_of(const char *name)
{
	static char path[4][256];
	static int n;

	n = (n + 1) % 4;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static void save(const char *name, size_t bytes)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(image, 1, bytes, f), bytes);
	fclose(f);
}

/* A whole header of a qcow2 image, with no extensions; @backing or NULL. */
static void qcow2(int version, const char *backing)
{
	memset(image, 0, sizeof(image));
	text(0, "QFI\xfb");
	big(4, 4, version);
	big(20, 4, 16);
	big(24, 8, 1 << 20);
	big(36, 4, 1);
	big(40, 8, 0x30000);
	big(48, 8, 0x10000);
	big(56, 4, 1);
	if (version == 3) {
		big(96, 4, 4);
		big(100, 4, 104);
	}
	if (backing) {
		big(8, 8, 1024);
		big(16, 4, strlen(backing));
		text(1024, backing);
	}
}

/* An extension, at the first place. */
static void extension(uint32_t type, const char *data)
{
	big(104, 4, type);
	big(108, 4, strlen(data));
	text(112, data);
}

/* The whole of what xl does with it; NULL: it is taken. */
static const char *verdict(enum image_format f, bool readonly, const char *name,
			   char *const *backing, int nr)
{
	struct image_chain c;
	int rc = image_chain_open(&c, path_of(name), f, readonly, backing, nr, msg, sizeof(msg));

	if (!rc)
		assert_int_equal(c.nr, 1 + nr);
	image_chain_close(&c);
	return rc ? msg : NULL;
}

static void takes(enum image_format f, size_t bytes)
{
	save("x", bytes);
	if (verdict(f, false, "x", NULL, 0))
		fail_msg("%s: %s", image_format_name(f), msg);
}

static void refuses(enum image_format f, size_t bytes, const char *why)
{
	save("x", bytes);
	if (!verdict(f, false, "x", NULL, 0))
		fail_msg("%s taken, expected: %s", image_format_name(f), why);
	if (!strstr(msg, why))
		fail_msg("'%s', expected: %s", msg, why);
}

static void test_qcow2(void **state)
{
	(void)state;
	qcow2(3, NULL);
	takes(IMAGE_QCOW2, BYTES);
	qcow2(2, NULL);
	takes(IMAGE_QCOW2, BYTES);
	/* Internal snapshots are in the file itself; a dirty one QEMU repairs. */
	qcow2(3, NULL);
	big(60, 4, 3);
	big(64, 8, 0x40000);
	big(72, 8, 1);
	takes(IMAGE_QCOW2, BYTES);
	qcow2(3, NULL);
	big(32, 4, 1);
	refuses(IMAGE_QCOW2, BYTES, "is encrypted");
	big(32, 4, 2);
	refuses(IMAGE_QCOW2, BYTES, "is encrypted");
	qcow2(3, NULL);
	extension(0x0537be77, "12345678");
	refuses(IMAGE_QCOW2, BYTES, "is encrypted");
	qcow2(3, NULL);
	big(72, 8, 4);
	refuses(IMAGE_QCOW2, BYTES, "keeps its data in another file (data_file)");
	qcow2(3, NULL);
	extension(0x44415441, "/etc/shadow");
	refuses(IMAGE_QCOW2, BYTES, "keeps its data in another file (data_file)");
	qcow2(3, NULL);
	big(72, 8, 2);
	refuses(IMAGE_QCOW2, BYTES, "is marked as corrupt");
	assert_null(verdict(IMAGE_QCOW2, true, "x", NULL, 0));
	qcow2(1, NULL);
	refuses(IMAGE_QCOW2, BYTES, "is version 1 of qcow, not qcow2: qemu-img convert -f qcow");
	qcow2(4, NULL);
	refuses(IMAGE_QCOW2, BYTES, "is version 4 of qcow");
}

static void test_damaged_qcow2(void **state)
{
	static const struct {
		int at, bytes;
		uint64_t n;
		const char *why;
	} cases[] = {
		{ 20, 4, 8, "damaged header" }, /* clusters of 256 bytes */
		{ 20, 4, 22, "damaged header" },
		{ 20, 4, 0xffffffff, "damaged header" },
		{ 100, 4, 0xffffffff, "damaged header" },
		{ 100, 4, 0, "damaged header" },
		{ 8, 8, 0x10000, "in a damaged header" }, /* the name in another cluster */
		{ 8, 8, 0xffffffffffffffff, "in a damaged header" },
		{ 16, 4, 1024, "in a damaged header" },
		{ 16, 4, 0xffffffff, "in a damaged header" },
		{ 108, 4, 0xffffffff, "its extensions do not end" },
		{ 108, 4, 60000, "its extensions do not end" },
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(cases); i++) {
		qcow2(3, "base");
		extension(0x12345678, "x");
		big(cases[i].at, cases[i].bytes, cases[i].n);
		refuses(IMAGE_QCOW2, BYTES, cases[i].why);
	}
	/* Extensions without end: each is empty. */
	qcow2(3, NULL);
	for (i = 104; i + 8 < 65536; i += 8)
		big(i, 4, 0x12345678);
	refuses(IMAGE_QCOW2, BYTES, "its extensions do not end");
	/* They end where the name begins. */
	qcow2(3, "base");
	extension(0x12345678, "x");
	for (i = 120; i + 8 <= 1024; i += 64) {
		big(i, 4, 0x12345678);
		big(i + 4, 4, i + 64 <= 1024 ? 56 : 1024 - i - 8);
	}
	refuses(IMAGE_QCOW2, BYTES, "is based on 'base'");
	qcow2(3, NULL);
	refuses(IMAGE_QCOW2, 50, "damaged header");
	refuses(IMAGE_QCOW2, 3, "is no qcow2 image");
	refuses(IMAGE_QCOW2, 0, "is no qcow2 image");
	qcow2(3, "with a \nnew line and \033[1mcolours");
	refuses(IMAGE_QCOW2, BYTES, "is based on 'with a  new line and ");
	assert_null(strchr(msg, '\033'));
	assert_null(strchr(msg, '\n'));
	qcow2(3, "base");
	image[1026] = 0;
	refuses(IMAGE_QCOW2, BYTES, "with a zero byte in it");
}

static void test_others(void **state)
{
	(void)state;
	memset(image, 0, sizeof(image));
	text(0, "QED");
	takes(IMAGE_QED, BYTES);
	little(16, 8, 1);
	refuses(IMAGE_QED, BYTES, "in a damaged header");
	little(56, 4, 64);
	little(60, 4, 4);
	text(64, "base");
	refuses(IMAGE_QED, BYTES, "is based on 'base'");

	memset(image, 0, sizeof(image));
	text(0, "KDMV");
	little(4, 4, 1);
	refuses(IMAGE_VMDK, BYTES, "keeps its data in other files");
	little(12, 8, 2048);
	little(28, 8, 1);
	takes(IMAGE_VMDK, BYTES);
	text(600, "parentCID=1\nparentFileNameHint=\"/etc/shadow\"");
	refuses(IMAGE_VMDK, BYTES, "is based on another file");
	memset(image + 512, 0, 1024);
	little(28, 8, 64);
	text(64 * 512 + 10000, "parentFileNameHint=\"/etc/shadow\"");
	refuses(IMAGE_VMDK, BYTES, "is based on another file");
	little(28, 8, 0xffffffffffffffff);
	takes(IMAGE_VMDK, BYTES);
	memset(image, 0, sizeof(image));
	text(0, "# Disk DescriptorFile\nRW 63 FLAT \"/etc/shadow\" 0\n");
	refuses(IMAGE_VMDK, BYTES, "data are in other files");

	memset(image, 0, sizeof(image));
	little(64, 4, 0xbeda107f);
	little(76, 4, 1);
	takes(IMAGE_VDI, BYTES);
	little(76, 4, 4);
	refuses(IMAGE_VDI, BYTES, "a differencing one");

	memset(image, 0, sizeof(image));
	text(0, "conectix");
	big(60, 4, 3);
	takes(IMAGE_VHD, BYTES);
	big(60, 4, 4);
	refuses(IMAGE_VHD, BYTES, "is based on another file");
	memset(image, 0, sizeof(image));
	text(BYTES - 512, "conectix");
	big(BYTES - 512 + 60, 4, 2);
	takes(IMAGE_VHD, BYTES);
	big(BYTES - 512 + 60, 4, 4);
	refuses(IMAGE_VHD, BYTES, "is based on another file");
}

/* What begins as another format, or as nothing, is not taken for the one that was said. */
static void test_wrong_format(void **state)
{
	enum image_format f;

	(void)state;
	for (f = IMAGE_QCOW2; f < IMAGE_FORMATS; f++) {
		char why[32];

		memset(image, 'x', sizeof(image));
		snprintf(why, sizeof(why), "is no %s image", image_format_name(f));
		refuses(f, BYTES, why);
		assert_int_equal(
			image_format_of(image_format_name(f), strlen(image_format_name(f))), f);
	}
	assert_int_equal(image_format_of("qcow2x", 6), IMAGE_UNKNOWN);
	assert_int_equal(image_format_of("qco", 3), IMAGE_UNKNOWN);
	assert_int_equal(image_format_of("", 0), IMAGE_UNKNOWN);
}

static void expect(const char *why, const char *name, char *const *backing, int nr)
{
	const char *got = verdict(IMAGE_QCOW2, false, name, backing, nr);

	if (!got != !why || (why && !strstr(got, why)))
		fail_msg("%s with %d: '%s', expected '%s'", name, nr, got ? got : "taken",
			 why ? why : "taken");
}

/* The configuration and the headers must say the same, all the way down. */
static void test_chains(void **state)
{
	char base[300], raw_base[300], middle[300], other[300], many[300];
	char *list[IMAGE_BACKING_MAX + 1];
	int i;

	(void)state;
	snprintf(base, sizeof(base), "%s/base", dir);
	snprintf(raw_base, sizeof(raw_base), "raw:%s/base", dir);
	snprintf(middle, sizeof(middle), "%s/middle", dir);
	snprintf(other, sizeof(other), "raw:%s/other", dir);
	memset(image, 0, sizeof(image));
	save("base", 4096);
	save("other", 4096);
	qcow2(3, "base");
	save("plain", BYTES);
	extension(0xe2792aca, "raw");
	save("top", BYTES);
	extension(0xe2792aca, "qcow2");
	save("lies", BYTES);
	qcow2(3, base);
	extension(0xe2792aca, "raw");
	save("middle", BYTES);
	qcow2(3, "middle");
	extension(0xe2792aca, "qcow2");
	save("three", BYTES);
	qcow2(3, "itself");
	extension(0xe2792aca, "qcow2");
	save("itself", BYTES);
	qcow2(3, "/etc/shadow");
	extension(0xe2792aca, "raw");
	save("shadow", BYTES);
	qcow2(3, "nbd://host/x");
	save("net", BYTES);
	qcow2(3, "json:{\"driver\":\"file\"}");
	save("json", BYTES);

	expect("is based on 'base', which it gets only if the configuration says so: backing=PATH",
	       "top", NULL, 0);
	list[0] = base;
	expect(NULL, "top", list, 1);
	list[0] = raw_base;
	expect(NULL, "top", list, 1);
	list[0] = other;
	expect("is based on 'base', and the configuration says", "top", list, 1);
	list[0] = base;
	expect("does not say which format", "plain", list, 1);
	list[0] = raw_base;
	expect(NULL, "plain", list, 1);
	/* A raw file never becomes an image because a header says so. */
	expect("is based on an image in format qcow2, and the configuration says raw", "lies", list,
	       1);
	list[0] = base;
	expect("is no qcow2 image", "lies", list, 1);
	list[0] = middle;
	list[1] = base;
	expect(NULL, "three", list, 2);
	expect("is based on '", "three", list, 1);
	expect("is based on 'middle', which", "three", list, 0);
	list[0] = base;
	expect("is based on '/etc/shadow', and the configuration says", "shadow", list, 1);
	expect("is based on '/etc/shadow', which", "shadow", list, 0);
	expect("is based on 'nbd://host/x'", "net", list, 0);
	list[0] = raw_base;
	expect("is based on 'nbd://host/x', and the", "net", list, 1);
	expect("is based on 'json:", "json", list, 1);
	list[1] = base;
	expect("is based on nothing, and the configuration has backing=", "top", list, 2);
	snprintf(many, sizeof(many), "%s/itself", dir);
	for (i = 0; i <= IMAGE_BACKING_MAX; i++)
		list[i] = many;
	expect("more than 16 files", "itself", list, IMAGE_BACKING_MAX + 1);
	expect("which it gets only if", "itself", list, IMAGE_BACKING_MAX);
	/* No files: a directory, a pipe, nothing. */
	assert_int_equal(mkdir(path_of("dir"), 0700), 0);
	assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
	assert_non_null(strstr(verdict(IMAGE_QCOW2, true, "dir", NULL, 0), "not a regular file"));
	assert_non_null(strstr(verdict(IMAGE_QCOW2, true, "pipe", NULL, 0), "not a regular file"));
	assert_non_null(
		strstr(verdict(IMAGE_QCOW2, true, "none", NULL, 0), "cannot open for reading"));
}

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	char line[300];

	(void)state;
	snprintf(line, sizeof(line), "rm -rf '%s'", dir);
	return system(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_qcow2),  cmocka_unit_test(test_damaged_qcow2),
		cmocka_unit_test(test_others), cmocka_unit_test(test_wrong_format),
		cmocka_unit_test(test_chains),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
