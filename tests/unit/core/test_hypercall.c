// SPDX-License-Identifier: BSD-2-Clause
/*
 * Dispatch: who may call what (over the whole table), hostile arguments everywhere, multicall, versions, HVM params.
 */
#include "host.h"

static const struct {
	unsigned int nr;
	enum { KIND_op, KIND_op6, KIND_op12, KIND_vcpu, KIND_ctl, KIND_fn } kind;
	const char *name;
	u64 op;
	bool privileged;
	int refusal;
} calls[] = {
#include <hypercall_list.h>
};

static long call(unsigned int i, u64 arg, u64 arg3)
{
	if (calls[i].kind == KIND_ctl || calls[i].kind == KIND_fn)
		return HC(calls[i].nr, arg, arg3);
	if (calls[i].kind == KIND_vcpu)
		return HC(calls[i].nr, calls[i].op, 1, arg);
	return HC(calls[i].nr, calls[i].op, arg, arg3);
}

static void privileged_rows_refuse_guests(void **state)
{
	u64 arg[128] = { 0 };
	unsigned int n = 0;

	AS(u1);
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		if (!calls[i].privileged)
			continue;
		/* Before they look at their argument, so a guest learns nothing from it either. */
		if (call(i, U(arg), 1) != -EPERM || call(i, 0, 1) != -EPERM)
			fail_msg("%s is not refused", calls[i].name);
		n++;
	}
	assert_true(n >= 30);
}

static void refused_rows_say_so(void **state)
{
	u64 arg[128] = { 0 };
	unsigned int n = 0;

	AS(dom0);
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		if (!calls[i].refusal)
			continue;
		if (call(i, U(arg), 1) != calls[i].refusal || call(i, 0, 1) != calls[i].refusal)
			fail_msg("%s is not refused as the table says", calls[i].name);
		n++;
	}
	assert_true(n >= 20);
}

/* Those with the operation in the structure: cmd and version are where each has them. */
static void set_ctl(unsigned int i, void *buf)
{
	if (calls[i].nr == __HYPERVISOR_platform_op) {
		((struct xen_platform_op *)buf)->cmd = calls[i].op;
		((struct xen_platform_op *)buf)->interface_version = XENPF_INTERFACE_VERSION;
	} else if (calls[i].nr == __HYPERVISOR_sysctl) {
		((struct xen_sysctl *)buf)->cmd = calls[i].op;
		((struct xen_sysctl *)buf)->interface_version = XEN_SYSCTL_INTERFACE_VERSION;
	} else {
		((struct xen_domctl *)buf)->cmd = calls[i].op;
		((struct xen_domctl *)buf)->interface_version = XEN_DOMCTL_INTERFACE_VERSION;
		((struct xen_domctl *)buf)->domain = 2;
	}
}

/* The control domain's mistakes: each operation with all zeros and all ones, and where it may not write. */
static void mistakes_of_the_tools(void **state)
{
	static const u8 fill[] = { 0, 0xff, 0x7f };
	u64 buf[128];

	AS(dom0);
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].kind != KIND_ctl)
			continue;
		if (calls[i].nr == __HYPERVISOR_domctl && (calls[i].op == XEN_DOMCTL_createdomain ||
							   calls[i].op == XEN_DOMCTL_destroydomain))
			continue; /* these would work */
		for (unsigned int n = 0; n < ARRAY_SIZE(fill); n++) {
			memset(buf, fill[n], sizeof(buf));
			set_ctl(i, buf);
			call(i, U(buf), 0);
			memset(buf, fill[n], sizeof(buf));
			set_ctl(i, buf);
			host.copies_left = 1;
			call(i, U(buf), 0);
			host.copies_left = -1;
		}
		memset(buf, 0, sizeof(buf));
		set_ctl(i, buf);
		((u32 *)buf)[1]++; /* the version */
		assert_int_equal(call(i, U(buf), 0), -EACCES);
		assert_int_equal(call(i, 0, 0), -EFAULT);
	}
	assert_int_equal(u1->tot_pages, U_PAGES);
	assert_false(u1->is_shut_down);
}

/* No structure at all, at its end a fault, all ones: an error or a harmless result, never more. */
static void hostile_arguments(void **state)
{
	u64 ones[128], zeros[128] = { 0 };

	memset(ones, 0xff, sizeof(ones));
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].nr == __HYPERVISOR_sched_op && calls[i].op == SCHEDOP_shutdown)
			continue;
		AS(u1);
		call(i, 0, 1);
		call(i, ~0UL, 1);
		call(i, 1UL << 63, ~0UL);
		call(i, U(ones), 1);
		call(i, U(zeros), 1);
		memset(ones, 0xff, sizeof(ones));
		memset(zeros, 0, sizeof(zeros));
		host.fault_start = U(zeros) + 8;
		host.fault_end = U(zeros) + sizeof(zeros);
		call(i, U(zeros), 1);
		host.fault_start = host.fault_end = 0;
	}
	assert_false(u1->is_shut_down);
	assert_int_equal(u2->tot_pages, U_PAGES);
}

static void numbers_beyond_the_table(void **state)
{
	AS(u1);
	assert_int_equal(HC(64, 0), -ENOSYS);
	assert_int_equal(HC(~0U, 0), -ENOSYS);
	assert_int_equal(hypercall_dispatch(1UL << 32, (u64[5]){ 0 }), -ENOSYS);
	assert_int_equal(hypercall_dispatch(~0UL, (u64[5]){ 0 }), -ENOSYS);
	for (unsigned int nr = 0; nr < NR_HYPERCALLS; nr++) {
		bool known = false;

		assert_non_null(hypercall_table[nr]);
		for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
			known |= calls[i].nr == nr;
		if (!known)
			assert_int_equal(HC(nr, 0), -ENOSYS);
	}
}

/* Sub-operations are whole words, but where progress is kept above them. */
static void sub_operations_are_compared_whole(void **state)
{
	struct evtchn_bind_ipi ipi = { 0 };

	AS(u1);
	assert_int_equal(EVTCHN(EVTCHNOP_bind_ipi | 0x100, &ipi), -ENOSYS);
	assert_int_equal(EVTCHN(~0U, &ipi), -ENOSYS);
	assert_int_equal(HC(__HYPERVISOR_hvm_op, 77, 0), -ENOSYS);
	assert_int_equal(HC(__HYPERVISOR_physdev_op, 0, 0), -ENOSYS);
	assert_int_equal(HC(__HYPERVISOR_xen_version, 1UL << 32, 0), -ENOSYS);
}

static void __attribute__((noinline)) dirty_stack(int value)
{
	char buf[8192];

	memset(buf, value, sizeof(buf));
	__asm__ volatile("" : : "r"(buf) : "memory");
}

/* What comes back is the same whatever was on the stack before: none of it is stack. */
static void xsa_122_132_answers_have_no_stack_in_them(void **state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		u64 first[512] = { 0 }, second[512] = { 0 };

		/* Those that only tell something, and no time. */
		if (calls[i].nr != __HYPERVISOR_xen_version && calls[i].kind != KIND_ctl)
			continue;
		if (calls[i].kind == KIND_ctl && calls[i].op != XEN_DOMCTL_getdomaininfo &&
		    calls[i].op != XEN_SYSCTL_physinfo)
			continue;
		AS(dom0);
		if (calls[i].kind == KIND_ctl) {
			set_ctl(i, first);
			set_ctl(i, second);
		}
		dirty_stack(0x5a);
		call(i, U(first), 1);
		dirty_stack(0xa5);
		call(i, U(second), 1);
		if (memcmp(first, second, sizeof(first)))
			fail_msg("%s shows the hypervisor's stack", calls[i].name);
		n++;
	}
	assert_true(n >= 8);
}

static void multicall(void **state)
{
	struct multicall_entry e[5] = {
		{ .op = __HYPERVISOR_xen_version, .args = { XENVER_version } },
		{ .op = 63 },
		{ .op = ~0UL },
		{ .op = __HYPERVISOR_multicall },
		{ .op = __HYPERVISOR_sysctl },
	};

	AS(u1);
	assert_int_equal(HC(__HYPERVISOR_multicall, U(e), 5), 0);
	assert_int_equal(e[0].result, 4 << 16 | 17);
	assert_int_equal(e[1].result, -ENOSYS);
	assert_int_equal(e[2].result, -ENOSYS);
	assert_int_equal(e[3].result, -EINVAL); /* not within itself */
	assert_int_equal(e[4].result, -EPERM);
	e[0].result = 77;
	host.preempt_every = 2;
	assert_int_equal(HC(__HYPERVISOR_multicall, U(e), 5), 0);
	assert_true(host.restarts);
	assert_int_equal(e[0].result, 4 << 16 | 17);
	host.preempt_every = 0;
	assert_int_equal(HC(__HYPERVISOR_multicall, 0, 1), -EFAULT);
	assert_int_equal(HC(__HYPERVISOR_multicall, 0, 0), 0);
	assert_int_equal(HC(__HYPERVISOR_multicall, 8, ~0UL), -EFAULT);
	/* The result cannot be written: the mark that a multicall runs is gone all the same. */
	host.copies_left = 1;
	assert_int_equal(HC(__HYPERVISOR_multicall, U(e), 1), -EFAULT);
	host.copies_left = -1;
	assert_int_equal(HC(__HYPERVISOR_multicall, U(e), 1), 0);
}

/* A long operation inside one: its progress goes into the guest's entry. */
static void continuation_within_a_multicall(void **state)
{
	struct xen_memory_reservation r = { .nr_extents = 50, .domid = DOMID_SELF };
	struct xen_memory_reservation r2 = { .nr_extents = 7, .domid = DOMID_SELF };
	struct multicall_entry e[3] = {
		{ .op = __HYPERVISOR_memory_op, .args = { XENMEM_populate_physmap, U(&r) } },
		{ .op = __HYPERVISOR_xen_version, .args = { XENVER_pagesize } },
		{ .op = __HYPERVISOR_memory_op, .args = { XENMEM_decrease_reservation, U(&r2) } },
	};
	xen_pfn_t list[50];

	for (unsigned int i = 0; i < 50; i++)
		list[i] = 0x60000 + i;
	set_xen_guest_handle(r.extent_start, list);
	set_xen_guest_handle(r2.extent_start, list);
	AS(u1);
	host.preempt_every = 3;
	assert_int_equal(HC(__HYPERVISOR_multicall, U(e), 3), 0);
	assert_true(host.restarts > 10);
	assert_int_equal(host.restart_nr, __HYPERVISOR_multicall);
	assert_int_equal(e[0].result, 50);
	assert_int_equal(e[1].result, PAGE_SIZE);
	assert_int_equal(e[2].result, 7);
	assert_int_equal(u1->tot_pages, U_PAGES + 43);
	/* The entry cannot be written back: the whole ends, and what was done is done. */
	e[2].args[0] = XENMEM_decrease_reservation;
	host.preempt_every = 4;
	host.fault_start = U(e);
	host.fault_end = U(e + 3);
	assert_int_equal(HC(__HYPERVISOR_multicall, U(e), 3), -EFAULT);
}

/* Interrupted at each chance, all long operations still come to their end. */
static void progress_whatever_interrupts(void **state)
{
	struct xen_memory_reservation r = { .nr_extents = 9, .domid = DOMID_SELF };
	struct gnttab_cache_flush flush[5] = { { .length = 64, .op = GNTTAB_CACHE_CLEAN } };
	struct gnttab_copy copy[5] = { { .len = 1 } };
	struct multicall_entry e[4] = {
		{ .op = __HYPERVISOR_memory_op, .args = { XENMEM_populate_physmap, U(&r) } },
		{ .op = __HYPERVISOR_xen_version, .args = { XENVER_pagesize } },
		{ .op = __HYPERVISOR_memory_op, .args = { XENMEM_decrease_reservation, U(&r) } },
		{ .op = __HYPERVISOR_grant_table_op, .args = { GNTTABOP_copy, U(copy), 5 } },
	};
	xen_pfn_t list[9];
	char text[1000];

	for (unsigned int i = 0; i < 9; i++)
		list[i] = 0x60000 + i;
	set_xen_guest_handle(r.extent_start, list);
	memset(text, 'x', sizeof(text));
	AS(u1);
	host.preempt_every = 1;
	assert_int_equal(HC(__HYPERVISOR_multicall, U(e), 4), 0);
	assert_int_equal(e[0].result, 9);
	assert_int_equal(e[1].result, PAGE_SIZE);
	assert_int_equal(e[2].result, 9);
	assert_int_equal(e[3].result, 0);
	assert_int_equal(u1->tot_pages, U_PAGES);
	/* 8, 8 and 4 in the entries, and one between each two of them */
	assert_int_equal(host.restarts, 8 + 8 + 4 + 3);
	assert_int_equal(HC(__HYPERVISOR_console_io, CONSOLEIO_write, sizeof(text), U(text)), 0);
	assert_int_equal(GNTTAB(GNTTABOP_cache_flush, flush, 5), 0);
}

static void versions(void **state)
{
	struct xen_feature_info f = { 0 };
	xen_extraversion_t extra;
	xen_compile_info_t compile;
	xen_capabilities_info_t caps;
	xen_changeset_info_t set;
	char line[sizeof(xen_commandline_t)];
	xen_platform_parameters_t params;

	AS(u1);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_version), 4 << 16 | 17);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_pagesize), 4096);
	memset(extra, 'x', sizeof(extra));
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_extraversion, U(extra)), 0);
	assert_string_equal(extra, "-pavise-" CONFIG_VERSION);
	assert_int_equal(extra[sizeof(extra) - 1], 0); /* nothing of the stack behind it */
	memset(&compile, 'x', sizeof(compile));
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_compile_info, U(&compile)), 0);
	assert_int_equal(compile.compile_date[31], 0);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_capabilities, U(caps)), 0);
	assert_non_null(strstr(caps, "riscv64"));
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_changeset, U(set)), 0);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_platform_parameters, U(&params)), 0);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_get_features, U(&f)), 0);
	assert_int_equal(f.submap,
			 BIT(XENFEAT_auto_translated_physmap) | BIT(XENFEAT_not_direct_mapped));
	f.submap_idx = 1;
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_get_features, U(&f)), -EINVAL);
	f.submap_idx = PAVISE_SUBMAP_ABI;
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_get_features, U(&f)), 0);
	assert_int_equal(f.submap, PAVISE_ABI_VERSION);
	f.submap_idx = PAVISE_SUBMAP_FEATURES;
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_get_features, U(&f)), 0);
	assert_int_equal(f.submap, BIT(PAVISE_FEAT_evtchn_fifo) | BIT(PAVISE_FEAT_wfi_blocks));
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_commandline, U(line)), 0);
	assert_string_equal(line, "<denied>");
	AS(dom0);
	f.submap_idx = 0;
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_get_features, U(&f)), 0);
	assert_int_equal(f.submap, BIT(XENFEAT_auto_translated_physmap) |
					   BIT(XENFEAT_direct_mapped) | BIT(XENFEAT_dom0));
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_commandline, U(line)), 0);
	assert_string_equal(line, "console=uart secret");
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_extraversion, 0), -EFAULT);
	assert_int_equal(
		HC(__HYPERVISOR_vm_assist, VMASST_CMD_enable, VMASST_TYPE_runstate_update_flag), 0);
	assert_int_equal(HC(__HYPERVISOR_vm_assist, VMASST_CMD_enable, 99), -EINVAL);
	assert_int_equal(HC(__HYPERVISOR_vm_assist, 99, VMASST_TYPE_runstate_update_flag), -ENOSYS);
}

static long param(unsigned int op, domid_t dom, u32 index, u64 *value)
{
	struct xen_hvm_param a = { .domid = dom, .index = index, .value = *value };
	long rc = HC(__HYPERVISOR_hvm_op, op, U(&a));

	*value = a.value;
	return rc;
}

static void hvm_params(void **state)
{
	u64 v = 5, got = 0;

	AS(dom0);
	assert_int_equal(param(HVMOP_set_param, 1, HVM_PARAM_STORE_PFN, &v), 0);
	assert_int_equal(param(HVMOP_get_param, 1, HVM_PARAM_STORE_PFN, &got), 0);
	assert_int_equal(got, 5);
	assert_int_equal(param(HVMOP_set_param, 99, HVM_PARAM_STORE_PFN, &v), -ESRCH);
	assert_int_equal(param(HVMOP_set_param, 1, HVM_NR_PARAMS, &v), -EINVAL);
	assert_int_equal(param(HVMOP_get_param, 1, ~0U, &v), -EINVAL);
	assert_int_equal(param(HVMOP_set_param, 1, HVM_PARAM_IOREQ_PFN, &v), -EINVAL);
	AS(u1);
	assert_int_equal(param(HVMOP_get_param, DOMID_SELF, HVM_PARAM_STORE_PFN, &got), 0);
	assert_int_equal(got, 5);
	assert_int_equal(param(HVMOP_set_param, DOMID_SELF, HVM_PARAM_STORE_PFN, &v), -EPERM);
	assert_int_equal(param(HVMOP_set_param, DOMID_SELF, HVM_PARAM_CALLBACK_IRQ, &v), 0);
	assert_int_equal(param(HVMOP_get_param, 2, HVM_PARAM_STORE_PFN, &got), -EPERM);
	assert_int_equal(param(HVMOP_set_param, 2, HVM_PARAM_CALLBACK_IRQ, &got), -EPERM);
	assert_int_equal(HC(__HYPERVISOR_hvm_op, HVMOP_get_param, 0), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(privileged_rows_refuse_guests),
		TEST(refused_rows_say_so),
		TEST(hostile_arguments),
		TEST(mistakes_of_the_tools),
		TEST(numbers_beyond_the_table),
		TEST(sub_operations_are_compared_whole),
		TEST(xsa_122_132_answers_have_no_stack_in_them),
		TEST(multicall),
		TEST(continuation_within_a_multicall),
		TEST(progress_whatever_interrupts),
		TEST(versions),
		TEST(hvm_params),
	};

	return RUN(tests);
}
