/* SPDX-License-Identifier: MIT */
/*
 * The guest runtime: a main() in C is a PV domain. This is what it finds beside newlib's headers:
 * what the domain is, its vCPUs, time, interrupts, traps and address space. Events and grants have
 * headers of their own (pv/event.h, pv/grant.h); pvabi/runtime/README.md is the introduction.
 */
#ifndef PV_RUNTIME_H
#define PV_RUNTIME_H

#include <reent.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pv/csr.h>
#include <pv/hypercall.h>

#define PV_PAGE_SHIFT 12
#define PV_PAGE_SIZE 4096UL
#define PV_MAX_VCPUS 64
#define PV_STACK_SIZE 16384UL

/*
 * The application's entry is int main(int argc, char **argv), or main(void). argv is the domain's
 * command line ("extra" in xl.cfg) cut at spaces, argv[0] the domain's name. It runs on vCPU 0. When
 * it returns, or calls exit(), the domain ends: status 0 is a poweroff, any other a crash
 * (on_poweroff, on_crash), and the number is printed.
 */

/* What the FDT and the hypervisor say; filled in before main(). */
struct pv_domain {
	unsigned int nr_vcpus;
	uint64_t ram_start, ram_end; /* first bank, guest physical */
	uint64_t timebase; /* Hz of the time CSR */
	bool sstc; /* stimecmp may be written */
	const char *name, *cmdline;
	uint64_t shared_info_pa; /* docs/abi.md, "Start" */
	uint64_t grant_region, grant_region_size;
	uint64_t initrd, initrd_end; /* equal: none */
};
extern struct pv_domain pv_domain;
extern struct shared_info *pv_shared_info;

/* ---- vCPUs ---- */

struct pv_trap;

/* One for each vCPU; tp points to it. The fields that start.S uses come first. */
struct pv_cpu {
	unsigned long stack_low; /* of what runs now */
	unsigned long stack_top;
	unsigned long emergency_top; /* for the report of a stack that is used up */
	unsigned int id;
	volatile bool running;
	void (*fn)(void *arg);
	void *arg;
	jmp_buf *catcher; /* pv_try()'s */
	struct pv_trap *caught;
	void (*on_timer)(void *arg);
	void *timer_arg;
	struct pv_task *task; /* pv/task.h; NULL: no task was ever made here */
	unsigned int locks; /* newlib's and xenbus.c's that it has, or waits for */
	struct vcpu_info info __attribute__((aligned(64)));
	struct _reent reent;
};

static inline struct pv_cpu *pv_cpu(void)
{
	struct pv_cpu *cpu;

	__asm__("mv %0, tp" : "=r"(cpu));
	return cpu;
}

static inline unsigned int pv_vcpu_id(void)
{
	return pv_cpu()->id;
}

/*
 * Starts vCPU n (1 .. nr_vcpus - 1) with fn(arg) on a stack of its own; when fn returns the vCPU
 * stops (SBI HSM). 0; -EINVAL: no such vCPU; -EBUSY: it runs; -ENOMEM.
 */
int pv_vcpu_start(unsigned int n, void (*fn)(void *arg), void *arg);
/* Waits until vCPU n has stopped. */
void pv_vcpu_join(unsigned int n);
bool pv_vcpu_running(unsigned int n);

/* ---- time ---- */

static inline uint64_t pv_ticks(void)
{
	return csr_read(time);
}

uint64_t pv_ticks_to_ns(uint64_t ticks);
uint64_t pv_ns_to_ticks(uint64_t ns);
static inline uint64_t pv_time_ns(void) /* monotonic, since the machine's start */
{
	return pv_ticks_to_ns(pv_ticks());
}
/*
 * Calls fn(arg) once from this vCPU's timer interrupt when pv_ticks() has reached `ticks`; ~0 takes
 * it back.
 */
void pv_timer_set(uint64_t ticks, void (*fn)(void *arg), void *arg);
/* Lets the vCPU sleep; interrupts are taken meanwhile. */
void pv_sleep_ns(uint64_t ns);

/* ---- interrupts ---- */

/* Upcalls and timer come only when on; main() starts with them on. Nests by the returned value. */
static inline unsigned long pv_irq_save(void)
{
	return csr_read_clear(sstatus, SSTATUS_SIE) & SSTATUS_SIE;
}

static inline void pv_irq_restore(unsigned long flags)
{
	csr_set(sstatus, flags);
}

/*
 * Sleeps until an interrupt is pending, which may be before it begins; call with interrupts off, and
 * look at the condition before. The interrupt is taken when they are on again.
 */
static inline void pv_wait_for_interrupt(void)
{
	__asm__ volatile("wfi" : : : "memory");
}

static inline void pv_relax(void)
{
	__asm__ volatile("" : : : "memory");
}

/*
 * In order of arrival: whoever lets go and comes again at once does not keep others out, even where the vCPUs share a hart and
 * one sleeps with the lock held. An upcall may wait for a lock only if it is always taken with interrupts off; for others there
 * is pv_spin_trylock(), which fails also while this vCPU itself is waiting for its turn. Zeroed memory is a free lock.
 */
typedef struct {
	uint32_t next, owner; /* tickets: the next one to be given out, and whose turn it is */
} pv_spinlock_t;

static inline void pv_spin_lock(pv_spinlock_t *l)
{
	uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
}

/* Whether it was free and nobody waited for it: then it is taken. */
static inline bool pv_spin_trylock(pv_spinlock_t *l)
{
	/* The turn moves only once its ticket is given out: where this is the next ticket still, nobody has the lock. */
	uint32_t free = __atomic_load_n(&l->owner, __ATOMIC_SEQ_CST);

	return __atomic_compare_exchange_n(&l->next, &free, free + 1, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/* Whether somebody has it, or waits for it, or did while this looked. */
static inline bool pv_spin_is_locked(pv_spinlock_t *l)
{
	uint32_t owner = __atomic_load_n(&l->owner, __ATOMIC_SEQ_CST);

	return owner != __atomic_load_n(&l->next, __ATOMIC_SEQ_CST);
}

static inline void pv_spin_unlock(pv_spinlock_t *l)
{
	__atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}

/* ---- traps ---- */

struct pv_trap {
	unsigned long cause, tval, pc;
};

/* All registers at a trap, as start.S leaves them. */
struct pv_frame {
	unsigned long ra, sp, gp, tp, t0, t1, t2, s0, s1;
	unsigned long a0, a1, a2, a3, a4, a5, a6, a7;
	unsigned long s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
	unsigned long t3, t4, t5, t6;
	unsigned long pc, status, cause, tval, fcsr;
	double fp[20]; /* what C does not preserve: ft0-ft11, fa0-fa7 */
};

/*
 * Runs fn(arg) and comes back from an exception in it: true, and *trap says which; false if there
 * was none. Locks that fn held stay held.
 */
bool pv_try(void (*fn)(void *arg), void *arg, struct pv_trap *trap);

/* A report with registers and a backtrace on the console, then the domain ends as crashed. */
void pv_panic(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Ends the domain: SHUTDOWN_poweroff, SHUTDOWN_crash, ... (xen/sched.h). */
void pv_shutdown(unsigned int reason) __attribute__((noreturn));

/*
 * The toolstack asks the domain to end (xl shutdown, xl reboot): SHUTDOWN_poweroff or SHUTDOWN_reboot. As the runtime has
 * it, what is in stdio's buffers is printed and the domain ends with that reason. A domain that has something to bring into
 * order has a function of this name of its own, which may return; exit() or pv_shutdown() is up to it then. It is called from
 * an upcall, or where a lock of newlib's or xenstore's is let go of; interrupts are off, malloc, stdio and xenstore may be used.
 */
void pv_shutdown_requested(unsigned int reason);

/* ---- address space ---- */

/*
 * Everything below 255 GiB is mapped 1:1, readable, writable and executable: C pointers are guest
 * physical addresses. For anything else there is a window of pages; its addresses translate to what
 * pv_map() says, with the rights that it says (PTE_R, PTE_W, PTE_X, PTE_U).
 */
#define PV_WINDOW 0x3fc0000000UL /* 1 GiB */
#define PV_WINDOW_SIZE 0x40000000UL

/* va in the window, pa anywhere, both page-aligned. 0, -EINVAL, -ENOMEM. Flushes this vCPU only. */
int pv_map(uintptr_t va, uint64_t pa, unsigned long rights);
void pv_unmap(uintptr_t va);

/* Zeroed pages, aligned to their size; free() them. NULL: no memory. */
void *pv_alloc_pages(size_t n);

static inline uint64_t pv_gfn(const volatile void *p)
{
	return (uint64_t)(uintptr_t)p >> PV_PAGE_SHIFT;
}

/* ---- console ---- */

/* To the domain's PV console, waiting for room. What printf() comes down to. */
void pv_console_write(const char *s, size_t n);
/* At most n bytes that have arrived; 0: none. Never waits (read(0, …) does). */
size_t pv_console_read(char *s, size_t n);
/* To the hypervisor's own console (CONSOLEIO_write): works before and without a PV console. */
void pv_early_write(const char *s, size_t n);

#endif
