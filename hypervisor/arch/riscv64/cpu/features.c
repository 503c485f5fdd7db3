/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which extensions this machine has: probed by use, not believed from the FDT.
 */
#include <arch.h>
#include <console.h>
#include <lib.h>

struct cpu_features cpu;

/* Can the field be set? What it was is put back. */
static bool henvcfg_field(u64 field)
{
	u64 old = csr_read(CSR_HENVCFG);
	bool ok;

	csr_write(CSR_HENVCFG, old | field);
	ok = (csr_read(CSR_HENVCFG) & field) == field;
	csr_write(CSR_HENVCFG, old);
	return ok;
}

void features_probe(void)
{
	u64 v;

	cpu.h = csr_probe(CSR_HSTATUS, &v);
	cpu.sstc = csr_probe(CSR_STIMECMP, &v);
	if (!cpu.h)
		return;
	cpu.envcfg = csr_probe(CSR_SENVCFG, &v);
	if (csr_probe(CSR_HENVCFG, &v)) {
		cpu.svpbmt = henvcfg_field(HENVCFG_PBMTE);
		cpu.zicbom = henvcfg_field(HENVCFG_CBCFE);
		cpu.zicboz = henvcfg_field(HENVCFG_CBZE);
		cpu.sstc = cpu.sstc && henvcfg_field(HENVCFG_STCE);
	} else {
		cpu.sstc = false;
	}
	csr_write(CSR_HGATP, SATP_MODE_SV39 << SATP_MODE_SHIFT | 0x3fffUL << 44);
	cpu.vmid_bits = fls64(csr_read(CSR_HGATP) >> 44 & 0x3fff);
	csr_write(CSR_HGATP, 0);
	printk("features: H%s%s%s%s, %u VMID bits\n", cpu.sstc ? " Sstc" : "",
	       cpu.svpbmt ? " Svpbmt" : "", cpu.zicbom ? " Zicbom" : "",
	       cpu.zicboz ? " Zicboz" : "", cpu.vmid_bits);
}
