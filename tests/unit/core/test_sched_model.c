// SPDX-License-Identifier: BSD-2-Clause
/*
 * A model checker for the scheduler: a small world of three vCPUs on two harts, and everything that can be done in it in any order.
 * What is done is done whole, as the scheduler's lock makes it; but a hart that is kicked gets to it at any later time, so wakes,
 * blocks, pauses, pins, changes of CPU pools and slices' ends come between a kick and what it was for. (explore/ goes into the operations.)
 * The states that DEPTH steps lead to are gone through, nearest first and each once: a state is the shortest list of steps that
 * leads to it, done again.
 */
#include "host.h"

#define MS 1000000ULL
#define NR_V 3
#define NR_H 2
#define BOTH 3UL /* the two harts */
#define MAX_DEPTH 40 /* DEPTH=, unless it is the default */
/* So many slices may end on the way to a state: run times would go on growing. */
#define MAX_SLICES 2

static struct vcpu *vcpus[NR_V];

/* ---- steps ---- */

enum step_kind {
	RUN,
	BLOCK,
	YIELD,
	SLICE,
	WAKE,
	PAUSE,
	UNPAUSE,
	PIN,
	PREFER,
	HART,
	MOVE,
	NR_KINDS
};

static const char *const kind_name[NR_KINDS] = { "runs",	 "blocks",	 "yields",
						 "ends a slice", "wakes",	 "is paused",
						 "is unpaused",	 "is pinned to", "prefers",
						 "is hart 1 of", "moves to pool" };

/* What is done beside running, blocking, waking: pins, soft affinities, or changes of pools 0 and 1. */
static enum { PINS, PREFERENCES, POOLS } about;
#define NO_POOL 2U

struct step {
	u8 kind, who, mask;
};

/* Of two: with the harts of this world only. */
static unsigned int pool_of_hart(unsigned int hart)
{
	for (unsigned int pool = 0; pool < NO_POOL; pool++) {
		struct xen_sysctl_cpupool_op a = { .op = XEN_SYSCTL_CPUPOOL_OP_INFO,
						   .cpupool_id = pool };
		u64 harts = 0;

		set_xen_guest_handle(a.cpumap.bitmap, (u8 *)&harts);
		a.cpumap.nr_bits = 64;
		if (!sysctl_cpupool_op(&a) && a.cpupool_id == pool && harts & BIT(hart))
			return pool;
	}
	return NO_POOL;
}

/* Can this be done now? A vCPU whose hart is kicked may be in the middle of a hypercall, and end it. */
static bool can(struct step s)
{
	struct vcpu *v = vcpus[s.who];

	switch (s.kind) {
	case RUN:
		return host.kicked & BIT(s.who);
	case BLOCK:
		return v->running && !v->pause_flags;
	case YIELD:
		return v->running;
	case SLICE:
		return host.timer[s.who] != ~0ULL && !(host.kicked & BIT(s.who));
	case WAKE:
		return v->pause_flags & BIT(VPF_BLOCKED);
	case PAUSE:
		return !v->pause_count;
	case UNPAUSE:
		return v->pause_count;
	case PIN:
		return v->pinned != s.mask;
	case HART:
		return pool_of_hart(1) != s.mask;
	case MOVE:
		return cpupool_of(v->domain) != s.mask;
	default:
		return v->preferred != s.mask;
	}
}

/* Timers that are due fire, and the hardware's are set to the next. */
static void timers(void)
{
	for (unsigned int h = 0; h < NR_H; h++) {
		host.hart = h;
		timer_interrupt();
	}
}

/* What dom0 does it does from a hart that is not of this world. */
static void elsewhere(void)
{
	host.hart = NR_HARTS - 1;
}

static void act(struct step s)
{
	struct vcpu *v = vcpus[s.who];

	elsewhere();
	switch (s.kind) {
	case RUN:
		run_hart(s.who);
		break;
	case BLOCK:
	case YIELD:
		host.hart = v->hart;
		host.current[v->hart] = v;
		assert_int_equal(SCHED(s.kind == BLOCK ? SCHEDOP_block : SCHEDOP_yield, NULL), 0);
		break;
	case SLICE:
		host.now = max(host.now, host.timer[s.who]);
		break;
	case WAKE: /* by a hart of this world, or another one */
		if (s.mask)
			host.hart = s.mask - 1;
		vcpu_unblock(v);
		break;
	case PAUSE: /* as domain_pause_nosync() */
		__atomic_fetch_add(&v->pause_count, 1, __ATOMIC_SEQ_CST);
		vcpu_sleep_nosync(v);
		break;
	case UNPAUSE:
		vcpu_unpause(v);
		break;
	case PIN:
		vcpu_pin(v, s.mask);
		break;
	case HART: /* stays where it is needed */
		if (pool_of_hart(1) != NO_POOL)
			cpupool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, pool_of_hart(1), 1);
		if (s.mask != NO_POOL)
			cpupool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, s.mask, 1);
		break;
	case MOVE: /* not where no hart is */
		cpupool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, s.mask, v->domain->id);
		break;
	default:
		vcpu_prefer(v, s.mask);
		break;
	}
	timers();
}

/* ---- states ---- */

struct state {
	u32 parent;
	u8 depth, slices;
	struct step last;
};

/* What makes a state another one. Run times count as differences. */
struct key {
	u64 ahead[NR_V], yielded[NR_V], least[NR_V];
	u8 pool[NR_V], flags[NR_V], paused[NR_V], pinned[NR_V], preferred[NR_V], place[NR_V],
		hart[NR_V];
	u8 kicked, armed, slices, hart_1;
};

#define MAX_STATES 4000000
#define NR_SLOTS (1U << 23)

static struct state *states;
static struct key *keys;
static u32 *slots, nr_states;

static struct key key_now(u8 slices)
{
	u64 least = ~0ULL;
	struct key k;

	memset(&k, 0, sizeof(k));
	for (unsigned int i = 0; i < NR_V; i++)
		least = min(least, vcpus[i]->vruntime);
	for (unsigned int i = 0; i < NR_V; i++) {
		const struct vcpu *v = vcpus[i];

		k.ahead[i] =
			v->vruntime - least +
			(v->running && host.now > v->slice_start ? host.now - v->slice_start : 0);
		k.yielded[i] = v->yielded;
		k.flags[i] = v->pause_flags;
		k.paused[i] = v->pause_count;
		k.pinned[i] = v->pinned;
		k.preferred[i] = v->preferred;
		k.pool[i] = cpupool_of(v->domain);
		if (about == POOLS)
			k.least[i] = v->domain->pool->min_vruntime - least;
		k.place[i] = v->running ? 1 : v->on_queue ? 2 : 0;
		k.hart[i] = v->hart;
	}
	k.kicked = host.kicked & BOTH;
	for (unsigned int h = 0; h < NR_H; h++)
		k.armed |= (host.timer[h] != ~0ULL) << h;
	k.slices = slices;
	k.hart_1 = pool_of_hart(1);
	return k;
}

/* True: it is new, and noted. */
static bool note(const struct key *k, const struct state *s)
{
	const u8 *b = (const u8 *)k;
	u64 hash = 0xcbf29ce484222325;
	u32 slot;

	for (size_t i = 0; i < sizeof(*k); i++)
		hash = (hash ^ b[i]) * 0x100000001b3;
	for (slot = hash >> 20 & (NR_SLOTS - 1); slots[slot]; slot = (slot + 1) & (NR_SLOTS - 1)) {
		if (!memcmp(&keys[slots[slot] - 1], k, sizeof(*k)))
			return false;
	}
	assert_true(nr_states < MAX_STATES);
	keys[nr_states] = *k;
	states[nr_states] = *s;
	slots[slot] = ++nr_states;
	return true;
}

/* Pool 0 has hart 0, all domains, and hart 1; pool 1 nothing. */
static void pools_begin(void)
{
	for (unsigned int i = 0; i < NR_V; i++)
		cpupool(XEN_SYSCTL_CPUPOOL_OP_MOVEDOMAIN, 0, vcpus[i]->domain->id);
	cpupool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 1, 1);
	cpupool(XEN_SYSCTL_CPUPOOL_OP_DESTROY, 1, 0);
	assert_int_equal(cpupool(XEN_SYSCTL_CPUPOOL_OP_CREATE, 1, 0), 1);
	cpupool(XEN_SYSCTL_CPUPOOL_OP_ADDCPU, 0, 1);
	assert_int_equal(cpupool_harts(dom0), BOTH);
	dom0->pool->min_vruntime = 0;
	for (unsigned int i = 0; i < NR_V; i++)
		vcpus[i]->vruntime = 0;
	host.kicked = 0;
}

/* All of it as it was at first: nobody on a hart, and nobody has had more than another. */
static void begin(void)
{
	for (unsigned int i = 0; i < NR_V; i++) {
		struct vcpu *v = vcpus[i];

		v->pause_count = 0;
		v->pause_flags = BIT(VPF_BLOCKED);
		elsewhere();
		vcpu_sleep_nosync(v);
	}
	for (unsigned int h = 0; h < NR_H; h++)
		run_hart(h);
	timers();
	host.kicked = 0;
	for (unsigned int i = 0; i < NR_V; i++) {
		struct vcpu *v = vcpus[i];

		assert_false(v->running || v->on_queue);
		v->vruntime = v->yielded = v->preferred = 0;
		v->pinned = BOTH;
		v->hart = 0;
	}
	if (about == POOLS)
		pools_begin();
}

static unsigned int way_to(u32 n, struct step way[])
{
	unsigned int depth = states[n].depth;

	for (unsigned int i = depth; i--; n = states[n].parent)
		way[i] = states[n].last;
	return depth;
}

/* ---- what must hold ---- */

static const struct step *way_now;
static unsigned int way_len;

static void tell(const char *what)
{
	print_error("%s, after:\n", what);
	for (unsigned int i = 0; i < way_len; i++) {
		const struct step *w = &way_now[i];
		bool hart = w->kind == RUN || w->kind == SLICE;

		print_error("  %s %u %s", hart ? "hart" : "vCPU", w->who, kind_name[w->kind]);
		if (w->kind == WAKE && w->mask)
			print_error(", by hart %u", w->mask - 1);
		else if (w->mask)
			print_error(" %x", w->mask);
		print_error("\n");
	}
	fail();
}

#define MUST(cond) \
	do { \
		if (!(cond)) \
			tell(#cond); \
	} while (0)

static bool may_run(const struct vcpu *v)
{
	return !v->pause_flags && !v->pause_count;
}

/* Always. */
static void nobody_is_lost(void)
{
	u64 taken = 0;

	for (unsigned int i = 0; i < NR_V; i++) {
		const struct vcpu *v = vcpus[i];
		bool may = may_run(v), leaves = v->running && host.kicked & BIT(v->hart);

		MUST(!(v->running && v->on_queue));
		MUST(!may || v->running || v->on_queue); /* no wake is lost */
		MUST(may || !v->on_queue);
		MUST(may || !v->running || leaves); /* nor a block, nor a pause */
		if (!v->running)
			continue;
		MUST(!(taken & BIT(v->hart)));
		MUST(BOTH & BIT(v->hart));
		MUST(may_use(v) & BIT(v->hart) || leaves);
		taken |= BIT(v->hart);
	}
}

/* When all that were kicked have run. */
static void nobody_waits_in_vain(void)
{
	u64 idle = BOTH;

	for (unsigned int i = 0; i < NR_V; i++) {
		if (vcpus[i]->running)
			idle &= ~BIT(vcpus[i]->hart);
	}
	for (unsigned int i = 0; i < NR_V; i++) {
		const struct vcpu *v = vcpus[i];

		if (v->running) /* nor does one run where it would rather not be */
			MUST(!v->preferred || v->preferred & BIT(v->hart) ||
			     !(idle & v->preferred & may_use(v)));
		if (!v->on_queue)
			continue;
		MUST(!(may_use(v) & idle));
		for (unsigned int h = 0; h < NR_H; h++) /* its turn comes */
			MUST(!(may_use(v) & BIT(h)) || host.timer[h] != ~0ULL);
	}
	/* Nobody has a tick for nothing. */
	for (unsigned int h = 0; h < NR_H; h++)
		MUST(!(idle & BIT(h)) || host.timer[h] == ~0ULL);
}

/* Kicks come to an end, whatever state they begin in. */
static void it_comes_to_rest(void)
{
	for (unsigned int n = 0; host.kicked; n++) {
		MUST(n < 20);
		for (unsigned int h = 0; h < NR_HARTS; h++) {
			if (host.kicked & BIT(h))
				run_hart(h);
		}
		timers();
	}
	nobody_is_lost();
	nobody_waits_in_vain();
}

/* ---- all of them ---- */

static void again(const struct step way[], unsigned int n)
{
	begin();
	for (unsigned int i = 0; i < n; i++)
		act(way[i]);
}

static void try(u32 from, struct step way[], unsigned int depth, struct step s)
{
	struct state next = { .parent = from, .depth = depth + 1, .last = s };
	struct key k;

	again(way, depth);
	if (!can(s))
		return;
	next.slices = states[from].slices + (s.kind == SLICE);
	if (next.slices > MAX_SLICES)
		return;
	act(s);
	way[depth] = s;
	way_now = way;
	way_len = depth + 1;
	nobody_is_lost();
	if (!host.kicked)
		nobody_waits_in_vain();
	k = key_now(next.slices);
	if (!note(&k, &next))
		return;
	it_comes_to_rest();
}

static bool part_of_it(enum step_kind kind)
{
	switch (kind) {
	case YIELD:
		return about == PINS;
	case PAUSE:
	case UNPAUSE:
	case PIN:
		return about != POOLS;
	case PREFER:
		return about == PREFERENCES;
	case HART:
	case MOVE:
		return about == POOLS;
	default:
		return true;
	}
}

static void expand(u32 from, const u8 pins[], unsigned int nr_pins)
{
	struct step way[MAX_DEPTH + 1];
	unsigned int depth = way_to(from, way);

	assert_true(depth < MAX_DEPTH);
	for (u8 kind = RUN; kind < NR_KINDS; kind++) {
		static const u8 wakers[] = { 0, 1, 2 }, none[] = { 0 };
		bool of_hart = kind == RUN || kind == SLICE, mask = kind >= PIN;
		const u8 *masks = kind == WAKE ? wakers : mask ? pins : none;
		unsigned int n = kind == WAKE ? 3 : mask ? nr_pins : 1;

		if (!part_of_it(kind))
			continue;
		for (u8 who = 0; who < (kind == HART ? 1 : of_hart ? NR_H : NR_V); who++) {
			if (kind == MOVE && who == 1) /* of vCPU 0's domain */
				continue;
			for (unsigned int m = 0; m < n; m++)
				try(from, way, depth, (struct step){ kind, who, masks[m] });
		}
	}
}

static void check_all(const u8 pins[], unsigned int nr_pins)
{
	struct vcpu *v[] = { u1->vcpu[0], u1->vcpu[1], u2->vcpu[0] };
	const char *depth = getenv("DEPTH");
	/* Of pools less can be done at a time. */
	unsigned int most = depth ? atoi(depth) : about == POOLS ? 10 : 6;
	struct state first = { 0 };
	struct key k;

	only(3, v);
	for (unsigned int i = 0; i < NR_V; i++) {
		vcpus[i] = v[i];
		v[i]->pinned = BOTH;
	}
	for (unsigned int h = 0; h < NR_HARTS; h++)
		run_hart(h);
	states = calloc(MAX_STATES, sizeof(*states));
	keys = calloc(MAX_STATES, sizeof(*keys));
	slots = calloc(NR_SLOTS, sizeof(*slots));
	assert_true(states && keys && slots);
	nr_states = 0;
	begin();
	k = key_now(0);
	note(&k, &first);
	for (u32 n = 0; n < nr_states && states[n].depth < most; n++)
		expand(n, pins, nr_pins);
	print_message("%u states, the last one %u steps away\n", nr_states,
		      states[nr_states - 1].depth);
	/* It has met what it is about: all three wait or run, and a hart that is kicked while another thing happens. */
	assert_true(nr_states > 1000);
	free(states);
	free(keys);
	free(slots);
	begin();
}

static void pins(void **state)
{
	about = PINS;
	check_all((const u8[]){ 1, 2, 3 }, 3);
}

static void preferences(void **state)
{
	about = PREFERENCES;
	check_all((const u8[]){ 1, 3 }, 2);
}

static void pools(void **state)
{
	about = POOLS;
	for (unsigned int h = NR_H; h < NR_HARTS; h++)
		assert_int_equal(cpupool(XEN_SYSCTL_CPUPOOL_OP_RMCPU, 0, h), 0);
	check_all((const u8[]){ 0, 1, NO_POOL }, 3);
	about = PINS;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pins),
		TEST(preferences),
		TEST(pools),
	};

	return RUN(tests);
}
