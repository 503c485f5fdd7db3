/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot as Prometheus's text exposition format, version 0.0.4, and the server that gives it out.
 */
#ifndef XL_METRICS_H
#define XL_METRICS_H

#include <stdbool.h>
#include <stdio.h>

#include "stats.h"

/* Gather with STATS_VCPUS | STATS_STORE. */
void metrics_print(FILE *out, const struct stats *st);
/* A label's value with its escapes; without quotes. */
void metrics_label(FILE *out, const char *value);

/*
 * Serves GET /metrics at [ADDR:]PORT until a signal. @any: also at addresses that others can reach. Returns the exit
 * status.
 */
int metrics_serve(struct stats_source *s, const char *where, bool any);
/* The snapshot as text; malloc'd. NULL after a message. */
char *metrics_text(struct stats_source *s, size_t *len);

#endif /* XL_METRICS_H */
