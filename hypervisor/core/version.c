/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xen_version, vm_assist and console_io: what a guest asks first.
 */
#include <console.h>
#include <domain.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <xsm.h>

#define XEN_MAJOR 4
#define XEN_MINOR 17

long version_number(void)
{
	return XEN_MAJOR << 16 | XEN_MINOR;
}

long version_extra(xen_extraversion_t *arg)
{
	pv_strlcpy(*arg, "-pavise-" CONFIG_VERSION, sizeof(*arg));
	return 0;
}

long version_compile_info(struct xen_compile_info *arg)
{
	pv_strlcpy(arg->compiler, "gcc " __VERSION__, sizeof(arg->compiler));
	pv_strlcpy(arg->compile_by, "pavise", sizeof(arg->compile_by));
	return 0;
}

long version_capabilities(xen_capabilities_info_t *arg)
{
	pv_strlcpy(*arg, "xen-3.0-riscv64 ", sizeof(*arg));
	return 0;
}

long version_changeset(xen_changeset_info_t *arg)
{
	pv_strlcpy(*arg, "pavise " CONFIG_VERSION, sizeof(*arg));
	return 0;
}

long version_platform(struct xen_platform_parameters *arg)
{
	arg->virt_start = 0;
	return 0;
}

long version_features(struct xen_feature_info *arg)
{
	struct domain *d = current_domain();

	switch (arg->submap_idx) {
	case 0:
		arg->submap =
			BIT(XENFEAT_auto_translated_physmap) |
			(xsm_privileged() ? BIT(XENFEAT_dom0) : 0) |
			BIT(d->direct_mapped ? XENFEAT_direct_mapped : XENFEAT_not_direct_mapped);
		return 0;
	case PAVISE_SUBMAP_ABI:
		arg->submap = PAVISE_ABI_VERSION;
		return 0;
	case PAVISE_SUBMAP_FEATURES:
		arg->submap = BIT(PAVISE_FEAT_evtchn_fifo) | BIT(PAVISE_FEAT_wfi_blocks) |
			      (xsm_privileged() ? BIT(PAVISE_FEAT_pirq) : 0) |
			      (xsm_is_silo() ? BIT(PAVISE_FEAT_silo) : 0);
		return 0;
	default:
		return -EINVAL;
	}
}

long version_pagesize(void)
{
	return PAGE_SIZE;
}

long version_guest_handle(xen_domain_handle_t *arg)
{
	memcpy(*arg, current_domain()->handle, sizeof(*arg));
	return 0;
}

long version_commandline(xen_commandline_t *arg)
{
	pv_strlcpy(*arg, xsm_privileged() ? machine.cmdline : "<denied>", sizeof(*arg));
	return 0;
}

long vm_assist_op(u64 cmd, u64 type, u64 arg3)
{
	/* The runstate area is always written with XEN_RUNSTATE_UPDATE: nothing to switch. */
	return type == VMASST_TYPE_runstate_update_flag ? 0 : -EINVAL;
}

#define CONSOLE_CHUNK 128

#define CONSOLE_MAX 0x7fffffff /* a count is an int in Xen's interface */

long console_io_write(u64 cmd, u64 count, u64 buffer)
{
	char buf[CONSOLE_CHUNK];

	if (count > CONSOLE_MAX)
		return -EINVAL;
	while (count) {
		u64 n = min(count, (u64)sizeof(buf));

		if (copy_from_guest(buf, buffer, n))
			return -EFAULT;
		console_guest_write(current_domain(), buf, n);
		count -= n;
		buffer += n;
		if (count && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_console_io, cmd, count, buffer, 0,
						  0);
	}
	return 0;
}

long console_io_read(u64 cmd, u64 count, u64 buffer)
{
	char buf[CONSOLE_CHUNK];
	size_t n;

	if (count > CONSOLE_MAX)
		return -EINVAL;
	n = console_guest_read(buf, min(count, (u64)sizeof(buf)));
	return copy_to_guest(buffer, buf, n) ? -EFAULT : (long)n;
}
