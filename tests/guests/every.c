/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of hypercalls.tbl that the other tests reach through the runtime only, or with too few arguments: each called
 * directly, with success and with pointers to nowhere.
 *
 * peer: partner
 */
#include <stdlib.h>

#include <pv/device.h>

#include "lib/hostile.h"

#define FREE_GFN 0x50000UL

static struct partner partner;

static void memory(void)
{
	xen_ulong_t idxs[2] = { 0, 0 };
	xen_pfn_t gfns[2] = { FREE_GFN, FREE_GFN + 1 };
	int errs[2] = { 1, 1 };
	struct xen_add_to_physmap_batch b = { .domid = DOMID_SELF,
					      .space = XENMAPSPACE_grant_table,
					      .size = 2 };
	struct xen_remove_from_physmap r = { .domid = DOMID_SELF };

	set_xen_guest_handle(b.idxs, idxs);
	set_xen_guest_handle(b.gpfns, gfns);
	set_xen_guest_handle(b.errs, errs);
	tap_is(HYPERVISOR_memory_op(XENMEM_add_to_physmap_batch, &b), 0,
	       "add_to_physmap_batch: the first grant frame in two places");
	tap_ok(!errs[0] && !errs[1] &&
		       *(uint64_t *)(FREE_GFN << PV_PAGE_SHIFT) ==
			       *(uint64_t *)((FREE_GFN + 1) << PV_PAGE_SHIFT),
	       "both are there (%d, %d)", errs[0], errs[1]);
	for (unsigned int i = 0; i < 2; i++) {
		r.gpfn = FREE_GFN + i;
		tap_is(HYPERVISOR_memory_op(XENMEM_remove_from_physmap, &r), 0, "and removed");
	}
}

static void versions(void)
{
	static const struct {
		const char *name;
		unsigned int op;
		size_t size;
	} list[] = {
		{ "XENVER_extraversion", XENVER_extraversion, sizeof(xen_extraversion_t) },
		{ "XENVER_capabilities", XENVER_capabilities, sizeof(xen_capabilities_info_t) },
		{ "XENVER_changeset", XENVER_changeset, sizeof(xen_changeset_info_t) },
		{ "XENVER_platform_parameters", XENVER_platform_parameters,
		  sizeof(struct xen_platform_parameters) },
		{ "XENVER_guest_handle", XENVER_guest_handle, sizeof(xen_domain_handle_t) },
		{ "XENVER_commandline", XENVER_commandline, sizeof(xen_commandline_t) },
	};
	void *buffer = pv_alloc_pages(1);

	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		hostile_out_pointers(list[i].name,
				     (struct hostile_call){ __HYPERVISOR_xen_version,
							    { list[i].op, HOSTILE } },
				     buffer, list[i].size);
	}
	free(buffer);
}

/* What stands in the table and is the control domain's, or has one argument that is looked at. */
static void refusals(void)
{
	struct multicall_entry call = { .op = __HYPERVISOR_xen_version };

	tap_is(HYPERVISOR_memory_op(XENMEM_machine_memory_map, NULL), -EPERM,
	       "XENMEM_machine_memory_map");
	tap_is(HYPERVISOR_sched_op(SCHEDOP_pin_override, NULL), -EPERM, "SCHEDOP_pin_override");
	tap_is(HYPERVISOR_vm_assist(VMASST_CMD_disable, 77), -EINVAL, "VMASST_CMD_disable of none");
	tap_is(HYPERVISOR_multicall(&call, 1), 0, "multicall of one");
	tap_is(call.result, 4 << 16 | 17, "and its result");
}

static long event_op(unsigned int cmd, void *arg)
{
	return HYPERVISOR_event_channel_op(cmd, arg);
}

static void events(void)
{
	struct evtchn_alloc_unbound unbound = { .dom = DOMID_SELF, .remote_dom = partner.domid };
	struct evtchn_bind_interdomain bind = { .remote_dom = partner.domid,
						.remote_port = partner.spare };
	struct evtchn_bind_virq virq = { .virq = VIRQ_DEBUG };
	struct evtchn_bind_ipi ipi = { .vcpu = 0 };
	struct evtchn_send send;

	tap_is(event_op(EVTCHNOP_alloc_unbound, &unbound), 0, "EVTCHNOP_alloc_unbound");
	tap_is(event_op(EVTCHNOP_bind_interdomain, &bind), 0, "EVTCHNOP_bind_interdomain");
	tap_is(event_op(EVTCHNOP_bind_virq, &virq), 0, "EVTCHNOP_bind_virq");
	tap_is(event_op(EVTCHNOP_bind_ipi, &ipi), 0, "EVTCHNOP_bind_ipi");
	send.port = ipi.port;
	tap_is(event_op(EVTCHNOP_send, &send), 0, "EVTCHNOP_send");
	tap_ok(pv_event_pending(ipi.port), "the event is pending");
}

/* The last of all: the runtime goes on as if it were 2-level, and only its console is used. */
static void fifo(void)
{
	struct evtchn_init_control control = { .control_gfn = pv_gfn(pv_alloc_pages(1)) };
	event_word_t *words = pv_alloc_pages(1);
	struct evtchn_expand_array expand = { .array_gfn = pv_gfn(words) };
	struct evtchn_bind_ipi ipi = { .vcpu = 0 };
	struct evtchn_set_priority priority = { .priority = 3 };
	struct evtchn_send send;
	struct evtchn_fifo_control_block *block;

	block = (void *)(uintptr_t)(control.control_gfn << PV_PAGE_SHIFT);
	csr_clear(sie, SIE_SSIE);
	for (unsigned int i = 0; i < PV_PAGE_SIZE / sizeof(*words); i++)
		words[i] = 1U << EVTCHN_FIFO_MASKED;
	tap_is(event_op(EVTCHNOP_init_control, &control), 0, "EVTCHNOP_init_control");
	tap_is(control.link_bits, EVTCHN_FIFO_LINK_BITS, "its link bits");
	tap_is(event_op(EVTCHNOP_expand_array, &expand), 0, "EVTCHNOP_expand_array");
	tap_is(event_op(EVTCHNOP_bind_ipi, &ipi), 0, "a port");
	priority.port = send.port = ipi.port;
	tap_is(event_op(EVTCHNOP_set_priority, &priority), 0, "EVTCHNOP_set_priority");
	words[ipi.port] = 0;
	tap_is(event_op(EVTCHNOP_send, &send), 0, "an event");
	tap_ok(block->ready & 1U << 3 && block->head[3] == ipi.port, "is in the queue of that");
}

int main(void)
{
	partner_find(&partner);
	memory();
	versions();
	refusals();
	events();
	fifo();
	return tap_done();
}
