// SPDX-License-Identifier: BSD-2-Clause
/*
 * What our library has beyond Xen's, against the real xenstored. Many requests of a transaction sent together (xs_batch_begin()): all
 * of them are done, or none, and whoever asks hears of the first that failed. Watches that tell who has come.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <xenstore.h>

#define NODES 400 /* several messages full */
#define VALUE 200

static char dir[] = "/tmp/batch.XXXXXX", path[64];
static struct xs_handle *xs;
static pid_t daemon_pid;

static void start_store(void)
{
	int i;

	daemon_pid = fork();
	assert_true(daemon_pid >= 0);
	if (!daemon_pid) {
		execl(XENSTORED, "xenstored", "-F", "--no-domains", "--pid-file", "none",
		      "--socket", path, NULL);
		_exit(127);
	}
	for (i = 0; i < 500 && access(path, F_OK); i++)
		usleep(20000);
	assert_int_equal(access(path, F_OK), 0);
}

static void kill_store(void)
{
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	unlink(path);
}

static int setup(void **state)
{
	(void)state;
	start_store();
	xs = xs_open(XS_OPEN_SOCKETONLY);
	return xs ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	/* The next daemon takes up what this one has. */
	xs_rm(xs, XBT_NULL, "/many");
	xs_close(xs);
	kill_store();
	return 0;
}

static char *node(int i)
{
	static char text[32];

	snprintf(text, sizeof(text), "/many/n%d", i);
	return text;
}

/* Of lengths that fill messages in ever other ways, none included. */
static void value(int i, char *text)
{
	memset(text, 'a' + i % 26, VALUE);
	text[i * 7 % VALUE] = '\0';
}

static bool write_one(xs_transaction_t t, int i)
{
	char text[VALUE + 1];

	value(i, text);
	return xs_write(xs, t, node(i), text, strlen(text));
}

static bool has(const char *what)
{
	char *v = xs_read(xs, XBT_NULL, what, NULL);

	free(v);
	return v;
}

static void test_all_arrive(void **state)
{
	struct xs_permissions perms[2] = { { .id = 0, .perms = XS_PERM_NONE },
					   { .id = 7, .perms = XS_PERM_READ } },
			      *got;
	char text[VALUE + 1], *v;
	unsigned int n;
	xs_transaction_t t = xs_transaction_start(xs);
	int i;

	(void)state;
	xs_batch_begin(xs, t);
	assert_true(xs_mkdir(xs, t, "/many"));
	assert_true(xs_set_permissions(xs, t, "/many", perms, 2));
	for (i = 0; i < NODES; i++) {
		assert_true(write_one(t, i));
		/* Who looks in between sees what has been written. */
		if (i % 97)
			continue;
		v = xs_read(xs, t, node(i), &n);
		value(i, text);
		assert_non_null(v);
		assert_string_equal(v, text);
		free(v);
	}
	/* Another request, which belongs to none, is done at once. */
	assert_true(xs_write(xs, XBT_NULL, "/other", "1", 1));
	assert_true(has("/other"));
	assert_true(xs_batch_end(xs));
	assert_false(has("/many"));
	assert_true(xs_transaction_end(xs, t, false));
	for (i = 0; i < NODES; i++) {
		v = xs_read(xs, XBT_NULL, node(i), &n);
		value(i, text);
		assert_non_null(v);
		assert_string_equal(v, text);
		free(v);
	}
	got = xs_get_permissions(xs, XBT_NULL, "/many", &n);
	assert_non_null(got);
	assert_int_equal(n, 2);
	assert_int_equal(got[1].id, 7);
	free(got);
	/* Afterwards each is done as it comes. */
	assert_false(xs_write(xs, XBT_NULL, "/bad//path", "1", 1));
	assert_int_equal(errno, EINVAL);
}

/* The one that fails is anywhere, and what comes later is not done either. */
static void test_one_fails(void **state)
{
	static const int bad[] = { 0, 3, 399 };
	xs_transaction_t t;
	unsigned int k;
	int i;

	(void)state;
	for (k = 0; k < sizeof(bad) / sizeof(*bad); k++) {
		t = xs_transaction_start(xs);
		xs_batch_begin(xs, t);
		for (i = 0; i < NODES; i++) {
			if (i == bad[k])
				xs_write(xs, t, "/bad//path", "1", 1);
			if (!write_one(t, i))
				assert_int_equal(errno, EINVAL);
		}
		assert_false(xs_batch_end(xs));
		assert_int_equal(errno, EINVAL);
		assert_true(xs_transaction_end(xs, t, true));
		assert_false(has("/many"));
	}
}

/* It has to be done again then, as any transaction. */
static void test_store_dies(void **state)
{
	xs_transaction_t t = xs_transaction_start(xs);
	int i;

	(void)state;
	xs_batch_begin(xs, t);
	for (i = 0; i < NODES; i++) {
		if (i == NODES / 2) {
			kill_store();
			start_store();
		}
		write_one(t, i);
	}
	assert_false(xs_batch_end(xs));
	assert_int_equal(errno, EAGAIN);
	xs_transaction_end(xs, t, true);
	assert_false(has("/many"));
	t = xs_transaction_start(xs);
	assert_int_not_equal(t, XBT_NULL);
	xs_batch_begin(xs, t);
	for (i = 0; i < NODES; i++)
		write_one(t, i);
	assert_true(xs_batch_end(xs));
	assert_true(xs_transaction_end(xs, t, false));
	assert_true(has(node(NODES - 1)));
}

/* The path of the next event, which the caller frees with the event. */
static char **next_event(void)
{
	unsigned int n;
	char **event = xs_read_watch(xs, &n);

	assert_non_null(event);
	assert_string_equal(event[XS_WATCH_TOKEN], "who");
	return event;
}

/* Who comes is told with a depth, by the next daemon, too. */
static void test_watch_limited(void **state)
{
	char **event;
	int i;

	(void)state;
	assert_true(xs_watch_limited(xs, "@introduceDomain", "who", 1));
	for (i = 0; i < 2; i++) {
		event = next_event();
		assert_string_equal(event[XS_WATCH_PATH], "@introduceDomain");
		free(event);
		assert_true(xs_introduce_domain(xs, 5 + i, 0, 1));
		event = next_event();
		assert_string_equal(event[XS_WATCH_PATH],
				    i ? "@introduceDomain/6" : "@introduceDomain/5");
		free(event);
		kill_store();
		start_store();
		/* The next request finds that out. */
		has("/");
	}
	assert_true(xs_unwatch(xs, "@introduceDomain", "who"));
	assert_true(xs_release_domain(xs, 5) && xs_release_domain(xs, 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_arrive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch_limited, setup, teardown),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/xs", dir);
	setenv("XENSTORED_PATH", path, 1);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	if (system(path))
		rc = 1;
	return rc;
}
