// SPDX-License-Identifier: BSD-2-Clause
/*
 * Transactions: a snapshot, a list of operations and a record of what was read.
 * It owns the conflict rule: a commit fails only where another commit touched what this one read or
 * wrote. Start costs O(1); commit costs O(paths touched x log n).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "store.h"
#include "util.h"

struct tx_path {
	uint32_t hash;
	uint32_t len;
	uint8_t what;
	char path[];
};

struct tx *tx_start(uint32_t id)
{
	struct tx *tx = xzalloc(sizeof(*tx));

	tx->id = id;
	tx->epoch = dom_epoch();
	tx->base = node_get(store_root);
	tx->root = node_get(store_root);
	tx->started = clock_ms;
	return tx;
}

void tx_expire(struct tx *tx)
{
	for (unsigned int i = 0; i < tx->num_ops; i++)
		op_free(&tx->ops[i]);
	free(tx->ops);
	for (unsigned int i = 0; i < tx->cap_paths; i++)
		free(tx->paths[i]);
	free(tx->paths);
	acct_free(&tx->acct);
	node_put(tx->base);
	node_put(tx->root);
	*tx = (struct tx){ .link = tx->link, .id = tx->id, .started = tx->started, .expired = true };
}

void tx_free(struct tx *tx)
{
	tx_expire(tx);
	free(tx);
}

static uint32_t hash_path(const char *s, size_t len)
{
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

static struct tx_path **slot(struct tx *tx, const char *path, size_t len, uint32_t hash)
{
	uint32_t mask = tx->cap_paths - 1, i = hash & mask;

	for (; tx->paths[i]; i = (i + 1) & mask) {
		const struct tx_path *p = tx->paths[i];

		if (p->hash == hash && p->len == len && !memcmp(p->path, path, len))
			break;
	}
	return &tx->paths[i];
}

static void grow(struct tx *tx)
{
	struct tx_path **old = tx->paths;
	unsigned int n = tx->cap_paths;

	tx->cap_paths = n ? n * 2 : 16;
	tx->paths = xzalloc(tx->cap_paths * sizeof(*old));
	for (unsigned int i = 0; i < n; i++)
		if (old[i])
			*slot(tx, old[i]->path, old[i]->len, old[i]->hash) = old[i];
	free(old);
}

unsigned int tx_note(struct tx *tx, const char *path, size_t len, unsigned int what)
{
	uint32_t h = hash_path(path, len);
	struct tx_path **s, *p;

	if (tx->num_paths * 2 >= tx->cap_paths)
		grow(tx);
	s = slot(tx, path, len, h);
	p = *s;
	if (!p) {
		p = xmalloc(sizeof(*p) + len + 1);
		p->hash = h;
		p->len = (uint32_t)len;
		p->what = 0;
		memcpy(p->path, path, len);
		p->path[len] = 0;
		*s = p;
		tx->num_paths++;
		tx->mem += (long)(sizeof(*p) + len + 32);
	}
	p->what |= (uint8_t)(what | TX_EXISTS);
	return tx->num_paths;
}

void tx_paths(const struct tx *tx, void (*fn)(const char *path, unsigned int what, void *),
	      void *ctx)
{
	for (unsigned int i = 0; i < tx->cap_paths; i++)
		if (tx->paths[i])
			fn(tx->paths[i]->path, tx->paths[i]->what, ctx);
}

void tx_push(struct tx *tx, struct op *op, const struct acct *a)
{
	if (tx->num_ops == tx->cap_ops) {
		tx->cap_ops = tx->cap_ops ? tx->cap_ops * 2 : 8;
		tx->ops = xrealloc(tx->ops, tx->cap_ops * sizeof(*tx->ops));
	}
	tx->mem += (long)(sizeof(*op) + strlen(op->path) + (op->value ? op->value->len : 0) + 64);
	tx->ops[tx->num_ops++] = *op;
	*op = (struct op){ 0 };
	acct_merge(&tx->acct, a);
}

/*
 * Did a commit since our start touch what we touched here? Values, permission lists and nodes are
 * immutable and our base holds references, so an unchanged pointer is an unchanged thing.
 */
static bool conflict(const struct tx *tx, const struct tx_path *p)
{
	const struct node *b = tree_get(tx->base, p->path);
	const struct node *c = tree_get(store_root, p->path);

	if (b == c)
		return false;
	if (!b || !c || (p->what & TX_TREE))
		return true;
	return ((p->what & TX_VALUE) && b->value != c->value) ||
	       ((p->what & TX_PERMS) && b->perms != c->perms) ||
	       ((p->what & TX_DIR) && b->dir_gen != c->dir_gen);
}

/* Who changed what is there now, or what it was removed from? */
static unsigned int last_change(const char *path)
{
	const char *missing;

	return tree_nearest(store_root, path, &missing)->by;
}

int tx_commit(struct tx *tx, struct node **root, struct acct *a)
{
	struct node *cur;
	struct effect e;

	if (tx->expired)
		return -EAGAIN;
	/* what a transaction that wrote nothing has seen was true when it began */
	if (!tx->num_ops) {
		*root = node_get(store_root);
		return 0;
	}
	if (tx->base == store_root && tx->epoch == dom_epoch()) {
		*root = node_get(tx->root);
		acct_merge(a, &tx->acct);
		return 0;
	}
	if (tx->base != store_root)
		for (unsigned int i = 0; i < tx->cap_paths; i++)
			if (tx->paths[i] && conflict(tx, tx->paths[i])) {
				tx->blame = last_change(tx->paths[i]->path);
				return -EAGAIN;
			}
	cur = node_get(store_root);
	for (unsigned int i = 0; i < tx->num_ops; i++) {
		/*
		 * cannot fail while the rule above holds; if it did, failing is the safe side
		 */
		if (op_prepare(cur, &tx->ops[i], a, &e)) {
			node_put(cur);
			return -EAGAIN;
		}
		cur = op_install(cur, &e);
	}
	*root = cur;
	return 0;
}
