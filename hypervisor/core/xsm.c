/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The access checks. Today's policy: the control domain may do everything, a guest only what names
 * itself, and any two domains may talk over grants and event channels that one of them offered to
 * the other.
 */
#include <xsm.h>

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

bool xsm_may_talk(const struct domain *a, const struct domain *b)
{
	return !a->is_idle && !b->is_idle;
}

bool xsm_may_use_pirq(const struct domain *d, unsigned int pirq)
{
	return d->is_privileged && arch_pirq_assignable(pirq);
}
