// SPDX-License-Identifier: BSD-2-Clause
/*
 * Gathering what the host does at one moment (stats.h).
 * Owns that everything that can go while one looks may go: domains, vCPUs, devices, xenstored.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pools.h"
#include "stats.h"

#include <xen/sched.h>
#include <xen/version.h>

/* A xenstored that does not answer makes a screen wait so long, and is left alone for a while then. */
#ifndef STORE_MS
#define STORE_MS 2000
#define STORE_RETRY_MS 10000
#endif
#define NAME_UNKNOWN "(null)"

/* --- the connections ------------------------------------------------------------------------- */

/* Without messages: a screen has no place for them, and a server says by a figure what is away. */
static void open_store(struct stats_source *s)
{
	if (s->xl.xs || xl_now() < s->retry)
		return;
	s->retry = xl_now() + STORE_RETRY_MS;
	s->xl.xs = xs_open(XS_OPEN_SOCKETONLY);
	if (s->xl.xs)
		xs_patience(s->xl.xs, STORE_MS, &xl_interrupted, NULL);
}

static void close_store(struct stats_source *s)
{
	if (s->xl.xs)
		xs_close(s->xl.xs);
	s->xl.xs = NULL;
	s->retry = xl_now() + STORE_RETRY_MS;
}

int stats_open(struct stats_source *s)
{
	struct pv_err err = { "" };

	memset(s, 0, sizeof(*s));
	if (pv_open(&s->xl.pv, &err))
		return xl_error("%s", err.text);
	return 0;
}

void stats_close(struct stats_source *s)
{
	close_store(s);
	pv_close(s->xl.pv);
	s->xl.pv = NULL;
}

/* --- the machine ----------------------------------------------------------------------------- */

static int gather_machine(struct pv *pv, struct stats *st)
{
	struct xen_sysctl_physinfo p;
	xen_extraversion_t extra = "";
	int rc = pv_physinfo(pv, &p);
	long v;

	if (rc)
		return xl_error("cannot ask for the machine: %s", strerror(-rc));
	st->cpus = p.nr_cpus;
	st->cpu_khz = p.cpu_khz;
	st->memory = p.total_pages * PV_PAGE_SIZE;
	st->free = p.free_pages * PV_PAGE_SIZE;
	st->scrub = p.scrub_pages * PV_PAGE_SIZE;
	st->claimed = p.outstanding_pages * PV_PAGE_SIZE;
	if (pv_sched_id(pv, &st->scheduler))
		st->scheduler = ~0u;
	v = pv_version(pv, XENVER_version, NULL, 0);
	pv_version(pv, XENVER_extraversion, extra, sizeof(extra) - 1);
	if (v > 0)
		snprintf(st->version, sizeof(st->version), "%ld.%ld%s", v >> 16, v & 0xffff, extra);
	st->idle_ns = calloc(st->cpus + 1, sizeof(*st->idle_ns));
	if (!st->idle_ns)
		abort();
	if (pv_cpu_idle(pv, st->idle_ns, st->cpus) < 0) {
		free(st->idle_ns);
		st->idle_ns = NULL;
	}
	return 0;
}

const char *stats_scheduler(uint32_t id)
{
	switch (id) {
	case XEN_SCHEDULER_CREDIT:
		return "credit";
	case XEN_SCHEDULER_CREDIT2:
		return "credit2";
	case XEN_SCHEDULER_RTDS:
		return "rtds";
	case XEN_SCHEDULER_NULL:
		return "null";
	}
	return NULL;
}

/* --- domains --------------------------------------------------------------------------------- */

static void gather_vcpus(struct pv *pv, struct stats_domain *d, uint32_t n)
{
	struct xen_domctl_getvcpuinfo info;
	uint32_t i;

	d->vcpu = calloc(n + 1, sizeof(*d->vcpu));
	if (!d->vcpu)
		abort();
	for (i = 0; i < n; i++) {
		struct stats_vcpu *v = &d->vcpu[d->nr_vcpus];

		if (pv_vcpu_info(pv, d->domid, i, &info))
			continue;
		v->id = i;
		v->hart = info.cpu;
		v->online = info.online;
		v->running = info.running;
		v->blocked = info.blocked;
		v->cpu_ns = info.cpu_time;
		v->has_steal = !pv_vcpu_steal(pv, d->domid, i, &v->steal_ns);
		d->nr_vcpus++;
	}
}

static void fill(struct stats_domain *d, const struct xen_domctl_getdomaininfo *info)
{
	d->domid = info->domain;
	d->ssid = info->ssidref;
	memcpy(d->uuid, info->handle, sizeof(d->uuid));
	d->flags = info->flags;
	d->reason = domain_reason(info);
	d->cpu_ns = info->cpu_time;
	d->memory = pv_pages(info) * PV_PAGE_SIZE;
	d->max_memory = info->max_pages < ~0ULL / PV_PAGE_SIZE ? info->max_pages * PV_PAGE_SIZE :
								 ~0ULL;
	d->vcpus_online = info->nr_online_vcpus;
}

static int gather_domains(struct pv *pv, unsigned int what, struct stats *st)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int n = pv_domain_list(pv, &list), i;

	if (n < 0)
		return xl_error("cannot list the domains: %s", strerror(-n));
	st->domain = calloc(n + 1, sizeof(*st->domain));
	if (!st->domain)
		abort();
	for (i = 0; i < n; i++) {
		fill(&st->domain[i], &list[i]);
		if (what & STATS_VCPUS)
			gather_vcpus(pv, &st->domain[i], domain_vcpus(&list[i]));
	}
	st->nr = n;
	free(list);
	return 0;
}

static int by_domid(const void *a, const void *b)
{
	const struct stats_domain *x = a, *y = b;

	return x->domid < y->domid ? -1 : x->domid > y->domid;
}

const struct stats_domain *stats_find(const struct stats *st, uint32_t domid)
{
	struct stats_domain key = { .domid = domid };

	return bsearch(&key, st->domain, st->nr, sizeof(key), by_domid);
}

bool stats_steal(const struct stats_domain *d, uint64_t *ns)
{
	uint32_t i;

	*ns = 0;
	for (i = 0; i < d->nr_vcpus; i++) {
		if (!d->vcpu[i].has_steal)
			return false;
		*ns += d->vcpu[i].steal_ns;
	}
	return d->nr_vcpus;
}

/* --- xenstored ------------------------------------------------------------------------------- */

/* The number behind @word, or 0. */
static uint64_t after(const char *text, const char *word)
{
	const char *p = text ? strstr(text, word) : NULL;

	return p ? strtoull(p + strlen(word), NULL, 10) : 0;
}

/* "nodes            :      123 (max ..." */
static uint64_t quota(const char *text, const char *name)
{
	char word[24];

	snprintf(word, sizeof(word), "\n%-17s:", name);
	return after(text, word);
}

static void gather_store_domain(struct stats_source *s, struct stats_domain *d)
{
	char domid[12], *text;

	snprintf(domid, sizeof(domid), "%u", d->domid);
	text = xs_control_command(s->xl.xs, "quota", domid, strlen(domid) + 1);
	d->store.known = text != NULL;
	d->store.nodes = quota(text, "nodes");
	d->store.watches = quota(text, "watches");
	d->store.transactions = quota(text, "transactions");
	d->store.bytes = quota(text, "memory");
	free(text);
}

static void gather_store(struct stats_source *s, unsigned int what, struct stats *st)
{
	unsigned int i, len;
	char *text;
	long kib;

	open_store(s);
	if (!s->xl.xs)
		return;
	/* Does it answer at all? Then every answer below is waited for, and is there. */
	text = xs_read(s->xl.xs, XBT_NULL, "/", &len);
	if (!text) {
		close_store(s);
		return;
	}
	free(text);
	st->store = true;
	for (i = 0; i < st->nr; i++) {
		struct stats_domain *d = &st->domain[i];
		char *name = domain_name(&s->xl, d->domid);

		d->name = name ? pv_text_show(name, strlen(name)) : NULL;
		free(name);
		/* dom0's tools write it; nobody else can. */
		kib = st_read_long(&s->xl, "/local/domain/%u/memory/target", d->domid);
		d->target = kib > 0 ? (uint64_t)kib * 1024 : 0;
		if (what & STATS_STORE)
			gather_store_domain(s, d);
	}
	if (!(what & STATS_STORE))
		return;
	text = xs_control_command(s->xl.xs, "memreport", NULL, 0);
	st->store_nodes = after(text, "nodes ");
	st->store_bytes = after(text, " bytes ");
	st->store_watches = after(text, " watches ");
	free(text);
}

static void name_the_rest(struct stats *st)
{
	uint32_t i;

	for (i = 0; i < st->nr; i++)
		if (!st->domain[i].name)
			st->domain[i].name =
				xl_sprintf("%s", st->domain[i].domid ? NAME_UNKNOWN : "Domain-0");
}

/* --- devices --------------------------------------------------------------------------------- */

static void add_device(const char *kind, uint32_t domid, uint32_t devid, void *stats)
{
	struct stats_domain *d = (struct stats_domain *)stats_find(stats, domid);
	struct stats_vbd vbd;
	struct stats_vif vif;
	void *more;

	/* Began after the domains were asked, or ended before. */
	if (!d)
		return;
	if (!strcmp(kind, "vbd") && stats_read_vbd(domid, devid, &vbd)) {
		more = realloc(d->vbd, (d->nr_vbds + 1) * sizeof(vbd));
		if (!more)
			abort();
		d->vbd = more;
		d->vbd[d->nr_vbds++] = vbd;
	} else if (!strcmp(kind, "vif") && stats_read_vif(domid, devid, &vif)) {
		more = realloc(d->vif, (d->nr_vifs + 1) * sizeof(vif));
		if (!more)
			abort();
		d->vif = more;
		d->vif[d->nr_vifs++] = vif;
	}
}

/* Both kinds of device begin with the number. */
static int by_devid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void gather_devices(struct stats *st)
{
	uint32_t i;

	stats_each_device(add_device, st);
	for (i = 0; i < st->nr; i++) {
		struct stats_domain *d = &st->domain[i];

		if (d->nr_vbds)
			qsort(d->vbd, d->nr_vbds, sizeof(*d->vbd), by_devid);
		if (d->nr_vifs)
			qsort(d->vif, d->nr_vifs, sizeof(*d->vif), by_devid);
	}
}

/* --- CPU pools ------------------------------------------------------------------------------- */

static void gather_pools(struct stats_source *s, struct stats *st)
{
	uint32_t from = 0;
	struct pv_pool p;

	if (pv_pool_free_cpus(s->xl.pv, &st->free_cpus))
		st->free_cpus = 0;
	for (; !pv_pool_info(s->xl.pv, from, &p) && p.id >= from; from = p.id + 1) {
		struct stats_pool *more = realloc(st->pool, (st->nr_pools + 1) * sizeof(*st->pool));

		if (!more)
			abort();
		st->pool = more;
		st->pool[st->nr_pools].pool = p;
		st->pool[st->nr_pools++].name = st->store ? pool_shown(&s->xl, p.id) :
							    xl_sprintf("Pool-%u", p.id);
	}
}

/* --- all ------------------------------------------------------------------------------------- */

int stats_gather(struct stats_source *s, unsigned int what, struct stats *st)
{
	struct timespec ts;

	memset(st, 0, sizeof(*st));
	if (gather_machine(s->xl.pv, st) || gather_domains(s->xl.pv, what, st)) {
		stats_free(st);
		return -1;
	}
	clock_gettime(CLOCK_MONOTONIC, &ts);
	st->ns = ts.tv_sec * 1000000000LL + ts.tv_nsec;
	gather_devices(st);
	gather_store(s, what, st);
	name_the_rest(st);
	if (what & STATS_STORE)
		gather_pools(s, st);
	return 0;
}

void stats_free(struct stats *st)
{
	uint32_t i, j;

	for (i = 0; i < st->nr; i++) {
		struct stats_domain *d = &st->domain[i];

		for (j = 0; j < d->nr_vifs; j++)
			free(d->vif[j].interface);
		free(d->vif);
		free(d->vbd);
		free(d->vcpu);
		free(d->name);
	}
	for (i = 0; i < st->nr_pools; i++)
		free(st->pool[i].name);
	free(st->pool);
	free(st->domain);
	free(st->idle_ns);
	memset(st, 0, sizeof(*st));
}
