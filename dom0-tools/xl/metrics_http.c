// SPDX-License-Identifier: BSD-2-Clause
/*
 * The server of xl metrics --listen: HTTP/1.1, as much of it as Prometheus and curl need.
 * Owns the bounds: one process, so many clients, so long a request, so much time; no client waits for another, and however
 * often they ask, the host is looked at once a second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "metrics.h"

#define CLIENTS 16
#define REQUEST_MAX 4096 /* with all headers */
#define FRESH_MS 1000
/* From its first byte to its last; a screenful of figures on a loopback takes no time. */
#ifndef CLIENT_MS
#define CLIENT_MS 10000
#endif

struct client {
	int fd; /* -1: free */
	int64_t end; /* xl_now() */
	char request[REQUEST_MAX + 1];
	size_t got;
	char *answer; /* NULL: still reading */
	size_t len, sent;
	bool told; /* all of it: what the client still sends is not looked at, but its end is waited for */
};

struct server {
	struct stats_source *stats;
	int fd;
	struct client client[CLIENTS];
	char *text; /* of the last look */
	size_t len;
	int64_t until; /* that long it is fresh */
};

/* --- where ----------------------------------------------------------------------------------- */

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

static bool parse_port(const char *text, in_port_t *port)
{
	unsigned long n;
	char *end;

	if (strspn(text, "0123456789") != strlen(text) || !*text || strlen(text) > 5)
		return false;
	n = strtoul(text, &end, 10);
	*port = htons(n);
	return n > 0 && n <= 65535;
}

/* "9100", "127.0.0.2:9100", "[::1]:9100" */
static bool parse_address(const char *where, union address *a)
{
	const char *colon = strrchr(where, ':');
	char host[64] = "127.0.0.1";
	size_t len = colon ? (size_t)(colon - where) : 0;
	in_port_t port;

	memset(a, 0, sizeof(*a));
	if (!parse_port(colon ? colon + 1 : where, &port) || len >= sizeof(host))
		return false;
	if (colon) {
		memcpy(host, where, len);
		host[len] = '\0';
	}
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = port;
		return inet_pton(AF_INET6, host + 1, &a->in6.sin6_addr) == 1;
	}
	a->in.sin_family = AF_INET;
	a->in.sin_port = port;
	return inet_pton(AF_INET, host, &a->in.sin_addr) == 1;
}

static bool is_loopback(const union address *a)
{
	if (a->sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
	return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
}

static int listen_at(const char *where, bool any)
{
	union address a;
	int fd, on = 1;

	if (!parse_address(where, &a))
		return xl_error("--listen: '%s' is not [ADDRESS:]PORT, as in 9100, 127.0.0.1:9100 "
				"or [::1]:9100",
				where);
	if (!is_loopback(&a) && !any)
		return xl_error("--listen: others than this host could ask at %s, who may not need "
				"to know what runs here; --any allows it",
				where);
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return xl_error("--listen %s: %s", where, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a.sa, a.sa.sa_family == AF_INET6 ? sizeof(a.in6) : sizeof(a.in)) ||
	    listen(fd, CLIENTS)) {
		xl_error("--listen %s: %s", where, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* --- answers --------------------------------------------------------------------------------- */

static void drop(struct client *c)
{
	close(c->fd);
	free(c->answer);
	c->answer = NULL;
	c->fd = -1;
}

/* @type: further lines of the header, each with its end. */
static void answer(struct client *c, const char *status, const char *type, const char *body,
		   size_t len, bool with_body)
{
	FILE *f = open_memstream(&c->answer, &c->len);

	if (!f)
		abort();
	fprintf(f, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status, len,
		type);
	if (with_body)
		fwrite(body, 1, len, f);
	fclose(f);
	c->sent = 0;
	c->told = false;
}

static void complain(struct client *c, const char *status, const char *more)
{
	char *type = xl_sprintf("Content-Type: text/plain; charset=utf-8\r\n%s", more);
	char *body = xl_sprintf("%s\nThe figures are at /metrics.\n", status);

	answer(c, status, type, body, strlen(body), true);
	free(body);
	free(type);
}

static bool fresh(struct server *s)
{
	if (s->text && xl_now() < s->until)
		return true;
	free(s->text);
	s->text = metrics_text(s->stats, &s->len);
	s->until = xl_now() + FRESH_MS;
	return s->text != NULL;
}

static void give(struct server *s, struct client *c, bool with_body)
{
	if (fresh(s))
		answer(c, "200 OK", "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
		       s->text, s->len, with_body);
	else
		complain(c, "503 Service Unavailable", "");
}

/* The request is whole, its end included. */
static void respond(struct server *s, struct client *c)
{
	char *line = c->request, *path, *version, *end = strpbrk(line, "\r\n");
	bool head;

	*end = '\0';
	path = strchr(line, ' ');
	version = path ? strchr(path + 1, ' ') : NULL;
	if (!version || strncmp(version, " HTTP/1.", 8)) {
		complain(c, "400 Bad Request", "");
		return;
	}
	*path++ = '\0';
	*version = '\0';
	path[strcspn(path, "?")] = '\0';
	head = !strcmp(line, "HEAD");
	if (!head && strcmp(line, "GET"))
		complain(c, "405 Method Not Allowed", "Allow: GET, HEAD\r\n");
	else if (strcmp(path, "/metrics"))
		complain(c, "404 Not Found", "");
	else
		give(s, c, !head);
}

/* --- clients --------------------------------------------------------------------------------- */

static bool is_whole(const struct client *c)
{
	return strstr(c->request, "\r\n\r\n") || strstr(c->request, "\n\n");
}

static void receive(struct server *s, struct client *c)
{
	ssize_t n = recv(c->fd, c->request + c->got, REQUEST_MAX - c->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	c->got += n;
	c->request[c->got] = '\0';
	if (memchr(c->request, '\0', c->got))
		complain(c, "400 Bad Request", "");
	else if (is_whole(c))
		respond(s, c);
	else if (c->got == REQUEST_MAX)
		complain(c, "431 Request Header Fields Too Large", "");
}

static void transmit(struct client *c)
{
	ssize_t n = send(c->fd, c->answer + c->sent, c->len - c->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->sent += n;
	if (n <= 0) {
		drop(c);
	} else if (c->sent == c->len) {
		/* Closed with bytes that nobody has read, it would take the answer back. */
		shutdown(c->fd, SHUT_WR);
		c->told = true;
	}
}

static void let_go(struct client *c)
{
	char rest[REQUEST_MAX];
	ssize_t n = recv(c->fd, rest, sizeof(rest), 0);

	if (n <= 0 && (n == 0 || (errno != EAGAIN && errno != EINTR)))
		drop(c);
}

/* A free place; who has had one for longest makes room. */
static struct client *place(struct server *s)
{
	struct client *c = &s->client[0];
	int i;

	for (i = 0; i < CLIENTS; i++) {
		if (s->client[i].fd < 0)
			return &s->client[i];
		if (s->client[i].end < c->end)
			c = &s->client[i];
	}
	drop(c);
	return c;
}

static void take(struct server *s)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	if (fd < 0)
		return;
	c = place(s);
	c->fd = fd;
	c->end = xl_now() + CLIENT_MS;
	c->got = 0;
	c->answer = NULL;
}

static short wanted(const struct client *c)
{
	return c->answer && !c->told ? POLLOUT : POLLIN;
}

static void run(struct server *s)
{
	struct pollfd pfd[CLIENTS + 1];
	int i;

	while (!xl_interrupted) {
		pfd[CLIENTS] = (struct pollfd){ .fd = s->fd, .events = POLLIN };
		for (i = 0; i < CLIENTS; i++)
			pfd[i] = (struct pollfd){ .fd = s->client[i].fd,
						  .events = wanted(&s->client[i]) };
		if (poll(pfd, CLIENTS + 1, 500) < 0)
			continue;
		for (i = 0; i < CLIENTS; i++) {
			struct client *c = &s->client[i];

			if (c->fd < 0)
				continue;
			if (xl_now() > c->end)
				drop(c);
			else if (pfd[i].revents && c->answer && c->told)
				let_go(c);
			else if (pfd[i].revents && c->answer)
				transmit(c);
			else if (pfd[i].revents)
				receive(s, c);
		}
		if (pfd[CLIENTS].revents)
			take(s);
	}
}

int metrics_serve(struct stats_source *stats, const char *where, bool any)
{
	struct server s = { .stats = stats };
	int i;

	for (i = 0; i < CLIENTS; i++)
		s.client[i].fd = -1;
	s.fd = listen_at(where, any);
	if (s.fd < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	xl_catch_signals();
	run(&s);
	for (i = 0; i < CLIENTS; i++)
		if (s.client[i].fd >= 0)
			drop(&s.client[i]);
	free(s.text);
	close(s.fd);
	return 0;
}
