/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection: one client of the store, over a socket or a domain's ring.
 * It owns framing, the queue of replies and events, and the client's watches and transactions.
 * All of its state is plain data, so that a later version can write it down and take it up again.
 */
#ifndef XS_CONN_H
#define XS_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <xen/io/xs_wire.h>
#include "dom.h"
#include "store.h"

#define MSG_MAX (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)

struct conn;
struct watch;

/*
 * How bytes move. read and write return how many moved, 0 when none can at the moment, or negative:
 * the connection is unusable, with -XENSTORE_ERROR_* saying how.
 */
struct transport {
	ssize_t (*read)(struct conn *c, void *buf, size_t len);
	ssize_t (*write)(struct conn *c, const void *buf, size_t len);
	/* Called once per turn after bytes moved. */
	void (*kick)(struct conn *c);
	/* The connection failed (why: XENSTORE_ERROR_*): close it, or mark it and keep the record.
	 */
	void (*fail)(struct conn *c, int why);
	/* Frees what the transport holds. */
	void (*close)(struct conn *c);
};

struct outmsg {
	TAILQ_ENTRY(outmsg) link;
	bool event;
	uint32_t len;
	char data[]; /* header and payload */
};

TAILQ_HEAD(outq, outmsg);
LIST_HEAD(watch_list, watch);
LIST_HEAD(tx_list, tx);

struct conn {
	TAILQ_ENTRY(conn) all, run;
	bool on_runq;
	bool dead; /* to be freed at the end of the turn */
	bool failed; /* a ring that broke the rules: no I/O until it is reset */
	uint8_t why; /* failed: XENSTORE_ERROR_* */
	bool can_read, can_write; /* no I/O call has said 0 since the last event */
	bool moved; /* bytes moved in this turn */
	bool overflow; /* some watch has lost_events */
	uint16_t domid;
	struct dom *dom;
	const struct transport *tp;
	int fd; /* socket */
	bool hung_up; /* socket: the other end has closed, so what can be read has an end */
	bool want_out; /* socket: epoll tells when it can be written again */
	struct xenstore_domain_interface *ring;
	uint32_t port; /* local event channel port of the ring */
	/*
	 * what was recorded of the ring's indices (record.h): what they are, and what they were
	 * before the last move, which a crash may have kept from the page
	 */
	uint32_t req_cons, req_was, rsp_prod, rsp_was;
	uint32_t serial; /* socket: its name in the journal */
	bool journaled; /* socket: the journal knows it */

	uint32_t in_len;
	char in[MSG_MAX];

	struct outq out;
	uint32_t out_off; /* bytes of the first message that are gone already */
	uint32_t out_replies, out_events;
	struct watch_list watches;
	struct tx_list txs;
	uint32_t next_tx;
	unsigned int lost; /* dom0: transactions in a row that failed because of a guest */
	uint64_t held; /* guest: not read from until clock_ms is this; 0: not held */
	uint64_t requests;
};

TAILQ_HEAD(conn_list, conn);
extern struct conn_list conns;

struct conn *conn_new(unsigned int domid, const struct transport *tp);
/* Frees it at once; not from within a request of that connection. */
void conn_free(struct conn *c);
/* Drops everything the client had: queues, watches, transactions. */
void conn_reset(struct conn *c);
/* Queues a message. */
void conn_send(struct conn *c, const struct xsd_sockmsg *hdr, const void *body, bool event);
/* Forgets half a request, and all that waits to be sent. */
void conn_hush(struct conn *c);
/* The queue as such: a message that is a reply or event already. */
void conn_queue(struct conn *c, const void *msg, size_t len, bool event);
/*
 * What moving bytes does to the connection, once they moved: len bytes were put into in at in_len;
 * the first len bytes that wait have gone.
 */
void conn_received(struct conn *c, size_t len);
void conn_sent(struct conn *c, size_t len);
bool conn_owes(const struct conn *c, size_t len); /* could they? */
/* Is what has arrived the beginning of a request? The header tells, as soon as it is there. */
bool conn_header_fits(const struct conn *c);
/* A whole request has arrived; serves it. */
bool conn_has_request(const struct conn *c);
void conn_request(struct conn *c);
/* It broke the rules: XENSTORE_ERROR_*. */
void conn_fail(struct conn *c, int why);
struct tx *conn_tx_find(struct conn *c, uint32_t id);
/* A guest's transaction has been open for too long. */
void conn_expire(struct conn *c, struct tx *tx);
/* Ends a transaction, whichever way. */
void conn_tx_close(struct conn *c, struct tx *tx);
/*
 * A guest's write made a transaction of dom0's connection `loser` fail: the guest waits, the longer
 * the more often that happened in a row, so that the loser gets through (XSA-206).
 */
void conn_hold(struct conn *guest, struct conn *loser);
/* Does what is due: ends holds, expires transactions. Returns milliseconds to the next, -1: none. */
int conn_timers(void);
/* Something is due at clock_ms == at, or may be: conn_timers() looks at all connections then. */
void conn_timer(uint64_t at);
/* Marks it as having work to do. */
void conn_wake(struct conn *c);
/*
 * One bounded turn: writes, reads and handles requests. Returns true if there is more to do at
 * once.
 */
bool conn_turn(struct conn *c);
/* One turn for each connection that has work. Returns true if some have more. */
bool conn_run_all(void);
/* Unprivileged means that quotas and permissions apply. */
static inline bool conn_priv(const struct conn *c)
{
	return c->domid == 0;
}

/* Sockets have all features; a ring those that it was offered. */
static inline bool conn_feature(const struct conn *c, uint32_t feature)
{
	return !c->ring || (c->dom->features & feature);
}

#endif
