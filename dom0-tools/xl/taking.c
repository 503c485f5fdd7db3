// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a snapshot of a guest that runs is taken (taking.h).
 * Owns that memory and disks are of the same moment, and that one that fails leaves the guest running and nothing else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_store.h"
#include "written.h"
#include "migrate.h"
#include "suspend.h"
#include "taking.h"

/* Its memory is on its way to a file in this dom0: a few rounds bring what is left down to what it writes in a moment. */
#define DOWNTIME 20
#define ROUNDS 5

/* --- what is to be in it ----------------------------------------------------------------------- */

char *taking_disk(const char *target, const char *clone, const char *vdev)
{
	char *copy = xl_sprintf("%s", target);
	char *path = xl_sprintf("%s/%s.%s.img", dirname(copy), clone, vdev);

	free(copy);
	return path;
}

static int add_clones_disk(struct taking *t, const char *vdev, const char *target)
{
	char *path = taking_disk(target, t->clone, vdev);
	int rc = snapshot_add_file(&t->snap, vdev, target, path);

	free(path);
	return rc;
}

static int add_disk(void *ctx, const char *vdev, const char *target, const char *given)
{
	struct taking *t = ctx;

	(void)given;
	return t->clone ? add_clones_disk(t, vdev, target) :
			  snapshot_add_disk(&t->all, &t->snap, vdev, target);
}

static int note_disks(struct taking *t)
{
	return written_disks(t->s.xl, t->s.domid, t->guest,
			     "have snapshots yet (--memory leaves disks out)", add_disk, t);
}

static int note(struct taking *t)
{
	struct xen_domctl_getdomaininfo info;

	if (pv_domain_info(t->s.xl->pv, t->s.domid, &info))
		return xl_error("'%s' has been destroyed", t->s.guest);
	uuid_format(info.handle, t->snap.uuid);
	t->snap.pages = t->s.pages;
	return (t->disks && note_disks(t)) || snapshot_note(&t->snap, t->s.config);
}

/* --- while it runs ----------------------------------------------------------------------------- */

/* What saving_*() and rounds_*() have returned. */
static int stream_error(const struct taking *t, int rc)
{
	if (rc && *t->s.err.text)
		return xl_error("%s '%s': %s", t->clone ? "clone" : "snapshot",
				t->clone ? t->clone : t->snap.name, t->s.err.text);
	return rc;
}

static int begin_memory(struct taking *t)
{
	const struct rounds_limits limits = { .downtime = DOWNTIME, .most = ROUNDS };
	int rc;

	t->fd = open(t->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return xl_error("%s: %s", t->part, strerror(errno));
	rc = saving_begin(&t->s, t->fd);
	if (!rc)
		rc = rounds_run(&t->rounds, &t->s, &t->d, &limits);
	return stream_error(t, rc);
}

/* --- the moment -------------------------------------------------------------------------------- */

static int clone_disks(struct taking *t)
{
	const struct snapshot_disk *d = t->snap.disk;
	unsigned int i;
	int rc;

	for (i = 0; i < t->snap.nr_disks; i++, d++) {
		if (!t->clone && snapshot_make_room(d->file))
			return -1;
		rc = t->clone ? disk_store_fill(d->target, d->file, t->copy) :
				disk_store_clone(d->target, d->file, t->copy);
		if (rc == -EOPNOTSUPP)
			return xl_error(
				"disk %s, %s: its file system cannot let two files share "
				"blocks, as XFS can: --copy copies it, and '%s' stands still "
				"for that; --memory leaves disks out",
				d->vdev, d->target, t->s.guest);
		if (rc)
			return xl_error("disk %s, %s: %s", d->vdev, d->file,
					rc == -EINTR ? "interrupted" : strerror(-rc));
	}
	return 0;
}

static int stand_still(struct taking *t)
{
	struct xen_domctl_getdomaininfo info;
	struct saving *s = &t->s;
	int rc;

	t->still = xl_now();
	if (s->suspended && suspend_guest(s->xl, s->domid, s->guest))
		return -1;
	rc = dump_pause(s->xl, &t->d);
	if (rc)
		return xl_error("cannot pause '%s': %s", s->guest, strerror(-rc));
	if (saving_goes_on(s, &info) || (t->memory && (saving_state(s) || saving_same_map(s))) ||
	    (s->connected ? drain_flush : drain_disks)(s->xl, s->domid, s->guest) || clone_disks(t))
		return -1;
	return t->memory ? stream_error(t, saving_rest(s, "Saving")) : 0;
}

int taking_no_memory(const char *guest, const char *clone, uint64_t pages, uint16_t fork)
{
	unsigned int both =
		!(fork & PAVISE_FORK_NO_RESERVE) + !(fork & PAVISE_FORK_PARENT_NO_RESERVE);

	return xl_error("there is not so much free memory as '%s' and '%s' may write, %llu KiB%s",
			guest, clone, (unsigned long long)pages * both * 4,
			fork & PAVISE_FORK_NO_RESERVE ? "" : ": --no-reserve does without");
}

/* Its memory, at that moment. */
static int fork_memory(struct taking *t, uint32_t child)
{
	int rc = pv_fork(t->s.xl->pv, t->s.domid, child, t->fork);

	return rc == -ENOMEM ? taking_no_memory(t->guest, t->clone, t->s.pages, t->fork) :
	       rc ? xl_error("the memory of '%s' cannot become that of '%s', too: %s", t->guest,
			     t->clone, strerror(-rc)) :
		    0;
}

/* Whatever became of the snapshot. */
static int go_on(struct taking *t)
{
	int rc = t->memory && t->still ? saving_undo(&t->s) : 0, err = dump_end(t->s.xl, &t->d);

	t->stood = t->still ? xl_now() - t->still : 0;
	return err ? xl_error("'%s' cannot be unpaused: %s", t->s.guest, strerror(-err)) : rc;
}

/* --- and behind it ----------------------------------------------------------------------------- */

static int finish(struct taking *t)
{
	char *path = snapshot_path(&t->snap, "memory");
	unsigned int i;
	int rc = 0;

	if (t->fd >= 0 && (fsync(t->fd) || rename(t->part, path)))
		rc = xl_error("%s: %s", path, strerror(errno));
	free(path);
	for (i = 0; i < t->snap.nr_disks && !rc; i++) {
		rc = disk_store_sync(t->snap.disk[i].file);
		if (rc)
			xl_error("%s: %s", t->snap.disk[i].file, strerror(-rc));
	}
	return rc ? -1 : 0;
}

/* What is left of one that was given to another host is not what it is there. */
static int not_given(const struct taking *t)
{
	char *bars = migrate_bars(t->s.xl, t->s.domid);
	int rc = bars ? xl_error("'%s': %s", t->guest, bars) : 0;

	free(bars);
	return rc;
}

static int take(struct taking *t, const char *name)
{
	struct saving *s = &t->s;
	char *path;
	int rc = snapshot_begin(&t->all, &t->snap, name);

	if (rc)
		return rc;
	path = snapshot_path(&t->snap, "memory");
	/* First: whoever was killed over it before has left it as it was then, once this is through. */
	rc = dump_begin(s->xl, s->domid, path, false, &t->d);
	free(path);
	if (rc) {
		snapshot_remove(&t->all, &t->snap);
		return xl_error("'%s' cannot be paused: %s", s->guest, strerror(-rc));
	}
	t->part = xl_sprintf("%s", t->d.part);
	rc = not_given(t);
	/* One that knows of it can be given other addresses where it goes on. */
	s->how = suspend_offered(s->xl, s->domid) ? SAVING_SUSPENDED : SAVING_ANY;
	rc = rc || (t->memory && (saving_check(s) || saving_map(s))) || saving_config(s, NULL) ||
	     note(t) || (t->memory && begin_memory(t)) || stand_still(t);
	if (go_on(t))
		rc = -1;
	if (!rc)
		rc = finish(t);
	if (rc)
		snapshot_remove(&t->all, &t->snap);
	return rc ? -1 : 0;
}

int taking_begin(struct taking *t, struct xl *xl, uint32_t domid, const char *guest,
		 const char *name)
{
	char *called = domain_name(xl, domid);

	t->s.xl = xl;
	t->s.domid = domid;
	t->guest = called ? called : xl_sprintf("%s", guest);
	t->s.guest = t->guest;
	t->fd = -1;
	return snapshots_lock(&t->all, t->guest, true) || take(t, name) ? -1 : 0;
}

/* --- a clone ----------------------------------------------------------------------------------- */

static int note_fork(struct taking *t)
{
	int rc = dump_begin(t->s.xl, t->s.domid, NULL, false, &t->d);

	return rc ? xl_error("'%s' cannot be paused: %s", t->guest, strerror(-rc)) : 0;
}

int taking_look(struct taking *t, struct xl *xl, uint32_t domid, const char *guest)
{
	struct xen_domctl_getdomaininfo info = { 0 };
	struct saving *s = &t->s;
	int rc;

	s->xl = xl;
	s->domid = domid;
	t->guest = domain_name(xl, domid);
	if (!t->guest)
		t->guest = xl_sprintf("%s", guest);
	s->guest = t->guest;
	s->forked = true;
	t->memory = t->disks = true;
	t->fd = t->all.lock = -1;
	rc = note_fork(t);
	if (rc)
		return rc;
	s->how = suspend_offered(xl, domid) ? SAVING_SUSPENDED : SAVING_ANY;
	rc = pv_domain_info(xl->pv, domid, &info) ? xl_error("'%s' has been destroyed", t->guest) :
						    0;
	if (!rc)
		rc = saving_check(s) || saving_map(s) || saving_config(s, NULL) || note_disks(t) ?
			     -1 :
			     0;
	dump_end(xl, &t->d);
	memcpy(t->handle, info.handle, sizeof(t->handle));
	return rc;
}

/* What taking_look() has found of its disks is so still. */
static int same_disks(struct taking *t)
{
	struct snapshot was = t->snap;
	unsigned int i;
	int rc;

	t->snap = (struct snapshot){ 0 };
	rc = note_disks(t);
	if (!rc && was.nr_disks != t->snap.nr_disks)
		rc = 1;
	for (i = 0; i < was.nr_disks && !rc; i++)
		rc = strcmp(was.disk[i].target, t->snap.disk[i].target) ||
		     strcmp(was.disk[i].vdev, t->snap.disk[i].vdev);
	snapshot_free(&t->snap);
	t->snap = was;
	return rc > 0 ? xl_error("'%s' has been given other disks meanwhile: try again", t->guest) :
			rc;
}

int taking_fork(struct taking *t, uint32_t child)
{
	struct saving *s = &t->s;
	int rc = note_fork(t);

	if (rc)
		return rc;
	t->fd = memfd_create("state", MFD_CLOEXEC);
	rc = t->fd < 0 ? xl_error("%s", strerror(errno)) : not_given(t) || same_disks(t);
	if (!rc)
		rc = stream_error(t, saving_begin(s, t->fd));
	if (!rc)
		rc = stand_still(t) || fork_memory(t, child) ? -1 : 0;
	return go_on(t) || rc ? -1 : 0;
}

void taking_end(struct taking *t)
{
	if (t->fd >= 0)
		close(t->fd);
	rounds_free(&t->rounds);
	saving_free(&t->s);
	snapshot_free(&t->snap);
	snapshots_unlock(&t->all);
	free(t->part);
	free(t->guest);
}
