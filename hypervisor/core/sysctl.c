/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysctl: the control domain's questions about the machine.
 */
#include <console.h>
#include <control.h>
#include <debug.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <sched.h>

long sysctl_readconsole(struct xen_sysctl_readconsole *a)
{
	char buf[256];
	u32 done = 0, index = a->index;
	bool incremental = a->incremental;

	while (done < a->count) {
		size_t n = console_ring_read(buf, min((size_t)(a->count - done), sizeof(buf)),
					     &index, incremental, false);

		if (!n)
			break;
		if (copy_to_guest(a->buffer.q + done, buf, n))
			return -EFAULT;
		done += n;
		incremental = true;
	}
	if (a->clear)
		console_ring_read(buf, 0, &index, true, true);
	a->count = done;
	a->index = index;
	return 0;
}

long sysctl_physinfo(struct xen_sysctl_physinfo *a)
{
	memset(a, 0, sizeof(*a));
	a->threads_per_core = 1;
	a->cores_per_socket = machine.nr_harts;
	a->nr_cpus = machine.nr_harts;
	a->max_cpu_id = machine.nr_harts - 1;
	a->nr_nodes = 1;
	a->cpu_khz = machine.timebase_hz / 1000;
	a->capabilities = XEN_SYSCTL_PHYSCAP_hvm | XEN_SYSCTL_PHYSCAP_hap;
	a->total_pages = machine.total_pages;
	a->free_pages = heap_free_pages();
	a->outstanding_pages = heap_claimed_pages();
	a->scrub_pages = heap_dirty_pages();
	a->max_mfn = machine.max_mfn;
	return 0;
}

/* The first domain with a number of at least id, held. From prev on, which is held and goes; NULL: from the first on. */
static struct domain *next_domain(struct domain *prev, u32 id)
{
	struct domain *next;
	bool found;

	do {
		struct list_head *pos;

		spin_lock(&domain_list_lock);
		/* One that is held stays in the list. */
		pos = prev ? prev->list.next : domain_list.next;
		while (pos != &domain_list && list_entry(pos, struct domain, list)->id < id)
			pos = pos->next;
		found = pos != &domain_list;
		if (found)
			id = list_entry(pos, struct domain, list)->id;
		spin_unlock(&domain_list_lock);
		/* It may be gone by now: then the one behind it. */
		next = found ? domain_get(id++) : NULL;
	} while (found && !next);
	if (prev)
		domain_put(prev);
	return next;
}

long sysctl_domain_list(struct xen_sysctl_getdomaininfolist *a)
{
	struct xen_domctl_getdomaininfo info;
	struct domain *d = NULL;
	u32 n = 0;

	/* A short answer is not the end of the list: clients ask on until they get none. */
	while (n < a->max_domains && (d = next_domain(d, n ? d->id + 1U : a->first_domain))) {
		domain_info(d, &info);
		if (copy_to_guest(a->buffer.q + n * sizeof(info), &info, sizeof(info))) {
			domain_put(d);
			return -EFAULT;
		}
		n++;
		if (hypercall_preempt_check())
			break;
	}
	if (d)
		domain_put(d);
	a->num_domains = n;
	return 0;
}

long sysctl_debug_keys(struct xen_sysctl_debug_keys *a)
{
	char c;

	if (a->nr_keys > 32)
		return -EINVAL;
	for (u32 i = 0; i < a->nr_keys; i++) {
		if (copy_from_guest(&c, a->keys.q + i, 1))
			return -EFAULT;
		debug_key(c);
	}
	return 0;
}

long sysctl_cpuinfo(struct xen_sysctl_getcpuinfo *a)
{
	u32 n = min(a->max_cpus, machine.nr_harts);

	for (u32 i = 0; i < n; i++) {
		struct xen_sysctl_cpuinfo info = { sched_idle_time(i) };

		if (copy_to_guest(a->info.q + i * sizeof(info), &info, sizeof(info)))
			return -EFAULT;
	}
	a->nr_cpus = n;
	return 0;
}

long sysctl_cputopo(struct xen_sysctl_cputopoinfo *a)
{
	u32 n = a->cputopo.q ? min(a->num_cpus, machine.nr_harts) : 0;

	for (u32 i = 0; i < n; i++) {
		struct xen_sysctl_cputopo topo = { .core = i };

		if (copy_to_guest(a->cputopo.q + i * sizeof(topo), &topo, sizeof(topo)))
			return -EFAULT;
	}
	a->num_cpus = machine.nr_harts;
	return 0;
}

long sysctl_sched_id(struct xen_sysctl_sched_id *a)
{
	a->sched_id = XEN_SCHEDULER_CREDIT2; /* the nearest of Xen's */
	return 0;
}

long sysctl_availheap(struct xen_sysctl_availheap *a)
{
	a->avail_bytes = heap_free_pages() << PAGE_SHIFT;
	return 0;
}
