/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes that are written and read in order: the alphabet of states, records and connections that move.
 * It owns nothing. Numbers are little-endian, as they lie in memory on each machine that this runs on.
 * A reader that meets the end early gives zeros and empty strings and remembers that it is bad.
 */
#ifndef XS_BUF_H
#define XS_BUF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "util.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "numbers are written as they lie in memory");

struct buf {
	char *p;
	size_t len, cap;
};

static inline void put(struct buf *b, const void *data, size_t len)
{
	if (b->len + len > b->cap) {
		b->cap = (b->len + len) * 2 + 64;
		b->p = xrealloc(b->p, b->cap);
	}
	if (len)
		memcpy(b->p + b->len, data, len);
	b->len += len;
}

static inline void put8(struct buf *b, uint8_t v)
{
	put(b, &v, sizeof(v));
}

static inline void put32(struct buf *b, uint32_t v)
{
	put(b, &v, sizeof(v));
}

static inline void put64(struct buf *b, uint64_t v)
{
	put(b, &v, sizeof(v));
}

/* Length and bytes. */
static inline void put_data(struct buf *b, const void *data, size_t len)
{
	put32(b, (uint32_t)len);
	put(b, data, len);
}

/* With its NUL. */
static inline void put_str(struct buf *b, const char *s)
{
	put_data(b, s, strlen(s) + 1);
}

static inline void buf_free(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ 0 };
}

struct in {
	const char *p, *end;
	bool bad;
};

static inline const char *get(struct in *i, size_t len)
{
	const char *p = i->p;

	if (i->bad || len > (size_t)(i->end - i->p)) {
		i->bad = true;
		return NULL;
	}
	i->p += len;
	return p;
}

static inline uint8_t get8(struct in *i)
{
	const char *p = get(i, 1);

	return p ? (uint8_t)*p : 0;
}

static inline uint32_t get32(struct in *i)
{
	const char *p = get(i, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t get64(struct in *i)
{
	const char *p = get(i, 8);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

static inline const char *get_data(struct in *i, size_t *len)
{
	const char *p;

	*len = get32(i);
	p = get(i, *len);
	if (!p)
		*len = 0;
	return p;
}

static inline const char *get_str(struct in *i)
{
	size_t len;
	const char *p = get_data(i, &len);

	if (p && len && !p[len - 1] && strlen(p) == len - 1)
		return p;
	i->bad = true;
	return "";
}

#endif
