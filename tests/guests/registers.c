/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSA-122, XSA-132 on this architecture: no value of the hypervisor's is left in a register when a hypercall returns, be it
 * the short way or the one with the scheduler in it; and what must be kept is kept.
 */
#include <pv/runtime.h>

#include "tap.h"

#define KEPT 0x5ca1ab1e0ddba11UL

/* Returns what is left in a1-a7 and t0-t6, or'ed together; *kept: s2-s11 are as they were. */
static unsigned long left_behind(unsigned long nr, unsigned long x1, bool *kept)
{
	struct {
		unsigned long nr, x1, left, wrong;
	} call = { nr, x1, 0, 0 };
	register void *p __asm__("s1") = &call; /* the one register that takes no part */

	__asm__ volatile("ld a6, 0(s1)\n"
			 "ld a1, 8(s1)\n"
			 "li t0, %[value]\n"
			 "li a7, 0x0A000007\n"
			 ".irp r, s2,s3,s4,s5,s6,s7,s8,s9,s10,s11,t1,t2,t3,t4,t5,t6,a2,a3,a4,a5\n"
			 "mv \\r, t0\n"
			 ".endr\n"
			 "ecall\n"
			 "or a1, a1, a2\n"
			 ".irp r, a3,a4,a5,a6,a7,t0,t1,t2,t3,t4,t5,t6\n"
			 "or a1, a1, \\r\n"
			 ".endr\n"
			 "sd a1, 16(s1)\n"
			 "li t0, %[value]\n"
			 "li a1, 0\n"
			 ".irp r, s2,s3,s4,s5,s6,s7,s8,s9,s10,s11\n"
			 "xor t1, \\r, t0\n"
			 "or a1, a1, t1\n"
			 ".endr\n"
			 "sd a1, 24(s1)\n"
			 :
			 : "r"(p), [value] "i"(KEPT)
			 : "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3",
			   "t4", "t5", "t6", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
			   "s11", "memory");
	*kept = !call.wrong;
	return call.left;
}

static void check(const char *what, unsigned long nr, unsigned long x1)
{
	bool all_kept = true, kept;
	unsigned long left = 0;

	for (int i = 0; i < 100; i++) {
		left |= left_behind(nr, x1, &kept);
		all_kept &= kept;
	}
	tap_ok(!left, "%s: bits %lx are left in registers", what, left);
	tap_ok(all_kept, "%s: s2 to s11 are kept", what);
}

int main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	check("xen_version", __HYPERVISOR_xen_version, XENVER_version);
	check("no such number", 63, 0);
	check("a number beyond the table", 1UL << 40, 0);
	check("yield", __HYPERVISOR_sched_op, SCHEDOP_yield);
	check("a copy that faults", __HYPERVISOR_memory_op, XENMEM_populate_physmap);
	return tap_done();
}
