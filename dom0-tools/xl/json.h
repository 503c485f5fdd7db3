/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing JSON, as it is needed: nothing is kept but where we are.
 * Owns that what comes out is JSON, and fit for a terminal, whatever bytes a guest has chosen.
 */
#ifndef XL_JSON_H
#define XL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH 12

struct json {
	FILE *out;
	unsigned int
		lines; /* so many levels have a line for each member; what is deeper stands in one line */
	unsigned int depth;
	bool more[JSON_DEPTH];
	char close[JSON_DEPTH];
};

void json_init(struct json *j, FILE *out, unsigned int lines);

/* In an object each member has a @key, in an array and at the top it is NULL. */
void json_object(struct json *j, const char *key);
void json_array(struct json *j, const char *key);
/* Ends what was begun last; the end of the whole ends the line. */
void json_end(struct json *j);

/* NULL: null. Bytes that are no UTF-8 become U+FFFD, controls are escaped. */
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, uint64_t n);
void json_signed(struct json *j, const char *key, int64_t n);
/* With three digits behind the point. */
void json_thousandths(struct json *j, const char *key, uint64_t n);
void json_bool(struct json *j, const char *key, bool value);
/* @n, or null where it is negative: not known. */
void json_known(struct json *j, const char *key, int64_t n);

#endif /* XL_JSON_H */
