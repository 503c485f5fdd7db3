/* SPDX-License-Identifier: MIT */
/*
 * The network front end (io/netif.h): buffers that are granted once and used again, one frame a
 * buffer; no checksum or segmentation offload, so a frame is what goes over the wire.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/device.h>
#include <pv/xenbus.h>

#include <xen/io/netif.h>

#include "device.h"

#define BUFFERS 64 /* each way */
#define PATIENCE_NS 5000000000ULL

struct pv_net_ring {
	struct device dev;
	struct netif_tx_front_ring tx;
	struct netif_rx_front_ring rx;
	grant_ref_t tx_ref, rx_ref, tx_refs[BUFFERS], rx_refs[BUFFERS];
	char *tx_pages, *rx_pages; /* buffer i is page i, and the request's id */
	unsigned int granted; /* buffers of each way that have a reference */
	uint16_t tx_free[BUFFERS];
	unsigned int nr_tx_free;
};

/* A buffer for the back end to fill. The caller pushes. */
static void offer(struct pv_net_ring *r, unsigned int id)
{
	struct netif_rx_request *req = RING_GET_REQUEST(&r->rx, r->rx.req_prod_pvt);

	*req = (struct netif_rx_request){ .id = id, .gref = r->rx_refs[id] };
	r->rx.req_prod_pvt++;
}

static void push_rx(struct pv_net_ring *r)
{
	int notify;

	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&r->rx, notify);
	if (notify)
		pv_event_send(r->dev.port);
}

static int grant_buffers(struct pv_net_ring *r)
{
	r->tx_pages = pv_alloc_pages(BUFFERS);
	r->rx_pages = pv_alloc_pages(BUFFERS);
	if (!r->tx_pages || !r->rx_pages)
		return -ENOMEM;
	for (unsigned int i = 0; i < BUFFERS; i++) {
		long tx = pv_grant_access(r->dev.domid, pv_gfn(r->tx_pages) + i, true);
		long rx = tx < 0 ? tx :
				   pv_grant_access(r->dev.domid, pv_gfn(r->rx_pages) + i, false);

		if (rx < 0) {
			if (tx >= 0)
				pv_grant_end(tx);
			return rx;
		}
		r->tx_refs[i] = tx;
		r->rx_refs[i] = rx;
		r->granted++;
		r->tx_free[r->nr_tx_free++] = i;
	}
	return 0;
}

static int make_rings(struct pv_net_ring *r)
{
	struct netif_tx_sring *tx = device_ring(&r->dev, "tx-ring-ref", &r->tx_ref);
	struct netif_rx_sring *rx;

	if (!tx)
		return -errno;
	XEN_FRONT_RING_INIT(&r->tx, tx, PV_PAGE_SIZE);
	rx = device_ring(&r->dev, "rx-ring-ref", &r->rx_ref);
	if (!rx)
		return -errno;
	XEN_FRONT_RING_INIT(&r->rx, rx, PV_PAGE_SIZE);
	return 0;
}

static int read_mac(struct pv_net *d)
{
	char path[80], *text;
	unsigned int m[6];
	int n = 0;

	strcpy(stpcpy(path, d->ring->dev.front), "/mac");
	text = pv_xenbus_read(0, path);
	if (text)
		n = sscanf(text, "%x:%x:%x:%x:%x:%x", m, m + 1, m + 2, m + 3, m + 4, m + 5);
	free(text);
	for (int i = 0; i < 6 && n == 6; i++)
		d->mac[i] = m[i];
	return n == 6 ? 0 : -EINVAL;
}

int pv_net_open(struct pv_net *d, unsigned int n)
{
	struct pv_net_ring *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	rc = device_open(&r->dev, "vif", n);
	if (rc) {
		free(r);
		return rc;
	}
	d->ring = r;
	rc = read_mac(d);
	if (!rc)
		rc = make_rings(r);
	if (!rc)
		rc = grant_buffers(r);
	if (!rc)
		rc = device_write(&r->dev, "request-rx-copy", 1);
	if (!rc)
		rc = device_write(&r->dev, "feature-rx-notify", 1);
	if (!rc)
		rc = device_write(&r->dev, "feature-no-csum-offload", 1);
	if (!rc)
		rc = device_connect(&r->dev, XenbusStateConnected);
	if (rc) {
		pv_net_close(d);
		return rc;
	}
	for (unsigned int i = 0; i < BUFFERS; i++)
		offer(r, i);
	push_rx(r);
	return 0;
}

void pv_net_close(struct pv_net *d)
{
	struct pv_net_ring *r = d->ring;
	bool ours = true;

	device_close(&r->dev);
	while (r->granted--)
		ours &= !pv_grant_end(r->tx_refs[r->granted]) &&
			!pv_grant_end(r->rx_refs[r->granted]);
	/* Pages that the back end still has are lost rather than used for something else. */
	if (ours) {
		free(r->tx_pages);
		free(r->rx_pages);
	}
	if (r->tx.sring && !pv_grant_end(r->tx_ref))
		free(r->tx.sring);
	if (r->rx.sring && !pv_grant_end(r->rx_ref))
		free(r->rx.sring);
	free(r);
	d->ring = NULL;
}

/* Buffers that the back end has done with. A bad id is nobody's. */
static void reap(struct pv_net_ring *r)
{
	int more;

	do {
		while (XEN_RING_NR_UNCONSUMED_RESPONSES(&r->tx)) {
			struct netif_tx_response rsp;

			xen_rmb();
			rsp = *RING_GET_RESPONSE(&r->tx, r->tx.rsp_cons);
			r->tx.rsp_cons++;
			if (rsp.id < BUFFERS && r->nr_tx_free < BUFFERS)
				r->tx_free[r->nr_tx_free++] = rsp.id;
		}
		RING_FINAL_CHECK_FOR_RESPONSES(&r->tx, more);
	} while (more);
}

int pv_net_send(struct pv_net *d, const void *frame, size_t n)
{
	struct pv_net_ring *r = d->ring;
	uint64_t until = pv_time_ns() + PATIENCE_NS;
	struct netif_tx_request *req;
	unsigned int id;
	int notify;

	if (n > PV_PAGE_SIZE)
		return -EINVAL;
	for (;;) {
		device_clear(&r->dev);
		reap(r);
		if (r->nr_tx_free)
			break;
		if (pv_time_ns() >= until)
			return -ETIMEDOUT;
		device_wait(&r->dev, until);
	}
	id = r->tx_free[--r->nr_tx_free];
	memcpy(r->tx_pages + id * PV_PAGE_SIZE, frame, n);
	req = RING_GET_REQUEST(&r->tx, r->tx.req_prod_pvt);
	*req = (struct netif_tx_request){ .gref = r->tx_refs[id], .id = id, .size = n };
	r->tx.req_prod_pvt++;
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&r->tx, notify);
	if (notify)
		pv_event_send(r->dev.port);
	return 0;
}

/* One response; the frame's length, 0 if it is none for us. */
static size_t take(struct pv_net_ring *r, void *frame, size_t size)
{
	struct netif_rx_response rsp;
	size_t n;

	xen_rmb(); /* the producer's index before what it tells of: response and frame */
	rsp = *RING_GET_RESPONSE(&r->rx, r->rx.rsp_cons);
	n = rsp.status > 0 ? rsp.status : 0;
	r->rx.rsp_cons++;
	if (rsp.id >= BUFFERS)
		return 0;
	if (n > size || rsp.offset > PV_PAGE_SIZE || n > PV_PAGE_SIZE - rsp.offset ||
	    rsp.flags & (NETRXF_more_data | NETRXF_extra_info))
		n = 0;
	memcpy(frame, r->rx_pages + rsp.id * PV_PAGE_SIZE + rsp.offset, n);
	offer(r, rsp.id);
	push_rx(r);
	return n;
}

size_t pv_net_receive(struct pv_net *d, void *frame, size_t size, uint64_t timeout_ns)
{
	uint64_t until = timeout_ns == ~0UL ? ~0UL : pv_time_ns() + timeout_ns;
	struct pv_net_ring *r = d->ring;
	size_t n;
	int more;

	for (;;) {
		device_clear(&r->dev);
		RING_FINAL_CHECK_FOR_RESPONSES(&r->rx, more);
		if (more) {
			n = take(r, frame, size);
			if (n)
				return n;
			continue;
		}
		if (until != ~0UL && pv_time_ns() >= until)
			return 0;
		device_wait(&r->dev, until);
	}
}
