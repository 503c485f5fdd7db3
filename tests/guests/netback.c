/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front end sends in slots of any kind, dom0's netback answers once each, with its own id, and nothing else. A frame of more
 * than MAX_SKB_FRAGS (17) slots behind the first has a second skb there; a slot may be empty, or of a page that nobody granted.
 *
 * netback copies short frames as a whole. Of a long one it maps the pages, or, when it had to copy what it mapped before, copies it into
 * pages of its own. Which of these shows when nobody takes the frame: what was copied is answered at once, what is mapped not
 * before it is let go. And whatever of it netback looks at is out of the sender's reach: a second interface gets the frames late.
 *
 * guest: vif='["", ""]'
 * harts: 1
 * grows
 */
#include <errno.h>
#include <string.h>

#include "../../pvabi/runtime/src/device.h"

#include <xen/io/netif.h>

#include "tap.h"

#define SHORT 40 /* bytes of a slot, so that the longest frame is copied as a whole */
#define LONG 110 /* and so that those of 14 slots and more are not */
#define PATIENCE_NS 10000000000ULL
#define SETTLE_NS 20000000ULL
#define NOTHING 0xfff0000 /* no table of grants is so long */

/* A segment of TCP, in one slot of headers and more of payload. */
#define HEADERS 54
#define BODIES 16
#define SEGMENT (HEADERS + BODIES * LONG)
#define REQUESTS (2 + BODIES) /* of a segment: there is one for what the card is to do with it */
#define IN_HEAD 128 /* what netback looks at without any further measures */
#define BEFORE 0x11
#define AFTER 0xcc
#define POOL 512 /* pages that netback has for what it copies */
#define RX_PAGES 64

struct net {
	struct device dev;
	struct netif_tx_front_ring tx;
	struct netif_rx_front_ring rx;
	grant_ref_t tx_ref, rx_ref, data_ref;
	char *data; /* one page for all slots of frames that a bridge drops: nobody sends them */
};

/*
 * Slots are those behind the first; bit i of empty: the i-th of them has no bytes. Bit i of bad: slot i, with the first as 0, has a
 * reference to nothing; where it has bytes, it alone has an error.
 */
struct frame {
	const char *what;
	unsigned int first, slots, empty;
	int status;
	unsigned int bad;
};

#define LAST(slots) (1U << ((slots)-1))
#define ALL(slots) ((1U << (slots)) - 1)

static const struct frame frames[] = {
	{ "one slot", 200, 0, 0, NETIF_RSP_OKAY, 0 },
	{ "18 slots behind the first", 200, 18, 0, NETIF_RSP_OKAY, 0 },
	{ "the last of 18 is empty", 200, 18, LAST(18), NETIF_RSP_OKAY, 0 },
	{ "one slot again", 200, 0, 0, NETIF_RSP_OKAY, 0 },
	{ "the last two of 18 are empty", 200, 18, LAST(18) | LAST(17), NETIF_RSP_OKAY, 0 },
	{ "all of 18 are empty", 200, 18, ALL(18), NETIF_RSP_OKAY, 0 },
	{ "all of 18 but the first are empty", 200, 18, ALL(18) & ~1U, NETIF_RSP_OKAY, 0 },
	{ "all of 18 but the last are empty", 200, 18, ALL(17), NETIF_RSP_OKAY, 0 },
	{ "the first of 18 is empty", 200, 18, 1, NETIF_RSP_OKAY, 0 },
	{ "the ninth of 18 is empty", 200, 18, 1U << 8, NETIF_RSP_OKAY, 0 },
	{ "the last of 18 is empty, the head ends in the second slot", 100, 18, LAST(18),
	  NETIF_RSP_OKAY, 0 },
	{ "all of 18 but the last are empty, and in the head", 14, 18, ALL(17), NETIF_RSP_OKAY, 0 },
	{ "17 slots behind the first", 200, 17, 0, NETIF_RSP_OKAY, 0 },
	{ "the last of 17 is empty", 200, 17, LAST(17), NETIF_RSP_OKAY, 0 },
	{ "all of 17 are empty", 200, 17, ALL(17), NETIF_RSP_OKAY, 0 },
	{ "the only one is empty", 200, 1, 1, NETIF_RSP_OKAY, 0 },
	{ "19 slots behind the first are too many", 200, 19, 0, NETIF_RSP_ERROR, 0 },
	{ "19, the last is empty", 200, 19, LAST(19), NETIF_RSP_ERROR, 0 },
	{ "a first slot that is too short", 13, 18, LAST(18), NETIF_RSP_ERROR, 0 },
	{ "the first is bad, the head ends in it", 200, 17, 0, NETIF_RSP_OKAY, 1 },
	{ "the second is bad", 200, 17, 0, NETIF_RSP_OKAY, 1U << 1 },
	{ "the second is bad, the head ends in it", 100, 16, 0, NETIF_RSP_OKAY, 1U << 1 },
	{ "the second is bad, the head ends before or in it", 60, 16, 0, NETIF_RSP_OKAY, 1U << 1 },
	{ "the third is bad", 14, 16, 0, NETIF_RSP_OKAY, 1U << 2 },
	{ "the first and the ninth are bad", 200, 17, 0, NETIF_RSP_OKAY, 1U | 1U << 8 },
	{ "the last of 17 is bad", 200, 17, 0, NETIF_RSP_OKAY, 1U << 17 },
	{ "the last of 18 is bad", 200, 18, 0, NETIF_RSP_OKAY, 1U << 18 },
	{ "the ninth is bad, the last of 18 is empty", 200, 18, LAST(18), NETIF_RSP_OKAY, 1U << 8 },
	{ "all are bad", 200, 18, 0, NETIF_RSP_OKAY, ALL(19) },
	{ "one slot at the end", 200, 0, 0, NETIF_RSP_OKAY, 0 },
};

static int open_net(struct net *n, unsigned int which)
{
	static const char *const says[] = { "request-rx-copy", "feature-rx-notify", "feature-sg",
					    "feature-gso-tcpv4" };
	struct netif_tx_sring *tx;
	struct netif_rx_sring *rx;
	long ref;
	int rc = device_open(&n->dev, "vif", which);

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
	for (unsigned int i = 0; !rc && i < sizeof(says) / sizeof(says[0]); i++)
		rc = device_write(&n->dev, says[i], 1);
	return rc ? rc : device_connect(&n->dev, XenbusStateConnected);
}

/* The id is the lower half of the request's index, which no other has that is under way. */
static struct netif_tx_request *request(struct net *n, grant_ref_t ref, unsigned int size,
					bool more)
{
	RING_IDX at = n->tx.req_prod_pvt++;
	struct netif_tx_request *req = RING_GET_REQUEST(&n->tx, at);

	*req = (struct netif_tx_request){
		.gref = ref,
		.id = at,
		.size = size,
		.flags = more ? NETTXF_more_data : 0,
	};
	return req;
}

static void push(struct net *n)
{
	RING_PUSH_REQUESTS(&n->tx);
	pv_event_send(n->dev.port);
}

/* Returns the index of its first request. */
static RING_IDX send(struct net *n, const struct frame *f, unsigned int slot)
{
	RING_IDX from = n->tx.req_prod_pvt;
	unsigned int total = f->first;

	for (unsigned int i = 0; i < f->slots; i++)
		total += f->empty & 1U << i ? 0 : slot;
	request(n, f->bad & 1 ? NOTHING : n->data_ref, total, f->slots);
	for (unsigned int i = 0; i < f->slots; i++)
		request(n, f->bad & 2U << i ? NOTHING : n->data_ref, f->empty & 1U << i ? 0 : slot,
			i + 1 < f->slots);
	push(n);
	return from;
}

/* Waits for so many responses, and whether there are more; returns the end of them. */
static RING_IDX await(struct net *n, unsigned int count)
{
	uint64_t until = pv_time_ns() + PATIENCE_NS;
	volatile RING_IDX *prod = &n->tx.sring->rsp_prod;
	RING_IDX end;

	while (*prod - n->tx.rsp_cons < count && pv_time_ns() < until)
		pv_sleep_ns(1000000);
	pv_sleep_ns(SETTLE_NS);
	end = *prod;
	xen_rmb();
	return end;
}

/* Sends a frame and looks at all responses that come. What is answered too often does not count for the next frame. */
static void try(struct net *n, const struct frame *f, const char *way, unsigned int slot)
{
	unsigned int count = 1 + f->slots, times[32] = { 0 }, strange = 0, wrong = 0, twice = 0;
	RING_IDX at = n->tx.rsp_cons, from = send(n, f, slot), end = await(n, count);

	tap_is(end - at, count, "%s, %s: responses", way, f->what);
	for (; at != end && at - n->tx.rsp_cons < RING_SIZE(&n->tx); at++) {
		const struct netif_tx_response *rsp = RING_GET_RESPONSE(&n->tx, at);
		uint16_t i = rsp->id - (uint16_t)from;

		if (i >= count) {
			strange++;
			continue;
		}
		twice += times[i]++ > 0;
		wrong += rsp->status != (f->bad & 1U << i ? NETIF_RSP_ERROR : f->status);
	}
	tap_ok(!strange && !twice && !wrong,
	       "%s, %s: %u with others' ids, %u twice, %u with a wrong status", way, f->what,
	       strange, twice, wrong);
	n->tx.rsp_cons = end;
}

/* The pages of segments, and what a late receiver has of them. */
static uint8_t *headers, *body, *rx_pages;
static grant_ref_t headers_ref, body_ref, rx_refs[RX_PAGES];
static const uint8_t mac[2][6] = { { 2, 0, 0, 0, 0xa, 1 }, { 2, 0, 0, 0, 0xa, 2 } };

static bool make_pages(const struct net *n)
{
	long ref;

	headers = pv_alloc_pages(1);
	body = pv_alloc_pages(1);
	rx_pages = pv_alloc_pages(RX_PAGES);
	if (!headers || !body || !rx_pages)
		return false;
	headers_ref = pv_grant_access(n->dev.domid, pv_gfn(headers), true);
	body_ref = pv_grant_access(n->dev.domid, pv_gfn(body), true);
	for (unsigned int i = 0; i < RX_PAGES; i++) {
		ref = pv_grant_access(n->dev.domid, pv_gfn(rx_pages) + i, false);
		if (ref < 0)
			return false;
		rx_refs[i] = ref;
	}
	return true;
}

/* From the first interface to the second, or to everybody. */
static void make_headers(const uint8_t *to)
{
	static const uint8_t ip[] = { 0x45,
				      0,
				      (SEGMENT - 14) >> 8,
				      (SEGMENT - 14) & 0xff,
				      0,
				      0,
				      0x40,
				      0,
				      64,
				      6,
				      0,
				      0,
				      192,
				      168,
				      99,
				      1,
				      192,
				      168,
				      99,
				      2 };
	static const uint8_t tcp[20] = { [1] = 80, [3] = 80, [12] = 5 << 4, [13] = 0x10 };

	memset(headers, 0xff, 6);
	if (to)
		memcpy(headers, to, 6);
	memcpy(headers + 6, mac[0], 6);
	memcpy(headers + 12, "\x08\x00", 2);
	memcpy(headers + 14, ip, sizeof(ip));
	memcpy(headers + 14 + sizeof(ip), tcp, sizeof(tcp));
	memset(body, BEFORE, PV_PAGE_SIZE);
}

/* A bridge passes what is longer than a frame may be only with somebody to divide it. */
static void send_segment(struct net *n)
{
	struct netif_tx_request *req = request(n, headers_ref, SEGMENT, true);
	struct netif_extra_info *extra;

	req->flags |= NETTXF_csum_blank | NETTXF_data_validated | NETTXF_extra_info;
	extra = (void *)RING_GET_REQUEST(&n->tx, n->tx.req_prod_pvt++);
	*extra = (struct netif_extra_info){
		.type = XEN_NETIF_EXTRA_TYPE_GSO,
		.u.gso = { .size = 1400, .type = XEN_NETIF_GSO_TYPE_TCPV4 },
	};
	for (unsigned int i = 0; i < BODIES; i++)
		request(n, body_ref, LONG, i + 1 < BODIES);
	push(n);
}

/* A long frame for everybody is mapped and then copied for each of them: the next ones are copied at once. */
static void prime(struct net *n)
{
	make_headers(NULL);
	request(n, headers_ref, SEGMENT, true);
	for (unsigned int i = 0; i < BODIES; i++)
		request(n, body_ref, LONG, i + 1 < BODIES);
	push(n);
	n->tx.rsp_cons = await(n, 1 + BODIES);
}

/* One more buffer to netback, which does not have all. */
static void offer(struct net *n)
{
	unsigned int i = n->rx.req_prod_pvt % RX_PAGES;

	*RING_GET_REQUEST(&n->rx, n->rx.req_prod_pvt++) =
		(struct netif_rx_request){ .id = i, .gref = rx_refs[i] };
	RING_PUSH_REQUESTS(&n->rx);
	pv_event_send(n->dev.port);
}

/* The next response, or NULL if none comes. Netback has no more buffers than that takes. */
static struct netif_rx_response *next(struct net *n)
{
	volatile RING_IDX *prod = &n->rx.sring->rsp_prod;

	for (unsigned int i = 0; i < RX_PAGES && *prod == n->rx.rsp_cons; i++) {
		offer(n);
		pv_sleep_ns(SETTLE_NS);
	}
	if (*prod == n->rx.rsp_cons)
		return NULL;
	xen_rmb();
	return RING_GET_RESPONSE(&n->rx, n->rx.rsp_cons++);
}

/* The next frame, of at most `size` bytes; its length, or 0 if none comes or it makes no sense. */
static unsigned int receive(struct net *n, uint8_t *frame, unsigned int size)
{
	unsigned int length = 0;
	bool extra = false, more;

	do {
		struct netif_rx_response *rsp = next(n);

		if (!rsp || rsp->id >= RX_PAGES || rsp->status <= 0 ||
		    (unsigned int)rsp->offset + rsp->status > PV_PAGE_SIZE ||
		    length + rsp->status > size)
			return 0;
		memcpy(frame + length, rx_pages + rsp->id * PV_PAGE_SIZE + rsp->offset,
		       rsp->status);
		length += rsp->status;
		more = rsp->flags & NETRXF_more_data;
		for (extra = rsp->flags & NETRXF_extra_info; extra;
		     extra = ((struct netif_extra_info *)rsp)->flags & XEN_NETIF_EXTRA_FLAG_MORE) {
			rsp = next(n);
			if (!rsp)
				return 0;
		}
	} while (more);
	return length;
}

/* The segment among what else there is for the second interface. */
static unsigned int receive_segment(struct net *n, uint8_t *frame, unsigned int size)
{
	unsigned int length;

	do
		length = receive(n, frame, size);
	while (length && (memcmp(frame, mac[1], 6) || memcmp(frame + 6, mac[0], 6)));
	return length;
}

static unsigned int how_many(const uint8_t *bytes, unsigned int n, uint8_t value)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < n; i++)
		found += bytes[i] == value;
	return found;
}

/* A segment waits for its receiver; meanwhile the sender changes all that it has sent. Copied: all of it is as it was. Mapped: only that is
 * which netback, and all who filter frames in dom0, look at, though it ends in the middle of a slot. */
static void try_late(struct net *from, struct net *to, bool copied)
{
	static uint8_t frame[1 << 16];
	const char *way = copied ? "copied" : "mapped";
	unsigned int length, old = copied ? SEGMENT : IN_HEAD;
	RING_IDX start = from->tx.rsp_cons;
	uint8_t sent[HEADERS];

	make_headers(mac[1]);
	memcpy(sent, headers, HEADERS);
	start = from->tx.rsp_cons;
	send_segment(from);
	tap_is(await(from, copied ? REQUESTS : 2) - start, copied ? REQUESTS : 2,
	       "a segment that is %s and waits: responses", way);
	memset(headers, AFTER, PV_PAGE_SIZE);
	memset(body, AFTER, PV_PAGE_SIZE);
	length = receive_segment(to, frame, sizeof(frame));
	tap_is(length, SEGMENT, "%s: it comes", way);
	tap_ok(!memcmp(frame, sent, HEADERS), "%s: with the headers that were sent", way);
	tap_is(how_many(frame + HEADERS, old - HEADERS, BEFORE), old - HEADERS,
	       "%s: bytes that are as they were", way);
	tap_is(how_many(frame + old, SEGMENT - old, AFTER), SEGMENT - old, "%s: bytes that are not",
	       way);
	from->tx.rsp_cons = await(from, REQUESTS);
	tap_is(from->tx.rsp_cons - start, REQUESTS, "%s: responses at the end", way);
}

/* Segments that nobody takes are copied until there are no pages for it; then they are mapped, and the ring is what bounds them. */
static void try_many(struct net *from, struct net *to)
{
	static uint8_t frame[1 << 16];
	unsigned int copied = 0, come = 0;
	RING_IDX end;

	make_headers(mac[1]);
	for (;;) {
		send_segment(from);
		end = await(from, 2);
		if (end - from->tx.rsp_cons != REQUESTS || copied == POOL)
			break;
		from->tx.rsp_cons = end;
		copied++;
	}
	tap_ok(copied * BODIES > POOL / 2 && copied * BODIES <= POOL,
	       "%u of %u pages each are copied for nobody", copied, BODIES);
	tap_is(end - from->tx.rsp_cons, 2, "the next one is mapped: responses");
	while (come < copied + 1 && receive_segment(to, frame, sizeof(frame)) == SEGMENT &&
	       how_many(frame + HEADERS, SEGMENT - HEADERS, BEFORE) == SEGMENT - HEADERS)
		come++;
	tap_is(come, copied + 1, "they come when somebody takes them");
	end = await(from, REQUESTS);
	tap_is(end - from->tx.rsp_cons, REQUESTS, "responses at the end");
	from->tx.rsp_cons = end;
}

int main(void)
{
	static struct net nets[2];
	struct net *n = &nets[0];

	if (!tap_is(open_net(n, 0), 0, "an interface") ||
	    !tap_is(open_net(&nets[1], 1), 0, "another one") || !tap_ok(make_pages(n), "pages"))
		return tap_done();
	memset(n->data, 0xff, 6); /* for everybody */
	for (unsigned int i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		try(n, &frames[i], "short", SHORT);
	for (unsigned int i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		try(n, &frames[i], "mapped", LONG);
	/* The bridge learns where the second one is. */
	memset(nets[1].data, 0xff, 6);
	memcpy(nets[1].data + 6, mac[1], 6);
	send(&nets[1], &frames[0], SHORT);
	nets[1].tx.rsp_cons = await(&nets[1], 1);
	/* In this order: after the first nothing is copied at once, after prime() 64 are. */
	try_late(n, &nets[1], false);
	prime(n);
	try_late(n, &nets[1], true);
	try_many(n, &nets[1]);
	for (unsigned int i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		prime(n);
		try(n, &frames[i], "copied", LONG);
	}
	device_close(&nets[1].dev);
	device_close(&n->dev);
	tap_is(pv_grant_end(n->data_ref), 0, "netback has let go of the frames' page");
	tap_is(pv_grant_end(headers_ref) || pv_grant_end(body_ref), 0, "and of the segments'");
	return tap_done();
}
