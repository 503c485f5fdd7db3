// SPDX-License-Identifier: BSD-2-Clause
/*
 * CPU pools: who may be where while harts and domains change pools under vCPUs that run, wait and sleep, and what is refused.
 */
#include "host.h"

#define MS 1000000ULL
#define ANY XEN_SYSCTL_CPUPOOL_PAR_ANY
#define POOL(op, id, arg) cpupool(XEN_SYSCTL_CPUPOOL_OP_##op, id, arg)

/* ---- short forms ---- */

/* A pool's harts; ~0: there is none. *doms: so many domains. */
static u64 harts_of(u32 id, u32 *doms)
{
	struct xen_sysctl_cpupool_op a = { .op = XEN_SYSCTL_CPUPOOL_OP_INFO, .cpupool_id = id };
	u64 harts = 0;

	set_xen_guest_handle(a.cpumap.bitmap, (u8 *)&harts);
	a.cpumap.nr_bits = 64;
	if (sysctl_cpupool_op(&a) || a.cpupool_id != id)
		return ~0ULL;
	assert_int_equal(a.sched_id, XEN_SCHEDULER_CREDIT2);
	if (doms)
		*doms = a.n_dom;
	return harts;
}

static u64 unused(void)
{
	struct xen_sysctl_cpupool_op a = { .op = XEN_SYSCTL_CPUPOOL_OP_FREEINFO };
	u64 harts = 0;

	set_xen_guest_handle(a.cpumap.bitmap, (u8 *)&harts);
	a.cpumap.nr_bits = 64;
	assert_int_equal(sysctl_cpupool_op(&a), 0);
	return harts;
}

/* A pool with these harts, which are pool 0's. */
static u32 new_pool(u64 harts)
{
	long id = POOL(CREATE, ANY, 0);

	assert_in_range(id, 1, NR_CPUPOOLS - 1);
	for (unsigned int h = 0; h < NR_HARTS; h++) {
		if (!(harts & BIT(h)))
			continue;
		assert_int_equal(POOL(RMCPU, 0, h), 0);
		assert_int_equal(POOL(ADDCPU, id, h), 0);
	}
	return id;
}

/* Two harts are in use: pool 0 keeps hart 0, and the domain has hart 1 in a pool of its own. */
static u32 own_pool_for(domid_t domid)
{
	u32 id;

	for (unsigned int h = 2; h < NR_HARTS; h++)
		assert_int_equal(POOL(RMCPU, 0, h), 0);
	id = new_pool(BIT(1));
	assert_int_equal(POOL(MOVEDOMAIN, id, domid), 0);
	return id;
}

static void all_down(void)
{
	only(0, NULL);
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	run_kicked();
}

static void up(struct vcpu *v)
{
	clear_bit(VPF_DOWN, &v->pause_flags);
	vcpu_wake(v);
	run_kicked();
}

static void pass(u64 ns)
{
	for (u64 end = host.now + ns; host.now < end;) {
		run_kicked();
		advance(min(50000ULL, end - host.now));
	}
	run_kicked();
}

/* None that was kicked has still to run: everybody is where it may be, and none waits while a hart of its own idles. */
static void all_well(void)
{
	u64 idle = machine_harts();
	struct domain *d;
	struct vcpu *v;
	unsigned int i;

	run_kicked();
	list_for_each(d, &domain_list, list) {
		domain_for_each_vcpu(d, v, i) {
			if (!v->running)
				continue;
			assert_true(may_use(v) & BIT(v->hart));
			assert_true(cpupool_harts(d) & BIT(v->hart));
			idle &= ~BIT(v->hart);
		}
	}
	list_for_each(d, &domain_list, list) {
		domain_for_each_vcpu(d, v, i) {
			if (!v->pause_flags && !v->pause_count && !d->pause_count &&
			    !d->share.spent)
				assert_true(v->running || v->on_queue);
			assert_true(!v->on_queue || !(may_use(v) & idle));
		}
	}
}

/* ---- pools ---- */

static void made_and_ended(void **state)
{
	u32 doms;
	long id;

	assert_int_equal(harts_of(0, &doms), machine_harts());
	assert_int_equal(doms, 3);
	assert_int_equal(unused(), 0);
	id = POOL(CREATE, ANY, 0);
	assert_int_equal(id, 1);
	assert_int_equal(harts_of(1, &doms), 0);
	assert_int_equal(doms, 0);
	assert_int_equal(POOL(CREATE, 1, 0), -EEXIST);
	assert_int_equal(POOL(CREATE, 0, 0), -EEXIST);
	assert_int_equal(POOL(CREATE, NR_CPUPOOLS, 0), -EINVAL);
	assert_int_equal(POOL(CREATE, 9, 0), 9);
	assert_int_equal(POOL(CREATE, ANY, 0), 2);
	assert_int_equal(POOL(DESTROY, 9, 0), 0);
	assert_int_equal(POOL(DESTROY, 9, 0), -ENOENT);
	assert_int_equal(POOL(DESTROY, 2, 0), 0);
	assert_int_equal(POOL(DESTROY, 0, 0), -EBUSY);
	assert_int_equal(POOL(DESTROY, ANY, 0), -ENOENT);
	for (id = 2; id < NR_CPUPOOLS; id++)
		assert_int_equal(POOL(CREATE, ANY, 0), id);
	assert_int_equal(POOL(CREATE, ANY, 0), -ENOSPC);
}

static void harts_come_and_go(void **state)
{
	u32 id = new_pool(0);

	assert_int_equal(POOL(RMCPU, 0, 2), 0);
	assert_int_equal(unused(), BIT(2));
	assert_int_equal(POOL(RMCPU, 0, 2), -ENODEV);
	assert_int_equal(POOL(RMCPU, id, 2), -ENODEV);
	assert_int_equal(POOL(RMCPU, 0, NR_HARTS), -EINVAL);
	assert_int_equal(POOL(RMCPU, 0, 64), -EINVAL);
	assert_int_equal(POOL(RMCPU, 7, 1), -ENOENT);
	assert_int_equal(POOL(RMCPU, id, ANY), -EINVAL); /* it has none */
	assert_int_equal(POOL(ADDCPU, id, 1), -ENODEV); /* it is pool 0's */
	assert_int_equal(POOL(ADDCPU, 7, 2), -ENOENT);
	assert_int_equal(POOL(ADDCPU, id, NR_HARTS), -EINVAL);
	assert_int_equal(POOL(ADDCPU, id, ANY), 0);
	assert_int_equal(POOL(ADDCPU, id, ANY), -EINVAL); /* all have their pools */
	assert_int_equal(harts_of(id, NULL), BIT(2));
	assert_int_equal(POOL(DESTROY, id, 0), -EBUSY);
	assert_int_equal(POOL(RMCPU, id, ANY), 0);
	assert_int_equal(POOL(DESTROY, id, 0), 0);
	/* Pool 0's last one stays. */
	assert_int_equal(POOL(RMCPU, 0, ANY), 0);
	assert_int_equal(harts_of(0, NULL), BIT(0) | BIT(1));
	assert_int_equal(POOL(RMCPU, 0, 0), 0);
	assert_int_equal(POOL(RMCPU, 0, 1), -EBUSY);
	assert_int_equal(POOL(RMCPU, 0, ANY), -EBUSY);
	/* And so does that of any pool with a domain. */
	id = new_pool(0);
	assert_int_equal(POOL(MOVEDOMAIN, id, 1), -ENOENT); /* no hart is there */
	assert_int_equal(POOL(ADDCPU, id, 3), 0);
	assert_int_equal(POOL(MOVEDOMAIN, id, 1), 0);
	assert_int_equal(POOL(RMCPU, id, 3), -EBUSY);
	assert_int_equal(POOL(MOVEDOMAIN, 0, 1), 0);
	assert_int_equal(POOL(RMCPU, id, 3), 0);
}

static void domains_move(void **state)
{
	struct xen_domctl op = { 0 };
	u32 id = new_pool(BIT(3)), doms;

	assert_int_equal(POOL(MOVEDOMAIN, id, 1), 0);
	assert_int_equal(POOL(MOVEDOMAIN, id, 1), 0); /* it is there */
	assert_int_equal(harts_of(id, &doms), BIT(3));
	assert_int_equal(doms, 1);
	AS(dom0);
	assert_int_equal(domctl(1, XEN_DOMCTL_getdomaininfo, &op), 0);
	assert_int_equal(op.u.getdomaininfo.cpupool, id);
	assert_int_equal(domctl(2, XEN_DOMCTL_getdomaininfo, &op), 0);
	assert_int_equal(op.u.getdomaininfo.cpupool, 0);
	assert_int_equal(POOL(MOVEDOMAIN, 5, 1), -ENOENT);
	assert_int_equal(POOL(MOVEDOMAIN, id, 9), -ESRCH);
	assert_int_equal(POOL(MOVEDOMAIN, id, 0), -EPERM);
	assert_int_equal(POOL(MOVEDOMAIN, id, DOMID_SELF), -EINVAL);
	assert_int_equal(POOL(MOVEDOMAIN, id, DOMID_IDLE), -EINVAL);
	assert_int_equal(POOL(MOVEDOMAIN, id, 0x10001), -EINVAL);
	assert_int_equal(cpupool_of(dom0), 0);
}

/* Whoever dies is no pool's any more, at once. */
static void dying_ones_hold_none(void **state)
{
	u32 id = new_pool(BIT(1)), doms;

	assert_int_equal(POOL(MOVEDOMAIN, id, 2), 0);
	run_kicked();
	domain_hold(u2);
	host.preempt_every = 1;
	AS(dom0);
	assert_int_equal(domain_kill(u2), -ERESTART);
	host.preempt_every = 0;
	assert_int_equal(harts_of(id, &doms), BIT(1));
	assert_int_equal(doms, 0);
	assert_int_equal(POOL(MOVEDOMAIN, id, 2), -EINVAL);
	assert_int_equal(POOL(RMCPU, id, 1), 0);
	assert_int_equal(POOL(DESTROY, id, 0), 0);
	kill_domain(u2);
	harts_of(0, &doms);
	assert_int_equal(doms, 3);
	domain_put(u2);
	harts_of(0, &doms);
	assert_int_equal(doms, 2);
}

/* XEN_DOMCTL_createdomain's pool; one that cannot be made is in none. */
static void made_in_a_pool(void **state)
{
	struct xen_domctl_createdomain c = default_config(1);
	u32 id = new_pool(BIT(2)), empty = new_pool(0), doms;
	struct domain *d;

	c.cpupool_id = id;
	assert_int_equal(domain_create(5, &c, &d), 0);
	assert_int_equal(cpupool_of(d), id);
	assert_int_equal(vcpu_create(d, 0), 0);
	assert_int_equal(domain_create(5, &c, &d), -EEXIST);
	c.cpupool_id = empty;
	assert_int_equal(domain_create(6, &c, &d), -EINVAL);
	c.cpupool_id = 40;
	assert_int_equal(domain_create(6, &c, &d), -EINVAL);
	c.cpupool_id = ~0U;
	assert_int_equal(domain_create(6, &c, &d), -EINVAL);
	harts_of(id, &doms);
	assert_int_equal(doms, 1);
}

/* ---- under vCPUs ---- */

static void hart_taken_from_one_that_runs(void **state)
{
	struct vcpu *v[] = { u1->vcpu[0], u1->vcpu[1], u2->vcpu[0] };
	u32 id;

	all_down();
	for (unsigned int i = 0; i < 3; i++)
		up(v[i]);
	all_well();
	/* The vCPU is on another hart as soon as its own has been told; none has slept. */
	assert_int_equal(POOL(RMCPU, 0, v[0]->hart), 0);
	all_well();
	assert_true(v[0]->running && v[1]->running && v[2]->running);
	assert_int_equal(POOL(RMCPU, 0, v[0]->hart), 0);
	all_well();
	assert_int_equal(v[0]->running + v[1]->running + v[2]->running, 2);
	pass(100 * MS);
	all_well();
	/* It comes back: the one that waits gets it. */
	assert_int_equal(POOL(ADDCPU, 0, ANY), 0);
	all_well();
	assert_true(v[0]->running && v[1]->running && v[2]->running);
	/* Another pool's hart is of no use to those who wait. */
	id = new_pool(0);
	assert_int_equal(POOL(ADDCPU, id, ANY), 0);
	assert_int_equal(POOL(RMCPU, 0, v[0]->hart), 0);
	all_well();
	assert_true(host.current[fls64(harts_of(id, NULL)) - 1]->domain->is_idle);
	assert_int_equal(POOL(MOVEDOMAIN, id, 2), 0);
	all_well();
	assert_true(v[0]->running && v[1]->running && v[2]->running);
	assert_int_equal(BIT(v[2]->hart), harts_of(id, NULL));
}

/* The hart that the pool's one vCPU runs on is that of whoever takes it away. */
static void hart_taken_by_one_that_runs_there(void **state)
{
	struct vcpu *v = dom0->vcpu[0];

	all_down();
	up(v);
	host.hart = v->hart;
	become(v);
	assert_int_equal(POOL(RMCPU, 0, v->hart), 0);
	assert_true(host.kicked & BIT(v->hart));
	all_well();
	assert_true(v->running);
}

/* Affinities keep to the pool, and to nothing where they leave none of it; what was asked for comes back with the harts. */
static void affinities(void **state)
{
	struct vcpu *v = u1->vcpu[0];
	u32 id = new_pool(BIT(2) | BIT(3));
	struct xen_domctl op = { .u.vcpuaffinity = { .flags = XEN_VCPUAFFINITY_HARD |
							      XEN_VCPUAFFINITY_SOFT } };
	u8 hard = 0x9, soft = 0xf;

	all_down();
	vcpu_pin(v, BIT(1));
	vcpu_prefer(v, BIT(3));
	up(v);
	assert_int_equal(v->hart, 1);
	assert_int_equal(POOL(MOVEDOMAIN, id, 1), 0);
	all_well();
	assert_int_equal(v->hart, 3); /* all of the pool, and the preferred one first */
	assert_int_equal(POOL(RMCPU, id, 3), 0);
	all_well();
	assert_int_equal(v->hart, 2);
	assert_int_equal(POOL(ADDCPU, id, 3), 0);
	all_well();
	assert_int_equal(v->hart, 3);
	assert_int_equal(POOL(MOVEDOMAIN, 0, 1), 0);
	all_well();
	assert_int_equal(v->hart, 1);
	assert_int_equal(v->pinned, BIT(1));

	assert_int_equal(POOL(MOVEDOMAIN, id, 1), 0);
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &hard);
	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_soft.bitmap, &soft);
	op.u.vcpuaffinity.cpumap_hard.nr_bits = op.u.vcpuaffinity.cpumap_soft.nr_bits = 8;
	AS(dom0);
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpuaffinity, &op), 0);
	assert_int_equal(hard, 0x8); /* what it comes to in the pool */
	assert_int_equal(soft, 0x8);
	assert_int_equal(domctl(1, XEN_DOMCTL_getvcpuaffinity, &op), 0);
	assert_int_equal(hard, 0x9); /* what was asked for */
	hard = 0x3;
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpuaffinity, &op), -EINVAL);
	assert_int_equal(v->pinned, 0x9);
	hard = 0xf;
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpuaffinity, &op), 0);
	assert_int_equal(hard, 0xc);
	assert_int_equal(v->pinned, 0);
}

/* ---- shares ---- */

static u64 had(struct vcpu *v)
{
	return vcpu_cpu_time(v);
}

/* Busy and alone in a pool, then beside others in one that was crowded: it has neither a debt nor a right to the hart. */
static void run_times_are_of_a_pool(void **state)
{
	struct vcpu *v = u1->vcpu[0], *w[] = { u2->vcpu[0], u2->vcpu[1] };
	u32 id;
	u64 start[2];

	all_down();
	id = own_pool_for(1);
	up(v);
	up(w[0]);
	up(w[1]);
	pass(3000 * MS); /* v has had twice what each of the others has */
	for (unsigned int h = 0; h < 2; h++)
		run_hart(h);
	assert_in_range(u1->pool->min_vruntime, v->vruntime - 100 * MS, v->vruntime + 100 * MS);
	assert_in_range(dom0->pool->min_vruntime, w[0]->vruntime - 100 * MS,
			w[0]->vruntime + 100 * MS);
	assert_true(v->vruntime > w[0]->vruntime + 1000 * MS);
	start[0] = had(v);
	start[1] = had(w[0]);
	assert_int_equal(POOL(MOVEDOMAIN, 0, 1), 0);
	assert_in_range(v->vruntime, u1->pool->min_vruntime, u1->pool->min_vruntime + 40 * MS);
	pass(900 * MS);
	assert_in_range(had(v) - start[0], 250 * MS, 350 * MS);
	assert_in_range(had(w[0]) - start[1], 250 * MS, 350 * MS);
	/* And the other way: one that comes from the crowd does not drive away who was alone. */
	assert_int_equal(POOL(MOVEDOMAIN, id, 1), 0);
	pass(3000 * MS);
	start[0] = had(v);
	assert_int_equal(POOL(MOVEDOMAIN, id, 2), 0);
	pass(900 * MS);
	assert_in_range(had(v) - start[0], 250 * MS, 350 * MS);
	all_well();
}

/* Who comes while it waits stands behind those who have had less, as if it had come otherwise. */
static void place_in_the_queue(void **state)
{
	struct vcpu *runs = u2->vcpu[0], *waits = u2->vcpu[1], *comes = u1->vcpu[0];
	u32 id;

	all_down();
	id = own_pool_for(2);
	up(runs);
	up(waits);
	pass(1000 * MS);
	if (!runs->running) {
		waits = runs;
		runs = u2->vcpu[1];
	}
	dom0->pool->min_vruntime = dom0->vcpu[0]->vruntime = comes->vruntime = 500 * MS;
	up(dom0->vcpu[0]);
	up(comes);
	assert_true(runs->running && waits->on_queue && comes->on_queue);
	comes->vruntime = dom0->pool->min_vruntime + 35 * MS;
	waits->vruntime = u2->pool->min_vruntime + 5 * MS;
	assert_int_equal(POOL(MOVEDOMAIN, id, 1), 0);
	assert_true(comes->on_queue);
	assert_in_range(comes->vruntime, u2->pool->min_vruntime + 30 * MS,
			u2->pool->min_vruntime + 40 * MS);
	set_bit(VPF_DOWN, &runs->pause_flags);
	vcpu_sleep_nosync(runs);
	run_kicked();
	assert_true(waits->running);
	all_well();
}

/* Who yields stands behind those of its own pool only: what others have had in theirs is a number of another kind. */
static void yields_in_its_pool(void **state)
{
	struct vcpu *v[] = { dom0->vcpu[0], u1->vcpu[0] }, *w[] = { u2->vcpu[0], u2->vcpu[1] };
	struct vcpu *runs, *waits, *far;

	all_down();
	own_pool_for(2);
	for (unsigned int i = 0; i < 2; i++) {
		up(v[i]);
		up(w[i]);
	}
	pass(100 * MS);
	far = w[0]->on_queue ? w[0] : w[1];
	runs = v[v[1]->running];
	waits = v[!v[1]->running];
	assert_true(far->on_queue && waits->on_queue && runs->hart == 0);
	list_del(&far->run_list);
	far->vruntime += 3600 * 1000 * MS;
	list_add_tail(&far->run_list, &waits->run_list);
	list_del(&waits->run_list);
	list_add_tail(&waits->run_list, &far->run_list);
	host.hart = 0;
	become(runs);
	vcpu_yield();
	assert_in_range(runs->vruntime + runs->yielded, waits->vruntime,
			max(waits->vruntime, runs->vruntime) + 1);
	run_kicked();
	assert_true(waits->running && runs->on_queue);
	all_well();
}

/* Its hart is another pool's already, where all have had hours: who yields before it is told of that takes none of those along. */
static void yields_on_its_way_out(void **state)
{
	struct vcpu *v = u1->vcpu[0], *waits = u2->vcpu[0];
	u32 id;
	u64 had;

	all_down();
	for (unsigned int h = 3; h > 1; h--)
		assert_int_equal(POOL(RMCPU, 0, h), 0);
	id = new_pool(0);
	assert_int_equal(POOL(ADDCPU, id, 3), 0);
	assert_int_equal(POOL(MOVEDOMAIN, id, 2), 0);
	u2->pool->min_vruntime = waits->vruntime = u2->vcpu[1]->vruntime = 3600 * 1000 * MS;
	up(u2->vcpu[1]);
	up(v);
	up(waits);
	assert_true(v->running && waits->on_queue);
	assert_int_equal(POOL(RMCPU, 0, v->hart), 0);
	assert_int_equal(POOL(ADDCPU, id, v->hart), 0);
	host.hart = v->hart;
	become(v);
	had = v->vruntime;
	vcpu_yield();
	assert_in_range(v->vruntime, had, had + MS);
	all_well();
	assert_true(v->running && waits->running);
}

/* Nobody waits for this hart: others who wait in another pool are no reason for a tick. */
static void no_tick_for_others(void **state)
{
	struct vcpu *v = u1->vcpu[0], *w[] = { u2->vcpu[0], u2->vcpu[1] };

	all_down();
	own_pool_for(1);
	up(w[0]);
	up(w[1]);
	up(v);
	all_well();
	assert_true(host.timer[0] != ~0ULL);
	assert_true(host.timer[1] == ~0ULL);
}

static long ratelimit(u32 cmd, u32 id, u32 *us)
{
	struct xen_sysctl_scheduler_op a = { .cpupool_id = id,
					     .sched_id = XEN_SCHEDULER_CREDIT2,
					     .cmd = cmd,
					     .u.sched_credit2.ratelimit_us = *us };
	long rc = sysctl_scheduler_op(&a);

	*us = a.u.sched_credit2.ratelimit_us;
	return rc;
}

static void rate_limit_of_each(void **state)
{
	u32 id = new_pool(BIT(1)), us = 700;

	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_putinfo, id, &us), 0);
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_getinfo, 0, &us), 0);
	assert_int_equal(us, CPUPOOL_RATELIMIT_NS / 1000);
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_getinfo, id, &us), 0);
	assert_int_equal(us, 700);
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_getinfo, 7, &us), -ESRCH);
	/* A new pool has none of what an old one of its number had. */
	assert_int_equal(POOL(RMCPU, id, 1), 0);
	assert_int_equal(POOL(DESTROY, id, 0), 0);
	assert_int_equal(POOL(CREATE, id, 0), id);
	assert_int_equal(ratelimit(XEN_SYSCTL_SCHEDOP_getinfo, id, &us), 0);
	assert_int_equal(us, CPUPOOL_RATELIMIT_NS / 1000);
}

/* ---- who asks ---- */

static void hostile(void **state)
{
	struct xen_sysctl op = { .u.cpupool_op = { .op = XEN_SYSCTL_CPUPOOL_OP_CREATE,
						   .cpupool_id = ANY,
						   .sched_id = XEN_SCHEDULER_CREDIT2 } };
	struct xen_sysctl_cpupool_op *a = &op.u.cpupool_op;
	u8 map[8];

	AS(u1);
	for (a->op = 0; a->op < 9; a->op++)
		assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -EPERM);
	AS(dom0);
	a->op = 0;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -ENOSYS);
	a->op = 8;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -ENOSYS);
	a->op = XEN_SYSCTL_CPUPOOL_OP_CREATE;
	a->sched_id = XEN_SCHEDULER_RTDS;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -ENOENT);
	assert_int_equal(harts_of(1, NULL), ~0ULL);
	a->op = XEN_SYSCTL_CPUPOOL_OP_INFO;
	a->cpupool_id = 0;
	set_xen_guest_handle(a->cpumap.bitmap, NULL);
	a->cpumap.nr_bits = 64;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -EFAULT);
	a->cpumap.nr_bits = ~0U;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -EINVAL);
	set_xen_guest_handle(a->cpumap.bitmap, map);
	memset(map, 0x55, sizeof(map));
	a->cpumap.nr_bits = 12;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), 0);
	assert_int_equal(map[0], machine_harts());
	assert_int_equal(map[1], 0);
	assert_int_equal(map[2], 0x55);
	a->cpupool_id = 1; /* the next one: there is none */
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -ENOENT);
	a->cpupool_id = ~0U;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), -ENOENT);
	assert_int_equal(POOL(CREATE, 4, 0), 4);
	a->cpupool_id = 1;
	assert_int_equal(sysctl(XEN_SYSCTL_cpupool_op, &op), 0);
	assert_int_equal(a->cpupool_id, 4);
}

/* ---- anything, in any order ---- */

static u64 state_now;

static unsigned int any(unsigned int n)
{
	state_now = state_now * 6364136223846793005 + 1442695040888963407;
	return (state_now >> 33) % n;
}

/* Run times of pool n are n of these later, so that none gets into another pool unseen. */
#define OTHER_TIMES (1000000000 * MS)

static void one_more(u32 id)
{
	if (cpupool(XEN_SYSCTL_CPUPOOL_OP_CREATE, id, 0) == id)
		(dom0->pool + id)->min_vruntime = id * OTHER_TIMES;
}

static void share(struct domain *d)
{
	struct xen_domctl_scheduler_op a = { .sched_id = XEN_SCHEDULER_CREDIT2,
					     .cmd = XEN_DOMCTL_SCHEDOP_putinfo,
					     .u.credit2 = { any(2) ? 256 : 1 + any(65535),
							    any(2) ? 0 : 20 + any(200) } };

	assert_int_equal(domctl_scheduler_op(d, &a), 0);
}

static void yield(struct vcpu *v)
{
	if (!v->running)
		return;
	host.hart = v->hart;
	become(v);
	vcpu_yield();
}

static void down_or_up(struct vcpu *v)
{
	if (test_bit(VPF_DOWN, &v->pause_flags)) {
		clear_bit(VPF_DOWN, &v->pause_flags);
		vcpu_wake(v);
	} else {
		set_bit(VPF_DOWN, &v->pause_flags);
		vcpu_sleep_nosync(v);
	}
}

static void something(struct vcpu *v)
{
	switch (any(12)) {
	case 0:
	case 1:
		POOL(RMCPU, any(4), any(NR_HARTS));
		break;
	case 2:
	case 3:
		POOL(ADDCPU, any(4), any(NR_HARTS));
		break;
	case 4:
		POOL(MOVEDOMAIN, any(4), 1 + any(2));
		break;
	case 5:
		if (any(2))
			one_more(1 + any(3));
		else
			POOL(DESTROY, 1 + any(3), 0);
		break;
	case 6:
	case 7:
		down_or_up(v);
		break;
	case 8:
		share(v->domain);
		break;
	case 9:
		yield(v);
		break;
	case 10:
		vcpu_pin(v, any(4) ? 1 + any(BIT(NR_HARTS) - 1) : 0);
		break;
	default:
		vcpu_prefer(v, any(BIT(NR_HARTS)));
		break;
	}
}

/* Nobody has brought another pool's run times along. */
static void times_of_their_pools(struct vcpu *v[])
{
	for (unsigned int i = 0; i < 6; i++)
		assert_in_range(v[i]->vruntime + OTHER_TIMES / 2,
				cpupool_of(v[i]->domain) * OTHER_TIMES,
				(cpupool_of(v[i]->domain) + 1) * OTHER_TIMES);
}

/* Between any of it some of the harts that were kicked have got to it, and others not yet. */
static void anything(void **state)
{
	struct vcpu *v[] = { dom0->vcpu[0], dom0->vcpu[1], u1->vcpu[0],
			     u1->vcpu[1],   u2->vcpu[0],   u2->vcpu[1] };
	unsigned int moved = 0, ran = 0;

	for (state_now = 1; state_now < 4000; state_now++) {
		u64 seed = state_now;

		for (unsigned int n = 0; n < 60; n++) {
			something(v[any(6)]);
			times_of_their_pools(v);
			moved += cpupool_of(u1) != 0;
			if (any(2) && host.kicked)
				run_hart(ffs64(host.kicked) - 1);
			if (!any(4))
				advance(any(20) * MS);
			if (!any(5))
				all_well();
		}
		all_well();
		for (unsigned int i = 0; i < 6; i++)
			ran += v[i]->running;
		state_now = seed;
	}
	assert_true(moved > 10000 && ran > 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(made_and_ended),
		TEST(harts_come_and_go),
		TEST(domains_move),
		TEST(dying_ones_hold_none),
		TEST(made_in_a_pool),
		TEST(hart_taken_from_one_that_runs),
		TEST(hart_taken_by_one_that_runs_there),
		TEST(affinities),
		TEST(run_times_are_of_a_pool),
		TEST(place_in_the_queue),
		TEST(yields_in_its_pool),
		TEST(yields_on_its_way_out),
		TEST(no_tick_for_others),
		TEST(rate_limit_of_each),
		TEST(hostile),
		TEST(anything),
	};

	return RUN(tests);
}
