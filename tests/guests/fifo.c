/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO ABI of event channels: the change to it, many ports, priorities, masks, what a guest may get
 * wrong; and console and xenstore, which go on over it.
 *
 * guest: vcpus=2 memory=24 max_event_channels=131071
 */
#include <stdlib.h>

#include <pv/xenbus.h>

#include "lib/hostile.h"

enum { MANY = 6000 };

static volatile unsigned int upcalls, order[4];

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port;
	if (upcalls < 4)
		order[upcalls] = (uintptr_t)arg;
	__atomic_fetch_add(&upcalls, 1, __ATOMIC_SEQ_CST);
}

static long control(unsigned int vcpu, uint64_t gfn, unsigned int offset)
{
	struct evtchn_init_control op = { .vcpu = vcpu, .control_gfn = gfn, .offset = offset };

	return HYPERVISOR_event_channel_op(EVTCHNOP_init_control, &op);
}

static long expand(uint64_t gfn)
{
	struct evtchn_expand_array op = { .array_gfn = gfn };

	return HYPERVISOR_event_channel_op(EVTCHNOP_expand_array, &op);
}

static void before(void)
{
	uint64_t gfn = pv_gfn(pv_alloc_pages(1));
	struct evtchn_set_priority p = { .port = 1, .priority = 3 };

	tap_is(expand(gfn), -EOPNOTSUPP, "expand_array without FIFO");
	tap_is(HYPERVISOR_event_channel_op(EVTCHNOP_set_priority, &p), -XEN_ENOSYS,
	       "EVTCHNOP_set_priority without FIFO");
	tap_is(control(2, gfn, 0), -ENOENT, "init_control of no vCPU");
	tap_is(control(0, gfn, 4), -EINVAL, "a control block that is not aligned");
	tap_is(control(0, gfn, PV_PAGE_SIZE - 8), -EINVAL, "over the end of its page");
	tap_is(control(0, gfn, 0xfffffff8), -EINVAL, "far beyond it (XSA-107)");
	tap_is(control(0, 0x10000, 0), -EINVAL, "where no memory is");
	tap_is(control(0, ~0UL, 0), -EINVAL, "at the last frame");
}

static void change(void)
{
	long pending = pv_event_bind_ipi(0), masked = pv_event_bind_ipi(0);

	pv_event_handler(pending, on_event, NULL);
	pv_event_handler(masked, on_event, NULL);
	pv_event_mask(masked);
	pv_event_send(masked);
	upcalls = 0;
	tap_is(pv_event_use_fifo(), 0, "the change");
	tap_is(upcalls, 0, "a masked event is not delivered by it");
	tap_ok(pv_event_pending(masked), "but is still pending");
	pv_event_unmask(masked);
	tap_is(upcalls, 1, "and comes when unmasked");
	pv_event_send(pending);
	tap_is(upcalls, 2, "a port of before works");
	pv_event_close(pending);
	pv_event_close(masked);
	tap_is(control(0, pv_gfn(pv_alloc_pages(1)), 0), -EINVAL, "a second control block");
	tap_is(expand(0x10000), -EINVAL, "words where no memory is");
	tap_is(expand(~0UL), -EINVAL, "words at the last frame");
}

static void many(void)
{
	static long ports[MANY];
	unsigned int made = 0, closed = 0;

	for (unsigned int i = 0; i < MANY; i++) {
		ports[i] = pv_event_bind_ipi(0);
		if (ports[i] <= 0 || pv_event_handler(ports[i], on_event, NULL))
			break;
		made++;
	}
	tap_is(made, MANY, "%u ports, more than the 2-level ABI has", MANY);
	upcalls = 0;
	for (unsigned int i = 0; i < made; i++)
		pv_event_send(ports[i]);
	tap_is(upcalls, MANY, "an event on each");
	upcalls = 0;
	for (unsigned int i = 0; i < made; i++) {
		unsigned long flags = pv_irq_save();

		/* Two in a queue, sent while nobody takes them, and each twice. */
		pv_event_send(ports[i]);
		pv_event_send(ports[MANY - 1 - i]);
		pv_event_send(ports[i]);
		pv_irq_restore(flags);
	}
	tap_is(upcalls, 2 * MANY, "two at a time");
	for (unsigned int i = 0; i < made; i++)
		closed += !pv_event_close(ports[i]);
	tap_is(closed, MANY, "all closed");
}

static void priorities(void)
{
	static const unsigned int priority[] = { 7, 15, 0, 3 };
	long ports[4];
	unsigned long flags;

	for (uintptr_t i = 0; i < 4; i++) {
		ports[i] = pv_event_bind_ipi(0);
		pv_event_handler(ports[i], on_event, (void *)(uintptr_t)priority[i]);
		tap_is(pv_event_priority(ports[i], priority[i]), 0, "priority %u", priority[i]);
	}
	upcalls = 0;
	flags = pv_irq_save();
	for (unsigned int i = 0; i < 4; i++)
		pv_event_send(ports[i]);
	pv_irq_restore(flags);
	tap_ok(upcalls == 4 && order[0] == 0 && order[1] == 3 && order[2] == 7 && order[3] == 15,
	       "the more urgent first (%u %u %u %u)", order[0], order[1], order[2], order[3]);
	tap_is(pv_event_priority(ports[0], 16), -EINVAL, "priority 16");
	tap_is(pv_event_priority(0, 1), -EINVAL, "of port 0");
	tap_is(pv_event_priority(0xffffffff, 1), -EINVAL, "of the last port");
	for (unsigned int i = 0; i < 4; i++)
		pv_event_close(ports[i]);
}

static volatile bool stop;

static void wait_for_stop(void *arg)
{
	(void)arg;
	while (!stop)
		pv_relax();
}

static void second_vcpu(void)
{
	long port = pv_event_bind_ipi(1);
	uint64_t until = pv_time_ns() + 5000000000;

	pv_vcpu_start(1, wait_for_stop, NULL);
	upcalls = 0;
	pv_event_handler(port, on_event, NULL);
	pv_event_send(port);
	while (!upcalls && pv_time_ns() < until)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	tap_is(upcalls, 1, "an event for vCPU 1");
	stop = true;
	pv_vcpu_join(1);
	pv_event_close(port);
}

static void pointers(void)
{
	struct evtchn_init_control c = { .vcpu = 99 };
	struct evtchn_expand_array e = { .array_gfn = ~0UL };
	struct evtchn_set_priority p = { .port = 0 };

	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_init_control, c);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_expand_array, e);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_set_priority, p);
}

int main(void)
{
	char *name;

	before();
	change();
	many();
	priorities();
	second_vcpu();
	pointers();
	name = pv_xenbus_read(0, "name");
	tap_ok(name != NULL, "xenstore answers over FIFO events");
	free(name);
	return tap_done();
}
