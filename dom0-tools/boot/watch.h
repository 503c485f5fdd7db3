/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that reads what anybody may have written, and one that watches it.
 * Owns how long the first may take.
 */
#ifndef BOOT_WATCH_H
#define BOOT_WATCH_H

#include <stddef.h>
#include <stdint.h>

/*
 * Calls @work in a process of its own, which has ten seconds of this machine's own time, and more as it gets on:
 * @copied, in memory that the two share, are the bytes that it has written so far. 0 once it has ended by itself; else it
 * is killed, and not waited for if it is stuck in the kernel: -1, and @why says what happened.
 */
int watch_run(void (*work)(void), const volatile uint64_t *copied, char *why, size_t size);

#endif /* BOOT_WATCH_H */
