// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unit tests of quotas: a guest at its limit gets the right error, and others do not notice.
 * Each quota is also set at run time, for one domain.
 * Tests called xsa_* are named after the advisory whose mistake they look for.
 */
#include "support.h"

static struct client *g, *other;

static int setup_guests(void **state)
{
	setup(state);
	g = guest_new(3);
	other = guest_new(4);
	xwrite(d0, 0, "/g", "");
	xperms(d0, 0, "/g", "n3");
	xwrite(d0, 0, "/o", "");
	xperms(d0, 0, "/o", "n4");
	return 0;
}

static void limit(const char *quota, const char *val)
{
	char body[64];
	int n = sprintf(body, "3%c%s%c%s", 0, quota, 0, val) + 1;

	assert_int_equal(request(d0, XS_SET_QUOTA_, 0, body, (size_t)n), 0);
	assert_int_equal(request(d0, XS_GET_QUOTA_, 0, body, strlen(quota) + 3), 0);
	assert_string_equal(d0->rep.body, val);
}

static void test_nodes(void **state)
{
	(void)state;
	limit("nodes", "4");
	assert_int_equal(xwrite(g, 0, "/g/1", ""), 0);
	assert_int_equal(xwrite(g, 0, "/g/2/3/4", ""), -ENOSPC); /* parents count */
	assert_int_equal(xread(d0, 0, "/g/2"), -ENOENT);
	assert_int_equal(xwrite(g, 0, "/g/2/3", ""), 0);
	assert_int_equal(xwrite(g, 0, "/g/5", ""), -ENOSPC);
	assert_int_equal(xpath(g, XS_MKDIR, 0, "/g/5"), -ENOSPC);
	assert_int_equal(xwrite(g, 0, "/g/1", "again"), 0);
	assert_int_equal(xwrite(other, 0, "/o/1", ""), 0);
	assert_int_equal(xwrite(d0, 0, "/g/by-dom0", ""), 0);
	assert_int_equal(xpath(g, XS_RM, 0, "/g/2"), 0);
	assert_int_equal(xwrite(g, 0, "/g/5", ""), 0);
}

static void test_node_size(void **state)
{
	static char big[2100];

	(void)state;
	memset(big, 'v', sizeof(big) - 1);
	assert_int_equal(xwrite(g, 0, "/g/x", big), -ENOSPC);
	assert_int_equal(xwrite(d0, 0, "/g/x", big), 0);
	big[2048] = 0;
	assert_int_equal(xwrite(g, 0, "/g/x", big), 0);
	limit("node-size", "10");
	assert_int_equal(xwrite(g, 0, "/g/x", "0123456789"), 0);
	assert_int_equal(xwrite(g, 0, "/g/x", "0123456789a"), -ENOSPC);
	assert_int_equal(xwrite(other, 0, "/o/x", "0123456789a"), 0);
}

static void test_watches(void **state)
{
	(void)state;
	limit("watches", "2");
	assert_int_equal(xwatch(g, "/g", "1"), 0);
	assert_int_equal(xwatch(g, "/g", "2"), 0);
	assert_int_equal(xwatch(g, "/g", "3"), -E2BIG);
	assert_int_equal(xwatch(other, "/o", "1"), 0);
	assert_int_equal(request(g, XS_UNWATCH, 0,
				 "/g\0"
				 "1",
				 5),
			 0);
	assert_int_equal(xwatch(g, "/g", "3"), 0);
}

/* XSA-206: open transactions are limited. */
static void test_xsa_206_transactions(void **state)
{
	uint32_t t = 0;

	(void)state;
	for (int i = 0; i < 10; i++)
		t = xstart(g);
	assert_int_equal(xpath(g, XS_TRANSACTION_START, 0, ""), -ENOSPC);
	xstart(other);
	xend(g, t, false);
	t = xstart(g);
	limit("transactions", "9");
	xend(g, t, false);
	assert_int_equal(xpath(g, XS_TRANSACTION_START, 0, ""), -ENOSPC);
	for (int i = 1; i < 10; i++)
		xstart(other);
	assert_int_equal(xpath(other, XS_TRANSACTION_START, 0, ""), -ENOSPC);
}

static void test_transaction_nodes(void **state)
{
	char path[32];
	uint32_t t;
	int err = 0, i;

	(void)state;
	limit("transaction-nodes", "20");
	t = xstart(g);
	for (i = 0; i < 100 && !err; i++) {
		snprintf(path, sizeof(path), "/g/%d", i);
		err = xread(g, t, path);
		if (err == -ENOENT)
			err = 0;
	}
	assert_int_equal(err, -ENOSPC);
	assert_true(i < 25);
	assert_int_equal(xend(g, t, false), 0);
	t = xstart(other);
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/o/%d", i);
		assert_int_equal(xread(other, t, path), -ENOENT);
	}
	assert_int_equal(xend(other, t, true), 0);
}

/* XSA-421: several transactions, each within the quota, may not pass it together. */
static void test_xsa_421_transactions_together(void **state)
{
	uint32_t t, u;

	(void)state;
	limit("nodes", "4");
	t = xstart(g);
	u = xstart(g);
	assert_int_equal(xwrite(g, t, "/g/t1", ""), 0);
	assert_int_equal(xwrite(g, t, "/g/t2", ""), 0);
	assert_int_equal(xwrite(g, t, "/g/t3", ""), 0);
	assert_int_equal(xwrite(g, t, "/g/t4", ""), -ENOSPC);
	assert_int_equal(xwrite(g, u, "/g/u1", ""), 0);
	assert_int_equal(xwrite(g, u, "/g/u2", ""), 0);
	assert_int_equal(xend(g, t, true), 0);
	assert_int_equal(xend(g, u, true), -ENOSPC);
	assert_int_equal(dom_find(3)->nodes, 4);
}

static void test_permissions(void **state)
{
	(void)state;
	assert_int_equal(xperms(g, 0, "/g", "n3 r1 r2 r4 r5"), 0);
	assert_int_equal(xperms(g, 0, "/g", "n3 r1 r2 r4 r5 r6"), -ENOSPC);
	assert_int_equal(xperms(d0, 0, "/g", "n3 r1 r2 r4 r5 r6"), 0);
	limit("node-permissions", "1");
	assert_int_equal(xperms(g, 0, "/g", "n3 r1"), -ENOSPC);
	assert_int_equal(xperms(other, 0, "/o", "n4 r1"), 0);
}

static void test_path_length(void **state)
{
	(void)state;
	xwrite(d0, 0, "/local/domain/3", "");
	xperms(d0, 0, "/local/domain/3", "n3");
	limit("path-max", "10");
	assert_int_equal(xwrite(g, 0, "/g/3456789", ""), 0);
	assert_int_equal(xwrite(g, 0, "/g/3456789a", ""), -EINVAL);
	/* home does not count */
	assert_int_equal(xwrite(g, 0, "0123456789", ""), 0);
	assert_int_equal(xwrite(g, 0, "0123456789a", ""), -EINVAL);
	assert_int_equal(xwatch(g, "0123456789a", ""), -EINVAL);
	assert_int_equal(xwrite(other, 0, "/o/3456789a", ""), 0);
}

/* XSA-326: whatever a guest does, the memory that it makes us hold is bounded. */
static void test_xsa_326_memory(void **state)
{
	static char big[2049];
	char path[32];
	int err = 0;
	uint32_t t;

	(void)state;
	memset(big, 'v', sizeof(big) - 1);
	limit("memory", "100000");
	for (int i = 0; i < 900 && !err; i++) {
		snprintf(path, sizeof(path), "/g/%d", i);
		err = xwrite(g, 0, path, big);
	}
	assert_int_equal(err, -ENOMEM);
	assert_true(dom_find(3)->mem <= 100000);
	assert_int_equal(xwrite(other, 0, "/o/x", big), 0);
	xpath(g, XS_RM, 0, "/g/1");
	/* a transaction's writes count while it is open */
	t = xstart(g);
	err = 0;
	for (int i = 0; i < 200 && !err; i++)
		err = xwrite(g, t, "/g/0", big);
	assert_int_equal(err, -ENOMEM);
	xend(g, t, false);
	assert_int_equal(xwrite(g, 0, "/g/1", "x"), 0);
}

/*
 * A guest that takes no events: they are bounded, and folded into one per watch when it takes them
 * again.
 */
static void test_xsa_326_events(void **state)
{
	char path[32];

	(void)state;
	limit("events", "50");
	xperms(d0, 0, "/g", "n3 r4");
	assert_int_equal(xwatch(other, "/g", "o"), 0);
	assert_int_equal(xwatch(g, "/g", "tok"), 0);
	expect_events(g, "/g:tok");
	other->num_events = 0;
	g->no_drain = true;
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/g/%d", i);
		xwrite(d0, 0, path, "x");
		run(other);
	}
	/* who watches the same and takes his events gets each of them */
	assert_int_equal(other->num_events, 5000);
	assert_true(dom_find(3)->conn->out_events <= 50);
	assert_true(dom_find(3)->conn->overflow);
	g->no_drain = false;
	run(g);
	assert_false(dom_find(3)->conn->overflow);
	assert_true(g->num_events >= 50 && g->num_events < 120);
	/* the last one says: something on or below /g has changed */
	g->num_events = 0;
	xwrite(d0, 0, "/g/5", "y");
	expect_events(g, "/g/5:tok");
}

/* As many requests as the daemon takes from one who takes no replies. How many that were. */
static unsigned int flood(struct client *cl)
{
	struct xsd_sockmsg hdr = { .type = XS_GET_DOMAIN_PATH, .len = 2 };
	struct xenstore_domain_interface *r = cl->ring;
	unsigned int n = 0;

	cl->no_drain = true;
	while (n < 1000) {
		while (r->req_prod - r->req_cons <= XENSTORE_RING_SIZE - sizeof(hdr) - hdr.len) {
			ring_put(cl, &hdr, sizeof(hdr));
			ring_put(cl, "3", 2);
			n++;
		}
		ring_event(dom_find(cl->domid)->conn);
		while (conn_run_all())
			;
		if (r->req_prod - r->req_cons > XENSTORE_RING_SIZE - sizeof(hdr) - hdr.len)
			break;
	}
	return n;
}

/* A guest that takes no replies: we stop to read its requests, and go on when it takes them. */
static void test_outstanding(void **state)
{
	struct conn *c = dom_find(3)->conn;
	unsigned int n;

	(void)state;
	limit("outstanding", "3");
	n = flood(g);
	assert_true(n < 200);
	assert_int_equal(c->out_replies, 3);
	flood(other);
	assert_int_equal(dom_find(4)->conn->out_replies, 20);
	assert_int_equal(xread(d0, 0, "/o"), 0);
	g->no_drain = other->no_drain = false;
	run(g);
	assert_int_equal(c->out_replies, 0);
	assert_int_equal(c->requests, n);
	run(other);
	assert_int_equal(dom_find(4)->conn->out_replies, 0);
	g->len = other->len = 0;
}

/* A flooding guest gets a bounded share of each round. */
static void test_fair(void **state)
{
	struct xsd_sockmsg hdr = { .type = XS_GET_DOMAIN_PATH, .len = 2 };
	struct conn *c = dom_find(3)->conn;
	uint64_t before = c->requests;

	(void)state;
	for (int i = 0; i < 40; i++) {
		memcpy(g->ring->req + i * 18, &hdr, sizeof(hdr));
		memcpy(g->ring->req + i * 18 + 16, "3", 2);
	}
	g->ring->req_prod = g->ring->req_cons + 40 * 18;
	memmove(g->ring->req, g->ring->req, 1);
	ring_event(c);
	conn_run_all();
	assert_true(c->requests - before <= 8);
	run(g);
	assert_int_equal(c->requests - before, 40);
}

static void test_settings(void **state)
{
	(void)state;
	assert_int_equal(xpath(d0, XS_GET_QUOTA_, 0, ""), 0);
	assert_non_null(strstr(d0->rep.body, "transaction-nodes"));
	assert_int_equal(xpath(d0, XS_GET_QUOTA_, 0, "nodes"), 0);
	assert_string_equal(d0->rep.body, "1000");
	assert_int_equal(xpath(d0, XS_GET_QUOTA_, 0, "nope"), -EINVAL);
	fake_infos = 0;
	assert_int_equal(request(d0, XS_GET_QUOTA_, 0, "9\0nodes", 8), -ENOENT);
	assert_int_equal(request(d0, XS_SET_QUOTA_, 0,
				 "9\0nodes\0"
				 "1",
				 10),
			 -ENOENT);
	fake_infos = -1;
	assert_int_equal(request(d0, XS_SET_QUOTA_, 0, "nodes\0x", 8), -EINVAL);
	assert_int_equal(request(d0, XS_CONTROL, 0,
				 "quota-set\0"
				 "3\0nodes\0"
				 "7",
				 20),
			 0);
	assert_int_equal(request(d0, XS_GET_QUOTA_, 0, "3\0nodes", 8), 0);
	assert_string_equal(d0->rep.body, "7");
	assert_int_equal(request(d0, XS_CONTROL, 0,
				 "quota-set\0"
				 "3\0nope\0"
				 "7",
				 19),
			 -EINVAL);
	/* the protocol's name for node-permissions */
	assert_int_equal(request(d0, XS_SET_QUOTA_, 0,
				 "3\0permissions\0"
				 "2",
				 16),
			 0);
	assert_int_equal(xperms(g, 0, "/g", "n3 r1 r2"), -ENOSPC);
}

/* 0 switches a quota off. */
static void test_disabled(void **state)
{
	static char big[3000];
	char path[32];

	(void)state;
	memset(big, 'v', sizeof(big) - 1);
	for (int q = 0; q < Q_MAX; q++)
		limit(quota_info[q].name, "0");
	for (int i = 0; i < 1100; i++) {
		snprintf(path, sizeof(path), "/g/%d", i);
		assert_int_equal(xwrite(g, 0, path, big), 0);
	}
	for (int i = 0; i < 200; i++) {
		snprintf(path, sizeof(path), "/g/%d", i);
		assert_int_equal(xwatch(g, path, "t"), 0);
	}
	for (int i = 0; i < 20; i++)
		xstart(g);
	assert_int_equal(xperms(g, 0, "/g", "n3 r1 r2 r4 r5 r6 r7 r8"), 0);
	assert_int_equal(xwrite(other, 0, "/o/x", big), -ENOSPC);
}

/* New defaults are for domains to come. */
static void test_defaults(void **state)
{
	struct client *late;

	(void)state;
	assert_int_equal(request(d0, XS_SET_QUOTA_, 0,
				 "watches\0"
				 "1",
				 10),
			 0);
	assert_int_equal(xwatch(g, "/g", "1"), 0);
	assert_int_equal(xwatch(g, "/g", "2"), 0);
	late = guest_new(5);
	assert_int_equal(xwatch(late, "/l", "1"), 0);
	assert_int_equal(xwatch(late, "/l", "2"), -E2BIG);
	assert_int_equal(request(d0, XS_CONTROL, 0,
				 "quota\0set\0watches\0"
				 "128",
				 22),
			 0);
	assert_int_equal(request(d0, XS_CONTROL, 0,
				 "quota\0set\0watches\0"
				 "0",
				 20),
			 -EINVAL);
	assert_int_equal(xpath(d0, XS_GET_QUOTA_, 0, "watches"), 0);
	assert_string_equal(d0->rep.body, "128");
}

static void test_maxima(void **state)
{
	(void)state;
	assert_int_equal(request(d0, XS_CONTROL, 0, "quota\0max\0-r", 13), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(
			xwrite(g, 0, (const char *[]){ "/g/1", "/g/2", "/g/3", "/g/4", "/g/5" }[i],
			       ""),
			0);
	xpath(g, XS_RM, 0, "/g/1");
	xpath(g, XS_RM, 0, "/g/2");
	assert_int_equal(request(d0, XS_CONTROL, 0,
				 "quota\0"
				 "3",
				 8),
			 0);
	assert_non_null(
		strstr(d0->rep.body, "Domain 3:\nnodes            :        4 (max        6"));
	assert_int_equal(request(d0, XS_CONTROL, 0, "quota\0max", 10), 0);
	assert_non_null(strstr(d0->rep.body,
			       "Max. seen accounting values:\nnodes            :        6\n"));
	assert_int_equal(request(d0, XS_CONTROL, 0, "quota\0max\0-r", 13), 0);
	assert_non_null(strstr(d0->rep.body, "\nnodes            :        0\n"));
	assert_int_equal(request(d0, XS_CONTROL, 0, "quota\0max\0-x", 13), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup_guests, teardown)

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_nodes),
		T(test_node_size),
		T(test_watches),
		T(test_xsa_206_transactions),
		T(test_transaction_nodes),
		T(test_xsa_421_transactions_together),
		T(test_permissions),
		T(test_path_length),
		T(test_xsa_326_memory),
		T(test_xsa_326_events),
		T(test_outstanding),
		T(test_fair),
		T(test_settings),
		T(test_disabled),
		T(test_defaults),
		T(test_maxima),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
