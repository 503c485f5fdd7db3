/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of a domain's P2M that come from hypercalls; core/memory.c.
 */
#ifndef PAVISE_MEMORY_H
#define PAVISE_MEMORY_H

#include <domain.h>

/*
 * Removes what is mapped at gfn if hypercalls of this domain may: drops a foreign mapping's
 * reference. -ENOENT: nothing there;
 * -EBUSY: RAM or a granted page, which have operations of their own.
 */
int memory_unmap_lent(struct domain *d, gfn_t gfn);

#endif
