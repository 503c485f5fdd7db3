/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that is being saved, into a file (cmd_save.c) or to another host (cmd_migrate.c): what has been found out of it
 * (saving_guest.c, saving_config.c), and the stream that comes of that (saving.c).
 */
#ifndef XL_SAVING_H
#define XL_SAVING_H

#include "saved.h"

struct saving {
	struct xl *xl;
	const char *guest, *file; /* as they were given */
	uint32_t domid;
	enum saving_how { SAVING_ANY, SAVING_WHOLE, SAVING_SUSPENDED } how; /* it is to be saved */
	bool suspended; /* by itself (suspend.h); else it is whole, */
	bool connected; /* with its connection to xenstored and its devices as they are (whole.h), or without devices */
	bool packed; /* the caller's: its pages are packed, where that is shorter */
	struct pv_stream_out out;
	int patience; /* ms that whoever reads it may take nothing, if its descriptor does not block; 0: as long as it likes */
	struct pv_err err;
	char *config;
	uint8_t *state, *store,
		*connection; /* records' bodies; of STORE so far only watches, or back ends' nodes */
	uint32_t state_size, store_size, connection_size;
	unsigned long watches;
	struct hvm_riscv_domain domain;
	struct pv_stream_run *run;
	unsigned int nr_runs;
	uint64_t pages;
	uint64_t timebase; /* that HOST has told of */
	uint8_t *disks; /* the body of DISKS, which goes with it; NULL: none go along */
	uint32_t disks_size;
	bool forked; /* the caller's: its memory is not in the stream */
	struct rounds *
		rounds; /* (rounds.h) most of its memory has gone before, while it ran; NULL: all of it is to go with the rest */
};

/* Pages on their way into the stream, together. */
struct saving_batch {
	unsigned int n; /* PV_STREAM_BATCH at most */
	uint64_t gfn[PV_STREAM_BATCH];
	uint8_t kind[PV_STREAM_BATCH];
	uint8_t page[PV_STREAM_BATCH][PV_PAGE_SIZE]; /* of kind PV_PAGE_DATA; else it is anything */
};

/* --- saving_guest.c -------------------------------------------------------------------------- */

/*
 * May it be saved, and how (@s->suspended, @s->connected)? The domain's lock is held, here and below. 0, or -1 after a message.
 */
int saving_check(struct saving *s);
/* The runs of its RAM: s->run, s->nr_runs, s->pages. Once. 0, or -1 after a message. */
int saving_map(struct saving *s);
/*
 * Of one that is paused: what the hypervisor and xenstored hold of it. 0, or -1 after a message. In any case saving_undo() is due if it
 * is to go on here.
 */
int saving_state(struct saving *s);
/* It goes on here as it was, once it is unpaused. 0, or -1 after a message. */
int saving_undo(struct saving *s);
/* One that is paused does nothing more, and may have ended before, or by its watchdog. 0 and *@info, or -1 after a message. */
int saving_goes_on(struct saving *s, struct xen_domctl_getdomaininfo *info);
/* What was told of its memory by saving_map() is so still. 0, or -1 after a message. */
int saving_same_map(struct saving *s);

/* --- saving_config.c, saving.c --------------------------------------------------------------- */

/* saving_config.c: s->config, from @file, or if that is NULL from what is known of the guest. 0, or -1 after a message. */
int saving_config(struct saving *s, const char *file);
/* Into what will be STORE. 0 or -E2BIG with a message in @err. */
int saving_add(struct saving *s, const struct pv_stream_node *h, const char *path,
	       const char *value, struct pv_err *err);
/*
 * All of it, from its headers to its end: saving_begin() what the guest is, up to STATIC_DATA_END, for which it may run and its state
 * need not be known; saving_rest() the rest (@what: "Saving", for what is shown). 0, or negative, and if it was not said yet with a
 * message in s->err.
 */
int saving_write(struct saving *s, int fd);
int saving_begin(struct saving *s, int fd);
int saving_rest(struct saving *s, const char *what);
/* The kinds and the content of b->gfn[], of a guest that may run. As saving_write(). */
int saving_read(struct saving *s, struct saving_batch *b);
int saving_put(struct saving *s, const struct saving_batch *b);
void saving_free(struct saving *s);

#endif /* XL_SAVING_H */
