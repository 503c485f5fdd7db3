// SPDX-License-Identifier: BSD-2-Clause
/*
 * Weights, caps and affinities when guests and the administrator do anything at any time: no hart idles while one waits that may
 * run there, nobody who may run is forgotten or waits for seconds, and no cap is passed.
 */
#include "host.h"

#define US 1000UL
#define MS 1000000UL
#define NR_DOMS 4
#define MOST_VCPUS 6

/* What a domain has had since its cap was set, and since when each of its vCPUs waits. */
static struct watched {
	struct domain *d;
	bool paused;
	u64 cap_since, had_then, waits_since[MOST_VCPUS];
} doms[NR_DOMS];
static u64 seed;

static unsigned int any(unsigned int n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % n;
}

/* ---- time passes ---- */

static void pass(u64 ns)
{
	for (u64 end = host.now + ns; host.now < end;) {
		run_kicked();
		advance(min(20 * US, end - host.now));
	}
	run_kicked();
}

/* ---- short forms ---- */

static void share(struct domain *d, u16 weight, u16 cap)
{
	struct xen_domctl op = { .u.scheduler_op = { .sched_id = XEN_SCHEDULER_CREDIT2,
						     .cmd = XEN_DOMCTL_SCHEDOP_putinfo,
						     .u.credit2 = { weight, cap } } };
	struct vcpu *curr = host.current[host.hart];

	AS(dom0);
	assert_int_equal(domctl(d->id, XEN_DOMCTL_scheduler_op, &op), 0);
	become(curr);
}

static u64 had(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;
	u64 ns = 0;

	domain_for_each_vcpu(d, v, i)
		ns += vcpu_cpu_time(v);
	return ns;
}

static void up(struct vcpu *v)
{
	clear_bit(VPF_DOWN, &v->pause_flags);
	vcpu_wake(v);
}

static void down(struct vcpu *v)
{
	set_bit(VPF_DOWN, &v->pause_flags);
	vcpu_sleep_nosync(v);
}

/* ---- what is always so ---- */

static bool wants_hart(const struct vcpu *v)
{
	return !v->pause_flags && !v->pause_count && !v->domain->pause_count;
}

static void look_at_vcpu(struct vcpu *v, u64 *waits_since, u64 idle)
{
	if (wants_hart(v) && !v->domain->share.spent)
		assert_true(v->running || v->on_queue);
	else
		assert_false(v->running || v->on_queue);
	if (!v->on_queue)
		*waits_since = host.now;
	else
		assert_int_equal(idle & (v->pinned ? v->pinned : ~0ULL), 0);
	/* Of 11 others none is more than four slices behind, on four harts; pins may put all of them on one. */
	assert_in_range(host.now - *waits_since, 0, 500 * MS);
}

/* A period's worth is saved up; as much, and what kicked harts take to stop, may be owed. */
static void look_at_cap(const struct watched *w)
{
	u64 cap = w->d->share.cap, passed = host.now - w->cap_since;

	if (cap)
		assert_in_range(had(w->d) - w->had_then, 0,
				(passed + 2 * 10 * MS) * cap / 100 + MS);
	if (w->d->share.spent)
		assert_true(cap && w->d->share.full.armed);
}

/* Whom the scheduler has put there, NULL: nobody. Not asked of the hart itself, which would look at the queue. */
static struct vcpu *runs_on(unsigned int hart)
{
	struct vcpu *v;
	unsigned int i;

	for (struct watched *w = doms; w < doms + NR_DOMS; w++) {
		domain_for_each_vcpu(w->d, v, i) {
			if (v->running && v->hart == hart)
				return v;
		}
	}
	return NULL;
}

static void look(void)
{
	u64 idle = 0;
	struct vcpu *v;
	unsigned int i;

	for (unsigned int h = 0; h < NR_HARTS; h++)
		idle |= runs_on(h) ? 0 : BIT(h);
	for (struct watched *w = doms; w < doms + NR_DOMS; w++) {
		domain_for_each_vcpu(w->d, v, i)
			look_at_vcpu(v, &w->waits_since[i], idle);
		look_at_cap(w);
	}
}

/* ---- what is done ---- */

static void yield_on(unsigned int hart)
{
	struct vcpu *v = runs_on(hart);

	host.hart = hart;
	if (v) {
		become(v);
		vcpu_yield();
	}
}

static void set_share(struct watched *w)
{
	u16 cap = any(2) ? any(300) + 1 : 0;

	if (cap != w->d->share.cap) {
		w->cap_since = host.now;
		w->had_then = had(w->d);
	}
	share(w->d, 64U << any(5), cap);
}

static void pause(struct watched *w, bool paused)
{
	if (w->paused == paused)
		return;
	w->paused = paused;
	if (paused)
		domain_pause_nosync(w->d);
	else
		domain_unpause(w->d);
}

static void do_something(void)
{
	struct watched *w = &doms[any(NR_DOMS)];
	struct vcpu *v = w->d->vcpu[any(w->d->max_vcpus)];
	unsigned int what = any(64);

	if (what < 16)
		down(v);
	else if (what < 36)
		up(v);
	else if (what < 44)
		yield_on(any(NR_HARTS));
	else if (what < 48)
		vcpu_pin(v, any(3) ? 0 : any(15) + 1);
	else if (what < 52)
		vcpu_prefer(v, any(3) ? 0 : any(15) + 1);
	else if (what < 54)
		set_share(w);
	else if (what < 62)
		pause(w, what < 56);
	else
		u1->pool->ratelimit_ns = any(2) ? 0 : any(5000) * US;
}

static void at_random(void **state)
{
	struct domain *d[NR_DOMS] = { dom0, u1, u2, make_domain(3, MOST_VCPUS, 1) };

	seed = getenv("SEED") ? strtoul(getenv("SEED"), NULL, 0) : 1;
	for (unsigned int i = 0; i < NR_DOMS; i++) {
		doms[i] = (struct watched){ .d = d[i] };
		for (unsigned int j = 0; j < MOST_VCPUS; j++)
			doms[i].waits_since[j] = host.now;
	}
	for (unsigned int n = 0; n < 10000; n++) {
		do_something();
		if (any(4)) /* else something else is done before they come to it */
			run_kicked();
		if (!any(3))
			pass(any(any(20) ? 300 : 30000) * US);
		run_kicked();
		look();
	}
	for (unsigned int i = 0; i < NR_DOMS; i++)
		pause(&doms[i], false);
	u1->pool->ratelimit_ns = 0;
}

/* ---- cases of their own ---- */

/* One that may use none of the harts it prefers stands back for nobody because of that. */
static void prefers_what_it_may_not_use(void **state)
{
	struct vcpu *v = u1->vcpu[0], *w = u2->vcpu[0], *x = u2->vcpu[1];

	only(0, NULL);
	run_kicked();
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	vcpu_prefer(v, BIT(3));
	v->vruntime = x->vruntime;
	w->vruntime = v->vruntime + MS;
	v->pinned = w->pinned = x->pinned = BIT(1);
	up(x);
	run_kicked();
	up(v);
	up(w);
	host.now += 20 * MS;
	assert_ptr_equal(run_hart(1), v);
}

/* A light one that never sleeps gets no more for it that a heavy one sleeps for a moment now and then. */
static void short_sleep_forgoes_little(void **state)
{
	struct vcpu *v = u1->vcpu[0], *light = u2->vcpu[0];
	u64 start;

	only(0, NULL);
	run_kicked();
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	share(u2, 1, 0);
	v->pinned = light->pinned = BIT(1);
	up(light);
	pass(100 * MS);
	up(v);
	pass(100 * MS);
	start = had(u2);
	for (unsigned int n = 0; n < 200; n++) {
		down(v);
		pass(MS);
		up(v);
		for (u64 end = had(u1) + 21 * MS / 2; had(u1) < end;)
			pass(100 * US);
	}
	/* The 200 ms in which the other slept, and a 257th of 2100 ms: a slice or two. */
	assert_in_range(had(u2) - start, 199 * MS, 240 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(at_random),
		TEST(prefers_what_it_may_not_use),
		TEST(short_sleep_forgoes_little),
	};

	return RUN(tests);
}
