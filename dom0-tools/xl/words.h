/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words that are Xen's and not ours, and misspelt ones.
 */
#ifndef XL_WORDS_H
#define XL_WORDS_H

#include <stdbool.h>

/* A key of Xen's xl.cfg that nothing here acts on. */
struct xen_key {
	const char *key;
	const char *why_not; /* it is refused for that; NULL: it changes nothing here */
};

/* NULL for a key that is ours or nobody's. */
const struct xen_key *words_xen_key(const char *key);
/* Is it Xen's and not ours? *why_not: why there is none; NULL: it comes with a later version. */
bool words_xen_verb(const char *verb, const char **why_not);
/* Makes *best @known, if that is near to @word and nearer than *best (NULL: none so far). */
void words_nearest(const char *word, const char *known, const char **best);

/* A word of a specification, to be kept; the caller frees. */
char *words_copy(const char *word);

#endif /* XL_WORDS_H */
