// SPDX-License-Identifier: BSD-2-Clause
/*
 * xsm=silo: guests may talk to the control domain only, over events and grants. It cannot be taken back, so this is a
 * program of its own; the other programs are the tests of the policy without it.
 */
#include "host.h"

static long offer(domid_t dom, domid_t remote)
{
	struct evtchn_alloc_unbound a = { .dom = dom, .remote_dom = remote };
	long rc = EVTCHN(EVTCHNOP_alloc_unbound, &a);

	return rc ? rc : (long)a.port;
}

static long connect(domid_t dom, evtchn_port_t port)
{
	struct evtchn_bind_interdomain a = { .remote_dom = dom, .remote_port = port };

	return EVTCHN(EVTCHNOP_bind_interdomain, &a);
}

static void events(void **state)
{
	long port;

	AS(u1);
	assert_int_equal(offer(DOMID_SELF, 2), -EPERM);
	assert_int_equal(offer(DOMID_SELF, 77), -ESRCH);
	assert_true(offer(DOMID_SELF, DOMID_SELF) > 0);
	port = offer(DOMID_SELF, 0);
	assert_true(port > 0);
	AS(dom0);
	assert_int_equal(connect(1, port), 0);
	port = offer(DOMID_SELF, 1);
	assert_true(port > 0);
	AS(u1);
	assert_int_equal(connect(0, port), 0);
	/* dom0 may offer in one guest's name to another, but that one may not take it. */
	AS(dom0);
	port = offer(1, 2);
	assert_true(port > 0);
	AS(u2);
	assert_int_equal(connect(1, port), -EINVAL);
	assert_int_equal(evtchn_count(u2), 0);
}

static s16 copy_from(domid_t dom, u32 ref)
{
	struct gnttab_copy op = { .source = { .u.ref = ref, .domid = dom },
				  .dest = { .u.gmfn = RAM_GFN + 1, .domid = DOMID_SELF },
				  .len = 64,
				  .flags = GNTCOPY_source_gref };

	assert_int_equal(GNTTAB(GNTTABOP_copy, &op, 1), 0);
	return op.status;
}

static void grants(void **state)
{
	u32 handle;

	grant_access(u1, 8, 2, RAM_GFN, 0);
	grant_access(u1, 9, 0, RAM_GFN, 0);
	grant_access(u2, 8, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(map_grant(1, 8, 0x50000, 0, &handle), GNTST_bad_domain);
	assert_int_equal(copy_from(1, 8), GNTST_bad_domain);
	assert_int_equal(grant_entry(u1, 8)->flags, GTF_permit_access);
	assert_int_equal(copy_from(2, 8), GNTST_okay); /* its own */
	AS(dom0);
	assert_int_equal(map_grant(1, 9, 0x50000, 0, &handle), GNTST_okay);
	assert_int_equal(unmap_grant(handle, 0x50000), GNTST_okay);
}

static void guests_are_told(void **state)
{
	struct xen_feature_info f = { .submap_idx = PAVISE_SUBMAP_FEATURES };

	AS(u1);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_get_features, U(&f)), 0);
	assert_true(f.submap & BIT(PAVISE_FEAT_silo));
	assert_false(f.submap & BIT(PAVISE_FEAT_pirq));
	AS(dom0);
	assert_int_equal(HC(__HYPERVISOR_xen_version, XENVER_get_features, U(&f)), 0);
	assert_true(f.submap & BIT(PAVISE_FEAT_pirq));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events),
		TEST(grants),
		TEST(guests_are_told),
	};

	xsm_set_silo();
	return RUN(tests);
}
