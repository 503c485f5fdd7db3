// SPDX-License-Identifier: BSD-2-Clause
/*
 * The files that outlive a guest's supervisor (record.h).
 * Owns that there is one supervisor at most: whoever has a record's lock is it, and the kernel takes the lock from the dead.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "record.h"

#define MAGIC 0x4d494e32 /* "MIN2" */
#define CLAIM_MS 500 /* whoever only looks has the lock for a moment */
#define EMPTY_S 60 /* one that is empty for so long never becomes a record */

static char *path_of(const char *id, const char *end)
{
	return xl_sprintf(RECORD_DIR "/%s%s", id, end);
}

int record_make(struct record *r)
{
	char *path = path_of("XXXXXX", "");
	int saved;

	xl_mkdir(XL_RUN_DIR);
	mkdir(RECORD_DIR, 0700);
	r->fd = mkostemp(path, O_CLOEXEC);
	/* Nobody keeps the lock of an empty one. */
	if (r->fd < 0 || flock(r->fd, LOCK_EX)) {
		saved = errno;
		if (r->fd >= 0)
			close(r->fd);
		r->fd = -1;
		free(path);
		return xl_error(RECORD_DIR ": %s", strerror(saved));
	}
	strcpy(r->id, strrchr(path, '/') + 1);
	free(path);
	return 0;
}

static bool read_data(int fd, struct record_data *d)
{
	return pread(fd, d, sizeof(*d), 0) == sizeof(*d) && d->magic == MAGIC &&
	       d->nr_corpses >= 0 && d->nr_corpses <= RECORD_CORPSES && d->nr_macs <= RECORD_MACS &&
	       memchr(d->name, '\0', sizeof(d->name)) && memchr(d->pool, '\0', sizeof(d->pool));
}

static int open_record(const char *id, int flags)
{
	char *path = path_of(id, "");
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);

	free(path);
	return fd;
}

int record_claim(struct record *r, const char *id, struct record_data *d)
{
	int64_t end = xl_now() + CLAIM_MS;
	struct stat st;
	int rc = 0;

	r->fd = strlen(id) < RECORD_ID ? open_record(id, O_RDWR) : -1;
	if (r->fd < 0)
		return -ENOENT;
	strcpy(r->id, id);
	while (flock(r->fd, LOCK_EX | LOCK_NB) && !rc) {
		if (xl_now() > end)
			rc = -EBUSY;
		else
			xl_sleep(20);
	}
	/* The last supervisor has dropped it. */
	if (!rc && (fstat(r->fd, &st) || !st.st_nlink))
		rc = -ENOENT;
	if (rc) {
		close(r->fd);
		r->fd = -1;
		return rc;
	}
	return read_data(r->fd, d) ? 0 : -EINVAL;
}

bool record_look(const char *id, struct record_data *d, bool *held)
{
	int fd = strlen(id) < RECORD_ID ? open_record(id, O_RDONLY) : -1;
	struct stat st;
	bool ok;

	if (fd < 0)
		return false;
	*held = flock(fd, LOCK_SH | LOCK_NB);
	ok = read_data(fd, d);
	/* Whoever was making it was killed. */
	if (!ok && !*held && !fstat(fd, &st) && st.st_mtime + EMPTY_S < time(NULL)) {
		char *path = path_of(id, "");

		unlink(path);
		free(path);
	}
	close(fd);
	return ok;
}

void record_write(struct record *r, struct record_data *d)
{
	d->magic = MAGIC;
	/* Its place was taken with the first one; until then it is none, and the guest has no other supervisor. */
	if (r->fd >= 0 && pwrite(r->fd, d, sizeof(*d), 0) != sizeof(*d))
		xl_error(RECORD_DIR "/%s: %s: killed, this supervisor gets no other in its place",
			 r->id, strerror(errno));
}

void record_drop(struct record *r)
{
	static const char *const end[] = { ".cfg.new", ".cfg", "" };
	unsigned int i;
	char *path;

	if (r->fd < 0)
		return;
	for (i = 0; i < pv_container_size(end); i++) {
		path = path_of(r->id, end[i]);
		unlink(path);
		free(path);
	}
	close(r->fd);
	r->fd = -1;
}

char *record_config(const struct record *r)
{
	return path_of(r->id, ".cfg");
}

void record_each(void (*fn)(const char *id, void *ctx), void *ctx)
{
	struct dirent *e;
	DIR *d = opendir(RECORD_DIR);

	while (d && (e = readdir(d)))
		if (!strchr(e->d_name, '.') && strlen(e->d_name) < RECORD_ID)
			fn(e->d_name, ctx);
	if (d)
		closedir(d);
}
