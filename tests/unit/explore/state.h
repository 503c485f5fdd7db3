/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Included before host_arch.c and host_p2m.c (-include): what it allocates is part of the state that state.c sets back.
 */
#ifndef STATE_H
#define STATE_H

#include <stdlib.h>

void *state_calloc(size_t n, size_t size);
void *state_realloc(void *p, size_t size);
void state_free(void *p);

#ifdef IN_STATE
#define calloc state_calloc
#define realloc state_realloc
#define free state_free
#endif

#endif
