/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_save.py saves and restores: counts on its console, on another vCPU as well, keeps the number in a node of its own and
 * looks whether it is still there, and says what its clock says.
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/runtime.h>
#include <pv/xenbus.h>

#define STEP_NS 100000000

static volatile unsigned long other;

static void count_too(void *arg)
{
	(void)arg;
	for (;;) {
		other++;
		pv_sleep_ns(STEP_NS / 10);
	}
}

int main(void)
{
	unsigned long n;
	long was;

	if (pv_vcpu_start(1, count_too, NULL))
		return 1;
	for (n = 1;; n++) {
		if (pv_xenbus_printf(0, "data/count", "%lu", n))
			pv_panic("xenstore takes no number");
		pv_sleep_ns(STEP_NS);
		was = pv_xenbus_read_number(0, "data/count");
		if (was != (long)n)
			pv_panic("xenstore has %ld, not %lu", was, n);
		printf("count %lu %lu %llu\n", n, other, (unsigned long long)pv_time_ns());
		fflush(stdout);
	}
}
