/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: a domain's ports as records of its whole state, and back (xen/arch-riscv/hvm/save.h). What FIFO has more, its
 * pages and queues, is event_fifo_save.c's.
 */
#include <event.h>
#include <event_fifo.h>
#include <lib.h>
#include <xsm.h>

_Static_assert(HVM_PORTS_MAX == CHUNK_PORTS, "instances");

bool evtchn_has_fifo(const struct domain *d)
{
	return READ_ONCE(d->evtchn->fifo);
}

u32 evtchn_save_instances(const struct domain *d)
{
	return DIV_ROUND_UP(READ_ONCE(d->evtchn->max_ports), HVM_PORTS_MAX);
}

/* evtchn_lock held. */
static int save_port(struct domain *d, const struct evtchn *c, struct hvm_riscv_port *r)
{
	*r = (struct hvm_riscv_port){
		.port = c->port, .state = c->state, .priority = c->priority, .vcpu = c->vcpu
	};
	/* Whether it is in its queue too: then it stays there. */
	if (d->evtchn->fifo && fifo_is_pending(d, c))
		r->flags = HVM_PORT_PENDING;
	switch (c->state) {
	case EVTCHNSTAT_unbound:
		return c->remote_domid == dom0->id ? 0 : -EXDEV;
	case EVTCHNSTAT_interdomain:
		r->remote_port = c->remote.port;
		return c->remote.domain == dom0 ? 0 : -EXDEV;
	case EVTCHNSTAT_virq:
		r->virq = c->virq;
		return 0;
	case EVTCHNSTAT_ipi:
		return 0;
	default:
		return -ENODEV;
	}
}

int evtchn_save(struct domain *d, u32 instance, struct hvm_riscv_port *list)
{
	struct evtchn_state *s = d->evtchn;
	int n = 0, rc = 0;

	spin_lock(&d->evtchn_lock);
	if (s->fifo && !s->fifo->still)
		rc = -EBUSY;
	for (u32 i = 0; !rc && i < CHUNK_PORTS; i++) {
		const struct evtchn *c = evtchn_get(d, (instance << CHUNK_SHIFT) + i);

		if (c)
			rc = save_port(d, c, &list[n++]);
	}
	spin_unlock(&d->evtchn_lock);
	return rc ? rc : n;
}

/* evtchn_lock held. What of a record can be said without its port. */
static bool may_be(struct domain *d, const struct hvm_riscv_port *r)
{
	if (r->vcpu >= d->max_vcpus || !d->vcpu[r->vcpu] || r->priority > EVTCHN_FIFO_PRIORITY_MIN)
		return false;
	if (r->flags & ~HVM_PORT_PENDING || (r->flags && !d->evtchn->fifo))
		return false;
	if (r->state != EVTCHNSTAT_virq && r->virq)
		return false;
	if (r->state != EVTCHNSTAT_interdomain && r->remote_port)
		return false;
	switch (r->state) {
	case EVTCHNSTAT_unbound:
	case EVTCHNSTAT_interdomain:
	case EVTCHNSTAT_ipi:
		return true;
	case EVTCHNSTAT_virq:
		return r->virq < NR_VIRQS && xsm_may_bind_virq(d, virq_is_global(r->virq)) &&
		       !d->vcpu[virq_is_global(r->virq) ? 0 : r->vcpu]->virq_to_evtchn[r->virq];
	default:
		return false;
	}
}

/* evtchn_lock held. */
static int restore_port(struct domain *d, const struct hvm_riscv_port *r)
{
	struct evtchn_state *s = d->evtchn;
	struct evtchn **chunk = &s->chunk[r->port >> CHUNK_SHIFT], *c;
	u8 state = r->state;

	if (!may_be(d, r))
		return -EINVAL;
	if (!*chunk)
		*chunk = xzalloc(CHUNK_PORTS * sizeof(**chunk));
	if (!*chunk)
		return -ENOMEM;
	c = evtchn_at(s, r->port);
	if (c->state != EVTCHNSTAT_closed)
		return -EINVAL;
	c->port = r->port;
	c->vcpu = r->vcpu;
	c->priority = r->priority;
	/* fifo_move_again() delivers it, from wherever its word is. */
	c->early = r->flags & HVM_PORT_PENDING;
	c->remote_domid = 0;
	c->remote.domain = NULL;
	c->remote.port = 0;
	if (state == EVTCHNSTAT_unbound || state == EVTCHNSTAT_interdomain) {
		state = EVTCHNSTAT_unbound;
		c->remote_domid = dom0->id;
	} else if (state == EVTCHNSTAT_virq) {
		c->virq = r->virq;
		d->vcpu[virq_is_global(r->virq) ? 0 : r->vcpu]->virq_to_evtchn[r->virq] = r->port;
	}
	evtchn_taken(d, c, state);
	return 0;
}

int evtchn_restore(struct domain *d, u32 instance, const struct hvm_riscv_port *list, u32 n)
{
	struct evtchn_state *s = d->evtchn;
	u32 next = max(instance << CHUNK_SHIFT, 1U), end;
	int rc = 0;

	if (instance >= evtchn_save_instances(d))
		return -EINVAL;
	spin_lock(&d->evtchn_lock);
	end = min((instance + 1) << CHUNK_SHIFT, s->max_ports);
	if (d->dying)
		rc = -EINVAL;
	for (u32 i = 0; !rc && i < n; i++) {
		rc = list[i].port >= next && list[i].port < end ? restore_port(d, &list[i]) :
								  -EINVAL;
		next = list[i].port + 1;
	}
	spin_unlock(&d->evtchn_lock);
	return rc;
}
