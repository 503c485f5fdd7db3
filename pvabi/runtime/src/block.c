/* SPDX-License-Identifier: MIT */
/*
 * The block front end (io/blkif.h): one request of at most 11 pages at a time, its buffers granted for as
 * long as it runs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/device.h>
#include <pv/xenbus.h>

#include <xen/io/blkif.h>
#include <xen/io/protocols.h>

#include "device.h"

#define SECTOR 512
#define PER_PAGE (PV_PAGE_SIZE / SECTOR)
/* As far as we believe in an answer: a disk may be slow, but not for ever. */
#define PATIENCE_NS 30000000000ULL

struct pv_block_ring {
	struct device dev;
	struct blkif_front_ring ring;
	grant_ref_t ref;
};

int pv_block_open(struct pv_block *b, unsigned int n)
{
	struct pv_block_ring *r = calloc(1, sizeof(*r));
	struct blkif_sring *shared;
	char path[80];
	int rc;

	if (!r)
		return -ENOMEM;
	rc = device_open(&r->dev, "vbd", n);
	if (rc) {
		free(r);
		return rc;
	}
	shared = device_ring(&r->dev, "ring-ref", &r->ref);
	if (!shared) {
		rc = -errno;
		goto fail;
	}
	XEN_FRONT_RING_INIT(&r->ring, shared, PV_PAGE_SIZE);
	strcpy(stpcpy(path, r->dev.front), "/protocol");
	rc = pv_xenbus_write(0, path, XEN_IO_PROTO_ABI_NATIVE);
	if (!rc)
		rc = device_connect(&r->dev, XenbusStateInitialised);
	if (rc)
		goto fail;
	*b = (struct pv_block){
		.sectors = device_read(&r->dev, "sectors", 0),
		.read_only = device_read(&r->dev, "info", 0) & VDISK_READONLY,
		.can_flush = device_read(&r->dev, "feature-flush-cache", 0),
		.ring = r,
	};
	return 0;
fail:
	b->ring = r;
	pv_block_close(b);
	return rc;
}

void pv_block_close(struct pv_block *b)
{
	struct pv_block_ring *r = b->ring;

	device_close(&r->dev);
	/* A page that the back end still has is lost rather than used for something else. */
	if (r->ring.sring && !pv_grant_end(r->ref))
		free(r->ring.sring);
	free(r);
	b->ring = NULL;
}

/* Pushes the request that stands at req_prod_pvt and waits for its answer. */
static int run(struct pv_block_ring *r)
{
	uint64_t until = pv_time_ns() + PATIENCE_NS;
	struct blkif_response *rsp;
	int notify, more, status;

	r->ring.req_prod_pvt++;
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&r->ring, notify);
	if (notify)
		pv_event_send(r->dev.port);
	for (;;) {
		device_clear(&r->dev);
		RING_FINAL_CHECK_FOR_RESPONSES(&r->ring, more);
		if (more)
			break;
		if (pv_time_ns() >= until)
			return -ETIMEDOUT;
		device_wait(&r->dev, until);
	}
	xen_rmb(); /* the producer's index before what it tells of */
	rsp = RING_GET_RESPONSE(&r->ring, r->ring.rsp_cons);
	status = rsp->status;
	r->ring.rsp_cons++;
	return status == BLKIF_RSP_OKAY ? 0 : -EIO;
}

/* At most what one request holds; sets *n to what it took. */
static int transfer(struct pv_block *b, bool write, uint64_t sector, char *buffer, size_t *n)
{
	struct pv_block_ring *r = b->ring;
	struct blkif_request *req = RING_GET_REQUEST(&r->ring, r->ring.req_prod_pvt);
	grant_ref_t refs[BLKIF_MAX_SEGMENTS_PER_REQUEST];
	size_t left = *n;
	unsigned int nr = 0;
	int rc = 0;

	memset(req, 0, sizeof(*req));
	while (left && nr < BLKIF_MAX_SEGMENTS_PER_REQUEST) {
		unsigned int first = (uintptr_t)buffer / SECTOR % PER_PAGE;
		size_t count = PER_PAGE - first < left ? PER_PAGE - first : left;
		long ref = pv_grant_access(r->dev.domid, pv_gfn(buffer), write);

		if (ref < 0) {
			rc = ref;
			break;
		}
		refs[nr] = ref;
		req->seg[nr++] = (struct blkif_request_segment){
			.gref = ref,
			.first_sect = first,
			.last_sect = first + count - 1,
		};
		buffer += count * SECTOR;
		left -= count;
	}
	req->operation = write ? BLKIF_OP_WRITE : BLKIF_OP_READ;
	req->nr_segments = nr;
	req->sector_number = sector;
	if (!rc)
		rc = run(r);
	while (nr--) {
		if (pv_grant_end(refs[nr]) && rc != -ETIMEDOUT)
			pv_panic("block: the back end keeps a buffer");
	}
	*n -= left;
	return rc;
}

static int all(struct pv_block *b, bool write, uint64_t sector, char *buffer, size_t n)
{
	int rc = 0;

	if ((uintptr_t)buffer % SECTOR || sector > b->sectors || n > b->sectors - sector)
		return -EINVAL;
	if (write && b->read_only)
		return -EROFS;
	while (n && !rc) {
		size_t took = n;

		rc = transfer(b, write, sector, buffer, &took);
		buffer += took * SECTOR;
		sector += took;
		n -= took;
	}
	return rc;
}

int pv_block_read(struct pv_block *b, uint64_t sector, void *buffer, size_t n)
{
	return all(b, false, sector, buffer, n);
}

int pv_block_write(struct pv_block *b, uint64_t sector, const void *buffer, size_t n)
{
	return all(b, true, sector, (char *)(uintptr_t)buffer, n);
}

int pv_block_flush(struct pv_block *b)
{
	struct pv_block_ring *r = b->ring;
	struct blkif_request *req = RING_GET_REQUEST(&r->ring, r->ring.req_prod_pvt);

	if (!b->can_flush)
		return 0;
	memset(req, 0, sizeof(*req));
	req->operation = BLKIF_OP_FLUSH_DISKCACHE;
	return run(r);
}
