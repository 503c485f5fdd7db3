// SPDX-License-Identifier: BSD-2-Clause
/*
 * Console logs: bounded, rotated, never outside of their directory.
 */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "log.h"

static char dir[] = "/tmp/test_log.XXXXXX";

static long size_of(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) ? -1 : st.st_size;
}

static void drop(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	unlink(path);
}

static void test_bounded(void **state)
{
	char chunk[2048];
	struct conslog l;
	int i;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	assert_int_equal(log_open(&l, dir, "flood", true), 0);
	for (i = 0; i < 2000; i++) /* 4 MiB */
		log_write(&l, chunk, sizeof(chunk));
	log_close(&l);
	assert_true(size_of("guest-flood.log") > 0 && size_of("guest-flood.log") <= LOG_MAX);
	assert_int_equal(size_of("guest-flood.log.1"), LOG_MAX);
	assert_int_equal(size_of("guest-flood.log.2"), LOG_MAX);
	assert_int_equal(size_of("guest-flood.log.3"), -1);
	drop("guest-flood.log");
	drop("guest-flood.log.1");
	drop("guest-flood.log.2");
}

static void test_lives(void **state)
{
	struct conslog l;

	(void)state;
	assert_int_equal(log_open(&l, dir, "g", true), 0);
	log_write(&l, "first", 5);
	log_close(&l);
	/* The daemon restarted: the same life goes on. */
	assert_int_equal(log_open(&l, dir, "g", false), 0);
	log_write(&l, "more", 4);
	log_close(&l);
	assert_int_equal(size_of("guest-g.log"), 9);
	/* A new guest of this name. */
	assert_int_equal(log_open(&l, dir, "g", true), 0);
	log_write(&l, "x", 1);
	log_close(&l);
	assert_int_equal(size_of("guest-g.log"), 1);
	assert_int_equal(size_of("guest-g.log.1"), 9);
	drop("guest-g.log");
	drop("guest-g.log.1");
}

static void test_names(void **state)
{
	struct conslog l;

	(void)state;
	assert_int_equal(log_open(&l, dir, "../../evil name", true), 0);
	log_close(&l);
	assert_int_equal(size_of("guest-.._.._evil_name.log"), 0);
	drop("guest-.._.._evil_name.log");
	/* Without a directory there is no log, and writing does nothing. */
	assert_int_equal(log_open(&l, "/does/not/exist", "g", true), -1);
	log_write(&l, "x", 1);
	log_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_names),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
