// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl config-update: what a guest is to be in its next life.
 * Owns that nothing is accepted that this life could not be made from now: a guest is not lost for a slip of the pen.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bootloader.h"
#include "next.h"

#define READ_WAIT_MS 70000 /* a little more than a disk may take to read */

struct options {
	bool quiet;
	const char *domain, *file;
	char **args;
	int nr_args;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "quiet", no_argument, NULL, 'q' },
		{ "defconfig", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "qf:h", longs, NULL)) != -1) {
		if (c != 'q' && c != 'f')
			return command_usage("config-update", c == 'h') + 1;
		o->quiet |= c == 'q';
		if (c == 'f')
			o->file = optarg;
	}
	if (optind < argc)
		o->domain = argv[optind++];
	for (; optind < argc; optind++) {
		if (strchr(argv[optind], '=')) {
			o->args[o->nr_args++] = argv[optind];
		} else if (!o->file) {
			o->file = argv[optind];
		} else {
			xl_error("'%s' is no key=value, and there is a config file already",
				 argv[optind]);
			return EXIT_USAGE + 1;
		}
	}
	if (!o->domain || (!o->file && !o->nr_args))
		return command_usage("config-update", false) + 1;
	return 0;
}

static bool is_given(const struct options *o, const char *key)
{
	size_t n = strlen(key);
	int i;

	for (i = 0; i < o->nr_args; i++)
		if (!strncmp(o->args[i], key, n) && o->args[i][n] == '=')
			return true;
	return false;
}

static void add_number(const struct options *o, char **args, int *n, const char *key,
		       unsigned long value)
{
	if (!is_given(o, key))
		args[(*n)++] = xl_sprintf("%s=%lu", key, value);
}

static void add_text(const struct options *o, char **args, int *n, const char *key,
		     const char *value)
{
	if (value && !is_given(o, key))
		args[(*n)++] = xl_sprintf("%s=\"%s\"", key, value);
}

/* What the guest has now, mem-set's, vcpu-set's and cpupool-migrate's changes included, with @o's keys in the place of its own. */
static int read_changed(struct xl *xl, uint32_t domid, const struct options *o,
			struct xl_config *cfg)
{
	char *path = xl_sprintf(XL_NEXT_FILE, domid);
	char **args = calloc(o->nr_args + 4, sizeof(*args));
	struct xl_config made, now;
	int i, n = 0, rc;

	if (!args)
		abort();
	memset(cfg, 0, sizeof(*cfg));
	rc = config_read(&made, path, NULL, 0, NULL) | config_read(&now, path, NULL, 0, NULL);
	if (rc) {
		xl_error("it is not known what '%s' was made from: give its config file",
			 o->domain);
	} else {
		next_adopt(xl, domid, &now);
		if (made.memory != now.memory || made.maxmem != now.maxmem) {
			add_number(o, args, &n, "memory", now.memory);
			add_number(o, args, &n, "maxmem", now.maxmem);
		}
		if (made.vcpus != now.vcpus)
			add_number(o, args, &n, "vcpus", now.vcpus);
		if (now.pool && (!made.pool || strcmp(made.pool, now.pool)))
			add_text(o, args, &n, "pool", now.pool);
		memcpy(args + n, o->args, o->nr_args * sizeof(*args));
		rc = config_read(cfg, path, args, n + o->nr_args, stderr);
	}
	config_free(&made);
	config_free(&now);
	for (i = 0; i < n; i++)
		free(args[i]);
	free(args);
	free(path);
	return rc;
}

/* Its lock is held. */
static int check(struct xl *xl, uint32_t domid, struct xl_config *cfg)
{
	struct xen_domctl_getdomaininfo info;
	char uuid[37];

	if (pv_domain_info(xl->pv, domid, &info))
		return xl_error("domain %u has just gone", domid);
	if (cfg->have_uuid && memcmp(cfg->uuid, info.handle, sizeof(cfg->uuid))) {
		uuid_format(info.handle, uuid);
		config_error(cfg, "uuid", 0, "a guest keeps the one it has, %s", uuid);
		return -1;
	}
	if (!domain_can_fit(xl, cfg)) {
		config_error(cfg, cfg->maxmem > cfg->memory ? "maxmem" : "memory", 0,
			     "%lu MiB are more than this machine has for guests", cfg->maxmem);
		return -1;
	}
	return domain_check(cfg);
}

static int update(struct xl *xl, uint32_t domid, const struct options *o)
{
	char *kept = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/preserved", domid);
	struct xl_config cfg;
	int rc;

	if (kept) {
		free(kept);
		return xl_error("'%s' has ended and is kept: it has no next life", o->domain);
	}
	rc = o->file ? config_read(&cfg, o->file, o->args, o->nr_args, stderr) :
		       read_changed(xl, domid, o, &cfg);
	if (!rc)
		rc = next_make_absolute(&cfg) || check(xl, domid, &cfg) ||
		     next_update(xl, domid, &cfg);
	config_free(&cfg);
	return rc;
}

/* Nothing is there of a guest while its kernel is read from its disk, and what is said then is said to its next life. */
static void await_life(struct xl *xl, const char *name)
{
	int64_t end = xl_now() + READ_WAIT_MS;
	bool told = false, reads;
	uint32_t domid;
	int making;

	while (!domain_numbered(xl, name, &domid) && !domain_named(xl, name, &domid) &&
	       xl_now() < end) {
		/* Who makes it has this lock, or has its reader, or there is none. */
		making = xl_lock();
		reads = bootloader_reads_for(xl, name) && !domain_named(xl, name, &domid);
		xl_unlock(making);
		if (!reads)
			break;
		if (!told)
			xl_error("waiting for '%s', whose kernel is being read from its disk",
				 name);
		told = true;
		xl_sleep(100);
	}
}

int cmd_config_update(int argc, char **argv)
{
	struct options o = { .args = calloc(argc + 1, sizeof(char *)) };
	uint32_t domid = 0;
	struct xl xl;
	int rc, lock;

	if (!o.args)
		abort();
	rc = parse_options(argc, argv, &o);
	if (rc) {
		free(o.args);
		return rc - 1;
	}
	if (!o.quiet && o.file)
		printf("Parsing config from %s\n", o.file);
	fflush(stdout);
	if (xl_open(&xl)) {
		free(o.args);
		return 1;
	}
	await_life(&xl, o.domain);
	lock = domain_lock(&xl, o.domain, "update the configuration of", &domid);
	rc = lock < 0 || update(&xl, domid, &o);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	free(o.args);
	return rc ? 1 : 0;
}
