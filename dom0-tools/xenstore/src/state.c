// SPDX-License-Identifier: BSD-2-Clause
/*
 * All that the daemon knows, as bytes: what a checkpoint holds and a live update hands over.
 * It owns the format: numbers, then the store's objects, then what refers to them. Each domain and
 * connection has a length in front, so that later versions can add to it.
 */
#include "dom.h"
#include "record.h"
#include "ring.h"
#include "state.h"
#include "store.h"
#include "watch.h"

#define F_INTRODUCED 1
#define F_SHUTDOWN 2
#define F_DYING 4
#define F_PARKED 8
#define F_IMPORTED 16
#define F_UNTOLD 32

#define F_RING 1
#define F_FAILED 2
#define F_OVERFLOW 4

#define F_LOST 1
#define F_SPELLED 2

/* ---- writing ---- */

struct out {
	struct buf objects, rest;
	struct objects *o;
};

/* What follows until end() gets its length in front. */
static size_t begin(struct buf *b)
{
	put32(b, 0);
	return b->len;
}

static void end(struct buf *b, size_t start)
{
	uint32_t len = (uint32_t)(b->len - start);

	memcpy(b->p + start - sizeof(len), &len, sizeof(len));
}

static void put_limits(struct buf *b, const long *v)
{
	put32(b, Q_MAX);
	for (int q = 0; q < Q_MAX; q++) {
		put_str(b, quota_info[q].name);
		put64(b, (uint64_t)v[q]);
	}
}

static void put_dom(struct buf *b, const struct dom *d)
{
	size_t at = begin(b);

	put32(b, d->domid);
	put32(b, d->target);
	put8(b, (uint8_t)((d->introduced ? F_INTRODUCED : 0) | (d->shutdown ? F_SHUTDOWN : 0) |
			  (d->dying ? F_DYING : 0) | (d->parked ? F_PARKED : 0) |
			  (d->imported ? F_IMPORTED : 0) | (d->untold ? F_UNTOLD : 0)));
	put64(b, d->born);
	put64(b, d->gfn);
	put32(b, d->remote_port);
	put32(b, d->features);
	put_limits(b, d->limit);
	put_limits(b, d->max);
	/* to compare with what is counted anew */
	put64(b, (uint64_t)d->nodes);
	/* from version 2 on */
	put32(b, d->was);
	put8(b, d->num_between);
	for (unsigned int i = 0; i < d->num_between; i++)
		put32(b, d->between[i]);
	put64(b, d->gen_shift);
	end(b, at);
}

static void put_path(const char *path, unsigned int what, void *ctx)
{
	struct buf *b = ctx;

	put8(b, (uint8_t)what);
	put_str(b, path);
}

static void put_tx(struct out *s, const struct tx *tx)
{
	struct buf *b = &s->rest;

	put32(b, tx->id);
	put8(b, tx->expired);
	put64(b, tx->started);
	if (tx->expired)
		return;
	put64(b, tx->epoch);
	put32(b, put_node(s->o, &s->objects, tx->base));
	put32(b, put_node(s->o, &s->objects, tx->root));
	put32(b, tx->num_ops);
	for (unsigned int i = 0; i < tx->num_ops; i++) {
		const struct op *op = &tx->ops[i];

		put8(b, (uint8_t)op->kind);
		put_str(b, op->path);
		put32(b, put_blob(s->o, &s->objects, op->value));
		put32(b, put_perms(s->o, &s->objects, op->perms));
		put32(b, op->creator);
	}
	put32(b, tx->num_paths);
	tx_paths(tx, put_path, b);
	put32(b, tx->acct.num);
	for (unsigned int i = 0; i < tx->acct.num; i++) {
		put32(b, tx->acct.v[i].domid);
		put64(b, (uint64_t)tx->acct.v[i].nodes);
		put64(b, (uint64_t)tx->acct.v[i].mem);
	}
	put64(b, (uint64_t)tx->mem);
}

static void put_watches(struct buf *b, const struct conn *c)
{
	const struct watch *w;

	put32(b, (uint32_t)watch_number(c));
	/* the oldest first, for that is how they are made again */
	for (w = watch_oldest(c); w; w = watch_newer(c, w)) {
		put_str(b, watch_path(w));
		put_str(b, w->token);
		put32(b, (uint32_t)w->depth);
		put32(b, w->skip);
		put8(b, (w->lost ? F_LOST : 0) | (w->spelled ? F_SPELLED : 0));
		if (w->spelled)
			put_str(b, w->spelled);
	}
}

void talk_save(struct buf *b, const struct conn *c)
{
	const struct outmsg *m;

	put_data(b, c->in, c->in_len);
	put32(b, c->out_off);
	put32(b, c->out_replies + c->out_events);
	for (m = TAILQ_FIRST(&c->out); m; m = TAILQ_NEXT(m, link)) {
		put8(b, m->event);
		put_data(b, m->data, m->len);
	}
}

static void put_conn(struct out *s, const struct conn *c)
{
	struct buf *b = &s->rest;
	size_t at = begin(b);
	const struct tx *tx;
	uint32_t num = 0;

	put32(b, c->domid);
	put8(b, (uint8_t)((c->ring ? F_RING : 0) | (c->failed ? F_FAILED : 0) |
			  (c->overflow ? F_OVERFLOW : 0)));
	put8(b, c->why);
	put32(b, c->serial);
	put32(b, (uint32_t)c->fd);
	put32(b, c->req_cons);
	put32(b, c->req_was);
	put32(b, c->rsp_prod);
	put32(b, c->rsp_was);
	put32(b, c->next_tx);
	put32(b, c->lost);
	put64(b, c->held);
	put64(b, c->requests);
	talk_save(b, c);
	put_watches(b, c);
	for (tx = LIST_FIRST(&c->txs); tx; tx = LIST_NEXT(tx, link))
		num++;
	put32(b, num);
	for (tx = LIST_FIRST(&c->txs); tx; tx = LIST_NEXT(tx, link))
		put_tx(s, tx);
	end(b, at);
}

void state_save(struct buf *b)
{
	struct out s = { .o = objects_new() };
	struct buf *r = &s.rest;
	const struct conn *c;
	const struct dom *d;
	uint32_t num = 0;

	put64(r, store_gen());
	put64(r, dom_epoch());
	put_limits(r, quota_default);
	put_limits(r, quota_max);
	put32(r, put_node(s.o, &s.objects, store_root));
	put32(r, put_perms(s.o, &s.objects, *watch_special_perms("@introduceDomain")));
	put32(r, put_perms(s.o, &s.objects, *watch_special_perms("@releaseDomain")));
	for (d = dom_first(); d; d = d->next)
		num++;
	put32(r, num);
	for (d = dom_first(); d; d = d->next)
		put_dom(r, d);
	num = 0;
	for (c = TAILQ_FIRST(&conns); c; c = TAILQ_NEXT(c, all))
		num += !c->dead;
	put32(r, num);
	for (c = TAILQ_FIRST(&conns); c; c = TAILQ_NEXT(c, all))
		if (!c->dead)
			put_conn(&s, c);

	put32(b, STATE_VERSION);
	put32(b, objects_count(s.o));
	put(b, s.objects.p, s.objects.len);
	put(b, r->p, r->len);
	buf_free(&s.objects);
	buf_free(&s.rest);
	objects_free(s.o);
}

/* ---- reading ---- */

/* The next piece that has a length in front. */
static struct in piece(struct in *i)
{
	size_t len;
	const char *p = get_data(i, &len);

	return (struct in){ p, p ? p + len : p, i->bad };
}

static void get_limits(struct in *i, long *v)
{
	uint32_t num = get32(i);

	while (num-- && !i->bad) {
		int q = quota_find(get_str(i));
		long val = (long)get64(i);

		/* one that this version does not have is no loss */
		if (q >= 0 && !i->bad)
			v[q] = val;
	}
}

struct expected {
	unsigned int domid;
	long nodes;
};

static void get_dom(struct in *i, struct expected *e)
{
	unsigned int domid = get32(i), target = get32(i), flags = get8(i);
	struct dom *d;

	if (i->bad || domid >= DOM_FIRST_RESERVED) {
		i->bad = true;
		return;
	}
	d = dom_need(domid);
	d->target = (uint16_t)target;
	d->introduced = flags & F_INTRODUCED;
	d->shutdown = flags & F_SHUTDOWN;
	d->dying = flags & F_DYING;
	d->parked = flags & F_PARKED;
	d->imported = flags & F_IMPORTED;
	d->untold = flags & F_UNTOLD;
	d->born = get64(i);
	d->gfn = get64(i);
	d->remote_port = get32(i);
	d->features = get32(i);
	get_limits(i, d->limit);
	get_limits(i, d->max);
	*e = (struct expected){ domid, (long)get64(i) };
	if (i->p == i->end)
		return;
	d->was = (uint16_t)get32(i);
	d->num_between = get8(i);
	if (d->num_between > BETWEEN_MAX) {
		d->num_between = 0;
		i->bad = true;
	}
	for (unsigned int k = 0; k < d->num_between; k++)
		d->between[k] = (uint16_t)get32(i);
	d->gen_shift = get64(i);
}

static void get_op(struct in *i, struct objects *o, struct op *op)
{
	unsigned int kind = get8(i);
	const char *path = get_str(i);

	op->value = obj_blob(o, i, get32(i));
	op->perms = obj_perms(o, i, get32(i));
	op->creator = get32(i);
	op->path = xstrdup(path);
	op->kind = kind;
	if (kind > OP_SET_PERMS || (kind == OP_SET_PERMS && !op->perms))
		i->bad = true;
}

static void get_tx(struct in *i, struct objects *o, struct conn *c)
{
	struct tx *tx = tx_start(get32(i));
	bool expired = get8(i);
	uint32_t num;

	tx->started = get64(i);
	LIST_INSERT_HEAD(&c->txs, tx, link);
	c->dom->txs++;
	if (expired) {
		tx_expire(tx);
		return;
	}
	tx->epoch = get64(i);
	node_put(tx->base);
	node_put(tx->root);
	tx->base = obj_node(o, i, get32(i));
	tx->root = obj_node(o, i, get32(i));
	num = get32(i);
	/* an operation takes 17 bytes or more */
	if (!tx->base || !tx->root || num > (size_t)(i->end - i->p) / 17)
		i->bad = true;
	if (i->bad)
		return;
	tx->ops = num ? xzalloc(num * sizeof(*tx->ops)) : NULL;
	tx->cap_ops = num;
	while (tx->num_ops < num)
		get_op(i, o, &tx->ops[tx->num_ops++]);
	for (num = get32(i); num && !i->bad; num--) {
		unsigned int what = get8(i);
		const char *path = get_str(i);

		tx_note(tx, path, strlen(path), what);
	}
	for (num = get32(i); num && !i->bad; num--) {
		struct acct_ent *e = acct_of(&tx->acct, get32(i));

		e->nodes = (long)get64(i);
		e->mem = (long)get64(i);
	}
	tx->mem = (long)get64(i);
	c->dom->mem += tx->mem;
}

static void get_watches(struct in *i, struct conn *c)
{
	struct watch *w;

	for (uint32_t num = get32(i); num && !i->bad; num--) {
		const char *path = get_str(i), *token = get_str(i), *spelled;
		int depth = (int)get32(i);
		unsigned int skip = get32(i), flags = get8(i);

		if (i->bad || skip > strlen(path)) {
			i->bad = true;
			return;
		}
		spelled = flags & F_SPELLED ? get_str(i) : path + skip;
		if (i->bad || watch_add(c, path, spelled, token, depth, &w)) {
			i->bad = true;
			return;
		}
		w->lost = flags & F_LOST;
	}
}

void talk_load(struct in *i, struct conn *c)
{
	size_t len;
	const char *p = get_data(i, &len);

	if (len > sizeof(c->in)) {
		i->bad = true;
		return;
	}
	if (len)
		memcpy(c->in, p, len);
	c->in_len = (uint32_t)len;
	c->out_off = get32(i);
	for (uint32_t num = get32(i); num && !i->bad; num--) {
		bool event = get8(i);

		p = get_data(i, &len);
		if (p && len <= MSG_MAX)
			conn_queue(c, p, len, event);
		else
			i->bad = true;
	}
	if (c->out_off && !conn_owes(c, 1))
		i->bad = true;
}

static void get_conn(struct in *i, struct objects *o)
{
	unsigned int domid = get32(i), flags = get8(i);
	struct dom *d = dom_find(domid);
	struct conn *c;

	if (!d || (!(flags & F_RING) && domid) || (flags & F_RING && d->conn)) {
		i->bad = true;
		return;
	}
	c = flags & F_RING ? ring_conn_blank(domid) : conn_new(domid, &detached);
	if (flags & F_RING)
		d->conn = c;
	c->failed = flags & F_FAILED;
	c->overflow = flags & F_OVERFLOW;
	c->why = get8(i);
	c->serial = get32(i);
	c->journaled = true;
	c->fd = (int)get32(i);
	c->req_cons = get32(i);
	c->req_was = get32(i);
	c->rsp_prod = get32(i);
	c->rsp_was = get32(i);
	c->next_tx = get32(i);
	c->lost = get32(i);
	c->held = get64(i);
	c->requests = get64(i);
	talk_load(i, c);
	get_watches(i, c);
	for (uint32_t num = get32(i); num && !i->bad; num--)
		get_tx(i, o, c);
}

static void count(const struct node *n, void *ctx)
{
	acct_add(ctx, n, 1);
}

/* Accounts of nodes, counted anew; says so where a guest's differs from what was written down. */
static void count_nodes(const struct expected *e, uint32_t num)
{
	struct acct a = { 0 };

	for (struct dom *d = dom_first(); d; d = d->next)
		d->nodes = 0;
	tree_walk(store_root, count, &a);
	acct_apply(&a);
	acct_free(&a);
	for (; num--; e++)
		if (e->domid && dom_find(e->domid)->nodes != e->nodes)
			xlog(LOG_ERR_, "domain %u had %ld nodes by its account, and owns %ld",
			     e->domid, e->nodes, dom_find(e->domid)->nodes);
}

static void get_special(struct in *i, struct objects *o, const char *name)
{
	struct perms **p = watch_special_perms(name);

	perms_put(*p);
	*p = obj_perms(o, i, get32(i));
	if (!*p)
		i->bad = true;
}

static void get_rest(struct in *i, struct objects *o)
{
	uint64_t gen = get64(i), epoch = get64(i);
	struct expected *e;
	struct node *root;
	struct in one;
	uint32_t num;

	get_limits(i, quota_default);
	get_limits(i, quota_max);
	root = obj_node(o, i, get32(i));
	if (!root) {
		i->bad = true;
		return;
	}
	node_put(store_root);
	store_root = root;
	get_special(i, o, "@introduceDomain");
	get_special(i, o, "@releaseDomain");
	num = get32(i);
	if (num > DOM_FIRST_RESERVED)
		i->bad = true;
	if (i->bad)
		return;
	e = xzalloc((num + 1) * sizeof(*e));
	for (uint32_t k = 0; k < num && !i->bad; k++) {
		one = piece(i);
		get_dom(&one, &e[k]);
		i->bad |= one.bad;
	}
	if (!i->bad) {
		for (struct dom *d = dom_first(); d; d = d->next)
			d->mem = 0;
		count_nodes(e, num);
	}
	free(e);
	for (num = get32(i); num && !i->bad; num--) {
		one = piece(i);
		get_conn(&one, o);
		i->bad |= one.bad;
	}
	/* making these things has used numbers that were not used then */
	store_set_gen(gen);
	dom_set_epoch(epoch);
}

int state_load(const void *data, size_t len, const char **why)
{
	struct in i = { data, (const char *)data + len, false };
	struct objects *o;
	uint32_t version = get32(&i), num = get32(&i);

	if (!version || version > STATE_VERSION) {
		*why = "its version is not known to this xenstored";
		return -1;
	}
	o = objects_new();
	if (objects_load(o, &i, num))
		get_rest(&i, o);
	objects_free(o);
	*why = "it contradicts itself";
	return i.bad ? -1 : 0;
}
