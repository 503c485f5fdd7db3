/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of a domain's P2M that come from hypercalls; core/memory.c.
 */
#ifndef PAVISE_MEMORY_H
#define PAVISE_MEMORY_H

#include <domain.h>

/*
 * Removes what is mapped at gfn if hypercalls of this domain may, and drops the mapping's reference. RAM in whose place it
 * was comes back. -ENOENT: nothing is there; -EBUSY: RAM or a granted page, which have operations of their own, or a
 * device. Takes page_lock.
 */
int memory_unmap_lent(struct domain *d, gfn_t gfn);

/*
 * A change of d's pages or P2M that another domain asks for stands between these two. Destruction
 * releases pages and tears the P2M down only when none is under way: else a page that was released
 * meanwhile, and may be another domain's by now, would be released a second time. False: d is dying,
 * do nothing. Takes page_lock.
 */
bool memory_op_begin(struct domain *d);
void memory_op_end(struct domain *d);

/*
 * The page of RAM that d has at gfn, or would have if not for a lent one in its place, with a reference. NULL: none. For who
 * called memory_op_begin(). Takes page_lock.
 */
struct page *memory_get_ram(struct domain *d, gfn_t gfn);
/*
 * The page at gfn that is lent to d or another domain's, to be compared only; NULL: none. *hides: there is RAM under it. As
 * memory_get_ram().
 */
const struct page *memory_lent_at(struct domain *d, gfn_t gfn, bool *hides);

#endif
