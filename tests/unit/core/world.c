// SPDX-License-Identifier: BSD-2-Clause
/*
 * The world of a test: three domains at its start, none at its end, and not a page lost between.
 * Also short forms of what guests and tools do all the time.
 */
#include "host.h"

struct domain *u1, *u2;
u64 free_at_start;

struct xen_domctl_createdomain default_config(unsigned int vcpus)
{
	return (struct xen_domctl_createdomain){ .max_vcpus = vcpus,
						 .max_evtchn_port = ~0U,
						 .max_grant_frames = 4,
						 .max_maptrack_frames = 2,
						 .grant_opts = 1 };
}

static void start(struct domain *d, unsigned int vcpus)
{
	struct vcpu_guest_context c = { .flags = VGCF_online | VGCF_in_kernel,
					.user_regs.pc = 0x1000 };

	for (unsigned int i = 0; i < vcpus; i++) {
		assert_int_equal(vcpu_create(d, i), 0);
		assert_int_equal(arch_set_context(d->vcpu[i], &c), 0);
		clear_bit(VPF_DOWN, &d->vcpu[i]->pause_flags);
	}
	assert_int_equal(domain_controller_unpause(d), 0);
}

static struct domain *with_memory(domid_t id, unsigned int vcpus, u64 pages)
{
	struct xen_domctl_createdomain config = default_config(vcpus);
	struct domain *d = NULL;

	assert_int_equal(domain_create(id, &config, &d), 0);
	d->max_pages = pages + 1024;
	for (u64 i = 0; i < pages; i++) {
		struct page *pg = alloc_domain_pages(d, 0);

		assert_non_null(pg);
		assert_int_equal(p2m_map(d, RAM_GFN + i, page_to_mfn(pg), 0, P2M_RAM, P2M_RWX), 0);
	}
	return d;
}

struct domain *make_domain(domid_t id, unsigned int vcpus, u64 pages)
{
	struct domain *d = with_memory(id, vcpus, pages);

	start(d, vcpus);
	return d;
}

struct domain *make_paused_domain(domid_t id, unsigned int vcpus, u64 pages)
{
	struct domain *d = with_memory(id, vcpus, pages);

	for (unsigned int i = 0; i < vcpus; i++)
		assert_int_equal(vcpu_create(d, i), 0);
	return d;
}

struct domain *make_dom0(unsigned int vcpus, unsigned int order)
{
	struct xen_domctl_createdomain config = default_config(vcpus);
	struct domain *d = NULL;
	struct page *pg;

	assert_int_equal(domain_create(0, &config, &d), 0);
	d->is_privileged = d->direct_mapped = true;
	d->max_pages = BIT(order);
	pg = alloc_domain_pages(d, order);
	assert_non_null(pg);
	for (mfn_t m = page_to_mfn(pg); m < page_to_mfn(pg) + BIT(order); m++)
		assert_int_equal(p2m_map(d, m, m, 0, P2M_RAM, P2M_RWX), 0);
	start(d, vcpus);
	return d;
}

int world_up(void **state)
{
	(void)state;
	host_boot();
	host_reset();
	free_at_start = heap_free_pages();
	dom0 = make_dom0(2, 8);
	u1 = make_domain(1, 2, U_PAGES);
	u2 = make_domain(2, 2, U_PAGES);
	AS(dom0);
	return 0;
}

void kill_domain(struct domain *d)
{
	unsigned int parts = 0;
	int rc;

	while ((rc = domain_kill(d)) == -ERESTART)
		assert_true(++parts < 1000000);
	assert_int_equal(rc, 0);
}

/* become() goes past the scheduler: back to what it believes. */
static void current_as_scheduled(void)
{
	struct domain *d;
	struct vcpu *v;
	unsigned int i;

	for (unsigned int h = 0; h < NR_HARTS; h++)
		host.current[h] = host.idle->vcpu[h];
	list_for_each(d, &domain_list, list) {
		domain_for_each_vcpu(d, v, i) {
			if (v->running)
				host.current[v->hart] = v;
		}
	}
}

struct vcpu *run_hart(unsigned int hart)
{
	current_as_scheduled();
	host.hart = hart;
	host.kicked &= ~BIT(hart);
	schedule();
	return host.current[hart];
}

void run_kicked(void)
{
	for (unsigned int n = 0; host.kicked; n++) {
		assert_true(n < 100);
		for (unsigned int h = 0; h < NR_HARTS; h++) {
			if (host.kicked & BIT(h))
				run_hart(h);
		}
	}
}

void only(unsigned int n, struct vcpu *v[])
{
	struct domain *all[] = { dom0, u1, u2 };

	for (unsigned int i = 0; i < 6; i++) {
		struct vcpu *w = all[i / 2]->vcpu[i % 2];
		bool runs = false;

		for (unsigned int j = 0; j < n; j++)
			runs |= v[j] == w;
		if (!runs) {
			set_bit(VPF_DOWN, &w->pause_flags);
			vcpu_sleep_nosync(w);
		}
	}
}

/* The first one whose number is at least id. */
static struct domain *domain_from(domid_t id)
{
	struct domain *d;

	list_for_each(d, &domain_list, list) {
		if (d->id >= id)
			return d;
	}
	return NULL;
}

long cpupool(u32 op, u32 id, u32 arg)
{
	struct xen_sysctl_cpupool_op a = { .op = op,
					   .cpupool_id = id,
					   .sched_id = XEN_SCHEDULER_CREDIT2,
					   .domid = arg,
					   .cpu = arg };
	long rc = sysctl_cpupool_op(&a);

	return !rc && op == XEN_SYSCTL_CPUPOOL_OP_CREATE ? a.cpupool_id : rc;
}

u64 may_use(const struct vcpu *v)
{
	u64 pool = cpupool_harts(v->domain);

	return v->pinned & pool ? v->pinned & pool : pool;
}

/* All domains and harts are pool 0's, as at first. */
static void pools_down(void)
{
	struct domain *d;

	for (u32 id = 1; id < NR_CPUPOOLS; id++) {
		list_for_each(d, &domain_list, list) {
			if (cpupool_of(d) == id)
				assert_int_equal(
					cpupool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, d->id), 0);
		}
		while (!cpupool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, id, XEN_SYSCTL_CPUPOOL_PAR_ANY))
			;
		cpupool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, id, 0);
	}
	while (!cpupool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, XEN_SYSCTL_CPUPOOL_PAR_ANY))
		;
	assert_int_equal(cpupool_harts(dom0), machine_harts());
}

int world_down(void **state)
{
	struct domain *d;
	domid_t next;

	(void)state;
	host_reset();
	give_memory_back();
	pools_down();
	list_for_each(d, &domain_list, list)
		domain_pause_nosync(d);
	for (unsigned int h = 0; h < NR_HARTS; h++)
		assert_ptr_equal(run_hart(h), host.idle->vcpu[h]);
	host.hart = 0;
	dom0->is_privileged = false; /* else it cannot die */
	d = dom0;
	dom0 = NULL;
	kill_domain(d);
	/* By number: one's death may free others, of which only they held something. */
	for (domid_t id = 0; (d = domain_from(id)); id = next) {
		domain_hold(d);
		next = d->id + 1;
		kill_domain(d);
		domain_put(d);
	}
	list_for_each(d, &domain_list, list)
		print_error("d%u is left: refs %u, %lu pages\n", d->id, d->refs, d->tot_pages);
	assert_true(list_empty(&domain_list));
	assert_int_equal(heap_free_pages(), free_at_start);
	return 0;
}

/* ---- short forms ---- */

void *guest_page(struct domain *d, gfn_t gfn)
{
	struct p2m_entry e;

	assert_true(p2m_lookup(d, gfn, &e));
	return arch_mfn_to_virt(e.mfn);
}

void become(struct vcpu *v)
{
	host.current[host.hart] = v;
}

void advance(u64 ns)
{
	unsigned int self = host.hart;
	u64 end = host.now + ns;

	/* From one timer to the next, so that callbacks see their own time. */
	for (;;) {
		unsigned int first = 0;

		for (unsigned int h = 1; h < NR_HARTS; h++) {
			if (host.timer[h] < host.timer[first])
				first = h;
		}
		if (host.timer[first] > end)
			break;
		host.now = max(host.now, host.timer[first]);
		host.hart = first;
		timer_interrupt();
	}
	host.now = end;
	host.hart = self;
}

long hypercall(unsigned int nr, const u64 args[5])
{
	long rc;

	host.relaxed = 0;
	rc = hypercall_dispatch(nr, args);
	while (rc == -ERESTART) {
		u64 again[5];

		/* Only a hypercall that asked for it may come back so. */
		assert_true(host.restarts);
		if (host.between)
			host.between();
		memcpy(again, host.restart_args, sizeof(again));
		rc = hypercall_dispatch(host.restart_nr, again);
	}
	return rc;
}

long domctl(domid_t dom, u32 cmd, struct xen_domctl *op)
{
	struct xen_domctl none = { 0 };

	op = op ? op : &none;
	op->cmd = cmd;
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op->domain = dom;
	return HC(__HYPERVISOR_domctl, U(op));
}

long sysctl(u32 cmd, struct xen_sysctl *op)
{
	op->cmd = cmd;
	op->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	return HC(__HYPERVISOR_sysctl, U(op));
}

/* ---- memory ---- */

struct hoard {
	struct hoard *next;
	bool page;
};

static struct hoard *hoard;

static bool keep(void *p, bool page)
{
	struct hoard *h = p;

	if (h)
		*h = (struct hoard){ hoard, page };
	hoard = h ? h : hoard;
	return h;
}

void take_all_memory(void)
{
	struct page *pg;

	while ((pg = alloc_pages(0)))
		keep(page_to_virt(pg), true);
	/* What is left in pages of small objects. */
	for (unsigned int size = 2048; size >= 32; size /= 2) {
		while (keep(xzalloc(size), false))
			;
	}
}

void take_small_blocks(void)
{
	for (unsigned int i = 0; i < RAM_PAGES; i++) {
		struct page *pg = &frame_table[i];

		if ((pg->state == PAGE_FREE || pg->state == PAGE_DIRTY) && !pg->order) {
			keep(page_to_virt(alloc_pages(0)), true);
			i = 0;
		}
	}
}

void give_memory_back(void)
{
	while (hoard) {
		struct hoard h = *hoard;

		if (h.page)
			free_pages(virt_to_page(hoard), 0);
		else
			xfree(hoard);
		hoard = h.next;
	}
}

long reserve(unsigned int op, domid_t dom, xen_pfn_t *list, u64 n, unsigned int order)
{
	struct xen_memory_reservation r = { .nr_extents = n, .extent_order = order, .domid = dom };

	set_xen_guest_handle(r.extent_start, list);
	return MEMORY(op, &r);
}

long populate(domid_t dom, xen_pfn_t gfn, unsigned int order)
{
	return reserve(XENMEM_populate_physmap, dom, &gfn, 1, order);
}

long decrease(domid_t dom, xen_pfn_t gfn, unsigned int order)
{
	return reserve(XENMEM_decrease_reservation, dom, &gfn, 1, order);
}

long add(domid_t dom, unsigned int space, unsigned long idx, gfn_t gfn)
{
	struct xen_add_to_physmap a = { .domid = dom, .space = space, .idx = idx, .gpfn = gfn };

	return MEMORY(XENMEM_add_to_physmap, &a);
}

long remove_gfn(domid_t dom, gfn_t gfn)
{
	struct xen_remove_from_physmap a = { .domid = dom, .gpfn = gfn };

	return MEMORY(XENMEM_remove_from_physmap, &a);
}

/* ---- events ---- */

evtchn_port_t unbound(struct domain *owner, domid_t remote)
{
	struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = remote };

	AS(owner);
	assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), 0);
	return a.port;
}

void join(struct domain *a, struct domain *b, evtchn_port_t *pa, evtchn_port_t *pb)
{
	struct evtchn_bind_interdomain bind = { .remote_dom = a->id };

	bind.remote_port = *pa = unbound(a, b->id);
	AS(b);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_interdomain, &bind), 0);
	*pb = bind.local_port;
}

bool pending(struct domain *d, evtchn_port_t port)
{
	return test_bit(port, d->shared_info->evtchn_pending);
}

void clear_pending(struct domain *d)
{
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i) {
		if (!v->info)
			continue;
		v->info->evtchn_upcall_pending = 0;
		v->info->evtchn_pending_sel = 0;
	}
	memset(d->shared_info->evtchn_pending, 0, sizeof(d->shared_info->evtchn_pending));
}

/* ---- grants ---- */

grant_entry_v1_t *grant_entry(struct domain *d, u32 ref)
{
	unsigned int per_frame = PAGE_SIZE / sizeof(grant_entry_v1_t);
	struct page *pg;

	assert_int_equal(grant_table_get_frame(d, ref / per_frame, &pg), 0);
	page_put(pg); /* the table has it for as long as the domain lives */
	return (grant_entry_v1_t *)page_to_virt(pg) + ref % per_frame;
}

void grant_access(struct domain *d, u32 ref, domid_t to, gfn_t gfn, u16 flags)
{
	*grant_entry(d, ref) = (grant_entry_v1_t){ GTF_permit_access | flags, to, gfn };
}

s16 map_grant(domid_t dom, u32 ref, gfn_t at, u32 flags, u32 *handle)
{
	struct gnttab_map_grant_ref op = { .host_addr = at << PAGE_SHIFT,
					   .flags = GNTMAP_host_map | flags,
					   .ref = ref,
					   .dom = dom,
					   .status = 77 };

	assert_int_equal(GNTTAB(GNTTABOP_map_grant_ref, &op, 1), 0);
	if (handle)
		*handle = op.handle;
	return op.status;
}

s16 unmap_grant(u32 handle, gfn_t at)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = at << PAGE_SHIFT,
					     .handle = handle,
					     .status = 77 };

	assert_int_equal(GNTTAB(GNTTABOP_unmap_grant_ref, &op, 1), 0);
	return op.status;
}

/* ---- a pause that is ended while it waits ---- */

static struct vcpu *pauser_waits_for;

static void unpause_meanwhile(void)
{
	unsigned int pauser = host.hart;

	host.hart = (pauser + 1) % NR_HARTS;
	assert_int_equal(domain_controller_unpause(u1), 0);
	assert_int_equal(u1->pause_count, 0);
	run_hart(pauser_waits_for->hart);
	host.hart = pauser;
	become(dom0->vcpu[0]);
}

void pause_and_unpause_meanwhile(void)
{
	struct vcpu *v = pauser_waits_for = u1->vcpu[0];

	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	assert_true(v->running);
	host.hart = (v->hart + 1) % NR_HARTS;
	AS(dom0);
	host.on_relax = unpause_meanwhile;
	assert_int_equal(domctl(1, XEN_DOMCTL_pausedomain, NULL), 0);
	assert_null(host.on_relax);
	assert_int_equal(u1->pause_count, 0);
	assert_int_equal(u1->controller_pauses, 0);
}
