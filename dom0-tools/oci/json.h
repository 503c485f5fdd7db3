/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * JSON as RFC 8259 has it and nothing beside, for the descriptions in an OCI image, which anybody may have written.
 * Owns the bounds: how long, how deep and of how many values a text may be.
 */
#ifndef OCI_JSON_H
#define OCI_JSON_H

#include <stddef.h>

#define JSON_BYTES (4 << 20)
#define JSON_DEPTH 32
#define JSON_VALUES 65536

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json {
	enum json_type type;
	const char *key; /* of an object's member; else NULL */
	const char *text; /* a string without its escapes, or a number as it stands there */
	struct json *child,
		*next; /* the first of an array's or object's values; the next beside this one */
};

/*
 * The value that @text, @n bytes, is; they are changed and have to stay. For json_free().
 * NULL: it is none, and *why says so, with *at, the number of the byte. Strings with a NUL in them are refused.
 */
struct json *json_parse(char *text, size_t n, const char **why, size_t *at);
void json_free(struct json *root);

/* An object's member of this type; NULL: @v is NULL or no object, or has none, two, or one of another type. */
const struct json *json_get(const struct json *v, const char *key, enum json_type type);
/* The same of a string; NULL as well. */
const char *json_string(const struct json *v, const char *key);
/* A number without sign, fraction and exponent that 63 bits hold; else -1. */
long long json_integer(const struct json *v, const char *key);

#endif /* OCI_JSON_H */
