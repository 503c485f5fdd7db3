// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual CPUs: vcpu-list, vcpu-set.
 * Owns the agreement with the guest about which of its CPUs are on: cpu/N/availability in xenstore is what is asked,
 * what the guest has made of it the hypervisor knows. Linux turns off what it is asked to by itself, and on with Pavise's
 * patch; other Linuxes leave that to their administrators: in dom0 it is done here.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpus.h"
#include "show.h"

#include <xen/sched.h>

/* So long a guest may take to turn a CPU on or off. */
#ifndef VCPU_MS
#define VCPU_MS 8000
#endif
#define VCPU_LOOK_MS 50
#ifndef XL_CPU_DIR
#define XL_CPU_DIR "/sys/devices/system/cpu"
#endif

/* --- vcpu-list ------------------------------------------------------------------------------- */

static uint64_t all_harts(struct xl *xl)
{
	struct xen_sysctl_physinfo p;

	if (pv_physinfo(xl->pv, &p))
		return 0;
	return p.nr_cpus < 64 ? (1ULL << p.nr_cpus) - 1 : ~0ULL;
}

static int vcpu_lines(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	char *name = show_name(xl, info->domain), *may, *should;
	uint64_t hard, soft, all = all_harts(xl);
	struct xen_domctl_getvcpuinfo v;
	uint32_t i;

	for (i = 0; i < domain_vcpus(info); i++) {
		if (pv_vcpu_info(xl->pv, info->domain, i, &v) ||
		    pv_vcpu_affinity(xl->pv, info->domain, i, &hard, &soft))
			continue;
		printf("%-32s %5u %5u", name, info->domain, i);
		if (v.online)
			printf(" %5u   %c%c-", v.cpu, v.running ? 'r' : '-', v.blocked ? 'b' : '-');
		else
			printf(" %5c   --p", '-');
		may = cpus_text(hard, all);
		should = cpus_text(soft, all);
		printf(" %9.1f  %s / %s\n", v.cpu_time / 1e9, may, should);
		free(may);
		free(should);
	}
	free(name);
	return 0;
}

static void json_harts(const char *key, uint64_t mask, uint64_t all)
{
	unsigned int i;

	json_array(&show_json, key);
	for (i = 0; i < 64; i++)
		if ((mask & all) >> i & 1)
			json_number(&show_json, NULL, i);
	json_end(&show_json);
}

static int vcpu_json(struct xl *xl, const struct xen_domctl_getdomaininfo *info)
{
	uint64_t hard, soft, all = all_harts(xl);
	struct xen_domctl_getvcpuinfo v;
	uint32_t i;

	json_array(&show_json, "vcpus");
	for (i = 0; i < domain_vcpus(info); i++) {
		if (pv_vcpu_info(xl->pv, info->domain, i, &v) ||
		    pv_vcpu_affinity(xl->pv, info->domain, i, &hard, &soft))
			continue;
		json_object(&show_json, NULL);
		json_number(&show_json, "vcpu", i);
		json_known(&show_json, "cpu", v.online ? (int64_t)v.cpu : -1);
		json_bool(&show_json, "online", v.online);
		json_bool(&show_json, "running", v.running);
		json_bool(&show_json, "blocked", v.blocked);
		json_thousandths(&show_json, "cpu_seconds", v.cpu_time / 1000000);
		json_harts("hard_affinity", hard, all);
		json_harts("soft_affinity", soft, all);
		json_end(&show_json);
	}
	json_end(&show_json);
	return 0;
}

int cmd_vcpu_list(int argc, char **argv)
{
	static const struct table t = {
		.header = "Name                                ID  VCPU   CPU State   "
			  "Time(s) Affinity (Hard / Soft)",
		.line = vcpu_lines,
		.json = vcpu_json,
	};

	return show_table(argc, argv, &t);
}

/* --- vcpu-set -------------------------------------------------------------------------------- */

static int check_count(struct xl *xl, const char *name, const struct xen_domctl_getdomaininfo *info,
		       unsigned int n, bool ignore_host)
{
	struct xen_sysctl_physinfo p;
	int rc = pv_physinfo(xl->pv, &p);

	if (rc)
		return xl_error("cannot ask for the machine: %s", strerror(-rc));
	if (info->flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return xl_error("'%s' has ended: its vCPUs cannot be changed", name);
	if (n > domain_vcpus(info))
		return xl_error("%u vCPUs asked for, and '%s' has %u at most (maxvcpus of its "
				"configuration)",
				n, name, domain_vcpus(info));
	if (!ignore_host && n > p.nr_cpus && n > info->nr_online_vcpus)
		return xl_error("%u vCPUs asked for, and the machine has %u CPUs: they would share "
				"them; --ignore-host does it all the same",
				n, p.nr_cpus);
	return 0;
}

/* All in one transaction, so that the guest never sees half of it. */
static int ask(struct xl *xl, uint32_t domid, unsigned int n, unsigned int max)
{
	xs_transaction_t t;
	unsigned int i;
	int saved;
	bool ok;

	do {
		t = xs_transaction_start(xl->xs);
		if (t == XBT_NULL)
			break;
		for (ok = true, i = 0; ok && i < max; i++)
			ok = st_write(xl, t, i < n ? "online" : "offline",
				      "/local/domain/%u/cpu/%u/availability", domid, i);
		if (!ok) {
			saved = errno;
			xs_transaction_end(xl->xs, t, true);
			errno = saved;
			continue;
		}
		if (xs_transaction_end(xl->xs, t, false))
			return 0;
	} while (errno == EAGAIN);
	return xl_error("cannot ask domain %u: %s", domid, strerror(errno));
}

/*
 * dom0's own, where its kernel does not by itself. Before that has seen that it may it refuses, and is asked again at the
 * next look.
 */
static void turn_on(unsigned int n)
{
	unsigned int i;
	char *path;
	int fd;

	for (i = 1; i < n; i++) {
		path = xl_sprintf(XL_CPU_DIR "/cpu%u/online", i);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		free(path);
		/* What comes of it the hypervisor tells. */
		if (fd >= 0 && write(fd, "1", 1) < 0)
			errno = 0;
		if (fd >= 0)
			close(fd);
	}
}

/* It has not come to @n. Less than it has it was to give up by itself. */
static int say_count(const char *name, unsigned int has, unsigned int n)
{
	if (has > n)
		return xl_error(
			"'%s' has %u vCPUs now, not %u: it has not answered for %d s (does it know "
			"CPU hotplug?); the request stays",
			name, has, n, VCPU_MS / 1000);
	xl_error(
		"'%s' may have %u vCPUs now, and has %u on after %d s: its kernel leaves the others to "
		"its administrator, with Linux: echo 1 >/sys/devices/system/cpu/cpu%u/online",
		name, n, has, VCPU_MS / 1000, has);
	return 0;
}

static int await_vcpus(struct xl *xl, const char *name, uint32_t domid, unsigned int n)
{
	struct xen_domctl_getdomaininfo info;
	int64_t begin = xl_now();
	bool more;

	for (;;) {
		if (pv_domain_info(xl->pv, domid, &info))
			return xl_error("domain %u has gone meanwhile", domid);
		if (info.nr_online_vcpus == n)
			return 0;
		if (info.flags & XEN_DOMINF_paused) {
			xl_error("'%s' is paused: it comes to %u vCPUs when it is unpaused", name,
				 n);
			return 0;
		}
		more = info.nr_online_vcpus < n;
		if (xl_now() > begin + VCPU_MS || xl_interrupted)
			break;
		if (more && !domid)
			turn_on(n);
		xl_sleep(VCPU_LOOK_MS);
	}
	return say_count(name, info.nr_online_vcpus, n);
}

/* dom0's kernel listens as a guest's does. */
static int set_vcpus(struct xl *xl, const char *name, unsigned int n, bool ignore_host)
{
	struct xen_domctl_getdomaininfo info;
	uint32_t domid;
	int lock, rc;

	if (domain_lock_any(xl, name, "change", &domid, &lock))
		return -1;
	if (pv_domain_info(xl->pv, domid, &info))
		rc = xl_error("domain %u has just gone", domid);
	else
		rc = check_count(xl, name, &info, n, ignore_host);
	if (!rc)
		rc = ask(xl, domid, n, domain_vcpus(&info));
	xl_unlock_domain(lock, domid);
	return rc ? rc : await_vcpus(xl, name, domid, n);
}

int cmd_vcpu_set(int argc, char **argv)
{
	bool ignore_host = false;
	struct xl xl;
	unsigned long n;
	int rc = 0, c;
	char *end;

	while ((c = command_option(argc, argv, "i", &rc)) != -1) {
		if (c == '?')
			return rc;
		ignore_host = true;
	}
	if (argc - optind != 2)
		return command_usage("vcpu-set", false);
	n = strtoul(argv[optind + 1], &end, 10);
	if (!isdigit((unsigned char)*argv[optind + 1]) || *end || !n || n > 1000000) {
		xl_error("'%s' is no number of vCPUs", argv[optind + 1]);
		return 1;
	}
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	rc = set_vcpus(&xl, argv[optind], n, ignore_host);
	xl_close(&xl);
	return rc ? 1 : 0;
}
