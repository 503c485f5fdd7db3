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
	unsigned int hart;
	bool armed;
};

void timer_init(struct timer *t, void (*fn)(void *), void *arg);
/* (Re-)arms on this hart. A time in the past fires soon. */
void timer_set(struct timer *t, u64 expires);
/*
 * Disarms. The callback may still be running on another hart when this returns; callers that free
 * the object use timer_kill().
 */
void timer_stop(struct timer *t);
void timer_kill(struct timer *t);
/* The timer interrupt of this hart. */
void timer_interrupt(void);

#endif
