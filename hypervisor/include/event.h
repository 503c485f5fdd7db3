/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: what the rest of the hypervisor asks of core/event.c.
 */
#ifndef PAVISE_EVENT_H
#define PAVISE_EVENT_H

#include <domain.h>

int evtchn_init(struct domain *d,
		u32 max_port); /* the highest that it may have; ~0: as the ABI has */
/*
 * Closes all ports in bounded steps: -ERESTART while more are left. The domain is paused and dying.
 */
int evtchn_destroy(struct domain *d);
void evtchn_free(struct domain *d);

void send_guest_vcpu_virq(struct vcpu *v, unsigned int virq);
void send_guest_global_virq(struct domain *d, unsigned int virq); /* d may be NULL */
/* The domain does not listen, or has not taken the last one yet. Takes evtchn_lock. d may be NULL. */
bool guest_global_virq_waits(struct domain *d, unsigned int virq);
/*
 * A physical interrupt was claimed: false when nobody has it bound (the caller then completes and
 * disables it).
 */
bool send_guest_pirq(struct domain *d, unsigned int pirq);

/* vcpu_info has been registered: marks everything pending so that nothing is lost. */
void evtchn_vcpu_info_changed(struct vcpu *v);
/* Something is pending for the vCPU (evtchn_upcall_pending). */
static inline bool vcpu_event_pending(struct vcpu *v)
{
	struct vcpu_info *info = READ_ONCE(v->info); /* goes at the domain's death */

	return info && READ_ONCE(info->evtchn_upcall_pending);
}

/* The port, which may be none, has an event that the guest has not taken. Takes evtchn_lock with FIFO. */
bool evtchn_is_pending(struct domain *d, u32 port);
/* The number is one that the domain's ABI and limit know. */
bool evtchn_port_may_exist(struct domain *d, u32 port);

/*
 * With FIFO: the control domain has paused d, and no vCPU of it is on a hart. From here on no sender changes the guest's blocks and
 * queues, nor, but for the pending bit of one that is on its way, words: events wait. Takes evtchn_lock; d->lock may be held.
 */
void fifo_stand_still(struct domain *d);
/* It is about to be let go on: puts what waited into the queues. -ERESTART: more to do, it must stay paused. The same locks. */
int fifo_move_again(struct domain *d);

/* ---- records of a domain that does not run (xen/arch-riscv/hvm/save.h). All take evtchn_lock ---- */

bool evtchn_has_fifo(const struct domain *d);
/* How many instances there may be of HVM_SAVE_PORTS, and with FIFO of HVM_SAVE_FIFO_WORDS (else 0). */
u32 evtchn_save_instances(const struct domain *d);
u32 evtchn_save_fifo_instances(const struct domain *d);
/*
 * The ports of an instance to list, which has room for HVM_PORTS_MAX. Returns how many, or -EXDEV, -ENODEV; -EBUSY: FIFO, and the
 * queues do not stand still.
 */
int evtchn_save(struct domain *d, u32 instance, struct hvm_riscv_port *list);
/* To bytes; 0: there is none. -EBUSY: as above. -ENXIO: a page is no longer where the guest had it. */
int evtchn_save_fifo_words(struct domain *d, u32 instance, struct hvm_riscv_fifo_words *r);
int evtchn_save_fifo_vcpu(struct domain *d, u32 vcpu, struct hvm_riscv_fifo_vcpu *r);
/*
 * And back: -EINVAL: what is not so told, or cannot be the domain's; -ENOMEM. A part of it may have been made by then. FIFO first:
 * the domain has it then, standing still. PORTS leave alone what is pending with 2-level: shared_info has that.
 */
int evtchn_restore_fifo(struct domain *d);
int evtchn_restore(struct domain *d, u32 instance, const struct hvm_riscv_port *list, u32 n);
int evtchn_restore_fifo_words(struct domain *d, u32 instance, const struct hvm_riscv_fifo_words *r,
			      u32 pages);
int evtchn_restore_fifo_vcpu(struct domain *d, u32 vcpu, const struct hvm_riscv_fifo_vcpu *r);

/* Debug key e: prints up to *lines ports, which are taken off it, and how many more there are. Takes evtchn_lock, not for long. */
void evtchn_dump(struct domain *d, unsigned int *lines);
int evtchn_count(struct domain *d); /* ports in use */

#endif
