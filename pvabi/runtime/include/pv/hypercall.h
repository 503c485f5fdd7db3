/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls and SBI calls of a guest, under Xen's names.
 * It owns the calling convention (docs/abi.md, "Hypercall"); the structures are Xen's own headers'.
 */
#ifndef PV_HYPERCALL_H
#define PV_HYPERCALL_H

#include <stdint.h>

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/*
 * Any hypercall: number and five arguments as they are, result as it comes (negative: -errno of
 * Xen's numbers, xen/errno.h). Memory that the arguments point to may change.
 */
static inline long hypercall(unsigned long nr, unsigned long x1, unsigned long x2, unsigned long x3,
			     unsigned long x4, unsigned long x5)
{
	register unsigned long a0 __asm__("a0");
	register unsigned long a1 __asm__("a1") = x1;
	register unsigned long a2 __asm__("a2") = x2;
	register unsigned long a3 __asm__("a3") = x3;
	register unsigned long a4 __asm__("a4") = x4;
	register unsigned long a5 __asm__("a5") = x5;
	register unsigned long a6 __asm__("a6") = nr;
	register unsigned long a7 __asm__("a7") = PAVISE_HYPERCALL_EID;

	/* a1-a7 and t0-t6 come back as zero: they are gone. */
	__asm__ volatile("ecall"
			 : "=r"(a0), "+r"(a1), "+r"(a2), "+r"(a3), "+r"(a4), "+r"(a5), "+r"(a6),
			   "+r"(a7)
			 :
			 : "t0", "t1", "t2", "t3", "t4", "t5", "t6", "memory");
#ifdef PV_HYPERCALL_HOOK
	/* A test's: sees each hypercall and its result. */
	long rc = a0;

	PV_HYPERCALL_HOOK(nr, x1, rc);
	return rc;
#else
	return a0;
#endif
}

static inline long HYPERVISOR_memory_op(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_memory_op, cmd, (unsigned long)arg, 0, 0, 0);
}

static inline long HYPERVISOR_event_channel_op(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_event_channel_op, cmd, (unsigned long)arg, 0, 0, 0);
}

static inline long HYPERVISOR_grant_table_op(unsigned int cmd, void *arg, unsigned int count)
{
	return hypercall(__HYPERVISOR_grant_table_op, cmd, (unsigned long)arg, count, 0, 0);
}

static inline long HYPERVISOR_sched_op(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_sched_op, cmd, (unsigned long)arg, 0, 0, 0);
}

static inline long HYPERVISOR_vcpu_op(unsigned int cmd, unsigned int vcpu, void *arg)
{
	return hypercall(__HYPERVISOR_vcpu_op, cmd, vcpu, (unsigned long)arg, 0, 0);
}

static inline long HYPERVISOR_hvm_op(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_hvm_op, cmd, (unsigned long)arg, 0, 0, 0);
}

static inline long HYPERVISOR_xen_version(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_xen_version, cmd, (unsigned long)arg, 0, 0, 0);
}

static inline long HYPERVISOR_console_io(unsigned int cmd, unsigned int count, void *buffer)
{
	return hypercall(__HYPERVISOR_console_io, cmd, count, (unsigned long)buffer, 0, 0);
}

static inline long HYPERVISOR_vm_assist(unsigned int cmd, unsigned int type)
{
	return hypercall(__HYPERVISOR_vm_assist, cmd, type, 0, 0, 0);
}

static inline long HYPERVISOR_physdev_op(unsigned int cmd, void *arg)
{
	return hypercall(__HYPERVISOR_physdev_op, cmd, (unsigned long)arg, 0, 0, 0);
}

static inline long HYPERVISOR_multicall(struct multicall_entry *calls, unsigned int nr)
{
	return hypercall(__HYPERVISOR_multicall, (unsigned long)calls, nr, 0, 0, 0);
}

static inline long HYPERVISOR_domctl(void *op)
{
	return hypercall(__HYPERVISOR_domctl, (unsigned long)op, 0, 0, 0, 0);
}

static inline long HYPERVISOR_sysctl(void *op)
{
	return hypercall(__HYPERVISOR_sysctl, (unsigned long)op, 0, 0, 0, 0);
}

static inline long HYPERVISOR_platform_op(void *op)
{
	return hypercall(__HYPERVISOR_platform_op, (unsigned long)op, 0, 0, 0, 0);
}

/* SBI, RISC-V Supervisor Binary Interface Specification 2.0, chapter 3 (binary encoding). */
struct sbiret {
	long error, value;
};

#define SBI_EXT_BASE 0x10
#define SBI_EXT_TIME 0x54494d45
#define SBI_EXT_IPI 0x735049
#define SBI_EXT_RFENCE 0x52464e43
#define SBI_EXT_HSM 0x48534d
#define SBI_EXT_SRST 0x53525354
#define SBI_EXT_DBCN 0x4442434e

#define SBI_SUCCESS 0
#define SBI_ERR_FAILED -1
#define SBI_ERR_NOT_SUPPORTED -2
#define SBI_ERR_INVALID_PARAM -3
#define SBI_ERR_DENIED -4
#define SBI_ERR_INVALID_ADDRESS -5
#define SBI_ERR_ALREADY_AVAILABLE -6
#define SBI_ERR_ALREADY_STARTED -7
#define SBI_ERR_ALREADY_STOPPED -8

static inline struct sbiret sbi_call(unsigned long ext, unsigned long fn, unsigned long x0,
				     unsigned long x1, unsigned long x2, unsigned long x3)
{
	register unsigned long a0 __asm__("a0") = x0;
	register unsigned long a1 __asm__("a1") = x1;
	register unsigned long a2 __asm__("a2") = x2;
	register unsigned long a3 __asm__("a3") = x3;
	register unsigned long a6 __asm__("a6") = fn;
	register unsigned long a7 __asm__("a7") = ext;

	__asm__ volatile("ecall"
			 : "+r"(a0), "+r"(a1)
			 : "r"(a2), "r"(a3), "r"(a6), "r"(a7)
			 : "memory");
	return (struct sbiret){ a0, a1 };
}

#endif
