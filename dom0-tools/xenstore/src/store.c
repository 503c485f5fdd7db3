// SPDX-License-Identifier: BSD-2-Clause
/*
 * The current store, and the operations that turn one store into the next.
 * It owns the current root and the generation counter.
 * Every change is a pure function from a root and an operation to a new root.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "path.h"
#include "store.h"
#include "util.h"

struct node *store_root;
static uint64_t gen_counter;

uint64_t store_next_gen(void)
{
	return ++gen_counter;
}

uint64_t store_gen(void)
{
	return gen_counter;
}

void store_set_gen(uint64_t gen)
{
	gen_counter = gen;
}

void store_init(void)
{
	struct perms *p = perms_new(1, store_next_gen());

	/* n0: owned by dom0, no access for anybody else until the toolstack says so (XSA-353) */
	store_root = node_new("", 0, NULL, p, store_next_gen());
	dom_need(0)->nodes = 1;
}

void store_exit(void)
{
	node_put(store_root);
	store_root = NULL;
	while (dom_first())
		dom_forget(dom_first());
}

void op_free(struct op *op)
{
	free(op->path);
	blob_put(op->value);
	perms_put(op->perms);
	*op = (struct op){ 0 };
}

/* Permissions of a new node: the parent's, owned by its creator when that is a guest. */
static struct perms *inherit(const struct node *parent, unsigned int creator, uint64_t gen)
{
	if (creator)
		return perms_with_owner(parent->perms, creator, gen);
	if (perms_owner(parent->perms) != parent->perms->p[0].domid)
		return perms_clean(parent->perms, gen);
	return perms_get(parent->perms);
}

/*
 * Makes the nodes of a path whose ancestors are missing from `missing` (a tail of it) on, below
 * `above`.
 */
static void create(const struct op *op, const struct node *above, const char *missing,
		   struct acct *a, struct effect *e)
{
	const char *comp[PATH_DEPTH_MAX], *pos = missing;
	size_t len[PATH_DEPTH_MAX];
	struct perms *perms = inherit(above, op->creator, e->gen);
	struct node *n = NULL, *parent;
	unsigned int depth = 0;

	while ((comp[depth] = path_next(&pos, &len[depth])))
		depth++;
	for (unsigned int i = depth; i--;) {
		struct blob *value = i == depth - 1 ? blob_get(op->value) : NULL;

		parent = node_new(comp[i], len[i], value, perms_get(perms), e->gen);
		parent->by = (uint16_t)op->creator;
		if (n)
			node_add(parent, n, e->gen);
		acct_add(a, parent, 1);
		n = parent;
	}
	perms_put(perms);
	e->put = n;
	e->at = xstrndup(op->path, (size_t)(missing - op->path) + len[0]);
}

static void acct_remove(const struct node *n, void *ctx)
{
	acct_add(ctx, n, -1);
}

int op_prepare(const struct node *root, const struct op *op, struct acct *a, struct effect *e)
{
	const char *missing;
	const struct node *n = tree_nearest(root, op->path, &missing);
	struct node *m;

	*e = (struct effect){ .gen = store_next_gen(), .by = op->creator };
	if (*missing) {
		if (op->kind == OP_RM || op->kind == OP_SET_PERMS)
			return -ENOENT;
		create(op, n, missing, a, e);
		return 0;
	}
	if (op->kind == OP_MKDIR) {
		e->nothing = true;
		return 0;
	}
	e->at = xstrdup(op->path);
	if (op->kind == OP_RM) {
		tree_walk(n, acct_remove, a);
		return 0;
	}
	m = node_clone(n);
	m->gen = e->gen;
	m->by = (uint16_t)op->creator;
	if (op->kind == OP_WRITE) {
		blob_put(m->value);
		m->value = blob_get(op->value);
	} else {
		perms_put(m->perms);
		m->perms = perms_get(op->perms);
	}
	acct_add(a, n, -1);
	acct_add(a, m, 1);
	e->put = m;
	return 0;
}

struct node *op_install(struct node *root, struct effect *e)
{
	if (!e->nothing)
		root = tree_set(root, e->at, e->put, e->gen, e->by);
	free(e->at);
	return root;
}

void op_drop(struct effect *e)
{
	node_put(e->put);
	free(e->at);
}

int op_apply(struct node *root, const struct op *op, struct acct *a, struct node **out)
{
	struct effect e;
	int err = op_prepare(root, op, a, &e);

	if (!err)
		*out = op_install(node_get(root), &e);
	return err;
}

int store_do(const struct op *op)
{
	struct acct a = { 0 };
	struct effect e;
	int err = op_prepare(store_root, op, &a, &e);

	if (!err) {
		store_root = op_install(store_root, &e);
		acct_apply(&a);
	}
	acct_free(&a);
	return err;
}
