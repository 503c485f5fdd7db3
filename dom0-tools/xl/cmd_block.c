// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks of a running guest: block-attach, block-detach, block-resize, block-list, and CD drives: cd-insert, cd-eject.
 * What is changed lasts until the guest's end: the next life has what the configuration says.
 * Owns when a CD drive has a medium, and the columns and JSON of block-list.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_server.h"
#include "show.h"
#include "xl.h"

#include <xen/io/xenbus.h>

#define RESIZE_MS 10000 /* the back end looks ten times a second, when its processor lets it */
#define TAKE_MS 3000 /* a guest that takes a new medium */

/* --- which disk ------------------------------------------------------------------------------ */

/* The back end's directory of a disk with a medium, or NULL. The caller frees. */
static char *backend_of(struct xl *xl, uint32_t domid, unsigned int devid)
{
	return st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vbd/%u", domid, devid);
}

static bool is_cdrom(struct xl *xl, uint32_t domid, unsigned int devid)
{
	char *vdev = st_read(xl, XBT_NULL, XL_CDROM "/%u", domid, devid);
	bool is = vdev != NULL;

	free(vdev);
	return is;
}

/* The lock of a guest that can use what it gets, and the number that @vdev stands for. */
static int lock_guest(struct xl *xl, const char *arg, const char *verb, const char *vdev,
		      uint32_t *domid, unsigned int *devid)
{
	if (vdev && disk_devid(vdev, devid))
		return xl_error("'%s' is no virtual disk (xvda, xvdb1, hda, sda, d0p1, 51712, ...)",
				vdev);
	return domain_lock(xl, arg, verb, domid);
}

static bool is_dead(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;

	return pv_domain_info(xl->pv, domid, &info) ||
	       info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying);
}

/* --- attach, detach -------------------------------------------------------------------------- */

static char *join(int argc, char **argv)
{
	char *all = xl_sprintf("%s", argv[0]), *more;
	int i;

	for (i = 1; i < argc; i++) {
		more = xl_sprintf("%s,%s", all, argv[i]);
		free(all);
		all = more;
	}
	return all;
}

/* A checked disk becomes the guest's; nothing is left of it after a failure. */
static int add(struct xl *xl, struct xl_config *cfg, uint32_t domid)
{
	const struct xl_disk *d = &cfg->disk[0];
	bool pause = d->script && d->target;
	sigset_t signals, old;
	char *be;
	int rc;

	/* Before it is known whose bytes they are, the guest must not write: device_disk.c looks then. */
	if (pause) {
		/* Nobody would unpause it after a Ctrl-C. */
		sigfillset(&signals);
		sigprocmask(SIG_BLOCK, &signals, &old);
		rc = pv_domain_pause(xl->pv, domid);
		if (rc) {
			sigprocmask(SIG_SETMASK, &old, NULL);
			return xl_error("cannot pause domain %u: %s", domid, strerror(-rc));
		}
	}
	rc = device_add_disk(xl, cfg, domid, d);
	be = rc ? backend_of(xl, domid, d->devid) : NULL;
	if (be)
		device_detach(xl, domid, &device_vbd, d->devid, true);
	free(be);
	if (pause) {
		pv_domain_unpause(xl->pv, domid);
		sigprocmask(SIG_SETMASK, &old, NULL);
	}
	return rc;
}

static int attach(struct xl *xl, struct xl_config *cfg, uint32_t domid)
{
	const struct xl_disk *d = &cfg->disk[0];
	char *be;

	if (is_dead(xl, domid))
		return xl_error("domain %u has ended: there is nobody to attach %s to", domid,
				d->vdev);
	be = backend_of(xl, domid, d->devid);
	if (be || is_cdrom(xl, domid, d->devid)) {
		free(be);
		return xl_error("domain %u has a disk %s already", domid, d->vdev);
	}
	if (device_check_disk(cfg, d))
		return -1;
	if (!add(xl, cfg, domid))
		return 0;
	st_remove(xl, XBT_NULL, XL_CDROM "/%u", domid, d->devid);
	return -1;
}

int cmd_block_attach(int argc, char **argv)
{
	struct xl_config cfg;
	uint32_t domid = 0;
	struct xl xl;
	char *spec;
	int rc = 0, lock;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind < 2)
		return command_usage(argv[0], false);
	spec = join(argc - optind - 1, argv + optind + 1);
	rc = config_read_disk(&cfg, spec, stderr) ? 1 : 0;
	free(spec);
	if (rc || xl_open(&xl)) {
		config_free(&cfg);
		return 1;
	}
	lock = domain_lock(&xl, argv[optind], "attach a disk to", &domid);
	rc = lock < 0 || attach(&xl, &cfg, domid);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	config_free(&cfg);
	return rc;
}

static int detach(struct xl *xl, uint32_t domid, const char *vdev, unsigned int devid, bool force)
{
	char *be = backend_of(xl, domid, devid);
	bool cdrom = is_cdrom(xl, domid, devid);

	if (!be && !cdrom)
		return xl_error("domain %u has no disk '%s'; xl block-list shows what it has",
				domid, vdev);
	if (be && device_detach(xl, domid, &device_vbd, devid, force)) {
		free(be);
		return -1;
	}
	free(be);
	st_remove(xl, XBT_NULL, XL_CDROM "/%u", domid, devid);
	return 0;
}

int cmd_block_detach(int argc, char **argv)
{
	unsigned int devid = 0;
	uint32_t domid = 0;
	bool force = false;
	struct xl xl;
	int rc = 0, c, lock;

	while ((c = command_option(argc, argv, "f", &rc)) != -1) {
		if (c == '?')
			return rc;
		force = true;
	}
	if (argc - optind != 2)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	lock = lock_guest(&xl, argv[optind], "detach a disk of", argv[optind + 1], &domid, &devid);
	rc = lock < 0 || detach(&xl, domid, argv[optind + 1], devid, force);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	return rc;
}

/* --- CD drives ------------------------------------------------------------------------------- */

/* 0 when the drive is empty then. */
static int eject(struct xl *xl, uint32_t domid, const char *vdev, unsigned int devid)
{
	char *be = backend_of(xl, domid, devid);

	if (!is_cdrom(xl, domid, devid)) {
		free(be);
		return xl_error("'%s' of domain %u is no CD drive", vdev, domid);
	}
	if (!be)
		return 0;
	free(be);
	return device_detach(xl, domid, &device_vbd, devid, false);
}

/* Has the guest begun to use its new disk, or is it one that does not look? */
static bool taken(struct xl *xl, uint32_t domid, unsigned int devid)
{
	int64_t end = xl_now() + TAKE_MS;
	struct xen_domctl_getdomaininfo info;

	while (st_read_long(xl, "/local/domain/%u/device/vbd/%u/state", domid, devid) ==
	       XenbusStateInitialising) {
		if (xl_now() > end)
			return !pv_domain_info(xl->pv, domid, &info) &&
			       info.flags & (XEN_DOMINF_paused | XEN_DOMINF_shutdown);
		xl_sleep(20);
	}
	return true;
}

/*
 * A guest that was slow to see the last medium go takes the new one for that: its kernel looks at what there is, not at
 * what there was between. So a medium that is not taken is taken away and put in again, once.
 */
static int insert(struct xl *xl, struct xl_config *cfg, uint32_t domid)
{
	const struct xl_disk *d = &cfg->disk[0];
	char *be = backend_of(xl, domid, d->devid);
	bool full = be != NULL;
	int rc;

	free(be);
	if (is_dead(xl, domid))
		return xl_error("domain %u has ended: there is nobody to read a CD", domid);
	if (device_check_disk(cfg, d) || eject(xl, domid, d->vdev, d->devid))
		return -1;
	rc = add(xl, cfg, domid);
	if (!rc && full && !taken(xl, domid, d->devid)) {
		device_detach(xl, domid, &device_vbd, d->devid, true);
		xl_sleep(TAKE_MS / 3);
		rc = add(xl, cfg, domid);
	}
	if (rc && full)
		xl_error("the CD drive %s of domain %u is empty now", d->vdev, domid);
	return rc;
}

/* @target: NULL takes the medium out. */
static int change_medium(char **argv, const char *verb, const char *target)
{
	unsigned int devid = 0;
	uint32_t domid = 0;
	struct xl_config cfg = { 0 };
	struct xl xl;
	char *spec;
	int rc = 0, lock;

	if (target) {
		spec = xl_sprintf("vdev=%s,devtype=cdrom,target=%s", argv[optind + 1], target);
		rc = config_read_disk(&cfg, spec, stderr) ? 1 : 0;
		free(spec);
	}
	if (rc || xl_open(&xl)) {
		config_free(&cfg);
		return 1;
	}
	lock = lock_guest(&xl, argv[optind], verb, argv[optind + 1], &domid, &devid);
	rc = lock < 0 ||
	     (target ? insert(&xl, &cfg, domid) : eject(&xl, domid, argv[optind + 1], devid));
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	config_free(&cfg);
	return rc;
}

int cmd_cd_insert(int argc, char **argv)
{
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 3)
		return command_usage(argv[0], false);
	if (!*argv[optind + 2]) {
		xl_error("there is no name of an image; 'xl cd-eject' empties a drive");
		return 1;
	}
	return change_medium(argv, "insert a CD into a drive of", argv[optind + 2]);
}

int cmd_cd_eject(int argc, char **argv)
{
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 2)
		return command_usage(argv[0], false);
	return change_medium(argv, "eject a CD of", NULL);
}

/* --- growing --------------------------------------------------------------------------------- */

static int64_t bytes_of(int fd)
{
	uint64_t bytes;

	return ioctl(fd, BLKGETSIZE64, &bytes) ? -1 : (int64_t)bytes;
}

/*
 * The size of the file that loop device @fd stands on, if @params is still that file. A loop device of an
 * administrator's own (@ours false) is as large as he has it.
 */
static int64_t file_bytes(int fd, const char *params, bool ours)
{
	struct loop_info64 info;
	struct stat st;

	if (!ours)
		return bytes_of(fd);
	if (ioctl(fd, LOOP_GET_STATUS64, &info) || stat(params, &st)) {
		xl_error("%s: %s", params, strerror(errno));
		return -1;
	}
	if (st.st_ino != info.lo_inode) {
		xl_error("%s is another file by now than the one that the guest has", params);
		return -1;
	}
	return st.st_size / 512 * 512;
}

/* Until the back end has told the guest; one that is not connected reads it when it is. */
static int wait_resized(struct xl *xl, const char *be, int64_t bytes)
{
	int64_t end = xl_now() + RESIZE_MS;

	while (st_read_long(xl, "%s/state", be) == XenbusStateConnected) {
		if (st_read_long(xl, "%s/sectors", be) == bytes / 512)
			return 0;
		if (xl_now() > end)
			return xl_error("the back end %s has not told the guest after %d s", be,
					RESIZE_MS / 1000);
		xl_sleep(20);
	}
	return 0;
}

static int resize_node(struct xl *xl, const char *be, const char *node, const char *params,
		       bool ours)
{
	long sectors = st_read_long(xl, "%s/sectors", be);
	int fd = open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = -1;
	int64_t old, bytes;

	if (fd < 0)
		return xl_error("%s: %s", node, strerror(errno));
	old = bytes_of(fd);
	/* What the guest has been told, if anything: a volume has its new size by itself. */
	if (sectors > 0)
		old = (int64_t)sectors * 512;
	bytes = file_bytes(fd, params, ours);
	if (bytes < 0)
		goto out;
	if (bytes < old) {
		xl_error("%s has %" PRId64 " bytes, fewer than the %" PRId64
			 " that the guest has: a disk in use cannot shrink",
			 params, bytes, old);
		goto out;
	}
	if (ours && ioctl(fd, LOOP_SET_CAPACITY, 0)) {
		xl_error("%s cannot take the new size of %s: %s", node, params, strerror(errno));
		goto out;
	}
	rc = wait_resized(xl, be, bytes);
	if (!rc)
		printf("%s: %" PRId64 " MiB%s\n", params, bytes >> 20,
		       bytes == old ? ", as before" : "");
out:
	close(fd);
	return rc;
}

static int resize(struct xl *xl, uint32_t domid, const char *vdev, unsigned int devid)
{
	char *be = backend_of(xl, domid, devid), *node, *params, *file, *lost, *format;
	int rc;

	if (!be)
		return xl_error("domain %u has no disk '%s'; xl block-list shows what it has",
				domid, vdev);
	lost = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/lost/vbd/%u", domid, devid);
	node = st_read(xl, XBT_NULL, "%s/node", be);
	params = st_read(xl, XBT_NULL, "%s/params", be);
	file = st_read(xl, XBT_NULL, "%s/loop-file", be);
	format = st_read(xl, XBT_NULL, "%s/" IMAGE_FORMAT_NODE, be);
	if (lost)
		rc = xl_error("the back end of %s is lost: %s", vdev, lost);
	else if (backend_domid(be))
		rc = xl_error("%s is a disk of driver domain %u: it is grown there", vdev,
			      backend_domid(be));
	else if (format)
		rc = xl_error("%s is a %s image, whose size nobody can change while it is used: "
			      "qemu-img resize, when the guest has ended or the disk is detached",
			      vdev, format);
	else if (!node || !params)
		rc = xl_error("the script of %s has not said which device it is (%s/node)", vdev,
			      be);
	else
		rc = resize_node(xl, be, node, params, file && *file);
	free(lost);
	free(node);
	free(params);
	free(file);
	free(format);
	free(be);
	return rc;
}

int cmd_block_resize(int argc, char **argv)
{
	unsigned int devid = 0;
	uint32_t domid = 0;
	struct xl xl;
	int rc = 0, lock;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 2)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	lock = lock_guest(&xl, argv[optind], "resize a disk of", argv[optind + 1], &domid, &devid);
	rc = lock < 0 || resize(&xl, domid, argv[optind + 1], devid);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	return rc;
}

/* --- block-list ------------------------------------------------------------------------------ */

/* The front end's state, as Xen's xl shows it; when the back end is lost, that one's. */
static long block_state(struct xl *xl, uint32_t domid, const char *dev, const char *fe,
			const char *be)
{
	char *lost = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/lost/vbd/%s", domid, dev);
	long state = st_read_long(xl, "%s/state", lost ? be : fe);

	free(lost);
	return state;
}

/* With several queues the first one's ring stands for all. */
static long block_ring(struct xl *xl, const char *fe, const char *node)
{
	long n = st_read_long(xl, "%s/%s", fe, node);

	return n >= 0 ? n : st_read_long(xl, "%s/queue-0/%s", fe, node);
}

static void line(struct xl *xl, uint32_t domid, const char *dev, const char *be)
{
	char fe[80];

	snprintf(fe, sizeof(fe), "/local/domain/%u/device/vbd/%s", domid, dev);
	printf("%-5s %-3u %-6u %-5ld %-6ld %-8ld %-30s\n", dev, backend_domid(be), domid,
	       block_state(xl, domid, dev, fe, be), block_ring(xl, fe, "event-channel"),
	       block_ring(xl, fe, "ring-ref"), be);
}

/* docs/schema/block-list.json describes it. @be: NULL for a drive without a medium. */
static void details(struct xl *xl, uint32_t domid, const char *dev, const char *be)
{
	static const char *const leaf[] = { "params", "node", "script" };
	static const char *const name[] = { "target", "device", "script" };
	char *nodes = be ? device_nodes(domid, "vbd", strtoul(dev, NULL, 10), be) : NULL;
	char fe[80], *v, *lost = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/lost/vbd/%s", domid, dev);
	unsigned int i;

	snprintf(fe, sizeof(fe), "/local/domain/%u/device/vbd/%s", domid, dev);
	json_object(&show_json, NULL);
	json_number(&show_json, "domid", domid);
	json_number(&show_json, "devid", strtoul(dev, NULL, 10));
	v = be ? st_read(xl, XBT_NULL, "%s/dev", nodes) :
		 st_read(xl, XBT_NULL, XL_CDROM "/%s", domid, dev);
	json_text(&show_json, "vdev", v);
	free(v);
	json_number(&show_json, "backend_domid", be ? backend_domid(be) : 0);
	v = be ? st_read(xl, XBT_NULL, "%s/" IMAGE_FORMAT_NODE, nodes) : NULL;
	json_text(&show_json, "format", v ? v : "raw");
	free(v);
	for (i = 0; i < pv_container_size(leaf); i++) {
		v = be ? st_read(xl, XBT_NULL, "%s/%s", nodes, leaf[i]) : NULL;
		json_text(&show_json, name[i], v);
		free(v);
	}
	v = be ? st_read(xl, XBT_NULL, "%s/mode", nodes) : NULL;
	json_bool(&show_json, "readwrite", v && *v == 'w');
	free(v);
	json_bool(&show_json, "cdrom", is_cdrom(xl, domid, atoi(dev)));
	json_bool(&show_json, "discard", be && st_read_long(xl, "%s/discard-enable", nodes) != 0);
	json_text(&show_json, "lost", lost);
	json_signed(&show_json, "sectors", be ? st_read_long(xl, "%s/sectors", be) : -1);
	json_signed(&show_json, "state", be ? block_state(xl, domid, dev, fe, be) : -1);
	json_signed(&show_json, "event_channel", block_ring(xl, fe, "event-channel"));
	json_signed(&show_json, "ring_ref", block_ring(xl, fe, "ring-ref"));
	json_text(&show_json, "backend", be);
	json_end(&show_json);
	free(nodes);
	free(lost);
}

/* Disks, then drives without a medium. */
static void show_disks(struct xl *xl, uint32_t domid, bool json)
{
	static const char *const dirs[] = { "device/vbd", "cdrom" };
	unsigned int devs, i, j;
	char **dev, *be;

	for (i = 0; i < pv_container_size(dirs); i++) {
		dev = st_list(xl, &devs, XL_PRIVATE "/%u/%s", domid, dirs[i]);
		for (j = 0; j < devs; j++) {
			be = backend_of(xl, domid, atoi(dev[j]));
			/* Gone since; or a drive that has been shown as a disk. */
			if (!be != (i == 1)) {
				free(be);
				continue;
			}
			if (json)
				details(xl, domid, dev[j], be);
			else if (be)
				line(xl, domid, dev[j], be);
			else
				printf("%-5s %-3d %-6u %-5s %-6s %-8s (empty)\n", dev[j], 0, domid,
				       "-", "-", "-");
			free(be);
		}
		free(dev);
	}
}

int cmd_block_list(int argc, char **argv)
{
	bool json = false, failed = false;
	uint32_t domid;
	struct xl xl;
	int rc = 0, c;

	while ((c = command_option(argc, argv, "lJ", &rc)) != -1) {
		if (c == '?')
			return rc;
		json = true;
	}
	if (optind == argc)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	json_init(&show_json, stdout, 2);
	if (json)
		json_array(&show_json, NULL);
	else
		printf("Vdev  BE  handle state evt-ch ring-ref BE-path\n");
	for (; optind < argc; optind++) {
		if (domain_find(&xl, argv[optind], &domid))
			failed = true;
		else
			show_disks(&xl, domid, json);
	}
	if (json)
		json_end(&show_json);
	xl_close(&xl);
	return failed;
}
