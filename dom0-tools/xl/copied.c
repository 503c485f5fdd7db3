// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks that come along (copied.h).
 * Owns that what comes is written to files that were made for it, and to nothing that was there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copied.h"

static bool is_disk(const struct xl_config *cfg, const char *path)
{
	const struct xl_disk *d;
	int i;

	for (i = 0; i < cfg->nr_disks; i++) {
		d = &cfg->disk[i];
		if (d->target && !strcmp(d->target, path))
			return d->format == IMAGE_RAW && !d->backend && !d->script &&
			       !d->readonly && !d->cdrom;
	}
	return false;
}

static int make_file(struct copied *c, const struct pv_stream_disk_in *d)
{
	int fd = open(d->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	if (fd < 0)
		return xl_error("%s: %s: %s%s", c->from, d->path, strerror(errno),
				errno == EEXIST ? "; a disk that comes along does not replace one" :
						  "");
	c->path[c->nr] = xl_sprintf("%s", d->path);
	c->fd[c->nr++] = fd;
	rc = ftruncate(fd, (off_t)d->size) ?
		     xl_error("%s: %s: %s", c->from, d->path, strerror(errno)) :
		     0;
	return rc;
}

int copied_begin(struct copied *c, const struct saved *s, const struct xl_config *cfg,
		 struct incoming *note)
{
	const struct pv_stream_in *in = &s->in;
	unsigned int i;
	int rc = 0;

	*c = (struct copied){ .from = s->path };
	c->fd = calloc(in->nr_disks + 1, sizeof(*c->fd));
	c->path = calloc(in->nr_disks + 1, sizeof(*c->path));
	if (!c->fd || !c->path)
		abort();
	for (i = 0; i < in->nr_disks; i++) {
		if (!is_disk(cfg, in->disk[i].path) || strchr(in->disk[i].path, '\n'))
			return xl_error("%s: %s comes along, and is no disk of its configuration "
					"that could",
					c->from, in->disk[i].path);
		if (!access(in->disk[i].path, F_OK))
			return xl_error("%s: %s is there already: a disk that comes along does not "
					"replace one",
					c->from, in->disk[i].path);
	}
	for (i = 0; i < in->nr_disks && !rc; i++)
		rc = make_file(c, &in->disk[i]);
	if (rc || !in->nr_disks)
		return rc;
	rc = incoming_disks(note, c->path, c->fd, c->nr);
	return rc ? xl_error("%s: its disks cannot be noted: %s", c->from, strerror(-rc)) : 0;
}

static int write_all(int fd, const uint8_t *data, uint64_t n, uint64_t at)
{
	ssize_t done;

	for (; n; data += done, at += done, n -= done) {
		done = pwrite(fd, data, n, (off_t)at);
		if (done <= 0)
			return done ? -errno : -EIO;
	}
	return 0;
}

/* They may have had something before: a hole is dug, or zeros are written. */
static int clear(int fd, uint64_t n, uint64_t at)
{
	static const uint8_t zeros[64 << 10];
	uint64_t part;
	int rc = 0;

	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n))
		return 0;
	for (; n && !rc; at += part, n -= part) {
		part = n < sizeof(zeros) ? n : sizeof(zeros);
		rc = write_all(fd, zeros, part, at);
	}
	return rc;
}

int copied_put(struct copied *c, const struct pv_record *r)
{
	struct pv_stream_disk_data d;
	const uint8_t *data;
	int rc;

	pv_stream_disk_data(r, &d, &data);
	if (d.disk >= c->nr)
		return xl_error("%s: a disk comes along that was not told of", c->from);
	rc = data ? write_all(c->fd[d.disk], data, d.bytes, d.offset) :
		    clear(c->fd[d.disk], d.bytes, d.offset);
	return rc ? xl_error("%s: cannot write to its disk: %s", c->from, strerror(-rc)) : 0;
}

int copied_sync(struct copied *c)
{
	unsigned int i;

	for (i = 0; i < c->nr; i++)
		if (fsync(c->fd[i]))
			return xl_error("%s: cannot write to its disk: %s", c->from,
					strerror(errno));
	return 0;
}

void copied_end(struct copied *c, bool drop)
{
	while (c->nr) {
		c->nr--;
		close(c->fd[c->nr]);
		if (drop)
			unlink(c->path[c->nr]);
		free(c->path[c->nr]);
	}
	free(c->fd);
	free(c->path);
	*c = (struct copied){ 0 };
}
