// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory of a guest that is moved while it runs (rounds.h).
 * Owns when it is stopped, and that by then every page of it has been sent as it is, or is told by the log's last word.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rounds.h"
#include "sum.h"

/* 128 GiB of a guest's addresses: dom0 has 8 MiB for their bits, of two kinds. More only of one that has as much. */
#define FRAMES_MAX (1ull << 25)
#define FRAMES_EACH 4 /* for each page of its memory */
/* One that does not get below this share of what was sent, in two rounds running, is slowed: by 20 per cent, then 10 more each round. */
#define SHRINKS_TO 0.75
#define LOOK_EACH 32 /* batches: is it still there? */
#define SLOW_FIRST 20
#define SLOW_MORE 10
#define SLOW_MOST 90

/* Pages on their way, each with its place in r->sum[]. */
struct sending {
	struct saving_batch b;
	uint64_t index[PV_STREAM_BATCH];
	bool maybe[PV_STREAM_BATCH];
};

/* One way through all of its memory. */
struct pass {
	bool all; /* whatever the log says */
	bool last; /* nothing changes any more, and nobody holds anything up */
	int64_t began;
	uint64_t bytes; /* of the stream at its beginning */
	uint64_t pages, data; /* that were sent; and were no zeros */
	unsigned int batches;
	bool ended; /* the guest has, and there is no more to be sent of it */
	struct progress progress;
};

/* What the log has told of. */
struct told {
	uint64_t written, maybe; /* pages */
	double ms; /* that it takes to send them, as it is guessed */
};

/* --- the log's bits --------------------------------------------------------------------------- */

/* Those of frames @gfn to @end - 1, of the one word that @gfn is in; bit 0 is @gfn's. */
static uint64_t bits_at(const uint64_t *bits, uint64_t gfn, uint64_t end)
{
	uint64_t w = bits[gfn / 64] >> gfn % 64;

	return end - gfn < 64 ? w & ((1ull << (end - gfn)) - 1) : w;
}

static uint64_t next_word(uint64_t gfn)
{
	return (gfn | 63) + 1;
}

static int ask_log(struct rounds *r, enum pv_log_how how)
{
	int rc = pv_log_told(r->s->xl->pv, r->s->domid, how, &r->log);

	if (rc)
		return pv_fail(&r->s->err, rc, "cannot see what the guest has written: %s",
			       strerror(-rc));
	return xl_interrupted ? pv_fail(&r->s->err, -EINTR, "interrupted") : 0;
}

static void count(const struct rounds *r, struct told *t)
{
	const struct pv_stream_run *run = r->s->run, *behind = run + r->s->nr_runs;
	uint64_t gfn, end, written;

	*t = (struct told){ 0 };
	for (; run < behind; run++) {
		end = run->gfn + run->pages;
		for (gfn = run->gfn; gfn < end; gfn = next_word(gfn)) {
			written = bits_at(r->log.written, gfn, end);
			t->written += __builtin_popcountll(written);
			t->maybe +=
				__builtin_popcountll(bits_at(r->log.maybe, gfn, end) & ~written);
		}
	}
}

/* --- one round -------------------------------------------------------------------------------- */

/* Never 0. */
static uint64_t sum_of(const struct saving_batch *b, unsigned int i)
{
	return b->kind[i] == PV_PAGE_DATA ? sum64(0, b->page[i], PV_PAGE_SIZE) | 2 : 1;
}

/* Is it what was sent of it? */
static bool is_sent(struct rounds *r, const struct sending *t, unsigned int i)
{
	uint64_t sum = r->sum ? sum_of(&t->b, i) : 0;
	bool same = sum && r->sum[t->index[i]] == sum;

	if (sum)
		r->sum[t->index[i]] = sum;
	if (t->maybe[i]) {
		r->looked++;
		r->like += same;
	}
	return t->maybe[i] && same;
}

/* Leaves what is to go. A page that the guest has given up meanwhile is the memory map's question, which is asked at the end. */
static int sift(struct rounds *r, struct sending *t, bool last)
{
	struct saving_batch *b = &t->b;
	unsigned int i, n = 0;

	for (i = 0; i < b->n; i++) {
		if (b->kind[i] == PV_PAGE_HOLE && last)
			return pv_fail(&r->s->err, -EAGAIN,
				       "the guest's memory has changed under the copy");
		if (b->kind[i] == PV_PAGE_HOLE || is_sent(r, t, i))
			continue;
		if (n != i) {
			b->gfn[n] = b->gfn[i];
			b->kind[n] = b->kind[i];
			if (b->kind[i] == PV_PAGE_DATA)
				memcpy(b->page[n], b->page[i], PV_PAGE_SIZE);
		}
		n++;
	}
	b->n = n;
	return 0;
}

void rounds_pace(uint64_t bandwidth, int64_t began, uint64_t bytes)
{
	double ms;

	while (bandwidth && !xl_interrupted) {
		ms = (double)bytes * 1000 / (double)bandwidth - (double)(xl_now() - began);
		if (ms < 1)
			break;
		xl_sleep(ms > 500 ? 500 : (int)ms);
	}
}

/* Nanoseconds that it had of CPUs so far; negative: it has ended. */
static double cpu_time(const struct rounds *r)
{
	struct xen_domctl_getdomaininfo info;

	if (pv_domain_info(r->s->xl->pv, r->s->domid, &info) ||
	    info.flags & (XEN_DOMINF_dying | XEN_DOMINF_shutdown))
		return -1;
	return (double)info.cpu_time;
}

static int send(struct rounds *r, struct sending *t, struct pass *p)
{
	unsigned int n = t->b.n, i;
	int rc = n ? saving_read(r->s, &t->b) : 0;

	if (!rc)
		rc = sift(r, t, p->last);
	if (!rc && t->b.n)
		rc = saving_put(r->s, &t->b);
	p->pages += t->b.n;
	for (i = 0; i < t->b.n; i++)
		p->data += t->b.kind[i] == PV_PAGE_DATA;
	t->b.n = 0;
	progress_add(&p->progress, n * PV_PAGE_SIZE);
	if (!p->last && !(++p->batches % LOOK_EACH))
		p->ended = cpu_time(r) < 0;
	if (!rc && !p->last)
		rounds_pace(r->limits.bandwidth, p->began, r->s->out.bytes - p->bytes);
	return rc;
}

/* Of one word of the log. */
static int send_word(struct rounds *r, struct sending *t, struct pass *p, uint64_t gfn,
		     uint64_t end, uint64_t index)
{
	uint64_t written = p->all ? bits_at(&(uint64_t){ ~0ull }, 0, end - gfn) :
				    bits_at(r->log.written, gfn, end);
	uint64_t either = written | (p->all ? 0 : bits_at(r->log.maybe, gfn, end));
	unsigned int bit;
	int rc = 0;

	for (; either && !rc && !p->ended; either &= either - 1) {
		bit = __builtin_ctzll(either);
		t->b.gfn[t->b.n] = gfn + bit;
		t->index[t->b.n] = index + bit;
		t->maybe[t->b.n] = !(written >> bit & 1);
		t->b.n++;
		if (t->b.n == PV_STREAM_BATCH)
			rc = send(r, t, p);
	}
	return rc;
}

/* What was sent lately counts for more than what was sent before. */
static void learn(struct rounds *r, const struct pass *p)
{
	r->data = r->data / 2 + (double)p->data;
	r->ms = r->ms / 2 + (double)(xl_now() - p->began);
	r->like /= 2;
	r->looked /= 2;
}

/* All that the log has told, or all. */
static int go_through(struct rounds *r, struct pass *p, uint64_t pages)
{
	static struct sending t;
	const struct pv_stream_run *run = r->s->run, *behind = run + r->s->nr_runs;
	char *what = xl_sprintf("%s %s", r->limits.most ? "Saving" : "Moving", r->s->guest);
	uint64_t gfn, end, next, index = 0;
	int rc = 0;

	progress_begin(&p->progress, what, pages * PV_PAGE_SIZE);
	p->began = xl_now();
	p->bytes = r->s->out.bytes;
	t.b.n = 0;
	for (; run < behind && !rc; run++) {
		end = run->gfn + run->pages;
		for (gfn = run->gfn; gfn < end && !rc; gfn = next) {
			next = next_word(gfn) < end ? next_word(gfn) : end;
			rc = send_word(r, &t, p, gfn, next, index);
			index += next - gfn;
		}
	}
	if (!rc)
		rc = send(r, &t, p);
	progress_end(&p->progress);
	free(what);
	learn(r, p);
	return rc;
}

/* --- how it goes ------------------------------------------------------------------------------ */

/* On machines where what is read may have been written. Without room for them, it is taken for written. */
static void want_sums(struct rounds *r)
{
	if (!r->sum)
		r->sum = calloc(r->s->pages, sizeof(*r->sum));
}

/* What has been written since the last round, and what becomes of that. */
static int look(struct rounds *r, struct told *t)
{
	int64_t began = xl_now();
	int rc = ask_log(r, PV_LOG_LOOK);
	double pages;

	if (rc)
		return rc;
	count(r, t);
	if (t->maybe)
		want_sums(r);
	pages = (double)t->written +
		(double)t->maybe * (r->looked > 0 ? 1 - r->like / r->looked : 1);
	/* The log is asked once more, and it takes as long. */
	t->ms = (double)(xl_now() - began) + (r->data > 0 ? pages * r->ms / r->data : 0);
	return 0;
}

static void report(const struct rounds *r, const struct pass *p, const struct told *t)
{
	double s = (double)(xl_now() - p->began) / 1000;
	double mib = (double)(r->s->out.bytes - p->bytes) / PV_MIB;

	printf("%s: round %u: %.1f MiB in %.1f s", r->s->guest, r->nr, mib, s);
	if (s > 0)
		printf(", %.1f MiB/s", mib / s);
	printf("; meanwhile it has written %.1f MiB", (double)t->written * PV_PAGE_SIZE / PV_MIB);
	if (t->maybe)
		printf(" to %.1f MiB", (double)(t->written + t->maybe) * PV_PAGE_SIZE / PV_MIB);
	printf(", which would take %.0f ms\n", t->ms);
	fflush(stdout);
}

/* It gets less of its CPUs while it gets ahead of what is sent. Without that it may still come to an end. */
static void slow_down(struct rounds *r, const struct pass *p, const struct told *t, double cpu_ns)
{
	double ms = (double)(xl_now() - p->began), cap;

	if ((double)(t->written + t->maybe) <= SHRINKS_TO * (double)p->pages)
		r->slow_rounds = 0;
	else
		r->slow_rounds++;
	if (r->slow_rounds < 2 || r->slow >= SLOW_MOST || ms < 1)
		return;
	if (!r->slow)
		r->use = cpu_ns / 1e6 / ms * 100;
	r->slow += r->slow ? SLOW_MORE : SLOW_FIRST;
	cap = r->use * (100 - r->slow) / 100;
	if (dump_slow(r->s->xl, r->d, cap < 1 ? 1 : cap > 60000 ? 60000 : (uint16_t)cap))
		return;
	printf("%s: it writes faster than can be sent, and is slowed by %u %%\n", r->s->guest,
	       r->slow);
	fflush(stdout);
}

/* 0: it is on; 1: there cannot be one, which was said; negative with a message in s->err. */
static int begin_log(struct rounds *r)
{
	struct saving *s = r->s;
	const struct pv_stream_run *last = &s->run[s->nr_runs - 1];
	uint64_t frames = last->gfn + last->pages;
	const char *why = NULL;
	int rc;

	if (frames > FRAMES_MAX && frames / FRAMES_EACH > s->pages) {
		why = "has memory so far apart that what it writes cannot be logged";
	} else {
		rc = pv_log_alloc(s->xl->pv, frames, &r->log);
		if (rc)
			return pv_fail(&s->err, rc, "no room for %llu bits of a log: %s",
				       (unsigned long long)frames * 2, strerror(-rc));
		rc = dump_log(s->xl, r->d);
		if (rc && rc != -EOPNOTSUPP)
			return pv_fail(&s->err, rc, "cannot log what the guest writes: %s",
				       strerror(-rc));
		why = rc ? "is on a machine that does not notice what guests write" : NULL;
	}
	if (!why)
		return 0;
	fprintf(stderr, "xl: '%s' %s: it stands still while its memory is sent\n", s->guest, why);
	return 1;
}

int rounds_run(struct rounds *r, struct saving *s, struct dump *d,
	       const struct rounds_limits *limits)
{
	struct told t = { 0 };
	struct pass p;
	double cpu;
	int rc;

	*r = (struct rounds){ .s = s, .d = d, .limits = *limits };
	rc = limits->cold ? 1 : begin_log(r);
	if (rc)
		return rc < 0 ? rc : 0;
	s->rounds = r;
	for (;;) {
		p = (struct pass){ .all = !r->nr };
		cpu = cpu_time(r);
		rc = go_through(r, &p, p.all ? s->pages : t.written + t.maybe);
		if (!rc)
			rc = look(r, &t);
		if (rc)
			return rc;
		r->nr++;
		if (!limits->most)
			report(r, &p, &t);
		/* Of one that has ended the caller knows what to say. */
		if (t.ms <= limits->downtime || cpu < 0 || p.ended || r->nr == limits->most)
			return 0;
		if (r->nr == ROUNDS_MAX)
			return xl_error("'%s' writes faster than can be sent: after %u rounds it "
					"would still stand still for %.0f ms, and may for %u "
					"(--downtime)",
					s->guest, r->nr, t.ms, limits->downtime);
		if (!limits->most)
			slow_down(r, &p, &t, cpu_time(r) - cpu);
		rc = ask_log(r, PV_LOG_ROUND);
		if (rc)
			return rc;
		count(r, &t);
	}
}

int rounds_last(struct rounds *r)
{
	struct pass p = { .last = true };
	struct told t;
	int rc = ask_log(r, PV_LOG_LAST);

	if (rc)
		return rc;
	count(r, &t);
	return go_through(r, &p, t.written + t.maybe);
}

void rounds_free(struct rounds *r)
{
	if (!r->s)
		return;
	pv_log_free(r->s->xl->pv, &r->log);
	free(r->sum);
	r->sum = NULL;
}
