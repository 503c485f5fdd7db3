// SPDX-License-Identifier: BSD-2-Clause
/*
 * The daemon's side of a console ring.
 * Owns its barriers: indices are loaded with acquire after which the bytes are valid, and stored
 * with release after the bytes were copied.
 */
#include "ring.h"

static uint32_t load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

void ring_attach(struct ring *r, void *page)
{
	r->page = page;
	r->out_cons = load(&r->page->out_cons);
	r->in_prod = load(&r->page->in_prod);
	r->bad = 0;
}

size_t ring_take(struct ring *r, char *buf, size_t size)
{
	uint32_t prod = load(&r->page->out_prod), n = prod - r->out_cons, i;

	if (n > sizeof(r->page->out)) {
		r->bad++;
		r->out_cons = prod;
		store(&r->page->out_cons, prod);
		return 0;
	}
	if (n > size)
		n = size;
	for (i = 0; i < n; i++)
		buf[i] = r->page->out[MASK_XENCONS_IDX(r->out_cons + i, r->page->out)];
	r->out_cons += n;
	/* Also when n is 0: it mends a copy that the guest has spoilt. */
	store(&r->page->out_cons, r->out_cons);
	return n;
}

size_t ring_give(struct ring *r, const char *buf, size_t n)
{
	uint32_t cons = load(&r->page->in_cons), used = r->in_prod - cons, room, i;

	if (used > sizeof(r->page->in)) {
		r->bad++;
		r->in_prod = cons;
		used = 0;
	}
	room = sizeof(r->page->in) - used;
	if (n > room)
		n = room;
	for (i = 0; i < n; i++)
		r->page->in[MASK_XENCONS_IDX(r->in_prod + i, r->page->in)] = buf[i];
	r->in_prod += n;
	store(&r->page->in_prod, r->in_prod);
	return n;
}
