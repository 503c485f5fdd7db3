/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks in QEMU's formats: each has a qemu-nbd in a sandbox, which a network block device of dom0's kernel leads to.
 * Owns that process's life and the nodes below the back end's directory that say which it is.
 */
#ifndef XL_IMAGE_SERVER_H
#define XL_IMAGE_SERVER_H

#include "disk_image.h"
#include "xl.h"

#define IMAGE_SCRIPT "block-image"
/* In the back end's directory: the format's name; what it is based on, .../0, .../1, as the configuration has it. */
#define IMAGE_FORMAT_NODE "image/format"
#define IMAGE_BACKING_NODE "image/backing"
/* The process's number and when it began, as minder.h has it. */
#define IMAGE_SERVER_NODE "image/server"

/* The hotplug script block-image: this program under that name, run by hotplug.c. */
int image_script(int argc, char **argv);
/*
 * Is there a qemu-nbd? The directory whose usr has it, malloc'd; NULL, with a sentence in @msg that says what to do.
 */
char *image_qemu(char *msg, size_t size);
/* Has it a server, or one's remains? */
bool image_server_noted(struct xl *xl, const char *be);
/* Has this back end a server that has ended? No event tells. */
bool image_server_ended(struct xl *xl, const char *be);
/*
 * The same, and then what the guest has asked for fails now, instead of never: the kernel itself waits for a server that goes
 * away in the middle of a request.
 */
bool image_server_cut(struct xl *xl, const char *be);

#endif /* XL_IMAGE_SERVER_H */
