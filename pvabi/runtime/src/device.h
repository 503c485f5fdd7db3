/* SPDX-License-Identifier: MIT */
/* What front ends have in common: the device's xenstore nodes and the states of both ends. */
#ifndef PV_SRC_DEVICE_H
#define PV_SRC_DEVICE_H

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/runtime.h>

/* The barriers of io/ring.h's macros, which are included after this. */
#define xen_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define xen_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define xen_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)

#include <xen/io/xenbus.h>

struct device {
	char front[40]; /* relative: device/vbd/51712 */
	char *back; /* absolute */
	domid_t domid; /* the back end's */
	evtchn_port_t port;
};

/* The n-th of a class ("vbd", "vif"); waits until its back end is ready for the rings. */
int device_open(struct device *d, const char *class, unsigned int n);
/* A ring's page for the back end; its reference goes to node `name`. NULL and errno. */
void *device_ring(struct device *d, const char *name, grant_ref_t *ref);
/* Gives it the event channel's port, says `state`, and waits until the back end is connected. */
int device_connect(struct device *d, enum xenbus_state state);
/* Says that we go and waits until the back end has let go of everything. */
void device_close(struct device *d);

int device_write(struct device *d, const char *name, unsigned long value);
/* A number that the back end says; `fallback` if it says none. */
unsigned long device_read(struct device *d, const char *name, unsigned long fallback);
/* Sleeps until there was an event or the time has come; look at the ring after device_clear(). */
void device_wait(struct device *d, uint64_t until);
static inline void device_clear(struct device *d)
{
	pv_event_clear(d->port);
}

#endif
