// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenconsoled looks at those guests that something has happened to, and at no others (awake.h): counted, for a thousand of them.
 */
#include "test.h"

#include "awake.h"
#include "../../../dom0-tools/console/channel.h"

#define GUESTS 1000

static struct awake a;
static struct guest *guest[GUESTS];
static unsigned int calls; /* of served() */
static struct guest *last;
static int more; /* what served() says */

static int served(struct guest *g, void *ctx)
{
	assert_ptr_equal(ctx, guest);
	calls++;
	last = g;
	g->ready = more >= 0;
	return more;
}

static int serve(void)
{
	calls = 0;
	return awake_serve(&a, served, guest);
}

static int setup(void **state)
{
	int i;

	(void)state;
	memset(&a, 0, sizeof(a));
	more = -1;
	for (i = 0; i < GUESTS; i++) {
		guest[i] = calloc(1, sizeof(*guest[i]));
		assert_non_null(guest[i]);
		guest[i]->port = 3 * i + 1;
		assert_int_equal(awake_enter(&a, guest[i]), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < GUESTS; i++) {
		awake_leave(&a, guest[i]);
		free(guest[i]);
	}
	assert_null(a.first);
	free(a.of_port);
	return 0;
}

static void test_one_of_many(void **state)
{
	(void)state;
	/* Each that comes once; then nobody. */
	assert_int_equal(serve(), -1);
	assert_int_equal(calls, GUESTS);
	serve();
	assert_int_equal(calls, 0);
	/* One event, one guest, however often it is told. */
	awake_event(&a, guest[500]->port);
	awake_event(&a, guest[500]->port);
	assert_true(guest[500]->ready);
	serve();
	assert_int_equal(calls, 1);
	assert_ptr_equal(last, guest[500]);
	/* Ports that are nobody's. */
	awake_event(&a, 0);
	awake_event(&a, 3);
	awake_event(&a, -1);
	awake_event(&a, 1 << 20);
	serve();
	assert_int_equal(calls, 0);
}

static void test_more_to_do(void **state)
{
	(void)state;
	serve();
	/* One that has had its share is looked at again, until it has nothing more to say. */
	more = 7;
	awake_event(&a, guest[3]->port);
	assert_int_equal(serve(), 7);
	assert_int_equal(serve(), 7);
	more = 0;
	assert_int_equal(serve(), 0);
	more = -1;
	assert_int_equal(serve(), -1);
	assert_int_equal(calls, 1);
	serve();
	assert_int_equal(calls, 0);
}

static void test_channels(void **state)
{
	static struct channel c = { .port = 77777 };

	(void)state;
	guest[8]->channels = &c;
	serve();
	/* Whoever has one is looked at in each round, and found by its port. */
	serve();
	assert_int_equal(calls, 1);
	assert_ptr_equal(last, guest[8]);
	awake_event(&a, 77777);
	assert_true(c.ready);
	guest[8]->channels = NULL;
	serve();
	serve();
	assert_int_equal(calls, 0);
}

static void test_going(void **state)
{
	int port = guest[9]->port;

	(void)state;
	serve();
	awake_event(&a, guest[9]->port);
	awake_event(&a, guest[10]->port);
	awake_leave(&a, guest[9]);
	awake_event(&a, port);
	serve();
	assert_int_equal(calls, 1);
	assert_ptr_equal(last, guest[10]);
	/* Its port is another's now. */
	guest[11]->port = port;
	assert_int_equal(awake_enter(&a, guest[11]), 0);
	serve();
	awake_event(&a, port);
	serve();
	assert_int_equal(calls, 1);
	assert_ptr_equal(last, guest[11]);
	guest[9]->port = -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_of_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_to_do, setup, teardown),
		cmocka_unit_test_setup_teardown(test_channels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_going, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
