/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The terminal that a guest was created from, for what its supervisor has to tell after xl create is back.
 */
#ifndef XL_CREATOR_H
#define XL_CREATOR_H

#include "xl.h"

struct creator {
	int fd; /* of the terminal; -1: there is none */
	pid_t session; /* whose it is: its leader's process, when that began, and its terminal's number */
	uint64_t began;
	int tty;
	int64_t until; /* how long an end is an early one */
};

/*
 * Notes the terminal on stderr, if it is the one this process is controlled by; a pipe or a file is none: who reads it would wait for
 * its end. @c->fd has an open file of its own that never blocks.
 */
void creator_open(struct creator *c);
/* Is @c's guest's end, which comes now, one to be told of? */
bool creator_early(const struct creator *c);
/* Forgets the terminal. @c->fd is -1 afterwards. */
void creator_close(struct creator *c);
/*
 * Tells of an early end, and forgets the terminal. Writes nothing if the session that the guest was created in has ended or has left
 * that terminal, which somebody else may have by then. Never blocks: what the terminal does not take at once is lost.
 */
void creator_tell(struct creator *c, const char *name, const struct report *r);

#endif
