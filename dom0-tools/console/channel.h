/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A channel: a further console of a guest, hvc1 and on in Linux, whose bytes are a program's in dom0 (xl.cfg(5)'s channel).
 * Owns its way between the guest's ring and one pty or UNIX socket: nothing is logged, and nothing gets lost. Bytes that nobody
 * takes wait in the ring, where they cost the guest its own memory.
 */
#ifndef CONSOLE_CHANNEL_H
#define CONSOLE_CHANNEL_H

#include <sys/types.h>

#include <xenstore.h>

#include "guest.h"

#define CHANNEL_LAST 9 /* Linux goes by the last digit of a channel's number */
#define CHANNEL_TOKEN "channel/%u/%u"
/* What it costs a guest to have its nodes looked at: it decides how often they change. */
#define LOOK_COST (32 * 1024)

struct channel {
	struct channel *next;
	struct guest *guest;
	unsigned int devid;
	char *path; /* the socket's; NULL: it is a pty */
	dev_t dev; /* whose file that is, to remove no other */
	ino_t ino;
	struct pty pty;
	struct source listen,
		end; /* who waits to be served, who is; the pty's master is an end as well */
	bool ended; /* whoever is served has said all, and listens */
	struct ring ring; /* page NULL: not connected */
	uint32_t ring_ref;
	evtchn_port_t remote_port;
	int port; /* ours, -1 when not bound */
	bool ready; /* there may be bytes */
	bool dirty; /* its nodes are to be looked at */
	bool bad_reported;
	bool off; /* taken away from a guest that stays */
	int state; /* what our node in xenstore says */
	char in[PENDING_INPUT], out[2048]; /* on their way to the guest, and to dom0 */
	size_t in_len, out_len;
};

/* --- channel.c: the bytes ---------------------------------------------------------------------- */

/*
 * Makes the pty or, with @path, listens there. Appended to the guest's. NULL with the reason in @why, @size bytes.
 */
struct channel *channel_open(struct daemon *d, struct guest *g, unsigned int devid,
			     const char *path, char *why, size_t size);
/* Hangs up, and removes the socket. @c is in its guest's list no more. */
void channel_close(struct daemon *d, struct channel *c);
/* The same, but the channel stays in the list, for its guest stays. */
void channel_shut(struct daemon *d, struct channel *c);
/* Joins what the guest offers. 0, or -1 with errno when that is impossible; then it is not connected. */
int channel_attach(struct daemon *d, struct channel *c, uint32_t ring_ref, evtchn_port_t port);
/* Lets go of the guest's page and port. Harmless when there are none. */
void channel_detach(struct daemon *d, struct channel *c);
/* One round, as far as its guest's share goes. */
void channel_serve(struct daemon *d, struct channel *c, int64_t now);
/* Somebody came to the socket, or something happened at the other end. */
void channel_event(struct daemon *d, struct source *s);

/* --- channel_store.c: the nodes ---------------------------------------------------------------- */

/* Opens the channels that a new guest is said to have, and watches their nodes. */
void channels_adopt(struct daemon *d, struct xs_handle *xs, struct guest *g);
/* On a new connection to xenstored. */
void channels_watch(struct xs_handle *xs, struct guest *g);
void channels_unwatch(struct xs_handle *xs, struct guest *g);
/* A watch's token; false: it is none of a channel's. */
bool channels_changed(struct daemon *d, const char *token);
/* Does what the nodes of one say, if they have changed and its guest has a share left. */
void channel_look(struct daemon *d, struct xs_handle *xs, struct channel *c, int64_t now);

#endif /* CONSOLE_CHANNEL_H */
