// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unit tests of transactions: isolation, commit, and the conflict rule in a table.
 * The rule: a commit fails only where another commit touched what this one read or wrote.
 * conformance tests repeat it at random against a model.
 */
#include "support.h"

static void test_isolation(void **state)
{
	uint32_t t, u;

	(void)state;
	xwrite(d0, 0, "/a", "old");
	t = xstart(d0);
	u = xstart(d0);
	assert_int_not_equal(t, u);
	xwrite(d0, t, "/a", "new");
	xwrite(d0, t, "/n/m", "1");
	xread(d0, t, "/a");
	assert_string_equal(d0->rep.body, "new");
	xread(d0, 0, "/a");
	assert_string_equal(d0->rep.body, "old");
	xread(d0, u, "/a");
	assert_string_equal(d0->rep.body, "old");
	assert_int_equal(xread(d0, u, "/n"), -ENOENT);
	assert_int_equal(xend(d0, t, true), 0);
	xread(d0, 0, "/a");
	assert_string_equal(d0->rep.body, "new");
	xread(d0, u, "/a"); /* repeatable */
	assert_string_equal(d0->rep.body, "old");
	assert_int_equal(xend(d0, u, false), 0);
	assert_int_equal(xread(d0, 0, "/n/m"), 0);
}

static void test_misuse(void **state)
{
	uint32_t t = xstart(d0);

	(void)state;
	assert_int_equal(xpath(d0, XS_TRANSACTION_START, t, ""), -EBUSY);
	assert_int_equal(xpath(d0, XS_TRANSACTION_END, t, "X"), -EINVAL);
	assert_int_equal(xpath(d0, XS_TRANSACTION_END, 0, "T"), -ENOENT);
	assert_int_equal(xend(d0, t + 100, true), -ENOENT);
	assert_int_equal(xend(d0, t, true), 0);
	assert_int_equal(xend(d0, t, true), -ENOENT);
	assert_int_equal(xread(d0, t, "/"), -ENOENT);
	/* another client's transaction is nobody else's */
	t = xstart(d0);
	assert_int_equal(xread(priv_new(), t + 7, "/"), -ENOENT);
	assert_int_equal(xend(d0, t, false), 0);
}

static void test_events_at_commit(void **state)
{
	uint32_t t;

	(void)state;
	xwatch(d0, "/w", "t");
	d0->num_events = 0;
	t = xstart(d0);
	xwrite(d0, t, "/w/a", "1");
	xwrite(d0, t, "/w/b", "1");
	xpath(d0, XS_RM, t, "/w/a");
	expect_events(d0, "");
	assert_int_equal(xend(d0, t, true), 0);
	expect_events(d0, "/w/a:t /w/b:t /w/a:t");
	t = xstart(d0);
	xwrite(d0, t, "/w/c", "1");
	xend(d0, t, false);
	expect_events(d0, "");
	assert_int_equal(xread(d0, 0, "/w/c"), -ENOENT);
}

/*
 * One step: letter and path. r read, d directory, p get perms, w write, e write empty, m mkdir, x
 * rm, s set perms
 */
static void step(uint32_t t, const char *s)
{
	switch (s[0]) {
	case 'r':
		xread(d0, t, s + 1);
		break;
	case 'd':
		xpath(d0, XS_DIRECTORY, t, s + 1);
		break;
	case 'p':
		xpath(d0, XS_GET_PERMS, t, s + 1);
		break;
	case 'w':
		xwrite(d0, t, s + 1, t ? "mine" : "theirs");
		break;
	case 'm':
		xpath(d0, XS_MKDIR, t, s + 1);
		break;
	case 'x':
		xpath(d0, XS_RM, t, s + 1);
		break;
	case 's':
		xperms(d0, t, s + 1, t ? "n5" : "n6");
		break;
	}
}

static void test_conflict_rule(void **state)
{
	/* clang-format off */
	/*
	 * ours: steps in the transaction (a last write of /other makes it a writer);
	 * theirs: a commit meanwhile
	 */
	static const struct {
		const char *ours, *theirs;
		bool conflict;
	} cases[] = {
		{ "r/a", "w/a", true },		{ "r/a", "w/b", false },
		{ "r/a", "s/a", false },	{ "r/a", "w/a/k", false },
		{ "r/a", "w/a/new", false },	{ "r/a", "x/a", true },
		{ "r/nope", "w/nope", true },	{ "r/nope/x", "m/nope", false },
		{ "r/nope", "w/else", false },	{ "p/a", "s/a", true },
		{ "p/a", "w/a", false },	{ "d/a", "w/a/k", false },
		{ "d/a", "w/a/new", true },	{ "d/a", "x/a/k", true },
		{ "d/a", "w/a", false },	{ "d/a", "w/a/k/new", false },
		{ "w/a", "w/a", true },		{ "w/a", "s/a", false },
		{ "w/a", "r/a", false },	{ "w/a/n1", "w/a/n2", false },
		{ "w/a/n1", "w/a/n1", true },	{ "w/a/n1", "x/a", true },
		{ "w/a/n1", "s/a", true },	{ "w/n/x", "w/n/y", true },
		{ "x/a", "w/a/k", true },	{ "x/a", "w/a/k/deep", true },
		{ "x/a", "w/b/k", false },	{ "x/a/k", "w/a/n", false },
		{ "x/nope", "w/a", false },	{ "x/nope", "w/nope", true },
		{ "s/a", "s/a", true },		{ "s/a", "w/a", false },
		{ "m/a", "w/a/k", false },	{ "m/new", "m/new", true },
		{ "m/new", "m/new2", false },	{ "d/", "m/new", true },
	};
	/* clang-format on */

	(void)state;
	dom_need(5);
	dom_need(6);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		for (int in_tx = 0; in_tx < 2; in_tx++) {
			uint32_t t, u = 0;

			step(0, "x/a");
			step(0, "x/b");
			step(0, "x/n");
			step(0, "x/new");
			step(0, "x/new2");
			step(0, "x/nope");
			step(0, "x/else");
			step(0, "x/other");
			step(0, "w/a/k");
			step(0, "w/b/k");
			t = xstart(d0);
			step(t, cases[i].ours);
			step(t, "w/other");
			if (in_tx)
				u = xstart(d0);
			/* theirs differ from what is there even when in a transaction */
			if (u && cases[i].theirs[0] == 'w')
				xwrite(d0, u, cases[i].theirs + 1, "others");
			else
				step(u, cases[i].theirs);
			if (u)
				assert_int_equal(xend(d0, u, true), 0);
			if ((xend(d0, t, true) == -EAGAIN) != cases[i].conflict)
				fail_msg("ours %s theirs %s", cases[i].ours, cases[i].theirs);
			/* what others did is never lost */
			if (!cases[i].conflict && cases[i].theirs[0] == 'w') {
				xread(d0, 0, cases[i].theirs + 1);
				assert_string_equal(d0->rep.body, u ? "others" : "theirs");
			}
			assert_int_equal(xread(d0, 0, "/other"), cases[i].conflict ? -ENOENT : 0);
		}
	}
}

/* A transaction that wrote nothing never fails: what it saw was true when it began. */
static void test_read_only(void **state)
{
	uint32_t t;

	(void)state;
	xwrite(d0, 0, "/a", "1");
	t = xstart(d0);
	xread(d0, t, "/a");
	xwrite(d0, 0, "/a", "2");
	assert_int_equal(xend(d0, t, true), 0);
}

/* 8 clients in transactions on paths of their own: no EAGAIN at all. */
static void test_no_false_conflicts(void **state)
{
	struct client *cl[8];
	uint32_t t[8];
	char path[64];

	(void)state;
	for (int i = 0; i < 8; i++) {
		cl[i] = priv_new();
		snprintf(path, sizeof(path), "/c/%d/x", i);
		xwrite(d0, 0, path, "");
	}
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 8; i++)
			t[i] = xstart(cl[i]);
		for (int k = 0; k < 10; k++) {
			for (int i = 0; i < 8; i++) {
				snprintf(path, sizeof(path), "/c/%d/%d-%d", i, round, k);
				assert_int_equal(xwrite(cl[i], t[i], path, "v"), 0);
			}
		}
		for (int i = 0; i < 8; i++)
			assert_int_equal(xend(cl[i], t[i], true), 0);
	}
}

/* XSA-421: nodes created and removed within a transaction leave no account behind. */
static void test_xsa_421_accounting(void **state)
{
	struct client *g = guest_new(3);
	uint32_t t;

	(void)state;
	xwrite(d0, 0, "/g", "");
	xperms(d0, 0, "/g", "n3");
	assert_int_equal(dom_find(3)->nodes, 1);
	for (int how = 0; how < 2; how++) {
		t = xstart(g);
		for (int i = 0; i < 10; i++)
			xwrite(g, t, "/g/a/b/c", "x");
		xpath(g, XS_RM, t, "/g/a");
		xwrite(g, t, "/g/z", "x");
		if (how)
			xwrite(d0, 0, "/unrelated", "x"); /* not the fast way */
		assert_int_equal(xend(g, t, true), 0);
		assert_int_equal(dom_find(3)->nodes, 2);
	}
	t = xstart(g);
	xwrite(g, t, "/g/y", "x");
	xend(g, t, false);
	assert_int_equal(dom_find(3)->nodes, 2);
	assert_int_equal(xpath(d0, XS_CONTROL, 0, "check"), 0);
	assert_string_equal(d0->rep.body, "OK");
}

/* A client that goes away, or is reset, leaves no transaction behind. */
static void test_client_leaves(void **state)
{
	struct client *g = guest_new(3), *p = priv_new();

	(void)state;
	xstart(g);
	xstart(g);
	assert_int_equal(dom_find(3)->txs, 2);
	assert_int_equal(xpath(g, XS_RESET_WATCHES, 0, ""), 0);
	assert_int_equal(dom_find(3)->txs, 0);
	assert_int_equal(dom_find(3)->mem, 0);
	xstart(p);
	client_free(p);
	assert_int_equal(dom_find(0)->txs, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_isolation),
		T(test_misuse),
		T(test_events_at_commit),
		T(test_conflict_rule),
		T(test_read_only),
		T(test_no_false_conflicts),
		T(test_xsa_421_accounting),
		T(test_client_leaves),
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
