// SPDX-License-Identifier: BSD-2-Clause
/*
 * The RISC-V Image header, good and bad.
 * Owns the exact message for each kind of file that is no kernel.
 */
#define _GNU_SOURCE
#include "test.h"

#include <elf.h>
#include <sys/mman.h>

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

/* An ELF file of two segments, code and data with .bss, for addresses from @low on. */
struct elf_file {
	Elf64_Ehdr h;
	Elf64_Phdr p[4];
	uint8_t code[0x1000], data[0x80];
};

static struct elf_file elf_good(uint64_t low)
{
	struct elf_file f = {
		.h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
		       .e_type = ET_EXEC,
		       .e_machine = EM_RISCV,
		       .e_entry = 0xffffffff80000004,
		       .e_phoff = offsetof(struct elf_file, p),
		       .e_phentsize = sizeof(Elf64_Phdr),
		       .e_phnum = 4 },
		.p = { { .p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_memsz = UINT64_MAX },
		       { .p_type = PT_LOAD,
			 .p_flags = PF_R | PF_X,
			 .p_offset = offsetof(struct elf_file, code),
			 .p_vaddr = 0xffffffff80000000,
			 .p_paddr = low,
			 .p_filesz = 0x1000,
			 .p_memsz = 0x1000 },
		       { .p_type = PT_LOAD,
			 .p_flags = PF_R | PF_W,
			 .p_offset = offsetof(struct elf_file, data),
			 .p_vaddr = 0xffffffff80001800,
			 .p_paddr = low + 0x1800,
			 .p_filesz = 0x80,
			 .p_memsz = 0x3000 },
		       { .p_type = PT_LOAD, .p_paddr = 5 } },
	};

	return f;
}

/* As a file, of which only the first @len bytes are there; "" or what is said of it. */
static const char *elf_open(const struct elf_file *f, size_t len, struct pv_image *img)
{
	const struct pv_unpack how = { .limit = PV_MIB, .limit_is = "test" };
	int fd = memfd_create("elf", 0);
	static struct pv_err err;
	char path[40];
	int rc;

	err.text[0] = 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(write(fd, f, len), len);
	rc = pv_image_open(path, &how, img, &err);
	close(fd);
	pv_image_close(img);
	assert_true(!rc == !*err.text);
	return rc ? strchr(err.text, ':') + 2 : "";
}

static void test_elf(void **state)
{
	struct elf_file f = elf_good(GUEST_RAM0_BASE + 0x200000);
	struct pv_image img;

	(void)state;
	assert_string_equal(elf_open(&f, sizeof(f), &img), "");
	assert_true(img.elf);
	assert_int_equal(img.text_offset, 0x200000);
	assert_int_equal(img.size, 0x4800);
	assert_int_equal(img.entry, 4);
	assert_int_equal(img.nr_segments, 2);
	assert_int_equal(img.segment[0].offset, offsetof(struct elf_file, code));
	assert_int_equal(img.segment[0].place, 0);
	assert_int_equal(img.segment[0].size, 0x1000);
	assert_int_equal(img.segment[1].offset, offsetof(struct elf_file, data));
	assert_int_equal(img.segment[1].place, 0x1800);
	assert_int_equal(img.segment[1].size, 0x80);
	/* vmlinux: its place is where its Image's would be */
	f = elf_good(0);
	assert_string_equal(elf_open(&f, sizeof(f), &img),
			    "ELF file for addresses where a guest's memory is not, and not "
			    "Linux's vmlinux");
	header(f.code, 0x400000, 0x4800, 0);
	assert_string_equal(elf_open(&f, sizeof(f), &img), "");
	assert_int_equal(img.text_offset, 0x400000);
	assert_int_equal(img.entry, 4);
	header(f.code, 0x400001, 0x4800, 0);
	assert_string_equal(elf_open(&f, sizeof(f), &img),
			    "RISC-V Image with a bad text_offset (0x400001)");
}

static void test_bad_elf(void **state)
{
	const uint64_t low = GUEST_RAM0_BASE;
	struct elf_file f;
	struct pv_image img;

	(void)state;
#define BAD(change, text) \
	f = elf_good(low); \
	change; \
	assert_string_equal(elf_open(&f, sizeof(f), &img), text)
	f = elf_good(low);
	assert_string_equal(elf_open(&f, 63, &img), "ELF file that is cut short in its header");
	BAD(f.h.e_machine = EM_X86_64, "ELF file, but not of a 64-bit little-endian RISC-V");
	BAD(f.h.e_ident[EI_CLASS] = 1, "ELF file, but not of a 64-bit little-endian RISC-V");
	BAD(f.h.e_ident[EI_DATA] = 2, "ELF file, but not of a 64-bit little-endian RISC-V");
	BAD(f.h.e_type = ET_REL, "ELF file of type 1, which is no program");
#define HEADERS "ELF file whose program headers are not at its beginning, or more than 64"
	BAD(f.h.e_phentsize = 32, HEADERS);
	BAD(f.h.e_phnum = 0, HEADERS);
	BAD(f.h.e_phnum = 65, HEADERS);
	BAD(f.h.e_phoff = 4096 - 3 * sizeof(Elf64_Phdr), HEADERS);
	BAD(f.h.e_phoff = UINT64_MAX - 8, HEADERS);
	BAD(f.h.e_phnum = 1, "ELF file with nothing to load");
	BAD(f.p[1].p_filesz = 0x1001, "ELF file whose segment 1 makes no sense");
	BAD(f.p[2].p_memsz = UINT64_MAX, "ELF file whose segment 2 makes no sense");
	BAD(f.p[2].p_paddr = UINT64_MAX - 8, "ELF file whose segment 2 makes no sense");
	BAD(f.p[2].p_vaddr = UINT64_MAX - 8, "ELF file whose segment 2 makes no sense");
	BAD(f.p[2].p_paddr = low + 0xfff, "ELF file whose segment 2 lies over another");
	BAD(f.p[2].p_paddr = low, "ELF file whose segment 2 lies over another");
	BAD(f.h.e_entry = 0xffffffff80001000, "ELF file whose entry (0xffffffff80001000) is in no "
					      "code of it");
	BAD(f.h.e_entry = 0xffffffff80001800, "ELF file whose entry (0xffffffff80001800) is in no "
					      "code of it");
	BAD(f.h.e_entry++, "ELF file whose entry (0xffffffff80000005) is in no code of it");
	BAD(f.p[2].p_paddr = 0xffffff000,
	    "ELF file for addresses 0x80000000 to 0x1000002000, where "
	    "a guest's memory is not");
	BAD(f.p[2].p_offset += 1,
	    "the file is cut short: its segment 2 ends behind its 4512 bytes");
	BAD(f.p[2].p_offset = UINT64_MAX,
	    "the file is cut short: its segment 2 ends behind its 4512 "
	    "bytes");
	/* Nothing of it is needed for .bss alone. */
	f = elf_good(low);
	f.p[2].p_offset = UINT64_MAX;
	f.p[2].p_filesz = 0;
	assert_string_equal(elf_open(&f, sizeof(f), &img), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	  cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut_short), cmocka_unit_test(test_open),
		cmocka_unit_test(test_unpacked),  cmocka_unit_test(test_elf),
		cmocka_unit_test(test_bad_elf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
