/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advisories about memory whose mistakes are races: two vCPUs give pages back, take them again, copy and map them at once.
 * Each test has the advisory's number; docs/testing.md has the list. argv: a factor for the rounds.
 *
 * guest: vcpus=10 memory=40 extra="$RACE_FACTOR"
 * harts: 4
 * census
 * timeout: 360 + $RACE_SECONDS
 */
#include <stdlib.h>
#include <string.h>

#include "lib/hostile.h"
#include "lib/race.h"
#include "lib/reservation.h"

#define FREE_GFN 0x50000UL /* guest physical addresses where nothing is */
#define MAP_AT (FREE_GFN << PV_PAGE_SHIFT)
#define EXTENT 512 /* pages of order 9 */
#define PAGES 32
#define WORDS (PV_PAGE_SIZE / 8)
#define PATTERN 0x5a5a1234a5a54321UL

static domid_t me;
static uint64_t *pages, *target;
static grant_ref_t ref;
static volatile long status[2];
static volatile grant_handle_t handle;
static long at_start;

static long owned(void)
{
	domid_t self = DOMID_SELF;

	return HYPERVISOR_memory_op(XENMEM_current_reservation, &self);
}

static bool all(const void *p, uint64_t word)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (((volatile uint64_t *)p)[i] != word)
			return false;
	return true;
}

static void fill(void *p, uint64_t word)
{
	for (unsigned int i = 0; i < WORDS; i++)
		((volatile uint64_t *)p)[i] = word;
}

/* ---- 29, 212: overlapping ranges are given back by both ---- */

static void give_back(unsigned int side, bool down)
{
	xen_pfn_t frames[PAGES];
	long done = 0, rc;

	for (unsigned int i = 0; i < PAGES; i++)
		frames[i] = pv_gfn(pages) + (down ? PAGES - 1 - i : i);
	/* An extent that the other one has taken ends the operation: go on behind it. */
	for (unsigned int i = 0; i < PAGES; i += rc + 1) {
		rc = reservation(XENMEM_decrease_reservation, DOMID_SELF, frames + i, PAGES - i, 0);
		if (rc < 0)
			break;
		done += rc;
	}
	status[side] = rc < 0 ? rc : done;
}

static void up_mine(unsigned int round)
{
	give_back(0, false);
}

static void down_theirs(unsigned int round)
{
	give_back(1, true);
}

/* 100, 364: what comes again is zero, whoever had written to it. */
static bool zero_again(void)
{
	xen_pfn_t frames[PAGES];
	bool ok;

	for (unsigned int i = 0; i < PAGES; i++)
		frames[i] = pv_gfn(pages) + i;
	ok = reservation(XENMEM_populate_physmap, DOMID_SELF, frames, PAGES, 0) == PAGES;
	for (unsigned int i = 0; ok && i < PAGES; i++) {
		ok = all((char *)pages + i * PV_PAGE_SIZE, 0);
		fill((char *)pages + i * PV_PAGE_SIZE, PATTERN);
	}
	return ok && owned() == at_start;
}

static bool each_given_once(unsigned int round)
{
	return status[0] >= 0 && status[1] >= 0 && status[0] + status[1] == PAGES &&
	       owned() == at_start - PAGES && zero_again();
}

static void xsa_29_212_decrease_against_decrease(void)
{
	tap_ok(race(__func__, 100, up_mine, down_theirs, each_given_once),
	       "%s: each page is given back once, and comes back zero", __func__);
}

/* ---- 31, 158: large extents at the same place ---- */

static void extents(unsigned int side)
{
	xen_pfn_t frame = FREE_GFN;

	status[side] = reservation(XENMEM_populate_physmap, DOMID_SELF, &frame, 1, 9);
}

static void extent_mine(unsigned int round)
{
	extents(0);
}

static void extent_theirs(unsigned int round)
{
	extents(1);
}

static bool one_extent(unsigned int round)
{
	xen_pfn_t frame = FREE_GFN;
	bool ok = status[0] + status[1] == 1 && owned() == at_start + EXTENT;

	for (unsigned int i = 0; ok && i < EXTENT; i += 37) {
		uint64_t *p = (uint64_t *)((FREE_GFN + i) << PV_PAGE_SHIFT);

		ok = all(p, 0);
		fill(p, PATTERN);
	}
	return ok && reservation(XENMEM_decrease_reservation, DOMID_SELF, &frame, 1, 9) == 1 &&
	       owned() == at_start;
}

static void xsa_31_158_extent_against_extent(void)
{
	tap_ok(race(__func__, 40, extent_mine, extent_theirs, one_extent),
	       "%s: one of two gets the place, and the loser's pages are gone again", __func__);
}

/* ---- 212: a page is given back while it is copied from, and to ---- */

static void copies(unsigned int round)
{
	struct gnttab_copy op[2] = {
		{ .source = { .u.ref = ref, .domid = me },
		  .dest = { .u.gmfn = pv_gfn(target), .domid = DOMID_SELF },
		  .len = PV_PAGE_SIZE,
		  .flags = GNTCOPY_source_gref },
		{ .source = { .u.gmfn = pv_gfn(target), .domid = DOMID_SELF },
		  .dest = { .u.ref = ref, .domid = me },
		  .len = PV_PAGE_SIZE,
		  .flags = GNTCOPY_dest_gref },
	};
	long wrong = HYPERVISOR_grant_table_op(GNTTABOP_copy, op, 2);

	for (unsigned int i = 0; i < 2; i++)
		wrong += op[i].status != GNTST_okay && op[i].status != GNTST_bad_page;
	/* The page as it was, or the new one, or both halves of a moment: never anybody else's. */
	for (unsigned int i = 0; i < WORDS; i++)
		wrong += target[i] != PATTERN && target[i];
	status[0] = wrong;
}

static void swap_page(unsigned int round)
{
	xen_pfn_t frame = pv_gfn(pages);

	status[1] = reservation(XENMEM_decrease_reservation, DOMID_SELF, &frame, 1, 0) != 1;
	status[1] += reservation(XENMEM_populate_physmap, DOMID_SELF, &frame, 1, 0) != 1;
}

static bool right_and_counted(unsigned int round)
{
	bool ok = !status[0] && !status[1] && owned() == at_start;

	ok = ok && !(pv_grant_entry(ref)->flags & (GTF_reading | GTF_writing));
	/* Copied onto by now, or not. */
	ok = ok && (pages[0] == 0 || pages[0] == PATTERN);
	fill(pages, PATTERN);
	return ok;
}

static void xsa_212_copy_against_decrease(void)
{
	fill(pages, PATTERN);
	fill(target, PATTERN);
	tap_ok(race(__func__, 300, copies, swap_page, right_and_counted),
	       "%s: a copy reads the old page or the new one", __func__);
}

/* ---- a page that is looked for is given up, and its memory comes back at once for something else ---- */

static void release_and_reuse(unsigned int round)
{
	xen_pfn_t frame = pv_gfn(pages), taken = pv_gfn(target), fresh = FREE_GFN;
	bool zero;

	status[1] = reservation(XENMEM_decrease_reservation, DOMID_SELF, &frame, 1, 0) != 1;
	status[1] += reservation(XENMEM_populate_physmap, DOMID_SELF, &taken, 1, 0) != 0;
	status[1] += reservation(XENMEM_populate_physmap, DOMID_SELF, &fresh, 1, 0) != 1;
	/* A copy that believes in the old page would write here. */
	zero = all((void *)MAP_AT, 0);
	status[1] += !zero;
	status[1] += reservation(XENMEM_decrease_reservation, DOMID_SELF, &fresh, 1, 0) != 1;
	status[1] += reservation(XENMEM_populate_physmap, DOMID_SELF, &frame, 1, 0) != 1;
}

static void copy_against_release(void)
{
	fill(pages, PATTERN);
	fill(target, PATTERN);
	tap_ok(race(__func__, 300, copies, release_and_reuse, right_and_counted),
	       "%s: nobody writes to memory that was given up and given out again", __func__);
}

/* ---- 212 again: a page is given back while it is mapped by grant: P2M changes against grant maps ---- */

static void map_it(unsigned int round)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = MAP_AT, .flags = GNTMAP_host_map, .ref = ref, .dom = me
	};

	status[0] = HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, &op, 1) ? 1 : op.status;
	handle = op.handle;
}

static bool mapped_is_held(unsigned int round)
{
	struct gnttab_unmap_grant_ref um = { .host_addr = MAP_AT, .handle = handle };
	uint64_t *map = (uint64_t *)MAP_AT;
	bool ok = !status[1] && (status[0] == GNTST_okay || status[0] == GNTST_bad_page);

	if (ok && status[0] == GNTST_okay) {
		/* The old page, which is held for it and on our account, or the new one. */
		if (all(map, PATTERN)) {
			ok = owned() == at_start + 1;
			fill(map, PATTERN + 1);
			ok = ok && all(pages, 0);
		} else {
			ok = all(map, 0) && owned() == at_start;
			fill(map, PATTERN + 1);
			ok = ok && all(pages, PATTERN + 1);
		}
		ok = !HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &um, 1) &&
		     um.status == GNTST_okay && ok;
	}
	fill(pages, PATTERN);
	return ok && owned() == at_start;
}

static void xsa_212_map_against_decrease(void)
{
	fill(pages, PATTERN);
	tap_ok(race(__func__, 300, map_it, swap_page, mapped_is_held),
	       "%s: a mapping keeps its page, and the domain pays for it", __func__);
}

/* ---- 29: the same place is mapped, taken and populated by everything that can ---- */

static void map_and_unmap(unsigned int round)
{
	struct gnttab_unmap_grant_ref um = { .host_addr = MAP_AT };

	map_it(round);
	um.handle = handle;
	if (status[0] == GNTST_okay &&
	    (HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &um, 1) || um.status))
		status[0] = 1;
}

static void other_uses(unsigned int round)
{
	xen_pfn_t frame = FREE_GFN;
	struct xen_add_to_physmap add = { .domid = DOMID_SELF,
					  .space = XENMAPSPACE_shared_info,
					  .gpfn = FREE_GFN };
	struct xen_remove_from_physmap removal = { .domid = DOMID_SELF, .gpfn = FREE_GFN };

	status[1] = 0;
	HYPERVISOR_memory_op(XENMEM_add_to_physmap, &add);
	HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &removal);
	if (reservation(XENMEM_populate_physmap, DOMID_SELF, &frame, 1, 0) == 1) {
		/* It is RAM now: ours, and zero. */
		status[1] += !all((void *)MAP_AT, 0);
		fill((void *)MAP_AT, PATTERN);
		status[1] += reservation(XENMEM_decrease_reservation, DOMID_SELF, &frame, 1, 0) !=
			     1;
	}
}

static bool empty_again(unsigned int round)
{
	struct xen_remove_from_physmap removal = { .domid = DOMID_SELF, .gpfn = FREE_GFN };
	bool ok = (status[0] == GNTST_okay || status[0] == GNTST_bad_virt_addr) && !status[1];

	return ok && owned() == at_start &&
	       HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &removal) == -ENOENT &&
	       !(pv_grant_entry(ref)->flags & (GTF_reading | GTF_writing)) && all(pages, PATTERN);
}

static void xsa_29_all_uses_of_one_frame(void)
{
	fill(pages, PATTERN);
	tap_ok(race(__func__, 300, map_and_unmap, other_uses, empty_again),
	       "%s: each use ends with what it began", __func__);
}

/* ---- 327: vcpu_info is registered once, also by two ---- */

static struct vcpu_info *info[2];

static void register_info(unsigned int side, unsigned int round)
{
	struct vcpu_register_vcpu_info reg = { .mfn = pv_gfn(info[side]) };

	/* vCPUs from 2 on never run, and there are so many. */
	if (round + 1 < pv_domain.nr_vcpus)
		status[side] = HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, round + 1, &reg);
}

static void register_mine(unsigned int round)
{
	register_info(0, round);
}

static void register_theirs(unsigned int round)
{
	register_info(1, round);
}

static bool registered_once(unsigned int round)
{
	bool first = !status[0] && status[1] == -EINVAL,
	     second = !status[1] && status[0] == -EINVAL;
	bool ok = round + 1 >= pv_domain.nr_vcpus ||
		  ((first || second) && info[second]->evtchn_upcall_pending == 1 &&
		   !info[!second]->evtchn_upcall_pending);

	info[0]->evtchn_upcall_pending = info[1]->evtchn_upcall_pending = 0;
	return ok;
}

static void xsa_327_register_against_register(void)
{
	/* Once in a vCPU's life: not more rounds than vCPUs, whatever the factor. */
	unsigned int rounds = (pv_domain.nr_vcpus - 2) / race_rounds(1);
	bool ok;

	info[0] = pv_alloc_pages(1);
	info[1] = pv_alloc_pages(1);
	ok = race(__func__, rounds ? rounds : 1, register_mine, register_theirs, registered_once);
	tap_ok(ok, "%s: one of two is taken, and alone is written to", __func__);
}

/* ---- 402: no memory type of one's own, under which old data would show through the caches ---- */

static void read_word(void *p)
{
	(void)*(volatile uint64_t *)p;
}

static void xsa_402_no_memory_types(void)
{
	static const unsigned long types[] = { 1UL << 61, 2UL << 61,
					       3UL << 61 }; /* Svpbmt: NC, IO, none */
	struct pv_trap trap;

	for (unsigned int i = 0; i < 3; i++) {
		pv_map(PV_WINDOW, (uintptr_t)target, PTE_R | PTE_W | types[i]);
		tap_ok(pv_try(read_word, (void *)PV_WINDOW, &trap) && trap.cause == 13,
		       "%s: type %u is a page fault", __func__, i + 1);
		pv_unmap(PV_WINDOW);
	}
	pv_map(PV_WINDOW, (uintptr_t)target, PTE_R | PTE_W);
	tap_ok(!pv_try(read_word, (void *)PV_WINDOW, &trap), "%s: without a type it is memory",
	       __func__);
	pv_unmap(PV_WINDOW);
}

/* A domain starts with all that it may have: what the extents above need is given back first. */
static bool make_room(void)
{
	xen_pfn_t frames[2];

	frames[0] = (pv_gfn(pv_alloc_pages(3 * EXTENT)) + EXTENT - 1) & ~(EXTENT - 1UL);
	frames[1] = frames[0] + EXTENT;
	return reservation(XENMEM_decrease_reservation, DOMID_SELF, frames, 2, 9) == 2;
}

int main(int argc, char **argv)
{
	char *domid = pv_xenbus_read(0, "domid");

	race_init(argc, argv);
	me = strtoul(domid, NULL, 10);
	free(domid);
	pages = pv_alloc_pages(PAGES);
	target = pv_alloc_pages(1);
	ref = pv_grant_access(me, pv_gfn(pages), false);
	for (unsigned int i = 0; i < PAGES; i++)
		fill((char *)pages + i * PV_PAGE_SIZE, PATTERN);
	tap_ok(make_room(), "4 MiB are given back");
	at_start = owned();
	xsa_29_212_decrease_against_decrease();
	xsa_31_158_extent_against_extent();
	xsa_212_copy_against_decrease();
	copy_against_release();
	xsa_212_map_against_decrease();
	xsa_29_all_uses_of_one_frame();
	xsa_327_register_against_register();
	xsa_402_no_memory_types();
	tap_is(owned(), at_start, "as many pages as at the start");
	return tap_done();
}
