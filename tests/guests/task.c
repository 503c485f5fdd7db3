/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runtime's cooperative tasks (pv/task.h): turns, signals from tasks, upcalls and other vCPUs, times, exceptions.
 *
 * guest: vcpus=2
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/event.h>
#include <pv/task.h>

#include "tap.h"

static char order[32];
static struct pv_signal go, done;

static void say(void *name)
{
	for (int i = 0; i < 3; i++) {
		strcat(order, name);
		pv_task_yield();
	}
}

static void turns(void)
{
	struct pv_task *a = pv_task_start(say, "a"), *b = pv_task_start(say, "b"),
		       *c = pv_task_start(say, "c");

	tap_ok(a && b && c && !order[0], "three tasks, none of which has begun");
	pv_task_join(b);
	pv_task_join(a);
	pv_task_join(c);
	tap_ok(!strcmp(order, "abcabcabc"), "they took turns: %s", order);
}

static void answer(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		pv_task_wait(&go);
		pv_task_signal(&done);
	}
}

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port, (void)arg;
	pv_task_signal(&go);
}

static void other_vcpu(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		/* Sleeping each time: the IPI must end the others' sleep. */
		pv_task_sleep_ns(200000);
		pv_task_signal(&go);
	}
}

static void signals(void)
{
	int rounds = 1000, few = 50;
	struct pv_task *t = pv_task_start(answer, &rounds);
	long port = pv_event_bind_ipi(0);

	for (int i = 0; i < rounds; i++) {
		pv_task_signal(&go);
		pv_task_wait(&done);
	}
	pv_task_join(t);
	tap_ok(!go.count && !done.count, "%d signals there and back", rounds);

	t = pv_task_start(answer, &few);
	pv_event_handler(port, on_event, NULL);
	for (int i = 0; i < few; i++) {
		pv_event_send(port);
		pv_task_wait(&done);
	}
	pv_task_join(t);
	tap_ok(!go.count, "%d from upcalls", few);

	t = pv_task_start(answer, &few);
	pv_vcpu_start(1, other_vcpu, &few);
	for (int i = 0; i < few; i++)
		pv_task_wait(&done);
	pv_task_join(t);
	pv_vcpu_join(1);
	tap_ok(!go.count, "%d from another vCPU", few);
	pv_event_close(port);
}

static uint64_t slept[3];

static void sleeper(void *n)
{
	uint64_t start = pv_time_ns();

	pv_task_sleep_ns((3 - (uintptr_t)n) * 3000000);
	slept[(uintptr_t)n] = pv_time_ns() - start;
}

static void times(void)
{
	struct pv_task *t[3];
	uint64_t start = pv_time_ns();
	struct pv_signal never = { 0 };

	tap_ok(!pv_task_wait_until(&never, start + 2000000) && pv_time_ns() >= start + 2000000,
	       "nobody signals: after 2 ms it goes on");
	for (uintptr_t i = 0; i < 3; i++)
		t[i] = pv_task_start(sleeper, (void *)i);
	for (unsigned int i = 0; i < 3; i++)
		pv_task_join(t[i]);
	tap_ok(slept[0] >= 9000000 && slept[1] >= 6000000 && slept[2] >= 3000000,
	       "three sleep their 9, 6 and 3 ms (%llu, %llu, %llu us)",
	       (unsigned long long)slept[0] / 1000, (unsigned long long)slept[1] / 1000,
	       (unsigned long long)slept[2] / 1000);
}

static void read_nowhere(void *arg)
{
	pv_task_yield(); /* the other one is in a pv_try() of its own now */
	*(volatile char *)arg;
}

static void faulter(void *count)
{
	struct pv_trap trap;

	for (int i = 0; i < 10; i++)
		*(int *)count += pv_try(read_nowhere, (void *)0x10000000, &trap) && trap.cause == 5;
}

static void exceptions(void)
{
	int caught[2] = { 0 };
	struct pv_task *a = pv_task_start(faulter, &caught[0]),
		       *b = pv_task_start(faulter, &caught[1]);

	pv_task_join(a);
	pv_task_join(b);
	tap_ok(caught[0] == 10 && caught[1] == 10, "each catches its own exceptions");
}

int main(void)
{
	turns();
	signals();
	times();
	exceptions();
	return tap_done();
}
