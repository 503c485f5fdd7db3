/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time, the hart's timer, inter-hart kicks, and the ways the machine ends.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>
#include <timer.h>

static u64 ns_per_tick; /* 0: not a whole number of them */

void time_init(void)
{
	u64 hz = machine.timebase_hz;

	ns_per_tick = 1000000000UL % hz ? 0 : 1000000000UL / hz;
}

/* Split so that the product cannot overflow: hz is below 2^32 on anything we know. */
u64 ticks_to_ns(u64 ticks)
{
	u64 hz = machine.timebase_hz;

	if (likely(ns_per_tick))
		return ticks * ns_per_tick;
	return ticks / hz * 1000000000UL + ticks % hz * 1000000000UL / hz;
}

u64 ns_to_ticks(u64 ns)
{
	u64 hz = machine.timebase_hz;

	return ns / 1000000000UL * hz + ns % 1000000000UL * hz / 1000000000UL;
}

/* The time CSR itself: guests compute absolute times from theirs, by the domain's offset (docs/abi.md, "Idle and time"). */
u64 arch_time_ns(void)
{
	return machine.timebase_hz ? ticks_to_ns(csr_read(CSR_TIME)) : 0;
}

u64 arch_time_ticks(void)
{
	return csr_read(CSR_TIME);
}

u64 arch_ticks_to_ns(u64 ticks)
{
	return ticks_to_ns(ticks);
}

void arch_set_timer(u64 ns)
{
	u64 ticks = ns == ~0ULL ? ~0ULL : ns_to_ticks(ns) + 1;

	if (cpu.sstc)
		csr_write(CSR_STIMECMP, ticks);
	else
		sbi_set_timer(ticks);
}

void arch_kick_hart(unsigned int hart)
{
	struct hart *h = &harts[hart];

	hart_set_work(h, WORK_RESCHED);
	if (h != this_hart())
		sbi_send_ipi(h->hartid);
}

/* The work itself is in the hart's work word; the interrupt only ends a guest's run or a wfi. */
void ipi_interrupt(void)
{
	csr_clear(CSR_SIP, IP_SSIP);
	/*
	 * The clearing, a CSR's write and so "output", before the look at the work word: seen the other way round, work that
	 * comes between is neither found nor told of again.
	 */
	__asm__ volatile("fence o, rw" : : : "memory");
	if (console_stopped())
		fault_dump_and_stop();
}

void handle_interrupts(void)
{
	u64 pending = csr_read(CSR_SIP) & csr_read(CSR_SIE);

	if (pending & IP_SSIP)
		ipi_interrupt();
	if (pending & IP_STIP)
		timer_interrupt();
	if (pending & IP_SEIP)
		plic_interrupt();
}

/*
 * The guest's own interrupts count as well, when it would take them at once: its timer is its hart's (Sstc), and nothing
 * else would end the hypercall for it. When it has them off, it gains nothing from going back.
 */
bool arch_preempt_pending(void)
{
	latency_note_at((u64)__builtin_return_address(0));
	if (READ_ONCE(this_hart()->work) || csr_read(CSR_SIP) & csr_read(CSR_SIE))
		return true;
	return csr_read(CSR_VSSTATUS) & SSTATUS_SIE && guest_interrupts();
}

#define SRST 0x53525354

void arch_machine_poweroff(void)
{
	sbi_call(SRST, 0, 0, 0, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

void arch_machine_reboot(void)
{
	sbi_call(SRST, 0, 1, 0, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

#define TEST_DEVICE_NS 5000000000ULL

/*
 * QEMU's test device carries the status; elsewhere the SBI is told of a system failure. QEMU 9 and later stop a little
 * after the write, and what the SBI writes there until then would take the status' place.
 */
void arch_machine_fail(unsigned int status)
{
	u64 deadline = arch_time_ns() + TEST_DEVICE_NS;

	if (boot.test_base) {
		*(volatile u32 *)pa_to_va(boot.test_base) = status << 16 | 0x3333;
		while (arch_time_ns() < deadline)
			;
	}
	sbi_call(SRST, 0, 0, 1, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}
