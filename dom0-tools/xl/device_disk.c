// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks as PV devices: what blkback and blkfront want to read in xenstore.
 * Owns the check of an image before there is a domain, and that nobody else has its bytes: what each disk
 * stands for (sharing.c) is the node sharing-key in its back end's directory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "image_server.h"
#include "sharing.h"

#define BACKENDS "/local/domain/0/backend/vbd"

/* A disk that is being made. Of what its own script makes is known only afterwards whose bytes it has. */
struct disk {
	const struct xl_disk *d;
	struct sharing sharing; /* of dom0's */
	uint32_t backend; /* a driver domain; 0: dom0 */
};

static char *script_path(const struct xl_disk *d)
{
	const char *name = d->script ? d->script : d->format == IMAGE_RAW ? "block" : IMAGE_SCRIPT;

	return *name == '/' ? xl_sprintf("%s", name) : xl_sprintf(XL_SCRIPT_DIR "/%s", name);
}

static int check_script(struct xl_config *cfg, const struct xl_disk *d)
{
	char *script = script_path(d);
	int rc = access(script, X_OK);

	if (rc)
		config_error(cfg, "disk", d->line, "the script %s cannot be run: %s", script,
			     strerror(errno));
	free(script);
	return rc;
}

/* A guest sees the bytes of the file as they are, and would find no disk in these. */
static void warn_of_format(struct xl_config *cfg, const struct xl_disk *d, int fd)
{
	static const struct {
		const char *name, *magic;
	} formats[] = {
		{ "qcow2", "QFI\xfb" }, { "vmdk", "KDMV" },	{ "vmdk", "# Disk D" },
		{ "vdi", "<<< " },	{ "vhdx", "vhdxfile" }, { "vhd", "conectix" },
	};
	char head[8] = "";
	unsigned int i;

	if (pread(fd, head, sizeof(head), 0) != sizeof(head))
		return;
	for (i = 0; i < pv_container_size(formats); i++)
		if (!memcmp(head, formats[i].magic, strlen(formats[i].magic)))
			cfg_warn(&cfg->tree, cfg_find(&cfg->tree, "disk"), d->line,
				 "%s begins as a %s image does, and the guest gets it as it is: "
				 "format= or qemu-img convert -O raw is for what is in it",
				 d->target, formats[i].name);
}

/* An image and what it is based on: all that nobody but the configuration says. */
static int check_image(struct xl_config *cfg, const struct xl_disk *d)
{
	struct image_chain chain;
	char msg[512], *root;
	int rc = image_chain_open(&chain, d->target, d->format, d->readonly, d->backing,
				  d->nr_backing, msg, sizeof(msg));

	image_chain_close(&chain);
	root = rc ? NULL : image_qemu(msg, sizeof(msg));
	if (!rc && !root)
		rc = -1;
	free(root);
	if (rc)
		config_error(cfg, "disk", d->line, "%s", msg);
	return rc;
}

int device_check_disk(struct xl_config *cfg, const struct xl_disk *d)
{
	struct stat st;
	int fd;

	/* A driver domain's scripts, files and devices are its own. */
	if (d->backend)
		return 0;
	if (d->script)
		return check_script(cfg, d);
	if (!d->target)
		return 0;
	if (stat(d->target, &st)) {
		config_error(cfg, "disk", d->line, "%s: %s", d->target, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		config_error(cfg, "disk", d->line, "%s: neither a regular file nor a block device",
			     d->target);
		return -1;
	}
	if (d->format != IMAGE_RAW)
		return check_image(cfg, d);
	if (S_ISREG(st.st_mode) && st.st_size < 512) {
		config_error(cfg, "disk", d->line, "%s: too small for a disk (%lld bytes)",
			     d->target, (long long)st.st_size);
		return -1;
	}
	/* Opening finds read-only file systems and dead devices; nothing is written. */
	fd = open(d->target, (d->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		config_error(cfg, "disk", d->line, "%s: cannot open for %s: %s", d->target,
			     d->readonly ? "reading" : "writing", strerror(errno));
		return -1;
	}
	warn_of_format(cfg, d, fd);
	close(fd);
	return 0;
}

static bool write_nodes(struct xl *xl, xs_transaction_t t, const void *of_kind, const char *fe,
			const char *be, const char *devid)
{
	const struct disk *disk = of_kind;
	const struct xl_disk *d = disk->d;
	char *key = disk->sharing.nr ? sharing_key(&disk->sharing) : NULL;
	bool ok;
	int i;

	ok = st_write(xl, t, devid, "%s/virtual-device", fe);
	/* Of a CD, too: Linux's front end leaves those to an emulated drive, which there is none of. */
	ok = ok && st_write(xl, t, "disk", "%s/device-type", fe);

	ok = ok && st_write(xl, t, d->target, "%s/params", be);
	ok = ok && st_write(xl, t, d->cdrom ? "1" : "0", "%s/removable", be);
	ok = ok && st_write(xl, t, "1", "%s/bootable", be);
	ok = ok && st_write(xl, t, d->vdev, "%s/dev", be);
	ok = ok && st_write(xl, t, "phy", "%s/type", be);
	ok = ok && st_write(xl, t, d->readonly ? "r" : "w", "%s/mode", be);
	ok = ok && st_write(xl, t, d->no_discard ? "0" : "1", "%s/discard-enable", be);
	ok = ok && st_write(xl, t, d->direct_io_safe ? "1" : "0", "%s/direct-io-safe", be);
	if (key)
		ok = ok && st_write(xl, t, key, "%s/sharing-key", be);
	if (d->format != IMAGE_RAW)
		ok = ok &&
		     st_write(xl, t, image_format_name(d->format), "%s/" IMAGE_FORMAT_NODE, be);
	for (i = 0; i < d->nr_backing; i++)
		ok = ok && st_write(xl, t, d->backing[i], "%s/" IMAGE_BACKING_NODE "/%d", be, i);
	free(key);
	return ok && st_write(xl, t, d->cdrom ? "cdrom" : "disk", "%s/device-type", be);
}

/* Has the back end @be the same bytes, and one of the two writes? Then the sentence about it. */
static char *clash(struct xl *xl, const struct disk *disk, const char *domid, const char *be)
{
	char *key = st_read(xl, XBT_NULL, "%s/sharing-key", be);
	char *mode = st_read(xl, XBT_NULL, "%s/mode", be), *params, *name, *why = NULL;

	if (key &&
	    sharing_clash(&disk->sharing, disk->d->readonly, key, mode && !strcmp(mode, "r"))) {
		params = st_read(xl, XBT_NULL, "%s/params", be);
		name = domain_name(xl, atoi(domid));
		why = xl_sprintf("in use by domain '%s'%s%s%s; only readers can share a disk",
				 name ? name : domid,
				 params && strcmp(params, disk->d->target) ? " (as " : "",
				 params && strcmp(params, disk->d->target) ? params : "",
				 params && strcmp(params, disk->d->target) ? ")" : "");
		free(params);
		free(name);
	}
	free(mode);
	free(key);
	return why;
}

/*
 * The kernel lets one alone have a device exclusively: this finds mounts in other namespaces and drivers
 * that sysfs does not show. Back ends of guests do not count there.
 */
static bool held_by_kernel(const struct xl_disk *d)
{
	struct stat st;
	int fd;

	if (d->readonly || d->script || stat(d->target, &st) || !S_ISBLK(st.st_mode))
		return false;
	fd = open(d->target, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == EBUSY;
	close(fd);
	return false;
}

/* Of which domain but @except (0: none) is it already? A sentence's end, or NULL. The caller frees. */
static char *clash_of_any(struct xl *xl, const struct disk *disk, uint32_t except)
{
	unsigned int doms, devs, i, j;
	char **dom, **dev, *be, *why = NULL;

	dom = st_list(xl, &doms, BACKENDS);
	for (i = 0; !why && i < doms; i++) {
		if (except && strtoul(dom[i], NULL, 10) == except)
			continue;
		dev = st_list(xl, &devs, BACKENDS "/%s", dom[i]);
		for (j = 0; !why && j < devs; j++) {
			be = xl_sprintf(BACKENDS "/%s/%s", dom[i], dev[j]);
			why = clash(xl, disk, dom[i], be);
			free(be);
		}
		free(dev);
	}
	free(dom);
	return why;
}

static char *refuse(struct xl *xl, const void *of_kind)
{
	const struct disk *disk = of_kind;
	char *why;

	if (disk->backend)
		return driver_disk_clash(xl, disk->backend, disk->d->target, disk->d->readonly);
	why = clash_of_any(xl, disk, 0);
	if (!why)
		why = sharing_dom0_use(&disk->sharing, disk->d->readonly);
	if (!why && held_by_kernel(disk->d))
		why = xl_sprintf("dom0's kernel has it for itself (a mount in another namespace?)");
	return why;
}

char *device_disk_used(struct xl *xl, const char *path, uint32_t except)
{
	struct xl_disk d = { .format = IMAGE_RAW, .target = (char *)path };
	struct disk disk = { .d = &d };
	char *why = NULL;

	if (!sharing_of_path(path, &disk.sharing)) {
		why = clash_of_any(xl, &disk, except);
		if (!why && !except)
			why = refuse(xl, &disk);
	}
	sharing_free(&disk.sharing);
	return why;
}

const struct device_kind device_vbd = {
	.name = "vbd",
	.key = "disk",
	.driver = "xen-blkback",
	.start = "add",
	.stop = "remove",
	.stays = true,
	.refuse = refuse,
	.write = write_nodes,
};

/*
 * A script of the administrator's own has made the device: whose bytes it has is looked up now. The guest does not run
 * meanwhile, so nothing has been written to a disk that turns out to be another's.
 */
static int check_made(struct xl *xl, struct xl_config *cfg, uint32_t domid, struct disk *disk)
{
	const struct xl_disk *d = disk->d;
	char *numbers = st_read(xl, XBT_NULL, BACKENDS "/%u/%u/physical-device", domid, d->devid);
	char *why = NULL, *key;
	unsigned int maj, min;
	int lock, rc = -1;

	if (!numbers || sscanf(numbers, "%x:%x", &maj, &min) != 2)
		why = xl_sprintf("%s has written no physical-device", d->script);
	free(numbers);
	lock = xl_lock_devices();
	if (!why && lock >= 0) {
		sharing_of_device(makedev(maj, min), &disk->sharing);
		why = refuse(xl, disk);
	}
	if (!why && lock >= 0) {
		key = sharing_key(&disk->sharing);
		rc = st_write(xl, XBT_NULL, key, BACKENDS "/%u/%u/sharing-key", domid, d->devid) ?
			     0 :
			     xl_error("cannot write to xenstore: %s", strerror(errno));
		free(key);
	}
	xl_unlock(lock);
	if (why)
		config_error(cfg, "disk", d->line, "%s: %s", d->target, why);
	free(why);
	return rc;
}

/* Its file's bytes, and those that an image is based on. 0 or -errno. */
static int find_sharing(const struct xl_disk *d, struct sharing *s)
{
	enum image_format format;
	struct stat st;
	int rc = sharing_of_path(d->target, s), i;

	for (i = 0; !rc && i < d->nr_backing; i++) {
		if (stat(image_backing_path(d->backing[i], &format), &st))
			rc = -errno;
		else
			sharing_add_base(s, &st);
	}
	return rc;
}

/* The device's first: what device.c has of it is what this has. */
struct disk_work {
	struct device_work w;
	struct disk disk;
	char *script;
};

static void release(struct device_work *w)
{
	struct disk_work *dw = (struct disk_work *)w;

	sharing_free(&dw->disk.sharing);
	free(dw->script);
	free(dw);
}

static int made(struct xl *xl, struct xl_config *cfg, struct device_work *w)
{
	struct disk_work *dw = (struct disk_work *)w;

	return dw->disk.d->script && !w->d.backend ? check_made(xl, cfg, w->d.domid, &dw->disk) : 0;
}

/* 0 or -1 */
static int begin_medium(struct xl *xl, struct xl_config *cfg, uint32_t domid,
			const struct xl_disk *d, struct device_work **w)
{
	struct disk_work *dw = calloc(1, sizeof(*dw));
	int rc = 0;

	if (!dw)
		abort();
	dw->script = script_path(d);
	dw->disk.d = d;
	dw->w = (struct device_work){
		.kind = &device_vbd,
		.spec = { .devid = d->devid,
			  .line = d->line,
			  .label = d->target,
			  .text = disk_format(d),
			  .script = dw->script,
			  .of_kind = &dw->disk },
		.made = made,
		.release = release,
	};
	if (d->backend) {
		rc = driver_find(xl, cfg, "disk", d->line, d->backend, &dw->disk.backend);
	} else if (!d->script) {
		rc = find_sharing(d, &dw->disk.sharing);
		if (rc)
			config_error(cfg, "disk", d->line, "%s: %s", d->target, strerror(-rc));
	}
	dw->w.spec.backend = dw->disk.backend;
	if (rc) {
		free(dw->w.spec.text);
		release(&dw->w);
		return -1;
	}
	if (device_begin(xl, cfg, domid, &dw->w))
		return -1;
	*w = &dw->w;
	return 0;
}

int device_begin_disk(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_disk *d,
		      struct device_work **w)
{
	*w = NULL;
	if (d->cdrom && !st_write(xl, XBT_NULL, d->vdev, XL_CDROM "/%u", domid, d->devid))
		return xl_error("cannot write disk %s to xenstore: %s", d->vdev, strerror(errno));
	return d->target ? begin_medium(xl, cfg, domid, d, w) : 0;
}

int device_add_disk(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_disk *d)
{
	struct device_work *w;

	if (device_begin_disk(xl, cfg, domid, d, &w))
		return -1;
	return w ? device_end(xl, cfg, &w, 1) : 0;
}
