// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host's stand-in for the hypervisor: domains without a machine.
 * A test may play guests: with XENSTORED_FAKE_DOMAINS=dir, the ring of domain N is the file dir/N,
 * and an event is N as four bytes written to the FIFO dir/events. Without it, rings are pages that
 * nobody fills.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hv.h"

static const char *dir;
static int event_fd = -1;

int hv_init(const char **why)
{
	char path[4096];

	dir = getenv("XENSTORED_FAKE_DOMAINS");
	if (!dir)
		return 0;
	snprintf(path, sizeof(path), "%s/events", dir);
	if (mkfifo(path, 0600) && errno != EEXIST)
		goto bad;
	event_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (event_fd >= 0)
		return 0;
bad:
	*why = "XENSTORED_FAKE_DOMAINS";
	return -errno;
}

void hv_exit(void)
{
	if (event_fd >= 0)
		close(event_fd);
	event_fd = -1;
}

int hv_event_fd(void)
{
	return event_fd;
}

bool hv_next_event(uint32_t *port)
{
	uint32_t domid;

	if (event_fd < 0 || read(event_fd, &domid, sizeof(domid)) != sizeof(domid))
		return false;
	*port = domid + 1;
	return true;
}

int hv_bind(unsigned int domid, uint32_t remote_port)
{
	(void)remote_port;
	return (int)domid + 1;
}

void hv_unbind(uint32_t port)
{
	(void)port;
}

void hv_notify(uint32_t port)
{
	(void)port;
}

int hv_bind_dom_exc(void)
{
	return -ENOSYS;
}

void *hv_map_ring(unsigned int domid)
{
	char path[4096];
	void *page;
	int fd;

	if (!dir) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return page == MAP_FAILED ? NULL : page;
	}
	snprintf(path, sizeof(path), "%s/%u", dir, domid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

void hv_unmap_ring(void *page)
{
	munmap(page, 4096);
}

int hv_dom0_ring(void **page, uint32_t *remote_port)
{
	(void)page;
	(void)remote_port;
	return -ENODEV;
}

int hv_dominfo(unsigned int first, unsigned int max, struct hv_dominfo *out)
{
	(void)first;
	(void)max;
	(void)out;
	return -ENOSYS;
}
