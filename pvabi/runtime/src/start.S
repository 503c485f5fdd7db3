/* SPDX-License-Identifier: MIT */
/*
 * First instructions of each vCPU, and the trap vector.
 *
 * tp = this vCPU's struct pv_cpu, always. Traps use the stack that they find, unless it is used up.
 * sscratch holds t0 for the first instructions of a trap; interrupts are off there.
 */
#include <pv/csr.h>
#include "offsets.h"

	.section .head, "ax"
	.option	push
	.option	norvc
	.globl	_start
_start:
	j	start
	.word	0
	.dword	0x200000		/* text_offset */
	.dword	image_end - _start	/* image_size: with .bss */
	.dword	0			/* flags: little-endian */
	.word	2			/* header version 0.2 */
	.word	0
	.dword	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\x05"
	.word	0
	.option	pop

	.text
/* vCPU 0: a0 = its number, a1 = FDT */
start:
	.option	push
	.option	norelax
	la	gp, __global_pointer$
	.option	pop
	la	t0, bss_start
	la	t1, image_end
1:	sd	zero, (t0)
	addi	t0, t0, 8
	bltu	t0, t1, 1b
	la	tp, pv_cpu0
	la	sp, boot_stack_top
	la	t0, boot_stack
	sd	t0, CPU_STACK_LOW(tp)
	sd	sp, CPU_STACK_TOP(tp)
	la	t0, emergency_stack_top
	sd	t0, CPU_EMERGENCY_TOP(tp)
	mv	s0, a1
	call	cpu_set_up
	mv	a0, s0
	li	s0, 0			/* backtraces end here */
	call	pv_main
	j	.

/* Other vCPUs: a0 = number, a1 = struct pv_cpu */
	.globl	secondary_start
secondary_start:
	.option	push
	.option	norelax
	la	gp, __global_pointer$
	.option	pop
	mv	tp, a1
	ld	sp, CPU_STACK_TOP(tp)
	call	cpu_set_up
	li	s0, 0
	call	pv_secondary
	j	.

/* Trap vector, FP on, 1:1 address space; t0-t1 are lost. */
cpu_set_up:
	la	t0, trap_entry
	csrw	stvec, t0
	li	t0, SSTATUS_FS_INITIAL
	csrs	sstatus, t0
	la	t0, pv_root_table
	srli	t0, t0, 12
	li	t1, SATP_SV39
	or	t0, t0, t1
	csrw	satp, t0
	sfence.vma
	ret

	.macro	fp_regs op
	.irp	n, 0,1,2,3,4,5,6,7
	\op	ft\n, FRAME_FP + 8 * \n(sp)
	\op	fa\n, FRAME_FP + 64 + 8 * \n(sp)
	.endr
	.irp	n, 8,9,10,11
	\op	ft\n, FRAME_FP + 64 + 8 * \n(sp)
	.endr
	.endm

	/* s2-s11 and t2-t6, too, so that a report has them all */
	.macro	int_regs op
	.irp	n, 0,1,2,3,4,5,6,7
	\op	a\n, FRAME_a0 + 8 * \n(sp)
	.endr
	.irp	n, 2,3,4,5,6,7,8,9,10,11
	\op	s\n, FRAME_s2 + 8 * (\n - 2)(sp)
	.endr
	.irp	n, 3,4,5,6
	\op	t\n, FRAME_t3 + 8 * (\n - 3)(sp)
	.endr
	\op	ra, FRAME_ra(sp)
	\op	gp, FRAME_gp(sp)
	\op	t1, FRAME_t1(sp)
	\op	t2, FRAME_t2(sp)
	\op	s0, FRAME_s0(sp)
	\op	s1, FRAME_s1(sp)
	.endm

	.balign	4
trap_entry:
	csrw	sscratch, t0
	ld	t0, CPU_STACK_LOW(tp)
	sub	t0, sp, t0
	addi	t0, t0, -FRAME_SIZE - 256	/* room for the frame and some C */
	bltz	t0, 2f
	mv	t0, sp
1:	addi	sp, sp, -FRAME_SIZE
	sd	t0, FRAME_sp(sp)
	csrr	t0, sscratch
	sd	t0, FRAME_t0(sp)
	sd	tp, FRAME_tp(sp)
	int_regs sd
	csrr	t0, sepc
	sd	t0, FRAME_pc(sp)
	csrr	t1, sstatus
	sd	t1, FRAME_status(sp)
	csrr	t2, scause
	sd	t2, FRAME_cause(sp)
	csrr	t0, stval
	sd	t0, FRAME_tval(sp)
	/* sstatus.SD: somebody has used FP; else whom we interrupted has nothing there. */
	bgez	t1, 3f
	fp_regs	fsd
	frcsr	t0
	sd	t0, FRAME_fcsr(sp)
3:	mv	a0, sp
	call	pv_trap
	ld	t1, FRAME_status(sp)
	bgez	t1, 4f
	ld	t0, FRAME_fcsr(sp)
	fscsr	t0
	fp_regs	fld
4:	ld	t0, FRAME_pc(sp)
	csrw	sepc, t0
	csrw	sstatus, t1
	int_regs ld
	ld	t0, FRAME_t0(sp)
	ld	sp, FRAME_sp(sp)
	sret
2:	mv	t0, sp
	ld	sp, CPU_EMERGENCY_TOP(tp)
	j	1b

/* pv_try() after an exception: a0 = jmp_buf */
	.globl	pv_try_return
pv_try_return:
	li	a1, 1
	j	longjmp

	.bss
	.balign	16
boot_stack:
	.space	BOOT_STACK_SIZE
boot_stack_top:
	.space	4096
emergency_stack_top:
