/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The naive store that ours is measured against: what one writes first.
 * Children in a list, a transaction copies the whole tree and fails when anything was committed
 * meanwhile, and each change looks at each watch. Same messages in, same answers out.
 */
#ifndef BENCH_NAIVE_H
#define BENCH_NAIVE_H

#include <stddef.h>

void naive_init(void);
/* One request of privileged client `watcher`. The answer is in naive_reply. */
void naive_request(int watcher, const char *msg, size_t len);
extern char naive_reply[];
extern size_t naive_reply_len;
extern unsigned long naive_events; /* made so far */

#endif
