// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that has suspended itself: its state is registers and time, whatever it had registered; it goes on in a domain that is
 * made as any other, or where it was, as if nothing had been.
 */
#include <event_internal.h>
#include <grant_internal.h>

#define STATE_MAX (64 * 1024)
#include "saved.h"

#define PAGES 8
#define SECOND 1000000000ULL

/* Records of each type but END; a type that there is none of. */
static void count(u8 *s, unsigned int n[HVM_SAVE_LENT + 1])
{
	struct hvm_save_descriptor *d = (void *)s;

	memset(n, 0, (HVM_SAVE_LENT + 1) * sizeof(*n));
	for (; d->typecode; d = (void *)((u8 *)(d + 1) + d->length)) {
		assert_in_range(d->typecode, 1, HVM_SAVE_LENT);
		n[d->typecode]++;
	}
}

static void shut_down(struct domain *d, unsigned int reason)
{
	struct sched_shutdown a = { .reason = reason };

	AS(d);
	assert_int_equal(SCHED(SCHEDOP_shutdown, &a), 0);
}

static u32 watchdog(struct domain *d, u32 id, u32 seconds)
{
	struct sched_watchdog a = { .id = id, .timeout = seconds };

	AS(d);
	return SCHED(SCHEDOP_watchdog, &a);
}

/* All that a whole state would have, and all for which a whole one is refused. */
static void furnish(struct domain *d, struct domain *other, u32 *handle)
{
	struct evtchn_init_control control = { .control_gfn = RAM_GFN + 6 };
	struct vcpu_register_vcpu_info info = { .mfn = RAM_GFN + 1, .offset = 64 };
	struct vcpu_register_runstate_memory_area area;
	struct vcpu_set_singleshot_timer shot = { .timeout_abs_ns = host.now + 5000000 };
	evtchn_port_t a, b;

	for (unsigned int i = 0; i < 2; i++) {
		u8 *r = (u8 *)&d->vcpu[i]->arch->record;

		for (size_t n = 0; n < sizeof(struct hvm_riscv_vcpu); n++)
			r[n] = n * 7 + i;
		d->vcpu[i]->arch->record.regs.pc &= ~1ULL;
		d->vcpu[i]->arch->record.satp = 0;
		d->vcpu[i]->arch->vector.head.vlenb = HOST_VLENB;
	}
	AS(d);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &info), 0);
	area.addr.p = U(guest_page(d, RAM_GFN + 2)) + 128;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &area), 0);
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 0, &shot), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 5), 0);
	assert_int_equal(EVTCHN(EVTCHNOP_init_control, &control), 0);
	join(d, other, &a, &b); /* -EXDEV */
	grant_access(d, 9, other->id, RAM_GFN + 4, 0); /* -EXDEV */
	grant_access(other, 8, d->id, RAM_GFN, 0);
	AS(d);
	assert_int_equal(map_grant(other->id, 8, HOLE, 0, handle), GNTST_okay); /* -EMLINK */
	assert_int_equal(decrease(d->id, RAM_GFN + 1, 0), 1); /* -ENXIO */
	assert_int_equal(watchdog(d, 0, 7), 1);
	d->hvm_params[HVM_PARAM_CALLBACK_IRQ] = 77;
	d->hvm_params[HVM_PARAM_STORE_PFN] = 78;
	d->hvm_params[HVM_PARAM_CONSOLE_PFN] = 79;
	d->hvm_params[HVM_PARAM_STORE_EVTCHN] = 3;
	d->hvm_params[HVM_PARAM_CONSOLE_EVTCHN] = 4;
}

/* u1, furnished and suspended; its state in first. */
static u32 suspended(u32 *handle)
{
	furnish(u1, u2, handle);
	shut_down(u1, SHUTDOWN_suspend);
	return get(1, first);
}

static void let_go_of(u32 handle)
{
	AS(u1);
	assert_int_equal(unmap_grant(handle, HOLE), GNTST_okay);
}

static void registers_and_time_only(void **state)
{
	unsigned int n[HVM_SAVE_LENT + 1];
	struct hvm_riscv_domain *d;
	struct hvm_riscv_vcpu *v;
	u32 handle, size, room = 0;

	host.preempt_every = 1;
	size = suspended(&handle);
	host.preempt_every = 0;
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, NULL, &room), 0);
	assert_int_equal(room, size);
	count(first, n);
	for (u32 code = 1; code <= HVM_SAVE_LENT; code++)
		assert_int_equal(n[code], code == HVM_SAVE_DOMAIN ? 1 :
					  code == HVM_SAVE_VCPU	  ? 2 :
					  code == HVM_SAVE_VECTOR ? 2 :
								    0);
	d = body(first, HVM_SAVE_DOMAIN, 0);
	assert_int_equal(d->flags, HVM_DOMAIN_SUSPENDED);
	assert_int_equal(d->watchdog[0] | d->watchdog[1], 0);
	assert_int_equal(d->callback_irq, 77);
	assert_int_equal(d->store_pfn, 78);
	assert_int_equal(d->console_pfn, 79);
	assert_int_equal(d->store_evtchn | d->console_evtchn, 0);
	assert_int_equal(d->ticks, host.now / HOST_NS_PER_TICK);
	v = body(first, HVM_SAVE_VCPU, 0);
	assert_int_equal(v->flags & HVM_VCPU_UP, HVM_VCPU_UP);
	assert_int_equal(v->singleshot, HVM_NO_TIMER);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(v->runstate_time[i], 0);
	assert_int_equal(v->regs.a0, u1->vcpu[0]->arch->record.regs.a0);
	let_go_of(handle);
}

/* Another end is not that: then it is told whole, or not at all. */
static void other_ends_are_whole(void **state)
{
	u32 handle, size = STATE_MAX;
	unsigned int n[HVM_SAVE_LENT + 1];

	furnish(u1, u2, &handle);
	shut_down(u1, SHUTDOWN_crash);
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, first, &size), -EMLINK);
	let_go_of(handle);
	size = STATE_MAX;
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, first, &size), -ENXIO);
	/* Nor is the reason without the shutdown. */
	AS(u2);
	assert_int_equal(SCHED(SCHEDOP_shutdown_code,
			       &((struct sched_shutdown){ .reason = SHUTDOWN_suspend })),
			 0);
	op(2, XEN_DOMCTL_pausedomain);
	size = STATE_MAX;
	/* u1's end of the port */
	assert_int_equal(context(2, XEN_DOMCTL_gethvmcontext, first, &size), -EXDEV);
	shut_down(u2, SHUTDOWN_poweroff);
	get(2, first);
	count(first, n);
	assert_int_equal(n[HVM_SAVE_PORTS] + n[HVM_SAVE_SHARED_INFO] + n[HVM_SAVE_GRANTS], 0);
}

static evtchn_port_t alloc_port(domid_t dom)
{
	struct evtchn_alloc_unbound a = { .dom = dom, .remote_dom = 0 };

	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), 0);
	return a.port;
}

static void set_param(domid_t dom, u32 index, u64 value)
{
	struct xen_hvm_param p = { .domid = dom, .index = index, .value = value };

	AS(dom0);
	assert_int_equal(HC(__HYPERVISOR_hvm_op, HVMOP_set_param, U(&p)), 0);
}

/* What a toolstack gives each new guest. */
static void give_rings(struct domain *d, evtchn_port_t port[2])
{
	port[0] = alloc_port(NEW);
	port[1] = alloc_port(NEW);
	grant_access(d, GNTTAB_RESERVED_CONSOLE, 0, RAM_GFN + 3, 0);
	set_param(NEW, HVM_PARAM_STORE_PFN, 178);
	set_param(NEW, HVM_PARAM_STORE_EVTCHN, port[0]);
	set_param(NEW, HVM_PARAM_CONSOLE_PFN, 179);
	set_param(NEW, HVM_PARAM_CONSOLE_EVTCHN, port[1]);
}

/* As a guest's kernel: all of it anew. */
static void register_anew(struct domain *d)
{
	struct evtchn_init_control control = { .control_gfn = RAM_GFN + 6 };
	struct vcpu_register_vcpu_info info = { .mfn = RAM_GFN + 1, .offset = 64 };
	struct vcpu_register_runstate_memory_area area;
	struct vcpu_runstate_info *seen = (void *)((char *)guest_page(d, RAM_GFN + 2) + 128);

	AS(d);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 5), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, HOLE), 0);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &info), 0);
	area.addr.p = U(seen);
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &area), 0);
	/* From 0 on: it has been here for as long as the test says. */
	assert_true(seen->time[0] + seen->time[1] + seen->time[2] + seen->time[3] <= 1000);
	assert_int_equal(EVTCHN(EVTCHNOP_init_control, &control), 0);
	assert_int_equal(watchdog(d, 0, 7), 1);
}

/* Rings and ports may be given before or after, and are left alone. */
static void a_new_domain_goes_on(void **state)
{
	u32 handle, size = suspended(&handle), again;
	u64 then = host.now;
	evtchn_port_t port[2];
	struct domain *d;

	for (unsigned int round = 0; round < 2; round++) {
		advance(3 * SECOND);
		d = make_paused_domain(NEW, 2, PAGES);
		if (!round)
			give_rings(d, port);
		assert_int_equal(set(NEW, first, size), 0);
		if (round)
			give_rings(d, port);
		assert_int_equal(d->hvm_params[HVM_PARAM_CALLBACK_IRQ], 77);
		assert_int_equal(d->hvm_params[HVM_PARAM_STORE_PFN], 178);
		assert_int_equal(d->hvm_params[HVM_PARAM_STORE_EVTCHN], port[0]);
		assert_int_equal(d->hvm_params[HVM_PARAM_CONSOLE_PFN], 179);
		assert_int_equal(d->hvm_params[HVM_PARAM_CONSOLE_EVTCHN], port[1]);
		assert_int_equal(grant_entry(d, GNTTAB_RESERVED_CONSOLE)->frame, RAM_GFN + 3);
		/* What it was given is what it tells, but for what is the toolstack's, and the wall clock. */
		again = get(NEW, second);
		assert_int_equal(again, size);
		memcpy(body(second, HVM_SAVE_DOMAIN, 0), body(first, HVM_SAVE_DOMAIN, 0), 24);
		{
			struct hvm_riscv_domain *a = body(first, HVM_SAVE_DOMAIN, 0),
						*b = body(second, HVM_SAVE_DOMAIN, 0);

			assert_int_equal(b->store_pfn, 178);
			b->store_pfn = a->store_pfn;
			b->console_pfn = a->console_pfn;
			b->wall_seconds = a->wall_seconds;
			b->wall_nanoseconds = a->wall_nanoseconds;
		}
		assert_memory_equal(first, second, size);
		op(NEW, XEN_DOMCTL_unpausedomain);
		assert_int_equal(domain_ns(d, host.now), then);
		assert_false(d->vcpu[0]->singleshot_timer.armed);
		assert_int_equal(d->watchdog_used, 0);
		/* Nothing is pending that it was not sent: neither vCPU was told to look. */
		assert_int_equal(d->vcpu[0]->info->evtchn_upcall_pending, 0);
		assert_null(d->vcpu[1]->info);
		register_anew(d);
		/* What it has now, a whole state would have to have. */
		op(NEW, XEN_DOMCTL_pausedomain);
		again = STATE_MAX;
		assert_int_equal(context(NEW, XEN_DOMCTL_gethvmcontext, second, &again), 0);
		assert_int_equal(
			((struct hvm_riscv_domain *)body(second, HVM_SAVE_DOMAIN, 0))->flags,
			HVM_DOMAIN_FIFO);
		body(second, HVM_SAVE_FIFO_VCPU, 0);
		run_kicked();
		op(NEW, XEN_DOMCTL_destroydomain);
	}
	let_go_of(handle);
}

/* An END that is a record of another type, with what u1 has of it. */
static u32 with(u32 code, u32 instance, u32 length, u32 size)
{
	struct hvm_save_descriptor d = { code, instance, length }, end = { 0 };

	memcpy(second, first, size);
	memcpy(second + size - sizeof(end), &d, sizeof(d));
	memset(second + size, 0, length);
	memcpy(second + size + length, &end, sizeof(end));
	return size + length + sizeof(end);
}

/* Neither does a stream that says so bring more than that, nor one with flags that nobody knows. */
static void hostile_records(void **state)
{
	static const struct {
		u32 code, length;
	} more[] = {
		{ HVM_SAVE_AREAS, sizeof(struct hvm_riscv_areas) },
		{ HVM_SAVE_PORTS, sizeof(struct hvm_riscv_port) },
		{ HVM_SAVE_SHARED_INFO, HVM_SHARED_INFO_SIZE },
		{ HVM_SAVE_GRANTS, HVM_GRANTS_SIZE },
		{ HVM_SAVE_LENT, sizeof(struct hvm_riscv_lent) },
		{ HVM_SAVE_FIFO_WORDS, 16 },
		{ HVM_SAVE_FIFO_VCPU, sizeof(struct hvm_riscv_fifo_vcpu) },
		{ HVM_SAVE_FIFO_VCPU + 1, 0 },
	};
	u32 handle, size = suspended(&handle), n;
	struct domain *d;

	for (unsigned int i = 0; i <= ARRAY_SIZE(more); i++) {
		d = make_paused_domain(NEW, 2, PAGES);
		n = i < ARRAY_SIZE(more) ? with(more[i].code, 0, more[i].length, size) : size;
		if (i == ARRAY_SIZE(more))
			memcpy(second, first, size); /* and this is right */
		assert_int_equal(set(NEW, second, n), i < ARRAY_SIZE(more) ? -EINVAL : 0);
		AS(dom0);
		assert_int_equal(domctl(NEW, XEN_DOMCTL_unpausedomain, NULL),
				 i < ARRAY_SIZE(more) ? -EINVAL : 0);
		op(NEW, XEN_DOMCTL_destroydomain);
		(void)d;
	}
	for (unsigned int i = 1; i < 64; i++) {
		make_paused_domain(NEW, 2, PAGES);
		memcpy(second, first, size);
		((struct hvm_riscv_domain *)body(second, HVM_SAVE_DOMAIN, 0))->flags |= BIT(i);
		assert_int_equal(set(NEW, second, size), -EINVAL);
		/* Nothing has happened to it. */
		assert_int_equal(set(NEW, first, size), 0);
		op(NEW, XEN_DOMCTL_destroydomain);
	}
	let_go_of(handle);
}

/* It is resumed between two steps: what comes is of no use, and harms nobody. */
static void resume_u1(void)
{
	struct domain *self = arch_current()->domain;
	unsigned int nr = host.restart_nr;
	u64 saved[5];

	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	op(1, XEN_DOMCTL_resumedomain);
	memcpy(host.restart_args, saved, sizeof(saved));
	host.restart_nr = nr;
	AS(self);
}

static void resumed_meanwhile(void **state)
{
	u32 handle, size = STATE_MAX;

	suspended(&handle);
	host.preempt_every = 1;
	host.between = resume_u1;
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, second, &size), -EBUSY);
	host.preempt_every = 0;
	let_go_of(handle);
}

/* ---- it is copied while it is suspended ---- */

static void its_memory_is_there(void **state)
{
	static u8 page[PAGE_SIZE] __aligned(8);
	struct pavise_memory_run runs[16];
	u64 gfn = RAM_GFN + 5;
	u8 kind = 99;
	u32 handle;
	struct xen_domctl c = { .u.pavise_memory = { .op = PAVISE_MEMORY_read,
						     .count = 1,
						     .gfns = U(&gfn),
						     .pages = U(page),
						     .kinds = U(&kind) } };
	bool found = false;

	memset(guest_page(u1, gfn), 4, PAGE_SIZE);
	suspended(&handle);
	AS(dom0);
	assert_int_equal(domctl(1, PAVISE_DOMCTL_memory, &c), 0);
	assert_int_equal(kind, PAVISE_MEMORY_data);
	assert_int_equal(page[99], 4);
	c.u.pavise_memory = (struct pavise_domctl_memory){ .op = PAVISE_MEMORY_map,
							   .count = ARRAY_SIZE(runs),
							   .runs = U(runs) };
	assert_int_equal(domctl(1, PAVISE_DOMCTL_memory, &c), 0);
	for (u32 i = 0; i < c.u.pavise_memory.count; i++)
		found |= runs[i].gfn == gfn &&
			 runs[i].what == (PAVISE_RUN_shared_info | PAVISE_RUN_hides_ram);
	assert_true(found);
	let_go_of(handle);
}

/* ---- it goes on where it was ---- */

/* All but a0 is as it was, and a vCPU that is told nothing keeps all. */
static void cancelled(void **state)
{
	struct vcpu_guest_context was, c;
	struct xen_domctl x = { .u.vcpucontext.vcpu = 0 };
	struct vcpu_info *info;
	evtchn_port_t a, b;
	u32 handle;

	suspended(&handle);
	info = u1->vcpu[1]->info;
	memset(&u1->vcpu[0]->arch->context, 0x5a, sizeof(was));
	u1->vcpu[0]->arch->context.flags = VGCF_online;
	set_xen_guest_handle(x.u.vcpucontext.ctxt, &c);
	AS(dom0);
	assert_int_equal(domctl(1, XEN_DOMCTL_getvcpucontext, &x), 0);
	was = c;
	c.user_regs.a0 = 1;
	assert_int_equal(domctl(1, XEN_DOMCTL_setvcpucontext, &x), 0);
	assert_true(u1->is_shut_down);
	assert_false(u1->vcpu[0]->on_queue);
	op(1, XEN_DOMCTL_resumedomain);
	assert_int_equal(u1->vcpu[0]->arch->context.user_regs.a0, 1);
	was.user_regs.a0 = 1;
	assert_memory_equal(&u1->vcpu[0]->arch->context, &was, sizeof(was));
	assert_false(u1->has_shutdown_reason);
	for (unsigned int i = 0; i < 2; i++)
		assert_true(u1->vcpu[i]->on_queue || u1->vcpu[i]->running);
	/* What it had registered is still there. */
	assert_ptr_equal(u1->vcpu[1]->info, info);
	assert_true(u1->vcpu[0]->singleshot_timer.armed);
	assert_non_null(u1->vcpu[0]->runstate_page);
	join(u1, u2, &a, &b);
	let_go_of(handle);
	/* It can do so again. */
	shut_down(u1, SHUTDOWN_suspend);
	get(1, second);
	assert_int_equal(((struct hvm_riscv_domain *)body(second, HVM_SAVE_DOMAIN, 0))->flags,
			 HVM_DOMAIN_SUSPENDED);
}

/* However long it was suspended, a watchdog has all of its time when it goes on; one that was stopped stays so. */
static void watchdogs_have_their_time_again(void **state)
{
	for (unsigned int seconds = 1; seconds < 12; seconds += 5) {
		u32 id = watchdog(u1, 0, 7), stopped = watchdog(u1, 0, 2);

		assert_int_equal(watchdog(u1, stopped, 0), 0);
		shut_down(u1, SHUTDOWN_suspend);
		advance(seconds * SECOND);
		assert_int_equal(u1->shutdown_reason, SHUTDOWN_suspend);
		op(1, XEN_DOMCTL_resumedomain);
		assert_true(u1->watchdog[id - 1].armed);
		assert_int_equal(u1->watchdog[id - 1].expires, host.now + 7 * SECOND);
		assert_false(u1->watchdog[stopped - 1].armed);
		advance(7 * SECOND - 1000);
		assert_false(u1->is_shut_down);
		assert_int_equal(watchdog(u1, id, 0), 0);
	}
	assert_int_equal(watchdog(u1, 0, 1), 1);
	shut_down(u1, SHUTDOWN_suspend);
	advance(2 * SECOND);
	op(1, XEN_DOMCTL_resumedomain);
	advance(2 * SECOND);
	assert_int_equal(u1->shutdown_reason, SHUTDOWN_watchdog);
	/* One that runs, or is about to be gone, is not wound up. */
	assert_int_equal(watchdog(u2, 0, 7), 1);
	advance(SECOND);
	op(2, XEN_DOMCTL_resumedomain);
	assert_int_equal(u2->watchdog[0].expires, host.now + 6 * SECOND);
	shut_down(u2, SHUTDOWN_suspend);
	domain_hold(u2);
	AS(dom0);
	assert_int_equal(domctl(2, XEN_DOMCTL_destroydomain, NULL), 0);
	op(2, XEN_DOMCTL_resumedomain);
	assert_false(u2->watchdog[0].armed);
	assert_true(u2->is_shut_down);
	domain_put(u2);
}

static void its_time_is_up(void)
{
	unsigned int self = host.hart;

	for (host.hart = 0; host.hart < NR_HARTS; host.hart++)
		timer_interrupt();
	host.hart = self;
}

/* One given with a state is as one that the guest has set. */
static void a_watchdog_of_a_former_life(void **state)
{
	struct domain *d;
	u32 size;

	assert_int_equal(watchdog(u1, 0, 7), 1);
	op(1, XEN_DOMCTL_pausedomain);
	advance(2 * SECOND);
	size = get(1, first);
	d = make_paused_domain(NEW, 2, PAGES);
	assert_int_equal(set(NEW, first, size), 0);
	op(NEW, XEN_DOMCTL_unpausedomain);
	shut_down(d, SHUTDOWN_suspend);
	host.now += 9 * SECOND;
	its_time_is_up();
	op(NEW, XEN_DOMCTL_resumedomain);
	assert_int_equal(d->watchdog[0].expires, host.now + 5 * SECOND);
	run_kicked();
	op(NEW, XEN_DOMCTL_destroydomain);
}

/* One that has a state and has never run is shut down and resumed: its watchdogs wait for its time to begin. */
static void a_watchdog_that_has_not_begun(void **state)
{
	struct sched_remote_shutdown end = { .domain_id = NEW, .reason = SHUTDOWN_suspend };
	struct domain *d;
	u32 size;

	assert_int_equal(watchdog(u1, 0, 7), 1);
	op(1, XEN_DOMCTL_pausedomain);
	size = get(1, first);
	d = make_paused_domain(NEW, 2, PAGES);
	assert_int_equal(set(NEW, first, size), 0);
	AS(dom0);
	assert_int_equal(SCHED(SCHEDOP_remote_shutdown, &end), 0);
	op(NEW, XEN_DOMCTL_resumedomain);
	assert_false(d->watchdog[0].armed);
	advance(9 * SECOND);
	assert_false(d->is_shut_down);
	op(NEW, XEN_DOMCTL_unpausedomain);
	assert_int_equal(d->watchdog[0].expires, host.now + 7 * SECOND);
	run_kicked();
	op(NEW, XEN_DOMCTL_destroydomain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_and_time_only),
		TEST(other_ends_are_whole),
		TEST(a_new_domain_goes_on),
		TEST(hostile_records),
		TEST(resumed_meanwhile),
		TEST(its_memory_is_there),
		TEST(cancelled),
		TEST(watchdogs_have_their_time_again),
		TEST(a_watchdog_of_a_former_life),
		TEST(a_watchdog_that_has_not_begun),
	};

	return RUN(tests);
}
