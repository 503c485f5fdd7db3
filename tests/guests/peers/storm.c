/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hostile neighbour of isolation.c: one storm after another (storm.h), by the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#include "../lib/reservation.h"
#include "storm.h"

enum { BATCH = 64 };

static domid_t self;
static evtchn_port_t own, neighbour, store;
static char *pages;

static void loop(void)
{
	for (volatile unsigned int i = 0; i < 1000; i++)
		;
}

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port, (void)arg;
}

static void events(void)
{
	pv_event_send(own);
	pv_event_send(neighbour);
}

static void events_to_dom0(void)
{
	pv_event_send(store);
}

static void hypercalls(void)
{
	static struct multicall_entry calls[BATCH];
	static unsigned int nr;

	for (unsigned int i = 0; i < BATCH; i++) {
		nr = nr * 1103515245 + 12345;
		/* Any but those that stop it: sched_op, vcpu_op */
		calls[i].op = nr >> 16 & 63;
		if (calls[i].op == __HYPERVISOR_sched_op || calls[i].op == __HYPERVISOR_vcpu_op ||
		    calls[i].op == __HYPERVISOR_event_channel_op ||
		    calls[i].op == __HYPERVISOR_console_io)
			calls[i].op = __HYPERVISOR_xen_version;
		calls[i].args[0] = nr >> 8 & 31;
		calls[i].args[1] = (uintptr_t)pages;
		hypercall(calls[i].op, calls[i].args[0], calls[i].args[1], 0, 0, 0);
	}
	HYPERVISOR_multicall(calls, BATCH);
}

static void hypervisor_console(void)
{
	static char text[128];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\n';
	pv_early_write(text, sizeof(text));
}

static void console_ring(void)
{
	printf("a line that nobody asked for, again and again and again\n");
}

static void grants(void)
{
	static struct gnttab_map_grant_ref map[BATCH];
	static struct gnttab_unmap_grant_ref unmap[BATCH];
	static long ref = -1;

	if (ref < 0)
		ref = pv_grant_access(self, pv_gfn(pages), false);
	for (unsigned int i = 0; i < BATCH; i++)
		map[i] = (struct gnttab_map_grant_ref){ .host_addr = 0x50000000 + i * PV_PAGE_SIZE,
							.flags = GNTMAP_host_map,
							.ref = ref,
							.dom = self };
	HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, map, BATCH);
	for (unsigned int i = 0; i < BATCH; i++)
		unmap[i] = (struct gnttab_unmap_grant_ref){ .host_addr = map[i].host_addr,
							    .handle = map[i].handle };
	HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, unmap, BATCH);
}

static void memory(void)
{
	xen_pfn_t list[BATCH], first = pv_gfn(pages);

	for (unsigned int i = 0; i < BATCH; i++)
		list[i] = first + 512 + i;
	reservation(XENMEM_decrease_reservation, DOMID_SELF, list, BATCH, 0);
	reservation(XENMEM_populate_physmap, DOMID_SELF, list, BATCH, 0);
	list[0] = first;
	reservation(XENMEM_decrease_reservation, DOMID_SELF, list, 1, 9);
	reservation(XENMEM_populate_physmap, DOMID_SELF, list, 1, 9);
}

static void (*const rage[NR_STORMS])(void) = {
	loop, events, events_to_dom0, hypercalls, hypervisor_console, console_ring, grants, memory
};

int main(void)
{
	char *peer = pv_xenbus_await("data/peers", 20000000000), path[64], *text;
	unsigned long long start = 0;
	unsigned long port = 0;
	struct xen_hvm_param param = { .domid = DOMID_SELF, .index = HVM_PARAM_STORE_EVTCHN };

	snprintf(path, sizeof(path), "/local/domain/%s/data/storm", peer);
	text = pv_xenbus_await(path, 20000000000);
	if (!text || sscanf(text, "%llu %lu", &start, &port) != 2 || pv_time_ns() > start)
		pv_panic("no start");
	self = pv_xenbus_read_number(0, "domid");
	HYPERVISOR_hvm_op(HVMOP_get_param, &param);
	store = param.value;
	own = pv_event_bind_ipi(0);
	pv_event_handler(own, on_event, NULL);
	neighbour = pv_event_bind_interdomain(strtoul(peer, NULL, 10), port);
	pages = (char *)(((uintptr_t)pv_alloc_pages(3 * 512) + 0x1fffff) & -0x200000UL);
	for (unsigned int i = 0; i < NR_STORMS; i++)
		while (pv_time_ns() < start + (i + 1) * TURN_NS)
			rage[i]();
	return 0;
}
