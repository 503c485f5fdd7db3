// SPDX-License-Identifier: BSD-2-Clause
/*
 * For a Linux guest with two interfaces on one bridge: says frames through one, and prints which of them the other one hears.
 * Usage: frames FROM TO HEX... Frames carry "mark:NAME", and a space after it; the last one to come is called "end".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 30

static int open_on(const char *name)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));

	if (fd < 0 || !ll.sll_ifindex || bind(fd, (struct sockaddr *)&ll, sizeof(ll))) {
		perror(name);
		_exit(1);
	}
	return fd;
}

static int say(int fd, const char *hex)
{
	unsigned char frame[1500];
	unsigned int byte;
	size_t n = 0;

	for (; *hex && n < sizeof(frame); hex += 2) {
		if (sscanf(hex, "%2x", &byte) != 1)
			return -1;
		frame[n++] = byte;
	}
	return write(fd, frame, n) == (ssize_t)n ? 0 : -1;
}

/* 1 after the last frame */
static int hear(int fd)
{
	char frame[2048], name[32];
	ssize_t n = recv(fd, frame, sizeof(frame) - 1, 0);
	char *mark = n > 0 ? memmem(frame, n, "mark:", 5) : NULL;

	if (!mark)
		return 0;
	frame[n] = '\0';
	if (sscanf(mark, "mark:%31s", name) != 1)
		return 0;
	puts(name);
	return !strcmp(name, "end");
}

int main(int argc, char **argv)
{
	struct pollfd pfd = { .events = POLLIN };
	time_t end = time(NULL) + PATIENCE_S;
	int i, from;

	if (argc < 4)
		return 2;
	pfd.fd = open_on(argv[2]);
	from = open_on(argv[1]);
	for (i = 3; i < argc; i++) {
		if (say(from, argv[i])) {
			perror(argv[i]);
			return 1;
		}
	}
	while (time(NULL) < end)
		if (poll(&pfd, 1, 1000) > 0 && hear(pfd.fd))
			return 0;
	fputs("the last frame has not come\n", stderr);
	return 1;
}
