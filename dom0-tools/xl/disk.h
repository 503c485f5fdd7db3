/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One disk of a guest, as xl.cfg's disk = [ '...' ] states it (xl-disk-configuration(5)).
 * Owns the specification's two forms and the numbering of virtual devices.
 */
#ifndef XL_DISK_H
#define XL_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "disk_image.h"

struct xl_disk {
	enum image_format format;
	char **backing; /* what an image is based on, from it downwards: "[format:]path" */
	int nr_backing;
	char *target; /* a path, or whatever @script takes; NULL: a CD drive without a medium */
	char *script; /* absolute, or a name in the scripts' directory; NULL: block */
	char *backend; /* a driver domain's name or number; NULL: dom0 */
	char vdev[32]; /* as given */
	unsigned int devid; /* what the front end is called in xenstore */
	bool readonly;
	bool cdrom; /* read-only too; the medium can be changed */
	bool no_discard, direct_io_safe;
	int line; /* in the config, for messages */
};

/* 0, or -1 with a message in @msg. */
int disk_parse(const char *spec, struct xl_disk *d, char *msg, size_t size);
void disk_free(struct xl_disk *d);
/* The specification that means this disk, for messages and xl create -n. The caller frees. */
char *disk_format(const struct xl_disk *d);

/* "xvda1" → 51713. -1 when this is no name of a virtual device. */
int disk_devid(const char *vdev, unsigned int *devid);

#endif /* XL_DISK_H */
