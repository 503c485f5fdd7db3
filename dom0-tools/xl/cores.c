// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the cores of crashed guests may take of dom0's disk (cores.h).
 * Owns coredump_limit and coredump_keep of xl.conf, and the names of older ones: no guest's name has a '~'.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core.h"
#include "cores.h"
#include "settings.h"

#define DEFAULT_LIMIT 4096 /* MiB */
#define DEFAULT_KEEP 1
#define MAX_KEEP 100

void cores_read(struct cores *c)
{
	struct cfg conf;

	settings_read(&conf, stderr);
	c->limit =
		settings_number(&conf, "coredump_limit", DEFAULT_LIMIT, SETTINGS_MAX_MIB) * PV_MIB;
	c->keep = settings_number(&conf, "coredump_keep", DEFAULT_KEEP, MAX_KEEP);
	cfg_free(&conf);
}

/* What all take; *@oldest: the oldest that is whole, which the caller frees. */
static uint64_t look(const char *part, char **oldest)
{
	DIR *d = opendir(XL_DUMP_DIR);
	struct timespec when = { 0 };
	uint64_t total = 0;
	struct dirent *e;
	struct stat st;

	*oldest = NULL;
	while (d && (e = readdir(d))) {
		char *path = xl_sprintf(XL_DUMP_DIR "/%s", e->d_name);

		if (lstat(path, &st) || !S_ISREG(st.st_mode)) {
			free(path);
			continue;
		}
		total += st.st_blocks * 512ULL;
		if (!strcmp(path, part) || strstr(e->d_name, ".part-") ||
		    (*oldest &&
		     (st.st_mtim.tv_sec > when.tv_sec ||
		      (st.st_mtim.tv_sec == when.tv_sec && st.st_mtim.tv_nsec > when.tv_nsec)))) {
			free(path);
			continue;
		}
		free(*oldest);
		*oldest = path;
		when = st.st_mtim;
	}
	if (d)
		closedir(d);
	return total;
}

int cores_make_room(const struct cores *c, const char *part, uint64_t more)
{
	char *oldest;
	int rc = 0;

	while (!rc && look(part, &oldest) + more > c->limit) {
		if (!oldest || unlink(oldest))
			rc = xl_error("%s: no room: the cores there may have %llu MiB together "
				      "(coredump_limit in " XL_CONF ")",
				      XL_DUMP_DIR, (unsigned long long)(c->limit / PV_MIB));
		else
			xl_error(
				"%s goes: cores may have %llu MiB together (coredump_limit in " XL_CONF
				")",
				oldest, (unsigned long long)(c->limit / PV_MIB));
		free(oldest);
		oldest = NULL;
	}
	if (!rc)
		free(oldest);
	return rc;
}

void cores_rotate(const struct cores *c, const char *path)
{
	unsigned int i;
	char *from, *to;

	for (i = c->keep - 1; i; i--) {
		from = i > 1 ? xl_sprintf("%s~%u", path, i - 1) : xl_sprintf("%s", path);
		to = xl_sprintf("%s~%u", path, i);
		/* Not there is fine. */
		rename(from, to);
		free(from);
		free(to);
	}
	/* There may have been more of them once. */
	for (i = c->keep; i < MAX_KEEP; i++) {
		to = xl_sprintf("%s~%u", path, i);
		if (unlink(to))
			i = MAX_KEEP;
		free(to);
	}
}
