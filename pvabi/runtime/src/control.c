/* SPDX-License-Identifier: MIT */
/*
 * The toolstack's wishes (xenstore-paths: ~/control/shutdown): xl shutdown and xl reboot work on any guest, whatever that
 * is doing. It owns the watch on the node, the answer, and the moment at which it is safe to give one.
 *
 * The watch's event comes as an upcall, and the answer takes requests to xenstored: it is put off while this vCPU is
 * within malloc or stdio, or somebody within xenbus.c, and given when they are through.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pv/xenbus.h>

#include "internal.h"

#define NODE "control/shutdown"

static const struct {
	const char *value;
	unsigned int reason;
	bool feature;
} wishes[] = {
	{ "poweroff", SHUTDOWN_poweroff, true },
	{ "halt", SHUTDOWN_poweroff, false },
	{ "reboot", SHUTDOWN_reboot, true },
};
#define NR_WISHES (sizeof(wishes) / sizeof(wishes[0]))

static unsigned int answering; /* 0 or 1; there is no atomic exchange of a byte */

void __attribute__((weak)) pv_shutdown_requested(unsigned int reason)
{
	fflush(NULL);
	pv_console_flush();
	pv_shutdown(reason);
}

/* The wish as an index, acknowledged by an empty value; NR_WISHES: none that we know. */
static unsigned int take_wish(void)
{
	unsigned int wish = NR_WISHES;
	int rc;

	do {
		uint32_t tx = pv_xenbus_start();
		char *value = tx ? pv_xenbus_read(tx, NODE) : NULL;

		for (wish = 0; value && wish < NR_WISHES; wish++) {
			if (!strcmp(value, wishes[wish].value))
				break;
		}
		if (!value)
			wish = NR_WISHES;
		free(value);
		if (wish < NR_WISHES && pv_xenbus_write(tx, NODE, ""))
			wish = NR_WISHES;
		/* -EAGAIN: somebody has written meanwhile, perhaps another wish */
		rc = tx ? pv_xenbus_end(tx, wish < NR_WISHES) : 0;
	} while (rc == -EAGAIN);
	return rc ? NR_WISHES : wish;
}

/*
 * The order of flags and locks: who finds the lock taken, or somebody answering, has said so in xenbus.c's flags before, and
 * whoever lets go looks at those afterwards.
 */
void control_look(void)
{
	unsigned long flags = pv_irq_save();

	while (xenbus_wish_pending() && !pv_cpu()->locks &&
	       !__atomic_exchange_n(&answering, 1, __ATOMIC_SEQ_CST)) {
		int found = xenbus_take_wish();

		if (found > 0) {
			unsigned int wish = take_wish();

			if (wish < NR_WISHES)
				pv_shutdown_requested(wishes[wish].reason);
		}
		__atomic_store_n(&answering, 0, __ATOMIC_SEQ_CST);
		if (found < 0 && xenbus_busy())
			break;
	}
	pv_irq_restore(flags);
}

static void on_store(evtchn_port_t port, void *arg)
{
	(void)port, (void)arg;
	xenbus_event_came();
	control_look();
}

void pv_control_init(void)
{
	char path[40];

	if (!xenbus_listen(on_store))
		return;
	for (unsigned int i = 0; i < NR_WISHES; i++) {
		if (!wishes[i].feature)
			continue;
		snprintf(path, sizeof(path), "control/feature-%s", wishes[i].value);
		xenbus_post(XS_WRITE, path, "1", 1);
	}
	/* Its first event comes at once: a wish from before is not lost. */
	xenbus_post(XS_WATCH, NODE, CONTROL_TOKEN, sizeof(CONTROL_TOKEN));
}
