// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unit tests of the ring: the guest's half is hostile, slow or half done.
 * Whatever is in the page, the daemon must not crash, spin or harm other connections.
 * Run under ASan: the page lies in its own allocation.
 */
#include "support.h"

static struct client *g;

static int setup_ring(void **state)
{
	setup(state);
	g = guest_new(3);
	xwrite(d0, 0, "/local/domain/3", "home");
	xperms(d0, 0, "/local/domain/3", "n3");
	return 0;
}

static void test_start(void **state)
{
	(void)state;
	assert_int_equal(g->ring->server_features, FEATURES_ALL);
	assert_int_equal(g->ring->connection, XENSTORE_CONNECTED);
	assert_int_equal(g->ring->error, XENSTORE_ERROR_NONE);
	assert_true(fake_notifies > 0);
	assert_int_equal(xread(g, 0, "/local/domain/3"), 0);
	assert_string_equal(g->rep.body, "home");
}

/* Requests and replies that do not end where the ring does, at every offset. */
static void test_wrap(void **state)
{
	char val[1500], path[64];

	(void)state;
	for (int i = 0; i < 1200; i++) {
		int n = i % 700;

		memset(val, 'a' + i % 26, (size_t)n);
		val[n] = 0;
		snprintf(path, sizeof(path), "/local/domain/3/w");
		assert_int_equal(xwrite(g, 0, path, val), 0);
		assert_int_equal(xread(g, 0, path), 0);
		assert_string_equal(g->rep.body, val);
	}
	/* indices run over 2^32 */
	g->ring->req_cons = g->ring->req_prod = 0xfffffff0u;
	g->ring->rsp_cons = g->ring->rsp_prod = 0xfffffff8u;
	assert_int_equal(xread(g, 0, "/local/domain/3/w"), 0);
	assert_string_equal(g->rep.body, val);
	assert_true(g->ring->req_prod < 1000);
}

/* A message larger than the ring, fed byte by byte. */
static void test_slow(void **state)
{
	struct xsd_sockmsg hdr = { .type = XS_WRITE, .req_id = 7, .len = 2000 };
	char body[2000];

	(void)state;
	memset(body, 'b', sizeof(body));
	strcpy(body, "/local/domain/3/s");
	for (size_t i = 0; i < sizeof(hdr); i++) {
		ring_put(g, (char *)&hdr + i, 1);
		run(g);
	}
	for (size_t i = 0; i < sizeof(body); i++) {
		ring_put(g, body + i, 1);
		run(g);
	}
	assert_int_equal(g->rep.hdr.req_id, 7);
	assert_int_equal(g->rep.hdr.type, XS_WRITE);
	assert_int_equal(xread(g, 0, "/local/domain/3/s"), 0);
	assert_int_equal(g->rep.hdr.len, 2000 - 18);
}

static void assert_dropped(uint32_t error)
{
	assert_int_equal(g->ring->error, error);
	assert_true(dom_find(3)->conn->failed);
	assert_true(LIST_EMPTY(&dom_find(3)->conn->watches));
	assert_true(LIST_EMPTY(&dom_find(3)->conn->txs));
	assert_int_equal(xread(d0, 0, "/local/domain/3"), 0);
	/* nothing more is done for it, whatever it says */
	g->ring->req_cons = 0;
	g->ring->req_prod = 16;
	run(g);
	assert_int_equal(g->ring->req_cons, 0);
}

/* XSA-38, XSA-420: indices further apart than the ring is long. */
static void test_xsa_38_request_index(void **state)
{
	(void)state;
	xwatch(g, "x", "t");
	xstart(g);
	g->ring->req_prod = g->ring->req_cons + XENSTORE_RING_SIZE + 1;
	run(g);
	assert_dropped(XENSTORE_ERROR_RINGIDX);
}

static void test_xsa_420_negative_index(void **state)
{
	(void)state;
	g->ring->req_prod = g->ring->req_cons - 1;
	run(g);
	assert_dropped(XENSTORE_ERROR_RINGIDX);
}

static void test_response_index(void **state)
{
	struct xsd_sockmsg hdr = { .type = XS_GET_DOMAIN_PATH, .len = 2 };

	(void)state;
	g->no_drain = true;
	ring_put(g, &hdr, sizeof(hdr));
	ring_put(g, "3", 2);
	g->ring->rsp_cons = g->ring->rsp_prod + 5;
	ring_event(dom_find(3)->conn);
	run(g);
	assert_dropped(XENSTORE_ERROR_RINGIDX);
}

static void test_oversize(void **state)
{
	struct xsd_sockmsg hdr = { .type = XS_WRITE, .len = XENSTORE_PAYLOAD_MAX + 1 };

	(void)state;
	ring_put(g, &hdr, sizeof(hdr));
	run(g);
	assert_dropped(XENSTORE_ERROR_PROTO);
}

/* The wrong header comes right behind a good request, in one go. */
static void test_oversize_second(void **state)
{
	struct xsd_sockmsg good = { .type = XS_GET_DOMAIN_PATH, .len = 2 };
	struct xsd_sockmsg bad = { .type = XS_WRITE, .len = 0xffffffffu };

	(void)state;
	ring_put(g, &good, sizeof(good));
	ring_put(g, "3", 2);
	ring_put(g, &bad, sizeof(bad));
	run(g);
	assert_dropped(XENSTORE_ERROR_PROTO);
}

static void test_reconnect(void **state)
{
	(void)state;
	xwatch(g, "x", "t");
	xstart(g);
	ring_put(g, "half a header", 5);
	run(g);
	g->ring->connection = XENSTORE_RECONNECT;
	run(g);
	assert_int_equal(g->ring->connection, XENSTORE_CONNECTED);
	assert_int_equal(g->ring->req_prod, 0);
	assert_int_equal(dom_find(3)->watches, 0);
	assert_int_equal(dom_find(3)->txs, 0);
	g->num_events = 0;
	assert_int_equal(xread(g, 0, "/local/domain/3"), 0);
	/* also out of the error */
	g->ring->req_prod = g->ring->req_cons + 5000;
	run(g);
	assert_int_equal(g->ring->error, XENSTORE_ERROR_RINGIDX);
	g->ring->connection = XENSTORE_RECONNECT;
	run(g);
	assert_int_equal(g->ring->error, XENSTORE_ERROR_NONE);
	assert_int_equal(xread(g, 0, "/local/domain/3"), 0);
}

/* Random bytes in the whole page, again and again. */
static void test_noise(void **state)
{
	(void)state;
	srand(7);
	g->no_drain = true;
	for (int round = 0; round < 3000; round++) {
		uint32_t *idx = &g->ring->req_cons;

		for (size_t i = 0; i < sizeof(g->ring->req); i++)
			g->ring->req[i] = (char)(rand() % 8 ? rand() % 24 : rand());
		for (int i = 0; i < 4; i++)
			if (rand() % 3)
				idx[i] = (uint32_t)rand() % (rand() % 2 ? 1100 : 0xffffffffu);
		if (rand() % 2)
			g->ring->connection = XENSTORE_RECONNECT;
		ring_event(dom_find(3)->conn);
		while (conn_run_all())
			;
	}
	g->len = 0;
	assert_int_equal(xread(d0, 0, "/local/domain/3"), 0);
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "check"), 0);
	assert_string_equal(d0->rep.body, "OK");
}

/* The domain goes while its ring is full of work. */
static void test_release_busy(void **state)
{
	struct xsd_sockmsg hdr = { .type = XS_GET_DOMAIN_PATH, .len = 2 };

	(void)state;
	for (int i = 0; i < 20; i++) {
		ring_put(g, &hdr, sizeof(hdr));
		ring_put(g, "3", 2);
	}
	ring_event(dom_find(3)->conn);
	assert_int_equal(xpath(d0, XS_RELEASE, 0, "3"), 0);
	assert_null(dom_find(3));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_ring, teardown)

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_start),
		T(test_wrap),
		T(test_slow),
		T(test_xsa_38_request_index),
		T(test_xsa_420_negative_index),
		T(test_response_index),
		T(test_oversize),
		T(test_oversize_second),
		T(test_reconnect),
		T(test_noise),
		T(test_release_busy),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
