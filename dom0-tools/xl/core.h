/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest as an ELF core file.
 */
#ifndef XL_CORE_H
#define XL_CORE_H

#include "xl.h"

/* Where those of on_crash="coredump-*" go, as NAME: if it is there. */
#ifndef XL_DUMP_DIR
#define XL_DUMP_DIR "/var/lib/xen/dump"
#endif

/*
 * Writes the domain's memory and registers to @path, which then is there whole, or as it was before. The domain is best paused or
 * has ended; its lock is held.
 */
int core_write(struct xl *xl, uint32_t domid, const char *path);

#endif /* XL_CORE_H */
