/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's network, before its program starts.
 * Owns the loopback interface and, if it is wanted, eth0's address: a lease, which busybox's udhcpc keeps, or a fixed one.
 */
#ifndef OCI_NET_H
#define OCI_NET_H

#include <stddef.h>

/* 0 once there is a lease, and /etc/resolv.conf of the init's own root is about it; or -1 and @why. */
int net_dhcp(char *why, size_t size);
/* @address/BITS, and a default route by @gateway, "-" for none. 0, or -1 and @why. */
int net_static(const char *address, const char *gateway, char *why, size_t size);
void net_loopback(void);

#endif /* OCI_NET_H */
