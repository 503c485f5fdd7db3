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
		/* timer_set() on another hart looks without the lock. */
		__atomic_store_n(&t->armed, false, __ATOMIC_RELEASE);
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
	do {
		timer_stop(t);
		/* It is counted before it is no longer armed, and whoever counted it does not touch it after that. */
		while (__atomic_load_n(&t->running, __ATOMIC_ACQUIRE))
			arch_relax();
	} while (__atomic_load_n(&t->armed, __ATOMIC_ACQUIRE)); /* by its own function */
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
		__atomic_fetch_add(&t->running, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&t->armed, false, __ATOMIC_RELEASE);
		spin_unlock(&q->lock);
		t->fn(t->arg);
		__atomic_fetch_sub(&t->running, 1, __ATOMIC_RELEASE);
		spin_lock(&q->lock);
	}
	program(q);
	spin_unlock(&q->lock);
}
