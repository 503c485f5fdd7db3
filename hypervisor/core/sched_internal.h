/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the scheduler's files share: its lock, runstates (runstate.c), weights and caps (sched_share.c).
 */
#ifndef PAVISE_SCHED_INTERNAL_H
#define PAVISE_SCHED_INTERNAL_H

#include <cpupool.h>
#include <lock.h>
#include <sched.h>

#define SLICE_NS (CONFIG_SCHED_TIMESLICE_MS * 1000000ULL)

extern struct spinlock sched_lock; /* sched.c */

/* All of what follows with sched_lock held, unless it says otherwise. */

/* ---- sched.c ---- */

/* Stops what is left of a domain whose cap has been reached: off the queue. Returns the harts (mask) to kick. */
u64 sched_stop_domain(struct domain *d);
/* The opposite: those of its vCPUs that may run wait for a hart again. Returns the harts (mask) to kick. */
u64 sched_go_on_domain(struct domain *d, u64 now);
/* Charges the vCPU, which is on a hart, for its time up to now. */
void sched_charge(struct vcpu *v, u64 now);
void sched_kick_harts(u64 harts); /* without the lock */
/*
 * A pool has got or lost a hart, or a domain another pool. Returns the harts (mask) to kick: those that somebody has to leave, and those
 * that are free for one who waits.
 */
u64 sched_harts_changed(void);
/* The domain is of that pool from here on; sched_harts_changed() is for the caller. */
void sched_move_domain(struct domain *d, struct cpupool *to, u64 now);

/* ---- cpupool.c ---- */

void cpupool_add_hart(unsigned int hart); /* at boot, to pool 0 */

/* ---- runstate.c ---- */

void runstate_write(struct vcpu *v); /* to the registered area, which is there */

static __force_inline void runstate_set(struct vcpu *v, int state, u64 now)
{
	if (v->runstate == state)
		return;
	v->runstate_time[v->runstate] += now - v->runstate_entry;
	v->runstate_entry = now;
	v->runstate = state;
	if (v->runstate_page)
		runstate_write(v);
}

/* ---- sched_share.c ---- */

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

/* Takes ns, that one of its vCPUs ran, from what a domain with a cap has left. */
static inline void share_take(struct sched_share *s, u64 ns)
{
	s->left -= ns * 100;
}

/*
 * Brings what a domain with a cap has left up to now; if that is nothing, its vCPUs stop until there is something again.
 * Returns the harts (mask) to kick.
 */
u64 share_account(struct domain *d, u64 now);
/* When a domain with a cap, just accounted, will have nothing left if those run on that run now. ~0ULL: never. */
u64 share_end(const struct domain *d, u64 now);

#endif
