/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Included before each source of the test's xl: how long it waits for an answer. Tests want to see it give up without waiting
 * for long ($HASTY, hasty() in xl_lib.sh), and all others that a busy machine is not taken for silence. And where either side of a
 * migration is killed, or told to wait, and a file system whose files share blocks.
 */
#ifndef TOOLS_WAITS_H
#define TOOLS_WAITS_H

#include <stdbool.h>

/* waits.c */
int test_ms(int ms);
/*
 * $KILL_AT, "source before GO" or "target got READY" and the like: this process gets no further. $STOP_AT: it stops there, until
 * SIGCONT, having made the file $STOPPED.
 */
void test_point(bool target, const char *when, const char *what);
/* FICLONE, with which the two share nothing. $FAKE_NO_SHARE=: it cannot; a number: there is no room, from that call on. */
int test_share(int to, int from);
#define STORE_SHARE(to, from) test_share(to, from)
/* FS_IOC_FIEMAP of such files: what is the same in two is at the same place. */
struct fiemap;
int test_map(int fd, struct fiemap *map);
#define STORE_MAP(fd, map) test_map(fd, map)
#define MIGRATE_POINT(target, when, what) test_point(target, when, what)

#endif
