// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unit tests of fair service: guests that flood, hold on to things or get in dom0's way.
 * Latency is counted in requests that others are served meanwhile, time is clock_ms, which the test
 * sets: no result depends on how fast this machine is.
 */
#include "support.h"

#define FLOODERS 12
#define TURN 8 /* requests of one connection's turn, see TURN_REQUESTS */

static struct client *flood[FLOODERS], *g;

static int setup_flood(void **state)
{
	char path[32], perms[16];

	setup(state);
	clock_ms = 1000000;
	for (unsigned int i = 0; i < FLOODERS; i++) {
		flood[i] = guest_new(10 + i);
		flood[i]->no_drain = true;
		snprintf(path, sizeof(path), "/f/%u", 10 + i);
		snprintf(perms, sizeof(perms), "n%u", 10 + i);
		xwrite(d0, 0, path, "");
		xperms(d0, 0, path, perms);
	}
	g = guest_new(3);
	xwrite(d0, 0, "/g", "");
	xperms(d0, 0, "/g", "n3");
	return 0;
}

/* Fills a guest's ring with a request, again and again, and takes all that was answered. */
static void fill(struct client *cl, uint32_t type, const char *body, size_t len)
{
	struct xsd_sockmsg hdr = { .type = type, .len = (uint32_t)len };
	char msg[256];

	memcpy(msg, &hdr, sizeof(hdr));
	memcpy(msg + sizeof(hdr), body, len);
	len += sizeof(hdr);
	cl->ring->rsp_cons = cl->ring->rsp_prod;
	while (XENSTORE_RING_SIZE - (cl->ring->req_prod - cl->ring->req_cons) >= len)
		for (size_t i = 0; i < len; i++)
			cl->ring->req[MASK_XENSTORE_IDX(cl->ring->req_prod++)] = msg[i];
	if (dom_find(cl->domid)->conn)
		ring_event(dom_find(cl->domid)->conn);
}

static void flood_round(void)
{
	for (unsigned int i = 0; i < FLOODERS; i++)
		fill(flood[i], XS_READ, "/f", 3);
	conn_run_all();
}

static uint64_t served_flooders(void)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < FLOODERS; i++)
		n += dom_find(10 + i)->conn->requests;
	return n;
}

/* Everybody floods all the time: how much of that comes before one request of somebody else? */
static void test_latency(void **state)
{
	struct xsd_sockmsg hdr = { .type = XS_READ, .len = 3 };
	struct conn *c = dom_find(3)->conn;
	uint64_t before, mine, worst = 0;

	(void)state;
	g->no_drain = true;
	for (int i = 0; i < 100; i++)
		flood_round();
	for (int i = 0; i < 500; i++) {
		g->ring->rsp_cons = g->ring->rsp_prod;
		ring_put(g, &hdr, sizeof(hdr));
		ring_put(g, "/g", 3);
		ring_event(c);
		before = served_flooders();
		mine = c->requests;
		while (c->requests == mine)
			flood_round();
		if (served_flooders() - before > worst)
			worst = served_flooders() - before;
	}
	/* one turn of each, and not more */
	assert_true(worst <= FLOODERS * TURN);
	assert_true(worst > 0);
}

/* The flooders' own shares are the same, whatever they ask for. */
static void test_equal_shares(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (int round = 0; round < 500; round++) {
		for (unsigned int i = 0; i < FLOODERS; i++) {
			if (i % 3 == 0)
				fill(flood[i], XS_READ, "/f", 3);
			else if (i % 3 == 1)
				fill(flood[i], XS_GET_DOMAIN_PATH, "3", 2);
			else
				fill(flood[i], 99, "", 0);
		}
		conn_run_all();
	}
	for (unsigned int i = 0; i < FLOODERS; i++) {
		uint64_t n = dom_find(10 + i)->conn->requests;

		least = n < least ? n : least;
		most = n > most ? n : most;
	}
	assert_true(least >= 500);
	assert_true(most - least <= TURN);
}

/* What a guest does that does not take its replies and events costs others nothing. */
static void test_lazy_does_not_delay(void **state)
{
	struct conn *c = dom_find(3)->conn;
	uint64_t mine;

	(void)state;
	for (unsigned int i = 0; i < FLOODERS; i++)
		fill(flood[i], XS_GET_DOMAIN_PATH, "3", 2);
	while (conn_run_all())
		;
	for (int i = 0; i < 100; i++) {
		uint64_t before = served_flooders();

		for (unsigned int k = 0; k < FLOODERS; k++)
			ring_event(dom_find(10 + k)->conn);
		mine = c->requests;
		assert_int_equal(xread(g, 0, "/g"), 0);
		assert_int_equal(c->requests, mine + 1);
		assert_int_equal(served_flooders(), before);
	}
}

/*
 * XSA-206: a guest that changes its nodes without end makes dom0's transactions there fail. It is
 * held back until dom0 got through.
 */
static void test_xsa_206_writer(void **state)
{
	static const char body[] = "/f/10/x\0v";
	struct conn *c = dom_find(10)->conn;
	uint32_t t;
	int tries, err, after;

	(void)state;
	for (after = 0; after < 5; after++) {
		for (tries = 1; tries < 20; tries++) {
			t = xstart(d0);
			assert_int_equal(xpath(d0, XS_DIRECTORY, t, "/f"), 0);
			/* 3 ms pass while dom0 works, and the guest never rests */
			for (int i = 0; i < 3; i++) {
				clock_ms++;
				conn_timers();
				fill(flood[0], XS_WRITE, body, sizeof(body) - 1);
				conn_run_all();
			}
			assert_int_equal(xpath(d0, XS_RM, t, "/f/10/x"), 0);
			assert_int_equal(xwrite(d0, t, "/done", ""), 0);
			fill(flood[0], XS_WRITE, body, sizeof(body) - 1);
			conn_run_all();
			err = xend(d0, t, true);
			if (!err)
				break;
			assert_int_equal(err, -EAGAIN);
			assert_true(c->held > clock_ms);
		}
		assert_int_equal(err, 0);
		assert_true(tries <= 3);
		/* and the guest goes on when its time has come */
		uint64_t n = c->requests;

		assert_true(conn_timers() > 0);
		clock_ms += 20;
		conn_timers();
		assert_int_equal(c->held, 0);
		fill(flood[0], XS_WRITE, body, sizeof(body) - 1);
		conn_run_all();
		assert_true(c->requests > n);
	}
}

/* A guest cannot have others held back: only what makes dom0 fail counts. */
static void test_guest_holds_nobody(void **state)
{
	uint32_t t;

	(void)state;
	xperms(d0, 0, "/f/10", "n10 r3");
	t = xstart(g);
	assert_int_equal(xread(g, t, "/f/10"), 0);
	flood[0]->no_drain = false;
	assert_int_equal(xwrite(flood[0], 0, "/f/10", "other"), 0);
	assert_int_equal(xwrite(g, t, "/g/x", "1"), 0);
	assert_int_equal(xend(g, t, true), -EAGAIN);
	assert_int_equal(dom_find(10)->conn->held, 0);
	/* nor does dom0 hold itself */
	t = xstart(d0);
	xread(d0, t, "/g");
	xwrite(d0, 0, "/g", "new");
	xwrite(d0, t, "/h", "");
	assert_int_equal(xend(d0, t, true), -EAGAIN);
	assert_int_equal(conn_timers() >= 0, 1); /* only the guest's transaction time */
	assert_int_equal(dom_find(3)->conn->held, 0);
}

/* A longer row of failures holds longer, up to a bound; success starts anew. */
static void test_hold_grows(void **state)
{
	struct conn *c = dom_find(10)->conn;
	uint64_t last = 0;
	uint32_t t;

	(void)state;
	flood[0]->no_drain = false;
	for (int i = 0; i < 12; i++) {
		clock_ms += 100000;
		conn_timers();
		t = xstart(d0);
		xread(d0, t, "/f/10");
		assert_int_equal(xwrite(flood[0], 0, "/f/10", "again"), 0);
		xwrite(d0, t, "/h", "");
		assert_int_equal(xend(d0, t, true), -EAGAIN);
		assert_true(c->held - clock_ms >= last);
		last = c->held - clock_ms;
		assert_true(last <= 6000);
	}
	assert_true(last >= 1000);
	clock_ms += 100000;
	conn_timers();
	t = xstart(d0);
	xwrite(d0, t, "/h", "");
	assert_int_equal(xend(d0, t, true), 0);
	assert_int_equal(d0->c->lost, 0);
}

/* A transaction that stays open for too long lets go of its old store, and ends in EAGAIN. */
static void test_transaction_time(void **state)
{
	long mem = dom_find(3)->mem;
	uint32_t t, u, d;

	(void)state;
	t = xstart(g);
	assert_int_equal(xwrite(g, t, "/g/a", "1"), 0);
	assert_true(dom_find(3)->mem > mem);
	d = xstart(d0);
	clock_ms += 30000;
	u = xstart(g);
	assert_int_equal(conn_timers(), 30000);
	clock_ms += 29999;
	conn_timers();
	assert_int_equal(xread(g, t, "/g/a"), 0);
	clock_ms += 1;
	conn_timers();
	assert_int_equal(xread(g, t, "/g/a"), -EAGAIN);
	assert_int_equal(xwrite(g, t, "/g/b", "1"), -EAGAIN);
	assert_int_equal(dom_find(3)->mem, mem);
	assert_int_equal(xread(g, u, "/g"), 0);
	/* its number is still its own, and counts, until it is ended */
	assert_int_equal(dom_find(3)->txs, 2);
	assert_int_equal(xend(g, t, true), -EAGAIN);
	assert_int_equal(xend(g, t, true), -ENOENT);
	assert_int_equal(xread(g, 0, "/g/a"), -ENOENT);
	clock_ms += 1000000;
	conn_timers();
	assert_int_equal(xend(g, u, false), 0);
	assert_int_equal(dom_find(3)->txs, 0);
	/* dom0's tools may take their time */
	assert_int_equal(xwrite(d0, d, "/late", "1"), 0);
	assert_int_equal(xend(d0, d, true), 0);
	assert_int_equal(conn_timers(), -1);
}

static void test_transaction_time_set(void **state)
{
	uint32_t t;

	(void)state;
	t = xstart(g);
	clock_ms += 2000;
	conn_timers();
	assert_int_equal(xread(g, t, "/g"), 0);
	assert_int_equal(request(d0, XS_SET_QUOTA_, 0,
				 "3\0transaction-time\0"
				 "1",
				 21),
			 0);
	conn_timers();
	assert_int_equal(xread(g, t, "/g"), -EAGAIN);
	assert_int_equal(xend(g, t, false), 0);
	/* 0: no limit */
	assert_int_equal(request(d0, XS_SET_QUOTA_, 0,
				 "3\0transaction-time\0"
				 "0",
				 21),
			 0);
	t = xstart(g);
	clock_ms += 1000000000;
	conn_timers();
	assert_int_equal(xread(g, t, "/g"), 0);
	assert_int_equal(xend(g, t, true), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_flood, teardown)

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_latency),
		T(test_equal_shares),
		T(test_lazy_does_not_delay),
		T(test_xsa_206_writer),
		T(test_guest_holds_nobody),
		T(test_hold_grows),
		T(test_transaction_time),
		T(test_transaction_time_set),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
