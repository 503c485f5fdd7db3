// SPDX-License-Identifier: BSD-2-Clause
/*
 * The disks of a guest that moves to another host, which is to find on them all that the guest has written (migrate.h).
 * Owns that nothing of this host's is written to them once the other one may. What is on its way is what the kernel counts of the
 * device below the back end; a request that still lies in the ring is one that its thread was woken for, so it is seen to have
 * nothing several times in a row. That is no proof, as unbinding the driver would be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "migrate.h"

#ifndef XL_SYS_BLOCK
#define XL_SYS_BLOCK "/sys/dev/block"
#endif
/* The slowest disk is waited for so long; then the guest goes on where it is. */
#ifndef DISKS_MS
#define DISKS_MS 5000
#endif
#define LOOKS 5 /* in a row, of all disks */
#define LOOK_MS 10

static int check_one(struct xl *xl, uint32_t domid, const char *dev, const char *name)
{
	char *spec = st_read(xl, XBT_NULL, XL_SPEC, domid, "vbd", (unsigned int)atoi(dev)),
	     msg[300] = "";
	struct xl_disk d;
	int rc = 0;

	if (!spec)
		return xl_error("it is not known what disk %s of '%s' was made from", dev, name);
	if (disk_parse(spec, &d, msg, sizeof(msg))) {
		rc = xl_error("disk %s of '%s': %s", dev, name, msg);
	} else {
		if (d.backend)
			rc = xl_error("disk %s of '%s' is of driver domain %s: such guests cannot "
				      "be moved yet",
				      d.vdev, name, d.backend);
		else if (d.format != IMAGE_RAW)
			rc = xl_error("disk %s of '%s' is an image (%s), which two hosts cannot "
				      "have at once: only raw ones can be moved yet",
				      d.vdev, name, image_format_name(d.format));
		disk_free(&d);
	}
	free(spec);
	return rc;
}

int drain_check(struct xl *xl, uint32_t domid, const char *name)
{
	unsigned int n, i;
	char **dev = st_list(xl, &n, XL_PRIVATE "/%u/device/vbd", domid);
	int rc = 0;

	for (i = 0; i < n && !rc; i++)
		rc = check_one(xl, domid, dev[i], name);
	free(dev);
	return rc;
}

/* A number in a file of the device's; of a partition's queue it is its disk's. -1: there is none. */
static long read_number(unsigned int major, unsigned int minor, const char *file)
{
	char *path = xl_sprintf(XL_SYS_BLOCK "/%u:%u/%s", major, minor, file);
	FILE *f = fopen(path, "re");
	long n = -1;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = -1;
	if (f)
		fclose(f);
	free(path);
	return n;
}

/* Who has the device's statistics off (queue/iostats) sees none of its requests counted, however many there are. */
static bool counts(unsigned int major, unsigned int minor)
{
	long on = read_number(major, minor, "queue/iostats");

	return (on < 0 ? read_number(major, minor, "../queue/iostats") : on) > 0;
}

/* How many requests the kernel has given to the device and not heard of. -1: it cannot be seen. */
static long in_flight(struct xl *xl, const char *be)
{
	char *numbers = st_read(xl, XBT_NULL, "%s/physical-device", be), *path;
	unsigned int major, minor;
	long reads = 0, writes = -1;
	FILE *f;

	if (!numbers || sscanf(numbers, "%x:%x", &major, &minor) != 2) {
		free(numbers);
		return -1;
	}
	free(numbers);
	if (!counts(major, minor))
		return -1;
	path = xl_sprintf(XL_SYS_BLOCK "/%u:%u/inflight", major, minor);
	f = fopen(path, "re");
	free(path);
	if (!f)
		return -1;
	if (fscanf(f, "%ld %ld", &reads, &writes) != 2)
		writes = -1;
	fclose(f);
	return writes < 0 ? -1 : reads + writes;
}

/* Of all its disks: 1: nothing is on its way; 0: something is; -1 after a message. */
static int look(struct xl *xl, char **be, unsigned int n, const char *name)
{
	unsigned int i;
	long busy;

	for (i = 0; i < n; i++) {
		busy = in_flight(xl, be[i]);
		if (busy < 0)
			return xl_error(
				"it cannot be seen whether '%s' still writes to a disk (%s): "
				"/sys/dev/block/MAJOR:MINOR has no inflight, or its queue/iostats "
				"is not 1",
				name, be[i]);
		if (busy)
			return 0;
	}
	return 1;
}

/* A file's pages in this kernel, or what its device has taken and not written yet. */
static int flush(struct xl *xl, const char *be, const char *name)
{
	char *path = st_read(xl, XBT_NULL, "%s/params", be);
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	int rc = fd < 0 || fsync(fd) ? xl_error("cannot write what '%s' has written to %s: %s",
						name, path ? path : be, strerror(errno)) :
				       0;

	if (fd >= 0)
		close(fd);
	free(path);
	return rc;
}

static int drain(struct xl *xl, char **be, unsigned int n, const char *name)
{
	int64_t end = xl_now() + DISKS_MS;
	unsigned int i, quiet = 0;
	int rc;

	while (quiet < LOOKS) {
		rc = look(xl, be, n, name);
		if (rc < 0)
			return rc;
		quiet = rc ? quiet + 1 : 0;
		if (xl_now() > end)
			return xl_error("the disks of '%s' are not done with what it has written: "
					"it goes on here",
					name);
		if (quiet < LOOKS)
			xl_sleep(LOOK_MS);
	}
	for (i = 0, rc = 0; i < n && !rc; i++)
		rc = flush(xl, be[i], name);
	return rc;
}

/* Back ends' directories of its disks; the caller frees them and the array. */
static char **list_disks(struct xl *xl, uint32_t domid, unsigned int *nr)
{
	unsigned int n, i;
	char **dev = st_list(xl, &n, XL_PRIVATE "/%u/device/vbd", domid);
	char **be = calloc(n + 1, sizeof(*be));

	if (!be)
		abort();
	for (i = 0, *nr = 0; i < n; i++) {
		be[*nr] = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vbd/%s", domid, dev[i]);
		*nr += !!be[*nr];
	}
	free(dev);
	return be;
}

static void free_disks(char **be, unsigned int n)
{
	while (n)
		free(be[--n]);
	free(be);
}

int drain_disks(struct xl *xl, uint32_t domid, const char *name)
{
	unsigned int n;
	char **be = list_disks(xl, domid, &n);
	int rc = n ? drain(xl, be, n, name) : 0;

	free_disks(be, n);
	return rc;
}

int drain_flush(struct xl *xl, uint32_t domid, const char *name)
{
	unsigned int n, i;
	char **be = list_disks(xl, domid, &n);
	int rc = 0;

	for (i = 0; i < n && !rc; i++)
		rc = flush(xl, be[i], name);
	free_disks(be, n);
	return rc;
}

/* Others may read from it as well, and without end. */
static bool only_read(struct xl *xl, const char *be)
{
	char *mode = st_read(xl, XBT_NULL, "%s/mode", be);
	bool yes = mode && !strcmp(mode, "r");

	free(mode);
	return yes;
}

bool drain_idle(struct xl *xl, uint32_t domid, int64_t end)
{
	unsigned int n, i;
	char **be = list_disks(xl, domid, &n);
	int64_t begin = xl_now();
	bool busy;

	for (;;) {
		for (i = 0, busy = false; i < n; i++)
			busy |= in_flight(xl, be[i]) > 0 && !only_read(xl, be[i]);
		if (!busy || xl_now() >= end || xl_interrupted)
			break;
		xl_sleep_since(begin);
	}
	free_disks(be, n);
	return !busy;
}
