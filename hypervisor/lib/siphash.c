/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed function of some bytes. Who sees results learns nothing of the key.
 */
#include <lib.h>

static u64 rotl(u64 x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static void rounds(u64 v[4], unsigned int n)
{
	while (n--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] = rotl(v[2], 32);
	}
}

/* The n bytes at p as a number, the first of them the lowest */
static u64 number(const u8 *p, size_t n)
{
	u64 x = 0;

	while (n--)
		x = x << 8 | p[n];
	return x;
}

static void take(u64 v[4], u64 word)
{
	v[3] ^= word;
	rounds(v, 2);
	v[0] ^= word;
}

u64 siphash(const void *key, const void *data, size_t n)
{
	const u8 *k = key, *p = data, *end = p + (n & ~7UL);
	u64 k0 = number(k, 8), k1 = number(k + 8, 8);
	/* "somepseudorandomlygeneratedbytes" */
	u64 v[4] = { k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
		     k1 ^ 0x7465646279746573 };

	for (; p < end; p += 8)
		take(v, number(p, 8));
	take(v, number(p, n & 7) | (u64)n << 56);
	v[2] ^= 0xff;
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
