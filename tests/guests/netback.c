/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front end sends in slots of any kind, dom0's netback answers once each, with its own id, and nothing else. A frame of more
 * than MAX_SKB_FRAGS (17) slots behind the first has a second skb there; a slot may be empty.
 *
 * guest: vif='[""]'
 * harts: 1
 */
#include <errno.h>
#include <string.h>

#include "../../pvabi/runtime/src/device.h"

#include <xen/io/netif.h>

#include "tap.h"

#define SLOT 40 /* bytes, so that the longest frame is one that passes a bridge */
#define PATIENCE_NS 10000000000ULL
#define SETTLE_NS 20000000ULL

struct net {
	struct device dev;
	struct netif_tx_front_ring tx;
	struct netif_rx_front_ring rx;
	grant_ref_t tx_ref, rx_ref, data_ref;
	char *data; /* one page for all slots of all frames */
};

/* Slots are those behind the first; bit i of empty: the i-th of them has no bytes. */
struct frame {
	const char *what;
	unsigned int first, slots, empty;
	int status;
};

#define LAST(slots) (1U << ((slots)-1))
#define ALL(slots) ((1U << (slots)) - 1)

static const struct frame frames[] = {
	{ "one slot", 200, 0, 0, NETIF_RSP_OKAY },
	{ "18 slots behind the first", 200, 18, 0, NETIF_RSP_OKAY },
	{ "the last of 18 is empty", 200, 18, LAST(18), NETIF_RSP_OKAY },
	{ "one slot again", 200, 0, 0, NETIF_RSP_OKAY },
	{ "the last two of 18 are empty", 200, 18, LAST(18) | LAST(17), NETIF_RSP_OKAY },
	{ "all of 18 are empty", 200, 18, ALL(18), NETIF_RSP_OKAY },
	{ "all of 18 but the first are empty", 200, 18, ALL(18) & ~1U, NETIF_RSP_OKAY },
	{ "all of 18 but the last are empty", 200, 18, ALL(17), NETIF_RSP_OKAY },
	{ "the first of 18 is empty", 200, 18, 1, NETIF_RSP_OKAY },
	{ "the ninth of 18 is empty", 200, 18, 1U << 8, NETIF_RSP_OKAY },
	{ "the last of 18 is empty, the head ends in the second slot", 100, 18, LAST(18),
	  NETIF_RSP_OKAY },
	{ "all of 18 but the last are empty, and in the head", 14, 18, ALL(17), NETIF_RSP_OKAY },
	{ "17 slots behind the first", 200, 17, 0, NETIF_RSP_OKAY },
	{ "the last of 17 is empty", 200, 17, LAST(17), NETIF_RSP_OKAY },
	{ "all of 17 are empty", 200, 17, ALL(17), NETIF_RSP_OKAY },
	{ "the only one is empty", 200, 1, 1, NETIF_RSP_OKAY },
	{ "19 slots behind the first are too many", 200, 19, 0, NETIF_RSP_ERROR },
	{ "19, the last is empty", 200, 19, LAST(19), NETIF_RSP_ERROR },
	{ "a first slot that is too short", 13, 18, LAST(18), NETIF_RSP_ERROR },
	{ "one slot at the end", 200, 0, 0, NETIF_RSP_OKAY },
};

static int open_net(struct net *n)
{
	struct netif_tx_sring *tx;
	struct netif_rx_sring *rx;
	long ref;
	int rc = device_open(&n->dev, "vif", 0);

	if (rc)
		return rc;
	tx = device_ring(&n->dev, "tx-ring-ref", &n->tx_ref);
	rx = device_ring(&n->dev, "rx-ring-ref", &n->rx_ref);
	n->data = pv_alloc_pages(1);
	if (!tx || !rx || !n->data)
		return -ENOMEM;
	XEN_FRONT_RING_INIT(&n->tx, tx, PV_PAGE_SIZE);
	XEN_FRONT_RING_INIT(&n->rx, rx, PV_PAGE_SIZE);
	ref = pv_grant_access(n->dev.domid, pv_gfn(n->data), true);
	if (ref < 0)
		return ref;
	n->data_ref = ref;
	rc = device_write(&n->dev, "request-rx-copy", 1);
	if (!rc)
		rc = device_write(&n->dev, "feature-rx-notify", 1);
	return rc ? rc : device_connect(&n->dev, XenbusStateConnected);
}

/* The id is the lower half of the request's index, which no other has that is under way. */
static void request(struct net *n, unsigned int size, bool more)
{
	RING_IDX at = n->tx.req_prod_pvt++;

	*RING_GET_REQUEST(&n->tx, at) = (struct netif_tx_request){
		.gref = n->data_ref,
		.id = at,
		.size = size,
		.flags = more ? NETTXF_more_data : 0,
	};
}

/* Returns the index of its first request. */
static RING_IDX send(struct net *n, const struct frame *f)
{
	RING_IDX from = n->tx.req_prod_pvt;
	unsigned int total = f->first;

	for (unsigned int i = 0; i < f->slots; i++)
		total += f->empty & 1U << i ? 0 : SLOT;
	request(n, total, f->slots);
	for (unsigned int i = 0; i < f->slots; i++)
		request(n, f->empty & 1U << i ? 0 : SLOT, i + 1 < f->slots);
	RING_PUSH_REQUESTS(&n->tx);
	pv_event_send(n->dev.port);
	return from;
}

/* Sends a frame and looks at all responses that come. What is answered too often does not count for the next frame. */
static void try(struct net *n, const struct frame *f)
{
	unsigned int count = 1 + f->slots, times[32] = { 0 }, strange = 0, wrong = 0, twice = 0;
	uint64_t until = pv_time_ns() + PATIENCE_NS;
	RING_IDX at = n->tx.rsp_cons, end, from = send(n, f);
	volatile RING_IDX *prod = &n->tx.sring->rsp_prod;

	while (*prod - at < count && pv_time_ns() < until)
		pv_sleep_ns(1000000);
	pv_sleep_ns(SETTLE_NS);
	end = *prod;
	xen_rmb();
	tap_is(end - at, count, "%s: responses", f->what);
	for (; at != end && at - n->tx.rsp_cons < RING_SIZE(&n->tx); at++) {
		const struct netif_tx_response *rsp = RING_GET_RESPONSE(&n->tx, at);
		uint16_t i = rsp->id - (uint16_t)from;

		if (i >= count) {
			strange++;
			continue;
		}
		twice += times[i]++ > 0;
		wrong += rsp->status != f->status;
	}
	tap_ok(!strange && !twice && !wrong,
	       "%s: %u with others' ids, %u twice, %u not with status %d", f->what, strange, twice,
	       wrong, f->status);
	n->tx.rsp_cons = end;
}

int main(void)
{
	struct net n = { 0 };

	if (!tap_is(open_net(&n), 0, "an interface"))
		return tap_done();
	memset(n.data, 0xff, 6); /* for everybody */
	for (unsigned int i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		try(&n, &frames[i]);
	device_close(&n.dev);
	tap_is(pv_grant_end(n.data_ref), 0, "netback has let go of the frames' page");
	return tap_done();
}
