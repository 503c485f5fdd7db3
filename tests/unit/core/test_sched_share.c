// SPDX-License-Identifier: BSD-2-Clause
/*
 * What domains get of the harts, in virtual time: weights, caps, preferred harts, the rate limit, and how soon one that wakes
 * runs beside many that do not sleep.
 */
#include "host.h"

#define US 1000ULL
#define MS 1000000ULL

/* ---- time passes ---- */

/* So long, and harts that are kicked do what they are kicked for, 50 us later at most. */
static void pass(u64 ns)
{
	for (u64 end = host.now + ns; host.now < end;) {
		run_kicked();
		advance(min(50 * US, end - host.now));
	}
	run_kicked();
}

/* ---- short forms ---- */

static long set_share(domid_t dom, u16 weight, u16 cap)
{
	struct xen_domctl op = { .u.scheduler_op = { .sched_id = XEN_SCHEDULER_CREDIT2,
						     .cmd = XEN_DOMCTL_SCHEDOP_putinfo,
						     .u.credit2 = { weight, cap } } };
	struct vcpu *curr = host.current[host.hart];
	long rc;

	AS(dom0);
	rc = domctl(dom, XEN_DOMCTL_scheduler_op, &op);
	become(curr);
	return rc;
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

/* All of them sleep; those of d may use these harts only. */
static void all_down(void)
{
	only(0, NULL);
	run_kicked();
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
}

static void up(struct vcpu *v, u64 harts)
{
	v->pinned = harts;
	clear_bit(VPF_DOWN, &v->pause_flags);
	vcpu_wake(v);
}

static void down(struct vcpu *v)
{
	set_bit(VPF_DOWN, &v->pause_flags);
	vcpu_sleep_nosync(v);
	run_kicked();
}

/* Within a hundredth of the time that there was to share. */
#define assert_share(got, of, part, parts) \
	assert_in_range(got, (of) * (part) / (parts) - (of) / 100, \
			(of) * (part) / (parts) + (of) / 100)

/* ---- weights ---- */

static void weights_on_one_hart(void **state)
{
	struct domain *d[] = { u1, u2, dom0 };
	u64 start[3];

	all_down();
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(set_share(d[i]->id, 256 << i, 0), 0);
		up(d[i]->vcpu[0], BIT(1));
	}
	for (unsigned int i = 0; i < 3; i++)
		start[i] = had(d[i]);
	pass(2000 * MS);
	for (unsigned int i = 0; i < 3; i++)
		assert_share(had(d[i]) - start[i], 2000 * MS, 1 << i, 7);
	/* They change while all of them run and wait, and from then on it is the new ones that count. */
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(set_share(d[i]->id, 100 << (2 - i), 0), 0);
		start[i] = had(d[i]);
	}
	pass(2000 * MS);
	for (unsigned int i = 0; i < 3; i++)
		assert_share(had(d[i]) - start[i], 2000 * MS, 4 >> i, 7);
}

static void weights_on_two_harts(void **state)
{
	struct domain *d[] = { u1, u2, dom0 };
	u64 start[3];

	all_down();
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(set_share(d[i]->id, 1000 << i, 0), 0);
		up(d[i]->vcpu[0], BIT(1) | BIT(2));
		up(d[i]->vcpu[1], BIT(1) | BIT(2));
	}
	for (unsigned int i = 0; i < 3; i++)
		start[i] = had(d[i]);
	pass(2000 * MS);
	for (unsigned int i = 0; i < 3; i++)
		assert_share(had(d[i]) - start[i], 4000 * MS, 1 << i, 7);
}

/* The least and the most: neither is lost, and the least starves nobody else. */
static void least_and_most(void **state)
{
	u64 start[2];

	all_down();
	assert_int_equal(set_share(1, 1, 0), 0);
	assert_int_equal(set_share(2, 65535, 0), 0);
	up(u1->vcpu[0], BIT(1));
	pass(5000 * MS); /* alone: that is no debt */
	start[0] = had(u1);
	assert_int_equal(set_share(2, 256, 0), 0);
	up(u2->vcpu[0], BIT(1));
	pass(10000 * MS);
	assert_in_range(had(u1) - start[0], 10 * MS, 100 * MS);
	/* Two of the most share as two of any weight do, a slice at a time. */
	down(u1->vcpu[0]);
	assert_int_equal(set_share(2, 65535, 0), 0);
	up(u2->vcpu[1], BIT(1));
	pass(100 * MS);
	start[0] = vcpu_cpu_time(u2->vcpu[0]);
	start[1] = vcpu_cpu_time(u2->vcpu[1]);
	pass(100 * MS);
	assert_in_range(vcpu_cpu_time(u2->vcpu[0]) - start[0], 39 * MS, 61 * MS);
	assert_in_range(vcpu_cpu_time(u2->vcpu[1]) - start[1], 39 * MS, 61 * MS);
}

/* Whoever schedules all the time in steps of next to nothing is charged all the same. */
static void short_turns_are_not_free(void **state)
{
	struct vcpu *a = u1->vcpu[0], *b = u2->vcpu[0];
	u64 start;

	all_down();
	assert_int_equal(set_share(1, 65535, 0), 0);
	up(a, BIT(1));
	run_kicked();
	start = a->vruntime;
	for (unsigned int i = 0; i < 1000; i++) {
		host.now += 100;
		run_hart(1);
	}
	assert_true(a->vruntime - start >= 1000);
	up(b, BIT(1));
	run_kicked();
}

/* Pins let run times drift apart by hours; one of little weight has a thousand times that. Nobody waits for it afterwards. */
static void weights_and_pins(void **state)
{
	struct vcpu *light = u1->vcpu[0], *other = u2->vcpu[0];
	u64 start;

	all_down();
	assert_int_equal(set_share(1, 16, 0), 0);
	up(light, BIT(1));
	up(other, BIT(2));
	pass(60000 * MS);
	vcpu_pin(light, BIT(2));
	run_kicked();
	start = vcpu_cpu_time(light);
	pass(5000 * MS);
	/* A seventeenth, and what it may be ahead: four slices of its own are 640 ms of the other's. */
	assert_in_range(vcpu_cpu_time(light) - start, 200 * MS, 400 * MS);
}

/* ---- caps ---- */

static void cap_of_one_that_is_alone(void **state)
{
	u64 start, reached = 0;

	all_down();
	up(u1->vcpu[0], BIT(1));
	pass(3600 * 1000 * MS / 1000); /* whatever it had before there was a cap is not owed */
	assert_int_equal(set_share(1, 0, 30), 0);
	start = had(u1);
	for (unsigned int i = 0; i < 2000; i++) {
		pass(MS);
		/* It waits for a hart, and says so, while it is kept from one. */
		reached += u1->share.spent;
		assert_int_equal(u1->vcpu[0]->runstate,
				 u1->vcpu[0]->running ? RUNSTATE_running : RUNSTATE_runnable);
	}
	assert_share(had(u1) - start, 2000 * MS, 30, 100);
	assert_true(reached);
	/* Without a cap it has all, from now on. */
	assert_int_equal(set_share(1, 0, 0), 0);
	run_kicked();
	start = had(u1);
	pass(100 * MS);
	assert_int_equal(had(u1) - start, 100 * MS);
	assert_true(host.timer[1] == ~0ULL); /* and no tick */
}

/* It is the domain's, whatever it has of vCPUs and harts; and what it leaves, others have. */
static void cap_of_several(void **state)
{
	u64 start, other;

	all_down();
	for (unsigned int i = 0; i < 2; i++)
		up(u1->vcpu[i], BIT(1) | BIT(2));
	assert_int_equal(set_share(1, 0, 30), 0);
	start = had(u1);
	pass(2000 * MS);
	assert_share(had(u1) - start, 2000 * MS, 30, 100);
	assert_int_equal(set_share(1, 0, 130), 0);
	start = had(u1);
	pass(2000 * MS);
	assert_share(had(u1) - start, 2000 * MS, 130, 100);
	assert_int_equal(set_share(1, 0, 20), 0);
	up(u2->vcpu[0], BIT(1));
	up(u2->vcpu[1], BIT(2));
	start = had(u1);
	other = had(u2);
	pass(2000 * MS);
	assert_share(had(u1) - start, 2000 * MS, 20, 100);
	assert_share(had(u2) - other, 4000 * MS, 90, 100);
	/* A cap that is more than it can use stops nobody. */
	assert_int_equal(set_share(1, 0, 65535), 0);
	start = had(u1);
	pass(2000 * MS);
	assert_share(had(u1) - start, 4000 * MS, 1, 2);
}

/* What it does not use is not saved up for longer than a period. */
static void cap_of_one_that_sleeps(void **state)
{
	struct vcpu *v = u1->vcpu[0];
	u64 start;

	all_down();
	assert_int_equal(set_share(1, 0, 30), 0);
	up(v, BIT(1));
	pass(500 * MS);
	down(v);
	pass(10000 * MS);
	up(v, BIT(1));
	start = had(u1);
	pass(500 * MS);
	assert_in_range(had(u1) - start, 145 * MS, 155 * MS);
	/* One that needs less than its cap never meets it. */
	for (unsigned int i = 0; i < 200; i++) {
		down(v);
		pass(9 * MS);
		up(v, BIT(1));
		run_kicked();
		assert_true(v->running || i < 2);
		pass(MS);
		assert_true(!u1->share.spent || i < 2);
	}
}

/* Pausing, waking, blocking and dying while the cap has been reached: nothing runs before its time, and nothing is lost. */
static void what_happens_to_one_that_is_kept(void **state)
{
	struct vcpu *v = u1->vcpu[0], *w = u1->vcpu[1];
	u64 start;

	all_down();
	assert_int_equal(set_share(1, 0, 10), 0);
	up(v, BIT(1));
	run_kicked();
	while (!u1->share.spent)
		pass(50 * US);
	assert_ptr_equal(run_hart(1), host.idle->vcpu[1]);
	up(w, BIT(2)); /* comes while its domain is kept */
	vcpu_wake(v);
	run_kicked();
	assert_false(v->running || v->on_queue || w->running || w->on_queue);
	vcpu_pause(v); /* waits for nobody: it is on no hart */
	assert_int_equal(v->runstate, RUNSTATE_offline);
	pass(100 * MS);
	assert_false(v->running);
	assert_in_range(vcpu_cpu_time(w), 1, 20 * MS);
	vcpu_unpause(v);
	start = had(u1);
	pass(1000 * MS);
	assert_share(had(u1) - start, 1000 * MS, 10, 100);
	while (!u1->share.spent)
		pass(50 * US);
	kill_domain(u1); /* its timer goes with it */
	pass(100 * MS);
}

/* ---- preferred harts ---- */

static void preferred_harts(void **state)
{
	struct vcpu *v = u1->vcpu[0], *w = u2->vcpu[0], *x = u2->vcpu[1], *y = u1->vcpu[1];

	all_down();
	v->hart = 0;
	vcpu_prefer(v, BIT(2));
	up(v, 0);
	assert_true(host.kicked == BIT(2)); /* not where it ran last */
	run_kicked();
	assert_true(v->running && v->hart == 2);
	/* Somebody else has that one alone: it runs elsewhere, and comes back when that one sleeps. */
	down(v);
	up(w, BIT(2));
	run_kicked();
	up(v, 0);
	run_kicked();
	assert_true(v->running && v->hart != 2 && w->hart == 2);
	down(w);
	assert_true(v->running && v->hart == 2);
	/* It is moved when what it prefers changes, and nowhere when there is no such hart for it. */
	vcpu_prefer(v, BIT(3));
	run_kicked();
	assert_true(v->running && v->hart == 3);
	vcpu_pin(v, BIT(0) | BIT(1));
	run_kicked();
	assert_true(v->running && v->hart < 2);
	/* Of two that wait the one that likes the hart goes first, if they are not far apart. The other's is another's for long. */
	down(v);
	up(y, BIT(3));
	run_kicked();
	y->vruntime = 0;
	v->preferred = BIT(3);
	w->preferred = BIT(1);
	v->vruntime = x->vruntime;
	w->vruntime = v->vruntime + MS;
	up(x, BIT(1));
	run_kicked();
	assert_true(x->running);
	up(v, BIT(1) | BIT(3));
	up(w, BIT(1));
	host.now += 20 * MS;
	assert_ptr_equal(run_hart(1), w);
	down(x);
	host.now += 20 * MS;
	assert_ptr_equal(run_hart(1), v);
}

static long prefer(struct domain *d, u8 *hard, u8 *soft)
{
	struct xen_domctl op = { 0 };
	struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;

	a->flags = (hard ? XEN_VCPUAFFINITY_HARD : 0) | (soft ? XEN_VCPUAFFINITY_SOFT : 0);
	set_xen_guest_handle(a->cpumap_hard.bitmap, hard);
	set_xen_guest_handle(a->cpumap_soft.bitmap, soft);
	a->cpumap_hard.nr_bits = a->cpumap_soft.nr_bits = 8;
	return domctl(d->id, XEN_DOMCTL_setvcpuaffinity, &op);
}

static void soft_affinity(void **state)
{
	u8 hard = 0x6, soft = 0xc;

	AS(dom0);
	assert_int_equal(prefer(u1, &hard, &soft), 0);
	assert_int_equal(hard, 0x6);
	assert_int_equal(soft, 0x4); /* what they come to together */
	assert_int_equal(u1->vcpu[0]->pinned, 0x6);
	assert_int_equal(u1->vcpu[0]->preferred, 0xc);
	soft = 0xf0; /* none that there is */
	hard = 0x1;
	assert_int_equal(prefer(u1, &hard, &soft), -EINVAL);
	assert_int_equal(u1->vcpu[0]->pinned, 0x6); /* neither of the two */
	assert_int_equal(u1->vcpu[0]->preferred, 0xc);
	soft = 0x1;
	assert_int_equal(prefer(u1, NULL, &soft), 0);
	assert_int_equal(soft, 0);
	soft = 0xff;
	assert_int_equal(prefer(u1, NULL, &soft), 0);
	assert_int_equal(soft, 0x6);
	assert_int_equal(u1->vcpu[0]->preferred, 0);
}

/* ---- wake-ups ---- */

/* One that works 200 us every 10 ms, beside 16 that never sleep, on two harts: it never waits for longer than a millisecond. */
static void interactive_beside_many(void **state)
{
	struct domain *many = make_domain(3, 16, 1);
	struct vcpu *me = u1->vcpu[0];
	u64 longest = 0;

	all_down();
	for (unsigned int i = 0; i < 16; i++) {
		many->vcpu[i]->pinned = BIT(1) | BIT(2);
		run_kicked();
	}
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	me->pinned = BIT(1) | BIT(2);
	pass(500 * MS);
	for (unsigned int n = 0; n < 300; n++) {
		u64 woken = host.now;

		clear_bit(VPF_DOWN, &me->pause_flags);
		vcpu_wake(me);
		while (run_kicked(), !me->running)
			pass(50 * US);
		longest = max(longest, host.now - woken);
		pass(200 * US);
		down(me);
		pass(9800 * US + n % 7 * 300 * US);
	}
	assert_in_range(longest, 0, MS);
	/* All of both harts went to somebody. */
	assert_false(host.current[1]->domain->is_idle || host.current[2]->domain->is_idle);
}

static long ratelimit(u32 cmd, u32 *us)
{
	struct xen_sysctl op = { .u.scheduler_op = { .sched_id = XEN_SCHEDULER_CREDIT2,
						     .cmd = cmd,
						     .u.sched_credit2.ratelimit_us = *us } };
	struct vcpu *curr = host.current[host.hart];
	long rc;

	AS(dom0);
	rc = sysctl(XEN_SYSCTL_scheduler_op, &op);
	become(curr);
	*us = op.u.scheduler_op.u.sched_credit2.ratelimit_us;
	return rc;
}

static void rate_limit(void **state)
{
	struct vcpu *v = u1->vcpu[0], *w = u2->vcpu[0];
	u32 us = 99, woken;

	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_getinfo, &us), 0);
	assert_int_equal(us, CPUPOOL_RATELIMIT_NS / 1000);
	us = 99;
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_putinfo, &us), -EINVAL);
	us = 500001;
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_putinfo, &us), -EINVAL);
	us = 3000;
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_putinfo, &us), 0);
	us = 0;
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_getinfo, &us), 0);
	assert_int_equal(us, 3000);
	all_down();
	up(w, BIT(1));
	pass(100 * MS);
	down(w);
	pass(100 * MS);
	up(v, BIT(1));
	run_kicked();
	pass(MS);
	v->vruntime += 50 * MS;
	up(w, BIT(1)); /* would run at once */
	for (woken = 0; run_kicked(), !w->running; woken += 50)
		pass(50 * US);
	assert_in_range(woken, 1900, 2100);
	/* One that sleeps goes at once; and without a limit so does one that has just come. */
	pass(MS);
	down(w);
	assert_true(v->running);
	us = 0;
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_putinfo, &us), 0);
	v->vruntime += 50 * MS;
	up(w, BIT(1));
	run_kicked();
	assert_true(w->running);
}

/* ---- the hypercalls ---- */

static void who_may_and_what(void **state)
{
	struct xen_domctl op = { .u.scheduler_op = { .sched_id = XEN_SCHEDULER_CREDIT2,
						     .cmd = XEN_DOMCTL_SCHEDOP_getinfo } };
	struct xen_domctl_scheduler_op *a = &op.u.scheduler_op;
	struct xen_sysctl sys = { .u.scheduler_op = { .sched_id = XEN_SCHEDULER_CREDIT2,
						      .cmd = XEN_SYSCTL_SCHEDOP_getinfo } };

	AS(dom0);
	assert_int_equal(domctl(1, XEN_DOMCTL_scheduler_op, &op), 0);
	assert_int_equal(a->u.credit2.weight, 256);
	assert_int_equal(a->u.credit2.cap, 0);
	assert_int_equal(set_share(1, 1000, 150), 0);
	assert_int_equal(set_share(1, 0, 40), 0); /* the weight stays */
	assert_int_equal(domctl(1, XEN_DOMCTL_scheduler_op, &op), 0);
	assert_int_equal(a->u.credit2.weight, 1000);
	assert_int_equal(a->u.credit2.cap, 40);
	assert_int_equal(domctl(2, XEN_DOMCTL_scheduler_op, &op), 0);
	assert_int_equal(a->u.credit2.weight, 256);
	assert_int_equal(domctl(DOMID_SELF, XEN_DOMCTL_scheduler_op, &op), 0);
	assert_int_equal(domctl(9, XEN_DOMCTL_scheduler_op, &op), -ESRCH);
	for (a->cmd = XEN_DOMCTL_SCHEDOP_putvcpuinfo; a->cmd < 5; a->cmd++)
		assert_int_equal(domctl(1, XEN_DOMCTL_scheduler_op, &op), -EINVAL);
	a->cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	a->sched_id = XEN_SCHEDULER_CREDIT;
	assert_int_equal(domctl(1, XEN_DOMCTL_scheduler_op, &op), -EINVAL);
	sys.u.scheduler_op.cpupool_id = 1;
	assert_int_equal(sysctl(XEN_SYSCTL_scheduler_op, &sys), -ESRCH);
	sys.u.scheduler_op.cpupool_id = 0;
	sys.u.scheduler_op.sched_id = XEN_SCHEDULER_RTDS;
	assert_int_equal(sysctl(XEN_SYSCTL_scheduler_op, &sys), -EINVAL);
	sys.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	sys.u.scheduler_op.cmd = 2;
	assert_int_equal(sysctl(XEN_SYSCTL_scheduler_op, &sys), -EINVAL);
	/* A guest may not, not even for itself. */
	AS(u1);
	a->sched_id = XEN_SCHEDULER_CREDIT2;
	assert_int_equal(domctl(1, XEN_DOMCTL_scheduler_op, &op), -EPERM);
	assert_int_equal(domctl(DOMID_SELF, XEN_DOMCTL_scheduler_op, &op), -EPERM);
	assert_int_equal(sysctl(XEN_SYSCTL_scheduler_op, &sys), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(weights_on_one_hart),
		TEST(weights_on_two_harts),
		TEST(least_and_most),
		TEST(short_turns_are_not_free),
		TEST(weights_and_pins),
		TEST(cap_of_one_that_is_alone),
		TEST(cap_of_several),
		TEST(cap_of_one_that_sleeps),
		TEST(what_happens_to_one_that_is_kept),
		TEST(preferred_harts),
		TEST(soft_affinity),
		TEST(interactive_beside_many),
		TEST(rate_limit),
		TEST(who_may_and_what),
	};

	return RUN(tests);
}
