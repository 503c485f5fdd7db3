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
#include <sys/epoll.h>
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
static int epoll_fd = -1;

/*
 * Edge-triggered, and for writing only while there is something that could not be written: else
 * each reply that a client takes would wake us.
 */
static void watch_fd(struct conn *c, int op, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET | (out ? EPOLLOUT : 0),
				  .data.ptr = c };

	if (epoll_ctl(epoll_fd, op, c->fd, &ev))
		xlog(LOG_ERR_, "epoll: %s", strerror(errno));
	c->want_out = out;
}

static ssize_t tp_read(struct conn *c, void *buf, size_t len)
{
	ssize_t n = recv(c->fd, buf, len, 0);

	/* less than asked for: that was all, and what comes later is a new edge */
	if (n > 0 && (size_t)n < len && !c->hung_up)
		c->can_read = false;
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
	if (errno == EINTR)
		return tp_write(c, buf, len);
	if (errno == EAGAIN) {
		if (!c->want_out)
			watch_fd(c, EPOLL_CTL_MOD, true);
		return 0;
	}
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

void sock_adopt(struct conn *c, int epoll)
{
	c->tp = &sock_transport;
	epoll_fd = epoll;
	fcntl(c->fd, F_SETFD, FD_CLOEXEC);
	if (c->serial > last_serial)
		last_serial = c->serial;
	watch_fd(c, EPOLL_CTL_ADD, false);
	sock_event(c, EPOLLIN | EPOLLOUT);
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

struct conn *sock_accept(int listen_fd, int epoll)
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
	epoll_fd = epoll;
	watch_fd(c, EPOLL_CTL_ADD, false);
	return c;
}

void sock_event(struct conn *c, uint32_t events)
{
	c->hung_up |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	c->can_read |= (events & ~(uint32_t)EPOLLOUT) != 0;
	if (events & EPOLLOUT) {
		c->can_write = true;
		if (c->want_out)
			watch_fd(c, EPOLL_CTL_MOD, false);
	}
	conn_wake(c);
}
