/* SPDX-License-Identifier: BSD-2-Clause */
/* XENMEM_{increase,decrease}_reservation and XENMEM_populate_physmap, as several families make them. */
#ifndef RESERVATION_H
#define RESERVATION_H

#include <pv/hypercall.h>

#include <xen/memory.h>

/* cmd for n extents of 2^order pages from the list; the hypercall's result: how many were done. */
static inline long reservation(unsigned int cmd, domid_t domid, xen_pfn_t *list, unsigned long n,
			       unsigned int order)
{
	struct xen_memory_reservation r = { .nr_extents = n,
					    .extent_order = order,
					    .domid = domid };

	set_xen_guest_handle(r.extent_start, list);
	return HYPERVISOR_memory_op(cmd, &r);
}

#endif
