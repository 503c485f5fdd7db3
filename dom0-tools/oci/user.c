// SPDX-License-Identifier: BSD-2-Clause
/*
 * Looks names up in an image's passwd(5) and group(5).
 * Owns their format; a line that has another is passed over.
 */
#define _GNU_SOURCE
#include "user.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer.h"

#define FILE_BYTES (1 << 20)
#define FIELDS 7

/* The file as a text, or "": an image need not have one. For free(). */
static char *read_text(int root, const char *path)
{
	int fd = layer_open(root, path, O_RDONLY | O_NONBLOCK, 0);
	char *buf = calloc(1, FILE_BYTES + 1);
	struct stat st;
	size_t have = 0;
	ssize_t n;

	if (buf && fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		while (have < FILE_BYTES && (n = read(fd, buf + have, FILE_BYTES - have)) > 0)
			have += (size_t)n;
	if (fd >= 0)
		close(fd);
	return buf;
}

/* Takes the next line of *text apart at its colons; false: there is none. */
static bool next_line(char **text, char *field[FIELDS], int *nr)
{
	char *line = strsep(text, "\n");

	*nr = 0;
	while (line && *nr < FIELDS)
		field[(*nr)++] = strsep(&line, ":");
	return *nr;
}

/* A user's or group's number. */
static bool number(const char *text, unsigned int *out)
{
	unsigned long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	n = strtoul(text, &end, 10);
	*out = (unsigned int)n;
	return !*end && n < 0xffffffff;
}

/* By name or number; the name is kept for the groups in which it stands. False: no such name. */
static bool find_user(char *text, const char *who, struct user *u, char name[256])
{
	unsigned int wanted = 0, uid, gid;
	bool numeric = number(who, &wanted);
	char *f[FIELDS];
	int n;

	while (next_line(&text, f, &n)) {
		if (n < 6 || !number(f[2], &uid) || !number(f[3], &gid))
			continue;
		if (strcmp(f[0], who) && !(numeric && uid == wanted))
			continue;
		u->uid = uid;
		u->gid = gid;
		snprintf(u->home, sizeof(u->home), "%s", f[5][0] == '/' ? f[5] : "/");
		snprintf(name, 256, "%s", f[0]);
		return true;
	}
	u->uid = wanted;
	return numeric;
}

static bool is_member(char *list, const char *name)
{
	char *one;

	while ((one = strsep(&list, ",")))
		if (*name && !strcmp(one, name))
			return true;
	return false;
}

/* @group: the one that was asked for, or NULL: then all in which @name stands. */
static bool find_groups(char *text, const char *group, const char *name, struct user *u)
{
	unsigned int gid = 0;
	char *f[FIELDS];
	int n;

	if (group && number(group, &gid)) {
		u->gid = gid;
		return true;
	}
	while (next_line(&text, f, &n)) {
		if (n < 3 || !number(f[2], &gid))
			continue;
		if (group && !strcmp(f[0], group)) {
			u->gid = gid;
			return true;
		}
		if (!group && n > 3 && is_member(f[3], name) && u->nr_groups < USER_GROUPS)
			u->group[u->nr_groups++] = gid;
	}
	return !group;
}

int user_find(int root, const char *spec, struct user *u, char *why, size_t size)
{
	char *who = strdup(*spec ? spec : "0"), *colon = who ? strchr(who, ':') : NULL;
	char *passwd = read_text(root, "etc/passwd"), *groups = read_text(root, "etc/group");
	char name[256] = "";
	int rc = -1;

	memset(u, 0, sizeof(*u));
	strcpy(u->home, "/");
	if (colon)
		*colon++ = 0;
	if (!who || !passwd || !groups)
		snprintf(why, size, "there is no memory for /etc/passwd");
	else if (!find_user(passwd, *who ? who : "0", u, name))
		snprintf(why, size, "user '%.64s' is not in the image's /etc/passwd", who);
	else if (!find_groups(groups, colon && *colon ? colon : NULL, name, u))
		snprintf(why, size, "group '%.64s' is not in the image's /etc/group", colon);
	else
		rc = 0;
	free(who);
	free(passwd);
	free(groups);
	return rc;
}
