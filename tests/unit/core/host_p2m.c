// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host's P2M: a sorted array of leaves, with the A and D that harts would set.
 */
#include <image.h>

#include "host.h"
#include "interleave.h"

struct leaf {
	gfn_t gfn;
	mfn_t mfn;
	unsigned int order, access;
	enum p2m_type type;
	bool accessed, dirty;
};

struct arch_domain {
	struct leaf *leaf;
	size_t n, room;
	gfn_t max_gfn;
	unsigned int holder; /* p2m_lock(): hart + 1, 0: nobody */
};

gfn_t arch_guest_va_to_gfn(struct vcpu *v, u64 gva)
{
	struct arch_domain *a = v->domain->arch;
	mfn_t mfn = arch_virt_to_mfn((void *)gva);

	if (mfn < RAM_BASE_MFN || mfn >= RAM_BASE_MFN + RAM_PAGES)
		return INVALID_GFN;
	for (size_t i = 0; i < a->n; i++) {
		if (mfn >= a->leaf[i].mfn && mfn - a->leaf[i].mfn < BIT(a->leaf[i].order) &&
		    (a->leaf[i].access & P2M_W || mfn_to_page(mfn)->state == PAGE_SHARED))
			return a->leaf[i].gfn + (mfn - a->leaf[i].mfn);
	}
	return INVALID_GFN;
}

/* ---- P2M: what is done under its lock has points before and behind it only ---- */

static void call(void (**hook)(void))
{
	void (*fn)(void) = *hook;

	*hook = NULL;
	if (fn)
		fn();
}

/* The point before a lock that only p2m_lock() holds beyond a call. */
static void p2m_point(struct domain *d)
{
	host_point();
	while (d->arch->holder && d->arch->holder != arch_hart() + 1)
		arch_relax();
}

void p2m_lock(struct domain *d)
{
	call(&host.before_get);
	p2m_point(d);
	assert_int_equal(d->arch->holder, 0);
	d->arch->holder = arch_hart() + 1;
}

void p2m_unlock(struct domain *d)
{
	assert_int_equal(d->arch->holder, arch_hart() + 1);
	d->arch->holder = 0;
	call(&host.after_get);
	host_point();
}

/* The first leaf that ends behind gfn. */
static size_t leaf_at(struct arch_domain *a, gfn_t gfn)
{
	size_t low = 0, high = a->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (a->leaf[mid].gfn + BIT(a->leaf[mid].order) <= gfn)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void insert(struct arch_domain *a, size_t at, const struct leaf *l)
{
	if (a->n == a->room) {
		a->room = a->room ? 2 * a->room : 64;
		a->leaf = realloc(a->leaf, a->room * sizeof(*l));
		assert_non_null(a->leaf);
	}
	memmove(&a->leaf[at + 1], &a->leaf[at], (a->n - at) * sizeof(*l));
	a->leaf[at] = *l;
	a->n++;
}

static void cut(struct arch_domain *a, size_t at)
{
	a->n--;
	memmove(&a->leaf[at], &a->leaf[at + 1], (a->n - at) * sizeof(a->leaf[0]));
}

/* Is something mapped there? Where it would be, in *at. */
static bool is_taken(struct arch_domain *a, gfn_t gfn, unsigned int order, size_t *at)
{
	*at = leaf_at(a, gfn);
	return *at < a->n && a->leaf[*at].gfn < gfn + BIT(order);
}

int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type,
	    unsigned int access)
{
	struct leaf l = { gfn, mfn, order / 9 * 9, access, type, true, true };
	struct arch_domain *a = d->arch;
	size_t at;

	call(&host.before_map);
	p2m_point(d);
	if (gfn >> 29 || order > 18 || !IS_ALIGNED(gfn | mfn, BIT(order)))
		return -EINVAL;
	if (is_taken(a, gfn, order, &at))
		return -EEXIST;
	if (host.maps_left >= 0 && host.maps_left-- == 0) {
		host.maps_left = 0;
		return -ENOMEM;
	}
	for (; l.gfn < gfn + BIT(order); l.gfn += BIT(l.order), l.mfn += BIT(l.order))
		insert(a, at++, &l);
	a->max_gfn = max(a->max_gfn, gfn + BIT(order) - 1);
	host_point();
	return 0;
}

void p2m_flush(struct domain *d)
{
	call(&host.on_flush);
	if (host.flushed)
		host.flushed(d);
	host_point();
}

int p2m_map_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int access)
{
	return p2m_map(d, gfn, mfn, 0, type, access);
}

void p2m_unmap_grant_locked(struct domain *d, gfn_t gfn)
{
	assert_int_equal(p2m_unmap(d, gfn, BIT(P2M_GRANT), NULL), 0);
}

int p2m_make_room(struct domain *d, gfn_t gfn, unsigned int order)
{
	size_t at;

	p2m_point(d);
	if (gfn >> 29 || order > 9 || !IS_ALIGNED(gfn, BIT(order)))
		return -EINVAL;
	return is_taken(d->arch, gfn, order, &at) ? -EEXIST : 0;
}

/* An image's page. */
static bool is_shared(const struct leaf *l)
{
	return l->type == P2M_RAM && mfn_to_page(l->mfn)->state == PAGE_SHARED;
}

static void describe(const struct leaf *l, gfn_t gfn, struct p2m_entry *e)
{
	*e = (struct p2m_entry){ l->mfn + (gfn - l->gfn), l->type, l->access, l->order,
				 is_shared(l) };
}

bool p2m_lookup(struct domain *d, gfn_t gfn, struct p2m_entry *e)
{
	struct arch_domain *a = d->arch;
	size_t at = leaf_at(a, gfn);
	bool found = !(gfn >> 29) && at < a->n && a->leaf[at].gfn <= gfn;

	if (found)
		describe(&a->leaf[at], gfn, e);
	return found;
}

bool p2m_allows(struct domain *d, gfn_t gfn, unsigned int access)
{
	struct p2m_entry e;

	p2m_point(d);
	return p2m_lookup(d, gfn, &e) && (e.access & access) == access;
}

struct page *p2m_get_page_locked(struct domain *d, gfn_t gfn, unsigned int *access)
{
	struct page *pg = NULL;
	struct p2m_entry e;

	assert_int_equal(d->arch->holder, arch_hart() + 1);
	if (p2m_lookup(d, gfn, &e) && e.type == P2M_RAM) {
		pg = mfn_to_page(e.mfn);
		if (!page_get(pg, d))
			pg = NULL;
		if (access)
			*access = e.access;
	}
	return pg;
}

struct page *p2m_get_page(struct domain *d, gfn_t gfn, unsigned int *access)
{
	struct page *pg;

	p2m_lock(d);
	pg = p2m_get_page_locked(d, gfn, access);
	p2m_unlock(d);
	return pg ? pg : image_get_page(d, gfn, access);
}

static int split(struct arch_domain *a, size_t at)
{
	struct leaf l = a->leaf[at];

	if (host.splits_left >= 0 && host.splits_left-- == 0) {
		host.splits_left = 0;
		return -ENOMEM;
	}
	cut(a, at);
	l.order -= 9;
	for (unsigned int i = 0; i < 512; i++, l.gfn += BIT(l.order), l.mfn += BIT(l.order))
		insert(a, at + i, &l);
	return 0;
}

/* Makes a leaf of a single frame that is mapped as one of types: *at. */
static int single(struct domain *d, gfn_t gfn, unsigned int types, struct p2m_entry *old,
		  size_t *at)
{
	struct arch_domain *a = d->arch;
	struct p2m_entry e;

	call(&host.before_unmap);
	p2m_point(d);
	if (!p2m_lookup(d, gfn, &e))
		return -ENOENT;
	if (!(types & BIT(e.type)))
		return -EBUSY;
	while (a->leaf[leaf_at(a, gfn)].order) {
		if (split(a, leaf_at(a, gfn)))
			return -ENOMEM;
	}
	if (old) {
		*old = e;
		old->order = 0;
	}
	*at = leaf_at(a, gfn);
	return 0;
}

int p2m_unmap(struct domain *d, gfn_t gfn, unsigned int types, struct p2m_entry *old)
{
	size_t at;
	int rc = single(d, gfn, types, old, &at);

	if (!rc) {
		cut(d->arch, at);
		host_point();
	}
	call(&host.after_unmap);
	return rc;
}

int p2m_replace(struct domain *d, gfn_t gfn, unsigned int types, mfn_t mfn, enum p2m_type type,
		unsigned int access, struct p2m_entry *old)
{
	size_t at;
	int rc = single(d, gfn, types, old, &at);

	if (!rc) {
		d->arch->leaf[at] = (struct leaf){ gfn, mfn, 0, access, type, true, true };
		host_point();
	}
	return rc;
}

struct page *p2m_foreign(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;

	assert_true(d->page_lock.next != d->page_lock.owner);
	return p2m_lookup(d, gfn, &e) && e.type == P2M_FOREIGN ? mfn_to_page(e.mfn) : NULL;
}

int p2m_teardown(struct domain *d, gfn_t *gfn, unsigned int max,
		 void (*fn)(struct domain *d, gfn_t gfn, const struct p2m_entry *e))
{
	struct arch_domain *a = d->arch;
	struct p2m_entry e;

	for (unsigned int n = 0; n < max; n++) {
		size_t at = leaf_at(a, *gfn);

		if (at == a->n)
			return 0;
		describe(&a->leaf[at], a->leaf[at].gfn, &e);
		*gfn = a->leaf[at].gfn + BIT(e.order);
		cut(a, at);
		host_point();
		fn(d, *gfn - BIT(e.order), &e);
	}
	return leaf_at(a, *gfn) == a->n ? 0 : -ERESTART;
}

void host_for_each_leaf(struct domain *d,
			void (*fn)(struct domain *d, gfn_t gfn, const struct p2m_entry *e))
{
	struct arch_domain *a = d->arch;
	struct p2m_entry e;

	for (size_t i = 0; i < a->n; i++) {
		describe(&a->leaf[i], a->leaf[i].gfn, &e);
		fn(d, a->leaf[i].gfn, &e);
	}
}

int p2m_next(struct domain *d, gfn_t *gfn, unsigned int max, struct p2m_entry *e)
{
	struct arch_domain *a = d->arch;
	size_t at;

	p2m_point(d);
	at = leaf_at(a, *gfn);
	if (at == a->n)
		return -ENOENT;
	/* As a walk does: holes count. */
	if (a->leaf[at].gfn > *gfn && max == 1) {
		*gfn = a->leaf[at].gfn;
		return -ERESTART;
	}
	*gfn = max(*gfn, a->leaf[at].gfn);
	describe(&a->leaf[at], *gfn, e);
	call(&host.after_next);
	host_point();
	return 0;
}

gfn_t p2m_max_gfn(struct domain *d)
{
	return d->arch->max_gfn;
}

/* ---- the log of writes ---- */

bool arch_log_works(void)
{
	return !host.log_broken;
}

void host_log_kind(bool broken, bool hole)
{
	host.log_broken = broken;
	host.log_hole = hole;
}

bool arch_forks_are_safe(void)
{
	return !host.walks_write;
}

void host_walks_write(bool write)
{
	host.walks_write = write;
}

bool host_touch(struct domain *d, gfn_t gfn, bool write)
{
	struct arch_domain *a = d->arch;
	size_t at = leaf_at(a, gfn);

	if (at == a->n || a->leaf[at].gfn > gfn || (write && !(a->leaf[at].access & P2M_W)))
		return false;
	a->leaf[at].accessed = true;
	a->leaf[at].dirty |= write;
	return true;
}

static void log_page(struct leaf *l, gfn_t gfn, unsigned int bit, unsigned int how,
		     struct log_bits *bits)
{
	struct page *pg = mfn_to_page(l->mfn + (gfn - l->gfn));
	bool written = l->dirty || l->order == 18;

	if (l->type == P2M_FOREIGN && pg->state == PAGE_HYP && pg->owner)
		bits->written[bit / 64] |= BIT(bit % 64);
	if (l->type != P2M_RAM)
		return;
	if (l->order < 18) {
		written |= pg->written || (how & LOG_HELD && pg->count > 1);
		if (how & LOG_CLEAR)
			pg->written = 0;
	}
	if (written)
		bits->written[bit / 64] |= BIT(bit % 64);
	else if (host.log_hole && l->accessed)
		bits->maybe[bit / 64] |= BIT(bit % 64);
}

/* As a walk finds: a GiB at once, if there is nothing in it. */
static u64 hole(struct arch_domain *a, gfn_t gfn, size_t at, u64 n)
{
	gfn_t end = ROUND_DOWN(gfn, BIT(18)) + BIT(18);
	bool behind = at == a->n || a->leaf[at].gfn >= end;
	bool before = at && a->leaf[at - 1].gfn + BIT(a->leaf[at - 1].order) > end - BIT(18);

	return behind && !before ? end - gfn : n;
}

u64 p2m_log(struct domain *d, gfn_t gfn, unsigned int n, unsigned int how, struct log_bits *bits)
{
	struct arch_domain *a = d->arch;
	size_t at;

	p2m_point(d);
	memset(bits, 0, sizeof(*bits));
	for (at = leaf_at(a, gfn); how & LOG_SPLIT && at < a->n && a->leaf[at].gfn < gfn + n &&
				   a->leaf[at].order && a->leaf[at].type == P2M_RAM;) {
		if (split(a, at))
			break;
		at = leaf_at(a, gfn);
	}
	at = leaf_at(a, gfn);
	if (at == a->n || a->leaf[at].gfn >= gfn + n)
		return hole(a, gfn, at, n);
	for (unsigned int i = 0; i < n; i++) {
		struct leaf *l;

		at = leaf_at(a, gfn + i);
		l = &a->leaf[at];
		if (at == a->n || l->gfn > gfn + i)
			continue;
		log_page(l, gfn + i, i, how, bits);
		/* With the last of its pages */
		if (how & LOG_CLEAR && l->type == P2M_RAM && l->order < 18 &&
		    (!l->order || i == LOG_FRAMES - 1))
			l->accessed = l->dirty = false;
	}
	host_point();
	return n;
}

void p2m_log_again(struct domain *d, gfn_t gfn, unsigned int n, const u64 *bits)
{
	struct arch_domain *a = d->arch;

	p2m_point(d);
	for (unsigned int i = 0; i < n; i++) {
		size_t at = leaf_at(a, gfn + i);

		if (bits[i / 64] & BIT(i % 64) && at < a->n && a->leaf[at].gfn <= gfn + i &&
		    a->leaf[at].type == P2M_RAM)
			a->leaf[at].dirty = true;
	}
	host_point();
}

/* 512 leaves become one, if they are one but for their size. */
static void merge(struct arch_domain *a, gfn_t gfn, unsigned int order)
{
	size_t at = leaf_at(a, gfn);
	struct leaf first;

	if (at + 512 > a->n)
		return;
	first = a->leaf[at];
	if (first.gfn != gfn || first.type != P2M_RAM || !IS_ALIGNED(first.mfn, BIT(order)))
		return;
	for (unsigned int i = 0; i < 512; i++) {
		const struct leaf *l = &a->leaf[at + i];

		if (l->gfn != gfn + (i << (order - 9)) || l->order != order - 9 ||
		    l->mfn - first.mfn != l->gfn - gfn || l->access != first.access ||
		    l->type != P2M_RAM)
			return;
	}
	memmove(&a->leaf[at + 1], &a->leaf[at + 512], (a->n - at - 512) * sizeof(first));
	a->n -= 511;
	a->leaf[at].order = order;
}

/* How far there is nothing, with the leaf @at behind gfn, if that is further than one looks at once; else 0. */
static u64 nothing_up_to(struct arch_domain *a, gfn_t gfn, size_t at)
{
	u64 looked = 0;

	if (at == a->n || a->leaf[at].gfn >= gfn + LOG_FRAMES)
		looked = hole(a, gfn, at, LOG_FRAMES);
	return looked > LOG_FRAMES ? looked : 0;
}

u64 p2m_log_off(struct domain *d, gfn_t gfn)
{
	struct arch_domain *a = d->arch;
	size_t at;
	u64 looked;

	p2m_point(d);
	at = leaf_at(a, gfn);
	looked = nothing_up_to(a, gfn, at);
	if (looked)
		return looked;
	for (; at < a->n && a->leaf[at].gfn < gfn + LOG_FRAMES; at++)
		a->leaf[at].accessed = a->leaf[at].dirty = true;
	merge(a, gfn, 9);
	if (IS_ALIGNED(gfn + LOG_FRAMES, BIT(18)))
		merge(a, gfn + LOG_FRAMES - BIT(18), 18);
	host_point();
	return LOG_FRAMES;
}

void p2m_log_off_end(struct domain *d)
{
	p2m_flush(d);
}

/* ---- images: leaves without P2M_W, each in a domain's own array ---- */

int p2m_unshare(struct domain *d, gfn_t gfn)
{
	struct arch_domain *a = d->arch;
	struct p2m_entry e;
	struct page *pg;
	size_t at;

	p2m_point(d);
	if (!p2m_lookup(d, gfn, &e) || !is_shared(&a->leaf[leaf_at(a, gfn)]))
		return -ENOENT;
	while (a->leaf[leaf_at(a, gfn)].order) {
		if (split(a, leaf_at(a, gfn)))
			return -ENOMEM;
	}
	a->holder = arch_hart() + 1; /* over the fence */
	pg = image_copy(d, mfn_to_page(e.mfn));
	if (pg) {
		at = leaf_at(a, gfn);
		a->leaf[at] = (struct leaf){ gfn, page_to_mfn(pg), 0, P2M_R | P2M_X, P2M_RAM, true,
					     true };
		p2m_flush(d);
		a->leaf[leaf_at(a, gfn)].access = P2M_RWX;
	}
	a->holder = 0;
	host_point();
	return pg ? 0 : -ENOMEM;
}

/* What the copy is to map, behind p2m_shared.entry. */
struct shared_leaves {
	unsigned int n;
	struct leaf leaf[LOG_FRAMES];
};

static bool share_leaf(struct domain *d, struct leaf *l, struct p2m_shared *s)
{
	unsigned int n = BIT(l->order);
	struct page *pg = mfn_to_page(l->mfn);
	bool written;

	if (is_shared(l))
		return true;
	if (l->access != P2M_RWX || !image_take(d, pg, n, &written))
		return false;
	l->access &= ~P2M_W;
	l->dirty |= written;
	s->taken += n;
	return true;
}

/* The leaves from gfn on. *at: where the first is; what cannot be shared whole is split. */
static s64 share_region(struct domain *d, gfn_t gfn, struct p2m_shared *s, struct shared_leaves *to)
{
	struct arch_domain *a = d->arch;

	for (size_t at = leaf_at(a, gfn); at < a->n && a->leaf[at].gfn < gfn + LOG_FRAMES;) {
		struct leaf *l = &a->leaf[at];
		gfn_t bit = l->gfn - gfn;

		if (l->order > 9 && l->type == P2M_RAM) {
			if (split(a, at))
				return -ENOMEM;
			at = leaf_at(a, gfn);
		} else if (l->type == P2M_RAM && share_leaf(d, l, s)) {
			to->leaf[to->n] = *l;
			to->leaf[to->n].accessed = to->leaf[to->n].dirty = true;
			to->n++;
			s->pages += BIT(l->order);
			at++;
		} else if (l->type == P2M_RAM && l->order) {
			if (split(a, at))
				return -ENOMEM;
		} else {
			if (l->type == P2M_RAM || l->type == P2M_FOREIGN)
				s->held[bit / 64] |= BIT(bit % 64);
			at++;
		}
	}
	return LOG_FRAMES;
}

s64 p2m_share(struct domain *d, gfn_t gfn, struct p2m_shared *s)
{
	struct shared_leaves *to;
	u64 nothing;
	s64 looked;
	size_t at;

	p2m_point(d);
	memset(s, 0, sizeof(*s));
	at = leaf_at(d->arch, gfn);
	nothing = hole(d->arch, gfn, at, LOG_FRAMES);
	if ((at == d->arch->n || d->arch->leaf[at].gfn >= gfn + LOG_FRAMES) && nothing > LOG_FRAMES)
		return nothing;
	to = calloc(1, sizeof(*to));
	assert_non_null(to);
	d->arch->holder = arch_hart() + 1; /* image_take() has points */
	looked = share_region(d, gfn, s, to);
	d->arch->holder = 0;
	if (s->pages && looked > 0)
		s->entry = U(to);
	else
		free(to);
	host_point();
	return looked;
}

int p2m_adopt(struct domain *d, gfn_t gfn, const struct p2m_shared *s)
{
	struct shared_leaves *from = (void *)(uintptr_t)s->entry;
	struct arch_domain *a = d->arch;
	size_t at;

	p2m_point(d);
	if (is_taken(a, gfn, 9, &at))
		return -EEXIST;
	if (host.maps_left >= 0 && host.maps_left-- == 0) {
		host.maps_left = 0;
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < from->n; i++)
		insert(a, at++, &from->leaf[i]);
	a->max_gfn = max(a->max_gfn, gfn + LOG_FRAMES - 1);
	free(from);
	host_point();
	return 0;
}

void p2m_drop_shared(const struct p2m_shared *s)
{
	free((void *)(uintptr_t)s->entry);
}

u64 p2m_take_back(struct domain *d, gfn_t gfn)
{
	struct arch_domain *a = d->arch;
	size_t at;
	u64 looked;

	p2m_point(d);
	at = leaf_at(a, gfn);
	looked = nothing_up_to(a, gfn, at);
	if (looked)
		return looked;
	a->holder = arch_hart() + 1; /* image_give() has points */
	for (; at < a->n && a->leaf[at].gfn < gfn + LOG_FRAMES; at++) {
		struct leaf *l = &a->leaf[at];

		if (!is_shared(l) || !image_give(d, mfn_to_page(l->mfn), BIT(l->order)))
			continue;
		l->access = P2M_RWX;
		l->accessed = l->dirty = true;
	}
	if (!d->log.on && !d->log.doing) {
		merge(a, gfn, 9);
		if (IS_ALIGNED(gfn + LOG_FRAMES, BIT(18)))
			merge(a, gfn + LOG_FRAMES - BIT(18), 18);
	}
	a->holder = 0;
	host_point();
	return LOG_FRAMES;
}

/* ---- domains and vCPUs ---- */

int arch_domain_init(struct domain *d, struct xen_arch_domainconfig *config)
{
	if (config && config->engine > XEN_DOMCTL_CONFIG_ENGINE_HEXT)
		return -EINVAL;
	d->arch = calloc(1, sizeof(*d->arch));
	return d->arch ? 0 : -ENOMEM;
}

void arch_domain_free(struct domain *d)
{
	free(d->arch->leaf);
	free(d->arch);
}
