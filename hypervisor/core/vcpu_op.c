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

/* Once per vCPU. vCPU 0's content in shared_info is carried over. */
long vcpu_op_register_info(struct vcpu *v, struct vcpu_register_vcpu_info *a)
{
	struct domain *d = v->domain;
	struct vcpu_info *info;
	struct page *pg;
	long rc = 0;

	pg = page_get_area(d, a->mfn, a->offset, sizeof(*info));
	if (!pg)
		return -EINVAL;
	info = (void *)((char *)page_to_virt(pg) + a->offset);
	/*
	 * Of two registrations one finds the other. Deliveries come without it: who has still used the old area has set
	 * the port's bit (or the queue's, with FIFO) before it looked, and evtchn_vcpu_info_changed() has the guest look
	 * at all of them after it.
	 */
	spin_lock(&d->evtchn_lock);
	if (v->info_page) {
		rc = -EINVAL;
	} else {
		if (v->info)
			memcpy(info, v->info, sizeof(*info));
		else
			memset(info, 0, sizeof(*info));
		v->info_page = pg;
		v->info_gfn = a->mfn;
		__atomic_store_n(&v->info, info, __ATOMIC_SEQ_CST);
		evtchn_vcpu_info_changed(v);
	}
	spin_unlock(&d->evtchn_lock);
	if (rc)
		page_put(pg);
	return rc;
}

/* Linux's is a per-CPU variable, aligned to 8 bytes: it may lie across two pages, anywhere in RAM each. */
long vcpu_op_register_runstate(struct vcpu *v, struct vcpu_register_runstate_memory_area *a)
{
	u64 va = a->addr.p, offset = va & ~PAGE_MASK, size = sizeof(struct vcpu_runstate_info);
	u64 first = min(size, PAGE_SIZE - offset);
	gfn_t gfn, gfn2 = 0;

	if (!va) {
		vcpu_runstate_unregister(v);
		return 0;
	}
	gfn = arch_guest_va_to_gfn(arch_current(), va);
	if (first < size)
		gfn2 = arch_guest_va_to_gfn(arch_current(), va + first);
	if (gfn == INVALID_GFN || gfn2 == INVALID_GFN || va + size < va)
		return -EFAULT;
	return vcpu_runstate_register(v, gfn, gfn2, offset);
}

long vcpu_op_set_singleshot(struct vcpu *v, struct vcpu_set_singleshot_timer *a)
{
	if (v != arch_current())
		return -EINVAL;
	if (a->flags & VCPU_SSHOTTMR_future &&
	    a->timeout_abs_ns < domain_ns(v->domain, arch_time_ns()))
		return -ETIME;
	v->singleshot_at = a->timeout_abs_ns;
	timer_set(&v->singleshot_timer, domain_host_ns(v->domain, a->timeout_abs_ns));
	return 0;
}

long vcpu_op_stop_singleshot(struct vcpu *v)
{
	if (v != arch_current())
		return -EINVAL;
	timer_stop(&v->singleshot_timer);
	return 0;
}

/* For one that never had registers. The lock also keeps SBI hart_start from doing the same. */
long vcpu_op_initialise(struct vcpu *v, struct vcpu_guest_context *a)
{
	struct domain *d = v->domain;
	long rc = -EEXIST;

	spin_lock(&d->lock);
	if (!v->is_initialised) {
		rc = arch_set_context(v, a);
		if (!rc && a->flags & VGCF_online)
			clear_bit(VPF_DOWN, &v->pause_flags);
	}
	spin_unlock(&d->lock);
	if (!rc)
		vcpu_wake(v);
	return rc;
}

long vcpu_op_up(struct vcpu *v)
{
	struct domain *d = v->domain;

	if (!v->is_initialised)
		return -EINVAL;
	/* SBI hart_start writes the registers of one that is down under this lock: not while it starts. */
	spin_lock(&d->lock);
	clear_bit(VPF_DOWN, &v->pause_flags);
	spin_unlock(&d->lock);
	vcpu_wake(v);
	return 0;
}

long vcpu_op_down(struct vcpu *v)
{
	struct domain *d = v->domain;
	struct vcpu *other;
	bool last = true;
	unsigned int i;

	/* Two that go down at once must not each take the other for one that stays. */
	spin_lock(&d->lock);
	domain_for_each_vcpu(d, other, i)
		last &= other == v || READ_ONCE(other->pause_flags) & BIT(VPF_DOWN);
	if (!last) {
		set_bit(VPF_DOWN, &v->pause_flags);
		/* Off the queue, too, before SBI hart_start may write its registers: no hart takes it meanwhile. */
		vcpu_sleep_nosync(v);
	}
	spin_unlock(&d->lock);
	if (last)
		domain_shutdown(d, SHUTDOWN_poweroff);
	return 0;
}

long vcpu_op_is_up(struct vcpu *v)
{
	return !(READ_ONCE(v->pause_flags) & BIT(VPF_DOWN));
}

long vcpu_op_runstate(struct vcpu *v, struct vcpu_runstate_info *a)
{
	vcpu_runstate_get(v, a);
	return 0;
}
