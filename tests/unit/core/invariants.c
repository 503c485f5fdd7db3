// SPDX-License-Identifier: BSD-2-Clause
/*
 * What must hold whatever domains did: page owners and counts, both ends of event channels, grants and their users, locks.
 * Looks into the structures, so that a mistake shows where it is and not when memory runs out.
 */
#include <event_fifo.h>
#include <grant_internal.h>
#include <image.h>

#include "invariants.h"

/* References that are accounted for, by frame */
static u32 expected[RAM_PAGES];
static bool is_ram[RAM_PAGES]; /* some domain's P2M says that it is its RAM */
static u64 granted_to[RAM_PAGES]; /* grants in use: bit domid % 64 */
static u64 shared; /* frames of the domain that is looked at that are an image's */

static struct page *frame(unsigned int i)
{
	return mfn_to_page(RAM_BASE_MFN + i);
}

static void hold(const struct page *pg)
{
	if (pg)
		expected[page_to_mfn(pg) - RAM_BASE_MFN]++;
}

/* ---- pages ---- */

/* Read-only, of an image that the domain uses. */
static void look_at_shared(struct domain *d, gfn_t gfn, const struct p2m_entry *e,
			   const struct page *pg)
{
	const struct image *img = d->image;

	while (img && img != pg->image)
		img = img->base;
	CHECK(img, "d%u gfn %lx is of an image that is not the domain's", d->id, gfn);
	CHECK(!(e->access & P2M_W), "d%u gfn %lx is an image's, and writable", d->id, gfn);
	shared++;
}

static void look_at_leaf(struct domain *d, gfn_t gfn, const struct p2m_entry *e)
{
	for (u64 i = 0; i < BIT(e->order); i++) {
		struct page *pg = mfn_to_page(e->mfn + i);

		CHECK(pg, "d%u gfn %lx: no RAM", d->id, gfn + i);
		switch (e->type) {
		case P2M_RAM:
			if (pg->state == PAGE_SHARED) {
				look_at_shared(d, gfn + i, e, pg);
				break;
			}
			CHECK(pg->state == PAGE_OWNED && pg->owner == d && pg->alloc_ref,
			      "d%u gfn %lx is not its own page", d->id, gfn + i);
			CHECK(!is_ram[e->mfn + i - RAM_BASE_MFN], "d%u gfn %lx is mapped twice",
			      d->id, gfn + i);
			is_ram[e->mfn + i - RAM_BASE_MFN] = true;
			break;
		case P2M_FOREIGN:
			hold(pg);
			/* fall through */
		case P2M_GRANT:
			CHECK((pg->state == PAGE_OWNED || pg->state == PAGE_HYP) && pg->count,
			      "d%u gfn %lx: the page is free", d->id, gfn + i);
			break;
		default:
			CHECK(false, "d%u gfn %lx: type %d", d->id, gfn + i, e->type);
		}
	}
}

/* A lent page in the place of RAM: that is where it is mapped, and the RAM page waits, still allocated. */
static void look_at_hidden(struct domain *d, struct page *pg)
{
	struct p2m_entry e;

	if (!pg->hides || d->dying)
		return;
	CHECK(p2m_lookup(d, pg->hides_at, &e) && e.type == P2M_FOREIGN && e.mfn == page_to_mfn(pg),
	      "d%u gfn %lx: a lent page should be in RAM's place", d->id, pg->hides_at);
	CHECK(pg->hides->state == PAGE_OWNED && pg->hides->owner == d && pg->hides->alloc_ref &&
		      !is_ram[page_to_mfn(pg->hides) - RAM_BASE_MFN],
	      "d%u gfn %lx: the page below is not its own, or is mapped", d->id, pg->hides_at);
	is_ram[page_to_mfn(pg->hides) - RAM_BASE_MFN] = true;
}

/* A mapping has no reference of its own: it lives by the pin of its grant. */
static void look_at_grant_leaf(struct domain *d, gfn_t gfn, const struct p2m_entry *e)
{
	CHECK(e->type != P2M_GRANT || granted_to[e->mfn - RAM_BASE_MFN] & BIT(d->id % 64),
	      "d%u gfn %lx maps a page of a grant that is not in use", d->id, gfn);
}

/* Each use of a grant is a handle of somebody's. Returns uses of d's grants. */
static u64 look_at_pins(struct domain *d)
{
	struct grant_table *t = d->grant;
	u64 uses = 0;

	for (u32 ref = 0; ref < t->nr_frames * GRANTS_PER_FRAME; ref++) {
		struct grant_pin *p = t->pins[ref / GRANTS_PER_FRAME];

		if (!p) { /* of a dying domain, and not in use */
			CHECK(d->dying && !t->shared[ref / GRANTS_PER_FRAME], "d%u: a lost frame",
			      d->id);
			continue;
		}
		p += ref % GRANTS_PER_FRAME;
		uses += (u64)p->readers + p->writers;
		if (!p->readers && !p->writers)
			continue;
		CHECK(p->page, "d%u ref %u: in use without a page", d->id, ref);
		hold(p->page);
		granted_to[page_to_mfn(p->page) - RAM_BASE_MFN] |= BIT(p->domid % 64);
	}
	for (unsigned int i = 0; i < t->nr_frames; i++) {
		if (!t->shared[i])
			continue;
		hold(virt_to_page(t->shared[i]));
		look_at_hidden(d, virt_to_page(t->shared[i]));
	}
	return uses;
}

static void look_at_frames(void)
{
	u64 n[PAGE_SHARED + 1] = { 0 };

	for (unsigned int i = 0; i < RAM_PAGES; i++) {
		struct page *pg = frame(i);

		n[pg->state]++;
		if (pg->state == PAGE_OWNED) {
			CHECK(pg->count == expected[i] + pg->alloc_ref,
			      "frame %u of d%u: count %u, but %u + %u are known", i, pg->owner->id,
			      pg->count, expected[i], pg->alloc_ref);
		} else if (expected[i]) {
			CHECK(pg->state == PAGE_HYP && pg->count == expected[i],
			      "frame %u: state %u, count %u, but %u are known", i, pg->state,
			      pg->count, expected[i]);
		}
	}
	/* The free blocks' pages all have their state, so the heap's own count is checked here too. */
	CHECK(n[PAGE_FREE] + n[PAGE_DIRTY] == heap_free_pages() &&
		      n[PAGE_DIRTY] == heap_dirty_pages(),
	      "%lu free, %lu dirty; the heap says %lu and %lu of them", n[PAGE_FREE], n[PAGE_DIRTY],
	      heap_free_pages(), heap_dirty_pages());
	CHECK(!n[PAGE_INVALID], "%lu frames belong to nobody", n[PAGE_INVALID]);
}

/* What an image has, and who uses it. */
static u64 look_at_image(const struct image *img)
{
	u64 pages = 0, users = 0, in_list = 0;
	const struct page *pg;
	const struct domain *d;

	list_for_each(pg, &img->pages, list)
		in_list++;
	for (unsigned int i = 0; i < RAM_PAGES; i++) {
		pg = frame(i);
		if (pg->state != PAGE_SHARED || pg->image != img)
			continue;
		CHECK(pg->count == 1 && pg->alloc_ref, "frame %u of an image: count %u", i,
		      pg->count);
		pages++;
	}
	CHECK(pages == in_list && pages == img->nr_pages,
	      "an image has %lu frames, %lu in its list, and says %lu", pages, in_list,
	      img->nr_pages);
	list_for_each(d, &domain_list, list) {
		users += d->image == img;
		/* One that stands on it, however many see it through that. */
		for (const struct image *i = d->image; i; i = i->base) {
			const struct domain *first;

			if (i->base != img)
				continue;
			list_for_each(first, &domain_list, list) {
				const struct image *j = first->image;

				while (j && j != i)
					j = j->base;
				if (j)
					break;
			}
			users += first == d;
		}
	}
	CHECK(users == img->users, "an image has %lu users, and says %u", users, img->users);
	CHECK(img->depth == (img->base ? img->base->depth + 1 : 1) && img->depth <= IMAGE_DEPTH_MAX,
	      "an image is %u deep", img->depth);
	return pages;
}

static void look_at_images(void)
{
	const struct image *seen[64];
	u64 pages = 0, claimed = 0;
	unsigned int n = 0;
	struct domain *d;

	list_for_each(d, &domain_list, list) {
		claimed += d->claimed_pages + d->reserved_pages;
		CHECK(!d->image_busy, "d%u: somebody is at its image for ever", d->id);
		for (const struct image *img = d->image; img; img = img->base) {
			unsigned int i = 0;

			while (i < n && seen[i] != img)
				i++;
			if (i < n)
				continue;
			CHECK(n < ARRAY_SIZE(seen), "too many images");
			seen[n++] = img;
			pages += look_at_image(img);
		}
	}
	for (unsigned int i = 0; i < RAM_PAGES; i++)
		pages -= frame(i)->state == PAGE_SHARED;
	CHECK(!pages, "%ld frames too many are images'", (long)pages);
	CHECK(claimed == heap_claimed_pages(), "%lu pages are claimed, the heap says %lu", claimed,
	      heap_claimed_pages());
}

/* For each page that it shares it has one, and for what tables will be copied. */
static void look_at_reserve(const struct domain *d)
{
	u64 needs = d->shared_pages + d->shared_tables;

	if (d->dying)
		return;
	CHECK(shared == d->shared_pages, "d%u shares %lu frames, and says %lu", d->id, shared,
	      d->shared_pages);
	if (d->overcommits)
		return;
	CHECK(d->fork ? d->reserved_pages >= needs : d->reserved_pages == needs,
	      "d%u: %lu pages are reserved, it may need %lu", d->id, d->reserved_pages, needs);
}

static u64 owned_frames(const struct domain *d)
{
	u64 n = 0;

	for (unsigned int i = 0; i < RAM_PAGES; i++)
		n += frame(i)->state == PAGE_OWNED && frame(i)->owner == d;
	return n;
}

/* ---- event channels ---- */

static bool port_status(domid_t id, evtchn_port_t port, struct evtchn_status *s)
{
	*s = (struct evtchn_status){ .dom = id, .port = port };
	return !evtchn_status_op(s) && s->status != EVTCHNSTAT_closed;
}

static void look_at_ports(struct domain *d, bool pirq_bound[NR_TEST_PIRQS])
{
	struct evtchn_status s, other;
	u32 left = d->evtchn->active;

	for (evtchn_port_t port = 1; left; port++) {
		CHECK(port < d->evtchn->max_ports, "d%u: %u ports too many are counted", d->id,
		      left);
		if (!port_status(d->id, port, &s))
			continue;
		left--;
		CHECK(s.vcpu < d->max_vcpus, "d%u port %u: vCPU %u", d->id, port, s.vcpu);
		switch (s.status) {
		case EVTCHNSTAT_interdomain:
			CHECK(port_status(s.u.interdomain.dom, s.u.interdomain.port, &other) &&
				      other.status == EVTCHNSTAT_interdomain &&
				      other.u.interdomain.dom == d->id &&
				      other.u.interdomain.port == port,
			      "d%u port %u: the other end knows nothing of it", d->id, port);
			break;
		case EVTCHNSTAT_pirq:
			CHECK(!pirq_bound[s.u.pirq], "PIRQ %u is bound twice", s.u.pirq);
			pirq_bound[s.u.pirq] = true;
			break;
		}
	}
}

static void look_at_virqs(struct domain *d, struct vcpu *v)
{
	struct evtchn_status s;

	for (unsigned int virq = 0; virq < NR_VIRQS; virq++) {
		if (v->virq_to_evtchn[virq])
			CHECK(port_status(d->id, v->virq_to_evtchn[virq], &s) &&
				      s.status == EVTCHNSTAT_virq && s.u.virq == virq,
			      "d%uv%u VIRQ %u: its port is not bound to it", d->id, v->id, virq);
	}
}

/* FIFO: it holds its pages; a tail has its word, and its port says whose tail it is. Nothing stands still in one that may run. */
static void look_at_fifo(struct domain *d)
{
	struct evtchn_fifo *f = d->evtchn->fifo;

	if (!f)
		return;
	for (u32 i = 0; i < f->nr_pages; i++)
		hold(virt_to_page(f->page[i]));
	CHECK(f->looked <= fifo_words_end(d), "d%u: looked at %u ports", d->id, f->looked);
	CHECK(!f->still || d->controller_pauses, "d%u is not paused, but its queues are", d->id);
	CHECK(f->usable == (f->still ? 0 : f->nr_pages), "d%u: %u of %u pages may be used", d->id,
	      f->usable, f->nr_pages);
	for (unsigned int v = 0; v < d->max_vcpus; v++) {
		if (f->vcpu[v].block)
			hold(virt_to_page(f->vcpu[v].block));
		for (unsigned int q = 0; q < EVTCHN_FIFO_MAX_QUEUES && !d->dying; q++) {
			u32 tail = f->vcpu[v].tail[q];
			struct evtchn *c = tail && tail < fifo_words_end(d) ?
						   evtchn_at(d->evtchn, tail) :
						   NULL;

			CHECK(!tail || (c && c->port == tail && c->last_vcpu == v &&
					c->last_priority == q),
			      "d%uv%u: port %u is no tail of queue %u", d->id, v, tail, q);
		}
	}
}

/* 2-level: somebody has been told of what is pending. */
static void look_for_lost(struct domain *d)
{
	const struct shared_info *s = d->shared_info;
	u64 told[ARRAY_SIZE(s->evtchn_pending)] = { 0 };
	struct vcpu *v;
	unsigned int i;

	domain_for_each_vcpu(d, v, i) {
		for (unsigned int word = 0; v->info && word < ARRAY_SIZE(told); word++) {
			if (v->info->evtchn_upcall_pending &&
			    v->info->evtchn_pending_sel & BIT(word))
				told[word] = ~0UL;
		}
	}
	for (unsigned int word = 0; word < ARRAY_SIZE(told); word++) {
		u64 lost = s->evtchn_pending[word] & ~s->evtchn_mask[word] & ~told[word];

		CHECK(!lost, "d%u: nobody was told of the ports %lx of word %u", d->id, lost, word);
	}
}

/* No guest takes any: from a queue's head links lead to its tail, over as many ports as are linked in all. */
static u32 walk_queue(struct domain *d, const struct fifo_vcpu *v, unsigned int q)
{
	u32 port = v->block->head[q], end = fifo_words_end(d), n = 0, link;

	while (v->tail[q]) {
		CHECK(port && port < end && n++ < end, "d%u: queue %u leads to port %u", d->id, q,
		      port);
		link = *fifo_word(d->evtchn->fifo, port) & EVTCHN_FIFO_LINK_MASK;
		if (!link)
			break;
		port = link;
	}
	CHECK(port == v->tail[q], "d%u: queue %u ends with port %u, not %u", d->id, q, port,
	      v->tail[q]);
	CHECK(!port || v->block->ready & BIT(q), "d%u: queue %u is not ready", d->id, q);
	return n;
}

/* FIFO: what is pending is in a queue, or waits for its word, or for the end of the pause. */
static void look_for_lost_fifo(struct domain *d)
{
	struct evtchn_fifo *f = d->evtchn->fifo;
	u32 linked = 0, in_queues = 0;

	/* Of those that only begin with it the pages are others' as well. */
	for (unsigned int v = 0; v < d->max_vcpus; v++) {
		if (!f->vcpu[v].block)
			return;
	}

	for (u32 port = 1; port < fifo_words_end(d); port++) {
		event_word_t word = *fifo_word(f, port);
		struct evtchn *c = evtchn_get(d, port);

		linked += !!(word & BIT(EVTCHN_FIFO_LINKED));
		if (!c)
			continue;
		CHECK(!c->early || f->still, "d%u: nobody delivers port %u", d->id, port);
		CHECK(!(word & BIT(EVTCHN_FIFO_PENDING)) || c->early ||
			      word & (BIT(EVTCHN_FIFO_MASKED) | BIT(EVTCHN_FIFO_LINKED)),
		      "d%u: nobody was told of port %u, word %x", d->id, port, word);
	}
	for (unsigned int v = 0; v < d->max_vcpus; v++) {
		for (unsigned int q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++) {
			in_queues += walk_queue(d, &f->vcpu[v], q);
		}
	}
	CHECK(linked == in_queues, "d%u: %u ports are linked, %u are in queues", d->id, linked,
	      in_queues);
}

void check_events(void)
{
	struct domain *d;

	list_for_each(d, &domain_list, list) {
		if (!d->dying && d->evtchn->fifo)
			look_for_lost_fifo(d);
		else if (!d->dying)
			look_for_lost(d);
	}
}

/* ---- all ---- */

static void look_at_locks(struct domain *d)
{
	const struct spinlock *locks[] = { &d->lock, &d->page_lock, &d->evtchn_lock,
					   &d->grant->lock, &d->grant->track_lock };

	for (unsigned int i = 0; i < ARRAY_SIZE(locks); i++)
		CHECK(locks[i]->next == locks[i]->owner, "d%u: lock %u is held", d->id, i);
	CHECK(!d->memory_ops, "d%u: %u memory operations never ended", d->id, d->memory_ops);
}

void check_world(void)
{
	bool pirq_bound[NR_TEST_PIRQS] = { false };
	u64 uses = 0, maps = 0;
	struct domain *d;
	struct vcpu *v;
	unsigned int i;

	/* The state is looked at as domain 0 sees it; nobody runs meanwhile. */
	host.hart = 0;
	become(dom0->vcpu[0]);
	memset(expected, 0, sizeof(expected));
	memset(is_ram, 0, sizeof(is_ram));
	memset(granted_to, 0, sizeof(granted_to));
	list_for_each(d, &domain_list, list) {
		look_at_locks(d);
		shared = 0;
		host_for_each_leaf(d, look_at_leaf);
		look_at_reserve(d);
		uses += look_at_pins(d);
		maps += grant_count_maps(d);
		hold(virt_to_page(d->shared_info));
		look_at_hidden(d, virt_to_page(d->shared_info));
		CHECK(d->owned_pages == d->tot_pages && owned_frames(d) == d->owned_pages,
		      "d%u: %lu pages, %lu in its list, %lu frames say that they are its own",
		      d->id, d->tot_pages, d->owned_pages, owned_frames(d));
		look_at_ports(d, pirq_bound);
		look_at_fifo(d);
		domain_for_each_vcpu(d, v, i) {
			hold(v->info_page);
			hold(v->runstate_page);
			hold(v->runstate_page2);
			look_at_virqs(d, v);
		}
	}
	list_for_each(d, &domain_list, list)
		host_for_each_leaf(d, look_at_grant_leaf);
	look_at_frames();
	look_at_images();
	CHECK(uses == maps, "%lu uses of grants, %lu mappings", uses, maps);
	for (i = 0; i < NR_TEST_PIRQS; i++)
		CHECK(pirq_bound[i] == host.pirq_enabled[i], "PIRQ %u: bound %d, enabled %d", i,
		      pirq_bound[i], host.pirq_enabled[i]);
}

/* ---- scheduler ---- */

static bool may_run(const struct vcpu *v)
{
	const struct domain *d = v->domain;

	return !v->pause_flags && !v->pause_count && !d->pause_count && !d->is_shut_down &&
	       !d->dying;
}

static void look_at_vcpu(struct vcpu *v, u64 *idle)
{
	unsigned int d = v->domain->id;

	CHECK(!v->pause_count, "d%uv%u: paused %u times for ever", d, v->id, v->pause_count);
	CHECK(!v->running || !v->on_queue, "d%uv%u runs and waits", d, v->id);
	CHECK(may_run(v) && !v->domain->share.spent ? v->running || v->on_queue :
						      !v->running && !v->on_queue,
	      "d%uv%u: may run %d, runs %d, waits %d", d, v->id, may_run(v), v->running,
	      v->on_queue);
	CHECK(!(v->pause_flags & (BIT(VPF_BLOCKED) | BIT(VPF_POLL))) || !v->info ||
		      !v->info->evtchn_upcall_pending,
	      "d%uv%u sleeps with an event", d, v->id);
	if (!v->running)
		return;
	CHECK(*idle & BIT(v->hart), "d%uv%u runs on hart %u, and so does another", d, v->id,
	      v->hart);
	CHECK(host.current[v->hart] == v, "d%uv%u does not run on hart %u", d, v->id, v->hart);
	CHECK(may_use(v) & BIT(v->hart), "d%uv%u runs on hart %u, of %lx that it may use", d, v->id,
	      v->hart, may_use(v));
	*idle &= ~BIT(v->hart);
}

void check_scheduler(void)
{
	u64 idle = BIT(NR_HARTS) - 1;
	struct domain *d;
	struct vcpu *v;
	unsigned int i;

	list_for_each(d, &domain_list, list) {
		CHECK(d->pause_count == d->controller_pauses + (d->dying != DOMDYING_ALIVE) +
						(d->forking != NULL),
		      "d%u: pause count %d, paused %u times, dying %d", d->id, (int)d->pause_count,
		      d->controller_pauses, d->dying);
		domain_for_each_vcpu(d, v, i)
			look_at_vcpu(v, &idle);
	}
	list_for_each(d, &domain_list, list) {
		domain_for_each_vcpu(d, v, i)
			CHECK(!v->on_queue || !(idle & may_use(v)),
			      "d%uv%u waits while a hart idles: %lx may run it, %lx idle", d->id,
			      v->id, may_use(v), idle);
	}
}
