/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant tables, version 1: the tables themselves, the pins on grants in use, and mappings.
 * The shared entries belong to the guest: they are read once, and changed by compare-and-swap only.
 */
#include <console.h>
#include <grant.h>
#include <grant_internal.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <lock.h>
#include <xsm.h>

#define DEFAULT_FRAMES 64
#define LIMIT_FRAMES 1024
#define DEFAULT_TRACK_FRAMES 1024
#define LIMIT_TRACK_FRAMES 4096
#define TRACKS_PER_CHUNK 128
#define TRACKS_PER_FRAME 256 /* what a frame of the limit stands for */
#define NO_TRACK (~0U)
#define RELEASE_BATCH 64
#define FRAMES_BATCH 8
/* A guest that changes its entry while we do loses after so many rounds. */
#define MAX_RACES 16
#define RACE_REPORT_NS 1000000000ULL

struct maptrack {
	struct domain *granter; /* held; NULL: free */
	u32 ref; /* or the next free one */
	bool readonly;
	bool live; /* mapped: before that the handle is taken, but nobody can unmap it */
	gfn_t gfn; /* where it is mapped */
};

/* ---- tables ---- */

int grant_table_init(struct domain *d, s32 max_frames, s32 max_maptrack_frames)
{
	struct grant_table *t = xzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	d->grant = t;
	spin_lock_init(&t->lock, LOCK_GRANT);
	spin_lock_init(&t->track_lock, LOCK_TRACK);
	t->max_frames = max_frames < 0 ? DEFAULT_FRAMES : min(max_frames, LIMIT_FRAMES);
	if (!t->max_frames)
		t->max_frames = 1;
	t->max_tracks = (max_maptrack_frames < 0 ? DEFAULT_TRACK_FRAMES :
						   min(max_maptrack_frames, LIMIT_TRACK_FRAMES)) *
			TRACKS_PER_FRAME;
	t->free_track = NO_TRACK;
	t->shared = xzalloc(t->max_frames * sizeof(t->shared[0]));
	t->pins = xzalloc(t->max_frames * sizeof(t->pins[0]));
	t->tracks = xzalloc(DIV_ROUND_UP(t->max_tracks, TRACKS_PER_CHUNK) * sizeof(t->tracks[0]));
	if (!t->shared || !t->pins || !t->tracks)
		return -ENOMEM;
	return grant_grow(d, 1);
}

void grant_table_free(struct domain *d)
{
	struct grant_table *t = d->grant;

	for (unsigned int i = 0; t->shared && i < t->nr_frames; i++) {
		if (!t->shared[i]) /* free_frames() */
			continue;
		page_put(virt_to_page(t->shared[i]));
		xfree(t->pins[i]);
	}
	for (unsigned int i = 0; t->tracks && i < DIV_ROUND_UP(t->nr_tracks, TRACKS_PER_CHUNK); i++)
		xfree(t->tracks[i]);
	xfree(t->shared);
	xfree(t->pins);
	xfree(t->tracks);
	xfree(t);
	d->grant = NULL;
}

/* The next frame. Made without the lock: zeroing two pages is too long for whoever waits for it. */
static int add_frame(struct domain *d)
{
	struct grant_table *t = d->grant;
	struct grant_pin *pins = xzalloc(GRANTS_PER_FRAME * sizeof(*pins));
	struct page *pg = pins ? alloc_pages(0) : NULL;
	unsigned int n;

	if (!pg) {
		xfree(pins);
		return -ENOMEM;
	}
	page_lend(pg, d);
	spin_lock(&t->lock);
	n = t->nr_frames;
	if (n < t->max_frames) {
		t->shared[n] = page_to_virt(pg);
		t->pins[n] = pins;
		__atomic_store_n(&t->nr_frames, n + 1, __ATOMIC_RELEASE);
	}
	spin_unlock(&t->lock);
	if (n < t->max_frames)
		return 0;
	/* Others were faster. */
	page_put(pg);
	xfree(pins);
	return 0;
}

int grant_grow(struct domain *d, unsigned int nr)
{
	struct grant_table *t = d->grant;
	int rc = 0;

	if (nr > t->max_frames)
		return -EINVAL;
	while (!rc && __atomic_load_n(&t->nr_frames, __ATOMIC_ACQUIRE) < nr) {
		rc = add_frame(d);
		if (!rc && READ_ONCE(t->nr_frames) < nr && hypercall_preempt_check())
			rc = -ERESTART;
	}
	return rc;
}

unsigned int grant_table_max_frames(struct domain *d)
{
	return d->grant->max_frames;
}

int grant_table_get_frame(struct domain *d, unsigned long idx, struct page **pg)
{
	struct grant_table *t = d->grant;
	int rc;

	if (idx >= t->max_frames || d->dying)
		return -EINVAL;
	rc = grant_grow(d, idx + 1);
	if (rc)
		return rc;
	spin_lock(&t->lock);
	/* NULL: its domain has begun to die, free_frames(). */
	*pg = t->shared[idx] ? virt_to_page(t->shared[idx]) : NULL;
	if (!*pg || !page_get(*pg, d))
		rc = -EINVAL;
	spin_unlock(&t->lock);
	return rc;
}

/* ---- pins ---- */

/* An entry's flags and domid, which change together. */
union head {
	u32 word;
	struct {
		u16 flags;
		domid_t domid;
	};
};

/* Once a second: who does it on purpose does it as often as a mapper tries, and the log is for others, too. */
static void report_race(void)
{
	static u64 next; /* ns */
	u64 now = arch_time_ns(), at = __atomic_load_n(&next, __ATOMIC_RELAXED);

	if (now >= at && __atomic_compare_exchange_n(&next, &at, now + RACE_REPORT_NS, false,
						     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		pr_debug("a grant entry changes all the time while it is being mapped\n");
}

/*
 * t->lock held. Sets GTF_reading and, unless readonly, GTF_writing in the guest's entry if it
 * permits the use.
 */
static inline s16 mark_entry(grant_entry_v1_t *e, domid_t to, bool readonly)
{
	union head old, new;

	old.word = READ_ONCE(*(u32 *)e);
	for (unsigned int i = 0; i < MAX_RACES; i++) {
		if ((old.flags & GTF_type_mask) != GTF_permit_access || old.domid != to)
			return GNTST_bad_gntref;
		if (old.flags & GTF_readonly && !readonly)
			return GNTST_permission_denied;
		new = old;
		new.flags |= readonly ? GTF_reading : GTF_reading | GTF_writing;
		if (__atomic_compare_exchange_n((u32 *)e, &old.word, new.word, false,
						__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return GNTST_okay;
	}
	report_race();
	return GNTST_general_error;
}

/* t->lock held */
static void unmark_entry(grant_entry_v1_t *e, u16 flags)
{
	__atomic_fetch_and(&((union head *)e)->word, ~(u32)flags, __ATOMIC_SEQ_CST);
}

/* t->lock held; ref is within the table. */
static s16 pin_first(struct domain *rd, grant_entry_v1_t *e, struct grant_pin *p, domid_t to,
		     bool readonly)
{
	unsigned int access = 0;
	s16 status = mark_entry(e, to, readonly);

	if (status != GNTST_okay)
		return status;
	/* After the mark: an honest granter no longer changes the frame. */
	p->gfn = READ_ONCE(e->frame);
	p->page = p2m_get_page(rd, p->gfn, &access);
	if (p->page && (readonly || access & P2M_W)) {
		p->domid = to;
		p->writable = access & P2M_W;
		return GNTST_okay;
	}
	if (p->page)
		page_put(p->page);
	p->page = NULL;
	unmark_entry(e, GTF_reading | GTF_writing);
	return GNTST_bad_page;
}

s16 grant_pin(struct domain *rd, domid_t to, u32 ref, bool readonly, struct page **page)
{
	struct grant_table *t = rd->grant;
	s16 status = GNTST_okay;
	grant_entry_v1_t *e;
	struct grant_pin *p;

	spin_lock(&t->lock);
	if (rd->dying || ref >= t->nr_frames * GRANTS_PER_FRAME) {
		spin_unlock(&t->lock);
		return rd->dying ? GNTST_bad_domain : GNTST_bad_gntref;
	}
	e = &t->shared[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	p = &t->pins[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	if (!p->readers && !p->writers)
		status = pin_first(rd, e, p, to, readonly);
	else if (p->domid != to)
		status = GNTST_bad_gntref;
	else if (!readonly && !p->writable)
		status = GNTST_bad_page;
	else if (p->readers + p->writers >= ~0U >> 1)
		status = GNTST_no_space;
	else
		status = mark_entry(e, to, readonly);
	if (status == GNTST_okay) {
		if (readonly)
			p->readers++;
		else
			p->writers++;
		*page = p->page;
	}
	spin_unlock(&t->lock);
	return status;
}

void grant_unpin(struct domain *rd, u32 ref, bool readonly)
{
	struct grant_table *t = rd->grant;
	struct page *page = NULL;
	grant_entry_v1_t *e;
	struct grant_pin *p;

	spin_lock(&t->lock);
	e = &t->shared[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	p = &t->pins[ref / GRANTS_PER_FRAME][ref % GRANTS_PER_FRAME];
	if (readonly)
		p->readers--;
	else
		p->writers--;
	if (!p->writers)
		unmark_entry(e, p->readers ? GTF_writing : GTF_reading | GTF_writing);
	if (!p->readers && !p->writers) {
		page = p->page;
		p->page = NULL;
	}
	spin_unlock(&t->lock);
	if (page)
		page_put(page);
}

/* ---- maptrack: the handles of mappings ---- */

static struct maptrack *track(struct grant_table *t, u32 handle)
{
	return &t->tracks[handle / TRACKS_PER_CHUNK][handle % TRACKS_PER_CHUNK];
}

/* track_lock held */
static int track_grow(struct grant_table *t)
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

/*
 * The granter's reference goes to the entry. NO_TRACK: none free. track_live() or track_cancel()
 * follows.
 */
static u32 track_alloc(struct grant_table *t, const struct maptrack *m)
{
	u32 handle = NO_TRACK;

	spin_lock(&t->track_lock);
	if (t->free_track != NO_TRACK || !track_grow(t)) {
		handle = t->free_track;
		t->free_track = track(t, handle)->ref;
		*track(t, handle) = *m;
	}
	spin_unlock(&t->track_lock);
	return handle;
}

/* No lock: until it is live nobody else looks at the rest of the entry. */
static void track_live(struct grant_table *t, u32 handle)
{
	__atomic_store_n(&track(t, handle)->live, true, __ATOMIC_RELEASE);
}

/* track_lock held */
static void track_free(struct grant_table *t, u32 handle)
{
	struct maptrack *e = track(t, handle);

	e->granter = NULL;
	e->live = false;
	e->ref = t->free_track;
	t->free_track = handle;
}

static void track_cancel(struct grant_table *t, u32 handle)
{
	spin_lock(&t->track_lock);
	track_free(t, handle);
	spin_unlock(&t->track_lock);
}

/* Takes the entry out, so that one of two unmaps of a handle wins. gfn ~0: whatever it is. */
static bool track_take(struct grant_table *t, u32 handle, gfn_t gfn, struct maptrack *m)
{
	struct maptrack *e;
	bool ok;

	spin_lock(&t->track_lock);
	ok = handle < t->nr_tracks;
	if (ok) {
		e = track(t, handle);
		ok = __atomic_load_n(&e->live, __ATOMIC_ACQUIRE) &&
		     (gfn == INVALID_GFN || e->gfn == gfn);
	}
	if (ok) {
		*m = *e;
		track_free(t, handle);
	}
	spin_unlock(&t->track_lock);
	return ok;
}

/* ---- map and unmap ---- */

static s16 map_one(struct gnttab_map_grant_ref *op)
{
	struct domain *d = current_domain(), *rd;
	bool readonly = op->flags & GNTMAP_readonly;
	struct maptrack m;
	struct page *pg;
	s16 status;
	int rc;

	if (!(op->flags & GNTMAP_host_map) ||
	    op->flags & (GNTMAP_application_map | GNTMAP_contains_pte))
		return GNTST_general_error;
	if (op->host_addr & ~PAGE_MASK)
		return GNTST_bad_virt_addr;
	rd = domain_get(op->dom);
	if (!rd || !xsm_may_talk(d, rd)) {
		if (rd)
			domain_put(rd);
		return GNTST_bad_domain;
	}
	status = grant_pin(rd, d->id, op->ref, readonly, &pg);
	if (status != GNTST_okay)
		goto put;
	m = (struct maptrack){ rd, op->ref, readonly, false, op->host_addr >> PAGE_SHIFT };
	op->handle = track_alloc(d->grant, &m);
	if (op->handle == NO_TRACK) {
		status = GNTST_no_space;
		goto unpin;
	}
	rc = p2m_map(d, m.gfn, page_to_mfn(pg), 0, P2M_GRANT, readonly ? P2M_R : P2M_RW);
	if (!rc) {
		op->dev_bus_addr = page_to_mfn(pg) << PAGE_SHIFT;
		/*
		 * Only now may another vCPU unmap it: sooner, it would drop the pin under the
		 * mapping to come.
		 */
		track_live(d->grant, op->handle);
		return GNTST_okay; /* the entry keeps rd */
	}
	status = rc == -ENOMEM ? GNTST_no_space : GNTST_bad_virt_addr;
	track_cancel(d->grant, op->handle);
unpin:
	grant_unpin(rd, op->ref, readonly);
put:
	domain_put(rd);
	return status;
}

static void release(struct domain *d, const struct maptrack *m)
{
	/* It is there: nobody else changes what grants have mapped, and the handle is ours. */
	p2m_unmap(d, m->gfn, BIT(P2M_GRANT), NULL);
	grant_unpin(m->granter, m->ref, m->readonly);
	domain_put(m->granter);
}

static void map_fn(void *arg)
{
	struct gnttab_map_grant_ref *op = arg;

	op->status = map_one(op);
	if (op->status != GNTST_okay)
		op->handle = NO_TRACK;
}

static void unmap_fn(void *arg)
{
	struct gnttab_unmap_grant_ref *op = arg;
	struct domain *d = current_domain();
	struct maptrack m;

	if (op->host_addr & ~PAGE_MASK) {
		op->status = GNTST_bad_virt_addr;
	} else if (!track_take(d->grant, op->handle, op->host_addr >> PAGE_SHIFT, &m)) {
		op->status = GNTST_bad_handle;
	} else {
		release(d, &m);
		op->status = GNTST_okay;
	}
}

long grant_op_map(u64 cmd, u64 arg, u64 count)
{
	return grant_for_each(cmd, arg, count, sizeof(struct gnttab_map_grant_ref),
			      offsetof(struct gnttab_map_grant_ref, status), map_fn);
}

long grant_op_unmap(u64 cmd, u64 arg, u64 count)
{
	return grant_for_each(cmd, arg, count, sizeof(struct gnttab_unmap_grant_ref),
			      offsetof(struct gnttab_unmap_grant_ref, status), unmap_fn);
}

/* ---- death ---- */

/* Nobody maps for the domain any more, so no handle is in use: their memory, from the end. */
static int free_tracks(struct grant_table *t)
{
	for (unsigned int n = 0; n < RELEASE_BATCH; n++) {
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

/* t->lock held, its domain is dying. No entry of the frame is in use, and none will be: grant_pin() refuses. */
static bool frame_is_idle(struct grant_table *t, unsigned int frame)
{
	for (unsigned int i = 0; i < GRANTS_PER_FRAME; i++) {
		if (t->pins[frame][i].readers || t->pins[frame][i].writers)
			return false;
	}
	return true;
}

/* The frames of the table that others do not use. The rest goes with the last of them, who holds the domain. */
static int free_frames(struct grant_table *t)
{
	for (unsigned int n = 0; n < FRAMES_BATCH; n++) {
		unsigned int frame = t->free_next++;
		struct grant_pin *pins = NULL;
		struct page *pg = NULL;

		spin_lock(&t->lock);
		if (frame >= t->nr_frames) {
			spin_unlock(&t->lock);
			return 0;
		}
		if (frame_is_idle(t, frame)) {
			pins = t->pins[frame];
			pg = virt_to_page(t->shared[frame]);
			t->pins[frame] = NULL;
			t->shared[frame] = NULL;
		}
		spin_unlock(&t->lock);
		xfree(pins);
		if (pg)
			page_put(pg);
	}
	return -ERESTART;
}

int grant_release_mappings(struct domain *d)
{
	struct grant_table *t = d->grant;
	struct maptrack m;

	for (unsigned int n = 0; t->release_next < t->nr_tracks; n++) {
		if (n == RELEASE_BATCH)
			return -ERESTART;
		if (track_take(t, t->release_next++, INVALID_GFN, &m))
			release(d, &m);
	}
	return free_tracks(t) ?: free_frames(t);
}

int grant_count_maps(struct domain *d)
{
	struct grant_table *t = d->grant;
	int n = 0;

	if (!spin_trylock(&t->track_lock))
		return -1;
	for (u32 handle = 0; handle < t->nr_tracks; handle++)
		n += track(t, handle)->live;
	spin_unlock(&t->track_lock);
	return n;
}

/* t->lock held. The first entry in use from *ref on, in that frame; *ref is then the next one to look at. */
static bool used_entry(struct grant_table *t, u32 *ref, struct grant_pin *pin)
{
	const struct grant_pin *pins = t->pins[*ref / GRANTS_PER_FRAME];

	do {
		u32 i = (*ref)++ % GRANTS_PER_FRAME;

		if (pins && (pins[i].readers || pins[i].writers)) { /* NULL: free_frames() */
			*pin = pins[i];
			return true;
		}
	} while (*ref % GRANTS_PER_FRAME);
	return false;
}

void grant_dump(struct domain *d, unsigned int *lines)
{
	struct grant_table *t = d->grant;
	u32 ref = 0;
	bool more;

	printk("d%u: %u of %u grant frames, %u map handles\n", d->id, READ_ONCE(t->nr_frames),
	       t->max_frames, READ_ONCE(t->nr_tracks));
	do {
		struct grant_pin pin = { 0 };
		bool used = false;

		/* Let go of for each line: whoever maps what the domain grants would wait for the UART. */
		if (!spin_try_a_while(&t->lock)) {
			printk("d%u: grant table is busy\n", d->id);
			return;
		}
		more = ref < t->nr_frames * GRANTS_PER_FRAME;
		if (more && *lines)
			used = used_entry(t, &ref, &pin);
		spin_unlock(&t->lock);
		if (more && !*lines) {
			printk("d%u: entries from ref %u on are not shown\n", d->id, ref);
			return;
		}
		if (!used)
			continue;
		printk("  ref %u: gfn %lx, d%u, %u readers, %u writers\n", ref - 1, pin.gfn,
		       pin.domid, pin.readers, pin.writers);
		(*lines)--;
	} while (more);
}
