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

static long put(u64 arg, const void *data, size_t size)
{
	return copy_to_guest(arg, data, size) ? -EFAULT : 0;
}

static u32 features(const struct domain *d)
{
	u32 f = BIT(XENFEAT_auto_translated_physmap);

	if (d->is_privileged)
		f |= BIT(XENFEAT_dom0);
	return f | (d->direct_mapped ? BIT(XENFEAT_direct_mapped) : BIT(XENFEAT_not_direct_mapped));
}

static long version_string(u64 arg, size_t size, const char *s)
{
	char buf[1024];

	memset(buf, 0, sizeof(buf));
	pv_strlcpy(buf, s, size);
	return put(arg, buf, size);
}

long do_xen_version(u64 cmd, u64 arg, u64 a3, u64 a4, u64 a5)
{
	struct xen_compile_info compile;
	struct xen_feature_info feature;
	xen_platform_parameters_t params = { 0 };

	(void)a3;
	(void)a4;
	(void)a5;
	switch (cmd) {
	case XENVER_version:
		return XEN_MAJOR << 16 | XEN_MINOR;
	case XENVER_extraversion:
		return version_string(arg, sizeof(xen_extraversion_t), "-pavise-" CONFIG_VERSION);
	case XENVER_compile_info:
		memset(&compile, 0, sizeof(compile));
		pv_strlcpy(compile.compiler, "gcc " __VERSION__, sizeof(compile.compiler));
		pv_strlcpy(compile.compile_by, "pavise", sizeof(compile.compile_by));
		return put(arg, &compile, sizeof(compile));
	case XENVER_capabilities:
		return version_string(arg, sizeof(xen_capabilities_info_t), "xen-3.0-riscv64 ");
	case XENVER_changeset:
		return version_string(arg, sizeof(xen_changeset_info_t), "pavise " CONFIG_VERSION);
	case XENVER_platform_parameters:
		return put(arg, &params, sizeof(params));
	case XENVER_get_features:
		if (copy_from_guest(&feature, arg, sizeof(feature)))
			return -EFAULT;
		if (feature.submap_idx)
			return -EINVAL;
		feature.submap = features(current_domain());
		return put(arg, &feature, sizeof(feature));
	case XENVER_pagesize:
		return PAGE_SIZE;
	case XENVER_guest_handle:
		return put(arg, current_domain()->handle, sizeof(xen_domain_handle_t));
	case XENVER_commandline:
		return version_string(arg, sizeof(xen_commandline_t),
				      xsm_privileged() ? machine.cmdline : "<denied>");
	default:
		return -ENOSYS;
	}
}

long do_vm_assist(u64 cmd, u64 type, u64 a3, u64 a4, u64 a5)
{
	(void)a3;
	(void)a4;
	(void)a5;
	if (cmd != VMASST_CMD_enable && cmd != VMASST_CMD_disable)
		return -ENOSYS;
	/* The runstate area is always written with XEN_RUNSTATE_UPDATE: nothing to switch. */
	return type == VMASST_TYPE_runstate_update_flag ? 0 : -EINVAL;
}

#define CONSOLE_CHUNK 128

static long console_write(u64 count, u64 buffer)
{
	char buf[CONSOLE_CHUNK];

	while (count) {
		u64 n = min(count, (u64)sizeof(buf));

		if (copy_from_guest(buf, buffer, n))
			return -EFAULT;
		console_guest_write(current_domain(), buf, n);
		count -= n;
		buffer += n;
		if (count && hypercall_preempt_check())
			return hypercall_continue(__HYPERVISOR_console_io, CONSOLEIO_write, count,
						  buffer, 0, 0);
	}
	return 0;
}

long do_console_io(u64 cmd, u64 count, u64 buffer, u64 a4, u64 a5)
{
	char buf[CONSOLE_CHUNK];
	size_t n;

	(void)a4;
	(void)a5;
	if (count > 0x7fffffff)
		return -EINVAL;
	switch (cmd) {
	case CONSOLEIO_write:
		return console_write(count, buffer);
	case CONSOLEIO_read:
		if (!xsm_privileged())
			return -EPERM;
		n = console_guest_read(buf, min(count, (u64)sizeof(buf)));
		return copy_to_guest(buffer, buf, n) ? -EFAULT : (long)n;
	default:
		return -ENOSYS;
	}
}
