/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tar archive, one entry after the other: POSIX ustar, its pax headers, and GNU's long names.
 * Owns the format; what is done with an entry is the caller's. The archive may be anybody's.
 */
#ifndef OCI_TAR_H
#define OCI_TAR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define TAR_PATH 4096 /* bytes of a path with its NUL */
#define TAR_PAX_BYTES (1 << 20) /* of one entry's additional headers */

struct tar {
	int fd; /* read from where it stands */
	bool seekable; /* content that nobody wants is passed over */
	uint64_t offset; /* of the next byte, from where it began */
	uint64_t left; /* of the present entry's content */
	unsigned int pad; /* behind that */
	char why[160]; /* what is wrong, once a function has said so */
};

struct tar_entry {
	char path[TAR_PATH], link[TAR_PATH];
	char type; /* '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' directory, '6' FIFO, or another */
	mode_t mode; /* permissions only */
	uid_t uid;
	gid_t gid;
	unsigned int major, minor;
	int64_t mtime; /* seconds */
	uint64_t size; /* of the content; 0 unless it is a file */
	uint64_t offset; /* of the content, from the archive's beginning */
};

void tar_begin(struct tar *t, int fd, bool seekable);
/* 1: the next entry; 0: there is none any more; -1: @t->why says what is wrong. */
int tar_next(struct tar *t, struct tar_entry *e);
/* Up to @n bytes of the entry's content; 0 at its end; -1: @t->why. */
ssize_t tar_read(struct tar *t, void *buf, size_t n);

#endif /* OCI_TAR_H */
