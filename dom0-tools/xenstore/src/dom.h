/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon knows of each domain: life, ring, target, usage and quotas.
 * It owns the table of domains and the accounting of nodes and memory to them.
 * A record is born when a domain is first spoken of and dies with the domain.
 */
#ifndef XS_DOM_H
#define XS_DOM_H

#include <stdbool.h>
#include <stdint.h>
#include <xen/io/xs_wire.h>
#include "tree.h"

#define DOM_FIRST_RESERVED 0x7ff0u
#define DOM_NONE 0xffffu
/* In permission lists: every domain. Xen's DOMID_ANY, which 4.17's headers do not have yet. */
#define DOM_ANY 0x7ff5u

/* What a ring's server_features offers; the last two are later than 4.17's io/xs_wire.h. */
#define FEATURE_RECONNECTION XENSTORE_SERVER_FEATURE_RECONNECTION
#define FEATURE_ERROR XENSTORE_SERVER_FEATURE_ERROR
#define FEATURE_WATCH_DEPTH 4
#define FEATURE_DOMID_ANY 8
#define FEATURES_ALL \
	(FEATURE_RECONNECTION | FEATURE_ERROR | FEATURE_WATCH_DEPTH | FEATURE_DOMID_ANY)

/* Numbers of a guest that moves again and again, by which it is still found; older ones are not. */
#define BETWEEN_MAX 16

enum quota {
	Q_NODES, /* nodes owned */
	Q_NODE_SIZE, /* bytes of one node's value */
	Q_WATCHES,
	Q_TRANSACTIONS, /* open at a time */
	Q_TRANS_NODES, /* paths touched by one transaction */
	Q_OUTSTANDING, /* requests whose reply the domain has not taken yet */
	Q_EVENTS, /* watch events that wait for the domain to take them */
	Q_PERMS, /* entries of one permission list */
	Q_PATH, /* length of a path, less /local/domain/<id>/ */
	Q_TX_TIME, /* seconds that a transaction may stay open */
	Q_MEMORY, /* bytes of everything above */
	Q_MAX
};

struct conn;

struct dom {
	struct dom *next;
	uint16_t domid;
	uint16_t target; /* DOM_NONE, or the domain that this one acts for (SET_TARGET) */
	bool introduced; /* INTRODUCE done, no RELEASE since */
	bool shutdown; /* @releaseDomain was sent for its shutdown */
	bool dying;
	/* of one that moves, see move.h */
	bool parked; /* its ring is not touched */
	bool imported; /* a connection was put into it */
	bool untold; /* watches have not heard of its tree yet */
	uint16_t was; /* the number that it believes to have, or DOM_NONE */
	uint16_t between[BETWEEN_MAX]; /* those that it had since, the oldest first (spell.h) */
	uint8_t num_between;
	uint64_t gen_shift; /* added to the generations that it is told */
	uint64_t born; /* generation */
	uint64_t gfn;
	uint32_t remote_port;
	struct conn *conn; /* its ring, or NULL */
	long nodes, watches, txs, mem;
	long limit[Q_MAX]; /* 0: none */
	long max[Q_MAX]; /* the most that was ever granted */
	uint32_t features; /* offered in its ring, FEATURE_* */
};

struct quota_info {
	const char *name, *text;
};

extern const struct quota_info quota_info[Q_MAX];
extern long quota_default[Q_MAX];
extern long quota_max[Q_MAX]; /* of all guests */
int quota_find(const char *name); /* enum quota or -1 */
/* May the domain have `val` of this? Remembers the most that was granted. dom0 always may. */
bool quota_ok(struct dom *d, enum quota q, long val);

struct dom *dom_find(unsigned int domid);
/* Finds or makes the record. domid < DOM_FIRST_RESERVED. */
struct dom *dom_need(unsigned int domid);
/*
 * The record of a domain that lives, made when the hypervisor knows the domain (where nobody knows,
 * on the host, it is believed). NULL if there is no such domain.
 */
struct dom *dom_known(unsigned int domid);
/* Forgets a domain: permissions and ownership given to it up to now stop counting. */
void dom_forget(struct dom *d);
struct dom *dom_first(void);
/* Changes whenever a domain is forgotten: accounts computed before are stale then. */
uint64_t dom_epoch(void);
void dom_set_epoch(uint64_t to);

/* The domain that owns a node, 0 if the owner is dead. */
unsigned int perms_owner(const struct perms *p);
/* Rights of a domain (and of its target) by a list: PERM_*. Domain 0 has all. */
unsigned int perms_rights(const struct perms *p, unsigned int domid);
/*
 * Parses num strings ("r5", "n0", ...) that follow each other in s.
 * Returns 0 and the list, or -EINVAL. The owner must be a domain, the others may also be DOM_ANY.
 */
int perms_parse(const char *s, unsigned int num, uint64_t gen, struct perms **out);
/*
 * Appends NUL-terminated strings, entries of dead domains corrected, and the number `domid` called
 * `shown`. Returns the length, or -E2BIG.
 */
int perms_format(const struct perms *p, unsigned int domid, unsigned int shown, char *buf,
		 unsigned int size);
/* A copy with another owner. */
struct perms *perms_with_owner(const struct perms *p, unsigned int domid, uint64_t gen);
/* A copy without what belongs to dead domains, stamped gen. */
struct perms *perms_clean(const struct perms *p, uint64_t gen);

/* Changes of usage that a request or transaction causes, per owner. */
struct acct_ent {
	unsigned int domid;
	long nodes, mem;
};

struct acct {
	unsigned int num, cap;
	struct acct_ent *v;
};

struct acct_ent *acct_of(struct acct *a, unsigned int domid);
void acct_add(struct acct *a, const struct node *n, int sign);
void acct_merge(struct acct *a, const struct acct *b);
/* Books the changes. */
void acct_apply(const struct acct *a);
void acct_free(struct acct *a);

#endif
