// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks on their way to another host (copying.h).
 * Owns that what is on them there is, at the end, what was on them when the guest stood still.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copying.h"
#include "disk_store.h"
#include "rounds.h"
#include "written.h"

/* Once so little was other, the rest can wait until it stands still. */
#define LITTLE (16 * PV_MIB)
#define ROUNDS 8

/* --- which -------------------------------------------------------------------------------------- */

static int add_disk(void *ctx, const char *vdev, const char *target, const char *given)
{
	struct copying *c = ctx;
	struct copying_disk *d;
	struct stat st;

	if (stat(target, &st))
		return xl_error("disk %s of '%s', %s: %s", vdev, c->s->guest, target,
				strerror(errno));
	if (strlen(given) > PV_STREAM_DISK_PATH || c->nr == PV_STREAM_DISKS_MAX)
		return xl_error("disk %s of '%s', %s: there are too many, or its name is too long",
				vdev, c->s->guest, target);
	d = realloc(c->disk, (c->nr + 1) * sizeof(*d));
	if (!d)
		abort();
	c->disk = d;
	d[c->nr++] = (struct copying_disk){ .target = xl_sprintf("%s", target),
					    .given = xl_sprintf("%s", given),
					    .size = st.st_size };
	return 0;
}

/* The body of DISKS. */
static void tell(struct copying *c)
{
	struct pv_stream_disk h = { 0 };
	unsigned int i;
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	for (i = 0; i < c->nr; i++) {
		h.size = c->disk[i].size;
		h.path_length = strlen(c->disk[i].given);
		fwrite(&h, sizeof(h), 1, f);
		fwrite(c->disk[i].given, 1, h.path_length, f);
		fwrite("\0\0\0\0\0\0\0", 1, -h.path_length & 7, f);
	}
	fclose(f);
	c->s->disks = (uint8_t *)text;
	c->s->disks_size = size;
}

int copying_begin(struct copying *c, struct saving *s, uint64_t bandwidth, bool cold)
{
	*c = (struct copying){ .s = s, .bandwidth = bandwidth, .cold = cold };
	if (written_disks(s->xl, s->domid, s->guest, "go along", add_disk, c))
		return -1;
	if (c->nr)
		tell(c);
	return 0;
}

/* --- what is on them ---------------------------------------------------------------------------- */

static int put(struct copying *c, struct pv_stream_disk_data *d, const void *data)
{
	struct iovec v[] = { { d, sizeof(*d) }, { (void *)data, data ? d->bytes : 0 } };
	int rc = pv_stream_put(&c->s->out, PV_REC_DISK, v, data ? 2 : 1, &c->s->err);

	c->bytes += data ? d->bytes : 0;
	if (!rc && xl_interrupted)
		rc = pv_fail(&c->s->err, -EINTR, "interrupted");
	if (!rc && !c->last)
		rounds_pace(c->bandwidth, c->began, c->s->out.bytes - c->stream);
	return rc;
}

/* For disk_store_delta(). */
static int send(int fd, off_t offset, off_t bytes, bool hole, void *ctx)
{
	static char data[PV_STREAM_DISK_BYTES];
	struct copying *c = ctx;
	struct pv_stream_disk_data d = { .disk = c->at, .offset = offset };
	ssize_t n;
	int rc = 0;

	if (hole) {
		d.bytes = bytes;
		return put(c, &d, NULL);
	}
	for (; bytes > 0 && !rc; bytes -= n, d.offset += n) {
		n = pread(fd, data, bytes < (off_t)sizeof(data) ? (size_t)bytes : sizeof(data),
			  (off_t)d.offset);
		if (n <= 0)
			return pv_fail(&c->s->err, n ? -errno : -EIO, "%s: %s",
				       c->disk[c->at].target,
				       n ? strerror(errno) : "it is shorter now");
		d.bytes = n;
		rc = put(c, &d, data);
	}
	return rc;
}

static int send_one(struct copying *c, const char *was, const char *now)
{
	int rc = disk_store_delta(was, now, send, c);

	if (!rc || *c->s->err.text)
		return rc;
	return pv_fail(&c->s->err, rc, "%s: %s", now, strerror(-rc));
}

/* --- snapshots ---------------------------------------------------------------------------------- */

static char *snap_path(const struct copying_disk *d, unsigned int which)
{
	char *copy = xl_sprintf("%s", d->target), *base = xl_sprintf("%s", d->target);
	char *path = xl_sprintf("%s/.%s.moving-%u", dirname(copy), basename(base), which);

	free(copy);
	free(base);
	return path;
}

/* A killed one may have left it. */
static int take_snap(struct copying *c, const struct copying_disk *d, char **path)
{
	int rc;

	*path = snap_path(d, c->round & 1);
	unlink(*path);
	rc = disk_store_clone(d->target, *path, false);
	if (!rc)
		return 0;
	if (rc == -EOPNOTSUPP)
		xl_error(
			"%s: its file system cannot let two files share blocks, as XFS can: --cold "
			"copies it while '%s' stands still",
			d->target, c->s->guest);
	else
		xl_error("%s: %s", *path, strerror(-rc));
	free(*path);
	*path = NULL;
	return -1;
}

static void drop_snap(struct copying_disk *d, char *other)
{
	if (d->snap)
		unlink(d->snap);
	free(d->snap);
	d->snap = other;
}

/* --- rounds ------------------------------------------------------------------------------------- */

static int one_round(struct copying *c)
{
	char *snap;
	int rc = 0;

	c->began = xl_now();
	c->stream = c->s->out.bytes;
	c->bytes = 0;
	for (c->at = 0; c->at < c->nr && !rc; c->at++) {
		struct copying_disk *d = &c->disk[c->at];

		if (take_snap(c, d, &snap))
			return -1;
		rc = send_one(c, d->snap, snap);
		drop_snap(d, snap);
	}
	c->round++;
	printf("%s: disks, round %u: %.1f MiB in %.1f s\n", c->s->guest, c->round,
	       (double)c->bytes / PV_MIB, (double)(xl_now() - c->began) / 1000);
	fflush(stdout);
	return rc;
}

int copying_rounds(struct copying *c)
{
	int rc = 0;

	if (c->cold || !c->nr)
		return 0;
	do
		rc = one_round(c);
	while (!rc && c->bytes > LITTLE && c->round < ROUNDS);
	return rc;
}

int copying_last(struct copying *c)
{
	int rc = 0;

	c->last = true;
	c->bytes = 0;
	for (c->at = 0; c->at < c->nr && !rc; c->at++)
		rc = send_one(c, c->disk[c->at].snap, c->disk[c->at].target);
	return rc;
}

void copying_end(struct copying *c)
{
	unsigned int i;

	for (i = 0; i < c->nr; i++) {
		drop_snap(&c->disk[i], NULL);
		free(c->disk[i].target);
		free(c->disk[i].given);
	}
	free(c->disk);
	*c = (struct copying){ 0 };
}
