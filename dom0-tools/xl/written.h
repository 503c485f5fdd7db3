/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks that a guest can write to, for whoever makes others of them (taking.c, copying.c).
 */
#ifndef XL_WRITTEN_H
#define XL_WRITTEN_H

#include "xl.h"

/*
 * Calls @add for each, with its name in the guest and its file in dom0, without links, and as its configuration names it. All are raw files of dom0's; else that is an error, which says that only such ones
 * can @what. What @add returns but 0 ends it. 0; or -1 after a message, or @add's.
 */
int written_disks(struct xl *xl, uint32_t domid, const char *guest, const char *what,
		  int (*add)(void *ctx, const char *vdev, const char *target, const char *given),
		  void *ctx);

#endif /* XL_WRITTEN_H */
