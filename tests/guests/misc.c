/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xen_version, console_io, vm_assist, hvm_op, multicall, physdev_op; numbers that are no hypercall; the
 * control domain's own calls, which refuse a guest; and that no register tells what the hypervisor did.
 *
 * peer: partner
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/features.h>

#include "lib/hostile.h"

/* xen/memory.h tells these to tools only. */
#define XENMEM_paging_op 20
#define XENMEM_access_op 21
#define XENMEM_sharing_op 22

static struct partner partner;

static void version(void)
{
	xen_extraversion_t extra = "";
	struct xen_compile_info compile = { .compiler = "" };
	xen_capabilities_info_t caps = "";
	xen_changeset_info_t change = "";
	struct xen_platform_parameters platform = { .virt_start = 1 };
	struct xen_feature_info f = { 0 };
	xen_domain_handle_t handle = { 0 };
	xen_commandline_t line = "";
	unsigned int sum = 0;

	tap_is(HYPERVISOR_xen_version(XENVER_version, NULL), 4 << 16 | 17, "XENVER_version: 4.17");
	tap_is(HYPERVISOR_xen_version(XENVER_pagesize, NULL), 4096, "XENVER_pagesize");
	tap_ok(!HYPERVISOR_xen_version(XENVER_extraversion, &extra) && strstr(extra, "pavise"),
	       "XENVER_extraversion: %s", extra);
	tap_ok(!HYPERVISOR_xen_version(XENVER_compile_info, &compile) && compile.compiler[0],
	       "XENVER_compile_info: %s", compile.compiler);
	tap_ok(!HYPERVISOR_xen_version(XENVER_capabilities, &caps) && strstr(caps, "riscv64"),
	       "XENVER_capabilities: %s", caps);
	tap_ok(!HYPERVISOR_xen_version(XENVER_changeset, &change) && change[0],
	       "XENVER_changeset: %s", change);
	tap_ok(!HYPERVISOR_xen_version(XENVER_platform_parameters, &platform) &&
		       !platform.virt_start,
	       "XENVER_platform_parameters");
	tap_ok(!HYPERVISOR_xen_version(XENVER_get_features, &f) &&
		       f.submap & 1U << XENFEAT_auto_translated_physmap &&
		       !(f.submap & 1U << XENFEAT_dom0),
	       "XENVER_get_features: %x", f.submap);
	f.submap_idx = 1;
	tap_is(HYPERVISOR_xen_version(XENVER_get_features, &f), -EINVAL, "submap 1");
	f.submap_idx = 0xffffffff;
	tap_is(HYPERVISOR_xen_version(XENVER_get_features, &f), -EINVAL, "the last submap");
	HYPERVISOR_xen_version(XENVER_guest_handle, &handle);
	for (unsigned int i = 0; i < sizeof(handle); i++)
		sum += handle[i];
	tap_ok(sum, "XENVER_guest_handle");
	HYPERVISOR_xen_version(XENVER_commandline, &line);
	tap_ok(!strstr(line, "dom0"), "XENVER_commandline is not for guests");
	tap_is(HYPERVISOR_xen_version(99, &f), -XEN_ENOSYS, "a version of nothing");
}

static void console(void)
{
	static char junk[1000];
	char c;

	tap_is(HYPERVISOR_console_io(CONSOLEIO_write, 0, NULL), 0, "CONSOLEIO_write of nothing");
	tap_is(HYPERVISOR_console_io(CONSOLEIO_write, 17, "misc: CONSOLEIO\r\n"), 0, "of a line");
	tap_is(HYPERVISOR_console_io(CONSOLEIO_write, 1, (void *)0x10000000), -EFAULT,
	       "from nowhere");
	tap_is(HYPERVISOR_console_io(CONSOLEIO_write, 0xffffffff, junk), -EINVAL, "negative count");
	tap_is(HYPERVISOR_console_io(CONSOLEIO_write, 2, (void *)-1UL), -EFAULT,
	       "around the end of the address space");
	tap_is(HYPERVISOR_console_io(CONSOLEIO_read, 1, &c), -EPERM, "CONSOLEIO_read");
	tap_is(HYPERVISOR_console_io(99, 1, &c), -XEN_ENOSYS, "an operation that is none");
}

static long param(unsigned int cmd, domid_t domid, unsigned int index, uint64_t value)
{
	struct xen_hvm_param p = { .domid = domid, .index = index, .value = value };

	return HYPERVISOR_hvm_op(cmd, &p);
}

static void hvm(void)
{
	static const unsigned int toolstack[] = { HVM_PARAM_STORE_PFN, HVM_PARAM_STORE_EVTCHN,
						  HVM_PARAM_CONSOLE_PFN, HVM_PARAM_CONSOLE_EVTCHN };
	bool refused = true;

	tap_is(param(HVMOP_get_param, DOMID_SELF, HVM_PARAM_STORE_PFN, 0), 0, "HVMOP_get_param");
	tap_is(param(HVMOP_set_param, DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, 5), 0, "HVMOP_set_param");
	for (unsigned int i = 0; i < 4; i++)
		refused &= param(HVMOP_set_param, DOMID_SELF, toolstack[i], 1) == -EPERM;
	tap_ok(refused, "the toolstack's are -EPERM");
	tap_is(param(HVMOP_get_param, DOMID_SELF, HVM_NR_PARAMS, 0), -EINVAL, "just past the end");
	tap_is(param(HVMOP_get_param, DOMID_SELF, 0xffffffff, 0), -EINVAL, "far past it");
	tap_is(param(HVMOP_set_param, DOMID_SELF, 0xffffffff, 0), -EINVAL, "set far past it");
	tap_is(param(HVMOP_set_param, DOMID_SELF, HVM_PARAM_ALTP2M, 1), -EINVAL, "x86's");
	tap_is(param(HVMOP_get_param, partner.domid, HVM_PARAM_STORE_PFN, 0), -EPERM, "another's");
	tap_is(param(HVMOP_set_param, partner.domid, HVM_PARAM_CALLBACK_IRQ, 0), -EPERM,
	       "set another's");
	tap_is(param(HVMOP_get_param, NO_DOMAIN, HVM_PARAM_STORE_PFN, 0), -ESRCH, "nobody's");
	tap_is(param(99, DOMID_SELF, 0, 0), -XEN_ENOSYS, "an operation that is none");
}

static void assist(void)
{
	tap_is(HYPERVISOR_vm_assist(VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0,
	       "VMASST_CMD_enable");
	tap_is(HYPERVISOR_vm_assist(VMASST_CMD_disable, VMASST_TYPE_runstate_update_flag), 0,
	       "VMASST_CMD_disable");
	tap_is(HYPERVISOR_vm_assist(VMASST_CMD_enable, 0), -EINVAL, "x86's");
	tap_is(HYPERVISOR_vm_assist(VMASST_CMD_enable, 0xffffffff), -EINVAL, "the last number");
	tap_is(HYPERVISOR_vm_assist(99, 0), -XEN_ENOSYS, "a command that is none");
}

static void multicall(void)
{
	enum { N = 5000 };
	struct multicall_entry *calls = calloc(N, sizeof(*calls)), inner = { 0 };
	unsigned int good = 0;

	for (unsigned int i = 0; i < N; i++) {
		calls[i].op = i % 2 ? __HYPERVISOR_xen_version : 99;
		calls[i].args[0] = XENVER_pagesize;
	}
	tap_is(HYPERVISOR_multicall(calls, N), 0, "multicall of %d", N);
	for (unsigned int i = 0; i < N; i++)
		good += (long)calls[i].result == (i % 2 ? 4096 : -XEN_ENOSYS);
	tap_is(good, N, "each has its result");
	tap_is(HYPERVISOR_multicall(calls, 0), 0, "of none");
	calls[0].op = __HYPERVISOR_multicall;
	calls[0].args[0] = (uintptr_t)&inner;
	calls[0].args[1] = 1;
	HYPERVISOR_multicall(calls, 1);
	tap_is(calls[0].result, -EINVAL, "no multicall in a multicall");
	calls[0].op = ~0UL;
	HYPERVISOR_multicall(calls, 1);
	tap_is(calls[0].result, -XEN_ENOSYS, "the last number");
	tap_is(HYPERVISOR_multicall((void *)(pv_domain.ram_end - sizeof(*calls)), 0xffffffff),
	       -EFAULT, "a list that leaves memory");
	hostile_out_pointers("multicall",
			     (struct hostile_call){ __HYPERVISOR_multicall, { HOSTILE, 1 } },
			     &inner, sizeof(inner));
	free(calls);
}

/* What a guest may not do, whatever it passes. */
static void privileged(void)
{
	static uint32_t op[128] __attribute__((aligned(8)));
	struct physdev_eoi eoi = { .irq = 10 };
	bool refused = true, none = true;

	for (unsigned int cmd = 0; cmd < 128; cmd++) {
		memset(op, 0, sizeof(op));
		op[0] = cmd;
		op[1] = 0x15; /* some interface version */
		refused &= HYPERVISOR_domctl(op) < 0 && HYPERVISOR_sysctl(op) < 0 &&
			   HYPERVISOR_platform_op(op) < 0;
	}
	tap_ok(refused, "domctl, sysctl, platform_op: all refused");
	for (unsigned int cmd = 0; cmd < 64; cmd++)
		refused &= HYPERVISOR_physdev_op(cmd, op) < 0;
	tap_ok(refused, "physdev_op as well");
	tap_is(HYPERVISOR_physdev_op(PHYSDEVOP_eoi, &eoi), -EPERM, "PHYSDEVOP_eoi is -EPERM");
	for (unsigned long nr = 64; nr < 200; nr++)
		none &= hypercall(nr, 0, 0, 0, 0, 0) == -XEN_ENOSYS;
	for (unsigned int shift = 10; shift < 64; shift++)
		none &= hypercall(1UL << shift, 0, 0, 0, 0, 0) == -XEN_ENOSYS &&
			hypercall(~0UL << shift, 0, 0, 0, 0, 0) == -XEN_ENOSYS;
	tap_ok(none, "numbers that are no hypercall are -XEN_ENOSYS");
}

/* What is known and not offered, and says so. */
static void refused(void)
{
	static const struct {
		unsigned long nr, cmd;
		long want;
	} list[] = {
		{ __HYPERVISOR_memory_op, XENMEM_exchange, -EOPNOTSUPP },
		{ __HYPERVISOR_memory_op, XENMEM_machphys_mfn_list, -EOPNOTSUPP },
		{ __HYPERVISOR_memory_op, XENMEM_machphys_mapping, -EOPNOTSUPP },
		{ __HYPERVISOR_memory_op, XENMEM_memory_map, -XEN_ENOSYS },
		{ __HYPERVISOR_memory_op, XENMEM_set_memory_map, -XEN_ENOSYS },
		{ __HYPERVISOR_memory_op, XENMEM_set_pod_target, -EOPNOTSUPP },
		{ __HYPERVISOR_memory_op, XENMEM_get_pod_target, -EOPNOTSUPP },
		{ __HYPERVISOR_memory_op, XENMEM_paging_op, -EOPNOTSUPP },
		{ __HYPERVISOR_memory_op, XENMEM_access_op, -EOPNOTSUPP },
		{ __HYPERVISOR_memory_op, XENMEM_sharing_op, -EPERM },
		{ __HYPERVISOR_xen_version, XENVER_build_id, -EOPNOTSUPP },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_unmap_and_replace, -EOPNOTSUPP },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_transfer, -EOPNOTSUPP },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_swap_grant_ref, -EOPNOTSUPP },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_get_status_frames, -EOPNOTSUPP },
		{ __HYPERVISOR_grant_table_op, GNTTABOP_dump_table, -EOPNOTSUPP },
		{ __HYPERVISOR_vcpu_op, VCPUOP_get_physid, -XEN_ENOSYS },
		{ __HYPERVISOR_vcpu_op, VCPUOP_set_periodic_timer, -EOPNOTSUPP },
		{ __HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, -EOPNOTSUPP },
		{ __HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, -XEN_ENOSYS },
		{ __HYPERVISOR_vcpu_op, VCPUOP_send_nmi, -XEN_ENOSYS },
	};
	bool ok = true;

	for (unsigned int i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		/* of vcpu_op, the second argument is the vCPU */
		long rc = hypercall(list[i].nr, list[i].cmd, 0, 0, 0, 0);

		if (rc == list[i].want)
			continue;
		tap_note("hypercall %lu, operation %lu: %ld", list[i].nr, list[i].cmd, rc);
		ok = false;
	}
	tap_ok(ok, "what is not offered is refused");
}

/*
 * What C may lose comes back as zero, the rest as it was (XSA-122, XSA-132: nothing of the
 * hypervisor's is left in a register). Returns the or of all that should be zero.
 */
static unsigned long register_leaks(unsigned long nr, unsigned long cmd, unsigned long arg)
{
	register unsigned long a0 __asm__("a0") = ~0UL;
	register unsigned long a1 __asm__("a1") = cmd;
	register unsigned long a2 __asm__("a2") = arg;
	register unsigned long a6 __asm__("a6") = nr;
	register unsigned long a7 __asm__("a7") = PAVISE_HYPERCALL_EID;

	__asm__ volatile("li a3, -1\n\tli a4, -1\n\tli a5, -1\n\t"
			 "li t0, -1\n\tli t1, -1\n\tli t2, -1\n\tli t3, -1\n\tli t4, -1\n\t"
			 "li t5, -1\n\tli t6, -1\n\t"
			 "ecall\n\t"
			 "mv a0, a1\n\t"
			 ".irp r, a2, a3, a4, a5, a6, a7, t0, t1, t2, t3, t4, t5, t6\n\t"
			 "or a0, a0, \\r\n\t"
			 ".endr"
			 : "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a6), "+r"(a7)
			 :
			 : "a3", "a4", "a5", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "memory");
	return a0;
}

static void leaks(void)
{
	struct evtchn_status status = { .dom = DOMID_SELF, .port = 1 };
	unsigned long found = 0;

	found |= register_leaks(__HYPERVISOR_xen_version, XENVER_version, 0);
	found |= register_leaks(__HYPERVISOR_event_channel_op, EVTCHNOP_status, (uintptr_t)&status);
	found |= register_leaks(__HYPERVISOR_event_channel_op, EVTCHNOP_status, 8);
	found |= register_leaks(__HYPERVISOR_sched_op, SCHEDOP_yield, 0);
	found |= register_leaks(__HYPERVISOR_domctl, 0, 0);
	found |= register_leaks(12345, 1, 2);
	tap_is(found, 0, "a1-a7 and t0-t6 come back as zero");
}

int main(void)
{
	struct xen_hvm_param p = { .domid = DOMID_SELF, .index = HVM_PARAM_CALLBACK_IRQ };
	struct xen_compile_info info = { .compiler = "" };
	struct xen_feature_info f = { 0 };

	partner_find(&partner);
	version();
	console();
	hvm();
	assist();
	multicall();
	privileged();
	refused();
	leaks();
	hostile_pointers("HVMOP_set_param",
			 (struct hostile_call){ __HYPERVISOR_hvm_op, { HVMOP_set_param, HOSTILE } },
			 &p, sizeof(p));
	hostile_out_pointers("HVMOP_get_param",
			     (struct hostile_call){ __HYPERVISOR_hvm_op,
						    { HVMOP_get_param, HOSTILE } },
			     &p, sizeof(p));
	hostile_out_pointers("XENVER_compile_info",
			     (struct hostile_call){ __HYPERVISOR_xen_version,
						    { XENVER_compile_info, HOSTILE } },
			     &info, sizeof(info));
	hostile_out_pointers("XENVER_get_features",
			     (struct hostile_call){ __HYPERVISOR_xen_version,
						    { XENVER_get_features, HOSTILE } },
			     &f, sizeof(f));
	return tap_done();
}
