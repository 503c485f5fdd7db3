/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trap entry and exit.
 *
 * In a guest: sscratch = this hart's struct hart. In the hypervisor: sscratch = 0, tp = struct
 * hart, interrupts off, one stack a hart that is empty whenever a guest runs. gp is never used by
 * the hypervisor (no linker relaxation through it), so it stays the guest's from entry to exit.
 */
#include <asm-offsets.h>
#include <csr.h>

	.text
	.balign 4
	.globl trap_vector
trap_vector:
	csrrw	tp, CSR_SSCRATCH, tp
	beqz	tp, trap_from_hypervisor
	sd	t0, HART_SCRATCH(tp)
	csrr	t0, CSR_SCAUSE
	addi	t0, t0, -EXC_ECALL_VS
	bnez	t0, trap_from_guest
	li	t0, HYPERCALL_EID
	bne	a7, t0, trap_from_guest

/*
 * The short way for hypercalls. The ABI zeroes a1-a7 and t0-t6, C preserves s0-s11: what is left to
 * save is ra, sp, tp and pc. Only if there is work at the end is the rest of the vCPU's state
 * saved. t0 = the vCPU's registers, a6 = number, a1-a5 = arguments.
 */
hypercall:
	ld	t0, HART_CURRENT_ARCH(tp)
	csrr	t2, CSR_SEPC
	csrrw	t1, CSR_SSCRATCH, zero
	addi	t2, t2, 4
	sd	ra, REGS_ra(t0)
	sd	sp, REGS_sp(t0)
	sd	t1, REGS_tp(t0)
	sd	t2, REGS_pc(t0)
	ld	sp, HART_STACK_TOP(tp)
#ifdef CONFIG_LATENCY
	rdtime	t3
	sd	t3, HART_LATENCY(tp) /* since; then from, nr, op */
	sd	zero, HART_LATENCY + 8(tp)
	sd	a6, HART_LATENCY + 16(tp)
	sd	a1, HART_LATENCY + 24(tp)
#endif
	li	t3, NR_HYPERCALLS
	bgeu	a6, t3, 1f
	la	t4, hypercall_table
	slli	t3, a6, 3
	add	t4, t4, t3
	ld	t3, (t4)
	jalr	t3
hypercall_done:
#ifdef CONFIG_LATENCY
	addi	sp, sp, -16
	sd	a0, (sp)
	call	latency_note
	ld	a0, (sp)
	addi	sp, sp, 16
#endif
	lw	t1, HART_WORK(tp)
	ld	t0, HART_CURRENT_ARCH(tp)
	bnez	t1, hypercall_work
	ld	t2, REGS_pc(t0)
	ld	ra, REGS_ra(t0)
	ld	sp, REGS_sp(t0)
	csrw	CSR_SSCRATCH, tp
	ld	tp, REGS_tp(t0)
	csrw	CSR_SEPC, t2
	/* No value of the hypervisor's leaves in a register. */
	li	a1, 0
	li	a2, 0
	li	a3, 0
	li	a4, 0
	li	a5, 0
	li	a6, 0
	li	a7, 0
	li	t0, 0
	li	t1, 0
	li	t2, 0
	li	t3, 0
	li	t4, 0
	li	t5, 0
	li	t6, 0
	sret

1:	li	a0, -ENOSYS
	j	hypercall_done

/* t0 = registers, t1 = work bits, a0 = result: completes the saved state, then does the work. */
hypercall_work:
	sd	zero, REGS_t0(t0)
	sd	zero, REGS_t1(t0)
	sd	zero, REGS_t2(t0)
	sd	zero, REGS_t3(t0)
	sd	zero, REGS_t4(t0)
	sd	zero, REGS_t5(t0)
	sd	zero, REGS_t6(t0)
	sd	gp, REGS_gp(t0)
	andi	t1, t1, WORK_RESTART /* a1-a7 and pc are prepared */
	bnez	t1, 1f
	sd	a0, REGS_a0(t0)
	sd	zero, REGS_a1(t0)
	sd	zero, REGS_a2(t0)
	sd	zero, REGS_a3(t0)
	sd	zero, REGS_a4(t0)
	sd	zero, REGS_a5(t0)
	sd	zero, REGS_a6(t0)
	sd	zero, REGS_a7(t0)
1:	sd	s0, REGS_s0(t0)
	sd	s1, REGS_s1(t0)
	sd	s2, REGS_s2(t0)
	sd	s3, REGS_s3(t0)
	sd	s4, REGS_s4(t0)
	sd	s5, REGS_s5(t0)
	sd	s6, REGS_s6(t0)
	sd	s7, REGS_s7(t0)
	sd	s8, REGS_s8(t0)
	sd	s9, REGS_s9(t0)
	sd	s10, REGS_s10(t0)
	sd	s11, REGS_s11(t0)
	j	enter_guest

/* Everything else: the whole register state goes to the vCPU. */
trap_from_guest:
	ld	t0, HART_CURRENT_ARCH(tp)
	sd	ra, REGS_ra(t0)
	sd	sp, REGS_sp(t0)
	sd	gp, REGS_gp(t0)
	sd	t1, REGS_t1(t0)
	sd	t2, REGS_t2(t0)
	sd	s0, REGS_s0(t0)
	sd	s1, REGS_s1(t0)
	sd	a0, REGS_a0(t0)
	sd	a1, REGS_a1(t0)
	sd	a2, REGS_a2(t0)
	sd	a3, REGS_a3(t0)
	sd	a4, REGS_a4(t0)
	sd	a5, REGS_a5(t0)
	sd	a6, REGS_a6(t0)
	sd	a7, REGS_a7(t0)
	sd	s2, REGS_s2(t0)
	sd	s3, REGS_s3(t0)
	sd	s4, REGS_s4(t0)
	sd	s5, REGS_s5(t0)
	sd	s6, REGS_s6(t0)
	sd	s7, REGS_s7(t0)
	sd	s8, REGS_s8(t0)
	sd	s9, REGS_s9(t0)
	sd	s10, REGS_s10(t0)
	sd	s11, REGS_s11(t0)
	sd	t3, REGS_t3(t0)
	sd	t4, REGS_t4(t0)
	sd	t5, REGS_t5(t0)
	sd	t6, REGS_t6(t0)
	ld	t1, HART_SCRATCH(tp)
	csrrw	t2, CSR_SSCRATCH, zero
	csrr	t3, CSR_SEPC
	sd	t1, REGS_t0(t0)
	sd	t2, REGS_tp(t0)
	sd	t3, REGS_pc(t0)
	ld	sp, HART_STACK_TOP(tp)
	csrr	a0, CSR_SCAUSE
	li	s0, 0 /* backtraces end here */
	call	guest_trap
	/* fall through */

/*
 * Does the exit work (interrupts, scheduling), then runs whatever vCPU is current, all of its
 * registers loaded. Nothing on the stack is needed any more.
 */
	.globl enter_guest
enter_guest:
	ld	sp, HART_STACK_TOP(tp)
	li	s0, 0
	call	exit_work
	ld	t0, HART_CURRENT_ARCH(tp)
	ld	t1, REGS_pc(t0)
	csrw	CSR_SSCRATCH, tp
	csrw	CSR_SEPC, t1
	ld	ra, REGS_ra(t0)
	ld	sp, REGS_sp(t0)
	ld	gp, REGS_gp(t0)
	ld	tp, REGS_tp(t0)
	ld	t1, REGS_t1(t0)
	ld	t2, REGS_t2(t0)
	ld	s0, REGS_s0(t0)
	ld	s1, REGS_s1(t0)
	ld	a0, REGS_a0(t0)
	ld	a1, REGS_a1(t0)
	ld	a2, REGS_a2(t0)
	ld	a3, REGS_a3(t0)
	ld	a4, REGS_a4(t0)
	ld	a5, REGS_a5(t0)
	ld	a6, REGS_a6(t0)
	ld	a7, REGS_a7(t0)
	ld	s2, REGS_s2(t0)
	ld	s3, REGS_s3(t0)
	ld	s4, REGS_s4(t0)
	ld	s5, REGS_s5(t0)
	ld	s6, REGS_s6(t0)
	ld	s7, REGS_s7(t0)
	ld	s8, REGS_s8(t0)
	ld	s9, REGS_s9(t0)
	ld	s10, REGS_s10(t0)
	ld	s11, REGS_s11(t0)
	ld	t3, REGS_t3(t0)
	ld	t4, REGS_t4(t0)
	ld	t5, REGS_t5(t0)
	ld	t6, REGS_t6(t0)
	ld	t0, REGS_t0(t0)
	sret

/*
 * A trap in the hypervisor: a guest access or CSR probe with a fixup, or a bug. The frame is a struct hyp_frame (cpu/trap.c).
 * A stack that is used up is replaced, so that the report can be printed; sp - the frame must not be in the guard page, which
 * would trap again and again.
 *
 *	stack_top   +------------------+  used = stack_top - sp
 *	            | upper half       |  used < STACK_SIZE / 2: room, the usual case
 *	            |------------------|
 *	            | lower half       |  used + FRAME_ROOM < STACK_SIZE: room
 *	            |------------------|  the last FRAME_ROOM bytes: the emergency stack
 *	- STACK_SIZE+------------------+
 *	            | guard page       |  used >= STACK_SIZE, or sp is anywhere else: the emergency stack
 *	            +------------------+
 */
#define FRAME_ROOM 1024

trap_from_hypervisor:
	csrrw	tp, CSR_SSCRATCH, zero
	csrw	CSR_SSCRATCH, t0
	ld	t0, HART_STACK_TOP(tp)
	sub	t0, t0, sp
	srli	t0, t0, STACK_SHIFT - 1
	beqz	t0, 1f
	srli	t0, t0, 1
	bnez	t0, 2f
	ld	t0, HART_STACK_TOP(tp)
	sub	t0, t0, sp
	addi	t0, t0, FRAME_ROOM
	srli	t0, t0, STACK_SHIFT
	beqz	t0, 1f
2:	mv	t0, sp
	la	sp, emergency_stack_top
	addi	sp, sp, -(REGS_SIZE + 32)
	sd	t0, REGS_sp(sp)
	j	3f
1:	addi	sp, sp, -(REGS_SIZE + 32)
	addi	t0, sp, REGS_SIZE + 32
	sd	t0, REGS_sp(sp)
3:	csrrw	t0, CSR_SSCRATCH, zero
	sd	t0, REGS_t0(sp)
	sd	ra, REGS_ra(sp)
	sd	gp, REGS_gp(sp)
	sd	tp, REGS_tp(sp)
	sd	t1, REGS_t1(sp)
	sd	t2, REGS_t2(sp)
	sd	s0, REGS_s0(sp)
	sd	s1, REGS_s1(sp)
	sd	a0, REGS_a0(sp)
	sd	a1, REGS_a1(sp)
	sd	a2, REGS_a2(sp)
	sd	a3, REGS_a3(sp)
	sd	a4, REGS_a4(sp)
	sd	a5, REGS_a5(sp)
	sd	a6, REGS_a6(sp)
	sd	a7, REGS_a7(sp)
	sd	s2, REGS_s2(sp)
	sd	s3, REGS_s3(sp)
	sd	s4, REGS_s4(sp)
	sd	s5, REGS_s5(sp)
	sd	s6, REGS_s6(sp)
	sd	s7, REGS_s7(sp)
	sd	s8, REGS_s8(sp)
	sd	s9, REGS_s9(sp)
	sd	s10, REGS_s10(sp)
	sd	s11, REGS_s11(sp)
	sd	t3, REGS_t3(sp)
	sd	t4, REGS_t4(sp)
	sd	t5, REGS_t5(sp)
	sd	t6, REGS_t6(sp)
	csrr	t0, CSR_SEPC
	sd	t0, REGS_pc(sp)
	csrr	t0, CSR_SSTATUS
	sd	t0, REGS_SIZE(sp)
	csrr	t0, CSR_SCAUSE
	sd	t0, REGS_SIZE + 8(sp)
	csrr	t0, CSR_STVAL
	sd	t0, REGS_SIZE + 16(sp)
	mv	a0, sp
	call	hypervisor_trap
	/* Only fixups come back; pc in the frame is where to. */
	ld	t0, REGS_pc(sp)
	csrw	CSR_SEPC, t0
	ld	ra, REGS_ra(sp)
	ld	t1, REGS_t1(sp)
	ld	t2, REGS_t2(sp)
	ld	a0, REGS_a0(sp)
	ld	a1, REGS_a1(sp)
	ld	a2, REGS_a2(sp)
	ld	a3, REGS_a3(sp)
	ld	a4, REGS_a4(sp)
	ld	a5, REGS_a5(sp)
	ld	a6, REGS_a6(sp)
	ld	a7, REGS_a7(sp)
	ld	t3, REGS_t3(sp)
	ld	t4, REGS_t4(sp)
	ld	t5, REGS_t5(sp)
	ld	t6, REGS_t6(sp)
	ld	t0, REGS_t0(sp)
	addi	sp, sp, REGS_SIZE + 32
	sret

/*
 * Floating point state of a vCPU (a0 = struct arch_vcpu).
 */
	.option	push
	.option	arch, +d
	.globl	fp_save
fp_save:
	frcsr	t0
	sd	t0, VCPU_FCSR(a0)
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fsd	f\n, VCPU_FP + 8 * \n(a0)
	.endr
	ret
	.globl	fp_load
fp_load:
	ld	t0, VCPU_FCSR(a0)
	fscsr	t0
	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fld	f\n, VCPU_FP + 8 * \n(a0)
	.endr
	ret
	.option	pop

/*
 * copy_from_guest(dst, gva, n) and copy_to_guest(gva, src, n), see arch-api.h: 0, or -EFAULT. HLV and HSV act
 * with the guest's rights (hstatus.SPVP). a0 = to, a1 = from, a2 = bytes left, t2 = data. Words of
 * 8 bytes, four at a time, then of 4, then bytes, as alignment and length allow.
 * A fault overwrites sepc, sstatus.SPP and hstatus.SPV of the return to the guest. sepc is written on that way anyhow, and
 * the other two are known: what copies has been asked by a guest's kernel (an ecall of its user mode is its own to handle).
 */
	.macro	hlv_d
	.insn	r 0x73, 4, 0x36, t2, a1, x0
	.endm
	.macro	hlv_w
	.insn	r 0x73, 4, 0x34, t2, a1, x0
	.endm
	.macro	hlv_bu
	.insn	r 0x73, 4, 0x30, t2, a1, x1
	.endm
	.macro	hsv_d
	.insn	r 0x73, 4, 0x37, x0, a0, t2
	.endm
	.macro	hsv_w
	.insn	r 0x73, 4, 0x35, x0, a0, t2
	.endm
	.macro	hsv_b
	.insn	r 0x73, 4, 0x31, x0, a0, t2
	.endm

	.macro	hlvx_hu reg
	.insn	r 0x73, 4, 0x32, \reg, a0, x3
	.endm

	.macro	may_fault insn:req, to=guest_copy_fault
10:	\insn
	.pushsection .extable, "a"
	.balign	8
	.dword	10b, \to
	.popsection
	.endm

	/* One unit: offset is that of the address that takes one; the guest's never does. */
	.macro	unit_from size, offset, load:req
	may_fault \load
	addi	a1, a1, \size
	.if	\size == 8
	sd	t2, \offset(a0)
	.elseif	\size == 4
	sw	t2, \offset(a0)
	.else
	sb	t2, \offset(a0)
	.endif
	.endm

	.macro	unit_to size, offset, store:req
	.if	\size == 8
	ld	t2, \offset(a1)
	.elseif	\size == 4
	lw	t2, \offset(a1)
	.else
	lb	t2, \offset(a1)
	.endif
	may_fault \store
	addi	a0, a0, \size
	.endm

	/* The whole of a copy: near = the register that is a host address. */
	.macro	copy_loops unit, near, word8:req, word4:req, byte:req
	or	t0, a0, a1
	andi	t1, t0, 7
	bnez	t1, 3f
	li	t1, 32
	li	t3, 8
1:	bltu	a2, t1, 2f
	\unit	8, 0, \word8
	\unit	8, 8, \word8
	\unit	8, 16, \word8
	\unit	8, 24, \word8
	addi	\near, \near, 32
	addi	a2, a2, -32
	j	1b
2:	beqz	a2, 6f
	bltu	a2, t3, 3f
	\unit	8, 0, \word8
	addi	\near, \near, 8
	addi	a2, a2, -8
	bnez	a2, 2b
	li	a0, 0
	ret
3:	andi	t1, t0, 3
	li	t3, 4
	bnez	t1, 5f
4:	bltu	a2, t3, 5f
	\unit	4, 0, \word4
	addi	\near, \near, 4
	addi	a2, a2, -4
	bnez	a2, 4b
	li	a0, 0
	ret
5:	beqz	a2, 6f
	\unit	1, 0, \byte
	addi	\near, \near, 1
	addi	a2, a2, -1
	j	5b
6:	li	a0, 0
	ret
	.endm

	.globl	copy_from_guest
copy_from_guest:
	/* One word: a port. (evtchn_send has it inline, copy_u32_from_guest().) */
	or	t1, a0, a1
	li	t0, 4
	andi	t1, t1, 3
	bne	a2, t0, 1f
	bnez	t1, 1f
	may_fault hlv_w
	sw	t2, (a0)
	li	a0, 0
	ret
1:
	copy_loops unit_from, a0, hlv_d, hlv_w, hlv_bu

	.globl	copy_to_guest
copy_to_guest:
	copy_loops unit_to, a1, hsv_d, hsv_w, hsv_b

	/* t6 = the instruction to try again, or where an access in C goes on that failed; t4 is free in either. */
	.globl	guest_copy_again
guest_copy_again:
	li	t4, SSTATUS_SPP | SSTATUS_SPIE
	csrs	CSR_SSTATUS, t4
	li	t4, HSTATUS_SPV
	csrs	CSR_HSTATUS, t4
	jr	t6

	.globl	guest_copy_fault
guest_copy_fault:
	li	t0, SSTATUS_SPP | SSTATUS_SPIE
	csrs	CSR_SSTATUS, t0
	li	t0, HSTATUS_SPV
	csrs	CSR_HSTATUS, t0
	li	a0, -EFAULT
	ret

/*
 * fetch_guest_insn(gva): the 32 bits at a guest's instruction (a0, 2-byte aligned) by the rights of hstatus.SPVP and execute
 * permission; 0 if they cannot be read. The caller saves and restores sstatus and hstatus, which a fault changes.
 */
	.globl	fetch_guest_insn
fetch_guest_insn:
	may_fault "hlvx_hu t0", 1f
	addi	a0, a0, 2
	may_fault "hlvx_hu t1", 1f
	slli	a0, t1, 16
	or	a0, a0, t0
	ret
1:	li	a0, 0
	ret

/* ad_touch(write): see arch.h. */
	.globl	ad_touch
ad_touch:
	li	a1, 0
	bnez	a0, 1f
	may_fault hlv_d, 3f
	j	2f
1:	li	a0, 0
	may_fault hsv_d, 3f
2:	li	a0, 1
	ret
3:	li	a0, 0
	ret

	.bss
	.balign	16
	.space	8192
emergency_stack_top:
