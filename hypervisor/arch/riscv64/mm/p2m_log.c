/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log of what is written to a domain's RAM, by A and D of its second-stage leaves (RISC-V Privileged Specification, "Addressing and
 * Memory Protection", Svade, Svadu). Harts set these bits at any time, under no lock: an entry that a hart may use is changed by atomics.
 */
#include <arch.h>
#include <lib.h>
#include <page.h>
#include <p2m-inline.h>

#define LARGE_FRAMES BIT(9) /* that a leaf at level 1 maps */
#define HUGE_FRAMES BIT(18)

_Static_assert(LOG_FRAMES == LARGE_FRAMES,
	       "what is looked at together is one table, or one leaf above it");

bool arch_log_works(void)
{
	return !(cpu.ad & (AD_IGNORES | AD_WALK_IGNORES_A));
}

/* What of a leaf is looked at, and cleared: A only where it stands for writes. */
static u64 logged_bits(void)
{
	return cpu.ad & AD_WALK_IGNORES_D ? PTE_A | PTE_D : PTE_D;
}

static void set_bit_of(u64 *bits, unsigned int i)
{
	bits[i / 64] |= BIT(i % 64);
}

static void set_all(u64 *bits, unsigned int n)
{
	for (unsigned int i = 0; i < n; i += 64)
		bits[i / 64] = n - i < 64 ? BIT(n - i) - 1 : ~0UL;
}

/* Which of the bits the leaf has. */
static u64 take(u64 *pte, u64 bits, bool clear)
{
	u64 found = READ_ONCE(*pte) & bits;

	return found && clear ? __atomic_fetch_and(pte, ~bits, __ATOMIC_RELAXED) & bits : found;
}

/* Has somebody else written to the page, or may he do so still? */
static bool others_wrote(struct page *pg, unsigned int how)
{
	bool written = READ_ONCE(pg->written);

	if (written && how & LOG_CLEAR)
		__atomic_exchange_n(&pg->written, 0, __ATOMIC_ACQ_REL);
	return written || (how & LOG_HELD && READ_ONCE(pg->count) > 1);
}

/* A page that is lent to the domain may hide RAM, of which this entry says nothing; and the hypervisor writes to it. */
static bool is_lent(struct domain *d, u64 pte)
{
	const struct page *pg;

	if (pte_type(pte) != P2M_FOREIGN)
		return false;
	pg = mfn_to_page(pte_mfn(pte, 0, 0));
	return pg && pg->state == PAGE_HYP && pg->owner == d;
}

#define GROUP 8U

/* None of so many pages in a row has a mark; held: nor another's reference. */
static __force_inline bool none_written(const struct page *pg, bool held)
{
	u32 marks = 0;

	/* One register for all of them. */
	__asm__("" : "+r"(pg));
#pragma GCC unroll 8
	for (unsigned int i = 0; i < GROUP; i++)
		marks |= READ_ONCE(pg[i].written);
	if (marks || !held)
		return !marks;
#pragma GCC unroll 8
	for (unsigned int i = 0; i < GROUP; i++)
		marks |= READ_ONCE(pg[i].count) ^ 1;
	return !marks;
}

/*
 * Most leaves have nothing to tell, and most of a guest's pages lie in a row, as they came in large extents: a group of such leaves, of RAM that nobody has
 * written, are seen at once.
 */
static __force_inline bool all_quiet(const u64 *pte, u64 logged, bool held)
{
	u64 first = READ_ONCE(pte[0]), differ = 0;

#pragma GCC unroll 8
	for (u64 i = 1; i < GROUP; i++)
		differ |= (READ_ONCE(pte[i]) - (i << PTE_PPN_SHIFT)) ^ first;
	differ |= (first & (PTE_V | PTE_RSW | logged)) ^ (PTE_V | (u64)P2M_RAM << PTE_RSW_SHIFT);
	return !differ && none_written(mfn_to_page_of_ram(pte_mfn(first, 0, 0)), held);
}

/* Is there something to tell of the frame? */
static bool log_leaf(struct domain *d, u64 *pte, u64 logged, unsigned int how, bool *maybe)
{
	u64 entry = READ_ONCE(*pte), found;
	struct page *pg;

	if ((entry & (PTE_V | PTE_RSW)) != (PTE_V | (u64)P2M_RAM << PTE_RSW_SHIFT))
		return entry & PTE_V && is_lent(d, entry);
	pg = mfn_to_page_of_ram(pte_mfn(entry, 0, 0));
	found = take(pte, logged, how & LOG_CLEAR);
	if (others_wrote(pg, how) || found & PTE_D)
		return true;
	*maybe = found;
	return false;
}

/* The bits of n frames, at most a group. */
static __noinline u64 log_group(struct domain *d, u64 *pte, unsigned int n, unsigned int how,
				u64 *maybes)
{
	u64 logged = logged_bits(), written = 0;

	*maybes = 0;
	for (unsigned int i = 0; i < n; i++) {
		bool maybe = false;

		if (log_leaf(d, &pte[i], logged, how, &maybe))
			written |= BIT(i);
		else if (maybe)
			*maybes |= BIT(i);
	}
	return written;
}

/* The bits of n frames, at most 64. */
static __force_inline u64 log_word(struct domain *d, u64 *pte, unsigned int n, unsigned int how,
				   u64 *maybes)
{
	u64 logged = logged_bits(), written = 0, maybe;

	for (unsigned int i = 0; i < n; i += GROUP) {
		if (n - i >= GROUP && all_quiet(&pte[i], logged, how & LOG_HELD))
			continue;
		written |= log_group(d, &pte[i], min(n - i, GROUP), how, &maybe) << i;
		*maybes |= maybe << i;
	}
	return written;
}

static void log_table(struct domain *d, u64 *table, unsigned int n, unsigned int how,
		      struct log_bits *bits)
{
	for (unsigned int i = 0; i < n; i += 64)
		bits->written[i / 64] =
			log_word(d, &table[i], min(n - i, 64U), how, &bits->maybe[i / 64]);
}

static void log_large(u64 *pte, unsigned int n, unsigned int how, struct log_bits *bits)
{
	struct page *pg = mfn_to_page_of_ram(pte_mfn(*pte, 0, 0));
	u64 found = take(pte, logged_bits(), how & LOG_CLEAR && n == LOG_FRAMES);

	if (found & PTE_D)
		set_all(bits->written, n);
	else if (found)
		set_all(bits->maybe, n);
	for (unsigned int i = 0; i < n; i++) {
		if (i % GROUP == 0 && n - i >= GROUP && none_written(&pg[i], how & LOG_HELD)) {
			i += GROUP - 1;
			continue;
		}
		if (!others_wrote(&pg[i], how))
			continue;
		set_bit_of(bits->written, i);
		bits->maybe[i / 64] &= ~BIT(i % 64);
	}
}

/*
 * A table of an image's. Nobody writes to its pages: who does gets one of the domain's own, and a leaf with D. But walks may have set A and D of a guest's
 * own tables there (AD_WALK_IGNORES_D), and A, which they set of the leaf, is cleared by nobody, as it is other domains', too.
 */
static void log_shared_table(const u64 *table, unsigned int n, struct log_bits *bits)
{
	for (unsigned int i = 0; i < n && cpu.ad & AD_WALK_IGNORES_D; i++) {
		if (table[i] & PTE_V && READ_ONCE(table[i]) & PTE_A)
			set_bit_of(bits->maybe, i);
	}
}

/* p2m_lock held */
static u64 log_region(struct domain *d, gfn_t gfn, unsigned int n, unsigned int how,
		      struct log_bits *bits)
{
	u64 *pte = &d->arch->p2m_root[p2m_index(gfn, 2)];

	if (!(*pte & PTE_V))
		return HUGE_FRAMES - (gfn & (HUGE_FRAMES - 1));
	if (pte_is_leaf(*pte)) {
		if (pte_type(*pte) != P2M_RAM)
			return n;
		if (!(how & LOG_SPLIT) || p2m_split(d, pte, 2)) {
			set_all(bits->written, n);
			return n;
		}
	}
	pte = &pte_table(*pte)[p2m_index(gfn, 1)];
	if (!(*pte & PTE_V) || (pte_is_leaf(*pte) && pte_type(*pte) != P2M_RAM))
		return n;
	if (pte_is_leaf(*pte) && n == LOG_FRAMES) {
		/* Before it is split: one bit is to be cleared, and not 512. */
		log_large(pte, n, how, bits);
		if (how & LOG_SPLIT && !p2m_is_shared(*pte))
			p2m_split(d, pte, 1);
	} else if (pte_is_leaf(*pte) && (!(how & LOG_SPLIT) || p2m_split(d, pte, 1))) {
		log_large(pte, n, how, bits);
	} else if (pte_is_shared_table(*pte)) {
		log_shared_table(pte_table(*pte), n, bits);
	} else {
		log_table(d, pte_table(*pte), n, how, bits);
	}
	return n;
}

u64 p2m_log(struct domain *d, gfn_t gfn, unsigned int n, unsigned int how, struct log_bits *bits)
{
	u64 looked;

	memset(bits, 0, sizeof(*bits));
	p2m_lock(d);
	looked = log_region(d, gfn, n, how, bits);
	p2m_unlock(d);
	return looked;
}

void p2m_log_again(struct domain *d, gfn_t gfn, unsigned int n, const u64 *bits)
{
	p2m_lock(d);
	for (unsigned int i = 0; i < n; i++) {
		struct p2m_place at;

		if (!(bits[i / 64] & BIT(i % 64)))
			continue;
		at = p2m_find(d, gfn + i);
		/* Nothing was cleared in an image's table, which is nobody's p2m_last_table. */
		if (!at.level && (gfn + i) >> 9 != d->arch->p2m_last_frame)
			break;
		if (pte_is_ram(*at.pte))
			__atomic_fetch_or(at.pte, PTE_A | PTE_D, __ATOMIC_RELAXED);
	}
	p2m_unlock(d);
}

/* ---- off ---- */

/* A leaf as it is born. */
static void settle(u64 *pte)
{
	if (*pte & PTE_V && pte_is_leaf(*pte) && pte_type(*pte) == P2M_RAM &&
	    ~READ_ONCE(*pte) & (PTE_A | PTE_D))
		__atomic_fetch_or(pte, PTE_A | PTE_D, __ATOMIC_RELAXED);
}

/*
 * Makes a leaf, with A and D, of a table of leaves that say the same but for these. Of 512 mappings that are one already a hart may use either form until it
 * is fenced; the table waits for that in p2m_merged.
 */
bool p2m_merge(struct domain *d, u64 *pte, unsigned int level)
{
	unsigned int shift = PTE_PPN_SHIFT + 9 * (level - 1);
	u64 *table = pte_table(*pte), leaf = table[0] | PTE_A | PTE_D;
	struct page *pg;

	if (!(leaf & PTE_V) || !pte_is_leaf(leaf) || pte_type(leaf) != P2M_RAM ||
	    p2m_is_shared(leaf) || !IS_ALIGNED(pte_mfn(leaf, 0, 0), BIT(9 * level)))
		return false;
	for (u64 i = 1; i < 512; i++) {
		if ((READ_ONCE(table[i]) | PTE_A | PTE_D) != leaf + (i << shift))
			return false;
	}
	__atomic_store_n(pte, leaf, __ATOMIC_RELEASE);
	p2m_forget_table(d, table);
	pg = virt_to_page(table);
	pg->list.next = d->arch->p2m_merged ? &d->arch->p2m_merged->list : NULL;
	d->arch->p2m_merged = pg;
	return true;
}

/* p2m_lock held */
static u64 off_region(struct domain *d, gfn_t gfn)
{
	u64 *top = &d->arch->p2m_root[p2m_index(gfn, 2)], *pte;

	settle(top);
	if (!pte_is_table(*top))
		return HUGE_FRAMES - (gfn & (HUGE_FRAMES - 1));
	pte = &pte_table(*top)[p2m_index(gfn, 1)];
	settle(pte);
	if (pte_is_table(*pte) && !pte_is_shared_table(*pte) && !p2m_merge(d, pte, 1)) {
		u64 *table = pte_table(*pte);

		for (unsigned int i = 0; i < 512; i++)
			settle(&table[i]);
	}
	if (p2m_index(gfn, 1) == 511)
		p2m_merge(d, top, 2);
	return LOG_FRAMES;
}

u64 p2m_log_off(struct domain *d, gfn_t gfn)
{
	u64 looked;

	p2m_lock(d);
	looked = off_region(d, gfn);
	p2m_unlock(d);
	return looked;
}

void p2m_log_off_end(struct domain *d)
{
	struct arch_domain *a = d->arch;
	struct page *merged;

	/* Of more than one who is at it each frees what is behind its own fence. */
	p2m_lock(d);
	merged = a->p2m_merged;
	a->p2m_merged = NULL;
	p2m_unlock(d);
	if (!merged)
		return;
	p2m_flush(d);
	p2m_lock(d);
	while (merged) {
		struct page *pg = merged;

		merged = pg->list.next ? list_entry(pg->list.next, struct page, list) : NULL;
		p2m_table_free(d, page_to_virt(pg));
	}
	p2m_unlock(d);
}

/* ---- harts that do not set the bits themselves ---- */

bool p2m_log_fault(struct domain *d, gfn_t gfn, unsigned int access)
{
	struct p2m_place at;
	bool missing = false;

	p2m_lock(d);
	at = p2m_find(d, gfn);
	if (*at.pte & PTE_V && (pte_access(*at.pte) & access) == access) {
		/* D even for a load: its walk may have had to write to a guest's table, and would fault for ever. */
		u64 bits = *at.pte & PTE_W ? PTE_A | PTE_D : PTE_A;

		missing = ~__atomic_fetch_or(at.pte, bits, __ATOMIC_RELAXED) & bits;
	}
	p2m_unlock(d);
	if (missing)
		__atomic_fetch_add(&d->log.faults, 1, __ATOMIC_RELAXED);
	return missing;
}
