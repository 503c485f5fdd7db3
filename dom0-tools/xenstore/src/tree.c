// SPDX-License-Identifier: BSD-2-Clause
/*
 * The immutable store: nodes that never change once somebody else can reach them.
 * It owns nodes, values, permission lists, their reference counts and the path-copying updates.
 * Children are kept in a persistent weight-balanced tree, so an insert shares all but O(log n)
 * entries.
 */
#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xen/io/xs_wire.h>
#include "ent.h"
#include "line.h"
#include "path.h"
#include "tree.h"
#include "util.h"

struct blob *blob_new(const void *data, size_t len)
{
	struct blob *b;

	if (!len)
		return NULL;
	b = xmalloc(sizeof(*b) + len);
	b->refs = 1;
	b->len = (uint32_t)len;
	memcpy(b->data, data, len);
	return b;
}

struct blob *blob_get(struct blob *b)
{
	if (b)
		b->refs++;
	return b;
}

void blob_put(struct blob *b)
{
	if (b && !--b->refs)
		free(b);
}

struct perms *perms_new(unsigned int num, uint64_t gen)
{
	struct perms *p = xzalloc(sizeof(*p) + num * sizeof(p->p[0]));

	p->refs = 1;
	p->num = num;
	p->gen = gen;
	return p;
}

struct perms *perms_get(struct perms *p)
{
	if (p)
		p->refs++;
	return p;
}

void perms_put(struct perms *p)
{
	if (p && !--p->refs)
		free(p);
}

static uint32_t ent_count(const struct ent *e)
{
	return e ? e->count : 0;
}

static size_t ent_bytes(const struct ent *e)
{
	return e ? e->bytes : 0;
}

struct ent *ent_get(struct ent *e)
{
	if (e)
		e->refs++;
	return e;
}

static void ent_drop(struct ent *e, struct ent **dead)
{
	if (e && !--e->refs) {
		e->dead = *dead;
		*dead = e;
	}
}

/* Does a node with such a name fit? Most do. An entry always does. */
static bool node_in_line(size_t namelen)
{
	return sizeof(struct node) + namelen + 1 <= LINE_BYTES;
}

_Static_assert(sizeof(struct ent) <= LINE_BYTES, "an entry is a line");

static struct node *node_alloc(size_t namelen)
{
	return node_in_line(namelen) ? line_alloc() : xmalloc(sizeof(struct node) + namelen + 1);
}

static void node_free(struct node *n)
{
	if (node_in_line(n->namelen))
		line_free(n);
	else
		free(n);
}

/* Frees a node that nobody refers to; its children's tree goes to the list instead of the stack. */
static void node_bury(struct node *n, struct ent **dead)
{
	blob_put(n->value);
	perms_put(n->perms);
	ent_drop(n->kids, dead);
	node_free(n);
}

/* A guest decides how deep the tree is, so freeing must not recurse (XSA-418). */
static void ents_reap(struct ent *dead)
{
	while (dead) {
		struct ent *e = dead;

		dead = e->dead;
		ent_drop(e->l, &dead);
		ent_drop(e->r, &dead);
		if (!--e->node->refs)
			node_bury(e->node, &dead);
		line_free(e);
	}
}

void ent_put(struct ent *e)
{
	struct ent *dead = NULL;

	ent_drop(e, &dead);
	ents_reap(dead);
}

struct node *node_new(const char *name, size_t namelen, struct blob *value, struct perms *perms,
		      uint64_t gen)
{
	struct node *n = node_alloc(namelen);

	n->refs = 1;
	n->namelen = (uint16_t)namelen;
	n->by = 0;
	n->gen = n->dir_gen = gen;
	n->value = value;
	n->perms = perms;
	n->kids = NULL;
	memcpy(n->name, name, namelen);
	n->name[namelen] = 0;
	return n;
}

struct node *node_clone(const struct node *n)
{
	struct node *c = node_alloc(n->namelen);

	memcpy(c, n, sizeof(*c) + n->namelen + 1u);
	c->refs = 1;
	blob_get(c->value);
	perms_get(c->perms);
	ent_get(c->kids);
	return c;
}

struct node *node_get(struct node *n)
{
	if (n)
		n->refs++;
	return n;
}

void node_put(struct node *n)
{
	struct ent *dead = NULL;

	if (!n || --n->refs)
		return;
	node_bury(n, &dead);
	ents_reap(dead);
}

size_t node_cost(const struct node *n)
{
	/* 32: what is lost around the node and its entry */
	return sizeof(*n) + n->namelen + 1u + sizeof(struct ent) + 32 +
	       (n->value ? n->value->len + sizeof(*n->value) + 16 : 0) +
	       n->perms->num * sizeof(n->perms->p[0]);
}

/*
 * The first bytes of a name as a number that sorts as they do: with it in the entry, a search does
 * not touch the nodes that it passes. Names have no zero bytes, so a short one is told from its
 * prefixes.
 */
static uint64_t name_key(const char *name, size_t len)
{
	uint64_t key = 0;

	memcpy(&key, name, len < sizeof(key) ? len : sizeof(key));
	return be64toh(key);
}

/* The functions below take over the references to l, n and r, and return a new one. */

struct ent *ent_make(struct ent *l, struct node *n, struct ent *r)
{
	struct ent *e = line_alloc();

	e->refs = 1;
	e->count = ent_count(l) + 1 + ent_count(r);
	e->bytes = ent_bytes(l) + n->namelen + 1u + ent_bytes(r);
	e->key = name_key(n->name, n->namelen);
	e->l = l;
	e->r = r;
	e->node = n;
	e->kids = n->kids;
	return e;
}

static struct ent *rotate_left(struct ent *l, struct node *n, struct ent *r)
{
	struct ent *rl = r->l, *res;

	if (ent_count(rl) < 2 * ent_count(r->r))
		res = ent_make(ent_make(l, n, ent_get(rl)), node_get(r->node), ent_get(r->r));
	else
		res = ent_make(ent_make(l, n, ent_get(rl->l)), node_get(rl->node),
			       ent_make(ent_get(rl->r), node_get(r->node), ent_get(r->r)));
	ent_put(r);
	return res;
}

static struct ent *rotate_right(struct ent *l, struct node *n, struct ent *r)
{
	struct ent *lr = l->r, *res;

	if (ent_count(lr) < 2 * ent_count(l->l))
		res = ent_make(ent_get(l->l), node_get(l->node), ent_make(ent_get(lr), n, r));
	else
		res = ent_make(ent_make(ent_get(l->l), node_get(l->node), ent_get(lr->l)),
			       node_get(lr->node), ent_make(ent_get(lr->r), n, r));
	ent_put(l);
	return res;
}

/*
 * Weight-balanced with the parameters (3, 2) that are proved to keep the balance (Hirai, Yamamoto
 * 2011).
 */
static struct ent *ent_balance(struct ent *l, struct node *n, struct ent *r)
{
	uint32_t nl = ent_count(l), nr = ent_count(r);

	if (nl + nr > 1) {
		if (nr > 3 * nl)
			return rotate_left(l, n, r);
		if (nl > 3 * nr)
			return rotate_right(l, n, r);
	}
	return ent_make(l, n, r);
}

/* A name that is looked for. */
struct key {
	uint64_t key;
	const char *name;
	size_t len;
};

static struct key key_of(const char *name, size_t len)
{
	return (struct key){ name_key(name, len), name, len };
}

static int key_cmp(const struct key *k, const struct ent *e)
{
	const struct node *n;
	size_t m;
	int c;

	if (k->key != e->key)
		return k->key < e->key ? -1 : 1;
	n = e->node;
	m = k->len < n->namelen ? k->len : n->namelen;
	c = m > sizeof(k->key) ?
		    memcmp(k->name + sizeof(k->key), n->name + sizeof(k->key), m - sizeof(k->key)) :
		    0;
	return c ? c : (k->len > n->namelen) - (k->len < n->namelen);
}

static const struct ent *ent_find(const struct ent *e, const char *name, size_t len)
{
	const struct key k = key_of(name, len);

	while (e) {
		int c = key_cmp(&k, e);

		if (!c)
			break;
		e = c < 0 ? e->l : e->r;
	}
	return e;
}

/* A copy of *e that is ours alone, in its place; *e itself when nobody else refers to it. */
static void ent_own(struct ent **e)
{
	struct ent *old = *e;

	if (old->refs == 1)
		return;
	*e = ent_make(ent_get(old->l), node_get(old->node), ent_get(old->r));
	old->refs--;
}

/* The child's entry, ours alone as all on the way to it. NULL if there is none. */
static struct ent *ent_slot(struct ent **e, const char *name, size_t len)
{
	const struct key k = key_of(name, len);

	while (*e) {
		int c = key_cmp(&k, *e);

		ent_own(e);
		if (!c)
			return *e;
		e = c < 0 ? &(*e)->l : &(*e)->r;
	}
	return NULL;
}

/*
 * Adds a child that is not there yet. Takes over t and n. Recursion is bounded by the balance of
 * the tree: about 2.4 log2(children).
 */
static struct ent *ent_add(struct ent *t, const struct key *k, struct node *n)
{
	struct ent *l, *r;
	struct node *mid;

	if (!t)
		return ent_make(NULL, n, NULL);
	ent_own(&t);
	if (key_cmp(k, t) < 0)
		t->l = ent_add(t->l, k, n);
	else
		t->r = ent_add(t->r, k, n);
	t->count++;
	t->bytes += n->namelen + 1u;
	if (ent_count(t->l) + ent_count(t->r) <= 1 ||
	    (ent_count(t->r) <= 3 * ent_count(t->l) && ent_count(t->l) <= 3 * ent_count(t->r)))
		return t;
	l = t->l;
	r = t->r;
	mid = t->node;
	line_free(t);
	return ent_balance(l, mid, r);
}

/* Without the first entry, which goes to *min with a reference. */
static struct ent *ent_pop_min(const struct ent *t, struct node **min)
{
	if (!t->l) {
		*min = node_get(t->node);
		return ent_get(t->r);
	}
	return ent_balance(ent_pop_min(t->l, min), node_get(t->node), ent_get(t->r));
}

static struct ent *ent_pop_max(const struct ent *t, struct node **max)
{
	if (!t->r) {
		*max = node_get(t->node);
		return ent_get(t->l);
	}
	return ent_balance(ent_get(t->l), node_get(t->node), ent_pop_max(t->r, max));
}

static struct ent *ent_glue(struct ent *l, struct ent *r)
{
	struct node *mid;
	struct ent *rest;

	if (!l || !r)
		return ent_get(l ? l : r);
	if (ent_count(l) > ent_count(r)) {
		rest = ent_pop_max(l, &mid);
		return ent_balance(rest, mid, ent_get(r));
	}
	rest = ent_pop_min(r, &mid);
	return ent_balance(ent_get(l), mid, rest);
}

static struct ent *ent_del(const struct ent *t, const struct key *k)
{
	int c;

	if (!t)
		return NULL;
	c = key_cmp(k, t);
	if (!c)
		return ent_glue(t->l, t->r);
	if (c < 0)
		return ent_balance(ent_del(t->l, k), node_get(t->node), ent_get(t->r));
	return ent_balance(ent_get(t->l), node_get(t->node), ent_del(t->r, k));
}

void node_add(struct node *parent, struct node *child, uint64_t gen)
{
	const struct key k = key_of(child->name, child->namelen);

	parent->kids = ent_add(parent->kids, &k, child);
	parent->gen = parent->dir_gen = gen;
}

static void node_remove(struct node *parent, const char *name, size_t len, uint64_t gen)
{
	const struct key k = key_of(name, len);
	struct ent *old = parent->kids;

	parent->kids = ent_del(old, &k);
	parent->gen = parent->dir_gen = gen;
	ent_put(old);
}

size_t node_children(const struct node *n)
{
	return ent_count(n->kids);
}

size_t node_dir_bytes(const struct node *n)
{
	return ent_bytes(n->kids);
}

static bool ent_list(const struct ent *e, size_t base, size_t off,
		     bool (*fn)(const struct node *, void *), void *ctx)
{
	size_t mine;

	if (!e || base + e->bytes <= off)
		return true;
	mine = base + ent_bytes(e->l);
	if (!ent_list(e->l, base, off, fn, ctx))
		return false;
	if (mine >= off && !fn(e->node, ctx))
		return false;
	return ent_list(e->r, mine + e->node->namelen + 1u, off, fn, ctx);
}

void node_list(const struct node *n, size_t off, bool (*fn)(const struct node *, void *), void *ctx)
{
	ent_list(n->kids, 0, off, fn, ctx);
}

const struct node *tree_nearest(const struct node *root, const char *path, const char **missing)
{
	const struct ent *kids = root->kids, *at = NULL, *next;
	const char *comp, *pos = path;
	size_t len;

	*missing = "";
	while ((comp = path_next(&pos, &len))) {
		next = ent_find(kids, comp, len);
		if (!next) {
			*missing = comp;
			break;
		}
		at = next;
		kids = at->kids;
	}
	return at ? at->node : root;
}

const struct node *tree_get(const struct node *root, const char *path)
{
	const char *missing;
	const struct node *n = tree_nearest(root, path, &missing);

	return *missing ? NULL : n;
}

/* A copy that is ours alone, in its place. */
static void node_own(struct node **n)
{
	struct node *old = *n;

	if (old->refs == 1)
		return;
	*n = node_clone(old);
	old->refs--;
}

struct node *tree_set(struct node *root, const char *path, struct node *n, uint64_t gen,
		      unsigned int by)
{
	const char *comp, *pos = path, *look;
	struct ent *above = NULL, *at; /* entries of the parent and of what is there now */
	struct node *parent;
	size_t len, next_len;

	comp = path_next(&pos, &len);
	if (!comp) {
		node_put(root);
		return n;
	}
	for (;;) {
		node_own(above ? &above->node : &root);
		parent = above ? above->node : root;
		parent->by = (uint16_t)by;
		at = ent_slot(&parent->kids, comp, len);
		if (above)
			above->kids = parent->kids;
		look = pos;
		if (!at || !path_next(&look, &next_len))
			break;
		above = at;
		comp = path_next(&pos, &len);
	}
	/* only here the set of children may change; above it only pointers do */
	if (n && at) {
		node_put(at->node);
		at->node = n;
		at->kids = n->kids;
	} else if (n) {
		node_add(parent, n, gen);
	} else if (at) {
		node_remove(parent, comp, len, gen);
	}
	if (above)
		above->kids = parent->kids;
	return root;
}

/* Entries yet to be visited: a guest decides how deep the tree is, so this is not on the stack. */
struct todo {
	struct todo_ent {
		const struct ent *e;
		size_t above; /* length of the path of the node whose child this is */
	} * v;
	size_t num, cap;
};

static void todo_push(struct todo *t, const struct ent *e, size_t above)
{
	if (!e)
		return;
	if (t->num == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->v = xrealloc(t->v, t->cap * sizeof(*t->v));
	}
	t->v[t->num++] = (struct todo_ent){ e, above };
}

void tree_walk(const struct node *n, void (*fn)(const struct node *, void *), void *ctx)
{
	struct todo t = { 0 };

	fn(n, ctx);
	todo_push(&t, n->kids, 0);
	while (t.num) {
		const struct ent *e = t.v[--t.num].e;

		fn(e->node, ctx);
		todo_push(&t, e->l, 0);
		todo_push(&t, e->r, 0);
		todo_push(&t, e->node->kids, 0);
	}
	free(t.v);
}

void tree_paths(const struct node *n, const char *path,
		bool (*fn)(const struct node *, const char *path, void *), void *ctx)
{
	char buf[XENSTORE_ABS_PATH_MAX + 2];
	struct todo t = { 0 };

	strcpy(buf, path);
	if (fn(n, buf, ctx))
		todo_push(&t, n->kids, strcmp(path, "/") ? strlen(path) : 0);
	while (t.num) {
		const struct todo_ent at = t.v[--t.num];
		const struct node *m = at.e->node;

		/*
		 * what is taken off next lies below the same node or further up, so the first part
		 * of buf still holds
		 */
		todo_push(&t, at.e->l, at.above);
		todo_push(&t, at.e->r, at.above);
		buf[at.above] = '/';
		memcpy(buf + at.above + 1, m->name, m->namelen + 1u);
		if (fn(m, buf, ctx))
			todo_push(&t, m->kids, at.above + 1 + m->namelen);
	}
	free(t.v);
}
