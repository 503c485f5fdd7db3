// SPDX-License-Identifier: BSD-2-Clause
/*
 * A daemon's words to the service manager, by sd_notify(3)'s protocol: datagrams of NAME=VALUE to a Unix socket.
 * Owns the socket and the time of the next sign of life. What the manager does not take at once is lost: the next one comes.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "notify.h"

static int fd = -1;
static struct sockaddr_un manager = { .sun_family = AF_UNIX };
static socklen_t manager_len;
static int64_t every_ms, due_ms; /* 0: there is no watchdog */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static void tell(const char *text)
{
	if (sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&manager,
		   manager_len) < 0)
		return; /* who manages no longer listens, or is busy */
}

/* A path, or with "@" an abstract name. */
static void open_socket(const char *name)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(manager.sun_path))
		return;
	memcpy(manager.sun_path, name, len + 1);
	if (name[0] == '@')
		manager.sun_path[0] = '\0';
	manager_len = offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/');
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* Twice in the time after which the manager takes us for dead; never more often than a hundred times a second. */
static int64_t interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	long long n = usec ? strtoll(usec, NULL, 10) : 0;

	if (n <= 0 || (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0;
	n /= 2000;
	return n < 10 ? 10 : n;
}

void notify_ready(void)
{
	const char *name = getenv("NOTIFY_SOCKET");

	if (!name)
		return;
	open_socket(name);
	if (fd < 0)
		return;
	tell("READY=1");
	every_ms = interval();
	due_ms = now_ms();
}

int notify_wait(int wait)
{
	int64_t now;

	if (fd < 0 || !every_ms)
		return wait;
	now = now_ms();
	if (now >= due_ms) {
		tell("WATCHDOG=1");
		due_ms = now + every_ms;
	}
	return wait < 0 || wait > due_ms - now ? (int)(due_ms - now) : wait;
}
