// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where kernel, device tree and ramdisk go in a guest's memory.
 * Owns the checks that nothing overlaps, and the message for too little memory.
 */
#include "test.h"

#include "pavise.h"

static const struct pv_image image = {
	.text_offset = 0x200000,
	.size = 20 * PV_MIB,
	.file_size = 16 * PV_MIB,
	.fd = -1,
};

static void test_fits(void **state)
{
	struct pv_err err = { "" };
	struct pv_layout l;

	(void)state;
	assert_int_equal(pv_layout_plan(&image, 5 * PV_MIB + 1, 128 * PV_MIB, 4, "quiet", &l, &err),
			 0);
	assert_string_equal(err.text, "");
	assert_int_equal(l.entry, 0x80200000);
	assert_int_equal(l.kernel_end, 0x80200000 + 20 * PV_MIB);
	assert_true(l.fdt >= l.kernel_end);
	assert_int_equal(l.fdt % PV_PAGE_SIZE, 0);
	assert_true(l.initrd >= l.fdt + l.fdt_bound);
	assert_int_equal(l.initrd % PV_PAGE_SIZE, 0);
	assert_int_equal(l.initrd_end - l.initrd, 5 * PV_MIB + 1);
	assert_true(l.initrd_end <= 0x80000000 + 128 * PV_MIB);
	assert_int_equal(l.bank_size[0], 128 * PV_MIB);
	assert_int_equal(l.bank_size[1], 0);
}

/*
 * Linux with STRICT_KERNEL_RWX maps itself with 2 MiB pages and reserves all of the last one: a
 * ramdisk that begins there is dropped ("overlaps in-use memory region").
 */
static void test_last_large_page(void **state)
{
	static const uint64_t sizes[] = {
		2 * PV_MIB,	 2 * PV_MIB + 1, 20 * PV_MIB - 1,
		20 * PV_MIB + 1, 21 * PV_MIB,	 22 * PV_MIB,
	};
	struct pv_image img = image;
	struct pv_layout l;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t end;

		img.size = sizes[i];
		end = (img.text_offset + img.size + 0x1fffff) / 0x200000 * 0x200000 + 0x80000000;
		assert_int_equal(pv_layout_plan(&img, PV_MIB, 128 * PV_MIB, 1, "", &l, NULL), 0);
		assert_int_equal(l.fdt, end);
		assert_true(l.initrd >= end + l.fdt_bound);
	}
}

static void test_banks(void **state)
{
	struct pv_layout l;

	(void)state;
	assert_int_equal(pv_layout_plan(&image, 0, 5000 * PV_MIB, 1, "", &l, NULL), 0);
	assert_int_equal(l.bank_size[0], 2048 * PV_MIB);
	assert_int_equal(l.bank_size[1], 2952 * PV_MIB);
	assert_true(pv_layout_plan(&image, 0, 1ULL << 50, 1, "", &l, NULL) < 0);
}

static void test_too_little(void **state)
{
	struct pv_err err = { "" };
	struct pv_layout l;
	uint64_t need;

	(void)state;
	assert_true(pv_layout_plan(&image, 0, 8 * PV_MIB, 1, "", &l, &err) < 0);
	assert_string_equal(err.text, "8 MiB is too little memory: with this kernel (20.0 MiB) and "
				      "ramdisk (0.0 MiB) the guest needs at least 28 MiB");
	need = l.minimum;
	/* Exactly the minimum is enough, a page less is not. */
	assert_int_equal(pv_layout_plan(&image, 0, need, 1, "", &l, NULL), 0);
	assert_true(pv_layout_plan(&image, 0, need - PV_PAGE_SIZE, 1, "", &l, NULL) < 0);
	/* A ramdisk that is larger than all low memory, with plenty above. */
	assert_true(pv_layout_plan(&image, 3000 * PV_MIB, 16384 * PV_MIB, 1, "", &l, NULL) < 0);
}

static void test_small_guest(void **state)
{
	/* A newlib guest: 200 KiB must not need a Linux's memory. */
	const struct pv_image tiny = { .text_offset = 0, .size = 200 * 1024, .fd = -1 };
	struct pv_layout l;

	(void)state;
	assert_int_equal(pv_layout_plan(&tiny, 0, PV_MIB, 1, "", &l, NULL), 0);
	assert_int_equal(l.entry, 0x80000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fits),	    cmocka_unit_test(test_last_large_page),
		cmocka_unit_test(test_banks),	    cmocka_unit_test(test_too_little),
		cmocka_unit_test(test_small_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
