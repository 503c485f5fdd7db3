/* SPDX-License-Identifier: MIT */
/*
 * The domain's own grant table (version 1): entries given out and taken back.
 */
#ifndef PV_GRANT_H
#define PV_GRANT_H

#include <pv/runtime.h>

/*
 * Lets domain `to` use a page of ours. Returns the reference; -ENOSPC: the table is full and cannot
 * grow.
 */
long pv_grant_access(domid_t to, uint64_t gfn, bool readonly);
/* Takes it back. 0, or -EBUSY while the other domain has it mapped: the entry stays. */
int pv_grant_end(grant_ref_t ref);
/* The entry itself, for tests that write what they like. NULL: beyond the table. */
grant_entry_v1_t *pv_grant_entry(grant_ref_t ref);
/* Entries that the table has room for now. */
unsigned int pv_grant_entries(void);

#endif
