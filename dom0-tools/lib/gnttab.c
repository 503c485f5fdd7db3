// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mapping of other domains' grants, over /dev/xen/gntdev.
 * Owns the two-step protocol (announce the grant, map its offset) and its undoing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pavise.h"
#include "uapi.h"
#include "xengnttab.h"

struct xengntdev_handle {
	int fd;
};

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned int flags)
{
	xengnttab_handle *xgt;

	(void)logger;
	if (flags) {
		errno = EINVAL;
		return NULL;
	}
	xgt = malloc(sizeof(*xgt));
	if (!xgt)
		return NULL;
	xgt->fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	if (xgt->fd < 0) {
		free(xgt);
		return NULL;
	}
	return xgt;
}

int xengnttab_close(xengnttab_handle *xgt)
{
	int rc;

	if (!xgt)
		return 0;
	rc = close(xgt->fd);
	free(xgt);
	return rc;
}

static int forget(xengnttab_handle *xgt, uint64_t index, uint32_t count)
{
	struct ioctl_gntdev_unmap_grant_ref arg = { .index = index, .count = count };

	return ioctl(xgt->fd, IOCTL_GNTDEV_UNMAP_GRANT_REF, &arg);
}

void *xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	struct ioctl_gntdev_map_grant_ref arg = {
		.count = 1,
		.refs = { { .domid = domid, .ref = ref } },
	};
	void *addr;
	int saved;

	if (ioctl(xgt->fd, IOCTL_GNTDEV_MAP_GRANT_REF, &arg))
		return NULL;
	addr = mmap(NULL, PV_PAGE_SIZE, prot, MAP_SHARED, xgt->fd, arg.index);
	if (addr != MAP_FAILED)
		return addr;
	saved = errno;
	forget(xgt, arg.index, 1);
	errno = saved;
	return NULL;
}

int xengnttab_unmap(xengnttab_handle *xgt, void *start, uint32_t count)
{
	struct ioctl_gntdev_get_offset_for_vaddr arg = { .vaddr = (uintptr_t)start };

	if (!start || !count) {
		errno = EINVAL;
		return -1;
	}
	if (ioctl(xgt->fd, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &arg))
		return -1;
	if (arg.count != count) {
		errno = EINVAL;
		return -1;
	}
	if (munmap(start, count * PV_PAGE_SIZE))
		return -1;
	return forget(xgt, arg.offset, count);
}
