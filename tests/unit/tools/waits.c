// SPDX-License-Identifier: BSD-2-Clause
/* How long a test's xl waits for an answer, and where it is killed (waits.h). Owns the factor for busy machines. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/fiemap.h>

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

#define BLOCK 4096

int test_map(int fd, struct fiemap *map)
{
	uint64_t block[BLOCK / 8], at = map->fm_start / BLOCK * BLOCK, sum;
	struct fiemap_extent *e = map->fm_extents;
	ssize_t n = 0;
	int i;

	for (; map->fm_mapped_extents < map->fm_extent_count; at += BLOCK) {
		memset(block, 0, sizeof(block));
		n = pread(fd, block, BLOCK, at);
		if (n <= 0)
			break;
		for (sum = i = 0; i < BLOCK / 8; i++)
			sum = (sum ^ block[i]) * 0x9e3779b97f4a7c15ull;
		if (!sum)
			continue;
		*e++ = (struct fiemap_extent){ .fe_logical = at,
					       .fe_physical = sum & ~(BLOCK - 1ull),
					       .fe_length = BLOCK };
		map->fm_mapped_extents++;
	}
	if (n <= 0 && map->fm_mapped_extents)
		e[-1].fe_flags = FIEMAP_EXTENT_LAST;
	return n < 0 ? -1 : 0;
}
