/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest that xenconsoled serves: ring, port, log, socket and the people who look.
 * Owns the flow between them and the guest's share of the daemon's time.
 */
#ifndef CONSOLE_GUEST_H
#define CONSOLE_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <pavise.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#include "log.h"
#include "pty.h"
#include "ring.h"

#define CLIENTS_MAX 8
#define BACKLOG 16384 /* what the first client to come gets to see of the time before */
#define PENDING_INPUT 4096

/*
 * A guest's share: so many bytes a second in the long run. Its port stays masked when it has used
 * that up, and so it waits (its ring is full) while others are served.
 */
#define SHARE_PER_MS 1024
#define SHARE_BURST (256 * 1024)
#define EVENT_COST 64 /* an event with nothing behind it is not free either */

struct guest;
struct channel;

/* What an epoll event points to. */
struct source {
	enum {
		SRC_STORE,
		SRC_EVENTS,
		SRC_OPENED,
		SRC_LISTEN,
		SRC_CLIENT,
		SRC_TTY,
		SRC_CHANNEL
	} kind;
	struct guest *guest;
	struct channel *channel; /* of SRC_CHANNEL, and then no guest */
	int fd;
	bool stopped; /* client: no room for its input at present */
	bool deaf; /* client: has missed output, since it does not read */
};

struct guest {
	struct guest *next, *next_awake;
	bool awake; /* awake.h: it is in that list */
	uint32_t domid;
	char *name;
	struct ring ring;
	evtchn_port_t remote_port;
	int port; /* ours, -1 when not bound */
	bool ready; /* an event came and the port is masked until we are done */
	int64_t share, share_at; /* bytes left; when last refilled (ms) */
	unsigned int bad_reported;
	struct conslog log;
	bool log_failed;
	struct source listen, client[CLIENTS_MAX], tty;
	struct pty pty;
	char sock_path[100];
	char backlog[BACKLOG]; /* a ring: the last bytes nobody was there to see */
	size_t backlog_at, backlog_len;
	char input[PENDING_INPUT];
	size_t input_len;
	struct channel *channels; /* channel.h */
};

struct daemon {
	struct pv *pv;
	xenevtchn_handle *xce;
	xengnttab_handle *xgt;
	int epoll;
	int inotify; /* tells of ptys that are opened; -1: not there */
	const char *log_dir, *sock_dir;
	struct guest *guests;
};

/* @fresh: the guest is new, not merely new to us. NULL with a message on stderr. */
struct guest *guest_open(struct daemon *d, uint32_t domid, const char *name, evtchn_port_t port,
			 bool fresh);
/* Takes all that is left in the ring first. */
void guest_close(struct daemon *d, struct guest *g);
/* One round: what is in the ring goes out, waiting input goes in. */
void guest_serve(struct daemon *d, struct guest *g, int64_t now);
/*
 * Somebody came. When all places are taken he gets that of one who has left (what that one typed and the guest has not read is
 * lost then), or else of one who does not read; if there is none, he is told so.
 */
void guest_accept(struct daemon *d, struct guest *g);
void guest_client_input(struct daemon *d, struct source *client);
/* Something was typed at its pty, or that was opened or closed. */
void guest_tty_event(struct daemon *d, struct guest *g);
/* Milliseconds until the guest may be served again; 0 = now. */
int guest_delay(struct guest *g, int64_t now);

#endif /* CONSOLE_GUEST_H */
