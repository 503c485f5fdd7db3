/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of dom0's that fills its vector registers, computes for a few milliseconds, and looks at them again, until a file
 * appears. No system call comes between: Linux lets those change vector registers. usage: vectors FILE
 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "../lib/vectors.h"

static struct vectors want, got;

/* Without a system call, which clock_gettime() may be. */
static unsigned long now(void)
{
	unsigned long t;

	__asm__ volatile("rdtime %0" : "=r"(t));
	return t;
}

int main(int argc, char **argv)
{
	unsigned long ticks = 50000; /* 5 ms on QEMU's virt machine */

	if (argc != 2)
		return 2;
	for (unsigned int round = 1;; round++) {
		const char *differs;
		unsigned long until;

		vectors_make(&want, 1U << 30, round);
		vectors_set(&want);
		for (until = now() + ticks; now() < until;)
			;
		vectors_get(&got);
		differs = vectors_differ(&want, &got);
		if (*differs) {
			printf("round %u: %s\n", round, differs);
			return 1;
		}
		if (!access(argv[1], F_OK)) {
			printf("%u rounds, all kept\n", round);
			return 0;
		}
	}
}
