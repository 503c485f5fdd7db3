// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the daemon knows of each domain: life, ring, target, usage and quotas.
 * It owns the table of domains and the accounting of nodes and memory to them.
 * Permission lists are judged here too, because they depend on which domains live.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dom.h"
#include "record.h"
#include "store.h"
#include "util.h"

/* clang-format off */
const struct quota_info quota_info[Q_MAX] = {
	[Q_NODES] = { "nodes", "Nodes per domain" },
	[Q_NODE_SIZE] = { "node-size", "Max. size of a node's value" },
	[Q_WATCHES] = { "watches", "Watches per domain" },
	[Q_TRANSACTIONS] = { "transactions", "Active transactions per domain" },
	[Q_TRANS_NODES] = { "transaction-nodes", "Max. number of accessed nodes per transaction" },
	[Q_OUTSTANDING] = { "outstanding", "Outstanding requests per domain" },
	[Q_EVENTS] = { "events", "Watch events that wait for the domain" },
	[Q_PERMS] = { "node-permissions", "Max. number of permissions per node" },
	[Q_PATH] = { "path-max", "Max. length of a node path" },
	[Q_TX_TIME] = { "transaction-time", "Seconds that a transaction may stay open" },
	[Q_MEMORY] = { "memory", "Total Xenstore memory per domain" },
};
/* clang-format on */

/* Xen's numbers where it has them. */
/* clang-format off */
long quota_default[Q_MAX] = {
	[Q_NODES] = 1000,
	[Q_NODE_SIZE] = 2048,
	[Q_WATCHES] = 128,
	[Q_TRANSACTIONS] = 10,
	[Q_TRANS_NODES] = 1024,
	[Q_OUTSTANDING] = 20,
	[Q_EVENTS] = 1024,
	[Q_PERMS] = 5,
	[Q_PATH] = 2048,
	[Q_TX_TIME] = 60,
	[Q_MEMORY] = 2560 * 1024,
};
/* clang-format on */

long quota_max[Q_MAX];

static struct dom *table[DOM_FIRST_RESERVED];
static struct dom *all;
static uint64_t epoch;

int quota_find(const char *name)
{
	/* the protocol's text and Xen's daemon differ in this one */
	if (!strcmp(name, "permissions"))
		return Q_PERMS;
	for (int i = 0; i < Q_MAX; i++)
		if (!strcmp(quota_info[i].name, name))
			return i;
	return -1;
}

bool quota_ok(struct dom *d, enum quota q, long val)
{
	if (!d->domid)
		return true;
	if (d->limit[q] && val > d->limit[q])
		return false;
	if (val > d->max[q])
		d->max[q] = val;
	if (val > quota_max[q])
		quota_max[q] = val;
	return true;
}

struct dom *dom_find(unsigned int domid)
{
	return domid < DOM_FIRST_RESERVED ? table[domid] : NULL;
}

struct dom *dom_need(unsigned int domid)
{
	struct dom *d = table[domid];

	if (d)
		return d;
	d = xzalloc(sizeof(*d));
	d->domid = (uint16_t)domid;
	d->target = d->was = DOM_NONE;
	d->born = store_next_gen();
	memcpy(d->limit, quota_default, sizeof(d->limit));
	d->features = FEATURES_ALL;
	d->next = all;
	all = d;
	table[domid] = d;
	return d;
}

struct dom *dom_known(unsigned int domid)
{
	struct hv_dominfo info;
	struct dom *d = dom_find(domid);
	int n;

	if (d || domid >= DOM_FIRST_RESERVED)
		return d;
	n = rec_dominfo(domid, 1, &info);
	if (n == -ENOSYS || (n == 1 && info.domid == domid))
		return dom_need(domid);
	return NULL;
}

void dom_forget(struct dom *d)
{
	struct dom **pp, *o;

	for (pp = &all; *pp != d; pp = &(*pp)->next)
		;
	*pp = d->next;
	for (o = all; o; o = o->next)
		if (o->target == d->domid)
			o->target = DOM_NONE;
	table[d->domid] = NULL;
	epoch++;
	free(d);
}

struct dom *dom_first(void)
{
	return all;
}

uint64_t dom_epoch(void)
{
	return epoch;
}

void dom_set_epoch(uint64_t to)
{
	epoch = to;
}

/* Was this entry meant for the domain that has the number today? */
static bool entry_alive(const struct perms *p, const struct perm *e)
{
	const struct dom *d;

	if (!e->domid || e->domid == DOM_ANY)
		return true;
	d = dom_find(e->domid);
	return d && d->born <= p->gen;
}

unsigned int perms_owner(const struct perms *p)
{
	return entry_alive(p, &p->p[0]) ? p->p[0].domid : 0;
}

/* Is domid named by the list? Then *rights grows by what is written there. */
static bool listed(const struct perms *p, unsigned int domid, unsigned int *rights)
{
	if (p->p[0].domid == domid && entry_alive(p, &p->p[0])) {
		*rights |= PERM_READ | PERM_WRITE | PERM_OWNER;
		return true;
	}
	for (unsigned int i = 1; i < p->num; i++) {
		if ((p->p[i].domid == domid || p->p[i].domid == DOM_ANY) &&
		    entry_alive(p, &p->p[i])) {
			*rights |= p->p[i].rights;
			return true;
		}
	}
	return false;
}

unsigned int perms_rights(const struct perms *p, unsigned int domid)
{
	const struct dom *d = dom_find(domid);
	unsigned int r = 0;
	bool named;

	if (!domid)
		return PERM_READ | PERM_WRITE | PERM_OWNER;
	named = listed(p, domid, &r);
	if (d && d->target != DOM_NONE)
		named |= listed(p, d->target, &r);
	if (named)
		return r;
	/* what a dead owner let everybody do died with it (XSA-322) */
	return entry_alive(p, &p->p[0]) ? p->p[0].rights : 0;
}

int perms_parse(const char *s, unsigned int num, uint64_t gen, struct perms **out)
{
	struct perms *p = perms_new(num, gen);
	unsigned long id;

	for (unsigned int i = 0; i < num; i++) {
		switch (s[0]) {
		case 'r':
			p->p[i].rights = PERM_READ;
			break;
		case 'w':
			p->p[i].rights = PERM_WRITE;
			break;
		case 'b':
			p->p[i].rights = PERM_READ | PERM_WRITE;
			break;
		case 'n':
			p->p[i].rights = 0;
			break;
		default:
			goto bad;
		}
		if (!parse_num(s + 1, 0xffff, &id) || (!i && id >= DOM_FIRST_RESERVED))
			goto bad;
		p->p[i].domid = (uint16_t)id;
		s += strlen(s) + 1;
	}
	*out = p;
	return 0;
bad:
	perms_put(p);
	return -EINVAL;
}

int perms_format(const struct perms *p, unsigned int domid, unsigned int shown, char *buf,
		 unsigned int size)
{
	static const char letters[] = { 'n', 'r', 'w', 'b' };
	unsigned int len = 0;
	char one[16];

	for (unsigned int i = 0; i < p->num; i++) {
		const struct perm *e = &p->p[i];
		bool alive = entry_alive(p, e);
		int n;

		if (i && !alive)
			continue;
		n = snprintf(one, sizeof(one), "%c%u", letters[alive ? e->rights & 3 : 0],
			     !alive	       ? 0U :
			     e->domid == domid ? shown :
						 e->domid) +
		    1;
		if (len + (unsigned int)n > size)
			return -E2BIG;
		memcpy(buf + len, one, (size_t)n);
		len += (unsigned int)n;
	}
	return (int)len;
}

struct perms *perms_clean(const struct perms *p, uint64_t gen)
{
	struct perms *n = perms_new(p->num, gen);

	n->num = 0;
	for (unsigned int i = 0; i < p->num; i++) {
		if (entry_alive(p, &p->p[i]))
			n->p[n->num++] = p->p[i];
		else if (!i)
			n->p[n->num++] = (struct perm){ 0 };
	}
	return n;
}

struct perms *perms_with_owner(const struct perms *p, unsigned int domid, uint64_t gen)
{
	struct perms *n = perms_clean(p, gen);

	n->p[0].domid = (uint16_t)domid;
	return n;
}

struct acct_ent *acct_of(struct acct *a, unsigned int domid)
{
	for (unsigned int i = 0; i < a->num; i++)
		if (a->v[i].domid == domid)
			return &a->v[i];
	if (a->num == a->cap) {
		a->cap = a->cap ? a->cap * 2 : 4;
		a->v = xrealloc(a->v, a->cap * sizeof(*a->v));
	}
	a->v[a->num] = (struct acct_ent){ .domid = domid };
	return &a->v[a->num++];
}

void acct_add(struct acct *a, const struct node *n, int sign)
{
	struct acct_ent *e = acct_of(a, perms_owner(n->perms));

	e->nodes += sign;
	e->mem += sign * (long)node_cost(n);
}

void acct_merge(struct acct *a, const struct acct *b)
{
	for (unsigned int i = 0; i < b->num; i++) {
		struct acct_ent *e = acct_of(a, b->v[i].domid);

		e->nodes += b->v[i].nodes;
		e->mem += b->v[i].mem;
	}
}

void acct_apply(const struct acct *a)
{
	for (unsigned int i = 0; i < a->num; i++) {
		struct dom *d = dom_find(a->v[i].domid);

		if (!d)
			continue;
		d->nodes += a->v[i].nodes;
		d->mem += a->v[i].mem;
	}
}

void acct_free(struct acct *a)
{
	free(a->v);
	*a = (struct acct){ 0 };
}
