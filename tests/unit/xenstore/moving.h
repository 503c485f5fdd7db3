/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of guests that move share: from one host to another by a file.
 * Two hosts are one daemon before and after it forgot everything; what goes along is the guest's page
 * and what the guest itself remembers. The model is the guest that stayed.
 */
#ifndef MOVING_H
#define MOVING_H

#include "journal.h"
#include "move.h"
#include "record.h"
#include "spell.h"
#include "support.h"

extern char dir[64], file[96]; /* the test's directory, the guest's file in it */

#define CONTROL(text) request(d0, XS_CONTROL, 0, text, sizeof(text))

/* CONTROL <what> <domid> [<arg>]: 0 or -errno. */
int control(const char *what, unsigned int domid, const char *arg);
/* The reply without the file's name in front. */
const char *said(void);
#define expect_said(what, domid, text) \
	do { \
		assert_int_equal(control(what, domid, file), 0); \
		assert_string_equal(said(), text); \
	} while (0)

/* The daemon has heard of the guest's ring; nothing is taken out of it. */
void let_run(struct client *g);
void resume(unsigned int domid); /* XS_RESUME */
/* A guest with a home that is its own. */
struct client *born(unsigned int domid);
/* One that has everything that a file can have, in few bytes. */
struct client *rich(unsigned int domid);

/* What the guest has in its memory. */
struct memory {
	struct xenstore_domain_interface page;
	struct client *cl; /* freed by arrive() */
};

/* Exports it. */
void freeze(struct client *g, struct memory *m);
/* Another host, which knows nobody. */
void other_host(void);
/* The domain that the guest is to become, with its memory, introduced and parked. */
struct client *landing(unsigned int domid, const struct memory *m);
/* And its file in it; parked still. */
struct client *arrive(unsigned int domid, struct memory *m);
/* To another host and on. */
struct client *move(struct client *g, unsigned int domid);
/* Into the same number elsewhere, and on: the file comes out again as it went in. */
struct client *expect_same(struct client *g);

/* The file's bytes. */
char *slurp(size_t *len);
void spill(const char *p, size_t len);

/* As setup() and teardown(), with the directory. */
int move_start(void **state);
int move_stop(void **state);

#endif
