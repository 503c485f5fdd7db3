/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_state.py stops, copies and lets go on: a loop in user mode that fills all floating point registers, computes a
 * while and looks at them again, with a timer of its own. It says nothing: dom0/state.c finds the page with its figures.
 */
#include <pv/runtime.h>

#include "pattern.h"

#define TICK 10000 /* of the time CSR: 1 ms on QEMU's virt machine */

static struct pattern pattern __attribute__((aligned(4096)));
static char user_stack[8192] __attribute__((aligned(16)));

/* sscratch is the pattern. An ecall of user mode is counted; the timer as well, and set again. All else is wrong. */
void pattern_trap(void);
__asm__(".balign 4\n"
	".globl pattern_trap\n"
	"pattern_trap:\n"
	"	csrrw t6, sscratch, t6\n"
	"	sd t0, 0(t6)\n"
	"	sd a0, 8(t6)\n"
	"	sd a1, 16(t6)\n"
	"	sd a6, 24(t6)\n"
	"	sd a7, 32(t6)\n"
	"	csrr t0, scause\n"
	"	bltz t0, 1f\n"
	"	addi t0, t0, -8\n"
	"	snez t0, t0\n"
	"	ld a0, 56(t6)\n"
	"	add a0, a0, t0\n"
	"	sd a0, 56(t6)\n"
	"	ld t0, 40(t6)\n"
	"	addi t0, t0, 1\n"
	"	sd t0, 40(t6)\n"
	"	csrr t0, sepc\n"
	"	addi t0, t0, 4\n"
	"	csrw sepc, t0\n"
	"	j 2f\n"
	"1:	ld t0, 48(t6)\n"
	"	addi t0, t0, 1\n"
	"	sd t0, 48(t6)\n"
	"	rdtime a0\n"
	"	li t0, 10000\n"
	"	add a0, a0, t0\n"
	"	li a7, 0x54494D45\n"
	"	li a6, 0\n"
	"	ecall\n"
	"2:	ld t0, 0(t6)\n"
	"	ld a0, 8(t6)\n"
	"	ld a1, 16(t6)\n"
	"	ld a6, 24(t6)\n"
	"	ld a7, 32(t6)\n"
	"	csrrw t6, sscratch, t6\n"
	"	sret\n");

#define ALL_F(op) \
	op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) \
		op(14) op(15) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) \
			op(25) op(26) op(27) op(28) op(29) op(30) op(31)
#define FILL(i) "fmv.d.x f" #i ", %0\n addi %0, %0, 1\n"
#define CHECK(i) "fmv.x.d t0, f" #i "\n xor t0, t0, %1\n or %0, %0, t0\n addi %1, %1, 1\n"
#define FS \
	"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9", "f10", "f11", "f12", "f13", \
		"f14", "f15", "f16", "f17", "f18", "f19", "f20", "f21", "f22", "f23", "f24", \
		"f25", "f26", "f27", "f28", "f29", "f30", "f31"

static unsigned long time_now(void)
{
	unsigned long t;

	__asm__ volatile("rdtime %0" : "=r"(t));
	return t;
}

/* In one piece: no compiler's own use of floating point comes between. */
static unsigned long round_of(unsigned long n)
{
	unsigned long left = n, right = n, wrong = 0, rm = n % 5, got, spin = 3000;

	__asm__ volatile(
		"fsrm %[rm]\n" ALL_F(FILL) "1: addi %[spin], %[spin], -1\n bnez %[spin], 1b\n"
					   "frrm %[got]\n"
		: "+r"(left), [spin] "+r"(spin), [got] "=&r"(got)
		: [rm] "r"(rm)
		: FS);
	__asm__ volatile(ALL_F(CHECK) : "+r"(wrong), "+r"(right) : : "t0");
	return wrong | (got ^ rm);
}

static void user(void)
{
	volatile struct pattern *p = &pattern;
	unsigned long n = 0;

	for (;;) {
		unsigned long calls = p->calls, now;

		p->fp_wrong += round_of(++n * 0x9e3779b97f4a7c15UL) != 0;
		/* In user mode this is the guest's own trap, else it is the hypervisor's. */
		__asm__ volatile("li a7, -1\n li a6, -1\n ecall"
				 :
				 :
				 : "a0", "a1", "a6", "a7", "memory");
		p->mode_wrong += p->calls != calls + 1;
		now = time_now();
		p->back += now < p->last;
		p->last = now;
		p->counter = n;
	}
}

int main(void)
{
	unsigned long sp = (unsigned long)user_stack + sizeof(user_stack);

	pattern.magic[0] = PATTERN_MAGIC0;
	pattern.magic[1] = PATTERN_MAGIC1;
	/* A trap on the way there would take sepc's place. */
	csr_clear(sstatus, SSTATUS_SIE);
	csr_write(sie, 0);
	/* The runtime's pages, which are where they are in physical memory, are not user mode's. */
	csr_write(satp, 0);
	__asm__ volatile("sfence.vma" : : : "memory");
	csr_write(sscratch, (unsigned long)&pattern);
	csr_write(stvec, (unsigned long)pattern_trap);
	csr_write(sie, 0x20); /* STIE: enabled in user mode, whatever sstatus.SIE */
	csr_write(sepc, (unsigned long)user);
	csr_clear(sstatus, SSTATUS_SPP);
	__asm__ volatile("rdtime a0\n li a7, 0x54494D45\n li a6, 0\n ecall\n mv sp, %0\n sret"
			 :
			 : "r"(sp)
			 : "a0", "a1", "a6", "a7", "memory");
	return 1;
}
