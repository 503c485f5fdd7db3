// SPDX-License-Identifier: BSD-2-Clause
/*
 * The state of the world, saved and brought back: core/'s variables and the host's (state.lds puts them together), the frames,
 * the pages in use, and what the host's architecture has allocated. So each run begins with exactly the same.
 */
#include <sanitizer/asan_interface.h>

#include "explore.h"
#include "state.h"

#define ARENA_SIZE (256 * 1024)

extern char state_start[], state_end[];

/* ---- the architecture's allocations ---- */

struct block {
	size_t size;
	char data[] __aligned(16);
};

static char arena[ARENA_SIZE] __aligned(16);
static size_t arena_used;

void *state_calloc(size_t n, size_t size)
{
	struct block *b = (void *)(arena + arena_used);

	size = ROUND_UP(n * size, 16);
	if (sizeof(*b) + size > ARENA_SIZE - arena_used)
		return NULL;
	arena_used += sizeof(*b) + size;
	b->size = size;
	memset(b->data, 0, size);
	return b->data;
}

void state_free(void *p)
{
	if (p)
		ASAN_POISON_MEMORY_REGION(p, container_of(p, struct block, data)->size);
}

void *state_realloc(void *p, size_t size)
{
	void *to = state_calloc(1, size);

	if (to && p)
		memcpy(to, p, min(size, container_of(p, struct block, data)->size));
	state_free(p);
	return to;
}

/* ---- small objects that were freed ---- */

#define MAX_FREED 4096

static void *freed[MAX_FREED];
static unsigned int nr_freed;
static bool keep_freed;

void __real_xfree(void *p);
void __wrap_xfree(void *p);

static size_t object_size(void *p)
{
	unsigned int order = virt_to_page(p)->order;

	return order >= 64 ? PAGE_SIZE << (order - 64) : BIT(order); /* heap.c, CLASS_BLOCK */
}

/* The linker sends all calls of xfree() here, --wrap. */
void __wrap_xfree(void *p)
{
	if (!p || !keep_freed || nr_freed == MAX_FREED) {
		__real_xfree(p);
		return;
	}
	freed[nr_freed++] = p;
	ASAN_POISON_MEMORY_REGION(p, object_size(p));
}

static void unpoison_freed(void)
{
	for (unsigned int i = 0; i < nr_freed; i++)
		ASAN_UNPOISON_MEMORY_REGION(freed[i], object_size(freed[i]));
}

void state_flush_freed(void)
{
	unpoison_freed();
	keep_freed = false;
	while (nr_freed)
		__real_xfree(freed[--nr_freed]);
}

/* ---- save and restore ---- */

/* All of it, what ASan has between the variables too: memcpy() would not. */
__attribute__((no_sanitize("address", "undefined"),
	       optimize("O3,no-tree-loop-distribute-patterns"))) static void
copy(void *to, const void *from, size_t n)
{
	u64 *t = to;
	const u64 *f = from;

	for (size_t i = 0; i < n / sizeof(*t); i++)
		t[i] = f[i];
}

static char saved_ram[RAM_PAGES][PAGE_SIZE];
static struct page saved_frames[RAM_PAGES];
static char saved_arena[ARENA_SIZE];
static size_t saved_arena_used;
static char *saved_state;

static bool in_use(const struct page *pg)
{
	return pg->state != PAGE_FREE && pg->state != PAGE_DIRTY;
}

void state_save(void)
{
	if (!saved_state)
		saved_state = malloc(state_end - state_start);
	assert_non_null(saved_state);
	keep_freed = true;
	copy(saved_state, state_start, state_end - state_start);
	memcpy(saved_frames, frame_table, sizeof(saved_frames));
	saved_arena_used = arena_used;
	copy(saved_arena, arena, arena_used);
	for (unsigned int i = 0; i < RAM_PAGES; i++) {
		if (in_use(&saved_frames[i]))
			memcpy(saved_ram[i], arch_mfn_to_virt(RAM_BASE_MFN + i), PAGE_SIZE);
	}
}

void state_restore(void)
{
	unpoison_freed();
	nr_freed = 0;
	keep_freed = true;
	ASAN_UNPOISON_MEMORY_REGION(arena, arena_used);
	arena_used = saved_arena_used;
	copy(arena, saved_arena, arena_used);
	for (unsigned int i = 0; i < RAM_PAGES; i++) {
		void *v = arch_mfn_to_virt(RAM_BASE_MFN + i);

		if (in_use(&saved_frames[i]))
			memcpy(v, saved_ram[i], PAGE_SIZE);
		else if (saved_frames[i].state == PAGE_FREE && frame_table[i].state != PAGE_FREE)
			memset(v, 0, PAGE_SIZE);
	}
	memcpy(frame_table, saved_frames, sizeof(saved_frames));
	copy(state_start, saved_state, state_end - state_start);
}
