// SPDX-License-Identifier: BSD-2-Clause
/*
 * xl network-attach and network-detach: interfaces of a running guest.
 * Owns the choice of the interface's number. What is attached lasts until the guest's end: the next
 * life has what the configuration says.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl.h"

/* "a=1" "b=2" → "a=1,b=2" */
static char *join(int argc, char **argv)
{
	char *all = xl_sprintf("%s", argc ? argv[0] : ""), *more;
	int i;

	for (i = 1; i < argc; i++) {
		more = xl_sprintf("%s,%s", all, argv[i]);
		free(all);
		all = more;
	}
	return all;
}

static unsigned int free_devid(struct xl *xl, uint32_t domid)
{
	unsigned int devid;
	char *be;

	for (devid = 0;; devid++) {
		be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vif/%u", domid, devid);
		if (!be)
			return devid;
		free(be);
	}
}

static int attach(struct xl *xl, struct xl_config *cfg, uint32_t domid)
{
	struct xl_nic *n = &cfg->nic[0];

	if (device_check_nic(cfg, n))
		return -1;
	n->devid = free_devid(xl, domid);
	if (!device_add_nic(xl, cfg, domid, n))
		return 0;
	device_detach(xl, domid, &device_vif, n->devid, true);
	return -1;
}

int cmd_network_attach(int argc, char **argv)
{
	struct xl_config cfg;
	struct xl xl;
	uint32_t domid = 0;
	char *spec;
	int rc = 0, lock;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind < 1)
		return command_usage(argv[0], false);
	spec = join(argc - optind - 1, argv + optind + 1);
	rc = config_read_nic(&cfg, spec, stderr) ? 1 : 0;
	free(spec);
	if (rc || xl_open(&xl)) {
		config_free(&cfg);
		return 1;
	}
	lock = domain_lock(&xl, argv[optind], "attach an interface to", &domid);
	rc = lock < 0 || attach(&xl, &cfg, domid);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	config_free(&cfg);
	return rc;
}

/* A number as network-list shows it, or a MAC address. */
static int find_nic(struct xl *xl, uint32_t domid, const char *arg, unsigned int *devid)
{
	unsigned int n, i;
	char **devs = st_list(xl, &n, XL_PRIVATE "/%u/device/vif", domid);
	bool found = false;

	for (i = 0; i < n && !found; i++) {
		char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vif/%s", domid, devs[i]);
		char *nodes = be ? device_nodes(domid, "vif", atoi(devs[i]), be) : NULL;
		char *mac = nodes ? st_read(xl, XBT_NULL, "%s/mac", nodes) : NULL;

		found = !strcmp(devs[i], arg) || (mac && !strcasecmp(mac, arg));
		if (found)
			*devid = atoi(devs[i]);
		free(mac);
		free(nodes);
		free(be);
	}
	free(devs);
	return found ? 0 : xl_error("domain %u has no interface '%s'", domid, arg);
}

int cmd_network_detach(int argc, char **argv)
{
	unsigned int devid = 0;
	bool force = false;
	struct xl xl;
	uint32_t domid = 0;
	int rc = 0, c, lock;

	while ((c = command_option(argc, argv, "f", &rc)) != -1) {
		if (c == '?')
			return rc;
		force = true;
	}
	if (argc - optind != 2)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	lock = domain_lock(&xl, argv[optind], "detach an interface of", &domid);
	rc = lock < 0 || find_nic(&xl, domid, argv[optind + 1], &devid) ||
	     device_detach(&xl, domid, &device_vif, devid, force);
	xl_unlock_domain(lock, domid);
	xl_close(&xl);
	return rc;
}
