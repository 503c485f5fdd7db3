/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant mappings: their handles (maptrack), map and unmap, and what a mapper leaves at its death.
 *
 * Operations go in batches, in steps that are each done for the whole batch: pins, handles, tables. So a batch takes each
 * lock once for neighbours with the same granter, and has one fence; a batch is also all that is done between two looks for
 * something more urgent.
 */
#include <grant.h>
#include <grant_internal.h>
#include <grant_pin.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <lock.h>
#include <xsm.h>

#define TRACKS_PER_CHUNK 128
#define RELEASE_ROUNDS 4

/* ---- maptrack: the handles of mappings ---- */

int grant_tracks_init(struct grant_table *t)
{
	spin_lock_init(&t->track_lock, LOCK_TRACK);
	t->free_track = NO_TRACK;
	t->tracks = xzalloc(DIV_ROUND_UP(t->max_tracks, TRACKS_PER_CHUNK) * sizeof(t->tracks[0]));
	return t->tracks ? 0 : -ENOMEM;
}

void grant_tracks_free(struct grant_table *t)
{
	for (unsigned int i = 0; t->tracks && i < DIV_ROUND_UP(t->nr_tracks, TRACKS_PER_CHUNK); i++)
		xfree(t->tracks[i]);
	xfree(t->tracks);
}

static struct maptrack *track(struct grant_table *t, u32 handle)
{
	return &t->tracks[handle / TRACKS_PER_CHUNK][handle % TRACKS_PER_CHUNK];
}

/* track_lock held */
static __noinline int track_grow(struct grant_table *t)
{
	struct maptrack *chunk;

	if (t->nr_tracks + TRACKS_PER_CHUNK > t->max_tracks)
		return -ENOSPC;
	chunk = xzalloc(TRACKS_PER_CHUNK * sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	t->tracks[t->nr_tracks / TRACKS_PER_CHUNK] = chunk;
	for (unsigned int i = TRACKS_PER_CHUNK; i--;) {
		chunk[i].ref = t->free_track;
		t->free_track = t->nr_tracks + i;
	}
	t->nr_tracks += TRACKS_PER_CHUNK;
	return 0;
}

/* track_lock held. A free handle, which stays free until track_fill(). NO_TRACK: none. */
static __force_inline u32 track_free_one(struct grant_table *t)
{
	if (unlikely(t->free_track == NO_TRACK))
		track_grow(t);
	return t->free_track;
}

/* track_lock held. handle is what track_free_one() said. The granter's reference goes to the entry. */
static __force_inline void track_fill(struct grant_table *t, u32 handle, struct domain *granter,
				      u32 ref, bool readonly, gfn_t gfn)
{
	struct maptrack *e = track(t, handle);

	t->free_track = e->ref;
	*e = (struct maptrack){ .granter = granter, .ref = ref, .readonly = readonly, .gfn = gfn };
}

/* track_lock held. Takes the entry out, so that one of two unmaps of a handle wins. gfn INVALID_GFN: whatever it is. */
static __force_inline bool track_take(struct grant_table *t, u32 handle, gfn_t gfn,
				      struct maptrack *m)
{
	struct maptrack *e;

	if (handle >= t->nr_tracks)
		return false;
	e = track(t, handle);
	if (!e->granter || (gfn != INVALID_GFN && e->gfn != gfn))
		return false;
	*m = *e;
	e->granter = NULL;
	e->ref = t->free_track;
	t->free_track = handle;
	return true;
}

/* ---- map ---- */

/* d's track_lock and p2m_lock held. Maps the page of a grant that is pinned. */
static __force_inline s16 map_one(struct domain *d, struct domain *rd,
				  struct gnttab_map_grant_ref *op, struct page *page)
{
	u32 handle = track_free_one(d->grant);
	bool readonly = op->flags & GNTMAP_readonly;
	gfn_t gfn = op->host_addr >> PAGE_SHIFT;
	mfn_t mfn = page_to_mfn(page);
	int rc;

	if (handle == NO_TRACK)
		return GNTST_no_space;
	rc = p2m_map_locked(d, gfn, mfn, P2M_GRANT, readonly ? P2M_R : P2M_RW);
	if (rc)
		return rc == -ENOMEM ? GNTST_no_space : GNTST_bad_virt_addr;
	track_fill(d->grant, handle, rd, op->ref, readonly, gfn);
	op->handle = handle;
	op->dev_bus_addr = mfn << PAGE_SHIFT;
	return GNTST_okay;
}

static __noinline void unpin_unmapped(struct domain *rd, u32 ref, bool readonly)
{
	grant_unpin(rd, ref, readonly);
}

/*
 * Maps those of ops that are pinned, and unpins what cannot be mapped. Under both locks, so that nobody unmaps what is
 * half-way: that would drop the pin under the mapping to come. Returns whether the reference to rd is still the caller's.
 */
static __force_inline bool map_pinned(struct domain *d, struct domain *rd,
				      struct gnttab_map_grant_ref *ops, struct page **pages,
				      unsigned int n)
{
	unsigned int mapped = 0, failed = 0, refs;

	spin_lock(&d->grant->track_lock);
	p2m_lock(d);
	for (unsigned int i = 0; i < n; i++) {
		ops[i].handle = NO_TRACK;
		if (ops[i].status != GNTST_okay)
			continue;
		ops[i].status = map_one(d, rd, &ops[i], pages[i]);
		if (likely(ops[i].status == GNTST_okay)) {
			pages[i] = NULL;
			mapped++;
		} else {
			failed++;
		}
	}
	/* Each mapping keeps its granter; the caller's reference is one of theirs, unless it is needed below. */
	refs = mapped + !!failed;
	if (refs > 1)
		domain_hold_more(rd, refs - 1);
	p2m_unlock(d);
	spin_unlock(&d->grant->track_lock);
	for (unsigned int i = 0; i < n && failed; i++) {
		if (!pages[i])
			continue;
		unpin_unmapped(rd, ops[i].ref, ops[i].flags & GNTMAP_readonly);
		if (!--failed)
			return true;
	}
	return !refs;
}

/* domain_get(), where the current domain d is not looked for. */
static __force_inline struct domain *granter_get(struct domain *d, domid_t id)
{
	if (id != d->id)
		return domain_get(id);
	domain_hold(d);
	return d;
}

/* n operations on the same granter. Returns how many are done, one at least. */
static __force_inline unsigned int map_from(struct domain *d, struct gnttab_map_grant_ref *ops,
					    unsigned int n)
{
	struct domain *rd = granter_get(d, ops->dom);
	struct page *pages[GRANT_BATCH];

	if (unlikely(!rd || !xsm_may_talk(d, rd))) {
		for (unsigned int i = 0; i < n; i++) {
			ops[i].status = grant_check_map(&ops[i]) ?: GNTST_bad_domain;
			ops[i].handle = NO_TRACK;
		}
		if (rd)
			domain_put(rd);
		return n;
	}
	n = grant_pin_all(rd, d->id, ops, pages, n);
	if (map_pinned(d, rd, ops, pages, n))
		domain_put(rd);
	return n;
}

/* Returns how many are done, one at least. */
static __force_inline unsigned int map_batch(struct domain *d, struct gnttab_map_grant_ref *ops,
					     unsigned int n)
{
	unsigned int i = 0, end = 0;

	while (i == end && i < n) {
		for (end = i + 1; end < n && ops[end].dom == ops[i].dom; end++)
			;
		i += map_from(d, &ops[i], end - i);
	}
	return i;
}

/* ---- unmap ---- */

/*
 * d's track_lock and p2m_lock held. Takes one mapping out of maptrack and tables. It is there: nobody else changes what
 * grants have mapped. The page is let go of behind the fence, by let_go().
 */
static __force_inline bool unmap_one(struct domain *d, u32 handle, gfn_t gfn, struct maptrack *m)
{
	if (!track_take(d->grant, handle, gfn, m))
		return false;
	p2m_unmap_grant_locked(d, m->gfn);
	return true;
}

static __force_inline void let_go(struct domain *d, const struct maptrack *m, unsigned int n)
{
	p2m_flush(d);
	for (unsigned int i = 0, end; i < n; i = end) {
		struct domain *rd = m[i].granter;

		for (end = i + 1; end < n && m[end].granter == rd; end++)
			;
		grant_unpin_all(rd, &m[i], end - i);
		if (end - i > 1)
			domain_put_more(rd, end - i - 1);
		domain_put(rd);
	}
}

/* Returns n. */
static __force_inline unsigned int unmap_batch(struct domain *d, struct gnttab_unmap_grant_ref *ops,
					       unsigned int n)
{
	struct maptrack m[GRANT_BATCH];
	unsigned int taken = 0;

	spin_lock(&d->grant->track_lock);
	p2m_lock(d);
	for (unsigned int i = 0; i < n; i++) {
		struct gnttab_unmap_grant_ref *op = &ops[i];

		if (op->host_addr & ~PAGE_MASK) {
			op->status = GNTST_bad_virt_addr;
		} else if (unmap_one(d, op->handle, op->host_addr >> PAGE_SHIFT, &m[taken])) {
			op->status = GNTST_okay;
			taken++;
		} else {
			op->status = GNTST_bad_handle;
		}
	}
	p2m_unlock(d);
	spin_unlock(&d->grant->track_lock);
	if (taken)
		let_go(d, m, taken);
	return n;
}

/* ---- the operations ---- */

/*
 * Of a structure goes back, in whole words, what is from the status on. What the guest wrote in the first of them goes back
 * unchanged.
 */
#define WORDS(op) (sizeof(op) / sizeof(u64))
#define STATUS_WORD(op) (offsetof(typeof(op), status) / sizeof(u64))
#define COPY_RESULT(at, op) \
	copy_words_to_guest((at) + STATUS_WORD(op) * sizeof(u64), (u64 *)&(op) + STATUS_WORD(op), \
			    WORDS(op) - STATUS_WORD(op))

/*
 * count structures at arg, through ops, which has room for GRANT_BATCH: copied in, done and copied out. Where not all can be
 * copied in they go one by one, so that those before the one that cannot are done.
 */
#define FOR_EACH_BATCH(cmd, arg, count, ops, fn) \
	do { \
		u32 left = (count); \
		u64 at = (arg); \
\
		while (left) { \
			unsigned int n = min(left, (u32)GRANT_BATCH); \
\
			/* Never before the first: whoever is interrupted all the time still gets on. */ \
			if (left != (u32)(count) && hypercall_preempt_check()) \
				return hypercall_continue(__HYPERVISOR_grant_table_op, \
							  (cmd)&GRANT_CMD_MASK, at, left, 0, 0); \
			if (copy_from_guest((ops), at, n * sizeof(*(ops)))) { \
				if (copy_from_guest((ops), at, sizeof(*(ops)))) \
					return -EFAULT; \
				n = 1; \
			} \
			/* Perhaps fewer: the rest is another batch. */ \
			n = fn(current_domain(), (ops), n); \
			for (unsigned int i = 0; i < n; i++, at += sizeof(*(ops))) { \
				if (COPY_RESULT(at, (ops)[i])) \
					return -EFAULT; \
			} \
			left -= n; \
		} \
	} while (0)

static __noinline long map_many(u64 cmd, u64 arg, u64 count)
{
	struct gnttab_map_grant_ref ops[GRANT_BATCH];

	FOR_EACH_BATCH(cmd, arg, count, ops, map_batch);
	return 0;
}

static __noinline long unmap_many(u64 cmd, u64 arg, u64 count)
{
	struct gnttab_unmap_grant_ref ops[GRANT_BATCH];

	FOR_EACH_BATCH(cmd, arg, count, ops, unmap_batch);
	return 0;
}

/*
 * One operation is what is asked for most: without arrays and loops, and with the structure in registers. So it is taken apart here,
 * by words.
 */
IS_IN_WORD(struct gnttab_map_grant_ref, host_addr, 0, 0);
IS_IN_WORD(struct gnttab_map_grant_ref, flags, 1, 0);
IS_IN_WORD(struct gnttab_map_grant_ref, ref, 1, 32);
IS_IN_WORD(struct gnttab_map_grant_ref, dom, 2, 0);
IS_IN_WORD(struct gnttab_map_grant_ref, status, 2, 16);
IS_IN_WORD(struct gnttab_map_grant_ref, handle, 2, 32);
IS_IN_WORD(struct gnttab_map_grant_ref, dev_bus_addr, 3, 0);

long grant_op_map(u64 cmd, u64 arg, u64 count)
{
	struct gnttab_map_grant_ref op;
	u64 w[WORDS(op)];

	if (unlikely((u32)count != 1))
		return map_many(cmd, arg, count);
	if (copy_words_from_guest(w, arg, WORDS(op)))
		return -EFAULT;
	op.host_addr = w[0];
	op.flags = w[1];
	op.ref = w[1] >> 32;
	op.dom = w[2];
	op.dev_bus_addr = w[3];
	map_from(current_domain(), &op, 1);
	w[2] = op.dom | (u64)(u16)op.status << 16 | (u64)op.handle << 32;
	w[3] = op.dev_bus_addr;
	return copy_words_to_guest(arg + 2 * sizeof(u64), &w[2], 2) ? -EFAULT : 0;
}

IS_IN_WORD(struct gnttab_unmap_grant_ref, host_addr, 0, 0);
IS_IN_WORD(struct gnttab_unmap_grant_ref, handle, 2, 0);
IS_IN_WORD(struct gnttab_unmap_grant_ref, status, 2, 32);

long grant_op_unmap(u64 cmd, u64 arg, u64 count)
{
	struct gnttab_unmap_grant_ref op;
	u64 w[WORDS(op)];

	if (unlikely((u32)count != 1))
		return unmap_many(cmd, arg, count);
	if (copy_words_from_guest(w, arg, WORDS(op)))
		return -EFAULT;
	op.host_addr = w[0];
	op.handle = w[2];
	unmap_batch(current_domain(), &op, 1);
	w[2] = op.handle | (u64)(u16)op.status << 32 | w[2] >> 48 << 48;
	return copy_words_to_guest(arg + 2 * sizeof(u64), &w[2], 1) ? -EFAULT : 0;
}

/* ---- death ---- */

/* Nobody maps for the domain any more, so no handle is in use: their memory, from the end. */
static int free_tracks(struct grant_table *t)
{
	for (unsigned int n = 0; n < RELEASE_ROUNDS * GRANT_BATCH; n++) {
		struct maptrack *chunk = NULL;

		spin_lock(&t->track_lock);
		t->free_track = NO_TRACK;
		if (t->nr_tracks) {
			t->nr_tracks -= TRACKS_PER_CHUNK;
			chunk = t->tracks[t->nr_tracks / TRACKS_PER_CHUNK];
		}
		spin_unlock(&t->track_lock);
		if (!chunk)
			return 0;
		xfree(chunk);
	}
	return -ERESTART;
}

int grant_release_tracks(struct domain *d)
{
	struct grant_table *t = d->grant;
	struct maptrack m[GRANT_BATCH];

	for (unsigned int round = 0; t->release_next < t->nr_tracks; round++) {
		unsigned int n = 0;

		if (round == RELEASE_ROUNDS)
			return -ERESTART;
		spin_lock(&t->track_lock);
		p2m_lock(d);
		for (unsigned int i = 0; i < GRANT_BATCH && t->release_next < t->nr_tracks; i++)
			n += unmap_one(d, t->release_next++, INVALID_GFN, &m[n]);
		p2m_unlock(d);
		spin_unlock(&t->track_lock);
		if (n)
			let_go(d, m, n);
	}
	return free_tracks(t);
}

unsigned int grant_map_pieces(struct domain *d)
{
	return READ_ONCE(d->grant->nr_tracks) / TRACKS_PER_CHUNK;
}

bool grant_maps_some(struct domain *d, unsigned int piece)
{
	struct grant_table *t = d->grant;
	bool some = false;

	spin_lock(&t->track_lock);
	for (u32 i = 0; i < TRACKS_PER_CHUNK && piece < t->nr_tracks / TRACKS_PER_CHUNK; i++)
		some |= t->tracks[piece][i].granter != NULL;
	spin_unlock(&t->track_lock);
	return some;
}

int grant_count_maps(struct domain *d)
{
	struct grant_table *t = d->grant;
	int n = 0;

	if (!spin_trylock(&t->track_lock))
		return -1;
	for (u32 handle = 0; handle < t->nr_tracks; handle++)
		n += track(t, handle)->granter != NULL;
	spin_unlock(&t->track_lock);
	return n;
}
