// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files of guests that move, forged: refused without a trace, or within the quotas.
 */
#include <unistd.h>
#include "moving.h"

static void count(const struct node *n, void *ctx)
{
	acct_add(ctx, n, 1);
}

/* Nodes are what the accounts say, for each domain. */
static void expect_accounts(void)
{
	struct acct a = { 0 };

	tree_walk(store_root, count, &a);
	for (struct dom *d = dom_first(); d; d = d->next)
		if (d->domid)
			assert_int_equal(acct_of(&a, d->domid)->nodes, d->nodes);
	acct_free(&a);
}

static void right_sum(char *p, size_t len)
{
	uint64_t h[4], body = len - sizeof(h);

	memcpy(h, p, sizeof(h));
	h[2] = body;
	h[3] = journal_sum(journal_sum(h[0], h, 24), p + sizeof(h), body);
	memcpy(p, h, sizeof(h));
}

/* Puts it into d and takes it out again: not a trace. Returns whether it was taken. */
static bool try(struct dom *d, const char *p, size_t len)
{
	const long nodes = d->nodes, mem = d->mem;
	struct node *root = store_root;
	const uint64_t gen = store_gen();
	struct arrival a;
	const char *why = move_load(d, p, len, &a);

	if (!why) {
		expect_accounts();
		assert_true(d->nodes <= d->limit[Q_NODES]);
		assert_true(d->watches <= d->limit[Q_WATCHES]);
		assert_true(d->txs <= d->limit[Q_TRANSACTIONS]);
		move_undo(d, &a);
	}
	assert_ptr_equal(store_root, root);
	assert_true(move_empty(d));
	assert_int_equal(d->nodes, nodes);
	assert_int_equal(d->mem, mem);
	assert_int_equal(store_gen(), gen);
	assert_int_equal(d->was, DOM_NONE);
	assert_int_equal(d->watches + d->txs, 0);
	assert_false(d->imported || d->untold || d->conn->failed || d->conn->overflow);
	return !why;
}

static bool try_file(struct dom *d)
{
	size_t len;
	char *p = slurp(&len);
	bool taken = try(d, p, len);

	free(p);
	return taken;
}

static void test_forged(void **state)
{
	struct client *g = rich(3);
	unsigned long taken = 0;
	struct memory m;
	struct dom *d;
	size_t len;
	char *p;

	(void)state;
	freeze(g, &m);
	p = slurp(&len);
	other_host();
	born(3);
	xwrite(d0, 0, "/local/domain/3/secret", "x");
	landing(5, &m);
	free(m.cl);
	d = dom_find(5);
	assert_true(try(d, p, len));
	/* every length, as it is and with the head made right */
	for (size_t n = 0; n < len; n++) {
		char *cut = xmalloc(n);

		memcpy(cut, p, n);
		assert_false(try(d, cut, n));
		if (n >= 32)
			right_sum(cut, n);
		assert_false(try(d, cut, n));
		free(cut);
	}
	/* a byte more */
	p = xrealloc(p, len + 1);
	p[len] = 0;
	assert_false(try(d, p, len + 1));
	right_sum(p, len + 1);
	assert_false(try(d, p, len + 1));
	right_sum(p, len);
	/* every bit */
	for (size_t bit = 0; bit < len * 8; bit++) {
		p[bit / 8] ^= (char)(1 << bit % 8);
		if (try(d, p, len))
			fail_msg("bit %zu of byte %zu: not noticed", bit % 8, bit / 8);
		if (bit / 8 >= 32) {
			right_sum(p, len);
			taken += try(d, p, len);
		}
		p[bit / 8] ^= (char)(1 << bit % 8);
		right_sum(p, len);
	}
	print_message("%zu bytes, %lu of %zu wrong bits make another file\n", len, taken, len * 8);
	/* every byte at its extremes, and words as numbers are */
	for (size_t n = 32; n + 4 <= len; n++) {
		static const uint32_t words[] = { 0, 1, 0xff, 0x7fff, 0xffff, 1u << 31, ~0u };

		for (size_t k = 0; k < ARRAY_SIZE(words); k++) {
			char was[4];

			memcpy(was, p + n, 4);
			memcpy(p + n, &words[k], 4);
			right_sum(p, len);
			try(d, p, len);
			memcpy(p + n, was, 4);
		}
	}
	right_sum(p, len);
	assert_true(try(d, p, len));
	assert_int_equal(xread(d0, 0, "/local/domain/3/secret"), 0);
	free(p);
}

/* The file with these bytes in the place of those, which it has once. */
static const char *with(struct dom *d, const char *old, const char *fresh, size_t n)
{
	struct arrival a;
	const char *why;
	size_t len;
	char *p = slurp(&len), *at = memmem(p, len, old, n);

	assert_non_null(at);
	assert_null(memmem(at + 1, len - (size_t)(at + 1 - p), old, n));
	memcpy(at, fresh, n);
	right_sum(p, len);
	why = move_load(d, p, len, &a);
	if (!why)
		move_undo(d, &a);
	free(p);
	return why;
}

/* Names of nodes, and rights. */
static void test_forged_nodes(void **state)
{
	static const char path[] = "a node in it has a path that it cannot have";
	struct memory m;
	struct dom *d;

	(void)state;
	freeze(rich(3), &m);
	other_host();
	landing(5, &m);
	free(m.cl);
	d = dom_find(5);
	assert_null(with(d, "\5\0\0\0/a/b", "\5\0\0\0/a/c", 8));
	/* its parent is missing; the home comes twice, or not first; other places; what is no path */
	assert_string_equal(with(d, "\3\0\0\0/a", "\3\0\0\0/c", 7), path);
	assert_string_equal(with(d, "\5\0\0\0/a/b", "\5\0\0\0\0\0\0\0", 8),
			    "it contradicts itself");
	assert_string_equal(with(d, "\5\0\0\0/a/b", "\5\0\0\0xa/b", 8), path);
	assert_string_equal(with(d, "\5\0\0\0/a/b", "\5\0\0\0/a/.", 8), path);
	assert_string_equal(with(d, "\5\0\0\0/a/b", "\5\0\0\0/a//", 8), path);
	assert_string_equal(with(d, "\5\0\0\0/a/b", "\5\0\0\0/a/\n", 8), path);
	/* once more, it is the same node */
	assert_null(with(d, "\5\0\0\0/a/b", "\5\0\0\0/a/a", 8));
	/* an event that would count as a reply */
	assert_string_equal(with(d, "\1\26\0\0\0\17", "\0\26\0\0\0\17", 6),
			    "a message in it is none");
	/* rights that there are not */
	assert_string_equal(with(d, "\7\0\0\0\3", "\7\0\0\0\4", 5),
			    "a node in it has permissions that it cannot have");
}

/* The limits here hold, whatever they are elsewhere; what fits just so is taken. */
static void test_quotas(void **state)
{
	static const struct {
		enum quota q;
		long used;
		const char *why;
	} cases[] = {
		{ Q_NODES, 3, "its tree has more nodes than the domain may have" },
		{ Q_WATCHES, 2, "it has more watches than the domain may have" },
		{ Q_TRANSACTIONS, 2, "it has more transactions than the domain may have" },
		{ Q_OUTSTANDING, 3, "more replies wait in it than the domain may have" },
		{ Q_EVENTS, 2, "more events wait in it than the domain may have" },
	};
	struct client *g = rich(3);
	struct memory m;
	struct dom *d;

	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct xsd_sockmsg h = { .type = XS_READ, .len = 4 };

		g->ring->req_prod = g->ring->req_cons;
		dom_find(3)->conn->in_len = 0;
		ring_put(g, &h, sizeof(h));
		ring_put(g, "a/b", 4);
		let_run(g);
	}
	d = dom_find(3);
	freeze(g, &m);
	assert_int_equal(d->nodes, 3);
	assert_int_equal(d->conn->out_replies, 3);
	assert_int_equal(d->conn->out_events, 2);
	other_host();
	landing(5, &m);
	d = dom_find(5);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		long limit = d->limit[cases[i].q];

		d->limit[cases[i].q] = cases[i].used - 1;
		expect_said("import-domain", 5, cases[i].why);
		assert_int_equal(d->mem, 0);
		d->limit[cases[i].q] = cases[i].used;
		assert_true(try_file(d));
		d->limit[cases[i].q] = limit;
	}
	d->limit[Q_MEMORY] = 1;
	assert_true(try_file(d));
	free(m.cl);
}

/* A tree beyond what a guest in order can have. */
static void test_quota_of_memory(void **state)
{
	struct client *g = born(3);
	struct memory m;
	struct dom *d;
	long mem;

	(void)state;
	for (int i = 0; i < 8; i++) {
		char path[16], big[1500];

		memset(big, 'x', sizeof(big) - 1);
		big[sizeof(big) - 1] = 0;
		sprintf(path, "n%d", i);
		assert_int_equal(xwrite(g, 0, path, big), 0);
	}
	freeze(g, &m);
	mem = dom_find(3)->mem;
	other_host();
	landing(5, &m);
	d = dom_find(5);
	d->limit[Q_MEMORY] = mem - 2 * (long)MSG_MAX - 1;
	expect_said("import-domain", 5, "it takes more memory than the domain may have");
	assert_int_equal(d->mem, 0);
	d->limit[Q_MEMORY]++;
	expect_said("import-domain", 5, "OK");
	assert_int_equal(d->mem, mem);
	free(m.cl);
}

/* Nodes of dom0's are counted apart. */
static void test_quota_of_others(void **state)
{
	struct client *g = born(3);
	struct memory m;

	(void)state;
	for (int i = 0; i < 8; i++) {
		char path[64];

		sprintf(path, "/local/domain/3/n%d", i);
		xwrite(d0, 0, path, "x");
		xperms(d0, 0, path, "n0 r3");
	}
	freeze(g, &m);
	other_host();
	landing(5, &m);
	dom_find(5)->limit[Q_NODES] = 7;
	expect_said("import-domain", 5, "its tree has more nodes than the domain may have");
	dom_find(5)->limit[Q_NODES] = 8;
	expect_said("import-domain", 5, "OK");
	free(m.cl);
}

/* Without a limit there still is one. */
static void test_no_quotas(void **state)
{
	struct client *g = born(3);
	struct memory m;

	(void)state;
	memset(dom_find(3)->limit, 0, sizeof(dom_find(3)->limit));
	for (int i = 0; i < 4097; i++)
		xstart(g);
	freeze(g, &m);
	other_host();
	landing(5, &m);
	memset(dom_find(5)->limit, 0, sizeof(dom_find(5)->limit));
	expect_said("import-domain", 5, "it has more transactions than the domain may have");
	assert_int_equal(dom_find(5)->txs, 0);
	free(m.cl);
}

/* The journal cannot take it: it has not come. */
static void test_no_room(void **state)
{
	struct client *g = rich(3);
	char journal[96], old[104];
	struct node *root;
	struct memory m;
	struct dom *d;

	(void)state;
	sprintf(journal, "%s/journal", dir);
	sprintf(old, "%s.old", journal);
	freeze(g, &m);
	other_host();
	landing(5, &m);
	d = dom_find(5);
	record_path(journal);
	assert_int_equal(record_checkpoint(), 0);
	record_path("/no/such/journal");
	root = store_root;
	expect_said("import-domain", 5, "the journal cannot take it; see the log");
	assert_true(journal_on());
	assert_ptr_equal(store_root, root);
	assert_true(move_empty(d));
	assert_false(d->imported || d->untold);
	assert_int_equal(d->mem + d->nodes + d->watches + d->txs, 0);
	assert_null(tree_get(store_root, "/local/domain/5"));
	record_path(journal);
	expect_said("import-domain", 5, "OK");
	/* both files lead to it */
	assert_int_equal(access(old, F_OK), 0);
	record_path(NULL);
	journal_drop(journal);
	free(m.cl);
}

#define T(name) cmocka_unit_test_setup_teardown(name, move_start, move_stop)

int main(int argc, char **argv)
{
	/* clang-format off */
	const struct CMUnitTest tests[] = {
		T(test_forged),
		T(test_forged_nodes),
		T(test_quotas),
		T(test_quota_of_memory),
		T(test_quota_of_others),
		T(test_no_quotas),
		T(test_no_room),
	};
	/* clang-format on */

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
