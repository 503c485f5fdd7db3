// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packed pages in the stream of a saved domain: what was put in comes out, in less, and frames that say or hold anything else are
 * refused, however right their sums are, and take no memory.
 */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <zstd.h>

#include <pavise.h>
#include <pvstream.h>

#define N PV_STREAM_BATCH
#define FIRST 0x80000

static uint8_t page[N][PV_PAGE_SIZE];
static uint64_t gfn[N];
static uint8_t kind[N];

static void put(struct pv_stream_out *o, uint32_t type, const void *body, size_t length)
{
	struct iovec v = { (void *)body, length };

	assert_int_equal(pv_stream_put(o, type, &v, 1, NULL), 0);
}

/* All that stands before pages. */
static int begin(struct pv_stream_out *o, uint32_t options)
{
	const struct pv_stream_host host = { .timebase = 10000000 };
	const struct pv_stream_run map = { FIRST, N };
	int fd = memfd_create("packed", 0);

	assert_int_equal(pv_stream_begin(o, fd, options, 4, 17, NULL), 0);
	put(o, PV_REC_HOST, &host, sizeof(host));
	put(o, PV_REC_CONFIG, "name = \"g\"\n", 11);
	put(o, PV_REC_MEMORY_MAP, &map, sizeof(map));
	put(o, PV_REC_STATIC_DATA_END, NULL, 0);
	return fd;
}

static void end(struct pv_stream_out *o)
{
	put(o, PV_REC_HVM_CONTEXT, "01234567", 8);
	put(o, PV_REC_HVM_PARAMS, NULL, 0);
	put(o, PV_REC_STORE, NULL, 0);
	assert_int_equal(pv_stream_put_end(o, NULL), 0);
	pv_stream_finish(o);
}

/* The first PAGE_DATA of it, and whether the stream is right to its end. */
static int read_pages(int fd, struct pv_stream_in *in, struct pv_record *r, struct pv_err *err)
{
	int rc;

	lseek(fd, 0, SEEK_SET);
	memset(err, 0, sizeof(*err));
	rc = pv_stream_open(in, fd, err);
	do
		rc = rc ? rc : pv_stream_next(in, r, err);
	while (rc == 1 && r->type != PV_REC_PAGE_DATA && (rc = 0, true));
	return rc;
}

static int rest(struct pv_stream_in *in, struct pv_err *err)
{
	struct pv_record r;
	int rc;

	while ((rc = pv_stream_next(in, &r, err)) == 1)
		;
	return rc ? rc : pv_stream_at_end(in, err);
}

static void fill(unsigned int random_pages)
{
	unsigned int i;

	for (i = 0; i < N; i++) {
		gfn[i] = FIRST + i;
		kind[i] = i % 3 == 1 ? PV_STREAM_ZERO : PV_STREAM_DATA;
		memset(page[i], i, PV_PAGE_SIZE);
		if (i < random_pages)
			assert_int_equal(getrandom(page[i], PV_PAGE_SIZE, 0), PV_PAGE_SIZE);
	}
}

/* Those pages come out as they went in. Returns the stream's length. */
static uint64_t round_trip(uint32_t options, unsigned int n)
{
	uint64_t gfns[N];
	uint8_t kinds[N];
	const uint8_t *data;
	struct pv_stream_out o;
	struct pv_stream_in in;
	struct pv_err err = { "" };
	struct pv_record r;
	int fd = begin(&o, options);
	unsigned int i;
	uint64_t bytes;

	assert_int_equal(pv_stream_put_pages(&o, gfn, kind, n, page, &err), 0);
	bytes = o.bytes;
	end(&o);
	assert_int_equal(read_pages(fd, &in, &r, &err), 1);
	assert_int_equal(pv_stream_pages(&r, gfns, kinds, &data), n);
	assert_memory_equal(gfns, gfn, n * sizeof(*gfns));
	assert_memory_equal(kinds, kind, n);
	assert_int_equal((uintptr_t)r.body % 8, 0);
	for (i = 0; i < n; i++) {
		if (kind[i] != PV_STREAM_DATA)
			continue;
		assert_memory_equal(data, page[i], PV_PAGE_SIZE);
		data += PV_PAGE_SIZE;
	}
	assert_ptr_equal(data, r.body + r.length);
	assert_int_equal(rest(&in, &err), 0);
	pv_stream_close(&in);
	close(fd);
	return bytes;
}

static void test_round(void **state)
{
	static const unsigned int numbers[] = { 1, 2, 3, 100, N };
	unsigned int i;

	(void)state;
	for (i = 0; i < pv_container_size(numbers); i++) {
		fill(0);
		assert_true(round_trip(PV_STREAM_PACKED, numbers[i]) * 4 <
			    round_trip(0, numbers[i]));
		/* What cannot become shorter goes as it is. */
		fill(N);
		assert_int_equal(round_trip(PV_STREAM_PACKED, numbers[i]),
				 round_trip(0, numbers[i]));
	}
	fill(N / 2);
	round_trip(PV_STREAM_PACKED | PV_STREAM_SUSPENDED, N);
}

/* A stream with this in the place of a PAGE_PACKED is refused with these words. */
static void refused(uint32_t options, const void *body, size_t length, const char *why)
{
	struct pv_stream_out o;
	struct pv_stream_in in;
	struct pv_err err = { "" };
	struct pv_record r;
	int fd = begin(&o, options);

	put(&o, PV_REC_PAGE_PACKED, body, length);
	end(&o);
	assert_int_equal(read_pages(fd, &in, &r, &err), -EBADMSG);
	if (!strstr(err.text, why) || !strstr(err.text, "record 4 (PAGE_PACKED, type 0x106"))
		fail_msg("'%s' should say '%s'", err.text, why);
	assert_true(in.room <= PV_STREAM_MAX);
	pv_stream_close(&in);
	close(fd);
}

static uint8_t body[2 * PV_STREAM_PAGES_MAX], frame[2 * PV_STREAM_PAGES_MAX];

/* @n pages of kind ZERO as a PAGE_DATA's body. Its length. */
static size_t zero_pages(unsigned int n, uint64_t first)
{
	struct pv_stream_pages head = { .count = n };
	uint64_t w;
	unsigned int i;

	memset(body, 0, sizeof(body));
	memcpy(body, &head, sizeof(head));
	for (i = 0; i < n; i++) {
		w = (first + i) | (uint64_t)PV_STREAM_ZERO << PV_STREAM_KIND;
		memcpy(body + sizeof(head) + 8 * i, &w, 8);
	}
	return sizeof(head) + 8 * n;
}

static size_t pack(size_t n)
{
	size_t got = ZSTD_compress(frame, sizeof(frame), body, n, 3);

	assert_false(ZSTD_isError(got));
	return got;
}

static void test_frames(void **state)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t n, i;

	(void)state;
	n = pack(zero_pages(N, FIRST));
	refused(0, frame, n, "the stream says that it has none of them");
	for (i = 9; i < n; i++)
		refused(PV_STREAM_PACKED, frame, i, "it cannot be unpacked");
	/* Something behind it: a byte, and another frame. */
	frame[n] = 0;
	refused(PV_STREAM_PACKED, frame, n + 1, "it cannot be unpacked");
	memcpy(frame + n, frame, n);
	refused(PV_STREAM_PACKED, frame, 2 * n, "it cannot be unpacked");
	/* None at all, one that may be skipped, and a magic with nothing. */
	memset(frame, 0xff, 64);
	refused(PV_STREAM_PACKED, frame, 64, "it cannot be unpacked");
	memcpy(frame, "\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
	refused(PV_STREAM_PACKED, frame, 12, "it cannot be unpacked");
	/* It does not say how much is in it. */
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(c, frame, sizeof(frame), body, zero_pages(N, FIRST));
	assert_false(ZSTD_isError(n));
	refused(PV_STREAM_PACKED, frame, n, "it cannot be unpacked");
	ZSTD_freeCCtx(c);
	/* More than any has, and much more. */
	memset(body, 0, sizeof(body));
	refused(PV_STREAM_PACKED, frame, pack(PV_STREAM_PAGES_MAX + 1), "it cannot be unpacked");
	refused(PV_STREAM_PACKED, frame, pack(sizeof(body)), "it cannot be unpacked");
	/* Less than any has. */
	refused(PV_STREAM_PACKED, frame, pack(0), "it cannot be unpacked");
	zero_pages(1, FIRST);
	refused(PV_STREAM_PACKED, frame, pack(15), "it cannot be unpacked");
}

/* What comes out is looked at as any other. */
static void test_content(void **state)
{
	size_t n;

	(void)state;
	n = zero_pages(N, FIRST);
	refused(PV_STREAM_PACKED, frame, pack(n - 8), "number of pages");
	refused(PV_STREAM_PACKED, frame, pack(n + 8), "length");
	refused(PV_STREAM_PACKED, frame, pack(PV_STREAM_PAGES_MAX), "length");
	n = zero_pages(N, FIRST + 1);
	refused(PV_STREAM_PACKED, frame, pack(n), "not in the memory map");
	n = zero_pages(2, FIRST);
	body[8 + 7] = 0x30;
	refused(PV_STREAM_PACKED, frame, pack(n), "kind");
}

/* Every bit of a frame, with right sums: it is refused, or what comes is looked at. */
static void test_flipped(void **state)
{
	struct pv_stream_out o;
	struct pv_stream_in in;
	struct pv_err err;
	struct pv_record r;
	size_t n, bit;
	int fd;

	(void)state;
	n = pack(zero_pages(N, FIRST));
	for (bit = 0; bit < n * 8; bit++) {
		frame[bit / 8] ^= 1 << bit % 8;
		fd = begin(&o, PV_STREAM_PACKED);
		put(&o, PV_REC_PAGE_PACKED, frame, n);
		end(&o);
		if (read_pages(fd, &in, &r, &err) == 1)
			assert_true(r.length >= 16 && r.length <= PV_STREAM_PAGES_MAX);
		pv_stream_close(&in);
		close(fd);
		frame[bit / 8] ^= 1 << bit % 8;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_flipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
