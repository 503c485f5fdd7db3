/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own small library: strings, formatted printing, bits.
 * lib/ implements it; on the host the C library does for the string part.
 */
#ifndef PAVISE_LIB_H
#define PAVISE_LIB_H

#include <types.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);

/* Bounded copy that always terminates; returns the length copied. */
size_t pv_strlcpy(char *dst, const char *src, size_t size);

/*
 * As C's: %d %i %u %x %X %p %s %c %% with -, 0, width, .precision, h hh l ll z; returns the full
 * length.
 */
int pv_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int pv_snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

/*
 * Parses an unsigned number in C's notation with an optional K, M or G suffix; *end is where it
 * stopped.
 */
u64 parse_size(const char *s, const char **end);

#define SIPHASH_KEY 16 /* bytes */
/* A number of 64 bits out of the n bytes at data that only who knows the key could tell. */
u64 siphash(const void *key, const void *data, size_t n);

static inline unsigned int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static inline unsigned int ffs64(u64 x)
{
	return x ? __builtin_ctzll(x) + 1 : 0;
}

/* Bits in arrays of 64-bit words; the atomic ones may be used on words shared with guests. */
static inline bool test_bit(unsigned int n, const u64 *w)
{
	return READ_ONCE(w[n / 64]) >> (n % 64) & 1;
}

static inline bool test_and_set_bit(unsigned int n, u64 *w)
{
	u64 m = 1ULL << (n % 64);

	return __atomic_fetch_or(&w[n / 64], m, __ATOMIC_SEQ_CST) & m;
}

static inline bool test_and_clear_bit(unsigned int n, u64 *w)
{
	u64 m = 1ULL << (n % 64);

	return __atomic_fetch_and(&w[n / 64], ~m, __ATOMIC_SEQ_CST) & m;
}

static inline void set_bit(unsigned int n, u64 *w)
{
	__atomic_fetch_or(&w[n / 64], 1ULL << (n % 64), __ATOMIC_SEQ_CST);
}

static inline void clear_bit(unsigned int n, u64 *w)
{
	__atomic_fetch_and(&w[n / 64], ~(1ULL << (n % 64)), __ATOMIC_SEQ_CST);
}

#endif
