/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The 64-bit sum of what is kept or sent: xenstored's journal, and the stream of a saved domain.
 * It is against accidents, not against whoever can compute it, too.
 */
#ifndef SUM_H
#define SUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are summed as they lie in memory");

/* @len bytes, and how many there are; any change within one aligned word of 8 bytes changes it. @h: the seed, or the sum before. */
static inline uint64_t sum64(uint64_t h, const void *data, size_t len)
{
	const char *p = data;
	uint64_t w;

	h ^= len;
	/* each step is a bijection of h and of w, so one changed word cannot go unnoticed */
	for (; len; p += sizeof(w), len -= sizeof(w)) {
		w = 0;
		if (len < sizeof(w)) {
			memcpy(&w, p, len);
			len = sizeof(w);
		} else {
			memcpy(&w, p, sizeof(w));
		}
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return h;
}

#endif
