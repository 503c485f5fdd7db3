/* SPDX-License-Identifier: MIT */
/*
 * The address space (Sv39: 1:1 in 1 GiB leaves, and the window of pages) and the heap's memory.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define ENTRIES 512
#define TABLE __attribute__((aligned(4096)))
#define LEAF (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)
#define GIB(n) ((unsigned long)(n) << 28 | LEAF) /* n << 30 >> 12 << 10 */
#define GIB4(n) GIB(n), GIB((n) + 1), GIB((n) + 2), GIB((n) + 3)
#define GIB16(n) GIB4(n), GIB4((n) + 4), GIB4((n) + 8), GIB4((n) + 12)
#define GIB64(n) GIB16(n), GIB16((n) + 16), GIB16((n) + 32), GIB16((n) + 48)

/* Ready when start.S turns it on; the last of these gibibytes is the window's, see below. */
unsigned long pv_root_table[ENTRIES] TABLE = { GIB64(0), GIB64(64), GIB64(128), GIB64(192) };
static unsigned long window_table[ENTRIES] TABLE;
static pv_spinlock_t window_lock;

static unsigned long *window_entry(uintptr_t va, bool make)
{
	unsigned long *l1 = &window_table[va >> 21 & (ENTRIES - 1)];

	if (!*l1) {
		unsigned long *table = make ? pv_alloc_pages(1) : NULL;

		if (!table)
			return NULL;
		*l1 = (uintptr_t)table >> 12 << 10 | PTE_V;
	}
	return (unsigned long *)(*l1 >> 10 << 12) + (va >> 12 & (ENTRIES - 1));
}

static void flush(uintptr_t va)
{
	__asm__ volatile("sfence.vma %0, zero" : : "r"(va) : "memory");
}

int pv_map(uintptr_t va, uint64_t pa, unsigned long rights)
{
	unsigned long *entry;

	if (va < PV_WINDOW || va >= PV_WINDOW + PV_WINDOW_SIZE || (va | pa) & (PV_PAGE_SIZE - 1))
		return -EINVAL;
	pv_spin_lock(&window_lock);
	entry = window_entry(va, true);
	if (entry)
		*entry = pa >> 12 << 10 | rights | PTE_V | PTE_A | PTE_D;
	pv_spin_unlock(&window_lock);
	__asm__ volatile("sfence.vma" : : : "memory");
	return entry ? 0 : -ENOMEM;
}

void pv_unmap(uintptr_t va)
{
	unsigned long *entry;

	if (va < PV_WINDOW || va >= PV_WINDOW + PV_WINDOW_SIZE)
		return;
	pv_spin_lock(&window_lock);
	entry = window_entry(va, false);
	if (entry)
		*entry = 0;
	pv_spin_unlock(&window_lock);
	flush(va);
}

void *pv_alloc_pages(size_t n)
{
	void *p = memalign(PV_PAGE_SIZE, n * PV_PAGE_SIZE);

	if (p)
		memset(p, 0, n * PV_PAGE_SIZE);
	return p;
}

/* ---- what malloc() takes from ---- */

static char *heap_start, *heap_next, *heap_limit;

void pv_heap_init(uint64_t start, uint64_t end)
{
	pv_root_table[PV_WINDOW >> 30] = (uintptr_t)window_table >> 12 << 10 | PTE_V;
	__asm__ volatile("sfence.vma" : : : "memory");
	heap_start = heap_next = (char *)(uintptr_t)start;
	heap_limit = (char *)(uintptr_t)end;
}

/* Called under malloc's lock. */
void *_sbrk(ptrdiff_t increment)
{
	char *old = heap_next;

	if (increment > heap_limit - old || increment < heap_start - old) {
		errno = ENOMEM;
		return (void *)-1;
	}
	heap_next += increment;
	return old;
}
