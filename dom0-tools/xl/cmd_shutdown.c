// SPDX-License-Identifier: BSD-2-Clause
/*
 * shutdown and reboot: asking guests politely (control/shutdown) and waiting for what they do.
 * All are asked before any is waited for, and all are looked at in turns: a guest that is paused, deaf or
 * hostile costs the others nothing. Owns the verdict what came of each request; a request that has been
 * made is never taken back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootloader.h"
#include "suspend.h"
#include "template.h"

/* A guest that has not taken the request by then is named, and is no longer a reason to wait. */
#ifndef ANSWER_MS
#define ANSWER_MS 30000
#endif
/*
 * Guests that ended are taken away by their supervisors, some of them one after the other; so long after the last one that
 * went means that there is none any more.
 */
#define CLEANUP_MS 30000
#define LOOK_MS 20
#define LOOK_MAX_MS 200
/* Looking at hundreds takes its time, which those who take them away need: no more than a fifth of it is ours. */
#define LOOK_SHARE 5
#define LOOK_REST_MAX_MS 2000

enum stage {
	TO_ASK, /* its nodes are not there yet */
	ASKED,
	TAKEN, /* the guest has read the request, or ended */
	DONE,
	FAILED,
};

struct target {
	uint32_t domid;
	uint8_t handle[16];
	char *name;
	enum stage stage;
	bool corpse; /* had ended before it could be asked */
	bool named; /* the user knows that it does not answer */
	bool gone; /* so another life may have begun */
	int64_t asked; /* when; 0: not yet */
	int64_t ended; /* when that was first seen; 0: it lives */
};

struct request {
	struct xl *xl;
	const char *what; /* for control/shutdown */
	bool reboot, wait, all;
	bool last_call; /* nobody else is waited for: driver domains are asked, whoever needs them */
	int64_t begin;
	int64_t went; /* when the last one did, that was waited for */
	struct target *target;
	int nr;
	struct xen_domctl_getdomaininfo info; /* of the target that is being looked at */
};

/* Gone, or another domain has the number by now. */
static bool is_gone(struct request *r, const struct target *t)
{
	return pv_domain_info(r->xl->pv, t->domid, &r->info) ||
	       memcmp(r->info.handle, t->handle, 16);
}

static void add_target(struct request *r, uint32_t domid, bool all)
{
	struct xen_domctl_getdomaininfo info;
	struct target *t;

	if (pv_domain_info(r->xl->pv, domid, &info))
		return;
	if (all && template_is(domid))
		return;
	/* What a destroyed guest left, held by a process or a back end; nobody can be asked any more. */
	if (info.flags & XEN_DOMINF_dying) {
		if (!all) {
			printf("Domain %u has been destroyed already\n", domid);
			holders_say(domid);
		}
		return;
	}
	r->target = realloc(r->target, (r->nr + 1) * sizeof(*r->target));
	if (!r->target)
		abort();
	t = &r->target[r->nr++];
	memset(t, 0, sizeof(*t));
	t->domid = domid;
	memcpy(t->handle, info.handle, 16);
	t->name = domain_name(r->xl, domid);
	if (!t->name)
		t->name = xl_sprintf("%u", domid);
}

/* --- asking ---------------------------------------------------------------------------------- */

/*
 * A guest that has ended and whose supervisor holds the next life back: it is to stay down. In a
 * transaction, so that nodes that go meanwhile are not brought back.
 */
static bool keep_down(struct request *r, struct target *t)
{
	return !r->reboot && st_replace(r->xl, XL_RESTART_OFF, XL_RESTART, t->domid);
}

static void ask(struct request *r, struct target *t)
{
	if (is_gone(r, t)) {
		t->stage = TAKEN;
		return;
	}
	/* Whoever saves it is waited for: it goes on, or is gone. */
	if (suspend_done(&r->info))
		return;
	if (r->info.flags & XEN_DOMINF_shutdown) {
		t->corpse = true;
		t->stage = TAKEN;
		if (keep_down(r, t))
			printf("Domain %u has ended, and does not start again\n", t->domid);
		return;
	}
	if (st_replace(r->xl, r->what, "/local/domain/%u/control/shutdown", t->domid)) {
		printf("%s domain %u\n", r->reboot ? "Rebooting" : "Shutting down", t->domid);
		t->stage = ASKED;
		t->asked = xl_now();
	} else if (errno != ENOENT) {
		xl_error("cannot ask '%s': %s", t->name, strerror(errno));
		t->stage = FAILED;
	}
}

/* The guest empties the node when it has read it. */
static void look_for_answer(struct request *r, struct target *t)
{
	char *left;

	if (is_gone(r, t) || (r->info.flags & XEN_DOMINF_shutdown && !suspend_done(&r->info))) {
		t->stage = TAKEN;
		return;
	}
	left = st_read(r->xl, XBT_NULL, "/local/domain/%u/control/shutdown", t->domid);
	if (!left || !*left)
		t->stage = TAKEN;
	free(left);
}

/* Says, once for each, who does not answer and why. */
static void name_silent(struct request *r, struct target *t)
{
	/* One that is still being made, or gets another life, is not paused by anybody. */
	bool paused = t->stage == ASKED && r->info.flags & XEN_DOMINF_paused &&
		      !xl_domain_locked(t->domid);

	if (t->named || (!paused && xl_now() < (t->asked ? t->asked : r->begin) + ANSWER_MS))
		return;
	t->named = true;
	if (t->stage == TO_ASK)
		xl_error("'%s' is not ready to be asked: it is still being made, or is being saved",
			 t->name);
	else if (paused)
		xl_error("'%s' is paused: it does not see the request to %s before it is unpaused",
			 t->name, r->what);
	else
		xl_error("'%s' has not answered the request to %s for %d s; the request stays",
			 t->name, r->what, ANSWER_MS / 1000);
}

/* --- the end --------------------------------------------------------------------------------- */

/* A dead guest that is still there: kept on purpose, about to live again, or in the way. */
static void look_at_corpse(struct request *r, struct target *t)
{
	char *preserved, *restart;

	preserved = st_read(r->xl, XBT_NULL, XL_PRIVATE "/%u/preserved", t->domid);
	restart = st_read(r->xl, XBT_NULL, XL_RESTART, t->domid);
	if (preserved) {
		printf("Domain %u has been shut down, reason code %u (%s)\n", t->domid,
		       domain_reason(&r->info), shutdown_reason(domain_reason(&r->info)));
		t->stage = DONE;
	} else if (restart && strcmp(restart, XL_RESTART_OFF)) {
		if (r->reboot) {
			printf("Domain %u has ended; its next life begins within %s s\n", t->domid,
			       restart);
			t->stage = DONE;
		} else if (!keep_down(r, t)) {
			t->ended = 0; /* it has gone, or begins just now: look again */
		}
	} else if (!t->ended) {
		t->ended = xl_now();
	} else if (xl_now() > (t->ended > r->went ? t->ended : r->went) + CLEANUP_MS) {
		xl_error("'%s' has ended but nobody takes it away; use xl destroy", t->name);
		t->stage = t->corpse ? DONE : FAILED;
	}
	free(preserved);
	free(restart);
}

static void look_for_end(struct request *r, struct target *t)
{
	if (is_gone(r, t)) {
		printf("Domain %u has been destroyed\n", t->domid);
		t->gone = true;
		t->stage = DONE;
		r->went = xl_now();
	} else if (r->info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying) &&
		   !suspend_done(&r->info)) {
		look_at_corpse(r, t);
	}
}

/*
 * Of all a driver domain is asked last: who has its disks writes to them until it is down. A reboot is survived by them; and
 * one who does not answer keeps nobody up.
 */
static bool is_needed(struct request *r, struct target *t)
{
	return t->stage == TO_ASK && r->all && r->wait && !r->reboot && !r->last_call &&
	       driver_in_use(r->xl, t->domid);
}

/* One look. False: there is nothing (more) to wait for. */
static bool attend(struct request *r, struct target *t)
{
	if (t->stage == TO_ASK)
		ask(r, t);
	if (t->stage == ASKED)
		look_for_answer(r, t);
	if (t->stage == TAKEN && r->wait)
		look_for_end(r, t);
	if (t->stage == TO_ASK || t->stage == ASKED) {
		name_silent(r, t);
		return !t->named;
	}
	return t->stage == TAKEN && r->wait;
}

static bool attend_all(struct request *r)
{
	bool more = false, held = false;
	int i;

	for (i = 0; i < r->nr; i++) {
		if (is_needed(r, &r->target[i]))
			held = true;
		else
			more |= attend(r, &r->target[i]);
	}
	fflush(stdout);
	if (!more && held)
		r->last_call = true;
	return more || held;
}

/* The next life of one that is gone may be about to begin: its kernel is being read from its disk. */
static bool being_read(const struct request *r)
{
	int i;

	for (i = 0; i < r->nr; i++)
		if (r->target[i].gone && bootloader_reads_for(r->xl, r->target[i].name))
			return true;
	return false;
}

/*
 * The end of a life is not the guest's when its supervisor starts it again, under the same name. Until
 * that has its name the lock is held.
 */
static bool lives_again(struct request *r)
{
	bool again = false;
	uint32_t domid;
	int lock, i;

	for (i = 0; i < r->nr && !r->target[i].gone; i++)
		;
	lock = i < r->nr ? xl_lock() : -1;
	while (lock >= 0 && !xl_interrupted && being_read(r)) {
		xl_unlock(lock);
		xl_sleep(LOOK_MAX_MS);
		lock = xl_lock();
	}
	if (lock < 0)
		return false;
	for (i = 0; i < r->nr; i++) {
		struct target *t = &r->target[i];

		if (!t->gone || !domain_named(r->xl, t->name, &domid) || domid == t->domid)
			continue;
		if (r->reboot)
			printf("'%s' has started again as domain %u\n", t->name, domid);
		else
			xl_error("'%s' has started again as domain %u, as its configuration says",
				 t->name, domid);
		again = true;
	}
	xl_unlock(lock);
	return again && !r->reboot;
}

/* Who is not down (or has not answered), for the message of whoever is tired of waiting. */
static int interrupted(struct request *r)
{
	char *who = xl_sprintf("%s", ""), *more;
	int i;

	for (i = 0; i < r->nr; i++) {
		struct target *t = &r->target[i];

		if (t->stage == DONE || t->stage == FAILED || (t->stage == TAKEN && !r->wait))
			continue;
		more = xl_sprintf("%s%s%s", who, *who ? ", " : "", t->name);
		free(who);
		who = more;
	}
	xl_error("interrupted, still waiting for %s; what has been asked stays asked", who);
	free(who);
	return 1;
}

static int carry_out(struct request *r)
{
	int i, failed = 0, ms = LOOK_MS;
	int64_t look = xl_now(), rest;

	r->begin = look;
	while (attend_all(r) && !xl_store_lost) {
		if (xl_interrupted)
			return interrupted(r);
		rest = (xl_now() - look) * (LOOK_SHARE - 1);
		rest = rest < LOOK_REST_MAX_MS ? rest : LOOK_REST_MAX_MS;
		xl_sleep(rest > ms ? (int)rest : ms);
		if (ms < LOOK_MAX_MS)
			ms += LOOK_MS;
		look = xl_now();
	}
	for (i = 0; i < r->nr; i++)
		if (r->target[i].stage < TAKEN || r->target[i].stage == FAILED)
			failed = 1;
	if (r->wait && lives_again(r))
		failed = 1;
	return failed;
}

static int end_guests(int argc, char **argv, const char *what)
{
	struct request r = { .what = what, .reboot = !strcmp(what, "reboot") };
	struct xen_domctl_getdomaininfo *list = NULL;
	int rc = 0, failed = 0, c, i;
	uint32_t domid;
	struct xl xl;

	while ((c = command_option(argc, argv, "awF", &rc)) != -1) {
		if (c == '?')
			return rc;
		r.all |= c == 'a';
		r.wait |= c == 'w';
	}
	if (r.all ? optind != argc : optind == argc)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	xl_catch_signals();
	r.xl = &xl;
	if (r.all) {
		/* They are nobody's guests, and end those that are about to be. */
		if (!r.reboot)
			bootloader_end(&xl, NULL);
		bootloader_sweep(&xl);
		c = pv_domain_list(xl.pv, &list);
		if (c < 0) {
			xl_error("cannot list the domains: %s; nobody has been asked",
				 strerror(-c));
			failed = 1;
		}
		for (i = 0; i < c; i++)
			if (list[i].domain && !bootloader_is_reader(&xl, list[i].domain))
				add_target(&r, list[i].domain, true);
		free(list);
	}
	for (; optind < argc; optind++) {
		if (!r.reboot && bootloader_end(&xl, argv[optind]))
			printf("'%s' does not start: its disk was just being read for that\n",
			       argv[optind]);
		else if (domain_find_guest(&xl, argv[optind], argv[0], &domid))
			failed = 1;
		else
			add_target(&r, domid, false);
	}
	if (carry_out(&r))
		failed = 1;
	for (i = 0; i < r.nr; i++)
		free(r.target[i].name);
	free(r.target);
	xl_close(&xl);
	return failed;
}

int cmd_shutdown(int argc, char **argv)
{
	return end_guests(argc, argv, "poweroff");
}

int cmd_reboot(int argc, char **argv)
{
	return end_guests(argc, argv, "reboot");
}
