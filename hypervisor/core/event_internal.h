/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between event.c (ports, bindings, the 2-level ABI), event_fifo.c (the FIFO ABI) and event_end.c (resets, a domain's end).
 * A domain begins with 2-level and changes to FIFO with its first EVTCHNOP_init_control; a reset changes it back.
 */
#ifndef PAVISE_EVENT_INTERNAL_H
#define PAVISE_EVENT_INTERNAL_H

#include <domain.h>
#include <lib.h>

#define CHUNK_SHIFT 7
#define CHUNK_PORTS (1U << CHUNK_SHIFT) /* a page of them */
#define MAX_PORTS_2L (sizeof(((struct shared_info *)0)->evtchn_pending) * 8) /* 4096 */
#define NR_CHUNKS_2L (MAX_PORTS_2L / CHUNK_PORTS)
#define NR_CHUNKS (EVTCHN_FIFO_NR_CHANNELS / CHUNK_PORTS)

struct evtchn {
	u8 state; /* EVTCHNSTAT_* */
	u8 priority; /* FIFO: the queue for its next event */
	u16 vcpu; /* notified */
	domid_t remote_domid; /* unbound: who may connect */
	/* FIFO, under fifo.lock; they outlive the port: it may still be on that queue when it is bound anew */
	u16 last_vcpu;
	u32 port;
	u8 last_priority;
	bool early; /* FIFO: became pending before its word was there, or while the queues stood still */
	union {
		struct {
			struct domain *domain; /* held for as long as we are connected */
			u32 port;
		} remote;
		u32 virq;
		u32 pirq;
	};
};

struct evtchn_fifo;

struct evtchn_state {
	/*
	 * The tables of chunks: small, and then large ones with FIFO, which stay. Senders read them without a lock of
	 * this domain's: the entries in use are the same in both.
	 */
	struct evtchn **chunk;
	u8 *used; /* ports in use of each chunk */
	struct evtchn *chunk_2l[NR_CHUNKS_2L];
	u8 used_2l[NR_CHUNKS_2L];
	u32 limit; /* max_ports with FIFO: what the domain was created with */
	u32 max_ports; /* 1 .. max_ports - 1 may be used */
	u32 active; /* ports in use */
	u32 next_chunk; /* no free port in one below */
	u32 reset_next; /* progress of EVTCHNOP_reset */
	u32 destroy_next, free_next; /* progress of destruction: ports, chunks */
	struct evtchn_fifo *fifo; /* NULL: 2-level */
};

/* A port that is in use, or one whose chunk is there. */
static inline struct evtchn *evtchn_at(struct evtchn_state *s, u32 port)
{
	return &s->chunk[port >> CHUNK_SHIFT][port & (CHUNK_PORTS - 1)];
}

/* evtchn_lock held. NULL: no such port in use. */
static inline struct evtchn *evtchn_get(struct domain *d, u32 port)
{
	struct evtchn_state *s = d->evtchn;
	struct evtchn *c;

	if (!port || port >= s->max_ports || !s->chunk[port >> CHUNK_SHIFT])
		return NULL;
	c = evtchn_at(s, port);
	return c->state == EVTCHNSTAT_closed ? NULL : c;
}

/* evtchn_lock held. The port, which is no longer closed, is in use from here on. */
static inline void evtchn_taken(struct domain *d, struct evtchn *c, u8 state)
{
	c->state = state;
	d->evtchn->used[c->port >> CHUNK_SHIFT]++;
	d->evtchn->active++;
}

static inline bool virq_is_global(u32 virq)
{
	return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF &&
	       virq != VIRQ_XENPMU;
}

/* No lock held. -EINVAL: no such port in use. */
long evtchn_close_port(struct domain *d, u32 port);

/* The vCPU has a new event: the upcall, unless one is on its way. v->info is there. */
void evtchn_upcall(struct vcpu *v);

/*
 * d's evtchn_lock is held, or c is connected to a port of a domain whose lock is held. Marks the event pending and puts it
 * on its queue. Returns whether it was not pending before. Takes fifo.lock.
 */
bool fifo_set_pending(struct domain *d, struct evtchn *c);
/* evtchn_lock held. Unmasks, and links what is pending. */
void fifo_unmask(struct domain *d, struct evtchn *c);
void fifo_clear_pending(struct domain *d, struct evtchn *c);
bool fifo_is_pending(struct domain *d, const struct evtchn *c);
bool fifo_is_masked(struct domain *d, const struct evtchn *c);
/* evtchn_lock held, no port in use, or the domain is being freed. Back to 2-level; gives the guest's pages back. */
void fifo_destroy(struct domain *d);

#endif
