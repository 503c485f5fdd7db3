// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl migrate: a guest goes on on another host (migrate.h has the protocol).
 * Owns the source's half of "at most one runs": until GO is sent the guest is here and goes on whatever happens, from the note of it
 * on it stands still here until the target, or an administrator, has said what became of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "copying.h"
#include "dump.h"
#include "migrate.h"
#include "pvstream.h"
#include "rounds.h"
#include "saving.h"
#include "suspend.h"
#include "whole.h"

/* For NAME--migratedaway to be a name, too. */
#define NAME_MAX_LEN 50

struct options {
	const char *command, *config, *guest, *host;
	uint32_t flags; /* MIGRATE_* */
	struct rounds_limits limits;
	enum saving_how how;
	bool recover, force, limited, packed, disks;
};

struct moving {
	struct saving s;
	struct migrate_peer peer;
	struct migrate_message m;
	struct dump d;
	struct rounds rounds;
	struct rounds_limits limits;
	struct copying disks;
	char name[MIGRATE_NAME], boot[40];
	uint8_t attempt[16];
	const char *command; /* for messages */
	uint32_t flags;
	int64_t still; /* since when it stands still; 0: it runs */
};

/* MiB a second. False after a message. */
static bool parse_bandwidth(const char *text, uint64_t *bytes)
{
	char *end;
	double mib = strtod(text, &end);

	/* Slower than that the other side takes us for gone between two pieces. */
	if (end == text || *end || !(mib >= 0.1 && mib <= 1e6)) {
		xl_error("--max-bandwidth is in MiB a second, 0.1 or more: '%s' is not", text);
		return false;
	}
	*bytes = (uint64_t)(mib * PV_MIB);
	return true;
}

static bool parse_downtime(const char *text, unsigned int *ms)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !n || n > 600000) {
		xl_error("--downtime is in milliseconds, 1 to 600000: '%s' is not", text);
		return false;
	}
	*ms = n;
	return true;
}

/* False after a message. */
static bool parse_limit(int c, const char *arg, struct options *o)
{
	o->limited = true;
	if (c == 'B')
		return parse_bandwidth(arg, &o->limits.bandwidth);
	if (c == 'D')
		return parse_downtime(arg, &o->limits.downtime);
	o->limits.cold |= c == 'O';
	o->packed |= c == 'Z';
	o->disks |= c == 'K';
	return true;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "max-bandwidth", required_argument, NULL, 'B' },
		{ "downtime", required_argument, NULL, 'D' },
		{ "cold", no_argument, NULL, 'O' },
		{ "compress", no_argument, NULL, 'Z' },
		{ "copy-disks", no_argument, NULL, 'K' },
		{ "recover", no_argument, NULL, 'R' },
		{ "force", no_argument, NULL, 'F' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c, n;

	o->command = "ssh";
	o->limits.downtime = ROUNDS_DOWNTIME;
	while ((c = getopt_long(argc, argv, "s:C:epWSh", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o->command = optarg;
			break;
		case 'C':
			o->config = optarg;
			break;
		case 'e':
			o->flags |= MIGRATE_ALONE;
			break;
		case 'p':
			o->flags |= MIGRATE_PAUSED;
			break;
		case 'W':
			o->how = SAVING_WHOLE;
			break;
		case 'S':
			o->how = SAVING_SUSPENDED;
			break;
		case 'B':
		case 'D':
		case 'O':
		case 'Z':
		case 'K':
			if (!parse_limit(c, optarg, o))
				return EXIT_USAGE + 1;
			break;
		case 'R':
			o->recover = true;
			break;
		case 'F':
			o->force = true;
			break;
		default:
			return command_usage("migrate", c == 'h') + 1;
		}
	}
	n = argc - optind;
	/* Only who does not want to be told can do without a host. */
	if (n != 2 && !(n == 1 && o->force))
		return command_usage("migrate", false) + 1;
	if ((o->force && !o->recover) ||
	    (o->recover && (o->config || o->flags || o->how || o->limited))) {
		xl_error("--force goes with --recover, and -C, -e, -p, -S, -W, --cold, --compress, "
			 "--copy-disks, --downtime and --max-bandwidth do not");
		return EXIT_USAGE + 1;
	}
	o->guest = argv[optind];
	o->host = n == 2 ? argv[optind + 1] : NULL;
	return 0;
}

/* --- up to PREPARED: the guest runs ----------------------------------------------------------- */

/* HELLO of the target: this start of that machine, and the minor version of streams that it reads. */
static int greet(struct migrate_peer *p, char boot[40], unsigned int *minor)
{
	struct migrate_message m;
	struct migrate_target t;

	if (migrate_expect(p, MIGRATE_HELLO, &m))
		return -1;
	if (m.length < sizeof(t))
		return xl_error("%s: its HELLO is too short", p->who);
	memcpy(&t, m.body, sizeof(t));
	if (!memchr(t.boot, '\0', sizeof(t.boot)))
		return xl_error("%s: its HELLO is none", p->who);
	if (t.stream_major < PV_STREAM_MAJOR)
		return xl_error("%s: it reads saved guests up to version %u, this is %u", p->who,
				t.stream_major, PV_STREAM_MAJOR);
	memcpy(boot, t.boot, sizeof(t.boot));
	/* Whoever reads newer ones reads all that are older. */
	*minor = t.stream_major > PV_STREAM_MAJOR ? UINT16_MAX : t.stream_minor;
	return 0;
}

static int introduce(struct moving *m)
{
	struct xen_domctl_getdomaininfo info;
	struct migrate_source h = { .pages = m->s.pages, .flags = m->flags };
	uint8_t body[sizeof(h) + MIGRATE_NAME];
	int rc = pv_domain_info(m->s.xl->pv, m->s.domid, &info);

	if (rc)
		return xl_error("'%s' has been destroyed", m->name);
	memcpy(h.uuid, info.handle, sizeof(h.uuid));
	if (uuid_random(m->attempt))
		return -1;
	memcpy(h.attempt, m->attempt, sizeof(h.attempt));
	h.name_length = strlen(m->name);
	memcpy(body, &h, sizeof(h));
	memcpy(body + sizeof(h), m->name, h.name_length);
	rc = migrate_send(&m->peer, MIGRATE_HELLO, body, sizeof(h) + h.name_length);
	return rc ? xl_error("%s: %s", m->peer.who, migrate_error(rc)) : 0;
}

/* What saving_begin() or saving_rest() has returned. A target that has closed its end may have said why. */
static int stream_error(struct moving *m, int rc)
{
	if (!*m->s.err.text)
		return -1;
	if (rc == -EPIPE && !migrate_receive(&m->peer, &m->m) && m->m.type == MIGRATE_FAILED)
		return xl_error("%s: %s", m->peer.who, (const char *)m->m.body);
	return xl_error("%s: %s", m->peer.who, m->s.err.text);
}

static int prepare(struct moving *m)
{
	unsigned int minor;
	char here[40];
	int rc;

	if (greet(&m->peer, m->boot, &minor) || migrate_boot(here))
		return -1;
	if ((m->s.packed || m->s.disks) && minor < PV_STREAM_MINOR_PACKED)
		return xl_error("%s: it is an older version, and does not know what --compress and "
				"--copy-disks send",
				m->peer.who);
	if (!strcmp(here, m->boot))
		return xl_error("%s is this machine: a guest cannot be moved to where it is",
				m->peer.who);
	if (introduce(m))
		return -1;
	m->s.patience = m->peer.patience;
	rc = saving_begin(&m->s, m->peer.out);
	if (rc)
		return stream_error(m, rc);
	return migrate_expect(&m->peer, MIGRATE_PREPARED, &m->m) ? -1 : 0;
}

/* Most of its memory, unless there are to be no rounds. */
static int send_rounds(struct moving *m)
{
	int rc = copying_rounds(&m->disks);

	if (!rc)
		rc = rounds_run(&m->rounds, &m->s, &m->d, &m->limits);
	return rc ? stream_error(m, rc) : 0;
}

/* --- up to READY: it stands still, and goes on here if anything fails -------------------------- */

static int hand_over(struct moving *m)
{
	struct xen_domctl_getdomaininfo info;
	struct saving *s = &m->s;
	int rc;

	m->still = xl_now();
	if (s->suspended && suspend_guest(s->xl, s->domid, m->name))
		return -1;
	rc = dump_pause(s->xl, &m->d);
	if (rc)
		return xl_error("cannot pause '%s': %s", m->name, strerror(-rc));
	if (saving_goes_on(s, &info) || saving_state(s) || saving_same_map(s) ||
	    (s->connected ? drain_flush : drain_disks)(s->xl, s->domid, m->name))
		return -1;
	rc = copying_last(&m->disks);
	if (!rc)
		rc = saving_rest(s, "Moving");
	if (rc)
		return stream_error(m, rc);
	return migrate_expect(&m->peer, MIGRATE_READY, &m->m) ? -1 : 0;
}

/* --- GO, and what may follow ------------------------------------------------------------------- */

static void rename_to(struct moving *m, const char *end)
{
	char *name = xl_sprintf("%s%s", m->name, end);

	migrate_rename(m->s.xl, m->s.domid, name);
	free(name);
}

/* 0: GO is sent, and the guest no longer ours to run. -1 after a message: it is. */
static int commit(struct moving *m)
{
	struct xen_domctl_getdomaininfo info;
	struct given g = { .domid = m->s.domid, .flags = m->d.paused ? GIVEN_PAUSED : 0 };
	int rc = saving_goes_on(&m->s, &info);

	if (rc)
		return rc;
	memcpy(g.handle, info.handle, sizeof(g.handle));
	memcpy(g.attempt, m->attempt, sizeof(g.attempt));
	snprintf(g.name, sizeof(g.name), "%s", m->name);
	snprintf(g.host, sizeof(g.host), "%s", m->peer.who);
	memcpy(g.boot, m->boot, sizeof(g.boot));
	if (xl_interrupted)
		return xl_error("interrupted: '%s' goes on here", m->name);
	MIGRATE_POINT(false, "before", "note");
	rc = given_write(&g);
	if (rc)
		return xl_error("it cannot be noted that '%s' is given away: %s", m->name,
				strerror(-rc));
	MIGRATE_POINT(false, "after", "note");
	rc = migrate_send(&m->peer, MIGRATE_GO, NULL, 0);
	/* Nothing of it has left this process, but for what nobody can know. */
	if (!rc || rc == -EIO)
		return 0;
	given_forget(m->s.domid);
	return xl_error("%s: %s", m->peer.who,
			rc == -EPIPE ? "the connection was closed" : migrate_error(rc));
}

/* RUNNING was heard. */
static int leave(struct moving *m)
{
	double ms = xl_now() - m->still;
	int rc;

	/* Undone by nobody: it is to be paused as long as there is anything of it. */
	m->d.paused = false;
	rc = domain_destroy(m->s.xl, m->s.domid);
	if (rc)
		xl_error("'%s' runs on %s, and what was left of it here does not go: xl destroy %u",
			 m->name, m->peer.who, m->s.domid);
	/* Else the target is to know it still when it is asked. */
	if (!rc) {
		m->d.logged = m->d.slowed = false;
		given_forget(m->s.domid);
		migrate_send(&m->peer, MIGRATE_DONE, NULL, 0);
	}
	printf("%s: %s on %s; %llu MiB of memory, %.1f MiB sent in %u round%s, it stood still for "
	       "%.2f s\n",
	       m->name, m->flags & MIGRATE_PAUSED ? "is, paused," : "runs", m->peer.who,
	       (unsigned long long)(m->s.pages * PV_PAGE_SIZE / PV_MIB),
	       (double)m->s.out.bytes / PV_MIB, m->rounds.nr + 1, m->rounds.nr ? "s" : "",
	       ms / 1000);
	return rc;
}

static int after_go(struct moving *m)
{
	char *way;
	int rc;

	rename_to(m, MIGRATE_AWAY);
	rc = migrate_expect(&m->peer, MIGRATE_RUNNING, &m->m);
	if (!rc)
		return leave(m);
	if (rc > 0) {
		/* It has promised that nothing is left of it there. The note is the last: until then it can be asked once more. */
		rename_to(m, "");
		given_forget(m->s.domid);
		return 1;
	}
	m->d.paused = false;
	way = strcmp(m->command, "ssh") ? xl_sprintf(" -s '%s'", m->command) : xl_sprintf("%s", "");
	xl_error("it is not known whether '%s' runs on %s: it stays paused here, as %s" MIGRATE_AWAY
		 ". Ask with: xl migrate --recover%s %s '%s'",
		 m->name, m->peer.who, m->name, way, m->name, m->peer.who);
	free(way);
	return -1;
}

/* From the open connection on. 0; or 1: it is to go on here; -1: it is not. */
static int talk(struct moving *m)
{
	if (prepare(m) || send_rounds(m) || hand_over(m) || commit(m))
		return 1;
	return after_go(m);
}

/* It may have ended meanwhile, which has been said. */
static bool is_there(const struct moving *m)
{
	struct xen_domctl_getdomaininfo info;

	return !pv_domain_info(m->s.xl->pv, m->s.domid, &info) &&
	       !(info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown));
}

/* Its lock is held. */
static int migrate(struct moving *m, const struct options *o)
{
	struct saving *s = &m->s;
	int rc;

	/* First: whoever was killed over it before has left it as it was then, once this is through. */
	rc = dump_begin(s->xl, s->domid, NULL, false, &m->d);
	if (rc)
		return xl_error("'%s' cannot be moved: %s", m->name, strerror(-rc));
	rc = saving_check(s) || drain_check(s->xl, s->domid, m->name) ||
	     saving_config(s, o->config) || saving_map(s) ||
	     (o->disks && copying_begin(&m->disks, s, o->limits.bandwidth, o->limits.cold)) ||
	     migrate_open(&m->peer, o->command, o->host);
	if (!rc) {
		rc = talk(m);
		if (rc > 0 && m->still)
			saving_undo(s);
	}
	dump_end(s->xl, &m->d);
	if (rc > 0 && m->still && is_there(m))
		xl_error("'%s' goes on here, after %.1f s", m->name,
			 (double)(xl_now() - m->still) / 1000);
	if (m->peer.pid)
		migrate_close(&m->peer);
	return rc ? -1 : 0;
}

static int move(struct xl *xl, const struct options *o)
{
	struct moving *m = calloc(1, sizeof(*m));
	struct xen_domctl_getdomaininfo info;
	int lock, rc = -1;
	char *name;

	if (!m)
		abort();
	m->s.xl = xl;
	m->s.how = o->how;
	m->flags = o->flags;
	m->limits = o->limits;
	m->s.packed = o->packed;
	m->command = o->command;
	lock = domain_lock(xl, o->guest, "move", &m->s.domid);
	name = lock < 0 ? NULL : domain_name(xl, m->s.domid);
	if (name && strlen(name) > NAME_MAX_LEN) {
		xl_error("'%s': a guest whose name is longer than %d characters cannot be moved",
			 name, NAME_MAX_LEN);
	} else if (name) {
		snprintf(m->name, sizeof(m->name), "%s", name);
		m->s.guest = m->name;
		if (!pv_domain_info(xl->pv, m->s.domid, &info) && info.flags & XEN_DOMINF_paused)
			m->flags |= MIGRATE_PAUSED;
		rc = migrate(m, o);
	} else if (lock >= 0) {
		xl_error("domain %u has no name", m->s.domid);
	}
	free(name);
	xl_unlock_domain(lock, m->s.domid);
	rounds_free(&m->rounds);
	copying_end(&m->disks);
	saving_free(&m->s);
	free(m);
	return rc;
}

/* --- in doubt ---------------------------------------------------------------------------------- */

/* What is known of it there. */
enum verdict {
	NOWHERE, /* it has not run, and will not */
	THERE, /* it runs, or has */
	UNKNOWN,
	ELSEWHERE, /* it may run, where it was not given to: nobody is to let it run here */
};

/* What has been said is not enough to act on. */
static enum verdict other_machine(const struct given *g, const char *who, bool here)
{
	xl_error("'%s' is %son %s; but that is not the machine that it was given to, or has been "
		 "started again since: it may %s",
		 g->name, here ? "" : "not ", who,
		 here ? "be what was made from its configuration" : "have run there");
	return here ? ELSEWHERE : UNKNOWN;
}

/* UNKNOWN and ELSEWHERE after a message. */
static enum verdict ask(struct migrate_peer *p, const struct given *g)
{
	struct migrate_question q;
	struct migrate_message m;
	unsigned int minor;
	char boot[40];
	int rc;

	if (greet(p, boot, &minor))
		return UNKNOWN;
	memcpy(q.uuid, g->handle, sizeof(q.uuid));
	memcpy(q.attempt, g->attempt, sizeof(q.attempt));
	rc = migrate_send(p, MIGRATE_ASK, &q, sizeof(q));
	if (!rc)
		rc = migrate_receive(p, &m);
	if (!rc && (m.type == MIGRATE_HERE || m.type == MIGRATE_NOT_HERE)) {
		if (strcmp(boot, g->boot))
			return other_machine(g, p->who, m.type == MIGRATE_HERE);
		return m.type == MIGRATE_HERE ? THERE : NOWHERE;
	}
	xl_error("%s: %s", p->who,
		 rc			  ? migrate_error(rc) :
		 m.type == MIGRATE_FAILED ? (const char *)m.body :
					    "it has given no answer");
	return UNKNOWN;
}

/* The copy goes. */
static int let_go(struct xl *xl, struct migrate_peer *p, const struct given *g)
{
	int rc = domain_destroy(xl, g->domid);

	if (rc)
		return rc;
	given_forget(g->domid);
	migrate_send(p, MIGRATE_DONE, NULL, 0);
	printf("%s: went to %s; what was left of it here is gone\n", g->name, p->who);
	return 0;
}

/* Its lock is held. */
static int recover(struct xl *xl, const struct options *o, struct given *g)
{
	struct migrate_peer p = { .in = -1, .out = -1 };
	/* Somebody was killed over what is decided. */
	enum verdict v = g->flags & GIVEN_BACK ? NOWHERE : UNKNOWN;
	int rc;

	if (v == UNKNOWN && o->host && !migrate_open(&p, o->command, o->host))
		v = ask(&p, g);
	if (v == THERE)
		rc = let_go(xl, &p, g);
	else if (v == NOWHERE || (v == UNKNOWN && o->force))
		rc = given_take_back(xl, g);
	else
		rc = xl_error(
			"'%s' stays paused. If it certainly does not run elsewhere: xl migrate "
			"--recover --force %s; if it does: xl destroy %u",
			g->name, g->name, g->domid);
	if (!rc && v != THERE)
		printf("%s: goes on here\n", g->name);
	if (p.pid)
		migrate_close(&p);
	return rc;
}

static int find_and_recover(struct xl *xl, const struct options *o)
{
	char number[16];
	uint32_t domid = 0;
	struct given g;
	int lock, rc;

	if (given_find(xl, o->guest, &g))
		return -1;
	snprintf(number, sizeof(number), "%u", g.domid);
	lock = domain_lock(xl, number, "recover", &domid);
	/* Whoever had the lock may have done so already. */
	if (lock >= 0 && !given_read(xl, g.domid, &g))
		rc = xl_error("it is known by now what became of '%s'", o->guest);
	else
		rc = lock < 0 ? -1 : recover(xl, o, &g);
	xl_unlock_domain(lock, domid);
	return rc;
}

int cmd_migrate(int argc, char **argv)
{
	struct options o = { 0 };
	int rc = parse_options(argc, argv, &o);
	struct xl xl;

	if (rc)
		return rc - 1;
	xl_catch_signals();
	signal(SIGPIPE, SIG_IGN);
	if (xl_open(&xl))
		return 1;
	rc = o.recover ? find_and_recover(&xl, &o) : move(&xl, &o);
	xl_close(&xl);
	return rc ? 1 : 0;
}
