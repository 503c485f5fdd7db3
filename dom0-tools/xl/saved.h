/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What xl save and xl restore share: a machine's HOST record, a domain's ports out of its state, and what is shown meanwhile.
 * And a stream that a domain is made from (saved.c), for life.c.
 */
#ifndef XL_SAVED_H
#define XL_SAVED_H

#include <pvstream.h>

#include "xl.h"

#include <xen/hvm/save.h>

/* --- what is shown ---------------------------------------------------------------------------- */

struct progress {
	const char *what; /* "Saving g" */
	uint64_t all, done; /* bytes */
	int64_t began, shown;
	bool on; /* stderr is a terminal */
};

void progress_begin(struct progress *p, const char *what, uint64_t bytes);
void progress_add(struct progress *p, uint64_t bytes);
/* The line goes; nothing is left of it. */
void progress_end(struct progress *p);

/* --- the machine ------------------------------------------------------------------------------ */

#define SAVED_HOST_MAX (sizeof(struct pv_stream_host) + PV_STREAM_ISA)

/* What is told of this machine: HOST's body. Its length, or -1 after a message. */
int saved_host(uint64_t timebase, uint8_t body[SAVED_HOST_MAX]);
/* Can a guest of that machine go on here? @path: for messages. */
int saved_host_fits(const char *path, const struct pv_record *r);

/* The first record of a domain's state. False: it is none. */
bool saved_domain(const void *state, uint32_t size, struct hvm_riscv_domain *d);

/* Nodes of these are the guest's own, and go with it. */
bool saved_node(const char *path, unsigned int length);

/* --- a stream to make a domain from ----------------------------------------------------------- */

struct saved {
	const char *path;
	int fd;
	bool stream; /* not a file: something may follow, and whoever sends it shows how far it is */
	/* What is there of the domain waits for its content. 0; or -1, and it is not made. NULL: nobody wants to know. */
	int (*has_memory)(struct saved *s);
	void *ctx; /* of @has_memory, and of @fork */
	/*
	 * Its memory comes by this, and what it is otherwise is known only then: saved_forked(). No lock is held but the new domain's. 0; or -1 after a message.
	 * NULL: its memory is in the stream.
	 */
	int (*fork)(struct saved *s, uint32_t domid);
	struct copied
		*copied; /* (copied.h) where what comes of its disks goes; NULL: none may come */
	struct pv_stream_in in;
	struct progress progress;
	char *config; /* the text, with its NUL */
	struct saved_watch {
		char *path, *token;
	} * watch; /* of the guest, for saved_watch() */
	unsigned int nr_watches;
	uint8_t *connection,
		*offers; /* of one that comes with its devices (whole.h): CONNECTION and STORE */
	uint32_t connection_size, offers_size;
};

/* Up to STATIC_DATA_END: what the domain is. After an error, too, saved_close() is due. */
int saved_open(struct saved *s, const char *path);
/*
 * The same from a pipe or socket, which stays the caller's, may be silent for @patience ms, and is read not a byte further than the
 * stream goes. @from: for messages.
 */
int saved_open_stream(struct saved *s, int fd, int patience, const char *from);
/*
 * One whose stream there will be when s->fork has been called: so far its configuration's text, PV_STREAM_* of how it will go on, and its memory's pages are known.
 * @from: for messages. saved_close() is due.
 */
void saved_of_fork(struct saved *s, const char *from, const char *config, uint32_t options,
		   uint64_t pages);
/* Here it is, in the file @fd, which stays the caller's. 0, or -1 after a message. */
int saved_forked(struct saved *s, int fd);
/* Memory, with nothing in it, for the domain that domain_create() is making. 0 or negative, after a message. */
int saved_memory(struct xl *xl, const struct saved *s, const struct pv_guest *g);
/*
 * The rest: what is in it, state and nodes; its ports into @g. Nothing of it runs. The file may be slow, so xl_lock() is not held.
 * 0 or negative, after a message.
 */
int saved_fill(struct xl *xl, struct saved *s, struct pv_guest *g);
/* Once xenstored has been told of the domain: its watches, each of which fires. 0 or negative, after a message. */
int saved_watch(struct xl *xl, const struct saved *s, uint32_t domid);
/*
 * Tells it that it goes on from a file, maybe not for the first time: control/generation, which its kernel watches, becomes another
 * one than ever before. False: errno.
 */
bool saved_generation(struct xl *xl, xs_transaction_t t, uint32_t domid);
void saved_close(struct saved *s);

#endif /* XL_SAVED_H */
