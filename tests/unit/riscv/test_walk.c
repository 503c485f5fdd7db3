// SPDX-License-Identifier: BSD-2-Clause
/*
 * guest_walk() (arch/riscv64/mm/p2m.c): a guest's own tables, in any mode, and with anything in them. All is the guest's to
 * write, so what counts is that the walk ends, reads nothing but the guest's own RAM, and holds nothing afterwards.
 */
#include "host.h"
#include "machine.h"

#define PTE_V BIT(0)
#define PTE_R BIT(1)
#define PTE_W BIT(2)
#define PTE_X BIT(3)
#define PTE_U BIT(4)
#define PTE_A BIT(6)
#define PTE_D BIT(7)
#define PTE_N BIT(63)
#define LEAF (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)
#define SV39 8UL
#define SV48 9UL
#define SV57 10UL

/* Tables are u1's pages from RAM_GFN on, the root first; table n's entry for the next one is the one that gva asks for. */
static u64 *table(unsigned int n)
{
	return guest_page(u1, RAM_GFN + n);
}

static unsigned int index_at(u64 gva, unsigned int level)
{
	return gva >> (PAGE_SHIFT + 9 * level) & 511;
}

static u64 vsatp(u64 mode)
{
	return mode << 60 | RAM_GFN;
}

static u64 pointer(gfn_t gfn)
{
	return gfn << 10 | PTE_V;
}

/* All tables of the mode, and pte as the entry for gva at that level. */
static void set_tables(u64 mode, u64 gva, unsigned int level, u64 pte)
{
	unsigned int root = 2 + mode - SV39, n = 0;

	for (unsigned int i = 0; i <= root; i++)
		memset(table(i), 0, PAGE_SIZE);
	for (unsigned int l = root; l > level; l--, n++)
		table(n)[index_at(gva, l)] = pointer(RAM_GFN + n + 1);
	table(n)[index_at(gva, level)] = pte;
}

static bool walk(u64 mode, u64 gva, bool write, u64 *gpa)
{
	u64 other = ~0UL;
	bool found = machine_walk(u1->vcpu[0], vsatp(mode), gva, write, gpa);

	/* One that is on no hart has its tables in its struct. */
	assert_int_equal(machine_walk_saved(u1->vcpu[1], vsatp(mode), gva, write, &other), found);
	if (found)
		assert_int_equal(other, *gpa);
	return found;
}

static bool reads(u64 mode, u64 gva)
{
	u64 gpa;

	return walk(mode, gva, false, &gpa);
}

static bool writes(u64 mode, u64 gva)
{
	u64 gpa;

	return walk(mode, gva, true, &gpa);
}

static int up(void **state)
{
	machine_reset();
	world_up(state);
	AS(u1);
	return 0;
}

static int down(void **state)
{
	for (unsigned int i = 0; i < U_PAGES; i++) {
		struct p2m_entry e;

		/* The allocation's reference and no other: the walk has let go of all. */
		assert_true(p2m_lookup(u1, RAM_GFN + i, &e));
		assert_int_equal(mfn_to_page(e.mfn)->count, 1);
	}
	machine_reset();
	return world_down(state);
}

static void bare(void **state)
{
	u64 gpa;

	assert_true(walk(0, 0x123456789, true, &gpa));
	assert_int_equal(gpa, 0x123456789);
	assert_true(walk(0, ~0UL, true, &gpa));
	assert_int_equal(gpa, ~0UL);
	for (u64 mode = 1; mode < 16; mode++)
		assert_false((mode < SV39 || mode > SV57) && reads(mode, 0));
}

/* Every mode, every size of page, addresses of both halves. */
static void modes_and_sizes(void **state)
{
	for (u64 mode = SV39; mode <= SV57; mode++) {
		unsigned int bits = 39 + 9 * (mode - SV39);
		const u64 gvas[] = { 0,
				     0x12345678,
				     BIT(bits - 1) - 1, /* the last of the lower half */
				     -BIT(bits - 1), /* the first of the upper half */
				     ~0UL,
				     -BIT(bits - 1) | 0x7654321 };

		for (unsigned int level = 0; level < 3 + mode - SV39; level++) {
			u64 size = PAGE_SIZE << 9 * level, at = 3 * size & (BIT(56) - 1), gpa;

			for (unsigned int i = 0; i < ARRAY_SIZE(gvas); i++) {
				set_tables(mode, gvas[i], level, at >> 2 | LEAF);
				assert_true(walk(mode, gvas[i], true, &gpa));
				assert_int_equal(gpa, at | (gvas[i] & (size - 1)));
				/* Its neighbours are not there. */
				assert_false(reads(mode, gvas[i] ^ size));
				/* A large page that is not aligned as it is large is none. */
				set_tables(mode, gvas[i], level, at >> 2 | LEAF | BIT(10));
				assert_int_equal(reads(mode, gvas[i]), !level);
			}
		}
	}
}

/* Addresses that are not a sign-extended number of the mode's size fault, whatever the tables have for their lower bits. */
static void canonical_addresses(void **state)
{
	for (u64 mode = SV39; mode <= SV57; mode++) {
		unsigned int bits = 39 + 9 * (mode - SV39);

		for (unsigned int bit = bits; bit < 64; bit++) {
			u64 low = 0x40201000, high = -BIT(bits - 1) | low;

			set_tables(mode, low, 0, RAM_GFN << 10 | LEAF);
			assert_true(reads(mode, low));
			assert_false(reads(mode, low | BIT(bit)));
			set_tables(mode, high, 0, RAM_GFN << 10 | LEAF);
			assert_true(reads(mode, high));
			assert_false(reads(mode, high & ~BIT(bit)));
		}
		set_tables(mode, BIT(bits - 1), 0, RAM_GFN << 10 | LEAF);
		assert_false(reads(mode, BIT(bits - 1)));
	}
}

static void rights(void **state)
{
	const struct {
		u64 bits;
		bool r, w;
	} pages[] = {
		{ PTE_V | PTE_R, true, false },
		{ PTE_V | PTE_R | PTE_W, true, true },
		{ PTE_V | PTE_R | PTE_X, true, false },
		{ PTE_V | PTE_R | PTE_W | PTE_X, true, true },
		{ PTE_V | PTE_X, false, false },
		{ PTE_V | PTE_W, false, false }, /* reserved */
		{ PTE_V | PTE_W | PTE_X, false, false }, /* reserved */
		{ PTE_R | PTE_W | PTE_X, false, false }, /* not valid */
		{ 0, false, false },
	};
	/*
	 * A and D say what was used, U whose it is: the walk says where a page is, not that a guest may use it at this moment.
	 * The others are for software, the memory's kind (Svpbmt), and reserved.
	 */
	const u64 others[] = { 0, PTE_A, PTE_A | PTE_D, PTE_U | PTE_A | PTE_D, 3UL << 8, 1UL << 61 };

	for (unsigned int level = 0; level < 2; level++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(pages); i++) {
			for (unsigned int o = 0; o < ARRAY_SIZE(others); o++) {
				set_tables(SV39, 0x5000, level, pages[i].bits | others[o]);
				assert_int_equal(reads(SV39, 0x5000), pages[i].r);
				assert_int_equal(writes(SV39, 0x5000), pages[i].w);
			}
		}
	}
}

/* Svnapot: 16 entries that are the same say one 64 KiB page; its place in it is the address's. */
static void napot(void **state)
{
	u64 base = (RAM_GFN | 0x40) & ~15UL, gpa;

	for (unsigned int low = 0; low < 16; low++) {
		for (unsigned int i = 0; i < 16; i++) {
			u64 gva = 0x7f0000 + i * PAGE_SIZE + 0x123;

			set_tables(SV39, gva, 0, (base | low) << 10 | LEAF | PTE_N);
			assert_int_equal(walk(SV39, gva, true, &gpa), low == 8);
			if (low == 8)
				assert_int_equal(gpa, (base << PAGE_SHIFT) + i * PAGE_SIZE + 0x123);
		}
	}
	/* The rights are looked at, and there are no larger ones. */
	set_tables(SV39, 0x7f0000, 0, (base | 8) << 10 | PTE_V | PTE_R | PTE_N);
	assert_true(reads(SV39, 0x7f0000));
	assert_false(writes(SV39, 0x7f0000));
	for (unsigned int level = 1; level < 3; level++) {
		set_tables(SV39, 0x7f0000, level, 8UL << 10 | LEAF | PTE_N);
		assert_false(reads(SV39, 0x7f0000));
		set_tables(SV39, 0x7f0000, level, LEAF | PTE_N);
		assert_false(reads(SV39, 0x7f0000));
	}
}

/* Tables that are no RAM of the guest's: holes, devices, others' pages, what the second stage cannot address. */
static void tables_elsewhere(void **state)
{
	const gfn_t places[] = { 0,	    HOLE,	    HOLE + 1, HOLE + 2, (1UL << 29) - 1,
				 1UL << 29, (1UL << 44) - 1 };
	u64 gva = 0x40201000, gpa;

	assert_int_equal(p2m_map(u1, HOLE, RAM_BASE_MFN, 0, P2M_SPECIAL, P2M_RW), 0);
	assert_int_equal(p2m_map(u1, HOLE + 1, RAM_BASE_MFN, 0, P2M_GRANT, P2M_RW), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++) {
		set_tables(SV39, gva, 0, RAM_GFN << 10 | LEAF);
		assert_true(reads(SV39, gva));
		table(1)[index_at(gva, 1)] = pointer(places[i]);
		assert_false(reads(SV39, gva));
		table(0)[index_at(gva, 2)] = pointer(places[i]);
		assert_false(reads(SV39, gva));
		assert_false(machine_walk(u1->vcpu[0], SV39 << 60 | places[i], gva, false, &gpa));
	}
	/* A page whose table it may only read is a table like any other. */
	assert_int_equal(p2m_unmap(u1, HOLE + 1, BIT(P2M_GRANT), NULL), 0);
	assert_int_equal(p2m_unmap(u1, HOLE, BIT(P2M_SPECIAL), NULL), 0);
}

/* Pointers all the way, round in circles or not: the last level has no table below. */
static void pointers_without_end(void **state)
{
	for (u64 mode = SV39; mode <= SV57; mode++) {
		for (unsigned int i = 0; i < 512; i++)
			table(0)[i] = pointer(RAM_GFN);
		assert_false(reads(mode, 0));
		assert_false(reads(mode, 0x12345000));
		assert_false(writes(mode, ~0UL));
		/* A, D and U of a pointer are reserved; they make it no leaf. */
		for (unsigned int i = 0; i < 512; i++)
			table(0)[i] = pointer(RAM_GFN) | PTE_A | PTE_D | PTE_U;
		assert_false(reads(mode, 0));
	}
}

static void anything(void **state)
{
	u64 seed = 88172645463325252UL, gpa;
	unsigned int found = 0;

	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int t = 0; t < 8; t++) {
			for (unsigned int i = 0; i < 512; i++) {
				seed ^= seed << 13;
				seed ^= seed >> 7;
				seed ^= seed << 17;
				/* Half of them lead to another of these tables. */
				table(t)[i] = seed & BIT(20) ? seed : pointer(RAM_GFN + seed % 8);
			}
		}
		for (unsigned int i = 0; i < 5000; i++) {
			u64 mode = SV39 + i % 3, gva = (seed * (2 * i + 1)) >> 26;

			found += walk(mode, gva, i & 1, &gpa);
		}
	}
	assert_true(found);
}

#define UP_DOWN(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UP_DOWN(bare),
		UP_DOWN(modes_and_sizes),
		UP_DOWN(canonical_addresses),
		UP_DOWN(rights),
		UP_DOWN(napot),
		UP_DOWN(tables_elsewhere),
		UP_DOWN(pointers_without_end),
		UP_DOWN(anything),
	};

	return RUN(tests);
}
