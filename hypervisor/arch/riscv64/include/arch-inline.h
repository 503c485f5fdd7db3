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
	struct arch_vcpu *
		fp_owner; /* whose floating point state the registers hold; NULL: nobody's, zeroes */
	struct arch_vcpu *vector_owner; /* and the vector registers: who had them last */
	u64 hartid; /* the SBI's */
	unsigned int index;
	bool online;
	bool in_fault; /* printing a fault: the next one only stops */
	u64 last_alive; /* watchdog; 0: not watched yet */
	u64 spin_limit; /* the time CSR beyond which a spin loop here gives up: see arch_relax() */
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

void arch_spun_too_long(void) __noreturn; /* cpu/watchdog.c */

/*
 * In every spin loop: the machine is being stopped (the limit is 0 then), or this hart spins for longer than the watchdog
 * allows. Inline, with no call that returns, so that who takes a lock need not save what a call would clobber.
 */
static inline void arch_relax(void)
{
	u64 now;

	__asm__ volatile("rdtime %0" : "=r"(now));
	if (unlikely(now > READ_ONCE(this_hart()->spin_limit)))
		arch_spun_too_long();
}

static inline void *arch_mfn_to_virt(mfn_t mfn)
{
	return (void *)(DIRECT_VA + (mfn << PAGE_SHIFT));
}

#endif
