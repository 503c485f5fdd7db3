/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a client spells paths and domains, and what they are.
 * It owns the way from one to the other: home, quota of lengths, and aliases. Rights are judged
 * afterwards, on what comes out, so a spelling gives none.
 *
 * Aliases. A guest that has moved (move.h) may have another number here, and does not know: front ends
 * keep paths with the old one in memory, and compare what they are told with them as strings. So
 * where a guest whose number was WAS says in an absolute path
 *
 *	/local/domain/WAS			its home
 *	/local/domain/B/backend/TYPE/WAS	what serves it; B is another domain, by its number here
 *
 * or anything below, its number of now is meant (a number further down is not looked at). Nobody serves
 * himself, so B may be WAS, too: who has that number here and serves this guest is found. So it is in
 * a permission list and in IS_DOMAIN_INTRODUCED. Its real names work, too, and relative paths as ever.
 * What it is told has its own spelling: an event's path begins as its watch does; where a watch is
 * above ("/", say), and in lists of permissions, WAS stands in place of the number. Listings have real names, for they
 * are made of others' nodes. Values are the guest's and the toolstack's.
 *
 * It is one alias, to the number of the guest's birth, however often it moves. Of the numbers in
 * between it can have learnt where a device came meanwhile, from a path of the second kind that the
 * toolstack wrote: there they go on to mean the guest as well, the last 16 of them, and only there.
 *
 * When somebody else has the number WAS here, this guest's alias comes first, always: by it one never
 * comes to the other's nodes (but to those that serve it, above), not even where the guest has no such
 * node itself (else it would take a stranger's nodes for its own as soon as one of its own is missing). So it sees all that it saw, and what
 * the other lets it read under that name is beyond it: it would take that for its own. The
 * other's entry in a permission list looks as its own does; the one that it sets is its own.
 * No tree is asked for an alias, and no request of a guest's makes one.
 */
#ifndef XS_SPELL_H
#define XS_SPELL_H

#include <stdbool.h>
#include "conn.h"

/* Room for a path as it is shown: another number can be longer. */
#define SPELL_MAX (XENSTORE_ABS_PATH_MAX + 16)

/*
 * Makes an absolute, valid path of what the client wrote (NULL is none). buf: SPELL_MAX bytes.
 * special: '@' paths are asked for. Returns 0 or -EINVAL.
 */
int spell_path(const struct conn *c, const char *s, char *buf, bool special);
/*
 * A real path as c knows it: with its old number, unless that stands before `from`, where c has said
 * itself how it calls it. Returns path, or buf (SPELL_MAX bytes).
 */
const char *spell_shown(const struct conn *c, const char *path, size_t from, char *buf);
/* The domain that c means by a number, and the number that c knows a domain by. */
unsigned int spell_domid(const struct conn *c, unsigned int domid);
unsigned int spell_domid_shown(const struct conn *c, unsigned int domid);

#endif
