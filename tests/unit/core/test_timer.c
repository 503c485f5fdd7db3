// SPDX-License-Identifier: BSD-2-Clause
/*
 * The harts' timers: order, moving from hart to hart, stopping.
 */
#include "host.h"

static unsigned int fired[8], nr_fired;
static struct timer timers[8];

static void fire(void *arg)
{
	fired[nr_fired++ % 8] = (struct timer *)arg - timers;
}

static void again(void *arg)
{
	if (nr_fired++ < 3)
		timer_set(arg, arch_time_ns()); /* at once, from its own callback */
}

static void timers_fire_in_order(void **state)
{
	static const u64 at[] = { 50, 10, 30, 30, 20 };

	nr_fired = 0;
	for (unsigned int i = 0; i < 5; i++) {
		timer_init(&timers[i], fire, &timers[i]);
		timer_set(&timers[i], host.now + at[i]);
	}
	assert_int_equal(host.timer[0], host.now + 10);
	advance(9);
	assert_int_equal(nr_fired, 0);
	advance(21);
	assert_int_equal(nr_fired, 4);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 4);
	assert_int_equal(fired[2], 2); /* equal ones in the order they were armed */
	assert_int_equal(fired[3], 3);
	timer_stop(&timers[0]);
	timer_stop(&timers[0]);
	advance(100);
	assert_int_equal(nr_fired, 4);
	assert_true(host.timer[0] == ~0ULL);
}

static void timers_are_set_again_and_past_ones_fire(void **state)
{
	nr_fired = 0;
	timer_init(&timers[0], fire, &timers[0]);
	timer_set(&timers[0], host.now + 100);
	timer_set(&timers[0], host.now + 500); /* moved */
	advance(200);
	assert_int_equal(nr_fired, 0);
	timer_set(&timers[0], 0);
	advance(0);
	assert_int_equal(nr_fired, 1);
	timer_init(&timers[1], again, &timers[1]);
	nr_fired = 0;
	timer_set(&timers[1], host.now + 1);
	advance(5);
	assert_int_equal(nr_fired, 4);
	timer_kill(&timers[1]);
}

static void timers_belong_to_the_hart_that_armed_them(void **state)
{
	nr_fired = 0;
	timer_init(&timers[0], fire, &timers[0]);
	host.hart = 2;
	timer_set(&timers[0], host.now + 10);
	assert_int_equal(host.timer[2], host.now + 10);
	host.hart = 0;
	timer_set(&timers[0], host.now + 20); /* moves here */
	host.now += 15;
	host.hart = 2;
	timer_interrupt();
	assert_int_equal(nr_fired, 0);
	host.now += 10;
	host.hart = 0;
	timer_interrupt();
	assert_int_equal(nr_fired, 1);
	host.hart = 2;
	timer_set(&timers[0], ~0ULL);
	host.hart = 0;
	timer_stop(&timers[0]); /* from another hart */
	assert_false(timers[0].armed);
}

/* It fires on hart 2, which is still in its function when hart 0 arms it anew and then wants it gone. */
static bool waited;

static void killed_meanwhile(void *arg)
{
	struct timer *t = arg;
	unsigned int self = host.hart;

	host.hart = 0;
	timer_set(t, host.now + 1000);
	assert_int_equal(t->hart, 0);
	host.relaxed = 0;
	waited = END(timer_kill(t)) == PANIC; /* it would spin as long as we do not return */
	host.hart = self;
}

static void who_kills_one_waits_for_its_function(void **state)
{
	timer_init(&timers[0], killed_meanwhile, &timers[0]);
	host.hart = 2;
	timer_set(&timers[0], host.now + 10);
	host.now += 10;
	timer_interrupt();
	assert_true(waited);
	assert_false(timers[0].armed);
	assert_int_equal(timers[0].running, 0);
	host.hart = 0;
	host.relaxed = 0;
	timer_kill(&timers[0]);
	assert_int_equal(host.relaxed, 0);
}

static void armed_meanwhile(void)
{
	host.hart = 2;
	timer_set(&timers[0], host.now + 5);
	timers[0].running = 0;
	host.hart = 0;
}

/* Its function arms it once more while the killer waits for it: gone all the same. */
static void one_that_arms_itself_is_killed(void **state)
{
	nr_fired = 0;
	timer_init(&timers[0], fire, &timers[0]);
	timers[0].running = 1; /* hart 2 is in it */
	host.on_relax = armed_meanwhile;
	timer_kill(&timers[0]);
	assert_null(host.on_relax);
	assert_false(timers[0].armed);
	advance(100);
	assert_int_equal(nr_fired, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(timers_fire_in_order),
		TEST(timers_are_set_again_and_past_ones_fire),
		TEST(timers_belong_to_the_hart_that_armed_them),
		TEST(who_kills_one_waits_for_its_function),
		TEST(one_that_arms_itself_is_killed),
	};

	return RUN(tests);
}
