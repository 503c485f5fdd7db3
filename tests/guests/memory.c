/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory_op: reservations and the physmap, what a guest may do to its own and must not to others'.
 *
 * guest: memory=24
 * peer: partner
 */
#include <stdlib.h>
#include <string.h>

#include "lib/hostile.h"
#include "lib/reservation.h"

#define FREE_GFN 0x50000UL /* guest physical addresses where nothing is */
#define HUGE_GFN (1UL << 40)
#define XENMEM_claim_pages 24 /* xen/memory.h tells it to tools only */

static struct partner partner;

static long number(unsigned int cmd, domid_t domid)
{
	return HYPERVISOR_memory_op(cmd, &domid);
}

static long add(domid_t domid, unsigned int space, unsigned long idx, unsigned long gfn)
{
	struct xen_add_to_physmap a = { .domid = domid, .space = space, .idx = idx, .gpfn = gfn };

	return HYPERVISOR_memory_op(XENMEM_add_to_physmap, &a);
}

static long removal(domid_t domid, unsigned long gfn)
{
	struct xen_remove_from_physmap r = { .domid = domid, .gpfn = gfn };

	return HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &r);
}

static void touch(void *p)
{
	*(volatile uint64_t *)p = 1;
}

static bool faults(uint64_t gfn)
{
	struct pv_trap trap;

	return pv_try(touch, (void *)(gfn << PV_PAGE_SHIFT), &trap);
}

/* Gives a page back and takes it again: it comes empty. */
static void give_and_take(void)
{
	uint64_t *page = pv_alloc_pages(2);
	xen_pfn_t frames[2] = { pv_gfn(page), pv_gfn(page) + 1 };
	long had = number(XENMEM_current_reservation, DOMID_SELF);
	bool empty = true;

	memset(page, 0x55, 2 * PV_PAGE_SIZE);
	tap_is(reservation(XENMEM_decrease_reservation, DOMID_SELF, frames, 2, 0), 2,
	       "decrease_reservation of two pages");
	tap_is(number(XENMEM_current_reservation, DOMID_SELF), had - 2, "the domain has two less");
	tap_ok(faults(frames[0]) && faults(frames[1]), "they are not there");
	tap_is(reservation(XENMEM_decrease_reservation, DOMID_SELF, frames, 2, 0), 0,
	       "not a second time");
	tap_is(reservation(XENMEM_populate_physmap, DOMID_SELF, frames, 2, 0), 2,
	       "populate_physmap gives them back");
	tap_is(number(XENMEM_current_reservation, DOMID_SELF), had, "all there");
	for (unsigned int i = 0; i < 2 * PV_PAGE_SIZE / 8; i++)
		empty &= !page[i];
	tap_ok(empty, "nothing of anybody is in them (XSA-100, XSA-364)");
	tap_is(reservation(XENMEM_populate_physmap, DOMID_SELF, frames, 2, 0), 0,
	       "no page where one is");
	tap_is(number(XENMEM_current_reservation, DOMID_SELF), had, "and none lost by trying");
	free(page);
}

/* An extent of 2 MiB goes and comes, in a place of its own. */
static void orders(void)
{
	xen_pfn_t at[2] = { FREE_GFN, FREE_GFN + 1 };
	uint64_t *page = pv_alloc_pages(512 * 2), gfn;
	xen_pfn_t big;
	long rc;

	gfn = (pv_gfn(page) + 511) & -512UL;
	big = gfn;
	rc = reservation(XENMEM_decrease_reservation, DOMID_SELF, &big, 1, 9);
	tap_is(rc, 1, "decrease_reservation of order 9");
	tap_ok(faults(gfn) && faults(gfn + 511), "first and last page of it are gone");
	big = FREE_GFN + 1;
	tap_is(reservation(XENMEM_populate_physmap, DOMID_SELF, &big, 1, 9), 0,
	       "an extent that is not aligned to its size");
	big = HUGE_GFN;
	tap_is(reservation(XENMEM_populate_physmap, DOMID_SELF, &big, 1, 9), 0,
	       "one beyond guest physical addresses");
	big = ~0UL << 9;
	tap_is(reservation(XENMEM_populate_physmap, DOMID_SELF, &big, 1, 9), 0,
	       "one around their end");
	for (unsigned int order = 10; order < 70; order += 3)
		rc |= reservation(XENMEM_populate_physmap, DOMID_SELF, at, 1, order) << 8;
	tap_is(rc, 1, "orders above 9 are not for guests (XSA-31, XSA-158)");
	tap_is(reservation(XENMEM_populate_physmap, DOMID_SELF, at, 1, 0xffffffff), 0,
	       "nor is the largest number");
	big = gfn;
	tap_is(reservation(XENMEM_populate_physmap, DOMID_SELF, &big, 1, 9), 1,
	       "populate_physmap of order 9");
	tap_ok(!faults(gfn) && !faults(gfn + 511), "and it is there again");
	rc = number(XENMEM_maximum_reservation, DOMID_SELF) -
	     number(XENMEM_current_reservation, DOMID_SELF);
	for (unsigned long n = 0; n <= (unsigned long)rc; n++, at[0]++)
		if (reservation(XENMEM_populate_physmap, DOMID_SELF, at, 1, 0) != 1)
			break;
	tap_is(at[0] - FREE_GFN, rc, "a domain gets what it may have, not a page more");
	while (at[0]-- > FREE_GFN)
		reservation(XENMEM_decrease_reservation, DOMID_SELF, at, 1, 0);
	free(page);
}

static void bad_reservations(void)
{
	xen_pfn_t frames[4] = { FREE_GFN, FREE_GFN + 1, FREE_GFN + 2, FREE_GFN + 3 };
	unsigned int ops[] = { XENMEM_populate_physmap, XENMEM_decrease_reservation };
	xen_pfn_t *last = (xen_pfn_t *)(pv_domain.ram_end - sizeof(*last)), frame;

	for (unsigned int i = 0; i < 2; i++) {
		tap_is(reservation(ops[i], partner.domid, frames, 1, 0), -EPERM,
		       "of another domain");
		tap_is(reservation(ops[i], NO_DOMAIN, frames, 1, 0), -ESRCH, "of no domain");
		tap_is(reservation(ops[i], DOMID_SELF, (void *)0x10000000, 1, 0), 0,
		       "a list that is not there");
		tap_is(reservation(ops[i], DOMID_SELF, (void *)-8UL, 4, 0), 0,
		       "a list around the end of the address space");
		tap_is(reservation(ops[i], DOMID_SELF, frames, ~0UL, 0), -EINVAL,
		       "more extents than can be counted");
		tap_is(reservation(ops[i], DOMID_SELF, frames, 0, 0), 0, "no extents");
	}
	tap_is(reservation(XENMEM_increase_reservation, DOMID_SELF, frames, 1, 0), 0,
	       "increase_reservation has no place to put it");
	/* The list's end is the end of RAM: it stops there, with what was done. */
	frame = *last;
	*last = FREE_GFN;
	tap_is(reservation(XENMEM_decrease_reservation, DOMID_SELF, last, 5, 0), 0,
	       "a list that leaves RAM");
	*last = frame;
	tap_is(reservation(XENMEM_decrease_reservation, DOMID_SELF,
			   (xen_pfn_t[]){ pv_domain.shared_info_pa >> PV_PAGE_SHIFT }, 1, 0),
	       0, "shared_info is not the domain's to give");
}

static void numbers(void)
{
	static const unsigned int ops[] = { XENMEM_current_reservation, XENMEM_maximum_reservation,
					    XENMEM_maximum_gpfn };
	long gfn = number(XENMEM_maximum_gpfn, DOMID_SELF);
	bool refused = true, nobody = true;

	tap_ok(number(XENMEM_current_reservation, DOMID_SELF) > 0 &&
		       number(XENMEM_current_reservation, DOMID_SELF) <=
			       number(XENMEM_maximum_reservation, DOMID_SELF),
	       "current_reservation is within maximum_reservation");
	tap_ok(gfn >= (long)(pv_domain.ram_end >> PV_PAGE_SHIFT) - 1, "maximum_gpfn (%lx)", gfn);
	tap_ok(HYPERVISOR_memory_op(XENMEM_maximum_ram_page, NULL) > 0, "maximum_ram_page");
	for (unsigned int i = 0; i < 3; i++) {
		refused &= number(ops[i], partner.domid) == -EPERM;
		nobody &= number(ops[i], NO_DOMAIN) == -ESRCH;
	}
	tap_ok(refused, "another domain's numbers are -EPERM");
	tap_ok(nobody, "nobody's are -ESRCH");
}

static void physmap(void)
{
	volatile uint64_t *page = pv_alloc_pages(2);
	uint64_t gfn = pv_gfn((void *)page);
	struct shared_info *second = (void *)(FREE_GFN << PV_PAGE_SHIFT);

	tap_is(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, FREE_GFN), 0, "shared_info once more");
	tap_is(second->wc_sec, pv_shared_info->wc_sec, "it is the same");
	tap_is(removal(DOMID_SELF, FREE_GFN), 0, "remove_from_physmap");
	tap_ok(faults(FREE_GFN), "it is gone");
	tap_ok(removal(DOMID_SELF, FREE_GFN) < 0, "not twice");
	tap_is(removal(DOMID_SELF, gfn), -EINVAL, "RAM is not taken away like that");
	tap_ok(!faults(gfn), "it is still there");
	page[1] = 0x123456789;
	tap_is(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, gfn), 0, "shared_info in its place");
	tap_ok(((struct shared_info *)page)->wc_sec == pv_shared_info->wc_sec, "it is shared_info");
	page[PV_PAGE_SIZE / sizeof(*page)] = 1; /* its neighbour is what it was */
	tap_is(reservation(XENMEM_decrease_reservation, DOMID_SELF, (xen_pfn_t[]){ gfn }, 1, 0), 0,
	       "which is no RAM");
	tap_is(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, gfn), 0, "a grant frame instead");
	tap_is(removal(DOMID_SELF, gfn), 0, "and away");
	tap_ok(page[1] == 0x123456789 && page[PV_PAGE_SIZE / sizeof(*page)] == 1,
	       "the RAM page is back");
	tap_is(add(DOMID_SELF, XENMAPSPACE_shared_info, 1, FREE_GFN), -EINVAL,
	       "shared_info has one frame");
	tap_is(add(DOMID_SELF, XENMAPSPACE_grant_table, 1000000, FREE_GFN), -EINVAL,
	       "a grant frame beyond the table");
	tap_is(add(DOMID_SELF, XENMAPSPACE_grant_table, ~0UL, FREE_GFN), -EINVAL, "far beyond");
	tap_is(add(DOMID_SELF, XENMAPSPACE_grant_table, 1UL << 31, FREE_GFN), -EINVAL,
	       "the status array, of version 2 (XSA-382, XSA-384)");
	tap_is(add(DOMID_SELF, 77, 0, FREE_GFN), -EOPNOTSUPP, "no such space");
	tap_ok(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, HUGE_GFN) < 0, "frame beyond the map");
	tap_ok(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, ~0UL) < 0, "the last frame number");
	tap_is(add(partner.domid, XENMAPSPACE_shared_info, 0, FREE_GFN), -EPERM, "into another");
	tap_is(add(NO_DOMAIN, XENMAPSPACE_shared_info, 0, FREE_GFN), -ESRCH, "into nobody");
	tap_is(removal(partner.domid, 0x80200), -EPERM, "remove another's");
	tap_is(removal(NO_DOMAIN, 0x80200), -ESRCH, "remove nobody's");
	tap_ok(removal(DOMID_SELF, HUGE_GFN) < 0 && removal(DOMID_SELF, ~0UL) < 0,
	       "remove beyond the map");
	free((void *)page);
}

/* What only the control domain may. */
static void privileged(void)
{
	xen_ulong_t idx = 0x80200;
	xen_pfn_t gfn = FREE_GFN;
	int err = 0;
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = partner.domid };
	struct xen_mem_acquire_resource a = { .domid = partner.domid,
					      .type = XENMEM_resource_grant_table,
					      .nr_frames = 1 };
	struct xen_memory_reservation claim = { .nr_extents = 1, .domid = DOMID_SELF };

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &gfn);
	set_xen_guest_handle(b.errs, &err);
	set_xen_guest_handle(a.frame_list, &gfn);
	tap_is(HYPERVISOR_memory_op(XENMEM_add_to_physmap_batch, &b), -EPERM,
	       "add_to_physmap_batch of the partner's memory");
	b.u.foreign_domid = 0;
	tap_is(HYPERVISOR_memory_op(XENMEM_add_to_physmap_batch, &b), -EPERM, "of dom0's");
	tap_ok(faults(FREE_GFN), "nothing is mapped");
	tap_is(HYPERVISOR_memory_op(XENMEM_acquire_resource, &a), -EPERM, "acquire_resource");
	tap_is(HYPERVISOR_memory_op(XENMEM_claim_pages, &claim), -EPERM, "claim_pages");
	tap_is(HYPERVISOR_memory_op(63, &claim), -XEN_ENOSYS, "an operation that is none");
}

#define MEMORY(check, cmd, good) \
	HOSTILE_CHECK(check, #cmd, good, __HYPERVISOR_memory_op, cmd, HOSTILE)

static void pointers(void)
{
	struct xen_memory_reservation r = { .domid = NO_DOMAIN };
	struct xen_add_to_physmap a = { .domid = NO_DOMAIN };
	struct xen_add_to_physmap_batch b = { .domid = NO_DOMAIN };
	struct xen_remove_from_physmap rm = { .domid = NO_DOMAIN };
	domid_t nobody = NO_DOMAIN;

	MEMORY(hostile_pointers, XENMEM_populate_physmap, r);
	MEMORY(hostile_pointers, XENMEM_increase_reservation, r);
	MEMORY(hostile_pointers, XENMEM_decrease_reservation, r);
	MEMORY(hostile_pointers, XENMEM_current_reservation, nobody);
	MEMORY(hostile_pointers, XENMEM_maximum_reservation, nobody);
	MEMORY(hostile_pointers, XENMEM_maximum_gpfn, nobody);
	MEMORY(hostile_pointers, XENMEM_add_to_physmap, a);
	MEMORY(hostile_pointers, XENMEM_add_to_physmap_batch, b);
	MEMORY(hostile_pointers, XENMEM_remove_from_physmap, rm);
}

int main(void)
{
	partner_find(&partner);
	give_and_take();
	orders();
	bad_reservations();
	numbers();
	physmap();
	privileged();
	pointers();
	return tap_done();
}
