/* SPDX-License-Identifier: MIT */
/*
 * Supervisor CSRs as a guest sees them (RISC-V Privileged Architecture 1.12, chapter 4).
 */
#ifndef PV_CSR_H
#define PV_CSR_H

#define SSTATUS_SIE 0x2
#define SSTATUS_SPIE 0x20
#define SSTATUS_SPP 0x100
#define SSTATUS_FS_INITIAL 0x2000
#define SSTATUS_SUM 0x40000

#define SIP_SSIP 0x2
#define SIE_SSIE 0x2
#define SIE_STIE 0x20

#define CAUSE_INTERRUPT (1UL << 63)
#define IRQ_S_SOFT 1
#define IRQ_S_TIMER 5

#define SATP_SV39 (8UL << 60)

#define PTE_V 0x01
#define PTE_R 0x02
#define PTE_W 0x04
#define PTE_X 0x08
#define PTE_U 0x10
#define PTE_A 0x40
#define PTE_D 0x80

#ifndef __ASSEMBLER__

#define csr_read(csr) \
	({ \
		unsigned long v_; \
		__asm__ volatile("csrr %0, " #csr : "=r"(v_) : : "memory"); \
		v_; \
	})
#define csr_write(csr, val) \
	__asm__ volatile("csrw " #csr ", %0" : : "rK"((unsigned long)(val)) : "memory")
#define csr_set(csr, val) \
	__asm__ volatile("csrs " #csr ", %0" : : "rK"((unsigned long)(val)) : "memory")
#define csr_clear(csr, val) \
	__asm__ volatile("csrc " #csr ", %0" : : "rK"((unsigned long)(val)) : "memory")
/* Clears bits and returns what was there before. */
#define csr_read_clear(csr, val) \
	({ \
		unsigned long v_; \
		__asm__ volatile("csrrc %0, " #csr ", %1" \
				 : "=r"(v_) \
				 : "rK"((unsigned long)(val)) \
				 : "memory"); \
		v_; \
	})

#endif
#endif
