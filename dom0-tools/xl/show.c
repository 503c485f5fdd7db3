// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the verbs that list something share.
 * Owns which domains are listed, and what a domain is called that has no name.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "show.h"

struct json show_json;

char *show_name(struct xl *xl, uint32_t domid)
{
	char *name = domain_name(xl, domid), *shown;

	if (!name)
		return xl_sprintf("(null)");
	shown = pv_text_show(name, strlen(name));
	free(name);
	return shown ? shown : xl_sprintf("(null)");
}

int show_domains(struct xl *xl, int argc, char **argv, bool guests_only, show_fn show)
{
	struct xen_domctl_getdomaininfo *list = NULL, info;
	int n, i, failed = 0;
	uint32_t domid;

	if (optind == argc) {
		n = pv_domain_list(xl->pv, &list);
		if (n < 0)
			return xl_error("cannot list the domains: %s", strerror(-n)), 1;
		for (i = 0; i < n; i++)
			if ((!guests_only || list[i].domain) && show(xl, &list[i]))
				failed = 1;
		free(list);
		return failed;
	}
	for (; optind < argc; optind++) {
		if (domain_find(xl, argv[optind], &domid)) {
			failed = 1;
		} else if (pv_domain_info(xl->pv, domid, &info)) {
			xl_error("domain %u has just gone", domid);
			failed = 1;
		} else if (show(xl, &info)) {
			failed = 1;
		}
	}
	return failed;
}

static show_fn members;

static int one_object(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = domain_name(xl, info->domain);
	int rc;

	json_object(&show_json, NULL);
	json_number(&show_json, "domid", info->domain);
	json_text(&show_json, "name", name);
	rc = members(xl, info);
	json_end(&show_json);
	free(name);
	return rc;
}

int show_domains_json(struct xl *xl, int argc, char **argv, bool guests_only, show_fn show)
{
	int rc;

	members = show;
	json_init(&show_json, stdout, 1);
	json_array(&show_json, NULL);
	rc = show_domains(xl, argc, argv, guests_only, one_object);
	json_end(&show_json);
	return rc;
}

int show_table(int argc, char **argv, const struct table *t)
{
	bool json = false;
	char letters[16];
	struct xl xl;
	int rc = 0, c;

	snprintf(letters, sizeof(letters), "%s%s", t->letters ? t->letters : "",
		 t->json ? "J" : "");
	while ((c = command_option(argc, argv, letters, &rc)) != -1) {
		if (c == '?')
			return rc;
		if (c == 'J')
			json = true;
		else
			t->option(c);
	}
	if (argc - optind < t->min)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	if (json) {
		rc = show_domains_json(&xl, argc, argv, t->guests_only, t->json);
	} else {
		printf("%s\n", t->header);
		rc = show_domains(&xl, argc, argv, t->guests_only, t->line);
	}
	xl_close(&xl);
	return rc;
}
