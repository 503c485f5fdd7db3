/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grant tables: what the rest of the hypervisor asks of core/grant.c.
 */
#ifndef PAVISE_GRANT_H
#define PAVISE_GRANT_H

#include <domain.h>

/* Limits < 0: the default. */
int grant_table_init(struct domain *d, s32 max_frames, s32 max_maptrack_frames);
/* Releases all that d has mapped from others, in bounded steps: -ERESTART while more is left. */
int grant_release_mappings(struct domain *d);
void grant_table_free(struct domain *d);

/*
 * XENMAPSPACE_grant_table and XENMEM_resource_grant_table: the frame with a reference, growing the table up to its limit.
 * -EINVAL: beyond that, or d is dying; -ENOMEM; -ERESTART: it has grown, but not far enough, call again after a
 * continuation. Takes grant_table.lock.
 */
int grant_table_get_frame(struct domain *d, unsigned long idx, struct page **pg);

unsigned int grant_table_max_frames(struct domain *d);

/* Debug key g: prints up to *lines entries, which are taken off it, and where it stopped. Takes grant_table.lock, not for long. */
void grant_dump(struct domain *d, unsigned int *lines);
int grant_count_maps(struct domain *d); /* others' pages that d maps; -1: track_lock is taken */

#endif
