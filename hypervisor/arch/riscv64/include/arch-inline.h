/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What core/ asks of the architecture in every hypercall, as inline functions (arch-api.h takes them
 * from here when the build says ARCH_INLINE), and struct hart, which they read.
 */
#ifndef PAVISE_ARCH_INLINE_H
#define PAVISE_ARCH_INLINE_H

#include <types.h>
#include <vmid.h>
#include <xen-abi.h>

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
	u64 time_delta; /* htimedelta */
	struct vmid_hart vmids;
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

int copy_from_guest(void *dst, u64 gva, size_t n);
int copy_to_guest(u64 gva, const void *src, size_t n);

/*
 * In an inline access to a guest's memory, at the label 10: which instruction it is, and where it goes on if the guest must not do that.
 * The lowest bit tells hypervisor_trap() that it is such an access, in C (cpu/entry.S, guest_copy_again): t4 and t6 are clobbered.
 */
#define GUEST_ACCESS_FIXUP(label) \
	".pushsection .extable, \"a\"\n" \
	".balign 8\n" \
	".dword 10b, " label " + 1\n" \
	".popsection\n"
/*
 * gcc before 12.4 drops such an access where its value is not used, and the guest's fault with it, unless it is said to be volatile
 * (PR98619), and may lose the value on the way on (PR113921), unless something stands there that it has to keep.
 */
#define GUEST_ACCESS(...) \
	do { \
		__asm__ volatile goto(__VA_ARGS__); \
		__asm__ volatile(""); \
	} while (0)

static __force_inline bool copy_u32_is_inline(u64 gva)
{
	return !(gva & 3);
}

static __force_inline int copy_u32_from_guest(u32 *dst, u64 gva)
{
	u32 word;

	/* hlv.w */
	GUEST_ACCESS("10: .insn r 0x73, 4, 0x34, %0, %1, x0\n" GUEST_ACCESS_FIXUP("%l2")
		     : "=r"(word)
		     : "r"(gva)
		     : "t4", "t6"
		     : fault);
	*dst = word;
	return 0;
fault:
	return -EFAULT;
}

static __force_inline int copy_words_from_guest(void *dst, u64 gva, unsigned int n)
{
	u64 *to = dst, buf[8];

	/* Its own buffer, so that the structure itself need not be in memory. */
	if (unlikely(gva & 7)) {
		if (copy_from_guest(buf, gva, n * sizeof(u64)))
			return -EFAULT;
#pragma GCC unroll 8
		for (unsigned int i = 0; i < n; i++)
			to[i] = buf[i];
		return 0;
	}
#pragma GCC unroll 8
	for (unsigned int i = 0; i < n; i++) {
		u64 word;

		/* hlv.d */
		GUEST_ACCESS("10: .insn r 0x73, 4, 0x36, %0, %1, x0\n" GUEST_ACCESS_FIXUP("%l2")
			     : "=r"(word)
			     : "r"(gva + i * sizeof(u64))
			     : "t4", "t6"
			     : fault);
		to[i] = word;
	}
	return 0;
fault:
	return -EFAULT;
}

static __force_inline int copy_words_to_guest(u64 gva, const void *src, unsigned int n)
{
	const u64 *from = src;
	u64 buf[8];

	if (unlikely(gva & 7)) {
#pragma GCC unroll 8
		for (unsigned int i = 0; i < n; i++)
			buf[i] = from[i];
		return copy_to_guest(gva, buf, n * sizeof(u64));
	}
#pragma GCC unroll 8
	for (unsigned int i = 0; i < n; i++)
		/* hsv.d */
		GUEST_ACCESS("10: .insn r 0x73, 4, 0x37, x0, %0, %1\n" GUEST_ACCESS_FIXUP("%l2")
			     :
			     : "r"(gva + i * sizeof(u64)), "r"(from[i])
			     : "t4", "t6", "memory"
			     : fault);
	return 0;
fault:
	return -EFAULT;
}

static inline void *arch_mfn_to_virt(mfn_t mfn)
{
	return (void *)(DIRECT_VA + (mfn << PAGE_SHIFT));
}

#endif
