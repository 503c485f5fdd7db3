/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of dom0's: stops a running peers/pattern.c, makes a domain of its state and memory, lets that go on for a while,
 * and does the same with the copy, again and again. usage: state DOMID ROUNDS
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../pattern.h"
#include "pavise.h"

#include <xen/hvm/save.h>

#define RUNS 128
#define STATE_MAX (1 << 20)
#define SLEEP_US 700000 /* nobody runs: longer than RUN_US */
#define RUN_US 200000
#define SLACK_NS \
	300000000 /* the last round may be long before the pause, where harts are shared; less than SLEEP_US */

static struct pv *pv;
static struct pavise_memory_run runs[RUNS];
static unsigned int nr_runs;
static char pages[PV_MEMORY_BATCH * PV_PAGE_SIZE];
static uint8_t kinds[PV_MEMORY_BATCH];
static uint64_t pattern_gfn, paused_at, got_at; /* ns, of the domain that is copied */
static char state[STATE_MAX], again[STATE_MAX];

static void __attribute__((noreturn, format(printf, 2, 3))) bad(int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", strerror(-rc));
	exit(1);
}

#define TRY(call) \
	do { \
		int rc_ = (call); \
		if (rc_ < 0) \
			bad(rc_, "%s", #call); \
	} while (0)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void look_at_pages(uint64_t gfn, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct pattern *p = (void *)(pages + i * PV_PAGE_SIZE);

		if (kinds[i] == PV_PAGE_DATA && p->magic[0] == PATTERN_MAGIC0 &&
		    p->magic[1] == PATTERN_MAGIC1)
			pattern_gfn = gfn + i;
	}
}

static void copy_run(uint32_t from, uint32_t to, uint64_t gfn, uint64_t left)
{
	uint64_t gfns[PV_MEMORY_BATCH];

	while (left) {
		unsigned int n = left < PV_MEMORY_BATCH ? left : PV_MEMORY_BATCH;

		for (unsigned int i = 0; i < n; i++)
			gfns[i] = gfn + i;
		memset(pages, 0, n * PV_PAGE_SIZE);
		TRY(pv_memory_read(pv, from, gfns, n, pages, kinds));
		look_at_pages(gfn, n);
		for (unsigned int i = 0; i < n; i++) {
			if (kinds[i] == PV_PAGE_HOLE)
				bad(0, "a hole in RAM, %lx", gfn + i);
		}
		TRY(pv_memory_write(pv, to, gfns, n, pages));
		gfn += n;
		left -= n;
	}
}

static void read_pattern(uint32_t domid, struct pattern *p)
{
	TRY(pv_memory_read(pv, domid, &pattern_gfn, 1, pages, kinds));
	memcpy(p, pages, sizeof(*p));
}

static uint32_t make_copy(uint32_t from)
{
	struct pv_create c = { .max_vcpus = 1,
			       .max_evtchn_port = 1023,
			       .max_grant_frames = -1,
			       .max_maptrack_frames = -1 };
	struct xen_domctl_getdomaininfo info;
	uint32_t to, size = STATE_MAX, size2 = STATE_MAX, need = 0;
	uint64_t gfn = 0;
	int n;

	TRY(pv_domain_info(pv, from, &info));
	TRY(pv_domain_get_state(pv, from, NULL, &need));
	TRY(pv_domain_get_state(pv, from, state, &size));
	got_at = now_ns();
	if (need != size)
		bad(0, "the size was to be %u and is %u", need, size);
	n = pv_memory_map(pv, from, &gfn, runs, RUNS);
	TRY(n);
	nr_runs = n;
	TRY(pv_domain_create(pv, &c, &to, NULL));
	TRY(pv_domain_max_mem(pv, to, info.max_pages * 4));
	TRY(pv_domain_max_vcpus(pv, to, 1));
	for (unsigned int i = 0; i < nr_runs; i++) {
		bool hidden = runs[i].what & PAVISE_RUN_hides_ram;

		if (runs[i].what != PAVISE_RUN_ram && !hidden)
			continue;
		TRY(pv_populate(pv, to, runs[i].gfn, runs[i].pages));
		copy_run(from, to, runs[i].gfn, runs[i].pages);
	}
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
	TRY(pv_open(&pv, &err));
	paused_at = now_ns();
	TRY(pv_domain_pause(pv, from));
	for (int round = 0; round < atoi(argv[2]); round++) {
		struct pattern was, is;
		uint32_t to = make_copy(from);
		uint64_t ran;

		if (!pattern_gfn)
			bad(0, "there is no pattern in it");
		read_pattern(from, &was);
		usleep(SLEEP_US);
		/* Its time stands still once its state is told: until then it passes. */
		ran = now_ns() - (got_at - paused_at);
		TRY(pv_domain_unpause(pv, to));
		usleep(RUN_US);
		paused_at = now_ns();
		TRY(pv_domain_pause(pv, to));
		ran = now_ns() - ran;
		read_pattern(to, &is);
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
