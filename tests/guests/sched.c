/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sched_op and vcpu_op: giving the hart away, waiting, vCPUs that come and go, runstate, timers.
 *
 * guest: vcpus=4
 * peer: partner
 */
#define __XEN_TOOLS__ 1 /* struct vcpu_guest_context */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "lib/hostile.h"

static struct partner partner;
static volatile unsigned int upcalls;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port, (void)arg;
	__atomic_fetch_add(&upcalls, 1, __ATOMIC_SEQ_CST);
}

static long poll(evtchn_port_t *ports, unsigned int n, uint64_t timeout)
{
	struct sched_poll op = { .nr_ports = n, .timeout = timeout };

	set_xen_guest_handle(op.ports, ports);
	return HYPERVISOR_sched_op(SCHEDOP_poll, &op);
}

static long watchdog(unsigned int id, unsigned int seconds)
{
	struct sched_watchdog op = { .id = id, .timeout = seconds };

	return HYPERVISOR_sched_op(SCHEDOP_watchdog, &op);
}

/* ---- sched_op ---- */

static void blocking(void)
{
	uint64_t before = pv_time_ns();
	unsigned long flags;

	tap_is(HYPERVISOR_sched_op(SCHEDOP_yield, NULL), 0, "yield");
	pv_sleep_ns(2000000);
	tap_ok(pv_time_ns() - before >= 2000000, "wfi sleeps until the timer");
	/* An event that is there before the block ends it at once. */
	flags = pv_irq_save();
	upcalls = 0;
	pv_event_send(partner.bound);
	tap_is(HYPERVISOR_sched_op(SCHEDOP_block, NULL), 0, "block, until an event");
	pv_irq_restore(flags);
	tap_ok(upcalls > 0, "and the event was there");
}

static void polling(void)
{
	long port = pv_event_bind_ipi(0);
	evtchn_port_t ports[129] = { port }, one = port, none = 0xffffffff;
	uint64_t before = pv_time_ns();

	pv_event_mask(port);
	tap_is(poll(&one, 1, before + 3000000), 0, "poll with a timeout");
	tap_ok(pv_time_ns() - before >= 3000000, "ends at that time");
	tap_is(poll(&one, 1, 1), 0, "a timeout that is past");
	pv_event_send(port);
	tap_is(poll(&one, 1, 0), 0, "a port that is pending");
	for (unsigned int i = 0; i < 128; i++)
		ports[i] = port;
	tap_is(poll(ports, 128, 0), 0, "128 ports");
	tap_is(poll(ports, 129, 0), -EINVAL, "129 are too many");
	tap_is(poll(ports, 0xffffffff, 0), -EINVAL, "as many as can be");
	tap_is(poll(&none, 1, 1), -EINVAL, "a port that is none");
	tap_is(poll((void *)0x10000000, 1, 1), -EFAULT, "ports that are not there");
	tap_is(poll((void *)-4UL, 2, 1), -EFAULT, "ports around the end of the address space");
	tap_is(poll((void *)(pv_domain.ram_end - 4), 2, 1), -EFAULT, "ports past the end of RAM");
	pv_event_close(port);
}

static void watchdogs(void)
{
	long id = watchdog(0, 1000), second = watchdog(0, 1000);

	tap_ok(id > 0 && second > 0 && id != second, "two watchdogs");
	tap_is(watchdog(0, 1000), -ENOSPC, "not three");
	tap_is(watchdog(id, 2000), 0, "kicked");
	tap_is(watchdog(id, 0), 0, "stopped");
	tap_is(watchdog(id, 0), -EINVAL, "not twice");
	tap_is(watchdog(second, 0), 0, "and the other");
	tap_is(watchdog(0, 0), -EINVAL, "none for no time");
	tap_is(watchdog(77, 1000), -EINVAL, "number 77");
	tap_is(watchdog(0xffffffff, 1000), -EINVAL, "the last number");
}

static void shutdowns(void)
{
	struct sched_shutdown s = { .reason = SHUTDOWN_MAX + 1 };
	struct sched_remote_shutdown r = { .domain_id = partner.domid,
					   .reason = SHUTDOWN_poweroff };

	tap_is(HYPERVISOR_sched_op(SCHEDOP_shutdown, &s), -EINVAL, "a reason that is none");
	s.reason = 0xffffffff;
	tap_is(HYPERVISOR_sched_op(SCHEDOP_shutdown, &s), -EINVAL, "the last number");
	tap_is(HYPERVISOR_sched_op(SCHEDOP_shutdown_code, &s), -EINVAL, "shutdown_code of none");
	s.reason = SHUTDOWN_poweroff;
	tap_is(HYPERVISOR_sched_op(SCHEDOP_shutdown_code, &s), 0, "shutdown_code");
	tap_is(HYPERVISOR_sched_op(SCHEDOP_remote_shutdown, &r), -EPERM, "another's shutdown");
	r.domain_id = 0;
	tap_is(HYPERVISOR_sched_op(SCHEDOP_remote_shutdown, &r), -EPERM, "dom0's");
	tap_is(HYPERVISOR_sched_op(200, &r), -XEN_ENOSYS, "an operation that is none");
}

/* ---- vcpu_op ---- */

static volatile bool stop;
static volatile unsigned long beats;

static void beat(void *arg)
{
	(void)arg;
	while (!stop)
		beats++;
}

static bool beating(void)
{
	unsigned long seen = beats;
	uint64_t until = pv_time_ns() + 2000000000;

	while (beats == seen && pv_time_ns() < until)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	return beats != seen;
}

/* It is not on a hart any more; on a slow machine that takes longer than any sleep. */
static bool has_left(unsigned int vcpu)
{
	uint64_t until = pv_time_ns() + 10000000000;
	struct vcpu_runstate_info info;

	do {
		if (HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, vcpu, &info))
			return false;
		if (info.state == RUNSTATE_offline)
			return true;
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	} while (pv_time_ns() < until);
	return false;
}

static void up_and_down(void)
{
	struct vcpu_guest_context *c = calloc(1, sizeof(*c));
	unsigned long seen;

	tap_is(HYPERVISOR_vcpu_op(VCPUOP_is_up, 0, NULL), 1, "this vCPU is up");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_is_up, 3, NULL), 0, "one that never ran is not");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_up, 3, NULL), -EINVAL,
	       "nor can it come up without registers");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_is_up, 4, NULL), -ENOENT, "a vCPU that is not there");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_up, 0xffffffff, NULL), -ENOENT, "one far beyond");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_down, 4, NULL), -ENOENT, "down, not there");
	stop = false;
	pv_vcpu_start(1, beat, NULL);
	tap_ok(beating(), "vCPU 1 runs");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_is_up, 1, NULL), 1, "it is up");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_down, 1, NULL), 0, "down");
	tap_ok(has_left(1), "it leaves its hart");
	seen = beats;
	pv_sleep_ns(5000000);
	tap_is(beats, seen, "it stands still");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_is_up, 1, NULL), 0, "it is not up");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_up, 1, NULL), 0, "up");
	tap_ok(beating(), "it goes on where it was");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_initialise, 1, c), -EEXIST,
	       "no new registers for one that ran");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_initialise, 9, c), -ENOENT,
	       "nor for one that is not there");
	stop = true;
	pv_vcpu_join(1);
	free(c);
}

/* A vCPU that is started with registers of ours: only its pc matters. */
static volatile unsigned long started;
void vcpu3_entry(void);

static void initialise(void)
{
	struct vcpu_guest_context *c = calloc(1, sizeof(*c));
	uint64_t until = pv_time_ns() + 2000000000;

	c->flags = VGCF_online;
	c->user_regs.pc = (uintptr_t)vcpu3_entry;
	c->user_regs.a0 = 3;
	c->user_regs.a1 = (uintptr_t)&started;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_initialise, 3, c), 0, "initialise, online");
	while (!started && pv_time_ns() < until)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	tap_is(started, 3, "it starts at our address with our registers");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_initialise, 3, c), -EEXIST, "once in its life");
	HYPERVISOR_vcpu_op(VCPUOP_down, 3, NULL);
	free(c);
}

static void runstate(void)
{
	struct vcpu_runstate_info *area = memalign(64, sizeof(*area)), info = { 0 };
	struct vcpu_register_runstate_memory_area reg = { .addr.v = area };
	uint64_t total = 0;
	char *across;

	memset(area, 0, sizeof(*area));
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info), 0, "get_runstate_info");
	for (unsigned int i = 0; i < 4; i++)
		total += info.time[i];
	tap_ok(info.state == RUNSTATE_running && info.time[RUNSTATE_running] && total,
	       "running, for %llu us", (unsigned long long)info.time[RUNSTATE_running] / 1000);
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 2, &info), 0, "of vCPU 2");
	tap_is(info.state, RUNSTATE_offline, "which is down");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0,
	       "an area for it");
	pv_sleep_ns(3000000);
	tap_ok(area->state == RUNSTATE_running && area->time[RUNSTATE_blocked] >= 2000000,
	       "it says that we slept (%llu us)",
	       (unsigned long long)area->time[RUNSTATE_blocked] / 1000);
	reg.addr.p = (uintptr_t)area + 4;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), -EINVAL,
	       "an area that is not aligned");
	/* Its last three words are the second page's. */
	across = (char *)pv_alloc_pages(2) + PV_PAGE_SIZE - 24;
	reg.addr.p = (uintptr_t)across;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0,
	       "one over the end of a page");
	pv_sleep_ns(3000000);
	HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info);
	memcpy(area, across, sizeof(*area));
	tap_ok(area->state == RUNSTATE_running && area->time[RUNSTATE_blocked] >= 4000000 &&
		       area->time[RUNSTATE_blocked] <= info.time[RUNSTATE_blocked],
	       "it says that we slept twice (%llu us)",
	       (unsigned long long)area->time[RUNSTATE_blocked] / 1000);
	reg.addr.p = PV_WINDOW;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), -EFAULT,
	       "one that is not mapped");
	reg.addr.p = 0;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg), 0,
	       "no area any more");
	free(area);
}

static long register_info(unsigned int vcpu, uint64_t gfn, uint64_t offset)
{
	struct vcpu_register_vcpu_info r = { .mfn = gfn, .offset = offset };

	return HYPERVISOR_vcpu_op(VCPUOP_register_vcpu_info, vcpu, &r);
}

static void vcpu_info(void)
{
	char *page = pv_alloc_pages(1);
	uint64_t gfn = pv_gfn(page);

	tap_is(register_info(0, gfn, 0), -EINVAL, "a second vcpu_info");
	tap_is(register_info(2, gfn, 4), -EINVAL, "not aligned (XSA-327)");
	tap_is(register_info(2, gfn, 1), -EINVAL, "not aligned at all");
	tap_is(register_info(2, gfn, PV_PAGE_SIZE - 8), -EINVAL, "over the end of its page");
	tap_is(register_info(2, gfn, PV_PAGE_SIZE), -EINVAL, "beyond it");
	tap_is(register_info(2, gfn, 0xfffffff8), -EINVAL, "far beyond it");
	tap_is(register_info(2, 0x10000, 0), -EINVAL, "where no memory is");
	tap_is(register_info(2, ~0UL, 0), -EINVAL, "the last frame");
	tap_is(register_info(4, gfn, 0), -ENOENT, "of no vCPU");
	tap_is(register_info(2, gfn, 64), 0, "vCPU 2's, before it ever ran");
	tap_is(register_info(2, gfn, 128), -EINVAL, "once");
}

/* The hypervisor's clock is the time CSR, from its zero on (docs/abi.md, "Idle and time"). */
static void system_time(void)
{
	struct vcpu_set_singleshot_timer t = { .flags = VCPU_SSHOTTMR_future };
	struct vcpu_runstate_info info;
	uint64_t before = pv_time_ns(), total = 0;

	t.timeout_abs_ns = before - 1000;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), -ETIME,
	       "a microsecond ago is past");
	t.timeout_abs_ns = pv_time_ns() + 1000000000;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), 0, "a second on is not");
	HYPERVISOR_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL);
	/* Until it has slept: on a slow machine the time may be up before it begins to. */
	before = pv_time_ns();
	do {
		pv_sleep_ns(1000000);
		HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info);
	} while (info.state_entry_time < before && pv_time_ns() < before + 2000000000);
	for (unsigned int i = 0; i < 4; i++)
		total += info.time[i];
	tap_ok(info.state_entry_time >= before && info.state_entry_time <= pv_time_ns(),
	       "runstates are entered on the same clock");
	tap_ok(total < pv_time_ns(), "and no vCPU is older than it");
}

static void singleshot(void)
{
	struct vcpu_set_singleshot_timer t = { .timeout_abs_ns = pv_time_ns() + 2000000 };
	long port = pv_event_bind_virq(VIRQ_TIMER, 0);
	evtchn_port_t p = port;

	pv_event_mask(port);
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), 0, "set_singleshot_timer");
	poll(&p, 1, pv_time_ns() + 2000000000);
	tap_ok(pv_event_clear(port) && pv_time_ns() >= t.timeout_abs_ns, "VIRQ_TIMER at its time");
	t.flags = VCPU_SSHOTTMR_future;
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t), -ETIME,
	       "a past time, where it must be future");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 1, &t), -EINVAL, "of another vCPU");
	t.flags = 0;
	t.timeout_abs_ns = pv_time_ns() + 5000000;
	HYPERVISOR_vcpu_op(VCPUOP_set_singleshot_timer, 0, &t);
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_stop_singleshot_timer, 0, NULL), 0,
	       "stop_singleshot_timer");
	pv_sleep_ns(10000000);
	tap_ok(!pv_event_pending(port), "no event then");
	tap_is(HYPERVISOR_vcpu_op(VCPUOP_stop_singleshot_timer, 1, NULL), -EINVAL,
	       "of another vCPU");
	tap_is(HYPERVISOR_vcpu_op(200, 0, &t), -XEN_ENOSYS, "an operation that is none");
	pv_event_close(port);
}

#define SCHED(cmd) ((struct hostile_call){ __HYPERVISOR_sched_op, { cmd, HOSTILE } })
#define VCPU(cmd, vcpu) ((struct hostile_call){ __HYPERVISOR_vcpu_op, { cmd, vcpu, HOSTILE } })

static void pointers(void)
{
	struct sched_shutdown s = { .reason = SHUTDOWN_MAX + 1 };
	struct sched_poll p = { .nr_ports = 1000 };
	struct sched_watchdog w = { .id = 77 };
	struct vcpu_guest_context *c = calloc(1, sizeof(*c));
	struct vcpu_runstate_info info;
	struct vcpu_register_runstate_memory_area area = { .addr.p = 0 };
	struct vcpu_set_singleshot_timer t = { .flags = 0 };
	struct vcpu_register_vcpu_info reg = { .offset = 1 };

	hostile_pointers("SCHEDOP_shutdown", SCHED(SCHEDOP_shutdown), &s, sizeof(s));
	hostile_pointers("SCHEDOP_shutdown_code", SCHED(SCHEDOP_shutdown_code), &s, sizeof(s));
	hostile_pointers("SCHEDOP_poll", SCHED(SCHEDOP_poll), &p, sizeof(p));
	hostile_pointers("SCHEDOP_watchdog", SCHED(SCHEDOP_watchdog), &w, sizeof(w));
	hostile_pointers("VCPUOP_initialise", VCPU(VCPUOP_initialise, 2), c, sizeof(*c));
	hostile_out_pointers("VCPUOP_get_runstate_info", VCPU(VCPUOP_get_runstate_info, 0), &info,
			     sizeof(info));
	hostile_pointers("VCPUOP_register_runstate_memory_area",
			 VCPU(VCPUOP_register_runstate_memory_area, 0), &area, sizeof(area));
	hostile_pointers("VCPUOP_set_singleshot_timer", VCPU(VCPUOP_set_singleshot_timer, 1), &t,
			 sizeof(t));
	hostile_pointers("VCPUOP_register_vcpu_info", VCPU(VCPUOP_register_vcpu_info, 0), &reg,
			 sizeof(reg));
	free(c);
}

int main(void)
{
	partner_find(&partner);
	partner.bound = pv_event_bind_interdomain(partner.domid, partner.port);
	pv_event_handler(partner.bound, on_event, NULL);
	blocking();
	polling();
	watchdogs();
	shutdowns();
	up_and_down();
	vcpu_info();
	runstate();
	system_time();
	singleshot();
	pointers();
	initialise();
	return tap_done();
}

/* vCPU 3 of initialise(): a0 = a number, a1 = where it goes. No stack, no trap vector. */
__asm__(".globl vcpu3_entry\n"
	"vcpu3_entry:\n"
	"	sd	a0, (a1)\n"
	"1:	wfi\n"
	"	j	1b\n");
