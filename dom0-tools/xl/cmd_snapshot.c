// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl snapshot: keeps what a guest and its disks are at one moment, while it runs (taking.h).
 * Owns its options, and what is said of it.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "taking.h"

struct options {
	const char *guest, *name;
	bool memory, disks, copy;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "memory", no_argument, NULL, 'm' },
		{ "disk", no_argument, NULL, 'd' },
		{ "copy", no_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *bad;
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage("snapshot", c == 'h') + 1;
		o->memory |= c == 'm';
		o->disks |= c == 'd';
		o->copy |= c == 'c';
	}
	if (argc - optind != 2)
		return command_usage("snapshot", false) + 1;
	if (!o->memory && !o->disks)
		o->memory = o->disks = true;
	o->guest = argv[optind];
	o->name = argv[optind + 1];
	bad = snapshot_bad_name(o->name);
	if (bad) {
		xl_error("%s: %s", o->name, bad);
		return EXIT_USAGE + 1;
	}
	return 0;
}

static void say(const struct taking *t)
{
	printf("%s: snapshot '%s':", t->guest, t->snap.name);
	if (t->memory)
		printf(" %llu MiB of memory%s",
		       (unsigned long long)(t->snap.pages * PV_PAGE_SIZE / PV_MIB),
		       t->disks ? "," : ";");
	if (t->disks)
		printf(" %u disk%s;", t->snap.nr_disks, t->snap.nr_disks == 1 ? "" : "s");
	printf(" it stood still for %.2f s\n", (double)t->stood / 1000);
}

/* Its lock is held. */
static int snapshot(struct xl *xl, const struct options *o, uint32_t domid)
{
	struct taking *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		abort();
	t->memory = o->memory;
	t->disks = o->disks;
	t->copy = o->copy;
	rc = taking_begin(t, xl, domid, o->guest, o->name);
	if (!rc && snapshot_end(&t->all, &t->snap)) {
		snapshot_remove(&t->all, &t->snap);
		rc = -1;
	}
	if (!rc)
		say(t);
	taking_end(t);
	free(t);
	return rc;
}

int cmd_snapshot(int argc, char **argv)
{
	struct options o = { 0 };
	int rc = parse_options(argc, argv, &o), lock;
	uint32_t domid = 0;
	struct xl xl;

	if (rc)
		return rc - 1;
	/* An interrupted one leaves no guest paused and no file. */
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	if (xl_open(&xl))
		return 1;
	lock = domain_lock(&xl, o.guest, "take a snapshot of", &domid);
	rc = lock < 0 || snapshot(&xl, &o, domid);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	return rc ? 1 : 0;
}
