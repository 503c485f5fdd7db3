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
	ok = !d->dying && n <= d->max_pages && d->tot_pages + d->shared_pages <= d->max_pages - n;
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

void page_make_owned(struct domain *d, struct page *pg, u64 n)
{
	if (!d->owned_pages)
		domain_hold(d); /* while it owns pages; page_put() drops it, or image_take() */
	d->owned_pages += n;
	for (u64 i = 0; i < n; i++) {
		pg[i].owner = d;
		pg[i].alloc_ref = 1;
		list_add_tail(&pg[i].list, &d->page_list);
		pg[i].state = PAGE_OWNED;
		__atomic_store_n(&pg[i].count, 1, __ATOMIC_RELEASE);
	}
}

static struct page *alloc_owned(struct domain *d, unsigned int order, bool prepared)
{
	u64 n = BIT(order);
	struct page *pg;

	if (!reserve(d, n))
		return NULL;
	pg = prepared ? heap_take_clean(d, order) : alloc_pages_for(d, order);
	if (!pg) {
		unreserve(d, n);
		return NULL;
	}
	spin_lock(&d->page_lock);
	/* its pages may all have been released already: nobody would release these */
	if (d->dying) {
		d->tot_pages -= n;
		spin_unlock(&d->page_lock);
		heap_give_back(pg, order);
		return NULL;
	}
	page_make_owned(d, pg, n);
	spin_unlock(&d->page_lock);
	return pg;
}

struct page *alloc_domain_pages(struct domain *d, unsigned int order)
{
	return alloc_owned(d, order, false);
}

struct page *alloc_prepared_pages(struct domain *d, unsigned int order)
{
	return alloc_owned(d, order, order > HEAP_SMALL_ORDER);
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

/* ---- large extents ---- */

/* page_lock held. The next piece becomes d's; behind the last one the extent is mapped, or begins to go back. */
static void extent_advance(struct domain *d)
{
	struct extent *e = &d->extent;

	page_make_owned(d, e->pages + e->done, BIT(EXTENT_PIECE));
	e->done += BIT(EXTENT_PIECE);
	if (e->done < e->left)
		return;
	/* Still under the lock: whoever finds no extent under way finds it mapped, or it was not. */
	if (p2m_map(d, e->gfn, page_to_mfn(e->pages), e->order, P2M_RAM, P2M_RWX))
		e->dropping = true;
	else
		e->pages = NULL;
}

/* page_lock held. Takes the block and makes its first piece d's. */
static int extent_begin(struct domain *d, gfn_t gfn, unsigned int order)
{
	struct page *pg;

	if (p2m_allows(d, gfn, 0))
		return -EEXIST; /* two came with the same extent, and this one is the second */
	if (BIT(order) > d->max_pages || d->tot_pages + d->shared_pages > d->max_pages - BIT(order))
		return -ENOMEM;
	pg = heap_take_clean(d, order);
	if (!pg)
		return -ENOMEM;
	d->tot_pages += BIT(order);
	d->extent = (struct extent){ .pages = pg, .gfn = gfn, .order = order, .left = BIT(order) };
	extent_advance(d);
	return 0;
}

/* page_lock held. extent_step() with an extent under way that does not go back. */
static int extent_go_on(struct domain *d, gfn_t gfn, unsigned int order, u64 piece)
{
	struct extent *e = &d->extent;
	u64 next = e->done >> EXTENT_PIECE;

	if (piece && e->gfn == gfn && e->order == order) {
		if (piece > next)
			return -EINVAL;
		if (piece < next) /* another one was here */
			return 0;
		extent_advance(d);
		return e->dropping ? -ERESTART : 0;
	}
	extent_advance(d);
	return -ERESTART;
}

int extent_step(struct domain *d, gfn_t gfn, unsigned int order, u64 piece)
{
	struct extent *e = &d->extent;
	bool drop = false;
	int rc;

	spin_lock(&d->page_lock);
	if (d->dying) {
		rc = -EINVAL;
	} else if (!e->pages) {
		/* Not the first piece: another one has carried it to its end. (By now it may be an image's, without W.) */
		if (piece)
			rc = p2m_allows(d, gfn, P2M_R | P2M_X) ? 0 : -EINVAL;
		else
			rc = extent_begin(d, gfn, order);
	} else if (e->dropping) {
		drop = true;
		rc = -ERESTART;
	} else {
		rc = extent_go_on(d, gfn, order, piece);
	}
	spin_unlock(&d->page_lock);
	if (drop)
		extent_drop(d);
	return rc;
}

int extent_drop(struct domain *d)
{
	struct extent *e = &d->extent;
	struct page *pg;
	bool owned;

	spin_lock(&d->page_lock);
	pg = e->pages;
	if (!pg) {
		spin_unlock(&d->page_lock);
		return 0;
	}
	e->dropping = true;
	e->left -= BIT(EXTENT_PIECE);
	pg += e->left;
	owned = e->left < e->done;
	if (!owned)
		d->tot_pages -= BIT(EXTENT_PIECE);
	if (!e->left)
		e->pages = NULL;
	spin_unlock(&d->page_lock);
	if (owned)
		page_release_unmapped(d, pg, EXTENT_PIECE);
	else
		heap_give_back(pg, EXTENT_PIECE);
	return -ERESTART;
}

/* ---- references ---- */

void page_lend(struct page *pg, struct domain *d)
{
	pg->hides = NULL;
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
