/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a guest has used over its life. A file in /run/xen keeps the sums while it lives; a line of JSON in XL_ACCOUNTING is
 * what remains of them.
 *
 * CPU time is exact: the hypervisor counts it, and is asked at the end. Memory times time is exact as long as the memory
 * stays the same between two looks. These are the supervisor's, two and a half to five seconds apart, at random: a guest neither brings
 * them about nor knows when they come, so that over its life what is counted is what it had; a single change counts from the look
 * that finds it, so it is wrong by at most its size times five seconds. Devices are looked at besides at each change of a back end:
 * what they moved is exact up to the last look before a front end disconnected, which resets its counters: at most five seconds' worth
 * of an orderly shutdown are missing.
 */
#ifndef XL_USAGE_H
#define XL_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "xl.h"

#define XL_ACCOUNTING XL_LOG_DIR "/accounting.jsonl"
#define XL_USAGE_FILE XL_RUN_DIR "/usage-%u"

struct usage {
	char *name;
	char uuid[37];
	uint32_t domid;
	long long created, ended; /* ms since 1970; ended 0: it lives */
	char *reason; /* NULL: it lives */
	double cpu_seconds, memory_byte_seconds;
	double disk_read_bytes, disk_written_bytes, disk_reads, disk_writes;
	double net_sent_bytes, net_received_bytes;
};

/* A new domain; its lock is held. */
void usage_begin(struct xl *xl, uint32_t domid);
/*
 * Looks at it, and adds what has come since the last look. @memory: this look is none that the guest has brought about. While it has
 * the same memory, and no devices, looks add nothing.
 */
void usage_sample(struct xl *xl, uint32_t domid, bool memory);
/* The guest is about to go, its devices are still there: the line is written. Its lock is held. */
void usage_end(struct xl *xl, uint32_t domid);
/* Does it have one, that nobody has closed? So from its whole creation to the beginning of its end. */
bool usage_is_open(uint32_t domid);
/* Of one that lives; false: it has none, or has gone. For usage_free(). */
bool usage_now(struct xl *xl, uint32_t domid, struct usage *u);
/* Back from a line; false: it is none. For usage_free(). */
bool usage_parse(const char *line, struct usage *u);
/* As one line of JSON, without its end; the caller frees. */
char *usage_json(const struct usage *u);
void usage_free(struct usage *u);

#endif /* XL_USAGE_H */
