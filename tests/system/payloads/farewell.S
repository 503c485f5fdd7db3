/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a line and ends at once with a system failure. */
#include "guest.inc"

main:
	la	a0, text
	call	print
	li	a1, REASON_FAILURE
	call	end_guest

text:	.asciz	"first line\r\nfarewell, says the guest\r\n"
