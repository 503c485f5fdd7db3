// SPDX-License-Identifier: BSD-2-Clause
/*
 * CPU pools: cpupool-list, -destroy, -rename, -cpu-add, -cpu-remove, -migrate, -numa-split. cmd_pool_create.c has the other one.
 * Whoever changes a pool, or its name, holds xl_lock().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "events.h"
#include "jsonl.h"
#include "pools.h"
#include "show.h"
#include "stats.h"

/* What the verbs with words alone share: those words, behind argv[0]. */
static int words(int argc, char **argv, int n, int (*fn)(struct xl *xl, char **word))
{
	struct xl xl;
	int rc = 0, lock;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != n)
		return command_usage(argv[0], false);
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	lock = xl_lock();
	rc = lock < 0 ? -1 : fn(&xl, argv + optind);
	xl_unlock(lock);
	xl_close(&xl);
	return rc ? 1 : 0;
}

/* --- cpupool-list ---------------------------------------------------------------------------- */

static void list_line(struct xl *xl, const struct pv_pool *p, bool cpus)
{
	const char *scheduler = stats_scheduler(p->scheduler);
	char *name = pool_shown(xl, p->id);
	unsigned int n = 0, i;

	printf("%-19s", name);
	for (i = 0; i < CPUS_MAX; i++) {
		if (!(p->cpus >> i & 1))
			continue;
		if (cpus)
			printf("%s%u", n ? "," : "", i);
		n++;
	}
	if (!cpus)
		printf("%3u %9s       y       %4u", n, scheduler ? scheduler : "unknown",
		       p->domains);
	putchar('\n');
	free(name);
}

static void list_json(struct xl *xl, const struct pv_pool *p)
{
	char *name = pool_name(xl, p->id);
	unsigned int i;

	json_object(&show_json, NULL);
	json_number(&show_json, "cpupool_id", p->id);
	json_text(&show_json, "name", name);
	json_text(&show_json, "scheduler", stats_scheduler(p->scheduler));
	json_array(&show_json, "cpus");
	for (i = 0; i < CPUS_MAX; i++)
		if (p->cpus >> i & 1)
			json_number(&show_json, NULL, i);
	json_end(&show_json);
	json_number(&show_json, "domains", p->domains);
	json_end(&show_json);
	free(name);
}

static int list(struct xl *xl, const char *only, bool cpus, bool json)
{
	struct pv_pool *all = NULL, one;
	int n = 1, i;

	if (only && !pool_named(xl, only, &one))
		return xl_error("Pool '%s' does not exist", only);
	if (!only)
		n = pools_all(xl, &all);
	if (n < 0)
		return -1;
	if (json) {
		json_init(&show_json, stdout, 1);
		json_array(&show_json, NULL);
	} else {
		printf("%-19s%s\n", "Name",
		       cpus ? "CPU list" : "CPUs   Sched     Active   Domain count");
	}
	for (i = 0; i < n; i++) {
		if (json)
			list_json(xl, only ? &one : &all[i]);
		else
			list_line(xl, only ? &one : &all[i], cpus);
	}
	if (json)
		json_end(&show_json);
	free(all);
	return 0;
}

int cmd_cpupool_list(int argc, char **argv)
{
	bool cpus = false, json = false;
	struct xl xl;
	int rc = 0, c;

	while ((c = command_option(argc, argv, "cJ", &rc)) != -1) {
		if (c == '?')
			return rc;
		cpus |= c == 'c';
		json |= c == 'J';
	}
	if (argc - optind > 1)
		return command_usage("cpupool-list", false);
	if (xl_open(&xl))
		return 1;
	rc = list(&xl, argv[optind], cpus, json);
	xl_close(&xl);
	return rc ? 1 : 0;
}

/* --- cpupool-cpu-add, cpupool-cpu-remove ------------------------------------------------------ */

/* Those of the text that the machine has; of whole nodes only @of is meant. */
static int read_cpus(struct xl *xl, const char *text, uint64_t of, uint64_t *mask)
{
	struct xen_sysctl_physinfo info;
	struct cpus set;
	const char *wrong = cpus_parse(text, &set);
	char *unfit;
	int rc;

	if (wrong)
		return xl_error("'%s' %s", text, wrong);
	rc = pv_physinfo(xl->pv, &info);
	if (rc)
		return xl_error("cannot ask for the machine: %s", strerror(-rc));
	unfit = cpus_fit(&set, info.nr_cpus);
	if (unfit) {
		xl_error("%s", unfit);
		free(unfit);
		return -1;
	}
	*mask = set.mask & cpus_there(info.nr_cpus);
	if (!strncmp(text, "node", 4) && !(*mask &= of))
		return xl_error("'%s' has no such CPU: xl cpupool-list -c shows whose they are",
				text);
	return 0;
}

/* All of them, or none. */
static int each_cpu(struct xl *xl, const struct pv_pool *p, uint64_t cpus, bool add)
{
	int (*const there)(struct pv *, uint32_t, uint32_t) = add ? pv_pool_add_cpu :
								    pv_pool_remove_cpu;
	int (*const back)(struct pv *, uint32_t, uint32_t) = add ? pv_pool_remove_cpu :
								   pv_pool_add_cpu;
	unsigned int i, j;
	char *name;
	int rc = 0;

	for (i = 0; i < CPUS_MAX && !rc; i++)
		if (cpus >> i & 1)
			rc = there(xl->pv, p->id, i);
	if (!rc)
		return 0;
	for (j = 0; j < i - 1; j++)
		if (cpus >> j & 1)
			back(xl->pv, p->id, j);
	name = pool_shown(xl, p->id);
	xl_error("CPU %u cannot be %s '%s': %s", i - 1, add ? "added to" : "removed from", name,
		 pool_error(rc));
	free(name);
	return -1;
}

static int not_among(uint64_t cpus, uint64_t of, const char *why, const char *pool)
{
	char *text = cpus_text(cpus & ~of, CPUS_ALL);

	xl_error("CPU %s %s '%s'", text, why, pool);
	free(text);
	return -1;
}

static int cpu_add(struct xl *xl, char **word)
{
	uint64_t cpus, unused;
	struct pv_pool p;
	char *text;
	int rc;

	rc = pv_pool_free_cpus(xl->pv, &unused);
	if (rc)
		return xl_error("cannot ask for the free CPUs: %s", strerror(-rc));
	if (pool_find(xl, word[0], &p) || read_cpus(xl, word[1], unused, &cpus))
		return -1;
	if (!(cpus & ~unused))
		return each_cpu(xl, &p, cpus, true);
	text = cpus_text(cpus & ~unused, CPUS_ALL);
	xl_error(
		"CPU %s: not free; xl cpupool-list -c shows whose, xl cpupool-cpu-remove makes it free",
		text);
	free(text);
	return -1;
}

static int cpu_remove(struct xl *xl, char **word)
{
	struct pv_pool p;
	uint64_t cpus;

	if (pool_find(xl, word[0], &p) || read_cpus(xl, word[1], p.cpus, &cpus))
		return -1;
	if (!strcmp(word[1], "all"))
		cpus &= p.cpus;
	if (cpus & ~p.cpus)
		return not_among(cpus, p.cpus, "is not in CPU pool", word[0]);
	if (!(p.cpus & ~cpus) && (p.domains || !p.id))
		return xl_error("'%s' keeps a CPU: %u domains are in it", word[0], p.domains);
	return each_cpu(xl, &p, cpus, false);
}

int cmd_cpupool_cpu_add(int argc, char **argv)
{
	return words(argc, argv, 2, cpu_add);
}

int cmd_cpupool_cpu_remove(int argc, char **argv)
{
	return words(argc, argv, 2, cpu_remove);
}

/* --- cpupool-destroy, cpupool-rename, cpupool-numa-split -------------------------------------- */

static int destroy(struct xl *xl, char **word)
{
	struct pv_pool p;
	int rc;

	if (pool_find(xl, word[0], &p))
		return -1;
	if (!p.id)
		return xl_error("'%s' stays: domain 0 is in it", word[0]);
	if (p.domains)
		return xl_error(
			"'%s' cannot be destroyed: %u domain%s in it; xl cpupool-migrate moves "
			"one, xl list -c shows which",
			word[0], p.domains, p.domains == 1 ? " is" : "s are");
	if (p.cpus && each_cpu(xl, &p, p.cpus, false))
		return -1;
	rc = pv_pool_destroy(xl->pv, p.id);
	if (rc) {
		each_cpu(xl, &p, p.cpus, true);
		return xl_error("'%s' cannot be destroyed: %s", word[0], pool_error(rc));
	}
	st_remove(xl, XBT_NULL, XL_POOL, p.id);
	return 0;
}

static int call_it(struct xl *xl, uint32_t id, const char *name)
{
	return st_write(xl, XBT_NULL, name, XL_POOL "/name", id) ?
		       0 :
		       xl_error("cannot write the pool's name to xenstore: %s", strerror(errno));
}

static int rename_pool(struct xl *xl, char **word)
{
	const char *bad = pool_bad_name(word[1]);
	struct pv_pool p, other;

	if (pool_find(xl, word[0], &p))
		return -1;
	if (bad)
		return xl_error("%s", bad);
	if (pool_named(xl, word[1], &other) && other.id != p.id)
		return xl_error("there is a CPU pool '%s' already", word[1]);
	return call_it(xl, p.id, word[1]);
}

/* As Xen's: the pool that there is becomes the first node's. Other nodes there are none. */
static int numa_split(struct xl *xl, char **word)
{
	struct pv_pool *all = NULL;
	int n = pools_all(xl, &all);

	(void)word;
	free(all);
	if (n < 0)
		return -1;
	if (n != 1)
		return xl_error("splitting not possible, already cpupools in use");
	return call_it(xl, 0, "Pool-node0");
}

int cmd_cpupool_destroy(int argc, char **argv)
{
	return words(argc, argv, 1, destroy);
}

int cmd_cpupool_rename(int argc, char **argv)
{
	return words(argc, argv, 2, rename_pool);
}

int cmd_cpupool_numa_split(int argc, char **argv)
{
	return words(argc, argv, 0, numa_split);
}

/* --- cpupool-migrate ------------------------------------------------------------------------- */

static void warn_of_pins(struct xl *xl, uint32_t domid, const struct pv_pool *p, const char *pool)
{
	struct xen_domctl_getdomaininfo info;
	uint64_t hard, soft;
	uint32_t i;

	if (pv_domain_info(xl->pv, domid, &info))
		return;
	for (i = 0; i < domain_vcpus(&info); i++)
		if (!pv_vcpu_affinity(xl->pv, domid, i, &hard, &soft) && !(hard & p->cpus))
			fprintf(stderr,
				"xl: warning: vCPU %u is bound to none of '%s's CPUs: it uses all of "
				"them there\n",
				i, pool);
}

/* The guest's lock is held. */
static int move(struct xl *xl, uint32_t domid, char **word)
{
	struct pv_pool p;
	char *name, *quoted;
	int rc;

	if (pool_find(xl, word[1], &p))
		return -1;
	if (!p.cpus)
		return xl_error("'%s' has no CPU: xl cpupool-cpu-add gives it one", word[1]);
	rc = pv_pool_move(xl->pv, p.id, domid);
	if (rc == -ESRCH || rc == -EINVAL)
		return xl_error("'%s' has ended", word[0]);
	if (rc)
		return xl_error("'%s' cannot be moved: %s", word[0], pool_error(rc));
	warn_of_pins(xl, domid, &p, word[1]);
	name = pool_name(xl, p.id);
	quoted = json_quote(name);
	xl_event_of(xl, EVENT_POOL, domid, ", \"cpupool\": %s", quoted);
	free(quoted);
	free(name);
	return 0;
}

static int migrate(char **word)
{
	uint32_t domid;
	struct xl xl;
	int lock, rc;

	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	lock = domain_lock(&xl, word[0], "move", &domid);
	rc = lock < 0 ? -1 : move(&xl, domid, word);
	if (lock >= 0)
		xl_unlock_domain(lock, domid);
	xl_close(&xl);
	return rc ? 1 : 0;
}

int cmd_cpupool_migrate(int argc, char **argv)
{
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 2)
		return command_usage("cpupool-migrate", false);
	return migrate(argv + optind);
}
