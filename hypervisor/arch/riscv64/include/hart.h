/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each hart and each vCPU keeps for this architecture; cpu/entry.S reaches it by the offsets
 * of asm-offsets.h. In the hypervisor tp points at this hart's struct hart; in a guest sscratch does.
 */
#ifndef PAVISE_HART_H
#define PAVISE_HART_H

#include <arch-inline.h>
#include <domain.h>
#include <guest-cpu.h>
#include <types.h>
#include <vmid.h>

struct cpu_regs {
	u64 pc; /* stands in x0's place */
	u64 ra, sp, gp, tp, t0, t1, t2, s0, s1, a0, a1, a2, a3, a4, a5, a6, a7;
	u64 s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, t3, t4, t5, t6;
};

/* What there is of the vector extension beside vlenb. */
struct vector_state {
	u64 vstart, vcsr, vl, vtype;
	u8 regs[] __aligned(16); /* v0 to v31, vlenb bytes each */
};

struct arch_vcpu {
	struct cpu_regs regs; /* whole whenever the vCPU is not running */
	/* CSRs, valid while the vCPU is not loaded on a hart */
	u64 sstatus, hstatus; /* of the return to the guest: SPP, SPIE; SPV, SPVP */
#define X(field, csr, condition) u64 field;
	SWITCHED_CSRS(X)
#undef X
	u64 vsatp;
	u64 vstimecmp; /* the guest's ticks: Sstc's, else what it last asked of the SBI's timer; ~0: none */
	u64 fp[32];
	u64 fcsr;
	struct hart *fp_hart; /* whose registers had them last */
	struct vmid_vcpu vmid; /* if cpu.vmid_bits */
	bool suspended; /* by SBI hart_suspend, if it is blocked; until it runs again */
	u64 pending; /* hvip bits that others want raised; atomic */
	struct timer sbi_timer;
	struct hart *vector_hart; /* the last it was loaded on; NULL: none since it started */
	struct vector_state vector; /* the last: as long as the machine's registers are */
};

struct arch_domain {
	u64 *p2m_root; /* 16 KiB, Sv39x4 */
	struct spinlock p2m_lock;
	gfn_t p2m_max_gfn;
	/* The last table of 4 KiB leaves that a walk came by, and the 2 MiB frame that it maps (gfn >> 9; ~0: none). */
	u64 *p2m_last_table;
	gfn_t p2m_last_frame;
	/* The same of the last leaf of 2 MiB: its entry, which may be something else by now, and its frame. */
	u64 *p2m_last_large;
	gfn_t p2m_last_large_frame;
	u64 p2m_tables, p2m_max_tables; /* below the root */
	struct page *p2m_merged; /* p2m_log_off(): tables that harts may still walk, by list.next */
	u64 hgatp;
};

extern struct hart harts[CONFIG_NR_CPUS];

static inline struct vcpu *current(void)
{
	return this_hart()->current;
}

static inline void hart_set_work(struct hart *h, u32 bits)
{
	__atomic_fetch_or(&h->work, bits, __ATOMIC_SEQ_CST);
}

/* entry.S */
void enter_guest(void) __noreturn; /* runs exit work, then the current vCPU */
void trap_vector(void);
void secondary_entry(void);
/*
 * head.S: how many of harts[], from the boot hart on, have been asked to start, for those that came to the wrong place;
 * with HARTS_CALLED_ALL no more will be.
 */
#define HARTS_CALLED_ALL (1U << 31)
extern u32 harts_called;
extern const char guest_copy_fault[], guest_copy_again[];

#endif
