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

/* Its handles of others' pages in pieces, and whether one of a piece is in use. Takes track_lock. */
unsigned int grant_map_pieces(struct domain *d);
bool grant_maps_some(struct domain *d, unsigned int piece);
/* So many frames the table has now. */
unsigned int grant_table_frames(struct domain *d);
/*
 * A frame of the table of a domain that does not run, as hvm/save.h has it, to entries (HVM_GRANTS_SIZE bytes). -EXDEV: one of them is
 * for another domain than the control domain, or in use by one; -EINVAL: no such frame.
 */
int grant_save(struct domain *d, unsigned int frame, void *entries);
/* And back; the table grows to it. -EINVAL: such an entry, or it may not have that frame; -ENOMEM; -ERESTART: call again. */
int grant_restore(struct domain *d, unsigned int frame, const void *entries);
/* Which frame the page is; the number of frames: none. It is looked for only. */
unsigned int grant_table_index(struct domain *d, const struct page *pg);

/* Debug key g: prints up to *lines entries, which are taken off it, and where it stopped. Takes grant_table.lock, not for long. */
void grant_dump(struct domain *d, unsigned int *lines);
int grant_count_maps(struct domain *d); /* others' pages that d maps; -1: track_lock is taken */

#endif
