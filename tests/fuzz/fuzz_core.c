// SPDX-License-Identifier: BSD-2-Clause
/*
 * libFuzzer target for core/: runs the steps of an input in a small world of three domains and 64 pages, has the world
 * looked at, ends it and sees that no page is lost. Also the mutator, which knows what a step is.
 */
#include <grant_internal.h>
#include <image.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_STEPS 128
#define DOM0_ORDER 4 /* 16 pages */
#define GUEST_PAGES 24

const struct row rows[] = {
#include <fuzz_rows.h>
};
const unsigned int nr_rows = ARRAY_SIZE(rows);

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const u8 *data1, size_t size1, const u8 *data2, size_t size2,
				 u8 *out, size_t max, unsigned int seed);

/* ---- guests' memory ---- */

static char arena[65536];
static size_t arena_used;
static bool scribble;

void *arena_get(size_t n)
{
	void *p = arena + arena_used;

	n = ROUND_UP(n, 8);
	if (n > sizeof(arena) - arena_used)
		return NULL;
	arena_used += n;
	memset(p, 0, n);
	return p;
}

void arena_reset(void)
{
	arena_used = 0;
}

bool in_arena(u64 va, size_t n)
{
	return va >= U(arena) && va <= U(arena) + sizeof(arena) &&
	       n <= U(arena) + sizeof(arena) - va;
}

/* The linker sends all calls of these here, --wrap. */
int __real_copy_from_guest(void *dst, u64 va, size_t n);
int __real_copy_to_guest(u64 va, const void *src, size_t n);
int __wrap_copy_from_guest(void *dst, u64 va, size_t n);
int __wrap_copy_to_guest(u64 va, const void *src, size_t n);

int __wrap_copy_from_guest(void *dst, u64 va, size_t n)
{
	int rc;

	if (n && !in_arena(va, n))
		return -EFAULT;
	rc = __real_copy_from_guest(dst, va, n);
	/* Who reads it again gets something else. */
	for (size_t i = 0; scribble && i < n; i += 4)
		((u8 *)va)[i] ^= 1;
	return rc;
}

int __wrap_copy_to_guest(u64 va, const void *src, size_t n)
{
	if (n && !in_arena(va, n))
		return -EFAULT;
	return __real_copy_to_guest(va, src, n);
}

/* ---- failing allocations ---- */

static long allocations_left = -1;

struct page *__real_alloc_pages(unsigned int order);
void *__real_xzalloc(size_t size);
struct page *__wrap_alloc_pages(unsigned int order);
void *__wrap_xzalloc(size_t size);

static bool no_memory(void)
{
	if (allocations_left < 0 || allocations_left-- > 0)
		return false;
	allocations_left = 0;
	return true;
}

struct page *__wrap_alloc_pages(unsigned int order)
{
	return no_memory() ? NULL : __real_alloc_pages(order);
}

void *__wrap_xzalloc(size_t size)
{
	return no_memory() ? NULL : __real_xzalloc(size);
}

/* ---- figures ---- */

static u64 calls_made, runs;
static u64 reached[256], succeeded[256];

void note_result(const struct row *row, long rc)
{
	reached[row - rows]++;
	succeeded[row - rows] += row->dir == DIR_refused ? rc == row->refused : rc >= 0;
}

/* Every row must have been met, and must have succeeded at least once, when FUZZ_CHECK_ROWS is set. */
static void report(void)
{
	unsigned int met = 0, good = 0;

	for (unsigned int i = 0; i < nr_rows; i++) {
		met += reached[i] != 0;
		good += succeeded[i] != 0;
		if (!succeeded[i])
			fprintf(stderr, "core: %s: called %lu times, never with success\n",
				rows[i].name, reached[i]);
	}
	fprintf(stderr,
		"core: %lu sequences, %lu hypercalls; of %u rows %u called, %u with success\n",
		runs, calls_made, nr_rows, met, good);
	if (getenv("FUZZ_CHECK_ROWS") && good != nr_rows) {
		fprintf(stderr, "core: not every row of hypercalls.tbl is reached\n");
		_exit(1);
	}
}

/* ---- hypercalls ---- */

static const struct step *at, *end; /* what is left of the input */
static unsigned int depth; /* 1: a step in the middle of another */

static void run_step(const struct step *s);

static const struct step *take_step(void)
{
	return at < end ? at++ : NULL;
}

/*
 * What another hart does in the middle of this one's hypercall. Not while this one holds a lock: the other could only wait
 * for it, and nobody would let it go.
 */
static void other_hart(void)
{
	unsigned int hart = host.hart;
	struct host saved = host;
	const struct step *s = lock_check_held() ? NULL : take_step();

	if (!s || (s->hart % NR_HARTS) == hart)
		return;
	depth++;
	run_step(s);
	depth--;
	host.hart = hart;
	host.preempt_every = saved.preempt_every;
	host.preempt_calls = saved.preempt_calls;
	host.restart_nr = saved.restart_nr;
	memcpy(host.restart_args, saved.restart_args, sizeof(host.restart_args));
}

/* The machine would end, which is right but ends the fuzzing; or two harts would wait for each other. */
static bool not_now(const struct row *row, const u64 args[5])
{
	struct sched_remote_shutdown *a = (void *)args[1];

	if (depth && (row->nr == __HYPERVISOR_domctl || row->kind == KIND_fn ||
		      (row->nr == __HYPERVISOR_memory_op && row->op == XENMEM_sharing_op)))
		return true;
	if (!current_domain()->is_privileged)
		return false;
	if (row->nr == __HYPERVISOR_vcpu_op)
		return row->op == VCPUOP_down;
	if (row->nr != __HYPERVISOR_sched_op)
		return row->kind == KIND_fn;
	if (row->op != SCHEDOP_remote_shutdown)
		return row->op == SCHEDOP_shutdown || row->op == SCHEDOP_watchdog;
	return !a || a->domain_id == 0 || a->domain_id >= DOMID_FIRST_RESERVED || scribble;
}

static long call(struct vcpu *v, unsigned int nr, const u64 args[5], bool between)
{
	unsigned int parts = 0;
	u64 again[5];
	long rc;

	host.relaxed = host.restarts = 0;
	calls_made++;
	rc = hypercall_dispatch(nr, args);
	while (rc == -ERESTART) {
		CHECK(host.restarts, "an -ERESTART that nobody asked for, hypercall %u", nr);
		CHECK(++parts < 100000, "hypercall %u never ends", nr);
		/* Others run only where this hart holds nothing, so it is lost when its vCPU may not run on. */
		if (between && !depth)
			other_hart();
		if (arch_current() != v)
			return 0;
		memcpy(again, host.restart_args, sizeof(again));
		calls_made++;
		rc = hypercall_dispatch(host.restart_nr, again);
	}
	return rc;
}

static void set_trouble(const struct step *s)
{
	host.preempt_every = host.preempt_calls = 0;
	host.copies_left = host.maps_left = host.splits_left = allocations_left = -1;
	host.before_map = NULL;
	scribble = s && s->trouble & TROUBLE_SCRIBBLE;
	if (!s)
		return;
	switch (s->trouble & 7) {
	case TROUBLE_PREEMPT:
		host.preempt_every = 1 + s->when % 4;
		break;
	case TROUBLE_COPY:
		host.copies_left = s->when % 8;
		break;
	case TROUBLE_ALLOC:
		allocations_left = s->when % 16;
		break;
	case TROUBLE_MAP:
		host.maps_left = s->when % 4;
		break;
	}
	if (s->trouble & TROUBLE_RACE && !depth)
		host.before_map = other_hart;
}

static void call_row(const struct step *s, const struct row *row)
{
	struct vcpu *v = arch_current();
	struct bytes b = bytes_of(s);
	u64 args[5];
	long rc;

	make_call(row, &b, args);
	if (not_now(row, args))
		return;
	if (!depth)
		set_trouble(s);
	rc = call(v, row->nr, args, s->trouble & TROUBLE_BETWEEN);
	note_result(row, rc);
	if (!depth)
		set_trouble(NULL);
}

/* ---- what happens without a hypercall ---- */

/* Only what a guest has: the entry is in its own table. */
static void write_grant(struct bytes *b)
{
	struct domain *d = current_domain();
	u32 ref = value_of(REF, b);

	if (ref < d->grant->nr_frames * GRANTS_PER_FRAME)
		grant_access(d, ref, value_of(DOMID, b), value_of(GFN, b),
			     next_byte(b) < 192 ? 0 : next_byte(b));
}

/* Any word of its shared_info, but what says where time is. */
static void write_shared(struct bytes *b)
{
	struct shared_info *s = current_domain()->shared_info;
	size_t n = offsetof(struct shared_info, evtchn_mask) + sizeof(s->evtchn_mask);
	size_t where = value_of(next_byte(b) & 1 ? SMALL : OFFSET, b) * 8 % n;

	*(u64 *)((char *)s + where) = next_byte(b) & 1 ? value_of(WILD, b) : 0;
}

/* By whatever fault it takes. */
static void write_page(struct bytes *b)
{
	gfn_t gfn = value_of(GFN, b);
	struct p2m_entry e;

	if (p2m_lookup(current_domain(), gfn, &e) && !(e.access & P2M_W) && !lock_check_held())
		image_unshare(current_domain(), gfn);
	if (p2m_lookup(current_domain(), gfn, &e) && e.access & P2M_W && mfn_to_page(e.mfn))
		*(u32 *)((char *)arch_mfn_to_virt(e.mfn) + (value_of(OFFSET, b) & 0xffc)) =
			value_of(next_byte(b) & 1 ? PORT : WILD, b);
}

static void read_events(struct bytes *b)
{
	(void)b;
	clear_pending(current_domain());
}

static void time_passes(struct bytes *b)
{
	advance((u64)next_byte(b) << (next_byte(b) & 31));
}

static void interrupt(struct bytes *b)
{
	u8 n = next_byte(b);

	arch_current()->arch->has_interrupt = n & 0x80;
	if (n & 0x40)
		host.typed = n & 1 ? "x\001\001y" : "line\n";
	if (host.typed)
		console_input();
	send_guest_pirq(dom0, n % NR_TEST_PIRQS);
}

static void scrub(struct bytes *b)
{
	heap_scrub(next_byte(b) & 31);
}

/* A domain to fork another into, of a number that hypercalls are made for. */
static void make_copy(struct bytes *b)
{
	struct xen_domctl_createdomain config = default_config(1);
	struct domain *d = domain_get(3);

	(void)b;
	if (d)
		domain_put(d);
	else if (!depth && !domain_create(3, &config, &d))
		vcpu_create(d, 0);
}

static void idle_harts(struct bytes *b)
{
	(void)b;
	for (unsigned int h = 0; h < NR_HARTS && !depth; h++)
		run_hart(h);
}

static void (*const deeds[])(struct bytes *b) = { write_grant,	write_grant, write_grant,
						  write_shared, write_page,  write_page,
						  read_events,	time_passes, interrupt,
						  scrub,	idle_harts,  make_copy };

static void run_step(const struct step *s)
{
	unsigned int what = s->what % (nr_rows + ARRAY_SIZE(deeds));
	struct bytes b = bytes_of(s);

	host.hart = s->hart % NR_HARTS;
	/* The exit path of the last time; nobody is descheduled in the middle of its hypercall. */
	if (!depth && (host.kicked & BIT(host.hart) || host.current[host.hart]->domain->is_idle))
		run_hart(host.hart);
	if (host.current[host.hart]->domain->is_idle)
		return;
	if (what < nr_rows)
		call_row(s, &rows[what]);
	else
		deeds[what - nr_rows](&b);
}

/* ---- the target ---- */

/* libFuzzer says it: the input is left in a file. */
void check_failed(void)
{
}

static void stop_others(void)
{
	set_trouble(NULL);
	host_reset();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	CHECK(nr_rows + ARRAY_SIZE(deeds) <= 256, "a step's first byte does not reach them all");
	console_set_level(LOG_ERR);
	host_boot();
	atexit(report);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	host_reset();
	host.now = 1000000;
	free_at_start = heap_free_pages();
	dom0 = make_dom0(1, DOM0_ORDER);
	u1 = make_domain(1, 2, GUEST_PAGES);
	/* Four vCPUs for four harts, and one that never ran. */
	u2 = make_domain(2, 2, GUEST_PAGES);
	set_bit(VPF_DOWN, &u2->vcpu[1]->pause_flags);
	u2->vcpu[1]->is_initialised = false;
	vcpu_sleep_nosync(u2->vcpu[1]);
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	at = (const struct step *)data;
	end = at + size / sizeof(*at);
	while (at < end) {
		arena_reset();
		run_step(at++);
	}
	stop_others();
	check_world();
	world_down(NULL);
	runs++;
	return 0;
}

/* ---- mutation ---- */

static u32 rnd(u32 n)
{
	static u64 state = 88172645463325252;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n ? (state >> 16) % n : 0;
}

static void new_step(struct step *s)
{
	for (size_t i = 0; i < sizeof(*s); i++)
		((u8 *)s)[i] = rnd(256);
	if (rnd(4)) /* most of the time nothing goes wrong */
		s->trouble = 0;
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed)
{
	struct step *s = (struct step *)data;
	size_t n = size / sizeof(*s), room = min(max / sizeof(*s), (size_t)MAX_STEPS), i, j;

	/* libFuzzer's seed decides, so that -seed= repeats a run. */
	for (unsigned int turns = seed & 15; turns; turns--)
		rnd(2);
	for (unsigned int turns = 1 + rnd(4); turns; turns--) {
		i = rnd(n);
		j = rnd(n);
		switch (rnd(n ? 9 : 1)) {
		case 0: /* insert */
		case 1:
			if (n >= room)
				break;
			memmove(&s[i + 1], &s[i], (n - i) * sizeof(*s));
			new_step(&s[i]);
			n++;
			break;
		case 2: /* the same again, elsewhere */
			if (n >= room)
				break;
			memmove(&s[i + 1], &s[i], (n - i) * sizeof(*s));
			n++;
			s[i] = s[j + (j >= i)];
			break;
		case 3: /* remove */
			if (n < 2)
				break;
			memmove(&s[i], &s[i + 1], (n - i - 1) * sizeof(*s));
			n--;
			break;
		case 4:
			s[i].what = rnd(256);
			break;
		case 5:
			s[i].hart = rnd(NR_HARTS);
			s[i].trouble = rnd(256);
			s[i].when = rnd(32);
			break;
		case 6: /* the arguments of one */
			LLVMFuzzerMutate(s[i].arg, STEP_ARGS, STEP_ARGS);
			break;
		case 7: /* those of another: what one made, another takes away */
			memmove(s[i].arg, s[j].arg, STEP_ARGS);
			s[i].hart = s[j].hart;
			break;
		case 8:
			s[i].arg[rnd(STEP_ARGS)] = rnd(3) ? rnd(256) : rnd(8);
			break;
		}
	}
	return n * sizeof(*s);
}

size_t LLVMFuzzerCustomCrossOver(const u8 *data1, size_t size1, const u8 *data2, size_t size2,
				 u8 *out, size_t max, unsigned int seed)
{
	size_t step = sizeof(struct step), first = size1 / step, second = size2 / step;
	size_t room = min(max / step, (size_t)MAX_STEPS), from = second ? seed % second : 0;

	first = min(first ? 1 + seed / 7 % first : 0, room);
	second = min(second - from, room - first);
	memcpy(out, data1, first * step);
	memcpy(out + first * step, data2 + from * step, second * step);
	return (first + second) * step;
}
