/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vcpu_op: what one vCPU, or its domain for it, registers and asks.
 */
#include <console.h>
#include <domain.h>
#include <event.h>
#include <handlers.h>
#include <lib.h>
#include <sched.h>
#include <xsm.h>

/* A page of the domain's RAM that it may write, held; offset + size stays inside the page. */
static struct page *area_page(struct domain *d, gfn_t gfn, u64 offset, size_t size)
{
	unsigned int access;
	struct page *pg;

	if (offset > PAGE_SIZE - size || offset & 7)
		return NULL;
	pg = page_get_from_gfn(d, gfn, &access);
	if (pg && !(access & P2M_W)) {
		page_put(pg);
		return NULL;
	}
	return pg;
}

/* Once per vCPU. vCPU 0's content in shared_info is carried over. */
static long register_info(struct vcpu *v, u64 arg)
{
	struct vcpu_register_vcpu_info a;
	struct domain *d = v->domain;
	struct vcpu_info *info;
	struct page *pg;
	long rc = 0;

	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	pg = area_page(d, a.mfn, a.offset, sizeof(*info));
	if (!pg)
		return -EINVAL;
	info = (void *)((char *)page_to_virt(pg) + a.offset);
	spin_lock(&d->evtchn_lock); /* deliveries use v->info under it */
	if (v->info_page) {
		rc = -EINVAL;
	} else {
		if (v->info)
			memcpy(info, v->info, sizeof(*info));
		else
			memset(info, 0, sizeof(*info));
		v->info_page = pg;
		v->info = info;
		evtchn_vcpu_info_changed(v);
	}
	spin_unlock(&d->evtchn_lock);
	if (rc)
		page_put(pg);
	return rc;
}

static long register_runstate(struct vcpu *v, u64 arg)
{
	struct vcpu_register_runstate_memory_area a;
	struct page *pg;
	gfn_t gfn;
	u64 va;

	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	va = a.addr.p;
	if (!va) {
		vcpu_runstate_register(v, NULL, 0);
		return 0;
	}
	gfn = arch_guest_va_to_gfn(arch_current(), va);
	if (gfn == INVALID_GFN)
		return -EFAULT;
	pg = area_page(v->domain, gfn, va & ~PAGE_MASK, sizeof(struct vcpu_runstate_info));
	if (!pg)
		return -EINVAL;
	vcpu_runstate_register(v, pg, va & ~PAGE_MASK);
	return 0;
}

static long set_singleshot(struct vcpu *v, u64 arg)
{
	struct vcpu_set_singleshot_timer a;

	if (v != arch_current())
		return -EINVAL;
	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	if (a.flags & VCPU_SSHOTTMR_future && a.timeout_abs_ns < arch_time_ns())
		return -ETIME;
	timer_set(&v->singleshot_timer, a.timeout_abs_ns);
	return 0;
}

long do_vcpu_op(u64 cmd, u64 id, u64 arg, u64 a4, u64 a5)
{
	struct domain *d = current_domain();
	struct vcpu_runstate_info state;
	struct vcpu *v;

	(void)a4;
	(void)a5;
	if (id >= d->max_vcpus || !d->vcpu[id])
		return -ENOENT;
	v = d->vcpu[id];
	switch (cmd) {
	case VCPUOP_up:
		if (!v->is_initialised)
			return -EINVAL;
		clear_bit(VPF_DOWN, &v->pause_flags);
		vcpu_wake(v);
		return 0;
	case VCPUOP_down:
		set_bit(VPF_DOWN, &v->pause_flags);
		vcpu_sleep_nosync(v);
		return 0;
	case VCPUOP_is_up:
		return !(READ_ONCE(v->pause_flags) & BIT(VPF_DOWN));
	case VCPUOP_get_runstate_info:
		vcpu_runstate_get(v, &state);
		return copy_to_guest(arg, &state, sizeof(state)) ? -EFAULT : 0;
	case VCPUOP_register_runstate_memory_area:
		return register_runstate(v, arg);
	case VCPUOP_register_vcpu_info:
		return register_info(v, arg);
	case VCPUOP_set_singleshot_timer:
		return set_singleshot(v, arg);
	case VCPUOP_stop_singleshot_timer:
		if (v != arch_current())
			return -EINVAL;
		timer_stop(&v->singleshot_timer);
		return 0;
	case VCPUOP_initialise: /* SBI HSM hart_start does it */
		return -EOPNOTSUPP;
	default:
		return -ENOSYS;
	}
}
