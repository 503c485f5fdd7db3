// SPDX-License-Identifier: BSD-2-Clause
/*
 * How much memory a guest has and may have: mem-set, mem-max.
 * Owns the agreement with the guest's balloon driver: memory/target in xenstore is what it is to have, the
 * hypervisor's limit what it can have, and what it has never been given is not promised.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xl.h"

#include <xen/sched.h>

/* A guest that has given or taken nothing for so long does not listen. */
#ifndef BALLOON_MS
#define BALLOON_MS 5000
#endif
#define BALLOON_LOOK_MS 50
/* In all; a large one under load may take longer, and goes on. */
#define BALLOON_ALL_MS 60000
/* Pages beside its RAM: rings, shared_info. */
#define BALLOON_SLACK 64
#define MIN_KIB (8 * 1024)
/* Linux keeps a description of each page that it has started with, and tables as large as that wants. */
#define MIN_SHARE 8

struct change {
	struct xl *xl;
	const char *name;
	uint32_t domid;
	uint64_t kib; /* asked for */
	uint64_t target, max, first; /* what xenstore says now, and what it has started with; KiB */
	struct xen_domctl_getdomaininfo info;
};

/* A number with one of Xen's suffixes, MiB without one; KiB, or -1. */
static int64_t parse_size(const char *text)
{
	static const char suffix[] = "kmgt";
	const char *s;
	uint64_t kib;
	char *end;

	errno = 0;
	kib = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno || (*end && end[1]))
		return -1;
	if (tolower((unsigned char)*end) == 'b')
		return kib / 1024;
	s = *end ? strchr(suffix, tolower((unsigned char)*end)) : suffix + 1;
	if (!s || kib > (1ULL << 40) >> 10 * (s - suffix))
		return -1;
	return kib << 10 * (s - suffix);
}

static unsigned long long mib(uint64_t kib)
{
	return kib / 1024;
}

/* What there is to know of the guest, and whether it can be asked for anything. Its lock is held. */
static int look(struct change *c)
{
	long target, max, first;

	if (pv_domain_info(c->xl->pv, c->domid, &c->info))
		return xl_error("domain %u has just gone", c->domid);
	if (c->info.flags & (XEN_DOMINF_shutdown | XEN_DOMINF_dying))
		return xl_error("'%s' has ended (%s): its memory cannot be changed", c->name,
				c->info.flags & XEN_DOMINF_dying ?
					"destroyed" :
					shutdown_reason(domain_reason(&c->info)));
	target = st_read_long(c->xl, "/local/domain/%u/memory/target", c->domid);
	max = st_read_long(c->xl, "/local/domain/%u/memory/static-max", c->domid);
	first = st_read_long(c->xl, XL_PRIVATE "/%u/memory", c->domid);
	if (target <= 0 || max <= 0 || first <= 0)
		return xl_error("'%s' has no memory/target and memory/static-max in xenstore: it "
				"was not made by this xl",
				c->name);
	c->target = target;
	c->max = max;
	c->first = first;
	return 0;
}

/* Is there memory for so many more KiB? */
static int check_room(const struct change *c, uint64_t more)
{
	struct xen_sysctl_physinfo p;
	uint64_t room;
	int rc = pv_physinfo(c->xl->pv, &p);

	if (rc)
		return xl_error("cannot ask for the free memory: %s", strerror(-rc));
	room = p.free_pages + p.scrub_pages;
	room = (room > p.outstanding_pages ? room - p.outstanding_pages : 0) * 4;
	if (room >= more)
		return 0;
	return xl_error("not enough free memory for '%s': %llu MiB more wanted, %llu MiB free",
			c->name, mib(more + 1023), mib(room));
}

static uint64_t has_kib(const struct change *c)
{
	return pv_pages(&c->info) * (PV_PAGE_SIZE / 1024);
}

static uint64_t least(const struct change *c)
{
	return c->first / MIN_SHARE > MIN_KIB ? c->first / MIN_SHARE : MIN_KIB;
}

static int check_target(const struct change *c)
{
	if (c->kib < least(c))
		return xl_error("%llu MiB is too little for '%s', which has started with %llu: at "
				"least %llu MiB",
				mib(c->kib), c->name, mib(c->first), mib(least(c) + 1023));
	if (c->kib > c->max)
		return xl_error("%llu MiB is more than the %llu MiB that '%s' may have at most "
				"(see xl mem-max)",
				mib(c->kib), mib(c->max), c->name);
	if (c->kib > c->first)
		return xl_error("'%s' has started with %llu MiB and cannot use more before it is "
				"started again: xl reboot it first",
				c->name, mib(c->first));
	return c->kib > has_kib(c) ? check_room(c, c->kib - has_kib(c)) : 0;
}

/* The hypervisor's limit first: one that grows is let, one that shrinks does not come back. */
static int set_target(struct change *c)
{
	uint64_t old = c->info.max_pages * (PV_PAGE_SIZE / 1024);
	char text[32];
	int rc = pv_domain_max_mem(c->xl->pv, c->domid, c->kib + XL_EXTRA_KIB);

	if (rc)
		return xl_error("the hypervisor does not change the limit of '%s': %s", c->name,
				strerror(-rc));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->kib);
	if (st_replace(c->xl, text, "/local/domain/%u/memory/target", c->domid))
		return 0;
	rc = errno;
	pv_domain_max_mem(c->xl->pv, c->domid, old);
	return xl_error("cannot tell '%s' its target: %s", c->name, strerror(rc));
}

static uint64_t missing(const struct change *c)
{
	uint64_t has = pv_pages(&c->info), want = c->kib / (PV_PAGE_SIZE / 1024);

	return has > want + BALLOON_SLACK ? has - want - BALLOON_SLACK :
	       has < want		  ? want - has :
					    0;
}

/* No lock is held: others may change it again meanwhile, and then it is theirs. */
static int await_balloon(struct change *c)
{
	int64_t begin = xl_now(), moved = begin;
	uint64_t last, left = missing(c);
	bool some = false;

	while (left && xl_now() < moved + BALLOON_MS && xl_now() < begin + BALLOON_ALL_MS &&
	       !xl_interrupted) {
		xl_sleep(BALLOON_LOOK_MS);
		if (pv_domain_info(c->xl->pv, c->domid, &c->info))
			return xl_error("domain %u has gone meanwhile", c->domid);
		last = left;
		left = missing(c);
		if (left < last) {
			moved = xl_now();
			some = true;
		}
		if (c->info.flags & XEN_DOMINF_paused)
			break;
	}
	if (!left)
		return 0;
	if (c->info.flags & XEN_DOMINF_paused) {
		xl_error("'%s' is paused: it comes to %llu MiB when it is unpaused", c->name,
			 mib(c->kib));
		return 0;
	}
	if (!some)
		return xl_error(
			"'%s' does not react and still has %llu MiB (does it have a balloon "
			"driver?); the target stays",
			c->name, mib(has_kib(c)));
	xl_error("'%s' has %llu MiB so far; the target stays", c->name, mib(has_kib(c)));
	return 0;
}

static int mem_max(struct change *c)
{
	char text[32];
	int rc;

	if (c->kib < c->target)
		return xl_error("%llu MiB is less than the %llu MiB that '%s' is to have now (see "
				"xl mem-set)",
				mib(c->kib), mib(c->target), c->name);
	if (c->kib < least(c))
		return xl_error("%llu MiB is too little for '%s': at least %llu MiB", mib(c->kib),
				c->name, mib(least(c) + 1023));
	if (c->kib > c->max && check_room(c, c->kib - c->max))
		return -1;
	rc = pv_domain_max_mem(c->xl->pv, c->domid, c->kib + XL_EXTRA_KIB);
	if (rc)
		return xl_error("the hypervisor does not change the limit of '%s': %s", c->name,
				strerror(-rc));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->kib);
	if (st_replace(c->xl, text, "/local/domain/%u/memory/static-max", c->domid))
		return 0;
	rc = errno;
	pv_domain_max_mem(c->xl->pv, c->domid, c->info.max_pages * (PV_PAGE_SIZE / 1024));
	return xl_error("cannot write the maximum of '%s': %s", c->name, strerror(rc));
}

/* dom0's frames are the machine's own, one to one: what it gave up could be nobody else's. */
static int is_dom0(struct xl *xl, const char *arg)
{
	uint32_t domid;

	if (domain_find(xl, arg, &domid))
		return -1;
	if (domid)
		return 0;
	return xl_error(
		"domain 0 keeps the memory it has started with: it is mapped one to one, and "
		"no guest could have what it gave back; dom0_mem= on the hypervisor's "
		"command line says how much it is");
}

static int change(int argc, char **argv, bool max)
{
	struct change c = { 0 };
	int rc = 0, lock;
	int64_t kib;
	struct xl xl;

	if (command_option(argc, argv, "", &rc) == '?')
		return rc;
	if (argc - optind != 2)
		return command_usage(argv[0], false);
	c.xl = &xl;
	c.name = argv[optind];
	kib = parse_size(argv[optind + 1]);
	if (kib < 0) {
		xl_error("invalid memory size: '%s' is no number with k, m, g or t behind it",
			 argv[optind + 1]);
		return 1;
	}
	c.kib = kib;
	xl_catch_signals();
	if (xl_open(&xl))
		return 1;
	lock = is_dom0(&xl, c.name) ? -1 : domain_lock(&xl, c.name, "change", &c.domid);
	rc = lock < 0 || look(&c) || (max ? mem_max(&c) : check_target(&c) || set_target(&c));
	xl_unlock_domain(lock, c.domid);
	if (!rc && !max)
		rc = await_balloon(&c);
	xl_close(&xl);
	return rc ? 1 : 0;
}

int cmd_mem_set(int argc, char **argv)
{
	return change(argc, argv, false);
}

int cmd_mem_max(int argc, char **argv)
{
	return change(argc, argv, true);
}
