/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that means no good: without end it makes hypercalls and SBI calls that do not exist, reads, writes and jumps
 * where it has nothing, and reads CSRs that are not its own, all at random. "seed=N" in its command line repeats a run.
 * Answers must be what docs/abi.md says; a wrong one is printed and ends the guest with a failure.
 */
#include "guest.inc"

#define HYPERCALL	0x0A000007
#define EVENT_CHANNEL_OP 32
#define EVTCHNOP_CLOSE	3
#define EVTCHNOP_SEND	4
#define EVTCHNOP_RESET	10
#define HVM_OP		34
#define HVMOP_GET_PARAM	1
#define CONSOLE_EVTCHN	18
#define DOMID_SELF	0x7ff0
#define ENOSYS		38
#define NOT_SUPPORTED	2
#define ROUNDS		4096		/* between two lines on the console */

/*
 * s0: state of the random numbers; s1: cause of the last trap, or 32; s3: where to go after a trap;
 * s4: rounds left until the next line; s5: the FDT; s6: lines printed; s7-s11: must survive calls
 */
main:
	mv	s5, a1
	la	t0, vector
	csrw	stvec, t0
	call	find_seed
	call	find_console
	la	a0, hello
	call	print
	mv	a0, s0
	call	print_number
	call	notify
	li	s6, 0
lines:
	li	s4, ROUNDS
rounds:
	call	random
	andi	t0, a0, 7
	la	t1, actions
	slli	t0, t0, 3
	add	t1, t1, t0
	ld	t1, (t1)
	jalr	t1
	addi	s4, s4, -1
	bnez	s4, rounds
	addi	s6, s6, 1
	la	a0, line
	call	print
	mv	a0, s6
	call	print_number
	call	notify
	j	lines

	.balign	8
actions:
	.dword	hypercall, hypercall_known, sbi, sbi, load, store, fetch, csr

/* A number that nobody has: 44 to 47, or 64 and above; all arguments at random. */
hypercall:
	mv	s11, ra
	call	random_arguments
	andi	t0, a6, 8
	li	t1, 64
	beqz	t0, 1f
	andi	a6, a6, 3
	addi	a6, a6, 44
	j	2f
1:	bgeu	a6, t1, 2f
	add	a6, a6, t1
2:	li	a7, HYPERCALL
	mv	s7, sp
	mv	s8, a6
	ecall
	bne	s7, sp, wrong_answer
	li	t0, -ENOSYS
	bne	a0, t0, wrong_answer
	or	t1, a1, a2		/* no value of the hypervisor's may come back */
	or	t1, t1, a3
	or	t1, t1, a4
	or	t1, t1, a5
	or	t1, t1, t3
	or	t1, t1, t4
	or	t1, t1, t5
	or	t1, t1, t6
	bnez	t1, wrong_answer
	jr	s11

/* Real ones that cannot end or stop this guest, with wild arguments: any answer will do. */
hypercall_known:
	mv	s11, ra
	call	random
	la	t0, known
	andi	a0, a0, 7
	add	t0, t0, a0
	lbu	s8, (t0)
	call	random_arguments
	mv	a6, s8
	andi	a1, a1, 31		/* the sub-operation */
	li	t0, EVENT_CHANNEL_OP
	bne	a6, t0, 1f
	li	t0, EVTCHNOP_CLOSE	/* these two would silence the console */
	beq	a1, t0, 2f
	li	t0, EVTCHNOP_RESET
	beq	a1, t0, 2f
1:	li	a7, HYPERCALL
	ecall
2:	jr	s11
	/* xen_version, grant_table_op, vm_assist, event_channel_op, physdev_op, hvm_op, sysctl, domctl */
known:	.byte	17, 20, 21, 32, 33, 34, 35, 36

/* An extension that nobody has: a legacy one, or 0x7e followed by anything. */
sbi:
	mv	s11, ra
	call	random_arguments
	andi	t0, a6, 1
	beqz	t0, 1f
	andi	a7, a7, 15
	j	2f
1:	slli	a7, a7, 40
	srli	a7, a7, 40
	li	t0, 0x7e000000
	or	a7, a7, t0
2:	mv	s8, a7
	ecall
	li	t0, -NOT_SUPPORTED
	bne	a0, t0, wrong_answer
	jr	s11

/* An address that is not this guest's: up to 56 bits, outside RAM and the regions below it. */
load:
	mv	s11, ra
	call	nowhere
	la	s3, 1f
	lbu	t0, (a0)
	j	not_trapped
1:	li	t0, 5
	bne	s1, t0, wrong_trap
	jr	s11

store:
	mv	s11, ra
	call	nowhere
	la	s3, 1f
	sb	a0, (a0)
	j	not_trapped
1:	li	t0, 7
	bne	s1, t0, wrong_trap
	jr	s11

fetch:
	mv	s11, ra
	call	nowhere
	andi	a0, a0, -4
	la	s3, 1f
	jr	a0
1:	li	t0, 1
	bne	s1, t0, wrong_trap
	jr	s11

/* csrr t0, <any>: its value or an illegal instruction. */
csr:
	mv	s11, ra
	call	random
	slli	a0, a0, 52
	srli	a0, a0, 32		/* the number's place in the instruction */
	li	t0, 0x000022f3		/* csrrs t0, 0, x0 */
	or	a0, a0, t0
	la	t0, patch
	sw	a0, (t0)
	fence.i
	la	s3, 1f
	li	s1, 2
patch:	.word	0
1:	li	t0, 2
	bne	s1, t0, wrong_trap
	jr	s11

not_trapped:
	li	s1, 32
wrong_trap:
	mv	s8, a0
wrong_answer:
	mv	s9, a0
	la	a0, bad
	call	print
	mv	a0, s8
	call	print_number
	mv	a0, s9
	call	print_number
	mv	a0, s1
	call	print_number
	li	a1, REASON_FAILURE
	call	end_guest

/* a0: an address with nothing at it */
nowhere:
	mv	s10, ra
1:	call	random
	srli	t0, a0, 58		/* all sizes of numbers */
	andi	t0, t0, 31
	addi	t0, t0, 8
	slli	a0, a0, 8
	srli	a0, a0, 8
	srl	a0, a0, t0
	li	t0, 0x38000000
	bltu	a0, t0, 2f
	li	t0, 0x100000000		/* RAM and its neighbours */
	bltu	a0, t0, 1b
2:	jr	s10

/* a1-a7: random, of all sizes; a0 too */
random_arguments:
	mv	s10, ra
	.macro	argument reg
	call	random
	andi	t0, a0, 63
	mv	\reg, a0
	srl	\reg, \reg, t0
	.endm
	argument a1
	argument a2
	argument a3
	argument a4
	argument a5
	argument a6
	argument a7
	call	random
	jr	s10

/* a0: the next number (xorshift64); only s0 and t2 change beside it */
random:
	slli	t2, s0, 13
	xor	s0, s0, t2
	srli	t2, s0, 7
	xor	s0, s0, t2
	slli	t2, s0, 17
	xor	s0, s0, t2
	mv	a0, s0
	ret

/* s0: the number behind "seed=" in the FDT (s5), 1 if there is none */
find_seed:
	la	t0, word
	ld	t0, (t0)
	slli	t0, t0, 24
	srli	t0, t0, 24		/* five letters */
	lwu	t1, 4(s5)		/* totalsize, big-endian; at most 64 KiB here */
	srli	t2, t1, 24
	srli	t1, t1, 8
	andi	t3, t1, 255
	srli	t1, t1, 8
	andi	t1, t1, 255
	slli	t1, t1, 8
	add	t1, t1, t2
	add	t1, t1, s5
	mv	t2, s5
1:	bgeu	t2, t1, 4f
	li	t3, 5			/* the letters at t2, put together */
	li	t4, 0
	add	t5, t2, 4
2:	slli	t4, t4, 8
	lbu	t6, (t5)
	or	t4, t4, t6
	addi	t5, t5, -1
	addi	t3, t3, -1
	bnez	t3, 2b
	addi	t2, t2, 1
	bne	t4, t0, 1b
	addi	t2, t2, 4
	li	s0, 0
3:	lbu	t3, (t2)
	addi	t3, t3, -'0'
	li	t4, 9
	bgtu	t3, t4, 5f
	li	t4, 10
	mul	s0, s0, t4
	add	s0, s0, t3
	addi	t2, t2, 1
	j	3b
4:	li	s0, 0
5:	bnez	s0, 6f
	li	s0, 1
6:	ret

/* Where the console's events go */
find_console:
	li	a7, HYPERCALL
	li	a6, HVM_OP
	li	a1, HVMOP_GET_PARAM
	la	a2, param
	ecall
	ret

/* Tells xenconsoled that there is something to read. */
notify:
	li	a7, HYPERCALL
	li	a6, EVENT_CHANNEL_OP
	li	a1, EVTCHNOP_SEND
	la	a2, param + 8
	ecall
	ret

/* a0 as a hexadecimal number and the end of the line */
print_number:
	la	t0, digits
	addi	t1, t0, 16
	li	t2, 10
1:	andi	t3, a0, 15
	addi	t4, t3, '0'
	bltu	t3, t2, 2f
	addi	t4, t3, 'a' - 10
2:	addi	t1, t1, -1
	sb	t4, (t1)
	srli	a0, a0, 4
	bgtu	t1, t0, 1b
	la	a0, digits
	j	print

	.balign	4
vector:
	csrr	s1, scause
	jr	s3			/* still in the handler's state: there is no other */

	.balign	8
word:	.ascii	"seed=\0\0\0"
hello:	.asciz	"hammer: seed "
line:	.asciz	"hammer: 4096 times "
bad:	.asciz	"hammer: wrong: "
	.data
	.balign	8
param:	.half	DOMID_SELF, 0		/* struct xen_hvm_param: domid, index, value */
	.word	CONSOLE_EVTCHN
	.dword	0
digits:	.ascii	"0123456789abcdef"
	.asciz	"\r\n"
