// SPDX-License-Identifier: BSD-2-Clause
/*
 * Looking at domains: list, vcpu-list, uptime, domid, domname, network-list. cmd_block.c has block-list.
 * Owns the columns, which are those of Xen's xl: scripts cut them.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xl.h"

#include <xen/sched.h>

typedef int (*show_fn)(struct xl *xl, const struct xen_domctl_getdomaininfo *info);

static char *name_or_null(struct xl *xl, uint32_t domid)
{
	char *name = domain_name(xl, domid), *shown;

	if (!name)
		return xl_sprintf("(null)");
	shown = pv_text_show(name, strlen(name));
	free(name);
	return shown ? shown : xl_sprintf("(null)");
}

/* Shows the domains named from argv[optind] on, or all; closes nothing. */
static int show_domains(struct xl *xl, int argc, char **argv, bool guests_only, show_fn show)
{
	struct xen_domctl_getdomaininfo *list = NULL, info;
	int n, i, failed = 0;
	uint32_t domid;

	if (optind == argc) {
		n = pv_domain_list(xl->pv, &list);
		if (n < 0)
			return xl_error("cannot list the domains: %s", strerror(-n)), 1;
		for (i = 0; i < n; i++)
			if ((!guests_only || list[i].domain) && show(xl, &list[i]))
				failed = 1;
		free(list);
		return failed;
	}
	for (; optind < argc; optind++) {
		if (domain_find(xl, argv[optind], &domid)) {
			failed = 1;
		} else if (pv_domain_info(xl->pv, domid, &info)) {
			xl_error("domain %u has just gone", domid);
			failed = 1;
		} else if (show(xl, &info)) {
			failed = 1;
		}
	}
	return failed;
}

/* --- list ------------------------------------------------------------------------------------ */

static bool list_verbose;
static int list_shown;

static unsigned long mib_of(const struct xen_domctl_getdomaininfo *info)
{
	return (info->tot_pages + info->outstanding_pages) * PV_PAGE_SIZE / PV_MIB;
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

static int list_line(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = name_or_null(xl, info->domain), state[7], uuid[37];

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
		printf(" %16s", "-");
	}
	putchar('\n');
	free(name);
	return 0;
}

void json_string(const char *key, const char *value, bool more)
{
	printf("\"%s\": ", key);
	if (!value) {
		printf("null");
	} else {
		putchar('"');
		for (; *value; value++) {
			if (*value == '"' || *value == '\\')
				printf("\\%c", *value);
			else if ((unsigned char)*value < ' ')
				printf("\\u%04x", *value);
			else
				putchar(*value);
		}
		putchar('"');
	}
	if (more)
		printf(", ");
}

static void long_disks(struct xl *xl, uint32_t domid)
{
	unsigned int n, i;
	char **devs = st_list(xl, &n, XL_PRIVATE "/%u/device/vbd", domid);

	for (i = 0; i < n; i++) {
		char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vbd/%s", domid, devs[i]);
		char *path = be ? st_read(xl, XBT_NULL, "%s/params", be) : NULL;
		char *vdev = be ? st_read(xl, XBT_NULL, "%s/dev", be) : NULL;
		char *mode = be ? st_read(xl, XBT_NULL, "%s/mode", be) : NULL;

		printf("%s{ ", i ? ", " : "");
		json_string("pdev_path", path, true);
		json_string("vdev", vdev, true);
		printf("\"format\": \"raw\", \"readwrite\": %d }", mode && *mode == 'w');
		free(be);
		free(path);
		free(vdev);
		free(mode);
	}
	free(devs);
}

static void long_nics(struct xl *xl, uint32_t domid)
{
	static const char *const leaf[] = { "mac", "bridge", "script", "vifname", "ip", "rate" };
	unsigned int n, i, j;
	char **devs = st_list(xl, &n, XL_PRIVATE "/%u/device/vif", domid);

	for (i = 0; i < n; i++) {
		char *be = st_read(xl, XBT_NULL, XL_PRIVATE "/%u/device/vif/%s", domid, devs[i]);

		if (!be)
			continue;
		printf("%s{ \"devid\": %s", i ? ", " : "", devs[i]);
		for (j = 0; j < pv_container_size(leaf); j++) {
			char *v = st_read(xl, XBT_NULL, "%s/%s", be, leaf[j]);

			if (v) {
				printf(", ");
				json_string(leaf[j], v, false);
			}
			free(v);
		}
		printf(" }");
		free(be);
	}
	free(devs);
}

/* What the toolstack has written for the guest, in KiB; without it what the hypervisor counts. */
static unsigned long long memory_node(struct xl *xl, uint32_t domid, const char *leaf,
				      uint64_t pages)
{
	long kib = st_read_long(xl, "/local/domain/%u/memory/%s", domid, leaf);

	return kib > 0 ? (unsigned long long)kib : pages * 4;
}

static int list_long(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = domain_name(xl, info->domain), uuid[37], state[7];
	char *kernel;

	uuid_format(info->handle, uuid);
	state_letters(info, state);
	kernel = st_read(xl, XBT_NULL, "/vm/%s/image/kernel", uuid);
	printf("%s    {\n        \"domid\": %u,\n        \"config\": {\n            \"c_info\": { ",
	       list_shown++ ? ",\n" : "", info->domain);
	json_string("type", "pvh", true);
	json_string("name", name, true);
	json_string("uuid", uuid, false);
	printf(" },\n            \"b_info\": { \"max_vcpus\": %u, \"max_memkb\": %llu, "
	       "\"target_memkb\": %llu, ",
	       info->max_vcpu_id + 1, memory_node(xl, info->domain, "static-max", info->max_pages),
	       memory_node(xl, info->domain, "target", info->tot_pages));
	json_string("kernel", kernel, false);
	printf(" },\n            \"disks\": [ ");
	long_disks(xl, info->domain);
	printf(" ],\n            \"nics\": [ ");
	long_nics(xl, info->domain);
	printf(" ]\n        },\n        \"state\": \"%s\", \"cpu_time\": %llu\n    }", state,
	       (unsigned long long)info->cpu_time);
	free(kernel);
	free(name);
	return 0;
}

int cmd_list(int argc, char **argv)
{
	bool detail = false;
	struct xl xl;
	int c, rc = 0;

	while ((c = command_option(argc, argv, "lv", &rc)) != -1) {
		if (c == '?')
			return rc;
		detail |= c == 'l';
		list_verbose |= c == 'v';
	}
	if (xl_open(&xl))
		return 1;
	if (detail) {
		printf("[\n");
		rc = show_domains(&xl, argc, argv, false, list_long);
		printf("\n]\n");
	} else {
		printf("Name                                        ID   Mem VCPUs\tState\tTime(s)");
		if (list_verbose)
			printf("   UUID                            Reason-Code\tSecurity Label");
		putchar('\n');
		rc = show_domains(&xl, argc, argv, false, list_line);
	}
	xl_close(&xl);
	return rc;
}

/* --- the others ------------------------------------------------------------------------------ */

/* "all", or lists of ranges as 0-1,3 */
static void print_affinity(struct xl *xl, uint32_t domid, uint32_t vcpu)
{
	struct xen_sysctl_physinfo p;
	uint64_t mask, all;
	unsigned int i, from;
	const char *comma = "";

	if (pv_physinfo(xl->pv, &p) || pv_vcpu_affinity(xl->pv, domid, vcpu, &mask)) {
		printf("?");
		return;
	}
	all = p.nr_cpus < 64 ? (1ULL << p.nr_cpus) - 1 : ~0ULL;
	if ((mask & all) == all) {
		printf("all");
		return;
	}
	for (i = 0; i < p.nr_cpus; i++) {
		if (!(mask >> i & 1))
			continue;
		from = i;
		while (i + 1 < p.nr_cpus && mask >> (i + 1) & 1)
			i++;
		printf(from == i ? "%s%u" : "%s%u-%u", comma, from, i);
		comma = ",";
	}
}

static int vcpu_lines(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = name_or_null(xl, info->domain);
	struct xen_domctl_getvcpuinfo v;
	uint32_t i, n = info->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : info->max_vcpu_id + 1;

	for (i = 0; i < n; i++) {
		if (pv_vcpu_info(xl->pv, info->domain, i, &v))
			continue;
		printf("%-32s %5u %5u", name, info->domain, i);
		if (v.online)
			printf(" %5u   %c%c-", v.cpu, v.running ? 'r' : '-', v.blocked ? 'b' : '-');
		else
			printf(" %5c   --p", '-');
		printf(" %9.1f  ", v.cpu_time / 1e9);
		print_affinity(xl, info->domain, i);
		printf(" / all\n");
	}
	free(name);
	return 0;
}

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
	char *name = name_or_null(xl, info->domain), clock[16];
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
		char *mac = be ? st_read(xl, XBT_NULL, "%s/mac", be) : NULL;
		char fe[80];

		if (!be)
			continue;
		snprintf(fe, sizeof(fe), "/local/domain/%u/device/vif/%s", info->domain, devs[i]);
		printf("%-3s %-2d %-17s %6s %5ld %6ld %5ld/%-11ld %-30s\n", devs[i], 0,
		       mac ? mac : "-", devs[i], st_read_long(xl, "%s/state", fe), channel(xl, fe),
		       of_queue(xl, fe, "tx-ring-ref"), of_queue(xl, fe, "rx-ring-ref"), be);
		free(mac);
		free(be);
	}
	free(devs);
	return 0;
}

static int table(int argc, char **argv, const char *header, bool guests_only, int min, show_fn show)
{
	struct xl xl;
	int rc = 0, c;

	while ((c = command_option(argc, argv, show == uptime_line ? "s" : "", &rc)) != -1) {
		if (c == '?')
			return rc;
		uptime_short = true;
	}
	if (argc - optind < min)
		return command_usage(argv[0], false);
	if (xl_open(&xl))
		return 1;
	printf("%s\n", header);
	rc = show_domains(&xl, argc, argv, guests_only, show);
	xl_close(&xl);
	return rc;
}

int cmd_vcpu_list(int argc, char **argv)
{
	return table(argc, argv,
		     "Name                                ID  VCPU   CPU State   "
		     "Time(s) Affinity (Hard / Soft)",
		     false, 0, vcpu_lines);
}

int cmd_uptime(int argc, char **argv)
{
	return table(argc, argv, "Name                                ID Uptime", false, 0,
		     uptime_line);
}

int cmd_network_list(int argc, char **argv)
{
	return table(argc, argv,
		     "Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path", true,
		     1, network_lines);
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
	name = rc ? NULL : name_or_null(&xl, domid);
	if (name)
		printf("%s\n", name);
	free(name);
	xl_close(&xl);
	return rc;
}
