/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-shot timers, a sorted list for each hart.
 * core/timer.c; callbacks run on the hart that armed the timer, with no lock held.
 */
#ifndef PAVISE_TIMER_H
#define PAVISE_TIMER_H

#include <list.h>
#include <types.h>

struct timer {
	struct list_head list;
	u64 expires; /* arch_time_ns() */
	void (*fn)(void *arg);
	void *arg;
	unsigned int hart; /* whose queue it is on, or was last */
	unsigned int
		running; /* harts that are in fn; more than one if it was armed elsewhere meanwhile */
	bool armed;
};

void timer_init(struct timer *t, void (*fn)(void *), void *arg);
/* (Re-)arms on this hart. A time in the past fires soon. */
void timer_set(struct timer *t, u64 expires);
/* Disarms. The callback may still be running on another hart when this returns. */
void timer_stop(struct timer *t);
/*
 * Disarms, and waits until no hart is in the callback: the object may be freed then. Not from the callback itself. Takes no
 * lock but that of the queue the timer is on.
 */
void timer_kill(struct timer *t);
/* The timer interrupt of this hart. */
void timer_interrupt(void);

#endif
