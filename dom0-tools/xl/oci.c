// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest that is an OCI image: xl.cfg's keys for it, and the guest that comes of them.
 * Owns their limits and messages.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../oci/params.h"
#include "oci.h"
#include "settings.h"
#include "words.h"

#define DEFAULT_KERNEL "/images/boot/Image"
#define DEFAULT_RAMDISK "/images/boot/oci.cpio.gz"
#define DEFAULT_MEMORY 256 /* MiB */
#define CMDLINE "console=hvc0 quiet loglevel=1 rdinit=/init"
#define GRACE_MAX 86400
#define NAT "vif-nat"
#define NAT_AWAY \
	127 /* of the router's last byte from the guest's: rootfs/etc/xen/scripts/vif-nat */

/* --- keys ------------------------------------------------------------------------------------ */

static void take_string(struct xl_config *c, const struct cfg_setting *s, char **to)
{
	if (s->list)
		cfg_error(&c->tree, s, 0, "expected a string, found a list");
	else if (strlen(s->v[0].text) >= OCI_TEXT_BYTES)
		cfg_error(&c->tree, s, 0, "it is longer than %d bytes", OCI_TEXT_BYTES - 1);
	else
		*to = words_copy(s->v[0].text);
}

static void take_list(struct xl_config *c, const struct cfg_setting *s, struct oci_texts *to,
		      bool variables)
{
	int i;

	if (!s->list) {
		cfg_error(&c->tree, s, 0, "expected a list of strings: %s = [ '...' ]", s->key);
		return;
	}
	if (s->nr > OCI_TEXTS) {
		cfg_error(&c->tree, s, 0, "there are more than %d", OCI_TEXTS);
		return;
	}
	to->v = calloc(s->nr ? s->nr : 1, sizeof(*to->v));
	if (!to->v)
		abort();
	for (i = 0; i < s->nr; i++) {
		const char *text = s->v[i].text;

		if (strlen(text) >= OCI_TEXT_BYTES)
			cfg_error(&c->tree, s, s->v[i].line, "number %d is longer than %d bytes",
				  i + 1, OCI_TEXT_BYTES - 1);
		else if (variables && (*text == '=' || !strchr(text, '=')))
			cfg_error(&c->tree, s, s->v[i].line, "'%s' is no NAME=VALUE", text);
		else
			to->v[to->nr++] = words_copy(text);
	}
}

static bool take_number(struct xl_config *c, const struct cfg_setting *s, unsigned long max,
			unsigned long *to)
{
	char *end = NULL;

	if (!s->list) {
		*to = strtoul(s->v[0].text, &end, 10);
		if (isdigit((unsigned char)*s->v[0].text) && !*end && *to <= max)
			return true;
	}
	cfg_error(&c->tree, s, 0, "expected a number from 0 to %lu", max);
	return false;
}

/* "oci-archive:" or "oci:PATH[:NAME]" as skopeo has it, or PATH[:NAME]: one of the whole name comes first. It need not be there. */
static void take_image(struct xl_config *c, const struct cfg_setting *s, struct xl_oci *o)
{
	const char *arg, *colon;
	char *file, here[PATH_MAX];

	if (s->list || !*s->v[0].text) {
		cfg_error(&c->tree, s, 0,
			  "expected an image's archive or directory: \"PATH\" or \"PATH:NAME\"");
		return;
	}
	arg = s->v[0].text;
	if (!strncmp(arg, "oci-archive:", 12))
		arg += 12;
	else if (!strncmp(arg, "oci:", 4))
		arg += 4;
	colon = strrchr(arg, ':');
	o->path = realpath(arg, NULL);
	if (!o->path && colon && colon > arg && !strchr(colon, '/')) {
		file = xl_sprintf("%.*s", (int)(colon - arg), arg);
		o->path = realpath(file, NULL);
		free(file);
		if (o->path)
			o->ref = words_copy(colon + 1);
	}
	if (!o->path)
		o->path = *arg == '/' || !getcwd(here, sizeof(here)) ?
				  words_copy(arg) :
				  xl_sprintf("%s/%s", here, arg);
	if (o->ref && strlen(o->ref) >= OCI_TEXT_BYTES)
		cfg_error(&c->tree, s, 0, "the image's name is longer than %d bytes",
			  OCI_TEXT_BYTES - 1);
	o->spec = o->ref ? xl_sprintf("%s:%s", o->path, o->ref) : words_copy(o->path);
}

/* One word of a static network. Its place in the node: "ADDRESS/BITS GATEWAY DNS ...", with - for no gateway. */
static bool network_word(char *word, char **address, char **gateway, char **dns)
{
	char **to = address, *slash, *end, *longer;
	struct in_addr in;
	unsigned long bits;

	if (!strncmp(word, "gateway=", 8)) {
		to = gateway;
		word += 8;
	} else if (!strncmp(word, "dns=", 4)) {
		to = dns;
		word += 4;
	}
	slash = to == address ? strchr(word, '/') : NULL;
	if (to == address) {
		bits = slash ? strtoul(slash + 1, &end, 10) : 0;
		if (!slash || !isdigit((unsigned char)slash[1]) || *end || !bits || bits > 32)
			return false;
		*slash = 0;
	}
	if (inet_pton(AF_INET, word, &in) != 1 || (*to && to != dns))
		return false;
	if (slash)
		*slash = '/';
	longer = *to ? xl_sprintf("%s %s", *to, word) : words_copy(word);
	free(*to);
	*to = longer;
	return true;
}

static void take_network(struct xl_config *c, const struct cfg_setting *s, struct xl_oci *o)
{
	char *text = NULL, *at, *word, *address = NULL, *gateway = NULL, *dns = NULL;
	bool ok = true;

	take_string(c, s, &text);
	if (text && !strcmp(text, "dhcp")) {
		o->network = text;
		return;
	}
	for (at = text; ok && at && (word = strsep(&at, ", "));)
		ok = !*word || network_word(word, &address, &gateway, &dns);
	if (text && (!ok || !address))
		cfg_error(&c->tree, s, 0,
			  "'%s' is neither dhcp nor like 10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.1",
			  s->v[0].text);
	else if (text)
		o->network = xl_sprintf("%s %s%s%s", address, gateway ? gateway : "-",
					dns ? " " : "", dns ? dns : "");
	free(address);
	free(gateway);
	free(dns);
	free(text);
}

void oci_key(struct xl_config *c, const struct cfg_setting *s)
{
	unsigned long n;
	struct xl_oci *o;

	if (!c->oci)
		c->oci = calloc(1, sizeof(*c->oci));
	o = c->oci;
	if (!o)
		abort();
	if (!strcmp(s->key, "oci"))
		take_image(c, s, o);
	else if (!strcmp(s->key, "oci_args"))
		take_list(c, s, &o->args, false);
	else if (!strcmp(s->key, "oci_env"))
		take_list(c, s, &o->env, true);
	else if (!strcmp(s->key, "oci_entrypoint"))
		take_string(c, s, &o->entrypoint);
	else if (!strcmp(s->key, "oci_user"))
		take_string(c, s, &o->user);
	else if (!strcmp(s->key, "oci_workdir"))
		take_string(c, s, &o->workdir);
	else if (!strcmp(s->key, "oci_root"))
		take_string(c, s, &o->root);
	else if (!strcmp(s->key, "oci_volumes"))
		take_list(c, s, &o->volumes, false);
	else if (!strcmp(s->key, "oci_hostname"))
		take_string(c, s, &o->hostname);
	else if (!strcmp(s->key, "oci_network"))
		take_network(c, s, o);
	else if (!strcmp(s->key, "oci_stop_timeout"))
		take_number(c, s, GRACE_MAX, &o->grace);
	else if (!strcmp(s->key, "oci_tty") && take_number(c, s, 1, &n))
		o->input = n ? words_copy("tty") : NULL;
	else if (!strcmp(s->key, "oci_read_only") && take_number(c, s, 1, &n))
		o->read_only = n;
}

void oci_free_texts(struct oci_texts *t)
{
	int i;

	for (i = 0; i < t->nr; i++)
		free(t->v[i]);
	free(t->v);
}

void oci_free(struct xl_config *c)
{
	struct xl_oci *o = c->oci;

	if (!o)
		return;
	oci_free_texts(&o->args);
	oci_free_texts(&o->env);
	oci_free_texts(&o->volumes);
	free(o->root);
	free(o->spec);
	free(o->path);
	free(o->ref);
	free(o->entrypoint);
	free(o->user);
	free(o->workdir);
	free(o->hostname);
	free(o->network);
	free(o->input);
	free(o);
	c->oci = NULL;
}

/* --- the guest that comes of it --------------------------------------------------------------- */

static void set_files(struct xl_config *c)
{
	struct cfg conf;

	settings_read(&conf, c->tree.log);
	if (!c->kernel)
		c->kernel = cfg_path(&conf, "oci_kernel", DEFAULT_KERNEL);
	c->ramdisk = cfg_path(&conf, "oci_ramdisk", DEFAULT_RAMDISK);
	cfg_free(&conf);
}

/* Read-only, so that many guests may have it. */
static void add_disk(struct xl_config *c)
{
	struct xl_disk *d;
	int i;

	for (i = 0; i < c->nr_disks; i++)
		if (!strcmp(c->disk[i].vdev, OCI_DISK))
			cfg_error(&c->tree, cfg_find(&c->tree, "disk"), c->disk[i].line,
				  "vdev " OCI_DISK " is the image's (oci)");
	c->disk = realloc(c->disk, ((size_t)c->nr_disks + 1) * sizeof(*c->disk));
	if (!c->disk)
		abort();
	d = &c->disk[c->nr_disks++];
	memset(d, 0, sizeof(*d));
	snprintf(d->vdev, sizeof(d->vdev), OCI_DISK);
	disk_devid(OCI_DISK, &d->devid);
	d->target = words_copy(c->oci->path);
	d->readonly = true;
}

/* What vif-nat gives a guest whose address is known. */
static char *nat_network(const struct xl_nic *n)
{
	const char *script = strrchr(n->script ? n->script : "", '/');
	struct in_addr in;
	uint8_t *b = (uint8_t *)&in.s_addr;

	script = script ? script + 1 : n->script;
	if (!script || strcmp(script, NAT) || !n->ip || inet_pton(AF_INET, n->ip, &in) != 1)
		return NULL;
	return xl_sprintf("%s/24 %u.%u.%u.%u", n->ip, b[0], b[1], b[2],
			  b[3] < 128 ? b[3] + NAT_AWAY : b[3] - NAT_AWAY);
}

static void set_network(struct xl_config *c)
{
	struct xl_oci *o = c->oci;

	if (!c->nr_nics && o->network)
		cfg_error(&c->tree, cfg_find(&c->tree, "oci_network"), 0,
			  "the guest has no interface (vif)");
	if (!c->nr_nics || o->network)
		return;
	o->network = nat_network(&c->nic[0]);
	if (!o->network)
		o->network = words_copy("dhcp");
}

/* The disk of that name, of @n bytes; NULL: there is none. */
static const struct xl_disk *find_disk(const struct xl_config *c, const char *vdev, size_t n)
{
	int i;

	for (i = 0; i < c->nr_disks; i++)
		if (strlen(c->disk[i].vdev) == n && !memcmp(c->disk[i].vdev, vdev, n))
			return &c->disk[i];
	return NULL;
}

static void check_root(struct xl_config *c)
{
	const struct cfg_setting *s = cfg_find(&c->tree, "oci_root");
	const char *vdev = c->oci->root;
	const struct xl_disk *d = vdev ? find_disk(c, vdev, strlen(vdev)) : NULL;

	if (vdev && !d)
		cfg_error(&c->tree, s, 0, "there is no disk %s", vdev);
	else if (vdev && d->readonly)
		cfg_error(&c->tree, s, 0, "disk %s is read-only", vdev);
}

/* "VDEV:/PATH[:ro]" */
static void check_volumes(struct xl_config *c)
{
	const struct cfg_setting *s = cfg_find(&c->tree, "oci_volumes");
	const struct oci_texts *t = &c->oci->volumes;
	int i;

	if (t->nr > OCI_VOLUMES)
		cfg_error(&c->tree, s, 0, "there are more than %d", OCI_VOLUMES);
	for (i = 0; i < t->nr; i++) {
		const char *text = t->v[i], *path = strchr(text, ':');
		const struct xl_disk *d = path ? find_disk(c, text, (size_t)(path - text)) : NULL;
		size_t n = strlen(text);

		if (!path || path[1] != '/')
			cfg_error(&c->tree, s, 0, "'%s' is not like xvdc:/data", text);
		else if (!d || !strncmp(text, OCI_DISK ":", strlen(OCI_DISK ":")))
			cfg_error(&c->tree, s, 0, "there is no such disk in '%s'", text);
		else if (d->readonly && strcmp(text + n - 3, ":ro"))
			cfg_error(&c->tree, s, 0, "disk %s is read-only: '%s:ro'", d->vdev, text);
	}
}

void oci_complete(struct xl_config *c)
{
	static const char *const not [] = { "ramdisk", "bootloader", "cmdline", "root" };
	const struct cfg_setting *extra = cfg_find(&c->tree, "extra"), *s;
	unsigned int i;

	if (!c->oci->path) {
		for (s = c->tree.first; s && strncmp(s->key, "oci", 3); s = s->next)
			;
		if (!c->tree.errors)
			cfg_error(&c->tree, s, 0, "there is no image: oci is missing");
		return;
	}
	for (i = 0; i < sizeof(not ) / sizeof(*not ); i++)
		if (cfg_find(&c->tree, not [i]))
			cfg_error(&c->tree, cfg_find(&c->tree, not [i]), 0,
				  "a guest that is an image (oci) has its own");
	free(c->cmdline);
	free(c->ramdisk);
	c->cmdline = xl_sprintf(CMDLINE "%s%s", extra ? " " : "",
				extra && !extra->list ? extra->v[0].text : "");
	if (strlen(c->cmdline) >= 1024)
		cfg_error(&c->tree, extra, 0,
			  "the kernel's command line is longer than 1023 bytes");
	set_files(c);
	if (!cfg_find(&c->tree, "memory"))
		c->memory = DEFAULT_MEMORY;
	add_disk(c);
	check_root(c);
	check_volumes(c);
	set_network(c);
}

static bool is_layout(const char *dir)
{
	char *file = xl_sprintf("%s/oci-layout", dir), *index = xl_sprintf("%s/index.json", dir);
	bool ok = !access(file, F_OK) && !access(index, F_OK);

	free(file);
	free(index);
	return ok;
}

int oci_check(struct xl_config *c)
{
	const char *path = c->oci ? c->oci->path : NULL;
	struct stat st;

	if (!path)
		return 0;
	if (stat(path, &st))
		config_error(c, "oci", 0, "%s: %s", path, strerror(errno));
	else if (S_ISDIR(st.st_mode) && !is_layout(path))
		config_error(c, "oci", 0, "%s is a directory without an OCI layout's files", path);
	else if (S_ISDIR(st.st_mode))
		return 0;
	else if (!S_ISREG(st.st_mode))
		config_error(c, "oci", 0, "%s is no regular file", path);
	else if (st.st_size % 512 || !st.st_size)
		config_error(c, "oci", 0, "%s is no tar archive: its length is no multiple of 512",
			     path);
	else
		return 0;
	return -1;
}
