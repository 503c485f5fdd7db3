/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of dom0's: forks a running peers/pattern.c again and again, at different moments, while all of them go on; the first one ends before its copies.
 * Or, of peers/cow.c: what a fork and a first store take. usage: fork DOMID COPIES | fork DOMID
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../cow.h"
#include "../pattern.h"
#include "copy.h"

#define STATE_MAX (1 << 20)
#define MAX_RUNS 128
#define MAX_COPIES 64
#define RUN_US 100000
#define WAIT_TRIES 100

static char state[STATE_MAX], page[PV_PAGE_SIZE];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static uint64_t free_pages(void)
{
	struct xen_sysctl_physinfo info;

	TRY(pv_physinfo(pv, &info));
	return info.free_pages;
}

static bool has_magic(uint32_t domid, uint64_t gfn)
{
	uint8_t kind;

	memset(page, 0, sizeof(page));
	TRY(pv_memory_read(pv, domid, &gfn, 1, page, &kind));
	return kind == PV_PAGE_DATA &&
	       !memcmp(page + figures_at, figures_magic, sizeof(figures_magic));
}

static void find_figures(uint32_t domid)
{
	static struct pavise_memory_run runs[MAX_RUNS];
	uint64_t gfn = 0;
	int n = pv_memory_map(pv, domid, &gfn, runs, MAX_RUNS);

	TRY(n);
	for (int i = 0; i < n && !figures_gfn; i++) {
		for (gfn = runs[i].gfn; runs[i].what == PAVISE_RUN_ram && !figures_gfn &&
					gfn < runs[i].gfn + runs[i].pages;
		     gfn++) {
			if (has_magic(domid, gfn))
				figures_gfn = gfn;
		}
	}
	if (!figures_gfn)
		bad(0, "its figures are not there");
}

/* A paused copy. *ns: what the fork itself took. */
static uint32_t fork_it(uint32_t from, uint64_t *ns)
{
	struct pv_create c = { .max_vcpus = 1,
			       .max_evtchn_port = 1023,
			       .max_grant_frames = -1,
			       .max_maptrack_frames = -1 };
	struct xen_mem_sharing_op op = { .op = XENMEM_sharing_op_fork };
	uint32_t to, size = STATE_MAX;

	TRY(pv_domain_pause(pv, from));
	TRY(pv_domain_get_state(pv, from, state, &size));
	TRY(pv_domain_create(pv, &c, &to, NULL));
	TRY(pv_domain_max_vcpus(pv, to, 1));
	op.domain = to;
	op.u.fork.parent_domain = from;
	*ns = now_ns();
	TRY(pv_hypercall_struct(pv, __HYPERVISOR_memory_op, XENMEM_sharing_op, &op, sizeof(op)));
	*ns = now_ns() - *ns;
	TRY(pv_domain_set_state(pv, to, state, size));
	TRY(pv_domain_unpause(pv, from));
	return to;
}

/* What it has once it has gone on since *was: all others want the hart as well, and its turn comes when it comes. */
static struct pattern goes_on(uint32_t domid, const struct pattern *was)
{
	struct pattern is;

	for (unsigned int i = 0; i < WAIT_TRIES; i++) {
		TRY(pv_domain_pause(pv, domid));
		read_figures(domid, &is, sizeof(is));
		TRY(pv_domain_unpause(pv, domid));
		if (is.counter > was->counter && is.ticks > was->ticks)
			return is;
		usleep(RUN_US);
	}
	bad(0, "d%u does not go on", domid);
}

/* It has gone on since *was, and nothing of what it looks at was wrong. */
static void check(uint32_t domid, struct pattern *was)
{
	struct pattern is = goes_on(domid, was);

	if (is.fp_wrong || is.mode_wrong || is.back || is.trap_wrong)
		bad(0, "d%u is wrong: fp %lu, mode %lu, time %lu, traps %lu", domid, is.fp_wrong,
		    is.mode_wrong, is.back, is.trap_wrong);
	*was = is;
}

static void many(uint32_t original, unsigned int copies)
{
	static struct pattern was[MAX_COPIES + 1]; /* when it was looked at, or forked */
	static uint32_t id[MAX_COPIES + 1];
	uint64_t before = free_pages(), ns;

	id[0] = original;
	for (unsigned int i = 1; i <= copies; i++) {
		/* Of the first one, or of a copy: each at another moment */
		unsigned int from = i % 5 ? 0 : i - 1;

		check(id[from], &was[from]);
		id[i] = fork_it(id[from], &ns);
		read_figures(id[i], &was[i], sizeof(was[i]));
		if (was[i].counter < was[from].counter)
			bad(0, "d%u is of a moment before that", id[i]);
		TRY(pv_domain_unpause(pv, id[i]));
	}
	printf("%u copies: %lu pages each\n", copies, (before - free_pages()) / copies);
	usleep(RUN_US * (copies + 1));
	for (unsigned int i = 0; i <= copies; i++)
		check(id[i], &was[i]);
	TRY(pv_domain_destroy(pv, original));
	for (unsigned int n = 1; n <= copies; n++) {
		usleep(RUN_US * (copies - n + 1));
		for (unsigned int i = n; i <= copies; i++)
			check(id[i], &was[i]);
		TRY(pv_domain_destroy(pv, id[n]));
	}
	puts("all went on");
}

/* A domain whose figures say that it has done what it was told to. */
static void wait_for(uint32_t domid, struct cow *c)
{
	for (unsigned int i = 0; i < WAIT_TRIES; i++) {
		read_figures(domid, c, sizeof(*c));
		if (c->done)
			return;
		usleep(RUN_US);
	}
	bad(0, "it is not done");
}

static void measure(uint32_t original)
{
	struct xen_domctl_getdomaininfo info;
	uint64_t before, ns, gfn = figures_gfn;
	struct cow c;
	uint32_t to[2];

	TRY(pv_domain_info(pv, original, &info));
	/* The second finds it as the first has left it: it stays paused. */
	TRY(pv_domain_pause(pv, original));
	for (unsigned int i = 0; i < 2; i++) {
		before = free_pages();
		to[i] = fork_it(original, &ns);
		printf("%s fork: %lu us of %lu pages, which took %lu pages\n",
		       i ? "another" : "first", ns / 1000, (uint64_t)info.tot_pages,
		       before - free_pages());
	}
	TRY(pv_domain_unpause(pv, original));
	ns = now_ns();
	TRY(pv_domain_destroy(pv, to[1]));
	printf("end: %lu us\n", (now_ns() - ns) / 1000);
	/* It is told in its memory, of which it has a page of its own by that. */
	if (!has_magic(to[0], gfn))
		bad(0, "the copy's figures are not there");
	((struct cow *)page)->go = 1;
	TRY(pv_memory_write(pv, to[0], &gfn, 1, page));
	TRY(pv_domain_unpause(pv, to[0]));
	wait_for(to[0], &c);
	read_figures(original, &c, sizeof(c));
	if (c.go || c.done)
		bad(0, "the first one has been told as well");
	wait_for(to[0], &c);
	/* A tick of the time CSR is 100 ns, and an instruction one, where the clock counts these. */
	printf("store: %lu instructions, and %lu the second time\n", c.first * 100 / COW_PAGES,
	       c.second * 100 / COW_PAGES);
	ns = now_ns();
	TRY(pv_domain_destroy(pv, to[0]));
	printf("end, and all goes back: %lu us\n", (now_ns() - ns) / 1000);
	puts("measured");
}

int main(int argc, char **argv)
{
	struct pv_err err = { "" };
	uint32_t domid;

	if (argc < 2 || (argc > 2 && atoi(argv[2]) > MAX_COPIES))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	domid = atoi(argv[1]);
	figures_magic[0] = argc > 2 ? PATTERN_MAGIC0 : COW_MAGIC0;
	figures_magic[1] = argc > 2 ? PATTERN_MAGIC1 : COW_MAGIC1;
	figures_at = argc > 2 ? offsetof(struct pattern, magic) : offsetof(struct cow, magic);
	TRY(pv_open(&pv, &err));
	find_figures(domid);
	if (argc > 2)
		many(domid, atoi(argv[2]));
	else
		measure(domid);
	return 0;
}
