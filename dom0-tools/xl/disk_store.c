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

static int fill(int from, int to, off_t size, bool copy)
{
	int rc;

	if (!STORE_SHARE(to, from))
		return 0;
	rc = errno == EXDEV || errno == EINVAL || errno == ENOTTY || errno == ENOSYS ? -EOPNOTSUPP :
										       -errno;
	return rc == -EOPNOTSUPP && copy ? copy_file(from, to, size) : rc;
}

/* A descriptor, or -errno. */
static int open_file(const char *path, int flags, struct stat *st)
{
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
	int rc = fd < 0 || fstat(fd, st) ? -errno : S_ISREG(st->st_mode) ? 0 : -EOPNOTSUPP;

	if (rc && fd >= 0)
		close(fd);
	return rc ? rc : fd;
}

int disk_store_make(const char *from, const char *to)
{
	struct stat st;
	int in = open_file(from, O_RDONLY, &st), out, rc;

	if (in < 0)
		return in;
	close(in);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		return -errno;
	rc = fchown(out, st.st_uid, st.st_gid) || fchmod(out, st.st_mode & 07777) ||
			     ftruncate(out, st.st_size) ?
		     -errno :
		     0;
	close(out);
	if (rc)
		unlink(to);
	return rc;
}

int disk_store_fill(const char *from, const char *to, bool copy)
{
	struct stat st, there;
	int in = open_file(from, O_RDONLY, &st), out, rc;

	if (in < 0)
		return in;
	out = open_file(to, O_WRONLY, &there);
	rc = out < 0 ? out : fill(in, out, st.st_size, copy);
	if (out >= 0 && close(out) && !rc)
		rc = -errno;
	close(in);
	return rc;
}

int disk_store_clone(const char *from, const char *to, bool copy)
{
	int rc = disk_store_make(from, to);

	if (rc)
		return rc;
	rc = disk_store_fill(from, to, copy);
	if (rc)
		unlink(to);
	return rc;
}

int disk_store_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc ? rc : xl_sync_directory(path);
}
