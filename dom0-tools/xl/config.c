// SPDX-License-Identifier: BSD-2-Clause
/*
 * From the syntax tree of an xl.cfg to the description of a guest.
 * Owns the table of keys: one that nobody knows is a warning, as administrators bring configs
 * from other hosts, but one that is nearly a known one is a slip of the pen, and an error; so is one that is there with a
 * value that cannot work, or that is Xen's (words.c): the guest would be another one than is described.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "oci.h"
#include "words.h"

#define MAX_VCPUS 64
/* Event channels: console and xenstore need one each, the FIFO ABI has no more; by default as Xen's xl. */
#define MIN_EVENT_CHANNELS 2
#define MAX_EVENT_CHANNELS 131071
#define DEFAULT_EVENT_CHANNELS 1023
/* More is cut down to these by the hypervisor (grant.c). */
#define MAX_GRANT_FRAMES 1024
#define MAX_MAPTRACK_FRAMES 4096
#define MAX_MEMORY (1ul << 30) /* MiB: a pebibyte */
#define NAME_MAX_LEN 64

typedef void (*key_fn)(struct xl_config *c, const struct cfg_setting *s);

/* --- values ---------------------------------------------------------------------------------- */

static char *get_string(struct xl_config *c, const struct cfg_setting *s)
{
	char *copy;

	if (s->list) {
		cfg_error(&c->tree, s, 0, "expected a string, found a list");
		return NULL;
	}
	copy = strdup(s->v[0].text);
	if (!copy)
		abort();
	return copy;
}

static bool get_number(struct xl_config *c, const struct cfg_setting *s, unsigned long min,
		       unsigned long max, unsigned long *out)
{
	const char *text;
	unsigned long n;
	char *end;

	if (s->list) {
		cfg_error(&c->tree, s, 0, "expected a number, found a list");
		return false;
	}
	text = s->v[0].text;
	errno = 0;
	n = strtoul(text, &end, 0);
	if (!isdigit((unsigned char)*text) || *end) {
		cfg_error(&c->tree, s, 0, "'%s' is not a number", text);
		return false;
	}
	if (errno || n < min || n > max) {
		cfg_error(&c->tree, s, 0, "%s is not between %lu and %lu", text, min, max);
		return false;
	}
	*out = n;
	return true;
}

/* A path that is there and not empty; whether the file is any good shows when it is opened. */
static char *get_path(struct xl_config *c, const struct cfg_setting *s)
{
	char *path = get_string(c, s);

	if (path && !*path) {
		cfg_error(&c->tree, s, 0, "the path is empty");
		free(path);
		return NULL;
	}
	return path;
}

/* --- keys ------------------------------------------------------------------------------------ */

const char *config_bad_name(const char *name)
{
	size_t n = strlen(name);

	if (!n)
		return "a domain's name cannot be empty";
	if (n > NAME_MAX_LEN)
		return "a domain's name has at most 64 characters";
	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-") != n)
		return "a domain's name has only letters, digits and any of _.+-";
	if (strspn(name, "0123456789") == n)
		return "a domain's name cannot be a number: it would be taken for a domid";
	if (name[0] == '-' || name[0] == '.')
		return "a domain's name cannot begin with '-' or '.'";
	return NULL;
}

static void key_name(struct xl_config *c, const struct cfg_setting *s)
{
	const char *bad;

	c->name = get_string(c, s);
	bad = c->name ? config_bad_name(c->name) : NULL;
	if (bad)
		cfg_error(&c->tree, s, 0, "%s", bad);
}

static void key_kernel(struct xl_config *c, const struct cfg_setting *s)
{
	c->kernel = get_path(c, s);
}

static void key_ramdisk(struct xl_config *c, const struct cfg_setting *s)
{
	c->ramdisk = get_path(c, s);
}

/* pygrub's name stands in everybody's configurations, and what it does is what is done here. */
static void key_bootloader(struct xl_config *c, const struct cfg_setting *s)
{
	char *text = get_string(c, s);
	const char *base = text ? strrchr(text, '/') : NULL;

	base = base ? base + 1 : text;
	if (base && !strcmp(base, "pygrub"))
		c->bootloader = true;
	else if (base && *base && strcmp(base, "none"))
		cfg_error(&c->tree, s, 0,
			  "'%s' is not supported, only pygrub: the boot menu on the guest's disk",
			  text);
	free(text);
}

static void key_bootloader_args(struct xl_config *c, const struct cfg_setting *s)
{
	int i;

	for (i = 0; i < s->nr; i++) {
		const char *arg = s->v[i].text;

		if (!strncmp(arg, "--entry=", 8) && arg[8]) {
			free(c->bootloader_entry);
			c->bootloader_entry = strdup(arg + 8);
		} else if (strcmp(arg, "-q") && strcmp(arg, "--quiet")) {
			cfg_error(&c->tree, s, s->v[i].line,
				  "'%s' is not supported, only --entry=NUMBER or TITLE", arg);
		}
	}
}

static void key_memory(struct xl_config *c, const struct cfg_setting *s)
{
	get_number(c, s, 1, MAX_MEMORY, &c->memory);
}

static void key_maxmem(struct xl_config *c, const struct cfg_setting *s)
{
	get_number(c, s, 1, MAX_MEMORY, &c->maxmem);
}

static void key_vcpus(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, 1, MAX_VCPUS, &n))
		c->vcpus = n;
}

static void key_maxvcpus(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, 1, MAX_VCPUS, &n))
		c->maxvcpus = n;
}

static void key_cpu_weight(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, 1, 65535, &n))
		c->cpu_weight = n;
}

static void key_cap(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, 0, MAX_VCPUS * 100, &n))
		c->cap = n;
}

/* Whether there is such a pool shows when the guest is made. */
static void key_pool(struct xl_config *c, const struct cfg_setting *s)
{
	c->pool = get_string(c, s);
	if (c->pool && !*c->pool)
		cfg_error(&c->tree, s, 0, "a CPU pool's name is not empty");
}

/* A string is for all vCPUs, a list has one for each; those behind its end may use all CPUs. */
static struct cpus *get_cpus(struct xl_config *c, const struct cfg_setting *s)
{
	struct cpus *sets = calloc(MAX_VCPUS, sizeof(*sets));
	const char *wrong;
	int i;

	if (!sets)
		abort();
	if (s->nr > MAX_VCPUS)
		cfg_error(&c->tree, s, 0, "%d vCPUs, and there are %d at most", s->nr, MAX_VCPUS);
	for (i = 0; i < s->nr && i < MAX_VCPUS; i++) {
		wrong = cpus_parse(s->v[i].text, &sets[i]);
		if (wrong)
			cfg_error(&c->tree, s, s->v[i].line, "'%s' %s", s->v[i].text, wrong);
	}
	for (i = 1; !s->list && i < MAX_VCPUS; i++)
		sets[i] = sets[0];
	return sets;
}

static void key_cpus(struct xl_config *c, const struct cfg_setting *s)
{
	c->cpus = get_cpus(c, s);
}

static void key_cpus_soft(struct xl_config *c, const struct cfg_setting *s)
{
	c->cpus_soft = get_cpus(c, s);
}

static void key_max_event_channels(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, MIN_EVENT_CHANNELS, MAX_EVENT_CHANNELS, &n))
		c->max_event_channels = n;
}

static void key_max_grant_frames(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, 1, MAX_GRANT_FRAMES, &n))
		c->max_grant_frames = n;
}

static void key_max_maptrack_frames(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, 0, MAX_MAPTRACK_FRAMES, &n))
		c->max_maptrack_frames = n;
}

/* Version 1 is all there is, so a guest may be limited to it; a limit of none would be a guest without grants. */
static void key_max_grant_version(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	get_number(c, s, 1, 2, &n);
}

static void key_uuid(struct xl_config *c, const struct cfg_setting *s)
{
	char *text = get_string(c, s);

	if (text && uuid_parse(text, c->uuid))
		cfg_error(&c->tree, s, 0, "'%s' is not a UUID", text);
	else if (text)
		c->have_uuid = true;
	free(text);
}

static void key_disk(struct xl_config *c, const struct cfg_setting *s)
{
	char msg[256];
	int i, j;

	if (!s->list) {
		cfg_error(&c->tree, s, 0, "expected a list of strings: disk = [ '...' ]");
		return;
	}
	c->disk = calloc(s->nr ? s->nr : 1, sizeof(*c->disk));
	if (!c->disk)
		abort();
	for (i = 0; i < s->nr; i++) {
		struct xl_disk *d = &c->disk[c->nr_disks];

		if (disk_parse(s->v[i].text, d, msg, sizeof(msg))) {
			cfg_error(&c->tree, s, s->v[i].line, "%s in '%s'", msg, s->v[i].text);
			continue;
		}
		d->line = s->v[i].line;
		for (j = 0; j < c->nr_disks; j++)
			if (c->disk[j].devid == d->devid)
				cfg_error(&c->tree, s, d->line, "vdev %s is given twice", d->vdev);
		c->nr_disks++;
	}
}

static void check_nic(struct xl_config *c, const struct cfg_setting *s, struct xl_nic *n)
{
	int j;

	if (!n->have_mac && nic_random_mac(n->mac))
		cfg_error(&c->tree, s, n->line, "no random numbers for a MAC address: %s",
			  strerror(errno));
	for (j = 0; j < c->nr_nics; j++) {
		if (!memcmp(c->nic[j].mac, n->mac, sizeof(n->mac)))
			cfg_error(&c->tree, s, n->line,
				  "mac %02x:%02x:%02x:%02x:%02x:%02x is given twice", n->mac[0],
				  n->mac[1], n->mac[2], n->mac[3], n->mac[4], n->mac[5]);
		if (n->vifname[0] && !strcmp(c->nic[j].vifname, n->vifname))
			cfg_error(&c->tree, s, n->line, "vifname %s is given twice", n->vifname);
	}
}

static void key_vif(struct xl_config *c, const struct cfg_setting *s)
{
	char msg[256];
	int i;

	if (!s->list) {
		cfg_error(&c->tree, s, 0, "expected a list of strings: vif = [ '...' ]");
		return;
	}
	c->nic = calloc(s->nr ? s->nr : 1, sizeof(*c->nic));
	if (!c->nic)
		abort();
	for (i = 0; i < s->nr; i++) {
		struct xl_nic *n = &c->nic[c->nr_nics];

		if (nic_parse(s->v[i].text, n, msg, sizeof(msg))) {
			cfg_error(&c->tree, s, s->v[i].line, "%s in '%s'", msg, s->v[i].text);
			continue;
		}
		n->line = s->v[i].line;
		n->devid = i;
		check_nic(c, s, n);
		c->nr_nics++;
	}
}

static void key_channel(struct xl_config *c, const struct cfg_setting *s)
{
	char msg[256];
	int i, j;

	if (!s->list) {
		cfg_error(&c->tree, s, 0, "expected a list of strings: channel = [ '...' ]");
		return;
	}
	if (s->nr > CHANNELS_MAX) {
		cfg_error(&c->tree, s, 0, "a guest has at most %d channels", CHANNELS_MAX);
		return;
	}
	c->channel = calloc(s->nr ? s->nr : 1, sizeof(*c->channel));
	if (!c->channel)
		abort();
	for (i = 0; i < s->nr; i++) {
		struct xl_channel *n = &c->channel[c->nr_channels];

		if (channel_parse(s->v[i].text, n, msg, sizeof(msg))) {
			cfg_error(&c->tree, s, s->v[i].line, "%s in '%s'", msg, s->v[i].text);
			continue;
		}
		n->line = s->v[i].line;
		n->devid = i + 1;
		for (j = 0; j < c->nr_channels; j++) {
			if (!strcmp(c->channel[j].name, n->name))
				cfg_error(&c->tree, s, n->line, "name %s is given twice", n->name);
			if (n->path && c->channel[j].path && !strcmp(c->channel[j].path, n->path))
				cfg_error(&c->tree, s, n->line, "path %s is given twice", n->path);
		}
		c->nr_channels++;
	}
}

static const char *const actions[] = {
	[ACTION_DESTROY] = "destroy",
	[ACTION_RESTART] = "restart",
	[ACTION_PRESERVE] = "preserve",
	[ACTION_RENAME_RESTART] = "rename-restart",
	[ACTION_COREDUMP_DESTROY] = "coredump-destroy",
	[ACTION_COREDUMP_RESTART] = "coredump-restart",
};

const char *action_name(enum xl_action a)
{
	return actions[a];
}

static void get_action(struct xl_config *c, const struct cfg_setting *s, enum xl_action *out)
{
	char *text = get_string(c, s);
	unsigned int i;

	if (!text)
		return;
	for (i = 0; i < sizeof(actions) / sizeof(*actions); i++) {
		if (!strcmp(text, actions[i])) {
			*out = i;
			free(text);
			return;
		}
	}
	if (!strcmp(text, "soft-reset"))
		cfg_error(&c->tree, s, 0, "'%s' is not supported", text);
	else
		cfg_error(&c->tree, s, 0,
			  "'%s' is none of destroy, restart, preserve, rename-restart, "
			  "coredump-destroy, coredump-restart",
			  text);
	free(text);
}

static void key_on_poweroff(struct xl_config *c, const struct cfg_setting *s)
{
	get_action(c, s, &c->on_poweroff);
}

static void key_on_reboot(struct xl_config *c, const struct cfg_setting *s)
{
	get_action(c, s, &c->on_reboot);
}

static void key_on_crash(struct xl_config *c, const struct cfg_setting *s)
{
	get_action(c, s, &c->on_crash);
}

static void key_on_watchdog(struct xl_config *c, const struct cfg_setting *s)
{
	get_action(c, s, &c->on_watchdog);
}

static void key_driver_domain(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;

	if (get_number(c, s, 0, 1, &n))
		c->driver_domain = n;
}

static void key_type(struct xl_config *c, const struct cfg_setting *s)
{
	char *text = get_string(c, s);

	if (text && strcmp(text, "pv") && strcmp(text, "pvh"))
		cfg_error(&c->tree, s, 0, "type '%s' is not supported, only pv and pvh", text);
	free(text);
}

static void key_builder(struct xl_config *c, const struct cfg_setting *s)
{
	char *text = get_string(c, s);

	if (text && strcmp(text, "generic") && strcmp(text, "linux"))
		cfg_error(&c->tree, s, 0, "builder '%s' is not supported, only generic and linux",
			  text);
	free(text);
}

/* Handled by set_cmdline(), all three together. */
static void key_cmdline(struct xl_config *c, const struct cfg_setting *s)
{
	free(get_string(c, s));
}

static const struct {
	const char *key;
	key_fn fn;
} keys[] = {
	{ "name", key_name },
	{ "kernel", key_kernel },
	{ "ramdisk", key_ramdisk },
	{ "cmdline", key_cmdline },
	{ "root", key_cmdline },
	{ "extra", key_cmdline },
	{ "bootloader", key_bootloader },
	{ "bootloader_args", key_bootloader_args },
	{ "memory", key_memory },
	{ "maxmem", key_maxmem },
	{ "vcpus", key_vcpus },
	{ "maxvcpus", key_maxvcpus },
	{ "pool", key_pool },
	{ "cpu_weight", key_cpu_weight },
	{ "cap", key_cap },
	{ "cpus", key_cpus },
	{ "cpus_soft", key_cpus_soft },
	{ "max_event_channels", key_max_event_channels },
	{ "max_grant_frames", key_max_grant_frames },
	{ "max_maptrack_frames", key_max_maptrack_frames },
	{ "max_grant_version", key_max_grant_version },
	{ "uuid", key_uuid },
	{ "disk", key_disk },
	{ "vif", key_vif },
	{ "channel", key_channel },
	{ "on_poweroff", key_on_poweroff },
	{ "on_reboot", key_on_reboot },
	{ "on_crash", key_on_crash },
	{ "on_watchdog", key_on_watchdog },
	{ "oci", oci_key },
	{ "oci_args", oci_key },
	{ "oci_env", oci_key },
	{ "oci_entrypoint", oci_key },
	{ "oci_user", oci_key },
	{ "oci_workdir", oci_key },
	{ "oci_hostname", oci_key },
	{ "oci_network", oci_key },
	{ "oci_read_only", oci_key },
	{ "oci_stop_timeout", oci_key },
	{ "oci_tty", oci_key },
	{ "oci_root", oci_key },
	{ "oci_volumes", oci_key },
	{ "driver_domain", key_driver_domain },
	{ "type", key_type },
	{ "builder", key_builder },
};

/* A value that says "none of it" */
static bool is_nothing(const struct cfg_setting *s)
{
	const char *text = s->list ? "" : s->v[0].text;

	return (!s->list || !s->nr) &&
	       (!*text || !strcmp(text, "0") || !strcmp(text, "none") || !strcmp(text, "disabled"));
}

/* A key that is not in the table */
static void other_key(struct xl_config *c, const struct cfg_setting *s)
{
	const struct xen_key *known = words_xen_key(s->key);
	const char *near = NULL;
	unsigned int i;

	if (known && known->why_not && !is_nothing(s)) {
		cfg_error(&c->tree, s, 0, "not supported: %s", known->why_not);
	} else if (known) {
		if (!is_nothing(s))
			cfg_warn(&c->tree, s, 0, "Xen's, without effect here");
	} else {
		for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			words_nearest(s->key, keys[i].key, &near);
		if (near)
			cfg_error(&c->tree, s, 0, "unknown key; did you mean '%s'?", near);
		else
			cfg_warn(&c->tree, s, 0, "unknown key, ignored");
	}
}

/* --- the whole ------------------------------------------------------------------------------- */

static const char *string_of(struct xl_config *c, const char *key)
{
	const struct cfg_setting *s = cfg_find(&c->tree, key);

	return s && !s->list && *s->v[0].text ? s->v[0].text : NULL;
}

static void set_cmdline(struct xl_config *c)
{
	const char *cmdline = string_of(c, "cmdline"), *root = string_of(c, "root");
	const char *extra = string_of(c, "extra");

	if (cmdline) {
		if (root || extra)
			cfg_warn(&c->tree, cfg_find(&c->tree, "cmdline"), 0,
				 "root and extra are ignored when cmdline is given");
		if (asprintf(&c->cmdline, "%s", cmdline) < 0)
			abort();
	} else if (asprintf(&c->cmdline, "%s%s%s%s", root ? "root=" : "", root ? root : "",
			    root && extra ? " " : "", extra ? extra : "") < 0) {
		abort();
	}
	/* Linux's COMMAND_LINE_SIZE on RISC-V: longer ones are cut off there, silently. */
	if (strlen(c->cmdline) >= 1024)
		cfg_error(&c->tree, NULL, 0, "the kernel's command line is longer than 1023 bytes");
}

static void require(struct xl_config *c, const char *key)
{
	if (!cfg_find(&c->tree, key))
		cfg_error(&c->tree, NULL, 0, "%s: missing, and it has no default", key);
}

/* What the configuration says of a command line is added to the menu's. */
static void check_bootloader(struct xl_config *c)
{
	const struct cfg_setting *s = cfg_find(&c->tree, "bootloader");

	if (c->kernel || c->ramdisk)
		cfg_error(&c->tree, s, 0,
			  "%s is given as well; the kernel comes from one of the two",
			  c->kernel ? "kernel" : "ramdisk");
	if (!c->nr_disks)
		cfg_error(&c->tree, s, 0, "there is no disk to boot from");
	else if (c->disk[0].backend)
		cfg_error(&c->tree, s, 0,
			  "the first disk is a driver domain's: only dom0's can be "
			  "booted from");
	else if (!c->disk[0].target)
		cfg_error(&c->tree, s, 0, "there is no medium in %s, the first disk",
			  c->disk[0].vdev);
	else if (c->disk[0].script)
		cfg_error(&c->tree, s, 0,
			  "%s, the first disk, has a script of its own: it cannot be booted from",
			  c->disk[0].vdev);
	c->bootloader_extra = strdup(c->cmdline);
	if (!c->bootloader_extra)
		abort();
}

static void check_whole(struct xl_config *c)
{
	require(c, "name");
	if (c->oci)
		oci_complete(c);
	else if (c->bootloader)
		check_bootloader(c);
	else
		require(c, "kernel");
	if (!c->maxvcpus)
		c->maxvcpus = c->vcpus;
	if (c->maxvcpus < c->vcpus)
		cfg_error(&c->tree, cfg_find(&c->tree, "maxvcpus"), 0,
			  "%u is less than vcpus, which is %u", c->maxvcpus, c->vcpus);
	if (c->cap > c->maxvcpus * 100)
		cfg_error(&c->tree, cfg_find(&c->tree, "cap"), 0,
			  "%u is more than %u vCPUs can use, which is %u", c->cap, c->maxvcpus,
			  c->maxvcpus * 100);
	if (!c->maxmem)
		c->maxmem = c->memory;
	if (c->maxmem < c->memory)
		cfg_error(&c->tree, cfg_find(&c->tree, "maxmem"), 0,
			  "%lu is less than memory, which is %lu", c->maxmem, c->memory);
}

void config_init(struct xl_config *c, FILE *log)
{
	memset(c, 0, sizeof(*c));
	cfg_init(&c->tree, log);
	c->memory = 32; /* as Xen's xl */
	c->vcpus = 1;
	c->max_event_channels = DEFAULT_EVENT_CHANNELS;
	c->max_grant_frames = c->max_maptrack_frames = -1;
	c->on_poweroff = ACTION_DESTROY;
	c->on_reboot = ACTION_RESTART;
	c->on_crash = ACTION_DESTROY;
	c->on_watchdog = ACTION_DESTROY;
}

int config_read(struct xl_config *c, const char *path, char *const *args, int nr_args, FILE *log)
{
	const char *file;
	int n;

	config_init(c, log);
	if (path && cfg_parse_file(&c->tree, path))
		return -1;
	file = c->tree.file;
	for (n = 0; n < nr_args; n++)
		if (cfg_parse_arg(&c->tree, args[n]))
			return -1;
	if (file)
		c->tree.file = file; /* what is missing is missing there */
	return config_interpret(c);
}

int config_interpret(struct xl_config *c)
{
	const struct cfg_setting *s;
	unsigned int i;

	for (s = c->tree.first; s; s = s->next) {
		for (i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			if (!strcmp(keys[i].key, s->key))
				break;
		if (i < sizeof(keys) / sizeof(*keys))
			keys[i].fn(c, s);
		else
			other_key(c, s);
	}
	set_cmdline(c);
	check_whole(c);
	return c->tree.errors ? -1 : 0;
}

static int read_one(struct xl_config *c, const char *key, const char *spec, FILE *log,
		    void (*read)(struct xl_config *c, const struct cfg_setting *s))
{
	struct cfg_setting *s = cfg_setting_new(true);
	struct cfg_value v = { .text = strdup(spec), .line = 1 };

	memset(c, 0, sizeof(*c));
	cfg_init(&c->tree, log);
	s->key = strdup(key);
	if (!s->key || !v.text)
		abort();
	cfg_setting_push(s, v);
	c->tree.file = "command line";
	cfg_add(&c->tree, s, false);
	read(c, c->tree.first);
	return c->tree.errors ? -1 : 0;
}

int config_read_nic(struct xl_config *c, const char *spec, FILE *log)
{
	return read_one(c, "vif", spec, log, key_vif);
}

int config_read_disk(struct xl_config *c, const char *spec, FILE *log)
{
	return read_one(c, "disk", spec, log, key_disk);
}

void config_error(struct xl_config *c, const char *key, int line, const char *fmt, ...)
{
	const struct cfg_setting *s = cfg_find(&c->tree, key);
	char text[700];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s)
		cfg_error(&c->tree, s, line, "%s", text);
	else
		cfg_error(&c->tree, NULL, 0, "%s: %s", key, text);
}

void config_free(struct xl_config *c)
{
	int i;

	for (i = 0; i < c->nr_disks; i++)
		disk_free(&c->disk[i]);
	free(c->disk);
	for (i = 0; i < c->nr_nics; i++)
		nic_free(&c->nic[i]);
	free(c->nic);
	for (i = 0; i < c->nr_channels; i++)
		channel_free(&c->channel[i]);
	free(c->channel);
	oci_free(c);
	free(c->name);
	free(c->kernel);
	free(c->ramdisk);
	free(c->cmdline);
	free(c->pool);
	free(c->cpus);
	free(c->cpus_soft);
	free(c->bootloader_entry);
	free(c->bootloader_extra);
	free(c->bootloader_kernel);
	free(c->reader_dir);
	free(c->reader_for);
	cfg_free(&c->tree);
	memset(c, 0, sizeof(*c));
}

int uuid_parse(const char *text, uint8_t uuid[16])
{
	int digits = 0;

	memset(uuid, 0, 16);
	for (; *text; text++) {
		int v;

		if (*text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || digits == 32)
			return -1;
		v = isdigit((unsigned char)*text) ? *text - '0' : (*text | 32) - 'a' + 10;
		uuid[digits / 2] |= digits & 1 ? v : v << 4;
		digits++;
	}
	return digits == 32 ? 0 : -1;
}

void uuid_format(const uint8_t uuid[16], char *text)
{
	int i;

	for (i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		text += sprintf(text, "%02x", uuid[i]);
	}
}
