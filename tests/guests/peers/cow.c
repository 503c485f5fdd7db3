/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_fork.py forks to measure: once it is told to, it writes to each of its pages, twice.
 */
#include <pv/runtime.h>

#include "cow.h"

#define WORDS 512
#define PAUSE_NS 1000000

static struct cow figures __attribute__((aligned(4096)));
static volatile unsigned long pages[COW_PAGES][WORDS] __attribute__((aligned(4096)));

static unsigned long time_now(void)
{
	unsigned long t;

	__asm__ volatile("rdtime %0" : "=r"(t));
	return t;
}

static unsigned long write_all(unsigned long value)
{
	unsigned long start = time_now();

	for (unsigned int i = 0; i < COW_PAGES; i++)
		pages[i][0] = value;
	return time_now() - start;
}

int main(void)
{
	volatile struct cow *c = &figures;

	write_all(1);
	figures.magic[0] = COW_MAGIC0;
	figures.magic[1] = COW_MAGIC1;
	while (!c->go)
		pv_sleep_ns(PAUSE_NS);
	c->first = write_all(2);
	c->second = write_all(3);
	c->done = 1;
	for (;;)
		pv_sleep_ns(PAUSE_NS);
}
