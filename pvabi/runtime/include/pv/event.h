/* SPDX-License-Identifier: MIT */
/*
 * Event channels of a guest: ports, and functions that the upcall runs for them.
 * It owns the scan of the pending words and its order (docs/abi.md, "Upcall").
 */
#ifndef PV_EVENT_H
#define PV_EVENT_H

#include <pv/runtime.h>

typedef void (*pv_event_fn)(evtchn_port_t port, void *arg);

/*
 * Runs fn(port, arg) from the upcall of the vCPU that the port is bound to, interrupts off, once for
 * each time that the port has become pending; it is cleared before. NULL: nobody; the port is masked.
 * Returns 0, or -EINVAL for a port beyond the ABI's limit, -ENOMEM.
 */
int pv_event_handler(evtchn_port_t port, pv_event_fn fn, void *arg);

/* Hypercalls that make a port; the port, or -errno. */
long pv_event_alloc_unbound(domid_t dom, domid_t remote);
long pv_event_bind_interdomain(domid_t remote, evtchn_port_t remote_port);
long pv_event_bind_virq(unsigned int virq, unsigned int vcpu);
long pv_event_bind_ipi(unsigned int vcpu);

int pv_event_send(evtchn_port_t port);
int pv_event_close(evtchn_port_t port);
void pv_event_mask(evtchn_port_t port);
/* An event that came while masked is delivered now. */
void pv_event_unmask(evtchn_port_t port);
bool pv_event_pending(evtchn_port_t port);
bool pv_event_clear(evtchn_port_t port); /* whether it was pending */

/*
 * Changes the domain to the FIFO ABI: 131,072 ports (4,096 before) and a priority for each. Call it on
 * vCPU 0 while no other runs, once. What is bound and pending stays so. 0; -ENOMEM; what
 * EVTCHNOP_init_control or expand_array say.
 */
int pv_event_use_fifo(void);
/* 0: before all others, 15: last; 7 is what ports have. -ENOSYS (Xen's) without FIFO, -EINVAL. */
int pv_event_priority(evtchn_port_t port, unsigned int priority);

/* Runs the functions of pending ports of this vCPU; what the upcall does. Interrupts off. */
void pv_event_dispatch(void);

#endif
