// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine/state.c: a vCPU's registers to a record and back, what no record may say, and what a hart must not take for its own
 * afterwards.
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
	v.arch = a;
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
		cmocka_unit_test_setup_teardown(whose_timer, up, down),
	};

	cmocka_set_test_filter(getenv("CASE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
