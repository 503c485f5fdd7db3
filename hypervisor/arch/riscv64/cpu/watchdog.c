/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watchdog: each hart says once a second that it still takes its timer interrupt and looks at
 * all others.
 * A hart that spins for a lock notices by itself (arch_relax()), so that one alone is watched too.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>
#include <timer.h>

#define PERIOD_NS 1000000000UL

static struct timer timers[CONFIG_NR_CPUS];
static u64 limit_ns; /* 0: off */

static void check(void *unused)
{
	u64 now = arch_time_ns();

	(void)unused;
	__atomic_store_n(&this_hart()->last_alive, now, __ATOMIC_RELEASE);
	WRITE_ONCE(this_hart()->spin_limit, ns_to_ticks(now + limit_ns + PERIOD_NS));
	/* After the limit: whoever stops the machine sets the flag and then our limit to 0. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (console_stopped())
		fault_dump_and_stop();
	for (unsigned int i = 0; i < boot.nr_harts; i++) {
		u64 last = __atomic_load_n(&harts[i].last_alive, __ATOMIC_ACQUIRE);

		if (READ_ONCE(harts[i].online) && last && last < now && now - last > limit_ns)
			panic("watchdog: hart %u has not left the hypervisor for %lu s", i,
			      (now - last) / 1000000000UL);
	}
	timer_set(&timers[arch_hart()], now + PERIOD_NS);
}

void watchdog_init_hart(void)
{
	char value[16];

	limit_ns = CONFIG_WATCHDOG_SECONDS * 1000000000UL;
	if (cmdline_get("watchdog", value, sizeof(value)))
		limit_ns = parse_size(value, NULL) * 1000000000UL;
	if (!limit_ns)
		return;
	timer_init(&timers[arch_hart()], check, NULL);
	timer_set(&timers[arch_hart()], arch_time_ns() + PERIOD_NS);
}

void arch_spun_too_long(void)
{
	if (console_stopped())
		fault_dump_and_stop();
	panic("watchdog: this hart spins for more than %lu s", limit_ns / 1000000000UL);
}
