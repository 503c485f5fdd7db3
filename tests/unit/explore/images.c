// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is done to images: u1 has a copy, and may be forked again; both write, and the copy ends.
 */
#include <image.h>

#include "explore.h"
#include "interleave.h"
#include "scene.h"

static u64 originals[NR_PAGES]; /* what u1 had in each page when it was forked */
static bool copy_stored; /* the copy has written to Y */
static bool published; /* u1 has, and others know it */
static bool started; /* the one that is to become a copy has begun to run before */
#define NEW_WORD 0x1234

static long fork_u1(domid_t id)
{
	struct xen_mem_sharing_op a = { .op = XENMEM_sharing_op_fork, .domain = id };

	a.u.fork.parent_domain = 1;
	return MEMORY(XENMEM_sharing_op, &a);
}

void fork_again(void)
{
	if (!fork_u1(TO_BE_COPY) && started)
		fail_run("what has begun to run has become a copy");
}

void start_new(void)
{
	struct domain *d = domain_get(TO_BE_COPY);

	started = !domctl(TO_BE_COPY, XEN_DOMCTL_unpausedomain, NULL) && !d->image;
	domain_put(d);
}

static bool image_store(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;

	while (!host_touch(d, gfn, true)) {
		if (image_unshare(d, gfn) && !host_touch(d, gfn, true))
			return false;
	}
	if (!p2m_lookup(d, gfn, &e))
		return false;
	*(u64 *)arch_mfn_to_virt(e.mfn) = NEW_WORD;
	return true;
}

void store_shared(void)
{
	host_point();
	published = image_store(u1, Y);
	host_point();
}

/* Another hart of u1's, with what it remembers of Y until it is fenced. */
void load_shared(void)
{
	struct p2m_entry e = { 0 };

	remembered = false;
	for (unsigned int i = 0; i < 3; i++) {
		bool was_published = published;

		host_point();
		at_a_write = true;
		if (!remembered && !p2m_lookup(u1, Y, &e))
			break;
		remembered = true;
		host_point();
		if (was_published && *(u64 *)arch_mfn_to_virt(e.mfn) != NEW_WORD)
			fail_run("a hart reads what was there before another one's write");
		at_a_write = false;
		host_point();
	}
	at_a_write = false;
}

void store_copy(void)
{
	struct domain *d = domain_get(COPY);

	if (!d)
		return;
	copy_stored = image_store(d, Y);
	domain_put(d);
}

void destroy_copy(void)
{
	domctl(COPY, XEN_DOMCTL_destroydomain, NULL);
}

void read_u1(void)
{
	static u8 pages[2 * PAGE_SIZE] __aligned(8);
	u64 gfns[2] = { Y, RAM_GFN + 4 };
	u8 kinds[2];
	struct xen_domctl c = { .u.pavise_memory = { .op = PAVISE_MEMORY_read,
						     .count = 2,
						     .gfns = U(gfns),
						     .pages = U(pages),
						     .kinds = U(kinds) } };

	domctl(1, PAVISE_DOMCTL_memory, &c);
}

void check_images(void)
{
	struct domain *d = domain_get(COPY);
	struct p2m_entry e;

	for (unsigned int i = 0; d && !d->dying && i < NR_PAGES; i++) {
		gfn_t gfn = RAM_GFN + i;
		u64 want = copy_stored && gfn == Y ? NEW_WORD : originals[i];

		if (p2m_lookup(d, gfn, &e) && *(u64 *)arch_mfn_to_virt(e.mfn) != want)
			fail_run("page %u of the copy has changed", i);
	}
	copy_stored = published = started = false;
	if (d)
		domain_put(d);
}

void set_images(void)
{
	struct domain *d = make_paused_domain(TO_BE_COPY, 1, 0);

	AS(u1);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		originals[i] = *(u64 *)guest_page(u1, RAM_GFN + i);
	d->max_pages = u1->max_pages;
	d = make_paused_domain(COPY, 1, 0);
	d->max_pages = u1->max_pages;
	AS(dom0);
	assert_int_equal(fork_u1(COPY), 0);
	assert_int_equal(mfn_to_page(arch_virt_to_mfn(guest_page(u1, Y)))->state, PAGE_SHARED);
	log_clean_before();
}
