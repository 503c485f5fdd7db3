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

/* The modes that vsatp takes, as a mask: a write of another one may change nothing at all. */
static u32 satp_modes(void)
{
	u32 modes = BIT(0);

	for (u64 mode = SATP_MODE_SV39; mode <= SATP_MODE_SV57; mode++) {
		csr_write(CSR_VSATP, 0);
		csr_write(CSR_VSATP, mode << SATP_MODE_SHIFT);
		if (csr_read(CSR_VSATP) >> SATP_MODE_SHIFT == mode)
			modes |= BIT(mode);
	}
	csr_write(CSR_VSATP, 0);
	return modes;
}

/* State that only hstateen0 would close, on a hart without it. */
static void probe_wiped(struct cpu_features *f)
{
	u64 v;

	if (f->stateen[0])
		return;
#define X(number, name) f->wiped.name = csr_probe(number, &v);
	WIPED_CSRS(X)
#undef X
	f->wipe = memcmp(&f->wiped, &(typeof(f->wiped)){}, sizeof(f->wiped)) != 0;
}

/*
 * Bytes of a vector register; 0: there are none. (Drafts of the extension before 0.8 have VS elsewhere, and are none.) VS is Off
 * afterwards.
 */
static unsigned int vlenb(void)
{
	u64 v = 0;

	csr_set(CSR_SSTATUS, SSTATUS_VS);
	if (!(csr_read(CSR_SSTATUS) & SSTATUS_VS) || !csr_probe(CSR_VLENB, &v))
		v = 0;
	csr_clear(CSR_SSTATUS, SSTATUS_VS);
	return v <= ~0U ? v : ~0U;
}

/* This hart's. */
static void probe(struct cpu_features *f)
{
	u64 v;

	memset(f, 0, sizeof(*f));
	f->h = csr_probe(CSR_HSTATUS, &v);
	/*
	 * A CSR that is not there traps to M-mode, and OpenSBI 1.1 hands that on without clearing SPV, as hardware would: what
	 * a guest left there before the machine's reset would make the handler's sret enter it.
	 */
	if (f->h)
		csr_write(CSR_HSTATUS, 0);
	f->sstc = csr_probe(CSR_STIMECMP, &v);
	if (!f->h)
		return;
	f->envcfg = csr_probe(CSR_SENVCFG, &v);
	f->henvcfg = csr_probe(CSR_HENVCFG, &v);
	/* What firmware denies us of these it denies guests, too. */
	f->stateen[0] = csr_probe(CSR_HSTATEEN0, &v);
	f->stateen[1] = csr_probe(CSR_HSTATEEN1, &v);
	f->stateen[2] = csr_probe(CSR_HSTATEEN2, &v);
	f->stateen[3] = csr_probe(CSR_HSTATEEN3, &v);
	if (f->henvcfg) {
		f->svpbmt = henvcfg_field(HENVCFG_PBMTE);
		f->zicbom = henvcfg_field(HENVCFG_CBCFE);
		f->zicboz = henvcfg_field(HENVCFG_CBZE);
		f->sstc = f->sstc && henvcfg_field(HENVCFG_STCE);
	} else {
		f->sstc = false;
	}
	probe_wiped(f);
	f->vlenb = vlenb();
	csr_write(CSR_HGATP,
		  SATP_MODE_SV39 << SATP_MODE_SHIFT | HGATP_VMID_MASK << HGATP_VMID_SHIFT);
	f->sv39x4 = csr_read(CSR_HGATP) >> SATP_MODE_SHIFT == SATP_MODE_SV39;
	f->vmid_bits = fls64(csr_read(CSR_HGATP) >> HGATP_VMID_SHIFT & HGATP_VMID_MASK);
	csr_write(CSR_HGATP, 0);
	f->satp_modes = satp_modes();
}

/* What the boot hart's FDT node names and that of another hart in use does not is not for all. */
static bool common(bool probed, const char *name)
{
	return probed && (!isa_has(&boot.boot_isa, name) || isa_has(&boot.isa, name));
}

/*
 * Only what is V by name, on all harts: a part of it (zve*) looks no different here. V has 128 bits at least, and what is longer
 * than VLENB_MAX would take much memory for each vCPU.
 */
static unsigned int usable_vlenb(unsigned int vlenb)
{
	if (!vlenb || !isa_has(&boot.isa, "v"))
		return 0;
	if (vlenb >= 16 && vlenb <= VLENB_MAX && !(vlenb & (vlenb - 1)))
		return vlenb;
	pr_warn("guests have no vectors: registers of %u bytes are not supported, 16 to %u are\n",
		vlenb, VLENB_MAX);
	return 0;
}

/* Fewer if vmid-bits= says so; none where the trial shows that they do not work. What the log says of them goes to text. */
static unsigned int usable_vmid_bits(unsigned int width, char *text, size_t size)
{
	unsigned int bits = width;
	char value[16];

	if (cmdline_get("vmid-bits", value, sizeof(value)))
		bits = min(parse_size(value, NULL), (u64)width);
	if (!bits) {
		pv_snprintf(text, size, width ? "VMIDs off (vmid-bits=0)" : "no VMIDs");
	} else if (!vmid_trial()) {
		pv_snprintf(text, size, "VMIDs off: there are %u bits, and the trial failed",
			    width);
		bits = 0;
	} else if (bits < width) {
		pv_snprintf(text, size, "%u of %u VMID bits", bits, width);
	} else {
		pv_snprintf(text, size, "%u VMID bits", width);
	}
	return bits;
}

static u32 ad_of(const struct cpu_features *f)
{
	return ad_trial(f->henvcfg, f->satp_modes & BIT(SATP_MODE_SV39));
}

void features_probe(void)
{
	char vmids[64], ad[AD_TEXT];

	probe(&cpu);
	cpu.vlenb = usable_vlenb(cpu.vlenb);
	cpu.sstc = common(cpu.sstc, "sstc");
	cpu.svpbmt = common(cpu.svpbmt, "svpbmt");
	cpu.zicbom = common(cpu.zicbom, "zicbom");
	cpu.zicboz = common(cpu.zicboz, "zicboz");
	if (!cpu.h)
		return;
	if (cpu.vlenb)
		printk("vectors: %u bits\n", 8 * cpu.vlenb);
	cpu.vmid_bits = usable_vmid_bits(cpu.vmid_bits, vmids, sizeof(vmids));
	printk("features: H%s%s%s%s%s, %s\n", cpu.sstc ? " Sstc" : "", cpu.svpbmt ? " Svpbmt" : "",
	       cpu.zicbom ? " Zicbom" : "", cpu.zicboz ? " Zicboz" : "",
	       cpu.stateen[0] ? " Ssstateen" : "", vmids);
	if (!cpu.sv39x4) /* engine_init() has the last word */
		return;
	cpu.ad = ad_of(&cpu);
	ad_describe(cpu.ad, ad, sizeof(ad));
	printk("clear A or D in the second stage: %s\n", ad);
}

/* What more this hart does than the others is what guests may meet with. */
static void check_ad(const struct cpu_features *f)
{
	char text[AD_TEXT];
	u32 found = ad_of(f);

	if (!(found & ~READ_ONCE(cpu.ad)))
		return;
	ad_describe(found, text, sizeof(text));
	pr_warn("clear A or D in the second stage on hart %lu: %s\n", this_hart()->hartid, text);
	__atomic_fetch_or(&cpu.ad, found, __ATOMIC_RELAXED);
}

void features_check(void)
{
	struct cpu_features f;
	const char *lacks = NULL;

	probe(&f);
	/* dom0, the first that is told of them, comes later (smp_start()). */
	if (READ_ONCE(cpu.vlenb) && f.vlenb != cpu.vlenb) {
		pr_warn("guests have no vectors: hart %lu's registers have %u bytes, the boot hart's %u\n",
			this_hart()->hartid, f.vlenb, cpu.vlenb);
		WRITE_ONCE(cpu.vlenb, 0);
	}
	/* Nor does it matter to anybody but us: slower on all is better than not at all. */
	if (READ_ONCE(cpu.vmid_bits) && f.h && (f.vmid_bits < cpu.vmid_bits || !vmid_trial())) {
		pr_warn("VMIDs off: hart %lu has %u bits, or the trial failed there\n",
			this_hart()->hartid, f.vmid_bits);
		WRITE_ONCE(cpu.vmid_bits, 0);
	}
	if (!f.h)
		lacks = "H";
	else if (memcmp(f.stateen, cpu.stateen, sizeof(f.stateen)))
		lacks = "Ssstateen";
	else if (f.envcfg != cpu.envcfg || f.henvcfg != cpu.henvcfg)
		lacks = "senvcfg and henvcfg";
	else if (cpu.sstc && !f.sstc)
		lacks = "Sstc";
	else if (cpu.svpbmt && !f.svpbmt)
		lacks = "Svpbmt";
	else if ((cpu.zicbom && !f.zicbom) || (cpu.zicboz && !f.zicboz))
		lacks = "Zicbom and Zicboz";
	else if (!f.sv39x4 || cpu.satp_modes & ~f.satp_modes)
		lacks = "the page table formats";
	else if (memcmp(&cpu.wiped, &f.wiped, sizeof(f.wiped)))
		lacks = "what only Ssstateen could close";
	if (lacks)
		panic("hart %lu and the boot hart differ in %s, and the FDT does not say so. Set its CPU node's status "
		      "to \"disabled\"",
		      this_hart()->hartid, lacks);
	check_ad(&f);
}
