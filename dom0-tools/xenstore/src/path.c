// SPDX-License-Identifier: BSD-2-Clause
/*
 * Path rules of the xenstore protocol.
 * It owns what a valid path is, how components are walked and what "below" means.
 * Specification: Xen's docs/misc/xenstore.txt, introduction.
 */
#include <stdint.h>
#include <string.h>
#include <xen/io/xs_wire.h>
#include "path.h"

static bool char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '@' || c == '/';
}

/* From the first byte on, which is judged already. */
static bool rest_valid(const char *path)
{
	size_t i;

	for (i = 0; path[i]; i++) {
		if (i >= XENSTORE_ABS_PATH_MAX || !char_ok(path[i]))
			return false;
		if (path[i] == '/' && path[i + 1] == '/')
			return false;
	}
	return i == 1 || path[i - 1] != '/';
}

bool path_valid(const char *path)
{
	return path[0] == '/' && rest_valid(path);
}

bool path_special_valid(const char *path)
{
	return path[0] == '@' && rest_valid(path);
}

const char *path_next(const char **pos, size_t *len)
{
	const char *p = *pos, *end;

	while (*p == '/')
		p++;
	if (!*p)
		return NULL;
	end = strchrnul(p, '/');
	*len = (size_t)(end - p);
	*pos = end;
	return p;
}

bool path_below(const char *parent, const char *child)
{
	size_t n = strlen(parent);

	if (!strcmp(parent, "/"))
		return child[0] == '/';
	return !strncmp(parent, child, n) && (child[n] == 0 || child[n] == '/');
}

unsigned int path_levels(const char *parent, const char *child)
{
	unsigned int levels = 0;
	const char *p = child + (strcmp(parent, "/") ? strlen(parent) : 0);
	size_t len;

	while (path_next(&p, &len))
		levels++;
	return levels;
}

size_t path_parent_len(const char *path)
{
	size_t n = (size_t)(strrchr(path, '/') - path);

	return n ? n : 1;
}
