/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What image.c and image_fork.c share, and nobody else sees.
 */
#ifndef PAVISE_IMAGE_INTERNAL_H
#define PAVISE_IMAGE_INTERNAL_H

#include <image.h>

/* Who uses which image, and on which it stands. */
extern struct spinlock image_lock;

/* Under image_busy of the child, and from a step on of the parent. */
struct fork {
	struct domain *parent; /* held, paused; NULL: it has failed */
	struct image *
		image; /* the new one; NULL: the parent's is as deep as can be, and what it has written since is copied */
	bool overcommits; /* so does the parent, since this one */
	gfn_t at;
	u64 budget; /* of this step: pages that may become the image's */
	gfn_t held_at; /* of what is to be copied still: */
	u64 held[LOG_WORDS];
};

/* Nobody waits for it: who finds it taken tries again, open to interrupts between. */
static inline bool get_busy(struct domain *d)
{
	return !__atomic_exchange_n(&d->image_busy, 1, __ATOMIC_ACQUIRE);
}

static inline void put_busy(struct domain *d)
{
	__atomic_store_n(&d->image_busy, 0, __ATOMIC_RELEASE);
}

/*
 * What is kept for one for which nothing else is: for accesses by others, or in the middle of a hypercall, that cannot wait. A guest's own
 * store waits for memory instead.
 */
#define FLOOR_PAGES 32

static inline int reserve(struct domain *d, u64 pages)
{
	return d->overcommits ? 0 : heap_reserve(d, pages);
}

static inline void unreserve(struct domain *d, u64 pages)
{
	if (!d->overcommits)
		heap_unreserve(d, pages);
}

/* Nothing more is reserved for it, and what it has less than the floor. -ENOMEM. */
int image_overcommit(struct domain *d);
/* The opposite: all that it may write to is reserved, if there is so much. It does not run. Takes page_lock. */
void image_commit(struct domain *d);
/* It shares nothing any more. */
void image_ends_sharing(struct domain *d);
/* image.c has what it does. d->image_busy is ours. */
int image_give_back_step(struct domain *d);
/* The parent goes on. d's fork has become whole, or will never be. */
void image_fork_end(struct domain *d, bool failed);

#endif
