/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of peers/pattern.c, in a page of their own, which dom0/state.c looks for in the guest's memory.
 */
#ifndef PATTERN_H
#define PATTERN_H

#define PATTERN_MAGIC0 0x70617474u
#define PATTERN_MAGIC1 0x65726e21u

struct pattern {
	unsigned long saved[5]; /* of its trap handler */
	unsigned long calls, ticks, trap_wrong;
	unsigned long counter, last; /* rounds, the time CSR of the last one */
	unsigned long fp_wrong, mode_wrong, back;
	unsigned int magic[2];
};

#endif
