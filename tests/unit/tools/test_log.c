// SPDX-License-Identifier: BSD-2-Clause
/*
 * Console logs: bounded, rotated, never outside of their directory.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "log.h"

int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

static unsigned long compared;

/* What log.c compares; the linker puts it there (--wrap). */
int __wrap_strcmp(const char *a, const char *b)
{
	compared++;
	return __real_strcmp(a, b);
}

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

static void name_of(char name[32], int i)
{
	snprintf(name, 32, "n%04d", i);
}

/* The sum of all files. */
static long all(void)
{
	char command[128];
	FILE *f;
	long n = -1;

	snprintf(command, sizeof(command), "cat %s/guest-* | wc -c", dir);
	f = popen(command, "r");
	assert_int_equal(fscanf(f, "%ld", &n), 1);
	pclose(f);
	return n;
}

static void drop_all(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -f %s/guest-* %s/other.log", dir, dir);
	assert_int_equal(system(command), 0);
}

/* Names that come and go leave no more than there is room for: the oldest goes first, and nothing that is not a log. */
static void test_all_together(void **state)
{
	char chunk[2048], name[32], file[64];
	struct conslog l;
	int i, j;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	log_set_total(4 << 20);
	snprintf(file, sizeof(file), "%s/other.log", dir);
	fclose(fopen(file, "w"));
	for (i = 0; i < 40; i++) {
		name_of(name, i);
		assert_int_equal(log_open(&l, dir, name, true), 0);
		for (j = 0; j < 400; j++) /* 800 KiB, all that one may have */
			assert_int_equal(log_write(&l, chunk, sizeof(chunk)), 0);
		log_close(&l);
		assert_true(all() <= 4 << 20);
	}
	assert_true(all() >= 3 << 20);
	assert_true(size_of("guest-n0039.log") > 0);
	assert_int_equal(size_of("guest-n0039.log.1"), LOG_MAX);
	assert_int_equal(size_of("guest-n0000.log"), -1);
	assert_int_equal(size_of("other.log"), 0);
	drop_all();
	log_set_total(LOG_TOTAL);
}

/* Many that live: each has less, none loses the file that it writes, and the bound holds. */
static void test_many_live(void **state)
{
	static struct conslog l[64];
	char chunk[2048], name[32], file[64];
	int i, j;

	(void)state;
	memset(chunk, 'x', sizeof(chunk));
	log_set_total(4 << 20);
	for (i = 0; i < 64; i++) {
		name_of(name, i);
		assert_int_equal(log_open(&l[i], dir, name, true), 0);
	}
	for (j = 0; j < 100; j++)
		for (i = 0; i < 64; i++)
			assert_int_equal(log_write(&l[i], chunk, sizeof(chunk)), 0);
	assert_true(all() <= 4 << 20);
	for (i = 0; i < 64; i++) {
		snprintf(file, sizeof(file), "guest-n%04d.log", i);
		assert_true(size_of(file) > 0);
		log_close(&l[i]);
	}
	drop_all();
	log_set_total(LOG_TOTAL);
}

/* A disk that is full says so, each time; and what could not be opened is tried again. */
static void test_full_disk(void **state)
{
	char path[64], target[128];
	struct conslog l;

	(void)state;
	assert_int_equal(log_open(&l, dir, "g", true), 0);
	close(l.fd);
	l.fd = open("/dev/full", O_WRONLY);
	assert_int_equal(log_write(&l, "x", 1), -1);
	assert_int_equal(errno, ENOSPC);
	log_close(&l);
	drop("guest-g.log");
	/* Not there yet */
	snprintf(path, sizeof(path), "%s/later", dir);
	assert_int_equal(log_open(&l, path, "g", true), -1);
	assert_int_equal(log_write(&l, "x", 1), -1);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(log_write(&l, "y", 1), 0);
	log_close(&l);
	assert_int_equal(size_of("later/guest-g.log"), 1);
	snprintf(target, sizeof(target), "%s/guest-g.log", path);
	unlink(target);
	rmdir(path);
}

/* How much it takes to look at all logs when @n are open. */
static unsigned long compared_among(unsigned int n)
{
	struct conslog *l = calloc(n, sizeof(*l));
	char name[32];
	unsigned int i;

	assert_non_null(l);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "g%u", i * 7919 % n);
		if (i == n - 1)
			compared = 0;
		assert_int_equal(log_open(&l[i], dir, name, true), 0);
	}
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "guest-g%u.log", i);
		log_close(&l[i]);
		drop(name);
	}
	free(l);
	return compared;
}

/* Four times as many logs take little more than four times as much, and not sixteen times. */
static void test_look_around(void **state)
{
	unsigned long few = compared_among(64), many = compared_among(256);

	(void)state;
	assert_true(few >= 64);
	assert_true(many < 8 * few);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounded),	    cmocka_unit_test(test_lives),
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_all_together),
		cmocka_unit_test(test_many_live),   cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_look_around),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
