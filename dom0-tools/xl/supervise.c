// SPDX-License-Identifier: BSD-2-Clause
/*
 * The process that stays with a guest: it waits for the end and does what on_poweroff, on_reboot
 * and on_crash say, life after life.
 * Owns those decisions; survives a restart of xenstored, since the hypervisor is asked directly.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "xl.h"

#include <xen/sched.h>

#define RECONNECT_MS 500
/* @releaseDomain tells us at once; this is for a xenstored that is away. */
#ifndef POLL_MS
#define POLL_MS 5000
#endif
/* A guest that crashes at once, again and again, is left alone. */
#define QUICK_CRASH_MS 10000
#define QUICK_CRASHES 5
#define DESTROYED 255

struct life {
	struct xl *xl;
	struct xl_config *cfg;
	uint32_t domid;
	uint8_t handle[16]; /* the domid may be used again, the UUID is not */
	int report;
	int64_t began;
	int quick_crashes;
};

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	va_list ap;

	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &tm));
	fprintf(stderr, "%s ", stamp);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
}

static void report(struct life *l, char what, uint8_t reason)
{
	struct report r = { .what = what, .reason = reason };

	/* Nobody may be listening any more. */
	if (l->report >= 0 && write(l->report, &r, sizeof(r)) != sizeof(r)) {
		close(l->report);
		l->report = -1;
	}
}

/* --- waiting --------------------------------------------------------------------------------- */

static void reconnect(struct life *l)
{
	if (l->xl->xs) {
		xs_close(l->xl->xs);
		l->xl->xs = NULL;
	}
	l->xl->xs = st_open(-1);
	if (l->xl->xs &&
	    (!xs_watch(l->xl->xs, "@releaseDomain", "end") || !backends_watch(l->xl, l->domid))) {
		xs_close(l->xl->xs);
		l->xl->xs = NULL;
	}
}

/*
 * Empties the queue of watch events, *backends tells of one about those; false when the connection
 * is lost.
 */
static bool drain(struct xl *xl, bool *backends)
{
	char **event;

	*backends = false;
	while ((event = xs_check_watch(xl->xs))) {
		*backends |= !strcmp(event[XS_WATCH_TOKEN], "backend");
		free(event);
	}
	return errno == EAGAIN;
}

/* Not while another xl destroys or builds it. */
static void look_at_backends(struct life *l)
{
	int lock = xl_lock_domain(l->domid);

	if (domain_is(l->xl, l->domid, l->handle))
		backends_check(l->xl, l->domid, note);
	xl_unlock_domain(lock, l->domid);
}

/* 1: gone or being destroyed by someone else; 0: shut down, with the reason; -1: still alive. */
static int look(struct life *l, unsigned int *reason)
{
	struct xen_domctl_getdomaininfo info;
	int rc = pv_domain_info(l->xl->pv, l->domid, &info);

	if (rc == -ESRCH)
		return 1;
	if (rc)
		return -1;
	if (memcmp(info.handle, l->handle, 16) || (info.flags & XEN_DOMINF_dying))
		return 1;
	if (!(info.flags & XEN_DOMINF_shutdown))
		return -1;
	*reason = domain_reason(&info);
	/* Suspended is not ended; whoever suspends a guest looks after it. */
	return *reason == SHUTDOWN_suspend ? -1 : 0;
}

static int wait_for_end(struct life *l, unsigned int *reason)
{
	bool backends;
	int rc;

	while ((rc = look(l, reason)) < 0) {
		struct pollfd pfd = { .events = POLLIN };

		if (!l->xl->xs) {
			reconnect(l);
			if (!l->xl->xs)
				xl_sleep(RECONNECT_MS);
			continue;
		}
		pfd.fd = xs_fileno(l->xl->xs);
		backends = true;
		if (poll(&pfd, 1, POLL_MS) > 0 && !drain(l->xl, &backends)) {
			note("xenstored is away, trying again");
			xl_sleep(RECONNECT_MS);
			reconnect(l);
		} else if (backends && look(l, reason) < 0) {
			look_at_backends(l);
		}
	}
	return rc;
}

/* --- deciding -------------------------------------------------------------------------------- */

static enum xl_action action_for(struct life *l, unsigned int reason)
{
	switch (reason) {
	case SHUTDOWN_poweroff:
		return l->cfg->on_poweroff;
	case SHUTDOWN_reboot:
		return l->cfg->on_reboot;
	case SHUTDOWN_watchdog:
		return l->cfg->on_watchdog;
	}
	return l->cfg->on_crash;
}

/* The administrator may have renamed it; the next life keeps that name. */
static void adopt_name(struct life *l)
{
	char *name = domain_name(l->xl, l->domid);

	if (name && !config_bad_name(name)) {
		free(l->cfg->name);
		l->cfg->name = name;
	} else {
		free(name);
	}
}

/* Makes room for the next life's name and UUID. Both locks are held. */
static int put_aside(struct life *l)
{
	char *name, *old_vm, text[37];
	uint8_t uuid[16];
	int i;

	for (i = 1;; i++) {
		name = xl_sprintf("%s-%d", l->cfg->name, i);
		if (!domain_name_used(l->xl, name, DOMID_INVALID))
			break;
		free(name);
	}
	if (getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid) ||
	    pv_domain_set_handle(l->xl->pv, l->domid, uuid)) {
		free(name);
		return xl_error("domain %u keeps its UUID: it cannot be put aside", l->domid);
	}
	uuid_format(uuid, text);
	old_vm = st_read(l->xl, XBT_NULL, "/local/domain/%u/vm", l->domid);
	st_dir(l->xl, XBT_NULL, 0, l->domid, "/vm/%s", text);
	st_write(l->xl, XBT_NULL, name, "/vm/%s/name", text);
	st_write(l->xl, XBT_NULL, text, "/vm/%s/uuid", text);
	st_replace(l->xl, name, "/local/domain/%u/name", l->domid);
	if (old_vm && !strncmp(old_vm, "/vm/", 4)) {
		char *vm = xl_sprintf("/vm/%s", text);

		st_replace(l->xl, vm, "/local/domain/%u/vm", l->domid);
		st_remove(l->xl, XBT_NULL, "%s", old_vm);
		free(vm);
	}
	note("domain %u is now called '%s'", l->domid, name);
	free(old_vm);
	free(name);
	return 0;
}

static void remember_handle(struct life *l)
{
	struct xen_domctl_getdomaininfo info;

	if (!pv_domain_info(l->xl->pv, l->domid, &info))
		memcpy(l->handle, info.handle, 16);
	l->began = xl_now();
}

/* True when a new life has begun. @lock: from xl_lock(), given back. */
static bool restart(struct life *l, int lock)
{
	int domain_lock, rc = domain_create(l->xl, l->cfg, lock, &l->domid, &domain_lock);

	if (rc) {
		note("'%s' cannot be started again", l->cfg->name);
		return false;
	}
	remember_handle(l);
	/* For the watches of its back ends. */
	do {
		reconnect(l);
	} while (!l->xl->xs && !poll(NULL, 0, RECONNECT_MS));
	if (!console_ready(l->xl, l->domid, 3000))
		note("xenconsoled does not serve domain %u", l->domid);
	rc = domain_start(l->xl, l->domid);
	if (rc) {
		note("domain %u cannot be unpaused: %s", l->domid, strerror(-rc));
		domain_destroy(l->xl, l->domid);
	} else {
		note("'%s' started again as domain %u", l->cfg->name, l->domid);
	}
	xl_unlock_domain(domain_lock, l->domid);
	return !rc;
}

static bool too_often(struct life *l, unsigned int reason)
{
	if (reason == SHUTDOWN_reboot || reason == SHUTDOWN_poweroff ||
	    xl_now() - l->began > QUICK_CRASH_MS)
		l->quick_crashes = 0;
	else
		l->quick_crashes++;
	return l->quick_crashes >= QUICK_CRASHES;
}

static enum xl_action decide(struct life *l, unsigned int reason)
{
	enum xl_action action = action_for(l, reason);

	if ((action == ACTION_RESTART || action == ACTION_RENAME_RESTART) && too_often(l, reason)) {
		note("'%s' crashed %d times within seconds: not started again", l->cfg->name,
		     l->quick_crashes);
		action = ACTION_DESTROY;
	}
	note("domain %u ('%s') ended with %s: %s", l->domid, l->cfg->name, shutdown_reason(reason),
	     action_name(action));
	return action;
}

/* The domain's lock is held; for a restart xl_lock() too. True: start it again. */
static bool act(struct life *l, enum xl_action action)
{
	switch (action) {
	case ACTION_PRESERVE:
		st_write(l->xl, XBT_NULL, "1", XL_PRIVATE "/%u/preserved", l->domid);
		return false;
	case ACTION_RENAME_RESTART:
		/* Its disks go to the next life. */
		if (put_aside(l))
			return false;
		device_remove_all(l->xl, l->domid);
		st_write(l->xl, XBT_NULL, "1", XL_PRIVATE "/%u/preserved", l->domid);
		return true;
	case ACTION_RESTART:
		domain_destroy(l->xl, l->domid);
		return true;
	case ACTION_DESTROY:
		domain_destroy(l->xl, l->domid);
		break;
	}
	return false;
}

/* The guest has ended. True when there is another life to watch. */
static bool after_the_end(struct life *l, unsigned int reason)
{
	enum xl_action action = decide(l, reason);
	bool restarts = action == ACTION_RESTART || action == ACTION_RENAME_RESTART, again;
	/* Over destruction and creation, so that nobody takes the name in between. */
	int lock = restarts ? xl_lock() : -1;
	uint32_t domid = l->domid;
	int domain_lock = xl_lock_domain(domid);

	/* Waiting for the lock, another xl may have destroyed or renamed it. */
	again = domain_is(l->xl, domid, l->handle);
	if (again) {
		adopt_name(l);
		again = act(l, action);
	}
	xl_unlock_domain(domain_lock, domid);
	if (again)
		return restart(l, lock);
	xl_unlock(lock);
	return false;
}

int supervise(struct xl *xl, struct xl_config *cfg, uint32_t domid, int report_fd)
{
	struct life l = { .xl = xl, .cfg = cfg, .domid = domid, .report = report_fd };
	unsigned int reason = 0;
	bool again = true;
	int rc;

	remember_handle(&l);
	reconnect(&l);
	report(&l, REPORT_READY, 0);
	while (again) {
		rc = wait_for_end(&l, &reason);
		if (rc == 1) {
			note("domain %u was destroyed", l.domid);
			report(&l, REPORT_ENDED, DESTROYED);
			break;
		}
		while (!l.xl->xs) {
			xl_sleep(RECONNECT_MS);
			reconnect(&l);
		}
		again = after_the_end(&l, reason);
		report(&l, REPORT_ENDED, reason);
	}
	return 0;
}

/* --- the background process ------------------------------------------------------------------ */

static void become_daemon(const char *name, int report_fd)
{
	char *path = xl_sprintf(XL_LOG_DIR "/xl-%s.log", name);
	int fd;

	setsid();
	if (chdir("/"))
		_exit(1);
	xl_mkdir(XL_LOG_DIR);
	fd = open("/dev/null", O_RDWR);
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		dup2(fd, 1);
		dup2(fd, 2);
	}
	free(path);
	/* The parent's connections and its lock are not ours. */
	dup2(report_fd, 3);
	fcntl(3, F_SETFD, FD_CLOEXEC);
	closefrom(4);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	xl_interrupted = 0;
}

int supervise_in_background(struct xl_config *cfg, uint32_t domid)
{
	struct xl own;
	int pipe_fd[2];
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return xl_error("cannot start the guest's supervisor: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		return xl_error("cannot start the guest's supervisor: %s", strerror(errno));
	}
	if (!pid) {
		become_daemon(cfg->name, pipe_fd[1]);
		xl_spare_me();
		cfg->tree.log = stderr;
		note("domain %u ('%s') created", domid, cfg->name);
		if (xl_open(&own))
			_exit(1);
		_exit(supervise(&own, cfg, domid, 3));
	}
	close(pipe_fd[1]);
	return pipe_fd[0];
}
