/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page ownership and references; docs/architecture.md has the table of states.
 * A count changes by compare-and-swap, the owner's list and account under its page_lock.
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

void page_release_unmapped(struct domain *d, struct page *pg, unsigned int order)
{
	bool last;

	spin_lock(&d->page_lock);
	for (u64 i = 0; i < BIT(order); i++) {
		list_del(&pg[i].list);
		pg[i].alloc_ref = 0;
		pg[i].count = 0;
	}
	d->tot_pages -= BIT(order);
	d->owned_pages -= BIT(order);
	last = !d->owned_pages;
	spin_unlock(&d->page_lock);
	heap_give_back(pg, order);
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

struct page *page_get_from_gfn(struct domain *d, gfn_t gfn, unsigned int *access)
{
	unsigned int rights;
	mfn_t mfn = p2m_lookup_ram(d, gfn, &rights);
	struct page *pg = mfn_to_page(mfn);

	/* INVALID_MFN is no frame of RAM's. */
	if (!pg || !page_get(pg, d))
		return NULL;
	if (access)
		*access = rights;
	return pg;
}

struct page *page_get_area(struct domain *d, gfn_t gfn, u64 offset, size_t size)
{
	unsigned int access;
	struct page *pg;

	if (offset > PAGE_SIZE - size || offset & 7)
		return NULL;
	pg = page_get_from_gfn(d, gfn, &access);
	if (pg && !(access & P2M_W)) {
		page_put(pg);
		return NULL;
	}
	return pg;
}
