/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internal interfaces between the folders of arch/riscv64; core/ never sees this header.
 */
#ifndef PAVISE_ARCH_H
#define PAVISE_ARCH_H

#include <csr.h>
#include <guest-cpu.h>
#include <hart.h>
#include <types.h>

/* ---- boot ---- */

/* The hypervisor's image: link address, and where it was loaded. */
#define IMAGE_VA 0xffffffffc0000000UL
#define DIRECT_MAX (255UL << 30)

extern u64 image_pa;
extern char image_start[], image_end[], text_end[], rodata_end[], stacks_start[], stacks_end[];
#define STACK_SIZE 16384
#define STACK_GUARD 4096

static inline void *pa_to_va(paddr_t pa)
{
	return (void *)(DIRECT_VA + pa);
}

paddr_t va_to_pa(const void *va);

enum module_kind { MOD_KERNEL, MOD_RAMDISK };
struct boot_module {
	paddr_t start;
	u64 size;
	char cmdline[1024];
	bool present;
};

#define MAX_RANGES 32
struct range {
	paddr_t start, end;
};

/* Which of the extensions of guest-cpu.h a hart has by its FDT node, and H. */
struct isa {
	u64 has[2];
	bool h;
};

#define MAX_PLICS 4
struct plic {
	paddr_t base;
	u64 size;
	u32 phandle;
	unsigned int ndev; /* sources are 1 .. ndev */
	unsigned int first; /* source n is the physical interrupt first + n */
	unsigned int context[CONFIG_NR_CPUS]; /* S-mode context of each hart; ~0: none */
};

struct boot_info {
	const void *fdt; /* the firmware's, mapped */
	u64 fdt_size;
	struct range mem[MAX_RANGES];
	unsigned int nr_mem;
	struct range reserved[MAX_RANGES]; /* firmware, FDT, modules, image */
	unsigned int nr_reserved;
	paddr_t heap_end; /* RAM from here on does not go to the heap before dom0_build() */
	struct boot_module kernel, ramdisk;
	u64 boot_hartid;
	u64 hartids[CONFIG_NR_CPUS];
	unsigned int nr_harts;
	struct isa isa; /* what all of them have */
	struct isa boot_isa; /* what the boot hart has */
	const char *isa_string; /* the boot hart's, as the FDT has it; NULL: none */
	/* devices the hypervisor owns; 0: none */
	paddr_t uart_base;
	unsigned int uart_irq, uart_shift, uart_io_width;
	char uart_path[64];
	struct plic plic[MAX_PLICS]; /* one a socket */
	unsigned int nr_plics;
	paddr_t test_base; /* sifive,test */
};
extern struct boot_info boot;

void fdt_parse(paddr_t fdt_pa); /* fills boot and machine; panics with what is missing */
void __noreturn start_secondary(struct hart *h);
void smp_start(void);
/* The pages of RAM in [from, to) that nothing reserves; add: to the heap with them. */
u64 free_ram(paddr_t from, paddr_t to, bool add);
int dom0_build(void);
const char *cmdline_get(const char *name, char *buf,
			size_t size); /* value of name=, "" for a bare name, NULL */
/* The node's status does not say that it is not to be used (Devicetree Specification, "status"). */
bool fdt_node_okay(const void *fdt, int node);
/* A CPU node of the firmware's FDT (or of a copy with its ids still in it) is that of a hart in use. */
bool fdt_cpu_used(const void *fdt, int node);
bool fdt_is_plic(const void *fdt, int node);
/* The PLIC with a phandle; NULL: none has it. */
const struct plic *plic_by_phandle(u32 phandle);
/* The phandle of the controller that a node's interrupts belong to; 0: nobody says. */
u32 fdt_interrupt_parent(const void *fdt, int node);

/* ---- cpu ---- */

#define VLENB_MAX 256U

struct cpu_features {
	bool h, sstc, svpbmt, zicbom, zicboz;
	bool envcfg, henvcfg, stateen[4]; /* senvcfg, henvcfg and hstateen0 to 3 are there */
	bool sv39x4;
	bool wipe; /* any of these: */
	struct {
#define X(number, name) bool name;
		WIPED_CSRS(X)
#undef X
	} wiped;
	/* Bytes of a vector register; 0: guests have no vectors. At most VLENB_MAX. */
	unsigned int vlenb;
	u32 satp_modes; /* that vsatp takes: BIT(mode) */
	/*
	 * That are used; 0: none, and each switch to a guest fences all. From features_probe() on it may only become 0, before the first
	 * guest runs.
	 */
	unsigned int vmid_bits;
	/*
	 * AD_*: what some hart does when A or D of a second-stage leaf is clear. From features_probe() on more may come, before the first
	 * guest runs. mm/p2m_log.c goes by it.
	 */
	u32 ad;
};
extern struct cpu_features cpu; /* what all harts have */

void features_probe(void); /* the boot hart, before others start */
void features_check(void); /* another hart: panics if it has not the same */

/* engine/ad_trial.c */
#define AD_SETS BIT(0) /* the access sets it */
#define AD_FAULTS BIT(1) /* the access is a guest-page fault (Svade) */
#define AD_IGNORES BIT(2) /* neither: no log can go by it */
/* The hart sets A and D in a guest's own tables, through a leaf of theirs … */
#define AD_WALK_IGNORES_D BIT(3) /* whose D stays clear, */
#define AD_WALK_IGNORES_A BIT(4) /* and A as well; */
#define AD_WALK_IGNORES_W BIT(5) /* or that may not be written. */
/*
 * This hart, with no guest: AD_*. It has H with Sv39x4; henvcfg: and that CSR; sv39: vsatp takes Sv39. hgatp and vsatp are 0 afterwards, and no translation
 * is left. hstatus.SPVP is 0.
 */
u32 ad_trial(bool henvcfg, bool sv39);
#define AD_TEXT 128
void ad_describe(u32 found, char *text,
		 size_t size); /* for the log: what becomes of a clear A or D */
/* cpu/entry.S: reads or writes 8 bytes at a guest's address 0, with the rights of hstatus.SPVP. false: it faults. */
bool ad_touch(bool write);

/* cpu/isa.c */
#define ISA_SIZE 1024
/* From riscv,isa-extensions of a CPU node, else from riscv,isa. false: it has neither. */
bool isa_read(const void *fdt, int node, struct isa *isa);
void isa_intersect(struct isa *a, const struct isa *b); /* to a */
/* name: one of guest-cpu.h's list. */
bool isa_has(const struct isa *isa, const char *name);
/*
 * What a guest is told of isa: as a string (riscv,isa), or as a list (riscv,isa-extensions). After features_probe(). Returns
 * its size with the last NUL.
 */
size_t isa_write(const struct isa *isa, bool list, char buf[ISA_SIZE]);

/* Reads a CSR that may not exist: false if it traps. */
#define csr_probe(csr, val) \
	({ \
		unsigned long _v = 0, _ok = 1; \
		__asm__ volatile("1: csrr %0, " CSR_STR(csr) "\n" \
							     "2:\n" \
							     ".pushsection .extable, \"a\"\n" \
							     ".balign 8\n.dword 1b, 3f\n" \
							     ".popsection\n" \
							     ".pushsection .fixup, \"ax\"\n" \
							     "3: li %1, 0\n j 2b\n" \
							     ".popsection\n" \
				 : "+r"(_v), "+r"(_ok) \
				 : \
				 : "memory"); \
		*(val) = _v; \
		_ok != 0; \
	})

void fault_dump_and_stop(void) __noreturn;
void backtrace(u64 pc, u64 fp);
const char *symbol_name(u64 addr, u64 *offset); /* NULL if unknown */
void watchdog_init_hart(void);

/* How long interrupts wait for a hart (cpu/latency.c). */
#ifdef CONFIG_LATENCY
void latency_begin(u64 scause); /* an exit that is no hypercall */
void latency_note(void); /* a look at interrupts, or the return to a guest */
void latency_note_at(u64 pc);
void latency_idle(void); /* from here on it is nobody's time */
#else
static inline void latency_begin(u64 scause)
{
	(void)scause;
}

static inline void latency_note(void)
{
}

static inline void latency_note_at(u64 pc)
{
	(void)pc;
}

static inline void latency_idle(void)
{
}
#endif

/* ---- irq ---- */

void plic_init(void);
void plic_init_hart(struct hart *h);
void plic_interrupt(void);
void uart_init(paddr_t base, unsigned int shift, unsigned int width);
void uart_enable_rx(void);
void time_init(void); /* machine.timebase_hz is known */
u64 ticks_to_ns(u64 ticks);
u64 ns_to_ticks(u64 ns);
void ipi_interrupt(void);
/* Handles all interrupts pending for this hart now (sip & sie). */
void handle_interrupts(void);

/* ---- SBI of the machine ---- */

struct sbiret {
	long error;
	long value;
};
struct sbiret sbi_call(u64 ext, u64 fid, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4);
void sbi_putchar_early(char c);
void sbi_set_timer(u64 ticks);
void sbi_send_ipi(u64 hartid);
/* mask: of hart indices, this one included if set. */
void sbi_remote_fence(unsigned int fid, u64 hart_mask, u64 start, u64 size, u64 asid);
void sbi_check_fences(void); /* at boot: panics if firmware lacks one of those below */
enum {
	RFENCE_FENCE_I = 0,
	RFENCE_HFENCE_GVMA = 4,
	RFENCE_HFENCE_VVMA_ASID = 5,
	RFENCE_HFENCE_VVMA = 6
};

/* ---- mm ---- */

void mm_init(void); /* final page tables of the hypervisor */
void mm_enable(void); /* each hart */
int p2m_init(struct domain *d);
void p2m_free(struct domain *d);
/*
 * What has been written to memory is what the domain's harts fetch, from their next instruction on: no stale line of that memory is in their way. As p2m_flush(),
 * but before it is mapped.
 */
void p2m_fence_i(struct domain *d);
/*
 * A guest-page fault of an access with these rights: sets A and D of the leaf as a hart does that sets them, if it allows the access and has not both
 * (D only where it allows writes). false: that was not it. The caller fences the address. Takes the p2m lock.
 */
bool p2m_log_fault(struct domain *d, gfn_t gfn, unsigned int access);
/*
 * A guest-page fault of the current vCPU with this stval, its htval still in the CSR, of an access with these rights (P2M_R, ...). true: try it again,
 * as the second stage has a mapping that allows it. Either a hart that sets no A and D wants them: it is the first write since the log was told
 * (p2m_log_fault()). Or it remembered that there was no mapping. (New ones are not fenced; the specification lets a hart cache their absence.) Or the page
 * was an image's; may_wait: it waits for memory, then, which a hypercall's copy cannot.
 * htval may be 0 instead of the address: then the guest's own tables say what stval stands for. (That is not the address of a table, where an access to one has
 * faulted. But only a missing D faults, and a hart that wants it is one that writes to no guest's table.) Takes page_lock, the p2m lock, domain.lock.
 */
bool p2m_fault(struct vcpu *v, u64 stval, unsigned int access, bool may_wait);
/*
 * GPA of a guest virtual address by the guest's own tables; false: no such mapping with these rights.
 */
bool guest_walk(struct vcpu *v, u64 gva, bool write, paddr_t *gpa);

/* ---- engine ---- */

/* See docs/architecture.md, "Engines". One is chosen at boot. */
struct engine {
	const char *name;
	bool (*available)(void);
	void (*hart_init)(void);
	int (*vcpu_init)(struct vcpu *v);
	void (*save)(struct vcpu *v);
	void (*load)(struct vcpu *v);
	/* The hart idles: nothing of a domain that may go away stays in it. */
	void (*unload)(void);
	void (*start)(struct vcpu *v, u64 pc, u64 opaque);
	/*
	 * Current vCPU: delivers an exception as hardware would; kills the guest if its vector
	 * cannot take it.
	 */
	void (*inject)(struct vcpu *v, u64 cause, u64 tval);
	/* Current vCPU: moves ->pending into the hardware. */
	void (*apply_pending)(struct vcpu *v);
};
extern const struct engine *engine;
extern const struct engine engine_hext;
void engine_init(void);

void hext_trap(struct vcpu *v, u64 scause);
/* A fault of a copy to or from the current guest came of a translation that is stale: it has been fenced, try again. */
bool hext_copy_stale(u64 scause, u64 stval);

/* The current vCPU's second-stage translations on this hart. */
static inline void hfence_gvma_current(void)
{
	if (unlikely(cpu.vmid_bits))
		hfence_gvma_vmid(current()->arch->vmid.nr);
	else
		hfence_gvma_all();
}

/* The same of one guest physical address. */
static inline void hfence_gvma_current_page(paddr_t gpa)
{
	if (unlikely(cpu.vmid_bits))
		hfence_gvma_page_vmid(gpa, current()->arch->vmid.nr);
	else
		hfence_gvma_page(gpa);
}

/* engine/guest_cpu.c */
void guest_cpu_hart_init(void); /* this hart, which has no guest yet */
u64 guest_cpu_henvcfg(const struct domain *d);
void guest_cpu_wipe(void); /* if cpu.wipe */

/* engine/vector.c */
size_t vector_size(void); /* of the registers behind a struct arch_vcpu */
void vector_reset(struct arch_vcpu *a); /* with a->sstatus; the vCPU is not on a hart */
void vector_save(struct arch_vcpu *a); /* if vector_unsaved() */
void vector_load(struct arch_vcpu *a); /* if !vector_held(); changes the hart's sstatus.VS */

/*
 * The vCPU leaves its hart, which had this sstatus: is there anything that its struct does not have? A hart may mark writes of
 * vcsr and vstart in vsstatus.VS only, where the guest can unmark them (QEMU does, at any rate 7.2), or not at all the vstart
 * that a trap leaves. To look is cheap, and else they would be lost. (What a load has read before it traps is not marked, either:
 * if the guest makes vstart 0 then, it may lose that, but nobody else finds it: see vector_load().)
 */
static inline bool vector_unsaved(const struct arch_vcpu *a, u64 sstatus)
{
	if (sstatus & SSTATUS_SD && (sstatus & SSTATUS_VS) == SSTATUS_VS_DIRTY)
		return true;
	return sstatus & SSTATUS_VS &&
	       (csr_read(CSR_VCSR) != a->vector.vcsr || csr_read(CSR_VSTART) != a->vector.vstart);
}

/* This hart's registers hold the vCPU's state, or there are none: nobody else has had them since it did. */
static inline bool vector_held(const struct arch_vcpu *a)
{
	const struct hart *h = this_hart();

	return !(a->sstatus & SSTATUS_VS) || (a->vector_hart == h && h->vector_owner == a);
}

/* What the time CSR reads for the vCPU. */
static inline u64 guest_time(const struct vcpu *v)
{
	return csr_read(CSR_TIME) + v->domain->time_delta;
}

/*
 * The interrupts (bits of sip) that wait for the vCPU on this hart and are not masked in its sie. From hip: the vsip of QEMU
 * before 8.0 has SSIP alone, and a guest whose timer ran out while it had sstatus.SIE off slept for ever in its wfi.
 */
static inline u64 guest_interrupts(void)
{
	return csr_read(CSR_HIP) >> 1 & csr_read(CSR_VSIE);
}

/* ---- vsbi ---- */

void vsbi_call(struct vcpu *v);
/* Guest timer without Sstc. */
void vsbi_timer_expired(void *vcpu);
/* Arms it for arch.vstimecmp, in the guest's ticks; in the past: it fires soon. */
void vsbi_timer_arm(struct vcpu *v);

#endif
