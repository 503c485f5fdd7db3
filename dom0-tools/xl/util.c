// SPDX-License-Identifier: BSD-2-Clause
/*
 * Small things that every part of xl needs: messages, time, signals, the lock, the connections.
 * Owns the rule that a memory shortage ends xl at once: it is small and holds nothing that the
 * next xl could not clean up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "xl.h"

volatile int xl_interrupted;

int xl_error(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("xl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

char *xl_sprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		abort();
	va_end(ap);
	return s;
}

int64_t xl_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void xl_sleep(int ms)
{
	poll(NULL, 0, ms);
}

static void on_signal(int sig)
{
	(void)sig;
	xl_interrupted = 1;
}

void xl_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
}

int xl_mkdir(const char *path)
{
	char *copy = strdup(path), *p;
	int rc;

	if (!copy)
		abort();
	for (p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		mkdir(copy, 0755);
		*p = '/';
	}
	rc = mkdir(copy, 0755) && errno != EEXIST ? -1 : 0;
	free(copy);
	return rc;
}

int xl_open(struct xl *xl)
{
	struct pv_err err = { "" };

	xl->xs = NULL;
	if (pv_open(&xl->pv, &err))
		return xl_error("%s", err.text);
	xl->xs = xs_open(0);
	if (!xl->xs) {
		xl_error("cannot reach xenstored: %s (is it running?)", strerror(errno));
		pv_close(xl->pv);
		xl->pv = NULL;
		return -1;
	}
	return 0;
}

void xl_close(struct xl *xl)
{
	if (xl->xs)
		xs_close(xl->xs);
	pv_close(xl->pv);
	xl->xs = NULL;
	xl->pv = NULL;
}

int xl_lock(void)
{
	int fd, rc;

	xl_mkdir(XL_RUN_DIR);
	fd = open(XL_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return xl_error("%s: %s", XL_LOCK_FILE, strerror(errno));
	do {
		rc = flock(fd, LOCK_EX);
	} while (rc && errno == EINTR && !xl_interrupted);
	if (rc) {
		xl_error("%s: %s", XL_LOCK_FILE, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

void xl_unlock(int fd)
{
	if (fd < 0)
		return;
	/* Explicitly: a forked child may still hold the same open file. */
	flock(fd, LOCK_UN);
	close(fd);
}
