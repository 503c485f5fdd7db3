/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform_op: the wall clock, which dom0 reads from the machine's RTC and gives to all.
 */
#include <domain.h>
#include <handlers.h>
#include <lib.h>
#include <wallclock.h>

#define NS_PER_SECOND 1000000000LL

static struct spinlock clock_lock = SPINLOCK_INIT(LOCK_CLOCK);
static u64 boot_seconds; /* wall clock when arch_time_ns() was 0 */
static u32 boot_nanoseconds;

/* clock_lock held. The domain's wall clock when arch_time_ns() was ns, which may be before the clock was 0. */
static void wall_at(const struct domain *d, s64 ns, u64 *seconds, u64 *nanoseconds)
{
	s64 s = ns / NS_PER_SECOND;

	ns = ns % NS_PER_SECOND + boot_nanoseconds;
	if (ns < 0) {
		ns += NS_PER_SECOND;
		s--;
	}
	*seconds = boot_seconds + d->time_offset_seconds + s + ns / NS_PER_SECOND;
	*nanoseconds = ns % NS_PER_SECOND;
}

void wallclock_now(const struct domain *d, u64 *seconds, u64 *nanoseconds)
{
	spin_lock(&clock_lock);
	wall_at(d, arch_time_ns(), seconds, nanoseconds);
	spin_unlock(&clock_lock);
}

/* xen.h, "wallclock time": odd while it changes. What is told is the time when the domain's own was 0. */
void wallclock_publish(struct domain *d)
{
	struct shared_info *s = d->shared_info;
	u64 seconds, nanoseconds;

	spin_lock(&clock_lock);
	wall_at(d, -d->time_delta_ns, &seconds, &nanoseconds);
	__atomic_store_n(&s->wc_version, (s->wc_version + 1) | 1, __ATOMIC_SEQ_CST);
	s->wc_sec = seconds;
	s->wc_sec_hi = seconds >> 32;
	s->wc_nsec = nanoseconds;
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
