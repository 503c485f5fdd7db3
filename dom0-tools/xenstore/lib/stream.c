// SPDX-License-Identifier: BSD-2-Clause
/*
 * libxenstore: the stream to the daemon: opening it, and reading and writing whole messages.
 * What comes on it, and what a lost one means, is conn.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "stream.h"
#include "xenstore.h"

/* How long a daemon may be away, for a restart. */
#define AWAY_MS 10000
#define AWAY_STEP_MS 20
/* How often a wait looks whether it has been interrupted: a signal may come just before it begins. */
#define LOOK_MS 100
/* Whoever is interrupted still has something to put in order, with a daemon that answers. */
#define INTERRUPTED_MS 3000

/* Returns the descriptor, or -1 with errno. */
static int connect_to(const struct stream *s, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(un.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(un.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/*
	 * a socket that nobody listens on: the daemon died, and is being started again; one whose queue
	 * is full (EAGAIN): it is busy, or stopped
	 */
	for (int ms = 0; (err = connect(fd, (struct sockaddr *)&un, sizeof(un)) ? errno : 0);
	     ms += AWAY_STEP_MS) {
		if ((err != ECONNREFUSED && err != EAGAIN) || s->nowait || ms >= AWAY_MS ||
		    (s->interrupted && *s->interrupted))
			break;
		usleep(AWAY_STEP_MS * 1000);
	}
	if (!err && !fcntl(fd, F_SETFL, 0))
		return fd;
	close(fd);
	errno = err;
	return -1;
}

bool stream_open(struct stream *s, const char *path)
{
	struct stat st;

	s->fd = -1;
	if (!path || stat(path, &st))
		return false;
	s->socket = S_ISSOCK(st.st_mode);
	s->fd = s->socket ? connect_to(s, path) : open(path, O_RDWR | O_CLOEXEC);
	return s->fd >= 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Waits for what a patient stream would block for. False with ETIMEDOUT or EINTR: no longer. */
static bool may_block(const struct stream *s, short events)
{
	int64_t begin = now_ms();
	struct pollfd pfd = { .fd = s->fd, .events = events };

	if (s->patience < 0 && !s->interrupted)
		return true;
	while (poll(&pfd, 1, LOOK_MS) <= 0) {
		int64_t waited = now_ms() - begin;

		if (s->interrupted && *s->interrupted && waited > INTERRUPTED_MS) {
			errno = EINTR;
			return false;
		}
		if (s->patience >= 0 && waited > s->patience) {
			errno = ETIMEDOUT;
			return false;
		}
	}
	return true;
}

bool stream_read(struct stream *s, void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n;

		if (!may_block(s, POLLIN))
			return false;
		n = read(s->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (!n)
				errno = EBADF; /* as Xen's: the daemon has gone */
			return false;
		}
		p += n;
		len -= (size_t)n;
	}
	return true;
}

bool stream_write(struct stream *s, const struct iovec *iov, int num)
{
	/* one buffer, because the kernel's device wants to see whole messages soonest */
	char buf[sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX];
	size_t len = 0, done = 0;
	ssize_t n;

	for (int i = 0; i < num; i++) {
		/* a piece of no bytes may have no address */
		if (!iov[i].iov_len)
			continue;
		memcpy(buf + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	while (done < len) {
		if (!may_block(s, POLLOUT))
			return false;
		n = s->socket ? send(s->fd, buf + done, len - done, MSG_NOSIGNAL) :
				write(s->fd, buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}
