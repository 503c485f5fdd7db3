/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxenstore: clients' side of the xenstore protocol.
 * Source- and binary-compatible with the header of the same name of Xen 4.17.
 * Functions that fail set errno. Handles may be used by several threads at once.
 */
#ifndef XENSTORE_H
#define XENSTORE_H

#include <xenstore_lib.h>

#define XBT_NULL 0

/* Accepted and ignored. */
#define XS_OPEN_READONLY (1UL << 0)
/* Not through the kernel's device: without a daemon that waits for ever. */
#define XS_OPEN_SOCKETONLY (1UL << 1)
/* xs_unwatch() also drops events of that watch that were received but not read yet. */
#define XS_UNWATCH_FILTER (1UL << 2)
/*
 * Not Xen's, for event loops: through the socket only, and a daemon that is away is not waited for. xs_open() fails at once, with
 * ECONNREFUSED or ENOENT; so does every request from then on when the daemon goes, and whoever wants another handle opens
 * one. How long a daemon that is there and does not answer is waited for is xs_patience()'s.
 */
#define XS_OPEN_NOWAIT (1UL << 16)

struct xs_handle;
typedef uint32_t xs_transaction_t;

/* Connects to the daemon's socket, or through the kernel's device where there is no socket. */
struct xs_handle *xs_open(unsigned long flags);
void xs_close(struct xs_handle *xsh); /* NULL is fine */

/*
 * Not Xen's: from now on no request waits for longer than @ms (-1: no limit) nor, once a signal's
 * handler has set *@interrupted (may be NULL), for longer than 3 s. Then it fails with ETIMEDOUT or EINTR, and so does every
 * later one at once. With @lost (may be NULL) the same when a daemon that went has not come back within
 * the usual time; it is called once, with an errno, and must not use the handle.
 */
void xs_patience(struct xs_handle *xsh, int ms, const volatile int *interrupted,
		 void (*lost)(int err));

/*
 * Not Xen's: from here on what is written, made and given permissions in transaction @t is sent many requests at a time, and seems to succeed
 * unless one before it is known to have failed. xs_batch_end(): have all? False with the errno of the first that has not; it is to be called
 * before the transaction's end. Not for a handle with which another thread waits for events.
 */
void xs_batch_begin(struct xs_handle *xsh, xs_transaction_t t);
bool xs_batch_end(struct xs_handle *xsh);

/* Older names for the same. */
struct xs_handle *xs_daemon_open(void);
struct xs_handle *xs_domain_open(void);
struct xs_handle *xs_daemon_open_readonly(void);
void xs_daemon_close(struct xs_handle *h);

/* In the child after fork(): forgets the handle without disturbing the parent's connection. */
void xs_daemon_destroy_postfork(struct xs_handle *h);

/* Names of children: one block, to be freed with one free(). */
char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num);
/* Value with a NUL behind its *len bytes (len may be NULL); free(). */
void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len);
bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
	      unsigned int len);
bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path);
/* With everything below it. */
bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path);
/* Always false with ENOSYS: the protocol has it no more. */
bool xs_restrict(struct xs_handle *h, unsigned int domid);
/* First entry: owner, and rights of all who are not listed. free(). */
struct xs_permissions *xs_get_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
					  unsigned int *num);
bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
			struct xs_permissions *perms, unsigned int num_perms);

/* Events on path and below will come with token; one comes at once. */
bool xs_watch(struct xs_handle *h, const char *path, const char *token);
/*
 * The same no further than @depth levels below. With 1, an event on @introduceDomain or @releaseDomain says whose it is, as
 * "@releaseDomain/5". False with EINVAL: a xenstored that cannot (Xen's before 4.21).
 */
bool xs_watch_limited(struct xs_handle *h, const char *path, const char *token, unsigned int depth);
/* To poll() for reading: ready when xs_check_watch() may have something. Never read from it. */
int xs_fileno(struct xs_handle *h);
/* v[XS_WATCH_PATH], v[XS_WATCH_TOKEN], one free(); NULL with EAGAIN when there is no event. */
char **xs_check_watch(struct xs_handle *h);
/* The same, waiting. *num: strings returned. */
char **xs_read_watch(struct xs_handle *h, unsigned int *num);
bool xs_unwatch(struct xs_handle *h, const char *path, const char *token);

/* 0 on failure. */
xs_transaction_t xs_transaction_start(struct xs_handle *h);
/* False with EAGAIN: somebody else changed what this transaction used; do it again. */
bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort);

bool xs_introduce_domain(struct xs_handle *h, unsigned int domid, unsigned long mfn,
			 unsigned int eventchn);
bool xs_set_target(struct xs_handle *h, unsigned int domid, unsigned int target);
bool xs_resume_domain(struct xs_handle *h, unsigned int domid);
bool xs_release_domain(struct xs_handle *h, unsigned int domid);
/* free() */
char *xs_get_domain_path(struct xs_handle *h, unsigned int domid);
/* Is child the same as parent, or below it? */
bool xs_path_is_subpath(const char *parent, const char *child);
bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid);

/* cmd and the len bytes at data (NUL-terminated arguments). The answer: free(). */
char *xs_control_command(struct xs_handle *h, const char *cmd, void *data, unsigned int len);
char *xs_debug_command(struct xs_handle *h, const char *cmd, void *data, unsigned int len);

/* The event channel by which a guest wants to be asked to suspend; -1 if it has none. */
int xs_suspend_evtchn_port(int domid);

#endif
