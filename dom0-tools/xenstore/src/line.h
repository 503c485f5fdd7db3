/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for small objects of the tree, each in a line of the processor's cache of its own.
 * It owns blocks of such lines in huge pages. What a request costs in a large store is waiting for memory,
 * and these are fewer cache lines and far fewer page table walks than malloc's.
 * A block is never given back to the system: what the store once needed stays with it.
 */
#ifndef XS_LINE_H
#define XS_LINE_H

#include <stddef.h>

#define LINE_BYTES 64

/* LINE_BYTES of memory, not cleared. Never NULL, as xmalloc(). */
void *line_alloc(void);
void line_free(void *p);
/* Lines in use. */
extern size_t line_count;

#endif
