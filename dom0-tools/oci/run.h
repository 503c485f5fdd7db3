/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program of an image, from its start to its end.
 * Owns what it is given and what is done with its processes; the one that calls is the first of its machine.
 */
#ifndef OCI_RUN_H
#define OCI_RUN_H

#include <stddef.h>

#include "user.h"

struct run {
	const char *root; /* where the image is mounted */
	char **argv, **env; /* with NULL at their ends */
	const char *workdir;
	struct user user;
	int stop_signal;
	int grace; /* seconds */
};

#define RUN_RESULT 600

/* To be called first: nothing that asks for the end may be missed. */
void run_block_signals(void);
/* Starts it, waits, and ends whatever is left of it. @result: as OCI_RESULT (params.h). */
void run(const struct run *r, char result[RUN_RESULT]);
/* A signal by its name, with or without SIG, or number; -1: there is none. */
int run_signal(const char *name);

#endif /* OCI_RUN_H */
