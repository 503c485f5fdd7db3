// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random hypercalls of three domains, with failing copies, maps and allocations and with preemption. Afterwards both
 * ends of each event channel name each other, and all pages come back. SEED= and STEPS= choose another run.
 */
#include "host.h"

#define PORTS 24 /* small numbers, so that they meet */
#define REFS 12
#define GFNS 80
#define HANDLES 16

static u64 random_state;
static unsigned int steps = 4000;

static u32 rnd(u32 n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % n;
}

static domid_t any_domid(void)
{
	static const domid_t special[] = { DOMID_SELF, DOMID_INVALID, DOMID_IO, 77 };

	return rnd(8) ? rnd(4) : special[rnd(ARRAY_SIZE(special))];
}

/* RAM of the guests, RAM of dom0, free places; seldom something that is none of them */
static gfn_t any_gfn(void)
{
	switch (rnd(8)) {
	case 0:
		return rnd(2) ? ~0UL >> rnd(64) : BIT(rnd(41));
	case 1:
	case 2:
		return RAM_BASE_MFN + RAM_PAGES - 256 + rnd(256); /* where dom0's RAM tends to be */
	case 3:
	case 4:
		return 0x50000 + rnd(GFNS);
	default:
		return RAM_GFN + rnd(GFNS);
	}
}

static void event_op(void)
{
	union {
		struct evtchn_alloc_unbound alloc;
		struct evtchn_bind_interdomain bind;
		struct evtchn_bind_virq virq;
		struct evtchn_bind_pirq pirq;
		struct evtchn_bind_ipi ipi;
		struct evtchn_bind_vcpu vcpu;
		struct evtchn_status status;
		struct evtchn_close close; /* send, unmask: the same */
		struct evtchn_reset reset;
		struct evtchn_init_control control;
		struct evtchn_expand_array expand;
		struct evtchn_set_priority priority;
	} a = { 0 };
	unsigned int op = rnd(14);

	switch (op) {
	case EVTCHNOP_alloc_unbound:
		a.alloc = (struct evtchn_alloc_unbound){ any_domid(), any_domid(), 0 };
		break;
	case EVTCHNOP_bind_interdomain:
		a.bind = (struct evtchn_bind_interdomain){ any_domid(), rnd(PORTS), 0 };
		break;
	case EVTCHNOP_bind_virq:
		a.virq = (struct evtchn_bind_virq){ rnd(NR_VIRQS + 2), rnd(3), 0 };
		break;
	case EVTCHNOP_bind_pirq:
		a.pirq = (struct evtchn_bind_pirq){ rnd(NR_TEST_PIRQS + 2), rnd(2), 0 };
		break;
	case EVTCHNOP_bind_ipi:
		a.ipi.vcpu = rnd(3);
		break;
	case EVTCHNOP_bind_vcpu:
		a.vcpu = (struct evtchn_bind_vcpu){ rnd(PORTS), rnd(3) };
		break;
	case EVTCHNOP_status:
		a.status.dom = any_domid();
		a.status.port = rnd(PORTS);
		break;
	case EVTCHNOP_reset:
		if (rnd(8))
			return;
		a.reset.dom = any_domid();
		break;
	case EVTCHNOP_init_control:
		a.control = (struct evtchn_init_control){ .control_gfn = any_gfn(),
							  .offset = rnd(4) * 128,
							  .vcpu = rnd(3) };
		break;
	case EVTCHNOP_expand_array:
		a.expand.array_gfn = any_gfn();
		break;
	case EVTCHNOP_set_priority:
		a.priority = (struct evtchn_set_priority){ rnd(PORTS), rnd(18) };
		break;
	default:
		a.close.port = rnd(64) ? rnd(PORTS) : ~0U >> rnd(32);
	}
	EVTCHN(op, &a);
}

static void grant_op(void)
{
	u32 ref = rnd(16) ? rnd(REFS) : ~0U >> rnd(32);
	struct domain *d = current_domain();

	switch (rnd(6)) {
	case 0:
	case 1:
		if (ref < 512)
			grant_access(d, ref, rnd(3), any_gfn(), rnd(4) ? 0 : rnd(1 << 7));
		break;
	case 2: {
		struct gnttab_map_grant_ref op[20];
		unsigned int n = rnd(4) ? 2 : 20;
		domid_t dom = any_domid();

		for (unsigned int i = 0; i < n; i++)
			op[i] = (struct gnttab_map_grant_ref){
				.host_addr = any_gfn() << PAGE_SHIFT | (rnd(16) ? 0 : rnd(4096)),
				.flags = GNTMAP_host_map |
					 (rnd(8) ? rnd(2) * GNTMAP_readonly : rnd(32)),
				.ref = rnd(2) ? ref : rnd(REFS),
				.dom = rnd(4) ? dom : any_domid()
			};
		GNTTAB(GNTTABOP_map_grant_ref, op, n);
		break;
	}
	case 3: {
		struct gnttab_unmap_grant_ref op[2 * GFNS];
		unsigned int handle = rnd(HANDLES);

		/* The right place is known to nobody here: try them all, two handles at once. */
		for (unsigned int i = 0; i < 2 * GFNS; i++)
			op[i] = (struct gnttab_unmap_grant_ref){
				.handle = (handle + i % 2) % HANDLES,
				.host_addr = ((rnd(2) ? 0x50000 : RAM_GFN) + i / 2) << PAGE_SHIFT
			};
		GNTTAB(GNTTABOP_unmap_grant_ref, op, rnd(4) ? 2 * GFNS : 1);
		break;
	}
	case 4: {
		struct gnttab_copy op = { .len = rnd(4200),
					  .flags = rnd(4),
					  .source = { .domid = any_domid(), .offset = rnd(100) },
					  .dest = { .domid = any_domid(), .offset = rnd(100) } };

		op.source.u.gmfn = op.flags & GNTCOPY_source_gref ? ref : any_gfn();
		op.dest.u.gmfn = op.flags & GNTCOPY_dest_gref ? rnd(REFS) : any_gfn();
		GNTTAB(GNTTABOP_copy, &op, 1);
		break;
	}
	case 5: {
		u64 op[8] = { any_domid() | (u64)rnd(6) << 32 };

		GNTTAB(rnd(13), op, 1);
		break;
	}
	}
}

static void memory_op(void)
{
	xen_pfn_t list[6], from[6];
	int errors[6];

	for (unsigned int i = 0; i < 6; i++) {
		list[i] = any_gfn();
		from[i] = any_gfn();
	}
	switch (rnd(5)) {
	case 0:
	case 1: {
		struct xen_memory_reservation r = { .nr_extents = rnd(7),
						    .extent_order = rnd(6) ? 0 : rnd(20),
						    .domid = any_domid() };

		set_xen_guest_handle(r.extent_start, list);
		if (r.extent_order)
			list[0] &= ~(BIT(r.extent_order) - 1);
		MEMORY(rnd(2) ? XENMEM_populate_physmap : XENMEM_decrease_reservation, &r);
		break;
	}
	case 2: {
		struct xen_add_to_physmap a = {
			.domid = any_domid(), .space = rnd(3), .idx = rnd(6), .gpfn = any_gfn()
		};

		MEMORY(XENMEM_add_to_physmap, &a);
		break;
	}
	case 3: {
		struct xen_add_to_physmap_batch b = { .domid = any_domid(),
						      .space = XENMAPSPACE_gmfn_foreign,
						      .size = rnd(7),
						      .u.foreign_domid = any_domid() };
		struct xen_mem_acquire_resource r = { .domid = any_domid(),
						      .type = XENMEM_resource_grant_table,
						      .frame = rnd(5),
						      .nr_frames = rnd(4) };

		set_xen_guest_handle(b.idxs, from);
		set_xen_guest_handle(b.gpfns, list);
		set_xen_guest_handle(b.errs, errors);
		set_xen_guest_handle(r.frame_list, list);
		if (rnd(2))
			MEMORY(XENMEM_add_to_physmap_batch, &b);
		else
			MEMORY(XENMEM_acquire_resource, &r);
		break;
	}
	case 4: {
		struct xen_remove_from_physmap r = { .domid = any_domid(), .gpfn = any_gfn() };

		MEMORY(XENMEM_remove_from_physmap, &r);
		break;
	}
	}
}

static void vcpu_or_sched_op(void)
{
	struct vcpu_register_vcpu_info info = { .mfn = any_gfn(), .offset = rnd(8) * 512 };
	struct vcpu_register_runstate_memory_area area = { .addr.p = 0 };
	struct sched_watchdog watchdog = { rnd(4), rnd(3) };
	evtchn_port_t ports[3] = { rnd(PORTS), rnd(PORTS), rnd(PORTS) };
	struct sched_poll poll = { .nr_ports = rnd(4),
				   .timeout = rnd(2) ? host.now + rnd(9999) : 0 };
	struct vcpu *v = arch_current();
	struct p2m_entry e;

	set_xen_guest_handle(poll.ports, ports);
	if (p2m_lookup(v->domain, info.mfn, &e))
		area.addr.p = U(arch_mfn_to_virt(e.mfn)) + info.offset;
	switch (rnd(6)) {
	case 0:
		VCPUOP(VCPUOP_register_vcpu_info, rnd(3), &info);
		break;
	case 1:
		VCPUOP(VCPUOP_register_runstate_memory_area, rnd(3), &area);
		break;
	case 2:
		VCPUOP(rnd(2) ? VCPUOP_up : VCPUOP_is_up, rnd(3), NULL);
		break;
	case 3:
		SCHED(SCHEDOP_watchdog, &watchdog);
		break;
	case 4:
		SCHED(SCHEDOP_poll, &poll);
		clear_bit(VPF_POLL, &v->pause_flags);
		break;
	case 5:
		SCHED(SCHEDOP_yield, NULL);
		break;
	}
}

/* Domain 3 comes and goes, with pages of it mapped and its ports bound. */
static void tools_op(void)
{
	struct xen_domctl op = { .u.createdomain = default_config(1) };

	if (!current_domain()->is_privileged)
		return;
	switch (rnd(6)) {
	case 0:
		if (!domctl(3, XEN_DOMCTL_createdomain, &op)) {
			op.u.max_mem.max_memkb = 64;
			domctl(3, XEN_DOMCTL_max_mem, &op);
		}
		break;
	case 1:
		op.u.max_vcpus.max = rnd(3);
		domctl(3, XEN_DOMCTL_max_vcpus, &op);
		break;
	case 2:
		domctl(3, rnd(2) ? XEN_DOMCTL_pausedomain : XEN_DOMCTL_unpausedomain, NULL);
		break;
	case 3:
		domctl(any_domid(), XEN_DOMCTL_getdomaininfo, &op);
		break;
	case 4:
		if (!rnd(4))
			domctl(3, XEN_DOMCTL_destroydomain, NULL);
		break;
	}
}

static void trouble(void)
{
	host.preempt_every = rnd(3) ? 0 : 1 + rnd(4);
	host.copies_left = rnd(8) ? -1 : (long)rnd(6);
	host.maps_left = rnd(8) ? -1 : (long)rnd(3);
	host.splits_left = rnd(8) ? -1 : (long)rnd(3);
}

/* Both ends of a connection name each other. */
static void check_ports(void)
{
	host_reset();
	AS(dom0);
	for (domid_t id = 0; id < 4; id++) {
		for (evtchn_port_t port = 1; port < 256; port++) {
			struct evtchn_status s = { .dom = id, .port = port }, other;

			if (EVTCHN(EVTCHNOP_status, &s) || s.status != EVTCHNSTAT_interdomain)
				continue;
			other = (struct evtchn_status){ .dom = s.u.interdomain.dom,
							.port = s.u.interdomain.port };
			assert_int_equal(EVTCHN(EVTCHNOP_status, &other), 0);
			assert_int_equal(other.status, EVTCHNSTAT_interdomain);
			assert_int_equal(other.u.interdomain.dom, id);
			assert_int_equal(other.u.interdomain.port, port);
		}
	}
}

static void random_hypercalls(void **state)
{
	static void (*const ops[])(void) = { event_op,	event_op,  grant_op,	     grant_op,
					     memory_op, memory_op, vcpu_or_sched_op, tools_op };
	struct domain *const from[] = { dom0, u1, u2 };

	for (unsigned int i = 0; i < steps; i++) {
		become(from[rnd(3)]->vcpu[rnd(2)]);
		trouble();
		ops[rnd(ARRAY_SIZE(ops))]();
		if (!rnd(256))
			take_all_memory();
		if (!rnd(16))
			give_memory_back();
		host.preempt_every = 0;
		host.copies_left = host.maps_left = host.splits_left = -1;
		assert_false(u1->is_shut_down || u2->is_shut_down);
	}
	give_memory_back();
	check_ports();
}

int main(void)
{
	struct CMUnitTest tests[20];

	random_state = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) | 1 : 0x9e3779b97f4a7c15;
	if (getenv("STEPS"))
		steps = strtoul(getenv("STEPS"), NULL, 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
		tests[i] = (struct CMUnitTest)TEST(random_hypercalls);
	return RUN(tests);
}
