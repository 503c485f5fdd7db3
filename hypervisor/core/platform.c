/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform_op: the wall clock, which dom0 reads from the machine's RTC and gives to all.
 */
#include <domain.h>
#include <handlers.h>
#include <lib.h>
#include <wallclock.h>

static struct spinlock clock_lock = SPINLOCK_INIT;
static u64 boot_seconds; /* wall clock when arch_time_ns() was 0 */
static u32 boot_nanoseconds;

/* xen.h, "wallclock time": odd while it changes. */
void wallclock_publish(struct domain *d)
{
	struct shared_info *s = d->shared_info;
	u64 seconds;

	spin_lock(&clock_lock);
	seconds = boot_seconds + d->time_offset_seconds;
	__atomic_store_n(&s->wc_version, (s->wc_version + 1) | 1, __ATOMIC_SEQ_CST);
	s->wc_sec = seconds;
	s->wc_sec_hi = seconds >> 32;
	s->wc_nsec = boot_nanoseconds;
	__atomic_store_n(&s->wc_version, s->wc_version + 1, __ATOMIC_SEQ_CST);
	spin_unlock(&clock_lock);
}

long do_platform_op(u64 arg, u64 a2, u64 a3, u64 a4, u64 a5)
{
	struct xen_platform_op op;
	struct domain *d;
	u64 total;

	(void)a2;
	(void)a3;
	(void)a4;
	(void)a5;
	if (copy_from_guest(&op, arg, offsetof(struct xen_platform_op, u) + sizeof(op.u.settime64)))
		return -EFAULT;
	if (op.interface_version != XENPF_INTERFACE_VERSION)
		return -EACCES;
	if (op.cmd != XENPF_settime64)
		return -ENOSYS;
	if (op.u.settime64.mbz || op.u.settime64.nsecs >= 1000000000)
		return -EINVAL;
	total = op.u.settime64.secs * 1000000000ULL + op.u.settime64.nsecs -
		op.u.settime64.system_time;
	spin_lock(&clock_lock);
	boot_seconds = total / 1000000000ULL;
	boot_nanoseconds = total % 1000000000ULL;
	spin_unlock(&clock_lock);
	spin_lock(&domain_list_lock);
	list_for_each(d, &domain_list, list)
		wallclock_publish(d);
	spin_unlock(&domain_list_lock);
	return 0;
}
