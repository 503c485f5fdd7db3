// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is done to a running guest from outside, as on its keyboard or its front panel: sysrq, trigger.
 * Owns which of Xen's triggers there are on this architecture, and why the others are not.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "words.h"
#include "xl.h"

#include <xen/sched.h>

#define LOOK_MS 20
/* So long a guest may take to read its request. */
#ifndef SIGNAL_MS
#define SIGNAL_MS 8000
#endif

/* Its lock is held. */
static int check_alive(struct xl *xl, const char *name, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;

	if (pv_domain_info(xl->pv, domid, &info))
		return xl_error("domain %u has just gone", domid);
	if (info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return xl_error("'%s' has ended already", name);
	return 0;
}

/* The guest empties the node when it has read it; or it is gone, which a key may well bring about. */
static int await_taken(struct xl *xl, const char *name, uint32_t domid, const char *node)
{
	struct xen_domctl_getdomaininfo info;
	int64_t end = xl_now() + SIGNAL_MS;

	for (;;) {
		char *left = st_read(xl, XBT_NULL, "/local/domain/%u/control/%s", domid, node);
		bool taken = !left || !*left;

		free(left);
		if (taken || pv_domain_info(xl->pv, domid, &info) ||
		    info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
			return 0;
		if (info.flags & XEN_DOMINF_paused) {
			xl_error("'%s' is paused: it sees the request when it is unpaused", name);
			return 0;
		}
		if (xl_now() > end || xl_interrupted)
			break;
		xl_sleep(LOOK_MS);
	}
	return xl_error("'%s' has not taken the request for %d s; it stays in control/%s", name,
			SIGNAL_MS / 1000, node);
}

static int request(struct xl *xl, const char *name, const char *node, const char *value)
{
	uint32_t domid = 0;
	int lock = domain_lock(xl, name, "signal", &domid), rc;

	if (lock < 0)
		return -1;
	rc = check_alive(xl, name, domid);
	if (!rc && !st_replace(xl, value, "/local/domain/%u/control/%s", domid, node))
		rc = xl_error("cannot ask '%s': %s", name, strerror(errno));
	xl_unlock_domain(lock, domid);
	return rc ? rc : await_taken(xl, name, domid, node);
}

int cmd_sysrq(int argc, char **argv)
{
	struct xl xl;
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 2)
		return command_usage("sysrq", false);
	if (strlen(argv[optind + 1]) != 1 || !isgraph((unsigned char)*argv[optind + 1])) {
		xl_error("invalid sysrq '%s': it is one letter, as in Linux's "
			 "admin-guide/sysrq (h: help)",
			 argv[optind + 1]);
		return 1;
	}
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	rc = request(&xl, argv[optind], "sysrq", argv[optind + 1]);
	xl_close(&xl);
	return rc ? 1 : 0;
}

/* --- trigger --------------------------------------------------------------------------------- */

/* The reset button: nobody is asked. What follows is up to on_reboot. */
static int reset(struct xl *xl, const char *name)
{
	uint32_t domid = 0;
	int lock = domain_lock(xl, name, "reset", &domid), rc, err;

	if (lock < 0)
		return -1;
	rc = check_alive(xl, name, domid);
	err = rc ? 0 : pv_domain_shutdown(xl->pv, domid, SHUTDOWN_reboot);
	if (err)
		rc = xl_error("the hypervisor does not reset '%s': %s", name, strerror(-err));
	xl_unlock_domain(lock, domid);
	return rc;
}

static int power(struct xl *xl, const char *name)
{
	return request(xl, name, "shutdown", "poweroff");
}

static const struct {
	const char *name;
	int (*fn)(struct xl *xl, const char *name);
	const char *why_not;
} triggers[] = {
	{ "nmi", NULL,
	  "RISC-V has no non-maskable interrupt that a guest could be sent; 'xl sysrq Domain l' "
	  "or 'c' looks at one that still handles events, xl dump-core at any" },
	{ "reset", reset, NULL },
	{ "init", NULL,
	  "INIT is a signal between x86 processors; 'reset' ends the guest's present life" },
	{ "power", power, NULL },
	{ "sleep", NULL, "a guest has no ACPI and so no sleep button; see xl pause" },
	{ "s3resume", NULL,
	  "a guest has no ACPI and so no sleep state to come back from; see xl unpause" },
};

static int no_trigger(const char *name)
{
	const char *near = NULL;
	unsigned int i;

	for (i = 0; i < pv_container_size(triggers); i++)
		words_nearest(name, triggers[i].name, &near);
	return xl_error("'%s' is none of nmi, reset, init, power, sleep, s3resume%s%s%s", name,
			near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static int trigger(const char *domain, const char *name)
{
	unsigned int i;
	struct xl xl;
	int rc;

	for (i = 0; i < pv_container_size(triggers); i++)
		if (!strcmp(name, triggers[i].name))
			break;
	if (i == pv_container_size(triggers))
		return no_trigger(name);
	if (!triggers[i].fn)
		return xl_error("there is no trigger '%s' here: %s", name, triggers[i].why_not);
	if (xl_open(&xl))
		return -1;
	rc = triggers[i].fn(&xl, domain);
	xl_close(&xl);
	return rc;
}

int cmd_trigger(int argc, char **argv)
{
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	/* Xen's third argument is the vCPU that a signal for one goes to; these are the whole domain's. */
	if (argc - optind != 2 && argc - optind != 3)
		return command_usage("trigger", false);
	if (argc - optind == 3 &&
	    strspn(argv[optind + 2], "0123456789") != strlen(argv[optind + 2])) {
		xl_error("'%s' is no number of a vCPU", argv[optind + 2]);
		return 1;
	}
	xl_catch_signals();
	return trigger(argv[optind], argv[optind + 1]) ? 1 : 0;
}
