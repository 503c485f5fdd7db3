/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: a fair, preemptive, work-conserving one over all harts, with weights and caps.
 * core/sched.c, core/sched_share.c; core/runstate.c.
 */
#ifndef PAVISE_SCHED_H
#define PAVISE_SCHED_H

#include <domain.h>

/* Each hart once, with its idle vCPU. */
void sched_init_hart(unsigned int hart, struct vcpu *idle);

/* The default weight and no cap, for one that nobody else sees yet. */
void sched_domain_init(struct domain *d);
/* None of its vCPUs is on a hart, nor will be. Waits for its timer's function. */
void sched_domain_destroy(struct domain *d);
void sched_vcpu_init(struct vcpu *v);
void sched_vcpu_destroy(struct vcpu *v);

/* Puts the vCPU on the queue if nothing keeps it from running: for whoever has taken away what did. Any context. */
void vcpu_wake(struct vcpu *v);
/* vcpu_wake() after clearing VPF_BLOCKED and VPF_POLL: an event came. */
void vcpu_unblock(struct vcpu *v);
/* Makes a vCPU that something keeps from running now leave the queue, or its hart soon; does not wait. */
void vcpu_sleep_nosync(struct vcpu *v);
/* … and waits until it has left. Not for the current vCPU. */
void vcpu_sleep_sync(struct vcpu *v);

/*
 * The vCPU runs on these harts (mask, one that is there at least; 0: all) only; on all of its domain's pool while that has none of
 * them. One that is on another leaves it soon, one that waits is offered to those of them that are free.
 */
void vcpu_pin(struct vcpu *v, u64 harts);
/* Of the harts that it may use the vCPU prefers these (mask; 0: none), but waits for none of them while another is free. */
void vcpu_prefer(struct vcpu *v, u64 harts);
/* The same two masks, read. */
void vcpu_affinity(struct vcpu *v, u64 *harts, u64 *preferred);

/*
 * SCHEDOP_block and wfi: the current vCPU stops until an interrupt or event is pending (at once if
 * one is).
 */
void vcpu_block(void);
/*
 * The current vCPU has VPF_BLOCKED or VPF_POLL set and is about to wait: false if an event or an interrupt of its own is
 * pending already. Else its own timer, with Sstc nobody else's business, is watched and will end the wait.
 */
bool vcpu_may_wait(struct vcpu *v);
/* SCHEDOP_yield: the current vCPU gives way, once, to those that wait for its hart. */
void vcpu_yield(void);

/* Exit path of the hart: picks what runs next and switches. Returns with the new vCPU current. */
void schedule(void);

/* Runstate of a vCPU as Xen defines it, brought up to now. */
void vcpu_runstate_get(struct vcpu *v, struct vcpu_runstate_info *info);
/*
 * Registers the area and fills it: at offset in the guest's page gfn; it goes on at the start of gfn2 if it crosses the page's end (else
 * gfn2 is not looked at). -EINVAL: it is not aligned to 8 bytes, or not in RAM of the guest's own.
 */
long vcpu_runstate_register(struct vcpu *v, gfn_t gfn, gfn_t gfn2, unsigned int offset);
void vcpu_runstate_unregister(struct vcpu *v);
/* What it has been in is left as it is (time NULL), or was these; counts from now on. Takes its hart's lock. */
void vcpu_runstate_restart(struct vcpu *v, const u64 time[4]);
u64 vcpu_cpu_time(struct vcpu *v); /* ns */
u64 sched_idle_time(unsigned int hart); /* ns */
void sched_dump(void);

#endif
