/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's console log: guest-<name>.log, kept after the guest's death.
 * Owns its bounds: a guest can fill at most LOG_MAX * (LOG_OLD + 1) bytes of dom0's disk, and all that live and have lived
 * at most log_set_total()'s. Beyond that the oldest file goes, and with many guests each has less.
 */
#ifndef CONSOLE_LOG_H
#define CONSOLE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#define LOG_MAX (256 * 1024)
#define LOG_OLD 2 /* guest-x.log.1 and .2 */
#define LOG_TOTAL (32 * 1024 * 1024)

struct conslog {
	int fd; /* -1: cannot be written; output goes to clients only */
	char *path;
	size_t size;
	struct conslog *next; /* log.c's list of those that are open */
};

/* A bound in bytes for all logs together; a small file counts for 4 KiB. LOG_TOTAL unless it is called. */
void log_set_total(size_t bytes);

/*
 * @fresh: a new guest begins a new file, what was there becomes .1. Returns 0 or -1 with errno. Either way log_close(), and *@l stays
 * where it is until then.
 */
int log_open(struct conslog *l, const char *dir, const char *name, bool fresh);
/* Returns 0, or -1 with errno when not all could be written. */
int log_write(struct conslog *l, const char *buf, size_t n);
void log_close(struct conslog *l);

#endif /* CONSOLE_LOG_H */
