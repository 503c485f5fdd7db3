// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's kernel from its own disk: dom0-tools/boot/init.c runs in a guest of its own and reads it there.
 * Owns that guest's life and the files that it fills: three disks, of which one has what was found (boot/result.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../boot/result.h"
#include "bootloader.h"
#include "xl.h"

#include <xen/sched.h>

#ifndef BOOTLOADER_WAIT_MS
#define BOOTLOADER_WAIT_MS 60000
#endif
#define LOOK_MS 10
#define NAME_END ".boot"
#define NAME_LONGEST 64

#define DEFAULT_KERNEL "/images/boot/Image"
#define DEFAULT_RAMDISK "/images/boot/bootloader.cpio.gz"
#define DEFAULT_DIR "/images/.bootloader"
#define DEFAULT_LIMIT 128 /* MiB, of a kernel and of a ramdisk */
#define MEMORY 96 /* MiB */

struct settings {
	char *kernel, *ramdisk, *dir;
	unsigned long limit;
};

/* The reader and what it leaves. */
struct reader {
	struct xl *xl;
	struct xl_config *cfg; /* of the guest that is to be started */
	struct settings set;
	struct xl_config own; /* of the throw-away guest */
	char *dir; /* of the three files */
	struct boot_result result;
};

/* --- settings -------------------------------------------------------------------------------- */

static void get_path(struct cfg *conf, const char *key, const char *def, char **out)
{
	const struct cfg_setting *s = cfg_find(conf, key);

	if (s && (s->list || s->v[0].text[0] != '/')) {
		cfg_error(conf, s, 0, "not a path from the root; %s is used", def);
		s = NULL;
	}
	*out = xl_sprintf("%s", s ? s->v[0].text : def);
}

static void read_settings(struct settings *set)
{
	const struct cfg_setting *s;
	struct cfg conf;
	char *end = "";

	cfg_init(&conf, stderr);
	if (!access(XL_CONF, F_OK))
		cfg_parse_file(&conf, XL_CONF);
	get_path(&conf, "bootloader_kernel", DEFAULT_KERNEL, &set->kernel);
	get_path(&conf, "bootloader_ramdisk", DEFAULT_RAMDISK, &set->ramdisk);
	get_path(&conf, "bootloader_dir", DEFAULT_DIR, &set->dir);
	set->limit = DEFAULT_LIMIT;
	s = cfg_find(&conf, "bootloader_limit");
	if (s) {
		if (!s->list)
			set->limit = strtoul(s->v[0].text, &end, 10);
		if (s->list || *end || !set->limit || set->limit > 1ul << 20) {
			cfg_error(&conf, s, 0, "not a number of MiB; %u is used", DEFAULT_LIMIT);
			set->limit = DEFAULT_LIMIT;
		}
	}
	cfg_free(&conf);
}

static void free_settings(struct settings *set)
{
	free(set->kernel);
	free(set->ramdisk);
	free(set->dir);
}

/* --- files ----------------------------------------------------------------------------------- */

static const char *const files[] = { "kernel", "ramdisk", "result" };

static void remove_files(const char *dir)
{
	unsigned int i;
	char *path;

	for (i = 0; dir && i < pv_container_size(files); i++) {
		path = xl_sprintf("%s/%s", dir, files[i]);
		unlink(path);
		free(path);
	}
	if (dir)
		rmdir(dir);
}

/* Sparse: the guest decides how much of them is used, up to the limit. */
static int make_file(const char *path, off_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc;

	rc = fd < 0 || ftruncate(fd, bytes) ? -1 : 0;
	if (rc)
		xl_error("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

static int make_files(struct reader *r)
{
	off_t limit = (off_t)r->set.limit << 20;
	unsigned int i;
	int rc = 0;

	if (mkdir(r->set.dir, 0700) && errno != EEXIST)
		return xl_error("%s: %s; bootloader_dir in %s may name another place", r->set.dir,
				strerror(errno), XL_CONF);
	r->dir = xl_sprintf("%s/%s.XXXXXX", r->set.dir, r->cfg->name);
	if (!mkdtemp(r->dir)) {
		xl_error("%s: %s", r->set.dir, strerror(errno));
		free(r->dir);
		r->dir = NULL;
		return -1;
	}
	for (i = 0; !rc && i < pv_container_size(files); i++) {
		char *path = xl_sprintf("%s/%s", r->dir, files[i]);

		rc = make_file(path, i == 2 ? BOOT_RESULT_BYTES : limit);
		free(path);
	}
	return rc;
}

/* --- the throw-away guest -------------------------------------------------------------------- */

static void set_disk(struct xl_disk *d, const char *vdev, char *target, bool readonly)
{
	memset(d, 0, sizeof(*d));
	snprintf(d->vdev, sizeof(d->vdev), "%s", vdev);
	disk_devid(vdev, &d->devid);
	d->target = target;
	d->readonly = readonly;
}

/* As bytes that are one word on a kernel's command line. */
static char *encode(const char *text)
{
	char *out = malloc(3 * strlen(text) + 1), *to = out;

	if (!out)
		abort();
	for (; *text; text++) {
		if (strchr(" \t\"%", *text) || (unsigned char)*text < ' ')
			to += sprintf(to, "%%%02x", (unsigned char)*text);
		else
			*to++ = *text;
	}
	*to = 0;
	return out;
}

static void describe(struct reader *r)
{
	static const char *const vdevs[] = { BOOT_DISK_KERNEL, BOOT_DISK_RAMDISK,
					     BOOT_DISK_RESULT };
	struct xl_config *own = &r->own;
	const char *name = r->cfg->name, *entry = r->cfg->bootloader_entry;
	char *word = encode(entry ? entry : "");
	unsigned int i;

	memset(own, 0, sizeof(*own));
	cfg_init(&own->tree, stderr);
	own->name = xl_sprintf("%.*s%s", (int)(NAME_LONGEST - strlen(NAME_END)), name, NAME_END);
	own->kernel = xl_sprintf("%s", r->set.kernel);
	own->ramdisk = xl_sprintf("%s", r->set.ramdisk);
	own->cmdline =
		xl_sprintf("console=hvc0 quiet rdinit=/init%s%s", entry ? " -- entry=" : "", word);
	own->memory = own->maxmem = MEMORY;
	own->vcpus = own->maxvcpus = 1;
	own->max_event_channels = 64;
	own->disk = calloc(4, sizeof(*own->disk));
	if (!own->disk)
		abort();
	set_disk(&own->disk[0], BOOT_DISK, xl_sprintf("%s", r->cfg->disk[0].target), true);
	for (i = 0; i < pv_container_size(files); i++)
		set_disk(&own->disk[i + 1], vdevs[i], xl_sprintf("%s/%s", r->dir, files[i]), false);
	own->nr_disks = 4;
	free(word);
}

/* One that was left when its xl was killed: it has ended, and nobody waits for it. */
static void remove_old(struct reader *r)
{
	struct xen_domctl_getdomaininfo info;
	uint32_t domid;
	int lock;

	if (!domain_named(r->xl, r->own.name, &domid) ||
	    st_read_long(r->xl, XL_PRIVATE "/%u/bootloader", domid) != 1)
		return;
	lock = xl_lock_domain(domid);
	if (lock >= 0 && st_read_long(r->xl, XL_PRIVATE "/%u/bootloader", domid) == 1 &&
	    !pv_domain_info(r->xl->pv, domid, &info) && info.flags & XEN_DOMINF_shutdown)
		domain_destroy(r->xl, domid);
	xl_unlock_domain(lock, domid);
}

/* Until it has ended. 0, or -1 after a message. */
static int await_end(struct reader *r, uint32_t domid)
{
	int64_t end = xl_now() + BOOTLOADER_WAIT_MS;
	struct xen_domctl_getdomaininfo info;

	while (!xl_interrupted && xl_now() < end) {
		if (pv_domain_info(r->xl->pv, domid, &info) || (info.flags & XEN_DOMINF_dying))
			return xl_error("%s: bootloader: '%s' was destroyed", r->cfg->name,
					r->own.name);
		if (info.flags & XEN_DOMINF_shutdown) {
			if (domain_reason(&info) == SHUTDOWN_poweroff)
				return 0;
			return xl_error("%s: bootloader: the guest that reads its disk ended (%s); "
					"see " XL_CONSOLE_LOG_DIR "/guest-%s.log",
					r->cfg->name, shutdown_reason(domain_reason(&info)),
					r->own.name);
		}
		xl_sleep(LOOK_MS);
	}
	if (xl_interrupted)
		return xl_error("interrupted");
	return xl_error("%s: bootloader: its disk was not read within %d s", r->cfg->name,
			BOOTLOADER_WAIT_MS / 1000);
}

static int run(struct reader *r)
{
	uint32_t domid;
	int lock, rc;

	describe(r);
	remove_old(r);
	lock = xl_lock();
	if (lock < 0)
		return -1;
	if (domain_create(r->xl, &r->own, lock, &domid, &lock))
		return xl_error("%s: bootloader: the guest that reads its disk cannot be made",
				r->cfg->name);
	st_write(r->xl, XBT_NULL, "1", XL_PRIVATE "/%u/bootloader", domid);
	console_ready(r->xl, domid, 1000);
	rc = domain_start(r->xl, domid);
	if (rc)
		xl_error("'%s' cannot be unpaused: %s", r->own.name, strerror(-rc));
	xl_unlock_domain(lock, domid);
	if (!rc)
		rc = await_end(r, domid);
	lock = xl_lock_domain(domid);
	/* The files are whole once its back ends have let go of them. */
	if (domain_destroy(r->xl, domid))
		rc = -1;
	xl_unlock_domain(lock, domid);
	return rc ? -1 : 0;
}

/* --- what it found --------------------------------------------------------------------------- */

/* Another guest's bytes, for a message; the caller frees. */
static char *shown(const char *text)
{
	char *out = pv_text_show(text, strlen(text));

	if (!out)
		abort();
	return out;
}

static int read_result(struct reader *r)
{
	struct boot_result *res = &r->result;
	char *path = xl_sprintf("%s/result", r->dir), *what;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;
	uint64_t limit = (uint64_t)r->set.limit << 20;

	if (fd < 0 || read(fd, res, sizeof(*res)) != (ssize_t)sizeof(*res)) {
		xl_error("%s: %s", path, strerror(errno));
	} else if (memcmp(res->magic, BOOT_RESULT_MAGIC, sizeof(res->magic)) ||
		   !memchr(res->cmdline, 0, sizeof(res->cmdline)) ||
		   !memchr(res->what, 0, sizeof(res->what)) || res->kernel_bytes > limit ||
		   res->ramdisk_bytes > limit || (res->found && !res->kernel_bytes)) {
		xl_error("%s: bootloader: what '%s' left makes no sense", r->cfg->name,
			 r->own.name);
	} else if (!res->found) {
		what = shown(res->what);
		config_error(r->cfg, "bootloader", 0, "%s: no kernel: %s", r->cfg->disk[0].target,
			     what);
		free(what);
	} else {
		rc = 0;
	}
	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

/* The file's first @bytes are what the guest wrote, and *out is its path; with 0 there is none. */
static int cut(struct reader *r, const char *file, uint64_t bytes, char **out)
{
	char *path = xl_sprintf("%s/%s", r->dir, file);

	if (bytes && truncate(path, (off_t)bytes)) {
		xl_error("%s: %s", path, strerror(errno));
		free(path);
		return -1;
	}
	free(*out);
	*out = bytes ? path : NULL;
	if (!bytes)
		free(path);
	return 0;
}

/* The menu's command line, and what the configuration has beside it. */
static int set_cmdline(struct reader *r)
{
	struct xl_config *cfg = r->cfg;
	const char *more = cfg->bootloader_extra ? cfg->bootloader_extra : "";
	char *line = xl_sprintf("%s%s%s", r->result.cmdline, *more ? " " : "", more), *what;

	if (strlen(line) >= BOOT_CMDLINE) {
		free(line);
		return xl_error("%s: bootloader: the command line is longer than %d bytes",
				cfg->name, BOOT_CMDLINE - 1);
	}
	free(cfg->cmdline);
	cfg->cmdline = line;
	what = shown(r->result.what);
	fprintf(stderr, "%s: boots %s\n", cfg->name, what);
	free(what);
	return 0;
}

int bootloader_fetch(struct xl *xl, struct xl_config *cfg)
{
	struct reader r = { .xl = xl, .cfg = cfg };
	int rc;

	if (!cfg->bootloader)
		return 0;
	bootloader_discard(cfg);
	read_settings(&r.set);
	rc = make_files(&r);
	if (!rc)
		rc = run(&r);
	if (!rc)
		rc = read_result(&r);
	if (!rc && (cut(&r, "kernel", r.result.kernel_bytes, &cfg->kernel) ||
		    cut(&r, "ramdisk", r.result.ramdisk_bytes, &cfg->ramdisk) || set_cmdline(&r)))
		rc = -1;
	if (rc) {
		remove_files(r.dir);
		free(r.dir);
	} else {
		cfg->bootloader_files = r.dir;
	}
	config_free(&r.own);
	free_settings(&r.set);
	return rc;
}

void bootloader_discard(struct xl_config *cfg)
{
	remove_files(cfg->bootloader_files);
	free(cfg->bootloader_files);
	cfg->bootloader_files = NULL;
}
