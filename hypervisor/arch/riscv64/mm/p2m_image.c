/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Images in second-stage tables (include/image.h; docs/architecture.md, "Images"): RAM that is an image's has leaves without W, and tables of 4 KiB leaves that map
 * nothing else are the image's as well. Root and tables of level 1 are each domain's own.
 */
#include <arch.h>
#include <lib.h>
#include <page.h>
#include <p2m-inline.h>

#define LARGE_FRAMES BIT(9) /* that a leaf at level 1 maps */
#define HUGE_FRAMES BIT(18)

_Static_assert(LOG_FRAMES == LARGE_FRAMES,
	       "what is looked at together is one table, or one leaf above it");

bool arch_forks_are_safe(void)
{
	return !(READ_ONCE(cpu.ad) & AD_WALK_IGNORES_W);
}

static u64 pte_to_table(const struct page *pg)
{
	return page_to_mfn(pg) << PTE_PPN_SHIFT | PTE_V;
}

/* ---- copies ---- */

int p2m_own_table(struct domain *d, u64 *pte)
{
	struct page *pg = image_table(d);
	u64 *from = pte_table(*pte), *to;

	if (!pg)
		return -ENOMEM;
	to = page_to_virt(pg);
	/* Of what is an image's the log knows by the copy's D that it is written, so this one's says nothing. */
	for (unsigned int i = 0; i < 512; i++)
		to[i] = d->log.on ? READ_ONCE(from[i]) & ~PTE_D : READ_ONCE(from[i]);
	__atomic_store_n(pte, pte_to_table(pg), __ATOMIC_RELEASE);
	d->arch->p2m_tables++;
	return 0;
}

u64 *p2m_own_entry(struct domain *d, gfn_t gfn)
{
	struct p2m_place at;

	for (at = p2m_find(d, gfn); at.level; at = p2m_find(d, gfn)) {
		if (p2m_split(d, at.pte, at.level))
			return NULL;
	}
	if (gfn >> 9 != d->arch->p2m_last_frame) {
		unsigned int level;

		if (p2m_own_table(d, p2m_walk(d, gfn, 1, false, &level)))
			return NULL;
		at = p2m_find(d, gfn);
	}
	return at.pte;
}

/* p2m_lock held. The domain's harts may have translations of the old page still, so nobody may write to the new one before they are gone. */
static int unshare(struct domain *d, gfn_t gfn)
{
	struct page *pg;
	u64 *pte, leaf;

	if (gfn >> 29 || !p2m_is_shared(*p2m_find(d, gfn).pte))
		return -ENOENT;
	pte = p2m_own_entry(d, gfn);
	if (!pte)
		return -ENOMEM;
	pg = image_copy(d, mfn_to_page_of_ram(pte_mfn(*pte, 0, 0)));
	if (!pg)
		return -ENOMEM;
	/* The guest knows of no copy, so it has no reason to fence what it executes there. */
	p2m_fence_i(d);
	leaf = pte_leaf(page_to_mfn(pg), P2M_RAM, P2M_RWX);
	__atomic_store_n(pte, leaf & ~PTE_W, __ATOMIC_RELEASE);
	p2m_flush(d);
	__atomic_store_n(pte, leaf, __ATOMIC_RELEASE);
	return 0;
}

int p2m_unshare(struct domain *d, gfn_t gfn)
{
	int rc;

	p2m_lock(d);
	rc = unshare(d, gfn);
	p2m_unlock(d);
	return rc;
}

/* ---- fork ---- */

static void set_bit_of(u64 *bits, unsigned int i)
{
	bits[i / 64] |= BIT(i % 64);
}

/* The domain does not run. Its log (of which D is the last word) must still tell of what others wrote. */
static void make_read_only(u64 *pte, bool written)
{
	if (written)
		__atomic_fetch_or(pte, PTE_D, __ATOMIC_RELAXED);
	__atomic_fetch_and(pte, ~PTE_W, __ATOMIC_RELAXED);
}

/* A leaf of 4 KiB: is its page an image's (now)? */
static bool share_leaf(struct domain *d, u64 *pte, struct p2m_shared *s)
{
	struct page *pg = mfn_to_page_of_ram(pte_mfn(*pte, 0, 0));
	bool written;

	if (pg->state == PAGE_SHARED)
		return true;
	if (pte_access(*pte) != P2M_RWX || !image_take(d, pg, 1, &written))
		return false;
	make_read_only(pte, written);
	s->taken++;
	return true;
}

/* A leaf of 2 MiB, whose pages become the image's together. */
static bool share_large(struct domain *d, u64 *pte, struct p2m_shared *s)
{
	struct page *pg = mfn_to_page_of_ram(pte_mfn(*pte, 0, 0));
	bool written;

	if (pg->state != PAGE_SHARED) {
		if (pte_access(*pte) != P2M_RWX || !image_take(d, pg, LARGE_FRAMES, &written))
			return false;
		make_read_only(pte, written);
		d->shared_tables++;
		s->taken = LARGE_FRAMES;
		s->taken_tables = 1;
	}
	s->entry = *pte | PTE_A | PTE_D;
	s->pages = LARGE_FRAMES;
	s->tables = 1;
	return true;
}

/* The copy's table where the domain's has more than what is shared. */
static int table_of_shared(const u64 *table, struct p2m_shared *s)
{
	struct page *pg = alloc_pages(0);
	u64 *to;

	if (!pg)
		return -ENOMEM;
	to = page_to_virt(pg);
	for (unsigned int i = 0; i < 512; i++) {
		if (p2m_is_shared(table[i]))
			to[i] = table[i] | PTE_A | PTE_D;
	}
	s->entry = pte_to_table(pg);
	return 0;
}

/* pte leads to a table of 4 KiB leaves. */
static int share_table(struct domain *d, u64 *pte, struct p2m_shared *s)
{
	u64 *table = pte_table(*pte);
	unsigned int others = 0;

	for (unsigned int i = 0; i < 512; i++) {
		if (!(table[i] & PTE_V))
			continue;
		if (pte_type(table[i]) == P2M_RAM && share_leaf(d, &table[i], s)) {
			s->pages++;
			continue;
		}
		others++;
		if (pte_type(table[i]) == P2M_RAM || pte_type(table[i]) == P2M_FOREIGN)
			set_bit_of(s->held, i);
	}
	if (!s->pages)
		return 0;
	/* A domain that is logged keeps D of its own. */
	if (!pte_is_shared_table(*pte)) {
		if (others || d->log.on || d->log.doing ||
		    !image_take_table(d, virt_to_page(table)))
			return table_of_shared(table, s);
		p2m_forget_table(d, table);
		d->arch->p2m_tables--;
		s->taken_tables = 1;
		WRITE_ONCE(*pte, *pte | PTE_SHARED_TABLE);
	}
	s->entry = *pte;
	s->tables = 1;
	return 0;
}

/* p2m_lock held */
static s64 share_region(struct domain *d, gfn_t gfn, struct p2m_shared *s)
{
	u64 *pte = &d->arch->p2m_root[p2m_index(gfn, 2)];

	if (!(*pte & PTE_V))
		return HUGE_FRAMES - (gfn & (HUGE_FRAMES - 1));
	if (pte_is_leaf(*pte)) {
		if (!pte_is_ram(*pte))
			return LOG_FRAMES;
		if (p2m_split(d, pte, 2))
			return -ENOMEM;
	}
	pte = &pte_table(*pte)[p2m_index(gfn, 1)];
	if (!(*pte & PTE_V) || (pte_is_leaf(*pte) && !pte_is_ram(*pte)))
		return LOG_FRAMES;
	if (pte_is_leaf(*pte)) {
		if (share_large(d, pte, s))
			return LOG_FRAMES;
		if (p2m_split(d, pte, 1))
			return -ENOMEM;
	}
	return share_table(d, pte, s) ?: (s64)LOG_FRAMES;
}

s64 p2m_share(struct domain *d, gfn_t gfn, struct p2m_shared *s)
{
	s64 looked;

	memset(s, 0, sizeof(*s));
	p2m_lock(d);
	looked = share_region(d, gfn, s);
	p2m_unlock(d);
	return looked;
}

static bool is_of_copy(u64 entry)
{
	return pte_is_table(entry) && !pte_is_shared_table(entry);
}

int p2m_adopt(struct domain *d, gfn_t gfn, const struct p2m_shared *s)
{
	struct arch_domain *a = d->arch;
	unsigned int level;
	int rc = 0;
	u64 *pte;

	p2m_lock(d);
	pte = p2m_walk(d, gfn, 1, true, &level);
	if (!pte)
		rc = -ENOMEM;
	else if (level != 1)
		rc = -EEXIST;
	else if (*pte & PTE_V)
		rc = p2m_drop_empty(d, pte);
	if (!rc) {
		__atomic_store_n(pte, s->entry, __ATOMIC_RELEASE);
		a->p2m_tables += is_of_copy(s->entry);
		d->shared_tables += s->tables;
	}
	/* Where memory ran out on the way there may be a table without an entry, which p2m_teardown() has to come by. */
	if (rc != -EEXIST)
		a->p2m_max_gfn = max(a->p2m_max_gfn, gfn + LOG_FRAMES - 1);
	p2m_unlock(d);
	return rc;
}

void p2m_drop_shared(const struct p2m_shared *s)
{
	if (is_of_copy(s->entry))
		free_pages(virt_to_page(pte_table(s->entry)), 0);
}

/* ---- and back ---- */

/* With all rights; and whatever was known of what is written, this may be. */
static void make_own(u64 *pte)
{
	__atomic_fetch_or(pte, PTE_W | PTE_A | PTE_D, __ATOMIC_RELAXED);
}

/* p2m_lock held */
static u64 take_region(struct domain *d, gfn_t gfn)
{
	u64 *pte = &d->arch->p2m_root[p2m_index(gfn, 2)], *table;

	if (!pte_is_table(*pte))
		return HUGE_FRAMES - (gfn & (HUGE_FRAMES - 1));
	pte = &pte_table(*pte)[p2m_index(gfn, 1)];
	if (p2m_is_shared(*pte)) {
		if (image_give(d, mfn_to_page_of_ram(pte_mfn(*pte, 0, 0)), LARGE_FRAMES)) {
			d->shared_tables--;
			d->given++;
			make_own(pte);
		}
		return LOG_FRAMES;
	}
	if (!pte_is_table(*pte))
		return LOG_FRAMES;
	table = pte_table(*pte);
	if (pte_is_shared_table(*pte)) {
		/* What it maps is that image's, or lies deeper. */
		if (!image_give_table(d, virt_to_page(table)))
			return LOG_FRAMES;
		d->arch->p2m_tables++;
		WRITE_ONCE(*pte, *pte & ~PTE_SHARED_TABLE);
	}
	for (unsigned int i = 0; i < 512; i++) {
		if (p2m_is_shared(table[i]) &&
		    image_give(d, mfn_to_page_of_ram(pte_mfn(table[i], 0, 0)), 1))
			make_own(&table[i]);
	}
	return LOG_FRAMES;
}

/* p2m_lock held. What was split for the fork is whole again, but where D is asked for. */
static void merge_region(struct domain *d, gfn_t gfn)
{
	u64 *top = &d->arch->p2m_root[p2m_index(gfn, 2)], *pte;

	if (!pte_is_table(*top) || d->log.on || d->log.doing)
		return;
	pte = &pte_table(*top)[p2m_index(gfn, 1)];
	if (pte_is_table(*pte) && !pte_is_shared_table(*pte))
		p2m_merge(d, pte, 1);
	if (p2m_index(gfn, 1) == 511)
		p2m_merge(d, top, 2);
}

u64 p2m_take_back(struct domain *d, gfn_t gfn)
{
	u64 looked;

	p2m_lock(d);
	looked = take_region(d, gfn);
	merge_region(d, gfn);
	p2m_unlock(d);
	return looked;
}
