/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain's vCPUs get of the harts: its weight, and its cap, as Xen's credit2 has them.
 * A cap is an account: it fills at cap per cent of real time up to CAP_PERIOD_NS' worth, its vCPUs' time is taken from it, and
 * at nothing they stop until it is full again. What they ran beyond that is owed. It needs to know only how many run, so none
 * has to be asked on its hart.
 */
#include <arch-api.h>
#include <handlers.h>
#include <lib.h>
#include <sched.h>
#include <sched_internal.h>

/* With a cap the domain runs and stops in turns of about this length. */
#define CAP_PERIOD_NS 10000000ULL
/* The account is in hundredths of a nanosecond, that a cap's per cent need no division. */
#define FULL(cap) ((s64)(CAP_PERIOD_NS * (cap)))

/* ---- the account: s->lock held ---- */

/* Up to now: since the last time so many ran. */
static void bring_up(struct sched_share *s, u64 now)
{
	s64 rate = (s64)s->cap - 100 * (s64)s->running; /* hundredths of ns in each ns */
	u64 passed = now > s->filled ? now - s->filled : 0, missing = FULL(s->cap) - s->left;

	/* s->left is FULL at most. Division, for the product of a long time might not fit. */
	if (rate > 0 && passed >= DIV_ROUND_UP(missing, (u64)rate))
		s->left = FULL(s->cap);
	else
		s->left += (s64)passed * rate;
	/* A hart that waited for a lock comes with an earlier time. */
	s->filled = max(s->filled, now);
}

static void await_full(struct sched_share *s, u64 now)
{
	timer_set(&s->full, now + DIV_ROUND_UP(FULL(s->cap) - s->left, s->cap));
}

/* ---- for sched.c ---- */

void share_run(struct domain *d, int n, u64 now)
{
	struct sched_share *s = &d->share;

	spin_lock(&s->lock);
	bring_up(s, now);
	s->running += n;
	spin_unlock(&s->lock);
}

void share_account(struct domain *d, const struct vcpu *leaves)
{
	struct sched_share *s = &d->share;
	bool stop = false;
	u64 now;

	spin_lock(&s->lock);
	now = arch_time_ns();
	if (s->cap) {
		bring_up(s, now);
		stop = s->left <= 0 && !s->spent;
	}
	if (stop) {
		WRITE_ONCE(s->spent, true);
		await_full(s, now);
	}
	spin_unlock(&s->lock);
	/* If the account is full before that is done, what is done finds nothing to stop. */
	if (stop)
		sched_stop_domain(d, leaves);
}

u64 share_end(struct domain *d, u64 now)
{
	struct sched_share *s = &d->share;
	u64 end = ~0ULL;

	spin_lock(&s->lock);
	if (s->running * 100 > s->cap && s->cap) {
		bring_up(s, now);
		end = now + DIV_ROUND_UP((u64)max(s->left, (s64)0), s->running * 100 - s->cap);
	}
	spin_unlock(&s->lock);
	return end;
}

/* The account is full: the timer's function. */
static void filled(void *domain)
{
	struct domain *d = domain;
	struct sched_share *s = &d->share;
	bool go_on = false;
	u64 now;

	spin_lock(&s->lock);
	now = arch_time_ns();
	if (s->spent) {
		bring_up(s, now);
		if (s->left <= 0) /* some were slow to leave their harts, and owe more */
			await_full(s, now);
		else
			go_on = true;
	}
	if (go_on)
		WRITE_ONCE(s->spent, false);
	spin_unlock(&s->lock);
	if (go_on)
		sched_go_on_domain(d);
}

/* ---- the rest ---- */

void sched_domain_init(struct domain *d)
{
	spin_lock_init(&d->share.lock, LOCK_SHARE);
	d->share.weight = SCHED_WEIGHT_DEFAULT;
	timer_init(&d->share.full, filled, d);
}

void sched_domain_destroy(struct domain *d)
{
	timer_kill(&d->share.full);
}

/*
 * All harts' locks held. Each that is on a hart, or on its way from one, is charged as it was so far: one that is alone is charged for hours
 * here. Returns how many they are; *harts: where.
 */
static unsigned int charge_all(struct domain *d, u64 now, u64 *harts)
{
	unsigned int i, running = 0;
	struct vcpu *v;

	*harts = 0;
	domain_for_each_vcpu(d, v, i) {
		if (!v->running)
			continue;
		sched_charge(v, now);
		*harts |= BIT(v->hart);
		running++;
	}
	return running;
}

/* The same: a cap, another one than before. Returns whether the domain had been stopped by the old one. */
static bool cap_set(struct sched_share *s, u16 cap, unsigned int running, u64 now)
{
	bool spent;

	spin_lock(&s->lock);
	s->cap = cap;
	s->running = running;
	s->left = FULL(cap);
	s->filled = now;
	spent = s->spent;
	if (spent) {
		WRITE_ONCE(s->spent, false);
		timer_stop(&s->full);
	}
	spin_unlock(&s->lock);
	return spent;
}

static void share_set(struct domain *d, u16 weight, u16 cap)
{
	struct sched_share *s = &d->share;
	bool go_on = false;
	unsigned int h, running;
	u64 now, harts, kick = 0;

	sched_lock_all();
	now = arch_time_ns();
	running = charge_all(d, now, &harts);
	s->weight = weight;
	for_each_hart(h, harts)
		view_write(&sched_harts[h]);
	if (s->cap != cap) {
		go_on = cap_set(s, cap, running, now);
		kick = harts; /* those that run get another time at which they stop */
	}
	sched_unlock_all();
	if (go_on)
		sched_go_on_domain(d);
	sched_kick_harts(kick);
}

/* A weight of 0 leaves the present one, as Xen's does. */
long domctl_scheduler_op(struct domain *d, struct xen_domctl_scheduler_op *a)
{
	struct xen_domctl_sched_credit2 *p = &a->u.credit2;
	u16 weight, cap;

	if (a->sched_id != XEN_SCHEDULER_CREDIT2)
		return -EINVAL;
	if (a->cmd == XEN_DOMCTL_SCHEDOP_putinfo) {
		share_set(d, p->weight ? p->weight : READ_ONCE(d->share.weight), p->cap);
		return 0;
	}
	if (a->cmd != XEN_DOMCTL_SCHEDOP_getinfo) /* no vCPU has any of its own */
		return -EINVAL;
	sched_lock_all();
	weight = d->share.weight;
	cap = d->share.cap;
	sched_unlock_all();
	*p = (struct xen_domctl_sched_credit2){ weight, cap };
	return 0;
}
