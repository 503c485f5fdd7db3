// SPDX-License-Identifier: BSD-2-Clause
/*
 * What goes from a log of JSON lines when it is full.
 * Owns that one name's many lines push out its own older ones, and nobody else's. Those that rename-restart gives a guest's dead ("a-1",
 * "a-2", ...) have one share together, for which they are treated alike again.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jsonl.h"
#include "xl.h"

struct line {
	const char *text;
	size_t len; /* with its end */
	char *name, *stem;
	bool keep;
};

struct log {
	char *text[2];
	struct line *line; /* the oldest first */
	size_t nr;
};

/* --- reading --------------------------------------------------------------------------------- */

/* With a NUL behind it; NULL: not there. */
static char *read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	char *text = NULL;
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode)) {
		text = malloc(st.st_size + 1);
		n = text ? pread(fd, text, st.st_size, 0) : -1;
	}
	close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* "a-17" and "a" have "a", "a-17-2" has "a-17". */
static char *stem_of(const char *name)
{
	size_t n = strlen(name), end = n;

	while (end && isdigit((unsigned char)name[end - 1]))
		end--;
	return xl_sprintf("%.*s", (int)(end < n && end > 1 && name[end - 1] == '-' ? end - 1 : n),
			  name);
}

static void add_line(struct log *log, const char *text, size_t len)
{
	char *copy = xl_sprintf("%.*s", (int)len - 1, text);
	size_t n;
	struct jsonl_field *f = jsonl_parse(copy, &n);
	const char *name = f ? jsonl_string(f, n, "name") : NULL;
	struct line *l;

	/* Half a line is nobody's. */
	if (f) {
		log->line = realloc(log->line, (log->nr + 1) * sizeof(*log->line));
		if (!log->line)
			abort();
		l = &log->line[log->nr++];
		l->text = text;
		l->len = len;
		l->name = xl_sprintf("%s", name ? name : "");
		l->stem = stem_of(l->name);
		l->keep = true;
	}
	jsonl_free(f, n);
	free(copy);
}

static void add_lines(struct log *log, const char *text)
{
	const char *end;

	for (; text && (end = strchr(text, '\n')); text = end + 1)
		if (end > text && end - text < JSONL_LINE)
			add_line(log, text, end + 1 - text);
}

/* Whoever put these together was killed before the newer one was gone: what of it is not in the older one. */
static const char *not_in(const char *newer, const char *older)
{
	size_t n = older ? strlen(older) : 0, from = n;
	const char *last, *again;

	if (n < 2 || !newer || older[n - 1] != '\n')
		return newer;
	for (from = n - 1; from && older[from - 1] != '\n';)
		from--;
	last = older + from;
	again = strstr(newer, last);
	return again ? again + strlen(last) : newer;
}

/* --- who has too much ------------------------------------------------------------------------ */

static const char *key_of(const struct line *l, bool stem)
{
	return stem ? l->stem : l->name;
}

static int by_size(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return x < y ? -1 : x > y;
}

/* So much may each have at most, for all to have @max. */
static size_t share_of(const size_t *size, size_t nr, size_t max)
{
	size_t *sorted = malloc((nr + 1) * sizeof(*sorted)), i, share = SIZE_MAX;

	if (!sorted)
		abort();
	memcpy(sorted, size, nr * sizeof(*sorted));
	qsort(sorted, nr, sizeof(*sorted), by_size);
	for (i = 0; i < nr; i++) {
		if (sorted[i] > max / (nr - i)) {
			share = max / (nr - i);
			break;
		}
		max -= sorted[i];
	}
	free(sorted);
	return share;
}

/* The newest of @l up to @share, and one at least. */
static void keep_newest(struct line **l, size_t nr, size_t share)
{
	size_t had = 0, i;

	for (i = nr; i--;) {
		had += l[i]->len;
		l[i]->keep = i == nr - 1 || had <= share;
	}
}

static void trim_lines(struct line **l, size_t nr, size_t max, bool stem);

/* The lines of one key of @l, in their order. */
static void trim_group(struct line **l, size_t nr, const char *key, size_t share, bool stem)
{
	struct line **own = malloc((nr + 1) * sizeof(*own));
	size_t n = 0, i;

	if (!own)
		abort();
	for (i = 0; i < nr; i++)
		if (!strcmp(key_of(l[i], stem), key))
			own[n++] = l[i];
	if (stem)
		trim_lines(own, n, share, false);
	else
		keep_newest(own, n, share);
	free(own);
}

static void trim_lines(struct line **l, size_t nr, size_t max, bool stem)
{
	struct hsearch_data table = { 0 };
	const char **key = malloc((nr + 1) * sizeof(*key));
	size_t *size = calloc(nr + 1, sizeof(*size)), groups = 0, total = 0, share, i, at;

	if (!key || !size || !hcreate_r(nr * 2 + 1, &table))
		abort();
	for (i = 0; i < nr; i++) {
		ENTRY e = { (char *)key_of(l[i], stem), (void *)groups }, *found;

		if (!hsearch_r(e, ENTER, &found, &table))
			abort();
		at = (size_t)found->data;
		if (at == groups)
			key[groups++] = e.key;
		size[at] += l[i]->len;
	}
	share = share_of(size, groups, max);
	for (i = 0; i < groups; i++)
		if (size[i] > share)
			trim_group(l, nr, key[i], share, stem);
	/* There may be more names than have room for a line; the newest one stays in any case. */
	for (i = nr; i--;) {
		if (l[i]->keep)
			total += l[i]->len;
		l[i]->keep &= total <= max || i == nr - 1;
	}
	hdestroy_r(&table);
	free(key);
	free(size);
}

static void trim(struct log *log, size_t max)
{
	struct line **l = malloc((log->nr + 1) * sizeof(*l));
	size_t i;

	if (!l)
		abort();
	for (i = 0; i < log->nr; i++)
		l[i] = &log->line[i];
	trim_lines(l, log->nr, max, true);
	free(l);
}

/* --- writing --------------------------------------------------------------------------------- */

static bool put(const struct log *log, const char *path)
{
	char *temp = xl_sprintf("%s.new", path);
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	bool ok = f;
	size_t i;

	for (i = 0; ok && i < log->nr; i++)
		if (log->line[i].keep)
			ok = fwrite(log->line[i].text, log->line[i].len, 1, f) == 1;
	if (f)
		ok = !fclose(f) && ok;
	else if (fd >= 0)
		close(fd);
	ok = ok && !rename(temp, path);
	if (!ok)
		unlink(temp);
	free(temp);
	return ok;
}

bool jsonl_trim(const char *old, const char *path, size_t max)
{
	struct log log = { .text = { read_file(old), read_file(path) } };
	bool ok;
	size_t i;

	add_lines(&log, log.text[0]);
	add_lines(&log, not_in(log.text[1], log.text[0]));
	trim(&log, max);
	ok = put(&log, old);
	for (i = 0; i < log.nr; i++) {
		free(log.line[i].name);
		free(log.line[i].stem);
	}
	free(log.line);
	free(log.text[0]);
	free(log.text[1]);
	return ok;
}
