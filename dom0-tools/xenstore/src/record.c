// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is written into the journal when, and how it is done again from there.
 * It owns the kinds of records, the tape of the hypervisor's answers, and the replay.
 * recover.c binds the result to the world of now.
 */
#include <errno.h>
#include <string.h>
#include "buf.h"
#include "domains.h"
#include "journal.h"
#include "proto.h"
#include "record.h"
#include "ring.h"
#include "state.h"
#include "watch.h"

enum {
	R_RX = 1,
	R_TX,
	R_REQUEST,
	R_FAIL,
	R_RESET,
	R_GONE,
	R_REFILL,
	R_EXPIRE,
	R_JUDGE,
};

/* Who: a domain's number for its ring, this and a serial number for a socket. */
#define SOCKET_BIT (1ull << 32)

struct done {
	uint64_t who, clock;
	uint64_t gen, digest; /* what the request left behind: a replay must come to the same */
	uint32_t tape_len, pad;
};

bool replaying;
unsigned int replay_differs;
bool recover_lost;
struct xenstore_domain_interface ring_nowhere;

static const char *journal_path;
static char tape[JOURNAL_RECORD_MAX / 2];
static uint32_t tape_len;
static struct in tape_in;
static uint64_t digest;

static ssize_t no_read(struct conn *c, void *buf, size_t len)
{
	(void)c;
	(void)buf;
	(void)len;
	return 0;
}

static ssize_t no_write(struct conn *c, const void *buf, size_t len)
{
	(void)c;
	(void)buf;
	(void)len;
	return 0;
}

static void no_fail(struct conn *c, int why)
{
	(void)why;
	c->dead = true;
}

static void no_close(struct conn *c)
{
	(void)c;
}

const struct transport detached = {
	.read = no_read,
	.write = no_write,
	.fail = no_fail,
	.close = no_close,
};

/* ---- recording ---- */

static bool recording(void)
{
	return journal_on() && !replaying;
}

static uint64_t who(const struct conn *c)
{
	return c->ring ? c->domid : SOCKET_BIT | c->serial;
}

static void append(unsigned int type, const void *head, size_t len, const void *data,
		   size_t data_len)
{
	const struct iovec iov[2] = { { (void *)head, len }, { (void *)data, data_len } };

	journal_append(type, iov, data_len ? 2 : 1);
}

void record_rx(struct conn *c, uint32_t cons, const void *data, size_t len)
{
	const uint32_t head[2] = { c->domid, cons };

	c->req_was = c->req_cons;
	c->req_cons = cons;
	if (recording())
		append(R_RX, head, sizeof(head), data, len);
}

void record_tx(struct conn *c, uint32_t prod, size_t len)
{
	const uint32_t head[4] = { c->domid, prod, (uint32_t)len };

	c->rsp_was = c->rsp_prod;
	c->rsp_prod = prod;
	if (recording())
		append(R_TX, head, sizeof(head), NULL, 0);
}

void record_begin(void)
{
	tape_len = 0;
	digest = 0;
}

void record_sent(const struct conn *c, const struct xsd_sockmsg *hdr, const void *body)
{
	/* what a socket gets may differ: what it took already is not recorded */
	if (!c->ring || !(journal_on() || replaying))
		return;
	digest = journal_sum(digest ^ c->domid, hdr, sizeof(*hdr));
	digest = journal_sum(digest, body, hdr->len);
}

/* May this request of a socket's client change anything but its reply? */
static bool changes(const struct xsd_sockmsg *hdr, const char *body)
{
	switch (hdr->type) {
	case XS_READ:
	case XS_DIRECTORY:
	case XS_DIRECTORY_PART:
	case XS_GET_PERMS:
		return hdr->tx_id; /* then it is part of what the commit depends on */
	case XS_GET_DOMAIN_PATH:
	case XS_IS_DOMAIN_INTRODUCED:
		return false;
	case XS_CONTROL:
		/* of these only quotas, watches and what moves are state; the others act on the process */
		return !strncmp(body, "quota", 5) || !strncmp(body, "watch-add", 9) ||
		       !strncmp(body, "park-domain", 11) || !strncmp(body, "export-domain", 13) ||
		       !strncmp(body, "import-domain", 13);
	}
	return true;
}

void record_request(struct conn *c, const struct xsd_sockmsg *hdr, const char *body)
{
	struct done d = { .who = who(c), .clock = clock_ms, .tape_len = tape_len };
	struct iovec iov[4] = { { &d, sizeof(d) }, { tape, tape_len } };

	if (!recording())
		return;
	if (!c->ring) {
		if (!changes(hdr, body))
			return;
		c->journaled = true;
		iov[2] = (struct iovec){ (void *)hdr, sizeof(*hdr) };
		iov[3] = (struct iovec){ (void *)body, hdr->len };
	}
	d.gen = store_gen();
	d.digest = digest;
	journal_append(R_REQUEST, iov, c->ring ? 2 : 4);
}

void record_fail(const struct conn *c, int why)
{
	const uint32_t head[2] = { c->domid, (uint32_t)why };

	/* a socket that fails is closed: record_gone() */
	if (recording() && c->ring)
		append(R_FAIL, head, sizeof(head), NULL, 0);
}

void record_reset(const struct conn *c)
{
	const uint32_t head[2] = { c->domid };

	if (recording())
		append(R_RESET, head, sizeof(head), NULL, 0);
}

void record_gone(const struct conn *c)
{
	const uint64_t w = who(c);

	if (recording() && !c->ring && c->journaled)
		append(R_GONE, &w, sizeof(w), NULL, 0);
}

void record_refill(const struct conn *c)
{
	const uint32_t head[2] = { c->domid };

	if (recording() && c->ring)
		append(R_REFILL, head, sizeof(head), NULL, 0);
}

void record_expire(const struct conn *c, uint32_t tx)
{
	const uint32_t head[2] = { c->domid, tx };

	/* only guests' transactions expire */
	if (recording() && c->ring)
		append(R_EXPIRE, head, sizeof(head), NULL, 0);
}

void record_judge(unsigned int domid, unsigned int state)
{
	const uint32_t head[2] = { domid, state };

	record_safe_point();
	if (recording())
		append(R_JUDGE, head, sizeof(head), NULL, 0);
}

/* ---- the hypervisor's answers ---- */

static void tape_put(const void *data, size_t len)
{
	if (!recording())
		return;
	if (tape_len + len > sizeof(tape)) {
		xlog(LOG_ERR_, "journal: one request asked the hypervisor too often");
		abort();
	}
	memcpy(tape + tape_len, data, len);
	tape_len += (uint32_t)len;
}

int rec_bind(unsigned int domid, uint32_t remote_port)
{
	int res = replaying ? (int)get32(&tape_in) : hv_bind(domid, remote_port);

	tape_put(&res, sizeof(res));
	return res;
}

void *rec_map_ring(unsigned int domid)
{
	struct xenstore_domain_interface *page;
	const uint32_t none = 0;
	int32_t err;

	if (replaying) {
		err = (int32_t)get32(&tape_in);
		ring_nowhere.req_cons = get32(&tape_in);
		ring_nowhere.rsp_prod = get32(&tape_in);
		errno = err;
		return err ? NULL : &ring_nowhere;
	}
	page = hv_map_ring(domid);
	err = page ? 0 : errno;
	tape_put(&err, sizeof(err));
	tape_put(page ? &page->req_cons : &none, sizeof(none));
	tape_put(page ? &page->rsp_prod : &none, sizeof(none));
	errno = err;
	return page;
}

int rec_dominfo(unsigned int first, unsigned int max, struct hv_dominfo *out)
{
	int res = replaying ? (int)get32(&tape_in) : hv_dominfo(first, max, out);
	const char *p;

	if (replaying) {
		p = res > 0 ? get(&tape_in, (size_t)res * sizeof(*out)) : NULL;
		if (res > 0 && (!p || (unsigned int)res > max))
			return 0;
		if (p)
			memcpy(out, p, (size_t)res * sizeof(*out));
		return res;
	}
	tape_put(&res, sizeof(res));
	if (res > 0)
		tape_put(out, (size_t)res * sizeof(*out));
	return res;
}

void rec_unbind(uint32_t port)
{
	if (!replaying)
		hv_unbind(port);
}

void rec_unmap_ring(void *page)
{
	if (!replaying && page != &ring_nowhere)
		hv_unmap_ring(page);
}

void rec_notify(uint32_t port)
{
	if (!replaying)
		hv_notify(port);
}

bool rec_went_well(bool ok)
{
	const uint32_t now = ok;

	if (replaying)
		return get32(&tape_in);
	tape_put(&now, sizeof(now));
	return ok;
}

/* ---- checkpoints ---- */

void record_path(const char *path)
{
	journal_path = path;
}

int record_checkpoint(void)
{
	struct buf b = { 0 };
	struct conn *c;
	int err;

	if (!journal_path)
		return 0;
	state_save(&b);
	err = journal_checkpoint(journal_path, b.p, b.len);
	buf_free(&b);
	if (err && journal_on() && journal_room() >= RECORD_TURN_MAX) {
		xlog(LOG_ERR_, "%s: no checkpoint: %s; going on with the old one", journal_path,
		     strerror(-err));
	} else if (err) {
		/* a journal that is behind would do harm: guests' rings have moved on */
		xlog(LOG_ERR_,
		     "%s: no checkpoint and no room left: %s; FROM NOW ON A CRASH LOSES THE STORE",
		     journal_path, strerror(-err));
		journal_drop(journal_path);
	} else {
		/* it is in the state */
		for (c = TAILQ_FIRST(&conns); c; c = TAILQ_NEXT(c, all))
			c->journaled = true;
	}
	return err;
}

void record_safe_point(void)
{
	static uint64_t tried;

	if (replaying || !journal_path)
		return;
	if (journal_on() && journal_room() >= RECORD_TURN_MAX)
		return;
	/* given up for want of memory: now and then there is some again */
	if (!journal_on() && tried && clock_ms - tried < 10000)
		return;
	tried = clock_ms;
	if (!record_checkpoint())
		tried = 0;
}

/* ---- doing it again ---- */

static struct conn *ring_of(uint32_t domid)
{
	const struct dom *d = dom_find(domid);

	return d ? d->conn : NULL;
}

static struct conn *socket_of(uint64_t w)
{
	struct conn *c;

	for (c = TAILQ_LAST(&conns, conn_list); c; c = TAILQ_PREV(c, conn_list, all))
		if (!c->ring && who(c) == w)
			return c;
	c = conn_new(0, &detached);
	c->serial = (uint32_t)w;
	c->journaled = true;
	return c;
}

static int redo_request(struct in *i, const char **why)
{
	const char *p = get(i, sizeof(struct done)), *t;
	struct done d;
	struct conn *c;
	size_t len;

	if (!p)
		return -1;
	memcpy(&d, p, sizeof(d));
	t = get(i, d.tape_len);
	if (!t)
		return -1;
	tape_in = (struct in){ t, t + d.tape_len, false };
	clock_ms = d.clock;
	c = d.who & SOCKET_BIT ? socket_of(d.who) : ring_of((uint32_t)d.who);
	if (!c) {
		*why = "it is a request of a domain that is not served";
		return -1;
	}
	if (!c->ring) {
		len = (size_t)(i->end - i->p);
		if (len > sizeof(c->in))
			return -1;
		memcpy(c->in, i->p, len);
		c->in_len = (uint32_t)len;
	}
	if (!conn_has_request(c)) {
		*why = "it is a request that has not arrived";
		return -1;
	}
	conn_request(c);
	if (tape_in.bad || tape_in.p != tape_in.end || store_gen() != d.gen || digest != d.digest) {
		/* what it led to is whole all the same, and better than to stop here */
		xlog(LOG_ERR_,
		     "journal: a request of %s %u comes out differently when done again; "
		     "was it recorded by another version?",
		     c->ring ? "domain" : "socket client", c->ring ? c->domid : c->serial);
		replay_differs++;
	}
	return 0;
}

static int redo_expire(struct conn *c, uint32_t id)
{
	struct tx *tx = conn_tx_find(c, id);

	if (!tx)
		return -1;
	conn_expire(c, tx);
	return 0;
}

static int redo_rx(struct conn *c, uint32_t cons, struct in *i)
{
	size_t len = (size_t)(i->end - i->p);

	if (len > sizeof(c->in) - c->in_len)
		return -1;
	memcpy(c->in + c->in_len, i->p, len);
	record_rx(c, cons, NULL, len);
	conn_received(c, len);
	return 0;
}

static int redo_tx(struct conn *c, uint32_t prod, uint32_t len)
{
	if (!conn_owes(c, len))
		return -1;
	record_tx(c, prod, len);
	conn_sent(c, len);
	return 0;
}

static int redo(unsigned int type, const void *data, size_t len, const char **why)
{
	struct in i = { data, (const char *)data + len, false };
	uint32_t domid, arg, n;
	struct conn *c;

	*why = "it makes no sense here";
	if (type == R_REQUEST)
		return redo_request(&i, why);
	if (type == R_GONE) {
		conn_free(socket_of(get64(&i)));
		return 0;
	}
	domid = get32(&i);
	arg = get32(&i);
	if (i.bad)
		return -1;
	if (type == R_JUDGE) {
		domain_judged(domid, arg);
		return 0;
	}
	c = ring_of(domid);
	if (!c)
		return -1;
	switch (type) {
	case R_RX:
		return redo_rx(c, arg, &i);
	case R_TX:
		n = get32(&i);
		return redo_tx(c, arg, n);
	case R_FAIL:
		conn_fail(c, (int)arg);
		return 0;
	case R_RESET:
		ring_reset(c);
		return 0;
	case R_REFILL:
		watch_refill_now(c);
		return 0;
	case R_EXPIRE:
		return redo_expire(c, arg);
	}
	return -1;
}

/* Empties what a state that makes no sense has left. */
static void start_over(void)
{
	while (!TAILQ_EMPTY(&conns))
		conn_free(TAILQ_FIRST(&conns));
	watch_exit();
	store_exit();
	store_init();
	watch_init();
}

bool recover(const char *path)
{
	const struct journal_reader r = { .state = state_load, .record = redo };
	enum journal_found found;

	replaying = true;
	found = journal_load(path, &r);
	if (found == JOURNAL_BAD)
		start_over();
	replaying = false;
	clock_update();
	recover_lost = found == JOURNAL_CUT || found == JOURNAL_BAD;
	return found == JOURNAL_WHOLE || found == JOURNAL_CUT;
}
