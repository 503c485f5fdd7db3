/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Small helpers shared by the whole daemon.
 * It owns allocation that does not fail, the log and the clock.
 * Nothing here knows about xenstore.
 */
#ifndef XS_UTIL_H
#define XS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

enum log_level { LOG_ERR_, LOG_INFO_, LOG_TRACE_ };

/*
 * Memory that is gone means that the quotas were set too high for this machine: there is nothing
 * sensible left to do, and a restart is safer than a half-applied request. So these never return
 * NULL.
 */
void *xmalloc(size_t n);
void *xzalloc(size_t n);
void *xaligned(size_t align, size_t n); /* n: a multiple of align */
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* path NULL: stderr (until log_to_syslog), else append to a file. Returns 0 or -errno. */
int log_open(const char *path);
void log_to_syslog(void);
void log_trace(bool on);
bool log_tracing(void);
void xlog(enum log_level lv, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Milliseconds of a clock that only goes forward, as of the last clock_update(). */
extern uint64_t clock_ms;
void clock_update(void);

/* Whole string is a decimal number in 0..max, else false. */
bool parse_num(const char *s, unsigned long max, unsigned long *out);

#endif
