// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole states at awkward moments: timers that have run out, clocks that go on between two reads of them, vCPUs that came from
 * elsewhere, mappings that change under a copy.
 */
#include <memory.h>

#define STATE_MAX (64 * 1024)
#include "saved.h"

#define PAGES 8

/* A domain that has u1's state and has not run yet. */
static struct domain *copy_u1(void)
{
	u32 size = get(1, first);
	struct domain *d = make_paused_domain(NEW, 2, PAGES);

	assert_int_equal(context(NEW, XEN_DOMCTL_sethvmcontext, first, &size), 0);
	return d;
}

/* One that fired when its domain was shut down anyway is still the guest's: it winds it up again where it goes on. */
static void watchdog_that_ran_out(void **state)
{
	struct sched_watchdog dog = { .timeout = 1 };
	struct sched_shutdown end = { .reason = SHUTDOWN_crash };
	struct domain *d;

	AS(u1);
	assert_int_equal(SCHED(SCHEDOP_watchdog, &dog), 1);
	assert_int_equal(SCHED(SCHEDOP_shutdown, &end), 0);
	advance(2000000000);
	timer_interrupt();
	assert_false(u1->watchdog[0].armed);
	d = copy_u1();
	assert_int_equal(d->watchdog_used, u1->watchdog_used);
	op(NEW, XEN_DOMCTL_unpausedomain);
	advance(2000000000);
	timer_interrupt();
	assert_false(d->is_shut_down);
	assert_int_equal(((struct hvm_riscv_domain *)body(first, HVM_SAVE_DOMAIN, 0))->watchdog[1],
			 0);
	dog = (struct sched_watchdog){ .id = 1, .timeout = 3 };
	AS(d);
	assert_int_equal(SCHED(SCHEDOP_watchdog, &dog), 0);
	op(NEW, XEN_DOMCTL_destroydomain);
}

/* A vCPU that has its context from elsewhere has set no timer. */
static void no_timer_of_its_own(void **state)
{
	struct vcpu_guest_context c = { .flags = VGCF_online };
	struct xen_domctl set_context = { .u.vcpucontext.vcpu = 1 };
	struct hvm_riscv_vcpu *r;
	struct domain *d;

	u1->vcpu[1]->is_initialised = false;
	op(1, XEN_DOMCTL_pausedomain);
	d = copy_u1();
	set_xen_guest_handle(set_context.u.vcpucontext.ctxt, &c);
	AS(dom0);
	assert_int_equal(domctl(NEW, XEN_DOMCTL_setvcpucontext, &set_context), 0);
	/* The host's stand-in for the registers does not say so itself. */
	d->vcpu[1]->is_initialised = true;
	get(NEW, second);
	r = body(second, HVM_SAVE_VCPU, 1);
	assert_int_equal(r->singleshot, HVM_NO_TIMER);
	op(NEW, XEN_DOMCTL_unpausedomain);
	assert_false(d->vcpu[1]->singleshot_timer.armed);
	op(NEW, XEN_DOMCTL_destroydomain);
}

/* The time CSR and the system time are one clock to the guest, however long it takes to read both of the machine's. */
static void one_clock(void **state)
{
	struct domain *d;

	op(1, XEN_DOMCTL_pausedomain);
	d = copy_u1();
	advance(5000);
	host.time_step = 1000 * HOST_NS_PER_TICK;
	op(NEW, XEN_DOMCTL_unpausedomain);
	host.time_step = 0;
	assert_int_equal(domain_ns(d, host.now),
			 arch_ticks_to_ns(arch_time_ticks() + d->time_delta));
	op(NEW, XEN_DOMCTL_destroydomain);
}

/* Before it runs, all that is told stands still. */
static void time_stands_still(void **state)
{
	struct hvm_riscv_domain *r;
	struct domain *d;
	u32 size;

	op(1, XEN_DOMCTL_pausedomain);
	d = copy_u1();
	(void)d;
	size = get(NEW, first);
	advance(123400);
	assert_int_equal(get(NEW, second), size);
	for (unsigned int i = 0; i < 2; i++) {
		r = body(i ? second : first, HVM_SAVE_DOMAIN, 0);
		r->wall_seconds = r->wall_nanoseconds = 0;
	}
	assert_memory_equal(first, second, size);
	op(NEW, XEN_DOMCTL_destroydomain);
}

/* An event for a vCPU that is yet to be started, which its area in memory is too old to tell of. */
static void told_before_the_start(void **state)
{
	struct vcpu_register_vcpu_info info = { .mfn = RAM_GFN + 1 };
	struct evtchn_bind_ipi ipi = { .vcpu = 1 };
	struct domain *d;

	AS(u1);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &info), 0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &ipi), 0);
	u1->vcpu[1]->is_initialised = false;
	op(1, XEN_DOMCTL_pausedomain);
	set_bit(ipi.port, u1->shared_info->evtchn_pending);
	d = copy_u1();
	clear_bit(ipi.port, u1->shared_info->evtchn_pending);
	op(NEW, XEN_DOMCTL_unpausedomain);
	assert_int_equal(d->vcpu[1]->info->evtchn_upcall_pending, 1);
	assert_int_equal(d->vcpu[1]->info->evtchn_pending_sel, ~0UL);
	op(NEW, XEN_DOMCTL_destroydomain);
}

static void take_shared_info_away(void)
{
	assert_int_equal(memory_unmap_lent(u1, RAM_GFN + 5), 0);
}

/* Whether shared_info is in its place or not, there is RAM at that number all the time. */
static void what_it_hid_comes_back(void **state)
{
	static u8 page[PAGE_SIZE] __aligned(8);
	u64 gfn = RAM_GFN + 5;
	u8 kind = 99;
	struct xen_domctl c = { .u.pavise_memory = { .op = PAVISE_MEMORY_read,
						     .count = 1,
						     .gfns = U(&gfn),
						     .pages = U(page),
						     .kinds = U(&kind) } };

	memset(guest_page(u1, gfn), 4, PAGE_SIZE);
	AS(u1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, gfn), 0);
	AS(dom0);
	host.after_get = take_shared_info_away;
	assert_int_equal(domctl(1, PAVISE_DOMCTL_memory, &c), 0);
	assert_null(host.after_get);
	assert_int_equal(kind, PAVISE_MEMORY_data);
	assert_int_equal(page[99], 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(watchdog_that_ran_out),
		TEST(no_timer_of_its_own),
		TEST(one_clock),
		TEST(time_stands_still),
		TEST(told_before_the_start),
		TEST(what_it_hid_comes_back),
	};

	return RUN(tests);
}
