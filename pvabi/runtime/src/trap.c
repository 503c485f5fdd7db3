/* SPDX-License-Identifier: MIT */
/*
 * Traps: interrupts to their functions, exceptions to pv_try() or to a report that ends the domain.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static const char *const causes[] = {
	[0] = "instruction address misaligned",
	[1] = "instruction access fault",
	[2] = "illegal instruction",
	[3] = "breakpoint",
	[4] = "load address misaligned",
	[5] = "load access fault",
	[6] = "store address misaligned",
	[7] = "store access fault",
	[8] = "ecall from user mode",
	[9] = "ecall from supervisor mode",
	[12] = "instruction page fault",
	[13] = "load page fault",
	[15] = "store page fault",
};

static const char *cause_name(unsigned long cause)
{
	if (cause < sizeof(causes) / sizeof(causes[0]) && causes[cause])
		return causes[cause];
	return "unknown exception";
}

void pv_trap(struct pv_frame *f)
{
	struct pv_cpu *cpu = pv_cpu();

	if (f->cause == (CAUSE_INTERRUPT | IRQ_S_SOFT)) {
		pv_event_dispatch();
		return;
	}
	if (f->cause == (CAUSE_INTERRUPT | IRQ_S_TIMER)) {
		pv_timer_interrupt();
		return;
	}
	if (cpu->catcher && !(f->cause & CAUSE_INTERRUPT)) {
		*cpu->caught = (struct pv_trap){ f->cause, f->tval, f->pc };
		f->a0 = (unsigned long)cpu->catcher;
		f->pc = (unsigned long)pv_try_return;
		/* The stack may be what failed: longjmp() sets it, pv_try_return() does not use it. */
		return;
	}
	pv_panic_frame(f,
		       f->cause & CAUSE_INTERRUPT ? "unexpected interrupt" : cause_name(f->cause));
}

bool pv_try(void (*fn)(void *arg), void *arg, struct pv_trap *trap)
{
	struct pv_cpu *cpu = pv_cpu();
	jmp_buf env, *outer = cpu->catcher;
	struct pv_trap *outer_trap = cpu->caught;
	volatile bool caught = false;

	if (!setjmp(env)) {
		cpu->catcher = &env;
		cpu->caught = trap;
		fn(arg);
	} else {
		caught = true;
	}
	cpu->catcher = outer;
	cpu->caught = outer_trap;
	return caught;
}

/* ---- the report ---- */

/* Without streams and locks, which may be what broke. */
static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	static char line[256];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n > (int)sizeof(line) - 1)
		n = sizeof(line) - 1;
	pv_console_write(line, n);
}

/* Frame pointers: at fp - 8 the return address, at fp - 16 the caller's fp. */
static void backtrace(unsigned long pc, unsigned long ra, unsigned long fp)
{
	struct pv_cpu *cpu = pv_cpu();

	say("  backtrace (riscv64-unknown-elf-addr2line -fpe GUEST.elf ADDRESS...):\n   %lx", pc);
	if (!fp)
		say(" %lx", ra);
	for (int i = 0; i < 16; i++) {
		unsigned long *p = (unsigned long *)fp;

		if (fp & 7 || fp < cpu->stack_low + 16 || fp > cpu->stack_top)
			break;
		say(" %lx", p[-1]);
		if (p[-2] <= fp)
			break;
		fp = p[-2];
	}
	say("\n");
}

static void __attribute__((noreturn)) die(void)
{
	pv_console_flush();
	pv_shutdown(SHUTDOWN_crash);
}

/* A second report would come from the first. */
static void once(void)
{
	static int reporting;

	if (__atomic_exchange_n(&reporting, 1, __ATOMIC_SEQ_CST))
		pv_shutdown(SHUTDOWN_crash);
}

void pv_panic_frame(const struct pv_frame *f, const char *what)
{
	static const char names[][4] = { "ra", "sp",  "gp",  "tp", "t0", "t1", "t2", "s0",
					 "s1", "a0",  "a1",  "a2", "a3", "a4", "a5", "a6",
					 "a7", "s2",  "s3",  "s4", "s5", "s6", "s7", "s8",
					 "s9", "s10", "s11", "t3", "t4", "t5", "t6" };
	const unsigned long *regs = &f->ra;

	csr_clear(sstatus, SSTATUS_SIE);
	once();
	say("\n%s: vCPU %u: %s\n  pc %lx, address %lx, cause %lx, sstatus %lx\n", pv_domain.name,
	    pv_vcpu_id(), what, f->pc, f->tval, f->cause, f->status);
	if (f->sp < pv_cpu()->stack_low + sizeof(*f) && f->sp + 65536 > pv_cpu()->stack_low)
		say("  the stack is used up (%lx bytes)\n",
		    pv_cpu()->stack_top - pv_cpu()->stack_low);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		say("%s%3s %016lx", i % 4 ? "  " : i ? "\n  " : "  ", names[i], regs[i]);
	say("\n");
	backtrace(f->pc, f->ra, f->s0);
	die();
}

void pv_panic(const char *fmt, ...)
{
	static char text[200];
	va_list args;

	csr_clear(sstatus, SSTATUS_SIE);
	once();
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	say("\n%s: vCPU %u: panic: %s\n", pv_domain.name, pv_vcpu_id(), text);
	backtrace((unsigned long)__builtin_return_address(0), 0,
		  (unsigned long)__builtin_frame_address(0));
	die();
}
