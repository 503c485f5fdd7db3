/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What domctl and sysctl share.
 */
#ifndef PAVISE_CONTROL_H
#define PAVISE_CONTROL_H

#include <domain.h>

void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);

#endif
