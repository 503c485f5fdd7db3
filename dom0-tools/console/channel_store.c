// SPDX-License-Identifier: BSD-2-Clause
/*
 * The nodes of channels: the back end's in dom0, which only xl and we write, say what there is; the front end's are the guest's,
 * and may be anything at any moment.
 * Owns the states of the back end, as xenbus has them: InitWait, Connected, and Closed where the guest asks for it or where it
 * cannot be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"

#include <xen/io/xenbus.h>

#define BACK "/local/domain/0/backend/console/%u"
#define TRIES 10 /* of a transaction: only others of dom0 write there */
#define GUEST_TRIES 3 /* there the guest may write all the time */

static void back_path(const struct guest *g, unsigned int devid, const char *leaf, char path[96])
{
	snprintf(path, 96, BACK "/%u/%s", g->domid, devid, leaf);
}

static void front_path(const struct guest *g, unsigned int devid, const char *leaf, char path[96])
{
	snprintf(path, 96, "/local/domain/%u/device/console/%u/%s", g->domid, devid, leaf);
}

/* --- reading ----------------------------------------------------------------------------------- */

static char *read_back(struct xs_handle *xs, const struct guest *g, unsigned int devid,
		       const char *leaf)
{
	char path[96];
	unsigned int len;

	back_path(g, devid, leaf, path);
	return xs_read(xs, XBT_NULL, path, &len);
}

/* A number that the guest wrote, -1: there is none. */
static int64_t read_front(struct xs_handle *xs, const struct channel *c, const char *leaf)
{
	char path[96], *text, *end;
	unsigned int len;
	unsigned long n;
	int64_t rc = -1;

	front_path(c->guest, c->devid, leaf, path);
	text = xs_read(xs, XBT_NULL, path, &len);
	if (text && *text >= '0' && *text <= '9') {
		errno = 0;
		n = strtoul(text, &end, 10);
		if (!errno && !*end && n <= UINT32_MAX)
			rc = n;
	}
	free(text);
	return rc;
}

/* --- writing ----------------------------------------------------------------------------------- */

/*
 * Writes @path if @there is: in a transaction, as a guest that is just being removed must not get a node back. Never tried for
 * ever: who writes there at the same time may be the guest.
 */
static bool write_if(struct xs_handle *xs, const char *there, const char *path, const char *value,
		     int tries)
{
	unsigned int len;
	xs_transaction_t t;
	char *old;
	bool ok;

	while (tries--) {
		t = xs_transaction_start(xs);
		if (t == XBT_NULL)
			return false;
		old = xs_read(xs, t, there, &len);
		ok = old && xs_write(xs, t, path, value, strlen(value));
		free(old);
		if (!ok) {
			int saved = errno;

			xs_transaction_end(xs, t, true);
			if (saved != EAGAIN)
				return false;
			continue;
		}
		if (xs_transaction_end(xs, t, false))
			return true;
		if (errno != EAGAIN)
			return false;
	}
	return false;
}

static bool write_back(struct xs_handle *xs, const struct guest *g, unsigned int devid,
		       const char *leaf, const char *value)
{
	char there[96], path[96];

	back_path(g, devid, "frontend-id", there);
	back_path(g, devid, leaf, path);
	return write_if(xs, there, path, value, TRIES);
}

static void say_state(struct xs_handle *xs, struct channel *c, int state)
{
	char text[4];

	if (c->state == state)
		return;
	snprintf(text, sizeof(text), "%d", state);
	if (write_back(xs, c->guest, c->devid, "state", text))
		c->state = state;
	else if (errno == EAGAIN)
		c->dirty = true; /* others wrote there all the time: at the next look */
}

/* Where the pty is: for xl in a node that can be believed, and where Xen's xenconsole looks. */
static void say_tty(struct xs_handle *xs, struct channel *c)
{
	char there[96], path[96];

	write_back(xs, c->guest, c->devid, "tty", c->pty.path);
	back_path(c->guest, c->devid, "frontend-id", there);
	front_path(c->guest, c->devid, "tty", path);
	write_if(xs, there, path, c->pty.path, GUEST_TRIES);
}

/* --- which there are --------------------------------------------------------------------------- */

static void adopt(struct daemon *d, struct xs_handle *xs, struct guest *g, unsigned int devid)
{
	char *kind = read_back(xs, g, devid, "connection"), *path = read_back(xs, g, devid, "path");
	char *state = read_back(xs, g, devid, "state"), *online = read_back(xs, g, devid, "online");
	bool is_socket = kind && !strcmp(kind, "socket") && path;
	struct channel *c = NULL;
	char why[300] = "neither a pty nor a socket";

	if (!kind || !state || !online || strcmp(online, "1"))
		goto out;
	if (is_socket || !strcmp(kind, "pty"))
		c = channel_open(d, g, devid, is_socket ? path : NULL, why, sizeof(why));
	if (c) {
		c->state = atoi(state);
		if (!is_socket)
			say_tty(xs, c);
		/* Of one that was served before, the look tells. */
		if (c->state != XenbusStateConnected)
			say_state(xs, c, XenbusStateInitWait);
	} else {
		fprintf(stderr, "domain %u (%s): no channel %u: %s\n", g->domid, g->name, devid,
			why);
		write_back(xs, g, devid, "error", why);
		write_back(xs, g, devid, "state", "6");
	}
out:
	free(kind);
	free(path);
	free(state);
	free(online);
}

void channels_adopt(struct daemon *d, struct xs_handle *xs, struct guest *g)
{
	unsigned int n = 0, i, devid;
	char path[96], **list;

	snprintf(path, sizeof(path), BACK, g->domid);
	list = xs_directory(xs, XBT_NULL, path, &n);
	for (i = 0; list && i < n; i++) {
		devid = list[i][0] - '0';
		if (devid && devid <= CHANNEL_LAST && !list[i][1])
			adopt(d, xs, g, devid);
	}
	free(list);
	channels_watch(xs, g);
}

static void each_watch(struct xs_handle *xs, struct guest *g,
		       bool (*fn)(struct xs_handle *xs, const char *path, const char *token))
{
	char path[96], token[40];
	struct channel *c;

	for (c = g->channels; c; c = c->next) {
		snprintf(token, sizeof(token), CHANNEL_TOKEN, g->domid, c->devid);
		front_path(g, c->devid, "state", path);
		fn(xs, path, token);
		back_path(g, c->devid, "online", path);
		fn(xs, path, token);
	}
}

void channels_watch(struct xs_handle *xs, struct guest *g)
{
	/* Each fires at once, and so they are looked at. */
	each_watch(xs, g, xs_watch);
}

void channels_unwatch(struct xs_handle *xs, struct guest *g)
{
	each_watch(xs, g, xs_unwatch);
}

bool channels_changed(struct daemon *d, const char *token)
{
	unsigned int domid, devid;
	struct channel *c;
	struct guest *g;

	if (sscanf(token, CHANNEL_TOKEN, &domid, &devid) != 2)
		return false;
	for (g = d->guests; g; g = g->next)
		if (g->domid == domid)
			for (c = g->channels; c; c = c->next)
				if (c->devid == devid)
					c->dirty = true;
	return true;
}

/* --- what the guest wants ---------------------------------------------------------------------- */

/* The front end says that its ring is there. A guest that offers what cannot be waits until it has changed its mind. */
static void connect_front(struct daemon *d, struct xs_handle *xs, struct channel *c)
{
	int64_t ref = read_front(xs, c, "ring-ref"), port = read_front(xs, c, "port");

	if (c->ring.page && ref == c->ring_ref && port == c->remote_port)
		return say_state(xs, c, XenbusStateConnected);
	if (ref < 0 || port < 0) {
		channel_detach(d, c);
	} else if (!channel_attach(d, c, ref, port)) {
		return say_state(xs, c, XenbusStateConnected);
	} else if (!c->bad_reported) {
		c->bad_reported = true;
		fprintf(stderr,
			"domain %u (%s): its ring of channel %u (grant %lld, port %lld) cannot be "
			"used: %s\n",
			c->guest->domid, c->guest->name, c->devid, (long long)ref, (long long)port,
			strerror(errno));
	}
	say_state(xs, c, XenbusStateInitWait);
}

void channel_look(struct daemon *d, struct xs_handle *xs, struct channel *c, int64_t now)
{
	char *online;
	int64_t state;

	if (!c->dirty || guest_delay(c->guest, now))
		return;
	c->dirty = false;
	if (c->off)
		return;
	c->guest->share -= LOOK_COST;
	online = read_back(xs, c->guest, c->devid, "online");
	/* Only where it is said: a xenstored that is away says nothing. */
	if (online && !strcmp(online, "0")) {
		c->off = true;
		channel_shut(d, c);
		say_state(xs, c, XenbusStateClosed);
	}
	free(online);
	if (!online || c->off)
		return;
	state = read_front(xs, c, "state");
	if (state == XenbusStateInitialised || state == XenbusStateConnected) {
		connect_front(d, xs, c);
	} else {
		channel_detach(d, c);
		say_state(xs, c,
			  state == XenbusStateClosing ? XenbusStateClosed : XenbusStateInitWait);
	}
}
