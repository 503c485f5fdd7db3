/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event_channel_op: every kind of port, delivery, masks, and what a hostile guest may try.
 *
 * guest: vcpus=2
 * peer: partner
 */
#include <stdlib.h>
#include <string.h>

#include "lib/hostile.h"

#define UNLIKELY_PORT 0xfffffff0 /* beyond any table */

static struct partner partner;
static volatile unsigned int upcalls, upcall_vcpu;

static void on_event(evtchn_port_t port, void *arg)
{
	(void)port, (void)arg;
	upcall_vcpu = pv_vcpu_id();
	__atomic_fetch_add(&upcalls, 1, __ATOMIC_SEQ_CST);
}

static bool upcalls_reach(unsigned int n)
{
	uint64_t until = pv_time_ns() + 5000000000;

	while (upcalls < n && pv_time_ns() < until)
		HYPERVISOR_sched_op(SCHEDOP_yield, NULL);
	return upcalls == n;
}

static struct evtchn_status status_of(evtchn_port_t port, long *rc)
{
	struct evtchn_status s = { .dom = DOMID_SELF, .port = port };

	*rc = HYPERVISOR_event_channel_op(EVTCHNOP_status, &s);
	return s;
}

static long bind_vcpu(evtchn_port_t port, unsigned int vcpu)
{
	struct evtchn_bind_vcpu op = { .port = port, .vcpu = vcpu };

	return HYPERVISOR_event_channel_op(EVTCHNOP_bind_vcpu, &op);
}

static long unmask(evtchn_port_t port)
{
	struct evtchn_unmask op = { .port = port };

	return HYPERVISOR_event_channel_op(EVTCHNOP_unmask, &op);
}

static void unbound(void)
{
	long port = pv_event_alloc_unbound(DOMID_SELF, partner.domid), rc;
	struct evtchn_status s;

	tap_ok(port > 0, "alloc_unbound");
	s = status_of(port, &rc);
	tap_ok(!rc && s.status == EVTCHNSTAT_unbound && s.u.unbound.dom == partner.domid,
	       "status: unbound, for the partner");
	tap_is(pv_event_send(port), 0, "an event on it goes nowhere");
	tap_is(pv_event_close(port), 0, "close");
	tap_is(pv_event_close(port), -EINVAL, "close again");
	tap_is(pv_event_send(port), -EINVAL, "send on a closed port");
	tap_is(pv_event_alloc_unbound(partner.domid, 0), -EPERM, "a port in another domain");
	tap_is(pv_event_alloc_unbound(NO_DOMAIN, 0), -ESRCH, "a port in no domain");
}

static void bad_ports(void)
{
	static const evtchn_port_t ports[] = { 0, 3000, UNLIKELY_PORT, 0x80000000, 0xffffffff };
	bool ok = true;
	long rc;

	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		evtchn_port_t p = ports[i];
		struct evtchn_close c = { .port = p };
		struct evtchn_send s = { .port = p };

		ok &= HYPERVISOR_event_channel_op(EVTCHNOP_send, &s) == -EINVAL;
		ok &= HYPERVISOR_event_channel_op(EVTCHNOP_close, &c) == -EINVAL;
		ok &= unmask(p) == -EINVAL && bind_vcpu(p, 0) == -EINVAL;
		ok &= pv_event_bind_interdomain(partner.domid, p) == -EINVAL;
	}
	tap_ok(ok, "ports that are none: EVTCHNOP_send, close, unmask, bind_vcpu, "
		   "bind_interdomain are -EINVAL");
	status_of(UNLIKELY_PORT, &rc);
	tap_is(rc, -EINVAL, "status of a port beyond the table");
}

static void interdomain(void)
{
	long port = pv_event_bind_interdomain(partner.domid, partner.port), rc;
	struct evtchn_status s;

	tap_ok(port > 0, "bind_interdomain to the partner's port (%ld)", port);
	s = status_of(port, &rc);
	tap_ok(!rc && s.status == EVTCHNSTAT_interdomain && s.u.interdomain.dom == partner.domid &&
		       s.u.interdomain.port == partner.port,
	       "status: interdomain, both ends");
	tap_is(pv_event_bind_interdomain(partner.domid, partner.port), -EINVAL,
	       "a second connection to the same port");
	upcalls = 0;
	pv_event_handler(port, on_event, NULL);
	upcalls_reach(1); /* of the connection itself */
	upcalls = 0;
	for (unsigned int i = 1; i <= 5; i++) {
		pv_event_send(port);
		if (!upcalls_reach(i))
			break;
	}
	tap_is(upcalls, 5, "five events, five echoes");
	tap_is(bind_vcpu(port, 1), 0, "bind_vcpu to vCPU 1");
	s = status_of(port, &rc);
	tap_is(s.vcpu, 1, "status says vCPU 1");
	tap_is(bind_vcpu(port, 2), -ENOENT, "bind_vcpu to a vCPU that is not there");
	tap_is(bind_vcpu(port, 0), 0, "and back");
	tap_is(pv_event_close(port), 0, "close");
	/* The other end is open to us again. */
	port = pv_event_bind_interdomain(partner.domid, partner.port);
	tap_ok(port > 0, "connect again");
	pv_event_close(port);
	tap_is(pv_event_bind_interdomain(NO_DOMAIN, 1), -ESRCH, "connect to no domain");
	rc = 0;
	for (unsigned int p = 0; p < 300; p++)
		rc += pv_event_bind_interdomain(0, p) >= 0;
	tap_is(rc, 0, "no port of dom0 lets us in that is not for us");
}

static void virqs(void)
{
	static const unsigned int others[] = { VIRQ_CONSOLE, VIRQ_DOM_EXC, VIRQ_CON_RING };
	long port = pv_event_bind_virq(VIRQ_TIMER, 0), rc;
	struct evtchn_status s = status_of(port, &rc);
	struct evtchn_bind_pirq pirq = { .pirq = 10 };

	tap_ok(port > 0 && !rc && s.status == EVTCHNSTAT_virq && s.u.virq == VIRQ_TIMER,
	       "bind_virq and status");
	tap_is(pv_event_bind_virq(VIRQ_TIMER, 0), -EEXIST, "bind_virq again");
	tap_is(bind_vcpu(port, 1), -EINVAL, "a vCPU's own virq stays with it");
	tap_is(pv_event_send(port), -EINVAL, "send on a virq");
	pv_event_close(port);
	port = pv_event_bind_virq(VIRQ_TIMER, 0);
	tap_ok(port > 0, "bind_virq after close");
	pv_event_close(port);
	tap_is(pv_event_bind_virq(NR_VIRQS, 0), -EINVAL, "a virq that is none");
	tap_is(pv_event_bind_virq(0xffffffff, 0), -EINVAL, "one far beyond");
	tap_is(pv_event_bind_virq(VIRQ_TIMER, 2), -ENOENT, "no such vCPU");
	tap_is(pv_event_bind_virq(VIRQ_TIMER, 0xffffffff), -ENOENT, "no such vCPU by far");
	rc = 0;
	for (unsigned int i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		rc += pv_event_bind_virq(others[i], 0) == -EPERM;
	tap_is(rc, sizeof(others) / sizeof(others[0]), "virqs of the control domain are -EPERM");
	tap_is(HYPERVISOR_event_channel_op(EVTCHNOP_bind_pirq, &pirq), -EPERM, "bind_pirq");
}

static void forever(void *arg)
{
	while (!*(volatile bool *)arg)
		pv_relax();
}

static void ipis(void)
{
	volatile bool stop = false;
	long port = pv_event_bind_ipi(1), rc;
	struct evtchn_status s = status_of(port, &rc);

	tap_ok(port > 0 && !rc && s.status == EVTCHNSTAT_ipi && s.vcpu == 1, "bind_ipi and status");
	tap_is(bind_vcpu(port, 0), -EINVAL, "an IPI's port stays with its vCPU");
	pv_vcpu_start(1, forever, (void *)&stop);
	upcalls = 0;
	pv_event_handler(port, on_event, NULL);
	pv_event_send(port);
	tap_ok(upcalls_reach(1) && upcall_vcpu == 1, "vCPU 1 has the upcall");
	stop = true;
	pv_vcpu_join(1);
	pv_event_close(port);
	tap_is(pv_event_bind_ipi(2), -ENOENT, "an IPI of no vCPU");
}

static void masks(void)
{
	long port = pv_event_bind_ipi(0);

	upcalls = 0;
	pv_event_handler(port, on_event, NULL);
	pv_event_mask(port);
	pv_event_send(port);
	pv_event_send(port);
	tap_is(upcalls, 0, "masked: no upcall");
	tap_ok(pv_event_pending(port), "but pending");
	tap_is(unmask(port), 0, "unmask");
	tap_is(upcalls, 1, "delivers it, once");
	tap_is(unmask(port), 0, "unmask what is unmasked");
	tap_is(upcalls, 1, "delivers nothing");
	/* The guest may write what it likes into the words; only its own events suffer. */
	memset(pv_shared_info->evtchn_mask, 0xff, sizeof(pv_shared_info->evtchn_mask));
	pv_event_close(port);
	port = pv_event_bind_ipi(0);
	tap_ok(!pv_event_pending(port), "a new port is not pending");
	pv_event_close(port);
}

static void others_ports(void)
{
	struct evtchn_status s = { .dom = partner.domid, .port = 1 };
	struct evtchn_reset r = { .dom = partner.domid };

	tap_is(HYPERVISOR_event_channel_op(EVTCHNOP_status, &s), -EPERM, "another's status");
	s.dom = NO_DOMAIN;
	tap_is(HYPERVISOR_event_channel_op(EVTCHNOP_status, &s), -ESRCH, "nobody's status");
	tap_is(HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r), -EPERM, "reset of another");
	r.dom = NO_DOMAIN;
	tap_is(HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r), -ESRCH, "reset of nobody");
	tap_is(HYPERVISOR_event_channel_op(200, &s), -XEN_ENOSYS, "an operation that is none");
}

static void pointers(void)
{
	struct evtchn_alloc_unbound unbound = { .dom = NO_DOMAIN };
	struct evtchn_bind_interdomain inter = { .remote_dom = NO_DOMAIN };
	struct evtchn_bind_virq virq = { .virq = 999 };
	struct evtchn_bind_ipi ipi = { .vcpu = 999 };
	struct evtchn_status status = { .dom = DOMID_SELF, .port = 1 };
	struct evtchn_bind_vcpu vcpu = { .port = UNLIKELY_PORT };
	struct evtchn_reset reset = { .dom = NO_DOMAIN };
	evtchn_port_t port = UNLIKELY_PORT;

	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_alloc_unbound, unbound);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_bind_interdomain, inter);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_bind_virq, virq);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_bind_ipi, ipi);
	HOSTILE_EVENT(hostile_out_pointers, EVTCHNOP_status, status);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_bind_vcpu, vcpu);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_close, port);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_send, port);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_unmask, port);
	HOSTILE_EVENT(hostile_pointers, EVTCHNOP_reset, reset);
}

/* As many ports as there are, and all of them free again. */
static void exhaustion(void)
{
	static long ports[4200];
	unsigned int n = 0;
	long rc = 0, freed = 0;

	while (n < sizeof(ports) / sizeof(ports[0]) && (rc = pv_event_bind_ipi(0)) > 0)
		ports[n++] = rc;
	tap_ok(rc == -ENOSPC || n == sizeof(ports) / sizeof(ports[0]),
	       "ports until there are no more (%u, then %ld)", n, rc);
	for (unsigned int i = 0; i < n; i++) {
		struct evtchn_close c = { .port = ports[i] };

		freed += HYPERVISOR_event_channel_op(EVTCHNOP_close, &c) == 0;
	}
	tap_is(freed, n, "all of them closed");
	rc = pv_event_bind_ipi(0);
	tap_ok(rc > 0, "and there are ports again");
	pv_event_close(rc);
}

/* Closes all ports; console and xenstore get theirs again by connecting to the same ends. */
static void reset(void)
{
	struct evtchn_reset r = { .dom = DOMID_SELF };
	struct evtchn_status before[64], after;
	long rc, changed = 0, open = 0, back;
	unsigned int n = 0;

	for (unsigned int port = 1; port < 64; port++) {
		before[port] = status_of(port, &rc);
		n += before[port].status != EVTCHNSTAT_closed;
	}
	rc = HYPERVISOR_event_channel_op(EVTCHNOP_reset, &r);
	for (unsigned int port = 1; port < 64; port++) {
		after = status_of(port, &back);
		open += after.status != EVTCHNSTAT_closed;
	}
	/* The lowest free port is the next: in order they come back under their numbers. */
	for (unsigned int port = 1; port < 64; port++) {
		if (before[port].status != EVTCHNSTAT_interdomain)
			continue;
		back = pv_event_bind_interdomain(before[port].u.interdomain.dom,
						 before[port].u.interdomain.port);
		changed += back != port;
	}
	tap_is(rc, 0, "reset");
	tap_ok(n && !open, "every port is closed (%u were open)", n);
	tap_is(changed, 0, "console and xenstore connected again, to the same ports");
}

int main(void)
{
	partner_find(&partner);
	unbound();
	bad_ports();
	interdomain();
	virqs();
	ipis();
	masks();
	others_ports();
	pointers();
	exhaustion();
	reset();
	return tap_done();
}
