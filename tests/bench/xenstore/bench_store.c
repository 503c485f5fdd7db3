// SPDX-License-Identifier: BSD-2-Clause
/*
 * The stores alone, in this process, without sockets: bench_store ours|naive GUESTS SECONDS.
 * Both get the same messages and make whole answers and events, which nobody reads.
 * Prints "OP nanoseconds" (processor time), and the bytes of heap that a node costs.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "conn.h"
#include "line.h"
#include "load.h"
#include "naive.h"
#include "store.h"
#include "util.h"
#include "watch.h"

static struct conn *client, *watchers[FAN_WATCHES + 1];
static const char *in;
static size_t in_len, answer_len;
static char answer[MSG_MAX_BYTES];
static bool naive;

static ssize_t mem_read(struct conn *c, void *buf, size_t len)
{
	(void)c;
	len = len < in_len ? len : in_len;
	memcpy(buf, in, len);
	in += len;
	in_len -= len;
	return (ssize_t)len;
}

static ssize_t mem_write(struct conn *c, const void *buf, size_t len)
{
	if (c == client) {
		memcpy(answer, buf, len);
		answer_len = len;
	}
	return (ssize_t)len;
}

static void mem_fail(struct conn *c, int why)
{
	(void)c;
	fprintf(stderr, "bench_store: a connection failed (%d)\n", why);
	exit(1);
}

static void mem_close(struct conn *c)
{
	(void)c;
}

static const struct transport transport = {
	.read = mem_read,
	.write = mem_write,
	.fail = mem_fail,
	.close = mem_close,
};

static void say(struct conn *c, const char *msg, size_t len)
{
	in = msg;
	in_len = len;
	c->can_read = true;
	conn_wake(c);
	while (conn_run_all())
		;
}

static void request(const char *msg, size_t len)
{
	if (naive)
		naive_request(-1, msg, len);
	else
		say(client, msg, len);
}

static void watch(int watcher, const char *msg, size_t len)
{
	if (naive)
		naive_request(watcher, msg, len);
	else
		say(watchers[watcher + 1], msg, len);
}

static const char *answered(void)
{
	const char *p = naive ? naive_reply : answer;
	struct xsd_sockmsg hdr;

	memcpy(&hdr, p, sizeof(hdr));
	if (hdr.type == XS_ERROR) {
		fprintf(stderr, "bench_store: %s\n", p + sizeof(hdr));
		exit(1);
	}
	return p + sizeof(hdr);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void once(enum work op, unsigned int guests)
{
	static struct visit v;
	unsigned int guest, leaf;
	char msg[MSG_MAX_BYTES], path[128];
	uint32_t tx;

	if (op == DO_SCATTER)
		v.left = 0;
	visit_next(&v, guests);
	guest = v.guest;
	leaf = v.leaf;
	switch (op) {
	case DO_READ:
	case DO_SCATTER:
		request(msg, make_path(msg, XS_READ, 0, leaf_path(path, guest, leaf)));
		break;
	case DO_WRITE:
		request(msg, make_pair(msg, XS_WRITE, 0, leaf_path(path, guest, leaf), "other"));
		break;
	case DO_TX10:
		request(msg, make_path(msg, XS_TRANSACTION_START, 0, ""));
		tx = (uint32_t)strtoul(answered(), NULL, 10);
		for (int i = 0; i < TX_WRITES; i++)
			request(msg, make_pair(msg, XS_WRITE, tx,
					       leaf_path(path, guest,
							 (leaf + (unsigned int)i) % GUEST_LEAVES),
					       "third"));
		request(msg, make_path(msg, XS_TRANSACTION_END, tx, "T"));
		break;
	case DO_DIR:
		request(msg, make_path(msg, XS_DIRECTORY, 0, "/bench/dir"));
		break;
	case DO_FAN:
		request(msg, make_pair(msg, XS_WRITE, 0, "/bench/fan", "y"));
		break;
	case DO_MAX:
		break;
	}
	answered();
}

static void measure(enum work op, unsigned int guests, double seconds)
{
	double begin, end;
	long n = 0;

	/* the first ones bring in what a guest's worth of requests would find there anyway */
	for (int i = 0; i < (naive ? 2 : 200); i++)
		once(op, guests);
	begin = now();
	do {
		for (int i = 0; i < (naive ? 1 : 50); i++, n++)
			once(op, guests);
		end = now();
	} while (end - begin < seconds);
	printf("%s %.1f\n", op_names[op], (end - begin) / (double)n * 1e9);
}

/* Bytes of it in use; blocks of lines are no part of malloc's. */
static size_t heap(void)
{
	return mallinfo2().uordblks + line_count * LINE_BYTES;
}

static void count(const struct node *n, void *ctx)
{
	(void)n;
	++*(long *)ctx;
}

int main(int argc, char **argv)
{
	unsigned int guests = argc == 4 ? (unsigned int)atoi(argv[2]) : 0;
	size_t before;
	long nodes = 0;

	if (!guests) {
		fprintf(stderr, "Usage: bench_store ours|naive GUESTS SECONDS-PER-OPERATION\n");
		return 2;
	}
	naive = !strcmp(argv[1], "naive");
	clock_update();
	store_init();
	watch_init();
	naive_init();
	client = conn_new(0, &transport);
	for (int i = 0; i <= FAN_WATCHES; i++)
		watchers[i] = conn_new(0, &transport);
	before = heap();
	fill_nodes(guests, request);
	tree_walk(store_root, count, &nodes);
	if (naive)
		nodes = 60L * guests + DIR_CHILDREN + 3;
	printf("bytes %.1f\n", (double)(heap() - before) / (double)nodes);
	fill_watches(guests, watch);
	for (int op = 0; op < DO_MAX; op++)
		measure((enum work)op, guests, atof(argv[3]));
	return 0;
}
