/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector registers of vCPUs (RISC-V "V" Vector Extension 1.0), which change hands as floating point registers do: saved
 * when they are dirty, loaded unless the hart holds them still.
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

/* What vector_load() takes the registers to hold. */
void vector_hart_init(struct arch_vcpu *idle)
{
	if (!cpu.vlenb)
		return;
	csr_set(CSR_SSTATUS, SSTATUS_VS);
	vector_regs_load(idle);
	this_hart()->vector_owner = NULL;
}

/*
 * The registers keep the state when the vCPU leaves the hart (hart.vector_owner, NULL: reset's), and it knows where it had it
 * last (vector_hart, NULL: nowhere, it has reset's). Both must agree: it may have run elsewhere since, or be another that was
 * allocated there.
 */
void vector_save(struct arch_vcpu *a)
{
	vector_regs_save(a);
	a->sstatus = (a->sstatus & ~SSTATUS_VS) | SSTATUS_VS_CLEAN;
	this_hart()->vector_owner = a;
	a->vector_hart = this_hart();
}

void vector_load(struct arch_vcpu *a)
{
	struct hart *h = this_hart();

	csr_set(CSR_SSTATUS, SSTATUS_VS);
	vector_regs_load(a);
	h->vector_owner = a->vector_hart ? a : NULL;
	if (a->vector_hart)
		a->vector_hart = h;
}
