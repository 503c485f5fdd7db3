/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between grant.c (tables), grant_pin.h (pins), grant_map.c (mappings) and grant_copy.c (copies and queries).
 */
#ifndef PAVISE_GRANT_INTERNAL_H
#define PAVISE_GRANT_INTERNAL_H

#include <arch-p2m.h>
#include <domain.h>
#include <hypercall.h>

#define GRANTS_PER_FRAME (PAGE_SIZE / sizeof(grant_entry_v1_t))
#define GRANT_CMD_MASK 0xfff

/* What the hypervisor knows of a grant in use; valid while readers + writers > 0. */
struct grant_pin {
	struct page *page; /* held */
	gfn_t gfn; /* as the granter named it when the grant came into use */
	u32 readers, writers;
	domid_t domid; /* to whom */
	bool writable; /* the granter itself may write the page */
};

/* A mapping that a domain has of another's page. */
struct maptrack {
	struct domain *granter; /* held; NULL: free */
	u32 ref; /* or the next free one */
	bool readonly;
	gfn_t gfn; /* where it is mapped */
	u64 unused; /* a chunk of them takes a page anyhow, and so it is found by shifts */
};

#define NO_TRACK (~0U)

struct grant_table {
	struct spinlock lock; /* all below but the maptrack */
	unsigned int max_frames, nr_frames;
	grant_entry_v1_t **shared; /* [max_frames] */
	struct grant_pin **pins; /* [max_frames], arrays of GRANTS_PER_FRAME */

	struct spinlock track_lock; /* mappings that this domain has of others' pages */
	unsigned int max_tracks; /* entries */
	unsigned int nr_tracks; /* allocated */
	u32 free_track; /* head of the free list, or NO_TRACK */
	u32 release_next, free_next; /* progress of grant_release_mappings(): mappings, frames */
	struct maptrack **tracks; /* chunks */
};

/* Operations of maps and unmaps that are done together, at most: this is what is done under a lock, or without a look for others. */
#define GRANT_BATCH 16
/* For structures that are taken apart by words of 8 bytes. Little endian. */
#define IS_IN_WORD(type, member, word, shift) \
	_Static_assert(offsetof(type, member) * 8 == (word)*64 + (shift), #member)

/* What is wrong with the arguments alone; GNTST_okay: nothing. */
static inline s16 grant_check_map(const struct gnttab_map_grant_ref *op)
{
	if (!(op->flags & GNTMAP_host_map) ||
	    op->flags & (GNTMAP_application_map | GNTMAP_contains_pte))
		return GNTST_general_error;
	return op->host_addr & ~PAGE_MASK ? GNTST_bad_virt_addr : GNTST_okay;
}

/* A guest changes an entry all the time: tells it, not too often, and returns the status. */
s16 grant_race(void);

/* Of grant_table_init() and grant_table_free(): the maptrack. -ENOMEM. */
int grant_tracks_init(struct grant_table *t);
void grant_tracks_free(struct grant_table *t);
/* Of grant_release_mappings(): unmaps all that d has mapped, and frees the handles; -ERESTART while there are more. */
int grant_release_tracks(struct domain *d);

/* Grows d's table to nr frames. -EINVAL: beyond its limit, -ENOMEM,
 * -ERESTART: some, call again. grant_table.lock not held. */
int grant_grow(struct domain *d, unsigned int nr);

/*
 * Runs fn over count structures of size bytes at arg: each is copied in, what begins at result is copied back out, and it
 * goes on where it was interrupted. Returns 0 or -EFAULT.
 */
static inline long grant_for_each(u64 cmd, u64 arg, u64 count, size_t size, size_t result,
				  void (*fn)(void *op))
{
	u32 left = count;
	u64 buf[8];

	BUG_ON(size > sizeof(buf));
	result &=
		~7UL; /* words are copied faster; what the guest wrote before it goes back unchanged */
	for (; left; left--, arg += size) {
		/* Never before the first: whoever is interrupted all the time still gets on. */
		if (left != (u32)count && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_grant_table_op, cmd & GRANT_CMD_MASK,
						  arg, left, 0, 0);
		if (copy_from_guest(buf, arg, size))
			return -EFAULT;
		fn(buf);
		if (copy_to_guest(arg + result, (char *)buf + result, size - result))
			return -EFAULT;
	}
	return 0;
}

#endif
