// SPDX-License-Identifier: BSD-2-Clause
/*
 * What arch/riscv64/mm/p2m.c asks of the rest of arch/riscv64, CSRs and fences, and what hardware would make of its tables,
 * from the specification's words rather than p2m.c's (RISC-V Privileged Specification, "Two-Stage Address Translation").
 */
#include <arch.h>
#include <lib.h>
#include <page.h>

#include "machine.h"

struct machine_state machine_state = { .pages_left = -1 };
static unsigned long csrs[4096];
static struct hart hart;
/* test_vector.c has its own. */
__attribute__((weak)) struct cpu_features cpu;

_Static_assert((int)FENCE_I == (int)RFENCE_FENCE_I && (int)FENCE_GVMA == (int)RFENCE_HFENCE_GVMA &&
		       (int)FENCE_VVMA == (int)RFENCE_HFENCE_VVMA,
	       "fences");

void machine_reset(void)
{
	machine_state = (struct machine_state){ .pages_left = -1 };
	memset(csrs, 0, sizeof(csrs));
}

unsigned long *machine_csr(unsigned int number)
{
	return &csrs[number];
}

struct hart *this_hart(void)
{
	hart.current = arch_current();
	return &hart;
}

u64 machine_direct_va(void)
{
	static u64 va;

	if (!va)
		va = (u64)arch_mfn_to_virt(frame_base) - (frame_base << PAGE_SHIFT);
	return va;
}

void machine_fence(unsigned int fid, unsigned long harts)
{
	if (fid == FENCE_GVMA && !harts)
		machine_state.fences_here++;
	if (fid == FENCE_GVMA && harts) {
		machine_state.fences_there++;
		machine_state.harts = harts;
	}
	if (fid == FENCE_I && !harts)
		machine_state.fences_i_here++;
	if (fid == FENCE_I && harts) {
		machine_state.fences_i_there++;
		machine_state.harts_i = harts;
	}
	if (machine_state.on_fence)
		machine_state.on_fence();
}

void machine_fence_vmid(unsigned int vmid)
{
	machine_state.fences_of_vmid++;
	machine_state.vmid = vmid;
	if (machine_state.on_fence)
		machine_state.on_fence();
}

/* The host's vCPUs have no state of this architecture's, so they borrow some. */
static u64 marked_for(struct domain *d, unsigned int vmid, void (*fence)(struct domain *d),
		      u32 mark)
{
	static struct arch_vcpu borrowed[64];
	struct arch_vcpu *own[64];
	struct vcpu *v;
	unsigned int i;
	u64 marked = 0;

	domain_for_each_vcpu(d, v, i) {
		own[i] = v->arch;
		borrowed[i].vmid = (struct vmid_vcpu){ .nr = vmid + i };
		v->arch = &borrowed[i];
	}
	cpu.vmid_bits = 14;
	fence(d);
	cpu.vmid_bits = 0;
	domain_for_each_vcpu(d, v, i) {
		if (borrowed[i].vmid.stale)
			marked |= borrowed[i].vmid.stale == mark ? BIT(i) : ~0ULL;
		v->arch = own[i];
	}
	return marked;
}

u64 machine_flush_with_vmids(struct domain *d, unsigned int vmid)
{
	return marked_for(d, vmid, p2m_flush, VMID_GVMA);
}

u64 machine_fence_i_with_vmids(struct domain *d, unsigned int vmid)
{
	return marked_for(d, vmid, p2m_fence_i, VMID_FENCE_I);
}

void sbi_remote_fence(unsigned int fid, u64 hart_mask, u64 start, u64 size, u64 asid)
{
	/* Nobody sends less than all: what is fenced is not remembered by address. */
	if (start || ~size || asid)
		panic("a fence of a part\n");
	machine_fence(fid, hart_mask);
}

/* ---- hardware ---- */

static u64 *table_at(u64 ppn)
{
	return arch_mfn_to_virt(ppn);
}

bool machine_translate(struct domain *d, u64 gpa, struct p2m_entry *e)
{
	u64 hgatp = d->arch->hgatp, *table = table_at(hgatp & ((1UL << 44) - 1)), pte;

	/* Mode Sv39x4: 8; the root is 16 KiB, and aligned to it */
	if (hgatp >> 60 != 8 || hgatp & 3 || gpa >> 41)
		return false;
	for (int level = 2; level >= 0; level--) {
		u64 index = gpa >> (12 + 9 * level) & (level == 2 ? 0x7ff : 0x1ff), ppn;

		pte = table[index];
		ppn = pte >> 10 & ((1UL << 44) - 1);
		if (!(pte & 1) || pte >> 54)
			return false;
		if (!(pte & 0xe)) { /* a pointer: D, A and U are reserved */
			if (pte & 0xd0)
				return false;
			table = table_at(ppn);
			continue;
		}
		/* Writable and not readable is reserved; U, as all is an access of a user's. A and D, or it may fault: only a log is a reason */
		if ((pte & 6) == 4 || !(pte & 0x10) ||
		    ((pte & 0xc0) != 0xc0 && !d->log.on && !d->log.doing) ||
		    ppn & ((1UL << (9 * level)) - 1))
			return false;
		e->mfn = ppn + (gpa >> 12 & ((1UL << (9 * level)) - 1));
		e->access = pte >> 1 & 7;
		e->type = pte >> 8 & 3;
		e->order = 9 * level;
		return true;
	}
	return false;
}

void machine_ad(bool broken, bool hole)
{
	cpu.ad = AD_SETS | (broken ? AD_IGNORES : 0) | (hole ? AD_WALK_IGNORES_D : 0);
}

void machine_walks_write(bool write)
{
	cpu.ad = write ? cpu.ad | AD_WALK_IGNORES_W : cpu.ad & ~(u32)AD_WALK_IGNORES_W;
}

bool machine_log_fault(struct domain *d, gfn_t gfn, unsigned int access)
{
	return p2m_log_fault(d, gfn, access);
}

bool machine_fault(struct domain *d, gfn_t gfn, unsigned int access, bool may_wait)
{
	csr_write(CSR_HTVAL, gfn << (PAGE_SHIFT - 2));
	return p2m_fault(d->vcpu[0], 0, access, may_wait);
}

bool machine_touch(struct domain *d, u64 gpa, bool write)
{
	u64 *table = table_at(d->arch->hgatp & ((1UL << 44) - 1)), *pte;

	for (int level = 2;; level--) {
		pte = &table[gpa >> (12 + 9 * level) & (level == 2 ? 0x7ff : 0x1ff)];
		if (!(*pte & 1))
			return false;
		if (*pte & 0xe)
			break;
		table = table_at(*pte >> 10 & ((1UL << 44) - 1));
	}
	if (!(*pte & (write ? 4 : 2)))
		return false;
	__atomic_fetch_or(pte, write ? 0xc0 : 0x40, __ATOMIC_RELAXED);
	return true;
}

u64 machine_tables_counted(struct domain *d)
{
	return d->arch->p2m_tables;
}

static u64 tables_below(u64 *table, unsigned int level)
{
	u64 n = 0;

	for (unsigned int i = 0; level && i < (level == 2 ? 2048 : 512); i++) {
		/* One that is an image's is nobody's own. */
		if ((table[i] & 0x10f) == 1)
			n += 1 + tables_below(table_at(table[i] >> 10), level - 1);
	}
	return n;
}

const u64 *machine_shared_table(struct domain *d, gfn_t gfn)
{
	u64 pte = d->arch->p2m_root[gfn >> 18];

	if ((pte & 0xf) == 1)
		pte = table_at(pte >> 10)[gfn >> 9 & 0x1ff];
	return (pte & 0x10f) == 0x101 ? table_at(pte >> 10) : NULL;
}

u64 machine_tables_found(struct domain *d)
{
	return tables_below(d->arch->p2m_root, 2);
}

bool machine_p2m_is_free(struct domain *d)
{
	return READ_ONCE(d->arch->p2m_lock.next) == READ_ONCE(d->arch->p2m_lock.owner);
}

/* ---- the walk of a guest's tables ---- */

bool machine_walk(struct vcpu *v, u64 vsatp, u64 gva, bool write, u64 *gpa)
{
	csr_write(CSR_VSATP, vsatp);
	return guest_walk(v, gva, write, gpa);
}

bool machine_walk_saved(struct vcpu *v, u64 vsatp, u64 gva, bool write, u64 *gpa)
{
	struct arch_vcpu a = { .vsatp = vsatp };
	struct vcpu w = *v;

	w.arch = &a;
	csr_write(CSR_VSATP, ~0UL);
	return guest_walk(&w, gva, write, gpa);
}

/* ---- domains ---- */

int arch_domain_init(struct domain *d, struct xen_arch_domainconfig *config)
{
	if (config && config->engine > XEN_DOMCTL_CONFIG_ENGINE_HEXT)
		return -EINVAL;
	d->arch = xzalloc(sizeof(*d->arch));
	return d->arch ? p2m_init(d) : -ENOMEM;
}

void arch_domain_free(struct domain *d)
{
	p2m_free(d);
	xfree(d->arch);
	d->arch = NULL;
}
