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

int spell_path(const struct conn *c, const char *s, char *buf, bool special)
{
	size_t len, free_prefix;
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
