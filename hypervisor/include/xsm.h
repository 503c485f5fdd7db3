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

/* May the two connect event channels, and map each other's granted pages? */
bool xsm_may_talk(const struct domain *a, const struct domain *b);

/* The domain that owns the machine's interrupts. */
bool xsm_may_use_pirq(const struct domain *d, unsigned int pirq);

#endif
