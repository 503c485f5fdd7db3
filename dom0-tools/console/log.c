// SPDX-License-Identifier: BSD-2-Clause
/*
 * Console logs with rotation, and the bound for all of them together.
 * Owns the file names; a name from xenstore is made harmless here once more.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LOG_LEAST \
	4096 /* a file's room, however many guests there are; and what an empty one counts for */

#define PRUNE_MAX 16
#ifndef LOG_AGAIN_MS
#define LOG_AGAIN_MS 5000
#endif

static size_t total_limit = LOG_TOTAL;
static struct conslog *opened; /* those of guests that live */
static unsigned int nr_opened;

void log_set_total(size_t bytes)
{
	total_limit = bytes;
}

/* Half of all is for the living, in equal parts, so that something is left of those who were. */
static size_t file_limit(void)
{
	size_t share = total_limit / 2 / (nr_opened ? nr_opened : 1);

	return share < LOG_LEAST ? LOG_LEAST : share < LOG_MAX ? share : LOG_MAX;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of those that are open, in order; NULL: there is no memory for them. The caller frees. */
static const char **open_names(void)
{
	const char **names = malloc((nr_opened + 1) * sizeof(*names));
	const struct conslog *l;
	unsigned int n = 0;

	if (!names)
		return NULL;
	for (l = opened; l; l = l->next)
		names[n++] = strrchr(l->path, '/') + 1;
	qsort(names, n, sizeof(*names), compare);
	return names;
}

/* guest-NAME.log, .1 and so on */
static bool is_log(const char *name)
{
	const char *end = strstr(name, ".log");

	if (strncmp(name, "guest-", 6) || !end)
		return false;
	while (strstr(end + 1, ".log"))
		end = strstr(end + 1, ".log");
	end += 4;
	return !*end || (end[0] == '.' && end[1] >= '1' && end[1] <= '9' && !end[2]);
}

/* The sum of all logs; *@oldest: the file to go first, malloc'd, NULL when there is none. @names: of those that are open */
static size_t look_around(int fd, DIR *dir, const char **names, char **oldest)
{
	struct timespec age = { 0 };
	size_t sum = 0, least;
	struct dirent *e;
	const char *name;
	struct stat st;
	bool live;

	*oldest = NULL;
	rewinddir(dir);
	while ((e = readdir(dir))) {
		if (!is_log(e->d_name) || fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
		    !S_ISREG(st.st_mode))
			continue;
		name = e->d_name;
		live = bsearch(&name, names, nr_opened, sizeof(*names), compare);
		/* One that is being written counts for what it may become before anybody looks again. */
		least = live ? file_limit() : LOG_LEAST;
		sum += (size_t)st.st_size > least ? (size_t)st.st_size : least;
		if (live || (*oldest && (st.st_mtim.tv_sec > age.tv_sec ||
					 (st.st_mtim.tv_sec == age.tv_sec &&
					  st.st_mtim.tv_nsec >= age.tv_nsec))))
			continue;
		free(*oldest);
		*oldest = strdup(e->d_name);
		age = st.st_mtim;
	}
	return sum;
}

/* What is oldest goes, but no log that is being written. A few at a time: somebody's console waits for us. */
static void prune(const char *path)
{
	char *dir = strndup(path, strrchr(path, '/') - path), *oldest = NULL;
	const char **names = open_names();
	DIR *d = dir && names ? opendir(dir) : NULL;
	int left = PRUNE_MAX;

	while (d && left-- && look_around(dirfd(d), d, names, &oldest) > total_limit && oldest &&
	       !unlinkat(dirfd(d), oldest, 0)) {
		free(oldest);
		oldest = NULL;
	}
	free(oldest);
	if (d)
		closedir(d);
	free(names);
	free(dir);
}

static void rotate(const char *path)
{
	char from[600], to[600];
	int i;

	for (i = LOG_OLD; i > 0; i--) {
		if (i > 1)
			snprintf(from, sizeof(from), "%s.%d", path, i - 1);
		else
			snprintf(from, sizeof(from), "%s", path);
		snprintf(to, sizeof(to), "%s.%d", path, i);
		rename(from, to);
	}
}

/*
 * A new one holds nothing yet, and for hundreds of guests that are made one after the other all files are not looked at for
 * each.
 */
static void prune_for_new(const char *path)
{
	static int64_t again;
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
	if (ms < again)
		return;
	prune(path);
	again = ms + LOG_AGAIN_MS;
}

static int open_file(struct conslog *l)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (l->fd < 0)
		return -1;
	l->size = fstat(l->fd, &st) ? 0 : st.st_size;
	return 0;
}

int log_open(struct conslog *l, const char *dir, const char *name, bool fresh)
{
	struct stat st;
	int rc, saved;
	char *p;

	*l = (struct conslog){ .fd = -1 };
	if (asprintf(&l->path, "%s/guest-%.100s.log", dir, name) < 0) {
		l->path = NULL;
		errno = ENOMEM;
		return -1;
	}
	for (p = l->path + strlen(dir) + 1; *p; p++)
		if (*p == '/' || (unsigned char)*p <= ' ')
			*p = '_';
	l->next = opened;
	opened = l;
	nr_opened++;
	if (fresh && !stat(l->path, &st) && st.st_size)
		rotate(l->path);
	rc = open_file(l);
	saved = errno;
	prune_for_new(l->path);
	errno = saved;
	return rc;
}

int log_write(struct conslog *l, const char *buf, size_t n)
{
	/* What could not be opened may be by now: the disk was full. */
	if (l->fd < 0 && (!l->path || open_file(l)))
		return -1;
	if (l->size + n > file_limit() && l->size) {
		close(l->fd);
		rotate(l->path);
		if (open_file(l))
			return -1;
		prune(l->path);
	}
	/* A full disk loses log, not the guest's console. */
	while (n) {
		ssize_t w = write(l->fd, buf, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return -1;
		l->size += w;
		buf += w;
		n -= w;
	}
	return 0;
}

void log_close(struct conslog *l)
{
	struct conslog **p;

	for (p = &opened; *p; p = &(*p)->next) {
		if (*p == l) {
			*p = l->next;
			nr_opened--;
			break;
		}
	}
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	l->fd = -1;
	l->path = NULL;
}
