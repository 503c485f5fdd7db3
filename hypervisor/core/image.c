/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory images: copies of what is written, and the pages' way back or to the heap. image.h has the contract, docs/architecture.md, "Images", the whole;
 * image_fork.c makes them.
 */
#include <domain.h>
#include <image_internal.h>
#include <lib.h>
#include <memory.h>

#define FREE_BATCH 128
#define GET_TRIES 4

struct spinlock image_lock = SPINLOCK_INIT(LOCK_IMAGE);

/* ---- pages of a domain's own ---- */

static struct page *page_for(struct domain *d)
{
	struct page *pg = d->overcommits ? alloc_reserved(NULL) : NULL;
	/* Nobody else writes this hart's number. */
	bool can_wait = READ_ONCE(d->fault_hart) == arch_hart() + 1;

	if (pg || (d->overcommits && can_wait && READ_ONCE(d->reserved_pages) <= FLOOR_PAGES))
		return pg;
	return alloc_reserved(d);
}

int image_overcommit(struct domain *d)
{
	u64 has = READ_ONCE(d->reserved_pages);
	int rc = has < FLOOR_PAGES ? heap_reserve(d, FLOOR_PAGES - has) : 0;

	if (!rc)
		d->overcommits = true;
	return rc;
}

void image_commit(struct domain *d)
{
	u64 needs, has;

	spin_lock(&d->page_lock);
	needs = d->shared_pages + READ_ONCE(d->shared_tables);
	has = READ_ONCE(d->reserved_pages);
	if (has > needs)
		heap_unreserve(d, has - needs);
	if (has >= needs || !heap_reserve(d, needs - has))
		d->overcommits = false;
	spin_unlock(&d->page_lock);
}

void image_ends_sharing(struct domain *d)
{
	heap_unreserve(d, ~0ULL);
	d->overcommits = false;
}

struct page *image_copy(struct domain *d, const struct page *shared)
{
	/* Its pages may all have been released already: nobody would release this one. */
	struct page *pg = d->dying ? NULL : page_for(d);

	if (!pg)
		return NULL;
	memcpy(page_to_virt(pg), page_to_virt(shared), PAGE_SIZE);
	d->shared_pages--;
	d->tot_pages++;
	page_make_owned(d, pg, 1);
	return pg;
}

struct page *image_table(struct domain *d)
{
	struct page *pg = page_for(d);

	/* In this order, so that what is reserved is never too little. */
	if (pg)
		d->shared_tables--;
	return pg;
}

int image_unshare_locked(struct domain *d, gfn_t gfn)
{
	return d->dying ? -EINVAL : p2m_unshare(d, gfn);
}

int image_unshare(struct domain *d, gfn_t gfn)
{
	int rc;

	spin_lock(&d->page_lock);
	rc = image_unshare_locked(d, gfn);
	spin_unlock(&d->page_lock);
	return rc;
}

int image_fault(struct domain *d, gfn_t gfn)
{
	int rc;

	spin_lock(&d->page_lock);
	WRITE_ONCE(d->fault_hart, arch_hart() + 1);
	rc = image_unshare_locked(d, gfn);
	WRITE_ONCE(d->fault_hart, 0);
	/* What could not wait has used some. */
	if (unlikely(d->overcommits && READ_ONCE(d->reserved_pages) < FLOOR_PAGES))
		heap_reserve(d, FLOOR_PAGES - d->reserved_pages);
	spin_unlock(&d->page_lock);
	if (rc != -ENOMEM)
		return rc;
	domain_wait_for_memory(d);
	return 0;
}

struct page *image_get_page(struct domain *d, gfn_t gfn, unsigned int *access)
{
	struct page *pg = NULL;

	/*
	 * Between two looks it may become an image's (again), by a fork, and the last of the image may come back: not often. Where there was no image before
	 * a look nor is one behind it, the look was right.
	 */
	for (unsigned int i = 0; i < GET_TRIES && !pg; i++) {
		bool may_share = READ_ONCE(d->image);
		int rc = may_share ? image_unshare(d, gfn) : 0;

		if (rc && rc != -ENOENT)
			return NULL;
		p2m_lock(d);
		pg = p2m_get_page_locked(d, gfn, access);
		p2m_unlock(d);
		if (!may_share && !READ_ONCE(d->image))
			break;
	}
	return pg;
}

void image_unmapped(struct domain *d)
{
	spin_lock(&d->page_lock);
	d->shared_pages--;
	unreserve(d, 1);
	spin_unlock(&d->page_lock);
}

int image_read_begin(struct domain *d, gfn_t gfn, struct page **pg, bool *shared)
{
	struct p2m_entry e;

	*shared = false;
	if (READ_ONCE(d->image)) {
		gfn_t at = gfn;

		/* While that is taken nothing comes back from the image, and d uses it as long as it lives. */
		if (!get_busy(d))
			return -ERESTART;

		if (!p2m_next(d, &at, 1, &e) && at == gfn && e.shared) {
			*pg = mfn_to_page(e.mfn);
			*shared = true;
			return 0;
		}
		put_busy(d);
	}
	*pg = memory_get_ram(d, gfn);
	return 0;
}

void image_read_end(struct domain *d, struct page *pg, bool shared)
{
	if (shared) {
		ASSERT(pg->state == PAGE_SHARED);
		put_busy(d);
	} else {
		page_put(pg);
	}
}

/* ---- a domain's again ---- */

bool image_give(struct domain *d, struct page *pg, unsigned int n)
{
	struct image *img = pg->image;

	if (img->heir != d)
		return false;
	for (unsigned int i = 0; i < n; i++)
		list_del(&pg[i].list);
	img->nr_pages -= n;
	d->shared_pages -= n;
	d->tot_pages += n;
	page_make_owned(d, pg, n);
	d->given += n;
	return true;
}

bool image_give_table(struct domain *d, struct page *pg)
{
	struct image *img = pg->image;

	if (img->heir != d)
		return false;
	list_del(&pg->list);
	img->nr_tables--;
	pg->image = NULL;
	d->shared_tables--;
	d->given++;
	return true;
}

/* Some of what an image still has goes to the heap. Nobody maps it. Returns whether there is more. */
static bool free_some(struct image *img)
{
	for (unsigned int n = 0; n < FREE_BATCH; n++) {
		bool table = list_empty(&img->pages);
		struct list_head *from = table ? &img->tables : &img->pages;
		struct page *pg;

		if (list_empty(from))
			return false;
		pg = list_first(from, struct page, list);
		list_del(&pg->list);
		img->nr_pages -= !table;
		img->nr_tables -= table;
		free_pages(pg, 0);
	}
	return true;
}

/* The only user of an image that has nothing any more goes on with the one below. */
static void leave_empty(struct domain *d)
{
	struct image *img = d->image, *base = img->base;

	spin_lock(&image_lock);
	list_del(&d->image_peer);
	list_del(&img->peer);
	if (base)
		list_add(&d->image_peer, &base->domains);
	WRITE_ONCE(d->image, base);
	spin_unlock(&image_lock);
	xfree(img);
}

/* d's images that nobody else uses give back to it from here on: whether there is one. */
static bool mark_heir(struct domain *d)
{
	bool any = false;

	spin_lock(&image_lock);
	for (struct image *img = d->image; img && img->users == 1; img = img->base) {
		img->heir = d;
		any = true;
	}
	spin_unlock(&image_lock);
	return any;
}

/*
 * A step of the way back of all that d alone uses; d->image_busy is ours. Each frame is looked at once; what is on the lists then d does not see, and
 * nobody else. While it is under way no fork of d begins, so nobody else comes to see it. -ERESTART: there is more.
 */
int image_give_back_step(struct domain *d)
{
	if (!d->giving_back) {
		d->giving_back = mark_heir(d);
		d->give_at = 0;
		return d->giving_back ? -ERESTART : 0;
	}
	if (d->give_at <= p2m_max_gfn(d)) {
		spin_lock(&d->page_lock);
		d->given = 0;
		d->give_at += p2m_take_back(d, d->give_at);
		unreserve(d, d->given);
		spin_unlock(&d->page_lock);
		p2m_log_off_end(d);
		/* A hart may still know the way to a table that d has had copied. */
		if (d->give_at > p2m_max_gfn(d))
			p2m_flush(d);
	} else if (!free_some(d->image)) {
		leave_empty(d);
		d->giving_back = d->image && d->image->heir == d;
		if (!d->image && d->overcommits) {
			spin_lock(&d->page_lock);
			image_ends_sharing(d);
			spin_unlock(&d->page_lock);
		}
	}
	return -ERESTART;
}

static int give_back(struct domain *d)
{
	int rc;

	/* A fork that is not whole, and whose parent has gone, is good for nothing any more. */
	if (READ_ONCE(d->fork) || !memory_op_begin(d))
		return 0; /* it ends itself */
	if (get_busy(d)) {
		rc = image_give_back_step(d);
		put_busy(d);
	} else {
		rc = -ERESTART;
	}
	memory_op_end(d);
	return rc;
}

/* image_lock held. The only domain that uses it and what stands on it, with a reference; NULL: there are several. */
static struct domain *find_heir(struct image *img)
{
	struct domain *d;

	while (img->users == 1 && list_empty(&img->domains))
		img = list_first(&img->above, struct image, peer);
	if (img->users > 1)
		return NULL;
	d = list_first(&img->domains, struct domain, image_peer);
	domain_hold(d);
	return d;
}

/* false: d is its image's only user, and what that has is to be freed. */
static bool leave_to_others(struct domain *d)
{
	struct image *img = d->image;
	bool others;

	spin_lock(&image_lock);
	others = img->users > 1;
	if (others) {
		list_del(&d->image_peer);
		img->users--;
		WRITE_ONCE(d->image, NULL);
		d->heir = find_heir(img);
	}
	spin_unlock(&image_lock);
	return others;
}

int image_leave(struct domain *d)
{
	if (d->fork && d->fork->parent)
		image_fork_end(d, true);
	xfree(d->fork);
	d->fork = NULL;
	heap_unreserve(d, ~0ULL);
	d->shared_pages = d->shared_tables = 0;
	if (d->image && !leave_to_others(d)) {
		if (!free_some(d->image))
			leave_empty(d);
		return -ERESTART;
	}
	if (!d->heir)
		return 0;
	if (give_back(d->heir))
		return -ERESTART;
	domain_put(d->heir);
	d->heir = NULL;
	return 0;
}
