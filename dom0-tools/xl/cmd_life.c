// SPDX-License-Identifier: BSD-2-Clause
/*
 * The verbs on a living guest: console, pause, unpause, shutdown, reboot, destroy, rename.
 * Owns asking a guest politely (control/shutdown) and waiting until nothing of it is left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl.h"

#define ACK_MS 30000
/* A guest that ended is taken away by its supervisor; longer means there is none any more. */
#define CLEANUP_MS 30000
#define TTY_WAIT_MS 5000

static int no_option(int argc, char **argv, int min, int max)
{
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc + 1;
	if (argc - optind < min || argc - optind > max)
		return command_usage(argv[0], false) + 1;
	return 0;
}

int cmd_console(int argc, char **argv)
{
	struct xl xl;
	uint32_t domid;
	int rc = 0, c, fd;

	while ((c = command_option(argc, argv, "t:n:", &rc)) != -1) {
		if (c == '?')
			return rc;
		/* -t pv and -n 0 name the only console there is. */
		if ((c == 't' && strcmp(optarg, "pv")) || (c == 'n' && strcmp(optarg, "0"))) {
			xl_error("there is only the PV console, number 0");
			return 1;
		}
	}
	if (argc - optind != 1)
		return command_usage("console", false);
	if (xl_open(&xl))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	rc = domain_find_guest(&xl, argv[optind], "open the console of", &domid);
	fd = rc ? -1 : console_connect(&xl, domid, TTY_WAIT_MS);
	xl_close(&xl);
	return fd < 0 ? 1 : console_run(fd);
}

/*
 * Runs @fn on each domain named, with its lock: not while another xl makes, destroys or restarts it. The
 * exit status tells whether all went well.
 */
static int each_guest(int argc, char **argv, const char *options, const char *verb,
		      int (*fn)(struct xl *xl, uint32_t domid))
{
	int rc = 0, failed = 0, c, lock;
	struct xl xl;
	uint32_t domid = 0;

	while ((c = command_option(argc, argv, options, &rc)) != -1)
		if (c == '?')
			return rc;
	if (optind == argc)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	for (; optind < argc; optind++) {
		lock = domain_lock(&xl, argv[optind], verb, &domid);
		if (lock < 0 || fn(&xl, domid))
			failed = 1;
		xl_unlock_domain(lock, domid);
	}
	xl_close(&xl);
	return failed;
}

static int pause_one(struct xl *xl, uint32_t domid)
{
	int rc = pv_domain_pause(xl->pv, domid);

	return rc ? xl_error("cannot pause domain %u: %s", domid, strerror(-rc)) : 0;
}

int cmd_pause(int argc, char **argv)
{
	return each_guest(argc, argv, "", "pause", pause_one);
}

static int unpause_one(struct xl *xl, uint32_t domid)
{
	int rc = pv_domain_unpause(xl->pv, domid);

	if (rc == -EINVAL)
		return xl_error("cannot unpause domain %u: it is not paused", domid);
	return rc ? xl_error("cannot unpause domain %u: %s", domid, strerror(-rc)) : 0;
}

int cmd_unpause(int argc, char **argv)
{
	return each_guest(argc, argv, "", "unpause", unpause_one);
}

int cmd_destroy(int argc, char **argv)
{
	/* -f: would allow to destroy domain 0, which cannot be here. */
	return each_guest(argc, argv, "f", "destroy", domain_destroy);
}

/* --- shutdown and reboot --------------------------------------------------------------------- */

struct target {
	uint32_t domid;
	uint8_t handle[16];
	char *name;
};

/* Gone, or another domain has the number by now. */
static bool is_gone(struct xl *xl, const struct target *t, struct xen_domctl_getdomaininfo *info)
{
	return pv_domain_info(xl->pv, t->domid, info) || memcmp(info->handle, t->handle, 16);
}

static int request(struct xl *xl, const struct target *t, const char *what)
{
	struct xen_domctl_getdomaininfo info;
	int64_t end = xl_now() + ACK_MS;
	char *left;
	int ms = 5;

	printf("%s domain %u\n", strcmp(what, "reboot") ? "Shutting down" : "Rebooting", t->domid);
	fflush(stdout);
	if (is_gone(xl, t, &info) || (info.flags & XEN_DOMINF_shutdown))
		return 0;
	if (!st_replace(xl, what, "/local/domain/%u/control/shutdown", t->domid)) {
		if (is_gone(xl, t, &info))
			return 0;
		return xl_error("cannot ask '%s': %s", t->name, strerror(errno));
	}
	/* The guest empties the node when it has read it. */
	for (;;) {
		bool taken;

		left = st_read(xl, XBT_NULL, "/local/domain/%u/control/shutdown", t->domid);
		taken = !left || !*left;
		free(left);
		if (taken || is_gone(xl, t, &info) || (info.flags & XEN_DOMINF_shutdown))
			return 0;
		if (xl_now() > end || xl_interrupted)
			break;
		xl_sleep(ms);
		if (ms < 100)
			ms *= 2;
	}
	st_replace(xl, "", "/local/domain/%u/control/shutdown", t->domid);
	return xl_error("'%s' does not answer the request to %s%s", t->name, what,
			info.flags & XEN_DOMINF_paused ? ": it is paused" : "");
}

/* Until its supervisor has taken it away (or has left it as preserved). */
static int await_end(struct xl *xl, const struct target *t)
{
	struct xen_domctl_getdomaininfo info;
	int64_t since = 0;
	int ms = 10;

	while (!xl_interrupted) {
		bool gone = is_gone(xl, t, &info);

		if (gone || (info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))) {
			char *preserved;

			if (gone) {
				printf("Domain %u has been destroyed\n", t->domid);
				return 0;
			}
			preserved = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/preserved", t->domid);
			free(preserved);
			if (preserved) {
				printf("Domain %u has been shut down, reason code %u (%s)\n",
				       t->domid, domain_reason(&info),
				       shutdown_reason(domain_reason(&info)));
				return 0;
			}
			if (!since)
				since = xl_now();
			if (xl_now() > since + CLEANUP_MS)
				return xl_error("'%s' has ended but nobody takes it away; use "
						"xl destroy",
						t->name);
		}
		xl_sleep(ms);
		if (ms < 100)
			ms *= 2;
	}
	return xl_error("interrupted");
}

static struct target *add_target(struct xl *xl, struct target *list, int *nr, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	struct target *more = realloc(list, (*nr + 1) * sizeof(*list)), *t;

	if (!more)
		abort();
	t = &more[*nr];
	if (pv_domain_info(xl->pv, domid, &info))
		return more;
	t->domid = domid;
	memcpy(t->handle, info.handle, 16);
	t->name = domain_name(xl, domid);
	if (!t->name)
		t->name = xl_sprintf("%u", domid);
	(*nr)++;
	return more;
}

static int end_guests(int argc, char **argv, const char *what)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	struct target *targets = NULL;
	bool all = false, wait = false;
	int nr = 0, rc = 0, failed = 0, c, i;
	uint32_t domid;
	struct xl xl;

	while ((c = command_option(argc, argv, "awF", &rc)) != -1) {
		if (c == '?')
			return rc;
		all |= c == 'a';
		wait |= c == 'w';
	}
	if (all ? optind != argc : optind == argc)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	xl_catch_signals();
	if (all) {
		c = pv_domain_list(xl.pv, &list);
		for (i = 0; i < c; i++)
			if (list[i].domain)
				targets = add_target(&xl, targets, &nr, list[i].domain);
		free(list);
	}
	for (; optind < argc; optind++) {
		if (domain_find_guest(&xl, argv[optind], argv[0], &domid))
			failed = 1;
		else
			targets = add_target(&xl, targets, &nr, domid);
	}
	/* Ask all before waiting for any, so that they end side by side. */
	for (i = 0; i < nr; i++) {
		if (request(&xl, &targets[i], what)) {
			failed = 1;
			targets[i].domid = 0;
		}
	}
	for (i = 0; i < nr; i++) {
		if (wait && targets[i].domid && await_end(&xl, &targets[i]))
			failed = 1;
		free(targets[i].name);
	}
	free(targets);
	xl_close(&xl);
	return failed;
}

int cmd_shutdown(int argc, char **argv)
{
	return end_guests(argc, argv, "poweroff");
}

int cmd_reboot(int argc, char **argv)
{
	return end_guests(argc, argv, "reboot");
}

/* --- rename ---------------------------------------------------------------------------------- */

/* Both locks are held. */
static int rename_guest(struct xl *xl, uint32_t domid, const char *name)
{
	const char *bad = config_bad_name(name);
	struct xen_domctl_getdomaininfo info;
	char *vm;
	bool ok;

	if (bad)
		return xl_error("%s: %s", name, bad);
	if (domain_name_used(xl, name, domid))
		return xl_error("a domain called '%s' exists already", name);
	if (pv_domain_info(xl->pv, domid, &info))
		return xl_error("domain %u has just gone", domid);
	vm = st_read(xl, XBT_NULL, "/local/domain/%u/vm", domid);
	ok = st_replace(xl, name, "/local/domain/%u/name", domid);
	if (ok && vm)
		ok = st_replace(xl, name, "%s/name", vm);
	free(vm);
	return ok ? 0 : xl_error("cannot rename domain %u: %s", domid, strerror(errno));
}

int cmd_rename(int argc, char **argv)
{
	int rc = no_option(argc, argv, 2, 2), lock, domain_lock = -1;
	uint32_t domid = 0;
	struct xl xl;

	if (rc)
		return rc - 1;
	if (xl_open(&xl))
		return 1;
	lock = xl_lock();
	rc = lock < 0 || domain_find_guest(&xl, argv[optind], "rename", &domid);
	if (!rc) {
		domain_lock = xl_lock_domain(domid);
		rc = domain_lock < 0 || rename_guest(&xl, domid, argv[optind + 1]);
	}
	xl_unlock_domain(domain_lock, domid);
	xl_unlock(lock);
	xl_close(&xl);
	return rc;
}
