// SPDX-License-Identifier: BSD-2-Clause
/* The disks that a guest can write to (written.h). */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "device.h"
#include "written.h"

/* NULL: it is a raw file of dom0's, whose path is in *@real; or why not. The caller frees both. */
static char *find_file(const struct xl_disk *d, char **real)
{
	struct stat st;

	*real = NULL;
	if (d->backend)
		return xl_sprintf("it is a driver domain's");
	if (d->script)
		return xl_sprintf("it is a script's");
	if (d->format != IMAGE_RAW)
		return xl_sprintf("it is an image (%s)", image_format_name(d->format));
	*real = realpath(d->target, NULL);
	if (!*real || stat(*real, &st))
		return xl_sprintf("%s: %s", d->target, strerror(errno));
	return S_ISREG(st.st_mode) ? NULL : xl_sprintf("%s is a device", d->target);
}

static int look_at(const char *guest, const struct xl_disk *d, const char *what,
		   int (*add)(void *ctx, const char *vdev, const char *target, const char *given),
		   void *ctx)
{
	char *real, *why;
	int rc;

	if (!d->target || d->readonly || d->cdrom)
		return 0;
	why = find_file(d, &real);
	rc = why ? xl_error("disk %s of '%s': %s; only raw files can %s", d->vdev, guest, why,
			    what) :
		   add(ctx, d->vdev, real, d->target);
	free(why);
	free(real);
	return rc;
}

int written_disks(struct xl *xl, uint32_t domid, const char *guest, const char *what,
		  int (*add)(void *ctx, const char *vdev, const char *target, const char *given),
		  void *ctx)
{
	unsigned int n, i;
	char **dev = st_list(xl, &n, XL_PRIVATE "/%u/device/vbd", domid), *spec;
	char msg[300] = "";
	struct xl_disk d;
	int rc = 0;

	for (i = 0; i < n && !rc; i++) {
		spec = st_read(xl, XBT_NULL, XL_SPEC, domid, "vbd", (unsigned int)atoi(dev[i]));
		if (!spec || disk_parse(spec, &d, msg, sizeof(msg))) {
			rc = xl_error("disk %s of '%s': %s", dev[i], guest,
				      spec ? msg : "it is not known what it was made from");
		} else {
			rc = look_at(guest, &d, what, add, ctx);
			disk_free(&d);
		}
		free(spec);
	}
	free(dev);
	return rc;
}
