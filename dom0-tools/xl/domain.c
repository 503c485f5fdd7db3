// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finding domains: names live in xenstore, existence in the hypervisor.
 * Owns the words for states and shutdown reasons.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

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

static int find_by_name(struct xl *xl, const char *name, uint32_t except)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int n = pv_domain_list(xl->pv, &list), i, found = -1;

	for (i = 0; i < n && found < 0; i++) {
		char *have = domain_name(xl, list[i].domain);

		if (have && !strcmp(have, name) && list[i].domain != except)
			found = list[i].domain;
		free(have);
	}
	free(list);
	return found;
}

bool domain_name_used(struct xl *xl, const char *name, uint32_t except)
{
	return find_by_name(xl, name, except) >= 0;
}

int domain_find(struct xl *xl, const char *arg, uint32_t *domid)
{
	struct xen_domctl_getdomaininfo info;
	char *end;
	unsigned long n;
	int found;

	if (isdigit((unsigned char)*arg)) {
		n = strtoul(arg, &end, 10);
		if (!*end && n < DOMID_FIRST_RESERVED && !pv_domain_info(xl->pv, n, &info)) {
			*domid = n;
			return 0;
		}
	}
	found = find_by_name(xl, arg, DOMID_INVALID);
	if (found < 0)
		return xl_error("'%s' is an invalid domain identifier: there is no such domain",
				arg);
	*domid = found;
	return 0;
}

int domain_find_guest(struct xl *xl, const char *arg, const char *verb, uint32_t *domid)
{
	if (domain_find(xl, arg, domid))
		return -1;
	if (!*domid)
		return xl_error("cannot %s domain 0: it runs this very command", verb);
	return 0;
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
