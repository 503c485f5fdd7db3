// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole states of guests with FIFO event channels. Queues are half in a guest's memory and half the hypervisor's: a guest that is
 * taken elsewhere half way through one goes on there, whatever is sent to it on the way, and in whichever order its memory and
 * its records are copied.
 */
#include <event_fifo.h>

#define STATE_MAX (512 * 1024)
#include "saved.h"

#define CONTROL_GFN (RAM_GFN + 1)
#define ARRAY_GFN (RAM_GFN + 8)
#define BLOCK_SIZE 128 /* one control block of each vCPU in CONTROL_GFN */
#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define MASKED (1U << EVTCHN_FIFO_MASKED)
#define LINKED (1U << EVTCHN_FIFO_LINKED)
#define PORTS 8192 /* 8 pages of words */
#define MANY 6000

static u8 stream[STATE_MAX];

static bool has_changed(struct domain *d)
{
	for (unsigned int i = 0; i < U_PAGES; i++) {
		if (memcmp(guest_page(d, RAM_GFN + i), memory + i * PAGE_SIZE, PAGE_SIZE))
			return true;
	}
	return false;
}

/* ---- a guest: what it has in memory of its own, wherever it is, and dom0's ends ---- */

static struct domain *guest;
static u32 head[2][EVTCHN_FIFO_MAX_QUEUES], ready[2];
static bool in_handler[2], expected[PORTS];
static evtchn_port_t peer[PORTS]; /* 0: not dom0's */

static event_word_t *word(evtchn_port_t port)
{
	return (event_word_t *)guest_page(guest, ARRAY_GFN + port / 1024) + port % 1024;
}

static struct evtchn_fifo_control_block *block(unsigned int vcpu)
{
	return (void *)((char *)guest_page(guest, CONTROL_GFN) + vcpu * BLOCK_SIZE);
}

static long expand(gfn_t gfn)
{
	struct evtchn_expand_array a = { gfn };

	return EVTCHN(EVTCHNOP_expand_array, &a);
}

static void init_control(unsigned int vcpu)
{
	struct evtchn_init_control a = { .control_gfn = CONTROL_GFN,
					 .offset = vcpu * BLOCK_SIZE,
					 .vcpu = vcpu };

	assert_int_equal(EVTCHN(EVTCHNOP_init_control, &a), 0);
}

static void begin(unsigned int pages)
{
	struct vcpu_register_vcpu_info reg = { .mfn = RAM_GFN, .offset = 64 };

	guest = u1;
	memset(head, 0, sizeof(head));
	memset(ready, 0, sizeof(ready));
	memset(in_handler, 0, sizeof(in_handler));
	memset(expected, 0, sizeof(expected));
	memset(peer, 0, sizeof(peer));
	AS(u1);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &reg), 0);
	init_control(0);
	init_control(1);
	for (unsigned int i = 0; i < pages; i++)
		assert_int_equal(expand(ARRAY_GFN + i), 0);
	u1->vcpu[0]->info->evtchn_upcall_pending = u1->vcpu[1]->info->evtchn_upcall_pending = 0;
}

static evtchn_port_t ipi(u32 vcpu)
{
	struct evtchn_bind_ipi a = { .vcpu = vcpu };

	AS(guest);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &a), 0);
	return a.port;
}

static void connect(evtchn_port_t port)
{
	struct evtchn_bind_interdomain a = { .remote_dom = guest->id, .remote_port = port };

	AS(dom0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_interdomain, &a), 0);
	peer[port] = a.local_port;
}

static evtchn_port_t connected(u32 vcpu)
{
	struct evtchn_bind_vcpu a = { unbound(guest, 0), vcpu };

	assert_int_equal(EVTCHN(EVTCHNOP_bind_vcpu, &a), 0);
	connect(a.port);
	return a.port;
}

/* By dom0 where the port is connected, else by the guest itself. */
static void send(evtchn_port_t port)
{
	struct evtchn_send a = { peer[port] ? peer[port] : port };

	AS(peer[port] ? dom0 : guest);
	assert_int_equal(EVTCHN(EVTCHNOP_send, &a), 0);
	expected[port] = true;
}

static long close(evtchn_port_t port)
{
	struct evtchn_close a = { port };

	return EVTCHN(EVTCHNOP_close, &a);
}

static void unmask(evtchn_port_t port)
{
	struct evtchn_unmask a = { port };

	AS(guest);
	assert_int_equal(EVTCHN(EVTCHNOP_unmask, &a), 0);
}

/* Its upcall handler, which it leaves at 0 only: the next event of the most urgent queue. Without an upcall it does not look. */
static evtchn_port_t take(unsigned int vcpu)
{
	struct vcpu_info *info = guest->vcpu[vcpu]->info;

	if (!in_handler[vcpu] && !info->evtchn_upcall_pending)
		return 0;
	if (!in_handler[vcpu])
		info->evtchn_upcall_pending = 0;
	in_handler[vcpu] = true;
	ready[vcpu] |= __atomic_exchange_n(&block(vcpu)->ready, 0, __ATOMIC_SEQ_CST);
	while (ready[vcpu]) {
		unsigned int q = __builtin_ctz(ready[vcpu]);
		u32 *h = &head[vcpu][q];
		evtchn_port_t port = *h ? *h : block(vcpu)->head[q];
		event_word_t old = *word(port);

		*word(port) &= ~(LINKED | EVTCHN_FIFO_LINK_MASK);
		*h = old & EVTCHN_FIFO_LINK_MASK;
		if (!*h)
			ready[vcpu] &= ~BIT(q);
		if (!(old & PENDING) || old & MASKED)
			continue;
		*word(port) &= ~PENDING;
		if (!expected[port])
			fail_msg("port %u has an event that nobody sent", port);
		expected[port] = false;
		return port;
	}
	in_handler[vcpu] = false;
	return 0;
}

static unsigned int take_all(void)
{
	unsigned int n = 0;

	for (unsigned int v = 0; v < 2; v++) {
		/* An upcall may come while it is in the handler. */
		while (in_handler[v] || guest->vcpu[v]->info->evtchn_upcall_pending)
			n += !!take(v);
	}
	return n;
}

static void nothing_is_left(void)
{
	for (evtchn_port_t port = 1; port < PORTS; port++) {
		if (expected[port])
			fail_msg("the event of port %u is lost: word %x", port, *word(port));
	}
}

#define MEMORY_FIRST 1 /* it is copied before the records, not after them */
#define MEMORY_THERE 2 /* and is in its place before the set, not after it */

static unsigned int unpause_restarts;

/* The guest goes to another domain; before and after: what others do meanwhile. */
static void move(unsigned int how, void (*before)(void), void (*after)(void))
{
	domid_t from = guest->id, to = from == NEW ? NEW + 1 : NEW;
	u32 size;

	op(from, XEN_DOMCTL_pausedomain);
	if (how & MEMORY_FIRST)
		copy_out(guest);
	if (before)
		before();
	size = get(from, first);
	if (how & MEMORY_FIRST)
		assert_false(has_changed(guest));
	else
		copy_out(guest);
	/* It is too late for these: whoever sends again has to be connected again. */
	for (evtchn_port_t port = 1; port < PORTS; port++) {
		struct evtchn_send a = { peer[port] };

		if (!peer[port])
			continue;
		AS(dom0);
		assert_int_equal(EVTCHN(EVTCHNOP_send, &a), 0);
		assert_int_equal(close(peer[port]), 0);
	}
	assert_false(has_changed(guest));
	guest = make_paused_domain(to, 2, U_PAGES);
	if (how & MEMORY_THERE)
		copy_in(guest);
	assert_int_equal(set(to, first, size), 0);
	for (evtchn_port_t port = 1; port < PORTS; port++) {
		if (peer[port])
			connect(port);
	}
	if (after)
		after();
	if (!(how & MEMORY_THERE))
		copy_in(guest);
	assert_false(has_changed(guest));
	host.restarts = 0;
	op(to, XEN_DOMCTL_unpausedomain);
	unpause_restarts = host.restarts;
	if (from != 1)
		op(from, XEN_DOMCTL_destroydomain);
}

static void end(void)
{
	run_kicked();
	if (guest != u1)
		op(guest->id, XEN_DOMCTL_destroydomain);
}

/* ---- as it should be ---- */

/* Thousands of ports on both vCPUs and some priorities: pending, masked, in queues that were begun, closed. */
static void furnish(void)
{
	begin(MANY / 1024 + 1);
	for (unsigned int i = 0; i < MANY; i++) {
		evtchn_port_t port = i % 300 == 7 ? connected(i & 1) : ipi(i & 1);
		struct evtchn_set_priority p = { port, i % 5 };

		AS(guest);
		assert_int_equal(EVTCHN(EVTCHNOP_set_priority, &p), 0);
		if (i % 11 == 3)
			*word(port) = MASKED;
		if (i % 3)
			send(port);
	}
	for (unsigned int i = 0; i < 700; i++)
		assert_int_not_equal(take(i & 1), 0);
	AS(guest);
	for (evtchn_port_t port = MANY - 1; port > MANY - 10; port -= 2)
		assert_int_equal(close(port), 0);
}

/* What a set makes of it: the control domain's ends are open again. */
static void open_ends(u8 *s)
{
	for (struct hvm_save_descriptor *d = (void *)s; d->typecode;
	     d = (void *)((u8 *)(d + 1) + d->length)) {
		struct hvm_riscv_port *p = (void *)(d + 1);

		for (u32 i = 0; d->typecode == HVM_SAVE_PORTS && i < d->length / sizeof(*p); i++) {
			if (p[i].state == EVTCHNSTAT_interdomain) {
				p[i].state = EVTCHNSTAT_unbound;
				p[i].remote_port = 0;
			}
		}
	}
}

static void what_is_set_is_got(void **state)
{
	struct hvm_riscv_fifo_vcpu *v;
	struct hvm_riscv_port *port;
	struct domain *d;
	u32 size;

	furnish();
	op(1, XEN_DOMCTL_pausedomain);
	size = get(1, first);
	copy_out(u1);
	for (host.preempt_every = 0; host.preempt_every < 2; host.preempt_every++) {
		host.restarts = 0;
		assert_int_equal(get(1, second), size);
		assert_memory_equal(first, second, size);
		d = make_paused_domain(NEW, 2, U_PAGES);
		copy_in(d);
		assert_int_equal(set(NEW, first, size), 0);
		assert_true(!host.preempt_every || host.restarts > 100);
		assert_int_equal(get(NEW, second), size);
		memcpy(stream, first, size);
		open_ends(stream);
		assert_memory_equal(stream, second, size);
		op(NEW, XEN_DOMCTL_destroydomain);
	}
	host.preempt_every = 0;
	/* Each is there, and says what it should. */
	assert_int_equal(((struct hvm_riscv_domain *)body(first, HVM_SAVE_DOMAIN, 0))->flags,
			 HVM_DOMAIN_FIFO);
	assert_int_equal(HEAD(first, HVM_SAVE_FIFO_WORDS, 0)->length, 8 + 8 * (MANY / 1024 + 1));
	assert_int_equal(((struct hvm_riscv_fifo_words *)body(first, HVM_SAVE_FIFO_WORDS, 0))->left,
			 0);
	v = body(first, HVM_SAVE_FIFO_VCPU, 1);
	assert_int_equal(v->gfn, CONTROL_GFN);
	assert_int_equal(v->offset, BLOCK_SIZE);
	for (unsigned int q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++)
		assert_true(q < 5 ? v->tail[q] : !v->tail[q]);
	port = body(first, HVM_SAVE_PORTS, MANY / HVM_PORTS_MAX);
	for (u32 i = 0; i < HEAD(first, HVM_SAVE_PORTS, MANY / HVM_PORTS_MAX)->length / 16; i++)
		assert_int_equal(port[i].flags,
				 *word(port[i].port) & PENDING ? HVM_PORT_PENDING : 0);
}

static evtchn_port_t p[40];

static void send_to_each(void)
{
	for (unsigned int i = 20; i < 40; i++)
		send(p[i]);
}

static void send_to_last(void)
{
	send(p[39]);
	send(p[20]);
}

/* It has taken three of ten, and the rest come in their order; then what came meanwhile, and what comes later. */
static void half_way(unsigned int how)
{
	begin(1);
	for (unsigned int i = 0; i < 40; i++)
		p[i] = i < 20 ? ipi(0) : connected(i & 1);
	for (unsigned int i = 0; i < 10; i++)
		send(p[i]);
	send(p[20]); /* linked already when it is sent to again, behind the others */
	send(p[21]); /* a queue of its own, which is taken off whole */
	assert_int_equal(take(1), p[21]);
	*word(p[22]) = MASKED;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(take(0), p[i]);
	move(how, send_to_each, send_to_last);
	for (unsigned int i = 3; i < 10; i++)
		assert_int_equal(take(0), p[i]);
	assert_int_equal(take(0), p[20]);
	assert_int_equal(take_all(), 18);
	assert_true(expected[p[22]]);
	assert_int_equal(*word(p[22]), MASKED | PENDING);
	*word(p[22]) &= ~MASKED;
	unmask(p[22]);
	assert_int_equal(take_all(), 1);
	nothing_is_left();
	for (unsigned int n = 0; n < 3; n++) {
		for (unsigned int i = 0; i < 40; i++)
			send(p[i]);
		assert_int_equal(take_all(), 40);
	}
	nothing_is_left();
	end();
}

static void half_way_memory_last(void **state)
{
	half_way(0);
}

static void half_way_memory_first(void **state)
{
	half_way(MEMORY_FIRST);
}

static void half_way_memory_last_and_there(void **state)
{
	half_way(MEMORY_THERE);
}

static void half_way_memory_first_and_there(void **state)
{
	half_way(MEMORY_FIRST | MEMORY_THERE);
}

static u64 seed;

static unsigned int any(unsigned int n)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (seed >> 20) % n;
}

static void some_sends(void)
{
	/* A guest that stands still sends nothing itself. */
	for (unsigned int n = any(20); n; n--)
		send(p[20 + any(20)]);
}

static void some_step(void)
{
	unsigned int i = any(40);
	struct evtchn_bind_vcpu v = { p[i], any(2) };
	struct evtchn_set_priority pr = { p[i], any(16) };

	switch (any(8)) {
	case 0:
		AS(guest);
		EVTCHN(EVTCHNOP_bind_vcpu, &v);
		break;
	case 1:
		AS(guest);
		assert_int_equal(EVTCHN(EVTCHNOP_set_priority, &pr), 0);
		break;
	case 2: /* closed, wherever it is, and perhaps bound anew elsewhere */
		AS(guest);
		assert_int_equal(close(p[i]), 0);
		if (peer[p[i]]) {
			AS(dom0);
			assert_int_equal(close(peer[p[i]]), 0);
		}
		peer[p[i]] = 0;
		expected[p[i]] = false;
		p[i] = i < 20 ? ipi(any(2)) : connected(any(2));
		break;
	case 3:
		*word(p[i]) |= MASKED;
		break;
	case 4:
		*word(p[i]) &= ~MASKED;
		unmask(p[i]);
		break;
	case 5:
		send(p[i]);
		break;
	default:
		take(any(2));
	}
}

/* It is moved again and again, whatever it is about: each event comes, and no queue is stuck. */
static void random_walk(void **state)
{
	seed = 88172645463325252ULL;
	begin(1);
	for (unsigned int i = 0; i < 40; i++)
		p[i] = i < 20 ? ipi(i & 1) : connected(i & 1);
	for (unsigned int n = 0; n < 60; n++) {
		for (unsigned int i = any(200); i; i--)
			some_step();
		host.preempt_every = any(3);
		move(any(4), some_sends, some_sends);
		host.preempt_every = 0;
		if (any(3))
			continue;
		for (unsigned int i = 0; i < 40; i++) {
			*word(p[i]) &= ~MASKED;
			unmask(p[i]);
		}
		take_all();
		nothing_is_left();
		run_kicked();
	}
	end();
}

static void send_to_thousands(void)
{
	for (evtchn_port_t port = 1; port < PORTS; port++) {
		if (peer[port])
			send(port);
	}
}

static void thousands_on_the_way(void **state)
{
	begin(MANY / 1024 + 1);
	for (unsigned int i = 0; i < MANY; i++) {
		if (i & 1) {
			connected(i >> 1 & 1);
		} else {
			evtchn_port_t port = ipi(i >> 1 & 1);

			send(port);
		}
	}
	for (unsigned int i = 0; i < 500; i++)
		assert_int_not_equal(take(i & 1), 0);
	host.preempt_every = 1;
	move(0, send_to_thousands, NULL);
	assert_true(unpause_restarts >= MANY / 64);
	host.preempt_every = 0;
	assert_int_equal(take_all(), MANY - 500);
	nothing_is_left();
	end();
}

/* ---- pauses without a move ---- */

static void nothing_moves_in_a_pause(void **state)
{
	evtchn_port_t a, b, c;

	begin(1);
	a = connected(0);
	b = connected(1);
	c = ipi(0);
	*word(c) = MASKED | PENDING;
	op(1, XEN_DOMCTL_pausedomain);
	op(1, XEN_DOMCTL_pausedomain);
	copy_out(u1);
	send(a);
	send(b);
	send(a);
	assert_false(has_changed(u1));
	assert_true(evtchn_is_pending(u1, a));
	/* Whoever has the word already, as a sender might from before: it is not queued either. */
	*word(c) = PENDING;
	unmask(c);
	expected[c] = true;
	assert_int_equal(*word(c), PENDING);
	/* Of two pauses the first to end is not the end. */
	op(1, XEN_DOMCTL_unpausedomain);
	assert_int_equal(u1->vcpu[0]->info->evtchn_upcall_pending, 0);
	assert_int_equal(*word(a), 0);
	op(1, XEN_DOMCTL_unpausedomain);
	assert_int_equal(take_all(), 3);
	nothing_is_left();
	/* A port that is closed meanwhile takes its event along. */
	op(1, XEN_DOMCTL_pausedomain);
	send(a);
	expected[a] = false;
	AS(u1);
	assert_int_equal(close(a), 0);
	op(1, XEN_DOMCTL_unpausedomain);
	assert_int_equal(*word(a), 0);
	assert_int_equal(take_all(), 0);
	/* Nor has one that gets its number meanwhile anything of it. */
	a = connected(0);
	op(1, XEN_DOMCTL_pausedomain);
	send(a);
	expected[a] = false;
	AS(u1);
	assert_int_equal(close(a), 0);
	assert_int_equal(ipi(0), a);
	op(1, XEN_DOMCTL_unpausedomain);
	assert_int_equal(*word(a), 0);
	assert_int_equal(take_all(), 0);
	run_kicked();
}

static unsigned int parts;

/* Between two parts of an unpause: another pause, and events. */
static void pause_again(void)
{
	void (*between)(void) = host.between;
	unsigned int nr = host.restart_nr;
	u64 saved[5];
	u32 size = STATE_MAX;

	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	if (!parts++) {
		/* The queues are on the move. */
		assert_int_equal(context(1, XEN_DOMCTL_gethvmcontext, first, &size), -EBUSY);
		op(1, XEN_DOMCTL_pausedomain);
		copy_out(u1);
		send(p[0]);
		send(p[39]);
		assert_false(has_changed(u1));
		get(1, first);
		AS(dom0);
	}
	host.between = between;
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
}

static void paused_again_meanwhile(void **state)
{
	begin(1);
	for (unsigned int i = 0; i < 300; i++)
		p[i % 40] = connected(0);
	op(1, XEN_DOMCTL_pausedomain);
	for (evtchn_port_t port = 1; port <= 300; port++)
		send(port);
	parts = 0;
	host.preempt_every = 1;
	host.between = pause_again;
	op(1, XEN_DOMCTL_unpausedomain);
	assert_int_equal(parts, 1);
	host.between = NULL;
	assert_int_equal(u1->controller_pauses, 1);
	op(1, XEN_DOMCTL_unpausedomain);
	host.preempt_every = 0;
	assert_int_equal(take_all(), 300);
	nothing_is_left();
	run_kicked();
}

/* ---- what is not in the queues ---- */

static u32 interrupted_size;

static void get_between(void)
{
	unsigned int nr = host.restart_nr;
	u64 saved[5];

	host.between = NULL;
	memcpy(saved, host.restart_args, sizeof(saved));
	op(1, XEN_DOMCTL_pausedomain);
	host.preempt_every = 0;
	interrupted_size = get(1, first);
	copy_out(u1);
	op(1, XEN_DOMCTL_unpausedomain);
	AS(u1);
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
}

/* A page of words was given and not all that waited for it delivered: the call goes on, and gives no second one. */
static void an_interrupted_expand_array(void **state)
{
	struct hvm_riscv_fifo_words *w;

	begin(0);
	for (unsigned int i = 0; i < 500; i++)
		send(ipi(0));
	AS(u1);
	host.preempt_every = 1;
	host.between = get_between;
	assert_int_equal(expand(ARRAY_GFN), 0);
	host.preempt_every = 0;
	w = body(first, HVM_SAVE_FIFO_WORDS, 0);
	assert_in_range(w->left, 1, 1023);
	assert_int_equal(take_all(), 500);
	guest = make_paused_domain(NEW, 2, U_PAGES);
	assert_int_equal(set(NEW, first, interrupted_size), 0);
	assert_int_equal(get(NEW, second), interrupted_size);
	assert_int_equal(
		((struct hvm_riscv_fifo_words *)body(second, HVM_SAVE_FIFO_WORDS, 0))->left,
		w->left);
	copy_in(guest);
	op(NEW, XEN_DOMCTL_unpausedomain);
	memset(head, 0, sizeof(head));
	memset(expected + 1, 1, 500);
	AS(guest);
	assert_int_equal(expand(ARRAY_GFN), 0);
	assert_int_equal(guest->evtchn->fifo->nr_pages, 1);
	assert_int_equal(take_all(), 500);
	nothing_is_left();
	end();
}

/* Events that came before there is a word arrive, and come with it. */
static void before_its_word(void **state)
{
	begin(0);
	p[0] = ipi(0);
	p[39] = p[20] = connected(1);
	send(p[0]);
	move(0, send_to_last, NULL);
	assert_int_equal(take_all(), 0);
	AS(guest);
	assert_int_equal(expand(ARRAY_GFN), 0);
	assert_int_equal(take_all(), 2);
	nothing_is_left();
	end();
}

/* A queue's tail is closed, and is bound anew to another vCPU where the guest has gone: its old queue has no part in it. */
static void a_tail_that_was_closed(void **state)
{
	evtchn_port_t tail, other;

	begin(1);
	other = ipi(1);
	tail = ipi(1);
	send(other);
	send(tail);
	AS(u1);
	assert_int_equal(close(tail), 0);
	expected[tail] = false;
	assert_int_equal(take_all(), 1);
	move(0, NULL, NULL);
	take_all();
	assert_int_equal(ipi(0), tail);
	send(tail);
	send(other);
	assert_int_equal(take(1), other);
	assert_int_equal(take(0), tail);
	nothing_is_left();
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_set_is_got),
		TEST(half_way_memory_last),
		TEST(half_way_memory_first),
		TEST(half_way_memory_last_and_there),
		TEST(half_way_memory_first_and_there),
		TEST(random_walk),
		TEST(thousands_on_the_way),
		TEST(nothing_moves_in_a_pause),
		TEST(paused_again_meanwhile),
		TEST(an_interrupted_expand_array),
		TEST(before_its_word),
		TEST(a_tail_that_was_closed),
	};

	return RUN(tests);
}
