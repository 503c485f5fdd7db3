/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions of single operations, as a guest sees them: run under -icount, where a nanosecond of virtual time is an
 * instruction. Prints "bench NAME COUNT NANOSECONDS" for a loop of each, and for the loop without it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/event.h>
#include <pv/grant.h>
#include <pv/xenbus.h>

#define COUNT 2000
#define ROUNDS 3
#define ROUND_TRIPS 2000
#define BATCH 20
#define MAPS 64 /* grants mapped by one hypercall */

static void *page, *target, *map_at;
static evtchn_port_t own_port;
static grant_ref_t own_ref, own_refs[MAPS];
static domid_t self;

/*
 * Each operation is a function that runs n of them: its loop is its own, and nothing but the operation is in it.
 */
static void nothing(unsigned int n)
{
	while (n--) {
		/* The registers of a call, which come back as zero, and a nop in the ecall's place. */
		register unsigned long a1 __asm__("a1") = XENVER_version;
		register unsigned long a2 __asm__("a2") = 0;
		register unsigned long a3 __asm__("a3") = 0;
		register unsigned long a4 __asm__("a4") = 0;
		register unsigned long a5 __asm__("a5") = 0;
		register unsigned long a6 __asm__("a6") = __HYPERVISOR_xen_version;
		register unsigned long a7 __asm__("a7") = PAVISE_HYPERCALL_EID;

		__asm__ volatile("nop"
				 : "+r"(a1), "+r"(a2), "+r"(a3), "+r"(a4), "+r"(a5), "+r"(a6),
				   "+r"(a7)
				 :
				 : "a0", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "memory");
	}
}

/* SBI base extension, get_spec_version: the cheapest call that is answered in C on the long way. */
static void sbi_null(unsigned int n)
{
	while (n--)
		sbi_call(SBI_EXT_BASE, 0, 0, 0, 0, 0);
}

/* An unknown number: entry and exit, no C: the floor. */
static void floor_call(unsigned int n)
{
	while (n--)
		hypercall(63, 0, 0, 0, 0, 0);
}

/* The null hypercall: dispatched to C, does nothing, no argument copied. */
static void null_call(unsigned int n)
{
	while (n--)
		hypercall(__HYPERVISOR_xen_version, XENVER_version, 0, 0, 0, 0);
}

static void send_own(unsigned int n)
{
	struct evtchn_send op = { .port = own_port };

	while (n--)
		hypercall(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (unsigned long)&op, 0, 0,
			  0);
}

static void map_unmap(unsigned int n)
{
	struct gnttab_map_grant_ref map;
	struct gnttab_unmap_grant_ref unmap;

	while (n--) {
		map = (struct gnttab_map_grant_ref){
			.host_addr = (uintptr_t)map_at,
			.flags = GNTMAP_host_map,
			.ref = own_ref,
			.dom = self,
		};
		HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, &map, 1);
		unmap = (struct gnttab_unmap_grant_ref){ .host_addr = map.host_addr,
							 .handle = map.handle };
		HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, &unmap, 1);
		if (map.status || unmap.status) {
			printf("bench failed: map %d, unmap %d\n", map.status, unmap.status);
			exit(1);
		}
	}
}

static void map_unmap_batch(unsigned int n)
{
	static struct gnttab_map_grant_ref map[MAPS];
	static struct gnttab_unmap_grant_ref unmap[MAPS];
	int wrong = 0;

	while (n--) {
		for (int i = 0; i < MAPS; i++) {
			map[i].host_addr = (uintptr_t)map_at - i * PV_PAGE_SIZE;
			map[i].flags = GNTMAP_host_map;
			map[i].ref = own_refs[i];
			map[i].dom = self;
		}
		HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, map, MAPS);
		for (int i = 0; i < MAPS; i++) {
			wrong |= map[i].status;
			unmap[i].host_addr = map[i].host_addr;
			unmap[i].handle = map[i].handle;
		}
		HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, unmap, MAPS);
		for (int i = 0; i < MAPS; i++)
			wrong |= unmap[i].status;
	}
	if (wrong) {
		printf("bench failed: a batch of maps %d\n", wrong);
		exit(1);
	}
}

static void copy_page(unsigned int n)
{
	struct gnttab_copy copy;

	while (n--) {
		copy = (struct gnttab_copy){
			.source = { .u.ref = own_ref, .domid = self },
			.dest = { .u.gmfn = pv_gfn(target), .domid = DOMID_SELF },
			.len = PV_PAGE_SIZE,
			.flags = GNTCOPY_source_gref,
		};
		HYPERVISOR_grant_table_op(GNTTABOP_copy, &copy, 1);
		if (copy.status) {
			printf("bench failed: copy %d\n", copy.status);
			exit(1);
		}
	}
}

/* What copying a page costs by itself, as the hypervisor's memcpy() does it: 64 bytes an iteration. */
static void plain_copy(unsigned int n)
{
	while (n--) {
		uint64_t *d = target;
		const volatile uint64_t *s = page;

		for (int i = 0; i < 512; i += 8) {
			uint64_t a = s[i], b = s[i + 1], c = s[i + 2], e = s[i + 3];
			uint64_t f = s[i + 4], g = s[i + 5], h = s[i + 6], j = s[i + 7];

			d[i] = a, d[i + 1] = b, d[i + 2] = c, d[i + 3] = e;
			d[i + 4] = f, d[i + 5] = g, d[i + 6] = h, d[i + 7] = j;
		}
		__asm__ volatile("" : : : "memory");
	}
}

static struct multicall_entry calls[64];

static void multicall(unsigned int n)
{
	while (n--)
		HYPERVISOR_multicall(calls, 64);
}

static void yield(unsigned int n)
{
	while (n--)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
}

/* Before each round: dom0 has printed what was said of the one before. */
static uint64_t pause_ns = 5000000;

static void measure(const char *name, unsigned int count, void (*fn)(unsigned int n))
{
	fn(10);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned long flags;
		uint64_t start, end;

		if (pause_ns)
			pv_sleep_ns(pause_ns);
		flags = pv_irq_save();
		start = pv_ticks();
		fn(count);
		end = pv_ticks();
		pv_irq_restore(flags);
		printf("bench %s %u %llu\n", name, count,
		       (unsigned long long)pv_ticks_to_ns(end - start));
	}
}

static void prepare(void)
{
	own_port = pv_event_bind_ipi(0);
	pv_event_unmask(own_port);
	own_ref = pv_grant_access(self, pv_gfn(page), false);
	for (int i = 0; i < MAPS; i++)
		own_refs[i] = pv_grant_access(self, pv_gfn(page), false);
	/* Nothing may lie where a grant is mapped. */
	map_at = (void *)(uintptr_t)(pv_domain.grant_region + pv_domain.grant_region_size -
				     PV_PAGE_SIZE);
	for (int i = 0; i < 64; i++)
		calls[i] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version,
						     .args = { XENVER_version } };
}

static const struct {
	const char *name;
	unsigned int count;
	void (*fn)(unsigned int n);
} operations[] = {
	{ "loop", COUNT, nothing },
	{ "floor", COUNT, floor_call },
	{ "sbi", COUNT, sbi_null },
	{ "null", COUNT, null_call },
	{ "evtchn-send", COUNT, send_own },
	{ "plain-copy", 200, plain_copy },
	{ "grant-copy", 200, copy_page },
	{ "grant-map-unmap", COUNT, map_unmap },
	{ "grant-map-unmap-64", 100, map_unmap_batch },
	{ "multicall-64", 100, multicall },
};

/* ---- two domains: this one and its peer (the same image, told apart by its arguments) ---- */

static volatile unsigned int got;
static unsigned int blocks;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port;
	(void)arg;
	got++;
}

/* Sleeps until the count moves. */
static void await_event(unsigned int before)
{
	unsigned long flags = pv_irq_save();

	while (got == before) {
		blocks++;
		HYPERVISOR_sched_op(SCHEDOP_block, NULL);
		pv_irq_restore(flags);
		flags = pv_irq_save();
	}
	pv_irq_restore(flags);
}

static evtchn_port_t peer_port;

static void ping(unsigned int n)
{
	while (n--) {
		unsigned int before = got;

		pv_event_send(peer_port);
		await_event(before);
	}
}

/*
 * Round trips, a few at a time: only those count in which this domain slept, too. When the peer has had a millisecond less
 * of the hart it runs as soon as it is woken, and its answer is there before there was time to sleep.
 */
static void round_trips(unsigned int n)
{
	uint64_t asleep = 0, awake = 0, start = pv_ticks(), end;
	unsigned int slept = 0;

	for (unsigned int i = 0; i < n; i += BATCH, start = end) {
		unsigned int before = blocks;

		ping(BATCH);
		end = pv_ticks();
		if (blocks - before >= BATCH) {
			slept += BATCH;
			asleep += end - start;
		} else {
			awake += end - start;
		}
	}
	if (slept)
		printf("bench event-round-trip %u %llu\n", slept,
		       (unsigned long long)pv_ticks_to_ns(asleep));
	if (slept < n)
		printf("bench event-round-trip-awake %u %llu\n", n - slept,
		       (unsigned long long)pv_ticks_to_ns(awake));
}

/* For the tracer: one of the operations, or round trips with the peer, without end. */
static void for_ever(const char *name)
{
	void (*fn)(unsigned int n) = ping;

	for (unsigned int i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (!strcmp(name, operations[i].name))
			fn = operations[i].fn;
	}
	printf("bench ready\n");
	/* As measure() does; a round trip needs its interrupts. */
	if (fn != ping)
		pv_irq_save();
	for (;;)
		fn(100);
}

static void serve(domid_t other)
{
	char path[64];
	long port;

	snprintf(path, sizeof(path), "/local/domain/%u/data/port", other);
	do {
		port = pv_xenbus_read_number(0, path);
		pv_sleep_ns(1000000);
	} while (port < 0);
	peer_port = pv_event_bind_interdomain(other, port);
	pv_event_handler(peer_port, on_event, NULL);
	for (unsigned int seen = 0;;) {
		await_event(seen);
		seen++;
		pv_event_send(peer_port);
	}
}

static void connect(domid_t other)
{
	char perms[2][16];
	const char *list[2] = { perms[0], perms[1] };

	snprintf(perms[0], sizeof(perms[0]), "n%u", self);
	snprintf(perms[1], sizeof(perms[1]), "r%u", other);
	peer_port = pv_event_alloc_unbound(DOMID_SELF, other);
	pv_event_handler(peer_port, on_event, NULL);
	pv_xenbus_printf(0, "data/port", "%u", (unsigned int)peer_port);
	pv_xenbus_set_perms(0, "data/port", list, 2);
	await_event(0); /* the bind itself is an event */
}

int main(int argc, char **argv)
{
	char *peers;

	self = pv_xenbus_read_number(0, "domid");
	if (argc > 1 && !strcmp(argv[1], "yield")) {
		/* Two of these side by side: each yield is a switch to the other one, which must not sleep. */
		pause_ns = 0;
		measure("yield", COUNT, yield);
		pv_xenbus_write(0, "data/done", "1");
		yield(20 * COUNT);
		return 0;
	}
	page = pv_alloc_pages(1);
	target = pv_alloc_pages(1);
	memset(page, 0x5a, PV_PAGE_SIZE);
	peers = pv_xenbus_await("data/peers", 60000000000ULL);
	if (!peers)
		return 1;
	if (argc > 1 && !strcmp(argv[1], "serve"))
		serve(atoi(peers));
	prepare();
	connect(atoi(peers));
	if (argc > 2 && !strcmp(argv[1], "trace"))
		for_ever(argv[2]);
	/* First: the peer has had as little of the hart as we. */
	for (int i = 0; i < ROUNDS; i++)
		round_trips(ROUND_TRIPS);
	for (unsigned int i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		measure(operations[i].name, operations[i].count, operations[i].fn);
	printf("bench done\n");
	return 0;
}
