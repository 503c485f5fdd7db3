/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xl.conf, the settings of xl that hold for all guests. Each file owns its own keys there.
 */
#ifndef XL_SETTINGS_H
#define XL_SETTINGS_H

#include "cfg.h"

/* Begins @c with what xl.conf has, if there is one; what is wrong there goes to @log. cfg_free() follows. */
void settings_read(struct cfg *c, FILE *log);
/* @key's number, 1 to @max; or @def where it is not set, or, after a message, something else. */
unsigned long settings_number(struct cfg *c, const char *key, unsigned long def, unsigned long max);

#define SETTINGS_MAX_MIB (1ul << 20) /* the most that a number of MiB may be */

#endif /* XL_SETTINGS_H */
