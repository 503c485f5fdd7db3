// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer target: a hostile guest's ring and requests, beside dom0's.
 * The input is a list of steps: bytes into the ring, raw writes to its control words, whole
 * requests, dom0's doings, files of the guest's connection with bytes changed. After each input the
 * accounts must be right and everything must be freed.
 */
#include <errno.h>
#include <stdlib.h>
#include <stddef.h>
#include <string.h>
#include "conn.h"
#include "domains.h"
#include "journal.h"
#include "move.h"
#include "proto.h"
#include "ring.h"
#include "store.h"
#include "util.h"
#include "watch.h"

static struct xenstore_domain_interface *page;
static char *d0_in;
static size_t d0_len;
static struct conn *d0;

static ssize_t d0_read(struct conn *c, void *buf, size_t len)
{
	(void)c;
	len = len < d0_len ? len : d0_len;
	memcpy(buf, d0_in, len);
	d0_in += len;
	d0_len -= len;
	return (ssize_t)len;
}

static ssize_t d0_write(struct conn *c, const void *buf, size_t len)
{
	(void)c;
	(void)buf;
	return (ssize_t)len;
}

static void d0_fail(struct conn *c, int why)
{
	(void)c;
	(void)why;
	abort(); /* dom0's requests here are well-formed */
}

static void d0_close(struct conn *c)
{
	(void)c;
}

static const struct transport d0_transport = {
	.read = d0_read,
	.write = d0_write,
	.fail = d0_fail,
	.close = d0_close,
};

/* The guest's ring, which dom0's requests may take away and bring back. */
static void find_page(void)
{
	static struct xenstore_domain_interface nothing;
	struct dom *d = dom_find(3);

	page = d && d->conn ? d->conn->ring : &nothing;
}

static void work(void)
{
	for (unsigned int domid = 3; domid <= 4; domid++) {
		struct dom *d = dom_find(domid);

		if (d && d->conn)
			ring_event(d->conn);
	}
	while (conn_run_all()) {
		struct dom *d = dom_find(4);

		find_page();
		page->rsp_cons = page->rsp_prod;
		if (d && d->conn)
			d->conn->ring->rsp_cons = d->conn->ring->rsp_prod;
	}
	find_page();
}

static void d0_request(uint32_t type, const void *body, size_t len)
{
	static char msg[MSG_MAX];
	struct xsd_sockmsg hdr = { .type = type, .len = (uint32_t)len };

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), body, len);
	d0_in = msg;
	d0_len = sizeof(hdr) + len;
	d0->can_read = true;
	conn_wake(d0);
	work();
}

static void ring_bytes(const uint8_t *p, size_t n)
{
	while (n--) {
		if (page->req_prod - page->req_cons >= XENSTORE_RING_SIZE)
			work();
		page->req[MASK_XENSTORE_IDX(page->req_prod)] = (char)*p++;
		page->req_prod++;
	}
}

/* The guest's file, changed at some places (two bytes where, one what), comes into domain 4. */
static void arrive(const uint8_t *p, size_t n)
{
	const bool stays = n % 3;
	struct dom *d = dom_find(3);
	struct buf b = { 0 };
	struct arrival a;
	uint64_t head[4];
	struct conn *c;
	bool fresh;

	if (!d || !d->conn)
		return;
	move_save(d, &b);
	for (; n >= 3; p += 3, n -= 3)
		b.p[sizeof(head) + (p[0] | (size_t)p[1] << 8) % (b.len - sizeof(head))] =
			(char)p[2];
	memcpy(head, b.p, sizeof(head));
	head[3] = journal_sum(journal_sum(head[0], head, 24), b.p + sizeof(head), head[2]);
	memcpy(b.p, head, sizeof(head));
	if (dom_find(4)) {
		domain_release(dom_find(4));
		domain_forget(dom_find(4));
	}
	move_park(dom_need(4));
	domain_introduce(4, 1, 1, &fresh);
	d = dom_find(4);
	c = d->conn;
	*c->ring = *page;
	c->req_cons = c->req_was = page->req_cons;
	c->rsp_prod = c->rsp_was = page->rsp_prod;
	if (!move_load(d, b.p, b.len, &a)) {
		if (stays) {
			move_keep(&a);
			move_tell(d);
		} else {
			move_undo(d, &a);
		}
	} else if (!move_empty(d)) {
		abort();
	}
	move_unpark(d);
	buf_free(&b);
}

static void count(const struct node *n, void *ctx)
{
	acct_add(ctx, n, 1);
}

/* With all connections gone, nodes are all that anybody is charged for. */
static void check(void)
{
	struct acct a = { 0 };
	const struct acct_ent *e;
	const struct dom *d;

	tree_walk(store_root, count, &a);
	for (d = dom_first(); d; d = d->next) {
		e = acct_of(&a, d->domid);
		if (d->domid && (e->nodes != d->nodes || e->mem != d->mem))
			abort();
		if (d->watches || d->txs)
			abort();
	}
	acct_free(&a);
}

/* From req_cons to the end of the structure */
#define CONTROL_SIZE \
	(sizeof(struct xenstore_domain_interface) - \
	 offsetof(struct xenstore_domain_interface, req_cons))

static void step(const uint8_t **p, const uint8_t *end)
{
	uint8_t op = *(*p)++;
	size_t left = (size_t)(end - *p), n = op >> 3, at;
	struct xsd_sockmsg hdr = { 0 };

	n = n < left ? n : left;
	switch (op & 7) {
	case 0: /* raw bytes */
		ring_bytes(*p, n);
		break;
	case 1: /* control words: indices, features, connection, error */
		at = (op >> 3) % CONTROL_SIZE;
		n = n < 4 ? n : 4;
		n = n < CONTROL_SIZE - at ? n : CONTROL_SIZE - at;
		memcpy((char *)&page->req_cons + at, *p, n);
		break;
	case 2:
	case 3:
	case 4: /* a framed request of the guest; its first byte is the type, its second the
		   transaction */
		if (n >= 2) {
			hdr.type = (*p)[0] % 32;
			hdr.tx_id = (*p)[1] % 4;
			hdr.len = (uint32_t)n - 2;
			ring_bytes((uint8_t *)&hdr, sizeof(hdr));
			ring_bytes(*p + 2, n - 2);
		}
		break;
	case 5: /* a request of dom0 */
		if (n >= 1 && (*p)[0] == XS_CONTROL)
			arrive(*p + 1, n - 1);
		else if (n >= 1 && (*p)[0] % 32 != XS_CONTROL)
			d0_request((*p)[0] % 32, *p + 1, n - 1);
		break;
	case 6:
		page->rsp_cons = page->rsp_prod;
		break;
	case 7: /* reconnection, or time goes by */
		if (op >> 3 & 1) {
			page->connection = op >> 4 & 1;
		} else {
			clock_ms += 1000u << (op >> 4 & 7);
			conn_timers();
		}
		n = 0;
		break;
	}
	*p += n;
	work();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_open("/dev/null");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char home[] = "/g\0n3", own[] = "/local/domain/3\0n3";
	static long defaults[Q_MAX];
	const uint8_t *p = data;
	bool fresh;

	if (!defaults[0])
		memcpy(defaults, quota_default, sizeof(defaults));
	memcpy(quota_default, defaults, sizeof(defaults));
	clock_ms = 0;
	store_init();
	watch_init();
	d0 = conn_new(0, &d0_transport);
	domain_introduce(3, 1, 1, &fresh);
	find_page();
	d0_request(XS_WRITE, home, 3);
	d0_request(XS_SET_PERMS, home, sizeof(home));
	d0_request(XS_WRITE, own, 16);
	d0_request(XS_SET_PERMS, own, sizeof(own));
	while (p < data + size)
		step(&p, data + size);
	while (!TAILQ_EMPTY(&conns))
		conn_free(TAILQ_FIRST(&conns));
	check();
	watch_exit();
	store_exit();
	return 0;
}
