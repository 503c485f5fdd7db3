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
 * Lock order, outermost first. Two locks of one rank are taken in the order given.
 *
 *   control_lock            one domctl/sysctl that changes the set of domains at a time
 *   domain.lock             lifecycle: vCPU creation, shutdown, dying
 *   grant_table.lock        the granter's table (never two of them; copy takes them in turn)
 *   domain.evtchn_lock      event channels (two domains: lower address first)
 *   evtchn_fifo.lock        the queues of a domain with the FIFO ABI
 *   grant_table.track_lock  the mapper's handles
 *   domain.page_lock        page list and counts
 *   p2m lock                in the engine, one domain's second-stage tables
 *   small_lock              small objects
 *   heap lock
 *   domain_list_lock        hash of domains
 *   sched lock
 *   timer lock              one per hart, never two
 *   pirq lock, plic lock
 *   clock lock              wall clock
 *   input lock              characters for dom0
 *   console_rate.lock       what a guest may print (nothing inside)
 *   console lock            anything may print
 */
struct spinlock {
	u32 next;
	u32 owner;
};

#define SPINLOCK_INIT \
	{ \
		0, 0 \
	}

static inline void spin_lock(struct spinlock *l)
{
	u32 ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (unlikely(READ_ONCE(l->owner) != ticket))
		arch_relax();
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline bool spin_trylock(struct spinlock *l)
{
	u32 owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);

	return __atomic_compare_exchange_n(&l->next, &owner, owner + 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
	WRITE_ONCE(l->owner, l->owner + 1);
}

#endif
