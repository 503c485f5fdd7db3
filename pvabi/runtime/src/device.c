/* SPDX-License-Identifier: MIT */
/*
 * The xenstore half of a front end: finding the device, and the handshake of states (io/xenbus.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/xenbus.h>

#include "device.h"

#define PATIENCE_NS 20000000000ULL
#define LOOK_NS 2000000ULL

static long back_state(struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/state", d->back);
	return pv_xenbus_read_number(0, path);
}

/* Until the back end's state is within [from, to]; -ENODEV: it closes while it should connect. */
static int await_state(struct device *d, long from, long to)
{
	uint64_t until = pv_time_ns() + PATIENCE_NS;
	long state;

	for (;;) {
		state = back_state(d);
		if (state >= from && state <= to)
			return 0;
		if (from == XenbusStateConnected && state >= XenbusStateClosing)
			return -ENODEV;
		if (pv_time_ns() >= until)
			return -ETIMEDOUT;
		pv_sleep_ns(LOOK_NS);
	}
}

/* Sets d->front to the n-th name of the class' directory. */
static int find(struct device *d, const char *class, unsigned int n)
{
	char path[24], *list, *name;
	long len;

	snprintf(path, sizeof(path), "device/%s", class);
	len = pv_xenbus_request(XS_DIRECTORY, 0, path, strlen(path) + 1, &list);
	if (len < 0)
		return len == -ENOENT ? -ENODEV : len;
	name = list;
	while (n-- && name < list + len)
		name += strlen(name) + 1;
	if (name < list + len)
		snprintf(d->front, sizeof(d->front), "%s/%s", path, name);
	len = name < list + len ? 0 : -ENODEV;
	free(list);
	return len;
}

int device_open(struct device *d, const char *class, unsigned int n)
{
	char path[64];
	long id;
	int rc;

	memset(d, 0, sizeof(*d));
	rc = find(d, class, n);
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/backend", d->front);
	d->back = pv_xenbus_read(0, path);
	if (!d->back)
		return -errno;
	snprintf(path, sizeof(path), "%s/backend-id", d->front);
	id = pv_xenbus_read_number(0, path);
	if (id < 0)
		rc = id;
	d->domid = id;
	/* An end that was there before us may still be closing. */
	if (!rc)
		rc = device_write(d, "state", XenbusStateInitialising);
	if (!rc)
		rc = await_state(d, XenbusStateInitWait, XenbusStateInitWait);
	id = rc ? rc : pv_event_alloc_unbound(DOMID_SELF, d->domid);
	if (id < 0) {
		free(d->back);
		return id;
	}
	d->port = id;
	pv_event_mask(d->port); /* for SCHEDOP_poll */
	return 0;
}

void *device_ring(struct device *d, const char *name, grant_ref_t *ref)
{
	void *page = pv_alloc_pages(1);
	long r = page ? pv_grant_access(d->domid, pv_gfn(page), false) : -ENOMEM;

	if (r >= 0) {
		*ref = r;
		r = device_write(d, name, r);
		if (!r)
			return page;
		pv_grant_end(*ref);
	}
	free(page);
	errno = -r;
	return NULL;
}

int device_connect(struct device *d, enum xenbus_state state)
{
	int rc = device_write(d, "event-channel", d->port);

	if (!rc)
		rc = device_write(d, "state", state);
	if (!rc)
		rc = await_state(d, XenbusStateConnected, XenbusStateConnected);
	if (!rc && state != XenbusStateConnected)
		rc = device_write(d, "state", XenbusStateConnected);
	return rc;
}

void device_close(struct device *d)
{
	device_write(d, "state", XenbusStateClosing);
	await_state(d, XenbusStateClosing, XenbusStateClosed);
	device_write(d, "state", XenbusStateClosed);
	await_state(d, XenbusStateClosed, XenbusStateClosed);
	pv_event_close(d->port);
	free(d->back);
}

int device_write(struct device *d, const char *name, unsigned long value)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/%s", d->front, name);
	return pv_xenbus_printf(0, path, "%lu", value);
}

unsigned long device_read(struct device *d, const char *name, unsigned long fallback)
{
	char path[128], *text;

	snprintf(path, sizeof(path), "%s/%s", d->back, name);
	text = pv_xenbus_read(0, path);
	if (text)
		fallback = strtoul(text, NULL, 10);
	free(text);
	return fallback;
}

void device_wait(struct device *d, uint64_t until)
{
	struct sched_poll poll = { .nr_ports = 1, .timeout = until == ~0UL ? 0 : until };

	set_xen_guest_handle(poll.ports, &d->port);
	HYPERVISOR_sched_op(SCHEDOP_poll, &poll);
}
