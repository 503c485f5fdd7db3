// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ring transport: struct xenstore_domain_interface in a page shared with a guest.
 * It owns index checks, barriers, reconnection and the error field. The guest may write anything at
 * any time. Each shared word is loaded once into a local, checked there, and used only from there.
 */
#include <string.h>
#include "hv.h"
#include "ring.h"
#include "util.h"

#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

ssize_t ring_read(struct xenstore_domain_interface *intf, void *buf, size_t len)
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
	/* the bytes are read before the guest may overwrite them */
	STORE(intf->req_cons, cons + n);
	return n;
}

ssize_t ring_write(struct xenstore_domain_interface *intf, const void *buf, size_t len)
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
	/* the guest sees the bytes before the index */
	STORE(intf->rsp_prod, prod + n);
	return n;
}

static ssize_t tp_read(struct conn *c, void *buf, size_t len)
{
	return ring_read(c->ring, buf, len);
}

static ssize_t tp_write(struct conn *c, const void *buf, size_t len)
{
	return ring_write(c->ring, buf, len);
}

static void tp_kick(struct conn *c)
{
	hv_notify(c->port);
}

static void tp_fail(struct conn *c, int why)
{
	xlog(LOG_INFO_, "domain %u broke the ring protocol (error %d): disconnected", c->domid,
	     why);
	if (c->dom->features & FEATURE_ERROR)
		STORE(c->ring->error, (uint32_t)why);
	hv_notify(c->port);
}

static void tp_close(struct conn *c)
{
	hv_unbind(c->port);
	hv_unmap_ring(c->ring);
}

static const struct transport ring_transport = {
	.read = tp_read,
	.write = tp_write,
	.kick = tp_kick,
	.fail = tp_fail,
	.close = tp_close,
};

struct conn *ring_conn_new(unsigned int domid, void *page, uint32_t port)
{
	struct conn *c = conn_new(domid, &ring_transport);

	c->ring = page;
	c->port = port;
	STORE(c->ring->server_features, c->dom->features);
	STORE(c->ring->error, XENSTORE_ERROR_NONE);
	STORE(c->ring->connection, XENSTORE_CONNECTED);
	/*
	 * the guest may have written before we came, and may sleep until it is told that we are
	 * here
	 */
	c->can_read = true;
	hv_notify(port);
	conn_wake(c);
	return c;
}

void ring_reset(struct conn *c)
{
	conn_reset(c);
	c->failed = false;
	c->can_read = c->can_write = true;
	STORE(c->ring->req_cons, 0);
	STORE(c->ring->req_prod, 0);
	STORE(c->ring->rsp_cons, 0);
	STORE(c->ring->rsp_prod, 0);
	STORE(c->ring->error, XENSTORE_ERROR_NONE);
	STORE(c->ring->connection, XENSTORE_CONNECTED);
	hv_notify(c->port);
}

void ring_event(struct conn *c)
{
	/* the word means nothing to a guest that was not offered to use it */
	if (c->dom->features & FEATURE_RECONNECTION &&
	    LOAD(c->ring->connection) == XENSTORE_RECONNECT)
		ring_reset(c);
	if (c->failed)
		return;
	c->can_read = c->can_write = true;
	conn_wake(c);
}
