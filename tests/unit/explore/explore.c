// SPDX-License-Identifier: BSD-2-Clause
/*
 * Goes through the interleavings of each pair: first those in which nobody is interrupted, then those with one interruption at
 * each point, then with two, up to BOUND; at most CAP of a pair. Each is the replay of a schedule from the same state, after
 * which the world must be sound and able to end.
 *
 *   PAIR=map,decrease        that pair only ("map": those with map)
 *   SCHEDULE=0:1,17:0,...    of it this interleaving only, with a backtrace at each switch
 *   BOUND=2 CAP=1000 JOBS=2
 */
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "explore.h"

#define MAX_JOBS 64U
#define MAX_FAILED 20 /* pairs, then no more are tried */

struct queue {
	struct schedule *s;
	size_t nr, room;
};

/* Between the processes. */
static struct figures {
	u64 runs, pairs, cut, failed;
	u64 next_pair;
} * figures;

static unsigned int bound = 2, cap = 1000, jobs = 1;
static const struct operation *op_a, *op_b;
static struct schedule running;

/* ---- options ---- */

/* NULL: not set, or empty. */
static const char *option(const char *name)
{
	const char *s = getenv(name);

	return s && *s ? s : NULL;
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	return option(name) ? strtoul(option(name), NULL, 0) : otherwise;
}

/* ---- failure ---- */

static void say_what_runs(void)
{
	static bool said;

	if (said || !op_a)
		return;
	said = true;
	fprintf(stderr, "explore: found with\n  PAIR=%s,%s SCHEDULE=", op_a->name, op_b->name);
	for (unsigned int i = 0; i < running.nr; i++)
		fprintf(stderr, "%s%u:%u", i ? "," : "", running.at[i].point, running.at[i].fibre);
	fprintf(stderr, "%s\n", running.nr ? "" : "none");
}

void check_failed(void)
{
	say_what_runs();
}

void fail_run(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

static void aborted(int sig)
{
	say_what_runs();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* ---- schedules ---- */

static void push(struct queue *q, const struct schedule *s)
{
	if (q->nr == q->room) {
		q->room = q->room ? 2 * q->room : 1024;
		q->s = realloc(q->s, q->room * sizeof(*s));
		assert_non_null(q->s);
	}
	q->s[q->nr++] = *s;
}

/* What else could have been done behind the last switch of the schedule that has just run. */
static void push_children(const struct schedule *s, struct queue *same, struct queue *dearer)
{
	unsigned int first = s->nr ? s->at[s->nr - 1].point + 1U : 0;

	if (s->nr == MAX_SWITCHES)
		return;
	for (unsigned int i = first; i < trace.nr; i++) {
		struct schedule child = *s;

		child.cost += !trace.at[i].free;
		if (child.cost > bound)
			continue;
		child.nr++;
		child.at[s->nr].point = i;
		for (unsigned int f = 0; f < MAX_FIBRES; f++) {
			if (!(trace.at[i].could & BIT(f)))
				continue;
			child.at[s->nr].fibre = f;
			push(child.cost == s->cost ? same : dearer, &child);
		}
	}
}

static void run_one(const struct actor actors[2], bool others, const struct schedule *s)
{
	running = *s;
	run_schedule(actors, others, s);
	state_flush_freed();
	check_scheduler();
	check_events();
	check_world();
	check_log();
	check_images();
	world_down(NULL);
	state_restore();
	__atomic_fetch_add(&figures->runs, 1, __ATOMIC_RELAXED);
}

/* Returns how many there were. */
static unsigned int explore(const struct actor actors[2], bool others)
{
	struct queue now = { 0 }, next = { 0 }, swap;
	struct schedule s = { 0 };
	unsigned int runs = 0;

	push(&next, &s);
	for (unsigned int cost = 0; cost <= bound && next.nr; cost++) {
		swap = now;
		now = next;
		next = swap;
		next.nr = 0;
		for (size_t i = 0; i < now.nr; i++) {
			s = now.s[i]; /* the queue may move */
			if (runs++ == cap) {
				__atomic_fetch_add(&figures->cut, 1, __ATOMIC_RELAXED);
				cost = bound;
				break;
			}
			run_one(actors, others, &s);
			push_children(&s, &now, &next);
		}
	}
	free(now.s);
	free(next.s);
	return min(runs, cap);
}

static void read_schedule(struct schedule *s, const char *text)
{
	unsigned int point, fibre;
	int n;

	while (sscanf(text, "%u:%u%n", &point, &fibre, &n) == 2 && s->nr < MAX_SWITCHES) {
		s->at[s->nr].point = point;
		s->at[s->nr++].fibre = fibre;
		text += n + (text[n] == ',');
	}
}

static void explore_pair(const struct operation *a, const struct operation *b)
{
	const char *text = option("SCHEDULE");
	struct actor actors[2] = { { .op = a }, { .op = b } };
	bool others = a->about & b->about & ON_SCHED;

	op_a = a;
	op_b = b;
	running.nr = 0;
	set_scene(a, b, &actors[0].v, &actors[1].v);
	state_save();
	if (text) {
		struct schedule s = { 0 };

		read_schedule(&s, text);
		tell_switches = true;
		run_one(actors, others, &s);
	} else {
		unsigned int runs = explore(actors, others);

		if (option("VERBOSE"))
			printf("%s,%s: %u\n", a->name, b->name, runs);
	}
	state_flush_freed();
	world_down(NULL);
	__atomic_fetch_add(&figures->pairs, 1, __ATOMIC_RELAXED);
	op_a = NULL;
}

/* ---- pairs ---- */

static bool named(const char *pair, const struct operation *a, const struct operation *b)
{
	size_t n = strcspn(pair, ",");
	const char *second = pair[n] ? pair + n + 1 : NULL;
	bool first_a = strlen(a->name) == n && !strncmp(a->name, pair, n);
	bool first_b = strlen(b->name) == n && !strncmp(b->name, pair, n);

	if (!second)
		return first_a || first_b;
	return (first_a && !strcmp(second, b->name)) || (first_b && !strcmp(second, a->name));
}

/* In a process of its own, so that one pair's failure keeps none from being tried. */
static bool try_pair(const struct operation *a, const struct operation *b)
{
	pid_t child = fork();
	int status;

	if (!child) {
		explore_pair(a, b);
		exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && !status;
}

/* Each worker takes the next pair that nobody has taken. */
static void explore_all(const char *pair)
{
	u64 n = 0, mine = __atomic_fetch_add(&figures->next_pair, 1, __ATOMIC_RELAXED);

	for (unsigned int a = 0; a < nr_operations; a++) {
		for (unsigned int b = a; b < nr_operations; b++) {
			if (!(operations[a].about & operations[b].about &
			      (ON_ALL | ON_QUEUES | ON_IMAGES)) ||
			    (pair && !named(pair, &operations[a], &operations[b])))
				continue;
			if (n++ != mine)
				continue;
			if (!try_pair(&operations[a], &operations[b]) &&
			    __atomic_add_fetch(&figures->failed, 1, __ATOMIC_RELAXED) >= MAX_FAILED)
				figures->next_pair = ~0U; /* enough to look at */
			mine = __atomic_fetch_add(&figures->next_pair, 1, __ATOMIC_RELAXED);
		}
	}
}

int main(void)
{
	const char *pair = option("PAIR");
	pid_t worker[MAX_JOBS];
	int status;

	setenv("CMOCKA_TEST_ABORT", "1", 1);
	bound = number("BOUND", bound);
	cap = number("CAP", cap);
	jobs = option("SCHEDULE") ? 1 : min(number("JOBS", jobs), MAX_JOBS);
	console_set_level(LOG_ERR);
	harts_init();
	signal(SIGABRT, aborted);
	__sanitizer_set_death_callback(say_what_runs);
	figures = mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(figures != MAP_FAILED);
	for (unsigned int i = 0; i < jobs; i++) {
		worker[i] = fork();
		if (!worker[i]) {
			explore_all(pair);
			exit(0);
		}
	}
	for (unsigned int i = 0; i < jobs; i++)
		figures->failed += waitpid(worker[i], &status, 0) != worker[i] || status;
	if (figures->failed)
		return 1;
	printf("%lu interleavings of %lu pairs, with up to %u interruptions", figures->runs,
	       figures->pairs, bound);
	if (figures->cut)
		printf(" (of %lu pairs only the first %u interleavings)", figures->cut, cap);
	printf("\n");
	if (!figures->pairs) {
		fprintf(stderr, "there is no such pair\n");
		return 1;
	}
	return 0;
}
