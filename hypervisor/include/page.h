/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page frames: who owns them, who holds them, and the heap they come from.
 * docs/architecture.md has the table of states; core/heap.c and core/page.c implement this.
 */
#ifndef PAVISE_PAGE_H
#define PAVISE_PAGE_H

#include <arch-api.h>
#include <console.h>
#include <list.h>
#include <types.h>

struct domain;
struct image;

enum page_state {
	PAGE_INVALID = 0, /* no RAM, or never given to the heap */
	PAGE_FREE, /* on a buddy list, scrubbed */
	PAGE_DIRTY, /* free, waits to be scrubbed */
	PAGE_HYP, /* the hypervisor's own: heap blocks, page tables, shared_info, grant frames */
	PAGE_OWNED, /* a domain's */
	PAGE_SHARED, /* an image's (image.h): mapped read-only by domains, and held by nobody else */
};

/*
 * count: references. An owned page has one for its allocation (dropped by page_release_alloc() or the owner's death) and
 * one for each grant or foreign mapping and each registered area. The last reference frees it, whoever drops it, and as
 * dirty: nothing else sets the count to 0, and nobody is believed to be the last holder but by the count.
 *
 * To get a reference one must know that the page has one that stays while one looks: else it may have been freed by then,
 * and be another's, or the same domain's again for another purpose, which no look at its owner would show. Who knows that:
 *   - whoever finds the page mapped as P2M_RAM, under that domain's p2m lock: the allocation's reference is dropped by
 *     who unmapped the page, behind the unmapping. p2m_get_page(), with or without its lock, is the only way from a
 *     frame number to a page;
 *   - whoever finds it in a grant table, under grant_table.lock: grant_table_get_frame(), grant_pin();
 *   - whoever holds the domain that has it for as long as it lives: shared_info.
 */
struct page {
	union {
		struct list_head list; /* buddy list, or the owner's page_list */
		struct { /* lent: the RAM page of the owner's whose place it has, NULL: none. Under page_lock */
			struct page *hides;
			gfn_t hides_at;
		};
	};
	union {
		struct domain *
			owner; /* PAGE_OWNED: the domain; PAGE_HYP: domain that it is lent to, or NULL */
		struct image *image; /* PAGE_SHARED, and PAGE_HYP of a table that is an image's */
	};
	u32 count;
	u8 state; /* enum page_state */
	u8 order; /* free: of the block whose first page this is, 0xff for its other pages; else heap.c's */
	u8 alloc_ref; /* the allocation's reference is still held */
	union {
		u8 used; /* small objects in it */
		u8 written; /* owned: page_mark_written() since the log of what is written was last told */
	};
};

/* ---- heap ---- */

#define MAX_ORDER 18 /* 1 GiB */

/*
 * 2^order contiguous pages, aligned, contents zero, state PAGE_HYP. NULL when there are none.
 */
struct page *alloc_pages(unsigned int order);
/* The same from what d has claimed, or what nobody has. */
struct page *alloc_pages_for(struct domain *d, unsigned int order);
/* Reserves so many free pages for d's future alloc_pages_for(), instead of what it had claimed before. -ENOMEM. */
int heap_claim(struct domain *d, u64 pages);
/*
 * So many free pages more, or fewer, are kept for d's alloc_reserved(), which nothing else takes: a write to memory that is an image's finds
 * one (image.h). -ENOMEM: there are not so many.
 */
int heap_reserve(struct domain *d, u64 pages);
void heap_unreserve(struct domain *d, u64 pages);
/*
 * One of these, or, if d has none (NULL: for nobody), one that nobody has claimed; not zeroed: the caller writes all of it. PAGE_HYP. NULL: there is none.
 * Where all that is free is being scrubbed it waits for that, a batch of 16 blocks.
 */
struct page *alloc_reserved(struct domain *d);

#define HEAP_SMALL_ORDER 4 /* a block of this size is scrubbed at once where it is asked for */
/*
 * Large blocks without a long stop: heap_prepare() scrubs 16 pages if there is no clean block of the order, and returns
 * whether to call it again; heap_take_clean() then takes one (order > HEAP_SMALL_ORDER) without touching its pages, which are to become a
 * domain's (extent_step()) or go back (heap_give_back()), in pieces of any order, as long as nobody had them.
 */
bool heap_prepare(unsigned int order);
struct page *heap_take_clean(struct domain *d, unsigned int order);
void heap_give_back(struct page *pg, unsigned int order);
void free_pages(struct page *pg, unsigned int order);

/*
 * The same for a domain: pages PAGE_OWNED by d with the allocation's reference each, on d's
 * page_list, counted in d->tot_pages. NULL: no memory, d->max_pages would be exceeded, or d is
 * dying. Takes page_lock.
 */
struct page *alloc_domain_pages(struct domain *d, unsigned int order);
/* n pages of the hypervisor's become d's, but for d->tot_pages: that is the caller's. page_lock held. */
void page_make_owned(struct domain *d, struct page *pg, u64 n);
/*
 * The same of what heap_prepare() made clean: it scrubs no more than 64 KiB itself. NULL also when there is no clean block
 * of the order (any more).
 */
struct page *alloc_prepared_pages(struct domain *d, unsigned int order);

/*
 * Populating an extent above EXTENT_PIECE in pieces of that size: the first call takes the whole block of memory, each
 * makes one piece d's, and the last maps the extent at gfn. All or nothing: if it cannot be mapped, all pieces go back.
 * A domain has one extent under way. Whoever comes with another carries that one to its end first, for the one who
 * began it and who perhaps does not come back: so what was abandoned keeps nobody out, and of two both get on.
 *
 * Call with piece 0, 1, ... 2^(order - EXTENT_PIECE) - 1, each until it returns something else than -ERESTART, which means
 * that one step was done, of this extent or of another. 0: the next, or after the last the extent is mapped. -ENOMEM: no
 * memory, or more than d may have; -EINVAL: no such extent is under way, or it could not be mapped, or d is dying.
 * memory_op_begin() was called for d, or it is the current domain. Takes page_lock.
 */
#define EXTENT_PIECE 9
int extent_step(struct domain *d, gfn_t gfn, unsigned int order, u64 piece);
/* Gives back a piece of the extent that is under way: -ERESTART while there is more, 0 when there is none (any more). */
int extent_drop(struct domain *d);

u64 heap_free_pages(void); /* PAGE_FREE and PAGE_DIRTY */
u64 heap_claimed_pages(void); /* of the free ones */
u64 heap_dirty_pages(void);
/* Scrubs up to n pages; returns whether there is more to do. */
bool heap_scrub(unsigned int n);
/*
 * Scrubs up to 16 pages for an idle hart, which gives way: to a hart that scrubs already, and to whoever has the heap lock.
 * Returns whether to call it again; false may also mean that another hart is at it.
 */
bool heap_scrub_idle(void);
/* Boot: gives a range of RAM [start, end) to the heap. */
void heap_add(mfn_t start, mfn_t end);

/*
 * Small objects, zeroed. NULL when there is no memory; at most PAGE_SIZE << 4. xfree(NULL) is
 * harmless.
 */
void *xzalloc(size_t size);
void xfree(void *p);

/* ---- frames ---- */

/* One entry for each frame from frame_base to frame_end; the architecture makes it at boot. */
extern struct page *frame_table;
extern mfn_t frame_base, frame_end;

/* NULL where there is no frame of RAM. */
static inline struct page *mfn_to_page(mfn_t mfn)
{
	struct page *pg;

	if (mfn < frame_base || mfn >= frame_end)
		return NULL;
	pg = &frame_table[mfn - frame_base];
	return pg->state == PAGE_INVALID ? NULL : pg;
}

/* The same for a frame that is known to be RAM, because a domain has it mapped as such. */
static inline struct page *mfn_to_page_of_ram(mfn_t mfn)
{
	ASSERT(mfn_to_page(mfn));
	return &frame_table[mfn - frame_base];
}

static inline mfn_t page_to_mfn(const struct page *pg)
{
	return frame_base + (pg - frame_table);
}

static inline void *page_to_virt(const struct page *pg)
{
	return arch_mfn_to_virt(page_to_mfn(pg));
}

static inline struct page *virt_to_page(const void *v)
{
	return mfn_to_page(arch_virt_to_mfn(v));
}

/* Far below overflow, far above what an honest guest needs for one page. */
#define MAX_PAGE_REFS 0x7fffffffU

/* Owned by d, or lent to it. (The owner of a page of small objects never looks like a domain.) */
static inline bool page_is_of(const struct page *pg, const struct domain *d)
{
	return (pg->state == PAGE_OWNED || pg->state == PAGE_HYP) && pg->owner == d;
}

/*
 * Takes a reference if the page is owned by d, or lent to it; false otherwise, or on overflow. The caller knows that the
 * page has a reference that is not dropped meanwhile (see struct page).
 */
static inline bool page_get(struct page *pg, struct domain *d)
{
	u32 count = __atomic_load_n(&pg->count, __ATOMIC_RELAXED);

	if (!page_is_of(pg, d))
		return false;
	do {
		if (!count || count >= MAX_PAGE_REFS)
			return false;
	} while (!__atomic_compare_exchange_n(&pg->count, &count, count + 1, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}
/*
 * Makes a PAGE_HYP page one that d may be given to see (shared_info, grant frames): count 1,
 * page_get(pg, d) works on it, and the last page_put() frees it.
 */
void page_lend(struct page *pg, struct domain *d);
void page_put_last(struct page *pg); /* page_put()'s other half */
/* Drops a reference; the last frees the page (dirty) and takes it off the owner's account. */
static inline void page_put(struct page *pg)
{
	ASSERT(READ_ONCE(pg->count));
	if (!__atomic_sub_fetch(&pg->count, 1, __ATOMIC_ACQ_REL))
		page_put_last(pg);
}

/*
 * Whoever has written to a domain's own page by its struct page, and not through a mapping of that domain's, says so behind the last write
 * and while holding the page: the log of what is written (p2m_log()) knows of it by this alone.
 */
static inline void page_mark_written(struct page *pg)
{
	ASSERT(pg->state == PAGE_OWNED);
	/* Release: who takes the mark copies what was written. */
	__atomic_store_n(&pg->written, 1, __ATOMIC_RELEASE);
}

/* page_put() of who may have written to it. A page that is lent has no mark: it is no RAM of the domain's. */
static inline void page_put_written(struct page *pg)
{
	if (pg->state == PAGE_OWNED)
		page_mark_written(pg);
	page_put(pg);
}

/*
 * Drops the allocation's reference once, whoever calls first (decrease_reservation, teardown):
 * false when it was dropped already. The page stays on the owner's list and account while others
 * hold references.
 */
bool page_release_alloc(struct page *pg);
/*
 * The same for 2^order pages that were never mapped, as one block where nobody else holds one (nobody should).
 * memory_op_begin() was called for d, or it is the current domain. Takes page_lock.
 */
void page_release_unmapped(struct domain *d, struct page *pg, unsigned int order);

/*
 * p2m_get_page() for an area that the hypervisor will write on d's behalf: the page is d's and d may write it, size bytes
 * from offset are inside it, offset is 8-byte aligned. NULL: not so.
 */
struct page *page_get_area(struct domain *d, gfn_t gfn, u64 offset, size_t size);

#endif
