// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ring transport: struct xenstore_domain_interface in a page shared with a guest.
 * It owns index checks, barriers, reconnection and the error field. The guest may write anything at
 * any time. Each shared word is loaded once into a local, checked there, and used only from there.
 */
#include <string.h>
#include "journal.h"
#include "record.h"
#include "ring.h"
#include "util.h"

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/*
 * Both leave the index where it is and say in *to where it belongs: it moves when what it stands for
 * has been recorded.
 */
static ssize_t ring_read(struct xenstore_domain_interface *intf, void *buf, size_t len,
			 uint32_t *to)
{
	uint32_t cons = LOAD(intf->req_cons), prod, n, first, at;

	/*
	 * Our store to req_cons must be visible before req_prod is read for the last time: the
	 * guest signals only when it finds that we had taken everything. Pairs with the barrier
	 * between its store to req_prod and its load of req_cons.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	prod = LOAD(intf->req_prod);
	n = prod - cons;
	if (n > XENSTORE_RING_SIZE)
		return -XENSTORE_ERROR_RINGIDX;
	if (n > len)
		n = (uint32_t)len;
	if (!n)
		return 0;
	at = MASK_XENSTORE_IDX(cons);
	first = XENSTORE_RING_SIZE - at < n ? XENSTORE_RING_SIZE - at : n;
	memcpy(buf, intf->req + at, first);
	memcpy((char *)buf + first, intf->req, n - first);
	*to = cons + n;
	return n;
}

static ssize_t ring_write(struct xenstore_domain_interface *intf, const void *buf, size_t len,
			  uint32_t *to)
{
	uint32_t prod = LOAD(intf->rsp_prod), cons, n, first, at;

	/* as in ring_read: the guest signals when it makes room in a ring that it found full */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	cons = LOAD(intf->rsp_cons);
	n = prod - cons;
	if (n > XENSTORE_RING_SIZE)
		return -XENSTORE_ERROR_RINGIDX;
	n = XENSTORE_RING_SIZE - n;
	if (n > len)
		n = (uint32_t)len;
	if (!n)
		return 0;
	at = MASK_XENSTORE_IDX(prod);
	first = XENSTORE_RING_SIZE - at < n ? XENSTORE_RING_SIZE - at : n;
	memcpy(intf->rsp + at, buf, first);
	memcpy(intf->rsp, (const char *)buf + first, n - first);
	*to = prod + n;
	return n;
}

static ssize_t tp_read(struct conn *c, void *buf, size_t len)
{
	uint32_t to;
	ssize_t n = ring_read(c->ring, buf, len, &to);

	if (n <= 0)
		return n;
	record_rx(c, to, buf, (size_t)n);
	/* the bytes are read, and recorded, before the guest may overwrite them */
	STORE(c->ring->req_cons, to);
	JOURNAL_POINT();
	return n;
}

static ssize_t tp_write(struct conn *c, const void *buf, size_t len)
{
	uint32_t to;
	ssize_t n = ring_write(c->ring, buf, len, &to);

	if (n <= 0)
		return n;
	record_tx(c, to, (size_t)n);
	/* the guest sees the bytes before the index */
	STORE(c->ring->rsp_prod, to);
	JOURNAL_POINT();
	return n;
}

static void tp_kick(struct conn *c)
{
	rec_notify(c->port);
}

static void tp_fail(struct conn *c, int why)
{
	xlog(LOG_INFO_, "domain %u broke the ring protocol (error %d): disconnected", c->domid,
	     why);
	if (c->dom->features & FEATURE_ERROR)
		STORE(c->ring->error, (uint32_t)why);
	rec_notify(c->port);
}

static void tp_close(struct conn *c)
{
	rec_unbind(c->port);
	rec_unmap_ring(c->ring);
}

static const struct transport ring_transport = {
	.read = tp_read,
	.write = tp_write,
	.kick = tp_kick,
	.fail = tp_fail,
	.close = tp_close,
};

static void connected(struct conn *c)
{
	STORE(c->ring->server_features, c->dom->features);
	STORE(c->ring->error, XENSTORE_ERROR_NONE);
	STORE(c->ring->connection, XENSTORE_CONNECTED);
}

struct conn *ring_conn_new(unsigned int domid, void *page, uint32_t port)
{
	struct conn *c = conn_new(domid, &ring_transport);

	c->ring = page;
	c->port = port;
	c->req_cons = c->req_was = LOAD(c->ring->req_cons);
	c->rsp_prod = c->rsp_was = LOAD(c->ring->rsp_prod);
	/* parked: the page is not touched yet */
	if (replaying || c->dom->parked)
		return c;
	connected(c);
	/*
	 * the guest may have written before we came, and may sleep until it is told that we are
	 * here
	 */
	c->can_read = true;
	rec_notify(port);
	conn_wake(c);
	return c;
}

struct conn *ring_conn_blank(unsigned int domid)
{
	struct conn *c = conn_new(domid, &ring_transport);

	c->ring = &ring_nowhere;
	return c;
}

/*
 * The index as the page has it, where it was recorded to be at `now` and before that at `was`. False
 * if neither: the guest has made its ring anew, for an honest one never writes this word.
 */
static bool finish_move(uint32_t *word, uint32_t was, uint32_t now)
{
	uint32_t is = LOAD(*word);

	if (is == was && was != now) {
		STORE(*word, now);
		JOURNAL_POINT();
	}
	return is == was || is == now;
}

void ring_attach(struct conn *c, void *page, uint32_t port)
{
	bool req_ok, rsp_ok;

	c->ring = page;
	c->port = port;
	req_ok = finish_move(&c->ring->req_cons, c->req_was, c->req_cons);
	rsp_ok = finish_move(&c->ring->rsp_prod, c->rsp_was, c->rsp_prod);
	/* a half request or reply belongs to the bytes before it; others would make nonsense of it */
	if ((!req_ok || !rsp_ok) && LOAD(c->ring->connection) != XENSTORE_RECONNECT) {
		xlog(LOG_ERR_,
		     "domain %u: its ring is not where the journal has it: what was half "
		     "said is dropped",
		     c->domid);
		conn_hush(c);
	}
	c->req_cons = c->req_was = LOAD(c->ring->req_cons);
	c->rsp_prod = c->rsp_was = LOAD(c->ring->rsp_prod);
	if (!c->dom->parked)
		ring_greet(c);
}

void ring_greet(struct conn *c)
{
	if (replaying)
		return;
	/* said once more: the daemon that died may have recorded that it would, and no more */
	if (c->failed && c->dom->features & FEATURE_ERROR)
		STORE(c->ring->error, c->why);
	if (!c->failed && LOAD(c->ring->connection) != XENSTORE_RECONNECT)
		connected(c);
	rec_notify(c->port);
	ring_event(c);
}

uint32_t ring_req_cons(const struct conn *c)
{
	return LOAD(c->ring->req_cons);
}

uint32_t ring_rsp_prod(const struct conn *c)
{
	return LOAD(c->ring->rsp_prod);
}

void ring_reset(struct conn *c)
{
	record_reset(c);
	conn_reset(c);
	c->failed = false;
	c->req_cons = c->req_was = c->rsp_prod = c->rsp_was = 0;
	if (replaying)
		return;
	c->can_read = c->can_write = true;
	STORE(c->ring->req_cons, 0);
	STORE(c->ring->req_prod, 0);
	STORE(c->ring->rsp_cons, 0);
	STORE(c->ring->rsp_prod, 0);
	STORE(c->ring->error, XENSTORE_ERROR_NONE);
	STORE(c->ring->connection, XENSTORE_CONNECTED);
	JOURNAL_POINT();
	rec_notify(c->port);
}

void ring_event(struct conn *c)
{
	if (c->dom->parked)
		return;
	/* the word means nothing to a guest that was not offered to use it */
	if (c->dom->features & FEATURE_RECONNECTION &&
	    LOAD(c->ring->connection) == XENSTORE_RECONNECT)
		ring_reset(c);
	if (c->failed)
		return;
	c->can_read = c->can_write = true;
	conn_wake(c);
}
