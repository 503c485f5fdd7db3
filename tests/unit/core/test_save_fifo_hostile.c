// SPDX-License-Identifier: BSD-2-Clause
/*
 * Records of FIFO event channels that a stream made up: no page, tail, count or order of them does more than spoil the domain that
 * they are for (the world's end counts its pages), and one that is right leaves a guest's words as hostile as ever. And what may come
 * between while one is told.
 */
#include <event.h>

#define STATE_MAX (64 * 1024)
#include "saved.h"

#define CONTROL_GFN (RAM_GFN + 1)
#define ARRAY_GFN (RAM_GFN + 8)
#define BLOCK_SIZE 128 /* one control block of each vCPU in CONTROL_GFN */
#define LINKED (1U << EVTCHN_FIFO_LINKED)
#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define MASKED (1U << EVTCHN_FIFO_MASKED)

static u8 stream[STATE_MAX];

/* What another caller does between two parts of a hypercall, and then that goes on. */
struct part {
	unsigned int nr, every;
	u64 args[5];
};

static struct part between_begin(void)
{
	struct part p = { .nr = host.restart_nr, .every = host.preempt_every };

	memcpy(p.args, host.restart_args, sizeof(p.args));
	host.between = NULL;
	host.preempt_every = 0;
	return p;
}

static void between_end(struct domain *caller, const struct part *p)
{
	AS(caller);
	host.preempt_every = p->every;
	host.restart_nr = p->nr;
	memcpy(host.restart_args, p->args, sizeof(p->args));
}

/* Two vCPUs, two pages of words, an event on the first two ports, one in each vCPU's queue 7, and a third port. */
static u32 small_state(void)
{
	u32 size = STATE_MAX;

	AS(u1);
	for (unsigned int i = 0; i < 2; i++) {
		struct evtchn_init_control c = { .control_gfn = CONTROL_GFN,
						 .offset = i * BLOCK_SIZE,
						 .vcpu = i };
		struct evtchn_expand_array e = { ARRAY_GFN + i };

		assert_int_equal(EVTCHN(EVTCHNOP_init_control, &c), 0);
		assert_int_equal(EVTCHN(EVTCHNOP_expand_array, &e), 0);
	}
	for (unsigned int i = 0; i < 3; i++) {
		struct evtchn_bind_ipi b = { .vcpu = i & 1 };
		struct evtchn_send s;

		assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &b), 0);
		s.port = b.port;
		if (i < 2)
			assert_int_equal(EVTCHN(EVTCHNOP_send, &s), 0);
	}
	op(1, XEN_DOMCTL_pausedomain);
	copy_out(u1);
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, first, &size), 0);
	return size;
}

struct wrong {
	u32 code, offset, bytes;
	u64 value;
};

#define W(c, type, member, v) \
	{ \
		HVM_SAVE_##c, offsetof(struct hvm_riscv_##type, member), \
			sizeof(((struct hvm_riscv_##type *)0)->member), v \
	}

static const struct wrong wrongs[] = {
	W(FIFO_WORDS, fifo_words, left, 1025),
	W(FIFO_WORDS, fifo_words, left, ~0ULL),
	W(FIFO_WORDS, fifo_words, gfn[0], HOLE),
	W(FIFO_WORDS, fifo_words, gfn[1], HOLE),
	W(FIFO_WORDS, fifo_words, gfn[1], ~0ULL),
	W(FIFO_WORDS, fifo_words, gfn[1], 1ULL << 52),
	W(FIFO_VCPU, fifo_vcpu, gfn, HOLE),
	W(FIFO_VCPU, fifo_vcpu, gfn, ~0ULL),
	W(FIFO_VCPU, fifo_vcpu, offset, 4),
	W(FIFO_VCPU, fifo_vcpu, offset, PAGE_SIZE - 64),
	W(FIFO_VCPU, fifo_vcpu, offset, 0xfffffff8),
	W(FIFO_VCPU, fifo_vcpu, padding, 1),
	W(FIFO_VCPU, fifo_vcpu, tail[0], 2048), /* no page has its word */
	W(FIFO_VCPU, fifo_vcpu, tail[15], EVTCHN_FIFO_NR_CHANNELS),
	W(FIFO_VCPU, fifo_vcpu, tail[15], ~0U),
	W(FIFO_VCPU, fifo_vcpu, tail[3], 1), /* and so is queue 7's */
	W(PORTS, port, flags, 2),
	W(DOMAIN, domain, flags, HVM_DOMAIN_FIFO | HVM_DOMAIN_SUSPENDED),
	W(DOMAIN, domain, flags, 0),
};

static void hostile_values(void **state)
{
	u32 size = small_state();

	for (unsigned int i = 0; i < ARRAY_SIZE(wrongs); i++) {
		const struct wrong *w = &wrongs[i];

		memcpy(stream, first, size);
		memcpy((char *)body(stream, w->code, 0) + w->offset, &w->value, w->bytes);
		make_paused_domain(NEW, 2, U_PAGES);
		if (set(NEW, stream, size) != -EINVAL)
			fail_msg("type %u at %u: %lx", w->code, w->offset, w->value);
		op(NEW, XEN_DOMCTL_destroydomain);
	}
	/* A queue's tail on another vCPU, too */
	memcpy(stream, first, size);
	((struct hvm_riscv_fifo_vcpu *)body(stream, HVM_SAVE_FIFO_VCPU, 1))->tail[9] = 1;
	make_paused_domain(NEW, 2, U_PAGES);
	assert_int_equal(set(NEW, stream, size), -EINVAL);
	op(NEW, XEN_DOMCTL_destroydomain);
}

static u32 put(u32 at, u32 code, u32 instance, const void *r, u32 length)
{
	struct hvm_save_descriptor d = { code, instance, length };

	memcpy(stream + at, &d, sizeof(d));
	if (length)
		memcpy(stream + at + sizeof(d), r, length);
	return at + sizeof(d) + length;
}

/* Records of pages and queues that nothing else goes with: order, gaps, lengths. */
static void hostile_frames(void **state)
{
	static const struct {
		u32 instance, length, then, then_length;
		u64 left;
		bool good;
	} frames[] = {
		{ 0, 16, 0, 0, 0, true },    { 0, 136, 1, 16, 0, true },
		{ 0, 136, 7, 16, 0, false }, /* a gap */
		{ 0, 128, 1, 16, 0, false }, /* not full */
		{ 1, 16, 0, 0, 0, false },   { 0xffff, 16, 0, 0, 0, false },
		{ 0, 8, 0, 0, 0, false },    { 0, 0, 0, 0, 0, false },
		{ 0, 12, 0, 0, 0, false },   { 0, 144, 0, 0, 0, false },
		{ 0, 136, 1, 16, 1, false }, /* not looked at, before the last */
		{ 0, 16, 0, 0, 1024, true },
	};
	struct hvm_riscv_fifo_vcpu v = { .gfn = CONTROL_GFN, .tail = { 1023 } };
	struct hvm_riscv_fifo_words w[2] = { 0 };
	u32 size, start;

	small_state();

	for (u32 i = 0; i < HVM_FIFO_PAGES_MAX; i++)
		w[0].gfn[i] = ARRAY_GFN + i;
	memcpy(w[1].gfn, w[0].gfn, sizeof(w[0].gfn));
	start = (u8 *)HEAD(first, HVM_SAVE_FIFO_WORDS, 0) - first;
	for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++) {
		memcpy(stream, first, start);
		w[0].left = frames[i].left;
		size = put(start, HVM_SAVE_FIFO_WORDS, frames[i].instance, w, frames[i].length);
		if (frames[i].then)
			size = put(size, HVM_SAVE_FIFO_WORDS, frames[i].then, &w[1],
				   frames[i].then_length);
		/* A port that nobody has: it may have been closed. */
		size = put(size, HVM_SAVE_FIFO_VCPU, 1, &v, sizeof(v));
		size = put(size, 0, 0, NULL, 0);
		make_paused_domain(NEW, 2, U_PAGES);
		if (set(NEW, stream, size) != (frames[i].good ? 0 : -EINVAL))
			fail_msg("frame %u", i);
		op(NEW, XEN_DOMCTL_destroydomain);
	}
	/* More pages than there may be */
	w[0].left = 0;
	size = start;
	for (u32 i = 0; i < 9; i++)
		size = put(size, HVM_SAVE_FIFO_WORDS, i, w, i < 8 ? 136 : 16);
	size = put(size, 0, 0, NULL, 0);
	make_paused_domain(NEW, 2, U_PAGES);
	assert_int_equal(set(NEW, stream, size), -EINVAL);
	op(NEW, XEN_DOMCTL_destroydomain);
	/* Queues without words, of no vCPU, of other lengths */
	for (unsigned int i = 0; i < 4; i++) {
		v.tail[0] = i ? 0 : 1;
		size = put(start, HVM_SAVE_FIFO_VCPU, i == 1 ? 2 : 0, &v, i == 2 ? 72 : sizeof(v));
		size = put(size, 0, 0, NULL, 0);
		make_paused_domain(NEW, 2, U_PAGES);
		assert_int_equal(set(NEW, stream, size), i == 3 ? 0 : -EINVAL);
		op(NEW, XEN_DOMCTL_destroydomain);
	}
}

/* A guest's words after a set are as hostile as ever: the last port's, and links to everywhere. */
static void hostile_memory(void **state)
{
	u32 size = small_state();

	for (unsigned int i = 0; i < 3; i++) {
		struct domain *d = make_paused_domain(NEW, 2, U_PAGES);

		memset(memory + 8 * PAGE_SIZE, i == 2 ? 0xff : 0, 2 * PAGE_SIZE);
		if (i == 1) /* the tail that vCPU 0's next event goes behind */
			((u32 *)(memory + 8 * PAGE_SIZE))[1] = LINKED | EVTCHN_FIFO_LINK_MASK;
		memset(memory + PAGE_SIZE, i == 2 ? 0xff : 0, PAGE_SIZE);
		copy_in(d);
		assert_int_equal(set(NEW, first, size), 0);
		op(NEW, XEN_DOMCTL_unpausedomain);
		AS(d);
		for (evtchn_port_t port = 3; port; port--) {
			struct evtchn_send a = { port };

			assert_int_equal(EVTCHN(EVTCHNOP_send, &a), 0);
		}
		run_kicked();
		op(NEW, XEN_DOMCTL_destroydomain);
	}
}

static event_word_t *word(struct domain *d, evtchn_port_t port)
{
	return (event_word_t *)guest_page(d, ARRAY_GFN) + port;
}

/*
 * A sender had found the word of a port before the pause, and makes it pending between the copy of the records and that of memory:
 * where that arrives the guest is told, unless it has masked the port.
 */
static void a_sender_on_its_way(void **state)
{
	for (unsigned int masked = 0; masked < 2; masked++) {
		struct evtchn_reset reset = { .dom = 1 };
		struct evtchn_send two = { 2 };
		u32 size = small_state();
		struct domain *d = make_paused_domain(NEW, 2, U_PAGES);
		event_word_t late = PENDING | (masked ? MASKED : 0);

		*word(u1, 3) = late;
		copy_out(u1);
		copy_in(d);
		assert_int_equal(set(NEW, first, size), 0);
		assert_int_equal(*word(d, 3), late);
		op(NEW, XEN_DOMCTL_unpausedomain);
		assert_int_equal(*word(d, 3), masked ? late : late | LINKED);
		assert_int_equal(*word(d, 1), PENDING | LINKED | (masked ? 0 : 3));
		/* That look is the first unpause's alone: others deliver what waited. */
		op(NEW, XEN_DOMCTL_pausedomain);
		*word(d, 2) = 0;
		*word(d, 3) = PENDING;
		AS(d);
		assert_int_equal(EVTCHN(EVTCHNOP_send, &two), 0);
		op(NEW, XEN_DOMCTL_unpausedomain);
		assert_int_equal(*word(d, 2), PENDING | LINKED);
		assert_int_equal(*word(d, 3), PENDING);
		run_kicked();
		op(NEW, XEN_DOMCTL_destroydomain);
		AS(dom0);
		assert_int_equal(EVTCHN(EVTCHNOP_reset, &reset), 0);
		memset(guest_page(u1, ARRAY_GFN), 0, PAGE_SIZE);
		op(1, XEN_DOMCTL_unpausedomain);
	}
}

static void destroy_between(void)
{
	struct part p = between_begin();

	op(NEW, XEN_DOMCTL_destroydomain);
	between_end(dom0, &p);
}

/* So many new ports of vCPU 0, an event on each. As the current guest. */
static void send_ipis(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct evtchn_bind_ipi b = { 0 };
		struct evtchn_send s;

		assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &b), 0);
		s.port = b.port;
		assert_int_equal(EVTCHN(EVTCHNOP_send, &s), 0);
	}
}

/* While some of what waited is in the queues, and while nothing is yet. */
static void it_dies_before_it_moves(void **state)
{
	enum { N = 300 };
	u32 size;

	small_state();
	op(1, XEN_DOMCTL_unpausedomain);
	AS(u1);
	send_ipis(N);
	op(1, XEN_DOMCTL_pausedomain);
	copy_out(u1);
	size = STATE_MAX;
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, first, &size), 0);
	for (unsigned int i = 0; i < 2; i++) {
		struct domain *d = make_paused_domain(NEW, 2, U_PAGES);

		assert_int_equal(set(NEW, first, size), 0);
		copy_in(d);
		if (i) {
			op(NEW, XEN_DOMCTL_destroydomain);
			continue;
		}
		AS(dom0);
		host.preempt_every = 1;
		host.between = destroy_between;
		assert_int_equal(domctl(NEW, XEN_DOMCTL_unpausedomain, NULL), -ESRCH);
		assert_null(host.between);
		host.preempt_every = 0;
	}
}

static u32 size_between;

static void get_between(void)
{
	struct part p = between_begin();

	op(1, XEN_DOMCTL_pausedomain);
	size_between = STATE_MAX;
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, first, &size_between), 0);
	copy_out(u1);
	op(1, XEN_DOMCTL_unpausedomain);
	between_end(u1, &p);
}

/* Half of what was pending in 2-level has been gathered: the rest is in shared_info, here and where it goes on. */
static void in_the_change_to_fifo(void **state)
{
	enum { N = 300 };
	struct evtchn_init_control control = { .control_gfn = CONTROL_GFN };
	struct evtchn_expand_array array = { ARRAY_GFN };
	struct domain *d;

	AS(u1);
	send_ipis(N);
	host.preempt_every = 1;
	host.between = get_between;
	assert_int_equal(EVTCHN(EVTCHNOP_init_control, &control), 0);
	assert_null(host.between);
	host.preempt_every = 0;
	d = make_paused_domain(NEW, 2, U_PAGES);
	copy_in(d);
	assert_int_equal(set(NEW, first, size_between), 0);
	op(NEW, XEN_DOMCTL_unpausedomain);
	for (unsigned int i = 0; i < 2; i++) {
		struct domain *guest = i ? d : u1;

		AS(guest);
		assert_int_equal(EVTCHN(EVTCHNOP_init_control, &control), i ? 0 : -EINVAL);
		assert_int_equal(EVTCHN(EVTCHNOP_expand_array, &array), 0);
		for (evtchn_port_t port = 1; port <= N; port++)
			assert_int_equal(*word(guest, port),
					 PENDING | LINKED | (port < N ? port + 1 : 0));
	}
	run_kicked();
	op(NEW, XEN_DOMCTL_destroydomain);
}

/*
 * A pause that was ended and begun again by others, before its caller came to hold the queues: they stand still, and the guest runs
 * until the other pause has stopped it. Words that come then, and ports that move, lose nothing.
 */
static void it_runs_and_they_stand_still(void **state)
{
	enum { N = 200 };
	struct evtchn_init_control control = { .control_gfn = CONTROL_GFN };
	struct evtchn_expand_array array = { ARRAY_GFN };

	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_init_control, &control), 0);
	for (unsigned int i = 0; i < N; i++) {
		struct evtchn_bind_ipi b = { 0 };
		struct evtchn_send s;

		assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &b), 0);
		s.port = b.port;
		if (i == N / 2)
			fifo_stand_still(u1);
		assert_int_equal(EVTCHN(EVTCHNOP_send, &s), 0);
	}
	host.preempt_every = 1;
	assert_int_equal(EVTCHN(EVTCHNOP_expand_array, &array), 0);
	host.preempt_every = 0;
	for (evtchn_port_t port = 1; port <= N; port++) {
		struct evtchn_unmask u = { port };

		assert_int_equal(EVTCHN(EVTCHNOP_unmask, &u), 0);
		assert_int_equal(*word(u1, port), 0);
	}
	while (fifo_move_again(u1))
		;
	for (evtchn_port_t port = 1; port <= N; port++)
		assert_int_equal(*word(u1, port), PENDING | LINKED | (port < N ? port + 1 : 0));
	array.array_gfn++;
	assert_int_equal(EVTCHN(EVTCHNOP_expand_array, &array), 0);
	assert_int_equal(EVTCHN(EVTCHNOP_expand_array, &array), 0);
	run_kicked();
}

/* A domain that may not have so many ports; and one that has given a page up is not told. */
static void not_to_be_had(gfn_t gone)
{
	struct xen_domctl_createdomain config = default_config(2);
	u32 size = small_state(), room = STATE_MAX;
	struct domain *d;

	config.max_evtchn_port = 1;
	assert_int_equal(domain_create(NEW, &config, &d), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(vcpu_create(d, i), 0);
	assert_int_equal(set(NEW, first, size), -EINVAL);
	op(NEW, XEN_DOMCTL_destroydomain);
	assert_int_equal(decrease(1, gone, 0), 1);
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, second, &room), -ENXIO);
}

static void a_page_of_words_is_gone(void **state)
{
	not_to_be_had(ARRAY_GFN + 1);
}

static void a_control_block_is_gone(void **state)
{
	not_to_be_had(CONTROL_GFN);
}

/* Something else is there by now. */
static void another_page_is_there(void **state)
{
	static const gfn_t gfns[] = { ARRAY_GFN, ARRAY_GFN + 1, CONTROL_GFN };

	small_state();
	for (unsigned int i = 0; i < ARRAY_SIZE(gfns); i++) {
		struct evtchn_reset reset = { .dom = 1 };
		u32 room = STATE_MAX;

		assert_int_equal(decrease(1, gfns[i], 0), 1);
		assert_int_equal(populate(1, gfns[i], 0), 1);
		assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, second, &room), -ENXIO);
		AS(dom0);
		assert_int_equal(EVTCHN(EVTCHNOP_reset, &reset), 0);
		op(1, XEN_DOMCTL_unpausedomain);
		small_state();
	}
}

static unsigned int steps;

/* Before the n-th step of a get the domain, which is shut down, is let go on. */
static void end_of_the_pause(void)
{
	struct part p;

	if (--steps)
		return;
	p = between_begin();
	memcpy(stream, second, STATE_MAX);
	op(1, XEN_DOMCTL_unpausedomain);
	between_end(dom0, &p);
}

/* Whichever record comes next, it is not told any more: events come into the queues now. */
static void the_pause_ends_half_way(void **state)
{
	struct sched_shutdown end = { .reason = SHUTDOWN_crash };
	unsigned int n, told;
	u32 room, queues;

	small_state();
	queues = (u8 *)HEAD(first, HVM_SAVE_FIFO_WORDS, 0) - first;
	AS(u1);
	assert_int_equal(SCHED(SCHEDOP_shutdown, &end), 0);
	host.preempt_every = 1;
	host.restarts = 0;
	room = STATE_MAX;
	assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, second, &room), 0);
	for (n = 1, told = host.restarts; n <= told; n++) {
		steps = n;
		host.between = end_of_the_pause;
		memset(second, 0, STATE_MAX);
		room = STATE_MAX;
		if (context(1, XEN_DOMCTL_gethvmcontext, second, &room) != -EBUSY && n < told)
			fail_msg("step %u of %u", n, told);
		assert_memory_equal(second + queues, stream + queues,
				    n < told ? STATE_MAX - queues : 0);
		op(1, XEN_DOMCTL_pausedomain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hostile_values),	       TEST(hostile_frames),
		TEST(hostile_memory),	       TEST(a_page_of_words_is_gone),
		TEST(a_control_block_is_gone), TEST(another_page_is_there),
		TEST(a_sender_on_its_way),     TEST(it_dies_before_it_moves),
		TEST(in_the_change_to_fifo),   TEST(it_runs_and_they_stand_still),
		TEST(the_pause_ends_half_way),
	};

	return RUN(tests);
}
