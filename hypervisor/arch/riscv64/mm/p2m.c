/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A domain's second-stage tables (Sv39x4): 4 KiB, 2 MiB and 1 GiB leaves, the entry's type in the RSW bits.
 * Also the walk of a guest's own tables, in software.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>
#include <page.h>
#define P2M_FUNCTIONS
#include <p2m-inline.h>

#define NAPOT_SIZE (16 * PAGE_SIZE)
#define GPA_BITS 41
#define ROOT_ORDER 2
/*
 * Tables that a domain may have: enough to map all the memory it was ever allowed with 4 KiB leaves, twice, and some for
 * what it maps of others. Else a guest that maps one page at ever new places, each with a table of its own, gets all
 * memory there is.
 */
#define TABLES_SPARE 512
#define PAGES_PER_TABLE 256

/* p2m_lock held. NULL: no memory, or more than the domain may have. */
static struct page *table_alloc(struct domain *d)
{
	struct arch_domain *a = d->arch;
	struct page *pg = NULL;

	a->p2m_max_tables =
		max(a->p2m_max_tables, TABLES_SPARE + READ_ONCE(d->max_pages) / PAGES_PER_TABLE);
	/* The control domain maps what it manages; its tables are not a guest's to fill. */
	if (a->p2m_tables < a->p2m_max_tables || d->is_privileged)
		pg = alloc_pages(0);
	if (pg)
		a->p2m_tables++;
	return pg;
}

void p2m_forget_table(struct domain *d, const u64 *table)
{
	if (d->arch->p2m_last_table == table)
		d->arch->p2m_last_frame = ~0ULL;
	if (ROUND_DOWN((u64)d->arch->p2m_last_large, PAGE_SIZE) == (u64)table)
		d->arch->p2m_last_large_frame = ~0ULL;
}

void p2m_table_free(struct domain *d, u64 *table)
{
	d->arch->p2m_tables--;
	p2m_forget_table(d, table);
	free_pages(virt_to_page(table), 0);
}

int p2m_init(struct domain *d)
{
	struct page *pg = alloc_pages(ROOT_ORDER);

	if (!pg)
		return -ENOMEM;
	spin_lock_init(&d->arch->p2m_lock, LOCK_P2M);
	d->arch->p2m_last_frame = ~0ULL;
	d->arch->p2m_last_large_frame = ~0ULL;
	d->arch->p2m_root = page_to_virt(pg);
	d->arch->hgatp = SATP_MODE_SV39 << SATP_MODE_SHIFT | page_to_mfn(pg);
	return 0;
}

static void free_tables(struct domain *d, u64 *table, unsigned int level)
{
	unsigned int n = level == P2M_LEVELS - 1 ? 2048 : 512;

	for (unsigned int i = 0; level && i < n; i++) {
		if (pte_is_table(table[i]) && !pte_is_shared_table(table[i])) {
			free_tables(d, pte_table(table[i]), level - 1);
			p2m_table_free(d, pte_table(table[i]));
			table[i] = 0;
		}
	}
}

void p2m_free(struct domain *d)
{
	if (!d->arch->p2m_root)
		return;
	/* One step: p2m_teardown() has left those of the highest frame, at most. */
	ASSERT(d->arch->p2m_tables < P2M_LEVELS);
	free_tables(d, d->arch->p2m_root, P2M_LEVELS - 1);
	free_pages(virt_to_page(d->arch->p2m_root), ROOT_ORDER);
	d->arch->p2m_root = NULL;
}

/*
 * A vCPU that is loaded later is fenced then (hext_load), with VMIDs because it is marked; the order is memory write, mark, fence, look. The one that runs
 * here is the caller's to fence, whatever else happens. Returns the harts that run the domain: they are to be fenced.
 */
static __force_inline u64 mark_stale(struct domain *d, u32 fences)
{
	u64 mask = 0;
	struct vcpu *v;
	unsigned int i;

	if (unlikely(cpu.vmid_bits)) {
		domain_for_each_vcpu(d, v, i) {
			if (v != current())
				vmid_mark(&v->arch->vmid, fences);
		}
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	domain_for_each_vcpu(d, v, i) {
		if (READ_ONCE(v->running))
			mask |= BIT(READ_ONCE(v->hart));
	}
	return mask;
}

void p2m_flush(struct domain *d)
{
	u64 mask = mark_stale(d, VMID_GVMA);

	if (mask == BIT(arch_hart())) {
		hfence_gvma_current();
		return;
	}
	if (mask)
		sbi_remote_fence(RFENCE_HFENCE_GVMA, mask, 0, ~0ULL, 0);
}

void p2m_fence_i(struct domain *d)
{
	u64 mask = mark_stale(d, VMID_FENCE_I);

	if (mask == BIT(arch_hart())) {
		fence_i();
		return;
	}
	if (mask)
		sbi_remote_fence(RFENCE_FENCE_I, mask, 0, ~0ULL, 0);
}

/* p2m_find() where the table is not the last one: walk() to level 0 without its cases. */
__noinline struct p2m_place p2m_find_slow(struct domain *d, gfn_t gfn)
{
	static u64 beyond; /* a hole, and nobody writes it: whoever maps looks where */
	struct arch_domain *a = d->arch;
	u64 *pte;

	if (gfn >> (GPA_BITS - PAGE_SHIFT))
		return (struct p2m_place){ &beyond, P2M_LEVELS - 1 };
	pte = &a->p2m_root[p2m_index(gfn, 2)];
	if (!pte_is_table(*pte))
		return (struct p2m_place){ pte, 2 };
	pte = &pte_table(*pte)[p2m_index(gfn, 1)];
	if (!pte_is_table(*pte)) {
		a->p2m_last_large_frame = gfn >> 9;
		a->p2m_last_large = pte;
		return (struct p2m_place){ pte, 1 };
	}
	if (pte_is_shared_table(*pte))
		return (struct p2m_place){ &pte_table(*pte)[p2m_index(gfn, 0)], 0 };
	a->p2m_last_frame = gfn >> 9;
	a->p2m_last_table = pte_table(*pte);
	return (struct p2m_place){ &a->p2m_last_table[p2m_index(gfn, 0)], 0 };
}

u64 *p2m_walk(struct domain *d, gfn_t gfn, unsigned int level, bool alloc,
	      unsigned int *found_level)
{
	u64 *table = d->arch->p2m_root;

	for (unsigned int l = P2M_LEVELS - 1;; l--) {
		u64 *pte = &table[p2m_index(gfn, l)];

		*found_level = l;
		if (l == level || (*pte & PTE_V && pte_is_leaf(*pte)))
			return pte;
		if (!(*pte & PTE_V)) {
			struct page *pg;

			if (!alloc)
				return pte;
			pg = table_alloc(d);
			if (!pg)
				return NULL;
			__atomic_store_n(pte, page_to_mfn(pg) << PTE_PPN_SHIFT | PTE_V,
					 __ATOMIC_RELEASE);
		} else if (alloc && *pte & PTE_SHARED_TABLE && p2m_own_table(d, pte)) {
			return NULL;
		}
		table = pte_table(*pte);
	}
}

int p2m_drop_empty(struct domain *d, u64 *pte)
{
	u64 *table;

	if (pte_is_leaf(*pte) || pte_is_shared_table(*pte))
		return -EEXIST;
	table = pte_table(*pte);
	for (unsigned int i = 0; i < 512; i++) {
		if (table[i])
			return -EEXIST;
	}
	WRITE_ONCE(*pte, 0);
	p2m_flush(d);
	p2m_table_free(d, table);
	return 0;
}

/* p2m_lock held. p2m_map() for several leaves, large ones, and where there is no table yet. All of them are in one table. */
static __noinline int map_leaves(struct domain *d, gfn_t gfn, unsigned int order, u64 leaf)
{
	unsigned int level = order / 9, found;
	u64 n = BIT(order - 9 * level), *pte = p2m_walk(d, gfn, level, true, &found);

	if (!pte)
		return -ENOMEM;
	if (found != level)
		return -EEXIST;
	for (u64 i = 0; i < n; i++) {
		if (!(pte[i] & PTE_V))
			continue;
		/* One empty table may remain of smaller mappings. To look through hundreds would take too long here. */
		if (n > 1 || p2m_drop_empty(d, pte))
			return -EEXIST;
	}
	for (u64 i = 0; i < n; i++)
		__atomic_store_n(&pte[i], leaf + (i << (PTE_PPN_SHIFT + 9 * level)),
				 __ATOMIC_RELEASE);
	return 0;
}

void p2m_lock(struct domain *d)
{
	p2m_lock_inline(d);
}

void p2m_unlock(struct domain *d)
{
	p2m_unlock_inline(d);
}

int p2m_map_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int access)
{
	return p2m_map_locked_inline(d, gfn, mfn, type, access);
}

void p2m_unmap_grant_locked(struct domain *d, gfn_t gfn)
{
	p2m_unmap_grant_locked_inline(d, gfn);
}

struct page *p2m_get_page_locked(struct domain *d, gfn_t gfn, unsigned int *access)
{
	return p2m_get_page_locked_inline(d, gfn, access);
}

struct page *p2m_get_page(struct domain *d, gfn_t gfn, unsigned int *access)
{
	return p2m_get_page_inline(d, gfn, access);
}

/* p2m_lock held; the arguments are in order. p2m_map() where no hole at level 0 was found for a single frame. */
static int map(struct domain *d, gfn_t gfn, unsigned int order, u64 leaf)
{
	struct arch_domain *a = d->arch;
	int rc = map_leaves(d, gfn, order, leaf);

	/* Where memory ran out on the way there may be a table without an entry, which p2m_teardown() has to come by. */
	if (!rc || rc == -ENOMEM)
		a->p2m_max_gfn = max(a->p2m_max_gfn, gfn + BIT(order) - 1);
	return rc;
}

__noinline int p2m_map_slow(struct domain *d, gfn_t gfn, u64 leaf)
{
	return gfn >> (GPA_BITS - PAGE_SHIFT) ? -EINVAL : map(d, gfn, 0, leaf);
}

int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type,
	    unsigned int access)
{
	int rc;

	if (gfn >> (GPA_BITS - PAGE_SHIFT) || order > 18 || !IS_ALIGNED(gfn | mfn, BIT(order)))
		return -EINVAL;
	p2m_lock(d);
	if (order)
		rc = map(d, gfn, order, pte_leaf(mfn, type, access));
	else
		rc = p2m_map_locked(d, gfn, mfn, type, access);
	p2m_unlock(d);
	return rc;
}

int p2m_make_room(struct domain *d, gfn_t gfn, unsigned int order)
{
	struct arch_domain *a = d->arch;
	struct p2m_place at;
	unsigned int level;
	int rc = 0;

	if (gfn >> (GPA_BITS - PAGE_SHIFT) || order > 9 || !IS_ALIGNED(gfn, BIT(order)))
		return -EINVAL;
	spin_lock(&a->p2m_lock);
	at = p2m_find(d, gfn);
	if (at.level) {
		rc = *at.pte & PTE_V ? -EEXIST : 0;
	} else if (order == 9) {
		rc = p2m_drop_empty(d, p2m_walk(d, gfn, 1, false, &level));
	} else {
		for (u64 i = 0; i < BIT(order) && !rc; i++)
			rc = at.pte[i] & PTE_V ? -EEXIST : 0;
	}
	spin_unlock(&a->p2m_lock);
	return rc;
}

int p2m_split(struct domain *d, u64 *pte, unsigned int level)
{
	u64 *table, leaf = READ_ONCE(*pte), last;
	struct page *pg;

	/* A write must not fail for the number of tables that the domain has filled otherwise. */
	if (level == 1 && p2m_is_shared(leaf)) {
		pg = image_table(d);
		d->arch->p2m_tables += !!pg;
	} else {
		pg = table_alloc(d);
	}
	if (!pg)
		return -ENOMEM;
	table = page_to_virt(pg);
	for (unsigned int i = 0; i < 512; i++)
		table[i] = leaf + ((u64)i << (PTE_PPN_SHIFT + 9 * (level - 1)));
	last = __atomic_exchange_n(pte, page_to_mfn(pg) << PTE_PPN_SHIFT | PTE_V, __ATOMIC_ACQ_REL);
	/* A hart has set A or D of the leaf meanwhile, and in the table may do so by now. */
	for (unsigned int i = 0; i < 512 && unlikely(last != leaf); i++)
		__atomic_fetch_or(&table[i], last & (PTE_A | PTE_D), __ATOMIC_RELAXED);
	return 0;
}

/* p2m_lock held, or nobody uses the domain any more. */
static void describe(u64 pte, gfn_t gfn, unsigned int level, struct p2m_entry *e)
{
	e->mfn = pte_mfn(pte, gfn, level);
	e->type = pte_type(pte);
	e->access = pte_access(pte);
	e->order = 9 * level;
	e->shared = p2m_is_shared(pte);
}

/* p2m_unmap() and p2m_replace(): leaf is what comes, 0: nothing. */
static int change(struct domain *d, gfn_t gfn, unsigned int types, u64 leaf, struct p2m_entry *old)
{
	struct arch_domain *a = d->arch;
	int rc = -ENOENT;
	u64 *pte;

	if (gfn >> (GPA_BITS - PAGE_SHIFT))
		return rc;
	spin_lock(&a->p2m_lock);
	pte = p2m_find(d, gfn).pte;
	if (!(*pte & PTE_V))
		goto out;
	rc = -EBUSY;
	if (!(types & BIT(pte_type(*pte))))
		goto out;
	rc = -ENOMEM;
	pte = p2m_own_entry(d, gfn);
	if (!pte)
		goto out;
	if (old)
		describe(*pte, gfn, 0, old);
	__atomic_store_n(pte, leaf, __ATOMIC_RELEASE);
	rc = 0;
out:
	spin_unlock(&a->p2m_lock);
	/*
	 * The domain's other harts need not wait for the fence to look at their tables. What was mapped is still held: who is
	 * told of it lets go of it behind the fence.
	 */
	if (!rc)
		p2m_flush(d);
	return rc;
}

int p2m_unmap(struct domain *d, gfn_t gfn, unsigned int types, struct p2m_entry *old)
{
	return change(d, gfn, types, 0, old);
}

int p2m_replace(struct domain *d, gfn_t gfn, unsigned int types, mfn_t mfn, enum p2m_type type,
		unsigned int access, struct p2m_entry *old)
{
	return change(d, gfn, types, pte_leaf(mfn, type, access), old);
}

bool p2m_allows(struct domain *d, gfn_t gfn, unsigned int access)
{
	struct arch_domain *a = d->arch;
	u64 pte;

	if (gfn >> (GPA_BITS - PAGE_SHIFT))
		return false;
	spin_lock(&a->p2m_lock);
	pte = *p2m_find(d, gfn).pte;
	spin_unlock(&a->p2m_lock);
	return pte & PTE_V && (pte_access(pte) & access) == access;
}

struct page *p2m_foreign(struct domain *d, gfn_t gfn)
{
	struct arch_domain *a = d->arch;
	struct p2m_place at;
	u64 pte;

	if (gfn >> (GPA_BITS - PAGE_SHIFT))
		return NULL;
	spin_lock(&a->p2m_lock);
	at = p2m_find(d, gfn);
	pte = *at.pte;
	spin_unlock(&a->p2m_lock);
	if (!(pte & PTE_V) || pte_type(pte) != P2M_FOREIGN)
		return NULL;
	return mfn_to_page(pte_mfn(pte, gfn, at.level));
}

/* p2m_lock held. The table below the entry for gfn at this level, which has nothing in it any more. */
static void drop_table(struct domain *d, gfn_t gfn, unsigned int level)
{
	unsigned int found;
	u64 *pte = p2m_walk(d, gfn, level, false, &found), old = *pte;

	if (found != level || !(old & PTE_V) || pte_is_leaf(old))
		return;
	WRITE_ONCE(*pte, 0);
	p2m_table_free(d, pte_table(old));
}

/*
 * Frees each table behind its last entry, so that a guest with many tables costs no long step at its end. No vCPU of the
 * domain runs any more, and none is loaded again; their VMIDs are given to nobody before a fence: nothing to flush.
 */
int p2m_teardown(struct domain *d, gfn_t *gfn, unsigned int max,
		 void (*fn)(struct domain *d, gfn_t gfn, const struct p2m_entry *e))
{
	struct arch_domain *a = d->arch;
	struct p2m_entry e;

	/* Holes cost as much as leaves here: both are bounded by max. */
	for (unsigned int n = 0; n < max; n++) {
		unsigned int level;
		gfn_t at = *gfn;
		u64 *pte, old;

		if (at > a->p2m_max_gfn)
			return 0;
		spin_lock(&a->p2m_lock);
		pte = p2m_walk(d, at, 1, false, &level);
		/* What is an image's goes at once. */
		if (pte_is_table(*pte) && !pte_is_shared_table(*pte))
			pte = p2m_walk(d, at, 0, false, &level);
		old = pte_is_table(*pte) ? 0 : *pte;
		WRITE_ONCE(*pte, 0);
		*gfn = ROUND_DOWN(at, BIT(9 * level)) + BIT(9 * level);
		if (level == 0 && IS_ALIGNED(*gfn, BIT(9)))
			drop_table(d, at, 1);
		if (level <= 1 && IS_ALIGNED(*gfn, BIT(18)))
			drop_table(d, at, 2);
		spin_unlock(&a->p2m_lock);
		if (old & PTE_V) {
			describe(old, ROUND_DOWN(at, BIT(9 * level)), level, &e);
			fn(d, ROUND_DOWN(at, BIT(9 * level)), &e);
		}
	}
	return *gfn > a->p2m_max_gfn ? 0 : -ERESTART;
}

int p2m_next(struct domain *d, gfn_t *gfn, unsigned int max, struct p2m_entry *e)
{
	struct arch_domain *a = d->arch;
	int rc = -ERESTART;

	spin_lock(&a->p2m_lock);
	for (unsigned int n = 0; n < max && rc == -ERESTART; n++) {
		unsigned int level;
		u64 *pte;

		if (*gfn > a->p2m_max_gfn) {
			rc = -ENOENT;
			break;
		}
		pte = p2m_walk(d, *gfn, 0, false, &level);
		if (*pte & PTE_V) {
			describe(*pte, *gfn, level, e);
			rc = 0;
		} else {
			*gfn = ROUND_DOWN(*gfn, BIT(9 * level)) + BIT(9 * level);
		}
	}
	spin_unlock(&a->p2m_lock);
	return rc;
}

gfn_t p2m_max_gfn(struct domain *d)
{
	return d->arch->p2m_max_gfn;
}

/*
 * A 64-bit word of guest physical memory, RAM only; false if there is none. Read under the lock, without a reference: what is mapped as RAM stays what it is
 * until whoever unmaps it has had the lock, and an image's page is not copied for that.
 */
static bool read_guest_phys(struct domain *d, paddr_t gpa, u64 *v)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct p2m_place at;
	bool there;

	p2m_lock(d);
	at = p2m_find(d, gfn);
	there = pte_is_ram(*at.pte);
	if (there)
		*v = READ_ONCE(*(u64 *)((char *)arch_mfn_to_virt(pte_mfn(*at.pte, gfn, at.level)) +
					(gpa & ~PAGE_MASK & ~7UL)));
	p2m_unlock(d);
	return there;
}

bool guest_walk(struct vcpu *v, u64 gva, bool write, paddr_t *gpa)
{
	u64 satp = v == current() ? csr_read(CSR_VSATP) : v->arch->vsatp, pte;
	unsigned int mode = satp >> SATP_MODE_SHIFT;
	paddr_t table = (satp & SATP_PPN_MASK) << PAGE_SHIFT;
	int levels, shift;

	if (!mode) {
		*gpa = gva;
		return true;
	}
	if (mode < SATP_MODE_SV39 || mode > SATP_MODE_SV57)
		return false;
	levels = 3 + mode - SATP_MODE_SV39;
	shift = 64 - (PAGE_SHIFT + 9 * levels);
	if ((s64)(gva << shift) >> shift != (s64)gva)
		return false;
	for (int l = levels - 1; l >= 0; l--) {
		u64 size = PAGE_SIZE << 9 * l;

		if (!read_guest_phys(v->domain, table + (gva / size & 511) * 8, &pte) ||
		    !(pte & PTE_V))
			return false;
		table = (pte & PTE_PPN_MASK) >> PTE_PPN_SHIFT << PAGE_SHIFT;
		if (!pte_is_leaf(pte))
			continue;
		/* Svnapot: 16 pages by one entry, each place of which says so */
		if (pte & PTE_N) {
			if (l || (table >> PAGE_SHIFT & 15) != 8)
				return false;
			size = NAPOT_SIZE;
			table &= ~(size - 1);
		}
		if ((write && !(pte & PTE_W)) || !(pte & PTE_R) || !IS_ALIGNED(table, size))
			return false;
		*gpa = table | (gva & (size - 1));
		return true;
	}
	return false;
}

gfn_t arch_guest_va_to_gfn(struct vcpu *v, u64 gva)
{
	paddr_t gpa;

	return guest_walk(v, gva, true, &gpa) ? gpa >> PAGE_SHIFT : INVALID_GFN;
}
