/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's interfaces are somewhere else from now on: their neighbours learn it at once, whether or not the guest says so itself.
 */
#ifndef XL_ANNOUNCE_H
#define XL_ANNOUNCE_H

#include "xl.h"

#define ANNOUNCE_FRAME 60 /* the least that Ethernet sends, without its check */
#define ANNOUNCE_FDB 64 /* room for announce_fdb()'s */

/*
 * The bridges that they are in here know which port they are at, and whoever is behind those bridges is told by a RARP request from
 * each, thrice within a third of a second (RFC 903; a switch goes by its source address, and nobody answers it). Without a message: what cannot be
 * done is as if the guest had just not said anything yet.
 */
void announce_guest(struct xl *xl, uint32_t domid);

/* For that: the frame; and the request to the kernel's bridge (rtnetlink(7), RTM_NEWNEIGH), whose length is returned. */
void announce_frame(const uint8_t mac[6], uint8_t frame[ANNOUNCE_FRAME]);
size_t announce_fdb(const uint8_t mac[6], unsigned int port, uint8_t message[ANNOUNCE_FDB]);

#endif /* XL_ANNOUNCE_H */
