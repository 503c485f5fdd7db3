// SPDX-License-Identifier: BSD-2-Clause
/*
 * Raw files as disks that can have snapshots (disk_store.h).
 * Owns that a file is there whole or not at all, and that what a guest can read beside its own is nobody's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "disk_store.h"
#include "xl.h"

#define PIECE (1u << 20)

/* The tests' file systems cannot. */
#ifndef STORE_SHARE
#define STORE_SHARE(to, from) ioctl(to, FICLONE, from)
#endif

/* Bytes @at to @end - 1. 0 or -errno. */
static int copy_data(int from, int to, off_t at, off_t end)
{
	static char bytes[PIECE];
	ssize_t n;

	while (at < end) {
		if (xl_interrupted)
			return -EINTR;
		n = pread(from, bytes, end - at < PIECE ? (size_t)(end - at) : PIECE, at);
		/* What is not taken of a piece is read again. */
		if (n > 0)
			n = pwrite(to, bytes, n, at);
		if (n <= 0)
			return n ? -errno : -EIO;
		at += n;
	}
	return 0;
}

/* Without its holes. */
static int copy_file(int from, int to, off_t size)
{
	off_t at = 0, end;
	int rc = ftruncate(to, size) ? -errno : 0;

	while (!rc && at < size) {
		at = lseek(from, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : -errno;
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return -errno;
		rc = copy_data(from, to, at, end);
		at = end;
	}
	return rc;
}

static int fill(int from, int to, const struct stat *st, bool copy)
{
	int rc = fchown(to, st->st_uid, st->st_gid) || fchmod(to, st->st_mode & 07777) ? -errno : 0;

	if (rc || !STORE_SHARE(to, from))
		return rc;
	rc = errno == EXDEV || errno == EINVAL || errno == ENOTTY || errno == ENOSYS ? -EOPNOTSUPP :
										       -errno;
	return rc == -EOPNOTSUPP && copy ? copy_file(from, to, st->st_size) : rc;
}

int disk_store_clone(const char *from, const char *to, bool copy)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out, rc;
	struct stat st;

	if (in < 0 || fstat(in, &st) || !S_ISREG(st.st_mode)) {
		rc = in < 0 ? -errno : -EOPNOTSUPP;
		if (in >= 0)
			close(in);
		return rc;
	}
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = out < 0 ? -errno : fill(in, out, &st, copy);
	if (out >= 0 && close(out) && !rc)
		rc = -errno;
	if (rc && out >= 0)
		unlink(to);
	close(in);
	return rc;
}

int disk_store_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc ? rc : xl_sync_directory(path);
}
