/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a node's set of children: an entry of the persistent weight-balanced tree.
 * For tree.c, and for state_tree.c, which writes entries down as they are so that versions of the
 * store go on sharing them.
 */
#ifndef XS_ENT_H
#define XS_ENT_H

#include "tree.h"

struct ent {
	uint32_t refs;
	uint32_t count;
	uint64_t key; /* of its node's name, see name_key() in tree.c */
	union {
		size_t bytes; /* of the names below this entry, NULs included */
		struct ent *dead; /* once refs is 0: next to be freed */
	};
	struct ent *l, *r;
	struct node *node;
	struct ent *kids; /* node->kids, so that a walk down touches no nodes; no reference */
};

/* A new entry. Takes over the references to l, n and r. */
struct ent *ent_make(struct ent *l, struct node *n, struct ent *r);
struct ent *ent_get(struct ent *e);
void ent_put(struct ent *e);

#endif
