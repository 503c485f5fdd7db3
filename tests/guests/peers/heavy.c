/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain that has as much as one may have: pending ports before FIFO and before each page of words, ports, grant frames,
 * mappings, second-stage tables. test_latency.py looks how long the hypervisor takes for each step, and for its end.
 */
#include <stdlib.h>

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#define PAGES_OF_WORDS 128
#define PORTS 20000
#define PORTS_2L 4000
#define MAPS 30000
#define MAP_AT 0x50000000UL

static evtchn_port_t bind(void)
{
	struct evtchn_bind_ipi op = { .vcpu = 0 };

	if (HYPERVISOR_event_channel_op(EVTCHNOP_bind_ipi, &op))
		pv_panic("no port");
	return op.port;
}

static void events(void)
{
	struct evtchn_init_control control = { .control_gfn = pv_gfn(pv_alloc_pages(1)) };
	struct evtchn_expand_array expand;
	struct evtchn_send send;
	unsigned int n;

	for (n = 0; n < PORTS_2L; n++) {
		send.port = bind();
		HYPERVISOR_event_channel_op(EVTCHNOP_send, &send);
	}
	/* The runtime's own ports are in the first page: it must not take ours for its. */
	csr_clear(sstatus, SSTATUS_SIE);
	if (HYPERVISOR_event_channel_op(EVTCHNOP_init_control, &control))
		pv_panic("init_control");
	for (; n < PORTS; n++) {
		send.port = bind();
		HYPERVISOR_event_channel_op(EVTCHNOP_send, &send);
	}
	for (unsigned int i = 0; i < PAGES_OF_WORDS; i++) {
		expand.array_gfn = pv_gfn(pv_alloc_pages(1));
		if (HYPERVISOR_event_channel_op(EVTCHNOP_expand_array, &expand))
			pv_panic("expand_array");
	}
}

static void grants(domid_t self)
{
	struct gnttab_setup_table table = { .dom = DOMID_SELF, .nr_frames = 64 };
	struct gnttab_map_grant_ref *map = calloc(MAPS, sizeof(*map));
	long ref = pv_grant_access(self, pv_gfn(pv_alloc_pages(1)), false);

	HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &table, 1);
	for (unsigned int i = 0; i < MAPS; i++)
		map[i] = (struct gnttab_map_grant_ref){ .host_addr = MAP_AT + i * PV_PAGE_SIZE,
							.flags = GNTMAP_host_map,
							.ref = ref,
							.dom = self };
	HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, map, MAPS);
	if (map[MAPS - 1].status)
		pv_panic("map: %d", map[MAPS - 1].status);
}

int main(void)
{
	domid_t self = pv_xenbus_read_number(0, "domid");

	grants(self);
	pv_xenbus_printf(0, "data/loaded", "1");
	/* Xenstore answers come by events: nothing of it from here on. */
	events();
	pv_early_write("heavy: done\n", 12);
	for (;;)
		HYPERVISOR_sched_op(SCHEDOP_block, NULL);
}
