/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that runs, at one moment: a snapshot of it that is being taken (snapshot.h), or a clone of it that is being made.
 */
#ifndef XL_TAKING_H
#define XL_TAKING_H

#include "rounds.h"
#include "snapshot.h"

struct taking {
	bool memory, disks, copy; /* the caller's: what is to be in it; disks may be copied */
	const char *
		clone; /* the caller's: the name of the guest that is being made; NULL: a snapshot is taken */
	uint16_t fork; /* the caller's: for whom no memory is kept (pv_fork()) */
	uint8_t handle[16]; /* taking_look()'s */
	struct snapshots all; /* the guest's, locked */
	struct snapshot snap;
	char *guest; /* its name */
	uint64_t stood; /* ms that it stood still for */
	struct saving s;
	struct dump d;
	struct rounds rounds;
	int fd; /* of its memory's file */
	char *part; /* what that is called at first */
	int64_t still; /* since when it stands still */
};

/*
 * Takes it, whole and on the disk, but so far called NAME.part: snapshot_end() or snapshot_remove() is the caller's. The guest, whose lock is held,
 * runs on. @t is zeroes but for what the caller says. 0; or -1 after a message, and nothing is left. taking_end() in any case.
 */
int taking_begin(struct taking *t, struct xl *xl, uint32_t domid, const char *guest,
		 const char *name);
void taking_end(struct taking *t);

/* The message that free memory is missing for what they may write. -1 */
int taking_no_memory(const char *guest, const char *clone, uint64_t pages, uint16_t fork);
/* What the disk @vdev of a clone is called whose original has @target; the caller frees. */
char *taking_disk(const char *target, const char *clone, const char *vdev);
/*
 * What there is to be cloned of a guest that runs, whose lock is held: t->s.config, how it goes on, and t->snap's disks, whose files are the clone's and are
 * not made yet. @t is zeroes but for what the caller says. 0, or -1 after a message. taking_end() in any case.
 */
int taking_look(struct taking *t, struct xl *xl, uint32_t domid, const char *guest);
/*
 * The moment: @child, which has no memory yet, gets this one's, the clone's disks, which disk_store_make() has made, what is on this one's, and t->fd is the stream of all else (saved_forked()). The
 * guest, whose lock is held, and which is still the one that taking_look() has seen (t->handle), runs on. 0, or -1 after a message.
 */
int taking_fork(struct taking *t, uint32_t child);

#endif /* XL_TAKING_H */
