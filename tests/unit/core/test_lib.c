// SPDX-License-Identifier: BSD-2-Clause
/*
 * lib/printf.c against the C library's, parse_size, bits.
 */
#include "host.h"

#define SAME(fmt, ...) \
	do { \
		char ours[128], theirs[128]; \
		int n = pv_snprintf(ours, sizeof(ours), fmt, ##__VA_ARGS__); \
		assert_int_equal(n, snprintf(theirs, sizeof(theirs), fmt, ##__VA_ARGS__)); \
		assert_string_equal(ours, theirs); \
	} while (0)

static void formats(void **state)
{
	SAME("plain %% text");
	SAME("%d %d %d %i", 0, -1, 2147483647, -2147483647 - 1);
	SAME("%u %x %X %lu %lx", ~0U, 0xdeadbeefU, 0xdeadbeefU, ~0UL, ~0UL);
	SAME("%ld %lld %zu", -9223372036854775807L - 1, 9223372036854775807LL, sizeof(int));
	SAME("%5d|%-5d|%05d|%+d|%+05d|%5d", 42, 42, 42, 42, 42, -42);
	SAME("%.3d|%8.3d|%-8.3d|", 7, 7, 7);
	SAME("%016lx|%8x|%-8x|", 0x1234UL, 0x12, 0x12);
	SAME("%s|%10s|%-10s|%.3s|%10.2s|", "hello", "hello", "hello", "hello", "hello");
	SAME("%c%c", 'a', 'z');
	SAME("%hhx %hx %hhd %hd", 0x1ff, 0x1ffff, 0x1ff, 0x18000);
	SAME("%*d|%.*s", 6, 42, 2, "hello");
	SAME("%p", (void *)0x1234);
}

static void formats_of_its_own(void **state)
{
	char buf[32];
	const char *volatile none = NULL;

	assert_int_equal(pv_snprintf(buf, sizeof(buf), "%s", none), 6);
	assert_string_equal(buf, "(null)");
	/* A format that ends too soon. */
	memcpy(buf, "ab%", 4);
	assert_int_equal(pv_snprintf(buf + 8, 8, buf), 2);
	assert_string_equal(buf + 8, "ab");
}

static void output_is_bounded_and_terminated(void **state)
{
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	assert_int_equal(pv_snprintf(buf, 4, "%s", "abcdef"), 6);
	assert_string_equal(buf, "abc");
	assert_int_equal(buf[4], 'x');
	assert_int_equal(pv_snprintf(buf, 1, "%d", 12345), 5);
	assert_string_equal(buf, "");
	assert_int_equal(pv_snprintf(NULL, 0, "%d", 12345), 5);
	/* %.ns reads no further than n. */
	memset(buf, 'y', sizeof(buf));
	assert_int_equal(pv_snprintf(NULL, 0, "%.8s", buf), 8);
	assert_int_equal(pv_strlcpy(buf, "abcdefghij", sizeof(buf)), 7);
	assert_string_equal(buf, "abcdefg");
	assert_int_equal(pv_strlcpy(buf, "abc", 0), 0);
	assert_int_equal(pv_strlcpy(buf, "abc", 1), 0);
	assert_string_equal(buf, "");
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		u64 value;
		const char *rest;
	} cases[] = {
		{ "0", 0, "" },
		{ "123", 123, "" },
		{ "0x1F", 31, "" },
		{ "64M", 64UL << 20, "" },
		{ "1g", 1UL << 30, "" },
		{ "4k,rest", 4096, ",rest" },
		{ "512 M", 512, " M" },
		{ "", 0, "" },
		{ "x", 0, "x" },
		{ "18446744073709551615", ~0UL, "" },
		{ "0xffffffffffffffff", ~0UL, "" },
		{ "2GB", 2UL << 30, "B" },
	};
	const char *end;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse_size(cases[i].text, &end), cases[i].value);
		assert_string_equal(end, cases[i].rest);
	}
	assert_int_equal(parse_size("5", NULL), 5);
}

static void bits(void **state)
{
	u64 w[2] = { 0 };

	assert_int_equal(fls64(0), 0);
	assert_int_equal(fls64(1), 1);
	assert_int_equal(fls64(~0ULL), 64);
	assert_int_equal(ffs64(0), 0);
	assert_int_equal(ffs64(0x80), 8);
	assert_false(test_and_set_bit(64, w));
	assert_true(test_and_set_bit(64, w));
	assert_int_equal(w[1], 1);
	set_bit(63, w);
	assert_true(test_bit(63, w));
	assert_true(test_and_clear_bit(63, w));
	assert_false(test_and_clear_bit(63, w));
	clear_bit(64, w);
	assert_int_equal(w[0] | w[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(formats),
		TEST(formats_of_its_own),
		TEST(output_is_bounded_and_terminated),
		TEST(sizes),
		TEST(bits),
	};

	return RUN(tests);
}
