/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Known registers and memory, for xl dump-core: paging is on (Sv39), RAM is where it is and once more in the upper half of
 * the addresses, and a page is full of its own addresses.
 */
#include "guest.inc"

#define V_R_W_X_A_D	0xcf

main:
	csrw	sie, zero
	la	t0, page		/* each 8 bytes have their address */
	li	t1, 512
1:	sd	t0, (t0)
	addi	t0, t0, 8
	addi	t1, t1, -1
	bnez	t1, 1b
	la	t0, root
	li	t1, (0x80000000 >> 12 << 10) | V_R_W_X_A_D
	sd	t1, 2 * 8(t0)		/* 1 GiB at 0x80000000 */
	li	t3, 384 * 8
	add	t3, t0, t3
	sd	t1, (t3)		/* and at 0xffffffe000000000 */
	srli	t0, t0, 12
	li	t1, 8 << 60
	or	t0, t0, t1
	sfence.vma
	csrw	satp, t0
	sfence.vma
	li	s1, 0x1111111111111111
	li	s11, 0x0123456789abcdef
	.globl	spin
spin:	j	spin

	.bss
	.balign	4096
root:	.skip	4096
	.globl	page
page:	.skip	4096
