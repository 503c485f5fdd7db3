/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring transport: struct xenstore_domain_interface in a page shared with a guest.
 * It owns index checks, barriers, reconnection and the error field. The guest may write anything at
 * any time. Specification: Xen's docs/misc/xenstore-ring.txt.
 */
#ifndef XS_RING_H
#define XS_RING_H

#include "conn.h"

/* Serves a domain on a mapped page and a bound local port. */
struct conn *ring_conn_new(unsigned int domid, void *page, uint32_t port);
/*
 * The same for a connection that was recovered: the page and port are new, all else goes on. Moves
 * of indices that were recorded and not made are made.
 */
void ring_attach(struct conn *c, void *page, uint32_t port);
/* The transport alone, on no page yet: for a connection that state_load() makes. */
struct conn *ring_conn_blank(unsigned int domid);
/* Says who we are and that we are there, tells the guest, and looks into the ring. Not parked. */
void ring_greet(struct conn *c);
/* As the page has them. */
uint32_t ring_req_cons(const struct conn *c);
uint32_t ring_rsp_prod(const struct conn *c);
/* The guest has signalled. Nothing happens while its domain is parked (move.h). */
void ring_event(struct conn *c);
/* Empties the ring and the connection, and says "connected". */
void ring_reset(struct conn *c);

#endif
