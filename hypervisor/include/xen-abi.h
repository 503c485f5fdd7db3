/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Xen public headers as the hypervisor uses them (a prepared copy, see
 * pvabi/scripts/prepare-headers), and Xen's error numbers.
 */
#ifndef PAVISE_XEN_ABI_H
#define PAVISE_XEN_ABI_H

#include <types.h>

#ifndef __XEN_TOOLS__
#define __XEN_TOOLS__ 1
#endif

#include <xen/xen.h>
#include <xen/domctl.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>
#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/platform.h>
#include <xen/sched.h>
#include <xen/sysctl.h>
#include <xen/vcpu.h>
#include <xen/version.h>

/*
 * xen/errno.h names them XEN_E…; the hypervisor says E…. On the host the C library's would differ.
 */
#undef EPERM
#undef ENOENT
#undef ESRCH
#undef EIO
#undef ENXIO
#undef E2BIG
#undef ENOEXEC
#undef EBADF
#undef ECHILD
#undef EAGAIN
#undef ENOMEM
#undef EACCES
#undef EFAULT
#undef EBUSY
#undef EEXIST
#undef EXDEV
#undef ENODEV
#undef EINVAL
#undef ENOSPC
#undef EMLINK
#undef ERANGE
#undef ENOSYS
#undef EOPNOTSUPP
#undef EOVERFLOW
#undef ERESTART
#undef ENODATA
#undef ETIME
#define EPERM 1
#define ENOENT 2
#define ESRCH 3
#define EIO 5
#define ENXIO 6
#define E2BIG 7
#define ENOEXEC 8
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EACCES 13
#define EFAULT 14
#define EBUSY 16
#define EEXIST 17
#define EXDEV 18
#define ENODEV 19
#define EINVAL 22
#define ENOSPC 28
#define EMLINK 31
#define ERANGE 34
#define ENOSYS 38
#define ENODATA 61
#define ETIME 62
#define EOVERFLOW 75
#define ERESTART 85
#define EOPNOTSUPP 95

#endif
