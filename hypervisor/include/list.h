/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Circular doubly linked lists embedded in structures.
 * An entry that is on no list points at itself, so list_del() of it is harmless.
 */
#ifndef PAVISE_LIST_H
#define PAVISE_LIST_H

#include <types.h>

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name) \
	{ \
		&(name), &(name) \
	}

static inline void list_init(struct list_head *h)
{
	h->next = h->prev = h;
}

static inline bool list_empty(const struct list_head *h)
{
	return h->next == h;
}

static inline void __list_insert(struct list_head *e, struct list_head *prev,
				 struct list_head *next)
{
	e->prev = prev;
	e->next = next;
	prev->next = e;
	next->prev = e;
}

static inline void list_add(struct list_head *e, struct list_head *h)
{
	__list_insert(e, h, h->next);
}

static inline void list_add_tail(struct list_head *e, struct list_head *h)
{
	__list_insert(e, h->prev, h);
}

static inline void list_del(struct list_head *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

/* The entries from first to last, which follow each other on a list, go to the end of another. */
static inline void list_move_run(struct list_head *first, struct list_head *last,
				 struct list_head *to)
{
	first->prev->next = last->next;
	last->next->prev = first->prev;
	first->prev = to->prev;
	last->next = to;
	to->prev->next = first;
	to->prev = last;
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_for_each(pos, head, member) \
	for (pos = list_entry((head)->next, typeof(*pos), member); &pos->member != (head); \
	     pos = list_entry(pos->member.next, typeof(*pos), member))

#endif
