/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hostile pointers, and the search for the partner domain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hostile.h"

/* Pages of the window: one that is there, the next is not. */
#define VA_PAGE (PV_WINDOW + 0x200000)
#define VA_READ_ONLY (VA_PAGE + 0x10000)
#define VA_EXECUTE_ONLY (VA_PAGE + 0x20000)
#define VA_NO_MEMORY (VA_PAGE + 0x30000)

static void *copied(void *page, uintptr_t va, const void *good, size_t size, size_t offset)
{
	memcpy((char *)page + offset, good, size);
	return (void *)(va + offset);
}

static long made(struct hostile_call call, void *pointer)
{
	for (unsigned int i = 0; i < 3; i++) {
		if (call.args[i] == HOSTILE)
			call.args[i] = (unsigned long)pointer;
	}
	return hypercall(call.nr, call.args[0], call.args[1], call.args[2], 0, 0);
}

static void check(const char *what, struct hostile_call call, const void *good, size_t size,
		  bool out)
{
	char *page = pv_alloc_pages(1);
	struct {
		const char *name;
		void *pointer;
	} cases[] = {
		{ "null's neighbour, no memory", (void *)8 },
		{ "no memory there", (void *)0x10000000 },
		{ "not mapped", (void *)(PV_WINDOW + 0x8000000) },
		{ "mapped to no memory", (void *)VA_NO_MEMORY },
		{ "not canonical", (void *)0x4000000000 },
		{ "upper half", (void *)0xffffffc000000000 },
		{ "around the end of the address space", (void *)-(uintptr_t)(size / 2) },
		{ "last byte", (void *)-1UL },
		{ "just past the end of RAM", (void *)pv_domain.ram_end },
		{ "execute only", copied(page, VA_EXECUTE_ONLY, good, size, 0) },
		{ "into a page that is not mapped",
		  copied(page, VA_PAGE, good, size / 2, PV_PAGE_SIZE - size / 2) },
		{ "read only", copied(page, VA_READ_ONLY, good, size, 0) },
	};
	unsigned int n = sizeof(cases) / sizeof(cases[0]) - !out;
	bool ok = true;

	pv_map(VA_PAGE, (uintptr_t)page, PTE_R | PTE_W);
	pv_map(VA_READ_ONLY, (uintptr_t)page, PTE_R);
	pv_map(VA_EXECUTE_ONLY, (uintptr_t)page, PTE_X);
	pv_map(VA_NO_MEMORY, 0x10000000, PTE_R | PTE_W);
	for (unsigned int i = 0; i < n; i++) {
		long rc = made(call, cases[i].pointer);

		if (rc == -EFAULT)
			continue;
		tap_note("%s, argument %p (%s): %ld", what, cases[i].pointer, cases[i].name, rc);
		ok = false;
	}
	tap_ok(ok, "%s: %u hostile pointers are -EFAULT", what, n);
	pv_unmap(VA_PAGE);
	pv_unmap(VA_READ_ONLY);
	pv_unmap(VA_EXECUTE_ONLY);
	pv_unmap(VA_NO_MEMORY);
	free(page);
}

void hostile_pointers(const char *what, struct hostile_call call, const void *good, size_t size)
{
	check(what, call, good, size, false);
}

void hostile_out_pointers(const char *what, struct hostile_call call, const void *good, size_t size)
{
	check(what, call, good, size, true);
}

static long node(domid_t domid, const char *name)
{
	char path[80], *value;
	long n;

	snprintf(path, sizeof(path), "/local/domain/%u/data/%s", domid, name);
	value = pv_xenbus_await(path, 20000000000);
	if (!value) {
		tap_ok(false, "the partner shows %s", name);
		exit(1);
	}
	n = strtol(value, NULL, 10);
	free(value);
	return n;
}

void partner_find(struct partner *p)
{
	char *peers = pv_xenbus_await("data/peers", 20000000000);

	memset(p, 0, sizeof(*p));
	p->domid = peers ? strtoul(peers, NULL, 10) : 0;
	free(peers);
	node(p->domid, "ready");
	p->port = node(p->domid, "port");
	p->spare = node(p->domid, "spare");
	p->rw = node(p->domid, "rw");
	p->ro = node(p->domid, "ro");
	p->foreign = node(p->domid, "foreign");
}
