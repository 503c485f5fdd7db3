/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runstates: the time that each vCPU ran, waited, slept and was kept from running, and the guest's memory that shows it.
 */
#include <arch-api.h>
#include <lib.h>
#include <page.h>
#include <sched.h>
#include <sched_internal.h>

/* ---- the lock of the vCPU's hart held ---- */

/* A field of the area. All are aligned as the area is, so that none crosses a page itself. */
static void *runstate_field(struct vcpu *v, size_t field)
{
	size_t at = v->runstate_offset + field;

	if (at < PAGE_SIZE)
		return (char *)page_to_virt(v->runstate_page) + at;
	return (char *)page_to_virt(v->runstate_page2) + (at - PAGE_SIZE);
}

#define RUNSTATE_FIELD(v, name) runstate_field(v, offsetof(struct vcpu_runstate_info, name))

void runstate_write(struct vcpu *v)
{
	u64 *entry, since = domain_ns(v->domain, v->runstate_entry);

	entry = RUNSTATE_FIELD(v, state_entry_time);
	/* Readers retry while the flag is set (xen/vcpu.h, XEN_RUNSTATE_UPDATE). */
	WRITE_ONCE(*entry, since | XEN_RUNSTATE_UPDATE);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*(int *)RUNSTATE_FIELD(v, state) = v->runstate;
	for (unsigned int i = 0; i < 4; i++)
		*(u64 *)RUNSTATE_FIELD(v, time[i]) = v->runstate_time[i];
	__atomic_thread_fence(__ATOMIC_RELEASE);
	WRITE_ONCE(*entry, since);
}

void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *info)
{
	struct sched_hart *s = sched_lock_vcpu(v);
	u64 now = arch_time_ns();

	info->state = v->runstate;
	info->state_entry_time = domain_ns(v->domain, v->runstate_entry);
	for (unsigned int i = 0; i < 4; i++)
		info->time[i] = v->runstate_time[i];
	if (now > v->runstate_entry)
		info->time[v->runstate] += now - v->runstate_entry;
	spin_unlock(&s->lock);
}

/* The page references are taken over. pg NULL: there is no area any more. */
static void set_area(struct vcpu *v, struct page *pg, struct page *pg2, unsigned int offset,
		     gfn_t gfn, gfn_t gfn2)
{
	struct sched_hart *s = sched_lock_vcpu(v);
	struct page *old, *old2;

	old = v->runstate_page;
	old2 = v->runstate_page2;
	v->runstate_page = pg;
	v->runstate_page2 = pg2;
	v->runstate_offset = offset;
	v->runstate_gfn = gfn;
	v->runstate_gfn2 = gfn2;
	if (v->runstate_page)
		runstate_write(v);
	spin_unlock(&s->lock);
	if (old)
		page_put_written(old);
	if (old2)
		page_put_written(old2);
}

long vcpu_runstate_register(struct vcpu *v, gfn_t gfn, gfn_t gfn2, unsigned int offset)
{
	u64 size = sizeof(struct vcpu_runstate_info), first = min(size, PAGE_SIZE - offset);
	struct page *pg = page_get_area(v->domain, gfn, offset, first), *pg2 = NULL;

	if (!pg)
		return -EINVAL;
	if (first < size) {
		pg2 = page_get_area(v->domain, gfn2, 0, size - first);
		if (!pg2) {
			page_put(pg);
			return -EINVAL;
		}
	}
	set_area(v, pg, pg2, offset, gfn, gfn2);
	return 0;
}

void vcpu_runstate_unregister(struct vcpu *v)
{
	set_area(v, NULL, NULL, 0, 0, 0);
}

void vcpu_runstate_restart(struct vcpu *v, const u64 time[4])
{
	struct sched_hart *s = sched_lock_vcpu(v);

	for (unsigned int i = 0; time && i < 4; i++)
		v->runstate_time[i] = time[i];
	v->runstate_entry = arch_time_ns();
	if (v->runstate_page)
		runstate_write(v);
	spin_unlock(&s->lock);
}

u64 vcpu_cpu_time(struct vcpu *v)
{
	struct vcpu_runstate_info info;

	vcpu_runstate_get(v, &info);
	return info.time[RUNSTATE_running];
}
