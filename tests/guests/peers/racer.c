/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other domain of litmus.c: sends one event for each new number in a page of the first one's.
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/event.h>
#include <pv/xenbus.h>

#define PAGE 0x50000000UL

int main(void)
{
	char *peer = pv_xenbus_await("data/peers", 20000000000), path[64], *text;
	struct gnttab_map_grant_ref map = { .host_addr = PAGE, .flags = GNTMAP_host_map };
	volatile unsigned int *round_nr = (volatile unsigned int *)PAGE;
	unsigned int ref, theirs, seen = 0;
	long port;

	snprintf(path, sizeof(path), "/local/domain/%s/data/race", peer);
	text = pv_xenbus_await(path, 20000000000);
	if (!text || sscanf(text, "%u %u", &ref, &theirs) != 2)
		pv_panic("no race");
	map.dom = strtoul(peer, NULL, 10);
	map.ref = ref;
	HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, &map, 1);
	port = pv_event_bind_interdomain(map.dom, theirs);
	if (map.status || port < 0)
		pv_panic("no page (%d) or port (%ld)", map.status, port);
	pv_event_send(port);
	for (;;) {
		for (unsigned int n = 0; *round_nr == seen; n++) {
			/* On fewer harts than vCPUs the others must have their turns. */
			if (n > 200)
				HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
		}
		seen = *round_nr;
		for (unsigned int n = seen * 3 % 101; n--;)
			pv_relax();
		pv_event_send(port);
	}
}
