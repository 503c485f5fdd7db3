/* SPDX-License-Identifier: BSD-2-Clause */
/* Never gives its hart away: interrupts off, no hypercall, no wfi. */
#include "guest.inc"

main:
	la	a0, text
	call	print
	csrw	sie, zero
1:	j	1b

text:	.asciz	"spinning\r\n"
