/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between event_fifo.c (the FIFO ABI) and event_fifo_save.c (its part of a domain's whole state).
 */
#ifndef PAVISE_EVENT_FIFO_H
#define PAVISE_EVENT_FIFO_H

#include <event_internal.h>
#include <lock.h>

#define WORDS_PER_PAGE (PAGE_SIZE / sizeof(event_word_t))
#define MAX_WORD_PAGES (EVTCHN_FIFO_NR_CHANNELS / WORDS_PER_PAGE)

struct fifo_vcpu {
	struct evtchn_fifo_control_block *block; /* its page is held; NULL: none registered yet */
	gfn_t block_gfn; /* where the guest had it */
	u32 tail[EVTCHN_FIFO_MAX_QUEUES]; /* the port last put there, which has a word; 0: none */
};

struct evtchn_fifo {
	/*
	 * Queues and the ports' last_* and early. Inside evtchn_lock of whatever domain. One for the domain: a port may
	 * move between queues, and with one for each queue that is a dance that went wrong elsewhere (XSA-343).
	 */
	struct spinlock lock;
	u32 usable; /* pages of words that senders may use: nr_pages, written after the page, or 0 while the queues stand still */
	u32 nr_pages;
	u32 looked; /* evtchn_lock: ports below have had their words, and were looked at then for an event that came too early */
	/* fifo_stand_still(). Written under evtchn_lock and lock. */
	bool still; /* nothing is put into a queue, and no sender finds a word any more */
	bool waits; /* some port became early since that was last false */
	bool arrived; /* with a state: a word may say more than the port's record, see move_again() */
	u32 resumed; /* evtchn_lock: ports below have been looked at since the queues move again */
	event_word_t *page[MAX_WORD_PAGES]; /* their pages are held */
	gfn_t page_gfn[MAX_WORD_PAGES]; /* where the guest had them */
	struct fifo_vcpu vcpu[]; /* [max_vcpus] */
};

/*
 * evtchn_lock or fifo.lock held. NULL: the guest has given no page for it yet. Words change by atomic operations only, whole or in
 * part: a guest's own may be 64 bits wide, over the neighbouring word too.
 */
static inline event_word_t *fifo_word(struct evtchn_fifo *f, u32 port)
{
	u32 page = port / WORDS_PER_PAGE;

	return page < READ_ONCE(f->nr_pages) ? &f->page[page][port % WORDS_PER_PAGE] : NULL;
}

/* evtchn_lock held. The first port that may exist and has no word yet. */
static inline u32 fifo_words_end(struct domain *d)
{
	return min(d->evtchn->fifo->nr_pages * (u32)WORDS_PER_PAGE, d->evtchn->max_ports);
}

/* evtchn_lock held. The change from 2-level. -ENOMEM */
int fifo_enable(struct domain *d);
/* evtchn_lock held. Takes the caller's reference to the page, which is at gfn, if it becomes one of words: then *pg is NULL. -ENOSPC */
int fifo_add_page(struct evtchn_fifo *f, struct page **pg, gfn_t gfn);

#endif
