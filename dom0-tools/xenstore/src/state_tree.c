// SPDX-License-Identifier: BSD-2-Clause
/*
 * The store's objects as bytes: values, permission lists, entries and nodes.
 * It owns their numbering. An object is written once, before all that refer to it, so versions of
 * the store that share parts go on sharing them, and a transaction's comparison of pointers still
 * tells what it told before.
 */
#include "ent.h"
#include "state.h"

enum kind { K_NONE, K_BLOB, K_PERMS, K_ENT, K_NODE };

#define REFS_MAX 3 /* entries or nodes that one of them refers to */

struct objects {
	/* writing: pointer -> number, open addressing; only what several refer to is met again */
	struct known {
		const void *p;
		uint32_t id;
	} * table;
	size_t cap, used;
	/* what is being written, each for the one before; a guest decides how deep that goes, so not
	   on the stack */
	struct todo {
		enum kind kind;
		const void *p;
		unsigned int done; /* how many it refers to have their number, in id */
		uint32_t id[REFS_MAX];
	} * todo;
	size_t num_todo, cap_todo;
	uint32_t count;
	/* reading: by number */
	struct obj {
		enum kind kind;
		void *p;
	} * v;
	uint32_t num_v;
};

struct objects *objects_new(void)
{
	struct objects *o = xzalloc(sizeof(*o));

	o->cap = 1024;
	o->table = xzalloc(o->cap * sizeof(*o->table));
	return o;
}

uint32_t objects_count(const struct objects *o)
{
	return o->count;
}

static struct known *find(struct objects *o, const void *p)
{
	size_t i = ((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15ull >> 20;

	for (i &= o->cap - 1; o->table[i].p && o->table[i].p != p;)
		i = (i + 1) & (o->cap - 1);
	return &o->table[i];
}

/* Of one that was written already; 0: it was not. */
static uint32_t number(struct objects *o, const void *p, uint32_t refs)
{
	return refs > 1 ? find(o, p)->id : 0;
}

static uint32_t set_number(struct objects *o, const void *p, uint32_t refs)
{
	o->count++;
	if (refs < 2)
		return o->count;
	if (o->used * 2 >= o->cap) {
		struct known *old = o->table;
		size_t n = o->cap;

		o->cap *= 2;
		o->table = xzalloc(o->cap * sizeof(*o->table));
		for (size_t i = 0; i < n; i++)
			if (old[i].p)
				*find(o, old[i].p) = old[i];
		free(old);
	}
	*find(o, p) = (struct known){ p, o->count };
	o->used++;
	return o->count;
}

uint32_t put_blob(struct objects *o, struct buf *b, const struct blob *blob)
{
	uint32_t id = blob ? number(o, blob, blob->refs) : 0;

	if (!blob || id)
		return id;
	put8(b, K_BLOB);
	put_data(b, blob->data, blob->len);
	return set_number(o, blob, blob->refs);
}

uint32_t put_perms(struct objects *o, struct buf *b, const struct perms *p)
{
	uint32_t id = p ? number(o, p, p->refs) : 0;

	if (!p || id)
		return id;
	put8(b, K_PERMS);
	put64(b, p->gen);
	put32(b, p->num);
	for (unsigned int i = 0; i < p->num; i++) {
		put32(b, p->p[i].domid);
		put8(b, p->p[i].rights);
	}
	return set_number(o, p, p->refs);
}

static uint32_t refs_of(enum kind kind, const void *p)
{
	return kind == K_NODE ? ((const struct node *)p)->refs : ((const struct ent *)p)->refs;
}

/* The i-th that t refers to. False: there are no more. */
static bool referred(const struct todo *t, unsigned int i, enum kind *kind, const void **p)
{
	const struct ent *e = t->p;

	*kind = K_ENT;
	if (t->kind == K_NODE) {
		*p = ((const struct node *)t->p)->kids;
		return i < 1;
	}
	if (i == 1)
		*kind = K_NODE;
	*p = i == 0 ? (const void *)e->l : i == 1 ? (const void *)e->node : e->r;
	return i < REFS_MAX;
}

static void todo_push(struct objects *o, enum kind kind, const void *p)
{
	if (o->num_todo == o->cap_todo) {
		o->cap_todo = o->cap_todo ? o->cap_todo * 2 : 256;
		o->todo = xrealloc(o->todo, o->cap_todo * sizeof(*o->todo));
	}
	o->todo[o->num_todo++] = (struct todo){ .kind = kind, .p = p };
	/* needed soon, and seldom in the cache: nobody is served meanwhile */
	if (kind == K_NODE) {
		__builtin_prefetch(((const struct node *)p)->value);
	} else {
		__builtin_prefetch(((const struct ent *)p)->node);
		__builtin_prefetch(((const struct ent *)p)->r);
	}
}

static uint32_t write_ent(struct objects *o, struct buf *b, const struct ent *e,
			  const uint32_t id[REFS_MAX])
{
	put8(b, K_ENT);
	for (int i = 0; i < REFS_MAX; i++)
		put32(b, id[i]);
	return set_number(o, e, e->refs);
}

static uint32_t write_node(struct objects *o, struct buf *b, const struct node *n, uint32_t kids)
{
	uint32_t value = put_blob(o, b, n->value), perms = put_perms(o, b, n->perms);

	put8(b, K_NODE);
	put_data(b, n->name, n->namelen);
	put32(b, n->by);
	put64(b, n->gen);
	put64(b, n->dir_gen);
	put32(b, value);
	put32(b, perms);
	put32(b, kids);
	return set_number(o, n, n->refs);
}

uint32_t put_node(struct objects *o, struct buf *b, const struct node *n)
{
	uint32_t id = n ? number(o, n, n->refs) : 0;

	if (!n || id)
		return id;
	todo_push(o, K_NODE, n);
	while (o->num_todo) {
		struct todo *t = &o->todo[o->num_todo - 1];
		const void *p;
		enum kind kind;

		if (referred(t, t->done, &kind, &p)) {
			id = p ? number(o, p, refs_of(kind, p)) : 0;
			if (p && !id)
				todo_push(o, kind, p);
			else
				t->id[t->done++] = id;
			continue;
		}
		id = t->kind == K_NODE ? write_node(o, b, t->p, t->id[0]) :
					 write_ent(o, b, t->p, t->id);
		o->num_todo--;
		if (o->num_todo) {
			t = &o->todo[o->num_todo - 1];
			t->id[t->done++] = id;
		}
	}
	return id;
}

static void *lookup(const struct objects *o, struct in *i, uint32_t id, enum kind kind)
{
	if (!id)
		return NULL;
	if (id <= o->count && o->v[id].kind == kind)
		return o->v[id].p;
	i->bad = true;
	return NULL;
}

struct blob *obj_blob(struct objects *o, struct in *i, uint32_t id)
{
	return blob_get(lookup(o, i, id, K_BLOB));
}

struct perms *obj_perms(struct objects *o, struct in *i, uint32_t id)
{
	return perms_get(lookup(o, i, id, K_PERMS));
}

struct node *obj_node(struct objects *o, struct in *i, uint32_t id)
{
	return node_get(lookup(o, i, id, K_NODE));
}

static struct perms *read_perms(struct in *i)
{
	uint64_t gen = get64(i);
	uint32_t num = get32(i);
	struct perms *p;

	if (i->bad || !num || num > (size_t)(i->end - i->p) / 5) {
		i->bad = true;
		return NULL;
	}
	p = perms_new(num, gen);
	for (uint32_t k = 0; k < num; k++) {
		p->p[k].domid = (uint16_t)get32(i);
		p->p[k].rights = get8(i) & (PERM_READ | PERM_WRITE);
	}
	return p;
}

static struct ent *read_ent(struct objects *o, struct in *i)
{
	struct ent *l = lookup(o, i, get32(i), K_ENT);
	struct node *n = lookup(o, i, get32(i), K_NODE);
	struct ent *r = lookup(o, i, get32(i), K_ENT);

	if (!n)
		i->bad = true;
	if (i->bad)
		return NULL;
	return ent_make(ent_get(l), node_get(n), ent_get(r));
}

static struct node *read_node(struct objects *o, struct in *i)
{
	size_t namelen;
	const char *name = get_data(i, &namelen);
	uint32_t by = get32(i);
	uint64_t gen = get64(i), dir_gen = get64(i);
	struct blob *value = lookup(o, i, get32(i), K_BLOB);
	struct perms *perms = lookup(o, i, get32(i), K_PERMS);
	struct ent *kids = lookup(o, i, get32(i), K_ENT);
	struct node *n;

	if (!perms || namelen > UINT16_MAX)
		i->bad = true;
	if (i->bad)
		return NULL;
	n = node_new(name, namelen, blob_get(value), perms_get(perms), gen);
	n->by = (uint16_t)by;
	n->dir_gen = dir_gen;
	n->kids = ent_get(kids);
	return n;
}

bool objects_load(struct objects *o, struct in *i, uint32_t num)
{
	/* each takes five bytes at least, so the number cannot be made to cost memory */
	if (num > (size_t)(i->end - i->p) / 5) {
		i->bad = true;
		return false;
	}
	o->v = xzalloc((num + 1u) * sizeof(*o->v));
	o->num_v = num;
	for (uint32_t k = 1; k <= num && !i->bad; k++) {
		struct obj *v = &o->v[k];
		const char *data;
		size_t len;

		switch (get8(i)) {
		case K_BLOB:
			data = get_data(i, &len);
			v->p = blob_new(data, len);
			v->kind = K_BLOB;
			break;
		case K_PERMS:
			v->p = read_perms(i);
			v->kind = K_PERMS;
			break;
		case K_ENT:
			v->p = read_ent(o, i);
			v->kind = K_ENT;
			break;
		case K_NODE:
			v->p = read_node(o, i);
			v->kind = K_NODE;
			break;
		}
		if (!v->p)
			i->bad = true;
		o->count = k;
	}
	return !i->bad;
}

void objects_free(struct objects *o)
{
	for (uint32_t k = 1; k <= o->num_v; k++) {
		switch (o->v[k].kind) {
		case K_BLOB:
			blob_put(o->v[k].p);
			break;
		case K_PERMS:
			perms_put(o->v[k].p);
			break;
		case K_ENT:
			ent_put(o->v[k].p);
			break;
		case K_NODE:
			node_put(o->v[k].p);
			break;
		case K_NONE:
			break;
		}
	}
	free(o->v);
	free(o->table);
	free(o->todo);
	free(o);
}
