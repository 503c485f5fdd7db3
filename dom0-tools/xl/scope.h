/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the processes that stay with a guest live when something else than dom0's initramfs manages processes.
 */
#ifndef XL_SCOPE_H
#define XL_SCOPE_H

#include <sys/types.h>

/* A dom0 that has a service manager brings this program: PID NAME. */
#ifndef XL_SCOPE
#define XL_SCOPE "/usr/libexec/pavise/supervisor-scope"
#endif
/* Longer than that waits for the manager itself. */
#ifndef SCOPE_WAIT_MS
#define SCOPE_WAIT_MS 7000
#endif

/*
 * Takes process @pid, which stays with guest @name, out of what xl was run from, a login or a service, so that it does not end
 * with that. 0: done, or there is no such program, and need for it; -1: it could not. Takes SCOPE_WAIT_MS at most.
 */
int scope_enter(pid_t pid, const char *name);

#endif
