/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the bare guests share: the header of a Linux Image, console output and the ends.
 * A payload starts at its label "main" in supervisor mode, satp = 0, with a stack.
 */
#define CONSOLE_RING	0x39000000	/* docs/abi.md: gfn 0x39000 */
#define OUT_BUFFER	1024		/* struct xencons_interface: in[1024], out[2048], then 4 words */
#define INDICES		3072
#define OUT_PROD	12

#define EXT_SRST	0x53525354
#define SRST_SHUTDOWN	0
#define REASON_NONE	0
#define REASON_FAILURE	1

	.section .head, "ax"
	.option norvc
	j	start
	.word	0
	.dword	0x200000		/* text_offset */
	.dword	_end - 0x80200000	/* image_size */
	.dword	0			/* flags: little-endian */
	.word	2			/* version 0.2 */
	.word	0
	.dword	0
	.ascii	"RISCV\0\0\0"
	.ascii	"RSC\x05"
	.word	0
	.option rvc

	.text
start:
	la	sp, stack_top
	j	main

/* a0: a string, put into the console ring (it must fit); t0-t6 are lost. */
print:
	li	t0, CONSOLE_RING
	li	t4, CONSOLE_RING + INDICES
	lwu	t1, OUT_PROD(t4)
1:	lbu	t2, (a0)
	beqz	t2, 2f
	andi	t3, t1, 2047
	add	t3, t3, t0
	sb	t2, OUT_BUFFER(t3)
	addi	t1, t1, 1
	addi	a0, a0, 1
	j	1b
2:	fence	rw, w			/* what is in the ring before the news of it */
	sw	t1, OUT_PROD(t4)
	ret

/* Ends the guest; a1: REASON_NONE or REASON_FAILURE. Xen: poweroff or crash. */
end_guest:
	li	a7, EXT_SRST
	li	a6, 0
	li	a0, SRST_SHUTDOWN
	ecall
	j	.			/* it does not come back */

	.bss
	.balign	16
	.skip	4096
stack_top:
	.text
