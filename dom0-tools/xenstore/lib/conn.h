/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxenstore: how its requests (xs.c) use the connection (conn.c). Nothing here is for programs.
 */
#ifndef CONN_H
#define CONN_H

#include <sys/uio.h>
#include "xenstore.h"

struct msg {
	struct msg *next;
	struct xsd_sockmsg hdr;
	char body[]; /* hdr.len bytes and a NUL */
};

/*
 * Sends a request of the pieces iov[1..num-1] (iov[0] is for the header) and returns the good
 * reply, which the caller frees; NULL with errno. One whose daemon died is sent again where that is
 * right.
 */
struct msg *conn_talk(struct xs_handle *h, xs_transaction_t t, uint32_t type, struct iovec *iov,
		      int num);
/* A request of NUL-terminated strings; the list ends with NULL. */
struct msg *conn_talk_strings(struct xs_handle *h, xs_transaction_t t, uint32_t type, ...);
/* Frees a reply whose content does not matter; was there one? */
bool conn_done(struct msg *m);
/* Makes one block of the strings in data: pointers first. */
char **conn_split_strings(const char *data, size_t len, unsigned int *num);
/* Whether the last request was sent twice, because the daemon died in between. */
bool conn_repeated(const struct xs_handle *h);

#endif
