// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenconsoled's channels, through its whole event loop: a pty and a socket of one guest.
 */
#define _GNU_SOURCE
#include "fake_consoled.h"

#include <stdarg.h>

static void put(const char *value, const char *node, ...)
{
	char name[128];
	va_list ap;

	va_start(ap, node);
	vsnprintf(name, sizeof(name), node, ap);
	va_end(ap);
	assert_true(xs_write(xs, XBT_NULL, name, value, strlen(value)));
}

static char *get(unsigned int channel, const char *leaf)
{
	char name[128];

	snprintf(name, sizeof(name), "/local/domain/0/backend/console/%u/%u/%s", FIRST, channel,
		 leaf);
	return xs_read(xs, XBT_NULL, name, NULL);
}

/* What xl writes; of number 2 the socket. */
static void offer(unsigned int channel)
{
	static const char be[] = "/local/domain/0/backend/console/%u/%u/%s";

	put("5", be, FIRST, channel, "frontend-id");
	put(channel == 1 ? "pty" : "socket", be, FIRST, channel, "connection");
	if (channel != 1)
		put(path[AGENT], be, FIRST, channel, "path");
	put("1", be, FIRST, channel, "online");
	put("1", be, FIRST, channel, "state");
	put("", "/local/domain/%u/device/console/%u/tty", FIRST, channel);
	put("1", "/local/domain/%u/device/console/%u/state", FIRST, channel);
}

static void front(unsigned int channel, const char *leaf, const char *value)
{
	put(value, "/local/domain/%u/device/console/%u/%s", FIRST, channel, leaf);
}

/* As Linux's hvc_xen. */
static void front_connects(unsigned int channel)
{
	char number[12];

	snprintf(number, sizeof(number), "%u", GRANT + channel);
	front(channel, "ring-ref", number);
	snprintf(number, sizeof(number), "%u", GUEST_PORT + channel);
	front(channel, "port", number);
	front(channel, "state", "3");
}

static bool in_state(unsigned int channel, const char *state)
{
	char *now = NULL;
	bool is = false;
	int ms;

	for (ms = 0; !is && ms < PATIENCE_MS; ms += 5) {
		now = get(channel, "state");
		is = now && !strcmp(now, state);
		free(now);
		if (!is)
			usleep(5000);
	}
	return is;
}

static void notify(unsigned int channel)
{
	int port = CHANNEL_PORT + channel;

	assert_int_equal(write(event[1], &port, sizeof(port)), sizeof(port));
}

/* The guest's side: as many bytes as there is room for, or that are there. */
static size_t guest_writes(unsigned int channel, const char *buf, size_t n)
{
	struct xencons_interface *r = &sh->channel[channel];
	uint32_t cons = __atomic_load_n(&r->out_cons, __ATOMIC_SEQ_CST), prod = r->out_prod;
	size_t i;

	for (i = 0; i < n && prod - cons < sizeof(r->out); i++)
		r->out[MASK_XENCONS_IDX(prod++, r->out)] = buf[i];
	__atomic_store_n(&r->out_prod, prod, __ATOMIC_SEQ_CST);
	if (i)
		notify(channel);
	return i;
}

static size_t guest_reads(unsigned int channel, char *buf, size_t n)
{
	struct xencons_interface *r = &sh->channel[channel];
	uint32_t prod = __atomic_load_n(&r->in_prod, __ATOMIC_SEQ_CST), cons = r->in_cons;
	size_t i;

	for (i = 0; i < n && cons != prod; i++)
		buf[i] = r->in[MASK_XENCONS_IDX(cons++, r->in)];
	__atomic_store_n(&r->in_cons, cons, __ATOMIC_SEQ_CST);
	if (i)
		notify(channel);
	return i;
}

static void guest_gets(unsigned int channel, const char *text)
{
	char buf[256];
	size_t n = 0;
	int ms;

	for (ms = 0; n < strlen(text) && ms < PATIENCE_MS; ms += 5) {
		n += guest_reads(channel, buf + n, strlen(text) - n);
		usleep(5000);
	}
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static void end_gets(int fd, const char *text)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char buf[256];
	size_t n = 0;
	ssize_t r = 1;

	while (n < strlen(text) && r > 0 && poll(&pfd, 1, PATIENCE_MS) == 1) {
		r = read(fd, buf + n, strlen(text) - n);
		n += r > 0 ? r : 0;
	}
	assert_int_equal(n, strlen(text));
	assert_memory_equal(buf, text, n);
}

static bool is_quiet(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 100) == 0;
}

static int visit(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path, path[AGENT]);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int open_tty(void)
{
	char *name = get(1, "tty");
	int fd = name ? open(name, O_RDWR | O_NOCTTY) : -1;

	free(name);
	assert_true(fd >= 0);
	return fd;
}

static int setup_channels(void **state)
{
	(void)state;
	if (world_new())
		return -1;
	start_store();
	offer(1);
	offer(2);
	describe(FIRST, "first");
	start_daemon();
	assert_true(in_state(1, "2") && in_state(2, "2"));
	front_connects(1);
	front_connects(2);
	assert_true(in_state(1, "4") && in_state(2, "4"));
	assert_int_equal(sh->mapped, 2);
	return 0;
}

static void test_channel_pty(void **state)
{
	char *seen;
	int fd;

	(void)state;
	/* Kept until somebody is there, and not in the log. */
	assert_int_equal(guest_writes(1, "hello", 5), 5);
	usleep(100000);
	assert_int_equal(sh->channel[1].out_cons, 0);
	fd = open_tty();
	end_gets(fd, "hello");
	assert_int_equal(write(fd, "abc\n\4", 5), 5);
	guest_gets(1, "abc\n\4");
	assert_int_equal(guest_writes(1, "\0\r\n", 3), 3);
	end_gets(fd, "\0");
	close(fd);
	assert_true(log_ends(path[LOG1], ""));
	/* Xen's xenconsole looks there. */
	seen = xs_read(xs, XBT_NULL, "/local/domain/5/device/console/1/tty", NULL);
	assert_non_null(seen);
	assert_true(!strncmp(seen, "/dev/pts/", 9));
	free(seen);
}

static void test_channel_socket(void **state)
{
	int first, second;
	struct stat st;

	(void)state;
	assert_int_equal(stat(path[AGENT], &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	first = visit();
	assert_int_equal(write(first, "one", 3), 3);
	guest_gets(2, "one");
	second = visit();
	assert_int_equal(write(second, "two", 3), 3);
	assert_int_equal(guest_writes(2, "for one", 7), 7);
	end_gets(first, "for one");
	/* One at a time: the next one is not heard, and hears nothing, until the first has left. */
	assert_true(is_quiet(second));
	assert_int_equal(sh->channel[2].in_prod, 3);
	/* He has said all, and still listens. */
	shutdown(first, SHUT_WR);
	usleep(50000);
	assert_int_equal(guest_writes(2, "still", 5), 5);
	end_gets(first, "still");
	close(first);
	guest_gets(2, "two");
	assert_int_equal(guest_writes(2, "for two", 7), 7);
	end_gets(second, "for two");
	close(second);
}

/* More than any buffer holds, both ways, by ends that are slow: all of it, in order. */
static void much(unsigned int channel, int fd)
{
	static char text[400000], got[400000], back[400000];
	size_t written = 0, read_back = 0, sent = 0, seen = 0, i;
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (i = 0; i < sizeof(text); i++)
		text[i] = i * 7 / 3 + i / 251;
	for (i = 0; i < PATIENCE_MS * 4 && (seen < sizeof(text) || read_back < sizeof(text)); i++) {
		written += guest_writes(channel, text + written, sizeof(text) - written);
		n = write(fd, text + sent, sizeof(text) - sent);
		sent += n > 0 ? n : 0;
		/* Now the one, now the other does not read. */
		if (i % 100 > 50)
			seen += guest_reads(channel, got + seen, sizeof(got) - seen);
		n = i % 100 < 60 ? read(fd, back + read_back, sizeof(back) - read_back) : 0;
		read_back += n > 0 ? n : 0;
		usleep(500);
	}
	assert_int_equal(seen, sizeof(text));
	assert_int_equal(read_back, sizeof(text));
	assert_memory_equal(got, text, sizeof(text));
	assert_memory_equal(back, text, sizeof(text));
	close(fd);
}

static void test_channel_much(void **state)
{
	(void)state;
	much(2, visit());
	much(1, open_tty());
}

static void test_channel_daemon_dies(void **state)
{
	int fd;

	(void)state;
	kill(daemon_pid, SIGKILL);
	assert_int_equal(waitpid(daemon_pid, NULL, 0), daemon_pid);
	sh->mapped = 0; /* the kernel's doing */
	assert_int_equal(guest_writes(2, "meanwhile", 9), 9);
	assert_int_equal(guest_writes(1, "as well", 7), 7);
	put("", "/local/domain/%u/console/tty", FIRST);
	put("", "/local/domain/0/backend/console/%u/1/tty", FIRST);
	start_daemon();
	assert_true(until(announced, FIRST));
	assert_true(in_state(2, "4"));
	for (fd = 0; !__atomic_load_n(&sh->mapped, __ATOMIC_SEQ_CST) && fd < PATIENCE_MS; fd++)
		usleep(1000);
	fd = visit();
	end_gets(fd, "meanwhile");
	assert_int_equal(write(fd, "again", 5), 5);
	guest_gets(2, "again");
	close(fd);
	fd = open_tty();
	end_gets(fd, "as well");
	close(fd);
}

/* What a guest writes costs itself; and it may change its mind. */
static void test_channel_hostile(void **state)
{
	static const char *const values[] = {
		"3", "1", "4", "-1", "5", "99999999999", "", "x", "6"
	};
	unsigned int i;
	int fd;

	(void)state;
	describe(SECOND, "second");
	assert_true(xs_introduce_domain(xs, SECOND, 0, 1));
	assert_true(until(announced, SECOND));
	for (i = 0; i < 1000; i++) {
		front(2, "ring-ref", values[i % 7]);
		front(2, "port", values[i % 5]);
		front(2, "state", values[i % count_of(values)]);
		if (!(i % 100))
			print(SECOND, "at once\n");
	}
	/* A grant that is not one, a port that is not one, and nodes that are not there. */
	front(2, "port", "18");
	front(2, "ring-ref", "7777");
	front(2, "state", "4");
	assert_true(in_state(2, "2"));
	front_connects(2);
	assert_true(in_state(2, "4"));
	front(2, "port", "7777");
	front(2, "state", "3");
	assert_true(in_state(2, "2"));
	assert_true(xs_rm(xs, XBT_NULL, "/local/domain/5/device/console/2"));
	front_connects(2);
	assert_true(in_state(2, "4"));
	/* Indices that cannot be: bytes are lost, and no more than that. */
	sh->channel[2].out_prod += 5000;
	fd = visit();
	notify(2);
	assert_true(is_quiet(fd));
	assert_int_equal(guest_writes(2, "sane", 4), 4);
	end_gets(fd, "sane");
	/* As a driver that goes, and comes. */
	front(2, "state", "5");
	assert_true(in_state(2, "6"));
	assert_int_equal(sh->mapped, 1);
	front(2, "state", "6");
	assert_true(in_state(2, "2"));
	front_connects(2);
	assert_true(in_state(2, "4"));
	assert_int_equal(write(fd, "hello", 5), 5);
	guest_gets(2, "hello");
	close(fd);
}

static bool agent_gone(uint32_t unused)
{
	(void)unused;
	return access(path[AGENT], F_OK);
}

static void test_channel_ends(void **state)
{
	int fd = visit(), tty = open_tty();
	char c;

	(void)state;
	assert_int_equal(guest_writes(2, "last", 4), 4);
	end_gets(fd, "last");
	assert_true(xs_introduce_domain(xs, FIRST, 0, 1));
	sh->there[0] = false;
	assert_true(xs_release_domain(xs, FIRST));
	assert_true(until(agent_gone, FIRST));
	assert_int_equal(read(fd, &c, 1), 0);
	assert_true(read(tty, &c, 1) <= 0);
	assert_int_equal(__atomic_load_n(&sh->mapped, __ATOMIC_SEQ_CST), 0);
	close(fd);
	close(tty);
}

/* Taken away from a guest that stays: its next life has the same path. */
static void test_channel_taken_away(void **state)
{
	(void)state;
	put("0", "/local/domain/0/backend/console/%u/2/online", FIRST);
	assert_true(in_state(2, "6"));
	assert_true(agent_gone(FIRST));
	assert_int_equal(sh->mapped, 1);
	front_connects(2);
	print(FIRST, "lives\n");
	assert_int_equal(sh->mapped, 1);
}

/* What is there already stays, and costs the guest that channel. */
static void test_channel_in_the_way(void **state)
{
	char *why;
	FILE *f;

	(void)state;
	assert_int_equal(world_new(), 0);
	f = fopen(path[AGENT], "w");
	assert_non_null(f);
	fclose(f);
	start_store();
	offer(1);
	offer(2);
	describe(FIRST, "first");
	start_daemon();
	assert_true(in_state(1, "2") && in_state(2, "6"));
	why = get(2, "error");
	assert_non_null(why);
	assert_non_null(strstr(why, "it exists already"));
	free(why);
	assert_int_equal(access(path[AGENT], F_OK), 0);
	print(FIRST, "served\n");
}

/* xenstored dies under it: bytes go on, and what the guest's nodes say is seen when there is one again. */
static void test_channel_store_dies(void **state)
{
	int fd = visit();

	(void)state;
	kill_store();
	assert_int_equal(guest_writes(2, "without", 7), 7);
	end_gets(fd, "without");
	start_store();
	offer(1);
	offer(2);
	describe(FIRST, "first");
	front(2, "state", "5");
	assert_true(in_state(2, "6"));
	front_connects(2);
	assert_true(in_state(2, "4"));
	assert_int_equal(write(fd, "with", 4), 4);
	guest_gets(2, "with");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_channel_pty, setup_channels, world_teardown),
		cmocka_unit_test_setup_teardown(test_channel_socket, setup_channels,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_channel_much, setup_channels, world_teardown),
		cmocka_unit_test_setup_teardown(test_channel_daemon_dies, setup_channels,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_channel_hostile, setup_channels,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_channel_ends, setup_channels, world_teardown),
		cmocka_unit_test_setup_teardown(test_channel_taken_away, setup_channels,
						world_teardown),
		cmocka_unit_test_setup_teardown(test_channel_store_dies, setup_channels,
						world_teardown),
		cmocka_unit_test_teardown(test_channel_in_the_way, world_teardown),
	};
	int rc = world_begin();

	if (rc)
		return rc;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	world_end();
	return rc;
}
