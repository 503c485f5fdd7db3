/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random hypercalls from two vCPUs until somebody ends this domain. argv: the seed. Left out is what would only end the
 * guest itself: its shutdown, its console's event channel, its own code's pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/errno.h>
#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#define PAGES 32 /* this guest's own, for anything */
#define WINDOW_GFN 0x50000UL /* nothing is there */
#define FIRST_REF 32

static char *pages;
static uint64_t pages_gfn;
static evtchn_port_t first_port;
static domid_t neighbour;
static volatile unsigned long calls[2], good[2];

struct source {
	uint64_t state;
	unsigned int vcpu;
	char buffer[4096];
};

static struct source sources[2];

static uint32_t rnd(struct source *s, uint32_t n)
{
	s->state ^= s->state << 13;
	s->state ^= s->state >> 7;
	s->state ^= s->state << 17;
	return (s->state >> 16) % n;
}

static uint64_t any_gfn(struct source *s)
{
	switch (rnd(s, 8)) {
	case 0:
		return ~0UL >> rnd(s, 64);
	case 1:
	case 2:
	case 3:
		return WINDOW_GFN + rnd(s, 16);
	default:
		return pages_gfn + rnd(s, PAGES);
	}
}

static domid_t any_domid(struct source *s)
{
	static const domid_t special[] = { DOMID_INVALID, DOMID_IO, DOMID_XEN, 77 };

	switch (rnd(s, 5)) {
	case 0:
		return rnd(s, 4) ? 0 : special[rnd(s, 4)];
	case 1:
	case 2:
		return neighbour;
	default:
		return DOMID_SELF;
	}
}

static uint64_t word(struct source *s)
{
	switch (rnd(s, 8)) {
	case 0:
		return any_gfn(s) << 12;
	case 1:
		return (uintptr_t)pages + rnd(s, PAGES * 4096);
	case 2:
		return any_gfn(s);
	case 3:
		return ~0UL << rnd(s, 64);
	case 4:
		return 1UL << rnd(s, 64);
	default:
		return rnd(s, 8);
	}
}

/* Mostly the buffer, else somewhere that is hostile. */
static uint64_t address(struct source *s)
{
	switch (rnd(s, 16)) {
	case 0:
		return word(s);
	case 1:
		return ~0UL - rnd(s, 64);
	case 2:
		return (uintptr_t)s->buffer + rnd(s, 8); /* not aligned */
	case 3:
		return 0x38000000; /* nothing, or a grant */
	default:
		return (uintptr_t)s->buffer;
	}
}

static void fill_words(struct source *s)
{
	uint64_t *p = (uint64_t *)s->buffer;

	for (unsigned int i = 0; i < 16; i++)
		p[i] = word(s);
}

static long event_call(struct source *s)
{
	static const unsigned char ops[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15 };
	unsigned int op = ops[rnd(s, sizeof(ops))];
	uint32_t *p = (uint32_t *)s->buffer;

	fill_words(s);
	p[0] = first_port + rnd(s, 24);
	p[1] = rnd(s, 4);
	if (op == EVTCHNOP_alloc_unbound || op == EVTCHNOP_status ||
	    op == EVTCHNOP_bind_interdomain) {
		((domid_t *)p)[0] = any_domid(s);
		((domid_t *)p)[1] = any_domid(s);
		p[1] = first_port + rnd(s, 24);
	}
	return HYPERVISOR_event_channel_op(op, (void *)(op == EVTCHNOP_close ? (uintptr_t)p :
									       address(s)));
}

static long grant_call(struct source *s)
{
	unsigned int n = 1 + rnd(s, 8), op = rnd(s, 14);

	fill_words(s);
	for (unsigned int i = 0; i < n; i++) {
		struct gnttab_map_grant_ref *map = (void *)s->buffer;
		struct gnttab_unmap_grant_ref *unmap = (void *)s->buffer;
		struct gnttab_copy *copy = (void *)s->buffer;

		if (op == GNTTABOP_map_grant_ref)
			map[i] = (struct gnttab_map_grant_ref){
				.host_addr = any_gfn(s) << 12,
				.flags = GNTMAP_host_map | (rnd(s, 2) ? GNTMAP_readonly : 0),
				.ref = FIRST_REF + rnd(s, 12),
				.dom = any_domid(s)
			};
		else if (op == GNTTABOP_unmap_grant_ref)
			unmap[i] = (struct gnttab_unmap_grant_ref){ .host_addr = any_gfn(s) << 12,
								    .handle = rnd(s, 24) };
		else if (op == GNTTABOP_copy)
			copy[i] = (struct gnttab_copy){
				.source = { .u.gmfn = rnd(s, 2) ? any_gfn(s) :
								  FIRST_REF + rnd(s, 12),
					    .domid = any_domid(s),
					    .offset = rnd(s, 4096) },
				.dest = { .u.gmfn = rnd(s, 2) ? any_gfn(s) : FIRST_REF + rnd(s, 12),
					  .domid = any_domid(s),
					  .offset = rnd(s, 4096) },
				.len = rnd(s, 4200),
				.flags = rnd(s, 4)
			};
	}
	return HYPERVISOR_grant_table_op(op, (void *)address(s), rnd(s, 32) ? n : rnd(s, 4000));
}

static long memory_call(struct source *s)
{
	unsigned int op = rnd(s, 32);
	uint64_t *list = (uint64_t *)(s->buffer + 1024);

	fill_words(s);
	for (unsigned int i = 0; i < 16; i++)
		list[i] = any_gfn(s);
	if (op == XENMEM_populate_physmap || op == XENMEM_decrease_reservation) {
		struct xen_memory_reservation *r = (void *)s->buffer;

		*r = (struct xen_memory_reservation){ .nr_extents = rnd(s, 16),
						      .extent_order = rnd(s, 8) ? 0 : rnd(s, 20),
						      .domid = any_domid(s) };
		/* Whole extents might hold this program. */
		if (op == XENMEM_decrease_reservation)
			r->extent_order = 0;
		set_xen_guest_handle(r->extent_start, list);
		return HYPERVISOR_memory_op(op, r);
	}
	if (op == XENMEM_add_to_physmap) {
		struct xen_add_to_physmap *a = (void *)s->buffer;

		*a = (struct xen_add_to_physmap){ .domid = any_domid(s),
						  .space = rnd(s, 6),
						  .idx = rnd(s, 8),
						  .gpfn = any_gfn(s) };
	}
	return hypercall(__HYPERVISOR_memory_op, op | (rnd(s, 8) ? 0 : (uint64_t)rnd(s, 99) << 6),
			 address(s), 0, 0, 0);
}

static long vcpu_call(struct source *s)
{
	static const unsigned char ops[] = { 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 99 };

	fill_words(s);
	return HYPERVISOR_vcpu_op(ops[rnd(s, sizeof(ops))], rnd(s, 3), (void *)address(s));
}

static long sched_call(struct source *s)
{
	static const unsigned char ops[] = { SCHEDOP_yield, SCHEDOP_poll, SCHEDOP_remote_shutdown,
					     7, 99 };
	struct sched_poll *poll = (void *)s->buffer;
	unsigned int op = ops[rnd(s, sizeof(ops))];

	fill_words(s);
	if (op == SCHEDOP_poll) { /* never for ever */
		*poll = (struct sched_poll){ .nr_ports = rnd(s, 4), .timeout = 1 };
		set_xen_guest_handle(poll->ports, (evtchn_port_t *)(s->buffer + 1024));
	}
	return HYPERVISOR_sched_op(op, poll);
}

/* What only the control domain may: whatever the arguments are, it is refused. */
static long privileged_call(struct source *s)
{
	static const unsigned char numbers[] = { __HYPERVISOR_domctl, __HYPERVISOR_sysctl,
						 __HYPERVISOR_platform_op };
	unsigned int nr = numbers[rnd(s, sizeof(numbers))];
	long rc;

	fill_words(s);
	((uint32_t *)s->buffer)[0] = rnd(s, 90);
	rc = hypercall(nr, address(s), 0, 0, 0, 0);
	if (rc != -XEN_EPERM)
		printf("# hypercall %u of the control domain's answered %ld\n", nr, rc);
	return rc;
}

static long other_call(struct source *s)
{
	static const unsigned char numbers[] = { 17, 21, 33, 34, 40, 41, 63 };
	unsigned int nr = rnd(s, 4) ? numbers[rnd(s, sizeof(numbers))] : 42 + rnd(s, 200);

	fill_words(s);
	return hypercall(nr, rnd(s, 12), address(s), word(s), word(s), word(s));
}

static long multicall(struct source *s)
{
	struct multicall_entry *e = (void *)(s->buffer + 2048);

	fill_words(s);
	for (unsigned int i = 0; i < 8; i++)
		e[i] = (struct multicall_entry){ .op = rnd(s, 2) ? __HYPERVISOR_xen_version :
								   __HYPERVISOR_multicall,
						 .args = { rnd(s, 12), address(s), word(s) } };
	return hypercall(__HYPERVISOR_multicall, (uintptr_t)e, rnd(s, 16) ? rnd(s, 9) : word(s), 0,
			 0, 0);
}

/* In the pages that are for anything; some are no longer there, or can only be read. */
static void touch(void *arg)
{
	*(volatile uint64_t *)arg = ~0UL;
}

static void change_own(struct source *s)
{
	unsigned int ref = FIRST_REF + rnd(s, 12);
	struct pv_trap trap;

	if (rnd(s, 2))
		*pv_grant_entry(ref) =
			(grant_entry_v1_t){ rnd(s, 8) ? GTF_permit_access : rnd(s, 128),
					    any_domid(s) == DOMID_SELF ? 0 : neighbour,
					    any_gfn(s) };
	else
		pv_try(touch, pages + rnd(s, PAGES) * 4096, &trap);
}

static void attack(void *arg)
{
	static long (*const kinds[])(struct source *
				     s) = { event_call, event_call,	 grant_call,  grant_call,
					    grant_call, memory_call,	 memory_call, vcpu_call,
					    sched_call, privileged_call, other_call,  multicall };
	struct source *s = arg;

	for (;;) {
		if (!rnd(s, 8))
			change_own(s);
		good[s->vcpu] += kinds[rnd(s, sizeof(kinds) / sizeof(kinds[0]))](s) >= 0;
		calls[s->vcpu]++;
	}
}

int main(int argc, char **argv)
{
	char *peer = pv_xenbus_read(0, "data/peers");
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, next;

	neighbour = peer ? atoi(peer) : 0;
	pages = pv_alloc_pages(PAGES);
	pages_gfn = (uintptr_t)pages >> 12;
	first_port = pv_event_bind_ipi(0);
	pv_grant_access(0, 0, true); /* makes the table */
	printf("# seed %lu: random hypercalls beside domain %u\n", seed, neighbour);
	for (unsigned int i = 0; i < 2; i++) {
		sources[i].state = (seed + i) * 0x9e3779b97f4a7c15UL | 1;
		sources[i].vcpu = i;
	}
	if (pv_vcpu_start(1, attack, &sources[1]))
		printf("# only one vCPU\n");
	next = pv_time_ns();
	for (;;) {
		/* Turn by turn, so that the console tells how far it came. */
		for (unsigned int i = 0; i < 1000; i++) {
			if (!rnd(&sources[0], 8))
				change_own(&sources[0]);
			good[0] += event_call(&sources[0]) >= 0;
			good[0] += grant_call(&sources[0]) >= 0;
			good[0] += memory_call(&sources[0]) >= 0;
			calls[0] += 3;
		}
		if (pv_time_ns() < next)
			continue;
		next = pv_time_ns() + 5000000000UL;
		printf("# %lu and %lu hypercalls, of them good %lu and %lu\n", calls[0], calls[1],
		       good[0], good[1]);
	}
}
