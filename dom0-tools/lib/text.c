// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bytes that a guest chose, made fit for the administrator's terminal.
 * Owns the rule which of them may reach it: text may, what controls a terminal or makes it answer may not.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "pavise.h"

#define ESC 0x1b
#define BEL 0x07

/* Does not print but changes how the text beside it is read: marks of direction, line separators. */
static bool turns_text(uint32_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

/* The length of the character beyond ASCII that begins at @s; 0 when it is none that is printed. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0xa0 /* C1 is below */, 0x800, 0x10000 };
	size_t len = *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0, i;
	uint32_t c;

	if (!len || len > n)
		return 0;
	c = *s & (0xff >> (len + 1));
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || turns_text(c))
		return 0;
	return len;
}

/* Writes how a byte that is not to reach the terminal is shown; returns the end. */
static char *show_byte(char *to, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	if (c < ' ' || c == 0x7f) {
		*to++ = '^';
		*to++ = c ^ 0x40;
	} else {
		*to++ = '\\';
		*to++ = 'x';
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	return to;
}

char *pv_text_show(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;
	char *out = malloc(n * 4 + 1), *to = out;
	size_t len;

	if (!out)
		return NULL;
	while (n) {
		len = *s < 0x80 ? (*s >= ' ' && *s != 0x7f) || *s == '\t' || *s == '\n' :
				  utf8_length(s, n);
		if (len) {
			memcpy(to, s, len);
			to += len;
		} else {
			/* The end of a terminal's line is the end of a line. */
			if (*s != '\r' || n < 2 || s[1] != '\n')
				to = show_byte(to, *s);
			len = 1;
		}
		s += len;
		n -= len;
	}
	*to = '\0';
	return out;
}

void pv_text_print(FILE *f, const char *text, size_t n)
{
	/* In pieces, so that memory does not run out; cut between lines where there are some. */
	while (n) {
		size_t piece = n < 65536 ? n : 65536;
		const char *nl = piece < n ? memrchr(text, '\n', piece) : NULL;
		char *out;

		if (nl)
			piece = nl + 1 - text;
		out = pv_text_show(text, piece);
		if (!out)
			return;
		fputs(out, f);
		free(out);
		text += piece;
		n -= piece;
	}
}

/* The length of the escape sequence at @s, which begins with ESC. Colours and other renditions: *@keep. */
static size_t sequence(const unsigned char *s, size_t n, bool *keep)
{
	size_t i = 1;

	*keep = false;
	if (n > 1 && s[1] == '[') {
		for (i = 2; i < n && s[i] >= ' ' && s[i] < '@'; i++)
			;
		/* A control ends it and counts; so does the end of the text, and the rest may follow live. */
		if (i < n && s[i] >= '@' && s[i] < 0x7f)
			*keep = s[i++] == 'm' && s[2] != '>' && s[2] != '?';
		return i;
	}
	if (n > 1 && memchr("PX]^_", s[1], 5)) {
		for (i = 2; i < n && s[i] != BEL && s[i] != ESC && s[i] != '\n'; i++)
			;
		if (i < n && s[i] == BEL)
			i++;
		else if (i + 1 < n && s[i] == ESC && s[i + 1] == '\\')
			i += 2;
		return i;
	}
	while (i < n && s[i] >= ' ' && s[i] <= '/')
		i++;
	return i < n && s[i] >= '0' && s[i] < 0x7f ? i + 1 : i;
}

size_t pv_text_replay(char *text, size_t n)
{
	unsigned char *s = (unsigned char *)text, *to = s;
	size_t i = 0, len;
	bool keep;

	while (i < n) {
		if (s[i] == ESC) {
			len = sequence(s + i, n - i, &keep);
		} else if (s[i] < 0x80) {
			len = 1;
			keep = (s[i] >= ' ' && s[i] != 0x7f) || (s[i] && strchr("\t\n\r\b", s[i]));
		} else {
			len = utf8_length(s + i, n - i);
			keep = len;
			len += !len;
		}
		if (keep) {
			memmove(to, s + i, len);
			to += len;
		}
		i += len;
	}
	return (char *)to - text;
}
