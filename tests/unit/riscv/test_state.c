// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine/state.c: a vCPU's registers to a record and back, what no record may say, and what a hart must not take for its own
 * afterwards; and as a vcpu_guest_context, which leaves alone what is not in it.
 */
#include <arch.h>
#include <lib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define VLENB 16

struct cpu_features state_cpu;
void state_vcpu_start(struct vcpu *v, u64 pc, u64 opaque);
void state_timer_arm(struct vcpu *v);
void state_save_vcpu(struct vcpu *v, struct hvm_riscv_vcpu *r);
int state_restore_vcpu(struct vcpu *v, const struct hvm_riscv_vcpu *r);
size_t state_save_vector(struct vcpu *v, struct hvm_riscv_vector *r);
int state_restore_vector(struct vcpu *v, const struct hvm_riscv_vector *r, size_t size);
void state_time_starts(struct vcpu *v);
int state_set_context(struct vcpu *v, const struct vcpu_guest_context *c);
void state_get_context(struct vcpu *v, struct vcpu_guest_context *c);
size_t state_vector_size(void);

static struct arch_vcpu *a;
static struct vcpu v;
static struct hart some_hart;
static unsigned int starts, armed;
static union {
	struct hvm_riscv_vector head;
	u8 bytes[sizeof(struct hvm_riscv_vector) + 32 * VLENB];
} vec, vec2;

/* As hext_start(): a new life with an event that is pending. */
void state_vcpu_start(struct vcpu *w, u64 pc, u64 opaque)
{
	assert_ptr_equal(w, &v);
	memset(a, 0, sizeof(*a) + 32 * VLENB);
	a->hstatus = HSTATUS_VSXL_64 | HSTATUS_VTW | HSTATUS_SPV | HSTATUS_SPVP;
	a->sstatus = SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_FS_INITIAL | SSTATUS_VS_INITIAL;
	a->pending = IP_VSSIP;
	a->regs.pc = pc;
	a->regs.a1 = opaque;
	a->scounteren = 7;
	a->vstimecmp = ~0ULL;
	starts++;
}

void state_timer_arm(struct vcpu *w)
{
	(void)w;
	armed++;
}

size_t state_vector_size(void)
{
	return 32UL * state_cpu.vlenb;
}

static int up(void **state)
{
	(void)state;
	state_cpu = (struct cpu_features){
		.sstc = true, .envcfg = true, .vlenb = VLENB, .satp_modes = BIT(0) | BIT(8) | BIT(9)
	};
	a = calloc(1, sizeof(*a) + 32 * VLENB);
	v = (struct vcpu){ .arch = a, .is_initialised = true };
	starts = armed = 0;
	/* A state of everything that is kept. */
	for (unsigned int i = 0; i < 32; i++) {
		((u64 *)&a->regs)[i] = 0x1000 + 2 * i;
		a->fp[i] = ~0UL << i;
	}
	a->fcsr = 0xe5;
	a->fp_hart = a->vector_hart = &some_hart;
	a->hstatus = HSTATUS_VSXL_64 | HSTATUS_VTW | HSTATUS_SPV;
	a->sstatus = SSTATUS_SPIE | SSTATUS_FS_DIRTY | SSTATUS_VS_DIRTY; /* user mode */
	a->vsstatus = SSTATUS_SD | 2UL << 32 | SSTATUS_FS | SSTATUS_VS | SSTATUS_SUM | SSTATUS_MXR |
		      SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE;
	a->vsie = IP_SSIP | IP_STIP | IP_SEIP;
	a->hvip = IP_VSSIP | IP_VSTIP;
	a->vstvec = 0xffffffff80001001;
	a->vsscratch = 11;
	a->vsepc = 0x2002;
	a->vscause = 1UL << 63 | 5;
	a->vstval = ~7UL;
	a->vsatp = 9UL << 60 | 0xabcUL << 44 | 0x80123;
	a->scounteren = 5;
	a->senvcfg = 0xd1;
	a->vstimecmp = 1234567;
	a->vector = (struct vector_state){ 3, 5, 7, 0xd1 };
	for (unsigned int i = 0; i < 32 * VLENB; i++)
		a->vector.regs[i] = i * 3;
	return 0;
}

static int down(void **state)
{
	(void)state;
	free(a);
	return 0;
}

static void there_and_back(void **state)
{
	struct hvm_riscv_vcpu r = { 0 }, r2 = { 0 };

	state_save_vcpu(&v, &r);
	assert_int_equal(state_save_vector(&v, &vec.head), sizeof(vec));
	assert_int_equal(r.flags, HVM_VCPU_USER);
	assert_int_equal(r.sip, IP_SSIP); /* the timer's is no state of its own */
	memset(a, 0x5a, sizeof(*a) + 32 * VLENB);
	assert_int_equal(state_restore_vcpu(&v, &r), 0);
	assert_int_equal(starts, 1);
	assert_int_equal(state_restore_vector(&v, &vec.head, sizeof(vec)), 0);
	/* No hart has them, and they are to be loaded all the same. */
	assert_null(a->fp_hart);
	assert_null(a->vector_hart);
	assert_int_equal(a->sstatus & SSTATUS_FS, SSTATUS_FS_CLEAN);
	assert_int_equal(a->sstatus & SSTATUS_VS, SSTATUS_VS_CLEAN);
	/* User mode, and nothing else of what is the hypervisor's */
	assert_int_equal(a->sstatus & ~(SSTATUS_FS | SSTATUS_VS), SSTATUS_SPIE);
	assert_int_equal(a->hstatus, HSTATUS_VSXL_64 | HSTATUS_VTW | HSTATUS_SPV);
	assert_int_equal(a->vsstatus >> 32, 2);
	assert_int_equal(a->pending, IP_VSSIP);
	state_save_vcpu(&v, &r2);
	assert_memory_equal(&r, &r2, sizeof(r));
	state_save_vector(&v, &vec2.head);
	assert_memory_equal(&vec, &vec2, sizeof(vec));
	/* Supervisor mode */
	r.flags = 0;
	assert_int_equal(state_restore_vcpu(&v, &r), 0);
	assert_true(a->sstatus & SSTATUS_SPP && a->hstatus & HSTATUS_SPVP);
	/* hvip comes from nowhere but SSIP */
	assert_int_equal(a->hvip, IP_VSSIP);
}

#define BAD(what, rc) \
	do { \
		struct hvm_riscv_vcpu r = good; \
		r.what; \
		assert_int_equal(state_restore_vcpu(&v, &r), rc); \
		assert_int_equal(starts, 0); \
	} while (0)

static void no_hardware_has_that(void **state)
{
	struct hvm_riscv_vcpu good = { 0 };

	state_save_vcpu(&v, &good);
	BAD(regs.pc |= 1, -EINVAL);
	BAD(sepc |= 1, -EINVAL);
	BAD(stvec |= 2, -EINVAL);
	BAD(fcsr = 0x100, -EINVAL);
	for (unsigned int i = 0; i < 64; i++) {
		if (!(BIT(i) & (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP | SSTATUS_VS | SSTATUS_FS |
				SSTATUS_SUM | SSTATUS_MXR)))
			BAD(sstatus |= BIT(i), -EINVAL);
		if (!(BIT(i) & (IP_SSIP | IP_STIP | IP_SEIP)))
			BAD(sie |= BIT(i), -EINVAL);
		if (i != 1)
			BAD(sip |= BIT(i), -EINVAL);
		if (i >= 32)
			BAD(scounteren |= BIT(i), -EINVAL);
		if (!(BIT(i) & 0xf1))
			BAD(senvcfg |= BIT(i), -EINVAL);
	}
	BAD(senvcfg = 0x20, -EINVAL); /* CBIE: reserved */
	for (u64 mode = 1; mode < 16; mode++) {
		if (mode != 8 && mode != 9)
			BAD(satp = mode << 60, mode == 10 ? -EOPNOTSUPP : -EINVAL);
	}
	state_cpu.vlenb = 0;
	BAD(flags = 0, -EOPNOTSUPP);
	state_cpu.vlenb = VLENB;
	state_cpu.envcfg = false;
	BAD(flags = 0, -EOPNOTSUPP);
}

#define BAD_VECTOR(what, rc) \
	do { \
		vec2 = vec; \
		vec2.head.what; \
		assert_int_equal(state_restore_vector(&v, &vec2.head, sizeof(vec2)), rc); \
		assert_memory_equal(&was, &a->vector, sizeof(was)); \
	} while (0)

static void no_vectors_are_that(void **state)
{
	struct vector_state was = a->vector;

	state_save_vector(&v, &vec.head);
	BAD_VECTOR(vlenb = 0, -EINVAL);
	BAD_VECTOR(vlenb = 32, -EINVAL); /* the record is too short */
	BAD_VECTOR(vlenb = 1UL << 60, -EINVAL);
	BAD_VECTOR(vcsr = 8, -EINVAL);
	BAD_VECTOR(vstart = 8 * VLENB, -EINVAL);
	BAD_VECTOR(vl = 8 * VLENB + 1, -EINVAL);
	BAD_VECTOR(vtype = 0x100, -EINVAL);
	BAD_VECTOR(vtype = VTYPE_VILL | 1, -EINVAL);
	assert_int_equal(state_restore_vector(&v, &vec.head, sizeof(vec) - 8), -EINVAL);
	state_cpu.vlenb = 32;
	assert_int_equal(state_restore_vector(&v, &vec.head, sizeof(vec)), -EOPNOTSUPP);
	state_cpu.vlenb = 0;
	assert_int_equal(state_save_vector(&v, &vec.head), 0);
}

/* ---- vcpu_guest_context ---- */

static size_t all(void)
{
	return sizeof(*a) + 32 * VLENB;
}

/* Whatever it was in: what was got and is set changes nothing but what was changed. */
static void only_what_is_changed(void **state)
{
	struct vcpu_guest_context c;
	struct arch_vcpu *was = malloc(all());

	for (unsigned int n = 0; n < 64; n++) {
		down(state);
		up(state);
		state_cpu.sstc = n & 1;
		if (n & 2) {
			a->sstatus |= SSTATUS_SPP;
			a->hstatus |= HSTATUS_SPVP;
		}
		a->scounteren = n & 4 ? 0 : 5;
		a->vstimecmp = n & 8 ? 0 : ~0ULL >> (n & 1);
		a->hvip = n & 16 ? IP_VSSIP | IP_VSTIP : 0;
		a->pending = n & 32 ? IP_VSSIP | IP_VSTIP : 0;
		v.pause_flags = n & 4 ? BIT(VPF_DOWN) : 0;
		memcpy(was, a, all());
		state_get_context(&v, &c);
		assert_int_equal(!!(c.flags & VGCF_online), !(n & 4));
		c.user_regs.a0 ^= 1;
		assert_int_equal(state_set_context(&v, &c), 0);
		was->regs.a0 ^= 1;
		/* An event that waits to be raised may be raised as well. */
		was->hvip |= was->pending & IP_VSSIP;
		was->vmid.hart = NULL;
		assert_memory_equal(a, was, all());
	}
	assert_int_equal(starts, 0);
	assert_int_equal(armed, 0);
	free(was);
}

static void each_register_arrives(void **state)
{
	struct vcpu_guest_context c, got;
	struct vmid_hart hart;

	state_get_context(&v, &c);
	/* All but the flags; then what has its own mind is as it must be. */
	for (size_t i = offsetof(struct vcpu_guest_context, user_regs); i < sizeof(c); i++)
		((u8 *)&c)[i] ^= 0x5a;
	c.satp = 8UL << SATP_MODE_SHIFT | 77;
	c.flags |= VGCF_in_kernel;
	c.sip = IP_SSIP | IP_STIP | IP_SEIP;
	a->hvip = a->pending = 0;
	a->vmid.hart = &hart;
	assert_int_equal(state_set_context(&v, &c), 0);
	assert_true(a->sstatus & SSTATUS_SPP && a->hstatus & HSTATUS_SPVP);
	assert_int_equal(a->hvip, IP_VSSIP);
	assert_null(a->vmid.hart);
	state_get_context(&v, &got);
	c.sstatus = (c.sstatus & ~(3UL << 32)) | 2UL << 32;
	c.sip = IP_SSIP;
	assert_memory_equal(&c, &got, sizeof(c));
	c.flags = VGCF_online;
	c.sip = 0;
	assert_int_equal(state_set_context(&v, &c), 0);
	assert_false(a->sstatus & SSTATUS_SPP || a->hstatus & HSTATUS_SPVP);
	assert_int_equal(a->hvip, IP_VSSIP); /* never taken away */
	c.satp = 10UL << SATP_MODE_SHIFT;
	c.user_regs.a0 = 12345;
	assert_int_equal(state_set_context(&v, &c), -EINVAL);
	assert_int_not_equal(a->regs.a0, 12345);
}

/* Its first one: in supervisor mode, with the usual for 0, and nothing of before. */
static void the_first_one(void **state)
{
	struct vcpu_guest_context c = { .user_regs = { .pc = 0x80200000, .a1 = 55 },
					.sip = IP_SSIP | IP_STIP,
					.sstatus = 3UL << 32 | SSTATUS_FS };

	v.is_initialised = false;
	assert_int_equal(state_set_context(&v, &c), 0);
	assert_int_equal(starts, 1);
	assert_int_equal(a->regs.pc, 0x80200000);
	assert_int_equal(a->regs.a1, 55);
	assert_true(a->sstatus & SSTATUS_SPP && a->hstatus & HSTATUS_SPVP);
	assert_int_equal(a->vsstatus, 2UL << 32 | SSTATUS_FS);
	assert_int_equal(a->hvip, IP_VSSIP);
	assert_int_equal(a->scounteren, 7);
	assert_int_equal(a->vstimecmp, ~0ULL);
	assert_int_equal(a->fp[3], 0);
	c.scounteren = 2;
	c.stimecmp = 99;
	assert_int_equal(state_set_context(&v, &c), 0);
	assert_int_equal(a->scounteren, 2);
	assert_int_equal(a->vstimecmp, 99);
}

/* Another time: what the old one had raised is gone, and without Sstc the hypervisor's timer is set. */
static void another_time(void **state)
{
	struct vcpu_guest_context c;

	for (unsigned int sstc = 0; sstc < 2; sstc++) {
		state_cpu.sstc = sstc;
		armed = 0;
		a->vstimecmp = 1000;
		a->hvip = a->pending = IP_VSSIP | IP_VSTIP;
		state_get_context(&v, &c);
		c.stimecmp = 2000;
		assert_int_equal(state_set_context(&v, &c), 0);
		assert_int_equal(a->vstimecmp, 2000);
		assert_int_equal(armed, !sstc);
		assert_int_equal(a->hvip & IP_VSTIP, sstc ? IP_VSTIP : 0);
		assert_int_equal(a->pending & IP_VSTIP, sstc ? IP_VSTIP : 0);
		assert_true(a->pending & IP_VSSIP);
		c.stimecmp = ~0ULL;
		assert_int_equal(state_set_context(&v, &c), 0);
		assert_int_equal(armed, !sstc);
	}
}

/* Without Sstc the timer is the hypervisor's, and begins when time does. */
static void whose_timer(void **state)
{
	state_time_starts(&v);
	assert_int_equal(armed, 0);
	state_cpu.sstc = false;
	state_time_starts(&v);
	assert_int_equal(armed, 1);
	a->vstimecmp = ~0ULL;
	state_time_starts(&v);
	assert_int_equal(armed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_back, up, down),
		cmocka_unit_test_setup_teardown(no_hardware_has_that, up, down),
		cmocka_unit_test_setup_teardown(no_vectors_are_that, up, down),
		cmocka_unit_test_setup_teardown(only_what_is_changed, up, down),
		cmocka_unit_test_setup_teardown(each_register_arrives, up, down),
		cmocka_unit_test_setup_teardown(the_first_one, up, down),
		cmocka_unit_test_setup_teardown(another_time, up, down),
		cmocka_unit_test_setup_teardown(whose_timer, up, down),
	};

	cmocka_set_test_filter(getenv("CASE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
