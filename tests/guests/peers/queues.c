/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_save.py saves and restores of a guest with FIFO event channels: on each of two vCPUs queues of many events, of some
 * priorities, are filled and emptied all the time, so that wherever it is stopped it is half way through one. Each event must
 * come, and once. Says what counter.c says.
 */
#include <stdio.h>
#include <stdlib.h>

#include <pv/event.h>
#include <pv/xenbus.h>

#define STEP_NS 100000000
#define MANY 1500 /* on each vCPU */

static volatile unsigned char came[2][MANY];
static volatile unsigned int number[2];
static volatile unsigned long rounds[2];
static long port[2][MANY];

static void on_event(evtchn_port_t p, void *arg)
{
	volatile unsigned char *mine = arg;

	(void)p;
	++*mine;
	number[mine >= came[1]]++;
}

static void make_ports(unsigned int vcpu)
{
	for (unsigned int i = 0; i < MANY; i++) {
		long p = pv_event_bind_ipi(vcpu);

		if (p <= 0 || pv_event_handler(p, on_event, (void *)&came[vcpu][i]) ||
		    pv_event_priority(p, i % 3 + 6))
			pv_panic("no port %u: %ld", i, p);
		port[vcpu][i] = p;
	}
}

/* On the vCPU itself. The last one waits for ever if one is lost, and then the test sees no more numbers. */
static void fill_and_empty(unsigned int vcpu)
{
	unsigned long flags = pv_irq_save();

	number[vcpu] = 0;
	for (unsigned int i = 0; i < MANY; i++) {
		came[vcpu][i] = 0;
		if (pv_event_send(port[vcpu][i]))
			pv_panic("port %ld takes no event", port[vcpu][i]);
	}
	pv_irq_restore(flags);
	while (number[vcpu] < MANY)
		pv_relax();
	for (unsigned int i = 0; i < MANY; i++) {
		if (came[vcpu][i] != 1)
			pv_panic("port %ld: %u events", port[vcpu][i], came[vcpu][i]);
	}
	rounds[vcpu]++;
}

static void fill_too(void *arg)
{
	(void)arg;
	for (;;)
		fill_and_empty(1);
}

int main(void)
{
	unsigned long n;
	long was;

	if (pv_event_use_fifo())
		pv_panic("no FIFO event channels");
	make_ports(0);
	make_ports(1);
	if (pv_vcpu_start(1, fill_too, NULL))
		return 1;
	for (n = 1;; n++) {
		uint64_t until = pv_time_ns() + STEP_NS;

		if (pv_xenbus_printf(0, "data/count", "%lu", n))
			pv_panic("xenstore takes no number");
		do {
			fill_and_empty(0);
		} while (pv_time_ns() < until);
		was = pv_xenbus_read_number(0, "data/count");
		if (was != (long)n)
			pv_panic("xenstore has %ld, not %lu", was, n);
		printf("count %lu %lu %llu\n", n, rounds[1], (unsigned long long)pv_time_ns());
		fflush(stdout);
	}
}
