// SPDX-License-Identifier: BSD-2-Clause
/*
 * Domains coming and going: introduction, release, death.
 * It owns the binding of a domain to its ring and event channel.
 * @releaseDomain is sent for shutdown, for dying and for being gone, each once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domains.h"
#include "hv.h"
#include "record.h"
#include "ring.h"
#include "util.h"
#include "watch.h"

static struct conn **by_port;
static uint32_t num_ports;
static uint32_t exc_port = UINT32_MAX;

static void port_set(uint32_t port, struct conn *c)
{
	if (port >= num_ports) {
		uint32_t n = port + 64;

		if (!c)
			return;
		by_port = xrealloc(by_port, n * sizeof(*by_port));
		memset(by_port + num_ports, 0, (n - num_ports) * sizeof(*by_port));
		num_ports = n;
	}
	by_port[port] = c;
}

int domain_introduce(unsigned int domid, uint64_t gfn, uint32_t remote_port, bool *fresh)
{
	struct dom *d = dom_need(domid);
	struct conn *c = d->conn;
	void *page;
	int port, err;

	*fresh = !c;
	if (c) {
		/* a toolstack that resumes a domain gives it a new event channel this way */
		port_set(c->port, NULL);
		rec_unbind(c->port);
		port = rec_bind(domid, remote_port);
		if (port < 0) {
			c->port = 0;
			domain_release(d);
			return port;
		}
		c->port = (uint32_t)port;
	} else {
		page = rec_map_ring(domid);
		if (!page) {
			err = -errno;
			xlog(LOG_ERR_, "domain %u: cannot map its ring: %s", domid, strerror(-err));
			return err;
		}
		port = rec_bind(domid, remote_port);
		if (port < 0) {
			xlog(LOG_ERR_, "domain %u: cannot bind port %u: %s", domid, remote_port,
			     strerror(-port));
			rec_unmap_ring(page);
			return port;
		}
		c = ring_conn_new(domid, page, (uint32_t)port);
		d->conn = c;
	}
	port_set(c->port, c);
	d->introduced = true;
	d->shutdown = d->dying = false;
	d->gfn = gfn;
	d->remote_port = remote_port;
	if (!replaying)
		ring_event(c);
	return 0;
}

void domain_release(struct dom *d)
{
	if (d->conn) {
		port_set(d->conn->port, NULL);
		conn_free(d->conn);
		d->conn = NULL;
	}
	d->introduced = d->parked = false;
}

struct owned {
	unsigned int domid;
	char **paths; /* topmost nodes that it owns */
	size_t num;
};

static bool find_owned(const struct node *n, const char *path, void *ctx)
{
	struct owned *o = ctx;

	/* the root stays whatever happens; with its owner dead it is dom0's */
	if (perms_owner(n->perms) != o->domid || !strcmp(path, "/"))
		return true;
	o->paths = xrealloc(o->paths, (o->num + 1) * sizeof(*o->paths));
	o->paths[o->num++] = xstrdup(path);
	return false;
}

static void remove_node(const char *path)
{
	struct change c = change_of(store_root, path, true);

	if (!store_do(&(struct op){ .kind = OP_RM, .path = (char *)path }))
		watch_fire(&c);
	change_free(&c);
}

static void remove_owned(unsigned int domid, const char *below)
{
	const struct node *n = tree_get(store_root, below);
	struct owned o = { .domid = domid };

	if (!n)
		return;
	tree_paths(n, below, find_owned, &o);
	for (size_t i = 0; i < o.num; i++) {
		remove_node(o.paths[i]);
		free(o.paths[i]);
	}
	free(o.paths);
}

void domain_forget(struct dom *d)
{
	char home[32];

	/* most own nothing outside their home, and then the rest need not be searched */
	snprintf(home, sizeof(home), "/local/domain/%u", d->domid);
	if (d->nodes)
		remove_owned(d->domid, home);
	if (d->nodes)
		remove_owned(d->domid, "/");
	dom_forget(d);
}

/* Binds a connection that was recovered. Returns 0 or -errno. */
static int attach(struct dom *d)
{
	struct conn *c = d->conn;
	uint32_t remote = d->remote_port;
	void *page;
	int port, err;

	c->port = UINT32_MAX;
	if (d->domid) {
		page = hv_map_ring(d->domid);
		err = page ? 0 : -errno;
	} else {
		err = hv_dom0_ring(&page, &remote);
	}
	if (err)
		return err;
	port = hv_bind(d->domid, remote);
	if (port < 0) {
		hv_unmap_ring(page);
		return port;
	}
	d->remote_port = remote;
	port_set((uint32_t)port, c);
	ring_attach(c, page, (uint32_t)port);
	return 0;
}

/* Is it on its way out, or gone? A hypervisor that does not say is not believed to mean that. */
static bool dies(unsigned int domid)
{
	struct hv_dominfo info;
	int n = hv_dominfo(domid, 1, &info);

	return n >= 0 && (!n || info.domid != domid || info.dying);
}

void domains_attach(void)
{
	struct dom *d;
	int err;

	/* the ports of the daemon that died */
	for (uint32_t i = 0; i < num_ports; i++)
		by_port[i] = NULL;
	for (d = dom_first(); d; d = d->next) {
		if (!d->conn)
			continue;
		err = attach(d);
		if (!err)
			continue;
		/* the scan will tell who must know */
		if (d->domid && dies(d->domid))
			xlog(LOG_INFO_, "domain %u died meanwhile", d->domid);
		else
			xlog(LOG_ERR_, "domain %u: cannot serve its ring again: %s", d->domid,
			     strerror(-err));
		domain_release(d);
	}
	if (exc_port != UINT32_MAX)
		domains_scan();
}

int domain_introduce_dom0(void)
{
	struct dom *d = dom_need(0);
	uint32_t remote;
	void *page;
	int port, err = hv_dom0_ring(&page, &remote);

	if (err)
		return err;
	port = hv_bind(0, remote);
	if (port < 0) {
		hv_unmap_ring(page);
		return port;
	}
	d->conn = ring_conn_new(0, page, (uint32_t)port);
	d->introduced = true;
	d->remote_port = remote;
	port_set((uint32_t)port, d->conn);
	return 0;
}

int domains_init(void)
{
	int port = hv_bind_dom_exc();

	if (port == -ENOSYS)
		return 0;
	if (port < 0)
		return port;
	exc_port = (uint32_t)port;
	return 0;
}

void domains_event(uint32_t port)
{
	if (port == exc_port)
		domains_scan();
	else if (port < num_ports && by_port[port])
		ring_event(by_port[port]);
}

enum { SEEN = 1, SHUTDOWN = 2, DYING = 4 };

/* One record against what the hypervisor says of its domain: has something happened? */
static bool news(const struct dom *d, unsigned int state)
{
	if (!state)
		return true;
	return state & DYING ? !d->dying : state & SHUTDOWN && !d->shutdown;
}

void domain_judged(unsigned int domid, unsigned int state)
{
	struct dom *d = dom_find(domid);

	if (!d || !domid)
		return;
	if (state & DYING || !state) {
		/* the mapping of its page would keep it from going */
		domain_release(d);
		d->dying = true;
	} else {
		d->shutdown = true;
	}
	if (!state)
		domain_forget(d);
	watch_fire_special("@releaseDomain", domid);
}

void domains_scan(void)
{
	static uint8_t state[DOM_FIRST_RESERVED];
	struct hv_dominfo info[64];
	unsigned int first = 0, domid;
	struct dom *d, *next;
	int n;

	memset(state, 0, sizeof(state));
	do {
		n = hv_dominfo(first, ARRAY_SIZE(info), info);
		if (n < 0) {
			xlog(LOG_ERR_, "cannot ask for the domains: %s", strerror(-n));
			return;
		}
		for (int i = 0; i < n; i++)
			if (info[i].domid < DOM_FIRST_RESERVED)
				state[info[i].domid] =
					(uint8_t)(SEEN | (info[i].shutdown ? SHUTDOWN : 0) |
						  (info[i].dying ? DYING : 0));
		if (n && info[n - 1].domid < first)
			return; /* no list can be made of such answers, so nobody is declared dead */
		if (n)
			first = info[n - 1].domid + 1u;
		/* a short answer is not the last one: the hypervisor may stop early */
	} while (n);

	for (d = dom_first(); d; d = next) {
		next = d->next;
		domid = d->domid;
		if (!domid || !news(d, state[domid]))
			continue;
		record_judge(domid, state[domid]);
		domain_judged(domid, state[domid]);
	}
}
