// SPDX-License-Identifier: BSD-2-Clause
/*
 * A pretended hypervisor and guests for the whole xenconsoled.
 */
#define _GNU_SOURCE
#include "fake_consoled.h"

int xenconsoled_main(int argc, char **argv);

struct shared *sh;
int event[2];
char path[9][64];
pid_t store_pid, daemon_pid;
struct xs_handle *xs;
static char dir[] = "/tmp/test_consoled.XXXXXX";

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
	__atomic_fetch_add(&sh->lists, 1, __ATOMIC_SEQ_CST);
	*out = calloc(2, sizeof(**out));
	for (i = 0; i < 2; i++)
		if (sh->there[i])
			(*out)[n++].domain = FIRST + i;
	return n;
}

int pv_domain_info(struct pv *pv, uint32_t domid, struct xen_domctl_getdomaininfo *info)
{
	(void)pv;
	memset(info, 0, sizeof(*info));
	info->domain = domid;
	return (domid == FIRST || domid == SECOND) && sh->there[domid - FIRST] ? 0 : -ESRCH;
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
	if (port == 2)
		return PORT + domid;
	if (port > GUEST_PORT && port <= GUEST_PORT + CHANNELS)
		return CHANNEL_PORT + port - GUEST_PORT;
	errno = EINVAL;
	return -1;
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
	(void)prot;
	if (!ref && !sh->refuses)
		return &sh->ring[domid - FIRST];
	if (ref > GRANT && ref <= GRANT + CHANNELS) {
		__atomic_fetch_add(&sh->mapped, 1, __ATOMIC_SEQ_CST);
		return &sh->channel[ref - GRANT];
	}
	errno = EINVAL;
	return NULL;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
	(void)xgt;
	(void)count;
	if (start >= (void *)sh->channel && start < (void *)(sh->channel + CHANNELS + 1))
		__atomic_fetch_sub(&sh->mapped, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* --- a guest ----------------------------------------------------------------------------------- */

static void signal_port(uint32_t domid)
{
	int port = PORT + domid;

	assert_int_equal(write(event[1], &port, sizeof(port)), sizeof(port));
}

bool until(bool (*done)(uint32_t domid), uint32_t domid)
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

bool typed(uint32_t domid)
{
	struct xencons_interface *r = &sh->ring[domid - FIRST];

	return __atomic_load_n(&r->in_prod, __ATOMIC_SEQ_CST) != r->in_cons;
}

/* The guest prints, and is not kept waiting. */
void print(uint32_t domid, const char *s)
{
	struct xencons_interface *r = &sh->ring[domid - FIRST];

	while (*s)
		r->out[MASK_XENCONS_IDX(r->out_prod++, r->out)] = *s++;
	signal_port(domid);
	assert_true(until(taken, domid));
}

void describe(uint32_t domid, const char *name)
{
	char node[64];

	snprintf(node, sizeof(node), "/local/domain/%u/name", domid);
	assert_true(xs_write(xs, XBT_NULL, node, name, strlen(name)));
	snprintf(node, sizeof(node), "/local/domain/%u/console/port", domid);
	assert_true(xs_write(xs, XBT_NULL, node, "2", 1));
	sh->there[domid - FIRST] = true;
}

bool announced(uint32_t domid)
{
	char node[64], *tty;

	snprintf(node, sizeof(node), "/local/domain/%u/console/tty", domid);
	tty = xs_read(xs, XBT_NULL, node, NULL);
	free(tty);
	return tty;
}

bool log_ends(const char *file, const char *end)
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

void start_store(void)
{
	store_pid = fork();
	if (!store_pid) {
		execl(XENSTORED, "xenstored", "-F", "--no-domains", "--pid-file", "none",
		      "--socket", path[SOCKET], NULL);
		_exit(127);
	}
	assert_true(until(store_answers, 0));
}

void kill_store(void)
{
	xs_close(xs);
	xs = NULL;
	kill(store_pid, SIGKILL);
	assert_int_equal(waitpid(store_pid, NULL, 0), store_pid);
}

void start_daemon(void)
{
	char *argv[] = { "xenconsoled", "-F",		"--pid-file",  path[PID], "--log-dir",
			 path[LOGS],	"--socket-dir", path[SOCKETS], NULL };

	daemon_pid = fork();
	if (!daemon_pid)
		exit(xenconsoled_main(8, argv));
}

int world_new(void)
{
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return sh == MAP_FAILED || pipe2(event, O_NONBLOCK) ? -1 : 0;
}

int world_teardown(void **state)
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

int world_begin(void)
{
	static const char *const names[] = { "xs",
					     "pid",
					     "logs",
					     "sockets",
					     "logs/guest-first.log",
					     "logs/guest-second.log",
					     "sockets/5",
					     "sockets/6",
					     "agent" };
	unsigned int i;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir))
		return 1;
	for (i = 0; i < count_of(names); i++)
		snprintf(path[i], sizeof(path[i]), "%s/%s", dir, names[i]);
	return setenv("XENSTORED_PATH", path[SOCKET], 1);
}

void world_end(void)
{
	rmdir(dir);
}
