// SPDX-License-Identifier: BSD-2-Clause
/*
 * Back ends in driver domains, seen from dom0. The driver domain's own nodes are its to write, so what dom0
 * wants to know later (whose disk it is, its mode, its script) is kept in XL_FOREIGN.
 * Owns who is a driver domain, and that a guest's devices are offered to the next life of one under the same number:
 * grants and event channels name the other side by number, so a ring that the guest still has can be joined again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

#include <xen/io/xenbus.h>

#define MAX_REASON 200
#define MAX_FRONTEND_NODES 500 /* its ring may have 8 queues of 16 pages */

uint32_t backend_domid(const char *be)
{
	unsigned int domid = 0;

	return sscanf(be, "/local/domain/%u/", &domid) == 1 ? domid : 0;
}

char *device_nodes(uint32_t domid, const char *kind, unsigned int devid, const char *be)
{
	return backend_domid(be) ? xl_sprintf(XL_FOREIGN, domid, kind, devid) :
				   xl_sprintf("%s", be);
}

/* --- who ------------------------------------------------------------------------------------- */

static bool is_driver(struct xl *xl, uint32_t domid)
{
	char *life = st_read(xl, XBT_NULL, XL_DRIVER, domid);

	free(life);
	return life != NULL;
}

bool driver_alive(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(xl->pv, domid, &info) &&
	       !(info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying)) && is_driver(xl, domid);
}

int driver_find(struct xl *xl, struct xl_config *cfg, const char *key, int line, const char *arg,
		uint32_t *domid)
{
	struct xen_domctl_getdomaininfo info;
	const char *why = NULL;
	char *end;

	*domid = strtoul(arg, &end, 10);
	if (*end || *domid >= DOMID_FIRST_RESERVED || pv_domain_info(xl->pv, *domid, &info)) {
		if (!domain_named(xl, arg, domid))
			why = "there is no such domain; the driver domain is started first";
	}
	if (!why && !is_driver(xl, *domid))
		why = "it is no driver domain (driver_domain=1 in its configuration)";
	else if (!why && !driver_alive(xl, *domid))
		why = "it has ended";
	if (!why)
		return 0;
	config_error(cfg, key, line, "backend '%s': %s", arg, why);
	return -1;
}

/* --- devices of driver domains --------------------------------------------------------------- */

/* Calls @fn for each device whose back end is in @backend (0: in any, but dom0), until it returns true. */
static bool each_foreign(struct xl *xl, uint32_t backend,
			 bool (*fn)(struct xl *xl, const struct device *d, void *ctx), void *ctx)
{
	static const struct device_kind *const kinds[] = { &device_vbd, &device_vif };
	unsigned int doms, devs, i, j, k;
	struct device d = { 0 };
	bool found = false;
	char **dom, **dev;

	dom = backend ? st_list(xl, &doms, XL_USERS, backend) : st_list(xl, &doms, XL_PRIVATE);
	for (i = 0; !found && i < doms; i++) {
		d.domid = strtoul(dom[i], NULL, 10);
		for (k = 0; !found && k < pv_container_size(kinds); k++) {
			d.kind = kinds[k];
			dev = st_list(xl, &devs, XL_PRIVATE "/%u/foreign/%s", d.domid,
				      d.kind->name);
			for (j = 0; !found && j < devs; j++) {
				d.devid = strtoul(dev[j], NULL, 10);
				d.be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%u", d.domid,
					       d.kind->name, d.devid);
				d.backend = d.be ? backend_domid(d.be) : 0;
				found = d.backend && (!backend || d.backend == backend) &&
					fn(xl, &d, ctx);
				free(d.be);
			}
			free(dev);
		}
	}
	free(dom);
	return found;
}

/* A dead guest that is kept needs nothing any more. */
static bool is_in(struct xl *xl, const struct device *d, void *ctx)
{
	char *kept;

	(void)ctx;
	kept = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/preserved", d->domid);
	free(kept);
	return !kept;
}

bool driver_in_use(struct xl *xl, uint32_t domid)
{
	return each_foreign(xl, domid, is_in, NULL);
}

struct search {
	const char *name;
	uint32_t found;
};

/* A number that another domain has by now cannot be had again. */
static bool waits_for(struct xl *xl, const struct device *d, void *ctx)
{
	struct search *s = ctx;
	struct xen_domctl_getdomaininfo info;
	char *name = st_read(xl, XBT_NULL, XL_FOREIGN "/backend-name", d->domid, d->kind->name,
			     d->devid);
	int rc = pv_domain_info(xl->pv, d->backend, &info);

	if (name && !strcmp(name, s->name) &&
	    (rc == -ESRCH || (!rc && info.flags & XEN_DOMINF_dying)))
		s->found = d->backend;
	free(name);
	return s->found;
}

uint32_t driver_number(struct xl *xl, const char *name)
{
	struct search s = { .name = name };

	each_foreign(xl, 0, waits_for, &s);
	return s.found;
}

bool driver_note_number(struct xl *xl, xs_transaction_t t, uint32_t domid, uint32_t backend,
			const char *name)
{
	return st_write(xl, t, name, XL_NUMBER, domid, backend) &&
	       st_write(xl, t, "", XL_USERS "/%u", backend, domid);
}

bool driver_number_kept(struct xl *xl, uint32_t domid)
{
	unsigned int n;

	free(st_list(xl, &n, XL_USERS, domid));
	return n;
}

void driver_forget_numbers(struct xl *xl, uint32_t domid)
{
	unsigned int n, i;
	char **backend = st_list(xl, &n, XL_PRIVATE "/%u/backends", domid), *path;

	for (i = 0; i < n; i++) {
		path = xl_sprintf(XL_USERS "/%u", (uint32_t)strtoul(backend[i], NULL, 10), domid);
		st_prune(xl, path, "/tool");
		free(path);
	}
	free(backend);
}

/* A driver domain's names for its disks are its own: only equal ones are known to be the same disk. */
struct wanted {
	const char *target;
	bool readonly;
	char *why;
};

static bool clashes(struct xl *xl, const struct device *d, void *ctx)
{
	struct wanted *w = ctx;
	char *params, *mode, *name;

	if (d->kind != &device_vbd)
		return false;
	params = st_read(xl, XBT_NULL, XL_FOREIGN "/params", d->domid, d->kind->name, d->devid);
	mode = st_read(xl, XBT_NULL, XL_FOREIGN "/mode", d->domid, d->kind->name, d->devid);
	if (params && !strcmp(params, w->target) && !(w->readonly && mode && !strcmp(mode, "r"))) {
		name = domain_name(xl, d->domid);
		w->why = xl_sprintf("in use by domain '%s'; only readers can share a disk",
				    name ? name : "");
		free(name);
	}
	free(params);
	free(mode);
	return w->why;
}

char *driver_disk_clash(struct xl *xl, uint32_t backend, const char *target, bool readonly)
{
	struct wanted w = { .target = target, .readonly = readonly };

	each_foreign(xl, backend, clashes, &w);
	return w.why;
}

/* --- nodes ----------------------------------------------------------------------------------- */

/* All that the kind of device has written, but what is dom0's own. */
static bool copy_nodes(struct xl *xl, xs_transaction_t t, const struct device *d)
{
	char *from = xl_sprintf(XL_FOREIGN, d->domid, d->kind->name, d->devid), *value, **name;
	unsigned int n = 0, i;
	bool ok = true;

	name = xs_directory(xl->xs, t, from, &n);
	for (i = 0; name && ok && i < n; i++) {
		if (!strcmp(name[i], "backend-name") || !strcmp(name[i], "life"))
			continue;
		value = st_read(xl, t, "%s/%s", from, name[i]);
		ok = value && st_write(xl, t, value, "%s/%s", d->be, name[i]);
		free(value);
	}
	ok = ok && name;
	free(name);
	free(from);
	return ok;
}

/* Gives @path and what is below to be read by the device's driver domain. @left: so many nodes at most. */
static void readmit(struct xl *xl, const struct device *d, const char *path, int depth, int *left)
{
	struct xs_permissions perms[2] = {
		{ .id = d->domid, .perms = XS_PERM_NONE },
		{ .id = d->backend, .perms = XS_PERM_READ },
	};
	unsigned int n = 0, i;
	char **name, *below;

	if (!xs_set_permissions(xl->xs, XBT_NULL, path, perms, 2) || !depth)
		return;
	name = xs_directory(xl->xs, XBT_NULL, path, &n);
	for (i = 0; name && i < n && --*left > 0; i++) {
		below = xl_sprintf("%s/%s", path, name[i]);
		readmit(xl, d, below, depth - 1, left);
		free(below);
	}
	free(name);
}

/* What xenstored let the last life read, the next one of the same number may not. */
static void readmit_frontend(struct xl *xl, const struct device *d)
{
	char *fe = xl_sprintf("/local/domain/%u/device/%s/%u", d->domid, d->kind->name, d->devid);
	int left = MAX_FRONTEND_NODES;

	readmit(xl, d, fe, 2, &left);
	free(fe);
}

/*
 * Has the domain been made, is it not being destroyed, and has it not been offered the device yet? Its own nodes do not
 * say: it could remove them again and again.
 */
static bool wants(struct xl *xl, xs_transaction_t t, const struct device *d)
{
	char *life = st_read(xl, t, XL_DRIVER, d->backend);
	char *offered = st_read(xl, t, XL_FOREIGN "/life", d->domid, d->kind->name, d->devid);
	bool wants = life && offered && strcmp(life, offered);

	free(life);
	free(offered);
	return wants;
}

/* Notes which life of the driver domain is offered the device. */
static bool note_life(struct xl *xl, xs_transaction_t t, const struct device *d)
{
	char *life = st_read(xl, t, XL_DRIVER, d->backend);
	bool ok = life &&
		  st_write(xl, t, life, XL_FOREIGN "/life", d->domid, d->kind->name, d->devid);

	free(life);
	return ok;
}

bool driver_offer_again(struct xl *xl, const struct device *d)
{
	xs_transaction_t t;
	bool ok = false;

	if (!driver_alive(xl, d->backend) || !wants(xl, XBT_NULL, d))
		return false;
	readmit_frontend(xl, d);
	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		ok = wants(xl, t, d) && driver_offer(xl, t, d);
		if (!ok) {
			xs_transaction_end(xl->xs, t, true);
			break;
		}
		ok = xs_transaction_end(xl->xs, t, false);
	} while (!ok && errno == EAGAIN);
	return ok;
}

void driver_nudge(struct xl *xl, const struct device *d)
{
	if (driver_alive(xl, d->backend) &&
	    st_read_long(xl, "%s/state", d->be) == XenbusStateInitialising &&
	    st_read_long(xl, "%s/online", d->be) == 1)
		st_replace(xl, "1", "%s/online", d->be);
}

bool driver_offer(struct xl *xl, xs_transaction_t t, const struct device *d)
{
	char fe[80], dom[16];
	bool ok;

	snprintf(fe, sizeof(fe), "/local/domain/%u/device/%s/%u", d->domid, d->kind->name,
		 d->devid);
	snprintf(dom, sizeof(dom), "%u", d->domid);
	ok = st_dir(xl, t, d->backend, d->domid, "%s", d->be);
	ok = ok && copy_nodes(xl, t, d) && note_life(xl, t, d);
	ok = ok && st_write(xl, t, fe, "%s/frontend", d->be);
	ok = ok && st_write(xl, t, dom, "%s/frontend-id", d->be);
	ok = ok && st_write(xl, t, "1", "%s/online", d->be);
	return ok && st_write(xl, t, "1", "%s/state", d->be);
}

/* --- what its xl devd does ------------------------------------------------------------------- */

/* What a driver domain says is shown as text, in one line, and not all of it. */
static char *said(struct xl *xl, const struct device *d, const char *leaf)
{
	char *text = st_read(xl, XBT_NULL, "%s/%s", d->be, leaf), *shown, *c;

	if (!text)
		return NULL;
	for (c = text; *c; c++)
		if (*c == '\n')
			*c = ' ';
	shown = pv_text_show(text, strnlen(text, MAX_REASON));
	free(text);
	return shown;
}

char *driver_await_script(struct xl *xl, const struct device *d)
{
	int64_t end = xl_now() + HOTPLUG_WAIT_MS;
	char *status, *why;
	int ms = 2;

	for (;;) {
		status = st_read(xl, XBT_NULL, "%s/hotplug-status", d->be);
		if (status && !strcmp(status, "connected")) {
			free(status);
			return NULL;
		}
		if (status && *status) {
			free(status);
			why = said(xl, d, "hotplug-error");
			return why ? why : xl_sprintf("its script in the driver domain failed");
		}
		free(status);
		if (!driver_alive(xl, d->backend))
			return xl_sprintf("its driver domain has ended");
		if (xl_now() > end || xl_interrupted || xl_store_lost)
			return xl_sprintf("nobody in the driver domain has run its script (does xl "
					  "devd run there?)");
		xl_sleep(ms);
		if (ms < 50)
			ms *= 2;
	}
}

bool driver_await_release(struct xl *xl, const struct device *d, int ms)
{
	int64_t end = xl_now() + ms;
	char *status;

	for (;;) {
		status = st_read(xl, XBT_NULL, "%s/hotplug-status", d->be);
		free(status);
		if (!status || !driver_alive(xl, d->backend))
			return true;
		if (xl_now() >= end || xl_store_lost)
			return false;
		xl_sleep(10);
	}
}
