/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program of an image, from its start to its end.
 * Owns what it is given and what is done with its processes; the one that calls is the first of its machine.
 */
#ifndef OCI_RUN_H
#define OCI_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "user.h"

struct run {
	const char *root; /* where the image is mounted */
	char **argv, **env; /* with NULL at their ends */
	const char *workdir;
	struct user user;
	int stop_signal;
	int grace; /* seconds */
	enum { RUN_NO_INPUT, RUN_PIPE, RUN_TTY } input; /* params.h, OCI_INPUT */
	unsigned short rows, columns; /* of the terminal; 0: not known */
	void (*started)(void); /* is called once it is the program that runs */
};

#define RUN_RESULT 600
/* What the first process is sent: the program is to end. */
#define RUN_END SIGTERM
#define RUN_AGAIN SIGINT /* and to begin anew */

/* To be called first: nothing that asks for the end may be missed. */
void run_block_signals(void);
/* Starts it, waits, and ends whatever is left of it. @result: as OCI_RESULT (params.h). True: it is to begin anew. */
bool run(const struct run *r, char result[RUN_RESULT]);
/*
 * Takes the marks out of @n bytes of input, in place; what is left of them. @marked, @end: kept from one piece to the next,
 * false at first; nothing behind the end counts.
 */
size_t run_unmark(char *text, size_t n, bool *marked, bool *end);
/* A signal by its name, with or without SIG, or number; -1: there is none. */
int run_signal(const char *name);

#endif /* OCI_RUN_H */
