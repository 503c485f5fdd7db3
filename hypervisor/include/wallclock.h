/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wall clock in shared_info; core/platform.c.
 */
#ifndef PAVISE_WALLCLOCK_H
#define PAVISE_WALLCLOCK_H

#include <domain.h>

/*
 * Writes the wall clock into d's shared_info: at its creation, and when the clock, its offset or its time changes.
 */
void wallclock_publish(struct domain *d);
/* The wall clock as the domain knows it. */
void wallclock_now(const struct domain *d, u64 *seconds, u64 *nanoseconds);

#endif
