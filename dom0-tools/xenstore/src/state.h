/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the daemon knows, as bytes: what a checkpoint holds and a live update hands over.
 * It owns the format. Written down are the store and each version of it that a transaction holds,
 * domains, quotas, and connections with their watches, transactions, queues and ring offsets.
 * Not written down is what can be asked or computed again: accounts, ports, mappings.
 */
#ifndef XS_STATE_H
#define XS_STATE_H

#include "buf.h"
#include "conn.h"

/* The format's number: a daemon reads its own and those before it, from 1 on. */
#define STATE_VERSION 2

/* Appends the whole state. The sockets' descriptors are in it, for a live update. */
void state_save(struct buf *b);
/*
 * Makes the daemon's state of it; called with store_init() and watch_init() done, and nothing else.
 * Rings are not attached and sockets not open: their connections have the transport `detached`
 * (record.h). Returns 0, or -1 with *why; the state is then in pieces and the process must end.
 */
int state_load(const void *data, size_t len, const char **why);

/*
 * What was half said to and by a client: the bytes of a request, and messages that wait. Of use in a
 * file that goes elsewhere, too (move.c). Reading adds to c, which has neither; sets i->bad.
 */
void talk_save(struct buf *b, const struct conn *c);
void talk_load(struct in *i, struct conn *c);

/* state_tree.c: blobs, permission lists and nodes, each written once however many refer to it. */
struct objects;
struct objects *objects_new(void);
void objects_free(struct objects *o);
/* Each gives the object's number, 0 for NULL, and puts it and what it refers to into b before. */
uint32_t put_blob(struct objects *o, struct buf *b, const struct blob *blob);
uint32_t put_perms(struct objects *o, struct buf *b, const struct perms *p);
uint32_t put_node(struct objects *o, struct buf *b, const struct node *n);
/* Reads num objects. False: they make no sense. */
bool objects_load(struct objects *o, struct in *i, uint32_t num);
uint32_t objects_count(const struct objects *o);
/* New references. NULL for number 0, and, with in->bad set, for one that is of another kind. */
struct blob *obj_blob(struct objects *o, struct in *i, uint32_t id);
struct perms *obj_perms(struct objects *o, struct in *i, uint32_t id);
struct node *obj_node(struct objects *o, struct in *i, uint32_t id);

#endif
