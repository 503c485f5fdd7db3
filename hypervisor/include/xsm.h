/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may do what to whom: every access decision of the ABI is in core/xsm.c.
 */
#ifndef PAVISE_XSM_H
#define PAVISE_XSM_H

#include <domain.h>

/* The current domain is the control domain. */
bool xsm_privileged(void);

/*
 * The domain that an operation names, with a reference: DOMID_SELF or the own number always,
 * another's only for the control domain. NULL with *error -ESRCH or -EPERM.
 */
struct domain *xsm_target(domid_t id, long *error);

/*
 * The domain that a control operation is on, with a reference: for the control domain only. other:
 * not its own (pausing it would wait for itself, its end is the machine's): -EINVAL. NULL with
 * *error, also -ESRCH or -EPERM.
 */
struct domain *xsm_control_target(domid_t id, bool other, long *error);

/* A domain whose memory is to be mapped into another, as xsm_control_target(); -EINVAL also when the two are one. */
struct domain *xsm_foreign(domid_t id, const struct domain *into, long *error);

/* Boot: guests may talk to the control domain only (option xsm=silo). */
void xsm_set_silo(void);
bool xsm_is_silo(void);
extern bool xsm_silo; /* for xsm_may_talk() only */

/* May the two connect event channels, and map and copy each other's granted pages? Inline: asked for each grant operation. */
static inline bool xsm_may_talk(const struct domain *a, const struct domain *b)
{
	if (a->is_idle || b->is_idle)
		return false;
	return likely(!xsm_silo) || a == b || a->is_privileged || b->is_privileged;
}

/*
 * May the current domain make a port that the domain of this number may connect to? 0, -EPERM or, with xsm=silo, -ESRCH:
 * there is no such domain (without, there need not be one yet).
 */
long xsm_may_offer(domid_t id);

/* Virtual interrupts about the machine or about other domains are the control domain's. */
bool xsm_may_bind_virq(const struct domain *d, bool global);

/* May the current domain set this HVM parameter, of itself or whomever xsm_target() lets it name? */
bool xsm_may_set_param(u32 index);

/* Largest extent (log2 of pages) that the current domain may ask for: the tools build domains with 1 GiB ones. */
unsigned int xsm_max_extent_order(void);

/* The domain that owns the machine's interrupts. */
bool xsm_may_use_pirq(const struct domain *d, unsigned int pirq);

#endif
