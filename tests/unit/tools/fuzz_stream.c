// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any bytes as a saved domain. Sums keep them out of the bodies, so that all but a quarter are made into records of right sums
 * and numbers first: 4 bytes, type and length, and so many of body. What is handed out must be what its readers rely on.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pavise.h>
#include <pvstream.h>

static const uint32_t types[] = { PV_REC_HOST,
				  PV_REC_CONFIG,
				  PV_REC_MEMORY_MAP,
				  PV_REC_STATIC_DATA_END,
				  PV_REC_PAGE_DATA,
				  PV_REC_HVM_CONTEXT,
				  PV_REC_HVM_PARAMS,
				  PV_REC_STORE,
				  PV_REC_END,
				  PV_REC_OPTIONAL | 3,
				  77,
				  PV_REC_CONNECTION,
				  PV_REC_PAGE_PACKED,
				  PV_REC_DISKS,
				  PV_REC_DISK };

static bool mapped(const struct pv_stream_in *in, uint64_t gfn)
{
	unsigned int i;

	for (i = 0; i < in->nr_runs; i++)
		if (gfn >= in->run[i].gfn && gfn < in->run[i].gfn + in->run[i].pages)
			return true;
	return false;
}

static void look_at_pages(const struct pv_stream_in *in, const struct pv_record *r)
{
	uint64_t gfns[PV_STREAM_BATCH];
	uint8_t kind[PV_STREAM_BATCH];
	const uint8_t *data;
	unsigned int n = pv_stream_pages(r, gfns, kind, &data), i;
	uint8_t page[PV_PAGE_SIZE];

	assert(n && n <= PV_STREAM_BATCH);
	for (i = 0; i < n; i++) {
		assert(kind[i] <= PV_STREAM_HOLE && mapped(in, gfns[i]));
		if (kind[i] == PV_STREAM_DATA) {
			memcpy(page, data, sizeof(page));
			data += sizeof(page);
		}
	}
	assert(data == r->body + r->length);
}

static void look_at(const struct pv_stream_in *in, const struct pv_record *r)
{
	const struct pv_stream_host *h = (const void *)r->body;
	struct pv_stream_disk_data d;
	const uint8_t *data;
	struct pv_node n;
	uint32_t at = 0;

	assert(in->room <= PV_STREAM_MAX);
	assert(r->length <= (r->body == in->unpacked ? PV_STREAM_PAGES_MAX : in->room));
	switch (r->type) {
	case PV_REC_HOST:
		assert(h->timebase && sizeof(*h) + h->isa_length == r->length);
		break;
	case PV_REC_CONFIG:
		assert(r->length && !memchr(r->body, 0, r->length));
		break;
	case PV_REC_MEMORY_MAP:
		assert(in->nr_runs && in->ram);
		break;
	case PV_REC_PAGE_DATA:
		look_at_pages(in, r);
		break;
	case PV_REC_DISK:
		pv_stream_disk_data(r, &d, &data);
		assert(d.disk < in->nr_disks && d.offset + d.bytes <= in->disk[d.disk].size);
		assert(!data || data + d.bytes == r->body + r->length);
		break;
	case PV_REC_STORE:
		while (pv_stream_node(r, &at, &n)) {
			assert(n.path_length && *n.path != '/' && at <= r->length);
			assert(!memchr(n.path, 0, n.path_length));
			assert(!(in->image.options & PV_STREAM_CONNECTED) ||
			       (!n.flags && !strncmp(n.path, "backend/", 8)));
			assert((const uint8_t *)n.value + n.value_length <= r->body + r->length);
		}
		break;
	}
}

static void make(int fd, uint32_t options, const uint8_t *data, size_t size)
{
	struct pv_stream_out o;
	uint32_t type, length;

	assert(!pv_stream_begin(&o, fd, options, 0, 0, NULL));
	while (size >= 4) {
		type = types[data[0] % pv_container_size(types)];
		/* Zeros behind what there is: a page's worth can be had of a few bytes. */
		length = data[1] | data[2] << 8;
		if (data[3] & 1) {
			assert(!pv_stream_put_end(&o, NULL));
			data += 4;
			size -= 4;
			continue;
		}
		uint8_t *body = calloc(1, length + 1);
		size_t n = length < size - 4 ? length : size - 4;
		struct iovec v = { body, length };

		if (data[3] & 2 && n > 64)
			n = 64;
		memcpy(body, data + 4, n);
		assert(!pv_stream_put(&o, type, &v, 1, NULL));
		free(body);
		data += 4 + n;
		size -= 4 + n;
	}
	pv_stream_finish(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct pv_err err = { "" };
	struct pv_stream_in in;
	struct pv_record r;
	int rc;

	if (!size)
		return 0;
	if (fd < 0)
		fd = memfd_create("fuzz", 0);
	assert(!ftruncate(fd, 0));
	lseek(fd, 0, SEEK_SET);
	if (data[0] & 3)
		make(fd,
		     (data[0] & 4 ? PV_STREAM_CONNECTED : 0) |
			     (data[0] & 8 ? PV_STREAM_PACKED : 0) |
			     (data[0] & 16 ? PV_STREAM_DISKS : 0),
		     data + 1, size - 1);
	else
		assert(write(fd, data + 1, size - 1) == (ssize_t)size - 1);
	lseek(fd, 0, SEEK_SET);
	rc = pv_stream_open(&in, fd, &err);
	if (!rc)
		while ((rc = pv_stream_next(&in, &r, &err)) == 1)
			look_at(&in, &r);
	assert(rc <= 0 && !rc == !*err.text && memchr(err.text, 0, sizeof(err.text)));
	pv_stream_close(&in);
	return 0;
}
