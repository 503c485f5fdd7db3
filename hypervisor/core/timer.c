/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-shot timers: a list for each hart, sorted by expiry; the hardware timer follows its head.
 */
#include <arch-api.h>
#include <lock.h>
#include <timer.h>

struct timer_queue {
	struct spinlock lock;
	struct list_head list;
	struct timer *running;
};

static struct timer_queue queues[CONFIG_NR_CPUS] = {
	[0 ... CONFIG_NR_CPUS - 1] = { .lock = SPINLOCK_INIT(LOCK_TIMER) },
};

/* q->lock held, on the queue's own hart. */
static void program(struct timer_queue *q)
{
	arch_set_timer(list_empty(&q->list) ? ~0ULL :
					      list_first(&q->list, struct timer, list)->expires);
}

static struct timer_queue *queue_of(unsigned int hart)
{
	struct timer_queue *q = &queues[hart];

	if (!q->list.next)
		list_init(&q->list);
	return q;
}

void timer_init(struct timer *t, void (*fn)(void *), void *arg)
{
	*t = (struct timer){ .fn = fn, .arg = arg };
	list_init(&t->list);
}

void timer_stop(struct timer *t)
{
	struct timer_queue *q;

	/* hart is looked at after armed, and was written before it: an armed timer is on that hart's queue, or was. */
	if (!__atomic_load_n(&t->armed, __ATOMIC_ACQUIRE))
		return;
	q = queue_of(READ_ONCE(t->hart));
	spin_lock(&q->lock);
	if (__atomic_load_n(&t->armed, __ATOMIC_ACQUIRE) && queue_of(READ_ONCE(t->hart)) == q) {
		list_del(&t->list);
		WRITE_ONCE(t->armed, false);
	}
	spin_unlock(&q->lock);
}

void timer_set(struct timer *t, u64 expires)
{
	struct timer_queue *q;
	struct timer *pos;

	timer_stop(t);
	q = queue_of(arch_hart());
	spin_lock(&q->lock);
	t->expires = expires;
	WRITE_ONCE(t->hart, arch_hart());
	/* Whoever stops it on another hart finds the queue by hart. */
	__atomic_store_n(&t->armed, true, __ATOMIC_RELEASE);
	list_for_each(pos, &q->list, list) {
		if (pos->expires > expires)
			break;
	}
	list_add_tail(&t->list, &pos->list);
	if (q->list.next == &t->list)
		program(q);
	spin_unlock(&q->lock);
}

void timer_kill(struct timer *t)
{
	timer_stop(t);
	/*
	 * Its function may still run, and not only where it was armed last: it may have been armed
	 * elsewhere while it fired. The lock: from taken off the list to running is one step.
	 */
	for (unsigned int hart = 0; hart < CONFIG_NR_CPUS; hart++) {
		struct timer_queue *q = &queues[hart];
		bool running;

		if (hart == arch_hart())
			continue;
		do {
			spin_lock(&q->lock);
			running = q->running == t;
			spin_unlock(&q->lock);
			if (running)
				arch_relax();
		} while (running);
	}
}

void timer_interrupt(void)
{
	struct timer_queue *q = queue_of(arch_hart());

	spin_lock(&q->lock);
	while (!list_empty(&q->list)) {
		struct timer *t = list_first(&q->list, struct timer, list);

		if (t->expires > arch_time_ns())
			break;
		list_del(&t->list);
		WRITE_ONCE(t->armed, false);
		__atomic_store_n(&q->running, t, __ATOMIC_RELEASE);
		spin_unlock(&q->lock);
		t->fn(t->arg);
		spin_lock(&q->lock);
		__atomic_store_n(&q->running, NULL, __ATOMIC_RELEASE);
	}
	program(q);
	spin_unlock(&q->lock);
}
