/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's side of a console ring (xen/io/console.h).
 * Owns the rule that nothing the guest writes into the page can move us outside of it: our own
 * indices are kept in private memory, the guest's are read once and checked.
 */
#ifndef CONSOLE_RING_H
#define CONSOLE_RING_H

#include <stddef.h>
#include <stdint.h>

#include <xen/io/console.h>

struct ring {
	struct xencons_interface *page; /* shared with the guest: hostile */
	uint32_t out_cons, in_prod; /* the truth; the page has copies for the guest */
	unsigned int bad; /* impossible indices seen so far */
};

/* Takes up where the page's indices stand: after a restart of the daemon nothing is repeated. */
void ring_attach(struct ring *r, void *page);
/*
 * Takes what the guest has printed, at most @size bytes; returns how many. The caller notifies
 * the guest when it is not 0. Impossible indices discard what is there and count in r->bad.
 */
size_t ring_take(struct ring *r, char *buf, size_t size);
/* Gives the guest up to @n bytes of input; returns how many fitted. */
size_t ring_give(struct ring *r, const char *buf, size_t n);

#endif /* CONSOLE_RING_H */
