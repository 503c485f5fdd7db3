// SPDX-License-Identifier: BSD-2-Clause
/*
 * lib/string.c, under other names, against the C library's: all lengths and alignments around its words.
 */
#define memcpy hv_memcpy
#define memmove hv_memmove
#define memset hv_memset
#define memcmp hv_memcmp
#define memchr hv_memchr
#define strlen hv_strlen
#define strnlen hv_strnlen
#define strcmp hv_strcmp
#define strncmp hv_strncmp
#define strchr hv_strchr
#define strrchr hv_strrchr
#include "../../../hypervisor/lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef memchr
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr

#include "host.h"

#define ROOM 160
#define LENGTHS 100 /* beyond two rounds of 32 bytes and their rest */

static u8 src[ROOM] __aligned(8), got[ROOM] __aligned(8), want[ROOM] __aligned(8);

/* Different bytes everywhere, so that a byte too many or too few shows. */
static void fill(void)
{
	for (unsigned int i = 0; i < ROOM; i++) {
		src[i] = i * 7 + 1;
		got[i] = want[i] = i * 5 + 3;
	}
}

static void copies(void **state)
{
	for (unsigned int from = 0; from < 9; from++) {
		for (unsigned int to = 0; to < 9; to++) {
			for (unsigned int n = 0; n < LENGTHS; n++) {
				fill();
				memcpy(want + to, src + from, n);
				assert_ptr_equal(hv_memcpy(got + to, src + from, n), got + to);
				assert_memory_equal(got, want, ROOM);
			}
		}
	}
}

/* Both ways, with every distance up to beyond a word. */
static void overlapping_moves(void **state)
{
	for (unsigned int from = 0; from < 42; from++) {
		for (unsigned int to = 0; to < 42; to++) {
			for (unsigned int n = 0; n < LENGTHS; n++) {
				fill();
				memmove(want + to, want + from, n);
				assert_ptr_equal(hv_memmove(got + to, got + from, n), got + to);
				assert_memory_equal(got, want, ROOM);
			}
		}
	}
}

static void sets(void **state)
{
	static const int values[] = { 0, 0xa5, 0xff, -1, 0x1234 };

	for (unsigned int v = 0; v < ARRAY_SIZE(values); v++) {
		for (unsigned int to = 0; to < 9; to++) {
			for (unsigned int n = 0; n < LENGTHS; n++) {
				fill();
				memset(want + to, values[v], n);
				assert_ptr_equal(hv_memset(got + to, values[v], n), got + to);
				assert_memory_equal(got, want, ROOM);
			}
		}
	}
}

static int sign(int x)
{
	return (x > 0) - (x < 0);
}

static void memory_comparisons(void **state)
{
	fill();
	assert_int_equal(hv_memcmp(got, want, ROOM), 0);
	assert_int_equal(hv_memcmp("a", "b", 0), 0);
	for (unsigned int at = 0; at < 20; at++) {
		got[at] ^= 0x80; /* above 127: bytes are unsigned */
		for (unsigned int n = 0; n < 24; n++)
			assert_int_equal(sign(hv_memcmp(got, want, n)), sign(memcmp(got, want, n)));
		got[at] ^= 0x80;
	}
}

static void searches(void **state)
{
	static const char text[] = "a/b\xff/c";

	assert_ptr_equal(hv_memchr(text, '/', sizeof(text)), text + 1);
	assert_ptr_equal(hv_memchr(text, 0xff, sizeof(text)), text + 3);
	assert_ptr_equal(hv_memchr(text, -1, sizeof(text)), text + 3);
	assert_ptr_equal(hv_memchr(text, '\0', sizeof(text)), text + 6);
	assert_null(hv_memchr(text, '/', 1));
	assert_null(hv_memchr(text, 'a', 0));
	assert_ptr_equal(hv_strchr(text, '/'), text + 1);
	assert_ptr_equal(hv_strrchr(text, '/'), text + 4);
	assert_ptr_equal(hv_strchr(text, 0xff), text + 3);
	assert_ptr_equal(hv_strchr(text, '\0'), text + 6);
	assert_ptr_equal(hv_strrchr(text, '\0'), text + 6);
	assert_null(hv_strchr(text, 'x'));
	assert_null(hv_strrchr(text, 'x'));
	assert_null(hv_strchr("", 'x'));
}

static void lengths(void **state)
{
	static const char unterminated[4] = { 'a', 'b', 'c', 'd' };

	assert_int_equal(hv_strlen(""), 0);
	assert_int_equal(hv_strlen("abc"), 3);
	assert_int_equal(hv_strnlen("abc", 9), 3);
	assert_int_equal(hv_strnlen("abc", 2), 2);
	assert_int_equal(hv_strnlen("abc", 0), 0);
	/* Under ASan: not a byte beyond what it may look at. */
	assert_int_equal(hv_strnlen(unterminated, sizeof(unterminated)), 4);
}

static void string_comparisons(void **state)
{
	static const char *const s[] = { "", "a", "ab", "abc", "abd", "b", "\x80", "\xff", "a\xff" };

	for (unsigned int i = 0; i < ARRAY_SIZE(s); i++) {
		for (unsigned int j = 0; j < ARRAY_SIZE(s); j++) {
			assert_int_equal(sign(hv_strcmp(s[i], s[j])), sign(strcmp(s[i], s[j])));
			for (unsigned int n = 0; n < 5; n++)
				assert_int_equal(sign(hv_strncmp(s[i], s[j], n)),
						 sign(strncmp(s[i], s[j], n)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies),
		cmocka_unit_test(overlapping_moves),
		cmocka_unit_test(sets),
		cmocka_unit_test(memory_comparisons),
		cmocka_unit_test(searches),
		cmocka_unit_test(lengths),
		cmocka_unit_test(string_comparisons),
	};

	return RUN(tests);
}
