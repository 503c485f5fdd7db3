// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the journal costs: bench_journal GUESTS ROUNDS FILE.
 * Requests come over a ring, as a guest's do, with the journal in FILE and without, turn and turn about
 * in one process. Prints lines "WHAT OP VALUE", times as processor time; FILE is left with a log as
 * long as it can get.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "conn.h"
#include "journal.h"
#include "load.h"
#include "record.h"
#include "ring.h"
#include "store.h"
#include "util.h"
#include "watch.h"

#define SLICE 3000 /* requests: what the smallest log has room for */
#define CHECKPOINTS 15

static struct xenstore_domain_interface ring;
static struct conn *client;
static const char *file;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static __attribute__((noreturn)) void die(const char *why)
{
	fprintf(stderr, "bench_journal: %s\n", why);
	exit(1);
}

/* ---- the guest ---- */

static void ring_put(const char *p, size_t len)
{
	for (; len; p++, len--)
		ring.req[MASK_XENSTORE_IDX(ring.req_prod++)] = *p;
}

/* Moves what there is from the ring to the end of buf. */
static size_t ring_take(char *buf)
{
	size_t n = 0;

	while (ring.rsp_cons != ring.rsp_prod)
		buf[n++] = ring.rsp[MASK_XENSTORE_IDX(ring.rsp_cons++)];
	return n;
}

/* One request and its reply, which stays valid until the next. Nobody watches, so there are no events. */
static const char *ask(const char *msg, size_t len)
{
	static char reply[2 * MSG_MAX_BYTES];
	struct xsd_sockmsg hdr = { .len = 0 };
	size_t have = 0;

	ring_put(msg, len);
	do {
		clock_update();
		ring_event(client);
		while (conn_run_all())
			;
		have += ring_take(reply + have);
		if (have >= sizeof(hdr))
			memcpy(&hdr, reply, sizeof(hdr));
	} while (have < sizeof(hdr) + hdr.len);
	if (hdr.type == XS_ERROR)
		die(reply + sizeof(hdr));
	return reply + sizeof(hdr);
}

static void say(const char *msg, size_t len)
{
	ask(msg, len);
}

/* How many requests that was. */
static unsigned int once(enum work op, unsigned int guests)
{
	static struct visit v;
	char msg[MSG_MAX_BYTES], path[128];
	uint32_t tx;

	visit_next(&v, guests);
	leaf_path(path, v.guest, v.leaf);
	if (op == DO_READ) {
		ask(msg, make_path(msg, XS_READ, 0, path));
		return 1;
	}
	if (op == DO_WRITE) {
		ask(msg, make_pair(msg, XS_WRITE, 0, path, "other"));
		return 1;
	}
	tx = (uint32_t)strtoul(ask(msg, make_path(msg, XS_TRANSACTION_START, 0, "")), NULL, 10);
	for (unsigned int i = 0; i < TX_WRITES; i++)
		ask(msg, make_pair(msg, XS_WRITE, tx,
				   leaf_path(path, v.guest, (v.leaf + i) % GUEST_LEAVES), "third"));
	ask(msg, make_path(msg, XS_TRANSACTION_END, tx, "T"));
	return TX_WRITES + 2;
}

/* ---- measuring ---- */

static void journal(bool on)
{
	record_path(on ? file : NULL);
	if (!on)
		journal_close();
	else if (record_checkpoint())
		die("the journal cannot be written");
}

/* Nanoseconds of processor time for each operation; no checkpoint comes in between. */
static double slice(enum work op, unsigned int guests)
{
	int num = op == DO_TX10 ? SLICE / (TX_WRITES + 2) : SLICE;
	double begin = now();

	for (int i = 0; i < num; i++)
		once(op, guests);
	return (now() - begin) / num * 1e9;
}

static void measure_op(enum work op, unsigned int guests, int rounds)
{
	unsigned int requests = 0;
	size_t room;

	journal(true);
	room = journal_room();
	for (int i = 0; i < 100; i++)
		requests += once(op, guests);
	printf("bytes %s %.1f\n", op_names[op], (double)(room - journal_room()) / requests);
	for (int i = 0; i < 2 * rounds; i++) {
		bool on = i / 2 % 2 == i % 2; /* so that neither always comes first */

		journal(on);
		printf("%s %s %.1f\n", on ? "with" : "without", op_names[op], slice(op, guests));
	}
}

/* In microseconds; nobody is served meanwhile. */
static void measure_checkpoint(void)
{
	double begin;

	journal(true);
	for (int i = 0; i < CHECKPOINTS; i++) {
		begin = now();
		if (record_checkpoint())
			die("the journal cannot be written");
		printf("pause checkpoint %.1f\n", (now() - begin) * 1e6);
	}
	printf("room log %zu\n", journal_room() - RECORD_TURN_MAX);
}

int main(int argc, char **argv)
{
	static const enum work ops[] = { DO_READ, DO_WRITE, DO_TX10 };
	unsigned int guests = argc == 4 ? (unsigned int)atoi(argv[1]) : 0;

	if (!guests || atoi(argv[2]) < 1) {
		fprintf(stderr, "Usage: bench_journal GUESTS ROUNDS FILE\n");
		return 2;
	}
	file = argv[3];
	clock_update();
	store_init();
	watch_init();
	/* dom0's own ring: it may write everywhere, as the guests may in their parts */
	client = dom_need(0)->conn = ring_conn_new(0, &ring, 1);
	fill_nodes(guests, say);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		measure_op(ops[i], guests, atoi(argv[2]));
	measure_checkpoint();
	/* the longest log, for whoever reads it */
	while (journal_room() >= RECORD_TURN_MAX + 4096)
		once(DO_WRITE, guests);
	journal_close();
	return 0;
}
