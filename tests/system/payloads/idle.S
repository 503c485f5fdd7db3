/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a line and waits, for what never comes: alive, and costs no processor. */
#include "guest.inc"

main:
	la	a0, text
	call	print
	csrw	sie, zero
1:	wfi
	j	1b

text:	.asciz	"idle\r\n"
