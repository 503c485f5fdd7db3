/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of several families share: arguments that no hypercall may fall for, and the other
 * domain, which runs peers/partner.c.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <errno.h> /* but ENOSYS, whose number is Xen's own: XEN_ENOSYS */

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#include <xen/errno.h>

#include "tap.h"

#define NO_DOMAIN 0x7abc /* below DOMID_FIRST_RESERVED, and nobody */

/* A hypercall and its arguments; HOSTILE stands where the pointer goes. */
struct hostile_call {
	unsigned int nr;
	unsigned long args[3];
};

#define HOSTILE (~0xbadUL)

/*
 * Makes the call with pointers to nowhere, to memory without the right, across the end of what is
 * mapped and around the end of the address space: each must be -EFAULT. `good` are size bytes of an
 * argument that would be accepted. One check, named after what.
 */
void hostile_pointers(const char *what, struct hostile_call call, const void *good, size_t size);
/* The same for an argument that is written back: a page that can only be read is -EFAULT as well. */
void hostile_out_pointers(const char *what, struct hostile_call call, const void *good,
			  size_t size);
/* One of the two for hypercall nr with the arguments that follow; good is the variable itself. */
#define HOSTILE_CHECK(check, what, good, nr, ...) \
	check(what, ((struct hostile_call){ nr, { __VA_ARGS__ } }), &(good), sizeof(good))
/* Named after the operation. */
#define HOSTILE_EVENT(check, cmd, good) \
	HOSTILE_CHECK(check, #cmd, good, __HYPERVISOR_event_channel_op, cmd, HOSTILE)

/* What the partner shows: its domid, a port that echoes events, pages that it granted to us. */
struct partner {
	domid_t domid;
	evtchn_port_t port; /* unbound, for us; what is sent comes back */
	evtchn_port_t spare; /* unbound, for us */
	grant_ref_t rw, ro; /* pages that hold PARTNER_WORD(i) */
	grant_ref_t foreign; /* offered to dom0, not to us */
	struct partner_page *page; /* none before partner_map() */
	evtchn_port_t bound; /* ours, by partner_bind() */
};

#define PARTNER_WORD(i) (0x9e3779b97f4a7c15UL * ((i) + 1))

/* What it does on an event, by a word at the end of its rw page; it answers in the next. */
#define PARTNER_COMMAND 510
#define PARTNER_RESULT 511
enum { PARTNER_ECHO, PARTNER_END_RW, PARTNER_CLOSE, PARTNER_GIVE_PORT, PARTNER_COUNT };

/* Waits for it and reads its nodes. Ends the test if it does not come. */
void partner_find(struct partner *p);

#endif
