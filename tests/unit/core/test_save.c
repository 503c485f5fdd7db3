// SPDX-License-Identifier: BSD-2-Clause
/*
 * A domain's whole state and its memory, as the control domain gets and sets them: what comes back is what went in, what is
 * not to be had whole is refused, and no stream of records does more than spoil the domain it is for.
 */
#include <event_internal.h>
#include <grant_internal.h>

#include "host.h"

#define STATE_MAX (64 * 1024)
#define NEW 3 /* the domain that gets a state */
#define PAGES 8
#define SHARED_GFN 0x50000UL

static u8 first[STATE_MAX], second[STATE_MAX], stream[STATE_MAX];

static long get(domid_t dom, void *buf, u32 *size)
{
	struct xen_domctl op = { .u.hvmcontext.size = *size };
	long rc;

	set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)buf);
	AS(dom0);
	rc = domctl(dom, XEN_DOMCTL_gethvmcontext, &op);
	if (!rc)
		*size = op.u.hvmcontext.size;
	return rc;
}

static long set(domid_t dom, void *buf, u32 size)
{
	struct xen_domctl op = { .u.hvmcontext.size = size };

	set_xen_guest_handle(op.u.hvmcontext.buffer, (uint8_t *)buf);
	AS(dom0);
	return domctl(dom, XEN_DOMCTL_sethvmcontext, &op);
}

/* The record's descriptor; NULL: there is none. */
static struct hvm_save_descriptor *find(u8 *s, u32 code, u32 instance)
{
	for (;;) {
		struct hvm_save_descriptor *d = (void *)s;

		if (d->typecode == code && d->instance == instance)
			return d;
		if (!d->typecode)
			return NULL;
		s += sizeof(*d) + d->length;
	}
}

#define BODY(s, code, instance) ((void *)(find(s, code, instance) + 1))

static u32 length(u8 *s)
{
	return (u8 *)(find(s, 0, 0) + 1) - s;
}

static struct domain *make_new(unsigned int vcpus)
{
	return make_paused_domain(NEW, vcpus, PAGES);
}

static void end_new(struct domain *d)
{
	(void)d;
	AS(dom0);
	assert_int_equal(domctl(NEW, XEN_DOMCTL_destroydomain, NULL), 0);
}

static void pause_u1(void)
{
	AS(dom0);
	assert_int_equal(domctl(1, XEN_DOMCTL_pausedomain, NULL), 0);
}

/* Everything that there is a record of, each with values of its own. */
static void furnish(struct domain *d)
{
	struct vcpu_register_vcpu_info info = { .mfn = RAM_GFN + 1, .offset = 64 };
	struct vcpu_register_runstate_memory_area area;
	struct vcpu_set_singleshot_timer shot = { .timeout_abs_ns = host.now + 5000000 };
	struct evtchn_bind_virq virq = { .virq = VIRQ_TIMER, .vcpu = 1 };
	struct evtchn_bind_ipi ipi = { .vcpu = 1 };
	struct sched_watchdog dog = { .timeout = 7 };
	evtchn_port_t a, b;

	for (unsigned int i = 0; i < 2; i++) {
		u8 *r = (u8 *)&d->vcpu[i]->arch->record;

		for (size_t n = 0; n < sizeof(struct hvm_riscv_vcpu); n++)
			r[n] = n * 7 + i;
		d->vcpu[i]->arch->record.regs.pc &= ~1ULL;
		d->vcpu[i]->arch->record.satp = 0;
		for (size_t n = 0; n < sizeof(d->vcpu[i]->arch->vector); n++)
			((u8 *)&d->vcpu[i]->arch->vector)[n] = n * 5 + i;
		d->vcpu[i]->arch->vector.head.vlenb = HOST_VLENB;
	}
	join(d, dom0, &a, &b);
	unbound(d, 0);
	AS(d);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_virq, &virq), 0);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi, &ipi), 0);
	assert_int_equal(VCPUOP(VCPUOP_register_vcpu_info, 1, &info), 0);
	area.addr.p = U(guest_page(d, RAM_GFN + 2)) + 4096 - 24;
	/* On the host virtual neighbours are physical ones. */
	if (guest_page(d, RAM_GFN + 3) != (char *)guest_page(d, RAM_GFN + 2) + PAGE_SIZE)
		area.addr.p -= 256;
	assert_int_equal(VCPUOP(VCPUOP_register_runstate_memory_area, 0, &area), 0);
	assert_int_equal(VCPUOP(VCPUOP_set_singleshot_timer, 0, &shot), 0);
	assert_int_equal(SCHED(SCHEDOP_watchdog, &dog), 1);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, SHARED_GFN), 0);
	grant_access(d, 9, 0, RAM_GFN + 4, GTF_readonly);
	grant_access(d, 600, 0, RAM_GFN + 5, GTF_writing);
	d->shared_info->evtchn_mask[3] = 0x1234;
	*(u64 *)((char *)d->shared_info + 4088) = 99;
	d->hvm_params[HVM_PARAM_STORE_EVTCHN] = 3;
	d->time_offset_seconds = -3;
}

/* A state of u1's that is not trivial, in first. */
static u32 some_state(void)
{
	u32 size = STATE_MAX;

	furnish(u1);
	pause_u1();
	assert_int_equal(get(1, first, &size), 0);
	return size;
}

static void what_is_set_is_got(void **state)
{
	u32 size = some_state(), room = 0, again = STATE_MAX;
	struct domain *d = make_new(2);
	struct hvm_riscv_port *port;

	assert_int_equal(size, length(first));
	assert_int_equal(get(1, NULL, &room), 0);
	assert_int_equal(room, size);
	memcpy(stream, first, size);
	assert_int_equal(set(NEW, stream, size), 0);
	assert_memory_equal(stream, first, size);
	assert_int_equal(get(NEW, second, &again), 0);
	assert_int_equal(again, size);
	/* But for what is the control domain's: its ends are open again. */
	for (u32 i = 0;; i++) {
		port = (struct hvm_riscv_port *)BODY(first, HVM_SAVE_PORTS, 0) + i;
		if (port->state == EVTCHNSTAT_interdomain)
			break;
	}
	port->state = EVTCHNSTAT_unbound;
	port->remote_port = 0;
	assert_memory_equal(first, second, size);
	/* Each is there. */
	for (u32 code = HVM_SAVE_DOMAIN; code <= HVM_SAVE_GRANTS; code++)
		assert_non_null(find(first, code, code == HVM_SAVE_AREAS));
	assert_non_null(find(first, HVM_SAVE_VCPU, 1));
	assert_non_null(find(first, HVM_SAVE_GRANTS, 1));
	end_new(d);
}

/* Interrupted behind each record, both give the same. */
static void in_steps(void **state)
{
	u32 size = some_state(), again = STATE_MAX;
	struct domain *d = make_new(2);

	host.preempt_every = 1;
	assert_int_equal(get(1, second, &again), 0);
	assert_true(host.restarts > 10);
	assert_int_equal(again, size);
	host.restarts = 0;
	assert_int_equal(set(NEW, first, size), 0);
	assert_true(host.restarts > 10);
	host.preempt_every = 0;
	/* What a caller left in a2 is no progress. */
	end_new(d);
	d = make_new(2);
	{
		struct xen_domctl op = { .cmd = XEN_DOMCTL_sethvmcontext,
					 .interface_version = XEN_DOMCTL_INTERFACE_VERSION,
					 .domain = NEW,
					 .u.hvmcontext.size = size };

		set_xen_guest_handle(op.u.hvmcontext.buffer, first);
		assert_int_equal(HC(__HYPERVISOR_domctl, U(&op), 0x123456789abcUL), 0);
	}
	end_new(d);
}

/* What the domain's shared_info says: ns, when its time was 0. */
static s64 wall_of(struct domain *d)
{
	const struct shared_info *s = d->shared_info;

	return (s64)((u64)s->wc_sec_hi << 32 | s->wc_sec) * 1000000000 + s->wc_nsec;
}

/* Time goes on where it stood, for whoever asks: the offset, both timers, the watchdog, the areas, the wall clock. */
static void time_goes_on(void **state)
{
	s64 wall = wall_of(u1), then;
	struct vcpu_runstate_info *seen;
	struct hvm_riscv_areas *areas;
	u32 size;
	struct domain *d;

	/* Some time behind, and then more than it was up. */
	for (unsigned int round = 0; round < 2; round++) {
		if (!round) {
			size = some_state();
			then = host.now;
		}
		if (round)
			host.now = 500000; /* another machine, which has just been started */
		else
			advance(3000000000);
		d = make_new(2);
		assert_int_equal(set(NEW, first, size), 0);
		advance(1000);
		assert_int_equal(d->time_delta, 0);
		AS(dom0);
		assert_int_equal(domctl(NEW, XEN_DOMCTL_unpausedomain, NULL), 0);
		assert_int_equal(domain_ns(d, host.now), then);
		assert_int_equal(arch_time_ticks() + d->time_delta, then / HOST_NS_PER_TICK);
		assert_int_equal(domain_host_ns(d, then), host.now);
		assert_int_equal(d->vcpu[0]->arch->starts, 1);
		/* The wall clock is the machine's, and the domain's own three seconds behind. */
		assert_int_equal(wall_of(d) + then, wall + host.now - 3000000000LL);
		assert_true(d->vcpu[0]->singleshot_timer.armed);
		assert_int_equal(d->vcpu[0]->singleshot_timer.expires, host.now + 5000000);
		assert_true(d->watchdog[0].armed);
		assert_false(d->watchdog[1].armed);
		assert_int_equal(d->watchdog[0].expires, host.now + 7000000000);
		areas = BODY(first, HVM_SAVE_AREAS, 0);
		if (areas->runstate_gfn2 == HVM_NO_GFN) {
			seen = (void *)((char *)guest_page(d, areas->runstate_gfn) +
					areas->runstate_offset);
			assert_in_range(seen->state_entry_time, then, then + 1000);
		}
		/* Nobody has been told of what is pending: all are asked to look. */
		assert_int_equal(d->vcpu[1]->info->evtchn_upcall_pending, 1);
		assert_int_equal(d->vcpu[1]->info->evtchn_pending_sel, ~0UL);
		assert_true(d->vcpu[1]->arch->upcalls > 0);
		run_kicked();
		end_new(d);
	}
}

/* The inverse, where it lies before the machine's own start or behind all time. */
static void times_beyond(void **state)
{
	struct domain d = { .time_delta_ns = 1000 };

	assert_int_equal(domain_host_ns(&d, 999), 0);
	assert_int_equal(domain_host_ns(&d, 1000), 0);
	assert_int_equal(domain_host_ns(&d, 1001), 1);
	assert_int_equal(domain_host_ns(&d, ~0ULL), ~0ULL - 1000);
	d.time_delta_ns = -1000;
	assert_int_equal(domain_host_ns(&d, 0), 1000);
	assert_int_equal(domain_host_ns(&d, ~0ULL - 1), ~0ULL);
	assert_int_equal(domain_host_ns(&d, ~0ULL), ~0ULL);
}

/* What is not to be had whole, each by its own error; and nobody is stopped by the question. */
static void refusals(void **state)
{
	struct evtchn_init_control control = { .control_gfn = RAM_GFN + 6 };
	struct sched_shutdown end = { .reason = SHUTDOWN_crash };
	struct evtchn_close close;
	evtchn_port_t a, b;
	u32 size = STATE_MAX, handle;
	struct domain *d;

	assert_int_equal(get(1, first, &size), -EBUSY); /* it runs */
	assert_int_equal(get(0, first, &size), -EINVAL);
	AS(u1);
	assert_int_equal(domctl(1, XEN_DOMCTL_gethvmcontext, NULL), -EPERM);
	pause_u1();
	size = 64;
	assert_int_equal(get(1, first, &size), -ENOSPC);
	size = STATE_MAX;
	assert_int_equal(get(1, (void *)8, &size), -EFAULT);
	/* Ports to others, offered and connected */
	close.port = unbound(u1, 2);
	assert_int_equal(get(1, first, &size), -EXDEV);
	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_close, &close), 0);
	join(u1, u2, &a, &b);
	assert_int_equal(get(1, first, &size), -EXDEV);
	close.port = a;
	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_close, &close), 0);
	/* Grants to others, and what others have mapped of one that was revoked */
	grant_access(u1, 8, 2, RAM_GFN, 0);
	assert_int_equal(get(1, first, &size), -EXDEV);
	AS(u2);
	assert_int_equal(map_grant(1, 8, HOLE, 0, &handle), GNTST_okay);
	grant_entry(u1, 8)->flags = 0;
	assert_int_equal(get(1, first, &size), -EXDEV);
	AS(u2);
	assert_int_equal(unmap_grant(handle, HOLE), GNTST_okay);
	assert_int_equal(get(1, first, &size), 0);
	/* Others' grants */
	grant_access(u2, 8, 1, RAM_GFN, 0);
	AS(u1);
	assert_int_equal(map_grant(2, 8, HOLE, 0, &handle), GNTST_okay);
	assert_int_equal(get(1, first, &size), -EMLINK);
	AS(u1);
	assert_int_equal(unmap_grant(handle, HOLE), GNTST_okay);
	/* An area that is held, and mapped no more */
	furnish(u1);
	assert_int_equal(decrease(1, RAM_GFN + 1, 0), 1);
	size = STATE_MAX;
	assert_int_equal(get(1, first, &size), -ENXIO);
	/* FIFO: its queues move while nobody but itself holds it up */
	grant_entry(u2, 8)->flags = 0;
	close.port = b;
	AS(u2);
	assert_int_equal(EVTCHN(EVTCHNOP_close, &close), 0);
	assert_int_equal(EVTCHN(EVTCHNOP_init_control, &control), 0);
	assert_int_equal(SCHED(SCHEDOP_shutdown, &end), 0);
	size = STATE_MAX;
	assert_int_equal(get(2, first, &size), -EBUSY);
	AS(dom0);
	assert_int_equal(domctl(2, XEN_DOMCTL_pausedomain, NULL), 0);
	assert_int_equal(get(2, first, &size), 0);
	/* One that is being filled, and one that dies */
	d = make_new(1);
	d->state.given = STATE_PARTIAL;
	assert_int_equal(get(NEW, first, &size), -EBUSY);
	end_new(d);
}

/* ---- hostile records ---- */

struct wrong {
	const char *what;
	u32 code, instance, offset, bytes;
	u64 value;
	long rc;
	bool early; /* nothing has happened to the domain */
};

#define W(c, i, type, member, v, ...) \
	{ \
#type "." #member " = " #v, HVM_SAVE_##c, i, \
			offsetof(struct hvm_riscv_##type, member), \
			sizeof(((struct hvm_riscv_##type *)0)->member), v, __VA_ARGS__ \
	}
#define PORT(member, v) W(PORTS, 0, port, member, v, -EINVAL, false)

static const struct wrong wrongs[] = {
	W(DOMAIN, 0, domain, magic, 1, -EINVAL, true),
	W(DOMAIN, 0, domain, abi, 2, -EINVAL, true),
	W(DOMAIN, 0, domain, max_vcpus, 3, -EINVAL, true),
	W(DOMAIN, 0, domain, timebase_frequency, 0, -EINVAL, true),
	W(DOMAIN, 0, domain, timebase_frequency, 1000000, -EOPNOTSUPP, true),
	W(DOMAIN, 0, domain, ticks, ~0ULL, -EINVAL, true),
	W(DOMAIN, 0, domain, flags, 4, -EINVAL, true),
	W(DOMAIN, 0, domain, flags, HVM_DOMAIN_FIFO | HVM_DOMAIN_SUSPENDED, -EINVAL, true),
	W(VCPU, 0, vcpu, flags, 4, -EINVAL, false),
	W(VCPU, 1, vcpu, regs.pc, 0x1001, -EINVAL, false),
	W(VCPU, 1, vcpu, satp, 10ULL << 60, -EOPNOTSUPP, false),
	W(VECTOR, 0, vector, vlenb, 32, -EINVAL, false),
	W(AREAS, 1, areas, vcpu_info_gfn, HOLE, -EINVAL, false),
	W(AREAS, 1, areas, vcpu_info_gfn, 1ULL << 60, -EINVAL, false),
	W(AREAS, 1, areas, vcpu_info_gfn, HVM_NO_GFN, -EINVAL, false),
	W(AREAS, 1, areas, vcpu_info_offset, 4092, -EINVAL, false),
	W(AREAS, 1, areas, vcpu_info_offset, 4096 - 40, -EINVAL, false),
	W(AREAS, 1, areas, vcpu_info_offset, ~0U, -EINVAL, false),
	W(AREAS, 1, areas, runstate_offset, 8, -EINVAL, false),
	W(AREAS, 0, areas, runstate_gfn, HOLE, -EINVAL, false),
	W(AREAS, 0, areas, runstate_gfn, HVM_NO_GFN, -EINVAL, false),
	W(AREAS, 0, areas, runstate_gfn2, HOLE, -EINVAL, false),
	W(AREAS, 0, areas, runstate_offset, 4097, -EINVAL, false),
	W(AREAS, 0, areas, runstate_offset, 4, -EINVAL, false),
	PORT(port, 0),
	PORT(port, 128),
	PORT(port, ~0U),
	PORT(port, 2),
	PORT(state, EVTCHNSTAT_closed),
	PORT(state, EVTCHNSTAT_pirq),
	PORT(state, 77),
	PORT(vcpu, 2),
	PORT(vcpu, 0xffff),
	PORT(priority, 16),
	PORT(virq, 1),
	PORT(flags, HVM_PORT_PENDING), /* shared_info says that */
	PORT(flags, 2),
};

static void apply(const struct wrong *w)
{
	memcpy((char *)BODY(stream, w->code, w->instance) + w->offset, &w->value, w->bytes);
}

/* It cannot run, nor be asked or filled again; it can be destroyed. */
static void is_spoilt(void)
{
	u32 size = STATE_MAX;

	AS(dom0);
	assert_int_equal(domctl(NEW, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	assert_int_equal(get(NEW, second, &size), -EBUSY);
	assert_int_equal(set(NEW, first, length(first)), -EBUSY);
}

static void hostile_values(void **state)
{
	u32 size = some_state();

	for (unsigned int i = 0; i < ARRAY_SIZE(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		struct domain *d = make_new(2);
		long rc;

		memcpy(stream, first, size);
		apply(w);
		rc = set(NEW, stream, size);
		if (rc != w->rc)
			fail_msg("%s: %ld instead of %ld", w->what, rc, w->rc);
		if (w->early)
			assert_int_equal(set(NEW, first, size), 0);
		else
			is_spoilt();
		end_new(d);
	}
}

/* Of the virtual interrupt's port, and the rest that a table does not say. */
static void hostile_ports(void **state)
{
	u32 size = some_state(), at;
	static const struct {
		u32 virq;
		u16 vcpu;
		u32 remote;
	} wrong[] = {
		{ NR_VIRQS, 1, 0 }, { ~0U, 1, 0 }, { VIRQ_DOM_EXC, 0, 0 }, { VIRQ_TIMER, 1, 5 }
	};
	struct hvm_riscv_port *p;
	struct domain *d;

	for (at = 0;; at++) {
		p = (struct hvm_riscv_port *)BODY(first, HVM_SAVE_PORTS, 0) + at;
		if (p->state == EVTCHNSTAT_virq)
			break;
	}
	for (unsigned int i = 0; i <= ARRAY_SIZE(wrong); i++) {
		memcpy(stream, first, size);
		p = BODY(stream, HVM_SAVE_PORTS, 0);
		if (i < ARRAY_SIZE(wrong)) {
			p[at].virq = wrong[i].virq;
			p[at].vcpu = wrong[i].vcpu;
			p[at].remote_port = wrong[i].remote;
		} else { /* the same one twice */
			p[at + 1] = p[at];
			p[at + 1].port++;
		}
		d = make_new(2);
		assert_int_equal(set(NEW, stream, size), -EINVAL);
		is_spoilt();
		end_new(d);
	}
	/* One that the domain has already. */
	d = make_new(2);
	{
		struct evtchn_alloc_unbound a = { .dom = NEW, .remote_dom = 0 };

		AS(dom0);
		assert_int_equal(EVTCHN(EVTCHNOP_alloc_unbound, &a), 0);
	}
	assert_int_equal(set(NEW, first, size), -EINVAL);
	end_new(d);
}

static void hostile_grants(void **state)
{
	u32 size = some_state();

	for (unsigned int i = 0; i < 4; i++) {
		struct domain *d = make_new(2);
		grant_entry_v1_t *e;

		memcpy(stream, first, size);
		e = BODY(stream, HVM_SAVE_GRANTS, 0);
		if (i == 0)
			e[9].domid = 2;
		else if (i == 1)
			e[9].flags |= GTF_writing;
		else if (i == 2)
			find(stream, HVM_SAVE_GRANTS, 1)->instance = 4; /* more than it may have */
		else
			find(stream, HVM_SAVE_GRANTS, 1)->instance = 0xffff;
		assert_int_equal(set(NEW, stream, size), -EINVAL);
		assert_int_equal(d->grant->pins[0][9].readers, 0);
		end_new(d);
	}
}

/* Lengths, order, doubles, unknown records, ends; and the stream cut at each of its bytes by eight. */
static void hostile_frames(void **state)
{
	u32 size = some_state();
	struct domain *d;

	for (u32 cut = 0; cut < size; cut += 8) {
		d = make_new(2);
		assert_int_equal(set(NEW, first, cut), -EINVAL);
		end_new(d);
	}
	for (u8 *s = first; s < first + size;) {
		struct hvm_save_descriptor was = *(struct hvm_save_descriptor *)s;
		static const struct {
			s32 code, instance, length;
		} add[] = { { 0, 0, 8 },      { 0, 0, -8 },    { 0, 0, 0x7fffffff },
			    { 0, 0x4000, 0 }, { 0x100, 0, 0 }, { -1, 0, 0 } };

		for (unsigned int i = 0; i < ARRAY_SIZE(add); i++) {
			struct hvm_save_descriptor *w;
			long rc;

			memcpy(stream, first, size);
			w = (void *)(stream + (s - first));
			w->typecode += add[i].code;
			w->instance += add[i].instance;
			w->length += add[i].length;
			d = make_new(2);
			rc = set(NEW, stream, size);
			if (rc != -EINVAL)
				fail_msg("record %u.%u, change %u: %ld", was.typecode, was.instance,
					 i, rc);
			end_new(d);
		}
		s += sizeof(was) + was.length;
	}
	/* Twice the same, and something behind the end */
	d = make_new(2);
	memcpy(stream, first, size);
	*find(stream, HVM_SAVE_VCPU, 1) = *find(first, HVM_SAVE_VCPU, 0);
	assert_int_equal(set(NEW, stream, size), -EINVAL);
	is_spoilt();
	end_new(d);
	d = make_new(2);
	memset(first + size, 0, 8);
	assert_int_equal(set(NEW, first, size + 8), -EINVAL);
	assert_int_equal(set(NEW, first, 1U << 28), -EINVAL);
	end_new(d);
}

/* ---- races ---- */

static void wrong_moments(void **state)
{
	u32 size = some_state();
	struct domain *d = make_new(2);

	assert_int_equal(set(1, first, size), -EBUSY); /* it has run */
	assert_int_equal(set(0, first, size), -EINVAL); /* its own caller */
	assert_int_equal(set(NEW, first, size), 0);
	assert_int_equal(set(NEW, first, size), -EBUSY);
	AS(dom0);
	assert_int_equal(domctl(NEW, XEN_DOMCTL_unpausedomain, NULL), 0);
	assert_int_equal(domctl(NEW, XEN_DOMCTL_pausedomain, NULL), 0);
	assert_int_equal(set(NEW, first, size), -EBUSY);
	end_new(d);
	/* vCPUs that are not there */
	{
		struct domain *e;
		struct xen_domctl_createdomain config = default_config(2);

		assert_int_equal(domain_create(NEW, &config, &e), 0);
		assert_int_equal(set(NEW, first, size), -EINVAL);
		is_spoilt();
		end_new(e);
	}
}

static unsigned int parts;

/* What other callers do between two parts: nothing of it lets the domain run half filled, or keeps it from its end. */
static void meanwhile(void)
{
	struct domain *d = domain_get(NEW);
	u64 saved[5];
	void (*between)(void) = host.between;
	unsigned int nr = host.restart_nr;
	u32 size = STATE_MAX;

	if (!d)
		return;
	memcpy(saved, host.restart_args, sizeof(saved));
	host.between = NULL;
	parts++;
	AS(dom0);
	assert_int_equal(domctl(NEW, XEN_DOMCTL_unpausedomain, NULL), -EINVAL);
	assert_int_equal(set(NEW, first, length(first)), -EBUSY);
	assert_int_equal(get(NEW, second, &size), -EBUSY);
	if (parts == 6)
		assert_int_equal(domctl(NEW, XEN_DOMCTL_destroydomain, NULL), 0);
	host.between = between;
	host.restart_nr = nr;
	memcpy(host.restart_args, saved, sizeof(saved));
	domain_put(d);
}

static void others_come_between(void **state)
{
	u32 size = some_state();

	make_new(2);
	host.preempt_every = 1;
	host.between = meanwhile;
	parts = 0;
	assert_int_equal(set(NEW, first, size), -ESRCH);
	assert_int_equal(parts, 6);
	host.between = NULL;
	host.preempt_every = 0;
	assert_null(domain_get(NEW));
}

/* ---- memory ---- */

static u8 pages[4 * PAGE_SIZE] __aligned(8), kinds[4];

static long memory(domid_t dom, u32 op, u64 *gfns, u32 n)
{
	struct xen_domctl c = { .u.pavise_memory = { .op = op,
						     .count = n,
						     .gfns = U(gfns),
						     .pages = U(pages),
						     .kinds = U(kinds) } };

	return domctl(dom, PAVISE_DOMCTL_memory, &c);
}

static void pages_in_and_out(void **state)
{
	u64 gfns[] = { RAM_GFN, RAM_GFN + 1, HOLE, RAM_GFN + 2 };

	memset(guest_page(u1, RAM_GFN), 1, PAGE_SIZE);
	*((u8 *)guest_page(u1, RAM_GFN + 2) + 4095) = 7;
	AS(dom0);
	for (host.preempt_every = 0; host.preempt_every < 2; host.preempt_every++) {
		memset(pages, 0xee, sizeof(pages));
		assert_int_equal(memory(1, PAVISE_MEMORY_read, gfns, 4), 0);
		assert_int_equal(kinds[0], PAVISE_MEMORY_data);
		assert_int_equal(kinds[1], PAVISE_MEMORY_zero);
		assert_int_equal(kinds[2], PAVISE_MEMORY_hole);
		assert_int_equal(kinds[3], PAVISE_MEMORY_data);
		assert_memory_equal(pages, guest_page(u1, RAM_GFN), PAGE_SIZE);
		assert_int_equal(pages[PAGE_SIZE], 0xee);
		assert_int_equal(pages[4 * PAGE_SIZE - 1], 7);
	}
	host.preempt_every = 0;
	gfns[2] = RAM_GFN + 3;
	memset(pages, 5, sizeof(pages));
	assert_int_equal(memory(2, PAVISE_MEMORY_write, gfns, 4), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_memory_equal(pages, guest_page(u2, gfns[i]), PAGE_SIZE);
	gfns[1] = HOLE;
	assert_int_equal(memory(2, PAVISE_MEMORY_write, gfns, 4), -ENOENT);
	gfns[1] = ~0ULL;
	assert_int_equal(memory(2, PAVISE_MEMORY_write, gfns, 4), -ENOENT);
	assert_int_equal(memory(2, PAVISE_MEMORY_write, NULL, 1), -EFAULT);
	assert_int_equal(memory(2, 3, gfns, 4), -EINVAL);
	assert_int_equal(memory(2, PAVISE_MEMORY_read, gfns, 0x10000), -EINVAL);
	assert_int_equal(memory(0, PAVISE_MEMORY_read, gfns, 1), -EINVAL);
	assert_int_equal(memory(7, PAVISE_MEMORY_read, gfns, 1), -ESRCH);
	AS(u1);
	assert_int_equal(memory(1, PAVISE_MEMORY_read, gfns, 1), -EPERM);
	assert_int_equal(memory(2, PAVISE_MEMORY_read, gfns, 1), -EPERM);
}

/* What it maps of others is not its memory; what a lent page hides is. */
static void whose_memory(void **state)
{
	u64 gfns[] = { HOLE, RAM_GFN + 9, SHARED_GFN };
	u32 handle;

	grant_access(u2, 8, 1, RAM_GFN, 0);
	memset(guest_page(u2, RAM_GFN), 3, PAGE_SIZE);
	memset(guest_page(u1, RAM_GFN + 9), 4, PAGE_SIZE);
	AS(u1);
	assert_int_equal(map_grant(2, 8, HOLE, 0, &handle), GNTST_okay);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 9), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, SHARED_GFN), 0);
	AS(dom0);
	assert_int_equal(memory(1, PAVISE_MEMORY_read, gfns, 3), 0);
	assert_int_equal(kinds[0], PAVISE_MEMORY_hole);
	assert_int_equal(kinds[1], PAVISE_MEMORY_data);
	assert_int_equal(kinds[2], PAVISE_MEMORY_hole);
	assert_int_equal(pages[PAGE_SIZE], 4);
	memset(pages, 6, PAGE_SIZE);
	assert_int_equal(memory(1, PAVISE_MEMORY_write, gfns, 1), -ENOENT);
	assert_int_equal(memory(1, PAVISE_MEMORY_write, gfns + 2, 1), -ENOENT);
	assert_int_equal(memory(1, PAVISE_MEMORY_write, gfns + 1, 1), 0);
	assert_int_equal(*(u8 *)guest_page(u2, RAM_GFN), 3);
	AS(u1);
	assert_int_equal(remove_gfn(DOMID_SELF, RAM_GFN + 9), 0);
	assert_int_equal(*(u8 *)guest_page(u1, RAM_GFN + 9), 6);
	assert_int_equal(unmap_grant(handle, HOLE), GNTST_okay);
}

static u32 map_all(domid_t dom, struct pavise_memory_run *runs, u32 max, u32 piece)
{
	struct xen_domctl c = { 0 };
	u32 n = 0;

	AS(dom0);
	do {
		c.u.pavise_memory.op = PAVISE_MEMORY_map;
		c.u.pavise_memory.count = piece;
		c.u.pavise_memory.runs = U(runs + n);
		assert_true(n + piece <= max);
		assert_int_equal(domctl(dom, PAVISE_DOMCTL_memory, &c), 0);
		n += c.u.pavise_memory.count;
	} while (c.u.pavise_memory.count == piece);
	return n;
}

static void what_is_where(void **state)
{
	struct pavise_memory_run runs[128];
	u32 n, handle, pieces[] = { 1, 2, 64 };
	u64 ram;

	grant_access(u2, 8, 1, RAM_GFN, 0);
	AS(u1);
	assert_int_equal(map_grant(2, 8, HOLE, 0, &handle), GNTST_okay);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_shared_info, 0, RAM_GFN + 9), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 0, SHARED_GFN), 0);
	assert_int_equal(add(DOMID_SELF, XENMAPSPACE_grant_table, 2, SHARED_GFN + 1), 0);
	assert_int_equal(decrease(1, RAM_GFN + 20, 0), 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(pieces); i++) {
		n = map_all(1, runs, 128, pieces[i]);
		assert_int_equal(n, 7);
		assert_int_equal(runs[0].gfn, SHARED_GFN);
		assert_int_equal(runs[0].what, PAVISE_RUN_grant_table);
		assert_int_equal(runs[0].index, 0);
		assert_int_equal(runs[1].what, PAVISE_RUN_grant_table);
		assert_int_equal(runs[1].index, 2);
		assert_int_equal(runs[2].gfn, HOLE);
		assert_int_equal(runs[2].what, PAVISE_RUN_other);
		assert_int_equal(runs[3].gfn, RAM_GFN);
		assert_int_equal(runs[3].pages, 9);
		assert_int_equal(runs[3].what, PAVISE_RUN_ram);
		assert_int_equal(runs[4].what, PAVISE_RUN_shared_info | PAVISE_RUN_hides_ram);
		assert_int_equal(runs[4].gfn, RAM_GFN + 9);
		assert_int_equal(runs[5].pages, 10);
		assert_int_equal(runs[6].gfn, RAM_GFN + 21);
		assert_int_equal(runs[6].pages, U_PAGES - 21);
	}
	/* Interrupted at each look, runs are shorter; together they are the same. */
	host.preempt_every = 1;
	n = map_all(1, runs, 128, 16);
	host.preempt_every = 0;
	ram = 0;
	for (u32 i = 0; i < n; i++) {
		ram += runs[i].what == PAVISE_RUN_ram ? runs[i].pages : 0;
		assert_true(!i || runs[i].gfn >= runs[i - 1].gfn + runs[i - 1].pages);
	}
	assert_int_equal(ram, U_PAGES - 2);
	AS(u1);
	assert_int_equal(unmap_grant(handle, HOLE), GNTST_okay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_set_is_got),
		TEST(in_steps),
		TEST(time_goes_on),
		TEST(times_beyond),
		TEST(refusals),
		TEST(hostile_values),
		TEST(hostile_ports),
		TEST(hostile_grants),
		TEST(hostile_frames),
		TEST(wrong_moments),
		TEST(others_come_between),
		TEST(pages_in_and_out),
		TEST(whose_memory),
		TEST(what_is_where),
	};

	return RUN(tests);
}
