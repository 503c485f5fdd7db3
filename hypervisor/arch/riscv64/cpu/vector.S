/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves the vector state of a vCPU (a0 = struct arch_vcpu) between its struct and the hart, whose sstatus.VS is not Off; or makes
 * the hart's what vector_reset() says, which costs less than to load that.
 */
#include <asm-offsets.h>
#include <csr.h>

	.text
	.option	arch, +v

	/* v0 to v31, from a0 on. They begin at vstart, which must be 0, and heed neither vl nor vtype, even with vill. */
	.macro	whole insn
	csrr	t5, CSR_VLENB
	slli	t5, t5, 3
	addi	t4, a0, VCPU_VREGS
	\insn	v0, (t4)
	add	t4, t4, t5
	\insn	v8, (t4)
	add	t4, t4, t5
	\insn	v16, (t4)
	add	t4, t4, t5
	\insn	v24, (t4)
	.endm

/* The hart has the state afterwards, too. */
	.globl	vector_regs_save
vector_regs_save:
	csrr	t0, CSR_VSTART
	csrr	t1, CSR_VCSR
	csrr	t2, CSR_VL
	csrr	t3, CSR_VTYPE
	sd	t0, VCPU_VSTART(a0)
	sd	t1, VCPU_VCSR(a0)
	sd	t2, VCPU_VL(a0)
	sd	t3, VCPU_VTYPE(a0)
	csrw	CSR_VSTART, zero
	whole	vs8r.v
	csrw	CSR_VSTART, t0
	ret

	.globl	vector_regs_load
vector_regs_load:
	csrw	CSR_VSTART, zero
	whole	vl8re8.v
	ld	t0, VCPU_VL(a0)
	ld	t1, VCPU_VTYPE(a0)
	/* vl is what the hart had with this vtype, so it takes it again; with vill it is 0. */
	vsetvl	zero, t0, t1
	ld	t0, VCPU_VCSR(a0)
	csrw	CSR_VCSR, t0
	ld	t0, VCPU_VSTART(a0) /* last: all of these make it 0 */
	csrw	CSR_VSTART, t0
	ret

	.globl	vector_regs_reset
vector_regs_reset:
	csrw	CSR_VSTART, zero
	vsetvli	t0, zero, e8, m8, ta, ma
	vmv.v.i	v0, 0
	vmv.v.i	v8, 0
	vmv.v.i	v16, 0
	vmv.v.i	v24, 0
	li	t0, VTYPE_VILL
	li	t1, 0
	vsetvl	zero, t1, t0
	csrw	CSR_VCSR, zero
	csrw	CSR_VSTART, zero
	ret
