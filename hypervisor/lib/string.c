/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The string functions of lib.h; memcpy and memset work in words.
 */
#include <lib.h>

/*
 * n bytes, a multiple of 8, to words from an address inside one: each word that is written is put together of two that are read. None
 * is read that has nothing of the n bytes in it, so that no page is touched that has none of them.
 */
static void copy_between_words(u64 *to, const u8 *src, size_t n)
{
	const u64 *from = (const u64 *)((uintptr_t)src & ~7UL);
	unsigned int right = ((uintptr_t)src & 7) * 8, left = 64 - right;
	u64 a = *from++, b;

	for (; n >= 16; n -= 16, to += 2, from += 2) {
		b = from[0];
		to[0] = a >> right | b << left;
		a = from[1];
		to[1] = b >> right | a << left;
	}
	if (n)
		*to = a >> right | *from << left;
}

/* At least 16 bytes; memcpy() ends with a jump here, and needs no frame for what it mostly gets. */
static __attribute__((noinline)) void *copy_unaligned(void *dst, const u8 *s, size_t n)
{
	u8 *d = dst;
	size_t whole;

	for (; (uintptr_t)d & 7; n--)
		*d++ = *s++;
	whole = n & ~7UL;
	if ((uintptr_t)s & 7)
		copy_between_words((u64 *)d, s, whole);
	else
		memcpy(d, s, whole);
	d += whole, s += whole, n -= whole;
	while (n--)
		*d++ = *s++;
	return dst;
}

/* All loads before the stores, so that none waits for the one before it. */
static inline void copy_64(u64 *to, const u64 *from)
{
	u64 a = from[0], b = from[1], c = from[2], e = from[3];
	u64 f = from[4], g = from[5], h = from[6], i = from[7];

	to[0] = a, to[1] = b, to[2] = c, to[3] = e;
	to[4] = f, to[5] = g, to[6] = h, to[7] = i;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if (!(((uintptr_t)d | (uintptr_t)s) & 7)) {
		for (; n >= 128; n -= 128, d += 128, s += 128) {
			copy_64((u64 *)d, (const u64 *)s);
			copy_64((u64 *)d + 8, (const u64 *)s + 8);
		}
		if (n >= 64) {
			copy_64((u64 *)d, (const u64 *)s);
			n -= 64, d += 64, s += 64;
		}
		for (; n >= 8; n -= 8, d += 8, s += 8)
			*(u64 *)d = *(const u64 *)s;
	} else if (n >= 16) {
		return copy_unaligned(dst, s, n);
	}
	while (n--)
		*d++ = *s++;
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;

	if (d <= s || d >= s + n)
		return memcpy(dst, src, n);
	while (n--)
		d[n] = s[n];
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;
	u64 word = (u8)c * 0x0101010101010101ULL;

	for (; n && ((uintptr_t)d & 7); n--)
		*d++ = c;
	for (; n >= 32; n -= 32, d += 32) {
		((u64 *)d)[0] = word;
		((u64 *)d)[1] = word;
		((u64 *)d)[2] = word;
		((u64 *)d)[3] = word;
	}
	while (n--)
		*d++ = c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const u8 *p = s;

	for (; n; n--, p++) {
		if (*p == (u8)c)
			return (void *)p;
	}
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	for (;; s++) {
		if (*s == (char)c)
			last = s;
		if (!*s)
			return (char *)last;
	}
}
