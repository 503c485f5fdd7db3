// SPDX-License-Identifier: BSD-2-Clause
/*
 * Event channels: every operation, its errors, delivery, both ends' deaths.
 */
#include "host.h"

#define MAX_PORT 4095

static long bind_interdomain(domid_t dom, evtchn_port_t port, evtchn_port_t *local)
{
	struct evtchn_bind_interdomain a = { .remote_dom = dom, .remote_port = port };
	long rc = EVTCHN(EVTCHNOP_bind_interdomain, &a);

	if (local)
		*local = a.local_port;
	return rc;
}

static long send(evtchn_port_t port)
{
	struct evtchn_send a = { port };

	return EVTCHN(EVTCHNOP_send, &a);
}

static long close(evtchn_port_t port)
{
	struct evtchn_close a = { port };

	return EVTCHN(EVTCHNOP_close, &a);
}

static long bind_virq(u32 virq, u32 vcpu, evtchn_port_t *port)
{
	struct evtchn_bind_virq a = { .virq = virq, .vcpu = vcpu };
	long rc = EVTCHN(EVTCHNOP_bind_virq, &a);

	*port = a.port;
	return rc;
}

static long bind_ipi(u32 vcpu, evtchn_port_t *port)
{
	struct evtchn_bind_ipi a = { .vcpu = vcpu };
	long rc = EVTCHN(EVTCHNOP_bind_ipi, &a);

	*port = a.port;
	return rc;
}

static long bind_pirq(u32 pirq, evtchn_port_t *port)
{
	struct evtchn_bind_pirq a = { .pirq = pirq, .flags = BIND_PIRQ__WILL_SHARE };
	long rc = EVTCHN(EVTCHNOP_bind_pirq, &a);

	*port = a.port;
	return rc;
}

static long bind_vcpu(evtchn_port_t port, u32 vcpu)
{
	struct evtchn_bind_vcpu a = { port, vcpu };

	return EVTCHN(EVTCHNOP_bind_vcpu, &a);
}

static long unmask(evtchn_port_t port)
{
	struct evtchn_unmask a = { port };

	return EVTCHN(EVTCHNOP_unmask, &a);
}

static struct evtchn_status status(domid_t dom, evtchn_port_t port)
{
	struct evtchn_status a = { .dom = dom, .port = port };

	assert_int_equal(EVTCHN(EVTCHNOP_status, &a), 0);
	return a;
}

static void connect_and_send(void **state)
{
	evtchn_port_t p1, p2;
	struct evtchn_status s;

	join(u1, u2, &p1, &p2);
	/* The end that connects finds its port pending: something may have come before. */
	assert_true(pending(u2, p2));
	assert_false(pending(u1, p1));
	s = status(DOMID_SELF, p2);
	assert_int_equal(s.status, EVTCHNSTAT_interdomain);
	assert_int_equal(s.u.interdomain.dom, 1);
	assert_int_equal(s.u.interdomain.port, p1);
	clear_pending(u2);
	assert_int_equal(send(p2), 0);
	assert_true(pending(u1, p1));
	assert_int_equal(u1->shared_info->vcpu_info[0].evtchn_upcall_pending, 1);
	assert_int_equal(u1->shared_info->vcpu_info[0].evtchn_pending_sel, BIT(p1 / 64));
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 1);
	assert_int_equal(send(p2), 0); /* pending already: no second upcall */
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 1);
	AS(u1);
	assert_int_equal(send(p1), 0);
	assert_true(pending(u2, p2));
}

static void wrong_binds(void **state)
{
	evtchn_port_t port = unbound(u1, 2), other = unbound(u1, 0), local;
	struct evtchn_alloc_unbound a = { .dom = 1, .remote_dom = 2 };

	AS(u2);
	assert_int_equal(bind_interdomain(1, other, NULL), -EINVAL); /* offered to dom0 */
	assert_int_equal(bind_interdomain(1, 0, NULL), -EINVAL);
	assert_int_equal(bind_interdomain(1, port + 2, NULL), -EINVAL);
	assert_int_equal(bind_interdomain(1, 4096, NULL), -EINVAL);
	assert_int_equal(bind_interdomain(1, ~0U, NULL), -EINVAL);
	assert_int_equal(bind_interdomain(99, port, NULL), -ESRCH);
	assert_int_equal(bind_interdomain(DOMID_XEN, port, NULL), -ESRCH);
	assert_int_equal(bind_interdomain(DOMID_SELF, port, NULL), -EINVAL);
	assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), -EPERM); /* in another's name */
	assert_int_equal(bind_interdomain(1, port, &local), 0);
	assert_int_equal(bind_interdomain(1, port, NULL), -EINVAL); /* taken */
	assert_int_equal(EVTCHN(EVTCHNOP_bind_interdomain, NULL), -EFAULT);
	assert_int_equal(EVTCHN(99, &a), -ENOSYS);
	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), 0);
	assert_int_equal(status(1, a.port).status, EVTCHNSTAT_unbound);
	assert_int_equal(status(1, a.port).u.unbound.dom, 2);
	a.dom = 99;
	assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), -ESRCH);
}

static void a_domain_may_talk_to_itself(void **state)
{
	evtchn_port_t a = unbound(u1, DOMID_SELF), b;

	assert_int_equal(status(DOMID_SELF, a).u.unbound.dom, 1);
	assert_int_equal(bind_interdomain(DOMID_SELF, a, &b), 0);
	clear_pending(u1);
	assert_int_equal(send(b), 0);
	assert_true(pending(u1, a));
	assert_int_equal(close(a), 0);
	assert_int_equal(status(DOMID_SELF, b).status, EVTCHNSTAT_unbound);
	assert_int_equal(close(b), 0);
	assert_int_equal(u1->refs, 2);
	/* Left open at the domain's death (world_down). */
	a = unbound(u1, 1);
	assert_int_equal(bind_interdomain(1, a, &b), 0);
}

static void closing(void **state)
{
	evtchn_port_t p1, p2, again;

	join(u1, u2, &p1, &p2);
	assert_int_equal(close(p2), 0);
	assert_false(pending(u1, p1));
	assert_int_equal(close(p2), -EINVAL);
	assert_int_equal(close(0), -EINVAL);
	assert_int_equal(close(~0U), -EINVAL);
	assert_int_equal(send(p2), -EINVAL);
	assert_false(pending(u2, p2));
	/* The other end is open again, for the same domain only. */
	AS(u1);
	assert_int_equal(status(DOMID_SELF, p1).status, EVTCHNSTAT_unbound);
	assert_int_equal(status(DOMID_SELF, p1).u.unbound.dom, 2);
	assert_int_equal(send(p1), 0); /* nobody listens */
	AS(dom0);
	assert_int_equal(bind_interdomain(1, p1, &again), -EINVAL);
	AS(u2);
	assert_int_equal(bind_interdomain(1, p1, &again), 0);
	assert_int_equal(again, p2); /* the lowest free */
	assert_int_equal(u1->refs, 3);
	AS(u1);
	assert_int_equal(close(p1), 0);
	assert_int_equal(u1->refs, 2);
	assert_int_equal(u2->refs, 2);
}

static void masks_and_selectors(void **state)
{
	struct shared_info *s = u1->shared_info;
	evtchn_port_t p1, p2;

	join(u1, u2, &p1, &p2);
	set_bit(p1, s->evtchn_mask);
	assert_int_equal(send(p2), 0);
	assert_true(pending(u1, p1));
	assert_int_equal(s->vcpu_info[0].evtchn_upcall_pending, 0);
	assert_int_equal(s->vcpu_info[0].evtchn_pending_sel, 0);
	AS(u1);
	assert_int_equal(unmask(p1), 0);
	assert_false(test_bit(p1, s->evtchn_mask));
	assert_int_equal(s->vcpu_info[0].evtchn_upcall_pending, 1);
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 1);
	assert_int_equal(unmask(p1), 0); /* nothing to do */
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 1);
	assert_int_equal(unmask(0), -EINVAL);
	assert_int_equal(unmask(MAX_PORT + 1), -EINVAL);
	assert_int_equal(unmask(~0U), -EINVAL);
	/* The guest has cleared the upcall but not yet the selector: it will look there, no upcall is needed. */
	clear_pending(u1);
	s->vcpu_info[0].evtchn_pending_sel = BIT(p1 / 64);
	AS(u2);
	assert_int_equal(send(p2), 0);
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 1);
}

static void ipis_and_other_vcpus(void **state)
{
	struct vcpu_register_vcpu_info reg = { .mfn = RAM_GFN, .offset = 64 };
	struct vcpu_info *info = (void *)((char *)guest_page(u1, RAM_GFN) + 64);
	evtchn_port_t port, p1, p2;

	AS(u1);
	assert_int_equal(bind_ipi(2, &port), -ENOENT);
	assert_int_equal(bind_ipi(~0U, &port), -ENOENT);
	assert_int_equal(bind_ipi(1, &port), 0);
	/* vCPU 1 has no vcpu_info yet: pending, but no upcall. */
	assert_int_equal(send(port), 0);
	assert_true(pending(u1, port));
	assert_int_equal(u1->vcpu[1]->arch->upcalls, 0);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &reg), 0);
	/* At registration all is marked, so that nothing is lost. */
	assert_int_equal(info->evtchn_upcall_pending, 1);
	assert_int_equal(info->evtchn_pending_sel, ~0UL);
	assert_int_equal(u1->vcpu[1]->arch->upcalls, 1);
	clear_pending(u1);
	assert_int_equal(send(port), 0);
	assert_int_equal(u1->vcpu[1]->arch->upcalls, 2);
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 0);
	assert_int_equal(bind_vcpu(port, 0), -EINVAL); /* an IPI stays with its vCPU */
	join(u1, u2, &p1, &p2);
	AS(u1);
	assert_int_equal(bind_vcpu(p1, 2), -ENOENT);
	assert_int_equal(bind_vcpu(p1, ~0U), -ENOENT);
	assert_int_equal(bind_vcpu(MAX_PORT, 1), -EINVAL);
	assert_int_equal(bind_vcpu(p1, 1), 0);
	assert_int_equal(status(DOMID_SELF, p1).vcpu, 1);
	clear_pending(u1);
	AS(u2);
	assert_int_equal(send(p2), 0);
	assert_int_equal(u1->vcpu[1]->arch->upcalls, 3);
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 0);
}

/* The list of what may be registered where, alignment above all. */
static void xsa_327_vcpu_info(void **state)
{
	struct vcpu_register_vcpu_info reg = { .mfn = RAM_GFN };
	struct vcpu_info *info = guest_page(u1, RAM_GFN);
	static const u32 wrong[] = { 1, 4, 7, PAGE_SIZE - 8, PAGE_SIZE, PAGE_SIZE + 8, ~0U, ~7U };

	AS(u1);
	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		reg.offset = wrong[i];
		assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &reg), -EINVAL);
	}
	reg.offset = PAGE_SIZE - sizeof(*info);
	reg.mfn = RAM_GFN + U_PAGES;
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &reg), -EINVAL);
	reg.mfn = ~0UL;
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &reg), -EINVAL);
	reg.mfn = RAM_GFN;
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 2, &reg), -ENOENT);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, NULL), -EFAULT);
	assert_int_equal(mfn_to_page(arch_virt_to_mfn(info))->count, 1);
	/* vCPU 0's content comes along. */
	u1->vcpu[0]->info->evtchn_pending_sel = 2;
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 0, &reg), 0);
	info = (void *)((char *)info + reg.offset);
	assert_ptr_equal(u1->vcpu[0]->info, info);
	assert_int_equal(info->evtchn_pending_sel, ~0UL);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 0, &reg), -EINVAL); /* once */
	assert_int_equal(mfn_to_page(arch_virt_to_mfn(info))->count, 2);
}

static void virqs(void **state)
{
	evtchn_port_t p, q, timer[2];

	AS(u1);
	assert_int_equal(bind_virq(NR_VIRQS, 0, &p), -EINVAL);
	assert_int_equal(bind_virq(~0U, 0, &p), -EINVAL);
	assert_int_equal(bind_virq(VIRQ_TIMER, 2, &p), -ENOENT);
	assert_int_equal(bind_virq(VIRQ_DOM_EXC, 0, &p), -EPERM);
	assert_int_equal(bind_virq(VIRQ_CONSOLE, 0, &p), -EPERM);
	assert_int_equal(bind_virq(VIRQ_DOM_EXC, 1, &p), -EINVAL);
	assert_int_equal(bind_virq(VIRQ_TIMER, 0, &timer[0]), 0);
	assert_int_equal(bind_virq(VIRQ_TIMER, 1, &timer[1]), 0);
	assert_int_equal(bind_virq(VIRQ_TIMER, 1, &p), -EEXIST);
	assert_int_equal(send(timer[0]), -EINVAL); /* only the hypervisor sends these */
	assert_int_equal(bind_vcpu(timer[0], 1), -EINVAL);
	send_guest_vcpu_virq(u1->vcpu[1], VIRQ_TIMER);
	assert_false(pending(u1, timer[0]));
	assert_true(pending(u1, timer[1]));
	assert_int_equal(close(timer[1]), 0);
	send_guest_vcpu_virq(u1->vcpu[1], VIRQ_TIMER);
	assert_int_equal(bind_virq(VIRQ_TIMER, 1, &p), 0);
	assert_false(pending(u1, p)); /* what came while it was closed is gone */
	AS(dom0);
	assert_int_equal(bind_virq(VIRQ_DOM_EXC, 0, &p), 0);
	assert_int_equal(bind_virq(VIRQ_DOM_EXC, 0, &q), -EEXIST);
	assert_int_equal(status(DOMID_SELF, p).status, EVTCHNSTAT_virq);
	assert_int_equal(status(DOMID_SELF, p).u.virq, VIRQ_DOM_EXC);
	assert_int_equal(bind_vcpu(p, 1), 0); /* a global one may move */
	send_guest_global_virq(dom0, VIRQ_DOM_EXC);
	assert_true(pending(dom0, p));
	assert_int_equal(close(p), 0);
	assert_int_equal(bind_virq(VIRQ_DOM_EXC, 0, &p), 0);
	send_guest_global_virq(NULL, VIRQ_DOM_EXC); /* before dom0 is there */
}

static void pirqs(void **state)
{
	struct physdev_eoi eoi = { 5 };
	struct physdev_irq_status_query query = { 5, 0 };
	struct domain *d;
	evtchn_port_t p, q;

	AS(dom0);
	assert_int_equal(bind_pirq(NR_TEST_PIRQS, &p), -EINVAL);
	assert_int_equal(bind_pirq(~0U, &p), -EINVAL);
	assert_int_equal(bind_pirq(UART_PIRQ, &p), -EPERM);
	assert_int_equal(bind_pirq(0, &p), -EPERM);
	assert_false(send_guest_pirq(dom0, 5));
	assert_int_equal(bind_pirq(5, &p), 0);
	assert_true(host.pirq_enabled[5]);
	assert_int_equal(status(DOMID_SELF, p).status, EVTCHNSTAT_pirq);
	assert_int_equal(status(DOMID_SELF, p).u.pirq, 5);
	assert_int_equal(bind_pirq(5, &q), -EEXIST);
	assert_true(host.pirq_enabled[5]);
	assert_int_equal(bind_pirq(6, &q), 0);
	assert_int_equal(q, p + 1); /* the failed one left its port */
	assert_true(send_guest_pirq(dom0, 5));
	assert_true(pending(dom0, p));
	assert_false(send_guest_pirq(u1, 5));
	assert_false(send_guest_pirq(NULL, 5));
	assert_false(send_guest_pirq(dom0, 7));
	assert_false(send_guest_pirq(dom0, ~0U));
	assert_int_equal(HC(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, U(&eoi)), 0);
	assert_int_equal(host.pirq_eois[5], 1);
	assert_int_equal(HC(__HYPERVISOR_physdev_op, PHYSDEVOP_irq_status_query, U(&query)), 0);
	assert_int_equal(query.flags, XENIRQSTAT_needs_eoi);
	eoi.irq = UART_PIRQ;
	assert_int_equal(HC(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, U(&eoi)), -EINVAL);
	eoi.irq = ~0U;
	assert_int_equal(HC(__HYPERVISOR_physdev_op, PHYSDEVOP_eoi, U(&eoi)), -EINVAL);
	assert_int_equal(close(p), 0);
	assert_false(host.pirq_enabled[5]);
	assert_false(send_guest_pirq(dom0, 5));
	AS(u1);
	assert_int_equal(bind_pirq(5, &p), -EPERM);
	/* q is open when dom0 ends: disabled then. */
	dom0->is_privileged = false;
	d = dom0;
	dom0 = NULL;
	kill_domain(d);
	assert_null(domain_get(0));
	assert_false(host.pirq_enabled[6]);
	dom0 = make_domain(0, 1, 1);
}

static void xsa_342_port_limit(void **state)
{
	struct xen_domctl_createdomain config = default_config(1);
	evtchn_port_t port = 0;
	struct domain *d;

	for (unsigned int i = 1; i <= MAX_PORT; i++)
		assert_int_equal(port = unbound(u1, 2), i);
	assert_int_equal(bind_ipi(0, &port), -ENOSPC);
	assert_int_equal(close(2000), 0);
	assert_int_equal(close(1000), 0);
	assert_int_equal(unbound(u1, 2), 1000);
	assert_int_equal(unbound(u1, 2), 2000);
	assert_int_equal(bind_ipi(0, &port), -ENOSPC);
	AS(u2);
	assert_int_equal(bind_interdomain(1, MAX_PORT, NULL), 0);
	/* A limit at creation. */
	config.max_evtchn_port = 3;
	assert_int_equal(domain_create(9, &config, &d), 0);
	assert_int_equal(vcpu_create(d, 0), 0);
	assert_int_equal(unbound(d, 0), 1);
	assert_int_equal(unbound(d, 0), 2);
	assert_int_equal(unbound(d, 0), 3);
	assert_int_equal(bind_ipi(0, &port), -ENOSPC);
	assert_int_equal(close(4), -EINVAL);
	config.max_evtchn_port = 0;
	assert_int_equal(domain_create(10, &config, &d), 0);
	assert_int_equal(vcpu_create(d, 0), 0);
	AS(d);
	assert_int_equal(bind_ipi(0, &port), -ENOSPC);
}

/* The error path of a binding leaves port, virq and interrupt as they were. */
static void xsa_496_no_memory_for_a_port(void **state)
{
	evtchn_port_t port = 0, p1 = unbound(u1, 2);
	long virq, pirq, ipi, inter;

	AS(dom0);
	take_all_memory();
	/* dom0 and u2 have no chunk of ports yet. */
	virq = bind_virq(VIRQ_DOM_EXC, 0, &port);
	pirq = bind_pirq(5, &port);
	ipi = bind_ipi(0, &port);
	AS(u2);
	inter = bind_interdomain(1, p1, &port);
	give_memory_back();
	assert_int_equal(virq, -ENOMEM);
	assert_int_equal(pirq, -ENOMEM);
	assert_int_equal(ipi, -ENOMEM);
	assert_int_equal(inter, -ENOMEM);
	assert_false(host.pirq_enabled[5]);
	assert_int_equal(u1->refs, 2);
	assert_int_equal(bind_interdomain(1, p1, &port), 0);
	AS(dom0);
	assert_int_equal(bind_virq(VIRQ_DOM_EXC, 0, &port), 0);
	assert_int_equal(bind_pirq(5, &port), 0);
}

/* Operations on closed, reserved and hostile ports and domains before anything is allocated. */
static void xsa_47_107_221_use_before_anything_is_there(void **state)
{
	static const evtchn_port_t hostile[] = { 0,    1,     63,	  64,	      4095, 4096,
						 4097, 65536, 0x7fffffff, 0x80000000, ~0U };
	struct evtchn_status s = { .dom = DOMID_SELF };

	AS(u1);
	for (unsigned int i = 0; i < ARRAY_SIZE(hostile); i++) {
		assert_int_equal(send(hostile[i]), -EINVAL);
		assert_int_equal(close(hostile[i]), -EINVAL);
		assert_int_equal(unmask(hostile[i]), -EINVAL);
		assert_int_equal(bind_vcpu(hostile[i], 1), -EINVAL);
		s.port = hostile[i];
		assert_int_equal(EVTCHN(EVTCHNOP_status, &s), hostile[i] > MAX_PORT ? -EINVAL : 0);
		assert_int_equal(s.status, EVTCHNSTAT_closed);
	}
	s.dom = 2;
	assert_int_equal(EVTCHN(EVTCHNOP_status, &s), -EPERM);
	s.dom = 77;
	assert_int_equal(EVTCHN(EVTCHNOP_status, &s), -ESRCH);
}

static void xsa_344_reset_and_death_are_preemptible(void **state)
{
	struct evtchn_reset reset = { .dom = DOMID_SELF };
	evtchn_port_t p1, p2;
	int rc, parts = 0;

	for (unsigned int i = 0; i < 1000; i++)
		join(u1, u2, &p1, &p2);
	AS(u1);
	host.preempt_every = 1;
	assert_int_equal(EVTCHN(EVTCHNOP_reset, &reset), 0);
	assert_in_range(host.restarts, 10, 100);
	host.preempt_every = 0;
	assert_int_equal(status(DOMID_SELF, 1).status, EVTCHNSTAT_closed);
	assert_int_equal(status(DOMID_SELF, 1000).status, EVTCHNSTAT_closed);
	assert_int_equal(unbound(u1, 2), 1);
	AS(u2);
	assert_int_equal(status(DOMID_SELF, p2).status, EVTCHNSTAT_unbound);
	reset.dom = 1;
	assert_int_equal(EVTCHN(EVTCHNOP_reset, &reset), -EPERM);
	for (unsigned int i = 0; i < 1000; i++)
		unbound(u2, 0);
	AS(dom0);
	reset.dom = 2;
	assert_int_equal(EVTCHN(EVTCHNOP_reset, &reset), 0);
	assert_int_equal(status(2, p2).status, EVTCHNSTAT_closed);
	for (unsigned int i = 0; i < 3000; i++)
		unbound(u2, 0);
	domain_hold(u2);
	host.preempt_every = 1;
	while ((rc = domain_kill(u2)) == -ERESTART)
		parts++;
	assert_int_equal(rc, 0);
	assert_true(parts > 10);
	domain_put(u2);
}

static void another_close_meanwhile(void)
{
	evtchn_port_t p1, p2;

	host.on_relax = NULL;
	AS(u2);
	for (evtchn_port_t p = 1; p < 40; p += 3)
		close(p);
	AS(u1);
	join(u1, u2, &p1, &p2); /* and opens new ones behind its back */
	AS(u1);
}

static void xsa_343_505_reset_while_the_peer_acts(void **state)
{
	struct evtchn_reset reset = { .dom = DOMID_SELF };
	evtchn_port_t p1, p2;

	for (unsigned int i = 0; i < 256; i++)
		join(u1, u2, &p1, &p2);
	AS(u1);
	host.preempt_every = 1;
	host.between = another_close_meanwhile;
	assert_int_equal(EVTCHN(EVTCHNOP_reset, &reset), 0);
	assert_true(host.restarts >= 4);
	host.between = NULL;
	assert_true(u1->refs <= 2 + 256);
	kill_domain(u2);
	AS(dom0);
	kill_domain(u1);
	assert_null(domain_get(1));
	assert_null(domain_get(2));
}

static void a_dying_domain(void **state)
{
	struct evtchn_alloc_unbound a = { .dom = 1, .remote_dom = 0 };
	evtchn_port_t p1, p2, open = unbound(u1, 2);

	join(u1, u2, &p1, &p2);
	clear_pending(u2);
	domain_hold(u1);
	kill_domain(u1);
	assert_true(pending(u2, p2)); /* it may have had something to say */
	AS(u2);
	assert_int_equal(status(DOMID_SELF, p2).status, EVTCHNSTAT_unbound);
	assert_int_equal(send(p2), 0);
	assert_int_equal(bind_interdomain(1, open, NULL), -EINVAL);
	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), -EINVAL);
	assert_int_equal(u1->refs, 1);
	domain_put(u1);
}

/* The sender's last look at its peer: a peer's death between bind and send. */
static void xsa_358_359_peer_is_held_while_connected(void **state)
{
	evtchn_port_t p1, p2;

	join(u1, u2, &p1, &p2);
	assert_int_equal(u1->refs, 3);
	assert_int_equal(u2->refs, 3);
	/* Half dead: paused, its ports not yet closed. */
	u1->dying = DOMDYING_DYING;
	assert_int_equal(send(p2), 0);
	assert_int_equal(bind_ipi(0, &p2), 0);
	AS(u1);
	assert_int_equal(bind_ipi(0, &p1), -EINVAL);
	u1->dying = DOMDYING_ALIVE;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connect_and_send),
		TEST(wrong_binds),
		TEST(a_domain_may_talk_to_itself),
		TEST(closing),
		TEST(masks_and_selectors),
		TEST(ipis_and_other_vcpus),
		TEST(xsa_327_vcpu_info),
		TEST(virqs),
		TEST(pirqs),
		TEST(xsa_342_port_limit),
		TEST(xsa_496_no_memory_for_a_port),
		TEST(xsa_47_107_221_use_before_anything_is_there),
		TEST(xsa_344_reset_and_death_are_preemptible),
		TEST(xsa_343_505_reset_while_the_peer_acts),
		TEST(a_dying_domain),
		TEST(xsa_358_359_peer_is_held_while_connected),
	};

	return RUN(tests);
}
