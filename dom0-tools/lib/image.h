/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What image.c and elf.c share; pavise.h has what others call.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct pv_image;
struct pv_err;

/* The program that unpacks it. */
enum pv_packing { PV_GZIP, PV_ZSTD };

/* Of a file: where what is to be unpacked lies. */
struct pv_part {
	uint64_t offset, size;
	enum pv_packing packing;
};

/* Nothing sane is larger; it keeps sums of sizes far from wrapping. */
#define PV_IMAGE_LIMIT (1ULL << 31)

/*
 * As pv_image_parse(), of a file that begins as an ELF file does. 1: its addresses are not a guest's, so it must be Linux, whose
 * first segment begins as an Image does; img->text_offset is not yet known then.
 */
int pv_elf_parse(const void *head, size_t len, uint64_t file_size, const char *path,
		 struct pv_image *img, struct pv_err *err);

/*
 * An EFI application that unpacks Linux and starts it (CONFIG_EFI_ZBOOT). @head: the file's first @len bytes. 1: it is one, and
 * *part is within the file's @file_size bytes; 0: it is none; or a negative errno with a text: it cannot be unpacked.
 */
int pv_zboot_parse(const void *head, size_t len, uint64_t file_size, const char *path,
		   struct pv_part *part, struct pv_err *err);

#endif
