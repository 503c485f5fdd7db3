/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arch/riscv64's second-stage tables and walk of a guest's tables, in the world of tests/unit/core. This header knows
 * nothing of the architecture's own, which has a struct arch_vcpu that is not host.h's.
 */
#ifndef TEST_MACHINE_H
#define TEST_MACHINE_H

#include <arch-api.h>

#define LARGE 9 /* order of a 2 MiB leaf */
#define HUGE_ORDER 18 /* of a 1 GiB one */

enum { FENCE_I, FENCE_GVMA = 4, FENCE_VVMA = 6 };

struct machine_state {
	/* Fences of guest physical translations: of this hart alone, and by the firmware; harts: mask of the last of those */
	unsigned int fences_here, fences_there;
	u64 harts;
	/* Of instructions, likewise */
	unsigned int fences_i_here, fences_i_there;
	u64 harts_i;
	unsigned int fences_of_vmid, vmid; /* of this hart, one VMID: how many; the last one's */
	void (*on_fence)(void); /* always */
	void (*on_alloc)(void); /* once: before a page is given */
	long pages_left; /* so many alloc_pages() work (< 0: all) */
};

extern struct machine_state machine_state;

void machine_reset(void);

/*
 * p2m_flush() on a machine with VMIDs, where vCPU n of d's has number vmid + n. Returns which were marked, BIT(vCPU), for the second
 * stage and nothing else.
 */
u64 machine_flush_with_vmids(struct domain *d, unsigned int vmid);
/* The same of p2m_fence_i(): which were marked for FENCE.I and nothing else. */
u64 machine_fence_i_with_vmids(struct domain *d, unsigned int vmid);

/* What hardware finds at a guest physical address of d's: false, and *e is not written, where it would fault. */
bool machine_translate(struct domain *d, u64 gpa, struct p2m_entry *e);
/* A hart reads or writes there: it sets A and D of the leaf. false: it faults. */
bool machine_touch(struct domain *d, u64 gpa, bool write);
/* What harts do with A and D: broken: nothing; hole: AD_WALK_IGNORES_D as well. */
void machine_ad(bool broken, bool hole);
/* AD_WALK_IGNORES_W */
void machine_walks_write(bool write);
/* p2m_log_fault() */
bool machine_log_fault(struct domain *d, gfn_t gfn, unsigned int access);
/* p2m_fault() of d's vCPU 0, with htval */
bool machine_fault(struct domain *d, gfn_t gfn, unsigned int access, bool may_wait);
/* Tables below the root that d has, as p2m.c counts them, and as they are found. */
/* Images' tables are not among them. */
u64 machine_tables_counted(struct domain *d);
u64 machine_tables_found(struct domain *d);
/* The table of 4 KiB leaves for gfn, if it is an image's. */
const u64 *machine_shared_table(struct domain *d, gfn_t gfn);
/* p2m_lock is not held. */
bool machine_p2m_is_free(struct domain *d);

/* guest_walk() for the current vCPU with this vsatp, or for v that runs nowhere and had it. */
bool machine_walk(struct vcpu *v, u64 vsatp, u64 gva, bool write, u64 *gpa);
bool machine_walk_saved(struct vcpu *v, u64 vsatp, u64 gva, bool write, u64 *gpa);

#endif
