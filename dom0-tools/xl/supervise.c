// SPDX-License-Identifier: BSD-2-Clause
/*
 * The process that stays with a guest: it waits for the end and does what on_poweroff, on_reboot
 * and on_crash say, life after life (lives.c).
 * Owns the waiting, and that a new one goes on where a killed one was; survives a restart of xenstored, since the hypervisor is
 * asked directly.
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

#include "events.h"
#include "migrate.h"
#include "minder.h"
#include "next.h"
#include "scope.h"
#include "supervise.h"
#include "suspend.h"
#include "usage.h"

#include <xen/sched.h>

/* xenstored tells us at once of our domain's end; this is for one that is away. */
#ifndef POLL_MS
#define POLL_MS 5000
#endif
/* How often at most what the guest uses is looked at, and its ballooning told. */
#define STOCK_MS 200
#ifndef BALLOON_EVENT_MS
#define BALLOON_EVENT_MS 60000
#endif
#define BALLOON_PAGES 256 /* less is not told: tables and rings come and go */
#define ADOPT_MS 5000 /* for a new supervisor to say that it is one */

/* The background process's; NULL: messages go where xl create's go. */
static char *log_path;

void life_open_log(void)
{
	int fd = log_path ? xl_log_open(log_path) : -1;

	if (fd < 0)
		return;
	dup2(fd, 1);
	dup2(fd, 2);
	close(fd);
}

void life_note(const char *fmt, ...)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	va_list ap;

	life_open_log();
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &tm));
	fprintf(stderr, "%s ", stamp);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
}

char *early_end_text(const char *name, const struct report *r, const char *when)
{
	const char *reason = shutdown_reason(r->reason);

	switch (r->next) {
	case NEXT_LIFE:
		return xl_sprintf("%s: ended (%s) %s, and has started again as domain %u, as the "
				  "configuration says; see " XL_LOG_DIR "/xl-%s.log",
				  name, reason, when, r->domid, name);
	case NEXT_FAILED:
		return xl_sprintf("%s: ended (%s) %s, and cannot be started again; see " XL_LOG_DIR
				  "/xl-%s.log",
				  name, reason, when, name);
	case NEXT_KEPT:
		return xl_sprintf("%s: ended (%s) %s; it is kept as domain %u", name, reason, when,
				  r->domid);
	default:
		return xl_sprintf("%s: ended (%s) %s", name, reason, when);
	}
}

/* @early: it is told on the terminal that the guest was created from, too. */
static void report(struct life *l, char what, unsigned int reason, enum next next, bool early)
{
	struct report r = { .what = what,
			    .reason = reason,
			    .next = next,
			    .domid = l->domid,
			    .program = l->program };

	if (early)
		creator_tell(&l->creator, l->cfg->name, &r);
	/* Nobody may be listening any more. */
	if (l->report >= 0 && write(l->report, &r, sizeof(r)) != sizeof(r)) {
		close(l->report);
		l->report = -1;
	}
}

/*
 * When the next look is due, at random: its guest brings about others with its back ends' nodes, but what they find of its memory
 * counts nothing, and when those come that count it does not know.
 */
static int64_t next_look(void)
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = 0;
	return xl_now() + POLL_MS / 2 + random % (POLL_MS / 2);
}

/* --- the record ------------------------------------------------------------------------------ */

void life_remember(struct life *l)
{
	struct xen_domctl_getdomaininfo info;

	if (!pv_domain_info(l->xl->pv, l->domid, &info)) {
		memcpy(l->handle, info.handle, 16);
		l->pages = l->pages_told = pv_pages(&info);
	}
	memset(l->aside_handle, 0, sizeof(l->aside_handle));
	l->target = -1;
	l->pages_used = 0;
	l->due = next_look();
	l->began = xl_now();
}

void life_save(struct life *l, enum record_phase phase)
{
	struct record_data d = {
		.phase = phase,
		.domid = l->domid,
		.began = l->began,
		.quick = l->quick,
		.quick_crashes = l->quick_crashes,
		.action = l->action,
		.aside = l->aside,
		.nr_corpses = l->nr_corpses,
		.last = l->last,
		.core = l->core,
		.memory = l->cfg->memory,
		.maxmem = l->cfg->maxmem,
		.vcpus = l->cfg->vcpus,
	};
	int i;

	l->phase = phase;
	memcpy(d.handle, l->handle, sizeof(d.handle));
	memcpy(d.aside_handle, l->aside_handle, sizeof(d.aside_handle));
	memcpy(d.next_handle, l->cfg->uuid, sizeof(d.next_handle));
	memcpy(d.corpse, l->corpse, sizeof(d.corpse));
	snprintf(d.name, sizeof(d.name), "%s", l->cfg->name);
	snprintf(d.pool, sizeof(d.pool), "%s", l->cfg->pool ? l->cfg->pool : "");
	for (i = 0; i < l->cfg->nr_nics && d.nr_macs < RECORD_MACS; i++) {
		d.mac[d.nr_macs].devid = l->cfg->nic[i].devid;
		memcpy(d.mac[d.nr_macs++].mac, l->cfg->nic[i].mac, 6);
	}
	record_write(&l->record, &d);
}

void life_save_config(struct life *l)
{
	char *path = l->record.fd < 0 ? NULL : record_config(&l->record);
	int rc = path ? next_save(path, l->cfg) : 0;

	if (rc)
		life_note("%s: %s: killed, this supervisor gets no other in its place", path,
			  strerror(-rc));
	free(path);
}

/* The other way; the record's configuration has been read. */
static void load(struct life *l, const struct record_data *d)
{
	struct xl_config *cfg = l->cfg;
	uint32_t i;
	int j;

	l->phase = d->phase;
	l->domid = d->domid;
	l->began = d->began;
	l->quick = d->quick;
	l->quick_crashes = d->quick_crashes;
	l->action = d->action;
	l->aside = d->aside;
	l->nr_corpses = d->nr_corpses;
	l->last = d->last;
	l->core = d->core;
	l->target = -1;
	memcpy(l->handle, d->handle, sizeof(l->handle));
	memcpy(l->aside_handle, d->aside_handle, sizeof(l->aside_handle));
	memcpy(l->corpse, d->corpse, sizeof(l->corpse));
	free(cfg->name);
	cfg->name = xl_sprintf("%s", d->name);
	free(cfg->pool);
	cfg->pool = *d->pool ? xl_sprintf("%s", d->pool) : NULL;
	cfg->had_a_life = true;
	cfg->memory = d->memory;
	cfg->maxmem = d->maxmem;
	cfg->vcpus = d->vcpus;
	if (!cfg->have_uuid)
		memcpy(cfg->uuid, d->next_handle, sizeof(cfg->uuid));
	cfg->uuid_chosen = true;
	for (i = 0; i < d->nr_macs; i++)
		for (j = 0; j < cfg->nr_nics; j++)
			if (!cfg->nic[j].have_mac && cfg->nic[j].devid == d->mac[i].devid)
				memcpy(cfg->nic[j].mac, d->mac[i].mac, 6);
}

/* --- waiting --------------------------------------------------------------------------------- */

/* The end of this domain alone: with hundreds of guests each supervisor would else be woken by every end. */
static bool watch_end(struct life *l)
{
	char *path = xl_sprintf("@releaseDomain/%u", l->domid);
	bool ok = xs_watch(l->xl->xs, path, "end");

	free(path);
	return ok;
}

/* The node is dom0's: no guest can keep us busy with it. */
static bool watch_target(struct life *l)
{
	char *path = xl_sprintf("/local/domain/%u/memory/target", l->domid);
	bool ok = xs_watch(l->xl->xs, path, "memory");

	free(path);
	return ok;
}

void life_reconnect(struct life *l)
{
	if (l->xl->xs) {
		xs_close(l->xl->xs);
		l->xl->xs = NULL;
	}
	l->xl->xs = st_open(-1);
	l->xl->watched = true;
	if (l->xl->xs && (!watch_end(l) || !backends_watch(l->xl, l->domid) ||
			  !backends_watch_any(l->xl, l->domid) || !watch_target(l))) {
		xs_close(l->xl->xs);
		l->xl->xs = NULL;
	}
}

/*
 * Empties the queue of watch events, *backends tells of one about those; false when the connection
 * is lost.
 */
static bool drain(struct life *l, bool *backends)
{
	bool devices = false;
	const char *token;
	char **event;

	while ((event = xs_check_watch(l->xl->xs))) {
		token = event[XS_WATCH_TOKEN];
		*backends |= !strcmp(token, "backend");
		l->retarget |= !strcmp(token, "memory");
		devices |= !strcmp(token, "devices");
		free(event);
	}
	if (errno != EAGAIN)
		return false;
	if (devices)
		l->devices = backends_any(l->xl, l->domid);
	return true;
}

bool life_is_ours(const struct life *l)
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(l->xl->pv, l->domid, &info) && !memcmp(info.handle, l->handle, 16) &&
	       !(info.flags & XEN_DOMINF_dying);
}

/* Not while another xl destroys or builds it. */
static void look_at_backends(struct life *l)
{
	int lock = xl_lock_domain(l->domid);

	if (life_is_ours(l))
		backends_check(l->xl, l->domid, life_note);
	xl_unlock_domain(lock, l->domid);
}

/*
 * A guest that balloons without end does not decide how much is written: what it has is told when it has stayed the same
 * over a look, and not more often than that.
 */
static void look_at_memory(struct life *l, const struct xen_domctl_getdomaininfo *info)
{
	long target = l->retarget ?
			      st_read_long(l->xl, "/local/domain/%u/memory/target", l->domid) :
			      l->target;
	uint64_t pages = pv_pages(info);
	uint64_t moved = pages > l->pages_told ? pages - l->pages_told : l->pages_told - pages;

	if (target > 0 && l->target > 0 && target != l->target)
		xl_event(EVENT_TARGET, l->domid, l->cfg->name,
			 ", \"target_kib\": %ld, \"before_kib\": %ld", target, l->target);
	l->target = target > 0 ? target : l->target;
	l->retarget = false;
	if (moved >= BALLOON_PAGES && pages == l->pages && xl_now() >= l->told) {
		xl_event(EVENT_BALLOON, l->domid, l->cfg->name,
			 ", \"memory_kib\": %llu, \"before_kib\": %llu",
			 (unsigned long long)pages * 4, (unsigned long long)l->pages_told * 4);
		l->pages_told = pages;
		l->told = xl_now() + BALLOON_EVENT_MS;
	}
	l->pages = pages;
}

/*
 * What it uses, and what has become of its memory. Of a guest that has no devices and the same memory as before nothing is asked but
 * that: with a thousand guests the rest would be most of what dom0 does.
 */
static void take_stock(struct life *l, bool due)
{
	struct xen_domctl_getdomaininfo info;

	if ((!due && xl_now() < l->stock + STOCK_MS) ||
	    pv_domain_info(l->xl->pv, l->domid, &info) || memcmp(info.handle, l->handle, 16))
		return;
	l->stock = xl_now();
	if (l->devices || (due && pv_pages(&info) != l->pages_used))
		usage_sample(l->xl, l->domid, due);
	if (due)
		l->pages_used = pv_pages(&info);
	look_at_memory(l, &info);
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
	/*
	 * Suspended is not ended; whoever suspends a guest looks after it, and while he does has its lock. Nor has one ended that was
	 * given to another host, whatever its watchdog makes of its standing still: its next life is not to be had here.
	 */
	return *reason == SHUTDOWN_suspend || given_away(l->xl, l->domid) ? -1 : 0;
}

static bool stands_still(const struct life *l)
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(l->xl->pv, l->domid, &info) && suspend_done(&info) &&
	       !(info.flags & XEN_DOMINF_paused);
}

/* One that nobody saves, because he was killed, or it was too late for him, or nobody had asked for it. */
static void let_go_on(struct life *l)
{
	int lock;

	if (!stands_still(l) || xl_domain_locked(l->domid))
		return;
	/* Somebody may have been at it between the two looks; of one that runs no register is to change. */
	lock = xl_lock_domain(l->domid);
	if (lock >= 0 && life_is_ours(l) && stands_still(l) && !suspend_cancel(l->xl, l->domid))
		life_note("it has suspended itself, and nobody saves it: it goes on");
	xl_unlock_domain(lock, l->domid);
}

/* Until something may have happened, or the next look is due. False: xenstored is away. */
static bool wait_a_while(struct life *l, bool *backends)
{
	int64_t left = l->due - xl_now();
	struct pollfd pfd = { .fd = xs_fileno(l->xl->xs), .events = POLLIN };

	*backends = false;
	return poll(&pfd, 1, left > 0 ? (int)left : 0) <= 0 || drain(l, backends);
}

/* As look(); -1: we are interrupted, which ends the watch and not the guest. */
static int wait_for_end(struct life *l, unsigned int *reason)
{
	bool backends, due;
	int rc;

	while ((rc = look(l, reason)) < 0 && !xl_interrupted) {
		if (!l->xl->xs) {
			life_reconnect(l);
			if (!l->xl->xs)
				xl_sleep(RECONNECT_MS);
			continue;
		}
		if (!wait_a_while(l, &backends)) {
			life_note("xenstored is away, trying again");
			xl_sleep(RECONNECT_MS);
			life_reconnect(l);
			continue;
		}
		due = xl_now() >= l->due;
		take_stock(l, due);
		if (due)
			let_go_on(l);
		/* An unbound driver raises no event. */
		if (due && !backends && l->devices)
			backends = backends_suspect(l->xl, l->domid);
		if (backends && look(l, reason) < 0)
			look_at_backends(l);
		if (due)
			l->due = next_look();
		if (!creator_early(&l->creator))
			creator_close(&l->creator);
	}
	return rc;
}

/* --- living ---------------------------------------------------------------------------------- */

/* Until there is no further life. @next: the present one's, NEXT_LIFE, or what was its end. The exit status. */
static int live_on(struct life *l, enum next next)
{
	unsigned int reason = 0;
	bool early;

	while (next == NEXT_LIFE) {
		int rc = wait_for_end(l, &reason);

		if (rc < 0) {
			life_note("interrupted: nobody acts on the end of domain %u any more",
				  l->domid);
			record_drop(&l->record);
			return 1;
		}
		if (rc == 1) {
			life_note("domain %u was destroyed", l->domid);
			report(l, REPORT_ENDED, REASON_DESTROYED, NEXT_GONE, false);
			break;
		}
		while (!l->xl->xs && !xl_interrupted) {
			xl_sleep(RECONNECT_MS);
			life_reconnect(l);
		}
		if (!l->xl->xs)
			continue;
		early = creator_early(&l->creator);
		next = life_after_the_end(l, reason);
		report(l, REPORT_ENDED, reason, next, early);
	}
	record_drop(&l->record);
	return next == NEXT_FAILED;
}

static int supervise_for(struct xl *xl, struct xl_config *cfg, uint32_t domid, int report_fd,
			 const struct creator *creator)
{
	struct life l = {
		.xl = xl, .cfg = cfg, .domid = domid, .report = report_fd, .creator = *creator
	};

	life_remember(&l);
	/* Without one it lives, too; but when it is killed nobody knows what it knew. */
	if (!record_make(&l.record)) {
		life_save_config(&l);
		life_save(&l, RECORD_LIVES);
	}
	minder_is_me(xl, domid);
	life_reconnect(&l);
	report(&l, REPORT_READY, 0, NEXT_LIFE, false);
	return live_on(&l, NEXT_LIFE);
}

int supervise(struct xl *xl, struct xl_config *cfg, uint32_t domid, int report_fd)
{
	static const struct creator none = { .fd = -1 };

	return supervise_for(xl, cfg, domid, report_fd, &none);
}

/* --- the background process ------------------------------------------------------------------ */

/* Keeps @report_fd as 3, and @creator's terminal, if there is one (NULL: none is wanted), as 4. */
static void become_daemon(const char *name, int report_fd, struct creator *creator)
{
	int terminal = -1, fd;

	if (creator) {
		creator_open(creator);
		terminal = creator->fd;
	}

	setsid();
	if (chdir("/"))
		_exit(1);
	fd = open("/dev/null", O_RDWR);
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	log_path = xl_sprintf(XL_LOG_DIR "/xl-%s.log", name);
	life_open_log();
	/* The parent's connections and its lock are not ours. */
	report_fd = fcntl(report_fd, F_DUPFD, 5);
	if (terminal >= 0)
		terminal = fcntl(terminal, F_DUPFD, 5);
	dup3(report_fd, 3, O_CLOEXEC);
	if (creator)
		creator->fd = terminal < 0 ? -1 : dup3(terminal, 4, O_CLOEXEC);
	closefrom(creator && creator->fd == 4 ? 5 : 4);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	xl_interrupted = 0;
}

int supervise_in_background(struct xl_config *cfg, uint32_t domid, bool tell)
{
	struct creator creator = { .fd = -1 };
	struct report r;
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
		become_daemon(cfg->name, pipe_fd[1], tell ? &creator : NULL);
		xl_spare_me();
		cfg->tree.log = stderr;
		life_note("domain %u ('%s') created", domid, cfg->name);
		if (scope_enter(getpid(), cfg->name))
			life_note("it lives no longer than what xl create was run from: " XL_SCOPE
				  " failed");
		if (xl_open(&own))
			_exit(1);
		_exit(supervise_for(&own, cfg, domid, 3, &creator));
	}
	close(pipe_fd[1]);
	if (read(pipe_fd[0], &r, sizeof(r)) == sizeof(r))
		return pipe_fd[0];
	close(pipe_fd[0]);
	return xl_error("the guest's supervisor did not start, see " XL_LOG_DIR "/xl-%s.log",
			cfg->name);
}

/* --- in the place of another ----------------------------------------------------------------- */

/* Not of a domain of which nothing may be left but its number. */
static void sign(struct life *l)
{
	int lock = xl_lock_domain(l->domid);

	if (life_is_ours(l)) {
		minder_is_me(l->xl, l->domid);
		xl_event(EVENT_SUPERVISED, l->domid, l->cfg->name, ", \"process\": %d", getpid());
	}
	xl_unlock_domain(lock, l->domid);
}

/* The record is ours. */
static int go_on(struct life *l)
{
	enum next next = NEXT_LIFE;

	if (scope_enter(getpid(), l->cfg->name))
		life_note("it lives no longer than what has started it: " XL_SCOPE " failed");
	for (life_reconnect(l); !l->xl->xs; life_reconnect(l))
		xl_sleep(RECONNECT_MS);
	life_note("the supervisor of '%s' was killed; process %d goes on in its place",
		  l->cfg->name, getpid());
	if (l->phase == RECORD_BETWEEN) {
		next = life_go_on(l);
	} else {
		sign(l);
		if (l->phase == RECORD_MADE)
			life_let_go(l);
	}
	return live_on(l, next);
}

/* The new process. */
static int take_over(const char *id, int report_fd)
{
	struct record_data d;
	struct xl_config cfg;
	struct pv_err err = { "" };
	struct xl own = { 0 };
	struct life l = { .xl = &own, .cfg = &cfg, .report = report_fd, .creator = { .fd = -1 } };
	int rc = record_claim(&l.record, id, &d);
	char *path;

	/* Somebody else was faster, or the guest has gone. */
	if (rc && rc != -EINVAL)
		return 1;
	path = record_config(&l.record);
	if (rc || config_read(&cfg, path, NULL, 0, stderr)) {
		life_note("%s is damaged: nobody acts on that guest's end", path);
		record_drop(&l.record);
		return 1;
	}
	free(path);
	if (pv_open(&own.pv, &err)) {
		life_note("%s", err.text);
		return 1;
	}
	load(&l, &d);
	report(&l, REPORT_READY, 0, NEXT_LIFE, false);
	close(l.report);
	l.report = -1;
	return go_on(&l);
}

int supervise_again(const char *id, const char *name)
{
	struct pollfd pfd = { .events = POLLIN };
	struct report r = { 0 };
	int pipe_fd[2];
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return xl_error("cannot start a supervisor for '%s': %s", name, strerror(errno));
	fflush(NULL);
	pid = fork();
	if (!pid) {
		/* Whoever has started us does not wait for our end, and we do for our scripts'. */
		signal(SIGCHLD, SIG_DFL);
		become_daemon(name, pipe_fd[1], NULL);
		xl_spare_me();
		_exit(take_over(id, 3));
	}
	close(pipe_fd[1]);
	pfd.fd = pipe_fd[0];
	if (pid < 0)
		xl_error("cannot start a supervisor for '%s': %s", name, strerror(errno));
	else if (poll(&pfd, 1, ADOPT_MS) > 0 && read(pipe_fd[0], &r, sizeof(r)) != sizeof(r))
		r.what = 0;
	close(pipe_fd[0]);
	return r.what == REPORT_READY ? 0 : -1;
}
