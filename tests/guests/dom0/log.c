/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of dom0's: copies a running domain's memory by the dirty log, round by round, stops it, copies what is left, and compares all
 * of it; then the domain goes on without a log. Without TIMES: how long the operations take. usage: log DOMID [TIMES]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "copy.h"

#define MAX_RUNS 128
#define ROUNDS 8
#define RUN_US 60000

static struct pavise_memory_run runs[MAX_RUNS];
static int nr_runs;
static uint64_t end_gfn, ram_pages;
static char *copies[MAX_RUNS]; /* of the runs */
static uint8_t *bitmap;
static size_t bitmap_size;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

static uint32_t shadow(uint32_t domid, uint32_t what, uint32_t mode, const char *name)
{
	struct xen_domctl op = { .cmd = XEN_DOMCTL_shadow_op, .domain = domid };
	uint64_t since = now_us();

	op.interface_version = XEN_DOMCTL_INTERFACE_VERSION;
	op.u.shadow_op.op = what;
	op.u.shadow_op.mode = mode;
	op.u.shadow_op.pages = end_gfn;
	set_xen_guest_handle(op.u.shadow_op.dirty_bitmap, bitmap);
	TRY(pv_hypercall_struct1(pv, __HYPERVISOR_domctl, &op, sizeof(op)));
	printf("%s: %lu us, %u told, %u faults\n", name, now_us() - since,
	       op.u.shadow_op.stats.dirty_count, op.u.shadow_op.stats.fault_count);
	return op.u.shadow_op.stats.dirty_count;
}

static void read_page(uint32_t domid, uint64_t gfn, void *to)
{
	uint8_t kind;

	memset(to, 0, PV_PAGE_SIZE);
	TRY(pv_memory_read(pv, domid, &gfn, 1, to, &kind));
}

static char *copy_of(int run, uint64_t gfn)
{
	return copies[run] + (gfn - runs[run].gfn) * PV_PAGE_SIZE;
}

/* All of its RAM, or what the bitmap tells. */
static void copy(uint32_t domid, bool all)
{
	for (int i = 0; i < nr_runs; i++) {
		for (uint64_t gfn = runs[i].gfn; gfn < runs[i].gfn + runs[i].pages; gfn++) {
			if (all || bitmap[gfn / 8] >> gfn % 8 & 1)
				read_page(domid, gfn, copy_of(i, gfn));
		}
	}
}

static void compare(uint32_t domid)
{
	static char page[PV_PAGE_SIZE];
	unsigned int wrong = 0;

	for (int i = 0; i < nr_runs; i++) {
		for (uint64_t gfn = runs[i].gfn; gfn < runs[i].gfn + runs[i].pages; gfn++) {
			read_page(domid, gfn, page);
			if (!memcmp(page, copy_of(i, gfn), sizeof(page)))
				continue;
			printf("frame %lx differs\n", gfn);
			wrong++;
		}
	}
	if (wrong)
		bad(0, "%u written pages were missed", wrong);
}

static void look_at_memory(uint32_t domid, bool copies_too)
{
	static struct pavise_memory_run all[MAX_RUNS];
	uint64_t gfn = 0;
	int n = pv_memory_map(pv, domid, &gfn, all, MAX_RUNS);

	TRY(n);
	for (int i = 0; i < n; i++) {
		if (all[i].what != PAVISE_RUN_ram)
			continue;
		copies[nr_runs] = copies_too ? malloc(all[i].pages * PV_PAGE_SIZE) : NULL;
		if (copies_too && !copies[nr_runs])
			bad(0, "no memory");
		runs[nr_runs++] = all[i];
		ram_pages += all[i].pages;
		end_gfn = all[i].gfn + all[i].pages;
	}
	bitmap_size = (end_gfn / 8 + PV_PAGE_SIZE) & ~(PV_PAGE_SIZE - 1UL);
	bitmap = pv_buf_alloc(pv, bitmap_size);
	if (!bitmap)
		bad(0, "no memory");
}

static void one_log(uint32_t domid)
{
	uint32_t told, least = ~0U;

	shadow(domid, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, "on");
	copy(domid, true);
	for (int i = 0; i < ROUNDS; i++) {
		usleep(RUN_US);
		told = shadow(domid, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, "clean");
		least = told < least ? told : least;
		if (!told)
			bad(0, "it does not write");
		copy(domid, false);
	}
	TRY(pv_domain_pause(pv, domid));
	shadow(domid, XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL, "final");
	copy(domid, false);
	compare(domid);
	if (least > ram_pages / 2)
		bad(0, "of %lu pages at least %u are told", ram_pages, least);
	shadow(domid, XEN_DOMCTL_SHADOW_OP_OFF, 0, "off");
	TRY(pv_domain_unpause(pv, domid));
}

static void measure(uint32_t domid)
{
	shadow(domid, XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY, 0, "on");
	for (int i = 0; i < 3; i++) {
		usleep(RUN_US);
		shadow(domid, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, "clean");
	}
	shadow(domid, XEN_DOMCTL_SHADOW_OP_CLEAN, 0, "clean at once");
	shadow(domid, XEN_DOMCTL_SHADOW_OP_PEEK, XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL, "final");
	shadow(domid, XEN_DOMCTL_SHADOW_OP_OFF, 0, "off");
}

int main(int argc, char **argv)
{
	struct pv_err err = { "" };
	uint32_t domid;

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	domid = atoi(argv[1]);
	TRY(pv_open(&pv, &err));
	look_at_memory(domid, argc > 2);
	if (argc == 2) {
		measure(domid);
		return 0;
	}
	for (int i = 0; i < atoi(argv[2]); i++)
		one_log(domid);
	puts("nothing was missed");
	return 0;
}
