/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest as an ELF core file.
 */
#ifndef XL_CORE_H
#define XL_CORE_H

#include "cores.h"
#include "xl.h"

/* Where those of on_crash="coredump-*" go, as NAME: if it is there. */
#ifndef XL_DUMP_DIR
#define XL_DUMP_DIR "/var/lib/xen/dump"
#endif

/* Other guests' disks grow there: a guest that crashes must not be what ends them. */
#define CORE_LEAVE (16 * PV_MIB)

/*
 * Writes the domain's memory and registers to @path, which then is there whole, or as it was before. The domain is best paused or
 * has ended; its lock is held. @part: what it is called until then (dump_begin()). @cores: it is one of XL_DUMP_DIR's, within their
 * limits, and CORE_LEAVE bytes of that disk stay free for others, or there is no file; or NULL.
 */
int core_write(struct xl *xl, uint32_t domid, const char *path, const char *part,
	       const struct cores *cores);

#endif /* XL_CORE_H */
