/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapping other domains' grants: the API of Xen's library of this name, the part that is used here.
 * Pointers are NULL, numbers -1, with errno, on failure.
 * A mapping lives until xengnttab_unmap() with the same count.
 */
#ifndef XENGNTTAB_H
#define XENGNTTAB_H

#include <stdint.h>

typedef struct xengntdev_handle xengnttab_handle;
struct xentoollog_logger;

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags);
int xengnttab_close(xengnttab_handle *xgt);
void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot);
int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count);

#endif /* XENGNTTAB_H */
