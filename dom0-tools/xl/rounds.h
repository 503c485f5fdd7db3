/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory of a guest that is moved while it runs: all of it, then what it has written meanwhile, then that, until what is left
 * can be sent in the time for which the guest may stand still. docs/migration.md, "Rounds".
 *
 * What a page has in the stream at its end is what it has in the guest at rest: whatever is sent is read behind the log's telling of it
 * (docs/abi.md, "The dirty log"), and a page that comes again counts as it came last.
 */
#ifndef XL_ROUNDS_H
#define XL_ROUNDS_H

#include "dump.h"
#include "saving.h"

struct rounds_limits {
	uint64_t bandwidth; /* bytes a second, while the guest runs; 0: as many as are taken */
	unsigned int downtime; /* ms: how long the last round may take, as it is guessed before it */
	bool cold; /* no rounds: the guest stands still for all of its memory */
	unsigned int
		most; /* so many rounds, and then what is left, whatever that is: nothing is said of them, and it is not slowed; 0: see ROUNDS_MAX */
};
#define ROUNDS_DOWNTIME 300 /* ms, if nobody says otherwise */
#define ROUNDS_MAX 30 /* then it is given up */

struct rounds {
	struct saving *s;
	struct dump *d;
	struct rounds_limits limits;
	struct pv_log log;
	uint64_t *sum; /* of each page as it was sent, in the order of s->run; 0: not known. NULL: nobody has asked for them yet */
	double like,
		looked; /* of the pages that may have been written so many were not, lately, of so many */
	double data, ms; /* pages that were no zeros were sent lately, in so much time */
	unsigned int nr; /* rounds so far */
	unsigned int slow; /* per cent that are taken from it; and */
	unsigned int slow_rounds; /* how many it has not got ahead of */
	double use; /* per cent of a CPU that it had before it was slowed */
};

/*
 * The rounds, of a guest that runs, with s->run[] (saving_begin() has been called). Its lock and its dump are held; the log stays on until dump_end(). Where
 * nobody can tell what it writes, or there is no room to tell it, that is said, and all of its memory is left for saving_rest().
 * 0; or negative, then with a message in s->err, if it was not said yet: the guest may not be stopped.
 */
int rounds_run(struct rounds *r, struct saving *s, struct dump *d,
	       const struct rounds_limits *limits);
/* For saving_rest(): what is left, with the guest at rest and nobody else at its memory but who holds pages of it. As rounds_run(). */
int rounds_last(struct rounds *r);
void rounds_free(struct rounds *r);
/* Waits until so many bytes since @began, xl_now(), are no more than @bandwidth (bytes a second; 0: never). */
void rounds_pace(uint64_t bandwidth, int64_t began, uint64_t bytes);

#endif /* XL_ROUNDS_H */
