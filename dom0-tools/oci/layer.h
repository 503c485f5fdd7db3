/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A layer of an OCI image onto what lower ones have made (layer.md).
 * Owns that no path leads out of the image's root, and that a layer is what its digest says.
 */
#ifndef OCI_LAYER_H
#define OCI_LAYER_H

#include <stddef.h>

#include "image.h"

/*
 * Unpacks @l of the archive @fd into the directory @root. 0, or -1 and @why: then @root is half of something.
 * Owners and devices are set if this process is root.
 */
int layer_unpack(int fd, const struct layer *l, int root, char *why, size_t size);
/* Opens a path of the image: symbolic links stay inside. A descriptor, or -1 with errno. @mode for O_CREAT. */
int layer_open(int root, const char *path, int flags, unsigned int mode);
/* The same of a directory, which is made with those above it if it is not there. */
int layer_open_dir(int root, const char *path);

#endif /* OCI_LAYER_H */
