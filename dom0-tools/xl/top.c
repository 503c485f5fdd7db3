// SPDX-License-Identifier: BSD-2-Clause
/*
 * xentop's table from two snapshots (top.h).
 * Owns what a percentage means: of one hart, over the time between the snapshots, and only for a domain that is in both.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jsonl.h"
#include "top.h"

#include <xen/sched.h>

#define KIB 1024
#define NAME_WIDTH 10
#define NAME_WIDTH_MAX 64

/* clang-format off */
static const struct {
	const char *word;
	int width;
	bool percent;
} columns[TOP_COLUMNS] = {
	[TOP_DOMID] = { "DOMID", 0, false },
	[TOP_NAME] = { "NAME", NAME_WIDTH, false },
	[TOP_STATE] = { "STATE", 6, false },
	[TOP_CPU] = { "CPU(sec)", 10, false },
	[TOP_CPU_PERCENT] = { "CPU(%)", 6, true },
	[TOP_MEM] = { "MEM(k)", 10, false },
	[TOP_MEM_PERCENT] = { "MEM(%)", 6, true },
	[TOP_MAXMEM] = { "MAXMEM(k)", 10, false },
	[TOP_MAXMEM_PERCENT] = { "MAXMEM(%)", 9, true },
	[TOP_VCPUS] = { "VCPUS", 5, false },
	[TOP_NETS] = { "NETS", 4, false },
	[TOP_NETTX] = { "NETTX(k)", 8, false },
	[TOP_NETRX] = { "NETRX(k)", 8, false },
	[TOP_VBDS] = { "VBDS", 4, false },
	[TOP_VBD_OO] = { "VBD_OO", 8, false },
	[TOP_VBD_RD] = { "VBD_RD", 8, false },
	[TOP_VBD_WR] = { "VBD_WR", 8, false },
	[TOP_VBD_RSECT] = { "VBD_RSECT", 10, false },
	[TOP_VBD_WSECT] = { "VBD_WSECT", 10, false },
	[TOP_SSID] = { "SSID", 4, false },
	[TOP_STEAL_PERCENT] = { "STEAL(%)", 8, true },
};
/* clang-format on */

const char *top_column_name(enum top_column c)
{
	return columns[c].word;
}

/* --- making the table ------------------------------------------------------------------------ */

static void state_letters(const struct stats_domain *d, char s[7])
{
	bool crashed = d->flags & XEN_DOMINF_shutdown && d->reason == SHUTDOWN_crash;

	s[0] = d->flags & XEN_DOMINF_dying ? 'd' : '-';
	s[1] = d->flags & XEN_DOMINF_shutdown ? 's' : '-';
	s[2] = d->flags & XEN_DOMINF_blocked ? 'b' : '-';
	s[3] = crashed ? 'c' : '-';
	s[4] = d->flags & XEN_DOMINF_paused ? 'p' : '-';
	s[5] = d->flags & XEN_DOMINF_running ? 'r' : '-';
	s[6] = '\0';
}

static double percent(double part, double whole)
{
	return whole > 0 && part > 0 ? part * 100 / whole : 0;
}

/* The same domain before; a number may have been given again. */
static const struct stats_domain *before(const struct stats *prev, const struct stats_domain *d)
{
	const struct stats_domain *p = prev ? stats_find(prev, d->domid) : NULL;

	return p && !memcmp(p->uuid, d->uuid, sizeof(p->uuid)) ? p : NULL;
}

static void fill_times(struct top_row *r, const struct stats *prev, const struct stats *now)
{
	const struct stats_domain *p = before(prev, r->d);
	double ns = prev ? now->ns - prev->ns : 0;
	uint64_t steal, stolen;

	r->value[TOP_CPU] = r->d->cpu_ns / 1000000000;
	if (p && r->d->cpu_ns > p->cpu_ns)
		r->value[TOP_CPU_PERCENT] = percent(r->d->cpu_ns - p->cpu_ns, ns);
	if (!stats_steal(r->d, &steal))
		r->value[TOP_STEAL_PERCENT] = -1;
	else if (p && stats_steal(p, &stolen) && steal > stolen)
		r->value[TOP_STEAL_PERCENT] = percent(steal - stolen, ns);
}

static void fill_devices(struct top_row *r)
{
	const struct stats_domain *d = r->d;
	double *v = r->value;
	uint32_t i;

	v[TOP_NETS] = d->nr_vifs;
	for (i = 0; i < d->nr_vifs; i++) {
		v[TOP_NETTX] += d->vif[i].sent_bytes / KIB;
		v[TOP_NETRX] += d->vif[i].received_bytes / KIB;
	}
	v[TOP_VBDS] = d->nr_vbds;
	for (i = 0; i < d->nr_vbds; i++) {
		v[TOP_VBD_OO] += d->vbd[i].no_room;
		v[TOP_VBD_RD] += d->vbd[i].reads;
		v[TOP_VBD_WR] += d->vbd[i].writes;
		v[TOP_VBD_RSECT] += d->vbd[i].read_sectors;
		v[TOP_VBD_WSECT] += d->vbd[i].written_sectors;
	}
}

static void fill_row(struct top_row *r, const struct stats *prev, const struct stats *now)
{
	const struct stats_domain *d = r->d;
	bool limit = d->max_memory != UINT64_MAX;
	double *v = r->value;

	state_letters(d, r->state);
	v[TOP_DOMID] = d->domid;
	v[TOP_MEM] = d->memory / KIB;
	v[TOP_MEM_PERCENT] = percent(d->memory, now->memory);
	v[TOP_MAXMEM] = limit ? (double)(d->max_memory / KIB) : -1;
	v[TOP_MAXMEM_PERCENT] = limit ? percent(d->max_memory, now->memory) : -1;
	v[TOP_VCPUS] = d->vcpus_online;
	v[TOP_SSID] = d->ssid;
	fill_times(r, prev, now);
	fill_devices(r);
}

/* The highest first, but names and numbers of domains as one counts; of equals the lower number. */
static int compare(const void *a, const void *b, void *sort)
{
	const struct top_row *x = a, *y = b;
	enum top_column c = *(enum top_column *)sort;
	int n = 0;

	if (c == TOP_NAME)
		n = strcmp(x->d->name, y->d->name);
	else if (c == TOP_STATE)
		n = strcmp(y->state, x->state);
	else if (c != TOP_DOMID)
		n = (x->value[c] < y->value[c]) - (x->value[c] > y->value[c]);
	return n ? n : x->d->domid < y->d->domid ? -1 : x->d->domid > y->d->domid;
}

void top_make(struct top_table *t, const struct stats *prev, const struct stats *now,
	      enum top_column sort, bool full_names)
{
	uint32_t i;

	t->now = now;
	t->nr = now->nr;
	t->name_width = NAME_WIDTH;
	t->row = calloc(now->nr + 1, sizeof(*t->row));
	if (!t->row)
		abort();
	for (i = 0; i < now->nr; i++) {
		int len = strlen(now->domain[i].name);

		t->row[i].d = &now->domain[i];
		fill_row(&t->row[i], prev, now);
		if (full_names && len > t->name_width)
			t->name_width = len < NAME_WIDTH_MAX ? len : NAME_WIDTH_MAX;
	}
	qsort_r(t->row, t->nr, sizeof(*t->row), compare, &sort);
}

void top_free(struct top_table *t)
{
	free(t->row);
	t->row = NULL;
	t->nr = 0;
}

/* --- lines ----------------------------------------------------------------------------------- */

static int width_of(const struct top_table *t, int c)
{
	return c == TOP_NAME ? t->name_width : columns[c].width;
}

char *top_header(const struct top_table *t)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int c;

	if (!f)
		abort();
	for (c = TOP_NAME; c < TOP_COLUMNS; c++)
		fprintf(f, "%s%*s", c == TOP_NAME ? "" : " ", width_of(t, c), columns[c].word);
	fclose(f);
	return text;
}

bool top_column_at(const struct top_table *t, enum top_column column, int *begin, int *end)
{
	int c;

	*end = -1;
	for (c = TOP_NAME; c <= (int)column; c++)
		*end += 1 + width_of(t, c);
	*begin = *end - (int)strlen(columns[column].word);
	return column != TOP_DOMID;
}

char *top_line(const struct top_table *t, const struct top_row *r)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int c;

	if (!f)
		abort();
	fprintf(f, "%*.*s %6s", t->name_width, t->name_width, r->d->name, r->state);
	for (c = TOP_CPU; c < TOP_COLUMNS; c++) {
		if (r->value[c] >= 0)
			fprintf(f, " %*.*f", columns[c].width, columns[c].percent ? 1 : 0,
				r->value[c]);
		else
			fprintf(f, " %*s", columns[c].width, c == TOP_MAXMEM ? "no limit" : "n/a");
	}
	fclose(f);
	return text;
}

/* --- below and above ------------------------------------------------------------------------- */

#define VCPUS_A_LINE 4

void top_vcpus(FILE *out, const struct stats_domain *d)
{
	uint32_t i;

	for (i = 0; i < d->nr_vcpus; i++) {
		const struct stats_vcpu *v = &d->vcpu[i];

		if (i % VCPUS_A_LINE == 0)
			fputs(i ? "\n           " : "VCPUs(sec):", out);
		fprintf(out, " %3u: %9.1fs", v->id, v->cpu_ns / 1e9);
		if (v->has_steal)
			fprintf(out, " steal %8.1fs", v->steal_ns / 1e9);
	}
	if (d->nr_vcpus)
		fputc('\n', out);
}

void top_networks(FILE *out, const struct stats_domain *d)
{
	uint32_t i;

	for (i = 0; i < d->nr_vifs; i++) {
		const struct stats_vif *v = &d->vif[i];

		fprintf(out,
			"Net%-3u RX: %10llubytes %8llupkts %6lluerr %6lludrop  "
			"TX: %10llubytes %8llupkts %6lluerr %6lludrop\n",
			v->devid, (unsigned long long)v->received_bytes,
			(unsigned long long)v->received_packets,
			(unsigned long long)v->received_errors,
			(unsigned long long)v->received_dropped, (unsigned long long)v->sent_bytes,
			(unsigned long long)v->sent_packets, (unsigned long long)v->sent_errors,
			(unsigned long long)v->sent_dropped);
	}
}

void top_vbds(FILE *out, const struct stats_domain *d)
{
	uint32_t i;

	for (i = 0; i < d->nr_vbds; i++) {
		const struct stats_vbd *v = &d->vbd[i];

		/* The number is a Linux device's, as with Xen: major and minor. */
		fprintf(out,
			"VBD BlkBack %5u [%2x:%2x]  OO: %8llu   RD: %8llu   WR: %8llu  "
			"RSECT: %10llu  WSECT: %10llu\n",
			v->devid, v->devid >> 8 & 0xff, v->devid & 0xff,
			(unsigned long long)v->no_room, (unsigned long long)v->reads,
			(unsigned long long)v->writes, (unsigned long long)v->read_sectors,
			(unsigned long long)v->written_sectors);
	}
}

static unsigned int count(const struct stats *st, uint32_t flag)
{
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i < st->nr; i++)
		n += !!(st->domain[i].flags & flag);
	return n;
}

void top_summary(FILE *out, const struct stats *st)
{
	time_t now = time(NULL);
	unsigned int crashed = 0;
	char clock[16];
	struct tm tm;
	uint32_t i;

	for (i = 0; i < st->nr; i++)
		crashed += st->domain[i].flags & XEN_DOMINF_shutdown &&
			   st->domain[i].reason == SHUTDOWN_crash;
	strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
	fprintf(out, "xl top - %s   Pavise %s%s\n", clock, st->version,
		st->store ? "" : "   (xenstored does not answer: no names)");
	fprintf(out,
		"%u domains: %u running, %u blocked, %u paused, %u crashed, %u dying, %u "
		"shutdown\n",
		st->nr, count(st, XEN_DOMINF_running), count(st, XEN_DOMINF_blocked),
		count(st, XEN_DOMINF_paused), crashed, count(st, XEN_DOMINF_dying),
		count(st, XEN_DOMINF_shutdown));
	fprintf(out, "Mem: %lluk total, %lluk used, %lluk free    CPUs: %u @ %uMHz\n",
		(unsigned long long)(st->memory / KIB),
		(unsigned long long)((st->memory - st->free) / KIB),
		(unsigned long long)(st->free / KIB), st->cpus, st->cpu_khz / 1000);
}

/* --- CSV ------------------------------------------------------------------------------------- */

void top_csv_header(FILE *out)
{
	fputs("time,domid,name,uuid,state,cpu_seconds,cpu_percent,steal_seconds,steal_percent,"
	      "memory_bytes,memory_max_bytes,vcpus,nets,net_sent_bytes,net_received_bytes,vbds,"
	      "vbd_delayed,vbd_reads,vbd_writes,vbd_read_bytes,vbd_written_bytes\n",
	      out);
}

/* RFC 4180: in quotes, each quote twice. */
static void csv_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void csv_row(FILE *out, const struct top_row *r)
{
	const struct stats_domain *d = r->d;
	uint64_t sent = 0, received = 0, steal;
	uint32_t i;

	fprintf(out, ",%s,%.3f,%.1f,", r->state, d->cpu_ns / 1e9, r->value[TOP_CPU_PERCENT]);
	/* Nothing between the commas: not known. */
	if (stats_steal(d, &steal))
		fprintf(out, "%.3f,%.1f", steal / 1e9, r->value[TOP_STEAL_PERCENT]);
	else
		fputc(',', out);
	fprintf(out, ",%llu,", (unsigned long long)d->memory);
	if (d->max_memory != UINT64_MAX)
		fprintf(out, "%llu", (unsigned long long)d->max_memory);
	for (i = 0; i < d->nr_vifs; i++) {
		sent += d->vif[i].sent_bytes;
		received += d->vif[i].received_bytes;
	}
	fprintf(out, ",%u,%u,%llu,%llu,%u", d->vcpus_online, d->nr_vifs, (unsigned long long)sent,
		(unsigned long long)received, d->nr_vbds);
	fprintf(out, ",%.0f,%.0f,%.0f,%.0f,%.0f\n", r->value[TOP_VBD_OO], r->value[TOP_VBD_RD],
		r->value[TOP_VBD_WR], r->value[TOP_VBD_RSECT] * 512, r->value[TOP_VBD_WSECT] * 512);
}

void top_csv(FILE *out, const struct top_table *t)
{
	char now[JSON_TIME], uuid[37];
	uint32_t i;

	json_time(json_now(), now);
	for (i = 0; i < t->nr; i++) {
		uuid_format(t->row[i].d->uuid, uuid);
		fprintf(out, "%s,%u,", now, t->row[i].d->domid);
		csv_text(out, t->row[i].d->name);
		fprintf(out, ",%s", uuid);
		csv_row(out, &t->row[i]);
	}
}
