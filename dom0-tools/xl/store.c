// SPDX-License-Identifier: BSD-2-Clause
/*
 * xenstore with formatted paths, for readable callers.
 * Owns permissions as Xen's toolstack sets them: an owner, one reader, nobody else; and that a xenstored
 * that does not answer is reported once and ends every wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
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

bool xl_store_lost;
static int patience; /* of st_open(), seconds */

static void lost(int err)
{
	xl_store_lost = true;
	if (err == ETIMEDOUT)
		xl_error("xenstored does not answer: given up after %d s (see "
			 "/var/log/xen/xenstored.log)",
			 patience);
	else if (err == EINTR)
		xl_error("interrupted while xenstored did not answer");
	else
		xl_error("xenstored has gone and does not come back: %s", strerror(err));
}

struct xs_handle *st_open(int ms)
{
	/* Never by the kernel's device: it waits for a dead xenstored for ever. */
	struct xs_handle *xs = xs_open(XS_OPEN_SOCKETONLY);
	unsigned int len;

	if (!xs) {
		if (ms >= 0)
			xl_error("cannot reach xenstored: %s (is it running?)", strerror(errno));
		return NULL;
	}
	patience = ms / 1000;
	xs_patience(xs, ms, &xl_interrupted, ms >= 0 ? lost : NULL);
	if (ms < 0)
		return xs;
	/* Does it answer? So nobody waits for a lock or changes anything before that is known. */
	free(xs_read(xs, XBT_NULL, "/", &len));
	if (xl_store_lost) {
		xs_close(xs);
		return NULL;
	}
	return xs;
}

#define WAIT_TOKEN "wait"
/* Without a watch of our own. */
#define LOOK_MS 20

void st_wait_begin(struct xl *xl, const char *path)
{
	if (!xl->watched)
		xs_watch(xl->xs, path, WAIT_TOKEN);
}

void st_wait(struct xl *xl, int ms)
{
	struct pollfd pfd = { .events = POLLIN };
	bool seen = false;
	char **event;

	if (xl->watched) {
		xl_sleep(ms < LOOK_MS ? ms : LOOK_MS);
		return;
	}
	pfd.fd = xs_fileno(xl->xs);
	while ((event = xs_check_watch(xl->xs))) {
		seen = true;
		free(event);
	}
	/* One that is lost has been reported, or is with the next request. */
	if (seen)
		return;
	if (errno != EAGAIN)
		xl_sleep(ms < LOOK_MS ? ms : LOOK_MS);
	else
		poll(&pfd, 1, ms);
}

void st_wait_end(struct xl *xl, const char *path)
{
	if (!xl->watched)
		xs_unwatch(xl->xs, path, WAIT_TOKEN);
}

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

bool st_replace(struct xl *xl, const char *value, const char *path, ...)
{
	xs_transaction_t t;
	unsigned int len;
	bool ok = false;
	char *p, *old;

	FORMAT_PATH(p, path);
	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		old = xs_read(xl->xs, t, p, &len);
		ok = old && xs_write(xl->xs, t, p, value, strlen(value));
		free(old);
		if (!ok) {
			int saved = errno;

			xs_transaction_end(xl->xs, t, true);
			/* EAGAIN: xenstored was started again under the transaction */
			errno = saved;
			continue;
		}
		ok = xs_transaction_end(xl->xs, t, false);
	} while (!ok && errno == EAGAIN);
	free(p);
	return ok;
}

static bool is_empty(struct xl *xl, xs_transaction_t t, const char *path)
{
	unsigned int n = 0;

	free(xs_directory(xl->xs, t, path, &n));
	return !n;
}

void st_prune(struct xl *xl, const char *path, const char *stop)
{
	char *p, *slash;
	xs_transaction_t t;

	/* In a transaction: another xl may put something into a parent that was empty. */
	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			return;
		p = strdup(path);
		if (!p)
			abort();
		do {
			xs_rm(xl->xs, t, p);
			slash = strrchr(p, '/');
			if (slash)
				*slash = '\0';
		} while (slash && *p && strcmp(p, stop) && is_empty(xl, t, p));
		free(p);
	} while (!xs_transaction_end(xl->xs, t, false) && errno == EAGAIN);
}
