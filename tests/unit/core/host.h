/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host as an "architecture" under core/, with knobs, and the small world that tests run in:
 * dom0 (direct-mapped, 2 vCPUs) and two guests u1, u2 (2 vCPUs, 64 pages each).
 */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arch-api.h>
#include <console.h>
#include <control.h>
#include <cpupool.h>
#include <domain.h>
#include <event.h>
#include <grant.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <page.h>
#include <sched.h>
#include <timer.h>
#include <xsm.h>

#ifndef NR_HARTS
#define NR_HARTS 4
#endif
#define RAM_BASE_MFN 0x80000UL
#ifndef RAM_PAGES
#define RAM_PAGES 16384UL /* 64 MiB */
#endif
#define HOST_NS_PER_TICK 100
#define NR_TEST_PIRQS 64
#define UART_PIRQ 10 /* the hypervisor's own */

enum machine_end { RUNNING, POWEROFF, REBOOT, FAIL_DOM0, PANIC };

struct host {
	unsigned int hart;
	u64 now; /* ns */
	struct vcpu *current[NR_HARTS];
	struct domain *idle;
	u64 timer[NR_HARTS];
	u64 kicked; /* mask of harts */

	/* arch_preempt_pending() is true at each n-th call; 0: never */
	unsigned int preempt_every, preempt_calls;
	bool preempt_kicked; /* and whenever the hart has been kicked */

	/* guest memory: addresses in [fault_start, fault_end) fault; so does all after copies_left (< 0: never) */
	u64 time_step; /* ns that go by with each look at the clock */
	u64 fault_start, fault_end;
	long copies_left;

	/* the last arch_hypercall_restart() */
	unsigned int restarts, restart_nr;
	u64 restart_args[5];
	void (*between)(void); /* called between a hypercall's parts */

	bool log_broken, log_hole; /* host_log_kind() */
	bool walks_write; /* host_walks_write() */
	void (*flushed)(struct domain *d); /* always: p2m_flush() by core/, or by the log */

	/* P2M: so many maps and superpage splits work before -ENOMEM (< 0: all) */
	long maps_left, splits_left;
	/* Called once, then cleared: what "another hart" does at that moment. */
	void (*before_map)(void), (*before_unmap)(void), (*before_get)(void), (*after_get)(void);
	void (*after_unmap)(void), (*after_next)(void); /* p2m_unmap(), p2m_next() */
	void (*on_flush)(void); /* p2m_flush() by core/ */
	void (*on_scrub)(void), (*on_relax)(void), (*on_kick)(void);
	/*
	 * Always: a point at which another hart may come between (interleave.h), and what a spinning hart does instead of
	 * running those that were kicked.
	 */
	void (*point)(void), (*relax)(void);
	unsigned int relaxed; /* spins since the last hypercall: too many are a deadlock */

	bool pirq_enabled[NR_TEST_PIRQS];
	unsigned int pirq_eois[NR_TEST_PIRQS];

	/* END(): the machine's end comes here instead of failing the test */
	bool end_expected;
	enum machine_end end;
	jmp_buf end_jmp;

	void (*on_print)(const char *s, size_t n); /* always: the UART takes its time */
	char console[16384]; /* what the UART printed, the latest */
	size_t console_len;
	const char *typed; /* input that the UART has */
	bool rx_off; /* and keeps */
};

#define HOST_VLENB 16UL
struct arch_vcpu {
	unsigned int upcalls;
	bool has_interrupt;
	u64 deadline;
	struct vcpu_guest_context context;
	struct hvm_riscv_vcpu record; /* of the whole state what is the CPU's */
	struct {
		struct hvm_riscv_vector head;
		u8 regs[32 * HOST_VLENB];
	} vector;
	unsigned int starts; /* arch_vcpu_time_starts() */
};

extern struct host host;

void host_boot(void); /* once per program: RAM, idle vCPUs */
void host_reset(void); /* knobs back to harmless */
/* All of a domain's P2M. fn must not change it. */
void host_for_each_leaf(struct domain *d,
			void (*fn)(struct domain *d, gfn_t gfn, const struct p2m_entry *e));
/* broken: harts set no D, nor do they fault; hole: their walks set only A (AD_WALK_IGNORES_D). */
void host_log_kind(bool broken, bool hole);
/* Harts' walks of a guest's tables write through mappings that do not allow it (AD_WALK_IGNORES_W). */
void host_walks_write(bool write);
/* A hart reads or writes a frame of d's: A and D of its mapping. false: it would fault. */
bool host_touch(struct domain *d, gfn_t gfn, bool write);
/* How gfn is mapped; false: not at all. For tests only: core/ has p2m_get_page(). */
bool p2m_lookup(struct domain *d, gfn_t gfn, struct p2m_entry *e);
void console_clear(void);

/* ---- world.c ---- */

extern struct domain *u1, *u2;
extern u64 free_at_start;

int world_up(void **state);
int world_down(void **state); /* kills all and checks that no page is lost */

#define RAM_GFN (GUEST_RAM0_BASE >> PAGE_SHIFT)
#define U_PAGES 64

struct xen_domctl_createdomain default_config(unsigned int vcpus);
/* The privileged, direct-mapped one, with 2^order pages. */
struct domain *make_dom0(unsigned int vcpus, unsigned int order);
/* A running domain with so many vCPUs (up) and pages of RAM from RAM_GFN on. */
struct domain *make_domain(domid_t id, unsigned int vcpus, u64 pages);
/* The same, but paused, and its vCPUs have no context: it has never run. */
struct domain *make_paused_domain(domid_t id, unsigned int vcpus, u64 pages);
/* Kills to the end; the caller has no reference. */
void kill_domain(struct domain *d);
void *guest_page(struct domain *d, gfn_t gfn);

/* The vCPU on whose behalf hypercalls are made from here on (the scheduler knows nothing of it). */
void become(struct vcpu *v);
#define AS(d) become((d)->vcpu[0])

/* Lets the time pass on all harts, with timer interrupts. */
void advance(u64 ns);
/* Runs the exit path of a hart; returns who runs there then. */
struct vcpu *run_hart(unsigned int hart);
/* What kicked harts do, until no more are: in less than a hundred rounds. */
void run_kicked(void);
/* A pause of u1 by dom0 that waits for its vCPU 0, which runs; meanwhile another one unpauses: the pause ends, and counts no more. */
void pause_and_unpause_meanwhile(void);

/* Of all vCPUs only these run; the others are down. */
void only(unsigned int n, struct vcpu *v[]);

/* A hypercall of the current vCPU to its end, through all continuations. */
long hypercall(unsigned int nr, const u64 args[5]);
#define HC(nr, ...) hypercall(nr, (u64[5]){ __VA_ARGS__ })
#define U(x) ((u64)(uintptr_t)(x))
#define EVTCHN(op, p) HC(__HYPERVISOR_event_channel_op, op, U(p))
#define SCHED(op, p) HC(__HYPERVISOR_sched_op, op, U(p))
#define GNTTAB(op, p, n) HC(__HYPERVISOR_grant_table_op, op, U(p), n)
#define MEMORY(op, p) HC(__HYPERVISOR_memory_op, op, U(p))
#define VCPUOP(op, id, p) HC(__HYPERVISOR_vcpu_op, op, id, U(p))
long domctl(domid_t dom, u32 cmd, struct xen_domctl *op);
long sysctl(u32 cmd, struct xen_sysctl *op);
/* XEN_SYSCTL_CPUPOOL_OP_*, past the access check: arg is a hart's or a domain's number. A new pool's number, 0, or an error. */
long cpupool(u32 op, u32 id, u32 arg);
/* The harts (mask) that the vCPU may run on: of its pool those it is pinned to, or all. */
u64 may_use(const struct vcpu *v);

/* END(statement) == POWEROFF etc.: how the machine ended in it. */
#define END(stmt) \
	({ \
		host.end_expected = true; \
		host.end = RUNNING; \
		if (!setjmp(host.end_jmp)) { \
			stmt; \
		} \
		host.end_expected = false; \
		host.end; \
	})

/* ---- memory ---- */
void take_all_memory(void); /* every page and every small object */
void take_small_blocks(void); /* so that the next page that is freed is the next that is given */
void give_memory_back(void);
#define HOLE 0x60000UL /* u1 and u2 have nothing here */
/* memory_op for dom: a reservation's extents done; add_to_physmap and remove_from_physmap */
long reserve(unsigned int op, domid_t dom, xen_pfn_t *list, u64 n, unsigned int order);
long populate(domid_t dom, xen_pfn_t gfn, unsigned int order);
long decrease(domid_t dom, xen_pfn_t gfn, unsigned int order);
long add(domid_t dom, unsigned int space, unsigned long idx, gfn_t gfn);
long remove_gfn(domid_t dom, gfn_t gfn);

/* ---- events ---- */
evtchn_port_t unbound(struct domain *owner, domid_t remote); /* owner becomes current */
/* Connects; *a's and *b's ends. b becomes current. */
void join(struct domain *a, struct domain *b, evtchn_port_t *pa, evtchn_port_t *pb);
bool pending(struct domain *d, evtchn_port_t port);
void clear_pending(struct domain *d); /* as a guest's upcall handler does */

/* ---- grants ---- */
grant_entry_v1_t *grant_entry(struct domain *d, u32 ref);
void grant_access(struct domain *d, u32 ref, domid_t to, gfn_t gfn, u16 flags);
/* The current domain maps; returns the status, *handle. */
s16 map_grant(domid_t dom, u32 ref, gfn_t at, u32 flags, u32 *handle);
s16 unmap_grant(u32 handle, gfn_t at);

#define RUN(tests) \
	(cmocka_set_test_filter(getenv("CASE")), cmocka_run_group_tests(tests, NULL, NULL))
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_up, world_down)

#endif
