// SPDX-License-Identifier: BSD-2-Clause
/*
 * What comes after a guest's end: what on_poweroff, on_reboot and on_crash say, and the next life.
 * Owns those decisions, and that each step is in the guest's record before it is taken: whoever goes on in a killed supervisor's
 * place does what is left of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootloader.h"
#include "core.h"
#include "dump.h"
#include "events.h"
#include "minder.h"
#include "jsonl.h"
#include "migrate.h"
#include "next.h"
#include "oci.h"
#include "supervise.h"

#include <xen/sched.h>

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
	life_note(
		"there are no %lu MiB for '%s': it starts again with %lu, and cannot have more before "
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
	vm = xl_sprintf("/vm/%s", uuid);
	if (old && !strncmp(old, "/vm/", 4) && strcmp(old, vm)) {
		/* In this order: whoever goes on in between still knows which one is to go. */
		st_remove(l->xl, XBT_NULL, "%s", old);
		st_replace(l->xl, vm, "/local/domain/%u/vm", l->domid);
	}
	free(vm);
	free(start);
	free(old);
}

/* Makes room for the next life's name and UUID, or does the rest of that. Both locks are held. */
static int put_aside(struct life *l)
{
	char *name = domain_name(l->xl, l->domid), text[37];
	uint8_t was[16];
	bool done = name && strcmp(name, l->cfg->name) &&
		    !memcmp(l->handle, l->aside_handle, sizeof(l->handle));

	/* Counted up, so that the highest is the newest. */
	while (!done) {
		free(name);
		name = xl_sprintf("%s-%d", l->cfg->name, ++l->aside);
		done = !domain_name_used(l->xl, name, l->domid);
	}
	if (memcmp(l->handle, l->aside_handle, sizeof(l->handle)) &&
	    pv_domain_set_handle(l->xl->pv, l->domid, l->aside_handle)) {
		free(name);
		return xl_error("domain %u keeps its UUID: it cannot be put aside", l->domid);
	}
	memcpy(was, l->handle, sizeof(was));
	memcpy(l->handle, l->aside_handle, sizeof(l->handle));
	names_note(l->domid, l->handle, name);
	uuid_format(l->handle, text);
	move_vm(l, name, text);
	if (st_replace(l->xl, name, "/local/domain/%u/name", l->domid))
		names_forget(l->domid, was, l->cfg->name);
	life_note("domain %u is now called '%s'", l->domid, name);
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
		life_note("domain %u ('%s') goes: %s", c.domid, name ? name : "", why);
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

	if (l->nr_corpses &&
	    !memcmp(l->corpse[l->nr_corpses - 1].handle, l->handle, sizeof(l->handle)))
		return;
	if (l->nr_corpses == RECORD_CORPSES)
		drop_oldest(l, "of a guest's dead no more are kept");
	c = &l->corpse[l->nr_corpses++];
	c->domid = l->domid;
	memcpy(c->handle, l->handle, sizeof(c->handle));
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
	life_note("'%s' cannot be started again: %sit is gone until the next xl create",
		  l->cfg->name, why);
	return false;
}

/*
 * One try, with its kernel read anew where that comes from its disk. As domain_create(); also -ENOSPC: there was no room for
 * what is on that disk.
 */
static int try_to_make(struct life *l, int lock, int *domain_lock)
{
	int rc;

	while (l->nr_corpses && !(bootloader_fits(l->xl, l->cfg) && domain_fits(l->xl, l->cfg)))
		drop_oldest(l, "its memory is wanted for the next life");
	rc = bootloader_fetch(l->xl, l->cfg, &lock);
	if (!rc)
		rc = oci_pack(l->cfg, &lock);
	if (!rc) {
		adapt_memory(l);
		l->cfg->had_a_life = true;
		rc = domain_create(l->xl, l->cfg, lock, &l->domid, domain_lock);
	}
	oci_discard(l->cfg);
	bootloader_discard(l->cfg);
	return rc;
}

/*
 * Makes the next life, for which there may be no memory for a while; meanwhile nothing of the guest is there, and nothing is
 * locked. True with *@domain_lock held. @lock: from xl_lock(), given back.
 */
static bool try_for_long(struct life *l, int lock, int *domain_lock)
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
		life_note(
			"'%s' is not there now, for lack of %s: it is tried again in %d s (%d of %d); "
			"ending process %d ends this",
			l->cfg->name, rc == -ENOMEM ? "memory" : "room", s, tries, MEMORY_TRIES,
			getpid());
		for (end = xl_now() + s * 1000LL; xl_now() < end; xl_sleep(PAUSE_LOOK_MS))
			if (xl_interrupted || !access(XL_NO_RESTART, F_OK))
				return gone(l, "it is to stay down, and ");
		life_open_log();
		lock = xl_lock();
		if (lock < 0)
			return gone(l, "");
		if (domain_name_used(l->xl, l->cfg->name, DOMID_INVALID)) {
			xl_unlock(lock);
			return gone(l, "somebody else has made one of that name; ");
		}
	}
}

/* As try_for_long(). Whoever ends this process meanwhile means the guest, whose disk's reader does not stay behind. */
static bool make(struct life *l, int lock, int *domain_lock)
{
	struct sigaction was;
	bool made;

	xl_catch_signal(SIGTERM, &was);
	made = try_for_long(l, lock, domain_lock);
	sigaction(SIGTERM, &was, NULL);
	return made;
}

/* The domain's lock is held. False: it cannot, and is gone. */
static bool let_go(struct life *l)
{
	int rc;

	if (l->xl->xs && !console_ready(l->xl, l->domid, 3000))
		life_note("xenconsoled does not serve domain %u", l->domid);
	rc = domain_start(l->xl, l->domid);
	if (!rc) {
		life_save(l, RECORD_LIVES);
		return true;
	}
	life_note("domain %u cannot be unpaused: %s", l->domid, strerror(-rc));
	if (l->xl->xs)
		domain_destroy(l->xl, l->domid);
	return false;
}

void life_let_go(struct life *l)
{
	int lock = xl_lock_domain(l->domid);
	struct xen_domctl_getdomaininfo info;

	if (life_is_ours(l) && !pv_domain_info(l->xl->pv, l->domid, &info) &&
	    info.flags & XEN_DOMINF_paused && !given_away(l->xl, l->domid))
		let_go(l);
	xl_unlock_domain(lock, l->domid);
}

/* True when a new life has begun. @lock: from xl_lock(), given back. */
static bool restart(struct life *l, int lock)
{
	int domain_lock;
	bool lives;

	if (!make(l, lock, &domain_lock))
		return false;
	life_remember(l);
	life_save_config(l);
	life_save(l, RECORD_MADE);
	minder_is_me(l->xl, l->domid);
	/* For the watches of its back ends. */
	for (life_reconnect(l); !l->xl->xs && !xl_interrupted; life_reconnect(l))
		xl_sleep(RECONNECT_MS);
	lives = let_go(l);
	if (lives)
		life_note("'%s' started again as domain %u", l->cfg->name, l->domid);
	xl_unlock_domain(domain_lock, l->domid);
	return lives;
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

/* The program of an image, in words; NULL: the guest is none, or has not come as far. The caller frees. */
static char *program_words(struct life *l, unsigned int reason)
{
	memset(&l->program, 0, sizeof(l->program));
	if (!l->cfg->oci || (reason != SHUTDOWN_poweroff && reason != SHUTDOWN_reboot))
		return NULL;
	oci_read_end(l->xl, l->domid, &l->program);
	return oci_end_words(&l->program);
}

static void tell_end(struct life *l, unsigned int reason)
{
	char *program = program_words(l, reason), *quoted;
	const char *event = EVENT_CRASHED;

	if (reason == SHUTDOWN_poweroff)
		event = EVENT_SHUTDOWN;
	else if (reason == SHUTDOWN_reboot)
		event = EVENT_REBOOTED;
	quoted = program ? json_quote(program) : NULL;
	xl_event(event, l->domid, l->cfg->name, ", \"reason\": \"%s\"%s%s", shutdown_reason(reason),
		 quoted ? ", \"program\": " : "", quoted ? quoted : "");
	if (program)
		life_note("its program's end: %s", program);
	free(quoted);
	free(program);
}

/* on_crash="coredump-*". Not behind the back of whoever destroys it; that there is no core changes nothing of what follows. */
static void save_core(struct life *l)
{
	char *path = xl_sprintf(XL_DUMP_DIR "/%s", l->cfg->name);
	int lock = xl_lock_domain(l->domid);
	struct cores cores;
	struct dump d;

	cores_read(&cores);
	if (life_is_ours(l) && !dump_begin(l->xl, l->domid, path, false, &d)) {
		if (!core_write(l->xl, l->domid, path, d.part, &cores))
			life_note("domain %u's memory is in %s", l->domid, path);
		dump_end(l->xl, &d);
	}
	xl_unlock_domain(lock, l->domid);
	free(path);
}

/* What is to be done, once its memory is saved where that is to be. */
static enum xl_action decide(struct life *l, unsigned int reason)
{
	enum xl_action action = action_for(l, reason);
	bool crash = reason != SHUTDOWN_reboot && reason != SHUTDOWN_poweroff;
	bool quick = xl_now() - l->began < QUICK_MS;

	l->quick = quick ? l->quick + 1 : 0;
	l->quick_crashes = quick && crash ? l->quick_crashes + 1 : 0;
	tell_end(l, reason);
	life_note("domain %u ('%s') ended with %s: %s", l->domid, l->cfg->name,
		  shutdown_reason(reason), action_name(action));
	l->core = action == ACTION_COREDUMP_DESTROY || action == ACTION_COREDUMP_RESTART;
	if (l->core)
		action = action == ACTION_COREDUMP_RESTART ? ACTION_RESTART : ACTION_DESTROY;
	if (restarts(action) && !access(XL_NO_RESTART, F_OK)) {
		life_note("the host is going down: '%s' is not started again", l->cfg->name);
		return stay_down(l, action);
	}
	if (restarts(action) && l->quick_crashes >= QUICK_CRASHES) {
		life_note("'%s' crashed %d times within seconds: not started again", l->cfg->name,
			  l->quick_crashes);
		return stay_down(l, action);
	}
	return action;
}

/* decide(), once for each end, whoever was killed meanwhile. */
static enum xl_action decide_once(struct life *l, unsigned int reason)
{
	if (l->phase != RECORD_ENDED) {
		l->action = decide(l, reason);
		life_save(l, RECORD_ENDED);
	}
	if (l->core) {
		save_core(l);
		l->core = false;
		life_save(l, RECORD_ENDED);
	}
	return l->action;
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
	if (life_is_ours(l))
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
	life_note("'%s' has ended %d times within %d s of its start: it starts again in %d s",
		  l->cfg->name, l->quick, QUICK_MS / 1000, s);
	xl_event(EVENT_RESTARTING, l->domid, l->cfg->name, ", \"seconds\": %d", s);
	while (xl_now() < end && !xl_interrupted && life_is_ours(l)) {
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
		/* Its disks go to the next life, as do its sockets. */
		device_remove_all(l->xl, l->domid);
		channels_remove(l->xl, l->domid);
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

	if (life_is_ours(l))
		device_remove_foreign(l->xl, l->domid);
	xl_unlock_domain(lock, l->domid);
}

/* The UUIDs of what comes: whoever goes on from here knows by them what is whose. */
static int begin_next(struct life *l, enum xl_action action)
{
	l->action = action;
	if (!l->cfg->have_uuid && uuid_random(l->cfg->uuid))
		return -1;
	l->cfg->uuid_chosen = true;
	if (action == ACTION_RENAME_RESTART && uuid_random(l->aside_handle))
		return -1;
	life_save_config(l);
	life_save(l, RECORD_BETWEEN);
	return 0;
}

/* What is left to do when the dead guest has been dealt with. @lock: xl_lock()'s or -1, given back. */
static enum next go_on(struct life *l, enum xl_action action, enum next next, int lock)
{
	if (action == ACTION_RENAME_RESTART && (next == NEXT_LIFE || next == NEXT_KEPT))
		keep_corpse(l);
	if (next == NEXT_LIFE) {
		if (l->phase == RECORD_BETWEEN)
			life_save(l, RECORD_BETWEEN);
		return restart(l, lock) ? NEXT_LIFE : NEXT_FAILED;
	}
	xl_unlock(lock);
	return next;
}

/* Whoever saves or moves it may be at it for long: not while we have the lock that all others want. */
static void await_others(struct life *l)
{
	int lock = xl_lock_domain(l->domid);

	xl_unlock_domain(lock, l->domid);
}

enum next life_after_the_end(struct life *l, unsigned int reason)
{
	enum next next = NEXT_GONE;
	enum xl_action action;
	int lock, domain_lock;

	life_open_log();
	action = hold_back(l, decide_once(l, reason));
	if (restarts(action))
		release_foreign(l);
	if (restarts(action))
		await_others(l);
	/* Over destruction and creation, so that nobody takes the name in between. */
	lock = restarts(action) ? xl_lock() : -1;
	domain_lock = xl_lock_domain(l->domid);
	/* Meanwhile another xl may have given it away: then it is watched on, until it is known what became of it. */
	if (given_away(l->xl, l->domid)) {
		xl_unlock_domain(domain_lock, l->domid);
		xl_unlock(lock);
		return NEXT_LIFE;
	}
	/* Or destroyed or renamed it. */
	if (life_is_ours(l)) {
		if (restarts(action) && next_take(l->domid, l->cfg, life_note))
			life_note("'%s' is as xl config-update has said in its next life",
				  l->cfg->name);
		next_adopt(l->xl, l->domid, l->cfg);
		if (restarts(action) && !l->last && unwanted(l)) {
			life_note("'%s' is to stay down: it is not started again", l->cfg->name);
			action = stay_down(l, action);
		}
		next = restarts(action) && begin_next(l, action) ? NEXT_FAILED : act(l, action);
	}
	xl_unlock_domain(domain_lock, l->domid);
	return go_on(l, action, next, lock);
}

/* --- in the place of another ----------------------------------------------------------------- */

/* Is it what a killed supervisor has left of its guest's next life: never run, and nobody's? Its lock is held. */
static bool is_half_made(struct life *l, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(l->xl->pv, domid, &info) &&
	       !memcmp(info.handle, l->cfg->uuid, sizeof(info.handle)) && !info.cpu_time &&
	       !(info.flags & XEN_DOMINF_dying) && minder_of(l->xl, domid) == MINDER_NONE;
}

static void destroy_half_made(struct life *l)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int n = pv_domain_list(l->xl->pv, &list), i, lock;

	for (i = 0; i < n; i++) {
		if (memcmp(list[i].handle, l->cfg->uuid, sizeof(list[i].handle)) ||
		    (list[i].domain == l->domid && life_is_ours(l)))
			continue;
		lock = xl_lock_domain(list[i].domain);
		if (lock >= 0 && is_half_made(l, list[i].domain))
			domain_destroy(l->xl, list[i].domain);
		xl_unlock_domain(lock, list[i].domain);
	}
	free(list);
}

enum next life_go_on(struct life *l)
{
	enum next next;
	int lock, domain_lock;

	destroy_half_made(l);
	/* Since the last one decided the host may have begun to go down, whose guests nobody looks for any more. */
	if (!l->last && !access(XL_NO_RESTART, F_OK)) {
		life_note("'%s' is to stay down: it is not started again", l->cfg->name);
		l->action = stay_down(l, l->action);
	}
	if (l->last)
		next = restarts(l->action) ? NEXT_KEPT : NEXT_GONE;
	else
		next = NEXT_LIFE;
	lock = xl_lock();
	domain_lock = xl_lock_domain(l->domid);
	if (domain_is(l->xl, l->domid, l->aside_handle))
		memcpy(l->handle, l->aside_handle, sizeof(l->handle));
	if (life_is_ours(l))
		next = act(l, l->action);
	xl_unlock_domain(domain_lock, l->domid);
	if (next == NEXT_LIFE && domain_name_used(l->xl, l->cfg->name, DOMID_INVALID)) {
		life_note("somebody else has made one called '%s' since", l->cfg->name);
		next = NEXT_FAILED;
	}
	return go_on(l, l->action, next, lock);
}
