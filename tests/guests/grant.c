/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grant_table_op: mapping, copying and taking back, between two domains.
 *
 * guest: vcpus=2 memory=24
 * peer: partner
 */
#include <stdlib.h>
#include <string.h>

#include "lib/hostile.h"

#define MAP_AT 0x48000000UL /* guest physical addresses where nothing is */

static struct partner partner;
static volatile unsigned int echoes;

static struct gnttab_map_grant_ref map_at(domid_t dom, grant_ref_t ref, uint64_t addr,
					  unsigned int flags)
{
	struct gnttab_map_grant_ref op = {
		.dom = dom, .ref = ref, .host_addr = addr, .flags = flags
	};

	op.status = 99;
	if (HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, &op, 1))
		op.status = 98;
	return op;
}

static int16_t map_status(domid_t dom, grant_ref_t ref, uint64_t addr, unsigned int flags)
{
	return map_at(dom, ref, addr, flags).status;
}

static int16_t unmap(uint64_t addr, grant_handle_t handle)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = addr, .handle = handle, .status = 99 };

	return HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1) ? 98 : op.status;
}

static void touch(void *p)
{
	*(volatile uint64_t *)p = 1;
}

static void look(void *p)
{
	*(volatile uint64_t *)p;
}

static void on_echo(evtchn_port_t port, void *arg)
{
	(void)port, (void)arg;
	__atomic_fetch_add(&echoes, 1, __ATOMIC_SEQ_CST);
}

/* Tells the partner to do something; -EIO: no answer. The page must be mapped at MAP_AT. */
static long command(unsigned int what)
{
	volatile uint64_t *page = (void *)MAP_AT;
	uint64_t until = pv_time_ns() + 5000000000;

	page[PARTNER_COMMAND] = what;
	echoes = 0;
	pv_event_send(partner.bound);
	while (!echoes && pv_time_ns() < until)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	return echoes ? (long)page[PARTNER_RESULT] : -EIO;
}

static void mapping(void)
{
	volatile uint64_t *page = (void *)MAP_AT;
	struct gnttab_map_grant_ref op, second;
	struct pv_trap trap;
	bool same = true;

	op = map_at(partner.domid, partner.rw, MAP_AT, GNTMAP_host_map);
	tap_is(op.status, GNTST_okay, "map");
	for (unsigned int i = 0; i < PARTNER_COMMAND; i++)
		same &= page[i] == PARTNER_WORD(i);
	tap_ok(same, "the partner's page is there");
	tap_is(command(PARTNER_END_RW), -EBUSY, "the partner cannot end it while we have it");
	page[0] = 7;
	second = map_at(partner.domid, partner.rw, MAP_AT + PV_PAGE_SIZE, GNTMAP_host_map);
	tap_is(second.status, GNTST_okay, "map it a second time");
	tap_is(page[512], 7, "what is written here is seen there");
	tap_is(unmap(MAP_AT, second.handle), GNTST_bad_handle, "unmap with the other's address");
	tap_is(unmap(MAP_AT + PV_PAGE_SIZE, second.handle), GNTST_okay, "unmap the second");
	tap_is(unmap(MAP_AT + PV_PAGE_SIZE, second.handle), GNTST_bad_handle,
	       "not twice (XSA-224)");
	tap_ok(pv_try(touch, (void *)(MAP_AT + PV_PAGE_SIZE), &trap), "it is gone");
	tap_is(command(PARTNER_END_RW), -EBUSY, "one mapping holds the grant as well as two");
	tap_is(map_status(partner.domid, partner.ro, MAP_AT + PV_PAGE_SIZE, GNTMAP_host_map),
	       GNTST_permission_denied, "write access to a read-only grant");
	second = map_at(partner.domid, partner.ro, MAP_AT + PV_PAGE_SIZE,
			GNTMAP_host_map | GNTMAP_readonly);
	tap_is(second.status, GNTST_okay, "read access");
	tap_ok(!pv_try(look, (void *)(MAP_AT + PV_PAGE_SIZE), &trap), "it can be read");
	tap_ok(pv_try(touch, (void *)(MAP_AT + PV_PAGE_SIZE), &trap), "not written");
	tap_is(page[512], PARTNER_WORD(0), "and is unchanged");
	tap_is(unmap(MAP_AT + PV_PAGE_SIZE, second.handle), GNTST_okay, "unmap");
	tap_is(unmap(MAP_AT, op.handle), GNTST_okay, "unmap the first");
}

static void bad_maps(void)
{
	struct gnttab_map_grant_ref op;
	char *own = pv_alloc_pages(1);
	domid_t p = partner.domid;
	unsigned int host = GNTMAP_host_map;
	long rc;

	tap_is(map_status(p, partner.foreign, MAP_AT, host), GNTST_bad_gntref,
	       "a grant for another");
	tap_is(map_status(p, 300, MAP_AT, host), GNTST_bad_gntref, "a grant that is none");
	tap_is(map_status(p, 1000000, MAP_AT, host), GNTST_bad_gntref, "beyond the table");
	tap_is(map_status(p, 0xffffffff, MAP_AT, host), GNTST_bad_gntref, "the last reference");
	tap_is(map_status(NO_DOMAIN, partner.rw, MAP_AT, host), GNTST_bad_domain, "of nobody");
	tap_is(map_status(DOMID_IDLE, partner.rw, MAP_AT, host), GNTST_bad_domain, "of DOMID_IDLE");
	tap_is(map_status(p, partner.rw, MAP_AT + 8, host), GNTST_bad_virt_addr, "not aligned");
	tap_is(map_status(p, partner.rw, 1UL << 60, host), GNTST_bad_virt_addr, "beyond the map");
	tap_is(map_status(p, partner.rw, -PV_PAGE_SIZE, host), GNTST_bad_virt_addr, "at its end");
	tap_is(map_status(p, partner.rw, (uintptr_t)own, host), GNTST_bad_virt_addr,
	       "over own RAM");
	tap_is(map_status(p, partner.rw, pv_domain.shared_info_pa, host), GNTST_bad_virt_addr,
	       "over shared_info");
	tap_is(map_status(p, partner.rw, MAP_AT, 0), GNTST_general_error, "mapped nowhere");
	tap_is(map_status(p, partner.rw, MAP_AT, host | GNTMAP_contains_pte), GNTST_general_error,
	       "through a page table entry");
	op = map_at(p, partner.rw, MAP_AT, host);
	tap_is(op.status, GNTST_okay, "after all that a good one");
	tap_is(map_status(p, partner.rw, MAP_AT, host), GNTST_bad_virt_addr,
	       "over another mapping");
	tap_is(unmap(MAP_AT + 8, op.handle), GNTST_bad_virt_addr, "unmap, not aligned");
	for (rc = 0; rc < 4; rc++)
		tap_is(unmap(MAP_AT, (uint32_t[]){ op.handle + 1, 12345, 1U << 31, ~0U }[rc]),
		       GNTST_bad_handle, "unmap of no handle");
	tap_is(HYPERVISOR_memory_op(
		       XENMEM_decrease_reservation,
		       &(struct xen_memory_reservation){
			       .nr_extents = 1,
			       .domid = DOMID_SELF,
			       .extent_start = { .p = (xen_pfn_t[]){ MAP_AT >> 12 } } }),
	       0, "a mapped grant is no memory to give away");
	tap_ok(HYPERVISOR_memory_op(XENMEM_remove_from_physmap,
				    &(struct xen_remove_from_physmap){ .domid = DOMID_SELF,
								       .gpfn = MAP_AT >> 12 }) < 0,
	       "nor to remove (XSA-236)");
	tap_is(unmap(MAP_AT, op.handle), GNTST_okay, "unmap");
	free(own);
}

/* A batch of which some fail; and one so large that it must stop in between. */
static void batches(void)
{
	enum { N = 2000 };
	struct gnttab_map_grant_ref *map = calloc(N, sizeof(*map));
	struct gnttab_unmap_grant_ref *um = calloc(N, sizeof(*um));
	unsigned int good = 0, bad = 0, gone = 0;

	for (unsigned int i = 0; i < N; i++)
		map[i] = (struct gnttab_map_grant_ref){
			.dom = partner.domid,
			.ref = i % 3 ? partner.rw : 400,
			.host_addr = MAP_AT + i * PV_PAGE_SIZE,
			.flags = GNTMAP_host_map,
		};
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, map, N), 0, "map %d", N);
	for (unsigned int i = 0; i < N; i++) {
		good += i % 3 && map[i].status == GNTST_okay;
		bad += !(i % 3) && map[i].status == GNTST_bad_gntref;
		um[i].host_addr = map[i].host_addr;
		um[i].handle = map[i].handle;
	}
	tap_is(good, N - (N + 2) / 3, "the good ones are mapped");
	tap_is(bad, (N + 2) / 3, "the bad ones say so");
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, um, N), 0, "unmap all");
	for (unsigned int i = 0; i < N; i++)
		gone += um[i].status == (i % 3 ? GNTST_okay : GNTST_bad_handle);
	tap_is(gone, N, "each as it should");
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, map, 0), 0, "map none");
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, (void *)(pv_domain.ram_end - 8),
					 0x7fffffff),
	       -EFAULT, "a count that leaves memory");
	free(map);
	free(um);
}

static int16_t copy(struct gnttab_copy op)
{
	op.status = 99;
	return HYPERVISOR_grant_table_op(GNTTABOP_copy, &op, 1) ? 98 : op.status;
}

static struct gnttab_copy from_partner(grant_ref_t ref, void *to, unsigned int len)
{
	struct gnttab_copy op = { .len = len, .flags = GNTCOPY_source_gref };

	op.source.u.ref = ref;
	op.source.domid = partner.domid;
	op.dest.u.gmfn = pv_gfn(to);
	op.dest.offset = (uintptr_t)to & (PV_PAGE_SIZE - 1);
	op.dest.domid = DOMID_SELF;
	return op;
}

static void copies(void)
{
	uint64_t *page = pv_alloc_pages(2);
	struct gnttab_copy op;

	op = from_partner(partner.ro, page + 16, 64);
	op.source.offset = 80;
	tap_is(copy(op), GNTST_okay, "copy 64 bytes");
	tap_ok(page[16] == PARTNER_WORD(10) && page[23] == PARTNER_WORD(17), "they are there");
	tap_ok(!page[15] && !page[24], "and nothing beside");
	op = (struct gnttab_copy){ .len = 8, .flags = GNTCOPY_dest_gref };
	op.source.u.gmfn = pv_gfn(page);
	op.source.offset = 16 * 8;
	op.source.domid = DOMID_SELF;
	op.dest.u.ref = partner.rw;
	op.dest.offset = 800;
	op.dest.domid = partner.domid;
	tap_is(copy(op), GNTST_okay, "copy to the partner");
	copy(from_partner(partner.rw, page, PV_PAGE_SIZE));
	tap_is(page[100], PARTNER_WORD(10), "it has it");
	op.dest.u.ref = partner.ro;
	tap_is(copy(op), GNTST_permission_denied, "but not where it may only read");
	op.dest.u.ref = partner.foreign;
	tap_is(copy(op), GNTST_bad_gntref, "nor into a grant for another");
	op.flags = 0;
	op.dest.u.gmfn = 0x80200;
	tap_is(copy(op), GNTST_permission_denied, "nor without a grant");
	op.dest.domid = 0;
	tap_is(copy(op), GNTST_permission_denied, "nor into dom0");
	op.dest.domid = NO_DOMAIN;
	tap_is(copy(op), GNTST_bad_domain, "nor into nobody");
	op = from_partner(partner.ro, page, PV_PAGE_SIZE);
	op.source.offset = 1;
	tap_is(copy(op), GNTST_bad_copy_arg, "beyond the source's page");
	op = from_partner(partner.ro, (char *)page + 1, PV_PAGE_SIZE);
	tap_is(copy(op), GNTST_bad_copy_arg, "beyond the destination's");
	op = from_partner(partner.ro, page, 0xffff);
	tap_is(copy(op), GNTST_bad_copy_arg, "more than a page");
	op = from_partner(partner.ro, page, 8);
	op.source.offset = 0xffff;
	tap_is(copy(op), GNTST_bad_copy_arg, "an offset beyond a page");
	op = from_partner(partner.ro, page, 8);
	op.dest.u.gmfn = MAP_AT >> PV_PAGE_SHIFT;
	tap_is(copy(op), GNTST_bad_page, "to where no memory is");
	op.dest.u.gmfn = ~0UL;
	tap_is(copy(op), GNTST_bad_page, "to the last frame number");
	free(page);
}

static void own_table(void)
{
	struct gnttab_query_size q = { .dom = DOMID_SELF };
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 4 };
	struct gnttab_set_version version = { .version = 2 };
	struct gnttab_get_version get = { .dom = DOMID_SELF };
	struct gnttab_cache_flush flush = { .length = 16 };
	uint64_t *page = pv_alloc_pages(1);
	long ref = pv_grant_access(partner.domid, pv_gfn(page), false);

	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_query_size, &q, 1), 0, "query_size");
	tap_ok(!q.status && q.nr_frames && q.nr_frames <= q.max_nr_frames, "%u of %u frames",
	       q.nr_frames, q.max_nr_frames);
	HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &setup, 1);
	tap_is(setup.status, 0, "setup_table: 4 frames");
	HYPERVISOR_grant_table_op(GNTTABOP_query_size, &q, 1);
	tap_ok(q.nr_frames >= 4, "query_size says so");
	setup.nr_frames = q.max_nr_frames + 1;
	HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &setup, 1);
	tap_is(setup.status, GNTST_general_error, "more frames than may be");
	setup.nr_frames = 0xffffffff;
	HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &setup, 1);
	tap_is(setup.status, GNTST_general_error, "far more");
	setup.dom = q.dom = partner.domid;
	HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &setup, 1);
	HYPERVISOR_grant_table_op(GNTTABOP_query_size, &q, 1);
	tap_ok(setup.status == GNTST_permission_denied && q.status == GNTST_permission_denied,
	       "not of another");
	setup.dom = q.dom = NO_DOMAIN;
	HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &setup, 1);
	HYPERVISOR_grant_table_op(GNTTABOP_query_size, &q, 1);
	tap_ok(setup.status == GNTST_bad_domain && q.status == GNTST_bad_domain, "nor of nobody");
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_query_size, &q, 2), -EINVAL, "two at once");
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &setup, 2), -EINVAL, "here as well");
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_set_version, &version, 1), -XEN_ENOSYS,
	       "set_version 2 is refused (XSA-26, XSA-255)");
	version.version = 3;
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_set_version, &version, 1), -EINVAL, "3 is none");
	version.version = 1;
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_set_version, &version, 1), 0, "1 is there");
	tap_ok(!HYPERVISOR_grant_table_op(GNTTABOP_get_version, &get, 1) && get.version == 1,
	       "get_version");
	get.dom = partner.domid;
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_get_version, &get, 1), -EPERM, "of another");
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_cache_flush, &flush, 1), 0, "cache_flush");
	flush.offset = 4090;
	tap_is(HYPERVISOR_grant_table_op(GNTTABOP_cache_flush, &flush, 1), -EINVAL,
	       "over the page");
	tap_is(pv_grant_end(ref), 0, "an own grant nobody uses is taken back");
	tap_is(HYPERVISOR_grant_table_op(200, &get, 1), -XEN_ENOSYS, "an operation that is none");
	free(page);
}

/* ---- a race: two vCPUs map and unmap, and each unmaps the other's handles (XSA-218, XSA-394) ---- */

static volatile unsigned int racing;
static volatile grant_handle_t last_handle[2];
static unsigned int won[2], lost[2];

static void race(void *arg)
{
	unsigned int me = (uintptr_t)arg;
	uint64_t at = MAP_AT + 0x100000 * (me + 1), others = MAP_AT + 0x100000 * (2 - me);

	__atomic_fetch_add(&racing, 1, __ATOMIC_SEQ_CST);
	while (racing < 2)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	for (unsigned int i = 0; i < 3000; i++) {
		struct gnttab_map_grant_ref op =
			map_at(partner.domid, partner.rw, at, GNTMAP_host_map);

		last_handle[me] = op.handle;
		if (unmap(others, last_handle[!me]) == GNTST_okay)
			won[me]++;
		if (op.status == GNTST_okay && unmap(at, op.handle) != GNTST_okay)
			lost[me]++;
	}
}

static void races(void)
{
	struct gnttab_map_grant_ref op;

	pv_vcpu_start(1, race, (void *)1);
	race((void *)0);
	pv_vcpu_join(1);
	tap_note("unmapped by the other vCPU: %u and %u", won[0], won[1]);
	tap_ok(won[0] == lost[1] && won[1] == lost[0], "each handle was unmapped exactly once");
	op = map_at(partner.domid, partner.rw, MAP_AT, GNTMAP_host_map);
	tap_is(op.status, GNTST_okay, "the grant is as good as before");
	tap_is(command(PARTNER_END_RW), -EBUSY, "and counted");
	unmap(MAP_AT, op.handle);
}

#define GRANT(check, cmd, good) \
	HOSTILE_CHECK(check, #cmd, good, __HYPERVISOR_grant_table_op, cmd, HOSTILE, 1)

static void pointers(void)
{
	struct gnttab_map_grant_ref map = { .dom = NO_DOMAIN };
	struct gnttab_unmap_grant_ref um = { .handle = ~0U };
	struct gnttab_setup_table setup = { .dom = NO_DOMAIN };
	struct gnttab_copy copy_op = { .len = 0xffff };
	struct gnttab_query_size query = { .dom = NO_DOMAIN };
	struct gnttab_set_version set = { .version = 1 };
	struct gnttab_get_version get = { .dom = DOMID_SELF };
	struct gnttab_cache_flush flush = { .length = 1 };

	GRANT(hostile_out_pointers, GNTTABOP_map_grant_ref, map);
	GRANT(hostile_out_pointers, GNTTABOP_unmap_grant_ref, um);
	GRANT(hostile_out_pointers, GNTTABOP_setup_table, setup);
	GRANT(hostile_out_pointers, GNTTABOP_copy, copy_op);
	GRANT(hostile_out_pointers, GNTTABOP_query_size, query);
	GRANT(hostile_pointers, GNTTABOP_set_version, set);
	GRANT(hostile_out_pointers, GNTTABOP_get_version, get);
	GRANT(hostile_pointers, GNTTABOP_cache_flush, flush);
}

int main(void)
{
	long port;

	partner_find(&partner);
	port = pv_event_bind_interdomain(partner.domid, partner.port);
	tap_ok(port > 0, "connected to the partner");
	partner.bound = port;
	pv_event_handler(port, on_echo, NULL);
	mapping();
	bad_maps();
	batches();
	copies();
	own_table();
	races();
	pointers();
	return tap_done();
}
