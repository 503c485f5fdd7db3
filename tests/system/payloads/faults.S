/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is not there must come as the trap that hardware would raise: load, store and fetch outside of
 * the map (causes 5, 7, 1), instructions and CSRs of the H extension and an undefined instruction
 * (cause 2). Prints "all as expected" and powers off, or the number of the step that was not.
 */
#include "steps.inc"

/* s2: an address with nothing */
main:
	la	t0, vector
	csrw	stvec, t0
	li	s0, 1
	li	s2, 0x20000000		/* nothing there */

	la	s3, 1f
	lw	t1, (s2)
	j	none
1:	li	t0, 5
	bne	s1, t0, wrong
	addi	s0, s0, 1		/* 2 */

	la	s3, 1f
	sw	t1, (s2)
	j	none
1:	li	t0, 7
	bne	s1, t0, wrong
	addi	s0, s0, 1		/* 3 */

	la	s3, 1f
	jr	s2
1:	li	t0, 1
	bne	s1, t0, wrong
	csrr	t0, sepc
	bne	t0, s2, wrong
	addi	s0, s0, 1		/* 4 */

	la	s3, 1f
	csrr	t1, 0x600		/* hstatus */
	j	none
1:	li	t0, 2
	bne	s1, t0, wrong
	addi	s0, s0, 1		/* 5 */

	la	s3, 1f
	.word	0x62000073		/* hfence.gvma */
	j	none
1:	li	t0, 2
	bne	s1, t0, wrong
	addi	s0, s0, 1		/* 6 */

	la	s3, 1f
	.word	0x00000000		/* defined to be illegal */
	j	none
1:	li	t0, 2
	bne	s1, t0, wrong
	addi	s0, s0, 1		/* 7 */

	la	s3, 1f
	csrw	0x7c0, zero		/* a custom machine CSR */
	j	none
1:	li	t0, 2
	bne	s1, t0, wrong

	j	passed
