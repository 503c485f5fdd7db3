// SPDX-License-Identifier: BSD-2-Clause
/*
 * The RISC-V Image header (Linux, Documentation/arch/riscv/boot-image-header.rst).
 * Owns the verdict whether a file can be a guest's kernel (elf.c: an ELF file), and says what it is when it cannot.
 * No hypervisor needed: tested on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "pavise.h"
#include "unpack.h"

#define OFF_TEXT_OFFSET 8
#define OFF_IMAGE_SIZE 16
#define OFF_FLAGS 24
#define OFF_MAGIC2 56
#define OFF_PE 60

/* PE: signature and file header; one entry of the section table */
#define PE_HEADER 24
#define PE_SECTION 40

/* Linux, drivers/firmware/efi/libstub/zboot-header.S */
#define OFF_ZIMG 4
#define OFF_PAYLOAD 8
#define OFF_PAYLOAD_SIZE 12
#define OFF_COMPRESSION 24
#define COMPRESSION_MAX 32

#define FLAG_BIG_ENDIAN 1u

static uint64_t le64(const uint8_t *p)
{
	uint64_t v = 0;
	int i;

	for (i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/*
 * The bytes that the file must have for its PE sections to be whole (PE/COFF specification, "Section Table");
 * a kernel with an EFI stub has such a header. 0: there is none, or it does not fit into @len. Without it
 * nobody knows where the file should end: image_size counts .bss, which is not in it.
 */
static uint64_t pe_size(const uint8_t *h, size_t len)
{
	uint64_t pe = le32(h + OFF_PE), table, size = 0, end;
	unsigned int i, n;

	if (memcmp(h, "MZ", 2) || pe + PE_HEADER > len || memcmp(h + pe, "PE\0", 4))
		return 0;
	n = h[pe + 6] | h[pe + 7] << 8;
	table = pe + PE_HEADER + (h[pe + 20] | h[pe + 21] << 8);
	if (table + n * PE_SECTION > len)
		return 0;
	for (i = 0; i < n; i++, table += PE_SECTION) {
		end = (uint64_t)le32(h + table + 16) + le32(h + table + 20);
		if (end > size)
			size = end;
	}
	return size;
}

static bool is_zboot(const uint8_t *h, size_t len)
{
	return len >= PV_IMAGE_HEADER && !memcmp(h, "MZ", 2) && !memcmp(h + OFF_ZIMG, "zimg", 4);
}

/* RFC 1952, 2.3.1 */
static bool is_gzip(const uint8_t *h, size_t len)
{
	return len >= 2 && h[0] == 0x1f && h[1] == 0x8b;
}

/* RFC 8878, 3.1.1 */
static bool is_zstd(const uint8_t *h, size_t len)
{
	return len >= 4 && !memcmp(h, "\x28\xb5\x2f\xfd", 4);
}

/* What a file that is no Image looks like, with the remedy. */
static const char *describe(const uint8_t *h, size_t len)
{
	if (!len)
		return "the file is empty";
	if (is_gzip(h, len))
		return "it is compressed with gzip once more, and only once is unpacked";
	if (is_zstd(h, len))
		return "it is compressed with zstd once more, and only once is unpacked";
	if (len >= 6 && !memcmp(h,
				"\xfd"
				"7zXZ",
				5))
		return "it is compressed with xz, which is not unpacked here; do so first (unxz)";
	if (is_zboot(h, len))
		return "it is an EFI zboot image, and only once is unpacked";
	if (len >= PV_IMAGE_HEADER && !memcmp(h + OFF_MAGIC2, "ARM\x64", 4))
		return "it is an arm64 Image";
	if (len < PV_IMAGE_HEADER)
		return "the file is shorter than the header";
	return "there is no \"RSC\\x05\" at offset 56";
}

int pv_image_parse(const void *head, size_t len, uint64_t file_size, const char *path,
		   struct pv_image *img, struct pv_err *err)
{
	const uint8_t *h = head;

	img->fd = -1;
	if (len < PV_IMAGE_HEADER || memcmp(h + OFF_MAGIC2, "RSC\x05", 4))
		return pv_fail(err, -ENOEXEC, "%s: not a RISC-V Image: %s", path, describe(h, len));
	if (le64(h + OFF_FLAGS) & FLAG_BIG_ENDIAN)
		return pv_fail(err, -ENOEXEC, "%s: a big-endian RISC-V Image cannot run here",
			       path);
	img->text_offset = le64(h + OFF_TEXT_OFFSET);
	img->size = le64(h + OFF_IMAGE_SIZE);
	img->file_size = file_size;
	if (img->text_offset % PV_PAGE_SIZE || img->text_offset >= PV_IMAGE_LIMIT)
		return pv_fail(err, -ENOEXEC, "%s: RISC-V Image with a bad text_offset (0x%llx)",
			       path, (unsigned long long)img->text_offset);
	if (img->size >= PV_IMAGE_LIMIT || file_size >= PV_IMAGE_LIMIT)
		return pv_fail(err, -ENOEXEC, "%s: RISC-V Image with a bad size (0x%llx)", path,
			       (unsigned long long)(img->size >= PV_IMAGE_LIMIT ? img->size :
										  file_size));
	if (file_size < pe_size(h, len))
		return pv_fail(err, -ENOEXEC,
			       "%s: the file is cut short: it has %llu of at least %llu bytes",
			       path, (unsigned long long)file_size,
			       (unsigned long long)pe_size(h, len));
	/* Old kernels leave image_size 0; then the file is all we know. */
	if (img->size < file_size)
		img->size = file_size;
	img->entry = 0;
	img->elf = false;
	img->nr_segments = 1;
	img->segment[0] = (struct pv_segment){ .size = file_size };
	return 0;
}

static bool is_elf(const uint8_t *head, size_t len)
{
	return len >= 4 && !memcmp(head,
				   "\x7f"
				   "ELF",
				   4);
}

/*
 * vmlinux is made for virtual addresses, and can be anywhere; where it wants to be is in its first segment, which begins as its
 * Image does.
 */
static int place_linux(int fd, const char *path, struct pv_image *img, struct pv_err *err)
{
	const struct pv_segment *s = img->segment;
	uint8_t head[PV_IMAGE_HEADER];
	struct pv_image inner;

	while (s->place)
		s++;
	if (s->size < sizeof(head) ||
	    pread(fd, head, sizeof(head), (off_t)s->offset) != (ssize_t)sizeof(head) ||
	    memcmp(head + OFF_MAGIC2, "RSC\x05", 4))
		return pv_fail(err, -ENOEXEC,
			       "%s: ELF file for addresses where a guest's memory is not, and not "
			       "Linux's vmlinux",
			       path);
	if (pv_image_parse(head, sizeof(head), s->size, path, &inner, err))
		return -ENOEXEC;
	img->text_offset = inner.text_offset;
	return 0;
}

/* What the head of @fd says, which is the file @path or what was in it. */
static int look(int fd, const char *path, struct pv_image *img, struct pv_err *err)
{
	uint8_t head[PV_IMAGE_HEAD];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st))
		return pv_fail(err, -errno, "%s: %s", path, strerror(errno));
	n = pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return pv_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (!is_elf(head, n))
		return pv_image_parse(head, n, st.st_size, path, img, err);
	n = pv_elf_parse(head, n, st.st_size, path, img, err);
	return n == 1 ? place_linux(fd, path, img, err) : (int)n;
}

int pv_zboot_parse(const void *head, size_t len, uint64_t file_size, const char *path,
		   struct pv_part *part, struct pv_err *err)
{
	const uint8_t *h = head;
	char kind[COMPRESSION_MAX + 1] = "", *shown;
	int rc;

	if (!is_zboot(h, len))
		return 0;
	memcpy(kind, h + OFF_COMPRESSION, COMPRESSION_MAX);
	part->offset = le32(h + OFF_PAYLOAD);
	part->size = le32(h + OFF_PAYLOAD_SIZE);
	part->packing = strcmp(kind, "gzip") ? PV_ZSTD : PV_GZIP;
	/* Linux's name has the level that it was packed with. */
	if (part->packing == PV_ZSTD && strcmp(kind, "zstd22") && strcmp(kind, "zstd")) {
		shown = pv_text_show(kind, strlen(kind));
		rc = pv_fail(
			err, -ENOEXEC,
			"%s: EFI zboot image packed with '%s', and only gzip and zstd are unpacked "
			"here; use the Image that it was made of, or a kernel with "
			"CONFIG_KERNEL_GZIP",
			path, shown ? shown : "");
		free(shown);
		return rc;
	}
	if (part->offset < PV_IMAGE_HEADER || part->offset > file_size || !part->size ||
	    part->size > file_size - part->offset)
		return pv_fail(err, -ENOEXEC,
			       "%s: EFI zboot image that is cut short: its kernel should be the "
			       "%llu bytes at %llu, of %llu that there are",
			       path, (unsigned long long)part->size,
			       (unsigned long long)part->offset, (unsigned long long)file_size);
	return 1;
}

/* *fd, of @size bytes, becomes what is in it, if it is compressed: with @part's packing. 1: it was; or 0, or a negative errno. */
static int unpacked(int *fd, uint64_t size, const char *path, struct pv_part *part,
		    const struct pv_unpack *how, struct pv_err *err)
{
	uint8_t head[PV_IMAGE_HEADER];
	ssize_t n = pread(*fd, head, sizeof(head), 0);
	int in;

	if (n < 2)
		return 0;
	*part = (struct pv_part){ .size = size, .packing = is_zstd(head, n) ? PV_ZSTD : PV_GZIP };
	if (!is_gzip(head, n) && !is_zstd(head, n)) {
		in = pv_zboot_parse(head, n, size, path, part, err);
		if (in <= 0)
			return in;
	}
	in = pv_unpack(*fd, part, path, how, err);
	if (in < 0)
		return in;
	close(*fd);
	*fd = in;
	return 1;
}

int pv_image_open(const char *path, const struct pv_unpack *how, struct pv_image *img,
		  struct pv_err *err)
{
	struct pv_part part;
	char name[400];
	struct stat st;
	int fd, rc;

	img->fd = -1;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return pv_fail(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st))
		rc = pv_fail(err, -errno, "%s: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		rc = pv_fail(err, -EINVAL, "%s: not a regular file", path);
	else
		rc = unpacked(&fd, st.st_size, path, &part, how, err);
	if (rc >= 0) {
		snprintf(name, sizeof(name), "%s%s%s", path, rc ? ", unpacked with " : "",
			 rc ? pv_unpack_program(part.packing) : "");
		rc = look(fd, name, img, err);
	}
	if (rc)
		close(fd);
	else
		img->fd = fd;
	return rc;
}

void pv_image_close(struct pv_image *img)
{
	if (img->fd >= 0)
		close(img->fd);
	img->fd = -1;
}
