// SPDX-License-Identifier: BSD-2-Clause
/*
 * CONTROL: what an administrator asks of the daemon itself.
 * It owns the table of commands; `help` lists them.
 * Names and meanings follow Xen's xenstored where it has them.
 */
#include <errno.h>
#include <string.h>
#include "liveupdate.h"
#include "move_req.h"
#include "proto.h"
#include "util.h"
#include "watch.h"

#define ARGS_MAX 8

struct census {
	size_t nodes, bytes;
};

static void count_node(const struct node *n, void *ctx)
{
	struct census *c = ctx;

	c->nodes++;
	c->bytes += node_cost(n);
}

static void count_owner(const struct node *n, void *ctx)
{
	acct_add(ctx, n, 1);
}

/* Counts everything anew and compares with the accounts. */
static int ctl_check(struct req *r, char **v, int n)
{
	struct acct a = { 0 };
	const struct dom *d;

	(void)v;
	(void)n;
	tree_walk(store_root, count_owner, &a);
	for (d = dom_first(); d; d = d->next) {
		long found = acct_of(&a, d->domid)->nodes;

		/* dom0 inherits the nodes of the dead without being charged for them */
		if (!d->domid || found == d->nodes)
			continue;
		xlog(LOG_ERR_, "check: domain %u owns %ld nodes, accounted %ld", d->domid, found,
		     d->nodes);
		req_printf(r, "domain %u owns %ld nodes, accounted %ld\n", d->domid, found,
			   d->nodes);
	}
	acct_free(&a);
	return r->rep_set ? req_put(r, "", 1) : 0;
}

/* The ring of the domain with this number. */
static int conn_of(const char *text, struct conn **c)
{
	const struct dom *d;
	unsigned long domid;

	if (!parse_num(text, 0xffff, &domid))
		return -EINVAL;
	d = dom_find((unsigned int)domid);
	if (!d || !d->conn)
		return -ENOENT;
	*c = d->conn;
	return 0;
}

/* What is here of a guest's connection and not in its ring: what would be lost with it. */
static int ctl_connection(struct req *r, char **v, int n)
{
	const struct outmsg *m;
	struct conn *c = NULL;
	size_t unsent = 0;
	int err = n == 1 ? conn_of(v[0], &c) : -EINVAL;

	if (err)
		return err;
	TAILQ_FOREACH(m, &c->out, link)
	unsent += m->len;
	req_printf(r, "request %u unsent %zu watches %ld transactions %ld\n", c->in_len,
		   unsent - c->out_off, c->dom->watches, c->dom->txs);
	return req_put(r, "", 1);
}

/* One of a guest's watches by its number, 0 the newest: depth, path as the guest gave it, and on the next line the token. */
static int ctl_watch(struct req *r, char **v, int n)
{
	const struct watch *w;
	unsigned long number;
	struct conn *c = NULL;
	int err = n == 2 ? conn_of(v[0], &c) : -EINVAL;
	const char *path;

	if (err)
		return err;
	if (!parse_num(v[1], INT32_MAX, &number))
		return -EINVAL;
	for (w = LIST_FIRST(&c->watches); w && number; w = LIST_NEXT(w, of_conn))
		number--;
	if (!w)
		return -ENOENT;
	path = watch_spelled(w);
	if (req_printf(r, "%d ", w->depth) || req_put(r, path, strlen(path)) || req_put(r, "\n", 1))
		return -E2BIG;
	return req_put(r, w->token, strlen(w->token) + 1);
}

/* Such a watch in a guest's name. It fires at once, as one that the guest itself asks for. */
static int ctl_watch_add(struct req *r, char **v, int n)
{
	struct conn *c = NULL;
	int err = n == 3 ? conn_of(v[0], &c) : -EINVAL;

	return err ? err : req_watch_for(r, c, v[1], v[2]);
}

static int ctl_log(struct req *r, char **v, int n)
{
	(void)r;
	if (n != 1 || (strcmp(v[0], "on") && strcmp(v[0], "off")))
		return -EINVAL;
	log_trace(!strcmp(v[0], "on"));
	return 0;
}

static int ctl_logfile(struct req *r, char **v, int n)
{
	(void)r;
	return n == 1 ? log_open(v[0]) : -EINVAL;
}

static int ctl_memreport(struct req *r, char **v, int n)
{
	struct census c = { 0 };
	const struct dom *d;

	(void)v;
	if (n > 1)
		return -EINVAL;
	tree_walk(store_root, count_node, &c);
	req_printf(r, "nodes %zu bytes %zu watches %zu\n", c.nodes, c.bytes, watch_count());
	for (d = dom_first(); d; d = d->next)
		if (req_printf(r, "domain %u: nodes %ld watches %ld transactions %ld bytes %ld\n",
			       d->domid, d->nodes, d->watches, d->txs, d->mem))
			break;
	return req_put(r, "", 1);
}

static int ctl_print(struct req *r, char **v, int n)
{
	(void)r;
	if (n != 1)
		return -EINVAL;
	xlog(LOG_INFO_, "%s", v[0]);
	return 0;
}

static int quota_show(struct req *r)
{
	req_printf(r, "Quota settings:\n");
	for (int q = 0; q < Q_MAX; q++)
		if (quota_default[q])
			req_printf(r, "%-17s: %8ld %s\n", quota_info[q].name, quota_default[q],
				   quota_info[q].text);
	return req_put(r, "", 1);
}

static int quota_of_domain(struct req *r, const struct dom *d)
{
	const long used[Q_MAX] = {
		[Q_NODES] = d->nodes,
		[Q_WATCHES] = d->watches,
		[Q_TRANSACTIONS] = d->txs,
		[Q_OUTSTANDING] = d->conn ? (long)d->conn->out_replies : 0,
		[Q_EVENTS] = d->conn ? (long)d->conn->out_events : 0,
		[Q_MEMORY] = d->mem,
	};

	req_printf(r, "Domain %u:\n", d->domid);
	for (int q = 0; q < Q_MAX; q++)
		req_printf(r, "%-17s: %8ld (max %8ld, limit %8ld)\n", quota_info[q].name, used[q],
			   d->max[q], d->limit[q]);
	return req_put(r, "", 1);
}

static int quota_maxima(struct req *r, bool reset)
{
	struct dom *d;

	if (reset) {
		memset(quota_max, 0, sizeof(quota_max));
		for (d = dom_first(); d; d = d->next)
			memset(d->max, 0, sizeof(d->max));
	}
	req_printf(r, "Max. seen accounting values:\n");
	for (int q = 0; q < Q_MAX; q++)
		req_printf(r, "%-17s: %8ld\n", quota_info[q].name, quota_max[q]);
	return req_put(r, "", 1);
}

/* "set" is for domains to come, quota-set for one that is there. */
static int ctl_quota(struct req *r, char **v, int n)
{
	const struct dom *d;
	unsigned long val;
	int q;

	if (n == 0)
		return quota_show(r);
	if (!strcmp(v[0], "max") && (n == 1 || (n == 2 && !strcmp(v[1], "-r"))))
		return quota_maxima(r, n == 2);
	if (!strcmp(v[0], "set") && n == 3) {
		q = quota_find(v[1]);
		if (q < 0 || !parse_num(v[2], INT32_MAX, &val) || !val)
			return -EINVAL;
		quota_default[q] = (long)val;
		return 0;
	}
	if (n != 1 || !parse_num(v[0], 0xffff, &val))
		return -EINVAL;
	d = dom_find((unsigned int)val);
	return d ? quota_of_domain(r, d) : -ENOENT;
}

static int ctl_quota_set(struct req *r, char **v, int n)
{
	unsigned long domid, val;
	struct dom *d;
	int q;

	(void)r;
	if (n != 3 || !parse_num(v[0], 0xffff, &domid) || !parse_num(v[2], INT32_MAX, &val))
		return -EINVAL;
	q = quota_find(v[1]);
	d = dom_find((unsigned int)domid);
	if (q < 0)
		return -EINVAL;
	if (!d)
		return -ENOENT;
	d->limit[q] = (long)val;
	conn_timer(clock_ms);
	return 0;
}

static int ctl_help(struct req *r, char **v, int n);

static const struct {
	const char *name, *args;
	int (*fn)(struct req *r, char **v, int n);
} commands[] = {
	{ "check", "", ctl_check },
	{ "connection", "<domid>", ctl_connection },
	{ "export-domain", "<domid> <file>", req_export },
	{ "help", "", ctl_help },
	{ "import-domain", "<domid> <file>", req_import },
	{ "live-update", "-f <file>|-c <args>|-s [-t <sec>] [-F]|-a", req_live_update },
	{ "log", "on|off", ctl_log },
	{ "logfile", "<file>", ctl_logfile },
	{ "memreport", "", ctl_memreport },
	{ "park-domain", "<domid>", req_park },
	{ "print", "<string>", ctl_print },
	{ "quota", "[set <name> <val>|<domid>|max [-r]]", ctl_quota },
	{ "quota-set", "<domid> <name> <val>", ctl_quota_set },
	{ "watch", "<domid> <number>", ctl_watch },
	{ "watch-add", "<domid> <path> <token>", ctl_watch_add },
};

static int ctl_help(struct req *r, char **v, int n)
{
	(void)v;
	(void)n;
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		req_printf(r, "%-15s %s\n", commands[i].name, commands[i].args);
	return req_put(r, "", 1);
}

int req_control(struct req *r)
{
	char *v[ARGS_MAX];
	int n = req_strings(r, v, ARGS_MAX);

	if (n < 1)
		return -EINVAL;
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(v[0], commands[i].name))
			return commands[i].fn(r, v + 1, n - 1);
	return -EINVAL;
}
