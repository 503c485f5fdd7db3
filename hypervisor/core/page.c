/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page ownership and references; docs/architecture.md has the table of states.
 * A count changes by atomics, the owner's list and account under its page_lock.
 */
#include <console.h>
#include <domain.h>
#include <lib.h>
#include <page.h>

/* Counts pages to come, so that the lock need not cover the scrubbing. */
static bool reserve(struct domain *d, u64 n)
{
	bool ok;

	spin_lock(&d->page_lock);
	ok = !d->dying && n <= d->max_pages && d->tot_pages <= d->max_pages - n;
	if (ok)
		d->tot_pages += n;
	spin_unlock(&d->page_lock);
	return ok;
}

static void unreserve(struct domain *d, u64 n)
{
	spin_lock(&d->page_lock);
	d->tot_pages -= n;
	spin_unlock(&d->page_lock);
}

/* page_lock held. */
static void assign(struct domain *d, struct page *pg, u64 n)
{
	if (!d->owned_pages)
		domain_hold(d); /* while it owns pages; page_put() drops it */
	d->owned_pages += n;
	for (u64 i = 0; i < n; i++) {
		pg[i].owner = d;
		pg[i].alloc_ref = 1;
		list_add_tail(&pg[i].list, &d->page_list);
		pg[i].state = PAGE_OWNED;
		__atomic_store_n(&pg[i].count, 1, __ATOMIC_RELEASE);
	}
}

int extent_begin(struct domain *d, unsigned int order)
{
	struct page *pg;

	if (READ_ONCE(d->extent.pages))
		return -EAGAIN;
	if (!reserve(d, BIT(order)))
		return -ENOMEM;
	pg = heap_take_clean(d, order);
	if (!pg) {
		unreserve(d, BIT(order));
		return -ENOMEM;
	}
	spin_lock(&d->page_lock);
	if (d->extent.pages) {
		d->tot_pages -= BIT(order);
		spin_unlock(&d->page_lock);
		heap_give_back(pg, order);
		return -EAGAIN;
	}
	d->extent.pages = pg;
	d->extent.order = order;
	d->extent.done = 0;
	spin_unlock(&d->page_lock);
	return 0;
}

int extent_step(struct domain *d, unsigned int order, u64 piece, struct page **pages)
{
	int rc = -EINVAL;

	*pages = NULL;
	spin_lock(&d->page_lock);
	if (!d->dying && d->extent.pages && d->extent.order == order &&
	    d->extent.done == piece << EXTENT_PIECE) {
		assign(d, d->extent.pages + d->extent.done, BIT(EXTENT_PIECE));
		d->extent.done += BIT(EXTENT_PIECE);
		if (d->extent.done == BIT(order)) {
			*pages = d->extent.pages;
			d->extent.pages = NULL;
		}
		rc = 0;
	}
	spin_unlock(&d->page_lock);
	return rc;
}

int extent_drop(struct domain *d)
{
	struct page *pg;

	spin_lock(&d->page_lock);
	pg = d->extent.pages;
	if (!pg) {
		spin_unlock(&d->page_lock);
		return 0;
	}
	pg += d->extent.done;
	d->extent.done += BIT(EXTENT_PIECE);
	d->tot_pages -= BIT(EXTENT_PIECE);
	if (d->extent.done == BIT(d->extent.order))
		d->extent.pages = NULL;
	spin_unlock(&d->page_lock);
	heap_give_back(pg, EXTENT_PIECE);
	return -ERESTART;
}

struct page *alloc_domain_pages(struct domain *d, unsigned int order)
{
	u64 n = BIT(order);
	struct page *pg;

	if (!reserve(d, n))
		return NULL;
	pg = alloc_pages_for(d, order);
	if (!pg) {
		unreserve(d, n);
		return NULL;
	}
	spin_lock(&d->page_lock);
	/* its pages may all have been released already: nobody would release these */
	if (d->dying) {
		d->tot_pages -= n;
		spin_unlock(&d->page_lock);
		free_pages(pg, order);
		return NULL;
	}
	assign(d, pg, n);
	spin_unlock(&d->page_lock);
	return pg;
}

/* Drops the allocation's reference, if it is still held. Returns whether it was the last: the caller frees the page. */
static bool drop_alloc(struct page *pg)
{
	return __atomic_exchange_n(&pg->alloc_ref, 0, __ATOMIC_ACQ_REL) &&
	       !__atomic_sub_fetch(&pg->count, 1, __ATOMIC_ACQ_REL);
}

/* page_lock held. n pages without a reference: off the account, and back to the heap as the largest blocks they make. */
static void free_owned(struct domain *d, struct page *pg, u64 n)
{
	d->tot_pages -= n;
	d->owned_pages -= n;
	for (unsigned int order; n; pg += BIT(order), n -= BIT(order)) {
		order = fls64(n) - 1;
		while (!IS_ALIGNED(page_to_mfn(pg), BIT(order)))
			order--;
		free_pages(pg, order);
	}
}

void page_release_unmapped(struct domain *d, struct page *pg, unsigned int order)
{
	u64 run = 0, i;
	bool last;

	spin_lock(&d->page_lock);
	for (i = 0; i < BIT(order); i++) {
		if (drop_alloc(&pg[i])) {
			list_del(&pg[i].list);
			continue;
		}
		/* Held by somebody after all, who frees it. */
		free_owned(d, &pg[run], i - run);
		run = i + 1;
	}
	free_owned(d, &pg[run], i - run);
	last = !d->owned_pages;
	spin_unlock(&d->page_lock);
	if (last)
		domain_put(d);
}

void page_lend(struct page *pg, struct domain *d)
{
	pg->owner = d;
	__atomic_store_n(&pg->count, 1, __ATOMIC_RELEASE);
}

void page_put_last(struct page *pg)
{
	struct domain *d = pg->owner;
	bool last;

	if (pg->state == PAGE_HYP) {
		free_pages(pg, 0);
		return;
	}
	spin_lock(&d->page_lock);
	list_del(&pg->list);
	d->tot_pages--;
	last = !--d->owned_pages;
	spin_unlock(&d->page_lock);
	free_pages(pg, 0);
	if (last)
		domain_put(d);
}

bool page_release_alloc(struct page *pg)
{
	if (!__atomic_exchange_n(&pg->alloc_ref, 0, __ATOMIC_ACQ_REL))
		return false;
	page_put(pg);
	return true;
}

struct page *page_get_area(struct domain *d, gfn_t gfn, u64 offset, size_t size)
{
	unsigned int access;
	struct page *pg;

	if (offset > PAGE_SIZE - size || offset & 7)
		return NULL;
	pg = p2m_get_page(d, gfn, &access);
	if (pg && !(access & P2M_W)) {
		page_put(pg);
		return NULL;
	}
	return pg;
}
