// SPDX-License-Identifier: BSD-2-Clause
/*
 * The naive store that ours is measured against: what one writes first.
 * It owns a mutable tree with children in lists, whole-tree transactions and a list of watches.
 * It checks no permissions and no quotas, which is in its favour.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "load.h"
#include "naive.h"

struct node {
	struct node *next, *kids;
	char *value;
	size_t len;
	char name[];
};

struct watch {
	struct watch *next;
	int watcher;
	char *path, *token;
};

struct tx {
	struct tx *next;
	uint32_t id;
	unsigned long base; /* generation at start */
	struct node *root;
	char *paths[64]; /* changed: fired at commit */
	unsigned int num_paths;
};

char naive_reply[MSG_MAX_BYTES];
size_t naive_reply_len;
unsigned long naive_events;
static struct node *root;
static struct watch *watches;
static struct tx *txs;
static unsigned long generation;
static uint32_t next_tx = 1;

static struct node *node_new(const char *name, size_t len)
{
	struct node *n = calloc(1, sizeof(*n) + len + 1);

	memcpy(n->name, name, len);
	return n;
}

static void node_free(struct node *n)
{
	while (n->kids) {
		struct node *k = n->kids;

		n->kids = k->next;
		node_free(k);
	}
	free(n->value);
	free(n);
}

static struct node *node_copy(const struct node *n)
{
	struct node *c = node_new(n->name, strlen(n->name)), **tail = &c->kids;

	c->len = n->len;
	c->value = malloc(n->len + 1);
	memcpy(c->value, n->value ? n->value : "", n->len);
	for (const struct node *k = n->kids; k; k = k->next) {
		*tail = node_copy(k);
		tail = &(*tail)->next;
	}
	return c;
}

static struct node *walk(struct node *n, const char *path, int create)
{
	while (n && *path) {
		const char *end = strchrnul(++path, '/');
		size_t len = (size_t)(end - path);
		struct node **kp = &n->kids;

		while (*kp && (strncmp((*kp)->name, path, len) || (*kp)->name[len]))
			kp = &(*kp)->next;
		if (!*kp && create)
			*kp = node_new(path, len);
		n = *kp;
		path = end;
	}
	return n;
}

static void fire(const char *path)
{
	char event[MSG_MAX_BYTES];

	for (struct watch *w = watches; w; w = w->next) {
		size_t n = strlen(w->path);

		if (!strncmp(w->path, path, n) && (!path[n] || path[n] == '/')) {
			make_pair(event, XS_WATCH_EVENT, 0, path, w->token);
			naive_events++;
		}
	}
}

static void reply(const struct xsd_sockmsg *hdr, uint32_t type, const void *data, size_t len)
{
	naive_reply_len = make_msg(naive_reply, type, hdr->tx_id, data, len);
}

static struct tx **tx_find(uint32_t id)
{
	struct tx **t = &txs;

	while (*t && (*t)->id != id)
		t = &(*t)->next;
	return t;
}

static void do_write(const struct xsd_sockmsg *hdr, const char *path, const char *val, size_t len)
{
	struct tx *t = hdr->tx_id ? *tx_find(hdr->tx_id) : NULL;
	struct node *n = walk(t ? t->root : root, path, 1);

	free(n->value);
	n->value = malloc(len + 1);
	memcpy(n->value, val, len);
	n->len = len;
	if (t) {
		t->paths[t->num_paths++] = strdup(path);
		return;
	}
	generation++;
	fire(path);
}

static void do_end(const struct xsd_sockmsg *hdr, int commit)
{
	struct tx **tp = tx_find(hdr->tx_id), *t = *tp;

	*tp = t->next;
	if (commit && t->base != generation) {
		reply(hdr, XS_ERROR, "EAGAIN", 7);
		commit = 0;
	} else if (commit) {
		node_free(root);
		root = t->root;
		t->root = NULL;
		generation++;
	}
	for (unsigned int i = 0; i < t->num_paths; i++) {
		if (commit)
			fire(t->paths[i]);
		free(t->paths[i]);
	}
	if (t->root)
		node_free(t->root);
	free(t);
}

static void do_start(const struct xsd_sockmsg *hdr)
{
	struct tx *t = calloc(1, sizeof(*t));
	char text[16];

	t->id = next_tx++;
	t->base = generation;
	t->root = node_copy(root);
	t->next = txs;
	txs = t;
	reply(hdr, hdr->type, text, (size_t)sprintf(text, "%u", t->id) + 1);
}

static void do_directory(const struct xsd_sockmsg *hdr, const struct node *n)
{
	static char list[XENSTORE_PAYLOAD_MAX];
	size_t len = 0;

	for (const struct node *k = n->kids; k; k = k->next) {
		strcpy(list + len, k->name);
		len += strlen(k->name) + 1;
	}
	reply(hdr, hdr->type, list, len);
}

void naive_request(int watcher, const char *msg, size_t len)
{
	static char body[XENSTORE_PAYLOAD_MAX + 1];
	struct xsd_sockmsg hdr;
	struct watch *w;
	struct node *n;

	memcpy(&hdr, msg, sizeof(hdr));
	memcpy(body, msg + sizeof(hdr), len - sizeof(hdr));
	body[len - sizeof(hdr)] = 0;
	reply(&hdr, hdr.type, "OK", 3);
	switch (hdr.type) {
	case XS_READ:
		n = walk(hdr.tx_id ? (*tx_find(hdr.tx_id))->root : root, body, 0);
		reply(&hdr, n ? XS_READ : XS_ERROR, n ? n->value : "ENOENT", n ? n->len : 7);
		break;
	case XS_WRITE:
		do_write(&hdr, body, body + strlen(body) + 1, hdr.len - strlen(body) - 1);
		break;
	case XS_DIRECTORY:
		do_directory(&hdr, walk(root, body, 0));
		break;
	case XS_TRANSACTION_START:
		do_start(&hdr);
		break;
	case XS_TRANSACTION_END:
		do_end(&hdr, body[0] == 'T');
		break;
	case XS_WATCH:
		w = malloc(sizeof(*w));
		*w = (struct watch){ watches, watcher, strdup(body),
				     strdup(body + strlen(body) + 1) };
		watches = w;
		break;
	default:
		reply(&hdr, XS_ERROR, "ENOSYS", 7);
	}
}

void naive_init(void)
{
	root = node_new("", 0);
}
