// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's connection and tree as a file, and back. move.h is the contract.
 *
 *	struct head | domid, was: u32 | numbers in between | features, req_cons, rsp_prod: u32;
 *		failed, why: u8; next_tx: u32 | talk | watches | transactions | nodes
 *
 * Lists have their number in front, strings and values their length (buf.h).
 */
#include <stdio.h>
#include "journal.h"
#include "move.h"
#include "path.h"
#include "ring.h"
#include "spell.h"
#include "state.h"
#include "watch.h"

#define MAGIC 0x3145564f4d535850ull /* "PXSMOVE1" */
/* The longest list that a message can bring: "n0" and its NUL. */
#define PERMS_MAX (XENSTORE_PAYLOAD_MAX / 3)
/* Watches, and transactions: each is held against those before it, also where no quota bounds them. */
#define LIST_MAX 4096
/*
 * A watch, a transaction or an event is let in while one byte is left, so a guest in order may be
 * over its memory by one of each.
 */
#define SLACK (2l * (long)MSG_MAX)

struct head {
	uint64_t magic;
	uint32_t version, zero;
	uint64_t len; /* of what follows */
	uint64_t sum; /* of the words above, and of what follows */
};

static uint64_t sum_of(const struct head *h, const void *body)
{
	return journal_sum(journal_sum(MAGIC, h, offsetof(struct head, sum)), body, h->len);
}

static void home_of(const struct dom *d, char home[32])
{
	snprintf(home, 32, "/local/domain/%u", d->domid);
}

/* ---- out ---- */

static bool put_one(const struct node *n, const char *path, void *ctx)
{
	struct buf *b = ctx;
	struct perms *p = perms_clean(n->perms, 0);

	put_str(b, path);
	put_data(b, n->value ? n->value->data : "", n->value ? n->value->len : 0);
	put32(b, p->num);
	for (unsigned int i = 0; i < p->num; i++) {
		put32(b, p->p[i].domid);
		put8(b, p->p[i].rights);
	}
	perms_put(p);
	return true;
}

static void count_one(const struct node *n, void *ctx)
{
	(void)n;
	++*(uint32_t *)ctx;
}

static void put_tree(struct buf *b, const struct dom *d)
{
	const struct node *n;
	uint32_t num = 0;
	char home[32];

	home_of(d, home);
	n = tree_get(store_root, home);
	if (n)
		tree_walk(n, count_one, &num);
	put32(b, num);
	if (n)
		tree_paths(n, "", put_one, b);
}

static void put_conn(struct buf *b, const struct conn *c)
{
	const struct watch *w;
	const struct tx *tx;
	uint32_t num = 0;

	/* the page's word: what is half said belongs to it, whatever the guest has done to it */
	put32(b, ring_req_cons(c));
	put32(b, ring_rsp_prod(c));
	put8(b, c->failed);
	put8(b, c->why);
	put32(b, c->next_tx);
	talk_save(b, c);
	put32(b, (uint32_t)watch_number(c));
	for (w = watch_oldest(c); w; w = watch_newer(c, w)) {
		put_str(b, watch_spelled(w));
		put_str(b, w->token);
		put32(b, (uint32_t)w->depth);
		put8(b, w->lost);
	}
	for (tx = LIST_FIRST(&c->txs); tx; tx = LIST_NEXT(tx, link))
		num++;
	put32(b, num);
	for (tx = LIST_FIRST(&c->txs); tx; tx = LIST_NEXT(tx, link))
		put32(b, tx->id);
}

void move_save(const struct dom *d, struct buf *b)
{
	struct head h = { .magic = MAGIC, .version = MOVE_VERSION };
	struct buf body = { 0 };

	put32(&body, d->domid);
	put32(&body, d->was == DOM_NONE ? d->domid : d->was);
	put32(&body, d->num_between);
	for (unsigned int i = 0; i < d->num_between; i++)
		put32(&body, d->between[i]);
	put32(&body, d->features);
	put_conn(&body, d->conn);
	put_tree(&body, d);
	h.len = body.len;
	h.sum = sum_of(&h, body.p);
	put(b, &h, sizeof(h));
	put(b, body.p, body.len);
	buf_free(&body);
}

/* ---- in ---- */

static bool over(const struct dom *d, enum quota q, long val)
{
	return d->limit[q] && val > d->limit[q];
}

/* Messages go to the guest as they are, but each must be one: others are put behind them. */
static const char *check_talk(const struct conn *c)
{
	const struct outmsg *m;
	struct xsd_sockmsg hdr;

	if (!conn_header_fits(c))
		return "its half request is too long for one";
	for (m = TAILQ_FIRST(&c->out); m; m = TAILQ_NEXT(m, link)) {
		if (m->len < sizeof(hdr))
			return "a message in it is cut short";
		memcpy(&hdr, m->data, sizeof(hdr));
		if (hdr.len != m->len - sizeof(hdr) || m->event != (hdr.type == XS_WATCH_EVENT))
			return "a message in it is none";
	}
	if (over(c->dom, Q_OUTSTANDING, c->out_replies))
		return "more replies wait in it than the domain may have";
	if (over(c->dom, Q_EVENTS, c->out_events))
		return "more events wait in it than the domain may have";
	return NULL;
}

static const char *get_watches(struct in *i, struct conn *c)
{
	char path[SPELL_MAX];
	struct watch *w;

	for (uint32_t num = get32(i); num && !i->bad; num--) {
		const char *spelled = get_str(i), *token = get_str(i);
		int depth = (int)get32(i);
		bool lost = get8(i);

		if (i->bad)
			break;
		if (c->dom->watches == LIST_MAX || over(c->dom, Q_WATCHES, c->dom->watches + 1))
			return "it has more watches than the domain may have";
		/* as they must have fitted into a message */
		if (strlen(spelled) + strlen(token) + 2 > XENSTORE_PAYLOAD_MAX || depth < -1 ||
		    depth > XENSTORE_ABS_PATH_MAX || spell_path(c, spelled, path, true))
			return "a watch in it is none that a guest can have";
		if (watch_add(c, path, spelled, token, depth, &w))
			return "it has a watch twice";
		w->lost = lost;
		c->overflow |= lost;
	}
	return NULL;
}

static const char *get_txs(struct in *i, struct conn *c)
{
	struct tx *tx, *last = NULL;

	for (uint32_t num = get32(i); num && !i->bad; num--) {
		uint32_t id = get32(i);

		if (i->bad)
			break;
		if (!id || conn_tx_find(c, id))
			return "a transaction in it has a number that it cannot have";
		if (c->dom->txs == LIST_MAX || over(c->dom, Q_TRANSACTIONS, c->dom->txs + 1))
			return "it has more transactions than the domain may have";
		tx = tx_start(id);
		tx_expire(tx);
		if (last)
			LIST_INSERT_AFTER(last, tx, link);
		else
			LIST_INSERT_HEAD(&c->txs, tx, link);
		last = tx;
		c->dom->txs++;
	}
	return NULL;
}

static const char *get_conn(struct in *i, struct dom *d)
{
	struct conn *c = d->conn;
	uint32_t features = get32(i), req = get32(i), rsp = get32(i);
	const char *why;

	c->failed = get8(i);
	c->why = get8(i);
	c->next_tx = get32(i);
	if (features & ~(uint32_t)FEATURES_ALL)
		return "its ring was offered features that this xenstored does not have";
	d->features = features;
	if (req != c->req_cons || rsp != c->rsp_prod)
		return "its ring is not where the file has it: another domain's file, or of another time";
	talk_load(i, c);
	if (i->bad)
		return NULL;
	why = check_talk(c);
	if (!why)
		why = get_watches(i, c);
	return why ? why : get_txs(i, c);
}

/* A list as it is here, see move.h. NULL: it is none. */
static struct perms *get_perms(struct in *i, const struct dom *d, unsigned int old)
{
	uint32_t num = get32(i), n = 0;
	struct perms *p;

	if (!num || num > PERMS_MAX)
		return NULL;
	p = perms_new(num, store_next_gen());
	for (uint32_t k = 0; k < num; k++) {
		uint32_t domid = get32(i);
		uint8_t rights = get8(i);

		if (rights & ~(PERM_READ | PERM_WRITE))
			i->bad = true;
		if (domid == old)
			p->p[n++] = (struct perm){ d->domid, rights };
		else if (!domid || (k && domid == DOM_ANY))
			p->p[n++] = (struct perm){ (uint16_t)domid, rights };
		else if (!k)
			p->p[n++] = (struct perm){ 0 };
	}
	p->num = n;
	return p;
}

/* The store with one node more, or with that one changed. Takes over p. */
static struct node *put_over(struct node *root, char *path, const char *value, size_t len,
			     struct perms *p, struct arrival *a)
{
	struct op ops[2] = {
		{ .kind = OP_WRITE, .path = path, .value = blob_new(value, len) },
		{ .kind = OP_SET_PERMS, .path = path, .perms = p },
	};
	struct effect e;

	for (int k = 0; k < 2; k++)
		if (!op_prepare(root, &ops[k], &a->acct, &e))
			root = op_install(root, &e);
	blob_put(ops[0].value);
	perms_put(p);
	return root;
}

/* Is it to be called that, with all above it there? The first is the home itself, "". */
static bool path_fits(const struct node *root, const char *path, const char *rest, bool first)
{
	const char *missing;

	if (first != !*rest || !path_valid(path) || (*rest && *rest != '/'))
		return false;
	tree_nearest(root, path, &missing);
	return !strchr(missing, '/');
}

/* *root becomes the store with the tree in it. */
static const char *get_tree(struct in *i, const struct dom *d, unsigned int old, struct node **root,
			    struct arrival *a)
{
	char path[SPELL_MAX];
	uint32_t num = get32(i);
	size_t at, len;

	if (d->limit[Q_NODES] && num > 2 * (unsigned long)d->limit[Q_NODES])
		return "its tree has more nodes than the domain may have";
	home_of(d, path);
	at = strlen(path);
	for (uint32_t k = 0; k < num && !i->bad; k++) {
		const char *rest = get_str(i), *value;
		const struct node *n;
		struct perms *p;

		value = get_data(i, &len);
		if (i->bad)
			break;
		if (at + strlen(rest) > XENSTORE_ABS_PATH_MAX || len > XENSTORE_PAYLOAD_MAX)
			return "a node in it is too long";
		strcpy(path + at, rest);
		if (!path_fits(*root, path, rest, !k))
			return "a node in it has a path that it cannot have";
		p = get_perms(i, d, old);
		if (!p || i->bad) {
			perms_put(p);
			return "a node in it has permissions that it cannot have";
		}
		n = tree_get(*root, path);
		if (n && perms_owner(n->perms) != d->domid)
			perms_put(p);
		else
			*root = put_over(*root, path, value, len, p, a);
	}
	return NULL;
}

/* What it would use with all of it, see move.h. */
static const char *check_quotas(const struct dom *d, struct arrival *a, long others)
{
	const struct acct_ent *e = acct_of(&a->acct, d->domid);
	const struct outmsg *m;
	long queued = 0;

	/* these have quotas of their own */
	for (m = TAILQ_FIRST(&d->conn->out); m; m = TAILQ_NEXT(m, link))
		queued += (long)(sizeof(*m) + m->len);
	if (over(d, Q_NODES, d->nodes + e->nodes) || over(d, Q_NODES, others))
		return "its tree has more nodes than the domain may have";
	if (over(d, Q_MEMORY, d->mem + e->mem - queued - SLACK))
		return "it takes more memory than the domain may have";
	return NULL;
}

static bool can_be(uint32_t domid)
{
	return domid && domid < DOM_FIRST_RESERVED;
}

static void add_between(struct dom *d, uint32_t id)
{
	if (d->num_between == BETWEEN_MAX) {
		d->num_between--;
		memmove(d->between, d->between + 1, d->num_between * sizeof(*d->between));
	}
	d->between[d->num_between++] = (uint16_t)id;
}

/* What it was called; the number that it has lost now is one of those in between. */
static const char *get_numbers(struct in *i, struct dom *d, uint32_t old)
{
	uint32_t was = get32(i), num = get32(i), id;
	bool known = old == was || old == d->domid;

	if (!can_be(old) || !can_be(was) || num > BETWEEN_MAX)
		return "it is of a domain that cannot be";
	d->was = (uint16_t)was;
	while (num--) {
		id = get32(i);
		if (!can_be(id))
			return "it is of a domain that cannot be";
		add_between(d, id);
		known |= id == old;
	}
	if (!known)
		add_between(d, old);
	return NULL;
}

static const char *get_body(struct in *i, struct dom *d, struct node **root, struct arrival *a)
{
	uint32_t old = get32(i);
	const char *why = get_numbers(i, d, old);

	if (why)
		return why;
	why = get_conn(i, d);
	if (!why && !i->bad)
		why = get_tree(i, d, old, root, a);
	if (!why && !i->bad)
		why = check_quotas(d, a, acct_of(&a->acct, 0)->nodes);
	if (!why && (i->bad || i->p != i->end))
		why = "it contradicts itself";
	return why;
}

static const char *check_head(const void *data, size_t len, struct head *h)
{
	if (len < sizeof(*h))
		return "it is no domain's connection";
	memcpy(h, data, sizeof(*h));
	if (h->magic != MAGIC)
		return "it is no domain's connection";
	if (h->version != MOVE_VERSION)
		return "it has a version that this xenstored does not know";
	if (h->len != len - sizeof(*h))
		return "its length is wrong: it was cut, or something was put behind it";
	if (h->zero || h->sum != sum_of(h, (const char *)data + sizeof(*h)))
		return "its sum is wrong: it is damaged";
	return NULL;
}

bool move_empty(const struct dom *d)
{
	const struct conn *c = d->conn;

	return !c->requests && !c->in_len && TAILQ_EMPTY(&c->out) && !c->out_off &&
	       LIST_EMPTY(&c->watches) && LIST_EMPTY(&c->txs) && !c->failed &&
	       c->req_cons == c->req_was && c->rsp_prod == c->rsp_was;
}

/* The connection as it was at INTRODUCE. */
static void empty(struct dom *d, const struct arrival *a)
{
	struct conn *c = d->conn;

	conn_reset(c);
	c->failed = false;
	c->why = 0;
	c->next_tx = 1;
	d->was = DOM_NONE;
	d->num_between = 0;
	d->gen_shift = 0;
	d->features = a->features;
	d->imported = d->untold = false;
	store_set_gen(a->gen);
}

const char *move_load(struct dom *d, const void *data, size_t len, struct arrival *a)
{
	struct node *root;
	const char *why;
	struct head h;
	struct in i;

	*a = (struct arrival){ .gen = store_gen(), .features = d->features };
	why = check_head(data, len, &h);
	if (why)
		return why;
	i = (struct in){ (const char *)data + sizeof(h), (const char *)data + len, false };
	root = node_get(store_root);
	why = get_body(&i, d, &root, a);
	if (why) {
		empty(d, a);
		node_put(root);
		acct_free(&a->acct);
		return why;
	}
	a->before = store_root;
	store_root = root;
	acct_apply(&a->acct);
	d->imported = d->untold = true;
	d->gen_shift = h.sum;
	return NULL;
}

void move_keep(struct arrival *a)
{
	node_put(a->before);
	acct_free(&a->acct);
}

void move_undo(struct dom *d, struct arrival *a)
{
	for (unsigned int k = 0; k < a->acct.num; k++) {
		a->acct.v[k].nodes = -a->acct.v[k].nodes;
		a->acct.v[k].mem = -a->acct.v[k].mem;
	}
	acct_apply(&a->acct);
	acct_free(&a->acct);
	node_put(store_root);
	store_root = a->before;
	empty(d, a);
}

void move_tell(struct dom *d)
{
	struct change c;
	char home[32];

	/* as it is now, so that watches of what is in it hear, too */
	home_of(d, home);
	c = change_of(store_root, home, true);
	c.but = d->conn;
	watch_fire(&c);
	change_free(&c);
	d->untold = false;
}

void move_tell_all(void)
{
	for (struct dom *d = dom_first(); d; d = d->next)
		if (d->untold)
			move_tell(d);
}

void move_park(struct dom *d)
{
	d->parked = true;
}

void move_unpark(struct dom *d)
{
	if (!d->parked)
		return;
	d->parked = false;
	if (d->conn)
		ring_greet(d->conn);
}
