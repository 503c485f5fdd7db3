// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl oci run: an OCI image as a guest of its own (dom0-tools/oci/init.c is what runs in it).
 * Owns the command line: what comes of it is a configuration like any file's (oci.c), and a guest like any other, which has a
 * supervisor. oci_run.c stays with it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../oci/params.h"
#include "oci_run.h"

struct options {
	struct xl_config *cfg;
	const char *image, *name, *memory, *vcpus, *network, *ip;
	const char *entrypoint, *user, *workdir, *hostname, *grace;
	bool read_only, detach, interactive, tty;
	const char *root_disk;
	struct oci_texts env, args, volumes;
};

/* --- the command line ------------------------------------------------------------------------ */

static const struct option longs[] = {
	{ "name", required_argument, NULL, 'N' },
	{ "memory", required_argument, NULL, 'm' },
	{ "vcpus", required_argument, NULL, 'C' },
	{ "cpus", required_argument, NULL, 'C' },
	{ "network", required_argument, NULL, 'n' },
	{ "ip", required_argument, NULL, 'I' },
	{ "env", required_argument, NULL, 'e' },
	{ "entrypoint", required_argument, NULL, 'E' },
	{ "user", required_argument, NULL, 'u' },
	{ "workdir", required_argument, NULL, 'w' },
	{ "hostname", required_argument, NULL, 'H' },
	{ "read-only", no_argument, NULL, 'R' },
	{ "stop-timeout", required_argument, NULL, 'T' },
	{ "detach", no_argument, NULL, 'd' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "tty", no_argument, NULL, 't' },
	{ "volume", required_argument, NULL, 'v' },
	{ "root-disk", required_argument, NULL, 'D' },
	{ "rm", no_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int add_text(struct oci_texts *t, const char *text, const char *what)
{
	if (t->nr == OCI_TEXTS)
		return xl_error("oci: more than %d %ss", OCI_TEXTS, what);
	if (strlen(text) >= OCI_TEXT_BYTES)
		return xl_error("oci: %s %d is longer than %d bytes", what, t->nr + 1,
				OCI_TEXT_BYTES - 1);
	if (!t->v)
		t->v = calloc(OCI_TEXTS, sizeof(*t->v));
	if (!t->v)
		abort();
	t->v[t->nr++] = xl_sprintf("%s", text);
	return 0;
}

/* NAME alone is this environment's, as with podman; one that is not set is left out. */
static int add_env(struct options *o, const char *text)
{
	const char *value;
	char *both;
	int rc;

	if (!*text || *text == '=')
		return xl_error("oci: --env %s: no NAME=VALUE", text);
	if (strchr(text, '='))
		return add_text(&o->env, text, "variable");
	value = getenv(text);
	if (!value)
		return 0;
	both = xl_sprintf("%s=%s", text, value);
	rc = add_text(&o->env, both, "variable");
	free(both);
	return rc;
}

static bool has_variable(const struct options *o, const char *begin)
{
	int i;

	for (i = 0; i < o->env.nr; i++)
		if (!strncmp(o->env.v[i], begin, strlen(begin)))
			return true;
	return false;
}

static int take_option(struct options *o, int c)
{
	const char **to = c == 'N' ? &o->name :
			  c == 'm' ? &o->memory :
			  c == 'C' ? &o->vcpus :
			  c == 'n' ? &o->network :
			  c == 'I' ? &o->ip :
			  c == 'E' ? &o->entrypoint :
			  c == 'u' ? &o->user :
			  c == 'w' ? &o->workdir :
			  c == 'H' ? &o->hostname :
			  c == 'T' ? &o->grace :
			  c == 'D' ? &o->root_disk :
				     NULL;

	if (to && strlen(optarg) >= OCI_TEXT_BYTES)
		return xl_error("oci: an option's value is longer than %d bytes",
				OCI_TEXT_BYTES - 1);
	if (to)
		*to = optarg;
	o->read_only |= c == 'R';
	o->detach |= c == 'd';
	o->interactive |= c == 'i';
	o->tty |= c == 't';
	if (c == 'v')
		return add_text(&o->volumes, optarg, "volume");
	/* --rm is what happens anyhow. */
	return c == 'e' ? add_env(o, optarg) : 0;
}

/* 0; or an exit status + 1 */
static int parse(struct options *o, int argc, char **argv)
{
	int c;

	if (argc > 1 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return command_usage("oci", true) + 1;
	if (argc < 2 || strcmp(argv[1], "run")) {
		if (argc > 1)
			xl_error("oci: there is no '%.40s', only run", argv[1]);
		command_usage("oci", false);
		return OCI_EXIT_OURS + 1;
	}
	optind = 2;
	/* What stands behind the image is the program's. */
	while ((c = getopt_long(argc, argv, "+m:e:u:w:v:dith", longs, NULL)) != -1) {
		if (c == 'h')
			return command_usage("oci", true) + 1;
		if (c == '?' || take_option(o, c)) {
			if (c == '?')
				command_usage("oci", false);
			return OCI_EXIT_OURS + 1;
		}
	}
	if (o->detach && o->interactive) {
		xl_error("oci: -d and -i exclude each other: nobody would pass the input on");
		return OCI_EXIT_OURS + 1;
	}
	if (optind == argc) {
		xl_error("oci: which image?");
		command_usage("oci", false);
		return OCI_EXIT_OURS + 1;
	}
	o->image = argv[optind++];
	for (; optind < argc; optind++)
		if (add_text(&o->args, argv[optind], "argument"))
			return OCI_EXIT_OURS + 1;
	return 0;
}

/* --- the configuration ----------------------------------------------------------------------- */

static struct cfg_setting *setting(const char *key, bool list)
{
	struct cfg_setting *s = cfg_setting_new(list);

	s->key = xl_sprintf("%s", key);
	return s;
}

static void push(struct cfg_setting *s, const char *text)
{
	cfg_setting_push(s, (struct cfg_value){ .text = xl_sprintf("%s", text) });
}

/* key = "text", unless there is none */
static void set(struct options *o, const char *key, const char *text)
{
	struct cfg_setting *s = text ? setting(key, false) : NULL;

	if (!s)
		return;
	push(s, text);
	cfg_add(&o->cfg->tree, s, false);
}

static void set_list(struct options *o, const char *key, const struct oci_texts *t)
{
	struct cfg_setting *s = t->nr ? setting(key, true) : NULL;
	int i;

	if (!s)
		return;
	for (i = 0; i < t->nr; i++)
		push(s, t->v[i]);
	cfg_add(&o->cfg->tree, s, false);
}

static bool number(const char *text, unsigned long most, unsigned long *out)
{
	char *end;

	*out = strtoul(text, &end, 10);
	return isdigit((unsigned char)*text) && !*end && *out <= most;
}

/* MiB of "512m", "1g" or, as podman has it, bytes; rounded up. */
static int set_memory(struct options *o)
{
	static const char units[] = "bkmg";
	unsigned long long n;
	const char *unit;
	char *end, *text;
	int shift;

	if (!o->memory)
		return 0;
	errno = 0;
	n = strtoull(o->memory, &end, 10);
	unit = *end ? strchr(units, tolower((unsigned char)*end)) : units;
	shift = unit ? 10 * (int)(unit - units) : 0;
	if (!isdigit((unsigned char)*o->memory) || errno || !unit || (*end && end[1]) ||
	    n > 1ull << (50 - shift) || !n)
		return xl_error("oci: --memory %s: no size; 256m is one", o->memory);
	text = xl_sprintf("%llu", ((n << shift) + PV_MIB - 1) / PV_MIB);
	set(o, "memory", text);
	free(text);
	return 0;
}

static int set_network(struct options *o)
{
	const char *how = o->network ? o->network : o->ip ? "bridge" : "none";
	struct oci_texts vif = { 0 };

	if (!strcmp(how, "none"))
		return o->ip ? xl_error("oci: --ip %s: with --network none there is no interface",
					o->ip) :
			       0;
	vif.v = calloc(1, sizeof(*vif.v));
	if (!vif.v)
		abort();
	/* A bridge may have a name that begins so. */
	vif.v[vif.nr++] = xl_sprintf("bridge=%s", !strncmp(how, "bridge:", 7) ? how + 7 :
						  strcmp(how, "bridge")	      ? how :
										"xenbr0");
	set_list(o, "vif", &vif);
	set(o, "oci_network", o->ip);
	free(vif.v[0]);
	free(vif.v);
	return 0;
}

/* One that is not there is complained of when the guest is made. */
static void add_disk(struct oci_texts *disks, int nr, const char *access, int n, const char *file)
{
	char *given = xl_sprintf("%.*s", n, file), *whole = realpath(given, NULL);

	disks->v[disks->nr++] = xl_sprintf("format=raw,vdev=xvd%c,access=%s,target=%s", 'b' + nr,
					   access, whole ? whole : given);
	free(whole);
	free(given);
}

/* podman's FILE:/PATH[:ro]; what is a directory of the host's there is a disk here. */
static int add_volume(struct oci_texts *disks, struct oci_texts *volumes, int nr, const char *text)
{
	size_t n = strlen(text);
	bool read_only = n > 3 && !strcmp(text + n - 3, ":ro");
	const char *path;

	n -= read_only ? 3 : 0;
	for (path = text + n; path > text && strncmp(path, ":/", 2); path--)
		;
	if (path == text)
		return xl_error("oci: --volume %s: not like FILE:/PATH or FILE:/PATH:ro", text);
	add_disk(disks, nr, read_only ? "ro" : "rw", (int)(path - text), text);
	volumes->v[volumes->nr++] = xl_sprintf("xvd%c%s", 'b' + nr, path);
	return 0;
}

static int set_disks(struct options *o)
{
	struct oci_texts disks = { calloc(OCI_VOLUMES + 1, sizeof(char *)), 0 };
	struct oci_texts volumes = { calloc(OCI_VOLUMES, sizeof(char *)), 0 };
	int i, rc = 0;

	if (!disks.v || !volumes.v)
		abort();
	if (o->volumes.nr > OCI_VOLUMES)
		rc = xl_error("oci: more than %d volumes", OCI_VOLUMES);
	if (o->root_disk)
		add_disk(&disks, 0, "rw", (int)strlen(o->root_disk), o->root_disk);
	for (i = 0; !rc && i < o->volumes.nr; i++)
		rc = add_volume(&disks, &volumes, i + 1, o->volumes.v[i]);
	set(o, "oci_root", o->root_disk ? "xvdb" : NULL);
	set_list(o, "disk", &disks);
	set_list(o, "oci_volumes", &volumes);
	oci_free_texts(&disks);
	oci_free_texts(&volumes);
	return rc;
}

/* The image's name without its directory and its ending, as far as it may be one of a domain, and this process's number. */
static char *make_name(const struct options *o)
{
	const char *base = strrchr(o->image, '/');
	size_t n;

	base = base ? base + 1 : !strncmp(o->image, "oci-archive:", 12) ? o->image + 12 : o->image;
	n = strspn(base, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
	if (*base == '-')
		n = 0;
	return xl_sprintf("%.*s-%d", n > 40 ? 40 : (int)n, n ? base : "oci", (int)getpid());
}

/* Not a key: it is about this process's terminal or file. */
static void set_input(struct options *o)
{
	struct winsize size;

	if (o->tty && !ioctl(0, TIOCGWINSZ, &size) && size.ws_row && size.ws_col)
		o->cfg->oci->input = xl_sprintf("tty %u %u", size.ws_row, size.ws_col);
	else if (o->tty || o->interactive)
		o->cfg->oci->input = xl_sprintf("%s", o->tty ? "tty" : "pipe");
}

/* Into @o->cfg, as a file's would be. */
static int describe(struct options *o)
{
	unsigned long n;
	const char *why;
	char *name;
	int rc = 0;

	config_init(o->cfg, stderr);
	o->cfg->tree.file = "command line";
	if (o->vcpus && (!number(o->vcpus, 64, &n) || !n))
		return xl_error("oci: --vcpus %s: no number of CPUs", o->vcpus);
	if (o->grace && !number(o->grace, 86400, &n))
		return xl_error("oci: --stop-timeout %s: no number of seconds", o->grace);
	name = o->name ? xl_sprintf("%s", o->name) : make_name(o);
	why = config_bad_name(name);
	if (why)
		xl_error("oci: --name %s: %s", name, why);
	set(o, "name", name);
	free(name);
	set(o, "oci", o->image);
	set(o, "vcpus", o->vcpus);
	/* A command has one end, and nothing is left of it. */
	set(o, "on_reboot", "destroy");
	set(o, "oci_entrypoint", o->entrypoint);
	set(o, "oci_user", o->user);
	set(o, "oci_workdir", o->workdir);
	set(o, "oci_hostname", o->hostname);
	set(o, "oci_stop_timeout", o->grace);
	set(o, "oci_read_only", o->read_only ? "1" : NULL);
	set_list(o, "oci_args", &o->args);
	if (o->tty && !has_variable(o, "TERM="))
		rc = add_env(o, "TERM");
	set_list(o, "oci_env", &o->env);
	rc = rc || why || set_disks(o) || set_memory(o) || set_network(o);
	rc = rc ? -1 : config_interpret(o->cfg);
	if (!rc)
		set_input(o);
	return rc;
}

int cmd_oci(int argc, char **argv)
{
	struct xl_config cfg;
	struct options o = { .cfg = &cfg };
	struct xl xl;
	int rc;

	rc = parse(&o, argc, argv);
	if (!rc) {
		rc = OCI_EXIT_OURS + 1;
		if (!describe(&o) && !xl_open(&xl)) {
			rc = oci_run(&xl, &cfg, o.image, o.detach, o.interactive) + 1;
			xl_close(&xl);
		}
		config_free(&cfg);
	}
	oci_free_texts(&o.env);
	oci_free_texts(&o.args);
	oci_free_texts(&o.volumes);
	return rc - 1;
}
