// SPDX-License-Identifier: BSD-2-Clause
/*
 * A qemu-nbd that the sandbox is tried on: it serves one client on descriptor 3, as systemd's socket activation has it, and the disk's
 * first sector is its report about what it was given and what it sees. What its first image's bytes 256 on say makes it
 * misbehave: "mute" never answers, "fail" complains and ends, "stay" does not end when it should, "short" and "huge" are no disks.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REPORT 2048

static char report[REPORT], order[8];
static int image = -1, client = -1;

static void say(const char *fmt, ...)
{
	size_t n = strlen(report);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(report + n, sizeof(report) - n, fmt, ap);
	va_end(ap);
}

static void finish(int sig)
{
	(void)sig;
	/* What is written last is there when it has ended. */
	if (pwrite(image, "flushed", 7, 300) < 0 && errno != EBADF)
		_exit(1);
	_exit(0);
}

static void list(const char *dir)
{
	struct dirent **e;
	int n = scandir(dir, &e, NULL, alphasort), i;

	for (i = 0; i < n; i++)
		if (e[i]->d_name[0] != '.')
			say("%s%s", e[i]->d_name, i < n - 1 ? "," : "");
}

/* Is the session's keyring another user's? */
static bool has_keys(void)
{
	char text[256] = "";
	unsigned int uid = getuid();
	long n = syscall(SYS_keyctl, KEYCTL_DESCRIBE, KEY_SPEC_SESSION_KEYRING, text, sizeof(text));

	return n >= 0 && (sscanf(text, "keyring;%u", &uid) != 1 || uid != getuid());
}

static void look(int argc, char **argv)
{
	struct rlimit as, nproc;
	int i, fds = 0;

	say("root=");
	list("/");
	say(" pid=%d uid=%d gid=%d groups=%d", getpid(), getuid() >= 1u << 30, getgid() >= 1u << 30,
	    getgroups(0, NULL));
	for (i = 0; i < 256; i++)
		fds += fcntl(i, F_GETFD) >= 0;
	getrlimit(RLIMIT_AS, &as);
	getrlimit(RLIMIT_NPROC, &nproc);
	say(" fds=%d as=%llu threads=%llu", fds, (unsigned long long)as.rlim_cur >> 20,
	    (unsigned long long)nproc.rlim_cur);
	say(" mount=%d chroot=%d usr=%d net=%d", !mount("x", "/usr", "tmpfs", 0, NULL),
	    !chroot("/usr"), open("/usr/new", O_WRONLY | O_CREAT, 0600) >= 0,
	    socket(AF_INET, SOCK_RAW, 1) >= 0);
	say(" null=%d etc=%d proc=%d keys=%d", open("/dev/null", O_RDWR) >= 0,
	    !access("/etc", F_OK), !access("/proc", F_OK), has_keys());
	for (i = 0; i < 4; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/image%d", i);
		if (access(path, F_OK))
			break;
		say(" %d=%c", i,
		    open(path, O_RDWR) >= 0   ? 'w' :
		    open(path, O_RDONLY) >= 0 ? 'r' :
						'-');
	}
	/* The last: it is another user then. */
	say(" users=%d\n", !unshare(CLONE_NEWUSER));
	for (i = 1; i < argc; i++)
		say("%s%c", argv[i], i < argc - 1 ? ' ' : '\n');
}

static int receive(void *to, size_t len)
{
	return recv(client, to, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1;
}

static void greet(void)
{
	struct {
		uint64_t magic, option;
		uint16_t flags;
	} __attribute__((packed))
	hello = { htobe64(0x4e42444d41474943ull), htobe64(0x49484156454f5054ull), htobe16(3) };
	char ask[20];
	struct {
		uint64_t bytes;
		uint16_t flags;
	} __attribute__((packed)) answer = { htobe64(!strcmp(order, "short")	? 100 :
						     !strncmp(order, "huge", 4) ? 1ull << 63 :
										  1 << 20),
					     htobe16(0x25) };

	if (send(client, &hello, sizeof(hello), 0) != sizeof(hello) || receive(ask, sizeof(ask)) ||
	    send(client, &answer, sizeof(answer), 0) != sizeof(answer))
		exit(1);
}

int main(int argc, char **argv)
{
	uint8_t ask[28], reply[16] = { 0x67, 0x44, 0x66, 0x98 };

	signal(SIGTERM, finish);
	image = open("/image0", O_RDWR);
	if (image < 0)
		image = open("/image0", O_RDONLY);
	if (image < 0 || pread(image, order, 5, 256) < 0)
		perror("/image0");
	if (!getenv("LISTEN_PID") || atoi(getenv("LISTEN_PID")) != getpid()) {
		fprintf(stderr, "no socket\n");
		return 1;
	}
	if (!strncmp(order, "fail", 4)) {
		fprintf(stderr, "warning: first\nqemu-nbd: it is \033[1mbad\n");
		return 1;
	}
	if (!strncmp(order, "stay", 4))
		signal(SIGTERM, SIG_IGN);
	while (!strncmp(order, "mute", 4))
		pause();
	look(argc, argv);
	client = accept(3, NULL, NULL);
	greet();
	while (!receive(ask, sizeof(ask))) {
		memcpy(reply + 8, ask + 8, 8);
		if (send(client, reply, 16, 0) != 16 || send(client, report, REPORT, 0) != REPORT)
			break;
	}
	while (!strncmp(order, "stay", 4))
		pause();
	finish(0);
}
