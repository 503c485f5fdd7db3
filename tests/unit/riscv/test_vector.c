// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine/vector.c: whose vector registers a hart has, when they are saved and loaded, and that no vCPU ever sees what is not its
 * own. The hart's registers and the moves (cpu/vector.S) are this file's; the rules are from "V" 1.0, chapter 3, and from the H
 * extension. Registers that are moved for real: tests/guests/vector.c.
 */
#include <arch.h>
#include <lib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "vector_hart.h"

#define VLENB 16
#define NR_HARTS 2
#define NR_VCPUS 4
#define STATE (sizeof(struct vector_state) + 32 * VLENB)

struct cpu_features cpu;
void vector_regs_save(struct arch_vcpu *a);
void vector_regs_load(const struct arch_vcpu *a);
void vector_regs_reset(void);

/* What a hart has, and who is on it: NULL: nobody. */
static struct {
	struct hart hart;
	u64 sstatus;
	union {
		struct vector_state v;
		u8 bytes[STATE];
	};
	struct arch_vcpu *current;
} hw[NR_HARTS];
static unsigned int here; /* the hart that runs the code */

static struct arch_vcpu *vcpu[NR_VCPUS];
/* What each vCPU's registers must be when it looks */
static union {
	struct vector_state v;
	u8 bytes[STATE];
} model[NR_VCPUS];
static unsigned int saves, loads, resets;

struct hart *vector_hart(void)
{
	return &hw[here].hart;
}

/* With VS Off they would trap. */
static void must_be_on(void)
{
	assert_true(hw[here].sstatus & SSTATUS_VS);
}

unsigned long *vector_csr(unsigned int number)
{
	switch (number) {
	case CSR_SSTATUS:
		return &hw[here].sstatus;
	case CSR_VCSR:
		must_be_on();
		return (unsigned long *)&hw[here].v.vcsr;
	case CSR_VSTART:
		must_be_on();
		return (unsigned long *)&hw[here].v.vstart;
	}
	fail_msg("CSR %x", number);
	return NULL;
}

void vector_regs_save(struct arch_vcpu *a)
{
	must_be_on();
	memcpy(&a->vector, hw[here].bytes, STATE);
	saves++;
}

void vector_regs_load(const struct arch_vcpu *a)
{
	must_be_on();
	memcpy(hw[here].bytes, &a->vector, STATE);
	hw[here].sstatus |= SSTATUS_VS_DIRTY;
	loads++;
}

void vector_regs_reset(void)
{
	must_be_on();
	memset(hw[here].bytes, 0, STATE);
	hw[here].v.vtype = VTYPE_VILL;
	hw[here].sstatus |= SSTATUS_VS_DIRTY;
	resets++;
}

/* ---- what hext.c, engine.c and a guest do ---- */

static void expect_reset(unsigned int n)
{
	memset(&model[n], 0, sizeof(model[n]));
	model[n].v.vtype = VTYPE_VILL;
}

/* A vCPU that was never used, at whatever address. */
static void create(unsigned int n)
{
	vcpu[n] = calloc(1, sizeof(*vcpu[n]) + vector_size());
	vector_reset(vcpu[n]);
	expect_reset(n);
}

static void start_world(unsigned int vlenb)
{
	cpu.vlenb = vlenb;
	memset(hw, 0, sizeof(hw));
	for (here = 0; here < NR_HARTS; here++)
		memset(hw[here].bytes, 0xaa, STATE);
	here = 0;
	for (unsigned int n = 0; n < NR_VCPUS; n++)
		create(n);
	saves = loads = resets = 0;
}

static void end_world(void)
{
	for (unsigned int n = 0; n < NR_VCPUS; n++)
		free(vcpu[n]);
}

static void leave(void)
{
	struct arch_vcpu *a = hw[here].current;

	if (!a)
		return;
	a->sstatus = csr_read(CSR_SSTATUS) & ~SSTATUS_SD;
	if ((a->sstatus & SSTATUS_VS) == SSTATUS_VS_DIRTY)
		a->sstatus |= SSTATUS_SD;
	if (vector_unsaved(a, a->sstatus))
		vector_save(a);
	hw[here].current = NULL;
}

static bool runs(unsigned int n)
{
	for (unsigned int i = 0; i < NR_HARTS; i++)
		if (hw[i].current == vcpu[n])
			return true;
	return false;
}

static void check(unsigned int n)
{
	assert_memory_equal(hw[here].bytes, model[n].bytes, STATE);
}

static void enter(unsigned int n)
{
	struct arch_vcpu *a = vcpu[n];

	leave();
	assert_false(runs(n));
	hw[here].current = a;
	if (!vector_held(a))
		vector_load(a);
	csr_write(CSR_SSTATUS, a->sstatus);
	if (cpu.vlenb)
		check(n);
}

static unsigned int current_number(void)
{
	for (unsigned int n = 0; n < NR_VCPUS; n++)
		if (hw[here].current == vcpu[n])
			return n;
	return NR_VCPUS;
}

/* The guest changes registers, or one CSR with or without the hart's noticing. */
static void use(u64 x)
{
	unsigned int n = current_number();

	hw[here].bytes[sizeof(struct vector_state) + x % (32 * VLENB)] = x >> 16;
	hw[here].v.vl = x & 3;
	hw[here].v.vtype = x >> 8 & 0xff;
	hw[here].sstatus |= SSTATUS_VS_DIRTY;
	memcpy(&model[n], hw[here].bytes, STATE);
}

static void use_quietly(u64 x)
{
	unsigned int n = current_number();

	if (x & 1)
		hw[here].v.vcsr = x >> 1 & 7;
	else
		hw[here].v.vstart = x >> 1 & 7;
	memcpy(&model[n], hw[here].bytes, STATE);
}

/* A load that faults in its midst: registers change, and nothing says so once the guest has made vstart 0. */
static void use_unmarked(unsigned int at)
{
	hw[here].bytes[sizeof(struct vector_state) + at] = 0x5a;
	memcpy(&model[current_number()], hw[here].bytes, STATE);
}

/* ---- cases ---- */

static void first_use_is_as_after_reset(void **state)
{
	start_world(VLENB);
	assert_int_equal(vcpu[0]->sstatus & SSTATUS_VS, SSTATUS_VS_INITIAL);
	enter(0);
	use(~0UL);
	enter(1); /* checks */
	enter(0);
	end_world();
}

static void who_uses_none_moves_none(void **state)
{
	start_world(VLENB);
	for (unsigned int i = 0; i < 100; i++)
		enter(i & 1);
	leave();
	assert_int_equal(saves + loads, 0);
	/* Nor is anything reset for the only one on a hart */
	here = 1;
	resets = 0;
	for (unsigned int i = 0; i < 100; i++) {
		enter(0);
		leave();
	}
	assert_int_equal(saves + loads, 0);
	assert_int_equal(resets, 1);
	end_world();
}

static void what_a_load_left_is_nobody_elses(void **state)
{
	start_world(VLENB);
	enter(0);
	use_unmarked(3);
	leave();
	enter(0); /* it has it as long as nobody was there */
	enter(1); /* as new as the other: checks */
	leave();
	enter(2);
	use(1UL << 20);
	leave();
	enter(2); /* held, and clean */
	use_unmarked(5);
	enter(3);
	use_unmarked(7);
	/* One that is gone, and a new one at its address */
	leave();
	vector_reset(vcpu[3]);
	expect_reset(3);
	enter(3);
	end_world();
}

static void what_is_clean_is_not_saved_again(void **state)
{
	start_world(VLENB);
	enter(0);
	use(12345);
	leave();
	assert_int_equal(vcpu[0]->sstatus & SSTATUS_VS, SSTATUS_VS_CLEAN);
	assert_int_equal(saves, 1);
	/* The hart has it still: neither a move there nor back */
	enter(0);
	leave();
	assert_int_equal(saves, 1);
	assert_int_equal(loads, 0);
	enter(1);
	enter(2); /* reset's, too */
	enter(0);
	leave();
	assert_int_equal(saves, 1);
	assert_int_equal(loads, 1);
	/* Another hart keeps it as well */
	here = 1;
	enter(0);
	leave();
	enter(0);
	leave();
	assert_int_equal(loads, 2);
	end_world();
}

static void a_csr_alone_is_kept(void **state)
{
	for (u64 x = 2; x < 16; x++) {
		start_world(VLENB);
		enter(0);
		use_quietly(x);
		assert_int_not_equal(hw[0].sstatus & SSTATUS_VS, SSTATUS_VS_DIRTY);
		enter(1);
		enter(0);
		end_world();
	}
}

static void back_where_an_older_state_lies(void **state)
{
	start_world(VLENB);
	enter(0);
	use(1UL << 20);
	leave();
	here = 1;
	enter(0);
	use(2UL << 20);
	leave();
	here = 0;
	enter(0); /* hart 0 has the first state, and its owner's address */
	leave();
	/* A vCPU that starts again, on a hart that has what it left */
	vector_reset(vcpu[0]);
	expect_reset(0);
	enter(0);
	end_world();
}

static void another_one_at_the_same_address(void **state)
{
	struct arch_vcpu *old;

	start_world(VLENB);
	old = vcpu[0];
	enter(0);
	use(~0UL);
	leave();
	memset(old, 0, sizeof(*old)); /* freed, and allocated as xzalloc() does */
	vector_reset(old);
	expect_reset(0);
	here = 1;
	enter(0);
	use(7UL << 16);
	leave();
	here = 0;
	enter(0);
	end_world();
}

static void without_vectors_nothing_is_touched(void **state)
{
	start_world(0);
	assert_int_equal(vector_size(), 0);
	for (unsigned int i = 0; i < 10; i++) {
		enter(i & 1);
		assert_int_equal(hw[here].sstatus & SSTATUS_VS, 0);
	}
	leave();
	assert_int_equal(saves + loads + resets, 0);
	end_world();
}

/* Anything that may happen, in any order: enter() compares at each step. */
static void any_order(void **state)
{
	u64 x = 88172645463325252UL;
	unsigned int entered = 0, n;

	start_world(VLENB);
	for (unsigned int i = 0; i < 300000; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		here = x >> 3 & 1;
		n = x >> 4 & (NR_VCPUS - 1);
		switch (x & 7) {
		case 0:
		case 1:
			if (!runs(n)) {
				enter(n);
				entered++;
			}
			break;
		case 2:
			leave(); /* it idles */
			break;
		case 3:
		case 4:
			if (hw[here].current)
				use(x >> 8);
			break;
		case 5:
			if (hw[here].current)
				use_quietly(x >> 8);
			break;
		case 6:
			if (!runs(n) && !(x >> 8 & 7)) {
				vector_reset(vcpu[n]);
				expect_reset(n);
			}
			break;
		default:
			if (!runs(n) && !(x >> 8 & 7)) {
				free(vcpu[n]);
				create(n);
			}
		}
		if (hw[here].current)
			check(current_number());
	}
	assert_true(entered > 10000 && saves > 10000 && loads > 10000 && resets > 1000);
	assert_true(saves < entered && loads < entered);
	end_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_use_is_as_after_reset),
		cmocka_unit_test(who_uses_none_moves_none),
		cmocka_unit_test(what_a_load_left_is_nobody_elses),
		cmocka_unit_test(what_is_clean_is_not_saved_again),
		cmocka_unit_test(a_csr_alone_is_kept),
		cmocka_unit_test(back_where_an_older_state_lies),
		cmocka_unit_test(another_one_at_the_same_address),
		cmocka_unit_test(without_vectors_nothing_is_touched),
		cmocka_unit_test(any_order),
	};

	cmocka_set_test_filter(getenv("CASE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
