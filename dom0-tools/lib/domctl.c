// SPDX-License-Identifier: BSD-2-Clause
/*
 * XEN_DOMCTL_*: one small function for each operation on one domain.
 * Owns the structure's version and the buffers behind its handles.
 * The hypervisor retries what it preempts; a call that returns is done.
 */
#include <errno.h>
#include <string.h>

#include "pavise.h"

#include <xen/sched.h>
#include <xen/vcpu.h>

static long domctl(struct pv *pv, struct xen_domctl *op)
{
	op->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	return pv_hypercall_struct1(pv, __HYPERVISOR_domctl, op, sizeof(*op));
}

static int domctl_simple(struct pv *pv, uint32_t cmd, uint32_t domid)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };

	return domctl(pv, &op);
}

int pv_domain_create(struct pv *pv, const struct pv_create *c, uint32_t *domid, uint64_t *timebase)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_createdomain, .domain = c->domid };
	struct xen_domctl_createdomain *d = &op.u.createdomain;
	int rc;

	memcpy(d->handle, c->handle, sizeof(d->handle));
	d->flags = XEN_DOMCTL_CDF_hvm | XEN_DOMCTL_CDF_hap;
	d->max_vcpus = c->max_vcpus;
	d->max_evtchn_port = c->max_evtchn_port;
	d->max_grant_frames = c->max_grant_frames;
	d->max_maptrack_frames = c->max_maptrack_frames;
	d->grant_opts = XEN_DOMCTL_GRANT_version(1);
	d->cpupool_id = c->pool;
	d->arch.engine = c->engine;
	rc = domctl(pv, &op);
	if (rc)
		return rc;
	*domid = op.domain;
	if (timebase)
		*timebase = d->arch.timebase_frequency;
	return 0;
}

int pv_domain_destroy(struct pv *pv, uint32_t domid)
{
	return domctl_simple(pv, XEN_DOMCTL_destroydomain, domid);
}

int pv_domain_pause(struct pv *pv, uint32_t domid)
{
	return domctl_simple(pv, XEN_DOMCTL_pausedomain, domid);
}

int pv_domain_unpause(struct pv *pv, uint32_t domid)
{
	return domctl_simple(pv, XEN_DOMCTL_unpausedomain, domid);
}

int pv_domain_shutdown(struct pv *pv, uint32_t domid, unsigned int reason)
{
	struct sched_remote_shutdown s = { .domain_id = domid, .reason = reason };

	return pv_hypercall_struct(pv, __HYPERVISOR_sched_op, SCHEDOP_remote_shutdown, &s,
				   sizeof(s));
}

int pv_domain_info(struct pv *pv, uint32_t domid, struct xen_domctl_getdomaininfo *info)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = domid };
	int rc = domctl(pv, &op);

	if (rc)
		return rc;
	/* Xen answers for the next domain when this one is gone. */
	if (op.u.getdomaininfo.domain != domid)
		return -ESRCH;
	*info = op.u.getdomaininfo;
	return 0;
}

int pv_domain_max_mem(struct pv *pv, uint32_t domid, uint64_t kib)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_max_mem, .domain = domid };

	op.u.max_mem.max_memkb = kib;
	return domctl(pv, &op);
}

int pv_domain_max_vcpus(struct pv *pv, uint32_t domid, uint32_t max)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_max_vcpus, .domain = domid };

	op.u.max_vcpus.max = max;
	return domctl(pv, &op);
}

int pv_domain_set_handle(struct pv *pv, uint32_t domid, const uint8_t handle[16])
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_setdomainhandle, .domain = domid };

	memcpy(op.u.setdomainhandle.handle, handle, 16);
	return domctl(pv, &op);
}

static int vcpu_context(struct pv *pv, uint32_t cmd, uint32_t domid, uint32_t vcpu,
			struct vcpu_guest_context *ctx)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };
	struct vcpu_guest_context *buf = pv_buf_alloc(pv, sizeof(*buf));
	int rc;

	if (!buf)
		return errno ? -errno : -ENOMEM;
	*buf = *ctx;
	op.u.vcpucontext.vcpu = vcpu;
	set_xen_guest_handle(op.u.vcpucontext.ctxt, buf);
	rc = domctl(pv, &op);
	*ctx = *buf;
	pv_buf_free(pv, buf, sizeof(*buf));
	return rc;
}

int pv_vcpu_set(struct pv *pv, uint32_t domid, uint32_t vcpu, const struct vcpu_guest_context *ctx)
{
	struct vcpu_guest_context copy = *ctx;

	return vcpu_context(pv, XEN_DOMCTL_setvcpucontext, domid, vcpu, &copy);
}

int pv_vcpu_get(struct pv *pv, uint32_t domid, uint32_t vcpu, struct vcpu_guest_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	return vcpu_context(pv, XEN_DOMCTL_getvcpucontext, domid, vcpu, ctx);
}

int pv_vcpu_info(struct pv *pv, uint32_t domid, uint32_t vcpu, struct xen_domctl_getvcpuinfo *info)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_getvcpuinfo, .domain = domid };
	int rc;

	op.u.getvcpuinfo.vcpu = vcpu;
	rc = domctl(pv, &op);
	if (!rc)
		*info = op.u.getvcpuinfo;
	return rc;
}

int pv_vcpu_steal(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *ns)
{
	struct vcpu_runstate_info *info;
	int rc;

	/* Each domain may ask for its own; of another's Xen's interface has nothing. */
	if (domid)
		return -ENOSYS;
	info = pv_buf_alloc(pv, sizeof(*info));
	if (!info)
		return errno ? -errno : -ENOMEM;
	rc = pv_hypercall(pv, __HYPERVISOR_vcpu_op, VCPUOP_get_runstate_info, vcpu,
			  (uintptr_t)info);
	*ns = info->time[RUNSTATE_runnable];
	pv_buf_free(pv, info, sizeof(*info));
	return rc;
}

/* Of each mask that is given and is to be set; both come back. */
static int affinity(struct pv *pv, uint32_t cmd, uint32_t domid, uint32_t vcpu, uint64_t *hard,
		    uint64_t *soft)
{
	struct xen_domctl op = { .cmd = cmd, .domain = domid };
	struct xen_domctl_vcpuaffinity *a = &op.u.vcpuaffinity;
	uint64_t *buf = pv_buf_alloc(pv, 2 * sizeof(*buf));
	int rc;

	if (!buf)
		return -ENOMEM;
	buf[0] = hard ? *hard : 0;
	buf[1] = soft ? *soft : 0;
	a->vcpu = vcpu;
	a->flags = (hard ? XEN_VCPUAFFINITY_HARD : 0) | (soft ? XEN_VCPUAFFINITY_SOFT : 0);
	set_xen_guest_handle(a->cpumap_hard.bitmap, (uint8_t *)buf);
	a->cpumap_hard.nr_bits = 64;
	set_xen_guest_handle(a->cpumap_soft.bitmap, (uint8_t *)(buf + 1));
	a->cpumap_soft.nr_bits = 64;
	rc = domctl(pv, &op);
	if (hard)
		*hard = buf[0];
	if (soft)
		*soft = buf[1];
	pv_buf_free(pv, buf, 2 * sizeof(*buf));
	return rc;
}

int pv_vcpu_affinity(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *hard, uint64_t *soft)
{
	*hard = *soft = 0;
	return affinity(pv, XEN_DOMCTL_getvcpuaffinity, domid, vcpu, hard, soft);
}

int pv_vcpu_set_affinity(struct pv *pv, uint32_t domid, uint32_t vcpu, uint64_t *hard,
			 uint64_t *soft)
{
	return affinity(pv, XEN_DOMCTL_setvcpuaffinity, domid, vcpu, hard, soft);
}

int pv_sched_share(struct pv *pv, uint32_t domid, uint16_t *weight, uint16_t *cap)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };
	int rc;

	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_getinfo;
	rc = domctl(pv, &op);
	*weight = op.u.scheduler_op.u.credit2.weight;
	*cap = op.u.scheduler_op.u.credit2.cap;
	return rc;
}

int pv_sched_set_share(struct pv *pv, uint32_t domid, uint16_t weight, uint16_t cap)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_scheduler_op, .domain = domid };

	op.u.scheduler_op.sched_id = XEN_SCHEDULER_CREDIT2;
	op.u.scheduler_op.cmd = XEN_DOMCTL_SCHEDOP_putinfo;
	op.u.scheduler_op.u.credit2.weight = weight;
	op.u.scheduler_op.u.credit2.cap = cap;
	return domctl(pv, &op);
}

int pv_domain_resume(struct pv *pv, uint32_t domid, bool cancelled)
{
	struct vcpu_guest_context ctx;
	int rc = 0;

	if (cancelled) {
		rc = pv_vcpu_get(pv, domid, 0, &ctx);
		ctx.user_regs.a0 = 1;
		if (!rc)
			rc = pv_vcpu_set(pv, domid, 0, &ctx);
	}
	return rc ? rc : domctl_simple(pv, XEN_DOMCTL_resumedomain, domid);
}
