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

#include "bootloader.h"
#include "core.h"
#include "events.h"
#include "minder.h"
#include "next.h"
#include "scope.h"
#include "usage.h"

#include <xen/sched.h>

#define RECONNECT_MS 500
/* @releaseDomain tells us at once; this is for a xenstored that is away. */
#ifndef POLL_MS
#define POLL_MS 5000
#endif
#define PAUSE_LOOK_MS 200
/*
 * A guest whose lives are shorter than this, one after the other, is restarted ever more slowly, up to
 * PAUSE_MAX_S (XL_RESTART_PAUSE in the environment says otherwise); one that crashes, not for ever.
 */
#define QUICK_MS 10000
#define QUICK_LIVES 3 /* without a pause */
#define PAUSE_MAX_S 60
#define QUICK_CRASHES 5
/* A next life for which there is no memory is tried so often again, ever more slowly: for five minutes. */
#define MEMORY_TRIES 10
/* How often at most what the guest uses is looked at, and its ballooning told. */
#define STOCK_MS 200
#ifndef BALLOON_EVENT_MS
#define BALLOON_EVENT_MS 60000
#endif
#define BALLOON_PAGES 256 /* less is not told: tables and rings come and go */
/* So many dead guests of rename-restart's are kept; the oldest goes for the next. */
#define MAX_CORPSES 4

struct corpse {
	uint32_t domid;
	uint8_t handle[16];
};

struct life {
	struct xl *xl;
	struct xl_config *cfg;
	uint32_t domid;
	uint8_t handle[16]; /* the domid may be used again, the UUID is not */
	int report;
	int64_t began;
	int quick, quick_crashes; /* lives, one after the other */
	bool last; /* of those, too many */
	struct corpse corpse[MAX_CORPSES]; /* the oldest first */
	int nr_corpses, aside; /* there are, and have been */
	int64_t stock, told; /* when it was looked at, and its ballooning told */
	uint64_t pages, pages_told; /* that it had then */
	long target; /* KiB; -1: not known */
};

/* The background process's; NULL: messages go where xl create's go. */
static char *log_path;

/* Once more for each message: the file has its bound, and a guest that reboots or reconnects does not decide how much is written. */
static void open_log(void)
{
	int fd = log_path ? xl_log_open(log_path) : -1;

	if (fd < 0)
		return;
	dup2(fd, 1);
	dup2(fd, 2);
	close(fd);
}

static void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *fmt, ...)
{
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;
	va_list ap;

	open_log();
	strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", gmtime_r(&now, &tm));
	fprintf(stderr, "%s ", stamp);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fflush(stderr);
}

static void report(struct life *l, char what, unsigned int reason, enum next next)
{
	struct report r = { .what = what, .reason = reason, .next = next, .domid = l->domid };

	/* Nobody may be listening any more. */
	if (l->report >= 0 && write(l->report, &r, sizeof(r)) != sizeof(r)) {
		close(l->report);
		l->report = -1;
	}
}

/* --- waiting --------------------------------------------------------------------------------- */

/* The node is dom0's: no guest can keep us busy with it. */
static bool watch_target(struct life *l)
{
	char *path = xl_sprintf("/local/domain/%u/memory/target", l->domid);
	bool ok = xs_watch(l->xl->xs, path, "memory");

	free(path);
	return ok;
}

static void reconnect(struct life *l)
{
	if (l->xl->xs) {
		xs_close(l->xl->xs);
		l->xl->xs = NULL;
	}
	l->xl->xs = st_open(-1);
	if (l->xl->xs && (!xs_watch(l->xl->xs, "@releaseDomain", "end") ||
			  !backends_watch(l->xl, l->domid) || !watch_target(l))) {
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

/* Is it there, and has nobody destroyed it? What is held of a destroyed one stays for a while. */
static bool is_ours(const struct life *l)
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(l->xl->pv, l->domid, &info) && !memcmp(info.handle, l->handle, 16) &&
	       !(info.flags & XEN_DOMINF_dying);
}

/* Not while another xl destroys or builds it. */
static void look_at_backends(struct life *l)
{
	int lock = xl_lock_domain(l->domid);

	if (is_ours(l))
		backends_check(l->xl, l->domid, note);
	xl_unlock_domain(lock, l->domid);
}

/*
 * A guest that balloons without end does not decide how much is written: what it has is told when it has stayed the same
 * over a look, and not more often than that.
 */
static void look_at_memory(struct life *l, const struct xen_domctl_getdomaininfo *info)
{
	long target = st_read_long(l->xl, "/local/domain/%u/memory/target", l->domid);
	uint64_t pages = info->tot_pages;
	uint64_t moved = pages > l->pages_told ? pages - l->pages_told : l->pages_told - pages;

	if (target > 0 && l->target > 0 && target != l->target)
		xl_event(EVENT_TARGET, l->domid, l->cfg->name,
			 ", \"target_kib\": %ld, \"before_kib\": %ld", target, l->target);
	l->target = target > 0 ? target : l->target;
	if (moved >= BALLOON_PAGES && pages == l->pages && xl_now() >= l->told) {
		xl_event(EVENT_BALLOON, l->domid, l->cfg->name,
			 ", \"memory_kib\": %llu, \"before_kib\": %llu",
			 (unsigned long long)pages * 4, (unsigned long long)l->pages_told * 4);
		l->pages_told = pages;
		l->told = xl_now() + BALLOON_EVENT_MS;
	}
	l->pages = pages;
}

/* What it uses, and what has become of its memory. */
static void take_stock(struct life *l)
{
	struct xen_domctl_getdomaininfo info;

	if (xl_now() < l->stock + STOCK_MS || pv_domain_info(l->xl->pv, l->domid, &info) ||
	    memcmp(info.handle, l->handle, 16))
		return;
	l->stock = xl_now();
	usage_sample(l->xl, l->domid);
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
	/* Suspended is not ended; whoever suspends a guest looks after it. */
	return *reason == SHUTDOWN_suspend ? -1 : 0;
}

/* As look(); -1: we are interrupted, which ends the watch and not the guest. */
static int wait_for_end(struct life *l, unsigned int *reason)
{
	bool backends;
	int rc;

	while ((rc = look(l, reason)) < 0 && !xl_interrupted) {
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
		} else {
			take_stock(l);
			if (backends && look(l, reason) < 0)
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

/* Others may have what it gave back: a guest is not lost for that. */
static void adapt_memory(struct life *l)
{
	if (l->cfg->memory == l->cfg->maxmem || domain_will_fit(l->xl, l->cfg))
		return;
	note("there are no %lu MiB for '%s': it starts again with %lu, and cannot have more before "
	     "another xl mem-max and reboot",
	     l->cfg->maxmem, l->cfg->name, l->cfg->memory);
	l->cfg->maxmem = l->cfg->memory;
}

/* The nodes of a domain that has a new UUID: what /vm said of it goes there. */
static void move_vm(struct life *l, const char *name, const char *uuid)
{
	char *old = st_read(l->xl, XBT_NULL, "/local/domain/%u/vm", l->domid);
	char *start = old ? st_read(l->xl, XBT_NULL, "%s/start_time", old) : NULL, *vm;

	st_dir(l->xl, XBT_NULL, 0, l->domid, "/vm/%s", uuid);
	st_write(l->xl, XBT_NULL, name, "/vm/%s/name", uuid);
	st_write(l->xl, XBT_NULL, uuid, "/vm/%s/uuid", uuid);
	if (start)
		st_write(l->xl, XBT_NULL, start, "/vm/%s/start_time", uuid);
	if (old && !strncmp(old, "/vm/", 4)) {
		vm = xl_sprintf("/vm/%s", uuid);
		st_replace(l->xl, vm, "/local/domain/%u/vm", l->domid);
		st_remove(l->xl, XBT_NULL, "%s", old);
		free(vm);
	}
	free(start);
	free(old);
}

/* Makes room for the next life's name and UUID. Both locks are held. */
static int put_aside(struct life *l)
{
	char *name, text[37];
	uint8_t uuid[16];

	/* Counted up, so that the highest is the newest. */
	for (;;) {
		name = xl_sprintf("%s-%d", l->cfg->name, ++l->aside);
		if (!domain_name_used(l->xl, name, DOMID_INVALID))
			break;
		free(name);
	}
	if (getrandom(uuid, sizeof(uuid), 0) != sizeof(uuid) ||
	    pv_domain_set_handle(l->xl->pv, l->domid, uuid)) {
		free(name);
		return xl_error("domain %u keeps its UUID: it cannot be put aside", l->domid);
	}
	memcpy(l->handle, uuid, sizeof(uuid));
	uuid_format(uuid, text);
	move_vm(l, name, text);
	st_replace(l->xl, name, "/local/domain/%u/name", l->domid);
	note("domain %u is now called '%s'", l->domid, name);
	free(name);
	return 0;
}

/* --- those that were put aside --------------------------------------------------------------- */

/* Destroys the oldest, unless somebody else has. No lock but xl_lock() is held. */
static void drop_oldest(struct life *l, const char *why)
{
	struct corpse c = l->corpse[0];
	int lock = xl_lock_domain(c.domid);
	char *name = domain_name(l->xl, c.domid);

	if (lock >= 0 && domain_is(l->xl, c.domid, c.handle)) {
		note("domain %u ('%s') goes: %s", c.domid, name ? name : "", why);
		domain_destroy(l->xl, c.domid);
	}
	free(name);
	xl_unlock_domain(lock, c.domid);
	l->nr_corpses--;
	memmove(l->corpse, l->corpse + 1, l->nr_corpses * sizeof(c));
}

/* The domain that has just been put aside. */
static void keep_corpse(struct life *l)
{
	struct corpse *c;

	if (l->nr_corpses == MAX_CORPSES)
		drop_oldest(l, "of a guest's dead no more are kept");
	c = &l->corpse[l->nr_corpses++];
	c->domid = l->domid;
	memcpy(c->handle, l->handle, sizeof(c->handle));
}

static void remember_handle(struct life *l)
{
	struct xen_domctl_getdomaininfo info;

	if (!pv_domain_info(l->xl->pv, l->domid, &info)) {
		memcpy(l->handle, info.handle, 16);
		l->pages = l->pages_told = info.tot_pages;
	}
	l->target = -1;
	l->began = xl_now();
}

/* Seconds before the next life, after that many quick ones. */
static int pause_of(int quick)
{
	const char *text = getenv("XL_RESTART_PAUSE");
	int max = text ? atoi(text) : PAUSE_MAX_S, s = quick > QUICK_LIVES;

	for (quick -= QUICK_LIVES; s < max && --quick > 0;)
		s *= 2;
	return s < max ? s : max;
}

/* Why there is no next life, for whoever reads the log. */
static bool gone(const struct life *l, const char *why)
{
	note("'%s' cannot be started again: %sit is gone until the next xl create", l->cfg->name,
	     why);
	return false;
}

/*
 * One try, with its kernel read anew where that comes from its disk. As domain_create(); also -ENOSPC: there was no room for
 * what is on that disk.
 */
static int try_to_make(struct life *l, int lock, int *domain_lock)
{
	struct sigaction was;
	int rc;

	while (l->nr_corpses && !(bootloader_fits(l->xl, l->cfg) && domain_fits(l->xl, l->cfg)))
		drop_oldest(l, "its memory is wanted for the next life");
	/* Whoever ends us while the disk is read does not leave its reader behind. */
	xl_catch_signal(SIGTERM, &was);
	rc = bootloader_fetch(l->xl, l->cfg, &lock);
	if (!rc) {
		adapt_memory(l);
		rc = domain_create(l->xl, l->cfg, lock, &l->domid, domain_lock);
	}
	bootloader_discard(l->cfg);
	sigaction(SIGTERM, &was, NULL);
	return rc;
}

/*
 * Makes the next life, for which there may be no memory for a while; meanwhile nothing of the guest is there, and nothing is
 * locked. True with *@domain_lock held. @lock: from xl_lock(), given back.
 */
static bool make(struct life *l, int lock, int *domain_lock)
{
	int tries, s, rc;
	int64_t end;

	for (tries = 1;; tries++) {
		bootloader_sweep(l->xl);
		rc = try_to_make(l, lock, domain_lock);
		if (!rc)
			return true;
		if ((rc != -ENOMEM && rc != -ENOSPC) || tries > MEMORY_TRIES)
			return gone(l, "");
		s = pause_of(QUICK_LIVES + tries);
		note("'%s' is not there now, for lack of %s: it is tried again in %d s (%d of %d); "
		     "ending process %d ends this",
		     l->cfg->name, rc == -ENOMEM ? "memory" : "room", s, tries, MEMORY_TRIES,
		     getpid());
		for (end = xl_now() + s * 1000LL; xl_now() < end; xl_sleep(PAUSE_LOOK_MS))
			if (xl_interrupted || !access(XL_NO_RESTART, F_OK))
				return gone(l, "it is to stay down, and ");
		open_log();
		lock = xl_lock();
		if (lock < 0)
			return gone(l, "");
		if (domain_name_used(l->xl, l->cfg->name, DOMID_INVALID)) {
			xl_unlock(lock);
			return gone(l, "somebody else has made one of that name; ");
		}
	}
}

/* True when a new life has begun. @lock: from xl_lock(), given back. */
static bool restart(struct life *l, int lock)
{
	int domain_lock, rc;

	if (!make(l, lock, &domain_lock))
		return false;
	remember_handle(l);
	minder_is_me(l->xl, l->domid);
	/* For the watches of its back ends. */
	for (reconnect(l); !l->xl->xs && !xl_interrupted; reconnect(l))
		xl_sleep(RECONNECT_MS);
	if (l->xl->xs && !console_ready(l->xl, l->domid, 3000))
		note("xenconsoled does not serve domain %u", l->domid);
	rc = domain_start(l->xl, l->domid);
	if (rc) {
		note("domain %u cannot be unpaused: %s", l->domid, strerror(-rc));
		if (l->xl->xs)
			domain_destroy(l->xl, l->domid);
	} else {
		note("'%s' started again as domain %u", l->cfg->name, l->domid);
	}
	xl_unlock_domain(domain_lock, l->domid);
	return !rc;
}

static bool restarts(enum xl_action action)
{
	return action == ACTION_RESTART || action == ACTION_RENAME_RESTART;
}

/* No further life: what becomes of the last one. */
static enum xl_action stay_down(struct life *l, enum xl_action action)
{
	l->last = true;
	/* Of rename-restart's dead the last is kept as the others are. */
	return action == ACTION_RESTART ? ACTION_DESTROY : action;
}

static void tell_end(const struct life *l, unsigned int reason)
{
	const char *event = EVENT_CRASHED;

	if (reason == SHUTDOWN_poweroff)
		event = EVENT_SHUTDOWN;
	else if (reason == SHUTDOWN_reboot)
		event = EVENT_REBOOTED;
	xl_event(event, l->domid, l->cfg->name, ", \"reason\": \"%s\"", shutdown_reason(reason));
}

/* on_crash="coredump-*". Not behind the back of whoever destroys it; that there is no core changes nothing of what follows. */
static enum xl_action save_core(struct life *l, enum xl_action action)
{
	char *path;
	int lock;

	if (action != ACTION_COREDUMP_DESTROY && action != ACTION_COREDUMP_RESTART)
		return action;
	path = xl_sprintf(XL_DUMP_DIR "/%s", l->cfg->name);
	lock = xl_lock_domain(l->domid);
	if (is_ours(l) && !core_write(l->xl, l->domid, path, CORE_LEAVE))
		note("domain %u's memory is in %s", l->domid, path);
	xl_unlock_domain(lock, l->domid);
	free(path);
	return action == ACTION_COREDUMP_RESTART ? ACTION_RESTART : ACTION_DESTROY;
}

static enum xl_action decide(struct life *l, unsigned int reason)
{
	enum xl_action action = action_for(l, reason);
	bool crash = reason != SHUTDOWN_reboot && reason != SHUTDOWN_poweroff;
	bool quick = xl_now() - l->began < QUICK_MS;

	l->quick = quick ? l->quick + 1 : 0;
	l->quick_crashes = quick && crash ? l->quick_crashes + 1 : 0;
	tell_end(l, reason);
	note("domain %u ('%s') ended with %s: %s", l->domid, l->cfg->name, shutdown_reason(reason),
	     action_name(action));
	action = save_core(l, action);
	if (restarts(action) && !access(XL_NO_RESTART, F_OK)) {
		note("the host is going down: '%s' is not started again", l->cfg->name);
		return stay_down(l, action);
	}
	if (restarts(action) && l->quick_crashes >= QUICK_CRASHES) {
		note("'%s' crashed %d times within seconds: not started again", l->cfg->name,
		     l->quick_crashes);
		return stay_down(l, action);
	}
	return action;
}

/* Has somebody said that there is to be no next life? */
static bool unwanted(struct life *l)
{
	char *said = st_read(l->xl, XBT_NULL, XL_RESTART, l->domid);
	bool off = said && !strcmp(said, XL_RESTART_OFF);

	free(said);
	return off || !access(XL_NO_RESTART, F_OK);
}

/* Not behind the back of whoever destroys it: the node would stay. */
static void announce(struct life *l, int s)
{
	int lock = xl_lock_domain(l->domid);
	char text[16];

	snprintf(text, sizeof(text), "%d", s);
	if (is_ours(l))
		st_write(l->xl, XBT_NULL, text, XL_RESTART, l->domid);
	xl_unlock_domain(lock, l->domid);
}

/*
 * Holds the next life back if lives are short; meanwhile the dead guest keeps name and memory, so that
 * xl destroy finds it. No lock is held.
 */
static enum xl_action hold_back(struct life *l, enum xl_action action)
{
	int s = pause_of(l->quick);
	int64_t end = xl_now() + s * 1000LL;

	if (!restarts(action) || l->last || s <= 0)
		return action;
	announce(l, s);
	note("'%s' has ended %d times within %d s of its start: it starts again in %d s",
	     l->cfg->name, l->quick, QUICK_MS / 1000, s);
	xl_event(EVENT_RESTARTING, l->domid, l->cfg->name, ", \"seconds\": %d", s);
	while (xl_now() < end && !xl_interrupted && is_ours(l)) {
		if (unwanted(l))
			break;
		xl_sleep(PAUSE_LOOK_MS);
	}
	return action;
}

/* The domain's lock is held; for a restart xl_lock() too. What is to come next. */
static enum next act(struct life *l, enum xl_action action)
{
	switch (action) {
	case ACTION_PRESERVE:
		st_write(l->xl, XBT_NULL, "1", XL_PRIVATE "/%u/preserved", l->domid);
		return NEXT_KEPT;
	case ACTION_RENAME_RESTART:
		if (put_aside(l))
			return NEXT_FAILED;
		/* Its disks go to the next life. */
		device_remove_all(l->xl, l->domid);
		st_remove(l->xl, XBT_NULL, XL_RESTART, l->domid);
		st_write(l->xl, XBT_NULL, "1", XL_PRIVATE "/%u/preserved", l->domid);
		return l->last ? NEXT_KEPT : NEXT_LIFE;
	case ACTION_RESTART:
		/* Somebody may hold pages of the old one: no reason to lose the guest. */
		domain_destroy(l->xl, l->domid);
		return NEXT_LIFE;
	default:
		domain_destroy(l->xl, l->domid);
	}
	return NEXT_GONE;
}

/* Driver domains decide how long that takes: not with xl_lock(), which all others want. */
static void release_foreign(struct life *l)
{
	int lock = xl_lock_domain(l->domid);

	if (is_ours(l))
		device_remove_foreign(l->xl, l->domid);
	xl_unlock_domain(lock, l->domid);
}

/* The guest has ended. NEXT_LIFE: it has another one, to be watched. */
static enum next after_the_end(struct life *l, unsigned int reason)
{
	enum next next = NEXT_GONE;
	enum xl_action action;
	int lock, domain_lock;

	open_log();
	action = hold_back(l, decide(l, reason));
	if (restarts(action))
		release_foreign(l);
	/* Over destruction and creation, so that nobody takes the name in between. */
	lock = restarts(action) ? xl_lock() : -1;
	domain_lock = xl_lock_domain(l->domid);
	/* Meanwhile another xl may have destroyed or renamed it. */
	if (is_ours(l)) {
		if (restarts(action) && next_take(l->domid, l->cfg, note))
			note("'%s' is as xl config-update has said in its next life", l->cfg->name);
		next_adopt(l->xl, l->domid, l->cfg);
		if (restarts(action) && !l->last && unwanted(l)) {
			note("'%s' is to stay down: it is not started again", l->cfg->name);
			action = stay_down(l, action);
		}
		next = act(l, action);
	}
	xl_unlock_domain(domain_lock, l->domid);
	if (action == ACTION_RENAME_RESTART && (next == NEXT_LIFE || next == NEXT_KEPT))
		keep_corpse(l);
	if (next == NEXT_LIFE)
		return restart(l, lock) ? NEXT_LIFE : NEXT_FAILED;
	xl_unlock(lock);
	return next;
}

int supervise(struct xl *xl, struct xl_config *cfg, uint32_t domid, int report_fd)
{
	struct life l = { .xl = xl, .cfg = cfg, .domid = domid, .report = report_fd };
	enum next next = NEXT_LIFE;
	unsigned int reason = 0;

	remember_handle(&l);
	minder_is_me(xl, domid);
	reconnect(&l);
	report(&l, REPORT_READY, 0, next);
	while (next == NEXT_LIFE) {
		int rc = wait_for_end(&l, &reason);

		if (rc < 0) {
			note("interrupted: nobody acts on the end of domain %u any more", l.domid);
			return 1;
		}
		if (rc == 1) {
			note("domain %u was destroyed", l.domid);
			report(&l, REPORT_ENDED, REASON_DESTROYED, NEXT_GONE);
			break;
		}
		while (!l.xl->xs && !xl_interrupted) {
			xl_sleep(RECONNECT_MS);
			reconnect(&l);
		}
		if (!l.xl->xs)
			continue;
		next = after_the_end(&l, reason);
		report(&l, REPORT_ENDED, reason, next);
	}
	return next == NEXT_FAILED;
}

/* --- the background process ------------------------------------------------------------------ */

static void become_daemon(const char *name, int report_fd)
{
	int fd;

	setsid();
	if (chdir("/"))
		_exit(1);
	fd = open("/dev/null", O_RDWR);
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	log_path = xl_sprintf(XL_LOG_DIR "/xl-%s.log", name);
	open_log();
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
		if (scope_enter(cfg->name))
			note("it lives no longer than what xl create was run from: " XL_SCOPE
			     " failed");
		if (xl_open(&own))
			_exit(1);
		_exit(supervise(&own, cfg, domid, 3));
	}
	close(pipe_fd[1]);
	return pipe_fd[0];
}
