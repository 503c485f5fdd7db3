/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The current store, and the operations that turn one store into the next.
 * It owns the current root, the generation counter and transactions with their conflict rule.
 * docs in dom0-tools/xenstore/README.md state the rule and why it is right.
 */
#ifndef XS_STORE_H
#define XS_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include "dom.h"
#include "tree.h"

enum op_kind { OP_WRITE, OP_MKDIR, OP_RM, OP_SET_PERMS };

struct op {
	enum op_kind kind;
	char *path;
	struct blob *value; /* OP_WRITE */
	struct perms *perms; /* OP_SET_PERMS */
	unsigned int creator; /* who does it, and owns what it creates unless it is domain 0 */
};

/* What a transaction looked at or changed at one path. */
#define TX_EXISTS 0x01 /* whether it is there */
#define TX_VALUE 0x02
#define TX_PERMS 0x04
#define TX_DIR 0x08 /* names of the children */
#define TX_TREE 0x10 /* everything below */

struct tx_path;

struct tx {
	LIST_ENTRY(tx) link;
	uint32_t id; /* as the client names it; unique per connection */
	uint64_t epoch; /* dom_epoch() at start */
	struct node *base, *root; /* the store at start, and as this transaction sees it */
	struct op *ops;
	unsigned int num_ops, cap_ops;
	struct tx_path **paths; /* hash table */
	unsigned int num_paths, cap_paths;
	struct acct acct; /* of ops */
	long mem; /* bytes of ops and paths */
	uint64_t started; /* clock_ms */
	bool expired; /* open for too long: empty, and can only be ended */
	unsigned int blame; /* after -EAGAIN: the domain that was in the way */
};

extern struct node *store_root;

void store_init(void);
/* Frees everything: for tests. */
void store_exit(void);
uint64_t store_next_gen(void);
uint64_t store_gen(void); /* the last one given */
void store_set_gen(uint64_t gen);

/* What an operation will do to a store: one node replaced, added or removed. */
struct effect {
	bool nothing; /* a MKDIR of what is there */
	char *at;
	struct node *put; /* NULL: removed */
	uint64_t gen;
	unsigned int by;
};

/*
 * Says what op would do to root, and adds the change of usage to a; -ENOENT where op needs an
 * existing node. Checks no rights and no quotas, and changes nothing.
 */
int op_prepare(const struct node *root, const struct op *op, struct acct *a, struct effect *e);
/* Does it. Takes over the reference to root and returns the new one; see tree_set(). */
struct node *op_install(struct node *root, struct effect *e);
/* Does it not. */
void op_drop(struct effect *e);
/* Both steps at once; root stays as it is, *out is a new reference. */
int op_apply(struct node *root, const struct op *op, struct acct *a, struct node **out);
/* The daemon's own change of the current store, with its accounts. No events. 0 or -ENOENT. */
int store_do(const struct op *op);
void op_free(struct op *op);

struct tx *tx_start(uint32_t id);
void tx_free(struct tx *tx);
/* Calls fn for each path that it recorded, in no order. */
void tx_paths(const struct tx *tx, void (*fn)(const char *path, unsigned int what, void *),
	      void *ctx);
/* Lets go of all that it holds; what is left is its number. */
void tx_expire(struct tx *tx);
/* Records access. Returns the number of paths now recorded. */
unsigned int tx_note(struct tx *tx, const char *path, size_t len, unsigned int what);
/* Adds an operation that was applied to tx->root: takes over op's contents. */
void tx_push(struct tx *tx, struct op *op, const struct acct *a);
/*
 * Computes the store after the transaction. Returns 0 with *root (a new reference) and the usage
 * changes, or -EAGAIN on a conflict (tx->blame says with whom). Changes nothing else.
 */
int tx_commit(struct tx *tx, struct node **root, struct acct *a);

#endif
