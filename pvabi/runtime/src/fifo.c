/* SPDX-License-Identifier: MIT */
/*
 * Event channels, FIFO ABI (xen/event_channel.h): a word for each port, linked into a queue for each
 * priority of each vCPU. It owns control blocks, pages of words, and the taking of ports from queues.
 */
#include <errno.h>
#include <stdlib.h>

#include "internal.h"

#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define MASKED (1U << EVTCHN_FIFO_MASKED)
#define LINKED (1U << EVTCHN_FIFO_LINKED)
#define WORDS (PV_PAGE_SIZE / sizeof(event_word_t))

static struct evtchn_fifo_control_block *blocks[PV_MAX_VCPUS];
/* Where the taking of a queue has got to; 0: ask the control block. */
static uint32_t heads[PV_MAX_VCPUS][EVTCHN_FIFO_MAX_QUEUES];
static event_word_t *pages[FIFO_PORTS / WORDS];
static unsigned int nr_pages;
static pv_spinlock_t grow_lock;
static bool on;

bool fifo_on(void)
{
	return on;
}

static event_word_t *word_of(evtchn_port_t port)
{
	if (port / WORDS >= __atomic_load_n(&nr_pages, __ATOMIC_ACQUIRE))
		return NULL;
	return pages[port / WORDS] + port % WORDS;
}

static int grow(void)
{
	struct evtchn_expand_array op;
	event_word_t *page = pv_alloc_pages(1);
	long rc;

	if (!page)
		return -ENOMEM;
	for (unsigned int i = 0; i < WORDS; i++) {
		/* Ports of before keep their masks. */
		bool open = !nr_pages && i < 64 * 64 &&
			    !(pv_shared_info->evtchn_mask[i / 64] >> i % 64 & 1);

		page[i] = open ? 0 : MASKED;
	}
	pages[nr_pages] = page;
	op.array_gfn = pv_gfn(page);
	rc = HYPERVISOR_event_channel_op(EVTCHNOP_expand_array, &op);
	if (rc)
		free(page);
	else
		__atomic_store_n(&nr_pages, nr_pages + 1, __ATOMIC_RELEASE);
	return rc;
}

int fifo_cover(evtchn_port_t port)
{
	int rc = 0;

	if (!on || port / WORDS < __atomic_load_n(&nr_pages, __ATOMIC_ACQUIRE))
		return 0;
	pv_spin_lock(&grow_lock);
	while (!rc && port / WORDS >= nr_pages)
		rc = grow();
	pv_spin_unlock(&grow_lock);
	return rc;
}

static int add_control(unsigned int vcpu)
{
	struct evtchn_init_control op = { .vcpu = vcpu };
	void *page = pv_alloc_pages(1);
	long rc;

	if (!page)
		return -ENOMEM;
	op.control_gfn = pv_gfn(page);
	rc = HYPERVISOR_event_channel_op(EVTCHNOP_init_control, &op);
	if (rc)
		free(page);
	else
		blocks[vcpu] = page;
	return rc;
}

void fifo_cpu_init(unsigned int vcpu)
{
	if (on && !blocks[vcpu] && add_control(vcpu))
		pv_panic("no FIFO control block");
}

int pv_event_use_fifo(void)
{
	unsigned long flags = pv_irq_save();
	int rc = on ? -EEXIST : 0;

	for (unsigned int n = 0; n < PV_MAX_VCPUS && !rc; n++) {
		if (pv_cpus[n])
			rc = add_control(n);
	}
	if (!rc) {
		on = true;
		rc = fifo_cover(0);
	}
	/* What was pending is in a queue now, its upcall perhaps taken by the other ABI's scan. */
	if (!rc)
		fifo_dispatch(pv_vcpu_id());
	pv_irq_restore(flags);
	return rc;
}

int pv_event_priority(evtchn_port_t port, unsigned int priority)
{
	struct evtchn_set_priority op = { .port = port, .priority = priority };

	return HYPERVISOR_event_channel_op(EVTCHNOP_set_priority, &op);
}

bool fifo_pending(evtchn_port_t port)
{
	event_word_t *w = word_of(port);

	return w && __atomic_load_n(w, __ATOMIC_SEQ_CST) & PENDING;
}

bool fifo_clear(evtchn_port_t port)
{
	event_word_t *w = word_of(port);

	return w && __atomic_fetch_and(w, ~PENDING, __ATOMIC_SEQ_CST) & PENDING;
}

void fifo_mask(evtchn_port_t port)
{
	event_word_t *w = word_of(port);

	if (w)
		__atomic_fetch_or(w, MASKED, __ATOMIC_SEQ_CST);
}

/* Takes the word out of its queue; the port that follows, 0: none. */
static uint32_t unlink_word(event_word_t *w)
{
	uint32_t old = __atomic_load_n(w, __ATOMIC_SEQ_CST);

	while (!__atomic_compare_exchange_n(w, &old, old & ~(LINKED | EVTCHN_FIFO_LINK_MASK), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	return old & EVTCHN_FIFO_LINK_MASK;
}

/* One port of the queue; false: that was the last. */
static bool take_one(unsigned int vcpu, unsigned int queue)
{
	uint32_t *head = &heads[vcpu][queue];
	event_word_t *w;
	evtchn_port_t port;

	if (!*head)
		*head = __atomic_load_n(&blocks[vcpu]->head[queue], __ATOMIC_ACQUIRE);
	port = *head;
	w = word_of(port);
	if (!port || !w)
		return false;
	*head = unlink_word(w);
	/* A masked one stays pending; its unmask puts it into the queue again. */
	if ((__atomic_load_n(w, __ATOMIC_SEQ_CST) & (PENDING | MASKED)) == PENDING)
		event_run(port);
	return *head;
}

void fifo_dispatch(unsigned int vcpu)
{
	struct evtchn_fifo_control_block *b = blocks[vcpu];
	uint32_t ready = b ? __atomic_exchange_n(&b->ready, 0, __ATOMIC_SEQ_CST) : 0;

	while (ready) {
		unsigned int queue = __builtin_ctz(ready);

		if (!take_one(vcpu, queue))
			ready &= ~(1U << queue);
		ready |= __atomic_exchange_n(&b->ready, 0, __ATOMIC_SEQ_CST);
	}
}
