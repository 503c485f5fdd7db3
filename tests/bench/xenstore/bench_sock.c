// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clients of a daemon's socket, and the echo server that it is compared with.
 *	bench_sock echo SOCKET BYTES		answers each message with BYTES of payload
 *	bench_sock fill SOCKET GUESTS		fills, holds the watches, takes events until stdin ends
 *	bench_sock load SOCKET GUESTS OP CLIENTS DEPTH SECONDS	prints "operations seconds EAGAINs"
 * load: CLIENTS connections, each with DEPTH messages on the way at a time.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "load.h"

#define CLIENTS_MAX 64

struct client {
	int fd;
	unsigned int have; /* bytes in buf */
	struct visit visit;
	char buf[1 << 18];
};

static struct client clients[CLIENTS_MAX];
static int fds[FAN_WATCHES + 1];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	strncpy(un.sun_path, path, sizeof(un.sun_path) - 1);
	return un;
}

static int dial(const char *path)
{
	struct sockaddr_un un = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)))
		die(path);
	return fd;
}

static void send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n <= 0)
			die("send");
		p += n;
		len -= (size_t)n;
	}
}

/* The next whole message of a connection, in its buffer; to be taken off with drop(). */
static struct xsd_sockmsg *next(struct client *c)
{
	struct xsd_sockmsg *hdr = (struct xsd_sockmsg *)c->buf;

	while (c->have < sizeof(*hdr) || c->have < sizeof(*hdr) + hdr->len) {
		ssize_t n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, 0);

		if (n <= 0)
			die("recv");
		c->have += (unsigned int)n;
	}
	return hdr;
}

static void drop(struct client *c)
{
	const struct xsd_sockmsg *hdr = (struct xsd_sockmsg *)c->buf;
	unsigned int len = (unsigned int)sizeof(*hdr) + hdr->len;

	c->have -= len;
	memmove(c->buf, c->buf + len, c->have);
}

/* ---- echo: one thread, epoll, an answer for each message, as the daemon's loop does ---- */

static void echo_one(struct client *c, unsigned int bytes)
{
	struct xsd_sockmsg *hdr = (struct xsd_sockmsg *)c->buf;
	char out[MSG_MAX_BYTES];
	ssize_t n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, MSG_DONTWAIT);
	struct xsd_sockmsg rep;

	if (n <= 0) {
		close(c->fd);
		c->fd = -1;
		return;
	}
	c->have += (unsigned int)n;
	while (c->have >= sizeof(*hdr) && c->have >= sizeof(*hdr) + hdr->len) {
		rep = *hdr;
		rep.len = bytes;
		memcpy(out, &rep, sizeof(rep));
		memset(out + sizeof(rep), 'v', bytes);
		send_all(c->fd, out, sizeof(rep) + bytes);
		drop(c);
	}
}

static __attribute__((noreturn)) void echo(const char *path, unsigned int bytes)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = CLIENTS_MAX }, got[64];
	struct sockaddr_un un = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), ep = epoll_create1(0), n, num = 0;

	if (bind(fd, (struct sockaddr *)&un, sizeof(un)) || listen(fd, 64))
		die(path);
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	for (;;) {
		n = epoll_wait(ep, got, 64, -1);
		for (int i = 0; i < n; i++) {
			if (got[i].data.u32 != CLIENTS_MAX) {
				echo_one(&clients[got[i].data.u32], bytes);
				continue;
			}
			for (num = 0; num < CLIENTS_MAX - 1 && clients[num].fd > 0; num++)
				;
			clients[num] = (struct client){ .fd = accept(fd, NULL, NULL) };
			ev.data.u32 = (uint32_t)num;
			epoll_ctl(ep, EPOLL_CTL_ADD, clients[num].fd, &ev);
		}
	}
}

/* ---- fill ---- */

static struct client filler;
static unsigned int unanswered;

static void answers(unsigned int up_to)
{
	while (unanswered > up_to) {
		if (next(&filler)->type != XS_WATCH_EVENT)
			unanswered--;
		drop(&filler);
	}
}

static void fill_request(const char *msg, size_t len)
{
	send_all(filler.fd, msg, len);
	unanswered++;
	answers(100);
}

static void fill_watch(int watcher, const char *msg, size_t len)
{
	struct client c = { .fd = fds[watcher + 1] };

	send_all(c.fd, msg, len);
	/* its answer and its first event; what else comes is taken later */
	for (int i = 0; i < 2; i++) {
		next(&c);
		drop(&c);
	}
}

static int fill_all(const char *path, unsigned int guests)
{
	static char sink[1 << 16];
	struct pollfd p[FAN_WATCHES + 2];

	filler.fd = dial(path);
	for (int i = 0; i <= FAN_WATCHES; i++)
		fds[i] = dial(path);
	fill_nodes(guests, fill_request);
	answers(0);
	fill_watches(guests, fill_watch);
	puts("ready");
	fflush(stdout);
	for (int i = 0; i <= FAN_WATCHES; i++)
		p[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	p[FAN_WATCHES + 1] = (struct pollfd){ .fd = 0, .events = POLLIN };
	for (;;) {
		/* now and then, so that many events are taken at once and the watchers take no time */
		usleep(20000);
		poll(p, FAN_WATCHES + 2, -1);
		for (int i = 0; i <= FAN_WATCHES; i++)
			if (p[i].revents)
				while (recv(fds[i], sink, sizeof(sink), MSG_DONTWAIT) > 0)
					;
		if (p[FAN_WATCHES + 1].revents)
			return 0;
	}
}

/* ---- load ---- */

static unsigned long again;

static size_t make_op(char *msg, enum work op, unsigned int guests, struct visit *v)
{
	unsigned int guest, leaf;
	char path[128];

	if (op == DO_SCATTER)
		v->left = 0;
	visit_next(v, guests);
	guest = v->guest;
	leaf = v->leaf;
	switch (op) {
	case DO_READ:
	case DO_SCATTER:
		return make_path(msg, XS_READ, 0, leaf_path(path, guest, leaf));
	case DO_WRITE:
		return make_pair(msg, XS_WRITE, 0, leaf_path(path, guest, leaf), "other");
	case DO_DIR:
		return make_path(msg, XS_DIRECTORY, 0, "/bench/dir");
	case DO_FAN:
		return make_pair(msg, XS_WRITE, 0, "/bench/fan", "y");
	default:
		return 0;
	}
}

static void good(const struct xsd_sockmsg *hdr)
{
	if (hdr->type != XS_ERROR)
		return;
	if (!strcmp((const char *)(hdr + 1), "EAGAIN")) {
		again++;
		return;
	}
	fprintf(stderr, "bench_sock: %s\n", (const char *)(hdr + 1));
	exit(1);
}

static void round_of(enum work op, unsigned int guests, unsigned int num, unsigned int depth)
{
	static char out[1 << 18];
	size_t len;

	for (unsigned int i = 0; i < num; i++) {
		len = 0;
		for (unsigned int d = 0; d < depth; d++)
			len += make_op(out + len, op, guests, &clients[i].visit);
		send_all(clients[i].fd, out, len);
	}
	for (unsigned int i = 0; i < num; i++) {
		for (unsigned int d = 0; d < depth; d++) {
			good(next(&clients[i]));
			drop(&clients[i]);
		}
	}
}

/*
 * All clients have a transaction open at the same time, each on a guest of its own, step by step.
 * With fewer guests than clients the paths are still each client's own.
 */
static void round_of_tx(unsigned int guests, unsigned int num)
{
	char msg[MSG_MAX_BYTES], path[128];
	static struct visit v;
	unsigned int first;
	uint32_t tx[CLIENTS_MAX];

	visit_next(&v, guests);
	first = v.guest - 1;

	for (unsigned int i = 0; i < num; i++)
		send_all(clients[i].fd, msg, make_path(msg, XS_TRANSACTION_START, 0, ""));
	for (unsigned int i = 0; i < num; i++) {
		tx[i] = (uint32_t)strtoul((char *)(next(&clients[i]) + 1), NULL, 10);
		drop(&clients[i]);
	}
	for (int step = 0; step <= TX_WRITES; step++) {
		for (unsigned int i = 0; i < num; i++) {
			unsigned int guest = (first + i) % guests + 1;
			unsigned int leaf = (unsigned int)step % 5 * 8 + i / guests % 8;

			send_all(clients[i].fd, msg,
				 step == TX_WRITES ?
					 make_path(msg, XS_TRANSACTION_END, tx[i], "T") :
					 make_pair(msg, XS_WRITE, tx[i],
						   leaf_path(path, guest, leaf), "tx"));
		}
		for (unsigned int i = 0; i < num; i++) {
			good(next(&clients[i]));
			drop(&clients[i]);
		}
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int load(char **v)
{
	unsigned int guests = (unsigned int)atoi(v[1]), num = (unsigned int)atoi(v[3]);
	unsigned int depth = (unsigned int)atoi(v[4]);
	enum work op = (enum work)op_find(v[2]);
	double seconds = atof(v[5]), begin, end;
	unsigned long rounds = 0;

	for (unsigned int i = 0; i < num; i++)
		clients[i].fd = dial(v[0]);
	for (begin = now();; rounds++) {
		end = now();
		if (end - begin >= seconds)
			break;
		if (op == DO_TX10)
			round_of_tx(guests, num);
		else
			round_of(op, guests, num, depth);
	}
	printf("%lu %.4f %lu\n", rounds * num * (op == DO_TX10 ? 1 : depth), end - begin, again);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "echo"))
		echo(argv[2], (unsigned int)atoi(argv[3]));
	if (argc == 4 && !strcmp(argv[1], "fill"))
		return fill_all(argv[2], (unsigned int)atoi(argv[3]));
	if (argc == 8 && !strcmp(argv[1], "load") && atoi(argv[3]) > 0 && atoi(argv[5]) > 0 &&
	    atoi(argv[5]) < CLIENTS_MAX && atoi(argv[6]) > 0 && atoi(argv[6]) <= 64)
		return load(argv + 2);
	fprintf(stderr, "Usage: bench_sock echo SOCKET BYTES | fill SOCKET GUESTS |\n"
			"       load SOCKET GUESTS OP CLIENTS DEPTH SECONDS\n");
	return 2;
}
