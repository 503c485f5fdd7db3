// SPDX-License-Identifier: BSD-2-Clause
/*
 * The directory of logs as a whole: guests come under ever new names, and dom0's disk has an end.
 * Owns the limit of all together (log_limit in xl.conf) and who is deleted for it: what dead guests left, the oldest
 * first. xenconsoled bounds what one guest prints.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "settings.h"
#include "xl.h"

#define DEFAULT_LIMIT 48 /* MiB */
/* Looking at hundreds of files takes longer than making a guest, and within so little time they do not grow by much. */
#ifndef LOGS_AGAIN_S
#define LOGS_AGAIN_S 5
#endif
#define PRUNED XL_RUN_DIR "/logs-pruned"
#define ONE_LOG_MAX (256 << 10) /* of xl's own, and the same once more for the older half */

struct log {
	char *path, *name; /* name: the guest's, or NULL */
	struct timespec when;
	off_t size;
};

struct logs {
	struct log *log;
	int nr;
	uint64_t total;
};

int xl_log_open(const char *path)
{
	struct stat st;
	char *old;

	xl_mkdir(XL_LOG_DIR);
	if (!stat(path, &st) && st.st_size > ONE_LOG_MAX) {
		old = xl_sprintf("%s.1", path);
		rename(path, old);
		free(old);
	}
	return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* "xl-a.log", "guest-a.log.2" → "a"; NULL for what is no guest's. The caller frees. */
static char *guest_of(const char *file)
{
	const char *begin, *end = NULL, *p = file;

	if (!strncmp(file, "xl-", 3))
		begin = file + 3;
	else if (!strncmp(file, "guest-", 6))
		begin = file + 6;
	else
		return NULL;
	/* The last one: a name may have ".log" in it. */
	while ((p = strstr(p, ".log")))
		end = p++;
	if (!end || end <= begin || (end[4] && end[4] != '.'))
		return NULL;
	return strndup(begin, end - begin);
}

static void collect(struct logs *l, const char *dir)
{
	struct dirent *e;
	struct stat st;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		struct log *log;
		char *path = xl_sprintf("%s/%s", dir, e->d_name);

		if (lstat(path, &st) || !S_ISREG(st.st_mode)) {
			free(path);
			continue;
		}
		l->log = realloc(l->log, (l->nr + 1) * sizeof(*l->log));
		if (!l->log)
			abort();
		log = &l->log[l->nr++];
		log->path = path;
		log->name = guest_of(e->d_name);
		log->when = st.st_mtim;
		log->size = st.st_blocks * 512;
		l->total += log->size;
	}
	if (d)
		closedir(d);
}

static int older_first(const void *a, const void *b)
{
	const struct timespec *x = &((const struct log *)a)->when,
			      *y = &((const struct log *)b)->when;

	if (x->tv_sec != y->tv_sec)
		return x->tv_sec < y->tv_sec ? -1 : 1;
	return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

/* MiB */
static unsigned long limit(void)
{
	struct cfg conf;
	unsigned long n;

	settings_read(&conf, stderr);
	n = settings_number(&conf, "log_limit", DEFAULT_LIMIT, SETTINGS_MAX_MIB);
	cfg_free(&conf);
	return n;
}

static bool is_alive(char *const *alive, unsigned int nr, const char *name)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (alive[i] && !strcmp(alive[i], name))
			return true;
	return false;
}

static char **living(struct xl *xl, unsigned int *nr)
{
	char **domid = st_list(xl, nr, "/local/domain"), **name = calloc(*nr + 1, sizeof(*name));
	unsigned int i;

	if (!name)
		abort();
	for (i = 0; i < *nr; i++)
		name[i] = st_read(xl, XBT_NULL, "/local/domain/%s/name", domid[i]);
	free(domid);
	return name;
}

static bool pruned_lately(void)
{
	struct stat st;
	int64_t ago = stat(PRUNED, &st) ? -1 : (int64_t)time(NULL) - st.st_mtime;
	int fd;

	if (ago >= 0 && ago < LOGS_AGAIN_S)
		return true;
	xl_mkdir(XL_RUN_DIR);
	fd = open(PRUNED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0) {
		futimens(fd, NULL);
		close(fd);
	}
	return false;
}

void xl_logs_prune(struct xl *xl, const char *keep)
{
	struct logs l = { 0 };
	unsigned int nr, j;
	uint64_t max;
	char **alive;
	int i;

	if (pruned_lately())
		return;
	max = limit() * PV_MIB;
	collect(&l, XL_LOG_DIR);
	collect(&l, XL_CONSOLE_LOG_DIR);
	if (l.total > max) {
		alive = living(xl, &nr);
		qsort(l.log, l.nr, sizeof(*l.log), older_first);
		for (i = 0; i < l.nr && l.total > max; i++) {
			struct log *log = &l.log[i];

			if (log->name && strcmp(log->name, keep) &&
			    !is_alive(alive, nr, log->name) && !unlink(log->path))
				l.total -= log->size;
		}
		for (j = 0; j < nr; j++)
			free(alive[j]);
		free(alive);
	}
	for (i = 0; i < l.nr; i++) {
		free(l.log[i].path);
		free(l.log[i].name);
	}
	free(l.log);
}
