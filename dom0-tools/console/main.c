// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenconsoled: dom0's end of all guests' consoles.
 * Owns the event loop and knowing which guests there are; survives a restart of xenstored, without which all goes on but the
 * coming of new guests, and a restart of its own loses nothing that is still in the rings.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xenstore.h>

#include "awake.h"
#include "channel.h"
#include "notify.h"

/* How soon a xenstored that is away is looked for; and, doubled each time, one that is there and does not answer. */
#define RETRY_MS 200
#define RETRY_MAX_MS 20000
/* The consoles wait as long as it takes to answer, and at most for this. */
#define STORE_MS 2000
#define START_MS 10000
#define EVENTS 64

static volatile sig_atomic_t stop;
static struct guest *served[DOMID_FIRST_RESERVED]; /* by number: those of the list */
static int store_lost; /* errno of what ended the connection to xenstored */

struct loop {
	struct daemon d;
	struct awake awake;
	struct xs_handle *xs;
	struct source store, events, opened;
	int64_t retry_at; /* without xs: when to look for xenstored again */
	int retry_ms;
	bool scanned; /* later guests are new in the world, not only to us */
	bool scan_next; /* someone could not be served: the next time that anybody comes or goes all are looked at */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* --- which guests there are ------------------------------------------------------------------ */

static char *read_node(struct xs_handle *xs, xs_transaction_t t, uint32_t domid, const char *leaf)
{
	char path[96];
	unsigned int len;

	snprintf(path, sizeof(path), "/local/domain/%u/%s", domid, leaf);
	return xs_read(xs, t, path, &len);
}

/*
 * Tells the world where the console is. In a transaction: a guest that is just being removed
 * must not get a node back.
 */
static bool announce(struct xs_handle *xs, const struct guest *g)
{
	char tty[96], sock[96], *port;
	xs_transaction_t t;
	bool there;
	int saved;

	/* They inherit their parent's rights: dom0 writes, the guest may read. */
	snprintf(tty, sizeof(tty), "/local/domain/%u/console/tty", g->domid);
	snprintf(sock, sizeof(sock), "/local/domain/%u/console/socket", g->domid);
	do {
		t = xs_transaction_start(xs);
		if (t == XBT_NULL)
			return false;
		port = read_node(xs, t, g->domid, "console/port");
		there = port && xs_write(xs, t, tty, g->pty.path, strlen(g->pty.path)) &&
			xs_write(xs, t, sock, g->sock_path, strlen(g->sock_path));
		saved = errno;
		free(port);
		if (!there) {
			xs_transaction_end(xs, t, true);
			/* EAGAIN: xenstored was started again under the transaction */
			errno = saved;
			continue;
		}
		if (xs_transaction_end(xs, t, false))
			return true;
	} while (errno == EAGAIN);
	return false;
}

/*
 * One that comes from another host is called so (xl's migrate.h) until it is there, which is behind its introduction: the log is that
 * of the name it will have.
 */
static void strip_incoming(char *name)
{
	static const char end[] = "--incoming";
	size_t n = name ? strlen(name) : 0, m = strlen(end);

	if (n > m && !strcmp(name + n - m, end))
		name[n - m] = '\0';
}

static void adopt(struct loop *l, uint32_t domid)
{
	char *port = read_node(l->xs, XBT_NULL, domid, "console/port");
	char *name = read_node(l->xs, XBT_NULL, domid, "name"), number[16];
	bool failed = false;
	struct guest *g;

	strip_incoming(name);
	/* Not written yet: @introduceDomain will come. */
	if (port && *port) {
		snprintf(number, sizeof(number), "%u", domid);
		g = guest_open(&l->d, domid, name && *name ? name : number, strtoul(port, NULL, 10),
			       l->scanned);
		if (g && !awake_enter(&l->awake, g) && announce(l->xs, g))
			channels_adopt(&l->d, l->xs, g);
		else
			failed = true;
		/* Without xenstored it is not known which channels there are: all of it again, then. */
		if (g && (failed || store_lost)) {
			awake_leave(&l->awake, g);
			guest_close(&l->d, g);
		} else if (g) {
			served[domid] = g;
			g->share_at = now_ms();
			g->next = l->d.guests;
			l->d.guests = g;
		}
	}
	l->scan_next |= failed;
	free(port);
	free(name);
}

/* It has gone, and its memory is free only when we let go. @p: what points to it */
static void let_go(struct loop *l, struct guest **p)
{
	struct guest *g = *p;

	*p = g->next;
	served[g->domid] = NULL;
	awake_leave(&l->awake, g);
	if (l->xs)
		channels_unwatch(l->xs, g);
	guest_close(&l->d, g);
}

/* Without xenstored only the dead go. */
static void scan(struct loop *l)
{
	static bool lives[DOMID_FIRST_RESERVED];
	struct xen_domctl_getdomaininfo *list = NULL;
	struct guest **p;
	int n = pv_domain_list(l->d.pv, &list), i;

	if (n < 0) {
		fprintf(stderr, "cannot list the domains: %s\n", strerror(-n));
		return;
	}
	l->scan_next = false;
	memset(lives, 0, sizeof(lives));
	for (i = 0; i < n; i++)
		if (list[i].domain && list[i].domain < DOMID_FIRST_RESERVED)
			lives[list[i].domain] = !(list[i].flags & XEN_DOMINF_dying);
	/* First the dead. */
	for (p = &l->d.guests; *p;) {
		if (lives[(*p)->domid])
			p = &(*p)->next;
		else
			let_go(l, p);
	}
	for (i = 0; l->xs && i < n; i++)
		if (list[i].domain < DOMID_FIRST_RESERVED && lives[list[i].domain] &&
		    !served[list[i].domain])
			adopt(l, list[i].domain);
	free(list);
	l->scanned |= l->xs && !store_lost;
}

/* The same of one: with a thousand guests a list of all for each that comes would be a thousand times a thousand. */
static void look_at(struct loop *l, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	int rc = pv_domain_info(l->d.pv, domid, &info);
	bool lives = !rc && !(info.flags & XEN_DOMINF_dying);
	struct guest **p;

	if (rc && rc != -ESRCH) {
		fprintf(stderr, "cannot ask for domain %u: %s\n", domid, strerror(-rc));
		l->scan_next = true;
	} else if (lives && !served[domid]) {
		adopt(l, domid);
	} else if (!lives && served[domid]) {
		for (p = &l->d.guests; *p != served[domid];)
			p = &(*p)->next;
		let_go(l, p);
	}
}

/* --- xenstore -------------------------------------------------------------------------------- */

static void on_lost(int err)
{
	store_lost = err;
}

static void disconnect(struct loop *l)
{
	if (l->xs) {
		epoll_ctl(l->d.epoll, EPOLL_CTL_DEL, l->store.fd, NULL);
		xs_close(l->xs);
	}
	l->xs = NULL;
	l->store.fd = -1;
	if (store_lost != ETIMEDOUT)
		l->retry_ms = RETRY_MS;
	else
		l->retry_ms = l->retry_ms < RETRY_MAX_MS / 2 ? l->retry_ms * 2 : RETRY_MAX_MS;
	l->retry_at = now_ms() + l->retry_ms;
	store_lost = 0;
}

/* Of who comes or goes, and if it can be of whom. */
static bool watch_domains(struct xs_handle *xs, const char *path)
{
	return xs_watch_limited(xs, path, "dom", 1) ||
	       (errno == EINVAL && xs_watch(xs, path, "dom"));
}

/* At once: nobody's console waits for a xenstored that is away. */
static bool connect_store(struct loop *l)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = &l->store } };
	struct guest *g;

	l->xs = xs_open(XS_OPEN_NOWAIT);
	if (l->xs) {
		xs_patience(l->xs, STORE_MS, &stop, on_lost);
		l->store.fd = xs_fileno(l->xs);
		if (watch_domains(l->xs, "@introduceDomain") &&
		    watch_domains(l->xs, "@releaseDomain") &&
		    !epoll_ctl(l->d.epoll, EPOLL_CTL_ADD, l->store.fd, &ev)) {
			for (g = l->d.guests; g; g = g->next)
				channels_watch(l->xs, g);
			return true;
		}
	}
	disconnect(l);
	return false;
}

/* A xenstored that starts at the same time as we do is waited for. */
static bool connect_first(struct loop *l)
{
	int64_t end = now_ms() + START_MS;
	int err;

	while (!connect_store(l)) {
		err = errno;
		if (stop || now_ms() >= end) {
			errno = err;
			return false;
		}
		usleep(RETRY_MS * 1000);
	}
	return true;
}

/* Looks for a xenstored that went, when it is time. Returns how long to sleep at most, -1: until something happens. */
static int tend_store(struct loop *l)
{
	int64_t left;

	if (l->xs && store_lost) {
		fprintf(stderr, "xenstored %s, trying again\n",
			store_lost == ETIMEDOUT ? "does not answer" : "is away");
		disconnect(l);
	}
	if (!l->xs && now_ms() >= l->retry_at) {
		if (connect_store(l))
			fprintf(stderr, "xenstored is there again\n");
		scan(l);
	}
	if (l->xs && !store_lost)
		return -1;
	left = l->xs ? 0 : l->retry_at - now_ms();
	return left > 0 ? (int)left : 0;
}

/* Whose coming or going the path is about, as "@releaseDomain/5"; 0: anybody's. */
static uint32_t whose(const char *path)
{
	const char *slash = strchr(path, '/');
	unsigned long domid = slash ? strtoul(slash + 1, NULL, 10) : 0;

	return domid < DOMID_FIRST_RESERVED ? domid : 0;
}

/* At most so many at once, since guests can cause them; the descriptor stays readable. */
static void store_event(struct loop *l)
{
	uint32_t domid[EVENTS];
	bool all = false;
	char **event = NULL;
	int n = EVENTS, nr = 0, i;

	while (n-- && (event = xs_check_watch(l->xs))) {
		if (!channels_changed(&l->d, event[XS_WATCH_TOKEN])) {
			domid[nr] = whose(event[XS_WATCH_PATH]);
			all |= !domid[nr++];
		}
		free(event);
	}
	if (!event && errno != EAGAIN) {
		store_lost = errno;
		return;
	}
	if (!nr)
		return;
	if (all || l->scan_next)
		scan(l);
	else
		for (i = 0; i < nr; i++)
			look_at(l, domid[i]);
	/* It answers again: how often it did not is over. */
	if (!store_lost)
		l->retry_ms = RETRY_MS;
}

/* --- the loop -------------------------------------------------------------------------------- */

static void port_events(struct loop *l)
{
	int port, n = EVENTS;

	while (n-- && (port = xenevtchn_pending(l->d.xce)) >= 0)
		awake_event(&l->awake, port);
}

/* True: there is something left to do, when the guest has a share again. */
static bool serve_channels(struct loop *l, struct guest *g, int64_t now)
{
	struct channel *c;
	bool left = false;

	for (c = g->channels; c; c = c->next) {
		if (l->xs && !store_lost)
			channel_look(&l->d, l->xs, c, now);
		if (c->ready)
			channel_serve(&l->d, c, now);
		left |= c->ready || (c->dirty && l->xs && !store_lost);
	}
	return left;
}

struct round {
	struct loop *l;
	int64_t now;
};

/* As awake_serve() asks. */
static int serve(struct guest *g, void *ctx)
{
	struct round *r = ctx;

	if (g->ready && !guest_delay(g, r->now))
		guest_serve(&r->l->d, g, r->now);
	if (!serve_channels(r->l, g, r->now) && !g->ready)
		return -1;
	return guest_delay(g, r->now);
}

/* Each ready guest once. Returns how long to sleep at most, -1 = until something happens. */
static int serve_ready(struct loop *l)
{
	struct round r = { l, now_ms() };

	return awake_serve(&l->awake, serve, &r);
}

static void ptys_opened(struct loop *l)
{
	_Alignas(struct inotify_event) char buf[4096];
	ssize_t n = read(l->d.inotify, buf, sizeof(buf));
	const struct inotify_event *e;
	struct channel *c;
	struct guest *g;
	char *p;

	for (p = buf; p < buf + n; p += sizeof(*e) + e->len) {
		e = (const struct inotify_event *)p;
		for (g = l->d.guests; g; g = g->next) {
			if (g->pty.watch == e->wd || e->mask & IN_Q_OVERFLOW)
				guest_tty_event(&l->d, g);
			for (c = g->channels; c; c = c->next)
				c->ready |= c->pty.watch == e->wd || e->mask & IN_Q_OVERFLOW;
		}
	}
}

static void handle(struct loop *l, struct source *s)
{
	switch (s->kind) {
	case SRC_EVENTS:
		port_events(l);
		break;
	case SRC_LISTEN:
		guest_accept(&l->d, s->guest);
		break;
	case SRC_CLIENT:
		guest_client_input(&l->d, s);
		break;
	case SRC_TTY:
		guest_tty_event(&l->d, s->guest);
		break;
	case SRC_CHANNEL:
		channel_event(&l->d, s);
		break;
	case SRC_OPENED:
		ptys_opened(l);
		break;
	case SRC_STORE:
		break;
	}
}

static void run(struct loop *l)
{
	struct epoll_event ev[EVENTS];
	int n, i, wait = 0, retry;
	bool store;

	while (!stop) {
		n = epoll_wait(l->d.epoll, ev, EVENTS, notify_wait(wait));
		store = false;
		for (i = 0; i < n; i++) {
			struct source *s = ev[i].data.ptr;

			/* Last, since it may free guests that other events point to. */
			if (s->kind == SRC_STORE)
				store = true;
			else
				handle(l, s);
		}
		if (store)
			store_event(l);
		wait = serve_ready(l);
		retry = tend_store(l);
		if (retry >= 0 && (wait < 0 || wait > retry))
			wait = retry;
	}
}

/* Sockets of guests that ended while no xenconsoled ran. */
static void remove_stale_sockets(struct loop *l)
{
	DIR *dir = opendir(l->d.sock_dir);
	struct dirent *e;
	char *end;

	while (dir && (e = readdir(dir))) {
		unsigned long domid = strtoul(e->d_name, &end, 10);

		if (end != e->d_name && !*end && (domid >= DOMID_FIRST_RESERVED || !served[domid]))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

/* --- start ----------------------------------------------------------------------------------- */

struct options {
	bool foreground;
	const char *pid_file, *log_dir, *sock_dir, *log_file;
};

static void usage(FILE *out)
{
	fprintf(out, "Usage: xenconsoled [options]\n\n"
		     "Serves the consoles of all guests and logs them.\n\n"
		     "  -F, --foreground     stay in the foreground, messages on stderr\n"
		     "  --pid-file=FILE      default /run/xen/xenconsoled.pid\n"
		     "  --log-dir=DIR        logs of guests, default /var/log/xen/console\n"
		     "  --log-total=MIB      room for all of these, default 32; the oldest go\n"
		     "  --socket-dir=DIR     sockets for xl console, default /run/xen/console\n"
		     "  --log-file=FILE      own messages in the background,\n"
		     "                       default /var/log/xen/xenconsoled.log\n"
		     "  --help               this text\n\n"
		     "In the background the command returns when the daemon serves.\n");
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "foreground", no_argument, NULL, 'F' },
		{ "pid-file", required_argument, NULL, 'p' },
		{ "log-dir", required_argument, NULL, 'l' },
		{ "log-total", required_argument, NULL, 't' },
		{ "socket-dir", required_argument, NULL, 's' },
		{ "log-file", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long mib;
	char *end;
	int c;

	*o = (struct options){
		.pid_file = "/run/xen/xenconsoled.pid",
		.log_dir = "/var/log/xen/console",
		.sock_dir = "/run/xen/console",
		.log_file = "/var/log/xen/xenconsoled.log",
	};
	while ((c = getopt_long(argc, argv, "Fh", longs, NULL)) != -1) {
		switch (c) {
		case 'F':
			o->foreground = true;
			break;
		case 'p':
			o->pid_file = optarg;
			break;
		case 'l':
			o->log_dir = optarg;
			break;
		case 't':
			mib = strtoul(optarg, &end, 10);
			if (!mib || mib > SIZE_MAX >> 20 || *end) {
				fprintf(stderr, "xenconsoled: --log-total wants a number of MiB\n");
				return -1;
			}
			log_set_total(mib << 20);
			break;
		case 's':
			o->sock_dir = optarg;
			break;
		case 'o':
			o->log_file = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			return -1;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return -1;
	}
	return 0;
}

static void make_dirs(const char *path, bool leaf)
{
	char buf[256], *p;

	snprintf(buf, sizeof(buf), "%s", path);
	for (p = buf + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(buf, 0755);
		*p = '/';
	}
	if (leaf)
		mkdir(buf, 0700);
}

/* Held as long as the process lives: its lock says that we run, its content who we are. */
static int take_pid_file(const char *path)
{
	char text[16];
	int fd, n;

	make_dirs(path, false);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0) {
		fprintf(stderr, "xenconsoled: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		fprintf(stderr, "xenconsoled: %s: another one is running\n", path);
		close(fd);
		return -1;
	}
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (ftruncate(fd, 0) || pwrite(fd, text, n, 0) != n)
		fprintf(stderr, "xenconsoled: %s: %s\n", path, strerror(errno));
	return fd;
}

/* Returns in the child, with the descriptor that tells the parent "serving"; the parent exits. */
static int background(void)
{
	int fd[2];
	char ready;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) || (pid = fork()) < 0) {
		fprintf(stderr, "xenconsoled: %s\n", strerror(errno));
		exit(1);
	}
	if (pid) {
		close(fd[1]);
		exit(read(fd[0], &ready, 1) == 1 ? 0 : 1);
	}
	close(fd[0]);
	setsid();
	if (chdir("/"))
		exit(1);
	return fd[1];
}

static void redirect(const char *log_file)
{
	int fd = open("/dev/null", O_RDWR);

	make_dirs(log_file, false);
	dup2(fd, 0);
	dup2(fd, 1);
	if (fd > 2)
		close(fd);
	fd = open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0640);
	if (fd >= 0) {
		dup2(fd, 2);
		if (fd > 2)
			close(fd);
	}
}

static int open_all(struct loop *l)
{
	struct epoll_event ev = { .events = EPOLLIN, .data = { .ptr = &l->events } };
	struct pv_err err = { "" };
	const char *what = NULL;

	if (pv_open(&l->d.pv, &err)) {
		fprintf(stderr, "xenconsoled: %s\n", err.text);
		return -1;
	}
	l->d.epoll = epoll_create1(EPOLL_CLOEXEC);
	l->d.xce = xenevtchn_open(NULL, 0);
	if (!l->d.xce)
		what = "/dev/xen/evtchn";
	l->d.xgt = what ? NULL : xengnttab_open(NULL, 0);
	if (!what && !l->d.xgt)
		what = "/dev/xen/gntdev";
	if (!what) {
		l->events.fd = xenevtchn_fd(l->d.xce);
		if (epoll_ctl(l->d.epoll, EPOLL_CTL_ADD, l->events.fd, &ev))
			what = "epoll";
	}
	/* Without it whoever opens a pty sees what was before only when the guest prints, or he types, something. */
	ev.data.ptr = &l->opened;
	l->d.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (l->d.inotify >= 0 && epoll_ctl(l->d.epoll, EPOLL_CTL_ADD, l->d.inotify, &ev)) {
		close(l->d.inotify);
		l->d.inotify = -1;
	}
	if (!what && !connect_first(l))
		what = "cannot reach xenstored";
	if (what)
		fprintf(stderr, "xenconsoled: %s: %s\n", what, strerror(errno));
	return what ? -1 : 0;
}

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

int main(int argc, char **argv)
{
	struct loop l = {
		.retry_ms = RETRY_MS,
		.store = { .kind = SRC_STORE, .fd = -1 },
		.events = { .kind = SRC_EVENTS, .fd = -1 },
		.opened = { .kind = SRC_OPENED, .fd = -1 },
	};
	struct sigaction sa = { .sa_handler = on_signal };
	struct options o;
	int ready = -1;

	if (parse(argc, argv, &o))
		return 2;
	if (!o.foreground)
		ready = background();
	if (take_pid_file(o.pid_file) < 0)
		return 1;
	l.d.log_dir = o.log_dir;
	l.d.sock_dir = o.sock_dir;
	make_dirs(o.log_dir, true);
	make_dirs(o.sock_dir, true);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if (open_all(&l))
		return 1;
	setvbuf(stderr, NULL, _IOLBF, 0);
	scan(&l);
	remove_stale_sockets(&l);
	if (ready >= 0) {
		redirect(o.log_file);
		if (write(ready, "", 1) != 1)
			return 1;
		close(ready);
	}
	notify_ready();
	run(&l);
	unlink(o.pid_file);
	return 0;
}
