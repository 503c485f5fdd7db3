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
	char mac[NIC_MAC_LEN], rate[40];
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
	if (n->rate_bytes) {
		snprintf(rate, sizeof(rate), "%" PRIu64 ",%" PRIu32, n->rate_bytes, n->rate_usec);
		ok = ok && st_write(xl, t, rate, "%s/rate", be);
	}
	return ok;
}

const struct device_kind device_vif = {
	.name = "vif",
	.key = "vif",
	.driver = "xen-netback",
	.start = "online",
	.stop = "offline",
	.net = true,
	.write = write_nodes,
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
		if ((uint32_t)atoi(dom[i]) == domid ||
		    pv_domain_info(xl->pv, atoi(dom[i]), &info) ||
		    (info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying)))
			continue;
		dev = st_list(xl, &devs, "/local/domain/0/backend/vif/%s", dom[i]);
		for (j = 0; j < devs; j++) {
			other = st_read(xl, XBT_NULL, "/local/domain/0/backend/vif/%s/%s/mac",
					dom[i], dev[j]);
			if (other && !strcasecmp(other, mac)) {
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

int device_add_nic(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_nic *n)
{
	char *script = script_path(n), *label = xl_sprintf("interface %u", n->devid);
	struct device_spec spec = {
		.devid = n->devid,
		.line = n->line,
		.label = label,
		.script = script,
		.of_kind = n,
	};
	int rc = 0;

	if (n->backend)
		rc = driver_find(xl, cfg, "vif", n->line, n->backend, &spec.backend);
	else
		warn_of_twin(xl, cfg, domid, n);
	if (!rc)
		rc = device_add(xl, cfg, domid, &device_vif, &spec);
	free(script);
	free(label);
	return rc;
}
