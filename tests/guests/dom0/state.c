/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of dom0's: stops a running peers/pattern.c, makes a domain of its state and memory, lets that go on for a while,
 * and does the same with the copy, again and again. usage: state DOMID ROUNDS
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../pattern.h"
#include "copy.h"

#include <xen/hvm/save.h>

#define STATE_MAX (1 << 20)
#define SLEEP_US 700000 /* nobody runs: longer than RUN_US */
#define RUN_US 200000
#define SLACK_NS \
	300000000 /* the last round may be long before the pause, where harts are shared; less than SLEEP_US */

static uint64_t paused_at, got_at; /* ns, of the domain that is copied */
static char state[STATE_MAX], again[STATE_MAX];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static uint32_t make_copy(uint32_t from)
{
	uint32_t to, size = STATE_MAX, size2 = STATE_MAX, need = 0;

	TRY(pv_domain_get_state(pv, from, NULL, &need));
	TRY(pv_domain_get_state(pv, from, state, &size));
	got_at = now_ns();
	if (need != size)
		bad(0, "the size was to be %u and is %u", need, size);
	to = make_like(from, 1);
	TRY(pv_domain_set_state(pv, to, state, size));
	TRY(pv_domain_get_state(pv, to, again, &size2));
	if (size != size2)
		bad(0, "%u bytes of state have become %u", size, size2);
	return to;
}

static void check(const struct pattern *was, const struct pattern *is, uint64_t ran_ns)
{
	uint64_t passed = (is->last - was->last) * 100; /* QEMU's virt machine: 10 MHz */

	printf("rounds %lu to %lu, %lu ticks, %lu us of %lu\n", was->counter, is->counter,
	       is->ticks - was->ticks, passed / 1000, ran_ns / 1000);
	if (is->fp_wrong || is->mode_wrong || is->back || is->trap_wrong)
		bad(0, "wrong: fp %lu, mode %lu, time %lu, traps %lu", is->fp_wrong, is->mode_wrong,
		    is->back, is->trap_wrong);
	if (is->counter <= was->counter || is->ticks <= was->ticks)
		bad(0, "it does not go on");
	if (is->last < was->last || passed > ran_ns + SLACK_NS)
		bad(0, "its time has not stood still");
}

int main(int argc, char **argv)
{
	struct pv_err err = { "" };
	uint32_t original, from;

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	original = from = atoi(argv[1]);
	figures_magic[0] = PATTERN_MAGIC0;
	figures_magic[1] = PATTERN_MAGIC1;
	figures_at = offsetof(struct pattern, magic);
	TRY(pv_open(&pv, &err));
	paused_at = now_ns();
	TRY(pv_domain_pause(pv, from));
	for (int round = 0; round < atoi(argv[2]); round++) {
		struct pattern was, is;
		uint32_t to = make_copy(from);
		uint64_t ran;

		if (!figures_gfn)
			bad(0, "there is no pattern in it");
		read_figures(from, &was, sizeof(was));
		usleep(SLEEP_US);
		/* Its time stands still once its state is told: until then it passes. */
		ran = now_ns() - (got_at - paused_at);
		TRY(pv_domain_unpause(pv, to));
		usleep(RUN_US);
		paused_at = now_ns();
		TRY(pv_domain_pause(pv, to));
		ran = now_ns() - ran;
		read_figures(to, &is, sizeof(is));
		check(&was, &is, ran);
		if (from != original)
			TRY(pv_domain_destroy(pv, from));
		from = to;
	}
	if (from != original)
		TRY(pv_domain_destroy(pv, from));
	puts("all went on");
	return 0;
}
