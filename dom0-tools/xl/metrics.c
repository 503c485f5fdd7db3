// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host's figures as Prometheus's text exposition.
 * Owns the names: base units, _total for what only grows. They are an interface: dashboards and alerts are written against them.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

#include <xen/sched.h>

#define SECTOR 512

void metrics_label(FILE *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			fputc('\\', out);
		if (*value == '\n')
			fputs("\\n", out);
		else
			fputc(*value, out);
	}
}

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP pavise_%s %s\n# TYPE pavise_%s %s\n", name, help, name, type);
}

static void one(FILE *out, const char *name, const char *type, const char *help, double value)
{
	family(out, name, type, help);
	fprintf(out, "pavise_%s %.17g\n", name, value);
}

/* A sample of a domain's; @more: further labels, each with its comma in front, or "". */
static void sample(FILE *out, const char *name, const struct stats_domain *d, const char *more,
		   double value)
{
	fprintf(out, "pavise_%s{domid=\"%u\",name=\"", name, d->domid);
	metrics_label(out, d->name);
	fprintf(out, "\"%s} %.17g\n", more, value);
}

/* --- the machine ----------------------------------------------------------------------------- */

static void print_machine(FILE *out, const struct stats *st)
{
	const char *scheduler = stats_scheduler(st->scheduler);
	uint32_t i;

	family(out, "info", "gauge", "The hypervisor's version and its scheduler.");
	fputs("pavise_info{version=\"", out);
	metrics_label(out, st->version);
	fprintf(out, "\",scheduler=\"%s\"} 1\n", scheduler ? scheduler : "unknown");
	one(out, "cpus", "gauge", "Harts that the hypervisor schedules on.", st->cpus);
	if (st->idle_ns) {
		family(out, "cpu_idle_seconds_total", "counter",
		       "Time that a hart had nothing to run.");
		for (i = 0; i < st->cpus; i++)
			fprintf(out, "pavise_cpu_idle_seconds_total{cpu=\"%u\"} %.17g\n", i,
				st->idle_ns[i] / 1e9);
	}
	one(out, "heap_size_bytes", "gauge", "Memory that the hypervisor manages.", st->memory);
	one(out, "heap_free_bytes", "gauge", "Memory that a new domain could get at once.",
	    st->free);
	one(out, "heap_scrub_bytes", "gauge", "Memory given back that has not been wiped yet.",
	    st->scrub);
	one(out, "heap_claimed_bytes", "gauge",
	    "Free memory that is kept for domains that are being made.", st->claimed);
	one(out, "domains", "gauge", "Domains that there are, dying ones included.", st->nr);
}

static void pool_sample(FILE *out, const char *name, const struct stats_pool *p, double value)
{
	fprintf(out, "pavise_%s{cpupool=\"", name);
	metrics_label(out, p->name);
	fprintf(out, "\"} %.17g\n", value);
}

static void print_pools(FILE *out, const struct stats *st)
{
	uint32_t i;

	family(out, "cpupool_cpus", "gauge", "CPUs that the CPU pool has.");
	for (i = 0; i < st->nr_pools; i++)
		pool_sample(out, "cpupool_cpus", &st->pool[i],
			    __builtin_popcountll(st->pool[i].pool.cpus));
	family(out, "cpupool_domains", "gauge", "Domains that are in the CPU pool.");
	for (i = 0; i < st->nr_pools; i++)
		pool_sample(out, "cpupool_domains", &st->pool[i], st->pool[i].pool.domains);
	one(out, "cpus_free", "gauge", "CPUs that are in no CPU pool.",
	    __builtin_popcountll(st->free_cpus));
}

static void print_store(FILE *out, const struct stats *st)
{
	one(out, "xenstored_up", "gauge", "Whether xenstored answers.", st->store);
	if (!st->store)
		return;
	one(out, "xenstored_nodes", "gauge", "Nodes in xenstore.", st->store_nodes);
	one(out, "xenstored_nodes_bytes", "gauge", "Memory that xenstore's nodes take.",
	    st->store_bytes);
	one(out, "xenstored_watches", "gauge", "Watches that are set in xenstore.",
	    st->store_watches);
}

/* --- domains: a family is printed for all of them at once ------------------------------------ */

struct domain_family {
	const char *name, *type, *help;
	/* False: not known of this one. */
	bool (*value)(const struct stats_domain *d, double *value);
};

#define VALUE(what, known, expr) \
	static bool what(const struct stats_domain *d, double *value) \
	{ \
		*value = (expr); \
		return (known); \
	}
VALUE(cpu_seconds, true, d->cpu_ns / 1e9)
VALUE(memory, true, d->memory)
VALUE(max_memory, d->max_memory != UINT64_MAX, d->max_memory)
VALUE(target, d->target != 0, d->target)
VALUE(online, true, d->vcpus_online)
VALUE(store_nodes, d->store.known, d->store.nodes)
VALUE(store_watches, d->store.known, d->store.watches)
VALUE(store_transactions, d->store.known, d->store.transactions)
VALUE(store_bytes, d->store.known, d->store.bytes)
#undef VALUE

static const struct domain_family domain_families[] = {
	{ "domain_cpu_seconds_total", "counter", "Time that the domain's vCPUs ran.", cpu_seconds },
	{ "domain_memory_bytes", "gauge", "Memory that the domain has.", memory },
	{ "domain_memory_max_bytes", "gauge", "Memory that the domain may have.", max_memory },
	{ "domain_memory_target_bytes", "gauge", "Memory that the domain is asked to have.",
	  target },
	{ "domain_vcpus_online", "gauge", "vCPUs that the domain has on.", online },
	{ "xenstored_domain_nodes", "gauge", "Nodes in xenstore that the domain owns.",
	  store_nodes },
	{ "xenstored_domain_watches", "gauge", "Watches that the domain has set.", store_watches },
	{ "xenstored_domain_transactions", "gauge", "Transactions that the domain has open.",
	  store_transactions },
	{ "xenstored_domain_memory_bytes", "gauge", "Memory that xenstored spends on the domain.",
	  store_bytes },
};

static void print_states(FILE *out, const struct stats *st)
{
	static const struct {
		const char *label;
		uint32_t flag;
	} states[] = {
		{ ",state=\"running\"", XEN_DOMINF_running },
		{ ",state=\"blocked\"", XEN_DOMINF_blocked },
		{ ",state=\"paused\"", XEN_DOMINF_paused },
		{ ",state=\"shutdown\"", XEN_DOMINF_shutdown },
		{ ",state=\"dying\"", XEN_DOMINF_dying },
	};
	uint32_t i;
	size_t j;

	family(out, "domain_info", "gauge", "What identifies the domain.");
	for (i = 0; i < st->nr; i++) {
		char uuid[37], label[48];

		uuid_format(st->domain[i].uuid, uuid);
		snprintf(label, sizeof(label), ",uuid=\"%s\"", uuid);
		sample(out, "domain_info", &st->domain[i], label, 1);
	}
	family(out, "domain_state", "gauge",
	       "1 for each state that the domain is in, 0 for the others.");
	for (i = 0; i < st->nr; i++) {
		const struct stats_domain *d = &st->domain[i];
		bool crashed = d->flags & XEN_DOMINF_shutdown && d->reason == SHUTDOWN_crash;

		for (j = 0; j < pv_container_size(states); j++)
			sample(out, "domain_state", d, states[j].label,
			       !!(d->flags & states[j].flag));
		sample(out, "domain_state", d, ",state=\"crashed\"", crashed);
	}
}

static void print_domains(FILE *out, const struct stats *st)
{
	uint32_t i;
	size_t j;

	print_states(out, st);
	for (j = 0; j < pv_container_size(domain_families); j++) {
		const struct domain_family *f = &domain_families[j];
		double value;

		/* Without xenstored its figures are not there, rather than 0. */
		family(out, f->name, f->type, f->help);
		for (i = 0; i < st->nr; i++)
			if (f->value(&st->domain[i], &value))
				sample(out, f->name, &st->domain[i], "", value);
	}
}

/* --- vCPUs and devices ----------------------------------------------------------------------- */

static void print_vcpus(FILE *out, const struct stats *st)
{
	static const struct {
		const char *name, *type, *help;
	} families[] = {
		{ "vcpu_seconds_total", "counter", "Time that the vCPU ran." },
		{ "vcpu_steal_seconds_total", "counter",
		  "Time that the vCPU could have run and waited for a hart." },
		{ "vcpu_online", "gauge", "Whether the domain has the vCPU on." },
	};
	uint32_t i, j;
	size_t f;

	for (f = 0; f < pv_container_size(families); f++) {
		family(out, families[f].name, families[f].type, families[f].help);
		for (i = 0; i < st->nr; i++) {
			for (j = 0; j < st->domain[i].nr_vcpus; j++) {
				const struct stats_vcpu *v = &st->domain[i].vcpu[j];
				const double value[] = { v->cpu_ns / 1e9, v->steal_ns / 1e9,
							 v->online };
				char label[32];

				snprintf(label, sizeof(label), ",vcpu=\"%u\"", v->id);
				if (f != 1 || v->has_steal)
					sample(out, families[f].name, &st->domain[i], label,
					       value[f]);
			}
		}
	}
}

/* A counter of a device: a uint64_t in its structure. */
struct device_family {
	const char *name, *help;
	size_t offset;
	unsigned int unit;
};

static uint64_t counter_of(const void *device, const struct device_family *f)
{
	return *(const uint64_t *)((const char *)device + f->offset) * f->unit;
}

static void print_vbds(FILE *out, const struct stats *st)
{
#define AT(member) offsetof(struct stats_vbd, member)
	static const struct device_family families[] = {
		{ "vbd_read_requests_total", "Read requests of a disk.", AT(reads), 1 },
		{ "vbd_write_requests_total", "Write requests of a disk.", AT(writes), 1 },
		{ "vbd_flush_requests_total", "Flush requests of a disk.", AT(flushes), 1 },
		{ "vbd_discard_requests_total", "Discard requests of a disk.", AT(discards), 1 },
		{ "vbd_delayed_requests_total",
		  "Requests of a disk that had to wait for room in the back end.", AT(no_room), 1 },
		{ "vbd_read_bytes_total", "Bytes that the domain read from a disk.",
		  AT(read_sectors), SECTOR },
		{ "vbd_written_bytes_total", "Bytes that the domain wrote to a disk.",
		  AT(written_sectors), SECTOR },
	};
#undef AT
	char label[32];
	uint32_t i, j;
	size_t f;

	for (f = 0; f < pv_container_size(families); f++) {
		family(out, families[f].name, "counter", families[f].help);
		for (i = 0; i < st->nr; i++) {
			for (j = 0; j < st->domain[i].nr_vbds; j++) {
				const struct stats_vbd *v = &st->domain[i].vbd[j];

				snprintf(label, sizeof(label), ",device=\"%u\"", v->devid);
				sample(out, families[f].name, &st->domain[i], label,
				       counter_of(v, &families[f]));
			}
		}
	}
}

/* The label of an interface; the caller frees. */
static char *vif_label(const struct stats_vif *v)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		abort();
	fprintf(f, ",device=\"%u\",interface=\"", v->devid);
	metrics_label(f, v->interface);
	fputc('"', f);
	fclose(f);
	return text;
}

static void print_vifs(FILE *out, const struct stats *st)
{
#define AT(member) offsetof(struct stats_vif, member)
	static const struct device_family families[] = {
		{ "vif_sent_bytes_total", "Bytes that the domain sent.", AT(sent_bytes), 1 },
		{ "vif_sent_packets_total", "Packets that the domain sent.", AT(sent_packets), 1 },
		{ "vif_sent_errors_total", "Bad packets that the domain sent.", AT(sent_errors),
		  1 },
		{ "vif_sent_dropped_total", "Packets that the domain sent and dom0 dropped.",
		  AT(sent_dropped), 1 },
		{ "vif_received_bytes_total", "Bytes that the domain received.", AT(received_bytes),
		  1 },
		{ "vif_received_packets_total", "Packets that the domain received.",
		  AT(received_packets), 1 },
		{ "vif_received_errors_total", "Packets that could not be given to the domain.",
		  AT(received_errors), 1 },
		{ "vif_received_dropped_total", "Packets that the domain did not take in time.",
		  AT(received_dropped), 1 },
	};
#undef AT
	uint32_t i, j;
	size_t f;

	for (f = 0; f < pv_container_size(families); f++) {
		family(out, families[f].name, "counter", families[f].help);
		for (i = 0; i < st->nr; i++) {
			for (j = 0; j < st->domain[i].nr_vifs; j++) {
				const struct stats_vif *v = &st->domain[i].vif[j];
				char *label = vif_label(v);

				sample(out, families[f].name, &st->domain[i], label,
				       counter_of(v, &families[f]));
				free(label);
			}
		}
	}
}

void metrics_print(FILE *out, const struct stats *st)
{
	print_machine(out, st);
	print_pools(out, st);
	print_store(out, st);
	print_domains(out, st);
	print_vcpus(out, st);
	print_vbds(out, st);
	print_vifs(out, st);
}
