/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The immutable store: nodes that never change once somebody else can reach them.
 * It owns nodes, values, permission lists, their reference counts and the path-copying updates.
 * A snapshot of the whole store is one reference to its root.
 */
#ifndef XS_TREE_H
#define XS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
	uint32_t refs;
	uint32_t len;
	char data[];
};

#define PERM_READ 1
#define PERM_WRITE 2
#define PERM_OWNER 4

struct perm {
	uint16_t domid;
	uint8_t rights; /* PERM_READ | PERM_WRITE */
};

/* First entry: the owner, and the rights of everybody who is not listed. */
struct perms {
	uint32_t refs;
	uint32_t num;
	uint64_t gen; /* when it was written: entries for domains born later do not count */
	struct perm p[];
};

struct ent;

struct node {
	uint32_t refs;
	uint16_t namelen;
	uint16_t by; /* the domain that last changed something here or below */
	uint64_t gen; /* last change of this node: value, permissions or set of children */
	uint64_t dir_gen; /* last change of its set of children */
	struct blob *value; /* NULL: empty */
	struct perms *perms;
	struct ent *kids; /* children as a persistent weight-balanced tree, sorted by name */
	char name[];
};

struct blob *blob_new(const void *data, size_t len);
struct blob *blob_get(struct blob *b);
void blob_put(struct blob *b);

/* num entries, to be filled by the caller before the list can be reached by others */
struct perms *perms_new(unsigned int num, uint64_t gen);
struct perms *perms_get(struct perms *p);
void perms_put(struct perms *p);

/* A new childless node. Takes over the references to value and perms. */
struct node *node_new(const char *name, size_t namelen, struct blob *value, struct perms *perms,
		      uint64_t gen);
/* A private copy with the same contents, to be changed before others can reach it. */
struct node *node_clone(const struct node *n);
struct node *node_get(struct node *n);
void node_put(struct node *n);
/* Adds a child to a node that others cannot reach yet. Takes over the reference to child. */
void node_add(struct node *parent, struct node *child, uint64_t gen);

size_t node_children(const struct node *n); /* how many */
size_t node_dir_bytes(const struct node *n); /* length of the list of names, NULs included */
/*
 * Calls fn for each child in order of name whose offset in that list is >= off, until it says
 * false.
 */
void node_list(const struct node *n, size_t off, bool (*fn)(const struct node *, void *),
	       void *ctx);

/* The node at path, or NULL. Borrowed from root. */
const struct node *tree_get(const struct node *root, const char *path);
/*
 * The deepest node on the way to path that exists; *missing is the rest of the path from the first
 * missing component on ("" when all exist).
 */
const struct node *tree_nearest(const struct node *root, const char *path, const char **missing);
/*
 * A root in which the node at path is replaced by n, inserted, or, with n NULL, removed with all
 * below it. The parent must exist. Takes over the references to root and n. What others refer to is
 * copied; what is reached through the caller's reference alone is changed in place, so that a store
 * without snapshots copies nothing. by: the domain that does it.
 */
struct node *tree_set(struct node *root, const char *path, struct node *n, uint64_t gen,
		      unsigned int by);
/* Calls fn on n and every node below it. Needs no stack that grows with the tree's depth. */
void tree_walk(const struct node *n, void (*fn)(const struct node *, void *), void *ctx);
/*
 * The same with each node's path (path: where n is). Goes below a node only when fn says true for
 * it.
 */
void tree_paths(const struct node *n, const char *path,
		bool (*fn)(const struct node *, const char *path, void *), void *ctx);
/* Bytes that the node costs, children not counted. */
size_t node_cost(const struct node *n);

#endif
