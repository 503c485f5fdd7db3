/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vector registers of vCPUs (RISC-V "V" Vector Extension 1.0), which change hands as floating point registers do: saved
 * when they are dirty, loaded unless the hart holds them still.
 *
 * Two fields say whether a guest may use vectors, and both must (H, "Hypervisor extension and vector state"): vsstatus.VS,
 * which is the guest kernel's, and the hypervisor's sstatus.VS. The latter is never Off for a vCPU of a machine with vectors,
 * and Off for ever on one without: then an instruction of theirs is the guest's own illegal one. Initial says that the vCPU
 * has not had other state than reset's since it started, and that its struct says so, too.
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
 * Is there anything that the struct does not have? A hart may mark writes of vcsr and vstart in vsstatus.VS only, where the
 * guest can unmark them (QEMU does, at any rate 7.2 to 9), or not at all the vstart that a trap leaves. To look is cheap, and
 * else they would be lost, or the next vCPU's.
 */
static bool dirty(const struct arch_vcpu *a)
{
	return (a->sstatus & SSTATUS_VS) == SSTATUS_VS_DIRTY ||
	       csr_read(CSR_VCSR) != a->vector.vcsr || csr_read(CSR_VSTART) != a->vector.vstart;
}

void vector_save(struct arch_vcpu *a)
{
	if (!dirty(a))
		return;
	vector_regs_save(a);
	a->sstatus = (a->sstatus & ~SSTATUS_VS) | SSTATUS_VS_CLEAN;
	this_hart()->vector_owner = a;
	a->vector_hart = this_hart();
}

void vector_load(struct arch_vcpu *a)
{
	struct hart *h = this_hart();
	struct arch_vcpu *owner = (a->sstatus & SSTATUS_VS) == SSTATUS_VS_INITIAL ? NULL : a;

	if (h->vector_owner == owner && (!owner || a->vector_hart == h))
		return;
	csr_set(CSR_SSTATUS, SSTATUS_VS);
	vector_regs_load(a);
	h->vector_owner = owner;
	a->vector_hart = h;
}
