/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Event channels: how all of a domain's ports end (EVTCHNOP_reset, its death), in steps, and what the debug key tells of them.
 */
#include <console.h>
#include <event.h>
#include <event_internal.h>
#include <handlers.h>
#include <hypercall.h>
#include <lib.h>
#include <lock.h>
#include <xsm.h>

#define DESTROY_BATCH 256
#define RESET_BATCH 64
#define DUMP_LOOKS 256 /* ports that the debug key looks at under one lock */

/* Closes up to max ports from *next on, or passes so many by: -ERESTART while there are more. */
static int close_some(struct domain *d, u32 *next, unsigned int max)
{
	struct evtchn_state *s = d->evtchn;

	for (unsigned int n = 0; n < max; n++) {
		if (*next >= s->max_ports)
			return 0;
		if (s->chunk[*next >> CHUNK_SHIFT])
			evtchn_close_port(d, (*next)++);
		else
			*next = (*next | (CHUNK_PORTS - 1)) + 1;
	}
	return -ERESTART;
}

/* All ports are closed and none can be made: frees their chunks, so that the structure's end is no long step. */
static int free_some(struct domain *d, unsigned int max)
{
	struct evtchn_state *s = d->evtchn;
	u32 end = s->chunk == s->chunk_2l ? NR_CHUNKS_2L : NR_CHUNKS;

	for (; s->free_next < end; s->free_next++) {
		struct evtchn *chunk;

		if (!max--)
			return -ERESTART;
		spin_lock(&d->evtchn_lock);
		chunk = s->chunk[s->free_next];
		s->chunk[s->free_next] = NULL;
		spin_unlock(&d->evtchn_lock);
		xfree(chunk);
	}
	return 0;
}

/*
 * All ports are closed, or -EAGAIN: new ones were bound meanwhile, which matters only to one that should go back from FIFO
 * to 2-level.
 */
static long reset_end(struct domain *d)
{
	long rc = 0;

	spin_lock(&d->evtchn_lock);
	d->evtchn->reset_next = 0;
	if (d->evtchn->fifo && d->evtchn->active)
		rc = -EAGAIN;
	else
		fifo_destroy(d);
	spin_unlock(&d->evtchn_lock);
	return rc;
}

/* Raw, for its continuation. Its progress is in evtchn_state: two at a time share it, and each closes what it comes by. */
long evtchn_reset_op(u64 cmd, u64 arg, u64 arg3)
{
	struct evtchn_reset a;
	struct domain *d;
	u32 next;
	long rc;

	(void)arg3;
	if (copy_from_guest(&a, arg, sizeof(a)))
		return -EFAULT;
	d = xsm_target(a.dom, &rc);
	if (!d)
		return rc;
	do {
		next = max(READ_ONCE(d->evtchn->reset_next), 1U);
		rc = close_some(d, &next, RESET_BATCH);
		WRITE_ONCE(d->evtchn->reset_next, next);
	} while (rc && !hypercall_preempt_check());
	if (rc)
		rc = hypercall_continue(__HYPERVISOR_event_channel_op, cmd, arg, 0, 0, 0);
	else
		rc = reset_end(d);
	domain_put(d);
	return rc;
}

/* ---- death ---- */

int evtchn_destroy(struct domain *d)
{
	int rc = close_some(d, &d->evtchn->destroy_next, DESTROY_BATCH);

	if (!rc)
		rc = free_some(d, DESTROY_BATCH);
	if (rc)
		return rc;
	/* Its pages are the domain's own, and keep its structure. */
	spin_lock(&d->evtchn_lock);
	fifo_destroy(d);
	spin_unlock(&d->evtchn_lock);
	return 0;
}

void evtchn_free(struct domain *d)
{
	struct evtchn_state *s = d->evtchn;

	fifo_destroy(d);
	for (u32 i = 0; i < (s->chunk == s->chunk_2l ? NR_CHUNKS_2L : NR_CHUNKS); i++)
		xfree(s->chunk[i]);
	if (s->chunk != s->chunk_2l) {
		xfree(s->chunk);
		xfree(s->used);
	}
	xfree(s);
	d->evtchn = NULL;
}

int evtchn_count(struct domain *d)
{
	return READ_ONCE(d->evtchn->active);
}

/* ---- the debug key ---- */

static bool is_masked(struct domain *d, const struct evtchn *c)
{
	return d->evtchn->fifo ? fifo_is_masked(d, c) :
				 test_bit(c->port, d->shared_info->evtchn_mask);
}

static bool is_pending(struct domain *d, const struct evtchn *c)
{
	return d->evtchn->fifo ? fifo_is_pending(d, c) :
				 test_bit(c->port, d->shared_info->evtchn_pending);
}

/* evtchn_lock held. A line of its own of a port's. */
static void describe(struct domain *d, const struct evtchn *c, char *text, size_t size)
{
	static const char *const states[] = { "closed", "unbound", "interdomain",
					      "pirq",	"virq",	   "ipi" };
	char end[32] = "";

	if (c->state == EVTCHNSTAT_interdomain)
		pv_snprintf(end, sizeof(end), " d%u port %u", c->remote.domain->id, c->remote.port);
	else if (c->state == EVTCHNSTAT_virq || c->state == EVTCHNSTAT_pirq)
		pv_snprintf(end, sizeof(end), " %u", c->virq);
	pv_snprintf(text, size, "d%u port %u: %s v%u%s%s%s", d->id, c->port,
		    c->state < ARRAY_SIZE(states) ? states[c->state] : "?", c->vcpu,
		    is_pending(d, c) ? " pending" : "", is_masked(d, c) ? " masked" : "", end);
}

void evtchn_dump(struct domain *d, unsigned int *lines)
{
	int left = evtchn_count(d);
	bool more = true;
	u32 port = 1;

	while (more && *lines) {
		struct evtchn *c = NULL;
		char text[96];

		/* Let go of for each line: whoever sends the domain an event would wait for the UART. */
		if (!spin_try_a_while(&d->evtchn_lock)) {
			printk("d%u: event channels are busy\n", d->id);
			return;
		}
		for (unsigned int n = 0; !c && more && n < DUMP_LOOKS; n++, port++) {
			more = port < d->evtchn->max_ports;
			c = more ? evtchn_get(d, port) : NULL;
		}
		if (c)
			describe(d, c, text, sizeof(text));
		spin_unlock(&d->evtchn_lock);
		if (!c)
			continue;
		printk("%s\n", text);
		left--;
		(*lines)--;
	}
	if (more && left > 0)
		printk("d%u: %d more ports\n", d->id, left);
}
