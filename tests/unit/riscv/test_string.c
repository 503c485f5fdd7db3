// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hypervisor's own memcpy() and memmove() (lib/string.c), under other names: every place in a word at both ends, every length up to
 * some words, nothing written beside; and nothing read in a page that has none of the bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>

#include <cmocka.h>

#define LONGEST 150
#define PAGE 4096

void *hyp_memcpy(void *dst, const void *src, size_t n);
void *hyp_memmove(void *dst, const void *src, size_t n);

static uint8_t source[LONGEST + 32] __attribute__((aligned(8)));
static uint8_t target[LONGEST + 32] __attribute__((aligned(8)));

/* What is at target, where n bytes from source + from have been put at place. */
static void compare(size_t place, size_t from, size_t n)
{
	for (size_t i = 0; i < sizeof(target); i++) {
		uint8_t want = i < place || i >= place + n ? 0xee : source[from + i - place];

		if (target[i] != want)
			fail_msg("%zu bytes from %zu to %zu: byte %zu is %02x and not %02x", n,
				 from, place, i, target[i], want);
	}
}

static void every_place_and_length(void **state)
{
	for (size_t i = 0; i < sizeof(source); i++)
		source[i] = i * 7 + 1;
	for (size_t from = 0; from < 8; from++) {
		for (size_t place = 8; place < 16; place++) {
			for (size_t n = 0; n <= LONGEST; n++) {
				memset(target, 0xee, sizeof(target));
				assert_ptr_equal(hyp_memcpy(target + place, source + from, n),
						 target + place);
				compare(place, from, n);
			}
		}
	}
}

static void moves_that_overlap(void **state)
{
	uint8_t both[64], want[64];

	for (size_t from = 0; from < 24; from++) {
		for (size_t to = 0; to < 24; to++) {
			for (size_t i = 0; i < sizeof(both); i++)
				both[i] = want[i] = i;
			memmove(want + to, want + from, 40);
			hyp_memmove(both + to, both + from, 40);
			assert_memory_equal(both, want, sizeof(both));
		}
	}
}

/* A page between two that cannot be read: what begins or ends at its edge. */
static void nothing_is_read_beside(void **state)
{
	uint8_t *pages = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < PAGE; i++)
		pages[PAGE + i] = i;
	for (size_t place = 8; place < 16; place++) {
		for (size_t n = 0; n <= LONGEST; n++) {
			hyp_memcpy(target + place, pages + PAGE, n);
			assert_memory_equal(target + place, pages + PAGE, n);
			hyp_memcpy(target + place, pages + 2 * PAGE - n, n);
			assert_memory_equal(target + place, pages + 2 * PAGE - n, n);
		}
	}
	munmap(pages, 3 * PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_place_and_length),
		cmocka_unit_test(moves_that_overlap),
		cmocka_unit_test(nothing_is_read_beside),
	};

	cmocka_set_test_filter(getenv("CASE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
