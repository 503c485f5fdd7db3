// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl restore: a guest goes on from a file of xl save.
 * Owns that a guest goes on from it whole, or is not there.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "restoring.h"

struct options {
	bool paused, alone;
	const char *config, *file;
};

static int parse_options(int argc, char **argv, struct options *o)
{
	int rc = 0, c;

	while ((c = command_option(argc, argv, "pe", &rc)) != -1) {
		if (c == '?')
			return rc + 1;
		o->paused |= c == 'p';
		o->alone |= c == 'e';
	}
	if (argc - optind < 1 || argc - optind > 2)
		return command_usage("restore", false) + 1;
	o->file = argv[argc - 1];
	if (argc - optind == 2)
		o->config = argv[optind];
	return 0;
}

int cmd_restore(int argc, char **argv)
{
	struct options o = { 0 };
	int rc = parse_options(argc, argv, &o);
	struct xl_config cfg;
	struct saved s;
	struct xl xl;

	if (rc)
		return rc - 1;
	if (saved_open(&s, o.file)) {
		saved_close(&s);
		return 1;
	}
	rc = restoring_config(&cfg, &s, o.config);
	if (!rc && !xl_open(&xl)) {
		xl_catch_signals();
		signal(SIGPIPE, SIG_IGN);
		rc = restoring_run(&xl, &cfg, &s, o.paused, o.alone);
		xl_close(&xl);
	} else {
		rc = 1;
	}
	config_free(&cfg);
	saved_close(&s);
	return rc ? 1 : 0;
}
