/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whole files, in and out.
 * It owns no names: callers say where. What a file means is theirs, too.
 */
#ifndef XS_FILE_H
#define XS_FILE_H

#include <stddef.h>

/*
 * All of a regular file that has at most max bytes. *data is the caller's to free. Returns 0,
 * -errno, -EINVAL if it is something else, or -E2BIG.
 */
int file_read(const char *path, size_t max, char **data, size_t *len);

/*
 * path is there afterwards, whole and on the disk, with mode 0600; or, with -errno, as it was before
 * (whole, when only the directory could not be brought to the disk). Meanwhile it is called
 * <path>.new: what had that name is removed.
 */
int file_write(const char *path, const void *data, size_t len);

#endif
