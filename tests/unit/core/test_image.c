// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory images: what a fork and its parent see, who pays for it, who gets the pages; hostile callers, no memory, held pages, domains that die
 * in whatever order.
 */
#include <memory.h>

#include "forks.h"
#include "invariants.h"

#define AT 0x1c000UL /* what others map of it */

void check_failed(void)
{
}

static unsigned int order_at(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;

	assert_true(p2m_lookup(d, gfn, &e));
	return e.order;
}

static struct xen_domctl_getdomaininfo info(domid_t id)
{
	struct xen_domctl op = { 0 };

	assert_int_equal(domctl(id, XEN_DOMCTL_getdomaininfo, &op), 0);
	return op.u.getdomaininfo;
}

static void both_go_on_by_themselves(void **state)
{
	u64 all = U_PAGES + 2 * 512;
	struct domain *c;

	fill(2);
	c = must_fork(3, u1);
	check_world();
	/* All is shared, and each may write to all of it. */
	for (unsigned int i = 0; i < 2; i++) {
		struct domain *d = i ? c : u1;

		assert_int_equal(d->tot_pages, 0);
		assert_int_equal(d->shared_pages, all);
		assert_in_range(d->reserved_pages, all, all + 4);
		AS(dom0);
		assert_int_equal(info(d->id).shr_pages, all);
		assert_int_equal(info(d->id).tot_pages, 0);
		AS(d);
		assert_int_equal(MEMORY(XENMEM_current_reservation, &(domid_t){ DOMID_SELF }), all);
	}
	assert_int_equal(order_at(c, LARGE_GFN), 9);
	assert_int_equal(order_at(u1, LARGE_GFN), 9);
	assert_int_equal(c->max_pages, u1->max_pages);
	store(u1, RAM_GFN + 1, 1);
	store(c, RAM_GFN + 1, 2);
	store(c, RAM_GFN + 2, 3);
	store(u1, LARGE_GFN + 700, 4);
	assert_int_equal(u1->tot_pages, 2);
	assert_int_equal(c->tot_pages, 2);
	assert_int_equal(u1->shared_pages, all - 2);
	assert_int_equal(load(u1, RAM_GFN + 1), 1);
	assert_int_equal(load(c, RAM_GFN + 1), 2);
	assert_int_equal(load(u1, RAM_GFN + 2), pattern(RAM_GFN + 2));
	assert_int_equal(load(c, RAM_GFN + 2), 3);
	assert_int_equal(load(u1, LARGE_GFN + 700), 4);
	assert_int_equal(load(c, LARGE_GFN + 700), pattern(LARGE_GFN + 700));
	assert_int_equal(load(u1, LARGE_GFN + 701), pattern(LARGE_GFN + 701));
	assert_int_equal(order_at(c, LARGE_GFN + 700), 9);
	assert_int_equal(order_at(u1, LARGE_GFN), 9);
	/* Once it has a page, that is an ordinary one. */
	assert_int_equal(image_unshare(u1, RAM_GFN + 1), -ENOENT);
	assert_int_equal(image_unshare(u1, HOLE + 0x8000), -ENOENT);
	assert_int_equal(image_unshare(u1, ~0UL), -ENOENT);
	check_world();
	/* The child's life has not begun; nothing keeps it from that. */
	AS(dom0);
	assert_int_equal(domctl(3, XEN_DOMCTL_unpausedomain, NULL), 0);
	assert_int_equal(u1->pause_count, 0);
}

static void the_last_one_gets_it_back(void **state)
{
	for (unsigned int parent_first = 0; parent_first < 2; parent_first++) {
		struct domain *c, *last;

		fill(2);
		c = must_fork(3, u1);
		store(u1, RAM_GFN, 7);
		store(c, RAM_GFN + 1, 7);
		store(c, LARGE_GFN + 3, 7);
		last = parent_first ? c : u1;
		kill_domain(parent_first ? u1 : c);
		check_world();
		assert_null(last->image);
		assert_int_equal(last->shared_pages + last->reserved_pages + last->shared_tables,
				 0);
		assert_int_equal(last->tot_pages, U_PAGES + 2 * 512);
		/* Large where it was not written. */
		assert_int_equal(order_at(last, LARGE_GFN + 512), 9);
		for (gfn_t i = 2; i < U_PAGES; i++) {
			assert_int_equal(load(last, RAM_GFN + i), pattern(RAM_GFN + i));
			assert_true(host_touch(last, RAM_GFN + i, true));
		}
		assert_int_equal(load(last, LARGE_GFN + 3),
				 parent_first ? 7 : pattern(LARGE_GFN + 3));
		assert_int_equal(heap_claimed_pages(), 0);
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

/* What somebody holds stays the parent's, and the copy has its content. */
static void held_pages_are_copied(void **state)
{
	struct vcpu_register_vcpu_info a = { .mfn = RAM_GFN + 3 };
	struct domain *c;
	u32 handle;

	fill(1);
	AS(u1);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &a), 0);
	grant_access(u1, 9, 2, LARGE_GFN + 9, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 9, AT, 0, &handle), GNTST_okay);
	*(u64 *)guest_page(u2, AT) = 99;
	/* shared_info in the place of RAM, and where there is none */
	AS(u1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 5), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, RAM_GFN + U_PAGES + 1), 0);
	c = must_fork(3, u1);
	check_world();
	assert_int_equal(u1->tot_pages, 3);
	assert_int_equal(c->tot_pages, 3);
	assert_int_equal(load(c, LARGE_GFN + 9), 99);
	assert_int_equal(load(c, RAM_GFN + 5), pattern(RAM_GFN + 5));
	assert_false(is_shared(c, RAM_GFN + 3));
	assert_true(is_shared(c, LARGE_GFN + 8));
	assert_false(p2m_lookup(c, RAM_GFN + U_PAGES + 1, &(struct p2m_entry){ 0 }));
	*(u64 *)guest_page(u2, AT) = 100;
	assert_int_equal(load(c, LARGE_GFN + 9), 99);
	assert_int_equal(load(u1, LARGE_GFN + 9), 100);
	/* What is hidden comes back, writable, and is no image's. */
	AS(u1);
	assert_int_equal(remove_gfn(DOMID_SELF, RAM_GFN + 5), 0);
	assert_int_equal(load(u1, RAM_GFN + 5), pattern(RAM_GFN + 5));
	store(u1, RAM_GFN + 5, 1);
	assert_int_equal(load(c, RAM_GFN + 5), pattern(RAM_GFN + 5));
	/* What was split for the page that was held is whole again. */
	assert_int_equal(order_at(u1, LARGE_GFN), 0);
	kill_domain(c);
	assert_int_equal(order_at(u1, LARGE_GFN), 9);
	check_world();
	AS(u2);
	assert_int_equal(unmap_grant(handle, AT), GNTST_okay);
}

/* Each way to a page by its frame number leads to one of the domain's own. */
static void who_holds_one_has_a_private_one(void **state)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = 3 };
	struct gnttab_copy op[2] = {
		{ .source = { .u.ref = 8, .domid = 3 },
		  .dest = { .u.gmfn = RAM_GFN, .domid = DOMID_SELF },
		  .len = 8,
		  .flags = GNTCOPY_source_gref },
		{ .source = { .u.gmfn = RAM_GFN, .domid = DOMID_SELF },
		  .dest = { .u.ref = 9, .domid = 3 },
		  .len = 8,
		  .flags = GNTCOPY_dest_gref },
	};
	xen_ulong_t idx = RAM_GFN + 20;
	xen_pfn_t gfn = AT + 100;
	u32 handles[4];
	struct domain *c;
	int err = 77;

	fill(1);
	c = must_fork(3, u1);
	/* Several in a batch, of which some are shared and some not */
	store(c, RAM_GFN + 12, 12);
	for (unsigned int i = 0; i < 4; i++)
		grant_access(c, 10 + i, 2, RAM_GFN + 10 + i, 0);
	grant_access(c, 8, 2, RAM_GFN + 8, 0);
	grant_access(c, 9, 2, LARGE_GFN + 9, 0);
	AS(u2);
	{
		struct gnttab_map_grant_ref map[4];

		for (unsigned int i = 0; i < 4; i++)
			map[i] = (struct gnttab_map_grant_ref){ .host_addr = (AT + i) << PAGE_SHIFT,
								.flags = GNTMAP_host_map,
								.ref = 10 + i,
								.dom = 3 };
		assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, map, 4), 0);
		for (unsigned int i = 0; i < 4; i++) {
			assert_int_equal(map[i].status, GNTST_okay);
			handles[i] = map[i].handle;
			*(u64 *)guest_page(u2, AT + i) = 1000 + i;
		}
	}
	assert_int_equal(GNTTAB(GNTTABOP_copy, op, 2), 0);
	assert_int_equal(op[0].status, GNTST_okay);
	assert_int_equal(op[1].status, GNTST_okay);
	AS(dom0);
	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &gfn);
	set_xen_guest_handle(b.errs, &err);
	assert_int_equal(MEMORY(XENMEM_add_to_physmap_batch, &b), 0);
	assert_int_equal(err, 0);
	*(u64 *)guest_page(dom0, gfn) = 20;
	check_world();
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(load(c, RAM_GFN + 10 + i), 1000 + i);
		assert_int_equal(load(u1, RAM_GFN + 10 + i), pattern(RAM_GFN + 10 + i));
		AS(u2);
		assert_int_equal(unmap_grant(handles[i], AT + i), GNTST_okay);
	}
	assert_int_equal(load(c, RAM_GFN + 20), 20);
	assert_int_equal(load(u1, RAM_GFN + 20), pattern(RAM_GFN + 20));
	assert_int_equal(load(c, LARGE_GFN + 9), pattern(RAM_GFN + 8));
	assert_int_equal(load(u1, LARGE_GFN + 9), pattern(LARGE_GFN + 9));
	/* A batch of 4, the copy's two ends and dom0's; one was written before. */
	assert_int_equal(c->tot_pages, 7);
	assert_int_equal(u1->tot_pages, 0);
	AS(dom0);
	assert_int_equal(remove_gfn(DOMID_SELF, gfn), 0);
	/* Areas */
	AS(c);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 0,
				&((struct vcpu_register_vcpu_info){ .mfn = RAM_GFN + 30 })),
			 0);
	assert_false(is_shared(c, RAM_GFN + 30));
	assert_true(is_shared(u1, RAM_GFN + 30));
	check_world();
}

static long memory(domid_t dom, u32 op, u64 *gfns, void *pages, u8 *kinds, u32 n)
{
	struct xen_domctl c = { .u.pavise_memory = { .op = op,
						     .count = n,
						     .gfns = U(gfns),
						     .pages = U(pages),
						     .kinds = U(kinds) } };

	return domctl(dom, PAVISE_DOMCTL_memory, &c);
}

/* The control domain reads without making copies, and writes to one. */
static void read_and_written_from_outside(void **state)
{
	static u8 pages[3 * PAGE_SIZE] __aligned(8);
	u64 gfns[3] = { RAM_GFN + 4, LARGE_GFN + 4, HOLE + 0x8000 };
	struct domain *c;
	u8 kinds[3];

	fill(1);
	c = must_fork(3, u1);
	assert_int_equal(memory(3, PAVISE_MEMORY_read, gfns, pages, kinds, 3), 0);
	assert_int_equal(c->tot_pages, 0);
	assert_int_equal(*(u64 *)pages, pattern(RAM_GFN + 4));
	assert_int_equal(*(u64 *)(pages + PAGE_SIZE), pattern(LARGE_GFN + 4));
	assert_int_equal(kinds[0], PAVISE_MEMORY_data);
	assert_int_equal(kinds[2], PAVISE_MEMORY_hole);
	store(c, RAM_GFN + 4, 4);
	assert_int_equal(memory(3, PAVISE_MEMORY_read, gfns, pages, kinds, 1), 0);
	assert_int_equal(*(u64 *)pages, 4);
	*(u64 *)pages = 5;
	assert_int_equal(memory(3, PAVISE_MEMORY_write, gfns, pages, kinds, 1), 0);
	assert_int_equal(memory(1, PAVISE_MEMORY_write, gfns + 1, pages, kinds, 1), 0);
	assert_int_equal(load(c, RAM_GFN + 4), 5);
	assert_int_equal(load(u1, RAM_GFN + 4), pattern(RAM_GFN + 4));
	assert_int_equal(load(u1, LARGE_GFN + 4), 5);
	assert_int_equal(load(c, LARGE_GFN + 4), pattern(LARGE_GFN + 4));
	/* A bad buffer leaves nobody at it. */
	host.copies_left = 2;
	assert_int_equal(memory(3, PAVISE_MEMORY_read, gfns + 1, pages, kinds, 1), -EFAULT);
	host.copies_left = -1;
	check_world();
}

/* A balloon gives up what is shared, and what comes instead is within what it may have. */
static void balloon(void **state)
{
	struct domain *c;
	u64 all;

	fill(1);
	u1->max_pages = all = U_PAGES + 512;
	c = must_fork(3, u1);
	AS(c);
	assert_int_equal(populate(DOMID_SELF, HOLE + 0x8000, 0), 0);
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 1, 0), 1);
	assert_int_equal(decrease(DOMID_SELF, LARGE_GFN + 1, 0), 1);
	assert_int_equal(decrease(DOMID_SELF, LARGE_GFN + 1, 0), 0);
	assert_int_equal(c->tot_pages, 0);
	assert_int_equal(c->shared_pages, all - 2);
	check_world();
	AS(c);
	assert_int_equal(populate(DOMID_SELF, RAM_GFN + 1, 0), 1);
	assert_int_equal(load(c, RAM_GFN + 1), 0);
	assert_int_equal(populate(DOMID_SELF, HOLE + 0x8000, 0), 1);
	assert_int_equal(populate(DOMID_SELF, HOLE + 0x8001, 0), 0);
	assert_int_equal(load(u1, RAM_GFN + 1), pattern(RAM_GFN + 1));
	assert_int_equal(load(c, LARGE_GFN + 2), pattern(LARGE_GFN + 2));
	/* It writes to all that is left. */
	for (gfn_t i = 2; i < 512; i++)
		store(c, LARGE_GFN + i, i);
	check_world();
	/* Something of its own where the parent has RAM, in a table that both use */
	AS(u1);
	assert_int_equal(decrease(DOMID_SELF, RAM_GFN + 2, 0), 1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 2), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, RAM_GFN + 3), 0);
	assert_int_equal(load(c, RAM_GFN + 2), pattern(RAM_GFN + 2));
	assert_int_equal(load(c, RAM_GFN + 3), pattern(RAM_GFN + 3));
	assert_int_equal(remove_gfn(DOMID_SELF, RAM_GFN + 3), 0);
	assert_int_equal(load(u1, RAM_GFN + 3), pattern(RAM_GFN + 3));
	store(u1, RAM_GFN + 3, 1);
	assert_int_equal(load(c, RAM_GFN + 3), pattern(RAM_GFN + 3));
	check_world();
}

/* A chain of forks as deep as there may be and longer, each with something written; then they go, in three orders. */
static void forks_of_forks(void **state)
{
	for (unsigned int order = 0; order < 3; order++) {
		enum { N = 12 };
		struct domain *d[N + 1] = { u1 };

		fill(1);
		for (unsigned int i = 1; i <= N; i++) {
			struct domain *from = order == 2 ? u1 : d[i - 1];

			store(from, RAM_GFN + i, 1000 * i);
			d[i] = must_fork(2 + i, from);
			store(d[i], RAM_GFN + 30, 2000 * i);
			assert_true(d[i]->image->depth <= IMAGE_DEPTH_MAX);
		}
		check_world();
		assert_int_equal(u1->image->depth, order == 2 ? IMAGE_DEPTH_MAX : 1);
		for (unsigned int i = 1; i <= N; i++) {
			unsigned int at = order == 0 ? i - 1 : N - i;

			/* u1 first, or last */
			for (unsigned int j = 1; j <= N; j++) {
				if (order == 0 ? j <= at : j > at + 1)
					continue;
				for (unsigned int k = 1; k <= j; k++)
					assert_int_equal(load(d[j], RAM_GFN + k), 1000 * k);
				assert_int_equal(load(d[j], RAM_GFN + 30), 2000 * j);
				assert_int_equal(load(d[j], LARGE_GFN + 30),
						 pattern(LARGE_GFN + 30));
			}
			kill_domain(order == 0 ? d[at] : d[at + 1]);
			check_world();
		}
		if (order)
			assert_null(u1->image);
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

/* One that has written nothing since is forked again for nothing. */
static void many_of_one(void **state)
{
	struct image *img;
	u64 free;

	fill(2);
	must_fork(3, u1);
	img = u1->image;
	free = heap_free_pages();
	for (unsigned int i = 0; i < 5; i++)
		must_fork(4 + i, u1);
	assert_ptr_equal(u1->image, img);
	assert_int_equal(img->users, 7);
	/* Root, shared_info, events, grants, vCPU; no copy of memory */
	assert_true(free - heap_free_pages() < 5 * 40);
	check_world();
}

static void hostile_callers(void **state)
{
	struct xen_mem_sharing_op a = { .op = XENMEM_sharing_op_fork, .domain = 3 };
	struct domain *c, *q;

	fill(0);
	c = make_child(3, u1);
	AS(u1);
	assert_int_equal(fork_domain(3, 1), -EPERM);
	AS(dom0);
	assert_int_equal(fork_domain(3, 3), -EINVAL);
	assert_int_equal(fork_domain(3, 0), -EINVAL);
	assert_int_equal(fork_domain(0, 1), -EINVAL);
	assert_int_equal(fork_domain(DOMID_SELF, 1), -EINVAL);
	assert_int_equal(fork_domain(3, 77), -ESRCH);
	assert_int_equal(fork_domain(77, 1), -ESRCH);
	assert_int_equal(fork_domain(2, 1), -EINVAL); /* has run */
	c->max_pages = 0; /* as it is made; it gets the parent's */
	for (unsigned int op = 0; op < 12; op++) {
		a.op = op;
		a.u.fork.parent_domain = 1;
		if (op != XENMEM_sharing_op_fork)
			assert_int_equal(MEMORY(XENMEM_sharing_op, &a), -EOPNOTSUPP);
	}
	a.op = XENMEM_sharing_op_fork;
	a.u.fork.flags = PAVISE_FORK_NO_RESERVE | XENMEM_FORK_RESET_MEMORY;
	assert_int_equal(MEMORY(XENMEM_sharing_op, &a), -EINVAL);
	a.u.fork.flags = 0;
	a.u.fork.pad = 1;
	assert_int_equal(MEMORY(XENMEM_sharing_op, &a), -EINVAL);
	assert_int_equal(MEMORY(XENMEM_sharing_op, NULL), -EFAULT);
	assert_int_equal(u1->pause_count, 0);
	/* Something is there. */
	q = make_paused_domain(4, 1, 1);
	q->max_pages = u1->max_pages;
	assert_int_equal(fork_domain(4, 1), -EINVAL);
	assert_null(u1->image);
	assert_int_equal(fork_domain(3, 1), 0);
	assert_int_equal(c->max_pages, u1->max_pages);
	assert_int_equal(fork_domain(3, 1), -EINVAL);
	assert_int_equal(domctl(3, XEN_DOMCTL_unpausedomain, NULL), 0);
	check_world();
}

/* A frame of the child's that is taken already: it never runs, and the parent goes on. */
static void a_fork_that_fails(void **state)
{
	struct domain *c;

	fill(1);
	c = make_child(3, u1);
	assert_int_equal(add(3, XENMAPSPACE_shared_info, 0, LARGE_GFN + 5), 0);
	AS(dom0);
	assert_int_equal(fork_domain(3, 1), -EEXIST);
	assert_int_equal(fork_domain(3, 1), -EINVAL);
	assert_int_equal(domctl(3, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	assert_int_equal(u1->pause_count, 0);
	check_world();
	store(u1, LARGE_GFN + 5, 1);
	kill_domain(c);
	check_world();
	assert_null(u1->image);
	assert_int_equal(u1->tot_pages, U_PAGES + 512);
	assert_int_equal(load(u1, RAM_GFN), pattern(RAM_GFN));
	assert_int_equal(heap_claimed_pages(), 0);
	assert_int_equal(u1->reserved_pages, 0);
}

/* The parent, which shares with another one, has everything reserved as before. And what the copy had claimed is nobody's. */
static void a_fork_that_fails_leaves_what_was_reserved(void **state)
{
	struct xen_mem_sharing_op a = { .op = XENMEM_sharing_op_fork, .domain = 3 };
	struct domain *c;

	fill(1);
	must_fork(4, u1);
	store(u1, RAM_GFN + 1, 1);
	c = make_child(3, u1);
	assert_int_equal(add(3, XENMAPSPACE_shared_info, 0, LARGE_GFN + 5), 0);
	assert_int_equal(heap_claim(c, 10), 0);
	a.u.fork.parent_domain = 1;
	a.u.fork.flags = PAVISE_FORK_NO_RESERVE | PAVISE_FORK_PARENT_NO_RESERVE;
	AS(dom0);
	assert_int_equal(MEMORY(XENMEM_sharing_op, &a), -EEXIST);
	assert_false(u1->overcommits);
	assert_int_equal(c->claimed_pages, 0);
	check_world();
	kill_domain(c);
	check_world();
}

/* Where walks of a guest's tables write to read-only memory, a copy could change what its parent has. */
static void refused_where_it_is_not_safe(void **state)
{
	fill(0);
	make_child(3, u1);
	AS(dom0);
	host_walks_write(true);
	assert_int_equal(fork_domain(3, 1), -EOPNOTSUPP);
	assert_null(u1->image);
	AS(u1);
	assert_int_equal(fork_domain(3, 1), -EPERM);
	AS(dom0);
	image_allow_unsafe_forks(true);
	assert_int_equal(fork_domain(3, 1), 0);
	image_allow_unsafe_forks(false);
	make_child(4, u1);
	assert_int_equal(fork_domain(4, 1), -EOPNOTSUPP);
	host_walks_write(false);
	assert_int_equal(fork_domain(4, 1), 0);
	check_world();
}

/* With each number of free pages it is done or not begun, and what is done lasts. */
static void no_memory(void **state)
{
	unsigned int failed = 0;
	u64 all = U_PAGES + 512;

	for (u64 leave = 0; leave < 3000; leave += 61) {
		struct domain *c;
		struct page *taken = NULL, *pg;
		long rc;

		fill(1);
		c = make_child(3, u1);
		while (heap_free_pages() - heap_claimed_pages() > leave && (pg = alloc_pages(0))) {
			pg->image = (void *)taken;
			taken = pg;
		}
		AS(dom0);
		rc = fork_domain(3, 1);
		assert_true(!rc || rc == -ENOMEM);
		failed += !!rc;
		check_world();
		for (gfn_t i = 0; i < 512; i++)
			store(u1, LARGE_GFN + i, 1);
		for (gfn_t i = 0; i < 512 && !rc; i++) {
			assert_int_equal(load(c, LARGE_GFN + i), pattern(LARGE_GFN + i));
			store(c, LARGE_GFN + i, 2);
		}
		assert_int_equal(u1->tot_pages + u1->shared_pages, all);
		check_world();
		kill_domain(c);
		assert_int_equal(u1->tot_pages, all);
		while (taken) {
			pg = taken;
			taken = (void *)pg->image;
			free_pages(pg, 0);
		}
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
	assert_in_range(failed, 5, 40);
}

/* A copy for which nothing is kept waits with its stores when there is no memory; others' accesses have a few pages left. */
static void nothing_reserved(void **state)
{
	struct evtchn_bind_virq virq = { .virq = VIRQ_ENOMEM };
	struct xen_mem_sharing_op a = { .op = XENMEM_sharing_op_fork, .domain = 3 };
	struct domain *c;
	u64 left;

	fill(1);
	c = make_child(3, u1);
	a.u.fork.parent_domain = 1;
	a.u.fork.flags = PAVISE_FORK_NO_RESERVE;
	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &virq), 0);
	assert_int_equal(MEMORY(XENMEM_sharing_op, &a), 0);
	left = c->reserved_pages;
	assert_in_range(left, 1, 100);
	assert_true(u1->reserved_pages >= U_PAGES + 512);
	check_world();
	assert_int_equal(image_fault(c, RAM_GFN), 0);
	assert_false(is_shared(c, RAM_GFN));
	assert_int_equal(c->reserved_pages, left);
	take_all_memory();
	for (gfn_t i = 0; i < 512; i++)
		store(u1, LARGE_GFN + i, 1);
	clear_pending(dom0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(image_fault(c, RAM_GFN + 1 + i), 0);
		assert_true(is_shared(c, RAM_GFN + 1 + i));
		assert_int_equal(c->controller_pauses, 2);
		assert_int_equal(pending(dom0, virq.port), i == 0);
		clear_pending(dom0);
	}
	/* For who cannot wait, also while another hart is at a fault. */
	c->fault_hart = 77;
	assert_int_equal(image_unshare(c, RAM_GFN + 1), 0);
	c->fault_hart = 0;
	assert_int_equal(c->reserved_pages, left - 1);
	for (gfn_t i = 0; i < 2 * left; i++)
		image_unshare(c, LARGE_GFN + i);
	assert_int_equal(c->reserved_pages, 0);
	assert_int_equal(image_unshare(c, RAM_GFN + 2), -ENOMEM);
	check_world();
	give_memory_back();
	assert_int_equal(domctl(3, XEN_DOMCTL_unpausedomain, NULL), 0);
	assert_true(c->short_of_memory);
	assert_int_equal(domctl(3, XEN_DOMCTL_unpausedomain, NULL), 0);
	assert_false(c->short_of_memory);
	assert_int_equal(c->pause_count, 0);
	assert_int_equal(image_fault(c, RAM_GFN + 2), 0);
	assert_false(is_shared(c, RAM_GFN + 2));
	assert_int_equal(c->reserved_pages, left);
	assert_int_equal(load(c, RAM_GFN + 2), pattern(RAM_GFN + 2));
	kill_domain(u1);
	assert_null(c->image);
	assert_int_equal(c->reserved_pages, 0);
	assert_false(c->overcommits);
	check_world();
}

/* For neither: a snapshot is given up, and its domain goes on with all of its memory. */
static void nothing_reserved_for_the_parent(void **state)
{
	struct xen_mem_sharing_op a = { .op = XENMEM_sharing_op_fork, .domain = 3 };
	struct domain *c;

	for (unsigned int first = 0; first < 2; first++) {
		fill(1);
		/* It has pages from an earlier one. */
		if (first)
			must_fork(4, u1);
		c = make_child(3, u1);
		a.u.fork.parent_domain = 1;
		a.u.fork.flags = PAVISE_FORK_NO_RESERVE | PAVISE_FORK_PARENT_NO_RESERVE;
		AS(dom0);
		assert_int_equal(MEMORY(XENMEM_sharing_op, &a), 0);
		assert_true(u1->overcommits);
		check_world();
		take_all_memory();
		for (unsigned int i = 0; !u1->short_of_memory; i++) {
			gfn_t gfn = i < 512 ? LARGE_GFN + i : RAM_GFN + i - 512;

			assert_true(i < 512 + U_PAGES);
			assert_int_equal(image_fault(u1, gfn), 0);
			/* What was kept is used, but for the last pages. */
			assert_int_equal(is_shared(u1, gfn), u1->short_of_memory);
			assert_true(!u1->short_of_memory || (first ? i > 400 : i == 0));
		}
		assert_int_equal(u1->controller_pauses, 1);
		give_memory_back();
		kill_domain(c);
		if (!first) {
			assert_null(u1->image);
			assert_false(u1->overcommits);
			assert_int_equal(u1->reserved_pages, 0);
		}
		assert_int_equal(domctl(1, XEN_DOMCTL_unpausedomain, NULL), 0);
		store(u1, RAM_GFN + 63, 1);
		check_world();
		assert_int_equal(world_down(state), 0);
		assert_int_equal(world_up(state), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_go_on_by_themselves),
		TEST(the_last_one_gets_it_back),
		TEST(held_pages_are_copied),
		TEST(who_holds_one_has_a_private_one),
		TEST(read_and_written_from_outside),
		TEST(balloon),
		TEST(forks_of_forks),
		TEST(many_of_one),
		TEST(hostile_callers),
		TEST(a_fork_that_fails),
		TEST(a_fork_that_fails_leaves_what_was_reserved),
		TEST(refused_where_it_is_not_safe),
		TEST(no_memory),
		TEST(nothing_reserved),
		TEST(nothing_reserved_for_the_parent),
	};

	return RUN(tests);
}
