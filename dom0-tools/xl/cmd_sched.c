// SPDX-License-Identifier: BSD-2-Clause
/*
 * What guests get of the CPUs: sched-credit2, vcpu-pin.
 * Owns their options; the scheduler, and what each value may be, is the hypervisor's.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "pools.h"
#include "show.h"

/* --- sched-credit2 --------------------------------------------------------------------------- */

struct sched_options {
	const char *domain, *pool;
	long weight, cap, rate; /* -1: not given */
	bool params; /* -s */
	bool json;
};

static long number(const char *what, const char *text, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (isdigit((unsigned char)*text) && !*end && !errno && n <= max)
		return n;
	xl_error("'%s' is no %s: a number up to %ld", text, what, max);
	return -1;
}

/* 0, or the exit status + 1. */
static int sched_options(int argc, char **argv, struct sched_options *o)
{
	static const struct option longs[] = {
		{ "domain", required_argument, NULL, 'd' },
		{ "weight", required_argument, NULL, 'w' },
		{ "cap", required_argument, NULL, 'c' },
		{ "schedparam", no_argument, NULL, 's' },
		{ "ratelimit_us", required_argument, NULL, 'r' },
		{ "cpupool", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	long *value;
	int c;

	while ((c = getopt_long(argc, argv, "d:w:c:p:r:sh", longs, NULL)) != -1) {
		value = c == 'w' ? &o->weight : c == 'c' ? &o->cap : c == 'r' ? &o->rate : NULL;
		if (c == 'h' || c == '?')
			return command_usage("sched-credit2", c == 'h') + 1;
		if (value) {
			*value = number(c == 'w' ? "weight" :
					c == 'c' ? "cap" :
						   "rate limit",
					optarg, c == 'r' ? 500000 : 65535);
			if (*value < 0)
				return 2;
		}
		o->params |= c == 's';
		o->json |= c == 'J';
		if (c == 'd')
			o->domain = optarg;
		if (c == 'p')
			o->pool = optarg;
	}
	return optind == argc ? 0 : command_usage("sched-credit2", false) + 1;
}

static int check_options(const struct sched_options *o)
{
	bool values = o->weight >= 0 || o->cap >= 0;

	if (o->pool && (o->domain || values))
		return xl_error("Specifying a cpupool is not allowed with other options.");
	if (!o->domain && values)
		return xl_error("Must specify a domain.");
	if (o->params && (o->domain || values))
		return xl_error("-s is about a whole pool: no domain with it");
	if (o->rate >= 0 && !o->params)
		return xl_error("-r is one of the scheduler's parameters: -s -r %ld", o->rate);
	if (o->rate > 0 && o->rate < 100)
		return xl_error("a rate limit is 0 (none) or 100 to 500000 us, not %ld", o->rate);
	if (!o->weight)
		return xl_error("Cpu weight out of range, valid values are within range from 1 to "
				"65535");
	if (o->json && (values || o->rate >= 0))
		return xl_error("--json is for what is shown: nothing is set with it");
	return 0;
}

static int pool_line(struct xl *xl, const struct pv_pool *p)
{
	uint32_t us;
	int rc = pv_rate_limit(xl->pv, p->id, &us);
	char *name;

	if (rc)
		return xl_error("cannot ask for the scheduler's parameters: %s", strerror(-rc));
	name = pool_shown(xl, p->id);
	printf("Cpupool %s: ratelimit=%uus\n", name, us);
	free(name);
	return 0;
}

static void header(void)
{
	printf("%-33s %4s %6s %4s\n", "Name", "ID", "Weight", "Cap");
}

static void domain_line(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	uint16_t weight = 0, cap = 0;
	char *name;

	if (pv_sched_share(xl->pv, info->domain, &weight, &cap))
		return; /* it has just gone */
	name = show_name(xl, info->domain);
	printf("%-33s %4u %6u %4u\n", name, info->domain, weight, cap);
	free(name);
}

static void domain_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	uint16_t weight = 0, cap = 0;
	char *name;

	if (pv_sched_share(xl->pv, info->domain, &weight, &cap))
		return;
	name = domain_name(xl, info->domain);
	json_object(&show_json, NULL);
	json_number(&show_json, "domid", info->domain);
	json_text(&show_json, "name", name);
	json_number(&show_json, "weight", weight);
	json_number(&show_json, "cap", cap);
	json_end(&show_json);
	free(name);
}

/* One pool, and those of the domains that are in it. */
static int show_pool(struct xl *xl, const struct pv_pool *p,
		     const struct xen_domctl_getdomaininfo *list, int n, bool json)
{
	uint32_t us;
	char *name;
	int i, rc = 0;

	if (json) {
		rc = pv_rate_limit(xl->pv, p->id, &us);
		if (rc)
			return xl_error("cannot ask for the scheduler's parameters: %s",
					strerror(-rc));
		name = pool_name(xl, p->id);
		json_object(&show_json, NULL);
		json_number(&show_json, "cpupool_id", p->id);
		json_text(&show_json, "cpupool", name);
		json_number(&show_json, "ratelimit_us", us);
		json_array(&show_json, "domains");
		free(name);
	} else if (pool_line(xl, p)) {
		return -1;
	} else {
		header();
	}
	for (i = 0; i < n; i++) {
		if (list[i].cpupool != p->id)
			continue;
		if (json)
			domain_json(xl, &list[i]);
		else
			domain_line(xl, &list[i]);
	}
	if (json) {
		json_end(&show_json);
		json_end(&show_json);
	}
	return 0;
}

/* All of them, or @only; of domains all, or the one of @domid (NULL: all). */
static int show_pools(struct xl *xl, const struct pv_pool *only, const uint32_t *domid, bool json)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	struct pv_pool *all = NULL;
	int n = 0, pools = only ? 1 : pools_all(xl, &all), i, rc = 0;

	if (pools < 0)
		return -1;
	n = domid ? 1 : pv_domain_list(xl->pv, &list);
	if (domid) {
		list = calloc(1, sizeof(*list));
		if (!list)
			abort();
		if (pv_domain_info(xl->pv, *domid, list))
			n = 0;
	}
	if (n < 0)
		rc = xl_error("cannot list the domains: %s", strerror(-n));
	if (json) {
		json_init(&show_json, stdout, 1);
		json_array(&show_json, NULL);
	}
	for (i = 0; i < pools && !rc; i++)
		if (!domid || (n && list->cpupool == all[i].id))
			rc = show_pool(xl, only ? only : &all[i], list, n, json);
	if (json)
		json_end(&show_json);
	free(list);
	free(all);
	return rc;
}

/* A guest's lock is held, so that its number is not another's. */
static int set_share(struct xl *xl, uint32_t domid, const struct sched_options *o)
{
	struct xen_domctl_getdomaininfo info;
	uint16_t weight = 0, cap = 0;
	int rc;

	if (pv_domain_info(xl->pv, domid, &info) || pv_sched_share(xl->pv, domid, &weight, &cap))
		return xl_error("domain %u has just gone", domid);
	if (o->cap > (long)domain_vcpus(&info) * 100)
		return xl_error("Cpu cap out of range, valid range is from 0 to %u for specified "
				"number of vcpus",
				domain_vcpus(&info) * 100);
	rc = pv_sched_set_share(xl->pv, domid, o->weight > 0 ? o->weight : weight,
				o->cap >= 0 ? o->cap : cap);
	return rc ? xl_error("the hypervisor does not set them for '%s': %s", o->domain,
			     strerror(-rc)) :
		    0;
}

static int one_domain(struct xl *xl, const struct sched_options *o)
{
	struct xen_domctl_getdomaininfo info;
	uint32_t domid;
	int lock, rc;

	if (domain_find(xl, o->domain, &domid))
		return -1;
	if (o->json)
		return show_pools(xl, NULL, &domid, true);
	if (o->weight < 0 && o->cap < 0) {
		if (pv_domain_info(xl->pv, domid, &info))
			return xl_error("domain %u has just gone", domid);
		header();
		domain_line(xl, &info);
		return 0;
	}
	if (domain_lock_any(xl, o->domain, "change", &domid, &lock))
		return -1;
	rc = set_share(xl, domid, o);
	xl_unlock_domain(lock, domid);
	return rc;
}

/* -s: of Pool-0 unless another one is named. */
static int parameters(struct xl *xl, const struct sched_options *o, const struct pv_pool *p)
{
	int rc;

	if (o->json)
		return show_pools(xl, p, NULL, true);
	if (o->rate < 0)
		return pool_line(xl, p);
	rc = pv_set_rate_limit(xl->pv, p->id, o->rate);
	return rc ? xl_error("the hypervisor does not set the rate limit: %s", strerror(-rc)) : 0;
}

static int sched_credit2(struct xl *xl, const struct sched_options *o)
{
	const char *name = o->pool ? o->pool : "0";
	struct pv_pool p;

	if (o->domain)
		return one_domain(xl, o);
	if (!o->pool && !o->params)
		return show_pools(xl, NULL, NULL, o->json);
	if (!pool_named(xl, name, &p))
		return xl_error("unknown cpupool '%s'; xl cpupool-list shows those that there are",
				name);
	return o->params ? parameters(xl, o, &p) : show_pools(xl, &p, NULL, o->json);
}

int cmd_sched_credit2(int argc, char **argv)
{
	struct sched_options o = { .weight = -1, .cap = -1, .rate = -1 };
	int rc = sched_options(argc, argv, &o);
	struct xl xl;

	if (rc)
		return rc - 1;
	if (check_options(&o))
		return 1;
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	rc = sched_credit2(&xl, &o);
	xl_close(&xl);
	return rc ? 1 : 0;
}

/* --- vcpu-pin -------------------------------------------------------------------------------- */

struct pin {
	const char *domain, *vcpu;
	struct cpus hard, soft;
	bool has_hard, has_soft;
};

/* "-": as it is. */
static int read_set(const char *what, const char *text, struct cpus *c, bool *given)
{
	const char *wrong;

	*given = text && strcmp(text, "-") != 0;
	if (!*given)
		return 0;
	wrong = cpus_parse(text, c);
	return wrong ? xl_error("%s affinity: '%s' %s", what, text, wrong) : 0;
}

static int fit(struct xl *xl, struct pin *p)
{
	struct xen_sysctl_physinfo info;
	char *wrong = NULL;
	int rc = pv_physinfo(xl->pv, &info);

	if (rc)
		return xl_error("cannot ask for the machine: %s", strerror(-rc));
	if (p->has_hard)
		wrong = cpus_fit(&p->hard, info.nr_cpus);
	if (!wrong && p->has_soft)
		wrong = cpus_fit(&p->soft, info.nr_cpus);
	if (wrong)
		rc = xl_error("%s", wrong);
	free(wrong);
	return rc;
}

static int pin_one(struct xl *xl, const struct pin *p, uint32_t domid, uint32_t vcpu)
{
	uint64_t hard = p->hard.mask, soft = p->soft.mask, now_hard, now_soft;
	int rc = pv_vcpu_set_affinity(xl->pv, domid, vcpu, p->has_hard ? &hard : NULL,
				      p->has_soft ? &soft : NULL);

	if (rc)
		return xl_error("Could not set affinity for vcpu `%u': %s", vcpu, strerror(-rc));
	if (!pv_vcpu_affinity(xl->pv, domid, vcpu, &now_hard, &now_soft) && !(now_hard & now_soft))
		fprintf(stderr,
			"xl: warning: vCPU %u may use none of the CPUs that it prefers: its soft "
			"affinity has no effect\n",
			vcpu);
	return 0;
}

/* A guest's lock is held. */
static int pin_vcpus(struct xl *xl, const struct pin *p, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	unsigned long from = 0, to, i;
	struct pv_pool pool;
	char *wrong;
	int rc = 0;

	if (pv_domain_info(xl->pv, domid, &info))
		return xl_error("domain %u has just gone", domid);
	if (p->has_hard && !pv_pool_info(xl->pv, info.cpupool, &pool) &&
	    !(p->hard.mask & pool.cpus)) {
		wrong = pool_lacks(&pool);
		rc = xl_error("hard affinity: %s", wrong);
		free(wrong);
		return rc;
	}
	to = domain_vcpus(&info);
	if (strcmp(p->vcpu, "all")) {
		from = strtoul(p->vcpu, NULL, 10);
		if (from >= to)
			return xl_error("'%s' has no vCPU %s, only 0 to %lu", p->domain, p->vcpu,
					to - 1);
		to = from + 1;
	}
	for (i = from; i < to && !rc; i++)
		rc = pin_one(xl, p, domid, i);
	return rc;
}

static int pin_domain(struct xl *xl, struct pin *p)
{
	uint32_t domid;
	int lock, rc;

	if (fit(xl, p) || domain_lock_any(xl, p->domain, "change", &domid, &lock))
		return -1;
	rc = pin_vcpus(xl, p, domid);
	xl_unlock_domain(lock, domid);
	return rc;
}

int cmd_vcpu_pin(int argc, char **argv)
{
	struct pin p = { 0 };
	struct xl xl;
	int rc = 0, c;

	/* -f undoes what a guest's kernel has bound itself: here none can. */
	while ((c = command_option(argc, argv, "f", &rc)) != -1)
		if (c == '?')
			return rc;
	if (argc - optind < 3 || argc - optind > 4)
		return command_usage("vcpu-pin", false);
	p.domain = argv[optind];
	p.vcpu = argv[optind + 1];
	if (strcmp(p.vcpu, "all") &&
	    (!*p.vcpu || strspn(p.vcpu, "0123456789") != strlen(p.vcpu) || strlen(p.vcpu) > 9)) {
		xl_error("Invalid argument %s as VCPU: a number, or all", p.vcpu);
		return 1;
	}
	if (read_set("hard", argv[optind + 2], &p.hard, &p.has_hard) ||
	    read_set("soft", argc - optind > 3 ? argv[optind + 3] : NULL, &p.soft, &p.has_soft))
		return 1;
	if (!p.has_hard && !p.has_soft) {
		xl_error("neither affinity is to be changed: '-' leaves one as it is, not both");
		return 1;
	}
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	rc = pin_domain(&xl, &p);
	xl_close(&xl);
	return rc ? 1 : 0;
}
