// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads a tar archive: IEEE Std 1003.1, pax, "ustar Interchange Format" and "pax Header Block".
 * Owns that no header makes it read or write where it should not, nor use more memory than tar.h's bounds.
 */
#define _GNU_SOURCE
#include "tar.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK 512
#define SIZE_MAX_FILE (1ull << 50)

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type;
	char link[100], magic[8], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

/* What additional headers say of the next entry. */
struct more {
	char path[TAR_PATH], link[TAR_PATH];
	bool have_size, have_uid, have_gid, have_mtime, sparse;
	uint64_t size, uid, gid;
	int64_t mtime;
};

static int fail(struct tar *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int fail(struct tar *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->why, sizeof(t->why), fmt, ap);
	va_end(ap);
	return -1;
}

/* As many of them as there are; or -1. */
static ssize_t read_up_to(struct tar *t, void *buf, size_t n)
{
	size_t have = 0;
	ssize_t got;

	while (have < n) {
		got = read(t->fd, (char *)buf + have, n - have);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(t, "cannot be read: %s", strerror(errno));
		if (!got)
			break;
		have += (size_t)got;
	}
	t->offset += have;
	return (ssize_t)have;
}

/* All of them, or 0 at the end of the archive, or -1. */
static ssize_t read_all(struct tar *t, void *buf, size_t n)
{
	ssize_t have = read_up_to(t, buf, n);

	if (have > 0 && (size_t)have < n)
		return fail(t, "the archive ends in the middle of something");
	return have;
}

static int pass_over(struct tar *t, uint64_t n)
{
	char buf[8192];

	if (t->seekable && n) {
		if (lseek(t->fd, (off_t)n, SEEK_CUR) < 0)
			return fail(t, "cannot be read: %s", strerror(errno));
		t->offset += n;
		return 0;
	}
	while (n) {
		size_t part = n < sizeof(buf) ? n : sizeof(buf);
		ssize_t got = read_all(t, buf, part);

		if (!got)
			return fail(t, "the archive ends in the middle of a file");
		if (got < 0)
			return -1;
		n -= part;
	}
	return 0;
}

/* Some who write archives (umoci insert) leave it out behind the last file; then the next header is not there, either. */
static int pass_padding(struct tar *t)
{
	char buf[BLOCK];

	if (t->seekable)
		return pass_over(t, t->pad);
	return read_up_to(t, buf, t->pad) < 0 ? -1 : 0;
}

void tar_begin(struct tar *t, int fd, bool seekable)
{
	memset(t, 0, sizeof(*t));
	t->fd = fd;
	t->seekable = seekable;
}

/* Octal digits, or GNU's big-endian number with the highest bit set. False: it is none. */
static bool number(const char *field, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if ((unsigned char)field[0] & 0x80) {
		v = (unsigned char)field[0] & 0x7f;
		for (i = 1; i < n; i++) {
			if (v >> 55)
				return false;
			v = v << 8 | (unsigned char)field[i];
		}
		*out = v;
		return true;
	}
	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(field[i] - '0');
	*out = v;
	return i == n || field[i] == ' ' || !field[i];
}

static bool checksum_is_right(const struct header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	uint64_t want, sum = 0;
	size_t i;

	for (i = 0; i < BLOCK; i++)
		sum += i >= 148 && i < 156 ? ' ' : p[i];
	return number(h->sum, sizeof(h->sum), &want) && want == sum;
}

/* A field of a header, which need not end with a NUL. */
static void text(char *to, const char *field, size_t n)
{
	size_t len = strnlen(field, n);

	memcpy(to, field, len);
	to[len] = 0;
}

/* The content of an entry that says something about the next one; for free(). */
static char *read_content(struct tar *t, uint64_t size)
{
	char *buf;

	if (size > TAR_PAX_BYTES) {
		fail(t, "an additional header has %llu bytes", (unsigned long long)size);
		return NULL;
	}
	buf = malloc(size + 1);
	if (!buf) {
		fail(t, "there is no memory for its header");
		return NULL;
	}
	if (read_all(t, buf, size) != (ssize_t)size || pass_over(t, -size % BLOCK)) {
		if (!t->why[0])
			fail(t, "the archive ends in the middle of a header");
		free(buf);
		return NULL;
	}
	buf[size] = 0;
	return buf;
}

static int set_text(struct tar *t, char to[TAR_PATH], const char *from, size_t n)
{
	if (n >= TAR_PATH)
		return fail(t, "a path is longer than %d bytes", TAR_PATH - 1);
	if (memchr(from, 0, n))
		return fail(t, "a path has a NUL in it");
	memcpy(to, from, n);
	to[n] = 0;
	return 0;
}

static int set_number(struct tar *t, const char *value, uint64_t *out, bool *have)
{
	char *end;

	errno = 0;
	*out = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || errno || *end)
		return fail(t, "a number in a pax header is none");
	*have = true;
	return 0;
}

/* "key=value", @n bytes with a NUL behind them. */
static int take_record(struct tar *t, char *record, size_t n, struct more *m)
{
	char *value = memchr(record, '=', n), *dot;
	uint64_t seconds;
	size_t len;

	if (!value)
		return fail(t, "a pax header without '='");
	*value++ = 0;
	len = n - (size_t)(value - record);
	if (!strcmp(record, "path"))
		return set_text(t, m->path, value, len);
	if (!strcmp(record, "linkpath"))
		return set_text(t, m->link, value, len);
	if (!strcmp(record, "size"))
		return set_number(t, value, &m->size, &m->have_size);
	if (!strcmp(record, "uid"))
		return set_number(t, value, &m->uid, &m->have_uid);
	if (!strcmp(record, "gid"))
		return set_number(t, value, &m->gid, &m->have_gid);
	if (!strncmp(record, "GNU.sparse.", 11))
		m->sparse = true;
	if (strcmp(record, "mtime") || *value == '-')
		return 0;
	dot = strchr(value, '.');
	if (dot)
		*dot = 0;
	if (set_number(t, value, &seconds, &m->have_mtime))
		return -1;
	m->mtime = (int64_t)(seconds & INT64_MAX);
	return 0;
}

/* Records: "LENGTH key=value\n", the length being the whole record's. */
static int take_pax(struct tar *t, char *buf, size_t size, struct more *m)
{
	char *p = buf, *end = buf + size, *space;
	unsigned long len;

	while (p < end) {
		len = strtoul(p, &space, 10);
		if (*p < '0' || *p > '9' || *space != ' ' || len > (size_t)(end - p) ||
		    len < (size_t)(space - p) + 3 || p[len - 1] != '\n')
			return fail(t, "a pax header that makes no sense");
		p[len - 1] = 0;
		if (take_record(t, space + 1, len - (size_t)(space - p) - 2, m))
			return -1;
		p += len;
	}
	return 0;
}

/* 1: it was about the next entry, and @m has it; 0: it is an entry of its own; -1. */
static int take_additional(struct tar *t, const struct header *h, uint64_t size, struct more *m)
{
	char *buf;
	int rc = 0;

	if (!strchr("xgLK", h->type) || !h->type)
		return 0;
	buf = read_content(t, size);
	if (!buf)
		return -1;
	if (h->type == 'x')
		rc = take_pax(t, buf, size, m);
	else if (h->type != 'g')
		rc = set_text(t, h->type == 'L' ? m->path : m->link, buf, strnlen(buf, size));
	free(buf);
	return rc ? -1 : 1;
}

static int take_numbers(struct tar *t, const struct header *h, const struct more *m,
			struct tar_entry *e)
{
	uint64_t mode, uid, gid, mtime, major = 0, minor = 0;

	if (!number(h->mode, sizeof(h->mode), &mode) || !number(h->uid, sizeof(h->uid), &uid) ||
	    !number(h->gid, sizeof(h->gid), &gid) ||
	    ((e->type == '3' || e->type == '4') && (!number(h->major, sizeof(h->major), &major) ||
						    !number(h->minor, sizeof(h->minor), &minor))))
		return fail(t, "%.100s: a number in its header is none", e->path);
	/* One before 1970, as GNU writes it, is of no use to anybody. */
	if (!number(h->mtime, sizeof(h->mtime), &mtime))
		mtime = 0;
	uid = m->have_uid ? m->uid : uid;
	gid = m->have_gid ? m->gid : gid;
	if (uid >= UINT32_MAX || gid >= UINT32_MAX)
		return fail(t, "%.100s: its owner's number is too large", e->path);
	e->mode = mode & 07777;
	e->uid = (uid_t)uid;
	e->gid = (gid_t)gid;
	e->mtime = m->have_mtime ? m->mtime : (int64_t)(mtime & INT64_MAX);
	e->major = (unsigned int)major;
	e->minor = (unsigned int)minor;
	return 0;
}

static int take_entry(struct tar *t, const struct header *h, const struct more *m, uint64_t size,
		      struct tar_entry *e)
{
	size_t n = 0;

	e->type = !h->type || h->type == '7' ? '0' : h->type;
	if (m->path[0]) {
		strcpy(e->path, m->path);
	} else {
		if (!memcmp(h->magic, "ustar\0", 6) && h->prefix[0]) {
			text(e->path, h->prefix, sizeof(h->prefix));
			n = strlen(e->path);
			e->path[n++] = '/';
		}
		text(e->path + n, h->name, sizeof(h->name));
	}
	if (m->link[0])
		strcpy(e->link, m->link);
	else
		text(e->link, h->link, sizeof(h->link));
	/* Before there were types, a directory's name told. */
	n = strlen(e->path);
	if (e->type == '0' && n && e->path[n - 1] == '/')
		e->type = '5';
	if (m->sparse || e->type == 'S')
		return fail(t, "%.100s: a sparse file in GNU's format", e->path);
	e->size = e->type == '0' ? size : 0;
	e->offset = t->offset;
	/* Only files have content, whatever the size of others says; an unknown kind is one. */
	t->left = strchr("123456", e->type) && e->type ? 0 : size;
	t->pad = (unsigned int)(-t->left % BLOCK);
	return take_numbers(t, h, m, e);
}

int tar_next(struct tar *t, struct tar_entry *e)
{
	static const struct header zero;
	struct header h;
	struct more *m;
	uint64_t size;
	ssize_t n;
	int rc;

	if (pass_over(t, t->left) || pass_padding(t))
		return -1;
	t->left = t->pad = 0;
	m = calloc(1, sizeof(*m));
	if (!m)
		return fail(t, "there is no memory for its header");
	do {
		rc = -1;
		n = read_all(t, &h, BLOCK);
		if (n < 0)
			break;
		if (!n || !memcmp(&h, &zero, BLOCK)) {
			rc = 0;
			break;
		}
		if (!checksum_is_right(&h) || !number(h.size, sizeof(h.size), &size) ||
		    size > SIZE_MAX_FILE) {
			fail(t, "no tar archive, or a damaged one (at byte %llu)",
			     (unsigned long long)(t->offset - BLOCK));
			break;
		}
		rc = take_additional(t, &h, size, m);
	} while (rc == 1);
	if (!rc && n && memcmp(&h, &zero, BLOCK)) {
		if (m->have_size)
			size = m->size;
		rc = size > SIZE_MAX_FILE	   ? fail(t, "a file's size is too large") :
		     take_entry(t, &h, m, size, e) ? -1 :
						     1;
	}
	free(m);
	return rc;
}

ssize_t tar_read(struct tar *t, void *buf, size_t n)
{
	ssize_t got;

	if (n > t->left)
		n = t->left;
	if (!n)
		return 0;
	got = read_all(t, buf, n);
	if (!got)
		return fail(t, "the archive ends in the middle of a file");
	if (got > 0)
		t->left -= (uint64_t)got;
	return got;
}
