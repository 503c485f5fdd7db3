/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant tables, version 1: the tables themselves. Pins on grants in use are grant_pin.h's.
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
#define TRACKS_PER_FRAME 256 /* what a frame of the limit stands for */
#define FRAMES_BATCH 8
#define RACE_REPORT_NS 1000000000ULL

/* ---- tables ---- */

int grant_table_init(struct domain *d, s32 max_frames, s32 max_maptrack_frames)
{
	struct grant_table *t = xzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	d->grant = t;
	spin_lock_init(&t->lock, LOCK_GRANT);
	t->max_frames = max_frames < 0 ? DEFAULT_FRAMES : min(max_frames, LIMIT_FRAMES);
	if (!t->max_frames)
		t->max_frames = 1;
	t->max_tracks = (max_maptrack_frames < 0 ? DEFAULT_TRACK_FRAMES :
						   min(max_maptrack_frames, LIMIT_TRACK_FRAMES)) *
			TRACKS_PER_FRAME;
	t->shared = xzalloc(t->max_frames * sizeof(t->shared[0]));
	t->pins = xzalloc(t->max_frames * sizeof(t->pins[0]));
	if (!t->shared || !t->pins || grant_tracks_init(t))
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
	grant_tracks_free(t);
	xfree(t->shared);
	xfree(t->pins);
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

unsigned int grant_table_frames(struct domain *d)
{
	return READ_ONCE(d->grant->nr_frames);
}

unsigned int grant_table_index(struct domain *d, const struct page *pg)
{
	struct grant_table *t = d->grant;
	unsigned int i = 0;

	spin_lock(&t->lock);
	while (i < t->nr_frames && !(t->shared[i] && virt_to_page(t->shared[i]) == pg))
		i++;
	spin_unlock(&t->lock);
	return i;
}

/* Once a second: who does it on purpose does it as often as a mapper tries, and the log is for others, too. */
__noinline s16 grant_race(void)
{
	static u64 next; /* ns */
	u64 now = arch_time_ns(), at = __atomic_load_n(&next, __ATOMIC_RELAXED);

	if (now >= at && __atomic_compare_exchange_n(&next, &at, now + RACE_REPORT_NS, false,
						     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		pr_debug("a grant entry changes all the time while it is being mapped\n");
	return GNTST_general_error;
}

/* ---- death ---- */

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
	return grant_release_tracks(d) ?: free_frames(d->grant);
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
