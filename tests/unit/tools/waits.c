// SPDX-License-Identifier: BSD-2-Clause
/* How long a test's xl waits for an answer, and where it is killed (waits.h). Owns the factor for busy machines. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "waits.h"

int test_ms(int ms)
{
	return getenv("HASTY") ? ms : 15 * ms;
}

static bool is_here(const char *variable, const char *point)
{
	const char *wanted = getenv(variable);

	return wanted && !strcmp(wanted, point);
}

void test_point(bool target, const char *when, const char *what)
{
	char point[64];
	int fd;

	snprintf(point, sizeof(point), "%s %s %s", target ? "target" : "source", when, what);
	if (is_here("KILL_AT", point))
		raise(SIGKILL);
	if (!is_here("STOP_AT", point))
		return;
	fd = open(getenv("STOPPED") ?: "stopped", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	dprintf(fd, "%d\n", getpid());
	close(fd);
	raise(SIGSTOP);
}

int test_share(int to, int from)
{
	const char *no = getenv("FAKE_NO_SHARE");
	static int calls;
	ssize_t n;

	calls++;
	if (no && (!*no || calls >= atoi(no))) {
		errno = *no ? ENOSPC : EOPNOTSUPP;
		return -1;
	}
	do
		n = copy_file_range(from, NULL, to, NULL, 1 << 20, 0);
	while (n > 0);
	return n ? -1 : 0;
}
