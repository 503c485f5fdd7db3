// SPDX-License-Identifier: BSD-2-Clause
/*
 * The bytes of a channel: guest's ring ↔ one pty or one client of a socket.
 * Owns that neither side is waited for: all descriptors are edge-triggered, and what one side does not take stays where it is
 * until an event of that side.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"

#define ROUNDS 4 /* reads in a row, then others have their turn */

static int watch_fd(struct daemon *d, struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events | EPOLLET, .data = { .ptr = s } };

	return epoll_ctl(d->epoll, EPOLL_CTL_ADD, s->fd, &ev);
}

/* --- the end in dom0 --------------------------------------------------------------------------- */

/* Is anybody there to take what the guest writes? */
static bool taken(struct channel *c)
{
	if (c->path)
		return c->end.fd >= 0;
	if (pty_look(&c->pty))
		c->ready = true;
	return c->pty.watched;
}

/* The next client, if the last one has gone. */
static void accept_next(struct daemon *d, struct channel *c)
{
	while (c->end.fd < 0) {
		c->end.fd = accept4(c->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (c->end.fd < 0 && errno == ECONNABORTED)
			continue;
		if (c->end.fd < 0)
			return;
		c->ended = false;
		c->ready = true;
		if (watch_fd(d, &c->end, EPOLLIN | EPOLLOUT | EPOLLRDHUP)) {
			close(c->end.fd);
			c->end.fd = -1;
			return;
		}
	}
}

static void drop_client(struct daemon *d, struct channel *c)
{
	close(c->end.fd); /* this also takes it out of the epoll set */
	c->end.fd = -1;
	accept_next(d, c);
}

static bool has_left(const struct channel *c)
{
	struct pollfd pfd = { .fd = c->end.fd };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & (POLLHUP | POLLERR);
}

/* All that one has said reaches the guest, also when he leaves at once; a place that nobody uses is free then. */
static size_t read_client(struct daemon *d, struct channel *c, char *buf, size_t n)
{
	ssize_t r;

	if (c->end.fd < 0)
		return 0;
	r = c->ended ? 0 : recv(c->end.fd, buf, n, MSG_DONTWAIT);
	if (r > 0)
		return r;
	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	c->ended = true;
	if (r < 0 || has_left(c))
		drop_client(d, c);
	return 0;
}

/* How much of it the end has taken. */
static size_t write_end(struct daemon *d, struct channel *c, const char *buf, size_t n)
{
	size_t done = 0;
	ssize_t w;

	while (done < n) {
		if (c->path)
			w = send(c->end.fd, buf + done, n - done, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			w = write(c->pty.fd, buf + done, n - done);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && c->path && errno != EAGAIN && errno != ENOBUFS)
			drop_client(d, c);
		if (w <= 0)
			break;
		done += w;
	}
	return done;
}

/* --- the ring ---------------------------------------------------------------------------------- */

static size_t give(struct channel *c)
{
	size_t n = c->ring.page ? ring_give(&c->ring, c->in, c->in_len) : 0;

	c->in_len -= n;
	memmove(c->in, c->in + n, c->in_len);
	return n;
}

/* From dom0 to the guest. */
static size_t take_input(struct daemon *d, struct channel *c)
{
	size_t given = give(c), n = 1;
	int rounds = ROUNDS;

	while (n && rounds-- && c->in_len < sizeof(c->in)) {
		if (c->path)
			n = read_client(d, c, c->in + c->in_len, sizeof(c->in) - c->in_len);
		else
			n = pty_read(&c->pty, c->in + c->in_len, sizeof(c->in) - c->in_len);
		c->in_len += n;
		given += give(c);
	}
	/* There may be more, of which no event will tell. */
	c->ready |= n && c->in_len < sizeof(c->in);
	return given;
}

static bool flush(struct daemon *d, struct channel *c)
{
	size_t n = taken(c) && c->out_len ? write_end(d, c, c->out, c->out_len) : 0;

	c->out_len -= n;
	memmove(c->out, c->out + n, c->out_len);
	return !c->out_len;
}

/* From the guest to dom0. The ring is left alone until all that came out of it before is gone. */
static size_t put_output(struct daemon *d, struct channel *c)
{
	size_t n;

	if (!flush(d, c) || !c->ring.page || !taken(c))
		return 0;
	n = ring_take(&c->ring, c->out, sizeof(c->out));
	if (c->ring.bad && !c->bad_reported) {
		c->bad_reported = true;
		fprintf(stderr,
			"domain %u (%s): impossible ring indices of channel %u; bytes lost\n",
			c->guest->domid, c->guest->name, c->devid);
	}
	c->out_len = n;
	flush(d, c);
	return n;
}

void channel_serve(struct daemon *d, struct channel *c, int64_t now)
{
	size_t n;

	if (guest_delay(c->guest, now))
		return;
	c->ready = false;
	n = take_input(d, c);
	n += put_output(d, c);
	c->guest->share -= n > EVENT_COST ? n : EVENT_COST;
	if (!c->ring.page)
		return;
	if (n)
		xenevtchn_notify(d->xce, c->port);
	/* An event that came meanwhile fires again now. */
	xenevtchn_unmask(d->xce, c->port);
}

int channel_attach(struct daemon *d, struct channel *c, uint32_t ring_ref, evtchn_port_t port)
{
	void *page;
	int saved;

	channel_detach(d, c);
	page = xengnttab_map_grant_ref(d->xgt, c->guest->domid, ring_ref, PROT_READ | PROT_WRITE);
	if (!page)
		return -1;
	c->port = xenevtchn_bind_interdomain(d->xce, c->guest->domid, port);
	if (c->port < 0) {
		saved = errno;
		xengnttab_unmap(d->xgt, page, 1);
		errno = saved;
		return -1;
	}
	ring_attach(&c->ring, page);
	c->ring_ref = ring_ref;
	c->remote_port = port;
	/* What came before we were bound raised no event for us; and it may wait for us to have read. */
	c->ready = true;
	xenevtchn_notify(d->xce, c->port);
	return 0;
}

void channel_detach(struct daemon *d, struct channel *c)
{
	if (c->port >= 0)
		xenevtchn_unbind(d->xce, c->port);
	c->port = -1;
	if (!c->ring.page)
		return;
	/* Its last words, as far as somebody listens. */
	put_output(d, c);
	xengnttab_unmap(d->xgt, c->ring.page, 1);
	c->ring.page = NULL;
}

/* --- coming and going -------------------------------------------------------------------------- */

static bool is_ours(const struct daemon *d, const struct stat *st)
{
	const struct channel *c;
	const struct guest *g;

	for (g = d->guests; g; g = g->next)
		for (c = g->channels; c; c = c->next)
			if (c->listen.fd >= 0 && c->dev == st->st_dev && c->ino == st->st_ino)
				return true;
	return false;
}

/* NULL, or why not. Only what a xenconsoled that died has left is in nobody's way. */
static const char *make_room(const struct daemon *d, const struct channel *c)
{
	const struct channel *other;
	struct stat st;

	if (lstat(c->path, &st))
		return errno == ENOENT ? NULL : strerror(errno);
	for (other = c->guest->channels; other; other = other->next)
		if (other->path && !strcmp(other->path, c->path))
			return "another channel has it";
	if (is_ours(d, &st))
		return "another guest's channel has it";
	if (!pv_socket_is_dead(c->path))
		return "it exists already";
	return unlink(c->path) ? strerror(errno) : NULL;
}

static const char *open_socket(struct daemon *d, struct channel *c)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *why;
	struct stat st;
	mode_t old;
	int rc;

	if (strlen(c->path) >= sizeof(addr.sun_path))
		return "the path is too long";
	why = make_room(d, c);
	if (why)
		return why;
	strcpy(addr.sun_path, c->path);
	c->listen.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->listen.fd < 0)
		return strerror(errno);
	old = umask(0177); /* root only */
	rc = bind(c->listen.fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(old);
	if (rc)
		return strerror(errno);
	if (lstat(c->path, &st))
		return strerror(errno);
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	if (listen(c->listen.fd, 1) || watch_fd(d, &c->listen, EPOLLIN))
		return strerror(errno);
	return NULL;
}

static const char *open_pty(struct daemon *d, struct channel *c)
{
	if (pty_open(&c->pty, d->inotify))
		return strerror(errno);
	c->end.fd = c->pty.fd;
	return watch_fd(d, &c->end, EPOLLIN | EPOLLOUT) ? strerror(errno) : NULL;
}

struct channel *channel_open(struct daemon *d, struct guest *g, unsigned int devid,
			     const char *path, char *why, size_t size)
{
	struct channel *c = calloc(1, sizeof(*c)), **p;
	const char *failed = "out of memory";

	if (c) {
		c->guest = g;
		c->devid = devid;
		c->port = -1;
		c->pty.fd = c->pty.watch = -1;
		c->listen = (struct source){ .kind = SRC_CHANNEL, .channel = c, .fd = -1 };
		c->end = (struct source){ .kind = SRC_CHANNEL, .channel = c, .fd = -1 };
		c->path = path ? strdup(path) : NULL;
		if (!path || c->path)
			failed = path ? open_socket(d, c) : open_pty(d, c);
	}
	if (failed) {
		snprintf(why, size, "%s: %s", path ? path : "no pty", failed);
		if (c)
			channel_close(d, c);
		return NULL;
	}
	for (p = &g->channels; *p;)
		p = &(*p)->next;
	*p = c;
	return c;
}

void channel_shut(struct daemon *d, struct channel *c)
{
	struct stat st;

	channel_detach(d, c);
	if (c->path && c->end.fd >= 0)
		close(c->end.fd);
	pty_close(&c->pty, d->inotify);
	c->end.fd = -1;
	/* Before the descriptor goes, so that nobody has our file's number yet. */
	if (c->listen.fd >= 0 && c->ino && !lstat(c->path, &st) && st.st_dev == c->dev &&
	    st.st_ino == c->ino)
		unlink(c->path);
	if (c->listen.fd >= 0)
		close(c->listen.fd);
	c->listen.fd = -1;
	c->out_len = c->in_len = 0;
	c->ready = false;
}

void channel_close(struct daemon *d, struct channel *c)
{
	channel_shut(d, c);
	free(c->path);
	free(c);
}

void channel_event(struct daemon *d, struct source *s)
{
	struct channel *c = s->channel;

	if (s->fd < 0)
		return;
	if (s == &c->listen)
		accept_next(d, c);
	/* He listened only, and has left. */
	else if (c->path && c->ended && has_left(c))
		drop_client(d, c);
	c->ready = true;
}
