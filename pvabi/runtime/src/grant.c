/* SPDX-License-Identifier: MIT */
/*
 * The domain's grant table: frames mapped into the grant region as they are needed, a list of free
 * entries. The hypervisor writes the flags too: atomics only.
 */
#include <errno.h>

#include "internal.h"

#define PER_FRAME (PV_PAGE_SIZE / sizeof(grant_entry_v1_t))
#define MAX_FRAMES 64

static pv_spinlock_t lock;
static unsigned int nr_frames;
static grant_ref_t next_free[MAX_FRAMES * PER_FRAME], first_free;

static grant_entry_v1_t *table(void)
{
	return (grant_entry_v1_t *)(uintptr_t)pv_domain.grant_region;
}

unsigned int pv_grant_entries(void)
{
	return nr_frames * PER_FRAME;
}

grant_entry_v1_t *pv_grant_entry(grant_ref_t ref)
{
	return ref < pv_grant_entries() ? table() + ref : NULL;
}

/* One more frame; the first entries are the toolstack's (console, xenstore). */
static int grow(void)
{
	struct xen_add_to_physmap map = {
		.domid = DOMID_SELF,
		.space = XENMAPSPACE_grant_table,
		.idx = nr_frames,
		.gpfn = (pv_domain.grant_region >> PV_PAGE_SHIFT) + nr_frames,
	};
	grant_ref_t ref, end;

	if (nr_frames == MAX_FRAMES ||
	    (nr_frames + 1) * PV_PAGE_SIZE > pv_domain.grant_region_size ||
	    HYPERVISOR_memory_op(XENMEM_add_to_physmap, &map))
		return -ENOSPC;
	ref = nr_frames ? nr_frames * PER_FRAME : GNTTAB_NR_RESERVED_ENTRIES;
	end = ++nr_frames * PER_FRAME;
	for (; ref < end; ref++) {
		next_free[ref] = first_free;
		first_free = ref;
	}
	return 0;
}

long pv_grant_access(domid_t to, uint64_t gfn, bool readonly)
{
	grant_entry_v1_t *entry;
	grant_ref_t ref;

	pv_spin_lock(&lock);
	if (!first_free && grow()) {
		pv_spin_unlock(&lock);
		return -ENOSPC;
	}
	ref = first_free;
	first_free = next_free[ref];
	pv_spin_unlock(&lock);
	entry = table() + ref;
	entry->domid = to;
	entry->frame = gfn;
	/* The flags make it valid: they come last. */
	__atomic_store_n(&entry->flags, GTF_permit_access | (readonly ? GTF_readonly : 0),
			 __ATOMIC_RELEASE);
	return ref;
}

int pv_grant_end(grant_ref_t ref)
{
	grant_entry_v1_t *entry = pv_grant_entry(ref);
	uint32_t *word = (uint32_t *)entry, flags; /* flags, domid above: AMOs have words */

	if (!entry)
		return -EINVAL;
	flags = __atomic_load_n(word, __ATOMIC_SEQ_CST);
	do {
		if (flags & (GTF_reading | GTF_writing))
			return -EBUSY;
	} while (!__atomic_compare_exchange_n(word, &flags, flags & 0xffff0000, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	pv_spin_lock(&lock);
	next_free[ref] = first_free;
	first_free = ref;
	pv_spin_unlock(&lock);
	return 0;
}
