/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Live update: another program takes this process over, with all that it knows.
 * It owns the steps from the request to execve(). The state goes through the journal; the sockets,
 * the listening one and the locked pid file stay open across it, rings are bound anew.
 */
#ifndef XS_LIVEUPDATE_H
#define XS_LIVEUPDATE_H

#include <stdbool.h>
#include "proto.h"

/* CONTROL live-update, with Xen's arguments: -f FILE, -c ARGUMENTS, -s [-t SECONDS] [-F], -a. */
int req_live_update(struct req *r, char **v, int n);

/* What the new program must be told. argv: as this one was started. */
struct live_update {
	char **argv;
	int listen_fd, pid_fd;
	const char *journal;
};
void live_update_init(const struct live_update *l);
/* Was it asked for? To be looked at between requests. */
bool live_update_due(void);
/* Does not return when it succeeds; else it has logged why, and all goes on. */
void live_update_go(void);

#endif
