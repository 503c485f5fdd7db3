/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pins on grants in use. Inline, because each operation on a grant takes and drops one: grant_map.c and grant_copy.c include this.
 * The shared entries belong to the guest: they are read once, and changed by compare-and-swap only.
 */
#ifndef PAVISE_GRANT_PIN_H
#define PAVISE_GRANT_PIN_H

#include <grant_internal.h>
#include <image.h>

/* A guest that changes its entry while we do loses after so many rounds. */
#define MAX_RACES 16

/* An entry's flags and domid, which change together, as one word. */
static __force_inline u32 *head_of(grant_entry_v1_t *e)
{
	return (u32 *)e;
}

#define HEAD_DOMID_SHIFT 16
_Static_assert(offsetof(grant_entry_v1_t, flags) == 0 && offsetof(grant_entry_v1_t, domid) == 2,
	       "little endian, flags below");

/*
 * t->lock held. Sets GTF_reading and, unless readonly, GTF_writing in the guest's entry if it
 * permits the use.
 */
static __force_inline s16 mark_entry(grant_entry_v1_t *e, domid_t to, bool readonly)
{
	u32 use = readonly ? GTF_reading : GTF_reading | GTF_writing;
	u32 old = READ_ONCE(*head_of(e));

	for (unsigned int i = 0; i < MAX_RACES; i++) {
		if ((old & GTF_type_mask) != GTF_permit_access || old >> HEAD_DOMID_SHIFT != to)
			return GNTST_bad_gntref;
		if (old & GTF_readonly && !readonly)
			return GNTST_permission_denied;
		if (__atomic_compare_exchange_n(head_of(e), &old, old | use, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return GNTST_okay;
	}
	return grant_race();
}

/* t->lock held */
static __force_inline void unmark_entry(grant_entry_v1_t *e, u16 flags)
{
	__atomic_fetch_and(head_of(e), ~(u32)flags, __ATOMIC_SEQ_CST);
}

/*
 * t->lock and rd's p2m lock held, which goes for a moment: what others of the batch have is held by now. pin_first() has found no page; it may be an image's.
 * NULL: there is none that may be used so.
 */
static __noinline struct page *get_copied(struct domain *rd, gfn_t gfn, bool readonly,
					  unsigned int *access)
{
	struct page *pg;

	p2m_unlock(rd);
	pg = image_get_page(rd, gfn, access);
	/* Not under the lock: it may be unmapped by now, and this the last reference. */
	if (pg && !readonly && !(*access & P2M_W)) {
		page_put(pg);
		pg = NULL;
	}
	p2m_lock(rd);
	return pg;
}

/* t->lock held, and rd's p2m lock if p2m_held; ref is within the table. *slow: the p2m lock was not held throughout. */
static __force_inline s16 pin_first(struct domain *rd, grant_entry_v1_t *e, struct grant_pin *p,
				    domid_t to, bool readonly, bool p2m_held, bool *slow)
{
	unsigned int access = 0;
	s16 status = mark_entry(e, to, readonly);

	if (status != GNTST_okay)
		return status;
	/* After the mark: an honest granter no longer changes the frame. */
	p->gfn = READ_ONCE(e->frame);
	p->page = p2m_held ? p2m_get_page_locked(rd, p->gfn, &access) :
			     p2m_get_page(rd, p->gfn, &access);
	if (unlikely(!p->page) && p2m_held) {
		p->page = get_copied(rd, p->gfn, readonly, &access);
		*slow = true;
	}
	if (p->page && (readonly || access & P2M_W)) {
		p->domid = to;
		p->writable = access & P2M_W;
		return GNTST_okay;
	}
	/* Under the p2m lock not the last one: the allocation's is dropped behind the unmapping, which takes it. */
	if (p->page)
		page_put(p->page);
	p->page = NULL;
	unmark_entry(e, GTF_reading | GTF_writing);
	return GNTST_bad_page;
}

/* t->lock held, and rd's p2m lock if p2m_held. */
static __force_inline s16 pin(struct domain *rd, domid_t to, u32 ref, bool readonly,
			      struct page **page, bool p2m_held, bool *slow)
{
	struct grant_table *t = rd->grant;
	s16 status = GNTST_okay;
	grant_entry_v1_t *e;
	struct grant_pin *p;

	if (rd->dying)
		return GNTST_bad_domain;
	if (ref >= t->nr_frames * (u32)GRANTS_PER_FRAME)
		return GNTST_bad_gntref;
	e = &t->shared[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	p = &t->pins[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	if (!p->readers && !p->writers)
		status = pin_first(rd, e, p, to, readonly, p2m_held, slow);
	else if (p->domid != to)
		status = GNTST_bad_gntref;
	else if (!readonly && !p->writable)
		status = GNTST_bad_page;
	else if (p->readers + p->writers >= ~0U >> 1)
		status = GNTST_no_space;
	else
		status = mark_entry(e, to, readonly);
	if (status != GNTST_okay)
		return status;
	if (readonly)
		p->readers++;
	else
		p->writers++;
	*page = p->page;
	return GNTST_okay;
}

/*
 * Takes one more use of rd's grant ref by domain to. Status is GNTST_okay with *page (valid until
 * the unpin) or the error that the guest sees. Takes rd->grant->lock.
 */
static __force_inline s16 grant_pin(struct domain *rd, domid_t to, u32 ref, bool readonly,
				    struct page **page)
{
	bool slow;
	s16 status;

	spin_lock(&rd->grant->lock);
	status = pin(rd, to, ref, readonly, page, false, &slow);
	spin_unlock(&rd->grant->lock);
	return status;
}

/*
 * The same for n operations (at most GRANT_BATCH) on rd's grants. grant_pin_all() pins those whose arguments are right, and
 * sets each one's status and page (NULL: not pinned). Returns how many it has done: the first whose page had to be copied is the last, so that there is a
 * look for something more urgent between two copies, each with its fence. Takes rd->grant->lock, its p2m lock, and page_lock.
 */
static __force_inline unsigned int grant_pin_all(struct domain *rd, domid_t to,
						 struct gnttab_map_grant_ref *ops,
						 struct page **pages, unsigned int n)
{
	bool slow = false;
	unsigned int i;

	spin_lock(&rd->grant->lock);
	p2m_lock(rd);
	for (i = 0; i < n && likely(!slow); i++) {
		s16 status = grant_check_map(&ops[i]);

		pages[i] = NULL;
		if (likely(status == GNTST_okay))
			status = pin(rd, to, ops[i].ref, ops[i].flags & GNTMAP_readonly, &pages[i],
				     true, &slow);
		ops[i].status = status;
	}
	p2m_unlock(rd);
	spin_unlock(&rd->grant->lock);
	return i;
}

/* t->lock held. The page that nobody uses any more through this grant: the caller lets go of it without the lock. */
static __force_inline struct page *unpin(struct grant_table *t, u32 ref, bool readonly)
{
	grant_entry_v1_t *e = &t->shared[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	struct grant_pin *p = &t->pins[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	struct page *page = NULL;

	if (readonly) {
		p->readers--;
	} else {
		p->writers--;
		page_mark_written(p->page);
	}
	if (!p->writers)
		unmark_entry(e, p->readers ? GTF_writing : GTF_reading | GTF_writing);
	if (!p->readers && !p->writers) {
		page = p->page;
		p->page = NULL;
	}
	return page;
}

static __force_inline void grant_unpin(struct domain *rd, u32 ref, bool readonly)
{
	struct page *page;

	spin_lock(&rd->grant->lock);
	page = unpin(rd->grant, ref, readonly);
	spin_unlock(&rd->grant->lock);
	if (page)
		page_put(page);
}

static __force_inline void grant_unpin_all(struct domain *rd, const struct maptrack *m,
					   unsigned int n)
{
	struct page *pages[GRANT_BATCH];

	spin_lock(&rd->grant->lock);
	for (unsigned int i = 0; i < n; i++)
		pages[i] = unpin(rd->grant, m[i].ref, m[i].readonly);
	spin_unlock(&rd->grant->lock);
	for (unsigned int i = 0; i < n; i++) {
		if (pages[i])
			page_put(pages[i]);
	}
}

#endif
