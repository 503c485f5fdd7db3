/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot that is being taken of a guest that runs (snapshot.h): for xl snapshot, and for xl clone, which uses it up.
 */
#ifndef XL_TAKING_H
#define XL_TAKING_H

#include "rounds.h"
#include "snapshot.h"

struct taking {
	bool memory, disks, copy; /* the caller's: what is to be in it; disks may be copied */
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

#endif /* XL_TAKING_H */
