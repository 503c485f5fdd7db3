/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a snapshot of a guest is, and where: xl snapshot, snapshot-list, -revert and -delete go by this. docs/architecture.md, "Snapshots".
 *
 * It is a directory DIR/GUEST/NAME (DIR is xl.conf's snapshot_dir):
 *	about		lines of a word and what it says, beginning with "Pavise snapshot 1"
 *	config		the guest's configuration then
 *	memory		the stream of xl save (docs/save-format.md); not of one that is of disks only
 * and for each disk a file beside that, DISK'S DIRECTORY/.snapshots/GUEST~NAME~VDEV, since only there can it share blocks with it.
 *
 * It is there once its directory has that name; until then, and when it goes, it is called NAME.part, and whoever has the guest's snapshots
 * for himself the next time removes that with its disks' files. So a kill leaves nothing.
 */
#ifndef XL_SNAPSHOT_H
#define XL_SNAPSHOT_H

#include "xl.h"

struct snapshots { /* a guest's; nobody else changes them meanwhile */
	char *guest, *dir;
	int lock;
};

struct snapshot_disk {
	char vdev[32];
	char *target; /* the guest's own */
	char *file; /* the snapshot of it */
	uint64_t size; /* bytes */
};

struct snapshot {
	char *name, *dir;
	char uuid[37];
	int64_t time; /* seconds since 1970 */
	uint64_t pages; /* of memory; 0: of disks only */
	struct snapshot_disk *disk;
	unsigned int nr_disks;
};

/* NULL, or what is wrong with it as a snapshot's name. */
const char *snapshot_bad_name(const char *name);
/* @make: their directory, if there is none. 0, or -1 after a message. snapshots_unlock() in any case. */
int snapshots_lock(struct snapshots *g, const char *guest, bool make);
void snapshots_unlock(struct snapshots *g);

/* A new one, so far NAME.part. 0, or -1 after a message. snapshot_free() in any case, here and below. */
int snapshot_begin(struct snapshots *g, struct snapshot *s, const char *name);
/* One more disk of it, whose file is still to be made; its directory is. 0, or -1 after a message. */
int snapshot_add_disk(struct snapshots *g, struct snapshot *s, const char *vdev,
		      const char *target);
/* The directory of such a file, which goes with the last that is in it. 0, or -1 after a message. */
int snapshot_make_room(const char *file);
/* The same, whose @file is somewhere else, of one that is no directory's (zeroes). 0, or -1 after a message. */
int snapshot_add_file(struct snapshot *s, const char *vdev, const char *target, const char *file);
/* "about" and "config", before there is any disk's file. 0, or -1 after a message. */
int snapshot_note(struct snapshot *s, const char *config);
/* All of it is on the disk: it gets its name. 0, or -1 after a message. */
int snapshot_end(struct snapshots *g, struct snapshot *s);
/* It goes, begun or whole, with what there is of it. 0, or -1 after a message. */
int snapshot_remove(struct snapshots *g, struct snapshot *s);

/* 0, or -1 after a message. */
int snapshot_read(struct snapshots *g, struct snapshot *s, const char *name);
/* The path of a file of it; the caller frees. */
char *snapshot_path(const struct snapshot *s, const char *file);
void snapshot_free(struct snapshot *s);

/*
 * Calls @fn for each of @guest (NULL: of all), in the order of names; what others do meanwhile may be seen or not. One that cannot
 * be read is told of. 0, or -1 after a message.
 */
int snapshots_each(const char *guest,
		   void (*fn)(const char *guest, const struct snapshot *s, void *ctx), void *ctx);

#endif /* XL_SNAPSHOT_H */
