/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disk images that are not raw: what they are called, and what their headers say about other files.
 * Owns the reading of headers, which are hostile, and the chain of files that a disk is made of: nothing is opened that
 * the configuration does not name.
 */
#ifndef XL_DISK_IMAGE_H
#define XL_DISK_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum image_format {
	IMAGE_RAW,
	IMAGE_QCOW2,
	IMAGE_QED,
	IMAGE_VMDK,
	IMAGE_VDI,
	IMAGE_VHD,
	IMAGE_FORMATS,
	IMAGE_UNKNOWN = IMAGE_FORMATS,
};

#define IMAGE_BACKING_MAX 16 /* files that a disk is based on */
#define IMAGE_NAME_MAX 1023 /* of one in a header; QEMU's limit */

/* Xen's word for it. */
const char *image_format_name(enum image_format f);
/* What QEMU calls it. */
const char *image_driver(enum image_format f);
/* The format that the first @len bytes of @word name, or IMAGE_UNKNOWN. */
enum image_format image_format_of(const char *word, size_t len);
/* "qcow2:/x" → "/x" and its format; without one IMAGE_UNKNOWN. */
const char *image_backing_path(const char *spec, enum image_format *f);

/* What a header says. */
struct image_head {
	char backing[IMAGE_NAME_MAX + 1]; /* any bytes but 0; "": it is based on nothing */
	enum image_format backing_format; /* IMAGE_UNKNOWN: it does not say */
};

/*
 * Reads the header of the image @fd, which is to have that format. 0, or -1 with the end of a sentence about the image in
 * @msg: it is no such image, or one that needs what nobody is to give it. QEMU has the last word on all else.
 */
int image_read_head(int fd, enum image_format f, bool readonly, struct image_head *head, char *msg,
		    size_t size);

struct image_link {
	const char *path; /* the caller's */
	enum image_format format;
	int fd;
	struct stat st;
};

/* A disk's files: the image itself, then what that is based on. */
struct image_chain {
	int nr;
	struct image_link link[1 + IMAGE_BACKING_MAX];
};

/*
 * Opens the image and what the configuration says it is based on, @backing, and holds the headers against that: each names the
 * next file, the last one none. 0, or -1 with a sentence in @msg; image_chain_close() in any case.
 */
int image_chain_open(struct image_chain *c, const char *path, enum image_format format,
		     bool readonly, char *const *backing, int nr, char *msg, size_t size);
void image_chain_close(struct image_chain *c);

#endif /* XL_DISK_IMAGE_H */
