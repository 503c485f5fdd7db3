// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's network block devices, for xl on this machine: a device is a directory SHARING_ROOT/sys/block/nbdN as sysfs has it, and a
 * process that holds the connection. It reads the disk's first bytes through it every now and then, and writes that to the file
 * "read" there ("error" when the server is gone). Where the file sys/block/slow is, cutting one takes a while.
 * Owns what fake_qemu_nbd.c talks to.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nbd.h"

#define REPORT 2048
#define DEVICE SHARING_ROOT "/sys/block/nbd%d"

static void write_file(int index, const char *leaf, const void *text, size_t len)
{
	char path[512], new[520];
	FILE *f;

	snprintf(path, sizeof(path), DEVICE "/%s", index, leaf);
	snprintf(new, sizeof(new), "%s.new", path);
	f = fopen(new, "w");
	if (f) {
		fwrite(text, 1, len, f);
		fclose(f);
		rename(new, path);
	}
}

/* NBD_CMD_READ of the report at 0; the protocol's simple reply. */
static int read_report(int sock, char *to)
{
	struct {
		uint32_t magic;
		uint16_t flags, type;
		uint64_t handle, at;
		uint32_t len;
	} __attribute__((packed)) ask = { htobe32(0x25609513), 0, 0, 7, 0, htobe32(REPORT) };
	struct {
		uint32_t magic, error;
		uint64_t handle;
	} __attribute__((packed)) reply;

	if (send(sock, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask) ||
	    recv(sock, &reply, sizeof(reply), MSG_WAITALL) != sizeof(reply) ||
	    reply.magic != htobe32(0x67446698) || reply.error || reply.handle != 7)
		return -1;
	return recv(sock, to, REPORT, MSG_WAITALL) == REPORT ? 0 : -1;
}

static void hold(int index, int sock)
{
	char sector[REPORT];
	int fd;

	setsid();
	for (fd = 3; fd < 256; fd++)
		if (fd != sock)
			close(fd);
	fd = open("/dev/null", O_RDWR);
	dup2(fd, 1);
	dup2(fd, 2);
	while (!read_report(sock, sector)) {
		write_file(index, "read", sector, strnlen(sector, sizeof(sector)));
		usleep(50000);
	}
	write_file(index, "error", "1\n", 2);
	for (;;)
		pause();
}

int nbd_connect(int sock, const struct nbd_export *e, const char *name)
{
	char path[512], text[64];
	int index = 0;
	pid_t pid;

	if (getenv("FAKE_NBD_NONE"))
		return -ENOENT;
	do {
		snprintf(path, sizeof(path), DEVICE, index++);
	} while (index < 64 && mkdir(path, 0755));
	if (index-- == 64)
		return -errno;
	pid = fork();
	if (!pid)
		hold(index, sock);
	snprintf(text, sizeof(text), "43:%d\n", index);
	write_file(index, "dev", text, strlen(text));
	write_file(index, "backend", name, strlen(name));
	snprintf(text, sizeof(text), "%d\n", pid);
	write_file(index, "holder", text, strlen(text));
	snprintf(text, sizeof(text), "%llu %#x\n", (unsigned long long)e->bytes, e->flags);
	write_file(index, "export", text, strlen(text));
	return index;
}

int nbd_disconnect(int index)
{
	static const char *const leaves[] = {
		"dev", "backend", "holder", "export", "read", "error"
	};
	char path[512];
	unsigned int i, tries = 0;
	int pid = 0;
	FILE *f;

	if (!access(SHARING_ROOT "/sys/block/slow", F_OK))
		sleep(2);
	snprintf(path, sizeof(path), DEVICE "/holder", index);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) == 1 && pid > 1)
		kill(pid, SIGKILL);
	fclose(f);
	/* Its holder may just write another one, and be dead a moment later only. */
	do {
		for (i = 0; i < sizeof(leaves) / sizeof(*leaves); i++) {
			snprintf(path, sizeof(path), DEVICE "/%s", index, leaves[i]);
			unlink(path);
			snprintf(path, sizeof(path), DEVICE "/%s.new", index, leaves[i]);
			unlink(path);
		}
		snprintf(path, sizeof(path), DEVICE, index);
	} while (rmdir(path) && errno == ENOTEMPTY && tries++ < 1000 && !usleep(1000));
	return 0;
}
