/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that maps one page at ever new places, each of which needs a second-stage table of its own: there is an end to it
 * long before the machine has no memory, and what the guest needs itself still works.
 */
#include <stdlib.h>

#include <xen/errno.h>
#include <pv/runtime.h>

#include "tap.h"

#define FIRST 0x1000000UL /* 64 GiB: far from everything */
#define TABLE_FRAMES 512UL
#define FAR_TOO_MANY 4096

static long map_at(uint64_t gfn)
{
	struct xen_add_to_physmap a = { .domid = DOMID_SELF,
					.space = XENMAPSPACE_shared_info,
					.gpfn = gfn };

	return HYPERVISOR_memory_op(XENMEM_add_to_physmap, &a);
}

int main(int argc, char **argv)
{
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF, .gpfn = FIRST };
	unsigned int n = 0;
	long rc = 0;

	(void)argc;
	(void)argv;
	while (n < FAR_TOO_MANY && !(rc = map_at(FIRST + n * TABLE_FRAMES)))
		n++;
	tap_is(rc, -XEN_ENOMEM, "the limit of tables");
	tap_ok(n >= 256 && n <= 1024, "it is reached after %u mappings", n);
	tap_is(map_at(FIRST + 1), 0, "beside another one there is still room");
	tap_is(HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &r), 0, "unmapping works");
	tap_is(map_at(FIRST), 0, "and mapping there again");
	return tap_done();
}
