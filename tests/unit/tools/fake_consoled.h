/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xenconsoled's whole event loop for tests: with a real xenstored and a pretended hypervisor, which the daemon, a child, shares
 * with the test. Owns the processes, the guests' rings and the directory that all of it is in.
 */
#ifndef FAKE_CONSOLED_H
#define FAKE_CONSOLED_H

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <xenstore.h>

#include "guest.h"

/* Each step, of which many follow one another while xenstored is away; that itself lasts as long as the test wants. */
#define PATIENCE_MS 5000
#define FIRST 5 /* domids */
#define SECOND 6
#define PORT 100 /* and the domid: the daemon's own number of the channel */
#define CHANNELS 2 /* of FIRST, with numbers from 1 on: a pty, a socket */
#define GRANT 8 /* and the channel's number: what its ring is granted by; others are refused */
#define GUEST_PORT 16 /* and the channel's number: its port, of the guest's; others are refused */
#define CHANNEL_PORT 200 /* and the channel's number: the daemon's own */

struct shared {
	bool there[2]; /* FIRST, SECOND */
	struct xencons_interface ring[2], channel[CHANNELS + 1];
	int mapped; /* channels' rings */
	int lists; /* of all domains, asked for */
	bool refuses; /* to map a console's ring */
};
extern struct shared *sh;
extern int event[2]; /* a pipe of port numbers */
extern char path[9][64];
enum { SOCKET, PID, LOGS, SOCKETS, LOG1, LOG2, SOCK1, SOCK2, AGENT };
extern pid_t store_pid, daemon_pid;
extern struct xs_handle *xs;

/* Once for all tests. 0, or the exit status. */
int world_begin(void);
void world_end(void);
/* Neither daemon runs yet. */
int world_new(void);
int world_teardown(void **state);

bool until(bool (*done)(uint32_t domid), uint32_t domid);
bool typed(uint32_t domid);
/* The guest prints, and is not kept waiting. */
void print(uint32_t domid, const char *s);
/* What xl writes of a guest. */
void describe(uint32_t domid, const char *name);
bool announced(uint32_t domid);
bool log_ends(const char *file, const char *end);
void start_store(void);
void kill_store(void);
void start_daemon(void);

#endif /* FAKE_CONSOLED_H */
