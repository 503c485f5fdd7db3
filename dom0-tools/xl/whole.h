/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests that are saved or moved whole, with their disks and interfaces, and notice nothing: no port, grant, ring or watch of theirs is
 * made anew. Whoever does so (saving_guest.c) and whoever makes it again (life.c) goes by this order.
 *
 * Where it is, paused by dump_pause(), with its lock held:
 *	state		clocks stand still from here on
 *	whole_drain()	the drivers are taken off its devices (unbind), one and all; not by closing them, of which the guest would hear:
 *			blkback and netback may be bound again (allow_rebind), and leave rings and nodes as they are
 *	whole_store()	its connection to xenstored and its tree (export-domain): from here on it is not served. What its back ends offered
 *	state once more, memory
 *	then domain_destroy(); or whole_undo(), and it goes on here
 *
 * Where it comes to, after its memory and state (saved_fill()):
 *	whole_park()	xenstored touches its ring no more than it must, before it knows of it
 *	its nodes of this host, INTRODUCE
 *	whole_import()	the file; so its front ends' nodes are there, Connected, with rings and ports as the guest has them
 *	its devices	made as any other's, but that the front ends' state stays as it is: the back ends connect at once, to ports that
 *			are open to them. The guest's paths have its old number, which xenstored takes for this one (xenstore/src/spell.h)
 *	whole_land()	they offer no less than those before; it is served
 *
 * Drained means: nothing of the guest's is on its way, and no request of its waits in a disk's ring. So two hosts never write for it.
 *	- First the disks' own requests are waited for (drain_idle()), as long as that can be seen: then nothing is unbound in vain.
 *	- unbind comes back before a request that was on its way to a disk is done. The driver holds the port until then, so it is done
 *	  once none of the guest's ports but xenstored's and xenconsoled's is bound in domain 0.
 *	- A request that the guest had put into a ring and not told of yet is still there then. The driver is bound again, which has it
 *	  look into the ring, and the guest is paused: so this happens once.
 *	- All this takes UNBIND_MS at most, or it is undone and the guest goes on.
 *
 * While it is drained there is XL_DRAINED, so that nobody takes its back ends for lost (backends.c). Who is killed meanwhile has it
 * undone by who sees to his note (dump.c), or, if the guest had been given away, by who takes it back (migrate_note.c).
 *
 * What comes in a stream may be forged. A front end that claims what it has not is refused by its back end's driver as any guest's
 * is; paths and rights are xenstored's to judge (move.h); what the back ends offered can but make that it is refused.
 */
#ifndef XL_WHOLE_H
#define XL_WHOLE_H

#include "saved.h"
#include "saving.h"

/* In domain 0, which alone writes there. */
#define XL_DRAINED XL_PRIVATE "/%u/drained"

/* Where xenstored may read and write files, whatever is around it. */
#ifndef XL_STORE_DIR
#define XL_STORE_DIR "/run/xenstored"
#endif
#define XL_LEAVES XL_STORE_DIR "/leaves.%u"
#define XL_COMES XL_STORE_DIR "/comes.%u"

/* So long the slowest of its devices is waited for. */
#ifndef UNBIND_MS
#define UNBIND_MS 2000
#endif

/* --- unbind.c: drivers and devices -------------------------------------------------------------- */

/*
 * NULL, or why the devices of a guest cannot be left and found again as they are; the caller frees. Its lock is held. Nothing is
 * changed by it.
 */
char *unbind_bars(struct xl *xl, uint32_t domid);
/*
 * No driver serves its devices any more. @state: the guest's, of this pause: it says what is in its rings. 0; or -1 after a message,
 * and unbind_undo() is due.
 */
int unbind_all(struct xl *xl, uint32_t domid, const char *name, const uint8_t *state,
	       uint32_t size);
/* Drivers serve them again, all that can be. The guest is paused. 0, or -1 after a message: some is lost. */
int unbind_undo(struct xl *xl, uint32_t domid);

/* --- whole.c: where it is ----------------------------------------------------------------------- */

/* NULL, or why the guest cannot be saved so; the caller frees. Its lock is held. Nothing is changed by it. */
char *whole_bars(struct xl *xl, uint32_t domid);
/*
 * Are these its devices? A configuration that has others would not find them. Addresses that it leaves open become those of its interfaces. 0, or
 * -1 after a message.
 */
int whole_check_config(const struct saving *s, struct xl_config *cfg);
/* See above. @state: the guest's, of this pause. 0; or -1 after a message, and whole_undo() is due. */
int whole_drain(struct saving *s, const uint8_t *state, uint32_t size);
/* Into @s->connection and what will be STORE. 0; or -1 after a message, and whole_undo() is due. */
int whole_store(struct saving *s);
/*
 * What the two have done, by this process or by one that is no more, is undone; if they have not, nothing is. The guest is paused, its
 * lock is held. 0, or -1 after a message: a device of it is lost.
 */
int whole_undo(struct xl *xl, uint32_t domid);
/* Files for xenstored that the killed have left of a domain that goes. */
void whole_clean(uint32_t domid);

/* --- arrival.c: where it comes to --------------------------------------------------------------- */

/* Does it come so? */
bool whole_comes(const struct saved *s);
/* STORE or CONNECTION of its stream, kept for what follows. */
void whole_keep(struct saved *s, const struct pv_record *r);
/* See above. 0 or -1, after a message, here and below: then it goes, and none of it is undone. */
int whole_park(struct xl *xl, const struct saved *s, uint32_t domid);
/* @cfg: what devices it is to have. It must have connected to these and to no others. */
int whole_import(struct xl *xl, const struct saved *s, const struct xl_config *cfg, uint32_t domid);
int whole_land(struct xl *xl, const struct saved *s, uint32_t domid);
void whole_forget(struct saved *s);

#endif /* XL_WHOLE_H */
