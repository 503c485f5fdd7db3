/* SPDX-License-Identifier: MIT */
/*
 * The front ends: block devices and network interfaces that xl.cfg's "disk" and "vif" give the domain
 * (Xen's io/blkif.h and io/netif.h). Requests wait for their answer; a device is for one vCPU at a time.
 */
#ifndef PV_DEVICE_H
#define PV_DEVICE_H

#include <pv/runtime.h>

struct pv_block {
	uint64_t sectors; /* of 512 bytes */
	bool read_only, can_flush;
	struct pv_block_ring *ring;
};

/*
 * The domain's n-th disk in the order of xenstore's list, from 0. 0; -ENODEV: there are not so many;
 * -ETIMEDOUT: its back end does not answer; -ENOMEM, -ENOSPC, or xenstore's errors.
 */
int pv_block_open(struct pv_block *b, unsigned int n);
/*
 * n sectors from `sector` on, buffer aligned to 512 bytes. 0; -EINVAL: beyond the disk's end or not
 * aligned; -EROFS; -EIO: the back end says so.
 */
int pv_block_read(struct pv_block *b, uint64_t sector, void *buffer, size_t n);
int pv_block_write(struct pv_block *b, uint64_t sector, const void *buffer, size_t n);
/* What was written is on the disk when it returns. 0, -EIO; 0 as well if the disk knows no flush. */
int pv_block_flush(struct pv_block *b);
void pv_block_close(struct pv_block *b);

#define PV_NET_FRAME 1514 /* the longest: Ethernet's header and 1500 bytes */

struct pv_net {
	uint8_t mac[6];
	struct pv_net_ring *ring;
};

/* The n-th interface; errors as pv_block_open(). Checksums are ours to make; there is no offload. */
int pv_net_open(struct pv_net *d, unsigned int n);
/* An Ethernet frame, without its check sequence. 0; -EINVAL: too long; -ETIMEDOUT: nobody takes any. */
int pv_net_send(struct pv_net *d, const void *frame, size_t n);
/* Waits at most so long (~0: for ever). The frame's length, 0: none came; longer ones are dropped. */
size_t pv_net_receive(struct pv_net *d, void *frame, size_t size, uint64_t timeout_ns);
void pv_net_close(struct pv_net *d);

#endif
