/* SPDX-License-Identifier: BSD-2-Clause */
/* The shortest life: prints a line and powers off. */
#include "guest.inc"

main:
	la	a0, text
	call	print
	li	a1, REASON_NONE
	call	end_guest

text:	.asciz	"goodbye\r\n"
