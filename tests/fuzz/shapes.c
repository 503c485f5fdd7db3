// SPDX-License-Identifier: BSD-2-Clause
/*
 * Arguments of hypercalls. A row of hypercalls.tbl whose structure has no shape here gets one of numbers that are small
 * more often than not, so a new row is fuzzed at once, and better once it is described.
 */
#include "fuzz.h"

struct field {
	u16 offset, size;
	enum field_kind kind;
};

struct shape {
	const char *name; /* of a row or of a type */
	size_t size;
	unsigned int count; /* at most so many in an array */
	struct field fields[10];
};

#define F(type, member, kind) \
	{ \
		offsetof(type, member), sizeof(((type *)0)->member), kind \
	}
#define SHAPE(name, type, count, ...) \
	{ \
		name, sizeof(type), count, \
		{ \
			__VA_ARGS__ \
		} \
	}
#define OF_TYPE(type, ...) SHAPE(#type, type, 1, __VA_ARGS__)

typedef struct xen_domctl_createdomain createdomain;
typedef struct gnttab_copy copy;

static const struct shape shapes[] = {
	OF_TYPE(struct evtchn_bind_interdomain,
		F(struct evtchn_bind_interdomain, remote_dom, DOMID),
		F(struct evtchn_bind_interdomain, remote_port, PORT)),
	OF_TYPE(struct evtchn_bind_virq, F(struct evtchn_bind_virq, virq, VIRQ),
		F(struct evtchn_bind_virq, vcpu, VCPU)),
	OF_TYPE(struct evtchn_bind_pirq, F(struct evtchn_bind_pirq, pirq, PIRQ),
		F(struct evtchn_bind_pirq, flags, BITS)),
	OF_TYPE(struct evtchn_close, F(struct evtchn_close, port, PORT)),
	SHAPE("EVTCHNOP_send", struct evtchn_send, 1, F(struct evtchn_send, port, PORT)),
	OF_TYPE(struct evtchn_unmask, F(struct evtchn_unmask, port, PORT)),
	OF_TYPE(struct evtchn_status, F(struct evtchn_status, dom, DOMID),
		F(struct evtchn_status, port, PORT)),
	OF_TYPE(struct evtchn_alloc_unbound, F(struct evtchn_alloc_unbound, dom, DOMID),
		F(struct evtchn_alloc_unbound, remote_dom, DOMID)),
	OF_TYPE(struct evtchn_bind_ipi, F(struct evtchn_bind_ipi, vcpu, VCPU)),
	OF_TYPE(struct evtchn_bind_vcpu, F(struct evtchn_bind_vcpu, port, PORT),
		F(struct evtchn_bind_vcpu, vcpu, VCPU)),
	OF_TYPE(struct evtchn_set_priority, F(struct evtchn_set_priority, port, PORT),
		F(struct evtchn_set_priority, priority, SMALL)),
	SHAPE("EVTCHNOP_init_control", struct evtchn_init_control, 1,
	      F(struct evtchn_init_control, control_gfn, GFN),
	      F(struct evtchn_init_control, offset, OFFSET),
	      F(struct evtchn_init_control, vcpu, VCPU)),
	SHAPE("EVTCHNOP_expand_array", struct evtchn_expand_array, 1,
	      F(struct evtchn_expand_array, array_gfn, GFN)),
	SHAPE("EVTCHNOP_reset", struct evtchn_reset, 1, F(struct evtchn_reset, dom, DOMID)),

	SHAPE("GNTTABOP_map_grant_ref", struct gnttab_map_grant_ref, 4,
	      F(struct gnttab_map_grant_ref, host_addr, GADDR),
	      F(struct gnttab_map_grant_ref, flags, BITS), F(struct gnttab_map_grant_ref, ref, REF),
	      F(struct gnttab_map_grant_ref, dom, DOMID)),
	SHAPE("GNTTABOP_unmap_grant_ref", struct gnttab_unmap_grant_ref, 4,
	      F(struct gnttab_unmap_grant_ref, host_addr, GADDR),
	      F(struct gnttab_unmap_grant_ref, handle, HANDLE)),
	SHAPE("GNTTABOP_setup_table", struct gnttab_setup_table, 1,
	      F(struct gnttab_setup_table, dom, DOMID),
	      F(struct gnttab_setup_table, nr_frames, SMALL),
	      F(struct gnttab_setup_table, frame_list, LIST_GFNS)),
	SHAPE("GNTTABOP_copy", copy, 4, F(copy, flags, SMALL), F(copy, len, LENGTH),
	      F(copy, source.domid, DOMID), F(copy, source.offset, OFFSET),
	      F(copy, source.u, REF_OR_GFN), F(copy, dest.domid, DOMID),
	      F(copy, dest.offset, OFFSET), F(copy, dest.u, REF_OR_GFN)),
	SHAPE("GNTTABOP_query_size", struct gnttab_query_size, 1,
	      F(struct gnttab_query_size, dom, DOMID)),
	SHAPE("GNTTABOP_set_version", struct gnttab_set_version, 1,
	      F(struct gnttab_set_version, version, SMALL)),
	SHAPE("GNTTABOP_get_version", struct gnttab_get_version, 1,
	      F(struct gnttab_get_version, dom, DOMID)),
	SHAPE("GNTTABOP_cache_flush", struct gnttab_cache_flush, 3,
	      F(struct gnttab_cache_flush, a, GADDR), F(struct gnttab_cache_flush, offset, OFFSET),
	      F(struct gnttab_cache_flush, length, LENGTH),
	      F(struct gnttab_cache_flush, op, SMALL)),

	SHAPE("XENMEM_populate_physmap", struct xen_memory_reservation, 1,
	      F(struct xen_memory_reservation, extent_start, LIST_GFNS),
	      F(struct xen_memory_reservation, nr_extents, SMALL),
	      F(struct xen_memory_reservation, extent_order, ORDER),
	      F(struct xen_memory_reservation, domid, DOMID)),
	SHAPE("XENMEM_decrease_reservation", struct xen_memory_reservation, 1,
	      F(struct xen_memory_reservation, extent_start, LIST_GFNS),
	      F(struct xen_memory_reservation, nr_extents, SMALL),
	      F(struct xen_memory_reservation, extent_order, ORDER),
	      F(struct xen_memory_reservation, domid, DOMID)),
	SHAPE("XENMEM_increase_reservation", struct xen_memory_reservation, 1,
	      F(struct xen_memory_reservation, nr_extents, SMALL),
	      F(struct xen_memory_reservation, domid, DOMID)),
	OF_TYPE(struct xen_memory_reservation, F(struct xen_memory_reservation, nr_extents, SMALL),
		F(struct xen_memory_reservation, domid, DOMID)),
	OF_TYPE(domid_t, { 0, sizeof(domid_t), DOMID }),
	OF_TYPE(struct xen_add_to_physmap, F(struct xen_add_to_physmap, domid, DOMID),
		F(struct xen_add_to_physmap, gpfn, GFN), F(struct xen_add_to_physmap, space, SPACE),
		F(struct xen_add_to_physmap, idx, INDEX),
		F(struct xen_add_to_physmap, size, SMALL)),
	SHAPE("XENMEM_add_to_physmap_batch", struct xen_add_to_physmap_batch, 1,
	      F(struct xen_add_to_physmap_batch, domid, DOMID),
	      F(struct xen_add_to_physmap_batch, space, SPACE),
	      F(struct xen_add_to_physmap_batch, size, SMALL),
	      F(struct xen_add_to_physmap_batch, u, DOMID),
	      F(struct xen_add_to_physmap_batch, idxs, LIST_GFNS),
	      F(struct xen_add_to_physmap_batch, gpfns, LIST_GFNS),
	      F(struct xen_add_to_physmap_batch, errs, BUFFER)),
	OF_TYPE(struct xen_remove_from_physmap, F(struct xen_remove_from_physmap, domid, DOMID),
		F(struct xen_remove_from_physmap, gpfn, GFN)),
	SHAPE("XENMEM_sharing_op", struct xen_mem_sharing_op, 1,
	      F(struct xen_mem_sharing_op, op, SHARING_OP),
	      F(struct xen_mem_sharing_op, domain, DOMID),
	      F(struct xen_mem_sharing_op, u.fork.parent_domain, DOMID)),
	SHAPE("XENMEM_acquire_resource", struct xen_mem_acquire_resource, 1,
	      F(struct xen_mem_acquire_resource, domid, DOMID),
	      F(struct xen_mem_acquire_resource, type, INDEX),
	      F(struct xen_mem_acquire_resource, nr_frames, SMALL),
	      F(struct xen_mem_acquire_resource, frame, SMALL),
	      F(struct xen_mem_acquire_resource, frame_list, LIST_GFNS)),

	OF_TYPE(struct sched_shutdown, F(struct sched_shutdown, reason, SMALL)),
	OF_TYPE(struct sched_remote_shutdown, F(struct sched_remote_shutdown, domain_id, DOMID),
		F(struct sched_remote_shutdown, reason, SMALL)),
	OF_TYPE(struct sched_poll, F(struct sched_poll, ports, LIST_PORTS),
		F(struct sched_poll, nr_ports, SMALL), F(struct sched_poll, timeout, TIME)),
	OF_TYPE(struct sched_watchdog, F(struct sched_watchdog, id, SMALL),
		F(struct sched_watchdog, timeout, SMALL)),

	OF_TYPE(struct vcpu_guest_context, F(struct vcpu_guest_context, flags, SMALL),
		F(struct vcpu_guest_context, user_regs.pc, GADDR),
		F(struct vcpu_guest_context, satp, WILD)),
	OF_TYPE(struct vcpu_register_runstate_memory_area,
		F(struct vcpu_register_runstate_memory_area, addr, AREA)),
	OF_TYPE(struct vcpu_set_singleshot_timer,
		F(struct vcpu_set_singleshot_timer, timeout_abs_ns, TIME),
		F(struct vcpu_set_singleshot_timer, flags, SMALL)),
	OF_TYPE(struct vcpu_register_vcpu_info, F(struct vcpu_register_vcpu_info, mfn, GFN),
		F(struct vcpu_register_vcpu_info, offset, OFFSET)),

	OF_TYPE(struct physdev_eoi, F(struct physdev_eoi, irq, PIRQ)),
	OF_TYPE(struct physdev_irq_status_query, F(struct physdev_irq_status_query, irq, PIRQ)),
	OF_TYPE(struct xen_hvm_param, F(struct xen_hvm_param, domid, DOMID),
		F(struct xen_hvm_param, index, SMALL), F(struct xen_hvm_param, value, WILD)),

	SHAPE("sysctl.u.readconsole", struct xen_sysctl_readconsole, 1,
	      F(struct xen_sysctl_readconsole, clear, SMALL),
	      F(struct xen_sysctl_readconsole, incremental, SMALL),
	      F(struct xen_sysctl_readconsole, index, WILD),
	      F(struct xen_sysctl_readconsole, buffer, BUFFER),
	      F(struct xen_sysctl_readconsole, count, OFFSET)),
	SHAPE("sysctl.u.getdomaininfolist", struct xen_sysctl_getdomaininfolist, 1,
	      F(struct xen_sysctl_getdomaininfolist, first_domain, SMALL),
	      F(struct xen_sysctl_getdomaininfolist, max_domains, SMALL),
	      F(struct xen_sysctl_getdomaininfolist, buffer, BUFFER)),
	SHAPE("sysctl.u.debug_keys", struct xen_sysctl_debug_keys, 1,
	      F(struct xen_sysctl_debug_keys, keys, KEY),
	      F(struct xen_sysctl_debug_keys, nr_keys, SMALL)),
	SHAPE("sysctl.u.getcpuinfo", struct xen_sysctl_getcpuinfo, 1,
	      F(struct xen_sysctl_getcpuinfo, max_cpus, SMALL),
	      F(struct xen_sysctl_getcpuinfo, info, BUFFER)),
	SHAPE("sysctl.u.cputopoinfo", struct xen_sysctl_cputopoinfo, 1,
	      F(struct xen_sysctl_cputopoinfo, num_cpus, SMALL),
	      F(struct xen_sysctl_cputopoinfo, cputopo, BUFFER)),

	SHAPE("sysctl.u.scheduler_op", struct xen_sysctl_scheduler_op, 1,
	      F(struct xen_sysctl_scheduler_op, cpupool_id, INDEX),
	      F(struct xen_sysctl_scheduler_op, sched_id, SMALL),
	      F(struct xen_sysctl_scheduler_op, cmd, INDEX),
	      F(struct xen_sysctl_scheduler_op, u.sched_credit2.ratelimit_us, OFFSET)),

	SHAPE("sysctl.u.cpupool_op", struct xen_sysctl_cpupool_op, 1,
	      F(struct xen_sysctl_cpupool_op, op, SMALL),
	      F(struct xen_sysctl_cpupool_op, cpupool_id, INDEX),
	      F(struct xen_sysctl_cpupool_op, sched_id, SMALL),
	      F(struct xen_sysctl_cpupool_op, domid, DOMID),
	      F(struct xen_sysctl_cpupool_op, cpu, SMALL),
	      F(struct xen_sysctl_cpupool_op, cpumap.bitmap, BUFFER),
	      F(struct xen_sysctl_cpupool_op, cpumap.nr_bits, OFFSET)),

	SHAPE("XEN_DOMCTL_createdomain", createdomain, 1, F(createdomain, cpupool_id, INDEX),
	      F(createdomain, max_vcpus, SMALL), F(createdomain, max_evtchn_port, WILD),
	      F(createdomain, max_grant_frames, SMALL),
	      F(createdomain, max_maptrack_frames, SMALL)),
	SHAPE("domctl.u.max_mem", struct xen_domctl_max_mem, 1,
	      F(struct xen_domctl_max_mem, max_memkb, LENGTH)),
	SHAPE("domctl.u.max_vcpus", struct xen_domctl_max_vcpus, 1,
	      F(struct xen_domctl_max_vcpus, max, SMALL)),
	SHAPE("domctl.u.vcpucontext", struct xen_domctl_vcpucontext, 1,
	      F(struct xen_domctl_vcpucontext, vcpu, VCPU),
	      F(struct xen_domctl_vcpucontext, ctxt, BUFFER)),
	SHAPE("XEN_DOMCTL_gethvmcontext", struct xen_domctl_hvmcontext, 1,
	      F(struct xen_domctl_hvmcontext, buffer, STATE_BUFFER),
	      F(struct xen_domctl_hvmcontext, size, STATE_SIZE)),
	SHAPE("XEN_DOMCTL_sethvmcontext", struct xen_domctl_hvmcontext, 1,
	      F(struct xen_domctl_hvmcontext, buffer, STATE_RECORDS),
	      F(struct xen_domctl_hvmcontext, size, STATE_SIZE)),
	SHAPE("domctl.u.shadow_op", struct xen_domctl_shadow_op, 1,
	      F(struct xen_domctl_shadow_op, op, SHADOW_OP),
	      F(struct xen_domctl_shadow_op, mode, SHADOW_MODE),
	      F(struct xen_domctl_shadow_op, dirty_bitmap, SHADOW_BITMAP),
	      F(struct xen_domctl_shadow_op, pages, GFN)),
	SHAPE("domctl.u.pavise_memory", struct pavise_domctl_memory, 1,
	      F(struct pavise_domctl_memory, op, INDEX),
	      F(struct pavise_domctl_memory, count, INDEX),
	      F(struct pavise_domctl_memory, gfns, LIST_GFNS),
	      F(struct pavise_domctl_memory, pages, STATE_BUFFER),
	      F(struct pavise_domctl_memory, kinds, BUFFER),
	      F(struct pavise_domctl_memory, runs, STATE_BUFFER),
	      F(struct pavise_domctl_memory, gfn, GFN)),
	SHAPE("domctl.u.getvcpuinfo", struct xen_domctl_getvcpuinfo, 1,
	      F(struct xen_domctl_getvcpuinfo, vcpu, VCPU)),
	SHAPE("domctl.u.vcpuaffinity", struct xen_domctl_vcpuaffinity, 1,
	      F(struct xen_domctl_vcpuaffinity, vcpu, VCPU),
	      F(struct xen_domctl_vcpuaffinity, flags, SMALL),
	      F(struct xen_domctl_vcpuaffinity, cpumap_hard.bitmap, BUFFER),
	      F(struct xen_domctl_vcpuaffinity, cpumap_hard.nr_bits, OFFSET),
	      F(struct xen_domctl_vcpuaffinity, cpumap_soft.bitmap, BUFFER),
	      F(struct xen_domctl_vcpuaffinity, cpumap_soft.nr_bits, OFFSET)),
	SHAPE("domctl.u.scheduler_op", struct xen_domctl_scheduler_op, 1,
	      F(struct xen_domctl_scheduler_op, sched_id, SMALL),
	      F(struct xen_domctl_scheduler_op, cmd, INDEX),
	      F(struct xen_domctl_scheduler_op, u.credit2.weight, WILD),
	      F(struct xen_domctl_scheduler_op, u.credit2.cap, SMALL)),
};

static const struct shape *shape_of(const struct row *row)
{
	static const struct shape *found[256];
	static bool looked[256];
	unsigned int i = row - rows;

	for (unsigned int pass = 0; pass < 2 && !looked[i] && !found[i]; pass++) {
		for (unsigned int s = 0; s < ARRAY_SIZE(shapes) && !found[i]; s++) {
			if (!strcmp(shapes[s].name, pass ? row->type : row->name))
				found[i] = &shapes[s];
		}
	}
	looked[i] = true;
	return found[i];
}

/* ---- numbers ---- */

struct bytes bytes_of(const struct step *s)
{
	struct bytes b = { s->arg, STEP_ARGS, 0x9e3779b97f4a7c15 };

	for (unsigned int i = 0; i < STEP_ARGS; i++)
		b.state = (b.state ^ s->arg[i]) * 0x100000001b3;
	return b;
}

u8 next_byte(struct bytes *b)
{
	if (b->left) {
		b->left--;
		return *b->p++;
	}
	b->state = b->state * 6364136223846793005 + 1442695040888963407;
	return b->state >> 33;
}

static u64 wild(struct bytes *b)
{
	u8 how = next_byte(b);
	u64 v = 0;

	switch (how >> 6) {
	case 0:
		return BIT(how & 63);
	case 1:
		return BIT(how & 63) - 1;
	case 2:
		return ~0UL << (how & 63);
	}
	for (unsigned int i = 0; i < 8; i++)
		v = v << 8 | next_byte(b);
	return v;
}

static u64 any_gfn(u8 n)
{
	if (n < 96)
		return RAM_GFN + (n & 31); /* guests' RAM, and some places behind it */
	if (n < 160)
		return 0x50000 +
		       (n & 3); /* free places: few, so that what is mapped there is met again */
	return RAM_BASE_MFN + RAM_PAGES - 2 * (256 - n); /* where dom0's RAM tends to be */
}

static u64 area(struct bytes *b)
{
	struct domain *d = current_domain();
	struct p2m_entry e;
	u8 n = next_byte(b);

	if (n >= 240 || !p2m_lookup(d, any_gfn(n), &e) || !mfn_to_page(e.mfn))
		return 0;
	return U(arch_mfn_to_virt(e.mfn)) + next_byte(b) * 16;
}

static u64 list(struct bytes *b, enum field_kind kind)
{
	u64 *p = arena_get(8 * sizeof(*p));
	char *bytes = (char *)p;

	if (!p || next_byte(b) == 255)
		return wild(b);
	for (unsigned int i = 0; i < 8; i++) {
		if (kind == LIST_GFNS)
			p[i] = any_gfn(next_byte(b));
		else if (kind == LIST_PORTS)
			((u32 *)p)[i] = value_of(PORT, b);
		else if (kind == KEY)
			bytes[i] = "hqregm0x"[next_byte(b) & 7]; /* none of those that end it all */
		else
			p[i] = next_byte(b);
	}
	return U(p);
}

/* ---- records of a domain's whole state ---- */

#define STATE_BYTES 24576U
static u32 state_size; /* of what records() made last */

static char *put_record(char *at, u32 code, u32 instance, const void *body, u32 length)
{
	struct hvm_save_descriptor d = { code, instance, length };

	memcpy(at, &d, sizeof(d));
	if (length)
		memcpy(at + sizeof(d), body, length);
	return at + sizeof(d) + length;
}

/* Pages, a control block and a tail that may be there. */
static char *plausible_fifo(char *at, bool vcpu, struct bytes *b)
{
	struct hvm_riscv_fifo_words w = { .left = next_byte(b) & 7 ? 0 : value_of(LENGTH, b) };
	struct hvm_riscv_fifo_vcpu v = { .gfn = value_of(GFN, b),
					 .offset = value_of(OFFSET, b) & ~7U };
	u32 pages = next_byte(b) & 3;

	for (u32 i = 0; i < pages; i++)
		w.gfn[i] = value_of(GFN, b);
	v.tail[7] = next_byte(b) & 1 ? value_of(PORT, b) : 0;
	v.tail[next_byte(b) & 15] = next_byte(b) & 1 ? value_of(PORT, b) : 0;
	if (pages)
		at = put_record(at, HVM_SAVE_FIFO_WORDS, 0, &w, sizeof(w.left) + pages * 8);
	if (vcpu && next_byte(b) & 3)
		at = put_record(at, HVM_SAVE_FIFO_VCPU, 0, &v, sizeof(v));
	return at;
}

/* What could be true, in order, so that a set can succeed: for domain 3, with the vCPUs that it has. */
static char *plausible(char *at, struct bytes *b)
{
	static struct hvm_riscv_vcpu v;
	static u64 page[512];
	struct domain *target = domain_get(3);
	u32 max_vcpus = target ? target->max_vcpus : 1;
	bool vcpu = target && target->vcpu[0];
	struct hvm_riscv_domain d = { .magic = HVM_DOMAIN_MAGIC,
				      .abi = PAVISE_ABI_VERSION,
				      .max_vcpus = max_vcpus,
				      .timebase_frequency = machine.timebase_hz,
				      .ticks = value_of(TIME, b) };
	bool fifo = next_byte(b) & 1;
	bool all = next_byte(b) & 3; /* else suspended: no more than registers, mostly */
	struct hvm_riscv_areas areas = { value_of(GFN, b), HVM_NO_GFN, HVM_NO_GFN, 0, 0 };
	struct hvm_riscv_port ports[2] = { { .port = 1 + (next_byte(b) & 3),
					     .state = EVTCHNSTAT_interdomain },
					   { .port = 5,
					     .state = EVTCHNSTAT_virq,
					     .virq = next_byte(b) & 1 ? value_of(VIRQ, b) : 0 } };

	if (target)
		domain_put(target);
	memset(&v, 0, sizeof(v));
	d.flags = !all ? HVM_DOMAIN_SUSPENDED : fifo ? HVM_DOMAIN_FIFO : 0;
	if (fifo && all)
		ports[next_byte(b) & 1].flags = HVM_PORT_PENDING;
	all |= !(next_byte(b) & 3);
	v.flags = HVM_VCPU_UP;
	v.regs.pc = 0x1000;
	v.stimecmp = v.singleshot = value_of(TIME, b);
	at = put_record(at, HVM_SAVE_DOMAIN, 0, &d, sizeof(d));
	if (vcpu && next_byte(b) & 3)
		at = put_record(at, HVM_SAVE_VCPU, 0, &v, sizeof(v));
	if (all && vcpu && !(next_byte(b) & 3))
		at = put_record(at, HVM_SAVE_AREAS, 0, &areas, sizeof(areas));
	if (all && vcpu && next_byte(b) & 1)
		at = put_record(at, HVM_SAVE_PORTS, 0, ports, (next_byte(b) & 1 ? 2 : 1) * 16);
	if (all && next_byte(b) & 1)
		at = put_record(at, HVM_SAVE_SHARED_INFO, 0, page, sizeof(page));
	if (all && next_byte(b) & 1)
		at = put_record(at, HVM_SAVE_GRANTS, next_byte(b) & 3, page, sizeof(page));
	if (all && fifo)
		at = plausible_fifo(at, vcpu, b);
	return put_record(at, 0, 0, NULL, 0);
}

/* Such records, or with some of their bytes changed. */
static u64 records(struct bytes *b)
{
	char *p = arena_get(STATE_BYTES);
	u8 n;

	if (!p)
		return 0;
	state_size = plausible(p, b) - p;
	for (n = next_byte(b); n >= 128; n -= 16) {
		u64 where = value_of(next_byte(b) & 1 ? LENGTH : OFFSET, b) % state_size;

		p[where] = next_byte(b);
	}
	return U(p);
}

u64 value_of(enum field_kind kind, struct bytes *b)
{
	u8 n;

	if (kind == STATE_RECORDS)
		return records(b);
	if (kind == STATE_SIZE)
		return next_byte(b) < 224 ? state_size : value_of(LENGTH, b);
	if (kind == STATE_BUFFER) {
		state_size = STATE_BYTES;
		return next_byte(b) < 240 ? U(arena_get(STATE_BYTES)) : 0;
	}
	if (kind == SHADOW_OP) {
		static const u32 ops[] = { XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY,
					   XEN_DOMCTL_SHADOW_OP_CLEAN, XEN_DOMCTL_SHADOW_OP_PEEK,
					   XEN_DOMCTL_SHADOW_OP_OFF };

		n = next_byte(b);
		return n < 224 ? ops[n & 3] : n & 31;
	}
	if (kind == SHADOW_MODE) {
		n = next_byte(b);
		return n < 240 ? (n & 1) | (n & 2 ? PAVISE_SHADOW_LOGDIRTY_MAYBE : 0) : n;
	}
	if (kind == SHADOW_BITMAP)
		return next_byte(b) < 192 ? 0 : U(arena_get(STATE_BYTES));
	if (kind >= LIST_GFNS || kind == KEY)
		return kind == WILD ? wild(b) : list(b, kind);
	if (kind == AREA)
		return area(b);
	n = next_byte(b);
	if (n == 255)
		return wild(b);
	switch (kind) {
	case DOMID:
		return n < 192 ? n & 3 : n < 240 ? DOMID_SELF : DOMID_FIRST_RESERVED + (n & 15);
	case PORT:
		return n < 192 ? n & 7 : n & 31;
	case GFN:
		return any_gfn(n);
	case GADDR:
		return any_gfn(n) << PAGE_SHIFT;
	case REF:
		return n < 240 ? n & 15 : 505 + (n & 15);
	case REF_OR_GFN:
		return n & 1 ? any_gfn(next_byte(b)) : n >> 1 & 15;
	case HANDLE:
		return n < 240 ? n & 15 : 120 + (n & 15);
	case VCPU:
	case VIRQ:
		return n & (kind == VCPU ? 3 : 31);
	case PIRQ:
		return n & 127;
	case SMALL:
		return n & 7;
	case INDEX:
		return n < 160 ? n & 1 : n & 7;
	case SHARING_OP:
		return n < 224 ? XENMEM_sharing_op_fork : n & 15;
	case SPACE:
		return n < 128 ? n & 1 : n < 224 ? XENMAPSPACE_gmfn_foreign : n & 7;
	case ORDER:
		return n < 224 ? 0 : n & 31;
	case OFFSET:
		return n < 64 ? 0 : n < 192 ? (n & 63) * 64 : 4096 - (n & 63);
	case LENGTH:
		return n * 17;
	case TIME:
		return n & 1 ? 0 : host.now + n * 100;
	default:
		return n;
	}
}

/* ---- structures ---- */

static void put(void *at, size_t size, u64 value)
{
	memcpy(at, &value, min(size, sizeof(value)));
}

static void fill(const struct shape *shape, void *at, size_t size, struct bytes *b)
{
	/* A pointer in it may lead anywhere: the copies find out. */
	for (size_t i = 0; !shape && i + 4 <= size; i += 4)
		put((char *)at + i, 4, value_of(SMALL, b));
	for (const struct field *f = shape ? shape->fields : NULL;
	     f && f < shape->fields + 10 && f->size; f++)
		put((char *)at + f->offset, f->size, value_of(f->kind, b));
}

static u64 make_ctl(const struct row *row, struct bytes *b)
{
	const struct shape *shape = shape_of(row);
	char *op = arena_get(row->whole);

	if (!op)
		return 0;
	put(op, 4, row->op);
	put(op + 4, 4, row->version);
	if (row->domain) {
		u8 n = next_byte(b);

		/* Domain 3 is the one that comes and goes; a number of its own keeps runs repeatable. */
		put(op + row->domain, sizeof(domid_t), n & 64 ? 3 : 1 + (n & 3));
		if (n >= 240 && strcmp(row->name, "XEN_DOMCTL_createdomain"))
			put(op + row->domain, sizeof(domid_t), value_of(DOMID, b));
	}
	fill(shape, op + row->u, shape ? shape->size : row->size, b);
	return U(op);
}

static void make_multicall(struct bytes *b, u64 args[5])
{
	unsigned int n = next_byte(b) & 3;
	multicall_entry_t *list = arena_get(3 * sizeof(*list));

	args[0] = U(list);
	args[1] = n;
	for (unsigned int i = 0; list && i < n; i++) {
		const struct row *row = &rows[next_byte(b) % nr_rows];
		u64 inner[5] = { 0 };

		/* One within another is refused, so its arguments do not matter. */
		if (row->kind != KIND_fn)
			make_call(row, b, inner);
		list[i].op = row->nr;
		for (unsigned int j = 0; j < 5; j++)
			list[i].args[j] = inner[j];
	}
}

static void make_array(const struct row *row, struct bytes *b, u64 *address, u64 *count)
{
	const struct shape *shape = shape_of(row);
	size_t size = shape ? shape->size : row->size ? row->size : 64;
	unsigned int n = shape && shape->count > 1 ? 1 + next_byte(b) % shape->count : 1;
	char *at = arena_get(n * size);

	for (unsigned int i = 0; at && i < n; i++)
		fill(shape, at + i * size, size, b);
	*address = U(at);
	*count = n;
}

void make_call(const struct row *row, struct bytes *b, u64 args[5])
{
	u64 *argument = &args[row->kind == KIND_vcpu ? 2 : 1], count;

	memset(args, 0, 5 * sizeof(args[0]));
	if (row->kind == KIND_ctl) {
		args[0] = make_ctl(row, b);
		return;
	}
	if (row->kind == KIND_fn) {
		make_multicall(b, args);
		return;
	}
	args[0] = row->op;
	if (row->kind == KIND_vcpu)
		args[1] = value_of(VCPU, b);
	/* Progress of a continuation that never was */
	if ((row->kind == KIND_op6 || row->kind == KIND_op12) && next_byte(b) >= 250)
		args[0] |= (u64)next_byte(b) << (row->kind == KIND_op6 ? 6 : 12);
	if (row->nr == __HYPERVISOR_console_io) {
		args[1] = value_of(OFFSET, b);
		args[2] = value_of(BUFFER, b);
	} else if (row->nr == __HYPERVISOR_vm_assist) {
		args[1] = value_of(SMALL, b);
	} else if (row->dir != DIR_none) {
		make_array(row, b, argument, &count);
		if (row->dir == DIR_raw)
			args[2] = next_byte(b) == 255 ? wild(b) : count;
	}
}
