/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The harts' queues of vCPUs that wait, in the order of virtual run time, and what each hart shows of its own to the others
 * (sched_internal.h).
 */
#include <arch-api.h>
#include <sched_internal.h>

struct sched_hart sched_harts[CONFIG_NR_CPUS] = {
	[0 ... CONFIG_NR_CPUS - 1] = { .lock = SPINLOCK_INIT(LOCK_SCHED), .first = ~0ULL }
};
u64 sched_online, sched_waiting, sched_idle, sched_sliced, sched_unhappy;

/* ---- locks ---- */

struct sched_hart *sched_lock_vcpu(const struct vcpu *v)
{
	for (;;) {
		struct sched_hart *s = &sched_harts[READ_ONCE(v->hart)];

		spin_lock(&s->lock);
		if (s == &sched_harts[v->hart])
			return s;
		spin_unlock(&s->lock); /* another hart has taken it meanwhile */
	}
}

void sched_lock_all(void)
{
	for (unsigned int h = 0; h < machine.nr_harts; h++)
		spin_lock(&sched_harts[h].lock);
}

void sched_unlock_all(void)
{
	for (unsigned int h = machine.nr_harts; h--;)
		spin_unlock(&sched_harts[h].lock);
}

/* ---- a queue ---- */

void queue_refresh(struct sched_hart *s)
{
	u64 wanted = 0;
	struct vcpu *v;

	list_for_each(v, &s->queue, run_list) {
		wanted |= may_use(v);
		if (wanted == sched_online)
			break;
	}
	WRITE_ONCE(s->wanted, wanted);
	if (!wanted)
		s->furthest = 0;
	queue_show(s);
}

struct vcpu *queue_search(const struct sched_hart *s, unsigned int hart)
{
	struct vcpu *v, *first = NULL;

	list_for_each(v, &s->queue, run_list) {
		if (first && place(v) >= place_on(first, hart))
			break;
		if (allowed(v, hart) && (!first || place_on(v, hart) < place_on(first, hart)))
			first = v;
	}
	return first;
}

/* ---- all queues ---- */

struct sched_hart *queue_better(unsigned int hart, u64 others, u64 below)
{
	struct sched_hart *better = NULL;
	unsigned int h;

	for_each_hart(h, READ_ONCE(sched_waiting) & others) {
		struct sched_hart *s = &sched_harts[h];
		u64 first = READ_ONCE(s->first);

		if (first < below && READ_ONCE(s->wanted) & BIT(hart)) {
			below = first;
			better = s;
		}
	}
	return better;
}

bool queue_others_wait_for(const struct sched_hart *s)
{
	unsigned int h;

	for_each_hart(h, READ_ONCE(sched_waiting) & ~s->bit) {
		if (READ_ONCE(sched_harts[h].wanted) & s->bit)
			return true;
	}
	return false;
}

bool queue_next(const struct sched_hart *own, const struct cpupool *p, u64 *had, u64 *last)
{
	u64 first = ~0ULL;
	unsigned int h;

	*last = 0;
	for_each_hart(h, READ_ONCE(sched_waiting)) {
		const struct sched_hart *s = &sched_harts[h];
		u64 wanted = READ_ONCE(s->wanted);

		if (wanted & READ_ONCE(p->harts))
			*last = max(*last, READ_ONCE(s->last));
		if (wanted & own->bit && READ_ONCE(s->first) < first) {
			first = READ_ONCE(s->first);
			*had = READ_ONCE(s->first_had);
		}
	}
	return first != ~0ULL;
}

/* In one queue; what it shows is brought up to date. */
static u64 least_beside_queue(struct sched_hart *s, unsigned int hart, u64 had)
{
	u64 furthest = 0;
	struct vcpu *v;

	list_for_each(v, &s->queue, run_list) {
		u64 least = least_beside(v);

		furthest = max(furthest, least);
		if (allowed(v, hart))
			had = max(had, least);
	}
	s->furthest = furthest;
	return had;
}

u64 queue_least_beside(unsigned int hart, u64 had)
{
	unsigned int h;

	for_each_hart(h, READ_ONCE(sched_waiting)) {
		struct sched_hart *s = &sched_harts[h];

		if (READ_ONCE(s->furthest) <= had || !(READ_ONCE(s->wanted) & BIT(hart)))
			continue;
		if (h != hart && !spin_trylock(&s->lock))
			continue;
		had = least_beside_queue(s, hart, had);
		if (h != hart)
			spin_unlock(&s->lock);
	}
	return had;
}

void queue_update_min(struct cpupool *p, u64 now)
{
	u64 least = ~0ULL, min_now = READ_ONCE(p->min_vruntime);
	unsigned int h;

	for_each_hart(h, sched_online & ~READ_ONCE(sched_idle)) {
		struct sched_view w = view_read(&sched_harts[h]);

		if (w.pool == p)
			least = min(least, view_had(&w, now));
	}
	for_each_hart(h, READ_ONCE(sched_waiting)) {
		if (READ_ONCE(sched_harts[h].wanted) & READ_ONCE(p->harts))
			least = min(least, READ_ONCE(sched_harts[h].first));
	}
	/* If another hart has brought it up meanwhile, then by what it saw, which is as good. */
	if (least != ~0ULL && least > min_now)
		__atomic_compare_exchange_n(&p->min_vruntime, &min_now, least, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* ---- who is on a hart ---- */

void view_write(struct sched_hart *s)
{
	WRITE_ONCE(s->view_seq, s->view_seq + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	s->view = view_own(s);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	WRITE_ONCE(s->view_seq, s->view_seq + 1);
}

struct sched_view view_read_other(const struct sched_hart *s)
{
	struct sched_view w;
	u32 seq;

	for (;;) {
		seq = READ_ONCE(s->view_seq);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		w = s->view;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(seq & 1) && READ_ONCE(s->view_seq) == seq)
			return w;
		arch_relax();
	}
}
