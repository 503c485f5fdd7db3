// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finding domains: names live in xenstore, existence in the hypervisor.
 * Owns the words for states and shutdown reasons.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "events.h"
#include "xl.h"

#include <xen/sched.h>

char *domain_name(struct xl *xl, uint32_t domid)
{
	char *name = st_read(xl, XBT_NULL, "/local/domain/%u/name", domid);

	if (name && !*name) {
		free(name);
		name = NULL;
	}
	if (!name && !domid)
		name = xl_sprintf("Domain-0");
	return name;
}

/*
 * The names that this process has seen. Each costs a request, and a command may be given hundreds of them; so a name is
 * looked for where it was first, and then among domains that were not looked at yet. Nothing here is believed.
 */
static struct seen {
	uint32_t domid;
	char *name;
} * seen;
static int nr_seen;

/* The domains when they were last listed, of which those from next_listed on have not been looked at for a name. */
static struct xen_domctl_getdomaininfo *listed;
static int nr_listed, next_listed;

static struct seen *seen_of(uint32_t domid)
{
	int i;

	for (i = 0; i < nr_seen; i++)
		if (seen[i].domid == domid)
			return &seen[i];
	return NULL;
}

/* Is this what the domain is called? */
static bool is_called(struct xl *xl, uint32_t domid, const char *name)
{
	char *have = domain_name(xl, domid);
	bool same = have && !strcmp(have, name);
	struct seen *s = have ? seen_of(domid) : NULL;

	if (have && !s) {
		seen = realloc(seen, (nr_seen + 1) * sizeof(*seen));
		if (!seen)
			abort();
		s = &seen[nr_seen++];
		s->domid = domid;
		s->name = NULL;
	}
	if (!have)
		return false;
	free(s->name);
	s->name = have;
	return same;
}

static int where_it_was(struct xl *xl, const char *name)
{
	struct xen_domctl_getdomaininfo info;
	int i;

	for (i = 0; i < nr_seen; i++)
		if (!strcmp(seen[i].name, name) && !pv_domain_info(xl->pv, seen[i].domid, &info) &&
		    is_called(xl, seen[i].domid, name))
			return seen[i].domid;
	return -1;
}

/* Among the rest of the last list: hundreds of names on one command line are not a list of all domains each. */
static int find_listed(struct xl *xl, const char *name)
{
	struct xen_domctl_getdomaininfo info;
	uint32_t domid;

	while (next_listed < nr_listed) {
		domid = listed[next_listed++].domain;
		if (!seen_of(domid) && is_called(xl, domid, name) &&
		    !pv_domain_info(xl->pv, domid, &info))
			return domid;
	}
	return -1;
}

static int find_by_name(struct xl *xl, const char *name)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int found = where_it_was(xl, name), n, i;
	bool *later;

	if (found < 0)
		found = find_listed(xl, name);
	if (found >= 0)
		return found;
	n = pv_domain_list(xl->pv, &list);
	if (n < 0)
		xl_error("cannot list the domains: %s", strerror(-n));
	later = calloc(n > 0 ? n : 1, sizeof(*later));
	if (!later)
		abort();
	for (i = 0; i < n && found < 0; i++) {
		later[i] = seen_of(list[i].domain);
		if (!later[i] && is_called(xl, list[i].domain, name))
			found = list[i].domain;
	}
	free(listed);
	listed = list;
	nr_listed = n > 0 ? n : 0;
	next_listed = i;
	/* They may have been renamed. */
	for (i = 0; i < n && found < 0; i++)
		if (later[i] && is_called(xl, list[i].domain, name))
			found = list[i].domain;
	free(later);
	return found;
}

bool domain_named(struct xl *xl, const char *name, uint32_t *domid)
{
	int found = find_by_name(xl, name);

	if (found >= 0)
		*domid = found;
	return found >= 0;
}

bool domain_numbered(struct xl *xl, const char *arg, uint32_t *domid)
{
	struct xen_domctl_getdomaininfo info;
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)*arg))
		return false;
	n = strtoul(arg, &end, 10);
	if (*end || n >= DOMID_FIRST_RESERVED || pv_domain_info(xl->pv, n, &info))
		return false;
	*domid = n;
	return true;
}

static bool find(struct xl *xl, const char *arg, uint32_t *domid)
{
	return domain_numbered(xl, arg, domid) || domain_named(xl, arg, domid);
}

static int not_found(const char *arg)
{
	/* Without xenstored no name is known, and that has been said. */
	if (xl_store_lost)
		return -1;
	return xl_error("'%s' is an invalid domain identifier: there is no such domain", arg);
}

static int is_dom0(const char *verb)
{
	return xl_error("cannot %s domain 0: it runs this very command", verb);
}

int domain_find(struct xl *xl, const char *arg, uint32_t *domid)
{
	return find(xl, arg, domid) ? 0 : not_found(arg);
}

int domain_find_guest(struct xl *xl, const char *arg, const char *verb, uint32_t *domid)
{
	if (domain_find(xl, arg, domid))
		return -1;
	return *domid ? 0 : is_dom0(verb);
}

/*
 * The lock of the domain that @arg names at this moment. -1: there is none, or it went while the lock was
 * waited for; *failed: waiting was given up, or it is domain 0.
 */
static int try_lock(struct xl *xl, const char *arg, const char *verb, uint32_t *domid, bool *failed)
{
	struct xen_domctl_getdomaininfo info, now;
	int lock;

	if (!find(xl, arg, domid) || pv_domain_info(xl->pv, *domid, &info))
		return -1;
	*failed = !*domid;
	if (!*domid)
		return is_dom0(verb);
	lock = xl_lock_domain(*domid);
	*failed = lock < 0;
	/* Whoever had the lock may have destroyed it; and what is held of it may still be there. */
	if (lock < 0 || (!pv_domain_info(xl->pv, *domid, &now) &&
			 !memcmp(now.handle, info.handle, sizeof(now.handle)) &&
			 !((now.flags ^ info.flags) & XEN_DOMINF_dying)))
		return lock;
	xl_unlock_domain(lock, *domid);
	return -1;
}

int domain_lock(struct xl *xl, const char *arg, const char *verb, uint32_t *domid)
{
	bool failed = false;
	int lock = try_lock(xl, arg, verb, domid, &failed), making;

	if (lock >= 0 || failed || xl_store_lost)
		return lock;
	/*
	 * Nobody of this name: it may be between two lives. Its supervisor gives the lock of creation back
	 * when the next one has its name; and while we have it, nobody's life can be followed by another.
	 */
	making = xl_lock();
	if (making < 0)
		return -1;
	lock = try_lock(xl, arg, verb, domid, &failed);
	xl_unlock(making);
	return lock >= 0 || failed ? lock : not_found(arg);
}

int domain_lock_any(struct xl *xl, const char *arg, const char *verb, uint32_t *domid, int *lock)
{
	*lock = -1;
	if (domain_find(xl, arg, domid))
		return -1;
	if (!*domid)
		return 0;
	*lock = domain_lock(xl, arg, verb, domid);
	return *lock < 0 ? -1 : 0;
}

int domain_start(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	int rc = pv_domain_unpause(xl->pv, domid);

	/* Somebody who does not know our locks has been faster. */
	if (rc == -EINVAL && !pv_domain_info(xl->pv, domid, &info) &&
	    !(info.flags & (XEN_DOMINF_paused | XEN_DOMINF_dying)))
		rc = 0;
	if (!rc)
		xl_event_of(xl, EVENT_STARTED, domid, "%s", "");
	return rc;
}

bool domain_is(struct xl *xl, uint32_t domid, const uint8_t handle[16])
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(xl->pv, domid, &info) && !memcmp(info.handle, handle, 16);
}

const char *shutdown_reason(unsigned int reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		return "poweroff";
	case SHUTDOWN_reboot:
		return "reboot";
	case SHUTDOWN_suspend:
		return "suspend";
	case SHUTDOWN_crash:
		return "crash";
	case SHUTDOWN_watchdog:
		return "watchdog";
	case SHUTDOWN_soft_reset:
		return "soft-reset";
	}
	return "unknown";
}

unsigned int domain_reason(const struct xen_domctl_getdomaininfo *info)
{
	return info->flags >> XEN_DOMINF_shutdownshift & XEN_DOMINF_shutdownmask;
}
