/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU's registers as records of its domain's whole state, and back (xen/arch-riscv/hvm/save.h). What comes is what a stream says:
 * nothing of it reaches a register that hardware would not let the guest write itself. And as a vcpu_guest_context, which the
 * control domain is believed.
 */
#include <arch.h>
#include <lib.h>
#include <sched.h>

/* Of vsstatus: what a guest writes. SD is the hart's, UXL always 64, XS nobody's, UBE not offered. */
#define VSSTATUS_KEPT \
	(SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_VS | SSTATUS_FS | SSTATUS_SUM | \
	 SSTATUS_MXR)
#define VSSTATUS_UXL_64 (2UL << 32)
#define SIE_KEPT (IP_SSIP | IP_STIP | IP_SEIP)
#define FCSR_BITS 0xffU
#define VCSR_BITS 7UL
#define VTYPE_BITS 0xffUL /* vlmul, vsew, vta, vma */
/* FIOM, CBIE, CBCFE, CBZE */
#define SENVCFG_KEPT (BIT(0) | HENVCFG_CBIE | HENVCFG_CBCFE | HENVCFG_CBZE)

void arch_save_vcpu(struct vcpu *v, struct hvm_riscv_vcpu *r)
{
	struct arch_vcpu *a = v->arch;

	if (!(a->sstatus & SSTATUS_SPP))
		r->flags |= HVM_VCPU_USER;
	r->fcsr = a->fcsr;
	memcpy(&r->regs, &a->regs, sizeof(r->regs));
	memcpy(r->f, a->fp, sizeof(r->f));
	r->sstatus = a->vsstatus & VSSTATUS_KEPT;
	r->sie = a->vsie & SIE_KEPT;
	/* The timer's follows from stimecmp, with Sstc as with the SBI's. */
	r->sip = ((a->hvip | READ_ONCE(a->pending)) >> 1) & IP_SSIP;
	r->stvec = a->vstvec;
	r->sscratch = a->vsscratch;
	r->sepc = a->vsepc;
	r->scause = a->vscause;
	r->stval = a->vstval;
	r->satp = a->vsatp;
	r->scounteren = (u32)a->scounteren;
	r->senvcfg = a->senvcfg & SENVCFG_KEPT;
	r->stimecmp = a->vstimecmp;
}

static int check(const struct hvm_riscv_vcpu *r)
{
	u64 mode = r->satp >> SATP_MODE_SHIFT;

	if (r->regs.pc & 1 || r->sepc & 1 || (r->stvec & 3) > 1 || r->fcsr & ~FCSR_BITS)
		return -EINVAL;
	if (r->sstatus & ~VSSTATUS_KEPT || r->sie & ~SIE_KEPT || r->sip & ~IP_SSIP ||
	    r->scounteren >> 32 || r->senvcfg & ~SENVCFG_KEPT ||
	    (r->senvcfg & HENVCFG_CBIE) == BIT(5))
		return -EINVAL;
	if (mode && (mode < SATP_MODE_SV39 || mode > SATP_MODE_SV57))
		return -EINVAL;
	/* A hart that does not know the mode would ignore the write. */
	if (!(cpu.satp_modes & BIT(mode)) || (r->sstatus & SSTATUS_VS && !cpu.vlenb) ||
	    (r->senvcfg && !cpu.envcfg))
		return -EOPNOTSUPP;
	return 0;
}

int arch_restore_vcpu(struct vcpu *v, const struct hvm_riscv_vcpu *r)
{
	struct arch_vcpu *a = v->arch;
	int rc = check(r);

	if (rc)
		return rc;
	/* Whatever a hart remembers of the vCPU is not its own any more. */
	arch_vcpu_start(v, r->regs.pc, 0);
	memcpy(&a->regs, &r->regs, sizeof(a->regs));
	memcpy(a->fp, r->f, sizeof(a->fp));
	a->fcsr = r->fcsr;
	/* No hart has these: else load_fp() would take a stale copy for them, or zeroes. */
	a->fp_hart = NULL;
	a->sstatus = (a->sstatus & ~SSTATUS_FS) | SSTATUS_FS_CLEAN;
	if (r->flags & HVM_VCPU_USER) {
		a->sstatus &= ~SSTATUS_SPP;
		a->hstatus &= ~HSTATUS_SPVP;
	}
	a->vsstatus = r->sstatus | VSSTATUS_UXL_64;
	a->vsie = r->sie;
	a->hvip |= r->sip << 1;
	a->vstvec = r->stvec;
	a->vsscratch = r->sscratch;
	a->vsepc = r->sepc;
	a->vscause = r->scause;
	a->vstval = r->stval;
	a->vsatp = r->satp;
	a->scounteren = r->scounteren;
	a->senvcfg = r->senvcfg;
	a->vstimecmp = r->stimecmp;
	return 0;
}

size_t arch_save_vector(struct vcpu *v, struct hvm_riscv_vector *r)
{
	const struct vector_state *s = &v->arch->vector;

	if (!cpu.vlenb)
		return 0;
	*r = (struct hvm_riscv_vector){ .vstart = s->vstart,
					.vcsr = s->vcsr,
					.vl = s->vl,
					.vtype = s->vtype,
					.vlenb = cpu.vlenb };
	memcpy(r + 1, s->regs, vector_size());
	return sizeof(*r) + vector_size();
}

int arch_restore_vector(struct vcpu *v, const struct hvm_riscv_vector *r, size_t size)
{
	struct arch_vcpu *a = v->arch;
	u64 elements = 8 * r->vlenb; /* of 8 bits, in 8 registers: there are never more */

	if (!r->vlenb || r->vlenb > VLENB_MAX || size != sizeof(*r) + 32 * r->vlenb ||
	    r->vcsr & ~VCSR_BITS || r->vstart >= elements || r->vl > elements ||
	    (r->vtype != VTYPE_VILL && r->vtype & ~VTYPE_BITS))
		return -EINVAL;
	if (r->vlenb != cpu.vlenb)
		return -EOPNOTSUPP;
	a->vector.vstart = r->vstart;
	a->vector.vcsr = r->vcsr;
	a->vector.vl = r->vl;
	a->vector.vtype = r->vtype;
	memcpy(a->vector.regs, r + 1, vector_size());
	a->vector_hart = NULL;
	a->sstatus = (a->sstatus & ~SSTATUS_VS) | SSTATUS_VS_CLEAN;
	return 0;
}

/* ---- vcpu_guest_context ---- */

static void set_csrs(struct arch_vcpu *a, const struct vcpu_guest_context *c)
{
	memcpy(&a->regs, &c->user_regs, sizeof(a->regs));
	a->vsstatus = (c->sstatus & ~(3UL << 32)) | VSSTATUS_UXL_64;
	a->vsie = c->sie;
	a->vstvec = c->stvec;
	a->vsscratch = c->sscratch;
	a->vsepc = c->sepc;
	a->vscause = c->scause;
	a->vstval = c->stval;
	a->vsatp = c->satp;
	a->senvcfg = c->senvcfg;
}

static void first_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
	struct arch_vcpu *a = v->arch;

	arch_vcpu_start(v, c->user_regs.pc, 0);
	set_csrs(a, c);
	a->hvip = (c->sip & IP_SSIP) << 1;
	if (c->scounteren)
		a->scounteren = c->scounteren;
	a->vstimecmp = c->stimecmp ? c->stimecmp : ~0ULL;
}

static void set_timer(struct vcpu *v, u64 at)
{
	struct arch_vcpu *a = v->arch;

	/* The one that runs, or has run out, and what came of that, stay. */
	if (a->vstimecmp == at)
		return;
	a->vstimecmp = at;
	if (cpu.sstc)
		return;
	timer_stop(&a->sbi_timer);
	__atomic_fetch_and(&a->pending, ~IP_VSTIP, __ATOMIC_SEQ_CST);
	a->hvip &= ~IP_VSTIP;
	if (at != ~0ULL)
		vsbi_timer_arm(v);
}

/* What c does not have, floating point, vectors, interrupts that wait, is left as it is. */
static void other_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
	struct arch_vcpu *a = v->arch;

	set_csrs(a, c);
	a->scounteren = c->scounteren;
	/* Raised only: what came while the caller had c is not in it. */
	a->hvip |= (c->sip & IP_SSIP) << 1;
	if (c->flags & VGCF_in_kernel) {
		a->sstatus |= SSTATUS_SPP;
		a->hstatus |= HSTATUS_SPVP;
	} else {
		a->sstatus &= ~SSTATUS_SPP;
		a->hstatus &= ~HSTATUS_SPVP;
	}
	set_timer(v, c->stimecmp);
	vmid_forget(&a->vmid);
}

int arch_set_context(struct vcpu *v, const struct vcpu_guest_context *c)
{
	/* A hart that does not know the mode would ignore the write. */
	if (!(cpu.satp_modes & BIT(c->satp >> SATP_MODE_SHIFT)))
		return -EINVAL;
	if (v->is_initialised)
		other_context(v, c);
	else
		first_context(v, c);
	return 0;
}

/* The vCPU is paused, so everything is in its struct. */
void arch_get_context(struct vcpu *v, struct vcpu_guest_context *c)
{
	struct arch_vcpu *a = v->arch;

	memset(c, 0, sizeof(*c));
	if (!(v->pause_flags & BIT(VPF_DOWN)))
		c->flags |= VGCF_online;
	if (a->sstatus & SSTATUS_SPP)
		c->flags |= VGCF_in_kernel;
	memcpy(&c->user_regs, &a->regs, sizeof(c->user_regs));
	c->sstatus = a->vsstatus;
	c->sie = a->vsie;
	c->sip = (a->hvip | READ_ONCE(a->pending)) >> 1;
	c->stvec = a->vstvec;
	c->sscratch = a->vsscratch;
	c->sepc = a->vsepc;
	c->scause = a->vscause;
	c->stval = a->vstval;
	c->satp = a->vsatp;
	c->scounteren = a->scounteren;
	c->senvcfg = a->senvcfg;
	c->stimecmp = a->vstimecmp;
}

void arch_vcpu_time_starts(struct vcpu *v)
{
	if (!cpu.sstc && v->arch->vstimecmp != ~0ULL)
		vsbi_timer_arm(v);
}
