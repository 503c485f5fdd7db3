/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch: the table that the build makes from core/hypercalls.tbl, and continuations.
 */
#ifndef PAVISE_HYPERCALL_H
#define PAVISE_HYPERCALL_H

#include <types.h>

#define NR_HYPERCALLS 64

/*
 * Arguments stand where the guest put them, in a1-a5; a0 is the result's and holds nothing on the way
 * in, so that arch's trap entry has nothing to move.
 */
typedef long (*hypercall_fn)(u64 unused, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);

/*
 * Indexed by Xen's number; never NULL (holes return -ENOSYS). arch's trap entry calls through it.
 */
extern const hypercall_fn hypercall_table[NR_HYPERCALLS];

/* One hypercall on behalf of the current vCPU; nr out of range is -ENOSYS. */
long hypercall_dispatch(u64 nr, const u64 args[5]);

/*
 * Stops the current hypercall so that it goes on, with these arguments, after interrupts and scheduling:
 * `return hypercall_continue(__HYPERVISOR_memory_op, cmd, arg, 0, 0, 0);`. Works inside multicall too.
 */
long hypercall_continue(unsigned int nr, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5);

/*
 * For the handlers of domctl and its like, by hart: what a handler leaves here when it returns -ERESTART it finds when it is
 * called again. At first a2, where a guest may have left anything: the handler must know its own.
 */
extern u64 ctl_progress[CONFIG_NR_CPUS];

/* A long operation should stop at its next safe point. */
bool hypercall_preempt_check(void);

#endif
