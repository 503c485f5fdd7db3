/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the unit tests of xenstored share: a hypervisor made of arrays, and clients made of buffers.
 * A privileged client is a connection over memory; a guest is a real ring that the test fills.
 * Replies and events are kept apart, as a real client would.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "conn.h"
#include "domains.h"
#include "hv.h"
#include "proto.h"
#include "ring.h"
#include "store.h"
#include "util.h"
#include "watch.h"

struct reply {
	struct xsd_sockmsg hdr;
	char body[XENSTORE_PAYLOAD_MAX + 1];
};

struct client {
	struct conn *c; /* privileged ones */
	struct xenstore_domain_interface *ring; /* guests */
	unsigned int domid;
	char buf[1 << 20]; /* bytes from the daemon that are no whole message yet */
	size_t len;
	struct reply rep; /* the last reply */
	char events[64][2][256]; /* path, token */
	unsigned int num_events;
	bool no_drain; /* this guest takes nothing from its ring */
};

/* Fresh daemon state, with d0 a privileged client. */
int setup(void **state);
int teardown(void **state);
extern struct client *d0;

struct client *priv_new(void);
/* The ring that this domain will be found to have; the caller owns it. */
void page_set(unsigned int domid, void *page);
struct client *guest_new(unsigned int domid);
void client_free(struct client *cl);
/* Lets the daemon work until it has nothing to do, and takes what it sends. */
void run(struct client *cl);
/* Sends a request and returns 0 or the error as a negative errno. */
int request(struct client *cl, uint32_t type, uint32_t tx, const void *body, size_t len);
void ring_put(struct client *cl, const void *data, size_t len);

int xread(struct client *cl, uint32_t tx, const char *path); /* value in cl->rep.body */
int xwrite(struct client *cl, uint32_t tx, const char *path, const char *val);
int xpath(struct client *cl, uint32_t type, uint32_t tx, const char *path); /* RM, MKDIR, DIRECTORY,
									       ... */
/* perms: "n0 r3", blanks between */
int xperms(struct client *cl, uint32_t tx, const char *path, const char *perms);
int xwatch(struct client *cl, const char *path, const char *token);
uint32_t xstart(struct client *cl);
int xend(struct client *cl, uint32_t tx, bool commit);
/* Asserts that the events since the last call are these, "path:token" with blanks between. */
void expect_events(struct client *cl, const char *list);

/* The fake hypervisor. */
extern struct hv_dominfo fake_info[16];
extern int fake_infos; /* -1: nobody knows */
extern unsigned int fake_maps; /* pages mapped at the moment */
extern unsigned int fake_notifies;

#endif
