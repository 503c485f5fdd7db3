/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is written into the journal when, and how it is done again from there.
 * The daemon is a function of its inputs: bytes that arrive and leave, the hypervisor's answers, the
 * clock, deaths of domains. Each is recorded before anybody outside can tell that it was taken, and
 * a restart feeds the same inputs, in the same order, to the same code.
 *
 * Contract, for a ring: bytes are recorded after they are copied out and before req_cons moves; a
 * request's record is there before any byte of its reply is; bytes of replies and events are
 * recorded before rsp_prod moves. For a socket: a request that may have changed something is
 * recorded before any byte of its reply is sent. Nothing here does anything while no journal is
 * open.
 */
#ifndef XS_RECORD_H
#define XS_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include "conn.h"
#include "hv.h"

/* True while recorded inputs are done again: nothing outside the process may be touched. */
extern bool replaying;
/* Requests that came out differently when done again: the same program never does that. */
extern unsigned int replay_differs;
/* What a ring's connection works on while there is no ring, and how a socket's moves bytes: not. */
extern struct xenstore_domain_interface ring_nowhere;
extern const struct transport detached;

/* A ring's bytes: cons and prod are what the index will be. */
void record_rx(struct conn *c, uint32_t cons, const void *data, size_t len);
void record_tx(struct conn *c, uint32_t prod, size_t len);
/* Around a request. */
void record_begin(void);
void record_request(struct conn *c, const struct xsd_sockmsg *hdr, const char *body);
/* A message was queued for c: part of what a request does, so that a replay can be compared. */
void record_sent(const struct conn *c, const struct xsd_sockmsg *hdr, const void *body);
/* Before the thing itself: */
void record_fail(const struct conn *c, int why);
void record_reset(const struct conn *c);
void record_gone(const struct conn *c);
void record_refill(const struct conn *c);
void record_expire(const struct conn *c, uint32_t tx);
void record_judge(unsigned int domid, unsigned int state);

/* The hypervisor's answers, or while replaying those that it gave then. */
int rec_bind(unsigned int domid, uint32_t remote_port);
void *rec_map_ring(unsigned int domid);
int rec_dominfo(unsigned int first, unsigned int max, struct hv_dominfo *out);
void rec_unbind(uint32_t port);
void rec_unmap_ring(void *page);
void rec_notify(uint32_t port);
/* The same for what else a request finds outside: whether it went well, or did then. */
bool rec_went_well(bool ok);

/*
 * The most that one turn of one connection appends: 8 requests with the bytes in and out of the
 * ring, and what one request of dom0 may fire. Generous; the log is longer. With less room than
 * this a checkpoint is due.
 */
#define RECORD_TURN_MAX ((size_t)256 << 10)

/*
 * To be called where the state is whole, between requests: a checkpoint when the log has no room
 * for one turn of a connection.
 */
void record_safe_point(void);
/* A checkpoint now. Returns 0 or -errno; the journal may have been given up then (logged). */
int record_checkpoint(void);
/* Journal at path from now on. NULL: none. */
void record_path(const char *path);

/*
 * Takes up what the journal at path holds: the state and all that was done since, rings not yet
 * attached. False: there is nothing, and the daemon's state is untouched.
 */
bool recover(const char *path);
extern bool recover_lost; /* some of it was damaged; the log says what */
/*
 * Binds and maps each ring anew, finishes the move of its indices, looks into it, tells its guest.
 * Socket clients are forgotten unless keep_sockets (live update: they have been attached).
 */
void recover_attach(bool keep_sockets);

#endif
