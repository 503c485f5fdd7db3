/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where disks lie, and how one becomes two (docs/architecture.md, "Snapshots"). The only store so far: raw files, on a file system whose files can share
 * blocks until one of them is written (XFS with reflink=1, Btrfs).
 */
#ifndef XL_DISK_STORE_H
#define XL_DISK_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * @to, which must not be there, becomes a file with what @from has, its owner and its mode. It shares blocks with @from; where that
 * cannot be and @copy is set they are copied, but for holes. Nothing may write to @from. Something half made is
 * removed. 0 or -errno: -EOPNOTSUPP: they cannot be shared; -EINTR: xl_interrupted.
 */
int disk_store_clone(const char *from, const char *to, bool copy);
/* The same into @to, which disk_store_make() has made. */
int disk_store_fill(const char *from, const char *to, bool copy);
/* @to, which must not be there, becomes a file as long as @from, with its owner and its mode, and nothing in it. 0 or -errno. */
int disk_store_make(const char *from, const char *to);
/*
 * Calls @fn for what is, or may be, other in the file @now than in @was, of which one is a clone of the other and neither is written meanwhile; @was NULL: for all
 * that is in @now. In ascending order, in pieces of any length; @hole: there are only zeros now. What @fn returns but 0 ends it. 0, @fn's, or -errno.
 */
int disk_store_delta(const char *was, const char *now,
		     int (*fn)(int fd, off_t offset, off_t bytes, bool hole, void *ctx), void *ctx);
/* It, and its name, are on the disk. 0 or -errno. */
int disk_store_sync(const char *path);

#endif /* XL_DISK_STORE_H */
