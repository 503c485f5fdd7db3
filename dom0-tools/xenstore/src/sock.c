// SPDX-License-Identifier: BSD-2-Clause
/*
 * The Unix socket transport: dom0's tools.
 * It owns the listening socket and its clients' file descriptors.
 * Whoever can open the socket has dom0's rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "sock.h"
#include "util.h"

/* Given up when the process runs out of descriptors, so that a client can be told by being closed.
 */
static int spare_fd = -1;
static uint32_t last_serial;

static ssize_t tp_read(struct conn *c, void *buf, size_t len)
{
	ssize_t n = recv(c->fd, buf, len, 0);

	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -XENSTORE_ERROR_COMM;
}

static ssize_t tp_write(struct conn *c, const void *buf, size_t len)
{
	ssize_t n = send(c->fd, buf, len, MSG_NOSIGNAL);

	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return -XENSTORE_ERROR_COMM;
}

static void tp_fail(struct conn *c, int why)
{
	(void)why;
	c->dead = true;
	conn_wake(c);
}

static void tp_close(struct conn *c)
{
	close(c->fd);
}

static const struct transport sock_transport = {
	.read = tp_read,
	.write = tp_write,
	.fail = tp_fail,
	.close = tp_close,
};

/* Makes the directory that path lies in; its parent must be there. */
static void make_dir(const char *path)
{
	char *dir = xstrdup(path), *slash = strrchr(dir, '/');

	if (slash && slash != dir) {
		*slash = 0;
		mkdir(dir, 0755);
	}
	free(dir);
}

void sock_spare(void)
{
	if (spare_fd < 0)
		spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void sock_adopt(struct conn *c)
{
	c->tp = &sock_transport;
	fcntl(c->fd, F_SETFD, FD_CLOEXEC);
	if (c->serial > last_serial)
		last_serial = c->serial;
	sock_event(c);
}

int sock_listen(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	char fresh[sizeof(un.sun_path)];
	mode_t mask;
	int fd, err;

	if (strlen(path) + 4 >= sizeof(un.sun_path))
		return -ENAMETOOLONG;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	strcpy(un.sun_path, path);
	make_dir(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&un, sizeof(un))) {
		close(fd);
		return -EADDRINUSE;
	}
	/* renamed when it works: who connects meanwhile finds a dead socket and tries again */
	strcpy(un.sun_path, fresh);
	unlink(fresh);
	mask = umask(0177);
	err = bind(fd, (struct sockaddr *)&un, sizeof(un)) || listen(fd, 128) ||
			      rename(fresh, path) ?
		      -errno :
		      0;
	umask(mask);
	if (err) {
		close(fd);
		return err;
	}
	sock_spare();
	return fd;
}

struct conn *sock_accept(int listen_fd)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	if (fd < 0) {
		if ((errno == EMFILE || errno == ENFILE) && spare_fd >= 0) {
			xlog(LOG_ERR_, "no file descriptor left: a client is turned away");
			close(spare_fd);
			fd = accept(listen_fd, NULL, NULL);
			if (fd >= 0)
				close(fd);
			spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		}
		return NULL;
	}
	c = conn_new(0, &sock_transport);
	c->fd = fd;
	c->serial = ++last_serial;
	return c;
}

void sock_event(struct conn *c)
{
	c->can_read = c->can_write = true;
	conn_wake(c);
}
