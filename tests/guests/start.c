/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a guest takes from its first instruction to its first line, waits included. Needs instructions as the clock.
 *
 * harts: 1
 * icount
 */
#include <stdio.h>

#include <pv/runtime.h>

#include "tap.h"

int main(void)
{
	struct vcpu_runstate_info info;
	uint64_t ns;

	printf("# up\n");
	fflush(stdout);
	/* All that is not "offline", which it was until it ran */
	HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info);
	ns = info.time[RUNSTATE_running] + info.time[RUNSTATE_runnable] +
	     info.time[RUNSTATE_blocked];
	tap_note("running %llu us, runnable %llu us, blocked %llu us",
		 (unsigned long long)info.time[RUNSTATE_running] / 1000,
		 (unsigned long long)info.time[RUNSTATE_runnable] / 1000,
		 (unsigned long long)info.time[RUNSTATE_blocked] / 1000);
	tap_ok(ns < 5000000, "up and printing %llu us after its first instruction",
	       (unsigned long long)ns / 1000);
	return tap_done();
}
