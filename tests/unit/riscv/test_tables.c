// SPDX-License-Identifier: BSD-2-Clause
/*
 * Second-stage tables (arch/riscv64/mm/p2m.c): what hardware finds in them, what is left when memory runs out, when they are
 * fenced, and that all of them go.
 */
#include "host.h"
#include "machine.h"

#define FAR (1UL << 28) /* a GiB of its own, for all sizes */
#define LAST_GFN ((1UL << 29) - 1)
#define MFN RAM_BASE_MFN /* aligned to 1 GiB */

static int up(void **state)
{
	machine_reset();
	return world_up(state);
}

static int down(void **state)
{
	machine_reset();
	return world_down(state);
}

static int map(gfn_t gfn, mfn_t mfn, unsigned int order)
{
	return p2m_map(u1, gfn, mfn, order, P2M_SPECIAL, P2M_RW);
}

static int unmap(gfn_t gfn)
{
	return p2m_unmap(u1, gfn, BIT(P2M_SPECIAL), NULL);
}

static bool is_mapped(gfn_t gfn)
{
	struct p2m_entry e;

	return machine_translate(u1, gfn << PAGE_SHIFT, &e);
}

/* 2^order frames from gfn on are MFN's, by leaves of that order. */
static void assert_range(gfn_t gfn, unsigned int order, unsigned int leaf)
{
	struct p2m_entry e;

	for (u64 i = 0; i < BIT(order); i++) {
		assert_true(machine_translate(u1, (gfn + i) << PAGE_SHIFT, &e));
		assert_int_equal(e.mfn, MFN + i);
		assert_int_equal(e.order, leaf);
		assert_int_equal(e.access, P2M_RW);
		assert_int_equal(e.type, P2M_SPECIAL);
	}
}

static u64 tables(void)
{
	assert_int_equal(machine_tables_counted(u1), machine_tables_found(u1));
	return machine_tables_found(u1);
}

/* ---- sizes ---- */

static void all_sizes(void **state)
{
	const struct {
		unsigned int order, leaf, tables;
	} sizes[] = {
		{ 0, 0, 2 },  { 4, 0, 2 },  { 8, 0, 2 },   { 9, 9, 1 },
		{ 12, 9, 1 }, { 17, 9, 1 }, { 18, 18, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		gfn_t gfn = FAR + (i << 18);
		u64 before = tables();

		assert_int_equal(map(gfn, MFN, sizes[i].order), 0);
		assert_range(gfn, sizes[i].order, sizes[i].leaf);
		assert_false(is_mapped(gfn + BIT(sizes[i].order)));
		assert_false(is_mapped(gfn - 1) && sizes[i].order != 18 && i);
		assert_int_equal(tables() - before, sizes[i].tables);
		assert_int_equal(p2m_max_gfn(u1), gfn + BIT(sizes[i].order) - 1);
		/* Nothing twice, at any size */
		for (unsigned int order = 0; order <= 18; order++)
			assert_int_equal(map(gfn, MFN, order), -EEXIST);
		assert_range(gfn, sizes[i].order, sizes[i].leaf);
	}
	/* A new mapping is no reason for a fence. */
	assert_int_equal(machine_state.fences_here + machine_state.fences_there, 0);
}

static void what_cannot_be(void **state)
{
	struct p2m_entry e;

	assert_int_equal(map(FAR + 1, MFN, LARGE), -EINVAL);
	assert_int_equal(map(FAR, MFN + 1, LARGE), -EINVAL);
	assert_int_equal(map(FAR + 256, MFN, LARGE), -EINVAL);
	assert_int_equal(map(FAR, MFN + 512, HUGE_ORDER), -EINVAL);
	assert_int_equal(map(FAR, MFN, 19), -EINVAL);
	assert_int_equal(map(FAR, MFN, ~0U), -EINVAL);
	assert_int_equal(map(LAST_GFN + 1, MFN, 0), -EINVAL);
	assert_int_equal(map(~0UL, MFN, 0), -EINVAL);
	assert_int_equal(unmap(LAST_GFN + 1), -ENOENT);
	assert_int_equal(unmap(~0UL), -ENOENT);
	assert_int_equal(p2m_make_room(u1, LAST_GFN + 1, 0), -EINVAL);
	assert_int_equal(p2m_make_room(u1, FAR, 10), -EINVAL);
	assert_int_equal(p2m_make_room(u1, FAR + 1, LARGE), -EINVAL);
	assert_false(p2m_allows(u1, LAST_GFN + 1, 0));
	assert_null(p2m_get_page(u1, LAST_GFN + 1, NULL));
	assert_null(p2m_get_page(u1, FAR, NULL));
	assert_int_equal(map(LAST_GFN, MFN, 0), 0);
	assert_true(machine_translate(u1, LAST_GFN << PAGE_SHIFT | 0xfff, &e));
	assert_int_equal(e.mfn, MFN);
	/* Only who owns what is there may take it away; and a device is no page. */
	assert_int_equal(p2m_unmap(u1, LAST_GFN, BIT(P2M_RAM) | BIT(P2M_GRANT) | BIT(P2M_FOREIGN),
				   NULL),
			 -EBUSY);
	assert_null(p2m_get_page(u1, LAST_GFN, NULL));
	assert_int_equal(unmap(LAST_GFN), 0);
	assert_int_equal(unmap(LAST_GFN), -ENOENT);
}

static void rights(void **state)
{
	const unsigned int some[] = { P2M_R, P2M_RW, P2M_R | P2M_X, P2M_RWX };
	struct p2m_entry e;

	for (unsigned int type = P2M_RAM; type <= P2M_SPECIAL; type++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(some); i++) {
			assert_int_equal(p2m_map(u1, FAR, MFN + 7, 0, type, some[i]), 0);
			assert_true(machine_translate(u1, FAR << PAGE_SHIFT, &e));
			assert_int_equal(e.access, some[i]);
			assert_int_equal(e.type, type);
			for (unsigned int want = 0; want <= P2M_RWX; want++)
				assert_int_equal(p2m_allows(u1, FAR, want), !(want & ~some[i]));
			assert_int_equal(p2m_unmap(u1, FAR, BIT(type), &e), 0);
			assert_int_equal(e.mfn, MFN + 7);
			assert_int_equal(e.access, some[i]);
			assert_int_equal(e.type, type);
		}
	}
	assert_false(p2m_allows(u1, FAR, 0));
}

/* ---- splits, and back ---- */

static void one_frame_of_a_gib(void **state)
{
	gfn_t at = FAR + 3 * 512 + 5;
	struct p2m_entry e;
	u64 before = tables();

	assert_int_equal(map(FAR, MFN, HUGE_ORDER), 0);
	assert_int_equal(p2m_unmap(u1, at, BIT(P2M_SPECIAL), &e), 0);
	assert_int_equal(e.mfn, MFN + 3 * 512 + 5);
	assert_int_equal(e.order, 0);
	assert_int_equal(e.access, P2M_RW);
	assert_int_equal(tables() - before, 2);
	for (gfn_t gfn = FAR; gfn < FAR + BIT(18); gfn++) {
		bool near = gfn / 512 == at / 512;

		assert_int_equal(machine_translate(u1, gfn << PAGE_SHIFT, &e), gfn != at);
		if (gfn == at)
			continue;
		assert_int_equal(e.mfn, MFN + (gfn - FAR));
		assert_int_equal(e.order, near ? 0 : LARGE);
		assert_int_equal(e.access, P2M_RW);
		assert_int_equal(e.type, P2M_SPECIAL);
	}
	/* Another frame in its place, and one of another 2 MiB */
	assert_int_equal(map(at, MFN + 77, 0), 0);
	assert_int_equal(
		p2m_replace(u1, FAR + 512, BIT(P2M_SPECIAL), MFN + 9, P2M_GRANT, P2M_R, &e), 0);
	assert_int_equal(e.mfn, MFN + 512);
	assert_int_equal(tables() - before, 3);
	assert_true(machine_translate(u1, (FAR + 512) << PAGE_SHIFT, &e));
	assert_int_equal(e.mfn, MFN + 9);
	assert_int_equal(e.type, P2M_GRANT);
	assert_int_equal(e.access, P2M_R);
	assert_true(machine_translate(u1, (FAR + 513) << PAGE_SHIFT, &e));
	assert_int_equal(e.mfn, MFN + 513);
	/* A type that may not go is not split for it. */
	assert_int_equal(p2m_unmap(u1, FAR + 1024, BIT(P2M_RAM), NULL), -EBUSY);
	assert_int_equal(tables() - before, 3);
}

/* The table that 512 small leaves have left is in nobody's way, and is fenced before it may be another's. */
static struct page *watched;

static void assert_not_free(void)
{
	assert_int_equal(watched->state, PAGE_HYP);
	assert_false(is_mapped(FAR));
}

static struct page *level_0_table(void)
{
	struct page *last = NULL;

	/* The pages that were taken are the last two tables: the one whose entries are MFN's */
	for (mfn_t m = RAM_BASE_MFN; m < RAM_BASE_MFN + RAM_PAGES; m++) {
		struct page *pg = mfn_to_page(m);
		u64 *word = page_to_virt(pg);

		if (pg->state == PAGE_HYP && word[1] >> 10 == MFN + 1 && word[2] >> 10 == MFN + 2 &&
		    word[511] >> 10 == MFN + 511)
			last = pg;
	}
	return last;
}

static void small_ones_make_room(void **state)
{
	struct vcpu *v = u1->vcpu[0];

	for (unsigned int how = 0; how < 2; how++) {
		u64 before;

		assert_int_equal(map(FAR + 512, MFN, 0), 0); /* the way there */
		before = tables();
		for (unsigned int i = 0; i < 512; i++)
			assert_int_equal(map(FAR + i, MFN + i, 0), 0);
		assert_int_equal(tables() - before, 1);
		assert_range(FAR, LARGE, 0);
		watched = level_0_table();
		assert_non_null(watched);
		assert_int_equal(p2m_make_room(u1, FAR, LARGE), -EEXIST);
		for (unsigned int i = 0; i < 511; i++)
			assert_int_equal(unmap(FAR + i), 0);
		assert_int_equal(map(FAR, MFN, LARGE), -EEXIST);
		assert_int_equal(p2m_make_room(u1, FAR, LARGE), -EEXIST);
		assert_int_equal(p2m_make_room(u1, FAR + 496, 4), -EEXIST);
		assert_int_equal(p2m_make_room(u1, FAR + 480, 4), 0);
		assert_int_equal(unmap(FAR + 511), 0);
		assert_int_equal(tables() - before, 1);
		/* Several large leaves want no table in their way at all. */
		assert_int_equal(unmap(FAR + 512), 0);
		assert_int_equal(map(FAR, MFN, LARGE + 1), -EEXIST);
		v->running = true;
		v->hart = 2;
		machine_state =
			(struct machine_state){ .pages_left = 0, .on_fence = assert_not_free };
		assert_int_equal(how ? p2m_make_room(u1, FAR, LARGE) : map(FAR, MFN, LARGE), 0);
		assert_int_equal(machine_state.fences_there, 1);
		assert_int_equal(machine_state.harts, BIT(2));
		machine_reset();
		v->running = false;
		assert_int_not_equal(watched->state, PAGE_HYP);
		assert_int_equal(tables(), before);
		if (how) {
			assert_false(is_mapped(FAR));
			assert_int_equal(map(FAR, MFN, LARGE), 0);
		}
		assert_range(FAR, LARGE, LARGE);
		assert_int_equal(p2m_make_room(u1, FAR, LARGE), -EEXIST);
		/* Apart again, for the next turn */
		for (unsigned int i = 0; i < 512; i++)
			assert_int_equal(unmap(FAR + i), 0);
		assert_int_equal(p2m_make_room(u1, FAR, LARGE), 0);
	}
}

/* ---- memory runs out ---- */

static void no_memory_to_map(void **state)
{
	const struct {
		unsigned int order, needs;
	} sizes[] = { { 0, 2 }, { 3, 2 }, { LARGE, 1 }, { 11, 1 }, { HUGE_ORDER, 0 } };
	gfn_t gfn = FAR;

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned int n = 0; n < sizes[i].needs; n++, gfn += BIT(18)) {
			u64 before = tables();

			machine_state.pages_left = n;
			assert_int_equal(map(gfn, MFN, sizes[i].order), -ENOMEM);
			machine_state.pages_left = -1;
			for (unsigned int f = 0; f < BIT(sizes[i].order); f++)
				assert_false(is_mapped(gfn + f));
			/* What there is of tables is counted, and p2m_teardown() will come by. */
			assert_int_equal(tables() - before, n);
			assert_true(p2m_max_gfn(u1) >= gfn + BIT(sizes[i].order) - 1);
			/* Tried again with enough, it needs the rest only. Every other one stays as it is. */
			if (i & 1)
				continue;
			machine_state.pages_left = sizes[i].needs - n;
			assert_int_equal(map(gfn, MFN, sizes[i].order), 0);
			machine_state.pages_left = -1;
			assert_range(gfn, sizes[i].order, sizes[i].order < LARGE ? 0 : LARGE);
		}
	}
	machine_state.pages_left = 0;
	assert_int_equal(map(gfn, MFN, HUGE_ORDER), 0);
	machine_state.pages_left = -1;
}

static void no_memory_to_split(void **state)
{
	struct vcpu *v = u1->vcpu[0];
	struct p2m_entry e = { .mfn = 1234 };
	u64 before = tables();

	v->running = true;
	v->hart = 2;
	assert_int_equal(map(FAR, MFN, HUGE_ORDER), 0);
	for (unsigned int n = 0; n < 2; n++) {
		machine_state.pages_left = 0;
		assert_int_equal(p2m_unmap(u1, FAR + 700, BIT(P2M_SPECIAL), &e), -ENOMEM);
		assert_int_equal(p2m_replace(u1, FAR + 700, BIT(P2M_SPECIAL), MFN, P2M_RAM, P2M_R,
					     &e),
				 -ENOMEM);
		assert_int_equal(e.mfn, 1234);
		assert_int_equal(tables() - before, n);
		/* All of it is there as before, if by other leaves. */
		assert_range(FAR, HUGE_ORDER, n ? LARGE : HUGE_ORDER);
		if (n)
			break;
		machine_state.pages_left = 1;
		assert_int_equal(p2m_unmap(u1, FAR + 700, BIT(P2M_SPECIAL), &e), -ENOMEM);
	}
	/* Nothing has changed for the guest: no fence */
	assert_int_equal(machine_state.fences_here + machine_state.fences_there, 0);
	machine_state.pages_left = 1;
	assert_int_equal(p2m_unmap(u1, FAR + 700, BIT(P2M_SPECIAL), &e), 0);
	assert_int_equal(e.mfn, MFN + 700);
	assert_int_equal(machine_state.fences_there, 1);
	v->running = false;
}

/* A guest's tables have a bound, whatever memory there is: 512, and one for 256 pages that it may have. */
static void tables_have_a_bound(void **state)
{
	u64 most = 512 + u1->max_pages / 256, n = 0;
	u64 before = tables();
	int rc;

	while (!(rc = map(FAR + (n << 18), MFN, 0)))
		n++;
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(tables(), most);
	assert_int_equal(n, (most - before) / 2);
	/* What needs none goes on. */
	assert_int_equal(map(FAR + 1, MFN, 0), 0);
	assert_int_equal(map(FAR + (1000UL << 18), MFN, HUGE_ORDER), 0);
	assert_int_equal(p2m_unmap(u1, FAR + (1000UL << 18), BIT(P2M_SPECIAL), NULL), -ENOMEM);
	/* Less than before is no reason to take tables away, nor to give more. */
	u1->max_pages = 0;
	assert_int_equal(map(FAR + 2, MFN, 0), 0);
	assert_int_equal(map(FAR + (900UL << 18), MFN, 0), -ENOMEM);
	u1->max_pages = 65536;
	assert_int_equal(map(FAR + (900UL << 18), MFN, 0), 0);
}

/* ---- fences ---- */

static void assert_gone(void)
{
	assert_false(is_mapped(FAR));
	/* Nobody waits for another's hart under the lock. */
	assert_true(machine_p2m_is_free(u1));
}

static void assert_replaced(void)
{
	struct p2m_entry e;

	assert_true(machine_translate(u1, FAR << PAGE_SHIFT, &e));
	assert_int_equal(e.mfn, MFN + 2);
	assert_true(machine_p2m_is_free(u1));
}

static void runs(struct vcpu *v, bool is, unsigned int hart)
{
	v->running = is;
	v->hart = hart;
}

/* Unmaps and replaces while the vCPUs run as they do: so many fences here and by the firmware. */
static void assert_fences(unsigned int here, unsigned int there, u64 harts)
{
	assert_int_equal(map(FAR, MFN, 0), 0);
	machine_reset();
	machine_state.on_fence = assert_replaced;
	assert_int_equal(p2m_replace(u1, FAR, BIT(P2M_SPECIAL), MFN + 2, P2M_SPECIAL, P2M_R, NULL),
			 0);
	assert_int_equal(machine_state.fences_here, here);
	assert_int_equal(machine_state.fences_there, there);
	assert_int_equal(machine_state.harts, harts);
	machine_reset();
	machine_state.on_fence = assert_gone;
	assert_int_equal(unmap(FAR), 0);
	assert_int_equal(machine_state.fences_here, here);
	assert_int_equal(machine_state.fences_there, there);
	assert_int_equal(machine_state.harts, harts);
	/* What changes nothing */
	assert_int_equal(unmap(FAR), -ENOENT);
	assert_int_equal(map(FAR, MFN, 0), 0);
	assert_int_equal(map(FAR, MFN, 0), -EEXIST);
	assert_int_equal(p2m_unmap(u1, FAR, BIT(P2M_RAM), NULL), -EBUSY);
	assert_int_equal(p2m_make_room(u1, FAR, 0), -EEXIST);
	assert_true(p2m_allows(u1, FAR, P2M_W));
	assert_int_equal(machine_state.fences_here + machine_state.fences_there, here + there);
	machine_reset();
	assert_int_equal(unmap(FAR), 0);
	machine_reset();
}

/*
 * With VMIDs: those of the domain that are not the one here are marked, wherever they are; that one is fenced by its number, so
 * that others' translations on this hart stay; harts elsewhere are fenced as ever.
 */
static void fences_with_vmids(void **state)
{
	static const struct {
		bool first_runs, second_runs;
		unsigned int first_hart, second_hart;
		u64 marked;
		unsigned int here, there;
		u64 harts;
	} cases[] = {
		{ false, false, 0, 0, 3, 0, 0, 0 },
		{ false, true, 0, 2, 3, 0, 1, BIT(2) },
		{ true, true, 1, 2, 3, 0, 1, BIT(1) | BIT(2) },
		/* Its hart is this one by now, if it was another when it was seen to run: it is marked. */
		{ false, true, 0, 0, 3, 1, 0, 0 },
	};
	bool is;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		runs(u1->vcpu[0], cases[i].first_runs, cases[i].first_hart);
		runs(u1->vcpu[1], cases[i].second_runs, cases[i].second_hart);
		machine_reset();
		assert_int_equal(machine_flush_with_vmids(u1, 5), cases[i].marked);
		assert_int_equal(machine_state.fences_here, 0);
		assert_int_equal(machine_state.fences_of_vmid, cases[i].here);
		assert_int_equal(machine_state.fences_there, cases[i].there);
		assert_int_equal(machine_state.harts, cases[i].harts);
		assert_int_equal(machine_state.fences_i_here + machine_state.fences_i_there, 0);
		/* Of instructions, at the same harts */
		machine_reset();
		assert_int_equal(machine_fence_i_with_vmids(u1, 5), cases[i].marked);
		assert_int_equal(machine_state.fences_i_here, cases[i].here);
		assert_int_equal(machine_state.fences_i_there, cases[i].there);
		assert_int_equal(machine_state.harts_i, cases[i].harts);
		assert_int_equal(machine_state.fences_of_vmid + machine_state.fences_there, 0);
	}
	/* dom0's first vCPU is current. */
	is = dom0->vcpu[0]->running;
	runs(dom0->vcpu[0], true, 0);
	machine_reset();
	assert_int_equal(machine_flush_with_vmids(dom0, 5), 2);
	assert_int_equal(machine_state.fences_of_vmid, 1);
	assert_int_equal(machine_state.vmid, 5);
	assert_int_equal(machine_state.fences_here + machine_state.fences_there, 0);
	assert_int_equal(machine_fence_i_with_vmids(dom0, 5), 2);
	assert_int_equal(machine_state.fences_i_here, 1);
	runs(dom0->vcpu[0], is, 0);
	runs(u1->vcpu[0], false, 0);
	runs(u1->vcpu[1], false, 0);
}

static void fences(void **state)
{
	struct vcpu *v = u1->vcpu[0], *w = u1->vcpu[1];

	assert_false(v->running || w->running);
	assert_fences(0, 0, 0); /* who is loaded later fences then */
	runs(v, true, 0);
	host.hart = 0;
	assert_fences(1, 0, 0);
	runs(v, true, 3);
	assert_fences(0, 1, BIT(3));
	runs(w, true, 0);
	assert_fences(0, 1, BIT(3) | BIT(0));
	runs(v, false, 3);
	assert_fences(1, 0, 0);
	runs(w, false, 0);
	/* Another domain's are not asked. */
	runs(u2->vcpu[0], true, 2);
	assert_fences(0, 0, 0);
	runs(u2->vcpu[0], false, 2);
}

/* ---- the end ---- */

static unsigned int told;

static void tell(struct domain *d, gfn_t gfn, const struct p2m_entry *e)
{
	assert_ptr_equal(d, u1);
	if (e->type == P2M_SPECIAL) {
		assert_int_equal(e->mfn, MFN + (gfn & (BIT(18) - 1)));
		assert_true(IS_ALIGNED(gfn, BIT(e->order)));
		told++;
	}
	assert_false(is_mapped(gfn));
}

/* In steps of so many leaves or holes; nothing is told of twice, and tables go as it passes them. */
static void torn_down_in_steps(unsigned int max)
{
	gfn_t gfn = 0, last;
	unsigned int steps = 0, before;
	u64 left;
	int rc;

	told = 0;
	do {
		last = gfn;
		before = told;
		left = tables();
		rc = p2m_teardown(u1, &gfn, max, tell);
		assert_true(told - before <= max);
		assert_true(tables() <= left);
		assert_true(gfn > last || !rc);
		for (gfn_t at = last; at < gfn; at += 1 + (gfn - last) / 64)
			assert_false(is_mapped(at));
		assert_true(++steps < 1000000);
	} while (rc == -ERESTART);
	assert_int_equal(rc, 0);
	assert_true(steps > p2m_max_gfn(u1) / BIT(18) / max);
	assert_true(tables() < 3); /* of the highest frame, at most */
	assert_int_equal(p2m_teardown(u1, &gfn, max, tell), 0);
}

/* All kinds, and a table with nothing in it behind the last of them: what d9a5b00 mended. */
static void fill(void)
{
	assert_int_equal(map(FAR, MFN, 4), 0);
	assert_int_equal(map(FAR + 512, MFN + 512, LARGE), 0);
	assert_int_equal(map(FAR + BIT(18), MFN, HUGE_ORDER), 0);
	assert_int_equal(unmap(FAR + BIT(18) + 5), 0);
	assert_int_equal(map(FAR + 5 * BIT(18), MFN, 11), 0);
	assert_int_equal(map(FAR + 7 * BIT(18) + 511, MFN + 511, 0), 0);
	for (unsigned int n = 0; n < 2; n++) {
		for (unsigned int i = 0; i < 8; i++) {
			machine_state.pages_left = n;
			assert_int_equal(map(FAR + ((9 + 8 * n + i) << 18) + 600, MFN, 0), -ENOMEM);
		}
	}
	machine_state.pages_left = -1;
}

#define FILLED (16 + 1 + 511 + 511 + 4 + 1) /* leaves */

static void teardown(void **state)
{
	const unsigned int steps[] = { 1, 7, 128, 100000 };
	struct domain *old = u1;

	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
		u1 = make_domain(7, 1, 8);
		fill();
		torn_down_in_steps(steps[i]);
		assert_int_equal(told, FILLED);
		kill_domain(u1);
		u1 = old;
	}
}

/* A domain whose tables ran out of memory in every way ends without a page lost (and p2m_free() finds no tables to speak of). */
static void killed_after_no_memory(void **state)
{
	u64 before = heap_free_pages();
	struct domain *d = make_domain(7, 1, 8), *old = u1;

	u1 = d;
	fill();
	u1 = old;
	kill_domain(d);
	while (heap_scrub(64))
		;
	assert_int_equal(heap_free_pages(), before);
}

#define UP_DOWN(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UP_DOWN(all_sizes),
		UP_DOWN(what_cannot_be),
		UP_DOWN(rights),
		UP_DOWN(one_frame_of_a_gib),
		UP_DOWN(small_ones_make_room),
		UP_DOWN(no_memory_to_map),
		UP_DOWN(no_memory_to_split),
		UP_DOWN(tables_have_a_bound),
		UP_DOWN(fences),
		UP_DOWN(fences_with_vmids),
		UP_DOWN(teardown),
		UP_DOWN(killed_after_no_memory),
	};

	return RUN(tests);
}
