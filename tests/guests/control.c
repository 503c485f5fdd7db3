/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The toolstack's wishes to end (control/shutdown): known ones are acknowledged and arrive, whatever the guest is doing
 * meanwhile; unknown ones stay. The guest writes its node itself, as xl would.
 *
 * guest: vcpus=2
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/event.h>
#include <pv/xenbus.h>

#include "tap.h"

#define NODE "control/shutdown"
#define NONE 99

static volatile unsigned int asked, reason = NONE;

/* Instead of the runtime's */
void pv_shutdown_requested(unsigned int why)
{
	reason = why;
	asked++;
	free(malloc(100));
}

static bool node_is(const char *wanted)
{
	char *value = pv_xenbus_read(0, NODE);
	bool same = value && !strcmp(value, wanted);

	free(value);
	return same;
}

/* Until it has been asked n times in all, or 5 s */
static void await(unsigned int n)
{
	uint64_t until = pv_time_ns() + 5000000000ULL;

	while (asked < n && pv_time_ns() < until)
		;
}

static void wishes(void)
{
	static const struct {
		const char *value;
		unsigned int reason;
	} known[] = {
		{ "poweroff", SHUTDOWN_poweroff },
		{ "reboot", SHUTDOWN_reboot },
		{ "halt", SHUTDOWN_poweroff },
	};

	for (unsigned int i = 0; i < 3; i++) {
		reason = NONE;
		pv_xenbus_write(0, NODE, known[i].value);
		await(i + 1);
		tap_ok(asked == i + 1 && reason == known[i].reason, "%s: asked %u times, reason %u",
		       known[i].value, asked, reason);
		tap_ok(node_is(""), "and acknowledged");
	}
	pv_xenbus_write(0, NODE, "dance");
	pv_sleep_ns(200000000);
	tap_ok(asked == 3 && node_is("dance"), "an unknown wish stays as it is");
	pv_xenbus_write(0, NODE, "");
}

/* The list keeps events of others; the wish's own does not show. */
static void beside_own_watches(void)
{
	char *path, *token;

	pv_xenbus_watch("data/own", "mine");
	pv_xenbus_write(0, NODE, "poweroff");
	await(4);
	tap_is(asked, 4, "asked while events of its own wait");
	pv_xenbus_write(0, "data/own", "x");
	for (int i = 0; i < 2; i++) {
		bool came = pv_xenbus_event(&path, &token, 2000000000);

		tap_ok(came && !strcmp(token, "mine"), "its own event %d (%s)", i,
		       came ? path : "none");
		if (came)
			free(path);
	}
	tap_ok(!pv_xenbus_event(&path, &token, 100000000), "and no other");
	pv_xenbus_unwatch("data/own", "mine");
}

static volatile bool stop;

/* Locks of newlib's and the ring, taken all the time on the other vCPU */
static void busy(void *arg)
{
	(void)arg;
	while (!stop) {
		free(malloc(1000));
		free(pv_xenbus_read(0, "domid"));
	}
}

static void under_load(void)
{
	unsigned int before = asked, wrong = 0;

	if (pv_vcpu_start(1, busy, NULL))
		return;
	for (unsigned int i = 1; i <= 10 && !wrong; i++) {
		uint64_t until = pv_time_ns() + 5000000000ULL;

		pv_xenbus_write(0, NODE, "reboot");
		while (asked < before + i && pv_time_ns() < until) {
			free(malloc(500));
			if (i % 2)
				free(pv_xenbus_read(0, "name"));
		}
		wrong += asked != before + i;
	}
	stop = true;
	pv_vcpu_join(1);
	tap_is(wrong, 0, "10 wishes while both vCPUs use malloc and xenstore");
}

int main(void)
{
	tap_is(pv_xenbus_read_number(0, "control/feature-poweroff"), 1, "feature-poweroff");
	tap_is(pv_xenbus_read_number(0, "control/feature-reboot"), 1, "feature-reboot");
	wishes();
	beside_own_watches();
	under_load();
	return tap_done();
}
