// SPDX-License-Identifier: BSD-2-Clause
/*
 * Channels as devices: the nodes by which guest and xenconsoled find each other, which makes pty and socket.
 * Owns that a channel that cannot be is an error of its guest's creation, and that no socket outlives its guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xl.h"

#include <xen/io/xenbus.h>

#ifndef CHANNEL_WAIT_MS
#define CHANNEL_WAIT_MS 5000
#endif

#define BACK "/local/domain/0/backend/console/%u"

/* --- before there is a domain ------------------------------------------------------------------ */

/* Has a guest of now a channel with this very file? Its name, which the caller frees, or NULL. */
static char *owner_of(struct xl *xl, const struct stat *st)
{
	unsigned int doms, devs, i, j;
	char **dom = st_list(xl, &doms, "/local/domain/0/backend/console"), *owner = NULL;
	struct stat other;

	for (i = 0; i < doms && !owner; i++) {
		char **dev = st_list(xl, &devs, BACK, atoi(dom[i]));

		for (j = 0; j < devs && !owner; j++) {
			char *path = st_read(xl, XBT_NULL, BACK "/%s/path", atoi(dom[i]), dev[j]);

			if (path && !lstat(path, &other) && other.st_dev == st->st_dev &&
			    other.st_ino == st->st_ino) {
				owner = domain_name(xl, atoi(dom[i]));
				if (!owner)
					owner = xl_sprintf("domain %s", dom[i]);
			}
			free(path);
		}
		free(dev);
	}
	free(dom);
	return owner;
}

/* Can a socket be made there? */
static int check_path(struct xl *xl, struct xl_config *cfg, const struct xl_channel *c)
{
	char *dir = xl_sprintf("%.*s/.", (int)(strrchr(c->path, '/') - c->path), c->path), *owner;
	struct stat st;
	int rc = 0;

	if (stat(dir, &st)) {
		config_error(cfg, "channel", c->line, "%s: %s", c->path, strerror(errno));
		rc = -1;
	}
	free(dir);
	if (rc || lstat(c->path, &st))
		return rc;
	owner = owner_of(xl, &st);
	if (owner)
		config_error(cfg, "channel", c->line, "%s is a channel of '%s'", c->path, owner);
	else if (!pv_socket_is_dead(c->path))
		config_error(cfg, "channel", c->line, "%s exists already", c->path);
	else
		return 0; /* left by a xenconsoled that died; the present one removes it */
	free(owner);
	return -1;
}

int channels_check(struct xl *xl, struct xl_config *cfg)
{
	int i, bad = 0;

	for (i = 0; i < cfg->nr_channels; i++)
		if (cfg->channel[i].path)
			bad |= check_path(xl, cfg, &cfg->channel[i]);
	return bad;
}

/* --- making ------------------------------------------------------------------------------------ */

/* Nodes that the guest only reads, as Xen's toolstack has them. */
static bool write_front(struct xl *xl, xs_transaction_t t, const char *fe, uint32_t domid,
			const struct xl_channel *c)
{
	const struct {
		const char *leaf, *value;
	} nodes[] = {
		{ "name", c->name }, { "tty", "" },	     { "type", "xenconsoled" },
		{ "output", "pty" }, { "limit", "1048576" }, { "protocol", "vt100" },
	};
	unsigned int i;
	bool ok = true;

	for (i = 0; ok && i < pv_container_size(nodes); i++)
		ok = st_dir(xl, t, 0, domid, "%s/%s", fe, nodes[i].leaf) &&
		     st_write(xl, t, nodes[i].value, "%s/%s", fe, nodes[i].leaf);
	return ok;
}

static bool write_one(struct xl *xl, xs_transaction_t t, uint32_t domid, const struct xl_channel *c)
{
	char be[64], fe[64], id[16];
	bool ok;

	snprintf(be, sizeof(be), BACK "/%u", domid, c->devid);
	snprintf(fe, sizeof(fe), "/local/domain/%u/device/console/%u", domid, c->devid);
	snprintf(id, sizeof(id), "%u", domid);
	ok = st_dir(xl, t, 0, domid, "%s", be);
	ok = ok && st_write(xl, t, fe, "%s/frontend", be);
	ok = ok && st_write(xl, t, id, "%s/frontend-id", be);
	ok = ok && st_write(xl, t, "1", "%s/online", be);
	ok = ok && st_write(xl, t, "vt100", "%s/protocol", be);
	ok = ok && st_write(xl, t, c->name, "%s/name", be);
	ok = ok && st_write(xl, t, c->path ? "socket" : "pty", "%s/connection", be);
	if (c->path)
		ok = ok && st_write(xl, t, c->path, "%s/path", be);
	ok = ok && st_write(xl, t, "1", "%s/state", be);

	ok = ok && st_dir(xl, t, domid, 0, "%s", fe);
	ok = ok && st_write(xl, t, be, "%s/backend", fe);
	ok = ok && st_write(xl, t, "0", "%s/backend-id", fe);
	ok = ok && write_front(xl, t, fe, domid, c);
	return ok && st_write(xl, t, "1", "%s/state", fe);
}

bool channels_write(struct xl *xl, xs_transaction_t t, uint32_t domid, const struct xl_config *cfg)
{
	bool ok = true;
	int i;

	for (i = 0; ok && i < cfg->nr_channels; i++)
		ok = write_one(xl, t, domid, &cfg->channel[i]);
	return ok;
}

/* 0, -1 after a message, 1: no answer by @end. */
static int await_one(struct xl *xl, struct xl_config *cfg, uint32_t domid,
		     const struct xl_channel *c, int64_t end)
{
	char *why;
	long state;
	int ms = 2;

	for (;;) {
		state = st_read_long(xl, BACK "/%u/state", domid, c->devid);
		if (state > XenbusStateConnected) {
			why = st_read(xl, XBT_NULL, BACK "/%u/error", domid, c->devid);
			config_error(cfg, "channel", c->line, "'%s': %s", c->name,
				     why ? why : "xenconsoled does not serve it");
			free(why);
			return -1;
		}
		if (state >= XenbusStateInitWait)
			return 0;
		if (xl_now() > end || xl_interrupted)
			return 1;
		xl_sleep(ms);
		if (ms < 50)
			ms *= 2;
	}
}

int channels_await(struct xl *xl, struct xl_config *cfg, uint32_t domid)
{
	int64_t end = xl_now() + CHANNEL_WAIT_MS;
	int i, rc;

	for (i = 0; i < cfg->nr_channels; i++) {
		rc = await_one(xl, cfg, domid, &cfg->channel[i], end);
		if (rc < 0)
			return -1;
		if (rc)
			xl_error("warning: xenconsoled does not serve channel '%s' of '%s' yet",
				 cfg->channel[i].name, cfg->name);
	}
	return 0;
}

/* --- the end ----------------------------------------------------------------------------------- */

char **channels_sockets(struct xl *xl, uint32_t domid)
{
	unsigned int n, i, found = 0;
	char **dev = st_list(xl, &n, BACK, domid), **paths = calloc(n + 1, sizeof(*paths));

	if (!paths)
		abort();
	for (i = 0; i < n; i++) {
		paths[found] = st_read(xl, XBT_NULL, BACK "/%s/path", domid, dev[i]);
		found += paths[found] != NULL;
	}
	free(dev);
	return paths;
}

void channels_remove_sockets(struct xl *xl, char **paths)
{
	struct stat st;
	char *owner;
	int i;

	for (i = 0; paths[i]; i++) {
		/* Another guest may have it by now, whose client we would be for a moment. */
		owner = lstat(paths[i], &st) ? NULL : owner_of(xl, &st);
		if (!owner && !xl_store_lost && pv_socket_is_dead(paths[i]))
			unlink(paths[i]);
		free(owner);
		free(paths[i]);
	}
	free(paths);
}

void channels_remove(struct xl *xl, uint32_t domid)
{
	int64_t end = xl_now() + CHANNEL_WAIT_MS;
	char **sockets = channels_sockets(xl, domid);
	unsigned int n, i, devid;
	char **dev = st_list(xl, &n, BACK, domid);

	for (i = 0; i < n; i++)
		if (atoi(dev[i]))
			st_replace(xl, "0", BACK "/%s/online", domid, dev[i]);
	for (i = 0; i < n; i++) {
		devid = atoi(dev[i]);
		while (devid && xl_now() < end &&
		       st_read_long(xl, BACK "/%u/state", domid, devid) != XenbusStateClosed)
			xl_sleep(20);
		if (devid) {
			st_remove(xl, XBT_NULL, BACK "/%u", domid, devid);
			st_remove(xl, XBT_NULL, "/local/domain/%u/device/console/%u", domid, devid);
		}
	}
	free(dev);
	channels_remove_sockets(xl, sockets);
}
