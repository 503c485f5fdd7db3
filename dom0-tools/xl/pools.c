// SPDX-License-Identifier: BSD-2-Clause
/*
 * CPU pools' names (pools.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpus.h"
#include "pools.h"

#define NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-"

const char *pool_bad_name(const char *name)
{
	size_t n = strlen(name);

	if (!n)
		return "a CPU pool's name cannot be empty";
	if (n > 64)
		return "a CPU pool's name has at most 64 characters";
	if (strspn(name, NAME_CHARS) != n)
		return "a CPU pool's name has only letters, digits and any of _.+-";
	if (strspn(name, "0123456789") == n)
		return "a CPU pool's name cannot be a number: it would be taken for the pool's";
	if (name[0] == '-' || name[0] == '.')
		return "a CPU pool's name cannot begin with '-' or '.'";
	return NULL;
}

char *pool_name(struct xl *xl, uint32_t id)
{
	char *name = st_read(xl, XBT_NULL, XL_POOL "/name", id);

	if (name && *name)
		return name;
	free(name);
	return xl_sprintf("Pool-%u", id);
}

char *pool_shown(struct xl *xl, uint32_t id)
{
	char *name = pool_name(xl, id), *shown = xl_one_line(name);

	free(name);
	return shown;
}

int pools_all(struct xl *xl, struct pv_pool **out)
{
	struct pv_pool *all = NULL, p;
	uint32_t from = 0;
	int n = 0, rc;

	while (!(rc = pv_pool_info(xl->pv, from, &p)) && p.id >= from) {
		all = realloc(all, (n + 1) * sizeof(*all));
		if (!all)
			abort();
		all[n++] = p;
		from = p.id + 1;
	}
	*out = all;
	if (!rc || rc == -ENOENT)
		return n;
	free(all);
	*out = NULL;
	return xl_error("cannot ask for the CPU pools: %s", strerror(-rc));
}

/* One that is called so, or NULL. */
static const struct pv_pool *by_name(struct xl *xl, const char *name, const struct pv_pool *all,
				     int n)
{
	bool same = false;
	int i;

	for (i = 0; i < n && !same; i++) {
		char *have = pool_name(xl, all[i].id);

		same = !strcmp(have, name);
		free(have);
	}
	return same ? &all[i - 1] : NULL;
}

bool pool_named(struct xl *xl, const char *arg, struct pv_pool *out)
{
	bool number = *arg && strspn(arg, "0123456789") == strlen(arg) && strlen(arg) < 10;
	const struct pv_pool *found = NULL;
	struct pv_pool *all = NULL;
	int n = pools_all(xl, &all), i;

	for (i = 0; number && i < n; i++)
		if (all[i].id == strtoul(arg, NULL, 10))
			found = &all[i];
	if (!number)
		found = by_name(xl, arg, all, n);
	if (found)
		*out = *found;
	free(all);
	return found;
}

int pool_find(struct xl *xl, const char *arg, struct pv_pool *out)
{
	if (pool_named(xl, arg, out))
		return 0;
	return xl_error("there is no CPU pool '%s'; xl cpupool-list shows those that there are",
			arg);
}

int pool_of_config(struct xl *xl, struct xl_config *cfg, struct pv_pool *out)
{
	if (!pool_named(xl, cfg->pool ? cfg->pool : "0", out)) {
		config_error(
			cfg, "pool", 0,
			"there is no CPU pool '%s'; xl cpupool-list shows those that there are",
			cfg->pool ? cfg->pool : "0");
		return -1;
	}
	if (!out->cpus) {
		config_error(cfg, "pool", 0, "'%s' has no CPU: xl cpupool-cpu-add gives it one",
			     cfg->pool);
		return -1;
	}
	return 0;
}

char *pool_cpus(const struct pv_pool *pool)
{
	return cpus_text(pool->cpus, CPUS_ALL);
}

char *pool_lacks(const struct pv_pool *pool)
{
	char *have = pool_cpus(pool);
	char *text =
		xl_sprintf("none of those CPUs is in the guest's CPU pool, which has %s", have);

	free(have);
	return text;
}

const char *pool_error(int rc)
{
	switch (rc) {
	case -ENOENT:
		return "it has gone meanwhile";
	case -EBUSY:
		return "there are domains in it";
	case -ENODEV:
		return "somebody else has changed the CPU's pool meanwhile";
	case -ENOSPC:
		return "there are as many pools as there can be";
	default:
		return strerror(-rc);
	}
}
