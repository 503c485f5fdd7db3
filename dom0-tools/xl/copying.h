/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that go along with a guest to another host (xl migrate --copy-disks). Like memory, they go while it runs: what is in a snapshot of each, then what is other
 * in the next one, and when it stands still what is other on the disk itself. docs/migration.md, "Disks that go along".
 */
#ifndef XL_COPYING_H
#define XL_COPYING_H

#include "saving.h"

struct copying {
	struct saving *s;
	uint64_t bandwidth; /* bytes a second while it runs; 0: as many as are taken */
	bool cold; /* all of it when it stands still: no snapshots are needed */
	struct copying_disk {
		char *target;
		char *given; /* as its configuration names it, here and there */
		char *snap; /* of what has been sent; NULL: nothing has been */
		uint64_t size;
	} * disk;
	unsigned int nr, at; /* disks; the one that is being sent */
	unsigned int round;
	bool last; /* it stands still */
	int64_t began;
	uint64_t stream, bytes; /* of the stream when this round began; of disks in it so far */
};

/* Which disks: the body of DISKS for saving_begin(), in s->disks. Its lock is held. 0, or -1 after a message. copying_end() in any case. */
int copying_begin(struct copying *c, struct saving *s, uint64_t bandwidth, bool cold);
/* While it runs. 0; or negative, and if it was not said yet with a message in s->err. */
int copying_rounds(struct copying *c);
/* It stands still, and its disks are drained: the rest. The same. */
int copying_last(struct copying *c);
/* Nothing of it is left but what was sent. */
void copying_end(struct copying *c);

#endif /* XL_COPYING_H */
