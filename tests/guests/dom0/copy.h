/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What dom0/state.c and dom0/suspend.c share: a domain with another's memory, and an end at the first call that fails.
 */
#ifndef COPY_H
#define COPY_H

#include "pavise.h"

extern struct pv *pv;

void bad(int rc, const char *fmt, ...) __attribute__((noreturn, format(printf, 2, 3)));
#define TRY(call) \
	do { \
		int rc_ = (call); \
		if (rc_ < 0) \
			bad(rc_, "%s", #call); \
	} while (0)

/* The frame whose page has these two words in place of a struct's magic at this offset; 0: none was copied so far. */
extern unsigned long figures_gfn;
extern unsigned int figures_magic[2], figures_at;
void read_figures(uint32_t domid, void *to, unsigned int size);

/* A paused domain with so many vCPUs, and @from's memory in the same places. */
uint32_t make_like(uint32_t from, unsigned int vcpus);

#endif
