/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who waits for a guest's end, and whether that process is still there.
 */
#ifndef XL_MINDER_H
#define XL_MINDER_H

#include "xl.h"

enum minder {
	MINDER_NONE, /* nobody is to (xl create -e, a dead guest that is kept), or it cannot be told */
	MINDER_ALIVE,
	MINDER_LOST, /* somebody did, and is no longer there */
};

/* This process does, from now on. Without xenstored nothing is noted. */
void minder_is_me(struct xl *xl, uint32_t domid);
enum minder minder_of(struct xl *xl, uint32_t domid);
/* When a process began, as the kernel counts that: no other one has both number and time. 0: there is none of that number. */
uint64_t process_began(long pid);
/* The number of the terminal that controls it; 0: none, or no such process. */
int process_tty(long pid);

#endif /* XL_MINDER_H */
