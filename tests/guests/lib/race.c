/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rounds of two vCPUs.
 */
#include <stdlib.h>

#include <pv/runtime.h>

#include "race.h"
#include "tap.h"

/* A delay is 0 to 2^n turns of an empty loop, n from 0 to this: as long as the longest hypercall here. */
#define MAX_DELAY_SHIFT 12
/*
 * Where harts are threads of a busy machine, a round may take 50 ms: a race ends after so long, times the factor, and so many
 * rounds at the least.
 */
#define MAX_TIME_NS 5000000000UL
#define MIN_ROUNDS 10
/* On one hart the other vCPU must have a turn; on two, a yield would end the race. */
#define SPINS 2000

struct side {
	void (*fn)(unsigned int round);
	uint64_t random;
	volatile uint64_t began, ended; /* time CSR, of the last round */
};

static struct side sides[2];
static volatile unsigned int current, here, finished; /* rounds */
static volatile bool stop;
static unsigned int factor = 1;

void race_init(int argc, char **argv)
{
	if (argc > 1)
		factor = strtoul(argv[1], NULL, 10);
	if (!factor)
		factor = 1;
}

unsigned int race_rounds(unsigned int n)
{
	return n * factor;
}

static void delay(struct side *s, unsigned int round)
{
	uint64_t n;

	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	n = s->random & ((1UL << round % (MAX_DELAY_SHIFT + 1)) - 1);
	while (n--)
		pv_relax();
}

static void act(struct side *s, unsigned int round)
{
	delay(s, round);
	s->began = pv_ticks();
	s->fn(round);
	s->ended = pv_ticks();
}

static void wait_for(volatile unsigned int *what, unsigned int round)
{
	for (unsigned int n = 0; *what != round && !stop; n++)
		if (n > SPINS)
			HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
}

static void second(void *unused)
{
	(void)unused;
	for (unsigned int round = 1;; round++) {
		wait_for(&current, round);
		if (stop)
			return;
		/* Both are on a hart at this moment: that is what makes a race likely on a machine that has other things to do. */
		__atomic_store_n(&here, round, __ATOMIC_SEQ_CST);
		act(&sides[1], round);
		__atomic_store_n(&finished, round, __ATOMIC_SEQ_CST);
	}
}

bool race(const char *what, unsigned int rounds, void (*mine)(unsigned int round),
	  void (*theirs)(unsigned int round), bool (*check)(unsigned int round))
{
	uint64_t end = pv_time_ns() + factor * MAX_TIME_NS;
	unsigned int round, overlaps = 0;
	bool ok = true;

	rounds = race_rounds(rounds);
	current = here = finished = 0;
	stop = false;
	sides[0].fn = mine;
	sides[1].fn = theirs;
	sides[0].random = 0x9e3779b97f4a7c15UL;
	sides[1].random = 0xd1b54a32d192ed03UL;
	if (pv_vcpu_start(1, second, NULL))
		return tap_ok(false, "%s: vCPU 1 does not start", what);
	for (round = 1; ok && round <= rounds; round++) {
		/* Behind an even round, so that nothing is half done. */
		if (round > MIN_ROUNDS && round & 1 && pv_time_ns() > end)
			break;
		__atomic_store_n(&current, round, __ATOMIC_SEQ_CST);
		wait_for(&here, round);
		act(&sides[0], round);
		wait_for(&finished, round);
		overlaps += sides[0].began < sides[1].ended && sides[1].began < sides[0].ended;
		ok = !check || check(round);
	}
	stop = true;
	pv_vcpu_join(1);
	tap_note("%s: %u rounds, in %u of them at the same time", what, round - 1, overlaps);
	return ok;
}
