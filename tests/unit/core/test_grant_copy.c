// SPDX-License-Identifier: BSD-2-Clause
/*
 * GNTTABOP_copy: between granted and own pages, with every wrong offset, length, reference and right.
 */
#include "host.h"

static s16 copy(struct gnttab_copy op)
{
	op.status = 77;
	assert_int_equal(GNTTAB(GNTTABOP_copy, &op, 1), 0);
	return op.status;
}

/* From u1's grant ref to u2's own frame gfn. */
static struct gnttab_copy to_own(u32 ref, gfn_t gfn)
{
	return (struct gnttab_copy){ .source = { .u.ref = ref, .domid = 1, .offset = 16 },
				     .dest = { .u.gmfn = gfn, .domid = DOMID_SELF, .offset = 4000 },
				     .len = 64,
				     .flags = GNTCOPY_source_gref };
}

static struct gnttab_copy from_own(u32 ref, gfn_t gfn)
{
	return (struct gnttab_copy){ .source = { .u.gmfn = gfn, .domid = DOMID_SELF },
				     .dest = { .u.ref = ref, .domid = 1 },
				     .len = PAGE_SIZE,
				     .flags = GNTCOPY_dest_gref };
}

static void copies_both_ways(void **state)
{
	char *a = guest_page(u1, RAM_GFN), *b = guest_page(u2, RAM_GFN + 1);

	memset(a, 'a', PAGE_SIZE);
	grant_access(u1, 5, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(copy(to_own(5, RAM_GFN + 1)), GNTST_okay);
	assert_int_equal(b[3999], 0);
	assert_int_equal(b[4000], 'a');
	assert_int_equal(b[4063], 'a');
	assert_int_equal(b[4064], 0);
	memset(b, 'b', PAGE_SIZE);
	assert_int_equal(copy(from_own(5, RAM_GFN + 1)), GNTST_okay);
	assert_memory_equal(a, b, PAGE_SIZE);
	/* The grant is free again. */
	assert_int_equal(grant_entry(u1, 5)->flags, GTF_permit_access);
	assert_int_equal(u1->refs, 2);
	assert_int_equal(mfn_to_page(arch_virt_to_mfn(a))->count, 1);
}

static void between_two_others(void **state)
{
	char *a = guest_page(u1, RAM_GFN), *b = guest_page(u2, RAM_GFN);
	struct gnttab_copy op = { .source = { .u.ref = 5, .domid = 1 },
				  .dest = { .u.ref = 6, .domid = 2 },
				  .len = PAGE_SIZE,
				  .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref };

	memset(a, 'z', PAGE_SIZE);
	grant_access(u1, 5, 0, RAM_GFN, GTF_readonly);
	grant_access(u2, 6, 0, RAM_GFN, 0);
	AS(dom0);
	assert_int_equal(copy(op), GNTST_okay);
	assert_memory_equal(a, b, PAGE_SIZE);
	/* The same page on both sides, overlapping. */
	op = (struct gnttab_copy){ .source = { .u.ref = 6, .domid = 2 },
				   .dest = { .u.ref = 6, .domid = 2, .offset = 1 },
				   .len = PAGE_SIZE - 1,
				   .flags = GNTCOPY_source_gref | GNTCOPY_dest_gref };
	b[0] = 'y';
	assert_int_equal(copy(op), GNTST_okay);
	assert_int_equal(b[1], 'y');
	assert_int_equal(b[2], 'z');
	assert_int_equal(grant_entry(u2, 6)->flags, GTF_permit_access);
}

static void offsets_and_lengths(void **state)
{
	struct gnttab_copy op;

	grant_access(u1, 5, 2, RAM_GFN, 0);
	AS(u2);
	op = to_own(5, RAM_GFN);
	op.len = 97;
	assert_int_equal(copy(op), GNTST_bad_copy_arg); /* dest: 4000 + 97 */
	op.len = 96;
	assert_int_equal(copy(op), GNTST_okay);
	op.source.offset = PAGE_SIZE;
	op.len = 0;
	assert_int_equal(copy(op), GNTST_bad_copy_arg);
	op.source.offset = 0xffff;
	op.len = 1;
	assert_int_equal(copy(op), GNTST_bad_copy_arg);
	op = to_own(5, RAM_GFN);
	op.dest.offset = 0;
	op.source.offset = 4095;
	op.len = 0xffff;
	assert_int_equal(copy(op), GNTST_bad_copy_arg);
	op.len = 1;
	assert_int_equal(copy(op), GNTST_okay);
	op.len = 0;
	assert_int_equal(copy(op), GNTST_okay);
}

static void xsa_230_500_rights_and_pins(void **state)
{
	u32 handle;

	grant_access(u1, 5, 2, RAM_GFN, GTF_readonly);
	AS(u2);
	assert_int_equal(copy(from_own(5, RAM_GFN)), GNTST_permission_denied);
	assert_int_equal(copy(to_own(5, RAM_GFN)), GNTST_okay);
	assert_int_equal(grant_entry(u1, 5)->flags, GTF_permit_access | GTF_readonly);
	/* A copy while the grant is mapped leaves the mapping's marks. */
	assert_int_equal(map_grant(1, 5, 0x50000, GNTMAP_readonly, &handle), GNTST_okay);
	assert_int_equal(copy(to_own(5, RAM_GFN)), GNTST_okay);
	assert_int_equal(copy(from_own(5, RAM_GFN)), GNTST_permission_denied);
	assert_int_equal(grant_entry(u1, 5)->flags, GTF_permit_access | GTF_readonly | GTF_reading);
	assert_int_equal(unmap_grant(handle, 0x50000), GNTST_okay);
	assert_int_equal(grant_entry(u1, 5)->flags, GTF_permit_access | GTF_readonly);
}

static void wrong_domains_refs_and_frames(void **state)
{
	struct gnttab_copy op;

	grant_access(u1, 5, 2, RAM_GFN, 0);
	AS(u2);
	op = to_own(5, RAM_GFN);
	op.source.domid = 77;
	assert_int_equal(copy(op), GNTST_bad_domain);
	op.source.domid = DOMID_XEN;
	assert_int_equal(copy(op), GNTST_bad_domain);
	assert_int_equal(copy(to_own(6, RAM_GFN)), GNTST_bad_gntref);
	assert_int_equal(copy(to_own(~0U, RAM_GFN)), GNTST_bad_gntref);
	assert_int_equal(copy(to_own(5, RAM_GFN + U_PAGES)), GNTST_bad_page);
	assert_int_equal(copy(to_own(5, ~0UL)), GNTST_bad_page);
	/* Another's memory without a grant, for the control domain neither. */
	op = to_own(5, RAM_GFN);
	op.flags = 0;
	op.source.u.gmfn = RAM_GFN;
	assert_int_equal(copy(op), GNTST_permission_denied);
	AS(dom0);
	assert_int_equal(copy(op), GNTST_permission_denied);
	assert_int_equal(u1->refs, 2);
	assert_int_equal(u2->refs, 2);
	assert_int_equal(grant_entry(u1, 5)->flags, GTF_permit_access);
}

/* What u2 has mapped by grant is no page of its own, so it is no end of a copy by frame number. */
static void no_copy_through_a_mapping(void **state)
{
	u32 handle;

	grant_access(u1, 5, 2, RAM_GFN, GTF_readonly);
	AS(u2);
	assert_int_equal(map_grant(1, 5, 0x50000, GNTMAP_readonly, &handle), GNTST_okay);
	assert_int_equal(copy(to_own(5, 0x50000)), GNTST_bad_page);
	assert_int_equal(unmap_grant(handle, 0x50000), GNTST_okay);
}

static void xsa_318_continuation_keeps_each_status(void **state)
{
	struct gnttab_copy op[30];

	grant_access(u1, 5, 2, RAM_GFN, 0);
	AS(u2);
	for (unsigned int i = 0; i < 30; i++)
		op[i] = to_own(i % 3 ? 5 : 400, RAM_GFN + i);
	host.preempt_every = 2;
	assert_int_equal(GNTTAB(GNTTABOP_copy, op, 30), 0);
	assert_true(host.restarts >= 13);
	for (unsigned int i = 0; i < 30; i++)
		assert_int_equal(op[i].status, i % 3 ? GNTST_okay : GNTST_bad_gntref);
	assert_int_equal(grant_entry(u1, 5)->flags, GTF_permit_access);
}

static void dying_granter(void **state)
{
	grant_access(u1, 5, 2, RAM_GFN, 0);
	domain_hold(u1);
	kill_domain(u1);
	AS(u2);
	assert_int_equal(copy(to_own(5, RAM_GFN)), GNTST_bad_domain);
	assert_int_equal(copy(from_own(5, RAM_GFN)), GNTST_bad_domain);
	domain_put(u1);
	assert_int_equal(copy(to_own(5, RAM_GFN)), GNTST_bad_domain);
}

static void faults(void **state)
{
	struct gnttab_copy op = to_own(5, RAM_GFN);

	grant_access(u1, 5, 2, RAM_GFN, 0);
	AS(u2);
	assert_int_equal(GNTTAB(GNTTABOP_copy, NULL, 1), -EFAULT);
	assert_int_equal(GNTTAB(GNTTABOP_copy, (void *)~0UL, 1), -EFAULT);
	host.copies_left = 1;
	assert_int_equal(GNTTAB(GNTTABOP_copy, &op, 1), -EFAULT);
	assert_int_equal(grant_entry(u1, 5)->flags, GTF_permit_access);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies_both_ways),
		TEST(between_two_others),
		TEST(offsets_and_lengths),
		TEST(xsa_230_500_rights_and_pins),
		TEST(wrong_domains_refs_and_frames),
		TEST(no_copy_through_a_mapping),
		TEST(xsa_318_continuation_keeps_each_status),
		TEST(dying_granter),
		TEST(faults),
	};

	return RUN(tests);
}
