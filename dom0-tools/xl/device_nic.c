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
	char *script = script_path(n);
	int rc = access(script, X_OK);

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

int device_add_nic(struct xl *xl, struct xl_config *cfg, uint32_t domid, const struct xl_nic *n)
{
	char *script = script_path(n), *label = xl_sprintf("interface %u", n->devid);
	const struct device_spec spec = {
		.devid = n->devid,
		.line = n->line,
		.label = label,
		.script = script,
		.of_kind = n,
	};
	int rc = device_add(xl, cfg, domid, &device_vif, &spec);

	free(script);
	free(label);
	return rc;
}
