// SPDX-License-Identifier: BSD-2-Clause
/*
 * FIFO event channels: what a guest does with them (its consuming side is written here from the specification), the change
 * from 2-level and back, and guests that write nonsense into control blocks and event words.
 */
#include "host.h"

#define CONTROL_GFN (RAM_GFN + 1)
#define ARRAY_GFN (RAM_GFN + 8)
#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define MASKED (1U << EVTCHN_FIFO_MASKED)
#define LINKED (1U << EVTCHN_FIFO_LINKED)
#define BUSY (1U << EVTCHN_FIFO_BUSY)
#define BLOCK_SIZE 128 /* one control block of each vCPU in CONTROL_GFN */

/* ---- the guest's side ---- */

static struct evtchn_fifo_control_block *block(struct domain *d, unsigned int vcpu)
{
	return (void *)((char *)guest_page(d, CONTROL_GFN) + vcpu * BLOCK_SIZE);
}

static event_word_t *word(struct domain *d, evtchn_port_t port)
{
	return (event_word_t *)guest_page(d, ARRAY_GFN + port / 1024) + port % 1024;
}

static long init_control(u32 vcpu, gfn_t gfn, u32 offset)
{
	struct evtchn_init_control a = { .control_gfn = gfn, .offset = offset, .vcpu = vcpu };
	long rc = EVTCHN(EVTCHNOP_init_control, &a);

	if (!rc)
		assert_int_equal(a.link_bits, EVTCHN_FIFO_LINK_BITS);
	return rc;
}

static long expand(gfn_t gfn)
{
	struct evtchn_expand_array a = { gfn };

	return EVTCHN(EVTCHNOP_expand_array, &a);
}

static long set_priority(evtchn_port_t port, u32 priority)
{
	struct evtchn_set_priority a = { port, priority };

	return EVTCHN(EVTCHNOP_set_priority, &a);
}

/* Both vCPUs' blocks and one page of words, none masked. */
static void use_fifo(struct domain *d)
{
	struct vcpu_register_vcpu_info reg = { .mfn = RAM_GFN, .offset = 64 };

	AS(d);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &reg), 0);
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
	assert_int_equal(init_control(1, CONTROL_GFN, BLOCK_SIZE), 0);
	assert_int_equal(expand(ARRAY_GFN), 0);
	d->vcpu[0]->info->evtchn_upcall_pending = d->vcpu[1]->info->evtchn_upcall_pending = 0;
	d->vcpu[0]->arch->upcalls = d->vcpu[1]->arch->upcalls = 0;
}

/* The guest's upcall handler: takes the next event of the most urgent queue; 0: none. */
static evtchn_port_t take(struct domain *d, unsigned int vcpu)
{
	static u32 head[4][2][EVTCHN_FIFO_MAX_QUEUES], ready[4][2];
	struct evtchn_fifo_control_block *b = block(d, vcpu);
	u32 *r = &ready[d->id][vcpu];

	d->vcpu[vcpu]->info->evtchn_upcall_pending = 0;
	*r |= __atomic_exchange_n(&b->ready, 0, __ATOMIC_SEQ_CST);
	while (*r) {
		unsigned int q = __builtin_ctz(*r);
		u32 *h = &head[d->id][vcpu][q];
		evtchn_port_t port = *h ? *h : __atomic_load_n(&b->head[q], __ATOMIC_SEQ_CST);
		event_word_t old;

		old = __atomic_fetch_and(word(d, port), ~(LINKED | EVTCHN_FIFO_LINK_MASK),
					 __ATOMIC_SEQ_CST);
		*h = old & EVTCHN_FIFO_LINK_MASK;
		if (!*h)
			*r &= ~BIT(q);
		if (!(old & PENDING) || old & MASKED)
			continue;
		__atomic_fetch_and(word(d, port), ~PENDING, __ATOMIC_SEQ_CST);
		return port;
	}
	return 0;
}

static evtchn_port_t ipi(u32 vcpu)
{
	struct evtchn_bind_ipi a = { .vcpu = vcpu };

	assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &a), 0);
	return a.port;
}

static long send(evtchn_port_t port)
{
	struct evtchn_send a = { port };

	return EVTCHN(EVTCHNOP_send, &a);
}

static long close(evtchn_port_t port)
{
	struct evtchn_close a = { port };

	return EVTCHN(EVTCHNOP_close, &a);
}

static long unmask(evtchn_port_t port)
{
	struct evtchn_unmask a = { port };

	return EVTCHN(EVTCHNOP_unmask, &a);
}

static long bind_vcpu(evtchn_port_t port, u32 vcpu)
{
	struct evtchn_bind_vcpu a = { port, vcpu };

	return EVTCHN(EVTCHNOP_bind_vcpu, &a);
}

static long reset(domid_t dom)
{
	struct evtchn_reset a = { dom };

	return EVTCHN(EVTCHNOP_reset, &a);
}

/* ---- as it should be ---- */

static void events_come_in_order(void **state)
{
	evtchn_port_t p[5];

	use_fifo(u1);
	for (unsigned int i = 0; i < 5; i++)
		p[i] = ipi(0);
	assert_int_equal(take(u1, 0), 0);
	for (unsigned int i = 5; i--;)
		assert_int_equal(send(p[i]), 0);
	assert_int_equal(u1->vcpu[0]->arch->upcalls,
			 1); /* the queue was not empty after the first */
	assert_int_equal(send(p[2]), 0); /* pending and linked already */
	for (unsigned int i = 5; i--;)
		assert_int_equal(take(u1, 0), p[i]);
	assert_int_equal(take(u1, 0), 0);
	/* The tail that was consumed is sent again, and again. */
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(send(p[0]), 0);
		assert_int_equal(take(u1, 0), p[0]);
		assert_int_equal(take(u1, 0), 0);
	}
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 4);
}

static void priorities(void **state)
{
	evtchn_port_t low, high, usual;

	use_fifo(u1);
	low = ipi(0);
	high = ipi(0);
	usual = ipi(0);
	assert_int_equal(set_priority(low, EVTCHN_FIFO_PRIORITY_MIN), 0);
	assert_int_equal(set_priority(high, EVTCHN_FIFO_PRIORITY_MAX), 0);
	assert_int_equal(set_priority(high, EVTCHN_FIFO_PRIORITY_MIN + 1), -EINVAL);
	assert_int_equal(set_priority(high, ~0U), -EINVAL);
	assert_int_equal(set_priority(usual + 1, 0), -EINVAL);
	send(low);
	send(usual);
	send(high);
	assert_int_equal(block(u1, 0)->ready, BIT(0) | BIT(7) | BIT(15));
	assert_int_equal(take(u1, 0), high);
	assert_int_equal(take(u1, 0), usual);
	assert_int_equal(take(u1, 0), low);
	/* A port that is bound anew has the usual priority again. */
	assert_int_equal(close(high), 0);
	assert_int_equal(ipi(0), high);
	send(high);
	assert_int_equal(block(u1, 0)->ready, BIT(7));
	assert_int_equal(take(u1, 0), high);
}

static void masked_events_wait(void **state)
{
	evtchn_port_t p;

	use_fifo(u1);
	p = ipi(0);
	*word(u1, p) = MASKED;
	send(p);
	assert_int_equal(*word(u1, p), MASKED | PENDING);
	assert_int_equal(u1->vcpu[0]->arch->upcalls, 0);
	assert_int_equal(unmask(p), 0);
	assert_int_equal(take(u1, 0), p);
	assert_int_equal(unmask(p), 0);
	assert_int_equal(take(u1, 0), 0);
	assert_int_equal(unmask(p + 1), -EINVAL);
}

/* XSA-343: a port that moves while it is the tail of the queue that it leaves. */
static void xsa_343_moving_between_queues(void **state)
{
	struct evtchn_bind_interdomain bind = { .remote_dom = 2 };
	evtchn_port_t p[6];

	use_fifo(u1);
	for (unsigned int i = 0; i < 6; i++) {
		bind.remote_port = unbound(u2, 1);
		AS(u1);
		assert_int_equal(EVTCHN(EVTCHNOP_bind_interdomain, &bind), 0);
		p[i] = bind.local_port;
		take(u1, 0); /* a new connection is pending */
	}
	AS(u2); /* u2's ports have the same order */
	send(1);
	send(2); /* the tail of vCPU 0's queue */
	AS(u1);
	/* Linked: it stays where it is until it is consumed. */
	assert_int_equal(bind_vcpu(p[1], 1), 0);
	AS(u2);
	send(2);
	assert_int_equal(block(u1, 1)->ready, 0);
	assert_int_equal(take(u1, 0), p[0]);
	assert_int_equal(take(u1, 0), p[1]);
	/* Now it goes to vCPU 1's; vCPU 0's queue must not go on behind it. */
	send(2);
	send(3);
	assert_int_equal(take(u1, 1), p[1]);
	assert_int_equal(take(u1, 1), 0);
	assert_int_equal(take(u1, 0), p[2]);
	/* The same with the priority. */
	AS(u1);
	assert_int_equal(set_priority(p[2], 3), 0);
	AS(u2);
	send(3);
	send(4);
	assert_int_equal(take(u1, 0), p[2]);
	assert_int_equal(take(u1, 0), p[3]);
	assert_int_equal(take(u1, 0), 0);
	/* Closed while it is linked, and bound anew to another vCPU: still the old queue's until it is consumed. */
	send(5);
	AS(u1);
	assert_int_equal(close(p[4]), 0);
	assert_int_equal(ipi(1), p[4]);
	assert_int_equal(send(p[4]), 0);
	assert_int_equal(take(u1, 1), 0);
	assert_int_equal(take(u1, 0), p[4]);
	assert_int_equal(send(p[4]), 0);
	assert_int_equal(take(u1, 0), 0);
	assert_int_equal(take(u1, 1), p[4]);
}

/* Random sends, moves and closes: each event comes once, on whatever vCPU, and none is lost. */
static void nothing_is_lost(void **state)
{
	evtchn_port_t p[32], port;
	bool sent[33] = { 0 };
	u64 r = 88172645463325252ULL;

	use_fifo(u1);
	for (unsigned int i = 0; i < 32; i++)
		p[i] = unbound(u1, 1);
	for (unsigned int i = 0; i < 32; i += 2) {
		struct evtchn_bind_interdomain bind = { .remote_dom = 1, .remote_port = p[i] };

		assert_int_equal(close(p[i + 1]), 0);
		assert_int_equal(EVTCHN(EVTCHNOP_bind_interdomain, &bind), 0);
		assert_int_equal(bind.local_port, p[i + 1]);
		sent[p[i + 1]] = true;
	}
	for (unsigned int n = 0; n < 20000; n++) {
		unsigned int i;

		r ^= r << 13, r ^= r >> 7, r ^= r << 17;
		i = (r >> 20) % 32;
		switch ((r >> 40) % 6) {
		case 0:
			assert_int_equal(bind_vcpu(p[i], r >> 60 & 1), 0);
			break;
		case 1:
			assert_int_equal(set_priority(p[i], r >> 60), 0);
			break;
		case 2:
		case 3:
			assert_int_equal(send(p[i]), 0);
			sent[p[i ^ 1]] = true;
			break;
		default:
			port = take(u1, r >> 50 & 1);
			assert_true(!port || sent[port]);
			sent[port] = false;
		}
	}
	while ((port = take(u1, 0)) || (port = take(u1, 1))) {
		assert_true(sent[port]);
		sent[port] = false;
	}
	for (unsigned int i = 1; i <= 32; i++)
		assert_false(sent[i]);
}

static void the_change_keeps_what_is_pending(void **state)
{
	evtchn_port_t p1, p2, q;

	join(u1, u2, &p1, &p2);
	send(p2); /* as 2-level */
	AS(u1);
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
	q = ipi(0);
	send(q); /* as FIFO, before there are words */
	assert_false(test_bit(p1, u1->shared_info->evtchn_pending));
	assert_true(evtchn_is_pending(u1, p1));
	assert_int_equal(expand(ARRAY_GFN), 0);
	assert_int_equal(take(u1, 0), p1);
	assert_int_equal(take(u1, 0), q);
	assert_int_equal(take(u1, 0), 0);
	/* u2 is still 2-level. */
	assert_int_equal(send(p1), 0);
	assert_true(pending(u2, p2));
}

/* Interrupted at each look, the change and the pages of words come to the same: no page is taken twice, no event lost. */
static void long_steps_are_interrupted(void **state)
{
	enum { N = 1500 };
	unsigned int taken = 0;
	evtchn_port_t port;

	AS(u1);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(send(ipi(0)), 0);
	host.preempt_every = 1;
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
	assert_int_equal(expand(ARRAY_GFN), 0);
	assert_int_equal(expand(ARRAY_GFN + 1), 0);
	host.preempt_every = 0;
	while ((port = take(u1, 0)))
		assert_int_equal(port, ++taken);
	assert_int_equal(taken, N);
	/* A word of the second page is where it belongs. */
	assert_int_equal(send(N), 0);
	assert_true(*word(u1, N) & PENDING);
}

/* Another vCPU's call, between two parts of the current one's. */
static void expand_between(void)
{
	struct vcpu *v = arch_current();
	unsigned int nr = host.restart_nr, every = host.preempt_every;
	u64 saved[5];

	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	host.preempt_every = 0;
	become(v->domain->vcpu[1]);
	assert_int_equal(expand(ARRAY_GFN), 0);
	become(v);
	host.preempt_every = every;
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
}

/* Words that come while what was pending in 2-level is still being gathered: none of it is left behind. */
static void words_come_before_the_change_is_done(void **state)
{
	enum { N = 300 };
	unsigned int taken = 0;

	AS(u1);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(send(ipi(0)), 0);
	host.preempt_every = 1;
	host.between = expand_between;
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
	assert_null(host.between);
	host.preempt_every = 0;
	for (evtchn_port_t port = 1; port <= N; port++)
		assert_true(*word(u1, port) & PENDING);
	for (evtchn_port_t port = 1; port <= N; port++)
		assert_int_equal(unmask(port), 0);
	while (take(u1, 0))
		taken++;
	assert_int_equal(taken, N);
}

static void polls_see_words(void **state)
{
	evtchn_port_t p;
	struct sched_poll poll = { .nr_ports = 1 };
	evtchn_port_t *ports = &p;

	use_fifo(u1);
	p = ipi(0);
	*word(u1, p) = MASKED;
	set_xen_guest_handle(poll.ports, ports);
	assert_int_equal(SCHED(SCHEDOP_poll, &poll), 0);
	assert_true(u1->vcpu[0]->pause_flags & BIT(VPF_POLL));
	become(u1->vcpu[1]);
	send(p);
	assert_false(u1->vcpu[0]->pause_flags & BIT(VPF_POLL));
	AS(u1);
	assert_int_equal(SCHED(SCHEDOP_poll, &poll), 0);
	assert_false(u1->vcpu[0]->pause_flags & BIT(VPF_POLL));
	p = EVTCHN_FIFO_NR_CHANNELS;
	assert_int_equal(SCHED(SCHEDOP_poll, &poll), -EINVAL);
}

static void reset_goes_back_to_2_level(void **state)
{
	struct page *control, *array;
	evtchn_port_t p1, p2;

	use_fifo(u1);
	control = virt_to_page(guest_page(u1, CONTROL_GFN));
	array = virt_to_page(guest_page(u1, ARRAY_GFN));
	assert_int_equal(control->count, 3);
	assert_int_equal(array->count, 2);
	for (unsigned int i = 0; i < 5000; i++)
		ipi(0);
	assert_int_equal(reset(DOMID_SELF), 0);
	assert_int_equal(control->count, 1);
	assert_int_equal(array->count, 1);
	assert_int_equal(expand(ARRAY_GFN), -EOPNOTSUPP);
	join(u1, u2, &p1, &p2);
	send(p2);
	assert_true(pending(u1, p1));
	/* And again. */
	AS(u1);
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
	assert_int_equal(expand(ARRAY_GFN), 0);
	block(u1, 0)->ready = 0;
	assert_true(*word(u1, p1) & PENDING);
}

static void all_ports(void **state)
{
	struct evtchn_bind_ipi a = { 0 };
	evtchn_port_t last = EVTCHN_FIFO_NR_CHANNELS - 1;

	use_fifo(u1);
	for (evtchn_port_t i = 1; i <= last; i++) {
		assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &a), 0);
		assert_int_equal(a.port, i);
	}
	assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &a), -ENOSPC);
	assert_int_equal(close(77777), 0);
	assert_int_equal(ipi(0), 77777);
	assert_int_equal(evtchn_count(u1), last);
	assert_int_equal(send(last), 0); /* no word: noted */
	assert_true(evtchn_is_pending(u1, last));
	assert_int_equal(send(last + 1), -EINVAL);
	/* Pages that have two parts of the array: the hypervisor does not care. */
	for (unsigned int i = 1; i < 127; i++)
		assert_int_equal(expand(ARRAY_GFN + i % 32), 0);
	assert_int_equal(block(u1, 0)->ready, 0);
	assert_int_equal(expand(RAM_GFN + 50), 0);
	assert_int_equal(block(u1, 0)->head[EVTCHN_FIFO_PRIORITY_DEFAULT], last);
	assert_int_equal(expand(RAM_GFN + 51), -ENOSPC);
	/* XSA-344: as many as there can be, in pieces. */
	host.preempt_every = 1;
	assert_int_equal(reset(DOMID_SELF), 0);
	assert_in_range(host.restarts, 1000, 3000);
}

/* ---- as it should not be ---- */

static void errors(void **state)
{
	struct p2m_entry e;

	AS(u1);
	assert_int_equal(set_priority(ipi(0), 0), -ENOSYS); /* 2-level has none */
	assert_int_equal(expand(ARRAY_GFN), -EOPNOTSUPP);
	assert_int_equal(init_control(2, CONTROL_GFN, 0), -ENOENT);
	assert_int_equal(init_control(~0U, CONTROL_GFN, 0), -ENOENT);
	assert_int_equal(init_control(0, RAM_GFN + U_PAGES, 0), -EINVAL);
	assert_int_equal(init_control(0, ~0UL, 0), -EINVAL);
	assert_int_equal(init_control(0, CONTROL_GFN, 4), -EINVAL);
	assert_int_equal(init_control(0, CONTROL_GFN, PAGE_SIZE - 64), -EINVAL);
	assert_int_equal(init_control(0, CONTROL_GFN, ~7U), -EINVAL);
	assert_int_equal(EVTCHN(EVTCHNOP_init_control, NULL), -EFAULT);
	assert_int_equal(EVTCHN(EVTCHNOP_expand_array, NULL), -EFAULT);
	assert_int_equal(EVTCHN(EVTCHNOP_set_priority, NULL), -EFAULT);
	/* None of these changed the ABI. */
	assert_int_equal(expand(ARRAY_GFN), -EOPNOTSUPP);
	assert_int_equal(init_control(0, CONTROL_GFN, PAGE_SIZE - 72), 0);
	assert_int_equal(init_control(0, CONTROL_GFN, 0), -EINVAL); /* once */
	assert_int_equal(expand(RAM_GFN + U_PAGES), -EINVAL);
	/* A page that the guest itself may not write. */
	assert_int_equal(p2m_unmap(u1, ARRAY_GFN, BIT(P2M_RAM), &e), 0);
	assert_int_equal(p2m_map(u1, ARRAY_GFN, e.mfn, 0, P2M_RAM, P2M_R), 0);
	assert_int_equal(expand(ARRAY_GFN), -EINVAL);
}

static void no_memory(void **state)
{
	long rc;

	AS(u1);
	take_all_memory();
	rc = init_control(0, CONTROL_GFN, 0);
	give_memory_back();
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(virt_to_page(guest_page(u1, CONTROL_GFN))->count, 1);
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
}

/* vCPU 1 has no control block, and one without vcpu_info */
static void xsa_107_no_control_block(void **state)
{
	evtchn_port_t p;

	AS(u1);
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
	assert_int_equal(expand(ARRAY_GFN), 0);
	p = ipi(1);
	assert_int_equal(send(p), 0);
	assert_true(evtchn_is_pending(u1, p));
	assert_int_equal(*word(u1, p), PENDING);
	assert_int_equal(init_control(1, CONTROL_GFN, BLOCK_SIZE), 0);
	assert_int_equal(unmask(p), 0);
	assert_int_equal(block(u1, 1)->ready, BIT(7));
	assert_int_equal(u1->vcpu[1]->arch->upcalls, 0);
}

/* XSA-221 and more: whatever a guest writes where the hypervisor reads, it harms itself. */
static void xsa_221_hostile_words_and_blocks(void **state)
{
	static const u32 fill[] = { 0,	  ~0U,	   LINKED,    PENDING, LINKED | BUSY,
				    BUSY, 0x1ffff, 0xe001ffff };
	evtchn_port_t p[40], extra;

	use_fifo(u1);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = ipi(i & 1);
	for (unsigned int n = 0; n < ARRAY_SIZE(fill) * ARRAY_SIZE(fill); n++) {
		for (unsigned int i = 0; i < 1024; i++)
			*word(u1, i) = fill[n % ARRAY_SIZE(fill)];
		for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
			assert_int_equal(send(p[i]), 0);
			if (i % 3 == 0)
				*word(u1, p[i]) = fill[n / ARRAY_SIZE(fill)];
			send(p[i / 2]);
			unmask(p[i]);
			bind_vcpu(p[i], n & 1);
			set_priority(p[i], i & 15);
		}
		memset(block(u1, 0), fill[n % ARRAY_SIZE(fill)], sizeof(*block(u1, 0)));
	}
	/* The same page twice, and control block and words in one: the guest's own confusion. */
	assert_int_equal(expand(ARRAY_GFN), 0);
	assert_int_equal(expand(CONTROL_GFN), 0);
	for (unsigned int i = 0; i < 3000; i++)
		send(extra = ipi(1));
	/* Given back while in use: the pages stay until the reset. */
	{
		xen_pfn_t gfns[] = { CONTROL_GFN, ARRAY_GFN };
		struct xen_memory_reservation r = { .nr_extents = 2, .domid = DOMID_SELF };

		set_xen_guest_handle(r.extent_start, gfns);
		assert_int_equal(MEMORY(XENMEM_decrease_reservation, &r), 2);
		assert_int_equal(u1->tot_pages, U_PAGES);
	}
	send(extra);
	assert_int_equal(reset(DOMID_SELF), 0);
	assert_int_equal(u1->tot_pages, U_PAGES - 2);
}

/* XSA-340, 358, 359: the other end's death, with events on its queues. */
static void xsa_340_358_359_death_with_events_queued(void **state)
{
	evtchn_port_t p1, p2;

	use_fifo(u1);
	join(u1, u2, &p1, &p2);
	assert_int_equal(send(p2), 0);
	kill_domain(u1);
	assert_null(domain_get(1));
	assert_int_equal(send(p2), 0); /* unbound now: nobody listens */
	u1 = make_domain(1, 2, U_PAGES);
}

static struct domain *binder;

static void bind_one_meanwhile(void)
{
	struct evtchn_alloc_unbound a = { .dom = 1, .remote_dom = 0 };

	AS(binder);
	assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), 0);
	AS(u1);
}

/* A port that dom0 binds behind a reset's back: it is not lost, and the guest stays with FIFO. */
static void xsa_505_a_port_is_bound_during_a_reset(void **state)
{
	use_fifo(u1);
	for (unsigned int i = 0; i < 300; i++)
		ipi(0);
	binder = dom0;
	host.preempt_every = 1;
	host.between = bind_one_meanwhile;
	assert_int_equal(reset(DOMID_SELF), -EAGAIN);
	host.between = NULL;
	assert_true(evtchn_count(u1) > 0);
	assert_int_equal(expand(ARRAY_GFN + 1), 0);
	assert_int_equal(reset(DOMID_SELF), 0);
	assert_int_equal(evtchn_count(u1), 0);
}

static void xsa_342_a_limit_holds_with_fifo(void **state)
{
	struct xen_domctl_createdomain config = default_config(1);
	struct evtchn_bind_ipi a = { 0 };
	struct domain *d;

	config.max_evtchn_port = 5000;
	assert_int_equal(domain_create(9, &config, &d), 0);
	assert_int_equal(vcpu_create(d, 0), 0);
	d->max_pages = 16;
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(p2m_map(d, RAM_GFN + i, page_to_mfn(alloc_domain_pages(d, 0)), 0,
					 P2M_RAM, P2M_RWX),
				 0);
	AS(d);
	assert_int_equal(init_control(0, CONTROL_GFN, 0), 0);
	for (unsigned int i = 1; i <= 5000; i++) {
		assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &a), 0);
		assert_int_equal(a.port, i);
	}
	assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &a), -ENOSPC);
	assert_int_equal(close(5001), -EINVAL);
}

/* An unpause that comes while a pause waits for a vCPU: the guest runs, and its queues move. */
static void a_pause_that_was_ended(void **state)
{
	evtchn_port_t a;

	use_fifo(u1);
	a = ipi(0);
	pause_and_unpause_meanwhile();
	AS(u1);
	send(a);
	assert_int_equal(*word(u1, a), PENDING | LINKED);
	assert_int_equal(take(u1, 0), a);
	run_kicked();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_come_in_order),
		TEST(priorities),
		TEST(masked_events_wait),
		TEST(xsa_343_moving_between_queues),
		TEST(nothing_is_lost),
		TEST(the_change_keeps_what_is_pending),
		TEST(long_steps_are_interrupted),
		TEST(words_come_before_the_change_is_done),
		TEST(polls_see_words),
		TEST(reset_goes_back_to_2_level),
		TEST(all_ports),
		TEST(errors),
		TEST(no_memory),
		TEST(xsa_107_no_control_block),
		TEST(xsa_221_hostile_words_and_blocks),
		TEST(xsa_340_358_359_death_with_events_queued),
		TEST(xsa_505_a_port_is_bound_during_a_reset),
		TEST(xsa_342_a_limit_holds_with_fifo),
		TEST(a_pause_that_was_ended),
	};

	return RUN(tests);
}
