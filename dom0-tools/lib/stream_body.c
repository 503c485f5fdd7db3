// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is in the records of a saved domain's stream (docs/save-format.md). Their lengths and sums are right already, which says
 * nothing of who wrote them: each number is looked at before anything is done with it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pavise.h"
#include "pvstream.h"

static uint64_t word(const struct pv_record *r, size_t at)
{
	uint64_t w;

	memcpy(&w, r->body + at, sizeof(w));
	return w;
}

static const char *check_host(const struct pv_record *r)
{
	const struct pv_stream_host *h = (const void *)r->body;
	uint32_t i;

	if (h->isa_length != r->length - sizeof(*h) || h->reserved)
		return "its ISA string does not fill it";
	if (!h->timebase || h->timebase > 1000000000000ull)
		return "no clock has that frequency";
	if (h->asid_bits > 16)
		return "no hart has so many ASID bits";
	for (i = 0; i < h->isa_length; i++)
		if (r->body[sizeof(*h) + i] < ' ' || r->body[sizeof(*h) + i] > '~')
			return "its ISA string is no text";
	return NULL;
}

static const char *check_config(const struct pv_record *r)
{
	uint32_t i;

	for (i = 0; i < r->length; i++)
		if ((r->body[i] < ' ' && r->body[i] != '\n' && r->body[i] != '\t') ||
		    r->body[i] == 0x7f)
			return "it is no text";
	return NULL;
}

static const char *check_map(struct pv_stream_in *i, const struct pv_record *r)
{
	unsigned int n = r->length / sizeof(*i->run), k;
	uint64_t next = 0;

	if (r->length % sizeof(*i->run))
		return "it does not end with a run";
	i->run = malloc(r->length);
	if (!i->run)
		return "out of memory";
	memcpy(i->run, r->body, r->length);
	i->nr_runs = n;
	for (k = 0; k < n; k++) {
		const struct pv_stream_run *run = &i->run[k];

		if (!run->pages || run->gfn < next || run->gfn >= PV_STREAM_GFNS ||
		    run->pages > PV_STREAM_GFNS - run->gfn)
			return "its runs are empty, overlap, or are not in order";
		next = run->gfn + run->pages;
		i->ram += run->pages;
	}
	return NULL;
}

static bool is_ram(const struct pv_stream_in *i, uint64_t gfn)
{
	unsigned int low = 0, high = i->nr_runs, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (gfn < i->run[mid].gfn)
			high = mid;
		else if (gfn - i->run[mid].gfn < i->run[mid].pages)
			return true;
		else
			low = mid + 1;
	}
	return false;
}

static const char *check_pages(struct pv_stream_in *i, const struct pv_record *r)
{
	const struct pv_stream_pages *p = (const void *)r->body;
	uint64_t count[PV_STREAM_HOLE + 1] = { 0 }, w, gfn;
	uint32_t k, kind;

	if (!p->count || p->count > PV_STREAM_BATCH || p->reserved ||
	    r->length < sizeof(*p) + 8 * p->count)
		return "it has no such number of pages";
	for (k = 0; k < p->count; k++) {
		w = word(r, sizeof(*p) + 8 * k);
		kind = w >> PV_STREAM_KIND;
		gfn = w & ((1ull << PV_STREAM_KIND) - 1);
		if (kind > PV_STREAM_HOLE)
			return "a page is of a kind that is not known";
		if (!is_ram(i, gfn))
			return "a page is not in the memory map";
		count[kind]++;
	}
	if (r->length != sizeof(*p) + 8 * p->count + count[PV_STREAM_DATA] * PV_PAGE_SIZE)
		return "its length is not that of its pages";
	for (kind = 0; kind <= PV_STREAM_HOLE; kind++)
		i->end.pages[kind] += count[kind];
	return NULL;
}

static const char *check_params(const struct pv_record *r)
{
	size_t at;

	if (r->length % sizeof(struct pv_stream_param))
		return "it does not end with a param";
	for (at = 0; at < r->length; at += sizeof(struct pv_stream_param)) {
		if (word(r, at) > UINT32_MAX ||
		    (at && word(r, at) <= word(r, at - sizeof(struct pv_stream_param))))
			return "its params are not in order";
	}
	return NULL;
}

/* As xenstore has them: relative, without empty parts. */
static bool path_ok(const char *p, unsigned int n)
{
	unsigned int i;
	char before = '/';

	if (!n)
		return false;
	for (i = 0; i < n; before = p[i++]) {
		if (p[i] == '/' && before == '/')
			return false;
		if (!strchr("/-_@", p[i]) && !((p[i] | 32) >= 'a' && (p[i] | 32) <= 'z') &&
		    !(p[i] >= '0' && p[i] <= '9'))
			return false;
		/* strchr() finds the end, too */
		if (!p[i])
			return false;
	}
	return before != '/';
}

bool pv_stream_node(const struct pv_record *r, uint32_t *at, struct pv_node *n)
{
	struct pv_stream_node h;

	if (r->length - *at < sizeof(h))
		return false;
	memcpy(&h, r->body + *at, sizeof(h));
	*n = (struct pv_node){
		.path = (const char *)r->body + *at + sizeof(h),
		.value = (const char *)r->body + *at + sizeof(h) + h.path_length,
		.path_length = h.path_length,
		.value_length = h.value_length,
		.flags = h.flags,
	};
	*at += (sizeof(h) + h.path_length + h.value_length + 7) & ~7u;
	return true;
}

static bool flags_ok(uint32_t flags)
{
	if (flags == PV_NODE_WATCH || !flags)
		return true;
	return flags & PV_NODE_GUESTS &&
	       !(flags & ~(PV_NODE_GUESTS | PV_NODE_READ | PV_NODE_WRITE));
}

static bool is_back_ends(const struct pv_node *n)
{
	static const char top[] = "backend/";

	return !n->flags && n->path_length > strlen(top) && !memcmp(n->path, top, strlen(top)) &&
	       !memchr(n->value, 0, n->value_length);
}

static const char *check_store(const struct pv_stream_in *i, const struct pv_record *r)
{
	bool back_ends = i->image.options & PV_STREAM_CONNECTED;
	struct pv_stream_node h;
	struct pv_node n;
	uint32_t at = 0, end;

	while (at < r->length) {
		if (r->length - at < sizeof(h))
			return "it does not end with a node";
		memcpy(&h, r->body + at, sizeof(h));
		end = (sizeof(h) + h.path_length + h.value_length + 7) & ~7u;
		if (end > r->length - at)
			return "a node is longer than it";
		pv_stream_node(r, &at, &n);
		if (!flags_ok(n.flags) || n.path_length > 2048 || n.value_length > 4096)
			return "a node is of no kind that is known";
		if (!path_ok(n.path, n.path_length))
			return "a node's path is none";
		if (back_ends && !is_back_ends(&n))
			return "a node is none of a back end";
		if (n.flags == PV_NODE_WATCH && memchr(n.value, 0, n.value_length))
			return "a watch's token is no text";
	}
	return NULL;
}

static const char *check_end(const struct pv_stream_in *i, const struct pv_record *r)
{
	struct pv_stream_end end;

	memcpy(&end, r->body, sizeof(end));
	if (end.records != i->end.records)
		return "it has another number of records than were there";
	if (memcmp(end.pages, i->end.pages, sizeof(end.pages)))
		return "it has other numbers of pages than were there";
	if (end.sums != i->end.sums)
		return "its sum of the records' sums is another";
	return NULL;
}

/* One more; *@at goes behind it. */
static const char *take_disk(struct pv_stream_in *i, const struct pv_record *r, uint32_t *at)
{
	struct pv_stream_disk d;
	const char *path;

	if (r->length - *at < sizeof(d))
		return "it does not end with a disk";
	memcpy(&d, r->body + *at, sizeof(d));
	path = (const char *)r->body + *at + sizeof(d);
	if (d.path_length > PV_STREAM_DISK_PATH ||
	    r->length - *at - sizeof(d) < ((d.path_length + 7) & ~7u))
		return "a disk's path is longer than it";
	if (i->nr_disks == PV_STREAM_DISKS_MAX)
		return "it has too many disks";
	if (!d.size || d.size > INT64_MAX || d.reserved || !d.path_length || *path != '/' ||
	    memchr(path, 0, d.path_length))
		return "a disk is none";
	i->disk[i->nr_disks].path = strndup(path, d.path_length);
	if (!i->disk[i->nr_disks].path)
		return "out of memory";
	i->disk[i->nr_disks++].size = d.size;
	*at += sizeof(d) + ((d.path_length + 7) & ~7u);
	return NULL;
}

static const char *check_disks(struct pv_stream_in *i, const struct pv_record *r)
{
	const char *why = NULL;
	uint32_t at = 0;

	i->disk = calloc(PV_STREAM_DISKS_MAX, sizeof(*i->disk));
	if (!i->disk)
		return "out of memory";
	while (!why && at < r->length)
		why = take_disk(i, r, &at);
	return why;
}

static const char *check_disk(const struct pv_stream_in *i, const struct pv_record *r)
{
	struct pv_stream_disk_data d;
	uint32_t n = r->length - sizeof(d);

	memcpy(&d, r->body, sizeof(d));
	if (d.disk >= i->nr_disks || d.reserved)
		return "there is no such disk";
	if (!d.bytes || d.offset > i->disk[d.disk].size ||
	    d.bytes > i->disk[d.disk].size - d.offset)
		return "its place is not on the disk";
	if (n && n != d.bytes)
		return "its length is not what it says";
	return NULL;
}

void pv_stream_disk_data(const struct pv_record *r, struct pv_stream_disk_data *d,
			 const uint8_t **data)
{
	memcpy(d, r->body, sizeof(*d));
	*data = r->length > sizeof(*d) ? r->body + sizeof(*d) : NULL;
}

const char *pv_stream_check(struct pv_stream_in *i, const struct pv_record *r)
{
	switch (r->type) {
	case PV_REC_HOST:
		return check_host(r);
	case PV_REC_CONFIG:
		return check_config(r);
	case PV_REC_MEMORY_MAP:
		return check_map(i, r);
	case PV_REC_DISKS:
		return check_disks(i, r);
	case PV_REC_DISK:
		return check_disk(i, r);
	case PV_REC_PAGE_DATA:
		return check_pages(i, r);
	case PV_REC_HVM_PARAMS:
		return check_params(r);
	case PV_REC_STORE:
		return check_store(i, r);
	case PV_REC_END:
		return check_end(i, r);
	}
	return NULL;
}

unsigned int pv_stream_pages(const struct pv_record *r, uint64_t gfns[PV_STREAM_BATCH],
			     uint8_t kind[PV_STREAM_BATCH], const uint8_t **data)
{
	const struct pv_stream_pages *p = (const void *)r->body;
	uint64_t w;
	uint32_t k;

	for (k = 0; k < p->count; k++) {
		w = word(r, sizeof(*p) + 8 * k);
		kind[k] = w >> PV_STREAM_KIND;
		gfns[k] = w & ((1ull << PV_STREAM_KIND) - 1);
	}
	*data = r->body + sizeof(*p) + 8 * p->count;
	return p->count;
}
