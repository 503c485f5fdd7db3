// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log of what is written to a domain's RAM (docs/abi.md, "The dirty log"), one at a time for each domain.
 * Owns the bitmaps that the hypervisor tells it by, and that no old bit is in them.
 */
#include <errno.h>
#include <string.h>

#include "pavise.h"

static int shadow(struct pv *pv, uint32_t domid, struct xen_domctl_shadow_op *s)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_shadow_op, .domain = domid };
	int rc;

	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.u.shadow_op = *s;
	rc = pv_hypercall_struct1(pv, __HYPERVISOR_domctl, &op, sizeof(op));
	*s = op.u.shadow_op;
	return rc;
}

static size_t bytes_of(const struct pv_log *l)
{
	return 2 * PAVISE_SHADOW_MAYBE(l->frames);
}

int pv_log_alloc(struct pv *pv, uint64_t frames, struct pv_log *l)
{
	l->frames = (frames + 63) & ~63ull;
	l->written = pv_buf_alloc(pv, bytes_of(l));
	if (!l->written)
		return errno ? -errno : -ENOMEM;
	l->maybe = l->written + l->frames / 64;
	return 0;
}

void pv_log_free(struct pv *pv, struct pv_log *l)
{
	if (l->written)
		pv_buf_free(pv, l->written, bytes_of(l));
	l->written = l->maybe = NULL;
}

int pv_log_on(struct pv *pv, uint32_t domid)
{
	struct xen_domctl_shadow_op s = { .op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY };
	int rc = shadow(pv, domid, &s);

	/* Somebody who was killed has left one, or an operation that was not gone on with. */
	if (rc == -EINVAL || rc == -EBUSY) {
		rc = pv_log_off(pv, domid);
		s = (struct xen_domctl_shadow_op){ .op = XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY };
		rc = rc ? rc : shadow(pv, domid, &s);
	}
	return rc;
}

int pv_log_off(struct pv *pv, uint32_t domid)
{
	struct xen_domctl_shadow_op s = { .op = XEN_DOMCTL_SHADOW_OP_OFF };

	return shadow(pv, domid, &s);
}

int pv_log_told(struct pv *pv, uint32_t domid, enum pv_log_how how, struct pv_log *l)
{
	struct xen_domctl_shadow_op s = {
		.op = how == PV_LOG_LOOK ? XEN_DOMCTL_SHADOW_OP_PEEK : XEN_DOMCTL_SHADOW_OP_CLEAN,
		.mode = PAVISE_SHADOW_LOGDIRTY_MAYBE |
			(how == PV_LOG_LAST ? XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL : 0),
		.pages = l->frames,
	};

	set_xen_guest_handle(s.dirty_bitmap, (uint8_t *)l->written);
	/* What is behind the domain's highest frame is not touched. */
	memset(l->written, 0, bytes_of(l));
	return shadow(pv, domid, &s);
}
