/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a client spells paths and domains, and what they are.
 * It owns the way from one to the other: home, quota of lengths, and the alias of a guest that had
 * another number elsewhere (move.h says what that one is for). Rights are judged afterwards, on what
 * comes out, so a spelling gives none.
 */
#ifndef XS_SPELL_H
#define XS_SPELL_H

#include <stdbool.h>
#include "conn.h"

/* Room for a path as it is shown: another number can be longer. */
#define SPELL_MAX (XENSTORE_ABS_PATH_MAX + 16)

/*
 * Makes an absolute, valid path of what the client wrote (NULL is none). buf: SPELL_MAX bytes.
 * special: '@' paths are asked for. Returns 0 or -EINVAL.
 */
int spell_path(const struct conn *c, const char *s, char *buf, bool special);

#endif
