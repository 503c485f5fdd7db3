// SPDX-License-Identifier: BSD-2-Clause
/*
 * What tools ask: lists and states of domains, affinities, the machine.
 */
#include <debug.h>
#include <grant_internal.h>

#include "host.h"

static void domain_lists(void **state)
{
	struct xen_domctl_getdomaininfo list[4];
	struct xen_sysctl op = { .u.getdomaininfolist = { .first_domain = 0, .max_domains = 4 } };
	struct domain *d;

	set_xen_guest_handle(op.u.getdomaininfolist.buffer, list);
	AS(dom0);
	/* Interrupted, it goes on: fewer than asked for are all there are. What a caller left in a2 is no progress. */
	host.preempt_every = 1;
	for (unsigned int i = 0; i < 3; i++) {
		op.u.getdomaininfolist.first_domain = i;
		op.cmd = XEN_SYSCTL_getdomaininfolist;
		op.interface_version = XEN_SYSCTL_INTERFACE_VERSION;
		host.restarts = 0;
		assert_int_equal(HC(__HYPERVISOR_sysctl, U(&op), 7 << 16 | 3), 0);
		assert_int_equal(host.restarts, 3 - i);
		assert_int_equal(op.u.getdomaininfolist.num_domains, 3 - i);
		for (unsigned int j = i; j < 3; j++)
			assert_int_equal(list[j - i].domain, j);
	}
	host.preempt_every = 0;
	op.u.getdomaininfolist.first_domain = 0;
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, &op), 0);
	assert_int_equal(op.u.getdomaininfolist.num_domains, 3);
	assert_int_equal(list[2].domain, 2);
	assert_int_equal(list[2].tot_pages, U_PAGES);
	op.u.getdomaininfolist.first_domain = 2;
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, &op), 0);
	assert_int_equal(op.u.getdomaininfolist.num_domains, 1);
	assert_int_equal(list[0].domain, 2);
	op.u.getdomaininfolist.first_domain = 3;
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, &op), 0);
	assert_int_equal(op.u.getdomaininfolist.num_domains, 0);
	op.u.getdomaininfolist.first_domain = 0;
	op.u.getdomaininfolist.max_domains = 2;
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, &op), 0);
	assert_int_equal(op.u.getdomaininfolist.num_domains, 2);
	set_xen_guest_handle(op.u.getdomaininfolist.buffer, NULL);
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, &op), -EFAULT);
	/* One whose last reference is being dropped is passed over, not the end. */
	d = make_domain(3, 1, 1);
	set_xen_guest_handle(op.u.getdomaininfolist.buffer, list);
	u2->refs -= 2;
	op.u.getdomaininfolist.max_domains = 4;
	assert_int_equal(sysctl(XEN_SYSCTL_getdomaininfolist, &op), 0);
	u2->refs += 2;
	assert_int_equal(op.u.getdomaininfolist.num_domains, 3);
	assert_int_equal(list[2].domain, d->id);
	assert_int_equal(domctl(2, XEN_DOMCTL_getdomaininfo, NULL), 0);
}

static void the_machine(void **state)
{
	struct xen_sysctl op = { 0 };
	struct xen_sysctl_cpuinfo cpu[8];
	struct xen_sysctl_cputopo topo[8];
	char text[64];

	AS(dom0);
	assert_int_equal(sysctl(XEN_SYSCTL_physinfo, &op), 0);
	assert_int_equal(op.u.physinfo.nr_cpus, NR_HARTS);
	assert_int_equal(op.u.physinfo.free_pages, heap_free_pages());
	assert_int_equal(op.u.physinfo.total_pages, RAM_PAGES);
	assert_int_equal(sysctl(XEN_SYSCTL_availheap, &op), 0);
	assert_int_equal(op.u.availheap.avail_bytes, heap_free_pages() << PAGE_SHIFT);
	assert_int_equal(sysctl(XEN_SYSCTL_sched_id, &op), 0);
	op.u.getcpuinfo.max_cpus = 8;
	set_xen_guest_handle(op.u.getcpuinfo.info, cpu);
	assert_int_equal(sysctl(XEN_SYSCTL_getcpuinfo, &op), 0);
	assert_int_equal(op.u.getcpuinfo.nr_cpus, NR_HARTS);
	op.u.cputopoinfo.num_cpus = 8;
	set_xen_guest_handle(op.u.cputopoinfo.cputopo, topo);
	assert_int_equal(sysctl(XEN_SYSCTL_cputopoinfo, &op), 0);
	assert_int_equal(op.u.cputopoinfo.num_cpus, NR_HARTS);
	assert_int_equal(topo[3].core, 3);
	printk("a line of the log\n");
	op.u.readconsole = (struct xen_sysctl_readconsole){ .count = sizeof(text), .clear = 1 };
	set_xen_guest_handle(op.u.readconsole.buffer, text);
	assert_int_equal(sysctl(XEN_SYSCTL_readconsole, &op), 0);
	assert_true(op.u.readconsole.count > 10);
	op.u.readconsole = (struct xen_sysctl_readconsole){ .count = sizeof(text) };
	set_xen_guest_handle(op.u.readconsole.buffer, text);
	assert_int_equal(sysctl(XEN_SYSCTL_readconsole, &op), 0);
	assert_int_equal(op.u.readconsole.count, 0);
	op.u.debug_keys.nr_keys = 33;
	assert_int_equal(sysctl(XEN_SYSCTL_debug_keys, &op), -EINVAL);
	op.u.debug_keys.nr_keys = 2;
	set_xen_guest_handle(op.u.debug_keys.keys, (char *)"qm");
	assert_int_equal(sysctl(XEN_SYSCTL_debug_keys, &op), 0);
	assert_non_null(strstr(host.console, "memory:"));
	assert_int_equal(sysctl(0x7fff, &op), -ENOSYS);
	op.interface_version = 1;
	assert_int_equal(HC(__HYPERVISOR_sysctl, U(&op)), -EACCES);
	assert_int_equal(HC(__HYPERVISOR_sysctl, 0), -EFAULT);
}

/* ---- the debug keys that print what guests make as many of as they like ---- */

#define MANY_PORTS 600
static struct {
	unsigned int ports, entries;
} printed;

static bool is_free(const struct spinlock *l)
{
	return READ_ONCE(l->next) == READ_ONCE(l->owner);
}

/* What others want while the UART is slow. */
static void count_lines(const char *s, size_t n)
{
	struct domain *d, *domains[] = { dom0, u1, u2 };

	assert_true(is_free(&domain_list_lock));
	for (unsigned int i = 0; i < ARRAY_SIZE(domains); i++) {
		d = domains[i];
		assert_true(is_free(&d->evtchn_lock));
		assert_true(is_free(&d->grant->lock));
	}
	printed.ports += n > 8 && !memcmp(s, "d1 port ", 8);
	printed.entries += n > 6 && !memcmp(s, "  ref ", 6);
}

static void press(char key)
{
	struct xen_sysctl op = { .u.debug_keys.nr_keys = 1 };

	set_xen_guest_handle(op.u.debug_keys.keys, &key);
	console_clear();
	memset(&printed, 0, sizeof(printed));
	host.on_print = count_lines;
	assert_int_equal(sysctl(XEN_SYSCTL_debug_keys, &op), 0);
	host.on_print = NULL;
}

static void debug_keys_keep_nobody_waiting(void **state)
{
	u32 refs[] = { 9, 511, 700 }, handle[3];

	for (unsigned int i = 0; i < MANY_PORTS; i++)
		unbound(u1, 2);
	for (unsigned int i = 0; i < 3; i++) {
		grant_access(u1, refs[i], 2, RAM_GFN + i, 0);
		AS(u2);
		assert_int_equal(map_grant(1, refs[i], HOLE + i, 0, &handle[i]), GNTST_okay);
	}
	AS(dom0);
	press('e');
	assert_int_equal(printed.ports, DUMP_LINES);
	assert_non_null(strstr(host.console, "d1: 100 more ports"));
	press('g');
	assert_int_equal(printed.entries, 3);
	assert_non_null(strstr(host.console, "  ref 9: gfn 80000, d2, 0 readers, 1 writers"));
	assert_non_null(strstr(host.console, "  ref 511:"));
	assert_non_null(strstr(host.console, "  ref 700:"));
	assert_null(strstr(host.console, "not shown"));
	press('v');
	assert_non_null(strstr(host.console, "registers of d1v0"));
	assert_non_null(strstr(host.console, "registers of d2v0"));
	assert_null(strstr(host.console, "registers of d0v0"));
	/* A lock that is never let go of is nobody's end. */
	host.relaxed = 0;
	spin_lock(&u1->evtchn_lock);
	debug_key('e');
	spin_unlock(&u1->evtchn_lock);
	assert_non_null(strstr(host.console, "d1: event channels are busy"));
	host.relaxed = 0;
	spin_lock(&u1->grant->lock);
	debug_key('g');
	spin_unlock(&u1->grant->lock);
	assert_non_null(strstr(host.console, "d1: grant table is busy"));
}

/* More entries in use than lines: where it stops, and that others' are not shown either. */
static void debug_keys_have_an_end(void **state)
{
	u32 handle[DUMP_LINES + 4];

	for (unsigned int i = 0; i < ARRAY_SIZE(handle); i++) {
		grant_access(u1, 8 + i, 2, RAM_GFN + i % 4, 0);
		AS(u2);
		assert_int_equal(map_grant(1, 8 + i, HOLE + i, 0, &handle[i]), GNTST_okay);
	}
	AS(dom0);
	press('g');
	assert_int_equal(printed.entries, DUMP_LINES);
	assert_non_null(strstr(host.console, "d1: entries from ref 508 on are not shown"));
	assert_non_null(strstr(host.console, "d2: "));
}

/* Of a number that is not there the next one's, as in 4.17; the tools compare. */
static void info_of_the_next(void **state)
{
	struct xen_domctl op = { 0 };

	AS(dom0);
	kill_domain(u1);
	assert_int_equal(domctl(1, XEN_DOMCTL_getdomaininfo, &op), 0);
	assert_int_equal(op.domain, 2);
	assert_int_equal(op.u.getdomaininfo.domain, 2);
	assert_int_equal(op.u.getdomaininfo.tot_pages, U_PAGES);
	assert_int_equal(domctl(3, XEN_DOMCTL_getdomaininfo, &op), -ESRCH);
	assert_int_equal(domctl(DOMID_FIRST_RESERVED - 1, XEN_DOMCTL_getdomaininfo, &op), -ESRCH);
	assert_int_equal(domctl(DOMID_IDLE, XEN_DOMCTL_getdomaininfo, &op), -EINVAL);
	assert_int_equal(domctl(DOMID_SELF, XEN_DOMCTL_getdomaininfo, &op), 0);
	assert_int_equal(op.domain, 0);
	/* Only this one does so. */
	assert_int_equal(domctl(1, XEN_DOMCTL_pausedomain, NULL), -ESRCH);
	AS(u2);
	assert_int_equal(domctl(2, XEN_DOMCTL_getdomaininfo, &op), -EPERM);
}

static long affinity(bool set, u32 flags, u8 *map, u32 bits)
{
	struct xen_domctl op = { .u.vcpuaffinity.flags = flags };

	for (unsigned int i = 0; i < 2; i++) {
		struct xenctl_bitmap *b = i ? &op.u.vcpuaffinity.cpumap_soft :
					      &op.u.vcpuaffinity.cpumap_hard;

		set_xen_guest_handle(b->bitmap, map);
		b->nr_bits = bits;
	}
	return domctl(1, set ? XEN_DOMCTL_setvcpuaffinity : XEN_DOMCTL_getvcpuaffinity, &op);
}

/* Maps of any length: read as if zeroes followed, written to the caller's last byte. */
static void maps_of_harts(void **state)
{
	static const u32 lengths[] = { 1, 4, 8, 9, 63, 64, 65, 512, 513, 4000, 32768 };
	u8 map[4100];

	AS(dom0);
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		unsigned int bytes = DIV_ROUND_UP(lengths[i], 8);

		for (unsigned int soft = 0; soft < 2; soft++) {
			memset(map, 0xee, sizeof(map));
			assert_int_equal(affinity(false,
						  soft ? XEN_VCPUAFFINITY_SOFT :
							 XEN_VCPUAFFINITY_HARD,
						  map, lengths[i]),
					 0);
			assert_int_equal(map[0], 0xf);
			for (unsigned int j = 1; j < sizeof(map); j++)
				assert_int_equal(map[j], j < bytes ? 0 : 0xee);
		}
	}
	assert_int_equal(affinity(false, XEN_VCPUAFFINITY_HARD, map, 32769), -EINVAL);
	assert_int_equal(affinity(false, XEN_VCPUAFFINITY_HARD, map, 0), 0);
	assert_int_equal(affinity(false, XEN_VCPUAFFINITY_HARD, NULL, 8), -EFAULT);
	assert_int_equal(affinity(true, XEN_VCPUAFFINITY_HARD, NULL, 8), -EFAULT);
	/* Bits behind the caller's last do not count. */
	memset(map, 0xff, sizeof(map));
	assert_int_equal(affinity(true, XEN_VCPUAFFINITY_HARD, map, 2), 0);
	assert_int_equal(u1->vcpu[0]->pinned, 3);
	assert_int_equal(map[0], 3);
	map[0] = 0xf8;
	assert_int_equal(affinity(true, XEN_VCPUAFFINITY_HARD, map, 3), -EINVAL);
	assert_int_equal(u1->vcpu[0]->pinned, 3);
	/* A soft one may have nothing in common with it: that is told, and what was asked for is kept. */
	assert_int_equal(affinity(true, XEN_VCPUAFFINITY_SOFT, map, 8), 0);
	assert_int_equal(map[0], 0);
	assert_int_equal(affinity(false, XEN_VCPUAFFINITY_SOFT, map, 8), 0);
	assert_int_equal(map[0], 0x8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(domain_lists),
		TEST(the_machine),
		TEST(debug_keys_keep_nobody_waiting),
		TEST(debug_keys_have_an_end),
		TEST(info_of_the_next),
		TEST(maps_of_harts),
	};

	return RUN(tests);
}
