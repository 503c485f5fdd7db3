// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guests that there may be something to do for (awake.h). Those with channels are always among them: of these there are few, and much
 * can happen at one that is no event.
 */
#include <stdlib.h>
#include <string.h>

#include "awake.h"
#include "channel.h"

static void wake(struct awake *a, struct guest *g)
{
	if (g->awake)
		return;
	g->awake = true;
	g->next_awake = a->first;
	a->first = g;
}

int awake_enter(struct awake *a, struct guest *g)
{
	struct guest **more;
	int nr;

	if (g->port >= a->nr_ports) {
		nr = g->port + 256;
		more = realloc(a->of_port, nr * sizeof(*more));
		if (!more)
			return -1;
		memset(more + a->nr_ports, 0, (nr - a->nr_ports) * sizeof(*more));
		a->of_port = more;
		a->nr_ports = nr;
	}
	if (g->port >= 0)
		a->of_port[g->port] = g;
	wake(a, g);
	return 0;
}

void awake_leave(struct awake *a, struct guest *g)
{
	struct guest **p;

	if (g->port >= 0 && g->port < a->nr_ports && a->of_port[g->port] == g)
		a->of_port[g->port] = NULL;
	for (p = &a->first; g->awake && *p; p = &(*p)->next_awake) {
		if (*p == g) {
			*p = g->next_awake;
			g->awake = false;
			break;
		}
	}
}

static bool is_channels(struct guest *g, int port)
{
	struct channel *c;

	for (c = g->channels; c; c = c->next)
		if (c->port == port)
			return c->ready = true;
	return false;
}

void awake_event(struct awake *a, int port)
{
	struct guest *g = port >= 0 && port < a->nr_ports ? a->of_port[port] : NULL;

	if (g) {
		g->ready = true;
		wake(a, g);
		return;
	}
	for (g = a->first; g && !is_channels(g, port); g = g->next_awake)
		;
}

int awake_serve(struct awake *a, int (*fn)(struct guest *g, void *ctx), void *ctx)
{
	struct guest **p = &a->first, *g;
	int wait = -1, delay;

	while ((g = *p)) {
		delay = fn(g, ctx);
		if (delay >= 0 && (wait < 0 || delay < wait))
			wait = delay;
		if (delay < 0 && !g->channels) {
			g->awake = false;
			*p = g->next_awake;
		} else {
			p = &g->next_awake;
		}
	}
	return wait;
}
