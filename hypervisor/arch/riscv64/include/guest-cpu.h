/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of all that a guest can reach of a CPU, and whose it is. isa_write() (what a guest is told), the context
 * switch (engine/hext.c) and the registers that open and close things to a guest (engine/guest_cpu.c) are made from it, and
 * guest_cpu_hart_init() holds each hart's registers against it. What is in no list here, no guest is told of or given.
 * docs/architecture.md, "What a guest reaches of the CPU", explains it.
 */
#ifndef PAVISE_GUEST_CPU_H
#define PAVISE_GUEST_CPU_H

/*
 * Extensions that guests are told of, in the order of the ISA string: they have no state, or state that is switched. X(name,
 * condition beside the machine's own ISA string). Not here, and why:
 *   h, sh*, sha: no nested guests. zv* of a hart without v: not switched (sstatus.VS is off). q: half of its registers is not switched.
 *   zk: stands for zkr among others, which needs a CSR of the machine's (seed); its parts are here.
 *   zihpm: counters 3 to 31 are closed. zcmt: cannot be together with c and d. zicfilp, zicfiss, ssnpm, supm, svadu, svade,
 *   ssdbltrp: henvcfg says no. smaia, ssaia, sscsrind, sscofpmf, ssctr, smstateen, ssstateen, sm*: the machine's.
 */
#define GUEST_EXTENSIONS(X) \
	X(i, true) \
	X(m, true) \
	X(a, true) \
	X(f, true) \
	X(d, true) \
	X(c, true) \
	X(b, true) \
	X(v, cpu.vlenb) \
	X(zic64b, true) \
	X(zicbom, cpu.zicbom) \
	X(zicbop, true) \
	X(zicboz, cpu.zicboz) \
	X(ziccamoa, true) \
	X(ziccif, true) \
	X(zicclsm, true) \
	X(ziccrse, true) \
	X(zicntr, true) \
	X(zicond, true) \
	X(zicsr, true) \
	X(zifencei, true) \
	X(zihintntl, true) \
	X(zihintpause, true) \
	X(zimop, true) \
	X(zmmul, true) \
	X(za64rs, true) \
	X(za128rs, true) \
	X(zaamo, true) \
	X(zabha, true) \
	X(zacas, true) \
	X(zalasr, true) \
	X(zalrsc, true) \
	X(zama16b, true) \
	X(zawrs, true) \
	X(zfa, true) \
	X(zfbfmin, true) \
	X(zfh, true) \
	X(zfhmin, true) \
	X(zca, true) \
	X(zcb, true) \
	X(zcd, true) \
	X(zcmop, true) \
	X(zba, true) \
	X(zbb, true) \
	X(zbc, true) \
	X(zbkb, true) \
	X(zbkc, true) \
	X(zbkx, true) \
	X(zbs, true) \
	X(zkn, true) \
	X(zknd, true) \
	X(zkne, true) \
	X(zknh, true) \
	X(zks, true) \
	X(zksed, true) \
	X(zksh, true) \
	X(zkt, true) \
	X(ztso, true) \
	X(zvbb, cpu.vlenb) \
	X(zvbc, cpu.vlenb) \
	X(zve32f, cpu.vlenb) \
	X(zve32x, cpu.vlenb) \
	X(zve64d, cpu.vlenb) \
	X(zve64f, cpu.vlenb) \
	X(zve64x, cpu.vlenb) \
	X(zvfbfmin, cpu.vlenb) \
	X(zvfbfwma, cpu.vlenb) \
	X(zvfh, cpu.vlenb) \
	X(zvfhmin, cpu.vlenb) \
	X(zvkb, cpu.vlenb) \
	X(zvkg, cpu.vlenb) \
	X(zvkn, cpu.vlenb) \
	X(zvknc, cpu.vlenb) \
	X(zvkned, cpu.vlenb) \
	X(zvkng, cpu.vlenb) \
	X(zvknha, cpu.vlenb) \
	X(zvknhb, cpu.vlenb) \
	X(zvks, cpu.vlenb) \
	X(zvksc, cpu.vlenb) \
	X(zvksed, cpu.vlenb) \
	X(zvksg, cpu.vlenb) \
	X(zvksh, cpu.vlenb) \
	X(zvkt, cpu.vlenb) \
	X(zvl32b, cpu.vlenb) \
	X(zvl64b, cpu.vlenb) \
	X(zvl128b, cpu.vlenb) \
	X(zvl256b, cpu.vlenb) \
	X(zvl512b, cpu.vlenb) \
	X(zvl1024b, cpu.vlenb) \
	X(zvl2048b, cpu.vlenb) \
	X(ssccptr, true) \
	X(sscounterenw, true) \
	X(sstc, cpu.sstc) \
	X(sstvala, true) \
	X(sstvecd, true) \
	X(ssu64xl, true) \
	X(svinval, true) \
	X(svnapot, true) \
	X(svpbmt, cpu.svpbmt) \
	X(svvptc, true) \
	X(xventanacondops, true)

/*
 * CSRs that are a vCPU's own: saved when it leaves a hart, written when it comes to one, in this order. X(field of struct
 * arch_vcpu, CSR, condition). Beside them the FP registers and fcsr (load_fp()), the vector registers and their CSRs
 * (engine/vector.c), and what hext_load() writes in an order of its own: vsatp, htimedelta, vstimecmp, hstatus and sstatus.
 */
#define SWITCHED_CSRS(X) \
	X(vsstatus, CSR_VSSTATUS, true) \
	X(vsie, CSR_VSIE, true) \
	X(vstvec, CSR_VSTVEC, true) \
	X(vsscratch, CSR_VSSCRATCH, true) \
	X(vsepc, CSR_VSEPC, true) \
	X(vscause, CSR_VSCAUSE, true) \
	X(vstval, CSR_VSTVAL, true) \
	X(hvip, CSR_HVIP, true) \
	X(scounteren, CSR_SCOUNTEREN, true) \
	X(senvcfg, CSR_SENVCFG, cpu.envcfg)

/*
 * What a domain is given or denied by a register of the hypervisor's. X(register, field, its value, what it opens). Fields
 * with value 0 are closed: they must read as 0 after the register was written, as must what is not named.
 * Svpbmt is for who has devices. A guest could map its RAM as not cacheable, and read what lies under the zeroes that
 * scrubbing left in the cache (as XSA-402 on another machine). CBIE 01: cbo.inval flushes, and so shows no old data.
 */
#define GATES(X) \
	/* Smstateen/Ssstateen: one bit each */ \
	X(HSTATEEN0, BIT(62), cpu.envcfg ? BIT(62) : 0, "senvcfg: switched") \
	X(HSTATEEN0, ~BIT(62), 0, \
	  "custom state, jvt, sctr*, srmcfg, scontext, the IMSIC, AIA, siselect, sstateen*") \
	X(HSTATEEN1, ~0UL, 0, "sstateen1") \
	X(HSTATEEN2, ~0UL, 0, "sstateen2") \
	X(HSTATEEN3, ~0UL, 0, "sstateen3") \
	/* cycle and instret: the machine's own, for all to read; time: the domain's, by htimedelta */ \
	X(HCOUNTEREN, 7UL, 7UL, "cycle, time, instret") \
	X(HCOUNTEREN, 0xfffffff8UL, 0, "hpmcounter3 to 31") \
	X(HENVCFG, HENVCFG_FIOM, 0, "fences are as the guest says") \
	X(HENVCFG, BIT(2), 0, "landing pads (Zicfilp)") \
	X(HENVCFG, BIT(3), 0, "shadow stacks, ssp (Zicfiss)") \
	X(HENVCFG, HENVCFG_CBIE | HENVCFG_CBCFE, cpu.zicbom ? BIT(4) | HENVCFG_CBCFE : 0, \
	  "Zicbom") \
	X(HENVCFG, HENVCFG_CBZE, cpu.zicboz ? HENVCFG_CBZE : 0, "Zicboz") \
	X(HENVCFG, 3UL << 32, 0, "pointer masking (Ssnpm)") \
	X(HENVCFG, BIT(59), 0, "double trap (Ssdbltrp)") \
	X(HENVCFG, BIT(61), 0, "A and D set by hardware (Svadu)") \
	X(HENVCFG, HENVCFG_PBMTE, cpu.svpbmt && d->is_privileged ? HENVCFG_PBMTE : 0, "Svpbmt") \
	X(HENVCFG, HENVCFG_STCE, cpu.sstc ? HENVCFG_STCE : 0, "vstimecmp: switched") \
	X(HEDELEG, HEDELEG_GIVEN, HEDELEG_GIVEN, "what a kernel handles itself") \
	X(HEDELEG, ~HEDELEG_GIVEN, 0, "ecall from VS, guest-page faults, access faults, …") \
	X(HIDELEG, IP_VSSIP | IP_VSTIP | IP_VSEIP, IP_VSSIP | IP_VSTIP | IP_VSEIP, "vsip, vsie") \
	X(HIDELEG, ~(IP_VSSIP | IP_VSTIP | IP_VSEIP), 0, "counter overflow and all later ones") \
	X(HIE, ~0UL, 0, "guests' interrupts reach the hypervisor") \
	X(HTIMEDELTA, ~0UL, 0, "time: hext_load() writes what a domain's is ahead")

/*
 * State that only hstateen0 closes, on a machine that has it without Smstateen: what a guest leaves there is wiped before the
 * next one runs. X(CSR's number, name). (Writing 0 to vsctrctl stops the recording of branches; what was recorded goes too.)
 */
#define WIPED_CSRS(X) \
	X(0x250, vsiselect) \
	X(0x24e, vsctrctl) \
	X(0x5a8, scontext)

#define HEDELEG_GIVEN \
	(BIT(EXC_INST_MISALIGNED) | BIT(EXC_ILLEGAL_INST) | BIT(EXC_BREAKPOINT) | \
	 BIT(EXC_LOAD_MISALIGNED) | BIT(EXC_STORE_MISALIGNED) | BIT(EXC_ECALL_U) | \
	 BIT(EXC_INST_PAGE_FAULT) | BIT(EXC_LOAD_PAGE_FAULT) | BIT(EXC_STORE_PAGE_FAULT))

#endif
