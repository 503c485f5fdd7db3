/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What domctl and sysctl share.
 */
#ifndef PAVISE_CONTROL_H
#define PAVISE_CONTROL_H

#include <domain.h>

/*
 * Writes the mask as long as the caller has room for: what is behind the harts there are is 0. -EINVAL: room for more than any machine
 * has. -EFAULT.
 */
long bitmap_to_guest(const struct xenctl_bitmap *b, u64 mask);
void domain_info(struct domain *d, struct xen_domctl_getdomaininfo *info);

#endif
