/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guests that there may be something to do for. Owns that a guest with nothing to say costs the others nothing: with a thousand
 * of them, each event and each round would else be a walk along all.
 */
#ifndef CONSOLE_AWAKE_H
#define CONSOLE_AWAKE_H

struct guest;

struct awake {
	struct guest *first;
	struct guest **of_port; /* by number: whose console's port it is */
	int nr_ports;
};

/* It is served from now on, and has its port. 0, or -1 with errno: there is no memory for that. */
int awake_enter(struct awake *a, struct guest *g);
/* It goes. Harmless for one that never came. */
void awake_leave(struct awake *a, struct guest *g);
/* Something happened at a port, of a guest's console or channel; one that is nobody's is passed over. */
void awake_event(struct awake *a, int port);
/*
 * Calls @fn once for each that is awake. It returns after how many milliseconds there is more to do, or -1: when something happens; then
 * a guest without channels is asleep until an event of its. Returns the least of those, -1 when there is none.
 */
int awake_serve(struct awake *a, int (*fn)(struct guest *g, void *ctx), void *ctx);

#endif /* CONSOLE_AWAKE_H */
