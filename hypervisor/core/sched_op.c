/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sched_op: giving up the hart, waiting for ports, ending domains, the guest's watchdog.
 */
#include <console.h>
#include <domain.h>
#include <event.h>
#include <handlers.h>
#include <lib.h>
#include <sched.h>
#include <xsm.h>

#define MAX_POLL_PORTS 128

long sched_op_yield(void)
{
	vcpu_yield();
	return 0;
}

long sched_op_block(void)
{
	vcpu_block();
	return 0;
}

long sched_op_shutdown(struct sched_shutdown *a)
{
	if (a->reason > SHUTDOWN_MAX)
		return -EINVAL;
	domain_shutdown(current_domain(), a->reason);
	return 0;
}

long sched_op_shutdown_code(struct sched_shutdown *a)
{
	if (a->reason > SHUTDOWN_MAX)
		return -EINVAL;
	domain_set_shutdown_reason(current_domain(), a->reason);
	return 0;
}

long sched_op_remote_shutdown(struct sched_remote_shutdown *a)
{
	struct domain *d;
	long rc;

	if (a->reason > SHUTDOWN_MAX)
		return -EINVAL;
	d = xsm_target(a->domain_id, &rc);
	if (!d)
		return rc;
	domain_shutdown(d, a->reason);
	domain_put(d);
	return 0;
}

/* 1: one of the ports is pending. */
static long poll_check(const struct sched_poll *a, struct domain *d, u32 *only)
{
	for (u32 i = 0; i < a->nr_ports; i++) {
		evtchn_port_t port;

		if (copy_from_guest(&port, a->ports.q + i * sizeof(port), sizeof(port)))
			return -EFAULT;
		if (!evtchn_port_may_exist(d, port))
			return -EINVAL;
		if (evtchn_is_pending(d, port))
			return 1;
		*only = port;
	}
	return 0;
}

long sched_op_poll(struct sched_poll *a)
{
	struct vcpu *v = arch_current();
	u32 only = 0;
	long rc;

	if (a->nr_ports > MAX_POLL_PORTS)
		return -EINVAL;
	WRITE_ONCE(v->poll_port, 0);
	/* The flag first: a port that becomes pending after the look finds it. */
	set_bit(VPF_POLL, &v->pause_flags);
	rc = poll_check(a, v->domain, &only);
	if (rc || !vcpu_may_wait(v)) {
		clear_bit(VPF_POLL, &v->pause_flags);
		return rc < 0 ? rc : 0;
	}
	if (a->nr_ports == 1)
		WRITE_ONCE(v->poll_port, only);
	if (a->timeout) {
		timer_set(&v->poll_timer, domain_host_ns(v->domain, a->timeout));
		/* Whoever has ended the poll before now found no timer to stop. */
		if (!(READ_ONCE(v->pause_flags) & BIT(VPF_POLL)))
			timer_stop(&v->poll_timer);
	}
	vcpu_sleep_nosync(v);
	return 0;
}

/*
 * id 0: takes a free timer and returns its number; else re-arms (timeout > 0) or stops (0) that
 * one.
 */
long sched_op_watchdog(struct sched_watchdog *a)
{
	struct domain *d = current_domain();
	long rc = -EINVAL;

	if (a->id > NR_DOMAIN_WATCHDOGS)
		return -EINVAL;
	spin_lock(&d->lock);
	if (!a->id) {
		rc = a->timeout ? -ENOSPC : -EINVAL;
		for (unsigned int i = 0; a->timeout && i < NR_DOMAIN_WATCHDOGS; i++) {
			if (d->watchdog_used & BIT(i))
				continue;
			domain_watchdog_set(d, i, a->timeout * 1000000000ULL);
			rc = i + 1;
			break;
		}
	} else if (d->watchdog_used & BIT(a->id - 1)) {
		rc = 0;
		if (a->timeout) {
			domain_watchdog_set(d, a->id - 1, a->timeout * 1000000000ULL);
		} else {
			timer_stop(&d->watchdog[a->id - 1]);
			d->watchdog_used &= ~BIT(a->id - 1);
		}
	}
	spin_unlock(&d->lock);
	return rc;
}
