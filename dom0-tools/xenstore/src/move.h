/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that is saved whole and goes on elsewhere notices nothing, so its connection and its tree go
 * along, in a file. It owns the file's format and what moves: move.c makes and reads the bytes,
 * move_req.c is CONTROL's commands, spell.c the names that a moved guest goes on using.
 *
 * Contract, of the commands (dom0 only, over the socket; each does all of it or nothing):
 *
 * - park-domain DOMID: from now on nothing moves in its ring and nothing is stored there, whatever
 *   waits. Before INTRODUCE it holds for the ring to come: what the guest's page says was written
 *   elsewhere and must not be taken before the half that came with the file. Its memory is there
 *   before INTRODUCE. XS_RESUME ends it (RELEASE, too): the ring is greeted, looked into, told.
 * - export-domain DOMID FILE: parks it, for what it is told later would be missing in the file, and
 *   puts all below into FILE. XS_RESUME lets it go on here; events that came meanwhile wait for it.
 * - import-domain DOMID FILE: into one that is introduced, parked, and of which nothing was served.
 *   It stays parked. A domain takes one file in its life.
 *
 * In the file: magic, version, length, sum; then the number that the guest believes to have, the ring's
 * indices, half a request, messages that wait (of the first perhaps some bytes are gone), watches as
 * the guest spelled them, with what they have missed, numbers of open transactions, and
 * /local/domain/DOMID whole with values and permissions. All of it is taken as forged: numbers, lengths,
 * paths, permissions; the sum is against accidents only. What the file cannot do, whoever made it:
 * - use more than the quotas of the domain here, whose limits it does not bring along. Memory may be over
 *   by what a guest in order may be over (SLACK in move.c). Nodes of the tree that are not the guest's are
 *   held by no quota elsewhere; here there may be as many as it may have nodes.
 * - name another domain. Where the file's permissions say the guest's number, the number here stands;
 *   any other is dom0's only (n0 as owner, left out as entry): who has it here is a stranger, and
 *   a right that a number alone carries over would be a gift to him. The toolstack, which knows
 *   who serves the guest here, gives what is to be given.
 * - reach outside the domain's home.
 * - say where in the ring one is: the indices must be those of the page that is mapped, or the file
 *   is another guest's, or another moment's.
 *
 * - change what this host has said itself: a node of the domain's home that is here already and not the
 *   guest's stays as it is. (Dom0's nodes that come with the file are as forged as the rest: what the
 *   toolstack goes by, it writes itself, before.)
 *
 * What arrives: transactions as expired ones (their base stayed behind), so that each request in them is
 * EAGAIN, as is their end, and the guest begins again. The features that its ring was offered. The tree:
 * what is here and not in the file stays. Generations are made anew, and the guest is told them
 * shifted by a number that is of this file alone: one that it read elsewhere is none that it reads here,
 * so a directory that is read in parts is begun again and not mixed (others see them as they
 * are). Children are listed by name everywhere, so their order needs no bytes. Others hear of the tree as
 * of so many writes, the guest of nothing. Not carried: limits, the most that was ever used, holds
 * (XSA-206), nodes that it owns outside its home.
 *
 * The journal: bytes of a file are too many for a record, so an import ends with a checkpoint; when
 * that cannot be written it is undone and refused. A crash before finds nothing of it, one after it
 * all, and what had not been told yet (`untold`) is told then. A second checkpoint follows, for the
 * journal's file before is to lead to the same, and its log has no import in it. That the domain is
 * parked, and whether the commands went well, is recorded as of any request.
 */
#ifndef XS_MOVE_H
#define XS_MOVE_H

#include "buf.h"
#include "conn.h"

#define MOVE_VERSION 1
/* The longest file. A guest that uses up its quotas makes half of that. */
#define MOVE_MAX ((size_t)8 << 20)

/* Appends the file for a domain that has a ring. */
void move_save(const struct dom *d, struct buf *b);

/* What an import has changed outside the connection, until it is certain. */
struct arrival {
	struct node *before; /* the store */
	uint64_t gen;
	uint32_t features;
	struct acct acct;
};

/*
 * Puts a file's contents into d, which has a parked ring of which nothing was served (move_empty()).
 * NULL, and then one of the other two must follow; or what is wrong, with nothing changed.
 */
const char *move_load(struct dom *d, const void *data, size_t len, struct arrival *a);
void move_keep(struct arrival *a);
void move_undo(struct dom *d, struct arrival *a);
bool move_empty(const struct dom *d);
/* Watches of others hear of the tree. */
void move_tell(struct dom *d);
void move_tell_all(void); /* those that were not told before a crash */

/* Stops and restarts its ring; the second with the page's first words, as at INTRODUCE. */
void move_park(struct dom *d);
void move_unpark(struct dom *d);

#endif
