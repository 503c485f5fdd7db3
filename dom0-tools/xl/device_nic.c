// SPDX-License-Identifier: BSD-2-Clause
/*
 * Network interfaces as PV devices: what netback, netfront and vif-bridge want to read in xenstore.
 * Owns where scripts are looked for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "stats.h"

#include <xen/io/xenbus.h>

static char *script_path(const struct xl_nic *n)
{
	return *n->script == '/' ? xl_sprintf("%s", n->script) :
				   xl_sprintf(XL_SCRIPT_DIR "/%s", n->script);
}

int device_check_nic(struct xl_config *cfg, const struct xl_nic *n)
{
	char *script;
	int rc;

	/* A driver domain's are its own. */
	if (n->backend)
		return 0;
	script = script_path(n);
	rc = access(script, X_OK);
	if (rc)
		config_error(cfg, "vif", n->line, "the script %s cannot be run: %s", script,
			     strerror(errno));
	free(script);
	return rc;
}

static bool write_nodes(struct xl *xl, xs_transaction_t t, const void *of_kind, const char *fe,
			const char *be, const char *devid)
{
	const struct xl_nic *n = of_kind;
	char mac[NIC_MAC_LEN], rate[40], mtu[12];
	bool ok;

	nic_mac_format(n->mac, mac);
	ok = st_write(xl, t, devid, "%s/handle", fe);
	ok = ok && st_write(xl, t, mac, "%s/mac", fe);

	ok = ok && st_write(xl, t, devid, "%s/handle", be);
	ok = ok && st_write(xl, t, mac, "%s/mac", be);
	ok = ok && st_write(xl, t, n->bridge, "%s/bridge", be);
	ok = ok && st_write(xl, t, "vif", "%s/type", be);
	if (n->vifname[0])
		ok = ok && st_write(xl, t, n->vifname, "%s/vifname", be);
	if (n->ip)
		ok = ok && st_write(xl, t, n->ip, "%s/ip", be);
	if (n->gatewaydev[0])
		ok = ok && st_write(xl, t, n->gatewaydev, "%s/gatewaydev", be);
	if (n->mtu) {
		snprintf(mtu, sizeof(mtu), "%u", n->mtu);
		ok = ok && st_write(xl, t, mtu, "%s/mtu", be);
		ok = ok && st_write(xl, t, mtu, "%s/mtu", fe);
	}
	if (n->untrusted)
		ok = ok && st_write(xl, t, "0", "%s/trusted", fe);
	if (n->rate_bytes) {
		snprintf(rate, sizeof(rate), "%" PRIu64 ",%" PRIu32, n->rate_bytes, n->rate_usec);
		ok = ok && st_write(xl, t, rate, "%s/rate", be);
		ok = ok && st_write(xl, t, rate, "%s/rate-of-all", be);
	}
	return ok;
}

/*
 * netback has each queue send as much as rate says. One queue is enough for an interface with a limit, and one stream gets
 * all of it then. A guest may choose more all the same: device_hold_rate().
 */
static bool offered(struct xl *xl, const void *of_kind, const char *be)
{
	const struct xl_nic *n = of_kind;

	return !n->rate_bytes || st_replace(xl, "1", "%s/multi-queue-max-queues", be) ||
	       errno == ENOENT;
}

void device_hold_rate(struct xl *xl, uint32_t domid, uint32_t devid, const char *be,
		      void (*say)(const char *fmt, ...))
{
	char *all = st_read(xl, XBT_NULL, "%s/rate-of-all", be), *now = NULL, rate[40];
	/* While it connects or goes its queues are not what they will be. */
	bool connected = all && st_read_long(xl, "%s/state", be) == XenbusStateConnected;
	unsigned int queues = connected ? stats_vif_queues(domid, devid) : 0;
	uint64_t bytes, share;
	uint32_t usec;

	if (queues && sscanf(all, "%" SCNu64 ",%" SCNu32, &bytes, &usec) == 2) {
		share = bytes / queues ? bytes / queues : 1;
		snprintf(rate, sizeof(rate), "%" PRIu64 ",%" PRIu32, share, usec);
		now = st_read(xl, XBT_NULL, "%s/rate", be);
		/* The back end looks at it when it changes. */
		if (now && strcmp(now, rate) && st_replace(xl, rate, "%s/rate", be))
			say("interface %u of domain %u sends in %u queues: each has its share of the "
			    "limit",
			    devid, domid, queues);
	}
	free(now);
	free(all);
}

const struct device_kind device_vif = {
	.name = "vif",
	.key = "vif",
	.driver = "xen-netback",
	.start = "online",
	.stop = "offline",
	.net = true,
	.write = write_nodes,
	.offered = offered,
};

/*
 * Two with one address take each other's packets. It can be meant (a corpse that is kept, a guest that takes over
 * from another), so it is only said.
 */
static void warn_of_twin(struct xl *xl, struct xl_config *cfg, uint32_t domid,
			 const struct xl_nic *n)
{
	struct xen_domctl_getdomaininfo info;
	unsigned int doms, devs, i, j;
	char **dom, **dev, *other, *name, mac[NIC_MAC_LEN];

	nic_mac_format(n->mac, mac);
	dom = st_list(xl, &doms, "/local/domain/0/backend/vif");
	for (i = 0; i < doms; i++) {
		if ((uint32_t)atoi(dom[i]) == domid)
			continue;
		dev = st_list(xl, &devs, "/local/domain/0/backend/vif/%s", dom[i]);
		for (j = 0; j < devs; j++) {
			other = st_read(xl, XBT_NULL, "/local/domain/0/backend/vif/%s/%s/mac",
					dom[i], dev[j]);
			if (other && !strcasecmp(other, mac) &&
			    !pv_domain_info(xl->pv, atoi(dom[i]), &info) &&
			    !(info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))) {
				name = domain_name(xl, atoi(dom[i]));
				cfg_warn(&cfg->tree, cfg_find(&cfg->tree, "vif"), n->line,
					 "mac %s is also that of domain '%s'", mac,
					 name ? name : dom[i]);
				free(name);
			}
			free(other);
		}
		free(dev);
	}
	free(dom);
}

static void release(struct device_work *w)
{
	free((char *)w->spec.script);
	free((char *)w->spec.label);
	free(w);
}

int device_begin_nic(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_nic *n,
		     struct device_work **work)
{
	struct device_work *w = calloc(1, sizeof(*w));
	int rc = 0;

	if (!w)
		abort();
	*work = NULL;
	w->kind = &device_vif;
	w->spec = (struct device_spec){
		.devid = n->devid,
		.line = n->line,
		.label = xl_sprintf("interface %u", n->devid),
		.text = nic_format(n),
		.script = script_path(n),
		.of_kind = n,
	};
	w->release = release;
	if (n->backend)
		rc = driver_find(xl, cfg, "vif", n->line, n->backend, &w->spec.backend);
	else if (n->have_mac) /* Which is to look at all interfaces that there are. */
		warn_of_twin(xl, cfg, domid, n);
	if (rc) {
		free(w->spec.text);
		release(w);
		return -1;
	}
	if (device_begin(xl, cfg, domid, w))
		return -1;
	*work = w;
	return 0;
}

int device_add_nic(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_nic *n)
{
	struct device_work *w;

	return device_begin_nic(xl, cfg, domid, n, &w) ? -1 : device_end(xl, cfg, &w, 1);
}
