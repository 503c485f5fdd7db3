/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wall clock in shared_info; core/platform.c.
 */
#ifndef PAVISE_WALLCLOCK_H
#define PAVISE_WALLCLOCK_H

#include <domain.h>

/*
 * Writes the wall clock into d's shared_info: at its creation, and when the clock or its offset
 * changes.
 */
void wallclock_publish(struct domain *d);

#endif
