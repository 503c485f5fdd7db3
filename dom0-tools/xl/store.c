// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenstore with formatted paths, for readable callers.
 * Owns permissions as Xen's toolstack sets them: an owner, one reader, nobody else.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "xl.h"

#define FORMAT_PATH(p, fmt) \
	do { \
		va_list ap; \
\
		va_start(ap, fmt); \
		if (vasprintf(&(p), fmt, ap) < 0) \
			abort(); \
		va_end(ap); \
	} while (0)

char *st_read(struct xl *xl, xs_transaction_t t, const char *path, ...)
{
	unsigned int len;
	char *p, *v;

	FORMAT_PATH(p, path);
	v = xs_read(xl->xs, t, p, &len);
	free(p);
	return v;
}

long st_read_long(struct xl *xl, const char *path, ...)
{
	unsigned int len;
	char *p, *v, *end;
	long n = -1;

	FORMAT_PATH(p, path);
	v = xs_read(xl->xs, XBT_NULL, p, &len);
	if (v && *v) {
		n = strtol(v, &end, 0);
		if (*end)
			n = -1;
	}
	free(v);
	free(p);
	return n;
}

bool st_write(struct xl *xl, xs_transaction_t t, const char *value, const char *path, ...)
{
	bool ok;
	char *p;

	FORMAT_PATH(p, path);
	ok = xs_write(xl->xs, t, p, value, strlen(value));
	free(p);
	return ok;
}

bool st_remove(struct xl *xl, xs_transaction_t t, const char *path, ...)
{
	bool ok;
	char *p;

	FORMAT_PATH(p, path);
	ok = xs_rm(xl->xs, t, p) || errno == ENOENT;
	free(p);
	return ok;
}

bool st_dir(struct xl *xl, xs_transaction_t t, unsigned int owner, unsigned int reader,
	    const char *path, ...)
{
	struct xs_permissions perms[2] = {
		{ .id = owner, .perms = XS_PERM_NONE },
		{ .id = reader, .perms = XS_PERM_READ },
	};
	bool ok;
	char *p;

	FORMAT_PATH(p, path);
	ok = xs_mkdir(xl->xs, t, p) &&
	     xs_set_permissions(xl->xs, t, p, perms, owner == reader ? 1 : 2);
	free(p);
	return ok;
}

char **st_list(struct xl *xl, unsigned int *n, const char *path, ...)
{
	char **list, *p;

	FORMAT_PATH(p, path);
	*n = 0;
	list = xs_directory(xl->xs, XBT_NULL, p, n);
	if (!list)
		*n = 0;
	free(p);
	return list;
}

void st_prune(struct xl *xl, const char *path, const char *stop)
{
	char *p = strdup(path), *slash;
	unsigned int n;

	if (!p)
		abort();
	xs_rm(xl->xs, XBT_NULL, p);
	for (;;) {
		slash = strrchr(p, '/');
		if (!slash || slash == p)
			break;
		*slash = '\0';
		if (!strcmp(p, stop))
			break;
		free(st_list(xl, &n, "%s", p));
		if (n)
			break;
		xs_rm(xl->xs, XBT_NULL, p);
	}
	free(p);
}
