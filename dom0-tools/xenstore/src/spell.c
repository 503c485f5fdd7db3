// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a client spells paths and domains, and what they are.
 * It owns the way from one to the other. Specification: Xen's docs/misc/xenstore.txt, introduction.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "path.h"
#include "spell.h"

#define HOMES "/local/domain/"

/* Is this component that number? */
static bool is_number(const char *p, unsigned int domid)
{
	char text[12];
	size_t n = (size_t)sprintf(text, "%u", domid);

	return !strncmp(p, text, n) && (!p[n] || p[n] == '/');
}

/* A guest that had another number. dom0 and sockets have none. */
static bool has_alias(const struct conn *c)
{
	return c->ring && c->dom->was != DOM_NONE &&
	       (c->dom->was != c->domid || c->dom->num_between);
}

/* Of <number>/backend/TYPE/<number>: the second; NULL: it is no such path. */
static const char *served(const char *number)
{
	const char *p = strchr(number, '/');

	if (!p || strncmp(p, "/backend/", 9))
		return NULL;
	p = strchr(p + 9, '/');
	return p ? p + 1 : NULL;
}

/* Is it one that the guest had between its first number and this one? */
static bool is_between(const struct dom *d, const char *number)
{
	for (unsigned int i = 0; i < d->num_between; i++)
		if (is_number(number, d->between[i]))
			return true;
	return false;
}

/*
 * Where in an absolute path `domid` stands for the guest itself (spell.h); 0: nowhere. said: by the
 * guest, who may mean itself by other numbers, too.
 */
static size_t number_at(const struct conn *c, const char *path, unsigned int domid, bool said)
{
	const char *p = path + strlen(HOMES), *whom;
	unsigned int was = c->dom->was;
	bool other, between;

	if (strncmp(path, HOMES, strlen(HOMES)))
		return 0;
	whom = served(p);
	/* nobody serves himself */
	between = whom && said && is_between(c->dom, whom);
	other = whom && is_number(p, was) && (is_number(whom, was) || is_number(whom, c->domid));
	if (!other && is_number(p, domid))
		return (size_t)(p - path);
	/* what it serves is others', by their numbers */
	if (!other && (is_number(p, was) || is_number(p, c->domid)))
		return 0;
	return whom && (is_number(whom, domid) || between) ? (size_t)(whom - path) : 0;
}

/* The number at that place becomes another. path and buf may be the same: SPELL_MAX bytes. */
static void put_number(const char *path, size_t at, unsigned int domid, char *buf)
{
	char rest[SPELL_MAX];

	strcpy(rest, strchrnul(path + at, '/'));
	if (buf != path)
		memcpy(buf, path, at);
	sprintf(buf + at, "%u", domid);
	strcat(buf, rest);
}

int spell_path(const struct conn *c, const char *s, char *buf, bool special)
{
	size_t len, free_prefix, at;
	const char *p;
	int pre = 0;

	if (!s)
		return -EINVAL;
	len = strlen(s);
	if (s[0] == '@') {
		if (!special || len > XENSTORE_REL_PATH_MAX || !path_special_valid(s))
			return -EINVAL;
		strcpy(buf, s);
		return 0;
	}
	if (s[0] != '/') {
		/* The domain's home; on the socket dom0's, as Xen's daemon has it. */
		if (!len || len > XENSTORE_REL_PATH_MAX)
			return -EINVAL;
		pre = sprintf(buf, HOMES "%u/", c->domid);
	}
	if ((size_t)pre + len > XENSTORE_ABS_PATH_MAX)
		return -EINVAL;
	strcpy(buf + pre, s);
	if (!path_valid(buf))
		return -EINVAL;
	if (has_alias(c) && !pre) {
		at = number_at(c, buf, c->dom->was, true);
		if (at)
			put_number(buf, at, c->domid, buf);
		if (strlen(buf) > XENSTORE_ABS_PATH_MAX)
			return -EINVAL;
	}
	if (!conn_priv(c)) {
		free_prefix = 0;
		if (!strncmp(buf, HOMES, strlen(HOMES))) {
			p = strchr(buf + strlen(HOMES), '/');
			free_prefix = p ? (size_t)(p - buf) + 1 : 0;
		}
		if (!quota_ok(c->dom, Q_PATH, (long)(strlen(buf) - free_prefix)))
			return -EINVAL;
	}
	return 0;
}

const char *spell_shown(const struct conn *c, const char *path, size_t from, char *buf)
{
	size_t at = has_alias(c) ? number_at(c, path, c->domid, false) : 0;

	if (!at || at < from)
		return path;
	put_number(path, at, c->dom->was, buf);
	return buf;
}

unsigned int spell_domid(const struct conn *c, unsigned int domid)
{
	return has_alias(c) && domid == c->dom->was ? c->domid : domid;
}

unsigned int spell_domid_shown(const struct conn *c, unsigned int domid)
{
	return has_alias(c) && domid == c->domid ? c->dom->was : domid;
}
