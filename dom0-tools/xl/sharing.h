/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which bytes a disk stands for, whatever name they were given by, and who else has them.
 * Owns the rule: readers share, a writer is alone. dom0 itself counts.
 */
#ifndef XL_SHARING_H
#define XL_SHARING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A device's number or a file's inode: "b:8:1", "f:2049:12". */
#define SHARING_ID_LEN 48

#define SHARING_READ "r:"

struct sharing_id {
	char text[SHARING_ID_LEN];
	bool below_fs; /* reached through the file system that a file lies in */
	/* What an image is based on is only read there; its text begins with SHARING_READ. */
};

/*
 * What a disk is made of: itself first, then what that lies on: a partition's disk, the members of a
 * device-mapper or md device, a loop device's file, the device of a file's file system. A loop device is
 * its file, at whatever offset; a network block device of this machine's (qemu-nbd) is its image, whatever the
 * format, and lies on all files that its server has open: those that the image is based on. Of our own (image_server.c) these
 * are known to be read only.
 */
struct sharing {
	struct sharing_id *id;
	int nr;
};

/* @path: a regular file or block device; links are followed. 0 or -errno. sharing_free() in any case. */
int sharing_of_path(const char *path, struct sharing *s);
int sharing_of_device(dev_t dev, struct sharing *s);
/* The file @st is what the disk @s is based on, and only reads. */
void sharing_add_base(struct sharing *s, const struct stat *st);
void sharing_free(struct sharing *s);

/* For keeping in xenstore, the disk itself first, separated by spaces. The caller frees. */
char *sharing_key(const struct sharing *s);
/* Would one of the two, of which some may only read, write what the other is or lies on, wholly or in part? */
bool sharing_clash(const struct sharing *s, bool readonly, const char *key, bool key_readonly);

/*
 * Does dom0 itself use these bytes, so that a guest must not write (or, with @readonly, read) them? A sentence's
 * end ("is mounted in dom0 at /mnt"; the caller frees), or NULL.
 */
char *sharing_dom0_use(const struct sharing *s, bool readonly);

/* The first line of a file, of sysfs as a rule, or NULL. The caller frees. */
char *sharing_line(const char *path);

#endif /* XL_SHARING_H */
