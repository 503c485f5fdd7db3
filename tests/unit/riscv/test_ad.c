// SPDX-License-Identifier: BSD-2-Clause
/*
 * engine/ad_trial.c: what it finds out about harts that do with A and D all that the specification allows, and some that it does not;
 * written from its words (RISC-V Privileged Specification, "Virtual Address Translation Process", "Two-Stage Address Translation").
 */
#include <arch.h>
#include <lib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

unsigned long test_pa(const void *va);

/* What the hart does with a clear bit. */
enum clear { SET, FAULT, IGNORE };

static struct {
	enum clear second; /* of second-stage leaves */
	enum clear first; /* of a guest's own; by henvcfg.ADUE where there is that */
	bool by_adue;
	/* The walk that sets them in a guest's table does not do so in the leaf which that is behind: */
	bool no_d, no_a, no_w; /* no_w: nor does it look whether it may */
} hart;

static unsigned int touches, unfenced;
static bool fenced[2];

unsigned long test_pa(const void *va)
{
	return (unsigned long)va;
}

static bool bit(u64 *pte, u64 which, enum clear what)
{
	if (*pte & which || what == IGNORE)
		return true;
	if (what == FAULT)
		return false;
	*pte |= which;
	return true;
}

static u64 *table(u64 pte)
{
	return (u64 *)((pte >> 10 & ((1UL << 44) - 1)) << 12);
}

/* The page at a guest physical address, for a kind of access; walk: the hart's own update of a guest's table. NULL: it faults. */
static u64 *second_stage(u64 gpa, bool write, bool walk)
{
	u64 hgatp = *machine_csr(CSR_HGATP), *t = (u64 *)((hgatp & ((1UL << 44) - 1)) << 12), *pte;

	assert_int_equal(hgatp >> 60, 8);
	assert_int_equal((u64)t & 0x3fff, 0);
	for (int level = 2;; level--) {
		pte = &t[gpa >> (12 + 9 * level) & (level == 2 ? 0x7ff : 0x1ff)];
		if (!(*pte & 1))
			return NULL;
		if (*pte & 0xe)
			break;
		assert_int_equal(*pte & 0xd0, 0); /* D, A and U of what is no leaf are reserved */
		if (!level)
			return NULL;
		t = table(*pte);
	}
	if (!(*pte & 16) || !(*pte & 2) || (write && !(*pte & 4) && !(walk && hart.no_w)))
		return NULL;
	if (!(walk && hart.no_a) && !bit(pte, 64, hart.second))
		return NULL;
	if (write && !(walk && (hart.no_d || hart.no_w)) && !bit(pte, 128, hart.second))
		return NULL;
	return table(*pte);
}

bool ad_touch(bool write)
{
	u64 vsatp = *machine_csr(CSR_VSATP), gpa = 0, *page, *pte, was;
	enum clear first = hart.first;

	touches++;
	unfenced += !fenced[0] || !fenced[1];
	fenced[0] = fenced[1] = false;
	if (hart.by_adue)
		first = *machine_csr(CSR_HENVCFG) & BIT(61) ? SET : FAULT;
	if (!vsatp)
		return second_stage(0, write, false) != NULL;
	assert_int_equal(vsatp >> 60, 8);
	gpa = (vsatp & ((1UL << 44) - 1)) << 12;
	for (int level = 2;; level--) {
		page = second_stage(gpa, false, hart.no_a && !level);
		if (!page)
			return false;
		pte = page; /* all are of address 0 */
		if (!(*pte & 1))
			return false;
		if (*pte & 0xe)
			break;
		if (!level)
			return false;
		gpa = (*pte >> 10) << 12;
	}
	if (!(*pte & 16) || !(*pte & (write ? 4 : 2)))
		return false;
	was = *pte;
	if (!bit(&was, 64, first) || (write && !bit(&was, 128, first)))
		return false;
	if (was != *pte) {
		if (!second_stage(gpa, true, true))
			return false;
		*pte = was;
	}
	return second_stage((was >> 10) << 12, write, false) != NULL;
}

void machine_fence(unsigned int fid, unsigned long harts)
{
	assert_int_equal(harts, 0);
	fenced[fid == RFENCE_HFENCE_VVMA] = true;
}

static u32 trial(bool henvcfg, bool sv39)
{
	u32 found;

	touches = unfenced = 0;
	*machine_csr(CSR_HENVCFG) = BIT(61) | 5;
	found = ad_trial(henvcfg, sv39);
	assert_int_equal(*machine_csr(CSR_HGATP), 0);
	assert_int_equal(*machine_csr(CSR_VSATP), 0);
	assert_int_equal(*machine_csr(CSR_HENVCFG), BIT(61) | 5);
	assert_int_equal(unfenced, 0);
	assert_int_equal(touches, sv39 ? 4 : 2);
	/* And again: nothing is left of the first. */
	assert_int_equal(ad_trial(henvcfg, sv39), found);
	return found;
}

static void as_specified(void **state)
{
	(void)state;
	/* Svade, and Svadu that firmware has switched off */
	hart = (typeof(hart)){ .second = FAULT, .first = FAULT };
	assert_int_equal(trial(true, true), AD_FAULTS);
	/* Svadu: for the second stage, and a guest's own only where henvcfg says so */
	hart = (typeof(hart)){ .second = SET, .first = SET, .by_adue = true };
	assert_int_equal(trial(true, true), AD_SETS);
	assert_int_equal(trial(true, false), AD_SETS);
	/* Before there was ADUE, in both */
	hart = (typeof(hart)){ .second = SET, .first = SET };
	assert_int_equal(trial(false, true), AD_SETS);
}

static void as_not_specified(void **state)
{
	static const struct {
		bool no_d, no_a, no_w;
		u32 found;
	} walks[] = {
		{ true, false, false, AD_WALK_IGNORES_D },
		{ true, true, false, AD_WALK_IGNORES_D | AD_WALK_IGNORES_A },
		{ true, false, true, AD_WALK_IGNORES_D | AD_WALK_IGNORES_W }, /* QEMU 7.2 */
		{ true, true, true, AD_WALK_IGNORES_D | AD_WALK_IGNORES_A | AD_WALK_IGNORES_W },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(walks); i++) {
		hart = (typeof(hart)){ .second = SET,
				       .first = SET,
				       .no_d = walks[i].no_d,
				       .no_a = walks[i].no_a,
				       .no_w = walks[i].no_w };
		assert_int_equal(trial(false, true), AD_SETS | walks[i].found);
		/* It is not looked for, or does not come about */
		assert_int_equal(trial(false, false), AD_SETS);
		hart.by_adue = true;
		assert_int_equal(trial(true, true), AD_SETS);
	}
	hart = (typeof(hart)){ .second = IGNORE, .first = FAULT };
	assert_int_equal(trial(false, true), AD_IGNORES);
}

static void in_words(void **state)
{
	char text[AD_TEXT];

	(void)state;
	ad_describe(AD_SETS, text, sizeof(text));
	assert_string_equal(text, "set by hardware");
	ad_describe(AD_FAULTS, text, sizeof(text));
	assert_string_equal(text, "a fault");
	ad_describe(~0U, text, sizeof(text));
	assert_in_range(strlen(text), 100, AD_TEXT - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_specified),
		cmocka_unit_test(as_not_specified),
		cmocka_unit_test(in_words),
	};

	cmocka_set_test_filter(getenv("CASE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
