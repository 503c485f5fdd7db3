// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks as PV devices: what blkback and blkfront want to read in xenstore.
 * Owns the check of an image before there is a domain.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"

int device_check_disk(struct xl_config *cfg, const struct xl_disk *d)
{
	struct stat st;
	int fd;

	if (stat(d->target, &st)) {
		config_error(cfg, "disk", d->line, "%s: %s", d->target, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		config_error(cfg, "disk", d->line, "%s: neither a regular file nor a block device",
			     d->target);
		return -1;
	}
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
	close(fd);
	return 0;
}

static bool write_nodes(struct xl *xl, xs_transaction_t t, const void *of_kind, const char *fe,
			const char *be, const char *devid)
{
	const struct xl_disk *d = of_kind;
	bool ok;

	ok = st_write(xl, t, devid, "%s/virtual-device", fe);
	ok = ok && st_write(xl, t, "disk", "%s/device-type", fe);

	ok = ok && st_write(xl, t, d->target, "%s/params", be);
	ok = ok && st_write(xl, t, "0", "%s/removable", be);
	ok = ok && st_write(xl, t, "1", "%s/bootable", be);
	ok = ok && st_write(xl, t, d->vdev, "%s/dev", be);
	ok = ok && st_write(xl, t, "phy", "%s/type", be);
	ok = ok && st_write(xl, t, d->readonly ? "r" : "w", "%s/mode", be);
	return ok && st_write(xl, t, "disk", "%s/device-type", be);
}

const struct device_kind device_vbd = {
	.name = "vbd",
	.key = "disk",
	.driver = "xen-blkback",
	.start = "add",
	.stop = "remove",
	.write = write_nodes,
};

int device_add_disk(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_disk *d)
{
	const struct device_spec spec = {
		.devid = d->devid,
		.line = d->line,
		.label = d->target,
		.script = XL_SCRIPT_DIR "/block",
		.of_kind = d,
	};

	return device_add(xl, cfg, domid, &device_vbd, &spec);
}
