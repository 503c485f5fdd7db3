// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenconsoled's service of one guest, with a pretended hypervisor: log, backlog, clients, fairness.
 * Owns the fakes of the event channel and grant libraries.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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
	d = (struct daemon){ .epoll = epoll_create1(0), .log_dir = dir, .sock_dir = dir };
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
	a = client(g);
	guest_accept(&d, g);
	receive(a, buf, sizeof(buf));
	assert_string_equal(buf, "first second ");
	/* The next one sees only what comes. */
	b = client(g);
	guest_accept(&d, g);
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
	fd = client(g);
	guest_accept(&d, g);
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
	fd = client(g);
	guest_accept(&d, g);
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

static void test_many_clients(void **state)
{
	struct guest *g = guest_open(&d, 5, "g", 2, true);
	int fd[CLIENTS_MAX + 1], i;
	char buf[128];

	(void)state;
	for (i = 0; i <= CLIENTS_MAX; i++) {
		fd[i] = client(g);
		guest_accept(&d, g);
	}
	receive(fd[CLIENTS_MAX], buf, sizeof(buf));
	assert_string_equal(buf, "xenconsoled: too many are connected already\r\n");
	for (i = 0; i <= CLIENTS_MAX; i++)
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
		cmocka_unit_test_setup_teardown(test_many_clients, setup, teardown),
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
