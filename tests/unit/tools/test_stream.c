// SPDX-License-Identifier: BSD-2-Clause
/*
 * The stream of a saved domain: what was put in comes out, and whatever is done to it on the way is refused by a message that
 * names the record. The writer does not look at the order nor at bodies, so that hostile ones can be made with right sums.
 */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pavise.h>
#include <pvstream.h>

#define MAX 64
#define HEADERS (sizeof(struct pv_stream_image_header) + sizeof(struct pv_stream_domain_header))

struct rec {
	uint32_t type, length;
	uint8_t *body;
};

struct stream {
	uint8_t *bytes;
	size_t size;
	size_t at[MAX + 1]; /* where records begin; the last: the end */
	int nr;
};

static struct rec recs[MAX];
static int nr_recs;

static void add(uint32_t type, const void *body, uint32_t length)
{
	struct rec *r = &recs[nr_recs++];

	assert_true(nr_recs <= MAX);
	*r = (struct rec){ type, length, malloc(length + 1) };
	if (length)
		memcpy(r->body, body, length);
}

static void drop_recs(void)
{
	while (nr_recs)
		free(recs[--nr_recs].body);
}

static void add_node(uint8_t *to, uint32_t *n, const char *path, const char *value, uint32_t flags)
{
	struct pv_stream_node h = { strlen(path), strlen(value), flags };

	memset(to + *n, 0, sizeof(h) + h.path_length + h.value_length + 8);
	memcpy(to + *n, &h, sizeof(h));
	memcpy(to + *n + sizeof(h), path, h.path_length);
	memcpy(to + *n + sizeof(h) + h.path_length, value, h.value_length);
	*n += (sizeof(h) + h.path_length + h.value_length + 7) & ~7u;
}

#define ISA "rv64imafdc_zicbom_sstc"

static void add_pages(const uint64_t *words, uint32_t n, unsigned int nr_data)
{
	static uint8_t body[8 + 8 * 8 + 8 * PV_PAGE_SIZE];
	struct pv_stream_pages h = { .count = n };
	unsigned int i;

	memcpy(body, &h, sizeof(h));
	memcpy(body + 8, words, 8 * n);
	for (i = 0; i < nr_data * PV_PAGE_SIZE; i++)
		body[8 + 8 * n + i] = i * 7 + i / 4096 + 1;
	add(PV_REC_PAGE_DATA, body, 8 + 8 * n + nr_data * PV_PAGE_SIZE);
}

#define KIND(k) ((uint64_t)(k) << PV_STREAM_KIND)

/* A good one, but for END, which put_all() makes. */
static void good(void)
{
	const struct pv_stream_run map[] = { { 0x80000, 16 }, { 0x90000, 2 } };
	const uint64_t first[] = { 0x80000, 0x80001 | KIND(PV_STREAM_ZERO), 0x90001 },
		       second[] = { 0x8000f | KIND(PV_STREAM_HOLE) };
	const struct pv_stream_param params[] = { { 1, 2 }, { 17, 3 } };
	struct pv_stream_host host = { .timebase = 10000000, .isa_length = strlen(ISA) };
	uint8_t body[512];
	uint32_t n = 0;

	drop_recs();
	memcpy(body, &host, sizeof(host));
	memcpy(body + sizeof(host), ISA, strlen(ISA));
	add(PV_REC_HOST, body, sizeof(host) + strlen(ISA));
	add(PV_REC_CONFIG, "name = \"g\"\nmemory = 8\n", 22);
	add(PV_REC_MEMORY_MAP, map, sizeof(map));
	add(PV_REC_STATIC_DATA_END, NULL, 0);
	add_pages(first, 3, 2);
	add_pages(second, 1, 0);
	add(PV_REC_HVM_CONTEXT, "0123456789abc", 13);
	add(PV_REC_HVM_PARAMS, params, sizeof(params));
	add_node(body, &n, "data", "", PV_NODE_GUESTS);
	add_node(body, &n, "data/count", "12345", PV_NODE_GUESTS);
	add_node(body, &n, "name", "g", 0);
	add_node(body, &n, "data/all", "", PV_NODE_GUESTS | PV_NODE_READ | PV_NODE_WRITE);
	add_node(body, &n, "control/shutdown", "a token", PV_NODE_WATCH);
	add(PV_REC_STORE, body, n);
}

/* What the writer would count of pages, for bodies that are made by hand. */
static void count_pages(struct pv_stream_out *o, const struct rec *r)
{
	uint64_t w;
	uint32_t n, i;

	if (r->type != PV_REC_PAGE_DATA || r->length < 8)
		return;
	memcpy(&n, r->body, 4);
	for (i = 0; i < n && 16 + 8 * i <= r->length; i++) {
		memcpy(&w, r->body + 8 + 8 * i, 8);
		if (w >> PV_STREAM_KIND < 3)
			o->end.pages[w >> PV_STREAM_KIND]++;
	}
}

/* Which of END's numbers is one too high; -1: none. */
static int wrong_number = -1;

static void put_wrong_end(struct pv_stream_out *o)
{
	struct pv_stream_end end = o->end;
	struct iovec v = { &end, sizeof(end) };

	((uint64_t *)&end)[wrong_number]++;
	assert_int_equal(pv_stream_put(o, PV_REC_END, &v, 1, NULL), 0);
}

static uint32_t options = PV_STREAM_SUSPENDED;

/* All of recs[], then END unless there is one among them. */
static void put_all(struct stream *s, bool with_end)
{
	int fd = memfd_create("stream", 0), i;
	struct pv_stream_out o;
	struct pv_err err = { "" };

	memset(s, 0, sizeof(*s));
	assert_int_equal(pv_stream_begin(&o, fd, options, 4, 17, &err), 0);
	for (i = 0; i < nr_recs; i++) {
		struct iovec v = { recs[i].body, recs[i].length };

		s->at[s->nr++] = o.bytes;
		assert_int_equal(pv_stream_put(&o, recs[i].type, &v, 1, &err), 0);
		count_pages(&o, &recs[i]);
	}
	if (with_end) {
		s->at[s->nr++] = o.bytes;
		if (wrong_number < 0)
			assert_int_equal(pv_stream_put_end(&o, &err), 0);
		else
			put_wrong_end(&o);
	}
	s->at[s->nr] = s->size = o.bytes;
	s->bytes = malloc(s->size + 1);
	assert_int_equal(pread(fd, s->bytes, s->size, 0), s->size);
	close(fd);
}

/* 0 when all of it was right. *@n: records that came out. */
static int read_all(const uint8_t *bytes, size_t size, int *n, struct pv_err *err)
{
	static int fd = -1;
	struct pv_stream_in in;
	struct pv_record r;
	int rc;

	if (fd < 0)
		fd = memfd_create("read", 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bytes, size, 0), size);
	lseek(fd, 0, SEEK_SET);
	memset(err, 0, sizeof(*err));
	*n = 0;
	rc = pv_stream_open(&in, fd, err);
	if (!rc)
		while ((rc = pv_stream_next(&in, &r, err)) == 1)
			++*n;
	if (!rc)
		rc = pv_stream_at_end(&in, err);
	/* After its end, of either kind, nothing more comes. */
	assert_int_equal(pv_stream_next(&in, &r, NULL), -EINVAL);
	assert_true(in.room <= PV_STREAM_MAX);
	pv_stream_close(&in);
	assert_true(!rc == !*err->text);
	return rc;
}

/* It is refused at record @k, and the message says so. */
static void refused_at(const uint8_t *bytes, size_t size, int k, size_t at, const char *why)
{
	struct pv_err err;
	char head[64], place[64];
	int n, rc = read_all(bytes, size, &n, &err);

	if (rc >= 0)
		fail_msg("taken: record %d, %s", k, why ?: "any reason");
	snprintf(head, sizeof(head), "record %d (", k);
	snprintf(place, sizeof(place), "at byte %zu)", at);
	if (strncmp(err.text, head, strlen(head)) || !strstr(err.text, place) ||
	    (why && !strstr(err.text, why)))
		fail_msg("'%s' should be about record %d at %zu: %s", err.text, k, at, why ?: "");
	assert_int_equal(n, k);
}

/* recs[] as they are, with right sums: refused at @k. */
static void made_refused(int k, bool with_end, const char *why)
{
	struct stream s;

	put_all(&s, with_end);
	refused_at(s.bytes, s.size, k, s.at[k], why);
	free(s.bytes);
}

/* --- what is right ---------------------------------------------------------------------------- */

static void test_round(void **state)
{
	struct pv_stream_in in;
	struct pv_err err = { "" };
	struct pv_record r;
	struct stream s;
	int fd = memfd_create("round", 0), i;

	(void)state;
	good();
	put_all(&s, true);
	assert_int_equal(write(fd, s.bytes, s.size), s.size);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(pv_stream_open(&in, fd, &err), 0);
	assert_int_equal(in.domain.hv_major, 4);
	assert_int_equal(in.domain.hv_minor, 17);
	for (i = 0; i < nr_recs; i++) {
		assert_int_equal(pv_stream_next(&in, &r, &err), 1);
		assert_int_equal(r.type, recs[i].type);
		assert_int_equal(r.length, recs[i].length);
		assert_memory_equal(r.body, recs[i].body, r.length);
		assert_int_equal((uintptr_t)r.body % 8, 0);
	}
	assert_int_equal(pv_stream_next(&in, &r, &err), 0);
	assert_int_equal(pv_stream_at_end(&in, &err), 0);
	assert_int_equal(in.ram, 18);
	assert_int_equal(in.end.pages[PV_STREAM_DATA], 2);
	assert_int_equal(in.end.pages[PV_STREAM_ZERO], 1);
	assert_int_equal(in.end.pages[PV_STREAM_HOLE], 1);
	pv_stream_close(&in);
	close(fd);
	free(s.bytes);
	drop_recs();
}

static void test_nodes(void **state)
{
	struct pv_record r = { .type = PV_REC_STORE };
	struct pv_node n;
	uint32_t at = 0;

	(void)state;
	good();
	r.body = recs[8].body;
	r.length = recs[8].length;
	assert_true(pv_stream_node(&r, &at, &n) && n.path_length == 4 && !n.value_length);
	assert_true(pv_stream_node(&r, &at, &n) && n.value_length == 5 &&
		    !memcmp(n.path, "data/count", 10) && !memcmp(n.value, "12345", 5) &&
		    n.flags == PV_NODE_GUESTS);
	assert_true(pv_stream_node(&r, &at, &n) && !n.flags);
	assert_true(pv_stream_node(&r, &at, &n) &&
		    n.flags == (PV_NODE_GUESTS | PV_NODE_READ | PV_NODE_WRITE));
	assert_true(pv_stream_node(&r, &at, &n) && n.flags == PV_NODE_WATCH && n.value_length == 7);
	assert_false(pv_stream_node(&r, &at, &n));
	drop_recs();
}

/* Through a pipe that hands out a few bytes at a time. */
struct feed {
	int fd;
	const struct stream *s;
};

static void *feed(void *arg)
{
	struct feed *f = arg;
	size_t at, n;

	for (at = 0; at < f->s->size; at += n) {
		n = at % 97 + 1;
		if (n > f->s->size - at)
			n = f->s->size - at;
		assert_int_equal(write(f->fd, f->s->bytes + at, n), n);
	}
	close(f->fd);
	return NULL;
}

static void test_pipe(void **state)
{
	struct pv_err err = { "" };
	struct pv_stream_in in;
	struct pv_record r;
	struct stream s;
	pthread_t thread;
	struct feed f;
	int p[2], n = 0, rc;

	(void)state;
	good();
	put_all(&s, true);
	assert_int_equal(pipe(p), 0);
	f = (struct feed){ p[1], &s };
	pthread_create(&thread, NULL, feed, &f);
	assert_int_equal(pv_stream_open(&in, p[0], &err), 0);
	while ((rc = pv_stream_next(&in, &r, &err)) == 1)
		n++;
	assert_int_equal(rc, 0);
	assert_int_equal(n, nr_recs);
	assert_int_equal(pv_stream_at_end(&in, &err), 0);
	pv_stream_close(&in);
	pthread_join(thread, NULL);
	close(p[0]);
	free(s.bytes);
	drop_recs();
}

static void insert(int k, uint32_t type, const void *body, uint32_t length)
{
	struct rec last;

	add(type, body, length);
	last = recs[nr_recs - 1];
	memmove(&recs[k + 1], &recs[k], (nr_recs - 1 - k) * sizeof(recs[0]));
	recs[k] = last;
}

/* Unknown ones that may be left out are, at each place; others end it. */
static void test_unknown(void **state)
{
	static uint8_t body[70000];
	struct pv_err err;
	struct stream s;
	int k, n;

	(void)state;
	good();
	for (k = 0; k <= 9; k++) {
		good();
		insert(k, PV_REC_OPTIONAL | 0x7777, body, sizeof(body) - k);
		put_all(&s, true);
		assert_int_equal(read_all(s.bytes, s.size, &n, &err), 0);
		assert_int_equal(n, 9);
		free(s.bytes);
		good();
		insert(k, 0x7777, body, 8);
		made_refused(k, true, "of an unknown type, type 0x7777");
	}
	drop_recs();
}

/* --- what is wrong ---------------------------------------------------------------------------- */

static void test_cut(void **state)
{
	struct pv_err err;
	struct stream s;
	size_t size;
	int k, n;

	(void)state;
	good();
	put_all(&s, true);
	for (size = 0; size < HEADERS; size++) {
		assert_int_equal(read_all(s.bytes, size, &n, &err), -ENODATA);
		assert_non_null(strstr(err.text, size < 40 ? "image header" : "domain header"));
		assert_non_null(strstr(err.text, "cut short"));
	}
	for (k = 0; k < s.nr; k++) {
		const size_t at = s.at[k], next = s.at[k + 1], header = at + 24;
		const size_t cuts[] = { at,	 at + 1, header - 1, header, (header + next) / 2,
					next - 1 };
		unsigned int c;

		for (c = 0; c < 6; c++)
			if (cuts[c] < next)
				refused_at(s.bytes, cuts[c], k, at, "cut short");
	}
	free(s.bytes);
	drop_recs();
}

/* One bit of each byte, another in each; each bit in headers. */
static void test_flipped(void **state)
{
	struct pv_err err;
	struct stream s;
	size_t at, bit;
	int k, n;

	(void)state;
	good();
	put_all(&s, true);
	for (at = 0; at < HEADERS; at++) {
		for (bit = 0; bit < 8; bit++) {
			s.bytes[at] ^= 1 << bit;
			assert_true(read_all(s.bytes, s.size, &n, &err) < 0);
			assert_int_equal(n, 0);
			assert_non_null(
				strstr(err.text, at < 40 ? "image header" : "domain header"));
			s.bytes[at] ^= 1 << bit;
		}
	}
	for (k = 0; k < s.nr; k++) {
		for (at = s.at[k]; at < s.at[k + 1]; at++) {
			for (bit = at % 8; bit < 8; bit += at < s.at[k] + 24 ? 1 : 8) {
				s.bytes[at] ^= 1 << bit;
				refused_at(s.bytes, s.size, k, s.at[k], NULL);
				s.bytes[at] ^= 1 << bit;
			}
		}
	}
	assert_int_equal(read_all(s.bytes, s.size, &n, &err), 0);
	free(s.bytes);
	drop_recs();
}

/* A piece of the stream once more, away, or of another: the bytes as they are. */
static void test_moved(void **state)
{
	struct stream s, t;
	uint8_t *bytes;
	size_t len;
	int k;

	(void)state;
	good();
	put_all(&s, true);
	put_all(&t, true);
	bytes = malloc(2 * s.size);
	for (k = 0; k < s.nr; k++) {
		len = s.at[k + 1] - s.at[k];
		/* twice */
		memcpy(bytes, s.bytes, s.at[k + 1]);
		memcpy(bytes + s.at[k + 1], s.bytes + s.at[k], s.size - s.at[k]);
		if (k < s.nr - 1) {
			refused_at(bytes, s.size + len, k + 1, s.at[k + 1], "twice");
		} else {
			struct pv_err err;
			int n;

			assert_int_equal(read_all(bytes, s.size + len, &n, &err), -EBADMSG);
			assert_non_null(strstr(err.text, "behind END"));
		}
		/* away */
		memcpy(bytes, s.bytes, s.at[k]);
		memcpy(bytes + s.at[k], s.bytes + s.at[k + 1], s.size - s.at[k + 1]);
		refused_at(bytes, s.size - len, k, s.at[k], k < s.nr - 1 ? "missing" : "cut");
		/* of another stream of the same content: its sums have another seed */
		memcpy(bytes, s.bytes, s.size);
		memcpy(bytes + s.at[k], t.bytes + t.at[k], len);
		refused_at(bytes, s.size, k, s.at[k], "sum");
	}
	free(bytes);
	free(s.bytes);
	free(t.bytes);
	drop_recs();
}

/* With right sums and numbers: the order alone is wrong. */
static void test_order(void **state)
{
	struct rec r;
	int k;

	(void)state;
	for (k = 0; k < 9; k++) {
		/* twice; PAGE_DATA may come as often as it likes */
		good();
		insert(k, recs[k].type, recs[k].body, recs[k].length);
		if (recs[k].type != PV_REC_PAGE_DATA)
			made_refused(k + 1, true, "wrong place");
		/* missing */
		good();
		if (recs[k].type != PV_REC_PAGE_DATA) {
			free(recs[k].body);
			memmove(&recs[k], &recs[k + 1], (--nr_recs - k) * sizeof(r));
			made_refused(k, true, "wrong place");
		}
		/* changed for the next */
		good();
		if (k < 8 && !(k == 4)) {
			r = recs[k];
			recs[k] = recs[k + 1];
			recs[k + 1] = r;
			/* pages that stay behind the vCPUs' state are not looked for there */
			made_refused(k == 5 ? 6 : k, true, "wrong place");
		}
		/* the end here */
		good();
		while (nr_recs > k)
			free(recs[--nr_recs].body);
		made_refused(k, true, "wrong place: ");
	}
	drop_recs();
}

static void set(int k, const void *body, uint32_t length)
{
	free(recs[k].body);
	recs[k].body = malloc(length + 1);
	if (length)
		memcpy(recs[k].body, body, length);
	recs[k].length = length;
}

/* A record's 4 or 8 bytes at @at become @value. */
static const struct change {
	int rec, at, bytes;
	uint64_t value;
	const char *why;
} changes[] = {
	{ 0, 0, 8, 0, "frequency" },
	{ 0, 0, 8, UINT64_MAX, "frequency" },
	{ 0, 8, 4, 17, "ASID" },
	{ 0, 32, 4, 21, "ISA string" },
	{ 0, 32, 4, UINT32_MAX, "ISA string" },
	{ 0, 36, 4, 1, "ISA string" },
	{ 0, 40, 4, 0x0a007272, "no text" },
	{ 1, 0, 4, 0, "no text" },
	{ 1, 4, 4, 0x7f202020, "no text" },
	{ 2, 8, 8, 0, "runs are empty" },
	{ 2, 8, 8, 0x10001, "overlap" },
	{ 2, 8, 8, UINT64_MAX, "overlap" },
	{ 2, 16, 8, 0x8000f, "overlap" },
	{ 2, 16, 8, 0x7ffff, "not in order" },
	{ 2, 16, 8, 1ull << 44, "not in order" },
	{ 2, 24, 8, 1ull << 44, "not in order" },
	{ 2, 24, 8, UINT64_MAX - 0x8ffff, "not in order" },
	{ 4, 0, 4, 0, "number of pages" },
	{ 4, 0, 4, 257, "number of pages" },
	{ 4, 0, 4, UINT32_MAX, "number of pages" },
	{ 4, 4, 4, 1, "number of pages" },
	{ 4, 0, 4, 2, "length" },
	{ 4, 8, 8, 0x7ffff, "not in the memory map" },
	{ 4, 8, 8, 0x80010, "not in the memory map" },
	{ 4, 8, 8, 0x90002, "not in the memory map" },
	{ 4, 8, 8, 1ull << 59 | 0x80000, "not in the memory map" },
	{ 4, 8, 8, 3ull << 60 | 0x80000, "kind" },
	{ 4, 8, 8, 15ull << 60 | 0x80000, "kind" },
	{ 4, 8, 8, 1ull << 60 | 0x80000, "length" },
	{ 5, 8, 8, 0x8000f, "length" },
	{ 7, 0, 8, 17, "in order" },
	{ 7, 0, 8, 1ull << 32, "in order" },
	{ 7, 16, 8, 0, "in order" },
	{ 8, 0, 4, 0xffff, "longer" },
	{ 8, 0, 4, 0xffff0001, "longer" },
	{ 8, 0, 4, 0, "path" },
	{ 8, 4, 4, 2, "kind" },
	{ 8, 4, 4, 9, "kind" },
	{ 8, 4, 4, 16, "kind" },
	{ 8, 8, 4, 0x61746100, "path" },
	{ 8, 8, 4, 0x2f746164, "path" },
	{ 8, 8, 4, 0x6174612f, "path" },
	{ 8, 8, 4, 0x612f2f61, "path" },
	{ 8, 8, 4, 0x612e2e61, "path" },
};

static void test_content(void **state)
{
	const struct change *c;
	unsigned int i;

	(void)state;
	for (i = 0; i < pv_container_size(changes); i++) {
		c = &changes[i];
		good();
		assert_true(c->at + c->bytes <= (int)recs[c->rec].length);
		memcpy(recs[c->rec].body + c->at, &c->value, c->bytes);
		made_refused(c->rec, true, c->why);
	}
	drop_recs();
}

/* Shorter and longer than each may be, with right sums. */
static void test_length(void **state)
{
	static const struct {
		int rec;
		int64_t by; /* how much longer */
	} by[] = {
		{ 0, -1 },  { 0, 1 },	       { 0, 4096 },	{ 1, -22 }, { 1, 256 << 10 },
		{ 2, -32 }, { 2, -1 },	       { 2, 16 << 12 }, { 3, 1 },   { 4, -1 },
		{ 4, 1 },   { 4, 257 * 4104 }, { 5, -1 },	{ 5, -16 }, { 6, -6 },
		{ 7, -1 },  { 7, 256 * 16 },   { 8, -1 },	{ 8, 4 },   { 8, 1 << 20 },
	};
	unsigned int i;
	int k;

	(void)state;
	for (i = 0; i < pv_container_size(by); i++) {
		uint8_t *body;
		uint32_t length;

		good();
		k = by[i].rec;
		length = recs[k].length + by[i].by;
		body = calloc(1, length + recs[k].length + 1);
		memcpy(body, recs[k].body, recs[k].length < length ? recs[k].length : length);
		set(k, body, length);
		free(body);
		made_refused(k, true, NULL);
	}
	drop_recs();
}

/* More than any record has: refused before anything of it is read. */
static void test_too_long(void **state)
{
	static const uint32_t lengths[] = { PV_STREAM_MAX + 1, 0x7fffffff, 0xffffffff };
	static const uint32_t types[] = { PV_REC_HVM_CONTEXT, PV_REC_OPTIONAL | 5 };
	struct stream s;
	unsigned int i, t;
	char why[40];

	(void)state;
	good();
	put_all(&s, true);
	for (i = 0; i < 3; i++) {
		for (t = 0; t < 2; t++) {
			memcpy(s.bytes + s.at[6], &types[t], 4);
			memcpy(s.bytes + s.at[6] + 4, &lengths[i], 4);
			snprintf(why, sizeof(why), "its length is %u", lengths[i]);
			refused_at(s.bytes, s.size, 6, s.at[6], why);
		}
	}
	free(s.bytes);
	drop_recs();
}

/* Each of END's numbers is wrong alone: its own sum is right then. */
static void test_end(void **state)
{
	static const char *const why[] = { "number of records", "numbers of pages",
					   "numbers of pages", "numbers of pages",
					   "sum of the records' sums" };
	struct pv_err err;
	struct stream s;
	int n;

	(void)state;
	assert_int_equal(pv_container_size(why), sizeof(struct pv_stream_end) / 8);
	for (wrong_number = 0; wrong_number < (int)pv_container_size(why); wrong_number++) {
		good();
		made_refused(9, true, why[wrong_number]);
	}
	wrong_number = -1;
	good();
	put_all(&s, true);
	assert_int_equal(read_all(s.bytes, s.size, &n, &err), 0);
	free(s.bytes);
	drop_recs();
}

static void test_foreign(void **state)
{
	static const uint8_t libxc[40] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					   'X',	 'E',  'N',  'F',  0,	 0,    0,    3 };
	uint8_t nothing[4096] = { 0 };
	struct pv_err err;
	struct stream s;
	uint16_t newer = PV_STREAM_MAJOR + 1;
	int n;

	(void)state;
	assert_int_equal(read_all(libxc, sizeof(libxc), &n, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "image header: this is no saved domain of Pavise"));
	assert_int_equal(read_all(nothing, sizeof(nothing), &n, &err), -EOPNOTSUPP);
	assert_int_equal(read_all((const uint8_t *)"\x7f"
						   "ELF\2\1\1 short",
				  13, &n, &err),
			 -EOPNOTSUPP);
	good();
	put_all(&s, true);
	memcpy(s.bytes + offsetof(struct pv_stream_image_header, major), &newer, 2);
	assert_int_equal(read_all(s.bytes, s.size, &n, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "image header: version 2.1 is newer than 1.1"));
	free(s.bytes);
	drop_recs();
}

/* One that brings its connection along: what its back ends offered is in STORE, CONNECTION is behind that, once. */
static void test_connected(void **state)
{
	static const struct {
		const char *path, *value;
		uint32_t flags, length;
	} bad[] = {
		{ "data", "", 0, 0 },
		{ "backend", "", 0, 0 },
		{ "backend/vbd/51712/sectors", "8", PV_NODE_GUESTS, 1 },
		{ "backend/vbd/51712/sectors", "8", PV_NODE_WATCH, 1 },
		{ "backend/vbd/51712/sectors", "8\0000", 0, 3 },
	};
	uint8_t body[512];
	struct pv_err err;
	struct stream s;
	uint32_t i, size;
	int n;

	(void)state;
	options = PV_STREAM_CONNECTED;
	good();
	made_refused(8, true, "a node is none of a back end");
	good();
	free(recs[--nr_recs].body);
	size = 0;
	add_node(body, &size, "backend/vbd/51712/sectors", "8", 0);
	add_node(body, &size, "backend/vif/0/feature-sg", "1", 0);
	add(PV_REC_STORE, body, size);
	made_refused(9, true, "CONNECTION should be here");
	add(PV_REC_CONNECTION, "12345678", 8);
	put_all(&s, true);
	assert_int_equal(read_all(s.bytes, s.size, &n, &err), 0);
	assert_int_equal(n, 10);
	/* Which says both, that it had suspended itself and that it noticed nothing. */
	free(s.bytes);
	options = PV_STREAM_HOW;
	put_all(&s, true);
	assert_int_equal(read_all(s.bytes, s.size, &n, &err), -EOPNOTSUPP);
	free(s.bytes);
	options = PV_STREAM_DISKS << 1;
	put_all(&s, true);
	assert_int_equal(read_all(s.bytes, s.size, &n, &err), -EOPNOTSUPP);
	free(s.bytes);
	options = PV_STREAM_CONNECTED;
	add(PV_REC_CONNECTION, "12345678", 8);
	made_refused(10, true, "END should be here");
	free(recs[--nr_recs].body);
	recs[9].length = 7;
	made_refused(9, true, "its length is 7, and 8 to 4194304 is right");
	for (i = 0; i < pv_container_size(bad); i++) {
		struct pv_stream_node h = { strlen(bad[i].path), bad[i].length, bad[i].flags };

		while (nr_recs > 8)
			free(recs[--nr_recs].body);
		memset(body, 0, sizeof(body));
		memcpy(body, &h, sizeof(h));
		memcpy(body + sizeof(h), bad[i].path, h.path_length);
		memcpy(body + sizeof(h) + h.path_length, bad[i].value, h.value_length);
		add(PV_REC_STORE, body, (sizeof(h) + h.path_length + h.value_length + 7) & ~7u);
		made_refused(8, true, "a node is none of a back end");
	}
	/* Without the option there is no such record. */
	options = 0;
	good();
	add(PV_REC_CONNECTION, "12345678", 8);
	made_refused(9, true, "END should be here");
	options = PV_STREAM_SUSPENDED;
	drop_recs();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),	 cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_pipe),	 cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_cut),	 cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_moved),	 cmocka_unit_test(test_order),
		cmocka_unit_test(test_content),	 cmocka_unit_test(test_length),
		cmocka_unit_test(test_too_long), cmocka_unit_test(test_end),
		cmocka_unit_test(test_foreign),	 cmocka_unit_test(test_connected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
