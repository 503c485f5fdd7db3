/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The explorer of interleavings: two operations run on two harts, and another hart comes between at each point
 * (../core/interleave.h) in turn. operations.c has what runs, harts.c lets it run as a schedule says, state.c sets the world
 * back, explore.c goes through the schedules.
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include "invariants.h"

/* ---- operations.c ---- */

enum caller { BY_DOM0, BY_U1, BY_U2 };

/* What an operation is about: two are a pair when they have something in common. */
#define ON_MEMORY BIT(0)
#define ON_EVENTS BIT(1)
#define ON_SCHED \
	BIT(2) /* then the other harts schedule as well, which is a third thing that runs */
/* FIFO event channels: u1 has them already in a scene of two such, or of one and what is about them as well */
#define ON_QUEUES BIT(4)
/* u1 has been forked, and a fork of its own is to come; what is about memory as well means u1's or its copy's */
#define ON_IMAGES BIT(5)
#define CUT_UP BIT(3) /* not a subject: with continuations, as each look for interrupts finds one */
#define ON_ALL (ON_MEMORY | ON_EVENTS | ON_SCHED)

struct operation {
	const char *name;
	enum caller by;
	unsigned int about;
	void (*run)(void); /* on the caller's hart */
};

extern const struct operation operations[];
extern const unsigned int nr_operations;

/* The world in which the two run: harts 0 and 1 run their callers, *va and *vb. */
void set_scene(const struct operation *a, const struct operation *b, struct vcpu **va,
	       struct vcpu **vb);

/* When "clean" has been run: what has changed since it copied will be told. */
void check_log(void);

/* The copy of u1 has what u1 had, but for what it has written itself. */
void check_images(void);

/* ---- state.c ---- */

void state_save(void); /* all of core/ and its world, as it is now; one such state at a time */
void state_restore(void);
/* Between save and restore small objects that are freed are not given again, and ASan watches them. Really frees them. */
void state_flush_freed(void);

/* ---- harts.c ---- */

#define MAX_FIBRES 4
#define MAX_POINTS 8192
#define MAX_SWITCHES 12

/* At these points (their number in the run) these go on: 0, 1: the operations; 2: the other harts; 3: what was kicked. */
struct schedule {
	u8 nr, cost; /* cost: of the switches so many interrupt somebody */
	struct {
		u16 point;
		u8 fibre;
	} at[MAX_SWITCHES];
};

/* What a run was like at each of its points. */
struct trace {
	unsigned int nr;
	struct {
		u8 runs; /* who goes on */
		u8 could; /* mask of the others who might have instead */
		bool free; /* nobody was interrupted: the one before had ended */
	} at[MAX_POINTS];
};

extern struct trace trace;
extern bool tell_switches; /* print a backtrace at each */

/* Once. ASan's warning that it does not know fibres, which harts.c tells it of, is not printed. */
void harts_init(void);

struct actor {
	const struct operation *op;
	struct vcpu *v;
};

/* Runs the operations, and the other harts if so asked, to their ends and until no hart is kicked. */
void run_schedule(const struct actor actors[2], bool others, const struct schedule *s);

/* ---- explore.c ---- */

void fail_run(const char *fmt, ...) __printf(1, 2) __noreturn;

#endif
