/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's move to another host: what "xl migrate" on the source and "xl migrate-receive" on the target say to each other, and what
 * each of them notes in /run. docs/migration.md has the same for administrators.
 *
 * The way is COMMAND HOST xl migrate-receive, ssh unless -s says otherwise: its standard input and output, one byte stream each
 * way. Whoever can run that command as root there is trusted with it; sums are against accidents.
 *
 *	source			target
 *	(runs)	      <- HELLO	    it is an xl migrate-receive; versions, and which start of which machine it is
 *		HELLO ->	    UUID, name, memory, what the guest is to be there
 *		stream, to STATIC_DATA_END ->	machine, configuration, memory map (docs/save-format.md)
 *		      <- PREPARED   name, UUID and memory are the guest's: a domain called NAME--incoming, paused
 *	(still)	stream, to END ->   the guest has suspended itself, or was paused; its disks have nothing on its way
 *		      <- READY	    all of it was right, devices and supervisor are there
 *	note	GO ->		    "given to HOST" is noted at the source first
 *				note: "GO was heard", then (runs)
 *				mark: "it has run here", which is of this attempt alone
 *		      <- RUNNING
 *	(gone)	DONE ->		    the target's mark goes
 *
 * In the place of any message of the target's: FAILED with a text, and the promise that nothing is left of it there and nothing will be;
 * behind GO, too. In the place of HELLO the source may send ASK with a UUID and the attempt's number, which is answered by HERE or
 * NOT_HERE or, when that cannot be said, FAILED.
 *
 * Whoever says nothing, or takes nothing, for PEER_MS (the source) or SOURCE_MS (the target, whose source may have a guest suspend
 * itself meanwhile) is taken for gone: a host without power, and a link that hangs, say nothing for ever, and the guest stands still.
 *
 * Who may let it run:
 *	- before GO the source alone, and it does, whatever happens to the target, to the link or to the source's own xl;
 *	- from GO on (that is: from the note on) the target alone. The source's copy stays paused. It goes on only when the target has
 *	  said FAILED or NOT_HERE, or an administrator has (xl migrate --recover --force);
 *	- the target's copy runs only once GO is in its note. A receiver that ends without it takes its copy along; if it was killed,
 *	  xl minder, the next question or the next migration does. xl unpause refuses both copies meanwhile.
 *
 * What is left when a side dies (xl killed, link cut, or the whole host) behind:
 *
 *	step		source's xl dies		target's xl dies
 *	HELLO		runs on				runs on at the source
 *	PREPARED	runs on; target drops its copy	runs on at the source; minder there drops its copy
 *	pause, stream	minder lets it go on; dropped	source lets it go on; minder there drops its copy
 *	READY		the same			the same
 *	note, not GO	in doubt, and NOT_HERE		(there is no such moment at the target)
 *	GO sent		in doubt: HERE or NOT_HERE	in doubt: NOT_HERE if it was not noted, else HERE, and who is
 *							asked lets it run
 *	mark		(the same as GO sent)		runs at the target; in doubt at the source, and HERE
 *	RUNNING		in doubt, and HERE		runs at the target; source destroys its copy all the same
 *	DONE		runs at the target		the same
 *
 * In doubt means: paused at the source, called NAME--migratedaway, until xl migrate --recover. A source that was started again meanwhile
 * has no copy any more; a target that was has neither a copy nor its notes, which HELLO tells (another start): --recover then says that
 * it may have run there, and does nothing without --force. If another machine than the one that it was given to has a domain of that
 * UUID, an administrator is to look: then there is not even --force.
 *
 * The marks are by attempt, so that a guest that came, left and comes again does not make an older source believe that it has never been
 * there, nor one that has been there once make it believe that it came this time.
 *
 * Not here: a lease on shared disks. Nothing but these rules keeps an administrator from making a second copy by hand (xl create).
 */
#ifndef XL_MIGRATE_H
#define XL_MIGRATE_H

#include "xl.h"

#include <sys/types.h>

/* --- messages: migrate.c --------------------------------------------------------------------- */

#define MIGRATE_MAGIC 0x474d5650u /* "PVMG" */
#define MIGRATE_MAJOR 1 /* another one is refused, before anything that may have moved */
#define MIGRATE_MINOR 0

enum migrate_type {
	MIGRATE_HELLO = 1,
	MIGRATE_PREPARED,
	MIGRATE_READY,
	MIGRATE_GO,
	MIGRATE_RUNNING,
	MIGRATE_DONE,
	MIGRATE_FAILED, /* body: a text */
	MIGRATE_ASK, /* body: struct migrate_question */
	MIGRATE_HERE,
	MIGRATE_NOT_HERE,
	MIGRATE_TYPES
};

/* Little-endian, and then the body. */
struct migrate_head {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t type;
	uint32_t length; /* of the body */
	uint64_t sum; /* of the bytes before, and then of the body */
};
#define MIGRATE_BODY 1024

/* HELLO of the target. */
struct migrate_target {
	char boot[40]; /* this start of this machine, with NUL (the kernel's boot_id) */
	uint16_t stream_major, stream_minor; /* that it can read */
	uint32_t reserved;
};

/* HELLO of the source; the name follows, without NUL. */
struct migrate_source {
	uint8_t uuid[16], attempt[16]; /* the latter is of this one alone */
	uint64_t pages;
	uint32_t flags; /* MIGRATE_* */
	uint32_t name_length;
};
struct migrate_question {
	uint8_t uuid[16], attempt[16];
};
#define MIGRATE_PAUSED 1u /* it is to stay paused there */
#define MIGRATE_ALONE 2u /* nobody acts on its end there */

struct migrate_message {
	enum migrate_type type;
	uint32_t length;
	uint8_t body[MIGRATE_BODY + 1]; /* with a NUL behind it */
};

/* The other side. */
struct migrate_peer {
	int in, out;
	pid_t pid; /* of the command; 0: none */
	int own[3]; /* the flags of our input, output and error, which ssh changes, and leaves so when it is killed; -1: none */
	const char *who; /* for messages */
	bool target; /* this is the target's side */
	int patience; /* ms that it may say nothing, and take nothing if @out does not block; 0: for ever */
};

#ifndef PEER_MS
#define PEER_MS 120000
#endif
/* It may have to suspend itself first, for which suspend.c gives it 90 s, and its disks to be written. */
#ifndef SOURCE_MS
#define SOURCE_MS 300000
#endif
/* Between READY and GO there is but the note. Less than whoever asks meanwhile waits (ASK_MS). */
#ifndef GO_MS
#define GO_MS 20000
#endif

/* The tests kill either side here. @type: of what is sent, or has come. */
#ifndef MIGRATE_POINT
#define MIGRATE_POINT(target, when, type) ((void)0)
#endif

/* Of HELLO: this start of this machine. 0, or -1 after a message. */
int migrate_boot(char boot[40]);
/* Runs @command on @host, or @host itself if @command is "". 0, or -1 after a message; then migrate_close() is not due. */
int migrate_open(struct migrate_peer *p, const char *command, const char *host);
/* Closes both ways, and waits for the command's end, for which it is given some seconds; then it is killed. */
void migrate_close(struct migrate_peer *p);
/* All of it has been taken from here, or nothing: 0 or -errno (-ETIMEDOUT: patience), without a message. */
int migrate_send(struct migrate_peer *p, enum migrate_type type, const void *body, uint32_t length);
/*
 * 0, or -errno without a message: -ENODATA the end; -EPROTO something else than such messages; -EOPNOTSUPP another version; -EBADMSG
 * damaged; -EINTR by a signal; -ETIMEDOUT nothing for @p->patience.
 */
int migrate_receive(struct migrate_peer *p, struct migrate_message *m);
/* FAILED with this text; whoever is at the other end may be no more. */
void migrate_fail(struct migrate_peer *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* What migrate_receive() has returned, in words. */
const char *migrate_error(int rc);
/*
 * The next one, which is to be of @type. 0; 1: it was FAILED, and its text has been said; -1: nobody knows what has become of the
 * other side, which was said too.
 */
int migrate_expect(struct migrate_peer *p, enum migrate_type type, struct migrate_message *m);

/* --- notes: migrate_note.c ------------------------------------------------------------------- */

/* They live as long as what they are about: until the machine ends, and its domains with it. */
#define MIGRATE_DIR XL_RUN_DIR "/migrate"
#define MIGRATE_HOST 256
#define MIGRATE_NAME 80

#define GIVEN_PAUSED 1u /* for this; else it had been before */
#define GIVEN_BACK \
	2u /* it is decided that it goes on here: whoever is killed over that has it done by the next one (xl minder) */

/* At the source, from just before GO: the domain has been given away. */
struct given {
	uint32_t magic, domid;
	uint8_t handle[16], attempt[16];
	uint32_t flags; /* GIVEN_* */
	char name[MIGRATE_NAME];
	char host[MIGRATE_HOST];
	char boot[40]; /* the target's HELLO */
};

/* Others see all of it or nothing. 0 or -errno. */
int given_write(const struct given *g);
/* Is this domain a given one? The domain with that number may be another by now: false. */
bool given_read(struct xl *xl, uint32_t domid, struct given *g);
/* The given one that is called @name, or was, or has that number. 0, or -1 after a message. */
int given_find(struct xl *xl, const char *name, struct given *g);
/* Is this domain one that must not end here of itself either? Needs no xenstore. */
bool given_away(struct xl *xl, uint32_t domid);
void given_forget(uint32_t domid);
/* It goes on here, and the note goes. Its lock is held. 0, or -1 after a message. */
int given_take_back(struct xl *xl, struct given *g);

enum incoming_phase {
	INCOMING_COMES = 1, /* GO was not heard */
	INCOMING_GO, /* it was: it runs, or is to */
	INCOMING_RAN, /* and has; its mark could not be had yet */
	INCOMING_MARKED, /* it could, but not its name */
};

/* At the target, from HELLO to its first moment; locked by whoever is at it. Its file is named by the UUID. */
struct incoming {
	int fd; /* -1: there is none */
	uint8_t uuid[16], attempt[16];
	enum incoming_phase phase;
	uint32_t flags; /* MIGRATE_* */
	char name[MIGRATE_NAME];
};

/*
 * The note of @uuid, locked; waits for whoever has it for @ms. @make: one that is not there is made, without a phase yet.
 * 0; -ENOENT; -EBUSY: somebody is at it; or -errno.
 */
int incoming_claim(struct incoming *n, const uint8_t uuid[16], bool make, int ms);
/* @n->phase, attempt, flags and name. 0 or -errno. */
int incoming_write(struct incoming *n);
/*
 * Adds to the note files that have been made for this one: if it does not come, they go, unless others have those names by then. @path: nowhere a line's end.
 * Once. 0 or -errno.
 */
int incoming_disks(struct incoming *n, char *const *path, const int *fd, unsigned int nr);
/* @forget: the note goes. */
void incoming_release(struct incoming *n, bool forget);

/*
 * What a receiver that is no more has left is done now: a copy that has not heard GO goes, one that has runs. @n is the caller's.
 * 0: nothing more has to be known of it, and the note can go; 1: it runs, and there is something left to do; -1: it could not be
 * done, after a message.
 */
int incoming_settle(struct xl *xl, struct incoming *n);
/* From GO on: it runs, unless it is to stay paused. Its lock is held. 0 or -errno, without a message. */
int incoming_run(struct xl *xl, const struct incoming *n, uint32_t domid);
/* It does: its mark, and its name. Its lock is held. As incoming_settle(), but for -1. */
int incoming_ran(struct xl *xl, struct incoming *n, uint32_t domid);
/* The source has no copy any more: the mark goes. */
void incoming_done(const uint8_t uuid[16], const uint8_t attempt[16]);
/*
 * Has it come here? @attempt: in this one, or there is a domain of that UUID now; NULL: in any. Waits for a receiver that is at it.
 * 1: it runs here, or has; 0: it has not, and will not; -1: nobody can say, after a message.
 */
int incoming_ask(struct xl *xl, const uint8_t uuid[16], const uint8_t *attempt);
/* Is the domain one that is only coming, by its name? -1: xenstored does not say. */
int incoming_is(struct xl *xl, uint32_t domid);

/* Why this domain must not be let run by hand; the caller frees. NULL: it may. */
char *migrate_bars(struct xl *xl, uint32_t domid);
/* Settles all that the killed have left. Says what it did. */
void migrate_sweep(void);
/* The domain with this UUID; false: there is none. */
bool migrate_find(struct xl *xl, const uint8_t uuid[16], uint32_t *domid);

#define MIGRATE_INCOMING "--incoming"
#define MIGRATE_AWAY "--migratedaway"
/*
 * Another name for a domain whose lock is held, for which nobody waits for long; a warning when it cannot be had. The name may be
 * NAME's of a NAME--incoming that is this domain. 0; 1: somebody else makes or renames guests, later may do; -1: it cannot.
 */
int migrate_rename(struct xl *xl, uint32_t domid, const char *name);

/* --- drain.c --------------------------------------------------------------------------------- */

/* Before it is moved: are its disks such as another host can have, too? 0, or -1 after a message. */
int drain_check(struct xl *xl, uint32_t domid, const char *name);
/*
 * Waits until nothing is on its way to the disks of a guest that stands still, and what it has written is on them. 0, or -1 after a
 * message.
 */
int drain_disks(struct xl *xl, uint32_t domid, const char *name);
/* Of one whose drivers are off its devices (whole.h): what it has written is on its disks. 0, or -1 after a message. */
int drain_flush(struct xl *xl, uint32_t domid, const char *name);
/* Has the kernel nothing on its way to its disks that it can write to, as far as it counts that? Waits for it, up to xl_now() = @end. */
bool drain_idle(struct xl *xl, uint32_t domid, int64_t end);

#endif /* XL_MIGRATE_H */
