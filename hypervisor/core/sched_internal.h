/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the scheduler's files share: the harts' queues (queue.c), who takes what from them (sched.c), runstates (runstate.c),
 * weights and caps (sched_share.c), pools (cpupool.c).
 *
 * Each hart has a queue and a lock. A vCPU belongs to the hart that it runs on or last ran on (v->hart), waits in that one's queue,
 * and all that sched.c keeps of it (domain.h) is under that hart's lock: sched_lock_vcpu() takes it. v->hart changes only when
 * another hart takes the vCPU from the queue, with both locks held. All queues are one order: virtual run times are comparable
 * within a pool wherever a vCPU waits, and a hart that schedules takes from the queue whose first has had least, its own or
 * another's. So shares are the pool's, not a hart's, and nothing has to be balanced.
 *
 * Locks: a hart's lock; a second one only of a hart with a higher number, or tried; all of them in the order of numbers
 * (sched_lock_all()). What all harts look at for each vCPU - pools and who is in them, weights, caps - changes only with
 * all held, so whoever has one lock may rely on it. Inside a hart's lock: sched_share.lock, timers.
 *
 * What a hart shows without its lock: first, first_had, last, wanted and furthest of its queue; a view of who runs there; and
 * its bits in sched_waiting, sched_idle, sched_sliced, sched_unhappy. The numbers are hints of where it is worth to take a lock. The masks,
 * with wanted, are what no wake-up is lost by:
 * - Whoever puts a vCPU into a queue, or lets one that is there run on more harts, has written wanted and sched_waiting; then
 *   a full fence; then it looks at sched_idle and sched_sliced and kicks a hart that may take it, or each that it may have a turn on.
 * - A hart that is about to idle, or to leave its vCPU without a slice, has said so there; then a full fence; then, without
 *   a lock, it looks whether anybody waits that may run there (offer(), for all harts that are free, itself among them).
 * One of the two sees the other. A hart that was kicked for one vCPU and takes another, or none, passes the kick on in the same
 * offer(). wanted is exact: of each waiting vCPU every hart that it may use, and no other, so a hart that idles for good
 * beside pinned ones is not kicked for ever.
 */
#ifndef PAVISE_SCHED_INTERNAL_H
#define PAVISE_SCHED_INTERNAL_H

#include <cpupool.h>
#include <lib.h>
#include <lock.h>
#include <sched.h>

#define SLICE_NS (CONFIG_SCHED_TIMESLICE_MS * 1000000ULL)
/*
 * How far ahead of one that runs may be who waits for that hart. Where all may run everywhere nobody comes near it; pins and
 * weights that change let run times drift apart by hours, and whoever has had more would wait as long.
 */
#define MOST_AHEAD_NS (4 * SLICE_NS)

/* Who is on a hart, as others see it: written under the hart's lock. */
struct sched_view {
	const struct cpupool *pool; /* NULL: it idles */
	u64 had, since; /* its vruntime when it was last charged, and when that was */
	unsigned int weight;
};

struct sched_hart {
	struct spinlock lock;
	u32 view_seq; /* odd: view is being written */
	u64 bit; /* its own, in masks */
	struct list_head queue; /* of vCPUs, in the order of place() */
	u64 first, first_had,
		last; /* place() and vruntime of the first, place() of the last; first ~0: none waits */
	u64 wanted; /* mask: the harts that those who wait may run on */
	u64 furthest; /* whoever runs beside those that wait must have had this, or less: see queue_least_beside() */
	struct sched_view view;
	struct vcpu *curr, *idle;
	struct timer slice; /* only the hart itself; it may fire too early, and is armed anew then */
	u64 slice_until; /* when it should */
} __aligned(64);

extern struct sched_hart sched_harts[CONFIG_NR_CPUS];
/* Masks of harts. */
extern u64 sched_online; /* with all locks held */
extern u64 sched_waiting; /* those in whose queues somebody waits */
extern u64 sched_idle; /* each hart sets and clears its own bits in these: it idles, */
extern u64 sched_sliced; /* its vCPU has a slice that will end, */
extern u64 sched_unhappy; /* its vCPU would rather be elsewhere */

/* A shift for each: the base ISA counts no bits. */
#define for_each_hart(h, mask) \
	for (u64 _left = ((h) = 0, (mask)); _left; (h)++, _left >>= 1) \
		if (_left & 1)

static inline unsigned int number_of(const struct sched_hart *s)
{
	return s - sched_harts;
}

/* The hart's bit in one of those masks; nothing is written that is so already. */
static __force_inline void mark(u64 *mask, const struct sched_hart *s, bool on)
{
	if (on == !!(READ_ONCE(*mask) & s->bit))
		return;
	if (on)
		__atomic_fetch_or(mask, s->bit, __ATOMIC_SEQ_CST);
	else
		__atomic_fetch_and(mask, ~s->bit, __ATOMIC_SEQ_CST);
}

/* ---- locks ---- */

/* The lock of the hart that the vCPU belongs to. */
struct sched_hart *sched_lock_vcpu(const struct vcpu *v);
void sched_lock_all(void);
void sched_unlock_all(void);

/* ---- what a vCPU may ---- */

static inline bool is_idle(const struct vcpu *v)
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

	return unlikely(pinned) ? pinned : pool;
}

static __force_inline bool allowed(const struct vcpu *v, unsigned int hart)
{
	return may_use(v) & BIT(hart);
}

/* Where it may use none of those that it prefers it prefers none. */
static __force_inline bool likes(const struct vcpu *v, unsigned int hart)
{
	u64 preferred = v->preferred;

	if (likely(!preferred))
		return true;
	preferred &= may_use(v);
	return !preferred || preferred & BIT(hart);
}

/* Real time to virtual: so much vruntime are ns for one of this weight. At least 1 for 1, so that nothing is free. */
static inline u64 weighted(u64 ns, unsigned int weight)
{
	if (likely(weight == SCHED_WEIGHT_DEFAULT))
		return ns;
	return DIV_ROUND_UP(ns * SCHED_WEIGHT_DEFAULT, weight);
}

static inline unsigned int weight_of(const struct vcpu *v)
{
	return v->domain->share.weight;
}

/* ---- queue.c: the hart's lock held, unless it says otherwise ---- */

/* The order. */
static inline u64 place(const struct vcpu *v)
{
	return v->vruntime + v->yielded;
}

/* The same for one hart: who would rather be elsewhere stands a slice further back. */
static inline u64 place_on(const struct vcpu *v, unsigned int hart)
{
	return place(v) + (likes(v, hart) ? 0 : SLICE_NS);
}

/* How much one that runs must have had at least while v waits for its hart. */
static inline u64 least_beside(const struct vcpu *v)
{
	u64 most = weighted(MOST_AHEAD_NS, weight_of(v));

	return v->vruntime > most ? v->vruntime - most : 0;
}

/* Shows both ends; wanted goes before. */
static __force_inline void queue_show(struct sched_hart *s)
{
	const struct vcpu *first = list_first(&s->queue, struct vcpu, run_list);
	const struct vcpu *last = list_entry(s->queue.prev, struct vcpu, run_list);
	bool empty = list_empty(&s->queue);

	s->first_had = empty ? 0 : first->vruntime;
	s->last = empty ? 0 : place(last);
	s->first = empty ? ~0ULL : place(first);
	mark(&sched_waiting, s, !empty);
}

static __force_inline void queue_add(struct sched_hart *s, struct vcpu *v)
{
	u64 at = place(v);
	struct vcpu *pos;

	list_for_each(pos, &s->queue, run_list) {
		if (place(pos) > at)
			break;
	}
	list_add_tail(&v->run_list, &pos->run_list);
	v->on_queue = true;
	WRITE_ONCE(s->wanted, s->wanted | may_use(v));
	s->furthest = max(s->furthest, least_beside(v));
	queue_show(s);
}

/* What those who wait there may has changed. */
void queue_refresh(struct sched_hart *s);

static __force_inline void queue_del(struct sched_hart *s, struct vcpu *v)
{
	list_del(&v->run_list);
	v->on_queue = false;
	if (!list_empty(&s->queue)) {
		queue_refresh(s);
		return;
	}
	WRITE_ONCE(s->wanted, 0);
	s->furthest = s->first_had = s->last = 0;
	s->first = ~0ULL;
	mark(&sched_waiting, s, false);
}

struct vcpu *queue_search(const struct sched_hart *s, unsigned int hart);

/* Of those who wait there and may run on that hart the first by place_on(); NULL: none may. */
static __force_inline struct vcpu *queue_first_for(const struct sched_hart *s, unsigned int hart)
{
	struct vcpu *v = list_first(&s->queue, struct vcpu, run_list);

	if (list_empty(&s->queue))
		return NULL;
	return allowed(v, hart) && likes(v, hart) ? v : queue_search(s, hart);
}

/*
 * No lock: of these other harts (mask) the one in whose queue the first has had least, of those in which somebody waits for
 * this one, if that is less than below. NULL: there is none.
 */
struct sched_hart *queue_better(unsigned int hart, u64 others, u64 below);
/* No lock: whether anybody waits in a queue of others that may run on this hart. */
bool queue_others_wait_for(const struct sched_hart *s);
/* No lock: whether anybody waits that may. */
static __force_inline bool queue_waits_for(const struct sched_hart *s)
{
	return READ_ONCE(s->wanted) & s->bit ||
	       (READ_ONCE(sched_waiting) & ~s->bit && queue_others_wait_for(s));
}
/*
 * No lock: the same; then *had is what the first of them has had, or the one before it in its queue, *last the place of the last one
 * that waits in the pool.
 */
bool queue_next(const struct sched_hart *own, const struct cpupool *p, u64 *had, u64 *last);
/*
 * One is about to run on the hart that has had so much: what it has to have had beside those that wait for it. The hart's own lock
 * held; others' queues that are busy are passed over until the next time.
 */
u64 queue_least_beside(unsigned int hart, u64 had);
/* Brings the pool's min_vruntime up to the least of those that run or wait. Any hart's lock held. */
void queue_update_min(struct cpupool *p, u64 now);

/* Shows who is on the hart, as view_own() sees it, to other harts. */
void view_write(struct sched_hart *s);
/* Of another hart. No lock. */
struct sched_view view_read_other(const struct sched_hart *s);

/* That of this hart, which nobody else changes while any lock is held; or the lock of that hart is held. */
static __force_inline struct sched_view view_own(const struct sched_hart *s)
{
	const struct vcpu *v = s->curr;

	return (struct sched_view){ v->domain->pool, v->vruntime, v->slice_start, weight_of(v) };
}

/* Any hart's lock held. */
static __force_inline struct sched_view view_read(const struct sched_hart *s)
{
	return s == &sched_harts[arch_hart()] ? view_own(s) : view_read_other(s);
}

/* What the one seen has had by now: it is charged only when its hart schedules, which one that is alone may not do for hours. */
static inline u64 view_had(const struct sched_view *w, u64 now)
{
	return now > w->since ? w->had + weighted(now - w->since, w->weight) : w->had;
}

/* ---- sched.c ---- */

/* Stops what is left of a domain whose cap has been reached, but for one vCPU (NULL: none), which leaves its hart anyway. No lock. */
void sched_stop_domain(struct domain *d, const struct vcpu *leaves);
/* The opposite: those of its vCPUs that may run wait for a hart again. No lock. */
void sched_go_on_domain(struct domain *d);
/* Charges the vCPU, which is on a hart, for its time up to now. Its hart's lock held. */
void sched_charge(struct vcpu *v, u64 now);
void sched_kick_harts(u64 harts); /* no lock */
/*
 * A pool has got or lost a hart, or a domain another pool. Returns the harts (mask) to kick: those that somebody has to leave, and those
 * that are free for one who waits. All locks held.
 */
u64 sched_harts_changed(void);
/* The domain is of that pool from here on; sched_harts_changed() is for the caller. All locks held. */
void sched_move_domain(struct domain *d, struct cpupool *to, u64 now);

/* ---- cpupool.c ---- */

void cpupool_add_hart(unsigned int hart); /* at boot, to pool 0. All locks held */

/* ---- runstate.c: the vCPU's hart's lock held ---- */

void runstate_write(struct vcpu *v); /* to the registered area, which is there */

/* now may be a little earlier than the last change: the hart that takes a vCPU has looked at its clock before another one queued it. */
static __force_inline void runstate_set(struct vcpu *v, int state, u64 now)
{
	if (v->runstate == state)
		return;
	now = max(now, v->runstate_entry);
	v->runstate_time[v->runstate] += now - v->runstate_entry;
	v->runstate_entry = now;
	v->runstate = state;
	if (v->runstate_page)
		runstate_write(v);
}

/* ---- sched_share.c: of domains with a cap ---- */

/* One of its vCPUs comes to a hart (1) or leaves one (-1), whose lock is held. */
void share_run(struct domain *d, int n, u64 now);
/*
 * Brings what it has left up to now; if that is nothing, its vCPUs stop until there is something again, but for the one that leaves its hart
 * anyway (or NULL). One of its vCPUs is on this hart. No lock.
 */
void share_account(struct domain *d, const struct vcpu *leaves);
/* When it will have nothing left if those run on that run now. ~0ULL: never. */
u64 share_end(struct domain *d, u64 now);

#endif
