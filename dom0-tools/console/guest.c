// SPDX-License-Identifier: BSD-2-Clause
/*
 * One served guest.
 * Owns fairness (a budget of bytes per guest) and the sockets that xl console connects to. Its output is taken out of the ring
 * whatever those who look do: into the log, the backlog, and what buffers of theirs have room.
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

#include <xen/grant_table.h>

static int watch_fd(struct daemon *d, int op, struct source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data = { .ptr = s } };

	return epoll_ctl(d->epoll, op, s->fd, &ev);
}

/* --- clients --------------------------------------------------------------------------------- */

static void drop_client(struct source *c)
{
	if (c->fd >= 0)
		close(c->fd); /* this also takes it out of the epoll set */
	c->fd = -1;
	c->stopped = c->deaf = false;
}

/* A client too slow for its socket's buffer loses output; the guest and the log do not wait. */
static void send_client(struct source *c, const char *buf, size_t n)
{
	while (n) {
		ssize_t w = send(c->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
			c->deaf = true;
			return;
		}
		if (w <= 0) {
			drop_client(c);
			return;
		}
		buf += w;
		n -= w;
	}
	c->deaf = false;
}

static bool has_left(const struct source *c)
{
	struct pollfd pfd = { .fd = c->fd };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & (POLLHUP | POLLERR);
}

/* A place for one more, NULL: all are in use. */
static struct source *free_client(struct guest *g)
{
	struct source *c, *end = g->client + CLIENTS_MAX, *found = NULL;

	for (c = g->client; c < end; c++)
		if (c->fd < 0)
			return c;
	for (c = g->client; c < end && !found; c++)
		if (has_left(c))
			found = c;
	for (c = g->client; c < end && !found; c++)
		if (c->deaf)
			found = c;
	if (found)
		drop_client(found);
	return found;
}

static void keep_backlog(struct guest *g, const char *buf, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		g->backlog[(g->backlog_at + g->backlog_len) % BACKLOG] = buf[i];
		if (g->backlog_len < BACKLOG)
			g->backlog_len++;
		else
			g->backlog_at = (g->backlog_at + 1) % BACKLOG;
	}
}

/*
 * What was printed before somebody came is text of the past: it does not make his terminal answer, which the guest would take
 * for something typed, nor leave it in a mode that only the guest's next output would end.
 */
static size_t take_backlog(struct guest *g, char text[BACKLOG])
{
	size_t n = g->backlog_len, first = BACKLOG - g->backlog_at;

	if (first > n)
		first = n;
	memcpy(text, g->backlog + g->backlog_at, first);
	memcpy(text + first, g->backlog, n - first);
	g->backlog_len = g->backlog_at = 0;
	return pv_text_replay(text, n);
}

/* Whoever has opened the pty gets what nobody has seen yet. */
static void look_at_pty(struct guest *g)
{
	char text[BACKLOG];

	if (pty_look(&g->pty))
		pty_write(&g->pty, text, take_backlog(g, text));
}

/* A log that cannot be written costs the log. Said once, with the guest's name, until it can be again. */
static void write_log(struct guest *g, const char *buf, size_t n)
{
	bool failed = log_write(&g->log, buf, n) < 0;

	if (failed && !g->log_failed)
		fprintf(stderr, "domain %u (%s): its console log loses output: %s\n", g->domid,
			g->name, strerror(errno));
	else if (!failed && g->log_failed)
		fprintf(stderr, "domain %u (%s): its console log is written again\n", g->domid,
			g->name);
	g->log_failed = failed;
}

static void output(struct guest *g, const char *buf, size_t n)
{
	bool watched = false;
	int i;

	write_log(g, buf, n);
	look_at_pty(g);
	if (g->pty.watched) {
		pty_write(&g->pty, buf, n);
		watched = true;
	}
	for (i = 0; i < CLIENTS_MAX; i++) {
		if (g->client[i].fd < 0)
			continue;
		send_client(&g->client[i], buf, n);
		watched = true;
	}
	if (!watched)
		keep_backlog(g, buf, n);
}

void guest_accept(struct daemon *d, struct guest *g)
{
	int fd = accept4(g->listen.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int size = 1024 * 1024;
	struct source *c;
	char text[BACKLOG];

	if (fd < 0)
		return;
	c = free_client(g);
	if (!c) {
		static const char full[] = "xenconsoled: too many are connected already\r\n";

		if (send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			errno = 0;
		close(fd);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	c->fd = fd;
	if (watch_fd(d, EPOLL_CTL_ADD, c, EPOLLIN)) {
		drop_client(c);
		return;
	}
	send_client(c, text, take_backlog(g, text));
}

static void give_input(struct daemon *d, struct guest *g)
{
	size_t n;
	int i;

	if (!g->input_len)
		return;
	n = ring_give(&g->ring, g->input, g->input_len);
	if (!n)
		return;
	g->input_len -= n;
	memmove(g->input, g->input + n, g->input_len);
	xenevtchn_notify(d->xce, g->port);
	for (i = 0; i < CLIENTS_MAX; i++) {
		if (g->client[i].fd >= 0 && g->client[i].stopped) {
			g->client[i].stopped = false;
			watch_fd(d, EPOLL_CTL_MOD, &g->client[i], EPOLLIN);
		}
	}
	if (g->tty.stopped) {
		g->tty.stopped = false;
		watch_fd(d, EPOLL_CTL_MOD, &g->tty, EPOLLIN | EPOLLET);
	}
}

/* Edge-triggered, or the hang-up while nobody has it open would wake us for ever: all is read that there is room for. */
void guest_tty_event(struct daemon *d, struct guest *g)
{
	int rounds = 4;
	size_t n = 1;

	look_at_pty(g);
	while (n && rounds-- && g->input_len < PENDING_INPUT) {
		n = pty_read(&g->pty, g->input + g->input_len, PENDING_INPUT - g->input_len);
		g->input_len += n;
		give_input(d, g);
	}
	if (g->input_len == PENDING_INPUT)
		g->tty.stopped = true;
	else if (n)
		/* Others first: a guest that reads as fast as somebody types. Sets the edge anew. */
		watch_fd(d, EPOLL_CTL_MOD, &g->tty, EPOLLIN | EPOLLET);
}

void guest_client_input(struct daemon *d, struct source *c)
{
	struct guest *g = c->guest;
	size_t room = PENDING_INPUT - g->input_len;
	ssize_t n;

	if (c->fd < 0)
		return;
	if (!room) {
		/*
		 * Until the guest reads; the client's own buffer fills and it waits. Edge-triggered, since its
		 * hang-up cannot be masked: it is told once, and what was typed before is kept for the guest.
		 */
		if (!c->stopped)
			watch_fd(d, EPOLL_CTL_MOD, c, EPOLLET);
		c->stopped = true;
		return;
	}
	n = recv(c->fd, g->input + g->input_len, room, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_client(c);
		return;
	}
	g->input_len += n;
	give_input(d, g);
}

/* --- the ring -------------------------------------------------------------------------------- */

static void refill(struct guest *g, int64_t now)
{
	int64_t gained = (now - g->share_at) * SHARE_PER_MS;

	if (gained <= 0)
		return;
	g->share += gained;
	if (g->share > SHARE_BURST)
		g->share = SHARE_BURST;
	g->share_at = now;
}

int guest_delay(struct guest *g, int64_t now)
{
	refill(g, now);
	return g->share >= 0 ? 0 : (int)(-g->share / SHARE_PER_MS) + 1;
}

static size_t take_output(struct guest *g)
{
	char buf[sizeof(g->ring.page->out)];
	size_t n = ring_take(&g->ring, buf, sizeof(buf));

	if (n)
		output(g, buf, n);
	if (g->ring.bad && !g->bad_reported) {
		g->bad_reported = 1;
		fprintf(stderr, "domain %u (%s): impossible console ring indices; output lost\n",
			g->domid, g->name);
	}
	return n;
}

void guest_serve(struct daemon *d, struct guest *g, int64_t now)
{
	size_t n;

	if (guest_delay(g, now))
		return;
	n = take_output(g);
	g->share -= n > EVENT_COST ? n : EVENT_COST;
	give_input(d, g);
	if (n)
		xenevtchn_notify(d->xce, g->port);
	g->ready = false;
	/* An event that came meanwhile fires again now. */
	xenevtchn_unmask(d->xce, g->port);
}

/* --- coming and going ------------------------------------------------------------------------ */

static int open_socket(struct daemon *d, struct guest *g)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t old;
	int rc;

	snprintf(g->sock_path, sizeof(g->sock_path), "%s/%u", d->sock_dir, g->domid);
	strncpy(addr.sun_path, g->sock_path, sizeof(addr.sun_path) - 1);
	unlink(g->sock_path);
	g->listen.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->listen.fd < 0)
		return -1;
	old = umask(0177); /* root only */
	rc = bind(g->listen.fd, (struct sockaddr *)&addr, sizeof(addr));
	umask(old);
	if (rc || listen(g->listen.fd, CLIENTS_MAX))
		return -1;
	return watch_fd(d, EPOLL_CTL_ADD, &g->listen, EPOLLIN);
}

/* Without one there are still the socket and the log. */
static void make_tty(struct daemon *d, struct guest *g)
{
	if (pty_open(&g->pty, d->inotify)) {
		fprintf(stderr, "domain %u (%s): no pty for its console: %s\n", g->domid, g->name,
			strerror(errno));
		return;
	}
	g->tty.fd = g->pty.fd;
	if (watch_fd(d, EPOLL_CTL_ADD, &g->tty, EPOLLIN | EPOLLET))
		pty_close(&g->pty, d->inotify);
}

static void release(struct daemon *d, struct guest *g)
{
	struct channel *c;
	int i;

	while ((c = g->channels)) {
		g->channels = c->next;
		channel_close(d, c);
	}
	for (i = 0; i < CLIENTS_MAX; i++)
		drop_client(&g->client[i]);
	pty_close(&g->pty, d->inotify);
	if (g->listen.fd >= 0) {
		close(g->listen.fd);
		unlink(g->sock_path);
	}
	if (g->port >= 0)
		xenevtchn_unbind(d->xce, g->port);
	if (g->ring.page)
		xengnttab_unmap(d->xgt, g->ring.page, 1);
	log_close(&g->log);
	free(g->name);
	free(g);
}

struct guest *guest_open(struct daemon *d, uint32_t domid, const char *name, evtchn_port_t port,
			 bool fresh)
{
	struct guest *g = calloc(1, sizeof(*g));
	const char *what;
	void *page;
	int i;

	if (!g)
		return NULL;
	g->domid = domid;
	g->port = -1;
	g->remote_port = port;
	g->share = SHARE_BURST;
	g->listen = (struct source){ .kind = SRC_LISTEN, .guest = g, .fd = -1 };
	g->tty = (struct source){ .kind = SRC_TTY, .guest = g, .fd = -1 };
	g->pty.fd = g->pty.watch = -1;
	for (i = 0; i < CLIENTS_MAX; i++)
		g->client[i] = (struct source){ .kind = SRC_CLIENT, .guest = g, .fd = -1 };
	g->log.fd = -1;
	g->name = strdup(name);
	what = "out of memory";
	if (!g->name)
		goto fail;
	if (log_open(&g->log, d->log_dir, name, fresh))
		fprintf(stderr, "domain %u (%s): no log: %s\n", domid, name, strerror(errno));
	what = "cannot map the console ring";
	page = xengnttab_map_grant_ref(d->xgt, domid, GNTTAB_RESERVED_CONSOLE,
				       PROT_READ | PROT_WRITE);
	if (!page)
		goto fail;
	ring_attach(&g->ring, page);
	what = "cannot bind the console's event channel";
	g->port = xenevtchn_bind_interdomain(d->xce, domid, port);
	if (g->port < 0)
		goto fail;
	what = "cannot make the console's socket";
	if (open_socket(d, g))
		goto fail;
	make_tty(d, g);
	/* What came before we were bound raised no event for us. */
	take_output(g);
	xenevtchn_notify(d->xce, g->port);
	return g;
fail:
	fprintf(stderr, "domain %u (%s): %s: %s\n", domid, name, what, strerror(errno));
	release(d, g);
	return NULL;
}

void guest_close(struct daemon *d, struct guest *g)
{
	/* Nobody fills the ring any more, or only a little: bounded all the same. */
	int rounds = 4;

	while (rounds-- && take_output(g))
		;
	release(d, g);
}
