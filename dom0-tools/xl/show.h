/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the verbs that list something share: the domains asked for, in columns or as JSON.
 */
#ifndef XL_SHOW_H
#define XL_SHOW_H

#include "json.h"
#include "xl.h"

typedef int (*show_fn)(struct xl *xl, const struct xen_domctl_getdomaininfo *info);

struct table {
	const char *letters; /* options for command_option() beside --json; @option gets each */
	void (*option)(int letter);
	const char *header;
	bool guests_only; /* where none is named */
	int min; /* so many domains must be named */
	show_fn line; /* in columns */
	show_fn json; /* the members of its object in the array; NULL: there is no JSON of it */
};

/* Where the JSON goes. */
extern struct json show_json;

/* The whole verb: the exit status. */
int show_table(int argc, char **argv, const struct table *t);
/* Shows the domains named from argv[optind] on, or all; the exit status. */
int show_domains(struct xl *xl, int argc, char **argv, bool guests_only, show_fn show);
/* The same as an array of objects, with "domid" and "name" in front of what @show writes. */
int show_domains_json(struct xl *xl, int argc, char **argv, bool guests_only, show_fn show);
/* For columns; the caller frees. */
char *show_name(struct xl *xl, uint32_t domid);

/* What list -l shows of a guest's channels (cmd_channel.c): nothing of one that has none. */
void channels_long(struct xl *xl, struct json *j, uint32_t domid);

#endif /* XL_SHOW_H */
