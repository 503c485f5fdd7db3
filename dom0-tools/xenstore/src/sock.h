/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Unix socket transport: dom0's tools.
 * It owns the listening socket and its clients' file descriptors.
 * Whoever can open the socket has dom0's rights.
 */
#ifndef XS_SOCK_H
#define XS_SOCK_H

#include "conn.h"

/*
 * Listens at path, mode 0600, making its directory when it is missing. A socket left by a dead
 * daemon is replaced, one that answers is not (-EADDRINUSE). Returns the fd or -errno.
 */
int sock_listen(const char *path);
/* Keeps a descriptor back, for telling a client that there is none left. */
void sock_spare(void);
/* A client that came over a live update: c->fd is open. epoll as below. */
void sock_adopt(struct conn *c, int epoll);
/*
 * Accepts one client, whose events `epoll` will tell with the connection as their pointer. NULL
 * when there is none (for the moment).
 */
struct conn *sock_accept(int listen_fd, int epoll);
/* The kernel says that it can be read or written again (events: EPOLL*). */
void sock_event(struct conn *c, uint32_t events);

#endif
