/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest reaches of a CPU that has more than is given (docs/architecture.md, "What a guest reaches of the CPU"), on one
 * with Zawrs, Zicboz and Smstateen at least: waiting for a lock goes on, in kernel and user mode alike; senvcfg is there;
 * state that is not switched is an illegal instruction. Prints "all as expected" and powers off, or the number of the step
 * that was not.
 */
#include "guest.inc"

#define WFI	0x10500073
#define WRS_NTO	0x00d00073
#define WRS_STO	0x01d00073
#define NONE	15
#define ILLEGAL	2
#define ECALL_U	8

/* s0: number of the step; s1: cause of the trap, NONE if there was none; s3: where to go on after it */
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
	step	ILLEGAL, .word 0x0d0072d7	/* 7: vsetvli t0, zero, e64, m1 */
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

	la	a0, good
	call	print
	li	a1, REASON_NONE
	call	end_guest

wrong:
	la	t0, number
	addi	t1, s0, 'a' - 1
	sb	t1, (t0)
	la	t0, cause
	addi	t1, s1, 'a'
	sb	t1, (t0)
	la	a0, bad
	call	print
	li	a1, REASON_FAILURE
	call	end_guest

	.balign	4
vector:
	csrr	s1, scause
	jr	s3			/* still in the handler's state: there is no other */

good:	.asciz	"all as expected\r\n"
	.data
bad:	.ascii	"wrong at step "
number:	.ascii	"? (a is 1), cause "
cause:	.asciz	"? (a is 0)\r\n"
