/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No hypercall keeps a hart from its interrupts for long: while long ones run, a timer ticks on the same
 * hart, and its upcall says how late it came. Time in which the hart was another domain's (dom0 printing
 * these lines) is no delay of the hypercall's and is taken off. Needs instructions as the clock (icount).
 *
 * guest: memory=64
 * harts: 1
 * icount
 * timeout: 120
 */
#include <stdlib.h>
#include <string.h>

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#include "lib/reservation.h"
#include "tap.h"

#define TICK_NS 130000ULL /* shares no factor with what it falls into */
#define LIMIT_NS 100000

static evtchn_port_t port;
static volatile uint64_t due, worst, ticks, stolen;

/* For how long this vCPU has been ready without a hart, ns. */
static uint64_t waited(void)
{
	struct vcpu_runstate_info info = { 0 };

	HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info);
	return info.time[RUNSTATE_runnable];
}

static void arm(void)
{
	struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = pv_time_ns() + TICK_NS };

	stolen = waited();
	due = t.timeout_abs_ns;
	HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
}

static void on_tick(evtchn_port_t p, void *arg)
{
	uint64_t late = pv_time_ns() - due, others = waited() - stolen;

	(void)p, (void)arg;
	late -= others < late ? others : late;
	ticks++;
	if (late > worst)
		worst = late;
	arm();
}

static void measure(const char *what, void (*fn)(void))
{
	uint64_t start = pv_time_ns();

	worst = ticks = 0;
	for (unsigned int i = 0; i < 8 || (ticks < 40 && pv_time_ns() - start < 50000000); i++)
		fn();
	tap_ok(ticks >= 8 && worst <= LIMIT_NS, "%s: a tick is %llu us late at most (%llu ticks)",
	       what, (unsigned long long)worst / 1000, (unsigned long long)ticks);
}

static void nothing(void)
{
	for (volatile unsigned int i = 0; i < 100000; i++)
		;
}

/* ---- what takes long ---- */

enum { PAGES = 2048, COPIES = 2000 };

static xen_pfn_t frames[PAGES];
static uint64_t big; /* gfn of 4 MiB, aligned to 2 MiB */

static void pages(void)
{
	for (unsigned int i = 0; i < 512; i++)
		frames[i] = big + i;
	reservation(XENMEM_decrease_reservation, DOMID_SELF, frames, 512, 0);
	reservation(XENMEM_populate_physmap, DOMID_SELF, frames, 512, 0);
}

static void extents(void)
{
	frames[0] = big;
	frames[1] = big + 512;
	reservation(XENMEM_decrease_reservation, DOMID_SELF, frames, 2, 9);
	reservation(XENMEM_populate_physmap, DOMID_SELF, frames, 2, 9);
}

/* The last page is in the way: nothing is mapped and taken back in vain. */
static void late(void)
{
	xen_pfn_t at = big;

	for (unsigned int i = 0; i < 255; i++)
		frames[i] = big + i;
	reservation(XENMEM_decrease_reservation, DOMID_SELF, frames, 255, 0);
	reservation(XENMEM_populate_physmap, DOMID_SELF, &at, 1, 8);
	reservation(XENMEM_populate_physmap, DOMID_SELF, frames, 255, 0);
}

static void copies(void)
{
	static struct gnttab_copy ops[COPIES];
	static char *page;

	if (!page)
		page = pv_alloc_pages(2);
	for (unsigned int i = 0; i < COPIES; i++) {
		ops[i] = (struct gnttab_copy){ .len = PV_PAGE_SIZE };
		ops[i].source.domid = ops[i].dest.domid = DOMID_SELF;
		ops[i].source.u.gmfn = pv_gfn(page);
		ops[i].dest.u.gmfn = pv_gfn(page) + 1;
	}
	HYPERVISOR_grant_table_op(GNTTABOP_copy, ops, COPIES);
}

static void calls(void)
{
	static struct multicall_entry ops[COPIES];

	for (unsigned int i = 0; i < COPIES; i++) {
		ops[i].op = __HYPERVISOR_xen_version;
		ops[i].args[0] = XENVER_version;
	}
	HYPERVISOR_multicall(ops, COPIES);
}

/* Grants to oneself: DOMID_SELF stands for nobody in a grant entry. */
static domid_t self(void)
{
	static long id = -1;

	if (id < 0)
		id = pv_xenbus_read_number(0, "domid");
	return id;
}

static void maps(void)
{
	static struct gnttab_map_grant_ref map[PAGES];
	static struct gnttab_unmap_grant_ref unmap[PAGES];
	static char *page;
	static long ref = -1;

	if (ref < 0) {
		page = pv_alloc_pages(1);
		ref = pv_grant_access(self(), pv_gfn(page), false);
	}
	for (unsigned int i = 0; i < PAGES; i++)
		map[i] = (struct gnttab_map_grant_ref){ .host_addr = 0x50000000 + i * PV_PAGE_SIZE,
							.flags = GNTMAP_host_map,
							.ref = ref,
							.dom = self() };
	HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, map, PAGES);
	for (unsigned int i = 0; i < PAGES; i++)
		unmap[i] = (struct gnttab_unmap_grant_ref){ .host_addr = map[i].host_addr,
							    .handle = map[i].handle };
	HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, unmap, PAGES);
}

static void table(void)
{
	static unsigned int frames_wanted;
	struct gnttab_setup_table op = { .dom = DOMID_SELF };

	frames_wanted = frames_wanted ? frames_wanted : 8;
	op.nr_frames = frames_wanted += 8;
	HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &op, 1);
	nothing();
}

static void ports(void)
{
	static evtchn_port_t list[1000];

	for (unsigned int i = 0; i < 1000; i++)
		list[i] = pv_event_bind_ipi(0);
	for (unsigned int i = 0; i < 1000; i++)
		HYPERVISOR_event_channel_op(EVTCHNOP_close, &list[i]);
}

static void poll(void)
{
	static evtchn_port_t list[128];
	struct sched_poll op = { .nr_ports = 128, .timeout = 1 };

	for (unsigned int i = 0; i < 128; i++)
		list[i] = 1;
	set_xen_guest_handle(op.ports, list);
	HYPERVISOR_sched_op(SCHEDOP_poll, &op);
}

int main(void)
{
	char *memory = pv_alloc_pages(512 * 3);

	big = (pv_gfn(memory) + 511) & -512UL;
	port = pv_event_bind_virq(VIRQ_TIMER, 0);
	pv_event_handler(port, on_tick, NULL);
	arm();
	measure("nothing", nothing);
	measure("decrease_reservation and populate_physmap, 512 pages", pages);
	measure("the same, 2 extents of 2 MiB", extents);
	measure("an extent of 1 MiB whose last page is in the way", late);
	measure("grant copy, 2000 pages", copies);
	measure("multicall of 2000", calls);
	measure("grant map and unmap, 2048 pages", maps);
	measure("setup_table, 8 frames more each time", table);
	measure("event channels, 1000 opened and closed", ports);
	measure("poll of 128 ports", poll);
	return tap_done();
}
