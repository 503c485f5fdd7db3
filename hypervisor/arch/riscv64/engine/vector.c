/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector registers of vCPUs (RISC-V "V" Vector Extension 1.0), which are saved when they are dirty, and loaded unless the
 * vCPU was the last to have the hart's.
 *
 * Two fields say whether a guest may use vectors, and both must (H, "Hypervisor extension and vector state"): vsstatus.VS,
 * which is the guest kernel's, and the hypervisor's sstatus.VS. The latter is never Off for a vCPU of a machine with vectors,
 * and Off for ever on one without: then an instruction of theirs is the guest's own illegal one. Initial says that the vCPU
 * has had no other state than reset's since it started.
 */
#include <arch.h>
#include <lib.h>

void vector_regs_save(struct arch_vcpu *a);
void vector_regs_load(const struct arch_vcpu *a);
void vector_regs_reset(void);

size_t vector_size(void)
{
	return 32UL * cpu.vlenb;
}

void vector_reset(struct arch_vcpu *a)
{
	a->sstatus &= ~SSTATUS_VS;
	a->vector_hart = NULL;
	if (!cpu.vlenb)
		return;
	memset(&a->vector, 0, sizeof(a->vector) + vector_size());
	a->vector.vtype = VTYPE_VILL;
	a->sstatus |= SSTATUS_VS_INITIAL;
}

/*
 * The registers keep the state when the vCPU leaves the hart (hart.vector_owner), and it knows where it had it last
 * (vector_hart). Both must agree: it may have run elsewhere since, or be another that was allocated there.
 */
void vector_save(struct arch_vcpu *a)
{
	vector_regs_save(a);
	a->sstatus = (a->sstatus & ~SSTATUS_VS) | SSTATUS_VS_CLEAN;
}

/*
 * Also where both the last vCPU and this one are Initial. A hart need not be believed that the last one left no more than zeroes:
 * QEMU 7.2 marks a load when it ends, so what one that faults has read stays unmarked.
 */
void vector_load(struct arch_vcpu *a)
{
	struct hart *h = this_hart();

	csr_set(CSR_SSTATUS, SSTATUS_VS);
	if ((a->sstatus & SSTATUS_VS) == SSTATUS_VS_INITIAL)
		vector_regs_reset();
	else
		vector_regs_load(a);
	h->vector_owner = a;
	a->vector_hart = h;
}
