// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenconsoled's whole event loop: what goes on while xenstored is dead or does not answer.
 */
#define _GNU_SOURCE
#include "fake_consoled.h"

static int setup(void **state)
{
	(void)state;
	if (world_new())
		return -1;
	start_store();
	describe(FIRST, "first");
	start_daemon();
	assert_true(until(announced, FIRST));
	return 0;
}

/* Consoles, logs and ptys go on while there is no xenstored; who comes meanwhile is served when there is one again. */
static void test_xenstored_dies(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), tty, i;
	char *name, line[32], buf[256];

	(void)state;
	name = xs_read(xs, XBT_NULL, "/local/domain/5/console/tty", NULL);
	assert_non_null(name);
	kill_store();
	for (i = 0; i < 20; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		print(FIRST, line);
		usleep(50000);
	}
	assert_true(log_ends(path[LOG1], "line 18\nline 19\n"));
	/* One who comes now. */
	strcpy(a.sun_path, path[SOCK1]);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(write(fd, "l", 1), 1);
	assert_true(until(typed, FIRST));
	sh->ring[0].in_cons = sh->ring[0].in_prod;
	assert_true(read(fd, buf, sizeof(buf)) > 0);
	tty = open(name, O_RDWR | O_NOCTTY);
	assert_true(tty >= 0);
	assert_int_equal(write(tty, "s", 1), 1);
	assert_true(until(typed, FIRST));
	close(tty);
	/* A guest that is made meanwhile, and one that goes. */
	sh->there[1] = true;
	start_store();
	describe(SECOND, "second");
	assert_true(xs_introduce_domain(xs, SECOND, 0, 1));
	assert_true(until(announced, SECOND));
	print(SECOND, "hello\n");
	assert_true(log_ends(path[LOG2], "hello\n"));
	print(FIRST, "as before\n");
	assert_true(log_ends(path[LOG1], "line 19\nas before\n"));
	close(fd);
	free(name);
}

static bool socket_gone(uint32_t domid)
{
	return access(path[SOCK1 + domid - FIRST], F_OK);
}

/* A guest that ends while there is no xenstored: its memory is let go, of which its socket's end tells. */
static void test_guest_ends_without_xenstored(void **state)
{
	(void)state;
	kill_store();
	sh->there[0] = false;
	assert_true(until(socket_gone, FIRST));
}

/* One that is there and does not answer costs the consoles a moment now and then; the next one is used. */
static void test_xenstored_does_not_answer(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int deaf = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, i;

	(void)state;
	kill_store();
	strcpy(a.sun_path, path[SOCKET]);
	unlink(a.sun_path);
	assert_int_equal(bind(deaf, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(deaf, 1), 0);
	fd = accept(deaf, NULL, NULL);
	assert_true(fd >= 0);
	for (i = 0; i < 20; i++)
		print(FIRST, "x");
	assert_true(log_ends(path[LOG1], "xxxxxxxxxxxxxxxxxxxx"));
	close(fd);
	close(deaf);
	unlink(a.sun_path);
	start_store();
	describe(SECOND, "second");
	assert_true(xs_introduce_domain(xs, SECOND, 0, 1));
	assert_true(until(announced, SECOND));
}

/* Who comes and who goes is looked at, and nobody else; who could not be served is not forgotten. */
static void test_one_comes(void **state)
{
	int lists;

	(void)state;
	/* The daemon's own start is over when the first one's output is taken. */
	print(FIRST, "here\n");
	lists = sh->lists;
	describe(SECOND, "second");
	assert_true(xs_introduce_domain(xs, SECOND, 0, 1));
	assert_true(until(announced, SECOND));
	print(SECOND, "hello\n");
	sh->there[1] = false;
	assert_true(xs_release_domain(xs, SECOND));
	assert_true(until(socket_gone, SECOND));
	assert_int_equal(sh->lists, lists);
	/* It cannot be had now; and is, as soon as anything happens when it can. */
	assert_true(xs_rm(xs, XBT_NULL, "/local/domain/6"));
	sh->refuses = true;
	describe(SECOND, "second");
	assert_true(xs_introduce_domain(xs, SECOND, 0, 1));
	assert_true(xs_introduce_domain(xs, SECOND + 1, 0, 1));
	print(FIRST, "still here\n");
	assert_false(announced(SECOND));
	sh->refuses = false;
	assert_true(xs_release_domain(xs, SECOND + 1));
	assert_true(until(announced, SECOND));
	assert_true(sh->lists > lists);
	print(SECOND, "hello again\n");
	assert_true(log_ends(path[LOG2], "hello again\n"));
}

/* Of a service manager that has a watchdog. */
static void test_manager_is_told(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), i;
	char text[32];
	ssize_t n;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path[AGENT]);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	setenv("NOTIFY_SOCKET", path[AGENT], 1);
	setenv("WATCHDOG_USEC", "100000", 1);
	start_daemon();
	for (i = 0; i < 4; i++) {
		n = recv(fd, text, sizeof(text) - 1, 0);
		assert_true(n > 0);
		text[n] = '\0';
		assert_string_equal(text, i ? "WATCHDOG=1" : "READY=1");
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	close(fd);
	unlink(path[AGENT]);
}

/* One from another host, before it has its name. */
static void test_incoming(void **state)
{
	(void)state;
	sh->there[1] = true;
	describe(SECOND, "second--incoming");
	assert_true(xs_introduce_domain(xs, SECOND, 0, 1));
	assert_true(until(announced, SECOND));
	print(SECOND, "here\n");
	assert_true(log_ends(path[LOG2], "here\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_xenstored_dies, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_guest_ends_without_xenstored, setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_xenstored_does_not_answer, setup,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_one_comes, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_manager_is_told, setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_incoming, setup, world_teardown),
	};
	int rc = world_begin();

	if (rc)
		return rc;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	world_end();
	return rc;
}
