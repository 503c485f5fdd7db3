// SPDX-License-Identifier: BSD-2-Clause
/*
 * The dirty log in second-stage tables (arch/riscv64/mm/p2m_log.c): which bits are told and cleared, large leaves that become tables and large again,
 * what harts do meanwhile.
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

static bool is_mapped(gfn_t gfn)
{
	struct p2m_entry e;

	return machine_translate(u1, gfn << PAGE_SHIFT, &e);
}

static u64 tables(void)
{
	assert_int_equal(machine_tables_counted(u1), machine_tables_found(u1));
	return machine_tables_found(u1);
}

static void runs(struct vcpu *v, bool is, unsigned int hart)
{
	v->running = is;
	v->hart = hart;
}

static struct page *watched;

static struct log_bits bits;

/* So many frames are told as written, and as perhaps written, of those from gfn on. */
static void assert_log(gfn_t gfn, unsigned int n, unsigned int how, unsigned int written,
		       unsigned int maybe)
{
	unsigned int w = 0, m = 0;

	assert_int_equal(p2m_log(u1, gfn, n, how, &bits), n);
	for (unsigned int i = 0; i < LOG_FRAMES; i++) {
		w += bits.written[i / 64] >> i % 64 & 1;
		m += bits.maybe[i / 64] >> i % 64 & 1;
		assert_false(bits.written[i / 64] & bits.maybe[i / 64]);
	}
	assert_int_equal(w, written);
	assert_int_equal(m, maybe);
}

static bool touch(gfn_t gfn, bool write)
{
	return machine_touch(u1, gfn << PAGE_SHIFT, write);
}

static void large_ram(unsigned int n)
{
	u1->max_pages = U_PAGES + 512 * n;
	u1->log.on = true; /* leaves may lack A and D */
	AS(u1);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(populate(DOMID_SELF, FAR + 512 * i, LARGE), 1);
}

static unsigned int order_of(gfn_t gfn)
{
	struct p2m_entry e;

	assert_true(machine_translate(u1, gfn << PAGE_SHIFT, &e));
	return e.order;
}

static void bits_of_leaves(void **state)
{
	large_ram(1);
	machine_ad(false, false);
	assert_log(FAR, 512, 0, 512, 0);
	assert_log(FAR, 100, LOG_CLEAR, 100, 0); /* not for some of its frames */
	assert_log(FAR, 512, LOG_CLEAR, 512, 0);
	assert_log(FAR, 512, LOG_CLEAR, 0, 0);
	assert_true(touch(FAR + 3, false));
	assert_log(FAR, 512, LOG_CLEAR, 0, 0);
	assert_true(touch(FAR + 3, true));
	assert_log(FAR, 5, 0, 5, 0);
	assert_log(FAR, 512, LOG_CLEAR, 512, 0);
	machine_ad(false, true);
	assert_log(FAR, 9, 0, 0, 9);
	assert_log(FAR, 512, LOG_CLEAR, 0, 512);
	assert_log(FAR, 512, LOG_CLEAR, 0, 0);
	machine_ad(false, false);
	assert_true(touch(FAR + 3, true));
	/* The table says what the leaf said, to the moment when it is replaced. */
	assert_log(FAR, 512, LOG_CLEAR | LOG_SPLIT, 512, 0);
	assert_int_equal(order_of(FAR), 0);
	assert_true(touch(FAR + 3, true));
	assert_true(touch(FAR + 511, true));
	assert_true(touch(FAR + 5, false));
	assert_log(FAR, 511, LOG_CLEAR, 1, 0);
	assert_log(FAR, 512, LOG_CLEAR, 1, 0);
	assert_int_equal(bits.written[7], BIT(63));
	/* Where walks set A only */
	machine_ad(false, true);
	assert_log(FAR, 512, LOG_CLEAR, 0, 512);
	assert_true(touch(FAR + 5, false));
	assert_true(touch(FAR + 6, true));
	assert_log(FAR, 512, 0, 1, 1);
	assert_log(FAR, 512, LOG_CLEAR, 1, 1);
	assert_int_equal(bits.maybe[0], BIT(5));
	assert_log(FAR, 512, LOG_CLEAR, 0, 0);
	machine_ad(false, false);
	/* Nothing, and what is no RAM of the domain's */
	assert_int_equal(p2m_log(u1, FAR + BIT(20), 512, LOG_CLEAR, &bits), BIT(18));
	assert_int_equal(p2m_log(u1, FAR + BIT(20) + 1024, 7, LOG_CLEAR, &bits), BIT(18) - 1024);
	assert_int_equal(map(FAR + 1024, MFN, LARGE), 0);
	assert_int_equal(map(FAR + 512, MFN, 0), 0);
	assert_log(FAR + 1024, 512, LOG_CLEAR | LOG_SPLIT, 0, 0);
	assert_log(FAR + 512, 512, LOG_CLEAR | LOG_SPLIT, 0, 0);
	assert_int_equal(order_of(FAR + 1024), LARGE);
	u1->log.on = false;
	assert_true(is_mapped(FAR + 1024) && is_mapped(FAR + 512));
}

static void hart_writes(void)
{
	assert_true(touch(FAR + 77, true));
}

static void written_while_it_is_split(void **state)
{
	for (unsigned int i = 0; i < 3; i++) {
		large_ram(1);
		assert_log(FAR, 512, LOG_CLEAR, 512, 0);
		machine_state.on_alloc = i ? hart_writes : NULL;
		if (i < 2)
			assert_int_equal(p2m_unmap(u1, FAR + 9, BIT(P2M_RAM), NULL), 0);
		else
			p2m_log(u1, FAR, 512, LOG_SPLIT, &bits);
		assert_null(machine_state.on_alloc);
		assert_log(FAR, 512, LOG_CLEAR, i == 0 ? 0 : i == 1 ? 511 : 512, 0);
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

static u64 off(gfn_t from, gfn_t to)
{
	u64 tables_before = tables();

	for (gfn_t gfn = from; gfn < to;)
		gfn += p2m_log_off(u1, gfn);
	/* Nobody frees what a hart may still walk. */
	assert_int_equal(machine_tables_counted(u1), tables_before);
	p2m_log_off_end(u1);
	return tables_before - tables();
}

/* A GiB, for 8 tables and one; its frames are RAM that others have: no marks are taken. */
static void a_gib_and_back(void **state)
{
	u64 before = tables();

	u1->log.on = true;
	assert_int_equal(p2m_map(u1, FAR, MFN, HUGE_ORDER, P2M_RAM, P2M_RWX), 0);
	machine_state.pages_left = 0;
	for (unsigned int i = 0; i < 2; i++)
		assert_log(FAR + 512, 512, LOG_CLEAR | LOG_SPLIT, 512, 0);
	assert_int_equal(order_of(FAR), HUGE_ORDER);
	machine_state.pages_left = 9;
	for (unsigned int i = 0; i < 12; i++)
		assert_log(FAR + 512 * i, 512, LOG_SPLIT, 512, 0);
	assert_int_equal(order_of(FAR + 512 * 7), 0);
	assert_int_equal(order_of(FAR + 512 * 8), LARGE);
	assert_int_equal(tables() - before, 9);
	/* Half of it; nothing else is in one table's way than its own. */
	assert_int_equal(off(FAR, FAR + 512 * 4), 4);
	assert_int_equal(order_of(FAR + 512 * 3), LARGE);
	assert_int_equal(off(FAR, FAR + BIT(18)), 5);
	assert_int_equal(order_of(FAR), HUGE_ORDER);
	assert_int_equal(tables(), before);
	u1->log.on = false;
	assert_true(is_mapped(FAR) && is_mapped(FAR + BIT(18) - 1));
	assert_int_equal(off(FAR, FAR + BIT(18)), 0);
	machine_state.pages_left = -1;
}

/* A domain that has used up its tables is logged with what it has: by superpages. It gets no more for being logged. */
static void no_tables_left(void **state)
{
	u64 n = 0, most;

	large_ram(2);
	while (!map(FAR + ((1 + n) << 18), MFN, 0))
		n++;
	most = tables();
	assert_log(FAR, 512, LOG_CLEAR | LOG_SPLIT, 512, 0);
	assert_log(FAR, 512, LOG_CLEAR | LOG_SPLIT, 0, 0);
	assert_int_equal(order_of(FAR), LARGE);
	assert_true(touch(FAR + 8, true));
	assert_log(FAR, 512, LOG_CLEAR | LOG_SPLIT, 512, 0);
	assert_int_equal(tables(), most);
	/* Some are free again. */
	u1->max_pages += 512;
	assert_log(FAR, 512, LOG_CLEAR | LOG_SPLIT, 0, 0);
	assert_int_equal(order_of(FAR), 0);
	assert_true(touch(FAR + 8, true));
	assert_log(FAR, 512, LOG_CLEAR | LOG_SPLIT, 1, 0);
	assert_int_equal(off(FAR, FAR + 512), 1);
	assert_int_equal(tables(), most);
	u1->log.on = false;
}

static void what_does_not_come_back(void **state)
{
	struct p2m_entry e;
	struct page *pg;

	large_ram(4);
	for (unsigned int i = 0; i < 4; i++)
		p2m_log(u1, FAR + 512 * i, 512, LOG_CLEAR | LOG_SPLIT, &bits);
	/* A hole, other rights, another type, another order of pages */
	assert_int_equal(p2m_unmap(u1, FAR + 511, BIT(P2M_RAM), NULL), 0);
	assert_true(machine_translate(u1, (FAR + 512) << PAGE_SHIFT, &e));
	assert_int_equal(p2m_replace(u1, FAR + 512, BIT(P2M_RAM), e.mfn, P2M_RAM, P2M_R, NULL), 0);
	assert_true(machine_translate(u1, (FAR + 1200) << PAGE_SHIFT, &e));
	assert_int_equal(
		p2m_replace(u1, FAR + 1200, BIT(P2M_RAM), e.mfn, P2M_SPECIAL, P2M_RWX, NULL), 0);
	assert_true(machine_translate(u1, (FAR + 1601) << PAGE_SHIFT, &e));
	assert_int_equal(p2m_replace(u1, FAR + 1600, BIT(P2M_RAM), e.mfn, P2M_RAM, P2M_RWX, NULL),
			 0);
	assert_int_equal(off(FAR, FAR + 2048), 0);
	/* Pages in a row, but not from where a large one may begin */
	u1->max_pages += 1024;
	pg = alloc_domain_pages(u1, LARGE + 1);
	assert_non_null(pg);
	for (unsigned int i = 0; i < 512; i++)
		assert_int_equal(p2m_map(u1, FAR + 4096 + i, page_to_mfn(pg) + 1 + i, 0, P2M_RAM,
					 P2M_RWX),
				 0);
	assert_int_equal(off(FAR + 4096, FAR + 4096 + 512), 0);
	assert_int_equal(order_of(FAR + 4096), 0);
	u1->log.on = false; /* each has A and D again */
	for (gfn_t gfn = FAR; gfn < FAR + 2048; gfn++)
		assert_int_equal(is_mapped(gfn), gfn != FAR + 511);
}

static void give_one_up(void)
{
	assert_int_equal(watched->state, PAGE_HYP);
	assert_int_equal(p2m_unmap(u1, FAR + 3, BIT(P2M_RAM), NULL), 0);
}

/* Between the large leaf and the fence nobody finds an entry of the old table, and it is nobody else's. */
static void fence_before_tables_go(void **state)
{
	struct p2m_entry e;

	large_ram(2);
	for (unsigned int i = 0; i < 2; i++)
		p2m_log(u1, FAR + 512 * i, 512, LOG_SPLIT, &bits);
	assert_true(p2m_allows(u1, FAR + 3, P2M_W)); /* it is remembered where that is */
	assert_true(machine_translate(u1, FAR << PAGE_SHIFT, &e));
	for (mfn_t m = RAM_BASE_MFN; m < RAM_BASE_MFN + RAM_PAGES; m++) {
		u64 *word = page_to_virt(mfn_to_page(m));

		if (mfn_to_page(m)->state == PAGE_HYP && word[0] >> 10 == e.mfn &&
		    word[511] >> 10 == e.mfn + 511)
			watched = mfn_to_page(m);
	}
	runs(u1->vcpu[0], true, 2);
	machine_reset();
	for (unsigned int i = 0; i < 2; i++)
		p2m_log_off(u1, FAR + 512 * i);
	host.on_flush = give_one_up;
	p2m_log_off_end(u1);
	assert_int_equal(machine_state.fences_there, 2); /* and the unmap's */
	assert_int_not_equal(watched->state, PAGE_HYP);
	runs(u1->vcpu[0], false, 2);
	assert_false(is_mapped(FAR + 3));
	assert_int_equal(order_of(FAR + 2), 0);
	assert_int_equal(order_of(FAR + 512), LARGE);
	/* Nothing to free is no reason for a fence. */
	machine_reset();
	p2m_log_off(u1, FAR + 512);
	p2m_log_off_end(u1);
	assert_int_equal(machine_state.fences_here + machine_state.fences_there, 0);
	u1->log.on = false;
}

/* Harts that do not set D: the first write is a fault that sets it, and nothing else is one. */
static void first_write_faults(void **state)
{
	large_ram(1);
	assert_log(FAR, 512, LOG_CLEAR, 512, 0);
	for (unsigned int split = 0; split < 2; split++) {
		assert_log(FAR, 512, LOG_CLEAR | (split ? LOG_SPLIT : 0), 0, 0);
		assert_false(machine_log_fault(u1, FAR + 600, P2M_W));
		assert_false(machine_log_fault(u1, LAST_GFN + 1, P2M_W));
		assert_true(machine_log_fault(u1, FAR + 7, P2M_W));
		assert_false(machine_log_fault(u1, FAR + 7, P2M_W)); /* another hart was faster */
		assert_log(FAR, 512, LOG_CLEAR, split ? 1 : 512, 0);
		/* A load whose walk wrote */
		assert_true(machine_log_fault(u1, FAR + 8, P2M_R));
		assert_log(FAR, 512, LOG_CLEAR, split ? 1 : 512, 0);
	}
	assert_int_equal(u1->log.faults, 4);
	/* What may not be written is not written. */
	assert_int_equal(p2m_map(u1, FAR + 512, MFN, 0, P2M_RAM, P2M_R), 0);
	assert_int_equal(p2m_log(u1, FAR + 512, 512, LOG_CLEAR, &bits), 512);
	assert_false(machine_log_fault(u1, FAR + 512, P2M_W));
	assert_false(machine_log_fault(u1, FAR + 512, P2M_R));
	assert_int_equal(p2m_log(u1, FAR + 512, 512, LOG_CLEAR, &bits), 512);
	assert_int_equal(bits.written[0], 0);
}

#define UP_DOWN(fn) cmocka_unit_test_setup_teardown(fn, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UP_DOWN(bits_of_leaves),	  UP_DOWN(written_while_it_is_split),
		UP_DOWN(a_gib_and_back),	  UP_DOWN(no_tables_left),
		UP_DOWN(what_does_not_come_back), UP_DOWN(fence_before_tables_go),
		UP_DOWN(first_write_faults),
	};

	return RUN(tests);
}
