// SPDX-License-Identifier: BSD-2-Clause
/*
 * Console logs with rotation.
 * Owns the file names; a name from xenstore is made harmless here once more.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

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
	char *p;

	l->fd = -1;
	l->size = 0;
	if (asprintf(&l->path, "%s/guest-%.100s.log", dir, name) < 0) {
		l->path = NULL;
		errno = ENOMEM;
		return -1;
	}
	for (p = l->path + strlen(dir) + 1; *p; p++)
		if (*p == '/' || (unsigned char)*p <= ' ')
			*p = '_';
	if (fresh && !stat(l->path, &st) && st.st_size)
		rotate(l->path);
	return open_file(l);
}

void log_write(struct conslog *l, const char *buf, size_t n)
{
	if (l->fd < 0)
		return;
	if (l->size + n > LOG_MAX && l->size) {
		close(l->fd);
		rotate(l->path);
		if (open_file(l))
			return;
	}
	/* A full disk loses log, not the guest's console. */
	while (n) {
		ssize_t w = write(l->fd, buf, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return;
		l->size += w;
		buf += w;
		n -= w;
	}
}

void log_close(struct conslog *l)
{
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	l->fd = -1;
	l->path = NULL;
}
