// SPDX-License-Identifier: BSD-2-Clause
/*
 * The limit of the process that reads a guest's disk (init.c).
 * Owns the clock: time that other guests had is not counted, as the reader cannot be blamed for it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "watch.h"

#ifndef WATCH_MS
#define WATCH_MS 10000
#endif
/* Whoever copies faster than this is not stopped; 256 MiB are another 16 s. */
#define BYTES_PER_MS (1 << 14)
#define LOOK_MS 20

/* user, nice, system, idle, iowait, irq, softirq; what follows is stolen, or counted in one of these already */
#define FIELDS 7

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Milliseconds that this machine's first CPU has had; -1: the kernel does not say. */
static int64_t had(void)
{
	int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC), i;
	char text[4096], *at, *end;
	int64_t ticks = 0;
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strstr(text, "cpu0 ");
	if (!at)
		return -1;
	for (at += 5, i = 0; i < FIELDS; i++, at = end) {
		ticks += strtoull(at, &end, 10);
		if (end == at)
			return -1;
	}
	return ticks * 1000 / sysconf(_SC_CLK_TCK);
}

/* Of the two clocks the one that says less: counts of ticks may leave some out, and never go back for long. */
static int64_t passed(int64_t since, int64_t had_then)
{
	int64_t all = now() - since, own = had_then < 0 ? all : had() - had_then;

	return own >= 0 && own < all ? own : all;
}

int watch_run(void (*work)(void), const volatile uint64_t *copied, char *why, size_t size)
{
	int64_t since = now(), had_then = had();
	pid_t pid = fork(), ended = 0;
	int status = 0;

	if (pid < 0) {
		snprintf(why, size, "no process to read it: %s", strerror(errno));
		return -1;
	}
	if (!pid) {
		work();
		_exit(0);
	}
	while (!ended && passed(since, had_then) < WATCH_MS + (int64_t)(*copied / BYTES_PER_MS)) {
		usleep(LOOK_MS * 1000);
		ended = waitpid(pid, &status, WNOHANG);
	}
	if (ended == pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (ended) {
		snprintf(why, size, "the process that read it ended (signal %d)",
			 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	} else {
		kill(pid, SIGKILL);
		snprintf(why, size, "it is not read after %d s", WATCH_MS / 1000);
	}
	return -1;
}
