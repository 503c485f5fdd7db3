/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that suspend themselves when they are asked to (control/shutdown), as Linux does: what a kernel has of its domain it then
 * knows how to ask for anew, where it goes on. docs/abi.md, "Whole state".
 */
#ifndef XL_SUSPEND_H
#define XL_SUSPEND_H

#include "xl.h"

/* Does the guest's kernel say that it can? */
bool suspend_offered(struct xl *xl, uint32_t domid);
/* Has it? */
bool suspend_done(const struct xen_domctl_getdomaininfo *info);
/*
 * Asks it, and waits until it has. Its lock is held until it is gone or suspend_cancel() has been called. 0; or -1 after a message:
 * then the request has been taken back, or what became of it was said.
 */
int suspend_guest(struct xl *xl, uint32_t domid, const char *name);
/* It goes on where it is, with all that it has. Its lock is held. @xl may be without xenstore. 0 or -errno, without a message. */
int suspend_cancel(struct xl *xl, uint32_t domid);
/* The same of one that may have suspended itself, be it too late to be waited for, or may have gone. */
int suspend_undo(struct xl *xl, uint32_t domid);

#endif /* XL_SUSPEND_H */
