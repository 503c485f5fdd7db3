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

/* ctl_progress of an interrupted list: this, entries so far, number to go on from. */
#define LIST_MARK 0x706c6973ULL

long sysctl_domain_list(struct xen_sysctl_getdomaininfolist *a)
{
	u64 *progress = &ctl_progress[arch_hart()];
	struct xen_domctl_getdomaininfo info;
	u32 n = 0, next = a->first_domain;
	struct domain *d = NULL;

	if (*progress >> 32 == LIST_MARK) {
		n = *progress >> 16 & 0xffff;
		next = *progress & 0xffff;
	}
	while (n < a->max_domains && (d = domain_next(d, next))) {
		domain_info(d, &info);
		if (copy_to_guest(a->buffer.q + n * sizeof(info), &info, sizeof(info))) {
			domain_put(d);
			return -EFAULT;
		}
		n++;
		next = d->id + 1U;
		if (hypercall_preempt_check()) {
			domain_put(d);
			*progress = LIST_MARK << 32 | n << 16 | next;
			return -ERESTART;
		}
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
