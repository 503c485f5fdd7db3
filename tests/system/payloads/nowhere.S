/* SPDX-License-Identifier: BSD-2-Clause */
/* Jumps to an address with nothing behind it, and so does its trap vector. */
#include "guest.inc"

main:
	la	a0, text
	call	print
	li	t0, 0x10000000
	csrw	stvec, t0
	li	t0, 0x20000000
	jr	t0

text:	.asciz	"jumping into nowhere\r\n"
