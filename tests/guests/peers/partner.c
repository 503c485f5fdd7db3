/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The second domain of tests that need two: offers ports and pages to the first, says in its xenstore
 * nodes which, sends events back, and does what a word in a page says (lib/hostile.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/hostile.h"

static domid_t other;
static long rw;
static volatile uint64_t *words;
static evtchn_port_t port;

static void show(const char *name, long value)
{
	char path[40], me[8], them[8];
	char *domid = pv_xenbus_read(0, "domid");
	const char *perms[] = { me, them };

	snprintf(path, sizeof(path), "data/%s", name);
	snprintf(me, sizeof(me), "n%s", domid);
	snprintf(them, sizeof(them), "r%u", other);
	free(domid);
	/* Nobody may see it before it has a value: the permissions come after. */
	if (pv_xenbus_printf(0, path, "%ld", value) || pv_xenbus_set_perms(0, path, perms, 2))
		pv_panic("xenstore: %s cannot be shown", path);
}

static void on_event(evtchn_port_t p, void *arg)
{
	(void)arg;
	switch (words[PARTNER_COMMAND]) {
	case PARTNER_END_RW:
		words[PARTNER_RESULT] = pv_grant_end(rw);
		break;
	case PARTNER_CLOSE:
		words[PARTNER_RESULT] = 1;
		pv_event_close(p);
		return;
	case PARTNER_GIVE_PORT:
		words[PARTNER_RESULT] = pv_event_alloc_unbound(DOMID_SELF, other);
		break;
	case PARTNER_COUNT:
		words[PARTNER_RESULT]++;
		return;
	}
	pv_event_send(p);
}

static long pattern_page(domid_t to, bool readonly, volatile uint64_t **where)
{
	uint64_t *page = pv_alloc_pages(1);

	for (unsigned int i = 0; i < PV_PAGE_SIZE / 8; i++)
		page[i] = PARTNER_WORD(i);
	*where = page;
	return pv_grant_access(to, pv_gfn(page), readonly);
}

int main(void)
{
	volatile uint64_t *unused;
	char *peers = pv_xenbus_await("data/peers", 20000000000);

	if (!peers)
		pv_panic("no peer");
	other = strtoul(peers, NULL, 10);
	port = pv_event_alloc_unbound(DOMID_SELF, other);
	show("port", port);
	show("spare", pv_event_alloc_unbound(DOMID_SELF, other));
	rw = pattern_page(other, false, &words);
	words[PARTNER_COMMAND] = words[PARTNER_RESULT] = 0;
	show("rw", rw);
	show("ro", pattern_page(other, true, &unused));
	show("foreign", pattern_page(0, false, &unused));
	pv_event_handler(port, on_event, NULL);
	show("ready", 1);
	for (;;)
		pv_sleep_ns(1000000000);
}
