/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring transport: struct xenstore_domain_interface in a page shared with a guest.
 * It owns index checks, barriers, reconnection and the error field. The guest may write anything at
 * any time. Specification: Xen's docs/misc/xenstore-ring.txt.
 */
#ifndef XS_RING_H
#define XS_RING_H

#include "conn.h"

/* Moves bytes. How many, 0 if none, -XENSTORE_ERROR_RINGIDX for indices that cannot be. */
ssize_t ring_read(struct xenstore_domain_interface *intf, void *buf, size_t len);
ssize_t ring_write(struct xenstore_domain_interface *intf, const void *buf, size_t len);

/* Serves a domain on a mapped page and a bound local port. */
struct conn *ring_conn_new(unsigned int domid, void *page, uint32_t port);
/* The guest has signalled. */
void ring_event(struct conn *c);
/* Empties the ring and the connection, and says "connected". */
void ring_reset(struct conn *c);

#endif
