// SPDX-License-Identifier: BSD-2-Clause
/*
 * The dirty log against a plain copy: a domain's memory is written by its own harts, through translations that they remember until they are
 * fenced, and by others in each way there is, also between the steps of a CLEAN; mappings come, go, split and hide each other. Whoever copies
 * what each round tells has all of it after the last one. SEED= and ROUNDS= choose another run.
 */
#include <memory.h>

#include "host.h"

#define LARGE_GFN 0x60000UL
#define LARGES 3
#define SPARE_GFN (LARGE_GFN + 0x1000) /* here large extents come and go */
#define PER_LARGE 12 /* frames of each that are looked at */
#define FRAMES (U_PAGES + (LARGES + 1) * PER_LARGE)
#define ALL (RAM_GFN + U_PAGES)
#define WORDS 8
#define MAPS 4
#define AT 0x1c000UL

static u64 random_state;

/* Frames that are looked at: what a hart remembers of each (a writable translation with D), and the copy. */
static struct frame {
	gfn_t gfn;
	void *remembered;
	bool copied;
	u64 copy[WORDS];
} frames[FRAMES];

static struct map {
	u32 handle;
	u8 *page; /* NULL: none */
} grants[MAPS], foreigns[MAPS];

static bool is_short; /* of memory */
static bool has_hole; /* harts' walks write and set A alone */
static u8 bitmap[2 * PAVISE_SHADOW_MAYBE(ALL)];
static gfn_t shared_at; /* 0: nowhere */
static u64 untold; /* frames in last rounds */

static u32 rnd(u32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % n;
}

static struct frame *any_frame(void)
{
	return &frames[rnd(FRAMES)];
}

static void forget(struct domain *d)
{
	for (unsigned int i = 0; d == u1 && i < FRAMES; i++)
		frames[i].remembered = NULL;
}

static void scribble(void *page)
{
	((u64 *)page)[rnd(WORDS)] = random_state;
}

/* ---- who writes ---- */

/* A translation of a superpage is remembered for all of it. */
static void remember(const struct frame *f, const struct p2m_entry *e)
{
	for (unsigned int i = 0; i < FRAMES; i++) {
		if (frames[i].gfn >> e->order == f->gfn >> e->order)
			frames[i].remembered = arch_mfn_to_virt(e->mfn + (frames[i].gfn - f->gfn));
	}
}

static void hart_writes(void)
{
	struct frame *f = any_frame();
	struct p2m_entry e;

	if (!f->remembered && host_touch(u1, f->gfn, true)) {
		assert_true(p2m_lookup(u1, f->gfn, &e));
		remember(f, &e);
	}
	if (f->remembered)
		scribble(f->remembered);
}

static void harts_write(void)
{
	for (u32 n = rnd(12); n; n--)
		hart_writes();
}

/* Through no translation that it remembers, and with A alone. */
static void walk_writes(void)
{
	struct frame *f = any_frame();
	struct p2m_entry e;

	if (!has_hole || !host_touch(u1, f->gfn, false))
		return;
	assert_true(p2m_lookup(u1, f->gfn, &e));
	scribble(arch_mfn_to_virt(e.mfn));
}

static void grant_copy(void)
{
	struct gnttab_copy op = { .source.u.gmfn = RAM_GFN + 1,
				  .source.domid = DOMID_SELF,
				  .dest.domid = 1,
				  .dest.u.ref = 32 + rnd(4),
				  .len = WORDS * 8,
				  .flags = GNTCOPY_dest_gref };

	grant_access(u1, op.dest.u.ref, 2, any_frame()->gfn, 0);
	AS(u2);
	scribble(guest_page(u2, RAM_GFN + 1));
	GNTTAB(GNTTABOP_copy, &op, 1);
}

static void own_copy(void)
{
	struct gnttab_copy op = { .source.u.gmfn = any_frame()->gfn,
				  .source.domid = DOMID_SELF,
				  .dest.domid = DOMID_SELF,
				  .dest.u.gmfn = any_frame()->gfn,
				  .len = WORDS * 8 };

	AS(u1);
	GNTTAB(GNTTABOP_copy, &op, 1);
}

static void grant_mapping(void)
{
	u32 i = rnd(MAPS);
	struct map *m = &grants[i];

	AS(u2);
	if (m->page && rnd(4)) {
		scribble(m->page);
	} else if (m->page) {
		assert_int_equal(unmap_grant(m->handle, AT + i), GNTST_okay);
		m->page = NULL;
	} else {
		grant_access(u1, 40 + i, 2, any_frame()->gfn, 0);
		if (map_grant(1, 40 + i, AT + i, 0, &m->handle) == GNTST_okay)
			m->page = guest_page(u2, AT + i);
	}
}

static void foreign_mapping(void)
{
	u32 i = rnd(MAPS);
	struct map *m = &foreigns[i];
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = 1 };
	xen_ulong_t idx = any_frame()->gfn;
	xen_pfn_t gfn = AT + i;
	int err;

	AS(dom0);
	if (m->page && rnd(4)) {
		scribble(m->page);
		return;
	}
	if (m->page && rnd(2)) {
		assert_int_equal(remove_gfn(DOMID_SELF, gfn), 0);
		m->page = NULL;
		return;
	}
	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &gfn);
	set_xen_guest_handle(b.errs, &err);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), 0);
	if (!err)
		m->page = guest_page(dom0, gfn);
}

static void tools_write(void)
{
	static u8 page[PAGE_SIZE] __aligned(8);
	u64 gfn = any_frame()->gfn;
	struct xen_domctl c = { .u.pavise_memory = { .op = PAVISE_MEMORY_write,
						     .count = 1,
						     .gfns = U(&gfn),
						     .pages = U(page) } };

	scribble(page);
	AS(dom0);
	domctl(1, PAVISE_DOMCTL_memory, &c);
}

/* ---- what changes mappings: on their return nothing old is remembered ---- */

static void balloon(void)
{
	gfn_t gfn = any_frame()->gfn;

	if (gfn == shared_at)
		return;
	AS(u1);
	if (rnd(2))
		decrease(DOMID_SELF, gfn, 0);
	else
		populate(DOMID_SELF, gfn, 0);
	forget(u1);
}

static void large_extent(void)
{
	AS(u1);
	if (rnd(2))
		populate(DOMID_SELF, SPARE_GFN, 9);
	else if (shared_at >> 9 != SPARE_GFN >> 9)
		decrease(DOMID_SELF, SPARE_GFN, 9);
	forget(u1);
}

static void hide(void)
{
	gfn_t gfn = any_frame()->gfn;

	AS(u1);
	if (shared_at) {
		assert_int_equal(remove_gfn(DOMID_SELF, shared_at), 0);
		shared_at = 0;
	} else if (!add(DOMID_SELF, XENMAPSPACE_shared_info, 0, gfn)) {
		shared_at = gfn;
	}
	forget(u1);
}

static void something(void)
{
	static void (*const what[])(void) = {
		walk_writes,	 harts_write,	harts_write,
		harts_write,	 grant_copy,	own_copy,
		grant_mapping,	 grant_mapping, foreign_mapping,
		foreign_mapping, tools_write,	balloon,
		large_extent,	 hide,
	};

	what[rnd(ARRAY_SIZE(what))]();
}

/* Other harts, between two parts of an operation. */
static void meanwhile(void)
{
	void (*between)(void) = host.between;
	unsigned int nr = host.restart_nr, every = host.preempt_every;
	u64 saved[5];

	if (rnd(4))
		return;
	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	host.preempt_every = 0;
	for (u32 n = rnd(6); n; n--)
		something();
	AS(dom0);
	host.between = between;
	host.preempt_every = every;
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
}

/* ---- who copies ---- */

/* For the tables that superpages become: for a while there are none, or few. */
static void short_of_memory(bool is)
{
	if (is)
		take_all_memory();
	else if (is_short)
		give_memory_back();
	host.splits_left = is ? (long)rnd(3) : -1;
	is_short = is;
}

static long shadow(u32 op, u32 mode, void *to)
{
	struct xen_domctl c = { .u.shadow_op = { .op = op, .mode = mode, .pages = ALL } };
	long rc;

	memset(bitmap, 0, sizeof(bitmap));
	if (to && rnd(2))
		c.u.shadow_op.mode |= PAVISE_SHADOW_LOGDIRTY_MAYBE;
	set_xen_guest_handle(c.u.shadow_op.dirty_bitmap, to);
	/* What the domain has given back meanwhile */
	if (is_short)
		take_all_memory();
	AS(dom0);
	host.preempt_every = rnd(3);
	host.between = mode ? NULL : meanwhile;
	/* Just before the fence */
	host.on_flush = mode ? NULL : harts_write;
	rc = domctl(1, XEN_DOMCTL_shadow_op, &c);
	host.between = host.on_flush = NULL;
	host.preempt_every = 0;
	return rc;
}

static void copy(struct frame *f)
{
	struct page *pg = memory_get_ram(u1, f->gfn);

	f->copied = pg;
	if (!pg)
		return;
	memcpy(f->copy, page_to_virt(pg), sizeof(f->copy));
	page_put(pg);
}

static bool is_told(gfn_t gfn)
{
	return (bitmap[gfn / 8] | bitmap[PAVISE_SHADOW_MAYBE(ALL) + gfn / 8]) & BIT(gfn % 8);
}

static void copy_told(void)
{
	for (unsigned int i = 0; i < FRAMES; i++) {
		if (is_told(frames[i].gfn))
			copy(&frames[i]);
		if (!rnd(8))
			something();
	}
}

static void nothing_is_missing(void)
{
	for (unsigned int i = 0; i < FRAMES; i++) {
		struct frame *f = &frames[i];
		struct page *pg = memory_get_ram(u1, f->gfn);

		if (!pg)
			continue;
		if (!f->copied || memcmp(f->copy, page_to_virt(pg), sizeof(f->copy)))
			print_error("frame %lx\n", f->gfn);
		assert_true(f->copied);
		assert_memory_equal(f->copy, page_to_virt(pg), sizeof(f->copy));
		page_put(pg);
	}
}

/* One migration. */
static void one_log(void)
{
	u32 rounds = rnd(6), enough_at = rnd(rounds + 1);

	has_hole = rnd(2);
	host_log_kind(false, has_hole);
	short_of_memory(!rnd(3));
	assert_int_equal(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL), 0);
	for (unsigned int i = 0; i < FRAMES; i++) {
		copy(&frames[i]);
		something();
	}
	for (u32 n = 0; n < rounds; n++) {
		if (n == enough_at)
			short_of_memory(false);
		if (!rnd(3))
			assert_int_equal(shadow(XEN_DOMCTL_SHADOW_OP_PEEK, 0, bitmap), 0);
		assert_int_equal(shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, bitmap), 0);
		copy_told();
	}
	/* The domain stands still, those that have mapped its pages do not write any more. */
	assert_int_equal(shadow(rnd(2) ? XEN_DOMCTL_SHADOW_OP_CLEAN : XEN_DOMCTL_SHADOW_OP_PEEK,
				XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL, bitmap),
			 0);
	for (unsigned int i = 0; i < FRAMES; i++) {
		untold += !is_told(frames[i].gfn);
		if (is_told(frames[i].gfn))
			copy(&frames[i]);
	}
	nothing_is_missing();
	short_of_memory(false);
	if (rnd(4))
		assert_int_equal(shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL), 0);
	else
		assert_int_equal(shadow(XEN_DOMCTL_SHADOW_OP_OFF, 1, NULL), 0);
}

static void prepare(void)
{
	memset(frames, 0, sizeof(frames));
	memset(grants, 0, sizeof(grants));
	memset(foreigns, 0, sizeof(foreigns));
	shared_at = 0;
	for (unsigned int i = 0; i < FRAMES; i++) {
		unsigned int large = (i - U_PAGES) / PER_LARGE, n = (i - U_PAGES) % PER_LARGE;

		if (i < U_PAGES)
			frames[i].gfn = RAM_GFN + i;
		else
			frames[i].gfn = (large < LARGES ? LARGE_GFN + large * 512 : SPARE_GFN) +
					n * 512 / PER_LARGE;
	}
	u1->max_pages = U_PAGES + (LARGES + 1) * 512;
	AS(u1);
	for (unsigned int i = 0; i < LARGES; i++)
		assert_int_equal(populate(DOMID_SELF, LARGE_GFN + i * 512, 9), 1);
	host.flushed = forget;
}

static void let_go(void)
{
	for (unsigned int i = 0; i < MAPS; i++) {
		AS(u2);
		if (grants[i].page)
			assert_int_equal(unmap_grant(grants[i].handle, AT + i), GNTST_okay);
		AS(dom0);
		if (foreigns[i].page)
			assert_int_equal(remove_gfn(DOMID_SELF, AT + i), 0);
	}
}

static void no_written_page_is_missed(void **state)
{
	const char *seed = getenv("SEED"), *rounds = getenv("ROUNDS");
	unsigned int n = rounds ? atoi(rounds) : 60;

	random_state = seed ? strtoull(seed, NULL, 0) : 88172645463325252;
	prepare();
	for (untold = 0; n; n--)
		one_log();
	/* And the log is no list of everything. */
	assert_true(untold > 0);
	host_log_kind(false, false);
	let_go();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_written_page_is_missed),
	};

	return RUN(tests);
}
