// SPDX-License-Identifier: BSD-2-Clause
/*
 * Streams and datagrams whose content is checked at both ends, in pieces of odd sizes from odd places in memory and files:
 * what a network that copies, maps and joins pages may get wrong.
 * Usage: pieces serve PORT | pieces ADDRESS PORT. The client prints "all came back", or what differs.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAM (6 << 20)
#define MOST 65507 /* of a datagram */
#define ROUNDS 3
#define PATIENCE_S 30

static const int sizes[] = { 1,	   2,	 7,    18,   53,   63,	 127,  129,   613,   1400,  1455,
			     1471, 1472, 1473, 1643, 1659, 4001, 8191, 16385, 30001, 65001, MOST };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* STREAM bytes of noise, and as much as the longest piece behind it; the same at both ends. */
static uint8_t *noise;
static uint8_t area[1 << 17];

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static void make_noise(void)
{
	uint64_t x = 88172645463325252ULL;

	noise = malloc(STREAM + MOST);
	if (!noise)
		die("no memory");
	for (int i = 0; i < STREAM + MOST; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		noise[i] = x >> 32;
	}
}

static void compare(const char *what, const uint8_t *got, int at, int size)
{
	for (int i = 0; i < size; i++)
		if (got[i] != noise[at + i])
			die("%s: byte %d of %d, from %d, is %02x and not %02x", what, i, size, at,
			    got[i], noise[at + i]);
}

/* The stream, in writes of all sizes; every third as vectors of small pieces, every fifth from a file's pages. */
static void say_stream(int s, int file)
{
	for (int at = 0, n = 0, size; at < STREAM; at += size, n++) {
		off_t offset = at;
		ssize_t done;

		size = sizes[n * 5 % SIZES];
		if (size > STREAM - at)
			size = STREAM - at;
		if (n % 5 == 4) {
			done = sendfile(s, file, &offset, size);
		} else if (n % 3 == 2) {
			struct iovec v[3] = { { noise + at, size / 3 },
					      { noise + at + size / 3, size / 5 } };

			v[2].iov_base = noise + at + size / 3 + size / 5;
			v[2].iov_len = size - size / 3 - size / 5;
			done = writev(s, v, 3);
		} else {
			done = write(s, noise + at, size);
		}
		if (done <= 0)
			die("stream: cannot write: %m");
		size = done;
	}
}

static void hear_stream(int s)
{
	for (int at = 0, n = 0, size; at < STREAM; at += size, n++) {
		uint8_t *to = area + n % 67; /* odd places */
		int most = sizes[(n * 3 + 1) % SIZES];

		size = read(s, to, most < STREAM - at ? most : STREAM - at);
		if (size <= 0)
			die("stream: ends after %d bytes", at);
		compare("stream", to, at, size);
	}
}

/* Patience: who waits for what was lost says so. */
static int new_socket(int type)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int s = socket(AF_INET, type, 0), one = 1;

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return s;
}

static struct sockaddr_in where(const char *address, const char *port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(atoi(port)),
				     .sin_addr.s_addr = inet_addr(address) };
}

static void client(const char *address, const char *port, int file)
{
	struct sockaddr_in to = where(address, port);
	int tcp = new_socket(SOCK_STREAM), udp = new_socket(SOCK_DGRAM);

	if (connect(tcp, (struct sockaddr *)&to, sizeof(to)) ||
	    connect(udp, (struct sockaddr *)&to, sizeof(to)))
		die("cannot connect: %m");
	say_stream(tcp, file);
	hear_stream(tcp);
	/* Each datagram comes back, as what stands behind it in the noise. */
	for (unsigned int i = 0; i < ROUNDS * SIZES; i++) {
		int size = sizes[i % SIZES], at = i * 7, got;

		if (send(udp, noise + at, size, 0) != size)
			die("datagram of %d bytes: cannot send: %m", size);
		got = recv(udp, area + i % 67, sizeof(area) - 67, 0);
		if (got != size)
			die("datagram of %d bytes: %d came back", size, got);
		compare("datagram", area + i % 67, at + 1, size);
	}
	printf("all came back\n");
}

/* A server's complaints go to its client: as an end before the end, or as silence. */
static void serve(const char *port, int file)
{
	struct sockaddr_in own = where("0.0.0.0", port), from;
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	socklen_t length = sizeof(from);

	setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(tcp, (struct sockaddr *)&own, sizeof(own)) || listen(tcp, 4) ||
	    bind(udp, (struct sockaddr *)&own, sizeof(own)))
		die("cannot listen: %m");
	if (!fork()) {
		for (unsigned int i = 0;; i++) {
			int size = recvfrom(udp, area, sizeof(area), 0, (struct sockaddr *)&from,
					    &length);
			unsigned int n = i % (ROUNDS * SIZES);

			if (size == sizes[n % SIZES] && !memcmp(area, noise + n * 7, size))
				sendto(udp, noise + n * 7 + 1, size, 0, (struct sockaddr *)&from,
				       length);
		}
	}
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int s = accept(tcp, NULL, NULL);

		if (!fork()) {
			hear_stream(s);
			say_stream(s, file);
			exit(0);
		}
		close(s);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

int main(int argc, char **argv)
{
	int file = memfd_create("noise", 0);

	if (argc != 3)
		die("usage: pieces serve PORT | pieces ADDRESS PORT");
	make_noise();
	if (write(file, noise, STREAM) != STREAM)
		die("no memory for the file");
	if (!strcmp(argv[1], "serve"))
		serve(argv[2], file);
	else
		client(argv[1], argv[2], file);
	return 0;
}
