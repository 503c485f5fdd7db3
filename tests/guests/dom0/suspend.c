/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program of dom0's: whenever a peers/suspender.c has suspended itself, makes a domain of its registers and memory as a toolstack
 * does, and lets that go on; or tells it that nothing came of it. usage: suspend DOMID ROUNDS
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../suspender.h"
#include "copy.h"

#include <xen/grant_table.h>
#include <xen/hvm/params.h>
#include <xen/hvm/save.h>
#include <xen/sched.h>

#define STATE_MAX (1 << 16)
#define SECONDS 20 /* to suspend itself again */

static char state[STATE_MAX], again[STATE_MAX];

static void await_suspend(uint32_t domid)
{
	struct xen_domctl_getdomaininfo info;

	for (int i = 0; i < SECONDS * 100; i++) {
		TRY(pv_domain_info(pv, domid, &info));
		if (info.flags & XEN_DOMINF_shutdown) {
			if (info.flags >> XEN_DOMINF_shutdownshift != SHUTDOWN_suspend)
				bad(0, "d%u ended, %x", domid, info.flags);
			return;
		}
		usleep(10000);
	}
	bad(0, "d%u does not suspend itself", domid);
}

/* As pv_guest_build() does for a new guest. */
static void give_rings(uint32_t domid)
{
	static const unsigned int params[] = { HVM_PARAM_STORE_EVTCHN, HVM_PARAM_CONSOLE_EVTCHN };
	struct grant_entry_v1 *table = pv_map_grant_table(pv, domid, 0, 1);
	uint32_t port;

	if (!table)
		bad(0, "no grant table");
	table[GNTTAB_RESERVED_XENSTORE].domid = 0;
	table[GNTTAB_RESERVED_XENSTORE].frame = GUEST_XENSTORE_PFN;
	table[GNTTAB_RESERVED_XENSTORE].flags = GTF_permit_access;
	pv_unmap(table, 1);
	for (unsigned int i = 0; i < 2; i++) {
		TRY(pv_port_alloc(pv, domid, 0, &port));
		TRY(pv_param_set(pv, domid, params[i], port));
	}
	TRY(pv_param_set(pv, domid, HVM_PARAM_STORE_PFN, GUEST_XENSTORE_PFN));
	TRY(pv_param_set(pv, domid, HVM_PARAM_CONSOLE_PFN, GUEST_CONSOLE_PFN));
}

/* Registers of two vCPUs, and nothing that belongs to one domain only. */
static void look_at_state(const char *at)
{
	struct hvm_save_descriptor d;
	unsigned int vcpus = 0;

	for (;;) {
		memcpy(&d, at, sizeof(d));
		if (!d.typecode)
			break;
		if (d.typecode > HVM_SAVE_VECTOR)
			bad(0, "a record of type %u", d.typecode);
		vcpus += d.typecode == HVM_SAVE_VCPU;
		at += sizeof(d) + d.length;
	}
	if (vcpus != 2)
		bad(0, "%u vCPUs", vcpus);
}

static uint32_t restore(uint32_t from, bool rings_first)
{
	uint32_t to, size = STATE_MAX, size2 = STATE_MAX;

	TRY(pv_domain_get_state(pv, from, state, &size));
	look_at_state(state);
	to = make_like(from, 2);
	if (rings_first)
		give_rings(to);
	TRY(pv_domain_set_state(pv, to, state, size));
	TRY(pv_domain_get_state(pv, to, again, &size2));
	if (size != size2)
		bad(0, "%u bytes of state have become %u", size, size2);
	if (!rings_first)
		give_rings(to);
	if (!figures_gfn)
		bad(0, "there are no figures in it");
	return to;
}

static void check(const struct suspender *was, const struct suspender *is, bool cancelled)
{
	printf("%lu restored, %lu cancelled, the other vCPU at %lu\n", is->elsewhere, is->cancelled,
	       is->second);
	if (is->wrong)
		bad(0, "suspender.c, line %lu: %ld", is->wrong, is->got);
	if (is->elsewhere != was->elsewhere + !cancelled ||
	    is->cancelled != was->cancelled + cancelled || is->rounds != was->rounds + 1)
		bad(0, "its call returned something else");
	if (is->second == was->second)
		bad(0, "its other vCPU does not go on");
}

int main(int argc, char **argv)
{
	struct pv_err err = { "" };
	uint32_t original, from;

	if (argc != 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	original = from = atoi(argv[1]);
	figures_magic[0] = SUSPENDER_MAGIC0;
	figures_magic[1] = SUSPENDER_MAGIC1;
	figures_at = offsetof(struct suspender, magic);
	TRY(pv_open(&pv, &err));
	await_suspend(from);
	for (int round = 0; round < atoi(argv[2]); round++) {
		bool cancel = round % 3 == 2;
		struct suspender was, is;
		uint32_t to = cancel ? from : restore(from, round % 2);

		read_figures(from, &was, sizeof(was));
		if (cancel)
			TRY(pv_domain_resume(pv, from, true));
		else
			TRY(pv_domain_unpause(pv, to));
		await_suspend(to);
		read_figures(to, &is, sizeof(is));
		check(&was, &is, cancel);
		if (from != original && from != to)
			TRY(pv_domain_destroy(pv, from));
		from = to;
	}
	if (from != original)
		TRY(pv_domain_destroy(pv, from));
	puts("all went on");
	return 0;
}
