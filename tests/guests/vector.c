/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Vectors: every vCPU has registers of its own that begin as reset leaves them and that no switch changes, whatever the guest
 * does to sstatus.VS meanwhile. Its argument is the bytes of a register; without one the guest has no vectors, and may not come
 * to any. test_vector.py runs two at a time on one hart, while dom0's program does the same.
 *
 * guest: vcpus=2
 * harts: 1
 * timeout: 120
 */
#include <stdlib.h>

#include <pv/runtime.h>

#include "lib/vectors.h"
#include "tap.h"

#define SSTATUS_VS 0x600UL
#define SSTATUS_VS_INITIAL 0x200UL
#define SSTATUS_VS_CLEAN 0x400UL

#define ROUNDS 400

static struct vectors want[2], got[2];
static uint32_t own; /* not another guest's */
static volatile bool wrong; /* on either vCPU: the others need not go on */
static const char *volatile what[2];
static volatile unsigned int rounds_done[2];

static void set_vs(unsigned long vs)
{
	csr_clear(sstatus, SSTATUS_VS);
	csr_set(sstatus, vs);
}

static void read_vlenb(void *to)
{
	*(unsigned long *)to = vector_length();
}

static void use_a_register(void *arg)
{
	(void)arg;
	__asm__ volatile(
		".option push\n.option arch, +v\nvsetivli zero, 1, e8, m1, ta, ma\n.option pop");
}

static void write_vcsr(void *arg)
{
	(void)arg;
	__asm__ volatile("csrw 0xf, %0" : : "r"(7UL));
}

/* All raise the guest's own exception. */
static void nothing_works(const char *when)
{
	static void (*const use[])(void *) = { read_vlenb, use_a_register, write_vcsr };
	unsigned long vlenb;
	struct pv_trap trap;

	for (unsigned int i = 0; i < sizeof(use) / sizeof(use[0]); i++) {
		bool trapped = pv_try(use[i], &vlenb, &trap);

		tap_ok(trapped && trap.cause == 2, "%s: illegal instruction (%u)", when, i);
	}
}

static const char *as_reset(struct vectors *v)
{
	static const struct vectors zero = { .vtype = VILL };

	vectors_get(v);
	return vectors_differ(&zero, v);
}

/* Gives the hart away, or lets it be taken. */
static void be_switched(unsigned int round)
{
	uint64_t until;

	switch (round % 4) {
	case 0:
	case 1:
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
		break;
	case 2:
		pv_sleep_ns(100000);
		break;
	default:
		for (until = pv_time_ns() + 1000000; pv_time_ns() < until;)
			pv_relax();
	}
}

/* vsstatus.VS is the guest's, and says nothing of what the registers hold. */
static void toggled(unsigned int round)
{
	static const unsigned long values[] = { 0, SSTATUS_VS_INITIAL, SSTATUS_VS_CLEAN,
						SSTATUS_VS };

	set_vs(values[round / 4 % 4]);
	be_switched(round);
	set_vs(SSTATUS_VS);
}

/* Only a CSR changes: vcsr, or vstart, under a VS that is clean before and after. */
static void change_quietly(struct vectors *v, unsigned int round)
{
	set_vs(SSTATUS_VS_CLEAN);
	if (round & 1)
		__asm__ volatile("csrw 0xf, %0" : : "r"(v->vcsr ^= 5));
	else
		__asm__ volatile("csrw 0x8, %0" : : "r"(v->vstart ^= 3));
	set_vs(SSTATUS_VS_CLEAN);
}

static void keep(void *arg)
{
	unsigned int n = pv_vcpu_id();
	const char *differs = "";

	(void)arg;
	set_vs(SSTATUS_VS_INITIAL);
	differs = as_reset(&got[n]);
	what[n] = *differs ? "at first" : "";
	for (unsigned int round = 0; !*differs && !wrong && round < ROUNDS; round++) {
		vectors_make(&want[n], own << 1 | n, round);
		vectors_set(&want[n]);
		toggled(round);
		vectors_get(&got[n]);
		differs = vectors_differ(&want[n], &got[n]);
		if (!*differs) {
			change_quietly(&want[n], round);
			be_switched(round + 1);
			vectors_get(&got[n]);
			differs = vectors_differ(&want[n], &got[n]);
		}
		what[n] = differs;
		rounds_done[n] = round + 1;
	}
	if (*differs)
		wrong = true;
}

static void first_use(void *arg)
{
	unsigned int n = pv_vcpu_id();

	(void)arg;
	set_vs(SSTATUS_VS_INITIAL);
	what[n] = as_reset(&got[n]);
}

int main(int argc, char **argv)
{
	unsigned long expected = argc > 1 ? strtoul(argv[1], NULL, 0) : 0, vlenb;
	struct pv_trap trap;

	own = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	nothing_works("sstatus.VS is Off");
	set_vs(SSTATUS_VS);
	if (!expected) {
		nothing_works("sstatus.VS has been written, and there are no vectors");
		return tap_done();
	}
	tap_ok(!pv_try(read_vlenb, &vlenb, &trap), "sstatus.VS is Dirty: vlenb can be read");
	tap_is(vlenb, expected, "vlenb");
	if (vlenb != expected)
		return tap_done();
	tap_is(pv_vcpu_start(1, keep, NULL), 0, "vCPU 1 starts");
	keep(NULL);
	pv_vcpu_join(1);
	for (int n = 0; n < 2; n++)
		tap_ok(!*what[n] && rounds_done[n] == ROUNDS, "vCPU %d: %u rounds of %u %s", n,
		       rounds_done[n], ROUNDS, what[n]);
	tap_is(pv_vcpu_start(1, first_use, NULL), 0, "vCPU 1 starts again");
	pv_vcpu_join(1);
	tap_ok(!*what[1], "and has reset's registers, not what it left: %s", what[1]);
	set_vs(0);
	nothing_works("sstatus.VS is Off again");
	set_vs(SSTATUS_VS_INITIAL);
	vectors_get(&got[0]);
	tap_ok(!memcmp(got[0].regs, want[0].regs, 32 * vlenb), "which took nothing away");
	return tap_done();
}
