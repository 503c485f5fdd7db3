// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl top: the table of domains on a screen, renewed, with xentop's options and keys; or again and again on stdout.
 * Owns what is seen of the table: scrolling both ways, the lines below a domain, the question for a delay.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "screen.h"
#include "top.h"

#define DELAY_MIN 0.1
#define DELAY_MAX 86400
#define SHIFT 8 /* columns that an arrow goes */
#define ANSWER_MAX 10

struct top {
	struct stats_source source;
	struct stats prev, now;
	bool have_prev;
	double delay; /* seconds */
	unsigned long iterations; /* 0: for ever */
	bool networks, vbds, vcpus, repeat, full_names, batch, csv;
	enum top_column sort;
	int first, shift; /* the first line of the body that is shown, columns that are not */
	char answer[ANSWER_MAX + 1]; /* to the question for a delay */
	bool asking;
};

/* The snapshot before becomes the one to compare with. */
static int renew(struct top *t)
{
	struct stats fresh;

	if (stats_gather(&t->source, STATS_VCPUS, &fresh))
		return -1;
	if (t->have_prev || t->now.nr) {
		stats_free(&t->prev);
		t->prev = t->now;
		t->have_prev = true;
	}
	t->now = fresh;
	return 0;
}

static void make(struct top *t, struct top_table *table)
{
	top_make(table, t->have_prev ? &t->prev : NULL, &t->now, t->sort, t->full_names);
}

static void print_below(struct top *t, FILE *out, const struct stats_domain *d)
{
	if (t->vcpus)
		top_vcpus(out, d);
	if (t->networks)
		top_networks(out, d);
	if (t->vbds)
		top_vbds(out, d);
}

/* --- batch ----------------------------------------------------------------------------------- */

static void print_table(struct top *t)
{
	struct top_table table;
	char *header, *line;
	uint32_t i;

	make(t, &table);
	header = top_header(&table);
	for (i = 0; i < table.nr; i++) {
		if (!i || t->repeat)
			printf("%s\n", header);
		line = top_line(&table, &table.row[i]);
		printf("%s\n", line);
		free(line);
		print_below(t, stdout, table.row[i].d);
	}
	free(header);
	top_free(&table);
}

static int run_batch(struct top *t)
{
	struct top_table table;
	unsigned long i;
	int64_t next;

	xl_catch_signals();
	if (t->csv)
		top_csv_header(stdout);
	for (i = 0; !xl_interrupted; i++) {
		if (renew(t))
			return 1;
		if (t->csv) {
			make(t, &table);
			top_csv(stdout, &table);
			top_free(&table);
		} else {
			print_table(t);
		}
		if (fflush(stdout))
			return 1;
		if (i + 1 == t->iterations)
			break;
		for (next = xl_now() + t->delay * 1000; !xl_interrupted && xl_now() < next;)
			xl_sleep(next - xl_now() < 100 ? next - xl_now() : 100);
	}
	return 0;
}

/* --- the screen ------------------------------------------------------------------------------ */

/* All that could be shown below the summary, one line of it each '\n'; @t->first is kept within. */
static char *body(struct top *t, struct top_table *table)
{
	char *text = NULL, *header = top_header(table), *line;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	uint32_t i;

	if (!f)
		abort();
	for (i = 0; i < table->nr; i++) {
		if (i && t->repeat)
			fprintf(f, "%s\n", header);
		line = top_line(table, &table->row[i]);
		fprintf(f, "%s\n", line);
		free(line);
		print_below(t, f, table->row[i].d);
	}
	fclose(f);
	free(header);
	return text;
}

/* The name stays where it is; what is behind it moves. */
static void show_line(struct top *t, struct top_table *table, const char *line, bool reverse)
{
	int keep = table->name_width, len = strlen(line);
	char *text;

	if (len <= keep || !t->shift) {
		screen_line(line, reverse);
		return;
	}
	text = xl_sprintf("%.*s%s", keep, line,
			  keep + t->shift < len ? line + keep + t->shift : "");
	screen_line(text, reverse);
	free(text);
}

/* In front of the column that sorts: the line is in reverse already. */
static void mark_sorting(const struct top *t, const struct top_table *table, char *header)
{
	int begin, end;

	if (!top_column_at(table, t->sort, &begin, &end))
		return;
	if (begin > 0 && header[begin - 1] == ' ')
		header[begin - 1] = '>';
}

static int count_lines(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void show_body(struct top *t, struct top_table *table, int room)
{
	char *text = body(t, table), *line, *next;
	int lines = count_lines(text), i;

	if (t->first > lines - room)
		t->first = lines - room;
	if (t->first < 0)
		t->first = 0;
	for (line = text, i = 0; *line && i < t->first + room; line = next, i++) {
		next = strchr(line, '\n');
		*next++ = '\0';
		if (i >= t->first)
			show_line(t, table, line, false);
	}
	for (; i < room; i++)
		screen_line("", false);
	free(text);
}

static void show_bottom(struct top *t)
{
	char *text;

	if (!t->asking) {
		text = xl_sprintf(
			"Delay  Networks  vBds  Vcpus  Repeat header  Sort order: %s  Quit",
			top_column_name(t->sort));
		screen_line(text, false);
	} else {
		text = xl_sprintf("Delay in seconds (now %g): %s_", t->delay, t->answer);
		screen_line(text, true);
	}
	free(text);
}

static void show(struct top *t)
{
	char *summary = NULL, *line, *next, *header;
	struct top_table table;
	size_t size = 0;
	int rows, cols, room;
	FILE *f;

	screen_size(&rows, &cols);
	make(t, &table);
	f = open_memstream(&summary, &size);
	if (!f)
		abort();
	top_summary(f, &t->now);
	fclose(f);
	/* Three lines above, the header, one below; where that leaves nothing, the domains come first. */
	room = rows - 5;
	if (room >= 1)
		for (line = summary; *line; line = next) {
			next = strchr(line, '\n');
			*next++ = '\0';
			screen_line(line, false);
		}
	header = top_header(&table);
	mark_sorting(t, &table, header);
	if (rows > 1)
		show_line(t, &table, header, true);
	show_body(t, &table, room >= 1 ? room : rows > 1 ? rows - 1 - t->asking : 1);
	if (room >= 1 || t->asking)
		show_bottom(t);
	screen_show();
	free(header);
	free(summary);
	top_free(&table);
}

/* --- keys ------------------------------------------------------------------------------------ */

static bool parse_delay(const char *text, double *delay)
{
	char *end;
	double d = strtod(text, &end);

	if (!isdigit((unsigned char)*text) || *end || d < DELAY_MIN || d > DELAY_MAX)
		return false;
	*delay = d;
	return true;
}

static void answer_key(struct top *t, int key)
{
	size_t n = strlen(t->answer);

	if (key == '\r' || key == '\n') {
		/* What is no delay changes nothing. */
		parse_delay(t->answer, &t->delay);
		t->asking = false;
	} else if (key == 0x7f || key == '\b') {
		if (n)
			t->answer[n - 1] = '\0';
	} else if (key < 256 && (isdigit(key) || key == '.')) {
		if (n < ANSWER_MAX) {
			t->answer[n] = key;
			t->answer[n + 1] = '\0';
		}
	} else if (key != KEY_REDRAW) {
		t->asking = false;
	}
}

static void scroll_key(struct top *t, int key)
{
	int rows, cols, page;

	screen_size(&rows, &cols);
	page = rows > 6 ? rows - 5 : 1;
	switch (key) {
	case KEY_UP:
	case KEY_PAGE_UP:
		t->first -= key == KEY_UP ? 1 : page;
		break;
	case KEY_DOWN:
	case KEY_PAGE_DOWN:
		t->first += key == KEY_DOWN ? 1 : page;
		break;
	case KEY_LEFT:
		t->shift = t->shift > SHIFT ? t->shift - SHIFT : 0;
		break;
	case KEY_RIGHT:
		/* As long as there is a column left to see. */
		t->shift += t->shift < 160 ? SHIFT : 0;
		break;
	case KEY_HOME:
		t->first = t->shift = 0;
		break;
	case KEY_END:
		t->first = 1 << 30;
		break;
	}
}

/* False: the end. */
static bool act(struct top *t, int key)
{
	if (key == KEY_LOST)
		return false;
	if (t->asking) {
		answer_key(t, key);
		return true;
	}
	switch (key < 256 ? tolower(key) : key) {
	case 'q':
		return false;
	case 'd':
		t->asking = true;
		t->answer[0] = '\0';
		break;
	case 'n':
		t->networks = !t->networks;
		break;
	case 'b':
		t->vbds = !t->vbds;
		break;
	case 'v':
		t->vcpus = !t->vcpus;
		break;
	case 'r':
		t->repeat = !t->repeat;
		break;
	case 's':
		t->sort = (t->sort + 1) % TOP_COLUMNS;
		break;
	default:
		scroll_key(t, key);
	}
	return true;
}

static int run_screen(struct top *t)
{
	unsigned long done = 0;
	int64_t next, now;
	int key;

	/* Before the terminal is ours: a message is still read. */
	if (renew(t) || screen_begin())
		return 1;
	next = xl_now();
	for (;;) {
		now = xl_now();
		if (now >= next) {
			if (done && renew(t)) {
				screen_end();
				return xl_error("the hypervisor gives no figures any more"), 1;
			}
			if (t->iterations && done == t->iterations)
				break;
			done++;
			now = xl_now();
			next = now + t->delay * 1000;
			show(t);
		}
		key = screen_key(next - now < 86400000 ? next - now : 86400000);
		if (key == KEY_NONE)
			continue;
		if (!act(t, key))
			break;
		/* A new delay begins at once. */
		if (next > xl_now() + t->delay * 1000)
			next = xl_now() + t->delay * 1000;
		show(t);
	}
	screen_end();
	return 0;
}

/* --- options --------------------------------------------------------------------------------- */

static const struct option longs[] = {
	{ "delay", required_argument, NULL, 'd' },
	{ "networks", no_argument, NULL, 'n' },
	{ "vbds", no_argument, NULL, 'x' },
	{ "repeat-header", no_argument, NULL, 'r' },
	{ "vcpus", no_argument, NULL, 'v' },
	{ "full-name", no_argument, NULL, 'f' },
	{ "batch", no_argument, NULL, 'b' },
	{ "iterations", required_argument, NULL, 'i' },
	{ "csv", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Returns 0, or what to exit with plus 1. */
static int option(struct top *t, int c)
{
	char *end;

	switch (c) {
	case 'd':
		if (parse_delay(optarg, &t->delay))
			return 0;
		xl_error("-d: '%s' is not a number of seconds from 0.1 to 86400", optarg);
		return EXIT_USAGE + 1;
	case 'i':
		t->iterations = strtoul(optarg, &end, 10);
		if (isdigit((unsigned char)*optarg) && !*end && t->iterations)
			return 0;
		xl_error("-i: '%s' is not a number of iterations", optarg);
		return EXIT_USAGE + 1;
	case 'h':
	case '?':
		return command_usage("top", c == 'h') + 1;
	}
	t->networks |= c == 'n';
	t->vbds |= c == 'x';
	t->repeat |= c == 'r';
	t->vcpus |= c == 'v';
	t->full_names |= c == 'f';
	t->csv |= c == 'c';
	t->batch |= c == 'b' || c == 'c';
	return 0;
}

int cmd_top(int argc, char **argv)
{
	struct top t = { .delay = 3 };
	int c, rc;

	while ((c = getopt_long(argc, argv, "d:nxrvfbi:h", longs, NULL)) != -1) {
		rc = option(&t, c);
		if (rc)
			return rc - 1;
	}
	if (optind != argc)
		return command_usage("top", false);
	if (stats_open(&t.source))
		return 1;
	rc = t.batch ? run_batch(&t) : run_screen(&t);
	stats_close(&t.source);
	stats_free(&t.prev);
	stats_free(&t.now);
	return rc;
}
