/* SPDX-License-Identifier: MIT */
/* Offsets that start.S uses: compiled to assembly, from which the Makefile makes offsets.h. */
#include <pv/runtime.h>

#define DEFINE(name, value) __asm__ volatile("\n#define " name " %0" : : "i"(value))
#define FRAME(field) DEFINE("FRAME_" #field, offsetof(struct pv_frame, field))

void offsets(void);

void offsets(void)
{
	DEFINE("CPU_STACK_LOW", offsetof(struct pv_cpu, stack_low));
	DEFINE("CPU_STACK_TOP", offsetof(struct pv_cpu, stack_top));
	DEFINE("CPU_EMERGENCY_TOP", offsetof(struct pv_cpu, emergency_top));
	DEFINE("BOOT_STACK_SIZE", PV_STACK_SIZE);
	DEFINE("FRAME_SIZE", (sizeof(struct pv_frame) + 15) & ~15UL);
	FRAME(ra);
	FRAME(sp);
	FRAME(gp);
	FRAME(tp);
	FRAME(t0);
	FRAME(t1);
	FRAME(t2);
	FRAME(s0);
	FRAME(s1);
	FRAME(a0);
	FRAME(s2);
	FRAME(t3);
	FRAME(pc);
	FRAME(status);
	FRAME(cause);
	FRAME(tval);
	FRAME(fcsr);
	DEFINE("FRAME_FP", offsetof(struct pv_frame, fp));
}
