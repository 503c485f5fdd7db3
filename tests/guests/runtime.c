/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runtime itself: what the other tests rely on.
 *
 * guest: vcpus=4 memory=16 extra="one two"
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#include "tap.h"

static volatile unsigned int ran[PV_MAX_VCPUS];

static void on_vcpu(void *arg)
{
	errno = (int)(long)arg;
	for (int i = 0; i < 100; i++)
		free(malloc(100 + i));
	if (errno == (int)(long)arg)
		ran[pv_vcpu_id()]++;
}

static void vcpus(void)
{
	for (int round = 0; round < 20; round++) {
		for (unsigned int n = 1; n < pv_domain.nr_vcpus; n++)
			if (pv_vcpu_start(n, on_vcpu, (void *)(long)(n + 100)))
				return;
		for (unsigned int n = 1; n < pv_domain.nr_vcpus; n++)
			pv_vcpu_join(n);
	}
	for (unsigned int n = 1; n < pv_domain.nr_vcpus; n++)
		tap_is(ran[n], 20, "vCPU %u ran and has an errno of its own", n);
	tap_is(pv_vcpu_start(PV_MAX_VCPUS, on_vcpu, NULL), -EINVAL, "no vCPU %lu",
	       (long)PV_MAX_VCPUS);
}

static pv_spinlock_t lock;
static volatile bool stop;
static volatile unsigned int holds;

/* Sleeps with the lock held, and takes it again as soon as it is free. */
static void greedy(void *arg)
{
	(void)arg;
	while (!stop && holds < 5000) {
		pv_spin_lock(&lock);
		holds++;
		pv_sleep_ns(1000000);
		pv_spin_unlock(&lock);
	}
}

static void lock_in_turns(void)
{
	unsigned int got = 0, wrong = 0;

	if (pv_vcpu_start(1, greedy, NULL))
		return;
	while (!holds)
		;
	for (; got < 20 && holds < 5000; got++) {
		pv_spin_lock(&lock);
		wrong += pv_spin_trylock(&lock);
		pv_spin_unlock(&lock);
	}
	stop = true;
	pv_vcpu_join(1);
	tap_ok(got == 20, "a lock goes to those who wait (%u times in %u turns of another)", got,
	       holds);
	tap_is(wrong, 0, "one that is held is not taken by trying");
	tap_ok(pv_spin_trylock(&lock) && pv_spin_is_locked(&lock), "a free one is taken at once");
	pv_spin_unlock(&lock);
	tap_ok(!pv_spin_is_locked(&lock), "and is free again");
}

static void read_nowhere(void *arg)
{
	*(volatile char *)arg;
}

static void write_there(void *arg)
{
	*(volatile char *)arg = 1;
}

static void exceptions(void)
{
	struct pv_trap trap;
	char *page = pv_alloc_pages(1);

	tap_ok(pv_try(read_nowhere, (void *)0x10000000, &trap) && trap.cause == 5,
	       "nothing there: load access fault");
	tap_ok(pv_try(read_nowhere, (void *)PV_WINDOW, &trap) && trap.cause == 13 &&
		       trap.tval == PV_WINDOW,
	       "not mapped: load page fault");
	tap_is(pv_map(PV_WINDOW, (uintptr_t)page, PTE_R), 0, "a page in the window");
	tap_ok(!pv_try(read_nowhere, (void *)PV_WINDOW, &trap), "it can be read");
	tap_ok(pv_try(write_there, (void *)PV_WINDOW, &trap) && trap.cause == 15,
	       "but not written: store page fault");
	pv_unmap(PV_WINDOW);
	tap_ok(pv_try(read_nowhere, (void *)PV_WINDOW, &trap), "unmapped again");
	free(page);
}

static volatile unsigned int upcalls;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port;
	*(volatile unsigned int *)arg += 1;
}

static void events(void)
{
	long port = pv_event_bind_ipi(0);

	tap_ok(port > 0, "a port for an IPI");
	pv_event_handler(port, on_event, (void *)&upcalls);
	for (int i = 0; i < 10; i++)
		pv_event_send(port);
	tap_is(upcalls, 10, "ten events, ten upcalls");
	tap_is(pv_event_close(port), 0, "closed");
}

static void nothing(void *arg)
{
	(void)arg;
}

/* A vCPU that is off cannot be told, and is not told again: it looks for itself when it starts. */
static void event_while_off(void)
{
	volatile unsigned int upcalls_there = 0;
	long port = pv_event_bind_ipi(1);

	pv_event_handler(port, on_event, (void *)&upcalls_there);
	for (unsigned int i = 1; i <= 3; i++) {
		pv_event_send(port);
		pv_vcpu_start(1, nothing, NULL);
		pv_vcpu_join(1);
		tap_is(upcalls_there, i, "start %u: the event that came while it was off", i);
	}
	pv_event_close(port);
}

static void timer(void)
{
	uint64_t before = pv_time_ns(), after;
	volatile unsigned int fired = 0;

	pv_sleep_ns(5000000);
	after = pv_time_ns();
	tap_ok(after - before >= 5000000 && after - before < 2000000000, "sleeps 5 ms (%llu us)",
	       (unsigned long long)(after - before) / 1000);
	(void)fired;
	tap_ok(time(NULL) > 1700000000, "it is after 2023 (%lld)", (long long)time(NULL));
}

static void xenstore(void)
{
	char *domid = pv_xenbus_read(0, "domid"), *name;

	tap_ok(domid != NULL, "xenstore: own domid (%s)", domid ? domid : strerror(errno));
	name = pv_xenbus_read(0, "name");
	tap_ok(name && !strcmp(name, pv_domain.name), "and name (%s)", name ? name : "none");
	tap_ok(!pv_xenbus_read(0, "no/such/node") && errno == ENOENT, "no such node");
	tap_is(pv_xenbus_write(0, "data/test", "written"), 0, "data/test written");
	free(name);
	name = pv_xenbus_read(0, "data/test");
	tap_ok(name && !strcmp(name, "written"), "and read back");
	free(name);
	free(domid);
}

int main(int argc, char **argv)
{
	grant_ref_t ref;
	void *page = pv_alloc_pages(1);

	tap_ok(argc == 3 && !strcmp(argv[1], "one") && !strcmp(argv[2], "two"), "arguments");
	tap_is(pv_domain.nr_vcpus, 4, "vCPUs");
	vcpus();
	lock_in_turns();
	exceptions();
	events();
	event_while_off();
	timer();
	xenstore();
	ref = pv_grant_access(0, pv_gfn(page), true);
	tap_ok(ref >= GNTTAB_NR_RESERVED_ENTRIES, "a grant");
	tap_is(pv_grant_end(ref), 0, "taken back");
	return tap_done();
}
