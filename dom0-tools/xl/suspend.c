// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guests that suspend themselves (suspend.h).
 * Owns what becomes of a request: a guest that has not read it is never suspended by it later, and one that has is waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "suspend.h"

#include <xen/sched.h>

/* A guest that has not taken the request by then does not look at it. */
#ifndef SUSPEND_ANSWER_MS
#define SUSPEND_ANSWER_MS 30000
#endif
/* Then it freezes its processes, for which Linux gives itself 20 s, and lets go of its devices. */
#ifndef SUSPEND_MS
#define SUSPEND_MS 60000
#endif

/* A guest that writes to the node without end makes each attempt to change it fail. */
#define ATTEMPTS 100

#define REQUEST "/local/domain/%u/control/shutdown"

bool suspend_offered(struct xl *xl, uint32_t domid)
{
	return st_read_long(xl, "/local/domain/%u/control/feature-suspend", domid) == 1;
}

bool suspend_done(const struct xen_domctl_getdomaininfo *info)
{
	return info->flags & XEN_DOMINF_shutdown && domain_reason(info) == SHUTDOWN_suspend;
}

/* The request becomes @to if it is @from. 1; 0: it is another one; -1: errno. @was: which one it is; the caller frees. */
static int swap(struct xl *xl, uint32_t domid, const char *from, const char *to, char **was)
{
	xs_transaction_t t;
	unsigned int n = 0;
	bool ok;
	int rc;

	*was = NULL;
	do {
		free(*was);
		*was = NULL;
		rc = -1;
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		*was = st_read(xl, t, REQUEST, domid);
		if (*was)
			rc = !strcmp(*was, from);
		if (rc == 1 && !st_write(xl, t, to, REQUEST, domid))
			rc = -1;
		if (rc != 1) {
			int saved = errno;

			xs_transaction_end(xl->xs, t, true);
			errno = saved;
			ok = rc == 0;
		} else {
			ok = xs_transaction_end(xl->xs, t, false);
		}
	} while (!ok && errno == EAGAIN && ++n < ATTEMPTS);
	return t != XBT_NULL && ok ? rc : -1;
}

static int ask(struct xl *xl, uint32_t domid, const char *name)
{
	char *was;
	int rc = swap(xl, domid, "", "suspend", &was);

	if (rc < 0)
		xl_error("cannot ask '%s' to suspend itself: %s", name, strerror(errno));
	else if (!rc && !strcmp(was, "suspend"))
		rc = 1; /* by one who was killed: his lock is ours */
	else if (!rc)
		xl_error("'%s' has been asked for something else (%s)", name, was);
	free(was);
	return rc == 1 ? 0 : -1;
}

/* 1: suspended; 0: not yet; -1: it will not be, after a message. */
static int look(struct xl *xl, uint32_t domid, const char *name)
{
	struct xen_domctl_getdomaininfo info;

	if (pv_domain_info(xl->pv, domid, &info) || info.flags & XEN_DOMINF_dying)
		return xl_error("'%s' has been destroyed", name);
	if (suspend_done(&info))
		return 1;
	if (info.flags & XEN_DOMINF_shutdown)
		return xl_error("'%s' has ended (%s) instead of suspending itself", name,
				shutdown_reason(domain_reason(&info)));
	return 0;
}

/* The guest empties the node when it has read it, or has its own in it; either way it is on its way. */
static bool taken(struct xl *xl, uint32_t domid)
{
	char *left = st_read(xl, XBT_NULL, REQUEST, domid);
	bool yes = left && strcmp(left, "suspend");

	free(left);
	return yes;
}

/* True: it is taken back, or cannot be, which was said. False: it has been taken by the guest. */
static bool take_back(struct xl *xl, uint32_t domid, const char *name)
{
	char *was;
	int rc = swap(xl, domid, "suspend", "", &was);

	free(was);
	if (!rc)
		return false;
	if (rc < 0)
		xl_error("cannot take the request back that '%s' suspends itself: %s", name,
			 strerror(errno));
	else if (xl_interrupted)
		xl_error("interrupted: '%s' goes on", name);
	else
		xl_error("'%s' does not answer the request to suspend itself, which is taken back",
			 name);
	return true;
}

static int await(struct xl *xl, uint32_t domid, const char *name)
{
	int64_t begin = xl_now(), end = begin + SUSPEND_ANSWER_MS;
	bool on_its_way = false, late;
	int rc;

	while (!(rc = look(xl, domid, name))) {
		late = xl_interrupted || xl_now() > end;
		if (!on_its_way && late && take_back(xl, domid, name))
			return -1;
		/* What cannot be taken back was taken, whatever the node says by now. */
		if (!on_its_way && (late || taken(xl, domid))) {
			on_its_way = true;
			end = xl_now() + SUSPEND_MS;
		}
		/* One on its way is waited for even so: it is to be let go on then. */
		if (xl_now() > end)
			return xl_error("'%s' has taken the request to suspend itself, but runs on "
					"(its own log may say why)",
					name);
		xl_sleep_since(begin);
	}
	return rc == 1 ? 0 : -1;
}

int suspend_guest(struct xl *xl, uint32_t domid, const char *name)
{
	struct xen_domctl_getdomaininfo info;

	if (!pv_domain_info(xl->pv, domid, &info) && info.flags & XEN_DOMINF_paused)
		return xl_error("'%s' is paused, and cannot suspend itself: xl unpause it first",
				name);
	return ask(xl, domid, name) ? -1 : await(xl, domid, name);
}

int suspend_cancel(struct xl *xl, uint32_t domid)
{
	int rc = pv_domain_resume(xl->pv, domid, true);

	/* That it ends is told once more then. */
	if (!rc && xl->xs)
		xs_resume_domain(xl->xs, domid);
	return rc;
}

int suspend_undo(struct xl *xl, uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;
	int rc = pv_domain_info(xl->pv, domid, &info);

	return rc || !suspend_done(&info) ? rc : suspend_cancel(xl, domid);
}
