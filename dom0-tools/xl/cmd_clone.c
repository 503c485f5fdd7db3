// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl clone: another guest out of one that runs, of a snapshot (snapshot.h), or of a template; and xl template, which makes one (template.h).
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
#include "next.h"
#include "restoring.h"
#include "taking.h"
#include "template.h"

struct options {
	const char *guest, *name, *snapshot;
	bool paused, copy, no_reserve, template; /* the last: what is made is one */
};

struct cloning {
	struct xl xl;
	const struct options *o;
	struct taking *
		t; /* what it is made from: a guest that runs; or t->snap, whose guest's snapshots are locked */
	bool copied; /* made from a snapshot, with whose name or without */
	char **disk; /* its own, in the order of t->snap's */
	unsigned int nr_made;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "copy", no_argument, NULL, 'c' },
		{ "no-reserve", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		/* Behind it: clone's alone. */
		{ "snapshot", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	}, few[] = { longs[0], longs[1], longs[2], longs[4] };
	const char *bad, *verb = o->template ? "template" : "clone";
	int c;

	while ((c = getopt_long(argc, argv, o->template ? "h" : "ph", o->template ? few : longs,
				NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage(verb, c == 'h') + 1;
		o->paused |= c == 'p';
		o->copy |= c == 'c';
		o->no_reserve |= c == 'n';
		o->snapshot = c == 's' ? optarg : o->snapshot;
	}
	if (argc - optind != 2)
		return command_usage(verb, false) + 1;
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

/* Out of a snapshot; of one that runs there is only its place so far. */
static int make_disk(struct cloning *c, const struct snapshot_disk *d, const char *path)
{
	int rc = c->copied ? disk_store_clone(d->file, path, c->o->copy) :
			     disk_store_make(d->target, path);

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

	c->disk = calloc(s->nr_disks + 1, sizeof(*c->disk));
	if (!c->disk)
		abort();
	for (i = 0; i < s->nr_disks; i++) {
		c->disk[i] = taking_disk(s->disk[i].target, c->o->name, s->disk[i].vdev);
		if (make_disk(c, &s->disk[i], c->disk[i]))
			return -1;
		c->nr_made++;
	}
	return 0;
}

/* --- who it is ---------------------------------------------------------------------------------- */

/* The clone's in the place of this one's. NULL: it is not there. */
static const char *find_disk(const struct cloning *c, const char *vdev)
{
	const struct snapshot *s = &c->t->snap;
	unsigned int i;

	for (i = 0; i < s->nr_disks; i++)
		if (!strcmp(s->disk[i].vdev, vdev))
			return c->disk[i];
	return NULL;
}

/* "disk=[ ... ]", or NULL after a message. */
static char *disk_list(const struct cloning *c, const struct xl_config *was)
{
	struct next_list l;
	const char *path;
	int i, rc = 0;

	next_list_begin(&l, "disk");
	for (i = 0; i < was->nr_disks && !rc; i++) {
		struct xl_disk d = was->disk[i];

		if (d.target && !d.readonly && !d.cdrom) {
			path = find_disk(c, d.vdev);
			rc = path ? 0 :
				    xl_error("disk %s of '%s' is not in snapshot '%s': two guests "
					     "would write to it",
					     d.vdev, c->o->guest,
					     c->t->snap.name ? c->t->snap.name : "");
			d.target = (char *)path;
		}
		next_list_add(&l, rc ? NULL : disk_format(&d));
	}
	return next_list_end(&l, rc);
}

/* "vif=[ ... ]", or NULL after a message. */
static char *nic_list(const struct xl_config *was)
{
	struct next_list l;
	uint8_t mac[6];
	int i, rc = 0;

	next_list_begin(&l, "vif");
	for (i = 0; i < was->nr_nics && !rc; i++) {
		rc = nic_random_mac(mac) ? xl_error("no random numbers") : 0;
		next_list_add(&l, rc ? NULL : nic_format_other(&was->nic[i], mac));
	}
	return next_list_end(&l, rc);
}

/*
 * @cfg becomes the clone's: what two guests cannot both have is its own, also in what its next lives are made from. config_free() is due in any case.
 */
static int become_another(struct cloning *c, const struct saved *s, const struct xl_config *was,
			  struct xl_config *cfg)
{
	char *args[4] = { NULL }, text[37];
	uint8_t uuid[16];
	int i, rc = -1;

	config_init(cfg, stderr);
	/* One that goes on whole notices nothing, and so keeps using the MACs that it knows. */
	if (was->nr_nics && s->in.image.options & PV_STREAM_CONNECTED)
		return xl_error("'%s' has interfaces, and does not suspend itself: it would go on "
				"with the same MACs",
				c->o->guest);
	if (c->o->template && s->in.image.options & PV_STREAM_CONNECTED)
		return xl_error("'%s' has devices, and does not suspend itself: no template can be "
				"made of it",
				c->o->guest);
	if (uuid_random(uuid))
		return -1;
	uuid_format(uuid, text);
	args[0] = xl_sprintf("name=\"%s\"", c->o->name);
	args[1] = xl_sprintf("uuid=\"%s\"", text);
	/* One that never runs has no use for back ends. */
	args[2] = c->o->template ? xl_sprintf("disk=[ ]") : disk_list(c, was);
	args[3] = c->o->template ? xl_sprintf("vif=[ ]") : args[2] ? nic_list(was) : NULL;
	if (args[3]) {
		config_free(cfg);
		rc = restoring_config_as(cfg, s, args, 4);
	}
	for (i = 0; i < 4; i++)
		free(args[i]);
	return rc;
}

/* @s is there, or will be. */
static int make(struct cloning *c, struct saved *s)
{
	struct xl_config was, cfg;
	int rc = restoring_config(&was, s, NULL) || make_disks(c);

	if (!rc) {
		rc = become_another(c, s, &was, &cfg);
		if (!rc)
			rc = restoring_run(&c->xl, &cfg, s, c->o->paused || c->o->template,
					   c->o->template);
		config_free(&cfg);
	}
	config_free(&was);
	if (rc)
		drop_disks(c);
	return rc ? -1 : 0;
}

/* Out of t->snap. */
static int make_copy(struct cloning *c)
{
	char *memory = snapshot_path(&c->t->snap, "memory");
	struct saved s;
	int rc;

	c->copied = true;
	rc = saved_open(&s, memory) || make(c, &s) ? -1 : 0;
	saved_close(&s);
	free(memory);
	return rc;
}

static int clone_snapshot(struct cloning *c)
{
	if (find_one(c) || make_copy(c))
		return -1;
	printf("%s: from snapshot '%s' of '%s'\n", c->o->name, c->o->snapshot, c->o->guest);
	return 0;
}

/* Of one that runs, where memory cannot be shared: a snapshot that is gone once the clone is there. */
static int clone_by_copy(struct cloning *c)
{
	struct taking *t = c->t;
	uint32_t domid = 0;
	/* No other snapshot has such a name. */
	char *name = xl_sprintf("~%s", c->o->name);
	int lock = domain_lock(&c->xl, c->o->guest, "clone", &domid), rc = -1;

	t->memory = t->disks = true;
	t->copy = c->o->copy;
	if (lock >= 0)
		rc = taking_begin(t, &c->xl, domid, c->o->guest, name);
	xl_unlock_domain(lock, domid);
	free(name);
	if (rc)
		return -1;
	rc = make_copy(c);
	if (snapshot_remove(&t->all, &t->snap))
		rc = -1;
	if (!rc)
		printf("%s: '%s' goes on as it was; it stood still for %.2f s, and its memory is "
		       "copied: it cannot be shared here (xl dmesg, \"forks:\")\n",
		       c->o->name, t->guest, (double)t->stood / 1000);
	return rc;
}

/* A template writes nothing. */
static uint16_t fork_flags(const struct options *o)
{
	return o->template ? PAVISE_FORK_NO_RESERVE |
				     (o->no_reserve ? PAVISE_FORK_PARENT_NO_RESERVE : 0) :
	       o->no_reserve ? PAVISE_FORK_NO_RESERVE :
			       0;
}

/* The new domain is made as far as it can be without: now is the moment. */
static int fork_now(struct saved *s, uint32_t child)
{
	struct cloning *c = s->ctx;
	uint32_t domid = c->t->s.domid;
	/* Not by its name: the new one's lock is held, and nobody may be waited for who makes or names guests. */
	int lock = xl_lock_domain(domid), rc;

	if (lock < 0)
		return -1;
	rc = domain_is(&c->xl, domid, c->t->handle) ?
		     taking_fork(c->t, child) :
		     xl_error("'%s' has been destroyed", c->t->guest);
	xl_unlock_domain(lock, domid);
	if (!rc && c->o->template)
		rc = template_keep(child, &c->t->snap, c->t->s.config, c->t->fd);
	return rc ? -1 : saved_forked(s, c->t->fd);
}

static int clone_running(struct cloning *c)
{
	struct taking *t = c->t;
	uint32_t domid = 0;
	struct saved s;
	int lock = domain_lock(&c->xl, c->o->guest, "clone", &domid), rc = -1;

	t->clone = c->o->name;
	t->copy = c->o->copy;
	t->fork = fork_flags(c->o);
	if (lock >= 0)
		rc = taking_look(t, &c->xl, domid, c->o->guest);
	xl_unlock_domain(lock, domid);
	if (rc)
		return -1;
	saved_of_fork(&s, t->guest, t->s.config,
		      t->s.suspended ? PV_STREAM_SUSPENDED :
		      t->s.connected ? PV_STREAM_CONNECTED :
				       0,
		      t->s.pages);
	s.fork = fork_now;
	s.ctx = c;
	rc = make(c, &s);
	saved_close(&s);
	if (!rc)
		printf("%s:%s '%s' goes on as it was; it stood still for %.2f s\n", c->o->name,
		       c->o->template ? " a template;" : "", t->guest, (double)t->stood / 1000);
	return rc;
}

/* Nobody stands still for that. */
static int fork_template(struct saved *s, uint32_t child)
{
	struct cloning *c = s->ctx;
	uint32_t domid = c->t->s.domid;
	uint16_t flags = PAVISE_FORK_PARENT_NO_RESERVE | fork_flags(c->o);
	int lock = xl_lock_domain(domid), rc;

	if (lock < 0)
		return -1;
	rc = domain_is(&c->xl, domid, c->t->handle) ? pv_fork(c->xl.pv, domid, child, flags) :
						      -ESRCH;
	xl_unlock_domain(lock, domid);
	return rc == -ENOMEM ? taking_no_memory(c->o->guest, c->o->name, s->in.ram, flags) :
	       rc	     ? xl_error("'%s', the template: %s", c->o->guest, strerror(-rc)) :
			       0;
}

static int clone_template(struct cloning *c, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	struct taking *t = c->t;
	struct saved s;
	char *stream;
	int rc = -1;

	if (pv_domain_info(c->xl.pv, domid, &info) || template_read(domid, &t->snap))
		return xl_error("'%s', the template, has been destroyed", c->o->guest);
	t->s.domid = domid;
	memcpy(t->handle, info.handle, sizeof(t->handle));
	c->copied = true;
	stream = snapshot_path(&t->snap, "memory");
	if (!saved_open(&s, stream)) {
		s.fork = fork_template;
		s.ctx = c;
		rc = make(c, &s);
	}
	saved_close(&s);
	free(stream);
	if (!rc)
		printf("%s: from template '%s'\n", c->o->name, c->o->guest);
	return rc;
}

/* Is that what it is to be made of? */
static bool find_template(struct cloning *c, uint32_t *domid)
{
	return (domain_numbered(&c->xl, c->o->guest, domid) ||
		domain_named(&c->xl, c->o->guest, domid)) &&
	       template_is(*domid);
}

static int make_one(struct cloning *c)
{
	uint32_t domid;

	if (c->o->snapshot)
		return clone_snapshot(c);
	if (!c->o->template && find_template(c, &domid))
		return clone_template(c, domid);
	if (pv_can_fork(c->xl.pv))
		return clone_running(c);
	if (!c->o->template)
		return clone_by_copy(c);
	return xl_error(
		"guests cannot share memory here (xl dmesg, \"forks:\"), and so cannot have "
		"templates; xl snapshot keeps '%s', and xl clone --snapshot makes guests of that",
		c->o->guest);
}

static int clone_guest(struct cloning *c)
{
	uint32_t domid;
	unsigned int i;
	int rc;

	if (domain_named(&c->xl, c->o->name, &domid))
		return xl_error("a domain called '%s' exists already", c->o->name);
	rc = make_one(c);
	for (i = 0; c->disk && i < c->t->snap.nr_disks; i++)
		free(c->disk[i]);
	free(c->disk);
	return rc;
}

static int run(int argc, char **argv, bool template)
{
	struct options o = { .template = template };
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

int cmd_clone(int argc, char **argv)
{
	return run(argc, argv, false);
}

int cmd_template(int argc, char **argv)
{
	return run(argc, argv, true);
}
