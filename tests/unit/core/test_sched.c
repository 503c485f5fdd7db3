// SPDX-License-Identifier: BSD-2-Clause
/*
 * The scheduler on four harts: order, waking, blocking, yielding, pausing, affinity, polling.
 */
#include "host.h"

#include <cpupool.h>

#define MS 1000000ULL

static void all_harts_work(void **state)
{
	struct vcpu *seen[NR_HARTS];

	for (unsigned int h = 0; h < NR_HARTS; h++) {
		seen[h] = run_hart(h);
		assert_false(seen[h]->domain->is_idle);
		assert_true(seen[h]->running);
		assert_int_equal(seen[h]->hart, h);
		for (unsigned int i = 0; i < h; i++)
			assert_ptr_not_equal(seen[h], seen[i]);
	}
	/* Two wait; whoever gives its hart away makes room for them. */
	set_bit(VPF_DOWN, &seen[1]->pause_flags);
	vcpu_sleep_nosync(seen[1]);
	assert_true(host.kicked & BIT(1));
	assert_false(run_hart(1)->domain->is_idle);
}

static void shares_are_fair(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0], u2->vcpu[1] };
	u64 start[3];

	only(3, v);
	for (unsigned int i = 0; i < 3; i++)
		start[i] = vcpu_cpu_time(v[i]);
	for (unsigned int i = 0; i < 300; i++) {
		run_hart(0);
		assert_int_not_equal(host.timer[0], ~0ULL); /* a slice, for there is competition */
		advance(10 * MS);
		assert_true(host.kicked & 1); /* its end */
	}
	for (unsigned int i = 0; i < 3; i++)
		assert_in_range(vcpu_cpu_time(v[i]) - start[i], 950 * MS, 1050 * MS);
}

static void a_sleeper_saves_little_up(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0] };
	u64 start;

	only(2, v);
	set_bit(VPF_BLOCKED, &v[1]->pause_flags);
	vcpu_sleep_nosync(v[1]);
	for (unsigned int i = 0; i < 100; i++) {
		run_hart(0);
		advance(10 * MS);
	}
	host.kicked = 0;
	vcpu_unblock(v[1]);
	assert_true(host.kicked); /* somebody looks at the queue */
	assert_ptr_equal(run_hart(0), v[1]); /* at once: it has had less */
	start = vcpu_cpu_time(v[1]);
	for (unsigned int i = 0; i < 100; i++) {
		advance(10 * MS);
		run_hart(0);
	}
	/* Half of what followed and a slice or two, not all of the second it slept. */
	assert_in_range(vcpu_cpu_time(v[1]) - start, 480 * MS, 530 * MS);
}

/* A switch leaves a timer that is early where it is. When it fires whoever is there keeps what is left of its time. */
static void an_early_timer_ends_no_slice(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0] }, *first;
	u64 armed, began;

	only(2, v);
	first = run_hart(0);
	armed = host.timer[0];
	assert_true(armed == host.now + CPUPOOL_RATELIMIT_NS);
	host.now += MS / 5;
	began = host.now;
	assert_int_equal(SCHED(SCHEDOP_yield, NULL), 0);
	assert_ptr_not_equal(run_hart(0), first);
	assert_true(host.timer[0] == armed);
	advance(armed - host.now);
	assert_false(host.kicked & 1);
	assert_true(host.timer[0] == began + CPUPOOL_RATELIMIT_NS);
	advance(host.timer[0] - host.now);
	assert_true(host.kicked & 1);
}

static void alone_there_is_no_slice(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0] };

	only(1, v);
	assert_ptr_equal(run_hart(0), v[0]);
	assert_true(host.timer[0] == ~0ULL);
	assert_ptr_equal(run_hart(1), host.idle->vcpu[1]);
	assert_ptr_equal(run_hart(0), v[0]);
}

/* Three on two harts: the one that was alone until the others came gives its hart up in its turn. */
static void who_was_alone_shares(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0], u2->vcpu[1] };
	u64 start[3];

	only(1, v);
	for (unsigned int i = 0; i < 3; i++)
		v[i]->pinned = BIT(0) | BIT(1);
	assert_ptr_equal(run_hart(0), v[0]);
	run_hart(1);
	advance(1000 * MS);
	host.kicked = 0;
	for (unsigned int i = 1; i < 3; i++) {
		clear_bit(VPF_DOWN, &v[i]->pause_flags);
		vcpu_wake(v[i]);
		if (i == 1) {
			assert_true(host.kicked == BIT(1)); /* it idles */
			assert_ptr_equal(run_hart(1), v[1]);
			host.kicked = 0;
		}
	}
	assert_true(host.kicked & BIT(0));
	for (unsigned int i = 0; i < 3; i++)
		start[i] = vcpu_cpu_time(v[i]);
	for (unsigned int i = 0; i < 3000; i++) {
		u64 kicked = host.kicked;

		host.kicked = 0;
		for (unsigned int h = 0; h < 2; h++) {
			if (kicked & BIT(h))
				run_hart(h);
		}
		advance(MS);
	}
	for (unsigned int i = 0; i < 3; i++)
		assert_in_range(vcpu_cpu_time(v[i]) - start[i], 1900 * MS, 2100 * MS);
}

/* The wakers of two found the same hart idle: it sends for another one when it has taken the first. */
static void two_wake_together(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0] };

	only(0, v);
	run_hart(0);
	run_hart(1);
	host.kicked = 0;
	for (unsigned int i = 0; i < 2; i++) {
		v[i]->hart = 0;
		clear_bit(VPF_DOWN, &v[i]->pause_flags);
		vcpu_wake(v[i]);
	}
	assert_true(host.kicked == BIT(0));
	host.kicked = 0;
	run_hart(0);
	assert_true(host.kicked & BIT(1));
	assert_false(run_hart(1)->domain->is_idle);
}

/* It ran last on that hart, has had so much, and wakes. */
static void wake_on(struct vcpu *v, unsigned int hart, u64 had)
{
	v->hart = hart;
	v->vruntime = had;
	clear_bit(VPF_DOWN, &v->pause_flags);
	vcpu_wake(v);
}

/* Who need not run at once kicks no hart of its waker's: the vCPU there, alone until now, has a slice from then on. */
static void nobody_is_kicked_for_one_that_waits(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0] };

	only(1, v);
	v[0]->pinned = v[1]->pinned = BIT(0);
	assert_ptr_equal(run_hart(0), v[0]);
	assert_true(host.timer[0] == ~0ULL);
	advance(1000 * MS);
	host.kicked = 0;
	wake_on(v[1], 0, v[0]->vruntime + 1000 * MS);
	assert_int_equal(host.kicked, 0);
	assert_true(host.timer[0] == host.now + 10 * MS);
	advance(10 * MS);
	assert_true(host.kicked == BIT(0));
	assert_ptr_equal(run_hart(0), v[1]);
	/* The next one must run at once. */
	set_bit(VPF_BLOCKED, &v[0]->pause_flags);
	vcpu_sleep_nosync(v[0]);
	advance(1000 * MS);
	run_hart(0);
	host.kicked = 0;
	vcpu_unblock(v[0]);
	assert_true(host.kicked == BIT(0));
	assert_ptr_equal(run_hart(0), v[0]);
}

/* No hart idles, or is left to one vCPU for ever, while another one waits that may run on it. */
static void assert_nobody_waits_in_vain(void)
{
	struct domain *all[] = { dom0, u1, u2 };

	for (unsigned int h = 0; h < NR_HARTS; h++) {
		for (unsigned int i = 0; i < 6; i++) {
			struct vcpu *w = all[i / 2]->vcpu[i % 2];

			if (!w->on_queue || (w->pinned && !(w->pinned & BIT(h))))
				continue;
			assert_false(host.current[h]->domain->is_idle);
			assert_true(host.timer[h] != ~0ULL);
		}
	}
}

/* The first that waits is pinned elsewhere: the harts that idle are told of those behind it. */
static void behind_a_pinned_one(void **state)
{
	struct vcpu *p[] = { u1->vcpu[0], u1->vcpu[1] }, *w[] = { u2->vcpu[0], u2->vcpu[1] };

	only(0, w);
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	for (unsigned int i = 0; i < 2; i++) {
		p[i]->pinned = BIT(1);
		wake_on(p[i], 1, 0);
		run_hart(1);
	}
	assert_true(p[0]->on_queue || p[1]->on_queue);
	host.kicked = 0;
	for (unsigned int i = 0; i < 2; i++)
		wake_on(w[i], 2, 50 * MS);
	assert_true(host.kicked == BIT(2)); /* both wakers found it idle */
	run_kicked();
	assert_true(w[0]->running && w[1]->running);
	assert_nobody_waits_in_vain();
}

/* The same where the other hart's vCPU was alone so far: it gets a slice. */
static void behind_a_pinned_one_beside_one_alone(void **state)
{
	struct vcpu *p[] = { u1->vcpu[0], u1->vcpu[1] }, *w[] = { u2->vcpu[0], u2->vcpu[1] };

	only(0, w);
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	w[0]->pinned = BIT(2);
	wake_on(w[0], 2, 50 * MS);
	run_hart(2);
	assert_true(host.timer[2] == ~0ULL);
	for (unsigned int i = 0; i < 2; i++) {
		p[i]->pinned = BIT(1);
		wake_on(p[i], 1, 0);
		run_hart(1);
	}
	/* Hart 1's third one is moved to hart 2, where it may not run before. */
	w[1]->pinned = BIT(1);
	wake_on(w[1], 1, 50 * MS);
	run_kicked();
	assert_true(w[1]->on_queue && w[0]->running);
	vcpu_pin(w[1], BIT(2));
	assert_true(host.kicked & BIT(2));
	run_kicked();
	assert_true(host.timer[2] != ~0ULL);
	/* A slice, which begins when the other one has been there for the rate limit. */
	for (unsigned int i = 0; i < 32; i++) {
		advance(MS);
		run_kicked();
	}
	assert_in_range(w[1]->runstate_time[RUNSTATE_running], 1, 32 * MS);
}

/* Pinning one that runs, waits, or is blocked: it goes where it may, and whoever it makes room for comes. */
static void pinned_in_each_state(void **state)
{
	struct vcpu *a = u1->vcpu[0], *b = u2->vcpu[0];

	only(0, &a);
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	a->pinned = b->pinned = BIT(0);
	wake_on(a, 0, 0);
	run_hart(0);
	wake_on(b, 0, 0);
	run_hart(0);
	host.kicked = 0;
	assert_true(a->running && b->on_queue);
	vcpu_pin(b, BIT(0) | BIT(3)); /* waits */
	assert_true(host.kicked == BIT(3));
	run_kicked();
	assert_true(b->running && b->hart == 3);
	vcpu_pin(b, BIT(3)); /* runs there already */
	assert_false(host.kicked);
	vcpu_pin(b, BIT(0)); /* runs elsewhere */
	run_kicked();
	assert_true(b->on_queue || b->hart == 0);
	set_bit(VPF_DOWN, &b->pause_flags);
	vcpu_sleep_nosync(b);
	run_kicked();
	host.kicked = 0;
	vcpu_pin(b, BIT(2)); /* neither */
	assert_false(host.kicked);
	clear_bit(VPF_DOWN, &b->pause_flags);
	vcpu_wake(b);
	run_kicked();
	assert_true(b->running && b->hart == 2);
}

/* Any pins, wakes, sleeps: after each, when those that were kicked have run, nobody waits in vain. */
static void no_hart_idles_while_one_waits(void **state)
{
	struct domain *all[] = { dom0, u1, u2 };
	unsigned int seed = 7;

	for (unsigned int n = 0; n < 3000; n++) {
		struct vcpu *v = all[rand_r(&seed) % 3]->vcpu[rand_r(&seed) % 2];

		switch (rand_r(&seed) % 4) {
		case 0:
			vcpu_pin(v, rand_r(&seed) % 2 ? rand_r(&seed) % 16 : 0);
			break;
		case 1:
			set_bit(VPF_BLOCKED, &v->pause_flags);
			vcpu_sleep_nosync(v);
			break;
		case 2:
			vcpu_unblock(v);
			break;
		case 3:
			advance(rand_r(&seed) % (20 * MS));
			break;
		}
		run_kicked();
		assert_nobody_waits_in_vain();
	}
}

static void blocking(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];
	struct vcpu_info *info = me->info;

	only(1, v);
	assert_ptr_equal(run_hart(0), me);
	assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
	assert_true(me->pause_flags & BIT(VPF_BLOCKED));
	assert_true(host.kicked & 1);
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	assert_int_equal(me->runstate, RUNSTATE_blocked);
	vcpu_unblock(me);
	assert_int_equal(me->runstate, RUNSTATE_runnable);
	assert_ptr_equal(run_hart(0), me);
	/* Something is pending already: no block. */
	info->evtchn_upcall_pending = 1;
	assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
	assert_false(me->pause_flags);
	info->evtchn_upcall_pending = 0;
	me->arch->has_interrupt = true;
	assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
	assert_false(me->pause_flags);
	me->arch->has_interrupt = false;
	/* The guest's own timer ends it. */
	me->arch->deadline = host.now + 3 * MS;
	assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	advance(2 * MS);
	assert_true(me->pause_flags);
	advance(2 * MS);
	assert_false(me->pause_flags);
	assert_ptr_equal(run_hart(0), me);
	me->arch->deadline = ~0ULL;
}

/* The wake comes between the flag and the switch: nothing is lost. */
static void wake_before_the_switch(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0] }, *me;

	only(2, v);
	me = run_hart(0);
	assert_int_equal(SCHED(SCHEDOP_block, NULL), 0);
	host.hart = 1;
	host.current[1] = host.idle->vcpu[1];
	vcpu_unblock(me); /* still on hart 0 */
	assert_true(me->running);
	assert_false(me->on_queue);
	run_hart(0);
	assert_true(me->running || me->on_queue);
	run_hart(1);
	assert_true(me->running);
}

static void yielding(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0] }, *first;

	only(2, v);
	first = run_hart(0);
	assert_ptr_equal(run_hart(0), first);
	assert_int_equal(SCHED(SCHEDOP_yield, NULL), 0);
	assert_ptr_not_equal(run_hart(0), first);
	assert_false(run_hart(0)->domain->is_idle);
}

static u64 yield_on(unsigned int hart, u64 after)
{
	host.now += after;
	assert_int_equal(SCHED(SCHEDOP_yield, NULL), 0);
	run_hart(hart);
	return after;
}

/* So long on one hart, in steps of a millisecond: what each of n got, in milliseconds. */
static void share_hart(unsigned int hart, unsigned int ms, unsigned int n, struct vcpu *v[],
		       unsigned int got[])
{
	memset(got, 0, n * sizeof(got[0]));
	for (unsigned int t = 0; t < ms; t++) {
		struct vcpu *curr = run_hart(hart);

		host.now += MS;
		for (unsigned int i = 0; i < n; i++)
			got[i] += curr == v[i];
	}
}

/* Two that yield to one another all the time have had what they have had: nobody gets a second alone for that, nor they. */
static void yields_are_no_debt(void **state)
{
	struct vcpu *v[] = { u2->vcpu[0], u1->vcpu[0], u1->vcpu[1] };
	unsigned int got[3];

	only(3, v);
	v[0]->pinned = BIT(1);
	v[1]->pinned = v[2]->pinned = BIT(2);
	run_hart(1);
	run_hart(2);
	for (unsigned int n = 0; n < 1000; n++) {
		struct vcpu *curr = host.current[2];

		yield_on(2, 2000);
		assert_ptr_not_equal(host.current[2], curr);
		assert_false(host.current[2]->domain->is_idle);
	}
	run_hart(1);
	for (unsigned int i = 0; i < 3; i++)
		v[i]->pinned = BIT(1);
	run_hart(2);
	share_hart(1, 900, 3, v, got);
	for (unsigned int i = 0; i < 3; i++)
		assert_in_range(got[i], 280, 320);
}

/* One that yields once beside two that do nothing else waits a slice for it, and has its share afterwards. */
static void one_yield_costs_a_slice(void **state)
{
	struct vcpu *v[] = { u2->vcpu[0], dom0->vcpu[0], u1->vcpu[0], u1->vcpu[1] }, *victim = v[0];
	unsigned int got[2];

	only(4, v);
	set_bit(VPF_DOWN, &victim->pause_flags);
	vcpu_sleep_nosync(victim);
	v[1]->pinned = BIT(1);
	victim->pinned = v[2]->pinned = v[3]->pinned = BIT(2);
	run_hart(1);
	run_hart(2);
	for (unsigned int n = 0; n < 1000; n++)
		yield_on(2, 2000);
	wake_on(victim, 2, 0);
	run_hart(1);
	for (unsigned int n = 0; run_hart(2) != victim; n++) {
		assert_true(n < 3);
		yield_on(2, 2000);
	}
	yield_on(2, 10000);
	assert_false(victim->running);
	for (unsigned int i = 2; i < 4; i++) {
		set_bit(VPF_DOWN, &v[i]->pause_flags);
		vcpu_sleep_nosync(v[i]);
	}
	v[1]->pinned = BIT(2);
	run_hart(1);
	share_hart(2, 900, 2, v, got);
	assert_in_range(got[0], 430, 470);
	assert_in_range(got[1], 430, 470);
}

/* Each that yields lets all the others have a turn before it comes again. */
static void all_have_a_turn(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u1->vcpu[1], u2->vcpu[0], u2->vcpu[1], dom0->vcpu[0] };
	unsigned int turns[5] = { 0 };

	only(5, v);
	for (unsigned int i = 0; i < 5; i++)
		v[i]->pinned = BIT(0);
	run_hart(0);
	for (unsigned int n = 0; n < 500; n++) {
		for (unsigned int i = 0; i < 5; i++)
			turns[i] += host.current[0] == v[i];
		yield_on(0, 2000);
	}
	for (unsigned int i = 0; i < 5; i++)
		assert_in_range(turns[i], 98, 102);
}

/* It gives way each time beside one that never does, and yet is back in two slices at most. */
static void yields_beside_a_hog(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u2->vcpu[0] };
	unsigned int got[2];

	only(2, v);
	v[0]->pinned = v[1]->pinned = BIT(0);
	for (unsigned int n = 0; n < 100; n++) {
		unsigned int waited = 0;

		while (run_hart(0) != v[0]) {
			advance(MS);
			assert_true(++waited <= 21);
		}
		yield_on(0, 10000);
		assert_true(v[1]->running);
	}
	/* It has given its time away: what it gets when it stops yielding is half of what comes. */
	share_hart(0, 900, 2, v, got);
	assert_in_range(got[0], 430, 470);
}

/* Time passes by so many slices, and harts that are kicked do what they are kicked for. */
static void slices(unsigned int n)
{
	while (n--) {
		advance(10 * MS);
		run_kicked();
	}
}

/* Of three, two shared one hart for a long time, one had another one alone. It starves for that neither beside a newcomer... */
static void pins_are_no_debt(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u1->vcpu[1], u2->vcpu[0] }, *newcomer = u2->vcpu[1];
	u64 start[3];

	only(0, v);
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	for (unsigned int i = 0; i < 3; i++) {
		v[i]->pinned = i < 2 ? BIT(1) : BIT(2);
		wake_on(v[i], i < 2 ? 1 : 2, 0);
		run_kicked();
	}
	slices(2000);
	newcomer->pinned = BIT(1) | BIT(2);
	wake_on(newcomer, 1, 0);
	start[2] = vcpu_cpu_time(v[2]);
	slices(200);
	assert_in_range(vcpu_cpu_time(v[2]) - start[2], 900 * MS, 2000 * MS);
	/* ... nor when the pins go. */
	set_bit(VPF_DOWN, &newcomer->pause_flags);
	vcpu_sleep_nosync(newcomer);
	run_kicked();
	for (unsigned int i = 0; i < 3; i++)
		vcpu_pin(v[i], BIT(1) | BIT(2));
	for (unsigned int i = 0; i < 3; i++)
		start[i] = vcpu_cpu_time(v[i]);
	slices(300);
	for (unsigned int i = 0; i < 3; i++)
		assert_in_range(vcpu_cpu_time(v[i]) - start[i], 1200 * MS, 3000 * MS);
}

static void pause_counts(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];

	only(1, v);
	domain_pause(u1);
	vcpu_pause(me);
	vcpu_pause(me);
	assert_false(me->on_queue);
	vcpu_unpause(me);
	domain_unpause(u1);
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	vcpu_unpause(me);
	assert_true(me->on_queue);
	assert_ptr_equal(run_hart(0), me);
	/* From another hart: waits until it has left this one, which the kick brings about. */
	host.hart = 1;
	host.current[1] = host.idle->vcpu[1];
	domain_pause(u1);
	assert_false(me->running);
	assert_int_equal(me->runstate, RUNSTATE_offline);
	domain_unpause(u1);
	assert_ptr_equal(run_hart(1), me);
	/* Paused by itself: runs to its exit path. */
	vcpu_pause(me);
	assert_true(me->running);
	assert_ptr_equal(run_hart(1), host.idle->vcpu[1]);
	vcpu_unpause(me);
}

static void affinity(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];
	u8 map = 0x4, got = 0;
	struct xen_domctl op = { .u.vcpuaffinity = { .flags = XEN_VCPUAFFINITY_HARD } };

	only(1, v);
	assert_ptr_equal(run_hart(0), me);
	host.hart = 3;
	AS(dom0);
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &map);
	op.u.vcpuaffinity.cpumap_hard.nr_bits = 8;
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpuaffinity, &op), 0);
	assert_true(host.kicked & 1);
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	assert_true(host.kicked & BIT(2)); /* where it may go */
	assert_ptr_equal(run_hart(1), host.idle->vcpu[1]);
	assert_ptr_equal(run_hart(2), me);
	host.hart = 3;
	AS(dom0);
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &got);
	assert_int_equal(domctl(1, XEN_DOMCTL_getvcpuaffinity, &op), 0);
	assert_int_equal(got, 4);
	got = 0xf0; /* none of the harts there are */
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpuaffinity, &op), -EINVAL);
	op.u.vcpuaffinity.cpumap_hard.nr_bits = 0;
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpuaffinity, &op), -EINVAL);
	op.u.vcpuaffinity.cpumap_hard.nr_bits = 8;
	op.u.vcpuaffinity.vcpu = 2;
	assert_int_equal(domctl(1, XEN_DOMCTL_getvcpuaffinity, &op), -ESRCH);
	op.u.vcpuaffinity.vcpu = 0;
	got = 0xff;
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpuaffinity, &op), 0);
	assert_int_equal(me->pinned, 0);
	assert_int_equal(got, 0xf);
}

/* ---- polling ---- */

static long poll_ports(evtchn_port_t *ports, unsigned int n, u64 timeout)
{
	struct sched_poll a = { .nr_ports = n, .timeout = timeout };

	set_xen_guest_handle(a.ports, ports);
	return SCHED(SCHEDOP_poll, &a);
}

static void polling(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];
	evtchn_port_t p1, p2, other, ports[129] = { 0 };

	join(u1, u2, &p1, &p2);
	other = unbound(u1, 0);
	AS(host.idle);
	only(1, v);
	assert_ptr_equal(run_hart(0), me);
	set_bit(p1, u1->shared_info->evtchn_mask);
	ports[0] = p1;
	assert_int_equal(poll_ports(ports, 1, 0), 0);
	assert_true(me->pause_flags & BIT(VPF_POLL));
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	/* A masked port wakes, another one does not. */
	host.hart = 1;
	AS(u2);
	assert_int_equal(EVTCHN(EVTCHNOP_send, &(struct evtchn_send){ p2 }), 0);
	assert_false(me->pause_flags);
	assert_ptr_equal(run_hart(0), me);
	assert_int_equal(poll_ports(ports, 1, 0), 0); /* pending: returns at once */
	assert_false(me->pause_flags);
	clear_pending(u1);
	assert_int_equal(poll_ports(ports, 1, host.now + 5 * MS), 0);
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	advance(6 * MS);
	assert_false(me->pause_flags);
	assert_ptr_equal(run_hart(0), me);
	/* Several. */
	ports[1] = other;
	assert_int_equal(poll_ports(ports, 2, 0), 0);
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	host.hart = 1;
	AS(u2);
	assert_int_equal(EVTCHN(EVTCHNOP_send, &(struct evtchn_send){ p2 }), 0);
	assert_false(me->pause_flags);
	assert_ptr_equal(run_hart(0), me);
	clear_pending(u1);
	/* An event that ends a poll ends its timer, which would end a later block too early. */
	assert_int_equal(poll_ports(ports, 2, host.now + 5 * MS), 0);
	assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
	host.hart = 1;
	AS(u2);
	assert_int_equal(EVTCHN(EVTCHNOP_send, &(struct evtchn_send){ p2 }), 0);
	assert_ptr_equal(run_hart(0), me);
	assert_false(me->poll_timer.armed);
	/* Wrong ones leave it running. */
	clear_pending(u1);
	assert_int_equal(poll_ports(ports, 129, 0), -EINVAL);
	assert_int_equal(poll_ports(ports, ~0U, 0), -EINVAL);
	ports[1] = 4096;
	assert_int_equal(poll_ports(ports, 2, 0), -EINVAL);
	ports[1] = ~0U;
	assert_int_equal(poll_ports(ports, 2, 0), -EINVAL);
	assert_int_equal(poll_ports(NULL, 2, 0), -EFAULT);
	assert_false(me->pause_flags);
}

/* What would end a block ends a poll: interrupts of the guest's own, its timer with Sstc above all. */
static void polling_beside_own_interrupts(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0] }, *me = v[0];
	evtchn_port_t port = unbound(u1, 2);

	AS(host.idle);
	only(1, v);
	assert_ptr_equal(run_hart(0), me);
	me->arch->has_interrupt = true;
	assert_int_equal(poll_ports(&port, 1, 0), 0);
	assert_false(me->pause_flags);
	me->arch->has_interrupt = false;
	for (unsigned int with_timeout = 0; with_timeout < 2; with_timeout++) {
		me->arch->deadline = host.now + 3 * MS;
		assert_int_equal(poll_ports(&port, 1, with_timeout ? host.now + 9 * MS : 0), 0);
		assert_ptr_equal(run_hart(0), host.idle->vcpu[0]);
		advance(2 * MS);
		assert_true(me->pause_flags);
		advance(2 * MS);
		assert_false(me->pause_flags);
		assert_ptr_equal(run_hart(0), me);
		assert_false(me->poll_timer.armed);
	}
	/* A timer that the guest has put off since does not end the next one. */
	me->arch->deadline = host.now + 3 * MS;
	assert_int_equal(poll_ports(&port, 1, 0), 0);
	run_hart(0);
	vcpu_unblock(me);
	assert_ptr_equal(run_hart(0), me);
	me->arch->deadline = ~0ULL;
	assert_int_equal(poll_ports(&port, 1, host.now + 9 * MS), 0);
	run_hart(0);
	advance(5 * MS);
	assert_true(me->pause_flags);
	advance(5 * MS);
	assert_false(me->pause_flags);
}

static void death_while_running(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u1->vcpu[1] };

	only(2, v);
	assert_false(run_hart(0)->domain->is_idle);
	assert_false(run_hart(1)->domain->is_idle);
	host.hart = 2;
	host.current[2] = dom0->vcpu[0];
	kill_domain(u1); /* waits for both harts */
	assert_null(domain_get(1));
	assert_true(host.current[0]->domain->is_idle);
	assert_true(host.current[1]->domain->is_idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_harts_work),
		TEST(shares_are_fair),
		TEST(a_sleeper_saves_little_up),
		TEST(an_early_timer_ends_no_slice),
		TEST(alone_there_is_no_slice),
		TEST(who_was_alone_shares),
		TEST(two_wake_together),
		TEST(nobody_is_kicked_for_one_that_waits),
		TEST(behind_a_pinned_one),
		TEST(behind_a_pinned_one_beside_one_alone),
		TEST(pinned_in_each_state),
		TEST(no_hart_idles_while_one_waits),
		TEST(blocking),
		TEST(wake_before_the_switch),
		TEST(yielding),
		TEST(yields_are_no_debt),
		TEST(one_yield_costs_a_slice),
		TEST(all_have_a_turn),
		TEST(yields_beside_a_hog),
		TEST(pins_are_no_debt),
		TEST(pause_counts),
		TEST(affinity),
		TEST(polling),
		TEST(polling_beside_own_interrupts),
		TEST(death_while_running),
	};

	return RUN(tests);
}
