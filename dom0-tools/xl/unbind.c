// SPDX-License-Identifier: BSD-2-Clause
/*
 * The drivers of a guest's back ends, taken off its devices and bound again, without the guest's knowing (whole.h).
 * Owns what "drained" means, and that it is seen and not supposed: by ports that are bound no more, and rings that have no request left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device.h"
#include "migrate.h"
#include "whole.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/xenbus.h>

/* Nobody wants it to have lost a device because of a slow disk; and it stands still. */
#ifndef UNDO_MS
#define UNDO_MS 30000
#endif

#define QUEUES_MAX 256 /* of a disk: more than any back end offers */

/* --- its devices ------------------------------------------------------------------------------- */

struct ends {
	struct device *d;
	unsigned int nr;
};

static void list_ends(struct xl *xl, uint32_t domid, struct ends *l)
{
	static const struct device_kind *const kinds[] = { &device_vbd, &device_vif };
	unsigned int i, j, n;
	char **dev, *be;

	*l = (struct ends){ NULL, 0 };
	for (i = 0; i < pv_container_size(kinds); i++) {
		dev = st_list(xl, &n, XL_PRIVATE "/%u/device/%s", domid, kinds[i]->name);
		l->d = realloc(l->d, (l->nr + n + 1) * sizeof(*l->d));
		if (!l->d)
			abort();
		for (j = 0; j < n; j++) {
			be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/%s/%s", domid,
				     kinds[i]->name, dev[j]);
			if (be)
				l->d[l->nr++] = (struct device){ .kind = kinds[i],
								 .domid = domid,
								 .devid = strtoul(dev[j], NULL, 10),
								 .backend = backend_domid(be),
								 .be = be };
		}
		free(dev);
	}
}

static void free_ends(struct ends *l)
{
	while (l->nr)
		free(l->d[--l->nr].be);
	free(l->d);
}

static char *front_end(const struct device *d)
{
	return xl_sprintf("/local/domain/%u/device/%s/%u", d->domid, d->kind->name, d->devid);
}

static bool is_bound(const struct device *d)
{
	char *path = xl_sprintf(XL_SYS_BACKEND "/devices/%s-%u-%u/driver", d->kind->name, d->domid,
				d->devid);
	bool bound = !access(path, F_OK);

	free(path);
	return bound;
}

/* NULL, or why not; the caller frees. */
static char *bars(struct xl *xl, const struct device *d)
{
	char *fe = front_end(d), *path, *why = NULL;

	path = xl_sprintf(XL_SYS_BACKEND "/drivers/%s/unbind", d->kind->name);
	if (d->backend)
		why = xl_sprintf("%s %u of it is of a driver domain", d->kind->key, d->devid);
	else if (access(path, W_OK))
		why = xl_sprintf("%s is not there: the driver of %s %u cannot be taken off it",
				 path, d->kind->key, d->devid);
	else if (!is_bound(d) || st_read_long(xl, "%s/state", d->be) != XenbusStateConnected ||
		 st_read_long(xl, "%s/state", fe) != XenbusStateConnected)
		why = xl_sprintf("%s %u of it is not connected", d->kind->key, d->devid);
	free(path);
	free(fe);
	return why;
}

char *unbind_bars(struct xl *xl, uint32_t domid)
{
	unsigned int i, vifs = 0;
	char *why = NULL;
	struct ends l;

	list_ends(xl, domid, &l);
	for (i = 0; i < l.nr && !why; i++) {
		why = bars(xl, &l.d[i]);
		/* A configuration gives them numbers by their places. xenstored lists them in another order from 10 on. */
		vifs += l.d[i].kind->net;
	}
	for (i = 0; i < l.nr && !why; i++)
		if (l.d[i].kind->net && l.d[i].devid >= vifs)
			why = xl_sprintf("it has interface %u, but not all below that",
					 l.d[i].devid);
	free_ends(&l);
	return why;
}

/* --- drivers ----------------------------------------------------------------------------------- */

/* @what: "bind" or "unbind". Comes back when the driver has done so. 0 or -errno. */
static int tell_driver(const struct device *d, const char *what)
{
	char *path = xl_sprintf(XL_SYS_BACKEND "/drivers/%s/%s", d->kind->name, what), name[40];
	int n = snprintf(name, sizeof(name), "%s-%u-%u\n", d->kind->name, d->domid, d->devid);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, name, n) != n ? -errno : 0;

	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

/* The same in a process of its own, for a driver may wait in the kernel, whatever becomes of us; it holds nothing of ours then. */
static pid_t tell_beside(const struct device *d, const char *what)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	closefrom(3);
	_exit(tell_driver(d, what) ? 1 : 0);
}

static int left_of(int64_t end)
{
	int64_t now = xl_now();

	return now < end ? (int)(end - now) : 0;
}

/* All that are not so yet, at once. 0; or the number of those that are still at it at the @end. */
static unsigned int tell_drivers(const struct ends *l, const char *what, int64_t end)
{
	bool bound = strcmp(what, "bind");
	pid_t *pid = calloc(l->nr + 1, sizeof(*pid));
	unsigned int i, late = 0;
	int status;

	if (!pid)
		abort();
	for (i = 0; i < l->nr; i++) {
		if (is_bound(&l->d[i]) != bound)
			continue;
		pid[i] = tell_beside(&l->d[i], what);
		if (pid[i] < 0)
			tell_driver(&l->d[i], what);
	}
	for (i = 0; i < l->nr; i++)
		if (pid[i] > 0)
			late += !xl_wait_child(pid[i], left_of(end), &status);
	for (i = 0; i < l->nr && !late; i++) {
		int64_t begin = xl_now();

		while (is_bound(&l->d[i]) == bound && xl_now() < end)
			xl_sleep_since(begin);
		late += is_bound(&l->d[i]) == bound;
	}
	free(pid);
	return late;
}

static bool await_state(struct xl *xl, const struct device *d, long state, int64_t end)
{
	int64_t begin = xl_now();
	bool there;

	while (!(there = st_read_long(xl, "%s/state", d->be) == state) && xl_now() < end &&
	       !xl_store_lost)
		xl_sleep_since(begin);
	return there;
}

static int run_script(struct xl *xl, const struct device *d, const char *verb)
{
	char *script = st_read(xl, XBT_NULL, "%s/script", d->be);
	int rc = script ? hotplug_run(d, script, verb) : -1;

	free(script);
	return rc;
}

/* It has a driver again, which has written InitWait; until it is connected. */
static int connect_again(struct xl *xl, const struct device *d, int64_t end)
{
	char *error = NULL;
	int rc = 0;

	/* Its interface is another one, of which dom0's bridge knows nothing. A disk still has its device. */
	if (d->kind->net)
		rc = !await_state(xl, d, XenbusStateInitWait, end) ||
		     run_script(xl, d, d->kind->start);
	if (!rc && await_state(xl, d, XenbusStateConnected, end))
		return 0;
	error = st_read(xl, XBT_NULL, "/local/domain/0/error/backend/%s/%u/%u/error", d->kind->name,
			d->domid, d->devid);
	xl_error("domain %u loses its %s %u: its back end does not connect again%s%s", d->domid,
		 d->kind->key, d->devid, error ? ": " : "", error ? error : "");
	free(error);
	return -1;
}

/* Those that have no driver, or were left half way to it. 0, or -1 after a message: not all have come back. */
static int bind_again(struct xl *xl, const struct ends *l, int64_t end)
{
	bool *was = calloc(l->nr + 1, sizeof(*was));
	unsigned int i;
	int rc = 0;

	if (!was)
		abort();
	for (i = 0; i < l->nr; i++) {
		was[i] = is_bound(&l->d[i]) &&
			 st_read_long(xl, "%s/state", l->d[i].be) == XenbusStateConnected;
		/* What the script has made for the interface that has gone. */
		if (!was[i] && l->d[i].kind->net)
			run_script(xl, &l->d[i], l->d[i].kind->stop);
	}
	tell_drivers(l, "bind", end);
	for (i = 0; i < l->nr; i++) {
		if (was[i])
			continue;
		if (is_bound(&l->d[i]))
			rc |= connect_again(xl, &l->d[i], end);
		else
			rc = xl_error("domain %u loses its %s %u: %s does not take it back",
				      l->d[i].domid, l->d[i].kind->key, l->d[i].devid,
				      l->d[i].kind->driver);
	}
	free(was);
	return rc ? -1 : 0;
}

/* --- a state's records -------------------------------------------------------------------------- */

struct state {
	const uint8_t *bytes;
	uint32_t size;
};

/* The one at *@at, which becomes that of the next. NULL: there are no more. */
static const uint8_t *next_record(const struct state *s, uint32_t *at,
				  struct hvm_save_descriptor *d)
{
	const uint8_t *body;

	if (s->size - *at < sizeof(*d))
		return NULL;
	memcpy(d, s->bytes + *at, sizeof(*d));
	if (!d->typecode || d->length > s->size - *at - sizeof(*d))
		return NULL;
	body = s->bytes + *at + sizeof(*d);
	*at += sizeof(*d) + d->length;
	return body;
}

/* How many of its ports are bound in domain 0, beside xenstored's and xenconsoled's. */
static unsigned int bound_ports(const struct state *s)
{
	struct hvm_save_descriptor head;
	struct hvm_riscv_domain own;
	struct hvm_riscv_port p;
	const uint8_t *body;
	uint32_t at = 0, i;
	unsigned int n = 0;

	if (!saved_domain(s->bytes, s->size, &own))
		return 0;
	while ((body = next_record(s, &at, &head))) {
		for (i = 0; head.typecode == HVM_SAVE_PORTS && i + sizeof(p) <= head.length;
		     i += sizeof(p)) {
			memcpy(&p, body + i, sizeof(p));
			n += p.state == EVTCHNSTAT_interdomain && p.port != own.store_evtchn &&
			     p.port != own.console_evtchn;
		}
	}
	return n;
}

/* The same of now. -1: it cannot be said. */
static int ports_now(struct xl *xl, uint32_t domid)
{
	struct state s = { NULL, 0 };
	uint8_t *bytes = NULL;
	int rc = pv_domain_get_state(xl->pv, domid, NULL, &s.size);

	if (!rc) {
		bytes = malloc(s.size);
		if (!bytes)
			abort();
		rc = pv_domain_get_state(xl->pv, domid, bytes, &s.size);
		s.bytes = bytes;
	}
	rc = rc ? -1 : (int)bound_ports(&s);
	free(bytes);
	return rc;
}

/* Until none is. 0; 1: some still are at the @end; -1. */
static int await_ports(struct xl *xl, uint32_t domid, int64_t end)
{
	int64_t begin = xl_now();
	int n;

	while ((n = ports_now(xl, domid)) > 0 && xl_now() < end)
		xl_sleep_since(begin);
	return n > 0 ? 1 : n;
}

/* The frame that a grant is for. False: it is none that a back end can have mapped. */
static bool granted_frame(const struct state *s, unsigned long gref, uint64_t *gfn)
{
	unsigned int in_frame = HVM_GRANTS_SIZE / sizeof(struct grant_entry_v1);
	struct hvm_save_descriptor head;
	struct grant_entry_v1 e;
	const uint8_t *body;
	uint32_t at = 0;

	while ((body = next_record(s, &at, &head))) {
		if (head.typecode != HVM_SAVE_GRANTS || head.instance != gref / in_frame ||
		    head.length != HVM_GRANTS_SIZE)
			continue;
		memcpy(&e, body + gref % in_frame * sizeof(e), sizeof(e));
		*gfn = e.frame;
		return (e.flags & GTF_type_mask) == GTF_permit_access;
	}
	return false;
}

/*
 * Has the ring whose nodes are in @dir a request without an answer? Each has one, in a disk's ring, whose first words are req_prod, req_event,
 * rsp_prod, rsp_event (xen/io/ring.h). What the guest hides from us it hides from its back end.
 */
static bool ring_waits(struct xl *xl, uint32_t domid, const struct state *s, const char *dir)
{
	static uint32_t page[PV_PAGE_SIZE / sizeof(uint32_t)];
	uint8_t kind = PV_PAGE_HOLE;
	uint64_t gfn;
	long gref = st_read_long(xl, "%s/ring-ref", dir);

	if (gref < 0)
		gref = st_read_long(xl, "%s/ring-ref0", dir);
	return gref >= 0 && granted_frame(s, gref, &gfn) &&
	       !pv_memory_read(xl->pv, domid, &gfn, 1, page, &kind) && kind == PV_PAGE_DATA &&
	       page[0] != page[2];
}

static bool disk_waits(struct xl *xl, const struct device *d, const struct state *s)
{
	char *fe = front_end(d), *dir;
	long queues = st_read_long(xl, "%s/multi-queue-num-queues", fe), i;
	bool waits = queues <= 1 && ring_waits(xl, d->domid, s, fe);

	for (i = 0; i < queues && queues > 1 && queues <= QUEUES_MAX && !waits; i++) {
		dir = xl_sprintf("%s/queue-%ld", fe, i);
		waits = ring_waits(xl, d->domid, s, dir);
		free(dir);
	}
	free(fe);
	return waits;
}

/* --- all of them -------------------------------------------------------------------------------- */

/* Those whose rings have a request that no driver has seen get one, and so lose it again. 0: there is none; 1: there was; -1: */
static int look_again(struct xl *xl, const struct ends *l, const struct state *s)
{
	struct ends some = { calloc(l->nr + 1, sizeof(*some.d)), 0 };
	unsigned int i;
	int rc = 0;

	if (!some.d)
		abort();
	for (i = 0; i < l->nr; i++)
		if (!l->d[i].kind->net && disk_waits(xl, &l->d[i], s))
			some.d[some.nr++] = l->d[i];
	if (some.nr)
		rc = bind_again(xl, &some, xl_now() + UNDO_MS) ? -1 : 1;
	free(some.d);
	return rc;
}

int unbind_all(struct xl *xl, uint32_t domid, const char *name, const uint8_t *state, uint32_t size)
{
	struct state s = { state, size };
	int64_t end = xl_now() + UNBIND_MS;
	const char *why = NULL;
	struct ends l;
	int rc;

	list_ends(xl, domid, &l);
	do {
		rc = 0;
		if (!drain_idle(xl, domid, end))
			why = "its disks are not done with what it has written";
		else if (tell_drivers(&l, "unbind", end))
			why = "the driver of a device does not let go of it";
		else if ((rc = await_ports(xl, domid, end)))
			why = rc > 0 ? "something in domain 0 still has one of its event channels" :
				       "the hypervisor does not tell its state";
		else if ((rc = look_again(xl, &l, &s)) < 0)
			why = "a disk of it has not come back";
		else if (rc && xl_now() >= end)
			why = "a request stays in the ring of one of its disks";
		else if (xl_interrupted)
			why = "interrupted";
	} while (rc > 0 && !why);
	free_ends(&l);
	return why ? xl_error("'%s' goes on: %s", name, why) : 0;
}

int unbind_undo(struct xl *xl, uint32_t domid)
{
	int64_t end = xl_now() + UNDO_MS;
	unsigned int i, bound = 0;
	struct ends l;
	int rc;

	list_ends(xl, domid, &l);
	for (i = 0; i < l.nr; i++)
		bound += is_bound(&l.d[i]);
	/*
	 * A driver that was taken off with a request on its way has the port until that is done, and none other can have it. However slow that
	 * is, and whoever is tired of waiting: bound too early it is a disk less.
	 */
	drain_idle(xl, domid, end - UNDO_MS / 3);
	if (l.nr && !bound)
		await_ports(xl, domid, end - UNDO_MS / 3);
	rc = bind_again(xl, &l, end);
	free_ends(&l);
	return rc;
}
