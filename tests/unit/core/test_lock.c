// SPDX-License-Identifier: BSD-2-Clause
/*
 * The checker of lock order (CONFIG_LOCK_CHECK), which all programs here and the fuzzer are built with.
 */
#include "host.h"

static struct spinlock outer = SPINLOCK_INIT(LOCK_DOMAIN), inner = SPINLOCK_INIT(LOCK_HEAP);
static struct spinlock events[2] = { SPINLOCK_INIT(LOCK_EVENT), SPINLOCK_INIT(LOCK_EVENT) };

static void unlock_two(struct spinlock *a, struct spinlock *b)
{
	spin_unlock(a);
	spin_unlock(b);
}

static void the_order_is_free_of_complaints(void **state)
{
	spin_lock(&outer);
	spin_lock(&inner);
	/* Not in the order in which they were taken: harmless. */
	unlock_two(&outer, &inner);
	spin_lock(&events[0]);
	spin_lock(&events[1]);
	unlock_two(&events[1], &events[0]);
	/* Who does not wait may take any. */
	spin_lock(&inner);
	assert_true(spin_trylock(&outer));
	unlock_two(&outer, &inner);
	lock_check_none();
}

static void the_wrong_order_ends_the_machine(void **state)
{
	spin_lock(&inner);
	assert_int_equal(END(spin_lock(&outer)), PANIC);
	spin_unlock(&inner);
}

static void two_of_a_kind_end_the_machine(void **state)
{
	struct spinlock other = SPINLOCK_INIT(LOCK_HEAP);

	spin_lock(&inner);
	assert_int_equal(END(spin_lock(&other)), PANIC);
	/* and the same one again, which would spin for ever */
	assert_int_equal(END(spin_lock(&inner)), PANIC);
	spin_unlock(&inner);
	spin_lock(&events[1]);
	assert_int_equal(END(spin_lock(&events[0])), PANIC);
	spin_unlock(&events[1]);
}

static void a_lock_needs_a_rank(void **state)
{
	static struct spinlock forgotten;

	assert_int_equal(END(spin_lock(&forgotten)), PANIC);
}

static void a_lock_is_let_go_by_who_holds_it(void **state)
{
	spin_lock(&outer);
	host.hart = 1;
	assert_int_equal(END(spin_unlock(&outer)), PANIC);
	host.hart = 0;
	spin_unlock(&outer);
}

static void no_guest_runs_with_a_lock_held(void **state)
{
	spin_lock(&outer);
	assert_int_equal(END(lock_check_none()), PANIC);
	spin_unlock(&outer);
	lock_check_none();
}

static void holds_are_measured(void **state)
{
	lock_check_report();
	console_clear();
	spin_lock(&outer);
	host.now += 1234;
	spin_unlock(&outer);
	lock_check_report();
	assert_non_null(strstr(host.console, "lock: domain: 1 times, longest wait 0 ns"));
	assert_non_null(strstr(host.console, "longest hold 1234 ns"));
	console_clear();
	lock_check_report();
	assert_null(strstr(host.console, "1234 ns"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_order_is_free_of_complaints),
		TEST(the_wrong_order_ends_the_machine),
		TEST(two_of_a_kind_end_the_machine),
		TEST(a_lock_needs_a_rank),
		TEST(a_lock_is_let_go_by_who_holds_it),
		TEST(no_guest_runs_with_a_lock_held),
		TEST(holds_are_measured),
	};
	return RUN(tests);
}
