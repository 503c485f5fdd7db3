// SPDX-License-Identifier: BSD-2-Clause
/*
 * Logs of JSON lines: writing, rotating, reading, and taking a line apart.
 * Owns that a line is whole or not there: several processes append at once, disks become full, and a process is killed.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "jsonl.h"
#include "xl.h"

#define LOCK_MS 10
#define LOCK_TRIES 100

/* --- values ---------------------------------------------------------------------------------- */

char *json_quote(const char *s)
{
	/* Only text remains, with ends of lines and tabs among it. */
	char *clean = pv_text_show(s, strlen(s)), *out, *to;
	const char *p;

	out = clean ? malloc(strlen(clean) * 2 + 3) : NULL;
	if (!out)
		abort();
	to = out;
	*to++ = '"';
	for (p = clean; *p; p++) {
		if (*p == '"' || *p == '\\' || *p == '\n' || *p == '\t')
			*to++ = '\\';
		*to++ = *p == '\n' ? 'n' : *p == '\t' ? 't' : *p;
	}
	*to++ = '"';
	*to = '\0';
	free(clean);
	return out;
}

long long json_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void json_time(long long ms, char text[JSON_TIME])
{
	time_t s = ms / 1000;
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(text, JSON_TIME, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, JSON_TIME - n, ".%03dZ", (int)(ms % 1000));
}

long long json_time_parse(const char *text)
{
	struct tm tm = { 0 };
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	long long ms = 0, unit = 100;

	if (p && *p == '.')
		for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
			ms += (*p - '0') * unit;
	if (!p || (strcmp(p, "Z") && *p))
		return -1;
	return timegm(&tm) * 1000LL + ms;
}

/* --- taking a line apart --------------------------------------------------------------------- */

static const char *skip(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Of \uXXXX only what json_quote() could have meant: ASCII. */
static const char *parse_escape(const char *p, char **to)
{
	static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
	const char *f;
	unsigned int c;

	if (*p == 'u') {
		if (sscanf(p + 1, "%4x", &c) != 1 || strspn(p + 1, "0123456789abcdefABCDEF") < 4 ||
		    !c || c > 0x7f)
			return NULL;
		*(*to)++ = (char)c;
		return p + 5;
	}
	f = *p ? strchr(from, *p) : NULL;
	if (!f)
		return NULL;
	*(*to)++ = means[f - from];
	return p + 1;
}

/* At @p's quote; *out: the string, which the caller frees, also when this returns NULL. */
static const char *parse_string(const char *p, char **out)
{
	char *to = *out = malloc(strlen(p) + 1);

	if (!to)
		abort();
	*to = '\0';
	if (*p++ != '"')
		return NULL;
	while (p && *p && *p != '"') {
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p == '\\')
			p = parse_escape(p + 1, &to);
		else
			*to++ = *p++;
	}
	*to = '\0';
	return p && *p == '"' ? p + 1 : NULL;
}

static const char *parse_bare(const char *p, char **out)
{
	size_t n = strspn(p, "+-.0123456789eEtrufalsn");
	char *end;

	*out = strndup(p, n);
	if (!*out)
		abort();
	strtod(*out, &end);
	if (!n || (*end && strcmp(*out, "true") && strcmp(*out, "false") && strcmp(*out, "null")))
		return NULL;
	return p + n;
}

static const char *parse_field(const char *p, struct jsonl_field *f)
{
	f->value = NULL;
	p = parse_string(skip(p), &f->key);
	p = p ? skip(p) : NULL;
	if (!p || *p != ':')
		return NULL;
	p = skip(p + 1);
	f->string = *p == '"';
	p = f->string ? parse_string(p, &f->value) : parse_bare(p, &f->value);
	return p ? skip(p) : NULL;
}

struct jsonl_field *jsonl_parse(const char *line, size_t *n)
{
	struct jsonl_field *f = malloc(sizeof(*f)), *more;
	const char *p = skip(line);
	bool ok = f && *p++ == '{';

	*n = 0;
	p = ok ? skip(p) : p;
	ok = ok && *p != '}';
	while (ok) {
		more = realloc(f, (*n + 1) * sizeof(*f));
		if (!more)
			abort();
		f = more;
		p = parse_field(p, &f[(*n)++]);
		ok = p && (*p == ',' || *p == '}');
		if (!ok || *p++ == '}')
			break;
	}
	if (ok && !*skip(p))
		return f;
	jsonl_free(f, *n);
	return NULL;
}

void jsonl_free(struct jsonl_field *f, size_t n)
{
	size_t i;

	for (i = 0; f && i < n; i++) {
		free(f[i].key);
		free(f[i].value);
	}
	free(f);
}

const char *jsonl_get(const struct jsonl_field *f, size_t n, const char *key)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(f[i].key, key))
			return f[i].value;
	return NULL;
}

const char *jsonl_string(const struct jsonl_field *f, size_t n, const char *key)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(f[i].key, key))
			return f[i].string ? f[i].value : NULL;
	return NULL;
}

double jsonl_number(const struct jsonl_field *f, size_t n, const char *key)
{
	const char *v = jsonl_get(f, n, key);
	char *end = "";
	double d = v ? strtod(v, &end) : 0;

	return *end || d != d ? 0 : d;
}

/* --- files ----------------------------------------------------------------------------------- */

static int open_log(const char *path)
{
	return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Whoever puts the file aside meanwhile is waited for, but not for long: rather a line is lost than time. */
static void lock_shared(int fd)
{
	int tries;

	for (tries = 0; flock(fd, LOCK_SH | LOCK_NB) && tries < LOCK_TRIES; tries++)
		poll(NULL, 0, LOCK_MS);
}

static bool is_named(int fd, const char *path)
{
	struct stat st, now;

	return !fstat(fd, &st) && !stat(path, &now) && now.st_ino == st.st_ino &&
	       now.st_dev == st.st_dev;
}

/* The file of that name, for a line to be appended: locked, so that nobody puts it aside before the line is there. */
static int open_for_line(const char *path)
{
	int tries, fd = -1;

	for (tries = 0; tries < 3; tries++) {
		if (fd >= 0)
			close(fd);
		fd = open_log(path);
		if (fd < 0)
			return -1;
		lock_shared(fd);
		if (is_named(fd, path))
			break;
	}
	return fd;
}

/*
 * Puts a long file aside: with the older half it becomes the new older half, from which the names that have most lose lines
 * (jsonl_trim.c). Several may want to at once: the one that has the file's lock does it, and others' lines make the file a little
 * longer. Killed between the two steps it leaves lines twice until the next one.
 */
static int rotate(int fd, const char *path)
{
	struct stat st;
	char *old;

	if (fstat(fd, &st) || st.st_size < JSONL_MAX || flock(fd, LOCK_EX | LOCK_NB)) {
		lock_shared(fd);
		return fd;
	}
	if (is_named(fd, path)) {
		old = xl_sprintf("%s.1", path);
		/* Rather nothing of the past than no bound. */
		if ((jsonl_trim(old, path, JSONL_MAX) ? unlink(path) : rename(path, old)) &&
		    ftruncate(fd, 0))
			errno = 0;
		free(old);
	}
	close(fd);
	return open_for_line(path);
}

bool jsonl_append(const char *path, const char *line)
{
	size_t len = strlen(line);
	char *text, last = '\n';
	struct stat st;
	bool ok;
	int fd;

	if (len + 2 > JSONL_LINE || memchr(line, '\n', len))
		return false;
	xl_mkdir(XL_LOG_DIR);
	fd = open_for_line(path);
	if (fd < 0)
		return false;
	/* A pipe in its place could make us wait. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return false;
	}
	fd = rotate(fd, path);
	if (fd < 0)
		return false;
	/*
	 * A full disk has left half a line: that one is lost, and not this one as well. If it is only another's that is
	 * being written, there is an empty line between the two, which readers leave out.
	 */
	if (!fstat(fd, &st) && st.st_size && pread(fd, &last, 1, st.st_size - 1) != 1)
		last = '\n';
	text = xl_sprintf("%s%s\n", last == '\n' ? "" : "\n", line);
	len = strlen(text);
	ok = write(fd, text, len) == (ssize_t)len;
	free(text);
	close(fd);
	return ok;
}

static void each_in(const char *path, void (*fn)(const char *line, void *ctx), void *ctx)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((n = getline(&line, &size, f)) > 0) {
		/* One without an end is not whole yet. */
		if (line[n - 1] != '\n' || n > JSONL_LINE || memchr(line, '\0', n))
			continue;
		line[n - 1] = '\0';
		fn(line, ctx);
	}
	free(line);
	fclose(f);
}

void jsonl_each(const char *path, void (*fn)(const char *line, void *ctx), void *ctx)
{
	char *old = xl_sprintf("%s.1", path);

	each_in(old, fn, ctx);
	each_in(path, fn, ctx);
	free(old);
}
