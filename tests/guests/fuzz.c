/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The neighbour of a guest that makes random hypercalls (peers/attacker.c) on two vCPUs: all of its memory, its timer and its
 * events must stay right for as long as that goes on. SEED= and FUZZ_SECONDS= in make's environment choose another run.
 *
 * guest: memory=16 extra="$SEED $FUZZ_SECONDS"
 * peer: attacker memory=16 vcpus=2 extra="$SEED $FUZZ_SECONDS"
 * harts: 4
 * census
 * timeout: 120 + $FUZZ_SECONDS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#include "tap.h"

#define WORDS (4UL << 20 >> 3) /* 4 MiB that nobody else may touch */
#define SHARED_REFS 8 /* granted to the peer for reading only */
#define FIRST_REF 32

static uint64_t *memory;
static volatile unsigned int events;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	events++;
}

static uint64_t pattern(unsigned long i, unsigned int round)
{
	return (i + 1) * 0x9e3779b97f4a7c15UL ^ round;
}

/* Words that are not as they were written */
static unsigned long changed(unsigned int round)
{
	unsigned long n = 0;

	for (unsigned long i = 0; i < WORDS; i++)
		n += memory[i] != pattern(i, round);
	return n;
}

static void fill(unsigned int round)
{
	for (unsigned long i = 0; i < WORDS; i++)
		memory[i] = pattern(i, round);
}

static void share(domid_t peer)
{
	for (unsigned int i = 0; i < SHARED_REFS; i++)
		*pv_grant_entry(FIRST_REF + i) =
			(grant_entry_v1_t){ GTF_permit_access | GTF_readonly, peer,
					    ((uintptr_t)memory >> 12) + i };
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 2 ? atoi(argv[2]) : 60, rounds = 0, late = 0;
	char *peer = pv_xenbus_read(0, "data/peers");
	unsigned long wrong = 0;
	uint64_t start, before;
	long port;

	printf("# seed %s, %u s\n", argc > 1 ? argv[1] : "1", seconds);
	memory = pv_alloc_pages(WORDS * 8 / PV_PAGE_SIZE);
	if (!memory || !peer)
		return 1;
	fill(0);
	pv_grant_access(0, 0, true); /* makes the table */
	share(atoi(peer));
	port = pv_event_bind_ipi(0);
	pv_event_handler(port, on_event, NULL);
	start = pv_time_ns();
	while (pv_time_ns() - start < seconds * 1000000000ULL) {
		wrong += changed(rounds);
		fill(++rounds);
		pv_event_send(port);
		before = pv_time_ns();
		pv_sleep_ns(10000000);
		late += pv_time_ns() - before > 5000000000ULL;
	}
	wrong += changed(rounds);
	tap_ok(!wrong, "%lu of %lu words changed, in %u rounds", wrong, WORDS, rounds);
	tap_ok(events == rounds, "%u events sent, %u came", rounds, events);
	tap_ok(!late, "%u sleeps of 10 ms took 5 s and more", late);
	tap_ok(rounds >= seconds / 4, "%u rounds in %u s", rounds, seconds);
	return tap_done();
}
