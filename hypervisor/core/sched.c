/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: who runs on which hart. Each takes, of all that wait, the vCPU that has had least for its weight, so
 * none idles while one waits. Queues, locks, and why nobody waits in vain, are in sched_internal.h.
 *
 * No wake is lost. Who waits sets its pause flag, then looks whether what it waits for is there, and kicks its hart if it is not;
 * who brings that writes it first, then clears the flag, and calls vcpu_wake(): both with sequentially consistent atomics, so one
 * of the two sees the other. vcpu_wake() finds the vCPU, under its hart's lock, in the queue (nothing to do), nowhere (it is put
 * there), or on that hart: then the hart, when it has switched away from it, ends that in one hold of the same lock, in which
 * it looks at the flags once more and queues it. tests/unit/core/test_sched_model.c goes through it, tests/unit/explore through what comes between.
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

static void slice_end(void *unused)
{
	struct sched_hart *s = &sched_harts[arch_hart()];

	(void)unused;
	if (arch_time_ns() >= s->slice_until)
		arch_kick_hart(arch_hart());
	else if (s->slice_until != ~0ULL)
		timer_set(&s->slice, s->slice_until);
}

void sched_init_hart(unsigned int hart, struct vcpu *idle)
{
	struct sched_hart *s = &sched_harts[hart];

	timer_init(&s->slice, slice_end, NULL);
	list_init(&s->queue);
	s->bit = BIT(hart);
	s->idle = s->curr = idle;
	idle->hart = hart;
	idle->running = true;
	idle->runstate = RUNSTATE_running;
	idle->runstate_entry = arch_time_ns();
	view_write(s);
	mark(&sched_idle, s, true);
	/* Several come at once, but no domain runs yet: one lock, and one that is there, is enough. */
	spin_lock(&sched_harts[0].lock);
	sched_online |= BIT(hart);
	cpupool_add_hart(hart);
	spin_unlock(&sched_harts[0].lock);
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

/* ---- which harts look at the queues ---- */

/* What harts do that have nothing better to do than to look at the queues. */
struct free_harts {
	u64 idle; /* mask */
	u64 alone; /* mask: their vCPU has no slice that will end */
};

/* Behind a full fence: see sched_internal.h. */
static __force_inline struct free_harts free_harts(void)
{
	u64 idle = READ_ONCE(sched_idle);

	return (struct free_harts){ idle, sched_online & ~(idle | READ_ONCE(sched_sliced)) };
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

/* The same for all that wait in that hart's queue. Its lock held. */
static u64 harts_for_queue(const struct sched_hart *s, struct free_harts *f)
{
	struct vcpu *v;
	u64 harts = 0;

	list_for_each(v, &s->queue, run_list) {
		if (!(f->idle | f->alone))
			break;
		harts |= harts_for(v, f);
	}
	return harts;
}

/*
 * The same for all that wait. Not for the first only: that one may be pinned, and the hart that idles, or whose vCPU is
 * alone, be free for another one. Behind a full fence; no lock.
 */
static __noinline u64 offer_waiting(struct free_harts f)
{
	unsigned int h;
	u64 kick = 0;

	for_each_hart(h, READ_ONCE(sched_waiting)) {
		struct sched_hart *s = &sched_harts[h];

		if (!(READ_ONCE(s->wanted) & (f.idle | f.alone)))
			continue;
		spin_lock(&s->lock);
		kick |= harts_for_queue(s, &f);
		spin_unlock(&s->lock);
	}
	return kick;
}

static __force_inline u64 offer(void)
{
	struct free_harts f;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!READ_ONCE(sched_waiting))
		return 0;
	f = free_harts();
	return f.idle | f.alone ? offer_waiting(f) : 0;
}

/*
 * So much less v must have had than one that runs to take its hart. The heavier of the two counts: a heavy one does not wait for
 * a light one's millisecond, nor two heavy ones for what would be many milliseconds of theirs.
 */
static u64 gran(unsigned int weight, const struct vcpu *v)
{
	return weighted(WAKE_GRAN_NS, max(max(weight, weight_of(v)), SCHED_WEIGHT_DEFAULT));
}

/*
 * The hart (mask) whose vCPU has had most, if v, which has just come, has had so much less that it need not wait for a slice's
 * end. Of harts that v would rather be on first.
 */
static u64 hart_ahead(const struct vcpu *v, u64 now)
{
	u64 most = 0, ahead = 0;
	bool liked = false;
	unsigned int h;

	for_each_hart(h, may_use(v) & ~READ_ONCE(sched_idle)) {
		struct sched_view w = view_read(&sched_harts[h]);
		u64 had = view_had(&w, now);

		if (!w.pool || had <= v->vruntime + gran(w.weight, v) || (liked && !likes(v, h)))
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
	unsigned int h;

	for_each_hart(h, harts)
		arch_kick_hart(h);
}

/*
 * What one that comes has to have had. After a short sleep no more than if it had run meanwhile: a light one that had a hart to
 * itself for a millisecond has come a quarter of a second further, which nobody forgoes who slept for that millisecond.
 */
static u64 sleeper_floor(const struct vcpu *v, u64 now)
{
	u64 credit = weighted(SLEEPER_CREDIT_NS, weight_of(v));
	u64 min_vruntime = READ_ONCE(v->domain->pool->min_vruntime);
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
 * Until when the hart's vCPU runs on if nothing happens. Where nobody waits that may take its hart it needs no slices; who comes to a
 * queue kicks it. This hart only; with its lock or not.
 */
static __force_inline void set_slice(struct sched_hart *s, u64 now)
{
	const struct vcpu *curr = s->curr;
	bool sliced = !is_idle(curr) && queue_waits_for(s);
	u64 end = ~0ULL, limit;

	if (sliced) {
		limit = limit_end(curr);
		end = now + SLICE_NS;
		if (limit > now)
			end = min(end, limit);
	}
	if (curr->domain->share.cap)
		end = min(end, share_end(curr->domain, now));
	s->slice_until = end;
	/* One that is set for an earlier time stays: it costs less to look at the clock then than to set it at each switch. */
	if (end == ~0ULL && is_idle(curr))
		timer_stop(&s->slice);
	else if (end != ~0ULL && (!s->slice.armed || s->slice.expires > end))
		timer_set(&s->slice, end);
	mark(&sched_sliced, s, sliced);
}

/* One that has come has slept. The pool's least is not beyond what it was and what this hart's vCPU has had: mostly that is enough. */
static __force_inline void raise_sleeper(const struct sched_hart *here, struct vcpu *v, u64 now)
{
	struct cpupool *p = v->domain->pool;
	struct sched_view w = view_own(here);
	u64 most = max(view_had(&w, now), READ_ONCE(p->min_vruntime));

	if (w.pool == p && v->vruntime + weighted(SLEEPER_CREDIT_NS, weight_of(v)) >= most)
		return;
	queue_update_min(p, now);
	v->vruntime = max(v->vruntime, sleeper_floor(v, now));
}

/* It may run from now on, and is neither on a hart nor in the queue. Its hart's lock held. Returns the harts (mask) to kick. */
static u64 come(struct sched_hart *s, struct vcpu *v, u64 now)
{
	struct sched_hart *here = &sched_harts[arch_hart()];
	u64 idle, ahead = 0, kick;
	struct free_harts f;

	raise_sleeper(here, v, now);
	v->yielded = 0;
	queue_add(s, v);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	f = free_harts();
	idle = f.idle;
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
	struct sched_hart *s = sched_lock_vcpu(v);
	u64 kick = 0;

	if (!v->on_queue && !v->running && !is_idle(v)) {
		bool runs = runnable(v); /* as it is now: it may be paused in the next moment */
		u64 now = arch_time_ns();

		runstate_set(v, runs ? RUNSTATE_runnable : off_state(v), now);
		if (runs)
			kick = come(s, v, now);
	}
	spin_unlock(&s->lock);
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
	struct sched_hart *s = sched_lock_vcpu(v);
	bool kick = false;

	if (!runnable(v)) {
		if (v->on_queue)
			queue_del(s, v);
		if (v->running)
			kick = true;
		else
			runstate_set(v, off_state(v), arch_time_ns());
	}
	spin_unlock(&s->lock);
	if (kick)
		arch_kick_hart(number_of(s));
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
	struct sched_hart *s = sched_lock_vcpu(v);
	bool waits = v->on_queue;
	u64 kick = 0;

	*mask = harts;
	if (v->running && (!allowed(v, v->hart) || !likes(v, v->hart)))
		kick = BIT(v->hart); /* Not waited for: two could wait for each other. */
	if (waits)
		queue_refresh(s);
	spin_unlock(&s->lock);
	if (waits)
		kick = offer();
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
	struct sched_hart *s = sched_lock_vcpu(v);

	*harts = v->pinned;
	*preferred = v->preferred;
	spin_unlock(&s->lock);
}

void sched_stop_domain(struct domain *d, const struct vcpu *leaves)
{
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i) {
		if (v != leaves)
			vcpu_sleep_nosync(v);
	}
}

void sched_go_on_domain(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i)
		vcpu_wake(v);
}

void sched_vcpu_destroy(struct vcpu *v)
{
	struct sched_hart *s = sched_lock_vcpu(v);

	if (v->on_queue)
		queue_del(s, v);
	spin_unlock(&s->lock);
	vcpu_runstate_unregister(v);
}

u64 sched_harts_changed(void)
{
	struct free_harts f = free_harts();
	unsigned int h;
	u64 kick = 0;

	for_each_hart(h, sched_online) {
		struct sched_hart *s = &sched_harts[h];
		const struct vcpu *v = s->curr;

		queue_refresh(s);
		kick |= harts_for_queue(s, &f);
		if (!is_idle(v) && (!allowed(v, h) || !likes(v, h)))
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

	queue_update_min(from, now);
	queue_update_min(to, now);
	WRITE_ONCE(d->pool, to);
	domain_for_each_vcpu(d, v, i) {
		u64 most = weighted(MOST_AHEAD_NS, weight_of(v)), ahead = 0;
		struct sched_hart *s = &sched_harts[v->hart];

		if (v->running)
			sched_charge(v, now);
		if (v->vruntime > from->min_vruntime)
			ahead = min(v->vruntime - from->min_vruntime, most);
		v->vruntime = to->min_vruntime + ahead;
		if (v->on_queue) {
			queue_del(s, v);
			queue_add(s, v);
		}
		if (v->running)
			view_write(s);
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

void sched_charge(struct vcpu *v, u64 now)
{
	if (is_idle(v))
		return;
	if (now > v->slice_start)
		v->vruntime += weighted(now - v->slice_start, weight_of(v));
	v->slice_start = now;
}

/*
 * Whoever waits for this hart goes first, once. The time that the vCPU has had stays what it is, so that one that yields is
 * neither charged for what it gives away nor ahead of others for it: it only stands behind all that wait now, by a slice at
 * most (one of its own), until it runs again. What it lies further back than a sleeper may is forgone: it has not wanted that
 * time. One whose pool has lost the hart, or that has gone to another, leaves it anyway, and those who wait for it are strangers.
 */
void vcpu_yield(void)
{
	struct vcpu *v = arch_current();
	unsigned int hart = arch_hart();
	struct sched_hart *s = &sched_harts[hart];
	u64 had, last, credit;

	/* Nobody to make room for: a guest that yields until something happens should not keep the lock busy. */
	if (!queue_waits_for(s))
		return;
	spin_lock(&s->lock);
	if (!allowed(v, hart) || !queue_next(s, v->domain->pool, &had, &last)) {
		spin_unlock(&s->lock);
		return;
	}
	sched_charge(v, arch_time_ns());
	credit = weighted(SLEEPER_CREDIT_NS, weight_of(v));
	if (had > credit)
		v->vruntime = max(v->vruntime, had - credit);
	v->yielded = last < v->vruntime ?
			     1 :
			     min(last + 1 - v->vruntime, weighted(SLICE_NS, weight_of(v)));
	if (machine.nr_harts > 1)
		view_write(s);
	spin_unlock(&s->lock);
	arch_kick_hart(hart);
}

/* ---- the switch ---- */

/* A hart that it likes better than this one has nothing to do: it goes there. */
static __force_inline bool better_elsewhere(const struct vcpu *v, unsigned int hart)
{
	return !likes(v, hart) && READ_ONCE(sched_idle) & v->preferred & may_use(v);
}

/* What a hart may do without any other. */
struct choice {
	bool stay; /* go on with prev */
	struct vcpu *next; /* the first in its own queue, NULL: none */
};

/* runs: prev may run on. If that has changed since, this hart has been kicked for it. */
static __force_inline struct choice own_choice(const struct sched_hart *s, unsigned int hart,
					       const struct vcpu *prev, bool runs)
{
	bool stay = runs && allowed(prev, hart);

	return (struct choice){ stay && !better_elsewhere(prev, hart), queue_first_for(s, hart) };
}

/* The hart's lock is held, and may be let go of on the way. */
static void lock_second(struct sched_hart *s, struct sched_hart *other)
{
	if (other > s) {
		spin_lock(&other->lock);
	} else if (!spin_trylock(&other->lock)) {
		spin_unlock(&s->lock);
		spin_lock(&other->lock);
		spin_lock(&s->lock);
	}
}

/*
 * The queue of another hart in which somebody waits that should go first here, NULL: there is none. Its lock is held then.
 * Mostly the first that is looked into; more than one only where its first may not run here, or would rather be elsewhere.
 */
static __noinline struct sched_hart *lock_better(struct sched_hart *s, const struct vcpu *prev,
						 bool runs, u64 now, struct choice *c)
{
	unsigned int hart = number_of(s);
	u64 below = c->next ? place_on(c->next, hart) : ~0ULL, others = ~BIT(hart);
	struct sched_hart *other = NULL, *best = NULL, *better;

	if (c->stay && !prev->yielded)
		below = now < limit_end(prev) ? 0 : min(below, prev->vruntime);
	while ((better = queue_better(hart, others, below))) {
		const struct vcpu *v;

		others &= ~BIT(number_of(better));
		if (other)
			spin_unlock(&other->lock);
		other = better;
		lock_second(s, other);
		v = queue_first_for(other, hart);
		if (v && place_on(v, hart) < below) {
			below = place_on(v, hart);
			best = other;
		}
	}
	if (!other)
		return NULL;
	if (best != other) {
		spin_unlock(&other->lock);
		if (best)
			lock_second(s, best);
	}
	*c = own_choice(s, hart, prev, runs); /* as it is now */
	return best;
}

/* The one that runs next on this hart; it is on no queue afterwards, and belongs to this hart. */
static __force_inline struct vcpu *pick(struct sched_hart *s, unsigned int hart, struct vcpu *prev,
					bool runs, u64 now)
{
	struct choice c = own_choice(s, hart, prev, runs);
	struct sched_hart *from = s, *other = NULL;
	struct vcpu *theirs = NULL;

	/* Who comes to another queue in this moment is looked for again, by offer(). */
	if (READ_ONCE(sched_waiting) & ~s->bit)
		other = lock_better(s, prev, runs, now, &c);
	if (unlikely(other))
		theirs = queue_first_for(other, hart);
	if (theirs && (!c.next || place_on(theirs, hart) < place_on(c.next, hart))) {
		c.next = theirs;
		from = other;
	}
	if (c.stay &&
	    (!c.next ||
	     (!prev->yielded && (prev->vruntime <= place(c.next) + gran(weight_of(prev), c.next) ||
				 now < limit_end(prev))))) {
		c.next = prev;
	} else if (c.next) {
		queue_del(from, c.next);
		c.next->hart = hart; /* whoever looks for its lock finds this one's from here on */
	} else {
		c.next = s->idle;
	}
	if (other)
		spin_unlock(&other->lock);
	if (is_idle(c.next))
		return c.next;
	c.next->yielded = 0;
	if (READ_ONCE(sched_waiting))
		c.next->vruntime = queue_least_beside(hart, c.next->vruntime);
	return c.next;
}

/* The hart is its own from here on, though its state is not there yet. */
static __force_inline void take_hart(struct sched_hart *s, struct vcpu *next, u64 now)
{
	s->curr = next;
	runstate_set(next, RUNSTATE_running, now);
	next->slice_start = now;
	next->running = true;
	if (next->domain->share.cap)
		share_run(next->domain, 1, now);
}

/* No lock: whoever wants this hart's need not wait for the engine. */
static __force_inline void switch_state(struct vcpu *prev, struct vcpu *next)
{
	/* Whoever makes something pending for it, or unmaps from it, looks at running afterwards. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	arch_context_switch(prev, next);
}

/* Its state is in its struct now, which it was not while it was "running" still: no other hart could take it. */
static __force_inline void leave_hart(struct sched_hart *s, struct vcpu *prev, u64 now)
{
	/* Looked at once: whoever wakes it from here on finds it off its hart. */
	bool waits = !is_idle(prev) && runnable(prev);

	if (prev->domain->share.cap)
		share_run(prev->domain, -1, now);
	if (waits)
		queue_add(s, prev);
	runstate_set(prev, waits || is_idle(prev) ? RUNSTATE_runnable : off_state(prev), now);
	/* It may be freed when the lock is. */
	__atomic_store_n(&prev->running, false, __ATOMIC_RELEASE);
}

/* A hart has nothing to do: one (mask) whose vCPU would rather be there than where it is. No lock. */
static u64 hart_better_here(unsigned int hart)
{
	u64 better = 0;
	unsigned int h;

	for_each_hart(h, READ_ONCE(sched_unhappy)) {
		struct sched_hart *s = &sched_harts[h];
		const struct vcpu *v;

		spin_lock(&s->lock);
		v = s->curr;
		if (!is_idle(v) && !likes(v, h) && likes(v, hart) && allowed(v, hart))
			better = BIT(h);
		spin_unlock(&s->lock);
		if (better)
			break;
	}
	return better;
}

/* If it goes, nobody may be left who knows how far its pool has come. Else once a slice is enough. */
static __force_inline bool min_is_due(const struct sched_hart *s, const struct vcpu *prev,
				      bool runs)
{
	return !is_idle(prev) &&
	       ((!runs && !s->wanted) ||
		prev->vruntime > READ_ONCE(prev->domain->pool->min_vruntime) + SLICE_NS);
}

void schedule(void)
{
	unsigned int hart = arch_hart();
	struct sched_hart *s = &sched_harts[hart];
	struct vcpu *prev = s->curr, *next;
	bool from_idle = is_idle(prev), alone = machine.nr_harts == 1, runs;
	u64 now, kick, better = 0;

	if (prev->domain->share.cap)
		share_account(prev->domain, prev);
	spin_lock(&s->lock);
	now = arch_time_ns();
	sched_charge(prev, now);
	runs = !from_idle && runnable(prev);
	if (min_is_due(s, prev, runs))
		queue_update_min(prev->domain->pool, now);
	next = pick(s, hart, prev, runs, now);
	if (next != prev) {
		take_hart(s, next, now);
		if (!from_idle) {
			if (!alone)
				spin_unlock(&s->lock);
			switch_state(prev, next);
			if (!alone)
				spin_lock(&s->lock);
		}
		leave_hart(s, prev, now);
	}
	/* Else what is seen there is right still. */
	if (!alone &&
	    (next != prev || (!is_idle(next) && next->vruntime != view_had(&s->view, now))))
		view_write(s);
	set_slice(s, now);
	mark(&sched_idle, s, is_idle(next));
	if (!is_idle(next) && !likes(next, hart))
		better = next->preferred & may_use(next);
	mark(&sched_unhappy, s, better);
	spin_unlock(&s->lock);
	if (from_idle && next != prev) /* an idle vCPU has no state that anybody could want */
		switch_state(prev, next);
	/*
	 * Those who still wait may be some that other harts can take: prev, or one that woke together with
	 * next and whose waker kicked this hart for both. It may even be this one: prev may have been
	 * woken between pick() and the end of its switch, when it was still "running".
	 */
	kick = offer();
	if (is_idle(next) && !kick)
		kick = hart_better_here(hart);
	/* It may have begun to idle since pick(), and seen no vCPU here that would rather be there. */
	better &= READ_ONCE(sched_idle);
	kick |= better & -better;
	if (next->domain->share.cap)
		share_account(next->domain, NULL);
	sched_kick_harts(kick);
}

/* One hart after the other, as each is at that moment. */
void sched_dump(void)
{
	unsigned int h;

	for_each_hart(h, sched_online) {
		struct sched_hart *s = &sched_harts[h];
		const struct vcpu *v;

		spin_lock(&s->lock);
		v = s->curr;
		if (is_idle(v))
			printk("hart %u: idle\n", h);
		else
			printk("hart %u: d%uv%u\n", h, v->domain->id, v->id);
		list_for_each(v, &s->queue, run_list)
			printk("waiting: d%uv%u vruntime %lu\n", v->domain->id, v->id, v->vruntime);
		spin_unlock(&s->lock);
	}
}
