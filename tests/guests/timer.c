/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A wait ends when the guest's timer has run out, however the two fall together: interrupts are off in sstatus all the while, as
 * in Linux's idle loop, and nothing but the timer is there to end it. Whoever sleeps for ever fails by the test's time limit.
 * test_timer.py runs it again where the timer is the SBI's alone (no Sstc).
 *
 * harts: 1
 */
#include <stdint.h>

#include <pv/runtime.h>

#include "tap.h"

#define ROUNDS 50
#define NEVER (~0UL)

static void set_timer(uint64_t at)
{
	sbi_call(SBI_EXT_TIME, 0, at, 0, 0, 0);
}

static void spin_until(uint64_t at)
{
	while (csr_read(time) < at)
		;
}

static void wfi(void)
{
	__asm__ volatile("wfi" : : : "memory");
}

static void block(void)
{
	HYPERVISOR_sched_op(SCHEDOP_block, NULL);
}

/* The timer's time, in ticks from now, how long the guest then runs on, and how it waits. */
static void waits(const char *what, int64_t from_now, uint64_t runs_on, void (*wait)(void))
{
	unsigned long sstatus = csr_read(sstatus), sie = csr_read(sie);
	unsigned int ended = 0, looks = 0;

	csr_clear(sstatus, SSTATUS_SIE);
	csr_write(sie, SIE_STIE);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t now = csr_read(time), at = now + from_now;

		set_timer(at);
		spin_until(now + runs_on);
		/* Each may end without a reason, as the specification has it. */
		do {
			wait();
			looks++;
		} while (csr_read(time) < at);
		set_timer(NEVER);
		ended++;
	}
	csr_write(sie, sie);
	csr_write(sstatus, sstatus);
	tap_is(ended, ROUNDS, "%s: times that it ended", what);
	tap_note("%u waits", looks);
}

int main(void)
{
	int64_t ms = pv_ns_to_ticks(1000000);

	waits("wfi, then the timer", ms, 0, wfi);
	waits("the timer, then wfi", ms, 2 * ms, wfi);
	waits("a time that is over, wfi", -ms, 0, wfi);
	waits("the timer at the moment of wfi", ms / 20, 0, wfi);
	waits("SCHEDOP_block, then the timer", ms, 0, block);
	waits("the timer, then SCHEDOP_block", ms, 2 * ms, block);
	return tap_done();
}
