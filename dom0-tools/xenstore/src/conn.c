// SPDX-License-Identifier: BSD-2-Clause
/*
 * A connection: one client of the store, over a socket or a domain's ring.
 * It owns framing, the queue of replies and events, and the fair order of service.
 * A turn is bounded, so a client that floods gets its share and no more.
 */
#include <stdlib.h>
#include <string.h>
#include "conn.h"
#include "liveupdate.h"
#include "proto.h"
#include "record.h"
#include "util.h"
#include "watch.h"

/*
 * Requests per turn: enough to make the cost of a turn small, few enough to keep others' waiting
 * short.
 */
#define TURN_REQUESTS 8
/* Replies that a privileged client may leave untaken before we stop to read from it. */
#define PRIV_OUTSTANDING 256

/* How long a guest waits that was in dom0's way: at first, and how often that doubles (5 s). */
#define HOLD_FIRST_MS 20
#define HOLD_DOUBLINGS 8

struct conn_list conns = TAILQ_HEAD_INITIALIZER(conns);
static struct conn_list runq = TAILQ_HEAD_INITIALIZER(runq);
static uint64_t next_timer = UINT64_MAX;

struct conn *conn_new(unsigned int domid, const struct transport *tp)
{
	struct conn *c = xzalloc(sizeof(*c));

	c->domid = (uint16_t)domid;
	c->dom = dom_need(domid);
	c->tp = tp;
	c->fd = -1;
	c->next_tx = 1;
	c->can_write = true;
	TAILQ_INIT(&c->out);
	LIST_INIT(&c->watches);
	LIST_INIT(&c->txs);
	TAILQ_INSERT_TAIL(&conns, c, all);
	return c;
}

static void out_drop(struct conn *c, struct outmsg *m)
{
	TAILQ_REMOVE(&c->out, m, link);
	if (m->event)
		c->out_events--;
	else
		c->out_replies--;
	c->dom->mem -= (long)(sizeof(*m) + m->len);
	c->out_off = 0;
	free(m);
}

void conn_hush(struct conn *c)
{
	while (!TAILQ_EMPTY(&c->out))
		out_drop(c, TAILQ_FIRST(&c->out));
	c->out_off = 0;
	c->in_len = 0;
}

void conn_reset(struct conn *c)
{
	struct tx *tx;

	conn_hush(c);
	watch_del_all(c);
	while ((tx = LIST_FIRST(&c->txs)))
		conn_tx_close(c, tx);
	c->overflow = false;
}

void conn_tx_close(struct conn *c, struct tx *tx)
{
	LIST_REMOVE(tx, link);
	c->dom->txs--;
	c->dom->mem -= tx->mem;
	tx_free(tx);
}

void conn_timer(uint64_t at)
{
	if (at < next_timer)
		next_timer = at;
}

void conn_hold(struct conn *guest, struct conn *loser)
{
	uint64_t until = clock_ms + ((uint64_t)HOLD_FIRST_MS << loser->lost);

	if (loser->lost < HOLD_DOUBLINGS)
		loser->lost++;
	if (guest->held < until)
		guest->held = until;
	conn_timer(guest->held);
}

struct tx *conn_tx_find(struct conn *c, uint32_t id)
{
	struct tx *tx;

	for (tx = LIST_FIRST(&c->txs); tx; tx = LIST_NEXT(tx, link)) {
		if (tx->id == id)
			return tx;
	}
	return NULL;
}

void conn_expire(struct conn *c, struct tx *tx)
{
	c->dom->mem -= tx->mem;
	tx_expire(tx);
}

static void conn_due(struct conn *c)
{
	struct tx *tx;

	if (c->held && c->held <= clock_ms) {
		c->held = 0;
		conn_wake(c);
	} else if (c->held) {
		conn_timer(c->held);
	}
	if (conn_priv(c) || !c->dom->limit[Q_TX_TIME])
		return;
	for (tx = LIST_FIRST(&c->txs); tx; tx = LIST_NEXT(tx, link)) {
		uint64_t end = tx->started + (uint64_t)c->dom->limit[Q_TX_TIME] * 1000;

		if (tx->expired)
			continue;
		if (end > clock_ms) {
			conn_timer(end);
			continue;
		}
		record_expire(c, tx->id);
		conn_expire(c, tx);
	}
}

int conn_timers(void)
{
	struct conn *c;

	if (clock_ms >= next_timer) {
		next_timer = UINT64_MAX;
		for (c = TAILQ_FIRST(&conns); c; c = TAILQ_NEXT(c, all))
			conn_due(c);
	}
	if (next_timer == UINT64_MAX)
		return -1;
	/* not longer than an hour: fits an int, and waking for nothing then costs nothing */
	return next_timer - clock_ms < 3600000 ? (int)(next_timer - clock_ms) : 3600000;
}

void conn_free(struct conn *c)
{
	record_gone(c);
	conn_reset(c);
	c->tp->close(c);
	if (c->dom->conn == c)
		c->dom->conn = NULL;
	if (c->on_runq)
		TAILQ_REMOVE(&runq, c, run);
	TAILQ_REMOVE(&conns, c, all);
	free(c);
}

void conn_wake(struct conn *c)
{
	if (!c->on_runq) {
		TAILQ_INSERT_TAIL(&runq, c, run);
		c->on_runq = true;
	}
}

void conn_queue(struct conn *c, const void *msg, size_t len, bool event)
{
	struct outmsg *m = xmalloc(sizeof(*m) + len);

	m->event = event;
	m->len = (uint32_t)len;
	memcpy(m->data, msg, len);
	TAILQ_INSERT_TAIL(&c->out, m, link);
	if (event)
		c->out_events++;
	else
		c->out_replies++;
	c->dom->mem += (long)(sizeof(*m) + m->len);
}

void conn_send(struct conn *c, const struct xsd_sockmsg *hdr, const void *body, bool event)
{
	char msg[MSG_MAX];

	/* a client of the daemon that died, met while its requests are done again */
	if (c->tp == &detached)
		return;
	memcpy(msg, hdr, sizeof(*hdr));
	memcpy(msg + sizeof(*hdr), body, hdr->len);
	record_sent(c, hdr, body);
	conn_queue(c, msg, sizeof(*hdr) + hdr->len, event);
	conn_wake(c);
}

void conn_fail(struct conn *c, int why)
{
	xlog(LOG_TRACE_, "connection of domain %u failed (%d)", c->domid, why);
	conn_reset(c);
	c->failed = true;
	c->why = (uint8_t)why;
	c->tp->fail(c, why);
}

/* The first bytes that wait, of one message or of several small ones: one call moves them all. */
static const char *out_bytes(struct conn *c, size_t *len)
{
	static char many[16384];
	struct outmsg *m = TAILQ_FIRST(&c->out), *next = TAILQ_NEXT(m, link);
	size_t n = m->len - c->out_off;

	*len = n;
	if (!next || n + next->len > sizeof(many))
		return m->data + c->out_off;
	memcpy(many, m->data + c->out_off, n);
	for (m = next; m && n + m->len <= sizeof(many); m = TAILQ_NEXT(m, link)) {
		memcpy(many + n, m->data, m->len);
		n += m->len;
	}
	*len = n;
	return many;
}

static void conn_flush(struct conn *c)
{
	/* the reply to a live update waits for the new program: who has it finds that one */
	while (c->can_write && !c->failed && !TAILQ_EMPTY(&c->out) && !live_update_due()) {
		size_t len;
		const char *p = out_bytes(c, &len);
		ssize_t n = c->tp->write(c, p, len);

		if (n < 0) {
			record_fail(c, (int)-n);
			conn_fail(c, (int)-n);
			return;
		}
		if (!n) {
			c->can_write = false;
			return;
		}
		c->moved = true;
		conn_sent(c, (size_t)n);
	}
}

void conn_sent(struct conn *c, size_t len)
{
	while (len) {
		struct outmsg *m = TAILQ_FIRST(&c->out);

		if (len < m->len - c->out_off) {
			c->out_off += (uint32_t)len;
			return;
		}
		len -= m->len - c->out_off;
		out_drop(c, m);
	}
}

bool conn_owes(const struct conn *c, size_t len)
{
	const struct outmsg *m = TAILQ_FIRST(&c->out);
	size_t n;

	if (!m || c->out_off >= m->len)
		return false;
	for (n = m->len - c->out_off; n < len && (m = TAILQ_NEXT(m, link)); n += m->len)
		;
	return n >= len;
}

bool conn_has_request(const struct conn *c)
{
	struct xsd_sockmsg hdr;

	if (c->in_len < sizeof(hdr))
		return false;
	memcpy(&hdr, c->in, sizeof(hdr));
	return hdr.len <= XENSTORE_PAYLOAD_MAX && c->in_len >= sizeof(hdr) + hdr.len;
}

/* The next header is looked at as soon as it is there: what it announces may never fit. */
bool conn_header_fits(const struct conn *c)
{
	struct xsd_sockmsg hdr;

	if (c->in_len < sizeof(hdr))
		return true;
	memcpy(&hdr, c->in, sizeof(hdr));
	return hdr.len <= XENSTORE_PAYLOAD_MAX;
}

void conn_received(struct conn *c, size_t len)
{
	c->in_len += (uint32_t)len;
	if (!conn_header_fits(c))
		conn_fail(c, XENSTORE_ERROR_PROTO);
}

/* Reads what there is. Returns false when that brought nothing. */
static bool conn_fill(struct conn *c)
{
	ssize_t n;

	if (!c->can_read || c->in_len == sizeof(c->in))
		return false;
	n = c->tp->read(c, c->in + c->in_len, sizeof(c->in) - c->in_len);
	if (n < 0) {
		record_fail(c, (int)-n);
		conn_fail(c, (int)-n);
		return false;
	}
	if (!n) {
		c->can_read = false;
		return false;
	}
	c->moved = true;
	conn_received(c, (size_t)n);
	return !c->failed;
}

/* Does the client owe us the taking of too many replies, or must it wait for dom0? */
static bool backlog(const struct conn *c)
{
	if (conn_priv(c))
		return c->out_replies >= PRIV_OUTSTANDING;
	return c->held || !quota_ok(c->dom, Q_OUTSTANDING, (long)c->out_replies + 1);
}

void conn_request(struct conn *c)
{
	static char body[XENSTORE_PAYLOAD_MAX + 1];
	struct xsd_sockmsg hdr;
	uint32_t len;

	memcpy(&hdr, c->in, sizeof(hdr));
	memcpy(body, c->in + sizeof(hdr), hdr.len);
	body[hdr.len] = 0;
	len = (uint32_t)sizeof(hdr) + hdr.len;
	c->in_len -= len;
	memmove(c->in, c->in + len, c->in_len);
	c->requests++;
	record_begin();
	/* the next header is checked here, since no read may follow */
	if (!conn_header_fits(c)) {
		record_fail(c, XENSTORE_ERROR_PROTO);
		conn_fail(c, XENSTORE_ERROR_PROTO);
		return;
	}
	proto_handle(c, &hdr, body);
	record_request(c, &hdr, body);
}

bool conn_turn(struct conn *c)
{
	/* see move.h */
	if (c->dom->parked)
		return false;
	c->moved = false;
	conn_flush(c);
	for (int i = 0; i < TURN_REQUESTS && !c->failed && !backlog(c); i++) {
		if (!conn_has_request(c) && !conn_fill(c))
			break;
		if (!c->failed && conn_has_request(c))
			conn_request(c);
	}
	conn_flush(c);
	if (!c->failed)
		watch_refill(c);
	conn_flush(c);
	if (c->moved && c->tp->kick)
		c->tp->kick(c);
	if (c->failed || c->dead)
		return false;
	return (!backlog(c) && (conn_has_request(c) || c->can_read)) ||
	       (c->can_write && !TAILQ_EMPTY(&c->out));
}

bool conn_run_all(void)
{
	unsigned int n = 0;
	struct conn *c;

	/* those that are there now; who is woken meanwhile has his turn in the next round */
	for (c = TAILQ_FIRST(&runq); c; c = TAILQ_NEXT(c, run)) {
		n++;
	}
	while (n-- && (c = TAILQ_FIRST(&runq))) {
		TAILQ_REMOVE(&runq, c, run);
		c->on_runq = false;
		record_safe_point();
		if (conn_turn(c))
			conn_wake(c);
		if (c->dead)
			conn_free(c);
	}
	return !TAILQ_EMPTY(&runq);
}
