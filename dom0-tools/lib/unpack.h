/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacking a kernel, for image.c: pv_image_open() is what others call.
 */
#ifndef UNPACK_H
#define UNPACK_H

#include "image.h"

struct pv_unpack;
struct pv_err;

/* The program's name. */
const char *pv_unpack_program(enum pv_packing packing);
/*
 * What the compressed file holds that is @part of @fd (all of it, from offset 0 on, or a piece), in a memory file that can no longer
 * change and that the caller closes; @fd stays open. Or a negative errno, with a text that names @path.
 */
int pv_unpack(int fd, const struct pv_part *part, const char *path, const struct pv_unpack *how,
	      struct pv_err *err);

#endif
