/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ticket spinlocks and the order in which they are taken.
 * The hypervisor runs with interrupts off from guest exit to guest entry, so no lock needs more.
 */
#ifndef PAVISE_LOCK_H
#define PAVISE_LOCK_H

#include <arch-api.h>
#include <types.h>

/*
 * What a lock is, and the order in which locks are taken: outermost first, never two of one rank but
 * for LOCK_EVENT and LOCK_SCHED. A build with CONFIG_LOCK_CHECK ends the machine when a hart does not keep to it.
 */
enum lock_rank {
	LOCK_NO_RANK, /* a lock that nobody initialised */
	LOCK_KILL, /* domain.kill_lock: whoever ends the domain; only ever tried */
	LOCK_DOMAIN, /* domain.lock: vCPUs made, started and stopped by others, watchdogs, the controller's pauses */
	LOCK_GRANT, /* grant_table.lock, the granter's (copy takes two in turn) */
	LOCK_EVENT, /* domain.evtchn_lock; of two domains, the one at the lower address first */
	LOCK_FIFO, /* evtchn_fifo.lock: the queues of a domain with the FIFO ABI */
	LOCK_TRACK, /* grant_table.track_lock: the mapper's handles */
	LOCK_PAGES, /* domain.page_lock: page list and counts; lent and foreign mappings */
	LOCK_P2M, /* in the engine: one domain's second-stage tables */
	LOCK_IMAGE, /* who uses which image, and on which it stands */
	LOCK_SMALL, /* small objects */
	LOCK_HEAP,
	LOCK_DOMAIN_LIST, /* hash and list of domains */
	LOCK_SCHED, /* one for each hart; of two, the one of the lower number first */
	LOCK_SHARE, /* sched_share.lock: a domain's cap */
	LOCK_TIMER, /* one for each hart */
	LOCK_PIRQ,
	LOCK_PLIC,
	LOCK_CLOCK, /* wall clock */
	LOCK_INPUT, /* characters for dom0 */
	LOCK_GUEST_CONSOLE, /* a guest's line and what it may print */
	LOCK_CONSOLE, /* anything may print */
	NR_LOCK_RANKS
};

struct spinlock {
	u32 next;
	u32 owner;
#ifdef CONFIG_LOCK_CHECK
	u32 rank;
#endif
};

#ifdef CONFIG_LOCK_CHECK
#define SPINLOCK_INIT(lock_rank) \
	{ \
		.rank = (lock_rank) \
	}
#else
#define SPINLOCK_INIT(lock_rank) \
	{ \
		0, 0 \
	}
#endif

/* For a lock in zeroed memory that nobody uses yet. */
static inline void spin_lock_init(struct spinlock *l, enum lock_rank rank)
{
	*l = (struct spinlock)SPINLOCK_INIT(rank);
}

/*
 * core/lock_check.c. Before a lock is waited for, with the time that lock_check_taken() measures the wait from; after
 * it was taken, after it was let go. Whoever breaks the order ends the machine (panic).
 */
#ifdef CONFIG_LOCK_CHECK
u64 lock_check_wait(const struct spinlock *l);
void lock_check_taken(const struct spinlock *l, u64 waits_since);
void lock_check_released(const struct spinlock *l);
/* The hart is about to run a guest: it holds none. */
void lock_check_none(void);
/* Whether this hart holds any. */
bool lock_check_held(void);
/* Prints the longest wait and the longest hold of each rank, and forgets them: a debug key. */
void lock_check_report(void);
#else
static inline u64 lock_check_wait(const struct spinlock *l)
{
	(void)l;
	return 0;
}

static inline void lock_check_taken(const struct spinlock *l, u64 waits_since)
{
	(void)l;
	(void)waits_since;
}

static inline void lock_check_released(const struct spinlock *l)
{
	(void)l;
}

static inline void lock_check_none(void)
{
}
#endif

static inline void spin_lock(struct spinlock *l)
{
	u64 since = lock_check_wait(l);
	u32 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (unlikely(READ_ONCE(l->owner) != ticket))
		arch_relax();
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	lock_check_taken(l, since);
}

static inline bool spin_trylock(struct spinlock *l)
{
	u32 owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);
	bool ok = __atomic_compare_exchange_n(&l->next, &owner, owner + 1, false, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED);

	/* Who does not wait cannot deadlock: no order. */
	if (ok)
		lock_check_taken(l, 0);
	return ok;
}

/*
 * For reports about a machine that may hang: gives up on a lock that is not let go of. false too where many want it all the
 * time.
 */
static inline bool spin_try_a_while(struct spinlock *l)
{
	for (unsigned int n = 0; n < 10000; n++) {
		if (spin_trylock(l))
			return true;
		arch_relax();
	}
	return false;
}

static inline void spin_unlock(struct spinlock *l)
{
	lock_check_released(l);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	WRITE_ONCE(l->owner, l->owner + 1);
}

#endif
