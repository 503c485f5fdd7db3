/* SPDX-License-Identifier: MIT */
/*
 * A xenstore client over the domain's ring (Xen's docs/misc/xenstore.txt, xenstore-ring.txt): one
 * request at a time, from any vCPU. Paths are absolute or relative to /local/domain/<own id>.
 * The functions wait for the answer; they are not for functions that interrupts run.
 */
#ifndef PV_XENBUS_H
#define PV_XENBUS_H

#include <pv/runtime.h>

#include <xen/io/xs_wire.h>

/*
 * Any request: payload of n bytes in, the reply's payload out (malloc'd, with a NUL behind it; may be
 * NULL when nobody wants it). Returns the reply's length or -errno as xenstored says; -EIO: there is
 * no ring, or it is broken; -E2BIG: n > XENSTORE_PAYLOAD_MAX.
 */
long pv_xenbus_request(uint32_t type, uint32_t tx, const void *payload, size_t n, char **reply);

/* tx 0: none. malloc'd value, or NULL and errno. */
char *pv_xenbus_read(uint32_t tx, const char *path);
int pv_xenbus_write(uint32_t tx, const char *path, const char *value);
int pv_xenbus_printf(uint32_t tx, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int pv_xenbus_mkdir(uint32_t tx, const char *path);
int pv_xenbus_rm(uint32_t tx, const char *path);
/* Who may: as xenstore-chmod has it ("r5", "n0"); the first names the owner. */
int pv_xenbus_set_perms(uint32_t tx, const char *path, const char *const *perms, unsigned int n);
/* The number that a node holds, or -errno; -EINVAL: it is none. */
long pv_xenbus_read_number(uint32_t tx, const char *path);

/* A transaction: its id, or 0 and errno. pv_xenbus_end: -EAGAIN: do it all again. */
uint32_t pv_xenbus_start(void);
int pv_xenbus_end(uint32_t tx, bool commit);

int pv_xenbus_watch(const char *path, const char *token);
int pv_xenbus_unwatch(const char *path, const char *token);
/*
 * The next watch event, waiting at most so long (~0: for ever). Both strings are malloc'd in one
 * piece: free(*path) frees them. false: none came.
 */
bool pv_xenbus_event(char **path, char **token, uint64_t timeout_ns);

/*
 * Waits until the node exists and is not empty; its value, malloc'd, or NULL after so long.
 * For two domains that look for one another.
 */
char *pv_xenbus_await(const char *path, uint64_t timeout_ns);

#endif
