/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parsers of device specifications share.
 * Owns nothing.
 */
#ifndef XL_TEXT_H
#define XL_TEXT_H

#include <ctype.h>
#include <string.h>

/* Without the white space at both ends; @s is cut, not copied. */
static inline char *text_trim(char *s)
{
	char *e;

	while (isspace((unsigned char)*s))
		s++;
	e = s + strlen(s);
	while (e > s && isspace((unsigned char)e[-1]))
		*--e = '\0';
	return s;
}

#endif /* XL_TEXT_H */
