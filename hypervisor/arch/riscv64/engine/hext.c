/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine for CPUs with the H extension (RISC-V Privileged Specification, "H"): the guest kernel
 * runs in VS-mode on its own page tables, second-stage translation keeps it in its memory.
 */
#include <arch.h>
#include <console.h>
#include <event.h>
#include <hypercall.h>
#include <lib.h>
#include <sched.h>

#define INSN_WFI 0x10500073
#define INSN_WRS_NTO 0x00d00073
#define INSN_WRS_STO 0x01d00073

void fp_save(struct arch_vcpu *a);
void fp_load(struct arch_vcpu *a);
u32 fetch_guest_insn(u64 gva);

static bool hext_available(void)
{
	return cpu.h && cpu.sv39x4;
}

static void hext_hart_init(void)
{
	guest_cpu_hart_init();
	csr_write(CSR_HVIP, 0);
	/* What load_fp() takes the registers to hold; the idle vCPU never changes them. */
	csr_set(CSR_SSTATUS, SSTATUS_FS);
	fp_load(this_hart()->current_arch);
}

static void initial_csrs(struct arch_vcpu *a)
{
	a->hstatus = HSTATUS_VSXL_64 | HSTATUS_VTW | HSTATUS_SPV | HSTATUS_SPVP;
	a->sstatus = SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_FS_INITIAL;
	a->vsstatus = 2UL << 32; /* UXL: 64 */
	a->scounteren = 7; /* TM: rdtime works in user mode from the start */
	a->vstimecmp = ~0ULL;
	vector_reset(a);
}

static int hext_vcpu_init(struct vcpu *v)
{
	timer_init(&v->arch->sbi_timer, vsbi_timer_expired, v);
	initial_csrs(v->arch);
	return 0;
}

static void hext_start(struct vcpu *v, u64 pc, u64 opaque)
{
	struct arch_vcpu *a = v->arch;

	memset(&a->regs, 0, sizeof(a->regs));
	memset(a->fp, 0, sizeof(a->fp));
	a->fcsr = 0;
	a->vsie = a->vstvec = a->vsscratch = a->vsepc = a->vscause = a->vstval = a->vsatp = 0;
	a->hvip = 0;
	/* An event that came before is not told of again while evtchn_upcall_pending says that it was. */
	__atomic_store_n(&a->pending, 0, __ATOMIC_SEQ_CST);
	/* Who sends one sets that word, and then pending: one of the two is seen here. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vcpu_event_pending(v))
		__atomic_fetch_or(&a->pending, IP_VSSIP, __ATOMIC_SEQ_CST);
	a->suspended = false;
	a->senvcfg = 0;
	vmid_forget(&a->vmid);
	timer_stop(&a->sbi_timer);
	initial_csrs(a);
	a->regs.pc = pc;
	a->regs.a0 = v->id;
	a->regs.a1 = opaque;
	v->is_initialised = true;
}

/*
 * The registers keep a vCPU's floating point state when it leaves the hart (hart.fp_owner, NULL: zeroes), and it knows
 * where it had it last (fp_hart). Both must agree: it may have run elsewhere since, or be another that was allocated there.
 */
static void save_fp(struct arch_vcpu *a)
{
	fp_save(a);
	a->sstatus = (a->sstatus & ~SSTATUS_FS) | SSTATUS_FS_CLEAN;
	this_hart()->fp_owner = a;
	a->fp_hart = this_hart();
}

static __force_inline void load_fp(struct arch_vcpu *a)
{
	struct hart *h = this_hart();
	struct arch_vcpu *owner = (a->sstatus & SSTATUS_FS) == SSTATUS_FS_INITIAL ? NULL : a;

	if (h->fp_owner == owner && (!owner || a->fp_hart == h))
		return;
	csr_set(CSR_SSTATUS, SSTATUS_FS);
	fp_load(a);
	h->fp_owner = owner;
	a->fp_hart = h;
}

static void hext_save(struct vcpu *v)
{
	struct arch_vcpu *a = v->arch;
	u64 sstatus = csr_read(CSR_SSTATUS);

	a->sstatus = sstatus;
	a->hstatus = csr_read(CSR_HSTATUS);
	a->vsatp = csr_read(CSR_VSATP);
#define X(field, csr, condition) \
	if (condition) \
		a->field = csr_read(csr);
	SWITCHED_CSRS(X)
#undef X
	if (cpu.sstc) {
		a->vstimecmp = csr_read(CSR_VSTIMECMP);
		/* A comparator left behind would raise VSTIP for whoever runs next. */
		csr_write(CSR_VSTIMECMP, ~0ULL);
	}
	/* Writes of fcsr alone may be marked nowhere: see vector_unsaved(). */
	if ((sstatus & SSTATUS_SD && (sstatus & SSTATUS_FS) == SSTATUS_FS_DIRTY) ||
	    csr_read(CSR_FCSR) != a->fcsr)
		save_fp(a);
	if (vector_unsaved(a, sstatus))
		vector_save(a);
}

static void hext_apply_pending(struct vcpu *v)
{
	struct arch_vcpu *a = v->arch;
	u64 bits;

	/* It runs: what ends the next wait may be another thing, and a wait for something else no suspend. */
	WRITE_ONCE(a->suspended, false);
	if (READ_ONCE(a->pending)) {
		bits = __atomic_exchange_n(&a->pending, 0, __ATOMIC_SEQ_CST);
		csr_set(CSR_HVIP, bits & (IP_VSSIP | IP_VSTIP));
	}
}

/* hgatp has the vCPU's number: HFENCE.VVMA is for that one. */
static void fence_stale(u32 fences, u32 nr)
{
	if (fences & VMID_GVMA_ALL)
		hfence_gvma_all();
	else if (fences & VMID_GVMA)
		hfence_gvma_vmid(nr);
	if (fences & VMID_VVMA)
		hfence_vvma_all();
	if (fences & VMID_FENCE_I)
		fence_i();
}

static __force_inline void load(struct vcpu *v, bool vmids)
{
	struct arch_vcpu *a = v->arch;
	struct hart *h = this_hart();
	u64 hgatp = v->domain->arch->hgatp;
	u32 fences = 0;

	if (vmids) {
		fences = vmid_load(&h->vmids, &a->vmid, cpu.vmid_bits);
		hgatp |= (u64)a->vmid.nr << HGATP_VMID_SHIFT;
	}

	/*
	 * In this order, so that no table of the last guest's is ever walked by way of this one's second stage, or the other
	 * way round (H, "Hypervisor guest address translation and protection register").
	 */
	csr_write(CSR_VSATP, 0);
	csr_write(CSR_HGATP, hgatp);
	if (cpu.svpbmt)
		csr_write(CSR_HENVCFG, guest_cpu_henvcfg(v->domain));
	if (unlikely(cpu.wipe))
		guest_cpu_wipe();
#define X(field, csr, condition) \
	if (condition) \
		csr_write(csr, a->field);
	SWITCHED_CSRS(X)
#undef X
	csr_write(CSR_VSATP, a->vsatp);
	/* Mostly it is 0 for all. */
	if (unlikely(h->time_delta != v->domain->time_delta)) {
		h->time_delta = v->domain->time_delta;
		csr_write(CSR_HTIMEDELTA, h->time_delta);
	}
	if (cpu.sstc)
		csr_write(
			CSR_VSTIMECMP,
			a->vstimecmp); /* after htimedelta: QEMU 7.2 sets its timer by both only then */
	csr_write(CSR_HSTATUS, a->hstatus);
	load_fp(a);
	if (!vector_held(a))
		vector_load(a);
	csr_write(CSR_SSTATUS, a->sstatus);
	if (vmids) {
		if (unlikely(fences))
			fence_stale(fences, a->vmid.nr);
		return;
	}
	/*
	 * Without VMIDs both stages go at each switch. (QEMU 7.2 has some, and needs it: it does not flush when hgatp is
	 * written.) A remote fence for a vCPU that was not running is thereby done, too.
	 */
	hfence_gvma_all();
	hfence_vvma_all();
	fence_i();
}

static __noinline void load_with_vmid(struct vcpu *v)
{
	load(v, true);
}

static void hext_load(struct vcpu *v)
{
	if (unlikely(cpu.vmid_bits))
		load_with_vmid(v);
	else
		load(v, false);
}

/*
 * A hart that idles must not walk the tables of a domain that may be destroyed meanwhile, nor have a guest's VMID; and an interrupt that the last
 * vCPU left pending and enabled would end each wfi at once.
 */
static void hext_unload(void)
{
	csr_write(CSR_VSATP, 0);
	csr_write(CSR_HGATP, 0);
	csr_write(CSR_HVIP, 0);
	csr_write(CSR_VSIE, 0);
}

static void hext_inject(struct vcpu *v, u64 cause, u64 tval)
{
	struct arch_vcpu *a = v->arch;
	u64 vsstatus = csr_read(CSR_VSSTATUS), sstatus = csr_read(CSR_SSTATUS);
	u64 vector = csr_read(CSR_VSTVEC) & ~3UL;

	if ((cause == EXC_INST_ACCESS || cause == EXC_ILLEGAL_INST) && a->regs.pc == vector) {
		domain_crash(v->domain, "its trap vector %lx cannot be executed (%s at %lx)",
			     vector,
			     cause == EXC_INST_ACCESS ? "access fault" : "illegal instruction",
			     tval);
		return;
	}
	csr_write(CSR_VSEPC, a->regs.pc);
	csr_write(CSR_VSCAUSE, cause);
	csr_write(CSR_VSTVAL, tval);
	vsstatus &= ~(SSTATUS_SPP | SSTATUS_SPIE);
	if (sstatus & SSTATUS_SPP)
		vsstatus |= SSTATUS_SPP;
	if (vsstatus & SSTATUS_SIE)
		vsstatus |= SSTATUS_SPIE;
	csr_write(CSR_VSSTATUS, vsstatus & ~SSTATUS_SIE);
	csr_set(CSR_SSTATUS, SSTATUS_SPP);
	csr_set(CSR_HSTATUS, HSTATUS_SPVP);
	a->regs.pc = vector;
}

bool hext_copy_stale(u64 scause, u64 stval)
{
	if (scause != EXC_LOAD_GUEST_PAGE_FAULT && scause != EXC_STORE_GUEST_PAGE_FAULT)
		return false;
	return p2m_fault(current(), stval, scause == EXC_STORE_GUEST_PAGE_FAULT ? P2M_W : P2M_R,
			 false);
}

/*
 * hstatus.VTW makes instructions that wait trap here. wfi gives the hart away until an interrupt comes, but not for the
 * guest's user mode, which may not idle. wrs.nto (Zawrs) spins for a lock, in either mode: whoever holds it may be waiting
 * for this hart. wrs.sto should not trap at all; where it does, it is the same. Nothing else is recognised.
 */
static void virtual_instruction(struct vcpu *v, u64 insn)
{
	u64 sstatus = csr_read(CSR_SSTATUS), hstatus = csr_read(CSR_HSTATUS);
	bool kernel = sstatus & SSTATUS_SPP;

	/* Harts need not give the instruction (and QEMU 11 gives 0 for wrs.nto). */
	if (!insn) {
		insn = fetch_guest_insn(v->arch->regs.pc);
		csr_write(CSR_SSTATUS, sstatus);
		csr_write(CSR_HSTATUS, hstatus);
	}
	if (insn == INSN_WFI && kernel) {
		v->arch->regs.pc += 4;
		vcpu_block();
	} else if (insn == INSN_WRS_NTO || insn == INSN_WRS_STO) {
		v->arch->regs.pc += 4;
		vcpu_yield();
	} else {
		hext_inject(v, EXC_ILLEGAL_INST, insn);
	}
}

void hext_trap(struct vcpu *v, u64 scause)
{
	struct arch_vcpu *a = v->arch;
	u64 stval = csr_read(CSR_STVAL);

	switch (scause) {
	case EXC_ECALL_VS:
		a->regs.pc += 4;
		vsbi_call(v);
		break;
	case EXC_VIRTUAL_INST:
		virtual_instruction(v, stval);
		break;
	case EXC_INST_GUEST_PAGE_FAULT:
		if (!p2m_fault(v, stval, P2M_X, true))
			hext_inject(v, EXC_INST_ACCESS, stval);
		break;
	case EXC_LOAD_GUEST_PAGE_FAULT:
		if (!p2m_fault(v, stval, P2M_R, true))
			hext_inject(v, EXC_LOAD_ACCESS, stval);
		break;
	case EXC_STORE_GUEST_PAGE_FAULT:
		if (!p2m_fault(v, stval, P2M_W, true))
			hext_inject(v, EXC_STORE_ACCESS, stval);
		break;
	case EXC_INST_ACCESS:
	case EXC_LOAD_ACCESS:
	case EXC_STORE_ACCESS:
		hext_inject(v, scause, stval); /* the machine's own: no such device, or PMP */
		break;
	default:
		domain_crash(v->domain, "unexpected exit, scause %lx stval %lx", scause, stval);
	}
}

/* hvip is the vCPU's own (saved or live); VSTIP by Sstc shows only in hip of a live one. */
bool arch_vcpu_has_interrupt(struct vcpu *v)
{
	struct arch_vcpu *a = v->arch;

	if (READ_ONCE(a->pending))
		return true;
	if (v == current())
		return guest_interrupts();
	if ((a->hvip >> 1) & a->vsie & (IP_SSIP | IP_STIP))
		return true;
	return cpu.sstc && a->vsie & IP_STIP && guest_time(v) >= a->vstimecmp;
}

u64 arch_vcpu_timer_deadline(struct vcpu *v)
{
	u64 cmp, now = guest_time(v);

	if (!cpu.sstc)
		return ~0ULL; /* sbi_timer wakes it */
	cmp = v == current() ? csr_read(CSR_VSTIMECMP) : v->arch->vstimecmp;
	if (cmp == ~0ULL || cmp > now + (1ULL << 56))
		return ~0ULL;
	return arch_time_ns() + (cmp > now ? ticks_to_ns(cmp - now) + 1 : 0);
}

const struct engine engine_hext = {
	.name = "hext",
	.available = hext_available,
	.hart_init = hext_hart_init,
	.vcpu_init = hext_vcpu_init,
	.save = hext_save,
	.load = hext_load,
	.unload = hext_unload,
	.start = hext_start,
	.inject = hext_inject,
	.apply_pending = hext_apply_pending,
};
