/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fuzzer of core/: an input is a list of steps of fixed size, each a hypercall of some vCPU (or something that guests
 * and hardware do without one) with the trouble that befalls it. fuzz_core.c runs them, shapes.c makes their arguments,
 * tests/unit/core/invariants.c looks at the world afterwards.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "invariants.h"

/* ---- hypercalls.tbl ---- */

enum row_kind { KIND_op, KIND_op6, KIND_op12, KIND_vcpu, KIND_ctl, KIND_fn };
enum row_dir { DIR_none, DIR_in, DIR_out, DIR_inout, DIR_raw, DIR_refused };

struct row {
	unsigned int nr;
	enum row_kind kind;
	enum row_dir dir;
	const char *name; /* the sub-operation */
	u64 op;
	const char *type; /* of its structure */
	size_t size;
	long refused; /* DIR_refused: the answer, whatever the arguments */
	/* KIND_ctl: the structure around it */
	size_t whole, u, domain;
	u32 version;
};

extern const struct row rows[];
extern const unsigned int nr_rows;

/* ---- input ---- */

#define STEP_ARGS 20
struct step {
	u8 what; /* index of a row, or behind them of a deed */
	u8 hart;
	u8 trouble; /* low 3 bits: kind of trouble; TROUBLE_* */
	u8 when; /* at which call it comes */
	u8 arg[STEP_ARGS];
};

enum { TROUBLE_PREEMPT = 4, TROUBLE_COPY = 5, TROUBLE_ALLOC = 6, TROUBLE_MAP = 7 };
#define TROUBLE_SCRIBBLE 0x08 /* guest memory changes as soon as it has been read */
#define TROUBLE_BETWEEN 0x10 /* another hart's step, between two parts of a continuation */
#define TROUBLE_RACE 0x20 /* another hart's step, just before a mapping is made */

/* A step's argument bytes, one after another; behind the last, numbers that follow from them. */
struct bytes {
	const u8 *p;
	unsigned int left;
	u64 state;
};

struct bytes bytes_of(const struct step *s);
u8 next_byte(struct bytes *b);

/* ---- guests' memory: what hypercalls may read and write ---- */

void *arena_get(size_t n); /* zeroed; NULL: used up */
void arena_reset(void);
bool in_arena(u64 va, size_t n);

/* ---- arguments ---- */

enum field_kind {
	DOMID,
	PORT,
	GFN,
	GADDR, /* a page's address */
	REF,
	REF_OR_GFN,
	HANDLE,
	VCPU,
	VIRQ,
	PIRQ,
	SMALL, /* 0 to 7 */
	INDEX, /* the same, 0 or 1 most of the time */
	SPACE, /* XENMAPSPACE_* */
	ORDER,
	BITS, /* a byte of flags */
	OFFSET, /* in a page */
	LENGTH,
	TIME,
	AREA, /* virtual address of a page of the caller's */
	KEY,
	STATE_RECORDS, /* of XEN_DOMCTL_sethvmcontext */
	STATE_BUFFER, /* room for such, or for pages */
	STATE_SIZE, /* of what was made last of these two */
	SHARING_OP, /* mostly a fork */
	SHADOW_OP,
	SHADOW_MODE,
	SHADOW_BITMAP, /* mostly none: bits of RAM are beyond what there is room for */
	LIST_GFNS, /* guest handles */
	LIST_PORTS,
	BUFFER,
	WILD,
};

u64 value_of(enum field_kind kind, struct bytes *b);
/* The hypercall that a row and argument bytes make. */
void make_call(const struct row *row, struct bytes *b, u64 args[5]);

/* ---- afterwards ---- */

void note_result(const struct row *row, long rc);

#endif
