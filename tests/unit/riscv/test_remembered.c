// SPDX-License-Identifier: BSD-2-Clause
/*
 * What p2m_find() (arch/riscv64/include/p2m-inline.h) remembers of the last look: it says what a walk says, whatever was split, merged,
 * dropped or replaced meanwhile, and nothing is looked at that was freed. What is freed is filled with leaves of all that a
 * guest should not get.
 */
#include "host.h"
#include "machine.h"

#define FAR (1UL << 28) /* GiB of their own */
#define GIB BIT(HUGE_ORDER)
#define MFN RAM_BASE_MFN /* aligned to 1 GiB */
#define FRAMES 3 /* 2 MiB frames of a GiB that are used */
#define STOLEN (MFN + 4321)
#define STOLEN_LEAF (STOLEN << 10 | (u64)P2M_FOREIGN << 8 | 0xdf)

static u64 random_state;

static u32 rnd(u32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % n;
}

static int up(void **state)
{
	machine_reset();
	return world_up(state);
}

static void nothing(struct domain *d, gfn_t gfn, const struct p2m_entry *e)
{
}

/* Nobody holds what the tests map. */
static int down(void **state)
{
	gfn_t gfn = FAR;

	machine_reset();
	while (p2m_teardown(u1, &gfn, 1000, nothing))
		;
	return world_down(state);
}

static int map(gfn_t gfn, mfn_t mfn, unsigned int order)
{
	return p2m_map(u1, gfn, mfn, order, P2M_FOREIGN, P2M_RW);
}

static int unmap(gfn_t gfn)
{
	return p2m_unmap(u1, gfn, BIT(P2M_FOREIGN), NULL);
}

/* Freed pages keep it until somebody allocates them. */
static void poison_freed(void)
{
	for (mfn_t m = RAM_BASE_MFN; m < RAM_BASE_MFN + RAM_PAGES; m++) {
		u64 *word = arch_mfn_to_virt(m);

		if (mfn_to_page(m)->state != PAGE_DIRTY || word[511] == STOLEN_LEAF)
			continue;
		for (unsigned int i = 0; i < 512; i++)
			word[i] = STOLEN_LEAF;
	}
}

/* What p2m_find() says is what hardware finds. */
static void assert_same(gfn_t gfn)
{
	struct p2m_entry e;
	bool there = machine_translate(u1, gfn << PAGE_SHIFT, &e);

	for (unsigned int access = P2M_R; access <= P2M_RWX; access <<= 1)
		assert_int_equal(p2m_allows(u1, gfn, access), there && e.access & access);
	assert_ptr_equal(p2m_foreign(u1, gfn),
			 there && e.type == P2M_FOREIGN ? mfn_to_page(e.mfn) : NULL);
	if (!there || e.type != P2M_RAM)
		assert_null(p2m_get_page(u1, gfn, NULL));
}

/* ---- one by one ---- */

static void empty_2m(gfn_t gfn)
{
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(unmap(gfn + i), 0);
	assert_int_equal(p2m_make_room(u1, gfn, LARGE), 0);
}

/* The table of the 2 MiB leaf that was looked at last goes, for a leaf of 1 GiB: its page is another's. */
static void table_of_a_leaf_goes(void **state)
{
	assert_int_equal(map(FAR, MFN, LARGE), 0);
	assert_same(FAR + 5);
	empty_2m(FAR);
	assert_same(FAR + 5);
	assert_int_equal(map(FAR, MFN, HUGE_ORDER), 0);
	poison_freed();
	assert_same(FAR + 5);
	assert_ptr_equal(p2m_foreign(u1, FAR + 5), mfn_to_page(MFN + 5));
	/* And so has the one that is made of the 1 GiB leaf other leaves. */
	assert_int_equal(unmap(FAR + 5), 0);
	assert_same(FAR + 5);
	assert_null(p2m_foreign(u1, FAR + 5));
	assert_same(FAR + 6);
	assert_same(FAR + 512 + 5);
}

/* A leaf becomes a table, a hole, and another leaf in the same place; all are looked at as they are. */
static void leaf_changes_in_place(void **state)
{
	assert_int_equal(map(FAR, MFN, LARGE), 0);
	assert_same(FAR + 7);
	assert_int_equal(unmap(FAR + 8), 0); /* split */
	assert_same(FAR + 7);
	assert_same(FAR + 8);
	assert_int_equal(map(FAR + 8, MFN + 600, 0), 0);
	assert_same(FAR + 8);
	empty_2m(FAR);
	poison_freed();
	assert_same(FAR + 7);
	assert_same(FAR + 8);
	assert_int_equal(map(FAR, MFN + 512, LARGE), 0);
	assert_same(FAR + 7);
	assert_ptr_equal(p2m_foreign(u1, FAR + 8), mfn_to_page(MFN + 512 + 8));
	/* The small leaves' table is back beside the leaf that is remembered: of the two the table counts. */
	assert_int_equal(
		p2m_replace(u1, FAR + 8, BIT(P2M_FOREIGN), MFN + 9, P2M_SPECIAL, P2M_R, NULL), 0);
	assert_same(FAR + 8);
	assert_same(FAR + 9);
}

/* Frame numbers whose upper bits are beyond the address space, with RAM, a leaf or a hole in a table below */
static void beyond_the_address_space(void **state)
{
	const gfn_t below[] = { RAM_GFN, RAM_GFN + U_PAGES, FAR, FAR + 512, FAR + 513 };

	assert_int_equal(map(FAR, MFN, LARGE), 0);
	assert_int_equal(map(FAR + 512, MFN, 0), 0);
	for (unsigned int bit = 29; bit < 64; bit++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(below); i++) {
			gfn_t gfn = below[i] | BIT(bit);

			p2m_allows(u1, below[i], P2M_R); /* remembered */
			assert_false(p2m_allows(u1, gfn, P2M_R));
			assert_null(p2m_foreign(u1, gfn));
			assert_null(p2m_get_page(u1, gfn, NULL));
			assert_int_equal(map(gfn, MFN, 0), -EINVAL);
			p2m_lock(u1);
			assert_null(p2m_get_page_locked(u1, gfn, NULL));
			assert_int_equal(p2m_map_locked(u1, gfn, MFN, P2M_GRANT, P2M_R), -EINVAL);
			p2m_unlock(u1);
		}
	}
	assert_false(p2m_allows(u1, ~0UL, P2M_R));
	assert_null(p2m_get_page(u1, ~0UL, NULL));
}

/* ---- at random ---- */

static gfn_t some_gfn(void)
{
	static const gfn_t in_frame[] = { 0, 1, 8, 511 };

	return FAR + rnd(2) * GIB + rnd(FRAMES) * 512 + in_frame[rnd(4)];
}

static void change_something(void)
{
	static const unsigned int orders[] = { 0, 0, 3, LARGE, LARGE, HUGE_ORDER };
	unsigned int order = orders[rnd(ARRAY_SIZE(orders))];
	gfn_t gfn = some_gfn();

	machine_state.pages_left = rnd(16) ? -1 : (long)rnd(2);
	switch (rnd(8)) {
	case 0:
	case 1:
	case 2:
		gfn &= ~(BIT(order) - 1);
		map(gfn, MFN + rnd(8) * (order < LARGE ? BIT(order) : 512) * (order <= LARGE),
		    order);
		break;
	case 3:
		unmap(gfn);
		break;
	case 4:
		p2m_replace(u1, gfn, BIT(P2M_FOREIGN), MFN + rnd(4096), P2M_FOREIGN, P2M_R, NULL);
		break;
	case 5: /* all of a 2 MiB frame, and its table */
		gfn &= ~511UL;
		for (unsigned int i = 0; i < 512; i++)
			unmap(gfn + i);
		p2m_make_room(u1, gfn, LARGE);
		break;
	case 6: /* all of a GiB but for the tables of its last frame */
		gfn &= ~(GIB - 1);
		for (unsigned int f = 0; f < 512; f++) {
			struct p2m_entry e;

			if (f >= FRAMES &&
			    !machine_translate(u1, (gfn + f * 512) << PAGE_SHIFT, &e))
				continue;
			for (unsigned int i = 0; i < 512; i++)
				unmap(gfn + f * 512 + i);
			p2m_make_room(u1, gfn + f * 512, LARGE);
		}
		break;
	default:
		order = order > LARGE ? LARGE : order;
		p2m_make_room(u1, gfn & ~(BIT(order) - 1), order);
	}
	machine_state.pages_left = -1;
}

static void like_a_walk(void **state)
{
	for (unsigned int seed = 1; seed <= 8; seed++) {
		random_state = seed * 0x9e3779b97f4a7c15UL;
		for (unsigned int step = 0; step < 250; step++) {
			u64 tables = machine_tables_counted(u1);

			assert_same(some_gfn()); /* what is remembered when it changes */
			change_something();
			if (machine_tables_counted(u1) < tables)
				poison_freed();
			for (unsigned int i = 0; i < 12; i++)
				assert_same(some_gfn());
			assert_int_equal(machine_tables_counted(u1), machine_tables_found(u1));
		}
	}
}

/* A domain at its end is still looked at, by who holds it: after each step of the end. */
static void at_the_end(void **state)
{
	gfn_t gfn = FAR - 2;
	int rc;

	assert_int_equal(map(FAR, MFN, LARGE), 0);
	assert_int_equal(map(FAR + 512, MFN + 512, 3), 0);
	assert_int_equal(map(FAR + GIB, MFN, HUGE_ORDER), 0);
	assert_int_equal(map(FAR + 2 * GIB, MFN, LARGE), 0);
	do {
		gfn_t at = max(gfn, FAR);

		assert_same(at);
		assert_same(at - 1);
		assert_same(FAR);
		assert_same(FAR + 514);
		rc = p2m_teardown(u1, &gfn, 1, nothing);
		poison_freed();
		assert_same(at);
		assert_same(FAR + 514);
		assert_same(FAR + 2 * GIB);
	} while (rc == -ERESTART);
	assert_int_equal(rc, 0);
}

#define UP_DOWN(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UP_DOWN(table_of_a_leaf_goes),
		UP_DOWN(leaf_changes_in_place),
		UP_DOWN(beyond_the_address_space),
		UP_DOWN(like_a_walk),
		UP_DOWN(at_the_end),
	};

	return RUN(tests);
}
