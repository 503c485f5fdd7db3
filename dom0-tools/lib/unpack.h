/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacking a kernel, for image.c: pv_image_open() is what others call.
 */
#ifndef UNPACK_H
#define UNPACK_H

struct pv_unpack;
struct pv_part;
struct pv_err;

/*
 * What the gzip file holds that is @part of @fd (all of it, from offset 0 on, or a piece), in a memory file that can no longer
 * change and that the caller closes; @fd stays open. Or a negative errno, with a text that names @path.
 */
int pv_unpack(int fd, const struct pv_part *part, const char *path, const struct pv_unpack *how,
	      struct pv_err *err);

#endif
