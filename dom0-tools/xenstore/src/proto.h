/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The xs protocol: requests in, replies and events out.
 * It owns the dispatch table, the permission and path checks and the order reply-then-events.
 * A request is handled whole, from (store, connection, request) to (store, reply, events), without
 * waiting.
 */
#ifndef XS_PROTO_H
#define XS_PROTO_H

#include "conn.h"
#include "watch.h"

/* Requests that Xen 4.17's header does not have yet; the numbers are those of later versions. */
#define XS_GET_FEATURE_ 23
#define XS_SET_FEATURE_ 24
#define XS_GET_QUOTA_ 25
#define XS_SET_QUOTA_ 26

struct req {
	struct conn *c;
	struct xsd_sockmsg hdr;
	char *body; /* body[len] is 0 */
	uint32_t len;
	struct tx *tx;
	/* the reply; "OK" when nothing was put */
	char rep[XENSTORE_PAYLOAD_MAX];
	uint32_t rep_len;
	bool rep_set;
	/* events to fire after the reply */
	struct change *changes;
	unsigned int num_changes;
	struct watch *fire;
	const char *special;
	unsigned int special_domid;
	struct dom *arrived; /* its tree came by import-domain */
	struct dom *gone; /* to be forgotten after the reply */
};

/* body has room for a NUL behind its hdr->len bytes, which is there. */
void proto_handle(struct conn *c, const struct xsd_sockmsg *hdr, char *body);

/* Adds bytes to the reply: 0 or -E2BIG. */
int req_put(struct req *r, const void *data, size_t len);
/* Adds text without its NUL. */
int req_printf(struct req *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * Splits the body into at most max NUL-terminated strings. Returns how many, or -EINVAL if more or
 * none.
 */
int req_strings(struct req *r, char **v, int max);

/* As if c's client had asked for it, its rights and quotas included: for a guest that goes on here. */
int req_watch_for(struct req *r, struct conn *c, const char *path, const char *token);

/* proto_domain.c, control.c */
int req_introduce(struct req *r);
int req_release(struct req *r);
int req_get_domain_path(struct req *r);
int req_is_introduced(struct req *r);
int req_resume(struct req *r);
int req_set_target(struct req *r);
int req_get_feature(struct req *r);
int req_set_feature(struct req *r);
int req_get_quota(struct req *r);
int req_set_quota(struct req *r);
int req_control(struct req *r);

#endif
