/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two snapshots as xentop's table: its columns, letters and widths, so that what cuts them works. To its end come what Xen's has
 * not: STEAL(%).
 */
#ifndef XL_TOP_H
#define XL_TOP_H

#include <stdbool.h>
#include <stdio.h>

#include "stats.h"

enum top_column {
	TOP_DOMID, /* not shown; the order without a choice */
	TOP_NAME,
	TOP_STATE,
	TOP_CPU,
	TOP_CPU_PERCENT,
	TOP_MEM,
	TOP_MEM_PERCENT,
	TOP_MAXMEM,
	TOP_MAXMEM_PERCENT,
	TOP_VCPUS,
	TOP_NETS,
	TOP_NETTX,
	TOP_NETRX,
	TOP_VBDS,
	TOP_VBD_OO,
	TOP_VBD_RD,
	TOP_VBD_WR,
	TOP_VBD_RSECT,
	TOP_VBD_WSECT,
	TOP_SSID,
	TOP_STEAL_PERCENT,
	TOP_COLUMNS
};

struct top_row {
	const struct stats_domain *d;
	char state[7];
	double value[TOP_COLUMNS]; /* of NAME and STATE nothing; < 0: not known */
};

struct top_table {
	const struct stats *now;
	struct top_row *row; /* in the order that was asked for */
	uint32_t nr;
	int name_width;
};

/* @prev: NULL the first time, when percentages are 0. It may be freed afterwards; @now is used as long as the table is. */
void top_make(struct top_table *t, const struct stats *prev, const struct stats *now,
	      enum top_column sort, bool full_names);
void top_free(struct top_table *t);

/* Lines without their ends, for free(). */
char *top_header(const struct top_table *t);
char *top_line(const struct top_table *t, const struct top_row *r);
/* Where in the header a column's word is. False: it is not shown. */
bool top_column_at(const struct top_table *t, enum top_column c, int *begin, int *end);
const char *top_column_name(enum top_column c);

/* Lines below a domain's. */
void top_vcpus(FILE *out, const struct stats_domain *d);
void top_networks(FILE *out, const struct stats_domain *d);
void top_vbds(FILE *out, const struct stats_domain *d);
/* The three lines above the table. */
void top_summary(FILE *out, const struct stats *st);

void top_csv_header(FILE *out);
void top_csv(FILE *out, const struct top_table *t);

#endif /* XL_TOP_H */
