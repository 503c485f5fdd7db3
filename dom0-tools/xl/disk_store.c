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

#include <linux/fiemap.h>
#include <linux/fs.h>

#include "disk_store.h"
#include "xl.h"

#define PIECE (1u << 20)

/* The tests' file systems cannot. */
#ifndef STORE_SHARE
#define STORE_SHARE(to, from) ioctl(to, FICLONE, from)
#endif
#ifndef STORE_MAP
#define STORE_MAP(fd, map) ioctl(fd, FS_IOC_FIEMAP, map)
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

/* --- what two of them do not share -------------------------------------------------------------- */

#define EXTENTS 256

/* A file's extents, some at a time, in order. */
struct extents {
	int fd;
	off_t size;
	uint64_t next; /* where the next ones are asked for */
	unsigned int n, at;
	bool last;
	union {
		struct fiemap map;
		uint8_t room[sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)];
	};
};

/* 0 or -errno. */
static int more_extents(struct extents *x)
{
	const struct fiemap_extent *e;

	memset(&x->map, 0, sizeof(x->map));
	x->map.fm_start = x->next;
	x->map.fm_length = FIEMAP_MAX_OFFSET - x->next;
	x->map.fm_flags = FIEMAP_FLAG_SYNC;
	x->map.fm_extent_count = EXTENTS;
	if (STORE_MAP(x->fd, &x->map))
		return -errno;
	x->n = x->map.fm_mapped_extents;
	x->at = 0;
	x->last = !x->n || x->map.fm_extents[x->n - 1].fe_flags & FIEMAP_EXTENT_LAST;
	if (x->n) {
		e = &x->map.fm_extents[x->n - 1];
		x->next = e->fe_logical + e->fe_length;
	}
	return 0;
}

/* What is at one place of a file, and up to where. */
struct place {
	uint64_t physical; /* of that byte */
	uint64_t end;
	enum { HOLE, THERE, UNSURE } kind;
};

/* 0 or -errno. */
static int look_at(struct extents *x, uint64_t offset, struct place *p)
{
	const struct fiemap_extent *e;
	int rc = 0;

	for (;;) {
		while (x->at < x->n &&
		       x->map.fm_extents[x->at].fe_logical + x->map.fm_extents[x->at].fe_length <=
			       offset)
			x->at++;
		if (x->at < x->n || x->last)
			break;
		rc = more_extents(x);
		if (rc)
			return rc;
	}
	*p = (struct place){ .end = x->size, .kind = HOLE };
	if (x->at == x->n)
		return 0;
	e = &x->map.fm_extents[x->at];
	if (e->fe_logical > offset) {
		p->end = e->fe_logical;
		return 0;
	}
	p->end = e->fe_logical + e->fe_length;
	if (e->fe_flags & FIEMAP_EXTENT_UNWRITTEN)
		return 0;
	p->kind = e->fe_flags & (FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
				 FIEMAP_EXTENT_ENCODED | FIEMAP_EXTENT_NOT_ALIGNED |
				 FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_DATA_TAIL) ?
			  UNSURE :
			  THERE;
	p->physical = e->fe_physical + offset - e->fe_logical;
	return 0;
}

static bool is_same(const struct place *a, const struct place *b)
{
	return a->kind == b->kind && a->kind != UNSURE &&
	       (a->kind == HOLE || a->physical == b->physical);
}

static int compare(struct extents *was, struct extents *now,
		   int (*fn)(int fd, off_t offset, off_t bytes, bool hole, void *ctx), void *ctx)
{
	struct place a = { .kind = HOLE }, b;
	uint64_t at = 0, end;
	int rc = 0;

	while (!rc && at < (uint64_t)now->size) {
		rc = look_at(now, at, &b);
		end = b.end;
		a = (struct place){ .kind = HOLE };
		/* Behind its end there is nothing. */
		if (!rc && was && at < (uint64_t)was->size) {
			rc = look_at(was, at, &a);
			end = a.end < end ? a.end : end;
		}
		if (end > (uint64_t)now->size)
			end = now->size;
		/* All of it is asked for: then holes are what is not sent. */
		if (!rc && !(was ? is_same(&a, &b) : b.kind == HOLE))
			rc = fn(now->fd, at, end - at, b.kind == HOLE, ctx);
		at = end;
	}
	return rc;
}

int disk_store_delta(const char *was, const char *now,
		     int (*fn)(int fd, off_t offset, off_t bytes, bool hole, void *ctx), void *ctx)
{
	struct extents *x = calloc(2, sizeof(*x));
	struct stat st;
	int rc = 0, i;

	if (!x)
		return -ENOMEM;
	for (i = 0; i < 2; i++) {
		x[i].fd = i && !was ? -1 : open_file(i ? was : now, O_RDONLY, &st);
		if (i && !was)
			continue;
		if (x[i].fd < 0)
			rc = x[i].fd;
		else
			x[i].size = st.st_size;
	}
	if (!rc)
		rc = compare(was ? &x[1] : NULL, &x[0], fn, ctx);
	for (i = 0; i < 2; i++)
		if (x[i].fd >= 0)
			close(x[i].fd);
	free(x);
	return rc;
}
