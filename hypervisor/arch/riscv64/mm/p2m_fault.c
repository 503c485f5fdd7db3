/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest-page faults (RISC-V Privileged Specification, "H"): which of them are the second stage's to mend, so that the access is tried again.
 */
#include <arch.h>
#include <image.h>

bool p2m_fault(struct vcpu *v, u64 stval, unsigned int access, bool may_wait)
{
	u64 htval = csr_read(CSR_HTVAL);
	paddr_t gpa = htval << 2;
	int rc;

	if (!htval && !guest_walk(v, stval, false, &gpa))
		return false;
	if (p2m_log_fault(v->domain, gpa >> PAGE_SHIFT, access)) {
		hfence_gvma_current_page(gpa);
		return true;
	}
	/*
	 * A store to an image's page, or a load whose walk had to write to a table there and would fault for ever. Other loads fault there seldom: by an
	 * absence that was remembered.
	 */
	if (READ_ONCE(v->domain->image)) {
		rc = may_wait ? image_fault(v->domain, gpa >> PAGE_SHIFT) :
				image_unshare(v->domain, gpa >> PAGE_SHIFT);
		if (!rc)
			return true;
		/* There is no memory, or the domain dies. In the middle of a hypercall it would be tried for ever. */
		if (!may_wait && rc != -ENOENT)
			return false;
	}
	if (!p2m_allows(v->domain, gpa >> PAGE_SHIFT, access))
		return false;
	hfence_gvma_current();
	/*
	 * The hart may remember other entries of the guest's tables than those that were just read. It would fault again, and
	 * a copy be tried again, for ever: GPAs 0 to 3 have htval 0 on any hart.
	 */
	if (!htval)
		hfence_vvma_all();
	return true;
}
