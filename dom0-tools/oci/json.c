// SPDX-License-Identifier: BSD-2-Clause
/*
 * A strict reader of JSON: values in one array, strings where they stood.
 * Owns that no text makes it read outside, run long or use more memory than json.h's bounds.
 */
#include "json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct parser {
	char *begin, *p, *end;
	struct json *value; /* JSON_VALUES of them */
	int nr;
	const char *why;
};

static void *fail(struct parser *j, const char *why)
{
	if (!j->why)
		j->why = why;
	return NULL;
}

static void skip_space(struct parser *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
		j->p++;
}

static bool is_next(struct parser *j, char c)
{
	if (j->p >= j->end || *j->p != c)
		return false;
	j->p++;
	return true;
}

static struct json *new_value(struct parser *j, enum json_type type)
{
	struct json *v;

	if (j->nr == JSON_VALUES)
		return fail(j, "it has too many values");
	v = &j->value[j->nr++];
	v->type = type;
	return v;
}

/* Four digits; -1: they are none. */
static long hex4(struct parser *j)
{
	long n = 0;
	int i;

	for (i = 0; i < 4; i++, j->p++) {
		const char *digits = "0123456789abcdef", *d;

		if (j->p >= j->end || !*j->p)
			return -1;
		d = strchr(digits, *j->p >= 'A' && *j->p <= 'F' ? *j->p | 0x20 : *j->p);
		if (!d)
			return -1;
		n = n << 4 | (d - digits);
	}
	return n;
}

static char *put_utf8(char *to, unsigned long c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* Behind "\u"; never longer than what it stood for. */
static char *unicode(struct parser *j, char *to)
{
	long c = hex4(j), low;

	if (c >= 0xd800 && c <= 0xdbff && j->end - j->p >= 6 && j->p[0] == '\\' && j->p[1] == 'u') {
		j->p += 2;
		low = hex4(j);
		if (low < 0xdc00 || low > 0xdfff)
			return fail(j, "half a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (c <= 0 || (c >= 0xd800 && c <= 0xdfff))
		return fail(j, c ? "\\u without a character" : "a NUL in a string");
	return put_utf8(to, (unsigned long)c);
}

static char *escape(struct parser *j, char *to)
{
	static const char from[] = "\"\\/bfnrt", is[] = "\"\\/\b\f\n\r\t";
	const char *e;

	if (is_next(j, 'u'))
		return unicode(j, to);
	e = j->p < j->end && *j->p ? strchr(from, *j->p) : NULL;
	if (!e)
		return fail(j, "an escape that there is not");
	j->p++;
	*to++ = is[e - from];
	return to;
}

/* Copies one character of more than one byte: RFC 3629's table. */
static char *multibyte(struct parser *j, char *to)
{
	unsigned char c = (unsigned char)*j->p, low = 0x80, high = 0xbf;
	int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;

	if (c < 0xc2 || c > 0xf4 || j->end - j->p <= more)
		return fail(j, "a string that is no UTF-8");
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	*to++ = *j->p++;
	while (more--) {
		c = (unsigned char)*j->p;
		if (c < low || c > high)
			return fail(j, "a string that is no UTF-8");
		low = 0x80;
		high = 0xbf;
		*to++ = *j->p++;
	}
	return to;
}

/* Behind the opening quote. Its end takes the place of an escape or of the closing quote. */
static const char *string(struct parser *j)
{
	char *begin = j->p, *to = begin;

	while (j->p < j->end) {
		unsigned char c = (unsigned char)*j->p;

		if (c == '"') {
			j->p++;
			*to = 0;
			return begin;
		}
		if (c < ' ')
			return fail(j, "a control character in a string");
		if (c == '\\') {
			j->p++;
			to = escape(j, to);
		} else if (c >= 0x80) {
			to = multibyte(j, to);
		} else {
			*to++ = *j->p++;
		}
		if (!to)
			return NULL;
	}
	return fail(j, "a string without an end");
}

static bool digits(struct parser *j)
{
	char *begin = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return j->p > begin;
}

/* Its text has no room for an end where it stands: it is a copy. */
static struct json *number(struct parser *j, char *begin)
{
	struct json *v = new_value(j, JSON_NUMBER);
	bool ok, zero;
	char *copy;

	is_next(j, '-');
	zero = j->p < j->end && *j->p == '0';
	ok = zero ? is_next(j, '0') : digits(j);
	if (ok && is_next(j, '.'))
		ok = digits(j);
	if (ok && (is_next(j, 'e') || is_next(j, 'E'))) {
		if (!is_next(j, '+'))
			is_next(j, '-');
		ok = digits(j);
	}
	if (!ok)
		return fail(j, "a number that is none");
	if (!v)
		return NULL;
	copy = strndup(begin, (size_t)(j->p - begin));
	if (!copy)
		return fail(j, "there is no memory for it");
	v->text = copy;
	return v;
}

static struct json *word(struct parser *j, const char *text, enum json_type type)
{
	size_t n = strlen(text);

	if ((size_t)(j->end - j->p) < n || memcmp(j->p, text, n))
		return fail(j, "no value");
	j->p += n;
	return new_value(j, type);
}

static struct json *parse_value(struct parser *j, int depth);

/* One of an object: its name, and what it is. */
static struct json *member(struct parser *j, int depth)
{
	const char *key;
	struct json *v;

	skip_space(j);
	if (!is_next(j, '"'))
		return fail(j, "no name of a member");
	key = string(j);
	skip_space(j);
	if (key && !is_next(j, ':'))
		return fail(j, "no colon behind a name");
	v = key ? parse_value(j, depth) : NULL;
	if (v)
		v->key = key;
	return v;
}

static struct json *container(struct parser *j, enum json_type type, int depth)
{
	struct json *v = new_value(j, type), **link;
	char close = type == JSON_OBJECT ? '}' : ']';

	if (!v || depth >= JSON_DEPTH)
		return fail(j, "it is too deep");
	link = &v->child;
	skip_space(j);
	if (is_next(j, close))
		return v;
	do {
		*link = type == JSON_OBJECT ? member(j, depth + 1) : parse_value(j, depth + 1);
		if (!*link)
			return NULL;
		link = &(*link)->next;
		skip_space(j);
	} while (is_next(j, ','));
	return is_next(j, close) ? v : fail(j, "no comma and no closing bracket");
}

static struct json *parse_value(struct parser *j, int depth)
{
	const char *text;
	struct json *v;

	skip_space(j);
	if (j->p >= j->end)
		return fail(j, "it ends early");
	switch (*j->p) {
	case '{':
	case '[':
		return container(j, *j->p++ == '{' ? JSON_OBJECT : JSON_ARRAY, depth);
	case '"':
		j->p++;
		v = new_value(j, JSON_STRING);
		text = v ? string(j) : NULL;
		if (text)
			v->text = text;
		return text ? v : NULL;
	case 't':
		return word(j, "true", JSON_TRUE);
	case 'f':
		return word(j, "false", JSON_FALSE);
	case 'n':
		return word(j, "null", JSON_NULL);
	default:
		return number(j, j->p);
	}
}

struct json *json_parse(char *text, size_t n, const char **why, size_t *at)
{
	struct parser j = { .begin = text, .p = text, .end = text + n };
	struct json *root = NULL;

	/* A page of it that is never used is never there. */
	j.value = n <= JSON_BYTES ? calloc(JSON_VALUES, sizeof(*j.value)) : NULL;
	if (!j.value) {
		*why = n <= JSON_BYTES ? "there is no memory for it" : "it is too long";
		*at = 0;
		return NULL;
	}
	root = parse_value(&j, 0);
	skip_space(&j);
	if (root && j.p < j.end)
		root = fail(&j, "more behind its end");
	if (!root) {
		*why = j.why;
		*at = (size_t)(j.p - j.begin);
		json_free(j.value);
	}
	return root;
}

void json_free(struct json *root)
{
	int i;

	for (i = 0; root && i < JSON_VALUES; i++)
		if (root[i].type == JSON_NUMBER)
			free((char *)root[i].text);
	free(root);
}

const struct json *json_get(const struct json *v, const char *key, enum json_type type)
{
	const struct json *found = NULL, *m;

	if (!v || v->type != JSON_OBJECT)
		return NULL;
	for (m = v->child; m; m = m->next) {
		if (strcmp(m->key, key))
			continue;
		if (found)
			return NULL;
		found = m;
	}
	return found && found->type == type ? found : NULL;
}

const char *json_string(const struct json *v, const char *key)
{
	const struct json *m = json_get(v, key, JSON_STRING);

	return m ? m->text : NULL;
}

long long json_integer(const struct json *v, const char *key)
{
	const struct json *m = json_get(v, key, JSON_NUMBER);
	long long n;
	char *end;

	if (!m || m->text[strspn(m->text, "0123456789")])
		return -1;
	errno = 0;
	n = strtoll(m->text, &end, 10);
	return errno || *end ? -1 : n;
}
