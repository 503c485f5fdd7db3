// SPDX-License-Identifier: BSD-2-Clause
/*
 * What both sides of a migration note, and what follows from it once whoever has noted it is no more (migrate.h).
 * Owns that a copy is let run by what is on the disk alone: never one that was given away, never one that has not heard GO.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate.h"

#define GIVEN "given."
#define INCOMING "incoming."
#define GIVEN_MAGIC 0x47495631 /* "GIV1" */
#define INCOMING_MAGIC 0x494e4331 /* "INC1" */
#define RENAME_MS 2000
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

void migrate_rename(struct xl *xl, uint32_t domid, const char *name)
{
	int64_t begin = xl_now();
	bool mine;
	int lock;

	/* Whoever has it may be waiting for this domain's lock, which is ours. */
	while ((lock = xl_try_lock(&mine)) < 0 && !mine && xl_now() < begin + RENAME_MS)
		xl_sleep_since(begin);
	if (!mine || domain_rename(xl, domid, name))
		xl_error("warning: domain %u is not called '%s'", domid, name);
	xl_unlock(lock);
}

/* --- the source's ---------------------------------------------------------------------------- */

int given_write(const struct given *g)
{
	char *path = xl_sprintf(MIGRATE_DIR "/" GIVEN "%u", g->domid);
	char *temp = xl_sprintf(MIGRATE_DIR "/new-" GIVEN "%u", g->domid);
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

bool given_find(struct xl *xl, const char *name, struct given *g)
{
	size_t n = strlen(name), end = strlen(MIGRATE_AWAY);
	struct dirent *e;
	uint32_t domid;
	bool found = false;
	DIR *d;

	if (domain_numbered(xl, name, &domid) && given_read(xl, domid, g))
		return true;
	if (n > end && !strcmp(name + n - end, MIGRATE_AWAY))
		n -= end;
	d = opendir(MIGRATE_DIR);
	while (d && !found && (e = readdir(d)))
		found = !strncmp(e->d_name, GIVEN, strlen(GIVEN)) && read_given(e->d_name, g) &&
			strlen(g->name) == n && !strncmp(g->name, name, n) &&
			domain_is(xl, g->domid, g->handle);
	if (d)
		closedir(d);
	return found;
}

void given_forget(uint32_t domid)
{
	char *path = xl_sprintf(MIGRATE_DIR "/" GIVEN "%u", domid);

	unlink(path);
	free(path);
	sync_directory();
}

/* --- the target's ---------------------------------------------------------------------------- */

struct note {
	uint32_t magic, phase, flags;
	uint8_t uuid[16];
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
	memcpy(d.name, n->name, sizeof(d.name));
	if (pwrite(n->fd, &d, sizeof(d), 0) != sizeof(d) || fsync(n->fd))
		return errno ? -errno : -EIO;
	return sync_directory();
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

int incoming_run(struct xl *xl, const struct incoming *n, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	char *name;
	int rc = pv_domain_info(xl->pv, domid, &info);

	if (!rc && info.flags & XEN_DOMINF_paused && !(n->flags & MIGRATE_PAUSED))
		rc = domain_start(xl, domid);
	if (rc)
		return rc;
	name = domain_name(xl, domid);
	if (!name || strcmp(name, n->name))
		migrate_rename(xl, domid, n->name);
	free(name);
	return 0;
}

/* It may have been named by whoever has made it since: then it is not what was coming. */
static bool is_incoming(struct xl *xl, uint32_t domid)
{
	char *name = domain_name(xl, domid);
	size_t n = name ? strlen(name) : 0, end = strlen(MIGRATE_INCOMING);
	bool yes = !name || (n > end && !strcmp(name + n - end, MIGRATE_INCOMING));

	free(name);
	return yes;
}

int incoming_settle(struct xl *xl, struct incoming *n)
{
	uint32_t domid = 0;
	int lock, rc;

	if (n->phase == INCOMING_RAN)
		return 1;
	/* One that has heard GO and is not there has run, and ended. */
	if (!migrate_find(xl, n->uuid, &domid))
		return n->phase == INCOMING_GO;
	if (n->phase != INCOMING_GO && !is_incoming(xl, domid))
		return 1;
	lock = xl_lock_domain(domid);
	if (lock < 0)
		return -1;
	if (!domain_is(xl, domid, n->uuid)) {
		rc = n->phase == INCOMING_GO;
	} else if (n->phase == INCOMING_GO) {
		rc = incoming_run(xl, n, domid);
		rc = rc ? xl_error("'%s' has come whole, and cannot be let run: %s", n->name,
				   strerror(-rc)) :
			  1;
		if (rc == 1) {
			n->phase = INCOMING_RAN;
			incoming_write(n);
			xl_error("'%s' has come from another host, and runs", n->name);
		}
	} else {
		rc = domain_destroy(xl, domid) || migrate_find(xl, n->uuid, &domid) ? -1 : 0;
		if (!rc)
			xl_error("half of '%s' has come from another host: it goes", n->name);
	}
	xl_unlock_domain(lock, domid);
	return rc;
}

int incoming_ask(struct xl *xl, const uint8_t uuid[16])
{
	struct incoming n;
	uint32_t domid;
	int rc = incoming_claim(&n, uuid, false, ASK_MS);

	if (rc == -ENOENT)
		return migrate_find(xl, uuid, &domid);
	if (rc)
		return xl_error("it is not known whether the guest is here: %s",
				rc == -EBUSY ? "it is still being received" : strerror(-rc));
	rc = incoming_settle(xl, &n);
	incoming_release(&n, !rc);
	return rc;
}

/* --- both ------------------------------------------------------------------------------------ */

char *migrate_bars(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	struct given g;
	struct note d;
	char *path, *why = NULL;
	int fd;

	if (given_read(xl, domid, &g))
		return xl_sprintf("it has been given to %s and may run there; xl migrate "
				  "--recover %s finds out",
				  g.host, g.name);
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

	if (uuid_parse(file + strlen(INCOMING), uuid) || incoming_claim(&n, uuid, false, 0))
		return;
	/* What has run is kept for the source's question. */
	incoming_release(&n, !incoming_settle(xl, &n));
}

/* A domain that was destroyed since takes its note along. */
static void sweep_given(struct xl *xl, const char *file)
{
	char *path = xl_sprintf(MIGRATE_DIR "/%s", file);
	struct given g;

	if (read_given(file, &g) && !domain_is(xl, g.domid, g.handle))
		unlink(path);
	free(path);
}

/* Is there one to be looked at? Most of the time there is none, and then nothing is asked of anybody. */
static bool is_due(const char *file)
{
	struct note d = { 0 };
	char *path;
	int fd;

	if (!strncmp(file, GIVEN, strlen(GIVEN)))
		return true;
	if (strncmp(file, INCOMING, strlen(INCOMING)) || is_held(file))
		return false;
	path = xl_sprintf(MIGRATE_DIR "/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && pread(fd, &d, sizeof(d), 0) != sizeof(d))
		d.phase = 0;
	if (fd >= 0)
		close(fd);
	free(path);
	return d.phase != INCOMING_RAN;
}

void migrate_sweep(void)
{
	DIR *d = opendir(MIGRATE_DIR);
	struct xl xl = { 0 };
	struct dirent *e;

	while (d && (e = readdir(d))) {
		if (!is_due(e->d_name) || (!xl.pv && xl_open(&xl)))
			continue;
		if (!strncmp(e->d_name, GIVEN, strlen(GIVEN)))
			sweep_given(&xl, e->d_name);
		else
			sweep_incoming(&xl, e->d_name);
	}
	if (d)
		closedir(d);
	if (xl.pv)
		xl_close(&xl);
}
