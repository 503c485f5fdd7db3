// SPDX-License-Identifier: BSD-2-Clause
/*
 * memory_op: reservations, mappings of lent and foreign frames, resources, dom0's own frames.
 */
#include <memory.h>

#include "host.h"

/* dom0 maps a frame of another at gfn; returns the item's error. */
static int foreign(domid_t dom, gfn_t theirs, gfn_t gfn)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = dom };
	xen_ulong_t idx = theirs;
	xen_pfn_t at = gfn;
	int err = 77;

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &at);
	set_xen_guest_handle(b.errs, &err);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), 0);
	return err;
}

static u32 refs(struct domain *d, gfn_t gfn)
{
	return mfn_to_page(arch_virt_to_mfn(guest_page(d, gfn)))->count;
}

static void populate_and_decrease(void **state)
{
	u64 before = heap_free_pages();
	xen_pfn_t list[8];
	domid_t self = DOMID_SELF;

	for (unsigned int i = 0; i < 8; i++)
		list[i] = HOLE + 3 * i;
	AS(u1);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, list, 8, 0), 8);
	assert_int_equal(MEMORY(XENMEM_current_reservation, &self), U_PAGES + 8);
	assert_int_equal(MEMORY(XENMEM_maximum_reservation, &self), U_PAGES + 1024);
	assert_int_equal(MEMORY(XENMEM_maximum_gpfn, &self), RAM_GFN + U_PAGES - 1);
	assert_int_equal(heap_free_pages(), before - 8);
	memset(guest_page(u1, HOLE), 0xcc, PAGE_SIZE);
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, list, 8, 0), 8);
	assert_int_equal(heap_free_pages(), before);
	assert_int_equal(u1->tot_pages, U_PAGES);
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, list, 8, 0),
			 0); /* nothing there */
}

/* What fails ends the loop: the number done before is the result. */
static void counts_of_what_was_done(void **state)
{
	xen_pfn_t list[] = { HOLE, HOLE + 1, RAM_GFN, HOLE + 2 };

	AS(u1);
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, list, 4, 0), 2);
	assert_int_equal(u1->tot_pages, U_PAGES + 2);
	list[1] = HOLE + 9;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, list, 4, 0), 1);
	assert_int_equal(u1->tot_pages, U_PAGES + 1);
	u1->max_pages = U_PAGES + 3;
	for (unsigned int i = 0; i < 4; i++)
		list[i] = HOLE + 20 + i;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, list, 4, 0), 2);
	/* A fault after the first. */
	host.copies_left = 2;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, list, 2, 0), 1);
	host.copies_left = 0;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, list, 2, 0), -EFAULT);
	host.copies_left = -1;
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, NULL, 2, 0), 0);
	assert_int_equal(reserve(XENMEM_increase_reservation, DOMID_SELF, list, 2, 0), 0);
}

static void xsa_31_158_orders(void **state)
{
	AS(u1);
	assert_int_equal(populate(DOMID_SELF, HOLE, 9), 1);
	assert_int_equal(populate(DOMID_SELF, HOLE + 512, 10), 0); /* too large for a guest */
	assert_int_equal(populate(DOMID_SELF, HOLE + 512, 18), 0);
	assert_int_equal(populate(DOMID_SELF, HOLE + 512, 63), 0);
	assert_int_equal(populate(DOMID_SELF, HOLE + 512, ~0U), 0);
	assert_int_equal(decrease(DOMID_SELF, HOLE, 10), 0);
	assert_int_equal(decrease(DOMID_SELF, HOLE, ~0U), 0);
	assert_int_equal(u1->tot_pages, U_PAGES + 512);
	assert_int_equal(populate(DOMID_SELF, HOLE + 513, 1), 0); /* not aligned */
	assert_int_equal(populate(DOMID_SELF, ~0UL, 0), 0);
	assert_int_equal(populate(DOMID_SELF, 1UL << 29, 0), 0); /* beyond 41 bits */
	assert_int_equal(decrease(DOMID_SELF, ~0UL, 0), 0);
	assert_int_equal(decrease(DOMID_SELF, ~0UL - 1, 3), 0);
	AS(dom0);
	assert_int_equal(populate(1, HOLE + 1024, 19), 0);
	u1->max_pages = 1 << 20;
	assert_int_equal(populate(1, 1 << 18, 18), 0); /* so much there is not */
	assert_int_equal(u1->tot_pages, U_PAGES + 512);
	assert_int_equal(decrease(1, HOLE, 9), 1); /* a superpage, frame by frame */
	assert_int_equal(u1->tot_pages, U_PAGES);
	host.splits_left = 0;
	assert_int_equal(populate(1, HOLE, 9), 1);
	assert_int_equal(decrease(1, HOLE, 0), 0); /* no memory to split it: stays whole */
	assert_int_equal(u1->tot_pages, U_PAGES + 512);
}

static void superpages_where_alignment_allows(void **state)
{
	struct p2m_entry e;

	u1->max_pages = 4096;
	AS(dom0);
	assert_int_equal(populate(1, HOLE, 10), 1);
	assert_true(p2m_lookup(u1, HOLE + 700, &e));
	assert_int_equal(e.order, 9);
	assert_true(IS_ALIGNED(e.mfn - 700, 512));
	assert_int_equal(populate(1, HOLE + 1024, 3), 1);
	assert_true(p2m_lookup(u1, HOLE + 1024 + 7, &e));
	assert_int_equal(e.order, 0);
	assert_int_equal(decrease(1, HOLE + 5, 0), 1);
	assert_false(p2m_lookup(u1, HOLE + 5, &e));
	assert_true(p2m_lookup(u1, HOLE + 6, &e));
	assert_int_equal(e.order, 0);
	assert_true(p2m_lookup(u1, HOLE + 512, &e));
	assert_int_equal(e.order, 9);
}

static void map_instead(void)
{
	xen_pfn_t gfn = RAM_GFN;
	u32 handle;

	assert_int_equal(decrease(DOMID_SELF, gfn, 0), 1);
	assert_int_equal(map_grant(2, 1, gfn, 0, &handle), GNTST_okay);
}

/* Just before the unmap, another vCPU puts a granted page there: the granter must not lose it. */
static void xsa_212_decrease_races_with_map(void **state)
{
	struct page *theirs = mfn_to_page(arch_virt_to_mfn(guest_page(u2, RAM_GFN)));

	grant_access(u2, 1, 1, RAM_GFN, 0);
	AS(u1);
	host.before_unmap = map_instead;
	decrease(DOMID_SELF, RAM_GFN, 0);
	assert_int_equal(theirs->state, PAGE_OWNED);
	assert_ptr_equal(theirs->owner, u2);
	assert_int_equal(theirs->alloc_ref, 1);
	assert_int_equal(u2->tot_pages, U_PAGES);
	unmap_grant(0, RAM_GFN);
	assert_int_equal(theirs->count, 1);
	assert_int_equal(grant_entry(u2, 1)->flags, GTF_permit_access);
}

static void continuation(void **state)
{
	struct xen_memory_reservation r = { .nr_extents = 100, .domid = DOMID_SELF };
	xen_pfn_t list[100];

	for (unsigned int i = 0; i < 100; i++)
		list[i] = HOLE + i;
	AS(u1);
	host.preempt_every = 4;
	assert_int_equal(reserve(XENMEM_populate_physmap, DOMID_SELF, list, 100, 0), 100);
	assert_in_range(host.restarts, 20, 40);
	assert_int_equal(u1->tot_pages, U_PAGES + 100);
	assert_int_equal(reserve(XENMEM_decrease_reservation, DOMID_SELF, list, 100, 0), 100);
	assert_int_equal(u1->tot_pages, U_PAGES);
	/* Progress that no one made, as a guest may claim. */
	set_xen_guest_handle(r.extent_start, list);
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_populate_physmap | 101 << 6, U(&r)),
			 -EINVAL);
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_populate_physmap | ~0UL << 6, U(&r)),
			 -EINVAL);
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_populate_physmap | 100 << 6, U(&r)),
			 100);
	r.nr_extents = ~0UL;
	assert_int_equal(MEMORY(XENMEM_populate_physmap, &r), -EINVAL);
}

/* Taking back a large extent stops inside it, and an unaligned or broken one ends where it breaks. */
static void stops_inside_an_extent(void **state)
{
	struct xen_memory_reservation r = { .nr_extents = 2, .extent_order = 9, .domid = 1 };
	xen_pfn_t at[2] = { 0x60000, 0x60200 };

	set_xen_guest_handle(r.extent_start, at);
	AS(dom0);
	assert_int_equal(MEMORY(XENMEM_populate_physmap, &r), 2);
	assert_int_equal(u1->tot_pages, U_PAGES + 1024);
	host.preempt_every = 1;
	assert_int_equal(MEMORY(XENMEM_decrease_reservation, &r), 2);
	assert_int_equal(host.restarts, 1023);
	assert_int_equal(u1->tot_pages, U_PAGES);
	host.preempt_every = 0;
	assert_int_equal(MEMORY(XENMEM_populate_physmap, &r), 2);
	host.restarts = 0;
	/* The last page of the second one is gone: one whole extent is what was done. */
	r.nr_extents = 1;
	r.extent_order = 0;
	at[0] = 0x603ff;
	assert_int_equal(MEMORY(XENMEM_decrease_reservation, &r), 1);
	r.nr_extents = 2;
	r.extent_order = 9;
	at[0] = 0x60000;
	host.preempt_every = 7;
	assert_int_equal(MEMORY(XENMEM_decrease_reservation, &r), 1);
	assert_int_equal(u1->tot_pages, U_PAGES);
	host.preempt_every = 0;
	/* Progress that no one made. */
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_decrease_reservation | 1024 << 6, U(&r)),
			 2);
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_decrease_reservation | 1025 << 6, U(&r)),
			 -EINVAL);
	r.nr_extents = 1UL << 49;
	assert_int_equal(MEMORY(XENMEM_decrease_reservation, &r), -EINVAL);
}

static void another_domains_id(void **state)
{
	xen_pfn_t gfn = HOLE;
	domid_t other = 2, none = 99;

	AS(u1);
	assert_int_equal(reserve(XENMEM_populate_physmap, 2, &gfn, 1, 0), -EPERM);
	assert_int_equal(reserve(XENMEM_decrease_reservation, 2, &gfn, 1, 0), -EPERM);
	assert_int_equal(reserve(XENMEM_decrease_reservation, 0, &gfn, 1, 0), -EPERM);
	assert_int_equal(reserve(XENMEM_populate_physmap, 99, &gfn, 1, 0), -ESRCH);
	assert_int_equal(MEMORY(XENMEM_current_reservation, &other), -EPERM);
	assert_int_equal(MEMORY(XENMEM_maximum_reservation, &other), -EPERM);
	assert_int_equal(MEMORY(XENMEM_maximum_gpfn, &other), -EPERM);
	assert_int_equal(MEMORY(XENMEM_maximum_gpfn, &none), -ESRCH);
	assert_int_equal(add(2, XENMAPSPACE_shared_info, 0, HOLE), -EPERM);
	assert_int_equal(remove_gfn(2, RAM_GFN), -EPERM);
	assert_int_equal(u2->refs, 2);
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, &gfn, 1, 0),
			 1); /* one's own by number */
	AS(dom0);
	assert_int_equal(MEMORY(XENMEM_current_reservation, &other), U_PAGES);
	assert_int_equal(MEMORY(XENMEM_current_reservation, &none), -ESRCH);
}

static void shared_info_and_grant_frames(void **state)
{
	struct page *pg = virt_to_page(u1->shared_info);

	AS(u1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 0x39002), 0);
	assert_ptr_equal(guest_page(u1, 0x39002), u1->shared_info);
	assert_int_equal(pg->count, 2);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 0x39002),
			 0); /* again: replaced */
	assert_int_equal(pg->count, 2);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 1, HOLE), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, ~0UL), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, 1UL << 29), -EINVAL);
	assert_int_equal(pg->count, 2);
	for (unsigned long i = 0; i < 4; i++)
		assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, i, 0x38000 + i), 0);
	assert_ptr_equal(guest_page(u1, 0x38001), grant_entry(u1, 512));
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 4, 0x38004), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, ~0UL, 0x38004), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, XENMAPIDX_grant_table_status,
			     0x38004),
			 -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_gmfn, RAM_GFN, 0x38004), -EOPNOTSUPP);
	assert_int_equal(add(DOMID_SELF, 99, 0, 0x38004), -EOPNOTSUPP);
	/* Lent frames are no RAM: not to be decreased, not to be registered. */
	assert_int_equal(decrease(DOMID_SELF, 0x39002, 0), 0);
	assert_int_equal(remove_gfn(DOMID_SELF, 0x39002), 0);
	assert_int_equal(pg->count, 1);
	assert_int_equal(remove_gfn(DOMID_SELF, 0x39002), -ENOENT);
	assert_int_equal(remove_gfn(DOMID_SELF, RAM_GFN), -EINVAL);
	assert_int_equal(remove_gfn(DOMID_SELF, ~0UL), -ENOENT);
	/* The rest is mapped when the domain dies (world_down). */
}

/* Is the frame mapped as RAM again, by that page and with that word in it? */
static void check_ram(struct domain *d, gfn_t gfn, mfn_t mfn, u64 word)
{
	struct p2m_entry e;

	assert_true(p2m_lookup(d, gfn, &e));
	assert_int_equal(e.mfn, mfn);
	assert_int_equal(e.type, P2M_RAM);
	assert_int_equal(e.access, P2M_RWX);
	assert_int_equal(*(u64 *)guest_page(d, gfn), word);
	assert_int_equal(mfn_to_page(mfn)->count, 1);
}

/* What is lent takes the place of d's RAM at gfn, one after the other, and gives it back. */
static void ram_has_its_place_again(struct domain *d, gfn_t gfn)
{
	mfn_t mfn = page_to_mfn(virt_to_page(guest_page(d, gfn)));
	u64 pages = d->tot_pages;
	struct p2m_entry e;

	AS(d);
	*(u64 *)guest_page(d, gfn) = 0x1234567890;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, gfn), 0);
	assert_ptr_equal(guest_page(d, gfn), d->shared_info);
	assert_true(p2m_lookup(d, gfn, &e));
	assert_int_equal(e.order, 0);
	assert_int_equal(e.access, P2M_RW);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, gfn), 0); /* again */
	assert_int_equal(virt_to_page(d->shared_info)->count, 2);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, gfn), 0);
	assert_int_equal(virt_to_page(d->shared_info)->count, 1);
	assert_ptr_equal(guest_page(d, gfn), grant_entry(d, 0));
	assert_int_equal(remove_gfn(DOMID_SELF, gfn), 0);
	check_ram(d, gfn, mfn, 0x1234567890);
	assert_int_equal(remove_gfn(DOMID_SELF, gfn), -EINVAL);
	assert_int_equal(d->tot_pages, pages);
	/* What failed before works now: nothing is remembered. */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, gfn), 0);
	assert_int_equal(remove_gfn(DOMID_SELF, gfn), 0);
	check_ram(d, gfn, mfn, 0x1234567890);
}

static void ram_in_whose_place_something_is_lent(void **state)
{
	struct p2m_entry e;

	ram_has_its_place_again(u1, RAM_GFN + 3);
	AS(u1);
	assert_int_equal(populate(DOMID_SELF, HOLE, 9), 1);
	host.splits_left = 0;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, HOLE + 7), -ENOMEM);
	host.splits_left = -1;
	assert_true(p2m_lookup(u1, HOLE + 7, &e));
	assert_int_equal(e.order, 9);
	assert_int_equal(virt_to_page(u1->shared_info)->count, 1);
	ram_has_its_place_again(u1, HOLE + 7);
	ram_has_its_place_again(dom0, page_to_mfn(list_first(&dom0->page_list, struct page, list)));
}

/* While it is hidden it is neither to be had nor to be lost, and each lent page hides one. */
static void hidden_ram_is_safe(void **state)
{
	mfn_t mfn = page_to_mfn(virt_to_page(guest_page(u1, RAM_GFN)));
	u64 free;
	u32 handle;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	grant_access(u1, 2, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 1, HOLE, 0, &handle), GNTST_okay);
	AS(u1);
	*(u64 *)guest_page(u1, RAM_GFN) = 77;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN), 0);
	free = heap_free_pages();
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN, 0), 0);
	assert_int_equal(populate(DOMID_SELF, RAM_GFN, 0), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 1), -EBUSY);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, HOLE), 0); /* hides nothing */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, RAM_GFN + 1), 0);
	/* shared_info may not come there: it hides another. */
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 1), -EBUSY);
	assert_ptr_equal(guest_page(u1, RAM_GFN + 1), grant_entry(u1, 0));
	AS(u2);
	assert_int_equal(map_grant(1, 2, HOLE + 1, 0, NULL), GNTST_bad_page);
	AS(dom0);
	assert_int_equal(foreign(1, RAM_GFN, 0x1000), -EINVAL);
	assert_int_equal(heap_free_pages(), free);
	/* Whoever had it before still has. */
	assert_int_equal(*(u64 *)guest_page(u2, HOLE), 77);
	AS(u2);
	assert_int_equal(unmap_grant(handle, HOLE), GNTST_okay);
	AS(u1);
	assert_int_equal(remove_gfn(DOMID_SELF, HOLE), 0);
	assert_int_equal(remove_gfn(DOMID_SELF, RAM_GFN), 0);
	check_ram(u1, RAM_GFN, mfn, 77);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 2), 0);
	/* Two are hidden when the domain dies: world_down() looks for them. */
}

static struct page *given_up;

/* Of two vCPUs, one gives the page up while the other has something lent take its place. The rest waits for page_lock. */
static void give_it_up(void)
{
	struct p2m_entry e;

	assert_int_equal(p2m_unmap(u1, RAM_GFN, BIT(P2M_RAM), &e), 0);
	given_up = mfn_to_page(e.mfn);
}

static void place_is_given_up_meanwhile(void **state)
{
	AS(u1);
	host.before_unmap = give_it_up;
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN), -EBUSY);
	assert_true(page_release_alloc(given_up));
	assert_int_equal(virt_to_page(u1->shared_info)->count, 1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN), 0);
	assert_int_equal(remove_gfn(DOMID_SELF, RAM_GFN), 0);
	assert_false(p2m_allows(u1, RAM_GFN, 0));
}

static void granted_frames_are_not_for_memory_ops(void **state)
{
	u32 handle;

	grant_access(u2, 1, 1, RAM_GFN, 0);
	AS(u1);
	assert_int_equal(map_grant(2, 1, HOLE, 0, &handle), GNTST_okay);
	assert_int_equal(decrease(DOMID_SELF, HOLE, 0), 0);
	assert_int_equal(remove_gfn(DOMID_SELF, HOLE), -EINVAL);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, HOLE), -EBUSY);
	assert_int_equal(populate(DOMID_SELF, HOLE, 0), 0);
	assert_int_equal(unmap_grant(handle, HOLE), GNTST_okay);
}

static void foreign_mappings(void **state)
{
	gfn_t at = 0x1000; /* dom0's RAM is elsewhere */
	struct p2m_entry e;

	AS(dom0);
	assert_int_equal(foreign(1, RAM_GFN, at), 0);
	assert_ptr_equal(guest_page(dom0, at), guest_page(u1, RAM_GFN));
	assert_true(p2m_lookup(dom0, at, &e));
	assert_int_equal(e.type, P2M_FOREIGN);
	assert_int_equal(e.access, P2M_RW);
	assert_int_equal(refs(u1, RAM_GFN), 2);
	assert_int_equal(foreign(1, RAM_GFN + 1, at), 0); /* replaces */
	assert_int_equal(refs(u1, RAM_GFN), 1);
	assert_int_equal(refs(u1, RAM_GFN + 1), 2);
	assert_int_equal(foreign(1, RAM_GFN + U_PAGES, at + 1), -EINVAL);
	assert_int_equal(foreign(1, ~0UL, at + 1), -EINVAL);
	assert_int_equal(foreign(1, RAM_GFN,
				 page_to_mfn(list_first(&dom0->page_list, struct page, list))),
			 -EBUSY);
	assert_int_equal(refs(u1, RAM_GFN), 1);
	/* The mapping outlives the domain; the page goes with it. */
	kill_domain(u1);
	assert_int_equal(u1->tot_pages, 1);
	assert_int_equal(remove_gfn(DOMID_SELF, at), 0);
	assert_null(domain_get(1));
	assert_int_equal(remove_gfn(DOMID_SELF, at), -ENOENT);
}

static void batches(void **state)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 32,
					      .u.foreign_domid = 1 };
	xen_ulong_t idx[32];
	xen_pfn_t at[32];
	int err[32];

	for (unsigned int i = 0; i < 32; i++) {
		idx[i] = i == 7 ? HOLE : RAM_GFN + i;
		at[i] = 0x1000 + i;
		err[i] = 77;
	}
	set_xen_guest_handle(b.idxs, idx);
	set_xen_guest_handle(b.gpfns, at);
	set_xen_guest_handle(b.errs, err);
	AS(u2);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EPERM);
	AS(dom0);
	host.preempt_every = 5;
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), 0);
	assert_true(host.restarts);
	host.preempt_every = 0;
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(err[i], i == 7 ? -EINVAL : 0);
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_add_to_physmap_batch | 33 << 6, U(&b)),
			 -EINVAL);
	set_xen_guest_handle(b.errs, NULL);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EFAULT);
	set_xen_guest_handle(b.idxs, NULL);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EFAULT);
	b.u.foreign_domid = 99;
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -ESRCH);
	b.u.foreign_domid = 0;
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EINVAL); /* itself */
	b.space = XENMAPSPACE_gmfn;
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EOPNOTSUPP);
	b.space = XENMAPSPACE_dev_mmio;
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EOPNOTSUPP);
	/* What is lent to it anyone may map. */
	AS(u2);
	b.space = XENMAPSPACE_grant_table;
	b.size = 6;
	for (unsigned int i = 0; i < 6; i++)
		idx[i] = i;
	set_xen_guest_handle(b.errs, err);
	set_xen_guest_handle(b.idxs, idx);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), 0);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(err[i], i < 4 ? 0 : -EINVAL); /* the world's limit is 4 */
	assert_ptr_equal(guest_page(u2, 0x1003), grant_entry(u2, 3 * 512));
	b.domid = 1;
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EPERM);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, NULL), -EFAULT);
}

/* Nothing may be put into a P2M that has been torn down: nobody would take it out again. */
static void xsa_236_mapping_into_a_dead_domain(void **state)
{
	struct xen_add_to_physmap_batch b = {
		.domid = 1, .space = XENMAPSPACE_gmfn_foreign, .size = 1, .u.foreign_domid = 2
	};
	xen_ulong_t idx = RAM_GFN;
	xen_pfn_t at = HOLE;
	int err = 77;

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &at);
	set_xen_guest_handle(b.errs, &err);
	AS(dom0);
	domain_hold(u1);
	kill_domain(u1);
	assert_int_equal(add(1, XENMAPSPACE_shared_info, 0, HOLE), -EINVAL);
	assert_int_equal(add(1, XENMAPSPACE_grant_table, 0, HOLE), -EINVAL);
	assert_int_equal(populate(1, HOLE, 0), 0);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), -EINVAL);
	assert_int_equal(err, 77);
	assert_int_equal(remove_gfn(1, HOLE), -EINVAL);
	assert_int_equal(decrease(1, RAM_GFN, 0), 0);
	assert_int_equal(foreign(2, RAM_GFN, 0x1000), 0);
	assert_int_equal(remove_gfn(DOMID_SELF, 0x1000), 0);
	domain_put(u1);
	assert_null(domain_get(1));
}

static int kill_result;

/* Another hart destroys u1 and gets as far as it can. */
static void destroy_u1(void)
{
	host.preempt_every = 1;
	do {
		kill_result = domain_kill(u1);
	} while (kill_result == -ERESTART && u1->teardown_step < 3);
	host.preempt_every = 0;
}

/*
 * dom0 populates or takes back on behalf of a domain that another vCPU of dom0 destroys: no page is
 * released twice, by when it may be somebody else's.
 */
static void destruction_waits_for_memory_operations(void **state)
{
	AS(dom0);
	/* Its four pages are released by populate itself. */
	host.maps_left = 0;
	host.before_map = destroy_u1;
	assert_int_equal(populate(1, HOLE, 2), 0);
	host.maps_left = -1;
	assert_int_equal(kill_result, -ERESTART);
	assert_int_equal(u1->teardown_step, 3);
	assert_int_equal(u1->memory_ops, 0);
	assert_false(list_empty(&u1->page_list));
	domain_hold(u1);
	kill_domain(u1);
	assert_int_equal(u1->tot_pages, 0);
	domain_put(u1);
}

static void destroyed_while_pages_are_taken_back(void **state)
{
	AS(dom0);
	host.before_unmap = destroy_u1;
	/* The page whose turn it was is taken, then the operation stops. */
	assert_int_equal(decrease(1, RAM_GFN, 3), 0);
	assert_int_equal(kill_result, -ERESTART);
	assert_int_equal(u1->memory_ops, 0);
	kill_domain(u1);
	assert_null(domain_get(1));
}

static long acquire(struct xen_mem_acquire_resource *a)
{
	return MEMORY(XENMEM_acquire_resource, a);
}

static void resources(void **state)
{
	struct xen_mem_acquire_resource a = { .domid = 1, .type = XENMEM_resource_grant_table };
	xen_pfn_t at[5] = { 0x1000, 0x1001, 0x1002, 0x1003, 0x1004 };

	AS(u2);
	assert_int_equal(acquire(&a), -EPERM);
	AS(dom0);
	assert_int_equal(acquire(&a), 0);
	assert_int_equal(a.nr_frames, 4);
	set_xen_guest_handle(a.frame_list, at);
	host.preempt_every = 3;
	assert_int_equal(acquire(&a), 0);
	assert_true(host.restarts);
	host.preempt_every = 0;
	assert_ptr_equal(guest_page(dom0, 0x1001), grant_entry(u1, 512));
	a.nr_frames = 5;
	assert_int_equal(acquire(&a), -EINVAL);
	a.nr_frames = 1;
	a.frame = ~0ULL;
	assert_int_equal(acquire(&a), -EINVAL);
	a.frame = 4;
	assert_int_equal(acquire(&a), -EINVAL);
	a.frame = 0;
	a.pad = 1;
	assert_int_equal(acquire(&a), -EINVAL);
	a.pad = 0;
	a.id = XENMEM_resource_grant_table_id_status;
	assert_int_equal(acquire(&a), -EOPNOTSUPP);
	a.id = 0;
	a.type = XENMEM_resource_ioreq_server;
	assert_int_equal(acquire(&a), -EOPNOTSUPP);
	a.type = XENMEM_resource_grant_table;
	a.domid = 99;
	assert_int_equal(acquire(&a), -ESRCH);
	a.domid = 1;
	at[0] = page_to_mfn(list_first(&dom0->page_list, struct page, list));
	assert_int_equal(acquire(&a), -EBUSY);
	set_xen_guest_handle(a.frame_list, (xen_pfn_t *)8);
	assert_int_equal(acquire(&a), -EFAULT);
	/* The frames outlive their domain while mapped. */
	kill_domain(u1);
	assert_null(domain_get(1));
	memset(guest_page(dom0, 0x1002), 1, PAGE_SIZE);
	assert_int_equal(remove_gfn(DOMID_SELF, 0x1002), 0);
}

/* dom0's RAM is 1:1: what it gives up stays its own and comes back as the same frame. */
static void direct_mapped_give_back(void **state)
{
	mfn_t mine = page_to_mfn(list_first(&dom0->page_list, struct page, list));
	mfn_t theirs = arch_virt_to_mfn(guest_page(u1, RAM_GFN));
	u64 before = heap_free_pages();
	struct p2m_entry e;

	AS(dom0);
	assert_int_equal(decrease(DOMID_SELF, mine, 0), 1);
	assert_false(p2m_lookup(dom0, mine, &e));
	assert_int_equal(heap_free_pages(), before);
	assert_int_equal(foreign(1, RAM_GFN, mine),
			 0); /* a foreign page in the hole, as privcmd does */
	assert_int_equal(populate(DOMID_SELF, mine, 0), 0);
	assert_int_equal(remove_gfn(DOMID_SELF, mine), 0);
	assert_int_equal(populate(DOMID_SELF, mine, 0), 1);
	assert_true(p2m_lookup(dom0, mine, &e));
	assert_int_equal(e.mfn, mine);
	assert_int_equal(populate(DOMID_SELF, mine, 0), 0); /* there already */
	assert_int_equal(populate(DOMID_SELF, theirs, 0), 0); /* another's */
	assert_int_equal(populate(DOMID_SELF, mine, 1), 0); /* one at a time */
	assert_int_equal(populate(DOMID_SELF, 0x1000, 0), 0); /* no RAM */
	assert_int_equal(populate(DOMID_SELF, ~0UL, 0), 0);
	assert_int_equal(dom0->tot_pages, 256);
	/* Given up and still granted to another: still dom0's. */
	assert_int_equal(decrease(DOMID_SELF, mine, 0), 1);
	kill_domain(u1);
	assert_int_equal(dom0->tot_pages, 256);
}

static long claim(domid_t dom, u64 pages)
{
	struct xen_memory_reservation r = { .nr_extents = pages, .domid = dom };

	return MEMORY(XENMEM_claim_pages, &r);
}

static void claims(void **state)
{
	xen_pfn_t at[8];
	u64 free;

	for (unsigned int i = 0; i < 8; i++)
		at[i] = HOLE + i;
	u1->max_pages = u2->max_pages = RAM_PAGES;
	assert_int_equal(populate(2, HOLE + 64, 0), 1); /* tables and so on */
	AS(u1);
	assert_int_equal(claim(DOMID_SELF, U_PAGES + 1), -EPERM);
	AS(dom0);
	free = heap_free_pages();
	assert_int_equal(claim(77, 100), -ESRCH);
	assert_int_equal(claim(1, U_PAGES - 1), -EINVAL); /* less than it has */
	assert_int_equal(claim(1, RAM_PAGES + 1), -EINVAL); /* more than it may have */
	assert_int_equal(claim(1, U_PAGES + free + 1), -ENOMEM);
	assert_int_equal(claim(1, U_PAGES + free - 4), 0);
	assert_int_equal(claim(1, U_PAGES + 1), -EINVAL); /* one at a time */
	/* Claimed pages are free, and not for others. */
	assert_int_equal(heap_free_pages(), free);
	assert_int_equal(reserve(XENMEM_populate_physmap, 2, at, 8, 0), 4);
	assert_null(alloc_pages(0));
	assert_int_equal(claim(2, u2->tot_pages + 1), -ENOMEM);
	assert_int_equal(reserve(XENMEM_populate_physmap, 1, at, 8, 0), 8);
	assert_int_equal(u1->claimed_pages, free - 4 - 8);
	assert_int_equal(claim(1, 0), 0);
	assert_int_equal(u1->claimed_pages, 0);
	assert_int_equal(populate(2, HOLE + 32, 0), 1);
	/* One that dies lets go. */
	assert_int_equal(claim(1, u1->tot_pages + heap_free_pages()), 0);
	assert_null(alloc_pages(0));
	kill_domain(u1);
	free_pages(alloc_pages(0), 0);
}

/* Another vCPU of dom0's is in XENMEM_claim_pages for a domain that is being destroyed: it had looked before. */
static void late_claim(void)
{
	assert_int_equal(heap_claim(u1, 8), 0);
	memory_op_end(u1);
}

static void a_claim_races_with_destruction(void **state)
{
	assert_true(memory_op_begin(u1));
	host.on_relax = late_claim;
	kill_domain(u1);
	assert_null(host.on_relax);
	assert_int_equal(heap_claimed_pages(), 0);
}

static void the_machines_size(void **state)
{
	struct xen_memory_reservation r = { .domid = 1, .extent_order = 1 };

	AS(dom0);
	assert_int_equal(MEMORY(XENMEM_claim_pages, &r), -EINVAL);
	assert_int_equal(MEMORY(XENMEM_maximum_ram_page, NULL), RAM_BASE_MFN + RAM_PAGES - 1);
	assert_int_equal(MEMORY(XENMEM_exchange, &r), -EOPNOTSUPP);
	assert_int_equal(MEMORY(XENMEM_machphys_mapping, &r), -EOPNOTSUPP);
	assert_int_equal(MEMORY(63, &r), -ENOSYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(populate_and_decrease),
		TEST(counts_of_what_was_done),
		TEST(xsa_31_158_orders),
		TEST(superpages_where_alignment_allows),
		TEST(xsa_212_decrease_races_with_map),
		TEST(continuation),
		TEST(stops_inside_an_extent),
		TEST(another_domains_id),
		TEST(shared_info_and_grant_frames),
		TEST(ram_in_whose_place_something_is_lent),
		TEST(hidden_ram_is_safe),
		TEST(place_is_given_up_meanwhile),
		TEST(granted_frames_are_not_for_memory_ops),
		TEST(foreign_mappings),
		TEST(batches),
		TEST(xsa_236_mapping_into_a_dead_domain),
		TEST(destruction_waits_for_memory_operations),
		TEST(destroyed_while_pages_are_taken_back),
		TEST(resources),
		TEST(direct_mapped_give_back),
		TEST(claims),
		TEST(a_claim_races_with_destruction),
		TEST(the_machines_size),
	};

	return RUN(tests);
}
