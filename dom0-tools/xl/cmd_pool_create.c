// SPDX-License-Identifier: BSD-2-Clause
/*
 * cpupool-create: a CPU pool from a configuration (man/xlcpupool.cfg.5), which is a file, words of the command line, or both.
 * Owns its keys. A pool that cannot be whole is not made.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "pools.h"

struct wanted {
	struct cfg tree;
	char *name;
	uint64_t cpus; /* 0: any one that is free */
};

static const char *text_of(struct wanted *w, const char *key)
{
	const struct cfg_setting *s = cfg_find(&w->tree, key);

	if (s && s->list)
		cfg_error(&w->tree, s, 0, "expected a string, found a list");
	return s && !s->list ? s->v[0].text : NULL;
}

static void read_name(struct wanted *w, const char *file)
{
	const char *name = text_of(w, "name"), *bad;

	if (!name && file)
		name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	bad = name ? pool_bad_name(name) : "a CPU pool needs a name";
	if (bad)
		cfg_error(&w->tree, cfg_find(&w->tree, "name"), 0, "%s", bad);
	else
		w->name = strdup(name);
}

static void read_scheduler(struct wanted *w)
{
	const char *sched = text_of(w, "sched");

	if (sched && strcmp(sched, "credit2"))
		cfg_error(&w->tree, cfg_find(&w->tree, "sched"), 0,
			  "there is no scheduler '%s' here, only credit2", sched);
}

/* One set, in one string or in the words of a list. @prefix: nodes: where the key says so. */
static bool read_set(struct wanted *w, const char *key, const char *prefix, unsigned int nr_cpus)
{
	const struct cfg_setting *s = cfg_find(&w->tree, key);
	struct cpus set = { 0, -1 };
	const char *wrong = NULL;
	char *text = NULL, *more;
	int i;

	for (i = 0; s && i < s->nr; i++) {
		bool named = !*prefix || !strncmp(s->v[i].text, "node", 4) || *s->v[i].text == '^';

		more = xl_sprintf("%s%s%s%s", text ? text : "", text ? "," : "",
				  named ? "" : prefix, s->v[i].text);
		free(text);
		text = more;
	}
	if (!text)
		return s != NULL;
	wrong = cpus_parse(text, &set);
	if (wrong) {
		cfg_error(&w->tree, s, 0, "'%s' %s", text, wrong);
	} else {
		more = cpus_fit(&set, nr_cpus);
		if (more)
			cfg_error(&w->tree, s, 0, "%s", more);
		free(more);
	}
	free(text);
	w->cpus = set.mask & cpus_there(nr_cpus);
	return true;
}

static void check_free(struct wanted *w, const char *key, uint64_t unused)
{
	const struct cfg_setting *s = cfg_find(&w->tree, key);
	char *text;

	if (!w->tree.errors && !w->cpus)
		w->cpus = unused & -unused;
	if (!w->tree.errors && !w->cpus)
		cfg_error(&w->tree, s, 0,
			  "no free cpu found; xl cpupool-cpu-remove makes one free");
	if (!(w->cpus & ~unused) || w->tree.errors)
		return;
	text = cpus_text(w->cpus & ~unused, CPUS_ALL);
	cfg_error(&w->tree, s, 0, "cpu %s illegal or not free; xl cpupool-cpu-remove makes it free",
		  text);
	free(text);
}

static void check_keys(struct wanted *w)
{
	static const char *const known[] = { "name", "sched", "cpus", "nodes" };
	const struct cfg_setting *s;
	unsigned int i;

	for (s = w->tree.first; s; s = s->next) {
		for (i = 0; i < 4 && strcmp(known[i], s->key); i++)
			;
		if (i == 4)
			cfg_error(&w->tree, s, 0,
				  "unknown key; a CPU pool has name, sched, cpus and nodes");
	}
}

static int interpret(struct xl *xl, struct wanted *w, const char *file)
{
	struct xen_sysctl_physinfo info;
	struct pv_pool other;
	uint64_t unused;
	bool nodes;
	int rc = pv_physinfo(xl->pv, &info);

	rc = rc ? rc : pv_pool_free_cpus(xl->pv, &unused);
	if (rc)
		return xl_error("cannot ask for the machine: %s", strerror(-rc));
	check_keys(w);
	read_name(w, file);
	if (w->name && pool_named(xl, w->name, &other))
		cfg_error(&w->tree, cfg_find(&w->tree, "name"), 0,
			  "there is a CPU pool '%s' already", w->name);
	read_scheduler(w);
	nodes = read_set(w, "nodes", "nodes:", info.nr_cpus);
	/* Of a whole node the free ones are meant. */
	if (nodes)
		w->cpus &= unused;
	if (nodes && cfg_find(&w->tree, "cpus"))
		cfg_error(&w->tree, cfg_find(&w->tree, "cpus"), 0,
			  "cpus and nodes: only one of them");
	else if (!nodes)
		read_set(w, "cpus", "", info.nr_cpus);
	check_free(w, nodes ? "nodes" : "cpus", unused);
	return w->tree.errors ? -1 : 0;
}

/* Nothing is left of one that could not be made whole. */
static int make(struct xl *xl, const struct wanted *w)
{
	unsigned int i;
	uint32_t id;
	int rc = pv_pool_create(xl->pv, &id);

	if (rc)
		return xl_error("the hypervisor makes no CPU pool: %s", pool_error(rc));
	for (i = 0; i < CPUS_MAX && !rc; i++)
		if (w->cpus >> i & 1)
			rc = pv_pool_add_cpu(xl->pv, id, i);
	if (rc)
		xl_error("CPU %u cannot be added to '%s': %s", i - 1, w->name, pool_error(rc));
	else if (!st_write(xl, XBT_NULL, w->name, XL_POOL "/name", id))
		rc = xl_error("cannot write the pool's name to xenstore: %s", strerror(errno));
	if (!rc)
		return 0;
	while (i--)
		if (w->cpus >> i & 1)
			pv_pool_remove_cpu(xl->pv, id, i);
	pv_pool_destroy(xl->pv, id);
	return -1;
}

static int create(struct xl *xl, struct wanted *w, const char *file, bool dry)
{
	unsigned int n = 0, i;

	if (interpret(xl, w, file))
		return -1;
	for (i = 0; i < CPUS_MAX; i++)
		n += w->cpus >> i & 1;
	printf("Using config file \"%s\"\n", file ? file : "command line");
	printf("cpupool name:   %s\nscheduler:      credit2\nnumber of cpus: %u\n", w->name, n);
	return dry ? 0 : make(xl, w);
}

static int read_tree(struct wanted *w, const char *file, char **args, int nr)
{
	int i;

	cfg_init(&w->tree, stderr);
	if (file && cfg_parse_file(&w->tree, file))
		return -1;
	for (i = 0; i < nr; i++)
		if (cfg_parse_arg(&w->tree, args[i]))
			return -1;
	return 0;
}

int cmd_cpupool_create(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "defconfig", required_argument, NULL, 'f' },
		{ "dryrun", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct wanted w = { .name = NULL };
	const char *file = NULL;
	bool dry = false;
	int rc = -1, c, lock;
	struct xl xl;

	while ((c = getopt_long(argc, argv, "f:nh", longs, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage("cpupool-create", c == 'h');
		if (c == 'f')
			file = optarg;
		dry |= c == 'n';
	}
	if (!file && optind < argc && !strchr(argv[optind], '='))
		file = argv[optind++];
	if (!file && optind == argc)
		return command_usage("cpupool-create", false);
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	if (!read_tree(&w, file, argv + optind, argc - optind)) {
		lock = xl_lock();
		rc = lock < 0 ? -1 : create(&xl, &w, file, dry);
		xl_unlock(lock);
	}
	free(w.name);
	cfg_free(&w.tree);
	xl_close(&xl);
	return rc ? 1 : 0;
}
