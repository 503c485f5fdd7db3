/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Of a domain's second-stage tables (mm/p2m.c) what grant operations do for each page. Inline there, where the table of the last
 * look is mostly that of the next, so that nothing is walked; mm/p2m.c has the same as functions for everybody else, and the
 * walks. arch-api.h says what they do.
 */
#ifndef PAVISE_P2M_INLINE_H
#define PAVISE_P2M_INLINE_H

#include <csr.h>
#include <hart.h>
#include <image.h>
#include <lock.h>
#include <page.h>

/* The entry for a frame: a leaf or a hole, and its level. */
struct p2m_place {
	u64 *pte;
	unsigned long level;
};

/*
 * An entry that leads to a table of 4 KiB leaves which is an image's (image.h): nothing of it is changed but by harts, it is nobody's p2m_last_table, and it is
 * copied for who wants to change it. Tables above are each domain's own.
 */
#define PTE_SHARED_TABLE BIT(PTE_RSW_SHIFT)

/* p2m_lock held. Of a frame beyond the address space a hole above level 0. */
struct p2m_place p2m_find_slow(struct domain *d, gfn_t gfn);
/* p2m_lock held. p2m_map_locked() where p2m_find() does not say that there is a hole at level 0. */
int p2m_map_slow(struct domain *d, gfn_t gfn, u64 leaf);

static __force_inline bool pte_is_leaf(u64 pte)
{
	return pte & (PTE_R | PTE_W | PTE_X);
}

/* Of mm/p2m.c, for mm/p2m_log.c. The p2m_lock is held, or nobody uses the domain any more. */
#define P2M_LEVELS 3
/* Replaces a leaf by a table of leaves one level down that say the same. -ENOMEM. */
int p2m_split(struct domain *d, u64 *pte, unsigned int level);
/* The table is not in the domain's any more: from here on none of its entries is found. */
void p2m_forget_table(struct domain *d, const u64 *table);
/* And no hart can reach it. */
void p2m_table_free(struct domain *d, u64 *table);
/* The entry for gfn at level, or the leaf or hole above it that ends the walk; *found says which. alloc: makes missing tables. NULL: no memory. */
u64 *p2m_walk(struct domain *d, gfn_t gfn, unsigned int level, bool alloc, unsigned int *found);
/* Frees the table that the entry leads to; -EEXIST: something is in it, or the entry is a leaf. */
int p2m_drop_empty(struct domain *d, u64 *pte);
/* The entry at level 0 for a frame that is mapped, in a table of the domain's own: what is above is split, or copied. NULL: no memory. */
u64 *p2m_own_entry(struct domain *d, gfn_t gfn);
/* mm/p2m_log.c: a leaf instead of a table whose leaves are one but for their size, which p2m_log_off_end() frees. Whether it is so. */
bool p2m_merge(struct domain *d, u64 *pte, unsigned int level);
/* Copies the table of an image's that the entry leads to. -ENOMEM. */
int p2m_own_table(struct domain *d, u64 *pte);

static inline bool pte_is_table(u64 pte)
{
	return (pte & (PTE_V | PTE_R | PTE_W | PTE_X)) == PTE_V;
}

static inline u64 *pte_table(u64 pte)
{
	return arch_mfn_to_virt((pte & PTE_PPN_MASK) >> PTE_PPN_SHIFT);
}

static inline bool pte_is_shared_table(u64 pte)
{
	return pte_is_table(pte) && pte & PTE_SHARED_TABLE;
}

static inline unsigned int p2m_index(gfn_t gfn, unsigned int level)
{
	return level == P2M_LEVELS - 1 ? gfn >> 18 & 2047 : gfn >> (9 * level) & 511;
}

/*
 * p2m_lock held. Neighbours share the last table of 4 KiB leaves, or the last leaf of 2 MiB. Of either it is remembered where it is
 * until the table is freed: while that is there, the entry above it stays what it is. The entry itself is looked at each time. Only
 * frames inside the address space have one.
 */
static __force_inline struct p2m_place p2m_find(struct domain *d, gfn_t gfn)
{
	struct arch_domain *a = d->arch;

	if (likely(gfn >> 9 == a->p2m_last_frame))
		return (struct p2m_place){ &a->p2m_last_table[gfn & 511], 0 };
	if (likely(gfn >> 9 == a->p2m_last_large_frame && pte_is_leaf(*a->p2m_last_large)))
		return (struct p2m_place){ a->p2m_last_large, 1 };
	return p2m_find_slow(d, gfn);
}

/* P2M_R, P2M_W and P2M_X stand in an entry as they do in the interface, one bit higher. */
#define PTE_RIGHTS_SHIFT 1
_Static_assert(PTE_R == P2M_R << PTE_RIGHTS_SHIFT && PTE_W == P2M_W << PTE_RIGHTS_SHIFT &&
		       PTE_X == P2M_X << PTE_RIGHTS_SHIFT,
	       "rights");

static __force_inline u64 pte_leaf(mfn_t mfn, enum p2m_type type, unsigned int access)
{
	return mfn << PTE_PPN_SHIFT | PTE_V | PTE_U | PTE_A | PTE_D | (u64)type << PTE_RSW_SHIFT |
	       (u64)(access & P2M_RWX) << PTE_RIGHTS_SHIFT;
}

static __force_inline unsigned int pte_access(u64 pte)
{
	return pte >> PTE_RIGHTS_SHIFT & P2M_RWX;
}

static __force_inline enum p2m_type pte_type(u64 pte)
{
	return (pte & PTE_RSW) >> PTE_RSW_SHIFT;
}

static __force_inline bool pte_is_ram(u64 pte)
{
	return (pte & (PTE_V | PTE_RSW)) == (PTE_V | (u64)P2M_RAM << PTE_RSW_SHIFT) &&
	       pte_is_leaf(pte);
}

/* The frame that a leaf of this level maps at gfn. */
static __force_inline mfn_t pte_mfn(u64 leaf, gfn_t gfn, unsigned long level)
{
	mfn_t mfn = (leaf & PTE_PPN_MASK) >> PTE_PPN_SHIFT;

	return likely(!level) ? mfn : mfn + (gfn & (BIT(9 * level) - 1));
}

/* A leaf of RAM that is an image's. */
static inline bool p2m_is_shared(u64 pte)
{
	return pte_is_ram(pte) && mfn_to_page_of_ram(pte_mfn(pte, 0, 0))->state == PAGE_SHARED;
}

static __force_inline void p2m_lock_inline(struct domain *d)
{
	spin_lock(&d->arch->p2m_lock);
}

static __force_inline void p2m_unlock_inline(struct domain *d)
{
	spin_unlock(&d->arch->p2m_lock);
}

static __force_inline int p2m_map_locked_inline(struct domain *d, gfn_t gfn, mfn_t mfn,
						enum p2m_type type, unsigned int access)
{
	struct p2m_place at = p2m_find(d, gfn);
	u64 leaf = pte_leaf(mfn, type, access);

	/* p2m_find() remembers a table of level 0, if it is the domain's own. */
	if (unlikely(gfn >> 9 != d->arch->p2m_last_frame || *at.pte & PTE_V))
		return p2m_map_slow(d, gfn, leaf);
	__atomic_store_n(at.pte, leaf, __ATOMIC_RELEASE);
	if (gfn > d->arch->p2m_max_gfn)
		d->arch->p2m_max_gfn = gfn;
	return 0;
}

static __force_inline void p2m_unmap_grant_locked_inline(struct domain *d, gfn_t gfn)
{
	struct p2m_place at = p2m_find(d, gfn);

	ASSERT(!at.level && *at.pte & PTE_V && pte_type(*at.pte) == P2M_GRANT);
	__atomic_store_n(at.pte, 0, __ATOMIC_RELEASE);
}

static __force_inline struct page *p2m_get_page_locked_inline(struct domain *d, gfn_t gfn,
							      unsigned int *access)
{
	struct p2m_place at = p2m_find(d, gfn);
	u64 pte = *at.pte;
	struct page *pg;

	if (access)
		*access = pte_access(pte);
	if (unlikely((pte & (PTE_V | PTE_RSW)) != (PTE_V | (u64)P2M_RAM << PTE_RSW_SHIFT)))
		return NULL;
	pg = mfn_to_page_of_ram(pte_mfn(pte, gfn, at.level));
	return page_get(pg, d) ? pg : NULL;
}

static __force_inline struct page *p2m_get_page_inline(struct domain *d, gfn_t gfn,
						       unsigned int *access)
{
	struct page *pg;

	p2m_lock_inline(d);
	pg = p2m_get_page_locked_inline(d, gfn, access);
	p2m_unlock_inline(d);
	return likely(pg) ? pg : image_get_page(d, gfn, access);
}

/* For the file that includes this. */
#ifndef P2M_FUNCTIONS
#define p2m_lock p2m_lock_inline
#define p2m_unlock p2m_unlock_inline
#define p2m_map_locked p2m_map_locked_inline
#define p2m_unmap_grant_locked p2m_unmap_grant_locked_inline
#define p2m_get_page_locked p2m_get_page_locked_inline
#define p2m_get_page p2m_get_page_inline
#endif

#endif
