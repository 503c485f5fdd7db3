/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers that open and close parts of the CPU to a guest, as the table in guest-cpu.h says, on each hart. Each is read
 * back: what the table closes and the hart leaves open ends the boot.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>

/* The registers that the table speaks of, and when a hart has them. */
#define GATE_REGISTERS(X) \
	X(HSTATEEN0, cpu.stateen[0]) \
	X(HSTATEEN1, cpu.stateen[1]) \
	X(HSTATEEN2, cpu.stateen[2]) \
	X(HSTATEEN3, cpu.stateen[3]) \
	X(HCOUNTEREN, true) \
	X(HENVCFG, cpu.henvcfg) \
	X(HEDELEG, true) \
	X(HIDELEG, true) \
	X(HIE, true) \
	X(HTIMEDELTA, true)

enum gate {
#define X(reg, condition) GATE_##reg,
	GATE_REGISTERS(X)
#undef X
};

static u64 gate_value(enum gate gate, const struct domain *d)
{
	u64 v = 0;

#define X(reg, field, value, what) \
	if (gate == GATE_##reg) \
		v |= (value) & (field);
	GATES(X)
#undef X
	return v;
}

u64 guest_cpu_henvcfg(const struct domain *d)
{
	return gate_value(GATE_HENVCFG, d);
}

/* A register after it was written. Bits that were asked for and do not hold are missing features of the hart. */
static void check(const char *name, u64 want, u64 got)
{
	if (got & ~want)
		panic("hart %lu leaves open to guests what %s closes (%lx of %lx): firmware or CPU do not keep to the specification",
		      this_hart()->hartid, name, got & ~want, got);
	if (want & ~got)
		pr_debug("hart %lu: %s has no %lx\n", this_hart()->hartid, name, want & ~got);
}

void guest_cpu_hart_init(void)
{
	const struct domain *d = current()->domain;

#define X(reg, condition) \
	if (condition) { \
		csr_write(CSR_##reg, gate_value(GATE_##reg, d)); \
		check(#reg, gate_value(GATE_##reg, d), csr_read(CSR_##reg)); \
	}
	GATE_REGISTERS(X)
#undef X
}

/* For hext_load(): wipes what no register closes on this machine. */
void guest_cpu_wipe(void)
{
#define X(number, name) \
	if (cpu.wiped.name) \
		csr_write(number, 0);
	WIPED_CSRS(X)
#undef X
	/* SCTRCLR: the recorded branches */
	if (cpu.wiped.vsctrctl)
		__asm__ volatile(".word 0x10400073" : : : "memory");
}
