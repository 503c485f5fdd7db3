// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is undone when somebody who writes a guest's core is killed (dump.h).
 * Owns the notes of that: RECORD_DIR/dump.DOMID, locked as long as its writer lives.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "record.h"

#define MAGIC 0x44554d31 /* "DUM1" */
#define PREFIX "dump."
#define NOTE_MS 500 /* whoever undoes another's has its lock for a moment */

struct note {
	uint32_t magic, domid;
	uint8_t handle[16];
	uint32_t paused;
	char part[PATH_MAX];
};

static bool read_note(int fd, struct note *n)
{
	return pread(fd, n, sizeof(*n), 0) == sizeof(*n) && n->magic == MAGIC &&
	       memchr(n->part, '\0', sizeof(n->part));
}

/* The note's lock is held; then it goes. */
static void undo(struct xl *xl, const struct note *n)
{
	if (n->paused && domain_is(xl, n->domid, n->handle))
		pv_domain_unpause(xl->pv, n->domid);
	unlink(n->part);
	xl_error("who wrote the core or the state of domain %u was killed: %s goes%s", n->domid,
		 n->part, n->paused ? ", and the guest goes on" : "");
}

static char *absolute(const char *path)
{
	char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	char *part = xl_sprintf("%s%s%s.part-%d", cwd ? cwd : "", cwd ? "/" : "", path, getpid());

	free(cwd);
	return part;
}

/* Its note, locked; -1: there is no place for one. */
static int open_note(uint32_t domid)
{
	int64_t end = xl_now() + NOTE_MS;
	struct stat st;
	char *path;
	int fd;

	xl_mkdir(XL_RUN_DIR);
	mkdir(RECORD_DIR, 0700);
	path = xl_sprintf(RECORD_DIR "/" PREFIX "%u", domid);
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 || (!flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) && st.st_nlink))
			break;
		close(fd);
		fd = -1;
		if (xl_now() > end)
			break;
		xl_sleep(10);
	}
	free(path);
	return fd;
}

int dump_begin(struct xl *xl, uint32_t domid, const char *path, bool pause, struct dump *d)
{
	struct xen_domctl_getdomaininfo info = { 0 };
	struct note n;
	int rc;

	memset(d, 0, sizeof(*d));
	d->domid = domid;
	d->part = absolute(path);
	d->fd = open_note(domid);
	if (d->fd >= 0 && read_note(d->fd, &n))
		undo(xl, &n);
	rc = pv_domain_info(xl->pv, domid, &info);
	/* Who is paused stays so: its lock is held, and nobody takes that back meanwhile. */
	d->paused = !rc && pause && !(info.flags & XEN_DOMINF_paused);
	memset(&n, 0, sizeof(n));
	n.magic = MAGIC;
	n.domid = domid;
	n.paused = d->paused;
	memcpy(n.handle, info.handle, sizeof(n.handle));
	snprintf(n.part, sizeof(n.part), "%s", d->part);
	/* Without a note nobody undoes it, which is no reason to have no core. */
	if (d->fd >= 0 && pwrite(d->fd, &n, sizeof(n), 0) != sizeof(n))
		errno = 0;
	if (!rc && d->paused) {
		rc = pv_domain_pause(xl->pv, domid);
		d->paused = !rc;
	}
	if (rc)
		dump_end(xl, d);
	return rc;
}

void dump_end(struct xl *xl, struct dump *d)
{
	char *path = xl_sprintf(RECORD_DIR "/" PREFIX "%u", d->domid);

	if (d->paused)
		pv_domain_unpause(xl->pv, d->domid);
	if (d->fd >= 0) {
		unlink(path);
		close(d->fd);
	}
	free(path);
	free(d->part);
}

static void sweep_one(const char *name)
{
	char *path = xl_sprintf(RECORD_DIR "/%s", name);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct pv_err err = { "" };
	struct xl xl = { 0 };
	struct stat st;
	struct note n;

	if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) && st.st_nlink &&
	    !pv_open(&xl.pv, &err)) {
		if (read_note(fd, &n))
			undo(&xl, &n);
		unlink(path);
		pv_close(xl.pv);
	}
	if (fd >= 0)
		close(fd);
	free(path);
}

void dump_sweep(void)
{
	struct dirent *e;
	DIR *d = opendir(RECORD_DIR);

	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, PREFIX, strlen(PREFIX)))
			sweep_one(e->d_name);
	if (d)
		closedir(d);
}
