/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CONFIG_LATENCY: the longest time that each hypercall and each kind of exit kept its hart from interrupts, from the exit or
 * a look whether one is pending to the next look or the return. The debug key l prints and clears them.
 */
#include <arch.h>
#include <console.h>
#include <debug.h>
#include <lib.h>

#ifdef CONFIG_LATENCY
#define NR_HYPERCALLS 64
#define OPS 64
/* The row of exits that are no hypercalls: exceptions by cause, interrupts from 32 on, what runs between guests last. */
#define EXITS NR_HYPERCALLS
#define INTERRUPTS 32
#define IDLE 63

static struct {
	u32 ns;
	u64 from, to; /* return addresses of the two looks; 0: the exit from the guest */
} worst[NR_HYPERCALLS + 1][OPS];

void latency_begin(u64 scause)
{
	struct hart *h = this_hart();

	h->latency.since = csr_read(CSR_TIME);
	h->latency.from = 0;
	h->latency.nr = EXITS;
	h->latency.op = scause & SCAUSE_INTERRUPT ? INTERRUPTS + (scause & 15) : scause & 31;
}

void latency_note_at(u64 to)
{
	struct hart *h = this_hart();
	u64 ns = ticks_to_ns(csr_read(CSR_TIME) - h->latency.since);
	u64 nr = h->latency.nr;
	/* Elsewhere the first argument is no number of an operation. */
	u64 op = nr == __HYPERVISOR_multicall || nr == __HYPERVISOR_domctl ||
				 nr == __HYPERVISOR_sysctl || nr == __HYPERVISOR_platform_op ?
			 0 :
			 h->latency.op % OPS;

	if (nr <= EXITS && ns > worst[nr][op].ns) {
		worst[nr][op].ns = min(ns, (u64)~0U);
		worst[nr][op].from = h->latency.from;
		worst[nr][op].to = to;
	}
	h->latency.from = to;
	h->latency.since = csr_read(CSR_TIME);
}

void latency_note(void)
{
	latency_note_at((u64)__builtin_return_address(0));
}

void latency_idle(void)
{
	struct hart *h = this_hart();

	h->latency.since = csr_read(CSR_TIME);
	h->latency.nr = EXITS;
	h->latency.op = IDLE;
}

static const char *where(u64 address)
{
	return arch_symbol((const void *)address) ?: "the guest";
}

void arch_latency_report(void)
{
	for (unsigned int nr = 0; nr <= EXITS; nr++) {
		for (unsigned int op = 0; op < OPS; op++) {
			if (!worst[nr][op].ns)
				continue;
			printk("latency: %u.%u %u ns, from %s to %s\n", nr, op, worst[nr][op].ns,
			       where(worst[nr][op].from), where(worst[nr][op].to));
			worst[nr][op].ns = 0;
		}
	}
	printk("latency: end\n");
	latency_idle();
}
#endif
