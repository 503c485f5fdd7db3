// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl minder: guests whose supervisors were killed get new ones; and go on when who wrote their core was (dump.c), or go when they were
 * half received (migrate_note.c).
 * Owns noticing it: a record whose lock nobody holds, at once (its last holder's end closes it), and looked for every few seconds. Each
 * new supervisor is waited for until it says that it is one, so that never many start at once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump.h"
#include "migrate.h"
#include "record.h"

#define SWEEP_MS 5000
/* The word comes just before the kernel takes the lock back. */
#define SOON_MS 50
#define SOON_SWEEPS 3
/* Somebody whose supervisor does not start is tried ever more rarely, up to this. */
#define RETRY_MAX_MS 60000
/* One that starts and dies again gets so many within that time, then one at each look: what kills it may never end. */
#define QUICK_STARTS 10
#define QUICK_MS 10000

struct tried {
	char id[RECORD_ID];
	int64_t next, since;
	int pause, starts;
	bool seen;
};

struct sweep {
	struct tried *tried;
	unsigned int nr;
};

static struct tried *find_tried(struct sweep *s, const char *id)
{
	unsigned int i;

	for (i = 0; i < s->nr; i++)
		if (!strcmp(s->tried[i].id, id))
			return &s->tried[i];
	return NULL;
}

static struct tried *add_tried(struct sweep *s, const char *id)
{
	struct tried *t;

	s->tried = realloc(s->tried, (s->nr + 1) * sizeof(*t));
	if (!s->tried)
		abort();
	t = &s->tried[s->nr++];
	memset(t, 0, sizeof(*t));
	strcpy(t->id, id);
	t->seen = true;
	return t;
}

static void note_failure(struct tried *t)
{
	t->pause = t->pause ? t->pause * 2 : SWEEP_MS;
	if (t->pause > RETRY_MAX_MS)
		t->pause = RETRY_MAX_MS;
	t->next = xl_now() + t->pause;
}

static void note_start(struct tried *t)
{
	t->pause = 0;
	if (xl_now() > t->since + QUICK_MS) {
		t->since = xl_now();
		t->starts = 0;
	}
	if (++t->starts >= QUICK_STARTS)
		t->next = xl_now() + SWEEP_MS;
}

static void look_at(const char *id, void *ctx)
{
	struct tried *t = find_tried(ctx, id);
	struct record_data d;
	bool held;

	if (t)
		t->seen = true;
	if (!record_look(id, &d, &held) || held || (t && xl_now() < t->next) || xl_interrupted)
		return;
	if (!t)
		t = add_tried(ctx, id);
	if (supervise_again(id, d.name)) {
		note_failure(t);
	} else {
		note_start(t);
		xl_error("the supervisor of '%s' was killed: it has another one", d.name);
	}
}

static void sweep(struct sweep *s)
{
	unsigned int i, n = 0;

	for (i = 0; i < s->nr; i++)
		s->tried[i].seen = false;
	dump_sweep();
	migrate_sweep();
	record_each(look_at, s);
	/* Of those that have gone nothing is kept. */
	for (i = 0; i < s->nr; i++)
		if (s->tried[i].seen)
			s->tried[n++] = s->tried[i];
	s->nr = n;
}

/* One watches at a time; others wait for its end. */
static int lock_watch(void)
{
	int fd;

	xl_mkdir(XL_RUN_DIR);
	mkdir(RECORD_DIR, 0700);
	fd = open(RECORD_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && flock(fd, LOCK_EX)) {
		if (errno == EINTR && !xl_interrupted)
			continue;
		close(fd);
		return -1;
	}
	return fd;
}

/* Has a record been closed? What is written beside one when a guest is made is nobody's end. */
static bool is_word(int fd)
{
	_Alignas(struct inotify_event) char events[4096];
	const struct inotify_event *e;
	bool word = false;
	ssize_t n;
	char *p;

	while ((n = read(fd, events, sizeof(events))) > 0)
		for (p = events; p < events + n; p += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)p;
			word |= e->mask & IN_Q_OVERFLOW || !e->len || !strstr(e->name, ".cfg");
		}
	return word;
}

/* Until somebody may have ended, or the next look is due. @soon: looks that come soon; how many of those come then. */
static int await_word(int fd, int soon)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int64_t end = xl_now() + (soon ? SOON_MS : SWEEP_MS), left;

	while ((left = end - xl_now()) > 0 && !xl_interrupted) {
		if (poll(&pfd, 1, (int)left) <= 0 || !is_word(fd))
			continue;
		/* A burst of words is one look. */
		xl_sleep(SOON_MS / 2);
		is_word(fd);
		return SOON_SWEEPS;
	}
	return soon ? soon - 1 : 0;
}

static int watch(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), soon = 0, lock;
	struct sweep s = { 0 };

	xl_catch_signals();
	lock = lock_watch();
	if (lock < 0 && xl_interrupted)
		return 0;
	if (lock < 0 || fd < 0 ||
	    inotify_add_watch(fd, RECORD_DIR, IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
		return xl_error("cannot watch %s: %s", RECORD_DIR, strerror(errno));
	/* Nobody waits for the new supervisors' ends. */
	signal(SIGCHLD, SIG_IGN);
	while (!xl_interrupted) {
		sweep(&s);
		soon = await_word(fd, soon);
	}
	free(s.tried);
	close(fd);
	close(lock);
	return 0;
}

/* --- one guest ------------------------------------------------------------------------------- */

struct search {
	const char *name;
	uint32_t domid;
	char id[RECORD_ID];
	bool held, found;
};

static void match(const char *id, void *ctx)
{
	struct search *s = ctx;
	struct record_data d;
	bool held;

	/* The number is the present life's; a name may have changed since, and between two lives there is nothing else. */
	if (!record_look(id, &d, &held) ||
	    (s->domid ? d.domid != s->domid || d.phase == RECORD_BETWEEN : strcmp(d.name, s->name)))
		return;
	/* Of two of one name that which needs it. */
	if (s->found && held)
		return;
	strcpy(s->id, id);
	s->held = held;
	s->found = true;
}

static int give_one(const char *arg)
{
	struct search s = { 0 };
	struct xl xl;
	char *name = NULL;
	uint32_t domid;
	int rc = 1;

	if (xl_open(&xl))
		return 1;
	dump_sweep();
	migrate_sweep();
	if (domain_numbered(&xl, arg, &s.domid) || domain_named(&xl, arg, &s.domid))
		name = domain_name(&xl, s.domid);
	s.name = name ? name : arg;
	record_each(match, &s);
	if (s.found && s.held)
		xl_error("'%s' has its supervisor", s.name);
	else if (s.found && supervise_again(s.id, s.name))
		xl_error("'%s' got no supervisor, see " XL_LOG_DIR "/xl-%s.log", s.name, s.name);
	else if (s.found)
		rc = 0;
	else if (!domain_find_guest(&xl, arg, "supervise", &domid))
		xl_error(
			"'%s' is to have no supervisor: it was created with -e, has ended and is kept, or was "
			"interrupted",
			arg);
	free(name);
	xl_close(&xl);
	return rc;
}

int cmd_minder(int argc, char **argv)
{
	int rc = 0;

	if (command_option(argc, argv, "", &rc) != -1)
		return rc;
	if (argc - optind > 1)
		return command_usage("minder", false);
	if (optind < argc)
		return give_one(argv[optind]);
	return watch() ? 1 : 0;
}
