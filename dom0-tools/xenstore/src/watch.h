/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches: who wants to hear of changes where.
 * It owns the index of all watches by path and the making of events.
 * An event costs O(depth) plus its matches; a removal O(log watches) more.
 */
#ifndef XS_WATCH_H
#define XS_WATCH_H

#include "conn.h"

struct watch_point;

struct watch {
	LIST_ENTRY(watch) of_conn, of_point;
	struct conn *conn;
	struct watch_point *point;
	char *token;
	int depth; /* -1: unlimited */
	uint16_t skip; /* bytes of the path that a relative watch does not show */
	char *spelled; /* the path as the client wrote it, where it is no end of the path; or NULL */
	bool lost; /* an event was dropped for want of room: one for the watched path itself is due
		    */
};

/*
 * path absolute and valid, or special; spelled: what the client called it, which is how it is told of
 * it. Returns 0 or -EEXIST. Queues no event; the caller does it after its reply, with
 * watch_fire_one().
 */
int watch_add(struct conn *c, const char *path, const char *spelled, const char *token, int depth,
	      struct watch **out);
int watch_del(struct conn *c, const char *path, const char *token); /* 0 or -ENOENT */
void watch_del_all(struct conn *c);
const char *watch_path(const struct watch *w);
const char *watch_spelled(const struct watch *w);
size_t watch_number(const struct conn *c); /* how many it has */
const struct watch *watch_oldest(const struct conn *c); /* or NULL */
/* The one that was registered next on this connection, or NULL. */
const struct watch *watch_newer(const struct conn *c, const struct watch *w);
void watch_fire_one(struct watch *w);
/* A change of the store, as the events about it need it. */
struct change {
	char *path;
	bool recursive; /* removed with all below, so watches below hear of it too */
	struct node *old; /* what was there, or NULL */
	struct perms *above; /* permissions of the parent before; NULL if there was none */
	const struct conn *but; /* who is not told; NULL: everybody is */
};

/* To be made of the store before the change. */
struct change change_of(const struct node *root, const char *path, bool recursive);
void change_free(struct change *c);
/* Tells everybody who watches there and may know, once store_root has the change. */
void watch_fire(const struct change *c);
/* @introduceDomain and @releaseDomain */
void watch_fire_special(const char *name, unsigned int domid);
/* Makes up for dropped events as far as there is room again. */
void watch_refill(struct conn *c);
/* The same with no question whether there is enough room to begin. */
void watch_refill_now(struct conn *c);
/* Who may hear of special events; NULL if name is none. */
struct perms **watch_special_perms(const char *name);
void watch_init(void);
void watch_exit(void);
size_t watch_count(void);

#endif
