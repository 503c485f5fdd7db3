/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest reaches of a CPU that has more than is given (docs/architecture.md, "What a guest reaches of the CPU"), on one
 * with Zawrs, Zicboz and Smstateen at least: waiting for a lock goes on, in kernel and user mode alike; senvcfg is there;
 * state that is not switched is an illegal instruction; VCPUOP_initialise takes the modes of satp that the hart has. Prints
 * "all as expected" and powers off, or the number of the step that was not. Needs a second vCPU.
 */
#include "steps.inc"

#define WFI	0x10500073
#define WRS_NTO	0x00d00073
#define WRS_STO	0x01d00073
#define ILLEGAL	2
#define CONTEXT_SATP	(8 + 32 * 8 + 8 * 8)	/* in struct vcpu_guest_context (docs/abi.md), and its size */
#define CONTEXT_SIZE	(CONTEXT_SATP + 4 * 8)
#define EINVAL	22

	.macro	step cause, insn:vararg
	addi	s0, s0, 1
	li	s1, NONE
	la	s3, 1f
	.option	push
	.option	norvc
	\insn
	.option	pop
1:	li	t0, \cause
	bne	s1, t0, wrong
	.endm

main:
	la	t0, vector
	csrw	stvec, t0
	li	s0, 0
	li	s2, 0x80
	step	NONE, .word WRS_NTO		/* 1 */
	step	NONE, .word WRS_STO		/* 2 */
	step	NONE, csrw 0x10a, s2		/* 3: senvcfg.CBZE */
	csrr	t0, 0x10a
	bne	t0, s2, wrong
	step	ILLEGAL, csrr t1, 0x10c		/* 4: sstateen0 */
	step	ILLEGAL, csrr t1, 0x150		/* 5: siselect */
	step	ILLEGAL, csrw 0x015, zero	/* 6: seed */
	step	ILLEGAL, .word 0x0d0072d7	/* 7: vsetvli t0, zero, e64, m1, while VS is Off */
	step	ILLEGAL, csrr t1, 0xc03		/* 8: hpmcounter3 */
	step	ILLEGAL, csrr t1, 0x011		/* 9: ssp */

	/* In user mode, which has all memory too while satp is 0. It may wait for a lock, but not idle. */
	addi	s0, s0, 1			/* 10 */
	li	t0, 1 << 8			/* sstatus.SPP */
	csrc	sstatus, t0
	la	t0, user
	csrw	sepc, t0
	la	s3, 1f
	sret
	.option	push
	.option	norvc
user:	.word	WRS_NTO
	.word	WRS_STO
idles:	.word	WFI
	.option	pop
1:	li	t0, ILLEGAL
	bne	s1, t0, wrong
	la	t0, idles
	csrr	t1, sepc
	bne	t0, t1, wrong

	/* Down from 15, the first mode that satp takes, and no other, is one to start a vCPU with. s4: mode, s5: root's page */
	addi	s0, s0, 1			/* 11 */
	la	s5, root
	li	t0, 0xcf			/* D A X W R V: three gigabytes 1:1, or the first 512 */
	sd	t0, (s5)
	li	t1, 1 << 28
	add	t0, t0, t1
	sd	t0, 8(s5)
	add	t0, t0, t1
	sd	t0, 16(s5)
	srli	s5, s5, 12
	li	s4, 15
2:	slli	s6, s4, 60
	or	t0, s6, s5
	csrw	satp, t0
	csrr	s7, satp
	csrw	satp, zero
	sfence.vma
	la	a3, context
	sd	s6, CONTEXT_SATP(a3)
	li	a7, 0x0A000007
	li	a6, 24				/* vcpu_op */
	li	a1, 0				/* VCPUOP_initialise */
	li	a2, 1
	ecall
	bnez	s7, 3f
	li	t0, -EINVAL
	bne	a0, t0, wrong
	addi	s4, s4, -1
	bnez	s4, 2b
	j	wrong
3:	bnez	a0, wrong

	j	passed

	.bss
	.balign	4096
root:	.skip	4096
context:
	.skip	CONTEXT_SIZE
