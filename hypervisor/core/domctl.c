/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * domctl: the control domain's operations on one domain.
 */
#include <console.h>
#include <control.h>
#include <cpupool.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <sched.h>
#include <wallclock.h>

void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info)
{
	bool running = false, blocked = true;
	u32 shutdown = READ_ONCE(d->shutdown);
	struct vcpu *v;
	unsigned int i;

	memset(info, 0, sizeof(*info));
	info->domain = d->id;
	info->max_vcpu_id = XEN_INVALID_MAX_VCPU_ID;
	domain_for_each_vcpu(d, v, i) {
		info->cpu_time += vcpu_cpu_time(v);
		info->max_vcpu_id = v->id;
		if (READ_ONCE(v->pause_flags) & BIT(VPF_DOWN))
			continue;
		info->nr_online_vcpus++;
		if (!(v->pause_flags & (BIT(VPF_BLOCKED) | BIT(VPF_POLL))))
			blocked = false;
		running |= READ_ONCE(v->running);
	}
	info->flags = XEN_DOMINF_hvm_guest | XEN_DOMINF_hap;
	if (d->dying == DOMDYING_DEAD)
		info->flags |= XEN_DOMINF_dying;
	if (shutdown & DOMAIN_SHUT_DOWN)
		info->flags |= XEN_DOMINF_shutdown;
	if (READ_ONCE(d->controller_pauses))
		info->flags |= XEN_DOMINF_paused;
	if (blocked)
		info->flags |= XEN_DOMINF_blocked;
	if (running)
		info->flags |= XEN_DOMINF_running;
	if (shutdown & DOMAIN_HAS_REASON)
		info->flags |= (shutdown & DOMAIN_SHUTDOWN_REASON) << XEN_DOMINF_shutdownshift;
	info->tot_pages = d->tot_pages;
	info->shr_pages = d->shared_pages;
	info->max_pages = d->max_pages;
	info->shared_info_frame = INVALID_GFN;
	info->ssidref = d->ssidref;
	memcpy(info->handle, d->handle, sizeof(info->handle));
	info->cpupool = cpupool_of(d);
	info->gpaddr_bits = 41;
	info->arch_config.engine = XEN_DOMCTL_CONFIG_ENGINE_HEXT;
	info->arch_config.timebase_frequency = machine.timebase_hz;
}

long domctl_create(struct xen_domctl *op)
{
	struct xen_domctl_createdomain *c = &op->u.createdomain;
	struct domain *d;
	domid_t id = op->domain;
	bool chosen = !id || id >= DOMID_FIRST_RESERVED; /* by us */
	long rc;

	if (c->flags & ~(XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap) ||
	    XEN_DOMCTL_GRANT_version(c->grant_opts) > 1 || c->iommu_opts || c->vmtrace_size)
		return -EINVAL;
	if (chosen)
		id = domain_free_id();
	if (id >= DOMID_FIRST_RESERVED)
		return -ENOMEM;
	rc = domain_create(id, c, &d);
	if (rc == -EEXIST && chosen) /* somebody asked for that very number meanwhile */
		return -ERESTART;
	if (rc)
		return rc;
	/* From here on d may be destroyed by others. */
	op->domain = id;
	c->arch.timebase_frequency = machine.timebase_hz;
	c->arch.engine = XEN_DOMCTL_CONFIG_ENGINE_HEXT;
	return 0;
}

long domctl_pause(struct domain *d)
{
	return domain_controller_pause(d);
}

long domctl_unpause(struct domain *d)
{
	long rc;

	do
		rc = domain_controller_unpause(d);
	while (rc == -ERESTART && !hypercall_preempt_check());
	return rc;
}

long domctl_max_vcpus(struct domain *d, struct xen_domctl_max_vcpus *a)
{
	u32 max = a->max;
	long rc = 0;

	if (max > d->max_vcpus || !max)
		return -EINVAL;
	for (u32 i = 0; i < max && !rc; i++) {
		if (d->vcpu[i])
			continue;
		rc = vcpu_create(d, i);
		if (!rc && i + 1 < max && hypercall_preempt_check())
			rc = -ERESTART; /* those that are there are passed by */
	}
	return rc;
}

long domctl_max_mem(struct domain *d, struct xen_domctl_max_mem *a)
{
	/* May be less than the domain has: then it gets nothing until it has given that back. */
	spin_lock(&d->page_lock);
	d->max_pages = a->max_memkb >> (PAGE_SHIFT - 10);
	spin_unlock(&d->page_lock);
	return 0;
}

static struct vcpu *find_vcpu(struct domain *d, u32 id)
{
	return id < d->max_vcpus ? d->vcpu[id] : NULL;
}

long domctl_set_context(struct domain *d, struct xen_domctl_vcpucontext *a)
{
	struct vcpu_guest_context c;
	struct vcpu *v = find_vcpu(d, a->vcpu);
	long rc;

	if (!v)
		return -ESRCH;
	if (copy_from_guest(&c, a->ctxt.q, sizeof(c)))
		return -EFAULT;
	vcpu_pause(v);
	/* The lock: its domain may be starting it. */
	spin_lock(&d->lock);
	rc = arch_set_context(v, &c);
	if (!rc) {
		if (c.flags & VGCF_online)
			clear_bit(VPF_DOWN, &v->pause_flags);
		else
			set_bit(VPF_DOWN, &v->pause_flags);
	}
	spin_unlock(&d->lock);
	if (!rc)
		vcpu_unblock(v); /* where it is now it may wait for nothing */
	vcpu_unpause(v);
	return rc;
}

long domctl_get_context(struct domain *d, struct xen_domctl_vcpucontext *a)
{
	struct vcpu_guest_context c;
	struct vcpu *v = find_vcpu(d, a->vcpu);

	if (!v)
		return -ESRCH;
	if (!v->is_initialised)
		return -ENODATA;
	vcpu_pause(v);
	spin_lock(&d->lock);
	arch_get_context(v, &c);
	spin_unlock(&d->lock);
	vcpu_unpause(v);
	return copy_to_guest(a->ctxt.q, &c, sizeof(c)) ? -EFAULT : 0;
}

long domctl_vcpu_info(struct domain *d, struct xen_domctl_getvcpuinfo *a)
{
	struct vcpu *v = find_vcpu(d, a->vcpu);

	if (!v)
		return -ESRCH;
	a->online = !(READ_ONCE(v->pause_flags) & BIT(VPF_DOWN));
	a->blocked = (v->pause_flags & (BIT(VPF_BLOCKED) | BIT(VPF_POLL))) != 0;
	a->running = READ_ONCE(v->running);
	a->cpu_time = vcpu_cpu_time(v);
	a->cpu = v->hart;
	return 0;
}

/* More bits than any machine has harts. */
#define MAX_BITMAP_BITS 32768

long bitmap_to_guest(const struct xenctl_bitmap *b, u64 mask)
{
	u64 piece[8] = { mask }, bytes = DIV_ROUND_UP((u64)b->nr_bits, 8);

	if (b->nr_bits > MAX_BITMAP_BITS)
		return -EINVAL;
	for (u64 done = 0; done < bytes; done += sizeof(piece)) {
		if (copy_to_guest(b->bitmap.q + done, piece, min(bytes - done, sizeof(piece))))
			return -EFAULT;
		piece[0] = 0;
	}
	return 0;
}

/* What is behind the caller's last bit is 0. */
static long bitmap_from_guest(u64 *mask, const struct xenctl_bitmap *b)
{
	u64 bits = min((u64)b->nr_bits, 64UL);

	*mask = 0;
	if (bits && copy_from_guest(mask, b->bitmap.q, DIV_ROUND_UP(bits, 8)))
		return -EFAULT;
	if (bits < 64)
		*mask &= BIT(bits) - 1;
	return 0;
}

/* Of harts that there are one at least; all of them are 0. */
static long harts_from_guest(u64 *mask, const struct xenctl_bitmap *b, u64 all)
{
	long rc = bitmap_from_guest(mask, b);

	if (rc)
		return rc;
	*mask &= all;
	if (!*mask)
		return -EINVAL;
	if (*mask == all)
		*mask = 0;
	return 0;
}

/*
 * When one is set, what the two come to together in the domain's pool is told; where they have nothing in common, the soft one does nothing.
 * None of the pool's harts: -EINVAL.
 */
static long affinity(struct domain *d, struct xen_domctl_vcpuaffinity *a, bool set)
{
	struct vcpu *v = find_vcpu(d, a->vcpu);
	u64 all = machine_harts(), pool = cpupool_harts(d), hard, soft;
	long rc = 0;

	if (!v)
		return -ESRCH;
	vcpu_affinity(v, &hard, &soft);
	if (set && a->flags & XEN_VCPUAFFINITY_HARD)
		rc = harts_from_guest(&hard, &a->cpumap_hard, all);
	if (!rc && set && a->flags & XEN_VCPUAFFINITY_SOFT)
		rc = harts_from_guest(&soft, &a->cpumap_soft, all);
	if (!rc && set && a->flags & XEN_VCPUAFFINITY_HARD && hard && !(hard & pool))
		rc = -EINVAL;
	if (rc)
		return rc;
	if (set && a->flags & XEN_VCPUAFFINITY_HARD)
		vcpu_pin(v, hard);
	if (set && a->flags & XEN_VCPUAFFINITY_SOFT)
		vcpu_prefer(v, soft);
	hard = hard ? hard : all;
	soft = soft ? soft : all;
	if (set) {
		hard = hard & pool ? hard & pool : pool;
		soft &= hard;
	}
	if (a->flags & XEN_VCPUAFFINITY_HARD)
		rc = bitmap_to_guest(&a->cpumap_hard, hard);
	if (!rc && a->flags & XEN_VCPUAFFINITY_SOFT)
		rc = bitmap_to_guest(&a->cpumap_soft, soft);
	return rc;
}

long domctl_set_affinity(struct domain *d, struct xen_domctl_vcpuaffinity *a)
{
	return affinity(d, a, true);
}

long domctl_get_affinity(struct domain *d, struct xen_domctl_vcpuaffinity *a)
{
	return affinity(d, a, false);
}

/* -ERESTART while there is more to do: the progress is in the domain. */
long domctl_destroy(struct domain *d)
{
	return domain_kill(d);
}

long domctl_resume(struct domain *d)
{
	domain_resume(d);
	return 0;
}

/* As 4.17: of one that is not there, the next one's. The tools look at the number that comes back. */
long domctl_info(struct xen_domctl *op)
{
	struct domain *d = domain_get(op->domain);

	if (!d && op->domain >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (!d)
		d = domain_next(NULL, op->domain);
	if (!d)
		return -ESRCH;
	domain_info(d, &op->u.getdomaininfo);
	op->domain = d->id;
	domain_put(d);
	return 0;
}

long domctl_set_handle(struct domain *d, struct xen_domctl_setdomainhandle *a)
{
	memcpy(d->handle, a->handle, sizeof(d->handle));
	return 0;
}

long domctl_set_time_offset(struct domain *d, struct xen_domctl_settimeoffset *a)
{
	d->time_offset_seconds = a->time_offset_seconds;
	wallclock_publish(d);
	return 0;
}
