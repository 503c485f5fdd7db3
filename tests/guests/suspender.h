/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The figures of peers/suspender.c, in a page of their own, which dom0/suspend.c looks for in the guest's memory.
 */
#ifndef SUSPENDER_H
#define SUSPENDER_H

#define SUSPENDER_MAGIC0 0x73757370u
#define SUSPENDER_MAGIC1 0x656e6421u

struct suspender {
	unsigned long rounds; /* times that its call returned */
	unsigned long elsewhere, cancelled; /* with 0, and with 1 */
	unsigned long second; /* what vCPU 1 counts all the time */
	unsigned long wrong; /* line of the first thing that was not as it should be */
	long got; /* and what was there */
	unsigned long last; /* the time CSR */
	unsigned int magic[2];
};

#endif
