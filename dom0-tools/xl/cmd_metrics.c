// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl metrics: the host's figures for Prometheus, on stdout, into a file, or over HTTP.
 * Owns that the file is whole whenever somebody reads it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"

char *metrics_text(struct stats_source *s, size_t *len)
{
	char *text = NULL;
	struct stats st;
	FILE *f;

	if (stats_gather(s, STATS_VCPUS | STATS_STORE, &st))
		return NULL;
	f = open_memstream(&text, len);
	if (!f)
		abort();
	metrics_print(f, &st);
	fclose(f);
	stats_free(&st);
	return text;
}

static bool write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= n;
	}
	return true;
}

/* Beside it, then in its place: node_exporter reads *.prom only, and never half of one. */
static int write_file(struct stats_source *s, const char *path)
{
	char *temporary, *text;
	size_t len = 0;
	bool ok;
	int fd;

	text = metrics_text(s, &len);
	if (!text)
		return -1;
	temporary = xl_sprintf("%s.%d.tmp", path, getpid());
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	ok = fd >= 0 && !fchmod(fd, 0644) && write_all(fd, text, len);
	if (fd >= 0)
		ok = !close(fd) && ok;
	ok = ok && !rename(temporary, path);
	if (!ok) {
		xl_error("--textfile %s: %s", path, strerror(errno));
		unlink(temporary);
	}
	free(temporary);
	free(text);
	return ok ? 0 : -1;
}

/* Once, or every @interval seconds until a signal: a disk that is full now may have room later. */
static int to_file(struct stats_source *s, const char *path, unsigned long interval)
{
	int rc = write_file(s, path);
	int64_t next;

	if (!interval)
		return rc ? 1 : 0;
	xl_catch_signals();
	while (!xl_interrupted) {
		next = xl_now() + interval * 1000;
		while (!xl_interrupted && xl_now() < next)
			xl_sleep(100);
		if (!xl_interrupted)
			write_file(s, path);
	}
	return 0;
}

static int to_stdout(struct stats_source *s)
{
	size_t len = 0;
	char *text = metrics_text(s, &len);

	if (!text)
		return 1;
	fwrite(text, 1, len, stdout);
	free(text);
	return 0;
}

static bool parse_interval(const char *text, unsigned long *s)
{
	char *end;

	*s = strtoul(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && *s && *s <= 86400)
		return true;
	xl_error("--interval: '%s' is not a number of seconds from 1 to 86400", text);
	return false;
}

int cmd_metrics(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "textfile", required_argument, NULL, 't' },
		{ "interval", required_argument, NULL, 'i' },
		{ "listen", required_argument, NULL, 'l' },
		{ "any", no_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *file = NULL, *where = NULL;
	unsigned long interval = 0;
	struct stats_source s;
	bool any = false;
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage("metrics", c == 'h');
		if (c == 'i' && !parse_interval(optarg, &interval))
			return EXIT_USAGE;
		file = c == 't' ? optarg : file;
		where = c == 'l' ? optarg : where;
		any |= c == 'a';
	}
	if (optind != argc || (file && where) || (interval && !file) || (any && !where))
		return command_usage("metrics", false);
	if (stats_open(&s))
		return 1;
	if (where)
		rc = metrics_serve(&s, where, any);
	else
		rc = file ? to_file(&s, file, interval) : to_stdout(&s);
	stats_close(&s);
	return rc;
}
