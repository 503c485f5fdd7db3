// SPDX-License-Identifier: BSD-2-Clause
/*
 * Looking at the machine: info, dmesg, debug-keys; and dom0's own nodes at its start.
 * Owns the words of xl info, which are those of Xen's xl.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bootloader.h"
#include "json.h"
#include "pools.h"
#include "stats.h"
#include "xl.h"

#include <xen/version.h>

static struct json json;
static bool as_json;

static void line(const char *key, const char *value)
{
	if (as_json)
		json_text(&json, key, value);
	else
		printf("%-23s: %s\n", key, value);
}

static void number(const char *key, unsigned long long n)
{
	if (as_json)
		json_number(&json, key, n);
	else
		printf("%-23s: %llu\n", key, n);
}

/* With three digits behind the point. */
static void thousandths(const char *key, unsigned long long n)
{
	if (as_json)
		json_thousandths(&json, key, n);
	else
		printf("%-23s: %llu.%03llu\n", key, n / 1000, n % 1000);
}

static const char *scheduler(struct pv *pv, char *buf, size_t size)
{
	const char *name;
	uint32_t id;

	if (pv_sched_id(pv, &id))
		return "unknown";
	name = stats_scheduler(id);
	if (name)
		return name;
	snprintf(buf, size, "unknown (%u)", id);
	return buf;
}

/* What Xen's xl shows of the machine's make, for -n. */
static void show_cpus(const struct xen_sysctl_cputopo *cpu, uint32_t n)
{
	uint32_t i;

	if (as_json)
		json_array(&json, "cpu_topology");
	else
		printf("cpu_topology           :\ncpu:    core    socket     node\n");
	for (i = 0; i < n; i++) {
		if (!as_json) {
			printf("%3u:    %4u     %4u     %4u\n", i, cpu[i].core, cpu[i].socket,
			       cpu[i].node);
			continue;
		}
		json_object(&json, NULL);
		json_number(&json, "cpu", i);
		json_number(&json, "core", cpu[i].core);
		json_number(&json, "socket", cpu[i].socket);
		json_number(&json, "node", cpu[i].node);
		json_end(&json);
	}
	if (as_json)
		json_end(&json);
}

/* All memory is one node, whatever the machine is made of: the hypervisor makes no difference. */
static void show_node(const struct xen_sysctl_physinfo *p)
{
	unsigned long long size = p->total_pages * PV_PAGE_SIZE / PV_MIB;
	unsigned long long room = p->free_pages * PV_PAGE_SIZE / PV_MIB;

	if (!as_json) {
		printf("numa_info              :\nnode:    memsize    memfree    distances\n");
		printf("%4d:    %6llu     %6llu      10\n", 0, size, room);
		return;
	}
	json_array(&json, "numa_info");
	json_object(&json, NULL);
	json_number(&json, "node", 0);
	json_number(&json, "memsize", size);
	json_number(&json, "memfree", room);
	json_array(&json, "distances");
	json_number(&json, NULL, 10);
	json_end(&json);
	json_end(&json);
	json_end(&json);
}

static int show_topology(struct pv *pv)
{
	struct xen_sysctl_cputopo *cpu = NULL;
	struct xen_sysctl_physinfo p;
	int n = pv_cputopo(pv, &cpu), rc;

	rc = n < 0 ? n : pv_physinfo(pv, &p);
	if (rc)
		xl_error("cannot ask for the machine's CPUs: %s", strerror(-rc));
	if (!rc) {
		show_cpus(cpu, n);
		show_node(&p);
	}
	free(cpu);
	return rc;
}

static int show_machine(struct pv *pv)
{
	struct xen_sysctl_physinfo p;
	uint64_t unused;
	char caps[64];
	int rc = pv_physinfo(pv, &p);

	if (rc)
		return xl_error("cannot ask for the machine: %s", strerror(-rc));
	number("nr_cpus", p.nr_cpus);
	number("max_cpu_id", p.max_cpu_id);
	number("nr_nodes", p.nr_nodes);
	number("cores_per_socket", p.cores_per_socket);
	number("threads_per_core", p.threads_per_core);
	thousandths("cpu_mhz", p.cpu_khz);
	snprintf(caps, sizeof(caps), "%s%s%s", p.capabilities & XEN_SYSCTL_PHYSCAP_pv ? "pv " : "",
		 p.capabilities & XEN_SYSCTL_PHYSCAP_hvm ? "hvm " : "",
		 p.capabilities & XEN_SYSCTL_PHYSCAP_hap ? "hap " : "");
	line("virt_caps", caps);
	number("total_memory", p.total_pages * PV_PAGE_SIZE / PV_MIB);
	number("free_memory", p.free_pages * PV_PAGE_SIZE / PV_MIB);
	/* Beyond Xen's: to the page, for hunting leaks. */
	number("free_pages", p.free_pages);
	number("scrub_pages", p.scrub_pages);
	number("outstanding_claims", p.outstanding_pages * PV_PAGE_SIZE / PV_MIB);
	if (!pv_pool_free_cpus(pv, &unused))
		number("free_cpus", __builtin_popcountll(unused));
	return 0;
}

static void show_version(struct pv *pv)
{
	long v = pv_version(pv, XENVER_version, NULL, 0);
	xen_extraversion_t extra = "";
	xen_capabilities_info_t caps = "";
	xen_changeset_info_t changeset = "";
	xen_commandline_t cmdline = "";
	struct xen_compile_info compile = { .compiler = "" };
	char buf[40], version[80];

	if (v < 0)
		v = 0;
	pv_version(pv, XENVER_extraversion, extra, sizeof(extra) - 1);
	pv_version(pv, XENVER_capabilities, caps, sizeof(caps) - 1);
	pv_version(pv, XENVER_changeset, changeset, sizeof(changeset) - 1);
	pv_version(pv, XENVER_commandline, cmdline, sizeof(cmdline) - 1);
	pv_version(pv, XENVER_compile_info, &compile, sizeof(compile));
	number("xen_major", v >> 16);
	number("xen_minor", v & 0xffff);
	line("xen_extra", extra);
	snprintf(version, sizeof(version), "%ld.%ld%s", v >> 16, v & 0xffff, extra);
	line("xen_version", version);
	line("xen_caps", caps);
	line("xen_scheduler", scheduler(pv, buf, sizeof(buf)));
	number("xen_pagesize", pv_version(pv, XENVER_pagesize, NULL, 0));
	line("xen_changeset", changeset);
	line("xen_commandline", cmdline);
	line("cc_compiler", compile.compiler);
	line("cc_compile_by", compile.compile_by);
	line("cc_compile_domain", compile.compile_domain);
	line("cc_compile_date", compile.compile_date);
}

static int show_info(struct pv *pv, bool numa)
{
	struct utsname u;
	int rc;

	if (!uname(&u)) {
		line("host", u.nodename);
		line("release", u.release);
		line("version", u.version);
		line("machine", u.machine);
	}
	rc = show_machine(pv);
	if (!rc && numa)
		rc = show_topology(pv);
	if (!rc)
		show_version(pv);
	return rc;
}

int cmd_info(int argc, char **argv)
{
	struct pv_err err = { "" };
	bool numa = false;
	struct pv *pv;
	int rc = 0, c;

	while ((c = command_option(argc, argv, "nJ", &rc)) != -1) {
		if (c == '?')
			return rc;
		numa |= c == 'n';
		as_json |= c == 'J';
	}
	if (optind != argc)
		return command_usage("info", false);
	/* Without xenstored: also of use when that is what is broken. */
	if (pv_open(&pv, &err)) {
		xl_error("%s", err.text);
		return 1;
	}
	if (as_json) {
		json_init(&json, stdout, 1);
		json_object(&json, NULL);
	}
	rc = show_info(pv, numa);
	if (as_json)
		json_end(&json);
	pv_close(pv);
	return rc ? 1 : 0;
}

int cmd_dmesg(int argc, char **argv)
{
	struct pv_err err = { "" };
	bool clear = false;
	char *text = NULL;
	size_t len = 0;
	struct pv *pv;
	int rc = 0, c;

	while ((c = command_option(argc, argv, "c", &rc)) != -1) {
		if (c == '?')
			return rc;
		clear = true;
	}
	if (pv_open(&pv, &err)) {
		xl_error("%s", err.text);
		return 1;
	}
	rc = pv_console_read(pv, clear, &text, &len);
	pv_close(pv);
	if (rc) {
		xl_error("cannot read the hypervisor's log: %s", strerror(-rc));
		return 1;
	}
	/* What guests printed is in it. */
	pv_text_print(stdout, text, len);
	free(text);
	return 0;
}

int cmd_debug_keys(int argc, char **argv)
{
	struct pv_err err = { "" };
	struct pv *pv;
	int rc = 0;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 1 || !*argv[optind])
		return command_usage("debug-keys", false);
	if (pv_open(&pv, &err)) {
		xl_error("%s", err.text);
		return 1;
	}
	rc = pv_debug_keys(pv, argv[optind]);
	pv_close(pv);
	if (rc) {
		xl_error("the hypervisor takes no debug keys: %s", strerror(-rc));
		return 1;
	}
	return 0;
}

/* What Xen's xen-init-dom0 does; once, after xenstored has started. */
int cmd_init_dom0(int argc, char **argv)
{
	struct xen_domctl_getdomaininfo info;
	struct xl xl;
	char target[32];
	int rc = 0;
	bool ok;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (xl_open(&xl))
		return 1;
	xl_mkdir(XL_RUN_DIR);
	xl_mkdir(XL_CONSOLE_LOG_DIR);
	ok = st_write(&xl, XBT_NULL, "Domain-0", "/local/domain/0/name");
	ok = ok && st_write(&xl, XBT_NULL, "0", "/local/domain/0/domid");
	ok = ok && st_write(&xl, XBT_NULL, "Pool-0", XL_POOL "/name", 0);
	if (ok && !pv_domain_info(xl.pv, 0, &info)) {
		snprintf(target, sizeof(target), "%llu", (unsigned long long)info.tot_pages * 4);
		ok = st_write(&xl, XBT_NULL, target, "/local/domain/0/memory/target");
	}
	/* Nobody else's business. */
	ok = ok && st_dir(&xl, XBT_NULL, 0, 0, XL_PRIVATE);
	/* What a host that went down in the midst of it has left */
	if (ok)
		bootloader_sweep(&xl);
	else
		xl_error("cannot write dom0's nodes to xenstore: %s", strerror(errno));
	xl_close(&xl);
	return ok ? 0 : 1;
}
