/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Domains coming and going: introduction, release, death.
 * It owns the binding of a domain to its ring and event channel.
 * dom.h is the table behind it.
 */
#ifndef XS_DOMAINS_H
#define XS_DOMAINS_H

#include "dom.h"

/*
 * Serves a domain's ring, or binds its event channel anew. Returns 0 or -errno. *fresh: it was not
 * served before.
 */
int domain_introduce(unsigned int domid, uint64_t gfn, uint32_t remote_port, bool *fresh);
/*
 * The domain is gone for good: its nodes go with all below them (which fires watches), its record
 * too.
 */
void domain_forget(struct dom *d);
/* What the hypervisor said of a domain that is known: it shut down, is dying or (0) gone. */
void domain_judged(unsigned int domid, unsigned int state);
/* After recovery: binds all rings anew and looks for domains that died meanwhile. */
void domains_attach(void);
/* Stops to serve it. */
void domain_release(struct dom *d);
/* dom0's own kernel. -ENODEV on the host. */
int domain_introduce_dom0(void);
/* Binds VIRQ_DOM_EXC. */
int domains_init(void);
/* An event channel has fired. */
void domains_event(uint32_t port);
/* Looks for domains that shut down or died. */
void domains_scan(void);

#endif
