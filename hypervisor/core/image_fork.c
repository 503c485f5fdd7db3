/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XENMEM_sharing_op_fork: a domain's RAM becomes an image's, which another domain uses as well (image.h; docs/architecture.md, "Images").
 *
 * A fork goes in steps of LOG_FRAMES frames, with the parent paused by it: what is mapped as RAM becomes the image's, the child's tables get the same entries; what
 * the parent has to keep (somebody holds it) is copied. struct fork has how far it is, and hangs on the child until the child's memory is whole.
 */
#include <domain.h>
#include <handlers.h>
#include <hypercall.h>
#include <image_internal.h>
#include <lib.h>
#include <memory.h>
#include <xsm.h>

#define COPY_BATCH 4
#define FORK_FLAGS (PAVISE_FORK_NO_RESERVE | PAVISE_FORK_PARENT_NO_RESERVE)

static bool unsafe_allowed;

void image_allow_unsafe_forks(bool allowed)
{
	unsafe_allowed = allowed;
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

bool image_take(struct domain *d, struct page *pg, unsigned int n, bool *written)
{
	struct fork *f = fork_of(d);
	struct image *img = f->image;

	if (!img || n > f->budget)
		return false;
	/*
	 * Under the p2m lock nobody gets a reference to what has only the allocation's. Acquire: who has just let go of one has marked the page
	 * before, so the mark is not looked at sooner.
	 */
	for (unsigned int i = 0; i < n; i++) {
		if (__atomic_load_n(&pg[i].count, __ATOMIC_ACQUIRE) != 1 ||
		    pg[i].state != PAGE_OWNED || pg[i].owner != d || !pg[i].alloc_ref)
			return false;
	}
	move_pages(pg, n, &img->pages);
	*written = false;
	for (unsigned int i = 0; i < n; i++) {
		*written |= pg[i].written;
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

/* ---- the fork ---- */

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

/* image_lock held. Returns whether p's image is as deep as can be: then f's is not needed. */
static bool join(struct domain *p, struct domain *d, struct fork *f)
{
	bool deep = p->image && p->image->depth >= IMAGE_DEPTH_MAX;

	if (!deep) {
		stand_between(p, d, f->image);
	} else {
		p->image->users++;
		list_add(&d->image_peer, &p->image->domains);
		WRITE_ONCE(d->image, p->image);
	}
	WRITE_ONCE(d->fork, f);
	p->forking = d;
	return deep;
}

/* d->lock held. With d->fork set it stays so: who unpauses it, or begins a log, looks at that under the lock. */
static bool is_new(const struct domain *d)
{
	return !d->has_run && d->controller_pauses && !d->log.on && !d->log.doing;
}

/* Joins d to p: -EBUSY, if another fork of p is under way; -EINVAL: d runs by now, or is logged. */
static int join_image(struct domain *p, struct domain *d, struct fork *f)
{
	bool deep = false;
	int rc = 0;

	spin_lock(&d->lock);
	spin_lock(&image_lock);
	if (!is_new(d))
		rc = -EINVAL;
	else if (p->forking)
		rc = -EBUSY;
	else
		deep = join(p, d, f);
	spin_unlock(&image_lock);
	spin_unlock(&d->lock);
	if (deep) {
		xfree(f->image);
		f->image = NULL;
	}
	return rc;
}

static bool may_fork(struct domain *p, struct domain *d)
{
	return p != d && !p->is_privileged && !d->is_privileged && !p->fork && !d->fork &&
	       !d->tot_pages && !d->image && !d->extent.pages;
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
		return image_give_back_step(p);
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
	/* What it was to get comes from p. */
	heap_claim(d, 0);
	/* The copy may have what the parent may, as in Xen. */
	spin_lock(&d->page_lock);
	d->max_pages = max(d->max_pages, READ_ONCE(p->max_pages));
	spin_unlock(&d->page_lock);
	domain_hold(p);
	domain_pause(p);
	if (flags & PAVISE_FORK_NO_RESERVE)
		rc = image_overcommit(d);
	if (!rc && flags & PAVISE_FORK_PARENT_NO_RESERVE && !p->overcommits) {
		rc = image_overcommit(p);
		f->overcommits = !rc;
	}
	if (rc)
		image_fork_end(d, true);
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
			image_ends_sharing(d);
	}
}

void image_fork_end(struct domain *d, bool failed)
{
	struct fork *f = d->fork;
	struct domain *p = f->parent;
	struct image *img = f->image;
	bool empty;

	p2m_flush(p);
	/* The parent is left as it was. */
	if (failed && f->overcommits)
		image_commit(p);
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

	/* Without an image of this fork's nothing is taken. */
	f->budget = f->image ? min(own, LOG_FRAMES) : 0;
	own = f->image ? f->budget + 1 : 0;
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
	image_fork_end(d, rc < 0);
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
	if (!arch_forks_are_safe() && !unsafe_allowed)
		return -EOPNOTSUPP;
	rc = fork_domain(&a);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_memory_op, cmd, arg, 0, 0, 0);
	return rc;
}
