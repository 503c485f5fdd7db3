// SPDX-License-Identifier: BSD-2-Clause
/*
 * What both sides of a migration note, and what follows from it once whoever has noted it is no more (migrate.h).
 * Owns that a copy is let run by what is noted alone: never one that was given away, never one that has not heard GO.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate.h"
#include "suspend.h"
#include "template.h"
#include "whole.h"

#define GIVEN "given."
#define NEW_GIVEN "new-given."
#define INCOMING "incoming."
#define RAN "ran."
#define UUID_TEXT 36
#define GIVEN_MAGIC 0x47495632 /* "GIV2" */
#define INCOMING_MAGIC 0x494e4332 /* "INC2" */
#ifndef RENAME_MS
#define RENAME_MS 2000
#endif
/* A receiver may have GO on its way to it, or be waiting for a source that is no more. */
#ifndef ASK_MS
#define ASK_MS 30000
#endif

static void make_directory(void)
{
	xl_mkdir(XL_RUN_DIR);
	mkdir(MIGRATE_DIR, 0700);
}

static int sync_directory(void)
{
	int fd = open(MIGRATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

bool migrate_find(struct xl *xl, const uint8_t uuid[16], uint32_t *domid)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int n = pv_domain_list(xl->pv, &list), i;
	bool found = false;

	for (i = 0; i < n && !found; i++) {
		found = list[i].domain && !memcmp(list[i].handle, uuid, 16) &&
			!(list[i].flags & XEN_DOMINF_dying);
		if (found)
			*domid = list[i].domain;
	}
	if (n >= 0)
		free(list);
	return found;
}

int migrate_rename(struct xl *xl, uint32_t domid, const char *name)
{
	int64_t begin = xl_now();
	bool mine;
	int lock, rc;

	/* Whoever has it may be waiting for this domain's lock, which is ours. */
	while ((lock = xl_try_lock(&mine)) < 0 && !mine && xl_now() < begin + RENAME_MS)
		xl_sleep_since(begin);
	rc = !mine ? 1 : domain_rename(xl, domid, name);
	if (rc)
		xl_error("warning: domain %u is not called '%s'%s", domid, name,
			 rc > 0 ? " yet: somebody makes or renames guests" : "");
	xl_unlock(lock);
	return rc;
}

/* --- the source's ---------------------------------------------------------------------------- */

int given_write(const struct given *g)
{
	char *path = xl_sprintf(MIGRATE_DIR "/" GIVEN "%u", g->domid);
	char *temp = xl_sprintf(MIGRATE_DIR "/" NEW_GIVEN "%u", g->domid);
	struct given copy = *g;
	int fd, rc = 0;

	copy.magic = GIVEN_MAGIC;
	make_directory();
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, &copy, sizeof(copy)) != sizeof(copy) || fsync(fd) ||
	    rename(temp, path))
		rc = errno ? -errno : -EIO;
	if (fd >= 0)
		close(fd);
	if (!rc)
		rc = sync_directory();
	if (rc) {
		unlink(temp);
		/* One that was there counts as before. */
		if (!(g->flags & GIVEN_BACK))
			unlink(path);
	}
	free(temp);
	free(path);
	return rc;
}

static bool read_given(const char *file, struct given *g)
{
	char *path = xl_sprintf(MIGRATE_DIR "/%s", file);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool ok = fd >= 0 && read(fd, g, sizeof(*g)) == sizeof(*g) && g->magic == GIVEN_MAGIC &&
		  memchr(g->name, '\0', sizeof(g->name)) &&
		  memchr(g->host, '\0', sizeof(g->host)) && memchr(g->boot, '\0', sizeof(g->boot));

	if (fd >= 0)
		close(fd);
	free(path);
	return ok;
}

bool given_read(struct xl *xl, uint32_t domid, struct given *g)
{
	char *file = xl_sprintf(GIVEN "%u", domid);
	bool ok = read_given(file, g) && domain_is(xl, domid, g->handle);

	free(file);
	return ok;
}

bool given_away(struct xl *xl, uint32_t domid)
{
	struct given g;

	return given_read(xl, domid, &g) && !(g.flags & GIVEN_BACK);
}

/* Is it of a guest called so, now or before it was given away? 2: now. */
static int is_of(struct xl *xl, const struct given *g, const char *name)
{
	size_t n = strlen(name), end = strlen(MIGRATE_AWAY);
	char *now = domain_name(xl, g->domid);
	bool is = now && !strcmp(now, name);

	free(now);
	if (n > end && !strcmp(name + n - end, MIGRATE_AWAY))
		n -= end;
	return is ? 2 : strlen(g->name) == n && !strncmp(g->name, name, n);
}

int given_find(struct xl *xl, const char *name, struct given *g)
{
	int best = 0, nr = 0, is;
	struct dirent *e;
	struct given one;
	uint32_t domid;
	DIR *d;

	if (domain_numbered(xl, name, &domid) && given_read(xl, domid, g))
		return 0;
	d = opendir(MIGRATE_DIR);
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, GIVEN, strlen(GIVEN)) || !read_given(e->d_name, &one) ||
		    !domain_is(xl, one.domid, one.handle))
			continue;
		is = is_of(xl, &one, name);
		nr = is > best ? 1 : nr + (is && is == best);
		if (is > best)
			*g = one;
		best = is > best ? is : best;
	}
	if (d)
		closedir(d);
	if (nr > 1)
		return xl_error("%d guests that were called '%s' have been given away: say which "
				"one by its number (xl list)",
				nr, name);
	return nr ? 0 :
		    xl_error("'%s' has not been given to another host: there is nothing to recover",
			     name);
}

void given_forget(uint32_t domid)
{
	char *path = xl_sprintf(MIGRATE_DIR "/" GIVEN "%u", domid);

	unlink(path);
	free(path);
	sync_directory();
}

int given_take_back(struct xl *xl, struct given *g)
{
	struct xen_domctl_getdomaininfo info;
	int rc = 0;

	if (!(g->flags & GIVEN_BACK)) {
		g->flags |= GIVEN_BACK;
		rc = given_write(g);
		/* Without the old one nobody could ask any more. */
		if (rc)
			return xl_error("it cannot be noted that '%s' goes on here: %s", g->name,
					strerror(-rc));
	}
	MIGRATE_POINT(false, "after", "back");
	migrate_rename(xl, g->domid, g->name);
	whole_undo(xl, g->domid);
	rc = pv_domain_info(xl->pv, g->domid, &info);
	if (!rc && suspend_done(&info))
		rc = suspend_cancel(xl, g->domid);
	/* One who was killed behind this has done so. */
	if (!rc && g->flags & GIVEN_PAUSED && info.flags & XEN_DOMINF_paused)
		rc = pv_domain_unpause(xl->pv, g->domid);
	if (rc)
		return xl_error("'%s' cannot go on: %s", g->name, strerror(-rc));
	given_forget(g->domid);
	return 0;
}

/* --- the target's ---------------------------------------------------------------------------- */

struct note {
	uint32_t magic, phase, flags;
	uint8_t uuid[16], attempt[16];
	char name[MIGRATE_NAME];
};

static char *incoming_path(const uint8_t uuid[16])
{
	char text[37];

	uuid_format(uuid, text);
	return xl_sprintf(MIGRATE_DIR "/" INCOMING "%s", text);
}

/* Whoever made it was killed before there was anything in it, or there was no room: then there is no domain either. */
static void read_note(struct incoming *n)
{
	struct note d;

	if (pread(n->fd, &d, sizeof(d), 0) != sizeof(d) || d.magic != INCOMING_MAGIC ||
	    memcmp(d.uuid, n->uuid, 16) || !memchr(d.name, '\0', sizeof(d.name)))
		return;
	n->phase = d.phase;
	n->flags = d.flags;
	memcpy(n->attempt, d.attempt, sizeof(n->attempt));
	memcpy(n->name, d.name, sizeof(n->name));
}

int incoming_claim(struct incoming *n, const uint8_t uuid[16], bool make, int ms)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), rc = 0;
	char *path = incoming_path(uuid);
	int64_t end = xl_now() + ms;
	struct stat st;

	*n = (struct incoming){ .fd = -1 };
	memcpy(n->uuid, uuid, 16);
	make_directory();
	for (;;) {
		n->fd = open(path, flags, 0600);
		if (n->fd < 0) {
			rc = -errno;
			break;
		}
		/* One that was removed while it was waited for is no lock. */
		if (!flock(n->fd, LOCK_EX | LOCK_NB) && !fstat(n->fd, &st) && st.st_nlink)
			break;
		close(n->fd);
		n->fd = -1;
		if (xl_now() > end || xl_interrupted) {
			rc = -EBUSY;
			break;
		}
		xl_sleep(20);
	}
	free(path);
	if (!rc)
		read_note(n);
	return rc;
}

int incoming_write(struct incoming *n)
{
	struct note d = { .magic = INCOMING_MAGIC, .phase = n->phase, .flags = n->flags };

	memcpy(d.uuid, n->uuid, sizeof(d.uuid));
	memcpy(d.attempt, n->attempt, sizeof(d.attempt));
	memcpy(d.name, n->name, sizeof(d.name));
	if (pwrite(n->fd, &d, sizeof(d), 0) != sizeof(d) || fsync(n->fd))
		return errno ? -errno : -EIO;
	return sync_directory();
}

int incoming_disks(struct incoming *n, char *const *path, const int *fd, unsigned int nr)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct stat st;
	unsigned int i;
	int rc = 0;

	if (!f)
		abort();
	for (i = 0; i < nr && !rc; i++) {
		rc = fstat(fd[i], &st) ? -errno : 0;
		fprintf(f, "%ju %ju %s\n", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, path[i]);
	}
	fclose(f);
	if (!rc &&
	    (pwrite(n->fd, text, size, sizeof(struct note)) != (ssize_t)size || fsync(n->fd)))
		rc = errno ? -errno : -EIO;
	free(text);
	return rc;
}

/* It does not come. A note that was cut names fewer. */
static void drop_disks(const struct incoming *n)
{
	uintmax_t dev, ino;
	struct stat st, was;
	char *text, *line, *next;
	int at;

	if (fstat(n->fd, &was) || was.st_size <= (off_t)sizeof(struct note))
		return;
	text = calloc(1, was.st_size - sizeof(struct note) + 1);
	if (!text)
		abort();
	if (pread(n->fd, text, was.st_size - sizeof(struct note), sizeof(struct note)) < 0)
		*text = '\0';
	for (line = text; (next = strchr(line, '\n')); line = next + 1) {
		*next = '\0';
		at = 0;
		if (sscanf(line, "%ju %ju %n", &dev, &ino, &at) == 2 && at &&
		    !lstat(line + at, &st) && st.st_dev == dev && st.st_ino == ino)
			unlink(line + at);
	}
	free(text);
	/* The next attempt may go on with this note. */
	if (ftruncate(n->fd, sizeof(struct note)))
		xl_error("a note of '%s' cannot be made shorter: %s", n->name, strerror(errno));
}

void incoming_release(struct incoming *n, bool forget)
{
	char *path = incoming_path(n->uuid);

	if (n->fd >= 0 && forget)
		unlink(path);
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
	free(path);
}

/* --- that it has run here: a file for each attempt, until its source has none any more --- */

static char *mark_path(const uint8_t uuid[16], const uint8_t attempt[16])
{
	char text[UUID_TEXT + 1], number[UUID_TEXT + 1];

	uuid_format(uuid, text);
	uuid_format(attempt, number);
	return xl_sprintf(MIGRATE_DIR "/" RAN "%s.%s", text, number);
}

static int mark(const struct incoming *n)
{
	char *path = mark_path(n->uuid, n->attempt);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd < 0 ? -errno : sync_directory();

	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

void incoming_done(const uint8_t uuid[16], const uint8_t attempt[16])
{
	char *path = mark_path(uuid, attempt);

	unlink(path);
	free(path);
}

/* @attempt: NULL: any. */
static bool has_run(const uint8_t uuid[16], const uint8_t *attempt)
{
	char text[UUID_TEXT + 1], *path = attempt ? mark_path(uuid, attempt) : NULL;
	bool found = path && !access(path, F_OK);
	DIR *d = path ? NULL : opendir(MIGRATE_DIR);
	struct dirent *e;

	uuid_format(uuid, text);
	while (d && !found && (e = readdir(d)))
		found = !strncmp(e->d_name, RAN, strlen(RAN)) &&
			!strncmp(e->d_name + strlen(RAN), text, UUID_TEXT);
	if (d)
		closedir(d);
	free(path);
	return found;
}

/* --- what it becomes --- */

int incoming_run(struct xl *xl, const struct incoming *n, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	int rc = pv_domain_info(xl->pv, domid, &info);

	if (!rc && info.flags & XEN_DOMINF_paused && !(n->flags & MIGRATE_PAUSED))
		rc = domain_start(xl, domid);
	return rc;
}

int incoming_is(struct xl *xl, uint32_t domid)
{
	char *name = domain_name(xl, domid);
	size_t n = name ? strlen(name) : 0, end = strlen(MIGRATE_INCOMING);
	/* Whoever makes one gives it its name as the first of all. */
	bool yes = !name || (n > end && !strcmp(name + n - end, MIGRATE_INCOMING));

	free(name);
	return xl_store_lost ? -1 : yes;
}

int incoming_ran(struct xl *xl, struct incoming *n, uint32_t domid)
{
	/* Once: the source may have had it removed since. */
	bool marked = n->phase == INCOMING_MARKED || !mark(n);
	int is = incoming_is(xl, domid);
	/* Somebody may have called it something else since. */
	int named = is > 0 ? migrate_rename(xl, domid, n->name) : is;

	/* What cannot ever be is no reason to try it for ever. */
	if (marked && (!named || (named < 0 && !xl_store_lost)))
		return 0;
	n->phase = marked ? INCOMING_MARKED : INCOMING_RAN;
	incoming_write(n);
	return 1;
}

/* There is a domain of its UUID, whose lock is held. */
static int settle(struct xl *xl, struct incoming *n, uint32_t domid)
{
	int rc, is;

	if (n->phase == INCOMING_COMES) {
		/* It may be what somebody has made by hand since: then it is not what was coming. */
		is = incoming_is(xl, domid);
		if (is <= 0)
			return is;
		rc = domain_destroy(xl, domid);
		if (rc && migrate_find(xl, n->uuid, &domid))
			return -1;
		xl_error("half of '%s' has come from another host: it goes", n->name);
		return 0;
	}
	if (n->phase == INCOMING_GO) {
		rc = incoming_run(xl, n, domid);
		if (rc)
			return xl_error("'%s' has come whole, and cannot be let run: %s", n->name,
					strerror(-rc));
		xl_error("'%s' has come from another host, and runs", n->name);
	}
	return incoming_ran(xl, n, domid);
}

int incoming_settle(struct xl *xl, struct incoming *n)
{
	uint32_t domid = 0;
	int lock = -1, rc;

	/* Whoever made the note was killed before there was anything in it, and before there was a domain. */
	if (!n->phase)
		return 0;
	if (migrate_find(xl, n->uuid, &domid)) {
		lock = xl_lock_domain(domid);
		if (lock < 0)
			return -1;
	}
	if (lock >= 0 && domain_is(xl, domid, n->uuid))
		rc = settle(xl, n, domid);
	else
		/* One that has heard GO and is not there has run, and ended. */
		rc = (n->phase == INCOMING_GO || n->phase == INCOMING_RAN) && mark(n);
	xl_unlock_domain(lock, domid);
	if (!rc && n->phase == INCOMING_COMES)
		drop_disks(n);
	return rc;
}

int incoming_ask(struct xl *xl, const uint8_t uuid[16], const uint8_t *attempt)
{
	struct incoming n;
	uint32_t domid;
	bool this_one;
	int rc = incoming_claim(&n, uuid, false, ASK_MS), left = 0;

	if (rc && rc != -ENOENT)
		return xl_error("it is not known whether the guest is here: %s",
				rc == -EBUSY ? "it is still being received; ask again later" :
					       strerror(-rc));
	if (!rc) {
		left = incoming_settle(xl, &n);
		this_one = left > 0 && (!attempt || !memcmp(attempt, n.attempt, 16));
		incoming_release(&n, !left);
		if (left < 0 || this_one)
			return left;
	}
	return has_run(uuid, attempt) || migrate_find(xl, uuid, &domid);
}

/* --- both ------------------------------------------------------------------------------------ */

char *migrate_bars(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	struct given g;
	struct note d;
	char *path, *why = NULL;
	int fd;

	if (given_read(xl, domid, &g) && !(g.flags & GIVEN_BACK))
		return xl_sprintf("it has been given to %s and may run there; xl migrate "
				  "--recover %s finds out",
				  g.host, g.name);
	if (template_is(domid))
		return xl_sprintf(
			"it is a template, which never runs; xl clone makes guests of it");
	if (pv_domain_info(xl->pv, domid, &info))
		return NULL;
	path = incoming_path(info.handle);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && pread(fd, &d, sizeof(d), 0) == sizeof(d) && d.magic == INCOMING_MAGIC &&
	    d.phase == INCOMING_COMES)
		why = xl_sprintf("it is on its way from another host, where it may still run");
	if (fd >= 0)
		close(fd);
	free(path);
	return why;
}

static bool is_held(const char *file)
{
	char *path = xl_sprintf(MIGRATE_DIR "/%s", file);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool held = fd < 0 || flock(fd, LOCK_SH | LOCK_NB);

	if (fd >= 0)
		close(fd);
	free(path);
	return held;
}

static void sweep_incoming(struct xl *xl, const char *file)
{
	struct incoming n;
	uint8_t uuid[16];
	uint32_t domid;
	int left;

	if (uuid_parse(file + strlen(INCOMING), uuid) || incoming_claim(&n, uuid, false, 0))
		return;
	/* Whoever is at the domain may be for long, and all others wait for us. */
	left = migrate_find(xl, uuid, &domid) && xl_domain_locked(domid) ? 1 :
									   incoming_settle(xl, &n);
	incoming_release(&n, !left);
}

static void sweep_given(struct xl *xl, const char *file)
{
	char *path = xl_sprintf(MIGRATE_DIR "/%s", file);
	struct given g;
	int lock;

	if (!read_given(file, &g)) {
		free(path);
		return;
	}
	if (!domain_is(xl, g.domid, g.handle)) {
		/* A domain that was destroyed since takes its note along. */
		unlink(path);
	} else if (g.flags & GIVEN_BACK && !xl_domain_locked(g.domid)) {
		lock = xl_lock_domain(g.domid);
		if (lock >= 0 && given_read(xl, g.domid, &g) && g.flags & GIVEN_BACK &&
		    !given_take_back(xl, &g))
			xl_error("who let '%s' go on here was killed: it does", g.name);
		xl_unlock_domain(lock, g.domid);
	}
	free(path);
}

/* Half a note: whoever writes one has the domain's lock. */
static void sweep_half(const char *file)
{
	char *path;

	if (xl_domain_locked(strtoul(file + strlen(NEW_GIVEN), NULL, 10)))
		return;
	path = xl_sprintf(MIGRATE_DIR "/%s", file);
	unlink(path);
	free(path);
}

static bool begins(const char *file, const char *with)
{
	return !strncmp(file, with, strlen(with));
}

/* Most of the time there is none, and then nothing is asked of anybody. */
void migrate_sweep(void)
{
	DIR *d = opendir(MIGRATE_DIR);
	struct xl xl = { 0 };
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (begins(e->d_name, NEW_GIVEN))
			sweep_half(e->d_name);
		if (!begins(e->d_name, GIVEN) &&
		    (!begins(e->d_name, INCOMING) || is_held(e->d_name)))
			continue;
		/* That it did not answer the last time says nothing of this one. */
		if (!xl.pv)
			xl_store_lost = false;
		if (!xl.pv && xl_open(&xl))
			break;
		if (begins(e->d_name, GIVEN))
			sweep_given(&xl, e->d_name);
		else
			sweep_incoming(&xl, e->d_name);
	}
	if (d)
		closedir(d);
	if (xl.pv)
		xl_close(&xl);
}
