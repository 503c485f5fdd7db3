/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: one queue of runnable vCPUs ordered by virtual run time, shared by all harts.
 * Every hart takes the vCPU that has had least for its weight, so none idles while one waits.
 *
 * No wake is lost. Who waits sets its pause flag, then looks whether what it waits for is there, and kicks its hart if it is not;
 * who brings that writes it first, then clears the flag, and calls vcpu_wake(): both with sequentially consistent atomics, so one
 * of the two sees the other. vcpu_wake() finds the vCPU, under the lock, in the queue (nothing to do), nowhere (it is put
 * there), or on a hart: then that hart, whose switch away from it is one hold of the lock, looks at the flags once more in it,
 * and queues it.
 * No hart idles, or is left to one vCPU for ever, while another may run there: whether it idles, or has a slice that ends,
 * changes in schedule() only (and by set_slice() to the latter), under the lock. Who puts a vCPU into the queue kicks a
 * hart that idles for it, or each that has no slice; and whoever leaves schedule() does so for all that wait still, so a hart that
 * was kicked for one and took another passes that on. tests/unit/core/test_sched_model.c goes through it.
 */
#include <arch-api.h>
#include <console.h>
#include <cpupool.h>
#include <event.h>
#include <lib.h>
#include <sched.h>
#include <sched_internal.h>

/*
 * These are real time of the vCPU that they are for: its weight makes virtual time of them.
 * A woken vCPU runs at once if it has had this much less than the running one.
 */
#define WAKE_GRAN_NS 1000000ULL
/*
 * How far behind the others a long sleeper may start, so that sleep is not saved up as a right to a
 * hart.
 */
#define SLEEPER_CREDIT_NS (SLICE_NS / 2)
/*
 * How far ahead of one that runs may be who waits for that hart. Where all may run everywhere nobody comes near it; pins and
 * weights that change let run times drift apart by hours, and whoever has had more would wait as long.
 */
#define MOST_AHEAD_NS (4 * SLICE_NS)
/* No vCPU may be ahead by less. */
#define LEAST_AHEAD_NS (MOST_AHEAD_NS * SCHED_WEIGHT_DEFAULT / SCHED_WEIGHT_MAX)

struct sched_hart {
	struct vcpu *curr, *idle;
	struct timer slice;
	bool sliced; /* the timer is armed: curr's turn ends */
};

struct spinlock sched_lock = SPINLOCK_INIT(LOCK_SCHED);
static struct list_head queue = LIST_HEAD_INIT(queue);
static struct sched_hart sched_harts[CONFIG_NR_CPUS];
static u64 harts_online; /* mask */
static unsigned int harts_end; /* none beyond */

static bool is_idle(const struct vcpu *v)
{
	return v->domain->is_idle;
}

/* Nothing but, perhaps, its domain's cap keeps it from running. */
static __force_inline bool wants_hart(const struct vcpu *v)
{
	const struct domain *d = v->domain;

	return !READ_ONCE(v->pause_flags) && !READ_ONCE(v->pause_count) &&
	       !READ_ONCE(d->pause_count) && !READ_ONCE(d->is_shut_down) && !READ_ONCE(d->dying);
}

static __force_inline bool runnable(const struct vcpu *v)
{
	return wants_hart(v) && !READ_ONCE(v->domain->share.spent);
}

/* The harts (mask) that it may run on: of its domain's pool those that it is pinned to, or, where that is none, all. */
static __force_inline u64 may_use(const struct vcpu *v)
{
	u64 pool = v->domain->pool->harts, pinned = v->pinned & pool;

	return pinned ? pinned : pool;
}

static __force_inline bool allowed(const struct vcpu *v, unsigned int hart)
{
	return may_use(v) & BIT(hart);
}

/* Where it may use none of those that it prefers it prefers none. */
static bool likes(const struct vcpu *v, unsigned int hart)
{
	u64 preferred = v->preferred & may_use(v);

	return !preferred || preferred & BIT(hart);
}

static void slice_end(void *unused)
{
	(void)unused;
	arch_kick_hart(arch_hart());
}

void sched_init_hart(unsigned int hart, struct vcpu *idle)
{
	struct sched_hart *s = &sched_harts[hart];

	timer_init(&s->slice, slice_end, NULL);
	spin_lock(&sched_lock);
	s->idle = s->curr = idle;
	idle->hart = hart;
	idle->running = true;
	idle->runstate = RUNSTATE_running;
	idle->runstate_entry = arch_time_ns();
	harts_online |= BIT(hart);
	cpupool_add_hart(hart);
	harts_end = max(harts_end, hart + 1);
	spin_unlock(&sched_lock);
}

void sched_vcpu_init(struct vcpu *v)
{
	list_init(&v->run_list);
	v->runstate = RUNSTATE_offline;
	v->runstate_entry = arch_time_ns();
}

/* Of one that is on no hart and cannot run: it waits for something, or others keep it from running. */
static int off_state(const struct vcpu *v)
{
	u64 flags = READ_ONCE(v->pause_flags);

	if (wants_hart(v)) /* and the cap has been reached */
		return RUNSTATE_runnable;
	return flags && !(flags & BIT(VPF_DOWN)) ? RUNSTATE_blocked : RUNSTATE_offline;
}

u64 sched_idle_time(unsigned int hart)
{
	return hart < CONFIG_NR_CPUS && sched_harts[hart].idle ?
		       vcpu_cpu_time(sched_harts[hart].idle) :
		       0;
}

/* ---- queue (sched_lock held) ---- */

/* The queue's order. */
static u64 place(const struct vcpu *v)
{
	return v->vruntime + v->yielded;
}

static void enqueue(struct vcpu *v)
{
	struct vcpu *pos;

	list_for_each(pos, &queue, run_list) {
		if (place(pos) > place(v))
			break;
	}
	list_add_tail(&v->run_list, &pos->run_list);
	v->on_queue = true;
}

static void dequeue(struct vcpu *v)
{
	list_del(&v->run_list);
	v->on_queue = false;
}

/*
 * Who goes first on this hart: of those that may run there the first, or, if that one would rather be elsewhere, one who
 * would not and stands less than a slice behind it.
 */
static __force_inline struct vcpu *first_for(unsigned int hart)
{
	struct vcpu *v, *first = NULL;

	list_for_each(v, &queue, run_list) {
		if (first && place(v) > place(first) + SLICE_NS)
			break;
		if (!allowed(v, hart))
			continue;
		if (likes(v, hart))
			return v;
		if (!first)
			first = v;
	}
	return first;
}

/* One is about to run on the hart that has had so much: what it has to have had beside those that wait for it. */
static u64 least_beside(unsigned int hart, u64 had)
{
	struct list_head *pos;

	for (pos = queue.prev; pos != &queue; pos = pos->prev) {
		struct vcpu *v = list_entry(pos, struct vcpu, run_list);
		u64 most;

		if (place(v) <= had + LEAST_AHEAD_NS)
			break;
		if (!allowed(v, hart))
			continue;
		most = weighted(MOST_AHEAD_NS, weight_of(v));
		if (v->vruntime > had + most)
			had = v->vruntime - most;
	}
	return had;
}

/*
 * What a hart's vCPU has had by now. It is charged only when its hart schedules, which one that is
 * alone there may not do for hours.
 */
static u64 vruntime_now(const struct sched_hart *s, u64 now)
{
	const struct vcpu *curr = s->curr;

	if (now <= curr->slice_start)
		return curr->vruntime;
	return curr->vruntime + weighted(now - curr->slice_start, weight_of(curr));
}

/* Whether anybody waits that may run on this hart. */
static bool waits_for(unsigned int hart)
{
	struct vcpu *v;

	list_for_each(v, &queue, run_list) {
		if (allowed(v, hart))
			return true;
	}
	return false;
}

/* Brings the pool's min_vruntime up to the least of those that run or wait. */
static __force_inline void update_min_vruntime(struct cpupool *p, u64 now)
{
	u64 least = ~0ULL;
	struct vcpu *v;

	for (unsigned int h = 0; h < harts_end; h++) {
		const struct sched_hart *s = &sched_harts[h];

		if (harts_online & BIT(h) && !is_idle(s->curr) && s->curr->domain->pool == p)
			least = min(least, vruntime_now(s, now));
	}
	list_for_each(v, &queue, run_list) {
		if (v->domain->pool == p) {
			least = min(least, place(v));
			break;
		}
	}
	if (least != ~0ULL)
		p->min_vruntime = max(p->min_vruntime, least);
}

/* What harts do that have nothing better to do than to look at the queue. */
struct free_harts {
	u64 idle; /* mask */
	u64 alone; /* mask: their vCPU has no slice that will end */
};

static struct free_harts free_harts(void)
{
	struct free_harts f = { 0, 0 };

	for (unsigned int h = 0; h < harts_end; h++) {
		const struct sched_hart *s = &sched_harts[h];

		if (!(harts_online & BIT(h)))
			continue;
		if (is_idle(s->curr))
			f.idle |= BIT(h);
		else if (!s->sliced)
			f.alone |= BIT(h);
	}
	return f;
}

/*
 * The harts (mask) that should look at the queue because v waits there, taken out of f: an idle one, one that it likes and the
 * last one first. Else each one whose vCPU was alone so far, that it gets a slice from now on.
 */
static u64 harts_for(const struct vcpu *v, struct free_harts *f)
{
	u64 may = may_use(v), harts = f->idle & may;

	if (harts) {
		if (v->preferred & harts)
			harts &= v->preferred;
		harts = harts & BIT(v->hart) ? BIT(v->hart) : harts & -harts;
		f->idle &= ~harts;
	} else {
		harts = f->alone & may;
		f->alone &= ~harts;
	}
	return harts;
}

/*
 * The same for all that wait. Not for the first only: that one may be pinned, and the hart that idles, or whose vCPU is
 * alone, be free for another one.
 */
static u64 harts_for_all(void)
{
	struct free_harts f = free_harts();
	struct vcpu *v;
	u64 harts = 0;

	list_for_each(v, &queue, run_list) {
		if (!(f.idle | f.alone))
			break;
		harts |= harts_for(v, &f);
	}
	return harts;
}

/*
 * So much less v must have had than one that runs to take its hart. The heavier of the two counts: a heavy one does not wait for
 * a light one's millisecond, nor two heavy ones for what would be many milliseconds of theirs.
 */
static u64 gran(const struct vcpu *curr, const struct vcpu *v)
{
	return weighted(WAKE_GRAN_NS,
			max(max(weight_of(curr), weight_of(v)), SCHED_WEIGHT_DEFAULT));
}

/*
 * The hart (mask) whose vCPU has had most, if v, which has just come, has had so much less that it need not wait for a slice's
 * end. Of harts that v would rather be on first.
 */
static u64 hart_ahead(const struct vcpu *v, u64 now)
{
	u64 most = 0, ahead = 0;
	bool liked = false;

	for (unsigned int h = 0; h < harts_end; h++) {
		const struct sched_hart *s = &sched_harts[h];
		u64 had;

		if (!(harts_online & BIT(h)) || !allowed(v, h))
			continue;
		had = vruntime_now(s, now);
		if (had <= v->vruntime + gran(s->curr, v) || (liked && !likes(v, h)))
			continue;
		if (had > most || (!liked && likes(v, h))) {
			most = had;
			ahead = BIT(h);
			liked = likes(v, h);
		}
	}
	return ahead;
}

void sched_kick_harts(u64 harts)
{
	for (unsigned int h = 0; harts; h++, harts >>= 1) {
		if (harts & 1)
			arch_kick_hart(h);
	}
}

/*
 * What one that comes has to have had. After a short sleep no more than if it had run meanwhile: a light one that had a hart to
 * itself for a millisecond has come a quarter of a second further, which nobody forgoes who slept for that millisecond.
 */
static u64 sleeper_floor(const struct vcpu *v, u64 now)
{
	u64 credit = weighted(SLEEPER_CREDIT_NS, weight_of(v));
	u64 min_vruntime = v->domain->pool->min_vruntime;
	u64 floor = min_vruntime > credit ? min_vruntime - credit : 0;
	u64 slept = now > v->slice_start ? now - v->slice_start : 0;

	if (slept < MOST_AHEAD_NS)
		floor = min(floor, v->vruntime + weighted(slept, weight_of(v)));
	return floor;
}

/* Until when this hart's vCPU, which may run on, is left there whoever else waits. */
static u64 limit_end(const struct vcpu *curr)
{
	return curr->runstate_entry + curr->domain->pool->ratelimit_ns;
}

/*
 * Until when the hart's vCPU runs on if nothing happens. Where nobody waits that may take its hart it needs no slices; who comes to the
 * queue kicks it.
 */
static __force_inline void set_slice(struct sched_hart *s, u64 now)
{
	const struct vcpu *curr = s->curr;
	u64 end = ~0ULL, limit;

	s->sliced = !is_idle(curr) && waits_for(s - sched_harts);
	if (s->sliced) {
		limit = limit_end(curr);
		end = now + SLICE_NS;
		if (limit > now)
			end = min(end, limit);
	}
	if (curr->domain->share.cap)
		end = min(end, share_end(curr->domain, now));
	if (end != ~0ULL)
		timer_set(&s->slice, end);
	else
		timer_stop(&s->slice);
}

/* It may run from now on, and is neither on a hart nor in the queue. Returns the harts (mask) to kick. */
static u64 come(struct vcpu *v, u64 now)
{
	struct free_harts f = free_harts();
	struct sched_hart *here = &sched_harts[arch_hart()];
	u64 idle = f.idle, ahead = 0, kick;

	update_min_vruntime(v->domain->pool, now);
	v->vruntime = max(v->vruntime, sleeper_floor(v, now));
	v->yielded = 0;
	enqueue(v);
	kick = harts_for(v, &f);
	if (!(kick & idle))
		ahead = hart_ahead(v, now);
	/* If this hart's own vCPU only gets a slice for that, it gets it at once: nobody is interrupted. */
	if (kick & ~(idle | ahead) & BIT(arch_hart()) && !here->curr->domain->share.cap) {
		set_slice(here, now);
		kick &= ~BIT(arch_hart());
	}
	return kick | ahead;
}

void vcpu_wake(struct vcpu *v)
{
	u64 kick = 0;

	spin_lock(&sched_lock);
	if (!v->on_queue && !v->running && !is_idle(v)) {
		bool runs = runnable(v); /* as it is now: it may be paused in the next moment */
		u64 now = arch_time_ns();

		runstate_set(v, runs ? RUNSTATE_runnable : off_state(v), now);
		if (runs)
			kick = come(v, now);
	}
	spin_unlock(&sched_lock);
	sched_kick_harts(kick);
}

void vcpu_unblock(struct vcpu *v)
{
	u64 flags = BIT(VPF_BLOCKED) | BIT(VPF_POLL);

	if (!(READ_ONCE(v->pause_flags) & flags))
		return;
	flags &= __atomic_fetch_and(&v->pause_flags, ~flags, __ATOMIC_SEQ_CST);
	/* Else it would end a later block too early. */
	if (flags & BIT(VPF_POLL))
		timer_stop(&v->poll_timer);
	vcpu_wake(v);
}

void vcpu_sleep_nosync(struct vcpu *v)
{
	unsigned int hart = ~0U;

	spin_lock(&sched_lock);
	if (!runnable(v)) {
		if (v->on_queue)
			dequeue(v);
		if (v->running)
			hart = v->hart;
		else
			runstate_set(v, off_state(v), arch_time_ns());
	}
	spin_unlock(&sched_lock);
	if (hart != ~0U)
		arch_kick_hart(hart);
}

void vcpu_sleep_sync(struct vcpu *v)
{
	vcpu_sleep_nosync(v);
	while (!runnable(v) && __atomic_load_n(&v->running, __ATOMIC_ACQUIRE))
		arch_relax();
}

/* One of its two masks. */
static void set_affinity(struct vcpu *v, u64 *mask, u64 harts)
{
	u64 kick = 0;

	spin_lock(&sched_lock);
	*mask = harts;
	if (v->running && (!allowed(v, v->hart) || !likes(v, v->hart)))
		kick = BIT(v->hart); /* Not waited for: two could wait for each other. */
	else if (v->on_queue)
		kick = harts_for_all();
	spin_unlock(&sched_lock);
	sched_kick_harts(kick);
}

void vcpu_pin(struct vcpu *v, u64 harts)
{
	set_affinity(v, &v->pinned, harts);
}

void vcpu_prefer(struct vcpu *v, u64 harts)
{
	set_affinity(v, &v->preferred, harts);
}

void vcpu_affinity(struct vcpu *v, u64 *harts, u64 *preferred)
{
	spin_lock(&sched_lock);
	*harts = v->pinned;
	*preferred = v->preferred;
	spin_unlock(&sched_lock);
}

u64 sched_stop_domain(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;
	u64 kick = 0;

	domain_for_each_vcpu(d, v, i) {
		if (v->running)
			kick |= BIT(v->hart);
		if (v->on_queue)
			dequeue(v);
	}
	return kick;
}

u64 sched_go_on_domain(struct domain *d, u64 now)
{
	struct vcpu *v;
	unsigned int i;
	u64 kick = 0;

	domain_for_each_vcpu(d, v, i) {
		if (v->on_queue || v->running || !runnable(v))
			continue;
		runstate_set(v, RUNSTATE_runnable, now);
		kick |= come(v, now);
	}
	return kick;
}

void sched_vcpu_destroy(struct vcpu *v)
{
	spin_lock(&sched_lock);
	if (v->on_queue)
		dequeue(v);
	spin_unlock(&sched_lock);
	vcpu_runstate_register(v, NULL, NULL, 0);
}

u64 sched_harts_changed(void)
{
	u64 kick = harts_for_all();

	for (unsigned int h = 0; h < harts_end; h++) {
		const struct vcpu *v = sched_harts[h].curr;

		if (harts_online & BIT(h) && !is_idle(v) && (!allowed(v, h) || !likes(v, h)))
			kick |= BIT(h);
	}
	return kick;
}

/* Run times are of a pool: what they had more there than others they have had more here, within what anybody may be ahead. */
void sched_move_domain(struct domain *d, struct cpupool *to, u64 now)
{
	struct cpupool *from = d->pool;
	struct vcpu *v;
	unsigned int i;

	update_min_vruntime(from, now);
	update_min_vruntime(to, now);
	WRITE_ONCE(d->pool, to);
	domain_for_each_vcpu(d, v, i) {
		u64 most = weighted(MOST_AHEAD_NS, weight_of(v)), ahead = 0;

		if (v->running)
			sched_charge(v, now);
		if (v->vruntime > from->min_vruntime)
			ahead = min(v->vruntime - from->min_vruntime, most);
		v->vruntime = to->min_vruntime + ahead;
		if (v->on_queue) {
			dequeue(v);
			enqueue(v);
		}
	}
}

/* ---- what guests ask for ---- */

bool vcpu_may_wait(struct vcpu *v)
{
	u64 deadline;

	/* After the flag: whoever makes something pending from here on sees it and unblocks us. */
	if (vcpu_event_pending(v) || arch_vcpu_has_interrupt(v))
		return false;
	/* One left over from an earlier wait would only wake us too early. */
	deadline = arch_vcpu_timer_deadline(v);
	if (deadline != ~0ULL)
		timer_set(&v->block_timer, deadline);
	else
		timer_stop(&v->block_timer);
	return true;
}

void vcpu_block(void)
{
	struct vcpu *v = arch_current();

	set_bit(VPF_BLOCKED, &v->pause_flags);
	if (vcpu_may_wait(v))
		arch_kick_hart(arch_hart());
	else
		clear_bit(VPF_BLOCKED, &v->pause_flags);
}

static __force_inline void charge(struct vcpu *v, u64 now)
{
	struct sched_share *s = &v->domain->share;
	u64 ns = now > v->slice_start ? now - v->slice_start : 0;

	if (is_idle(v))
		return;
	v->vruntime += weighted(ns, s->weight);
	v->slice_start = now;
	if (s->cap)
		share_take(s, ns);
}

void sched_charge(struct vcpu *v, u64 now)
{
	charge(v, now);
}

/* The last one of the pool that waits, which one does. */
static struct vcpu *last_of(const struct cpupool *p)
{
	struct list_head *pos = queue.prev;

	while (list_entry(pos, struct vcpu, run_list)->domain->pool != p)
		pos = pos->prev;
	return list_entry(pos, struct vcpu, run_list);
}

/*
 * Whoever waits for this hart goes first, once. The time that the vCPU has had stays what it is, so that one that yields is
 * neither charged for what it gives away nor ahead of others for it: it only stands behind all that wait now, by a slice at
 * most (one of its own), until it runs again. What it lies further back than a sleeper may is forgone: it has not wanted that
 * time. One whose pool has lost the hart, or that has gone to another, leaves it anyway, and those who wait for it are strangers.
 */
void vcpu_yield(void)
{
	struct vcpu *v = arch_current(), *next;
	u64 last, credit;

	/* Nobody to make room for: a guest that yields until something happens should not keep the lock busy. */
	if (list_empty(&queue))
		return;
	spin_lock(&sched_lock);
	next = allowed(v, arch_hart()) ? first_for(arch_hart()) : NULL;
	if (next) {
		charge(v, arch_time_ns());
		credit = weighted(SLEEPER_CREDIT_NS, weight_of(v));
		if (next->vruntime > credit)
			v->vruntime = max(v->vruntime, next->vruntime - credit);
		last = place(last_of(v->domain->pool));
		v->yielded = last < v->vruntime ?
				     1 :
				     min(last + 1 - v->vruntime, weighted(SLICE_NS, weight_of(v)));
	}
	spin_unlock(&sched_lock);
	if (next)
		arch_kick_hart(arch_hart());
}

/* ---- the switch ---- */

/* A hart that it likes better than this one has nothing to do: it goes there. */
static bool better_elsewhere(const struct vcpu *v, unsigned int hart)
{
	return !likes(v, hart) && free_harts().idle & v->preferred & may_use(v);
}

/* The one that runs next on this hart; it is on no queue afterwards. */
static struct vcpu *pick(struct sched_hart *s, unsigned int hart, struct vcpu *prev, u64 now)
{
	struct vcpu *next = first_for(hart);
	bool stay = !is_idle(prev) && runnable(prev) && allowed(prev, hart);

	if (stay && ((next && prev->yielded) || better_elsewhere(prev, hart)))
		stay = false;
	if (stay &&
	    (!next || prev->vruntime <= place(next) + gran(prev, next) || now < limit_end(prev)))
		next = prev;
	else if (next)
		dequeue(next);
	else
		return s->idle;
	next->yielded = 0;
	if (!list_empty(&queue))
		next->vruntime = least_beside(hart, next->vruntime);
	return next;
}

/* A hart has nothing to do: one (mask) whose vCPU would rather be there than where it is. */
static u64 hart_better_here(unsigned int hart)
{
	for (unsigned int h = 0; h < harts_end; h++) {
		const struct vcpu *v = sched_harts[h].curr;

		if (harts_online & BIT(h) && !is_idle(v) && !likes(v, h) && likes(v, hart) &&
		    allowed(v, hart))
			return BIT(h);
	}
	return 0;
}

void schedule(void)
{
	unsigned int hart = arch_hart();
	struct sched_hart *s = &sched_harts[hart];
	struct vcpu *prev = s->curr, *next;
	u64 now, kick = 0;
	bool waits;

	spin_lock(&sched_lock);
	now = arch_time_ns();
	charge(prev, now);
	if (prev->domain->share.cap)
		kick = share_account(prev->domain, now) & ~BIT(hart); /* prev leaves it anyway */
	if (!is_idle(prev))
		update_min_vruntime(prev->domain->pool, now);
	next = pick(s, hart, prev, now);
	if (next != prev) {
		s->curr = next;
		runstate_set(next, RUNSTATE_running, now);
		next->slice_start = now;
		next->hart = hart;
		next->running = true;
		/* Whoever makes something pending for it, or unmaps from it, looks at running afterwards. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		arch_context_switch(prev, next);
		/* Its state is in its struct now; before, no other hart may take it. */
		__atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
		/* Looked at once: whoever wakes it from here on finds it off its hart. */
		waits = !is_idle(prev) && runnable(prev);
		if (waits)
			enqueue(prev);
		runstate_set(prev, waits || is_idle(prev) ? RUNSTATE_runnable : off_state(prev),
			     now);
	}
	if (next != prev && next->domain->share.cap)
		kick |= share_account(next->domain, now);
	set_slice(s, now);
	/*
	 * Those who still wait may be some that other harts can take: prev, or one that woke together with
	 * next and whose waker kicked this hart for both. It may even be this one: prev may have been
	 * woken between pick() and the end of its switch, when it was still "running".
	 */
	if (!list_empty(&queue))
		kick |= harts_for_all();
	else if (is_idle(next))
		kick |= hart_better_here(hart);
	spin_unlock(&sched_lock);
	sched_kick_harts(kick);
}

void sched_dump(void)
{
	struct vcpu *v;

	spin_lock(&sched_lock);
	for (unsigned int h = 0; h < harts_end; h++) {
		if (!(harts_online & BIT(h)))
			continue;
		v = sched_harts[h].curr;
		if (is_idle(v))
			printk("hart %u: idle\n", h);
		else
			printk("hart %u: d%uv%u\n", h, v->domain->id, v->id);
	}
	list_for_each(v, &queue, run_list)
		printk("waiting: d%uv%u vruntime %lu\n", v->domain->id, v->id, v->vruntime);
	spin_unlock(&sched_lock);
}
