// SPDX-License-Identifier: BSD-2-Clause
/*
 * Domains from creation to death, through domctl and sysctl; shutdown, watchdogs, who may do what.
 */
#define _GNU_SOURCE /* REG_EFL */
#include <signal.h>
#include <ucontext.h>

#include "host.h"

#define DOMCTL_PAUSED(d) (info(d).flags & XEN_DOMINF_paused)

static struct xen_domctl_getdomaininfo info(domid_t id)
{
	struct xen_domctl op = { 0 };

	assert_int_equal(domctl(id, XEN_DOMCTL_getdomaininfo, &op), 0);
	assert_int_equal(op.domain, id);
	return op.u.getdomaininfo;
}

static long create(domid_t *id, struct xen_domctl_createdomain config)
{
	struct xen_domctl op = { .u.createdomain = config };
	long rc = domctl(*id, XEN_DOMCTL_createdomain, &op);

	*id = op.domain;
	return rc;
}

static struct domain *peek(domid_t id)
{
	struct domain *d = domain_get(id);

	if (d)
		domain_put(d);
	return d;
}

/* Neither who comes nor who is asked for costs a walk along all the others: whoever begins one at the first ends here. */
static void no_walk(void **state)
{
	struct list_head *first = domain_list.next;
	domid_t id[3] = { 40, 41, 42 }, late = 39;
	struct xen_domctl op = { 0 };
	struct domain *d;
	unsigned int n = 0;

	assert_int_equal(create(&id[0], default_config(1)), 0);
	domain_list.next = NULL;
	assert_int_equal(create(&id[1], default_config(1)), 0);
	assert_int_equal(create(&id[2], default_config(1)), 0);
	d = domain_next(NULL, id[1]);
	assert_non_null(d);
	assert_int_equal(d->id, id[1]);
	domain_put(d);
	domain_list.next = first;
	/* The order is the same, whatever number comes when. */
	assert_int_equal(create(&late, default_config(1)), 0);
	for (d = domain_next(NULL, late); d; d = domain_next(d, d->id + 1))
		assert_int_equal(d->id, late + n++);
	assert_int_equal(n, 4);
	assert_null(domain_next(NULL, DOMID_SELF));
	for (n = 0; n < 4; n++)
		assert_int_equal(domctl(late + n, XEN_DOMCTL_destroydomain, &op), 0);
}

static void lifecycle(void **state)
{
	struct vcpu_guest_context c = { .flags = VGCF_online | VGCF_in_kernel,
					.user_regs.pc = 0x80200000 },
				  got;
	struct xen_domctl op = { .u.max_vcpus.max = 2 };
	u64 before = heap_free_pages();
	domid_t id = 0;
	struct domain *d;

	assert_int_equal(create(&id, default_config(2)), 0);
	d = peek(id);
	assert_non_null(d);
	assert_int_equal(info(id).flags & 0xffff, XEN_DOMINF_hvm_guest | XEN_DOMINF_hap |
							  XEN_DOMINF_paused | XEN_DOMINF_blocked);
	assert_int_equal(info(id).max_vcpu_id, XEN_INVALID_MAX_VCPU_ID);
	assert_int_equal(domctl(id, XEN_DOMCTL_max_vcpus, &op), 0);
	assert_int_equal(info(id).max_vcpu_id, 1);
	assert_int_equal(info(id).nr_online_vcpus, 0);
	op.u.max_vcpus.max = 3;
	assert_int_equal(domctl(id, XEN_DOMCTL_max_vcpus, &op), -EINVAL);
	op.u.max_vcpus.max = 0;
	assert_int_equal(domctl(id, XEN_DOMCTL_max_vcpus, &op), -EINVAL);
	op.u.max_mem.max_memkb = 64;
	assert_int_equal(domctl(id, XEN_DOMCTL_max_mem, &op), 0);
	assert_int_equal(info(id).max_pages, 16);
	assert_non_null(alloc_domain_pages(d, 4));
	/* Below what it has: it keeps that, and gets no more until it has given some back. */
	op.u.max_mem.max_memkb = 60;
	assert_int_equal(domctl(id, XEN_DOMCTL_max_mem, &op), 0);
	assert_int_equal(info(id).tot_pages, 16);
	assert_int_equal(info(id).max_pages, 15);
	assert_null(alloc_domain_pages(d, 0));
	op.u.vcpucontext.vcpu = 0;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &got);
	assert_int_equal(domctl(id, XEN_DOMCTL_getvcpucontext, &op), -ENODATA);
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
	assert_int_equal(domctl(id, XEN_DOMCTL_setvcpucontext, &op), 0);
	assert_int_equal(info(id).nr_online_vcpus, 1);
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &got);
	assert_int_equal(domctl(id, XEN_DOMCTL_getvcpucontext, &op), 0);
	assert_int_equal(got.user_regs.pc, 0x80200000);
	c.user_regs.pc = 1;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
	assert_int_equal(domctl(id, XEN_DOMCTL_setvcpucontext, &op), -EINVAL);
	set_xen_guest_handle(op.u.vcpucontext.ctxt, NULL);
	assert_int_equal(domctl(id, XEN_DOMCTL_setvcpucontext, &op), -EFAULT);
	op.u.vcpucontext.vcpu = 2;
	assert_int_equal(domctl(id, XEN_DOMCTL_setvcpucontext, &op), -ESRCH);
	assert_int_equal(domctl(id, XEN_DOMCTL_getvcpucontext, &op), -ESRCH);
	assert_int_equal(domctl(id, XEN_DOMCTL_getvcpuinfo, &op), -ESRCH);
	assert_false(d->vcpu[0]->on_queue);
	assert_int_equal(domctl(id, XEN_DOMCTL_unpausedomain, NULL), 0);
	assert_true(d->vcpu[0]->on_queue);
	assert_int_equal(info(id).flags & (XEN_DOMINF_paused | XEN_DOMINF_blocked), 0);
	assert_int_equal(domctl(id, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	assert_int_equal(domctl(id, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_null(peek(id));
	assert_int_equal(domctl(id, XEN_DOMCTL_destroydomain, NULL), -ESRCH);
	assert_int_equal(heap_free_pages(), before);
}

static void creation_errors(void **state)
{
	struct xen_domctl_createdomain good = default_config(1), c;
	u64 before = heap_free_pages();
	domid_t id = 1;

	assert_int_equal(create(&id, good), -EEXIST);
	id = 7;
	c = good;
	c.max_vcpus = 0;
	assert_int_equal(create(&id, c), -EINVAL);
	c = good;
	c.max_vcpus = GUEST_MAX_VCPUS + 1;
	assert_int_equal(create(&id, c), -EINVAL);
	c = good;
	c.max_vcpus = ~0U;
	assert_int_equal(create(&id, c), -EINVAL);
	c = good;
	c.flags = XEN_DOMCTL_CDF_iommu;
	assert_int_equal(create(&id, c), -EINVAL);
	c = good;
	c.grant_opts = 2;
	assert_int_equal(create(&id, c), -EINVAL);
	c = good;
	c.arch.engine = 9;
	assert_int_equal(create(&id, c), -EINVAL);
	c = good;
	c.cpupool_id = 1;
	assert_int_equal(create(&id, c), -EINVAL);
	assert_null(peek(7));
	assert_int_equal(heap_free_pages(), before);
}

/* No memory at any point of the creation: nothing is left behind. */
static void creation_without_memory(void **state)
{
	struct xen_domctl_createdomain config = default_config(64);
	struct page *pg[64];
	unsigned int failed = 0;

	for (unsigned int n = 0; n < 64; n++) {
		struct domain *d = NULL;
		u64 before = heap_free_pages();
		int rc;

		for (unsigned int i = 0; i < n; i++)
			pg[i] = alloc_pages(0);
		take_all_memory();
		for (unsigned int i = 0; i < n; i++)
			free_pages(pg[i], 0);
		rc = domain_create(5, &config, &d);
		for (unsigned int i = 0; !rc && i < 64; i++) {
			if (vcpu_create(d, i)) {
				rc = -ENOMEM;
				break;
			}
		}
		if (d)
			kill_domain(d);
		failed += rc == -ENOMEM;
		give_memory_back();
		assert_int_equal(heap_free_pages(), before);
		assert_null(peek(5));
	}
	assert_in_range(failed, 3, 63);
}

static void numbers_are_not_reused_at_once(void **state)
{
	domid_t a = 0, b = 0, c = DOMID_INVALID;

	assert_int_equal(create(&a, default_config(1)), 0);
	assert_int_equal(domctl(a, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_int_equal(create(&b, default_config(1)), 0);
	assert_int_not_equal(a, b);
	assert_int_equal(create(&c, default_config(1)), 0);
	assert_int_not_equal(c, a);
	assert_int_not_equal(c, b);
	assert_true(c < DOMID_FIRST_RESERVED);
	a = DOMID_FIRST_RESERVED - 1;
	assert_int_equal(create(&a, default_config(1)), 0);
	assert_int_equal(a, DOMID_FIRST_RESERVED - 1);
}

/* As Xen's do. Others' pauses are counted beside the controller's, and are not its to end. */
static void pauses_nest(void **state)
{
	assert_false(DOMCTL_PAUSED(1));
	assert_int_equal(domctl(1, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	for (unsigned int i = 0; i < 255; i++)
		assert_int_equal(domctl(1, XEN_DOMCTL_pausedomain, NULL), 0);
	assert_int_equal(domctl(1, XEN_DOMCTL_pausedomain, NULL), -EOVERFLOW);
	assert_int_equal(u1->pause_count, 255);
	domain_pause_nosync(u1);
	for (unsigned int i = 0; i < 255; i++) {
		assert_true(DOMCTL_PAUSED(1));
		assert_int_equal(domctl(1, XEN_DOMCTL_unpausedomain, NULL), 0);
		assert_false(u1->vcpu[0]->on_queue);
	}
	assert_false(DOMCTL_PAUSED(1));
	assert_int_equal(u1->pause_count, 1);
	assert_int_equal(domctl(1, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	assert_int_equal(u1->pause_count, 1);
	domain_unpause(u1);
	assert_true(u1->vcpu[0]->on_queue);
}

/* The pauser waits for the vCPU to leave its hart; meanwhile another one unpauses. Nobody waits for ever, and it runs. */
static void unpaused_while_the_pause_waits(void **state)
{
	struct vcpu *v = u1->vcpu[0];

	pause_and_unpause_meanwhile();
	assert_true(v->running || v->on_queue);
}

static void death_in_steps(void **state)
{
	struct domain *d;
	int rc, parts = 0;
	u64 before;

	give_memory_back();
	before = heap_free_pages();
	d = make_domain(5, 2, 3000);
	host.preempt_every = 1;
	while ((rc = domain_kill(d)) == -ERESTART) {
		parts++;
		assert_int_equal(d->dying, DOMDYING_DYING);
		assert_null(alloc_domain_pages(d, 0));
	}
	assert_int_equal(rc, 0);
	assert_true(parts > 20); /* P2M and pages in batches of 256 */
	assert_int_equal(heap_free_pages(), before);
	/* The same as a hypercall that continues. */
	d = make_domain(5, 2, 3000);
	AS(dom0);
	host.preempt_every = 2;
	assert_int_equal(domctl(5, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_true(host.restarts > 5);
	assert_int_equal(heap_free_pages(), before);
}

static void a_zombie_until_the_last_reference(void **state)
{
	struct evtchn_bind_virq bind = { .virq = VIRQ_DOM_EXC };
	struct xen_domctl op = { 0 };
	u32 handle;

	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &bind), 0);
	grant_access(u1, 1, 0, RAM_GFN, 0);
	assert_int_equal(map_grant(1, 1, 0x1000, 0, &handle), GNTST_okay);
	assert_int_equal(domctl(1, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_true(pending(dom0, bind.port));
	assert_true(info(1).flags & XEN_DOMINF_dying);
	assert_int_equal(info(1).tot_pages, 1);
	/* What one may try on it. */
	assert_int_equal(domctl(1, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_int_equal(domctl(1, XEN_DOMCTL_pausedomain, NULL), 0);
	assert_int_equal(domctl(1, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	op.u.max_vcpus.max = 2;
	assert_int_equal(domctl(1, XEN_DOMCTL_max_vcpus, &op), 0);
	op.u.settimeoffset.time_offset_seconds = 5;
	assert_int_equal(domctl(1, XEN_DOMCTL_settimeoffset, &op), 0);
	assert_int_equal(domctl(1, XEN_DOMCTL_resumedomain, NULL), 0);
	assert_false(u1->vcpu[0]->on_queue);
	clear_pending(dom0);
	assert_int_equal(unmap_grant(handle, 0x1000), GNTST_okay);
	assert_null(peek(1));
	assert_true(pending(dom0, bind.port)); /* its number is free: told too */
}

/* Another hart of dom0's, while the first is in the middle of destroying u1. */
static void control_meanwhile(void)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_destroydomain,
				 .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
				 .domain = 1 };
	unsigned int first = host.hart;
	domid_t id = 0;

	host.hart = dom0->vcpu[1]->hart;
	assert_int_equal(create(&id, default_config(2)), 0);
	op.u.max_vcpus.max = 2;
	assert_int_equal(domctl(id, XEN_DOMCTL_max_vcpus, &op), 0);
	assert_int_equal(domctl(id, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_int_equal(domctl(2, XEN_DOMCTL_destroydomain, NULL), 0);
	/* The same one: to be tried again, not waited for. */
	op.cmd = XEN_DOMCTL_destroydomain;
	op.domain = 1;
	assert_int_equal(hypercall_dispatch(__HYPERVISOR_domctl, (u64[5]){ U(&op) }), -ERESTART);
	host.hart = first;
}

/* Domains are made and destroyed while one is being destroyed: nobody waits for a lock until that is over. */
static void destruction_keeps_nobody_waiting(void **state)
{
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	assert_true(u1->vcpu[0]->running && dom0->vcpu[0]->running && dom0->vcpu[1]->running);
	host.hart = dom0->vcpu[0]->hart;
	host.on_relax = control_meanwhile; /* it waits for the vCPUs to leave their harts */
	assert_int_equal(domctl(1, XEN_DOMCTL_destroydomain, NULL), 0);
	assert_null(host.on_relax);
	assert_null(peek(1));
	assert_null(peek(2));
}

/* Made twice there is one; made for one that dies, none. */
static void vcpus_made_late(void **state)
{
	struct xen_domctl_createdomain config = default_config(2);
	struct domain *d;

	assert_int_equal(domain_create(9, &config, &d), 0);
	domain_hold(d);
	assert_int_equal(vcpu_create(d, 0), 0);
	assert_int_equal(vcpu_create(d, 0), 0);
	kill_domain(d);
	assert_int_equal(vcpu_create(d, 1), -EINVAL);
	assert_null(d->vcpu[1]);
	domain_put(d);
}

static void shutdown_codes(void **state)
{
	struct evtchn_bind_virq bind = { .virq = VIRQ_DOM_EXC };
	struct sched_shutdown a = { SHUTDOWN_reboot };

	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &bind), 0);
	AS(u1);
	a.reason = SHUTDOWN_MAX + 1;
	assert_int_equal(SCHED(SCHEDOP_shutdown, &a), -EINVAL);
	assert_int_equal(SCHED(SCHEDOP_shutdown_code, &a), -EINVAL);
	a.reason = SHUTDOWN_reboot;
	assert_int_equal(SCHED(SCHEDOP_shutdown, &a), 0);
	assert_true(pending(dom0, bind.port));
	a.reason = SHUTDOWN_poweroff;
	assert_int_equal(SCHED(SCHEDOP_shutdown, &a), 0); /* too late: the first one counts */
	AS(dom0);
	assert_true(info(1).flags & XEN_DOMINF_shutdown);
	assert_int_equal(info(1).flags >> XEN_DOMINF_shutdownshift & 255, SHUTDOWN_reboot);
	assert_false(u1->vcpu[0]->on_queue);
	/* A code given in advance. */
	AS(u2);
	a.reason = SHUTDOWN_crash;
	assert_int_equal(SCHED(SCHEDOP_shutdown_code, &a), 0);
	a.reason = SHUTDOWN_poweroff;
	assert_int_equal(SCHED(SCHEDOP_shutdown, &a), 0);
	assert_int_equal(u2->shutdown_reason, SHUTDOWN_crash);
	/* Resumed after a suspend. */
	AS(dom0);
	assert_int_equal(domctl(1, XEN_DOMCTL_resumedomain, NULL), 0);
	assert_true(u1->vcpu[0]->on_queue);
	assert_int_equal(u1->shutdown, 0);
	domain_crash(u1, "at %d", 5);
	assert_int_equal(u1->shutdown_reason, SHUTDOWN_crash);
	assert_non_null(strstr(host.console, "d1 crashed: at 5"));
}

#ifdef __x86_64__
/* What another hart does before one instruction of what this one does, the n-th. */
static struct domain *between_d;
static void (*between_fn)(struct domain *d);
static unsigned int instructions, between_at;

static void before_instruction(int signal, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	if (instructions++ != between_at)
		return;
	between_fn(between_d);
	c->uc_mcontext.gregs[REG_EFL] &= ~0x100; /* the rest of it at once */
}

static void single_step(bool on)
{
	if (on)
		__asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq" : : : "memory", "cc");
	else
		__asm__ volatile("pushfq; andl $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

static void crash_it(struct domain *d)
{
	domain_shutdown(d, SHUTDOWN_crash);
}

/*
 * fn on d, the other before each instruction of it in turn (of the first 300: what comes behind tells others of it).
 * Whatever came first, d can be shut down and resumed.
 */
static void interleave(struct domain *d, void (*fn)(struct domain *d),
		       void (*other)(struct domain *d))
{
	struct sigaction step = { .sa_sigaction = before_instruction, .sa_flags = SA_SIGINFO }, old;

	between_d = d;
	between_fn = other;
	sigaction(SIGTRAP, &step, &old);
	for (between_at = 0; between_at < 300; between_at++) {
		instructions = 0;
		if (fn == domain_resume)
			domain_shutdown(d, SHUTDOWN_suspend);
		single_step(true);
		fn(d);
		single_step(false);
		if (instructions <= between_at) /* it was over before */
			break;
		if (d->is_shut_down)
			assert_true(d->has_shutdown_reason);
		else
			assert_int_equal(d->shutdown, 0);
		domain_resume(d);
		domain_shutdown(d, SHUTDOWN_reboot);
		assert_true(d->is_shut_down);
		assert_int_equal(d->shutdown_reason, SHUTDOWN_reboot);
		domain_resume(d);
		assert_int_equal(d->shutdown, 0);
	}
	assert_in_range(between_at, 10, 300);
	sigaction(SIGTRAP, &old, NULL);
}

static void shutdown_meets_resume(void **state)
{
	struct xen_domctl_createdomain config = default_config(1);
	struct domain *d;

	/* Without vCPUs: those take locks. */
	assert_int_equal(domain_create(9, &config, &d), 0);
	interleave(d, domain_resume, crash_it);
	interleave(d, crash_it, domain_resume);
}
#endif

static void remote_shutdown_and_the_machines_end(void **state)
{
	struct sched_remote_shutdown r = { .domain_id = 1, .reason = SHUTDOWN_suspend };
	struct sched_shutdown a;

	AS(dom0);
	assert_int_equal(SCHED(SCHEDOP_remote_shutdown, &r), 0);
	assert_int_equal(u1->shutdown_reason, SHUTDOWN_suspend);
	r.domain_id = 99;
	assert_int_equal(SCHED(SCHEDOP_remote_shutdown, &r), -ESRCH);
	r.reason = SHUTDOWN_MAX + 1;
	assert_int_equal(SCHED(SCHEDOP_remote_shutdown, &r), -EINVAL);
	AS(u2);
	r = (struct sched_remote_shutdown){ .domain_id = 0 };
	assert_int_equal(SCHED(SCHEDOP_remote_shutdown, &r), -EPERM);
	AS(dom0);
	a.reason = SHUTDOWN_poweroff;
	assert_int_equal(END(SCHED(SCHEDOP_shutdown, &a)), POWEROFF);
	a.reason = SHUTDOWN_reboot;
	assert_int_equal(END(SCHED(SCHEDOP_shutdown, &a)), REBOOT);
	a.reason = SHUTDOWN_crash;
	assert_int_equal(END(SCHED(SCHEDOP_shutdown, &a)), FAIL_DOM0);
	assert_int_equal(END(domain_crash(dom0, "gone")), FAIL_DOM0);
}

static void watchdogs(void **state)
{
	struct sched_watchdog w = { .id = 0, .timeout = 2 };

	AS(u1);
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), 1);
	w.timeout = 30;
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), 2);
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), -ENOSPC);
	w.timeout = 0;
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), -EINVAL);
	w.id = 3;
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), -EINVAL);
	w.id = ~0U;
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), -EINVAL);
	advance(1900000000);
	w = (struct sched_watchdog){ .id = 1, .timeout = 2 };
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), 0); /* kicked */
	advance(1900000000);
	assert_false(u1->is_shut_down);
	w.timeout = 0;
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), 0); /* stopped */
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), -EINVAL);
	advance(10000000000);
	assert_false(u1->is_shut_down);
	advance(20000000000); /* the second one */
	assert_true(u1->is_shut_down);
	assert_int_equal(u1->shutdown_reason, SHUTDOWN_watchdog);
	/* Armed at its domain's death. */
	AS(u2);
	w = (struct sched_watchdog){ .id = 0, .timeout = 1 };
	assert_int_equal(SCHED(SCHEDOP_watchdog, &w), 1);
	AS(dom0);
	kill_domain(u2);
	advance(5000000000);
}

static void not_on_oneself(void **state)
{
	struct xen_domctl op = { 0 };

	AS(dom0);
	assert_int_equal(domctl(0, XEN_DOMCTL_pausedomain, NULL), -EINVAL);
	assert_int_equal(domctl(DOMID_SELF, XEN_DOMCTL_pausedomain, NULL), -EINVAL);
	assert_int_equal(domctl(0, XEN_DOMCTL_destroydomain, NULL), -EINVAL);
	assert_int_equal(domctl(0, XEN_DOMCTL_setvcpucontext, &op), -EINVAL);
	assert_int_equal(domctl(0, XEN_DOMCTL_getvcpucontext, &op), -EINVAL);
	assert_int_equal(domctl(99, XEN_DOMCTL_pausedomain, NULL), -ESRCH);
	assert_int_equal(domctl(DOMID_IDLE, XEN_DOMCTL_pausedomain, NULL), -ESRCH);
	assert_int_equal(domctl(1, 0x7fff, NULL), -ENOSYS);
	op.cmd = XEN_DOMCTL_getdomaininfo;
	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION + 1;
	assert_int_equal(HC(__HYPERVISOR_domctl, U(&op)), -EACCES);
	assert_int_equal(HC(__HYPERVISOR_domctl, 0), -EFAULT);
	host.copies_left = 1;
	assert_int_equal(domctl(1, XEN_DOMCTL_getdomaininfo, &op), -EFAULT);
}

static void handle_and_time(void **state)
{
	struct xen_platform_op p = { .cmd = XENPF_settime64,
				     .interface_version = XENPF_INTERFACE_VERSION };
	struct xen_domctl op = { 0 };
	xen_domain_handle_t got;

	AS(dom0);
	for (unsigned int i = 0; i < sizeof(got); i++)
		op.u.setdomainhandle.handle[i] = i;
	assert_int_equal(domctl(1, XEN_DOMCTL_setdomainhandle, &op), 0);
	assert_int_equal(info(1).handle[15], 15);
	AS(u1);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_guest_handle, U(got)), 0);
	assert_int_equal(got[15], 15);
	AS(dom0);
	p.u.settime64.secs = 5000000000ULL; /* beyond 32 bits */
	p.u.settime64.nsecs = 600;
	p.u.settime64.system_time = 100;
	assert_int_equal(HC(__HYPERVISOR_platform_op, U(&p)), 0);
	assert_int_equal(u1->shared_info->wc_sec, (u32)5000000000ULL);
	assert_int_equal(u1->shared_info->wc_sec_hi, 1);
	assert_int_equal(u1->shared_info->wc_nsec, 500);
	assert_int_equal(u1->shared_info->wc_version & 1, 0);
	u1->shared_info->wc_version = ~0U; /* a guest's nonsense */
	op.u.settimeoffset.time_offset_seconds = -10;
	assert_int_equal(domctl(1, XEN_DOMCTL_settimeoffset, &op), 0);
	assert_int_equal(u1->shared_info->wc_sec, (u32)4999999990ULL);
	assert_int_equal(u1->shared_info->wc_version & 1, 0);
	assert_int_equal(u2->shared_info->wc_sec, (u32)5000000000ULL);
	p.u.settime64.nsecs = 1000000000;
	assert_int_equal(HC(__HYPERVISOR_platform_op, U(&p)), -EINVAL);
	p.u.settime64.nsecs = 0;
	p.u.settime64.mbz = 1;
	assert_int_equal(HC(__HYPERVISOR_platform_op, U(&p)), -EINVAL);
	p.cmd = XENPF_add_memtype;
	assert_int_equal(HC(__HYPERVISOR_platform_op, U(&p)), -ENOSYS);
	p.interface_version = 0;
	assert_int_equal(HC(__HYPERVISOR_platform_op, U(&p)), -EACCES);
}

static bool start_could_come;

static void hart_start_comes(void)
{
	start_could_come = spin_trylock(&u1->lock);
	if (start_could_come)
		spin_unlock(&u1->lock);
}

/*
 * VCPUOP_down of one that waits: until it is off the queue, a hart may take it. SBI hart_start, which writes the registers of
 * one that is down and on no hart, does not come before that.
 */
static void down_is_off_the_queue_before_it_may_be_started(void **state)
{
	struct vcpu *v = u1->vcpu[1];

	AS(u1);
	/* Taken just now: so there is a kick when it is looked for, on the queue and on harts. */
	v->running = true;
	host.on_kick = hart_start_comes;
	assert_int_equal(VCPUOP(VCPUOP_down, 1, NULL), 0);
	v->running = false;
	assert_null(host.on_kick);
	assert_false(v->on_queue);
	assert_false(start_could_come);
}

static void vcpus(void **state)
{
	struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = host.now + 1000 };
	struct evtchn_bind_virq bind = { .virq = VIRQ_TIMER };
	struct vcpu_guest_context c = { .user_regs.pc = 0x2000 };
	struct xen_domctl op = { 0 };
	struct domain *d;

	AS(u1);
	assert_int_equal(VCPUOP(VCPUOP_is_up, 1, NULL), 1);
	assert_int_equal(VCPUOP(VCPUOP_down, 1, NULL), 0);
	assert_int_equal(VCPUOP(VCPUOP_is_up, 1, NULL), 0);
	assert_false(u1->vcpu[1]->on_queue);
	assert_int_equal(VCPUOP(VCPUOP_up, 1, NULL), 0);
	assert_true(u1->vcpu[1]->on_queue);
	assert_int_equal(VCPUOP(VCPUOP_is_up, 2, NULL), -ENOENT);
	assert_int_equal(VCPUOP(VCPUOP_is_up, ~0UL, NULL), -ENOENT);
	assert_int_equal(VCPUOP(VCPUOP_is_up, 1UL << 32, NULL), -ENOENT);
	assert_int_equal(VCPUOP(VCPUOP_initialise, 1, NULL), -EFAULT);
	assert_int_equal(VCPUOP(VCPUOP_initialise, 1, &c), -EEXIST);
	assert_int_equal(VCPUOP(99, 1, NULL), -ENOSYS);
	/* One that never had a context is not started. */
	d = make_domain(5, 1, 1);
	d->vcpu[0]->is_initialised = false;
	set_bit(VPF_DOWN, &d->vcpu[0]->pause_flags);
	vcpu_sleep_nosync(d->vcpu[0]);
	AS(d);
	assert_int_equal(VCPUOP(VCPUOP_up, 0, NULL), -EINVAL);
	c.user_regs.pc = 1; /* what no hart could hold */
	assert_int_equal(VCPUOP(VCPUOP_initialise, 0, &c), -EINVAL);
	assert_int_equal(VCPUOP(VCPUOP_up, 0, NULL), -EINVAL);
	c.user_regs.pc = 0x2000;
	assert_int_equal(VCPUOP(VCPUOP_initialise, 0, &c), 0);
	assert_int_equal(VCPUOP(VCPUOP_is_up, 0, NULL), 0);
	assert_int_equal(VCPUOP(VCPUOP_up, 0, NULL), 0);
	assert_true(d->vcpu[0]->on_queue);
	/* The last one's end is the domain's. */
	assert_int_equal(VCPUOP(VCPUOP_down, 0, NULL), 0);
	assert_true(d->is_shut_down);
	assert_int_equal(d->shutdown_reason, SHUTDOWN_poweroff);
	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &bind), 0);
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 1, &t), -EINVAL); /* its own only */
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 0, &t), 0);
	advance(2000);
	assert_true(pending(u1, bind.port));
	clear_pending(u1);
	t.flags = VCPU_SSHOTTMR_future;
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 0, &t), -ETIME);
	t.flags = 0;
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 0, &t), 0); /* past: at once */
	advance(1);
	assert_true(pending(u1, bind.port));
	clear_pending(u1);
	t.timeout_abs_ns = host.now + 1000;
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 0, &t), 0);
	assert_int_equal(VCPUOP(VCPUOP_stop_singleshot_timer, 0, NULL), 0);
	assert_int_equal(VCPUOP(VCPUOP_stop_singleshot_timer, 1, NULL), -EINVAL);
	advance(2000);
	assert_false(pending(u1, bind.port));
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 0, NULL), -EFAULT);
	AS(dom0);
	op.u.getvcpuinfo.vcpu = 1;
	assert_int_equal(domctl(1, XEN_DOMCTL_getvcpuinfo, &op), 0);
	assert_int_equal(op.u.getvcpuinfo.online, 1);
	assert_int_equal(op.u.getvcpuinfo.blocked, 0);
	assert_int_equal(op.u.getvcpuinfo.running, 0);
}

/* A vCPU that gets new registers while it waits for something begins with them: it waits no more. */
static void new_registers_wait_for_nothing(void **state)
{
	struct vcpu_guest_context c = { .flags = VGCF_online | VGCF_in_kernel,
					.user_regs.pc = 0x3000 };
	struct xen_domctl op = { .u.vcpucontext.vcpu = 0 };
	struct sched_poll poll = { .timeout = host.now + 1000000 };
	struct vcpu *v = u1->vcpu[0];
	evtchn_port_t port = unbound(u1, 2);

	set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
	for (unsigned int polls = 0; polls < 2; polls++) {
		AS(u1);
		set_xen_guest_handle(poll.ports, &port);
		poll.nr_ports = polls;
		assert_int_equal(SCHED(polls ? SCHEDOP_poll : SCHEDOP_block, polls ? &poll : NULL),
				 0);
		assert_int_not_equal(v->pause_flags, 0);
		vcpu_sleep_nosync(v);
		assert_false(v->on_queue);
		AS(dom0);
		assert_int_equal(domctl(1, XEN_DOMCTL_setvcpucontext, &op), 0);
		assert_int_equal(v->pause_flags, 0);
		assert_true(v->on_queue);
		assert_false(v->poll_timer.armed);
	}
	/* Given registers and left down. */
	c.flags = VGCF_in_kernel;
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpucontext, &op), 0);
	assert_int_equal(v->pause_flags, BIT(VPF_DOWN));
	assert_false(v->on_queue);
}

/* Many vCPUs are made one after another, with stops. */
static void many_vcpus_are_made_in_pieces(void **state)
{
	struct xen_domctl_createdomain config = default_config(GUEST_MAX_VCPUS);
	struct xen_domctl op = { .u.max_vcpus.max = GUEST_MAX_VCPUS };
	struct domain *d;

	assert_int_equal(domain_create(9, &config, &d), 0);
	AS(dom0);
	host.preempt_every = 1;
	assert_int_equal(domctl(9, XEN_DOMCTL_max_vcpus, &op), 0);
	assert_int_equal(host.restarts, GUEST_MAX_VCPUS - 1);
	for (unsigned int i = 0; i < GUEST_MAX_VCPUS; i++)
		assert_non_null(d->vcpu[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lifecycle),
		TEST(no_walk),
		TEST(creation_errors),
		TEST(creation_without_memory),
		TEST(numbers_are_not_reused_at_once),
		TEST(pauses_nest),
		TEST(unpaused_while_the_pause_waits),
		TEST(death_in_steps),
		TEST(a_zombie_until_the_last_reference),
		TEST(destruction_keeps_nobody_waiting),
		TEST(vcpus_made_late),
		TEST(shutdown_codes),
#ifdef __x86_64__
		TEST(shutdown_meets_resume),
#endif
		TEST(remote_shutdown_and_the_machines_end),
		TEST(watchdogs),
		TEST(not_on_oneself),
		TEST(handle_and_time),
		TEST(down_is_off_the_queue_before_it_may_be_started),
		TEST(vcpus),
		TEST(new_registers_wait_for_nothing),
		TEST(many_vcpus_are_made_in_pieces),
	};

	return RUN(tests);
}
