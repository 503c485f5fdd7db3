/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CSR numbers and fields (RISC-V Privileged Specification 20211203 and later, H and Sstc chapters).
 * Numbers rather than names where Debian 12's assembler may not know the extension.
 */
#ifndef PAVISE_CSR_H
#define PAVISE_CSR_H

#define CSR_FCSR 0x003
#define CSR_VSTART 0x008
#define CSR_VCSR 0x00f
#define CSR_SSTATUS 0x100
#define CSR_SIE 0x104
#define CSR_STVEC 0x105
#define CSR_SCOUNTEREN 0x106
#define CSR_SENVCFG 0x10a
#define CSR_SSCRATCH 0x140
#define CSR_SEPC 0x141
#define CSR_SCAUSE 0x142
#define CSR_STVAL 0x143
#define CSR_SIP 0x144
#define CSR_STIMECMP 0x14d
#define CSR_SATP 0x180
#define CSR_VSSTATUS 0x200
#define CSR_VSIE 0x204
#define CSR_VSTVEC 0x205
#define CSR_VSSCRATCH 0x240
#define CSR_VSEPC 0x241
#define CSR_VSCAUSE 0x242
#define CSR_VSTVAL 0x243
#define CSR_VSTIMECMP 0x24d
#define CSR_VSATP 0x280
#define CSR_HSTATUS 0x600
#define CSR_HEDELEG 0x602
#define CSR_HIDELEG 0x603
#define CSR_HIE 0x604
#define CSR_HTIMEDELTA 0x605
#define CSR_HCOUNTEREN 0x606
#define CSR_HENVCFG 0x60a
#define CSR_HSTATEEN0 0x60c
#define CSR_HSTATEEN1 0x60d
#define CSR_HSTATEEN2 0x60e
#define CSR_HSTATEEN3 0x60f
#define CSR_HTVAL 0x643
#define CSR_HIP 0x644
#define CSR_HVIP 0x645
#define CSR_HGATP 0x680
#define CSR_TIME 0xc01
#define CSR_VL 0xc20
#define CSR_VTYPE 0xc21
#define CSR_VLENB 0xc22

#define SSTATUS_SIE (1UL << 1)
#define SSTATUS_SPIE (1UL << 5)
#define SSTATUS_SPP (1UL << 8)
#define SSTATUS_FS (3UL << 13)
#define SSTATUS_FS_INITIAL (1UL << 13)
#define SSTATUS_FS_CLEAN (2UL << 13)
#define SSTATUS_FS_DIRTY (3UL << 13)
#define SSTATUS_VS (3UL << 9)
#define SSTATUS_VS_INITIAL (1UL << 9)
#define SSTATUS_VS_CLEAN (2UL << 9)
#define SSTATUS_VS_DIRTY (3UL << 9)
#define SSTATUS_SD (1UL << 63) /* FS or VS (or XS, which nobody has) is Dirty */
#define SSTATUS_SUM (1UL << 18)
#define SSTATUS_MXR (1UL << 19)

#define VTYPE_VILL (1UL << 63)

#define HSTATUS_GVA (1UL << 6)
#define HSTATUS_SPV (1UL << 7)
#define HSTATUS_SPVP (1UL << 8)
#define HSTATUS_VTW (1UL << 21)
#define HSTATUS_VSXL_64 (2UL << 32)

#define HENVCFG_FIOM (1UL << 0)
#define HENVCFG_CBIE (3UL << 4)
#define HENVCFG_CBCFE (1UL << 6)
#define HENVCFG_CBZE (1UL << 7)
#define HENVCFG_PBMTE (1UL << 62)
#define HENVCFG_STCE (1UL << 63)

#define IRQ_S_SOFT 1
#define IRQ_VS_SOFT 2
#define IRQ_S_TIMER 5
#define IRQ_VS_TIMER 6
#define IRQ_S_EXT 9
#define IRQ_VS_EXT 10
#define IP_SSIP (1UL << IRQ_S_SOFT)
#define IP_VSSIP (1UL << IRQ_VS_SOFT)
#define IP_STIP (1UL << IRQ_S_TIMER)
#define IP_VSTIP (1UL << IRQ_VS_TIMER)
#define IP_SEIP (1UL << IRQ_S_EXT)
#define IP_VSEIP (1UL << IRQ_VS_EXT)

#define SCAUSE_INTERRUPT (1UL << 63)
#define EXC_INST_MISALIGNED 0
#define EXC_INST_ACCESS 1
#define EXC_ILLEGAL_INST 2
#define EXC_BREAKPOINT 3
#define EXC_LOAD_MISALIGNED 4
#define EXC_LOAD_ACCESS 5
#define EXC_STORE_MISALIGNED 6
#define EXC_STORE_ACCESS 7
#define EXC_ECALL_U 8
#define EXC_ECALL_VS 10
#define EXC_INST_PAGE_FAULT 12
#define EXC_LOAD_PAGE_FAULT 13
#define EXC_STORE_PAGE_FAULT 15
#define EXC_INST_GUEST_PAGE_FAULT 20
#define EXC_LOAD_GUEST_PAGE_FAULT 21
#define EXC_VIRTUAL_INST 22
#define EXC_STORE_GUEST_PAGE_FAULT 23

#define SATP_MODE_SHIFT 60
#define SATP_MODE_SV39 8UL
#define SATP_MODE_SV48 9UL
#define SATP_MODE_SV57 10UL
#define SATP_PPN_MASK ((1UL << 44) - 1)
#define HGATP_VMID_SHIFT 44
#define HGATP_VMID_MASK 0x3fffUL

#define PTE_V (1UL << 0)
#define PTE_R (1UL << 1)
#define PTE_W (1UL << 2)
#define PTE_X (1UL << 3)
#define PTE_U (1UL << 4)
#define PTE_G (1UL << 5)
#define PTE_A (1UL << 6)
#define PTE_D (1UL << 7)
#define PTE_N (1UL << 63) /* Svnapot */
#define PTE_RSW_SHIFT 8
#define PTE_RSW (3UL << PTE_RSW_SHIFT)
#define PTE_PPN_SHIFT 10
#define PTE_PPN_MASK (((1UL << 44) - 1) << PTE_PPN_SHIFT)

#ifndef __ASSEMBLER__
#define __CSR_STR(x) #x
#define CSR_STR(x) __CSR_STR(x)

/* What this hart has written, or has been told of, is what it fetches. */
#define fence_i() __asm__ volatile("fence.i" : : : "memory")

#define csr_read(csr) \
	({ \
		unsigned long _v; \
		__asm__ volatile("csrr %0, " CSR_STR(csr) : "=r"(_v) : : "memory"); \
		_v; \
	})
#define csr_write(csr, val) \
	__asm__ volatile("csrw " CSR_STR(csr) ", %0" : : "rK"((unsigned long)(val)) : "memory")
#define csr_set(csr, val) \
	__asm__ volatile("csrs " CSR_STR(csr) ", %0" : : "rK"((unsigned long)(val)) : "memory")
#define csr_clear(csr, val) \
	__asm__ volatile("csrc " CSR_STR(csr) ", %0" : : "rK"((unsigned long)(val)) : "memory")

/*
 * HFENCE.GVMA x0, x0 and HFENCE.VVMA x0, x0: all guest physical, all guest virtual translations of this hart.
 */
#define hfence_gvma_all() __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0" : : : "memory")
#define hfence_vvma_all() __asm__ volatile(".insn r 0x73, 0, 0x11, x0, x0, x0" : : : "memory")
/* HFENCE.GVMA x0, rs2: all guest physical translations under one VMID, which may be 0 ("r" is never x0). */
#define hfence_gvma_vmid(vmid) \
	__asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, %0" \
			 : \
			 : "r"((unsigned long)(vmid)) \
			 : "memory")
/* HFENCE.GVMA rs1, rs2: those of one guest physical address, which the instruction wants in words, under all VMIDs or one. */
#define hfence_gvma_page(gpa) \
	__asm__ volatile(".insn r 0x73, 0, 0x31, x0, %0, x0" \
			 : \
			 : "r"((unsigned long)(gpa) >> 2) \
			 : "memory")
#define hfence_gvma_page_vmid(gpa, vmid) \
	__asm__ volatile(".insn r 0x73, 0, 0x31, x0, %0, %1" \
			 : \
			 : "r"((unsigned long)(gpa) >> 2), "r"((unsigned long)(vmid)) \
			 : "memory")
/* HFENCE.VVMA x0, rs2: all guest virtual translations of one ASID under the VMID in hgatp. */
#define hfence_vvma_asid(asid) \
	__asm__ volatile(".insn r 0x73, 0, 0x11, x0, x0, %0" \
			 : \
			 : "r"((unsigned long)(asid)) \
			 : "memory")
#define sfence_vma_all() __asm__ volatile("sfence.vma" : : : "memory")
#endif

#endif
