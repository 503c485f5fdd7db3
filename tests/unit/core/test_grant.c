// SPDX-License-Identifier: BSD-2-Clause
/*
 * Grants: map, unmap, pins, handles, hostile granters and mappers, death of either side.
 * u1 grants, u2 maps.
 */
#include "host.h"

#define AT 0x50000UL /* where u2 maps */
#define IN_USE (GTF_reading | GTF_writing)

static void map_and_unmap(void **state)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = AT << PAGE_SHIFT, .flags = GNTMAP_host_map, .ref = 9, .dom = 1
	};
	struct p2m_entry e;

	grant_access(u1, 9, 2, RAM_GFN + 3, 0);
	AS(u2);
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, &op, 1), 0);
	assert_int_equal(op.status, GNTST_okay);
	assert_true(p2m_lookup(u2, AT, &e));
	assert_int_equal(e.type, P2M_GRANT);
	assert_int_equal(e.access, P2M_RW); /* data is not to be executed */
	assert_int_equal(op.dev_bus_addr, e.mfn << PAGE_SHIFT);
	assert_ptr_equal(guest_page(u2, AT), guest_page(u1, RAM_GFN + 3));
	assert_int_equal(grant_entry(u1, 9)->flags, GTF_permit_access | IN_USE);
	assert_int_equal(unmap_grant(op.handle, AT), GNTST_okay);
	assert_false(p2m_lookup(u2, AT, &e));
	assert_int_equal(grant_entry(u1, 9)->flags, GTF_permit_access);
}

static void readonly(void **state)
{
	struct p2m_entry e;
	u32 handle;

	grant_access(u1, 1, 2, RAM_GFN, GTF_readonly);
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_permission_denied);
	assert_int_equal(handle, ~0U);
	assert_false(p2m_lookup(u2, AT, &e));
	assert_int_equal(map_grant(1, 1, AT, GNTMAP_readonly, &handle), GNTST_okay);
	assert_true(p2m_lookup(u2, AT, &e));
	assert_int_equal(e.access, P2M_R);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | GTF_readonly);
}

static void wrong_arguments_of_map(void **state)
{
	struct gnttab_map_grant_ref op = {
		.host_addr = (AT << PAGE_SHIFT) + 8, .flags = GNTMAP_host_map, .ref = 1, .dom = 1
	};
	u32 handle;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, &op, 1), 0);
	assert_int_equal(op.status, GNTST_bad_virt_addr);
	op = (struct gnttab_map_grant_ref){ .host_addr = AT << PAGE_SHIFT, .ref = 1, .dom = 1 };
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, &op, 1), 0);
	assert_int_equal(op.status, GNTST_general_error); /* no GNTMAP_host_map */
	assert_int_equal(map_grant(1, 1, AT, GNTMAP_contains_pte, &handle), GNTST_general_error);
	assert_int_equal(map_grant(1, 1, AT, GNTMAP_application_map, &handle), GNTST_general_error);
	assert_int_equal(map_grant(9, 1, AT, 0, &handle), GNTST_bad_domain);
	assert_int_equal(map_grant(DOMID_IDLE, 1, AT, 0, &handle), GNTST_bad_domain);
	assert_int_equal(map_grant(1, 2, AT, 0, &handle), GNTST_bad_gntref); /* not granted */
	assert_int_equal(map_grant(1, 512, AT, 0, &handle),
			 GNTST_bad_gntref); /* beyond the frames there are */
	assert_int_equal(map_grant(1, ~0U, AT, 0, &handle), GNTST_bad_gntref);
	assert_int_equal(map_grant(1, 1, RAM_GFN, 0, &handle),
			 GNTST_bad_virt_addr); /* over its own RAM */
	assert_int_equal(map_grant(1, 1, ~0UL >> PAGE_SHIFT, 0, &handle), GNTST_bad_virt_addr);
	/* All of that left nothing behind. */
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
	assert_int_equal(u1->refs, 2);
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, NULL, 1), -EFAULT);
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, NULL, 0), 0);
}

static void entries_that_permit_nothing(void **state)
{
	u32 handle;

	AS(u2);
	*grant_entry(u1, 1) = (grant_entry_v1_t){ GTF_accept_transfer, 2, RAM_GFN };
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_bad_gntref);
	*grant_entry(u1, 1) = (grant_entry_v1_t){ GTF_transitive, 2, RAM_GFN };
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_bad_gntref);
	grant_access(u1, 1, 0, RAM_GFN, 0); /* for another domain */
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_bad_gntref);
	grant_access(u1, 1, 2, 0x7ffff, 0); /* no such frame */
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_bad_page);
	grant_access(u1, 1, 2, ~0U, 0);
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_bad_page);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
}

static void grants_to_oneself(void **state)
{
	u32 a, b;

	grant_access(u2, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(DOMID_SELF, 1, AT, 0, &a), GNTST_okay);
	assert_int_equal(map_grant(2, 1, AT + 1, 0, &b), GNTST_okay);
	assert_ptr_equal(guest_page(u2, AT), guest_page(u2, RAM_GFN));
	assert_int_equal(unmap_grant(a, AT), GNTST_okay);
	/* The other one is still there when the domain dies. */
	AS(dom0);
	kill_domain(u2);
	assert_null(domain_get(2));
}

/* A page that the granter may only read is not written through its grants, whoever came first. */
static void xsa_236_second_pin_checks_rights_too(void **state)
{
	mfn_t mfn = arch_virt_to_mfn(guest_page(u1, RAM_GFN));
	u32 a, b;

	assert_int_equal(p2m_unmap(u1, RAM_GFN, BIT(P2M_RAM), NULL), 0);
	assert_int_equal(p2m_map(u1, RAM_GFN, mfn, 0, P2M_RAM, P2M_R), 0);
	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT, 0, &a), GNTST_bad_page);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
	assert_int_equal(map_grant(1, 1, AT, GNTMAP_readonly, &a), GNTST_okay);
	assert_int_equal(map_grant(1, 1, AT + 1, 0, &b), GNTST_bad_page);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unmap_grant(a, AT), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
}

/* What u1 has mapped of another is not its to give away; nor are shared_info and grant table frames. */
static void only_own_ram_can_be_granted(void **state)
{
	struct xen_add_to_physmap a = { .domid = DOMID_SELF,
					.space = XENMAPSPACE_shared_info,
					.gpfn = 0x39002 };
	u32 handle, handle2;

	grant_access(u2, 1, 1, RAM_GFN, 0);
	AS(u1);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap, &a), 0);
	assert_int_equal(map_grant(2, 1, AT, 0, &handle), GNTST_okay);
	grant_access(u1, 1, 0, AT, 0);
	grant_access(u1, 2, 0, 0x39002, 0);
	AS(dom0);
	assert_int_equal(map_grant(1, 1, AT, 0, &handle2), GNTST_bad_page);
	assert_int_equal(map_grant(1, 2, AT, 0, &handle2), GNTST_bad_page);
	AS(u1);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
}

static void wrong_handles(void **state)
{
	u32 handle;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(unmap_grant(0, AT), GNTST_bad_handle); /* none yet */
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_okay);
	assert_int_equal(unmap_grant(handle + 1, AT), GNTST_bad_handle);
	assert_int_equal(unmap_grant(~0U, AT), GNTST_bad_handle);
	assert_int_equal(unmap_grant(0x10000, AT), GNTST_bad_handle);
	assert_int_equal(unmap_grant(handle, AT + 1), GNTST_bad_handle);
	assert_int_equal(unmap_grant(handle, (1UL << 52) - 1),
			 GNTST_bad_handle); /* ~0 >> 12: no wildcard */
	AS(dom0);
	assert_int_equal(unmap_grant(handle, AT), GNTST_bad_handle); /* another's handle */
	AS(u2);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
}

static void xsa_218_double_unmap(void **state)
{
	u32 a, b;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT, 0, &a), GNTST_okay);
	assert_int_equal(map_grant(1, 1, AT + 1, 0, &b), GNTST_okay);
	assert_int_equal(unmap_grant(a, AT), GNTST_okay);
	assert_int_equal(unmap_grant(a, AT), GNTST_bad_handle);
	/* The other mapping still holds grant and page. */
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | IN_USE);
	assert_int_equal(mfn_to_page(arch_virt_to_mfn(guest_page(u1, RAM_GFN)))->count, 2);
	assert_int_equal(unmap_grant(b, AT + 1), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
}

static s16 status_of_racer;

static void unmap_handle_0(void)
{
	unsigned int hart = host.hart;

	host.hart = 1;
	become(u2->vcpu[1]);
	status_of_racer = unmap_grant(0, AT);
	host.hart = hart;
}

/*
 * A second vCPU unmaps the guessed handle between pin and mapping: the mapping must not outlive the pin. (Later than that it
 * waits for the locks; tests/unit/explore has all moments.)
 */
static void xsa_218_unmap_races_with_map(void **state)
{
	struct p2m_entry e;
	s16 status;
	u32 handle;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	host.after_get = unmap_handle_0;
	status_of_racer = 1;
	status = map_grant(1, 1, AT, 0, &handle);
	assert_int_equal(status_of_racer, GNTST_bad_handle);
	assert_int_equal(status, GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | IN_USE);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
	assert_false(p2m_lookup(u2, AT, &e));
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
}

/* Reference counts over all mixes of uses: flags fall only with the last one. */
static void xsa_224_pins_of_readers_and_writers(void **state)
{
	u32 r1, r2, w1, w2;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT, GNTMAP_readonly, &r1), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(map_grant(1, 1, AT + 1, 0, &w1), GNTST_okay);
	assert_int_equal(map_grant(1, 1, AT + 2, 0, &w2), GNTST_okay);
	assert_int_equal(map_grant(1, 1, AT + 3, GNTMAP_readonly, &r2), GNTST_okay);
	assert_int_equal(unmap_grant(w1, AT + 1), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | IN_USE);
	assert_int_equal(unmap_grant(w2, AT + 2), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unmap_grant(r1, AT), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access | GTF_reading);
	assert_int_equal(unmap_grant(r2, AT + 3), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
}

/* The frame is fixed when the grant comes into use, whatever the guest writes into the entry later. */
static void granter_flips_its_entry(void **state)
{
	void *first = guest_page(u1, RAM_GFN);
	u32 a, b;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT, 0, &a), GNTST_okay);
	grant_entry(u1, 1)->frame = RAM_GFN + 1;
	assert_int_equal(map_grant(1, 1, AT + 1, 0, &b), GNTST_okay);
	assert_ptr_equal(guest_page(u2, AT + 1), first);
	/* To another domain while in use: not that either. */
	grant_access(u1, 1, 0, RAM_GFN + 1, IN_USE);
	AS(dom0);
	assert_int_equal(map_grant(1, 1, AT, 0, NULL), GNTST_bad_gntref);
	/* The entry wiped while mapped: unmaps work all the same and touch only their own flags. */
	*grant_entry(u1, 1) = (grant_entry_v1_t){ 0 };
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT + 2, 0, NULL), GNTST_bad_gntref);
	assert_int_equal(unmap_grant(a, AT), GNTST_okay);
	assert_int_equal(unmap_grant(b, AT + 1), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, 0);
	assert_int_equal(mfn_to_page(arch_virt_to_mfn(first))->count, 1);
}

/* The granter gives the page up while it is mapped: it stays until the unmap, and is nobody else's meanwhile. */
static void page_given_up_while_mapped(void **state)
{
	xen_pfn_t gfn = RAM_GFN;
	struct xen_memory_reservation r = { .nr_extents = 1, .domid = DOMID_SELF };
	u64 before = heap_free_pages();
	u32 handle;

	set_xen_guest_handle(r.extent_start, &gfn);
	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_okay);
	before = heap_free_pages();
	AS(u1);
	assert_int_equal(MEMORY(XENMEM_decrease_reservation, &r), 1);
	assert_int_equal(heap_free_pages(), before);
	assert_int_equal(u1->tot_pages, U_PAGES);
	AS(u2);
	memset(guest_page(u2, AT), 0x11, PAGE_SIZE);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
	assert_int_equal(heap_free_pages(), before + 1);
	assert_int_equal(u1->tot_pages, U_PAGES - 1);
}

static struct page *given_up;

/* Nothing leads to the pages any more, but harts may remember: entries in use, pages held. */
static void unmapped_and_held(void)
{
	struct p2m_entry e;

	for (u32 i = 0; i < 2; i++) {
		assert_false(p2m_lookup(u2, AT + i, &e));
		assert_int_equal(grant_entry(u1, 1 + i)->flags, GTF_permit_access | IN_USE);
	}
	assert_int_equal(given_up->state, PAGE_OWNED);
	assert_int_equal(given_up->count, 1);
}

/* Whoever unmaps, and whoever dies, lets go behind the fence: the page may be another's the next moment. */
static void let_go_behind_the_fence(void **state)
{
	struct gnttab_unmap_grant_ref unmap[2];

	for (unsigned int dies = 0; dies < 2; dies++) {
		for (u32 i = 0; i < 2; i++) {
			unmap[i].host_addr = (AT + i) << PAGE_SHIFT;
			grant_access(u1, 1 + i, 2, RAM_GFN + 2 * dies + i, 0);
			AS(u2);
			assert_int_equal(map_grant(1, 1 + i, AT + i, 0, &unmap[i].handle),
					 GNTST_okay);
		}
		given_up = virt_to_page(guest_page(u1, RAM_GFN + 2 * dies));
		AS(u1);
		assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 2 * dies, 0), 1);
		host.on_flush = unmapped_and_held;
		if (dies) {
			AS(dom0);
			kill_domain(u2);
		} else {
			AS(u2);
			assert_int_equal(GNTTAB(GNTTABOP_unmap_grant_ref, unmap, 2), 0);
		}
		assert_null(host.on_flush);
		assert_int_not_equal(given_up->state, PAGE_OWNED);
		assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
	}
}

static void granter_dies_while_mapped(void **state)
{
	char *page;
	u32 handle;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	grant_access(u1, 2, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_okay);
	page = guest_page(u2, AT);
	page[0] = 'x';
	kill_domain(u1);
	assert_int_equal(u1->dying, DOMDYING_DEAD);
	assert_int_equal(page[0], 'x'); /* not scrubbed under the mapping */
	assert_int_equal(u1->tot_pages, 1);
	assert_int_equal(map_grant(1, 2, AT + 1, 0, NULL), GNTST_bad_domain);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
	assert_null(domain_get(1)); /* that was the last that held it */
}

static void mapper_dies(void **state)
{
	grant_access(u1, 1, 2, RAM_GFN, 0);
	grant_access(u1, 2, 2, RAM_GFN + 1, 0);
	AS(u2);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(map_grant(1, 1 + i % 2, AT + i, i % 3 ? 0 : GNTMAP_readonly, NULL),
				 GNTST_okay);
	AS(dom0);
	kill_domain(u2);
	assert_null(domain_get(2));
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
	assert_int_equal(grant_entry(u1, 2)->flags, GTF_permit_access);
	assert_int_equal(u1->refs, 2);
}

/* 2 frames stand for 512 handles. */
static void handles_grow_to_their_limit(void **state)
{
	u32 handle[512], extra;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	for (unsigned int i = 0; i < 512; i++) {
		assert_int_equal(map_grant(1, 1, AT + i, 0, &handle[i]), GNTST_okay);
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(handle[i], handle[j]);
	}
	assert_int_equal(map_grant(1, 1, AT + 512, 0, &extra), GNTST_no_space);
	assert_int_equal(unmap_grant(handle[77], AT + 77), GNTST_okay);
	assert_int_equal(map_grant(1, 1, AT + 512, 0, &extra), GNTST_okay);
	assert_int_equal(extra, handle[77]);
	for (unsigned int i = 0; i < 512; i++) {
		if (i != 77)
			assert_int_equal(unmap_grant(handle[i], AT + i), GNTST_okay);
	}
	assert_int_equal(unmap_grant(extra, AT + 512), GNTST_okay);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
}

/* An error after the pin gives everything back. */
static void xsa_316_error_path_of_map(void **state)
{
	u32 handle;

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	host.maps_left = 0;
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_no_space);
	host.maps_left = -1;
	assert_int_equal(handle, ~0U);
	assert_int_equal(grant_entry(u1, 1)->flags, GTF_permit_access);
	assert_int_equal(u1->refs, 2);
	assert_int_equal(mfn_to_page(arch_virt_to_mfn(guest_page(u1, RAM_GFN)))->count, 1);
	assert_int_equal(map_grant(1, 1, AT, 0, &handle), GNTST_okay);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
}

static void xsa_380_batches_continue(void **state)
{
	enum { N = 160 };
	struct gnttab_map_grant_ref map[N];
	struct gnttab_unmap_grant_ref unmap[N];

	for (unsigned int i = 0; i < N; i++) {
		grant_access(u1, i + 1, 2, RAM_GFN + i % 40, 0);
		map[i] = (struct gnttab_map_grant_ref){ .host_addr = (AT + i) << PAGE_SHIFT,
							.flags = GNTMAP_host_map,
							.ref = i + 1,
							.dom = i == 20 ? 99 : 1 };
	}
	AS(u2);
	host.preempt_every = 1;
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, map, N), 0);
	assert_in_range(host.restarts, 5, 20);
	for (unsigned int i = 0; i < N; i++) {
		assert_int_equal(map[i].status, i == 20 ? GNTST_bad_domain : GNTST_okay);
		unmap[i] = (struct gnttab_unmap_grant_ref){ .host_addr = map[i].host_addr,
							    .handle = map[i].handle };
	}
	host.restarts = 0;
	assert_int_equal(GNTTAB(GNTTABOP_unmap_grant_ref, unmap, N), 0);
	assert_true(host.restarts);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(unmap[i].status, i == 20 ? GNTST_bad_handle : GNTST_okay);
}

/* What goes wrong in a batch, and for whom, is each operation's own: granters alternate, refs and addresses come twice. */
static void batches_are_single_operations(void **state)
{
	enum { N = 12 };
	static const struct {
		domid_t dom;
		u32 ref, flags;
		gfn_t at;
		s16 status;
	} ops[N] = {
		{ 1, 1, GNTMAP_host_map, AT, GNTST_okay },
		{ 1, 1, GNTMAP_host_map, AT + 1, GNTST_okay }, /* the same grant again */
		{ 1, 2, GNTMAP_host_map, AT, GNTST_bad_virt_addr }, /* where the first one is */
		{ 0, 3, GNTMAP_host_map | GNTMAP_readonly, AT + 2, GNTST_okay },
		{ 99, 3, GNTMAP_host_map, AT + 3, GNTST_bad_domain },
		{ 99, 3, 0, AT + 3, GNTST_general_error },
		{ 1, 4, GNTMAP_host_map, AT + 3, GNTST_bad_gntref },
		{ 1, 2, GNTMAP_host_map, AT + 4, GNTST_okay },
		{ 2, 5, GNTMAP_host_map, AT + 5, GNTST_okay }, /* one's own */
		{ DOMID_SELF, 5, GNTMAP_host_map, AT + 6, GNTST_okay },
		{ 1, 6, GNTMAP_host_map, AT + 7, GNTST_permission_denied },
		{ 1, 6, GNTMAP_host_map | GNTMAP_readonly, AT + 7, GNTST_okay },
	};
	u32 refs[3] = { dom0->refs, u1->refs, u2->refs };
	struct gnttab_unmap_grant_ref unmap[2 * N];
	struct gnttab_map_grant_ref map[N];

	grant_access(u1, 1, 2, RAM_GFN, 0);
	grant_access(u1, 2, 2, RAM_GFN + 1, 0);
	grant_access(dom0, 3, 2, p2m_max_gfn(dom0), 0); /* mapped one to one */
	grant_access(u2, 5, 2, RAM_GFN + 2, 0);
	grant_access(u1, 6, 2, RAM_GFN + 3, GTF_readonly);
	AS(u2);
	for (unsigned int i = 0; i < N; i++)
		map[i] = (struct gnttab_map_grant_ref){ .host_addr = ops[i].at << PAGE_SHIFT,
							.flags = ops[i].flags,
							.ref = ops[i].ref,
							.dom = ops[i].dom };
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, map, N), 0);
	for (unsigned int i = 0; i < N; i++) {
		assert_int_equal(map[i].status, ops[i].status);
		assert_int_equal(map[i].handle == ~0U, ops[i].status != GNTST_okay);
		/* Each is unmapped, and at once again. */
		unmap[2 * i] = unmap[2 * i + 1] =
			(struct gnttab_unmap_grant_ref){ .host_addr = map[i].host_addr,
							 .handle = map[i].handle };
	}
	assert_ptr_equal(guest_page(u2, AT + 2), guest_page(dom0, p2m_max_gfn(dom0)));
	assert_ptr_equal(guest_page(u2, AT + 6), guest_page(u2, RAM_GFN + 2));
	assert_int_equal(u1->refs, refs[1] + 4);
	assert_int_equal(GNTTAB(GNTTABOP_unmap_grant_ref, unmap, 2 * N), 0);
	for (unsigned int i = 0; i < 2 * N; i++)
		assert_int_equal(unmap[i].status, i % 2 || ops[i / 2].status != GNTST_okay ?
							  GNTST_bad_handle :
							  GNTST_okay);
	for (u32 ref = 1; ref <= 6; ref++)
		assert_false((grant_entry(u1, ref)->flags | grant_entry(u2, ref)->flags |
			      grant_entry(dom0, ref)->flags) &
			     IN_USE);
	assert_int_equal(dom0->refs, refs[0]);
	assert_int_equal(u1->refs, refs[1]);
	assert_int_equal(u2->refs, refs[2]);
}

static void a_fault_in_a_batch(void **state)
{
	struct gnttab_map_grant_ref map[2] = {
		{ .host_addr = AT << PAGE_SHIFT,
		  .flags = GNTMAP_host_map,
		  .ref = 1,
		  .dom = 1,
		  .status = 1 },
		{ .host_addr = (AT + 1) << PAGE_SHIFT,
		  .flags = GNTMAP_host_map,
		  .ref = 1,
		  .dom = 1 },
	};

	grant_access(u1, 1, 2, RAM_GFN, 0);
	AS(u2);
	host.fault_start = U(&map[1]);
	host.fault_end = U(&map[2]);
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, map, 2), -EFAULT);
	host.fault_start = host.fault_end = 0;
	assert_int_equal(map[0].status, GNTST_okay);
	/* The result cannot be told: the mapping is lost to the guest, but not to the hypervisor (world_down). */
	host.copies_left = 1;
	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, map + 1, 1), -EFAULT);
}

static void the_tables_frames(void **state)
{
	struct gnttab_query_size q = { .dom = DOMID_SELF };
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 3 };
	struct domain *d = NULL;
	struct xen_domctl_createdomain config = default_config(1);
	struct page *pg;

	AS(u1);
	assert_int_equal(GNTTAB(GNTTABOP_query_size, &q, 1), 0);
	assert_int_equal(q.status, GNTST_okay);
	assert_int_equal(q.nr_frames, 1);
	assert_int_equal(q.max_nr_frames, 4);
	assert_int_equal(GNTTAB(GNTTABOP_setup_table, &s, 1), 0);
	assert_int_equal(s.status, GNTST_okay);
	assert_int_equal(GNTTAB(GNTTABOP_query_size, &q, 1), 0);
	assert_int_equal(q.nr_frames, 3);
	s.nr_frames = 5;
	assert_int_equal(GNTTAB(GNTTABOP_setup_table, &s, 1), 0);
	assert_int_equal(s.status, GNTST_general_error);
	s.nr_frames = ~0U;
	assert_int_equal(GNTTAB(GNTTABOP_setup_table, &s, 1), 0);
	assert_int_equal(s.status, GNTST_general_error);
	s.dom = q.dom = 2;
	assert_int_equal(GNTTAB(GNTTABOP_setup_table, &s, 1), 0);
	assert_int_equal(s.status, GNTST_permission_denied);
	assert_int_equal(GNTTAB(GNTTABOP_query_size, &q, 1), 0);
	assert_int_equal(q.status, GNTST_permission_denied);
	q.dom = 55;
	assert_int_equal(GNTTAB(GNTTABOP_query_size, &q, 1), 0);
	assert_int_equal(q.status, GNTST_bad_domain);
	assert_int_equal(GNTTAB(GNTTABOP_query_size, &q, 2), -EINVAL);
	assert_int_equal(grant_table_get_frame(u1, 4, &pg), -EINVAL);
	assert_int_equal(grant_table_get_frame(u1, ~0UL, &pg), -EINVAL);
	/* The most that a domain can be created with works. */
	config.max_grant_frames = config.max_maptrack_frames = 0x7fffffff;
	assert_int_equal(domain_create(5, &config, &d), 0);
	assert_int_equal(grant_table_get_frame(d, 1023, &pg), 0);
	page_put(pg);
	assert_int_equal(grant_table_get_frame(d, 1024, &pg), -EINVAL);
	config.max_grant_frames = config.max_maptrack_frames = 0;
	assert_int_equal(domain_create(6, &config, &d), 0);
	config.max_grant_frames = config.max_maptrack_frames = -1;
	assert_int_equal(domain_create(7, &config, &d), 0);
	assert_int_equal(grant_table_max_frames(d), 64);
}

static void xsa_26_255_382_versions(void **state)
{
	struct gnttab_set_version set = { .version = 1 };
	struct gnttab_get_version get = { .dom = DOMID_SELF };

	AS(u1);
	assert_int_equal(GNTTAB(GNTTABOP_set_version, &set, 1), 0);
	set.version = 2;
	assert_int_equal(GNTTAB(GNTTABOP_set_version, &set, 1), -ENOSYS);
	set.version = 0;
	assert_int_equal(GNTTAB(GNTTABOP_set_version, &set, 1), -EINVAL);
	set.version = 3;
	assert_int_equal(GNTTAB(GNTTABOP_set_version, &set, 1), -EINVAL);
	assert_int_equal(GNTTAB(GNTTABOP_get_version, &get, 1), 0);
	assert_int_equal(get.version, 1);
	get.dom = 2;
	assert_int_equal(GNTTAB(GNTTABOP_get_version, &get, 1), -EPERM);
	get.dom = 77;
	assert_int_equal(GNTTAB(GNTTABOP_get_version, &get, 1), -ESRCH);
	assert_int_equal(GNTTAB(GNTTABOP_get_version, NULL, 1), -EFAULT);
	/* No status frames, no frames by other names. */
	assert_int_equal(GNTTAB(GNTTABOP_get_status_frames, &get, 1), -EOPNOTSUPP);
	assert_int_equal(GNTTAB(GNTTABOP_swap_grant_ref, &get, 1), -EOPNOTSUPP);
	assert_int_equal(GNTTAB(GNTTABOP_transfer, &get, 1), -EOPNOTSUPP);
	assert_int_equal(GNTTAB(GNTTABOP_unmap_and_replace, &get, 1), -EOPNOTSUPP);
}

/* Each frame is 20 KiB to zero: a table grows in pieces, whichever operation asks. */
static void xsa_380_growing_is_interrupted(void **state)
{
	struct xen_domctl_createdomain config = default_config(1);
	struct gnttab_setup_table s = { .dom = DOMID_SELF, .nr_frames = 40 };
	struct xen_add_to_physmap a = {
		.domid = DOMID_SELF, .space = XENMAPSPACE_grant_table, .idx = 99, .gpfn = 0x50000
	};
	struct domain *d;
	struct page *pg;

	config.max_grant_frames = 100;
	assert_int_equal(domain_create(9, &config, &d), 0);
	assert_int_equal(vcpu_create(d, 0), 0);
	AS(d);
	host.preempt_every = 1;
	assert_int_equal(GNTTAB(GNTTABOP_setup_table, &s, 1), 0);
	assert_int_equal(s.status, GNTST_okay);
	assert_in_range(host.restarts, 38, 40);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap, &a), 0);
	assert_in_range(host.restarts, 96, 100);
	assert_int_equal(grant_table_get_frame(d, 99, &pg), 0);
	assert_int_equal(pg->count, 3); /* the table's, the mapping's, ours */
	assert_ptr_equal(guest_page(d, 0x50000), page_to_virt(pg));
	page_put(pg);
	assert_int_equal(GNTTAB(GNTTABOP_setup_table, NULL, 1), -EFAULT);
}

static void cache_flush(void **state)
{
	struct gnttab_cache_flush op[3] = { { .op = GNTTAB_CACHE_CLEAN, .length = PAGE_SIZE } };

	op[1] = op[2] = op[0];
	AS(u1);
	host.preempt_every = 2;
	assert_int_equal(GNTTAB(GNTTABOP_cache_flush, op, 3), 0);
	assert_true(host.restarts);
	op[2].offset = 1;
	assert_int_equal(GNTTAB(GNTTABOP_cache_flush, op, 3), -EINVAL);
	op[0].op = 0x10;
	assert_int_equal(GNTTAB(GNTTABOP_cache_flush, op, 1), -EINVAL);
	assert_int_equal(GNTTAB(GNTTABOP_cache_flush, NULL, 1), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(map_and_unmap),
		TEST(readonly),
		TEST(wrong_arguments_of_map),
		TEST(entries_that_permit_nothing),
		TEST(grants_to_oneself),
		TEST(xsa_236_second_pin_checks_rights_too),
		TEST(only_own_ram_can_be_granted),
		TEST(wrong_handles),
		TEST(xsa_218_double_unmap),
		TEST(xsa_218_unmap_races_with_map),
		TEST(xsa_224_pins_of_readers_and_writers),
		TEST(granter_flips_its_entry),
		TEST(page_given_up_while_mapped),
		TEST(let_go_behind_the_fence),
		TEST(granter_dies_while_mapped),
		TEST(mapper_dies),
		TEST(handles_grow_to_their_limit),
		TEST(xsa_316_error_path_of_map),
		TEST(xsa_380_batches_continue),
		TEST(batches_are_single_operations),
		TEST(a_fault_in_a_batch),
		TEST(the_tables_frames),
		TEST(xsa_26_255_382_versions),
		TEST(xsa_380_growing_is_interrupted),
		TEST(cache_flush),
	};

	return RUN(tests);
}
