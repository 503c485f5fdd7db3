// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenconsoled's service of one guest, with a pretended hypervisor: log, backlog, clients, fairness.
 * Owns the fakes of the event channel and grant libraries.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

#include "guest.h"

static struct xencons_interface *page;
static int notified, unmasked, unbound, unmapped, refuse;
static char dir[] = "/tmp/test_console.XXXXXX";
static struct daemon d;

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	(void)xgt;
	(void)domid;
	(void)prot;
	assert_int_equal(ref, 0);
	errno = EPERM;
	return refuse == 1 ? NULL : page;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
	(void)xgt;
	assert_ptr_equal(start, page);
	assert_int_equal(count, 1);
	unmapped++;
	return 0;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	assert_int_equal(port, 42);
	notified++;
	return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
						     evtchn_port_t remote_port)
{
	(void)xce;
	(void)domid;
	assert_int_equal(remote_port, 2);
	errno = EINVAL;
	return refuse == 2 ? -1 : 42;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	(void)port;
	unbound++;
	return 0;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	(void)port;
	unmasked++;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	page = calloc(1, sizeof(*page));
	notified = unmasked = unbound = unmapped = refuse = 0;
	d = (struct daemon){ .epoll = epoll_create1(0),
			     .inotify = inotify_init1(IN_NONBLOCK),
			     .log_dir = dir,
			     .sock_dir = dir };
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "guest-g.log", "guest-g.log.1", "guest-g.log.2" };
	char path[128];
	unsigned int i;

	(void)state;
	for (i = 0; i < count_of(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	free(page);
	close(d.epoll);
	close(d.inotify);
	return 0;
}

static void print(const char *s, size_t n)
{
	while (n--)
		page->out[MASK_XENCONS_IDX(page->out_prod++, page->out)] = *s++;
}

static int client(const struct guest *g)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(a.sun_path, g->sock_path, sizeof(a.sun_path) - 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* A client that has its place. */
static int joined(struct guest *g)
{
	int fd = client(g);

	guest_accept(&d, g);
	return fd;
}

static size_t receive(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0 ? n : 0;
}

static void read_log(char *buf, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/guest-g.log", dir);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static void test_output(void **state)
{
	char buf[4096];
	struct guest *g;
	int a, b;

	(void)state;
	/* Printed before anyone was there: not lost. */
	print("first ", 6);
	g = guest_open(&d, 5, "g", 2, true);
	assert_non_null(g);
	print("second ", 7);
	guest_serve(&d, g, 0);
	assert_true(notified >= 2);
	assert_int_equal(unmasked, 1);
	a = joined(g);
	receive(a, buf, sizeof(buf));
	assert_string_equal(buf, "first second ");
	/* The next one sees only what comes. */
	b = joined(g);
	print("third", 5);
	guest_serve(&d, g, 1);
	receive(a, buf, sizeof(buf));
	assert_string_equal(buf, "third");
	receive(b, buf, sizeof(buf));
	assert_string_equal(buf, "third");
	/* The last words, after the last event. */
	close(a);
	print(" end", 4);
	guest_close(&d, g);
	receive(b, buf, sizeof(buf));
	assert_string_equal(buf, " end");
	assert_int_equal(recv(b, buf, 1, 0), 0);
	close(b);
	read_log(buf, sizeof(buf));
	assert_string_equal(buf, "first second third end");
	assert_int_equal(unbound, 1);
	assert_int_equal(unmapped, 1);
}

static void test_input(void **state)
{
	char buf[8192];
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int fd = client(g);

	(void)state;
	guest_accept(&d, g);
	assert_int_equal(send(fd, "ls\n", 3, 0), 3);
	guest_client_input(&d, &g->client[0]);
	assert_int_equal(page->in_prod, 3);
	assert_memory_equal(page->in, "ls\n", 3);
	/* More than the ring and our buffer hold: the client waits, nothing is lost. */
	memset(buf, 'k', sizeof(buf));
	assert_int_equal(send(fd, buf, sizeof(buf), 0), sizeof(buf));
	while (!g->client[0].stopped)
		guest_client_input(&d, &g->client[0]);
	assert_int_equal(page->in_prod, sizeof(page->in));
	page->in_cons = page->in_prod;
	guest_serve(&d, g, 0);
	assert_int_equal(page->in_prod, 2 * sizeof(page->in));
	assert_false(g->client[0].stopped);
	/* A client that goes is forgotten. */
	close(fd);
	while (g->client[0].fd >= 0) {
		page->in_cons = page->in_prod;
		guest_serve(&d, g, 0);
		guest_client_input(&d, &g->client[0]);
	}
	guest_close(&d, g);
}

static void test_fair(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	char chunk[2048];
	long served = 0;
	int64_t now;

	(void)state;
	memset(chunk, 'f', sizeof(chunk));
	g->share_at = 0;
	/* A flood for ten seconds: it gets its burst and its rate, and is told to wait else. */
	for (now = 0; now < 10000; now++) {
		while (!guest_delay(g, now)) {
			print(chunk, sizeof(chunk));
			g->ready = true;
			guest_serve(&d, g, now);
			assert_false(g->ready);
			served += sizeof(chunk);
		}
	}
	assert_true(served <= SHARE_BURST + 10000L * SHARE_PER_MS + (long)sizeof(chunk));
	assert_true(served >= 10000L * SHARE_PER_MS - (long)sizeof(chunk));
	/* Events with nothing behind them cost as well. */
	now += 100000;
	for (served = 0; !guest_delay(g, now); served++)
		guest_serve(&d, g, now);
	assert_true(served <= SHARE_BURST / EVENT_COST + 1);
	assert_true(guest_delay(g, now) <= 2);
	guest_close(&d, g);
}

static void test_backlog(void **state)
{
	static char buf[BACKLOG + 1024];
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	char line[32];
	int i, fd;

	(void)state;
	for (i = 0; i < 3000; i++) {
		snprintf(line, sizeof(line), "line %6d\n", i);
		print(line, 12);
		guest_serve(&d, g, i);
	}
	fd = joined(g);
	i = 0;
	for (;;) {
		size_t n = receive(fd, buf + i, sizeof(buf) - i);

		if (!n)
			break;
		i += n;
	}
	assert_int_equal(i, BACKLOG);
	assert_string_equal(buf + BACKLOG - 12, "line   2999\n");
	close(fd);
	guest_close(&d, g);
}

/* Old output does not make the terminal of whoever comes answer; live output is his own. */
static void test_replay(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	char buf[256];
	int fd;

	(void)state;
	print("\x1b[31mred\x1b[m \x1b[6n\x1b[?1000hlogin: ", 31);
	guest_serve(&d, g, 0);
	fd = joined(g);
	receive(fd, buf, sizeof(buf));
	assert_string_equal(buf, "\x1b[31mred\x1b[m login: ");
	print("\x1b[6n", 4);
	guest_serve(&d, g, 1);
	receive(fd, buf, sizeof(buf));
	assert_string_equal(buf, "\x1b[6n");
	/* The log is what was printed. */
	read_log(buf, sizeof(buf));
	assert_int_equal(strlen(buf), 35);
	close(fd);
	guest_close(&d, g);
}

static int open_tty(const struct guest *g)
{
	int fd = open(g->pty.path, O_RDWR | O_NOCTTY | O_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

/* The kernel carries bytes from one end to the other in the background. */
static void expect_tty(int fd, const char *text)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t n = 0, want = strlen(text);
	char buf[64];

	while (n < want) {
		ssize_t r;

		assert_int_equal(poll(&pfd, 1, 5000), 1);
		r = read(fd, buf + n, sizeof(buf) - n);
		assert_true(r > 0);
		n += r;
	}
	assert_int_equal(n, want);
	assert_memory_equal(buf, text, want);
}

/* Whether the event loop is told of something at the pty within so many milliseconds. */
static bool told(struct guest *g, int ms)
{
	struct epoll_event ev[8];
	int n = epoll_wait(d.epoll, ev, 8, ms), i;

	for (i = 0; i < n; i++)
		if (ev[i].data.ptr == &g->tty)
			return true;
	return false;
}

/* Nobody there: no busy loop, and the output waits in the backlog. Returns the descriptor of one who opens it then. */
static int come_to_tty(struct guest *g)
{
	struct inotify_event opened;
	struct stat st;
	int fd;

	assert_int_equal(strncmp(g->pty.path, "/dev/pts/", 9), 0);
	assert_int_equal(stat(g->pty.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	guest_tty_event(&d, g);
	while (told(g, 50))
		guest_tty_event(&d, g);
	print("before\r\n", 8);
	guest_serve(&d, g, 0);
	fd = open_tty(g);
	assert_int_equal(read(d.inotify, &opened, sizeof(opened)), sizeof(opened));
	assert_int_equal(opened.wd, g->pty.watch);
	guest_tty_event(&d, g);
	expect_tty(fd, "before\r\n");
	return fd;
}

/* Raw both ways: nothing is echoed, no signals, no ends of lines made up. */
static void test_tty(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int fd = come_to_tty(g);
	char c;

	(void)state;
	print("$ \n", 3);
	guest_serve(&d, g, 1);
	expect_tty(fd, "$ \n");
	assert_int_equal(write(fd, "l\x03\r", 3), 3);
	while (page->in_prod < 3) {
		assert_true(told(g, 5000));
		guest_tty_event(&d, g);
	}
	assert_memory_equal(page->in, "l\x03\r", 3);
	assert_int_equal(read(fd, &c, 1), -1);
	guest_close(&d, g);
	assert_int_equal(read(fd, &c, 1), 0);
	close(fd);
}

/* More than the ring and our buffer take waits, and nothing that is typed is lost. */
static void test_tty_input_waits(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int fd = come_to_tty(g), i, sent;
	char typed[3000];

	(void)state;
	for (i = 0; i < (int)sizeof(typed); i++)
		typed[i] = 'a' + i % 26;
	for (sent = i = 0; sent < 4 * (int)sizeof(typed); i++) {
		ssize_t w = write(fd, typed + sent % sizeof(typed),
				  sizeof(typed) - sent % sizeof(typed));

		sent += w > 0 ? w : 0;
		assert_true(i < 5 || told(g, 5000) || g->tty.stopped);
		guest_tty_event(&d, g);
		if (g->tty.stopped)
			break;
	}
	assert_true(g->tty.stopped);
	for (i = 0; i < sent;) {
		while (page->in_cons != page->in_prod)
			assert_int_equal(page->in[MASK_XENCONS_IDX(page->in_cons++, page->in)],
					 typed[i++ % sizeof(typed)]);
		guest_serve(&d, g, 2);
		if (i < sent && page->in_cons == page->in_prod) {
			assert_true(told(g, 5000));
			guest_tty_event(&d, g);
		}
	}
	assert_false(g->tty.stopped);
	close(fd);
	guest_close(&d, g);
}

/* One goes, with output unread and settings of his own; the next one gets his own. */
static void test_tty_of_the_next_one(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int fd = come_to_tty(g);
	struct termios t;

	(void)state;
	assert_int_equal(tcgetattr(fd, &t), 0);
	t.c_lflag |= ECHO | ICANON;
	t.c_oflag |= OPOST | ONLCR;
	assert_int_equal(tcsetattr(fd, TCSANOW, &t), 0);
	print("unread", 6);
	guest_serve(&d, g, 3);
	close(fd);
	while (g->pty.watched) {
		assert_true(told(g, 5000));
		guest_tty_event(&d, g);
	}
	while (told(g, 50))
		guest_tty_event(&d, g);
	print("missed", 6);
	guest_serve(&d, g, 4);
	fd = open_tty(g);
	print(" seen", 5);
	guest_serve(&d, g, 5);
	expect_tty(fd, "missed seen");
	assert_int_equal(tcgetattr(fd, &t), 0);
	assert_false(t.c_lflag & (ECHO | ICANON));
	assert_false(t.c_oflag & OPOST);
	close(fd);
	guest_close(&d, g);
}

/* Whatever those who look do not do: the ring is emptied each time, and the log has it all. */
static void test_nobody_is_waited_for(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int tty = open_tty(g), fd[3], i;
	char chunk[2048];
	struct stat st;
	char path[128];

	(void)state;
	for (i = 0; i < 3; i++) {
		fd[i] = joined(g);
	}
	memset(chunk, 'x', sizeof(chunk));
	for (i = 0; i < 4000; i++) {
		print(chunk, sizeof(chunk));
		guest_serve(&d, g, i * 10);
		assert_int_equal(page->out_cons, page->out_prod);
	}
	snprintf(path, sizeof(path), "%s/guest-g.log.2", dir);
	assert_int_equal(stat(path, &st), 0);
	for (i = 0; i < 3; i++)
		close(fd[i]);
	close(tty);
	guest_close(&d, g);
}

/* A full disk costs the log, and one message with the guest's name. */
static void test_full_disk(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int full = open("/dev/full", O_WRONLY), err = dup(2), i, log = dup(g->log.fd);
	char path[128], buf[512], *lost, *again;
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "%s/stderr", dir);
	assert_non_null(freopen(path, "w", stderr));
	dup2(full, g->log.fd);
	for (i = 0; i < 100; i++) {
		print("word\n", 5);
		guest_serve(&d, g, i * 10);
		assert_int_equal(page->out_cons, page->out_prod);
	}
	dup2(log, g->log.fd);
	print("last\n", 5);
	guest_serve(&d, g, i * 10);
	fflush(stderr);
	dup2(err, 2);
	f = fopen(path, "r");
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	unlink(path);
	lost = strstr(buf, "domain 5 (g): its console log loses output: No space left on device\n");
	again = strstr(buf, "domain 5 (g): its console log is written again\n");
	assert_ptr_equal(lost, buf);
	assert_ptr_equal(again, strchr(buf, '\n') + 1);
	assert_string_equal(strchr(again, '\n'), "\n");
	read_log(buf, sizeof(buf));
	assert_string_equal(buf, "last\n");
	close(full);
	close(err);
	close(log);
	guest_close(&d, g);
}

/* One who has typed more than the guest reads, and leaves: the guest gets it all, and until then nobody is kept busy. */
static void test_left_input(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int fd = client(g), spins = 0, n, left = 6000;
	struct epoll_event ev[8];
	char typed[6000];

	(void)state;
	guest_accept(&d, g);
	memset(typed, 't', sizeof(typed));
	assert_int_equal(write(fd, typed, sizeof(typed)), sizeof(typed));
	close(fd);
	while ((n = epoll_wait(d.epoll, ev, 8, 0)) > 0 && spins++ < 100)
		while (n--)
			if (ev[n].data.ptr == &g->client[0])
				guest_client_input(&d, &g->client[0]);
	assert_in_range(spins, 1, 20);
	assert_true(g->client[0].stopped);
	while (page->in_cons != page->in_prod) {
		left -= page->in_prod - page->in_cons;
		page->in_cons = page->in_prod;
		guest_serve(&d, g, 0);
		while (epoll_wait(d.epoll, ev, 1, 0) > 0 && g->client[0].fd >= 0 &&
		       !g->client[0].stopped)
			guest_client_input(&d, &g->client[0]);
	}
	assert_int_equal(left, 0);
	assert_int_equal(g->client[0].fd, -1);
	guest_close(&d, g);
}

static void test_many_clients(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int fd[CLIENTS_MAX + 1], i;
	char buf[128];

	(void)state;
	for (i = 0; i <= CLIENTS_MAX; i++) {
		fd[i] = joined(g);
	}
	receive(fd[CLIENTS_MAX], buf, sizeof(buf));
	assert_string_equal(buf, "xenconsoled: too many are connected already\r\n");
	for (i = 0; i <= CLIENTS_MAX; i++)
		close(fd[i]);
	guest_close(&d, g);
}

/* So many have typed more than the guest reads that nothing more is taken, and left: they keep nobody out. */
static void test_leavers_keep_nobody_out(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	char typed[PENDING_INPUT + sizeof(page->in)], buf[128];
	int fd, i;

	(void)state;
	memset(typed, 't', sizeof(typed));
	for (i = 0; i < CLIENTS_MAX; i++) {
		fd = joined(g);
		assert_int_equal(send(fd, typed, sizeof(typed), 0), sizeof(typed));
		while (!g->client[i].stopped)
			guest_client_input(&d, &g->client[i]);
		close(fd);
		assert_true(g->client[i].fd >= 0);
	}
	fd = joined(g);
	print("hello", 5);
	guest_serve(&d, g, 1);
	receive(fd, buf, sizeof(buf));
	assert_string_equal(buf, "hello");
	/* When the guest reads again, he types. */
	while (page->in_cons != page->in_prod) {
		page->in_cons = page->in_prod;
		guest_serve(&d, g, 2);
	}
	assert_int_equal(send(fd, "ls\n", 3, 0), 3);
	for (i = 0; i < CLIENTS_MAX; i++)
		guest_client_input(&d, &g->client[i]);
	assert_true(page->in_prod - page->in_cons >= 3);
	close(fd);
	guest_close(&d, g);
}

/* Those who are there and do not read: the next one gets the place of one of them, but of nobody who reads. */
static void test_deaf_keep_nobody_out(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	static char chunk[2048], buf[1 << 20];
	int fd[CLIENTS_MAX], late, i, round;

	(void)state;
	for (i = 0; i < CLIENTS_MAX; i++) {
		fd[i] = joined(g);
	}
	memset(chunk, 'x', sizeof(chunk));
	for (round = 0; round < 4000; round++) {
		print(chunk, sizeof(chunk));
		guest_serve(&d, g, round * 10);
		assert_int_equal(receive(fd[0], buf, sizeof(buf)), sizeof(chunk));
		assert_int_equal(receive(fd[1], buf, sizeof(buf)), sizeof(chunk));
	}
	for (i = 0; i < 3; i++) {
		late = joined(g);
		print("hello", 5);
		guest_serve(&d, g, (round + i) * 10);
		assert_int_equal(receive(late, buf, sizeof(buf)), 5);
		assert_int_equal(receive(fd[0], buf, sizeof(buf)), 5);
		assert_int_equal(receive(fd[1], buf, sizeof(buf)), 5);
		close(late);
	}
	for (i = 0; i < CLIENTS_MAX; i++)
		close(fd[i]);
	guest_close(&d, g);
}

static void test_hostile(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	unsigned int seed = 7;
	int i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		page->out_prod = rand_r(&seed) * 3u;
		page->in_cons = rand_r(&seed) * 3u;
		page->in_prod = page->out_cons = rand_r(&seed);
		guest_serve(&d, g, i * 100);
	}
	/* Closing does not wait for a guest that goes on printing. */
	guest_close(&d, g);
	assert_int_equal(unmapped, 1);
}

static void test_refused(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/5", dir);
	for (refuse = 1; refuse <= 2; refuse++) {
		unmapped = 0;
		assert_null(guest_open(&d, 5, "g", 2, true));
		assert_int_equal(unmapped, refuse - 1);
		assert_int_equal(access(path, F_OK), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_output, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fair, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backlog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_replay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tty_input_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tty_of_the_next_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leavers_keep_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deaf_keep_nobody_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
