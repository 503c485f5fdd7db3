/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hvm_op: the parameters by which toolstack and guest agree on console and xenstore.
 */
#include <domain.h>
#include <handlers.h>
#include <xsm.h>

static bool known(u32 index)
{
	switch (index) {
	case HVM_PARAM_CALLBACK_IRQ:
	case HVM_PARAM_STORE_PFN:
	case HVM_PARAM_STORE_EVTCHN:
	case HVM_PARAM_CONSOLE_PFN:
	case HVM_PARAM_CONSOLE_EVTCHN:
		return true;
	default:
		return false;
	}
}

long hvm_set_param(struct xen_hvm_param *a)
{
	struct domain *d;
	long rc;

	if (a->index >= NR_HVM_PARAMS)
		return -EINVAL;
	d = xsm_target(a->domid, &rc);
	if (!d)
		return rc;
	if (!known(a->index))
		rc = -EINVAL;
	else if (!xsm_may_set_param(a->index))
		rc = -EPERM;
	else
		rc = 0;
	if (!rc)
		d->hvm_params[a->index] = a->value;
	domain_put(d);
	return rc;
}

long hvm_get_param(struct xen_hvm_param *a)
{
	struct domain *d;
	long rc;

	if (a->index >= NR_HVM_PARAMS)
		return -EINVAL;
	d = xsm_target(a->domid, &rc);
	if (!d)
		return rc;
	rc = known(a->index) ? 0 : -EINVAL;
	a->value = d->hvm_params[a->index];
	domain_put(d);
	return rc;
}
