// SPDX-License-Identifier: BSD-2-Clause
/*
 * From a frame number to a page that is held: what another hart does just before and just after, and who frees the page.
 */
#include "host.h"

#define AT 0x50000UL /* nothing is mapped there */
#define X (RAM_GFN + 5)

/* Another hart on which u1's second vCPU gives X up, and asks for a page where there is one. */
static void give_up_x(void)
{
	unsigned int hart = host.hart;

	host.hart = 1;
	become(u1->vcpu[1]);
	assert_int_equal(decrease(DOMID_SELF, X, 0), 1);
	assert_int_equal(populate(DOMID_SELF, RAM_GFN, 0), 0);
	host.hart = hart;
}

/* ---- each way to a page; 0: it succeeded ---- */

static void (*before)(void), (*after)(void); /* the look that it is about */
static u32 handle;

static void arm(void)
{
	host.before_get = before;
	host.after_get = after;
}

static int by_map(void)
{
	grant_access(u1, 8, u2->id, X, 0);
	AS(u2);
	arm();
	return map_grant(u1->id, 8, AT, 0, &handle);
}

static void undo_map(void)
{
	AS(u2);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
}

static int by_copy_of_own(void)
{
	struct gnttab_copy op = { .len = 64, .flags = GNTCOPY_source_gref };

	grant_access(u2, 9, u1->id, RAM_GFN + 10, 0);
	AS(u2);
	memset(guest_page(u2, RAM_GFN + 10), 0x42, 64);
	AS(u1);
	/* Its source is pinned already: the next page that is looked for is the destination. */
	assert_int_equal(map_grant(u2->id, 9, AT + 1, GNTMAP_readonly, &handle), GNTST_okay);
	op.source.u.ref = 9, op.source.domid = u2->id;
	op.dest.u.gmfn = X, op.dest.domid = DOMID_SELF;
	arm();
	assert_int_equal(GNTTAB(GNTTABOP_copy, &op, 1), 0);
	assert_int_equal(unmap_grant(handle, AT + 1), GNTST_okay);
	return op.status;
}

static int by_foreign(void)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = u1->id };
	xen_ulong_t idx = X;
	xen_pfn_t at = AT;
	int err = 77;

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &at);
	set_xen_guest_handle(b.errs, &err);
	AS(dom0);
	arm();
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), 0);
	return err;
}

static void undo_foreign(void)
{
	struct xen_remove_from_physmap a = { .domid = DOMID_SELF, .gpfn = AT };

	AS(dom0);
	assert_int_equal(MEMORY(XENMEM_remove_from_physmap, &a), 0);
}

static int by_vcpu_info(void)
{
	struct vcpu_register_vcpu_info a = { .mfn = X };

	AS(u1);
	arm();
	return VCPUOP(VCPUOP_register_vcpu_info, 0, &a);
}

static int by_runstate(void)
{
	struct vcpu_register_runstate_memory_area a = { .addr.p = U(guest_page(u1, X)) };

	AS(u1);
	arm();
	return VCPUOP(VCPUOP_register_runstate_memory_area, 0, &a);
}

static void undo_runstate(void)
{
	struct vcpu_register_runstate_memory_area a = { .addr.p = 0 };

	AS(u1);
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &a), 0);
}

static int by_event_queue(void)
{
	struct evtchn_init_control a = { .control_gfn = X };

	AS(u1);
	arm();
	return EVTCHN(EVTCHNOP_init_control, &a);
}

static void undo_event_queue(void)
{
	struct evtchn_reset a = { .dom = DOMID_SELF };

	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_reset, &a), 0);
}

static const struct way {
	int (*go)(void);
	void (*undo)(void); /* NULL: it ends with the domain, or has ended */
	bool holds; /* the page, when it is done */
} ways[] = {
	{ by_map, undo_map, true },	      { by_copy_of_own, NULL, false },
	{ by_foreign, undo_foreign, true },   { by_vcpu_info, NULL, true },
	{ by_runstate, undo_runstate, true }, { by_event_queue, undo_event_queue, true },
};

/* The page is given up behind the look: it is still u1's, on its account, until the last one lets go of it. */
static void given_up_just_after(const struct way *w)
{
	struct page *pg = virt_to_page(guest_page(u1, X));
	u64 total = u1->tot_pages, dirty;

	memset(page_to_virt(pg), 0x5a, PAGE_SIZE);
	before = NULL, after = give_up_x;
	assert_int_equal(w->go(), 0);
	assert_null(host.after_get);
	if (w->holds) {
		assert_int_equal(pg->state, PAGE_OWNED);
		assert_ptr_equal(pg->owner, u1);
		assert_int_equal(pg->count, 1);
		assert_int_equal(pg->alloc_ref, 0);
		assert_int_equal(u1->tot_pages, total);
		if (!w->undo)
			return;
		dirty = heap_dirty_pages();
		w->undo();
		assert_true(heap_dirty_pages() > dirty);
	}
	assert_int_not_equal(pg->state, PAGE_OWNED);
	assert_int_equal(u1->tot_pages, total - 1);
}

static void page_given_up_after_it_was_found(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++) {
		given_up_just_after(&ways[i]);
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

/* … and before it: nobody finds it any more. */
static void page_given_up_before_it_is_found(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(ways); i++) {
		struct page *pg = virt_to_page(guest_page(u1, X));
		u64 total = u1->tot_pages;

		before = give_up_x, after = NULL;
		assert_int_not_equal(ways[i].go(), 0);
		assert_null(host.before_get);
		assert_int_not_equal(pg->state, PAGE_OWNED);
		assert_int_equal(u1->tot_pages, total - 1);
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

static struct page *held;

static void hold_what_comes(void)
{
	held = list_entry(u1->page_list.prev, struct page, list);
	assert_true(page_get(held, u1));
}

/* Whoever may have a reference to what a populate gives back keeps its page, whatever the populate believes. */
static void populate_that_fails_frees_by_the_last_reference(void **state)
{
	u64 total = u1->tot_pages, free = heap_free_pages(), dirty;

	AS(u1);
	host.before_map = hold_what_comes;
	host.maps_left = 0;
	assert_int_equal(populate(DOMID_SELF, AT, 0), 0);
	host.maps_left = -1;
	assert_int_equal(held->state, PAGE_OWNED);
	assert_ptr_equal(held->owner, u1);
	assert_int_equal(held->count, 1);
	assert_int_equal(u1->tot_pages, total + 1);
	memset(page_to_virt(held), 0x5a, PAGE_SIZE);
	dirty = heap_dirty_pages();
	page_put(held);
	assert_int_equal(u1->tot_pages, total);
	assert_int_equal(heap_free_pages(), free);
	assert_int_equal(heap_dirty_pages(), dirty + 1);
}

static void one_page_of_a_block_is_held(void **state)
{
	for (unsigned int i = 0; i < 16; i++) {
		struct page *pg = alloc_domain_pages(u1, 4);
		u64 total = u1->tot_pages, free = heap_free_pages(), dirty = heap_dirty_pages();

		assert_true(page_get(&pg[i], u1));
		page_release_unmapped(u1, pg, 4);
		assert_int_equal(u1->tot_pages, total - 15);
		assert_int_equal(u1->owned_pages, total - 15);
		assert_int_equal(heap_free_pages(), free + 15);
		assert_int_equal(heap_dirty_pages(), dirty + 15);
		for (unsigned int k = 0; k < 16; k++)
			assert_int_equal(pg[k].state, k == i ? PAGE_OWNED : PAGE_DIRTY);
		page_put(&pg[i]);
		assert_int_equal(u1->tot_pages, total - 16);
		assert_int_equal(heap_dirty_pages(), dirty + 16);
	}
}

/* dom0 has found a grant frame, to map it, of a domain that another vCPU of dom0's destroys. */
static void grant_frame_of_a_domain_that_dies(void **state)
{
	struct page *frame;

	domain_hold(u1);
	assert_int_equal(grant_table_get_frame(u1, 0, &frame), 0);
	kill_domain(u1);
	/* The table has let go of it. */
	assert_int_equal(frame->state, PAGE_HYP);
	assert_int_equal(frame->count, 1);
	assert_int_equal(grant_table_get_frame(u1, 0, &frame), -EINVAL);
	domain_put(u1);
	page_put(frame);
	assert_int_equal(frame->state, PAGE_DIRTY);
}

/* Only what is mapped as one of the types that the caller means is unmapped. */
static void unmapping_is_by_type(void **state)
{
	static const enum p2m_type types[] = { P2M_RAM, P2M_GRANT, P2M_FOREIGN, P2M_SPECIAL };
	mfn_t mfn = page_to_mfn(virt_to_page(guest_page(u1, X)));
	struct p2m_entry e;

	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		assert_int_equal(p2m_map(u2, AT, mfn, 0, types[i], P2M_R), 0);
		assert_int_equal(p2m_unmap(u2, AT, ~BIT(types[i]), &e), -EBUSY);
		assert_true(p2m_allows(u2, AT, P2M_R));
		assert_false(p2m_allows(u2, AT, P2M_RW));
		assert_null(p2m_get_page(u2, AT, NULL));
		assert_int_equal(p2m_unmap(u2, AT, BIT(types[i]), &e), 0);
		assert_int_equal(e.mfn, mfn);
		assert_int_equal(e.type, types[i]);
		assert_int_equal(p2m_unmap(u2, AT, ~0U, &e), -ENOENT);
		assert_false(p2m_allows(u2, AT, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(page_given_up_after_it_was_found),
		TEST(page_given_up_before_it_is_found),
		TEST(populate_that_fails_frees_by_the_last_reference),
		TEST(one_page_of_a_block_is_held),
		TEST(grant_frame_of_a_domain_that_dies),
		TEST(unmapping_is_by_type),
	};

	return RUN(tests);
}
