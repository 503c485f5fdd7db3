// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl: the administrator's command.
 * Owns finding the verb, its options, and everything about usage and help; verbs.c has the table.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_server.h"
#include "words.h"
#include "xl.h"

const struct command *command_find(const char *name)
{
	const struct command *c;

	for (c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static void print_command(FILE *out, const struct command *c)
{
	fprintf(out, "Usage: xl [-v] %s %s\n\n%s.\n", c->name, c->args, c->summary);
	if (c->options)
		fprintf(out, "\nOptions:\n\n%s", c->options);
}

int command_usage(const char *name, bool asked)
{
	const struct command *c = command_find(name);

	if (c)
		print_command(asked ? stdout : stderr, c);
	return asked ? 0 : EXIT_USAGE;
}

int command_option(int argc, char **argv, const char *letters, int *rc)
{
	static const struct option longs[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "long", no_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "all", no_argument, NULL, 'a' },
		{ "wait", no_argument, NULL, 'w' },
		{ "clear", no_argument, NULL, 'c' },
		{ "fallback", no_argument, NULL, 'F' },
		{ "force", no_argument, NULL, 'f' },
		{ "ignore-host", no_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'J' },
		{ "context", no_argument, NULL, 'Z' },
		{ "cpupool", no_argument, NULL, 'c' },
		{ "numa", no_argument, NULL, 'n' },
		{ "cpus", no_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	char spec[32];
	int c, n;

	/* J is --json, which has no short form; it stands last. */
	n = strcspn(letters, "J");
	snprintf(spec, sizeof(spec), "%.*sh", n, letters);
	c = getopt_long(argc, argv, spec, longs, NULL);
	if (c == -1)
		return -1;
	/* A long option that this command does not have. */
	if (c != 'h' && c != '?' && !strchr(letters, c)) {
		xl_error("%s: unrecognised option", argv[0]);
		c = '?';
	}
	if (c == 'h' || c == '?') {
		*rc = command_usage(argv[0], c == 'h');
		return '?';
	}
	return c;
}

static void print_list(FILE *out)
{
	const struct command *c;

	fprintf(out, "Usage xl [-v] <subcommand> [args]\n\nxl full list of subcommands:\n\n");
	for (c = commands; c->name; c++)
		fprintf(out, " %-19s %s\n", c->name, c->summary);
	fprintf(out, "\n<Domain> can either be the Domain Name or Id.\n"
		     "For more help on 'xl' see xl(1); for config files see xl.cfg(5).\n");
}

static int no_command(const char *name)
{
	const struct command *c;
	const char *near = NULL, *why_not;

	for (c = commands; c->name; c++)
		words_nearest(name, c->name, &near);
	if (words_xen_verb(name, &why_not))
		xl_error("'%s' is Xen's; %s%s. 'xl help' lists what there is", name,
			 why_not ? "there is no such command here: " : "it is not in this version",
			 why_not ? why_not : " yet");
	else if (near)
		xl_error("there is no command '%s'; did you mean '%s'? 'xl help' lists them", name,
			 near);
	else
		xl_error("there is no command '%s'; 'xl help' lists them", name);
	return EXIT_FAILURE;
}

int cmd_help(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		print_list(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return command_usage("help", true);
	c = command_find(argv[1]);
	if (!c)
		return no_command(argv[1]);
	print_command(stdout, c);
	return 0;
}

int main(int argc, char **argv)
{
	const struct command *c;
	int i = 1;

	/* A hotplug script is a link to this program. */
	if (argc > 0 && !strcmp(basename(argv[0]), IMAGE_SCRIPT))
		return image_script(argc, argv);
	setvbuf(stdout, NULL, isatty(1) ? _IOLBF : _IOFBF, BUFSIZ);
	/* Xen's global options that change nothing here; several may stand together, as in -vvv. */
	while (i < argc && argv[i][0] == '-' && argv[i][1] &&
	       strspn(argv[i] + 1, "vftTN") == strlen(argv[i] + 1))
		i++;
	if (i >= argc) {
		print_list(stderr);
		return EXIT_FAILURE;
	}
	if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
		print_list(stdout);
		return 0;
	}
	c = command_find(argv[i]);
	if (!c)
		return no_command(argv[i]);
	i = c->fn(argc - i, argv + i);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "xl: cannot write: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	/* Whatever it made of the answers that it did not get. */
	return xl_store_lost && !i ? EXIT_FAILURE : i;
}
