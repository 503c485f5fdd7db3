// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's kernel from its own disk: dom0-tools/boot/init.c runs in a guest of its own and reads it there.
 * Owns that guest's life, and that nothing of it is left whatever ends its xl: its nodes say from its first moment on what it is
 * and where its files are, and these are locked as long as somebody waits for them (bootloader_dir.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../boot/result.h"
#include "bootloader.h"
#include "bootloader_dir.h"
#include "settings.h"
#include "xl.h"

#include <xen/sched.h>

#ifndef BOOTLOADER_WAIT_MS
#define BOOTLOADER_WAIT_MS 60000
#endif
#define LOOK_MS 10
#define NAME_END ".boot"
#define NAME_LONGEST 64
#define NAME_OWN 7 /* what makes it unique: boot_dir_make()'s ".XXXXXX" */
/* A reader's nodes: its directory, and the guest that it reads for. No guest can write there. */
#define READER_DIR XL_PRIVATE "/%u/bootloader"
#define READER_FOR XL_PRIVATE "/%u/bootloader-for"

#define DEFAULT_KERNEL "/images/boot/Image"
#define DEFAULT_RAMDISK "/images/boot/bootloader.cpio.gz"
#define DEFAULT_DIR "/images/.bootloader"
#define DEFAULT_LIMIT 128 /* MiB, of a kernel and of a ramdisk */
#define DEFAULT_TOTAL 1024 /* MiB, of all that is being read at a time */
#define MEMORY 96 /* MiB */

struct settings {
	char *kernel, *ramdisk, *dir;
	unsigned long limit, total;
};

/* The reader and what it leaves. */
struct reader {
	struct xl *xl;
	struct xl_config *cfg; /* of the guest that is to be started */
	struct settings set;
	struct xl_config own; /* of the throw-away guest */
	struct boot_dir dir;
	uint64_t limit; /* bytes of each file */
	struct boot_result result;
};

/* --- settings -------------------------------------------------------------------------------- */

/* @log: for what is wrong with them */
static void read_settings(struct settings *set, FILE *log)
{
	struct cfg conf;

	settings_read(&conf, log);
	set->kernel = cfg_path(&conf, "bootloader_kernel", DEFAULT_KERNEL);
	set->ramdisk = cfg_path(&conf, "bootloader_ramdisk", DEFAULT_RAMDISK);
	set->dir = cfg_path(&conf, "bootloader_dir", DEFAULT_DIR);
	set->limit = settings_number(&conf, "bootloader_limit", DEFAULT_LIMIT, SETTINGS_MAX_MIB);
	set->total = settings_number(&conf, "bootloader_total", DEFAULT_TOTAL, SETTINGS_MAX_MIB);
	cfg_free(&conf);
}

static void free_settings(struct settings *set)
{
	free(set->kernel);
	free(set->ramdisk);
	free(set->dir);
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

/* The guest's own, but that nobody writes to it. */
static void set_guests_disk(struct xl_disk *d, const struct xl_disk *guests)
{
	int i;

	set_disk(d, BOOT_DISK, xl_sprintf("%s", guests->target), true);
	d->format = guests->format;
	d->nr_backing = guests->nr_backing;
	d->backing = calloc(d->nr_backing + 1, sizeof(*d->backing));
	if (!d->backing)
		abort();
	for (i = 0; i < d->nr_backing; i++)
		d->backing[i] = xl_sprintf("%s", guests->backing[i]);
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
	const char *entry = r->cfg->bootloader_entry;
	char *word = encode(entry ? entry : "");
	unsigned int i;

	config_init(own, stderr);
	own->name = xl_sprintf("%s%s", strrchr(r->dir.path, '/') + 1, NAME_END);
	own->reader_dir = xl_sprintf("%s", r->dir.path);
	own->reader_for = xl_sprintf("%s", r->cfg->name);
	own->kernel = xl_sprintf("%s", r->set.kernel);
	own->ramdisk = xl_sprintf("%s", r->set.ramdisk);
	own->cmdline =
		xl_sprintf("console=hvc0 quiet rdinit=/init%s%s", entry ? " -- entry=" : "", word);
	own->memory = own->maxmem = MEMORY;
	own->maxvcpus = own->vcpus;
	own->max_event_channels = 64;
	own->disk = calloc(4, sizeof(*own->disk));
	if (!own->disk)
		abort();
	set_guests_disk(&own->disk[0], &r->cfg->disk[0]);
	for (i = 0; i < BOOT_FILES; i++)
		set_disk(&own->disk[i + 1], vdevs[i], boot_dir_file(&r->dir, i), false);
	own->nr_disks = 4;
	free(word);
}

/* Until it has ended. 0, or -1 after a message. */
static int await_end(struct reader *r, uint32_t domid, const uint8_t handle[16])
{
	int64_t end = xl_now() + BOOTLOADER_WAIT_MS;
	struct xen_domctl_getdomaininfo info;

	while (!xl_interrupted && xl_now() < end) {
		if (pv_domain_info(r->xl->pv, domid, &info) || memcmp(info.handle, handle, 16) ||
		    info.flags & XEN_DOMINF_dying)
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
		if (!access(XL_NO_RESTART, F_OK))
			return xl_error("%s: the host is going down: it is not started",
					r->cfg->name);
		xl_sleep(LOOK_MS);
	}
	if (xl_interrupted)
		return xl_error("interrupted");
	return xl_error("%s: bootloader: its disk was not read within %d s; see " XL_CONSOLE_LOG_DIR
			"/guest-%s.log",
			r->cfg->name, BOOTLOADER_WAIT_MS / 1000, r->own.name);
}

/* Lets it run, and waits; its lock is held at first. */
static int read_disk(struct reader *r, uint32_t domid, int domain_lock, const uint8_t handle[16])
{
	int rc;

	console_ready(r->xl, domid, 1000);
	rc = domain_start(r->xl, domid);
	if (rc)
		xl_error("'%s' cannot be unpaused: %s", r->own.name, strerror(-rc));
	xl_unlock_domain(domain_lock, domid);
	return rc ? -1 : await_end(r, domid, handle);
}

/* It goes, if nobody else has seen to that. */
static int end_reader(struct xl *xl, uint32_t domid, const uint8_t handle[16])
{
	int lock = xl_lock_domain(domid), rc = 0;

	if (domain_is(xl, domid, handle))
		rc = domain_destroy(xl, domid);
	xl_unlock_domain(lock, domid);
	return rc;
}

/* What it printed is of no use when it has found something, and each has a name of its own. */
static void remove_log(struct reader *r)
{
	char *path = xl_sprintf(XL_CONSOLE_LOG_DIR "/guest-%s.log", r->own.name);

	unlink(path);
	free(path);
}

/* As bootloader_fetch(), but for what was found. */
static int run(struct reader *r, int *lock)
{
	struct xen_domctl_getdomaininfo info;
	int rc, domain_lock;
	uint32_t domid;

	describe(r);
	rc = domain_create(r->xl, &r->own, *lock, &domid, &domain_lock);
	*lock = -1;
	if (rc) {
		xl_error("%s: bootloader: the guest that reads its disk cannot be made",
			 r->cfg->name);
		return rc;
	}
	if (pv_domain_info(r->xl->pv, domid, &info))
		memset(&info, 0, sizeof(info));
	rc = read_disk(r, domid, domain_lock, info.handle);
	/* Before it goes, so that nobody finds neither it nor the guest. */
	*lock = xl_lock();
	if (*lock < 0)
		rc = -1;
	/* The files are whole once its back ends have let go of them. */
	if (end_reader(r->xl, domid, info.handle))
		rc = -1;
	return rc;
}

/* --- what it found --------------------------------------------------------------------------- */

static int read_result(struct reader *r)
{
	struct boot_result *res = &r->result;
	char *path = boot_dir_file(&r->dir, BOOT_FILE_RESULT), *what;
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -1;

	if (fd < 0 || read(fd, res, sizeof(*res)) != (ssize_t)sizeof(*res)) {
		xl_error("%s: %s", path, strerror(errno));
	} else if (memcmp(res->magic, BOOT_RESULT_MAGIC, sizeof(res->magic)) ||
		   !memchr(res->cmdline, 0, sizeof(res->cmdline)) ||
		   !memchr(res->what, 0, sizeof(res->what)) ||
		   !memchr(res->kernel, 0, sizeof(res->kernel)) || res->kernel_bytes > r->limit ||
		   res->ramdisk_bytes > r->limit || (res->found && !res->kernel_bytes)) {
		xl_error("%s: bootloader: what '%s' left makes no sense", r->cfg->name,
			 r->own.name);
	} else if (!res->found) {
		what = xl_one_line(res->what);
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

/*
 * The file's first @bytes are what the guest wrote, and *out is its path; with 0 there is none. What is behind them, or was never
 * wanted, takes no room any more.
 */
static int cut(struct reader *r, int file, uint64_t bytes, char **out)
{
	char *path = boot_dir_file(&r->dir, file);

	if (truncate(path, (off_t)bytes)) {
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
	/* The file is gone when somebody asks: xl list -l shows where it was from. */
	free(cfg->bootloader_kernel);
	cfg->bootloader_kernel = xl_one_line(*r->result.kernel ? r->result.kernel : r->result.what);
	what = xl_one_line(r->result.what);
	fprintf(stderr, "%s: boots %s\n", cfg->name, what);
	free(what);
	return 0;
}

/* The configuration's, once all of it is there. */
static int use(struct reader *r)
{
	struct xl_config *cfg = r->cfg;

	if (read_result(r) || cut(r, BOOT_FILE_KERNEL, r->result.kernel_bytes, &cfg->kernel) ||
	    cut(r, BOOT_FILE_RAMDISK, r->result.ramdisk_bytes, &cfg->ramdisk) || set_cmdline(r))
		return -1;
	remove_log(r);
	cfg->bootloader_files = malloc(sizeof(*cfg->bootloader_files));
	if (!cfg->bootloader_files)
		abort();
	*cfg->bootloader_files = r->dir;
	r->dir.path = NULL;
	return 0;
}

int bootloader_fetch(struct xl *xl, struct xl_config *cfg, int *lock)
{
	struct reader r = { .xl = xl, .cfg = cfg };
	int rc;

	if (!cfg->bootloader)
		return 0;
	bootloader_discard(cfg);
	read_settings(&r.set, stderr);
	rc = boot_dir_room(r.set.dir, r.set.limit * PV_MIB, r.set.total * PV_MIB, &r.limit);
	if (!rc) {
		char *name = xl_sprintf("%.*s", (int)(NAME_LONGEST - NAME_OWN - strlen(NAME_END)),
					cfg->name);

		rc = boot_dir_make(r.set.dir, name, r.limit, &r.dir);
		free(name);
	}
	if (!rc)
		rc = run(&r, lock);
	if (!rc)
		rc = use(&r);
	boot_dir_remove(&r.dir);
	if (rc) {
		xl_unlock(*lock);
		*lock = -1;
	}
	config_free(&r.own);
	free_settings(&r.set);
	return rc;
}

void bootloader_discard(struct xl_config *cfg)
{
	if (cfg->bootloader_files)
		boot_dir_remove(cfg->bootloader_files);
	free(cfg->bootloader_files);
	cfg->bootloader_files = NULL;
}

bool bootloader_fits(struct xl *xl, const struct xl_config *cfg)
{
	struct xl_config own = { .maxmem = MEMORY };

	return !cfg->bootloader || domain_fits(xl, &own);
}

/* --- others' readers ------------------------------------------------------------------------- */

bool bootloader_is_reader(struct xl *xl, uint32_t domid)
{
	char *dir = st_read(xl, XBT_NULL, READER_DIR, domid);
	bool is = dir;

	free(dir);
	return is;
}

/* Does it read for @name (NULL: for anybody)? */
static bool reads_for(struct xl *xl, uint32_t domid, const char *name)
{
	char *whose = st_read(xl, XBT_NULL, READER_FOR, domid);
	bool is = whose && (!name || !strcmp(whose, name));

	free(whose);
	return is;
}

bool bootloader_reads_for(struct xl *xl, const char *name)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int n = pv_domain_list(xl->pv, &list), i;
	bool found = false;

	for (i = 0; i < n && !found; i++)
		found = reads_for(xl, list[i].domain, name);
	free(list);
	return found;
}

int bootloader_end(struct xl *xl, const char *name)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	int n, i, lock, ended = 0;
	uint32_t domid;

	/* A number stands for what is there, and needs no lock that others hold. */
	if (name && (domain_numbered(xl, name, &domid) || domain_named(xl, name, &domid)))
		return 0;
	/* One that is just being made has its nodes by then. */
	lock = xl_lock();
	n = pv_domain_list(xl->pv, &list);
	xl_unlock(lock);
	for (i = 0; i < n; i++) {
		domid = list[i].domain;
		if (!domid || list[i].flags & XEN_DOMINF_dying || !reads_for(xl, domid, name))
			continue;
		lock = xl_lock_domain(domid);
		if (lock >= 0 && domain_is(xl, domid, list[i].handle) &&
		    reads_for(xl, domid, name) && !domain_destroy(xl, domid))
			ended++;
		xl_unlock_domain(lock, domid);
	}
	free(list);
	return ended;
}

/* A reader that nobody waits for goes, then its files. False: it is still there. */
static bool end_stale(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *path = st_read(xl, XBT_NULL, READER_DIR, info->domain);
	struct boot_dir dir = { 0 };
	bool ended = true;
	int rc = path ? boot_dir_claim(path, &dir) : -EBUSY;

	/* Without its directory, too: whoever waits has it. */
	if (!rc || rc == -ENOENT) {
		xl_error("%s: the xl that waited for what domain %u finds was killed: both go",
			 path, info->domain);
		ended = !end_reader(xl, info->domain, info->handle);
		if (ended)
			boot_dir_remove(&dir);
		else
			xl_unlock(dir.path ? dir.fd : -1);
	}
	free(dir.path);
	free(path);
	return ended;
}

void bootloader_sweep(struct xl *xl)
{
	struct xen_domctl_getdomaininfo *list = NULL;
	FILE *quiet = fopen("/dev/null", "we");
	struct settings set;
	bool all = true;
	int n, i;

	read_settings(&set, quiet ? quiet : stderr);
	if (boot_dir_each(set.dir, NULL, NULL)) {
		n = pv_domain_list(xl->pv, &list);
		for (i = 0; i < n; i++)
			all &= !list[i].domain || end_stale(xl, &list[i]);
		/* Then no domain uses what nobody has locked. */
		if (n >= 0 && all && !xl_store_lost)
			boot_dir_each(set.dir, boot_dir_remove_left, NULL);
		free(list);
	}
	free_settings(&set);
	if (quiet)
		fclose(quiet);
}
