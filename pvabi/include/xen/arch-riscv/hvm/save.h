/* SPDX-License-Identifier: MIT */
/*
 * A domain's whole state but its memory, as XEN_DOMCTL_gethvmcontext tells it and XEN_DOMCTL_sethvmcontext takes it: records,
 * each behind a struct hvm_save_descriptor (hvm/save.h), the next one right behind it. docs/abi.md, "Whole state".
 *
 * They come in ascending order of type and instance, each at most once, HVM_SAVE_DOMAIN first and Xen's END (all 0) last.
 * Lengths are exact and multiples of 8, padding is 0, everything is little-endian.
 */
#ifndef __XEN_PUBLIC_HVM_SAVE_RISCV_H__
#define __XEN_PUBLIC_HVM_SAVE_RISCV_H__

/*
 * What a domain must not have to be told whole, and what get says then:
 *   -EBUSY       it is neither paused by the control domain nor shut down, or a set is under way; its event channels have the FIFO
 *                ABI, and the control domain has not paused it (that it is shut down is not enough: events would still be queued)
 *   -EXDEV       a port or a grant entry is for another domain than the control domain
 *   -EMLINK      it has others' granted pages mapped
 *   -ENODEV      it has a physical interrupt
 *   -ENXIO       the page of a registered area, control block or event words is no longer where the guest registered it
 *   -ENOSPC      the buffer is too small
 * What set says:
 *   -EBUSY       the domain has run already, or has been given a state, or it is not paused
 *   -EINVAL      a record is wrong (or the domain is dying, lacks a vCPU or the page of an area, block or words, or may not have so many ports)
 *   -EOPNOTSUPP  this machine has not what the guest had: the frequency of time, an address translation mode, vectors
 * A set that failed behind its first record leaves a domain that can only be destroyed.
 */

/*
 * A guest that is shut down with SHUTDOWN_suspend has suspended itself: what its kernel had registered is gone when SCHEDOP_shutdown
 * returns 0, and it registers all of it again (as Linux does after HYPERVISOR_suspend()). So of such a one get tells DOMAIN, VCPU and
 * VECTOR only, set takes nothing else behind a DOMAIN with HVM_DOMAIN_SUSPENDED (-EINVAL), and of the errors of get above there are
 * but -EBUSY and -ENOSPC: ports, areas, grants, its own and others', and shared_info's place do not come along. The vCPU that called has 0 in
 * a0, and pc behind the call. Runstates are 0, there is no watchdog and no single-shot timer.
 */

/* Once, instance 0. Numbers of a domain's own. */
#define HVM_SAVE_DOMAIN 1
#define HVM_DOMAIN_SUSPENDED (1ULL << 0)
#define HVM_DOMAIN_FIFO (1ULL << 1) /* its event channels have the FIFO ABI; never with the above */
#define HVM_DOMAIN_MAGIC 0x7661536573697650ULL /* "PviseSav" */
struct hvm_riscv_domain {
	uint64_t magic;
	uint32_t abi; /* PAVISE_ABI_VERSION */
	uint32_t max_vcpus; /* what it was created with; no vCPU below has a higher number */
	uint64_t timebase_frequency; /* Hz of its time CSR */
	uint64_t ticks; /* its time CSR; the first unpause goes on from here */
	/* the wall clock at that moment as the guest knows it, to tell how long it was away: get only, set passes it by */
	uint64_t wall_seconds, wall_nanoseconds;
	int64_t time_offset_seconds; /* XEN_DOMCTL_settimeoffset */
	uint64_t watchdog[2]; /* ns that are left, 0: not in use, HVM_NO_TIMER: it has run out */
	/*
	 * HVM_PARAM_*. Of a suspended one the ports are 0, and set passes these by but callback_irq: it gets its rings and ports, at the
	 * same frame numbers, as a new guest does.
	 */
	uint64_t callback_irq, store_pfn, store_evtchn, console_pfn, console_evtchn;
	uint64_t flags; /* HVM_DOMAIN_* */
};

/* Each vCPU that has a context; the others are down and have none. */
#define HVM_SAVE_VCPU 2
#define HVM_VCPU_UP (1U << 0) /* else it waits for SBI HSM hart_start or VCPUOP_up */
#define HVM_VCPU_USER (1U << 1) /* it was in user mode */
#define HVM_NO_TIMER (~0ULL)
struct hvm_riscv_vcpu {
	uint32_t flags; /* HVM_VCPU_* */
	uint32_t fcsr;
	struct vcpu_guest_core_regs regs;
	uint64_t f[32]; /* floating point */
	/* the supervisor CSRs as the guest sees them; sip: SSIP only */
	uint64_t sstatus, sie, sip, stvec, sscratch, sepc, scause, stval, satp;
	uint64_t scounteren, senvcfg;
	uint64_t stimecmp; /* ticks, of Sstc or the SBI's timer; HVM_NO_TIMER: none */
	uint64_t singleshot; /* VCPUOP_set_singleshot_timer: ns of its system time; HVM_NO_TIMER: none */
	uint64_t runstate_time[4]; /* ns */
};

/* The vector registers of each of these, on a machine that has some. */
#define HVM_SAVE_VECTOR 3
struct hvm_riscv_vector {
	uint64_t vstart, vcsr, vl, vtype;
	uint64_t vlenb; /* bytes of a register */
	/* v0 to v31, vlenb bytes each */
};

/* Of each vCPU that has registered one: where in its memory. */
#define HVM_SAVE_AREAS 4
#define HVM_NO_GFN (~0ULL)
struct hvm_riscv_areas {
	uint64_t vcpu_info_gfn; /* HVM_NO_GFN: none */
	uint64_t runstate_gfn; /* HVM_NO_GFN: none */
	uint64_t runstate_gfn2; /* where it ends, when that is another page, else HVM_NO_GFN */
	uint32_t vcpu_info_offset, runstate_offset; /* in the page where it begins */
};

/*
 * The ports in use, in ascending order: of instance n those from n * HVM_PORTS_MAX on, so many at most.
 * A port that was bound to the control domain arrives unbound, and open to it: so its back end connects anew.
 */
#define HVM_SAVE_PORTS 5
#define HVM_PORTS_MAX 128
/*
 * FIFO only (else SHARED_INFO says it): an event came that the guest may not have seen. It need not be in a queue: at its first
 * unpause such a port, or one whose word is pending, that is not masked and in none is put into one.
 */
#define HVM_PORT_PENDING (1U << 0)
struct hvm_riscv_port {
	uint32_t port;
	uint8_t state; /* EVTCHNSTAT_unbound, _interdomain, _virq, _ipi */
	uint8_t priority;
	uint16_t vcpu;
	uint16_t virq; /* of a virtual interrupt, else 0 */
	uint16_t flags; /* HVM_PORT_* */
	uint32_t remote_port; /* interdomain: the control domain's, which set passes by; else 0 */
};

/* Once, instance 0: the page. Set leaves wc_* as they are. */
#define HVM_SAVE_SHARED_INFO 6
#define HVM_SHARED_INFO_SIZE 4096

/* Each frame of the grant table, without GTF_reading and GTF_writing. */
#define HVM_SAVE_GRANTS 7
#define HVM_GRANTS_SIZE 4096

/*
 * Not of the hypervisor: libpavise's, between the last record, whatever its type, and END. Where shared_info and frames of the grant table are
 * mapped in the guest, as XENMEM_add_to_physmap puts them there. An array of at most HVM_LENT_MAX in one record.
 */
#define HVM_SAVE_LENT 8
#define HVM_LENT_MAX 4096
struct hvm_riscv_lent {
	uint64_t gfn;
	uint32_t space; /* XENMAPSPACE_shared_info or _grant_table */
	uint32_t index;
};

/*
 * FIFO only: where the pages of event words are, those of instance n from page n * HVM_FIFO_PAGES_MAX on, so many at most; each
 * instance but the last is full. What is in them is memory, as links and heads are, and none of it but pending bits changes while the
 * control domain has the domain paused: memory may be copied before or after the records, in that time, and put in its place before or
 * after the set, up to the first unpause.
 */
#define HVM_SAVE_FIFO_WORDS 9
#define HVM_FIFO_PAGES_MAX 16
struct hvm_riscv_fifo_words {
	/*
	 * Of an EVTCHNOP_expand_array that was interrupted, in the last record: so many ports below the end of the words have not
	 * been looked at for what came before their word was there, at most a page's. Else 0.
	 */
	uint64_t left;
	uint64_t gfn[HVM_FIFO_PAGES_MAX]; /* as many as there are pages: the record is so long */
};

/* FIFO only: of each vCPU that has a control block where that is, and what the guest does not know of its queues. */
#define HVM_SAVE_FIFO_VCPU 10
struct hvm_riscv_fifo_vcpu {
	uint64_t gfn;
	uint32_t offset;
	uint32_t padding;
	uint32_t tail[16]; /* of each queue the port that was put there last (it may have been taken off, or closed); 0: none yet */
};

#endif /* __XEN_PUBLIC_HVM_SAVE_RISCV_H__ */
