/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains that are forked, and what their harts do with memory that is an image's.
 */
#ifndef TEST_FORKS_H
#define TEST_FORKS_H

#include <image.h>

#include "host.h"

static inline long fork_domain(domid_t child, domid_t parent)
{
	struct xen_mem_sharing_op a = { .op = XENMEM_sharing_op_fork, .domain = child };

	a.u.fork.parent_domain = parent;
	return MEMORY(XENMEM_sharing_op, &a);
}

/* A domain without memory, to become a copy of p. */
static inline struct domain *make_child(domid_t id, const struct domain *p)
{
	struct domain *d = make_paused_domain(id, 1, 0);

	d->max_pages = p->max_pages;
	return d;
}

static inline struct domain *must_fork(domid_t id, struct domain *p)
{
	struct domain *d = make_child(id, p);

	AS(dom0);
	assert_int_equal(fork_domain(id, p->id), 0);
	assert_null(d->fork);
	return d;
}

/* A hart of d's stores there, by whatever faults it takes. */
static inline void store(struct domain *d, gfn_t gfn, u64 value)
{
	for (unsigned int n = 0; !host_touch(d, gfn, true); n++) {
		assert_true(n < 2);
		assert_int_equal(image_unshare(d, gfn), 0);
	}
	*(u64 *)guest_page(d, gfn) = value;
}

static inline u64 load(struct domain *d, gfn_t gfn)
{
	assert_true(host_touch(d, gfn, false));
	return *(u64 *)guest_page(d, gfn);
}

static inline bool is_shared(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;

	return p2m_lookup(d, gfn, &e) && e.type == P2M_RAM &&
	       mfn_to_page(e.mfn)->state == PAGE_SHARED;
}

#define LARGE_GFN 0x40000UL /* u1 has superpages here: the first frames of a GiB */

static inline void give_large(unsigned int n)
{
	u1->max_pages = U_PAGES + 3 * 512 + 64;
	AS(u1);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(populate(DOMID_SELF, LARGE_GFN + i * 512, 9), 1);
	AS(dom0);
}

static inline u64 pattern(gfn_t gfn)
{
	return gfn * 0x9e3779b97f4a7c15;
}

/* u1's memory has its pattern everywhere. */
static inline void fill(unsigned int larges)
{
	give_large(larges);
	for (gfn_t i = 0; i < U_PAGES; i++)
		store(u1, RAM_GFN + i, pattern(RAM_GFN + i));
	for (gfn_t i = 0; i < larges * 512; i++)
		store(u1, LARGE_GFN + i, pattern(LARGE_GFN + i));
}

#endif
