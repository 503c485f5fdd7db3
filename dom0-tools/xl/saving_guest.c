// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is asked of a guest that is being saved (saving.h): may it be, and what is its state?
 * Owns which guests can be saved, and that what is taken of one belongs together: rings settled, clocks of the moment of its pause.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "migrate.h"
#include "saving.h"
#include "suspend.h"
#include "whole.h"

#include <xen/io/console.h>
#include <xen/io/xs_wire.h>

#ifndef SETTLE_MS
#define SETTLE_MS 2000 /* for the daemons to have done with a guest's rings */
#endif

/* --- which guests ----------------------------------------------------------------------------- */

#define LATER "it can be shut down, and created again later"

static bool has_devices(struct saving *s)
{
	static const char *const kinds[] = { "vbd", "vif" };
	unsigned int i, n = 0;

	for (i = 0; i < pv_container_size(kinds) && !n; i++)
		free(st_list(s->xl, &n, XL_PRIVATE "/%u/device/%s", s->domid, kinds[i]));
	if (!n)
		free(st_list(s->xl, &n, XL_CDROM, s->domid));
	return n;
}

/* With devices it is saved whole if it can be: then it need not do anything, nor is any of them made anew. */
static int choose(struct saving *s)
{
	bool offered = suspend_offered(s->xl, s->domid), devices = has_devices(s);
	char *why = NULL;
	int rc = 0;

	if (s->how == SAVING_WHOLE || (s->how == SAVING_ANY && devices))
		why = whole_bars(s->xl, s->domid);
	s->connected = s->how == SAVING_WHOLE || (s->how == SAVING_ANY && devices && !why);
	s->suspended = offered && !s->connected;
	if (s->how == SAVING_WHOLE && why)
		rc = xl_error("'%s' cannot be saved whole: %s", s->guest, why);
	else if (s->how == SAVING_SUSPENDED && !offered)
		rc = xl_error("'%s' does not offer to suspend itself (control/feature-suspend)",
			      s->guest);
	else if (devices && !s->connected && !offered)
		rc = xl_error("'%s' has disks or interfaces, and does not offer to suspend "
			      "itself (control/feature-suspend), nor can they be left as they are "
			      "(%s): detach them, or " LATER,
			      s->guest, why ? why : "");
	free(why);
	return rc;
}

/* Channels and what is in a driver domain would have to be known again by others. */
static int check_devices(struct saving *s)
{
	unsigned int n = 0;
	char *node;

	free(st_list(s->xl, &n, "/local/domain/%u/device/console", s->domid));
	if (n)
		return xl_error("'%s' has channels, and such guests cannot be saved yet: " LATER,
				s->guest);
	if (choose(s))
		return -1;
	node = st_read(s->xl, XBT_NULL, XL_DRIVER, s->domid);
	free(node);
	if (node)
		return xl_error("'%s' is a driver domain, whose guests would lose their devices: "
				"it cannot be saved",
				s->guest);
	return 0;
}

int saving_check(struct saving *s)
{
	struct xen_domctl_getdomaininfo info;
	char *bars = migrate_bars(s->xl, s->domid);
	int rc = bars ? xl_error("'%s' cannot be saved: %s", s->guest, bars) : 0;

	free(bars);
	if (rc)
		return rc;
	if (pv_domain_info(s->xl->pv, s->domid, &info) || info.flags & XEN_DOMINF_dying)
		return xl_error("'%s' has been destroyed", s->guest);
	if (info.flags & XEN_DOMINF_shutdown)
		return xl_error("'%s' has ended: there is nothing to go on with", s->guest);
	return check_devices(s);
}

/* --- its rings -------------------------------------------------------------------------------- */

static int read_page(struct saving *s, uint64_t gfn, void *page)
{
	uint8_t kind = PV_PAGE_HOLE;
	int rc = pv_memory_read(s->xl->pv, s->domid, &gfn, 1, page, &kind);

	if (!rc && kind == PV_PAGE_ZERO)
		memset(page, 0, PV_PAGE_SIZE);
	return rc || kind == PV_PAGE_HOLE ? xl_error("cannot read a ring of '%s'", s->guest) : 0;
}

/* Has xenstored taken and answered all that the guest has asked? 1, 0, or -1 after a message. *@left: what else it holds of it. */
static int store_settled(struct saving *s, char **left)
{
	static union {
		struct xenstore_domain_interface ring;
		uint8_t bytes[PV_PAGE_SIZE];
	} page;
	unsigned long request = 0, unsent = 0, transactions = 0;
	char *cmd, *said;

	*left = NULL;
	if (read_page(s, GUEST_XENSTORE_PFN, &page))
		return -1;
	if (page.ring.req_prod != page.ring.req_cons)
		return 0;
	/* The guest stands still: what xenstored has now it keeps. */
	cmd = xl_sprintf("%u", s->domid);
	said = xs_control_command(s->xl->xs, "connection", cmd, strlen(cmd) + 1);
	free(cmd);
	if (!said || sscanf(said, "request %lu unsent %lu watches %lu transactions %lu", &request,
			    &unsent, &s->watches, &transactions) != 4) {
		free(said);
		return xl_error("xenstored does not say what it holds of '%s': it is another "
				"version",
				s->guest);
	}
	free(said);
	if (transactions)
		*left = xl_sprintf("is in a transaction of xenstore: try again");
	else if (request)
		*left = xl_sprintf("has sent half a request to xenstore: try again");
	/* Half a request may be a whole one that xenstored makes wait. */
	return !unsent && !request;
}

/* Into what will be STORE. A path that is not relative has numbers of this life in it, or is somebody else's. */
static int add_watch(struct saving *s, int depth, const char *path, const char *token)
{
	struct pv_stream_node h = { .flags = PV_NODE_WATCH };
	struct pv_err err = { "" };

	if (*path == '/' || depth != -1)
		return xl_error("'%s' watches %s in xenstore, which cannot be carried yet: " LATER,
				s->guest, path);
	h.path_length = strlen(path);
	h.value_length = strlen(token);
	if (saving_add(s, &h, path, token, &err))
		return xl_error("'%s' cannot be saved: %s", s->guest, err.text);
	return 0;
}

static int get_watches(struct saving *s)
{
	char args[40], *said, *path, *token;
	unsigned long i;
	int depth, rc = 0;

	for (i = 0; i < s->watches && !rc; i++) {
		snprintf(args, sizeof(args), "%u%c%lu", s->domid, '\0', i);
		said = xs_control_command(s->xl->xs, "watch", args,
					  strlen(args) + strlen(args + strlen(args) + 1) + 2);
		path = said ? strchr(said, ' ') : NULL;
		token = path ? strchr(path, '\n') : NULL;
		if (!token || sscanf(said, "%d", &depth) != 1) {
			rc = xl_error("xenstored does not say what '%s' watches: %s", s->guest,
				      said ? "it is another version" : strerror(errno));
		} else {
			*token = '\0';
			rc = add_watch(s, depth, path + 1, token + 1);
		}
		free(said);
	}
	return rc;
}

static int await_store(struct saving *s)
{
	int64_t begin = xl_now();
	char *left = NULL;
	int rc;

	while (!(rc = store_settled(s, &left)) && xl_now() < begin + SETTLE_MS && !xl_interrupted) {
		free(left);
		left = NULL;
		xl_sleep_since(begin);
	}
	if (rc >= 0 && left)
		rc = xl_error("'%s' %s", s->guest, left);
	else if (!rc && xl_interrupted)
		xl_error("interrupted: '%s' goes on", s->guest);
	else if (!rc)
		xl_error("'%s' does not fetch what xenstored has answered: it cannot be saved",
			 s->guest);
	free(left);
	return rc <= 0 ? -1 : 0;
}

/* What nobody takes from the console stays in its ring, and goes with it. */
static int await_console(struct saving *s)
{
	static union {
		struct xencons_interface ring;
		uint8_t bytes[PV_PAGE_SIZE];
	} page;
	int64_t begin = xl_now();

	do {
		if (read_page(s, GUEST_CONSOLE_PFN, &page))
			return -1;
		if (page.ring.out_prod == page.ring.out_cons)
			break;
		xl_sleep_since(begin);
	} while (xl_now() < begin + SETTLE_MS && !xl_interrupted);
	return 0;
}

/* --- the stream ------------------------------------------------------------------------------- */

static int state_error(const struct saving *s, int rc)
{
	const char *why = rc == -EXDEV	? "it shares memory or event channels with another "
					  "guest: " LATER :
			  rc == -EMLINK ? "it has mapped other guests' memory: " LATER :
			  rc == -ENODEV ? "it has a device's interrupt" :
			  rc == -ENXIO	? "it has given up a page that it told the hypervisor "
					  "to write to" :
			  rc == -ENOSYS ? "this hypervisor cannot tell it" :
					  strerror(-rc);

	return xl_error("'%s' cannot be saved: %s", s->guest, why);
}

static int get_state_now(struct saving *s, uint8_t **state, uint32_t *size)
{
	int rc = pv_domain_get_state(s->xl->pv, s->domid, NULL, size);

	if (rc)
		return state_error(s, rc);
	*state = malloc(*size);
	if (!*state)
		abort();
	rc = pv_domain_get_state(s->xl->pv, s->domid, *state, size);
	if (rc)
		return state_error(s, rc);
	return saved_domain(*state, *size, &s->domain) ? 0 : state_error(s, -EBADMSG);
}

/* How much of a state is DOMAIN's and VCPU's records: they come first. */
static uint32_t clocks(const uint8_t *state, uint32_t size)
{
	struct hvm_save_descriptor d;
	uint32_t at = 0;

	while (size - at >= sizeof(d)) {
		memcpy(&d, state + at, sizeof(d));
		if (d.typecode < HVM_SAVE_DOMAIN || d.typecode > HVM_SAVE_VCPU ||
		    d.length > size - at - sizeof(d))
			break;
		at += sizeof(d) + d.length;
	}
	return at;
}

/*
 * Its clock stands still from get on, and so that is right behind the pause; but what the daemons did until its rings were settled
 * has made ports pending. So all is asked for again, but for the clocks and the vCPUs, which have not moved.
 */
static int get_state(struct saving *s, const uint8_t *first, uint32_t first_size)
{
	uint32_t n = clocks(first, first_size);

	if (get_state_now(s, &s->state, &s->state_size))
		return -1;
	if (clocks(s->state, s->state_size) != n)
		return xl_error("'%s' cannot be saved: its vCPUs have changed while it was paused",
				s->guest);
	memcpy(s->state, first, n);
	return saved_domain(s->state, s->state_size, &s->domain) ? 0 : state_error(s, -EBADMSG);
}

int saving_map(struct saving *s)
{
	struct pavise_memory_run found[128];
	struct pv_stream_run *last = NULL;
	uint64_t gfn = 0;
	int n, i;

	s->run = calloc(PV_STREAM_RUNS, sizeof(*s->run));
	if (!s->run)
		abort();
	do {
		n = pv_memory_map(s->xl->pv, s->domid, &gfn, found, 128);
		if (n < 0)
			return state_error(s, n);
		for (i = 0; i < n; i++) {
			if (found[i].what != PAVISE_RUN_ram &&
			    !(found[i].what & PAVISE_RUN_hides_ram))
				continue;
			s->pages += found[i].pages;
			if (last && last->gfn + last->pages == found[i].gfn) {
				last->pages += found[i].pages;
				continue;
			}
			if (s->nr_runs == PV_STREAM_RUNS)
				return xl_error("'%s' cannot be saved: its memory has more than %d "
						"pieces",
						s->guest, PV_STREAM_RUNS);
			last = &s->run[s->nr_runs++];
			*last = (struct pv_stream_run){ found[i].gfn, found[i].pages };
		}
	} while (n == 128);
	return 0;
}

/* Both daemons have a ring of its: one as it stands, or settled. */
static int get_whole(struct saving *s)
{
	uint8_t *first = NULL;
	uint32_t first_size = 0;
	int rc = get_state_now(s, &first, &first_size);

	if (!rc && s->connected)
		rc = whole_drain(s, first, first_size) || whole_store(s);
	else if (!rc)
		rc = await_store(s) || get_watches(s);
	rc = rc || await_console(s) || get_state(s, first, first_size);
	free(first);
	return rc ? -1 : 0;
}

/* What it watches, and has asked or been answered, it knows itself. */
static int get_suspended(struct saving *s)
{
	if (get_state_now(s, &s->state, &s->state_size))
		return -1;
	return s->domain.flags & HVM_DOMAIN_SUSPENDED ? 0 : state_error(s, -ENOSYS);
}

int saving_state(struct saving *s)
{
	return s->suspended ? get_suspended(s) : get_whole(s);
}

int saving_undo(struct saving *s)
{
	int rc = s->connected ? whole_undo(s->xl, s->domid) : 0, err;

	if (!s->suspended)
		return rc;
	err = suspend_undo(s->xl, s->domid);
	return err ? xl_error("'%s' cannot go on: %s", s->guest, strerror(-err)) : 0;
}

/* --- what may have become of it meanwhile ------------------------------------------------------ */

int saving_goes_on(struct saving *s, struct xen_domctl_getdomaininfo *info)
{
	if (pv_domain_info(s->xl->pv, s->domid, info) || info->flags & XEN_DOMINF_dying)
		return xl_error("'%s' has been destroyed", s->guest);
	if (info->flags & XEN_DOMINF_shutdown && !(s->suspended && suspend_done(info)))
		return xl_error("'%s' has ended (%s) on its way: there is nothing to go on with",
				s->guest, shutdown_reason(domain_reason(info)));
	return 0;
}

int saving_same_map(struct saving *s)
{
	struct pv_stream_run *was = s->run;
	unsigned int nr = s->nr_runs;
	int rc;

	s->run = NULL;
	s->nr_runs = 0;
	s->pages = 0;
	rc = saving_map(s);
	if (!rc && (nr != s->nr_runs || memcmp(was, s->run, nr * sizeof(*was))))
		rc = xl_error("'%s' has been given other memory meanwhile: try again", s->guest);
	free(was);
	return rc;
}
