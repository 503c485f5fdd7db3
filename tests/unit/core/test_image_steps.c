// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory images: forks in steps, and what comes between or ends in the middle; the fence of a copy on write; forks and the dirty log.
 */
#include <memory.h>

#include "forks.h"
#include "invariants.h"

#define AT 0x1c000UL /* what others map of it */

void check_failed(void)
{
}

/* ---- in steps ---- */

static unsigned int steps;
static void (*at_step)(void);

/* Another hart, between two steps of a fork. */
static void meanwhile(void)
{
	unsigned int nr = host.restart_nr, every = host.preempt_every;
	void (*between)(void) = host.between;
	u64 saved[5];

	if (steps--)
		return;
	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	host.preempt_every = 0;
	at_step();
	AS(dom0);
	host.between = between;
	host.preempt_every = every;
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
}

static long fork_with(void (*what)(void), unsigned int step)
{
	long rc;

	AS(dom0);
	steps = step;
	at_step = what;
	host.preempt_every = 1;
	host.between = meanwhile;
	rc = fork_domain(3, 1);
	host.between = NULL;
	host.preempt_every = 0;
	return rc;
}

static void destroy_child(void)
{
	domctl(3, XEN_DOMCTL_destroydomain, NULL);
}

static void destroy_parent(void)
{
	domctl(1, XEN_DOMCTL_destroydomain, NULL);
}

static void fork_too(void)
{
	assert_int_equal(fork_domain(4, 1), -EBUSY);
	assert_int_equal(fork_domain(4, 3), -EINVAL);
	assert_int_equal(fork_domain(3, 2), -EINVAL);
}

/* The parent stands still, and what others write to it is not seen by its copy. */
static void write_to_parent(void)
{
	assert_true(READ_ONCE(u1->pause_count) > 0);
	assert_int_equal(domctl(3, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	for (gfn_t gfn = LARGE_GFN; gfn < LARGE_GFN + 1024; gfn += 512) {
		if (is_shared(u1, gfn))
			store(u1, gfn, 77);
	}
}

/* Whoever ends in the middle, the other one has its memory. */
static void ends_in_the_middle(void **state)
{
	static void (*const what[])(void) = { destroy_child, destroy_parent, fork_too };

	for (unsigned int i = 0; i < 16 * ARRAY_SIZE(what); i++) {
		/* The first frames of that GiB, and the last steps: the RAM and the end, where each hole in a table is a step */
		unsigned int w = i / 16, step = i % 16 < 8 ? i % 16 : 248 + i % 16;
		struct domain *c;
		long rc;

		fill(2);
		grant_access(u1, 9, 2, LARGE_GFN + 9, 0);
		AS(u2);
		assert_int_equal(map_grant(1, 9, AT, 0, NULL), GNTST_okay);
		c = make_child(3, u1);
		make_child(4, u1);
		/* Both might go: held, to be looked at */
		domain_hold(c);
		domain_hold(u1);
		rc = fork_with(what[w], step);
		if (what[w] == fork_too)
			assert_int_equal(rc, 0);
		assert_int_equal(c->image_busy + u1->image_busy, 0);
		if (!u1->dying)
			assert_int_equal(u1->pause_count, 0);
		if (!u1->dying && c->dying) {
			assert_int_equal(u1->tot_pages, U_PAGES + 2 * 512);
			assert_null(u1->image);
		}
		if (!c->dying && !rc)
			assert_int_equal(load(c, LARGE_GFN + 1000), pattern(LARGE_GFN + 1000));
		if (!c->dying && !u1->dying)
			check_world();
		domain_put(c);
		domain_put(u1);
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

static void nobody_comes_between(void **state)
{
	for (unsigned int step = 0; step < 8; step++) {
		struct domain *c;

		fill(2);
		c = make_child(3, u1);
		assert_int_equal(fork_with(write_to_parent, step), 0);
		for (gfn_t i = 0; i < 1024; i++)
			assert_int_equal(load(c, LARGE_GFN + i), pattern(LARGE_GFN + i));
		assert_int_equal(load(c, RAM_GFN), pattern(RAM_GFN));
		assert_int_equal(u1->pause_count, 0);
		check_world();
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

/* A fence comes between the new page and the right to write to it. */
static mfn_t old_mfn;

static void see_the_copy(void)
{
	struct p2m_entry e;

	assert_true(p2m_lookup(u1, LARGE_GFN + 5, &e));
	assert_int_not_equal(e.mfn, old_mfn);
	assert_int_equal(e.access, P2M_R | P2M_X);
	assert_int_equal(*(u64 *)arch_mfn_to_virt(e.mfn), pattern(LARGE_GFN + 5));
}

static void fenced_before_it_is_written(void **state)
{
	struct p2m_entry e;

	fill(1);
	must_fork(3, u1);
	assert_true(p2m_lookup(u1, LARGE_GFN + 5, &e));
	old_mfn = e.mfn;
	host.on_flush = see_the_copy;
	assert_int_equal(image_unshare(u1, LARGE_GFN + 5), 0);
	assert_null(host.on_flush);
	assert_true(host_touch(u1, LARGE_GFN + 5, true));
}

/* ---- another hart comes between a look and what follows it ---- */

static mfn_t given_up;

static mfn_t mfn_at(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;

	assert_true(p2m_lookup(d, gfn, &e));
	return e.mfn;
}

/* u2 populates until it has that page. */
static void u2_gets(mfn_t mfn)
{
	gfn_t gfn = HOLE;

	u2->max_pages = RAM_PAGES;
	AS(u2);
	do {
		assert_int_equal(populate(DOMID_SELF, ++gfn, 0), 1);
	} while (mfn_at(u2, gfn) != mfn);
}

static void last_one_goes(void)
{
	AS(dom0);
	assert_int_equal(domctl(3, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_null(u1->image);
	u2_gets(given_up);
	AS(u1);
}

/* What nobody else sees is freed with the image, and somebody else's before the hart that has unmapped it goes on. */
static void given_up_as_all_comes_back(void **state)
{
	struct page *pg;

	fill(1);
	must_fork(3, u1);
	given_up = mfn_at(u1, RAM_GFN + 1);
	pg = mfn_to_page(given_up);
	host.after_unmap = last_one_goes;
	AS(u1);
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 1, 0), 1);
	assert_null(host.after_unmap);
	assert_int_equal(pg->state, PAGE_OWNED);
	assert_ptr_equal(pg->owner, u2);
	assert_int_equal(pg->count, 1);
	assert_true(pg->alloc_ref);
	assert_int_equal(u1->shared_pages + u1->reserved_pages, 0);
	check_world();
}

static void child_ends(void)
{
	destroy_child();
	assert_null(u1->image);
}

/* The page was shared at the first look, and there is no image any more at the second. */
static void found_as_all_comes_back(void **state)
{
	unsigned int access = 0;
	struct page *pg;

	fill(1);
	must_fork(3, u1);
	host.after_get = child_ends;
	pg = p2m_get_page(u1, RAM_GFN + 1, &access);
	assert_null(host.after_get);
	assert_non_null(pg);
	assert_int_equal(access, P2M_RWX);
	page_put(pg);
	check_world();
}

/* A copy takes its time, with a fence: there is a look for something more urgent behind each. */
static void one_copy_in_a_batch(void **state)
{
	struct gnttab_map_grant_ref map[4];

	fill(1);
	must_fork(3, u1);
	for (unsigned int i = 0; i < 4; i++) {
		grant_access(u1, 10 + i, 2, RAM_GFN + 10 + i, 0);
		map[i] = (struct gnttab_map_grant_ref){ .host_addr = (AT + i) << PAGE_SHIFT,
							.flags = GNTMAP_host_map,
							.ref = 10 + i,
							.dom = 1 };
	}
	AS(u2);
	host.preempt_every = 1;
	host.restarts = 0;
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, map, 4), 0);
	host.preempt_every = 0;
	assert_int_equal(host.restarts, 3);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(map[i].status, GNTST_okay);
		assert_int_equal(unmap_grant(map[i].handle, AT + i), GNTST_okay);
	}
	check_world();
}

static void it_becomes_anothers(void)
{
	AS(u1);
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 1, 0), 1);
	u2_gets(given_up);
	must_fork(4, u2);
	assert_int_equal(mfn_to_page(given_up)->state, PAGE_SHARED);
	AS(dom0);
}

/* A page of its own that is read goes, and becomes another image's. */
static void read_as_it_goes(void **state)
{
	static u8 page[PAGE_SIZE] __aligned(8);
	u64 gfn = RAM_GFN + 1;
	u8 kind = 77;
	struct xen_domctl c = { .u.pavise_memory = { .op = PAVISE_MEMORY_read,
						     .count = 1,
						     .gfns = U(&gfn),
						     .pages = U(page),
						     .kinds = U(&kind) } };

	fill(1);
	must_fork(3, u1);
	store(u1, gfn, 1);
	given_up = mfn_at(u1, gfn);
	host.after_next = it_becomes_anothers;
	assert_int_equal(domctl(1, PAVISE_DOMCTL_memory, &c), 0);
	assert_null(host.after_next);
	assert_int_equal(kind, PAVISE_MEMORY_hole);
	check_world();
}

/* ---- the log ---- */

static u8 bitmap[(RAM_GFN + U_PAGES) / 8 + 64];

static u32 shadow(domid_t dom, u32 op, u32 mode)
{
	struct xen_domctl c = { .u.shadow_op = {
					.op = op, .mode = mode, .pages = RAM_GFN + U_PAGES } };

	memset(bitmap, 0, sizeof(bitmap));
	set_xen_guest_handle(c.u.shadow_op.dirty_bitmap,
			     op == XEN_DOMCTL_SHADOW_OP_CLEAN ? bitmap : NULL);
	assert_int_equal(domctl(dom, XEN_DOMCTL_shadow_op, &c), 0);
	return c.u.shadow_op.stats.dirty_count;
}

static void a_log_of_a_fork(void **state)
{
	struct domain *c;

	fill(1);
	c = must_fork(3, u1);
	for (unsigned int i = 0; i < 2; i++) {
		domid_t id = i ? 3 : 1;

		shadow(id, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0);
		assert_int_equal(shadow(id, XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 0);
	}
	store(u1, LARGE_GFN + 3, 1);
	store(u1, RAM_GFN + 3, 1);
	store(c, RAM_GFN + 4, 1);
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 2);
	assert_true(bitmap[(LARGE_GFN + 3) / 8] & BIT((LARGE_GFN + 3) % 8));
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL),
			 0);
	assert_int_equal(shadow(3, XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 1);
	assert_true(bitmap[(RAM_GFN + 4) / 8] & BIT((RAM_GFN + 4) % 8));
	assert_true(is_shared(c, LARGE_GFN + 3));
	for (unsigned int i = 0; i < 2; i++)
		shadow(i ? 3 : 1, XEN_DOMCTL_SHADOW_OP_OFF, 0);
	check_world();
	assert_int_equal(load(c, LARGE_GFN + 3), pattern(LARGE_GFN + 3));
	kill_domain(c);
	check_world();
}

static void a_fork_of_a_logged_one(void **state)
{
	struct domain *c;

	fill(1);
	shadow(1, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0);
	store(u1, RAM_GFN + 3, 1);
	store(u1, LARGE_GFN + 3, 1);
	/* Another's write, which only the page's mark tells of */
	AS(u2);
	grant_access(u1, 9, 2, RAM_GFN + 9, 0);
	{
		u32 handle;

		assert_int_equal(map_grant(1, 9, AT, 0, &handle), GNTST_okay);
		*(u64 *)guest_page(u2, AT) = 9;
		assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
	}
	c = must_fork(3, u1);
	assert_true(is_shared(u1, RAM_GFN + 9));
	assert_int_equal(load(c, RAM_GFN + 9), 9);
	store(u1, RAM_GFN + 5, 1);
	store(c, RAM_GFN + 6, 1);
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 4);
	assert_true(bitmap[(RAM_GFN + 9) / 8] & BIT((RAM_GFN + 9) % 8));
	assert_true(bitmap[(LARGE_GFN + 3) / 8] & BIT((LARGE_GFN + 3) % 8));
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 0);
	/* The copy has no log. */
	shadow(3, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0);
	assert_int_equal(shadow(3, XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 0);
	kill_domain(c);
	check_world();
	shadow(1, XEN_DOMCTL_SHADOW_OP_OFF, 0);
	check_world();
}

/* What a log that fails has not told of what is shared is told by the next, and is nobody's copy for that. */
static void a_log_that_fails(void **state)
{
	struct xen_domctl op = { .u.shadow_op = { .op = XEN_DOMCTL_SHADOW_OP_CLEAN,
						  .pages = RAM_GFN + U_PAGES } };

	fill(1);
	shadow(1, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0);
	store(u1, RAM_GFN + 3, 1);
	store(u1, LARGE_GFN + 3, 1);
	must_fork(3, u1);
	store(u1, RAM_GFN + 4, 1);
	AS(dom0);
	set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, bitmap);
	host.fault_start = U(bitmap) + RAM_GFN / 8;
	host.fault_end = host.fault_start + 1;
	assert_int_equal(domctl(1, XEN_DOMCTL_shadow_op, &op), -EFAULT);
	host.fault_end = host.fault_start = 0;
	assert_true(is_shared(u1, RAM_GFN + 3));
	/* The other one has been told before. */
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0), 2);
	assert_true(bitmap[(RAM_GFN + 3) / 8] & BIT((RAM_GFN + 3) % 8));
	assert_int_equal(u1->tot_pages, 1);
	shadow(1, XEN_DOMCTL_SHADOW_OP_OFF, 0);
	check_world();
}

static void log_the_child(void)
{
	struct xen_domctl op = { .u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY };

	assert_int_equal(domctl(3, XEN_DOMCTL_shadow_op, &op), -EINVAL);
}

/* What it maps comes from the parent, and no log of its own would tell of that. */
static void no_log_of_a_copy_to_be(void **state)
{
	struct domain *c;

	fill(1);
	c = make_child(3, u1);
	shadow(3, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0);
	assert_int_equal(fork_domain(3, 1), -EINVAL);
	shadow(3, XEN_DOMCTL_SHADOW_OP_OFF, 0);
	assert_int_equal(fork_with(log_the_child, 2), 0);
	assert_false(c->log.on || c->log.doing);
	shadow(3, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0);
	shadow(3, XEN_DOMCTL_SHADOW_OP_OFF, 0);
	check_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ends_in_the_middle),
		TEST(nobody_comes_between),
		TEST(fenced_before_it_is_written),
		TEST(given_up_as_all_comes_back),
		TEST(found_as_all_comes_back),
		TEST(one_copy_in_a_batch),
		TEST(read_as_it_goes),
		TEST(a_log_of_a_fork),
		TEST(a_fork_of_a_logged_one),
		TEST(a_log_that_fails),
		TEST(no_log_of_a_copy_to_be),
	};

	return RUN(tests);
}
