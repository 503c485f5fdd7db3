/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform_op: the wall clock, which dom0 reads from the machine's RTC and gives to all.
 */
#include <domain.h>
#include <handlers.h>
#include <lib.h>
#include <wallclock.h>

static struct spinlock clock_lock = SPINLOCK_INIT(LOCK_CLOCK);
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

long platform_settime64(struct xenpf_settime64 *arg)
{
	struct domain *d;
	u64 total;

	if (arg->mbz || arg->nsecs >= 1000000000)
		return -EINVAL;
	total = arg->secs * 1000000000ULL + arg->nsecs - arg->system_time;
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
