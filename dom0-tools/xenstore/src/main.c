// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenstored: options, start-up, main loop, orderly end.
 * It owns the process: daemon, pid file, signals, epoll.
 * Started without -F it returns success only when clients can connect.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domains.h"
#include "hv.h"
#include "journal.h"
#include "liveupdate.h"
#include "notify.h"
#include "record.h"
#include "sock.h"
#include "util.h"
#include "watch.h"

#define DEFAULT_SOCKET "/run/xenstored/socket"
#define DEFAULT_PID "/run/xenstored/xenstored.pid"

/* Exit codes */
enum { OK = 0, FAILED = 1, USAGE = 2, RUNNING = 3 };

static struct options {
	const char *socket, *pid_file, *log, *journal, *check, *live;
	bool foreground, trace, no_domains, fresh;
} opt = { .socket = DEFAULT_SOCKET, .pid_file = DEFAULT_PID };

static int ep = -1, listen_fd = -1, sig_fd = -1, pid_fd = -1;
static char tag_listen, tag_signal, tag_event;

static void usage(FILE *f)
{
	fprintf(f,
		"Usage: xenstored [options]\n"
		"The store of the host's domains. Returns when clients can connect.\n\n"
		"  -F, --foreground     stay in the foreground, log to stderr\n"
		"      --pid-file FILE  (default " DEFAULT_PID "; \"none\": no file)\n"
		"      --socket FILE    (default $XENSTORED_PATH or " DEFAULT_SOCKET ")\n"
		"      --log FILE       log there instead of syslog\n"
		"      --trace          log each request\n"
		"      --journal FILE   what survives a kill -9, on tmpfs (default: \"journal\" beside\n"
		"                       the socket; \"none\": nothing does)\n"
		"      --fresh          begin with an empty store, whatever the journal holds\n"
		"      --check-journal FILE  read it, say what is wrong with it, and end\n"
		"      --no-domains     serve sockets only, do not look for a hypervisor\n"
		"  -h, --help           this text\n\n"
		"Exit codes: 0 serving (or ended in order), 1 start failed, 2 wrong usage, "
		"3 already running.\n");
}

static void parse_options(int argc, char **argv)
{
	enum {
		O_PID = 256,
		O_SOCKET,
		O_LOG,
		O_TRACE,
		O_NODOM,
		O_JOURNAL,
		O_FRESH,
		O_CHECK,
		O_LIVE
	};
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "foreground", no_argument, NULL, 'F' },
		{ "no-fork", no_argument, NULL, 'F' },
		{ "pid-file", required_argument, NULL, O_PID },
		{ "socket", required_argument, NULL, O_SOCKET },
		{ "log", required_argument, NULL, O_LOG },
		{ "trace", no_argument, NULL, O_TRACE },
		{ "no-domains", no_argument, NULL, O_NODOM },
		{ "journal", required_argument, NULL, O_JOURNAL },
		{ "fresh", no_argument, NULL, O_FRESH },
		{ "check-journal", required_argument, NULL, O_CHECK },
		{ "live-update", required_argument, NULL, O_LIVE }, /* for ourselves */
		{ 0 },
	};
	int o;

	if (getenv("XENSTORED_PATH"))
		opt.socket = getenv("XENSTORED_PATH");
	while ((o = getopt_long(argc, argv, "hFN", longs, NULL)) != -1) {
		switch (o) {
		case 'h':
			usage(stdout);
			exit(OK);
		case 'F':
		case 'N':
			opt.foreground = true;
			break;
		case O_PID:
			opt.pid_file = optarg;
			break;
		case O_SOCKET:
			opt.socket = optarg;
			break;
		case O_LOG:
			opt.log = optarg;
			break;
		case O_TRACE:
			opt.trace = true;
			break;
		case O_NODOM:
			opt.no_domains = true;
			break;
		case O_JOURNAL:
			opt.journal = optarg;
			break;
		case O_FRESH:
			opt.fresh = true;
			break;
		case O_CHECK:
			opt.check = optarg;
			break;
		case O_LIVE:
			opt.live = optarg;
			break;
		default:
			usage(stderr);
			exit(USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "xenstored: unexpected argument \"%s\"\n", argv[optind]);
		exit(USAGE);
	}
}

static void die(int code, int err, const char *what, const char *name)
{
	fprintf(stderr, "xenstored: %s %s: %s\n", what, name, strerror(err));
	/* a socket that nobody serves would make clients wait instead of fail */
	if (listen_fd >= 0)
		unlink(opt.socket);
	exit(code);
}

/* The pid file is locked while we live; a second daemon with the same file finds that out. */
static void take_pid_file(void)
{
	char text[16];
	int n;

	if (!strcmp(opt.pid_file, "none"))
		return;
	pid_fd = open(opt.pid_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (pid_fd < 0)
		die(FAILED, errno, "cannot write", opt.pid_file);
	if (flock(pid_fd, LOCK_EX | LOCK_NB))
		die(errno == EWOULDBLOCK ? RUNNING : FAILED, errno, "cannot lock", opt.pid_file);
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(pid_fd, 0) || write(pid_fd, text, (size_t)n) != n)
		die(FAILED, errno, "cannot write", opt.pid_file);
}

/* Splits off the daemon. The parent waits for a byte that says "serving", or passes the failure on.
 */
static int daemonize(void)
{
	int fds[2], status;
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		die(FAILED, errno, "cannot make", "a pipe");
	pid = fork();
	if (pid < 0)
		die(FAILED, errno, "cannot", "fork");
	if (!pid) {
		close(fds[0]);
		setsid();
		return fds[1];
	}
	close(fds[1]);
	if (read(fds[0], &byte, 1) == 1)
		_exit(OK);
	status = FAILED;
	if (waitpid(pid, &status, 0) == pid)
		status = WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
	_exit(status ? status : FAILED);
}

static void daemon_ready(int fd)
{
	int null = open("/dev/null", O_RDWR);

	if (chdir("/") || write(fd, "", 1) != 1)
		xlog(LOG_ERR_, "cannot tell the parent: %s", strerror(errno));
	close(fd);
	if (null < 0)
		return;
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	if (!opt.log)
		log_to_syslog();
}

static void ep_add(int fd, uint32_t events, void *tag)
{
	struct epoll_event ev = { .events = events, .data.ptr = tag };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev))
		xlog(LOG_ERR_, "epoll: %s", strerror(errno));
}

static void initial_tree(void)
{
	static const char *const paths[] = { "/tool/xenstored", "/local/domain", "/vm" };

	for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++)
		store_do(&(struct op){ .kind = OP_MKDIR, .path = (char *)paths[i] });
}

/* Where the journal is. NULL: there is none. */
static const char *journal_file(void)
{
	static char *path;
	const char *slash = strrchr(opt.socket, '/');

	if (opt.journal)
		return strcmp(opt.journal, "none") ? opt.journal : NULL;
	if (!path)
		path = xasprintf("%.*s%s", slash ? (int)(slash - opt.socket + 1) : 0, opt.socket,
				 "journal");
	return path;
}

/* Takes up what there was. Returns whether there was something. */
static bool take_up(void)
{
	const char *journal = journal_file();
	bool found = false;
	struct conn *c;

	if (journal && (!opt.fresh || opt.live))
		found = recover(journal);
	if (opt.live && !found) {
		/* cannot be: the program was tried out on it a moment ago */
		fprintf(stderr, "xenstored: live update: no state in %s\n", journal);
		exit(FAILED);
	}
	for (c = TAILQ_FIRST(&conns); opt.live && c; c = TAILQ_NEXT(c, all)) {
		if (!c->ring)
			sock_adopt(c, ep);
	}
	record_path(journal);
	/* before anything moves: what is found now must be found again if this one dies too */
	if (found)
		record_checkpoint();
	return found;
}

static void set_up_domains(bool recovered)
{
	const char *why = "";
	int err;

	if (opt.no_domains) {
		if (recovered)
			recover_attach(opt.live);
		return;
	}
	err = hv_init(&why);
	if (err)
		die(FAILED, -err, "cannot open", why);
	err = domains_init();
	if (err)
		die(FAILED, -err, "cannot bind", "VIRQ_DOM_EXC");
	if (recovered)
		recover_attach(opt.live);
	err = dom_need(0)->conn ? 0 : domain_introduce_dom0();
	if (err && err != -ENODEV)
		die(FAILED, -err, "cannot serve", "dom0's ring");
	if (hv_event_fd() >= 0)
		ep_add(hv_event_fd(), EPOLLIN, &tag_event);
}

static void set_up(void)
{
	struct rlimit lim;
	sigset_t set;
	bool recovered;

	if (opt.log) {
		int err = log_open(opt.log);

		if (err)
			die(FAILED, -err, "cannot open", opt.log);
	}
	log_trace(opt.trace);
	if (!getrlimit(RLIMIT_NOFILE, &lim)) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (sig_fd < 0 || ep < 0)
		die(FAILED, errno, "cannot make", "epoll and signal descriptors");
	ep_add(sig_fd, EPOLLIN, &tag_signal);

	/*
	 * the socket tells best whether somebody serves already, so it comes before all else that
	 * is shared
	 */
	if (opt.live) {
		if (sscanf(opt.live, "%d,%d", &listen_fd, &pid_fd) != 2)
			exit(USAGE);
		fcntl(listen_fd, F_SETFD, FD_CLOEXEC);
		if (pid_fd >= 0)
			fcntl(pid_fd, F_SETFD, FD_CLOEXEC);
		sock_spare();
	} else {
		listen_fd = sock_listen(opt.socket);
		if (listen_fd < 0)
			die(listen_fd == -EADDRINUSE ? RUNNING : FAILED, -listen_fd,
			    "cannot listen at", opt.socket);
		take_pid_file();
	}
	ep_add(listen_fd, EPOLLIN, &tag_listen);
	store_init();
	watch_init();
	clock_update();
	recovered = take_up();
	if (!recovered)
		initial_tree();
	set_up_domains(recovered);
	record_checkpoint();
	if (recovered)
		xlog(LOG_INFO_, "taken up from %s after %s: %zu watches", journal_file(),
		     opt.live ? "a live update" : "the last daemon's end", watch_count());
}

/* Returns false when it is time to end. */
static bool got_signal(void)
{
	struct signalfd_siginfo si;

	if (read(sig_fd, &si, sizeof(si)) != sizeof(si))
		return true;
	if (si.ssi_signo == SIGHUP) {
		if (opt.log)
			log_open(opt.log);
		return true;
	}
	xlog(LOG_INFO_, "ended by signal %u", si.ssi_signo);
	return false;
}

static void got_events(void)
{
	uint32_t port;

	/* bounded, so that a storm of events does not keep us from serving */
	for (int i = 0; i < 256 && hv_next_event(&port); i++)
		domains_event(port);
}

static void serve(void)
{
	struct epoll_event ev[64];
	bool more = true;
	int n, wait;

	clock_update();
	for (;;) {
		wait = notify_wait(conn_timers());
		n = epoll_wait(ep, ev, ARRAY_SIZE(ev), more ? 0 : wait);
		clock_update();
		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == &tag_signal) {
				if (!got_signal())
					return;
			} else if (ev[i].data.ptr == &tag_event) {
				got_events();
			} else if (ev[i].data.ptr == &tag_listen) {
				sock_accept(listen_fd, ep);
			} else {
				sock_event(ev[i].data.ptr, ev[i].events);
			}
		}
		more = conn_run_all();
		if (live_update_due())
			live_update_go();
	}
}

static void tear_down(void)
{
	/* the store stays in the journal, for the next daemon */
	journal_close();
	while (!TAILQ_EMPTY(&conns))
		conn_free(TAILQ_FIRST(&conns));
	if (!opt.no_domains)
		hv_exit();
	watch_exit();
	store_exit();
	unlink(opt.socket);
	if (pid_fd >= 0)
		unlink(opt.pid_file);
}

static int check_journal(void)
{
	store_init();
	watch_init();
	if (!recover(opt.check)) {
		fprintf(stderr, "xenstored: %s: no state in it\n", opt.check);
		return FAILED;
	}
	return recover_lost ? FAILED : OK;
}

int main(int argc, char **argv)
{
	int ready = -1;

	parse_options(argc, argv);
	if (opt.check)
		return check_journal();
	if (opt.live && !opt.foreground && !opt.log)
		log_to_syslog();
	if (!opt.foreground && !opt.live)
		ready = daemonize();
	set_up();
	live_update_init(&(struct live_update){ argv, listen_fd, pid_fd, journal_file() });
	if (ready >= 0)
		daemon_ready(ready);
	notify_ready();
	serve();
	tear_down();
	return OK;
}
