/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unpacking a kernel, for image.c: pv_image_open() is what others call.
 */
#ifndef UNPACK_H
#define UNPACK_H

struct pv_unpack;
struct pv_err;

/*
 * What the gzip file @fd holds, in a memory file that can no longer change and that the caller closes; @fd stays open. Or a
 * negative errno, with a text that names @path.
 */
int pv_unpack(int fd, const char *path, const struct pv_unpack *how, struct pv_err *err);

#endif
