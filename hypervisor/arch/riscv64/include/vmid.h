/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMIDs: translations of a vCPU that left its hart stay there under its number, and are its own when it comes back (H,
 * "Hypervisor guest address translation and protection register"). engine/vmid.c.
 *
 * A number is one vCPU's, not a domain's: ASIDs are hart-local, and two vCPUs of a domain that share a hart may use one for
 * different tables. It is given out by the hart, and only once between two fences of all of them (a generation): what
 * a vCPU left that is gone, or has a number on another hart by now, is never found again, whoever has its memory.
 *
 * A vCPU keeps one number and whose it is. One for each hart would spare those that move to and fro a new one, which costs
 * little; but then each would need stale bits of its own, and a vCPU words for all harts.
 *
 * Number 0 is nobody's: a hart that idles has it.
 */
#ifndef PAVISE_VMID_H
#define PAVISE_VMID_H

#include <types.h>

/* What is to be fenced; the first three may be stale bits of a vCPU. */
enum {
	VMID_GVMA = 1, /* second-stage translations under its number */
	VMID_VVMA = 2, /* the guest's own under its number */
	VMID_FENCE_I = 4,
	VMID_GVMA_ALL = 8, /* second-stage translations under any number */
};

/* Of a hart: nobody else looks. Zeroed memory is one that has given out none. */
struct vmid_hart {
	u64 generation;
	u32 next; /* number to be given out; 0: none since the machine started */
};

/* Of a vCPU. Zeroed memory is one that never ran. */
struct vmid_vcpu {
	const struct vmid_hart *hart; /* that gave nr; NULL: none that is still good */
	u64 generation; /* of the hart's, when it did */
	u32 nr;
	u32 stale; /* VMID_*, set by whoever changes tables; atomic */
};

/*
 * v is loaded on this hart, h: "running" is set, and a full fence was behind that. bits: VMIDs have so many, 1 to 14. v->nr is the one
 * to run under afterwards. Returns what must be fenced once hgatp has that, before the guest runs.
 */
u32 vmid_load(struct vmid_hart *h, struct vmid_vcpu *v, unsigned int bits);

/*
 * Tables have been changed that v may have translations of (VMID_GVMA, VMID_VVMA), or instructions (VMID_FENCE_I). A full fence
 * must follow, and then a look at who runs, for only those are fenced at once. Any hart.
 */
static inline void vmid_mark(struct vmid_vcpu *v, u32 what)
{
	__atomic_fetch_or(&v->stale, what, __ATOMIC_SEQ_CST);
}

/* v starts anew: it has no translations, no instructions from before. It is on no hart, and not about to be. */
static inline void vmid_forget(struct vmid_vcpu *v)
{
	v->hart = NULL;
}

/* engine/vmid_trial.c */

/*
 * hgatp of a guest of that number that has no memory: to have the number there without a table of anybody's in reach. What a
 * hart may remember of it is that something is not there, which a guest that has the number later gets over (hext_trap()).
 */
u64 vmid_nowhere(u32 nr);
/*
 * This hart, with no guest: does it take translations for those of the number in hgatp, at once, and forget those of one number
 * where asked? The number needs one bit. hgatp and vsatp are 0 afterwards, and no translation is left.
 */
bool vmid_trial(void);

#endif
