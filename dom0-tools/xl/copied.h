/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks that come along with a guest from another host (xl migrate --copy-disks), into files that are made for them.
 */
#ifndef XL_COPIED_H
#define XL_COPIED_H

#include "migrate.h"
#include "saved.h"

struct copied {
	const char *from; /* for messages */
	int *fd; /* of s->in.disk[], */
	char **path;
	unsigned int nr; /* so many have been made */
};

/*
 * Makes a file for each of s->in.disk[], as long, with nothing in it. Each must be one of @cfg's raw disks that it can write to, and its file not be there. They
 * are in the note then, so that whoever settles that removes them if the guest does not come. 0, or -1 after a message; copied_end() in any case.
 */
int copied_begin(struct copied *c, const struct saved *s, const struct xl_config *cfg,
		 struct incoming *note);
/* A DISK that was handed out. 0, or -1 after a message. */
int copied_put(struct copied *c, const struct pv_record *r);
/* All of it is on the disk. 0, or -1 after a message. */
int copied_sync(struct copied *c);
/* @drop: the files go. */
void copied_end(struct copied *c, bool drop);

#endif /* XL_COPIED_H */
