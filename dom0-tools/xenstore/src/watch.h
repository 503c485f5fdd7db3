/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches: who wants to hear of changes where.
 * It owns the index of all watches by path and the making of events.
 * An event costs O(depth x log watches) plus its matches.
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
	bool lost; /* an event was dropped for want of room: one for the watched path itself is due
		    */
};

/*
 * path absolute and valid, or special; skip: length of the prefix that was added to a relative
 * path. Returns 0 or -EEXIST. Queues no event; the caller does it after its reply, with
 * watch_fire_one().
 */
int watch_add(struct conn *c, const char *path, const char *token, unsigned int skip, int depth,
	      struct watch **out);
int watch_del(struct conn *c, const char *path, const char *token); /* 0 or -ENOENT */
void watch_del_all(struct conn *c);
const char *watch_path(const struct watch *w);
/* The one that was registered next on this connection, or NULL. */
const struct watch *watch_newer(const struct conn *c, const struct watch *w);
void watch_fire_one(struct watch *w);
/*
 * Tells everybody who watches path and may know: old and new are the stores before and after.
 * recursive: path was removed with all below it, so watches below hear of it too.
 */
void watch_fire(const char *path, bool recursive, const struct node *old, const struct node *new_);
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
