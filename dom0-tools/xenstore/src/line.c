// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory for small objects of the tree, each in a line of the processor's cache of its own.
 * It owns blocks of such lines in huge pages. See line.h for the interface.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "line.h"
#include "util.h"

size_t line_count;

/* How gcc says it, and how clang, which builds the fuzzer. */
#if defined(__SANITIZE_ADDRESS__)
#define ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN
#endif
#endif

#ifdef ASAN
/* What is lost, or used after it was freed, is to be found. */
void *line_alloc(void)
{
	line_count++;
	return xmalloc(LINE_BYTES);
}

void line_free(void *p)
{
	line_count--;
	free(p);
}
#else
#define BLOCK_BYTES ((size_t)2 << 20)

union line {
	union line *next; /* while it is free */
	char bytes[LINE_BYTES];
};

static union line *free_lines; /* those that were used before */
static union line *fresh, *fresh_end; /* those that never were: no page of theirs is there yet */

void *line_alloc(void)
{
	union line *l = free_lines;

	line_count++;
	if (l) {
		free_lines = l->next;
		return l;
	}
	if (fresh == fresh_end) {
		fresh = xaligned(BLOCK_BYTES, BLOCK_BYTES);
		/* where there are none, small pages do */
		madvise(fresh, BLOCK_BYTES, MADV_HUGEPAGE);
		fresh_end = fresh + BLOCK_BYTES / sizeof(*fresh);
	}
	return fresh++;
}

void line_free(void *p)
{
	union line *l = p;

	line_count--;
	l->next = free_lines;
	free_lines = l;
}
#endif
