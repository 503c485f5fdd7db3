/* SPDX-License-Identifier: MIT */
/*
 * The RISC-V branch of the Xen public headers.
 *
 * It owns what the architecture-neutral headers ask of an architecture: guest handles, register
 * layouts, the guest memory map. pvabi/scripts/prepare-headers adds it to a copy of Xen's headers.
 * docs/abi.md explains the conventions. All layouts are little-endian and 64-bit.
 */
#ifndef __XEN_PUBLIC_ARCH_RISCV_H__
#define __XEN_PUBLIC_ARCH_RISCV_H__

/*
 * The hypercall: `ecall` with a7 = PAVISE_HYPERCALL_EID, a6 = number, a1..a5 = arguments,
 * result in a0. EID is in SBI's firmware-specific space, its low bits Xen's implementation ID.
 */
#define PAVISE_HYPERCALL_EID 0x0A000007

#define int64_aligned_t int64_t __attribute__((aligned(8)))
#define uint64_aligned_t uint64_t __attribute__((aligned(8)))

#ifndef __ASSEMBLY__

#define ___DEFINE_XEN_GUEST_HANDLE(name, type) \
	typedef union { \
		type *p; \
		unsigned long q; \
	} __guest_handle_##name; \
	typedef union { \
		type *p; \
		uint64_aligned_t q; \
	} __guest_handle_64_##name
#define __DEFINE_XEN_GUEST_HANDLE(name, type) \
	___DEFINE_XEN_GUEST_HANDLE(name, type); \
	___DEFINE_XEN_GUEST_HANDLE(const_##name, const type)
#define DEFINE_XEN_GUEST_HANDLE(name) __DEFINE_XEN_GUEST_HANDLE(name, name)
#define __XEN_GUEST_HANDLE(name) __guest_handle_64_##name
#define XEN_GUEST_HANDLE(name) __XEN_GUEST_HANDLE(name)
#define XEN_GUEST_HANDLE_PARAM(name) __guest_handle_##name
#define set_xen_guest_handle_raw(hnd, val) ((hnd).p = (val))
#define set_xen_guest_handle(hnd, val) set_xen_guest_handle_raw(hnd, val)

typedef uint64_t xen_pfn_t;
#define PRI_xen_pfn PRIx64
#define PRIu_xen_pfn PRIu64

typedef uint64_t xen_ulong_t;
#define PRI_xen_ulong PRIx64

/*
 * shared_info has the vcpu_info of vCPU 0 only; the others register theirs
 * (VCPUOP_register_vcpu_info).
 */
#define XEN_LEGACY_MAX_VCPUS 1

struct arch_vcpu_info {
};
typedef struct arch_vcpu_info arch_vcpu_info_t;

struct arch_shared_info {
};
typedef struct arch_shared_info arch_shared_info_t;

typedef uint64_t xen_callback_t;

typedef struct xen_pmu_arch {
	uint8_t dummy;
} xen_pmu_arch_t;

#if defined(__XEN__) || defined(__XEN_TOOLS__)

/* x1 to x31 under their ABI names; pc stands in x0's place. */
struct vcpu_guest_core_regs {
	uint64_t pc, ra, sp, gp, tp, t0, t1, t2, s0, s1;
	uint64_t a0, a1, a2, a3, a4, a5, a6, a7;
	uint64_t s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
	uint64_t t3, t4, t5, t6;
};
typedef struct vcpu_guest_core_regs vcpu_guest_core_regs_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_guest_core_regs_t);

/* The vCPU runs (else it waits for SBI HSM hart_start or VCPUOP_up). */
#define _VGCF_online 0
#define VGCF_online (1 << _VGCF_online)
/* The guest was in its supervisor mode (always set for a new vCPU). */
#define _VGCF_in_kernel 1
#define VGCF_in_kernel (1 << _VGCF_in_kernel)

/*
 * XEN_DOMCTL_{get,set}vcpucontext. A new guest starts in supervisor mode at user_regs.pc with
 * satp = 0, a0 = hart id (the vCPU's number), a1 = guest physical address of its FDT.
 *
 * To a vCPU that has no context yet 0 in scounteren and stimecmp means the usual (7, and no timer), and it is in supervisor mode. One that
 * has one keeps all that is not here (floating point and vector registers, timers but stimecmp); 0 is 0, the mode is as
 * VGCF_in_kernel says, and of sip SSIP is raised if it is set, but never taken away. So setting what was got changes nothing, but that a
 * vCPU that waits for something does so no longer.
 */
struct vcpu_guest_context {
	uint32_t flags; /* VGCF_* */
	uint32_t _pad;
	struct vcpu_guest_core_regs user_regs;
	/* the supervisor CSRs as the guest sees them */
	uint64_t sstatus, sie, sip, stvec, sscratch, sepc, scause, stval, satp;
	uint64_t scounteren, senvcfg, stimecmp;
};
typedef struct vcpu_guest_context vcpu_guest_context_t;
DEFINE_XEN_GUEST_HANDLE(vcpu_guest_context_t);

#define XEN_DOMCTL_CONFIG_ENGINE_DEFAULT 0
#define XEN_DOMCTL_CONFIG_ENGINE_HEXT 1
#define XEN_DOMCTL_CONFIG_ENGINE_CLASSIC 2

struct xen_arch_domainconfig {
	uint32_t engine; /* IN/OUT: XEN_DOMCTL_CONFIG_ENGINE_* */
	uint32_t _pad; /* IN: 0 */
	uint64_t timebase_frequency; /* OUT: Hz of the time CSR */
};

/*
 * Pavise's own operations on a domain have numbers from here on. Addresses are the caller's virtual ones.
 *
 * PAVISE_DOMCTL_memory: a domain's RAM, without a mapping of it. count is IN what is asked for, OUT what was done; with an error
 * nothing is told of what was done before. Never the caller's own, nor what it has mapped of others. Where shared_info or a grant frame is mapped in the place of RAM,
 * that RAM is meant.
 */
#define PAVISE_DOMCTL_memory 0x50560000
#define PAVISE_MEMORY_read 0 /* gfns to pages and kinds */
#define PAVISE_MEMORY_write 1 /* pages to gfns; -ENOENT: no RAM is there */
#define PAVISE_MEMORY_map \
	2 /* what is mapped from gfn on, as runs; fewer than asked for: those were the last */
struct pavise_domctl_memory {
	uint32_t op; /* PAVISE_MEMORY_* */
	uint32_t count;
	uint64_aligned_t gfns; /* read, write: IN uint64_t [count] */
	uint64_aligned_t pages; /* read: OUT, write: IN, 4096 bytes each */
	uint64_aligned_t kinds; /* read: OUT uint8_t [count] */
	uint64_aligned_t runs; /* map: OUT struct pavise_memory_run [count] */
	uint64_aligned_t gfn; /* map: IN the first, OUT where to go on */
};
#define PAVISE_MEMORY_data 0
#define PAVISE_MEMORY_zero 1 /* all 0: pages is not written */
#define PAVISE_MEMORY_hole 2 /* there is no RAM: the same */
struct pavise_memory_run {
	uint64_aligned_t gfn, pages;
	uint32_t what; /* PAVISE_RUN_* */
	uint32_t index; /* of the grant table's frame */
};
#define PAVISE_RUN_ram 0
#define PAVISE_RUN_shared_info 1 /* a page each; */
#define PAVISE_RUN_grant_table 2
#define PAVISE_RUN_hides_ram 0x100 /* flag of these two: there is RAM under it */
#define PAVISE_RUN_other 3 /* others' pages or devices */

/*
 * XEN_DOMCTL_shadow_op: Xen's structure and numbers (ENABLE_LOGDIRTY, OFF, CLEAN, PEEK; LOGDIRTY_FINAL). With this flag of ours in mode CLEAN and
 * PEEK tell frames apart that may have been written only by a hart that set A and D in a page table there, which on some machines looks
 * like a read: they are in a second bitmap, which begins PAVISE_SHADOW_MAYBE(pages) bytes behind the first, pages being what was passed in. Who has a sum of
 * the page compares it. Without the flag they are in the first.
 */
#define PAVISE_SHADOW_LOGDIRTY_MAYBE (1U << 31)
#define PAVISE_SHADOW_MAYBE(pages) (((pages) + 63) / 64 * 8)

/*
 * XENMEM_sharing_op_fork: flags of ours. No free memory is kept for what the copy, or the parent, will write: more copies than there is memory for, and who writes
 * when there is none waits, paused, until somebody lets it go on (VIRQ_ENOMEM).
 */
#define PAVISE_FORK_NO_RESERVE (1u << 15)
#define PAVISE_FORK_PARENT_NO_RESERVE (1u << 14)

#endif /* __XEN__ || __XEN_TOOLS__ */
#endif /* !__ASSEMBLY__ */

/*
 * domU's memory map (guest physical addresses). dom0's is the machine's own, 1:1; its grant and
 * extended regions are in its FDT.
 */
#define GUEST_GNTTAB_BASE 0x38000000ULL
#define GUEST_GNTTAB_SIZE 0x01000000ULL

#define GUEST_MAGIC_BASE 0x39000000ULL
#define GUEST_MAGIC_SIZE 0x01000000ULL
#define GUEST_CONSOLE_PFN ((GUEST_MAGIC_BASE >> 12) + 0)
#define GUEST_XENSTORE_PFN ((GUEST_MAGIC_BASE >> 12) + 1)
/* Populated by nobody: the guest puts its shared_info here with XENMEM_add_to_physmap. */
#define GUEST_SHARED_INFO_PFN ((GUEST_MAGIC_BASE >> 12) + 2)

#define GUEST_RAM_BANKS 2
#define GUEST_RAM0_BASE 0x80000000ULL /* 2 GiB of low RAM at 2 GiB */
#define GUEST_RAM0_SIZE 0x80000000ULL
#define GUEST_RAM1_BASE 0x200000000ULL /* the rest at 8 GiB */
#define GUEST_RAM1_SIZE 0xfe00000000ULL
#define GUEST_RAM_BASE GUEST_RAM0_BASE
#define GUEST_RAM_MAX (GUEST_RAM0_SIZE + GUEST_RAM1_SIZE)
#define GUEST_RAM_BANK_BASES \
	{ \
		GUEST_RAM0_BASE, GUEST_RAM1_BASE \
	}
#define GUEST_RAM_BANK_SIZES \
	{ \
		GUEST_RAM0_SIZE, GUEST_RAM1_SIZE \
	}

#define GUEST_MAX_VCPUS 64

/*
 * What XENVER_get_features says beyond Xen's submap 0 (another hypervisor has -EINVAL for these).
 * docs/abi.md, "Versions and features".
 */
#define PAVISE_SUBMAP_ABI \
	0x50560000 /* no bits: a number that grows when the ABI changes incompatibly */
#define PAVISE_ABI_VERSION 1
#define PAVISE_SUBMAP_FEATURES 0x50560001 /* PAVISE_FEAT_* */
#define PAVISE_FEAT_evtchn_fifo 0 /* the FIFO ABI of event channels */
#define PAVISE_FEAT_wfi_blocks 1 /* wfi gives the hart away, as SCHEDOP_block does */
#define PAVISE_FEAT_pirq 2 /* the caller may bind physical interrupts */
#define PAVISE_FEAT_silo 3 /* guests may talk to the control domain only */

/* The upcall is the supervisor software interrupt (docs/abi.md, "Upcall"). */
#define GUEST_EVTCHN_INTERRUPT 1

#endif /* __XEN_PUBLIC_ARCH_RISCV_H__ */
