// SPDX-License-Identifier: BSD-2-Clause
/*
 * Event channels for user space, over /dev/xen/evtchn.
 * Owns nothing but the file descriptor: ports are closed by the kernel with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "uapi.h"
#include "xenevtchn.h"

struct xenevtchn_handle {
	int fd;
};

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *logger, unsigned int flags)
{
	xenevtchn_handle *xce;

	(void)logger;
	if (flags) {
		errno = EINVAL;
		return NULL;
	}
	xce = malloc(sizeof(*xce));
	if (!xce)
		return NULL;
	/* Non-blocking, so that a spurious wake-up never hangs a daemon that serves many. */
	xce->fd = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (xce->fd < 0) {
		free(xce);
		return NULL;
	}
	return xce;
}

int xenevtchn_close(xenevtchn_handle *xce)
{
	int rc;

	if (!xce)
		return 0;
	rc = close(xce->fd);
	free(xce);
	return rc;
}

int xenevtchn_fd(xenevtchn_handle *xce)
{
	return xce->fd;
}

int xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct ioctl_evtchn_port arg = { .port = port };

	return ioctl(xce->fd, IOCTL_EVTCHN_NOTIFY, &arg);
}

xenevtchn_port_or_error_t xenevtchn_bind_unbound_port(xenevtchn_handle *xce, uint32_t domid)
{
	struct ioctl_evtchn_bind_unbound_port arg = { .remote_domain = domid };

	return ioctl(xce->fd, IOCTL_EVTCHN_BIND_UNBOUND_PORT, &arg);
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid,
						     evtchn_port_t remote_port)
{
	struct ioctl_evtchn_bind_interdomain arg = {
		.remote_domain = domid,
		.remote_port = remote_port,
	};

	return ioctl(xce->fd, IOCTL_EVTCHN_BIND_INTERDOMAIN, &arg);
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	struct ioctl_evtchn_bind_virq arg = { .virq = virq };

	return ioctl(xce->fd, IOCTL_EVTCHN_BIND_VIRQ, &arg);
}

int xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	struct ioctl_evtchn_port arg = { .port = port };

	return ioctl(xce->fd, IOCTL_EVTCHN_UNBIND, &arg);
}

xenevtchn_port_or_error_t xenevtchn_pending(xenevtchn_handle *xce)
{
	uint32_t port;
	ssize_t n;

	do {
		n = read(xce->fd, &port, sizeof(port));
	} while (n < 0 && errno == EINTR);
	if (n == sizeof(port))
		return port;
	if (n >= 0)
		errno = EIO;
	return -1;
}

int xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	uint32_t word = port;

	return write(xce->fd, &word, sizeof(word)) == sizeof(word) ? 0 : -1;
}
