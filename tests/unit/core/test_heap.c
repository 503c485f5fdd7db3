// SPDX-License-Identifier: BSD-2-Clause
/*
 * The buddy heap, small objects, page references and ownership.
 */
#include "host.h"

static bool is_zero(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (((const char *)p)[i])
			return false;
	}
	return true;
}

static void blocks_are_aligned_and_zero(void **state)
{
	for (unsigned int order = 0; order <= 10; order++) {
		struct page *pg = alloc_pages(order);

		assert_non_null(pg);
		assert_true(IS_ALIGNED(page_to_mfn(pg), BIT(order)));
		assert_true(is_zero(page_to_virt(pg), PAGE_SIZE << order));
		for (u64 i = 0; i < BIT(order); i++)
			assert_int_equal(pg[i].state, PAGE_HYP);
		free_pages(pg, order);
	}
}

/* No page leaves a domain unscrubbed, whether an idle hart scrubbed it or the allocation does. */
static void xsa_100_364_freed_pages_are_scrubbed(void **state)
{
	for (unsigned int scrub = 0; scrub < 2; scrub++) {
		u64 before = heap_free_pages();
		struct page *pg[8];

		for (unsigned int i = 0; i < 8; i++) {
			pg[i] = alloc_pages(3);
			memset(page_to_virt(pg[i]), 0x5a, PAGE_SIZE << 3);
		}
		for (unsigned int i = 0; i < 8; i++)
			free_pages(pg[i], 3);
		assert_int_equal(heap_free_pages(), before);
		assert_true(heap_dirty_pages() >= 64);
		while (scrub && heap_scrub(16))
			;
		if (scrub)
			assert_int_equal(heap_dirty_pages(), 0);
		pg[0] = alloc_pages(6);
		assert_true(is_zero(page_to_virt(pg[0]), PAGE_SIZE << 6));
		free_pages(pg[0], 6);
	}
}

static void neighbours_merge_again(void **state)
{
	struct page *big, *small[64];

	while (heap_scrub(64))
		;
	big = alloc_pages(10);
	assert_non_null(big);
	free_pages(big, 10);
	for (unsigned int i = 0; i < 64; i++)
		small[i] = alloc_pages(i % 4);
	/* In an order that meets each buddy both before and after the other. */
	for (unsigned int i = 0; i < 64; i++)
		free_pages(small[i * 37 % 64], i * 37 % 64 % 4);
	while (heap_scrub(64))
		;
	assert_int_equal(heap_dirty_pages(), 0);
	big = alloc_pages(10);
	assert_non_null(big);
	free_pages(big, 10);
}

static void scrubbing_stops_at_its_bound(void **state)
{
	struct page *pg = alloc_pages(9);
	u64 dirty;

	while (heap_scrub(64))
		;
	free_pages(pg, 9);
	dirty = heap_dirty_pages();
	assert_true(heap_scrub(16));
	assert_int_equal(heap_dirty_pages(), dirty - 16);
}

static unsigned int scrubs_seen;

/* What another hart does while this one scrubs: the lock is free, and it does not scrub as well. */
static void meanwhile(void)
{
	struct page *pg;

	scrubs_seen++;
	assert_false(heap_scrub_idle());
	pg = alloc_pages(0);
	assert_non_null(pg);
	free_pages(pg, 0);
}

static void idle_harts_give_way(void **state)
{
	u64 before = heap_free_pages(), dirty;
	struct page *pg[64];

	while (heap_scrub(64))
		;
	assert_false(heap_scrub_idle());
	/* Single pages, none of them beside another: the worst for the lists. */
	for (unsigned int i = 0; i < 64; i++)
		pg[i] = alloc_pages(0);
	for (unsigned int i = 0; i < 64; i += 2)
		free_pages(pg[i], 0);
	dirty = heap_dirty_pages();
	host.on_scrub = meanwhile;
	scrubs_seen = 0;
	assert_true(heap_scrub_idle());
	assert_int_equal(scrubs_seen, 1);
	/* A batch is bounded; what the other one took and gave back is dirty again, or was clean and is now dirty. */
	assert_in_range(heap_dirty_pages(), dirty - 16, dirty - 16 + 1);
	while (heap_scrub_idle())
		;
	assert_int_equal(heap_dirty_pages(), 0);
	for (unsigned int i = 1; i < 64; i += 2)
		free_pages(pg[i], 0);
	while (heap_scrub_idle())
		assert_true(heap_dirty_pages() < 64);
	assert_int_equal(heap_dirty_pages(), 0);
	assert_int_equal(heap_free_pages(), before);
	pg[0] = alloc_pages(10);
	assert_true(is_zero(page_to_virt(pg[0]), PAGE_SIZE << 10));
	free_pages(pg[0], 10);
}

/* What is dirty at this moment is in an allocation's hands: nothing to wait for. */
static void scrub_while_nothing_is_left(void)
{
	scrubs_seen++;
	assert_int_equal(heap_dirty_pages(), 1);
	assert_false(heap_scrub_idle());
}

static void idle_harts_do_not_wait_for_an_allocation(void **state)
{
	struct page *pg;

	while (heap_scrub(64))
		;
	pg = alloc_pages(0);
	free_pages(pg, 0);
	scrubs_seen = 0;
	host.on_scrub = scrub_while_nothing_is_left;
	assert_true(heap_scrub(1));
	assert_int_equal(scrubs_seen, 1);
}

static void exhaustion_is_null_and_all_comes_back(void **state)
{
	u64 before = heap_free_pages(), n = 0;
	struct page *list = NULL, *pg;

	while ((pg = alloc_pages(0))) {
		*(struct page **)page_to_virt(pg) = list;
		list = pg;
		n++;
	}
	assert_int_equal(n, before);
	assert_int_equal(heap_free_pages(), 0);
	assert_null(xzalloc(PAGE_SIZE));
	assert_null(alloc_domain_pages(u1, 0));
	assert_int_equal(u1->tot_pages, U_PAGES);
	while (list) {
		pg = list;
		list = *(struct page **)page_to_virt(pg);
		free_pages(pg, 0);
	}
	assert_int_equal(heap_free_pages(), before);
	pg = alloc_pages(11);
	assert_non_null(pg);
	free_pages(pg, 11);
}

static void orders_beyond_the_limit(void **state)
{
	assert_null(alloc_pages(MAX_ORDER + 1));
	assert_null(alloc_pages(~0U));
	assert_null(alloc_pages(MAX_ORDER)); /* more than there is */
}

static void double_free_is_caught(void **state)
{
	struct page *pg = alloc_pages(2);

	free_pages(pg, 2);
	assert_int_equal(END(free_pages(pg, 2)), PANIC);
}

static void small_objects(void **state)
{
	static const size_t sizes[] = { 0,    1,    31,	  32,	33,   64,   100,
					2047, 2048, 2049, 4096, 4097, 65536 };
	u64 before = heap_free_pages();
	char *p[ARRAY_SIZE(sizes)][3];

	for (unsigned int k = 0; k < 3; k++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
			p[i][k] = xzalloc(sizes[i]);
			assert_non_null(p[i][k]);
			assert_true(is_zero(p[i][k], sizes[i]));
			assert_true(IS_ALIGNED(U(p[i][k]), 8));
			memset(p[i][k], 'A' + k, sizes[i]);
		}
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned int k = 0; k < 3; k++) {
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_equal(p[i][k][j], 'A' + k);
			xfree(p[i][k]);
		}
	}
	xfree(NULL);
	assert_null(xzalloc(65537));
	assert_null(xzalloc(~0UL));
	assert_int_equal(heap_free_pages(), before);
}

static void small_objects_reuse_is_zeroed(void **state)
{
	void *keep = xzalloc(40), *p = xzalloc(40);

	memset(p, 0xff, 40);
	xfree(p);
	p = xzalloc(40);
	assert_true(is_zero(p, 40));
	xfree(p);
	xfree(keep);
}

/*
 * A page that was a domain's and is now full of small objects: whoever still believes the former finds no count to
 * add to. (An added 1 would change the size class for a moment, or the order that xfree() gives back.)
 */
static void no_reference_to_small_objects(void **state)
{
	static const size_t sizes[] = { 32, 2048, 4096, 65536 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *p = xzalloc(sizes[i]);
		struct domain *list = virt_to_page(p)->owner;

		assert_int_equal(virt_to_page(p)->count, 0);
		virt_to_page(p)->owner = u1; /* the worst case: as if it looked like one of u1's */
		assert_false(page_get(virt_to_page(p), u1));
		virt_to_page(p)->owner = list;
		xfree(p);
	}
}

static void a_domains_limit_holds(void **state)
{
	u1->max_pages = U_PAGES + 8;
	assert_null(alloc_domain_pages(u1, 4));
	assert_null(alloc_domain_pages(u1, 18));
	assert_non_null(alloc_domain_pages(u1, 3));
	assert_null(alloc_domain_pages(u1, 0));
	assert_int_equal(u1->tot_pages, U_PAGES + 8);
	u1->max_pages = 0;
	assert_null(alloc_domain_pages(u1, 0));
}

static void references(void **state)
{
	struct page *pg = alloc_domain_pages(u1, 0);
	u64 before = heap_free_pages(), total = u1->tot_pages;

	assert_false(page_get(pg, u2));
	assert_true(page_get(pg, u1));
	assert_int_equal(pg->count, 2);
	assert_true(page_release_alloc(pg));
	assert_false(page_release_alloc(pg)); /* once only */
	assert_int_equal(u1->tot_pages, total); /* on the account while someone holds it */
	assert_int_equal(heap_free_pages(), before);
	page_put(pg);
	assert_int_equal(u1->tot_pages, total - 1);
	assert_int_equal(heap_free_pages(), before + 1);
	assert_false(page_get(pg, u1));
}

static void a_reference_count_does_not_overflow(void **state)
{
	struct page *pg = alloc_domain_pages(u1, 0);

	pg->count = 0x7fffffff;
	assert_false(page_get(pg, u1));
	pg->count = 0x7ffffffe;
	assert_true(page_get(pg, u1));
	assert_false(page_get(pg, u1));
	pg->count = 1;
}

static void pages_by_guest_frame(void **state)
{
	unsigned int access = 0;
	struct page *pg = p2m_get_page(u1, RAM_GFN, &access);

	assert_non_null(pg);
	assert_int_equal(access, P2M_RWX);
	page_put(pg);
	assert_null(p2m_get_page(u1, RAM_GFN + U_PAGES, NULL));
	assert_null(p2m_get_page(u1, ~0ULL, NULL));
	/* A mapping of another's page is not one's own. */
	assert_int_equal(p2m_map(u2, 0x50000, page_to_mfn(pg), 0, P2M_FOREIGN, P2M_RW), 0);
	assert_null(p2m_get_page(u2, 0x50000, NULL));
	assert_int_equal(p2m_unmap(u2, 0x50000, BIT(P2M_FOREIGN), NULL), 0);
	assert_int_equal(p2m_map(u2, 0x50000, page_to_mfn(pg), 0, P2M_RAM, P2M_RW), 0);
	assert_null(p2m_get_page(u2, 0x50000, NULL));
	assert_int_equal(p2m_unmap(u2, 0x50000, BIT(P2M_RAM), NULL), 0);
}

/* What another hart took of the clean memory is not made clean here in one long step. */
static void large_blocks_are_not_scrubbed_at_once(void **state)
{
	struct page *pg;

	u1->max_pages = RAM_PAGES;
	take_all_memory();
	give_memory_back();
	for (unsigned int order = HEAP_SMALL_ORDER + 1; order <= 9; order++) {
		u64 dirty = heap_dirty_pages(), total = u1->tot_pages;

		assert_null(alloc_prepared_pages(u1, order));
		assert_int_equal(heap_dirty_pages(), dirty);
		assert_int_equal(u1->tot_pages, total);
		while (heap_prepare(order))
			;
		pg = alloc_prepared_pages(u1, order);
		assert_non_null(pg);
		assert_true(is_zero(page_to_virt(pg), PAGE_SIZE << order));
		page_release_unmapped(u1, pg, order);
		take_all_memory();
		give_memory_back();
	}
	assert_non_null(alloc_prepared_pages(u1, HEAP_SMALL_ORDER));
}

static void kill_u1(void)
{
	kill_domain(u1);
}

/* The domain dies while its new page is being scrubbed. */
static void dying_during_an_allocation(void **state)
{
	take_all_memory();
	give_memory_back(); /* dirty, so that the allocation scrubs */
	domain_hold(u1);
	host.on_scrub = kill_u1;
	assert_null(alloc_domain_pages(u1, 0));
	assert_null(host.on_scrub);
	assert_int_equal(u1->tot_pages, 0);
	assert_int_equal(u1->refs, 1);
	domain_put(u1);
}

/* What is kept for one is nobody else's, nor that one's for another purpose. */
static void pages_that_are_reserved(void **state)
{
	u64 all = heap_free_pages() - heap_claimed_pages();
	struct page *pg, *pg2;

	u1->max_pages += 10;
	assert_int_equal(heap_reserve(u1, all + 1), -ENOMEM);
	assert_int_equal(heap_reserve(u1, all), 0);
	assert_int_equal(heap_reserve(u2, 1), -ENOMEM);
	assert_int_equal(heap_claim(u1, 1), -ENOMEM);
	assert_null(alloc_pages(0));
	assert_null(alloc_domain_pages(u1, 0));
	assert_null(alloc_reserved(u2));
	assert_null(alloc_reserved(NULL));
	pg = alloc_reserved(u1);
	assert_non_null(pg);
	assert_int_equal(u1->reserved_pages, all - 1);
	assert_int_equal(heap_claimed_pages(), all - 1);
	/* It is not kept for u1 again when it comes back. */
	free_pages(pg, 0);
	pg = alloc_reserved(NULL);
	assert_non_null(pg);
	heap_unreserve(u1, 2);
	pg2 = alloc_reserved(u2);
	assert_non_null(pg2);
	assert_int_equal(heap_claim(u1, 1), 0);
	assert_null(alloc_pages(0));
	assert_int_equal(u1->reserved_pages + u1->claimed_pages, all - 2);
	assert_int_equal(heap_claim(u1, 0), 0);
	heap_unreserve(u1, ~0UL);
	assert_int_equal(u1->reserved_pages, 0);
	assert_int_equal(heap_claimed_pages(), 0);
	free_pages(pg, 0);
	free_pages(pg2, 0);
}

static struct page *spare, *got;

static void give_spare(void)
{
	free_pages(spare, 0);
}

static void take_reserved(void)
{
	host.on_relax = give_spare;
	got = alloc_reserved(u1);
	host.on_relax = NULL;
}

/* All that is free is being scrubbed by another hart, and so in no list: what is reserved is waited for, and nothing else. */
static void reserved_while_it_is_scrubbed(void **state)
{
	struct page *dirty = alloc_pages(0);

	spare = alloc_pages(0);
	take_all_memory();
	free_pages(dirty, 0);
	assert_int_equal(heap_reserve(u1, 1), 0);
	assert_null(alloc_reserved(u2));
	host.on_scrub = take_reserved;
	assert_true(heap_scrub(1));
	assert_null(host.on_scrub);
	assert_ptr_equal(got, spare);
	assert_int_equal(u1->reserved_pages, 0);
	assert_int_equal(dirty->state, PAGE_FREE);
	free_pages(got, 0);
	give_memory_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_are_aligned_and_zero),
		TEST(xsa_100_364_freed_pages_are_scrubbed),
		TEST(neighbours_merge_again),
		TEST(scrubbing_stops_at_its_bound),
		TEST(idle_harts_give_way),
		TEST(idle_harts_do_not_wait_for_an_allocation),
		TEST(exhaustion_is_null_and_all_comes_back),
		TEST(orders_beyond_the_limit),
		TEST(double_free_is_caught),
		TEST(small_objects),
		TEST(small_objects_reuse_is_zeroed),
		TEST(no_reference_to_small_objects),
		TEST(a_domains_limit_holds),
		TEST(references),
		TEST(a_reference_count_does_not_overflow),
		TEST(pages_by_guest_frame),
		TEST(large_blocks_are_not_scrubbed_at_once),
		TEST(dying_during_an_allocation),
		TEST(reserved_while_it_is_scrubbed),
		TEST(pages_that_are_reserved),
	};

	return RUN(tests);
}
