// SPDX-License-Identifier: BSD-2-Clause
/*
 * Harts as fibres. Each operation runs on its own stack; at a point the schedule may let another go on. A hart that spins
 * lets the others on, so that locks and waits behave as on the machine; one that waits for ever is a failure.
 */
#include <fcntl.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <ucontext.h>
#include <unistd.h>

#include "explore.h"
#include "interleave.h"

#define STACK_SIZE (256 * 1024)
/* Harts that are in their guests or idle do there what they were kicked for. */
#define KICKED (MAX_FIBRES - 1)
#define MAIN MAX_FIBRES /* who runs when no fibre does */
#define MAX_PARTS 50
#define MAX_SPINS 10000

/* What of struct host is a hart's own. */
struct own {
	unsigned int hart, preempt_calls, relaxed, restarts, restart_nr;
	long maps_left;
	u64 restart_args[5];
};

struct fibre {
	ucontext_t context;
	const void *stack;
	size_t stack_size;
	void *fake_stack; /* ASan's */
	struct own own;
	bool done; /* KICKED: has nothing to do */
	unsigned int spins, parts;
	jmp_buf lost;
};

struct trace trace;
bool tell_switches;

static struct fibre fibres[MAX_FIBRES + 1];
static char stacks[MAX_FIBRES][STACK_SIZE] __aligned(64);
static unsigned int current;
static const struct actor *acts;
static const struct schedule *schedule_now;
static unsigned int next_switch;
static u64 busy; /* harts that are in the hypervisor */

/* ---- fibres ---- */

static void keep_own(struct own *o)
{
	o->hart = host.hart;
	o->preempt_calls = host.preempt_calls;
	o->relaxed = host.relaxed;
	o->restarts = host.restarts;
	o->restart_nr = host.restart_nr;
	o->maps_left = host.maps_left;
	memcpy(o->restart_args, host.restart_args, sizeof(o->restart_args));
}

static void take_own(const struct own *o)
{
	host.hart = o->hart;
	host.preempt_calls = o->preempt_calls;
	host.relaxed = o->relaxed;
	host.restarts = o->restarts;
	host.restart_nr = o->restart_nr;
	host.maps_left = o->maps_left;
	memcpy(host.restart_args, o->restart_args, sizeof(host.restart_args));
}

static void switch_to(unsigned int n)
{
	struct fibre *from = &fibres[current], *to = &fibres[n];

	keep_own(&from->own);
	current = n;
	__sanitizer_start_switch_fiber(from->done ? NULL : &from->fake_stack, to->stack,
				       to->stack_size);
	swapcontext(&from->context, &to->context);
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
	take_own(&from->own);
}

/* Those that could go on. */
static unsigned int others(void)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < MAX_FIBRES; i++) {
		if (i != current && !fibres[i].done)
			mask |= BIT(i);
	}
	return mask;
}

/* Gives the others time, each in its turn; somebody must have something to do. */
static void turn(void)
{
	unsigned int could, n = current;

	if (host.kicked & ~busy)
		fibres[KICKED].done = false;
	could = others();
	if (!could)
		return;
	do
		n = (n + 1) % MAX_FIBRES;
	while (!(could & BIT(n)));
	switch_to(n);
}

/* ---- points ---- */

/* Who goes on at the next point: stay, unless the schedule says another. */
static unsigned int choose(unsigned int stay, unsigned int could, bool free)
{
	unsigned int n = stay, point = trace.nr++;

	if (point >= MAX_POINTS)
		fail_run("more than %u points", MAX_POINTS);
	if (next_switch < schedule_now->nr && schedule_now->at[next_switch].point == point) {
		n = schedule_now->at[next_switch++].fibre;
		if (!(could & BIT(n)))
			fail_run("the schedule does not fit: at point %u fibre %u cannot go on",
				 point, n);
		if (tell_switches) {
			fprintf(stderr, "---- point %u: on with %u, not with %u, which is at\n",
				point, n, stay);
			if (!free)
				__sanitizer_print_stack_trace();
		}
	}
	trace.at[point].runs = n;
	trace.at[point].could = (could | BIT(stay)) & ~BIT(n);
	trace.at[point].free = free;
	return n;
}

static void point(void)
{
	unsigned int could = others(), n;

	n = choose(current, could, false);
	if (n != current)
		switch_to(n);
}

static void relax(void)
{
	if (++fibres[current].spins > MAX_SPINS)
		fail_run("deadlock: hart %u waits for ever", host.hart);
	turn();
}

/* ---- what runs in them ---- */

static void exit_path(void)
{
	while (host.kicked & BIT(host.hart)) {
		host.kicked &= ~BIT(host.hart);
		schedule();
	}
}

/* Between two parts of a hypercall: the guest that must not run on has not ended it, and will not. */
static void between(void)
{
	exit_path();
	if (arch_current() != acts[current].v)
		longjmp(fibres[current].lost, 1);
	/* It may be waiting for another's progress. */
	if (++fibres[current].parts > MAX_PARTS)
		relax();
}

static void run_operation(void)
{
	unsigned int hart = host.hart;

	while (busy & BIT(hart)) /* it is about to leave its guest */
		relax();
	busy |= BIT(hart);
	exit_path();
	if (arch_current() == acts[hart].v && !setjmp(fibres[hart].lost))
		acts[hart].op->run();
	exit_path();
	busy &= ~BIT(hart);
}

/* An interrupt on each. */
static void run_others(void)
{
	for (unsigned int h = 2; h < NR_HARTS; h++) {
		if (busy & BIT(h))
			continue;
		busy |= BIT(h);
		host.hart = h;
		host.kicked &= ~BIT(h);
		schedule();
		exit_path();
		busy &= ~BIT(h);
	}
}

/* host.h's run_kicked() but for harts that a fibre is on. */
static void run_free_kicked(void)
{
	for (unsigned int h = 0; h < NR_HARTS; h++) {
		if (busy & BIT(h) || !(host.kicked & BIT(h)))
			continue;
		busy |= BIT(h);
		host.kicked &= ~BIT(h);
		host.hart = h;
		schedule();
		busy &= ~BIT(h);
	}
}

/* Who goes on when one has ended is everybody's choice. */
static void ended(void)
{
	unsigned int could, next = 0;

	fibres[current].done = true;
	could = others();
	if (!could)
		switch_to(MAIN);
	while (!(could & BIT(next)))
		next++;
	switch_to(choose(next, could, true));
}

static void fibre_main(void)
{
	/* The first of all comes from main(), whose stack ASan knows. */
	if (fibres[MAIN].stack)
		__sanitizer_finish_switch_fiber(NULL, NULL, NULL);
	else
		__sanitizer_finish_switch_fiber(NULL, &fibres[MAIN].stack,
						&fibres[MAIN].stack_size);
	take_own(&fibres[current].own);
	if (current < 2)
		run_operation();
	else if (current != KICKED)
		run_others();
	while (current == KICKED) {
		run_free_kicked();
		fibres[KICKED].done = true;
		turn();
		if (fibres[KICKED].done)
			switch_to(MAIN);
	}
	ended();
}

static void make_fibre(unsigned int n)
{
	struct fibre *f = &fibres[n];

	/* What was left there when the last run ended. */
	ASAN_UNPOISON_MEMORY_REGION(stacks[n], STACK_SIZE);
	*f = (struct fibre){ .stack = stacks[n],
			     .stack_size = STACK_SIZE,
			     .own = { .hart = n, .maps_left = -1 } };
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = stacks[n];
	f->context.uc_stack.ss_size = STACK_SIZE;
	makecontext(&f->context, fibre_main, 0);
}

void harts_init(void)
{
	int err = dup(2), nowhere = open("/dev/null", O_WRONLY);
	ucontext_t here, before;
	volatile bool again = false;

	dup2(nowhere, 2);
	getcontext(&here);
	if (!again) {
		again = true;
		swapcontext(&before, &here);
	}
	dup2(err, 2);
	close(nowhere);
	close(err);
}

static void until_quiet(void)
{
	for (unsigned int n = 0; host.kicked; n++) {
		if (n > 1000)
			fail_run("harts kick one another for ever");
		run_free_kicked();
	}
}

void run_schedule(const struct actor actors[2], bool others, const struct schedule *s)
{
	for (unsigned int n = 0; n < MAX_FIBRES; n++)
		make_fibre(n);
	fibres[2].done = !others;
	fibres[KICKED].done = true;
	acts = actors;
	schedule_now = s;
	next_switch = 0;
	trace.nr = 0;
	busy = 0;
	host.preempt_every = !!((actors[0].op->about | actors[1].op->about) & CUT_UP);
	host.preempt_kicked = true;
	host.between = between;
	host.point = point;
	host.relax = relax;
	current = MAIN;
	switch_to(choose(0, others ? 7 : 3, true));
	host.point = host.relax = host.between = NULL;
	host.preempt_kicked = false;
	if (next_switch != s->nr)
		fail_run("the schedule does not fit: it has more points than the run");
	until_quiet();
}
