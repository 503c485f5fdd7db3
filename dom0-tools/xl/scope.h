/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a guest's supervisor lives when something else than dom0's initramfs manages processes.
 */
#ifndef XL_SCOPE_H
#define XL_SCOPE_H

/* A dom0 that has a service manager brings this program: PID NAME. */
#ifndef XL_SCOPE
#define XL_SCOPE "/usr/libexec/pavise/supervisor-scope"
#endif

/*
 * Takes this process, which stays with guest @name, out of what xl was run from, a login or a service, so that it does not end
 * with that. 0: done, or there is no such program, and need for it; -1: it could not. Takes ten seconds or so at most.
 */
int scope_enter(const char *name);

#endif
