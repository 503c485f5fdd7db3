// SPDX-License-Identifier: BSD-2-Clause
/*
 * The RISC-V Image header, good and bad.
 * Owns the exact message for each kind of file that is no kernel.
 */
#include "test.h"

#include "pavise.h"

static void header(uint8_t h[64], uint64_t text_offset, uint64_t size, uint64_t flags)
{
	memset(h, 0, 64);
	memcpy(h + 8, &text_offset, 8);
	memcpy(h + 16, &size, 8);
	memcpy(h + 24, &flags, 8);
	memcpy(h + 48, "RISCV\0\0\0", 8);
	memcpy(h + 56, "RSC\x05", 4);
}

static void test_good(void **state)
{
	struct pv_err err = { "" };
	struct pv_image img;
	uint8_t h[64];

	(void)state;
	header(h, 0x200000, 0x1800000, 0);
	assert_int_equal(pv_image_parse(h, 64, 0x1000000, "/k", &img, &err), 0);
	assert_int_equal(img.text_offset, 0x200000);
	assert_int_equal(img.size, 0x1800000);
	assert_int_equal(img.file_size, 0x1000000);
	/* image_size 0: the file's */
	header(h, 0, 0, 0);
	assert_int_equal(pv_image_parse(h, 64, 5000, "/k", &img, &err), 0);
	assert_int_equal(img.size, 5000);
	assert_string_equal(err.text, "");
}

static void expect(const void *head, size_t len, uint64_t size, const char *message)
{
	struct pv_err err = { "" };
	struct pv_image img;

	assert_true(pv_image_parse(head, len, size, "/k", &img, &err) < 0);
	assert_string_equal(err.text, message);
}

static void test_bad(void **state)
{
	uint8_t h[64];

	(void)state;
	expect("", 0, 0, "/k: not a RISC-V Image: the file is empty");
	expect("hello", 5, 5, "/k: not a RISC-V Image: the file is shorter than the header");
	memset(h, 0, sizeof(h));
	expect(h, 64, 64, "/k: not a RISC-V Image: there is no \"RSC\\x05\" at offset 56");
	memcpy(h, "\x1f\x8b", 2);
	expect(h, 64, 64,
	       "/k: not a RISC-V Image: it is compressed with gzip once more, and only once is unpacked");
	memcpy(h,
	       "\x7f"
	       "ELF",
	       4);
	expect(h, 64, 64,
	       "/k: not a RISC-V Image: it is an ELF file; use arch/riscv/boot/Image "
	       "instead of vmlinux");
	memset(h, 0, sizeof(h));
	memcpy(h + 56, "ARM\x64", 4);
	expect(h, 64, 64, "/k: not a RISC-V Image: it is an arm64 Image");
	header(h, 0x200000, 0x1000, 1);
	expect(h, 64, 64, "/k: a big-endian RISC-V Image cannot run here");
	header(h, 0x200001, 0x1000, 0);
	expect(h, 64, 64, "/k: RISC-V Image with a bad text_offset (0x200001)");
	header(h, ~0xfffULL, 0x1000, 0);
	expect(h, 64, 64, "/k: RISC-V Image with a bad text_offset (0xfffffffffffff000)");
	header(h, 0x200000, ~0ULL, 0);
	expect(h, 64, 64, "/k: RISC-V Image with a bad size (0xffffffffffffffff)");
	header(h, 0x200000, 0x1000, 0);
	expect(h, 64, 1ULL << 40, "/k: RISC-V Image with a bad size (0x10000000000)");
	/* The magic right at the end, but one byte short. */
	header(h, 0x200000, 0x1000, 0);
	expect(h, 63, 63, "/k: not a RISC-V Image: the file is shorter than the header");
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* Linux with an EFI stub: its PE header says where the file ends. */
static void test_cut_short(void **state)
{
	uint8_t h[PV_IMAGE_HEAD];
	struct pv_err err = { "" };
	struct pv_image img;
	size_t len;

	(void)state;
	memset(h, 0, sizeof(h));
	header(h, 0x200000, 0x700000, 0);
	memcpy(h, "MZ", 2);
	put32(h + 60, 64);
	memcpy(h + 64, "PE\0", 4);
	h[64 + 6] = 2; /* sections */
	h[64 + 20] = 160; /* the optional header's size */
	put32(h + 248 + 16, 0x400000); /* .text: size, place in the file */
	put32(h + 248 + 20, 0x1000);
	put32(h + 288 + 16, 0x100000);
	put32(h + 288 + 20, 0x401000);
	assert_int_equal(pv_image_parse(h, sizeof(h), 0x501000, "/k", &img, &err), 0);
	assert_int_equal(img.size, 0x700000);
	expect(h, sizeof(h), 0x500fff,
	       "/k: the file is cut short: it has 5246975 of at least 5246976 bytes");
	expect(h, sizeof(h), sizeof(h),
	       "/k: the file is cut short: it has 4096 of at least 5246976 bytes");
	/* Headers that make no sense are nobody's business here, and are not read beyond their end. */
	for (len = 64; len < 328; len++) {
		uint8_t *copy = malloc(len);

		memcpy(copy, h, len);
		assert_int_equal(pv_image_parse(copy, len, 0x501000, "/k", &img, &err), 0);
		put32(copy + 60, len - 1);
		assert_int_equal(pv_image_parse(copy, len, 0x1000, "/k", &img, &err), 0);
		free(copy);
	}
	memset(h + 70, 0xff, 200);
	assert_int_equal(pv_image_parse(h, sizeof(h), 0x1000, "/k", &img, &err), 0);
}

static void test_open(void **state)
{
	const struct pv_unpack how = { .limit = PV_MIB, .limit_is = "test" };
	struct pv_err err = { "" };
	struct pv_image img;

	(void)state;
	assert_true(pv_image_open("/does/not/exist", &how, &img, &err) < 0);
	assert_string_equal(err.text, "/does/not/exist: No such file or directory");
	assert_int_equal(img.fd, -1);
	err.text[0] = '\0';
	assert_true(pv_image_open("/tmp", &how, &img, &err) < 0);
	assert_string_equal(err.text, "/tmp: not a regular file");
	assert_int_equal(img.fd, -1);
}

/* What is in a compressed file is what is loaded, and nobody can change it any more. */
static void test_unpacked(void **state)
{
	const struct pv_unpack how = { .limit = 4 * PV_MIB, .limit_is = "test" };
	uint8_t *want = malloc(3 * PV_MIB), *got = malloc(3 * PV_MIB);
	char dir[] = "/tmp/pv-image-XXXXXX", path[64], command[160];
	struct pv_err err = { "" };
	struct pv_image img;
	FILE *f;
	size_t i;

	(void)state;
	for (i = 0; i < 3 * PV_MIB; i++)
		want[i] = i * i >> 7;
	header(want, 0x200000, 0x500000, 0);
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/Image", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(want, PV_MIB, 3, f), 3);
	fclose(f);
	snprintf(command, sizeof(command), "gzip %s", path);
	assert_int_equal(system(command), 0);
	strcat(path, ".gz");
	assert_int_equal(pv_image_open(path, &how, &img, &err), 0);
	assert_string_equal(err.text, "");
	assert_int_equal(img.text_offset, 0x200000);
	assert_int_equal(img.size, 0x500000);
	assert_int_equal(img.file_size, 3 * PV_MIB);
	assert_int_equal(pread(img.fd, got, 3 * PV_MIB, 0), 3 * PV_MIB);
	assert_memory_equal(got, want, 3 * PV_MIB);
	assert_int_equal(pwrite(img.fd, got, 1, 0), -1);
	assert_int_equal(ftruncate(img.fd, PV_MIB), -1);
	pv_image_close(&img);
	unlink(path);
	rmdir(dir);
	free(want);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut_short), cmocka_unit_test(test_open),
		cmocka_unit_test(test_unpacked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
