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
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "migrate.h"
#include "record.h"
#include "suspend.h"
#include "whole.h"

#define MAGIC 0x44554d32 /* "DUM2" */
#define PREFIX "dump."
#define NOTE_MS 500 /* whoever undoes another's has its lock for a moment */

#define GUEST_PAUSED 1u /* by who is killed */
#define GUEST_STAYS 2u /* once the file has its name */
#define GUEST_LOGGED 4u
#define GUEST_SLOWED 8u /* it has another cap than its own */

struct note {
	uint32_t magic, domid;
	uint8_t handle[16];
	uint32_t guest; /* GUEST_* */
	uint32_t cap; /* its own, if it is slowed */
	char part[PATH_MAX];
};

static bool read_note(int fd, struct note *n)
{
	return pread(fd, n, sizeof(*n), 0) == sizeof(*n) && n->magic == MAGIC &&
	       memchr(n->part, '\0', sizeof(n->part));
}

static void give_back_cap(struct xl *xl, uint32_t domid, uint16_t cap)
{
	uint16_t weight, now;
	int rc = pv_sched_share(xl->pv, domid, &weight, &now);

	if (!rc)
		rc = pv_sched_set_share(xl->pv, domid, weight, cap);
	if (rc && rc != -ESRCH)
		xl_error("domain %u was slowed, and does not get back its cap of %u: %s", domid,
			 cap, strerror(-rc));
}

/* Drivers are bound again, if they were taken off its devices. @xl may be without xenstore, which knows of it. */
static void undo_whole(struct xl *xl, uint32_t domid)
{
	struct xl with = { .pv = xl->pv, .xs = xl->xs ? xl->xs : st_open(XENSTORE_MS) };

	if (with.xs)
		whole_undo(&with, domid);
	if (!xl->xs)
		xs_close(with.xs);
}

/* The note's lock is held; then it goes. */
static void undo(struct xl *xl, const struct note *n)
{
	bool there = domain_is(xl, n->domid, n->handle);
	char *given = there ? migrate_bars(xl, n->domid) : NULL;

	if (there && n->guest & GUEST_SLOWED)
		give_back_cap(xl, n->domid, n->cap);
	if (there && n->guest & GUEST_LOGGED)
		pv_log_off(xl->pv, n->domid);
	if (given) {
		xl_error("who moved domain %u to another host was killed: it stays paused, for %s",
			 n->domid, given);
		free(given);
		return;
	}
	/* Half a file has no name yet: so there is no second guest that could go on. */
	if (*n->part && unlink(n->part) && n->guest & GUEST_STAYS) {
		if (there)
			xl_error("who saved domain %u was killed behind the last byte: all of it "
				 "is in %.*s, and the guest stays paused; xl destroy it, or remove "
				 "the file and xl unpause it",
				 n->domid, (int)(strrchr(n->part, '.') - n->part), n->part);
		return;
	}
	if (there)
		undo_whole(xl, n->domid);
	if (there)
		suspend_undo(xl, n->domid);
	if (n->guest & GUEST_PAUSED && there)
		pv_domain_unpause(xl->pv, n->domid);
	if (!*n->part)
		xl_error(
			"who moved or cloned domain %u was killed before that was done: it goes on "
			"here",
			n->domid);
	else
		xl_error("who wrote the core or the state of domain %u was killed: %s goes%s",
			 n->domid, n->part,
			 n->guest & GUEST_PAUSED ? ", and the guest goes on" : "");
}

/* NULL: there is no file, and so is nothing to be removed. */
static char *absolute(const char *path)
{
	char *cwd = !path || *path == '/' ? NULL : getcwd(NULL, 0);
	char *part = path ? xl_sprintf("%s%s%s.part-%d", cwd ? cwd : "", cwd ? "/" : "", path,
				       getpid()) :
			    xl_sprintf("%s", "");

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

/* @more: what it is going to be besides. Without a note nobody undoes it, which is no reason to have no core. 0 or -EIO. */
static int note_guest(const struct dump *d, uint32_t more)
{
	uint32_t guest = more | (d->paused ? GUEST_PAUSED : 0) | (d->logged ? GUEST_LOGGED : 0) |
			 (d->slowed ? GUEST_SLOWED : 0);
	ssize_t n = sizeof(guest);

	if (d->fd >= 0)
		n = pwrite(d->fd, &guest, sizeof(guest), offsetof(struct note, guest));
	return n == sizeof(guest) ? 0 : -EIO;
}

int dump_pause(struct xl *xl, struct dump *d)
{
	struct xen_domctl_getdomaininfo info = { 0 };
	int rc = pv_domain_info(xl->pv, d->domid, &info);

	/* Who is paused stays so: its lock is held, and nobody takes that back meanwhile. */
	if (rc || info.flags & XEN_DOMINF_paused)
		return rc;
	note_guest(d, GUEST_PAUSED);
	rc = pv_domain_pause(xl->pv, d->domid);
	d->paused = !rc;
	return rc;
}

int dump_log(struct xl *xl, struct dump *d)
{
	int rc;

	note_guest(d, GUEST_LOGGED);
	rc = pv_log_on(xl->pv, d->domid);
	d->logged = !rc;
	return rc;
}

int dump_slow(struct xl *xl, struct dump *d, uint16_t cap)
{
	uint16_t weight, now;
	uint32_t own;
	int rc = pv_sched_share(xl->pv, d->domid, &weight, &now);

	if (!rc && !d->slowed) {
		d->cap = own = now;
		if (d->fd >= 0 &&
		    pwrite(d->fd, &own, sizeof(own), offsetof(struct note, cap)) != sizeof(own))
			return -EIO;
		note_guest(d, GUEST_SLOWED);
	}
	if (!rc)
		rc = pv_sched_set_share(xl->pv, d->domid, weight, cap);
	d->slowed |= !rc;
	return rc;
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
	memset(&n, 0, sizeof(n));
	n.magic = MAGIC;
	n.domid = domid;
	memcpy(n.handle, info.handle, sizeof(n.handle));
	snprintf(n.part, sizeof(n.part), "%s", d->part);
	if (d->fd >= 0 && pwrite(d->fd, &n, sizeof(n), 0) != sizeof(n))
		errno = 0;
	if (!rc && pause)
		rc = dump_pause(xl, d);
	if (rc)
		dump_end(xl, d);
	return rc;
}

int dump_keep(struct dump *d)
{
	return note_guest(d, GUEST_STAYS);
}

int dump_end(struct xl *xl, struct dump *d)
{
	char *path = xl_sprintf(RECORD_DIR "/" PREFIX "%u", d->domid);
	int rc = 0;

	/* Whoever has drained it has undone that, or has ended it; but one that is given away is drained as long as it is not known where it is. */
	if (xl->xs && !given_away(xl, d->domid))
		whole_undo(xl, d->domid);
	/* First what a user notices. */
	if (d->paused)
		rc = pv_domain_unpause(xl->pv, d->domid);
	if (d->slowed)
		give_back_cap(xl, d->domid, d->cap);
	if (d->logged)
		pv_log_off(xl->pv, d->domid);
	if (d->fd >= 0) {
		unlink(path);
		close(d->fd);
	}
	free(path);
	free(d->part);
	return rc;
}

/* Its domain's lock is held. */
static void undo_note(const char *name)
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

/* Its writer lives. */
static bool is_held(const char *name)
{
	char *path = xl_sprintf(RECORD_DIR "/%s", name);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB);

	if (fd >= 0)
		close(fd);
	free(path);
	return held;
}

/* Whoever has the domain's lock for longer may be about to undo it himself; else the next look is soon enough. */
static void sweep_one(const char *name)
{
	uint32_t domid = strtoul(name + strlen(PREFIX), NULL, 10);
	int64_t end = xl_now() + NOTE_MS;
	int lock;

	if (is_held(name))
		return;
	while (xl_domain_locked(domid)) {
		if (xl_now() > end)
			return;
		xl_sleep(10);
	}
	lock = xl_lock_domain(domid);
	if (lock >= 0)
		undo_note(name);
	xl_unlock_domain(lock, domid);
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
