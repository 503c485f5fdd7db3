/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What core/ asks of the architecture in every hypercall, as inline functions (arch-api.h takes them
 * from here when the build says ARCH_INLINE), and struct hart, which they read.
 */
#ifndef PAVISE_ARCH_INLINE_H
#define PAVISE_ARCH_INLINE_H

#include <types.h>

struct arch_vcpu;
struct vcpu;

/* RAM and the devices the hypervisor owns are reached here (Sv39's upper half). */
#define DIRECT_VA 0xffffffc000000000UL

#define WORK_RESCHED BIT(0)
#define WORK_RESTART BIT(1) /* the hypercall is to run again: regs are prepared in the vCPU */
#define WORK_IRQ BIT(2) /* vCPU's ->pending or a fence is to be applied */

struct hart {
	/* entry.S knows these */
	struct arch_vcpu *current_arch; /* &current->arch's regs first */
	u64 stack_top;
	u64 scratch;
	u32 work; /* WORK_*; atomic */
	u32 pad;
	/* … to here */
	struct vcpu *current;
	struct vcpu *idle;
	u64 hartid; /* the SBI's */
	unsigned int index;
	unsigned int plic_context;
	bool online;
	bool in_fault; /* printing a fault: the next one only stops */
	u64 last_alive; /* watchdog */
#ifdef CONFIG_LATENCY
	struct {
		u64 since; /* time CSR */
		u64 from; /* cpu/latency.c */
		u64 nr, op; /* of the hypercall; entry.S */
	} latency;
#endif
};

static inline struct hart *this_hart(void)
{
	struct hart *h;

	__asm__("mv %0, tp" : "=r"(h));
	return h;
}

static inline unsigned int arch_hart(void)
{
	return this_hart()->index;
}

static inline struct vcpu *arch_current(void)
{
	return this_hart()->current;
}

static inline void *arch_mfn_to_virt(mfn_t mfn)
{
	return (void *)(DIRECT_VA + (mfn << PAGE_SHIFT));
}

#endif
