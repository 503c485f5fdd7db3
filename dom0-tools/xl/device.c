// SPDX-License-Identifier: BSD-2-Clause
/*
 * PV devices of any kind: the nodes that front end and back end find each other by, and the
 * hotplug scripts. Owns setting up and taking down one device; the guest's own nodes are never
 * trusted for it, the list of what exists is in our private records.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "events.h"
#include "image_server.h"
#include "usage.h"
#include "whole.h"

#include <xen/io/xenbus.h>

#ifndef BACKEND_WAIT_MS
#define BACKEND_WAIT_MS 20000 /* an emulated, busy dom0 is slow */
#endif
#ifndef FRONTEND_WAIT_MS
#define FRONTEND_WAIT_MS 10000 /* a guest that is asked to let go */
#endif

#define NUDGE_MS 1000
#define SPEC_MAX 4000 /* of the 4096 bytes of a node */

static const struct device_kind *const kinds[] = { &device_vbd, &device_vif };

/* So long driver domains are waited for when devices are taken away, all of them and for all devices together. */
#define PATIENCE_MS (2 * BACKEND_WAIT_MS)
static int64_t patience_ends;
static uint32_t silent; /* one that has not answered in time is not waited for again */

static char *backend_path(const struct device *d)
{
	return xl_sprintf("/local/domain/%u/backend/%s/%u/%u", d->backend, d->kind->name, d->domid,
			  d->devid);
}

/* --- states ---------------------------------------------------------------------------------- */

/*
 * This kernel has unregistered the device (or never had it), or no driver serves it. A back end that
 * was just connecting when it was told to close may have written Connected over Closing; then the node
 * never says Closed, although all is done.
 */
static bool backend_done(const struct device *d)
{
	char devid[16];

	/* Of another kernel only the nodes are seen. */
	if (d->backend)
		return false;
	snprintf(devid, sizeof(devid), "%u", d->devid);
	return backend_unbound(d->kind->name, d->domid, devid);
}

/*
 * Is its driver still taking it apart? The bus forgets a device before that, /sys/devices only
 * afterwards. One that the bus knows and no driver serves stays as it is.
 */
static bool backend_going(const struct device *d)
{
	char path[256];

	if (d->backend)
		return false;
	snprintf(path, sizeof(path), "/sys/devices/%s-%u-%u", d->kind->name, d->domid, d->devid);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), XL_SYS_BACKEND "/devices/%s-%u-%u", d->kind->name, d->domid,
		 d->devid);
	return access(path, F_OK) || !backend_done(d);
}

/* A driver that was about to connect has written that over what disconnect() asks of it: asks once more. */
static void ask_again(struct xl *xl, const struct device *d)
{
	xs_transaction_t t;
	char *state;

	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		state = st_read(xl, t, "%s/state", d->be);
		if (state && atoi(state) == XenbusStateConnected)
			st_write(xl, t, "5", "%s/state", d->be); /* Closing */
		free(state);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
}

/* Until the back end is in @state or gone. Returns the last state seen, -1 when gone. */
static long wait_state(struct xl *xl, const struct device *d, long state, int timeout)
{
	int64_t begin = xl_now(), end = begin + timeout, nudge = begin + NUDGE_MS;
	char *node = xl_sprintf("%s/state", d->be);
	long now;

	st_wait_begin(xl, node);
	for (;;) {
		now = st_read_long(xl, "%s", node);
		if (d->backend && state == XenbusStateInitWait && xl_now() > nudge) {
			driver_nudge(xl, d);
			nudge = xl_now() + NUDGE_MS;
		}
		if (now == state || now < 0 || xl_now() > end)
			break;
		if (state == XenbusStateClosed && backend_done(d)) {
			now = state;
			break;
		}
		if (state == XenbusStateClosed && now == XenbusStateConnected)
			ask_again(xl, d);
		if (d->backend && !driver_alive(xl, d->backend)) {
			now = -1;
			break;
		}
		/* A back end that gave up will not come back. */
		if ((state == XenbusStateInitWait || state == XenbusStateConnected) &&
		    now > XenbusStateConnected)
			break;
		/* That a driver has let go, or a driver domain has gone, is no change of a node. */
		st_wait(xl, xl_look_ms(begin));
	}
	st_wait_end(xl, node);
	free(node);
	return now;
}

/* Closed is said before all is gone: an interface or an open disk lasts a moment longer. */
static void wait_gone(const struct device *d)
{
	int64_t begin = xl_now();

	while (backend_going(d) && xl_now() < begin + BACKEND_WAIT_MS)
		xl_sleep_since(begin);
}

/* --- setting up ------------------------------------------------------------------------------ */

/* The back end's nodes, in dom0. */
static bool write_backend(struct xl *xl, xs_transaction_t t, const struct device *d,
			  const struct device_spec *spec, const char *fe, const char *dom,
			  const char *dev)
{
	bool ok;

	ok = st_dir(xl, t, 0, d->domid, "%s", d->be);
	ok = ok && st_write(xl, t, fe, "%s/frontend", d->be);
	ok = ok && st_write(xl, t, dom, "%s/frontend-id", d->be);
	ok = ok && st_write(xl, t, spec->script, "%s/script", d->be);
	ok = ok && st_write(xl, t, "1", "%s/online", d->be);
	ok = ok && d->kind->write(xl, t, spec->of_kind, fe, d->be, dev);
	return ok && st_write(xl, t, "1", "%s/state", d->be);
}

/* In a driver domain: what dom0 keeps of it, then what that domain gets. */
static bool write_foreign(struct xl *xl, xs_transaction_t t, const struct device *d,
			  const struct device_spec *spec, const char *fe, const char *dev)
{
	char *own = xl_sprintf(XL_FOREIGN, d->domid, d->kind->name, d->devid);
	char *name = domain_name(xl, d->backend);
	bool ok;

	ok = st_write(xl, t, name ? name : "", "%s/backend-name", own);
	ok = ok && driver_note_number(xl, t, d->domid, d->backend, name ? name : "");
	ok = ok && st_write(xl, t, spec->script, "%s/script", own);
	ok = ok && d->kind->write(xl, t, spec->of_kind, fe, own, dev);
	ok = ok && driver_offer(xl, t, d);
	free(name);
	free(own);
	return ok;
}

static bool write_nodes(struct xl *xl, xs_transaction_t t, const struct device *d,
			const struct device_spec *spec)
{
	char fe[80], dom[16], dev[16], back[16];
	bool ok;

	snprintf(fe, sizeof(fe), "/local/domain/%u/device/%s/%u", d->domid, d->kind->name,
		 d->devid);
	snprintf(dom, sizeof(dom), "%u", d->domid);
	snprintf(dev, sizeof(dev), "%u", d->devid);
	snprintf(back, sizeof(back), "%u", d->backend);
	ok = st_write(xl, t, d->be, XL_PRIVATE "/%u/device/%s/%u", d->domid, d->kind->name,
		      d->devid);
	/* One that is too long for xenstore cannot be made again by this, and is no worse for it now. */
	if (strlen(spec->text) < SPEC_MAX)
		ok = ok && st_write(xl, t, spec->text, XL_SPEC, d->domid, d->kind->name, d->devid);

	ok = ok && st_dir(xl, t, d->domid, d->backend, "%s", fe);
	ok = ok && st_write(xl, t, d->be, "%s/backend", fe);
	ok = ok && st_write(xl, t, back, "%s/backend-id", fe);
	ok = ok && (d->backend ? write_foreign(xl, t, d, spec, fe, dev) :
				 write_backend(xl, t, d, spec, fe, dom, dev));
	return ok && (d->comes || st_write(xl, t, "1", "%s/state", fe));
}

static int create_nodes(struct xl *xl, const struct device *d, const struct device_spec *spec)
{
	xs_transaction_t t;
	int saved;
	bool ok;

	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		xs_batch_begin(xl->xs, t);
		ok = write_nodes(xl, t, d, spec);
		saved = errno;
		if (!xs_batch_end(xl->xs)) {
			saved = errno;
			ok = false;
		}
		if (!ok) {
			xs_transaction_end(xl->xs, t, true);
			/* EAGAIN: xenstored was started again under the transaction */
			errno = saved;
			continue;
		}
		if (xs_transaction_end(xl->xs, t, false))
			return 0;
	} while (errno == EAGAIN);
	return xl_error("cannot write %s %s to xenstore: %s", d->kind->key, spec->label,
			strerror(errno));
}

/* Looks whether others have what this one wants, and notes in the same breath that it does. */
static int claim(struct xl *xl, struct xl_config *cfg, const struct device *d,
		 const struct device_spec *spec)
{
	int lock = -1, rc = -1;
	char *why = NULL;

	if (d->kind->refuse) {
		lock = xl_lock_devices();
		if (lock < 0)
			return -1;
		why = d->kind->refuse(xl, spec->of_kind);
	}
	if (why)
		config_error(cfg, d->kind->key, spec->line, "%s: %s", spec->label, why);
	else
		rc = create_nodes(xl, d, spec);
	xl_unlock(lock);
	free(why);
	return rc;
}

/* The devices that a guest is made with belong to its creation, and those it has at its end to that. */
static void tell(struct xl *xl, const char *event, const struct device *d)
{
	if (usage_is_open(d->domid))
		xl_event_of(xl, event, d->domid, ", \"kind\": \"%s\", \"devid\": %u", d->kind->name,
			    d->devid);
}

/* The script has been run, here or in the driver domain. 0, or -1 after a message. */
static int connect_script(struct xl *xl, struct xl_config *cfg, struct device_work *w)
{
	const struct device_spec *spec = &w->spec;
	char *status = NULL, *why = NULL;
	struct device *d = &w->d;
	int rc = 0;

	if (d->backend) {
		why = driver_await_script(xl, d);
		if (why)
			config_error(cfg, d->kind->key, spec->line, "%s: %s", spec->label, why);
		rc = why ? -1 : 0;
		free(why);
		return rc;
	}
	rc = hotplug_finish(d, spec->script, d->kind->start, &w->script);
	status = st_read(xl, XBT_NULL, "%s/hotplug-status", d->be);
	if (rc || !status || strcmp(status, "connected")) {
		why = st_read(xl, XBT_NULL, "%s/hotplug-error", d->be);
		if (why)
			config_error(cfg, d->kind->key, spec->line, "%s: %s", spec->label, why);
		else
			config_error(cfg, d->kind->key, spec->line,
				     "%s: %s failed, see " HOTPLUG_LOG, spec->label, spec->script);
		rc = -1;
	}
	free(status);
	free(why);
	return rc;
}

static void release(struct device_work *w)
{
	free(w->d.be);
	free(w->spec.text);
	w->release(w);
}

int device_begin(struct xl *xl, struct xl_config *cfg, uint32_t domid, struct device_work *w)
{
	struct device *d = &w->d;

	d->kind = w->kind;
	d->domid = domid;
	d->devid = w->spec.devid;
	d->backend = w->spec.backend;
	d->comes = whole_comes(cfg->saved);
	d->be = NULL;
	w->script.pid = 0;
	if (d->backend && d->backend == domid) {
		config_error(cfg, w->kind->key, w->spec.line,
			     "%s: its back end would be its own domain", w->spec.label);
	} else {
		d->be = backend_path(d);
		if (!claim(xl, cfg, d, &w->spec))
			return 0;
	}
	release(w);
	return -1;
}

/* Until its back end has found it; then its script runs. */
static int prepare(struct xl *xl, struct xl_config *cfg, struct device_work *w)
{
	const struct device_kind *kind = w->kind;
	const struct device_spec *spec = &w->spec;
	struct device *d = &w->d;
	long state = wait_state(xl, d, XenbusStateInitWait, BACKEND_WAIT_MS);

	/* In a driver domain a front end that is quick may be connected before we look. */
	if (state != XenbusStateInitWait && !(d->backend && state > XenbusStateInitWait)) {
		config_error(cfg, kind->key, spec->line,
			     "the back end of %s does not answer (state %ld after %d s): is %s in "
			     "%s kernel?",
			     spec->label, state, BACKEND_WAIT_MS / 1000, kind->driver,
			     d->backend ? "the driver domain's" : "dom0's");
		return -1;
	}
	if (kind->offered && !kind->offered(xl, spec->of_kind, d->be))
		return xl_error("cannot write %s %s to xenstore: %s", kind->key, spec->label,
				strerror(errno));
	return d->backend ? 0 : hotplug_start(d, spec->script, kind->start, &w->script);
}

/* Its front end's rings are there: it connects to them by itself, or cannot. */
static int await_connected(struct xl *xl, struct xl_config *cfg, struct device_work *w)
{
	struct device *d = &w->d;
	char *error, *why;

	if (wait_state(xl, d, XenbusStateConnected, BACKEND_WAIT_MS) == XenbusStateConnected)
		return 0;
	error = st_read(xl, XBT_NULL, "/local/domain/%u/error/backend/%s/%u/%u/error", d->backend,
			d->kind->name, d->domid, d->devid);
	why = error ? xl_one_line(error) : NULL;
	config_error(cfg, d->kind->key, w->spec.line,
		     "%s: its back end does not connect to what the guest has of it%s%s",
		     w->spec.label, why ? ": " : "", why ? why : "");
	free(error);
	free(why);
	return -1;
}

static int finish_one(struct xl *xl, struct xl_config *cfg, struct device_work *w)
{
	int rc = connect_script(xl, cfg, w);

	if (!rc && w->d.comes)
		rc = await_connected(xl, cfg, w);
	if (!rc)
		tell(xl, EVENT_ATTACHED, &w->d);
	if (!rc && w->made)
		rc = w->made(xl, cfg, w);
	return rc;
}

void device_drop(struct device_work **w, int nr)
{
	while (nr--)
		release(w[nr]);
}

int device_end(struct xl *xl, struct xl_config *cfg, struct device_work **w, int nr)
{
	int i, prepared, rc = 0;

	for (prepared = 0; !rc && prepared < nr; prepared++)
		rc = xl_interrupted ? xl_error("interrupted") : prepare(xl, cfg, w[prepared]);
	/* What runs is waited for, whatever has become of the others: nobody else would. */
	for (i = 0; i < prepared; i++)
		if (w[i]->script.pid || (!rc && w[i]->d.backend))
			rc |= finish_one(xl, cfg, w[i]);
	device_drop(w, nr);
	return rc ? -1 : 0;
}

/* --- taking down ----------------------------------------------------------------------------- */

/*
 * Tells the back end to let go. Without its front end's nodes (@force) it disconnects at once,
 * whatever the guest had been doing; with them the front end is asked first. Returns the state it was in, -1: none.
 */
static int disconnect(struct xl *xl, const struct device *d, bool force)
{
	xs_transaction_t t;
	int before;
	char *state;

	do {
		before = -1;
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		state = st_read(xl, t, "%s/state", d->be);
		if (state) {
			before = atoi(state);
			st_write(xl, t, "0", "%s/online", d->be);
			if (before != XenbusStateClosed)
				st_write(xl, t, "5", "%s/state", d->be); /* Closing */
		}
		free(state);
		if (force)
			st_remove(xl, t, "/local/domain/%u/device/%s/%u", d->domid, d->kind->name,
				  d->devid);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
	return before;
}

static void begin_waiting(void)
{
	patience_ends = xl_now() + PATIENCE_MS;
	silent = 0;
}

/* How long a back end is waited for. */
static int patience(const struct device *d)
{
	int64_t left = d->backend ? patience_ends - xl_now() : BACKEND_WAIT_MS;

	if (d->backend && d->backend == silent)
		return 0;
	return left > BACKEND_WAIT_MS ? BACKEND_WAIT_MS : left > 0 ? left : 0;
}

/* Undoes what the script did, or waits until the driver domain has. */
static void undo_script(struct xl *xl, const struct device *d)
{
	int ms = patience(d);
	char *script;

	if (d->backend) {
		if (!driver_await_release(xl, d, ms) && ms) {
			silent = d->backend;
			xl_error("%s: the driver domain has not undone its script (does xl devd "
				 "run there?); removed all the same",
				 d->be);
		}
		return;
	}
	script = st_read(xl, XBT_NULL, "%s/script", d->be);
	/* Killed in the middle, it leaves a server that has the image still, and soon nothing tells whose. */
	if (script && hotplug_run(d, script, d->kind->stop) && image_server_noted(xl, d->be))
		hotplug_run(d, script, d->kind->stop);
	free(script);
}

/* After disconnect(): waits for it, undoes what the script did, and removes what is left. */
static void finish(struct xl *xl, struct device *d)
{
	/* Not probed: no back end has ever looked at it, so none will close it. */
	int ms = patience(d);
	long state;
	char *top;

	/* A server that is gone answers nothing that is on its way to it. */
	if (!d->backend)
		image_server_cut(xl, d->be);
	state = wait_state(xl, d, XenbusStateClosed, !d->probed && ms > 500 ? 500 : ms);

	if (d->probed && state >= 0 && state != XenbusStateClosed) {
		xl_error("%s: the back end does not let go (state %ld); removed all the same",
			 d->be, state);
		silent = d->backend;
	} else {
		wait_gone(d);
	}
	undo_script(xl, d);
	top = xl_sprintf("/local/domain/%u/backend", d->backend);
	st_prune(xl, d->be, top);
	free(top);
	xs_rm(xl->xs, XBT_NULL, d->be);
	/* See backends.c: another device may get the same number. */
	st_remove(xl, XBT_NULL, XL_PRIVATE "/%u/lost/%s/%u", d->domid, d->kind->name, d->devid);
	st_remove(xl, XBT_NULL, XL_FOREIGN, d->domid, d->kind->name, d->devid);
	st_remove(xl, XBT_NULL, XL_SPEC, d->domid, d->kind->name, d->devid);
	st_remove(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%u", d->domid, d->kind->name, d->devid);
}

/* What our records say of a device; false when there is none. The caller frees d->be. */
static bool look_up(struct xl *xl, uint32_t domid, const struct device_kind *kind,
		    unsigned int devid, struct device *d)
{
	d->kind = kind;
	d->domid = domid;
	d->devid = devid;
	d->be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%u", domid, kind->name, devid);
	if (!d->be)
		return false;
	d->backend = backend_domid(d->be);
	d->probed = st_read_long(xl, "%s/state", d->be) > XenbusStateInitialising;
	return true;
}

/* Nobody can lose anything by it: the guest is dead, or has never taken the device. */
static bool unused(struct xl *xl, const struct device *d)
{
	struct xen_domctl_getdomaininfo info;

	if (pv_domain_info(xl->pv, d->domid, &info) ||
	    info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return true;
	return st_read_long(xl, "/local/domain/%u/device/%s/%u/state", d->domid, d->kind->name,
			    d->devid) == XenbusStateInitialising;
}

/*
 * Takes disconnect()'s request back, so that the device goes on as @before. A front end that is closing
 * already waits for its own users: there the request stays, and the device goes when they let go.
 */
static int keep(struct xl *xl, const struct device *d, int before)
{
	const char *dom0s = "", *guests = "it stays, and the guest goes on using it";
	char state[12];
	char *nodes = device_nodes(d->domid, d->kind->name, d->devid, d->be);
	char *dev = st_read(xl, XBT_NULL, "%s/dev", nodes);
	struct xen_domctl_getdomaininfo info;
	xs_transaction_t t;
	char *fe, *be;

	snprintf(state, sizeof(state), "%d", before);
	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		be = st_read(xl, t, "%s/state", d->be);
		fe = st_read(xl, t, "/local/domain/%u/device/%s/%u/state", d->domid, d->kind->name,
			     d->devid);
		if (fe && atoi(fe) == XenbusStateClosing) {
			guests = "it goes when those who use it in the guest are done; ask again "
				 "then";
		} else if (be && atoi(be) != XenbusStateClosed) {
			st_write(xl, t, "1", "%s/online", d->be);
			/* Not if its driver has written something else since. */
			if (atoi(be) == XenbusStateClosing)
				st_write(xl, t, state, "%s/state", d->be);
		}
		free(fe);
		free(be);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
	if (!pv_domain_info(xl->pv, d->domid, &info) && info.flags & XEN_DOMINF_paused)
		dom0s = " (it is paused)";
	xl_error("domain %u has not let go of %s %s in %d s%s: %s. xl block-detach -f takes it "
		 "away, and what is not written yet is lost",
		 d->domid, d->kind->key, dev ? dev : "", FRONTEND_WAIT_MS / 1000, dom0s, guests);
	free(dev);
	free(nodes);
	return -1;
}

int device_detach(struct xl *xl, uint32_t domid, const struct device_kind *kind, unsigned int devid,
		  bool force)
{
	struct device d;
	int rc = 0, before;

	if (!look_up(xl, domid, kind, devid, &d))
		return xl_error("domain %u has no %s %u", domid, kind->key, devid);
	if (!force && kind->stays && d.backend && !driver_alive(xl, d.backend) && !unused(xl, &d)) {
		free(d.be);
		return xl_error(
			"the driver domain of %s %u is gone: start it again, or take the device "
			"away with -f, and what is not written yet is lost",
			kind->key, devid);
	}
	if (!force && !(kind->stays && unused(xl, &d))) {
		before = disconnect(xl, &d, false);
		if (wait_state(xl, &d, XenbusStateClosed, FRONTEND_WAIT_MS) == XenbusStateClosed) {
			wait_gone(&d);
		} else if (kind->stays) {
			rc = keep(xl, &d, before);
			free(d.be);
			return rc;
		} else {
			rc = xl_error("domain %u has not let go of %s %u: taken away all the same",
				      domid, kind->key, devid);
		}
	}
	begin_waiting();
	disconnect(xl, &d, true);
	finish(xl, &d);
	tell(xl, EVENT_DETACHED, &d);
	free(d.be);
	return rc;
}

/* @all: not only those of driver domains. */
static void remove_devices(struct xl *xl, uint32_t domid, bool all)
{
	struct device *list = NULL, *more;
	unsigned int i, j, devs;
	char **dev;
	int nr = 0, n;

	for (i = 0; i < pv_container_size(kinds); i++) {
		dev = st_list(xl, &devs, XL_PRIVATE "/%u/device/%s", domid, kinds[i]->name);
		for (j = 0; j < devs; j++) {
			more = realloc(list, (nr + 1) * sizeof(*more));
			if (!more)
				abort();
			list = more;
			if (!look_up(xl, domid, kinds[i], atoi(dev[j]), &list[nr]))
				continue;
			if (all || list[nr].backend)
				nr++;
			else
				free(list[nr].be);
		}
		free(dev);
	}
	begin_waiting();
	/* All at once, so that their waits overlap. */
	for (n = 0; n < nr; n++)
		disconnect(xl, &list[n], true);
	for (n = 0; n < nr; n++) {
		finish(xl, &list[n]);
		free(list[n].be);
	}
	free(list);
}

void device_remove_all(struct xl *xl, uint32_t domid)
{
	remove_devices(xl, domid, true);
}

void device_remove_foreign(struct xl *xl, uint32_t domid)
{
	remove_devices(xl, domid, false);
}

/* What dom0's kernel has written about the back ends of this domain. */
static void remove_errors(struct xl *xl, uint32_t domid)
{
	static const char base[] = "/local/domain/0/error/backend";
	unsigned int n, i;
	char **kind = st_list(xl, &n, "%s", base), *path;

	for (i = 0; i < n; i++) {
		path = xl_sprintf("%s/%s/%u", base, kind[i], domid);
		st_prune(xl, path, "/local/domain/0");
		free(path);
	}
	free(kind);
}

void device_remove_directories(struct xl *xl, uint32_t domid)
{
	unsigned int i;

	for (i = 0; i < pv_container_size(kinds); i++)
		st_remove(xl, XBT_NULL, "/local/domain/0/backend/%s/%u", kinds[i]->name, domid);
	remove_errors(xl, domid);
}
