/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: what the FIFO ABI adds to records of a domain's whole state, and back (xen/arch-riscv/hvm/save.h).
 *
 * Of a stream comes where words and blocks are, and which port is a queue's tail. A tail's word is written when the queue's next event
 * comes, so it has to be there. last_vcpu and last_priority are not told: they matter of a port that is some queue's tail, and then say
 * which one.
 */
#include <event.h>
#include <event_fifo.h>
#include <lib.h>

_Static_assert(sizeof(((struct hvm_riscv_fifo_vcpu *)0)->tail) ==
		       sizeof(((struct fifo_vcpu *)0)->tail),
	       "queues");

u32 evtchn_save_fifo_instances(const struct domain *d)
{
	return evtchn_has_fifo(d) ? MAX_WORD_PAGES / HVM_FIFO_PAGES_MAX : 0;
}

/* Is the page that is held still where the guest had it? A reset may come between: then it is not. */
static bool words_are_there(struct domain *d, u32 i, gfn_t gfn)
{
	struct page *pg = p2m_get_page(d, gfn, NULL);
	struct evtchn_fifo *f;
	bool same;

	if (!pg)
		return false;
	spin_lock(&d->evtchn_lock);
	f = d->evtchn->fifo;
	same = f && i < f->nr_pages && f->page[i] == page_to_virt(pg);
	spin_unlock(&d->evtchn_lock);
	page_put(pg);
	return same;
}

int evtchn_save_fifo_words(struct domain *d, u32 instance, struct hvm_riscv_fifo_words *r)
{
	u32 first = instance * HVM_FIFO_PAGES_MAX, n = 0;
	struct evtchn_fifo *f;
	int rc = 0;

	spin_lock(&d->evtchn_lock);
	f = d->evtchn->fifo;
	if (f && !f->still)
		rc = -EBUSY;
	if (!rc && f && first < f->nr_pages) {
		n = min(f->nr_pages - first, (u32)HVM_FIFO_PAGES_MAX);
		r->left = first + n == f->nr_pages ? fifo_words_end(d) - f->looked : 0;
		for (u32 i = 0; i < n; i++)
			r->gfn[i] = f->page_gfn[first + i];
	}
	spin_unlock(&d->evtchn_lock);
	for (u32 i = 0; !rc && i < n; i++)
		rc = words_are_there(d, first + i, r->gfn[i]) ? 0 : -ENXIO;
	return rc || !n ? rc : (int)(sizeof(r->left) + n * sizeof(r->gfn[0]));
}

int evtchn_save_fifo_vcpu(struct domain *d, u32 vcpu, struct hvm_riscv_fifo_vcpu *r)
{
	const struct fifo_vcpu *v = NULL;
	struct evtchn_fifo *f;
	struct page *pg;
	int rc = 0;

	spin_lock(&d->evtchn_lock);
	f = d->evtchn->fifo;
	if (f && !f->still)
		rc = -EBUSY;
	if (!rc && f && vcpu < d->max_vcpus && f->vcpu[vcpu].block)
		v = &f->vcpu[vcpu];
	if (v) {
		*r = (struct hvm_riscv_fifo_vcpu){
			.gfn = v->block_gfn,
			.offset = (u64)v->block & ~PAGE_MASK,
		};
		memcpy(r->tail, v->tail, sizeof(r->tail));
		/* The P2M's lock is further in. */
		pg = p2m_get_page(d, v->block_gfn, NULL);
		if (!pg || pg != virt_to_page(v->block))
			rc = -ENXIO;
		if (pg)
			page_put(pg);
	}
	spin_unlock(&d->evtchn_lock);
	return rc || !v ? rc : (int)sizeof(*r);
}

int evtchn_restore_fifo(struct domain *d)
{
	struct evtchn_fifo *f;
	int rc = -EINVAL;

	spin_lock(&d->evtchn_lock);
	if (!d->evtchn->fifo && !d->dying)
		rc = fifo_enable(d);
	f = d->evtchn->fifo;
	if (!rc) {
		spin_lock(&f->lock);
		/* It is paused. The first unpause has a look, for the ports that are told as pending. */
		f->still = f->waits = f->arrived = true;
		spin_unlock(&f->lock);
	}
	spin_unlock(&d->evtchn_lock);
	return rc;
}

/* One more page of words. */
static int restore_page(struct domain *d, u32 i, gfn_t gfn)
{
	struct page *pg = page_get_area(d, gfn, 0, PAGE_SIZE);
	struct evtchn_fifo *f;
	int rc = -EINVAL;

	if (!pg)
		return -EINVAL;
	spin_lock(&d->evtchn_lock);
	f = d->evtchn->fifo;
	/* What stands between two pages has been looked at: so EVTCHNOP_expand_array leaves it. */
	if (f && !d->dying && f->nr_pages == i && f->looked == fifo_words_end(d))
		rc = fifo_add_page(f, &pg, gfn);
	if (!rc)
		f->looked = fifo_words_end(d);
	spin_unlock(&d->evtchn_lock);
	if (pg)
		page_put(pg);
	return rc;
}

int evtchn_restore_fifo_words(struct domain *d, u32 instance, const struct hvm_riscv_fifo_words *r,
			      u32 pages)
{
	u32 first = instance * HVM_FIFO_PAGES_MAX;
	struct evtchn_fifo *f;
	int rc = 0;

	if (instance >= evtchn_save_fifo_instances(d) || !pages || pages > HVM_FIFO_PAGES_MAX ||
	    r->left > WORDS_PER_PAGE)
		return -EINVAL;
	for (u32 i = 0; !rc && i < pages; i++)
		rc = restore_page(d, first + i, r->gfn[i]);
	if (rc)
		return rc;
	spin_lock(&d->evtchn_lock);
	f = d->evtchn->fifo;
	if (f && r->left <= f->looked)
		f->looked -= r->left;
	else
		rc = -EINVAL;
	spin_unlock(&d->evtchn_lock);
	return rc;
}

/* evtchn_lock and fifo.lock held. The port becomes the queue's tail. It may be in use or not. */
static int restore_tail(struct domain *d, u32 vcpu, u32 priority, u32 port)
{
	struct evtchn_state *s = d->evtchn;
	struct evtchn_fifo *f = s->fifo;
	struct evtchn **chunk, *c;

	/* Its word is there: so it is no other port's than one that may exist. */
	if (port >= fifo_words_end(d))
		return -EINVAL;
	chunk = &s->chunk[port >> CHUNK_SHIFT];
	if (!*chunk)
		*chunk = xzalloc(CHUNK_PORTS * sizeof(**chunk));
	if (!*chunk)
		return -ENOMEM;
	c = evtchn_at(s, port);
	/* It is one queue's at most: link_event() takes it off the last. */
	if (f->vcpu[c->last_vcpu].tail[c->last_priority] == port)
		return -EINVAL;
	c->port = port;
	c->last_vcpu = vcpu;
	c->last_priority = priority;
	f->vcpu[vcpu].tail[priority] = port;
	return 0;
}

/* evtchn_lock held. */
static int restore_queues(struct domain *d, u32 vcpu, const struct hvm_riscv_fifo_vcpu *r,
			  struct page *pg)
{
	struct evtchn_fifo *f = d->evtchn->fifo;
	int rc = 0;

	if (!f || d->dying || f->vcpu[vcpu].block)
		return -EINVAL;
	spin_lock(&f->lock);
	for (u32 q = 0; !rc && q < EVTCHN_FIFO_MAX_QUEUES; q++)
		rc = r->tail[q] ? restore_tail(d, vcpu, q, r->tail[q]) : 0;
	if (!rc) {
		f->vcpu[vcpu].block = (void *)((char *)page_to_virt(pg) + r->offset);
		f->vcpu[vcpu].block_gfn = r->gfn;
	}
	spin_unlock(&f->lock);
	return rc;
}

int evtchn_restore_fifo_vcpu(struct domain *d, u32 vcpu, const struct hvm_riscv_fifo_vcpu *r)
{
	struct page *pg;
	int rc;

	if (vcpu >= d->max_vcpus || !d->vcpu[vcpu] || r->padding)
		return -EINVAL;
	pg = page_get_area(d, r->gfn, r->offset, sizeof(struct evtchn_fifo_control_block));
	if (!pg)
		return -EINVAL;
	spin_lock(&d->evtchn_lock);
	rc = restore_queues(d, vcpu, r, pg);
	spin_unlock(&d->evtchn_lock);
	if (rc)
		page_put(pg);
	return rc;
}
