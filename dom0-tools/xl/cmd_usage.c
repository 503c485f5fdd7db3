// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl usage: what guests use and have used, each life a line, the oldest first and the living last.
 * Owns the columns.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "jsonl.h"
#include "usage.h"

struct listing {
	bool json;
	char **who; /* names, numbers, UUIDs; NULL: all */
	int nr_who;
	unsigned long shown;
};

/* A guest's name can be another's later: all of them are meant. */
static bool is_meant(const struct listing *r, const struct usage *u)
{
	char domid[12];
	int i;

	snprintf(domid, sizeof(domid), "%u", u->domid);
	for (i = 0; i < r->nr_who; i++)
		if ((u->name && !strcmp(r->who[i], u->name)) || !strcmp(r->who[i], domid) ||
		    !strcasecmp(r->who[i], u->uuid))
			return true;
	return !r->nr_who;
}

static void print_table(const struct usage *u)
{
	double seconds = ((u->ended ? u->ended : json_now()) - u->created) / 1000.0;
	char created[JSON_TIME], *name = u->name ? pv_text_show(u->name, strlen(u->name)) : NULL;

	json_time(u->created, created);
	/* To the minute, and a clock that has been set meanwhile makes no one's life negative. */
	created[16] = '\0';
	printf("%-20s %5u %-16s %10.0f %-10s %10.1f %8.0f %10.0f %10.0f %10.0f %10.0f\n",
	       name ? name : "(null)", u->domid, created, seconds > 0 ? seconds : 0,
	       u->reason ? u->reason : "-", u->cpu_seconds,
	       seconds > 0 ? u->memory_byte_seconds / seconds / PV_MIB : 0,
	       u->disk_read_bytes / 1024, u->disk_written_bytes / 1024, u->net_sent_bytes / 1024,
	       u->net_received_bytes / 1024);
	free(name);
}

static void print(struct listing *r, const struct usage *u)
{
	char *line;

	if (!is_meant(r, u))
		return;
	r->shown++;
	if (!r->json) {
		print_table(u);
		return;
	}
	line = usage_json(u);
	printf("%s\n    %s", r->shown > 1 ? "," : "", line);
	free(line);
}

static void past(const char *line, void *ctx)
{
	struct usage u;

	if (usage_parse(line, &u)) {
		print(ctx, &u);
		usage_free(&u);
	}
}

static int living(struct xl *xl, struct listing *r)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int n = pv_domain_list(xl->pv, &list), i;
	struct usage u;

	if (n < 0)
		return xl_error("cannot list the domains: %s", strerror(-n));
	for (i = 0; i < n; i++) {
		if (usage_now(xl, list[i].domain, &u)) {
			print(r, &u);
			usage_free(&u);
		}
	}
	free(list);
	return 0;
}

static int list_all(struct listing *r)
{
	struct xl xl;
	int rc, i;

	if (xl_open(&xl))
		return 1;
	if (r->json)
		printf("[");
	else
		printf("%-20s %5s %-16s %10s %-10s %10s %8s %10s %10s %10s %10s\n", "Name", "ID",
		       "Created (UTC)", "Life(sec)", "End", "CPU(sec)", "MEM(M)", "DiskRd(k)",
		       "DiskWr(k)", "NetTx(k)", "NetRx(k)");
	jsonl_each(XL_ACCOUNTING, past, r);
	rc = living(&xl, r);
	if (r->json)
		printf("%s]\n", r->shown ? "\n" : "");
	xl_close(&xl);
	for (i = 0; i < r->nr_who && !r->shown; i++)
		rc = xl_error("'%s': no guest of this name, number or UUID is there or has been "
			      "(see " XL_ACCOUNTING ")",
			      r->who[i]);
	return rc ? 1 : 0;
}

int cmd_usage(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct listing r = { .json = false };
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'h' || c == '?')
			return command_usage("usage", c == 'h');
		r.json = true;
	}
	r.who = argv + optind;
	r.nr_who = argc - optind;
	return list_all(&r);
}
