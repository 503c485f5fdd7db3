/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Logs that programs read: one flat JSON object a line, appended by whoever has something to say.
 * They have a bound, and writing one never makes a guest wait or fail: what cannot be written is lost.
 */
#ifndef XL_JSONL_H
#define XL_JSONL_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes; the older half, FILE.1, has as much. What is too much goes from the names that have most. */
#ifndef JSONL_MAX
#define JSONL_MAX (1 << 20)
#endif
/* No line is longer, its end included; longer ones are neither written nor read. */
#define JSONL_LINE 4096

/* @s as a JSON string, quotes included; never a byte that controls a terminal, always valid UTF-8. The caller frees. */
char *json_quote(const char *s);
/* UTC, RFC 3339 with milliseconds; @ms since 1970. */
#define JSON_TIME 40
void json_time(long long ms, char text[JSON_TIME]);
/* The same backwards; -1: it is none. */
long long json_time_parse(const char *text);
/* Milliseconds since 1970. */
long long json_now(void);

/* One member of a flat object. */
struct jsonl_field {
	char *key, *value; /* without quotes and escapes */
	bool string; /* or a number, true, false or null */
};
/*
 * Takes a line apart; *n fields, for jsonl_free(). NULL: it is no flat object (half a line that a full disk has left, say).
 */
struct jsonl_field *jsonl_parse(const char *line, size_t *n);
void jsonl_free(struct jsonl_field *f, size_t n);
/* The member's value or NULL. */
const char *jsonl_get(const struct jsonl_field *f, size_t n, const char *key);
/* The same of strings alone: a guest may be called "null". */
const char *jsonl_string(const struct jsonl_field *f, size_t n, const char *key);
/* 0 when it is none, or no number. */
double jsonl_number(const struct jsonl_field *f, size_t n, const char *key);

/* Appends "@line\n" in one piece. False, without a message, when it could not. */
bool jsonl_append(const char *path, const char *line);
/*
 * @old and @path together into @old: at most @max bytes. Each "name" keeps its newest lines, as many bytes as all others that have
 * more than their share. False: @old is as it was.
 */
bool jsonl_trim(const char *old, const char *path, size_t max);
/* Calls @fn for each whole line, oldest first, the older half included. */
void jsonl_each(const char *path, void (*fn)(const char *line, void *ctx), void *ctx);

#endif /* XL_JSONL_H */
