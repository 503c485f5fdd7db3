/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of the machine's CPUs, as administrators write them: 0-3,5,^1.
 */
#ifndef XL_CPUS_H
#define XL_CPUS_H

#include <stdint.h>

#define CPUS_MAX 64
#define CPUS_ALL (~0ULL)

struct cpus {
	uint64_t mask; /* CPUS_ALL: all that there are */
	int highest; /* number that was named; -1: none */
};

/*
 * all, CPUs and ranges of them, nodes:N, each also with ^ in front: not those. NULL, or what is wrong in words that follow
 * the text.
 */
const char *cpus_parse(const char *text, struct cpus *out);
/* The CPUs (mask) of a machine that has so many. */
uint64_t cpus_there(unsigned int nr_cpus);
/*
 * Can a vCPU be bound to these on a machine with so many CPUs? NULL, or why not (the caller frees). Those that are not
 * there are taken out, unless all are meant.
 */
char *cpus_fit(struct cpus *c, unsigned int nr_cpus);
/* "all" where they are all of these, or lists of ranges as 0-1,3; "none". The caller frees. */
char *cpus_text(uint64_t mask, uint64_t all);

#endif /* XL_CPUS_H */
