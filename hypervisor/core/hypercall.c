/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dispatch from C, continuations, multicall. The short way goes from arch's trap entry straight
 * through hypercall_table.
 */
#include <arch-api.h>
#include <domain.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <xsm.h>

/*
 * Which multicall entry runs on each hart, so that a continuation changes the entry and not the
 * registers.
 */
static struct multicall_entry *running_entry[CONFIG_NR_CPUS];

u64 ctl_progress[CONFIG_NR_CPUS];

bool hypercall_preempt_check(void)
{
	return arch_preempt_pending();
}

long hypercall_dispatch(u64 nr, const u64 args[5])
{
	if (nr >= NR_HYPERCALLS)
		return -ENOSYS;
	return hypercall_table[nr](0, args[0], args[1], args[2], args[3], args[4]);
}

long hypercall_continue(unsigned int nr, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct multicall_entry *e = running_entry[arch_hart()];
	u64 args[5] = { a1, a2, a3, a4, a5 };

	if (!e)
		return arch_hypercall_restart(nr, args);
	for (unsigned int i = 0; i < 5; i++)
		e->args[i] = args[i];
	return -ERESTART;
}

long do_multicall(u64 list, u64 count, u64 a3, u64 a4, u64 a5)
{
	unsigned int hart = arch_hart();
	struct multicall_entry e;
	u64 i;

	(void)a3;
	(void)a4;
	(void)a5;
	if (running_entry[hart]) /* no multicall within a multicall */
		return -EINVAL;
	count = (u32)count;
	for (i = 0; i < count; i++, list += sizeof(e)) {
		long rc;

		/* Never before the first: whoever is interrupted all the time still gets on. */
		if (i && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_multicall, list, count - i, 0, 0, 0);
		if (copy_from_guest(&e, list, sizeof(e)))
			return -EFAULT;
		running_entry[hart] = &e;
		rc = hypercall_dispatch(e.op, e.args);
		running_entry[hart] = NULL;
		if (rc == -ERESTART) {
			/* The entry keeps its progress in the guest's list. */
			if (copy_to_guest(list, &e, sizeof(e)))
				return -EFAULT;
			return hypercall_continue(__HYPERVISOR_multicall, list, count - i, 0, 0, 0);
		}
		e.result = rc;
		if (copy_to_guest(list + offsetof(struct multicall_entry, result), &e.result,
				  sizeof(e.result)))
			return -EFAULT;
	}
	return 0;
}
