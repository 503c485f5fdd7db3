/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two vCPUs against each other: in each round both do one thing at the same moment, give or take a delay that drifts, so that
 * the two fall into each other at every place. For the adv_*.c tests.
 */
#ifndef RACE_H
#define RACE_H

#include <stdbool.h>

/* What a test's argv says: "10" is ten times as many rounds. */
void race_init(int argc, char **argv);
/* So many rounds of a test, by that factor. */
unsigned int race_rounds(unsigned int n);

/*
 * Runs mine(i) here, on vCPU 0, and theirs(i) on vCPU 1, for i = 1, 2, ...; when both are done, check(i) here (NULL: none).
 * Ends after so many rounds, by the factor, or behind an even round once five seconds are over, by the factor too, or when
 * check() is false: with an even number of rounds, what odd ones do may be undone in the next. Prints the rounds, and how often
 * theirs began before mine was done and the other way round. Returns whether no check was false.
 */
bool race(const char *what, unsigned int rounds, void (*mine)(unsigned int round),
	  void (*theirs)(unsigned int round), bool (*check)(unsigned int round));

#endif
