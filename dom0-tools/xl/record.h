/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What outlives a guest's supervisor: a file in /run/xen/minder that it holds locked as long as it lives, with all that another
 * process needs to go on in its place; and beside it the configuration of the guest's present life, ID.cfg.
 */
#ifndef XL_RECORD_H
#define XL_RECORD_H

#include "xl.h"

#define RECORD_DIR XL_RUN_DIR "/minder"
#define RECORD_ID 7 /* with its end */
/* So many dead guests of rename-restart's are kept; the oldest goes for the next. */
#define RECORD_CORPSES 4
#define RECORD_MACS 32
#define RECORD_NAME 72

enum record_phase {
	RECORD_MADE = 1, /* whole, and paused: it has not been let go yet */
	RECORD_LIVES,
	RECORD_ENDED, /* what is to come is decided */
	RECORD_BETWEEN, /* the next life is being made: the last one may be gone, or half gone */
};

struct corpse {
	uint32_t domid;
	uint8_t handle[16];
};

/* Written as it is: it is this program's own, and no longer than dom0's present life. */
struct record_data {
	uint32_t magic, phase, domid;
	uint8_t handle[16], aside_handle[16], next_handle[16];
	int64_t began;
	int32_t quick, quick_crashes, action, aside, nr_corpses;
	struct corpse corpse[RECORD_CORPSES];
	uint8_t last, core;
	/* Of the configuration, what is not in its file. */
	char name[RECORD_NAME], pool[RECORD_NAME]; /* "": none is named */
	uint64_t memory, maxmem; /* MiB */
	uint32_t vcpus, nr_macs;
	struct {
		uint32_t devid;
		uint8_t mac[6];
	} mac[RECORD_MACS];
};

struct record {
	char id[RECORD_ID];
	int fd; /* -1: there is none */
};

/* A new one, locked. */
int record_make(struct record *r);
/* Its lock and contents. 0; -EBUSY: its supervisor lives; -ENOENT: it has gone; -EINVAL: it is none, and locked all the same. */
int record_claim(struct record *r, const char *id, struct record_data *d);
/* What is in it, without its lock. False: it is none (yet). *@held: somebody has the lock. */
bool record_look(const char *id, struct record_data *d, bool *held);
void record_write(struct record *r, struct record_data *d);
/* The guest has no further life, or is nobody's any more: the files go. */
void record_drop(struct record *r);
/* ID.cfg; the caller frees. */
char *record_config(const struct record *r);
void record_each(void (*fn)(const char *id, void *ctx), void *ctx);

#endif /* XL_RECORD_H */
