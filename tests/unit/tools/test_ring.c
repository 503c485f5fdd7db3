// SPDX-License-Identifier: BSD-2-Clause
/*
 * The console ring, honest and hostile.
 * Owns the proof that no index a guest writes makes the daemon touch memory beyond the page
 * (ASan watches: the page is a heap block of just its size) or loop.
 */
#include "test.h"

#include "ring.h"

static struct xencons_interface *page;
static struct ring ring;

static int setup(void **state)
{
	(void)state;
	page = calloc(1, sizeof(*page));
	ring_attach(&ring, page);
	return page ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(page);
	return 0;
}

static void guest_print(const char *s)
{
	for (; *s; s++)
		page->out[MASK_XENCONS_IDX(page->out_prod++, page->out)] = *s;
}

static void test_take(void **state)
{
	char buf[4096];

	(void)state;
	assert_int_equal(ring_take(&ring, buf, sizeof(buf)), 0);
	guest_print("hello");
	assert_int_equal(ring_take(&ring, buf, 3), 3);
	assert_memory_equal(buf, "hel", 3);
	assert_int_equal(page->out_cons, 3);
	assert_int_equal(ring_take(&ring, buf, sizeof(buf)), 2);
	assert_memory_equal(buf, "lo", 2);
	assert_int_equal(ring.bad, 0);
}

static void test_take_wraps(void **state)
{
	char buf[4096], text[101];
	uint32_t start;
	int i;

	(void)state;
	memset(text, 'a', 100);
	text[50] = 'b';
	text[100] = '\0';
	/* Over the end of the ring, and over the end of 32 bits. */
	for (i = 0; i < 2; i++) {
		start = i ? UINT32_MAX - 49 : sizeof(page->out) - 50;
		page->out_cons = page->out_prod = start;
		ring_attach(&ring, page);
		guest_print(text);
		assert_int_equal(ring_take(&ring, buf, sizeof(buf)), 100);
		assert_memory_equal(buf, text, 100);
	}
	/* Full to the last byte. */
	page->out_prod += sizeof(page->out);
	assert_int_equal(ring_take(&ring, buf, sizeof(buf)), sizeof(page->out));
	assert_int_equal(ring.bad, 0);
}

static void test_hostile_out(void **state)
{
	static const uint32_t prods[] = { 2049, 4096, 0x7fffffff, 0x80000000, 0xffffffff };
	char buf[4096];
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(prods); i++) {
		unsigned int bad = ring.bad;

		page->out_prod = ring.out_cons + prods[i];
		assert_int_equal(ring_take(&ring, buf, sizeof(buf)), 0);
		assert_int_equal(ring.bad, bad + 1);
		/* It goes on from there; the guest may have come to its senses. */
		assert_int_equal(page->out_cons, page->out_prod);
		guest_print("ok");
		assert_int_equal(ring_take(&ring, buf, sizeof(buf)), 2);
	}
	/* The consumer index in the page is not believed. */
	page->out_cons = 0xdeadbeef;
	guest_print("x");
	assert_int_equal(ring_take(&ring, buf, sizeof(buf)), 1);
	assert_int_equal(page->out_cons, page->out_prod);
}

static void test_give(void **state)
{
	char buf[2000];
	size_t n;

	(void)state;
	memset(buf, 'k', sizeof(buf));
	assert_int_equal(ring_give(&ring, buf, 1000), 1000);
	assert_int_equal(ring_give(&ring, buf, 1000), sizeof(page->in) - 1000);
	assert_int_equal(ring_give(&ring, buf, 1), 0);
	page->in_cons += 10;
	assert_int_equal(ring_give(&ring, buf, 1000), 10);
	page->in_cons = page->in_prod;
	n = ring_give(&ring, "xy", 2);
	assert_int_equal(n, 2);
	assert_int_equal(page->in[MASK_XENCONS_IDX(page->in_prod - 1, page->in)], 'y');
}

static void test_hostile_in(void **state)
{
	static const uint32_t conses[] = { 1, 1025, 0x7fffffff, 0x80000000, 0xffffffff };
	char buf[2000];
	unsigned int i;

	(void)state;
	memset(buf, 'k', sizeof(buf));
	for (i = 0; i < count_of(conses); i++) {
		page->in_cons = ring.in_prod + conses[i];
		assert_true(ring_give(&ring, buf, sizeof(buf)) <= sizeof(page->in));
	}
	assert_true(ring.bad > 0);
	/* The producer index in the page is not believed either. */
	page->in_cons = ring.in_prod;
	page->in_prod = 0x12345678;
	assert_int_equal(ring_give(&ring, "z", 1), 1);
	assert_int_equal(page->in_prod, ring.in_prod);
}

static void test_random(void **state)
{
	unsigned int seed = 1, i;
	char buf[4096];

	(void)state;
	for (i = 0; i < 200000; i++) {
		page->out_prod = rand_r(&seed) * 3u;
		page->out_cons = rand_r(&seed) * 5u;
		page->in_prod = rand_r(&seed) * 7u;
		page->in_cons = rand_r(&seed) * 2u;
		assert_true(ring_take(&ring, buf, sizeof(buf)) <= sizeof(page->out));
		assert_true(ring_give(&ring, buf, rand_r(&seed) % sizeof(buf)) <= sizeof(page->in));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_take, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take_wraps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_give, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
