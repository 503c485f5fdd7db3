// SPDX-License-Identifier: BSD-2-Clause
/*
 * Watches: who wants to hear of changes where.
 * It owns the indexes of all watches by path and the making of events.
 * Events are bounded per connection; what does not fit is folded into one event per watch.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "path.h"
#include "record.h"
#include "spell.h"
#include "util.h"
#include "watch.h"

/* Watch events that a privileged client may leave untaken. */
#define PRIV_EVENTS 65536

/* In two indexes: a hash table for a path, a treap in order of path for all below one. */
struct watch_point {
	struct watch_point *l, *r;
	struct watch_point *same_hash;
	uint32_t prio, hash;
	struct watch_list watches;
	char path[];
};

static struct watch_point *points; /* the treap's root */
static struct watch_point **buckets;
static size_t num_points, num_buckets;
static size_t num_watches;
static struct perms *introduce_perms, *release_perms;

static uint32_t next_prio(void)
{
	static uint32_t x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x;
}

/* FNV-1a, which can go on from a prefix's. */
#define HASH_START 2166136261u

static uint32_t path_hash(uint32_t h, const char *s, size_t len)
{
	while (len--)
		h = (h ^ (uint8_t)*s++) * 16777619u;
	return h;
}

static struct watch_point **bucket(uint32_t hash)
{
	/* the multiplication leaves its best bits at the top */
	return &buckets[(hash ^ hash >> 16) & (num_buckets - 1)];
}

static struct watch_point *point_find(const char *path, size_t len, uint32_t hash)
{
	struct watch_point *p = num_buckets ? *bucket(hash) : NULL;

	while (p && (p->hash != hash || strncmp(path, p->path, len) || p->path[len]))
		p = p->same_hash;
	return p;
}

static struct watch_point *point_of(const char *path)
{
	size_t len = strlen(path);

	return point_find(path, len, path_hash(HASH_START, path, len));
}

static void buckets_grow(void)
{
	struct watch_point **old = buckets, *p, *next;
	size_t n = num_buckets;

	num_buckets = n ? n * 2 : 64;
	buckets = xzalloc(num_buckets * sizeof(*buckets));
	for (size_t i = 0; i < n; i++) {
		for (p = old[i]; p; p = next) {
			next = p->same_hash;
			p->same_hash = *bucket(p->hash);
			*bucket(p->hash) = p;
		}
	}
	free(old);
}

static void split(struct watch_point *t, const char *key, struct watch_point **l,
		  struct watch_point **r)
{
	while (t) {
		if (strcmp(t->path, key) < 0) {
			*l = t;
			l = &t->r;
			t = t->r;
		} else {
			*r = t;
			r = &t->l;
			t = t->l;
		}
	}
	*l = *r = NULL;
}

static struct watch_point *point_need(const char *path)
{
	struct watch_point **pp = &points, *p = point_of(path);
	size_t len = strlen(path);

	if (p)
		return p;
	if (num_points++ >= num_buckets)
		buckets_grow();
	p = xzalloc(sizeof(*p) + len + 1);
	strcpy(p->path, path);
	p->hash = path_hash(HASH_START, path, len);
	p->same_hash = *bucket(p->hash);
	*bucket(p->hash) = p;
	p->prio = next_prio();
	LIST_INIT(&p->watches);
	while (*pp && (*pp)->prio >= p->prio)
		pp = strcmp(path, (*pp)->path) < 0 ? &(*pp)->l : &(*pp)->r;
	split(*pp, path, &p->l, &p->r);
	*pp = p;
	return p;
}

static void point_del(struct watch_point *p)
{
	struct watch_point **pp = &points, *l = p->l, *r = p->r;

	while (*pp != p)
		pp = strcmp(p->path, (*pp)->path) < 0 ? &(*pp)->l : &(*pp)->r;
	while (l && r) {
		if (l->prio >= r->prio) {
			*pp = l;
			pp = &l->r;
			l = l->r;
		} else {
			*pp = r;
			pp = &r->l;
			r = r->l;
		}
	}
	*pp = l ? l : r;
	for (pp = bucket(p->hash); *pp != p; pp = &(*pp)->same_hash)
		;
	*pp = p->same_hash;
	num_points--;
	free(p);
}

static long watch_cost(const struct watch *w)
{
	return (long)(sizeof(*w) + sizeof(*w->point) + strlen(w->point->path) + strlen(w->token) +
		      (w->spelled ? strlen(w->spelled) : 0) + 64);
}

static struct watch *find(struct conn *c, const char *path, const char *token)
{
	struct watch_point *p = point_of(path);
	struct watch *w;

	if (p)
		for (w = LIST_FIRST(&p->watches); w; w = LIST_NEXT(w, of_point)) {
			if (w->conn == c && !strcmp(w->token, token))
				return w;
		}
	return NULL;
}

int watch_add(struct conn *c, const char *path, const char *spelled, const char *token, int depth,
	      struct watch **out)
{
	size_t len = strlen(path), slen = strlen(spelled);
	struct watch *w;

	if (find(c, path, token))
		return -EEXIST;
	w = xzalloc(sizeof(*w));
	w->conn = c;
	w->point = point_need(path);
	w->token = xstrdup(token);
	if (slen <= len && !strcmp(path + len - slen, spelled))
		w->skip = (uint16_t)(len - slen);
	else
		w->spelled = xstrdup(spelled);
	w->depth = depth;
	LIST_INSERT_HEAD(&c->watches, w, of_conn);
	LIST_INSERT_HEAD(&w->point->watches, w, of_point);
	c->dom->watches++;
	c->dom->mem += watch_cost(w);
	num_watches++;
	*out = w;
	return 0;
}

static void watch_free(struct watch *w)
{
	w->conn->dom->watches--;
	w->conn->dom->mem -= watch_cost(w);
	num_watches--;
	LIST_REMOVE(w, of_conn);
	LIST_REMOVE(w, of_point);
	if (LIST_EMPTY(&w->point->watches))
		point_del(w->point);
	free(w->token);
	free(w->spelled);
	free(w);
}

int watch_del(struct conn *c, const char *path, const char *token)
{
	struct watch *w = find(c, path, token);

	if (!w)
		return -ENOENT;
	watch_free(w);
	return 0;
}

void watch_del_all(struct conn *c)
{
	while (!LIST_EMPTY(&c->watches))
		watch_free(LIST_FIRST(&c->watches));
}

/* Has this connection room for one more event? */
static bool room(const struct conn *c)
{
	if (conn_priv(c))
		return c->out_events < PRIV_EVENTS;
	return quota_ok(c->dom, Q_MEMORY, c->dom->mem + 1) &&
	       quota_ok(c->dom, Q_EVENTS, (long)c->out_events + 1);
}

/* The same event, waiting at the end of the queue and not begun yet, need not wait twice. */
static bool is_last(const struct conn *c, const char *body, size_t len)
{
	const struct outmsg *m = TAILQ_LAST(&c->out, outq);

	if (!m || !m->event || (m == TAILQ_FIRST(&c->out) && c->out_off))
		return false;
	return m->len == sizeof(struct xsd_sockmsg) + len &&
	       !memcmp(m->data + sizeof(struct xsd_sockmsg), body, len);
}

const char *watch_spelled(const struct watch *w)
{
	return w->spelled ? w->spelled : w->point->path + w->skip;
}

/* Path, at or below what is watched, as this client knows it. buf: SPELL_MAX bytes. */
static const char *shown(const struct watch *w, const char *path, char *buf)
{
	size_t len = strlen(w->point->path);

	if (w->skip)
		return path + w->skip;
	if (!w->spelled)
		return spell_shown(w->conn, path, len, buf);
	strcpy(buf, w->spelled);
	strcat(buf, path + len);
	return buf;
}

static void send_event(struct watch *w, const char *path)
{
	struct conn *c = w->conn;
	struct xsd_sockmsg hdr = { .type = XS_WATCH_EVENT };
	char body[XENSTORE_PAYLOAD_MAX], buf[SPELL_MAX];
	size_t plen, tlen = strlen(w->token) + 1;

	if (c->failed || c->dead)
		return;
	if (!room(c)) {
		w->lost = c->overflow = true;
		return;
	}
	path = shown(w, path, buf);
	plen = strlen(path) + 1;
	if (plen + tlen > sizeof(body)) {
		/* registration fitted into a message, so this does (XSA-324) */
		path = watch_spelled(w);
		plen = strlen(path) + 1;
		if (plen + tlen > sizeof(body))
			return;
	}
	memcpy(body, path, plen);
	memcpy(body + plen, w->token, tlen);
	if (is_last(c, body, plen + tlen))
		return;
	hdr.len = (uint32_t)(plen + tlen);
	conn_send(c, &hdr, body, true);
}

const char *watch_path(const struct watch *w)
{
	return w->point->path;
}

size_t watch_number(const struct conn *c)
{
	const struct watch *w;
	size_t num = 0;

	for (w = LIST_FIRST(&c->watches); w; w = LIST_NEXT(w, of_conn))
		num++;
	return num;
}

const struct watch *watch_oldest(const struct conn *c)
{
	const struct watch *w = LIST_FIRST(&c->watches);

	while (w && LIST_NEXT(w, of_conn))
		w = LIST_NEXT(w, of_conn);
	return w;
}

const struct watch *watch_newer(const struct conn *c, const struct watch *w)
{
	/* lists are headed by the newest; link.le_prev points to the link that points to us */
	if (LIST_FIRST(&c->watches) == w)
		return NULL;
	return (const struct watch *)((const char *)w->of_conn.le_prev -
				      offsetof(struct watch, of_conn.le_next));
}

void watch_fire_one(struct watch *w)
{
	send_event(w, w->point->path);
}

void watch_refill(struct conn *c)
{
	if (!c->overflow || !room(c))
		return;
	/* not for each place that becomes free */
	if (!conn_priv(c) && c->dom->limit[Q_EVENTS] &&
	    (long)c->out_events > c->dom->limit[Q_EVENTS] / 2)
		return;
	record_refill(c);
	watch_refill_now(c);
}

void watch_refill_now(struct conn *c)
{
	struct watch *w;

	c->overflow = false;
	for (w = LIST_FIRST(&c->watches); w; w = LIST_NEXT(w, of_conn)) {
		if (!w->lost)
			continue;
		w->lost = false;
		send_event(w, w->point->path); /* sets lost again when there is no room left */
	}
}

static bool may_read(const struct conn *c, const struct node *n)
{
	return n && (perms_rights(n->perms, c->domid) & PERM_READ);
}

/* What the event's receivers are judged by. */
struct subject {
	const char *path;
	const struct node *old, *now;
	const struct perms *above;
	const struct conn *but;
};

/*
 * One may hear of a node that one may read, now or before. Of a removal one hears too when one may
 * read the parent, whose list of children changed (Xen's documentation asks for the first only).
 */
static bool permitted(const struct conn *c, const struct subject *s)
{
	return conn_priv(c) || may_read(c, s->now) || may_read(c, s->old) ||
	       (!s->now && s->above && (perms_rights(s->above, c->domid) & PERM_READ));
}

static void fire_point(const struct watch_point *p, const struct subject *s, bool below)
{
	struct watch *w;

	for (w = LIST_FIRST(&p->watches); w; w = LIST_NEXT(w, of_point)) {
		if (!below && w->depth >= 0 &&
		    path_levels(p->path, s->path) > (unsigned int)w->depth)
			continue;
		if (w->conn != s->but && permitted(w->conn, s))
			send_event(w, s->path);
	}
}

/* Watches strictly below path, at nodes that were removed with gone. */
static void fire_below(struct watch_point *p, const char *path, size_t len, const struct node *gone,
		       const struct conn *but)
{
	struct subject s = { .but = but };

	while (p) {
		int c = strncmp(p->path, path, len);

		if (!c && p->path[len] != '/')
			c = (unsigned char)p->path[len] < '/' ? -1 : 1;
		if (c < 0) {
			p = p->r;
			continue;
		}
		if (c > 0) {
			p = p->l;
			continue;
		}
		fire_below(p->l, path, len, gone, but);
		s.path = p->path;
		s.old = tree_get(gone, p->path + len);
		if (s.old)
			fire_point(p, &s, true);
		p = p->r;
	}
}

void watch_fire(const struct change *c)
{
	struct subject s = { .path = c->path, .old = c->old, .above = c->above, .but = c->but };
	uint32_t hash = HASH_START;
	const char *pos = c->path, *from = c->path;
	struct watch_point *p;
	size_t len;

	if (!points)
		return;
	s.now = tree_get(store_root, c->path);
	p = point_find("/", 1, path_hash(HASH_START, "/", 1));
	if (p)
		fire_point(p, &s, false);
	while (path_next(&pos, &len)) {
		hash = path_hash(hash, from, (size_t)(pos - from));
		from = pos;
		p = point_find(c->path, (size_t)(pos - c->path), hash);
		if (p)
			fire_point(p, &s, false);
	}
	if (c->recursive && c->old)
		fire_below(points, c->path, strlen(c->path), c->old, c->but);
}

struct change change_of(const struct node *root, const char *path, bool recursive)
{
	struct change c = { .path = xstrdup(path), .recursive = recursive };
	const struct node *above;
	size_t len;

	c.old = node_get((struct node *)tree_get(root, path));
	if (strcmp(path, "/")) {
		/* cut there for a moment */
		len = path_parent_len(path);
		c.path[len] = 0;
		above = tree_get(root, c.path);
		c.path[len] = path[len];
		c.above = above ? perms_get(above->perms) : NULL;
	}
	return c;
}

void change_free(struct change *c)
{
	free(c->path);
	node_put(c->old);
	perms_put(c->above);
}

struct perms **watch_special_perms(const char *name)
{
	if (!strcmp(name, "@introduceDomain"))
		return &introduce_perms;
	if (!strcmp(name, "@releaseDomain"))
		return &release_perms;
	return NULL;
}

void watch_fire_special(const char *name, unsigned int domid)
{
	const struct perms *perms = *watch_special_perms(name);
	struct watch_point *p = point_of(name);
	char full[32];
	struct watch *w;

	snprintf(full, sizeof(full), "%s/%u", name, domid);
	for (int i = 0; i < 2; i++, p = point_of(full)) {
		if (!p)
			continue;
		for (w = LIST_FIRST(&p->watches); w; w = LIST_NEXT(w, of_point)) {
			/* the event is one level below the name: with a depth it says whose it is */
			if (!i && !w->depth)
				continue;
			if (perms_rights(perms, w->conn->domid) & PERM_READ)
				send_event(w, i || w->depth > 0 ? full : name);
		}
	}
}

void watch_init(void)
{
	introduce_perms = perms_new(1, 0);
	release_perms = perms_new(1, 0);
}

void watch_exit(void)
{
	perms_put(introduce_perms);
	perms_put(release_perms);
	introduce_perms = release_perms = NULL;
	free(buckets);
	buckets = NULL;
	num_buckets = 0;
}

size_t watch_count(void)
{
	return num_watches;
}
