/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's kernel from its own disk (bootloader= in xl.cfg).
 * Owns the throw-away guest that reads the disk: dom0 itself parses neither partitions nor file systems nor menus of a
 * guest's, and of what comes back it believes nothing.
 */
#ifndef XL_BOOTLOADER_H
#define XL_BOOTLOADER_H

#include <stdbool.h>
#include <stdint.h>

struct xl;
struct xl_config;

/*
 * With bootloader= in @cfg: runs the throw-away guest, which takes a second or two, and sets the configuration's kernel,
 * ramdisk and command line for the next domain_create(). Without, nothing. The guest must not be there: its first disk
 * is read, and whoever destroys it by its name meanwhile ends the reader, and so this.
 * *@lock: from xl_lock(). While the disk is read it is given back, as others must not wait for what is on it; at the end it
 * is held again. So at any time there is the guest, its reader, or the lock that is held. 0, or after a message with
 * the lock given back -ENOMEM or -ENOSPC for lack of memory or of room now, or -1.
 */
int bootloader_fetch(struct xl *xl, struct xl_config *cfg, int *lock);
/* The files go again, once the domain is built or is not to be. */
void bootloader_discard(struct xl_config *cfg);
/* Is there memory for the reader that @cfg wants, if it does? */
bool bootloader_fits(struct xl *xl, const struct xl_config *cfg);

/* Is it a reader, so no guest of anybody's? */
bool bootloader_is_reader(struct xl *xl, uint32_t domid);
/* Does one read for a guest of this name? */
bool bootloader_reads_for(struct xl *xl, const char *name);
/*
 * Destroys readers, whose xl then gives up: that of the guest called @name, when there is no such guest itself, or with NULL
 * all. How many. No lock may be held.
 */
int bootloader_end(struct xl *xl, const char *name);
/* What was left when its xl was killed: readers in whatever state, and their files. No domain's lock may be held. */
void bootloader_sweep(struct xl *xl);

#endif /* XL_BOOTLOADER_H */
