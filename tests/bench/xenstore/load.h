/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs of the xenstore bench share: the tree of a guest, and requests as bytes.
 * A guest's worth is 60 nodes and 10 watches, in the places where xl and the back ends put them.
 * The store, the naive tree and the socket clients all get the same messages from here.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stddef.h>
#include <stdint.h>
#include <errno.h> /* before xs_wire.h, which then names errors */
#include <xen/io/xs_wire.h>

#define MSG_MAX_BYTES (sizeof(struct xsd_sockmsg) + XENSTORE_PAYLOAD_MAX)
#define GUEST_LEAVES 43
#define GUEST_WATCHES 10
#define DIR_CHILDREN 1000
#define FAN_WATCHES 100
#define TX_WRITES 10
#define VISIT 20

/* Path of a guest's leaf or watch. guest counts from 1. buf: 128 bytes. */
const char *leaf_path(char *buf, unsigned int guest, unsigned int leaf);
const char *guest_watch(char *buf, unsigned int guest, unsigned int watch);

/* Make messages; return their length. buf: MSG_MAX_BYTES. */
size_t make_msg(char *buf, uint32_t type, uint32_t tx, const void *body, size_t len);
size_t make_path(char *buf, uint32_t type, uint32_t tx, const char *path);
/* Two strings; the second without its NUL for WRITE. */
size_t make_pair(char *buf, uint32_t type, uint32_t tx, const char *a, const char *b);

/* Fill a store for `guests` guests: their nodes, the directory and the fan-out path of the bench; */
void fill_nodes(unsigned int guests, void (*request)(const char *msg, size_t len));
/* then the watches. watcher: which of FAN_WATCHES connections, or -1: the one for the guests'. */
void fill_watches(unsigned int guests, void (*watch)(int watcher, const char *msg, size_t len));

/* A small generator, so that runs are the same. */
uint32_t next_random(void);

/*
 * Who works on a guest, be it xl, a back end or the guest, does several things there: VISIT leaves in
 * a row, then those of another guest, at random.
 */
struct visit {
	unsigned int guest, leaf, left;
};

void visit_next(struct visit *v, unsigned int guests);

/* The operations that are measured. SCATTER: reads of a random leaf of a random guest each time. */
enum work { DO_READ, DO_WRITE, DO_TX10, DO_DIR, DO_FAN, DO_SCATTER, DO_MAX };
extern const char *const op_names[DO_MAX];
int op_find(const char *name); /* exits with a message when there is none */

#endif
