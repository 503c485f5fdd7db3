// SPDX-License-Identifier: BSD-2-Clause
/*
 * Images in second-stage tables (arch/riscv64/mm/p2m_image.c): which tables two domains share, that nobody changes one, what is copied when, and fences.
 */
#include "forks.h"
#include "invariants.h"
#include "machine.h"

#define IN_LARGE 300 /* a frame of it */
#define FAR (1UL << 28) /* nothing is there */

static struct domain *c;
static u64 before[512]; /* the shared table, as it was */
static const u64 *shared;

void check_failed(void)
{
}

static int up(void **state)
{
	int rc;

	machine_reset();
	rc = world_up(state);
	u1->max_pages = U_PAGES + 512 + 64;
	AS(u1);
	assert_int_equal(populate(DOMID_SELF, LARGE_GFN, LARGE), 1);
	for (gfn_t i = 0; i < U_PAGES; i++)
		store(u1, RAM_GFN + i, 100 + i);
	store(u1, LARGE_GFN + IN_LARGE, 7);
	c = must_fork(3, u1);
	shared = machine_shared_table(u1, RAM_GFN);
	assert_non_null(shared);
	memcpy(before, shared, sizeof(before));
	return rc;
}

static int down(void **state)
{
	if (shared)
		assert_memory_equal(shared, before, sizeof(before));
	shared = NULL;
	machine_reset();
	return world_down(state);
}

/* What each has of its own is what it counts. */
static u64 tables(struct domain *d)
{
	assert_int_equal(machine_tables_counted(d), machine_tables_found(d));
	return machine_tables_found(d);
}

static unsigned int order_of(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;

	assert_true(machine_translate(d, gfn << PAGE_SHIFT, &e));
	return e.order;
}

static void one_table_for_both(void **state)
{
	assert_ptr_equal(machine_shared_table(c, RAM_GFN), shared);
	assert_int_equal(c->shared_tables, 2);
	assert_int_equal(u1->shared_tables, 2);
	/* Level 1 of each GiB */
	assert_int_equal(tables(c), 2);
	assert_int_equal(tables(u1), 2);
	assert_int_equal(order_of(c, LARGE_GFN), LARGE);
	assert_int_equal(u1->image->nr_tables, 1);
	check_world();
}

static void a_store_copies_table_and_page(void **state)
{
	store(c, RAM_GFN + 3, 1);
	assert_null(machine_shared_table(c, RAM_GFN));
	assert_ptr_equal(machine_shared_table(u1, RAM_GFN), shared);
	assert_int_equal(tables(c), 3);
	assert_int_equal(c->shared_tables, 1);
	assert_int_equal(load(u1, RAM_GFN + 3), 103);
	assert_int_equal(load(c, RAM_GFN + 4), 104);
	/* The next one in it: the page only */
	store(c, RAM_GFN + 4, 1);
	assert_int_equal(tables(c), 3);
	store(c, LARGE_GFN + 5, 1);
	assert_int_equal(tables(c), 4);
	assert_int_equal(c->shared_tables, 0);
	assert_int_equal(order_of(c, LARGE_GFN), 0);
	assert_int_equal(order_of(u1, LARGE_GFN), LARGE);
	assert_int_equal(load(c, LARGE_GFN + IN_LARGE), 7);
	assert_false(host_touch(c, LARGE_GFN + IN_LARGE, true));
	assert_int_equal(c->tot_pages, 3);
	check_world();
}

/* Harts of the domain have the old page still while the entry changes. */
static unsigned int fences;
static mfn_t old_mfn;

static void no_right_yet(void)
{
	struct p2m_entry e;

	assert_true(machine_translate(c, (RAM_GFN + 3) << PAGE_SHIFT, &e));
	assert_int_equal(e.access, P2M_R | P2M_X);
	/* First that of instructions: what is executed there was written before. */
	if (!fences++) {
		assert_int_equal(machine_state.harts_i, BIT(2));
		assert_int_equal(e.mfn, old_mfn);
		return;
	}
	assert_int_not_equal(e.mfn, old_mfn);
	assert_int_equal(*(u64 *)arch_mfn_to_virt(e.mfn), 103);
	/* Nor can another hart go past it. */
	assert_false(machine_p2m_is_free(c));
}

static void fence_before_the_right_to_write(void **state)
{
	struct p2m_entry e;

	assert_true(machine_translate(c, (RAM_GFN + 3) << PAGE_SHIFT, &e));
	old_mfn = e.mfn;
	fences = machine_state.fences_there = 0;
	c->vcpu[0]->running = true;
	c->vcpu[0]->hart = 2;
	machine_state.on_fence = no_right_yet;
	assert_int_equal(image_unshare(c, RAM_GFN + 3), 0);
	machine_state.on_fence = NULL;
	c->vcpu[0]->running = false;
	assert_int_equal(fences, 2);
	assert_int_equal(machine_state.fences_i_there, 1);
	assert_int_equal(machine_state.fences_there, 1);
	assert_int_equal(machine_state.harts, BIT(2));
	assert_true(machine_translate(c, (RAM_GFN + 3) << PAGE_SHIFT, &e));
	assert_int_equal(e.access, P2M_RWX);
}

/* What was remembered of the last look leads nowhere into what is shared by now. */
static void nothing_is_mapped_in_it(void **state)
{
	struct domain *q;
	gfn_t hole = RAM_GFN + U_PAGES + 7;

	/* Look, fork, map: by the table that was looked at */
	store(c, RAM_GFN + 3, 1);
	assert_true(p2m_allows(c, RAM_GFN + 3, P2M_W));
	q = must_fork(4, c);
	assert_non_null(machine_shared_table(q, RAM_GFN));
	assert_int_equal(p2m_map(c, hole, RAM_BASE_MFN, 0, P2M_SPECIAL, P2M_RW), 0);
	assert_false(p2m_allows(q, hole, 0));
	assert_false(p2m_allows(u1, hole, 0));
	assert_true(p2m_allows(c, hole, P2M_RW));
	/* The same under the lock, and several at once */
	assert_true(p2m_allows(q, RAM_GFN + 3, P2M_R));
	p2m_lock(q);
	assert_int_equal(p2m_map_locked(q, hole + 1, RAM_BASE_MFN, P2M_SPECIAL, P2M_RW), 0);
	p2m_unlock(q);
	assert_int_equal(p2m_make_room(u1, ROUND_UP(hole + 8, 8), 3), 0);
	assert_int_equal(p2m_make_room(u1, RAM_GFN, LARGE), -EEXIST);
	assert_int_equal(p2m_map(u1, ROUND_UP(hole + 8, 8), RAM_BASE_MFN, 3, P2M_SPECIAL, P2M_RW),
			 0);
	assert_false(p2m_allows(c, hole + 1, 0));
	assert_false(p2m_allows(q, ROUND_UP(hole + 8, 8), 0));
	for (unsigned int i = 0; i < 3; i++) {
		struct domain *d = i ? i == 1 ? c : q : u1;

		assert_int_equal(load(d, RAM_GFN + 4), 104);
		assert_null(machine_shared_table(d, RAM_GFN));
		tables(d);
	}
	assert_int_equal(p2m_unmap(c, hole, BIT(P2M_SPECIAL), NULL), 0);
	assert_int_equal(p2m_unmap(q, hole + 1, BIT(P2M_SPECIAL), NULL), 0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(p2m_unmap(u1, ROUND_UP(hole + 8, 8) + i, BIT(P2M_SPECIAL), NULL),
				 0);
}

/* Given up by one, there for the other. The page is nobody's to release. */
static void unmapped_by_one(void **state)
{
	struct p2m_entry e;

	AS(c);
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 9, 0), 1);
	assert_int_equal(decrease(DOMID_SELF, LARGE_GFN + 9, 0), 1);
	assert_false(p2m_lookup(c, RAM_GFN + 9, &e));
	assert_false(p2m_lookup(c, LARGE_GFN + 9, &e));
	assert_int_equal(load(u1, RAM_GFN + 9), 109);
	assert_true(is_shared(u1, LARGE_GFN + 9));
	assert_int_equal(tables(c), 4);
	check_world();
	kill_domain(u1);
	check_world();
	/* What it gave up is nowhere. */
	assert_int_equal(c->tot_pages, U_PAGES + 512 - 2);
	shared = NULL;
}

/* Neither a domain's end nor its tables' end is felt by the other. */
static void the_other_one_ends(void **state)
{
	u64 free;

	store(u1, RAM_GFN + 1, 1);
	free = heap_free_pages();
	kill_domain(u1);
	assert_true(heap_free_pages() > free);
	/* The table has become the last one's own, where it was. */
	assert_null(machine_shared_table(c, RAM_GFN));
	assert_int_equal(tables(c), 3);
	assert_int_equal(order_of(c, LARGE_GFN), LARGE);
	for (gfn_t i = 0; i < U_PAGES; i++) {
		assert_int_equal(load(c, RAM_GFN + i), 100 + i);
		assert_true(host_touch(c, RAM_GFN + i, true));
	}
	assert_true(host_touch(c, LARGE_GFN + 511, true));
	assert_null(c->image);
	check_world();
	shared = NULL;
}

/* Whoever has used up its tables with other things can write to all of its memory. */
static void no_tables_left(void **state)
{
	u64 n = 0;

	while (!p2m_map(c, FAR + (n << 18), RAM_BASE_MFN, 0, P2M_SPECIAL, P2M_RW))
		n++;
	assert_true(n > 0);
	for (gfn_t i = 0; i < U_PAGES; i++)
		store(c, RAM_GFN + i, i);
	for (gfn_t i = 0; i < 512; i++)
		store(c, LARGE_GFN + i, i);
	assert_int_equal(c->reserved_pages, 0);
	tables(c);
	/* And with no memory but what is reserved */
	take_all_memory();
	for (gfn_t i = 0; i < U_PAGES; i++)
		store(u1, RAM_GFN + i, i);
	for (gfn_t i = 0; i < 512; i++)
		store(u1, LARGE_GFN + i, i);
	give_memory_back();
	assert_int_equal(u1->reserved_pages, 0);
	while (n--)
		assert_int_equal(p2m_unmap(c, FAR + (n << 18), BIT(P2M_SPECIAL), NULL), 0);
	check_world();
}

static struct log_bits bits;

/* Harts set A of a shared table's leaves; no log of anybody clears it, and none tells of what nobody wrote. */
static void logged(void **state)
{
	c->log.on = true;
	assert_int_equal(p2m_log(c, RAM_GFN, 512, LOG_CLEAR | LOG_SPLIT, &bits), 512);
	assert_int_equal(bits.written[0] | bits.maybe[0], 0);
	machine_ad(false, true);
	assert_int_equal(p2m_log(c, RAM_GFN, 512, LOG_CLEAR | LOG_SPLIT, &bits), 512);
	assert_int_equal(bits.written[0], 0);
	assert_int_equal(bits.maybe[0], ~0UL);
	machine_ad(false, false);
	assert_ptr_equal(machine_shared_table(c, RAM_GFN), shared);
	store(c, RAM_GFN + 3, 1);
	assert_int_equal(p2m_log(c, RAM_GFN, 512, LOG_CLEAR | LOG_SPLIT, &bits), 512);
	assert_int_equal(bits.written[0], BIT(3));
	assert_int_equal(p2m_log(c, RAM_GFN, 512, LOG_CLEAR | LOG_SPLIT, &bits), 512);
	assert_int_equal(bits.written[0], 0);
	/* A large leaf stays one: nobody writes to it. */
	assert_int_equal(p2m_log(c, LARGE_GFN, 512, LOG_CLEAR | LOG_SPLIT, &bits), 512);
	assert_int_equal(order_of(c, LARGE_GFN), LARGE);
	assert_int_equal(p2m_log(c, LARGE_GFN, 512, LOG_CLEAR | LOG_SPLIT, &bits), 512);
	assert_int_equal(bits.written[0], 0);
	store(c, LARGE_GFN + 1, 1);
	assert_int_equal(p2m_log(c, LARGE_GFN, 512, LOG_CLEAR | LOG_SPLIT, &bits), 512);
	assert_int_equal(bits.written[0], BIT(1));
	/* Off: no table of shared leaves becomes a leaf, as the next store would need one again. */
	p2m_log_off(c, RAM_GFN);
	p2m_log_off(c, LARGE_GFN);
	p2m_log_off_end(c);
	c->log.on = false;
	assert_int_equal(order_of(c, LARGE_GFN), 0);
	check_world();
}

/* The first write where harts set no D: the fault's two causes one after the other. */
static void svade(void **state)
{
	c->log.on = true;
	store(c, RAM_GFN + 3, 1);
	assert_int_equal(p2m_log(c, RAM_GFN, 512, LOG_CLEAR, &bits), 512);
	assert_true(machine_log_fault(c, RAM_GFN + 3, P2M_W));
	assert_false(machine_log_fault(c, RAM_GFN + 4, P2M_W));
	assert_int_equal(image_unshare(c, RAM_GFN + 4), 0);
	assert_false(machine_log_fault(c, RAM_GFN + 4, P2M_W));
	assert_int_equal(p2m_log(c, RAM_GFN, 512, LOG_CLEAR, &bits), 512);
	assert_int_equal(bits.written[0], BIT(3) | BIT(4));
	p2m_log_off(c, RAM_GFN);
	p2m_log_off_end(c);
	c->log.on = false;
}

/* A guest's tables are read where they are: nothing is copied for that. */
static void walk_of_shared_tables(void **state)
{
	struct domain *q;
	u64 gpa = 0;

	/* Sv39: the first GiB is that of its RAM. */
	store(u1, RAM_GFN + 10, RAM_GFN << 10 | 0xcf);
	q = must_fork(4, u1);
	AS(q);
	assert_true(machine_walk(q->vcpu[0], 8UL << 60 | (RAM_GFN + 10), 0x1238, true, &gpa));
	assert_int_equal(gpa, (RAM_GFN << PAGE_SHIFT) + 0x1238);
	/* In a large leaf: 7 is V, R and W at frame 0, so its first GiB is what is mapped there. */
	assert_true(
		machine_walk(q->vcpu[0], 8UL << 60 | (LARGE_GFN + IN_LARGE), 0x1238, true, &gpa));
	assert_int_equal(gpa, 0x1238);
	assert_true(is_shared(q, RAM_GFN + 10));
	assert_true(is_shared(q, LARGE_GFN + IN_LARGE));
	assert_int_equal(q->tot_pages, 0);
	check_world();
}

/* What cannot be copied is not tried again and again: not by a hypercall, which would never get on. */
static void faults(void **state)
{
	/* There is RAM: a load that has remembered that there was none */
	store(c, RAM_GFN + 3, 1);
	machine_state.fences_here = 0;
	assert_true(machine_fault(c, RAM_GFN + 3, P2M_R, false));
	assert_true(machine_fault(c, RAM_GFN + 3, P2M_W, false));
	assert_int_equal(machine_state.fences_here, 2);
	assert_false(machine_fault(c, FAR, P2M_R, false));
	/* A load that faults wants to write to a table. */
	for (unsigned int wait = 0; wait < 2; wait++) {
		assert_true(machine_fault(c, RAM_GFN + 4 + wait, P2M_R, wait));
		assert_false(is_shared(c, RAM_GFN + 4 + wait));
	}
	/* One that dies gets no copy. */
	c->dying = DOMDYING_DYING;
	assert_false(machine_fault(c, RAM_GFN + 6, P2M_R, false));
	assert_false(machine_fault(c, RAM_GFN + 6, P2M_W, false));
	c->dying = DOMDYING_ALIVE;
	/* No memory */
	c->overcommits = true;
	heap_unreserve(c, ~0ULL);
	take_all_memory();
	assert_false(machine_fault(c, RAM_GFN + 6, P2M_R, false));
	assert_false(machine_fault(c, RAM_GFN + 6, P2M_W, false));
	assert_true(is_shared(c, RAM_GFN + 6));
	give_memory_back();
	assert_true(machine_fault(c, RAM_GFN + 6, P2M_W, false));
	assert_false(is_shared(c, RAM_GFN + 6));
	check_world();
}

/* While its log is on a domain keeps its tables, for the sake of D, and gives pages only. */
static void a_logged_one_keeps_its_tables(void **state)
{
	u64 own;

	kill_domain(c);
	shared = NULL;
	u1->log.on = true;
	own = tables(u1);
	c = must_fork(3, u1);
	assert_null(machine_shared_table(u1, RAM_GFN));
	assert_null(machine_shared_table(c, RAM_GFN));
	assert_int_equal(tables(u1), own);
	assert_int_equal(tables(c), 3);
	assert_true(is_shared(c, RAM_GFN + 3));
	assert_int_equal(u1->image->nr_tables, 0);
	u1->log.on = false;
	check_world();
}

#define UP_DOWN(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UP_DOWN(one_table_for_both),
		UP_DOWN(a_store_copies_table_and_page),
		UP_DOWN(fence_before_the_right_to_write),
		UP_DOWN(nothing_is_mapped_in_it),
		UP_DOWN(unmapped_by_one),
		UP_DOWN(the_other_one_ends),
		UP_DOWN(no_tables_left),
		UP_DOWN(logged),
		UP_DOWN(svade),
		UP_DOWN(faults),
		UP_DOWN(walk_of_shared_tables),
		UP_DOWN(a_logged_one_keeps_its_tables),
	};

	return RUN(tests);
}
