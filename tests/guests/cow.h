/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of peers/cow.c, in a page of their own, which dom0/fork.c looks for in the guest's memory.
 */
#ifndef COW_H
#define COW_H

#define COW_MAGIC0 0x636f7079u
#define COW_MAGIC1 0x6f6e2077u
#define COW_PAGES 1024

struct cow {
	unsigned long go; /* set by dom0 */
	unsigned long done, first, second; /* ticks of the time CSR for a store to each page */
	unsigned int magic[2];
};

#endif
