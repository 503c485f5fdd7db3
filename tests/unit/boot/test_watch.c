// SPDX-License-Identifier: BSD-2-Clause
/*
 * The process that reads a disk and the one that watches it: what ends well, what hangs, dies, and what gets on.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "watch.h"

static uint64_t *copied;
static char why[64];

static void ends(void)
{
	*copied = 1;
}

static void hangs(void)
{
	for (;;)
		;
}

static void sleeps(void)
{
	for (;;)
		pause();
}

static void dies(void)
{
	raise(SIGKILL);
}

/* Three times as long as may be for who copies nothing. */
static void gets_on(void)
{
	int i;

	for (i = 0; i < 9; i++) {
		*copied += 1 << 24;
		usleep(WATCH_MS * 1000 / 3);
	}
}

static int run(void (*work)(void))
{
	*copied = 0;
	why[0] = 0;
	return watch_run(work, copied, why, sizeof(why));
}

static void well(void **state)
{
	(void)state;
	assert_int_equal(run(ends), 0);
	assert_int_equal(*copied, 1);
	assert_int_equal(run(gets_on), 0);
	assert_string_equal(why, "");
}

static void badly(void **state)
{
	(void)state;
	assert_int_equal(run(hangs), -1);
	assert_string_equal(why, "it is not read after 0 s");
	assert_int_equal(run(sleeps), -1);
	assert_string_equal(why, "it is not read after 0 s");
	assert_int_equal(run(dies), -1);
	assert_string_equal(why, "the process that read it ended (signal 9)");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(well), cmocka_unit_test(badly) };

	copied = mmap(NULL, sizeof(*copied), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (copied == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
