/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's kernel from its own disk (bootloader= in xl.cfg).
 * Owns the throw-away guest that reads the disk: dom0 itself parses neither partitions nor file systems nor menus of a
 * guest's, and of what comes back it believes nothing.
 */
#ifndef XL_BOOTLOADER_H
#define XL_BOOTLOADER_H

struct xl;
struct xl_config;

/*
 * With bootloader= in @cfg: runs the throw-away guest, which takes a second or two, and sets the configuration's kernel,
 * ramdisk and command line for the next domain_create(). Without, nothing. The guest must not be running: its first disk
 * is read. No lock may be held, as others must not wait for what is on this disk. 0, or -1 after a message.
 */
int bootloader_fetch(struct xl *xl, struct xl_config *cfg);
/* The files go again, once the domain is built or is not to be. */
void bootloader_discard(struct xl_config *cfg);

#endif /* XL_BOOTLOADER_H */
