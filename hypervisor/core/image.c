/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory images: XENMEM_sharing_op_fork, copies of what is written, and the pages' way back or to the heap. image.h has the contract, docs/architecture.md,
 * "Images", the whole.
 *
 * A fork goes in steps of LOG_FRAMES frames, with the parent paused by it: what is mapped as RAM becomes the image's, the child's tables get the same entries; what the
 * parent has to keep (somebody holds it) is copied. struct fork has how far it is, and hangs on the child until the child's memory is whole.
 */
#include <domain.h>
#include <handlers.h>
#include <hypercall.h>
#include <image.h>
#include <lib.h>
#include <memory.h>
#include <xsm.h>

#define FREE_BATCH 128
#define COPY_BATCH 4
#define GET_TRIES 4
#define FORK_FLAGS (PAVISE_FORK_NO_RESERVE | PAVISE_FORK_PARENT_NO_RESERVE)
/*
 * What is kept for one for which nothing else is: for accesses by others, or in the middle of a hypercall, that cannot wait. A guest's own
 * store waits for memory instead.
 */
#define FLOOR_PAGES 32

static struct spinlock image_lock = SPINLOCK_INIT(LOCK_IMAGE);

/* Under image_busy of the child, and from a step on of the parent. */
struct fork {
	struct domain *parent; /* held, paused; NULL: it has failed */
	struct image *
		image; /* the new one; NULL: the parent's is as deep as can be, and what it has written since is copied */
	gfn_t at;
	u64 budget; /* of this step: pages that may become the image's */
	gfn_t held_at; /* of what is to be copied still: */
	u64 held[LOG_WORDS];
};

/* Nobody waits for it: who finds it taken tries again, open to interrupts between. */
static bool get_busy(struct domain *d)
{
	return !__atomic_exchange_n(&d->image_busy, 1, __ATOMIC_ACQUIRE);
}

static void put_busy(struct domain *d)
{
	__atomic_store_n(&d->image_busy, 0, __ATOMIC_RELEASE);
}

/* ---- pages of a domain's own ---- */

static int reserve(struct domain *d, u64 pages)
{
	return d->overcommits ? 0 : heap_reserve(d, pages);
}

static void unreserve(struct domain *d, u64 pages)
{
	if (!d->overcommits)
		heap_unreserve(d, pages);
}

static struct page *page_for(struct domain *d)
{
	struct page *pg = d->overcommits ? alloc_reserved(NULL) : NULL;

	if (pg || (d->overcommits && d->at_fault && READ_ONCE(d->reserved_pages) <= FLOOR_PAGES))
		return pg;
	return alloc_reserved(d);
}

/* Nothing more is reserved for it, and what it has less than the floor. -ENOMEM. */
static int overcommit(struct domain *d)
{
	u64 has = READ_ONCE(d->reserved_pages);
	int rc = has < FLOOR_PAGES ? heap_reserve(d, FLOOR_PAGES - has) : 0;

	if (!rc)
		d->overcommits = true;
	return rc;
}

/* It shares nothing any more. */
static void ends_sharing(struct domain *d)
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
	d->at_fault = true;
	rc = image_unshare_locked(d, gfn);
	d->at_fault = false;
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

	/* It may become an image's again between the two, by a fork: not often. */
	for (unsigned int i = 0; i < GET_TRIES && !pg; i++) {
		int rc = image_unshare(d, gfn);

		if (rc && rc != -ENOENT)
			return NULL;
		p2m_lock(d);
		pg = p2m_get_page_locked(d, gfn, access);
		p2m_unlock(d);
	}
	return pg;
}

bool image_unmapped(struct domain *d, struct page *pg)
{
	/* Neither a page that is mapped no more can become an image's, nor can d get it back. */
	if (pg->state != PAGE_SHARED)
		return false;
	spin_lock(&d->page_lock);
	d->shared_pages--;
	spin_unlock(&d->page_lock);
	unreserve(d, 1);
	return true;
}

int image_read_begin(struct domain *d, gfn_t gfn, struct page **pg)
{
	struct p2m_entry e;

	if (READ_ONCE(d->image)) {
		gfn_t at = gfn;

		/* While that is taken nothing comes back from the image, and d uses it as long as it lives. */
		if (!get_busy(d))
			return -ERESTART;

		if (!p2m_next(d, &at, 1, &e) && at == gfn && e.type == P2M_RAM) {
			*pg = mfn_to_page(e.mfn);
			if ((*pg)->state == PAGE_SHARED)
				return 0;
		}
		put_busy(d);
	}
	*pg = memory_get_ram(d, gfn);
	return 0;
}

void image_read_end(struct domain *d, struct page *pg)
{
	if (pg->state == PAGE_SHARED)
		put_busy(d);
	else
		page_put(pg);
}

/* ---- becoming an image's ---- */

/* Of the parent, as a step of it is under way: that is all that is asked. */
static struct fork *fork_of(const struct domain *d)
{
	return d->forking->fork;
}

/* From one list to another. Pages that came in one extent follow each other there as well: they go at once. */
static void move_pages(struct page *pg, unsigned int n, struct list_head *to)
{
	for (unsigned int i = 0, end; i < n; i = end) {
		end = i + 1;
		while (end < n && pg[end - 1].list.next == &pg[end].list)
			end++;
		list_move_run(&pg[i].list, &pg[end - 1].list, to);
	}
}

bool image_take(struct domain *d, struct page *pg, unsigned int n)
{
	struct fork *f = fork_of(d);
	struct image *img = f->image;

	if (!img || n > f->budget)
		return false;
	/* Under the p2m lock nobody gets a reference to what has only the allocation's. */
	for (unsigned int i = 0; i < n; i++) {
		if (READ_ONCE(pg[i].count) != 1 || pg[i].state != PAGE_OWNED || pg[i].owner != d ||
		    !pg[i].alloc_ref)
			return false;
	}
	move_pages(pg, n, &img->pages);
	for (unsigned int i = 0; i < n; i++) {
		pg[i].written = 0;
		pg[i].image = img;
		pg[i].state = PAGE_SHARED;
	}
	f->budget -= n;
	img->nr_pages += n;
	d->shared_pages += n;
	d->tot_pages -= n;
	d->owned_pages -= n;
	if (!d->owned_pages)
		domain_put_more(d, 1); /* page_make_owned()'s; the fork has one beside it */
	return true;
}

bool image_take_table(struct domain *d, struct page *pg)
{
	struct image *img = fork_of(d)->image;

	if (!img)
		return false;
	pg->image = img;
	list_add_tail(&pg->list, &img->tables);
	img->nr_tables++;
	d->shared_tables++;
	return true;
}

/* ---- and a domain's again ---- */

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
static int give_back_step(struct domain *d)
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
		/* A hart may still know the way to a table that d has had copied. */
		if (d->give_at > p2m_max_gfn(d))
			p2m_flush(d);
	} else if (!free_some(d->image)) {
		leave_empty(d);
		d->giving_back = d->image && d->image->heir == d;
		if (!d->image && d->overcommits) {
			spin_lock(&d->page_lock);
			ends_sharing(d);
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
		rc = give_back_step(d);
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

static void fork_end(struct domain *d, bool failed);

int image_leave(struct domain *d)
{
	if (d->fork && d->fork->parent)
		fork_end(d, true);
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

/* ---- fork ---- */

static struct image *new_image(void)
{
	struct image *img = xzalloc(sizeof(*img));

	if (!img)
		return NULL;
	list_init(&img->domains);
	list_init(&img->above);
	list_init(&img->peer);
	list_init(&img->pages);
	list_init(&img->tables);
	return img;
}

/* image_lock held. The new image stands between p and what p used so far, and d uses it, too. */
static void stand_between(struct domain *p, struct domain *d, struct image *img)
{
	img->base = p->image;
	img->depth = img->base ? img->base->depth + 1 : 1;
	img->users = 2;
	list_del(&p->image_peer);
	if (img->base)
		list_add(&img->peer, &img->base->above);
	list_add(&p->image_peer, &img->domains);
	list_add(&d->image_peer, &img->domains);
	WRITE_ONCE(p->image, img);
	WRITE_ONCE(d->image, img);
}

/* Joins d to p: -EBUSY, if another fork of p is under way. */
static int join_image(struct domain *p, struct domain *d, struct fork *f)
{
	bool deep;

	spin_lock(&image_lock);
	if (p->forking) {
		spin_unlock(&image_lock);
		return -EBUSY;
	}
	deep = p->image && p->image->depth >= IMAGE_DEPTH_MAX;
	if (!deep) {
		stand_between(p, d, f->image);
	} else {
		p->image->users++;
		list_add(&d->image_peer, &p->image->domains);
		WRITE_ONCE(d->image, p->image);
	}
	WRITE_ONCE(d->fork, f);
	p->forking = d;
	spin_unlock(&image_lock);
	if (deep) {
		xfree(f->image);
		f->image = NULL;
	}
	return 0;
}

static bool may_fork(struct domain *p, struct domain *d)
{
	return p != d && !p->is_privileged && !d->is_privileged && !p->fork && !d->fork &&
	       !d->has_run && READ_ONCE(d->controller_pauses) && !d->tot_pages && !d->image &&
	       !d->extent.pages;
}

/* Both are busy with us. */
static int fork_begin(struct domain *p, struct domain *d, u16 flags)
{
	struct fork *f;
	int rc;

	if (!may_fork(p, d))
		return -EINVAL;
	/* What p gets back it must have before it is shared again. */
	if (p->giving_back)
		return give_back_step(p);
	f = xzalloc(sizeof(*f));
	if (f)
		f->image = new_image();
	if (!f || !f->image) {
		xfree(f);
		return -ENOMEM;
	}
	f->parent = p;
	rc = join_image(p, d, f);
	if (rc) {
		xfree(f->image);
		xfree(f);
		return rc;
	}
	/* The copy may have what the parent may, as in Xen. */
	spin_lock(&d->page_lock);
	d->max_pages = max(d->max_pages, READ_ONCE(p->max_pages));
	spin_unlock(&d->page_lock);
	domain_hold(p);
	domain_pause(p);
	if (flags & PAVISE_FORK_NO_RESERVE)
		rc = overcommit(d);
	if (!rc && flags & PAVISE_FORK_PARENT_NO_RESERVE)
		rc = overcommit(p);
	if (rc)
		fork_end(d, true);
	return rc ? rc : -ERESTART;
}

/* image_lock held. Those who use an image that has got nothing use the one below it instead. */
static void dissolve(struct image *img)
{
	struct image *base = img->base;

	list_del(&img->peer);
	if (base)
		base->users--;
	while (!list_empty(&img->domains)) {
		struct domain *d = list_first(&img->domains, struct domain, image_peer);

		list_del(&d->image_peer);
		if (base) {
			base->users++;
			list_add(&d->image_peer, &base->domains);
		}
		WRITE_ONCE(d->image, base);
		if (!base)
			ends_sharing(d);
	}
}

/* The parent goes on. d's fork has become whole, or will never be. */
static void fork_end(struct domain *d, bool failed)
{
	struct fork *f = d->fork;
	struct domain *p = f->parent;
	struct image *img = f->image;
	bool empty;

	p2m_flush(p);
	spin_lock(&image_lock);
	empty = img && list_empty(&img->pages) && list_empty(&img->tables);
	if (empty)
		dissolve(img);
	f->image = NULL;
	f->parent = NULL;
	p->forking = NULL;
	spin_unlock(&image_lock);
	if (empty)
		xfree(img);
	if (!failed) {
		WRITE_ONCE(d->fork, NULL);
		xfree(f);
	}
	domain_unpause(p);
	domain_put(p);
}

/* What is reserved for it is too much where this fails; that ends with d. */
static int adopt(struct domain *d, gfn_t gfn, const struct p2m_shared *s)
{
	int rc;

	spin_lock(&d->page_lock);
	d->shared_pages += s->pages;
	spin_unlock(&d->page_lock);
	rc = p2m_adopt(d, gfn, s);
	if (!rc)
		return 0;
	spin_lock(&d->page_lock);
	d->shared_pages -= s->pages;
	spin_unlock(&d->page_lock);
	p2m_drop_shared(s);
	return rc;
}

/*
 * What the child gets of the parent's frames, and a page for each that it may write to, and one for the table. reserved: it has so many already for
 * that, and loses what is too much.
 */
static int give_child(struct domain *d, struct fork *f, const struct p2m_shared *s, u64 reserved)
{
	u64 need = s->entry ? s->pages + s->tables : 0;
	int rc = 0;

	if (need > reserved)
		rc = reserve(d, need - reserved);
	else
		unreserve(d, reserved - need);
	if (!rc && s->entry)
		return adopt(d, f->at, s);
	if (s->entry)
		p2m_drop_shared(s);
	return rc;
}

/* The next frames of the parent's. Each of the two has a page for each that it may write to, whatever the other one does. */
static int share(struct domain *p, struct domain *d, struct fork *f)
{
	u64 own = READ_ONCE(p->tot_pages), all = own + READ_ONCE(p->shared_pages);
	struct p2m_shared s = { 0 };
	s64 looked;
	int rc;

	f->budget = min(own, LOG_FRAMES);
	own = f->budget + 1;
	all = min(all, LOG_FRAMES) + 1;
	rc = reserve(p, own);
	if (rc)
		return rc;
	rc = reserve(d, all);
	if (rc) {
		unreserve(p, own);
		return rc;
	}
	spin_lock(&p->page_lock);
	looked = p2m_share(p, f->at, &s);
	spin_unlock(&p->page_lock);
	unreserve(p, own - (s.taken + s.taken_tables));
	rc = give_child(d, f, &s, all);
	if (looked < 0 || rc)
		return rc ? rc : (int)looked;
	f->held_at = f->at;
	memcpy(f->held, s.held, sizeof(f->held));
	f->at += looked;
	return 0;
}

/* The child gets a page of its own with what the parent has there. */
static int copy_one(struct domain *p, struct domain *d, gfn_t gfn)
{
	struct page *from = memory_get_ram(p, gfn), *pg;
	int rc;

	if (!from)
		return 0;
	pg = alloc_domain_pages(d, 0);
	if (pg)
		memcpy(page_to_virt(pg), page_to_virt(from), PAGE_SIZE);
	page_put(from);
	if (!pg)
		return -ENOMEM;
	rc = p2m_map(d, gfn, page_to_mfn(pg), 0, P2M_RAM, P2M_RWX);
	if (rc)
		page_release_unmapped(d, pg, 0);
	return rc;
}

/* Some of what is to be copied. 1: there was nothing (any more). */
static int copy_held(struct domain *p, struct domain *d, struct fork *f)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOG_WORDS; i++) {
		while (f->held[i]) {
			unsigned int bit = __builtin_ctzll(f->held[i]);
			int rc;

			if (n++ == COPY_BATCH)
				return 0;
			f->held[i] &= f->held[i] - 1;
			rc = copy_one(p, d, f->held_at + i * 64 + bit);
			if (rc)
				return rc;
		}
	}
	return n ? 0 : 1;
}

/* Both are busy with us, and live. -ERESTART: there is more. */
static int fork_step(struct domain *p, struct domain *d, u16 flags)
{
	struct fork *f = d->fork;
	int rc;

	if (!f)
		return fork_begin(p, d, flags);
	if (f->parent != p)
		return -EINVAL;
	rc = copy_held(p, d, f);
	if (rc == 1 && f->at <= p2m_max_gfn(p))
		rc = share(p, d, f);
	if (!rc)
		return -ERESTART;
	fork_end(d, rc < 0);
	return rc < 0 ? rc : 0;
}

/* One step with both kept alive: their ends wait for it. */
static int fork_once(struct domain *p, struct domain *d, u16 flags)
{
	int rc = -EINVAL;

	if (memory_op_begin(p)) {
		if (memory_op_begin(d)) {
			rc = -ERESTART;
			if (get_busy(d)) {
				if (get_busy(p)) {
					rc = fork_step(p, d, flags);
					put_busy(p);
				}
				put_busy(d);
			}
			memory_op_end(d);
		}
		memory_op_end(p);
	}
	return rc;
}

static long fork_domain(const struct xen_mem_sharing_op *a)
{
	struct domain *p, *d;
	long rc;

	d = xsm_target(a->domain, &rc);
	if (!d)
		return rc;
	p = xsm_target(a->u.fork.parent_domain, &rc);
	if (p) {
		rc = p == d ? -EINVAL : -ERESTART;
		while (rc == -ERESTART) {
			rc = fork_once(p, d, a->u.fork.flags);
			if (rc == -ERESTART && hypercall_preempt_check())
				break;
		}
		domain_put(p);
	}
	domain_put(d);
	return rc;
}

long memory_sharing_op(u64 cmd, u64 arg, u64 arg3)
{
	struct xen_mem_sharing_op a;
	long rc;

	(void)arg3;
	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.op != XENMEM_sharing_op_fork)
		return -EOPNOTSUPP;
	if (a.u.fork.flags & ~FORK_FLAGS || a.u.fork.pad)
		return -EINVAL;
	rc = fork_domain(&a);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_memory_op, cmd, arg, 0, 0, 0);
	return rc;
}
