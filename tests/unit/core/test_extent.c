// SPDX-License-Identifier: BSD-2-Clause
/*
 * Extents that cannot be populated, and large ones: in pieces, interrupted, abandoned, two at a time.
 */
#include "host.h"

static u64 total, free_pages_before, dirty;

static void note_memory(void)
{
	total = u1->tot_pages;
	free_pages_before = heap_free_pages();
	dirty = heap_dirty_pages();
}

/* As noted, and nothing of the extent is mapped. */
static void check_nothing_came(gfn_t gfn, unsigned int order)
{
	assert_int_equal(u1->tot_pages, total);
	assert_int_equal(u1->owned_pages, total);
	assert_int_equal(heap_free_pages(), free_pages_before);
	assert_null(u1->extent.pages);
	for (u64 i = 0; i < BIT(order); i++)
		assert_false(p2m_allows(u1, gfn + i, 0));
}

/* No memory for a table: not even for undoing what was done, which there need not be. */
static void xsa_29_extent_that_cannot_be_mapped(void **state)
{
	static const unsigned int orders[] = { 0, 1, 4, 8, 9, 10, 12 };

	u1->max_pages = RAM_PAGES;
	AS(dom0);
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++) {
		note_memory();
		host.maps_left = host.splits_left = 0;
		assert_int_equal(populate(1, 1UL << 18, orders[i]), 0);
		host.maps_left = host.splits_left = -1;
		check_nothing_came(1UL << 18, orders[i]);
		/* It does not stand in anybody's way. */
		assert_int_equal(populate(1, 1UL << 18, orders[i]), 1);
		assert_int_equal(decrease(1, 1UL << 18, orders[i]), 1);
	}
}

static unsigned int unmaps;

static void count_unmap(void)
{
	unmaps++;
	host.before_unmap = count_unmap;
}

static void no_map(void)
{
	fail();
}

/* Something is mapped at the last place: seen before a page is taken, whatever the order. */
static void place_of_the_last_page_is_taken(void **state)
{
	u1->max_pages = RAM_PAGES;
	AS(dom0);
	for (unsigned int order = 1; order <= 12; order++) {
		gfn_t gfn = 1UL << 18, last = gfn + BIT(order) - 1;

		assert_int_equal(populate(1, last, 0), 1);
		note_memory();
		host.before_map = no_map;
		host.before_unmap = count_unmap;
		unmaps = 0;
		assert_int_equal(populate(1, gfn, order), 0);
		assert_int_equal(unmaps, 0);
		host.before_map = host.before_unmap = NULL;
		assert_true(p2m_allows(u1, last, P2M_RWX));
		assert_int_equal(decrease(1, last, 0), 1);
		total--, free_pages_before++;
		check_nothing_came(gfn, order);
		assert_int_equal(heap_dirty_pages(), dirty + 1);
	}
}

static void take_the_last_place(void)
{
	unsigned int hart = host.hart;

	host.hart = 1;
	AS(u1);
	assert_int_equal(populate(DOMID_SELF, HOLE + 255, 0), 1);
	host.hart = hart;
}

/* … or it is taken by another vCPU behind the look: nothing was mapped by then, so that nothing is to be unmapped. */
static void place_of_the_last_page_is_taken_meanwhile(void **state)
{
	AS(dom0);
	note_memory();
	host.before_map = take_the_last_place;
	host.before_unmap = count_unmap;
	unmaps = 0;
	assert_int_equal(populate(1, HOLE, 8), 0);
	assert_int_equal(unmaps, 0);
	host.before_unmap = NULL;
	assert_true(p2m_allows(u1, HOLE + 255, P2M_RWX));
	assert_int_equal(decrease(1, HOLE + 255, 0), 1);
	check_nothing_came(HOLE, 8);
}

/* 16 MiB: taken in pieces of 2 MiB from clean memory, which is made clean in smaller ones. */
static void xsa_31_a_large_extent_is_interrupted(void **state)
{
	struct p2m_entry e;
	u64 *words;

	u1->max_pages = RAM_PAGES;
	AS(dom0);
	host.preempt_every = 1;
	assert_int_equal(populate(1, 1UL << 18, 12), 1);
	assert_true(host.restarts >= 7);
	assert_int_equal(u1->tot_pages, U_PAGES + 4096);
	assert_true(p2m_lookup(u1, 1UL << 18, &e));
	assert_int_equal(e.order, 9);
	words = arch_mfn_to_virt(e.mfn);
	for (u64 i = 0; i < 4096 * 512; i++)
		assert_int_equal(words[i], 0);
	/* The place is taken: the whole extent comes back. */
	assert_int_equal(populate(1, 1UL << 18, 12), 0);
	assert_int_equal(u1->tot_pages, U_PAGES + 4096);
	assert_null(u1->extent.pages);
	/* Too much for the machine, for the domain, for a guest; not aligned. */
	assert_int_equal(populate(1, 1UL << 20, 15), 0);
	assert_int_equal(populate(1, (1UL << 18) + 512, 12), 0);
	u1->max_pages = u1->tot_pages + 4095;
	assert_int_equal(populate(1, 3UL << 18, 12), 0);
	AS(u1);
	assert_int_equal(populate(DOMID_SELF, 3UL << 18, 10), 0);
}

/* The first part of populating an extent for u1, from which the caller does not come back. */
static void abandon(gfn_t *gfn, unsigned int order, u64 pieces)
{
	static struct xen_memory_reservation r;

	r = (struct xen_memory_reservation){ .nr_extents = 1, .extent_order = order, .domid = 1 };
	set_xen_guest_handle(r.extent_start, gfn);
	host.preempt_every = 1;
	assert_int_equal(hypercall_dispatch(__HYPERVISOR_memory_op,
					    (u64[5]){ XENMEM_populate_physmap, U(&r) }),
			 -ERESTART);
	while (!u1->extent.pages || u1->extent.done < pieces << EXTENT_PIECE)
		assert_int_equal(hypercall_dispatch(host.restart_nr, host.restart_args), -ERESTART);
	host.preempt_every = 0;
}

static void a_large_extents_domain_dies(void **state)
{
	static xen_pfn_t gfn = 1UL << 18;

	u1->max_pages = RAM_PAGES;
	AS(dom0);
	abandon(&gfn, 12, 3);
	assert_int_equal(u1->tot_pages, U_PAGES + 4096);
	/* world_down() looks whether all is free. */
	kill_domain(u1);
}

/* Whoever comes next carries it to its end: it keeps neither the place nor the memory. */
static void an_abandoned_extent_is_in_nobodys_way(void **state)
{
	static xen_pfn_t gfn = 1UL << 18;
	u64 args[5];

	u1->max_pages = RAM_PAGES;
	AS(dom0);
	for (u64 pieces = 1; pieces < 8; pieces += 3) {
		abandon(&gfn, 12, pieces);
		memcpy(args, host.restart_args, sizeof(args));
		host.preempt_every = 1;
		assert_int_equal(populate(1, 3UL << 18, 10), 1);
		host.preempt_every = 0;
		assert_null(u1->extent.pages);
		assert_int_equal(u1->tot_pages, U_PAGES + 4096 + 1024);
		assert_int_equal(u1->owned_pages, u1->tot_pages);
		/* Should it come back after all, it finds that all is done. */
		assert_int_equal(hypercall(__HYPERVISOR_memory_op, args), 1);
		assert_int_equal(decrease(1, gfn, 12), 1);
		assert_int_equal(hypercall(__HYPERVISOR_memory_op, args), 0);
		assert_int_equal(decrease(1, 3UL << 18, 10), 1);
		assert_int_equal(u1->tot_pages, U_PAGES);
	}
	/* Or it cannot be finished, and goes back. */
	abandon(&gfn, 12, 7);
	host.maps_left = 0;
	assert_int_equal(populate(1, 3UL << 18, 10), 0);
	host.maps_left = -1;
	assert_null(u1->extent.pages);
	assert_int_equal(u1->tot_pages, U_PAGES);
	assert_int_equal(populate(1, 3UL << 18, 10), 1);
}

/* Two vCPUs of dom0's, by turns: one step of each. */
static void two_at_once(void **state)
{
	static xen_pfn_t gfn[2] = { 1UL << 18, 3UL << 18 };
	static struct xen_memory_reservation r[2];
	u64 args[2][5];
	long rc[2];
	unsigned int turns;

	u1->max_pages = RAM_PAGES;
	AS(dom0);
	for (unsigned int same = 0; same < 2; same++) {
		gfn[1] = same ? gfn[0] : gfn[1];
		for (unsigned int i = 0; i < 2; i++) {
			r[i] = (struct xen_memory_reservation){ .nr_extents = 1,
								.extent_order = 11,
								.domid = 1 };
			set_xen_guest_handle(r[i].extent_start, &gfn[i]);
			memcpy(args[i], (u64[5]){ XENMEM_populate_physmap, U(&r[i]) },
			       sizeof(args[i]));
			rc[i] = -ERESTART;
		}
		host.preempt_every = 1;
		for (turns = 0; (rc[0] == -ERESTART || rc[1] == -ERESTART) && turns < 1000;
		     turns++) {
			unsigned int i = turns % 2;

			if (rc[i] != -ERESTART)
				continue;
			rc[i] = hypercall_dispatch(__HYPERVISOR_memory_op, args[i]);
			memcpy(args[i], host.restart_args, sizeof(args[i]));
		}
		host.preempt_every = 0;
		assert_in_range(turns, 10, 999);
		assert_int_equal(rc[0], 1);
		assert_int_equal(rc[1], same ? 0 : 1);
		assert_null(u1->extent.pages);
		assert_int_equal(u1->tot_pages, U_PAGES + (same ? 2048 : 4096));
		assert_int_equal(decrease(1, gfn[0], 11), 1);
		assert_int_equal(decrease(1, gfn[1], 11), same ? 0 : 1);
		assert_int_equal(u1->tot_pages, U_PAGES);
	}
}

static void progress_that_no_one_made(void **state)
{
	static xen_pfn_t gfn = 1UL << 18;
	struct xen_memory_reservation r = { .nr_extents = 1, .extent_order = 12, .domid = 1 };

	u1->max_pages = u2->max_pages = RAM_PAGES;
	set_xen_guest_handle(r.extent_start, &gfn);
	AS(dom0);
	for (u64 step = 8; step < 16; step++) {
		note_memory();
		assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_populate_physmap | step << 6,
				    U(&r)),
				 step == 8); /* nobody need have looked at the places */
		if (step == 8)
			assert_int_equal(decrease(1, gfn, 12), 1);
		check_nothing_came(gfn, 12);
	}
	abandon(&gfn, 12, 2);
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_populate_physmap | 11 << 6, U(&r)), 0);
	assert_int_equal(u1->extent.done, 2 << EXTENT_PIECE);
	assert_int_equal(HC(__HYPERVISOR_memory_op, XENMEM_populate_physmap | 10 << 6, U(&r)), 1);
	assert_int_equal(u1->tot_pages, U_PAGES + 4096);
}

static void kill_u2_meanwhile(void)
{
	host.between = NULL;
	kill_domain(u2);
}

static void its_domain_dies_between_two_pieces(void **state)
{
	u2->max_pages = RAM_PAGES;
	AS(dom0);
	host.preempt_every = 1;
	host.between = kill_u2_meanwhile;
	assert_int_equal(populate(2, 1UL << 18, 12), -ESRCH); /* there is nobody to go on with */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(xsa_29_extent_that_cannot_be_mapped),
		TEST(place_of_the_last_page_is_taken),
		TEST(place_of_the_last_page_is_taken_meanwhile),
		TEST(xsa_31_a_large_extent_is_interrupted),
		TEST(a_large_extents_domain_dies),
		TEST(an_abandoned_extent_is_in_nobodys_way),
		TEST(two_at_once),
		TEST(progress_that_no_one_made),
		TEST(its_domain_dies_between_two_pieces),
	};

	return RUN(tests);
}
