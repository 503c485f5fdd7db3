/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fcsr that was written, with no register of floating point: it is the vCPU's own all the same, also where the guest says that
 * its state is clean (sstatus.FS). vector.c has the like of vector registers.
 *
 * guest: vcpus=2
 * harts: 1
 */
#include <pv/runtime.h>

#include "tap.h"

#define SSTATUS_FS 0x6000UL
#define SSTATUS_FS_CLEAN 0x4000UL
#define ROUNDS 100

static volatile unsigned int kept[2];
static volatile bool stop;

static void write_quietly(unsigned long value)
{
	csr_clear(sstatus, SSTATUS_FS);
	csr_set(sstatus, SSTATUS_FS_CLEAN);
	csr_write(fcsr, value);
	csr_clear(sstatus, SSTATUS_FS);
	csr_set(sstatus, SSTATUS_FS_CLEAN);
}

static void keep(void *arg)
{
	unsigned int n = pv_vcpu_id();

	(void)arg;
	for (unsigned int round = 0; round < ROUNDS && !stop; round++) {
		unsigned long own = n << 5 | (round & 31);

		write_quietly(own);
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
		if (csr_read(fcsr) != own)
			stop = true;
		else
			kept[n]++;
	}
}

int main(void)
{
	pv_vcpu_start(1, keep, NULL);
	keep(NULL);
	pv_vcpu_join(1);
	for (int n = 0; n < 2; n++)
		tap_is(kept[n], ROUNDS, "vCPU %d: rounds in which fcsr was kept", n);
	return tap_done();
}
