// SPDX-License-Identifier: BSD-2-Clause
/*
 * Headers of disk images, read to find what other files they name. What they are made of is written down in QEMU's docs/interop
 * (qcow2, qed), and in VMware's, Microsoft's and VirtualBox's descriptions of their own.
 * Owns no more than that: everything else in an image is read by qemu-nbd alone, in its sandbox (image_server.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pavise.h>

#include "disk_image.h"

#define FAIL(...) (snprintf(msg, size, __VA_ARGS__), -1)
#define HEAD 512

static const struct {
	const char *name, *driver;
} formats[IMAGE_FORMATS] = {
	[IMAGE_RAW] = { "raw", "raw" }, [IMAGE_QCOW2] = { "qcow2", "qcow2" },
	[IMAGE_QED] = { "qed", "qed" }, [IMAGE_VMDK] = { "vmdk", "vmdk" },
	[IMAGE_VDI] = { "vdi", "vdi" }, [IMAGE_VHD] = { "vhd", "vpc" },
};

const char *image_format_name(enum image_format f)
{
	return f < IMAGE_FORMATS ? formats[f].name : "?";
}

const char *image_driver(enum image_format f)
{
	return f < IMAGE_FORMATS ? formats[f].driver : "?";
}

enum image_format image_format_of(const char *word, size_t len)
{
	int f;

	for (f = 0; f < IMAGE_FORMATS; f++)
		if (strlen(formats[f].name) == len && !strncmp(formats[f].name, word, len))
			break;
	return f;
}

const char *image_backing_path(const char *spec, enum image_format *f)
{
	size_t n = strcspn(spec, ":/");

	*f = spec[n] == ':' ? image_format_of(spec, n) : IMAGE_UNKNOWN;
	return *f == IMAGE_UNKNOWN ? spec : spec + n + 1;
}

/* --- numbers in headers ---------------------------------------------------------------------- */

static uint64_t big(const uint8_t *p, int bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | *p++;
	return n;
}

static uint64_t little(const uint8_t *p, int bytes)
{
	uint64_t n = 0;

	while (bytes--)
		n = n << 8 | p[bytes];
	return n;
}

static bool read_at(int fd, void *to, size_t len, uint64_t at)
{
	return at < INT64_MAX && pread(fd, to, len, (off_t)at) == (ssize_t)len;
}

/* The name that stands at @at. */
static int read_name(int fd, uint64_t at, uint64_t len, struct image_head *head, char *msg,
		     size_t size)
{
	if (!at || !len)
		return 0;
	if (len > IMAGE_NAME_MAX || !read_at(fd, head->backing, len, at))
		return FAIL("names the file that it is based on in a damaged header");
	head->backing[len] = '\0';
	if (strlen(head->backing) != len)
		return FAIL("names a file that it is based on with a zero byte in it");
	return 0;
}

/* --- the formats ------------------------------------------------------------------------------ */

#define QCOW2_CORRUPT (1 << 1)
#define QCOW2_DATA_FILE (1 << 2)
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_DATA_FILE 0x44415441u
#define QCOW2_EXT_ENCRYPTION 0x0537be77u
#define QCOW2_EXTENSIONS 64 /* there are six kinds */

/* @end: of the first cluster, in which all of them are. */
static int qcow2_extensions(int fd, uint64_t at, uint64_t end, struct image_head *head, char *msg,
			    size_t size)
{
	uint8_t ext[8], word[16];
	uint32_t type, len;
	int n;

	for (n = 0; n < QCOW2_EXTENSIONS; n++) {
		/* Where a file's name stands behind them, there need be no last one. */
		if (at + sizeof(ext) > end)
			return 0;
		if (!read_at(fd, ext, sizeof(ext), at))
			break;
		type = big(ext, 4);
		len = big(ext + 4, 4);
		at += sizeof(ext);
		if (!type)
			return 0;
		if (len > end - at)
			break;
		if (type == QCOW2_EXT_DATA_FILE)
			return FAIL("keeps its data in another file (data_file): qemu-img convert "
				    "makes one file of it");
		if (type == QCOW2_EXT_ENCRYPTION)
			return FAIL("is encrypted, and there is no way to give a key");
		if (type == QCOW2_EXT_BACKING_FORMAT && len <= sizeof(word) &&
		    read_at(fd, word, len, at))
			head->backing_format = image_format_of((char *)word, len);
		at += (len + 7ull) / 8 * 8;
	}
	return FAIL("has a damaged header (its extensions do not end)");
}

static int qcow2_head(int fd, const uint8_t *h, bool readonly, struct image_head *head, char *msg,
		      size_t size)
{
	uint32_t version = big(h + 4, 4), bits = big(h + 20, 4);
	uint64_t backing = big(h + 8, 8), features = version >= 3 ? big(h + 72, 8) : 0, end;
	uint64_t header = version >= 3 ? big(h + 100, 4) : 72;

	if (version == 1)
		return FAIL("is version 1 of qcow, not qcow2: qemu-img convert -f qcow -O qcow2 "
			    "makes a qcow2 image of it");
	if (version != 2 && version != 3)
		return FAIL("is version %u of qcow, not qcow2", version);
	if (bits < 9 || bits > 21 || header < 72 || header > 1u << bits)
		return FAIL("has a damaged header");
	if (big(h + 32, 4))
		return FAIL("is encrypted, and there is no way to give a key");
	if (features & QCOW2_DATA_FILE)
		return FAIL("keeps its data in another file (data_file): qemu-img convert makes "
			    "one file of it");
	if (features & QCOW2_CORRUPT && !readonly)
		return FAIL("is marked as corrupt: qemu-img check -r all repairs it");
	end = 1u << bits;
	if (backing >= end)
		return FAIL("names the file that it is based on in a damaged header");
	if (read_name(fd, backing, big(h + 16, 4), head, msg, size))
		return -1;
	return qcow2_extensions(fd, header, backing ? backing : end, head, msg, size);
}

#define QED_BACKING (1 << 0)
#define QED_BACKING_RAW (1 << 2)

static int qed_head(int fd, const uint8_t *h, struct image_head *head, char *msg, size_t size)
{
	uint64_t features = little(h + 16, 8);

	if (!(features & QED_BACKING))
		return 0;
	if (features & QED_BACKING_RAW)
		head->backing_format = IMAGE_RAW;
	if (!little(h + 56, 4) || !little(h + 60, 4))
		return FAIL("names the file that it is based on in a damaged header");
	return read_name(fd, little(h + 56, 4), little(h + 60, 4), head, msg, size);
}

#define VMDK_DESCRIPTOR 0x200 /* where QEMU looks for it, whatever the header says */
#define VMDK_DESCRIPTOR_BYTES (20 * 512)

static bool vmdk_has_parent(int fd, uint64_t at)
{
	static const char word[] = "parentFileNameHint";
	char text[VMDK_DESCRIPTOR_BYTES];
	ssize_t n = at < INT64_MAX ? pread(fd, text, sizeof(text), (off_t)at) : -1;

	return n > 0 && memmem(text, n, word, sizeof(word) - 1);
}

static int vmdk_head(int fd, const uint8_t *h, char *msg, size_t size)
{
	uint64_t descriptor = little(h + 28, 8);

	if (!little(h + 12, 8))
		return FAIL("keeps its data in other files: qemu-img convert makes one file of it");
	if (vmdk_has_parent(fd, VMDK_DESCRIPTOR) ||
	    (descriptor < INT64_MAX / 512 && vmdk_has_parent(fd, descriptor * 512)))
		return FAIL("is based on another file, which is not supported for vmdk: qemu-img "
			    "convert makes one file of them");
	return 0;
}

static int vhd_head(int fd, const uint8_t *h, char *msg, size_t size)
{
	uint8_t footer[HEAD];
	struct stat st;

	/* Of a fixed one there is only the footer. */
	if (memcmp(h, "conectix", 8)) {
		if (fstat(fd, &st) || st.st_size < HEAD ||
		    !read_at(fd, footer, sizeof(footer), st.st_size - HEAD) ||
		    memcmp(footer, "conectix", 8))
			return FAIL("is no vhd image");
		h = footer;
	}
	if (big(h + 60, 4) == 4)
		return FAIL("is based on another file, which is not supported for vhd: qemu-img "
			    "convert makes one file of them");
	return 0;
}

static int vdi_head(const uint8_t *h, char *msg, size_t size)
{
	uint32_t type = little(h + 76, 4);

	return type == 1 || type == 2 ?
		       0 :
		       FAIL("is neither a dynamic nor a static vdi image: a differencing one is "
			    "based on another file, which is not supported");
}

int image_read_head(int fd, enum image_format f, bool readonly, struct image_head *head, char *msg,
		    size_t size)
{
	static const struct {
		enum image_format format;
		int at;
		const char *magic;
	} begins[] = {
		{ IMAGE_QCOW2, 0, "QFI\xfb" },
		{ IMAGE_VMDK, 0, "KDMV" },
		{ IMAGE_VDI, 64, "\x7f\x10\xda\xbe" },
	};
	uint8_t h[HEAD] = { 0 };
	unsigned int i;

	memset(head, 0, sizeof(*head));
	head->backing_format = IMAGE_UNKNOWN;
	if (f == IMAGE_RAW)
		return 0;
	if (pread(fd, h, sizeof(h), 0) < 0)
		return FAIL("cannot be read: %s", strerror(errno));
	if (f == IMAGE_VMDK && !memcmp(h, "# Disk D", 8))
		return FAIL("only describes a disk whose data are in other files: qemu-img convert "
			    "makes one file of it");
	for (i = 0; i < sizeof(begins) / sizeof(*begins); i++)
		if (begins[i].format == f && memcmp(h + begins[i].at, begins[i].magic, 4))
			return FAIL("is no %s image", image_format_name(f));
	if (f == IMAGE_QED && memcmp(h, "QED", 4))
		return FAIL("is no qed image");
	switch (f) {
	case IMAGE_QCOW2:
		return qcow2_head(fd, h, readonly, head, msg, size);
	case IMAGE_QED:
		return qed_head(fd, h, head, msg, size);
	case IMAGE_VMDK:
		return vmdk_head(fd, h, msg, size);
	case IMAGE_VHD:
		return vhd_head(fd, h, msg, size);
	case IMAGE_VDI:
		return vdi_head(h, msg, size);
	default:
		return FAIL("has a format that is not known");
	}
}

/* --- the chain -------------------------------------------------------------------------------- */

#define NAME_SHOWN 256

/* Fit for a terminal and one line; a long name is cut. */
static const char *show_name(char *out, const char *name)
{
	char *text = pv_text_show(name, strlen(name)), *p;

	snprintf(out, NAME_SHOWN, "%s", text ? text : "?");
	free(text);
	for (p = out; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	return out;
}

/* Is the file that the header of @path names @st? A name without / in front is beside the image. */
static bool is_named(const char *path, const char *name, const struct stat *st)
{
	const char *slash = strrchr(path, '/');
	struct stat there;
	char *full;
	bool is;

	if (asprintf(&full, "%.*s%s", *name == '/' ? 0 : (int)(slash - path + 1), path, name) < 0)
		abort();
	is = !stat(full, &there) && there.st_dev == st->st_dev && there.st_ino == st->st_ino;
	free(full);
	return is;
}

static int open_link(struct image_chain *c, const char *path, bool readonly, char *msg, size_t size)
{
	struct image_link *l = &c->link[c->nr];

	l->path = path;
	l->fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (l->fd < 0)
		return FAIL("%s: cannot open for %s: %s", path, readonly ? "reading" : "writing",
			    strerror(errno));
	c->nr++;
	if (fstat(l->fd, &l->st) || !S_ISREG(l->st.st_mode))
		return FAIL("%s: not a regular file, as an image is", path);
	return 0;
}

/* What the header says of the file below must be what the configuration says: @next is that, or NULL. */
static int check_link(const struct image_chain *c, const char *next, enum image_format stated,
		      const struct image_head *head, enum image_format *format, char *msg,
		      size_t size)
{
	const struct image_link *l = &c->link[c->nr - 1];
	char name[NAME_SHOWN];

	if (!next && *head->backing)
		return FAIL("%s is based on '%s', which it gets only if the configuration says so: "
			    "backing=PATH",
			    l->path, show_name(name, head->backing));
	if (!next)
		return 0;
	if (!*head->backing)
		return FAIL("%s is based on nothing, and the configuration has backing=%s", l->path,
			    next);
	*format = stated == IMAGE_UNKNOWN ? head->backing_format : stated;
	if (*format == IMAGE_UNKNOWN)
		return FAIL("%s does not say which format %s has, and nobody guesses: "
			    "backing=raw:%s, or qcow2:, ...",
			    l->path, next, next);
	if (head->backing_format != IMAGE_UNKNOWN && head->backing_format != *format)
		return FAIL("%s is based on an image in format %s, and the configuration says %s",
			    l->path, image_format_name(head->backing_format),
			    image_format_name(*format));
	return 0;
}

int image_chain_open(struct image_chain *c, const char *path, enum image_format format,
		     bool readonly, char *const *backing, int nr, char *msg, size_t size)
{
	char why[256], name[NAME_SHOWN];
	struct image_head head;
	enum image_format stated;
	const char *next;
	int i;

	c->nr = 0;
	if (nr > IMAGE_BACKING_MAX)
		return FAIL("more than %d files for one disk", IMAGE_BACKING_MAX);
	for (i = 0;; i++) {
		if (open_link(c, path, readonly || i, msg, size))
			return -1;
		c->link[i].format = format;
		if (i && !is_named(c->link[i - 1].path, head.backing, &c->link[i].st))
			return FAIL("%s is based on '%s', and the configuration says %s: qemu-img "
				    "rebase -u changes what the image says",
				    c->link[i - 1].path, show_name(name, head.backing), path);
		if (image_read_head(c->link[i].fd, format, readonly || i, &head, why, sizeof(why)))
			return FAIL("%s %s", path, why);
		next = i < nr ? image_backing_path(backing[i], &stated) : NULL;
		if (check_link(c, next, stated, &head, &format, msg, size))
			return -1;
		if (!next)
			return 0;
		path = next;
	}
}

void image_chain_close(struct image_chain *c)
{
	while (c->nr > 0)
		close(c->link[--c->nr].fd);
}
