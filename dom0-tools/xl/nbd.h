/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network block devices whose server is a process of this machine: the greeting with the server, and the kernel's end.
 * Owns the protocol's numbers and the name that a device has in sysfs, by which it is found again.
 */
#ifndef XL_NBD_H
#define XL_NBD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Begins the name of what is ours: then a blank, the back end's path, and the files. sharing.c reads it, too. */
#define NBD_OURS "pavise"

struct nbd_export {
	uint64_t bytes;
	uint16_t flags; /* NBD_FLAG_* of the kernel's header */
};

/*
 * The greeting, up to what is sent (protocol: NetworkBlockDevice/nbd, doc/proto.md). 0, -ETIMEDOUT after @ms, -EPIPE when
 * the server is gone, -EPROTO.
 */
int nbd_greet(int sock, int ms, struct nbd_export *e);

/* A device that is free gets the connection; its number, or -errno: -ENOENT: no driver. The caller may close @sock. */
int nbd_connect(int sock, const struct nbd_export *e, const char *name);
/* All that it still has to do fails at once. 0 or -errno; when it is connected to nothing, 0. */
int nbd_disconnect(int index);
/* The device whose name begins with @name and a blank; -1: there is none. */
int nbd_find(const char *name);
bool nbd_number(int index, dev_t *dev);

#endif /* XL_NBD_H */
