// SPDX-License-Identifier: BSD-2-Clause
/*
 * XEN_DOMCTL_shadow_op: whoever copies what the log tells, round by round, has at the end what the domain has; and hostile callers, no
 * memory, several callers, a domain that dies. SEED= and STEPS= choose another run of the model.
 */
#include "host.h"

#define LARGE_GFN 0x60000UL /* u1 has superpages here */
#define LARGES 3
#define AT 0x1c000UL /* in u2, and in dom0: what they map of u1's */
#define ALL (RAM_GFN + U_PAGES)

static u8 bitmap[ALL / 8 + 64];

static long shadow(domid_t dom, u32 op, u32 mode, u64 pages, void *to,
		   struct xen_domctl_shadow_op *out)
{
	struct xen_domctl c = { .u.shadow_op = { .op = op, .mode = mode, .pages = pages } };
	long rc;

	set_xen_guest_handle(c.u.shadow_op.dirty_bitmap, to);
	rc = domctl(dom, XEN_DOMCTL_shadow_op, &c);
	if (out)
		*out = c.u.shadow_op;
	return rc;
}

static long log_on(void)
{
	return shadow(1, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL);
}

static long log_off(void)
{
	return shadow(1, XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL, NULL);
}

static u32 told; /* frames */

static long ask(u32 op, u32 mode)
{
	struct xen_domctl_shadow_op out;
	long rc;

	memset(bitmap, 0xff, sizeof(bitmap));
	AS(dom0);
	rc = shadow(1, op, mode, ALL, bitmap, &out);
	if (!rc) {
		assert_int_equal(out.pages, ALL);
		assert_int_equal(bitmap[ALL / 8], 0xff);
		told = out.stats.dirty_count;
	}
	return rc;
}

static long clean(void)
{
	return ask(XEN_DOMCTL_SHADOW_OP_CLEAN, 0);
}

static bool is_told(gfn_t gfn)
{
	return bitmap[gfn / 8] & BIT(gfn % 8);
}

/* A hart of u1's writes there. */
static void store(gfn_t gfn)
{
	assert_true(host_touch(u1, gfn, true));
}

static unsigned int order_at(gfn_t gfn)
{
	struct p2m_entry e;

	assert_true(p2m_lookup(u1, gfn, &e));
	return e.order;
}

static void give_large(unsigned int n)
{
	u1->max_pages = U_PAGES + LARGES * 512 + 64;
	AS(u1);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(populate(DOMID_SELF, LARGE_GFN + i * 512, 9), 1);
	AS(dom0);
}

/* ---- one at a time ---- */

static void what_is_written_is_told_once(void **state)
{
	give_large(1);
	assert_int_equal(clean(), -EINVAL);
	assert_int_equal(ask(XEN_DOMCTL_SHADOW_OP_PEEK, 0), -EINVAL);
	assert_int_equal(log_on(), 0);
	assert_int_equal(log_on(), -EINVAL);
	assert_int_equal(order_at(LARGE_GFN), 0);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	store(RAM_GFN);
	store(RAM_GFN + U_PAGES - 1);
	store(LARGE_GFN + 511);
	assert_true(host_touch(u1, RAM_GFN + 7, false));
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(i < 2 ? ask(XEN_DOMCTL_SHADOW_OP_PEEK, 0) : clean(), 0);
		assert_int_equal(told, 3);
		assert_true(is_told(RAM_GFN) && is_told(RAM_GFN + U_PAGES - 1) &&
			    is_told(LARGE_GFN + 511));
	}
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	/* What comes anew counts as written, what is gone does not. */
	AS(u1);
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 3, 0), 1);
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 4, 0), 1);
	assert_int_equal(populate(DOMID_SELF, RAM_GFN + 4, 0), 1);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 1);
	assert_true(is_told(RAM_GFN + 4));
	store(LARGE_GFN + 9);
	assert_int_equal(log_off(), 0);
	assert_int_equal(log_off(), 0);
	assert_int_equal(clean(), -EINVAL);
	assert_int_equal(order_at(LARGE_GFN), 9);
	/* Another log knows nothing of the last one's. */
	assert_int_equal(log_on(), 0);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	assert_int_equal(log_off(), 0);
}

/* Bits behind those that were asked for are not told, and so not lost. */
static void some_frames_only(void **state)
{
	static const u64 ends[] = {
		0, 1, 7, LARGE_GFN, LARGE_GFN + 1, LARGE_GFN + 100, RAM_GFN, RAM_GFN + 3
	};
	struct xen_domctl_shadow_op out;

	give_large(1);
	for (unsigned int large = 0; large < 2; large++) {
		host.splits_left = large ? 0 : -1;
		if (large)
			take_all_memory();
		assert_int_equal(log_on(), 0);
		for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++) {
			store(LARGE_GFN + 99);
			store(RAM_GFN + 2);
			memset(bitmap, 0xff, sizeof(bitmap));
			assert_int_equal(
				shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, ends[i], bitmap, &out), 0);
			assert_int_equal(out.pages, ends[i]);
			assert_int_equal(bitmap[DIV_ROUND_UP(ends[i], 8)], 0xff);
			for (u64 gfn = 0; gfn < ROUND_UP(ends[i], 8); gfn++)
				assert_int_equal(is_told(gfn),
						 gfn < ends[i] &&
							 (gfn == RAM_GFN + 2 ||
							  (large ? gfn / 512 == LARGE_GFN / 512 :
								   gfn == LARGE_GFN + 99)));
			assert_int_equal(clean(), 0);
			if (ends[i] < LARGE_GFN + 100) {
				assert_true(is_told(LARGE_GFN + 99));
				assert_int_equal(is_told(LARGE_GFN), large);
			}
			assert_int_equal(is_told(RAM_GFN + 2), ends[i] < RAM_GFN + 3);
		}
		/* More than there is, and nowhere to tell it */
		assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_PEEK, 0, ~0ULL, NULL, &out), 0);
		assert_int_equal(out.pages, ALL);
		assert_int_equal(out.stats.dirty_count, 0);
		store(RAM_GFN + 5);
		assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, ~0ULL, NULL, &out), 0);
		assert_int_equal(out.stats.dirty_count, 1);
		assert_int_equal(clean(), 0);
		assert_int_equal(told, 0);
		if (large)
			give_memory_back();
		assert_int_equal(log_off(), 0);
	}
}

/* Without memory for a table a superpage has one bit for all its pages; with it later, the next round makes the table. */
static void no_memory_for_tables(void **state)
{
	give_large(2);
	take_all_memory();
	host.splits_left = 0;
	assert_int_equal(log_on(), 0);
	assert_int_equal(order_at(LARGE_GFN), 9);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	store(LARGE_GFN + 5);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 512);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	store(LARGE_GFN + 5);
	give_memory_back();
	host.splits_left = -1;
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 512);
	assert_int_equal(order_at(LARGE_GFN), 0);
	store(LARGE_GFN + 5);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 1);
	/* Off needs none, and is as before. */
	take_all_memory();
	assert_int_equal(log_off(), 0);
	give_memory_back();
	assert_int_equal(order_at(LARGE_GFN), 9);
	assert_int_equal(order_at(LARGE_GFN + 1000), 9);
}

/* A superpage of which a page was given away stays a table; one whose pages are another's is none. */
static void what_comes_back_together(void **state)
{
	give_large(3);
	assert_int_equal(log_on(), 0);
	AS(u1);
	assert_int_equal(decrease(DOMID_SELF, LARGE_GFN + 513, 0), 1);
	assert_int_equal(decrease(DOMID_SELF, LARGE_GFN + 1025, 0), 1);
	/* so that the next one is not the same */
	assert_int_equal(populate(DOMID_SELF, LARGE_GFN + 4096, 0), 1);
	assert_int_equal(populate(DOMID_SELF, LARGE_GFN + 1025, 0), 1);
	AS(dom0);
	store(LARGE_GFN);
	assert_int_equal(clean(), 0);
	assert_int_equal(log_off(), 0);
	assert_int_equal(order_at(LARGE_GFN), 9);
	assert_int_equal(order_at(LARGE_GFN + 512), 0);
	if (page_to_mfn(virt_to_page(guest_page(u1, LARGE_GFN + 1025))) !=
	    page_to_mfn(virt_to_page(guest_page(u1, LARGE_GFN + 1024))) + 1)
		assert_int_equal(order_at(LARGE_GFN + 1024), 0);
}

/* ---- others that write ---- */

static void copy_into(struct domain *by, domid_t to, u64 where, bool ref)
{
	struct gnttab_copy op = { .source.u.gmfn = RAM_GFN + 1,
				  .source.domid = DOMID_SELF,
				  .dest.domid = to,
				  .len = 64,
				  .flags = ref ? GNTCOPY_dest_gref : 0 };

	if (ref)
		op.dest.u.ref = where;
	else
		op.dest.u.gmfn = where;
	AS(by);
	assert_int_equal(GNTTAB(GNTTABOP_copy, &op, 1), 0);
	assert_int_equal(op.status, GNTST_okay);
}

static long foreign(gfn_t theirs, gfn_t at)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = 1 };
	xen_ulong_t idx = theirs;
	xen_pfn_t gfn = at;
	int err;

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &gfn);
	set_xen_guest_handle(b.errs, &err);
	AS(dom0);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), 0);
	return err;
}

static long memory_write(gfn_t gfn, void *page)
{
	u64 gfns = gfn;
	struct xen_domctl c = { .u.pavise_memory = { .op = PAVISE_MEMORY_write,
						     .count = 1,
						     .gfns = U(&gfns),
						     .pages = U(page) } };

	AS(dom0);
	return domctl(1, PAVISE_DOMCTL_memory, &c);
}

/* Exactly this frame of u1's has been written since the last look. */
static void only_told(gfn_t gfn)
{
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 1);
	assert_true(is_told(gfn));
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
}

static void final_tells(gfn_t gfn)
{
	assert_int_equal(ask(XEN_DOMCTL_SHADOW_OP_PEEK, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL), 0);
	assert_int_equal(told, 1);
	assert_true(is_told(gfn));
	assert_int_equal(ask(XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL), 0);
	assert_int_equal(told, 1);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
}

static void others_write(void **state)
{
	static u8 page[PAGE_SIZE] __aligned(8);
	struct vcpu_register_runstate_memory_area area = { .addr.p = U(
								   guest_page(u1, RAM_GFN + 20)) };
	struct evtchn_init_control control = { .control_gfn = RAM_GFN + 21 };
	struct evtchn_reset reset = { .dom = DOMID_SELF };
	u32 handle;

	grant_access(u1, 8, 2, RAM_GFN + 8, 0);
	grant_access(u1, 9, 2, RAM_GFN + 9, GTF_readonly);
	assert_int_equal(log_on(), 0);
	/* A mapping that may write: while it is there by FINAL, and when it goes */
	AS(u2);
	assert_int_equal(map_grant(1, 8, AT, 0, &handle), GNTST_okay);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	final_tells(RAM_GFN + 8);
	AS(u2);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
	only_told(RAM_GFN + 8);
	/* One that only reads is nobody's write, but holds the page. */
	AS(u2);
	assert_int_equal(map_grant(1, 9, AT, GNTMAP_readonly, &handle), GNTST_okay);
	final_tells(RAM_GFN + 9);
	AS(u2);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	/* Copies: into a grant, by another; into the own memory, by itself */
	copy_into(u2, 1, 8, true);
	only_told(RAM_GFN + 8);
	copy_into(u1, DOMID_SELF, RAM_GFN + 10, false);
	only_told(RAM_GFN + 10);
	/* dom0's */
	assert_int_equal(foreign(RAM_GFN + 11, AT), 0);
	final_tells(RAM_GFN + 11);
	assert_int_equal(foreign(RAM_GFN + 12, AT), 0); /* in its place */
	only_told(RAM_GFN + 11);
	AS(dom0);
	assert_int_equal(remove_gfn(DOMID_SELF, AT), 0);
	only_told(RAM_GFN + 12);
	assert_int_equal(memory_write(RAM_GFN + 13, page), 0);
	only_told(RAM_GFN + 13);
	/* Areas */
	AS(u1);
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &area), 0);
	final_tells(RAM_GFN + 20);
	AS(u1);
	area.addr.p = 0;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &area), 0);
	only_told(RAM_GFN + 20);
	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_init_control, &control), 0);
	final_tells(RAM_GFN + 21);
	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_reset, &reset), 0);
	only_told(RAM_GFN + 21);
	/* In the place of RAM: always, and when that is back */
	AS(u1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 14), 0);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(clean(), 0);
		assert_int_equal(told, 1);
		assert_true(is_told(RAM_GFN + 14));
	}
	AS(u1);
	assert_int_equal(remove_gfn(DOMID_SELF, RAM_GFN + 14), 0);
	only_told(RAM_GFN + 14);
	/* A mapper that dies */
	AS(u2);
	assert_int_equal(map_grant(1, 8, AT, 0, &handle), GNTST_okay);
	AS(dom0);
	kill_domain(u2);
	only_told(RAM_GFN + 8);
	u2 = make_domain(2, 2, U_PAGES);
}

/* The page of a superpage that stays one, too */
static void others_write_to_a_superpage(void **state)
{
	static u8 page[PAGE_SIZE] __aligned(8);

	give_large(1);
	take_all_memory();
	host.splits_left = 0;
	assert_int_equal(log_on(), 0);
	assert_int_equal(memory_write(LARGE_GFN + 77, page), 0);
	only_told(LARGE_GFN + 77);
	assert_int_equal(order_at(LARGE_GFN), 9);
	give_memory_back();
}

/* Where walks write to page tables and set only A: what was read counts as written, or is told apart. */
static void what_may_be_written(void **state)
{
	static u8 both[2 * (PAVISE_SHADOW_MAYBE(ALL))];
	static const u32 ops[] = { XEN_DOMCTL_SHADOW_OP_PEEK, XEN_DOMCTL_SHADOW_OP_CLEAN };
	const u8 *second = both + PAVISE_SHADOW_MAYBE(ALL);
	struct xen_domctl_shadow_op out;

	host_log_kind(false, true);
	assert_int_equal(log_on(), 0);
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(host_touch(u1, RAM_GFN + 3, false));
		store(RAM_GFN + 4);
		host.preempt_every = i & 1;
		memset(both, 0xff, sizeof(both));
		assert_int_equal(
			shadow(1, ops[i / 2], PAVISE_SHADOW_LOGDIRTY_MAYBE, ALL, both, &out), 0);
		assert_int_equal(out.stats.dirty_count, 1);
		for (gfn_t gfn = 0; gfn < ALL; gfn++) {
			assert_int_equal(both[gfn / 8] >> gfn % 8 & 1, gfn == RAM_GFN + 4);
			assert_int_equal(second[gfn / 8] >> gfn % 8 & 1, gfn == RAM_GFN + 3);
		}
	}
	host.preempt_every = 0;
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 0);
	assert_true(host_touch(u1, RAM_GFN + 3, false));
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 1);
	assert_true(is_told(RAM_GFN + 3));
	/* The second that faults loses nothing either. */
	assert_true(host_touch(u1, RAM_GFN + 5, false));
	store(RAM_GFN + 6);
	host.fault_start = U(second + RAM_GFN / 8);
	host.fault_end = U(both) + sizeof(both);
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, PAVISE_SHADOW_LOGDIRTY_MAYBE, ALL,
				both, NULL),
			 -EFAULT);
	host.fault_start = host.fault_end = 0;
	assert_int_equal(clean(), 0);
	assert_int_equal(told, 2);
	assert_true(is_told(RAM_GFN + 5) && is_told(RAM_GFN + 6));
	/* One that is held is not read only. */
	assert_int_equal(foreign(RAM_GFN + 7, AT), 0);
	assert_true(host_touch(u1, RAM_GFN + 7, false));
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_PEEK,
				PAVISE_SHADOW_LOGDIRTY_MAYBE | XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL,
				ALL, both, &out),
			 0);
	assert_int_equal(out.stats.dirty_count, 1);
	assert_false(second[(RAM_GFN + 7) / 8] & BIT((RAM_GFN + 7) % 8));
	AS(dom0);
	assert_int_equal(remove_gfn(DOMID_SELF, AT), 0);
	host_log_kind(false, false);
}

/* ---- callers ---- */

static void hostile(void **state)
{
	static const struct {
		u32 op, mode;
		long rc;
	} wrong[] = {
		{ XEN_DOMCTL_SHADOW_OP_ENABLE, XEN_DOMCTL_SHADOW_ENABLE_LOG_DIRTY, -EOPNOTSUPP },
		{ XEN_DOMCTL_SHADOW_OP_ENABLE_TEST, 0, -EOPNOTSUPP },
		{ XEN_DOMCTL_SHADOW_OP_GET_ALLOCATION, 0, -EOPNOTSUPP },
		{ XEN_DOMCTL_SHADOW_OP_SET_ALLOCATION, 0, -EOPNOTSUPP },
		{ XEN_DOMCTL_SHADOW_OP_CLEAN, 2, -EINVAL },
		{ XEN_DOMCTL_SHADOW_OP_PEEK, ~0U, -EINVAL },
		{ 3, 0, -EINVAL },
		{ ~0U, 0, -EINVAL },
	};

	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int w = 0; w < ARRAY_SIZE(wrong); w++)
			assert_int_equal(shadow(1, wrong[w].op, wrong[w].mode, 0, NULL, NULL),
					 wrong[w].rc);
		assert_int_equal(shadow(0, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL),
				 -EINVAL);
		assert_int_equal(shadow(7, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, 0, NULL, NULL),
				 -ESRCH);
		AS(u1);
		for (domid_t dom = 0; dom < 3; dom++)
			assert_int_equal(shadow(dom, XEN_DOMCTL_SHADOW_OP_OFF, 0, 0, NULL, NULL),
					 -EPERM);
		AS(dom0);
		if (!i)
			assert_int_equal(log_on(), 0);
	}
	assert_int_equal(log_off(), 0);
	/* Where nobody sets D */
	host_log_kind(true, false);
	assert_int_equal(log_on(), -EOPNOTSUPP);
	assert_int_equal(clean(), -EINVAL);
	assert_int_equal(log_off(), 0);
	host_log_kind(false, false);
}

static unsigned int flushes;

static void count_flush(struct domain *d)
{
	flushes += d == u1;
}

/* A bitmap that cannot be written loses nothing: what was told before is in it, the rest is told later. And there is a fence. */
static void bitmap_that_faults(void **state)
{
	static u8 before[sizeof(bitmap)];

	give_large(1);
	assert_int_equal(log_on(), 0);
	for (unsigned int i = 0; i < 64; i++) {
		store(LARGE_GFN + i);
		store(RAM_GFN + i);
		memset(bitmap, 0, sizeof(bitmap));
		flushes = 0;
		host.flushed = count_flush;
		host.fault_start = U(bitmap) + (i < 32 ? LARGE_GFN / 8 : RAM_GFN / 8) + i % 8;
		host.fault_end = U(bitmap) + sizeof(bitmap);
		host.preempt_every = i & 1;
		assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, ALL, bitmap, NULL),
				 -EFAULT);
		assert_int_equal(flushes, 1);
		host.fault_start = host.fault_end = 0;
		host.preempt_every = 0;
		memcpy(before, bitmap, sizeof(bitmap));
		assert_int_equal(is_told(LARGE_GFN + i), i >= 32);
		assert_int_equal(clean(), 0);
		assert_int_equal(told, i < 32 ? 2 : 1);
		assert_true(is_told(RAM_GFN + i));
	}
	assert_int_equal(shadow(1, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, ALL, (void *)~0xffUL, NULL),
			 -EFAULT);
	assert_int_equal(clean(), 0);
}

static unsigned int parts;
static u32 other_op;
static long other_rc;

/* Between the first two parts, another caller. */
static void another_caller(void)
{
	void (*between)(void) = host.between;
	unsigned int nr = host.restart_nr, every = host.preempt_every;
	u64 saved[5];

	if (parts++)
		return;
	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	host.preempt_every = 0;
	other_rc = shadow(1, other_op, 0, ALL, other_op == XEN_DOMCTL_SHADOW_OP_OFF ? NULL : bitmap,
			  NULL);
	host.between = between;
	host.preempt_every = every;
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
}

static long with_another(u32 op, u32 other)
{
	static u8 own[sizeof(bitmap)];
	long rc;

	parts = 0;
	other_op = other;
	host.preempt_every = 1;
	host.between = another_caller;
	rc = shadow(1, op, 0, ALL, own, NULL);
	host.between = NULL;
	host.preempt_every = 0;
	assert_true(parts);
	return rc;
}

static void two_callers(void **state)
{
	static const u32 ops[] = { XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_OP_PEEK };

	give_large(1);
	/* The second is told to wait, the first does not notice. */
	assert_int_equal(with_another(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY,
				      XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY),
			 0);
	assert_int_equal(other_rc, -EBUSY);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 2; k++) {
			assert_int_equal(with_another(ops[i], ops[k]), 0);
			assert_int_equal(other_rc, -EBUSY);
		}
		/* But off ends it. */
		assert_int_equal(with_another(ops[i], XEN_DOMCTL_SHADOW_OP_OFF), -EINVAL);
		assert_int_equal(other_rc, 0);
		assert_int_equal(order_at(LARGE_GFN), 9);
		assert_int_equal(log_on(), 0);
	}
	/* Of two that want that, each does some of it. */
	assert_int_equal(with_another(XEN_DOMCTL_SHADOW_OP_OFF, XEN_DOMCTL_SHADOW_OP_OFF), 0);
	assert_int_equal(other_rc, 0);
	assert_int_equal(order_at(LARGE_GFN), 9);
	assert_int_equal(
		with_another(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, XEN_DOMCTL_SHADOW_OP_OFF), 0);
	/* It began anew, behind that. */
	assert_int_equal(other_rc, 0);
	assert_int_equal(clean(), 0);
}

/* Whoever leaves an operation unfinished keeps nobody out for ever. What a caller had in a2 is no progress. */
static void abandoned(void **state)
{
	struct xen_domctl c = { .cmd = XEN_DOMCTL_shadow_op,
				.interface_version = XEN_DOMCTL_INTERFACE_VERSION,
				.domain = 1,
				.u.shadow_op.op = XEN_DOMCTL_SHADOW_OP_CLEAN };
	u64 args[5] = { U(&c) };

	assert_int_equal(log_on(), 0);
	c.u.shadow_op.pages = ALL;
	set_xen_guest_handle(c.u.shadow_op.dirty_bitmap, bitmap);
	host.preempt_every = 1;
	assert_int_equal(hypercall_dispatch(__HYPERVISOR_domctl, args), -ERESTART);
	host.preempt_every = 0;
	assert_int_equal(clean(), -EBUSY);
	for (u64 a2 = 0; a2 < 8; a2++) {
		args[1] = 0x6c67ULL << 48 | ((u16)host.restart_args[1] ^ (1 + a2));
		assert_int_equal(hypercall_dispatch(__HYPERVISOR_domctl, args), -EBUSY);
	}
	assert_int_equal(log_on(), -EBUSY);
	assert_int_equal(log_off(), 0);
	assert_int_equal(hypercall_dispatch(__HYPERVISOR_domctl, host.restart_args), -EINVAL);
	assert_int_equal(log_on(), 0);
	assert_int_equal(hypercall_dispatch(__HYPERVISOR_domctl, host.restart_args), 0);
	assert_int_equal(clean(), 0);
}

static void kill_it(void)
{
	if (++parts != 3)
		return;
	host.between = NULL;
	host.preempt_every = 0;
	domain_hold(u1);
	assert_int_equal(domctl(1, XEN_DOMCTL_destroydomain, NULL), 0);
}

static void dies_in_the_middle(void **state)
{
	static const u32 ops[] = { XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, XEN_DOMCTL_SHADOW_OP_CLEAN,
				   XEN_DOMCTL_SHADOW_OP_PEEK, XEN_DOMCTL_SHADOW_OP_OFF };

	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		struct xen_domctl c = { .cmd = XEN_DOMCTL_shadow_op,
					.interface_version = XEN_DOMCTL_INTERFACE_VERSION,
					.domain = 1,
					.u.shadow_op.op = ops[i] };
		u64 args[5] = { U(&c) };
		long rc;

		give_large(2);
		if (i)
			assert_int_equal(log_on(), 0);
		c.u.shadow_op.pages = ALL;
		set_xen_guest_handle(c.u.shadow_op.dirty_bitmap, bitmap);
		parts = 0;
		host.preempt_every = 1;
		rc = hypercall_dispatch(__HYPERVISOR_domctl, args);
		while (rc == -ERESTART) {
			memcpy(args, host.restart_args, sizeof(args));
			kill_it();
			rc = hypercall_dispatch(__HYPERVISOR_domctl, args);
		}
		assert_int_equal(parts, 3);
		assert_int_equal(rc, -EINVAL);
		domain_put(u1);
		u1 = make_domain(1, 2, U_PAGES);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_told_once),
		TEST(some_frames_only),
		TEST(no_memory_for_tables),
		TEST(what_comes_back_together),
		TEST(others_write),
		TEST(others_write_to_a_superpage),
		TEST(what_may_be_written),
		TEST(hostile),
		TEST(bitmap_that_faults),
		TEST(two_callers),
		TEST(abandoned),
		TEST(dies_in_the_middle),
	};

	return RUN(tests);
}
