/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes asm-offsets.h: structure offsets and other constants for assembly. Compiled to assembly and read by the Makefile.
 */
#include <arch.h>
#include <hypercall.h>

#define DEFINE(sym, val) __asm__ volatile("\n->" sym " %0\n" : : "i"(val))
#define REG(r) DEFINE("REGS_" #r, offsetof(struct cpu_regs, r))

void asm_offsets(void);
void asm_offsets(void)
{
	REG(pc);
	REG(ra);
	REG(sp);
	REG(gp);
	REG(tp);
	REG(t0);
	REG(t1);
	REG(t2);
	REG(s0);
	REG(s1);
	REG(a0);
	REG(a1);
	REG(a2);
	REG(a3);
	REG(a4);
	REG(a5);
	REG(a6);
	REG(a7);
	REG(s2);
	REG(s3);
	REG(s4);
	REG(s5);
	REG(s6);
	REG(s7);
	REG(s8);
	REG(s9);
	REG(s10);
	REG(s11);
	REG(t3);
	REG(t4);
	REG(t5);
	REG(t6);
	DEFINE("HYPERCALL_EID", PAVISE_HYPERCALL_EID);
	DEFINE("NR_HYPERCALLS", NR_HYPERCALLS);
	DEFINE("ENOSYS", ENOSYS);
	DEFINE("EFAULT", EFAULT);
	DEFINE("WORK_RESTART", WORK_RESTART);
	DEFINE("IMAGE_VA", IMAGE_VA);
	DEFINE("STACK_GUARD", STACK_GUARD);
	DEFINE("STACK_SIZE", STACK_SIZE);
	DEFINE("STACK_SHIFT", __builtin_ctz(STACK_SIZE));
	DEFINE("REGS_SIZE", sizeof(struct cpu_regs));
	DEFINE("VCPU_FP", offsetof(struct arch_vcpu, fp));
	DEFINE("VCPU_FCSR", offsetof(struct arch_vcpu, fcsr));
	DEFINE("VCPU_VSTART", offsetof(struct arch_vcpu, vector.vstart));
	DEFINE("VCPU_VCSR", offsetof(struct arch_vcpu, vector.vcsr));
	DEFINE("VCPU_VL", offsetof(struct arch_vcpu, vector.vl));
	DEFINE("VCPU_VTYPE", offsetof(struct arch_vcpu, vector.vtype));
	DEFINE("VCPU_VREGS", offsetof(struct arch_vcpu, vector.regs));
	DEFINE("VCPU_SSTATUS", offsetof(struct arch_vcpu, sstatus));
	DEFINE("HART_CURRENT_ARCH", offsetof(struct hart, current_arch));
	DEFINE("HART_STACK_TOP", offsetof(struct hart, stack_top));
	DEFINE("HART_SCRATCH", offsetof(struct hart, scratch));
	DEFINE("HART_WORK", offsetof(struct hart, work));
	DEFINE("HART_SIZE", sizeof(struct hart));
	DEFINE("HART_HARTID", offsetof(struct hart, hartid));
	DEFINE("HARTS_CALLED_ALL", HARTS_CALLED_ALL);
#ifdef CONFIG_LATENCY
	DEFINE("HART_LATENCY", offsetof(struct hart, latency));
#endif
}
