// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writing JSON.
 * Owns the layout, which is for people as well, and the escapes.
 */
#include <stdlib.h>
#include <string.h>

#include "json.h"

void json_init(struct json *j, FILE *out, unsigned int lines)
{
	memset(j, 0, sizeof(*j));
	j->out = out;
	j->lines = lines;
}

/* The character at @s that is not ASCII: its length, or 0 where there is none. */
static size_t character(const unsigned char *s, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0, i;

	if (!len)
		return 0;
	*c = *s & (0xff >> (len + 1));
	/* A NUL, the end, is no continuation. */
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	return *c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : len;
}

/* C1 controls and what turns the text beside it (as lib/text.c): not raw on a terminal. */
static bool hidden(uint32_t c)
{
	return c < 0xa0 || c == 0x061c || c == 0x200e || c == 0x200f ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void string(FILE *out, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	uint32_t c;
	size_t len;

	putc('"', out);
	while (*s) {
		len = 1;
		if (*s == '"' || *s == '\\') {
			fprintf(out, "\\%c", *s);
		} else if (*s < ' ' || *s == 0x7f) {
			fprintf(out, "\\u%04x", *s);
		} else if (*s < 0x80) {
			putc(*s, out);
		} else {
			len = character(s, &c);
			if (!len)
				fputs("\\ufffd", out);
			else if (hidden(c))
				fprintf(out, "\\u%04x", c);
			else
				fwrite(s, 1, len, out);
			len += !len;
		}
		s += len;
	}
	putc('"', out);
}

static void indent(struct json *j, unsigned int depth)
{
	putc('\n', j->out);
	while (depth--)
		fputs("    ", j->out);
}

/* What stands before a member. */
static void member(struct json *j, const char *key)
{
	if (j->depth) {
		bool *more = &j->more[j->depth - 1];

		if (*more)
			putc(',', j->out);
		if (j->depth <= j->lines)
			indent(j, j->depth);
		else if (*more)
			putc(' ', j->out);
		*more = true;
	}
	if (key) {
		string(j->out, key);
		fputs(": ", j->out);
	}
}

static void begin(struct json *j, const char *key, char open, char close)
{
	if (j->depth == JSON_DEPTH)
		abort();
	member(j, key);
	putc(open, j->out);
	j->more[j->depth] = false;
	j->close[j->depth++] = close;
}

void json_object(struct json *j, const char *key)
{
	begin(j, key, '{', '}');
}

void json_array(struct json *j, const char *key)
{
	begin(j, key, '[', ']');
}

void json_end(struct json *j)
{
	bool some = j->more[--j->depth];

	if (some && j->depth < j->lines)
		indent(j, j->depth);
	putc(j->close[j->depth], j->out);
	if (!j->depth)
		putc('\n', j->out);
}

void json_text(struct json *j, const char *key, const char *text)
{
	member(j, key);
	if (text)
		string(j->out, text);
	else
		fputs("null", j->out);
}

void json_number(struct json *j, const char *key, uint64_t n)
{
	member(j, key);
	fprintf(j->out, "%llu", (unsigned long long)n);
}

void json_signed(struct json *j, const char *key, int64_t n)
{
	member(j, key);
	fprintf(j->out, "%lld", (long long)n);
}

void json_thousandths(struct json *j, const char *key, uint64_t n)
{
	member(j, key);
	fprintf(j->out, "%llu.%03llu", (unsigned long long)n / 1000, (unsigned long long)n % 1000);
}

void json_bool(struct json *j, const char *key, bool value)
{
	member(j, key);
	fputs(value ? "true" : "false", j->out);
}

void json_known(struct json *j, const char *key, int64_t n)
{
	if (n < 0)
		json_text(j, key, NULL);
	else
		json_number(j, key, n);
}
