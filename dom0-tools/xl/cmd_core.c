// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl dump-core: a guest's memory and registers into a file.
 * Owns what becomes of the guest meanwhile and afterwards.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "core.h"
#include "dump.h"

#include <xen/sched.h>

struct options {
	bool live, crash, reset;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "live", no_argument, NULL, 'L' },
		{ "crash", no_argument, NULL, 'C' },
		{ "reset", no_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "LCRh", longs, NULL)) != -1) {
		if (c != 'L' && c != 'C' && c != 'R')
			return command_usage("dump-core", c == 'h') + 1;
		o->live |= c == 'L';
		o->crash |= c == 'C';
		o->reset |= c == 'R';
	}
	if (argc - optind != 2)
		return command_usage("dump-core", false) + 1;
	if (o->crash && o->reset) {
		xl_error("-C and -R are two ends: one of them");
		return EXIT_USAGE + 1;
	}
	return 0;
}

/* What comes after a whole dump; while it is paused, so that nothing happens in between. */
static int end(struct xl *xl, const char *name, uint32_t domid, const struct options *o)
{
	int rc = 0;

	if (o->crash || o->reset)
		rc = pv_domain_shutdown(xl->pv, domid, o->crash ? SHUTDOWN_crash : SHUTDOWN_reboot);
	return rc ? xl_error("the hypervisor does not end '%s': %s", name, strerror(-rc)) : 0;
}

/* Its lock is held. */
static int dump(struct xl *xl, const char *name, uint32_t domid, const struct options *o,
		const char *path)
{
	struct xen_domctl_getdomaininfo info;
	struct dump d;
	int rc;

	if (pv_domain_info(xl->pv, domid, &info) || info.flags & XEN_DOMINF_dying)
		return xl_error("'%s' has been destroyed: nothing of it can be read", name);
	if (info.flags & XEN_DOMINF_shutdown && (o->crash || o->reset))
		return xl_error("'%s' has ended already", name);
	rc = dump_begin(xl, domid, path, !o->live, &d);
	if (rc)
		return xl_error("cannot pause '%s': %s", name, strerror(-rc));
	rc = core_write(xl, domid, path, d.part, NULL);
	if (!rc)
		rc = end(xl, name, domid, o);
	dump_end(xl, &d);
	return rc;
}

int cmd_dump_core(int argc, char **argv)
{
	struct options o = { 0 };
	int rc = parse_options(argc, argv, &o), lock;
	uint32_t domid = 0;
	struct xl xl;

	if (rc)
		return rc - 1;
	/* An interrupted one leaves no guest paused and no file. */
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	lock = domain_lock(&xl, argv[optind], "dump", &domid);
	rc = lock < 0 || dump(&xl, argv[optind], domid, &o, argv[optind + 1]);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	return rc ? 1 : 0;
}
