/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What core/ asks of an architecture and its engine: the only arch header that core/ includes.
 * arch/riscv64 implements it for the machine, tests/unit/core/host_arch.c for the host.
 */
#ifndef PAVISE_ARCH_API_H
#define PAVISE_ARCH_API_H

#include <types.h>

struct domain;
struct page;
struct vcpu;
struct vcpu_guest_context;
struct hvm_riscv_vcpu;
struct hvm_riscv_vector;
struct xen_arch_domainconfig;

/* ---- what is asked so often that an architecture may have it inline ---- */

#ifdef ARCH_INLINE
#include <arch-inline.h>
#else
void arch_relax(void); /* in a spin loop */
unsigned int arch_hart(void); /* number of this hart, 0 .. nr_harts - 1 */
struct vcpu *arch_current(void); /* the vCPU whose exit is being handled; the idle one if none */
/* Where the hypervisor reaches a RAM page that it may touch. */
void *arch_mfn_to_virt(mfn_t mfn);
#endif

/* ---- hart ---- */

u64 arch_time_ns(
	void); /* system time: since the clock was 0; monotonic. domain_ns(): as guests see it */
u64 arch_time_ticks(void); /* the same in ticks of machine.timebase_hz */
u64 arch_ticks_to_ns(u64 ticks);

/* Sets the time (arch_time_ns()) of this hart's next timer interrupt; ~0 = none. */
void arch_set_timer(u64 ns);

/* Makes another hart leave its guest or its idle loop and run its exit path soon. */
void arch_kick_hart(unsigned int hart);

/*
 * An interrupt or other exit work waits on this hart: long operations should stop and continue
 * later.
 */
bool arch_preempt_pending(void);
#ifdef CONFIG_LATENCY
/* Prints and clears the longest times that interrupts had to wait for a hart. */
void arch_latency_report(void);
#endif

/* The function that a return address lies in; NULL if unknown. */
const char *arch_symbol(const void *address);

void arch_machine_poweroff(void) __noreturn;
void arch_machine_reboot(void) __noreturn;
/* Stops the machine with an exit status that tells it from a poweroff (docs/debugging.md). */
void arch_machine_fail(unsigned int status) __noreturn;
#define MACHINE_FAIL_DOM0_CRASH 42
#define MACHINE_FAIL_PANIC 43

/*
 * A hart is ending the machine after a fault: others report and stop, and the console may be
 * printed to without its lock.
 */
bool console_stopped(void);

/* ---- console hardware ---- */

void arch_console_write(const char *s, size_t n); /* polled */
int arch_console_getc(void); /* -1: none */
/* Whether input raises console_input(). Off: it waits in the UART. */
void arch_console_rx(bool on);

/* ---- memory ---- */

/* The inverse of arch_mfn_to_virt(). */
mfn_t arch_virt_to_mfn(const void *v);

/*
 * Guest memory of the current vCPU by guest virtual address, with the guest's own rights. Returns 0 or -EFAULT (after a
 * partial copy perhaps). The bytes may change meanwhile: copy once, then validate.
 */
int copy_from_guest(void *dst, u64 gva, size_t n);
int copy_to_guest(u64 gva, const void *src, size_t n);
/*
 * The same for structures of n words of 8 bytes that begin at one in the hypervisor, n being a constant of at most 8: inline where the
 * architecture has it so. And for a number at addresses that copy_u32_is_inline() of, for who wants no call on the usual way.
 */
#ifndef ARCH_INLINE
static inline bool copy_u32_is_inline(u64 gva)
{
	(void)gva;
	return false;
}

static inline int copy_u32_from_guest(u32 *dst, u64 gva)
{
	return copy_from_guest(dst, gva, sizeof(*dst));
}

static inline int copy_words_from_guest(void *dst, u64 gva, unsigned int n)
{
	return copy_from_guest(dst, gva, n * sizeof(u64));
}

static inline int copy_words_to_guest(u64 gva, const void *src, unsigned int n)
{
	return copy_to_guest(gva, src, n * sizeof(u64));
}
#endif
/* Writable translation of a guest virtual address of the current vCPU; INVALID_GFN if none. */
gfn_t arch_guest_va_to_gfn(struct vcpu *v, u64 gva);

/* ---- P2M (second-stage translation of one domain) ---- */

enum p2m_type {
	/* A page the domain owns; its allocation's reference is held for as long as it is mapped. */
	P2M_RAM = 0,
	/* Mapped by GNTTABOP_map_grant_ref; changed by grant operations only. */
	P2M_GRANT = 1,
	/* Another domain's page, or one lent to the domain; the mapping holds a reference. Changed under page_lock. */
	P2M_FOREIGN = 2,
	/* Device memory: no references. */
	P2M_SPECIAL = 3,
};

#define P2M_R BIT(0)
#define P2M_W BIT(1)
#define P2M_X BIT(2)
#define P2M_RW (P2M_R | P2M_W)
#define P2M_RWX (P2M_R | P2M_W | P2M_X)

struct p2m_entry {
	mfn_t mfn; /* of the page looked up, not of the superpage's start */
	enum p2m_type type;
	unsigned int access; /* P2M_R etc. */
	unsigned int order; /* of the leaf that maps it */
	bool shared; /* it was an image's (image.h) when the entry was looked at; by now the page may be anybody's */
};

/*
 * Maps 2^order frames (at most 2^18; both frame numbers aligned to it) with the largest leaves that there are: all or
 * none. -EEXIST: something is mapped there already, or, where several 2 MiB leaves are wanted, a table is in the way (see
 * p2m_make_room()). -ENOMEM: no page-table page. -EINVAL: beyond the address space, or not aligned. Takes the p2m lock.
 */
int p2m_map(struct domain *d, gfn_t gfn, mfn_t mfn, unsigned int order, enum p2m_type type,
	    unsigned int access);
/*
 * -EEXIST if something is mapped in the 2^order frames (order at most 9) from gfn on, which is aligned to that. Else makes
 * room for a mapping of that size: a table that has become empty goes. -EINVAL: beyond the address space. Takes the p2m
 * lock.
 */
int p2m_make_room(struct domain *d, gfn_t gfn, unsigned int order);
/*
 * Unmaps one frame if it is mapped as one of types (mask of BIT(P2M_RAM) etc.), splitting a superpage if needed (-ENOMEM),
 * and returns what was there in *old (may be NULL). -ENOENT: nothing was; -EBUSY: something of another type is. On return
 * no hart of the domain can use the old translation. Whoever unmaps RAM drops the allocation's reference after that, and
 * nobody else does: see p2m_get_page(). Takes the p2m lock.
 */
int p2m_unmap(struct domain *d, gfn_t gfn, unsigned int types, struct p2m_entry *old);
/*
 * The same, but maps another frame in its place, with no moment at which nothing is there. The old one's reference is the
 * caller's to drop or to keep.
 */
int p2m_replace(struct domain *d, gfn_t gfn, unsigned int types, mfn_t mfn, enum p2m_type type,
		unsigned int access, struct p2m_entry *old);
/*
 * The page that is mapped at gfn as P2M_RAM, with a reference that was taken under the p2m lock; *access gets its P2M_R
 * etc. (may be NULL). NULL: no RAM of d's is there, or it has too many references. The only way from a frame number to a
 * page: what the P2M says may be another's page as soon as its lock is free. Takes the p2m lock.
 */
struct page *p2m_get_page(struct domain *d, gfn_t gfn, unsigned int *access);
/*
 * For several frames under one hold of the p2m lock (LOCK_P2M), which they do not take: p2m_map() and p2m_get_page() of one
 * frame, and an unmap of what p2m_map_locked() mapped as P2M_GRANT and is still there. Behind the lock p2m_flush() follows the
 * unmaps: on its return no hart of the domain can use what was unmapped before. It is called without locks that others
 * need soon.
 */
void p2m_lock(struct domain *d);
void p2m_unlock(struct domain *d);
int p2m_map_locked(struct domain *d, gfn_t gfn, mfn_t mfn, enum p2m_type type, unsigned int access);
struct page *p2m_get_page_locked(struct domain *d, gfn_t gfn, unsigned int *access);
void p2m_unmap_grant_locked(struct domain *d, gfn_t gfn);
void p2m_flush(struct domain *d);
/*
 * The page that is mapped at gfn as P2M_FOREIGN, without a reference; NULL: none is. d's page_lock is held, and keeps it
 * there. Takes the p2m lock.
 */
struct page *p2m_foreign(struct domain *d, gfn_t gfn);
/* Returns whether gfn is mapped with all of these rights (0: at all) at the moment. Takes the p2m lock. */
bool p2m_allows(struct domain *d, gfn_t gfn, unsigned int access);
/*
 * Walks the mapped frames from *gfn upwards for teardown: unmaps up to max leaves, calling fn for each without the p2m
 * lock. Returns -ERESTART while more are left (*gfn updated), 0 at the end, when the tables are freed too. No vCPU of the
 * domain runs any more, and no memory operation is under way.
 */
int p2m_teardown(struct domain *d, gfn_t *gfn, unsigned int max,
		 void (*fn)(struct domain *d, gfn_t gfn, const struct p2m_entry *e));
/*
 * The first mapped frame from *gfn on, to *gfn and *e, when at most max places have been looked at. -ERESTART: not so far, *gfn
 * is where to go on. -ENOENT: there is none. What is told may be something else by now. Takes the p2m lock.
 */
int p2m_next(struct domain *d, gfn_t *gfn, unsigned int max, struct p2m_entry *e);
/* Highest gfn that was ever mapped. */
gfn_t p2m_max_gfn(struct domain *d);

/*
 * ---- what is written to a domain's RAM (docs/architecture.md, "The dirty log") ----
 *
 * The log is a bit of each mapping of RAM that the domain's writes set (D of a leaf), and a mark of each page that others' writes set
 * (page_mark_written()). A new mapping has it from the start. Nothing is kept elsewhere, so there is no log to switch on here: who clears
 * the bits has one.
 */
/* Whether writes do set it on this machine. */
bool arch_log_works(void);

#define LOG_FRAMES 512UL /* looked at together, and told of as bits */
#define LOG_WORDS (LOG_FRAMES / 64)
#define LOG_CLEAR BIT(0) /* what is told counts as not written from here on */
#define LOG_SPLIT BIT(1) /* large mappings become small ones first, if there is memory for tables */
#define LOG_HELD BIT(2) /* a page that somebody else holds, and so may write, is told as written */
struct log_bits {
	u64 written[LOG_WORDS];
	/*
	 * Not written as far as the bit says, but the machine may have written A and D of page tables there, which sets only the
	 * mapping's A (AD_WALK_IGNORES_D). All 0 on other machines.
	 */
	u64 maybe[LOG_WORDS];
};
/*
 * Looks at n frames (1 to LOG_FRAMES) from gfn on, which is aligned to LOG_FRAMES. Bits of RAM that was written are set in *bits, all
 * others are 0; a frame where a page is lent to the domain counts as written, as does one in a mapping of 1 GiB. A mapping of
 * 2 MiB has one bit for all its pages, which is cleared only if n is LOG_FRAMES. Returns how many frames from gfn on have been looked at:
 * n, or more where nothing is mapped at all. What was cleared is noticed again from the next p2m_flush() on: writes before that may be
 * in no log, and to pages only that have just been told. Takes the p2m lock.
 */
u64 p2m_log(struct domain *d, gfn_t gfn, unsigned int n, unsigned int how, struct log_bits *bits);
/*
 * Of n frames from gfn on, those whose bits are set, and that are mapped as RAM, count as written again: nobody was told of them. What p2m_log() has not
 * cleared needs none. Takes the p2m lock.
 */
void p2m_log_again(struct domain *d, gfn_t gfn, unsigned int n, const u64 *bits);
/*
 * The opposite: RAM in the LOG_FRAMES frames from gfn on counts as written, and becomes a large mapping again where it is contiguous; with the
 * last of a GiB that does as well. Returns how many frames it was, as p2m_log(). p2m_log_off_end() follows after some, with the
 * fence, and frees the tables. Take the p2m lock.
 */
u64 p2m_log_off(struct domain *d, gfn_t gfn);
void p2m_log_off_end(struct domain *d);

/*
 * ---- images (image.h) ----
 *
 * RAM that is an image's is mapped as P2M_RAM without P2M_W, and nobody takes a reference to it. p2m_get_page() makes it the domain's own first
 * (image_get_page(): page_lock is taken then), p2m_get_page_locked() returns NULL. p2m_unmap() and p2m_replace() may return such a page (p2m_entry.shared), which is nobody's to release. A table
 * that is an image's is copied before an entry of it is changed.
 */
/* Whether a mapping without P2M_W keeps a guest's harts from writing, by walks of its own tables as well (AD_WALK_IGNORES_W). */
bool arch_forks_are_safe(void);
struct p2m_shared {
	u64 entry; /* the architecture's: what p2m_adopt() maps; 0: nothing */
	u64 held[LOG_WORDS]; /* frames that the copy needs something of its own for: RAM that stays the domain's, and lent pages */
	u32 pages; /* that entry maps */
	u32 tables; /* that will be copied, or made, when the copy writes: 0 or 1 */
	u32 taken, taken_tables; /* the same of those that have become the image's just now */
};
/*
 * d is paused for good: what is mapped as RAM with all rights in the LOG_FRAMES frames from gfn on, which is aligned to that, becomes its image's
 * (image_take()) and is read-only; what was so before stays so. *s tells of all of it. Returns how many frames were looked at: LOG_FRAMES, or more
 * where nothing is mapped; -ENOMEM: perhaps after a part, of which *s tells. p2m_flush() follows before d runs. page_lock is held. Takes the p2m lock.
 */
s64 p2m_share(struct domain *d, gfn_t gfn, struct p2m_shared *s);
/* Maps that in the copy: -EEXIST (something is mapped in these LOG_FRAMES), -ENOMEM. Or else it is dropped. Take its p2m lock; the second none. */
int p2m_adopt(struct domain *d, gfn_t gfn, const struct p2m_shared *s);
void p2m_drop_shared(const struct p2m_shared *s);
/*
 * The page at gfn that is an image's is replaced by image_copy(): at no moment does a hart of d's read the old one when another can have written the new
 * one. Errors as image_unshare(). page_lock is held. Takes the p2m lock.
 */
int p2m_unshare(struct domain *d, gfn_t gfn);
/*
 * What image_give() and image_give_table() give of the LOG_FRAMES frames from gfn on is d's own again, with all rights and counted as written, in large mappings
 * where it is contiguous: p2m_log_off_end() follows. Returns as p2m_share(). page_lock is held. Takes the p2m lock.
 */
u64 p2m_take_back(struct domain *d, gfn_t gfn);

/* ---- domains and vCPUs ---- */

int arch_domain_init(struct domain *d,
		     struct xen_arch_domainconfig *config); /* config NULL: dom0, idle */
void arch_domain_free(struct domain *d);
int arch_vcpu_init(struct vcpu *v);
void arch_vcpu_free(struct vcpu *v);
/*
 * -EINVAL: a value that hardware could not hold. The vCPU is not running. One that has a context keeps what c does not have: floating
 * point, vectors, pending interrupts, and its timer if that is to be the same; so what arch_get_context() tells changes nothing. To one that has none c is its
 * first (xen/arch-riscv.h, struct vcpu_guest_context), as arch_vcpu_start(). domain.lock is held, also of the next two.
 */
int arch_set_context(struct vcpu *v, const struct vcpu_guest_context *c);
void arch_get_context(struct vcpu *v, struct vcpu_guest_context *c);
/*
 * The whole of a vCPU that is not running (xen/arch-riscv/hvm/save.h): what of it is the CPU's, the rest is left alone.
 * Restoring is starting with other registers. -EINVAL: no hardware could hold that; -EOPNOTSUPP: this one cannot. Then nothing
 * has changed. domain.lock is held, also of the next three.
 */
void arch_save_vcpu(struct vcpu *v, struct hvm_riscv_vcpu *r);
int arch_restore_vcpu(struct vcpu *v, const struct hvm_riscv_vcpu *r);
/* Vector registers: returns the record's size, 0: there are none. Restoring comes behind arch_restore_vcpu(); errors as that. */
#define ARCH_VECTOR_MAX (sizeof(struct hvm_riscv_vector) + 32 * 256)
size_t arch_save_vector(struct vcpu *v, struct hvm_riscv_vector *r);
int arch_restore_vector(struct vcpu *v, const struct hvm_riscv_vector *r, size_t size);
/* domain.time_delta has been set: the vCPU's own timer goes by it. */
void arch_vcpu_time_starts(struct vcpu *v);
/*
 * SBI HSM start: supervisor mode, satp 0, a0 = hart id, a1 = opaque. It keeps nothing of its former registers, and of interrupts
 * only the upcall: that stays raised while vcpu_event_pending().
 */
void arch_vcpu_start(struct vcpu *v, u64 pc, u64 opaque);

/* Saves prev's state from the hart and loads next's; either may be an idle vCPU. */
void arch_context_switch(struct vcpu *prev, struct vcpu *next);

/* The event upcall (supervisor software interrupt): raised on a vCPU, running or not. */
void arch_raise_upcall(struct vcpu *v);
/*
 * The guest has an interrupt that would end its wfi (pending and enabled in sie, whatever
 * sstatus.SIE).
 */
bool arch_vcpu_has_interrupt(struct vcpu *v);
/* When (arch_time_ns()) the blocked vCPU's own timer fires; ~0 = never. */
u64 arch_vcpu_timer_deadline(struct vcpu *v);

/*
 * Arranges that the current hypercall runs again with these arguments when the guest next runs; its
 * handler returns the -ERESTART that comes back. nr: hypercall number; args: a1..a5.
 */
long arch_hypercall_restart(unsigned int nr, const u64 args[5]);

void arch_dump_vcpu(struct vcpu *v); /* registers, to the console */

/* ---- physical interrupts (pirq = PLIC source) ---- */

unsigned int arch_nr_pirqs(void); /* sources are 1 .. nr - 1 */
bool arch_pirq_assignable(unsigned int pirq); /* false for the hypervisor's own (UART) */
void arch_pirq_enable(unsigned int pirq);
void arch_pirq_disable(unsigned int pirq);
/* Completes a claimed source; any hart may call it. */
void arch_pirq_eoi(unsigned int pirq);

/* ---- machine facts, constant after boot ---- */

struct machine {
	unsigned int nr_harts;
	u64 timebase_hz;
	mfn_t max_mfn; /* the highest frame of RAM */
	u64 total_pages; /* RAM that the hypervisor was given, its own included */
	char cmdline[512];
};
extern struct machine machine;

/* All of them (mask). */
static inline u64 machine_harts(void)
{
	return ~0UL >> (64 - machine.nr_harts);
}

#endif
