/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's console log: guest-<name>.log, kept after the guest's death.
 * Owns its bounds: a guest can fill at most LOG_MAX * (LOG_OLD + 1) bytes of dom0's disk.
 */
#ifndef CONSOLE_LOG_H
#define CONSOLE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_MAX (256 * 1024)
#define LOG_OLD 2 /* guest-x.log.1 and .2 */

struct conslog {
	int fd; /* -1: cannot be written; output goes to clients only */
	char *path;
	size_t size;
};

/* @fresh: a new guest begins a new file, what was there becomes .1. Returns 0 or -1 with errno. */
int log_open(struct conslog *l, const char *dir, const char *name, bool fresh);
void log_write(struct conslog *l, const char *buf, size_t n);
void log_close(struct conslog *l);

#endif /* CONSOLE_LOG_H */
