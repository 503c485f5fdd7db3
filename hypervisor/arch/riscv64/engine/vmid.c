/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which VMID a vCPU runs under. No CSR here: this compiles for the host, where a hart's translations can be looked at.
 */
#include <lib.h>
#include <vmid.h>

/* The next number of the hart's; what that takes to be fenced. */
static u32 take(struct vmid_hart *h, struct vmid_vcpu *v, unsigned int bits)
{
	u32 fences = VMID_VVMA;

	if (!h->next || h->next >> bits) {
		h->generation++;
		h->next = 1;
		fences |= VMID_GVMA_ALL;
	}
	v->hart = h;
	v->generation = h->generation;
	WRITE_ONCE(v->nr, h->next++);
	/*
	 * Who sends a fence of the guest's own translations to a running vCPU reads the number after the guest's change, the
	 * guest reads its tables after this: one of them sees the other's.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return fences;
}

/*
 * The bits are taken behind the fence that follows "running". Who changes a table sets them, fences, and looks at "running":
 * either that is seen, and the hart is sent a fence, or the bits are, and the change with them.
 *
 * A number that was used in an earlier generation may have translations of the guest's own left. HFENCE.VVMA is for one
 * number, that in hgatp, so the fence of a new generation is the second stage's alone, and this stage's comes with each number.
 */
u32 vmid_load(struct vmid_hart *h, struct vmid_vcpu *v, unsigned int bits)
{
	u32 stale = __atomic_exchange_n(&v->stale, 0, __ATOMIC_SEQ_CST);

	if (likely(v->hart == h && v->generation == h->generation))
		return stale;
	/* What was written on another hart may not be what this one fetches; who wrote on this one fenced. */
	if (v->hart != h)
		stale |= VMID_FENCE_I;
	return (stale & VMID_FENCE_I) | take(h, v, bits);
}
