/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CONFIG_LOCK_CHECK: that every hart takes locks in lock.h's order and runs no guest with one held, and how long harts
 * wait for each kind of lock and hold it. The whole hypervisor runs with interrupts off, so both are times without them.
 */
#include <arch-api.h>
#include <console.h>
#include <lib.h>
#include <lock.h>

#ifdef CONFIG_LOCK_CHECK
/* Those of all harts (sched_lock_all()), and what is held around or inside them. */
#define MAX_HELD (CONFIG_NR_CPUS + 8)

struct held {
	const struct spinlock *lock;
	u64 since; /* arch_time_ns() */
	const void *by; /* where it was taken */
};

/* A kind of lock, on one hart: nobody else writes it. */
struct worst {
	u64 taken; /* times */
	u64 wait, hold; /* ns */
	const void *waiter, *holder;
};

static struct {
	struct held stack[MAX_HELD];
	unsigned int n;
	struct worst worst[NR_LOCK_RANKS];
} harts_locks[CONFIG_NR_CPUS];

static const char *const names[NR_LOCK_RANKS] = {
	[LOCK_KILL] = "end of a domain",
	[LOCK_DOMAIN] = "domain",
	[LOCK_GRANT] = "grant table",
	[LOCK_EVENT] = "events",
	[LOCK_FIFO] = "event queues",
	[LOCK_TRACK] = "map handles",
	[LOCK_PAGES] = "page list",
	[LOCK_P2M] = "p2m",
	[LOCK_SMALL] = "small objects",
	[LOCK_HEAP] = "heap",
	[LOCK_DOMAIN_LIST] = "domain list",
	[LOCK_SCHED] = "scheduler",
	[LOCK_SHARE] = "caps",
	[LOCK_TIMER] = "timers",
	[LOCK_PIRQ] = "physical interrupts",
	[LOCK_PLIC] = "plic",
	[LOCK_CLOCK] = "clock",
	[LOCK_INPUT] = "input",
	[LOCK_GUEST_CONSOLE] = "guest console",
	[LOCK_CONSOLE] = "console",
};

static const char *where(const void *address)
{
	return arch_symbol(address) ?: "?";
}

static void check_order(const struct spinlock *l, const void *by)
{
	unsigned int hart = arch_hart();

	if (l->rank == LOCK_NO_RANK || l->rank >= NR_LOCK_RANKS)
		panic("lock check: a lock without a rank is taken in %s", where(by));
	for (unsigned int i = 0; i < harts_locks[hart].n; i++) {
		const struct held *h = &harts_locks[hart].stack[i];

		if (h->lock->rank < l->rank || (h->lock->rank == l->rank && h->lock < l &&
						(l->rank == LOCK_EVENT || l->rank == LOCK_SCHED)))
			continue;
		panic("lock check: '%s' taken in %s while '%s' is held since %s", names[l->rank],
		      where(by), names[h->lock->rank], where(h->by));
	}
}

u64 lock_check_wait(const struct spinlock *l)
{
	/* While the machine is being stopped reports go past locks. */
	if (!console_stopped())
		check_order(l, __builtin_return_address(0));
	return arch_time_ns();
}

void lock_check_taken(const struct spinlock *l, u64 waits_since)
{
	unsigned int hart = arch_hart();
	struct worst *w = &harts_locks[hart].worst[l->rank];
	u64 now = arch_time_ns();

	if (harts_locks[hart].n == MAX_HELD)
		panic("lock check: more than %u locks are held", MAX_HELD);
	harts_locks[hart].stack[harts_locks[hart].n++] =
		(struct held){ l, now, __builtin_return_address(0) };
	w->taken++;
	if (waits_since && now - waits_since > w->wait) {
		w->wait = now - waits_since;
		w->waiter = __builtin_return_address(0);
	}
}

void lock_check_released(const struct spinlock *l)
{
	unsigned int hart = arch_hart(), i = harts_locks[hart].n;
	struct held *stack = harts_locks[hart].stack;
	struct worst *w = &harts_locks[hart].worst[l->rank];
	u64 now = arch_time_ns();

	while (i && stack[i - 1].lock != l)
		i--;
	if (!i) {
		if (console_stopped())
			return;
		panic("lock check: '%s' let go in %s by a hart that does not hold it",
		      names[l->rank], where(__builtin_return_address(0)));
	}
	if (now - stack[i - 1].since > w->hold) {
		w->hold = now - stack[i - 1].since;
		w->holder = stack[i - 1].by;
	}
	/* Not always the last one taken. */
	for (harts_locks[hart].n--; i <= harts_locks[hart].n; i++)
		stack[i - 1] = stack[i];
}

void lock_check_none(void)
{
	unsigned int hart = arch_hart();

	if (harts_locks[hart].n)
		panic("lock check: a guest is about to run with '%s' held since %s",
		      names[harts_locks[hart].stack[0].lock->rank],
		      where(harts_locks[hart].stack[0].by));
}

bool lock_check_held(void)
{
	return harts_locks[arch_hart()].n;
}

void lock_check_report(void)
{
	for (unsigned int rank = 1; rank < NR_LOCK_RANKS; rank++) {
		struct worst all = { 0 };

		for (unsigned int hart = 0; hart < machine.nr_harts; hart++) {
			struct worst *w = &harts_locks[hart].worst[rank];

			all.taken += w->taken;
			if (w->wait > all.wait) {
				all.wait = w->wait;
				all.waiter = w->waiter;
			}
			if (w->hold > all.hold) {
				all.hold = w->hold;
				all.holder = w->holder;
			}
			*w = (struct worst){ 0 };
		}
		printk("lock: %s: %lu times, longest wait %lu ns in %s, longest hold %lu ns in %s\n",
		       names[rank], all.taken, all.wait, where(all.waiter), all.hold,
		       where(all.holder));
	}
	printk("lock: end\n");
}
#endif
