/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: ports, their bindings, and delivery through the 2-level bitmaps of shared_info
 * (event_fifo.c has the other ABI, event_end.c how all of a domain's ports end). A domain's ports are under its evtchn_lock; the pending and mask words are shared with
 * the guest and atomic.
 */
#include <event.h>
#include <event_internal.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <lock.h>
#include <sched.h>
#include <xsm.h>

#define MAX_PIRQS 1024

/* Physical interrupts: who has them. Outside nothing, inside evtchn_lock. */
static struct spinlock pirq_lock = SPINLOCK_INIT(LOCK_PIRQ);
static struct {
	struct domain *domain;
	u32 port;
} pirqs[MAX_PIRQS];

static void clear_pending(struct domain *d, struct evtchn *c)
{
	if (d->evtchn->fifo)
		fifo_clear_pending(d, c);
	else
		clear_bit(c->port, d->shared_info->evtchn_pending);
}

int evtchn_init(struct domain *d, u32 max_port)
{
	struct evtchn_state *s = xzalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->chunk = s->chunk_2l;
	s->used = s->used_2l;
	s->limit = max_port >= EVTCHN_FIFO_NR_CHANNELS ? EVTCHN_FIFO_NR_CHANNELS : max_port + 1;
	s->max_ports = min(s->limit, (u32)MAX_PORTS_2L);
	d->evtchn = s;
	return 0;
}

/* evtchn_lock held. The chunk with the lowest free port, allocated if need be. */
static int find_chunk(struct evtchn_state *s, u32 *index)
{
	u32 i = s->next_chunk;

	/* At most 1024 looks. */
	while (i < DIV_ROUND_UP(s->max_ports, CHUNK_PORTS) && s->used[i] == CHUNK_PORTS - !i)
		i++;
	s->next_chunk = i;
	if (i >= DIV_ROUND_UP(s->max_ports, CHUNK_PORTS))
		return -ENOSPC;
	if (!s->chunk[i]) {
		s->chunk[i] = xzalloc(CHUNK_PORTS * sizeof(**s->chunk));
		if (!s->chunk[i])
			return -ENOMEM;
	}
	*index = i;
	return 0;
}

/* evtchn_lock held. The lowest free port. The caller sets its state, and calls evtchn_taken(). */
static int port_alloc(struct domain *d, struct evtchn **out)
{
	struct evtchn_state *s = d->evtchn;
	struct evtchn *c;
	u32 index, port;
	int rc;

	if (d->dying)
		return -EINVAL;
	rc = find_chunk(s, &index);
	if (rc)
		return rc;
	port = max(index << CHUNK_SHIFT, 1U);
	while (evtchn_at(s, port)->state != EVTCHNSTAT_closed)
		port++; /* it has a free one */
	if (port >= s->max_ports)
		return -ENOSPC;
	c = evtchn_at(s, port);
	c->port = port;
	c->vcpu = 0;
	c->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	c->remote_domid = 0;
	c->remote.domain = NULL;
	c->remote.port = 0;
	/* Events of an earlier life are not for the new owner. */
	clear_pending(d, c);
	*out = c;
	return 0;
}

static void port_free(struct domain *d, struct evtchn *c)
{
	struct evtchn_state *s = d->evtchn;
	u32 chunk = c->port >> CHUNK_SHIFT;

	c->state = EVTCHNSTAT_closed;
	clear_pending(d, c);
	s->used[chunk]--;
	s->active--;
	s->next_chunk = min(s->next_chunk, chunk);
}

/* Two domains' locks, lower address first; they may be the same one. */
static void lock_both(struct domain *a, struct domain *b)
{
	if (a == b) {
		spin_lock(&a->evtchn_lock);
		return;
	}
	spin_lock(a < b ? &a->evtchn_lock : &b->evtchn_lock);
	spin_lock(a < b ? &b->evtchn_lock : &a->evtchn_lock);
}

static void unlock_both(struct domain *a, struct domain *b)
{
	spin_unlock(&a->evtchn_lock);
	if (a != b)
		spin_unlock(&b->evtchn_lock);
}

/* ---- delivery ---- */

void evtchn_upcall(struct vcpu *v)
{
	/* The byte is a word's first, and the bit its lowest: there are atomic operations on words only. */
	u32 *word = (u32 *)&v->info->evtchn_upcall_pending;

	if (__atomic_fetch_or(word, 1, __ATOMIC_SEQ_CST) & 0xff)
		return;
	arch_raise_upcall(v);
	vcpu_unblock(v);
}

/* The selector word is shared with the guest, which clears it before it reads the pending words. */
static void select_port(struct vcpu *v, u32 port)
{
	u64 bit = BIT(port / 64);

	if (!v->info)
		return;
	if (!(__atomic_fetch_or(&v->info->evtchn_pending_sel, bit, __ATOMIC_SEQ_CST) & bit))
		evtchn_upcall(v);
}

static __noinline void unblock_pollers(struct domain *d, u32 port)
{
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i) {
		if (READ_ONCE(v->pause_flags) & BIT(VPF_POLL) &&
		    (READ_ONCE(v->poll_port) == port || !READ_ONCE(v->poll_port)))
			vcpu_unblock(v);
	}
}

/* Mostly nobody polls: a loop that calls nothing. */
static void wake_pollers(struct domain *d, u32 port)
{
	struct vcpu **v = d->vcpu, **end = v + d->max_vcpus;

	for (; v < end; v++) {
		if (*v && READ_ONCE((*v)->pause_flags) & BIT(VPF_POLL)) {
			unblock_pollers(d, port);
			return;
		}
	}
}

/* set_pending()'s second half: a 2-level port's bit is set and was not, or the domain has FIFO. */
static __noinline void deliver(struct domain *d, struct evtchn *c)
{
	struct shared_info *s = d->shared_info;
	struct vcpu *v = d->vcpu[c->vcpu];

	/* After the bit: a domain that changes to FIFO finds the bit, or we find the change. */
	if (!READ_ONCE(d->evtchn->fifo)) {
		if (!test_bit(c->port, s->evtchn_mask) && v)
			select_port(v, c->port);
		wake_pollers(d, c->port);
	} else if (fifo_set_pending(d, c)) {
		wake_pollers(d, c->port);
	}
}

/* evtchn_lock of d held, or the port cannot go away. Returns whether deliver() has to follow. */
static __force_inline bool mark_pending(struct domain *d, const struct evtchn *c)
{
	return READ_ONCE(d->evtchn->fifo) ||
	       !test_and_set_bit(c->port, d->shared_info->evtchn_pending);
}

/* The same lock, or the same reason. */
static inline void set_pending(struct domain *d, struct evtchn *c)
{
	if (mark_pending(d, c))
		deliver(d, c);
}

bool evtchn_is_pending(struct domain *d, u32 port)
{
	struct evtchn *c;
	bool pending;

	if (!READ_ONCE(d->evtchn->fifo) && port < MAX_PORTS_2L)
		return test_bit(port, d->shared_info->evtchn_pending);
	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, port);
	if (d->evtchn->fifo)
		pending = c && fifo_is_pending(d, c);
	else
		pending = c && test_bit(port, d->shared_info->evtchn_pending);
	spin_unlock(&d->evtchn_lock);
	return pending;
}

bool evtchn_port_may_exist(struct domain *d, u32 port)
{
	return port < READ_ONCE(d->evtchn->max_ports);
}

void evtchn_vcpu_info_changed(struct vcpu *v)
{
	__atomic_store_n(&v->info->evtchn_pending_sel, ~0UL, __ATOMIC_SEQ_CST);
	__atomic_store_n(&v->info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
	evtchn_upcall(v);
}

/* locked's evtchn_lock is held. Delivers c's event to d, and lets go of the lock. */
static __noinline long deliver_and_unlock(struct domain *d, struct evtchn *c, struct domain *locked)
{
	deliver(d, c);
	spin_unlock(&locked->evtchn_lock);
	return 0;
}

/* Needs no stack: what calls something else is at the end of it. */
static __force_inline long send(u32 port)
{
	struct domain *d = current_domain(), *rd = d;
	struct evtchn *c;
	long rc = 0;

	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, port);
	if (unlikely(!c)) {
		rc = -EINVAL;
	} else if (likely(c->state == EVTCHNSTAT_interdomain || c->state == EVTCHNSTAT_ipi)) {
		/* The other end's lock is not needed: it cannot close without ours. */
		if (c->state == EVTCHNSTAT_interdomain) {
			rd = c->remote.domain;
			c = evtchn_at(rd->evtchn, c->remote.port);
		}
		if (mark_pending(rd, c))
			return deliver_and_unlock(rd, c, d);
	} else if (c->state != EVTCHNSTAT_unbound) { /* nobody listens: silently dropped */
		rc = -EINVAL;
	}
	spin_unlock(&d->evtchn_lock);
	return rc;
}

static __noinline long send_unaligned(u64 arg)
{
	struct evtchn_send a;

	return copy_from_guest(&a, arg, sizeof(a)) ? -EFAULT : send(a.port);
}

/* Raw, for its one word. */
long evtchn_send_op(u64 cmd, u64 arg, u64 arg3)
{
	evtchn_port_t port;

	(void)cmd;
	(void)arg3;
	if (unlikely(!copy_u32_is_inline(arg)))
		return send_unaligned(arg);
	return copy_u32_from_guest(&port, arg) ? -EFAULT : send(port);
}

long evtchn_unmask_op(struct evtchn_unmask *a)
{
	struct domain *d = current_domain();
	struct shared_info *s = d->shared_info;
	struct evtchn *c;
	long rc = 0;

	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, a->port);
	if (!c) {
		rc = -EINVAL;
	} else if (d->evtchn->fifo) {
		fifo_unmask(d, c);
	} else if (test_and_clear_bit(a->port, s->evtchn_mask) &&
		   test_bit(a->port, s->evtchn_pending) && d->vcpu[c->vcpu]) {
		select_port(d->vcpu[c->vcpu], a->port);
	}
	spin_unlock(&d->evtchn_lock);
	return rc;
}

/* ---- virtual interrupts ---- */

void send_guest_vcpu_virq(struct vcpu *v, unsigned int virq)
{
	struct domain *d = v->domain;
	struct evtchn *c;

	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, v->virq_to_evtchn[virq]);
	if (c && c->state == EVTCHNSTAT_virq && c->virq == virq)
		set_pending(d, c);
	spin_unlock(&d->evtchn_lock);
}

void send_guest_global_virq(struct domain *d, unsigned int virq)
{
	if (d && d->vcpu[0])
		send_guest_vcpu_virq(d->vcpu[0], virq);
}

bool guest_global_virq_waits(struct domain *d, unsigned int virq)
{
	u32 port = d && d->vcpu[0] ? READ_ONCE(d->vcpu[0]->virq_to_evtchn[virq]) : 0;

	return !port || evtchn_is_pending(d, port);
}

long evtchn_bind_virq(struct evtchn_bind_virq *a)
{
	struct domain *d = current_domain();
	struct evtchn *c;
	struct vcpu *v;
	long rc;

	if (a->virq >= NR_VIRQS || a->vcpu >= d->max_vcpus || !d->vcpu[a->vcpu])
		return a->virq >= NR_VIRQS ? -EINVAL : -ENOENT;
	/* Global ones are bound on vCPU 0 first, and are the control domain's. */
	if (virq_is_global(a->virq) && a->vcpu)
		return -EINVAL;
	if (!xsm_may_bind_virq(d, virq_is_global(a->virq)))
		return -EPERM;
	v = d->vcpu[a->vcpu];
	spin_lock(&d->evtchn_lock);
	if (v->virq_to_evtchn[a->virq]) {
		rc = -EEXIST;
		goto out;
	}
	rc = port_alloc(d, &c);
	if (rc)
		goto out;
	evtchn_taken(d, c, EVTCHNSTAT_virq);
	c->vcpu = a->vcpu;
	c->virq = a->virq;
	v->virq_to_evtchn[a->virq] = a->port = c->port;
out:
	spin_unlock(&d->evtchn_lock);
	return rc;
}

long evtchn_bind_ipi(struct evtchn_bind_ipi *a)
{
	struct domain *d = current_domain();
	struct evtchn *c;
	long rc;

	if (a->vcpu >= d->max_vcpus || !d->vcpu[a->vcpu])
		return -ENOENT;
	spin_lock(&d->evtchn_lock);
	rc = port_alloc(d, &c);
	if (!rc) {
		evtchn_taken(d, c, EVTCHNSTAT_ipi);
		c->vcpu = a->vcpu;
		a->port = c->port;
	}
	spin_unlock(&d->evtchn_lock);
	return rc;
}

/* ---- physical interrupts ---- */

bool send_guest_pirq(struct domain *d, unsigned int pirq)
{
	struct evtchn *c = NULL;
	u32 port = 0;

	if (!d || pirq >= MAX_PIRQS)
		return false;
	spin_lock(&pirq_lock);
	if (pirqs[pirq].domain == d)
		port = pirqs[pirq].port;
	spin_unlock(&pirq_lock);
	if (!port)
		return false;
	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, port);
	if (c && c->state == EVTCHNSTAT_pirq && c->pirq == pirq)
		set_pending(d, c);
	else
		c = NULL;
	spin_unlock(&d->evtchn_lock);
	return c != NULL;
}

long evtchn_bind_pirq(struct evtchn_bind_pirq *a)
{
	struct domain *d = current_domain();
	struct evtchn *c;
	long rc;

	if (a->pirq >= min(arch_nr_pirqs(), (unsigned int)MAX_PIRQS))
		return -EINVAL;
	if (!xsm_may_use_pirq(d, a->pirq))
		return -EPERM;
	spin_lock(&d->evtchn_lock);
	rc = port_alloc(d, &c);
	if (rc)
		goto out;
	spin_lock(&pirq_lock);
	if (pirqs[a->pirq].domain) {
		rc = -EEXIST;
	} else {
		pirqs[a->pirq].domain = d;
		pirqs[a->pirq].port = c->port;
		evtchn_taken(d, c, EVTCHNSTAT_pirq);
		c->pirq = a->pirq;
		a->port = c->port;
	}
	spin_unlock(&pirq_lock);
	if (!rc)
		arch_pirq_enable(a->pirq);
out:
	spin_unlock(&d->evtchn_lock);
	return rc;
}

/* evtchn_lock held */
static void unbind_pirq(struct evtchn *c)
{
	arch_pirq_disable(c->pirq);
	spin_lock(&pirq_lock);
	pirqs[c->pirq].domain = NULL;
	pirqs[c->pirq].port = 0;
	spin_unlock(&pirq_lock);
}

/* ---- between domains ---- */

long evtchn_alloc_unbound(struct evtchn_alloc_unbound *a)
{
	domid_t remote = a->remote_dom == DOMID_SELF ? current_domain()->id : a->remote_dom;
	struct evtchn *c;
	struct domain *d;
	long rc;

	d = xsm_target(a->dom, &rc);
	if (!d)
		return rc;
	rc = xsm_may_offer(remote);
	if (rc) {
		domain_put(d);
		return rc;
	}
	spin_lock(&d->evtchn_lock);
	rc = port_alloc(d, &c);
	if (!rc) {
		evtchn_taken(d, c, EVTCHNSTAT_unbound);
		c->remote_domid = remote;
		a->port = c->port;
	}
	spin_unlock(&d->evtchn_lock);
	domain_put(d);
	return rc;
}

long evtchn_bind_interdomain(struct evtchn_bind_interdomain *a)
{
	struct domain *ld = current_domain(), *rd;
	struct evtchn *lc, *rc_port;
	long rc;

	rd = domain_get(a->remote_dom);
	if (!rd)
		return -ESRCH;
	lock_both(ld, rd);
	rc_port = evtchn_get(rd, a->remote_port);
	/* A domain may also connect to a port of its own that it offered to itself. */
	if (!rc_port || rc_port->state != EVTCHNSTAT_unbound || rc_port->remote_domid != ld->id ||
	    rd->dying || !xsm_may_talk(ld, rd)) {
		rc = -EINVAL;
		goto out;
	}
	rc = port_alloc(ld, &lc);
	if (rc)
		goto out;
	/* Each end holds the other's domain: neither structure goes away under a send. */
	domain_hold(rd);
	domain_hold(ld);
	evtchn_taken(ld, lc, EVTCHNSTAT_interdomain);
	lc->remote.domain = rd;
	lc->remote.port = a->remote_port;
	rc_port->remote.domain = ld;
	rc_port->remote.port = lc->port;
	rc_port->state = EVTCHNSTAT_interdomain;
	a->local_port = lc->port;
	/* Something may have been sent to us before we connected. */
	set_pending(ld, lc);
out:
	unlock_both(ld, rd);
	domain_put(rd);
	return rc;
}

/* Nothing held. Closes an interdomain port: the other end becomes unbound, open to us only. */
static long close_interdomain(struct domain *d, u32 port)
{
	struct domain *rd;
	struct evtchn *c, *other;

	/*
	 * Both locks are needed, and the other's domain is known only under ours: look, then lock
	 * both, then look again.
	 */
	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, port);
	if (!c || c->state != EVTCHNSTAT_interdomain) {
		spin_unlock(&d->evtchn_lock);
		return -EAGAIN;
	}
	rd = c->remote.domain;
	domain_hold(rd);
	spin_unlock(&d->evtchn_lock);

	lock_both(d, rd);
	c = evtchn_get(d, port);
	if (!c || c->state != EVTCHNSTAT_interdomain || c->remote.domain != rd) {
		unlock_both(d, rd);
		domain_put(rd);
		return -EAGAIN;
	}
	other = evtchn_get(rd, c->remote.port);
	other->state = EVTCHNSTAT_unbound;
	other->remote_domid = d->id;
	other->remote.domain = NULL;
	/* It may have died between what it wrote for its peer and the notification of that. */
	if (d->dying && !rd->dying)
		set_pending(rd, other);
	port_free(d, c);
	unlock_both(d, rd);
	domain_put(rd); /* ours */
	domain_put(rd); /* the connection's */
	domain_put(d); /* the connection's, of the other end */
	return 0;
}

long evtchn_close_port(struct domain *d, u32 port)
{
	struct evtchn *c;
	long rc;

	for (;;) {
		rc = 0;
		spin_lock(&d->evtchn_lock);
		c = evtchn_get(d, port);
		if (!c) {
			rc = -EINVAL;
			break;
		}
		if (c->state == EVTCHNSTAT_interdomain) {
			spin_unlock(&d->evtchn_lock);
			/* -EAGAIN: it changed under us; each turn means another's progress. */
			rc = close_interdomain(d, port);
			if (rc == -EAGAIN)
				continue;
			return rc;
		}
		if (c->state == EVTCHNSTAT_virq)
			for (unsigned int i = 0; i < d->max_vcpus; i++) {
				if (d->vcpu[i] && d->vcpu[i]->virq_to_evtchn[c->virq] == port)
					d->vcpu[i]->virq_to_evtchn[c->virq] = 0;
			}
		else if (c->state == EVTCHNSTAT_pirq)
			unbind_pirq(c);
		port_free(d, c);
		break;
	}
	spin_unlock(&d->evtchn_lock);
	return rc;
}

long evtchn_close_op(struct evtchn_close *a)
{
	return evtchn_close_port(current_domain(), a->port);
}

long evtchn_bind_vcpu(struct evtchn_bind_vcpu *a)
{
	struct domain *d = current_domain();
	struct evtchn *c;
	long rc = 0;

	if (a->vcpu >= d->max_vcpus || !d->vcpu[a->vcpu])
		return -ENOENT;
	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, a->port);
	if (!c || c->state == EVTCHNSTAT_ipi ||
	    (c->state == EVTCHNSTAT_virq && !virq_is_global(c->virq)))
		rc = -EINVAL;
	else
		WRITE_ONCE(c->vcpu, a->vcpu);
	spin_unlock(&d->evtchn_lock);
	return rc;
}

long evtchn_status_op(struct evtchn_status *a)
{
	struct evtchn *c;
	struct domain *d;
	long rc;

	d = xsm_target(a->dom, &rc);
	if (!d)
		return rc;
	rc = 0;
	spin_lock(&d->evtchn_lock);
	if (a->port >= d->evtchn->max_ports) {
		rc = -EINVAL;
		goto out;
	}
	c = evtchn_get(d, a->port);
	a->status = c ? c->state : EVTCHNSTAT_closed;
	a->vcpu = c ? c->vcpu : 0;
	if (!c)
		goto out;
	switch (c->state) {
	case EVTCHNSTAT_unbound:
		a->u.unbound.dom = c->remote_domid;
		break;
	case EVTCHNSTAT_interdomain:
		a->u.interdomain.dom = c->remote.domain->id;
		a->u.interdomain.port = c->remote.port;
		break;
	case EVTCHNSTAT_pirq:
		a->u.pirq = c->pirq;
		break;
	case EVTCHNSTAT_virq:
		a->u.virq = c->virq;
		break;
	}
out:
	spin_unlock(&d->evtchn_lock);
	domain_put(d);
	return rc;
}
