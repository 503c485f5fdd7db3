/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The buddy heap and the allocator of small objects.
 * Blocks are zero when handed out: freed ones are scrubbed by idle harts, or at allocation if it
 * comes sooner. Never under the lock.
 */
#include <console.h>
#include <domain.h>
#include <lib.h>
#include <lock.h>
#include <page.h>

static struct spinlock heap_lock = SPINLOCK_INIT(LOCK_HEAP);
/* [0]: scrubbed, [1]: dirty. A block never merges with one of the other kind. */
static struct list_head free_list[2][MAX_ORDER + 1];
static u64 nr_free, nr_dirty;
static u64 nr_claimed; /* of nr_free: the sum of all domains' claimed_pages and reserved_pages */
static bool initialised;

/* Every page of a free block has the block's state; its first page alone the order. */
static bool is_free(const struct page *pg, unsigned int order, u8 state)
{
	return pg && pg->state == state && pg->order == order;
}

/* heap_lock held. The block is in nobody's hands, and its pages have been marked so. */
static void insert_block(mfn_t mfn, unsigned int order, u8 state)
{
	struct page *pg;

	while (order < MAX_ORDER) {
		struct page *buddy = mfn_to_page(mfn ^ BIT(order));

		if (!is_free(buddy, order, state))
			break;
		list_del(&buddy->list);
		buddy->order = 0xff; /* no longer the first page of a block */
		mfn &= ~BIT(order);
		order++;
	}
	pg = mfn_to_page(mfn);
	pg->order = order;
	list_add(&pg->list, &free_list[state == PAGE_DIRTY][order]);
}

static void mark(mfn_t mfn, u64 n, u8 state)
{
	for (u64 i = 0; i < n; i++) {
		struct page *pg = mfn_to_page(mfn + i);

		pg->state = state;
		pg->order = 0xff;
		pg->count = 0;
		pg->alloc_ref = 0;
		pg->owner = NULL;
	}
}

void heap_add(mfn_t start, mfn_t end)
{
	if (!initialised) {
		for (unsigned int i = 0; i <= MAX_ORDER; i++) {
			list_init(&free_list[0][i]);
			list_init(&free_list[1][i]);
		}
		initialised = true;
	}
	spin_lock(&heap_lock);
	while (start < end) {
		unsigned int order = MAX_ORDER;

		while (!IS_ALIGNED(start, BIT(order)) || start + BIT(order) > end)
			order--;
		mark(start, BIT(order), PAGE_DIRTY);
		insert_block(start, order, PAGE_DIRTY);
		nr_free += BIT(order);
		nr_dirty += BIT(order);
		start += BIT(order);
	}
	spin_unlock(&heap_lock);
}

/* heap_lock held. The first block of a list, less what is beyond order. */
static struct page *take_from(unsigned int kind, unsigned int o, unsigned int order)
{
	struct page *pg = list_first(&free_list[kind][o], struct page, list);
	mfn_t mfn = page_to_mfn(pg);

	list_del(&pg->list);
	pg->order = 0xff;
	while (o > order) {
		struct page *half;

		o--;
		half = mfn_to_page(mfn + BIT(o));
		half->order = o;
		list_add(&half->list, &free_list[kind][o]);
	}
	return pg;
}

/*
 * heap_lock held. The kind of the block to take for this order, and in *o its size; -1: none. Small ones keep large blocks
 * whole, at the price of scrubbing; for large ones what is clean comes first.
 */
static int choose_block(unsigned int order, unsigned int *o)
{
	if (order <= HEAP_SMALL_ORDER) {
		for (*o = order; *o <= MAX_ORDER; ++*o) {
			if (!list_empty(&free_list[0][*o]) || !list_empty(&free_list[1][*o]))
				return list_empty(&free_list[0][*o]);
		}
		return -1;
	}
	for (int kind = 0; kind < 2; kind++) {
		for (*o = order; *o <= MAX_ORDER; ++*o) {
			if (!list_empty(&free_list[kind][*o]))
				return kind;
		}
	}
	return -1;
}

/* heap_lock held. All claims but this (NULL: none) leave so many pages. */
static bool claim_allows(const u64 *claim, u64 n)
{
	return n <= nr_free - nr_claimed + (claim ? *claim : 0);
}

/* The same, and this one is used up. */
static bool use_claim(u64 *claim, u64 n)
{
	u64 own = claim ? *claim : 0;

	if (!claim_allows(claim, n))
		return false;
	own = min(own, n);
	if (own)
		*claim -= own;
	nr_claimed -= own;
	return true;
}

static u64 *claim_of(struct domain *d)
{
	return d ? &d->claimed_pages : NULL;
}

int heap_claim(struct domain *d, u64 pages)
{
	int rc = 0;

	spin_lock(&heap_lock);
	if (pages > nr_free - nr_claimed + d->claimed_pages) {
		rc = -ENOMEM;
	} else {
		nr_claimed = nr_claimed - d->claimed_pages + pages;
		d->claimed_pages = pages;
	}
	spin_unlock(&heap_lock);
	return rc;
}

int heap_reserve(struct domain *d, u64 pages)
{
	int rc = 0;

	spin_lock(&heap_lock);
	if (pages > nr_free - nr_claimed) {
		rc = -ENOMEM;
	} else {
		nr_claimed += pages;
		d->reserved_pages += pages;
	}
	spin_unlock(&heap_lock);
	return rc;
}

void heap_unreserve(struct domain *d, u64 pages)
{
	spin_lock(&heap_lock);
	pages = min(pages, d->reserved_pages);
	nr_claimed -= pages;
	d->reserved_pages -= pages;
	spin_unlock(&heap_lock);
}

bool heap_prepare(unsigned int order)
{
	unsigned int o;
	bool clean;

	if (order <= HEAP_SMALL_ORDER)
		return false;
	spin_lock(&heap_lock);
	clean = choose_block(order, &o) == 0;
	spin_unlock(&heap_lock);
	return !clean && heap_scrub(BIT(HEAP_SMALL_ORDER));
}

struct page *heap_take_clean(struct domain *d, unsigned int order)
{
	struct page *pg = NULL;
	unsigned int o;

	spin_lock(&heap_lock);
	if (order > HEAP_SMALL_ORDER && choose_block(order, &o) == 0 &&
	    use_claim(claim_of(d), BIT(order))) {
		pg = take_from(0, o, order);
		nr_free -= BIT(order);
	}
	spin_unlock(&heap_lock);
	return pg;
}

void heap_give_back(struct page *pg, unsigned int order)
{
	mfn_t mfn = page_to_mfn(pg);

	spin_lock(&heap_lock);
	mark(mfn, BIT(order), PAGE_FREE);
	insert_block(mfn, order, PAGE_FREE);
	nr_free += BIT(order);
	spin_unlock(&heap_lock);
}

/* *dirty: it is not zero. */
static struct page *take(u64 *claim, unsigned int order, bool *dirty)
{
	struct page *pg = NULL;
	unsigned int o;
	int kind;

	spin_lock(&heap_lock);
	kind = choose_block(order, &o);
	*dirty = kind > 0;
	if (kind >= 0 && use_claim(claim, BIT(order))) {
		pg = take_from(kind, o, order);
		nr_free -= BIT(order);
		if (kind)
			nr_dirty -= BIT(order);
		mark(page_to_mfn(pg), BIT(order), PAGE_HYP);
	}
	spin_unlock(&heap_lock);
	return pg;
}

struct page *alloc_pages_for(struct domain *d, unsigned int order)
{
	struct page *pg;
	bool dirty;

	if (order > MAX_ORDER)
		return NULL;
	pg = take(claim_of(d), order, &dirty);
	if (pg && dirty)
		memset(page_to_virt(pg), 0, PAGE_SIZE << order);
	return pg;
}

struct page *alloc_reserved(struct domain *d)
{
	u64 *claim = d ? &d->reserved_pages : NULL;
	struct page *pg;
	bool dirty, there;

	for (;;) {
		pg = take(claim, 0, &dirty);
		if (pg)
			return pg;
		/* What other harts scrub is free, and in no list: a batch of each. They wait for nobody but the heap lock. */
		spin_lock(&heap_lock);
		there = claim_allows(claim, 1);
		spin_unlock(&heap_lock);
		if (!there)
			return NULL;
		arch_relax();
	}
}

struct page *alloc_pages(unsigned int order)
{
	return alloc_pages_for(NULL, order);
}

void free_pages(struct page *pg, unsigned int order)
{
	mfn_t mfn = page_to_mfn(pg);

	BUG_ON(pg->state != PAGE_HYP && pg->state != PAGE_OWNED && pg->state != PAGE_SHARED);
	spin_lock(&heap_lock);
	mark(mfn, BIT(order), PAGE_DIRTY);
	insert_block(mfn, order, PAGE_DIRTY);
	nr_free += BIT(order);
	nr_dirty += BIT(order);
	spin_unlock(&heap_lock);
}

u64 heap_free_pages(void)
{
	return READ_ONCE(nr_free);
}

u64 heap_claimed_pages(void)
{
	return READ_ONCE(nr_claimed);
}

u64 heap_dirty_pages(void)
{
	return READ_ONCE(nr_dirty);
}

/* A batch is out of the lists while it is scrubbed, so for a moment it is not free: at most so many blocks, and 2 MiB. */
#define SCRUB_BLOCKS 16

struct scrub_batch {
	unsigned int nr;
	struct {
		mfn_t mfn;
		unsigned int order;
	} block[SCRUB_BLOCKS];
};

/* heap_lock held. Takes dirty blocks, the smallest first, of up to *n pages in all; the last is cut to fit. */
static void take_dirty(struct scrub_batch *b, unsigned int *n)
{
	unsigned int o = 0;

	b->nr = 0;
	while (*n && b->nr < SCRUB_BLOCKS) {
		unsigned int order;
		mfn_t mfn;

		while (o <= MAX_ORDER && list_empty(&free_list[1][o]))
			o++;
		if (o > MAX_ORDER)
			return;
		order = min(o, fls64(*n) - 1);
		mfn = page_to_mfn(take_from(1, o, order));
		mark(mfn, BIT(order), PAGE_HYP);
		b->block[b->nr].mfn = mfn;
		b->block[b->nr++].order = order;
		*n -= BIT(order);
		/* Its rest is on the lists below. */
		o = order;
	}
}

static void scrub_batch(const struct scrub_batch *b)
{
	for (unsigned int i = 0; i < b->nr; i++)
		memset(arch_mfn_to_virt(b->block[i].mfn), 0, PAGE_SIZE << b->block[i].order);
	spin_lock(&heap_lock);
	for (unsigned int i = 0; i < b->nr; i++) {
		mark(b->block[i].mfn, BIT(b->block[i].order), PAGE_FREE);
		nr_dirty -= BIT(b->block[i].order);
		insert_block(b->block[i].mfn, b->block[i].order, PAGE_FREE);
	}
	spin_unlock(&heap_lock);
}

bool heap_scrub(unsigned int n)
{
	struct scrub_batch b;

	while (n) {
		spin_lock(&heap_lock);
		take_dirty(&b, &n);
		spin_unlock(&heap_lock);
		if (!b.nr)
			return false;
		scrub_batch(&b);
	}
	return true;
}

bool heap_scrub_idle(void)
{
	static u32 busy; /* a hart is at it */
	unsigned int n = SCRUB_BLOCKS;
	struct scrub_batch b;
	bool more = true;

	/* One at a time: the others would only queue for the lock, before harts that have work to do. */
	if (!READ_ONCE(nr_dirty) || __atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		return false;
	if (spin_trylock(&heap_lock)) {
		take_dirty(&b, &n);
		spin_unlock(&heap_lock);
		more = b.nr; /* none: an allocation is at all that is dirty */
		if (more)
			scrub_batch(&b);
	} else {
		arch_relax();
	}
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	return more;
}

/*
 * Small objects: powers of two from 32 bytes to 2 KiB cut from pages; larger ones are whole blocks.
 * In struct page of such a page, owner is the page's list of free objects, order the size class, used
 * the objects in use, list its place among the class's pages with free objects. An empty page goes
 * back to the heap at once, so that the count of free pages tells a leak. count stays 0, so
 * that page_get() finds nothing to add to, whoever the list of free objects looks like.
 */
#define MIN_SHIFT 5
#define MAX_SHIFT 11
#define CLASS_BLOCK 64

static struct spinlock small_lock = SPINLOCK_INIT(LOCK_SMALL); /* outside heap_lock */
static struct list_head partial[MAX_SHIFT + 1];

static struct page *small_page(unsigned int shift)
{
	struct page *pg = alloc_pages(0);
	char *v;

	if (!pg)
		return NULL;
	v = page_to_virt(pg);
	pg->order = shift;
	pg->used = 0;
	pg->owner = NULL;
	for (size_t off = 0; off < PAGE_SIZE; off += BIT(shift)) {
		*(void **)(v + off) = pg->owner;
		pg->owner = (void *)(v + off);
	}
	list_add(&pg->list, &partial[shift]);
	return pg;
}

static void *small_alloc(unsigned int shift)
{
	struct page *pg;
	void *p = NULL;

	spin_lock(&small_lock);
	if (!partial[shift].next)
		list_init(&partial[shift]);
	if (list_empty(&partial[shift]))
		pg = small_page(shift);
	else
		pg = list_first(&partial[shift], struct page, list);
	if (pg) {
		p = pg->owner;
		pg->owner = *(void **)p;
		pg->used++;
		if (!pg->owner)
			list_del(&pg->list);
	}
	spin_unlock(&small_lock);
	if (p)
		memset(p, 0, BIT(shift));
	return p;
}

void *xzalloc(size_t size)
{
	unsigned int shift = max(fls64(size ? size - 1 : 0), (unsigned int)MIN_SHIFT);
	struct page *pg;

	if (shift <= MAX_SHIFT)
		return small_alloc(shift);
	if (size > PAGE_SIZE << 4)
		return NULL;
	shift = shift > PAGE_SHIFT ? shift - PAGE_SHIFT : 0;
	pg = alloc_pages(shift);
	if (!pg)
		return NULL;
	pg->order = CLASS_BLOCK + shift;
	return page_to_virt(pg);
}

void xfree(void *p)
{
	struct page *pg;

	if (!p)
		return;
	pg = virt_to_page(p);
	BUG_ON(!pg || pg->state != PAGE_HYP || pg->order == 0xff);
	if (pg->order >= CLASS_BLOCK) {
		free_pages(pg, pg->order - CLASS_BLOCK);
		return;
	}
	spin_lock(&small_lock);
	if (!pg->owner)
		list_add(&pg->list, &partial[pg->order]);
	*(void **)p = pg->owner;
	pg->owner = p;
	if (!--pg->used) {
		list_del(&pg->list);
		free_pages(pg, 0);
	}
	spin_unlock(&small_lock);
}
