/* SPDX-License-Identifier: MIT */
/*
 * Two domains send each other events. Start it twice and say to each which domain the other is:
 *	make guest SRC=pvabi/runtime/examples/pingpong.c; cp build/guests/pingpong images/
 * and in dom0 the lines in the head of pingpong.cfg. They find one another through the node data/peers.
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/event.h>
#include <pv/task.h>
#include <pv/xenbus.h>

#define ROUNDS 10000

static unsigned int got;
static struct pv_signal all;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)arg;
	if (++got <= ROUNDS)
		pv_event_send(port); /* back to the other */
	if (got == ROUNDS)
		pv_task_signal(&all);
}

/* The lower one offers a port and shows it in xenstore; the higher one connects to it. */
static long meet(unsigned int me, unsigned int other)
{
	char path[60], mine[10], theirs[10], *text;
	const char *perms[] = { mine, theirs };
	long port;

	if (me > other) {
		snprintf(path, sizeof(path), "/local/domain/%u/data/port", other);
		text = pv_xenbus_await(path, 30000000000);
		return text ? pv_event_bind_interdomain(other, atoi(text)) : -1;
	}
	port = pv_event_alloc_unbound(DOMID_SELF, other);
	snprintf(mine, sizeof(mine), "n%u", me);
	snprintf(theirs, sizeof(theirs), "r%u", other);
	pv_xenbus_printf(0, "data/port", "%ld", port);
	pv_xenbus_set_perms(0, "data/port", perms, 2);
	return port;
}

int main(void)
{
	long me = pv_xenbus_read_number(0, "domid"), port;
	char *peer = pv_xenbus_await("data/peers", 30000000000);
	uint64_t start;

	if (!peer)
		return 1;
	port = meet(me, atoi(peer));
	if (port < 0)
		return 1;
	start = pv_time_ns();
	pv_event_handler(port, on_event, NULL);
	if (me > atoi(peer)) /* both are there: the first event */
		pv_event_send(port);
	pv_task_wait(&all);
	printf("domain %ld: %u events in %llu us\n", me, got,
	       (unsigned long long)(pv_time_ns() - start) / 1000);
	return 0;
}
