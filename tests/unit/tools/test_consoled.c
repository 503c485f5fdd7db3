// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenconsoled's whole event loop, with a real xenstored and a pretended hypervisor: what goes on while xenstored is dead or does
 * not answer. Owns that hypervisor, which the daemon, a child, shares with the test.
 */
#define _GNU_SOURCE
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <xenstore.h>

#include "guest.h"

/* Each step, of which many follow one another while xenstored is away; that itself lasts as long as the test wants. */
#define PATIENCE_MS 5000
#define FIRST 5 /* domids */
#define SECOND 6
#define PORT 100 /* and the domid: the daemon's own number of the channel */

int xenconsoled_main(int argc, char **argv);

static struct shared {
	bool there[2]; /* FIRST, SECOND */
	struct xencons_interface ring[2];
} * sh;
static int event[2]; /* a pipe of port numbers */
static char dir[] = "/tmp/test_consoled.XXXXXX", path[9][64];
enum { SOCKET, PID, LOGS, SOCKETS, LOG1, LOG2, SOCK1, SOCK2, NOTIFY };
static pid_t store_pid, daemon_pid;
static struct xs_handle *xs;

/* --- the hypervisor ---------------------------------------------------------------------------- */

int pv_open(struct pv **out, struct pv_err *err)
{
	(void)err;
	*out = NULL;
	return 0;
}

int pv_domain_list(struct pv *pv, struct xen_domctl_getdomaininfo **out)
{
	int i, n = 0;

	(void)pv;
	*out = calloc(2, sizeof(**out));
	for (i = 0; i < 2; i++)
		if (sh->there[i])
			(*out)[n++].domain = FIRST + i;
	return n;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	(void)logger;
	(void)flags;
	return (void *)event;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	(void)xce;
	return event[0];
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	int port;

	(void)xce;
	return read(event[0], &port, sizeof(port)) == sizeof(port) ? port : -1;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	(void)port;
	return 0;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	(void)port;
	return 0;
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce;
	(void)port;
	return 0;
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
						     evtchn_port_t port)
{
	(void)xce;
	(void)port;
	return PORT + domid;
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
	(void)logger;
	(void)flags;
	return (void *)event;
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	(void)xgt;
	(void)ref;
	(void)prot;
	return &sh->ring[domid - FIRST];
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
	(void)xgt;
	(void)start;
	(void)count;
	return 0;
}

/* --- a guest ----------------------------------------------------------------------------------- */

static void signal_port(uint32_t domid)
{
	int port = PORT + domid;

	assert_int_equal(write(event[1], &port, sizeof(port)), sizeof(port));
}

static bool until(bool (*done)(uint32_t domid), uint32_t domid)
{
	int ms;

	for (ms = 0; !done(domid) && ms < PATIENCE_MS; ms += 5)
		usleep(5000);
	return done(domid);
}

static bool taken(uint32_t domid)
{
	struct xencons_interface *r = &sh->ring[domid - FIRST];

	return __atomic_load_n(&r->out_cons, __ATOMIC_SEQ_CST) == r->out_prod;
}

static bool typed(uint32_t domid)
{
	struct xencons_interface *r = &sh->ring[domid - FIRST];

	return __atomic_load_n(&r->in_prod, __ATOMIC_SEQ_CST) != r->in_cons;
}

/* The guest prints, and is not kept waiting. */
static void print(uint32_t domid, const char *s)
{
	struct xencons_interface *r = &sh->ring[domid - FIRST];

	while (*s)
		r->out[MASK_XENCONS_IDX(r->out_prod++, r->out)] = *s++;
	signal_port(domid);
	assert_true(until(taken, domid));
}

static void describe(uint32_t domid, const char *name)
{
	char node[64];

	snprintf(node, sizeof(node), "/local/domain/%u/name", domid);
	assert_true(xs_write(xs, XBT_NULL, node, name, strlen(name)));
	snprintf(node, sizeof(node), "/local/domain/%u/console/port", domid);
	assert_true(xs_write(xs, XBT_NULL, node, "2", 1));
	sh->there[domid - FIRST] = true;
}

static bool announced(uint32_t domid)
{
	char node[64], *tty;

	snprintf(node, sizeof(node), "/local/domain/%u/console/tty", domid);
	tty = xs_read(xs, XBT_NULL, node, NULL);
	free(tty);
	return tty;
}

static bool log_ends(const char *file, const char *end)
{
	static char buf[65536];
	FILE *f = fopen(file, "r");
	size_t n;

	if (!f)
		return false;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	return n >= strlen(end) && !strcmp(buf + n - strlen(end), end);
}

/* --- the processes ------------------------------------------------------------------------------ */

static bool store_answers(uint32_t unused)
{
	(void)unused;
	if (!xs)
		xs = xs_open(XS_OPEN_NOWAIT);
	if (xs && xs_is_domain_introduced(xs, 0))
		return true;
	xs_close(xs);
	xs = NULL;
	return false;
}

static void start_store(void)
{
	store_pid = fork();
	if (!store_pid) {
		execl(XENSTORED, "xenstored", "-F", "--no-domains", "--pid-file", "none",
		      "--socket", path[SOCKET], NULL);
		_exit(127);
	}
	assert_true(until(store_answers, 0));
}

static void kill_store(void)
{
	xs_close(xs);
	xs = NULL;
	kill(store_pid, SIGKILL);
	assert_int_equal(waitpid(store_pid, NULL, 0), store_pid);
}

static void start_daemon(void)
{
	char *argv[] = { "xenconsoled", "-F",		"--pid-file",  path[PID], "--log-dir",
			 path[LOGS],	"--socket-dir", path[SOCKETS], NULL };

	daemon_pid = fork();
	if (!daemon_pid)
		exit(xenconsoled_main(8, argv));
}

static int setup(void **state)
{
	(void)state;
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED || pipe2(event, O_NONBLOCK))
		return -1;
	start_store();
	describe(FIRST, "first");
	start_daemon();
	assert_true(until(announced, FIRST));
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	kill(store_pid, SIGKILL);
	kill(daemon_pid, SIGKILL);
	waitpid(store_pid, NULL, 0);
	waitpid(daemon_pid, NULL, 0);
	xs_close(xs);
	xs = NULL;
	munmap(sh, sizeof(*sh));
	close(event[0]);
	close(event[1]);
	snprintf(cmd, sizeof(cmd), "rm -rf %s/*", dir);
	return system(cmd);
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

/* Of a service manager that has a watchdog. */
static void test_manager_is_told(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = 20 };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), i;
	char text[32];
	ssize_t n;

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path[NOTIFY]);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	kill(daemon_pid, SIGKILL);
	waitpid(daemon_pid, NULL, 0);
	setenv("NOTIFY_SOCKET", path[NOTIFY], 1);
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
	unlink(path[NOTIFY]);
}

int main(void)
{
	static const char *const names[] = { "xs",
					     "pid",
					     "logs",
					     "sockets",
					     "logs/guest-first.log",
					     "logs/guest-second.log",
					     "sockets/5",
					     "sockets/6",
					     "notify" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_xenstored_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_guest_ends_without_xenstored, setup, teardown),
		cmocka_unit_test_setup_teardown(test_xenstored_does_not_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_manager_is_told, setup, teardown),
	};
	unsigned int i;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	for (i = 0; i < count_of(names); i++)
		snprintf(path[i], sizeof(path[i]), "%s/%s", dir, names[i]);
	setenv("XENSTORED_PATH", path[SOCKET], 1);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
