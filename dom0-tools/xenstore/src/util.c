// SPDX-License-Identifier: BSD-2-Clause
/*
 * Small helpers shared by the whole daemon.
 * It owns allocation that does not fail, the log and the clock.
 * Nothing here knows about xenstore.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include "util.h"

uint64_t clock_ms;
static FILE *log_file;
static bool use_syslog, tracing;

static void oom(void)
{
	xlog(LOG_ERR_, "out of memory");
	abort();
}

void *xmalloc(size_t n)
{
	void *p = malloc(n ? n : 1);

	if (!p)
		oom();
	return p;
}

void *xaligned(size_t align, size_t n)
{
	void *p = aligned_alloc(align, n);

	if (!p)
		oom();
	return p;
}

void *xzalloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	if (!p)
		oom();
	return p;
}

void *xrealloc(void *p, size_t n)
{
	p = realloc(p, n ? n : 1);
	if (!p)
		oom();
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
	char *p = xmalloc(n + 1);

	memcpy(p, s, n);
	p[n] = 0;
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	if (vasprintf(&p, fmt, ap) < 0)
		oom();
	va_end(ap);
	return p;
}

int log_open(const char *path)
{
	FILE *f = NULL;

	if (path) {
		f = fopen(path, "ae");
		if (!f)
			return -errno;
		setvbuf(f, NULL, _IOLBF, 0);
	}
	if (log_file)
		fclose(log_file);
	log_file = f;
	return 0;
}

void log_to_syslog(void)
{
	openlog("xenstored", LOG_PID, LOG_DAEMON);
	use_syslog = true;
}

void log_trace(bool on)
{
	tracing = on;
}

bool log_tracing(void)
{
	return tracing;
}

void xlog(enum log_level lv, const char *fmt, ...)
{
	FILE *f = log_file ? log_file : stderr;
	struct timespec ts;
	struct tm tm;
	char when[32];
	va_list ap;

	if (lv == LOG_TRACE_ && !tracing)
		return;
	va_start(ap, fmt);
	if (use_syslog && !log_file) {
		vsyslog(lv == LOG_ERR_ ? LOG_ERR : LOG_INFO, fmt, ap);
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		localtime_r(&ts.tv_sec, &tm);
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
		fprintf(f, "%s.%03ld xenstored: ", when, ts.tv_nsec / 1000000);
		vfprintf(f, fmt, ap);
		fputc('\n', f);
	}
	va_end(ap);
}

void clock_update(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	clock_ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

bool parse_num(const char *s, unsigned long max, unsigned long *out)
{
	unsigned long v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (unsigned long)(*s - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}
