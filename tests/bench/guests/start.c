/* SPDX-License-Identifier: MIT */
/*
 * A guest whose start is measured: says when its main() began, in ticks of the machine's clock, and stays.
 */
#include <stdint.h>
#include <stdio.h>

#include <pv/hypercall.h>

int main(void)
{
	uint64_t t;

	__asm__ volatile("rdtime %0" : "=r"(t));
	printf("main %llu\n", (unsigned long long)t);
	fflush(stdout);
	for (;;)
		HYPERVISOR_sched_op(SCHEDOP_block, NULL);
}
