/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advisories about event channels whose mistakes are races, in both ABIs: two vCPUs send, bind, close, move and reset the same
 * ports. Ports are connected to others of the same domain. FIFO words and blocks are this test's own, not the runtime's, which
 * keeps to the 2-level ABI: console and xenstore are connected again at the end of each test that resets. Each test has the
 * advisory's number; docs/testing.md has the list. argv: a factor for the rounds.
 *
 * guest: vcpus=2 memory=24 max_event_channels=500 extra="$RACE_FACTOR"
 * harts: 4
 * census
 * timeout: 360 + $RACE_SECONDS
 */
#include <stdlib.h>
#include <string.h>

#include "lib/hostile.h"
#include "lib/race.h"

#define OWN_PORTS 16 /* where console and xenstore are */
#define PATIENCE_NS 20000000000UL

static volatile long status[2];
static volatile evtchn_port_t ports[2];

static long port_op(unsigned int cmd, evtchn_port_t port)
{
	struct evtchn_close op = { .port = port }; /* send, close and unmask have the same */

	return HYPERVISOR_event_channel_op(cmd, &op);
}

static uint32_t state_of(evtchn_port_t port)
{
	struct evtchn_status s = { .dom = DOMID_SELF, .port = port };

	return HYPERVISOR_event_channel_op(EVTCHNOP_status, &s) ? ~0U : s.status;
}

/* The runtime's call also masks the port and drops its function; here it is the hypercall alone. */
static long bind_ipi(unsigned int vcpu)
{
	struct evtchn_bind_ipi op = { .vcpu = vcpu };
	long rc = HYPERVISOR_event_channel_op(EVTCHNOP_bind_ipi, &op);

	return rc ? rc : (long)op.port;
}

static long offer(void)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = DOMID_SELF };
	long rc = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &op);

	return rc ? rc : (long)op.port;
}

static long connect(evtchn_port_t port)
{
	struct evtchn_bind_interdomain op = { .remote_dom = DOMID_SELF, .remote_port = port };
	long rc = HYPERVISOR_event_channel_op(EVTCHNOP_bind_interdomain, &op);

	return rc ? rc : (long)op.local_port;
}

/* ---- the ports that the runtime has, over a reset ---- */

static struct evtchn_status own[OWN_PORTS];

static void keep_own(void)
{
	for (unsigned int p = 1; p < OWN_PORTS; p++) {
		own[p] = (struct evtchn_status){ .dom = DOMID_SELF, .port = p };
		HYPERVISOR_event_channel_op(EVTCHNOP_status, &own[p]);
	}
}

/* The lowest free port is the next: in order they come back under their numbers. */
static bool own_back(void)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };
	bool ok = !HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r);

	for (unsigned int p = 1; p < OWN_PORTS; p++) {
		struct evtchn_bind_interdomain op = { .remote_dom = own[p].u.interdomain.dom,
						      .remote_port = own[p].u.interdomain.port };

		if (own[p].status != EVTCHNSTAT_interdomain)
			continue;
		ok &= !HYPERVISOR_event_channel_op(EVTCHNOP_bind_interdomain, &op) &&
		      op.local_port == p;
	}
	return ok;
}

/* ---- 358, 359: a send against the close of the other end ---- */

static void send_here(unsigned int round)
{
	long wrong = 0;

	for (unsigned int i = 0; i < 4; i++) {
		long rc = port_op(EVTCHNOP_send, ports[0]);

		wrong += rc != 0; /* connected, or unbound: nobody listens */
	}
	status[0] = wrong;
}

static void close_there(unsigned int round)
{
	status[1] = port_op(EVTCHNOP_close, ports[1]);
}

static bool open_for_another(unsigned int round)
{
	bool ok = !status[0] && !status[1] && state_of(ports[0]) == EVTCHNSTAT_unbound &&
		  state_of(ports[1]) == EVTCHNSTAT_closed;
	long again = ok ? connect(ports[0]) : -1;

	ports[1] = again;
	return again > 0;
}

static void xsa_358_359_send_against_close(void)
{
	long port = offer(), other = connect(port);
	bool ok;

	ports[0] = port;
	ports[1] = other;
	ok = port > 0 && other > 0 && race(__func__, 500, send_here, close_there, open_for_another);
	port_op(EVTCHNOP_close, ports[1]);
	port_op(EVTCHNOP_close, ports[0]);
	tap_ok(ok, "%s: an event goes to the other end or nowhere", __func__);
}

/* Both ends are closed at once: each closing needs both. */
static void close_here(unsigned int round)
{
	status[0] = port_op(EVTCHNOP_close, ports[0]);
}

static bool a_new_pair(unsigned int round)
{
	bool ok = !status[0] && !status[1] && state_of(ports[0]) == EVTCHNSTAT_closed &&
		  state_of(ports[1]) == EVTCHNSTAT_closed;
	long port = offer(), other = connect(port);

	ports[0] = port;
	ports[1] = other;
	return ok && port > 0 && other > 0;
}

static void xsa_359_close_against_close(void)
{
	bool ok;

	a_new_pair(0);
	ok = race(__func__, 500, close_here, close_there, a_new_pair);
	port_op(EVTCHNOP_close, ports[1]);
	port_op(EVTCHNOP_close, ports[0]);
	tap_ok(ok, "%s: both ends are closed, each once", __func__);
}

/* ---- 340: a binding is seen whole, or not at all ---- */

static void connect_mine(unsigned int round)
{
	status[0] = connect(ports[0]);
}

static void connect_theirs(unsigned int round)
{
	port_op(EVTCHNOP_send, ports[0]);
	status[1] = connect(ports[0]);
	port_op(EVTCHNOP_send, ports[0]);
}

static bool one_connection(unsigned int round)
{
	long won = status[0] > 0 ? status[0] : status[1];
	bool ok = (status[0] > 0 && status[1] == -EINVAL) ||
		  (status[1] > 0 && status[0] == -EINVAL);
	struct evtchn_status s = { .dom = DOMID_SELF, .port = ports[0] };

	/* The sender's event came, or there was nobody; the connection itself always makes one. */
	ok = ok && !HYPERVISOR_event_channel_op(EVTCHNOP_status, &s) &&
	     s.status == EVTCHNSTAT_interdomain && s.u.interdomain.port == won &&
	     pv_event_pending(won);
	return !port_op(EVTCHNOP_close, won) && ok;
}

static void xsa_340_connect_against_connect(void)
{
	bool ok;

	ports[0] = offer();
	ok = race(__func__, 500, connect_mine, connect_theirs, one_connection);
	port_op(EVTCHNOP_close, ports[0]);
	tap_ok(ok, "%s: one of two gets the port, with its event", __func__);
}

/* ---- 496: a VIRQ is bound twice at once ---- */

static void bind_timer(unsigned int side)
{
	struct evtchn_bind_virq op = { .virq = VIRQ_TIMER, .vcpu = 0 };

	status[side] = HYPERVISOR_event_channel_op(EVTCHNOP_bind_virq, &op);
	ports[side] = op.port;
}

static void bind_mine(unsigned int round)
{
	bind_timer(0);
}

static void bind_theirs(unsigned int round)
{
	bind_timer(1);
}

static bool bound_once(unsigned int round)
{
	unsigned int winner = status[0] ? 1 : 0;

	return !status[winner] && status[!winner] == -EEXIST &&
	       !port_op(EVTCHNOP_close, ports[winner]);
}

static void xsa_496_virq_bound_twice(void)
{
	tap_ok(race(__func__, 500, bind_mine, bind_theirs, bound_once),
	       "%s: the loser gets nothing, and leaves nothing", __func__);
}

/* ---- 342: two take all ports ---- */

static unsigned int taken[2];
static uint8_t seen[2][4096];

static void take_all(unsigned int side)
{
	long port;

	while ((port = bind_ipi(0)) > 0) {
		taken[side]++;
		if (port < 4096)
			seen[side][port]++;
	}
	status[side] = port;
}

static void take_mine(unsigned int round)
{
	take_all(0);
}

static void take_theirs(unsigned int round)
{
	take_all(1);
}

static unsigned int free_ports;

static bool each_once(unsigned int round)
{
	unsigned int all = taken[0] + taken[1], twice = 0;
	bool ok = status[0] == -ENOSPC && status[1] == -ENOSPC;

	for (unsigned int p = 0; p < 4096; p++) {
		unsigned int n = seen[0][p] + seen[1][p];

		twice += n > 1;
		if (n)
			ok &= !port_op(EVTCHNOP_close, p);
		seen[0][p] = seen[1][p] = 0;
	}
	free_ports = free_ports ? free_ports : all;
	taken[0] = taken[1] = 0;
	return ok && !twice && all == free_ports;
}

static void xsa_342_all_ports_from_two(void)
{
	bool ok = race(__func__, 3, take_mine, take_theirs, each_once);

	/* max_event_channels in xl.cfg, less console and xenstore */
	tap_ok(ok && free_ports == 500 - 2, "%s: the limit holds and no port is given twice (%u)",
	       __func__, free_ports);
}

/* ---- 343, 344, 505: resets ---- */

static void reset_mine(unsigned int round)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };

	status[0] = HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r);
}

static void busy_theirs(unsigned int round)
{
	for (unsigned int i = 0; i < 20; i++) {
		long a = offer(), b = a > 0 ? connect(a) : 0, c = bind_ipi(1);

		/* Any of them may be gone again by now. */
		port_op(EVTCHNOP_send, b > 0 ? b : a);
		port_op(EVTCHNOP_send, c);
		if (i & 1)
			port_op(EVTCHNOP_close, a);
	}
}

/* With nobody in the way a reset leaves no port: the first is free again. */
static bool all_closed(unsigned int round)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };
	bool ok = (!status[0] || status[0] == -EAGAIN) && (!status[1] || status[1] == -EAGAIN);
	long port;

	ok = ok && !HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r);
	for (evtchn_port_t p = 1; p < 200; p++)
		ok = ok && state_of(p) == EVTCHNSTAT_closed;
	port = bind_ipi(0);
	return ok && port == 1 && !port_op(EVTCHNOP_close, port);
}

static void xsa_505_bind_against_reset(void)
{
	bool ok;

	keep_own();
	status[1] = 0;
	ok = race(__func__, 200, reset_mine, busy_theirs, all_closed);
	ok &= own_back();
	tap_ok(ok, "%s: what is bound meanwhile is closed by the next reset", __func__);
}

static void fill_and_reset(unsigned int side)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };

	while (bind_ipi(0) > 0)
		;
	status[side] = HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r);
}

static void fill_mine(unsigned int round)
{
	fill_and_reset(0);
}

static void fill_theirs(unsigned int round)
{
	fill_and_reset(1);
}

/* Two resets share their progress, and are continued again and again. */
static void xsa_344_reset_against_reset(void)
{
	bool ok;

	keep_own();
	ok = race(__func__, 4, fill_mine, fill_theirs, all_closed);
	ok &= own_back();
	tap_ok(ok, "%s: a long reset ends", __func__);
}

/* ---- FIFO ---- */

#define WORDS (PV_PAGE_SIZE / sizeof(event_word_t))
#define PENDING (1U << EVTCHN_FIFO_PENDING)
#define LINKED (1U << EVTCHN_FIFO_LINKED)

static event_word_t *words;
static struct evtchn_fifo_control_block *block[2];

static long init_control(unsigned int vcpu)
{
	struct evtchn_init_control op = { .control_gfn = pv_gfn(block[vcpu]), .vcpu = vcpu };

	return HYPERVISOR_event_channel_op(EVTCHNOP_init_control, &op);
}

static long expand(void)
{
	struct evtchn_expand_array op = { .array_gfn = pv_gfn(words) };

	return HYPERVISOR_event_channel_op(EVTCHNOP_expand_array, &op);
}

static void clear_fifo(void)
{
	memset(words, 0, PV_PAGE_SIZE);
	memset(block[0], 0, PV_PAGE_SIZE);
	memset(block[1], 0, PV_PAGE_SIZE);
}

/* In how many queues the port is, by following all heads and links; ~0: a queue has no end. */
static unsigned int times_queued(evtchn_port_t port)
{
	unsigned int n = 0;

	for (unsigned int v = 0; v < 2; v++) {
		for (unsigned int q = 0; q < EVTCHN_FIFO_MAX_QUEUES; q++) {
			evtchn_port_t p = block[v]->ready >> q & 1 ? block[v]->head[q] : 0;

			for (unsigned int steps = 0; p; steps++) {
				if (steps > WORDS || p >= WORDS)
					return ~0U;
				n += p == port;
				p = words[p] & EVTCHN_FIFO_LINK_MASK;
			}
		}
	}
	return n;
}

static void take_from_queues(void)
{
	for (unsigned int v = 0; v < 2; v++) {
		block[v]->ready = 0;
		memset(block[v]->head, 0, sizeof(block[v]->head));
	}
	for (unsigned int p = 0; p < WORDS; p++)
		words[p] = 0;
}

/* Two ports behind those of the runtime's own, for which it has handlers that would take the event. All are closed. */
static void bind_two(void)
{
	for (unsigned int p = 1; p < OWN_PORTS; p++)
		bind_ipi(0);
	ports[0] = bind_ipi(0);
	ports[1] = bind_ipi(1);
}

/* 47, 107, 221: the ABI changes, and its parts come, while events are sent. None may be lost. */
static void change_to_fifo(unsigned int round)
{
	status[0] = init_control(0);
	status[0] |= round & 1 ? expand() : init_control(1);
	status[0] |= round & 1 ? init_control(1) : expand();
}

static void send_theirs(unsigned int round)
{
	status[1] = port_op(EVTCHNOP_send, ports[0]);
	status[1] |= port_op(EVTCHNOP_send, ports[1]);
}

static bool nothing_lost(unsigned int round)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };
	bool ok = !status[0] && !status[1];

	for (unsigned int i = 0; i < 2 && ok; i++) {
		evtchn_port_t p = ports[i];

		/* An event that came before its vCPU had a block stays pending until it is unmasked or sent again. */
		ok = words[p] & PENDING;
		if (ok && !(words[p] & LINKED))
			ok = !port_op(EVTCHNOP_unmask, p);
		ok = ok && words[p] & LINKED && times_queued(p) == 1;
	}
	ok = !HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r) && ok;
	clear_fifo();
	bind_two();
	return ok;
}

static void xsa_47_107_221_send_before_all_is_there(void)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };
	bool ok;

	keep_own();
	HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r);
	bind_two();
	ok = race(__func__, 300, change_to_fifo, send_theirs, nothing_lost);
	ok &= own_back();
	clear_fifo();
	tap_ok(ok, "%s: what is sent while the ABI changes is pending, in one queue", __func__);
}

/* 343: events move between the queues of vCPUs and priorities while they are sent. */
static evtchn_port_t
	near_end[2]; /* ports[] are the far ends: what is sent on one arrives at the other */

static void send_and_unmask(unsigned int round)
{
	status[0] = 0;
	for (unsigned int i = 0; i < 6; i++) {
		status[0] |= port_op(EVTCHNOP_send, near_end[i & 1]);
		if (i == 3)
			status[0] |= port_op(EVTCHNOP_unmask, ports[0]);
	}
}

static void move(unsigned int round)
{
	status[1] = 0;
	for (unsigned int i = 0; i < 6; i++) {
		evtchn_port_t port = ports[i & 1];
		struct evtchn_set_priority prio = { .port = port, .priority = (round + i) % 16 };
		struct evtchn_bind_vcpu bind = { .port = port, .vcpu = (round + i) >> 1 & 1 };

		status[1] |= HYPERVISOR_event_channel_op(EVTCHNOP_set_priority, &prio);
		status[1] |= HYPERVISOR_event_channel_op(EVTCHNOP_bind_vcpu, &bind);
	}
}

/* Each is in one queue. Then one more event of each arrives in empty queues, once. */
static bool still_delivered(unsigned int round)
{
	bool ok = !status[0] && !status[1];

	for (unsigned int i = 0; i < 2; i++)
		ok = ok && words[ports[i]] & PENDING && words[ports[i]] & LINKED &&
		     times_queued(ports[i]) == 1;
	take_from_queues();
	for (unsigned int i = 0; i < 2 && ok; i++)
		ok = !port_op(EVTCHNOP_send, near_end[i]) && words[ports[i]] & LINKED &&
		     times_queued(ports[i]) == 1;
	take_from_queues();
	return ok;
}

static void xsa_343_send_against_move(void)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };
	bool ok;

	keep_own();
	HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r);
	clear_fifo();
	ok = !init_control(0) && !init_control(1) && !expand();
	for (unsigned int i = 0; i < 2; i++) {
		near_end[i] = offer();
		ports[i] = connect(near_end[i]);
	}
	take_from_queues();
	ok = ok && race(__func__, 500, send_and_unmask, move, still_delivered);
	ok &= own_back();
	clear_fifo();
	tap_ok(ok, "%s: moved while sent, and still delivered once", __func__);
}

int main(int argc, char **argv)
{
	race_init(argc, argv);
	words = pv_alloc_pages(1);
	block[0] = pv_alloc_pages(1);
	block[1] = pv_alloc_pages(1);
	xsa_358_359_send_against_close();
	xsa_359_close_against_close();
	xsa_340_connect_against_connect();
	xsa_496_virq_bound_twice();
	xsa_342_all_ports_from_two();
	xsa_505_bind_against_reset();
	xsa_344_reset_against_reset();
	xsa_47_107_221_send_before_all_is_there();
	xsa_343_send_against_move();
	return tap_done();
}
