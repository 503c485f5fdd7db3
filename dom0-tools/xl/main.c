// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl: the administrator's command.
 * Owns the table of verbs and everything about usage and help.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "words.h"
#include "xl.h"

static const char create_options[] =
	"-c                      Connect to the console after the domain is created.\n"
	"-p, --paused            Leave the domain paused after it is created.\n"
	"-n, --dryrun            Dry run: show what the configuration means, create nothing.\n"
	"-q, --quiet             Quiet.\n"
	"-F                      Stay in the foreground until the domain ends.\n"
	"-e                      Do not wait in the background for the death of the domain.\n"
	"-f FILE, --defconfig=FILE  Use the given configuration file.\n"
	"key=value               Overrides the key of the file; several may be given, also with\n"
	"                        semicolons between them in one word.\n";
static const char shutdown_options[] =
	"-a                      All guests.\n"
	"-w                      Wait for the domains to end and to be taken away.\n"
	"-F                      Accepted, as Xen's xl has it: there is no other way to ask.\n";

const struct command commands[] = {
	{ "create", cmd_create, "[options] <ConfigFile> [key=value ...]",
	  "Create a domain from config file <ConfigFile>", create_options },
	{ "list", cmd_list, "[-l|-v] [Domain ...]", "List information about all/some domains",
	  "-l                      Output all domain details, as JSON.\n"
	  "-v                      Print also UUIDs and shutdown reasons.\n" },
	{ "console", cmd_console, "<Domain>", "Attach to domain's console", "Ctrl-] leaves.\n" },
	{ "pause", cmd_pause, "<Domain> ...", "Pause execution of a domain", NULL },
	{ "unpause", cmd_unpause, "<Domain> ...", "Unpause a paused domain", NULL },
	{ "shutdown", cmd_shutdown, "[options] <-a|Domain ...>",
	  "Issue a shutdown signal to a domain", shutdown_options },
	{ "reboot", cmd_reboot, "[options] <-a|Domain ...>", "Issue a reboot signal to a domain",
	  shutdown_options },
	{ "destroy", cmd_destroy, "[-f] <Domain> ...", "Terminate a domain immediately",
	  "-f                      Accepted, as Xen's xl has it; domain 0 is refused all the same.\n" },
	{ "rename", cmd_rename, "<Domain> <NewDomainName>", "Rename a domain", NULL },
	{ "domid", cmd_domid, "<DomainName>", "Convert a domain name to domain id", NULL },
	{ "domname", cmd_domname, "<DomainId>", "Convert a domain id to domain name", NULL },
	{ "vcpu-list", cmd_vcpu_list, "[Domain ...]", "List the VCPUs for all/some domains", NULL },
	{ "uptime", cmd_uptime, "[-s] [Domain ...]", "Print uptime for all/some domains",
	  "-s                      Short: one line as uptime(1) prints it.\n" },
	{ "block-list", cmd_block_list, "<Domain> ...", "List virtual block devices for a domain",
	  NULL },
	{ "network-list", cmd_network_list, "<Domain> ...",
	  "List virtual network interfaces for a domain", NULL },
	{ "network-attach", cmd_network_attach, "<Domain> [key=value ...]",
	  "Create a new virtual network device",
	  "key=value               As in the vif line of xl.cfg(5): mac=, bridge=, script=, ip=,\n"
	  "                        vifname=, rate=.\n" },
	{ "network-detach", cmd_network_detach, "[-f] <Domain> <DevId|Mac>",
	  "Destroy a domain's virtual network device",
	  "-f                      Do not ask the guest first.\n" },
	{ "info", cmd_info, "", "Get information about Xen host", NULL },
	{ "dmesg", cmd_dmesg, "[-c]", "Read and/or clear dmesg buffer",
	  "-c                      Clear dmesg buffer as well as printing it.\n" },
	{ "debug-keys", cmd_debug_keys, "<Keys>", "Send debug keys to Xen", NULL },
	{ "init-dom0", cmd_init_dom0, "", "Write dom0's own nodes to xenstore (at dom0's start)",
	  NULL },
	{ "help", cmd_help, "[Command]", "Print this list, or the options of one command", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

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
		{ "help", no_argument, NULL, 'h' },	{ "long", no_argument, NULL, 'l' },
		{ "verbose", no_argument, NULL, 'v' },	{ "all", no_argument, NULL, 'a' },
		{ "wait", no_argument, NULL, 'w' },	{ "clear", no_argument, NULL, 'c' },
		{ "fallback", no_argument, NULL, 'F' }, { NULL, 0, NULL, 0 },
	};
	char spec[32];
	int c;

	snprintf(spec, sizeof(spec), "%sh", letters);
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
	const char *near = NULL;

	for (c = commands; c->name; c++)
		words_nearest(name, c->name, &near);
	if (words_xen_verb(name))
		xl_error("'%s' is Xen's; there is no such command here. 'xl help' lists them",
			 name);
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
