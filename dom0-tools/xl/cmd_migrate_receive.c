// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl migrate-receive: a guest comes from another host (migrate.h has the protocol).
 * Owns the target's half of "at most one runs": the copy here runs only once GO was heard and noted, and whoever says FAILED or
 * NOT_HERE has nothing of it left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "announce.h"
#include "copied.h"
#include "migrate.h"
#include "restoring.h"

/* A receiver of the same guest that has lost its source needs a moment to notice. */
#ifndef INCOMING_MS
#define INCOMING_MS 5000
#endif

struct receiving {
	struct xl *xl;
	struct migrate_peer peer;
	struct migrate_message m;
	struct incoming note;
	struct xl_config cfg;
	struct saved saved;
	struct copied copied;
	uint32_t flags; /* MIGRATE_*, of the command line */
	uint64_t pages; /* HELLO's */
	uint32_t domid; /* 0: there is none */
	int lock; /* of the domain */
	char from[MIGRATE_NAME + 16]; /* for messages */
};

/* --- what is to come --------------------------------------------------------------------------- */

static int read_hello(struct receiving *r, struct migrate_source *h)
{
	const char *name = (const char *)r->m.body + sizeof(*h), *bad;
	char *coming;

	if (r->m.length < sizeof(*h))
		return xl_error("the source's HELLO is too short");
	memcpy(h, r->m.body, sizeof(*h));
	if (h->name_length >= MIGRATE_NAME || h->name_length != r->m.length - sizeof(*h) ||
	    strlen(name) != h->name_length)
		return xl_error("the source's HELLO has no name");
	coming = xl_sprintf("%s" MIGRATE_INCOMING, name);
	bad = config_bad_name(name) ?: config_bad_name(coming);
	free(coming);
	if (bad)
		return xl_error("%s: %s", name, bad);
	snprintf(r->from, sizeof(r->from), "'%s'", name);
	r->pages = h->pages;
	return 0;
}

/* Its note is ours then, and says that it comes. */
static int claim(struct receiving *r, const struct migrate_source *h)
{
	const char *name = (const char *)r->m.body + sizeof(*h);
	int rc = incoming_claim(&r->note, h->uuid, true, INCOMING_MS), left;
	bool there;
	uint32_t domid;

	if (rc)
		return xl_error("%s: %s", r->from,
				rc == -EBUSY ? "it is on its way here already" : strerror(-rc));
	/* What was left of another attempt. */
	left = incoming_settle(r->xl, &r->note);
	there = migrate_find(r->xl, h->uuid, &domid);
	if (there || left)
		incoming_release(&r->note, !left);
	if (there)
		return xl_error("%s: domain %u here has its UUID%s", r->from, domid,
				given_away(r->xl, domid) ?
					": it is what was left when it went from here (xl migrate "
					"--recover)" :
					"");
	if (left)
		return xl_error("%s: what came of it before is not settled yet: try again",
				r->from);
	r->note.phase = INCOMING_COMES;
	r->note.flags = (h->flags | r->flags) & (MIGRATE_PAUSED | MIGRATE_ALONE);
	memcpy(r->note.attempt, h->attempt, sizeof(r->note.attempt));
	snprintf(r->note.name, sizeof(r->note.name), "%s", name);
	rc = incoming_write(&r->note);
	if (!rc)
		return 0;
	incoming_release(&r->note, true);
	return xl_error("%s: it cannot be noted that it comes: %s", r->from, strerror(-rc));
}

static int read_what_it_is(struct receiving *r)
{
	struct xl_config *cfg = &r->cfg;

	if (saved_open_stream(&r->saved, r->peer.in, SOURCE_MS, r->from) ||
	    restoring_config(cfg, &r->saved, NULL))
		return -1;
	if (strcmp(cfg->name, r->note.name) || !cfg->have_uuid ||
	    memcmp(cfg->uuid, r->note.uuid, sizeof(cfg->uuid)) || r->saved.in.ram != r->pages)
		return xl_error("%s: its configuration is another guest's", r->from);
	return 0;
}

/* --- making it --------------------------------------------------------------------------------- */

static int tell_prepared(struct saved *s)
{
	struct receiving *r = s->ctx;
	int rc = migrate_send(&r->peer, MIGRATE_PREPARED, NULL, 0);

	return rc ? xl_error("%s: %s", r->from, strerror(-rc)) : 0;
}

/* With all that comes in it, and its devices; paused. */
static int make(struct receiving *r)
{
	struct xl_config *cfg = &r->cfg;
	char *name = cfg->name;
	int lock = xl_lock(), rc;

	if (lock < 0)
		return -1;
	xl_logs_prune(r->xl, name);
	cfg->name = xl_sprintf("%s" MIGRATE_INCOMING, name);
	cfg->incoming = name;
	cfg->saved = &r->saved;
	r->saved.has_memory = tell_prepared;
	r->saved.copied = &r->copied;
	r->saved.ctx = r;
	rc = domain_create(r->xl, cfg, lock, &r->domid, &r->lock);
	/* Whatever comes later is made from its kernel, and under its name. */
	free(cfg->name);
	cfg->name = name;
	cfg->incoming = NULL;
	cfg->saved = NULL;
	saved_close(&r->saved);
	if (rc)
		r->domid = 0;
	return rc ? rc : restoring_attend(r->xl, cfg, r->domid, r->note.flags & MIGRATE_ALONE);
}

/* Nothing is left: true. */
static bool drop(struct receiving *r)
{
	uint32_t domid;

	if (r->domid)
		domain_destroy(r->xl, r->domid);
	r->domid = 0;
	/* Of another of that UUID it was said that it is in the way. */
	return !migrate_find(r->xl, r->note.uuid, &domid) || !incoming_is(r->xl, domid);
}

/* --- GO ---------------------------------------------------------------------------------------- */

/* 0: it runs. -1 after a message: it does not. */
static int go(struct receiving *r)
{
	int rc;

	r->note.phase = INCOMING_GO;
	rc = incoming_write(&r->note);
	if (!rc) {
		MIGRATE_POINT(true, "after", "note");
		rc = incoming_run(r->xl, &r->note, r->domid);
	}
	if (!rc)
		return 0;
	r->note.phase = INCOMING_COMES;
	incoming_write(&r->note);
	return xl_error("%s: it has come whole, and cannot be let run: %s", r->from, strerror(-rc));
}

/* It runs. The source is told, and can ask for it later; nothing is locked. */
static void confirm(struct receiving *r)
{
	r->peer.patience = SOURCE_MS;
	migrate_send(&r->peer, MIGRATE_RUNNING, NULL, 0);
	announce_guest(r->xl, r->domid);
	if (!migrate_receive(&r->peer, &r->m) && r->m.type == MIGRATE_DONE)
		incoming_done(r->note.uuid, r->note.attempt);
}

/* From the note on. 0; -1: it is to be dropped. */
static int take(struct receiving *r)
{
	int rc;

	if (read_what_it_is(r) || copied_begin(&r->copied, &r->saved, &r->cfg, &r->note) || make(r))
		return -1;
	rc = migrate_send(&r->peer, MIGRATE_READY, NULL, 0);
	r->peer.patience = GO_MS;
	if (!rc)
		rc = migrate_receive(&r->peer, &r->m);
	if (rc || r->m.type != MIGRATE_GO)
		return xl_error("%s: it stays where it is, as its host has not let go of it: %s",
				r->from, rc ? migrate_error(rc) : "another message has come");
	return go(r);
}

/* Not every way carries what is said here to whoever is there, as ssh does. What is wrong with a configuration is no error of ours. */
static void say_why(struct receiving *r, const char *why)
{
	migrate_fail(&r->peer, "%s",
		     *why ? why : "it is not taken; why is on standard error there");
}

static int receive(struct receiving *r)
{
	struct migrate_source h;
	uint32_t domid;
	bool nothing;
	char *why;

	if (read_hello(r, &h) || claim(r, &h)) {
		say_why(r, xl_last_error());
		return -1;
	}
	MIGRATE_POINT(true, "after", "claim");
	xl_forget_error();
	if (!take(r)) {
		copied_end(&r->copied, false);
		nothing = !incoming_ran(r->xl, &r->note, r->domid);
		MIGRATE_POINT(true, "after", "mark");
		xl_unlock_domain(r->lock, r->domid);
		incoming_release(&r->note, nothing);
		confirm(r);
		return 0;
	}
	why = xl_sprintf("%s", xl_last_error());
	domid = r->domid;
	nothing = drop(r);
	copied_end(&r->copied, nothing);
	xl_unlock_domain(r->lock, domid);
	incoming_release(&r->note, nothing);
	if (nothing)
		say_why(r, why);
	else
		xl_error("%s: what has come of it is still there", r->from);
	free(why);
	return -1;
}

/* --- questions --------------------------------------------------------------------------------- */

static int answer(struct receiving *r)
{
	struct migrate_question q;
	int here;

	if (r->m.length != sizeof(q)) {
		migrate_fail(&r->peer, "the question is none");
		return -1;
	}
	memcpy(&q, r->m.body, sizeof(q));
	here = incoming_ask(r->xl, q.uuid, q.attempt);
	if (here < 0) {
		migrate_fail(&r->peer, "it cannot be said whether it is there");
		return -1;
	}
	migrate_send(&r->peer, here ? MIGRATE_HERE : MIGRATE_NOT_HERE, NULL, 0);
	/* The source has no copy any more: nobody will ask again. */
	if (here && !migrate_receive(&r->peer, &r->m) && r->m.type == MIGRATE_DONE)
		incoming_done(q.uuid, q.attempt);
	return 0;
}

static int ask_here(const char *text)
{
	uint8_t uuid[16];
	struct xl xl;
	int here;

	if (uuid_parse(text, uuid)) {
		xl_error("'%s' is no UUID", text);
		return EXIT_USAGE;
	}
	if (xl_open(&xl))
		return EXIT_USAGE;
	here = incoming_ask(&xl, uuid, NULL);
	xl_close(&xl);
	if (here >= 0)
		printf("%s\n", here ? "here" : "not here");
	return here < 0 ? EXIT_USAGE : !here;
}

/* --- the way ----------------------------------------------------------------------------------- */

/* Messages alone go there: what scripts and we print goes where errors go. */
static int take_pipes(struct migrate_peer *p)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	*p = (struct migrate_peer){ .who = "the source", .target = true, .patience = SOURCE_MS };
	p->in = fcntl(0, F_DUPFD_CLOEXEC, 3);
	p->out = fcntl(1, F_DUPFD_CLOEXEC, 3);
	if (null < 0 || p->in < 0 || p->out < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0)
		return xl_error("standard input and output are to be the way to the source: %s",
				strerror(errno));
	close(null);
	return 0;
}

static int greet(struct migrate_peer *p)
{
	struct migrate_target t = { .stream_major = PV_STREAM_MAJOR,
				    .stream_minor = PV_STREAM_MINOR };
	int rc = migrate_boot(t.boot);

	if (rc)
		return rc;
	rc = migrate_send(p, MIGRATE_HELLO, &t, sizeof(t));
	return rc ? xl_error("%s: %s", p->who, strerror(-rc)) : 0;
}

static int serve(struct receiving *r, struct xl *xl)
{
	int rc = migrate_receive(&r->peer, &r->m);

	if (rc) {
		migrate_fail(&r->peer, "%s", migrate_error(rc));
		return xl_error("%s: %s", r->peer.who, migrate_error(rc));
	}
	if (r->m.type != MIGRATE_HELLO && r->m.type != MIGRATE_ASK) {
		migrate_fail(&r->peer, "HELLO or ASK was to come");
		return xl_error("%s: HELLO or ASK was to come", r->peer.who);
	}
	if (xl_open(xl)) {
		migrate_fail(&r->peer, "the hypervisor or xenstored does not answer there");
		return -1;
	}
	r->xl = xl;
	rc = r->m.type == MIGRATE_HELLO ? receive(r) : answer(r);
	xl_close(xl);
	return rc;
}

int cmd_migrate_receive(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "ask", required_argument, NULL, 'A' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *uuid = NULL;
	struct receiving *r;
	uint32_t flags = 0;
	struct xl xl;
	int c, rc;

	while ((c = getopt_long(argc, argv, "eph", longs, NULL)) != -1) {
		if (c == '?' || c == 'h')
			return command_usage("migrate-receive", c == 'h');
		flags |= c == 'e' ? MIGRATE_ALONE : c == 'p' ? MIGRATE_PAUSED : 0;
		uuid = c == 'A' ? optarg : uuid;
	}
	if (optind < argc)
		return command_usage("migrate-receive", false);
	if (uuid)
		return ask_here(uuid);
	r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->lock = r->note.fd = r->saved.fd = -1;
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	/* The end of the way is noticed where it is read from; what is half there is to go in order. */
	signal(SIGHUP, SIG_IGN);
	rc = take_pipes(&r->peer);
	config_init(&r->cfg, stderr);
	r->flags = flags;
	rc = rc || greet(&r->peer) || serve(r, &xl);
	config_free(&r->cfg);
	saved_close(&r->saved);
	free(r);
	return rc ? 1 : 0;
}
