/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxenstore: the stream to the daemon, a socket or the kernel's device. Nothing here is for programs.
 * Owns how long anything may wait for it.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

struct stream {
	int fd; /* -1: none */
	bool socket;
	bool nowait; /* one that nobody listens on is an error at once */
	/* xs_patience() */
	int patience; /* ms; -1: for ever */
	const volatile int *interrupted; /* or NULL */
};

/*
 * Opens the socket or device at @path (may be NULL). A socket that nobody listens on is waited for, as long as a daemon may take
 * to be started again, unless s->nowait. False with errno, and s->fd -1.
 */
bool stream_open(struct stream *s, const char *path);
/* All of @len bytes. False with errno: EBADF at the stream's end, ETIMEDOUT or EINTR when patience was. */
bool stream_read(struct stream *s, void *data, size_t len);
/* One message of these pieces, XENSTORE_PAYLOAD_MAX bytes and a header at most; as stream_read(). */
bool stream_write(struct stream *s, const struct iovec *iov, int num);

#endif
