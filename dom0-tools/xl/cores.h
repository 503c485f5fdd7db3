/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cores of on_crash="coredump-*": how many there may be, and what goes for a new one.
 */
#ifndef XL_CORES_H
#define XL_CORES_H

#include <stdint.h>

struct cores {
	uint64_t limit; /* bytes of all together */
	unsigned int keep; /* of each guest */
};

/* From xl.conf; what is wrong there is told. */
void cores_read(struct cores *c);
/* Makes room in XL_DUMP_DIR for @more bytes: the oldest go, but never @part, which is being written. 0, or -1 after a message. */
int cores_make_room(const struct cores *c, const char *part, uint64_t more);
/* @path is about to be replaced: it becomes PATH~1, that PATH~2, as many as are kept. */
void cores_rotate(const struct cores *c, const char *path);

#endif /* XL_CORES_H */
