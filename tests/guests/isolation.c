/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that storms (peers/storm.c) beside one that computes, on one hart whose clock counts instructions: in turns of its
 * own, by the clock that both see, the other floods everything that it can reach. The computing one keeps its speed and
 * its share of the hart, and its memory.
 *
 * guest: memory=32
 * peer: storm memory=32
 * harts: 1
 * icount
 * timeout: 400
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/event.h>
#include <pv/xenbus.h>

#include "storm.h"
#include "tap.h"

#define MIB (1UL << 20)
#define PATTERN(i) (0x9e3779b97f4a7c15UL * ((i) + 1))
#define SLICE_NS 10000000 /* of the scheduler (Kconfig): one may lie across a turn's end */

static struct vcpu_runstate_info area __attribute__((aligned(64)));
static uint64_t *memory;
static size_t words;
static evtchn_port_t port; /* for the other one; masked */

struct turn {
	uint64_t rounds, ran, lasted;
};

static uint64_t running(void)
{
	struct vcpu_runstate_info info;

	HYPERVISOR_vcpu_op(VCPUOP_get_runstate_info, 0, &info);
	return info.time[RUNSTATE_running];
}

/* Some arithmetic over some of the memory: the same work in each round. */
static uint64_t work(void)
{
	uint64_t s = 0;

	for (unsigned int i = 0; i < 2048; i++)
		s = s * 31 + *(volatile uint64_t *)&memory[i];
	return s;
}

static struct turn compute(uint64_t until)
{
	struct turn t = { .ran = running(), .lasted = pv_time_ns() };

	while (pv_time_ns() < until) {
		work();
		t.rounds++;
	}
	t.ran = running() - t.ran;
	t.lasted = pv_time_ns() - t.lasted;
	return t;
}

static void judge(const struct storm *s, const struct turn *calm, const struct turn *t)
{
	/* Rounds in each millisecond that it ran, and the share of the hart that it had. */
	uint64_t speed = t->rounds * 1000000000 / t->ran,
		 calm_speed = calm->rounds * 1000000000 / calm->ran;
	uint64_t fair = t->lasted / (s->wakes_dom0 ? 3 : 2);

	tap_ok(speed * 100 >= calm_speed * 95, "%s: %llu.%llu %% of its speed", s->name,
	       (unsigned long long)(speed * 100 / calm_speed),
	       (unsigned long long)(speed * 1000 / calm_speed % 10));
	tap_ok(t->ran + SLICE_NS >= fair * 95 / 100, "%s: %llu ms of %llu, fair are %llu", s->name,
	       (unsigned long long)t->ran / 1000000, (unsigned long long)t->lasted / 1000000,
	       (unsigned long long)fair / 1000000);
}

/* Tells the other one when to begin, and a port to send to, which stays masked. */
static uint64_t agree(void)
{
	char *peer = pv_xenbus_await("data/peers", 20000000000),
	     *domid = pv_xenbus_read(0, "domid");
	char me[8], them[8];
	const char *perms[] = { me, them };
	uint64_t start = pv_time_ns() + 500000000;

	snprintf(me, sizeof(me), "n%s", domid);
	snprintf(them, sizeof(them), "r%s", peer);
	port = pv_event_alloc_unbound(DOMID_SELF, strtoul(peer, NULL, 10));
	pv_event_mask(port);
	pv_xenbus_printf(0, "data/storm", "%llu %u", (unsigned long long)start, port);
	pv_xenbus_set_perms(0, "data/storm", perms, 2);
	free(peer);
	free(domid);
	return start;
}

int main(void)
{
	struct vcpu_register_runstate_memory_area reg = { .addr.v = &area };
	struct turn turns[NR_STORMS];
	uint64_t start;
	size_t wrong = 0;

	/* All that there is, but for a mebibyte */
	words = (pv_domain.ram_end - pv_domain.ram_start - 4 * MIB) / 8;
	do {
		words -= MIB / 8;
		memory = malloc(words * 8);
	} while (!memory);
	for (size_t i = 0; i < words; i++)
		memory[i] = PATTERN(i);
	HYPERVISOR_vcpu_op(VCPUOP_register_runstate_memory_area, 0, &reg);
	start = agree();
	while (pv_time_ns() < start)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	for (unsigned int i = 0; i < NR_STORMS; i++)
		turns[i] = compute(start + (i + 1) * TURN_NS);
	tap_note("alone with one that computes as well: %llu ms of %llu",
		 (unsigned long long)turns[0].ran / 1000000,
		 (unsigned long long)turns[0].lasted / 1000000);
	tap_ok(pv_event_pending(port), "the other one's events came (the port is masked)");
	for (unsigned int i = 0; i < NR_STORMS; i++)
		judge(&storms[i], &turns[0], &turns[i]);
	for (size_t i = 0; i < words; i++)
		wrong += memory[i] != PATTERN(i);
	tap_is(wrong, 0, "%zu MiB of memory are as they were", words / (MIB / 8));
	return tap_done();
}
