// SPDX-License-Identifier: BSD-2-Clause
/*
 * A guest's pty. We hold the master only: that somebody has the other end open shows by the hang-up that is not there, and so
 * output is given to readers and not to a buffer that would keep the oldest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "pty.h"

/*
 * Brings the other end into the state in which one who opens it finds it, before the first and after each. What one has left
 * unread is not the next one's, and neither are his settings: an echo would type the guest's output back into it.
 */
static int reset(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), rc;
	struct termios t;

	if (fd < 0)
		return -1;
	/* Not even the group that write(1) belongs to: it would type into the guest. */
	rc = fchmod(fd, 0600) || tcflush(fd, TCIFLUSH) || tcgetattr(fd, &t);
	if (!rc) {
		cfmakeraw(&t);
		rc = tcsetattr(fd, TCSANOW, &t);
	}
	/* From now on there is a hang-up unless somebody has it open. The settings stay. */
	close(fd);
	return rc ? -1 : 0;
}

int pty_open(struct pty *p, int inotify)
{
	p->watch = -1;
	p->watched = false;
	p->path[0] = '\0';
	p->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	if (p->fd < 0)
		return -1;
	if (grantpt(p->fd) || unlockpt(p->fd) || ptsname_r(p->fd, p->path, sizeof(p->path)) ||
	    reset(p->path)) {
		int saved = errno;

		pty_close(p, inotify);
		errno = saved;
		return -1;
	}
	if (inotify >= 0)
		p->watch = inotify_add_watch(inotify, p->path, IN_OPEN);
	return 0;
}

void pty_close(struct pty *p, int inotify)
{
	if (p->watch >= 0)
		inotify_rm_watch(inotify, p->watch);
	if (p->fd >= 0)
		close(p->fd);
	p->fd = p->watch = -1;
	p->watched = false;
	p->path[0] = '\0';
}

bool pty_look(struct pty *p)
{
	struct pollfd pfd = { .fd = p->fd };
	bool was = p->watched;

	p->watched = p->fd >= 0 && poll(&pfd, 1, 0) >= 0 && !(pfd.revents & (POLLHUP | POLLNVAL));
	if (was && !p->watched && p->fd >= 0) {
		tcflush(p->fd, TCOFLUSH); /* what is on its way there */
		reset(p->path);
	}
	return !was && p->watched;
}

void pty_write(struct pty *p, const char *buf, size_t n)
{
	while (n) {
		ssize_t w = write(p->fd, buf, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return;
		buf += w;
		n -= w;
	}
}

size_t pty_read(struct pty *p, char *buf, size_t n)
{
	ssize_t r;

	do {
		r = read(p->fd, buf, n);
	} while (r < 0 && errno == EINTR);
	/* EIO: nobody has it open. */
	return r > 0 ? r : 0;
}
