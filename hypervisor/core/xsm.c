/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The access checks. The policy: the control domain may do everything, a guest only what names
 * itself, and any two domains may talk over grants and event channels that one of them offered to
 * the other. With xsm=silo guests may talk to the control domain only.
 */
#include <xsm.h>

bool xsm_silo;

void xsm_set_silo(void)
{
	xsm_silo = true;
}

bool xsm_is_silo(void)
{
	return xsm_silo;
}

bool xsm_privileged(void)
{
	return current_domain()->is_privileged;
}

struct domain *xsm_target(domid_t id, long *error)
{
	struct domain *d = domain_get(id);

	*error = -ESRCH;
	if (!d)
		return NULL;
	if (d == current_domain() || xsm_privileged())
		return d;
	domain_put(d);
	*error = -EPERM;
	return NULL;
}

struct domain *xsm_control_target(domid_t id, bool other, long *error)
{
	struct domain *d = xsm_privileged() ? domain_get(id) : NULL;

	*error = xsm_privileged() ? -ESRCH : -EPERM;
	if (!d || !other || d != current_domain())
		return d;
	domain_put(d);
	*error = -EINVAL;
	return NULL;
}

struct domain *xsm_foreign(domid_t id, const struct domain *into, long *error)
{
	struct domain *d = xsm_control_target(id, false, error);

	if (!d || d != into)
		return d;
	domain_put(d);
	*error = -EINVAL;
	return NULL;
}

long xsm_may_offer(domid_t id)
{
	struct domain *d;
	bool ok;

	if (!xsm_silo)
		return 0;
	d = domain_get(id);
	if (!d)
		return -ESRCH;
	ok = xsm_may_talk(current_domain(), d);
	domain_put(d);
	return ok ? 0 : -EPERM;
}

bool xsm_may_bind_virq(const struct domain *d, bool global)
{
	return !global || d->is_privileged;
}

bool xsm_may_set_param(u32 index)
{
	return index == HVM_PARAM_CALLBACK_IRQ || xsm_privileged();
}

unsigned int xsm_max_extent_order(void)
{
	return xsm_privileged() ? 18 : 9;
}

bool xsm_may_use_pirq(const struct domain *d, unsigned int pirq)
{
	return d->is_privileged && arch_pirq_assignable(pirq);
}
