/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advisories about grant tables whose mistakes are races: two vCPUs map, unmap, copy, revoke and move the same things at once.
 * The domain grants its pages to itself. Each test has the advisory's number; docs/testing.md has the list. argv: a factor for
 * the rounds.
 *
 * guest: vcpus=2 memory=24 extra="$RACE_FACTOR"
 * harts: 4
 * census
 * timeout: 360 + $RACE_SECONDS
 */
#include <stdlib.h>
#include <string.h>

#include "lib/hostile.h"
#include "lib/race.h"

#define FREE_GFN 0x50000UL /* guest physical addresses where nothing is */
#define MAP_AT(n) ((FREE_GFN + (n)) << PV_PAGE_SHIFT)
#define WORDS (PV_PAGE_SIZE / 8)
#define GOOD 0x600d600d600d600dUL
#define SECRET 0x5ec7e75ec7e7UL
#define IN_USE (GTF_reading | GTF_writing)

static domid_t me;
static uint64_t *page, *target;
static grant_ref_t ref;
static volatile long status[2];
static volatile grant_handle_t handle[2];

static uint16_t flags(void)
{
	return __atomic_load_n(&pv_grant_entry(ref)->flags, __ATOMIC_SEQ_CST);
}

static long map_to(unsigned int side, uint64_t at, uint32_t map_flags)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = at, .flags = map_flags, .ref = ref, .dom = me
	};

	if (HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, &op, 1))
		return 1; /* no status of the ABI's */
	handle[side] = op.handle;
	return op.status;
}

static long unmap_from(uint64_t at, grant_handle_t h)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = at, .handle = h };

	if (HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1))
		return 1;
	return op.status;
}

static void fill(uint64_t *p, uint64_t word)
{
	for (unsigned int i = 0; i < WORDS; i++)
		((volatile uint64_t *)p)[i] = word;
}

static bool all(const uint64_t *p, uint64_t word)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (p[i] != word)
			return false;
	return true;
}

/* ---- 218: both unmap one handle, then both map to one place: one of the two each time ---- */

static void unmap_mine(unsigned int round)
{
	status[0] = unmap_from(MAP_AT(0), handle[0]);
}

static void unmap_theirs(unsigned int round)
{
	status[1] = unmap_from(MAP_AT(0), handle[0]);
}

static bool once_and_again(unsigned int round)
{
	bool one = (status[0] == GNTST_okay && status[1] == GNTST_bad_handle) ||
		   (status[1] == GNTST_okay && status[0] == GNTST_bad_handle);

	return one && !(flags() & IN_USE) && map_to(0, MAP_AT(0), GNTMAP_host_map) == GNTST_okay;
}

static void xsa_218_unmap_against_unmap(void)
{
	bool ok = map_to(0, MAP_AT(0), GNTMAP_host_map) == GNTST_okay &&
		  race(__func__, 500, unmap_mine, unmap_theirs, once_and_again);

	tap_ok(ok && unmap_from(MAP_AT(0), handle[0]) == GNTST_okay, "%s: one of two unmaps wins",
	       __func__);
}

static void map_mine(unsigned int round)
{
	status[0] = map_to(0, MAP_AT(0), GNTMAP_host_map);
}

static void map_theirs(unsigned int round)
{
	status[1] = map_to(1, MAP_AT(0), GNTMAP_host_map);
}

static bool one_is_there(unsigned int round)
{
	unsigned int winner = status[0] == GNTST_okay ? 0 : 1;

	return status[winner] == GNTST_okay && status[!winner] == GNTST_bad_virt_addr &&
	       (flags() & IN_USE) == IN_USE &&
	       unmap_from(MAP_AT(0), handle[winner]) == GNTST_okay && !(flags() & IN_USE);
}

static void xsa_218_map_against_map(void)
{
	tap_ok(race(__func__, 500, map_mine, map_theirs, one_is_there),
	       "%s: one of two maps to the same place wins, and the loser holds nothing", __func__);
}

/* ---- 224: pins of a reader and a writer come and go at once ---- */

static void reader(unsigned int round)
{
	status[0] = round & 1 ? map_to(0, MAP_AT(1), GNTMAP_host_map | GNTMAP_readonly) :
				unmap_from(MAP_AT(1), handle[0]);
}

static void writer(unsigned int round)
{
	status[1] = round & 1 ? map_to(1, MAP_AT(2), GNTMAP_host_map) :
				unmap_from(MAP_AT(2), handle[1]);
}

static bool both_counted(unsigned int round)
{
	return status[0] == GNTST_okay && status[1] == GNTST_okay &&
	       (flags() & IN_USE) == (round & 1 ? IN_USE : 0);
}

static void xsa_224_reader_against_writer(void)
{
	tap_ok(race(__func__, 500, reader, writer, both_counted),
	       "%s: readers and writers are counted apart", __func__);
}

/* ---- 236: the last pin goes while the next comes ---- */

static bool left_is_counted(unsigned int round)
{
	bool ok = status[0] == GNTST_okay && status[1] == GNTST_okay &&
		  (flags() & IN_USE) == IN_USE;

	/* The new mapping becomes the old one of the next round. */
	ok = ok && unmap_from(MAP_AT(1), handle[1]) == GNTST_okay && !(flags() & IN_USE);
	return ok && map_to(0, MAP_AT(0), GNTMAP_host_map) == GNTST_okay;
}

static void last_goes(unsigned int round)
{
	status[0] = unmap_from(MAP_AT(0), handle[0]);
}

static void next_comes(unsigned int round)
{
	status[1] = map_to(1, MAP_AT(1), GNTMAP_host_map);
}

static void xsa_236_last_unmap_against_map(void)
{
	bool ok = map_to(0, MAP_AT(0), GNTMAP_host_map) == GNTST_okay &&
		  race(__func__, 500, last_goes, next_comes, left_is_counted);

	tap_ok(ok && unmap_from(MAP_AT(0), handle[0]) == GNTST_okay,
	       "%s: what is mapped stays counted", __func__);
}

/* ---- 230, 500: a copy against a revocation: what is written after it is not for the copier ---- */

static void copy_out(unsigned int round)
{
	struct gnttab_copy op[4];

	for (unsigned int i = 0; i < 4; i++)
		op[i] = (struct gnttab_copy){ .source = { .u.ref = ref, .domid = me },
					      .dest = { .u.gmfn = pv_gfn(target),
							.domid = DOMID_SELF },
					      .len = PV_PAGE_SIZE,
					      .flags = GNTCOPY_source_gref };
	status[0] = HYPERVISOR_grant_table_op(GNTTABOP_copy, op, 4);
	for (unsigned int i = 0; i < 4 && !status[0]; i++)
		if (op[i].status != GNTST_okay && op[i].status != GNTST_bad_gntref)
			status[0] = op[i].status;
}

/* As pv_grant_end(), but the entry is ours to keep. */
static void revoke(unsigned int round)
{
	uint32_t *word = (uint32_t *)pv_grant_entry(ref), old;

	for (;;) {
		old = __atomic_load_n(word, __ATOMIC_SEQ_CST);
		if (old & IN_USE)
			continue;
		if (__atomic_compare_exchange_n(word, &old, old & 0xffff0000, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			break;
	}
	fill(page, SECRET);
}

static bool no_secret(unsigned int round)
{
	bool ok = !status[0] && !(flags() & IN_USE) && all(target, GOOD);

	fill(page, GOOD);
	__atomic_store_n(&pv_grant_entry(ref)->flags, GTF_permit_access, __ATOMIC_SEQ_CST);
	return ok;
}

static void xsa_230_500_copy_against_revocation(void)
{
	fill(page, GOOD);
	fill(target, GOOD);
	tap_ok(race(__func__, 300, copy_out, revoke, no_secret),
	       "%s: nothing written after a revocation is copied", __func__);
}

/* ---- 316: maps that fail beside maps that do not ---- */

static void failing_map(unsigned int round)
{
	/* Onto RAM, beyond all addresses, not at a page: after the pin, and before. */
	static const uint64_t at[] = { 0x80200000, 1UL << 50, MAP_AT(3) + 8 };

	status[0] = map_to(0, at[round % 3], GNTMAP_host_map);
}

static void good_map(unsigned int round)
{
	status[1] = map_to(1, MAP_AT(1), GNTMAP_host_map);
	if (status[1] == GNTST_okay)
		status[1] = unmap_from(MAP_AT(1), handle[1]);
}

static bool nothing_is_left(unsigned int round)
{
	return status[0] == GNTST_bad_virt_addr && handle[0] == ~0U && status[1] == GNTST_okay &&
	       !(flags() & IN_USE);
}

static void xsa_316_failing_map_against_map(void)
{
	tap_ok(race(__func__, 500, failing_map, good_map, nothing_is_left),
	       "%s: an error path lets go of what it took, and of nothing else", __func__);
}

/* ---- 318, 380: batches that are interrupted all the time ---- */

#define BATCH 64

static evtchn_port_t bell;
static volatile unsigned int rung;

static void on_bell(evtchn_port_t port, void *arg)
{
	rung++;
}

static void ring(unsigned int round)
{
	for (unsigned int i = 0; i < 30; i++)
		pv_event_send(bell);
}

static void copy_batch(unsigned int round)
{
	static struct gnttab_copy op[BATCH];

	memset(target, 0, PV_PAGE_SIZE);
	for (unsigned int i = 0; i < BATCH; i++)
		op[i] = (struct gnttab_copy){
			.source = { .u.ref = i & 1 ? ref : ~0U, .domid = me, .offset = i * 64 },
			.dest = { .u.gmfn = pv_gfn(target), .domid = DOMID_SELF, .offset = i * 64 },
			.len = 64,
			.flags = GNTCOPY_source_gref,
			.status = 77,
		};
	status[0] = HYPERVISOR_grant_table_op(GNTTABOP_copy, op, BATCH);
	for (unsigned int i = 0; i < BATCH; i++) {
		bool good = i & 1;

		status[0] += op[i].status != (good ? GNTST_okay : GNTST_bad_gntref);
		for (unsigned int w = 0; w < 8; w++)
			status[0] += target[i * 8 + w] != (good ? GOOD : 0);
	}
}

static bool status_is_zero(unsigned int round)
{
	return !status[0] && !(flags() & IN_USE);
}

static void xsa_318_copies_against_interrupts(void)
{
	fill(page, GOOD);
	rung = 0;
	tap_ok(race(__func__, 60, copy_batch, ring, status_is_zero),
	       "%s: each copy has its own status, whenever it was interrupted", __func__);
	tap_ok(rung, "%s: and it was (%u events)", __func__, rung);
}

static void map_batch(unsigned int round)
{
	static struct gnttab_map_grant_ref map[BATCH];
	static struct gnttab_unmap_grant_ref um[BATCH];
	long wrong = 0;

	for (unsigned int i = 0; i < BATCH; i++)
		map[i] = (struct gnttab_map_grant_ref){
			.host_addr = MAP_AT(16 + i), .flags = GNTMAP_host_map, .ref = ref, .dom = me
		};
	wrong += HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, map, BATCH) != 0;
	for (unsigned int i = 0; i < BATCH; i++) {
		wrong += map[i].status != GNTST_okay ||
			 *(volatile uint64_t *)MAP_AT(16 + i) != GOOD;
		um[i] = (struct gnttab_unmap_grant_ref){ .host_addr = MAP_AT(16 + i),
							 .handle = map[i].handle };
	}
	wrong += HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, um, BATCH) != 0;
	for (unsigned int i = 0; i < BATCH; i++)
		wrong += um[i].status != GNTST_okay;
	status[0] = wrong;
}

static void xsa_380_batches_against_interrupts(void)
{
	fill(page, GOOD);
	rung = 0;
	tap_ok(race(__func__, 40, map_batch, ring, status_is_zero),
	       "%s: every map and unmap of a batch is done once", __func__);
	tap_ok(rung, "%s: with interruptions (%u events)", __func__, rung);
}

/* ---- 394: one mapping in two forms, and its unmapping in two steps ---- */

static void unmap_host(unsigned int round)
{
	status[0] = unmap_from(MAP_AT(0), handle[0]);
}

static void unmap_device(unsigned int round)
{
	struct gnttab_unmap_grant_ref op = { .dev_bus_addr = (uint64_t)pv_gfn(page)
							     << PV_PAGE_SHIFT,
					     .handle = handle[0] };

	if (HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &op, 1))
		op.status = 1;
	status[1] = op.status;
}

static bool released_once(unsigned int round)
{
	/* handle[1]'s mapping is still there, so the entry is. */
	bool ok = status[0] == GNTST_okay && status[1] == GNTST_bad_handle &&
		  (flags() & IN_USE) == IN_USE;

	return ok && map_to(0, MAP_AT(0), GNTMAP_host_map | GNTMAP_device_map) == GNTST_okay;
}

static void xsa_394_two_forms_of_a_mapping(void)
{
	bool ok = map_to(0, MAP_AT(0), GNTMAP_host_map | GNTMAP_device_map) == GNTST_okay &&
		  map_to(1, MAP_AT(1), GNTMAP_host_map) == GNTST_okay &&
		  race(__func__, 300, unmap_host, unmap_device, released_once);

	ok = ok && unmap_from(MAP_AT(0), handle[0]) == GNTST_okay && (flags() & IN_USE) == IN_USE;
	ok = unmap_from(MAP_AT(1), handle[1]) == GNTST_okay && ok;
	tap_ok(ok && !(flags() & IN_USE), "%s: its pin is dropped once", __func__);
}

/* ---- 26, 255, 382: versions are asked for while grants come and go ---- */

static void versions(unsigned int round)
{
	struct gnttab_set_version set = { .version = round % 4 };
	struct gnttab_get_version get = { .dom = DOMID_SELF };
	struct gnttab_setup_table setup = { .dom = DOMID_SELF, .nr_frames = 1 + round % 8 };
	long want = set.version == 1 ? 0 : set.version == 2 ? -XEN_ENOSYS : -EINVAL;

	status[0] = HYPERVISOR_grant_table_op(GNTTABOP_set_version, &set, 1) != want;
	status[0] += HYPERVISOR_grant_table_op(GNTTABOP_setup_table, &setup, 1) || setup.status;
	status[0] += HYPERVISOR_grant_table_op(GNTTABOP_get_version, &get, 1) || get.version != 1;
}

static bool still_version_1(unsigned int round)
{
	return !status[0] && status[1] == GNTST_okay && !(flags() & IN_USE);
}

static void xsa_26_255_382_version_against_map(void)
{
	tap_ok(race(__func__, 300, versions, good_map, still_version_1),
	       "%s: only version 1, whatever is asked meanwhile", __func__);
}

/* ---- 384 (and 379): the table's frames are mapped and unmapped at once ---- */

#define FRAME_GFN (FREE_GFN + 0x200)

static void add_frame(unsigned int round)
{
	struct xen_add_to_physmap a = { .domid = DOMID_SELF,
					.space = XENMAPSPACE_grant_table,
					.idx = round % 4,
					.gpfn = FRAME_GFN + round % 2 };

	status[0] = HYPERVISOR_memory_op(XENMEM_add_to_physmap, &a);
}

static void remove_frame(unsigned int round)
{
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF, .gpfn = FRAME_GFN + round % 2 };
	struct xen_add_to_physmap a = { .domid = DOMID_SELF,
					.space = XENMAPSPACE_shared_info,
					.gpfn = FRAME_GFN + round % 2 };

	status[1] = round % 3 ? HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &r) :
				HYPERVISOR_memory_op(XENMEM_add_to_physmap, &a);
}

static bool known_answers(unsigned int round)
{
	return (!status[0] || status[0] == -EEXIST) &&
	       (!status[1] || status[1] == -ENOENT || status[1] == -EEXIST);
}

static void xsa_384_table_frames_come_and_go(void)
{
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF };
	bool ok = race(__func__, 500, add_frame, remove_frame, known_answers);

	if (!ok)
		tap_note("answers %ld and %ld", status[0], status[1]);
	for (unsigned int i = 0; i < 2; i++) {
		r.gpfn = FRAME_GFN + i;
		HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &r);
		ok = ok && HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &r) == -ENOENT;
	}
	tap_ok(ok && pv_grant_entry(ref)->frame == pv_gfn(page),
	       "%s: nothing stays mapped, the table is as it was", __func__);
}

int main(int argc, char **argv)
{
	char *domid = pv_xenbus_read(0, "domid");

	race_init(argc, argv);
	me = strtoul(domid, NULL, 10);
	free(domid);
	page = pv_alloc_pages(1);
	target = pv_alloc_pages(1);
	ref = pv_grant_access(me, pv_gfn(page), false);
	bell = pv_event_bind_ipi(0);
	pv_event_handler(bell, on_bell, NULL);
	xsa_218_unmap_against_unmap();
	xsa_218_map_against_map();
	xsa_224_reader_against_writer();
	xsa_236_last_unmap_against_map();
	xsa_230_500_copy_against_revocation();
	xsa_316_failing_map_against_map();
	xsa_318_copies_against_interrupts();
	xsa_380_batches_against_interrupts();
	xsa_394_two_forms_of_a_mapping();
	xsa_26_255_382_version_against_map();
	xsa_384_table_frames_come_and_go();
	tap_is(pv_grant_end(ref), 0, "the grant is not in use at the end");
	return tap_done();
}
