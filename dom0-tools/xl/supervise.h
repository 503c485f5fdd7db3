/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's supervisor: what its two parts, waiting (supervise.c) and what comes after an end (lives.c), share.
 */
#ifndef XL_SUPERVISE_H
#define XL_SUPERVISE_H

#include "creator.h"
#include "record.h"

#define RECONNECT_MS 500

struct life {
	struct xl *xl;
	struct xl_config *cfg;
	uint32_t domid;
	uint8_t handle[16]; /* the domid may be used again, the UUID is not */
	int report;
	struct creator creator;
	int64_t began;
	int quick, quick_crashes; /* lives, one after the other */
	bool last; /* of those, too many */
	struct corpse corpse[RECORD_CORPSES]; /* the oldest first */
	int nr_corpses, aside; /* there are, and have been */
	/* That the present life is to have when it is put aside; 0: it is not. */
	uint8_t aside_handle[16];
	int64_t due; /* the next look that counts */
	int64_t stock, told; /* when it was looked at, and its ballooning told */
	uint64_t pages, pages_told; /* that it had then */
	uint64_t pages_used; /* for which its use was added up last; 0: not yet */
	bool devices; /* it may have some: they are looked at */
	long target; /* KiB; -1: not known */
	bool retarget; /* it has to be read */
	/* What another process needs to go on in the place of this one. */
	struct record record;
	enum record_phase phase;
	enum xl_action action; /* since RECORD_ENDED */
	bool core; /* its memory is to be saved yet */
	struct oci_end program; /* of the life that ended last */
};

/* --- supervise.c --- */

/* Into the guest's log, or where xl create's messages go. */
void life_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * The log once more, for each message: the file has its bound, and a guest that reboots or reconnects does not decide how much is
 * written.
 */
void life_open_log(void);
/* Connects to xenstored anew, with the watches of the present life; l->xl->xs is NULL when that fails. */
void life_reconnect(struct life *l);
/* Is it there, and has nobody destroyed it? What is held of a destroyed one stays for a while. */
bool life_is_ours(const struct life *l);
/* A life begins. */
void life_remember(struct life *l);
/* Into the record; also its configuration. */
void life_save(struct life *l, enum record_phase phase);
void life_save_config(struct life *l);

/* --- lives.c --- */

/* The guest has ended. NEXT_LIFE: it has another one, to be watched. */
enum next life_after_the_end(struct life *l, unsigned int reason);
/* The same where a supervisor was killed between two lives (RECORD_BETWEEN). */
enum next life_go_on(struct life *l);
/* The first moment of one that was made and not let go when its supervisor was killed (RECORD_MADE). */
void life_let_go(struct life *l);

#endif /* XL_SUPERVISE_H */
