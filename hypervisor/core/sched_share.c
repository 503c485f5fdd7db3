/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a domain's vCPUs get of the harts: its weight, and its cap, as Xen's credit2 has them.
 * A cap is an account: it fills at cap per cent of real time up to CAP_PERIOD_NS' worth, its vCPUs' time is taken from it, and
 * at nothing they stop until it is full again. What they ran beyond that is owed.
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

/* ---- sched_lock held ---- */

static void fill(struct sched_share *s, u64 now)
{
	u64 passed = now > s->filled ? now - s->filled : 0, missing = FULL(s->cap) - s->left;

	/* s->left is FULL at most. Division, for the product of a long time might not fit. */
	if (passed >= DIV_ROUND_UP(missing, s->cap))
		s->left = FULL(s->cap);
	else
		s->left += passed * s->cap;
	s->filled = now;
}

/* Each that is on a hart is charged. */
static void charge_all(struct domain *d, u64 now)
{
	unsigned int i;
	struct vcpu *v;

	domain_for_each_vcpu(d, v, i) {
		if (v->running)
			sched_charge(v, now);
	}
}

static void await_full(struct sched_share *s, u64 now)
{
	timer_set(&s->full, now + DIV_ROUND_UP(FULL(s->cap) - s->left, s->cap));
}

/* The domain has nothing left: it stops until it has all. */
static u64 stop(struct domain *d, u64 now)
{
	WRITE_ONCE(d->share.spent, true);
	await_full(&d->share, now);
	return sched_stop_domain(d);
}

u64 share_account(struct domain *d, u64 now)
{
	struct sched_share *s = &d->share;

	charge_all(d, now);
	fill(s, now);
	return s->left <= 0 && !s->spent ? stop(d, now) : 0;
}

u64 share_end(const struct domain *d, u64 now)
{
	const struct sched_share *s = &d->share;
	unsigned int i, running = 0;
	struct vcpu *v;

	domain_for_each_vcpu(d, v, i)
		running += v->running;
	if (running * 100 <= s->cap)
		return ~0ULL;
	return now + DIV_ROUND_UP((u64)max(s->left, (s64)0), running * 100 - s->cap);
}

/* The account is full: the timer's function. */
static void filled(void *domain)
{
	struct domain *d = domain;
	struct sched_share *s = &d->share;
	u64 now, kick = 0;

	spin_lock(&sched_lock);
	now = arch_time_ns();
	if (s->spent) {
		charge_all(d, now);
		fill(s, now);
		if (s->left <= 0) { /* some were slow to leave their harts, and owe more */
			await_full(s, now);
		} else {
			WRITE_ONCE(s->spent, false);
			kick = sched_go_on_domain(d, now);
		}
	}
	spin_unlock(&sched_lock);
	sched_kick_harts(kick);
}

/* ---- the rest ---- */

void sched_domain_init(struct domain *d)
{
	d->share.weight = SCHED_WEIGHT_DEFAULT;
	timer_init(&d->share.full, filled, d);
}

void sched_domain_destroy(struct domain *d)
{
	timer_kill(&d->share.full);
}

static void share_set(struct domain *d, u16 weight, u16 cap)
{
	struct sched_share *s = &d->share;
	unsigned int i;
	struct vcpu *v;
	u64 now, kick = 0;

	spin_lock(&sched_lock);
	now = arch_time_ns();
	charge_all(d, now); /* as it was so far: one that is alone is charged for hours here */
	s->weight = weight;
	if (s->cap != cap) {
		s->cap = cap;
		s->left = FULL(cap);
		s->filled = now;
		if (s->spent) {
			WRITE_ONCE(s->spent, false);
			timer_stop(&s->full);
			kick = sched_go_on_domain(d, now);
		}
		/* Those that run get another time at which they stop. */
		domain_for_each_vcpu(d, v, i)
			kick |= v->running ? BIT(v->hart) : 0;
	}
	spin_unlock(&sched_lock);
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
	spin_lock(&sched_lock);
	weight = d->share.weight;
	cap = d->share.cap;
	spin_unlock(&sched_lock);
	*p = (struct xen_domctl_sched_credit2){ weight, cap };
	return 0;
}
