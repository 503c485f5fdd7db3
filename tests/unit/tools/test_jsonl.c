// SPDX-License-Identifier: BSD-2-Clause
/*
 * jsonl.c and events.c: lines are whole or not there, whoever writes at once and however full the disk is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "events.h"
#include "jsonl.h"
#include "test.h"

static char dir[] = "/tmp/jsonl.XXXXXX", path[64], old[64];

/* What of util.c these need. */
char *xl_sprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	return s;
}

int xl_mkdir(const char *name)
{
	return mkdir(name, 0755);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/log", dir);
	snprintf(old, sizeof(old), "%s/log.1", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(old);
	return rmdir(dir);
}

static void fresh(void)
{
	unlink(path);
	unlink(old);
}

static void quoting(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "\"\"" },
		{ "plain", "\"plain\"" },
		{ "a\"b\\c", "\"a\\\"b\\\\c\"" },
		{ "a\nb\tc", "\"a\\nb\\tc\"" },
		/* What would control a terminal, and what is no UTF-8, becomes text. */
		{ "\x1b[2J", "\"^[[2J\"" },
		{ "\xff", "\"\\\\xff\"" },
		{ "\xc3\xa4", "\"\xc3\xa4\"" },
	};
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *q = json_quote(cases[i].in), *line = NULL;
		struct jsonl_field *f;

		assert_string_equal(q, cases[i].out);
		/* And back: the same but for what has been made text. */
		assert_true(asprintf(&line, "{\"k\": %s}", q) > 0);
		f = jsonl_parse(line, &n);
		assert_non_null(f);
		assert_int_equal(n, 1);
		if (i < 4 || i == 6)
			assert_string_equal(jsonl_get(f, n, "k"), cases[i].in);
		jsonl_free(f, n);
		free(line);
		free(q);
	}
}

static void times(void **state)
{
	char text[JSON_TIME];

	(void)state;
	json_time(1795841713123LL, text);
	assert_string_equal(text, "2026-11-28T04:55:13.123Z");
	assert_int_equal(json_time_parse(text), 1795841713123LL);
	assert_int_equal(json_time_parse("2026-11-28T04:55:13Z"), 1795841713000LL);
	assert_int_equal(json_time_parse("2026-11-28T04:55:13.5"), 1795841713500LL);
	assert_int_equal(json_time_parse("yesterday"), -1);
	assert_int_equal(json_time_parse("2026-11-28T04:55:13Zx"), -1);
	assert_int_equal(json_time_parse("2026-11-28"), -1);
}

static void parsing(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{}",
		"{\"a\"}",
		"{\"a\": }",
		"{\"a\": \"b}",
		"{\"a\": 1,}",
		"{\"a\": 1} x",
		"{\"a\": [1]}",
		"{\"a\": {\"b\": 1}}",
		"{\"a\": \"\\q\"}",
		"{\"a\": \"\\u0000\"}",
		"{\"a\": truth}",
		"[1]",
	};
	struct jsonl_field *f;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_null(jsonl_parse(bad[i], &n));
	f = jsonl_parse(" { \"a\":1.5, \"b\" : \"x\\u0041\\/\" , \"c\": null, \"d\": true } ", &n);
	assert_non_null(f);
	assert_int_equal(n, 4);
	assert_true(jsonl_number(f, n, "a") == 1.5);
	assert_string_equal(jsonl_get(f, n, "b"), "xA/");
	assert_true(f[1].string && !f[2].string);
	assert_string_equal(jsonl_get(f, n, "d"), "true");
	assert_null(jsonl_get(f, n, "e"));
	assert_true(jsonl_number(f, n, "b") == 0);
	jsonl_free(f, n);
}

static unsigned int seen, last_number;

static void count(const char *line, void *ctx)
{
	size_t n;
	struct jsonl_field *f = jsonl_parse(line, &n);

	if (!f)
		return;
	seen++;
	if (ctx)
		last_number = jsonl_number(f, n, "n");
	jsonl_free(f, n);
}

/* However much is written, the two files have their bound, and the newest is there. */
static void rotation(void **state)
{
	char line[200];
	struct stat st;
	int i;

	(void)state;
	fresh();
	for (i = 0; i < 5 * JSONL_MAX / 100; i++) {
		snprintf(line, sizeof(line), "{\"n\": %d, \"more\": \"%090d\"}", i, 0);
		assert_true(jsonl_append(path, line));
	}
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= JSONL_MAX + (off_t)sizeof(line));
	assert_int_equal(stat(old, &st), 0);
	assert_true(st.st_size <= JSONL_MAX && st.st_size >= JSONL_MAX - (off_t)sizeof(line));
	seen = 0;
	jsonl_each(path, count, &seen);
	assert_int_equal(last_number, i - 1);
	assert_true(seen >= JSONL_MAX / sizeof(line));
	/* What cannot be a line is none. */
	assert_false(jsonl_append(path, "{\"a\":\n1}"));
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	char *longer = malloc(JSONL_LINE + 1);
	memset(longer, 'x', JSONL_LINE);
	longer[JSONL_LINE] = '\0';
	assert_false(jsonl_append(path, longer));
	free(longer);
}

static unsigned int of_name[4];

static void count_names(const char *line, void *ctx)
{
	static const char *const names[] = { "quiet", "web-2", "web-1", "fast-1" };
	size_t n, i;
	struct jsonl_field *f = jsonl_parse(line, &n);
	const char *name = f ? jsonl_string(f, n, "name") : NULL;

	assert_non_null(name);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		of_name[i] += !strcmp(name, names[i]);
	if (!strncmp(name, "fast", 4))
		*(unsigned int *)ctx = jsonl_number(f, n, "n");
	jsonl_free(f, n);
}

/* One whose lives are many, under its own name and those of its dead, pushes out nobody else's lines. */
static void shares(void **state)
{
	static const char *const quiet[] = { "quiet", "web-2", "web-1" };
	char line[200];
	struct stat st;
	unsigned int newest = 0;
	int i, j;

	(void)state;
	fresh();
	memset(of_name, 0, sizeof(of_name));
	for (j = 0; j < 3; j++)
		for (i = 0; i < 10; i++) {
			snprintf(line, sizeof(line), "{\"name\": \"%s\", \"n\": %d}", quiet[j], i);
			assert_true(jsonl_append(path, line));
		}
	for (i = 0; i < 8 * JSONL_MAX / 100; i++) {
		if (i % 3)
			snprintf(line, sizeof(line),
				 "{\"name\": \"fast\", \"n\": %d, \"more\": \"%060d\"}", i, 0);
		else
			snprintf(line, sizeof(line),
				 "{\"name\": \"fast-%d\", \"n\": %d, \"more\": \"%060d\"}",
				 i / 3 + 1, i, 0);
		assert_true(jsonl_append(path, line));
	}
	jsonl_each(path, count_names, &newest);
	for (j = 0; j < 3; j++)
		assert_int_equal(of_name[j], 10);
	assert_int_equal(of_name[3], 0);
	assert_int_equal(newest, i - 1);
	assert_int_equal(stat(old, &st), 0);
	assert_true(st.st_size <= JSONL_MAX);
	/* More names than there is room for lines: the newest. */
	fresh();
	for (i = 0; i < 4 * JSONL_MAX / 30; i++) {
		snprintf(line, sizeof(line), "{\"name\": \"one%d\", \"n\": %d}", i, i);
		assert_true(jsonl_append(path, line));
	}
	seen = 0;
	jsonl_each(path, count, &seen);
	assert_int_equal(last_number, i - 1);
	assert_true(seen >= JSONL_MAX / 40);
	assert_int_equal(stat(old, &st), 0);
	assert_true(st.st_size <= JSONL_MAX);
}

/* Killed before the newer half was gone: no line is there twice after the next time. */
static void put_together_twice(void **state)
{
	char command[200];
	int i;

	(void)state;
	fresh();
	for (i = 0; i < JSONL_MAX / 100; i++) {
		char line[200];

		snprintf(line, sizeof(line), "{\"name\": \"a\", \"n\": %d, \"more\": \"%060d\"}", i,
			 0);
		assert_true(jsonl_append(path, line));
	}
	snprintf(command, sizeof(command), "cp %s %s", path, old);
	assert_int_equal(system(command), 0);
	assert_true(jsonl_append(path, "{\"name\": \"a\", \"n\": 7}"));
	assert_true(jsonl_trim(old, path, JSONL_MAX));
	assert_int_equal(unlink(path), 0);
	seen = 0;
	jsonl_each(path, count, &seen);
	assert_int_equal(seen, i + 1);
	assert_int_equal(last_number, 7);
}

/* Four write at once, over several rotations: no line is torn, and nobody loses the present file. */
static void at_once(void **state)
{
	int i, j, status;
	FILE *f;
	char line[300];

	(void)state;
	fresh();
	for (j = 0; j < 4; j++) {
		if (fork())
			continue;
		for (i = 0; i < JSONL_MAX / 100; i++) {
			snprintf(line, sizeof(line), "{\"n\": %d, \"who\": \"%0*d\"}", i,
				 80 + 10 * j, j);
			if (!jsonl_append(path, line))
				_exit(1);
		}
		_exit(0);
	}
	for (j = 0; j < 4; j++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (j = 0; j < 2; j++) {
		f = fopen(j ? old : path, "r");
		assert_non_null(f);
		while (fgets(line, sizeof(line), f)) {
			size_t n;
			struct jsonl_field *fields;

			assert_non_null(strchr(line, '\n'));
			*strchr(line, '\n') = '\0';
			/* Between two: another was in the middle of its line when this one looked. */
			if (!*line)
				continue;
			fields = jsonl_parse(line, &n);
			assert_non_null(fields);
			jsonl_free(fields, n);
		}
		fclose(f);
	}
}

/* A disk that is full in the middle of a line: that one is lost, the next is whole. */
static void full_disk(void **state)
{
	struct rlimit limit, small = { 100, RLIM_INFINITY };
	struct stat st;
	int i;

	(void)state;
	fresh();
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small.rlim_max = limit.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_true(
		jsonl_append(path, "{\"n\": 1, \"more\": \"0123456789012345678901234567890\"}"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_false(jsonl_append(
		path, "{\"n\": 2, \"more\": \"012345678901234567890123456789012345678901234\"}"));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(jsonl_append(path, "{\"n\": 3}"));
	seen = 0;
	jsonl_each(path, count, &seen);
	assert_int_equal(seen, 2);
	assert_int_equal(last_number, 3);
	/* No place at all. */
	assert_false(jsonl_append("/nonexistent/log", "{\"n\": 4}"));
	/* Nor where somebody would have to read. */
	fresh();
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(jsonl_append(path, "{\"n\": 5}"));
	/* The older half cannot be put aside: the bound holds all the same. */
	fresh();
	assert_int_equal(mkdir(old, 0700), 0);
	for (i = 0; i < 3 * JSONL_MAX / 20; i++)
		assert_true(jsonl_append(path, "{\"n\": 6, \"more\": \"0123456789\"}"));
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= JSONL_MAX + 100);
	assert_int_equal(rmdir(old), 0);
	/* Not through a link that somebody has put there. */
	fresh();
	assert_int_equal(symlink("/tmp/jsonl-elsewhere", path), 0);
	assert_false(jsonl_append(path, "{\"n\": 5}"));
	assert_int_equal(access("/tmp/jsonl-elsewhere", F_OK), -1);
}

static void words(void **state)
{
	char *text = event_text("{\"time\": \"T\", \"event\": \"crashed\", \"domid\": 3, "
				"\"name\": \"a\", \"reason\": \"crash\"}");

	(void)state;
	assert_string_equal(text, "T crashed         a (3) reason=crash");
	free(text);
	text = event_text(
		"{\"time\": \"T\", \"event\": \"started\", \"domid\": 3, \"name\": null}");
	assert_string_equal(text, "T started         null (3)");
	free(text);
	assert_null(event_text("{\"time\": \"T\", \"event\": \"crashed\"}"));
	assert_null(event_text("half a li"));
}

/* A syslogd that is there and does not read costs messages, and no time. */
static void deaf_syslogd(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), i, got = 0;
	char text[400];

	(void)state;
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/syslog", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	setenv("FAKE_SYSLOG", un.sun_path, 1);
	alarm(60);
	/* More than any queue takes. */
	for (i = 0; i < 2000; i++)
		xl_event(EVENT_CRASHED, 3, "a", ", \"reason\": \"%s\"", "crash");
	alarm(0);
	while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0 && ++got < 2000)
		;
	assert_true(got > 0 && got < 2000);
	text[sizeof(text) - 1] = '\0';
	assert_memory_equal(text, "<28>xl[", 7);
	assert_non_null(strstr(text, "]: crashed         a (3) reason=crash"));
	close(fd);
	/* And when it is not there */
	unlink(un.sun_path);
	xl_event(EVENT_STARTED, 3, NULL, "%s", "");
	unsetenv("FAKE_SYSLOG");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quoting), cmocka_unit_test(times),
		cmocka_unit_test(parsing), cmocka_unit_test(rotation),
		cmocka_unit_test(at_once), cmocka_unit_test(full_disk),
		cmocka_unit_test(words),   cmocka_unit_test(deaf_syslogd),
		cmocka_unit_test(shares),  cmocka_unit_test(put_together_twice),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
