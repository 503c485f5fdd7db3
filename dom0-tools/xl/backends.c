// SPDX-License-Identifier: BSD-2-Clause
/*
 * Back ends that die while their guest runs: unbound from their driver, or given up after an error.
 * Owns noticing it, once for each device, and telling the guest by the back end's state.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "events.h"
#include "image_server.h"
#include "jsonl.h"
#include "whole.h"

#include <xen/io/xenbus.h>

#define REBIND_MS 1000

static bool watch_domain(struct xl *xl, const char *what, const char *domid)
{
	char *path = xl_sprintf("%s/%s", what, domid);
	bool ok = xs_watch(xl->xs, path, "backend");

	free(path);
	return ok;
}

bool backends_watch(struct xl *xl, uint32_t domid)
{
	unsigned int n, i;
	char **kind = st_list(xl, &n, XL_PRIVATE "/%u/device", domid), **backend;
	bool ok = true;

	for (i = 0; ok && i < n; i++) {
		char *path = xl_sprintf("/local/domain/0/backend/%s/%u", kind[i], domid);

		ok = xs_watch(xl->xs, path, "backend");
		free(path);
	}
	free(kind);
	/* A driver domain's own nodes are not watched: it decides how often they change. */
	backend = st_list(xl, &n, XL_PRIVATE "/%u/backends", domid);
	for (i = 0; ok && i < n; i++)
		ok = watch_domain(xl, "@introduceDomain", backend[i]) &&
		     watch_domain(xl, "@releaseDomain", backend[i]);
	free(backend);
	return ok;
}

/* Of nodes that are dom0's: devices come and go with xl, and no guest decides how often. */
bool backends_watch_any(struct xl *xl, uint32_t domid)
{
	static const char *const what[] = { "device", "foreign" };
	bool ok = true;
	unsigned int i;

	for (i = 0; ok && i < pv_container_size(what); i++) {
		char *path = xl_sprintf(XL_PRIVATE "/%u/%s", domid, what[i]);

		ok = xs_watch(xl->xs, path, "devices");
		free(path);
	}
	return ok;
}

/* The directory of a kind stays when its last device goes. */
static bool any_below(struct xl *xl, uint32_t domid, const char *what)
{
	unsigned int kinds, devs = 0, i;
	char **kind = st_list(xl, &kinds, XL_PRIVATE "/%u/%s", domid, what);

	for (i = 0; !devs && i < kinds; i++)
		free(st_list(xl, &devs, XL_PRIVATE "/%u/%s/%s", domid, what, kind[i]));
	free(kind);
	return devs;
}

bool backends_any(struct xl *xl, uint32_t domid)
{
	return any_below(xl, domid, "device") || any_below(xl, domid, "foreign");
}

bool backend_unbound(const char *kind, uint32_t domid, const char *devid)
{
	char *path = xl_sprintf(XL_SYS_BACKEND "/devices/%s-%u-%s/driver", kind, domid, devid);
	bool unbound = !access(XL_SYS_BACKEND "/devices", F_OK) && access(path, F_OK);

	free(path);
	return unbound;
}

/* In how many queues a guest sends on it shows nowhere but in sysfs. */
static bool has_rate(struct xl *xl, uint32_t domid, const char *devid)
{
	char *rate = st_read(xl, XBT_NULL, "/local/domain/0/backend/vif/%u/%s/rate-of-all", domid,
			     devid);
	bool has = rate;

	free(rate);
	return has;
}

static bool image_ended(struct xl *xl, uint32_t domid, const char *devid)
{
	char *be = xl_sprintf("/local/domain/0/backend/vbd/%u/%s", domid, devid);
	bool ended = image_server_ended(xl, be);

	free(be);
	return ended;
}

bool backends_suspect(struct xl *xl, uint32_t domid)
{
	static const char *const kind[] = { "vbd", "vif" };
	unsigned int n, i, k;
	bool suspect;
	char **list;

	free(st_list(xl, &n, XL_PRIVATE "/%u/foreign", domid));
	suspect = n;
	for (k = 0; !suspect && k < pv_container_size(kind); k++) {
		list = st_list(xl, &n, XL_PRIVATE "/%u/device/%s", domid, kind[k]);
		for (i = 0; !suspect && i < n; i++)
			suspect = backend_unbound(kind[k], domid, list[i]) ||
				  (k ? has_rate(xl, domid, list[i]) :
				       image_ended(xl, domid, list[i]));
		free(list);
	}
	return suspect;
}

/* A driver domain that has come back finds nothing of its last life's; the guest still has its end of the rings. */
static void offer_again(struct xl *xl, uint32_t domid, const struct device_kind *kind,
			const char *devid, char *be, void (*say)(const char *fmt, ...))
{
	struct device d = { .kind = kind,
			    .domid = domid,
			    .devid = strtoul(devid, NULL, 10),
			    .backend = backend_domid(be),
			    .be = be };
	char *name;

	if (!driver_offer_again(xl, &d)) {
		driver_nudge(xl, &d);
		return;
	}
	st_remove(xl, XBT_NULL, XL_PRIVATE "/%u/lost/%s/%s", domid, kind->name, devid);
	name = domain_name(xl, domid);
	say("domain %u ('%s'): %s %s is offered to driver domain %u again", domid, name ? name : "",
	    kind->name, devid, d.backend);
	xl_event(EVENT_ATTACHED, domid, name, ", \"kind\": \"%s\", \"devid\": %u", kind->name,
		 d.devid);
	free(name);
}

static bool is_drained(struct xl *xl, uint32_t domid)
{
	char *drained = st_read(xl, XBT_NULL, XL_DRAINED, domid);
	bool is = drained;

	free(drained);
	return is;
}

/*
 * NULL: it lives, or is being taken away in order. Else why not; the caller frees.
 * A driver may be taken off a device for another one to come, and leaves its state as it is: then the
 * front end knows nothing yet, and it is given a moment.
 */
static char *lost_because(struct xl *xl, uint32_t domid, const char *kind, const char *devid,
			  const char *be)
{
	char *error = NULL, *why = NULL;
	long state;

	if (backend_domid(be))
		return driver_alive(xl, backend_domid(be)) ?
			       NULL :
			       xl_sprintf("its driver domain (%u) is gone", backend_domid(be));
	state = st_read_long(xl, "%s/state", be);

	/* Not started yet, or xl takes it away. */
	if (state < XenbusStateInitWait || st_read_long(xl, "%s/online", be) != 1)
		return NULL;
	if (backend_unbound(kind, domid, devid)) {
		/* Nor is one lost that was left for a while by who saves the guest; and he, or who undoes that, wants the lock. */
		if (is_drained(xl, domid))
			return NULL;
		xl_sleep(REBIND_MS);
		if (backend_unbound(kind, domid, devid) && !is_drained(xl, domid))
			return xl_sprintf("no driver serves it any more");
	}
	if (!strcmp(kind, "vbd") && image_server_cut(xl, be))
		return xl_sprintf("its qemu-nbd has ended");
	/* A guest that closes its device leaves no error. */
	if (state >= XenbusStateClosing)
		error = st_read(xl, XBT_NULL, "/local/domain/0/error/backend/%s/%u/%s/error", kind,
				domid, devid);
	/* Some quote what the guest has written into its nodes. */
	if (error)
		why = xl_one_line(error);
	free(error);
	return why;
}

/* XL_PRIVATE/<domid>/lost/<kind>/<devid> keeps it from being said twice. */
static void check_one(struct xl *xl, uint32_t domid, const char *kind, const char *devid,
		      void (*say)(const char *fmt, ...))
{
	char *known = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/lost/%s/%s", domid, kind, devid);
	char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%s", domid, kind, devid);
	char *why = known || !be ? NULL : lost_because(xl, domid, kind, devid, be), *name, *dev,
	     *quoted, *nodes;

	if (why) {
		name = domain_name(xl, domid);
		nodes = device_nodes(domid, kind, strtoul(devid, NULL, 10), be);
		dev = st_read(xl, XBT_NULL, "%s/dev", nodes);
		say("domain %u ('%s'): the back end of %s %s%s%s is lost: %s", domid,
		    name ? name : "", kind, devid, dev ? ", " : "", dev ? dev : "", why);
		quoted = json_quote(why);
		xl_event(EVENT_LOST, domid, name, ", \"kind\": \"%s\", \"devid\": %ld, \"why\": %s",
			 kind, strtol(devid, NULL, 10), quoted);
		free(quoted);
		/* The guest's front end goes by this. It waits for a driver domain's next life. */
		if (!backend_domid(be))
			st_replace(xl, "6", "%s/state", be);
		st_write(xl, XBT_NULL, why, XL_PRIVATE "/%u/lost/%s/%s", domid, kind, devid);
		free(name);
		free(dev);
		free(nodes);
	} else if (be && backend_domid(be)) {
		offer_again(xl, domid, strcmp(kind, "vif") ? &device_vbd : &device_vif, devid, be,
			    say);
	}
	/* In a driver domain xl devd does it. */
	if (be && !known && !backend_domid(be) && !strcmp(kind, "vif"))
		device_hold_rate(xl, domid, strtoul(devid, NULL, 10), be, say);
	free(why);
	free(be);
	free(known);
}

void backends_check(struct xl *xl, uint32_t domid, void (*say)(const char *fmt, ...))
{
	unsigned int kinds, devs, i, j;
	char **kind = st_list(xl, &kinds, XL_PRIVATE "/%u/device", domid), **dev;

	for (i = 0; i < kinds; i++) {
		dev = st_list(xl, &devs, XL_PRIVATE "/%u/device/%s", domid, kind[i]);
		for (j = 0; j < devs; j++)
			check_one(xl, domid, kind[i], dev[j], say);
		free(dev);
	}
	free(kind);
}
