// SPDX-License-Identifier: BSD-2-Clause
/*
 * Looking at domains: list, claims, vm-list, uptime, domid, domname, network-list. cmd_block.c has block-list.
 * Owns the columns, which are those of Xen's xl: scripts cut them.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image_server.h"
#include "minder.h"
#include "pools.h"
#include "show.h"

#include <xen/sched.h>

/* --- list ------------------------------------------------------------------------------------ */

static bool list_verbose, list_context, list_pool, list_numa, list_claims;
static domid_t *list_lost; /* those whose supervisors are gone; they are told below the table */
static unsigned int list_nr_lost;

static unsigned long mib_of(const struct xen_domctl_getdomaininfo *info)
{
	return (pv_pages(info) + info->outstanding_pages) * PV_PAGE_SIZE / PV_MIB;
}

static void state_letters(const struct xen_domctl_getdomaininfo *info, char s[7])
{
	bool shutdown = info->flags & XEN_DOMINF_shutdown;

	s[0] = info->flags & XEN_DOMINF_running ? 'r' : '-';
	s[1] = info->flags & XEN_DOMINF_blocked ? 'b' : '-';
	s[2] = info->flags & XEN_DOMINF_paused ? 'p' : '-';
	s[3] = shutdown ? 's' : '-';
	s[4] = shutdown && domain_reason(info) == SHUTDOWN_crash ? 'c' : '-';
	s[5] = info->flags & XEN_DOMINF_dying ? 'd' : '-';
	s[6] = '\0';
}

static void list_header(void)
{
	printf("Name                                        ID   Mem VCPUs\tState\tTime(s)");
	if (list_verbose)
		printf("   UUID                            Reason-Code\tSecurity Label");
	else if (list_context)
		printf("   Security Label");
	if (list_claims)
		printf("  Claimed");
	if (list_pool)
		printf("         Cpupool");
	if (list_numa)
		printf(" NODE Affinity");
	putchar('\n');
}

static int list_line(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = show_name(xl, info->domain), *pool, state[7], uuid[37];

	state_letters(info, state);
	printf("%-40s %5u %5lu %5u     %s  %8.1f", name, info->domain, mib_of(info),
	       info->nr_online_vcpus, state, info->cpu_time / 1e9);
	if (list_verbose) {
		uuid_format(info->handle, uuid);
		printf(" %s", uuid);
		if (info->flags & XEN_DOMINF_shutdown)
			printf(" %8x", domain_reason(info));
		else
			printf(" %8s", "-");
	}
	/* No policy gives labels; there is one node. */
	if (list_verbose || list_context)
		printf(" %16s", "-");
	if (list_claims)
		printf(" %5lu", (unsigned long)(info->outstanding_pages * PV_PAGE_SIZE / PV_MIB));
	if (list_pool) {
		pool = pool_shown(xl, info->cpupool);
		printf("%16s", pool);
		free(pool);
	}
	if (list_numa)
		printf(" all");
	putchar('\n');
	free(name);
	if (!list_claims && minder_of(xl, info->domain) == MINDER_LOST) {
		list_lost = realloc(list_lost, (list_nr_lost + 1) * sizeof(*list_lost));
		if (!list_lost)
			abort();
		list_lost[list_nr_lost++] = info->domain;
	}
	return 0;
}

/* Not in the columns, which scripts cut. */
static void tell_lost(struct xl *xl)
{
	unsigned int i;

	fflush(stdout);
	for (i = 0; i < list_nr_lost; i++) {
		char *name = domain_name(xl, list_lost[i]);

		/* xl minder takes the number as well. */
		if (!name)
			name = xl_sprintf("%u", list_lost[i]);
		xl_error(
			"warning: the supervisor of '%s' is gone: nobody acts on its end, until xl minder "
			"has given it another one; xl minder %s does that if nothing runs it",
			name, name);
		free(name);
	}
	free(list_lost);
	list_lost = NULL;
	list_nr_lost = 0;
}

static int list_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	bool shutdown = info->flags & XEN_DOMINF_shutdown;
	enum minder minder = minder_of(xl, info->domain);
	char uuid[37], state[7], *pool = pool_name(xl, info->cpupool);

	uuid_format(info->handle, uuid);
	state_letters(info, state);
	json_text(&show_json, "uuid", uuid);
	json_number(&show_json, "memory_kib", pv_pages(info) * (PV_PAGE_SIZE / 1024));
	json_number(&show_json, "shared_kib", info->shr_pages * (PV_PAGE_SIZE / 1024));
	json_number(&show_json, "memory_limit_kib", info->max_pages * (PV_PAGE_SIZE / 1024));
	json_number(&show_json, "claimed_kib", info->outstanding_pages * (PV_PAGE_SIZE / 1024));
	json_number(&show_json, "vcpus_online", info->nr_online_vcpus);
	json_number(&show_json, "vcpus", info->max_vcpu_id + 1);
	json_text(&show_json, "state", state);
	json_text(&show_json, "shutdown_reason",
		  shutdown ? shutdown_reason(domain_reason(info)) : NULL);
	json_thousandths(&show_json, "cpu_seconds", info->cpu_time / 1000000);
	json_text(&show_json, "security_label", NULL);
	json_text(&show_json, "cpupool", pool);
	free(pool);
	json_text(&show_json, "supervisor",
		  minder == MINDER_NONE	 ? NULL :
		  minder == MINDER_ALIVE ? "alive" :
					   "lost");
	return 0;
}

/* --- list -l: Xen's JSON --- */

static void long_disks(struct xl *xl, struct json *j, uint32_t domid)
{
	unsigned int n, i;
	char **devs = st_list(xl, &n, XL_PRIVATE "/%u/device/vbd", domid);

	json_array(j, "disks");
	for (i = 0; i < n; i++) {
		char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vbd/%s", domid, devs[i]);
		char *nodes = be ? device_nodes(domid, "vbd", atoi(devs[i]), be) : NULL;
		char *path = nodes ? st_read(xl, XBT_NULL, "%s/params", nodes) : NULL;
		char *vdev = nodes ? st_read(xl, XBT_NULL, "%s/dev", nodes) : NULL;
		char *mode = nodes ? st_read(xl, XBT_NULL, "%s/mode", nodes) : NULL;
		char *format = nodes ? st_read(xl, XBT_NULL, "%s/" IMAGE_FORMAT_NODE, nodes) : NULL;

		json_object(j, NULL);
		json_text(j, "pdev_path", path);
		json_text(j, "vdev", vdev);
		json_text(j, "format", format ? format : "raw");
		json_number(j, "readwrite", mode && *mode == 'w');
		json_end(j);
		free(nodes);
		free(be);
		free(path);
		free(vdev);
		free(mode);
		free(format);
	}
	json_end(j);
	free(devs);
}

static void long_nics(struct xl *xl, struct json *j, uint32_t domid)
{
	static const char *const leaf[] = { "mac", "bridge", "script", "vifname", "ip", "rate" };
	unsigned int n, i, k;
	char **devs = st_list(xl, &n, XL_PRIVATE "/%u/device/vif", domid);

	json_array(j, "nics");
	for (i = 0; i < n; i++) {
		char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vif/%s", domid, devs[i]);
		char *nodes = be ? device_nodes(domid, "vif", atoi(devs[i]), be) : NULL;

		if (!be)
			continue;
		json_object(j, NULL);
		json_number(j, "devid", strtoul(devs[i], NULL, 10));
		for (k = 0; k < pv_container_size(leaf); k++) {
			char *v = st_read(xl, XBT_NULL, "%s/%s", nodes, leaf[k]);

			if (v)
				json_text(j, leaf[k], v);
			free(v);
		}
		json_end(j);
		free(nodes);
		free(be);
	}
	json_end(j);
	free(devs);
}

/* What the toolstack has written for the guest, in KiB; without it what the hypervisor counts. */
static unsigned long long memory_node(struct xl *xl, uint32_t domid, const char *leaf,
				      uint64_t pages)
{
	long kib = st_read_long(xl, "/local/domain/%u/memory/%s", domid, leaf);

	return kib > 0 ? (unsigned long long)kib : pages * 4;
}

static void long_config(struct xl *xl, struct json *j, const struct xen_domctl_getdomaininfo *info)
{
	char *name = domain_name(xl, info->domain), uuid[37], *kernel, *bootloader;

	uuid_format(info->handle, uuid);
	bootloader = st_read(xl, XBT_NULL, "/vm/%s/image/bootloader", uuid);
	kernel = st_read(xl, XBT_NULL, "/vm/%s/image/kernel", uuid);
	json_object(j, "config");
	json_object(j, "c_info");
	json_text(j, "type", "pvh");
	json_text(j, "name", name);
	json_text(j, "uuid", uuid);
	json_end(j);
	json_object(j, "b_info");
	json_number(j, "max_vcpus", info->max_vcpu_id + 1);
	json_number(j, "max_memkb", memory_node(xl, info->domain, "static-max", info->max_pages));
	json_number(j, "target_memkb", memory_node(xl, info->domain, "target", pv_pages(info)));
	json_text(j, "kernel", kernel);
	/* Then the kernel is a file on the guest's own disk. */
	if (bootloader)
		json_text(j, "bootloader", bootloader);
	json_end(j);
	long_disks(xl, j, info->domain);
	long_nics(xl, j, info->domain);
	channels_long(xl, j, info->domain);
	json_end(j);
	free(bootloader);
	free(kernel);
	free(name);
}

static int list_long(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char state[7];

	state_letters(info, state);
	json_object(&show_json, NULL);
	json_number(&show_json, "domid", info->domain);
	long_config(xl, &show_json, info);
	json_text(&show_json, "state", state);
	json_number(&show_json, "cpu_time", info->cpu_time);
	json_end(&show_json);
	return 0;
}

static int list_whole(struct xl *xl, int argc, char **argv)
{
	int rc;

	json_init(&show_json, stdout, 3);
	json_array(&show_json, NULL);
	rc = show_domains(xl, argc, argv, false, list_long);
	json_end(&show_json);
	return rc;
}

int cmd_list(int argc, char **argv)
{
	bool detail = false, json = false;
	struct xl xl;
	int c, rc = 0;

	while ((c = command_option(argc, argv, "lvZcnJ", &rc)) != -1) {
		if (c == '?')
			return rc;
		detail |= c == 'l';
		json |= c == 'J';
		list_verbose |= c == 'v';
		list_context |= c == 'Z';
		list_pool |= c == 'c';
		list_numa |= c == 'n';
	}
	if (xl_open(&xl))
		return 1;
	if (json) {
		rc = show_domains_json(&xl, argc, argv, false, list_json);
	} else if (detail) {
		rc = list_whole(&xl, argc, argv);
	} else {
		list_header();
		rc = show_domains(&xl, argc, argv, false, list_line);
		tell_lost(&xl);
	}
	xl_close(&xl);
	return rc;
}

/* --- claims, vm-list --- */

static int claims_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	(void)xl;
	json_number(&show_json, "memory_kib", pv_pages(info) * (PV_PAGE_SIZE / 1024));
	json_number(&show_json, "claimed_kib", info->outstanding_pages * (PV_PAGE_SIZE / 1024));
	return 0;
}

int cmd_claims(int argc, char **argv)
{
	bool json = false;
	struct xl xl;
	int c, rc = 0;

	while ((c = command_option(argc, argv, "J", &rc)) != -1) {
		if (c == '?')
			return rc;
		json = true;
	}
	if (optind != argc)
		return command_usage("claims", false);
	if (xl_open(&xl))
		return 1;
	list_claims = true;
	if (json) {
		rc = show_domains_json(&xl, argc, argv, false, claims_json);
	} else {
		list_header();
		rc = show_domains(&xl, argc, argv, false, list_line);
	}
	xl_close(&xl);
	return rc;
}

static int vm_line(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = show_name(xl, info->domain), uuid[37];

	uuid_format(info->handle, uuid);
	printf("%s  %u    %-30s\n", uuid, info->domain, name);
	free(name);
	return 0;
}

static int vm_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char uuid[37];

	(void)xl;
	uuid_format(info->handle, uuid);
	json_text(&show_json, "uuid", uuid);
	return 0;
}

int cmd_vm_list(int argc, char **argv)
{
	static const struct table t = {
		.header = "UUID                                  ID    name",
		.line = vm_line,
		.json = vm_json,
	};

	return show_table(argc, argv, &t);
}

/* --- the others ------------------------------------------------------------------------------ */

static bool uptime_short;

/* Seconds since the domain was made; dom0's since the machine's start. */
static long uptime_of(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	struct timespec ts;
	long start, up;
	char uuid[37];

	uuid_format(info->handle, uuid);
	start = st_read_long(xl, "/vm/%s/start_time", uuid);
	clock_gettime(CLOCK_BOOTTIME, &ts);
	/* A destroyed guest that somebody still holds has no nodes. */
	up = !info->domain ? ts.tv_sec : start < 0 ? 0 : time(NULL) - start;
	return up < 0 ? 0 : up;
}

static int uptime_line(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = show_name(xl, info->domain), clock[16];
	long up = uptime_of(xl, info);
	time_t now = time(NULL);
	struct tm tm;

	if (uptime_short) {
		strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &tm));
		printf(" %s up ", clock);
	} else {
		printf("%-33s %4u ", name, info->domain);
	}
	if (up >= 86400)
		printf("%ld day%s, ", up / 86400, up >= 2 * 86400 ? "s" : "");
	printf("%2ld:%02ld", up / 3600 % 24, up / 60 % 60);
	if (uptime_short)
		printf(", %s (%u)\n", name, info->domain);
	else
		printf(":%02ld\n", up % 60);
	free(name);
	return 0;
}

/* A front end's number; one that has several queues keeps it with each, and the first is shown. */
static long of_queue(struct xl *xl, const char *fe, const char *leaf)
{
	long n = st_read_long(xl, "%s/%s", fe, leaf);

	return n >= 0 ? n : st_read_long(xl, "%s/queue-0/%s", fe, leaf);
}

/* Of two event channels, one for each way, that of sending. */
static long channel(struct xl *xl, const char *fe)
{
	long n = of_queue(xl, fe, "event-channel");

	return n >= 0 ? n : of_queue(xl, fe, "event-channel-tx");
}

static int network_lines(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	unsigned int n, i;
	char **devs = st_list(xl, &n, XL_PRIVATE "/%u/device/vif", info->domain);

	for (i = 0; i < n; i++) {
		char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vif/%s", info->domain,
				   devs[i]);
		char *nodes = be ? device_nodes(info->domain, "vif", atoi(devs[i]), be) : NULL;
		char *mac = nodes ? st_read(xl, XBT_NULL, "%s/mac", nodes) : NULL;
		char fe[80];

		if (!be)
			continue;
		snprintf(fe, sizeof(fe), "/local/domain/%u/device/vif/%s", info->domain, devs[i]);
		printf("%-3s %-2u %-17s %6s %5ld %6ld %5ld/%-11ld %-30s\n", devs[i],
		       backend_domid(be), mac ? mac : "-", devs[i],
		       st_read_long(xl, "%s/state", fe), channel(xl, fe),
		       of_queue(xl, fe, "tx-ring-ref"), of_queue(xl, fe, "rx-ring-ref"), be);
		free(mac);
		free(nodes);
		free(be);
	}
	free(devs);
	return 0;
}

static int network_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	static const char *const leaf[] = { "bridge", "script", "vifname", "ip", "rate" };
	unsigned int n, i, k;
	char **devs = st_list(xl, &n, XL_PRIVATE "/%u/device/vif", info->domain);

	json_array(&show_json, "interfaces");
	for (i = 0; i < n; i++) {
		char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vif/%s", info->domain,
				   devs[i]);
		char *nodes = be ? device_nodes(info->domain, "vif", atoi(devs[i]), be) : NULL;
		char *mac = nodes ? st_read(xl, XBT_NULL, "%s/mac", nodes) : NULL;
		char fe[80];

		if (!be)
			continue;
		snprintf(fe, sizeof(fe), "/local/domain/%u/device/vif/%s", info->domain, devs[i]);
		json_object(&show_json, NULL);
		json_number(&show_json, "devid", strtoul(devs[i], NULL, 10));
		json_text(&show_json, "mac", mac);
		json_number(&show_json, "backend_domid", backend_domid(be));
		json_known(&show_json, "state", st_read_long(xl, "%s/state", fe));
		json_known(&show_json, "event_channel", channel(xl, fe));
		json_known(&show_json, "tx_ring_ref", of_queue(xl, fe, "tx-ring-ref"));
		json_known(&show_json, "rx_ring_ref", of_queue(xl, fe, "rx-ring-ref"));
		for (k = 0; k < pv_container_size(leaf); k++) {
			char *v = st_read(xl, XBT_NULL, "%s/%s", nodes, leaf[k]);

			json_text(&show_json, leaf[k], v);
			free(v);
		}
		json_text(&show_json, "backend", be);
		json_end(&show_json);
		free(mac);
		free(nodes);
		free(be);
	}
	json_end(&show_json);
	free(devs);
	return 0;
}

static int uptime_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	json_number(&show_json, "uptime_seconds", uptime_of(xl, info));
	return 0;
}

static void uptime_option(int letter)
{
	uptime_short = letter == 's';
}

int cmd_uptime(int argc, char **argv)
{
	static const struct table t = {
		.letters = "s",
		.option = uptime_option,
		.header = "Name                                ID Uptime",
		.line = uptime_line,
		.json = uptime_json,
	};

	return show_table(argc, argv, &t);
}

int cmd_network_list(int argc, char **argv)
{
	static const struct table t = {
		.header = "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path",
		.guests_only = true,
		.min = 1,
		.line = network_lines,
		.json = network_json,
	};

	return show_table(argc, argv, &t);
}

int cmd_domid(int argc, char **argv)
{
	uint32_t domid;
	struct xl xl;
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 1)
		return command_usage("domid", false);
	if (xl_open(&xl))
		return 1;
	rc = domain_find(&xl, argv[optind], &domid) ? 1 : 0;
	if (!rc)
		printf("%u\n", domid);
	xl_close(&xl);
	return rc;
}

int cmd_domname(int argc, char **argv)
{
	uint32_t domid;
	struct xl xl;
	char *name;
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 1)
		return command_usage("domname", false);
	if (xl_open(&xl))
		return 1;
	rc = domain_find(&xl, argv[optind], &domid) ? 1 : 0;
	name = rc ? NULL : show_name(&xl, domid);
	if (name)
		printf("%s\n", name);
	free(name);
	xl_close(&xl);
	return rc;
}
