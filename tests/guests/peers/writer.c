/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_log.py logs and copies: writes to pages of its own, by stores, by hypercalls' results, and, on another vCPU, by A and D that
 * harts set in its page tables long after it has cleared them. Where they do not set them it does without.
 */
#include <pv/runtime.h>

#define PAGES 1024
#define WORDS 512
#define TABLE_VA (254UL << 30) /* the last GiB that the runtime has mapped 1:1 */
#define STORES 8
#define PAUSE_NS 1000000
#define TABLE_PAUSE_NS 150000000

extern unsigned long pv_root_table[WORDS];

static unsigned long pages[PAGES][WORDS] __attribute__((aligned(4096)));
static unsigned long tables[2][WORDS] __attribute__((aligned(4096)));

static unsigned int rnd(unsigned long *state)
{
	*state = *state * 6364136223846793005UL + 1442695040888963407UL;
	return *state >> 33;
}

static unsigned long pointer(const void *table)
{
	return (unsigned long)table >> 12 << 10 | PTE_V;
}

static void touch(void *at)
{
	*(volatile unsigned long *)at = 1;
}

/* The table's page is written by its stores; then, when that has been told, by the harts. */
static void by_tables(void *arg)
{
	unsigned long state = 7;
	struct pv_trap trap;

	(void)arg;
	tables[0][0] = pointer(tables[1]);
	pv_root_table[TABLE_VA >> 30] = pointer(tables[0]);
	for (;;) {
		for (unsigned int i = 0; i < WORDS; i++)
			tables[1][i] = pointer(pages[i]) | PTE_R | PTE_W;
		__asm__ volatile("sfence.vma" : : : "memory");
		pv_sleep_ns(TABLE_PAUSE_NS);
		for (unsigned int i = 0; i < STORES; i++)
			pv_try(touch, (void *)(TABLE_VA + rnd(&state) % WORDS * 4096), &trap);
		pv_sleep_ns(TABLE_PAUSE_NS);
	}
}

int main(void)
{
	unsigned long state = 1;

	if (pv_vcpu_start(1, by_tables, NULL))
		return 1;
	for (;;) {
		for (unsigned int i = 0; i < STORES; i++)
			pages[rnd(&state) % PAGES][rnd(&state) % WORDS] = state;
		/* Its times change. */
		HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, pages[rnd(&state) % PAGES]);
		pv_sleep_ns(PAUSE_NS);
	}
}
