/* SPDX-License-Identifier: MIT */
/*
 * Time and this vCPU's timer: stimecmp when the CPU has Sstc, else the SBI's.
 */
#include "internal.h"

/* Split, so that no product leaves 64 bits. */
uint64_t pv_ticks_to_ns(uint64_t ticks)
{
	uint64_t hz = pv_domain.timebase;

	return ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz;
}

uint64_t pv_ns_to_ticks(uint64_t ns)
{
	uint64_t hz = pv_domain.timebase;

	return ns / 1000000000 * hz + ns % 1000000000 * hz / 1000000000;
}

static void program(uint64_t ticks)
{
	if (pv_domain.sstc)
		__asm__ volatile("csrw 0x14d, %0" : : "r"(ticks)); /* stimecmp */
	else
		sbi_call(SBI_EXT_TIME, 0, ticks, 0, 0, 0);
}

void pv_timer_set(uint64_t ticks, void (*fn)(void *arg), void *arg)
{
	struct pv_cpu *cpu = pv_cpu();
	unsigned long flags = pv_irq_save();

	cpu->on_timer = fn;
	cpu->timer_arg = arg;
	program(ticks);
	if (ticks == ~0UL)
		csr_clear(sie, SIE_STIE);
	else
		csr_set(sie, SIE_STIE);
	pv_irq_restore(flags);
}

void pv_timer_interrupt(void)
{
	struct pv_cpu *cpu = pv_cpu();

	csr_clear(sie, SIE_STIE);
	program(~0UL);
	if (cpu->on_timer)
		cpu->on_timer(cpu->timer_arg);
}

static void wake(void *arg)
{
	*(volatile bool *)arg = true;
}

void pv_sleep_ns(uint64_t ns)
{
	volatile bool woken = false;
	unsigned long flags = pv_irq_save();

	pv_timer_set(pv_ticks() + pv_ns_to_ticks(ns), wake, (void *)&woken);
	while (!woken) {
		pv_wait_for_interrupt();
		csr_set(sstatus, SSTATUS_SIE);
		csr_clear(sstatus, SSTATUS_SIE);
	}
	pv_irq_restore(flags);
}
