// SPDX-License-Identifier: BSD-2-Clause
/*
 * The xs protocol: requests in, replies and events out.
 * It owns the dispatch table, the permission and path checks and the order reply-then-events.
 * Specification: Xen's docs/misc/xenstore.txt and io/xs_wire.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domains.h"
#include "move.h"
#include "path.h"
#include "proto.h"
#include "spell.h"
#include "util.h"
#include "watch.h"

int req_put(struct req *r, const void *data, size_t len)
{
	r->rep_set = true;
	if (r->rep_len + len > sizeof(r->rep))
		return -E2BIG;
	memcpy(r->rep + r->rep_len, data, len);
	r->rep_len += (uint32_t)len;
	return 0;
}

int req_printf(struct req *r, const char *fmt, ...)
{
	char buf[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	/* room for the NUL that ends the text */
	if (n < 0 || (size_t)n >= sizeof(buf) || r->rep_len + (uint32_t)n >= sizeof(r->rep))
		return -E2BIG;
	return req_put(r, buf, (size_t)n);
}

int req_strings(struct req *r, char **v, int max)
{
	char *p = r->body, *end = r->body + r->len;
	int n = 0;

	if (!r->len || end[-1])
		return -EINVAL;
	for (; p < end; p += strlen(p) + 1) {
		if (n == max)
			return -EINVAL;
		v[n++] = p;
	}
	return n;
}

/* The body's only string, or NULL. */
static char *one_string(struct req *r)
{
	char *s;

	return req_strings(r, &s, 1) == 1 ? s : NULL;
}

static struct node *cur_root(struct req *r)
{
	return r->tx ? r->tx->root : store_root;
}

static int note(struct req *r, const char *path, size_t len, unsigned int what)
{
	struct dom *d = r->c->dom;
	unsigned int n;

	if (!r->tx)
		return 0;
	/* the record itself costs memory, also where nothing is written */
	if (!quota_ok(d, Q_MEMORY, d->mem + 1))
		return -ENOMEM;
	n = tx_note(r->tx, path, len ? len : 1, what);
	return quota_ok(d, Q_TRANS_NODES, (long)n) ? 0 : -ENOSPC;
}

/*
 * Finds a node on which the client has the rights `need`. Where the node is missing the nearest
 * existing ancestor judges, where one of the rights is enough, so that nobody learns by -ENOENT what he may not
 * read. what: TX_* that the caller is about to use. create: the caller will create the node if this says -ENOENT.
 */
static int lookup(struct req *r, const char *path, unsigned int need, unsigned int what,
		  bool create, const struct node **out)
{
	const char *missing, *end;
	const struct node *n = tree_nearest(cur_root(r), path, &missing);
	unsigned int have = perms_rights(n->perms, r->c->domid) & need;
	bool judged = !conn_priv(r->c);
	int err;

	if (!*missing) {
		err = note(r, path, strlen(path), what | (judged ? TX_PERMS : 0));
		if (err)
			return err;
		*out = n;
		return have == need ? 0 : -EACCES;
	}
	if (judged || create) {
		end = strchrnul(missing, '/');
		err = note(r, path, (size_t)(end - path), 0);
		if (!err)
			err = note(r, path, (size_t)(missing - path) - 1, TX_PERMS);
	} else {
		err = note(r, path, strlen(path), 0);
	}
	if (err)
		return err;
	return have || !need ? -ENOENT : -EACCES;
}

/* Events will tell of this change, which root does not have yet. */
static void add_change(struct req *r, const struct node *root, const char *path, bool recursive)
{
	r->changes = xrealloc(r->changes, (r->num_changes + 1) * sizeof(*r->changes));
	r->changes[r->num_changes++] = change_of(root, path, recursive);
}

/*
 * Would these changes take the client over its quota? extra: further changes of the same
 * transaction.
 */
static int quota_check(struct req *r, struct acct *a, struct acct *extra)
{
	struct dom *d = r->c->dom;
	const struct acct_ent *e, *x = NULL;
	long nodes, mem;

	if (conn_priv(r->c))
		return 0;
	if (extra)
		x = acct_of(extra, d->domid);
	e = acct_of(a, d->domid);
	nodes = d->nodes + e->nodes + (x ? x->nodes : 0);
	mem = d->mem + e->mem + (x ? x->mem : 0);
	if (e->nodes > 0 && !quota_ok(d, Q_NODES, nodes))
		return -ENOSPC;
	if (e->mem > 0 && !quota_ok(d, Q_MEMORY, mem))
		return -ENOMEM;
	return 0;
}

/* Applies op, within the transaction if there is one. Frees op's contents in any case. */
static int do_op(struct req *r, struct op *op)
{
	struct acct a = { 0 };
	struct effect e;
	int err;

	op->creator = r->c->domid;
	err = op_prepare(cur_root(r), op, &a, &e);
	if (err)
		goto out;
	err = quota_check(r, &a, r->tx ? &r->tx->acct : NULL);
	if (err || e.nothing) {
		op_drop(&e);
	} else if (r->tx) {
		r->tx->root = op_install(r->tx->root, &e);
		tx_push(r->tx, op, &a);
	} else {
		add_change(r, store_root, op->path, op->kind == OP_RM);
		store_root = op_install(store_root, &e);
		acct_apply(&a);
	}
out:
	acct_free(&a);
	op_free(op);
	return err;
}

static int req_read(struct req *r)
{
	char path[SPELL_MAX];
	const struct node *n;
	int err = spell_path(r->c, one_string(r), path, false);

	if (!err)
		err = lookup(r, path, PERM_READ, TX_VALUE, false, &n);
	if (err)
		return err;
	return n->value ? req_put(r, n->value->data, n->value->len) : req_put(r, "", 0);
}

static int req_write(struct req *r)
{
	char path[SPELL_MAX];
	struct op op = { .kind = OP_WRITE };
	const struct node *n = NULL;
	size_t plen = strlen(r->body), vlen;
	int err;

	if (plen >= r->len)
		return -EINVAL;
	vlen = r->len - plen - 1;
	err = spell_path(r->c, r->body, path, false);
	if (!err)
		err = lookup(r, path, PERM_WRITE, TX_VALUE, true, &n);
	if (err && err != -ENOENT)
		return err;
	if (!quota_ok(r->c->dom, Q_NODE_SIZE, (long)vlen))
		return -ENOSPC;
	op.path = xstrdup(path);
	op.value = blob_new(r->body + plen + 1, vlen);
	return do_op(r, &op);
}

static int req_mkdir(struct req *r)
{
	char path[SPELL_MAX];
	struct op op = { .kind = OP_MKDIR };
	const struct node *n;
	int err = spell_path(r->c, one_string(r), path, false);

	if (!err)
		err = lookup(r, path, PERM_WRITE, 0, true, &n);
	if (err != -ENOENT)
		return err;
	op.path = xstrdup(path);
	return do_op(r, &op);
}

static int req_rm(struct req *r)
{
	char path[SPELL_MAX];
	struct op op = { .kind = OP_RM };
	const char *missing;
	const struct node *n;
	int err = spell_path(r->c, one_string(r), path, false);

	if (!err)
		err = lookup(r, path, PERM_WRITE, TX_TREE, false, &n);
	if (err == -ENOENT) {
		/* what is not there is removed already, provided that its parent is there */
		tree_nearest(cur_root(r), path, &missing);
		err = note(r, path, path_parent_len(path), 0);
		return strchr(missing, '/') && !err ? -ENOENT : err;
	}
	if (err)
		return err;
	if (!strcmp(path, "/"))
		return -EINVAL;
	op.path = xstrdup(path);
	return do_op(r, &op);
}

struct listing {
	struct req *r;
	unsigned int spare; /* bytes to be left for DIRECTORY_PART's end mark */
	bool full;
};

static bool list_one(const struct node *n, void *ctx)
{
	struct listing *l = ctx;

	/* whole names only */
	if (l->r->rep_len + n->namelen + 1u + l->spare > sizeof(l->r->rep)) {
		l->full = true;
		return false;
	}
	req_put(l->r, n->name, n->namelen + 1u);
	return true;
}

static int req_directory(struct req *r)
{
	char path[SPELL_MAX];
	struct listing l = { .r = r };
	const struct node *n;
	int err = spell_path(r->c, one_string(r), path, false);

	if (!err)
		err = lookup(r, path, PERM_READ, TX_DIR, false, &n);
	if (err)
		return err;
	if (node_dir_bytes(n) > sizeof(r->rep))
		return -E2BIG;
	req_put(r, "", 0);
	node_list(n, 0, list_one, &l);
	return 0;
}

static int req_directory_part(struct req *r)
{
	char path[SPELL_MAX], gen[24], *v[2];
	struct listing l = { .r = r, .spare = 1 };
	const struct node *n;
	unsigned long off;
	int err;

	if (req_strings(r, v, 2) != 2 || !parse_num(v[1], 1ul << 40, &off))
		return -EINVAL;
	err = spell_path(r->c, v[0], path, false);
	if (!err)
		err = lookup(r, path, PERM_READ, TX_DIR, false, &n);
	if (err)
		return err;
	/* one that has moved must find none that it read elsewhere */
	req_put(r, gen,
		(size_t)sprintf(gen, "%llu", (unsigned long long)(n->gen + r->c->dom->gen_shift)) +
			1);
	node_list(n, off, list_one, &l);
	/* an empty name marks the end of the list */
	if (!l.full)
		req_put(r, "", 1);
	return 0;
}

static int req_get_perms(struct req *r)
{
	char path[SPELL_MAX];
	const struct perms *p;
	const struct node *n;
	struct perms **special;
	int len, err = spell_path(r->c, one_string(r), path, true);

	if (err)
		return err;
	if (path[0] == '@') {
		special = watch_special_perms(path);
		if (!special)
			return -ENOENT;
		p = *special;
		if (!(perms_rights(p, r->c->domid) & PERM_READ))
			return -EACCES;
	} else {
		err = lookup(r, path, PERM_READ, TX_PERMS, false, &n);
		if (err)
			return err;
		p = n->perms;
	}
	len = perms_format(p, r->c->domid, spell_domid_shown(r->c, r->c->domid), r->rep,
			   sizeof(r->rep));
	if (len < 0)
		return len;
	r->rep_len = (uint32_t)len;
	r->rep_set = true;
	return 0;
}

/* Takes "every domain" out of the list of a guest to which that was not offered. */
static void drop_any(const struct conn *c, struct perms *p)
{
	unsigned int n = 1;

	if (conn_feature(c, FEATURE_DOMID_ANY))
		return;
	for (unsigned int i = 1; i < p->num; i++)
		if (p->p[i].domid != DOM_ANY)
			p->p[n++] = p->p[i];
	p->num = n;
}

/* Parses the list that follows the path. */
static int perms_of_body(struct req *r, struct perms **out)
{
	const char *s = r->body + strlen(r->body) + 1, *p, *end = r->body + r->len;
	unsigned int num = 0;
	unsigned long id;
	int err;

	if (s >= end || end[-1])
		return -EINVAL;
	for (p = s; p < end; p += strlen(p) + 1) {
		/* who is given rights by dom0 becomes known, so that the rights can die with him */
		if (conn_priv(r->c) && *p && parse_num(p + 1, DOM_FIRST_RESERVED - 1, &id))
			dom_known((unsigned int)id);
		num++;
	}
	if (!quota_ok(r->c->dom, Q_PERMS, (long)num))
		return -ENOSPC;
	err = perms_parse(s, num, store_next_gen(), out);
	if (err)
		return err;
	drop_any(r->c, *out);
	for (unsigned int i = 0; i < (*out)->num; i++)
		(*out)->p[i].domid = (uint16_t)spell_domid(r->c, (*out)->p[i].domid);
	/* a guest's list is refused later unless it names the owner of now */
	if (!conn_priv(r->c) || dom_find((*out)->p[0].domid))
		return 0;
	perms_put(*out);
	return -ENOENT;
}

/* SET_PERMS of @introduceDomain or @releaseDomain. Takes over p. */
static int set_special_perms(struct req *r, const char *name, struct perms *p)
{
	struct perms **now = watch_special_perms(name);
	const unsigned int need = PERM_WRITE | PERM_OWNER;
	int err = 0;

	if (!now)
		err = -ENOENT;
	else if ((perms_rights(*now, r->c->domid) & need) != need)
		err = -EACCES;
	else if (!conn_priv(r->c) && p->p[0].domid != perms_owner(*now))
		err = -EPERM;
	if (err) {
		perms_put(p);
		return err;
	}
	perms_put(*now);
	*now = p;
	return 0;
}

static int req_set_perms(struct req *r)
{
	char path[SPELL_MAX];
	struct op op = { .kind = OP_SET_PERMS };
	const struct node *n;
	struct perms *p;
	int err;

	if (strlen(r->body) >= r->len)
		return -EINVAL;
	err = spell_path(r->c, r->body, path, true);
	if (!err)
		err = perms_of_body(r, &p);
	if (err)
		return err;
	if (path[0] == '@')
		return set_special_perms(r, path, p);
	err = lookup(r, path, PERM_WRITE | PERM_OWNER, TX_PERMS, false, &n);
	/* only dom0 gives nodes away: ownership is what quotas are counted by */
	if (!err && !conn_priv(r->c) && p->p[0].domid != perms_owner(n->perms))
		err = -EPERM;
	if (err) {
		perms_put(p);
		return err;
	}
	op.path = xstrdup(path);
	op.perms = p;
	return do_op(r, &op);
}

static int add_watch(struct req *r, const char *where, const char *token, int depth)
{
	char path[SPELL_MAX];
	struct dom *d = r->c->dom;
	int err = spell_path(r->c, where, path, true);

	if (err)
		return err;
	if (!quota_ok(d, Q_WATCHES, d->watches + 1))
		return -E2BIG;
	if (!quota_ok(d, Q_MEMORY, d->mem + 1))
		return -ENOMEM;
	return watch_add(r->c, path, where, token, depth, &r->fire);
}

int req_watch_for(struct req *r, struct conn *c, const char *path, const char *token)
{
	struct conn *who = r->c;
	int err;

	r->c = c;
	err = add_watch(r, path, token, -1);
	r->c = who;
	return err;
}

static int req_watch(struct req *r)
{
	char *v[3];
	unsigned long depth = 0;
	int num = req_strings(r, v, 3);
	bool limited = num == 3 && v[2][0];

	if (num < 2)
		return -EINVAL;
	/* without the feature the third string is reserved, and empty */
	if (limited && (!conn_feature(r->c, FEATURE_WATCH_DEPTH) ||
			!parse_num(v[2], XENSTORE_ABS_PATH_MAX, &depth)))
		return -EINVAL;
	return add_watch(r, v[0], v[1], limited ? (int)depth : -1);
}

static int req_unwatch(struct req *r)
{
	char path[SPELL_MAX], *v[3];
	int err;

	if (req_strings(r, v, 3) < 2)
		return -EINVAL;
	err = spell_path(r->c, v[0], path, true);
	return err ? err : watch_del(r->c, path, v[1]);
}

static int req_reset_watches(struct req *r)
{
	watch_del_all(r->c);
	while (!LIST_EMPTY(&r->c->txs))
		conn_tx_close(r->c, LIST_FIRST(&r->c->txs));
	return 0;
}

static int req_transaction_start(struct req *r)
{
	struct dom *d = r->c->dom;
	struct tx *tx;

	if (r->hdr.tx_id)
		return -EBUSY;
	if (!quota_ok(d, Q_TRANSACTIONS, d->txs + 1))
		return -ENOSPC;
	if (!quota_ok(d, Q_MEMORY, d->mem + 1))
		return -ENOMEM;
	while (!r->c->next_tx || conn_tx_find(r->c, r->c->next_tx))
		r->c->next_tx++;
	tx = tx_start(r->c->next_tx++);
	LIST_INSERT_HEAD(&r->c->txs, tx, link);
	d->txs++;
	if (!conn_priv(r->c))
		conn_timer(clock_ms + (uint64_t)d->limit[Q_TX_TIME] * 1000);
	req_printf(r, "%u", tx->id);
	return req_put(r, "", 1);
}

/* The transaction met something that another domain changed. */
static void lost_to(struct conn *c, unsigned int domid)
{
	const struct dom *d = dom_find(domid);

	if (conn_priv(c) && domid && d && d->conn)
		conn_hold(d->conn, c);
}

static int req_transaction_end(struct req *r)
{
	struct tx *tx = r->tx;
	const char *how = one_string(r);
	struct acct a = { 0 };
	struct node *root;
	int err = 0;

	if (!tx)
		return -ENOENT;
	if (!how || (strcmp(how, "T") && strcmp(how, "F")))
		return -EINVAL;
	if (*how == 'T') {
		err = tx_commit(tx, &root, &a);
		/* each of several transactions may have fitted alone (XSA-419) */
		if (!err) {
			err = quota_check(r, &a, NULL);
			if (err || root == store_root)
				node_put(root);
			else {
				acct_apply(&a);
				for (unsigned int i = 0; i < tx->num_ops; i++)
					add_change(r, store_root, tx->ops[i].path,
						   tx->ops[i].kind == OP_RM);
				node_put(store_root);
				store_root = root;
			}
		}
	}
	acct_free(&a);
	if (err == -EAGAIN)
		lost_to(r->c, tx->blame);
	else
		r->c->lost = 0;
	conn_tx_close(r->c, tx);
	r->tx = NULL;
	return err;
}

#define F_DOM0 1 /* dom0 only */
#define F_TX 2 /* tx_id counts; the others ignore it */

static const struct {
	const char *name;
	int (*fn)(struct req *);
	unsigned int flags;
} requests[] = {
	[XS_CONTROL] = { "CONTROL", req_control, F_DOM0 },
	[XS_DIRECTORY] = { "DIRECTORY", req_directory, F_TX },
	[XS_READ] = { "READ", req_read, F_TX },
	[XS_GET_PERMS] = { "GET_PERMS", req_get_perms, F_TX },
	[XS_WATCH] = { "WATCH", req_watch, 0 },
	[XS_UNWATCH] = { "UNWATCH", req_unwatch, 0 },
	[XS_TRANSACTION_START] = { "TRANSACTION_START", req_transaction_start, 0 },
	[XS_TRANSACTION_END] = { "TRANSACTION_END", req_transaction_end, F_TX },
	[XS_INTRODUCE] = { "INTRODUCE", req_introduce, F_DOM0 },
	[XS_RELEASE] = { "RELEASE", req_release, F_DOM0 },
	[XS_GET_DOMAIN_PATH] = { "GET_DOMAIN_PATH", req_get_domain_path, 0 },
	[XS_WRITE] = { "WRITE", req_write, F_TX },
	[XS_MKDIR] = { "MKDIR", req_mkdir, F_TX },
	[XS_RM] = { "RM", req_rm, F_TX },
	[XS_SET_PERMS] = { "SET_PERMS", req_set_perms, F_TX },
	[XS_IS_DOMAIN_INTRODUCED] = { "IS_DOMAIN_INTRODUCED", req_is_introduced, 0 },
	[XS_RESUME] = { "RESUME", req_resume, F_DOM0 },
	[XS_SET_TARGET] = { "SET_TARGET", req_set_target, F_DOM0 },
	[XS_RESET_WATCHES] = { "RESET_WATCHES", req_reset_watches, 0 },
	[XS_DIRECTORY_PART] = { "DIRECTORY_PART", req_directory_part, F_TX },
	[XS_GET_FEATURE_] = { "GET_FEATURE", req_get_feature, 0 },
	[XS_SET_FEATURE_] = { "SET_FEATURE", req_set_feature, F_DOM0 },
	[XS_GET_QUOTA_] = { "GET_QUOTA", req_get_quota, F_DOM0 },
	[XS_SET_QUOTA_] = { "SET_QUOTA", req_set_quota, F_DOM0 },
};

static const char *error_name(int err)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(xsd_errors); i++)
		if (xsd_errors[i].errnum == err)
			return xsd_errors[i].errstring;
	return "EINVAL";
}

static int dispatch(struct req *r)
{
	uint32_t type = r->hdr.type;
	struct tx *tx;
	long before;
	int err;

	if (type >= ARRAY_SIZE(requests) || !requests[type].fn)
		return -ENOSYS;
	if ((requests[type].flags & F_DOM0) && !conn_priv(r->c))
		return -EACCES;
	if (!(requests[type].flags & F_TX) || !r->hdr.tx_id)
		return requests[type].fn(r);
	tx = r->tx = conn_tx_find(r->c, r->hdr.tx_id);
	if (!tx)
		return -ENOENT;
	if (tx->expired && type != XS_TRANSACTION_END)
		return -EAGAIN;
	before = tx->mem;
	err = requests[type].fn(r);
	if (r->tx)
		r->c->dom->mem += tx->mem - before;
	return err;
}

static void fire_events(struct req *r)
{
	if (r->fire)
		watch_fire_one(r->fire);
	for (unsigned int i = 0; i < r->num_changes; i++) {
		watch_fire(&r->changes[i]);
		change_free(&r->changes[i]);
	}
	free(r->changes);
	if (r->arrived)
		move_tell(r->arrived);
	if (r->gone)
		domain_forget(r->gone);
	if (r->special)
		watch_fire_special(r->special, r->special_domid);
}

void proto_handle(struct conn *c, const struct xsd_sockmsg *hdr, char *body)
{
	static struct req r;
	struct xsd_sockmsg rep = *hdr;
	const char *name;
	int err;

	/* all but the reply's buffer, which is big and written before it is read */
	r.c = c;
	r.hdr = *hdr;
	r.body = body;
	r.len = hdr->len;
	r.tx = NULL;
	r.rep_len = 0;
	r.rep_set = false;
	r.changes = NULL;
	r.num_changes = 0;
	r.fire = NULL;
	r.special = NULL;
	r.arrived = NULL;
	r.gone = NULL;
	err = dispatch(&r);
	if (log_tracing()) {
		name = hdr->type < ARRAY_SIZE(requests) ? requests[hdr->type].name : NULL;
		xlog(LOG_TRACE_, "d%u tx%u %s %.*s -> %s", c->domid, hdr->tx_id, name ? name : "?",
		     (int)strnlen(body, hdr->len), body, err ? error_name(-err) : "ok");
	}
	if (err) {
		rep.type = XS_ERROR;
		r.rep_len = 0;
		name = error_name(-err);
		req_put(&r, name, strlen(name) + 1);
	} else if (!r.rep_set) {
		req_put(&r, "OK", 3);
	}
	rep.len = r.rep_len;
	conn_send(c, &rep, r.rep, false);
	fire_events(&r);
}
