// SPDX-License-Identifier: BSD-2-Clause
/*
 * lib/siphash.c against results of the authors' own program (key 00 01 … 0f, data 00 01 …): empty, part of a word, a word,
 * one and a part, four words.
 */
#include "../../../hypervisor/lib/siphash.c"

#include "host.h"

static void reference(void **state)
{
	static const struct {
		unsigned int n;
		u64 value;
	} cases[] = {
		{ 0, 0x726fdb47dd0e0e31 }, { 1, 0x74f839c593dc67fd },  { 7, 0xab0200f58b01d137 },
		{ 8, 0x93f5f5799a932462 }, { 15, 0xa129ca6149be45e5 }, { 16, 0x3f2acc7f57c29bdb },
	};
	u8 key[SIPHASH_KEY], data[32];

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = i;
	memcpy(key, data, sizeof(key));
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(siphash(key, data, cases[i].n), cases[i].value);
}

/* Each bit of key and data counts. */
static void every_bit(void **state)
{
	u8 key[SIPHASH_KEY] = { 0 }, data[17] = { 0 };
	u64 plain = siphash(key, data, sizeof(data));

	for (unsigned int i = 0; i < 8 * sizeof(key); i++) {
		key[i / 8] ^= 1 << (i % 8);
		assert_int_not_equal(siphash(key, data, sizeof(data)), plain);
		key[i / 8] ^= 1 << (i % 8);
	}
	for (unsigned int i = 0; i < 8 * sizeof(data); i++) {
		data[i / 8] ^= 1 << (i % 8);
		assert_int_not_equal(siphash(key, data, sizeof(data)), plain);
		data[i / 8] ^= 1 << (i % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reference),
		TEST(every_bit),
	};

	return RUN(tests);
}
