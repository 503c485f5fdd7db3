/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that is being saved: what xl save (cmd_save.c) has found out of it, and the stream that comes of that (saving.c).
 */
#ifndef XL_SAVING_H
#define XL_SAVING_H

#include "saved.h"

struct saving {
	struct xl *xl;
	const char *guest, *file; /* as they were given */
	uint32_t domid;
	bool suspended; /* by itself (suspend.h); else it is whole */
	struct pv_stream_out out;
	struct pv_err err;
	char *config;
	uint8_t *state, *store; /* records' bodies; of the latter so far only the watches */
	uint32_t state_size, store_size;
	unsigned long watches;
	struct hvm_riscv_domain domain;
	struct pv_stream_run *run;
	unsigned int nr_runs;
	uint64_t pages;
};

/* saving_config.c: s->config, from @file, or if that is NULL from what is known of the guest. 0, or -1 after a message. */
int saving_config(struct saving *s, const char *file);
/* Into what will be STORE. 0 or -E2BIG with a message in @err. */
int saving_add(struct saving *s, const struct pv_stream_node *h, const char *path,
	       const char *value, struct pv_err *err);
/* All of it, from its headers to its end. 0, or negative, and if it was not said yet with a message in s->err. */
int saving_write(struct saving *s, int fd);
void saving_free(struct saving *s);

#endif /* XL_SAVING_H */
