/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No event is lost (docs/abi.md, "Upcall"): vCPU 0 takes upcalls, and in each round vCPU 1 sends one
 * event, vCPU 0 another to itself, and another domain (peers/racer.c) a third, at times that drift against each other, so
 * that sends fall before, into and after each step of the scan. All must arrive. XSA-340, XSA-358: barriers.
 *
 * Its arguments are a number of rounds and of seconds, whichever ends first.
 *
 * guest: vcpus=2 extra="$LITMUS_ROUNDS $LITMUS_SECONDS"
 * peer: racer
 * harts: 1 2
 * timeout: 120+$LITMUS_SECONDS
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#include "tap.h"

#define PATIENCE_NS 5000000000ULL

static evtchn_port_t near_port, far_port; /* sent by vCPU 0 and by vCPU 1, both for vCPU 0 */
static evtchn_port_t foreign_port; /* by the other domain */
static volatile unsigned int round_nr, near_seen, far_seen, foreign_seen;
static volatile unsigned int *shared_nr; /* the round, for the other domain */
static unsigned int lost_near, lost_far, lost_foreign;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port;
	/* What this round's sender wrote before it sent is there. */
	*(volatile unsigned int *)arg = round_nr;
}

static void spin(unsigned int n)
{
	while (n--)
		pv_relax();
}

static void sender(void *arg)
{
	unsigned int rounds = (uintptr_t)arg;

	for (unsigned int i = 1; i <= rounds; i++) {
		/* On one hart the other vCPU must have a turn; on two, a yield would end the race. */
		for (unsigned int n = 0; round_nr != i; n++)
			if (n > 200)
				HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
		spin(i * 7 % 97);
		pv_event_send(far_port);
	}
}

static bool arrives(volatile unsigned int *seen, unsigned int round)
{
	uint64_t until = 0;

	while (*seen != round) {
		if (!until)
			until = pv_time_ns() + PATIENCE_NS;
		else if (pv_time_ns() >= until)
			return false;
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	}
	return true;
}

/* Gives the other domain a page with the round and a port to send to, and waits until it is there: its first event. */
static bool meet(void)
{
	char *peer = pv_xenbus_await("data/peers", 20000000000),
	     *domid = pv_xenbus_read(0, "domid");
	unsigned int other = strtoul(peer, NULL, 10);
	char me[8], them[8];
	const char *perms[] = { me, them };

	shared_nr = pv_alloc_pages(1);
	round_nr = 1; /* before the other one can find the port: it sends only once */
	foreign_port = pv_event_alloc_unbound(DOMID_SELF, other);
	pv_event_handler(foreign_port, on_event, (void *)&foreign_seen);
	snprintf(me, sizeof(me), "n%s", domid);
	snprintf(them, sizeof(them), "r%u", other);
	pv_xenbus_printf(0, "data/race", "%ld %u", pv_grant_access(other, pv_gfn(shared_nr), false),
			 foreign_port);
	pv_xenbus_set_perms(0, "data/race", perms, 2);
	free(peer);
	free(domid);
	return arrives(&foreign_seen, 1);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	uint64_t seconds = argc > 2 ? strtoul(argv[2], NULL, 10) : 20;
	uint64_t start = pv_time_ns(), end = start + seconds * 1000000000;
	unsigned int i;

	tap_ok(meet(), "the other domain is there");
	round_nr = 0;

	near_port = pv_event_bind_ipi(0);
	far_port = pv_event_bind_ipi(0);
	pv_event_handler(near_port, on_event, (void *)&near_seen);
	pv_event_handler(far_port, on_event, (void *)&far_seen);
	pv_vcpu_start(1, sender, (void *)(uintptr_t)rounds);
	for (i = 1; i <= rounds && !lost_near && !lost_far && !lost_foreign; i++) {
		if (pv_time_ns() > end)
			break;
		foreign_seen = 0;
		__atomic_store_n(&round_nr, i, __ATOMIC_SEQ_CST);
		__atomic_store_n(shared_nr, i, __ATOMIC_SEQ_CST);
		spin(i * 5 % 89);
		pv_event_send(near_port);
		lost_near += !arrives(&near_seen, i);
		lost_far += !arrives(&far_seen, i);
		lost_foreign += !arrives(&foreign_seen, i);
	}
	tap_note("%u rounds in %llu ms", i - 1,
		 (unsigned long long)(pv_time_ns() - start) / 1000000);
	tap_ok(i > 20, "there were %u races", i - 1);
	tap_is(lost_near, 0, "no own event is lost");
	tap_is(lost_far, 0, "no other vCPU's event is lost");
	tap_is(lost_foreign, 0, "no other domain's event is lost");
	return tap_done();
}
