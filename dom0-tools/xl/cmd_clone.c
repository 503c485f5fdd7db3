// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl clone: another guest out of one that runs, or of a snapshot (snapshot.h).
 * Owns who the other one is: name, UUID, MACs and disks of its own, and that nothing of one that fails is left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk_store.h"
#include "restoring.h"
#include "taking.h"

struct options {
	const char *guest, *name, *snapshot;
	bool paused, copy;
};

struct cloning {
	struct xl xl;
	const struct options *o;
	struct taking *t; /* its snapshots are locked, and t->snap is what it is made from */
	char **disk; /* its own, in the order of the snapshot's */
	unsigned int nr_made;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "snapshot", required_argument, NULL, 's' },
		{ "copy", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *bad;
	int c;

	while ((c = getopt_long(argc, argv, "ph", longs, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage("clone", c == 'h') + 1;
		o->paused |= c == 'p';
		o->copy |= c == 'c';
		o->snapshot = c == 's' ? optarg : o->snapshot;
	}
	if (argc - optind != 2)
		return command_usage("clone", false) + 1;
	o->guest = argv[optind];
	o->name = argv[optind + 1];
	bad = config_bad_name(o->name);
	if (!bad && o->snapshot)
		bad = config_bad_name(o->guest);
	if (!bad)
		return 0;
	xl_error("%s: %s", config_bad_name(o->name) ? o->name : o->guest, bad);
	return EXIT_USAGE + 1;
}

/* --- what it is made from ----------------------------------------------------------------------- */

/* A snapshot that nobody sees, for as long as this takes. */
static int take_one(struct cloning *c)
{
	char *name = xl_sprintf("clone-%d", getpid());
	uint32_t domid = 0;
	int lock = domain_lock(&c->xl, c->o->guest, "clone", &domid), rc = -1;

	c->t->memory = c->t->disks = true;
	c->t->copy = c->o->copy;
	if (lock >= 0)
		rc = taking_begin(c->t, &c->xl, domid, c->o->guest, name);
	xl_unlock_domain(lock, domid);
	free(name);
	return rc;
}

static int find_one(struct cloning *c)
{
	struct snapshot *s = &c->t->snap;

	if (snapshots_lock(&c->t->all, c->o->guest, false) ||
	    snapshot_read(&c->t->all, s, c->o->snapshot))
		return -1;
	if (s->pages)
		return 0;
	return xl_error("snapshot '%s' of '%s' is of disks alone: there is no guest in it that "
			"could go on",
			s->name, c->o->guest);
}

/* --- its disks ---------------------------------------------------------------------------------- */

static void drop_disks(struct cloning *c)
{
	while (c->nr_made)
		unlink(c->disk[--c->nr_made]);
}

/* Of a snapshot that is kept they share blocks with it; else they are its. */
static int make_disk(struct cloning *c, const struct snapshot_disk *d, const char *path)
{
	int rc;

	if (!c->o->snapshot)
		rc = link(d->file, path) ? -errno : 0;
	else
		rc = disk_store_clone(d->file, path, c->o->copy);
	if (!rc)
		return 0;
	if (rc == -EOPNOTSUPP)
		return xl_error("disk %s, %s: its file system cannot let two files share blocks, "
				"as XFS can: --copy copies it",
				d->vdev, d->file);
	return xl_error("disk %s, %s: %s", d->vdev, path,
			rc == -EINTR ? "interrupted" : strerror(-rc));
}

static int make_disks(struct cloning *c)
{
	const struct snapshot *s = &c->t->snap;
	unsigned int i;
	char *copy;

	c->disk = calloc(s->nr_disks + 1, sizeof(*c->disk));
	if (!c->disk)
		abort();
	for (i = 0; i < s->nr_disks; i++) {
		copy = xl_sprintf("%s", s->disk[i].target);
		c->disk[i] = xl_sprintf("%s/%s.%s.img", dirname(copy), c->o->name, s->disk[i].vdev);
		free(copy);
		if (make_disk(c, &s->disk[i], c->disk[i]))
			return -1;
		c->nr_made++;
	}
	return 0;
}

/* --- who it is ---------------------------------------------------------------------------------- */

static int give_disk(struct cloning *c, struct xl_disk *d)
{
	const struct snapshot *s = &c->t->snap;
	unsigned int i;

	if (!d->target || d->readonly || d->cdrom)
		return 0;
	for (i = 0; i < s->nr_disks; i++) {
		if (strcmp(s->disk[i].vdev, d->vdev))
			continue;
		free(d->target);
		d->target = xl_sprintf("%s", c->disk[i]);
		return 0;
	}
	return xl_error("disk %s of '%s' is not in snapshot '%s': two guests would write to it",
			d->vdev, c->o->guest, s->name);
}

/* What two guests cannot both have. One that goes on whole notices nothing, and so keeps using the MACs that it knows. */
static int become_another(struct cloning *c, struct xl_config *cfg, const struct saved *s)
{
	int i, rc = 0;

	if (cfg->nr_nics && s->in.image.options & PV_STREAM_CONNECTED)
		return xl_error("'%s' has interfaces, and does not suspend itself: it would go on "
				"with the same MACs",
				c->o->guest);
	free(cfg->name);
	cfg->name = xl_sprintf("%s", c->o->name);
	cfg->have_uuid = cfg->uuid_chosen = false;
	for (i = 0; i < cfg->nr_nics && !rc; i++) {
		cfg->nic[i].have_mac = false;
		cfg->nic[i].vifname[0] = '\0';
		rc = nic_random_mac(cfg->nic[i].mac) ? xl_error("no random numbers") : 0;
	}
	for (i = 0; i < cfg->nr_disks && !rc; i++)
		rc = give_disk(c, &cfg->disk[i]);
	return rc;
}

/* @c->t->snap is there. */
static int make(struct cloning *c)
{
	char *memory = snapshot_path(&c->t->snap, "memory");
	struct xl_config cfg;
	struct saved s;
	int rc = saved_open(&s, memory);

	if (!rc) {
		rc = restoring_config(&cfg, &s, NULL) || make_disks(c) ||
		     become_another(c, &cfg, &s);
		if (!rc)
			rc = restoring_run(&c->xl, &cfg, &s, c->o->paused, false);
		config_free(&cfg);
	}
	saved_close(&s);
	free(memory);
	if (rc)
		drop_disks(c);
	return rc ? -1 : 0;
}

static int clone_guest(struct cloning *c)
{
	uint32_t domid;
	unsigned int i;
	int rc;

	if (domain_named(&c->xl, c->o->name, &domid))
		return xl_error("a domain called '%s' exists already", c->o->name);
	rc = c->o->snapshot ? find_one(c) : take_one(c);
	if (!rc) {
		rc = make(c);
		/* Its disks have another name by now, or went. */
		if (!c->o->snapshot && snapshot_remove(&c->t->all, &c->t->snap))
			rc = -1;
	}
	if (!rc && !c->o->snapshot)
		printf("%s: '%s' goes on as it was; it stood still for %.2f s\n", c->o->name,
		       c->t->guest, (double)c->t->stood / 1000);
	else if (!rc)
		printf("%s: from snapshot '%s' of '%s'\n", c->o->name, c->o->snapshot, c->o->guest);
	for (i = 0; c->disk && i < c->t->snap.nr_disks; i++)
		free(c->disk[i]);
	free(c->disk);
	return rc;
}

int cmd_clone(int argc, char **argv)
{
	struct options o = { 0 };
	struct cloning c = { .o = &o };
	int rc = parse_options(argc, argv, &o);

	if (rc)
		return rc - 1;
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	c.t = calloc(1, sizeof(*c.t));
	if (!c.t)
		abort();
	c.t->fd = c.t->all.lock = -1;
	if (xl_open(&c.xl)) {
		free(c.t);
		return 1;
	}
	rc = clone_guest(&c);
	taking_end(c.t);
	free(c.t);
	xl_close(&c.xl);
	return rc ? 1 : 0;
}
