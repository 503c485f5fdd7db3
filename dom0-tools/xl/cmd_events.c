// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl events: what happened to guests, and what happens now.
 * Owns following the log over its rotation.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events.h"
#include "jsonl.h"

/* Without inotify's word one looks so often; also for a directory that is not there yet. */
#define LOOK_MS 1000

struct output {
	bool json;
	long long since; /* ms since 1970; -1: all */
	unsigned long last; /* so many of them */
	char **line; /* a ring of them */
	unsigned long nr; /* that have been put into it */
};

static void print(const char *line, bool json)
{
	char *text = event_text(line);

	/* Half a line, or somebody else's, is not passed on. */
	if (!text)
		return;
	if (!json)
		line = text;
	pv_text_print(stdout, line, strlen(line));
	putchar('\n');
	free(text);
}

/* --- what was -------------------------------------------------------------------------------- */

static bool is_since(const char *line, long long since)
{
	size_t n;
	struct jsonl_field *f = jsonl_parse(line, &n);
	const char *time = f ? jsonl_get(f, n, "time") : NULL;
	bool ok = time && json_time_parse(time) >= since;

	jsonl_free(f, n);
	return ok;
}

static void past(const char *line, void *ctx)
{
	struct output *o = ctx;
	char **place;

	if (o->since >= 0 && !is_since(line, o->since))
		return;
	if (!o->line) {
		print(line, o->json);
		return;
	}
	place = &o->line[o->nr++ % o->last];
	free(*place);
	*place = strdup(line);
	if (!*place)
		abort();
}

static void print_past(struct output *o)
{
	unsigned long i, first;

	if (o->last) {
		o->line = calloc(o->last, sizeof(*o->line));
		if (!o->line)
			abort();
	}
	jsonl_each(XL_EVENTS, past, o);
	first = o->nr > o->last ? o->nr - o->last : 0;
	for (i = first; o->line && i < o->nr; i++) {
		print(o->line[i % o->last], o->json);
		free(o->line[i % o->last]);
	}
	free(o->line);
}

/* --- what is --------------------------------------------------------------------------------- */

struct tail {
	FILE *f; /* NULL: the file is not there yet */
	char line[JSONL_LINE];
	size_t len;
	bool skip; /* a line that is too long, to its end */
};

static void take_byte(struct tail *t, int c, bool json)
{
	if (c == '\n') {
		t->line[t->len] = '\0';
		if (!t->skip && t->len)
			print(t->line, json);
		t->len = 0;
		t->skip = false;
	} else if (t->len + 1 < sizeof(t->line) && c) {
		t->line[t->len++] = c;
	} else {
		t->skip = true;
	}
}

static void drain(struct tail *t, bool json)
{
	int c;

	if (!t->f)
		return;
	clearerr(t->f);
	while ((c = getc(t->f)) != EOF)
		take_byte(t, c, json);
}

/* Has the file been put aside (or deleted) for another? */
static bool is_other(const struct tail *t)
{
	struct stat mine, now;

	return t->f && !stat(XL_EVENTS, &now) &&
	       (fstat(fileno(t->f), &mine) || mine.st_ino != now.st_ino ||
		mine.st_dev != now.st_dev);
}

static void open_tail(struct tail *t)
{
	if (!t->f)
		t->f = fopen(XL_EVENTS, "re");
}

static void look(struct tail *t, bool json)
{
	drain(t, json);
	if (is_other(t)) {
		/* What came between the two looks. */
		drain(t, json);
		fclose(t->f);
		t->f = NULL;
		t->len = 0;
		t->skip = false;
	}
	open_tail(t);
	drain(t, json);
}

static bool reader_gone(struct pollfd *out)
{
	return out->revents & (POLLERR | POLLHUP | POLLNVAL) || fflush(stdout) || ferror(stdout);
}

/* Until a signal, or until nobody reads any more. */
static int follow(struct tail *t, bool json)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char events[4096];

	xl_mkdir(XL_LOG_DIR);
	if (fd >= 0)
		inotify_add_watch(fd, XL_LOG_DIR, IN_CREATE | IN_MODIFY | IN_MOVED_TO);
	xl_catch_signals();
	while (!xl_interrupted) {
		struct pollfd pfd[2] = { { .fd = fd, .events = POLLIN }, { .fd = 1 } };

		look(t, json);
		if (fflush(stdout) || ferror(stdout))
			break;
		poll(pfd, 2, LOOK_MS);
		if (reader_gone(&pfd[1]))
			break;
		while (fd >= 0 && read(fd, events, sizeof(events)) > 0)
			;
	}
	if (t->f)
		fclose(t->f);
	if (fd >= 0)
		close(fd);
	/* A reader who has enough is no error. */
	return 0;
}

/* --- the command ----------------------------------------------------------------------------- */

/* "10m" ago, "@seconds since 1970", or a time as the log has it, with or without Z: UTC. */
static bool parse_since(const char *text, long long *since)
{
	static const char units[] = "smhd";
	static const long long seconds[] = { 1, 60, 3600, 86400 };
	const char *unit;
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text + (*text == '@'), &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (*text == '@' && isdigit((unsigned char)text[1]) && !*end && !errno &&
	    n < 1000000000000LL)
		*since = n * 1000;
	else if (isdigit((unsigned char)*text) && unit && !end[1] && !errno && n < 1000000000)
		*since = json_now() - n * seconds[unit - units] * 1000;
	else
		*since = json_time_parse(text);
	if (*since >= 0)
		return true;
	xl_error("--since: '%s' is neither a time like 2026-11-28T05:00:00Z nor one ago, like 30s, "
		 "10m, 2h or 1d, nor @seconds since 1970",
		 text);
	return false;
}

static bool parse_last(const char *text, unsigned long *last)
{
	char *end;

	*last = strtoul(text, &end, 10);
	if (isdigit((unsigned char)*text) && !*end && *last && *last <= 1000000)
		return true;
	xl_error("-n: '%s' is not a number of events", text);
	return false;
}

int cmd_events(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },	  { "since", required_argument, NULL, 's' },
		{ "last", required_argument, NULL, 'n' }, { "follow", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },	  { NULL, 0, NULL, 0 },
	};
	struct output o = { .since = -1 };
	struct tail t = { NULL };
	bool on = false;
	int c;

	while ((c = getopt_long(argc, argv, "n:fh", longs, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage("events", c == 'h');
		if ((c == 's' && !parse_since(optarg, &o.since)) ||
		    (c == 'n' && !parse_last(optarg, &o.last)))
			return EXIT_USAGE;
		o.json |= c == 'j';
		on |= c == 'f';
	}
	if (optind != argc)
		return command_usage("events", false);
	on |= o.since < 0 && !o.last;
	if (on) {
		/* Before the past is read: what comes meanwhile may be shown twice, but is not lost. */
		open_tail(&t);
		if (t.f)
			fseek(t.f, 0, SEEK_END);
	}
	if (o.since >= 0 || o.last)
		print_past(&o);
	return on ? follow(&t, o.json) : 0;
}
