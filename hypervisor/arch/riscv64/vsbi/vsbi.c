/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SBI that guests see (RISC-V SBI specification 2.0): BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN.
 * Everything else is SBI_ERR_NOT_SUPPORTED.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>
#include <sched.h>

#define SBI_SUCCESS 0
#define SBI_ERR_FAILED -1
#define SBI_ERR_NOT_SUPPORTED -2
#define SBI_ERR_INVALID_PARAM -3
#define SBI_ERR_INVALID_ADDRESS -5
#define SBI_ERR_ALREADY_AVAILABLE -6

#define EXT_BASE 0x10
#define EXT_TIME 0x54494D45
#define EXT_IPI 0x735049
#define EXT_RFENCE 0x52464E43
#define EXT_HSM 0x48534D
#define EXT_SRST 0x53525354
#define EXT_DBCN 0x4442434E

#define SBI_SPEC_VERSION (2U << 24)
#define IMPL_ID 7 /* Xen */
#define IMPL_VERSION 0x00040011 /* the ABI: Xen 4.17 */

enum { HSM_STARTED = 0, HSM_STOPPED = 1, HSM_STOP_PENDING = 3, HSM_SUSPENDED = 4 };

typedef struct sbiret (*handler)(struct vcpu *v, u64 fid, const struct cpu_regs *r);

static struct sbiret result(long error, long value)
{
	return (struct sbiret){ error, value };
}

static struct sbiret vsbi_base(struct vcpu *v, u64 fid, const struct cpu_regs *r);

/* ---- TIME ---- */

void vsbi_timer_expired(void *vcpu)
{
	struct vcpu *v = vcpu;

	__atomic_fetch_or(&v->arch->pending, IP_VSTIP, __ATOMIC_SEQ_CST);
	if (READ_ONCE(v->running) && v != current())
		arch_kick_hart(v->hart);
	vcpu_unblock(v);
}

void vsbi_timer_arm(struct vcpu *v)
{
	u64 at = v->arch->vstimecmp, now = guest_time(v);

	if (at <= now)
		timer_set(&v->arch->sbi_timer, 0);
	else if (at - now < 1ULL << 56)
		timer_set(&v->arch->sbi_timer, arch_time_ns() + ticks_to_ns(at - now) + 1);
}

static struct sbiret vsbi_time(struct vcpu *v, u64 fid, const struct cpu_regs *r)
{
	u64 now = guest_time(v);

	if (fid)
		return result(SBI_ERR_NOT_SUPPORTED, 0);
	if (cpu.sstc) {
		csr_write(CSR_VSTIMECMP, r->a0);
		return result(SBI_SUCCESS, 0);
	}
	v->arch->vstimecmp = r->a0;
	timer_stop(&v->arch->sbi_timer);
	__atomic_fetch_and(&v->arch->pending, ~IP_VSTIP, __ATOMIC_SEQ_CST);
	csr_clear(CSR_HVIP, IP_VSTIP);
	if (r->a0 <= now)
		csr_set(CSR_HVIP, IP_VSTIP);
	else
		vsbi_timer_arm(v);
	return result(SBI_SUCCESS, 0);
}

/* ---- hart masks (IPI, RFENCE) ---- */

/*
 * Calls fn for each vCPU of the mask; SBI_ERR_INVALID_PARAM if one does not exist or is not started.
 */
static long for_mask(struct domain *d, u64 mask, u64 base, void (*fn)(struct vcpu *v, void *arg),
		     void *arg)
{
	if (base == ~0ULL) {
		mask = d->max_vcpus == 64 ? ~0ULL : BIT(d->max_vcpus) - 1;
		base = 0;
		for (unsigned int i = 0; i < d->max_vcpus; i++) {
			if (d->vcpu[i] && !(READ_ONCE(d->vcpu[i]->pause_flags) & BIT(VPF_DOWN)))
				fn(d->vcpu[i], arg);
		}
		return SBI_SUCCESS;
	}
	for (u64 m = mask; m; m &= m - 1) {
		u64 id = base + __builtin_ctzll(m);

		if (id < base || id >= d->max_vcpus || !d->vcpu[id])
			return SBI_ERR_INVALID_PARAM;
	}
	for (u64 m = mask; m; m &= m - 1)
		fn(d->vcpu[base + __builtin_ctzll(m)], arg);
	return SBI_SUCCESS;
}

static void send_ipi(struct vcpu *v, void *unused)
{
	(void)unused;
	arch_raise_upcall(v);
	vcpu_unblock(v);
}

static struct sbiret vsbi_ipi(struct vcpu *v, u64 fid, const struct cpu_regs *r)
{
	if (fid)
		return result(SBI_ERR_NOT_SUPPORTED, 0);
	return result(for_mask(v->domain, r->a0, r->a1, send_ipi, NULL), 0);
}

/*
 * One that is not on a hart is not interrupted: loading it fences (hext_load), with VMIDs because it is marked. A guest's fences
 * of its own translations that go to others by the firmware's SBI are for the VMID that the caller's hgatp has (SBI
 * specification, RFENCE), so with VMIDs each vCPU that runs elsewhere takes a call of its own, with its number in hgatp. (A kick of
 * our own would need no such call, but somebody to wait for each of those harts to leave the hypervisor.)
 */
struct rfence {
	const struct cpu_regs *r;
	unsigned int machine_fid;
	u32 stale;
	u64 harts; /* that are fenced in one call */
	bool here;
};

static void mark(struct vcpu *v, void *rfence)
{
	struct rfence *f = rfence;

	if (v != current())
		vmid_mark(&v->arch->vmid, f->stale);
}

static void collect_hart(struct vcpu *v, void *rfence)
{
	struct rfence *f = rfence;

	if (READ_ONCE(v->running))
		f->harts |= BIT(READ_ONCE(v->hart));
}

/* vsatp is 0. One that is marked, and took another number since, has fenced. */
static void fence_by_number(struct vcpu *v, void *rfence)
{
	struct rfence *f = rfence;

	if (v == current()) {
		f->here = true;
	} else if (READ_ONCE(v->running)) {
		csr_write(CSR_HGATP, vmid_nowhere(READ_ONCE(v->arch->vmid.nr)));
		sbi_remote_fence(f->machine_fid, BIT(READ_ONCE(v->hart)), f->r->a2, f->r->a3,
				 f->r->a4);
	}
}

static long fence_with_vmids(struct domain *d, struct rfence *f)
{
	u64 vsatp = csr_read(CSR_VSATP), hgatp = csr_read(CSR_HGATP);
	long rc;

	/* In hext_load()'s order: nobody's tables are walked under another's number. */
	csr_write(CSR_VSATP, 0);
	rc = for_mask(d, f->r->a0, f->r->a1, fence_by_number, f);
	csr_write(CSR_HGATP, hgatp);
	csr_write(CSR_VSATP, vsatp);
	if (f->here && f->machine_fid == RFENCE_HFENCE_VVMA_ASID)
		hfence_vvma_asid(f->r->a4);
	else if (f->here)
		hfence_vvma_all();
	return rc;
}

static struct sbiret vsbi_rfence(struct vcpu *v, u64 fid, const struct cpu_regs *r)
{
	struct rfence f = { .r = r, .stale = VMID_VVMA };
	long rc = 0;

	switch (fid) {
	case 0:
		f.machine_fid = RFENCE_FENCE_I;
		f.stale = VMID_FENCE_I;
		break;
	case 1:
		f.machine_fid = RFENCE_HFENCE_VVMA;
		break;
	case 2:
		f.machine_fid = RFENCE_HFENCE_VVMA_ASID;
		break;
	default:
		return result(SBI_ERR_NOT_SUPPORTED, 0); /* no nested guests */
	}
	if (unlikely(cpu.vmid_bits))
		rc = for_mask(v->domain, r->a0, r->a1, mark, &f);
	/* The guest's table writes, and the marks, come before the look at who runs; see hext_load. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (rc)
		return result(rc, 0);
	if (unlikely(cpu.vmid_bits) && f.stale == VMID_VVMA)
		return result(fence_with_vmids(v->domain, &f), 0);
	rc = for_mask(v->domain, r->a0, r->a1, collect_hart, &f);
	if (!rc && f.harts)
		sbi_remote_fence(f.machine_fid, f.harts, r->a2, r->a3, r->a4);
	return result(rc, 0);
}

/* ---- HSM ---- */

static struct sbiret hart_start(struct vcpu *self, const struct cpu_regs *r)
{
	struct domain *d = self->domain;
	struct vcpu *v = r->a0 < d->max_vcpus ? d->vcpu[r->a0] : NULL;

	if (!v)
		return result(SBI_ERR_INVALID_PARAM, 0);
	if (!p2m_allows(d, r->a1 >> PAGE_SHIFT, P2M_X))
		return result(SBI_ERR_INVALID_ADDRESS, 0);
	spin_lock(&d->lock);
	/* Down, and its last stop is complete: its state is not on a hart any more. */
	if (!(v->pause_flags & BIT(VPF_DOWN)) || READ_ONCE(v->running)) {
		spin_unlock(&d->lock);
		return result(SBI_ERR_ALREADY_AVAILABLE, 0);
	}
	arch_vcpu_start(v, r->a1, r->a2);
	clear_bit(VPF_DOWN, &v->pause_flags);
	spin_unlock(&d->lock);
	/* One that VCPUOP_down took down while it waited would wait on. */
	vcpu_unblock(v);
	vcpu_wake(v);
	return result(SBI_SUCCESS, 0);
}

static long hart_status(struct vcpu *v)
{
	u64 flags = READ_ONCE(v->pause_flags);

	if (flags & BIT(VPF_DOWN))
		return READ_ONCE(v->running) ? HSM_STOP_PENDING : HSM_STOPPED;
	return flags & BIT(VPF_BLOCKED) && READ_ONCE(v->arch->suspended) ? HSM_SUSPENDED :
									   HSM_STARTED;
}

static struct sbiret vsbi_hsm(struct vcpu *self, u64 fid, const struct cpu_regs *r)
{
	struct vcpu *v;

	switch (fid) {
	case 0:
		return hart_start(self, r);
	case 1: /* hart_stop: does not return */
		set_bit(VPF_DOWN, &self->pause_flags);
		timer_stop(&self->arch->sbi_timer);
		self->arch->vstimecmp =
			~0ULL; /* Sstc's is in the CSR, and hart_start makes it so */
		vcpu_sleep_nosync(self);
		return result(SBI_ERR_FAILED, 0);
	case 2:
		v = r->a0 < self->domain->max_vcpus ? self->domain->vcpu[r->a0] : NULL;
		return v ? result(SBI_SUCCESS, hart_status(v)) : result(SBI_ERR_INVALID_PARAM, 0);
	case 3: /* hart_suspend: the default retentive suspend is wfi */
		if ((u32)r->a0 != 0)
			return result(SBI_ERR_NOT_SUPPORTED, 0);
		WRITE_ONCE(self->arch->suspended, true);
		vcpu_block();
		return result(SBI_SUCCESS, 0);
	default:
		return result(SBI_ERR_NOT_SUPPORTED, 0);
	}
}

/* ---- SRST ---- */

static struct sbiret vsbi_srst(struct vcpu *v, u64 fid, const struct cpu_regs *r)
{
	if (fid)
		return result(SBI_ERR_NOT_SUPPORTED, 0);
	switch ((u32)r->a0) {
	case 0:
		domain_shutdown(v->domain, (u32)r->a1 == 1 ? SHUTDOWN_crash : SHUTDOWN_poweroff);
		return result(SBI_SUCCESS, 0);
	case 1:
	case 2:
		domain_shutdown(v->domain, SHUTDOWN_reboot);
		return result(SBI_SUCCESS, 0);
	default:
		return result(SBI_ERR_INVALID_PARAM, 0);
	}
}

/* ---- DBCN ---- */

#define DBCN_MAX 256 /* a call may write less than was asked for */

static struct sbiret dbcn_write(struct vcpu *v, u64 len, u64 gpa)
{
	u64 n = min(min(len, (u64)DBCN_MAX), PAGE_SIZE - (gpa & ~PAGE_MASK));
	char buf[DBCN_MAX];
	struct page *pg;

	if (!n)
		return result(SBI_SUCCESS, 0);
	pg = p2m_get_page(v->domain, gpa >> PAGE_SHIFT, NULL);
	if (!pg)
		return result(SBI_ERR_INVALID_PARAM, 0);
	memcpy(buf, (char *)page_to_virt(pg) + (gpa & ~PAGE_MASK), n);
	page_put(pg);
	console_guest_write(v->domain, buf, n);
	return result(SBI_SUCCESS, n);
}

static struct sbiret dbcn_read(struct vcpu *v, u64 len, u64 gpa)
{
	u64 n = min(min(len, (u64)DBCN_MAX), PAGE_SIZE - (gpa & ~PAGE_MASK));
	unsigned int access;
	struct page *pg;

	if (!v->domain->is_privileged || !n)
		return result(SBI_SUCCESS, 0);
	pg = p2m_get_page(v->domain, gpa >> PAGE_SHIFT, &access);
	if (!pg)
		return result(SBI_ERR_INVALID_PARAM, 0);
	n = access & P2M_W ? console_guest_read((char *)page_to_virt(pg) + (gpa & ~PAGE_MASK), n) :
			     0;
	page_put(pg);
	return result(SBI_SUCCESS, n);
}

static struct sbiret vsbi_dbcn(struct vcpu *v, u64 fid, const struct cpu_regs *r)
{
	char c = r->a0;

	switch (fid) {
	case 0:
		return r->a2 ? result(SBI_ERR_INVALID_PARAM, 0) : dbcn_write(v, r->a0, r->a1);
	case 1:
		return r->a2 ? result(SBI_ERR_INVALID_PARAM, 0) : dbcn_read(v, r->a0, r->a1);
	case 2:
		console_guest_write(v->domain, &c, 1);
		return result(SBI_SUCCESS, 0);
	default:
		return result(SBI_ERR_NOT_SUPPORTED, 0);
	}
}

/* ---- BASE and dispatch ---- */

static const struct {
	u32 eid;
	handler fn;
} extensions[] = {
	{ EXT_RFENCE, vsbi_rfence }, { EXT_IPI, vsbi_ipi }, { EXT_TIME, vsbi_time },
	{ EXT_BASE, vsbi_base },     { EXT_HSM, vsbi_hsm }, { EXT_SRST, vsbi_srst },
	{ EXT_DBCN, vsbi_dbcn },
};

static handler find(u64 eid)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (extensions[i].eid == eid)
			return extensions[i].fn;
	}
	return NULL;
}

static struct sbiret vsbi_base(struct vcpu *v, u64 fid, const struct cpu_regs *r)
{
	(void)v;
	switch (fid) {
	case 0:
		return result(SBI_SUCCESS, SBI_SPEC_VERSION);
	case 1:
		return result(SBI_SUCCESS, IMPL_ID);
	case 2:
		return result(SBI_SUCCESS, IMPL_VERSION);
	case 3:
		return result(SBI_SUCCESS, find(r->a0) != NULL);
	case 4: /* mvendorid, marchid, mimpid: the machine's are not the guest's business */
	case 5:
	case 6:
		return result(SBI_SUCCESS, 0);
	default:
		return result(SBI_ERR_NOT_SUPPORTED, 0);
	}
}

void vsbi_call(struct vcpu *v)
{
	struct cpu_regs *r = &v->arch->regs;
	handler fn = find(r->a7);
	struct sbiret ret = fn ? fn(v, r->a6, r) : result(SBI_ERR_NOT_SUPPORTED, 0);

	r->a0 = ret.error;
	r->a1 = ret.value;
}
