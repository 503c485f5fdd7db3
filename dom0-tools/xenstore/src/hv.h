/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All that the daemon asks of the hypervisor: event channels, ring pages, states of domains.
 * hv_xen.c answers through dom0's /dev/xen devices; hv_none.c is the host's stand-in.
 * Functions return 0 or more, or -errno.
 */
#ifndef XS_HV_H
#define XS_HV_H

#include <stdbool.h>
#include <stdint.h>

struct hv_dominfo {
	uint16_t domid;
	bool dying, shutdown;
};

/* Opens what is needed; *why says what failed. */
int hv_init(const char **why);
void hv_exit(void);

/*
 * Event channels. The fd is readable when hv_next_event has something; that one is unmasked at
 * once.
 */
int hv_event_fd(void);
bool hv_next_event(uint32_t *port);
int hv_bind(unsigned int domid, uint32_t remote_port); /* local port */
void hv_unbind(uint32_t port);
void hv_notify(uint32_t port);
int hv_bind_dom_exc(void); /* local port, or -ENOSYS */

/* A guest's ring page: granted as GNTTAB_RESERVED_XENSTORE by the toolstack. NULL with errno. */
void *hv_map_ring(unsigned int domid);
void hv_unmap_ring(void *page);
/* dom0's own page and the port its kernel listens on. -ENODEV where there is no dom0. */
int hv_dom0_ring(void **page, uint32_t *remote_port);

/* States of up to max domains from number `first` up. How many, or -ENOSYS where nobody knows. */
int hv_dominfo(unsigned int first, unsigned int max, struct hv_dominfo *out);

#endif
