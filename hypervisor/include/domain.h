/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains and vCPUs: their structures, lifecycle and references.
 * core/domain.c; what an architecture keeps for each hangs behind ->arch.
 */
#ifndef PAVISE_DOMAIN_H
#define PAVISE_DOMAIN_H

#include <arch-api.h>
#include <console.h>
#include <list.h>
#include <lock.h>
#include <page.h>
#include <timer.h>
#include <types.h>
#include <xen-abi.h>

struct arch_domain;
struct arch_vcpu;
struct cpupool; /* cpupool.h */
struct evtchn_state; /* core/event.c */
struct grant_table; /* core/grant.c */

#define NR_HVM_PARAMS HVM_NR_PARAMS
#define NR_DOMAIN_WATCHDOGS 2

/* PARTIAL: never unpaused any more */
enum state_given { STATE_NONE = 0, STATE_PARTIAL, STATE_WHOLE };
enum domain_dying { DOMDYING_ALIVE = 0, DOMDYING_DYING, DOMDYING_DEAD };

/* What a domain's vCPUs get of the harts (core/sched_share.c); under the sched lock. */
#define SCHED_WEIGHT_DEFAULT 256U
#define SCHED_WEIGHT_MAX 65535U
struct sched_share {
	/* With the locks of all harts: */
	u16 weight; /* of each vCPU beside others; not 0 */
	u16 cap; /* of all together, in per cent of one hart; 0: none */
	unsigned int running; /* with a cap: so many of the vCPUs are on harts */
	struct spinlock lock; /* of what follows, and of cap and running */
	bool spent; /* the cap has been reached: none may run (READ_ONCE outside the lock) */
	s64 left; /* with a cap: hundredths of ns that they may run still; less than 0: they have run longer */
	u64 filled; /* when that was last brought up to date */
	struct timer full; /* spent until then */
};

struct domain {
	domid_t id;
	bool is_idle;
	bool is_privileged; /* dom0 */
	bool direct_mapped; /* RAM 1:1 */
	struct list_head list; /* domain_list */
	struct domain *hash_next;
	u32 refs; /* domain_get/put; the last frees the structure */
	/*
	 * vcpu[] being filled; VPF_DOWN and the registers of vCPUs that start or stop; watchdogs; controller_pauses. Not: what
	 * runs (sched lock), pause_flags and pause_count as such (atomic), memory (page_lock).
	 */
	struct spinlock lock;

	unsigned int max_vcpus;
	struct vcpu **vcpu; /* [max_vcpus], filled by XEN_DOMCTL_max_vcpus */

	u8 dying; /* enum domain_dying; no longer ALIVE: under lock and page_lock, and for good */
	union { /* SCHEDOP_shutdown. Changed as a word, atomically, so that no state is half of two */
		u32 shutdown; /* SHUTDOWN_* and the flags below */
		struct {
			u8 shutdown_reason;
			bool has_shutdown_reason, is_shut_down;
		};
	};
	u32 pause_count; /* all vCPUs stay off harts while > 0; atomic */
	u32 controller_pauses; /* those of XEN_DOMCTL_pausedomain, counted in pause_count; under lock */
	bool short_of_memory; /* one of these is for that: domain_wait_for_memory(); under lock */

	/* memory: under page_lock */
	struct spinlock page_lock;
	struct list_head page_list;
	struct list_head dead_pages; /* of a dying domain: given up, but still mapped by others */
	u64 tot_pages; /* owned frames, until their last reference is dropped; without shared_pages */
	u64 owned_pages; /* on page_list; tot_pages also counts those about to come */
	u64 max_pages;
	u64 claimed_pages; /* XENMEM_claim_pages; under the heap lock */
	struct extent { /* a large one that is becoming the domain's: extent_step() */
		struct page *pages; /* NULL: none */
		gfn_t gfn;
		unsigned int order;
		bool dropping; /* it goes back */
		u64 done; /* pages that are the domain's, from the first */
		u64 left; /* pages that did not go back, from the first */
	} extent;
	unsigned int memory_ops; /* under way on its behalf: memory_op_begin() */

	/* What of its RAM is an image's: image.h */
	struct image *image; /* NULL: nothing is. Changes under the lock of all images */
	struct list_head image_peer; /* on image->domains */
	struct domain *
		forking; /* another that is becoming its copy, for which it is paused; under that lock */
	u64 shared_pages; /* frames of RAM that are; under page_lock */
	u64 shared_tables; /* pages that tables will take when it writes to all of them; under the p2m lock */
	u64 reserved_pages; /* for both: under the heap lock */
	struct fork *
		fork; /* it is becoming another's copy, or has not become it: core/image_fork.c. Never unpaused then */
	struct domain
		*heir; /* of a dying one: who gets back what nobody else shares any more; held */
	u8 image_busy; /* somebody is in a step of it, or reads what is shared; nobody waits for that */
	bool giving_back; /* under image_busy: it gets its image's pages, and is at: */
	gfn_t give_at;
	u64 given; /* pages and tables in this step, under page_lock */
	bool overcommits; /* nothing is reserved for it but a few pages: under image_busy, before it runs or at rest */
	u32 fault_hart; /* the hart + 1 whose page is for a store that can wait, 0: none; set under page_lock */

	struct shared_info *shared_info; /* PAGE_HYP, lent */
	struct evtchn_state *evtchn;
	struct spinlock evtchn_lock;
	struct grant_table *grant;
	u64 hvm_params[NR_HVM_PARAMS];
	struct timer watchdog[NR_DOMAIN_WATCHDOGS]; /* SCHEDOP_watchdog */
	unsigned int watchdog_used; /* mask */
	u64 watchdog_ns[NR_DOMAIN_WATCHDOGS]; /* what they were last set to */
	struct guest_console console; /* what it prints, and may */
	xen_domain_handle_t handle;
	s64 time_offset_seconds;
	/*
	 * So much its time (the time CSR, its system time) is ahead of the machine's, modulo 2^64; 0 but for one that was given a
	 * state (core/save.c). Changes before the domain first runs only.
	 */
	u64 time_delta; /* ticks */
	s64 time_delta_ns;
	u32 ssidref;

	struct sched_share share;
	struct cpupool *
		pool; /* changes with the locks of all harts (READ_ONCE without one); NULL: the idle domain, or nobody sees it */

	struct { /* core/save.c */
		u8 given; /* enum state_given; under lock and kill_lock */
		bool suspended; /* that of a guest that had suspended itself */
		u32 at, last; /* progress: in the buffer, and type << 16 | instance of the last record. Under kill_lock */
		u64 ticks; /* its time when it first runs */
		u64 watchdog[NR_DOMAIN_WATCHDOGS]; /* ns that are left then */
	} state;
	bool has_run; /* the control domain has let it run once; under lock */

	struct { /* the log of what is written to its RAM: core/dirty_log.c. By who has set busy, which nobody waits for */
		u8 busy;
		bool on; /* changes under lock as well, as the next */
		bool doing; /* an operation is under way: */
		u16 ticket; /* its number, which its caller has */
		u32 op; /* XEN_DOMCTL_SHADOW_OP_* */
		gfn_t at; /* where it goes on */
		u32 told; /* frames so far */
		u32 faults; /* first writes that were exits, since a CLEAN; atomic */
	} log;

	struct spinlock kill_lock; /* domain_kill(), and each step of core/save.c */
	gfn_t teardown_gfn; /* progress of destruction, under kill_lock */
	unsigned int teardown_step, released_vcpus;

	struct arch_domain *arch;
};

/* domain.shutdown */
#define DOMAIN_SHUTDOWN_REASON 0xffU
#define DOMAIN_HAS_REASON 0x100U /* SCHEDOP_shutdown_code gave it in advance, or it is shut down */
#define DOMAIN_SHUT_DOWN 0x10000U

enum vcpu_pause { VPF_DOWN = 0, VPF_BLOCKED = 1, VPF_POLL = 2 }; /* bits of vcpu.pause_flags */

struct vcpu {
	struct domain *domain;
	unsigned int id;
	u64 pause_flags; /* VPF_*; runnable when 0 and pause counts are 0; atomic */
	u32 pause_count; /* atomic; domctl and debugging */
	bool is_initialised; /* has a context */

	/* sched.c, under the lock of hart's (sched_internal.h) but where noted */
	struct list_head run_list;
	bool on_queue;
	bool running; /* is on a hart (READ_ONCE outside the lock) */
	unsigned int
		hart; /* runs or last ran there, and waits in its queue; changes with both harts' locks */
	u64 vruntime; /* ns on harts by its weight; brought up when it wakes, yields or runs, where it is far behind others */
	u64 slice_start; /* when it was put on the hart */
	u64 yielded; /* ns that it stands further back in the queue, until it runs again */
	u64 pinned; /* bit mask of harts, 0: all */
	u64 preferred; /* bit mask of harts on which it runs if it can, 0: any */

	/* runstate (vcpu.h): under the same lock */
	int runstate;
	u64 runstate_entry; /* ns */
	u64 runstate_time[4];
	/*
	 * the registered area: the page where it begins, held, and the offset in it; NULL: none. The one where it ends, held, if
	 * that is another one.
	 */
	struct page *runstate_page, *runstate_page2;
	unsigned int runstate_offset;
	gfn_t runstate_gfn, runstate_gfn2; /* where the guest had them when it registered it */

	/* NULL: none yet (vCPU > 0), then no event is delivered to it */
	struct vcpu_info *info;
	struct page *info_page; /* held; NULL while info is in shared_info */
	gfn_t info_gfn; /* where the guest had it when it registered it */

	/* SCHEDOP_poll */
	u32 poll_port; /* the one port polled, or 0: several */
	struct timer poll_timer;
	struct timer block_timer; /* the guest's own timer while it is blocked */
	struct timer singleshot_timer; /* VCPUOP_set_singleshot_timer */
	u64 singleshot_at; /* what that is, or was last, set to: ns of the domain's time */

	u32 virq_to_evtchn[NR_VIRQS]; /* under evtchn_lock */

	struct arch_vcpu *arch;
};

#define domain_for_each_vcpu(d, v, i) \
	for (i = 0; i < (d)->max_vcpus; i++) \
		if (((v) = (d)->vcpu[i]) != NULL)

extern struct domain *dom0; /* NULL until it is built */

/* All domains but the idle one, by number; hold domain_list_lock to walk. */
extern struct list_head domain_list;
extern struct spinlock domain_list_lock;

/*
 * Finds a domain and takes a reference; NULL if there is none. DOMID_SELF is the current one.
 * A dying domain is found until its structure is freed.
 */
struct domain *domain_get(domid_t id);
/*
 * The first domain with a number of at least id, with a reference; NULL: there is none. prev: NULL, or one before it that
 * the caller holds, and gives up.
 */
struct domain *domain_next(struct domain *prev, u32 id);

/* One more; the caller has one. */
static inline void domain_hold(struct domain *d)
{
	ASSERT(READ_ONCE(d->refs));
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}

void domain_put_last(struct domain *d); /* domain_put()'s other half */
static inline void domain_put(struct domain *d)
{
	ASSERT(READ_ONCE(d->refs));
	if (!__atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL))
		domain_put_last(d);
}

/* n more or fewer at once; the caller has one beside them, which stays. */
static inline void domain_hold_more(struct domain *d, u32 n)
{
	ASSERT(READ_ONCE(d->refs));
	__atomic_fetch_add(&d->refs, n, __ATOMIC_RELAXED);
}

static inline void domain_put_more(struct domain *d, u32 n)
{
	ASSERT(READ_ONCE(d->refs) > n);
	if (n)
		__atomic_fetch_sub(&d->refs, n, __ATOMIC_RELEASE);
}

/*
 * Creates a paused domain (controller_pauses is 1). *out is not held: not to be looked at where others can destroy it by its
 * number. Errors: -EEXIST, -ENOMEM, -EINVAL (also: no such CPU pool, or it has no hart).
 */
int domain_create(domid_t id, const struct xen_domctl_createdomain *config, struct domain **out);
/* The domain of the idle vCPUs, at boot. NULL: no memory. */
struct domain *domain_create_idle(unsigned int nr_harts);
/* A number that no domain has now: of those the one not given for longest. DOMID_INVALID: there is none. */
domid_t domain_free_id(void);
/*
 * Allocates vCPU number id (down, not initialised) unless it is there. -EINVAL: no such number, or d is dying. -ENOMEM.
 * Takes d->lock.
 */
int vcpu_create(struct domain *d, unsigned int id);

/* Stops all vCPUs and waits until none is on a hart (not for the current domain). Counted. */
void domain_pause(struct domain *d);
/* The same without waiting: for the current domain or under locks. */
void domain_pause_nosync(struct domain *d);
void domain_unpause(struct domain *d);
/*
 * The control domain's pauses, which nest; a new domain has one (xen/domctl.h, XEN_DOMCTL_pausedomain and unpausedomain).
 * -EOVERFLOW: MAX_CONTROLLER_PAUSES are held. -EINVAL: none is, or d is dying, or its state is not whole. -ERESTART (unpause): it
 * has more to do first. Take d->lock, and with FIFO event channels evtchn_lock.
 */
#define MAX_CONTROLLER_PAUSES 255
int domain_controller_pause(struct domain *d);
int domain_controller_unpause(struct domain *d);
/*
 * A store of d's has found no memory (image_fault()): d is paused as by XEN_DOMCTL_pausedomain, once for all its vCPUs, and the control domain gets
 * VIRQ_ENOMEM. Nothing if d is dying. Takes d->lock; does not wait.
 */
void domain_wait_for_memory(struct domain *d);
/* d has been given a state and is about to run for the first time: its time goes on. d->lock held. core/save.c */
void domain_state_starts(struct domain *d);
void vcpu_pause(struct vcpu *v);
void vcpu_unpause(struct vcpu *v);

/*
 * SCHEDOP_shutdown: marks the domain, stops its vCPUs, tells dom0 (VIRQ_DOM_EXC). For dom0 acts on
 * the machine.
 */
void domain_shutdown(struct domain *d, u8 reason);
/* SCHEDOP_watchdog: number i fires in so many ns, ~0: never. d->lock held. */
void domain_watchdog_set(struct domain *d, unsigned int i, u64 ns);
/* SCHEDOP_shutdown_code: the reason of the next shutdown, whatever that one says. Too late for one that is shut down. */
void domain_set_shutdown_reason(struct domain *d, u8 reason);
/*
 * The guest did what it must not: logs why and shuts it down with SHUTDOWN_crash. Any lock but
 * console's may be held.
 */
void domain_crash(struct domain *d, const char *fmt, ...) __printf(2, 3);
/*
 * SCHEDOP_shutdown's opposite for domains that resume after a suspend: all that it had is as before, but its watchdogs have all of
 * their time again. Nothing if d is not shut down. Takes d->lock.
 */
void domain_resume(struct domain *d);

/*
 * Destruction in bounded steps: -ERESTART while there is more to do, also for another hart that is at it; 0 when nothing but
 * references of others is left. The domain is paused for good at the first call. -EPERM: the control domain. Tries
 * kill_lock, and holds no other lock between steps.
 */
int domain_kill(struct domain *d);

/* The domain's system time (docs/abi.md, "Idle and time") when arch_time_ns() is ns. */
static inline u64 domain_ns(const struct domain *d, u64 ns)
{
	return ns + d->time_delta_ns;
}

/* And arch_time_ns() when that is ns: the earliest or last there is for what lies before or behind them. */
static inline u64 domain_host_ns(const struct domain *d, u64 ns)
{
	u64 host = ns - d->time_delta_ns;

	if (d->time_delta_ns > 0)
		return ns < (u64)d->time_delta_ns ? 0 : host;
	return host < ns ? ~0ULL : host;
}

static inline struct domain *current_domain(void)
{
	return arch_current()->domain;
}

#endif
