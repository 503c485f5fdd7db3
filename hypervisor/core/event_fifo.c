/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FIFO ABI of event channels (Xen's "Event Channel FIFO ABI" design, xen/event_channel.h): a word for each port in
 * pages of the guest's, and for each vCPU a control block with the heads of 16 queues.
 * Words and blocks are the guest's and may hold anything: what matters to the hypervisor, the tails, it keeps to itself.
 */
#include <event.h>
#include <event_fifo.h>
#include <handlers.h>
#include <hypercall.h>

#define PENDING BIT32(EVTCHN_FIFO_PENDING)
#define MASKED BIT32(EVTCHN_FIFO_MASKED)
#define LINKED BIT32(EVTCHN_FIFO_LINKED)
#define BUSY BIT32(EVTCHN_FIFO_BUSY)
/* A guest that changes a word while we do has so many tries before BUSY asks it to stop, and as many after. */
#define LINK_TRIES 8
/* Ports between two looks for interrupts, when a page of words comes */
#define LOOK_BATCH 64
/* and as many that are looked at under one lock, when queues move again */
#define LOOK_PIECE 1024
#define ALL_RESUMED (~0U)

#define BIT32(n) (1U << (n))

/* For senders, who have no lock of the domain's. NULL: not there yet, or not now (fifo_stand_still()). */
static event_word_t *word_of(struct evtchn_fifo *f, u32 port)
{
	u32 page = port / WORDS_PER_PAGE;

	if (page >= __atomic_load_n(&f->usable, __ATOMIC_ACQUIRE))
		return NULL;
	return &f->page[page][port % WORDS_PER_PAGE];
}

/*
 * fifo.lock held. Makes port the successor of the event with this word; false when that one is in no queue any more: then
 * its queue is empty. A guest that keeps changing the word gets false, and loses what was in that queue.
 */
static bool set_link(event_word_t *word, u32 port)
{
	event_word_t old = __atomic_load_n(word, __ATOMIC_SEQ_CST);

	for (unsigned int i = 0; i < 2 * LINK_TRIES; i++) {
		if (!(old & LINKED)) {
			/* Who finds BUSY set waits for us to take it away. */
			if (i >= LINK_TRIES)
				__atomic_fetch_and(word, ~BUSY, __ATOMIC_SEQ_CST);
			return false;
		}
		if (__atomic_compare_exchange_n(word, &old,
						(old & ~(BUSY | EVTCHN_FIFO_LINK_MASK)) | port,
						false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
		if (i == LINK_TRIES - 1)
			old = __atomic_or_fetch(word, BUSY, __ATOMIC_SEQ_CST);
	}
	__atomic_fetch_and(word, ~BUSY, __ATOMIC_SEQ_CST);
	return false;
}

/* Puts a pending, unmasked event at the end of its queue. */
static void link_event(struct domain *d, struct evtchn *c, event_word_t *word)
{
	struct evtchn_fifo *f = d->evtchn->fifo;
	/* May change at this moment: then it is one or the other. */
	unsigned int vcpu = READ_ONCE(c->vcpu), priority = READ_ONCE(c->priority);
	struct fifo_vcpu *q = &f->vcpu[vcpu];
	bool linked = false, raise = false;
	u32 tail;

	spin_lock(&f->lock);
	/* The sender found the word, and then they came to a stand: it is told when they move again. */
	if (f->still) {
		c->early = f->waits = true;
		spin_unlock(&f->lock);
		return;
	}
	/* XSA-107: without a block it stays pending, until it is unmasked or sent again. */
	if (!q->block || __atomic_fetch_or(word, LINKED, __ATOMIC_SEQ_CST) & LINKED) {
		spin_unlock(&f->lock);
		return;
	}
	if (c->last_vcpu != vcpu || c->last_priority != priority) {
		/* It is linked again, so the queue that it was last on must not take it for its own tail. */
		u32 *last = &f->vcpu[c->last_vcpu].tail[c->last_priority];

		if (*last == c->port)
			*last = 0;
		c->last_vcpu = vcpu;
		c->last_priority = priority;
	}
	tail = q->tail[priority];
	q->tail[priority] = c->port;
	/* Were it its own tail, the queue would be empty: it was not linked before. */
	if (tail && tail != c->port)
		linked = set_link(fifo_word(f, tail), c->port);
	if (!linked) {
		__atomic_store_n(&q->block->head[priority], c->port, __ATOMIC_RELEASE);
		raise = !(__atomic_fetch_or(&q->block->ready, BIT32(priority), __ATOMIC_SEQ_CST) &
			  BIT32(priority));
	}
	spin_unlock(&f->lock);
	/* One without vcpu_info gets its upcall when it registers that. */
	if (raise && d->vcpu[vcpu] && d->vcpu[vcpu]->info)
		evtchn_upcall(d->vcpu[vcpu]);
}

/* The word, or NULL with the event noted for the time when there is one. */
static event_word_t *word_or_early(struct evtchn_fifo *f, struct evtchn *c)
{
	event_word_t *word = word_of(f, c->port);

	if (word)
		return word;
	spin_lock(&f->lock);
	word = word_of(f, c->port);
	if (!word)
		c->early = f->waits = true;
	spin_unlock(&f->lock);
	return word;
}

bool fifo_set_pending(struct domain *d, struct evtchn *c)
{
	event_word_t *word = word_or_early(d->evtchn->fifo, c), old;

	if (!word)
		return true;
	old = __atomic_fetch_or(word, PENDING, __ATOMIC_SEQ_CST);
	if (!(old & (MASKED | LINKED)))
		link_event(d, c, word);
	return !(old & PENDING);
}

void fifo_unmask(struct domain *d, struct evtchn *c)
{
	event_word_t *word = fifo_word(d->evtchn->fifo, c->port), old;

	if (!word)
		return;
	old = __atomic_fetch_and(word, ~MASKED, __ATOMIC_SEQ_CST);
	if (old & PENDING && !(old & LINKED))
		link_event(d, c, word);
}

void fifo_clear_pending(struct domain *d, struct evtchn *c)
{
	event_word_t *word = fifo_word(d->evtchn->fifo, c->port);

	c->early = false;
	if (word)
		__atomic_fetch_and(word, ~PENDING, __ATOMIC_SEQ_CST);
}

static bool word_has(struct domain *d, const struct evtchn *c, event_word_t bits)
{
	event_word_t *word = fifo_word(d->evtchn->fifo, c->port);

	return word && __atomic_load_n(word, __ATOMIC_SEQ_CST) & bits;
}

bool fifo_is_pending(struct domain *d, const struct evtchn *c)
{
	return READ_ONCE(c->early) || word_has(d, c, PENDING);
}

bool fifo_is_masked(struct domain *d, const struct evtchn *c)
{
	return word_has(d, c, MASKED);
}

/* ---- set-up ---- */

/* evtchn_lock held. Tables for all ports that the domain may ever have. */
static int grow_tables(struct evtchn_state *s)
{
	struct evtchn **chunk;
	u8 *used;

	if (s->chunk != s->chunk_2l || s->limit <= MAX_PORTS_2L)
		return 0;
	chunk = xzalloc(NR_CHUNKS * sizeof(*chunk));
	used = xzalloc(NR_CHUNKS);
	if (!chunk || !used) {
		xfree(chunk);
		xfree(used);
		return -ENOMEM;
	}
	memcpy(chunk, s->chunk, sizeof(s->chunk_2l));
	memcpy(used, s->used, sizeof(s->used_2l));
	s->used = used;
	__atomic_store_n(&s->chunk, chunk, __ATOMIC_RELEASE);
	return 0;
}

/*
 * evtchn_lock held. What is pending in the words of 2-level comes along. -ERESTART: more to do; what has been done is seen by
 * its words, which are zero.
 */
static int absorb_2l(struct domain *d)
{
	for (u32 i = 0; i < MAX_PORTS_2L / 64; i++) {
		u64 bits = __atomic_exchange_n(&d->shared_info->evtchn_pending[i], 0,
					       __ATOMIC_SEQ_CST);

		if (!bits)
			continue;
		/* Words may be there already, from another vCPU between two parts of this. */
		for (; bits; bits &= bits - 1) {
			struct evtchn *c = evtchn_get(d, i * 64 + __builtin_ctzll(bits));

			if (c)
				fifo_set_pending(d, c);
		}
		if (hypercall_preempt_check())
			return -ERESTART;
	}
	return 0;
}

int fifo_enable(struct domain *d)
{
	struct evtchn_state *s = d->evtchn;
	struct evtchn_fifo *f = xzalloc(sizeof(*f) + d->max_vcpus * sizeof(f->vcpu[0]));
	int rc = f ? grow_tables(s) : -ENOMEM;

	if (rc) {
		xfree(f);
		return rc;
	}
	spin_lock_init(&f->lock, LOCK_FIFO);
	f->resumed = ALL_RESUMED;
	s->max_ports = s->limit;
	/* Senders set the pending bit and then look for this; see set_pending(). */
	__atomic_store_n(&s->fifo, f, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return 0;
}

static long init_control(struct domain *d, struct evtchn_init_control *a)
{
	struct evtchn_state *s = d->evtchn;
	struct page *pg;
	long rc = 0;

	if (a->vcpu >= d->max_vcpus || !d->vcpu[a->vcpu])
		return -ENOENT;
	pg = page_get_area(d, a->control_gfn, a->offset, sizeof(struct evtchn_fifo_control_block));
	if (!pg)
		return -EINVAL;
	spin_lock(&d->evtchn_lock);
	if (!s->fifo)
		rc = fifo_enable(d);
	if (!rc)
		rc = absorb_2l(d);
	if (!rc && s->fifo->vcpu[a->vcpu].block)
		rc = -EINVAL;
	if (!rc) {
		spin_lock(&s->fifo->lock);
		s->fifo->vcpu[a->vcpu].block = (void *)((char *)page_to_virt(pg) + a->offset);
		s->fifo->vcpu[a->vcpu].block_gfn = a->control_gfn;
		spin_unlock(&s->fifo->lock);
		a->link_bits = EVTCHN_FIFO_LINK_BITS;
	}
	spin_unlock(&d->evtchn_lock);
	if (rc)
		page_put(pg);
	return rc;
}

/* Raw, for its continuation: thousands of ports may be pending. */
long evtchn_init_control_op(u64 cmd, u64 arg, u64 arg3)
{
	struct evtchn_init_control a;
	long rc;

	(void)arg3;
	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	rc = init_control(current_domain(), &a);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_event_channel_op, cmd, arg, 0, 0, 0);
	if (!rc && copy_to_guest(arg, &a, sizeof(a)))
		rc = -EFAULT;
	return rc;
}

/*
 * evtchn_lock held. Delivers what came before its word did, or could be used: of the ports from *next up to end, which have words.
 * -ERESTART: more to do.
 */
static int deliver_early(struct domain *d, u32 *next, u32 end)
{
	const struct evtchn_fifo *f = d->evtchn->fifo;

	while (*next < end) {
		struct evtchn *c = evtchn_get(d, (*next)++);

		if (c && (c->early || (f->arrived && word_has(d, c, PENDING)))) {
			c->early = false;
			fifo_set_pending(d, c);
		}
		/* Not at the end: whoever comes back to it would take it for another call. */
		if (*next % LOOK_BATCH == 0 && *next < end && hypercall_preempt_check())
			return -ERESTART;
	}
	return 0;
}

int fifo_add_page(struct evtchn_fifo *f, struct page **pg, gfn_t gfn)
{
	if (f->nr_pages == MAX_WORD_PAGES)
		return -ENOSPC;
	spin_lock(&f->lock);
	f->page[f->nr_pages] = page_to_virt(*pg);
	f->page_gfn[f->nr_pages] = gfn;
	f->nr_pages++;
	if (!f->still)
		__atomic_store_n(&f->usable, f->nr_pages, __ATOMIC_RELEASE);
	spin_unlock(&f->lock);
	*pg = NULL;
	return 0;
}

/* evtchn_lock held */
static int expand_array(struct domain *d, struct page **pg, gfn_t gfn)
{
	struct evtchn_fifo *f = d->evtchn->fifo;
	int rc = 0;

	if (!f)
		return -EOPNOTSUPP;
	/*
	 * When this is the call that was interrupted, its page is the last one already, and its events are not all
	 * delivered. Another call's are delivered before the next page comes.
	 */
	if (f->looked == fifo_words_end(d) || f->page[f->nr_pages - 1] != page_to_virt(*pg)) {
		rc = deliver_early(d, &f->looked, fifo_words_end(d));
		if (!rc)
			rc = fifo_add_page(f, pg, gfn);
	}
	return rc ? rc : deliver_early(d, &f->looked, fifo_words_end(d));
}

/* Raw, for its continuation. */
long evtchn_expand_array_op(u64 cmd, u64 arg, u64 arg3)
{
	struct domain *d = current_domain();
	struct evtchn_expand_array a;
	struct page *pg;
	long rc;

	(void)arg3;
	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	pg = page_get_area(d, a.array_gfn, 0, PAGE_SIZE);
	if (!pg)
		return -EINVAL;
	spin_lock(&d->evtchn_lock);
	rc = expand_array(d, &pg, a.array_gfn);
	spin_unlock(&d->evtchn_lock);
	if (pg)
		page_put(pg);
	if (rc == -ERESTART)
		return hypercall_continue(__HYPERVISOR_event_channel_op, cmd, arg, 0, 0, 0);
	return rc;
}

long evtchn_set_priority(struct evtchn_set_priority *a)
{
	struct domain *d = current_domain();
	struct evtchn *c;
	long rc = 0;

	spin_lock(&d->evtchn_lock);
	c = evtchn_get(d, a->port);
	if (!d->evtchn->fifo)
		rc = -ENOSYS;
	else if (!c || a->priority > EVTCHN_FIFO_PRIORITY_MIN)
		rc = -EINVAL;
	else
		WRITE_ONCE(c->priority, a->priority);
	spin_unlock(&d->evtchn_lock);
	return rc;
}

/* ---- the control domain's pauses ---- */

/*
 * Words, links and heads are in the guest's memory, and the tails here: a copy of both, made piece by piece while a back end sends
 * events, would have a tail that no link leads to, or links behind a tail, and whatever is in such a queue is lost with the next
 * event. So nothing moves while the control domain has the domain paused: to a sender the words are not there (word_of()), and the
 * event waits in its port as one that is early. A queue that the guest is half way through, with a head in memory of its own that
 * nobody else knows, then stays as it is, here and in a copy.
 *
 * A sender may have found a word just before, and make it pending at any time after. Then its port is linked before f->lock was ours,
 * or early after all (link_event()); and a copy of its word that is later than that of its record is looked at where it arrives.
 */
void fifo_stand_still(struct domain *d)
{
	struct evtchn_fifo *f;

	if (!READ_ONCE(d->evtchn->fifo))
		return;
	spin_lock(&d->evtchn_lock);
	f = d->evtchn->fifo;
	if (f) {
		spin_lock(&f->lock);
		f->still = true;
		__atomic_store_n(&f->usable, 0, __ATOMIC_SEQ_CST);
		spin_unlock(&f->lock);
	}
	spin_unlock(&d->evtchn_lock);
}

/*
 * evtchn_lock held. Where a state has arrived words are looked at as well: a sender that was on its way when its domain was paused may
 * have made one pending behind its record (fifo_stand_still()), and nobody would tell the guest of that.
 */
static int move_again(struct domain *d, struct evtchn_fifo *f)
{
	u32 end = fifo_words_end(d);
	int rc;

	if (f->still) {
		spin_lock(&f->lock);
		f->still = false;
		__atomic_store_n(&f->usable, f->nr_pages, __ATOMIC_RELEASE);
		f->resumed = f->waits ? 0 : ALL_RESUMED;
		spin_unlock(&f->lock);
	}
	if (f->resumed == ALL_RESUMED)
		return 0;
	/* The same again when it was stopped in between: those below are not early, or became so since and are looked at. */
	if (f->resumed < end) {
		rc = deliver_early(d, &f->resumed, min(end, f->resumed + LOOK_PIECE));
		if (rc || f->resumed < end)
			return -ERESTART;
	}
	/* What is early now has no word. */
	spin_lock(&f->lock);
	f->waits = f->arrived = false;
	spin_unlock(&f->lock);
	f->resumed = ALL_RESUMED;
	return 0;
}

/*
 * An event for a port that the guest has in a queue already stays there, with its bit set; of one that is pending and in none (it
 * waited here, or in a record; or the guest had taken it off and not looked at its bit yet, and then finds nothing later) the port
 * is put at the end of its queue. Where the guest has taken the tail off, its word is not linked, and set_link() says so: then
 * the queue is empty, and has a new head. So no queue is ever looked through, and none made anew.
 */
int fifo_move_again(struct domain *d)
{
	int rc = 0;

	if (!READ_ONCE(d->evtchn->fifo))
		return 0;
	spin_lock(&d->evtchn_lock);
	if (d->evtchn->fifo)
		rc = move_again(d, d->evtchn->fifo);
	spin_unlock(&d->evtchn_lock);
	return rc;
}

void fifo_destroy(struct domain *d)
{
	struct evtchn_state *s = d->evtchn;
	struct evtchn_fifo *f = s->fifo;

	if (!f)
		return;
	s->fifo = NULL;
	s->max_ports = min(s->limit, (u32)MAX_PORTS_2L);
	for (u32 i = 0; i < f->nr_pages; i++)
		page_put_written(virt_to_page(f->page[i]));
	for (unsigned int i = 0; i < d->max_vcpus; i++) {
		if (f->vcpu[i].block)
			page_put_written(virt_to_page(f->vcpu[i].block));
	}
	xfree(f);
}
