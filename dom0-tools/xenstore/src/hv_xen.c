// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hypervisor as dom0's user space sees it: /dev/xen/{evtchn,gntdev,privcmd,xenbus_backend}.
 * It owns the file descriptors, the bounce buffer for hypercalls and the ioctl layouts.
 * The layouts are Linux's include/uapi/xen/{evtchn,gntdev,privcmd}.h and include/xen/xenbus_dev.h.
 */
#define __XEN_TOOLS__ 1
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xen/sysctl.h>
#include "hv.h"

#define PAGE 4096
#define INFO_MAX 128 /* domains asked for in one hypercall */

struct evtchn_one {
	uint32_t port_or_virq;
};

struct evtchn_interdomain {
	uint32_t remote_domain, remote_port;
};

struct gntdev_map {
	uint32_t count, pad;
	uint64_t index;
	struct {
		uint32_t domid, ref;
	} refs[1];
};

struct gntdev_offset {
	uint64_t vaddr, offset;
	uint32_t count, pad;
};

struct gntdev_unmap {
	uint64_t index;
	uint32_t count, pad;
};

struct privcmd_call {
	uint64_t op, arg[5];
};

#define EVTCHN_BIND_VIRQ _IOC(_IOC_NONE, 'E', 0, sizeof(struct evtchn_one))
#define EVTCHN_BIND_INTERDOMAIN _IOC(_IOC_NONE, 'E', 1, sizeof(struct evtchn_interdomain))
#define EVTCHN_UNBIND _IOC(_IOC_NONE, 'E', 3, sizeof(struct evtchn_one))
#define EVTCHN_NOTIFY _IOC(_IOC_NONE, 'E', 4, sizeof(struct evtchn_one))
#define GNTDEV_MAP _IOC(_IOC_NONE, 'G', 0, sizeof(struct gntdev_map))
#define GNTDEV_UNMAP _IOC(_IOC_NONE, 'G', 1, sizeof(struct gntdev_unmap))
#define GNTDEV_OFFSET _IOC(_IOC_NONE, 'G', 2, sizeof(struct gntdev_offset))
#define PRIVCMD_CALL _IOC(_IOC_NONE, 'P', 0, sizeof(struct privcmd_call))
#define XENBUS_BACKEND_EVTCHN _IOC(_IOC_NONE, 'B', 0, 0)

struct call_buf {
	xen_sysctl_t sysctl;
	xen_domctl_getdomaininfo_t info[INFO_MAX];
};

static int evtchn_fd = -1, gnt_fd = -1, priv_fd = -1, back_fd = -1;
static struct call_buf *buf;
static void *dom0_page;

int hv_init(const char **why)
{
	static const char *const names[] = { "/dev/xen/evtchn", "/dev/xen/gntdev",
					     "/dev/xen/privcmd" };
	int *const fds[] = { &evtchn_fd, &gnt_fd, &priv_fd };

	for (int i = 0; i < 3; i++) {
		*why = names[i];
		*fds[i] = open(names[i], O_RDWR | O_CLOEXEC | (i ? 0 : O_NONBLOCK));
		if (*fds[i] < 0)
			return -errno;
	}
	/* only dom0 has it; a xenstore domain would get its pages by grant alone */
	back_fd = open("/dev/xen/xenbus_backend", O_RDWR | O_CLOEXEC);

	/*
	 * the hypervisor reads it by virtual address: it must be there, writable and stay (also its
	 * D bit)
	 */
	*why = "hypercall buffer";
	buf = mmap(NULL, sizeof(*buf), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buf == MAP_FAILED)
		return -errno;
	mlock(buf, sizeof(*buf));
	memset(buf, 0, sizeof(*buf));
	return 0;
}

void hv_exit(void)
{
	close(evtchn_fd);
	close(gnt_fd);
	close(priv_fd);
	if (back_fd >= 0)
		close(back_fd);
}

int hv_event_fd(void)
{
	return evtchn_fd;
}

bool hv_next_event(uint32_t *port)
{
	if (read(evtchn_fd, port, sizeof(*port)) != sizeof(*port))
		return false;
	/*
	 * writing a port back unmasks it: events from now on come again, and the caller looks after
	 * this
	 */
	if (write(evtchn_fd, port, sizeof(*port)) < 0)
		return errno == EINVAL; /* unbound meanwhile: nobody listens */
	return true;
}

int hv_bind(unsigned int domid, uint32_t remote_port)
{
	struct evtchn_interdomain b = { domid, remote_port };
	int port = ioctl(evtchn_fd, EVTCHN_BIND_INTERDOMAIN, &b);

	return port < 0 ? -errno : port;
}

void hv_unbind(uint32_t port)
{
	struct evtchn_one u = { port };

	ioctl(evtchn_fd, EVTCHN_UNBIND, &u);
}

void hv_notify(uint32_t port)
{
	struct evtchn_one n = { port };

	ioctl(evtchn_fd, EVTCHN_NOTIFY, &n);
}

int hv_bind_dom_exc(void)
{
	struct evtchn_one b = { VIRQ_DOM_EXC };
	int port = ioctl(evtchn_fd, EVTCHN_BIND_VIRQ, &b);

	return port < 0 ? -errno : port;
}

void *hv_map_ring(unsigned int domid)
{
	struct gntdev_map m = { .count = 1,
				.refs = { { .domid = domid, .ref = GNTTAB_RESERVED_XENSTORE } } };
	struct gntdev_unmap u = { .count = 1 };
	void *page;
	int err;

	if (ioctl(gnt_fd, GNTDEV_MAP, &m))
		return NULL;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gnt_fd, (off_t)m.index);
	if (page != MAP_FAILED)
		return page;
	err = errno;
	u.index = m.index;
	ioctl(gnt_fd, GNTDEV_UNMAP, &u);
	errno = err;
	return NULL;
}

void hv_unmap_ring(void *page)
{
	struct gntdev_offset o = { .vaddr = (uintptr_t)page };
	struct gntdev_unmap u = { .count = 1 };

	if (page == dom0_page) {
		munmap(page, PAGE);
		dom0_page = NULL;
		return;
	}
	if (ioctl(gnt_fd, GNTDEV_OFFSET, &o)) {
		munmap(page, PAGE);
		return;
	}
	u.index = o.offset;
	munmap(page, PAGE);
	ioctl(gnt_fd, GNTDEV_UNMAP, &u);
}

int hv_dom0_ring(void **page, uint32_t *remote_port)
{
	int port;

	if (back_fd < 0)
		return -ENODEV;
	port = ioctl(back_fd, XENBUS_BACKEND_EVTCHN, 0);
	if (port < 0)
		return -errno;
	*page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, back_fd, 0);
	if (*page == MAP_FAILED)
		return -errno;
	dom0_page = *page;
	*remote_port = (uint32_t)port;
	return 0;
}

int hv_dominfo(unsigned int first, unsigned int max, struct hv_dominfo *out)
{
	struct privcmd_call call = { .op = __HYPERVISOR_sysctl,
				     .arg = { (uintptr_t)&buf->sysctl } };
	struct xen_sysctl_getdomaininfolist *l = &buf->sysctl.u.getdomaininfolist;
	unsigned int n;

	memset(&buf->sysctl, 0, sizeof(buf->sysctl));
	memset(buf->info, 0, sizeof(buf->info));
	buf->sysctl.cmd = XEN_SYSCTL_getdomaininfolist;
	buf->sysctl.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	l->first_domain = (domid_t)first;
	l->max_domains = max < INFO_MAX ? max : INFO_MAX;
	set_xen_guest_handle(l->buffer, buf->info);
	if (ioctl(priv_fd, PRIVCMD_CALL, &call) < 0)
		return -errno;
	n = l->num_domains < INFO_MAX ? l->num_domains : INFO_MAX;
	for (unsigned int i = 0; i < n; i++) {
		out[i].domid = buf->info[i].domain;
		out[i].dying = buf->info[i].flags & XEN_DOMINF_dying;
		out[i].shutdown = buf->info[i].flags & XEN_DOMINF_shutdown;
	}
	return (int)n;
}
