/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU pools, as Xen has them: a hart is in one pool or free, a domain in one pool, and its vCPUs run on that pool's harts only.
 * core/cpupool.c owns the pools; core/sched.c keeps to them.
 */
#ifndef PAVISE_CPUPOOL_H
#define PAVISE_CPUPOOL_H

#include <types.h>

struct domain;

/* Pool 0, whose harts are all at boot and which always has one, is dom0's. More than these are of no use: each has a hart. */
#define NR_CPUPOOLS 64
/*
 * A new pool's limit: whoever has come to a hart does a batch of what it has come for. Without one a back end takes the hart for the first
 * request of many, and a guest for the first response: a TCP stream costs half as much again. Less than the millisecond that a wake-up
 * may take beside those who never sleep.
 */
#define CPUPOOL_RATELIMIT_NS 500000

/*
 * Changes with the locks of all harts, but for min_vruntime, which is atomic. Who has none of them reads
 * harts by READ_ONCE; ratelimit_ns is read with the lock of a hart.
 */
struct cpupool {
	bool used;
	u64 harts; /* mask */
	u32 domains; /* in it; while it has some it has a hart */
	u64 min_vruntime; /* of its vCPUs that run or wait the least has had this, at least */
	u64 ratelimit_ns; /* so long whoever has come to a hart may stay there; 0: no limit */
};

/* A domain that nobody else sees yet is in that pool from here on. -EINVAL: there is none, or it has no hart. Sched locks taken. */
int cpupool_join(struct domain *d, u32 id);
/* It is about to be freed, or was never seen: it is in none. Sched locks taken. */
void cpupool_leave(struct domain *d);
/* It dies (d->dying is set): no pool must stay for its sake, it ends in pool 0. Sched locks taken. */
void cpupool_domain_dies(struct domain *d);
/* The pool's number. Any lock may be held: it may be another one's in the next moment. */
u32 cpupool_of(const struct domain *d);
/* The harts (mask) of the domain's pool. The same. */
u64 cpupool_harts(const struct domain *d);

#endif
