/* SPDX-License-Identifier: MIT */
/*
 * The PV console: Xen's ring (io/console.h) in a page that the domain builder made and granted.
 */
#include "internal.h"

#include <xen/io/console.h>

static struct xencons_interface *ring;
static evtchn_port_t port;
static pv_spinlock_t out_lock, in_lock;

void pv_early_write(const char *s, size_t n)
{
	HYPERVISOR_console_io(CONSOLEIO_write, n, (void *)s);
}

void pv_console_init(void)
{
	uint64_t gfn, evtchn;

	if (pv_hvm_param(HVM_PARAM_CONSOLE_PFN, &gfn) ||
	    pv_hvm_param(HVM_PARAM_CONSOLE_EVTCHN, &evtchn) || !gfn)
		return;
	ring = (struct xencons_interface *)(uintptr_t)(gfn << PV_PAGE_SHIFT);
	port = evtchn;
}

/* Sleeps until the other end has done something, or 10 ms: it may be slow, or have died. */
static void wait_for_reader(void)
{
	struct sched_poll poll = {
		.nr_ports = 1,
		.timeout = pv_time_ns() + 10000000,
	};

	pv_event_clear(port);
	set_xen_guest_handle(poll.ports, &port);
	HYPERVISOR_sched_op(SCHEDOP_poll, &poll);
}

static size_t put(const char *s, size_t n)
{
	XENCONS_RING_IDX prod = ring->out_prod;
	XENCONS_RING_IDX cons = __atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE);
	size_t done = 0;

	while (done < n && prod - cons < sizeof(ring->out))
		ring->out[MASK_XENCONS_IDX(prod++, ring->out)] = s[done++];
	/* What is in the ring before the news of it */
	__atomic_store_n(&ring->out_prod, prod, __ATOMIC_RELEASE);
	return done;
}

void pv_console_write(const char *s, size_t n)
{
	size_t done;
	unsigned long flags;

	if (!ring) {
		pv_early_write(s, n);
		return;
	}
	flags = pv_irq_save();
	pv_spin_lock(&out_lock);
	while (n) {
		done = put(s, n);
		s += done;
		n -= done;
		pv_event_send(port);
		if (n)
			wait_for_reader();
	}
	pv_spin_unlock(&out_lock);
	pv_irq_restore(flags);
}

size_t pv_console_read(char *s, size_t n)
{
	XENCONS_RING_IDX prod, cons;
	size_t done = 0;

	if (!ring)
		return 0;
	pv_spin_lock(&in_lock);
	cons = ring->in_cons;
	prod = __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE);
	while (done < n && cons != prod)
		s[done++] = ring->in[MASK_XENCONS_IDX(cons++, ring->in)];
	__atomic_store_n(&ring->in_cons, cons, __ATOMIC_RELEASE);
	pv_spin_unlock(&in_lock);
	if (done)
		pv_event_send(port);
	return done;
}

void pv_console_flush(void)
{
	for (int i = 0; ring && i < 100; i++) {
		if (__atomic_load_n(&ring->out_cons, __ATOMIC_ACQUIRE) == ring->out_prod)
			return;
		pv_event_send(port);
		wait_for_reader();
	}
}

void pv_console_wait(void)
{
	while (ring && __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE) == ring->in_cons)
		wait_for_reader();
}
