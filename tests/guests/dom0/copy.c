/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * copy.h: a domain's memory by libpavise, into another.
 */
#include "copy.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 128

struct pv *pv;
unsigned long figures_gfn;
unsigned int figures_magic[2], figures_at;
static char pages[PV_MEMORY_BATCH * PV_PAGE_SIZE];
static uint8_t kinds[PV_MEMORY_BATCH];

void bad(int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", strerror(-rc));
	exit(1);
}

static void look_at_pages(uint64_t gfn, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (kinds[i] == PV_PAGE_DATA && !memcmp(pages + i * PV_PAGE_SIZE + figures_at,
							figures_magic, sizeof(figures_magic)))
			figures_gfn = gfn + i;
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

void read_figures(uint32_t domid, void *to, unsigned int size)
{
	uint64_t gfn = figures_gfn;

	TRY(pv_memory_read(pv, domid, &gfn, 1, pages, kinds));
	memcpy(to, pages, size);
}

uint32_t make_like(uint32_t from, unsigned int vcpus)
{
	static struct pavise_memory_run runs[RUNS];
	struct pv_create c = { .max_vcpus = vcpus,
			       .max_evtchn_port = 1023,
			       .max_grant_frames = -1,
			       .max_maptrack_frames = -1 };
	struct xen_domctl_getdomaininfo info;
	uint64_t gfn = 0;
	uint32_t to;
	int n = pv_memory_map(pv, from, &gfn, runs, RUNS);

	TRY(n);
	TRY(pv_domain_info(pv, from, &info));
	TRY(pv_domain_create(pv, &c, &to, NULL));
	TRY(pv_domain_max_mem(pv, to, info.max_pages * 4));
	TRY(pv_domain_max_vcpus(pv, to, vcpus));
	for (int i = 0; i < n; i++) {
		bool hidden = runs[i].what & PAVISE_RUN_hides_ram;

		if (runs[i].what != PAVISE_RUN_ram && !hidden)
			continue;
		TRY(pv_populate(pv, to, runs[i].gfn, runs[i].pages));
		copy_run(from, to, runs[i].gfn, runs[i].pages);
	}
	return to;
}
