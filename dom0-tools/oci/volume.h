/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's disks: the image's archive, one for the root, and volumes.
 */
#ifndef OCI_VOLUME_H
#define OCI_VOLUME_H

#include <stddef.h>

/* Once the disk is there, which is waited for. A descriptor, or -1 with errno. */
int volume_open(const char *vdev, int flags);
/* May a root be made on this disk: is it empty, or has it been one? 1, 0, or -1: it cannot be told. */
int volume_may_be_made(int fd);
/*
 * Makes an empty file system on the disk and mounts it at @at. Only on one that is empty, or that has been such a root before: never
 * over what somebody may want to keep. 0, or -1 and @why.
 */
int volume_make_root(const char *vdev, const char *at, char *why, size_t size);
/* @spec: "VDEV:/PATH" or "VDEV:/PATH:ro", of the image whose root directory @root is. 0, or -1 and @why. */
int volume_mount(int root, char *spec, char *why, size_t size);
/* When no process is left that uses them. */
void volume_unmount_all(int root);

#endif /* OCI_VOLUME_H */
