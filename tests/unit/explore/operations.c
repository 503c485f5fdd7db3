// SPDX-License-Identifier: BSD-2-Clause
/*
 * What may meet: operations on the same page, grant, port, vCPU or domain, so that any two of them collide; and the scene in
 * which all of that is there already.
 */
#include <event_fifo.h>

#include "explore.h"
#include "interleave.h"
#include "scene.h"

static u32 handle; /* u2's, of MAPPED */
static evtchn_port_t port_1, port_2; /* connected, u1's and u2's */
static evtchn_port_t port_masked, port_to_masked; /* the same, and u1 has masked it */
static evtchn_port_t port_offered; /* u1's, to u2 */
static evtchn_port_t port_pirq; /* dom0's */
static evtchn_port_t port_queued, port_to_queued; /* connected, u1's with FIFO and dom0's */
static u64 x_page; /* its virtual address */

/* ---- memory ---- */

static void populate_empty(void)
{
	populate(DOMID_SELF, EMPTY, 0);
}

static void give_x(void)
{
	decrease(DOMID_SELF, X, 0);
}

/* The page that has gone is the next to be given, and goes back: there is no memory for a table. */
static void replace(void)
{
	decrease(DOMID_SELF, X, 0);
	host.maps_left = 0;
	populate(DOMID_SELF, EMPTY, 0);
	host.maps_left = -1;
}

static void refill(void)
{
	decrease(DOMID_SELF, W, 0);
	decrease(DOMID_SELF, V, 0);
	populate(DOMID_SELF, V, 0);
	populate(DOMID_SELF, W, 0);
}

static void add_info(void)
{
	add(DOMID_SELF, XENMAPSPACE_shared_info, 0, LENT);
}

static void add_frame(void)
{
	add(DOMID_SELF, XENMAPSPACE_grant_table, 0, LENT);
}

static void remove_lent(void)
{
	remove_gfn(DOMID_SELF, LENT);
}

static void map_foreign_of(xen_ulong_t idx)
{
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_gmfn_foreign,
					      .size = 1,
					      .u.foreign_domid = 1 };
	xen_pfn_t gfn = FOREIGN;
	int err = 0;

	set_xen_guest_handle(b.idxs, &idx);
	set_xen_guest_handle(b.gpfns, &gfn);
	set_xen_guest_handle(b.errs, &err);
	MEMORY(XENMEM_add_to_physmap_batch, &b);
}

static void map_foreign(void)
{
	map_foreign_of(X);
}

static void unmap_foreign(void)
{
	remove_gfn(DOMID_SELF, FOREIGN);
}

static void acquire_resource(void)
{
	xen_pfn_t gfn = FOREIGN;
	struct xen_mem_acquire_resource a = { .domid = 1,
					      .type = XENMEM_resource_grant_table,
					      .id = XENMEM_resource_grant_table_id_shared,
					      .nr_frames = 1 };

	set_xen_guest_handle(a.frame_list, &gfn);
	MEMORY(XENMEM_acquire_resource, &a);
}

static void claim(void)
{
	struct xen_memory_reservation r = { .nr_extents = NR_PAGES + 8, .domid = 1 };

	MEMORY(XENMEM_claim_pages, &r);
}

static long info_at(unsigned int vcpu, gfn_t gfn)
{
	struct vcpu_register_vcpu_info a = { .mfn = gfn };

	return VCPUOP(VCPUOP_register_vcpu_info, vcpu, &a);
}

static void register_info(void)
{
	info_at(0, X);
}

static void register_runstate(void)
{
	struct vcpu_register_runstate_memory_area a = { .addr.p = x_page };

	VCPUOP(VCPUOP_register_runstate_memory_area, arch_current()->id, &a);
}

/* ---- grants ---- */

static void map_by(u32 ref, u32 flags)
{
	struct gnttab_map_grant_ref op = { .host_addr = TO_MAP << PAGE_SHIFT,
					   .flags = GNTMAP_host_map | flags,
					   .ref = ref,
					   .dom = 1 };

	GNTTAB(GNTTABOP_map_grant_ref, &op, 1);
}

static void map(void)
{
	map_by(REF, 0);
}

static void map_again(void)
{
	map_by(REF_USED, GNTMAP_readonly);
}

static void map_own(void)
{
	map_by(REF_OWN, 0);
}

static void unmap(void)
{
	struct gnttab_unmap_grant_ref op = { .host_addr = MAPPED << PAGE_SHIFT, .handle = handle };

	GNTTAB(GNTTABOP_unmap_grant_ref, &op, 1);
}

/* Also the handle that the next mapping gets, perhaps before that is told of it; and one twice. */
static void unmap_guess(void)
{
	struct gnttab_unmap_grant_ref un[3] = {
		{ .host_addr = TO_MAP << PAGE_SHIFT, .handle = handle + 1 },
		{ .host_addr = MAPPED << PAGE_SHIFT, .handle = handle },
		{ .host_addr = MAPPED << PAGE_SHIFT, .handle = handle },
	};

	GNTTAB(GNTTABOP_unmap_grant_ref, un, 3);
}

/* Two at once, each way. */
static void map_unmap(void)
{
	struct gnttab_map_grant_ref op[2] = {
		{ .host_addr = TO_MAP << PAGE_SHIFT,
		  .flags = GNTMAP_host_map,
		  .ref = REF,
		  .dom = 1 },
		{ .host_addr = (TO_MAP + 1) << PAGE_SHIFT,
		  .flags = GNTMAP_host_map | GNTMAP_readonly,
		  .ref = REF_USED,
		  .dom = 1 },
	};
	struct gnttab_unmap_grant_ref un[2];

	GNTTAB(GNTTABOP_map_grant_ref, op, 2);
	for (unsigned int i = 0; i < 2; i++)
		un[i] = (struct gnttab_unmap_grant_ref){ .host_addr = op[i].host_addr,
							 .handle = op[i].handle };
	GNTTAB(GNTTABOP_unmap_grant_ref, un, 2);
}

static void copy_from(void)
{
	struct gnttab_copy op = { .source = { .u.ref = REF, .domid = 1 },
				  .dest = { .u.gmfn = RAM_GFN, .domid = DOMID_SELF },
				  .len = 64,
				  .flags = GNTCOPY_source_gref };

	GNTTAB(GNTTABOP_copy, &op, 1);
}

static void copy_to(void)
{
	struct gnttab_copy op = { .source = { .u.gmfn = RAM_GFN, .domid = DOMID_SELF },
				  .dest = { .u.ref = REF, .domid = 1 },
				  .len = 64,
				  .flags = GNTCOPY_dest_gref };

	GNTTAB(GNTTABOP_copy, &op, 1);
}

static void copy_own(void)
{
	struct gnttab_copy op = { .source = { .u.gmfn = Y, .domid = DOMID_SELF },
				  .dest = { .u.gmfn = X, .domid = DOMID_SELF },
				  .len = 64 };

	GNTTAB(GNTTABOP_copy, &op, 1);
}

/* ---- the log of writes ---- */

bool remembered, at_a_write;

static void fenced(struct domain *d)
{
	while (d == u1 && at_a_write)
		arch_relax();
	if (d == u1)
		remembered = false;
}

static void store(void)
{
	u64 *word = guest_page(u1, Y);

	remembered = false;
	for (unsigned int i = 0; i < 2; i++) {
		at_a_write = true;
		if (!remembered)
			host_touch(u1, Y, true);
		remembered = true;
		host_point();
		++*word;
		at_a_write = false;
		host_point();
	}
}

/* What is W's is written through the mapping, and that goes. */
static void store_unmap(void)
{
	struct p2m_entry e;

	if (p2m_lookup(u2, MAPPED, &e))
		++*(u64 *)arch_mfn_to_virt(e.mfn);
	unmap();
}

static long shadow(u32 op, u32 mode, void *bitmap)
{
	struct xen_domctl c = { .u.shadow_op = { .op = op, .mode = mode, .pages = ~0ULL } };

	set_xen_guest_handle(c.u.shadow_op.dirty_bitmap, bitmap);
	return domctl(1, XEN_DOMCTL_shadow_op, &c);
}

/* dom0 copies u1's pages when the log has been told. */
static u64 copies[NR_PAGES];
static bool copied, copied_before; /* in this run; before each */

static bool page_word(gfn_t gfn, u64 *word)
{
	struct p2m_entry e;

	if (!p2m_lookup(u1, gfn, &e) || e.type != P2M_RAM)
		return false;
	*word = *(u64 *)arch_mfn_to_virt(e.mfn);
	return true;
}

static void log_clean(void)
{
	copied = !shadow(XEN_DOMCTL_SHADOW_OP_CLEAN, 0, NULL);
	for (unsigned int i = 0; i < NR_PAGES; i++)
		page_word(RAM_GFN + i, &copies[i]);
}

void log_clean_before(void)
{
	log_clean();
	assert_true(copied);
	copied_before = true;
}

static void log_off(void)
{
	shadow(XEN_DOMCTL_SHADOW_OP_OFF, 0, NULL);
}

void check_log(void)
{
	static u8 bitmap[LENT / 8 + 1];
	u64 word;

	if (!(copied || copied_before) || !domain_get(1))
		return;
	domain_put(u1);
	copied = false;
	AS(dom0);
	/* It may be off by now. */
	if (shadow(XEN_DOMCTL_SHADOW_OP_PEEK, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL, bitmap))
		return;
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		gfn_t gfn = RAM_GFN + i;

		if (page_word(gfn, &word) && word != copies[i] && !(bitmap[gfn / 8] & BIT(gfn % 8)))
			fail_run("page %u differs from its copy, and is not told", i);
	}
}

static void grow_table(void)
{
	struct gnttab_setup_table op = { .dom = DOMID_SELF, .nr_frames = 3 };

	GNTTAB(GNTTABOP_setup_table, &op, 1);
}

/* ---- events ---- */

static void alloc_unbound(void)
{
	struct evtchn_alloc_unbound a = { .dom = DOMID_SELF, .remote_dom = 2 };

	EVTCHN(EVTCHNOP_alloc_unbound, &a);
}

static void bind_interdomain(void)
{
	struct evtchn_bind_interdomain a = { .remote_dom = 1, .remote_port = port_offered };

	EVTCHN(EVTCHNOP_bind_interdomain, &a);
}

static void close_port(evtchn_port_t port)
{
	struct evtchn_close a = { .port = port };

	EVTCHN(EVTCHNOP_close, &a);
}

static void close_own(void)
{
	close_port(port_1);
}

static void close_peer(void)
{
	close_port(port_2);
}

static void close_offered(void)
{
	close_port(port_offered);
}

static void close_pirq(void)
{
	close_port(port_pirq);
}

static void send_port(evtchn_port_t port)
{
	struct evtchn_send a = { .port = port };

	EVTCHN(EVTCHNOP_send, &a);
}

static void send(void)
{
	send_port(port_1);
}

static void send_peer(void)
{
	send_port(port_2);
}

static void send_masked(void)
{
	send_port(port_to_masked);
}

static void unmask(void)
{
	struct evtchn_unmask a = { .port = port_masked };

	EVTCHN(EVTCHNOP_unmask, &a);
}

static void bind_vcpu(void)
{
	struct evtchn_bind_vcpu a = { .port = port_1, .vcpu = 1 };

	EVTCHN(EVTCHNOP_bind_vcpu, &a);
}

static void bind_virq(void)
{
	struct evtchn_bind_virq a = { .virq = VIRQ_TIMER, .vcpu = 0 };

	EVTCHN(EVTCHNOP_bind_virq, &a);
}

static void bind_ipi(void)
{
	struct evtchn_bind_ipi a = { .vcpu = 1 };

	EVTCHN(EVTCHNOP_bind_ipi, &a);
	send_port(a.port);
}

static void bind_pirq_of(u32 pirq)
{
	struct evtchn_bind_pirq a = { .pirq = pirq };

	EVTCHN(EVTCHNOP_bind_pirq, &a);
}

static void bind_pirq(void)
{
	bind_pirq_of(PIRQ);
}

static void bind_bound_pirq(void)
{
	bind_pirq_of(PIRQ_BOUND);
}

/* An interrupt of the machine, while u2 is on the hart. */
static void interrupt(void)
{
	send_guest_pirq(dom0, PIRQ_BOUND);
	send_guest_pirq(dom0, PIRQ);
}

static void reset(void)
{
	struct evtchn_reset a = { .dom = DOMID_SELF };

	EVTCHN(EVTCHNOP_reset, &a);
}

static void init_fifo(void)
{
	struct evtchn_init_control a = { .control_gfn = X, .vcpu = 0 };

	EVTCHN(EVTCHNOP_init_control, &a);
}

static void expand_fifo(void)
{
	struct evtchn_init_control a = { .control_gfn = Y, .vcpu = 0 };
	struct evtchn_expand_array e = { .array_gfn = X };

	EVTCHN(EVTCHNOP_init_control, &a);
	EVTCHN(EVTCHNOP_expand_array, &e);
}

/* Another sender than u2, to another port of the same queue. */
static void debug_virq(void)
{
	struct domain *d = domain_get(1);

	if (!d)
		return;
	send_guest_vcpu_virq(d->vcpu[0], VIRQ_DEBUG);
	domain_put(d);
}

/* Of queues, what a copy of them would have. */
struct queues {
	struct evtchn_fifo_control_block block;
	u32 tail[EVTCHN_FIFO_MAX_QUEUES];
	event_word_t word[16];
};

static void copy_queues(const struct evtchn_fifo *f, struct queues *q)
{
	q->block = *f->vcpu[0].block;
	memcpy(q->tail, f->vcpu[0].tail, sizeof(q->tail));
	/* Whether an event is pending a sender says that was on its way. */
	for (unsigned int i = 0; i < ARRAY_SIZE(q->word); i++)
		q->word[i] = f->page[0][i] & ~BIT(EVTCHN_FIFO_PENDING);
}

/* Behind the pause nothing moves, as long as nobody ends it. */
static void pause_and_copy(void)
{
	struct domain *d = domain_get(1);
	struct queues first, second;

	if (!d)
		return;
	domctl(1, XEN_DOMCTL_pausedomain, NULL);
	if (d->evtchn->fifo && d->evtchn->fifo->still) {
		copy_queues(d->evtchn->fifo, &first);
		domctl(1, XEN_DOMCTL_getdomaininfo, NULL);
		if (d->evtchn->fifo && d->evtchn->fifo->still) {
			copy_queues(d->evtchn->fifo, &second);
			CHECK(!memcmp(&first, &second, sizeof(first)), "queues move in a pause");
		}
	}
	domain_put(d);
}

static void pause_and_go_on(void)
{
	domctl(1, XEN_DOMCTL_pausedomain, NULL);
	domctl(1, XEN_DOMCTL_unpausedomain, NULL);
}

static void send_queued(void)
{
	send_port(port_to_queued);
}

/*
 * u1's queues go to another domain, first the records and then memory, and move there: whoever sends meanwhile, no event is in the
 * copy that nobody is told of, and no queue is broken.
 */
static void carry_queues(void)
{
	struct domain *d = domain_get(1), *to = domain_get(OTHER);
	struct hvm_riscv_port ports[HVM_PORTS_MAX];
	struct hvm_riscv_fifo_words words;
	struct hvm_riscv_fifo_vcpu v[2];
	int n;

	domctl(1, XEN_DOMCTL_pausedomain, NULL);
	n = d ? evtchn_save(d, 0, ports) : 0;
	/* Where it goes there is room for one. */
	if (n > 0 && evtchn_save_fifo_words(d, 0, &words) > 0 &&
	    evtchn_save_fifo_vcpu(d, 0, &v[0]) > 0 && evtchn_save_fifo_vcpu(d, 1, &v[1]) > 0 &&
	    !evtchn_restore_fifo(to) && d->evtchn->fifo) {
		memcpy(guest_page(to, X), d->evtchn->fifo->page[0], PAGE_SIZE);
		memcpy(guest_page(to, Y), d->evtchn->fifo->vcpu[0].block, PAGE_SIZE);
		assert_int_equal(evtchn_restore(to, 0, ports, n), 0);
		assert_int_equal(evtchn_restore_fifo_words(to, 0, &words, 1), 0);
		for (unsigned int i = 0; i < 2; i++)
			assert_int_equal(evtchn_restore_fifo_vcpu(to, i, &v[i]), 0);
		domctl(OTHER, XEN_DOMCTL_unpausedomain, NULL);
	}
	if (d)
		domain_put(d);
	domain_put(to);
}

/* ---- scheduling ---- */

static void pause_u1(void)
{
	domctl(1, XEN_DOMCTL_pausedomain, NULL);
}

static void unpause_u1(void)
{
	domctl(1, XEN_DOMCTL_unpausedomain, NULL);
}

static void unpause_u2(void)
{
	domctl(2, XEN_DOMCTL_unpausedomain, NULL);
}

static void pin(unsigned int id, u8 mask)
{
	struct xen_domctl op = { .u.vcpuaffinity = { .vcpu = id,
						     .flags = XEN_VCPUAFFINITY_HARD,
						     .cpumap_hard.nr_bits = 8 } };

	set_xen_guest_handle(op.u.vcpuaffinity.cpumap_hard.bitmap, &mask);
	domctl(1, XEN_DOMCTL_setvcpuaffinity, &op);
}

static void pin_running(void)
{
	pin(0, BIT(3));
}

static void unpin_waiting(void)
{
	pin(1, 0xff);
}

static void get_context(void)
{
	struct vcpu_guest_context c;
	struct xen_domctl op = { 0 };

	set_xen_guest_handle(op.u.vcpucontext.ctxt, &c);
	domctl(1, XEN_DOMCTL_getvcpucontext, &op);
}

static void change_pools(u32 op, u32 pool, u32 arg)
{
	struct xen_sysctl s = { .u.cpupool_op = {
					.op = op, .cpupool_id = pool, .domid = arg, .cpu = arg } };

	sysctl(XEN_SYSCTL_cpupool_op, &s);
}

static void move_u1(void)
{
	change_pools(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, OTHER_POOL, 1);
}

/* From under whoever runs there. */
static void take_hart(void)
{
	change_pools(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, 0);
}

static void block(void)
{
	SCHED(SCHEDOP_block, NULL);
}

static void poll(void)
{
	struct sched_poll p = { .nr_ports = 1 };

	set_xen_guest_handle(p.ports, &port_1);
	SCHED(SCHEDOP_poll, &p);
}

static void yield(void)
{
	SCHED(SCHEDOP_yield, NULL);
}

static void down(void)
{
	VCPUOP(VCPUOP_down, 1, NULL);
}

static void up(void)
{
	VCPUOP(VCPUOP_up, 1, NULL);
}

static void shut_down(void)
{
	struct sched_shutdown a = { .reason = SHUTDOWN_suspend };

	SCHED(SCHEDOP_shutdown, &a);
}

static void resume(void)
{
	domctl(1, XEN_DOMCTL_resumedomain, NULL);
}

static void destroy(void)
{
	domctl(1, XEN_DOMCTL_destroydomain, NULL);
}

static void info(void)
{
	domctl(1, XEN_DOMCTL_getdomaininfo, NULL);
}

const struct operation operations[] = {
	{ "populate", BY_U1, ON_MEMORY, populate_empty },
	{ "decrease", BY_U1, ON_MEMORY, give_x },
	{ "replace", BY_U1, ON_MEMORY, replace },
	{ "refill", BY_U1, ON_MEMORY, refill },
	{ "addinfo", BY_U1, ON_MEMORY, add_info },
	{ "addframe", BY_U1, ON_MEMORY, add_frame },
	{ "remove", BY_U1, ON_MEMORY, remove_lent },
	{ "foreign", BY_DOM0, ON_MEMORY, map_foreign },
	{ "unforeign", BY_DOM0, ON_MEMORY, unmap_foreign },
	{ "resource", BY_DOM0, ON_MEMORY, acquire_resource },
	{ "claim", BY_DOM0, ON_MEMORY, claim },
	{ "vcpuinfo", BY_U1, ON_MEMORY | ON_EVENTS, register_info },
	{ "runstate", BY_U1, ON_MEMORY, register_runstate },
	{ "map", BY_U2, ON_MEMORY, map },
	{ "mapagain", BY_U2, ON_MEMORY, map_again },
	{ "mapown", BY_U1, ON_MEMORY, map_own },
	{ "unmap", BY_U2, ON_MEMORY, unmap },
	{ "guess", BY_U2, ON_MEMORY, unmap_guess },
	{ "mapunmap", BY_U2, ON_MEMORY, map_unmap },
	{ "copyfrom", BY_U2, ON_MEMORY, copy_from },
	{ "copyto", BY_U2, ON_MEMORY, copy_to },
	{ "copyown", BY_U1, ON_MEMORY, copy_own },
	{ "grow", BY_U1, ON_MEMORY, grow_table },

	{ "clean", BY_DOM0, ON_MEMORY, log_clean },
	{ "logoff", BY_DOM0, ON_MEMORY, log_off },
	{ "store", BY_U1, ON_MEMORY, store },
	{ "storeunmap", BY_U2, ON_MEMORY, store_unmap },

	{ "alloc", BY_U1, ON_EVENTS, alloc_unbound },
	{ "bind", BY_U2, ON_EVENTS, bind_interdomain },
	{ "close", BY_U1, ON_EVENTS, close_own },
	{ "closepeer", BY_U2, ON_EVENTS, close_peer },
	{ "closeoffered", BY_U1, ON_EVENTS, close_offered },
	{ "send", BY_U1, ON_EVENTS, send },
	{ "sendpeer", BY_U2, ON_EVENTS, send_peer },
	{ "sendmasked", BY_U2, ON_EVENTS, send_masked },
	{ "unmask", BY_U1, ON_EVENTS, unmask },
	{ "bindvcpu", BY_U1, ON_EVENTS, bind_vcpu },
	{ "bindvirq", BY_U1, ON_EVENTS, bind_virq },
	{ "bindipi", BY_U1, ON_EVENTS, bind_ipi },
	{ "bindpirq", BY_DOM0, ON_EVENTS, bind_pirq },
	{ "bindbound", BY_DOM0, ON_EVENTS, bind_bound_pirq },
	{ "closepirq", BY_DOM0, ON_EVENTS, close_pirq },
	{ "interrupt", BY_U2, ON_EVENTS, interrupt },
	{ "reset", BY_U1, ON_EVENTS | CUT_UP, reset },
	{ "fifo", BY_U1, ON_EVENTS | ON_MEMORY, init_fifo },
	{ "fifoarray", BY_U1, ON_EVENTS | ON_MEMORY, expand_fifo },

	{ "queuesend", BY_U2, ON_QUEUES, send_peer },
	{ "queuevirq", BY_U2, ON_QUEUES, debug_virq },
	{ "queueunmask", BY_U1, ON_QUEUES, unmask },
	{ "queuemove", BY_U1, ON_QUEUES, bind_vcpu },
	{ "queuecopy", BY_DOM0, ON_QUEUES, pause_and_copy },
	{ "queuepause", BY_DOM0, ON_QUEUES, pause_and_go_on },
	{ "queuefrom0", BY_DOM0, ON_QUEUES, send_queued },
	{ "queuecarry", BY_DOM0, ON_QUEUES, carry_queues },

	{ "imgstore", BY_U1, ON_IMAGES, store_shared },
	{ "imgload", BY_U1, ON_IMAGES, load_shared },
	{ "imggive", BY_U1, ON_IMAGES, give_x },
	{ "imgarea", BY_U1, ON_IMAGES, register_info },
	{ "imgcopy", BY_U2, ON_IMAGES, store_copy },
	{ "imgunmap", BY_U2, ON_IMAGES, store_unmap },
	{ "imgmap", BY_U2, ON_IMAGES, map_unmap },
	{ "imgcopyto", BY_U2, ON_IMAGES, copy_to },
	{ "imgcopyfrom", BY_U2, ON_IMAGES, copy_from },
	{ "imgread", BY_DOM0, ON_IMAGES, read_u1 },
	{ "imgforeign", BY_DOM0, ON_IMAGES, map_foreign },
	{ "imgstart", BY_DOM0, ON_IMAGES, start_new },
	/* Last, as the longest: of a pair the shorter one is interrupted first. */
	{ "imgfork", BY_DOM0, ON_IMAGES | CUT_UP, fork_again },
	{ "imgdestroy", BY_DOM0, ON_IMAGES | CUT_UP, destroy_copy },

	{ "pause", BY_DOM0, ON_SCHED, pause_u1 },
	{ "unpause", BY_DOM0, ON_SCHED, unpause_u1 },
	{ "start", BY_DOM0, ON_SCHED, unpause_u2 },
	{ "pin", BY_DOM0, ON_SCHED, pin_running },
	{ "unpin", BY_DOM0, ON_SCHED, unpin_waiting },
	{ "poolmove", BY_DOM0, ON_SCHED, move_u1 },
	{ "pooltake", BY_DOM0, ON_SCHED, take_hart },
	{ "context", BY_DOM0, ON_SCHED, get_context },
	{ "block", BY_U1, ON_SCHED | ON_EVENTS, block },
	{ "poll", BY_U1, ON_SCHED | ON_EVENTS, poll },
	{ "yield", BY_U1, ON_SCHED, yield },
	{ "down", BY_U1, ON_SCHED, down },
	{ "up", BY_U1, ON_SCHED, up },

	{ "shutdown", BY_U1, ON_SCHED, shut_down },
	{ "resume", BY_DOM0, ON_SCHED, resume },
	{ "destroy", BY_DOM0, ON_ALL | ON_QUEUES | ON_IMAGES | CUT_UP, destroy },
	{ "info", BY_DOM0, ON_ALL, info },
};
const unsigned int nr_operations = ARRAY_SIZE(operations);

/* ---- the scene ---- */

static struct domain *caller(const struct operation *op)
{
	return op->by == BY_DOM0 ? dom0 : op->by == BY_U1 ? u1 : u2;
}

static void set_objects(void)
{
	struct evtchn_bind_pirq pirq = { .pirq = PIRQ_BOUND };

	grant_access(u1, REF, 2, X, 0);
	grant_access(u1, REF_USED, 2, W, 0);
	grant_access(u1, REF_OWN, 1, X, 0);
	join(u1, u2, &port_1, &port_2);
	join(u1, u2, &port_masked, &port_to_masked);
	set_bit(port_masked, u1->shared_info->evtchn_mask);
	port_offered = unbound(u1, 2);
	add(DOMID_SELF, XENMAPSPACE_shared_info, 0, LENT);
	AS(u2);
	assert_int_equal(map_grant(1, REF_USED, MAPPED, 0, &handle), GNTST_okay);
	AS(dom0);
	map_foreign_of(V);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_pirq, &pirq), 0);
	port_pirq = pirq.port;
	AS(u1);
	assert_int_equal(info_at(1, INFO), 0);
	clear_pending(dom0);
	clear_pending(u1);
	clear_pending(u2);
	x_page = U(guest_page(u1, X));
	/* What is copied is seen. */
	*(u64 *)guest_page(u2, RAM_GFN) = 1;
	*(u64 *)guest_page(u1, Y) = 2;
	AS(dom0);
	assert_int_equal(shadow(XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, NULL), 0);
	host.flushed = fenced;
}

static bool is_about_queues(const struct operation *op)
{
	return op->about & ON_QUEUES && !(op->about & ON_ALL);
}

static bool is_about_images(const struct operation *op)
{
	return op->about & ON_IMAGES && !(op->about & ON_ALL);
}

/* Both vCPUs have theirs; the masked port has an event. What is carried has no ports that lead to u2. */
static void set_queues(bool carried)
{
	struct evtchn_bind_virq virq = { .virq = VIRQ_DEBUG };
	struct evtchn_expand_array e = { .array_gfn = X };

	AS(u1);
	for (unsigned int i = 0; i < 2; i++) {
		struct evtchn_init_control c = { .control_gfn = Y, .offset = i * 128, .vcpu = i };

		assert_int_equal(EVTCHN(EVTCHNOP_init_control, &c), 0);
	}
	assert_int_equal(EVTCHN(EVTCHNOP_expand_array, &e), 0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &virq), 0);
	u1->evtchn->fifo->page[0][port_masked] = BIT(EVTCHN_FIFO_MASKED);
	AS(u2);
	send_port(port_to_masked);
	make_paused_domain(OTHER, 2, NR_PAGES);
	join(u1, dom0, &port_queued, &port_to_queued);
	AS(u1);
	if (carried) {
		close_port(port_1);
		close_port(port_masked);
		close_port(port_offered);
	}
}

/* Harts 0 and 1 run the callers. u1's others may run on hart 2 only. u2 waits to be started, unless it is a caller. */
static void set_harts(struct vcpu *va, struct vcpu *vb)
{
	u64 rest = (BIT(NR_HARTS) - 1) & ~3UL;
	struct domain *d;
	struct vcpu *v;
	unsigned int i;

	if (va->domain != u2 && vb->domain != u2) {
		u2->controller_pauses = 1;
		domain_pause_nosync(u2);
	}
	list_for_each(d, &domain_list, list) {
		domain_for_each_vcpu(d, v, i)
			v->pinned = v == va ? BIT(0) : v == vb ? BIT(1) : d == u1 ? BIT(2) : rest;
	}
	for (unsigned int h = 0; h < NR_HARTS || host.kicked; h++)
		run_hart(h % NR_HARTS);
	list_for_each(d, &domain_list, list) {
		domain_for_each_vcpu(d, v, i) {
			if (d != u1 || v == va || v == vb)
				v->pinned = 0;
		}
	}
	assert_true(host.current[0] == va && host.current[1] == vb);
	host.hart = 0;
}

void set_scene(const struct operation *a, const struct operation *b, struct vcpu **va,
	       struct vcpu **vb)
{
	host_boot();
	host_reset();
	host.now = 1000000;
	free_at_start = heap_free_pages();
	dom0 = make_dom0(2, 2);
	u1 = make_domain(1, 2, NR_PAGES);
	u2 = make_domain(2, 2, NR_PAGES);
	set_objects();
	if (is_about_queues(a) || is_about_queues(b))
		set_queues(a->run == carry_queues || b->run == carry_queues);
	if (is_about_images(a) || is_about_images(b))
		set_images();
	assert_int_equal(cpupool(XEN_SYSCTL_CPUPOOL_OP_CREATE, OTHER_POOL, 0), OTHER_POOL);
	assert_int_equal(cpupool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, NR_HARTS - 1), 0);
	assert_int_equal(cpupool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, OTHER_POOL, NR_HARTS - 1), 0);
	take_small_blocks();
	*va = caller(a)->vcpu[0];
	*vb = caller(b)->vcpu[caller(a) == caller(b)];
	set_harts(*va, *vb);
}
