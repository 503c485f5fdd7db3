/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What operations.c and images.c know of the scene.
 */
#ifndef SCENE_H
#define SCENE_H

#include "explore.h"

#define NR_PAGES 12
/* u1's: X is granted, and nobody but u1 has a reference; W is mapped by grant, V mapped foreign; Y is there. */
#define X (RAM_GFN + 5)
#define Y (RAM_GFN + 6)
#define W (RAM_GFN + 7)
#define V (RAM_GFN + 8)
#define INFO (RAM_GFN + 9) /* vCPU 1's vcpu_info */
#define EMPTY (RAM_GFN + 64) /* nothing is there */
#define LENT (RAM_GFN + 0x200) /* u1's shared_info is mapped there */
#define MAPPED 0x50000UL /* u2 has W there */
#define TO_MAP 0x50001UL /* where u2 maps */
#define FOREIGN 0x70000UL /* dom0 has V there */
#define REF 8 /* u1's grant of X to u2, not in use */
#define REF_USED 9 /* of W to u2, mapped */
#define REF_OWN 10 /* X to u1 itself */
#define PIRQ 5
#define PIRQ_BOUND 6
#define OTHER 3 /* a domain that has never run, in scenes of queues */
#define COPY 4 /* a fork of u1, in scenes of images */
#define TO_BE_COPY 5 /* a domain without memory, there */
#define OTHER_POOL 3 /* a CPU pool, with the last hart */

/* What a hart of u1's remembers of Y, and whether it is at an access: a fence waits for that. */
extern bool remembered, at_a_write;

/* The log is told, and dom0 has copied what u1 has: what differs from it behind the operations is told again, or the run fails. */
void log_clean_before(void);

/* ---- images.c ---- */

/* u1 has a copy, and what was not held is both's. */
void set_images(void);
/* Operations: the second fork; what is to become that runs; stores of u1's and of its copy's; another hart's loads of what u1 stores to */
void fork_again(void);
void start_new(void);
void store_shared(void);
void store_copy(void);
void load_shared(void);
void destroy_copy(void);
/* The control domain reads u1's pages. */
void read_u1(void);

#endif
