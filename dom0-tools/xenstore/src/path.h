/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Path rules of the xenstore protocol.
 * It owns what a valid path is, how components are walked and what "below" means.
 * All paths handed around inside the daemon are absolute and valid, or start with '@'.
 */
#ifndef XS_PATH_H
#define XS_PATH_H

#include <stdbool.h>
#include <stddef.h>

/* The deepest valid path: each component costs at least two bytes of XENSTORE_ABS_PATH_MAX. */
#define PATH_DEPTH_MAX (3072 / 2 + 2)

/* Absolute, in the permitted character set, no empty component, at most XENSTORE_ABS_PATH_MAX. */
bool path_valid(const char *path);

/* The same for what starts with '@'. */
bool path_special_valid(const char *path);

/* Steps through components: returns the next one and its length, NULL at the end. */
const char *path_next(const char **pos, size_t *len);

/* Is child the same as, or below parent? Also right for special ('@') paths. */
bool path_below(const char *parent, const char *child);

/* Levels between the two; only when path_below(parent, child). */
unsigned int path_levels(const char *parent, const char *child);

/* Length of the parent's path: "/a/b" gives 2, "/a" gives 1 (the root); not for "/" itself. */
size_t path_parent_len(const char *path);

#endif
