/* SPDX-License-Identifier: BSD-2-Clause */
/* The turns of isolation.c and peers/storm.c: in the n-th, storms[n] rages. */
#ifndef STORM_H
#define STORM_H

#include <stdbool.h>
#include <stdint.h>

#define TURN_NS 300000000ULL

struct storm {
	const char *name;
	bool wakes_dom0; /* which then takes its fair share of the hart as well */
};

static const struct storm storms[] = {
	{ "a loop", false },
	{ "events to itself and the neighbour", false },
	{ "events to dom0", true },
	{ "hypercalls", false },
	{ "the hypervisor's console", false },
	{ "its console ring", true },
	{ "grants mapped and unmapped", false },
	{ "memory given back and taken", false },
};

#define NR_STORMS (sizeof(storms) / sizeof(storms[0]))

#endif
