/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens after a trap: guests' exits, the exit work, and faults of the hypervisor itself.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>
#include <lock.h>
#include <sched.h>

/* As entry.S lays it out. */
struct hyp_frame {
	struct cpu_regs regs;
	u64 sstatus, scause, stval, pad;
};

struct extable_entry {
	u64 from, to; /* to: the lowest bit is GUEST_ACCESS_FIXUP's */
};

extern const struct extable_entry extable_start[], extable_end[];

void guest_trap(u64 scause);
void exit_work(void);
void hypervisor_trap(struct hyp_frame *f);

void guest_trap(u64 scause)
{
	latency_begin(scause);
	if (scause & SCAUSE_INTERRUPT)
		handle_interrupts();
	else
		hext_trap(current(), scause);
}

/*
 * Scrubs freed memory while there is nothing else to do, then sleeps. Interrupts are off; wfi ends
 * all the same.
 */
static void idle(void)
{
	latency_idle();
	while (!READ_ONCE(this_hart()->work) && !(csr_read(CSR_SIP) & csr_read(CSR_SIE))) {
		if (!heap_scrub_idle())
			__asm__ volatile("wfi" : : : "memory");
		else
			latency_note();
	}
	latency_idle();
	handle_interrupts();
}

/*
 * Until the hart has nothing left to do but run its current vCPU. An IPI that comes after the last
 * look at the work word traps as soon as the guest runs.
 */
void exit_work(void)
{
	struct hart *h = this_hart();

	for (;;) {
		u32 work = __atomic_exchange_n(&h->work, 0, __ATOMIC_ACQ_REL);

		latency_note();
		/* A long hypercall stopped because of these. */
		if (csr_read(CSR_SIP) & csr_read(CSR_SIE)) {
			handle_interrupts();
			work |= __atomic_exchange_n(&h->work, 0, __ATOMIC_ACQ_REL);
		}
		if (work & WORK_RESCHED)
			schedule();
		if (h->current->domain->is_idle) {
			idle();
			continue;
		}
		engine->apply_pending(h->current);
		if (!READ_ONCE(h->work)) {
			lock_check_none();
			latency_note();
			return;
		}
	}
}

long arch_hypercall_restart(unsigned int nr, const u64 args[5])
{
	struct cpu_regs *r = &current()->arch->regs;

	r->pc -= 4;
	r->a0 = 0;
	r->a1 = args[0];
	r->a2 = args[1];
	r->a3 = args[2];
	r->a4 = args[3];
	r->a5 = args[4];
	r->a6 = nr;
	r->a7 = PAVISE_HYPERCALL_EID;
	hart_set_work(this_hart(), WORK_RESTART);
	return -ERESTART;
}

/* ---- faults of the hypervisor ---- */

static const char *const causes[] = {
	[0] = "instruction address misaligned",
	[1] = "instruction access fault",
	[2] = "illegal instruction",
	[3] = "breakpoint, or undefined behaviour that CONFIG_UBSAN found",
	[4] = "load address misaligned",
	[5] = "load access fault",
	[6] = "store address misaligned",
	[7] = "store access fault",
	[12] = "instruction page fault",
	[13] = "load page fault",
	[15] = "store page fault",
	[20] = "instruction guest-page fault",
	[21] = "load guest-page fault",
	[22] = "virtual instruction",
	[23] = "store guest-page fault",
};

static const char *cause_name(u64 scause)
{
	return scause < ARRAY_SIZE(causes) && causes[scause] ? causes[scause] : "unknown cause";
}

static void dump_regs(const struct cpu_regs *r)
{
	static const char names[][4] = { "pc", "ra", "sp",  "gp",  "tp", "t0", "t1", "t2",
					 "s0", "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
					 "a6", "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
					 "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6" };
	const u64 *v = &r->pc;

	for (unsigned int i = 0; i < 32; i += 4)
		pr_err(" %3s %016lx %3s %016lx %3s %016lx %3s %016lx\n", names[i], v[i],
		       names[i + 1], v[i + 1], names[i + 2], v[i + 2], names[i + 3], v[i + 3]);
}

void arch_dump_vcpu(struct vcpu *v)
{
	struct arch_vcpu *a = v->arch;
	bool live = v == current();

	pr_err("d%uv%u on hart %u:\n", v->domain->id, v->id, v->hart);
	dump_regs(&a->regs);
	pr_err(" vsstatus %lx vstvec %lx vsepc %lx vscause %lx vstval %lx vsatp %lx\n",
	       live ? csr_read(CSR_VSSTATUS) : a->vsstatus, live ? csr_read(CSR_VSTVEC) : a->vstvec,
	       live ? csr_read(CSR_VSEPC) : a->vsepc, live ? csr_read(CSR_VSCAUSE) : a->vscause,
	       live ? csr_read(CSR_VSTVAL) : a->vstval, live ? csr_read(CSR_VSATP) : a->vsatp);
	/* What it waits for, if it does. The timer is SBI's; with Sstc it is vstimecmp. */
	pr_err(" vsie %lx hvip %lx pending %lx time %lx vstimecmp %lx, timer %s hart %u in %ld us\n",
	       live ? csr_read(CSR_VSIE) : a->vsie, live ? csr_read(CSR_HVIP) : a->hvip,
	       READ_ONCE(a->pending), guest_time(v),
	       live && cpu.sstc ? csr_read(CSR_VSTIMECMP) : a->vstimecmp,
	       READ_ONCE(a->sbi_timer.armed) ? "on" : "off; last on", READ_ONCE(a->sbi_timer.hart),
	       (long)(READ_ONCE(a->sbi_timer.expires) - arch_time_ns()) / 1000);
}

static u32 stopping; /* a hart is ending the machine */
static bool no_backtraces; /* the reason is no fault of ours */

bool console_stopped(void)
{
	return READ_ONCE(stopping);
}

/* The others: each says where it is, and stops. The first one waits for them a while. */
void fault_dump_and_stop(void)
{
	struct hart *h = this_hart();

	if (!h->in_fault) {
		h->in_fault = true;
		WRITE_ONCE(h->spin_limit, ~0ULL); /* the console may be busy */
		pr_err("hart %u: stopped; vCPU d%uv%u\n", h->index,
		       h->current ? h->current->domain->id : 0, h->current ? h->current->id : 0);
		if (!READ_ONCE(no_backtraces))
			backtrace(0, (u64)__builtin_frame_address(0));
	}
	__atomic_store_n(&h->online, false, __ATOMIC_RELEASE);
	for (;;)
		__asm__ volatile("wfi");
}

static void __noreturn stop_machine(void)
{
	struct hart *me = this_hart();
	u64 deadline = arch_time_ns() + 2000000000ULL;
	bool wait = true;

	for (unsigned int i = 0; i < boot.nr_harts; i++) {
		if (&harts[i] != me && READ_ONCE(harts[i].online))
			sbi_send_ipi(harts[i].hartid);
	}
	while (wait && arch_time_ns() < deadline) {
		wait = false;
		for (unsigned int i = 0; i < boot.nr_harts; i++)
			wait |= &harts[i] != me && READ_ONCE(harts[i].online);
	}
	for (unsigned int i = 0; i < boot.nr_harts; i++) {
		if (&harts[i] == me || !READ_ONCE(harts[i].online))
			continue;
		pr_err("hart %u does not answer; its vCPU is d%uv%u, and left its guest at:\n", i,
		       harts[i].current->domain->id, harts[i].current->id);
		dump_regs(&harts[i].current->arch->regs);
	}
	pr_err("The machine stops with exit status %u. docs/debugging.md says how to look further.\n",
	       MACHINE_FAIL_PANIC);
	arch_machine_fail(MACHINE_FAIL_PANIC);
}

/* Only one hart ends the machine; another that faults meanwhile reports and waits. */
static void begin_stop(void)
{
	struct hart *h = this_hart();

	if (h->in_fault) { /* a fault while reporting one */
		arch_console_write("\r\n(pavise) fault within a fault\r\n", 32);
		arch_machine_fail(MACHINE_FAIL_PANIC);
	}
	if (__atomic_exchange_n(&stopping, 1, __ATOMIC_SEQ_CST))
		fault_dump_and_stop();
	h->in_fault = true;
	for (unsigned int i = 0; i < boot.nr_harts; i++)
		WRITE_ONCE(harts[i].spin_limit, &harts[i] == h ? ~0ULL : 0);
}

void give_up(const char *fmt, ...)
{
	char msg[300];
	va_list ap;

	va_start(ap, fmt);
	pv_vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	WRITE_ONCE(no_backtraces, true);
	begin_stop();
	pr_err("PANIC: %s\n", msg);
	stop_machine();
}

void panic(const char *fmt, ...)
{
	char msg[200];
	va_list ap;

	va_start(ap, fmt);
	pv_vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	begin_stop();
	pr_err("PANIC on hart %u: %s\n", this_hart()->index, msg);
	if (current() && !current()->domain->is_idle)
		pr_err("running vCPU: d%uv%u\n", current()->domain->id, current()->id);
	backtrace(0, (u64)__builtin_frame_address(0));
	stop_machine();
}

/* An instruction that may fault has done so. */
static void fix_up(struct hyp_frame *f, const struct extable_entry *e)
{
	bool inline_access = e->to & 1, access = inline_access || e->to == (u64)guest_copy_fault;
	bool again = access && hext_copy_stale(f->scause, f->stval);

	/* What a fault overwrites is mended there, before it goes on at t6. */
	if (again || inline_access) {
		f->regs.t6 = again ? e->from : e->to & ~1UL;
		f->regs.pc = (u64)guest_copy_again;
	} else {
		f->regs.pc = e->to;
	}
}

void hypervisor_trap(struct hyp_frame *f)
{
	for (const struct extable_entry *e = extable_start; e < extable_end; e++) {
		if (e->from != f->regs.pc)
			continue;
		fix_up(f, e);
		return;
	}
	begin_stop();
	pr_err("FAULT in the hypervisor on hart %u: %s (scause %lx), address %lx, sstatus %lx\n",
	       this_hart()->index, cause_name(f->scause), f->scause, f->stval, f->sstatus);
	if (current())
		pr_err("running vCPU: d%uv%u\n", current()->domain->id, current()->id);
	dump_regs(&f->regs);
	backtrace(f->regs.pc, f->regs.s0);
	stop_machine();
}
