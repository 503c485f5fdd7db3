// SPDX-License-Identifier: BSD-2-Clause
/*
 * The greeting of the network block device protocol ("fixed newstyle", one nameless export), and finding devices in sysfs.
 * nbd_kernel.c has what the kernel is told.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "nbd.h"
#include "sharing.h"
#include "xl.h"

#ifndef SHARING_ROOT
#define SHARING_ROOT ""
#endif
#define SYS_BLOCK SHARING_ROOT "/sys/block"

#define NBDMAGIC 0x4e42444d41474943ull
#define IHAVEOPT 0x49484156454f5054ull
#define FIXED_NEWSTYLE (1 << 0)
#define NO_ZEROES (1 << 1)
#define OPT_EXPORT_NAME 1

/* All of @len bytes, until @end. 0 or as nbd_greet(). */
static int receive(int sock, void *to, size_t len, int64_t end)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	char *p = to;
	ssize_t n;

	while (len) {
		int64_t left = end - xl_now();

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, left > 1000 ? 1000 : (int)left) <= 0)
			continue;
		n = recv(sock, p, len, MSG_DONTWAIT);
		if (!n || (n < 0 && errno == ECONNRESET))
			return -EPIPE;
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

int nbd_greet(int sock, int ms, struct nbd_export *e)
{
	struct {
		uint64_t magic, option;
		uint16_t flags;
	} __attribute__((packed)) hello;
	struct {
		uint32_t flags;
		uint64_t option;
		uint32_t number, len;
	} __attribute__((packed))
	ask = { .option = htobe64(IHAVEOPT), .number = htobe32(OPT_EXPORT_NAME) };
	struct {
		uint64_t bytes;
		uint16_t flags;
	} __attribute__((packed)) answer;
	int64_t end = xl_now() + ms;
	int rc = receive(sock, &hello, sizeof(hello), end);

	if (rc)
		return rc;
	if (be64toh(hello.magic) != NBDMAGIC || be64toh(hello.option) != IHAVEOPT ||
	    !(be16toh(hello.flags) & FIXED_NEWSTYLE) || !(be16toh(hello.flags) & NO_ZEROES))
		return -EPROTO;
	ask.flags = htobe32(FIXED_NEWSTYLE | NO_ZEROES);
	if (send(sock, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask))
		return -EPIPE;
	rc = receive(sock, &answer, sizeof(answer), end);
	if (rc)
		return rc;
	e->bytes = be64toh(answer.bytes) / 512 * 512;
	e->flags = be16toh(answer.flags);
	return 0;
}

/* The first line of /sys/block/nbdN/LEAF, or NULL. The caller frees. */
static char *attribute(const char *device, const char *leaf)
{
	char *path = xl_sprintf(SYS_BLOCK "/%s/%s", device, leaf);
	char *line = sharing_line(path);

	free(path);
	return line;
}

int nbd_find(const char *name)
{
	DIR *d = opendir(SYS_BLOCK);
	size_t len = strlen(name);
	struct dirent *e;
	int index = -1, n;
	char *line;

	while (d && index < 0 && (e = readdir(d))) {
		if (sscanf(e->d_name, "nbd%d", &n) != 1)
			continue;
		line = attribute(e->d_name, "backend");
		if (line && !strncmp(line, name, len) && line[len] == ' ')
			index = n;
		free(line);
	}
	if (d)
		closedir(d);
	return index;
}

bool nbd_number(int index, dev_t *dev)
{
	char name[16], *line;
	unsigned int maj, min;
	bool ok;

	snprintf(name, sizeof(name), "nbd%d", index);
	line = attribute(name, "dev");
	ok = line && sscanf(line, "%u:%u", &maj, &min) == 2;
	if (ok)
		*dev = makedev(maj, min);
	free(line);
	return ok;
}
